//! A run: a folder that holds a fit and all that is needed to use it, repeat it or go on with it.
//!
//! | file | what |
//! |---|---|
//! | `settings.toml` | every [setting](Settings), ready to be fed back |
//! | `run.json` | version, hash and shape of the [data](Source) |
//! | `model.safetensors` | the [dynamics](crate::dynamics::Dynamics): averaged parameters, units |
//! | `checkpoint.safetensors` | the [state](crate::fit::Checkpoint) from which to go on |
//! | `log.jsonl` | one line for every logged step |
//! | `genes.safetensors` | of cells whose coordinates decode: the [genes](crate::genes::Decoder) behind them |
//! | `samples.png` | of images: what the model made last |

mod cells;
mod claim;
mod folder;
mod image_model;
mod images;
#[cfg(feature = "plot")]
mod pictures;
mod schema;
mod score;
mod settings;
mod snapshots;
mod source;

use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use self::snapshots::Start;
pub use cells::{Cells, Screen};
pub use claim::Claim;
pub use image_model::{GenerationMetrics, ImageModel, RestorationMetrics, SampleQuality, Samples};
pub use schema::Schema;
pub use score::{Described, Scored};
pub use settings::{ImageSettings, Settings, SnapshotSettings};
pub use source::{Seen, SeenImages, SeenSnapshots, Source};

use crate::{
    action::{Device, Precision},
    error::{Error, ErrorKind, Result, ensure},
    fit::{self, Checkpoint, Observer, Rollback, Step},
    machines::Machines,
};
use images::Picture;

/// What to do with a folder that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Refuse it.
    Keep,
    /// Replace the run that it holds.
    Overwrite,
    /// Go on from the checkpoint of the run that it holds.
    Resume,
}

/// A fit on disk, of any kind of problem.
#[derive(Debug, Clone)]
pub struct Run {
    folder: PathBuf,
    settings: Settings,
    source: Source,
}

impl Run {
    /// Fits `data` (all columns and times, or all images, named `name` for the record) under
    /// `settings` and leaves the result in the folder that is [claimed](IfExists::claim). With
    /// [`SnapshotSettings`] the data are `&Snapshots`, or `&Shards` of a file,
    /// [split](SnapshotSettings::split) for the fit. With [`ImageSettings`] they are `&Images`, and
    /// a picture of what the model makes is drawn anew at every checkpoint.
    ///
    /// With [`IfExists::Overwrite`] the run that is there stays until the new one is whole. A fit
    /// that is ended before is gone on with by [`IfExists::Resume`].
    ///
    /// Where the device is [among](Device::among) several processes this is for the first of them;
    /// the others [assist](Self::assist).
    ///
    /// # Errors
    /// With [`IfExists::Resume`] no checkpoint, other data or other settings than the run has;
    /// settings that do not fit the data; whatever keeps [fitting](crate::fit::fit) from finishing
    /// (what was reached is kept as a checkpoint).
    pub fn fit<'a, S: Schema>(
        claim: Claim,
        data: impl Into<S::Data<'a>>,
        name: &str,
        settings: &S,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let machines = device.machines();
        ensure!(
            machines.is_first(),
            Value,
            "the first process of a fit alone has its run; the others assist"
        );
        let data = data.into();
        let prepared = Self::prepared(data, name, settings, device).and_then(|mut run| {
            run.folder = claim.folder().to_owned();
            let checkpoint = match claim.if_exists() {
                IfExists::Resume => Some(run.checkpoint_to_resume()?),
                IfExists::Keep | IfExists::Overwrite => None,
            };
            Ok((run, checkpoint))
        });
        let (mut run, checkpoint) = machines.agree(prepared)?;
        run.share(checkpoint.as_ref(), machines)?;
        let begun = settings.problem(data, observer).and_then(|problem| {
            let mut rng = ChaCha8Rng::seed_from_u64(run.settings.fit().seed);
            let network = settings.architecture().engine(problem.shape(), &mut rng)?;
            let picture = match (settings.shown(data)?, &run.settings) {
                (Some(shown), Settings::Images(settings)) => Some(Picture {
                    shown,
                    method: settings.method,
                    degradation: run.degradation()?,
                    device: device.clone(),
                }),
                _ => None,
            };
            let network = device.place(network)?;
            ensure!(
                observer.begin().is_continue(),
                Interrupted,
                "stopped before the first step; nothing is kept"
            );
            // What cannot be fitted leaves no folder.
            fit::check(&problem, run.settings.fit(), machines)?;
            if checkpoint.is_none() {
                run.folder = claim.begin()?;
                run.begin()?;
            }
            Ok((problem, network, picture))
        });
        let (problem, network, picture) = machines.agree(begun)?;
        let checkpoint = checkpoint.as_ref();
        let fitted = run.learn(machines, network, &problem, checkpoint, picture, observer);
        machines.agree(fitted.and_then(|()| claim.finish(&run.folder)))?;
        run.folder = claim.folder().to_owned();
        Ok(run)
    }

    /// Does its parts of a fit that the first of several processes [keeps](Self::fit), with the same
    /// data and settings.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), of any of the processes.
    pub fn assist<'a, S: Schema>(
        data: impl Into<S::Data<'a>>,
        name: &str,
        settings: &S,
        device: &Device,
    ) -> Result<()> {
        let machines = device.machines();
        let data = data.into();
        let run = machines.agree(Self::prepared(data, name, settings, device))?;
        let checkpoint = run.share(None, machines)?;
        let begun = settings.problem(data, &mut ()).and_then(|problem| {
            let mut rng = ChaCha8Rng::seed_from_u64(run.settings.fit().seed);
            let network = settings.architecture().engine(problem.shape(), &mut rng)?;
            let network = device.place(network)?;
            fit::check(&problem, run.settings.fit(), machines)?;
            Ok((problem, network))
        });
        let (problem, network) = machines.agree(begun)?;
        let (options, checkpoint) = (run.settings.fit(), checkpoint.as_ref());
        // The first reads the log that it goes on with.
        let fitted = machines
            .agree(Ok(()))
            .and_then(|()| fit::among(machines, network, &problem, options, checkpoint, &mut ()));
        machines.agree(fitted.map(|_| ()))
    }

    /// A run that has no folder yet.
    fn prepared<S: Schema>(
        data: S::Data<'_>,
        name: &str,
        settings: &S,
        device: &Device,
    ) -> Result<Self> {
        settings.check()?;
        let (fingerprint, seen) = settings.seen(data)?;
        let mut kept = settings.kept();
        let asked = kept.fit().precision;
        let precision = device.precision(settings.architecture(), asked);
        ensure!(
            asked == Precision::Auto || asked == precision,
            Setting,
            "`fit.precision` is bf16, but this network multiplies in f32 here; leave it \"auto\""
        );
        kept.fit_mut().precision = precision;
        Ok(Self {
            folder: PathBuf::new(),
            settings: kept,
            source: Source {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                data: name.to_owned(),
                fingerprint,
                seen,
            },
        })
    }

    /// Makes sure that all processes fit the same, and gives them what the first goes on from.
    fn share(
        &self,
        checkpoint: Option<&Checkpoint>,
        machines: Machines,
    ) -> Result<Option<Checkpoint>> {
        machines.same(&[
            ("version", &self.source.version),
            ("settings", &self.settings.to_toml()),
            ("data", &format!("hash {}", self.source.fingerprint)),
        ])?;
        let bytes = machines.share(checkpoint.map_or(vec![], Checkpoint::to_bytes));
        let checkpoint = match (machines.is_first(), bytes.is_empty()) {
            (true, _) | (_, true) => Ok(None),
            _ => Checkpoint::from_bytes(&bytes, "the checkpoint of the first process").map(Some),
        };
        machines.agree(checkpoint)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where its data came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The settings and the data of a run of snapshots.
    ///
    /// # Errors
    /// A run of images.
    pub fn snapshots(&self) -> Result<(&SnapshotSettings, &SeenSnapshots)> {
        match (&self.settings, &self.source.seen) {
            (Settings::Snapshots(settings), Seen::Snapshots(seen)) => Ok((settings, seen)),
            _ => Err(self.is_not_of(Seen::SNAPSHOTS)),
        }
    }

    /// The settings and the data of a run of images.
    ///
    /// # Errors
    /// A run of snapshots.
    pub fn images(&self) -> Result<(&ImageSettings, &SeenImages)> {
        match (&self.settings, &self.source.seen) {
            (Settings::Images(settings), Seen::Images(seen)) => Ok((settings, seen)),
            _ => Err(self.is_not_of(Seen::IMAGES)),
        }
    }

    fn is_not_of(&self, [of, command]: [&str; 2]) -> Error {
        let folder = self.folder.display();
        let what = format!("{folder} is not a run of {of}; make one with `{command} -o RUN`");
        Error::new(ErrorKind::Value, what)
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Record {
    /// A step.
    Step(Step),
    /// The guard rolled back.
    Rollback(Rollback),
}

impl Record {
    /// The last step of a log.
    pub fn last_step(log: &[Self]) -> Option<Step> {
        log.iter().rev().find_map(|record| match record {
            Self::Step(step) => Some(*step),
            Self::Rollback(_) => None,
        })
    }
}

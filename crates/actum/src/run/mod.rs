//! A run: a folder that holds a fit and all that is needed to use it, repeat it or go on with it.
//!
//! | file | what |
//! |---|---|
//! | `settings.toml` | every [setting](Settings), ready to be fed back |
//! | `run.json` | version, times, columns and hash of the [data](Source) |
//! | `model.safetensors` | the [dynamics](crate::dynamics::Dynamics): averaged parameters, units |
//! | `checkpoint.safetensors` | the [state](crate::fit::Checkpoint) from which to go on |
//! | `log.jsonl` | one line for every logged step |
//! | `samples.png` | of [images](ImageRun): what the model made last |

mod folder;
mod image;
mod image_model;
mod image_settings;
mod schema;
mod settings;

use std::{fs, path::Path as FilePath};

use burn::tensor::Device;
use ndarray::s;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use image::{ImageRun, ImageSource};
pub use image_model::{GenerationMetrics, ImageModel, RestorationMetrics, SampleQuality, Samples};
pub use image_settings::{
    Half, Hidden, ImageData, ImageNetwork, ImageSettings, Method, NoisePath, Task,
};
pub use settings::{Data, Growth, Joining, Mass, Network, Settings, Terms};

use crate::{
    action::Mlp,
    cloud::Cloud,
    data::{Shards, Snapshots, TimeAxis},
    dynamics::Dynamics,
    error::{Error, Result, ensure},
    file,
    fit::{Checkpoint, Observer, Rollback, Step},
    objective::Problem,
    path::Interpolant,
};
use folder::{FILES, Folder, Origin};

/// Where a run's data came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The version of actum that made the run.
    pub version: String,
    /// The name of the data, as the caller gave it.
    pub data: String,
    /// The hash of the snapshots after the choice of columns, held-out times included; of a file in
    /// shards that of all its rows.
    pub fingerprint: String,
    /// The times as the data shows them, in order.
    pub labels: Vec<String>,
    /// The times as numbers.
    pub times: Vec<f64>,
    /// The unit of the times, where the data names one.
    pub unit: Option<String>,
    /// How many points there were at each time.
    pub counts: Vec<usize>,
    /// The mass at each time.
    pub masses: Vec<f64>,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Whether the columns have names of their own.
    pub named: bool,
}

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

/// An opened run.
#[derive(Debug, Clone)]
pub struct Run(Folder<Source>);

impl Origin for Source {
    type Settings = Settings;
    const OF: &str = "snapshots";
    const FIT: &str = "actum fit FILE";
    const KEY: &str = "times";

    fn data(&self) -> &str {
        &self.data
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl Run {
    /// Fits a population (all columns, all times, named `data` for the record) under `settings`
    /// and leaves the result in `folder`. It is `Shards::from(snapshots)`, or a file
    /// [in shards](crate::data::TableReader::shards) split by [`Settings::split`]: then units,
    /// blur, drift and the time warp are those of the first shard.
    ///
    /// # Errors
    /// A folder that is there already with [`IfExists::Keep`], or holds something else than a
    /// run; with [`IfExists::Resume`] no checkpoint, other data or other settings than the run
    /// has; settings that do not fit the data; whatever keeps [fitting](crate::fit::fit) from finishing (what was
    /// reached is kept as a checkpoint).
    pub fn fit(
        folder: &FilePath,
        shards: &Shards,
        data: &str,
        settings: &Settings,
        if_exists: IfExists,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        settings.check()?;
        if_exists.allows(folder)?;
        let seen = settings.data.view(&shards.shard(0)?)?;
        let source = Source {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: data.to_owned(),
            fingerprint: seen.fingerprint(),
            labels: seen.labels().to_vec(),
            times: seen.times().to_vec(),
            unit: seen.unit().map(str::to_owned),
            counts: seen.counts().iter().map(|n| *n as usize).collect(),
            masses: seen.masses(),
            columns: seen.columns().to_vec(),
            named: seen.is_named(),
        };
        let run = Folder {
            path: folder.to_owned(),
            settings: settings.clone(),
            source,
        };
        let checkpoint = run.checkpoint_for(if_exists)?;

        let (path, lagrangian, units) = settings.problem(shards)?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.fit.seed);
        let network = Mlp::new(
            seen.dimension(),
            settings.network.width,
            settings.network.depth,
            device,
            &mut rng,
        )?;

        let problem = Problem::new(&path, lagrangian, units);
        run.fit(network, &problem, checkpoint.as_ref(), observer)?;
        Ok(Self(run))
    }

    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// No such folder, no run in it, a run of another version, or a damaged one.
    pub fn open(folder: &FilePath) -> Result<Self> {
        Folder::open(folder).map(Self)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Where its data came from.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// The learned motion, on `device`.
    ///
    /// # Errors
    /// The fit is not finished, or its file is damaged.
    pub fn dynamics(&self, device: &Device) -> Result<Dynamics<Mlp>> {
        self.0.dynamics(device)
    }

    /// The path that the run was fitted to, from the snapshots it was [fitted on](Run::view) or, of
    /// a population in shards, one shard.
    ///
    /// # Errors
    /// As [`Run::fit`].
    pub fn path(&self, seen: &Snapshots) -> Result<Interpolant> {
        let settings = self.settings();
        settings.join(seen, &settings.frame(seen)?)
    }

    /// How many steps are saved.
    ///
    /// # Errors
    /// A damaged checkpoint.
    pub fn steps_done(&self) -> Result<usize> {
        self.0.steps_done()
    }

    /// The last checkpoint.
    ///
    /// # Errors
    /// There is none yet, or it is damaged.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        self.0.checkpoint()
    }

    /// The logged steps, in order.
    ///
    /// # Errors
    /// The log cannot be read or a line of it is damaged.
    pub fn log(&self) -> Result<Vec<Record>> {
        self.0.log()
    }

    /// The indices of the times that the fit did not see.
    ///
    /// # Errors
    /// The settings name times that the run does not have: its files are damaged.
    pub fn held_out(&self) -> Result<Vec<usize>> {
        let axis = self.axis()?;
        let held = &self.settings().data.hold_out;
        held.iter().map(|label| axis.index_of(label)).collect()
    }

    /// The times of the data.
    ///
    /// # Errors
    /// The labels of the run are not times: its files are damaged.
    pub fn axis(&self) -> Result<TimeAxis> {
        Ok(TimeAxis::from_labels(&self.source().labels)?.0)
    }

    /// The snapshots of a file as this run sees them: its columns, checked against it.
    ///
    /// # Errors
    /// Fewer columns than the run was fitted with, or more where it took them all; columns with
    /// other names or in another order; times in another unit.
    pub fn view(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        self.columns_of(snapshots.dimension())?;
        let seen = match &self.settings().data.mass {
            Mass::Given(masses) => self.with_known_masses(snapshots, masses)?,
            Mass::Weights | Mass::Counts => self.settings().data.view(snapshots)?,
        };
        ensure!(
            !(self.source().named && seen.is_named()) || seen.columns() == self.source().columns,
            Shape,
            "the run was fitted on the columns {}; this data has {}",
            self.source().columns.join(", "),
            seen.columns().join(", ")
        );
        if let (Some(ours), Some(theirs)) = (&self.source().unit, seen.unit()) {
            ensure!(
                ours == theirs,
                Value,
                "the run was fitted on times in {ours}s, this data is in {theirs}s"
            );
        }
        Ok(seen)
    }

    /// A cloud as this run sees it, like [`view`](Run::view).
    ///
    /// # Errors
    /// As [`view`](Run::view).
    pub fn view_cloud(&self, cloud: &Cloud) -> Result<Cloud> {
        let count = self.columns_of(cloud.dimension())?;
        let points = cloud.points().slice(s![.., ..count]).to_owned();
        let seen = Cloud::weighted(points, cloud.weights().clone())?;
        match self.settings().data.mass {
            Mass::Counts => seen.with_mass(seen.len() as f64),
            Mass::Weights | Mass::Given(_) => Ok(seen),
        }
    }

    /// The snapshots with the `masses` that the run was given for its times.
    fn with_known_masses(&self, snapshots: &Snapshots, masses: &[f64]) -> Result<Snapshots> {
        let axis = self.axis()?;
        ensure!(
            masses.len() == axis.values().len(),
            Shape,
            "the run has {} masses for {} times: its files are damaged",
            masses.len(),
            axis.values().len()
        );
        let labels = snapshots.labels().iter();
        let known = labels
            .map(|label| Ok(masses[axis.index_of(label)?]))
            .collect::<Result<Vec<_>>>()
            .map_err(|e| e.within("the run was given a mass for each of its times"))?;
        let seen = self.settings().data.columns_of(snapshots)?;
        seen.with_masses(&known)
    }

    /// How many of so many columns the run sees.
    fn columns_of(&self, given: usize) -> Result<usize> {
        let expected = self.source().columns.len();
        let selects = self.settings().data.dims.is_some();
        ensure!(
            given == expected || (selects && given > expected),
            Shape,
            "the run was fitted on {expected} columns, this data has {given}"
        );
        Ok(expected)
    }
}

impl IfExists {
    /// Checks that [`Run::fit`] may use `folder`, which is worth doing before a long reading.
    ///
    /// # Errors
    /// It is there already with [`IfExists::Keep`], or holds something else than a run.
    pub fn allows(self, folder: &FilePath) -> Result<()> {
        match self {
            IfExists::Resume => Ok(()),
            _ if !folder.exists() => Ok(()),
            IfExists::Keep => {
                let empty = fs::read_dir(folder)
                    .map_err(|cause| Error::io("read", folder, cause))?
                    .next()
                    .is_none();
                ensure!(
                    empty,
                    Exists,
                    "{} is there already; use --overwrite to replace it or --resume to go on",
                    folder.display()
                );
                Ok(())
            }
            IfExists::Overwrite => {
                let entries =
                    fs::read_dir(folder).map_err(|cause| Error::io("read", folder, cause))?;
                for entry in entries {
                    let entry = entry.map_err(|cause| Error::io("read", folder, cause))?;
                    let name = entry.file_name();
                    let left_over = name.to_string_lossy().starts_with(file::TEMPORARY);
                    ensure!(
                        left_over || FILES.iter().any(|f| *f == name),
                        Exists,
                        "{} holds {}, which is not part of a run: it is not overwritten; choose \
                     another folder",
                        folder.display(),
                        name.display()
                    );
                }
                Ok(())
            }
        }
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

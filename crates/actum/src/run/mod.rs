//! A run: a folder that holds a fit and all that is needed to use it, repeat it or go on with it.
//!
//! | file | what |
//! |---|---|
//! | `settings.toml` | every [setting](Settings), ready to be fed back |
//! | `run.json` | version, times, columns and hash of the [data](Source) |
//! | `model.safetensors` | the [dynamics](crate::dynamics::Dynamics): averaged parameters, units |
//! | `checkpoint.safetensors` | the [state](crate::fit::Checkpoint) from which to go on |
//! | `log.jsonl` | one line for every logged step |

mod settings;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path as FilePath, PathBuf},
};

use burn::tensor::Device;
use ndarray::s;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use settings::{Data, Growth, Joining, Mass, Network, Settings, Terms};

use crate::{
    action::Mlp,
    cloud::Cloud,
    data::{Pieces, Snapshots, TimeAxis},
    dynamics::{Dynamics, versioned},
    error::{Error, ErrorKind, Result, ensure},
    file,
    fit::{Checkpoint, Observer, Rollback, Step, fit, resume},
    objective::Problem,
    path::Between,
};

const SETTINGS: &str = "settings.toml";
const SOURCE: &str = "run.json";
const MODEL: &str = "model.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const LOG: &str = "log.jsonl";
const FILES: [&str; 5] = [SETTINGS, SOURCE, MODEL, CHECKPOINT, LOG];

/// Where a run's data came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The version of actum that made the run.
    pub version: String,
    /// The name of the data, as the caller gave it.
    pub data: String,
    /// The hash of the snapshots after the choice of columns, held-out times included; of a file in
    /// pieces that of all its rows.
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
pub enum Existing {
    /// Refuse it.
    Keep,
    /// Replace the run that it holds.
    Overwrite,
    /// Go on from the checkpoint of the run that it holds.
    Resume,
}

/// An opened run.
#[derive(Debug, Clone)]
pub struct Run {
    folder: PathBuf,
    settings: Settings,
    source: Source,
}

impl Run {
    /// Fits a population (all columns, all times, named `data` for the record) under `settings`
    /// and leaves the result in `folder`. It is `Pieces::from(snapshots)`, or a file
    /// [in pieces](crate::data::Rows::pieces) dealt by [`Settings::deal`]: then units, blur, drift
    /// and the pace of the network's clock are those of the first piece.
    ///
    /// # Errors
    /// A folder that is there already with [`Existing::Keep`], or holds something else than a
    /// run; with [`Existing::Resume`] no checkpoint, other data or other settings than the run
    /// has; settings that do not fit the data; whatever keeps [`fit`] from finishing (what was
    /// reached is kept as a checkpoint).
    pub fn fit(
        folder: &FilePath,
        pieces: &Pieces,
        data: &str,
        settings: &Settings,
        existing: Existing,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        settings.check()?;
        existing.allows(folder)?;
        let seen = settings.data.view(&pieces.piece(0)?)?;
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
        let checkpoint = match existing {
            Existing::Resume => Some(Self::open(folder)?.checkpoint_for(&source, settings)?),
            _ => None,
        };

        let (path, lagrangian, units) = settings.problem(pieces)?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.fit.seed);
        let network = Mlp::new(
            seen.dimension(),
            settings.network.width,
            settings.network.depth,
            device,
            &mut rng,
        )?;

        let run = Self {
            folder: folder.to_owned(),
            settings: settings.clone(),
            source,
        };
        if checkpoint.is_none() {
            run.begin()?;
        }
        let mut recorder = Recorder::new(&run, checkpoint.as_ref(), observer)?;
        let problem = Problem::new(&path, lagrangian, units);
        let options = &settings.fit;
        let dynamics = match &checkpoint {
            Some(checkpoint) => resume(network, &problem, options, checkpoint, &mut recorder),
            None => fit(network, &problem, options, &mut recorder),
        }?;
        dynamics.save(&run.folder.join(MODEL))?;
        Ok(run)
    }

    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// No such folder, no run in it, a run of another version, or a damaged one.
    pub fn open(folder: &FilePath) -> Result<Self> {
        ensure!(
            folder.join(SOURCE).is_file(),
            Missing,
            "{} is not a run: it has no {SOURCE}; make one with `actum fit FILE -o {}`",
            folder.display(),
            folder.display()
        );
        let path = folder.join(SOURCE);
        let source = versioned(&file::read(&path)?).map_err(|e| e.within(path.display()))?;
        Ok(Self {
            source,
            settings: Settings::read(&folder.join(SETTINGS))?,
            folder: folder.to_owned(),
        })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where its data came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The learned motion, on `device`.
    ///
    /// # Errors
    /// The fit is not finished, or its file is damaged.
    pub fn dynamics(&self, device: &Device) -> Result<Dynamics<Mlp>> {
        let path = self.folder.join(MODEL);
        ensure!(
            path.is_file(),
            Missing,
            "the fit in {} is not finished ({} of {} steps are saved); go on with `actum fit FILE -o \
             {} --resume`",
            self.folder.display(),
            self.steps_done()?,
            self.settings.fit.steps,
            self.folder.display()
        );
        Dynamics::load(&path, device)
    }

    /// The path that the run was fitted to, from the snapshots it was [fitted on](Run::view) or, of
    /// a population in pieces, one piece.
    ///
    /// # Errors
    /// As [`Run::fit`].
    pub fn path(&self, seen: &Snapshots) -> Result<Between> {
        self.settings.join(seen, &self.settings.frame(seen)?)
    }

    /// How many steps are saved.
    ///
    /// # Errors
    /// A damaged checkpoint.
    pub fn steps_done(&self) -> Result<usize> {
        if self.folder.join(CHECKPOINT).is_file() {
            Ok(self.checkpoint()?.step())
        } else {
            Ok(0)
        }
    }

    /// The last checkpoint.
    ///
    /// # Errors
    /// There is none yet, or it is damaged.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Checkpoint::load(&self.folder.join(CHECKPOINT))
    }

    /// The logged steps, in order.
    ///
    /// # Errors
    /// The log cannot be read or a line of it is damaged.
    pub fn log(&self) -> Result<Vec<Record>> {
        read_log(&self.folder.join(LOG))
    }

    /// The indices of the times that the fit did not see.
    ///
    /// # Errors
    /// The settings name times that the run does not have: its files are damaged.
    pub fn held_out(&self) -> Result<Vec<usize>> {
        let axis = self.axis()?;
        let held = &self.settings.data.hold_out;
        held.iter().map(|label| axis.index_of(label)).collect()
    }

    /// The times of the data.
    ///
    /// # Errors
    /// The labels of the run are not times: its files are damaged.
    pub fn axis(&self) -> Result<TimeAxis> {
        Ok(TimeAxis::from_labels(&self.source.labels)?.0)
    }

    /// The snapshots of a file as this run sees them: its columns, checked against it.
    ///
    /// # Errors
    /// Fewer columns than the run was fitted with, or more where it took them all; columns with
    /// other names or in another order; times in another unit.
    pub fn view(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        self.columns_of(snapshots.dimension())?;
        let seen = match &self.settings.data.mass {
            Mass::Given(masses) => self.with_known_masses(snapshots, masses)?,
            Mass::Weights | Mass::Counts => self.settings.data.view(snapshots)?,
        };
        ensure!(
            !(self.source.named && seen.is_named()) || seen.columns() == self.source.columns,
            Shape,
            "the run was fitted on the columns {}; this data has {}",
            self.source.columns.join(", "),
            seen.columns().join(", ")
        );
        if let (Some(ours), Some(theirs)) = (&self.source.unit, seen.unit()) {
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
        match self.settings.data.mass {
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
        let seen = self.settings.data.columns_of(snapshots)?;
        seen.with_masses(&known)
    }

    /// How many of so many columns the run sees.
    fn columns_of(&self, given: usize) -> Result<usize> {
        let expected = self.source.columns.len();
        let selects = self.settings.data.dims.is_some();
        ensure!(
            given == expected || (selects && given > expected),
            Shape,
            "the run was fitted on {expected} columns, this data has {given}"
        );
        Ok(expected)
    }

    fn begin(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .map_err(|cause| Error::io("create the folder", &self.folder, cause))?;
        // The newest evidence of a finished run goes first, its settings last.
        for name in [MODEL, CHECKPOINT, LOG, SOURCE, SETTINGS] {
            let path = self.folder.join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(|cause| Error::io("replace", &path, cause))?;
            }
        }
        let settings = self.settings.to_toml();
        file::replace(&self.folder.join(SETTINGS), |out| {
            out.write_all(settings.as_bytes())
        })?;
        let source = serde_json::to_string_pretty(&self.source).expect("a source is plain data");
        file::replace(&self.folder.join(SOURCE), |out| writeln!(out, "{source}"))
    }

    fn checkpoint_for(&self, source: &Source, settings: &Settings) -> Result<Checkpoint> {
        ensure!(
            self.source.fingerprint == source.fingerprint,
            Value,
            "cannot resume {}: it was fitted on other data ({}, hash {}) than {} (hash {})",
            self.folder.display(),
            self.source.data,
            short(&self.source.fingerprint),
            source.data,
            short(&source.fingerprint)
        );
        ensure!(
            self.settings == *settings,
            Setting,
            "cannot resume {} with other settings: {}; leave them out, or start anew with --overwrite",
            self.folder.display(),
            self.settings.differences(settings).join(", ")
        );
        let path = self.folder.join(CHECKPOINT);
        ensure!(
            path.is_file(),
            Missing,
            "{} has no checkpoint yet; start anew with --overwrite",
            self.folder.display()
        );
        Checkpoint::load(&path)
    }
}

fn short(fingerprint: &str) -> &str {
    &fingerprint[..fingerprint.len().min(12)]
}

impl Existing {
    /// Checks that [`Run::fit`] may use `folder`, which is worth doing before a long reading.
    ///
    /// # Errors
    /// It is there already with [`Existing::Keep`], or holds something else than a run.
    pub fn allows(self, folder: &FilePath) -> Result<()> {
        match self {
            Existing::Resume => Ok(()),
            _ if !folder.exists() => Ok(()),
            Existing::Keep => {
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
            Existing::Overwrite => {
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
    /// The guard went back.
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

/// Keeps a run's log and checkpoints while it is fitted, and passes everything on.
struct Recorder<'a> {
    run: &'a Run,
    inner: &'a mut dyn Observer,
    lines: Vec<Record>,
    every: usize,
}

/// About how many lines a log has at most.
const LINES: usize = 4000;

impl<'a> Recorder<'a> {
    fn new(
        run: &'a Run,
        checkpoint: Option<&Checkpoint>,
        inner: &'a mut dyn Observer,
    ) -> Result<Self> {
        let lines = match checkpoint {
            None => vec![],
            Some(checkpoint) => read_log(&run.folder.join(LOG))?
                .into_iter()
                .filter(|record| match record {
                    Record::Step(step) => step.step <= checkpoint.step(),
                    Record::Rollback(rollback) => rollback.to <= checkpoint.step(),
                })
                .collect(),
        };
        Ok(Self {
            every: run.settings.fit.steps.div_ceil(LINES),
            run,
            inner,
            lines,
        })
    }
}

impl Observer for Recorder<'_> {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        if step.step.is_multiple_of(self.every) || step.step == self.run.settings.fit.steps {
            self.lines.push(Record::Step(*step));
        }
        self.inner.step(step)
    }

    fn rollback(&mut self, rollback: &Rollback) {
        let to = rollback.to;
        self.lines
            .retain(|record| !matches!(record, Record::Step(step) if step.step > to));
        self.lines.push(Record::Rollback(rollback.clone()));
        self.inner.rollback(rollback);
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        file::replace(&self.run.folder.join(LOG), |out| {
            for line in &self.lines {
                let line = serde_json::to_string(line).expect("a record is plain data");
                writeln!(out, "{line}")?;
            }
            Ok(())
        })?;
        checkpoint.save(&self.run.folder.join(CHECKPOINT))?;
        self.inner.checkpoint(checkpoint)
    }
}

fn read_log(path: &FilePath) -> Result<Vec<Record>> {
    let bytes = file::read(path)?;
    String::from_utf8_lossy(&bytes)
        .lines()
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|cause| {
                Error::new(
                    ErrorKind::Format,
                    format!("{}, line {}: not a record", path.display(), i + 1),
                )
                .because(cause)
            })
        })
        .collect()
}

//! What all runs have on disk, whatever is fitted.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path as FilePath, PathBuf},
};

use burn::{module::Module, tensor::Device};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    IfExists, Record,
    schema::{self, Schema},
};
use crate::{
    dynamics::{Dynamics, Stored, versioned},
    error::{Error, ErrorKind, Result, ensure},
    file,
    fit::{Checkpoint, Observer, Rollback, Step, fit, resume},
    objective::Problem,
};

const SETTINGS: &str = "settings.toml";
const SOURCE: &str = "run.json";
const MODEL: &str = "model.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const LOG: &str = "log.jsonl";
pub(super) const SAMPLES: &str = "samples.png";
// The newest evidence of a finished run goes first, its settings last.
pub(super) const FILES: [&str; 6] = [SAMPLES, MODEL, CHECKPOINT, LOG, SOURCE, SETTINGS];

/// Where the data of a kind of run came from: `run.json`.
pub(super) trait Origin: Serialize + DeserializeOwned {
    type Settings: Schema;
    /// What runs of this kind are of.
    const OF: &str;
    /// How they are made.
    const FIT: &str;
    /// What `run.json` has for this kind alone.
    const KEY: &str;
    fn data(&self) -> &str;
    fn fingerprint(&self) -> &str;
}

#[derive(Debug, Clone)]
pub(super) struct Folder<O: Origin> {
    pub path: PathBuf,
    pub settings: O::Settings,
    pub source: O,
}

impl<O: Origin> Folder<O> {
    pub fn open(path: &FilePath) -> Result<Self> {
        let file = path.join(SOURCE);
        ensure!(
            file.is_file(),
            Missing,
            "{} is not a run: it has no {SOURCE}; make one with `{} -o {}`",
            path.display(),
            O::FIT,
            path.display()
        );
        let bytes = file::read(&file)?;
        let within = |e: Error| e.within(file.display());
        let value: serde_json::Value = versioned(&bytes).map_err(within)?;
        ensure!(
            value.get(O::KEY).is_some(),
            Value,
            "{} is not a run of {}; make one with `{} -o RUN`",
            path.display(),
            O::OF,
            O::FIT
        );
        Ok(Self {
            source: versioned(&bytes).map_err(within)?,
            settings: schema::read(&path.join(SETTINGS))?,
            path: path.to_owned(),
        })
    }

    /// What to go on from, if that is asked for.
    pub fn checkpoint_for(&self, if_exists: IfExists) -> Result<Option<Checkpoint>> {
        if if_exists != IfExists::Resume {
            return Ok(None);
        }
        let Self { source, path, .. } = self;
        let there = Self::open(path)?;
        let short = |fingerprint: &str| fingerprint[..fingerprint.len().min(12)].to_owned();
        ensure!(
            there.source.fingerprint() == source.fingerprint(),
            Value,
            "cannot resume {}: it was fitted on other data ({}, hash {}) than {} (hash {})",
            path.display(),
            there.source.data(),
            short(there.source.fingerprint()),
            source.data(),
            short(source.fingerprint())
        );
        ensure!(
            there.settings == self.settings,
            Setting,
            "cannot resume {} with other settings: {}; leave them out, or start anew with --overwrite",
            path.display(),
            schema::differences(&there.settings, &self.settings).join(", ")
        );
        ensure!(
            path.join(CHECKPOINT).is_file(),
            Missing,
            "{} has no checkpoint yet; start anew with --overwrite",
            path.display()
        );
        self.checkpoint().map(Some)
    }

    /// Fits, and keeps all there is to keep.
    pub fn fit<A: Stored>(
        &self,
        network: A,
        problem: &Problem,
        checkpoint: Option<&Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        if checkpoint.is_none() {
            self.begin()?;
        }
        let options = self.settings.options();
        let mut recorder = Recorder::new(&self.path, options.steps, checkpoint, observer)?;
        let dynamics = match checkpoint {
            Some(checkpoint) => resume(network, problem, options, checkpoint, &mut recorder),
            None => fit(network, problem, options, &mut recorder),
        }?;
        dynamics.save(&self.path.join(MODEL))
    }

    fn begin(&self) -> Result<()> {
        fs::create_dir_all(&self.path)
            .map_err(|cause| Error::io("create the folder", &self.path, cause))?;
        for name in FILES {
            let path = self.path.join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(|cause| Error::io("replace", &path, cause))?;
            }
        }
        let settings = schema::to_toml(&self.settings);
        file::replace(&self.path.join(SETTINGS), |out| {
            out.write_all(settings.as_bytes())
        })?;
        let source = serde_json::to_string_pretty(&self.source).expect("a source is plain data");
        file::replace(&self.path.join(SOURCE), |out| writeln!(out, "{source}"))
    }

    pub fn dynamics<A: Stored + Module>(&self, device: &Device) -> Result<Dynamics<A>> {
        let path = self.path.join(MODEL);
        ensure!(
            path.is_file(),
            Missing,
            "the fit in {} is not finished ({} of {} steps are saved); go on with `{} -o {} \
             --resume`",
            self.path.display(),
            self.steps_done()?,
            self.settings.options().steps,
            O::FIT,
            self.path.display()
        );
        Dynamics::load(&path, device)
    }

    pub fn steps_done(&self) -> Result<usize> {
        if self.path.join(CHECKPOINT).is_file() {
            Ok(self.checkpoint()?.step())
        } else {
            Ok(0)
        }
    }

    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Checkpoint::load(&self.path.join(CHECKPOINT))
    }

    pub fn log(&self) -> Result<Vec<Record>> {
        read_log(&self.path.join(LOG))
    }
}

/// Keeps a run's log and checkpoints while it is fitted, and passes everything on.
struct Recorder<'a> {
    folder: &'a FilePath,
    steps: usize,
    inner: &'a mut dyn Observer,
    lines: Vec<Record>,
    every: usize,
}

/// About how many lines a log has at most.
const LINES: usize = 4000;

impl<'a> Recorder<'a> {
    fn new(
        folder: &'a FilePath,
        steps: usize,
        checkpoint: Option<&Checkpoint>,
        inner: &'a mut dyn Observer,
    ) -> Result<Self> {
        let lines = match checkpoint {
            None => vec![],
            Some(checkpoint) => read_log(&folder.join(LOG))?
                .into_iter()
                .filter(|record| match record {
                    Record::Step(step) => step.step <= checkpoint.step(),
                    Record::Rollback(rollback) => rollback.to <= checkpoint.step(),
                })
                .collect(),
        };
        Ok(Self {
            every: steps.div_ceil(LINES),
            folder,
            steps,
            inner,
            lines,
        })
    }
}

impl Observer for Recorder<'_> {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        if step.step.is_multiple_of(self.every) || step.step == self.steps {
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
        file::replace(&self.folder.join(LOG), |out| {
            for line in &self.lines {
                let line = serde_json::to_string(line).expect("a record is plain data");
                writeln!(out, "{line}")?;
            }
            Ok(())
        })?;
        checkpoint.save(&self.folder.join(CHECKPOINT))?;
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

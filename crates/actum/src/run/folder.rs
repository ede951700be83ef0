//! What a run has on disk.

use std::{fs, io, ops::ControlFlow, path::Path as FilePath};

use super::{Claim, Record, Run, Schema, Seen, Settings, Source, images::Picture};
use crate::{
    action::{Device, Engine},
    data::{Genes, Keys},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    fit::{self, Checkpoint, Observer, Rollback, Step},
    genes::Decoder,
    machines::Machines,
    problem::Problem,
    store::{self, Lock, versioned},
};

const SETTINGS: &str = "settings.toml";
const SOURCE: &str = "run.json";
const MODEL: &str = "model.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const LOG: &str = "log.jsonl";
const SAMPLES: &str = "samples.png";
const GENES: &str = "genes.safetensors";

impl Run {
    /// The names of all files of a run. The newest evidence of a finished run comes first, its
    /// settings last: in this order they are replaced.
    pub const FILES: [&str; 7] = [SAMPLES, GENES, MODEL, CHECKPOINT, LOG, SOURCE, SETTINGS];

    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// No such folder, no run in it, a run of another version, or a damaged one.
    pub fn open(folder: &FilePath) -> Result<Self> {
        // A process may have been ended while it replaced the run that was here.
        if store::is_half_done(folder)
            && let Ok(_lock) = Lock::take(folder)
        {
            store::recover(folder)?;
        }
        let file = folder.join(SOURCE);
        let is_unreadable = |cause: &io::Error| cause.kind() == io::ErrorKind::PermissionDenied;
        if let Some(cause) = fs::metadata(&file).err().filter(is_unreadable) {
            return Err(Error::io("read", &file, cause));
        }
        ensure!(
            file.is_file(),
            Missing,
            "{0} is not a run: it has no {SOURCE}; make one with `{1} -o {0}` or `{2} -o {0}`",
            folder.display(),
            Seen::SNAPSHOTS[1],
            Seen::IMAGES[1]
        );
        let bytes = store::read(&file)?;
        let source: Source = versioned(&bytes).map_err(|e: Error| e.within(file.display()))?;
        let settings = folder.join(SETTINGS);
        Ok(Self {
            settings: match source.seen {
                Seen::Snapshots(_) => Settings::Snapshots(Schema::read(&settings)?),
                Seen::Images(_) => Settings::Images(Schema::read(&settings)?),
            },
            source,
            folder: folder.to_owned(),
        })
    }

    /// Opens the run in `folder` that [`IfExists::Resume`](super::IfExists::Resume) goes on with: one
    /// that was to replace the run there and was interrupted, if there is one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_resume(folder: &FilePath) -> Result<Self> {
        let new = folder.join(store::NEW);
        match new.join(CHECKPOINT).is_file() {
            true => Self::open(&new),
            false => Self::open(folder),
        }
    }

    /// What to go on from; then the folder of this run is where that is.
    pub(super) fn checkpoint_to_resume(&mut self) -> Result<Checkpoint> {
        let there = Self::open_to_resume(&self.folder)?;
        let Self { source, folder, .. } = self;
        let short = |fingerprint: &str| fingerprint[..fingerprint.len().min(12)].to_owned();
        ensure!(
            there.source.fingerprint == source.fingerprint,
            Value,
            "cannot resume {}: it was fitted on other data ({}, hash {}) than {} (hash {})",
            folder.display(),
            there.source.data,
            short(&there.source.fingerprint),
            source.data,
            short(&source.fingerprint)
        );
        ensure!(
            there.settings == self.settings,
            Setting,
            "cannot resume {} with other settings: {}; leave them out, or start anew \
             (`IfExists::Overwrite`)",
            folder.display(),
            there.settings.differences(&self.settings).join(", ")
        );
        ensure!(
            there.folder.join(CHECKPOINT).is_file(),
            Missing,
            "{} has no checkpoint yet; start anew (`IfExists::Overwrite`)",
            folder.display()
        );
        self.folder = there.folder;
        self.checkpoint()
    }

    /// Fits, and keeps all there is to keep.
    pub(super) fn learn(
        &self,
        machines: Machines,
        network: Box<dyn Engine>,
        problem: &Problem,
        checkpoint: Option<&Checkpoint>,
        picture: Option<Picture>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let options = self.settings.fit();
        let lines = checkpoint.map_or(Ok(vec![]), |kept| self.log_until(kept.step()));
        let lines = machines.agree(lines)?;
        let mut recorder = Recorder {
            folder: &self.folder,
            steps: options.steps,
            every: options.steps.div_ceil(LINES),
            lines,
            picture,
            inner: observer,
        };
        let dynamics = fit::among(
            machines,
            network,
            problem,
            options,
            checkpoint,
            &mut recorder,
        )?;
        dynamics.save(&self.folder.join(MODEL))
    }

    /// Writes what a run is.
    pub(super) fn begin(&self) -> Result<()> {
        let settings = self.settings.to_toml();
        store::replace(&self.folder.join(SETTINGS), |out| {
            out.write_all(settings.as_bytes())
        })?;
        let source = serde_json::to_string_pretty(&self.source).expect("a source is plain data");
        // Numbers that are not finite are null in JSON, and no numbers when they are read.
        let read: Result<Source> = versioned(source.as_bytes());
        ensure!(
            read.is_ok_and(|read| read == self.source),
            Value,
            "the data have numbers that no record keeps: weights or times that are not finite"
        );
        store::replace(&self.folder.join(SOURCE), |out| writeln!(out, "{source}"))
    }

    /// What was fitted, on `device`: the learned motion, or
    /// [a score as if it were one](crate::score::Score::dynamics).
    ///
    /// # Errors
    /// The fit is not finished, or its file is damaged.
    pub fn dynamics(&self, device: &Device) -> Result<Dynamics> {
        let path = self.folder.join(MODEL);
        ensure!(
            path.is_file(),
            Missing,
            "the fit in {0} is not finished ({1} of {2} steps are saved); go on with `{3} -o {0} \
             --resume`",
            self.folder.display(),
            self.steps_done()?,
            self.settings.fit().steps,
            self.source.seen.named()[1]
        );
        Dynamics::load(&path, device)
    }

    /// Copies the run to another folder, in the place of one that is there.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn copy(&self, to: &Claim) -> Result<()> {
        let at = to.begin()?;
        // The record of the data comes last: without it there is no run.
        let mut names = Self::FILES;
        names.sort_by_key(|name| *name == SOURCE);
        for name in names {
            let from = self.folder.join(name);
            if from.is_file() {
                let bytes = store::read(&from)?;
                store::replace(&at.join(name), |out| out.write_all(&bytes))?;
            }
        }
        to.finish(&at)
    }

    /// Keeps the genes behind the coordinates of the run.
    ///
    /// # Errors
    /// A run of images; a decoder of other coordinates; a file that cannot be written.
    pub fn keep_genes(&self, genes: &Decoder) -> Result<()> {
        let (_, seen) = self.snapshots()?;
        ensure!(
            genes.columns() == seen.columns,
            Shape,
            "the run has the coordinates {}, and genes are known behind {}",
            seen.columns.join(", "),
            genes.columns().join(", ")
        );
        genes.save(&self.folder.join(GENES))
    }

    /// Keeps the genes behind the coordinates of the run where its file, read with these keys, tells
    /// them: how many they are, or why the run knows none though the file has loadings. None where
    /// it has no loadings.
    ///
    /// # Errors
    /// A run of images; a file that cannot be read or written.
    pub fn keep_genes_of(&self, file: &FilePath, keys: &Keys) -> Result<Option<Result<usize>>> {
        let (_, seen) = self.snapshots()?;
        if !Genes::reads(file) {
            return Ok(None);
        }
        match Genes::open(file, keys).and_then(|genes| genes.decoder(&seen.columns)) {
            Ok((decoder, _)) => {
                self.keep_genes(&decoder)?;
                Ok(Some(Ok(decoder.genes().len())))
            }
            Err(error) if error.kind() == ErrorKind::Missing => Ok(None),
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(error) => Ok(Some(Err(error))),
        }
    }

    /// The genes behind the coordinates of the run.
    ///
    /// # Errors
    /// It has none; a damaged file.
    pub fn genes(&self) -> Result<Decoder> {
        let path = self.folder.join(GENES);
        ensure!(
            path.is_file(),
            Missing,
            "{} knows no genes: it was not fitted on principal components of an .h5ad file, made with \
             the run or with varm[\"PCs\"] that lead back to X; `actum check FILE` says what a file \
             lacks",
            self.folder.display()
        );
        Decoder::load(&path)
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

    /// What a person should know of how the fit ended.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn warning(&self) -> Result<Option<String>> {
        let last = Record::last_step(&self.log()?);
        Ok(last.filter(|step| step.smoothed > 0.0).map(|_| {
            "the objective ended above 0, where a field that does nothing is; lower \
             fit.learning_rate or take more steps"
                .to_owned()
        }))
    }

    /// What is logged of the first so many steps.
    fn log_until(&self, step: usize) -> Result<Vec<Record>> {
        let mut records = self.log()?;
        records.retain(|record| match record {
            Record::Step(record) => record.step <= step,
            Record::Rollback(rollback) => rollback.to <= step,
        });
        Ok(records)
    }
}

/// Keeps a run's log and checkpoints while it is fitted, and passes everything on.
struct Recorder<'a> {
    folder: &'a FilePath,
    steps: usize,
    every: usize,
    lines: Vec<Record>,
    picture: Option<Picture>,
    inner: &'a mut dyn Observer,
}

/// About how many lines a log has at most.
const LINES: usize = 4000;

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
        store::replace(&self.folder.join(LOG), |out| {
            for line in &self.lines {
                let line = serde_json::to_string(line).expect("a record is plain data");
                writeln!(out, "{line}")?;
            }
            Ok(())
        })?;
        checkpoint.save(&self.folder.join(CHECKPOINT))?;
        #[cfg(feature = "images")]
        if let Some(picture) = self.picture.as_ref().filter(|_| checkpoint.step() > 0) {
            let (images, columns) = picture.draw(checkpoint)?;
            images.write_grid(&self.folder.join(SAMPLES), columns)?;
        }
        self.inner.checkpoint(checkpoint)
    }
}

fn read_log(path: &FilePath) -> Result<Vec<Record>> {
    let bytes = store::read(path)?;
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

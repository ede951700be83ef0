//! `actum fit`.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use actum::{
    action::Device,
    data::{Keys, Shards, Snapshots, Split, TableReader},
    error::Result,
    machines::Machines,
    path::Sharded,
    run::{IfExists, Record, Run, Schema, SnapshotSettings},
};
use serde_json::json;

use crate::{arguments::Fit, output, progress::Progress, read};

/// What is fitted, and how.
struct Ready {
    settings: SnapshotSettings,
    keys: Keys,
    shards: Shards,
    /// All of the data, or the first shard.
    first: Snapshots,
    grows_by_nothing: bool,
    rows: usize,
    name: String,
    device: Device,
}

impl Ready {
    /// Reads the data as `settings` say.
    fn read(
        arguments: &Fit,
        settings: SnapshotSettings,
        machines: Machines,
        mut progress: Option<&mut Progress>,
    ) -> Result<Self> {
        let mut tell = |making: bool, done, of| match (&mut progress, making) {
            (Some(progress), true) => progress.making(done, of),
            (Some(progress), false) => progress.reading(done, of),
            (None, _) => ControlFlow::Continue(()),
        };
        let device = Device::named(&arguments.fitting.device)?.among(machines);
        let split = Split {
            parts: machines.parts(settings.fit.parts)?,
            ..settings.split()
        };
        let keys = &settings.data.keys;
        let making = &mut |done, of| tell(true, done, of);
        let keys = read::with_components(&arguments.file, keys, making)?;
        let table = TableReader::open(&arguments.file, &keys)?;
        for label in &settings.data.hold_out {
            table.axis().index_of(label)?;
        }
        let rows = table.counts().iter().sum();
        let reading = &mut |done, of| tell(false, done, of);
        let shards = table.shards(&split, &beside(&arguments.fitting.output), reading)?;
        // A run remembers where its data is from any folder it is used in.
        let name = std::path::absolute(&arguments.file).unwrap_or(arguments.file.clone());
        let first = shards.shard(0)?;
        let seen = settings.data.view(&first)?;
        Ok(Self {
            grows_by_nothing: settings.lagrangian.grows() && seen.has_equal_masses(),
            first,
            settings,
            keys,
            shards,
            rows,
            name: read::name_of(&name),
            device,
        })
    }
}

/// The settings that were typed, over those of the run to go on with, which the first process has.
fn settings(arguments: &Fit, machines: Machines) -> Result<SnapshotSettings> {
    let fitting = &arguments.fitting;
    let base = match fitting.if_exists() {
        IfExists::Resume if machines.is_first() => {
            let run = Run::open_to_resume(&fitting.output);
            run.and_then(|run| Ok(run.snapshots()?.0.clone()))
        }
        _ => Ok(SnapshotSettings::default()),
    };
    let base = machines.agree(base)?;
    let base = match machines.count() {
        1 => base,
        _ => {
            let text = machines.share(base.to_toml().into_bytes());
            machines.agree(SnapshotSettings::parse(&String::from_utf8_lossy(&text)))?
        }
    };
    machines.agree(arguments.settings(base))
}

/// Computes the parts of this process in a fit whose run another one keeps.
fn assist(arguments: &Fit, machines: Machines) -> Result<()> {
    Progress::ignoring_interrupts();
    let settings = settings(arguments, machines)?;
    // The first claims its folder.
    machines.agree(Ok(()))?;
    let ready = machines.agree(Ready::read(arguments, settings, machines, None))?;
    Run::assist(&ready.shards, &ready.name, &ready.settings, &ready.device)
}

pub fn run(arguments: &Fit, machines: Machines) -> Result<()> {
    if !machines.is_first() {
        return assist(arguments, machines);
    }
    let fitting = &arguments.fitting;
    let settings = settings(arguments, machines)?;
    let claim = machines.agree(fitting.if_exists().claim(&fitting.output))?;
    let mut progress = Progress::new(settings.steps());
    let ready = Ready::read(arguments, settings, machines, Some(&mut progress));
    let ready = machines.agree(ready)?;
    let Ready {
        settings,
        keys,
        shards,
        ..
    } = &ready;
    let sharded = (shards.count() > 1).then(|| {
        format!(
            "{} rows are in {} shards of at most {} at each time; the fit sees {} of them{}, {} \
             steps each",
            output::thousands(ready.rows),
            output::thousands(shards.count()),
            output::thousands(settings.data.shard),
            output::thousands(shards.kept()),
            match machines.count() {
                1 => String::new(),
                count => format!(" in the first of {count} processes"),
            },
            Sharded::STEPS,
        )
    });
    if ready.grows_by_nothing {
        output::say(
            "note: every snapshot has the same mass: the whole does not grow, growth moves mass \
             from place to place; --mass counts makes every point an individual",
        );
    }
    for text in sharded.iter().chain(ready.first.notes()) {
        output::say(&format!("note: {}", output::with_flags(text)));
    }
    for text in ready.first.warnings() {
        output::say(&format!("warning: {}", output::with_flags(&text)));
    }
    progress.joining(claim.undo());
    let stop = progress.stop();
    let fit = || {
        Run::fit(
            claim,
            shards,
            &ready.name,
            settings,
            &ready.device,
            &mut progress,
        )
    };
    let run = stop.within(fit).inspect_err(|error| {
        let command = format!("actum fit {}", output::path(&arguments.file));
        fitting.note_interrupted(&command, error);
    })?;
    let genes = match run.keep_genes_of(&arguments.file, keys)? {
        Some(Err(error)) => {
            let error = output::with_flags(&error.to_string());
            output::say(&format!("warning: the run knows no genes: {error}"));
            None
        }
        found => found.and_then(Result::ok),
    };
    report(arguments, &run, sharded, genes)
}

/// Where the shards of a large file go: to the disk of the run, for the system's temporary folder
/// may be in memory.
fn beside(run: &Path) -> PathBuf {
    let run = std::path::absolute(run).unwrap_or(run.to_owned());
    let there = run.ancestors().skip(1).find(|folder| folder.is_dir());
    there.unwrap_or(Path::new(".")).to_owned()
}

fn report(arguments: &Fit, run: &Run, sharded: Option<String>, genes: Option<usize>) -> Result<()> {
    let (settings, _) = run.snapshots()?;
    let objective = Record::last_step(&run.log()?).map(|step| step.smoothed);
    if let Some(warning) = run.warning()? {
        output::say(&format!("warning: {warning}"));
    }
    if arguments.fitting.json {
        output::json(&json!({
            "run": output::name(&arguments.fitting.output),
            "steps": settings.fit.steps,
            "objective": objective,
            "held_out": settings.data.hold_out,
            "shards": sharded,
            "genes": genes,
        }));
        return Ok(());
    }
    let (run, file) = (
        output::path(&arguments.fitting.output),
        output::path(&arguments.file),
    );
    output::line(&format!(
        "{run}: {} steps, objective {} (it goes to a level below 0 that the motion \
         sets, not to 0)",
        settings.fit.steps,
        objective.map_or("unknown".to_owned(), output::number),
    ));
    if let Some(genes) = genes {
        output::line(&format!(
            "The coordinates lead back to {}.",
            output::count(genes, "gene")
        ));
    }
    output::line("\nNext:");
    output::line(&format!("  actum score {run} {file}"));
    output::line(&format!("  actum plot {run} {file} -o pictures"));
    output::line(&format!("  actum simulate {run} -o trajectories.npz"));
    Ok(())
}

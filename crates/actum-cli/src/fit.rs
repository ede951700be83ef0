//! `actum fit`.

use std::path::{Path, PathBuf};

use actum::{
    action::Device,
    data::TableReader,
    error::Result,
    path::Sharded,
    run::{IfExists, Record, Run, SnapshotSettings},
};
use serde_json::json;

use crate::{arguments::Fit, output, progress::Progress, read};

pub fn run(arguments: &Fit) -> Result<()> {
    let fitting = &arguments.fitting;
    let if_exists = fitting.if_exists();
    let base = match if_exists {
        IfExists::Resume => Run::open_to_resume(&fitting.output)?.snapshots()?.0.clone(),
        _ => SnapshotSettings::default(),
    };
    let settings = arguments.settings(base)?;
    let device = Device::named(&fitting.device)?;
    let claim = if_exists.claim(&fitting.output)?;
    let mut progress = Progress::new(settings.steps());
    let keys = &settings.data.keys;
    let keys = read::with_components(&arguments.file, keys, &mut |done, of| {
        progress.making(done, of)
    })?;
    let table = TableReader::open(&arguments.file, &keys)?;
    for label in &settings.data.hold_out {
        table.axis().index_of(label)?;
    }
    let total: usize = table.counts().iter().sum();
    let shards = table.shards(
        &settings.split(),
        &beside(&fitting.output),
        &mut |done, of| progress.reading(done, of),
    )?;
    let sharded = (shards.count() > 1).then(|| {
        format!(
            "{} rows are in {} shards of at most {} at each time; the fit sees {} of them, {} \
             steps each",
            output::thousands(total),
            output::thousands(shards.count()),
            output::thousands(settings.data.shard),
            output::thousands(shards.kept()),
            Sharded::STEPS,
        )
    });
    let snapshots = shards.shard(0)?;
    if settings.lagrangian.grows() && settings.data.view(&snapshots)?.has_equal_masses() {
        output::say(
            "note: every snapshot has the same mass: the whole does not grow, growth moves mass \
             from place to place; --mass counts makes every point an individual",
        );
    }
    for text in sharded.iter().chain(snapshots.notes()) {
        output::say(&format!("note: {}", output::with_flags(text)));
    }
    for text in snapshots.warnings() {
        output::say(&format!("warning: {}", output::with_flags(&text)));
    }
    progress.joining(claim.undo());
    // A run remembers where its data is from any folder it is used in.
    let name = std::path::absolute(&arguments.file).unwrap_or(arguments.file.clone());
    let run = Run::fit(
        claim,
        &shards,
        &read::name_of(&name),
        &settings,
        &device,
        &mut progress,
    )
    .inspect_err(|error| {
        let command = format!("actum fit {}", output::path(&arguments.file));
        fitting.note_interrupted(&command, error);
    })?;
    let genes = match run.keep_genes_of(&arguments.file, &keys)? {
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

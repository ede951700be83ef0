//! `actum fit`.

use actum::{
    data,
    error::{ErrorKind, Result},
    run::{Existing, Record, Run, Settings},
    tensor,
};
use serde_json::json;

use crate::{arguments::Fit, output, progress::Progress};

pub fn run(arguments: &Fit) -> Result<()> {
    let existing = match (arguments.resume, arguments.overwrite) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Overwrite,
        _ => Existing::Keep,
    };
    let base = match existing {
        Existing::Resume => Run::open(&arguments.output)?.settings().clone(),
        _ => Settings::default(),
    };
    let settings = arguments.settings(base)?;
    let device = tensor::device(&arguments.device)?;
    let snapshots = data::read(&arguments.file, &settings.data.read_options())?;
    if settings.lagrangian.grows() && settings.data.view(&snapshots)?.has_equal_masses() {
        eprintln!(
            "note: every snapshot has the same mass: the whole does not grow, growth moves mass \
             from place to place; --mass counts makes every point an individual"
        );
    }
    for text in snapshots.notes().iter().chain(&snapshots.warnings()) {
        eprintln!("note: {text}");
    }
    // A run remembers where its data is from any folder it is used in.
    let name = std::path::absolute(&arguments.file).unwrap_or(arguments.file.clone());
    let run = Run::fit(
        &arguments.output,
        &snapshots,
        &name.display().to_string(),
        &settings,
        existing,
        &device,
        &mut Progress::new(settings.fit.steps),
    )
    .inspect_err(|error| {
        if error.kind() == ErrorKind::Interrupted {
            eprintln!(
                "go on with: actum fit {} -o {} --resume{}",
                output::path(&arguments.file),
                output::path(&arguments.output),
                if arguments.device == "cpu" {
                    String::new()
                } else {
                    format!(" --device {}", arguments.device)
                }
            );
        }
    })?;
    report(arguments, &run)
}

fn report(arguments: &Fit, run: &Run) -> Result<()> {
    let settings = run.settings();
    let objective = Record::last_step(&run.log()?).map(|step| step.smoothed);
    if objective.is_some_and(|level| level > 0.0) {
        eprintln!(
            "warning: the objective ended above 0, where a field that does nothing is; lower \
             fit.learning_rate or take more steps"
        );
    }
    if arguments.json {
        output::json(&json!({
            "run": arguments.output,
            "steps": settings.fit.steps,
            "objective": objective,
            "held_out": settings.data.hold_out,
        }));
        return Ok(());
    }
    let (run, file) = (
        output::path(&arguments.output),
        output::path(&arguments.file),
    );
    output::line(&format!(
        "{run}: {} steps, objective {} (it goes to a level below 0 that the motion \
         sets, not to 0)",
        settings.fit.steps,
        objective.map_or("unknown".to_owned(), output::number),
    ));
    output::line("\nNext:");
    output::line(&format!("  actum score {run} {file}"));
    output::line(&format!("  actum plot {run} {file} -o pictures"));
    output::line(&format!("  actum simulate {run} -o trajectories.npz"));
    Ok(())
}

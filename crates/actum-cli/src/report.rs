//! `actum report`.

use std::path::PathBuf;

use actum::{
    action::Device,
    data::{Images, Snapshots},
    error::{Error, ErrorKind, Result},
    fates,
    gallery::Shapes,
    problem::Task,
    report::{Labelled, Report, Told, ToldOfImages},
    run::{Run, Settings},
};
use serde_json::json;

use crate::{
    arguments,
    fates::{cells_of, drivers_of, fates_of, options},
    output, read, score,
    simulate::{own_data, own_path, read_for},
};

pub fn run(arguments: &arguments::Report) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let target = target(arguments)?;
    let own = own_path(&run);
    output::check_apart(
        &target,
        arguments.file.as_deref().into_iter().chain([&*own]),
    )?;
    let report = of(arguments, &run)?;
    report.save(&target)?;
    let bytes = std::fs::metadata(&target).map_or(0, |file| file.len());
    if arguments.json {
        output::json(&json!({
            "run": output::name(&arguments.run),
            "report": output::name(&target),
            "bytes": bytes,
            "summary": report.summary,
            "sections": report.sections.iter().map(|s| &s.title).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    for sentence in &report.summary {
        output::line(sentence);
    }
    output::line(&format!(
        "\nWrote {} ({:.1} MB): open it in a browser, or send it.",
        target.display(),
        bytes as f64 / 1e6
    ));
    Ok(())
}

/// The report of a run.
pub fn of(arguments: &arguments::Report, run: &Run) -> Result<Report> {
    let command = command(arguments);
    match run.settings() {
        Settings::Snapshots(_) => of_snapshots(arguments, run, command),
        Settings::Images(_) => of_images(arguments, run, command),
    }
}

/// Where the page goes.
fn target(arguments: &arguments::Report) -> Result<PathBuf> {
    let target = arguments.output.clone();
    let extension = target
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("html" | "htm") => Ok(target),
        _ => Err(Error::new(
            ErrorKind::Setting,
            format!(
                "{}: a report is a page: expected a name that ends in .html",
                target.display()
            ),
        )),
    }
}

/// The command that was typed, as a shell takes it.
fn command(arguments: &arguments::Report) -> String {
    let mut command = format!("actum report {}", output::path(&arguments.run));
    if let Some(file) = &arguments.file {
        command += &format!(" {}", output::path(file));
    }
    if let Some(key) = &arguments.label_key {
        command += &format!(" --label-key {}", output::quoted(key));
    }
    for terminal in &arguments.terminal {
        command += &format!(" --terminal {}", output::quoted(terminal));
    }
    command + &format!(" -o {}", output::path(&arguments.output))
}

fn of_snapshots(arguments: &arguments::Report, run: &Run, command: String) -> Result<Report> {
    let dynamics = run.dynamics(&Device::cpu())?;
    let data = output::path(&own_path(run));
    let commands = vec![
        format!(
            "actum fit {data} --config settings.toml -o {}",
            output::path(&arguments.run)
        ),
        command,
    ];
    let Some(key) = &arguments.label_key else {
        let snapshots = seen(arguments, run)?;
        score::note_cost(&snapshots, run.held_in(&snapshots)?.len());
        if let Some(sampled) = read::said(&snapshots, "are shown") {
            output::say(&format!("note: {sampled}"));
        }
        let told = Told {
            commands,
            ..Told::default()
        };
        return Report::of_snapshots(run, &dynamics, &snapshots, &told);
    };
    let cells = cells_of(run, arguments.file.as_deref())?;
    let labels = cells.attribute(key)?;
    score::note_cost(&cells.snapshots, run.held_in(&cells.snapshots)?.len());
    let ends = arguments::Ends {
        terminal: arguments.terminal.clone(),
        neighbours: fates::Options::default().neighbours,
        paths: fates::Options::default().paths,
    };
    let options = options(&cells, run, &ends)?;
    let destinations = cells.destinations(&dynamics, key, options)?;
    let fates = fates_of(&cells, &destinations)?;
    let drivers = drivers_of(false, run, &dynamics, &cells, &fates)?;
    let told = Told {
        known: Some(Labelled {
            labels,
            fates: Some(&fates),
        }),
        drivers: drivers.as_deref(),
        commands,
        ..Told::default()
    };
    Report::of_snapshots(run, &dynamics, &cells.snapshots, &told)
}

/// The snapshots that are shown.
fn seen(arguments: &arguments::Report, run: &Run) -> Result<Snapshots> {
    match &arguments.file {
        Some(path) => read_for(run, path, read::sample),
        None => own_data(run, read::sample),
    }
}

fn of_images(arguments: &arguments::Report, run: &Run, command: String) -> Result<Report> {
    if arguments.label_key.is_some() {
        return Err(Error::new(
            ErrorKind::Setting,
            "labels are of points, and this is a run of images: leave out --label-key",
        ));
    }
    let device = Device::cpu();
    let data = &run.source().data;
    let own = Shapes::or_read(data, Shapes::SEEN).and_then(|images| run.view_images(&images));
    let own = match own {
        Ok(images) => Some(images),
        Err(error) => {
            output::say(&format!(
                "note: the images of the fit are not shown: {error}"
            ));
            None
        }
    };
    let (settings, _) = run.images()?;
    let given = match (&arguments.file, settings.task) {
        (Some(file), _) => Some(Images::read(file)?),
        // What a model was not shown says more of how it restores.
        (None, Task::Superres | Task::Colorize | Task::Inpaint) if data == Shapes::NAME => {
            Some(Shapes::or_read(data, Shapes::FRESH)?)
        }
        _ => None,
    };
    let given = given.map(|images| run.view_images(&images)).transpose()?;
    let told = ToldOfImages {
        fitted: own.as_ref(),
        restored: given.as_ref(),
        commands: vec![
            format!(
                "actum image fit --data {} --config settings.toml -o {}",
                output::quoted(data),
                output::path(&arguments.run)
            ),
            command,
        ],
    };
    Report::of_images(run, &device, &told)
}

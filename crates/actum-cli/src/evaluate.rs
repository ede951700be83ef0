//! `actum evaluate`.

use std::{ops::ControlFlow, path::Path, sync::Mutex};

use actum::{
    data::{self, Snapshots},
    error::{Error, ErrorKind, Result},
    leave_out::{
        self, Calibration, Difference, Evaluation, Line, Method, Options, Protocol, Report, Share,
        Table,
    },
    problem::{DataOptions, Mass},
    store,
};
use serde_json::json;

use crate::{
    Verdict,
    arguments::{self, Collect, Evaluate, Job},
    output,
    progress::Progress,
    read,
};

/// What is evaluated, and the data as they were read.
fn prepare(arguments: &Evaluate) -> Result<(Evaluation, Snapshots)> {
    let mut data = DataOptions {
        dims: arguments.dims,
        standardize: arguments.standardize,
        mass: arguments.mass.clone().unwrap_or_default(),
        ..DataOptions::default()
    };
    arguments.keys.over(&mut data.keys);
    let keys = read::with_components_told(&arguments.file, &data.keys)?;
    let snapshots = read::sample(&arguments.file, &keys, data.shard)?;
    read::note(&arguments.file, snapshots.notes());
    for text in snapshots.warnings() {
        output::say(&format!("warning: {}", output::with_flags(&text)));
    }
    let methods = match arguments.method.as_slice() {
        [] => Method::defaults(&snapshots, &data)?,
        typed => typed
            .iter()
            .map(|text| Method::find(text))
            .collect::<Result<_>>()?,
    };
    let changes = arguments::changes(&arguments.set)?;
    let methods: Vec<Method> = methods
        .into_iter()
        .map(|method| method.changed(&changes))
        .collect::<Result<_>>()?;
    let options = Options {
        protocols: arguments.from.clone(),
        seeds: arguments.seeds,
        nested: arguments.nested,
        points: arguments.points,
    };
    let within = |error: Error| error.within(arguments.file.display());
    let evaluation = Evaluation::new(&snapshots, &data, methods, options).map_err(within)?;
    Ok((evaluation, snapshots))
}

/// The command of an evaluation, in its folder.
const COMMAND: &str = "command.json";

pub fn run(arguments: &Evaluate) -> Result<()> {
    // What was typed wrongly leaves no folder.
    let share = arguments.job.map(share).transpose()?;
    let (evaluation, snapshots) = prepare(arguments)?;
    let folder = arguments.output.as_deref();
    if let Some(folder) = folder {
        evaluation.open(folder)?;
        keep(arguments, folder)?;
    }
    let progress = Progress::new(0);
    let stop = progress.stop();
    let progress = Mutex::new(progress);
    let watch = |at: leave_out::Progress| {
        let mut progress = progress.lock().expect("progress does not panic");
        progress.evaluating(at)
    };
    let interrupted = |error: &Error| {
        if error.kind() == ErrorKind::Interrupted {
            output::say(match folder {
                Some(_) => "the same command goes on from there",
                None => "-o DIR keeps what is finished, and the same command then goes on",
            });
        }
    };
    if let (Some(folder), Some(share)) = (folder, share) {
        stop.within(|| evaluation.share(folder, share, &watch))
            .inspect_err(interrupted)?;
        return shared(arguments, folder, share, &evaluation);
    }
    let report = stop
        .within(|| evaluation.run(folder, &watch))
        .inspect_err(interrupted)?;
    show(arguments, &evaluation, &snapshots, &report)
}

/// Makes the tables of a folder whose jobs are done, or names those that are not.
pub fn collect(collect: &Collect) -> Result<Verdict> {
    let folder = &collect.folder;
    let path = folder.join(COMMAND);
    if !path.is_file() {
        let folder = folder.display();
        let what = format!(
            "{folder} is not the folder of an evaluation: it has no {COMMAND}; make one with `actum \
             evaluate FILE -o {folder}`"
        );
        return Err(Error::new(ErrorKind::Missing, what));
    }
    let arguments: Evaluate = serde_json::from_slice(&store::read(&path)?).map_err(|cause| {
        let what = format!("{} is damaged or of another version", path.display());
        Error::new(ErrorKind::Format, what).because(cause)
    })?;
    let arguments = Evaluate {
        file: read::path_of(&arguments.file.to_string_lossy()),
        output: Some(folder.clone()),
        json: collect.json,
        ..arguments
    };
    let (evaluation, snapshots) = prepare(&arguments)?;
    let missing = evaluation.missing(folder)?;
    if missing.is_empty() {
        let report = evaluation.run(Some(folder), &|_| ControlFlow::Continue(()))?;
        show(&arguments, &evaluation, &snapshots, &report)?;
        return Ok(Verdict::Fine);
    }
    let all = evaluation.jobs().len();
    if collect.json {
        let missing = missing
            .iter()
            .map(|(index, name)| json!({"job": index, "name": name}));
        let missing = missing.collect::<Vec<_>>();
        output::json(&json!({"jobs": all, "missing": missing}));
    } else {
        output::line(&format!("{} of {all} jobs are not done:", missing.len()));
        for (index, name) in &missing {
            output::line(&format!("  {index}  {name}"));
        }
        output::line("\nThe command of the evaluation does them, with or without --job.");
    }
    Ok(Verdict::Failed)
}

/// Keeps the command in the folder of its evaluation, for `actum collect`.
fn keep(arguments: &Evaluate, folder: &Path) -> Result<()> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or(path.to_owned());
    let of_file = |text: &String| match text.ends_with(".toml") {
        true => absolute(Path::new(text)).to_string_lossy().into_owned(),
        false => text.clone(),
    };
    let kept = Evaluate {
        // JSON has no paths that are no text.
        file: read::name_of(&absolute(&arguments.file)).into(),
        output: None,
        method: arguments.method.iter().map(of_file).collect(),
        ..arguments.clone()
    };
    let text = serde_json::to_string_pretty(&kept).expect("a command is plain data");
    store::replace(&folder.join(COMMAND), |out| writeln!(out, "{text}"))
}

/// The share of the work that is asked for.
fn share(job: Job) -> Result<Share> {
    let number = |name: &str| -> Result<Option<usize>> {
        let Some(text) = std::env::var_os(name) else {
            return Ok(None);
        };
        let number = text.to_str().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| {
            let what = format!("{name} is {text:?}, not the number of a job");
            Error::new(ErrorKind::Setting, what)
        })
    };
    let index = match job.index {
        Some(index) => index,
        None => {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let slurm = number("SLURM_ARRAY_TASK_ID")?.map(|id| id.saturating_sub(first));
            let others = ["JOB_COMPLETION_INDEX", "OMPI_COMM_WORLD_RANK"];
            let others = others.iter().map(|name| number(name));
            let found = [Ok(slurm)].into_iter().chain(others);
            let found = found.collect::<Result<Vec<_>>>()?;
            found.into_iter().flatten().next().ok_or_else(|| {
                Error::new(
                    ErrorKind::Setting,
                    "--job auto: none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX and \
                     OMPI_COMM_WORLD_RANK is set; give the number, as in --job 0/40",
                )
            })?
        }
    };
    let share = Share { index, of: job.of };
    share.check().map_err(|e| e.within("--job"))?;
    Ok(share)
}

/// Says that a share is done.
fn shared(
    arguments: &Evaluate,
    folder: &Path,
    share: Share,
    evaluation: &Evaluation,
) -> Result<()> {
    let found = evaluation.open(folder)?;
    let (done, all) = (found.iter().flatten().count(), found.len());
    if arguments.json {
        output::json(&json!({
            "share": share.index,
            "of": share.of,
            "jobs_done": done,
            "jobs": all,
        }));
        return Ok(());
    }
    output::line(&format!(
        "Share {} of {} is done; {done} of {all} jobs are in {}",
        share.index,
        share.of,
        folder.display()
    ));
    output::line(&format!("Next:\n  actum collect {}", output::path(folder)));
    Ok(())
}

fn show(
    arguments: &Evaluate,
    evaluation: &Evaluation,
    snapshots: &Snapshots,
    report: &Report,
) -> Result<()> {
    let folder = arguments.output.as_deref();
    let unit = match arguments.standardize {
        true => "standard deviations",
        false => "units of the file",
    };
    let pictures = match folder {
        Some(folder) => {
            let time = match snapshots.unit() {
                Some(unit) => format!("time ({unit})"),
                None => "time".to_owned(),
            };
            let picture = leave_out::picture(report, &time, unit)?;
            picture.save(&folder.join("evaluation"))?.to_vec()
        }
        None => vec![],
    };
    let next = match &report.best {
        Some(method) => Some(command(arguments, evaluation, method)?),
        None => None,
    };
    let sampled = read::said(snapshots, "are fitted and compared");
    if arguments.json {
        output::json(&json!({
            "file": output::name(&arguments.file),
            "units": unit,
            "sample": sampled,
            "report": report,
            "next": next,
            "pictures": pictures,
        }));
        return Ok(());
    }
    let masses = !evaluation.snapshots().has_equal_masses();
    print(report, unit, masses);
    for note in sampled.iter().chain(&report.notes) {
        output::line(&format!("Note: {note}."));
    }
    for picture in pictures {
        output::line(&format!("Wrote {}", picture.display()));
    }
    output::line(&format!("\n{}", report.advice));
    if let Some(next) = next {
        output::line(&format!("  {next}"));
    }
    Ok(())
}

/// The command that fits all times with a method.
fn command(arguments: &Evaluate, evaluation: &Evaluation, method: &str) -> Result<String> {
    let mut words = vec!["actum fit".to_owned(), output::path(&arguments.file)];
    let file = arguments.method.iter().find(|typed| {
        let stem = Path::new(typed).file_stem().and_then(|stem| stem.to_str());
        typed.ends_with(".toml") && stem == Some(method)
    });
    let mut keys = arguments.keys.0.clone();
    for key in data::Keys::ALL {
        if let Some(name) = (key.field)(&mut keys) {
            let flag = key.name.replace('_', "-");
            words.push(format!("--{flag} {}", output::quoted(name)));
        }
    }
    if let Some(count) = keys.pca {
        words.push(format!("--pca {count}"));
    }
    if let Some(dims) = arguments.dims {
        words.push(format!("--dims {dims}"));
    }
    if arguments.standardize {
        words.push("--standardize".to_owned());
    }
    let settings = evaluation.settings(method)?;
    match (file, method) {
        (Some(file), _) => words.push(format!("--config {}", output::quoted(file))),
        (None, "lines") => words.push("--set path.interpolation=linear".to_owned()),
        (None, "cubic" | "monotone" | "forced" | "metric") => {
            words.push(format!("--set path.interpolation={method}"));
        }
        (None, "recoupled") => words.push("--set path.recouple=true".to_owned()),
        (None, "growth") => words.push("--growth auto".to_owned()),
        (None, "noise") => words.push(format!("--noise {}", settings.lagrangian.noise)),
        (None, "bridge") => {
            let noise = &settings.lagrangian.noise;
            words.push(format!(
                "--noise {noise} --set path.coupling=bridge:{noise}"
            ));
        }
        _ => {}
    }
    for change in &arguments.set {
        words.push(format!("--set {}", output::quoted(change)));
    }
    if settings.lagrangian.grows() {
        match &arguments.mass {
            Some(Mass::Counts) => words.push("--mass counts".to_owned()),
            Some(Mass::Given(masses)) => {
                let masses: Vec<String> = masses.iter().map(f64::to_string).collect();
                words.push(format!("--mass {}", masses.join(",")));
            }
            _ => {}
        }
    }
    words.push("-o run".to_owned());
    Ok(words.join(" "))
}

fn print(report: &Report, unit: &str, masses: bool) {
    let times = report.times.join(", ");
    output::line(&format!(
        "Left out in turn: {times}. Distances in {unit}; +- is the standard error over points."
    ));
    for table in &report.tables {
        let from = match table.protocol {
            Protocol::Previous => "From the snapshot before",
            Protocol::First => "From the first snapshot",
            Protocol::Both => "From the snapshots on both sides",
        };
        output::line(&format!(
            "\n{from}: means over {}",
            output::count(report.times.len(), "time")
        ));
        print_means(table, masses);
        output::line("");
        print_differences(table, report.times.len());
    }
    output::line("\nEnergy distance at each time");
    print_times(&report.tables[0], &report.times);
    print_calibration(report);
    if let Some(chosen) = report.tables[0]
        .rows
        .iter()
        .find_map(|line| line.chosen.as_ref())
    {
        let each = report.times.iter().zip(chosen);
        let each: Vec<String> = each
            .map(|(time, name)| format!("{name} for {time}"))
            .collect();
        output::line(&format!(
            "Chosen without the time itself: {}.",
            each.join(", ")
        ));
    }
}

fn print_calibration(report: &Report) {
    let told: Vec<f64> = report
        .calibration
        .iter()
        .filter_map(|at| Some(at.expected? / at.found))
        .collect();
    if told.is_empty() {
        return;
    }
    let near = told
        .iter()
        .filter(|ratio| (0.5..=2.0).contains(*ratio))
        .count();
    output::line(&format!(
        "\nError of the mean: expected without the time, and found (within a factor of 2 at {near} of \
         {})",
        told.len()
    ));
    let header = [""]
        .into_iter()
        .chain(report.times.iter().map(String::as_str));
    let row = |name: &str, of: &dyn Fn(&Calibration) -> Option<f64>| {
        let cells = report
            .calibration
            .iter()
            .map(|at| of(at).map_or("none".to_owned(), output::number));
        [name.to_owned()]
            .into_iter()
            .chain(cells)
            .collect::<Vec<_>>()
    };
    let rows = [
        row("expected", &|at| at.expected),
        row("found", &|at| Some(at.found)),
    ];
    output::table(&header.collect::<Vec<_>>(), &rows);
}

fn name(line: &Line) -> String {
    match (line.fitted, &line.chosen) {
        (true, None) => format!("action matching: {}", line.name),
        (true, Some(_)) => "action matching, chosen inside".to_owned(),
        _ => line.name.clone(),
    }
}

fn print_means(table: &Table, masses: bool) {
    let mut header = vec!["", "W1", "", "W2", "energy", "", "MMD^2"];
    if masses {
        header.push("mass");
    }
    let rows = table.rows.iter().map(|line| {
        let Some(mean) = &line.mean else {
            let mut row = vec![name(line), "none".to_owned()];
            row.resize(header.len(), String::new());
            return row;
        };
        let of_samples = line.name == "two samples";
        let error = |error: f64| match of_samples {
            true => String::new(),
            false => format!("+- {}", output::number(error)),
        };
        let mut row = vec![
            name(line),
            output::number(mean.w1.mean),
            error(mean.w1.over_points),
            output::number(mean.w2),
            output::number(mean.unbiased_energy.mean),
            error(mean.unbiased_energy.over_points),
            output::number(mean.mmd_squared),
        ];
        if masses {
            row.push(match of_samples {
                true => String::new(),
                false => format!("{:.1} %", 100.0 * mean.mass_error),
            });
        }
        row
    });
    output::table(&header, &rows.collect::<Vec<_>>());
}

fn print_differences(table: &Table, times: usize) {
    let over = match times {
        1 => "points",
        _ => "times",
    };
    let title = format!("less linear transport, 95 % over {over}");
    let shown = |difference: &Difference| {
        let [low, high] = difference.interval.map(output::number);
        [
            output::number(difference.estimate.mean),
            format!("[{low}, {high}]"),
            format!("{} of {times}", difference.wins),
        ]
    };
    let rows = table.rows.iter().filter_map(|line| {
        let (w1, energy) = (line.w1_less_linear?, line.energy_less_linear?);
        let cells = [name(line)]
            .into_iter()
            .chain(shown(&w1))
            .chain(shown(&energy));
        Some(cells.collect::<Vec<_>>())
    });
    let header = [title.as_str(), "W1", "", "nearer", "energy", "", "nearer"];
    output::table(&header, &rows.collect::<Vec<_>>());
}

fn print_times(table: &Table, times: &[String]) {
    let header = [""].into_iter().chain(times.iter().map(String::as_str));
    let rows = table.rows.iter().map(|line| {
        let cells = line.at.iter().map(|at| match at {
            Some(at) => output::number(at.unbiased_energy),
            None => "none".to_owned(),
        });
        [name(line)].into_iter().chain(cells).collect::<Vec<_>>()
    });
    output::table(&header.collect::<Vec<_>>(), &rows.collect::<Vec<_>>());
}

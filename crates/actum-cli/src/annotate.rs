//! `actum annotate`.

use std::{fs, path::Path};

use actum::{
    action::Device,
    data::{self, Annotated, Annotations, Snapshots},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
    evaluate::{self, Summary},
    fates,
    lagrangian::smooth::{GradientFraction, embedded_velocities},
    path::Path as _,
    run::Run,
};
use ndarray::{Array1, Array2, Axis, concatenate};
use serde_json::json;

use crate::{
    arguments::Annotate,
    fates::{cells_of, fates_of, options},
    output, read,
    simulate::{own_data, own_path, read_for},
};

/// Below this share of gradient a person is warned.
const CYCLES: f64 = 0.8;

/// What the columns of fractions are.
pub const FRACTIONS: &str = "gradient, smooth: of the power of the given velocities, what a gradient \
                          field and what any smooth field explains";

pub fn run(arguments: &Annotate) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    run.snapshots()?;
    if let Some(to) = &arguments.output {
        let own = own_path(&run);
        output::check_apart(to, [arguments.file.as_deref().unwrap_or(&own), &own])?;
    }
    let dynamics = run.dynamics(&Device::cpu())?;
    let how = match arguments.output {
        Some(_) => read::with_attributes,
        None => read::sample,
    };
    let (snapshots, fractions) = match &arguments.file {
        Some(path) => (read_for(&run, path, how)?, vec![]),
        None => {
            let own = own_data(&run, how)?;
            let fractions = path_gradient_fractions(&run, &own, &dynamics.units.scale())?;
            (own, fractions)
        }
    };
    let told = evaluate::summaries(&dynamics, &snapshots)?;
    let first = dynamics.units.span()[0];
    let start = snapshots.times().iter().position(|t| *t == first);
    let action = start
        .map(|k| evaluate::total_action(&dynamics, snapshots.cloud(k)))
        .transpose()?;
    let copied = match &arguments.output {
        None => None,
        Some(path) => {
            let own = own_path(&run);
            let from = arguments.file.as_ref().unwrap_or(&own);
            if data::annotates(from) && data::annotates(path) {
                Some(copy(arguments, &run, &dynamics, from, path)?)
            } else if arguments.label_key.is_some() || arguments.transitions {
                return Err(Error::new(
                    ErrorKind::Setting,
                    "fates and transitions are added to a copy of .h5ad; for the fates of other files: actum fates RUN FILE \
                     --label-key COLUMN -o DIR",
                ));
            } else {
                data::write(path, &table(&dynamics, &snapshots)?)?;
                None
            }
        }
    };
    let coupled = arguments.tmaps.as_deref();
    let coupled = coupled
        .map(|folder| write_couplings(arguments, &run, &dynamics, folder))
        .transpose()?;
    let sampled = read::said(&snapshots, "are annotated");
    if arguments.json {
        output::json(&json!({
            "run": output::name(&arguments.run),
            "sample": sampled,
            "total_action": action,
            "path_gradient_fractions": fractions,
            "times": told,
            "added": copied.as_ref().map(|copied| &copied.added),
            "left_out": copied.as_ref().and_then(|copied| copied.left_out.as_ref()),
            "alone": copied.as_ref().and_then(|copied| copied.alone.as_ref()),
        }));
        return Ok(());
    }
    if let Some(sampled) = &sampled {
        output::line(&format!("Note: {sampled}.\n"));
    }
    print(&dynamics, &told);
    if let Some(action) = action {
        output::line(&format!(
            "\nAction of the whole motion: {} for each unit of mass at the start.",
            output::number(action)
        ));
    }
    if let Some(least) = fractions
        .iter()
        .filter_map(GradientFraction::fraction)
        .reduce(f64::min)
    {
        output::line(&format!(
            "Of the smooth part of the path's own velocity a gradient follows {} or more between \
             any two snapshots.",
            percent(least)
        ));
    }
    let warning = |t: &Summary| cycles(&t.at, t.gradient_fraction?);
    if let Some(warning) = told.iter().find_map(warning) {
        output::line(&format!("\nwarning: {warning}"));
    }
    if let (Some(path), Some(copied)) = (&arguments.output, &copied) {
        output::line(&format!("\n{}", said_of_copy(path, copied)));
    } else if let Some(path) = &arguments.output {
        let every = if sampled.is_some() {
            "these points"
        } else {
            "every point"
        };
        output::line(&format!("\n{}: all of it for {every}", path.display()));
    }
    if let (Some(folder), Some(count)) = (&arguments.tmaps, coupled) {
        let couplings = output::count(count, "coupling");
        output::line(&format!(
            "\n{}: {couplings} of neighbouring times",
            folder.display()
        ));
    }
    Ok(())
}

/// Copies an AnnData file with what the action tells about every cell.
fn copy(
    arguments: &Annotate,
    run: &Run,
    dynamics: &Dynamics,
    from: &Path,
    to: &Path,
) -> Result<Annotated> {
    let cells = cells_of(run, Some(from))?;
    let seen = &cells.snapshots;
    let told = run.describe(dynamics, seen, &cells.rows)?;
    let (points, velocities) = (&told.points, &told.description.velocity);
    let mut fates = vec![];
    if let Some(key) = &arguments.label_key {
        let options = options(&cells, run, &arguments.ends)?;
        let destinations = cells.destinations(dynamics, key, options)?;
        let told = fates_of(&cells, &destinations)?;
        for (name, p) in told.names.iter().zip(told.probabilities.columns()) {
            let mut column = Array1::zeros(cells.rows.len());
            cells
                .rows
                .iter()
                .zip(p)
                .for_each(|(row, p)| column[*row] = *p);
            fates.push((format!("actum_fate_{}", name.replace('/', "_")), column));
        }
    }
    let mut numbers = told.numbers();
    numbers.extend(fates.iter().map(|(name, column)| (name.as_str(), column)));
    let genes = run.known_genes()?;
    let embedded = embedded(dynamics, from, points, velocities, seen.columns())?;
    let transitions = match arguments.transitions {
        true => {
            let options = options(&cells, run, &arguments.ends)?;
            let couplings = fates::couplings(dynamics, seen, &options)?;
            Some(fates::transitions(&couplings, &cells.rows))
        }
        false => None,
    };
    let known = Annotations {
        columns: seen.columns(),
        points,
        velocities,
        numbers: &numbers,
        genes: genes.as_ref(),
        obsm: &embedded,
        transitions: transitions.as_ref(),
    };
    data::annotate(from, &cells.keys, to, &known)
}

/// The velocities in the embeddings of a file: `velocity_umap` for `X_umap`.
fn embedded(
    dynamics: &Dynamics,
    from: &Path,
    points: &Array2<f64>,
    velocities: &Array2<f64>,
    columns: &[String],
) -> Result<Vec<(String, Array2<f64>)>> {
    let mut all = vec![];
    for (name, embedding) in data::embeddings(from)? {
        // The coordinates of the run have theirs.
        if columns.iter().any(|column| column.starts_with(&name)) {
            continue;
        }
        if embedding.iter().any(|x| !x.is_finite()) {
            output::say(&format!(
                "note: obsm[{name:?}] has numbers that are not finite, and gets no velocities"
            ));
            continue;
        }
        let scale = dynamics.units.scale();
        let told = embedded_velocities(points, velocities, &embedding, &scale, 0)?;
        all.push((name.replacen("X_", "velocity_", 1), told));
    }
    Ok(all)
}

/// Writes the couplings of neighbouring times, and says how many.
fn write_couplings(
    arguments: &Annotate,
    run: &Run,
    dynamics: &Dynamics,
    folder: &Path,
) -> Result<usize> {
    let cells = cells_of(run, arguments.file.as_deref())?;
    let snapshots = &cells.snapshots;
    let options = options(&cells, run, &arguments.ends)?;
    let couplings = fates::couplings(dynamics, snapshots, &options)?;
    let names = cells.names()?;
    fs::create_dir_all(folder).map_err(|cause| Error::io("create the folder", folder, cause))?;
    let mut start = 0;
    for (k, coupling) in couplings.iter().enumerate() {
        let [from, to] = coupling.shape;
        let [before, after] = [start..start + from, start + from..start + from + to];
        let of = |cells: std::ops::Range<usize>| -> Vec<&str> {
            names[cells].iter().map(String::as_str).collect()
        };
        // Clients take what is between underscores for the times.
        let label = |k: usize| snapshots.labels()[k].replace(['_', '/'], "-");
        let file = folder.join(format!("actum_{}_{}.h5ad", label(k), label(k + 1)));
        data::write_coupling(&file, coupling, [&of(before), &of(after)])?;
        start += from;
    }
    Ok(couplings.len())
}

fn said_of_copy(path: &Path, copied: &Annotated) -> String {
    let added = copied.added.join(", ");
    let left_out = copied.left_out.as_ref();
    let left_out = left_out.map_or(String::new(), |what| format!("\nnote: left out {what}"));
    let said = match &copied.alone {
        None => format!("{}: a copy with {added} for every cell", path.display()),
        Some(why) => format!(
            "{}: {added} for every cell, and nothing else, for nothing can be added to this file \
             ({why}). Merge it, in Python:\n  \
             new = anndata.read_h5ad({:?})\n  \
             adata.obsm.update(new.obsm); adata.layers.update(new.layers); \
             adata.obsp.update(new.obsp); \
             adata.obs = adata.obs.join(new.obs)",
            path.display(),
            path.display()
        ),
    };
    said + &left_out
}

/// How much of the velocity of the path that was fitted is a gradient, halfway between snapshots.
fn path_gradient_fractions(
    run: &Run,
    own: &Snapshots,
    scale: &Array1<f64>,
) -> Result<Vec<GradientFraction>> {
    const POINTS: usize = 1000;
    let path = run.path(own)?;
    let (times, _) = path.arc_length().unwrap_or_default();
    let halfway = times.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
    let fractions =
        halfway.filter_map(|t| evaluate::path_gradient_fraction(&path, t, scale, POINTS, 0).ok());
    Ok(fractions.collect())
}

fn print(dynamics: &Dynamics, told: &[Summary]) {
    let grows = dynamics.lagrangian.grows();
    let given = told.iter().any(|t| t.gradient_fraction.is_some());
    let energy = match dynamics.lagrangian.known_drift() {
        Some(_) => "mean energy beside the drift",
        None => "mean energy",
    };
    let mut header = vec!["time", "mean speed", energy];
    if grows {
        header.extend(["mass", "growth rate", "of it 5 %", "95 %"]);
    }
    if given {
        header.extend(["gradient", "smooth", "error"]);
    }
    let rows: Vec<Vec<String>> = told
        .iter()
        .map(|t| {
            let mut row = vec![
                t.at.clone(),
                output::number(t.speed),
                output::number(t.energy),
            ];
            if grows {
                let rates = [t.mass, t.growth, t.growth_low, t.growth_high];
                row.extend(rates.map(output::number));
            }
            if given {
                row.extend(columns(t.gradient_fraction));
                row.push(t.velocity_error.map_or("-".to_owned(), percent));
            }
            row
        })
        .collect();
    output::table(&header, &rows);
    if grows {
        output::line(
            "\ngrowth rates are per unit of time; those at the first and the last time are the least \
             certain",
        );
    }
    if given {
        output::line(&format!(
            "\n{FRACTIONS}\nerror: the root mean square of the learned velocity less the given one, \
             of that of the given one"
        ));
        if let Some(said) = errors(told) {
            output::line(&format!("\n{said}"));
        }
    }
}

/// How far the learned velocities are from the given ones, in words.
fn errors(told: &[Summary]) -> Option<String> {
    let errors = || told.iter().filter_map(|t| Some((t.velocity_error?, &t.at)));
    let by_error = |a: &(f64, &String), b: &(f64, &String)| a.0.total_cmp(&b.0);
    let (least, at_best) = errors().min_by(by_error)?;
    let (most, at_worst) = errors().max_by(by_error)?;
    let meaning = match most {
        _ if least >= 1.0 => "no better than points that stand still",
        most if most < 0.1 => "close",
        most if most < 0.3 => "the same motion with some error",
        _ => "in part another motion",
    };
    Some(format!(
        "The learned velocities are off by {} (at {at_best}) to {} (at {at_worst}) of the size of the \
         given ones: {meaning}. Points that stand still are off by 100 %.",
        percent(least),
        percent(most)
    ))
}

/// The two columns of a share.
pub fn columns(fraction: Option<GradientFraction>) -> [String; 2] {
    match fraction {
        Some(found) => [found.gradient, found.field].map(percent),
        None => ["-".to_owned(), "-".to_owned()],
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A warning where given velocities go round.
pub fn cycles(at: &str, found: GradientFraction) -> Option<String> {
    let fraction = found.fraction().filter(|f| *f < CYCLES)?;
    Some(format!(
        "at {at} a gradient field follows only {} of the smooth part of the given velocities: they \
         go round, which no action can; a fit reproduces the snapshots and not the cycles, unless \
         the velocities are given as a --drift",
        percent(fraction)
    ))
}

/// The points with what the action tells about each as further columns.
fn table(dynamics: &Dynamics, snapshots: &Snapshots) -> Result<Snapshots> {
    let mut columns = snapshots.columns().to_vec();
    columns.extend(snapshots.columns().iter().map(|name| format!("v_{name}")));
    columns.extend(["action", "speed", "growth", "energy"].map(str::to_owned));
    let (mut points, mut weights, mut labels) = (vec![], vec![], vec![]);
    for (k, cloud) in snapshots.clouds().iter().enumerate() {
        let description = dynamics.describe(snapshots.times()[k], cloud.points())?;
        let single = [
            description.action,
            description.speed,
            description.growth,
            description.energy,
        ];
        let single = single.map(|column| column.insert_axis(Axis(1)));
        let [action, speed, growth, energy] = single.each_ref().map(|column| column.view());
        let (x, v) = (cloud.points().view(), description.velocity.view());
        points.push(concatenate![Axis(1), x, v, action, speed, growth, energy]);
        weights.extend(cloud.weights());
        labels.extend(vec![&snapshots.labels()[k]; cloud.len()]);
    }
    let points: Vec<_> = points.iter().map(|rows| rows.view()).collect();
    let points = concatenate(Axis(0), &points).expect("all have the same columns");
    let weights = Some(Array1::from(weights));
    Snapshots::from_labelled_rows(points, &labels, weights, Some(columns))?
        .with_attributes(snapshots.attributes().to_vec())
}

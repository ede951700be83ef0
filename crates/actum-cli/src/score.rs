//! `actum score`.

use std::collections::BTreeMap;

use actum::{
    data::Snapshots,
    error::{Error, ErrorKind, Result},
    report::{self, Distances, Score},
    run::Run,
    tensor,
    units::Units,
};
use ndarray::Array1;
use serde_json::json;

use crate::{arguments, output, read, simulate::read_for};

pub fn run(arguments: &arguments::Score) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let dynamics = run.dynamics(&tensor::device("cpu")?)?;
    let snapshots = read_for(&run, &arguments.file)?;
    let scale = scale(&run, &snapshots)?;
    let held = held_in(&run, &snapshots)?;
    let at = targets(arguments, &held, &snapshots)?;
    let typed = arguments
        .from
        .as_deref()
        .map(|text| snapshots.index_of(text))
        .transpose()?;
    let mut scores = vec![];
    for &at in &at {
        let neighbours = report::neighbours(&snapshots, at, &held);
        let from = typed.or(neighbours[0]).ok_or_else(|| {
            Error::new(
                ErrorKind::Value,
                format!(
                    "there is no time before {} to push points from; name one with --from",
                    snapshots.labels()[at]
                ),
            )
        })?;
        scores.push(report::score(
            &dynamics, &snapshots, from, at, neighbours, &scale,
        )?);
    }
    let sampled = read::said(&snapshots, "are compared");
    let scores = at.iter().map(|at| held.contains(at)).zip(&scores);
    if arguments.json {
        print_json(arguments, &run, scores, sampled);
    } else {
        output::line(&format!("Distances in {}.", units(&run)));
        if let Some(sampled) = sampled {
            output::line(&format!("Note: {sampled}."));
        }
        let grows = dynamics.lagrangian.grows();
        for (held_out, score) in scores {
            print(score, held_out, grows);
        }
    }
    Ok(())
}

/// The times of `snapshots` that the fit did not see.
pub fn held_in(run: &Run, snapshots: &Snapshots) -> Result<Vec<usize>> {
    let labels = &run.source().labels;
    let held = run.held_out()?.into_iter();
    Ok(held
        .filter_map(|i| snapshots.index_of(&labels[i]).ok())
        .collect())
}

/// Which times to predict.
fn targets(
    arguments: &arguments::Score,
    held: &[usize],
    snapshots: &Snapshots,
) -> Result<Vec<usize>> {
    let typed = arguments.at.iter().map(|text| snapshots.index_of(text));
    let typed = typed.collect::<Result<Vec<_>>>()?;
    Ok(match (typed.is_empty(), held.is_empty()) {
        (false, _) => typed,
        (true, false) => held.to_vec(),
        (true, true) => (1..snapshots.len()).collect(),
    })
}

/// What distances are divided by: for a standardised run the standard deviations over all rows of
/// the scored file, as the field's protocol has it, so that reference rows do not depend on the
/// run.
pub fn scale(run: &Run, snapshots: &Snapshots) -> Result<Array1<f64>> {
    Ok(Units::of(snapshots, run.settings().data.standardize)?.scale())
}

fn units(run: &Run) -> &'static str {
    if run.settings().data.standardize {
        "standard deviations of each column over all rows of the file"
    } else {
        "the units of the file"
    }
}

/// Prints a score, with the errors of masses where they are predicted.
pub fn print(score: &Score, held_out: bool, masses: bool) {
    output::line(&format!(
        "\nFrom {} to {}{}",
        score.from,
        score.at,
        if held_out {
            ", which the fit did not see"
        } else {
            ""
        }
    ));
    let [previous, next] = &score.neighbours;
    let rows: Vec<Vec<String>> = score
        .rows()
        .into_iter()
        .map(|(name, d)| {
            let name = match (name, previous, next) {
                ("previous snapshot", Some(time), _) => format!("{name} ({time})"),
                ("next snapshot", _, Some(time)) => format!("{name} ({time})"),
                _ => name.to_owned(),
            };
            let of_halves = name == "two halves";
            let mut row = vec![name];
            row.extend([d.w1, d.w2, d.mmd_squared, d.energy].map(output::number));
            if masses {
                row.push(match of_halves {
                    true => String::new(),
                    false if d.mass_error > 100.0 => {
                        format!("x {}", output::number(d.mass_error + 1.0))
                    }
                    false => format!("{:+.1} %", 100.0 * d.mass_error),
                });
            }
            row
        })
        .collect();
    let mut header = vec!["", "W1", "W2", "MMD^2", "energy"];
    if masses {
        header.push("mass");
    }
    output::table(&header, &rows);
}

fn print_json<'a>(
    arguments: &arguments::Score,
    run: &Run,
    scores: impl Iterator<Item = (bool, &'a Score)>,
    sampled: Option<String>,
) {
    let scores: Vec<_> = scores
        .map(|(held_out, score)| {
            let rows: BTreeMap<&str, Distances> = score.rows().into_iter().collect();
            json!({
                "from": score.from,
                "at": score.at,
                "previous": score.neighbours[0],
                "next": score.neighbours[1],
                "held_out": held_out,
                "rows": rows,
            })
        })
        .collect();
    output::json(&json!({
        "run": arguments.run,
        "file": arguments.file,
        "units": units(run),
        "sample": sampled,
        "scores": scores,
    }));
}

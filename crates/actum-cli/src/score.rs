//! `actum score`.

use std::collections::BTreeMap;

use actum::{
    action::Device,
    cloud::Cloud,
    data::Snapshots,
    error::{Error, ErrorKind, Result},
    evaluate::{Distances, Score},
    metric::REACH,
    run::{Run, SnapshotSettings},
};
use serde_json::json;

use crate::{arguments, output, read, simulate::read_for};

/// Couplings of so many points take seconds.
const LARGE: usize = 2000;

pub fn run(arguments: &arguments::Score) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let (settings, _) = run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    let snapshots = read_for(&run, &arguments.file, read::sample)?;
    let at = run.targets(&snapshots, &arguments.at)?;
    note_cost(&snapshots, at.len());
    let from = arguments.from.as_deref();
    let scored = run.score(&dynamics, &snapshots, from, &at);
    let scored = scored.map_err(|error| match (error.kind(), from) {
        (ErrorKind::Missing, None) => Error::new(error.kind(), format!("{error}, with --from")),
        _ => error,
    })?;
    let scores: Vec<&Score> = scored.iter().map(|scored| &scored.score).collect();
    let sampled = read::said(&snapshots, "are compared");
    let advice: Vec<String> = [behind(&scores, settings), blind(&scores)]
        .into_iter()
        .flatten()
        .collect();
    let scores = scored.iter().map(|scored| (scored.held_out, &scored.score));
    if arguments.json {
        print_json(arguments, settings, scores, sampled, advice);
    } else {
        output::line(&format!("Distances in {}.", units(settings)));
        if let Some(sampled) = sampled {
            output::line(&format!("Note: {sampled}."));
        }
        let grows = dynamics.lagrangian.grows();
        for (held_out, score) in scores {
            print(score, held_out, grows);
        }
        for advice in advice {
            output::line(&format!("\n{advice}"));
        }
    }
    Ok(())
}

/// Says that distances at so many times will take long.
pub fn note_cost(snapshots: &Snapshots, times: usize) {
    let largest = snapshots.clouds().iter().map(Cloud::len).max().unwrap_or(0);
    if largest >= LARGE && times > 0 {
        output::say(&format!(
            "note: W1 and W2 are exact; for each of {} they couple up to {} points in every row, \
             which takes most of the time",
            output::count(times, "time"),
            output::thousands(largest)
        ));
    }
}

/// What to try where linear transport, which knows the next snapshot too, is nearer than the fit.
fn behind(scores: &[&Score], settings: &SnapshotSettings) -> Option<String> {
    let behind: Vec<&str> = scores
        .iter()
        .filter(|score| score.is_behind_linear())
        .map(|score| score.at.as_str())
        .collect();
    if behind.is_empty() {
        return None;
    }
    let mut tries = vec![
        format!("more steps (--steps {})", 2 * settings.fit.steps),
        format!(
            "a wider network (--set network.width={})",
            2 * settings.network.width
        ),
    ];
    if !settings.lagrangian.grows() {
        tries.push("--growth auto where points are born or die".to_owned());
    }
    if !settings.data.standardize {
        tries.push("--standardize where columns have different units".to_owned());
    }
    Some(format!(
        "Linear transport between the neighbours is nearer than the fit at {}. It uses the next \
         snapshot, which the prediction does not. To bring the fit nearer, try {}.",
        behind.join(", "),
        tries.join(", ")
    ))
}

/// Whether samples of one population lie too far from each other for the kernels of the MMD.
fn is_beyond_mmd(score: &Score) -> bool {
    score.floor.w1 > REACH
}

/// What to do where the MMD tells nothing.
fn blind(scores: &[&Score]) -> Option<String> {
    let largest = scores.iter().map(|score| score.floor.w1).reduce(f64::max)?;
    (largest > REACH).then(|| {
        format!(
            "MMD^2 tells nothing here: its kernels see distances up to {REACH}, and two samples of \
             one population are {} apart. Fit with --standardize to measure in standard deviations.",
            output::number(largest)
        )
    })
}

fn units(settings: &SnapshotSettings) -> &'static str {
    if settings.data.standardize {
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
            let of_samples = name == "two samples";
            let mmd_squared = match is_beyond_mmd(score) {
                true => "-".to_owned(),
                false => output::number(d.mmd_squared),
            };
            let mut row = vec![name, output::number(d.w1), output::number(d.w2)];
            row.extend([mmd_squared, output::number(d.energy)]);
            if masses {
                row.push(match of_samples {
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
    settings: &SnapshotSettings,
    scores: impl Iterator<Item = (bool, &'a Score)>,
    sampled: Option<String>,
    advice: Vec<String>,
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
        "run": output::name(&arguments.run),
        "file": output::name(&arguments.file),
        "units": units(settings),
        "sample": sampled,
        "advice": advice,
        "scores": scores,
    }));
}

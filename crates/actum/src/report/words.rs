//! What a reader sees first, in words.

use super::parts::{count, number};
use crate::{
    data::Snapshots,
    error::Result,
    run::{Run, Scored},
};

/// `a`, `a and b`, `a, b and c`.
pub(super) fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A time with its unit, where its label is a plain number.
pub(super) fn time(snapshots: &Snapshots, label: &str) -> String {
    match (label.parse::<f64>(), snapshots.axis().units()) {
        (Ok(_), Some(units)) => format!("{label} {units}"),
        (Ok(_), None) => format!("time {label}"),
        (Err(_), _) => label.to_owned(),
    }
}

/// What was fitted.
pub(super) fn fitted(run: &Run, snapshots: &Snapshots, held: &[usize]) -> Result<String> {
    let (settings, _) = run.snapshots()?;
    let labels = snapshots.labels();
    let points: f64 = snapshots.counts().iter().sum();
    let lagrangian = &settings.lagrangian;
    let mut terms = vec![];
    if lagrangian.grows() {
        terms.push("points are born and die".to_owned());
    }
    if !lagrangian.noise.is_none() {
        terms.push("points also move at random".to_owned());
    }
    if lagrangian.drift {
        terms.push("the given velocities are a known part of the motion".to_owned());
    }
    let held: Vec<String> = held.iter().map(|k| time(snapshots, &labels[*k])).collect();
    let mut text = format!(
        "From {} in {} at {}, {} to {}, Actum learned how the population moves",
        count(points as usize, "point"),
        count(snapshots.dimension(), "column"),
        count(labels.len(), "time"),
        time(snapshots, &labels[0]),
        time(snapshots, &labels[labels.len() - 1]),
    );
    if !terms.is_empty() {
        text += &format!(", where {}", joined(&terms));
    }
    if !held.is_empty() {
        text += &format!("; it was not shown {}", joined(&held));
    }
    Ok(text + ".")
}

/// How well left-out times are predicted, beside what needs no fit.
pub(super) fn predicted(snapshots: &Snapshots, scored: &[Scored]) -> String {
    let held: Vec<&Scored> = scored.iter().filter(|scored| scored.held_out).collect();
    if held.is_empty() {
        return match scored.len() {
            0 => "Nothing says how well it predicts: no time could be compared with real points."
                .to_owned(),
            _ => "How well it predicts times that it was not shown is not known, because it was \
                  shown all; the distances below are to snapshots that it was fitted to."
                .to_owned(),
        };
    }
    let sentences = held.iter().map(|scored| {
        let score = &scored.score;
        let found = score.prediction.w1;
        let mut beside = vec![];
        let nearest = [("before", &score.previous), ("after", &score.next)];
        let nearest = nearest
            .into_iter()
            .filter_map(|(side, row)| Some((side, (*row)?.w1)));
        if let Some((side, w1)) = nearest.min_by(|a, b| a.1.total_cmp(&b.1)) {
            beside.push(format!("the snapshot {side} is {} away", number(w1)));
        }
        if let Some(linear) = &score.linear {
            beside.push(format!(
                "straight lines between the neighbours {}",
                number(linear.w1)
            ));
        }
        beside.push(format!(
            "a fresh sample would be {}",
            number(score.floor.w1)
        ));
        let w1 = |row: &crate::evaluate::Distances| row.w1;
        let others = [&score.previous, &score.next, &score.linear];
        let others: Vec<f64> = others
            .into_iter()
            .filter_map(|row| row.as_ref().map(w1))
            .collect();
        let verdict = match others.iter().copied().reduce(f64::min) {
            Some(least) if found <= least => "nearer than all that needs no fit",
            Some(_) if score.is_behind_linear() => {
                "straight lines, which know the next snapshot too, are nearer"
            }
            Some(least) if found <= 1.05 * least => {
                "about as near as the best of them that needs no fit"
            }
            Some(_) => "one of them that needs no fit is nearer",
            None => "there is nothing to compare it with",
        };
        format!(
            "At {} the prediction is {} (W1) away from the real points; {}: {verdict}.",
            time(snapshots, &score.at),
            number(found),
            joined(&beside)
        )
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// What to be careful about.
pub(super) fn careful(
    run: &Run,
    snapshots: &Snapshots,
    scored: &[Scored],
    warnings: &[String],
) -> Result<String> {
    if let Some(warning) = run.warning()? {
        return Ok(format!("Be careful: {warning}."));
    }
    let behind: Vec<String> = scored
        .iter()
        .filter(|scored| scored.score.is_behind_linear())
        .map(|scored| time(snapshots, &scored.score.at))
        .collect();
    let (settings, _) = run.snapshots()?;
    let mut text = match warnings {
        _ if !behind.is_empty() => format!(
            "Be careful with what lies between snapshots: straight lines are nearer at {}.",
            joined(&behind)
        ),
        [] if !scored.iter().any(|scored| scored.held_out) => {
            "Be careful with times between snapshots: keep a time back from a fit to learn how \
             well they are predicted."
                .to_owned()
        }
        [] if settings.lagrangian.grows() => {
            "Be careful with growth: snapshots alone do not tell birth from arrival, and rates at \
             the first and the last time are the least certain."
                .to_owned()
        }
        [] => "Be careful with single points: snapshots tell how the population moves, and paths \
               of single points only as far as its motion is a gradient."
            .to_owned(),
        [only] => format!("Be careful: {only}."),
        [first, more @ ..] => format!(
            "Be careful: {first}; there {} below.",
            match more.len() {
                1 => "is another warning".to_owned(),
                n => format!("are {n} more warnings"),
            }
        ),
    };
    if snapshots.is_sample() {
        text += " What is shown here is a random sample of the data.";
    }
    Ok(text)
}

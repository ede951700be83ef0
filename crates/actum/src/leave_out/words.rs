//! What the tables of an evaluation say, in sentences.

use super::{
    Evaluation, Outcome, Protocol, Work,
    report::{CHOSEN, Line, Table},
};
use crate::problem::Growth;

/// The method to use, and a sentence that says so. Judged by the energy distance without those of
/// points from themselves, which is fair to predictions of different numbers of points.
pub(super) fn advice(evaluation: &Evaluation, table: &Table) -> (Option<String>, String) {
    let energy = |line: &&Line| line.mean.as_ref().map(|mean| mean.unbiased_energy.mean);
    let of = |name: &str| table.line(name).and_then(|line| energy(&line));
    let fits = table
        .rows
        .iter()
        .filter(|line| line.fitted && line.name != CHOSEN);
    let best = fits
        .filter_map(|line| Some((line, energy(&line)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let (Some((line, found)), Some(linear)) = (best, of("linear transport")) else {
        let what = "No method predicts every left-out time: see the notes.";
        return (None, what.to_owned());
    };
    let name = &line.name;
    let times = line.at.len();
    let difference = line.energy_less_linear.expect("all times are there");
    let [low, high] = difference.interval;
    let standing_still = of("previous snapshot")
        .into_iter()
        .chain(of("next snapshot"));
    let nearest_neighbour = standing_still.fold(f64::INFINITY, f64::min);
    let relative = |by: f64| {
        let share = 100.0 * by.abs() / linear.abs().max(f64::MIN_POSITIVE);
        match by <= 0.0 {
            true => format!("{share:.0} % below"),
            false => format!("{share:.0} % above"),
        }
    };
    let what = evaluation
        .methods()
        .iter()
        .find(|method| method.name == *name);
    let what = what.and_then(|method| method.about());
    let what = what.map_or(String::new(), |about| format!(" ({about})"));
    let interval = match times {
        1 => String::new(),
        _ if linear <= 0.0 => String::new(),
        _ => format!(
            ", 95 % interval over the times {} to {}",
            relative(low),
            relative(high)
        ),
    };
    let nearness = match linear > 0.0 {
        true => format!(
            "{} that of straight-line transport{interval}",
            relative(found - linear)
        ),
        // A share of what is not above 0 says nothing.
        false => format!("{found:.2e}, that of straight-line transport {linear:.2e}"),
    };
    let beside = format!(
        "its energy distance from a time that it did not see is {nearness}; it is nearer at {} of \
         {times}",
        difference.wins,
    );
    let sentence = if found > nearest_neighbour {
        // What a fit could be at its best is the path that it is fitted to.
        let paths = of("clocked spline").into_iter().chain([linear]);
        let path = paths.fold(f64::INFINITY, f64::min);
        let remedy = match path < nearest_neighbour {
            true => {
                "the paths between snapshots are nearer, so the fits are too short: take more steps"
            }
            false => "times may be too far apart",
        };
        format!(
            "Use none of these yet: the best, {name}, predicts a left-out time worse than the \
             neighbouring snapshot as it is does; {remedy}."
        )
    } else if found <= 0.0 && linear <= 0.0 {
        format!(
            "Use {name}{what}: like straight-line transport it comes as near to a left-out time as a \
             fresh sample of that time would, so these times cannot tell methods apart."
        )
    } else if found > linear && low > 0.0 {
        format!(
            "Straight-line transport is nearer than every method here; to move points, use \
             {name}{what}: {beside}."
        )
    } else if high < 0.0 {
        format!("Use {name}{what}: {beside}.")
    } else {
        format!(
            "Use {name}{what}: {beside}. So few times cannot tell it from straight-line transport."
        )
    };
    (Some(name.clone()), sentence)
}

/// What limits the numbers.
pub(super) fn notes(
    evaluation: &Evaluation,
    outcomes: &[Outcome],
    table: &Table,
    few: usize,
) -> Vec<String> {
    let snapshots = evaluation.snapshots();
    let labels = snapshots.labels();
    let mut notes = vec![];
    let rough: Vec<String> = evaluation
        .interior()
        .filter(|k| snapshots.cloud(*k).len() < few)
        .map(|k| format!("{} ({})", labels[k], snapshots.cloud(k).len()))
        .collect();
    if !rough.is_empty() {
        notes.push(format!(
            "fewer than {few} points at {}: standard errors over points are rough there, and so are \
             those of the means",
            rough.join(", ")
        ));
    }
    let points = evaluation.options.points;
    let large: Vec<&str> = (0..snapshots.len())
        .filter(|k| snapshots.cloud(*k).len() > points)
        .map(|k| labels[k].as_str())
        .collect();
    if !large.is_empty() {
        notes.push(format!(
            "of clouds of more than {points} points a random {points} are compared (times {}): the \
             standard errors over points are those of so many, and W1 and W2 are larger by the \
             distance of two samples, which has its row",
            large.join(", ")
        ));
    }
    if evaluation.interior().len() == 1 {
        notes.push(
            "one time can be left out: intervals are over points, and say nothing of other times"
                .to_owned(),
        );
    }
    if evaluation.options.nested && evaluation.interior().len() == 2 {
        notes.push(
            "with four times every choice rests on one other time, and is made without it between \
             the first and the last alone: take it as a hint"
                .to_owned(),
        );
    }
    let choices = evaluation.methods().len();
    if choices > 1 && !evaluation.options.nested {
        notes.push(format!(
            "the method is the best of {choices} on the times it is judged by; choosing it without \
             them (nested) shows what that flatters"
        ));
    }
    let noisy = evaluation.methods().iter().filter(|method| {
        method.relative_noise.is_some() || !method.settings.lagrangian.noise.is_none()
    });
    let noisy: Vec<&str> = noisy.map(|method| method.name.as_str()).collect();
    if !noisy.is_empty() && evaluation.options.protocols.contains(&Protocol::Both) {
        notes.push(format!(
            "noise is not moved backward: {} has no row from both sides",
            noisy.join(", ")
        ));
    }
    notes.extend(growth(evaluation, table));
    for outcome in outcomes {
        let (Some(reason), Work::Fit { method, seed }) = (&outcome.failed, outcome.job.work) else {
            continue;
        };
        let times: Vec<&str> = outcome
            .job
            .left_out
            .iter()
            .map(|k| labels[*k].as_str())
            .collect();
        notes.push(format!(
            "{} (seed {seed}) diverged without {}: {reason}",
            evaluation.methods()[method].name,
            times.join(" and ")
        ));
    }
    notes
}

/// Whether motion alone explains what growth does: snapshots tell births from arrivals by where
/// points are alone.
fn growth(evaluation: &Evaluation, table: &Table) -> Option<String> {
    let none = Growth::default();
    let nearest = |grows: bool| {
        let methods = evaluation.methods().iter();
        let of_kind = methods.filter(|m| (m.settings.lagrangian.growth != none) == grows);
        let energies = of_kind.filter_map(|method| {
            let mean = table.line(&method.name)?.mean.as_ref()?;
            Some((&method.name, mean.unbiased_energy.mean))
        });
        energies.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let ((growing, with), (moving, without)) = (nearest(true)?, nearest(false)?);
    (with >= without).then(|| {
        format!(
            "{moving}, in which nothing is born or dies, predicts where points are as well as \
             {growing}: these times do not tell births and deaths from motion"
        )
    })
}

//! `actum check`.

use actum::{
    data::{self, Entry, Genes, Snapshots},
    error::Result,
    evaluate::Motion,
    lagrangian::smooth::{GradientFraction, gradient_fraction},
    problem::DataOptions,
    units::Units,
};
use serde_json::json;

use crate::{
    Verdict,
    annotate::{self, FRACTIONS, cycles},
    arguments::Check,
    output, read,
};

/// What the columns of [`Motion`] are.
const MOTIONS: &str = "+-: the shift of sampling alone; chance: how often two samples of one \
                       population differ as much";

pub fn run(arguments: &Check) -> Result<Verdict> {
    let entries = data::entries(&arguments.file)?;
    let checked = look(arguments, &entries);
    // What is there helps to choose what could not be chosen.
    if checked.is_err() && !arguments.json {
        list(arguments, &entries);
    }
    checked
}

/// Says what a file holds beside what is read by default.
fn list(arguments: &Check, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    let rows = entries
        .iter()
        .map(|entry| vec![entry.place.clone(), entry.about.clone()]);
    output::line(&format!("{} holds\n", arguments.file.display()));
    output::left_table(&["place", "what"], &rows.collect::<Vec<_>>());
    output::line("");
}

fn look(arguments: &Check, entries: &[Entry]) -> Result<Verdict> {
    let shard = DataOptions::default().shard;
    let keys = read::with_components_told(&arguments.file, &arguments.keys.0)?;
    let snapshots = read::sample(&arguments.file, &keys, shard)?;
    let fits = snapshots
        .require_times(2)
        .and_then(|()| Units::of(&snapshots, false));
    let problem = fits.err().map(|e| e.to_string());
    let fractions = fractions(&snapshots);
    let motions = Motion::of(&snapshots);
    let suggestion = suggestion(arguments, &snapshots, &fractions);
    let warnings = warnings(&snapshots, &fractions, &motions);
    let sampled = read::said(&snapshots, "are looked at; all are counted and checked");
    let genes = Genes::reads(&arguments.file).then(|| {
        let genes = Genes::open(&arguments.file, &keys)?;
        let (decoder, error) = genes.decoder(snapshots.columns())?;
        Ok((decoder.genes().len(), error))
    });
    if arguments.json {
        let times: Vec<_> = (0..snapshots.len())
            .map(|i| {
                json!({
                    "label": snapshots.labels()[i],
                    "time": snapshots.times()[i],
                    "points": snapshots.counts()[i] as usize,
                    "mass": snapshots.cloud(i).mass(),
                    "gradient_fraction": fractions.get(i),
                    "motion": motions.get(i),
                })
            })
            .collect();
        output::json(&json!({
            "file": output::name(&arguments.file),
            "dimension": snapshots.dimension(),
            "columns": snapshots.columns(),
            "unit": snapshots.unit(),
            "holds": entries
                .iter()
                .map(|entry| json!({"place": entry.place, "about": entry.about}))
                .collect::<Vec<_>>(),
            "genes": genes.as_ref().map(|genes: &Result<(usize, f64)>| match genes {
                Ok((count, error)) => json!({"count": count, "error": error}),
                Err(error) => json!({"problem": error.to_string()}),
            }),
            "times": times,
            "sample": sampled,
            "notes": flagged(snapshots.notes()),
            "warnings": flagged(&warnings),
            "problem": problem,
            "suggestion": problem.is_none().then_some(suggestion),
        }));
    } else {
        list(arguments, entries);
        print(arguments, &snapshots, &fractions, &motions);
        if let Some(genes) = &genes {
            output::line(&format!("\n{}", said_of_genes(genes, keys.pca)));
        }
        if let Some(sampled) = sampled {
            output::line(&format!("\nnote: {sampled}"));
        }
        for warning in warnings {
            output::line(&format!("\nwarning: {}", output::with_flags(&warning)));
        }
        match &problem {
            None => output::line(&format!("\nSuggested:\n  {suggestion}")),
            Some(problem) => output::line(&format!("\nproblem: {problem}")),
        }
    }
    Ok(if problem.is_some() {
        Verdict::Failed
    } else {
        Verdict::Fine
    })
}

/// Whether the coordinates lead back to genes.
fn said_of_genes(genes: &Result<(usize, f64)>, made: Option<usize>) -> String {
    match genes {
        Ok((count, _)) if let Some(components) = made => format!(
            "genes: the coordinates are {components} principal components of {count} genes, \
             made of normalised counts"
        ),
        Ok((count, 0.0)) => format!("genes: the coordinates are {count} genes"),
        Ok((count, error)) => format!(
            "genes: the coordinates lead back to {count} genes; (X - mean) PCs is X_pca, off by \
             {:.1e} of its size",
            error
        ),
        Err(error) => format!("genes: not behind these coordinates: {error}"),
    }
}

fn flagged(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| output::with_flags(text)).collect()
}

/// How much of the velocities of every time is a gradient; nothing where none were asked for.
fn fractions(snapshots: &Snapshots) -> Vec<Option<GradientFraction>> {
    let given = snapshots.velocities().unwrap_or_default().iter();
    given
        .zip(snapshots.clouds())
        .map(|(velocities, cloud)| gradient_fraction(cloud, velocities, 0).ok())
        .collect()
}

fn print(
    arguments: &Check,
    snapshots: &Snapshots,
    fractions: &[Option<GradientFraction>],
    motions: &[Option<Motion>],
) {
    let columns = snapshots.columns();
    let shown = columns
        .iter()
        .take(6)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    output::line(&format!(
        "{}: {} at {} in {} ({shown}{})\n",
        arguments.file.display(),
        output::count(snapshots.counts().iter().sum::<f64>() as usize, "point"),
        output::count(snapshots.len(), "time"),
        output::count(columns.len(), "column"),
        if columns.len() > 6 { ", ..." } else { "" },
    ));
    let weighted = snapshots
        .clouds()
        .iter()
        .any(|c| (c.mass() - 1.0).abs() > 1e-9);
    let mut header = vec![
        "time",
        "points",
        "shift of the mean to the next",
        "+-",
        "chance",
    ];
    if weighted {
        header.insert(2, "mass");
    }
    if !fractions.is_empty() {
        header.extend(["gradient", "smooth"]);
    }
    let rows: Vec<Vec<String>> = (0..snapshots.len())
        .map(|i| {
            let cloud = snapshots.cloud(i);
            let shift = snapshots.clouds().get(i + 1).map_or("".to_owned(), |next| {
                let apart = next.mean() - cloud.mean();
                output::number(apart.dot(&apart).sqrt())
            });
            let motion = motions.get(i).copied().flatten();
            let of = |f: &dyn Fn(&Motion) -> f64| {
                motion.map_or("".to_owned(), |m| output::number(f(&m)))
            };
            let mut row = vec![
                snapshots.labels()[i].clone(),
                snapshots.counts()[i].to_string(),
                shift,
                of(&|motion| motion.error),
                of(&|motion| motion.chance),
            ];
            if weighted {
                row.insert(2, output::number(cloud.mass()));
            }
            if let Some(fraction) = fractions.get(i) {
                row.extend(annotate::columns(*fraction));
            }
            row
        })
        .collect();
    output::table(&header, &rows);
    if columns.len() > 50 {
        output::line(
            "\nnote: transport and networks do better in fewer columns, such as 5 to 50 principal \
             components; --dims takes the first ones, --points-key chooses",
        );
    }
    for note in snapshots.notes() {
        output::line(&format!("\nnote: {}", output::with_flags(note)));
    }
    if motions.iter().any(Option::is_some) {
        output::line(&format!("\n{MOTIONS}"));
    }
    if !fractions.is_empty() {
        output::line(&format!("\n{FRACTIONS}"));
    }
}

/// What a person should know before fitting.
fn warnings(
    snapshots: &Snapshots,
    fractions: &[Option<GradientFraction>],
    motions: &[Option<Motion>],
) -> Vec<String> {
    let labels = snapshots.labels().iter().zip(fractions);
    let round = labels
        .filter_map(|(at, fraction)| cycles(at, (*fraction)?))
        .next();
    let further = [
        round,
        pace(snapshots),
        still(snapshots, motions),
        counts(snapshots),
    ];
    let known = snapshots.warnings().into_iter();
    known.chain(further.into_iter().flatten()).collect()
}

/// A warning where velocities are of another size than the motion: RNA velocity has no unit.
fn pace(snapshots: &Snapshots) -> Option<String> {
    let velocities = snapshots.velocities()?;
    let (mut along, mut square) = (0.0, 0.0);
    let pairs = snapshots.clouds().windows(2);
    let durations = snapshots.times().windows(2).map(|t| t[1] - t[0]);
    for ((pair, duration), velocities) in pairs.zip(durations).zip(velocities) {
        let (cloud, next) = (&pair[0], &pair[1]);
        let shift = next.mean() - cloud.mean();
        let mean = cloud.weights().dot(velocities) / cloud.mass();
        let spread = cloud.std_dev();
        // A mean that hardly moves says nothing.
        if shift.dot(&shift) > 0.01 * spread.dot(&spread) {
            along += shift.dot(&mean) * duration;
            square += shift.dot(&shift);
        }
    }
    let ratio = along / square;
    (square > 0.0 && !(0.3..3.0).contains(&ratio)).then(|| {
        let far = output::number(ratio);
        match ratio < 0.0 {
            true => format!(
                "the velocities point against the motion of the means ({far} times as far): are the \
                 times in their order, and the velocities of these coordinates?"
            ),
            false => format!(
                "the velocities move the mean {far} times as far as the snapshots do: as a --drift \
                 they must be in units of the points per unit of the times"
            ),
        }
    })
}

/// A warning where snapshots show no motion: a velocity fitted there is that of chance.
fn still(snapshots: &Snapshots, motions: &[Option<Motion>]) -> Option<String> {
    let labels = snapshots.labels();
    let is_still = |motion: &Motion| motion.chance > 0.05 && motion.shift < 2.0 * motion.error;
    let still: Vec<String> = (0..motions.len())
        .filter(|k| motions[*k].as_ref().is_some_and(is_still))
        .map(|k| format!("{} to {}", labels[k], labels[k + 1]))
        .collect();
    let more = match still.len() {
        0 => return None,
        1..=3 => String::new(),
        many => format!(" and {} more", many - 3),
    };
    Some(format!(
        "from {}{more} the points differ no more than two samples of one population do: what a fit \
         moves there may be chance. More points, or times farther apart, can show a motion",
        still[..still.len().min(3)].join(", ")
    ))
}

/// A note where the numbers of points may be what grows.
fn counts(snapshots: &Snapshots) -> Option<String> {
    let counts = snapshots.counts();
    let (first, last) = (counts[0], counts[counts.len() - 1]);
    let least = counts.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = counts.iter().copied().fold(0.0, f64::max);
    let differ = (greatest / least).ln() > 0.4;
    let between = match (last / first).ln().abs() > 0.4 {
        true => format!("go from {first} to {last}"),
        false => format!("lie between {least} and {greatest}"),
    };
    (snapshots.has_equal_masses() && differ).then(|| {
        format!(
            "the numbers of points {between}; if every point is an individual that is born or dies, \
             fit with --growth auto --mass counts; if they say how much was sampled, leave it"
        )
    })
}

/// A command that fits the file, with a time held out where there is one to spare.
fn suggestion(
    arguments: &Check,
    snapshots: &Snapshots,
    fractions: &[Option<GradientFraction>],
) -> String {
    let round = fractions
        .iter()
        .flatten()
        .any(|fraction| cycles("", *fraction).is_some());
    let keys = &arguments.keys.0;
    let round = round.then_some(keys.velocity_key.clone()).flatten();
    let mut command = format!("actum fit {}", output::path(&arguments.file));
    for (flag, key) in [
        ("--time-key", &keys.time_key),
        ("--points-key", &keys.points_key),
        ("--weight-key", &keys.weight_key),
        ("--drift", &round),
    ] {
        if let Some(key) = key {
            command += &format!(" {flag} {}", output::quoted(key));
        }
    }
    if let Some(count) = keys.pca {
        command += &format!(" --pca {count}");
    }
    if snapshots.unequal_columns().is_some() && snapshots.constant_columns().is_empty() {
        command += " --standardize";
    }
    if snapshots.len() >= 4 {
        let middle = &snapshots.labels()[snapshots.len() / 2];
        command += &format!(" --hold-out {}", output::quoted(middle));
    }
    command + " -o run"
}

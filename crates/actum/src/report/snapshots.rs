//! What a report of a run of snapshots shows.

use ndarray::Array1;

use super::{
    Cell, Chart, Part, Report, Section, Table,
    scene::{FEW, Labelled, MOST, Of, Scene, thinned},
    words,
};
use crate::{
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    error::{Result, ensure},
    evaluate::{self, Distances, Motion},
    fates::Driver,
    lagrangian::smooth::GradientFraction,
    path::Path as _,
    plot::{self, ByClass, Panel, Projection},
    run::{Record, Run, Schema, Scored},
};

/// What a caller knows beside the run.
#[derive(Debug, Clone, Default)]
pub struct Told<'a> {
    /// Labels of the points, and where they end.
    pub known: Option<Labelled<'a>>,
    /// The genes that go with each fate.
    pub drivers: Option<&'a [Vec<Driver>]>,
    /// The commands that make the run and its report again.
    pub commands: Vec<String>,
    /// What else was found in the data.
    pub warnings: Vec<String>,
}

/// The most points of a time that distances are taken of where no time was held out.
pub(super) const COMPARED: usize = 2000;
/// The most lines of a table of the log.
const LINES: usize = 200;
/// How many drivers of a fate are listed.
const DRIVERS: usize = 30;

impl Report {
    /// Of a run, and of snapshots as it [sees](Run::view) them. Times outside of what was learned
    /// are listed and not predicted.
    ///
    /// # Errors
    /// A run of images; snapshots of which none lies where the run moves points; a motion that
    /// diverges.
    pub fn of_snapshots(
        run: &Run,
        dynamics: &Dynamics,
        snapshots: &Snapshots,
        told: &Told,
    ) -> Result<Self> {
        let (settings, _) = run.snapshots()?;
        let (inside, outside) = inside(dynamics, snapshots)?;
        let held = run.held_in(snapshots)?;
        let (scored, sampled) = scored(run, dynamics, snapshots)?;
        let sizes: Vec<usize> = snapshots.clouds().iter().map(Cloud::len).collect();
        let by = told.known.filter(|_| outside.is_none());
        let by = by
            .map(|known| ByClass::of(known.labels, &sizes))
            .transpose()?;
        let mut pictures = Pictures::default();
        let mut keep = |picture, name: &str| {
            pictures.0.push((name.to_owned(), picture));
            Ok(())
        };
        run.pictures(dynamics, &inside, &scored, by.as_ref(), &mut keep)?;
        let mut warnings: Vec<String> = outside.into_iter().collect();
        warnings.extend(snapshots.warnings());
        warnings.extend(told.warnings.iter().cloned());
        let projection = run.projection(snapshots)?;
        let scene = Scene::new(&Of {
            dynamics,
            snapshots,
            held: &held,
            projection: &projection,
            known: told.known,
            seed: settings.fit.seed,
            still: still(&run.panels(dynamics, &inside)?, &projection, by.as_ref())?,
            most: MOST,
        })?;
        let summary = vec![
            words::fitted(run, snapshots, &held)?,
            words::predicted(snapshots, &scored),
            words::careful(run, snapshots, &scored, &warnings)?,
        ];
        let grows = dynamics.lagrangian.grows();
        let standardized = settings.data.standardize;
        let mut sections = vec![
            predictions(&scored, grows, standardized, sampled, &pictures),
            motion(run, dynamics, &inside, &pictures)?,
        ];
        let fates = told
            .known
            .and_then(|known| fates(snapshots, &known, told.drivers, grows));
        sections.extend(fates);
        sections.extend([
            data(run, snapshots, &held, &warnings),
            fit(run, &pictures)?,
            how(run, settings.to_toml(), &told.commands),
        ]);
        Ok(Self {
            title: title(run),
            about: format!(
                "Action Matching by actum {}: one field whose gradient moves each snapshot into \
                 the next.",
                run.source().version
            ),
            summary,
            scene: Some(scene),
            sections,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The moving picture alone, of fewer points: what a notebook shows.
    ///
    /// # Errors
    /// As [`of_snapshots`](Self::of_snapshots).
    pub fn moving(
        run: &Run,
        dynamics: &Dynamics,
        snapshots: &Snapshots,
        known: Option<Labelled>,
    ) -> Result<Self> {
        let held = run.held_in(snapshots)?;
        let projection = run.projection(snapshots)?;
        let panels: Vec<Panel> = (0..snapshots.len())
            .map(|k| Panel {
                time: snapshots.times()[k],
                label: words::time(snapshots, &snapshots.labels()[k]),
                observed: Some(snapshots.cloud(k).clone()),
                predicted: None,
                held_out: held.contains(&k),
            })
            .collect();
        let scene = Scene::new(&Of {
            dynamics,
            snapshots,
            held: &held,
            projection: &projection,
            known,
            seed: run.settings().fit().seed,
            still: still(&panels, &projection, None)?,
            most: FEW,
        })?;
        Ok(Self {
            title: title(run),
            about: words::fitted(run, snapshots, &held)?,
            summary: vec![],
            scene: Some(scene),
            sections: vec![],
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// The snapshots between the times where the run moves points, and what is to be said of others.
fn inside(dynamics: &Dynamics, snapshots: &Snapshots) -> Result<(Snapshots, Option<String>)> {
    let [begin, end] = dynamics.units.span();
    let outside: Vec<usize> = (0..snapshots.len())
        .filter(|k| !(begin..=end).contains(&snapshots.times()[*k]))
        .collect();
    if outside.is_empty() {
        return Ok((snapshots.clone(), None));
    }
    ensure!(
        outside.len() < snapshots.len(),
        Value,
        "no snapshot lies between {begin} and {end}, where the run moves points"
    );
    let labels = outside.iter().map(|k| snapshots.labels()[*k].clone());
    let said = format!(
        "these times lie outside of those that were learned, {begin} to {end}, and are not \
         predicted: {}",
        words::joined(&labels.collect::<Vec<_>>())
    );
    Ok((snapshots.without(&outside)?, Some(said)))
}

/// A drawing of each time, for readers without a script and for paper.
fn still(panels: &[Panel], projection: &Projection, by: Option<&ByClass>) -> Result<Vec<Chart>> {
    let what = match panels.iter().any(|panel| panel.predicted.is_some()) {
        true => "observed and predicted points",
        false => "observed points",
    };
    let pictures = plot::snapshots_apart(panels, projection, by)?;
    let charts = pictures.iter().zip(panels).map(|(picture, panel)| {
        let at = match pictures.len() == panels.len() {
            true => &panel.label,
            false => "All times",
        };
        Chart::new(picture, format!("{at}: {what}."))
    });
    Ok(charts.collect())
}

fn title(run: &Run) -> String {
    let name = &run.source().data;
    let file = std::path::Path::new(name).file_name();
    let file = file.map_or(name.clone(), |file| file.to_string_lossy().into_owned());
    format!("The motion in {file}")
}

/// The drawings of a run by their names.
#[derive(Default)]
struct Pictures(Vec<(String, crate::plot::Picture)>);

impl Pictures {
    fn chart(&self, name: &str, about: &str) -> Option<Chart> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, picture)| Chart::new(picture, about))
    }

    fn part(&self, name: &str, about: &str) -> Option<Part> {
        self.chart(name, about).map(Part::Chart)
    }
}

/// Held-out times; where there are none, all but the first, of a sample. Also of how many points.
fn scored(
    run: &Run,
    dynamics: &Dynamics,
    seen: &Snapshots,
) -> Result<(Vec<Scored>, Option<usize>)> {
    let [begin, end] = dynamics.units.span();
    let inside = |k: usize| (begin..=end).contains(&seen.times()[k]);
    let all_held = run.held_in(seen)?;
    let can = |k: &usize| {
        let [before, _] = evaluate::neighbours(seen, *k, &all_held);
        inside(*k) && seen.cloud(*k).len() >= 4 && before.is_some_and(inside)
    };
    let held: Vec<usize> = all_held.iter().copied().filter(can).collect();
    if !held.is_empty() {
        return Ok((run.score(dynamics, seen, None, &held)?, None));
    }
    let at: Vec<usize> = (0..seen.len()).filter(can).collect();
    let most = seen.clouds().iter().map(Cloud::len).max().unwrap_or(0);
    if most <= COMPARED {
        return Ok((run.score(dynamics, seen, None, &at)?, None));
    }
    let few = some(seen, COMPARED)?;
    Ok((run.score(dynamics, &few, None, &at)?, Some(COMPARED)))
}

/// At most so many points of each time, evenly spaced in the file.
pub(super) fn some(snapshots: &Snapshots, most: usize) -> Result<Snapshots> {
    let clouds = snapshots.clouds().iter().map(|cloud| {
        let mass = cloud.mass();
        cloud.select(&thinned(cloud.len(), most))?.with_mass(mass)
    });
    let times = snapshots.times().to_vec();
    let few = Snapshots::new(times, clouds.collect::<Result<_>>()?)?;
    Ok(few.on_axis(snapshots.axis().clone()))
}

fn predictions(
    scored: &[Scored],
    grows: bool,
    standardized: bool,
    sampled: Option<usize>,
    pictures: &Pictures,
) -> Section {
    let mut parts = vec![];
    let unit = match standardized {
        true => "standard deviations of each column",
        false => "the units of the data",
    };
    parts.push(Part::Text(match scored.is_empty() {
        true => "No time could be compared with real points.".to_owned(),
        false => format!(
            "Distances between predicted and real points, in {unit}; smaller is nearer. “Two \
             samples” is what two samples of the real population have: nothing is nearer."
        ),
    }));
    if let Some(most) = sampled {
        parts.push(Part::Text(format!(
            "No time was held out; distances are of at most {most} points of each time."
        )));
    }
    for Scored { score, held_out } in scored {
        let held = if *held_out {
            ", which the fit did not see"
        } else {
            ""
        };
        let mut columns = vec!["row", "W1", "W2", "MMD²", "energy"];
        if grows {
            columns.push("error of the mass");
        }
        let title = format!("From {} to {}{held}", score.from, score.at);
        let mut table = Table::new(title, &columns);
        for (name, d) in score.rows() {
            let Distances {
                w1,
                w2,
                mmd_squared,
                energy,
                mass_error,
            } = d;
            let mut row = vec![Cell::text(name)];
            row.extend([w1, w2, mmd_squared, energy].map(Cell::from));
            if grows {
                row.push(match name {
                    "two samples" => Cell::Empty,
                    _ => mass_error.into(),
                });
            }
            table.rows.push(row);
        }
        table.result = Some(0);
        parts.push(Part::Table(table));
    }
    for (name, picture) in &pictures.0 {
        if name.starts_with("score-") && scored.iter().any(|scored| scored.held_out) {
            parts.push(Part::Chart(Chart::new(
                picture,
                "W1 of the prediction and of what it is compared with.",
            )));
        }
    }
    let error = "How far the mean of the population may be off between snapshots.";
    parts.extend(pictures.part("error", error));
    Section::new("Predictions", parts)
}

fn motion(
    run: &Run,
    dynamics: &Dynamics,
    seen: &Snapshots,
    pictures: &Pictures,
) -> Result<Section> {
    let grows = dynamics.lagrangian.grows();
    let told = evaluate::summaries(dynamics, seen)?;
    let mut columns = vec!["time", "mean speed", "mean energy"];
    if grows {
        columns.extend(["mass", "growth rate", "5 % below", "95 % below"]);
    }
    let given = told.iter().any(|t| t.gradient_fraction.is_some());
    if given {
        columns.extend(["gradient share", "smooth share", "velocity error"]);
    }
    let mut table = Table::new("Speed and growth at each time", &columns);
    for t in &told {
        let mut row = vec![Cell::text(&t.at), t.speed.into(), t.energy.into()];
        if grows {
            row.extend([t.mass, t.growth, t.growth_low, t.growth_high].map(Cell::from));
        }
        if given {
            let shares = t
                .gradient_fraction
                .map(|found| [found.gradient, found.field]);
            row.extend(shares.map_or([Cell::Empty, Cell::Empty], |shares| shares.map(Cell::from)));
            row.push(t.velocity_error.into());
        }
        table.rows.push(row);
    }
    let mut parts = vec![];
    parts.extend(pictures.part(
        "streamlines",
        "Streamlines of the learned field through the observed points.",
    ));
    parts.extend(pictures.part(
        "mass",
        "The mass of the population over time: predicted, and of the snapshots.",
    ));
    parts.push(Part::Table(table));
    let fractions = fractions(run, dynamics, seen);
    if !fractions.rows.is_empty() {
        parts.push(Part::Text(
            "An action moves points by a gradient. Of the smooth part of the velocity of the path \
             that it was fitted to, a gradient follows this share:"
                .to_owned(),
        ));
        parts.push(Part::Table(fractions));
    }
    Ok(Section::new("Speed, growth and flow", parts))
}

/// How much of the velocity of the path that was fitted is a gradient, halfway between snapshots.
fn fractions(run: &Run, dynamics: &Dynamics, seen: &Snapshots) -> Table {
    const POINTS: usize = 1000;
    let mut table = Table::new("Gradient fraction of the path", &["time", "gradient share"]);
    let scale: Array1<f64> = dynamics.units.scale();
    // A path through some of the points is as smooth as one through all, and soon made.
    let path = some(seen, POINTS).and_then(|few| run.path(&few));
    let Ok(path) = path else { return table };
    let (times, _) = path.arc_length().unwrap_or_default();
    for pair in times.windows(2) {
        let t = 0.5 * (pair[0] + pair[1]);
        let found = evaluate::path_gradient_fraction(&path, t, &scale, POINTS, 0).ok();
        if let Some(share) = found.as_ref().and_then(GradientFraction::fraction) {
            table
                .rows
                .push(vec![Cell::text(seen.axis().label_of(t)), share.into()]);
        }
    }
    table
}

fn fates(
    snapshots: &Snapshots,
    known: &Labelled,
    drivers: Option<&[Vec<Driver>]>,
    grows: bool,
) -> Option<Section> {
    let told = known.fates?;
    let weights: Array1<f64> = snapshots
        .clouds()
        .iter()
        .flat_map(|c| c.weights())
        .copied()
        .collect();
    let mean = |cells: &[usize]| -> Vec<Cell> {
        let of = cells.iter().map(|i| weights[*i]).collect();
        told.select(cells)
            .mean(&of)
            .iter()
            .map(|p| Cell::from(*p))
            .collect()
    };
    let header = |first: &'static str| -> Vec<&str> {
        let names = told.names.iter().map(String::as_str);
        [first, "points"].into_iter().chain(names).collect()
    };
    let row = |name: &str, cells: &[usize]| -> Vec<Cell> {
        let mut row = vec![Cell::text(name), Cell::Count(cells.len())];
        row.extend(mean(cells));
        row
    };
    let mut by_time = Table::new("Mean probability of each fate, by time", &header("time"));
    let mut start = 0;
    for (label, cloud) in snapshots.labels().iter().zip(snapshots.clouds()) {
        let cells: Vec<usize> = (start..start + cloud.len()).collect();
        start += cloud.len();
        by_time.rows.push(row(label, &cells));
    }
    let last = snapshots.clouds().last().map_or(0, Cloud::len);
    let before = known.labels.values.len() - last;
    let mut names: Vec<&str> = known.labels.values[..before]
        .iter()
        .map(|label| &**label)
        .collect();
    names.sort_unstable();
    names.dedup();
    let title = format!(
        "Mean probability of each fate, by {} before the last time",
        known.labels.name
    );
    let mut by_label = Table::new(title, &header("label"));
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let cells: Vec<usize> = (0..before)
            .filter(|i| *known.labels.values[*i] == *name)
            .collect();
        by_label.rows.push(row(name, &cells));
    }
    let mut parts = vec![Part::Text(format!(
        "Each point is moved to the last time and takes the labels of its nearest neighbours \
         there{}.",
        if grows {
            "; a point counts by the mass that comes of it"
        } else {
            ""
        }
    ))];
    parts.push(Part::Table(by_time));
    if !by_label.rows.is_empty() {
        parts.push(Part::Table(by_label));
    }
    if let Some(drivers) = drivers {
        let columns = [
            "fate",
            "gene",
            "correlation",
            "95 % from",
            "to",
            "q",
            "rate",
            "rate from",
            "rate to",
        ];
        let mut table = Table::new("Genes that go with each fate", &columns);
        for (fate, all) in told.names.iter().zip(drivers) {
            for driver in all.iter().take(DRIVERS) {
                let Some(found) = driver.association else {
                    continue;
                };
                let [low, high] = found.interval;
                let mut row = vec![Cell::text(fate), Cell::text(&driver.gene)];
                row.extend([found.correlation, low, high, found.q].map(Cell::from));
                row.extend(
                    driver
                        .rate
                        .map_or([(); 3].map(|()| Cell::Empty), |rate| rate.map(Cell::from)),
                );
                table.rows.push(row);
            }
        }
        if !table.rows.is_empty() {
            parts.push(Part::Table(table));
        }
    }
    Some(Section::new("Fates", parts))
}

fn data(run: &Run, snapshots: &Snapshots, held: &[usize], warnings: &[String]) -> Section {
    let mut table = Table::new(
        "Snapshots",
        &[
            "time",
            "points",
            "mass",
            "shift of the mean to the next",
            "of sampling alone",
            "chance",
            "used",
        ],
    );
    let motions = Motion::of(snapshots);
    for k in 0..snapshots.len() {
        let cloud = snapshots.cloud(k);
        let motion = motions.get(k).copied().flatten();
        table.rows.push(vec![
            Cell::text(&snapshots.labels()[k]),
            Cell::Count(snapshots.counts()[k] as usize),
            cloud.mass().into(),
            motion.map(|m| m.shift).into(),
            motion.map(|m| m.error).into(),
            motion.map(|m| m.chance).into(),
            Cell::text(if held.contains(&k) {
                "held out"
            } else {
                "fitted"
            }),
        ]);
    }
    let mut parts = vec![Part::Table(table)];
    parts.push(Part::Text(
        "Of sampling alone: how far the mean would move if nothing did. Chance: how often two samples \
         of one population differ as much."
            .to_owned(),
    ));
    let mut columns = Table::new("Columns", &["column"]);
    columns.rows = snapshots
        .columns()
        .iter()
        .map(|name| vec![Cell::text(name)])
        .collect();
    columns.folded = true;
    parts.push(Part::Table(columns));
    let sentence = |text: &String| format!("{}.", text.trim_end_matches('.'));
    if !warnings.is_empty() {
        parts.push(Part::Text("Warnings:".to_owned()));
        parts.push(Part::List(warnings.iter().map(sentence).collect()));
    }
    if !snapshots.notes().is_empty() {
        parts.push(Part::Text("Notes:".to_owned()));
        parts.push(Part::List(snapshots.notes().iter().map(sentence).collect()));
    }
    let source = run.source();
    parts.push(Part::Text(format!(
        "Data: {}. Hash: {}.",
        source.data, source.fingerprint
    )));
    Section::new("Data", parts)
}

/// How the objective fell: of any kind of run.
pub(super) fn log_table(log: &[Record]) -> Table {
    let mut table = Table::new(
        "Objective",
        &[
            "step",
            "objective",
            "smoothed",
            "gradient norm",
            "learning rate",
        ],
    );
    let steps: Vec<_> = log
        .iter()
        .filter_map(|record| match record {
            Record::Step(step) => Some(step),
            Record::Rollback(_) => None,
        })
        .collect();
    let mut rows = thinned(steps.len(), LINES);
    // The end of a fit is what counts.
    if let Some(last) = rows.last_mut() {
        *last = steps.len() - 1;
    }
    for step in rows.into_iter().map(|k| steps[k]) {
        let mut row = vec![Cell::Count(step.step)];
        row.extend(
            [
                step.loss,
                step.smoothed,
                step.gradient_norm,
                step.learning_rate,
            ]
            .map(Cell::from),
        );
        table.rows.push(row);
    }
    table.folded = true;
    table
}

fn fit(run: &Run, pictures: &Pictures) -> Result<Section> {
    let log = run.log()?;
    let mut parts = vec![];
    parts.extend(pictures.part(
        "loss",
        "The objective on the batch of each step, and its level.",
    ));
    parts.push(Part::Text(
        "The objective falls to minus the action of the motion: how low it is says nothing by \
         itself, and a level line at the end says that the fit is done."
            .to_owned(),
    ));
    let rollbacks: Vec<String> = log
        .iter()
        .filter_map(|record| match record {
            Record::Rollback(back) => Some(format!(
                "{}; rolled back to step {} with {} times the learning rate.",
                back.reason, back.to, back.rate_factor
            )),
            Record::Step(_) => None,
        })
        .collect();
    if !rollbacks.is_empty() {
        parts.push(Part::List(rollbacks));
    }
    parts.push(Part::Table(log_table(&log)));
    Ok(Section::new("The fit", parts))
}

/// All settings, and what repeats the run: of any kind of run.
pub(super) fn how(run: &Run, toml: String, commands: &[String]) -> Section {
    let mut parts = vec![];
    if !commands.is_empty() {
        parts.push(Part::Code {
            title: "Commands".to_owned(),
            text: commands.join("\n"),
            file: None,
        });
    }
    parts.push(Part::Code {
        title: "Settings".to_owned(),
        text: toml,
        file: Some("settings.toml".to_owned()),
    });
    parts.push(Part::Text(format!(
        "Made by actum {}, reported by actum {}, seed {}. The same data, settings and version give \
         the same bits on a CPU.",
        run.source().version,
        env!("CARGO_PKG_VERSION"),
        run.settings().fit().seed
    )));
    Section::new("Settings, and how to repeat it", parts)
}

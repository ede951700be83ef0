//! A fit that is running, in a page.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    Cell, Chart, Part, Report, Section, Table, html,
    parts::{number, thousands},
    snapshots::{COMPARED, some},
};
use crate::{
    action::{Device, Saved},
    data::Snapshots,
    dynamics::Dynamics,
    error::Result,
    lagrangian::Lagrangian,
    plot::{LossPoint, loss},
    run::{Record, Run, Schema, Scored},
    units::Units,
};

/// A fit that is watched from its files.
pub struct Follower {
    run: Run,
    watched: Option<Watched>,
    /// What its last checkpoint predicts.
    scored: Vec<Scored>,
    /// The step of that checkpoint.
    step: usize,
}

/// What a checkpoint lacks of a motion, and real points to compare it with.
struct Watched {
    network: Saved,
    lagrangian: Lagrangian,
    units: Units,
    few: Snapshots,
    held: Vec<usize>,
}

impl Follower {
    /// Of a run, and of snapshots as it [sees](Run::view) them, whose held-out times are predicted
    /// from at most 2,000 of their points. Without snapshots nothing is predicted.
    ///
    /// # Errors
    /// Snapshots that the settings do not fit; a run of images with snapshots.
    pub fn new(run: &Run, seen: Option<&Snapshots>) -> Result<Self> {
        Ok(Self {
            run: run.clone(),
            watched: seen.map(|seen| Watched::new(run, seen)).transpose()?,
            scored: vec![],
            step: 0,
        })
    }

    /// How far it has come.
    ///
    /// # Errors
    /// Files that are damaged.
    pub fn progress(&mut self) -> Result<Progress> {
        let step = self.run.steps_done()?;
        if let Some(watched) = self.watched.as_ref().filter(|_| step != self.step) {
            self.scored = watched.scored(&self.run)?;
            self.step = step;
        }
        Progress::of(&self.run, &self.scored)
    }
}

impl Watched {
    fn new(run: &Run, seen: &Snapshots) -> Result<Self> {
        let (settings, _) = run.snapshots()?;
        let problem = settings.problem(seen.into(), &mut ())?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.fit.seed);
        let network = settings.architecture().engine(problem.shape(), &mut rng)?;
        let units = problem.units().clone();
        let [begin, end] = units.span();
        let inside = |k: &usize| (begin..=end).contains(&seen.times()[*k]) && *k > 0;
        Ok(Self {
            network: network.saved().expect("a network of this library"),
            lagrangian: problem.lagrangian().clone(),
            units,
            held: run.held_in(seen)?.into_iter().filter(inside).collect(),
            few: some(seen, COMPARED)?,
        })
    }

    fn scored(&self, run: &Run) -> Result<Vec<Scored>> {
        let mut network = self.network.blank(self.units.dimension(), usize::MAX)?;
        run.checkpoint()?.average_into(&mut *network)?;
        let network = Device::cpu().place(network)?;
        let dynamics = Dynamics::new(network, self.lagrangian.clone(), self.units.clone())?;
        run.score(&dynamics, &self.few, None, &self.held)
    }
}

/// How far a fit has come, as parts of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    parts: Vec<Part>,
}

impl Progress {
    fn of(run: &Run, scored: &[Scored]) -> Result<Self> {
        let steps = run.steps_done()?;
        let all = run.settings().fit().steps;
        let log = if steps > 0 { run.log()? } else { vec![] };
        let mut parts = vec![];
        let level = Record::last_step(&log).map(|step| step.smoothed);
        parts.push(Part::Text(format!(
            "{} of {} steps are saved{}.",
            thousands(steps),
            thousands(all),
            level.map_or(String::new(), |level| format!(
                ", objective {}",
                number(level)
            ))
        )));
        let points: Vec<LossPoint> = log
            .iter()
            .filter_map(|record| match record {
                Record::Step(step) => Some(LossPoint {
                    step: step.step,
                    loss: step.loss,
                    smooth: Some(step.smoothed),
                }),
                Record::Rollback(_) => None,
            })
            .collect();
        if !points.is_empty() {
            let about = "The objective on the batch of each step, and its level.";
            parts.push(Part::Chart(Chart::new(
                &loss("Objective", &points, &[])?,
                about,
            )));
        }
        for Scored { score, .. } in scored {
            let title = format!(
                "From {} to {}, as of the last checkpoint",
                score.from, score.at
            );
            let mut table = Table::new(title, &["row", "W1", "energy"]);
            for (name, d) in score.rows() {
                table
                    .rows
                    .push(vec![Cell::text(name), d.w1.into(), d.energy.into()]);
            }
            table.result = Some(0);
            parts.push(Part::Table(table));
        }
        Ok(Self { parts })
    }

    /// What changes of the page.
    pub fn html(&self) -> String {
        html::of_parts(&self.parts)
    }

    /// A page that has nothing but this, while the fit is running.
    pub fn page(&self, run: &Run) -> String {
        let report = Report {
            title: "A fit in progress".to_owned(),
            about: format!("Data: {}. This page follows the fit.", run.source().data),
            summary: vec![],
            scene: None,
            sections: Vec::<Section>::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        report.following(self)
    }
}

//! A fit that is running, in a page.

use super::{
    Cell, Chart, Part, Report, Section, Table, html,
    parts::{number, thousands},
    snapshots::{COMPARED, some},
};
use crate::{
    action::Device,
    data::Snapshots,
    error::Result,
    plot::{LossPoint, loss},
    run::{Record, Run, Scored},
};

/// A fit that is watched from its files.
pub struct Follower {
    run: Run,
    /// Real points to compare predictions with.
    few: Option<Snapshots>,
    /// What the last checkpoint predicts.
    scored: Vec<Scored>,
    /// The step of that checkpoint.
    step: usize,
}

impl Follower {
    /// Of a run, and of snapshots as it [sees](Run::view) them, whose held-out times are predicted
    /// from at most 2,000 of their points. Without snapshots nothing is predicted.
    ///
    /// # Errors
    /// Snapshots without mass.
    pub fn new(run: &Run, seen: Option<&Snapshots>) -> Result<Self> {
        Ok(Self {
            run: run.clone(),
            few: seen.map(|seen| some(seen, COMPARED)).transpose()?,
            scored: vec![],
            step: 0,
        })
    }

    /// How far it has come.
    ///
    /// # Errors
    /// Files that are damaged; a run of images with snapshots.
    pub fn progress(&mut self) -> Result<Progress> {
        let step = self.run.steps_done()?;
        if let Some(few) = self.few.as_ref().filter(|_| step != self.step) {
            self.scored = scored(&self.run, few)?;
            self.step = step;
        }
        Progress::of(&self.run, step, &self.scored)
    }
}

fn scored(run: &Run, few: &Snapshots) -> Result<Vec<Scored>> {
    let dynamics = run.checkpoint()?.dynamics(&Device::cpu())?;
    let [begin, end] = dynamics.units.span();
    let inside = |k: &usize| (begin..=end).contains(&few.times()[*k]) && *k > 0;
    let held: Vec<usize> = run.held_in(few)?.into_iter().filter(inside).collect();
    run.score(&dynamics, few, None, &held)
}

/// How far a fit has come, as parts of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    parts: Vec<Part>,
}

impl Progress {
    fn of(run: &Run, steps: usize, scored: &[Scored]) -> Result<Self> {
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

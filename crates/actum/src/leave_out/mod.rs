//! Predictions of times that were left out, beside reference rows: which method suits these data.
//!
//! Every time between the first and the last is left out in turn. Each [`Method`] is fitted to the
//! snapshots that remain and predicts the one that is missing, in up to three ways ([`Protocol`]).
//! Nothing of a left-out time enters a fit: it is given [`Snapshots`] without that time. Only the
//! ruler that a score is read from, the scale of standardised columns, knows all times, so that all
//! rows are measured alike; with a second time left out inside, to choose among the methods
//! ([`Options::nested`]), the ruler of the choice does not know the time it is made for either.
//!
//! An [`Evaluation`] is a list of [jobs](Evaluation::jobs). Each is a pure function of the data and
//! the settings ([`Evaluation::compute`]), so jobs may run in any order, on any machine, and be
//! kept as files; [`Evaluation::report`] makes the tables of what they found.
//!
//! ```
//! use std::ops::ControlFlow;
//! use actum::{gallery::Branching, leave_out::{Evaluation, Method, Options}, problem::DataOptions};
//!
//! let snapshots = Branching.snapshots(&[0.0, 6.0, 20.0, 48.0], 40, 0)?;
//! let mut clocked = Method::named("clocked")?;
//! clocked.settings.fit.steps = 20;
//! clocked.settings.network.width = 16;
//! let evaluation = Evaluation::new(
//!     &snapshots, &DataOptions::default(), vec![clocked], Options::default(),
//! )?;
//! let report = evaluation.run(None, &|_| ControlFlow::Continue(()))?;
//! assert_eq!(report.times, ["6", "20"]);
//! // The energy distance of linear transport: a reference row, so nothing was fitted for it.
//! let linear = report.tables[0].line("linear transport").unwrap();
//! assert!(linear.mean.as_ref().unwrap().unbiased_energy.mean > 0.0);
//! # Ok::<(), actum::Error>(())
//! ```

mod folder;
mod job;
mod measure;
mod method;
#[cfg(feature = "plot")]
mod picture;
mod report;
mod words;
mod workers;

use serde::{Deserialize, Serialize};

pub use job::{Job, Outcome, Row, Source, Work};
pub use measure::{Chance, Measured};
pub use method::Method;
#[cfg(feature = "plot")]
pub use picture::picture;
pub use report::{Calibration, Difference, Estimate, Line, Means, Point, Report, Table};
pub use workers::{Progress, Share};

use crate::{
    action::Device,
    data::Snapshots,
    error::{Error, Result, ensure},
    problem::DataOptions,
    run::{Schema, Settings, SnapshotSettings},
};

/// From where points are moved to a left-out time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The real points of the last time before that was not left out, moved forward. P1 of the
    /// field's tables.
    Previous,
    /// The real points of the first time, moved all the way. P2 of the field's tables.
    First,
    /// Those of the time before, moved forward, and those of the time after, moved backward, mixed
    /// by the nearness of the two times. It knows what linear transport knows. A motion with noise
    /// has none, for noise is not moved backward.
    Both,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Previous, Self::First, Self::Both];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Previous => "previous",
            Self::First => "first",
            Self::Both => "both",
        }
    }
}

/// How an evaluation goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// From where points are moved; at least one. The first is what a recommendation goes by.
    pub protocols: Vec<Protocol>,
    /// How many fits there are of every method at every time, from seeds that count up from that of
    /// its settings; at least 1.
    pub seeds: usize,
    /// Leaves out a second time inside, in turn, and chooses for every left-out time the method
    /// that predicts these best: an honest score of choosing. It needs four times.
    pub nested: bool,
    /// The most points of a cloud that distances are taken of, at least 20; of more so many at
    /// random.
    pub points: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocols: vec![Protocol::Previous, Protocol::Both],
            seeds: 1,
            nested: false,
            points: 10_000,
        }
    }
}

/// What is to be evaluated.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// With the chosen columns and masses.
    snapshots: Snapshots,
    data: DataOptions,
    methods: Vec<Method>,
    options: Options,
}

impl Evaluation {
    /// An evaluation of `methods` on `snapshots` as `data` sees them.
    ///
    /// # Errors
    /// Fewer than three times, and fewer than four with [`nested`](Options::nested); no interior
    /// time with four points or more; options outside of their range; two methods of one name;
    /// settings of a method that do not fit the data, or whose table `data` is neither left out nor
    /// that of the evaluation: methods are compared on the same numbers.
    pub fn new(
        snapshots: &Snapshots,
        data: &DataOptions,
        methods: Vec<Method>,
        options: Options,
    ) -> Result<Self> {
        let times = snapshots.len();
        ensure!(
            times >= 3,
            Value,
            "an evaluation leaves out the times between the first and the last in turn, and there \
             are none: the data have {times} ({})",
            snapshots.labels().join(", ")
        );
        ensure!(
            times >= 4 || !options.nested,
            Value,
            "choosing leaves out two times between the first and the last, which needs four times or \
             more; there are {times} ({}). Without it the methods are compared at the one time {}",
            snapshots.labels().join(", "),
            snapshots.labels()[1]
        );
        ensure!(
            data.hold_out.is_empty(),
            Setting,
            "an evaluation leaves out every time in turn: leave `hold_out` out, got {}",
            data.hold_out.join(", ")
        );
        ensure!(
            !options.protocols.is_empty() && options.seeds > 0 && options.points >= 20,
            Setting,
            "expected a protocol or more, a seed or more and 20 points or more, got {} protocols, \
             {} seeds and {} points",
            options.protocols.len(),
            options.seeds,
            options.points
        );
        let mut protocols = vec![];
        for protocol in &options.protocols {
            if !protocols.contains(protocol) {
                protocols.push(*protocol);
            }
        }
        let seen = data.view(snapshots)?;
        for k in 1..times - 1 {
            let count = seen.cloud(k).len();
            ensure!(
                count >= 4,
                Value,
                "scoring needs four points or more at every time between the first and the last; \
                 time {} has {count}",
                seen.labels()[k]
            );
        }
        let own = DataOptions {
            standardize: data.standardize,
            keys: data.keys.clone(),
            ..DataOptions::default()
        };
        let mut ready: Vec<Method> = vec![];
        for mut method in methods {
            let name = method.name.clone();
            ensure!(
                ready.iter().all(|other| other.name != name),
                Setting,
                "two methods are called {name}: give one of them another name"
            );
            let written = method.settings.data.clone();
            if written != DataOptions::default() && written != *data {
                let with = |data: &DataOptions| {
                    let mut settings = method.settings.clone();
                    settings.data = data.clone();
                    Settings::Snapshots(settings)
                };
                ensure!(
                    false,
                    Setting,
                    "method {name}: methods are compared on the same numbers, so its table `data` \
                     is left out, or is that of the evaluation: {}",
                    with(&written).differences(&with(data)).join(", ")
                );
            }
            method.settings.data = own.clone();
            // Machines that multiply otherwise must not add to one evaluation in silence.
            let network = method.settings.architecture();
            let precision = Device::cpu().precision(network, method.settings.fit.precision);
            method.settings.fit.precision = precision;
            let checked = method.settings.check().and_then(|()| {
                ensure!(
                    !method.settings.lagrangian.drift || seen.velocities().is_some(),
                    Setting,
                    "a drift needs velocities of the points, and the data have none"
                );
                Ok(())
            });
            checked.map_err(|e| e.within(format_args!("method {name}")))?;
            ready.push(method);
        }
        Ok(Self {
            snapshots: seen,
            data: own,
            methods: ready,
            options: Options {
                protocols,
                ..options
            },
        })
    }

    /// The methods, with the data options of the evaluation.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The settings of a method for a fit to all times.
    ///
    /// # Errors
    /// No method of this name.
    pub fn settings(&self, method: &str) -> Result<SnapshotSettings> {
        let names = || self.methods.iter().map(|method| &method.name);
        let found = self.methods.iter().find(|known| known.name == method);
        let found =
            found.ok_or_else(|| Error::missing(format!("the method `{method}`"), names()))?;
        found.settings_for(&self.snapshots, 0)
    }

    /// The data as they are seen.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// The indices of the times that are left out in turn.
    fn interior(&self) -> std::ops::Range<usize> {
        1..self.snapshots.len() - 1
    }
}

#[cfg(test)]
mod tests;

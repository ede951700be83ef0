//! The list of jobs, and what each computes.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, Axis, concatenate};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Protocol,
    measure::{Chance, Measured, measure},
};
use crate::{
    cloud::Cloud,
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    evaluate::{self, expected},
    fit::{self, Observer, Rollback, Step},
    flow::{Scheme, simulate},
    path::{Coupling, Interpolant, Interpolation},
    problem::Population,
    run::Schema,
    units::Units,
};

/// The seed of all that is random in a score, fixed so that evaluations can be compared.
pub(super) const SEED: u64 = 0;

/// A part of an evaluation that needs no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The indices of the times that are left out: one, or two for a choice.
    pub left_out: Vec<usize>,
    /// What is done without them.
    pub work: Work,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The rows that nothing is fitted for.
    References,
    /// Fits a method.
    Fit {
        /// Its index.
        method: usize,
        /// How many seeds come before.
        seed: u64,
    },
}

/// Where a prediction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The snapshot before, not moved.
    Previous,
    /// The snapshot after, not moved.
    Next,
    /// Optimal transport between the two, at the fraction of the time.
    Linear,
    /// The clocked spline through whole optimal plans.
    Clocked,
    /// What a perfect prediction of as many points as the snapshot before would have, see
    /// [`expected`].
    TwoSamples,
    /// A fitted method moved points.
    Fitted {
        /// Its index.
        method: usize,
        /// How many seeds come before.
        seed: u64,
        /// From where.
        protocol: Protocol,
    },
}

/// A prediction of one left-out time, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The index of the time.
    pub at: usize,
    /// Where the prediction comes from.
    pub source: Source,
    /// How far it is from the real points.
    pub measured: Measured,
}

/// What a job found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// A row for every left-out time and source.
    pub rows: Vec<Row>,
    /// Why the fit or its motion diverged, where it did; then there are no rows.
    pub failed: Option<String>,
}

impl Evaluation {
    /// The jobs, in an order that the data and the settings decide.
    pub fn jobs(&self) -> Vec<Job> {
        let interior: Vec<usize> = self.interior().collect();
        let mut jobs: Vec<Job> = interior
            .iter()
            .map(|at| Job {
                left_out: vec![*at],
                work: Work::References,
            })
            .collect();
        let mut left_out: Vec<Vec<usize>> = interior.iter().map(|at| vec![*at]).collect();
        if self.options.nested {
            let pairs = interior.iter().flat_map(|&at| {
                let later = interior.iter().filter(move |other| **other > at);
                later.map(move |&other| vec![at, other])
            });
            left_out.extend(pairs);
        }
        for seed in 0..self.options.seeds as u64 {
            for left_out in &left_out {
                for method in 0..self.methods.len() {
                    jobs.push(Job {
                        left_out: left_out.clone(),
                        work: Work::Fit { method, seed },
                    });
                }
            }
        }
        jobs
    }

    /// Does a job: a pure function of the data and the settings. `step` is told of every step of a
    /// fit, by how many it is further, and can stop it.
    ///
    /// # Errors
    /// Stopped (`Interrupted`); what a fit and distances refuse. What diverged is no error.
    pub fn compute(
        &self,
        job: &Job,
        step: &mut dyn FnMut(i64) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let rows = match job.work {
            Work::References => self.references(&job.left_out),
            Work::Fit { method, seed } => self.predictions(job, method, seed, step),
        };
        let (rows, failed) = match rows {
            Ok(rows) => (rows, None),
            Err(error) if error.kind() == ErrorKind::Diverged => (vec![], Some(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(Outcome {
            job: job.clone(),
            rows,
            failed,
        })
    }

    /// Fits a method without the times `left_out`, which it is not given: so the result has the
    /// bits of a fit to a file that never had them.
    ///
    /// # Errors
    /// As [`fit`](crate::fit::fit()).
    ///
    /// # Panics
    /// A method that there is not.
    pub fn fit(
        &self,
        left_out: &[usize],
        method: usize,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Dynamics> {
        let training = self.snapshots.without(left_out)?;
        let settings = self.methods[method].settings_for(&training, seed)?;
        let problem = settings.problem(Population::from(&training), observer)?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.fit.seed);
        let network = settings.architecture().engine(problem.shape(), &mut rng)?;
        fit::fit(network, &problem, &settings.fit, observer)
    }

    fn predictions(
        &self,
        job: &Job,
        method: usize,
        seed: u64,
        step: &mut dyn FnMut(i64) -> ControlFlow<()>,
    ) -> Result<Vec<Row>> {
        let dynamics = self.fit(&job.left_out, method, seed, &mut Steps { step })?;
        let mut rows = vec![];
        for &at in &job.left_out {
            let target = self.target(&job.left_out, at)?;
            for &protocol in &self.options.protocols {
                let Some(cloud) = self.moved(&dynamics, &job.left_out, at, protocol)? else {
                    continue;
                };
                rows.push(Row {
                    at,
                    source: Source::Fitted {
                        method,
                        seed,
                        protocol,
                    },
                    measured: target.measure(&cloud, self.options.points)?,
                });
            }
        }
        Ok(rows)
    }

    /// The prediction of a motion for time `at`; None where the protocol has none.
    fn moved(
        &self,
        dynamics: &Dynamics,
        left_out: &[usize],
        at: usize,
        protocol: Protocol,
    ) -> Result<Option<Cloud>> {
        let times = self.snapshots.times();
        let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
        let push = |from: usize| {
            let start = self.snapshots.cloud(from);
            let moved = simulate(dynamics, start, times[from], &[times[at]], scheme, SEED)?;
            moved.cloud(0)
        };
        let [before, after] = self.neighbours(at, left_out);
        Ok(Some(match protocol {
            Protocol::Previous => push(before)?,
            Protocol::First => push(0)?,
            Protocol::Both if dynamics.lagrangian.is_noisy() => return Ok(None),
            Protocol::Both => {
                let fraction = (times[at] - times[before]) / (times[after] - times[before]);
                mixed(&push(before)?, &push(after)?, fraction)?
            }
        }))
    }

    /// The seen times around a left-out one, which is neither the first nor the last.
    fn neighbours(&self, at: usize, left_out: &[usize]) -> [usize; 2] {
        evaluate::neighbours(&self.snapshots, at, left_out)
            .map(|seen| seen.expect("the first and the last time are never left out"))
    }

    fn references(&self, left_out: &[usize]) -> Result<Vec<Row>> {
        let training = self.snapshots.without(left_out)?;
        let scale = Units::of(&training, self.data.standardize)?.scale();
        let join =
            |interpolation| Interpolant::new(&training, Coupling::Exact, interpolation, &scale);
        let lines = join(Interpolation::Linear)?;
        let whole: Vec<Cloud> = left_out
            .iter()
            .map(|at| lines.whole(self.snapshots.times()[*at]))
            .collect::<Result<_>>()?;
        let splines = lines.interpolated(Interpolation::Clocked)?;
        let mut rows = vec![];
        for (&at, linear) in left_out.iter().zip(whole) {
            let target = self.target(left_out, at)?;
            let [before, after] = self.neighbours(at, left_out);
            let clocked = splines.whole(self.snapshots.times()[at])?;
            let [previous, next] = [before, after].map(|k| self.snapshots.cloud(k).clone());
            let size = previous
                .effective_sample_size()
                .min(self.options.points as f64);
            for (source, cloud) in [
                (Source::Previous, previous),
                (Source::Next, next),
                (Source::Linear, linear),
                (Source::Clocked, clocked),
            ] {
                rows.push(Row {
                    at,
                    source,
                    measured: target.measure(&cloud, self.options.points)?,
                });
            }
            rows.push(Row {
                at,
                source: Source::TwoSamples,
                measured: Measured {
                    distances: expected(&target.real, size)?,
                    unbiased_energy: 0.0,
                    w1_chance: Chance::default(),
                    energy_chance: Chance::default(),
                },
            });
        }
        Ok(rows)
    }

    /// The real points of a left-out time and the ruler for it, which knows no other left-out
    /// time.
    fn target(&self, left_out: &[usize], at: usize) -> Result<Target> {
        let others: Vec<usize> = left_out.iter().copied().filter(|k| *k != at).collect();
        let known = self.snapshots.without(&others)?;
        let scale = Units::of(&known, self.data.standardize)?.scale();
        let real = self.snapshots.cloud(at);
        let real = if real.len() > self.options.points {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED);
            let mut rows = index::sample(&mut rng, real.len(), self.options.points).into_vec();
            rows.sort_unstable();
            real.select(&rows)?.with_mass(real.mass())?
        } else {
            real.clone()
        };
        let center = real.mean();
        Ok(Target {
            real: real.rescaled(&center, &scale),
            center,
            scale,
        })
    }
}

/// What predictions of a time are compared with.
struct Target {
    /// In units of distance.
    real: Cloud,
    center: Array1<f64>,
    scale: Array1<f64>,
}

impl Target {
    fn measure(&self, predicted: &Cloud, points: usize) -> Result<Measured> {
        let drawn = if predicted.len() > points {
            predicted.resample(points, &mut ChaCha8Rng::seed_from_u64(SEED))?
        } else {
            predicted.clone()
        };
        measure(&drawn.rescaled(&self.center, &self.scale), &self.real)
    }
}

/// A share `1 - fraction` of the first cloud and a share `fraction` of the second, with the mass
/// between theirs at a constant rate of growth.
fn mixed(a: &Cloud, b: &Cloud, fraction: f64) -> Result<Cloud> {
    let points: Array2<f64> = concatenate![Axis(0), *a.points(), *b.points()];
    let share = |cloud: &Cloud, share: f64| cloud.weights() * (share / cloud.mass());
    let weights = concatenate![Axis(0), share(a, 1.0 - fraction), share(b, fraction)];
    let mass = a.mass().powf(1.0 - fraction) * b.mass().powf(fraction);
    Cloud::weighted(points, weights)?.with_mass(mass)
}

/// Tells how far a fit is.
struct Steps<'a> {
    step: &'a mut dyn FnMut(i64) -> ControlFlow<()>,
}

impl Observer for Steps<'_> {
    fn step(&mut self, _step: &Step) -> ControlFlow<()> {
        (self.step)(1)
    }

    fn rollback(&mut self, rollback: &Rollback) {
        // Whether to stop is asked at the next step.
        let _ = (self.step)(rollback.to as i64 - rollback.from as i64);
    }
}

//! The only loss: `L(s)` of docs/mathematics.md, section 2, from one batch of samples.

use std::ops::Range;

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    action::{At, Choice, Curvature, Engine, Interior, Rows, rademacher},
    error::{Result, ensure},
    path::{Masses, Path},
    problem::{Estimator, Problem},
};

/// The most dimensions in which the Laplacian of the noise is the sum over all of them. There it at
/// most doubles the products of a step: each direction costs three products beside the six of the
/// rest. Beyond, one vector of random signs for every point stands for it (Hutchinson 1989).
pub const EXACT_LAPLACIAN: usize = 2;

/// What one estimate of the objective is made from, in the network's units.
pub struct Batch {
    /// Interior times in [0, 1], `[n]`.
    pub times: Vec<f64>,
    /// The density the times were drawn with, `[n]`.
    pub density: Vec<f64>,
    points: Array2<f64>,
    /// What is added to `grad c*(grad s)` for the direction of the push: the known drift less the
    /// velocity of the path, `[n, d]`.
    shift: Option<Array2<f64>>,
    /// The weight of every interior term, times the mass of its point, `[n]`.
    weights: Vec<f64>,
    /// What multiplies `s` itself, `[n]`: `w'`, or the growth of the path.
    source: Option<Vec<f64>>,
    /// The lambda of growth, `[n]`.
    growth: Option<Vec<f64>>,
    noise: Option<Diffusion>,
    boundary: Vec<Boundary>,
    /// The points of the whole batch of which this is a part.
    of: usize,
}

/// The noise at the interior points.
struct Diffusion {
    /// `sigma^2 / 2`, `[n]`.
    half_variance: Vec<f64>,
    /// Directions for the Laplacian, `[n, d]`; none for all coordinates.
    probes: Option<Array2<f64>>,
}

struct Boundary {
    time: f64,
    points: Array2<f64>,
    /// The signed weight of every point, times its mass, `[n]`.
    weights: Vec<f64>,
}

/// One estimate of the objective whose gradient was asked for.
pub struct ObjectiveValue {
    /// The value of the objective, in the network's units.
    pub value: f64,
    /// The interior term at every point before it is divided by the density, `[n]`.
    pub interior: Vec<f64>,
}

/// The objective of Action Matching for a [`Problem`], by one of its two estimators.
///
/// With `v = grad c*(grad s)` and `s` itself held constant where they multiply, the gradient of
/// the interior term is that of one directional derivative of `s`, along `(1, v + b)` for
/// [samples](Estimator::Samples) and `(0, v + b - dX/dt)` for [velocities](Estimator::Velocity),
/// plus second derivatives for noise and `s` itself for growth (docs/mathematics.md, section 3).
/// So first-order autodiff is enough.
pub struct Objective<'a> {
    problem: &'a Problem<'a>,
    estimator: Estimator,
}

impl<'a> Objective<'a> {
    /// The objective of a problem by one of the estimators.
    ///
    /// # Errors
    /// An estimator that the problem is not made for, or velocities of a path that has none; units of another dimension or another span
    /// of times than the path; a path with mass under a Lagrangian without growth; a metric of
    /// another dimension; a weight in time that is negative or not finite.
    pub fn new(problem: &'a Problem<'a>, estimator: Estimator) -> Result<Self> {
        problem.check_estimator(estimator)?;
        let (path, lagrangian) = (problem.path(), problem.lagrangian());
        let (units, weight) = (problem.units(), problem.weight());
        ensure!(
            estimator == Estimator::Samples || path.has_velocity(),
            Setting,
            "the estimator `velocity` needs a path with velocities and this one has none; \
             use `samples`"
        );
        ensure!(
            path.dimension() == units.dimension(),
            Shape,
            "the path has {} columns, the units {}",
            path.dimension(),
            units.dimension()
        );
        let (path_span, units_span) = (path.span(), units.span());
        let slack = 1e-9 * (path_span[1] - path_span[0]);
        ensure!(
            (0..2).all(|i| (path_span[i] - units_span[i]).abs() <= slack),
            Value,
            "the path runs over {path_span:?}, the units over {units_span:?}; they must agree"
        );
        ensure!(
            lagrangian.grows() || !path.has_mass(),
            Setting,
            "the mass of the path changes, which needs growth in the Lagrangian; add it, or give \
             all snapshots the same mass (`Snapshots::with_masses`)"
        );
        lagrangian.check(path.dimension())?;
        weight.check(path_span)?;
        let objective = Self { problem, estimator };
        objective.probe()?;
        Ok(objective)
    }

    /// Whether draws of the path are as promised and the drift is finite on them.
    fn probe(&self) -> Result<()> {
        let (path, lagrangian) = (self.problem.path(), self.problem.lagrangian());
        let times = path.span();
        let draw = path.sample(&times, &mut ChaCha8Rng::seed_from_u64(0));
        let has_rates = draw.masses.as_ref().is_none_or(|m| m.rates.is_some());
        ensure!(
            self.estimator == Estimator::Samples || has_rates,
            Setting,
            "the estimator `velocity` needs the rates of the path's masses beside its velocities; \
             use `samples`"
        );
        if let Some(drift) = lagrangian.known_drift() {
            let known = drift.at(&times, draw.points.view());
            ensure!(
                known.iter().all(|b| b.is_finite()),
                Value,
                "the known drift must be finite, got {known} at {} and times {times:?}",
                draw.points
            );
        }
        Ok(())
    }

    /// The population.
    pub fn path(&self) -> &dyn Path {
        self.problem.path()
    }

    /// Draws a batch at `times` in [0, 1], `[n]`, that were drawn with `density`, `[n]` (ones for
    /// uniform times).
    pub fn batch(&self, times: Vec<f64>, density: Vec<f64>, rng: &mut dyn Rng) -> Batch {
        let n = times.len();
        self.part(0, n, times, density, rng)
    }

    /// Draws one part of a batch of `of` points, as [`batch`](Self::batch) does. The objective of a
    /// batch is the sum of those of its parts, and so is its gradient.
    pub(crate) fn part(
        &self,
        part: usize,
        of: usize,
        times: Vec<f64>,
        density: Vec<f64>,
        rng: &mut dyn Rng,
    ) -> Batch {
        let (path, lagrangian) = (self.problem.path(), self.problem.lagrangian());
        let path = path.part(part).unwrap_or(path);
        let (units, weight) = (self.problem.units(), self.problem.weight());
        let scaled = lagrangian.scaled(units);
        let samples_only = self.estimator == Estimator::Samples;
        let n = times.len();
        let [first, last] = path.span();
        let user_times: Vec<f64> = times
            .iter()
            .map(|t| units.time_out(*t).clamp(first, last))
            .collect();
        let draw = path.sample(&user_times, rng);
        let points = units.points_in(draw.points.view());
        let drift = scaled.drift(&times, points.view());
        let along = draw
            .velocities
            .filter(|_| !samples_only)
            .map(|v| units.velocities_in(&user_times, v.view()));
        let shift = match (drift, along) {
            (Some(drift), Some(along)) => Some(drift - along),
            (drift, along) => drift.or(along.map(|along| -along)),
        };

        let mass =
            |draw: &Option<Masses>, i: usize| draw.as_ref().map_or(1.0, |masses| masses.values[i]);
        let each = user_times.iter().enumerate();
        let (weights, source): (Vec<f64>, Vec<f64>) = each
            .map(|(i, t)| {
                let [weight, slope] = weight.at(*t);
                let mass = mass(&draw.masses, i);
                let rates = draw
                    .masses
                    .as_ref()
                    .and_then(|masses| masses.rates.as_ref());
                let source = match rates {
                    _ if samples_only => slope * mass,
                    Some(rates) => -weight * rates[i],
                    None => 0.0,
                };
                (weight * mass, source / units.rate(*t))
            })
            .unzip();

        let boundary = [(0.0, first, 1.0), (1.0, last, -1.0)]
            .into_iter()
            .map(|(time, t, sign)| (time, t, sign * weight.at(t)[0]))
            .filter(|(.., weight)| samples_only && *weight != 0.0)
            .map(|(time, t, weight)| {
                let draw = path.sample(&vec![t; n], rng);
                Boundary {
                    time,
                    points: units.points_in(draw.points.view()),
                    weights: (0..n).map(|i| weight * mass(&draw.masses, i)).collect(),
                }
            })
            .collect();
        let noise = lagrangian.is_noisy().then(|| Diffusion {
            half_variance: times
                .iter()
                .map(|t| 0.5 * scaled.sigma([*t, *t])[0].powi(2))
                .collect(),
            probes: (path.dimension() > EXACT_LAPLACIAN).then(|| rademacher(points.dim(), rng)),
        });
        Batch {
            points,
            shift,
            weights,
            source: Some(source).filter(|source| source.iter().any(|s| *s != 0.0)),
            growth: lagrangian
                .grows()
                .then(|| times.iter().map(|t| scaled.growth(*t)).collect()),
            noise,
            boundary,
            of,
            times,
            density,
        }
    }

    /// The objective of a network on a batch. Its gradient in the parameters is left in the engine.
    ///
    /// # Panics
    /// If the network is of another dimension than the batch.
    pub fn differentiate(&self, engine: &mut dyn Engine, batch: &Batch) -> ObjectiveValue {
        let (n, d) = batch.points.dim();
        let of = batch.of as f64;
        let coefficients = batch.coefficients();
        let boundary: Vec<[Vec<f64>; 2]> = batch
            .boundary
            .iter()
            .map(|side| {
                let weights = side.weights.iter().map(|w| w / of);
                [vec![side.time; n], weights.collect()]
            })
            .collect();
        let sides = batch.boundary.iter().zip(&boundary);
        let boundary: Vec<Rows> = sides
            .map(|(side, [times, coefficients])| Rows {
                times,
                points: side.points.view(),
                coefficients,
            })
            .collect();
        let interior = Interior {
            rows: Rows {
                times: &batch.times,
                points: batch.points.view(),
                coefficients: &coefficients,
            },
            dt: match self.estimator {
                Estimator::Samples => 1.0,
                Estimator::Velocity => 0.0,
            },
            curvature: batch.noise.as_ref().map(|noise| Curvature {
                weights: &noise.half_variance,
                probes: noise.probes.as_ref().map(|probes| probes.view()),
            }),
        };
        let choose = |rows: Range<usize>, at: At<'_>, choice: Choice<'_>| {
            let each = at.gradients.chunks_exact(d).zip(at.values);
            let directions = choice.directions.chunks_exact_mut(d);
            for (k, ((gradient, value), direction)) in each.zip(directions).enumerate() {
                (choice.excess[k], choice.values[k]) =
                    self.linearise(batch, rows.start + k, gradient, *value, direction);
            }
        };
        let terms = engine
            .step(interior, &boundary, &choose)
            .expect("a batch has the dimension of the action");
        let interior = batch.interior(&terms.interior, &terms.values);
        ObjectiveValue {
            value: batch.mean(&interior) + terms.boundary,
            interior,
        }
    }

    /// At interior point `i` with the gradient `p` `[d]` and value of the action: writes the
    /// direction of the push, `[d]`; returns by how much the directional derivative exceeds the
    /// interior term, and what multiplies `s` in the surrogate.
    fn linearise(
        &self,
        batch: &Batch,
        i: usize,
        p: &[f64],
        value: f64,
        direction: &mut [f64],
    ) -> (f64, f64) {
        let cost = self.problem.lagrangian().cost();
        cost.velocity(p, direction);
        let along: f64 = p.iter().zip(direction.iter()).map(|(p, v)| p * v).sum();
        let growth = batch.growth.as_ref().map_or(0.0, |growth| growth[i]);
        let excess = along - cost.conjugate(p) - 0.5 * growth * value * value;
        if let Some(shift) = &batch.shift {
            for (v, b) in direction.iter_mut().zip(shift.row(i)) {
                *v += b;
            }
        }
        let source = batch.source.as_ref().map_or(0.0, |source| source[i]);
        let weight = batch.weights[i] * growth * value + source;
        (excess, weight / (batch.of as f64 * batch.density[i]))
    }
}

impl Batch {
    /// What multiplies the directional derivative of every interior point, `[n]`.
    fn coefficients(&self) -> Vec<f64> {
        let n = self.of as f64;
        let each = self.weights.iter().zip(&self.density);
        each.map(|(weight, density)| weight / (n * density))
            .collect()
    }

    /// The interior term at every point from the directional derivatives less their excess, and
    /// the values.
    fn interior(&self, terms: &[f64], values: &[f64]) -> Vec<f64> {
        let each = terms.iter().enumerate();
        each.map(|(i, term)| {
            let source = self.source.as_ref().map_or(0.0, |source| source[i]);
            self.weights[i] * term + source * values[i]
        })
        .collect()
    }

    /// The integral over time of an interior term, or the part of it.
    fn mean(&self, interior: &[f64]) -> f64 {
        let each = interior.iter().zip(&self.density);
        let sum: f64 = each.map(|(term, density)| term / density).sum();
        sum / self.of as f64
    }
}

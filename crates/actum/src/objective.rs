//! The only loss: `L(s)` of docs/mathematics.md, section 2, from one batch of samples.

use std::{fmt, ops::Range, sync::Arc};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::{
        Action,
        fused::{
            At, Choice, Curvature, Direction, Directions, Interior, Network, Rows, Terms, Workspace,
        },
        parameters,
    },
    error::{Result, ensure},
    lagrangian::Lagrangian,
    path::{Masses, Path},
    tensor::{column, matrix, numbers},
    units::Units,
};

/// From what the objective is estimated. Both have the same minimiser and the same level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// From samples alone, with the two boundary terms:
    /// `w_0 E_q0[s_0] - w_1 E_q1[s_1] + int w E_qt[d_t s + H] + w' E_qt[s] dt`
    /// (Action Matching, equation 5).
    Samples,
    /// From the velocity of the path, integrated by parts along it:
    /// `int w E[H - dX/dt . grad s] dt`. No boundary terms and far less variance.
    Velocity,
}

/// The weight `w_t >= 0` of times in the objective, with its derivative, on top of that of the
/// [time warp](Units). It does not change what the best action is; where it is 0 at an end of the
/// span, that boundary is dropped.
#[derive(Clone, Default)]
pub struct Weight(Option<Arc<Function>>);

type Function = dyn Fn(f64) -> [f64; 2] + Send + Sync;

impl Weight {
    /// 1 at all times.
    pub fn uniform() -> Self {
        Self(None)
    }

    /// The function that returns `[w_t, dw_t/dt]`, in the user's time.
    pub fn new(weight: impl Fn(f64) -> [f64; 2] + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(weight)))
    }

    fn at(&self, t: f64) -> [f64; 2] {
        self.0.as_ref().map_or([1.0, 0.0], |weight| weight(t))
    }

    fn check(&self, [first, last]: [f64; 2]) -> Result<()> {
        let mut total = 0.0;
        for k in 0..=100 {
            let t = first + (last - first) * k as f64 / 100.0;
            let [weight, slope] = self.at(t);
            ensure!(
                weight.is_finite() && weight >= 0.0 && slope.is_finite(),
                Value,
                "the weight in time must be finite and not negative, and its derivative finite; \
                 at {t} they are {weight} and {slope}"
            );
            total += weight;
        }
        ensure!(total > 0.0, Value, "the weight in time is 0 at all times");
        Ok(())
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self.0 {
            None => "Weight(uniform)",
            Some(_) => "Weight(function)",
        })
    }
}

/// What is to be learned: the motion of a path, under a Lagrangian, in units.
pub struct Problem<'a> {
    /// The population.
    pub path: &'a dyn Path,
    /// What the action is charged for.
    pub lagrangian: Lagrangian,
    /// From the user's units to the network's.
    pub units: Units,
    /// How much every time counts.
    pub weight: Weight,
}

impl<'a> Problem<'a> {
    /// The motion of a path with all times alike.
    pub fn new(path: &'a dyn Path, lagrangian: Lagrangian, units: Units) -> Self {
        Self {
            path,
            lagrangian,
            units,
            weight: Weight::uniform(),
        }
    }

    /// The same with times of unequal weight.
    pub fn weighted(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }
}

/// How the Laplacian of the noise is computed, chosen by cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Laplacian {
    /// As the sum over the coordinate directions.
    Exact,
    /// By one Rademacher vector for every point (Hutchinson's estimator): no bias, more variance.
    Probe,
}

impl Laplacian {
    /// Exact in one and two dimensions. There it at most doubles the products of a step: each
    /// direction costs three products beside the six of the rest.
    pub fn of(dimension: usize) -> Self {
        if dimension <= 2 {
            Self::Exact
        } else {
            Self::Probe
        }
    }
}

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

/// One estimate of the objective.
pub struct Estimate {
    /// A graph whose gradient in the parameters is that of the objective, `[1]`.
    pub surrogate: Tensor<1>,
    /// The value of the objective, in the network's units.
    pub value: f64,
    /// The interior term at every point before it is divided by the density, `[n]`.
    pub interior: Vec<f64>,
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
    /// The velocity estimator on a path that has none; units of another dimension or another span
    /// of times than the path; a path with mass under a Lagrangian without growth; a metric of
    /// another dimension; a weight in time that is negative or not finite.
    pub fn new(problem: &'a Problem<'a>, estimator: Estimator) -> Result<Self> {
        let Problem {
            path,
            lagrangian,
            units,
            weight,
        } = problem;
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
        let Problem {
            path, lagrangian, ..
        } = self.problem;
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
        self.problem.path
    }

    /// Draws a batch at `times` in [0, 1], `[n]`, that were drawn with `density`, `[n]` (ones for
    /// uniform times).
    pub fn batch(&self, times: Vec<f64>, density: Vec<f64>, rng: &mut dyn Rng) -> Batch {
        let Problem {
            path,
            lagrangian,
            units,
            weight,
        } = self.problem;
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
            probes: (Laplacian::of(path.dimension()) == Laplacian::Probe)
                .then(|| rademacher(points.dim(), rng)),
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
            times,
            density,
        }
    }

    /// The objective of `action` on a batch. `frozen` is the same action without autodiff;
    /// `device` is where both live.
    pub fn estimate(
        &self,
        action: &impl Action,
        frozen: &impl Action,
        batch: &Batch,
        device: &Device,
    ) -> Estimate {
        let (n, d) = batch.points.dim();
        let times = column(&batch.times, device);
        let points = matrix(batch.points.view(), device);

        let gradients: Vec<f64> = numbers(frozen.gradient(times.clone(), points.clone()));
        let values: Vec<f64> = if batch.needs_values() {
            numbers(frozen.value(times.clone(), points.clone()))
        } else {
            vec![0.0; n]
        };
        let mut direction = Array2::zeros((n, d));
        let mut excess = vec![0.0; n];
        let mut value_weights = vec![0.0; n];
        let rows = direction
            .rows_mut()
            .into_iter()
            .zip(gradients.chunks_exact(d));
        for (i, (mut direction, p)) in rows.enumerate() {
            let direction = direction.as_slice_mut().expect("row-major");
            (excess[i], value_weights[i]) = self.linearise(batch, i, p, values[i], direction);
        }

        let dt = match self.estimator {
            Estimator::Samples => times.ones_like(),
            Estimator::Velocity => times.zeros_like(),
        };
        let dx = matrix(direction.view(), device);
        let mut tangent = action.push(times.clone(), points.clone(), dt, dx);
        if let Some(noise) = &batch.noise {
            let half_variance = column(&noise.half_variance, device);
            let along = |e: Array2<f64>| {
                let e = matrix(e.view(), device);
                half_variance.clone() * action.curvature(times.clone(), points.clone(), e)
            };
            tangent = match &noise.probes {
                Some(probes) => tangent + along(probes.clone()),
                None => (0..d).fold(tangent, |tangent, j| {
                    let mut unit = Array2::zeros((n, d));
                    unit.column_mut(j).fill(1.0);
                    tangent + along(unit)
                }),
            };
        }
        let terms: Vec<f64> = numbers(tangent.clone().without_autodiff());
        let interior = batch.interior(
            terms
                .iter()
                .zip(&excess)
                .map(|(term, excess)| term - excess),
            &values,
        );
        let mut surrogate = (tangent * column(&batch.coefficients(), device)).sum();
        if batch.needs_values() {
            let values = action.value(times, points);
            surrogate = surrogate + (values * column(&value_weights, device)).sum();
        }
        let mut outer = 0.0;
        for side in &batch.boundary {
            let weights: Vec<f64> = side.weights.iter().map(|w| w / n as f64).collect();
            let t = Tensor::full([n, 1], side.time, device);
            let sum = (action.value(t, matrix(side.points.view(), device))
                * column(&weights, device))
            .sum();
            outer += numbers::<f64, 1>(sum.clone().without_autodiff())[0];
            surrogate = surrogate + sum;
        }
        Estimate {
            surrogate,
            value: batch.mean(&interior) + outer,
            interior,
        }
    }

    /// The objective by [code of the action's own](Action::step), else by autodiff, with its
    /// gradient in the parameters, flat, in the order the network visits them.
    pub fn differentiate<A: Action + Module>(
        &self,
        action: &A,
        batch: &Batch,
        device: &Device,
    ) -> (ObjectiveValue, Vec<Tensor<1>>) {
        let own = self.by_rows(batch, |interior, boundary, direction| {
            action.step(interior, boundary, direction)
        });
        if let Some((value, gradient)) = own {
            let tensor = |values: Vec<f32>| Tensor::from_data(values.as_slice(), device);
            return (value, gradient.into_iter().map(tensor).collect());
        }
        let tracked = action.clone().train();
        let estimate = self.estimate(&tracked, action, batch, device);
        let gradients = estimate.surrogate.backward();
        let value = ObjectiveValue {
            value: estimate.value,
            interior: estimate.interior,
        };
        (value, parameters::gradients(&tracked, &gradients))
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
        let cost = self.problem.lagrangian.cost();
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
        (
            excess,
            weight / (batch.times.len() as f64 * batch.density[i]),
        )
    }

    /// The objective by the [fused](crate::action::fused) layout of an action, which leaves the
    /// gradient in `workspace`: the same as by [autodiff](Self::differentiate), sooner.
    ///
    /// # Panics
    /// If the network is of another dimension than the batch.
    pub fn differentiate_fused(
        &self,
        network: &Network,
        batch: &Batch,
        workspace: &mut Workspace,
    ) -> ObjectiveValue {
        let value = self.by_rows(batch, |interior, boundary, direction| {
            // Within the pool its parallel loops need no switch of threads.
            let terms = rayon::scope(|_| workspace.step(network, interior, boundary, direction));
            Some((terms.expect("a batch has the dimension of the action"), ()))
        });
        value.expect("the step has terms").0
    }

    /// The value from a step over the rows of a batch, with what else the step returns.
    fn by_rows<T>(
        &self,
        batch: &Batch,
        step: impl FnOnce(Interior<'_>, &[Rows<'_>], &Direction<'_>) -> Option<(Terms, T)>,
    ) -> Option<(ObjectiveValue, T)> {
        let (n, d) = batch.points.dim();
        let times = single(&batch.times);
        let points = single(&batch.points);
        let coefficients = single(&batch.coefficients());
        let boundary: Vec<[Vec<f32>; 3]> = batch
            .boundary
            .iter()
            .map(|side| {
                let weights = side.weights.iter().map(|w| (w / n as f64) as f32);
                [
                    vec![side.time as f32; n],
                    single(&side.points),
                    weights.collect(),
                ]
            })
            .collect();
        let boundary: Vec<Rows> = boundary
            .iter()
            .map(|[times, points, coefficients]| Rows {
                times,
                points,
                coefficients,
            })
            .collect();
        let diffusion = batch.noise.as_ref().map(|noise| {
            let probes = noise.probes.as_ref().map(single);
            (single(&noise.half_variance), probes)
        });
        let curvature = diffusion.as_ref().map(|(weights, probes)| Curvature {
            weights,
            directions: match probes {
                Some(probes) => Directions::Probes(probes),
                None => Directions::Axes,
            },
        });
        let direction = |rows: Range<usize>, at: At<'_>, choice: Choice<'_>| {
            let (mut p, mut v) = (vec![0.0; d], vec![0.0; d]);
            let each = at.gradients.chunks_exact(d).zip(at.values);
            for (k, (gradient, value)) in each.enumerate() {
                for (p, gradient) in p.iter_mut().zip(gradient) {
                    *p = f64::from(*gradient);
                }
                let value = f64::from(*value);
                let (excess, weight) = self.linearise(batch, rows.start + k, &p, value, &mut v);
                for (direction, v) in choice.directions[k * d..(k + 1) * d].iter_mut().zip(&v) {
                    *direction = *v as f32;
                }
                choice.excess[k] = excess as f32;
                choice.values[k] = weight as f32;
            }
        };
        let interior = Interior {
            rows: Rows {
                times: &times,
                points: &points,
                coefficients: &coefficients,
            },
            dt: match self.estimator {
                Estimator::Samples => 1.0,
                Estimator::Velocity => 0.0,
            },
            curvature,
        };
        let (terms, rest) = step(interior, &boundary, &direction)?;

        let values: Vec<f64> = terms.values.iter().map(|s| f64::from(*s)).collect();
        let interior = batch.interior(terms.interior.iter().map(|t| f64::from(*t)), &values);
        let signed = boundary.iter().flat_map(|rows| rows.coefficients);
        let outer: f64 = terms
            .boundary
            .iter()
            .zip(signed)
            .map(|(s, c)| f64::from(*s) * f64::from(*c))
            .sum();
        let value = ObjectiveValue {
            value: batch.mean(&interior) + outer,
            interior,
        };
        Some((value, rest))
    }
}

/// Signs at random, `[n, d]`: vectors e with `E[e e'] = I`.
pub(crate) fn rademacher(shape: (usize, usize), rng: &mut dyn Rng) -> Array2<f64> {
    let sign = |up| if up { 1.0 } else { -1.0 };
    Array2::from_shape_simple_fn(shape, || sign(rng.random()))
}

fn single<'a>(values: impl IntoIterator<Item = &'a f64>) -> Vec<f32> {
    values.into_iter().map(|x| *x as f32).collect()
}

impl Batch {
    /// Whether the objective depends on the action's values at interior points.
    fn needs_values(&self) -> bool {
        self.growth.is_some() || self.source.is_some()
    }

    /// What multiplies the directional derivative of every interior point, `[n]`.
    fn coefficients(&self) -> Vec<f64> {
        let n = self.times.len() as f64;
        let each = self.weights.iter().zip(&self.density);
        each.map(|(weight, density)| weight / (n * density))
            .collect()
    }

    /// The interior term at every point from the directional derivatives less their excess, and
    /// the values.
    fn interior(&self, terms: impl Iterator<Item = f64>, values: &[f64]) -> Vec<f64> {
        terms
            .enumerate()
            .map(|(i, term)| {
                let source = self.source.as_ref().map_or(0.0, |source| source[i]);
                self.weights[i] * term + source * values[i]
            })
            .collect()
    }

    /// The integral over time of an interior term.
    fn mean(&self, interior: &[f64]) -> f64 {
        let each = interior.iter().zip(&self.density);
        let sum: f64 = each.map(|(term, density)| term / density).sum();
        sum / interior.len() as f64
    }
}

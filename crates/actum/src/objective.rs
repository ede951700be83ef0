//! The only loss: `L(s)` of docs/mathematics.md, section 2, from one batch of samples.

use std::ops::Range;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use ndarray::Array2;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::{
        Action,
        fused::{Network, Rows, Workspace},
        parameters,
    },
    error::{Result, ensure},
    lagrangian::Lagrangian,
    path::Path,
    tensor::{column, matrix, numbers},
    units::Units,
};

/// From what the objective is estimated. Both have the same minimiser and the same level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// From samples alone, with the two boundary terms:
    /// `E_q0[s_0] - E_q1[s_1] + int E_qt[d_t s + c*(grad s)] dt` (Action Matching, equation 5).
    Samples,
    /// From the velocity of the path, integrated by parts along it:
    /// `int E[c*(grad s) - dX/dt . grad s] dt`. No boundary terms and far less variance.
    Velocity,
}

/// What is to be learned: the motion of a path, under a Lagrangian, in units.
pub struct Problem<'a> {
    /// The population.
    pub path: &'a dyn Path,
    /// What the action is charged for.
    pub lagrangian: Lagrangian,
    /// From the user's units to the network's.
    pub units: Units,
}

/// What one estimate of the objective is made from, in the network's units.
pub struct Batch {
    /// Interior times in [0, 1], `[n]`.
    pub times: Vec<f64>,
    /// The density the times were drawn with, `[n]`.
    pub density: Vec<f64>,
    points: Array2<f64>,
    velocities: Option<Array2<f64>>,
    boundary: Option<[Array2<f64>; 2]>,
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

/// One estimate of the objective with its gradient.
pub struct Derivative {
    /// The value of the objective, in the network's units.
    pub value: f64,
    /// The interior term at every point before it is divided by the density, `[n]`.
    pub interior: Vec<f64>,
    /// The gradient in the parameters, flat, in the order the network visits them.
    pub gradient: Vec<Tensor<1>>,
}

/// The objective of Action Matching for a [`Problem`], by one of its two estimators.
///
/// With `v = grad c*(grad s)` held constant, the gradient of the interior term is that of one
/// directional derivative of `s`: along `(1, v)` for [samples](Estimator::Samples), along
/// `(0, v - dX/dt)` for [velocities](Estimator::Velocity) (docs/mathematics.md, section 3). So
/// the two estimators differ in a direction and in the boundary terms, and first-order autodiff
/// is enough.
pub struct Objective<'a> {
    problem: &'a Problem<'a>,
    estimator: Estimator,
}

impl<'a> Objective<'a> {
    /// The objective of a problem by one of the estimators.
    ///
    /// # Errors
    /// The velocity estimator on a path that has none; units of another dimension or another span
    /// of times than the path.
    pub fn new(problem: &'a Problem<'a>, estimator: Estimator) -> Result<Self> {
        let Problem { path, units, .. } = problem;
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
        Ok(Self { problem, estimator })
    }

    /// Draws a batch at `times` in [0, 1], `[n]`, that were drawn with `density`, `[n]` (ones for
    /// uniform times).
    pub fn batch(&self, times: Vec<f64>, density: Vec<f64>, rng: &mut dyn Rng) -> Batch {
        let Problem { path, units, .. } = self.problem;
        let [first, last] = path.span();
        let user_times: Vec<f64> = times
            .iter()
            .map(|t| units.time_out(*t).clamp(first, last))
            .collect();
        let draw = path.sample(&user_times, rng);
        let velocities = match self.estimator {
            Estimator::Velocity => draw
                .velocities
                .map(|v| units.velocities_in(&user_times, v.view())),
            Estimator::Samples => None,
        };
        let boundary = (self.estimator == Estimator::Samples).then(|| {
            [first, last].map(|t| {
                let draw = path.sample(&vec![t; times.len()], rng);
                units.points_in(draw.points.view())
            })
        });
        Batch {
            points: units.points_in(draw.points.view()),
            velocities,
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
        let rows = batch.times.len();
        let lagrangian = &self.problem.lagrangian;
        let times = column(&batch.times, device);
        let points = matrix(batch.points.view(), device);

        let gradient = frozen.gradient(times.clone(), points.clone());
        let velocity = lagrangian.velocity(gradient.clone());
        // (v - b) . grad s - c*, what the directional derivative has beyond the interior term.
        let excess =
            (velocity.clone() * gradient.clone()).sum_dim(1) - lagrangian.conjugate(gradient);

        let (dt, dx) = match &batch.velocities {
            None => (times.ones_like(), velocity),
            Some(along) => (times.zeros_like(), velocity - matrix(along.view(), device)),
        };
        let tangent = action.push(times, points, dt, dx);
        let interior: Vec<f64> = numbers(tangent.clone().without_autodiff() - excess);

        let mut surrogate = (tangent / column(&batch.density, device)).mean();
        let mut value = interior
            .iter()
            .zip(&batch.density)
            .map(|(term, density)| term / density)
            .sum::<f64>()
            / rows as f64;

        if let Some(boundary) = &batch.boundary {
            for (points, time, sign) in [(&boundary[0], 0.0, 1.0), (&boundary[1], 1.0, -1.0)] {
                let times = Tensor::full([rows, 1], time, device);
                let term = action.value(times, matrix(points.view(), device)).mean() * sign;
                value += numbers::<f64, 1>(term.clone().without_autodiff())[0];
                surrogate = surrogate + term;
            }
        }
        Estimate {
            surrogate,
            value,
            interior,
        }
    }

    /// The objective and its gradient: by the [fused](crate::action::fused) layout where the
    /// action has one, else by autodiff.
    pub fn differentiate<A: Action + Module>(
        &self,
        action: &A,
        batch: &Batch,
        device: &Device,
        workspace: &mut Workspace,
    ) -> Derivative {
        if let Some(network) = action.fused() {
            return self.differentiate_fused(&network, batch, device, workspace);
        }
        let tracked = action.clone().train();
        let estimate = self.estimate(&tracked, action, batch, device);
        let gradients = estimate.surrogate.backward();
        Derivative {
            value: estimate.value,
            interior: estimate.interior,
            gradient: parameters::gradients(&tracked, &gradients),
        }
    }

    fn differentiate_fused(
        &self,
        network: &Network,
        batch: &Batch,
        device: &Device,
        workspace: &mut Workspace,
    ) -> Derivative {
        let lagrangian = &self.problem.lagrangian;
        let n = batch.times.len();
        let d = batch.points.ncols();
        let share = 1.0 / n as f32;
        let single =
            |values: &Array2<f64>| -> Vec<f32> { values.iter().map(|x| *x as f32).collect() };
        let times: Vec<f32> = batch.times.iter().map(|t| *t as f32).collect();
        let points = single(&batch.points);
        let coefficients: Vec<f32> = batch.density.iter().map(|p| share / *p as f32).collect();
        let along = batch.velocities.as_ref().map(single);
        let boundary = batch.boundary.as_ref().map(|[start, end]| {
            [(start, 0.0f32, share), (end, 1.0, -share)]
                .map(|(points, t, c)| (vec![t; n], single(points), vec![c; n]))
        });
        let boundary: Vec<Rows> = boundary
            .iter()
            .flatten()
            .map(|(times, points, coefficients)| Rows {
                times,
                points,
                coefficients,
            })
            .collect();
        let direction = |rows: Range<usize>, p: &[f32], dx: &mut [f32], excess: &mut [f32]| {
            dx.copy_from_slice(p);
            lagrangian.move_along(dx);
            let each = p.chunks_exact(d).zip(dx.chunks_exact(d));
            for (excess, (p, v)) in excess.iter_mut().zip(each) {
                let along: f32 = p.iter().zip(v).map(|(p, v)| p * v).sum();
                *excess = along - lagrangian.conjugate_of(p);
            }
            if let Some(along) = &along {
                for (dx, u) in dx.iter_mut().zip(&along[rows.start * d..rows.end * d]) {
                    *dx -= u;
                }
            }
        };
        let interior = Rows {
            times: &times,
            points: &points,
            coefficients: &coefficients,
        };
        let dt = if along.is_some() { 0.0 } else { 1.0 };
        let mut gradient: Vec<Vec<f32>> =
            network.sizes().into_iter().map(|n| vec![0.0; n]).collect();
        // Within the pool its parallel loops need no switch of threads.
        let terms = rayon::scope(|_| {
            workspace.step(network, interior, dt, &boundary, direction, &mut gradient)
        })
        .expect("a batch has the dimension of the action");

        let inner: f64 = terms
            .interior
            .iter()
            .zip(&batch.density)
            .map(|(term, density)| f64::from(*term) / density)
            .sum();
        let signed = boundary.iter().flat_map(|rows| rows.coefficients);
        let outer: f64 = terms
            .boundary
            .iter()
            .zip(signed)
            .map(|(s, c)| f64::from(*s) * f64::from(*c))
            .sum();
        Derivative {
            value: inner / n as f64 + outer,
            interior: terms.interior.iter().map(|term| f64::from(*term)).collect(),
            gradient: gradient
                .into_iter()
                .map(|values| Tensor::from_data(values.as_slice(), device))
                .collect(),
        }
    }
}

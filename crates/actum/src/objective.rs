//! The only loss: `L(s)` of docs/mathematics.md, section 2, from one batch of samples.

use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    action::Action,
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
    /// The velocity estimator on a path that has none; units of another dimension than the path.
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
            Estimator::Velocity => draw.velocities.map(|v| units.velocities_in(v.view())),
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
}

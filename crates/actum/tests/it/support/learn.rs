//! Fits, and how near they come to what is known.

use actum::{
    action::Action,
    dynamics::Dynamics,
    fit::{Options, fit},
    objective::Objective,
    path::Path,
    problem::{Estimator, Problem},
};

use super::{Known, middles, networks::mlp, rng};

/// A perceptron of two layers fitted for so many steps.
pub fn learn(problem: &Problem, steps: usize, estimator: Estimator) -> Dynamics {
    let options = Options {
        steps,
        batch: 256,
        learning_rate: 5e-3,
        ema_decay: 0.99,
        estimator,
        ..Options::default()
    };
    let network = mlp(problem.path().dimension(), 64, 2, 0);
    fit(network, problem, &options, &mut ()).unwrap()
}

/// The objective of an action at so many points, in the units of the cost.
pub fn level_of(action: &dyn Action, problem: &Problem, count: usize) -> f64 {
    let objective = Objective::new(problem, Estimator::Velocity).unwrap();
    let batch = objective.batch(middles(count), vec![1.0; count], &mut rng(1));
    let found = objective.differentiate(&mut Known::of(action), &batch);
    let exponent = problem.lagrangian().cost().exponent();
    found.value * problem.units().objective(exponent)
}

/// The objective of what was fitted at many points, in the units of the cost.
pub fn level(dynamics: &Dynamics, problem: &Problem) -> f64 {
    level_of(&**dynamics.action(), problem, 40_000)
}

/// The root mean square error of the velocity over that of the true one.
pub fn field_error(
    dynamics: &Dynamics,
    path: &dyn Path,
    truth: impl Fn(f64, &[f64]) -> Vec<f64>,
) -> f64 {
    let mut rng = rng(2);
    let [first, last] = path.span();
    let (mut off, mut total) = (0.0, 0.0);
    for k in 0..=10 {
        let t = first + (last - first) * k as f64 / 10.0;
        let points = path.sample(&vec![t; 2000], &mut rng).points;
        let velocity = dynamics.velocity(t, &points).unwrap();
        for (x, v) in points.rows().into_iter().zip(velocity.rows()) {
            for (v, truth) in v.iter().zip(truth(t, &x.to_vec())) {
                off += (v - truth) * (v - truth);
                total += truth * truth;
            }
        }
    }
    f64::sqrt(off / total)
}

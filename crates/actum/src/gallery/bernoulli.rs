//! Bits as points of the line.

use ndarray::Array2;
use rand::{Rng, RngExt};

use super::Truth;
use crate::path::{Path, PathSample};

/// De-quantised Bernoulli bits: `x = b + u`, u uniform in [0, 1), where b is 0 with probability
/// `(1 + t)/3`, for t in [0, 1].
///
/// The velocity is `-x/(1 + t)` on [0, 1] and `-(2 - x)/(2 - t)` on [1, 2]: it carries every
/// quantile along.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bernoulli;

fn velocity(t: f64, x: f64) -> f64 {
    if x < 1.0 {
        -x / (1.0 + t)
    } else {
        -(2.0 - x) / (2.0 - t)
    }
}

impl Path for Bernoulli {
    fn dimension(&self) -> usize {
        1
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = (times.len(), 1);
        let points = Array2::from_shape_fn(shape, |(i, _)| {
            let (u, zero) = (rng.random::<f64>(), (1.0 + times[i]) / 3.0);
            if u < zero {
                u / zero
            } else {
                1.0 + (u - zero) / (1.0 - zero)
            }
        });
        let velocities = Array2::from_shape_fn(shape, |at| velocity(times[at.0], points[at]));
        PathSample::new(points).with_velocities(velocities)
    }
}

impl Truth for Bernoulli {
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        super::check(points, 1);
        points.mapv(|x| velocity(t, x))
    }
}

//! A population that goes round.

use std::f64::consts::TAU;

use ndarray::{Array2, array};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::Truth;
use crate::path::{Path, PathSample};

/// A cloud on a ring of radius 2 that goes once round the origin for t in [0, 1]: in polar
/// coordinates, radius N(2, 0.25^2) and angle N(tau t, 1).
///
/// Its velocity is a rotation, which no gradient field is: Action Matching finds the field of least
/// energy with the same densities.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cycle;

fn rotation(points: &Array2<f64>) -> Array2<f64> {
    super::check(points, 2);
    points.dot(&array![[0.0, TAU], [-TAU, 0.0]])
}

impl Path for Cycle {
    fn dimension(&self) -> usize {
        2
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let mut points = Array2::zeros((times.len(), 2));
        for (t, mut point) in times.iter().zip(points.rows_mut()) {
            let [across, along]: [f64; 2] = [0; 2].map(|_| rng.sample(StandardNormal));
            let (sin, cos) = (TAU * t + along).sin_cos();
            let radius = 2.0 + 0.25 * across;
            point[0] = radius * cos;
            point[1] = radius * sin;
        }
        let velocities = rotation(&points);
        PathSample::new(points).with_velocities(velocities)
    }
}

impl Truth for Cycle {
    fn velocity(&self, _t: f64, points: &Array2<f64>) -> Array2<f64> {
        rotation(points)
    }
}

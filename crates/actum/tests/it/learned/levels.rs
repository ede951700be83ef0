//! Rows 1 to 4 of docs/mathematics.md, section 8: fitted actions reach the known level of the
//! objective and the known field, by both estimators.

use actum::{
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    path::{FnPath, Path, PathSample},
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::support::{
    learn::{self, field_error, level},
    rng,
};

/// The center of the units is where the population is at half time.
fn problem(path: &dyn Path, length: f64) -> Problem<'_> {
    let points = path.sample(&vec![0.5; 1000], &mut rng(0)).points;
    let center = points.mean_axis(ndarray::Axis(0)).unwrap().to_vec();
    let units = Units::isotropic(center, length, path.span()).unwrap();
    Problem::new(path, Lagrangian::kinetic(), units)
}

fn assert_learns(
    path: &dyn Path,
    length: f64,
    least: f64,
    truth: impl Fn(f64, &[f64]) -> Vec<f64> + Copy,
    tolerance: f64,
) {
    for estimator in [Estimator::Samples, Estimator::Velocity] {
        let problem = problem(path, length);
        let dynamics = learn::learn(&problem, 1500, estimator);
        let level = level(&dynamics, &problem);
        let error = field_error(&dynamics, path, truth);
        println!("{estimator:?}: level {level:.4} of {least:.4}, field error {error:.4}");
        assert!(
            (level - least).abs() < tolerance * least.abs(),
            "{estimator:?}: level {level}, expected {least}"
        );
        // By the identity L(s) - L(s*) = 1/2 E|grad s - v*|^2 the two tolerances are one.
        assert!(
            error < tolerance.sqrt(),
            "{estimator:?}: field error {error}"
        );
    }
}

#[test]
fn a_shrinking_gaussian_has_level_minus_8() {
    let path = Gaussian::new(1, |t| Moments {
        mean: vec![0.0],
        mean_rate: vec![0.0],
        std_dev: 5.0 - 4.0 * t,
        std_dev_rate: -4.0,
    });
    assert!((path.least_objective() + 8.0).abs() < 1e-12);
    assert_learns(
        &path,
        3.0,
        -8.0,
        |t, x| vec![-4.0 / (5.0 - 4.0 * t) * x[0]],
        0.03,
    );
}

#[test]
fn a_translated_mixture_has_level_minus_12_5() {
    let modes = [-2.0, -0.7, 0.1, 1.1, 2.5];
    let path = FnPath::new(1, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let points = Array2::from_shape_fn((times.len(), 1), |(i, _)| {
            let z: f64 = rng.sample(StandardNormal);
            modes[rng.random_range(0..5)] + 0.1 * z + 5.0 * times[i]
        });
        PathSample::new(points).with_velocities(Array2::from_elem((times.len(), 1), 5.0))
    })
    .unwrap();
    assert_learns(&path, 3.0, -12.5, |_, _| vec![5.0], 0.02);
}

#[test]
fn a_dequantised_bernoulli_has_level_minus_ln_2_over_9() {
    let velocity = |t: f64, x: f64| match x {
        x if x < 1.0 => -x / (1.0 + t),
        x => -(2.0 - x) / (2.0 - t),
    };
    let path = FnPath::new(1, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        // The quantile function of q_t, so that its time derivative is the velocity.
        let points = Array2::from_shape_fn((times.len(), 1), |(i, _)| {
            let (t, z) = (times[i], rng.random::<f64>());
            let zero = (1.0 + t) / 3.0;
            if z < zero {
                z / zero
            } else {
                1.0 + (z - zero) / (1.0 - zero)
            }
        });
        let velocities =
            Array2::from_shape_fn(points.dim(), |(i, _)| velocity(times[i], points[[i, 0]]));
        PathSample::new(points).with_velocities(velocities)
    })
    .unwrap();
    let least = -2f64.ln() / 9.0;
    assert_learns(&path, 0.6, least, |t, x| vec![velocity(t, x[0])], 0.05);
}

#[test]
fn a_gaussian_in_five_dimensions_reaches_its_level() {
    let path = Gaussian::new(5, |t| Moments {
        mean: vec![2.0 * t, -t, t * t, 0.0, 1.0],
        mean_rate: vec![2.0, -1.0, 2.0 * t, 0.0, 0.0],
        std_dev: 1.0 + 0.5 * t,
        std_dev_rate: 0.5,
    });
    // 1/2 (4 + 1 + 4/3 + 5/4)
    let least = -(4.0 + 1.0 + 4.0 / 3.0 + 1.25) / 2.0;
    assert!((path.least_objective() - least).abs() < 1e-9);
    let truth = |t: f64, x: &[f64]| -> Vec<f64> {
        let mean = [2.0 * t, -t, t * t, 0.0, 1.0];
        let rate = [2.0, -1.0, 2.0 * t, 0.0, 0.0];
        (0..5)
            .map(|j| rate[j] + 0.5 / (1.0 + 0.5 * t) * (x[j] - mean[j]))
            .collect()
    };
    assert_learns(&path, 1.2, least, truth, 0.03);
}

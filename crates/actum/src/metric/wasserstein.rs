//! Distances by optimal transport.

use ndarray::{Array2, ArrayView1, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::{
    cloud::Cloud,
    error::{Result, ensure},
    transport::{Ground, entropic, exact, monotone, same_dimension, units},
};

/// The number of directions in one product with the points, which reads the points once for all of
/// them.
const TOGETHER: usize = 8;

/// W1, the least mean distance `E|X - Y|` over all couplings, by [exact transport](exact()).
///
/// ```
/// use actum::{cloud::Cloud, metric};
/// use ndarray::array;
///
/// let a = Cloud::new(array![[0.0, 0.0], [1.0, 0.0]])?;
/// let b = Cloud::new(array![[4.0, 4.0], [3.0, 4.0]])?;
/// assert_eq!(metric::wasserstein_1(&a, &b)?, 5.0);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// As [`exact`](exact()).
pub fn wasserstein_1(a: &Cloud, b: &Cloud) -> Result<f64> {
    Ok(exact(a, b, Ground::Euclidean)?.cost())
}

/// W2, the root of the least `E|X - Y|^2` over all couplings, by [exact transport](exact()).
///
/// # Errors
/// As [`exact`](exact()).
pub fn wasserstein_2(a: &Cloud, b: &Cloud) -> Result<f64> {
    Ok(exact(a, b, Ground::SquaredEuclidean)?.cost().sqrt())
}

/// The sliced W2: the root of the mean squared W2 of the clouds projected on `projections` random
/// directions (Bonneel et al., 2015).
///
/// The same seed gives the same directions.
///
/// # Errors
/// No projections (`Setting`); distances that overflow (`Value`).
pub fn sliced_wasserstein_2(a: &Cloud, b: &Cloud, projections: usize, seed: u64) -> Result<f64> {
    same_dimension(a, b)?;
    ensure!(
        projections > 0,
        Setting,
        "expected at least one projection, got 0"
    );
    let d = a.dimension();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut directions = Array2::zeros((projections, d));
    for mut direction in directions.outer_iter_mut() {
        direction.mapv_inplace(|_| StandardNormal.sample(&mut rng));
        let length = direction.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
        direction /= length;
    }
    let units = units(&a.weights().to_vec(), &b.weights().to_vec());
    let ordered = |along: ArrayView1<f64>, masses: &[i64]| -> Vec<(f64, i64)> {
        let mut places: Vec<_> = along.iter().copied().zip(masses.iter().copied()).collect();
        places.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
        places
    };
    let square = |x: ArrayView1<f64>, y: ArrayView1<f64>| -> f64 {
        let (rows, columns) = (ordered(x, &units.supply), ordered(y, &units.demand));
        let mut sum = 0.0;
        monotone(&rows, &columns, |x, y, mass| {
            sum += mass as f64 * (x - y).powi(2)
        });
        sum / units.total as f64
    };
    let blocks: Vec<usize> = (0..projections).step_by(TOGETHER).collect();
    let squares: Vec<f64> = blocks
        .into_par_iter()
        .flat_map_iter(|from| {
            let directions = directions.slice(s![from..(from + TOGETHER).min(projections), ..]);
            let [x, y] = [a, b].map(|cloud| directions.dot(&cloud.points().t()));
            let pairs = x.outer_iter().zip(y.outer_iter());
            pairs.map(|(x, y)| square(x, y)).collect::<Vec<_>>()
        })
        .collect();
    let mean = squares.iter().sum::<f64>() / projections as f64;
    ensure!(
        mean.is_finite(),
        Value,
        "the projections overflow; bring the coordinates to a smaller scale"
    );
    Ok(mean.sqrt())
}

/// The debiased Sinkhorn divergence `V(a, b) - V(a, a) / 2 - V(b, b) / 2` (Feydy et al., 2019).
///
/// V is the [entropic value](crate::transport::Entropic::value) `min_P <P, c> + epsilon KL(P | a
/// b')` with `c = |x - y|^2` (without a factor 1/2), so epsilon is a squared distance. The
/// divergence is non-negative and 0 for equal clouds. It tends to the square of W2 as epsilon tends
/// to 0, and to `|E X - E Y|^2` as epsilon grows.
///
/// # Errors
/// As [`entropic`](entropic()).
pub fn sinkhorn_divergence(a: &Cloud, b: &Cloud, epsilon: f64) -> Result<f64> {
    let value = |a, b| Ok(entropic(a, b, Ground::SquaredEuclidean, epsilon)?.value());
    Ok(value(a, b)? - 0.5 * value(a, a)? - 0.5 * value(b, b)?)
}

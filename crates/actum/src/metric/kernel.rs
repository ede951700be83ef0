//! Distances by means over pairs of points.

use rayon::prelude::*;

use crate::{
    cloud::Cloud,
    error::{Result, ensure},
    simd::exp,
    transport::{Costs, Ground, LANES, Line, same_dimension, tiled},
};

/// The widths of the kernels `exp(-gamma |x - y|^2)` of [`mmd_squared`], as in Neklyudov et al.,
/// *Wasserstein Lagrangian Flows* (2023), and in TorchCFM.
pub const GAMMAS: [f64; 6] = [2.0, 1.0, 0.5, 0.1, 0.01, 0.005];

/// A distance at which the widest kernel of [`GAMMAS`] is below 4e-6. Where samples of one law lie
/// farther from each other, the MMD is near 0 whatever is compared, and tells nothing.
pub const REACH: f64 = 50.0;

/// The unbiased squared MMD with the mean of the Gaussian kernels of widths [`GAMMAS`].
///
/// It sees distances up to [`REACH`].
///
/// # Errors
/// As [`mmd_squared_with`].
pub fn mmd_squared(a: &Cloud, b: &Cloud) -> Result<f64> {
    mmd_squared_with(a, b, &GAMMAS)
}

/// The unbiased squared maximum mean discrepancy (Gretton et al., 2012, equation 3) with the
/// kernel `k(x, y) = mean over gamma of exp(-gamma |x - y|^2)`:
///
/// `sum_{i != j} p_i p_j k(x_i, x_j) / (1 - sum p_i^2)`, plus the same of the second cloud, minus
/// `2 sum_ij p_i q_j k(x_i, y_j)`. Its mean is 0 for samples of one law, so it can be negative.
///
/// # Errors
/// A cloud with fewer than two points of positive weight (`Value`); no gammas, or one that is
/// negative or not finite (`Setting`).
pub fn mmd_squared_with(a: &Cloud, b: &Cloud, gammas: &[f64]) -> Result<f64> {
    same_dimension(a, b)?;
    ensure!(
        !gammas.is_empty(),
        Setting,
        "expected at least one gamma, got none"
    );
    if let Some(gamma) = gammas.iter().find(|g| !(g.is_finite() && **g >= 0.0)) {
        ensure!(
            false,
            Setting,
            "gammas must be finite and non-negative, got {gamma}"
        );
    }
    for (name, cloud) in [("first", a), ("second", b)] {
        let heavy = cloud.weights().iter().filter(|w| **w > 0.0).count();
        ensure!(
            heavy >= 2,
            Value,
            "the unbiased MMD needs at least two points of positive weight in each cloud, the {name} \
             has {heavy}; use `energy_distance`"
        );
    }
    let kernel = |squares: &Line| {
        let mut sum = [0.0; LANES];
        for gamma in gammas {
            let mut terms = squares.map(|square| -gamma * square);
            exp(&mut terms);
            for lane in 0..LANES {
                sum[lane] += terms[lane];
            }
        }
        sum.map(|sum| sum / gammas.len() as f64)
    };
    let within = |cloud: &Cloud| {
        let diagonal: f64 = cloud
            .weights()
            .iter()
            .map(|w| (w / cloud.mass()).powi(2))
            .sum();
        2.0 * above(cloud, Ground::SquaredEuclidean, kernel) / (1.0 - diagonal)
    };
    Ok(within(a) + within(b) - 2.0 * between(a, b, Ground::SquaredEuclidean, kernel))
}

/// The mean distance `E|X - X'|` of two points of a cloud, a point with itself included.
///
/// # Errors
/// Distances that overflow (`Value`).
pub(crate) fn mean_distance(cloud: &Cloud) -> Result<f64> {
    let mean = 2.0 * above(cloud, Ground::Euclidean, |c| *c);
    ensure!(
        mean.is_finite(),
        Value,
        "the distances overflow; bring the coordinates to a smaller scale"
    );
    Ok(mean)
}

/// The energy distance `2 E|X - Y| - E|X - X'| - E|Y - Y'|` (Székely & Rizzo, 2013), not its root.
///
/// The expectations include pairs of a point with itself (a V-statistic). So it is non-negative,
/// and 0 only for equal clouds.
///
/// # Errors
/// Distances that overflow (`Value`).
pub fn energy_distance(a: &Cloud, b: &Cloud) -> Result<f64> {
    same_dimension(a, b)?;
    let within = |cloud| 2.0 * above(cloud, Ground::Euclidean, |c| *c);
    let energy = 2.0 * between(a, b, Ground::Euclidean, |c| *c) - within(a) - within(b);
    ensure!(
        energy.is_finite(),
        Value,
        "the distances overflow; bring the coordinates to a smaller scale"
    );
    Ok(energy.max(0.0))
}

/// The energy distance without the distances of points from themselves, `2 E|X - Y| - E'|X - X'| -
/// E'|Y - Y'|` with `E'|X - X'| = sum_{i != j} p_i p_j |x_i - x_j| / (1 - sum p_i^2)`: a
/// U-statistic.
///
/// Its mean over samples is the energy distance of the laws they were drawn from, whatever their
/// sizes, where [`energy_distance`] is larger by `E|X - X'| / n + E|Y - Y'| / m`. So it compares
/// predictions of different numbers of points fairly. It can be below 0 for samples of nearly one
/// law. It takes points for independent draws: of a cloud some of whose points share an origin, as
/// the pairs of a coupling do, a part of the excess stays.
///
/// # Errors
/// A cloud with fewer than two points of positive weight, distances that overflow (`Value`).
pub fn unbiased_energy_distance(a: &Cloud, b: &Cloud) -> Result<f64> {
    same_dimension(a, b)?;
    let within = |cloud: &Cloud| {
        let shares = cloud.weights() / cloud.mass();
        let apart = 1.0 - shares.dot(&shares);
        let heavy = cloud.weights().iter().filter(|w| **w > 0.0).count();
        ensure!(
            heavy >= 2,
            Value,
            "the unbiased energy distance needs at least two points of positive weight in each \
             cloud, got {heavy}; use `energy_distance`"
        );
        Ok(2.0 * above(cloud, Ground::Euclidean, |c| *c) / apart)
    };
    let energy = 2.0 * between(a, b, Ground::Euclidean, |c| *c) - within(a)? - within(b)?;
    ensure!(
        energy.is_finite(),
        Value,
        "the distances overflow; bring the coordinates to a smaller scale"
    );
    Ok(energy)
}

/// The mean distance from every point of `a` to a point of `b`, `[n]`.
#[cfg(feature = "train")]
pub(crate) fn mean_distances(a: &Cloud, b: &Cloud) -> Vec<f64> {
    let costs = Costs::new(a.points(), b.points(), Ground::Euclidean);
    let q = tiled(&(b.weights() / b.mass()).to_vec(), 0.0);
    let blocks = costs.blocks().flat_map_iter(|rows| {
        let mut sums = vec![0.0; rows.len()];
        costs.visit(rows.clone(), 0, |i, t, costs| {
            for lane in 0..LANES {
                sums[i - rows.start] += q[t][lane] * costs[lane];
            }
        });
        sums
    });
    blocks.collect()
}

/// `sum_ij p_i q_j k(c_ij)`.
fn between(a: &Cloud, b: &Cloud, ground: Ground, kernel: impl Fn(&Line) -> Line + Sync) -> f64 {
    pairs(a, b, ground, |_| 0, kernel)
}

/// `sum_{i < j} p_i p_j k(c_ij)`.
fn above(a: &Cloud, ground: Ground, kernel: impl Fn(&Line) -> Line + Sync) -> f64 {
    pairs(a, a, ground, |i| i + 1, kernel)
}

/// `sum_i p_i sum_{j >= first(i)} q_j k(c_ij)`.
fn pairs(
    a: &Cloud,
    b: &Cloud,
    ground: Ground,
    first: impl Fn(usize) -> usize + Sync,
    kernel: impl Fn(&Line) -> Line + Sync,
) -> f64 {
    let costs = Costs::new(a.points(), b.points(), ground);
    let (p, q) = (a.weights() / a.mass(), b.weights() / b.mass());
    let q = tiled(&q.to_vec(), 0.0);
    let blocks: Vec<f64> = costs
        .blocks()
        .map(|rows| {
            let mut sum = [0.0; LANES];
            costs.visit(rows.clone(), first(rows.start) / LANES, |i, t, costs| {
                let values = kernel(costs);
                for lane in 0..LANES {
                    let term = p[i] * q[t][lane] * values[lane];
                    sum[lane] += if t * LANES + lane >= first(i) {
                        term
                    } else {
                        0.0
                    };
                }
            });
            sum.iter().sum()
        })
        .collect();
    blocks.iter().sum()
}

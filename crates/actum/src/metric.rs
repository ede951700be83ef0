//! Distances between two weighted clouds, of any sizes, and between restored images and true ones.
//!
//! All distances of clouds use the weights divided by their sum, parallelise over points with sums in a fixed
//! order, and need O(n + m) memory. All fail with `Shape` when the clouds have different
//! dimensions.

mod image;

use ndarray::{Array2, ArrayView1, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

pub use self::image::{psnr, ssim};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
    transport::{
        Costs, Ground, LANES, Line, entropic, exact, exp, monotone, same_dimension, tiled, units,
    },
};

/// The widths of the kernels `exp(-gamma |x - y|^2)` of [`mmd_squared`], those of Neklyudov et al.,
/// *Wasserstein Lagrangian Flows* (2023), and of TorchCFM.
pub const GAMMAS: [f64; 6] = [2.0, 1.0, 0.5, 0.1, 0.01, 0.005];

/// How many directions clouds are projected on together.
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

/// The sliced W2: the root of the mean, over `projections` random directions, of the squared W2 of
/// the clouds projected on the direction (Bonneel et al., 2015).
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
/// V is the [entropic value](crate::transport::Entropic::value) `min_P <P, c> + epsilon
/// KL(P | a b')` with `c = |x - y|^2` (without a factor 1/2), so epsilon has the units of a
/// squared distance. It is non-negative, 0 for equal clouds, tends to the square of W2 as
/// epsilon tends to 0 and to `|E X - E Y|^2` as epsilon grows.
///
/// # Errors
/// As [`entropic`](entropic()).
pub fn sinkhorn_divergence(a: &Cloud, b: &Cloud, epsilon: f64) -> Result<f64> {
    let value = |a, b| Ok(entropic(a, b, Ground::SquaredEuclidean, epsilon)?.value());
    Ok(value(a, b)? - 0.5 * value(a, a)? - 0.5 * value(b, b)?)
}

/// The unbiased squared MMD with the mean of the Gaussian kernels of widths [`GAMMAS`].
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
/// `2 sum_ij p_i q_j k(x_i, y_j)`. Its mean is 0 for samples of one law, so it may be negative.
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

/// The energy distance `2 E|X - Y| - E|X - X'| - E|Y - Y'|` (Székely & Rizzo, 2013), not its root.
///
/// The expectations run over all pairs, a point with itself included (a V-statistic), which makes
/// it non-negative and 0 only for equal clouds.
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

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;
    use crate::{
        error::ErrorKind,
        transport::tests::{lattice, waves},
    };

    type Metric = fn(&Cloud, &Cloud) -> Result<f64>;
    const ALL: [Metric; 6] = [
        wasserstein_1,
        wasserstein_2,
        |a, b| sliced_wasserstein_2(a, b, 50, 3),
        |a, b| sinkhorn_divergence(a, b, 0.5),
        mmd_squared,
        energy_distance,
    ];

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!(
            (got - want).abs() <= tolerance * want.abs().max(1e-3),
            "{got} {want}"
        );
    }

    fn normal(n: usize, d: usize, shift: f64, seed: u64) -> Cloud {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draw =
            || shift + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng);
        Cloud::new(Array2::from_shape_simple_fn((n, d), draw)).unwrap()
    }

    #[test]
    fn the_numbers_of_pot_and_numpy() {
        // POT 0.9.7: ot.emd2; the divergence from ot.sinkhorn(method="sinkhorn_log",
        // stopThr=1e-13), the value of each pair being (P * M).sum() + epsilon * (P * log(P / a
        // b')).sum(). NumPy: the double sums of the MMD and of the energy distance.
        let (a, b) = waves(40, 27);
        close(wasserstein_1(&a, &b).unwrap(), 1.04038409537912, 1e-12);
        close(
            wasserstein_2(&a, &b).unwrap(),
            1.18232958139466f64.sqrt(),
            1e-12,
        );
        close(
            sinkhorn_divergence(&a, &b, 0.5).unwrap(),
            1.09503158602,
            1e-9,
        );
        close(
            sinkhorn_divergence(&a, &b, 0.1).unwrap(),
            1.15369489213,
            1e-9,
        );
        close(mmd_squared(&a, &b).unwrap(), 0.084827986885894, 1e-12);
        close(
            mmd_squared_with(&a, &b, &[0.7]).unwrap(),
            0.14202301294959,
            1e-12,
        );
        close(energy_distance(&a, &b).unwrap(), 0.41269808449575, 1e-12);
        // ot.sliced_wasserstein_distance with 200,000 projections.
        close(
            sliced_wasserstein_2(&a, &b, 20_000, 0).unwrap(),
            0.56359,
            5e-3,
        );
    }

    #[test]
    fn translated_clouds() {
        let (a, _) = waves(60, 1);
        let shift = array![3.0, -4.0, 12.0];
        let b = Cloud::weighted(a.points() + &shift, a.weights().clone()).unwrap();
        close(wasserstein_1(&a, &b).unwrap(), 13.0, 1e-12);
        close(wasserstein_2(&a, &b).unwrap(), 13.0, 1e-12);
        close(sinkhorn_divergence(&a, &b, 2.0).unwrap(), 169.0, 1e-8);
        // The mean of (e . shift)^2 over directions e is |shift|^2 / d.
        close(
            sliced_wasserstein_2(&a, &b, 20_000, 1).unwrap(),
            13.0 / 3f64.sqrt(),
            0.02,
        );
    }

    #[test]
    fn two_points_against_two_points() {
        let a = Cloud::new(array![[0.0], [1.0]]).unwrap();
        let b = Cloud::weighted(array![[2.0], [4.0]], array![3.0, 1.0]).unwrap();
        // Unbiased: k(0, 1) + k(2, 4) - 2 (3/8 k(2) + 3/8 k(1) + 1/8 k(4) + 1/8 k(3)).
        let k = |distance: f64| (-0.5 * distance * distance).exp();
        let expected = k(1.0) + k(2.0) - 0.75 * (k(2.0) + k(1.0)) - 0.25 * (k(4.0) + k(3.0));
        close(mmd_squared_with(&a, &b, &[0.5]).unwrap(), expected, 1e-13);
        // 2 (3/8 (2 + 1) + 1/8 (4 + 3)) - 1/2 - 2 (3/16) 2.
        close(energy_distance(&a, &b).unwrap(), 4.0 - 0.5 - 0.75, 1e-13);
        close(wasserstein_1(&a, &b).unwrap(), 2.0, 1e-13);
    }

    #[test]
    fn quantiles_of_gaussians() {
        // W2 of N(0, 1) and N(m, s^2) is the root of m^2 + (s - 1)^2; the points are quantiles of
        // the logistic law instead, whose variance is pi^2 / 3, so s - 1 counts pi^2 / 3 fold.
        let n = 4000;
        let quantile = |i: usize| {
            let u = (i as f64 + 0.5) / n as f64;
            (u / (1.0 - u)).ln()
        };
        let a = Cloud::new(Array2::from_shape_fn((n, 1), |(i, _)| quantile(i))).unwrap();
        let b = Cloud::new(Array2::from_shape_fn((n, 1), |(i, _)| {
            1.0 - 1.5 * quantile(i)
        }))
        .unwrap();
        let variance = std::f64::consts::PI.powi(2) / 3.0;
        close(
            wasserstein_2(&a, &b).unwrap(),
            (1.0 + 0.25 * variance).sqrt(),
            1e-3,
        );
    }

    #[test]
    fn unchanged_by_motions_order_and_split_points() {
        let (a, b) = waves(40, 27);
        let (sine, cosine) = 0.8f64.sin_cos();
        let turn = array![[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, -1.0]];
        let moved =
            |c: &Cloud| Cloud::weighted(c.points().dot(&turn) + 2.0, c.weights() * 9.0).unwrap();
        let reversed = a.select(&(0..40).rev().collect::<Vec<_>>()).unwrap();
        let heavier = |factor: f64| {
            let weights =
                Array1::from_shape_fn(40, |i| a.weights()[i] * if i == 7 { factor } else { 1.0 });
            Cloud::weighted(a.points().clone(), weights).unwrap()
        };
        let twice = a.select(&(0..40).chain([7]).collect::<Vec<_>>()).unwrap();
        for (which, metric) in ALL.into_iter().enumerate() {
            let plain = metric(&a, &b).unwrap();
            // Random directions do not turn with the clouds.
            if which != 2 {
                close(metric(&moved(&a), &moved(&b)).unwrap(), plain, 1e-8);
            }
            close(metric(&reversed, &b).unwrap(), plain, 1e-8);
            close(metric(&b, &a).unwrap(), plain, 1e-8);
            // The unbiased MMD counts the two halves of a point as a pair.
            if which != 4 {
                close(
                    metric(&twice, &b).unwrap(),
                    metric(&heavier(2.0), &b).unwrap(),
                    1e-8,
                );
            }
        }
    }

    #[test]
    fn units_of_length() {
        let (a, b) = waves(40, 27);
        let longer = |c: &Cloud| Cloud::weighted(c.points() * 10.0, c.weights().clone()).unwrap();
        let (x, y) = (longer(&a), longer(&b));
        for metric in [wasserstein_1, wasserstein_2, ALL[2], energy_distance] {
            close(
                metric(&x, &y).unwrap(),
                10.0 * metric(&a, &b).unwrap(),
                1e-10,
            );
        }
        let divergence = sinkhorn_divergence(&x, &y, 50.0).unwrap();
        close(
            divergence,
            100.0 * sinkhorn_divergence(&a, &b, 0.5).unwrap(),
            1e-8,
        );
        let gammas = GAMMAS.map(|gamma| gamma / 100.0);
        close(
            mmd_squared_with(&x, &y, &gammas).unwrap(),
            mmd_squared(&a, &b).unwrap(),
            1e-10,
        );
    }

    #[test]
    fn inequalities() {
        let clouds = [
            normal(60, 2, 0.0, 1),
            normal(45, 2, 1.0, 2),
            lattice(6, 7, 0.4),
        ];
        let [a, b, c] = &clouds;
        for metric in [wasserstein_1, wasserstein_2, ALL[2]] {
            assert!(metric(a, c).unwrap() <= metric(a, b).unwrap() + metric(b, c).unwrap());
            assert!(metric(a, a).unwrap() < 1e-7);
        }
        assert!(wasserstein_1(a, b).unwrap() <= wasserstein_2(a, b).unwrap());
        assert!(ALL[2](a, b).unwrap() <= wasserstein_2(a, b).unwrap());
        assert!(sinkhorn_divergence(a, b, 0.3).unwrap() > 0.0);
        assert!(sinkhorn_divergence(a, a, 0.3).unwrap().abs() < 1e-8);
        assert!(energy_distance(a, a).unwrap() < 1e-12);
    }

    #[test]
    fn the_unbiased_mmd_of_one_law_is_zero_on_average() {
        let runs: Vec<f64> = (0..200)
            .map(|seed| {
                mmd_squared(
                    &normal(20, 2, 0.0, 2 * seed),
                    &normal(30, 2, 0.0, 2 * seed + 1),
                )
                .unwrap()
            })
            .collect();
        let mean = runs.iter().sum::<f64>() / 200.0;
        let variance = runs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 200.0;
        assert!(
            mean.abs() < 4.0 * (variance / 200.0).sqrt(),
            "{mean} {variance}"
        );
        assert!(runs.iter().any(|x| *x < 0.0));
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let (a, b) = (normal(400, 3, 0.0, 5), normal(300, 3, 0.5, 6));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| ALL.map(|metric| metric(&a, &b).unwrap().to_bits()))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn bad_input_is_an_error() {
        let (a, b) = waves(4, 4);
        let one = a.select(&[0]).unwrap();
        let error = mmd_squared(&a, &one).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains("the second has 1"), "{error}");
        assert_eq!(
            mmd_squared_with(&a, &b, &[]).unwrap_err().kind(),
            ErrorKind::Setting
        );
        assert_eq!(
            mmd_squared_with(&a, &b, &[-1.0]).unwrap_err().kind(),
            ErrorKind::Setting
        );
        assert_eq!(
            sliced_wasserstein_2(&a, &b, 0, 0).unwrap_err().kind(),
            ErrorKind::Setting
        );
        let flat = Cloud::new(array![[0.0]]).unwrap();
        for metric in ALL {
            assert_eq!(metric(&a, &flat).unwrap_err().kind(), ErrorKind::Shape);
        }
    }
}

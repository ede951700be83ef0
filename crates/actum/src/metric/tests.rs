use ndarray::{Array1, Array2, array};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::{
    cloud::Cloud,
    error::{ErrorKind, Result},
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
    let draw = || shift + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng);
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
    // W2 of N(0, 1) and N(m, s^2) is the root of m^2 + (s - 1)^2. The points are quantiles of the
    // logistic law, whose variance is pi^2 / 3, so (s - 1)^2 is multiplied by pi^2 / 3.
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
        // Random directions are not rotated with the clouds.
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

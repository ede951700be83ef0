//! Exact transport against POT 0.9.7 (`ot.emd2`, `numItermax=10**7`) on clouds that two lines of
//! NumPy make again.

use actum::{
    cloud::Cloud,
    transport::{Ground, exact},
};
use ndarray::{Array2, array};

fn agrees(a: &Cloud, b: &Cloud, first: f64, second: f64) {
    for (ground, want) in [
        (Ground::Euclidean, first),
        (Ground::SquaredEuclidean, second),
    ] {
        let got = exact(a, b, ground).unwrap().cost();
        assert!(
            (got / want - 1.0).abs() < 1e-10,
            "{ground:?}: {got}, POT {want}"
        );
    }
}

#[test]
fn weighted_waves_of_unequal_sizes() {
    // i, j, k = arange columns; x = sin(1.3 i + 0.7 k) + 0.1 k with weights 1 + i % 5;
    // y = 1.5 cos(0.9 j + 1.1 k) + 0.3 with weights 1 + 0.5 (j % 3); three columns.
    let x = |n| {
        let at = |(i, k)| (1.3 * i as f64 + 0.7 * k as f64).sin() + 0.1 * k as f64;
        let weights = (0..n).map(|i| 1.0 + (i % 5) as f64).collect();
        Cloud::weighted(Array2::from_shape_fn((n, 3), at), weights).unwrap()
    };
    let y = |m| {
        let at = |(j, k)| 1.5 * (0.9 * j as f64 + 1.1 * k as f64).cos() + 0.3;
        let weights = (0..m).map(|j| 1.0 + 0.5 * (j % 3) as f64).collect();
        Cloud::weighted(Array2::from_shape_fn((m, 3), at), weights).unwrap()
    };
    agrees(&x(40), &y(27), 1.04038409537912, 1.18232958139466);
    agrees(&x(700), &y(450), 0.844545282025088, 0.751383166643004);
}

#[test]
fn lattices_with_many_ties() {
    // (i, j) of 12 x 12 against (2 i + 1, j + 3) of 6 x 16, equal weights.
    let a = Array2::from_shape_fn((144, 2), |(p, k)| [p / 12, p % 12][k] as f64);
    let b = Array2::from_shape_fn((96, 2), |(p, k)| [p / 16, p % 16][k] as f64);
    let b = b * array![2.0, 1.0] + array![1.0, 3.0];
    agrees(
        &Cloud::new(a).unwrap(),
        &Cloud::new(b).unwrap(),
        5.02851950536215,
        27.0,
    );
}

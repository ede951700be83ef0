//! Transport against POT 0.9.7 on clouds that two lines of NumPy make again.

use std::{thread, time::Duration};

use actum::{
    cloud::Cloud,
    error::ErrorKind,
    metric,
    stop::Stop,
    transport::{Ground, entropic, exact, unbalanced},
};
use ndarray::{Array2, array};

/// `ot.emd2(numItermax=10**7)`.
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

/// i, j, k = arange columns; x = sin(1.3 i + 0.7 k) + 0.1 k with weights 1 + i % 5;
/// y = 1.5 cos(0.9 j + 1.1 k) + 0.3 with weights 1 + 0.5 (j % 3); three columns.
fn waves(n: usize, m: usize) -> (Cloud, Cloud) {
    let x = |(i, k)| (1.3 * i as f64 + 0.7 * k as f64).sin() + 0.1 * k as f64;
    let y = |(j, k)| 1.5 * (0.9 * j as f64 + 1.1 * k as f64).cos() + 0.3;
    let a = (0..n).map(|i| 1.0 + (i % 5) as f64).collect();
    let b = (0..m).map(|j| 1.0 + 0.5 * (j % 3) as f64).collect();
    (
        Cloud::weighted(Array2::from_shape_fn((n, 3), x), a).unwrap(),
        Cloud::weighted(Array2::from_shape_fn((m, 3), y), b).unwrap(),
    )
}

#[test]
fn weighted_waves_of_unequal_sizes() {
    let (a, b) = waves(40, 27);
    agrees(&a, &b, 1.04038409537912, 1.18232958139466);
    let (a, b) = waves(700, 450);
    agrees(&a, &b, 0.844545282025088, 0.751383166643004);
}

#[test]
fn entropic_and_unbalanced_couplings_of_waves() {
    let (a, b) = waves(700, 450);
    let close = |got: f64, want: f64, tolerance: f64| {
        assert!((got / want - 1.0).abs() < tolerance, "{got}, POT {want}");
    };
    // P = ot.sinkhorn(a, b, M, epsilon, method="sinkhorn_log", stopThr=1e-13) of sum 1; its cost, and
    // with epsilon * (P * log(P / a b')).sum() its value.
    for (epsilon, cost, value) in [
        (0.5, 1.001167833218061, 1.7265441728211166),
        (0.05, 0.7695261307767081, 0.9004565486702226),
    ] {
        let found = entropic(&a, &b, Ground::SquaredEuclidean, epsilon).unwrap();
        close(found.cost(), cost, 1e-8);
        close(found.value(), value, 1e-10);
        close(found.plan().unwrap().cost(), cost, 1e-7);
    }
    // P = s * ot.unbalanced.sinkhorn_unbalanced(a / s, b / s, M, epsilon, rho, reg_type="kl",
    // stopThr=1e-15) with s = sqrt(a.sum() * b.sum()).
    for (epsilon, rho, mass, mean_cost) in [
        (0.05, 0.2, 253.73311622435594, 0.4759077689096029),
        (0.02, 5.0, 1103.8889145819899, 0.6685016424810747),
    ] {
        let found = unbalanced(&a, &b, Ground::SquaredEuclidean, epsilon, rho).unwrap();
        close(found.mass(), mass, 2e-9);
        close(found.mean_cost(), mean_cost, 1e-8);
    }
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

#[test]
fn a_stop_ends_large_couplings() {
    // Minutes, unless they are stopped.
    let (a, b) = waves(60_000, 60_000);
    let all: [&dyn Fn() -> Option<ErrorKind>; 4] = [
        &|| exact(&a, &b, Ground::Euclidean).err().map(|e| e.kind()),
        &|| metric::wasserstein_2(&a, &b).err().map(|e| e.kind()),
        &|| {
            let found = entropic(&a, &b, Ground::Euclidean, 0.01);
            found.err().map(|e| e.kind())
        },
        &|| {
            let found = unbalanced(&a, &b, Ground::Euclidean, 0.01, 1.0);
            found.err().map(|e| e.kind())
        },
    ];
    for work in all {
        let stop = Stop::default();
        let other = stop.clone();
        let asking = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            other.ask();
        });
        assert_eq!(stop.within(work), Some(ErrorKind::Interrupted));
        asking.join().unwrap();
    }
    // What comes after is not stopped.
    let (a, b) = waves(30, 40);
    assert!(exact(&a, &b, Ground::Euclidean).is_ok());
}

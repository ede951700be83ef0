use ndarray::{ArrayView1, array};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

pub(super) fn snapshots() -> Snapshots {
    let clouds = vec![
        Cloud::new(array![[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]).unwrap(),
        Cloud::weighted(array![[2.1, 1.0], [0.1, 1.0]], array![1.0, 2.0]).unwrap(),
        Cloud::new(array![[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]).unwrap(),
        Cloud::new(array![[1.0, 2.0], [3.0, 2.0]]).unwrap(),
    ];
    Snapshots::new(vec![0.0, 1.0, 1.5, 4.0], clouds).unwrap()
}

fn path(coupling: Coupling, interpolation: Interpolation) -> Interpolant {
    Interpolant::new(&snapshots(), coupling, interpolation, &array![1.0, 1.0]).unwrap()
}

pub(super) const COUPLINGS: [Coupling; 3] = [
    Coupling::Independent,
    Coupling::Exact,
    Coupling::Entropic(0.1),
];
const INTERPOLATIONS: [Interpolation; 5] = [
    Interpolation::Linear,
    Interpolation::Cubic,
    Interpolation::Monotone,
    Interpolation::Forced,
    Interpolation::Clocked,
];

#[test]
fn snapshots_are_reproduced_at_their_times() {
    let snapshots = snapshots();
    for coupling in COUPLINGS {
        for interpolation in INTERPOLATIONS {
            let path = path(coupling, interpolation);
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            for (t, cloud) in snapshots.times().iter().zip(snapshots.clouds()) {
                let draw = path.sample(&vec![*t; 30_000], &mut rng);
                let mean = draw.points.mean_axis(ndarray::Axis(0)).unwrap();
                let off = (mean - cloud.mean()).mapv(f64::abs);
                assert!(off.iter().all(|e| *e < 0.05), "{coupling:?} at {t}: {off}");
                let known = |x: ArrayView1<f64>| {
                    let rows = cloud.points().rows();
                    rows.into_iter()
                        .any(|y| (&x - &y).iter().all(|e| e.abs() < 1e-12))
                };
                assert!(draw.points.rows().into_iter().all(known));
            }
        }
    }
}

#[test]
fn velocities_are_the_time_derivative() {
    let others = [Coupling::Unbalanced(0.3), Coupling::Bridge(0.8)];
    for coupling in COUPLINGS.into_iter().chain(others) {
        for interpolation in INTERPOLATIONS {
            let path = path(coupling, interpolation).blurred(0.1).unwrap();
            for t in [0.3, 0.999, 1.2, 2.0, 3.7] {
                // The same seed draws the same chain within an interval.
                let at = |t: f64| path.sample(&[t], &mut ChaCha8Rng::seed_from_u64(4));
                let h = 1e-6;
                let rate = (at(t + h).points - at(t - h).points) / (2.0 * h);
                let off = (rate - at(t).velocities.unwrap()).mapv(f64::abs);
                assert!(off.iter().all(|e| *e < 1e-6), "{off}");
            }
        }
    }
}

#[test]
fn the_exact_coupling_keeps_neighbours_together() {
    let path = path(Coupling::Exact, Interpolation::Linear);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Two thirds of the mass goes to x = 0.1, taking all of x = 0 and x = 1.
    let draw = path.sample(&vec![0.5; 3000], &mut rng);
    let ends: Vec<f64> = (draw.points.column(0).to_owned() * 1.0).to_vec();
    assert!(
        ends.iter()
            .all(|x| [0.05, 0.55, 2.05].iter().any(|e| (x - e).abs() < 1e-12))
    );
}

/// Two Gaussians: their Schroedinger bridge has the covariance of the ends
/// `C = (sqrt(4 a^2 b^2 + sigma^4) - sigma^2) / 2` over a unit of time (Bunne et al. 2023, theorem
/// 3), so the variance `(1-t)^2 a^2 + t^2 b^2 + 2 t (1-t) C + sigma^2 t (1-t)`, and its velocity is
/// half the rate of the logarithm of that, times the distance from the mean.
#[test]
fn a_bridge_of_gaussians_has_the_known_variance() {
    let (a, b, sigma, duration) = (0.5, 1.4, 0.9, 2.0);
    // Points of equal weight at the quantiles of a Gaussian, scaled to its variance.
    let gaussian = |mean: f64, deviation: f64| {
        let n = 300;
        let at = |i: usize| quantile((i as f64 + 0.5) / n as f64);
        let points = Array1::from_shape_fn(n, at);
        let spread = points.std(0.0);
        let points = points.mapv(|z| mean + deviation * z / spread);
        Cloud::new(points.insert_axis(Axis(1))).unwrap()
    };
    let clouds = vec![gaussian(0.0, a), gaussian(3.0, b)];
    let snapshots = Snapshots::new(vec![0.0, duration], clouds).unwrap();
    let (coupling, scale) = (Coupling::Bridge(sigma), array![1.0]);
    let path = Interpolant::new(&snapshots, coupling, Interpolation::Linear, &scale).unwrap();
    let s = sigma * sigma * duration;
    let c = 0.5 * ((4.0 * a * a * b * b + s * s).sqrt() - s);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let n = 200_000;
    for share in [0.25, 0.5, 0.8] {
        let rest = 1.0 - share;
        let variance = rest * rest * a * a + share * share * b * b + share * rest * (2.0 * c + s);
        let rate = (share * b * b - rest * a * a + (0.5 - share) * (2.0 * c + s)) / duration;
        let draw = path.sample(&vec![share * duration; n], &mut rng);
        let off = draw.points.mapv(|x| x - 3.0 * share);
        let found = off.mapv(|x| x * x).mean().unwrap();
        assert!((found / variance - 1.0).abs() < 0.015, "{found} {variance}");
        let velocities = draw.velocities.unwrap() - 3.0 / duration;
        let found = (&off * &velocities).mean().unwrap();
        assert!((found - rate).abs() < 0.015, "{found} {rate}");
    }
}

/// The quantile of the standard normal distribution, by bisection of its distribution function.
fn quantile(p: f64) -> f64 {
    // A trapezoidal sum of the density, whose error is below 1e-9.
    let below = |z: f64| {
        let h = (z + 10.0) / 4000.0;
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let inner: f64 = (1..4000).map(|i| density(-10.0 + h * f64::from(i))).sum();
        h * (inner + 0.5 * density(z))
    };
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if below(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[test]
fn bad_requests_are_refused() {
    let one = Snapshots::new(vec![0.0], vec![snapshots().cloud(0).clone()]).unwrap();
    let scale = array![1.0, 1.0];
    let new = |s: &Snapshots, c, scale: &Array1<f64>| {
        Interpolant::new(s, c, Interpolation::Linear, scale)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(new(&one, Coupling::Exact, &scale).contains("two times"));
    assert!(new(&snapshots(), Coupling::Entropic(-1.0), &scale).contains("positive"));
    assert!(new(&snapshots(), Coupling::Exact, &array![1.0]).contains("2 columns"));
}

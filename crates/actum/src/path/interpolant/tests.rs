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
const INTERPOLATIONS: [Interpolation; 3] = [
    Interpolation::Linear,
    Interpolation::Cubic,
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
    for coupling in COUPLINGS.into_iter().chain([Coupling::Unbalanced(0.3)]) {
        for interpolation in INTERPOLATIONS {
            let path = path(coupling, interpolation);
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

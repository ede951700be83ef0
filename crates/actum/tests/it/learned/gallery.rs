//! Every problem of the gallery, learned at a small size from samples alone: the field is near the
//! truth where that is a gradient, and the densities are carried along where it is not.

use actum::{
    Snapshots,
    dynamics::Dynamics,
    flow::{Scheme, integrate, simulate},
    gallery::{self, Branching, Cycle, ENTRIES, FokkerPlanck, Modes, PorousMedium, Truth, Vlasov},
    lagrangian::{Cost, Lagrangian},
    metric::energy_distance,
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::{Array2, array};

use crate::support::{learn, rng};

fn learn(truth: &dyn Truth, lagrangian: Lagrangian, steps: usize) -> Dynamics {
    let [first, last] = truth.span();
    let seen = gallery::snapshots(truth, &[first, 0.5 * (first + last), last], 500, 3).unwrap();
    let problem = Problem::new(truth, lagrangian, Units::of(&seen, false).unwrap());
    learn::learn(&problem, steps, Estimator::Samples)
}

/// The root mean square of `v - v*` over that of `v*` at five times.
fn error(
    truth: &dyn Truth,
    dynamics: &Dynamics,
    known: impl Fn(f64, &Array2<f64>) -> Array2<f64>,
) -> f64 {
    let [first, last] = truth.span();
    let times = [0.1, 0.3, 0.5, 0.7, 0.9].map(|share| first + share * (last - first));
    let fresh = gallery::snapshots(truth, &times, 1000, 4).unwrap();
    let (mut off, mut total) = (0.0, 0.0);
    for (t, cloud) in times.iter().zip(fresh.clouds()) {
        let known = known(*t, cloud.points());
        let learned = dynamics.velocity(*t, cloud.points()).unwrap();
        off += (learned - &known).mapv(|v| v * v).sum();
        total += known.mapv(|v| v * v).sum();
    }
    f64::sqrt(off / total)
}

/// The energy distance between points moved over two fifths of the time and fresh ones, over that
/// of points that stayed: 0 is perfect. (After all of the time a cycle is where it began.)
fn missed(truth: &dyn Truth, dynamics: &Dynamics) -> f64 {
    let [first, last] = truth.span();
    let later = first + 0.4 * (last - first);
    let at = gallery::snapshots(truth, &[first, later], 1000, 5).unwrap();
    let moved = simulate(dynamics, at.cloud(0), first, &[later], Scheme::default(), 0).unwrap();
    let apart = |cloud| energy_distance(cloud, at.cloud(1)).unwrap();
    apart(&moved.cloud(0).unwrap()) / apart(at.cloud(0))
}

#[test]
fn every_problem_is_learned() {
    // The largest error of the field, where the truth is a gradient, and the largest share missed.
    let bounds = [
        ("figure-1", Some(0.05), 0.02),
        ("heat", Some(0.35), 0.35),
        ("porous-medium-2", Some(0.35), 0.3),
        ("porous-medium-3", Some(0.4), 0.5),
        ("nonlinear-heat", Some(0.25), 0.05),
        ("fokker-planck", Some(0.2), 0.06),
        ("free-streaming", None, 0.12),
        ("vlasov", None, 0.06),
        ("hydrogen", None, 0.15),
        ("bernoulli", Some(0.25), 0.15),
        ("cycle", None, 0.05),
    ];
    // Modes that melt are as hard as their score; with the noise known they are easy, below.
    let names = ENTRIES.iter().map(|entry| entry.name);
    let others: Vec<&str> = names.filter(|name| *name != "figure-1-diffusing").collect();
    assert_eq!(bounds.map(|bound| bound.0).to_vec(), others);
    let mut wrong = vec![];
    for (name, most, share) in bounds {
        let truth = gallery::find(name).unwrap().path(None).unwrap();
        let dynamics = learn(&*truth, Lagrangian::kinetic(), 800);
        let error = error(&*truth, &dynamics, |t, x| truth.velocity(t, x));
        let missed = missed(&*truth, &dynamics);
        println!("{name}: field error {error:.3}, missed {missed:.4}");
        if most.is_some_and(|most| error > most) || missed > share {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn with_noise_nothing_is_left_of_the_motion_of_melting_modes() {
    let modes = Modes::figure_1().melting(0.1).unwrap();
    let noisy = Lagrangian::kinetic().noise(0.2f64.sqrt()).unwrap();
    let dynamics = learn(&modes, noisy, 800);
    let at = gallery::snapshots(&modes, &[0.0, 0.5, 1.0], 500, 4).unwrap();
    for (t, cloud) in at.times().iter().zip(at.clouds()) {
        let speed = dynamics.velocity(*t, cloud.points()).unwrap().std(0.0);
        assert!(speed < 0.1, "{speed} at {t}");
    }
}

#[test]
fn with_noise_the_field_of_langevin_dynamics_is_its_drift() {
    let langevin = FokkerPlanck::new();
    let noisy = Lagrangian::kinetic().noise(FokkerPlanck::SIGMA).unwrap();
    let dynamics = learn(&langevin, noisy, 1500);
    let error = error(&langevin, &dynamics, |t, x| langevin.drift(t, x));
    println!("error {error}");
    assert!(error < 0.2, "{error}");
}

#[test]
fn with_streaming_known_the_rest_of_a_trap_is_its_force() {
    let trap = Vlasov::trapped(1.5).unwrap();
    let cost = Cost::metric(array![[100.0, 0.0], [0.0, 1.0]]).unwrap();
    let known = Lagrangian::new(cost).drift(Vlasov::streaming());
    let dynamics = learn(&trap, known, 1500);
    let with = error(&trap, &dynamics, |t, x| trap.velocity(t, x));
    let plain = learn(&trap, Lagrangian::kinetic(), 1500);
    let without = error(&trap, &plain, |t, x| trap.velocity(t, x));
    println!("with {with} without {without}");
    assert!(with < 0.1 && without > 0.2, "{with} {without}");
}

#[test]
fn orbits_are_those_of_their_fields() {
    let trap = Vlasov::trapped(1.5).unwrap();
    for (truth, moved) in [
        (&trap as &dyn Truth, 0.8),
        (&Cycle, 0.3),
        (&Vlasov::free(), 1.0),
    ] {
        let at = |t| truth.sample(&[t; 20], &mut rng(4)).points;
        let field = |t: f64, x: &Array2<f64>| truth.velocity(t, x);
        let scheme = Scheme::DormandPrince { tolerance: 1e-10 };
        let path = integrate(field, &at(0.0), 0.0, &[moved], scheme).unwrap();
        let off = (path.at(0) - at(moved)).mapv(f64::abs);
        assert!(off.iter().all(|x| *x < 1e-7), "{off}");
    }
}

#[test]
fn a_porous_medium_keeps_its_edge() {
    let medium = PorousMedium::new(2.0, 2).unwrap();
    let dynamics = learn(&medium, Lagrangian::kinetic(), 1500);
    let start = gallery::snapshots(&medium, &[0.0], 2000, 6).unwrap();
    let moved = simulate(&dynamics, start.cloud(0), 0.0, &[1.0], Scheme::default(), 0).unwrap();
    let outside = medium.density(1.0, &moved.at(0));
    let outside = outside.iter().filter(|q| **q == 0.0).count() as f64 / 2000.0;
    println!("outside {outside}");
    assert!(outside < 0.05, "{outside}");
}

/// Snapshots read backwards give the same motion, backwards: only the labels of the times say which
/// way time runs.
#[test]
fn nothing_but_the_labels_says_which_way_time_runs() {
    let seen = Branching.snapshots(&[0.0, 20.0, 48.0], 400, 3).unwrap();
    let backward = seen.times().iter().rev().map(|t| 48.0 - t).collect();
    let clouds = seen.clouds().iter().rev().cloned().collect();
    let reversed = Snapshots::new(backward, clouds).unwrap();
    let [forward, backward] = [&seen, &reversed].map(|snapshots| {
        let problem = Problem::between(snapshots).build().unwrap();
        learn::learn(&problem, 800, Estimator::Samples)
    });
    let (mut off, mut total) = (0.0, 0.0);
    for t in [2.0, 14.0, 26.0, 40.0] {
        let fresh = Branching.snapshots(&[0.0, t], 500, 4).unwrap();
        let points = fresh.cloud(1).points();
        let velocity = forward.velocity(t, points).unwrap();
        let against = backward.velocity(48.0 - t, points).unwrap();
        off += (&velocity + &against).mapv(|v| v * v).sum();
        total += velocity.mapv(|v| v * v).sum();
    }
    assert!(f64::sqrt(off / total) < 0.15, "{}", f64::sqrt(off / total));
}

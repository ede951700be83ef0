//! Every term of the Lagrangian: fitted actions reach the known level of the objective and the
//! known field, and moving q_0 by them gives q_1, weights included.

use actum::{
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    evaluate,
    fit::{Options, fit},
    flow::{Scheme, Trajectories, simulate},
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::{Cost, Drift, Lagrangian},
    metric,
    path::{Coupling, FnPath, Interpolant, Interpolation, Masses, Path, PathSample},
    problem::{Estimator, Problem, Weight},
    units::Units,
};
use ndarray::{Array1, Array2, array};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::support::{
    learn::{self, field_error, level},
    networks::mlp,
    rng,
};

fn learn(problem: &Problem, estimator: Estimator) -> Dynamics {
    learn::learn(problem, 1200, estimator)
}

fn start(path: &dyn Path, n: usize) -> Cloud {
    let first = path.span()[0];
    Cloud::new(path.sample(&vec![first; n], &mut rng(3)).points).unwrap()
}

fn moved(dynamics: &Dynamics, start: &Cloud, times: &[f64]) -> Trajectories {
    let first = dynamics.units.span()[0];
    let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
    simulate(dynamics, start, first, times, scheme, 4).unwrap()
}

fn moments(t: f64) -> Moments {
    Moments {
        mean: vec![2.0 * t, -t],
        mean_rate: vec![2.0, -1.0],
        std_dev: 1.2 - 0.4 * t,
        std_dev_rate: -0.4,
    }
}

/// With noise, growth, both: the level, the end of the simulation and its mass.
#[test]
fn noise_and_growth_carry_a_gaussian_with_its_mass() {
    for (sigma, lambda, rate) in [
        (0.8, 0.0, 0.0),
        (0.0, 1.0, -0.9),
        (0.8, 1.0, -0.9),
        (0.8, 0.5, 0.0),
    ] {
        for estimator in [Estimator::Velocity, Estimator::Samples] {
            let mass = move |t: f64| [(rate * t).exp(), rate * (rate * t).exp()];
            let mut path = Gaussian::new(2, moments).under(sigma, lambda);
            if rate != 0.0 {
                path = path.with_mass(mass);
            }
            let lagrangian = Lagrangian::kinetic()
                .noise(sigma)
                .and_then(|l| l.growth(lambda))
                .unwrap();
            let units = Units::isotropic(vec![1.0, -0.5], 1.3, [0.0, 1.0]).unwrap();
            let problem = Problem::new(&path, lagrangian, units);
            let dynamics = learn(&problem, estimator);
            let (level, least) = (level(&dynamics, &problem), path.least_objective());
            let what = format!("{estimator:?} with {sigma} {lambda} {rate}");
            println!("{what}: level {level:.4} of {least:.4}");
            assert!(
                (level - least).abs() < 0.03 * least.abs().max(1.0),
                "{what}: {level} {least}"
            );

            let start = start(&path, 4000);
            for (k, t) in [0.5, 1.0].into_iter().enumerate() {
                let end = moved(&dynamics, &start, &[0.5, 1.0]).cloud(k).unwrap();
                let truth = moments(t);
                let off = (end.mean() - Array1::from(truth.mean)).mapv(f64::abs);
                assert!(off.iter().all(|e| *e < 0.08), "{what} at {t}: mean {off}");
                for std_dev in end.std_dev() {
                    let off = (std_dev / truth.std_dev - 1.0).abs();
                    assert!(off < 0.08, "{what} at {t}: {std_dev}");
                }
                let expected = if lambda > 0.0 { mass(t)[0] } else { 1.0 };
                let found = end.mass();
                assert!(
                    (found / expected - 1.0).abs() < 0.05,
                    "{what} at {t}: mass {found}"
                );
            }
        }
    }
}

/// A mixture that stays and grows as e^{at}: s = a / lambda everywhere, nothing moves.
#[test]
fn a_population_that_grows_in_place_is_not_moved() {
    let (a, lambda): (f64, f64) = (1.2, 0.8);
    let path = FnPath::new(1, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let points = Array2::from_shape_fn((times.len(), 1), |_| {
            let z: f64 = rng.sample(StandardNormal);
            if rng.random::<bool>() {
                1.0 + 0.3 * z
            } else {
                -1.0 + 0.2 * z
            }
        });
        let values: Array1<f64> = times.iter().map(|t| (a * t).exp()).collect();
        let rates = Some(&values * a);
        let still = Array2::zeros(points.raw_dim());
        PathSample::new(points)
            .with_velocities(still)
            .with_masses(Masses { values, rates })
    })
    .unwrap()
    .with_mass();
    let lagrangian = Lagrangian::kinetic().growth(lambda).unwrap();
    let units = Units::isotropic(vec![0.0], 1.0, [0.0, 1.0]).unwrap();
    let problem = Problem::new(&path, lagrangian, units);
    let least = -a * (a.exp() - 1.0) / (2.0 * lambda);
    for estimator in [Estimator::Velocity, Estimator::Samples] {
        let dynamics = learn(&problem, estimator);
        let level = level(&dynamics, &problem);
        assert!(
            (level / least - 1.0).abs() < 0.02,
            "{estimator:?}: {level} {least}"
        );
        let x = array![[-1.0], [-0.8], [1.0], [1.3]];
        let description = dynamics.describe(0.5, &x).unwrap();
        for (growth, speed) in description.growth.iter().zip(&description.speed) {
            assert!(
                (growth - a).abs() < 0.08 && *speed < 0.12,
                "{growth} {speed}"
            );
        }
    }
}

/// Ornstein and Uhlenbeck's process from N(2, 0.3^2) at its own noise: the entropic action is -V,
/// the plain one -V - sigma^2/2 log q, both carry the same densities (Fokker and Planck), and their
/// difference gives the score.
#[test]
fn entropic_and_plain_actions_of_a_diffusion_share_marginals_and_give_the_score() {
    let sigma: f64 = 1.0;
    let law = |t: f64| {
        let decay = (-t).exp();
        let variance = 0.09 * decay * decay + 0.5 * sigma * sigma * (1.0 - decay * decay);
        (2.0 * decay, variance)
    };
    let path = Gaussian::new(1, move |t| {
        let (mean, variance) = law(t);
        Moments {
            mean: vec![mean],
            mean_rate: vec![-mean],
            std_dev: variance.sqrt(),
            std_dev_rate: (0.5 * sigma * sigma - variance) / variance.sqrt(),
        }
    });
    let units = || Units::isotropic(vec![1.0], 0.8, [0.0, 1.0]).unwrap();
    let noisy = Lagrangian::kinetic().noise(sigma).unwrap();
    let entropic = learn(&Problem::new(&path, noisy, units()), Estimator::Velocity);
    let plain = learn(
        &Problem::new(&path, Lagrangian::kinetic(), units()),
        Estimator::Velocity,
    );
    let error = field_error(&entropic, &path, |_, x| vec![-x[0]]);
    assert!(error < 0.08, "entropic {error}");
    let probability_flow = |t: f64, x: &[f64]| {
        let (mean, variance) = law(t);
        vec![-x[0] + 0.5 * sigma * sigma * (x[0] - mean) / variance]
    };
    let error = field_error(&plain, &path, probability_flow);
    assert!(error < 0.08, "plain {error}");

    let start = start(&path, 8000);
    let times = [0.25, 0.5, 1.0];
    let (noisy, still) = (
        moved(&entropic, &start, &times),
        moved(&plain, &start, &times),
    );
    for (k, t) in times.into_iter().enumerate() {
        let (a, b) = (noisy.cloud(k).unwrap(), still.cloud(k).unwrap());
        let apart = metric::wasserstein_1(&a, &b).unwrap();
        assert!(apart < 0.05, "{apart} at {t}");
        let (mean, variance) = law(t);
        for cloud in [&a, &b] {
            assert!((cloud.mean()[0] - mean).abs() < 0.04);
            assert!((cloud.std_dev()[0] / variance.sqrt() - 1.0).abs() < 0.06);
        }
    }
    let (mean, variance) = law(0.6);
    let x = array![[mean - 0.5], [mean], [mean + 0.5]];
    let score = entropic.score(&plain, 0.6, &x).unwrap();
    let density = entropic.relative_log_density(&plain, 0.6, &x).unwrap();
    for (i, y) in [-0.5, 0.0, 0.5].into_iter().enumerate() {
        let off = (score[[i, 0]] + y / variance).abs();
        assert!(off < 0.15, "score {} at {y}", score[[i, 0]]);
        let off = (density[i] - density[1] + 0.5 * y * y / variance).abs();
        assert!(off < 0.08, "log density {density}");
    }
    let message = plain.score(&entropic, 0.6, &x).unwrap_err().to_string();
    assert!(message.contains("one without"), "{message}");
}

/// x + v t under a cost c has the level -c(v), whatever the density.
#[test]
fn costs_have_their_levels_and_keep_the_velocity() {
    let velocity = [3.0, -4.0];
    let path = FnPath::new(2, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let points = Array2::from_shape_fn((times.len(), 2), |(i, j)| {
            let z: f64 = rng.sample(StandardNormal);
            f64::from(rng.random::<bool>()) + 0.3 * z + velocity[j] * times[i]
        });
        let shape = points.raw_dim();
        PathSample::new(points).with_velocities(Array2::from_shape_fn(shape, |(_, j)| velocity[j]))
    })
    .unwrap();
    let metric = array![[2.0, 0.5], [0.5, 1.0]];
    for (cost, least) in [
        (Cost::power(1.5).unwrap(), -5f64.powf(1.5) / 1.5),
        (Cost::power(3.0).unwrap(), -125.0 / 3.0),
        // (2 * 9 - 2 * 0.5 * 12 + 16) / 2
        (Cost::metric(metric).unwrap(), -11.0),
    ] {
        for estimator in [Estimator::Velocity, Estimator::Samples] {
            let units = Units::isotropic(vec![2.0, -1.5], 2.5, [0.0, 1.0]).unwrap();
            let problem = Problem::new(&path, Lagrangian::new(cost.clone()), units);
            let dynamics = learn(&problem, estimator);
            let level = level(&dynamics, &problem);
            println!("{estimator:?} {cost:?}: level {level:.3} of {least:.3}");
            assert!(
                (level / least - 1.0).abs() < 0.04,
                "{cost:?}: {level} {least}"
            );
            let error = field_error(&dynamics, &path, |_, _| velocity.to_vec());
            assert!(error < 0.2, "{cost:?}: {error}");
            let start = start(&path, 500);
            let end = moved(&dynamics, &start, &[1.0]).at(0);
            let off = (end - start.points() - &array![3.0, -4.0]).mean_axis(ndarray::Axis(0));
            assert!(off.unwrap().iter().all(|e| e.abs() < 0.15), "{cost:?}");
        }
    }
}

/// dx/dt = b(x) + k for a turn b and a push k: with the turn known, the action is k.x, and even the
/// trajectories are right, which without it no gradient can give.
#[test]
fn with_a_known_drift_trajectories_turn() {
    let rate = 2.0;
    let push = [1.0, 0.5];
    // x_t = R_t x_0 + int_0^t R_s k ds.
    let flow = move |t: f64, x: [f64; 2]| {
        let (sin, cos) = (rate * t).sin_cos();
        let (a, b) = (sin / rate, (1.0 - cos) / rate);
        [
            cos * x[0] - sin * x[1] + a * push[0] - b * push[1],
            sin * x[0] + cos * x[1] + b * push[0] + a * push[1],
        ]
    };
    let path = FnPath::new(2, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let (mut points, mut velocities) = (
            Array2::zeros((times.len(), 2)),
            Array2::zeros((times.len(), 2)),
        );
        for (i, t) in times.iter().enumerate() {
            let z: [f64; 2] = [rng.sample(StandardNormal), rng.sample(StandardNormal)];
            let x = flow(*t, [1.5 + 0.3 * z[0], 0.6 * z[1]]);
            let v = [push[0] - rate * x[1], push[1] + rate * x[0]];
            for j in 0..2 {
                points[[i, j]] = x[j];
                velocities[[i, j]] = v[j];
            }
        }
        PathSample::new(points).with_velocities(velocities)
    })
    .unwrap();
    let turn = Drift::function(move |_, x, b| b.copy_from_slice(&[-rate * x[1], rate * x[0]]));
    let units = || Units::isotropic(vec![0.5, 1.0], 1.2, [0.0, 1.0]).unwrap();
    let start = start(&path, 500);
    let truth = Array2::from_shape_fn((500, 2), |(i, j)| {
        flow(1.0, [start.points()[[i, 0]], start.points()[[i, 1]]])[j]
    });
    let apart = |dynamics: &Dynamics| {
        let off = moved(dynamics, &start, &[1.0]).at(0) - &truth;
        off.mapv(|e| e * e).mean().unwrap().sqrt()
    };
    let known = Lagrangian::kinetic().drift(turn);
    let problem = Problem::new(&path, known, units());
    for estimator in [Estimator::Velocity, Estimator::Samples] {
        let dynamics = learn(&problem, estimator);
        let level = level(&dynamics, &problem);
        assert!((level + 0.625).abs() < 0.04, "{estimator:?}: {level}");
        assert!(
            apart(&dynamics) < 0.1,
            "{estimator:?}: {}",
            apart(&dynamics)
        );
        // What is charged for is the push alone.
        let description = dynamics.describe(0.5, &truth).unwrap();
        assert!((description.energy.mean().unwrap() - 0.625).abs() < 0.1);
        assert!(description.growth.iter().all(|g| *g == 0.0));
    }
    let unknown = Problem::new(&path, Lagrangian::kinetic(), units());
    // A turn on a cloud far from its center is mostly a shift, whose power is a gradient's.
    let share = evaluate::path_gradient_fraction(&path, 0.0, &array![1.0, 1.0], 4000, 0).unwrap();
    let (center, variances) = (array![1.5, 0.0], [0.09, 0.36]);
    let mean = [push[0] - rate * center[1], push[1] + rate * center[0]];
    // On N(m, diag(a, b)) the gradient part of a turn has the share ((a - b) / (a + b))^2.
    let round = rate * rate * (variances[0] + variances[1]);
    let straight = mean[0] * mean[0] + mean[1] * mean[1];
    let part = ((variances[0] - variances[1]) / (variances[0] + variances[1])).powi(2);
    let expected = (straight + part * round) / (straight + round);
    assert!(
        (share.gradient - expected).abs() < 0.02,
        "{share:?} {expected}"
    );
    assert!(share.field > 0.99, "{share:?}");
    let blind = learn(&unknown, Estimator::Velocity);
    assert!(apart(&blind) > 0.3, "{}", apart(&blind));
}

/// A weight that drops the early boundary changes the loss, not what it is minimised by.
#[test]
fn weights_in_time_keep_the_field() {
    let path = Gaussian::new(2, moments);
    let units = Units::isotropic(vec![1.0, -0.5], 1.3, [0.0, 1.0]).unwrap();
    let problem = Problem::new(&path, Lagrangian::kinetic(), units)
        .weighted(Weight::new(|t| [t * (2.0 - t), 2.0 - 2.0 * t]));
    // 1/2 (|m'|^2 + 2 * 0.16) int t (2 - t) dt
    let least = -0.5 * (5.0 + 0.32) * (1.0 - 1.0 / 3.0);
    for estimator in [Estimator::Velocity, Estimator::Samples] {
        let dynamics = learn(&problem, estimator);
        let level = level(&dynamics, &problem);
        assert!(
            (level / least - 1.0).abs() < 0.03,
            "{estimator:?}: {level} {least}"
        );
        let truth = |t: f64, x: &[f64]| {
            let at = moments(t);
            let rate = at.std_dev_rate / at.std_dev;
            (0..2)
                .map(|j| at.mean_rate[j] + rate * (x[j] - at.mean[j]))
                .collect()
        };
        let error = field_error(&dynamics, &path, truth);
        assert!(error < 0.1, "{estimator:?}: {error}");
    }
}

/// The same population in other units, with sigma and lambda in those units, moves the same way: to
/// the rounding of f32, since the network sees the same numbers.
#[test]
fn a_change_of_units_changes_nothing() {
    let (length, time) = (40.0, 7.0);
    let run = |length: f64, time: f64| {
        let path = FnPath::new(2, [0.0, time], true, move |times, rng: &mut dyn Rng| {
            let shape = (times.len(), 2);
            let (mut x, mut v) = (Array2::zeros(shape), Array2::zeros(shape));
            for (i, t) in times.iter().enumerate() {
                let at = moments(t / time);
                for j in 0..2 {
                    let z: f64 = rng.sample(StandardNormal);
                    x[[i, j]] = length * (at.mean[j] + at.std_dev * z);
                    v[[i, j]] = length / time * (at.mean_rate[j] + at.std_dev_rate * z);
                }
            }
            PathSample::new(x).with_velocities(v)
        })
        .unwrap();
        let p: f64 = 1.5;
        let lagrangian = Lagrangian::new(Cost::power(p).unwrap())
            .noise(0.5 * length / time.sqrt())
            .and_then(|l| l.growth(0.7 * length.powf(-p) * time.powf(p - 2.0)))
            .unwrap()
            .drift(Drift::function(move |t, x, b| {
                b.copy_from_slice(&[0.3 * t / time * x[1] / time, -0.3 * x[0] / time]);
            }));
        let units = Units::isotropic(vec![length, -0.5 * length], 1.3 * length, [0.0, time])
            .and_then(|u| u.warped(&[0.0, 0.25 * time, time], &[1.0, 1.0]))
            .unwrap();
        let problem = Problem::new(&path, lagrangian, units);
        let options = Options {
            steps: 150,
            batch: 64,
            ..Options::default()
        };
        let dynamics = fit(mlp(2, 16, 2, 0), &problem, &options, &mut ()).unwrap();
        let start = start(&path, 50);
        let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
        let moved = simulate(&dynamics, &start, 0.0, &[time], scheme, 4).unwrap();
        (moved.at(0) / length, moved.weights)
    };
    let ((x, w), (y, u)) = (run(1.0, 1.0), run(length, time));
    assert!((x - y).iter().all(|e| e.abs() < 2e-3));
    assert!((w / u).iter().all(|e| (e - 1.0).abs() < 5e-3));
}

/// What is told of a growing Gaussian is what its closed form says.
#[test]
fn a_summary_says_what_the_oracle_does() {
    let (rate, lambda) = (-0.8f64, 1.3);
    let mass = move |t: f64| [(rate * t).exp(), rate * (rate * t).exp()];
    let oracle = Gaussian::new(2, moments).under(0.0, lambda).with_mass(mass);
    let least = oracle.least_objective();
    let dynamics = Dynamics::new(
        Gaussian::new(2, moments).under(0.0, lambda).with_mass(mass),
        Lagrangian::kinetic().growth(lambda).unwrap(),
        Units::identity(2),
    )
    .unwrap();
    let first = start(&oracle, 3000);
    let action = evaluate::total_action(&dynamics, &first).unwrap();
    assert!((action / -least - 1.0).abs() < 0.03, "{action} {least}");

    let last = Cloud::new(oracle.sample(&[1.0; 4000], &mut rng(9)).points).unwrap();
    let snapshots = Snapshots::new(
        vec![0.0, 1.0],
        vec![first.clone(), last.with_mass(mass(1.0)[0]).unwrap()],
    )
    .unwrap();
    let summaries = evaluate::summaries(&dynamics, &snapshots).unwrap();
    // The mass changes by M', so the mean growth rate is M'/M = rate at all times.
    for summary in &summaries {
        assert!((summary.growth - rate).abs() < 0.03, "{}", summary.growth);
        assert!(summary.growth_low < summary.growth && summary.growth < summary.growth_high);
        assert!(summary.gradient_fraction.is_none());
    }
    // 1/2 E|grad s|^2 = 1/2 (|b|^2 + c^2 d / p) at t = 0, where p = 1/1.44.
    let (p, p_rate) = (1.0 / 1.44, 2.0 * 0.4 / 1.2f64.powi(3));
    let (c, b) = (-p_rate / (2.0 * p + lambda), p / (p + lambda));
    let energy = 0.5 * (b * b * 5.0 + 2.0 * c * c / p);
    assert!((summaries[0].energy / energy - 1.0).abs() < 0.03);

    let score = evaluate::score(
        &dynamics,
        &snapshots,
        0,
        1,
        [Some(0), None],
        &Array1::ones(2),
    );
    let score = score.unwrap();
    assert!(score.prediction.mass_error.abs() < 0.03);
    let previous = score.previous.unwrap().mass_error;
    assert!((previous - (1.0 / mass(1.0)[0] - 1.0)).abs() < 1e-9);

    let late = dynamics
        .describe(1.5, first.points())
        .unwrap_err()
        .to_string();
    assert!(late.contains("[0, 1]"), "{late}");
}

/// Noise on a handful of points: without a blur the objective has no lower bound.
#[test]
fn noise_on_few_points_needs_a_blur() {
    let mut rng = rng(0);
    let clouds = [0.0, 1.0].map(|shift| {
        let points =
            Array2::from_shape_simple_fn((12, 2), || shift + rng.sample::<f64, _>(StandardNormal));
        Cloud::new(points).unwrap()
    });
    let snapshots = Snapshots::new(vec![0.0, 1.0], clouds.to_vec()).unwrap();
    let units = Units::of(&snapshots, false).unwrap();
    let scale = units.scale();
    let width = snapshots.scott_width(&scale);
    // 12^(-1/6) times a standard deviation of about 1.
    assert!((0.5..0.8).contains(&width), "{width}");
    let level = |width: f64| {
        let path = Interpolant::new(&snapshots, Coupling::Exact, Interpolation::Linear, &scale)
            .and_then(|path| path.blurred(width))
            .unwrap();
        let noisy = Lagrangian::kinetic().noise(1.0).unwrap();
        let problem = Problem::new(&path, noisy, units.clone());
        level(&learn(&problem, Estimator::Velocity), &problem)
    };
    let (sharp, blurred) = (level(0.0), level(width));
    assert!(blurred > -6.0, "{blurred}");
    assert!(sharp < 3.0 * blurred, "{sharp} {blurred}");
}

//! Score matching: processes against their equations, fitted scores against closed forms, samplers
//! against the densities whose scores they are given.

use actum::{
    action::Engine,
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    fit::Options,
    flow::{
        Scheme, Trajectories, diffuse,
        likelihood::{TraceEstimator, log_density, standard_gaussian},
        simulate,
    },
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    path::{Diffusion, FnPath, Path, PathSample, Process},
    problem::{Estimator, Problem},
    score::{Score, Step, langevin, probability_flow, reverse},
    units::Units,
};
use ndarray::{Array1, Array2, Axis, array, aview2};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::support::{learn::level_of, networks::mlp, normal, rng};

fn processes() -> [Process; 4] {
    let exploding = Process::variance_exploding(0.1, 4.0).unwrap();
    [
        Process::default(),
        Process::sub_variance_preserving(0.1, 20.0).unwrap(),
        exploding,
        exploding.normalized(),
    ]
}

#[test]
fn processes_have_the_moments_of_their_equations() {
    // By another program, at t = 0.3, where B = 0.9255.
    let [vp, sub, ..] = processes();
    let ve = Process::variance_exploding(0.01, 50.0).unwrap();
    let normalized = ve.normalized();
    assert_eq!(vp.normalized(), vp);
    for (process, alpha, sigma, f, g) in [
        (vp, 0.6295500003, 0.7769599714, -3.035, 2.4637369990),
        (sub, 0.6295500003, 0.6036667971, -3.035, 2.2619735527),
        (ve, 1.0, 0.1287333294, 0.0, 0.5313176563),
        (
            normalized,
            0.9918154530,
            0.1276797054,
            -0.1388481961,
            0.5269690620,
        ),
    ] {
        let found = [
            process.alpha(0.3)[0],
            process.sigma(0.3)[0],
            process.f(0.3),
            process.g(0.3),
        ];
        for (found, expected) in found.iter().zip([alpha, sigma, f, g]) {
            assert!(
                (found - expected).abs() < 1e-9,
                "{process:?} {found} {expected}"
            );
        }
        for t in [0.01, 0.2, 0.5, 0.99] {
            let [[alpha, alpha_rate], [sigma, sigma_rate]] = [process.alpha(t), process.sigma(t)];
            let (f, g) = (process.f(t), process.g(t));
            // alpha' = f alpha and (sigma^2)' = 2 f sigma^2 + g^2.
            assert!((alpha_rate - f * alpha).abs() < 1e-12);
            let variance_rate = 2.0 * f * sigma * sigma + g * g;
            assert!((2.0 * sigma * sigma_rate / variance_rate - 1.0).abs() < 1e-9);
            let h = 1e-6;
            for (moment, rate) in [
                (Process::alpha as fn(_, _) -> [f64; 2], alpha_rate),
                (Process::sigma, sigma_rate),
            ] {
                let slope = (moment(process, t + h)[0] - moment(process, t - h)[0]) / (2.0 * h);
                assert!(
                    (slope - rate).abs() < 1e-6 * (1.0 + rate.abs()),
                    "{slope} {rate}"
                );
            }
        }
    }
    // 1 - exp(-B) would have lost its digits.
    assert!((vp.sigma(1e-12)[0] / 1e-13f64.sqrt() - 1.0).abs() < 1e-9);
    let last = 50.0 / 2501f64.sqrt();
    for (process, std_dev) in [(vp, 1.0), (sub, 1.0), (ve, 50.0), (normalized, last)] {
        assert_eq!(process.prior_std_dev(), std_dev);
        assert!((process.sigma(1.0)[0] / std_dev - 1.0).abs() < 1e-4);
        let prior = Cloud::new(process.prior([20_000, 2], 0)).unwrap();
        assert!(
            (prior.std_dev() / std_dev - 1.0)
                .iter()
                .all(|e| e.abs() < 0.02)
        );
    }
}

#[test]
fn forward_noise_makes_the_moments() {
    let (first, last, x) = (0.1, 0.6, 2.0);
    for process in processes() {
        let moved = diffuse(
            |t, x| x * process.f(t),
            |t| process.g(t),
            &Array2::from_elem((20_000, 1), x),
            first,
            &[last],
            Scheme::StochasticRungeKutta(100),
            3,
        )
        .unwrap();
        let ratio = process.alpha(last)[0] / process.alpha(first)[0];
        let variance = process.sigma(last)[0].powi(2) - (ratio * process.sigma(first)[0]).powi(2);
        let cloud = moved.cloud(0).unwrap();
        let std_dev = variance.sqrt();
        assert!(
            (cloud.mean()[0] - ratio * x).abs() < 0.03 * std_dev,
            "{process:?}"
        );
        assert!(
            (cloud.std_dev()[0] / std_dev - 1.0).abs() < 0.02,
            "{process:?}"
        );
    }
}

#[test]
fn a_diffusion_draws_by_weight_and_its_velocity_is_the_derivative() {
    let data = Cloud::weighted(array![[-1.0, 0.0], [1.0, 5.0]], array![1.0, 3.0]).unwrap();
    for process in processes() {
        let path = Diffusion::new(process, data.clone(), 0.01).unwrap();
        assert_eq!((path.span(), path.dimension()), ([0.01, 1.0], 2));
        let at = |t| path.sample(&vec![t; 8000], &mut rng(1));
        let (t, h) = (0.4, 1e-5);
        let slopes = (at(t + h).points - at(t - h).points) / (2.0 * h);
        let off = slopes - at(t).velocities.unwrap();
        assert!(off.iter().all(|e| e.abs() < 1e-6), "{process:?}");
        let early = Cloud::new(at(0.01).points).unwrap();
        let alpha = process.alpha(0.01)[0];
        assert!((early.mean()[1] - 3.75 * alpha).abs() < 0.1);
        let sigma = process.sigma(0.01)[0];
        let expected = (25.0 * 0.1875 * alpha * alpha + sigma * sigma).sqrt();
        assert!((early.std_dev()[1] / expected - 1.0).abs() < 0.03);
    }
}

fn options(steps: usize) -> Options {
    Options {
        steps,
        batch: 256,
        learning_rate: 1e-2,
        ema_decay: 0.995,
        ..Options::default()
    }
}

/// Learns a score.
fn fit(network: Box<dyn Engine>, problem: &Problem, options: &Options) -> Result<Score> {
    Score::of(
        problem,
        actum::fit::fit(network, problem, options, &mut ())?,
    )
}

fn learn(problem: &Problem, columns: usize, steps: usize) -> Score {
    fit(mlp(columns, 64, 2, 0), problem, &options(steps)).unwrap()
}

/// The objective of a fitted score on many points, in the units of the cost.
fn level(score: &Score, problem: &Problem) -> f64 {
    let action = score.dynamics().action();
    level_of(&**action, problem, 100_000)
}

/// The mean square of `width_t (score - truth)` over that of `width_t truth`, its root, over points
/// of a path.
fn error(
    score: &Score,
    path: &dyn Path,
    width: impl Fn(f64) -> Array1<f64>,
    truth: impl Fn(f64, &Array2<f64>) -> Array2<f64>,
) -> f64 {
    let mut rng = rng(2);
    let [first, last] = path.span();
    let (mut off, mut total) = (0.0, 0.0);
    for k in 0..=20 {
        let t = first + (last - first) * f64::from(k) / 20.0;
        let points = path.sample(&[t; 1000], &mut rng).points;
        let expected = truth(t, &points) * &width(t);
        let found = score.at(t, &points).unwrap() * &width(t);
        off += (&found - &expected).mapv(|e| e * e).sum();
        total += expected.mapv(|e| e * e).sum();
    }
    (off / total).sqrt()
}

/// By the midpoint rule.
fn integral([first, last]: [f64; 2], count: usize, f: impl Fn(f64) -> f64) -> f64 {
    let h = (last - first) / count as f64;
    (0..count)
        .map(|k| h * f(first + (k as f64 + 0.5) * h))
        .sum()
}

/// The score of `1/4 N(3 alpha, sigma^2) + 3/4 N(5 alpha, sigma^2)`.
fn two_points_score(process: Process, t: f64, x: f64) -> f64 {
    let ([alpha, _], [sigma, _]) = (process.alpha(t), process.sigma(t));
    let from = |y: f64| (x - alpha * y) / sigma;
    // The odds of the first point.
    let odds = (0.5 * (from(5.0).powi(2) - from(3.0).powi(2))).exp() / 3.0;
    let first = if odds.is_finite() {
        odds / (1.0 + odds)
    } else {
        1.0
    };
    -(first * from(3.0) + (1.0 - first) * from(5.0)) / sigma
}

#[test]
fn denoising_learns_the_score_of_two_weighted_points_and_samplers_find_them() {
    let start = 0.1;
    for process in processes() {
        let data = Cloud::weighted(array![[3.0], [5.0]], array![1.0, 3.0]).unwrap();
        let path = Diffusion::new(process, data, start).unwrap();
        let units = Units::isotropic(vec![3.0], 2.0, path.span()).unwrap();
        let problem = Problem::denoising(&path, units).unwrap();
        let score = learn(&problem, 1, 2000);
        let truth = |t: f64, x: &Array2<f64>| x.mapv(|x| two_points_score(process, t, x));
        let width = |t: f64| array![process.sigma(t)[0]];
        let error = error(&score, &path, width, truth);

        // -1/2 int D^2 E[score^2] dt, D = sigma length warp', with a warp of slope 1 / 0.9.
        let least = -0.5
            * integral(path.span(), 400, |t| {
                let ([alpha, _], [sigma, _]) = (process.alpha(t), process.sigma(t));
                let square = integral([-8.0, 8.0], 400, |z| {
                    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
                    [(0.25, 3.0), (0.75, 5.0)]
                        .map(|(weight, y)| {
                            let x = alpha * y + sigma * z;
                            weight * density * two_points_score(process, t, x).powi(2)
                        })
                        .iter()
                        .sum()
                });
                (sigma * 2.0 / 0.9).powi(2) * square
            });
        let level = level(&score, &problem);
        println!("{process:?}: error {error:.4}, level {level:.4} of {least:.4}");
        assert!(error < 0.1, "{process:?}: {error}");
        // Half of the squared error is what the level is above the least, but for its own noise.
        assert!(
            (level / least - 1.0).abs() < 0.02,
            "{process:?}: {level} {least}"
        );

        let noise = path.sample(&[1.0; 2000], &mut rng(5)).points;
        let at = |t: f64, x: &Array2<f64>| score.at(t, x);
        let scheme = Scheme::StochasticRungeKutta(200);
        let drawn = [
            reverse(process, at, &noise, 1.0, &[start], scheme, 6).unwrap(),
            probability_flow(process, at, &noise, 1.0, &[start], Scheme::Heun(100)).unwrap(),
        ];
        for drawn in drawn {
            let alpha = process.alpha(start)[0];
            let right = drawn.points.iter().filter(|x| **x > 4.0 * alpha).count() as f64 / 2000.0;
            let cloud = drawn.cloud(0).unwrap();
            let std_dev = (0.75 * alpha * alpha + process.sigma(start)[0].powi(2)).sqrt();
            println!(
                "  share {right:.3}, standard deviation {} of {std_dev:.3}",
                cloud.std_dev()
            );
            assert!((right - 0.75).abs() < 0.08, "{process:?}: {right}");
            assert!(
                (cloud.std_dev()[0] / std_dev - 1.0).abs() < 0.06,
                "{process:?}"
            );
        }
    }
}

#[test]
fn denoising_learns_the_score_of_a_gaussian_in_three_columns() {
    let (mean, std_dev) = (array![2.0, -1.0, 0.5], 0.8);
    let data = normal(20_000, 3, 7) * std_dev + &mean;
    let process = Process::default();
    let path = Diffusion::new(process, Cloud::new(data).unwrap(), 0.05).unwrap();
    let units = Units::isotropic(vec![0.7, -0.3, 0.2], 1.3, path.span()).unwrap();
    let problem = Problem::denoising(&path, units).unwrap();
    let score = learn(&problem, 3, 2000);
    let variance = |t: f64| (process.alpha(t)[0] * std_dev).powi(2) + process.sigma(t)[0].powi(2);
    let truth = |t: f64, x: &Array2<f64>| -(x - &mean * process.alpha(t)[0]) / variance(t);
    let width = |t: f64| Array1::from_elem(3, process.sigma(t)[0]);
    let error = error(&score, &path, width, truth);
    let least = -1.5
        * integral(path.span(), 400, |t| {
            (process.sigma(t)[0] * 1.3 / 0.95).powi(2) / variance(t)
        });
    let level = level(&score, &problem);
    println!("error {error:.4}, level {level:.4} of {least:.4}");
    assert!(error < 0.05, "{error}");
    assert!((level / least - 1.0).abs() < 0.01, "{level} {least}");
}

/// Columns of standard deviations 0.5, 20 and 3 that widen from time 2 to 6.
fn widening(t: f64) -> [Array1<f64>; 2] {
    let mean = array![1.0 + t, 10.0 * (6.0 - t), -4.0];
    [mean, array![0.5, 20.0, 3.0] * (0.5 + 0.25 * t)]
}

/// Standardised columns and a time warp that changes its slope: every factor between the network's
/// numbers and the user's.
#[test]
fn blurred_and_sliced_scores_are_right_in_any_units() {
    let path = FnPath::new(3, [2.0, 6.0], false, |times, rng: &mut dyn Rng| {
        let mut points = Array2::zeros((times.len(), 3));
        for (mut row, t) in points.rows_mut().into_iter().zip(times) {
            let [mean, std_dev] = widening(*t);
            row.assign(&mean);
            row.iter_mut()
                .zip(&std_dev)
                .for_each(|(x, s)| *x += s * rng.sample::<f64, _>(StandardNormal));
        }
        PathSample::new(points)
    })
    .unwrap();
    let mut rng = rng(4);
    let cloud = |t| Cloud::new(path.sample(&[t; 4000], &mut rng).points).unwrap();
    let clouds = [2.0, 6.0].map(cloud).to_vec();
    let snapshots = Snapshots::new(vec![2.0, 6.0], clouds).unwrap();
    let units = Units::of(&snapshots, true).unwrap();
    let warped = units.clone().warped(&[2.0, 3.0, 6.0], &[2.0, 1.0]).unwrap();
    let scale = units.scale();
    // 0.1 of real time, 0.9 of distance: warp' in the first unit of time, and in the last three.
    let rate = |t: f64| if t < 3.0 { 0.625 } else { 0.125 };
    let sigma = 0.3;
    for (units, is_warped) in [(units, false), (warped, true)] {
        let square = units.length() * units.length();
        for (problem, sigma) in [
            (
                Problem::blurred(&path, sigma, units.clone()).unwrap(),
                sigma,
            ),
            (Problem::sliced(&path, units.clone()).unwrap(), 0.0),
        ] {
            let score = learn(&problem, 3, 2000);
            let variance = |t: f64| {
                let noise = sigma * &scale;
                widening(t)[1].mapv(|s| s * s) + &noise * &noise
            };
            let truth = |t: f64, x: &Array2<f64>| -(x - &widening(t)[0]) / variance(t);
            let error = error(&score, &path, |_| scale.clone(), truth);
            let least = -0.5
                * integral([2.0, 6.0], 400, |t| {
                    // D = length^2 warp', and the warp weights times by 1 / (4 warp').
                    let rate = if is_warped { rate(t) } else { 0.25 };
                    square * square * rate / 4.0 * (&scale * &scale / variance(t)).sum()
                });
            let level = level(&score, &problem);
            println!("{sigma} {is_warped}: error {error:.4}, level {level:.4} of {least:.4}");
            assert!(error < 0.1, "{sigma} {is_warped}: {error}");
            assert!(
                (level / least - 1.0).abs() < 0.03,
                "{sigma} {is_warped}: {level} {least}"
            );
        }
    }
}

#[test]
fn sliced_and_blurred_learn_the_score_of_a_moving_gaussian_in_one_column() {
    let path = Gaussian::new(1, |t| Moments {
        mean: vec![10.0 + 4.0 * t],
        mean_rate: vec![4.0],
        std_dev: 2.0 - t,
        std_dev_rate: -1.0,
    });
    let units = Units::isotropic(vec![12.0], 2.0, [0.0, 1.0]).unwrap();
    for (problem, sigma) in [
        (Problem::sliced(&path, units.clone()).unwrap(), 0.0),
        (Problem::blurred(&path, 0.5, units).unwrap(), 0.5),
    ] {
        let score = learn(&problem, 1, 2000);
        let variance = |t: f64| (2.0 - t).powi(2) + sigma * sigma;
        let truth = |t: f64, x: &Array2<f64>| (x - (10.0 + 4.0 * t)) / -variance(t);
        let error = error(&score, &path, |_| array![1.0], truth);
        let least = -0.5 * integral([0.0, 1.0], 400, |t| 16.0 / variance(t));
        let level = level(&score, &problem);
        // The level of draws of variance 1/sigma^2 is itself uncertain by 2 %.
        let tolerance = if sigma > 0.0 { 0.05 } else { 0.01 };
        println!("{sigma}: error {error:.4}, level {level:.4} of {least:.4}");
        assert!(error < 0.05, "{sigma}: {error}");
        assert!(
            (level / least - 1.0).abs() < tolerance,
            "{sigma}: {level} {least}"
        );
    }
}

const MEAN: f64 = 1.5;
const DEVIATION: f64 = 0.6;

/// Mean and variance of N(1.5, 0.6^2) after a time in a process.
fn moments(process: Process, t: f64) -> [f64; 2] {
    let ([alpha, _], [sigma, _]) = (process.alpha(t), process.sigma(t));
    [alpha * MEAN, (alpha * DEVIATION).powi(2) + sigma * sigma]
}

fn exact(process: Process) -> impl Fn(f64, &Array2<f64>) -> Result<Array2<f64>> {
    move |t, x| {
        let [mean, variance] = moments(process, t);
        Ok((x - mean) / -variance)
    }
}

#[test]
fn the_probability_flow_carries_points_to_their_closed_form() {
    let start = normal(50, 2, 1);
    for process in processes() {
        // A linear flow between Gaussians keeps the number of standard deviations from the mean.
        let expected = |z: &Array2<f64>, t| {
            let [mean, variance] = moments(process, t);
            z * f64::sqrt(variance) + mean
        };
        let run = |from, t, scheme| {
            let points = expected(&start, from);
            let moved = probability_flow(process, exact(process), &points, from, &[t], scheme);
            let off = moved.unwrap().at(0) - expected(&start, t);
            off.mapv(f64::abs).iter().fold(0.0, |m: f64, e| m.max(*e))
        };
        let tight = Scheme::DormandPrince { tolerance: 1e-10 };
        assert!(run(1.0, 0.05, tight) < 1e-7);
        assert!(run(0.05, 1.0, tight) < 1e-7);
        for (scheme, order) in [
            (Scheme::Euler as fn(usize) -> Scheme, 1.0),
            (Scheme::Heun, 2.0),
            (Scheme::RungeKutta4, 4.0),
        ] {
            let slope = (run(1.0, 0.05, scheme(200)) / run(1.0, 0.05, scheme(400))).log2();
            println!("{process:?} {slope:.2} of order {order}");
            assert!(
                (slope - order).abs() < 0.3,
                "{process:?}: {slope} of order {order}"
            );
        }
    }
}

/// A score whose network is exact, in units that are not the user's.
#[test]
fn the_motion_of_a_score_is_that_of_its_process() {
    let first = 0.05;
    let (center, length) = (array![0.7, -0.3], 1.3);
    for process in processes() {
        let units = Units::isotropic(center.to_vec(), length, [first, 1.0]).unwrap();
        let (middle, user) = (center.clone(), units.clone());
        // sigma times the score, -sigma (x - mean) / variance.
        let learned = Gaussian::new(2, move |tau| {
            let t = user.time_out(tau);
            let [mean, variance] = moments(process, t);
            Moments {
                mean: middle.iter().map(|c| (mean - c) / length).collect(),
                mean_rate: vec![0.0; 2],
                std_dev: 1.0,
                std_dev_rate: -length * process.sigma(t)[0] / variance,
            }
        });
        let learned = Dynamics::new(learned, Lagrangian::kinetic(), units).unwrap();
        let score = Score::new(learned, Some(process));
        let z = normal(30, 2, 8);
        let at = |t: f64| {
            let [mean, variance] = moments(process, t);
            &z * variance.sqrt() + mean
        };
        let most = |off: Array2<f64>| off.mapv(f64::abs).iter().fold(0.0, |m: f64, e| m.max(*e));
        for t in [first, 0.3, 1.0] {
            let off = score.at(t, &at(t)).unwrap() - exact(process)(t, &at(t)).unwrap();
            assert!(most(off) < 1e-4, "{process:?}");
        }

        let motion = score.motion().unwrap();
        let tight = Scheme::DormandPrince { tolerance: 1e-6 };
        for (from, t) in [(1.0, first), (first, 0.4)] {
            let start = Cloud::new(at(from)).unwrap();
            let moved = simulate(&motion, &start, from, &[t], tight, 0).unwrap();
            let off = most(moved.at(0) - at(t));
            println!("{process:?} {from} to {t}: {off:.1e}");
            assert!(off < 1e-4, "{process:?}: {off}");
        }
        let density = |t: f64, x: &Array2<f64>| {
            let [mean, variance] = moments(process, t);
            standard_gaussian(&((x - mean) / variance.sqrt())) - variance.ln()
        };
        let base = |x: &Array2<f64>| density(1.0, x);
        for trace in [
            TraceEstimator::Exact,
            TraceEstimator::Hutchinson { seed: 2 },
        ] {
            let x = at(first);
            let found = log_density(&motion, &x, first, 1.0, base, trace, tight).unwrap();
            let off = (found - density(first, &x)).mapv(f64::abs);
            assert!(off.iter().all(|e| *e < 1e-3), "{process:?}: {off}");
        }
        for t in [first, 0.4] {
            // f |x|^2/2 - g^2/2 log q, but for a function of time.
            let (x, g) = (at(t), process.g(t));
            let squares = x.map_axis(Axis(1), |x| x.dot(&x));
            let expected = squares * (0.5 * process.f(t)) - density(t, &x) * (0.5 * g * g);
            let off = motion.action_at(t, &x).unwrap() - expected;
            let spread = off.std(0.0);
            assert!(spread < 1e-4, "{process:?} {spread}");
        }

        let (t, x, dx, h) = (0.4, [0.5, -1.0], [0.3, 0.9], 5e-3);
        let action = motion.action();
        let at = |h: f64| [[0, 1].map(|k| x[k] + h * dx[k])];
        let value = |h: f64| action.value(&[t], aview2(&at(h)))[0];
        let slope = (value(h) - value(-h)) / (2.0 * h);
        let along = |h: f64| {
            let gradient = action.gradient(&[t], aview2(&at(h)));
            gradient[[0, 0]] * dx[0] + gradient[[0, 1]] * dx[1]
        };
        assert!((along(0.0) / slope - 1.0).abs() < 1e-6, "{process:?}");
        let second = (along(h) - along(-h)) / (2.0 * h);
        let curvature = action.curvature(&[t], aview2(&at(0.0)), aview2(&[dx]))[0];
        assert!((curvature / second - 1.0).abs() < 1e-6, "{process:?}");
    }
}

#[test]
fn the_reversed_process_draws_data_with_its_order_of_error() {
    for process in processes() {
        let [mean, variance] = moments(process, 1.0);
        let noise = normal(20_000, 1, 2) * variance.sqrt() + mean;
        let run = |noise: &Array2<f64>, scheme, seed| {
            reverse(
                process,
                exact(process),
                noise,
                1.0,
                &[0.5, 0.05],
                scheme,
                seed,
            )
            .unwrap()
        };
        let scheme = Scheme::StochasticRungeKutta(200);
        let drawn = run(&noise, scheme, 3);
        assert_eq!(drawn.times, [0.5, 0.05]);
        for (k, t) in [0.5, 0.05].into_iter().enumerate() {
            let ([mean, variance], cloud) = (moments(process, t), drawn.cloud(k).unwrap());
            let std_dev = variance.sqrt();
            println!(
                "{process:?} {t}: {} {}",
                cloud.mean() - mean,
                cloud.std_dev() / std_dev
            );
            assert!(
                (cloud.mean()[0] - mean).abs() < 0.03 * std_dev,
                "{process:?}"
            );
            assert!(
                (cloud.std_dev()[0] / std_dev - 1.0).abs() < 0.02,
                "{process:?}"
            );
        }
        // Against the same noise in finer steps.
        let few = noise.slice(ndarray::s![..300, ..]).to_owned();
        assert_eq!(run(&few, scheme, 3), run(&few, scheme, 3));
        assert_ne!(run(&few, scheme, 3).points, run(&few, scheme, 4).points);
        let fine = run(&few, Scheme::StochasticRungeKutta(4000), 3).at(1);
        for (scheme, order) in [
            (Scheme::Euler as fn(usize) -> Scheme, 1.0),
            // 1.5 in general; where the field is linear what is left of a step has mean 0.
            (Scheme::StochasticRungeKutta, 2.0),
        ] {
            let off = |steps| {
                let square = (run(&few, scheme(steps), 3).at(1) - &fine).mapv(|e| e * e);
                square.mean().unwrap().sqrt()
            };
            let slope = (off(200) / off(400)).log2();
            println!("{process:?} {slope:.2} of order {order}");
            assert!(
                (slope - order).abs() < 0.3,
                "{process:?}: {slope} of order {order}"
            );
        }
    }
}

#[test]
fn langevin_dynamics_has_the_moments_of_its_recursion() {
    // Three Gaussians, too few steps at each to forget the one before.
    let density = |t: f64| [2.0 * t, (1.0 + t).powi(2)];
    let score = |t: f64, x: &Array2<f64>| {
        let [mean, variance] = density(t);
        Ok((x - mean) / -variance)
    };
    let (step, steps, times) = (0.3, 4, [0.0, 1.0, 0.5]);
    let start = normal(40_000, 2, 1) * 0.5 - 1.0;
    let run = |seed| langevin(score, &start, &times, steps, Step::Fixed(step), seed).unwrap();
    let drawn = run(2);
    assert_eq!(drawn, run(2));
    assert_ne!(drawn.points, run(3).points);
    assert_eq!(
        (drawn.points.dim(), drawn.evaluations),
        ((3, 40_000, 2), 12)
    );
    let [mut mean, mut variance] = [-1.0, 0.25];
    for (k, t) in times.into_iter().enumerate() {
        let [center, width] = density(t);
        let pull = 0.5 * step / width;
        for _ in 0..steps {
            mean += pull * (center - mean);
            variance = (1.0 - pull).powi(2) * variance + step;
        }
        let cloud: Cloud = Trajectories::cloud(&drawn, k).unwrap();
        for j in 0..2 {
            assert!(
                (cloud.mean()[j] - mean).abs() < 0.025 * variance.sqrt(),
                "{k}"
            );
            assert!(
                (cloud.std_dev()[j] / variance.sqrt() - 1.0).abs() < 0.02,
                "{k}"
            );
        }
    }

    // At a fixed ratio the stationary variance is 1 + ratio^2 times the true one, in any units.
    let ratio = 0.5;
    for unit in [1.0, 1e-3] {
        let score = |_: f64, x: &Array2<f64>| Ok(x / -(unit * unit));
        let start = &start * (3.0 * unit);
        let step = Step::SignalToNoise(ratio);
        let drawn = langevin(score, &start, &[0.0], 50, step, 5).unwrap().at(0) / unit;
        let variance = drawn.mapv(|x| x * x).mean_axis(Axis(0)).unwrap();
        assert!(
            variance.iter().all(|v| (v / 1.25 - 1.0).abs() < 0.03),
            "{variance}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    fn message<T>(result: Result<T>, kind: ErrorKind) -> String {
        let error = result.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        error.to_string()
    }
    use ErrorKind::{Diverged, Setting, Shape, Value};

    let bad = message(Process::variance_preserving(0.0, 20.0), Value);
    assert!(bad.contains("positive") && bad.contains("0 to 20"), "{bad}");
    assert!(message(Process::sub_variance_preserving(0.1, f64::NAN), Value).contains("NaN"));
    assert!(message(Process::variance_exploding(2.0, 1.0), Value).contains("2 to 1"));

    let vp = Process::default();
    let data = Cloud::new(array![[0.0, 1.0]]).unwrap();
    let diffusion = |start| Diffusion::new(vp, data.clone(), start);
    assert!(message(diffusion(1.0), Value).contains("[0, 1), got 1"));
    assert!(message(diffusion(f64::NAN), Value).contains("NaN"));
    assert!(message(diffusion(0.0), Value).contains("no noise"));
    let exploding = Process::variance_exploding(0.1, 4.0).unwrap();
    assert!(Diffusion::new(exploding, data.clone(), 0.0).is_ok());

    let path = diffusion(0.1).unwrap();
    let units = Units::isotropic(vec![0.0; 2], 1.0, [0.1, 1.0]).unwrap();
    for sigma in [0.0, -1.0, f64::INFINITY] {
        let bad = message(Problem::blurred(&path, sigma, units.clone()), Value);
        assert!(bad.contains(&format!("got {sigma}")), "{bad}");
    }
    let massive = FnPath::new(2, [0.1, 1.0], false, |times, _: &mut dyn Rng| {
        PathSample::new(Array2::zeros((times.len(), 2)))
    })
    .unwrap()
    .with_mass();
    for problem in [
        Problem::sliced(&massive, units.clone()),
        Problem::blurred(&massive, 1.0, units.clone()),
    ] {
        assert!(message(problem, Setting).contains("masses"));
    }

    let network = |columns| mlp(columns, 4, 1, 0);
    let problem = Problem::denoising(&path, units.clone()).unwrap();
    let samples = Options {
        estimator: Estimator::Samples,
        ..options(1)
    };
    let bad = message(fit(network(2), &problem, &samples), Setting);
    assert!(bad.contains("velocity"), "{bad}");
    assert!(message(fit(network(3), &problem, &options(1)), Shape).contains("3 columns"));
    let late = Problem::denoising(
        &path,
        Units::isotropic(vec![0.0; 2], 1.0, [0.0, 1.0]).unwrap(),
    )
    .unwrap();
    assert!(message(fit(network(2), &late, &options(1)), Value).contains("must agree"));

    let bad = message(Problem::denoising(&massive, units.clone()), Setting);
    assert!(bad.contains("dissolve in noise"), "{bad}");
    let still = FnPath::new(2, [0.1, 1.0], false, |times, _: &mut dyn Rng| {
        PathSample::new(Array2::ones((times.len(), 2)))
    })
    .unwrap();
    let blurred = Problem::blurred(&still, 1.0, units.clone()).unwrap();
    let blurred = fit(network(2), &blurred, &options(1)).unwrap();
    assert!(message(blurred.motion(), Setting).contains("denoising"));
    let clouds = [0.0, 1.0].map(|t| Cloud::new(array![[t, 1.0], [2.0, 7.0]]).unwrap());
    let apart = Snapshots::new(vec![0.1, 1.0], clouds.to_vec()).unwrap();
    let apart = Units::of(&apart, true).unwrap();
    let apart = Dynamics::new(network(2), Lagrangian::kinetic(), apart).unwrap();
    assert!(message(Score::new(apart, Some(vp)).motion(), Setting).contains("same unit"));

    let score = fit(network(2), &problem, &options(1)).unwrap();
    let points = Array2::zeros((4, 2));
    assert!(message(score.at(0.05, &points), Value).contains("0.05"));
    assert!(message(score.at(0.5, &Array2::zeros((4, 1))), Shape).contains("got 1"));
    let other = Problem::sliced(&path, units).unwrap();
    let bad = message(Score::of(&other, score.dynamics().clone()), Setting);
    assert!(bad.contains("not fitted to this problem"), "{bad}");

    let at = |t: f64, x: &Array2<f64>| score.at(t, x);
    let scheme = Scheme::Euler(10);
    let back = |from, times: &[f64], scheme| reverse(vp, at, &points, from, times, scheme, 0);
    assert!(message(back(0.5, &[0.6], scheme), Value).contains("later to earlier"));
    assert!(message(back(1.5, &[0.6], scheme), Value).contains("got 1.5"));
    assert!(message(back(1.0, &[0.6], Scheme::Heun(10)), Setting).contains("ignores noise"));
    // The score's own error, not that of the solver it stopped.
    assert!(
        message(back(1.0, &[0.0], Scheme::Euler(30)), Value)
            .contains("outside of what was learned")
    );
    let flow = |times: &[f64]| probability_flow(vp, at, &points, 1.0, times, Scheme::default());
    assert!(message(flow(&[0.01]), Value).contains("outside of what was learned"));
    assert!(message(flow(&[-0.1]), Value).contains("got -0.1"));
    let narrow = |_: f64, _: &Array2<f64>| Ok(Array2::zeros((4, 1)));
    let bad = message(
        probability_flow(vp, narrow, &points, 1.0, &[0.5], scheme),
        Shape,
    );
    assert!(bad.contains("(4, 2), got (4, 1)"), "{bad}");

    let walk = |steps, step| langevin(at, &points, &[0.5], steps, step, 0);
    assert!(message(walk(0, Step::Fixed(0.1)), Setting).contains("got 0"));
    assert!(message(walk(1, Step::Fixed(-0.1)), Setting).contains("-0.1"));
    assert!(message(walk(1, Step::SignalToNoise(f64::NAN)), Setting).contains("NaN"));
    let flat = |_: f64, x: &Array2<f64>| Ok(x * 0.0);
    let lost = langevin(flat, &points, &[0.5], 1, Step::SignalToNoise(0.1), 0);
    assert!(message(lost, Diverged).contains("the score is 0 at all points"));
    let bad = langevin(at, &points, &[f64::NAN], 1, Step::Fixed(0.1), 0);
    assert!(message(bad, Value).contains("times must be finite"));
}

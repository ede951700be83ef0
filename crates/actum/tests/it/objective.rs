//! The objective: its gradient against differences, both estimators, the oracle.

use actum::{
    action::{Action, Engine},
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::{Cost, Drift, Lagrangian, Noise},
    objective::{Batch, EXACT_LAPLACIAN, Objective},
    path::{FnPath, Masses, Path, PathSample},
    problem::{Estimator, Problem, Weight},
    units::Units,
};
use ndarray::{Array1, Array2, ArrayView2, array, aview1, aview2, s};
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::support::{
    Known, assert_close, middles,
    networks::{GRAIN, SIZES, change, gradients, images, random_mlp, random_unet},
    rng,
    tensors::in_f64,
    wide,
};

fn path() -> Gaussian<impl Fn(f64) -> Moments + Sync> {
    Gaussian::new(3, |t| Moments {
        mean: vec![t, -t * t, 0.5],
        mean_rate: vec![1.0, -2.0 * t, 0.0],
        std_dev: 1.0 + 0.5 * t,
        std_dev_rate: 0.5,
    })
}

/// Every term alone, and sums of them.
fn lagrangians() -> Vec<Lagrangian> {
    let metric = array![[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]];
    let turn = || Drift::function(|t, x, b| b.copy_from_slice(&[-x[1], x[0], t * x[2]]));
    let rising = Noise::linear(vec![0.0, 1.0], vec![0.2, 1.5]).unwrap();
    let growing = |l: Lagrangian| l.growth(0.7).unwrap();
    vec![
        Lagrangian::kinetic(),
        Lagrangian::new(Cost::power(1.5).unwrap()),
        Lagrangian::new(Cost::power(4.0).unwrap()),
        Lagrangian::new(Cost::metric(metric.clone()).unwrap()),
        Lagrangian::kinetic().noise_over_time(rising.clone()),
        growing(Lagrangian::kinetic()),
        Lagrangian::kinetic().drift(turn()),
        growing(Lagrangian::kinetic().noise(0.8).unwrap()),
        growing(
            Lagrangian::new(Cost::metric(metric).unwrap())
                .noise_over_time(rising)
                .drift(turn()),
        ),
    ]
}

fn batch(objective: &Objective, n: usize) -> Batch {
    let times = middles(n);
    // A density other than 1, as adaptive times have: t^2 has density 1 / (2 sqrt u).
    let squares: Vec<f64> = times.iter().map(|t| t * t).collect();
    let density = times.iter().map(|t| 0.5 / t).collect();
    objective.batch(squares, density, &mut rng(5))
}

/// The objective of an action from its derivatives alone.
fn known(objective: &Objective, action: &dyn Action, batch: &Batch) -> f64 {
    objective.differentiate(&mut Known::of(action), batch).value
}

/// Steps are exact in the f32 of parameters, and the objective is computed in f64; what is left is
/// the rounding of the gradient to f32, once for the interior and for either boundary, whose parts
/// may be larger than their sum.
#[test]
fn the_gradient_of_the_objective_is_that_of_its_value() {
    let with_mass = || path().with_mass(|t| [1.0 + t, 1.0]);
    for (lagrangian, estimator) in lagrangians()
        .into_iter()
        .flat_map(|l| [Estimator::Samples, Estimator::Velocity].map(|e| (l.clone(), e)))
    {
        let (plain, heavy) = (path(), with_mass());
        let path: &dyn Path = if lagrangian.grows() { &heavy } else { &plain };
        let what = format!("{estimator:?}, {lagrangian:?}");
        let problem = Problem::new(path, lagrangian, Units::identity(3))
            .weighted(Weight::new(|t| [t * t * (2.0 - t), 4.0 * t - 3.0 * t * t]));
        let objective = Objective::new(&problem, estimator).unwrap();
        let mut network = in_f64(random_mlp(3, 6, 2));
        let batch = batch(&objective, 32);
        objective.differentiate(&mut *network, &batch);
        let ours = wide(network.parameter_gradient());

        let h = GRAIN / 2.0;
        let mut at = |index: usize, step: f32| {
            network.update(&mut |parameters, _| parameters[index] += step);
            let value = objective.differentiate(&mut *network, &batch).value;
            network.update(&mut |parameters, _| parameters[index] -= step);
            value
        };
        let differences: Vec<f64> = (0..ours.len())
            .map(|i| (at(i, h) - at(i, -h)) / f64::from(2.0 * h))
            .collect();
        assert_close(&ours, &differences, 1e-3, 1e-6, &what);
    }
}

/// With all terms of the Lagrangian, so that value, first and second derivatives count, in every
/// array of parameters along random directions, so that no layer hides behind a larger one.
#[test]
fn the_gradient_of_the_objective_of_images_is_that_of_its_value() {
    let path = images(SIZES);
    let lagrangian = Lagrangian::kinetic()
        .noise(0.8)
        .and_then(|l| l.growth(0.7))
        .unwrap();
    let problem = Problem::new(&path, lagrangian, Units::identity(path.dimension()));
    for estimator in [Estimator::Samples, Estimator::Velocity] {
        let objective = Objective::new(&problem, estimator).unwrap();
        let batch = objective.batch(middles(4), vec![1.0; 4], &mut rng(5));
        let mut network = in_f64(random_unet(SIZES));
        objective.differentiate(&mut *network, &batch);
        let ours = gradients(&*network);
        let h = GRAIN / 2.0;
        for (array, (name, gradient)) in ours.iter().enumerate() {
            let mut rng = rng(array as u64);
            // Sixteenths, so that steps along them are exact.
            let direction: Vec<f32> = (0..gradient.len())
                .map(|_| (16.0 * rng.sample::<f32, _>(StandardNormal)).round() / 16.0)
                .collect();
            let mut at = |step: f32| {
                let along = |network: &mut dyn Engine, step: f32| {
                    change(network, |arrays| {
                        let values = arrays[array].values.iter_mut().zip(&direction);
                        values.for_each(|(value, z)| *value += step * z);
                    });
                };
                along(&mut *network, step);
                let value = objective.differentiate(&mut *network, &batch).value;
                along(&mut *network, -step);
                value
            };
            let difference = (at(h) - at(-h)) / f64::from(2.0 * h);
            let (gradient, direction) = (aview1(gradient), Array1::from(wide(&direction)));
            let slope = gradient.dot(&direction);
            // Numbers of either sign, each rounded to f32, make the sum.
            let scale = (gradient.dot(&gradient) * direction.dot(&direction)).sqrt();
            assert!(
                (slope - difference).abs() < 2e-7 * scale.max(1e-2),
                "{estimator:?}, {name}: {slope} against {difference}"
            );
        }
    }
}

#[test]
fn both_estimators_have_the_same_level_at_any_action() {
    let mut network = random_mlp(3, 6, 2);
    // A weight that is 0 at one end, where the boundary is dropped, and not at the other.
    let weights = || {
        [
            Weight::uniform(),
            Weight::new(|t| [t * t, 2.0 * t]),
            Weight::new(|t| [1.0 - 0.5 * t, -0.5]),
        ]
    };
    for (k, lagrangian) in lagrangians().into_iter().enumerate() {
        // Every weight alone, and for the rest one of them in turn.
        let weights = weights().into_iter().enumerate();
        for (_, weight) in weights.filter(|(j, _)| k == 0 || *j == k % 3) {
            let (plain, heavy) = (path(), path().with_mass(|t| [1.0 + t * t, 2.0 * t]));
            let path: &dyn Path = if lagrangian.grows() { &heavy } else { &plain };
            let problem =
                Problem::new(path, lagrangian.clone(), Units::identity(3)).weighted(weight);
            let [samples, velocity] = [Estimator::Samples, Estimator::Velocity].map(|estimator| {
                let objective = Objective::new(&problem, estimator).unwrap();
                let batch = batch(&objective, 100_000);
                objective.differentiate(&mut *network, &batch).value
            });
            assert!(
                (samples - velocity).abs() < 0.03 * velocity.abs().max(1.0),
                "{samples} {velocity} {lagrangian:?}"
            );
        }
    }
}

/// The oracle under noise, growth, both and neither, with mass and without.
#[test]
fn the_oracle_reaches_the_least_objective_and_nothing_is_lower() {
    for (sigma, lambda, rate) in [
        (0.0, 0.0, 0.0),
        (0.9, 0.0, 0.0),
        (0.0, 0.6, 0.0),
        (0.0, 0.6, 0.8),
        (0.9, 0.6, 0.0),
        (0.9, 0.6, -0.8),
    ] {
        let mut path = path().under(sigma, lambda);
        if rate != 0.0 {
            path = path.with_mass(move |t| [(rate * t).exp(), rate * (rate * t).exp()]);
        }
        let lagrangian = Lagrangian::kinetic()
            .noise(sigma)
            .and_then(|l| l.growth(lambda))
            .unwrap();
        let problem = Problem::new(&path, lagrangian, Units::identity(3));
        let least = path.least_objective();
        for estimator in [Estimator::Samples, Estimator::Velocity] {
            let objective = Objective::new(&problem, estimator).unwrap();
            let batch = batch(&objective, 200_000);
            let later = |t: &[f64], x: ArrayView2<f64>| path.time_derivative(t, x);
            let mut oracle = Known::with_rate(&path, &later);
            let value = objective.differentiate(&mut oracle, &batch).value;
            assert!(
                (value - least).abs() < 0.02 * least.abs().max(1.0),
                "{estimator:?}: {value} {least} with {sigma} {lambda} {rate}"
            );
            // Another action on the same batch is charged more.
            let mut other = random_mlp(3, 6, 2);
            let other = objective.differentiate(&mut *other, &batch).value;
            assert!(other > least, "{other} {least}");
        }
    }
    // 1/2 int (1 + 4 t^2 + 3/4) dt
    let least = -(1.0 + 4.0 / 3.0 + 0.75) / 2.0;
    assert!((path().least_objective() - least).abs() < 1e-9);
    // q_t = e^{at} q_0 has s = a / lambda and the level -a^2 / (2 lambda) int e^{at}.
    let (a, lambda): (f64, f64) = (0.8, 0.6);
    let still = |_: f64| Moments {
        mean: vec![0.0; 3],
        mean_rate: vec![0.0; 3],
        std_dev: 1.3,
        std_dev_rate: 0.0,
    };
    let grown = Gaussian::new(3, still)
        .under(0.0, lambda)
        .with_mass(move |t| [(a * t).exp(), a * (a * t).exp()]);
    let level = -a * (a.exp() - 1.0) / (2.0 * lambda);
    assert!((grown.least_objective() - level).abs() < 1e-9);
}

/// The oracle solves `d_t rho = -div(rho v) + sigma^2/2 Lap rho + lambda s rho`, checked by
/// differences on the density itself.
#[test]
fn the_oracle_solves_the_equation_of_motion() {
    let (sigma, lambda) = (0.9, 0.6);
    let mass = |t: f64| 1.0 + 0.5 * t * t;
    let oracle = path().under(sigma, lambda).with_mass(move |t| [mass(t), t]);
    let log_density = |t: f64, x: &[f64]| {
        let (mean, std_dev) = ([t, -t * t, 0.5], 1.0 + 0.5 * t);
        let square: f64 = x.iter().zip(mean).map(|(x, m)| (x - m) * (x - m)).sum();
        mass(t).ln() - 3.0 * std_dev.ln() - 0.5 * square / (std_dev * std_dev)
    };
    let h = 1e-4;
    for (t, x) in [(0.2, [0.3, -0.8, 1.0]), (0.7, [-1.0, 0.2, 0.1])] {
        let moved = |j: usize, h: f64| {
            let mut x = x;
            x[j] += h;
            x
        };
        let rate = (log_density(t + h, &x) - log_density(t - h, &x)) / (2.0 * h);
        let row = [x];
        let velocity = oracle.gradient(&[t], aview2(&row));
        let s = oracle.value(&[t], aview2(&row))[0];
        let mut right = lambda * s;
        for j in 0..3 {
            let mut unit = [[0.0; 3]];
            unit[0][j] = 1.0;
            let [up, mid, down] = [h, 0.0, -h].map(|h| log_density(t, &moved(j, h)));
            let (slope, second) = ((up - down) / (2.0 * h), (up - 2.0 * mid + down) / (h * h));
            let divergence = oracle.curvature(&[t], aview2(&row), aview2(&unit))[0];
            right += -velocity[[0, j]] * slope - divergence
                + 0.5 * sigma * sigma * (second + slope * slope);
        }
        assert!((rate - right).abs() < 1e-5, "{rate} {right}");
    }
}

#[test]
fn the_laplacian_by_probes_is_right_on_average() {
    // In three dimensions one probe stands for the Laplacian, in two it is exact: embedding the
    // same problem must not change its value.
    let noisy = || Lagrangian::kinetic().noise(1.2).unwrap();
    let level = |d: usize| {
        let path = Gaussian::new(d, move |t| Moments {
            mean: (0..d).map(|j| if j == 0 { t } else { 0.0 }).collect(),
            mean_rate: (0..d).map(|j| f64::from(j == 0)).collect(),
            std_dev: 1.0,
            std_dev_rate: 0.0,
        })
        .under(0.5, 0.0);
        let problem = Problem::new(&path, noisy(), Units::identity(d));
        let objective = Objective::new(&problem, Estimator::Velocity).unwrap();
        let batch = batch(&objective, 100_000);
        known(&objective, &path, &batch)
    };
    assert_eq!(EXACT_LAPLACIAN, 2);
    // c = -sigma^2/2 with 0.5 for sigma; per column 1/2 c^2 + 1.44/2 c, and -1/2 for the mean.
    let c = -0.125;
    let column = 0.5 * c * c + 0.72 * c;
    for d in [1, 2, 3, 6] {
        let expected = -0.5 + d as f64 * column;
        assert!(
            (level(d) - expected).abs() < 0.02,
            "{d}: {} {expected}",
            level(d)
        );
    }
}

/// Turning the population, the action and what has a direction in the Lagrangian turns nothing in
/// the objective.
#[test]
fn the_objective_does_not_depend_on_the_axes() {
    // A turn that takes the weights below to numbers of f32.
    let (sin, cos) = (0.8, 0.6);
    let turn = array![[cos, -sin], [sin, cos]];
    let metric = array![[2.0, 0.5], [0.5, 1.0]];
    let drift = |t: f64, x: &Array1<f64>| array![x[1] * t, x[0] * x[0] + 1.0];
    let moving = |turn: Array2<f64>| {
        FnPath::new(2, [0.0, 1.0], true, move |times, rng| {
            let shape = (times.len(), 2);
            let x = Array2::from_shape_simple_fn(shape, || rng.sample::<f64, _>(StandardNormal));
            let v = Array2::from_shape_simple_fn(shape, || rng.sample::<f64, _>(StandardNormal));
            let masses = Masses {
                values: times.iter().map(|t| 1.0 + t).collect(),
                rates: Some(Array1::ones(times.len())),
            };
            PathSample::new(x.dot(&turn.t()))
                .with_velocities(v.dot(&turn.t()))
                .with_masses(masses)
        })
        .unwrap()
        .with_mass()
    };
    // W_0, [x and t, width]: its rows for x turn.
    let network = |turn: &Array2<f64>| {
        let mut network = random_mlp(2, 6, 2);
        change(&mut *network, |arrays| {
            assert_eq!(arrays[0].shape, [3, 6]);
            let quarters = arrays[0].values.iter().map(|w| f64::from(1.25 * w));
            let mut weights = Array2::from_shape_vec((3, 6), quarters.collect()).unwrap();
            let turned = turn.dot(&weights.slice(s![..2, ..]));
            weights.slice_mut(s![..2, ..]).assign(&turned);
            arrays[0].values = weights.iter().map(|w| *w as f32).collect();
        });
        in_f64(network)
    };
    let value = |turn: Array2<f64>, cost: Cost| {
        let (back, mut network) = (turn.clone(), network(&turn));
        let lagrangian = Lagrangian::new(cost)
            .noise(0.8)
            .and_then(|l| l.growth(0.5))
            .unwrap()
            .drift(Drift::function(move |t, x, b| {
                let x = Array1::from(x.to_vec());
                b.copy_from_slice(&back.dot(&drift(t, &back.t().dot(&x))).to_vec());
            }));
        let path = moving(turn);
        let problem = Problem::new(&path, lagrangian, Units::identity(2));
        [Estimator::Samples, Estimator::Velocity].map(|estimator| {
            let objective = Objective::new(&problem, estimator).unwrap();
            let batch = batch(&objective, 50);
            objective.differentiate(&mut *network, &batch).value
        })
    };
    let turned_metric = turn.dot(&metric).dot(&turn.t());
    let symmetric = (&turned_metric + &turned_metric.t()) * 0.5;
    for (cost, turned_cost) in [
        (Cost::kinetic(), Cost::kinetic()),
        (Cost::power(3.0).unwrap(), Cost::power(3.0).unwrap()),
        (
            Cost::metric(metric).unwrap(),
            Cost::metric(symmetric).unwrap(),
        ),
    ] {
        let plain = value(Array2::eye(2), cost);
        let turned = value(turn.clone(), turned_cost);
        for (a, b) in plain.iter().zip(turned) {
            assert!((a - b).abs() < 1e-9 * a.abs().max(1.0), "{a} {b}");
        }
    }
}

#[test]
fn mismatches_are_refused() {
    let message = |path: &dyn Path, lagrangian: Lagrangian, weight: Weight| {
        let problem = Problem::new(path, lagrangian, Units::identity(3)).weighted(weight);
        let objective = Objective::new(&problem, Estimator::Velocity);
        objective.err().map_or(String::new(), |e| e.to_string())
    };
    let heavy = path().with_mass(|t| [1.0 + t, 1.0]);
    let plain = Lagrangian::kinetic;
    assert!(message(&heavy, plain(), Weight::uniform()).contains("needs growth"));
    let metric = Lagrangian::new(Cost::metric(array![[1.0]]).unwrap());
    assert!(message(&path(), metric, Weight::uniform()).contains("for 1 columns"));
    let broken = plain().drift(Drift::function(|_, _, b| b.fill(f64::NAN)));
    assert!(message(&path(), broken, Weight::uniform()).contains("drift must be finite"));
    let falling = message(&path(), plain(), Weight::new(|t| [0.5 - t, -1.0]));
    assert!(falling.contains("at 0.51 they are -0.01"), "{falling}");
    let nothing = Weight::new(|_| [0.0, 0.0]);
    assert!(message(&path(), plain(), nothing).contains("0 at all times"));
}

//! Derivatives against finite differences, in f64: the gradient and the push of the network, and
//! the gradient of the objective in its parameters, by both estimators.

use std::sync::OnceLock;

use actum::{
    action::{Action, Mlp},
    gaussian::{Gaussian, Moments},
    lagrangian::{Cost, Drift, Lagrangian, Noise},
    objective::{Batch, Estimate, Estimator, Laplacian, Objective, Problem, Weight},
    path::{FnPath, Masses, Path, PathSample},
    units::Units,
};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, DeviceConfig, FloatDType, Tensor, TensorData},
};
use ndarray::{Array1, Array2, array, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// This test binary computes in f64: a device's type is set once for the process.
fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let mut device = Device::flex();
            device
                .configure(DeviceConfig::default().float_dtype(FloatDType::F64))
                .unwrap();
            device
        })
        .clone()
}

struct Map<F>(F);

impl<F: FnMut(Vec<f64>) -> Vec<f64>> ModuleMapper for Map<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let shape = old.dims();
            let values = (self.0)(numbers(old));
            Tensor::from_data(TensorData::new(values, shape), &device())
        })
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_vec_as().unwrap()
}

/// A network all of whose parameters are random: a fresh one ends in zeros.
fn network(dimension: usize, width: usize, depth: usize) -> Mlp {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let fresh = Mlp::new(dimension, width, depth, &device(), &mut rng).unwrap();
    fresh.valid().map(&mut Map(|values: Vec<f64>| {
        values
            .iter()
            .map(|_| rng.sample::<f64, _>(StandardNormal) * 0.5)
            .collect()
    }))
}

fn random(rows: usize, columns: usize, seed: u64) -> Tensor<2> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> = (0..rows * columns)
        .map(|_| rng.sample(StandardNormal))
        .collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), &device())
}

fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().fold(1e-3, |m: f64, x| m.max(x.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() < tolerance * scale, "{a} against {b}");
    }
}

#[test]
fn the_gradient_is_that_of_the_value() {
    for (d, width, depth) in [(1, 3, 1), (3, 8, 2), (5, 17, 3)] {
        let network = network(d, width, depth);
        let (t, x) = (random(4, 1, 1), random(4, d, 2));
        let gradient = numbers(network.gradient(t.clone(), x.clone()));
        let h = 1e-5;
        let mut differences = vec![0.0; 4 * d];
        for j in 0..d {
            let mut unit = vec![0.0; 4 * d];
            (0..4).for_each(|i| unit[i * d + j] = h);
            let step = Tensor::from_data(TensorData::new(unit, [4, d]), &device());
            let up = numbers(network.value(t.clone(), x.clone() + step.clone()));
            let down = numbers(network.value(t.clone(), x.clone() - step));
            (0..4).for_each(|i| differences[i * d + j] = (up[i] - down[i]) / (2.0 * h));
        }
        assert_close(&gradient, &differences, 1e-8);
    }
}

#[test]
fn the_push_is_the_directional_derivative() {
    for (d, width, depth) in [(1, 3, 1), (3, 8, 2), (5, 17, 3)] {
        let network = network(d, width, depth);
        let (t, x, dt, dx) = (
            random(6, 1, 1),
            random(6, d, 2),
            random(6, 1, 3),
            random(6, d, 4),
        );
        let push = network.push(t.clone(), x.clone(), dt.clone(), dx.clone());
        let h = 1e-5;
        let at = |sign: f64| {
            network.value(
                t.clone() + dt.clone() * sign * h,
                x.clone() + dx.clone() * sign * h,
            )
        };
        let differences = (at(1.0) - at(-1.0)) / (2.0 * h);
        assert_close(&numbers(push), &numbers(differences), 1e-8);
    }
}

#[test]
fn the_curvature_is_the_second_directional_derivative() {
    for (d, width, depth) in [(1, 3, 1), (3, 8, 2), (5, 17, 3)] {
        let network = network(d, width, depth);
        let (t, x, e) = (random(6, 1, 1), random(6, d, 2), random(6, d, 4));
        let curvature = network.curvature(t.clone(), x.clone(), e.clone());
        // Twice the gradient, which has been tested against the value.
        let h = 1e-5;
        let at = |h: f64| network.gradient(t.clone(), x.clone() + e.clone() * h);
        let differences = (e.clone() * (at(h) - at(-h))).sum_dim(1) / (2.0 * h);
        assert_close(&numbers(curvature), &numbers(differences), 1e-8);
    }
}

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
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let times: Vec<f64> = (0..n).map(|k| (k as f64 + 0.5) / n as f64).collect();
    // A density other than 1, as adaptive times have: t^2 has density 1 / (2 sqrt u).
    let squares: Vec<f64> = times.iter().map(|t| t * t).collect();
    let density = times.iter().map(|t| 0.5 / t).collect();
    objective.batch(squares, density, &mut rng)
}

fn estimate(objective: &Objective, network: &Mlp, batch: &Batch) -> Estimate {
    objective.estimate(&network.clone().train(), network, batch, &device())
}

#[test]
fn the_gradient_of_the_objective_is_that_of_its_value() {
    struct Gradients<'a>(&'a burn::tensor::Gradients, Vec<f64>);
    impl ModuleVisitor for Gradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            let size = value.dims().iter().product();
            let gradient = value.grad(self.0).map_or(vec![0.0; size], numbers);
            self.1.extend(gradient);
        }
    }
    let with_mass = || path().with_mass(|t| [1.0 + t, 1.0]);
    for (lagrangian, estimator) in lagrangians()
        .into_iter()
        .flat_map(|l| [Estimator::Samples, Estimator::Velocity].map(|e| (l.clone(), e)))
    {
        let (plain, heavy) = (path(), with_mass());
        let path: &dyn Path = if lagrangian.grows() { &heavy } else { &plain };
        let problem = Problem::new(path, lagrangian, Units::identity(3))
            .weighted(Weight::new(|t| [t * t * (2.0 - t), 4.0 * t - 3.0 * t * t]));
        let objective = Objective::new(&problem, estimator).unwrap();
        let network = network(3, 6, 2);
        let batch = batch(&objective, 32);
        let tracked = network.clone().train();
        let surrogate = objective
            .estimate(&tracked, &network, &batch, &device())
            .surrogate;
        let gradients = surrogate.backward();
        let mut ours = Gradients(&gradients, vec![]);
        tracked.visit(&mut ours);

        let h = 1e-5;
        let at = |index: usize, step: f64| {
            let mut seen = 0;
            let moved = network.clone().map(&mut Map(|mut values: Vec<f64>| {
                if (seen..seen + values.len()).contains(&index) {
                    values[index - seen] += step;
                }
                seen += values.len();
                values
            }));
            estimate(&objective, &moved, &batch).value
        };
        let differences: Vec<f64> = (0..ours.1.len())
            .map(|i| (at(i, h) - at(i, -h)) / (2.0 * h))
            .collect();
        assert_close(&ours.1, &differences, 1e-7);
    }
}

#[test]
fn both_estimators_have_the_same_level_at_any_action() {
    let network = network(3, 6, 2);
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
                estimate(&objective, &network, &batch(&objective, 100_000)).value
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
            let value = objective.estimate(&path, &path, &batch, &device()).value;
            assert!(
                (value - least).abs() < 0.02 * least.abs().max(1.0),
                "{estimator:?}: {value} {least} with {sigma} {lambda} {rate}"
            );
            // Another action on the same batch is charged more.
            let other = estimate(&objective, &network(3, 6, 2), &batch).value;
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
    let row = |x: &[f64]| Tensor::<2>::from_data(TensorData::new(x.to_vec(), [1, 3]), &device());
    let at = |t: f64| Tensor::<2>::from_data(TensorData::new(vec![t], [1, 1]), &device());
    let h = 1e-4;
    for (t, x) in [(0.2, [0.3, -0.8, 1.0]), (0.7, [-1.0, 0.2, 0.1])] {
        let moved = |j: usize, h: f64| {
            let mut x = x;
            x[j] += h;
            x
        };
        let rate = (log_density(t + h, &x) - log_density(t - h, &x)) / (2.0 * h);
        let velocity = numbers(oracle.gradient(at(t), row(&x)));
        let s = numbers(oracle.value(at(t), row(&x)))[0];
        let mut right = lambda * s;
        for j in 0..3 {
            let mut unit = [0.0; 3];
            unit[j] = 1.0;
            let [up, mid, down] = [h, 0.0, -h].map(|h| log_density(t, &moved(j, h)));
            let (slope, bend) = ((up - down) / (2.0 * h), (up - 2.0 * mid + down) / (h * h));
            let divergence = numbers(oracle.curvature(at(t), row(&x), row(&unit)))[0];
            right +=
                -velocity[j] * slope - divergence + 0.5 * sigma * sigma * (bend + slope * slope);
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
        objective.estimate(&path, &path, &batch, &device()).value
    };
    assert_eq!(Laplacian::of(2), Laplacian::Exact);
    assert_eq!(Laplacian::of(3), Laplacian::Probe);
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
    let (sin, cos) = 0.7f64.sin_cos();
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
    let network = network(2, 6, 2);
    let turned_network = {
        let mut first = true;
        let turn = turn.clone();
        network.clone().map(&mut Map(move |values: Vec<f64>| {
            if !std::mem::take(&mut first) {
                return values;
            }
            // W_0, [x and t, width]: its rows for x turn.
            let weights = Array2::from_shape_vec((3, 6), values).unwrap();
            let mut turned = weights.clone();
            turned
                .slice_mut(s![..2, ..])
                .assign(&turn.dot(&weights.slice(s![..2, ..])));
            turned.into_raw_vec_and_offset().0
        }))
    };
    let value = |turn: Array2<f64>, network: &Mlp, cost: Cost| {
        let back = turn.clone();
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
            estimate(&objective, network, &batch(&objective, 50)).value
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
        let plain = value(Array2::eye(2), &network, cost);
        let turned = value(turn.clone(), &turned_network, turned_cost);
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

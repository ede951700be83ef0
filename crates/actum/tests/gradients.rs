//! Derivatives against finite differences, in f64: the gradient and the push of the network, and
//! the gradient of the objective in its parameters, by both estimators.

use std::sync::OnceLock;

use actum::{
    action::{Action, Mlp},
    gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    objective::{Batch, Estimate, Estimator, Objective, Problem},
    path::Path,
    units::Units,
};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, DeviceConfig, FloatDType, Tensor, TensorData},
};
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

fn path() -> Gaussian<impl Fn(f64) -> Moments + Sync> {
    Gaussian::new(3, |t| Moments {
        mean: vec![t, -t * t, 0.5],
        mean_rate: vec![1.0, -2.0 * t, 0.0],
        deviation: 1.0 + 0.5 * t,
        deviation_rate: 0.5,
    })
}

fn problem(path: &dyn Path) -> Problem<'_> {
    Problem {
        path,
        lagrangian: Lagrangian::kinetic(),
        units: Units::identity(3),
    }
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
    let path = path();
    let problem = problem(&path);
    for estimator in [Estimator::Samples, Estimator::Velocity] {
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
    let path = path();
    let problem = problem(&path);
    let [samples, velocity] = [Estimator::Samples, Estimator::Velocity].map(|estimator| {
        let objective = Objective::new(&problem, estimator).unwrap();
        estimate(&objective, &network, &batch(&objective, 400_000)).value
    });
    assert!(
        (samples - velocity).abs() < 0.02 * velocity.abs().max(1.0),
        "{samples} {velocity}"
    );
}

#[test]
fn the_oracle_reaches_the_least_objective() {
    let path = path();
    let problem = problem(&path);
    // 1/2 int (1 + 4 t^2 + 3/4) dt
    let least = -(1.0 + 4.0 / 3.0 + 0.75) / 2.0;
    assert!((path.least_objective() - least).abs() < 1e-9);
    for estimator in [Estimator::Samples, Estimator::Velocity] {
        let objective = Objective::new(&problem, estimator).unwrap();
        let batch = batch(&objective, 400_000);
        let value = objective.estimate(&path, &path, &batch, &device()).value;
        assert!(
            (value - least).abs() < 0.02,
            "{estimator:?}: {value} {least}"
        );
    }
}

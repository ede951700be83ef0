//! The U-Net: derivatives against finite differences in f64, and the parts that need no numbers.

use std::sync::OnceLock;

use actum::{
    action::{Action, Scalar, Sizes, UNet},
    lagrangian::Lagrangian,
    objective::{Estimator, Objective, Problem},
    path::{FnPath, Path, PathSample},
    units::Units,
};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, DeviceConfig, FloatDType, Tensor, TensorData},
};
use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
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

const SIZES: Sizes = Sizes {
    moved: 2,
    conditioning: 1,
    height: 4,
    width: 6,
    channels: 4,
    levels: 2,
    blocks: 1,
    periodic: false,
    scalar: Scalar::Product,
};

/// One of each kind: a single level and channel; conditioning; two levels and blocks; circles; the
/// other scalar.
fn all_sizes() -> [Sizes; 5] {
    let flat = Sizes {
        moved: 1,
        conditioning: 0,
        height: 3,
        width: 2,
        levels: 1,
        ..SIZES
    };
    let deep = Sizes {
        moved: 1,
        height: 4,
        width: 4,
        levels: 3,
        blocks: 2,
        ..SIZES
    };
    let circles = Sizes {
        periodic: true,
        ..SIZES
    };
    let distance = Sizes {
        scalar: Scalar::Distance,
        ..SIZES
    };
    [flat, SIZES, deep, circles, distance]
}

/// A network all of whose parameters are random: a fresh one ends in zeros.
fn network(sizes: Sizes) -> UNet {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let fresh = UNet::new(sizes, &device(), &mut rng).unwrap();
    fresh.valid().map(&mut Map(|values: Vec<f64>| {
        values
            .iter()
            .map(|v| v + rng.sample::<f64, _>(StandardNormal) * 0.2)
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
fn the_gradient_is_that_of_the_value_where_pixels_move() {
    for sizes in all_sizes() {
        let network = network(sizes);
        let (n, d) = (2, network.dimension());
        let moved = sizes.moved * sizes.height * sizes.width;
        let (t, x) = (random(n, 1, 1), random(n, d, 2));
        let gradient = numbers(network.gradient(t.clone(), x.clone()));
        let h = 1e-5;
        let mut differences = vec![0.0; n * d];
        let mut felt = 0.0f64;
        for j in 0..d {
            let mut unit = vec![0.0; n * d];
            (0..n).for_each(|i| unit[i * d + j] = h);
            let step = Tensor::from_data(TensorData::new(unit, [n, d]), &device());
            let up = numbers(network.value(t.clone(), x.clone() + step.clone()));
            let down = numbers(network.value(t.clone(), x.clone() - step));
            for i in 0..n {
                let slope = (up[i] - down[i]) / (2.0 * h);
                if j < moved {
                    differences[i * d + j] = slope;
                } else {
                    felt = felt.max(slope.abs());
                }
            }
        }
        assert_close(&gradient, &differences, 1e-7);
        assert!(sizes.conditioning == 0 || felt > 1e-3);
    }
}

#[test]
fn the_push_is_the_directional_derivative() {
    for sizes in all_sizes() {
        let network = network(sizes);
        let d = network.dimension();
        let (t, x, dt, dx) = (
            random(3, 1, 1),
            random(3, d, 2),
            random(3, 1, 3),
            random(3, d, 4),
        );
        let push = numbers(network.push(t.clone(), x.clone(), dt.clone(), dx.clone()));
        let h = 1e-5;
        let at = |sign: f64| network.value(t.clone() + dt.clone() * (sign * h), x.clone());
        let along = (dx * network.gradient(t.clone(), x.clone())).sum_dim(1);
        let differences = (at(1.0) - at(-1.0)) / (2.0 * h) + along;
        // The fastest wave of time has a third derivative of 32^3.
        assert_close(&push, &numbers(differences), 1e-6);
    }
}

#[test]
fn the_curvature_is_the_second_directional_derivative() {
    for sizes in all_sizes() {
        let network = network(sizes);
        let d = network.dimension();
        let moved = sizes.moved * sizes.height * sizes.width;
        let (t, x, e) = (random(3, 1, 1), random(3, d, 2), random(3, d, 4));
        let curvature = numbers(network.curvature(t.clone(), x.clone(), e.clone()));
        // What the direction has at conditioning channels is passed over.
        let moves: Vec<f64> = (0..3 * d).map(|k| f64::from(k % d < moved)).collect();
        let e = e * Tensor::from_data(TensorData::new(moves, [3, d]), &device());
        let h = 1e-5;
        let at = |h: f64| network.gradient(t.clone(), x.clone() + e.clone() * h);
        let differences = (e.clone() * (at(h) - at(-h))).sum_dim(1) / (2.0 * h);
        assert_close(&curvature, &numbers(differences), 1e-6);
    }
}

struct Gradients<'a>(&'a burn::tensor::Gradients, Vec<f64>);

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let size = value.dims().iter().product();
        let gradient = value.grad(self.0).map_or(vec![0.0; size], numbers);
        self.1.extend(gradient);
    }
}

/// Images that drift and grow, with the conditioning channels at rest.
fn path(sizes: Sizes) -> impl Path {
    let pixels = sizes.height * sizes.width;
    let d = (sizes.moved + sizes.conditioning) * pixels;
    FnPath::new(d, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let shape = (times.len(), d);
        let z = Array2::from_shape_simple_fn(shape, || rng.sample::<f64, _>(StandardNormal));
        let moves = |j: usize| f64::from(j < sizes.moved * pixels);
        let points = Array2::from_shape_fn(shape, |(i, j)| {
            z[[i, j]] * (1.0 + 0.5 * times[i] * moves(j)) + times[i] * moves(j)
        });
        let velocities = Array2::from_shape_fn(shape, |(i, j)| (0.5 * z[[i, j]] + 1.0) * moves(j));
        PathSample::new(points).with_velocities(velocities)
    })
    .unwrap()
}

/// With all terms of the Lagrangian, so that value, push and curvature count, in every parameter
/// along random directions.
#[test]
fn the_gradient_of_the_objective_is_that_of_its_value() {
    let network = network(SIZES);
    let path = path(SIZES);
    let lagrangian = Lagrangian::kinetic()
        .noise(0.8)
        .unwrap()
        .growth(0.7)
        .unwrap();
    let problem = Problem::new(&path, lagrangian, Units::identity(network.dimension()));
    for estimator in [Estimator::Samples, Estimator::Velocity] {
        let objective = Objective::new(&problem, estimator).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let times: Vec<f64> = (0..4).map(|k| (k as f64 + 0.5) / 4.0).collect();
        let batch = objective.batch(times, vec![1.0; 4], &mut rng);
        let tracked = network.clone().train();
        let estimate = objective.estimate(&tracked, &network, &batch, &device());
        let gradients = estimate.surrogate.backward();
        let mut ours = Gradients(&gradients, vec![]);
        tracked.visit(&mut ours);
        let ours = ours.1;

        // One parameter array after another, so that no layer hides behind a larger one.
        let mut count = 0;
        network.clone().map(&mut Map(|values: Vec<f64>| {
            count += 1;
            values
        }));
        let h = 1e-5;
        for array in 0..count {
            let mut direction = vec![];
            let mut moved = |step: f64| {
                let mut rng = ChaCha8Rng::seed_from_u64(array as u64);
                let mut seen = 0;
                direction.clear();
                network.clone().map(&mut Map(|mut values: Vec<f64>| {
                    for value in &mut values {
                        let z: f64 = if seen == array {
                            rng.sample(StandardNormal)
                        } else {
                            0.0
                        };
                        direction.push(z);
                        *value += step * z;
                    }
                    seen += 1;
                    values
                }))
            };
            let [up, down] = [h, -h].map(|h| {
                let moved = moved(h);
                objective.estimate(&moved, &moved, &batch, &device()).value
            });
            let difference = (up - down) / (2.0 * h);
            let slope: f64 = ours.iter().zip(&direction).map(|(g, z)| g * z).sum();
            let scale = difference.abs().max(1e-2);
            assert!(
                (slope - difference).abs() < 1e-5 * scale,
                "{estimator:?}, array {array} of {count}: {slope} against {difference}"
            );
        }
    }
}

#[test]
fn a_fresh_network_is_at_rest_and_begins_to_move() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let fresh = UNet::new(SIZES, &device(), &mut rng).unwrap().valid();
    let d = fresh.dimension();
    let (t, x) = (random(2, 1, 1), random(2, d, 2));
    assert!(
        numbers(fresh.value(t.clone(), x.clone()))
            .iter()
            .all(|s| *s == 0.0)
    );
    assert!(
        numbers(fresh.gradient(t.clone(), x.clone()))
            .iter()
            .all(|g| *g == 0.0)
    );
    let tracked = fresh.train();
    let gradients = tracked.value(t, x).sum().backward();
    let mut all = Gradients(&gradients, vec![]);
    tracked.visit(&mut all);
    assert!(all.1.iter().any(|g| g.abs() > 1e-3));
}

#[test]
fn a_fresh_network_of_the_distance_draws_to_zero() {
    let sizes = Sizes {
        scalar: Scalar::Distance,
        ..SIZES
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let fresh = UNet::new(sizes, &device(), &mut rng).unwrap().valid();
    let moved = SIZES.moved * SIZES.height * SIZES.width;
    let (t, x) = (random(1, 1, 1), random(1, fresh.dimension(), 2));
    let mut expected: Vec<f64> = numbers(x.clone()).iter().map(|x| -x).collect();
    expected[moved..].fill(0.0);
    assert_close(
        &numbers(fresh.gradient(t.clone(), x.clone())),
        &expected,
        1e-12,
    );
    let squares: f64 = expected.iter().map(|x| x * x).sum();
    assert_close(&numbers(fresh.value(t, x)), &[-0.5 * squares], 1e-12);
}

#[test]
fn on_circles_whole_turns_change_nothing() {
    let network = network(Sizes {
        periodic: true,
        ..SIZES
    });
    let d = network.dimension();
    let moved = SIZES.moved * SIZES.height * SIZES.width;
    let (t, x) = (random(2, 1, 1), random(2, d, 2));
    let turns: Vec<f64> = (0..2 * d)
        .map(|k| {
            if k % d < moved {
                (k % 5) as f64 - 2.0
            } else {
                0.0
            }
        })
        .collect();
    let turned = x.clone() + Tensor::from_data(TensorData::new(turns, [2, d]), &device());
    let [a, b] = [x, turned].map(|x| numbers(network.value(t.clone(), x)));
    assert!(a[0].abs() > 1e-3);
    assert_close(&a, &b, 1e-10);
}

/// Images in a batch do not see each other.
#[test]
fn rows_are_independent() {
    let network = network(SIZES);
    let d = network.dimension();
    let (t, x) = (random(5, 1, 1), random(5, d, 2));
    let whole = numbers(network.value(t.clone(), x.clone()));
    for i in 0..5 {
        let alone = numbers(network.value(t.clone().narrow(0, i, 1), x.clone().narrow(0, i, 1)));
        assert_close(&alone, &whole[i..=i], 1e-12);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_with_those_that_can() {
    let message = |sizes: Sizes| {
        let network = UNet::new(sizes, &device(), &mut ChaCha8Rng::seed_from_u64(0));
        network.err().map_or(String::new(), |e| e.to_string())
    };
    let sized = |height, width, levels| Sizes {
        height,
        width,
        levels,
        ..SIZES
    };
    for (height, width, levels) in [(28, 28, 3), (14, 14, 2), (8, 12, 3), (32, 32, 6)] {
        let sizes = sized(height, width, levels);
        assert_eq!(message(sizes), "", "{sizes:?}");
    }
    let thin = Sizes {
        channels: 6,
        ..SIZES
    };
    for (sizes, said) in [
        (sized(14, 30, 3), "at most 2 levels, or images of 16x32"),
        (thin, "multiple of 4, got 6; take 8"),
        (sized(4, 6, 0), "levels must be at least 1"),
        (sized(4, 6, 90), "at most 2 levels"),
        (
            sized(255, 130, 1),
            "33150 pixels at its coarsest level of images of 255x130",
        ),
        (
            sized(255, 130, 1),
            "multiples of 4, such as 252x128, and take 3 levels",
        ),
        (
            sized(128, 128, 1),
            "attention takes at most 4096; take 2 levels",
        ),
        (sized(1, 5000, 1), "such as 2x5000"),
    ] {
        let found = message(sizes);
        assert!(found.contains(said), "{found}");
    }
}

//! The U-Net by its own code for the CPU against its tensors under autodiff, in f32, on the CPU
//! and on the GPUs that are built in. That the tensors are right is the matter of `unet.rs`, in f64.

use actum::{
    action::{Action, Scalar, Sizes, UNet},
    lagrangian::Lagrangian,
    objective::{Estimator, Objective, Problem, Weight},
    path::{FnPath, Path, PathSample},
    units::Units,
};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Tensor, TensorData},
};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

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

/// Lines that channels fill and do not, images of one pixel and of many rows, deep ones, circles,
/// both scalars.
fn all_sizes() -> [Sizes; 10] {
    let sized = |[moved, conditioning]: [usize; 2],
                 [height, width]: [usize; 2],
                 [channels, levels, blocks]: [usize; 3]| Sizes {
        moved,
        conditioning,
        height,
        width,
        channels,
        levels,
        blocks,
        periodic: false,
        scalar: Scalar::Product,
    };
    [
        sized([1, 0], [1, 1], [4, 1, 1]),
        SIZES,
        sized([1, 1], [8, 8], [12, 3, 2]),
        sized([3, 1], [6, 10], [20, 2, 1]),
        sized([1, 0], [28, 28], [16, 3, 1]),
        sized([3, 0], [5, 7], [16, 1, 2]),
        Sizes {
            periodic: true,
            ..SIZES
        },
        Sizes {
            periodic: true,
            ..sized([1, 0], [4, 4], [8, 2, 1])
        },
        Sizes {
            scalar: Scalar::Distance,
            ..SIZES
        },
        Sizes {
            scalar: Scalar::Distance,
            periodic: true,
            ..SIZES
        },
    ]
}

/// Where the tensors are, and how far they may be off: GPUs round the factors of products to 10 bits.
fn places() -> Vec<(Device, f32)> {
    let mut places = vec![(Device::flex(), 1e-4)];
    for name in ["cuda", "vulkan", "metal"] {
        match actum::tensor::device(name) {
            Ok(gpu) => places.push((gpu, 1e-2)),
            Err(error) => eprintln!("not compared on {name}: {error}"),
        }
    }
    places
}

fn random(rows: usize, columns: usize, seed: u64) -> Tensor<2> {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = StandardNormal
        .sample_iter(rng)
        .take(rows * columns)
        .collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), &Device::flex())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data().try_to_vec().unwrap()
}

/// A network all of whose parameters are random: a fresh one ends in zeros.
fn network(sizes: Sizes) -> UNet {
    struct Shake(ChaCha8Rng);
    impl ModuleMapper for Shake {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|old| {
                let shape = old.dims();
                let values: Vec<f32> = numbers(old)
                    .iter()
                    .map(|v| {
                        let z: f32 = StandardNormal.sample(&mut self.0);
                        v + 0.2 * z
                    })
                    .collect();
                Tensor::from_data(TensorData::new(values, shape), &Device::flex())
            })
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let fresh = UNet::new(sizes, &Device::flex(), &mut rng).unwrap();
    fresh.valid().map(&mut Shake(rng))
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |most, x| most.max(x.abs()))
}

#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32], least: f32, off: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = largest(theirs).max(least);
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() < off * scale, "{what}, {i}: {a} against {b}");
    }
}

#[test]
fn every_function_is_that_of_the_tensors() {
    let places = places();
    for sizes in all_sizes() {
        let ours = network(sizes);
        let (n, d) = (3, ours.dimension());
        let values = [
            random(n, 1, 1),
            random(n, d, 2),
            random(n, 1, 3),
            random(n, d, 4),
        ];
        for (device, off) in &places {
            let theirs = ours.clone().to_device(device).train();
            type Function = fn(&UNet, [Tensor<2>; 4]) -> Tensor<2>;
            let both = |f: Function, what: &str| {
                let there = values.clone().map(|v| v.to_device(device));
                assert_close(
                    &numbers(f(&ours, values.clone())),
                    &numbers(f(&theirs, there)),
                    1e-3,
                    *off,
                    &format!("{what} of {sizes:?} on {device:?}"),
                );
            };
            both(|s, [t, x, ..]| s.value(t, x), "value");
            both(|s, [t, x, ..]| s.gradient(t, x), "gradient");
            both(|s, [t, x, dt, dx]| s.push(t, x, dt, dx), "push");
            both(|s, [t, x, _, dx]| s.curvature(t, x, dx), "curvature");
        }
    }
}

/// Images that drift, spread and grow, with the conditioning channels at rest.
fn path(sizes: Sizes) -> impl Path {
    let pixels = sizes.height * sizes.width;
    let d = (sizes.moved + sizes.conditioning) * pixels;
    FnPath::new(d, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let shape = (times.len(), d);
        let z = Array2::from_shape_simple_fn(shape, || StandardNormal.sample(rng));
        let moves = |j: usize| f64::from(j < sizes.moved * pixels);
        let points = Array2::from_shape_fn(shape, |(i, j)| {
            z[[i, j]] * (1.0 + 0.5 * times[i] * moves(j)) + times[i] * moves(j)
        });
        let velocities = Array2::from_shape_fn(shape, |(i, j)| {
            let z: f64 = z[[i, j]];
            (0.5 * z + 1.0) * moves(j)
        });
        PathSample::new(points).with_velocities(velocities)
    })
    .unwrap()
}

struct Gradients<'a>(&'a burn::tensor::Gradients, Vec<Vec<f32>>);

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let size = value.dims().iter().product();
        let gradient = value.grad(self.0).map_or(vec![0.0; size], numbers);
        self.1.push(gradient);
    }
}

/// With a weight in time that is 0 at an end, and with growth, so that value and push count.
#[test]
fn the_objective_and_its_gradient_are_those_of_autodiff() {
    let places = places();
    for sizes in all_sizes() {
        let network = network(sizes);
        let path = path(sizes);
        for (estimator, growth) in [
            (Estimator::Velocity, 0.0),
            (Estimator::Samples, 0.0),
            (Estimator::Samples, 0.7),
        ] {
            let lagrangian = match growth {
                0.0 => Lagrangian::kinetic(),
                growth => Lagrangian::kinetic().growth(growth).unwrap(),
            };
            let problem = Problem::new(&path, lagrangian, Units::identity(network.dimension()))
                .weighted(Weight::new(|t| [1.0 - t, -1.0]));
            let objective = Objective::new(&problem, estimator).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let times = vec![0.1, 0.4, 0.9, 1.0];
            let batch = objective.batch(times, vec![1.0, 0.8, 1.2, 1.0], &mut rng);
            let (level, gradient) = objective.differentiate(&network, &batch, &Device::flex());

            for (device, off) in &places {
                let tracked = network.clone().to_device(device).train();
                let estimate = objective.estimate(&tracked, &tracked, &batch, device);
                let gradients = estimate.surrogate.backward();
                let mut theirs = Gradients(&gradients, vec![]);
                tracked.visit(&mut theirs);
                let what = format!("{estimator:?}, {growth}, {sizes:?} on {device:?}");
                assert_close(
                    &[level.value as f32],
                    &[estimate.value as f32],
                    0.0,
                    *off,
                    &what,
                );
                let single =
                    |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
                let [ours, theirs_of] = [&level.interior, &estimate.interior].map(|v| single(v));
                assert_close(&ours, &theirs_of, 0.0, *off, &what);
                assert_eq!(gradient.len(), theirs.1.len());
                // That in the bias of the keys is 0, which a softmax does not see.
                let least = 1e-2 * theirs.1.iter().fold(0.0, |most, g| largest(g).max(most));
                for (k, (ours, theirs)) in gradient.iter().zip(&theirs.1).enumerate() {
                    assert_close(
                        &numbers(ours.clone()),
                        theirs,
                        least,
                        *off,
                        &format!("array {k}, {what}"),
                    );
                }
            }
        }
    }
}

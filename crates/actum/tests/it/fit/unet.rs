//! The U-Net fitted, stored and resumed like any other action, in f32.

use std::ops::ControlFlow;

use actum::{
    action::{Scalar, Sizes, UNet},
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    fit::{Checkpoint, Observer, Options, Step, fit, resume},
    gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    objective::{Estimator, Objective, Problem},
    path::Path,
    tensor::Device,
    units::Units,
};
use burn::tensor::Tensor;
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SIZES: Sizes = Sizes {
    moved: 1,
    conditioning: 0,
    height: 4,
    width: 4,
    channels: 8,
    levels: 2,
    blocks: 1,
    periodic: false,
    scalar: Scalar::Product,
};

/// Images of 4x4 pixels whose left half brightens and right half darkens while noise grows or
/// fades.
fn path(noise_rate: f64) -> Gaussian<impl Fn(f64) -> Moments + Sync> {
    let rates: Vec<f64> = (0..16)
        .map(|j| if j % 4 < 2 { 1.0 } else { -1.0 })
        .collect();
    Gaussian::new(16, move |t| Moments {
        mean: rates.iter().map(|r| r * t).collect(),
        mean_rate: rates.clone(),
        std_dev: 1.0 + noise_rate * t,
        std_dev_rate: noise_rate,
    })
}

fn network_of(scalar: Scalar, seed: u64) -> UNet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    UNet::new(Sizes { scalar, ..SIZES }, &Device::flex(), &mut rng).unwrap()
}

fn network(seed: u64) -> UNet {
    network_of(Scalar::Product, seed)
}

fn problem(path: &dyn Path) -> Problem<'_> {
    Problem::new(path, Lagrangian::kinetic(), Units::identity(16))
}

fn options(steps: usize) -> Options {
    Options {
        steps,
        batch: 20,
        warmup: 20,
        learning_rate: 4e-3,
        ema_decay: 0.98,
        ..Options::default()
    }
}

/// `-1/2 int (|m'|^2 + 16 sigma'^2) dt = -1/2 (16 + 4)`. What fades is within reach of a distance,
/// which starts far above 0.
#[test]
fn both_estimators_and_scalars_reach_the_least_objective() {
    for (scalar, noise_rate) in [(Scalar::Product, 0.5), (Scalar::Distance, -0.5)] {
        let path = path(noise_rate);
        assert!((path.least_objective() + 10.0).abs() < 1e-9);
        for estimator in [Estimator::Samples, Estimator::Velocity] {
            let options = Options {
                batch: 64,
                estimator,
                ..options(350)
            };
            let network = network_of(scalar, 0);
            let dynamics = fit(network, &problem(&path), &options, &mut ()).unwrap();
            let problem = problem(&path);
            let objective = Objective::new(&problem, Estimator::Velocity).unwrap();
            let n = 4000;
            let times = (0..n).map(|k| (k as f64 + 0.5) / n as f64).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let batch = objective.batch(times, vec![1.0; n], &mut rng);
            let action = &dynamics.action;
            let level = objective
                .estimate(action, action, &batch, &Device::flex())
                .value;
            println!("{scalar:?}, {estimator:?}: {level}");
            assert!(
                (level + 10.0).abs() < 0.4,
                "{scalar:?}, {estimator:?}: {level}"
            );
        }
    }
}

/// What a dynamics does, to the last bit.
fn bits(dynamics: &Dynamics<UNet>) -> Vec<u64> {
    let points = Array2::from_shape_fn((3, 16), |(i, j)| (i * 16 + j) as f64 * 0.05 - 1.0);
    let velocity = dynamics.velocity(0.3, &points).unwrap();
    velocity.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_number_of_threads() {
    let path = path(0.5);
    let run = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| bits(&fit(network(seed), &problem(&path), &options(4), &mut ()).unwrap()))
    };
    let one = run(1, 0);
    assert_eq!(one, run(2, 0));
    assert_eq!(one, run(3, 0));
    assert_ne!(one, run(1, 1));
}

#[test]
fn a_fit_goes_on_and_a_dynamics_comes_back_with_the_same_bits() {
    struct StopAt(usize, Option<Checkpoint>);
    impl Observer for StopAt {
        fn step(&mut self, step: &Step) -> ControlFlow<()> {
            if step.step == self.0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
        fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
            self.1 = Some(checkpoint.clone());
            Ok(())
        }
    }
    let path = path(0.5);
    let (problem, options) = (problem(&path), options(56));
    let whole = fit(network(0), &problem, &options, &mut ()).unwrap();
    let mut stop = StopAt(53, None);
    let stopped = fit(network(0), &problem, &options, &mut stop).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    let checkpoint = stop.1.unwrap();
    assert_eq!(checkpoint.step(), 50);
    let resumed = resume(network(9), &problem, &options, &checkpoint, &mut ()).unwrap();
    assert_eq!(bits(&whole), bits(&resumed));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    whole.save(&file).unwrap();
    let device = Device::flex();
    let back = Dynamics::<UNet>::load(&file, &device).unwrap();
    assert_eq!(back.action.sizes(), SIZES);
    assert_eq!(bits(&whole), bits(&back));
    let other = Dynamics::<actum::action::Mlp>::load(&file, &device).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Format, "{other}");
}

/// On the CPU's own operations.
#[test]
fn the_push_is_the_change_of_the_value_in_single_precision() {
    use actum::action::Action;
    let dynamics = fit(network(0), &problem(&path(0.5)), &options(30), &mut ()).unwrap();
    let network = dynamics.action;
    let ramp = |scale: f32, offset: f32| {
        let values: Vec<f32> = (0..48).map(|k| (k as f32 * scale + offset).sin()).collect();
        Tensor::<1>::from_data(values.as_slice(), &Device::flex()).reshape([3, 16])
    };
    let (x, dx) = (ramp(0.7, 0.1), ramp(1.3, 0.5));
    let t = Tensor::<2>::full([3, 1], 0.4, &Device::flex());
    let h = 1e-3;
    let at = |h: f64| network.value(t.clone() + h, x.clone() + dx.clone() * h);
    let difference = (at(h) - at(-h)) / (2.0 * h);
    let push = network.push(t.clone(), x.clone(), t.ones_like(), dx.clone());
    let numbers = |tensor: Tensor<2>| tensor.try_into_vec_as::<f64>().unwrap();
    for (a, b) in numbers(push).iter().zip(numbers(difference)) {
        assert!((a - b).abs() < 2e-3 * b.abs().max(1.0), "{a} against {b}");
    }
}

//! The U-Net fitted, stored and resumed like any other action.

use actum::{
    action::{Device, Engine, Saved, Scalar, Sizes},
    dynamics::Dynamics,
    error::ErrorKind,
    fit::{Options, fit, resume},
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    path::Path,
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::Array2;

use crate::support::{StopAt, drifting, learn::level_of, networks::unet, within};

const SIZES: Sizes = Sizes {
    target: 1,
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
    Gaussian::new(16, move |t| drifting(t, &rates, noise_rate))
}

fn network(seed: u64) -> Box<dyn Engine> {
    unet(SIZES, seed)
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
            let network = unet(Sizes { scalar, ..SIZES }, 0);
            let dynamics = fit(network, &problem(&path), &options, &mut ()).unwrap();
            let level = level_of(&**dynamics.action(), &problem(&path), 4000);
            println!("{scalar:?}, {estimator:?}: {level}");
            assert!(
                (level + 10.0).abs() < 0.4,
                "{scalar:?}, {estimator:?}: {level}"
            );
        }
    }
}

/// What a dynamics does, to the last bit.
fn bits(dynamics: &Dynamics) -> Vec<u64> {
    let points = Array2::from_shape_fn((3, 16), |(i, j)| (i * 16 + j) as f64 * 0.05 - 1.0);
    let velocity = dynamics.velocity(0.3, &points).unwrap();
    velocity.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_number_of_threads() {
    let path = path(0.5);
    let run = |threads, seed| {
        within(threads, || {
            bits(&fit(network(seed), &problem(&path), &options(4), &mut ()).unwrap())
        })
    };
    let one = run(1, 0);
    assert_eq!(one, run(2, 0));
    assert_eq!(one, run(3, 0));
    assert_ne!(one, run(1, 1));
}

#[test]
fn a_fit_goes_on_and_a_dynamics_comes_back_with_the_same_bits() {
    let path = path(0.5);
    let (problem, options) = (problem(&path), options(56));
    let whole = fit(network(0), &problem, &options, &mut ()).unwrap();
    let mut stop = StopAt::step(53);
    let stopped = fit(network(0), &problem, &options, &mut stop).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    let checkpoint = stop.kept();
    assert_eq!(checkpoint.step(), 50);
    let resumed = resume(network(9), &problem, &options, &checkpoint, &mut ()).unwrap();
    assert_eq!(bits(&whole), bits(&resumed));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    whole.save(&file).unwrap();
    let back = Dynamics::load(&file, &Device::cpu()).unwrap();
    let engine = back.action().as_engine().unwrap();
    assert_eq!(engine.saved(), Some(Saved::UNet { unet: SIZES }));
    assert_eq!(bits(&whole), bits(&back));
}

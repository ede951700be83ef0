//! Fitting as a machine: same seed same bits, resuming equals never having stopped, the guard.

use std::ops::ControlFlow;

use actum::{
    action::Mlp,
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    fit::{Checkpoint, Observer, Options, Rollback, Step, fit, resume},
    gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    objective::{Estimator, Problem},
    path::{Draw, Path, Sampled},
    tensor::Device,
    units::Units,
};
use ndarray::{Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn gaussian() -> Gaussian<impl Fn(f64) -> Moments + Sync> {
    Gaussian::new(2, |t| Moments {
        mean: vec![t, 0.0],
        mean_rate: vec![1.0, 0.0],
        deviation: 1.0 + t,
        deviation_rate: 1.0,
    })
}

fn problem(path: &dyn Path) -> Problem<'_> {
    Problem {
        path,
        lagrangian: Lagrangian::kinetic(),
        units: Units::identity(path.dimension()),
    }
}

fn network(d: usize) -> Mlp {
    Mlp::new(d, 33, 2, &Device::flex(), &mut ChaCha8Rng::seed_from_u64(0)).unwrap()
}

fn options(steps: usize) -> Options {
    Options {
        steps,
        batch: 100,
        adaptive_times: true,
        estimator: Estimator::Samples,
        ..Options::default()
    }
}

/// What a dynamics does, to the last bit.
fn bits(dynamics: &Dynamics<Mlp>) -> Vec<u64> {
    let points = array![[0.1, 0.2], [-1.0, 3.0], [0.5, -0.5]];
    let velocity = dynamics.velocity(0.3, &points).unwrap();
    velocity.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_number_of_threads() {
    let path = gaussian();
    let run = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let options = Options {
            seed,
            ..options(40)
        };
        pool.install(|| bits(&fit(network(2), &problem(&path), &options, &mut ()).unwrap()))
    };
    let one = run(1, 0);
    assert_eq!(one, run(1, 0));
    assert_eq!(one, run(2, 0));
    assert_eq!(one, run(3, 0));
    assert_ne!(one, run(1, 1));
}

/// Stops after so many steps, and keeps the last checkpoint as a file would.
struct StopAt {
    step: usize,
    kept: Option<Checkpoint>,
}

impl Observer for StopAt {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        if step.step == self.step {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint.safetensors");
        checkpoint.save(&file)?;
        self.kept = Some(Checkpoint::load(&file)?);
        Ok(())
    }
}

#[test]
fn resuming_equals_never_having_stopped() {
    let path = gaussian();
    let options = options(180);
    let whole = bits(&fit(network(2), &problem(&path), &options, &mut ()).unwrap());
    for step in [1, 77, 150] {
        let mut observer = StopAt { step, kept: None };
        let stopped = fit(network(2), &problem(&path), &options, &mut observer).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Interrupted);
        let kept = observer.kept.unwrap();
        assert!(kept.step() <= step && kept.step() + 50 > step);
        let rest = resume(network(2), &problem(&path), &options, &kept, &mut ()).unwrap();
        assert_eq!(bits(&rest), whole, "stopped after {step}");

        let other = Options {
            batch: 99,
            ..options.clone()
        };
        let refused = resume(network(2), &problem(&path), &other, &kept, &mut ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Setting);
    }
}

#[derive(Default)]
struct Rollbacks(Vec<Rollback>);

impl Observer for Rollbacks {
    fn rollback(&mut self, rollback: &Rollback) {
        self.0.push(rollback.clone());
    }
}

#[test]
fn the_guard_goes_back_and_goes_on() {
    // Clipping keeps single steps bounded; a rate of 30 throws the network far out all the same.
    let path = gaussian();
    let options = Options {
        learning_rate: 30.0,
        warmup: 60,
        estimator: Estimator::Velocity,
        ..options(150)
    };
    let mut seen = Rollbacks::default();
    let result = fit(network(2), &problem(&path), &options, &mut seen);
    assert!(!seen.0.is_empty(), "the guard saw nothing");
    assert!(seen.0.iter().all(|r| r.to <= r.from));
    assert_eq!(seen.0[0].rate_factor, 0.5);
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Diverged);
    }
}

#[test]
fn a_path_that_becomes_infinite_is_given_up_with_a_remedy() {
    let path = Sampled::new(1, [0.0, 1.0], false, |times, rng| Draw {
        points: Array2::from_shape_fn((times.len(), 1), |(i, _)| {
            let x: f64 = rng.random();
            if times[i] > 0.5 { x * f64::INFINITY } else { x }
        }),
        velocities: None,
    })
    .unwrap();
    let mut seen = Rollbacks::default();
    let error = fit(network(1), &problem(&path), &options(100), &mut seen).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Diverged);
    assert_eq!(seen.0.len(), 5);
    assert!(error.to_string().contains("learning_rate"), "{error}");
}

#[test]
fn bad_requests_are_refused() {
    let path = gaussian();
    let message = |o: Options, n: Mlp| {
        fit(n, &problem(&path), &o, &mut ())
            .unwrap_err()
            .to_string()
    };
    for (changed, name) in [
        (
            Options {
                steps: 0,
                ..options(1)
            },
            "steps",
        ),
        (
            Options {
                batch: 0,
                ..options(1)
            },
            "batch",
        ),
        (
            Options {
                learning_rate: -1.0,
                ..options(1)
            },
            "learning_rate",
        ),
        (
            Options {
                clip: f64::NAN,
                ..options(1)
            },
            "clip",
        ),
        (
            Options {
                average: 1.0,
                ..options(1)
            },
            "average",
        ),
    ] {
        assert!(message(changed, network(2)).contains(name));
    }
    let text = message(options(1), network(3));
    assert!(
        text.contains("3 columns") && text.contains("the path 2"),
        "{text}"
    );
}

#[test]
fn dynamics_survive_the_disk_and_damage_is_told() {
    let path = gaussian();
    let dynamics = fit(network(2), &problem(&path), &options(5), &mut ()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    dynamics.save(&file).unwrap();
    let device = Device::flex();
    assert_eq!(
        bits(&Dynamics::load(&file, &device).unwrap()),
        bits(&dynamics)
    );

    let bytes = std::fs::read(&file).unwrap();
    for cut in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let error = Dynamics::load(&file, &device).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
    let text = |from: &str, to: &str| {
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&file, changed).unwrap();
        Dynamics::load(&file, &device).unwrap_err()
    };
    let other = text(
        concat!("version\\\":\\\"", env!("CARGO_PKG_VERSION")),
        "version\\\":\\\"7.9.9",
    );
    assert_eq!(other.kind(), ErrorKind::Version);
    assert!(other.to_string().contains("7.9.9"), "{other}");
    assert_eq!(text("actum", "other").kind(), ErrorKind::Format);
}

//! Fitting as a machine: same seed same bits, resuming equals never having stopped, the guard.

mod shards;
mod unet;

use std::sync::atomic::{AtomicUsize, Ordering};

use actum::{
    action::{Device, Engine, Precision, Scalar, Sizes},
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    fit::{Observer, Options, Rollback, fit, resume},
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::{Drift, Lagrangian},
    objective::Objective,
    path::{FnPath, Path, PathSample},
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::{Array2, array};
use rand::RngExt;

use crate::support::{
    StopAt, assert_close, drifting, largest,
    networks::{self, SIZES, images, mlp},
    rng,
    tensors::in_f64,
    within,
};

fn gaussian() -> Gaussian<impl Fn(f64) -> Moments + Sync> {
    Gaussian::new(2, |t| drifting(t, &[1.0, 0.0], 1.0))
}

fn problem(path: &dyn Path) -> Problem<'_> {
    Problem::new(
        path,
        Lagrangian::kinetic(),
        Units::identity(path.dimension()),
    )
}

fn network(d: usize) -> Box<dyn Engine> {
    mlp(d, 33, 2, 0)
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
fn bits(dynamics: &Dynamics) -> Vec<u64> {
    let points = array![[0.1, 0.2], [-1.0, 3.0], [0.5, -0.5]];
    let velocity = dynamics.velocity(0.3, &points).unwrap();
    velocity.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_number_of_threads() {
    let path = gaussian();
    let run = |threads, seed| {
        let options = Options {
            seed,
            batch: 500,
            ..options(12)
        };
        within(threads, || {
            bits(&fit(mlp(2, 128, 3, 0), &problem(&path), &options, &mut ()).unwrap())
        })
    };
    let one = run(1, 0);
    assert_eq!(one, run(1, 0));
    assert_eq!(one, run(2, 0));
    assert_eq!(one, run(3, 0));
    assert_ne!(one, run(1, 1));
}

#[test]
fn tensors_too_have_the_same_bits_whatever_the_number_of_threads() {
    let path = gaussian();
    let problem = problem(&path);
    let dynamics = fit(mlp(2, 128, 3, 0), &problem, &options(5), &mut ()).unwrap();
    let learned = dynamics.action().as_engine().unwrap();
    let objective = Objective::new(&problem, Estimator::Samples).unwrap();
    let times = (0..512).map(|k| k as f64 / 512.0).collect();
    let batch = objective.batch(times, vec![1.0; 512], &mut rng(0));
    let gradients = |threads| {
        let mut network = mlp(2, 128, 3, 0);
        let parameters = learned.parameters();
        network.update(&mut |to, _| to.copy_from_slice(parameters));
        let mut network = in_f64(network);
        within(threads, || {
            objective.differentiate(&mut *network, &batch);
            let gradient = network.parameter_gradient();
            gradient.iter().map(|g| g.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = gradients(1);
    assert!(one.iter().any(|g| *g != 0));
    assert_eq!(one, gradients(2));
    assert_eq!(one, gradients(3));
}

#[test]
fn a_checkpoint_holds_the_motion_so_far() {
    let path = gaussian();
    let units = Units::isotropic(vec![0.5, -1.0], 3.0, path.span()).unwrap();
    let problem = Problem::new(&path, Lagrangian::kinetic(), units);
    let mut observer = StopAt::step(usize::MAX);
    let whole = fit(network(2), &problem, &options(60), &mut observer).unwrap();
    let so_far = observer.kept().dynamics(&Device::cpu()).unwrap();
    assert_eq!(bits(&so_far), bits(&whole));
    assert_eq!(so_far.units, whole.units);
    // A drift that is a function has no place in a file; the rest of the state has.
    let drift = Drift::function(|_, x, velocity| velocity.copy_from_slice(x));
    let lagrangian = Lagrangian::kinetic().drift(drift);
    let problem = Problem::new(&path, lagrangian, Units::identity(2));
    let mut observer = StopAt::step(10);
    fit(network(2), &problem, &options(60), &mut observer).unwrap_err();
    let refused = observer.kept().dynamics(&Device::cpu()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Setting);
}

#[test]
fn resuming_equals_never_having_stopped() {
    let path = gaussian();
    let options = options(180);
    let whole = bits(&fit(network(2), &problem(&path), &options, &mut ()).unwrap());
    for step in [1, 77, 150] {
        let mut observer = StopAt::step(step);
        let stopped = fit(network(2), &problem(&path), &options, &mut observer).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Interrupted);
        let kept = observer.kept();
        assert!(kept.step() <= step && kept.step() + 50 >= step);
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
    // The draw of the 70th step is spoilt, and only that; the first one checks the path.
    let draws = AtomicUsize::new(0);
    let inner = gaussian();
    let path = FnPath::new(2, [0.0, 1.0], true, |times, rng| {
        let mut draw = inner.sample(times, rng);
        if draws.fetch_add(1, Ordering::SeqCst) == 70 {
            draw.points[[0, 0]] = f64::NAN;
        }
        draw
    })
    .unwrap();
    let options = Options {
        estimator: Estimator::Velocity,
        ..options(100)
    };
    let mut seen = Rollbacks::default();
    fit(network(2), &problem(&path), &options, &mut seen).unwrap();
    assert_eq!(seen.0.len(), 1);
    let rollback = &seen.0[0];
    assert_eq!(
        (rollback.from, rollback.to, rollback.rate_factor),
        (69, 50, 0.5)
    );
}

/// A learning rate that no clipping makes up for.
fn reckless() -> Options {
    Options {
        learning_rate: 100.0,
        warmup: 200,
        ..options(300)
    }
}

#[test]
fn an_explosion_is_noticed_and_resuming_is_exact_across_it() {
    let path = gaussian();
    let end = |result: Result<Dynamics>| result.map(|d| bits(&d)).map_err(|e| e.to_string());
    let mut seen = Rollbacks::default();
    let whole = end(fit(network(2), &problem(&path), &reckless(), &mut seen));
    assert!(!seen.0.is_empty(), "the guard saw nothing");
    assert!(seen.0.iter().all(|r| r.to <= r.from && r.rate_factor < 1.0));
    let mut observer = StopAt::step(seen.0[0].from + 1);
    let stopped = fit(network(2), &problem(&path), &reckless(), &mut observer);
    let kept = observer.kept();
    if stopped.unwrap_err().kind() == ErrorKind::Interrupted {
        let rest = resume(network(2), &problem(&path), &reckless(), &kept, &mut ());
        assert_eq!(end(rest), whole);
    }
}

#[test]
fn a_path_that_becomes_infinite_is_given_up_with_a_remedy() {
    let path = FnPath::new(1, [0.0, 1.0], false, |times, rng| {
        PathSample::new(Array2::from_shape_fn((times.len(), 1), |(i, _)| {
            let x: f64 = rng.random();
            if times[i] > 0.5 { x * f64::INFINITY } else { x }
        }))
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
    let message = |o: Options, n: Box<dyn Engine>| {
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
                ema_decay: 1.0,
                ..options(1)
            },
            "ema_decay",
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
    let device = Device::cpu();
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
    // A bit of a number, and a word of what is said of them.
    for at in [
        bytes.len() - 2,
        bytes.windows(7).position(|w| w == b"kinetic").unwrap(),
    ] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&file, changed).unwrap();
        let error = Dynamics::load(&file, &device).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}

/// Ten steps, the optimiser and the clipping included.
#[test]
fn fits_on_the_cpu_and_in_tensors_stay_together() {
    let (gaussian, pictures) = (gaussian(), images(SIZES));
    let perceptrons = [(33, 2), (1, 1), (64, 3)];
    type Make = Box<dyn Fn() -> Box<dyn Engine>>;
    let mut cases: Vec<(&dyn Path, Make)> = vec![];
    for (width, depth) in perceptrons {
        cases.push((&gaussian, Box::new(move || mlp(2, width, depth, 0))));
    }
    for scalar in [Scalar::Product, Scalar::Distance] {
        let sizes = Sizes { scalar, ..SIZES };
        cases.push((&pictures, Box::new(move || networks::unet(sizes, 0))));
    }
    for (path, network) in cases {
        let options = Options {
            warmup: 1,
            precision: Precision::F32,
            ..options(10)
        };
        let points = path.sample(&[0.3; 3], &mut rng(1)).points;
        let [on_cpu, in_tensors] = [network(), in_f64(network())].map(|network| {
            let dynamics = fit(network, &problem(path), &options, &mut ()).unwrap();
            dynamics
                .velocity(0.3, &points)
                .unwrap()
                .into_raw_vec_and_offset()
                .0
        });
        assert!(largest(&in_tensors) > 1e-3);
        assert_close(&on_cpu, &in_tensors, 0.0, 1e-3, "velocities");
    }
}

#[test]
fn velocities_are_the_gradient_of_the_action_in_the_units_of_the_user() {
    let path = gaussian();
    let units = Units::isotropic(vec![0.5, 0.0], 2.0, [0.0, 1.0]).unwrap();
    let units = units.warped(&[0.0, 0.2, 1.0], &[3.0, 1.0]).unwrap();
    let problem = Problem::new(&path, Lagrangian::kinetic(), units);
    let dynamics = fit(network(2), &problem, &options(100), &mut ()).unwrap();
    let points = array![[0.3, -0.4], [1.5, 2.0]];
    for t in [0.1, 0.7] {
        let velocity = dynamics.velocity(t, &points).unwrap();
        assert!(velocity.iter().any(|v| v.abs() > 0.1), "{velocity}");
        for j in 0..2 {
            let h = 0.02;
            let at = |step: f64| {
                let mut moved = points.clone();
                moved.column_mut(j).mapv_inplace(|x| x + step);
                dynamics.action_at(t, &moved).unwrap()
            };
            for (i, (up, down)) in at(h).iter().zip(at(-h)).enumerate() {
                let slope = (up - down) / (2.0 * h);
                assert!(
                    (slope - velocity[[i, j]]).abs() < 2e-3,
                    "{slope} {velocity}"
                );
            }
        }
    }
}

//! Fitting as a machine: same seed same bits, resuming equals never having stopped, the guard.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

use actum::{
    action::{Action, Mlp, fused::Workspace},
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    fit::{Checkpoint, Observer, Options, Rollback, Step, fit, resume},
    gaussian::{Gaussian, Moments},
    lagrangian::{Cost, Drift, Lagrangian},
    objective::{Estimator, Objective, Problem, Weight},
    path::{FnPath, Path, PathSample},
    tensor::Device,
    units::Units,
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use ndarray::{Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn gaussian() -> Gaussian<impl Fn(f64) -> Moments + Sync> {
    Gaussian::new(2, |t| Moments {
        mean: vec![t, 0.0],
        mean_rate: vec![1.0, 0.0],
        std_dev: 1.0 + t,
        std_dev_rate: 1.0,
    })
}

fn problem(path: &dyn Path) -> Problem<'_> {
    Problem::new(
        path,
        Lagrangian::kinetic(),
        Units::identity(path.dimension()),
    )
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
        let options = Options {
            seed,
            batch: 500,
            ..options(12)
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let network = Mlp::new(2, 128, 3, &Device::flex(), &mut rng).unwrap();
        within(threads, || {
            bits(&fit(network, &problem(&path), &options, &mut ()).unwrap())
        })
    };
    let one = run(1, 0);
    assert_eq!(one, run(1, 0));
    assert_eq!(one, run(2, 0));
    assert_eq!(one, run(3, 0));
    assert_ne!(one, run(1, 1));
}

#[test]
fn autodiff_too_has_the_same_bits_whatever_the_number_of_threads() {
    let path = gaussian();
    let problem = problem(&path);
    let device = Device::flex();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let network = Mlp::new(2, 128, 3, &device, &mut rng).unwrap();
    let network = fit(network, &problem, &options(5), &mut ()).unwrap().action;
    let objective = Objective::new(&problem, Estimator::Samples).unwrap();
    let times = (0..512).map(|k| k as f64 / 512.0).collect();
    let batch = objective.batch(times, vec![1.0; 512], &mut rng);
    let gradients = |threads| {
        within(threads, || {
            let tracked = network.clone().train();
            let estimate = objective.estimate(&tracked, &network, &batch, &device);
            let gradients = Gradients(&estimate.surrogate.backward(), vec![]).of(&tracked);
            gradients.iter().map(|g| g.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = gradients(1);
    assert_eq!(one, gradients(2));
    assert_eq!(one, gradients(3));
}

fn within<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(run)
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
    let end = |result: Result<Dynamics<Mlp>>| result.map(|d| bits(&d)).map_err(|e| e.to_string());
    let mut seen = Rollbacks::default();
    let whole = end(fit(network(2), &problem(&path), &reckless(), &mut seen));
    assert!(!seen.0.is_empty(), "the guard saw nothing");
    assert!(seen.0.iter().all(|r| r.to <= r.from && r.rate_factor < 1.0));
    let mut observer = StopAt {
        step: seen.0[0].from + 1,
        kept: None,
    };
    let stopped = fit(network(2), &problem(&path), &reckless(), &mut observer);
    let kept = observer.kept.expect("a fit that ends leaves its state");
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
    let device = Device::flex();
    assert_eq!(
        bits(&Dynamics::load(&file, &device).unwrap()),
        bits(&dynamics)
    );

    let bytes = std::fs::read(&file).unwrap();
    for cut in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let error = Dynamics::<Mlp>::load(&file, &device).unwrap_err();
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
        Dynamics::<Mlp>::load(&file, &device).unwrap_err()
    };
    let other = text(
        concat!("version\\\":\\\"", env!("CARGO_PKG_VERSION")),
        "version\\\":\\\"7.9.9",
    );
    assert_eq!(other.kind(), ErrorKind::Version);
    assert!(other.to_string().contains("7.9.9"), "{other}");
    assert_eq!(text("actum", "other").kind(), ErrorKind::Format);
}

/// All terms at once; the Laplacian is exact in two columns and probed in three.
fn all_terms() -> Lagrangian {
    Lagrangian::new(Cost::power(3.0).unwrap())
        .noise(0.7)
        .and_then(|l| l.growth(0.9))
        .unwrap()
        .drift(Drift::function(|t, x, b| {
            b.fill(t);
            b[0] -= x[1];
        }))
}

#[test]
fn the_fused_layout_and_autodiff_agree() {
    let device = Device::flex();
    let kinetic = Lagrangian::kinetic;
    for (lagrangian, d, width, depth, n) in [
        (kinetic(), 2, 33, 2, 100),
        (kinetic(), 2, 1, 1, 1),
        (kinetic(), 2, 16, 3, 300),
        (kinetic().noise(1.0).unwrap(), 2, 16, 3, 300),
        (kinetic().growth(1.0).unwrap(), 2, 33, 2, 100),
        (all_terms(), 2, 33, 1, 100),
        (all_terms(), 3, 16, 3, 300),
    ] {
        let moments = move |t: f64| Moments {
            mean: vec![t; d],
            mean_rate: vec![1.0; d],
            std_dev: 1.0 + t,
            std_dev_rate: 1.0,
        };
        let mut path = Gaussian::new(d, moments);
        if lagrangian.grows() {
            path = path.with_mass(|t| [1.0 + t * t, 2.0 * t]);
        }
        let problem = Problem::new(&path, lagrangian, Units::identity(d))
            .weighted(Weight::new(|t| [1.0 + t, 1.0]));
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let fresh = Mlp::new(d, width, depth, &device, &mut rng).unwrap();
        // A few steps, so that the last layer is not zero.
        let network = fit(fresh, &problem, &options(20), &mut ()).unwrap().action;
        for estimator in [Estimator::Samples, Estimator::Velocity] {
            let objective = Objective::new(&problem, estimator).unwrap();
            let times: Vec<f64> = (0..n).map(|k| (k as f64 + 0.5) / n as f64).collect();
            let density: Vec<f64> = times.iter().map(|t| 0.5 + t).collect();
            let batch = objective.batch(times, density, &mut rng);
            let mut workspace = Workspace::default();
            let layout = network.fused().unwrap();
            let fused = objective.differentiate_fused(&layout, &batch, &mut workspace);

            let tracked = network.clone().train();
            let estimate = objective.estimate(&tracked, &network, &batch, &device);
            let gradients = Gradients(&estimate.surrogate.backward(), vec![]).of(&tracked);
            assert!((fused.value - estimate.value).abs() < 1e-4 * estimate.value.abs().max(0.1));
            for (a, b) in fused.interior.iter().zip(&estimate.interior) {
                assert!((a - b).abs() < 1e-3, "{a} against {b}");
            }
            let ours = workspace.parameter_gradient().concat();
            let scale = gradients.iter().fold(1e-3f32, |m, g| m.max(g.abs()));
            assert_eq!(ours.len(), gradients.len());
            for (a, b) in ours.iter().zip(&gradients) {
                assert!(
                    (a - b).abs() < 2e-4 * scale,
                    "{estimator:?}: {a} against {b}"
                );
            }
        }
    }
}

/// The network without its fused layout.
#[derive(Module, Debug)]
struct Plain {
    network: Mlp,
}

impl Action for Plain {
    fn dimension(&self) -> usize {
        self.network.dimension()
    }
    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        self.network.value(t, x)
    }
    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        self.network.gradient(t, x)
    }
    fn push(&self, t: Tensor<2>, x: Tensor<2>, dt: Tensor<2>, dx: Tensor<2>) -> Tensor<2> {
        self.network.push(t, x, dt, dx)
    }
    fn curvature(&self, t: Tensor<2>, x: Tensor<2>, direction: Tensor<2>) -> Tensor<2> {
        self.network.curvature(t, x, direction)
    }
}

/// Ten steps of a fit, the optimiser and the clipping included.
#[test]
fn the_fused_fit_and_autodiff_stay_together() {
    let path = gaussian();
    for (width, depth) in [(33, 2), (1, 1), (64, 3)] {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let network = Mlp::new(2, width, depth, &Device::flex(), &mut rng).unwrap();
        let points = array![[0.1, 0.2], [-1.0, 3.0], [0.5, -0.5]];
        let options = Options {
            warmup: 1,
            ..options(10)
        };
        let fused = fit(network.clone(), &problem(&path), &options, &mut ()).unwrap();
        let plain = fit(Plain { network }, &problem(&path), &options, &mut ()).unwrap();
        let fused = fused.velocity(0.3, &points).unwrap();
        let plain = plain.velocity(0.3, &points).unwrap();
        let scale = plain.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(scale > 1e-3);
        for (a, b) in fused.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-3 * scale, "{a} against {b}");
        }
    }
}

/// The gradients of autodiff, flat, in the order the network visits its parameters.
struct Gradients<'a>(&'a burn::tensor::Gradients, Vec<f32>);

impl Gradients<'_> {
    fn of(mut self, network: &Mlp) -> Vec<f32> {
        network.visit(&mut self);
        self.1
    }
}

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let size = value.dims().iter().product();
        let gradient = value.grad(self.0);
        self.1
            .extend(gradient.map_or(vec![0.0; size], |g| g.try_into_vec_as().unwrap()));
    }
}

#[test]
fn velocities_are_the_gradient_of_the_action_in_the_units_of_the_user() {
    let path = gaussian();
    let units = Units::isotropic(vec![0.5, 0.0], 2.0, [0.0, 1.0]).unwrap();
    let problem = Problem {
        units: units.warped(&[0.0, 0.2, 1.0], &[3.0, 1.0]).unwrap(),
        ..problem(&path)
    };
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

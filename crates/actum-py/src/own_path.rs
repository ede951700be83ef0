//! Populations that a function of Python draws.

use actum::{
    action::Architecture,
    error::{Error, ErrorKind, Result},
    fit,
    path::{FnPath, Path, PathSample},
    problem::{Estimator, Problem},
    run::SnapshotSettings,
    units::Units,
};
use ndarray::{Array1, Array2, Axis};
use numpy::{PyArray1, PyArray2, PyArrayMethods, ToPyArray};
use pyo3::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    errors::exception,
    run::{Motion, Shown, collected},
    work::{Watch, call, work},
};

/// A function of Python's that gives points, and perhaps velocities, at times.
struct Own<'a> {
    watch: &'a Watch,
    /// Called with times `[n]` and a seed: returns arrays `[n, d]`.
    f: &'a Py<PyAny>,
    dimension: usize,
    has_velocity: bool,
}

impl Own<'_> {
    fn draw(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let seed: u64 = rng.random();
        let drawn = call(|py| -> PyResult<(Array2<f64>, Option<Array2<f64>>)> {
            let times = PyArray1::from_slice(py, times);
            let found = self.f.bind(py).call1((times, seed))?;
            type Found<'py> = (Bound<'py, PyArray2<f64>>, Option<Bound<'py, PyArray2<f64>>>);
            let (points, velocities): Found = found.extract()?;
            Ok((
                points.to_owned_array(),
                velocities.map(|velocities| velocities.to_owned_array()),
            ))
        });
        let shape = (times.len(), self.dimension);
        let fits = |(points, velocities): &(Array2<f64>, Option<Array2<f64>>)| {
            points.dim() == shape
                && velocities.as_ref().map(Array2::dim) == self.has_velocity.then_some(shape)
        };
        let (points, velocities) = match drawn {
            Ok(drawn) if fits(&drawn) => drawn,
            other => {
                let error = other.err().unwrap_or_else(|| {
                    call(|py| exception(py, "ShapeError", "the path drew another shape"))
                });
                self.watch.fail(error);
                // The fit stops before it looks at them.
                let nothing = Array2::zeros(shape);
                (nothing.clone(), self.has_velocity.then_some(nothing))
            }
        };
        PathSample {
            points,
            velocities,
            masses: None,
        }
    }
}

/// A path that ends where its function failed.
struct Watched<'a, P> {
    watch: &'a Watch,
    path: P,
}

impl<P: Path> Path for Watched<'_, P> {
    fn dimension(&self) -> usize {
        self.path.dimension()
    }

    fn span(&self) -> [f64; 2] {
        self.path.span()
    }

    fn has_velocity(&self) -> bool {
        self.path.has_velocity()
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        self.path.sample(times, rng)
    }

    fn advance(&self, step: usize) -> Result<()> {
        if self.watch.goes_on() {
            return self.path.advance(step);
        }
        Err(Error::new(ErrorKind::Interrupted, "stopped"))
    }
}

/// The log density at the base of a flow, as a function of Python's on points `[n, d]`.
pub struct DensityBase<'a> {
    pub watch: &'a Watch,
    pub f: &'a Py<PyAny>,
}

impl DensityBase<'_> {
    pub fn log_density(&self, points: &Array2<f64>) -> Array1<f64> {
        let found = call(|py| -> PyResult<Array1<f64>> {
            let found = self.f.bind(py).call1((points.to_pyarray(py),))?;
            Ok(found.extract::<Bound<PyArray1<f64>>>()?.to_owned_array())
        });
        found.unwrap_or_else(|error| {
            self.watch.fail(error);
            Array1::zeros(points.nrows())
        })
    }
}

/// How many points decide the units.
const POINTS: usize = 1000;

/// The centre and the spread of points drawn at all times.
fn units(path: &dyn Path, span: [f64; 2], seed: u64) -> Result<Units> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2);
    let times: Vec<f64> = (0..POINTS)
        .map(|k| span[0] + (span[1] - span[0]) * k as f64 / (POINTS - 1) as f64)
        .collect();
    let points = path.sample(&times, &mut rng).points;
    let center = points.mean_axis(Axis(0)).unwrap_or_default();
    let spread = points.var_axis(Axis(0), 0.0).mean().unwrap_or(0.0).sqrt();
    Units::isotropic(center.to_vec(), spread, span)
}

/// Fits the motion of a path that `draw(times, seed)` gives points of, and velocities.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the package names them")]
#[pyo3(signature = (draw, dimension, span, has_velocity, changes, config, progress))]
pub fn fit_path(
    py: Python,
    draw: Py<PyAny>,
    dimension: usize,
    span: [f64; 2],
    has_velocity: bool,
    changes: Vec<(String, String)>,
    config: Option<std::path::PathBuf>,
    progress: Option<Bound<PyAny>>,
) -> PyResult<(Motion, Vec<(usize, f64)>)> {
    let (dynamics, losses) = work(py, progress.as_ref(), move |watch| {
        let mut base = SnapshotSettings::default();
        if !has_velocity {
            base.fit.estimator = Estimator::Samples;
        }
        let settings: SnapshotSettings = collected(&base, config.as_deref(), &changes)?;
        let own = Own {
            watch,
            f: &draw,
            dimension,
            has_velocity,
        };
        let path = FnPath::new(dimension, span, has_velocity, |times, rng| {
            own.draw(times, rng)
        })?;
        let path = Watched { watch, path };
        let units = units(&path, span, settings.fit.seed)?;
        path.advance(0)?;
        let lagrangian = settings.lagrangian.of_any_path(&units)?;
        let problem = Problem::new(path, lagrangian, units);
        let mut rng = ChaCha8Rng::seed_from_u64(settings.fit.seed);
        let network = settings.network.engine(problem.shape(), &mut rng)?;
        let mut shown = Losses {
            shown: Shown::new(watch, settings.fit.steps),
            losses: vec![],
        };
        let dynamics = fit::fit(network, &problem, &settings.fit, &mut shown)?;
        Ok((dynamics, shown.losses))
    })?;
    Ok((Motion { dynamics }, losses))
}

/// Keeps the objective of every step.
struct Losses<'a> {
    shown: Shown<'a>,
    losses: Vec<(usize, f64)>,
}

impl fit::Observer for Losses<'_> {
    fn step(&mut self, step: &fit::Step) -> std::ops::ControlFlow<()> {
        self.losses.push((step.step, step.smoothed));
        self.shown.step(step)
    }

    fn rollback(&mut self, rollback: &fit::Rollback) {
        self.losses.retain(|(step, _)| *step <= rollback.to);
        self.shown.rollback(rollback);
    }
}

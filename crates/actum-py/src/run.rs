//! Fits, and what they can do.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use actum::{
    action::Device,
    data::{self, Attribute, Snapshots},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
    fates,
    fit::{Observer, Rollback, Step},
    flow::{
        self, Scheme,
        likelihood::{self, TraceEstimator},
    },
    report::{Labelled, Report, Told},
    run::{self, IfExists, Record, Schema, SnapshotSettings},
    store,
};
use ndarray::Array1;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyReadonlyArray2};
use pyo3::{prelude::*, types::PyBytes};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    errors::{in_python, raise},
    own_path::DensityBase,
    tables::{self, Data, Given},
    work::{Watch, work},
};

/// Shows a fit to those who watch.
pub struct Shown<'a> {
    pub watch: &'a Watch,
    pub steps: usize,
    /// Steps of a fit that came before, and of it and this one.
    before: usize,
    done: usize,
}

impl<'a> Shown<'a> {
    pub fn new(watch: &'a Watch, steps: usize) -> Self {
        Self {
            watch,
            steps,
            before: 0,
            done: 0,
        }
    }
}

impl Observer for Shown<'_> {
    fn begin(&mut self) -> ControlFlow<()> {
        if !self.watch.goes_on() {
            return ControlFlow::Break(());
        }
        self.watch.keep();
        self.before = self.done;
        ControlFlow::Continue(())
    }

    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        let message = || format!("objective {:.4}", step.smoothed);
        self.done = self.before + step.step;
        match self.watch.at(self.done, self.steps, message) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn rollback(&mut self, rollback: &Rollback) {
        self.watch.warn(format!(
            "{}; rolled back to step {} with {} times the learning rate",
            rollback.reason, rollback.to, rollback.rate_factor
        ));
    }
}

/// A temporary folder of this process: a fork must not remove it.
pub struct Temporary {
    folder: Option<TempDir>,
    process: u32,
}

impl Temporary {
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("actum-").tempdir();
        let folder = folder.map_err(|cause| {
            let what = "cannot make a temporary folder for the run";
            Error::new(ErrorKind::Io, what).because(cause)
        })?;
        Ok(Self {
            folder: Some(folder),
            process: std::process::id(),
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.process != std::process::id()
            && let Some(folder) = self.folder.take()
        {
            let _ = folder.keep();
        }
    }
}

/// Whether to keep, replace or go on with what is in a folder.
pub fn if_exists(overwrite: bool, resume: bool) -> Result<IfExists> {
    match (overwrite, resume) {
        (true, true) => Err(Error::new(
            ErrorKind::Setting,
            "a run is replaced (overwrite=True) or gone on with (resume=True), not both",
        )),
        (true, false) => Ok(IfExists::Overwrite),
        (false, true) => Ok(IfExists::Resume),
        (false, false) => Ok(IfExists::Keep),
    }
}

/// Settings by dotted keys, over those of a file.
pub fn collected<S: Schema>(
    base: &S,
    config: Option<&Path>,
    changes: &[(String, String)],
) -> Result<S> {
    let changes: Vec<(&str, &str)> = changes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let settings = base.collect(config, &changes)?;
    settings.check()?;
    Ok(settings)
}

/// Where a fit goes, and what is to be done with what is there.
#[derive(FromPyObject)]
pub struct Place {
    #[pyo3(item)]
    output: Option<PathBuf>,
    #[pyo3(item)]
    overwrite: bool,
    #[pyo3(item)]
    resume: bool,
    #[pyo3(item)]
    device: String,
}

impl Place {
    /// The folder, what to do with it, and, where it is temporary, what removes it.
    pub fn folder(&self) -> Result<(PathBuf, IfExists, Option<Temporary>)> {
        let if_exists = if_exists(self.overwrite, self.resume)?;
        match &self.output {
            Some(folder) => Ok((folder.clone(), if_exists, None)),
            None if if_exists == IfExists::Keep => {
                let temporary = Temporary::new()?;
                Ok((temporary.path().to_owned(), if_exists, Some(temporary)))
            }
            None => Err(Error::new(
                ErrorKind::Setting,
                "name the folder of the run that is replaced or gone on with: output=",
            )),
        }
    }

    pub fn device(&self) -> Result<Device> {
        Device::named(&self.device)
    }
}

/// A learned motion.
#[pyclass(frozen, subclass, module = "actum._actum")]
pub struct Motion {
    pub dynamics: Dynamics,
}

/// A fit to snapshots or images: its folder, and what was learned.
#[pyclass(frozen, extends = Motion, module = "actum._actum")]
pub struct Run {
    run: Arc<run::Run>,
    dynamics: Dynamics,
    folder: PathBuf,
    _temporary: Option<Temporary>,
}

impl Run {
    /// A run whose fit is finished.
    pub fn new(
        py: Python,
        run: run::Run,
        dynamics: Dynamics,
        folder: PathBuf,
        temporary: Option<Temporary>,
    ) -> PyResult<Py<Self>> {
        let own = Self {
            run: Arc::new(run),
            dynamics: dynamics.clone(),
            folder,
            _temporary: temporary,
        };
        let made = PyClassInitializer::from(Motion { dynamics }).add_subclass(own);
        Py::new(py, made)
    }

    pub fn run(&self) -> Arc<run::Run> {
        self.run.clone()
    }

    /// What makes a page about it again.
    pub fn commands(&self) -> Vec<String> {
        vec![format!("actum.load({:?}).report()", self.folder.display())]
    }
}

/// Fits the motion between snapshots.
#[pyfunction]
#[pyo3(signature = (data, keys, config, changes, place, progress))]
pub fn fit(
    py: Python,
    data: Given,
    keys: Vec<(String, String)>,
    config: Option<PathBuf>,
    changes: Vec<(String, String)>,
    place: Place,
    progress: Option<Bound<PyAny>>,
) -> PyResult<(Py<Run>, Vec<String>, Vec<String>)> {
    let data = data.data();
    let (run, dynamics, folder, temporary, notes, warnings) =
        work(py, progress.as_ref(), move |watch| {
            let (folder, if_exists, temporary) = place.folder()?;
            let base = match if_exists {
                IfExists::Resume => run::Run::open_to_resume(&folder)?.snapshots()?.0.clone(),
                _ => SnapshotSettings::default(),
            };
            let mut named: Vec<(String, String)> = keys
                .into_iter()
                .map(|(key, value)| (format!("data.{key}"), json!(value).to_string()))
                .collect();
            named.extend(changes);
            let settings = collected(&base, config.as_deref(), &named)?;
            let device = place.device()?;
            let claim = if_exists.claim(&folder)?;
            let keys = data.keys(&settings.data.keys, watch)?;
            let table = data.open(&keys)?;
            for label in &settings.data.hold_out {
                table.axis().index_of(label)?;
            }
            let shards = table.shards(
                &settings.split(),
                &tables::beside(&folder),
                &mut |done, of| match watch.at(done, of, || "reading".to_owned()) {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                },
            )?;
            let snapshots = shards.shard(0)?;
            let (notes, mut warnings) = (snapshots.notes().to_vec(), snapshots.warnings());
            let mut shown = Shown::new(watch, settings.steps());
            let name = data.name();
            let run = run::Run::fit(claim, &shards, &name, &settings, &device, &mut shown)?;
            warnings.extend(run.warning()?);
            if let Data::File(path) = &data
                && let Some(Err(why)) = run.keep_genes_of(path, &keys)?
            {
                warnings.push(format!("the run knows no genes: {why}"));
            }
            let dynamics = run.dynamics(&Device::cpu())?;
            Ok((run, dynamics, folder, temporary, notes, warnings))
        })?;
    let said = |texts: Vec<String>| texts.iter().map(|text| in_python(text)).collect();
    let run = Run::new(py, run, dynamics, folder, temporary)?;
    Ok((run, said(notes), said(warnings)))
}

/// What is in data: JSON of times, columns, notes and warnings.
#[pyfunction]
pub fn check(py: Python, data: Given, keys: Vec<(String, String)>) -> PyResult<String> {
    let data = data.data();
    work(py, None, move |_| {
        let snapshots = data.open(&tables::keys(keys))?.read()?;
        let texts = |texts: &[String]| texts.iter().map(|t| in_python(t)).collect::<Vec<_>>();
        Ok(json!({
            "columns": snapshots.columns(),
            "unit": snapshots.unit(),
            "labels": snapshots.labels(),
            "times": snapshots.times(),
            "points": snapshots.counts(),
            "masses": snapshots.masses(),
            "notes": texts(snapshots.notes()),
            "warnings": texts(&snapshots.warnings()),
        })
        .to_string())
    })
}

/// Points at several times `[k, n, d]`, and their weights `[k, n]`.
type Moved<'py> = (Bound<'py, PyArray3<f64>>, Bound<'py, PyArray2<f64>>);

/// Action, velocity, speed, growth and energy.
type Description<'py> = (
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
);

/// The names of coordinates, points, velocities, and numbers of every row.
type Annotated<'py> = (
    Vec<String>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
    Numbers<'py>,
);

/// Arrays by the names of their columns.
type Numbers<'py> = Vec<(&'static str, Bound<'py, PyArray1<f64>>)>;

#[pymethods]
impl Motion {
    /// The motion in a file.
    #[staticmethod]
    fn load(py: Python, file: PathBuf) -> PyResult<Self> {
        let dynamics = work(py, None, move |_| Dynamics::load(&file, &Device::cpu()))?;
        Ok(Self { dynamics })
    }

    /// Writes the motion to a file.
    fn write(&self, py: Python, file: PathBuf) -> PyResult<()> {
        let dynamics = self.dynamics.clone();
        work(py, None, move |_| dynamics.save(&file))
    }

    /// The motion as bytes.
    fn pack<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let dynamics = self.dynamics.clone();
        let bytes = work(py, None, move |_| {
            let folder = Temporary::new()?;
            let file = folder.path().join("model.safetensors");
            dynamics.save(&file)?;
            store::read(&file)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn unpack(py: Python, bytes: Vec<u8>) -> PyResult<Self> {
        let dynamics = work(py, None, move |_| {
            let folder = Temporary::new()?;
            let file = folder.path().join("model.safetensors");
            store::replace(&file, |out| out.write_all(&bytes))?;
            Dynamics::load(&file, &Device::cpu())
        })?;
        Ok(Self { dynamics })
    }

    /// The number of columns.
    #[getter]
    fn dimension(&self) -> usize {
        self.dynamics.units.dimension()
    }

    /// The first and the last time.
    #[getter]
    fn span(&self) -> [f64; 2] {
        self.dynamics.units.span()
    }

    /// Whether mass grows.
    #[getter]
    fn grows(&self) -> bool {
        self.dynamics.lagrangian.grows()
    }

    /// Whether points move at random.
    #[getter]
    fn is_noisy(&self) -> bool {
        self.dynamics.lagrangian.is_noisy()
    }

    fn simulate<'py>(
        &self,
        py: Python<'py>,
        points: PyReadonlyArray2<'py, f64>,
        weights: Option<Vec<f64>>,
        start: f64,
        times: Vec<f64>,
        seed: u64,
    ) -> PyResult<Moved<'py>> {
        let (points, dynamics) = (tables::points(&points), self.dynamics.clone());
        let moved = work(py, None, move |_| {
            let cloud = tables::cloud(points, weights)?;
            let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
            flow::simulate(&dynamics, &cloud, start, &times, scheme, seed)
        })?;
        Ok((
            moved.points.into_pyarray(py),
            moved.weights.into_pyarray(py),
        ))
    }

    fn describe<'py>(
        &self,
        py: Python<'py>,
        points: PyReadonlyArray2<'py, f64>,
        t: f64,
    ) -> PyResult<Description<'py>> {
        let (points, dynamics) = (tables::points(&points), self.dynamics.clone());
        let told = work(py, None, move |_| {
            // What is checked where a cloud is made.
            tables::cloud(points, None).and_then(|cloud| dynamics.describe(t, cloud.points()))
        })?;
        Ok((
            told.action.into_pyarray(py),
            told.velocity.into_pyarray(py),
            told.speed.into_pyarray(py),
            told.growth.into_pyarray(py),
            told.energy.into_pyarray(py),
        ))
    }

    /// `probes` seeds Hutchinson's estimate; without it the divergence is exact.
    fn log_density<'py>(
        &self,
        py: Python<'py>,
        points: PyReadonlyArray2<'py, f64>,
        t: f64,
        base: Py<PyAny>,
        base_time: f64,
        probes: Option<u64>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (points, dynamics) = (tables::points(&points), self.dynamics.clone());
        let found: Array1<f64> = work(py, None, move |watch| {
            let cloud = tables::cloud(points, None)?;
            let base = DensityBase { watch, f: &base };
            let trace = match probes {
                Some(seed) => TraceEstimator::Hutchinson { seed },
                None => TraceEstimator::Exact,
            };
            let scheme = Scheme::default();
            let of = |x: &ndarray::Array2<f64>| base.log_density(x);
            likelihood::log_density(&dynamics, cloud.points(), t, base_time, of, trace, scheme)
        })?;
        Ok(found.into_pyarray(py))
    }
}

#[pymethods]
impl Run {
    /// The run in a folder.
    #[staticmethod]
    fn open(py: Python, folder: PathBuf) -> PyResult<Py<Self>> {
        let there = folder.clone();
        let (run, dynamics) = work(py, None, move |_| {
            let run = run::Run::open(&there)?;
            let dynamics = run.dynamics(&Device::cpu())?;
            Ok((run, dynamics))
        })?;
        Self::new(py, run, dynamics, folder, None)
    }

    /// A run of these files, in a temporary folder.
    #[staticmethod]
    fn of_files(py: Python, files: Vec<(String, Vec<u8>)>) -> PyResult<Py<Self>> {
        let (run, dynamics, temporary) = work(py, None, move |_| {
            let temporary = Temporary::new()?;
            for (name, bytes) in files {
                let name = Path::new(&name).file_name().unwrap_or_default();
                store::replace(&temporary.path().join(name), |out| out.write_all(&bytes))?;
            }
            let run = run::Run::open(temporary.path())?;
            let dynamics = run.dynamics(&Device::cpu())?;
            Ok((run, dynamics, temporary))
        })?;
        let folder = temporary.path().to_owned();
        Self::new(py, run, dynamics, folder, Some(temporary))
    }

    /// The names and bytes of its files.
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
        let folder = self.folder.clone();
        let files = work(py, None, move |_| {
            let io = |cause| Error::io("read", &folder, cause);
            let mut files = vec![];
            for entry in fs::read_dir(&folder).map_err(io)? {
                let path = entry.map_err(io)?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if run::Run::FILES.iter().any(|file| *file == name) {
                    files.push((name.into_owned(), store::read(&path)?));
                }
            }
            files.sort();
            Ok(files)
        })?;
        Ok(files
            .into_iter()
            .map(|(name, bytes)| (name, PyBytes::new(py, &bytes)))
            .collect())
    }

    /// Copies the run to another folder.
    fn copy(&self, py: Python, to: PathBuf, overwrite: bool) -> PyResult<()> {
        let folder = self.folder.clone();
        work(py, None, move |_| {
            let claim = if_exists(overwrite, false)?.claim(&to)?;
            run::Run::open(&folder)?.copy(&claim)
        })
    }

    #[getter]
    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    #[getter]
    fn is_of_images(&self) -> bool {
        self.run.images().is_ok()
    }

    /// JSON of the settings and of what the data were.
    fn told(&self) -> String {
        json!({"settings": self.run.settings(), "source": self.run.source()}).to_string()
    }

    /// The settings as TOML.
    fn toml(&self) -> String {
        self.run.settings().to_toml()
    }

    /// JSON of the logged steps and rollbacks.
    fn log(&self, py: Python) -> PyResult<String> {
        let run = self.run();
        work(py, None, move |_| {
            let log: Vec<Record> = run.log()?;
            Ok(json!(log).to_string())
        })
    }

    /// The number of a time as a person writes it.
    fn time_of(&self, py: Python, text: &str) -> PyResult<f64> {
        let axis = self.run.axis();
        let time = axis.and_then(|axis| axis.value_of(text));
        time.map_err(|error| raise(py, &error))
    }

    /// JSON of scores: the rows of every time.
    fn score(
        &self,
        py: Python,
        data: Given,
        start: Option<String>,
        at: Vec<String>,
    ) -> PyResult<String> {
        let (run, data) = (self.run(), data.data());
        let dynamics = self.dynamics.clone();
        work(py, None, move |watch| {
            let seen = seen(&run, &data, watch)?;
            let at = run.targets(&seen, &at)?;
            let scored = run.score(&dynamics, &seen, start.as_deref(), &at)?;
            let scores = scored.iter().map(|scored| {
                let rows = scored.score.rows().into_iter();
                json!({
                    "from": scored.score.from,
                    "at": scored.score.at,
                    "held_out": scored.held_out,
                    "rows": rows.map(|(name, d)| json!([name, d])).collect::<Vec<_>>(),
                })
            });
            Ok(json!(scores.collect::<Vec<_>>()).to_string())
        })
    }

    /// The columns, points and velocities of every row, and numbers by their names.
    fn annotate<'py>(&self, py: Python<'py>, data: Given) -> PyResult<Annotated<'py>> {
        let (run, data) = (self.run(), data.data());
        let dynamics = self.dynamics.clone();
        let told = work(py, None, move |_| {
            let (all, order) = run.read_by(|keys| {
                let keys = actum::data::Keys {
                    velocity_key: None,
                    ..keys.clone()
                };
                let table = data.open(&keys)?;
                Ok((table.read()?, table.order()))
            })?;
            let told = run.describe(&dynamics, &all, &order);
            told.map_err(|error| data.within(error))
        })?;
        let numbers = told
            .numbers()
            .into_iter()
            .map(|(name, numbers)| (name, numbers.clone().into_pyarray(py)))
            .collect();
        Ok((
            told.columns,
            told.points.into_pyarray(py),
            told.description.velocity.into_pyarray(py),
            numbers,
        ))
    }

    /// A page about the run, or its moving picture alone. Labels are those of the column of this
    /// name, of every row of a table in memory.
    fn page(
        &self,
        py: Python,
        data: Given,
        label_key: Option<String>,
        labels: Option<Vec<String>>,
        moving: bool,
    ) -> PyResult<(String, Vec<String>)> {
        let (run, data) = (self.run(), data.data());
        let (dynamics, commands) = (self.dynamics.clone(), self.commands());
        work(py, None, move |watch| {
            let seed = run.snapshots()?.0.fit.seed;
            let (snapshots, labels) = match &label_key {
                None => (seen(&run, &data, watch)?, None),
                Some(key) => {
                    let (seen, labels) = labelled(&run, &data, key, labels.as_deref())?;
                    (seen, Some(labels))
                }
            };
            let told = |labels: &Attribute| {
                let options = fates::Options {
                    seed,
                    ..fates::Options::default()
                };
                let ends = fates::Destinations::new(&dynamics, &snapshots, labels, options)?;
                ends.of_snapshots(&snapshots, &mut |_, _| match watch.goes_on() {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                })
            };
            let fates = labels.as_ref().map(told).transpose()?;
            let known = labels.as_ref().map(|labels| Labelled {
                labels,
                fates: fates.as_ref(),
            });
            let report = if moving {
                Report::moving(&run, &dynamics, &snapshots, known)?
            } else {
                let told = Told {
                    known,
                    commands,
                    ..Told::default()
                };
                Report::of_snapshots(&run, &dynamics, &snapshots, &told)?
            };
            Ok((report.html(), report.summary))
        })
    }

    /// The coordinates of data as the run sees them, times, and the indices of held-out times:
    /// `(label, time, points, weights)` each.
    #[expect(clippy::type_complexity, reason = "a list of what a picture needs")]
    fn seen<'py>(
        &self,
        py: Python<'py>,
        data: Given,
    ) -> PyResult<(
        Vec<(String, f64, Bound<'py, PyArray2<f64>>, Vec<f64>)>,
        Vec<usize>,
    )> {
        let (run, data) = (self.run(), data.data());
        let (snapshots, held) = work(py, None, move |watch| {
            let seen = seen(&run, &data, watch)?;
            let held = run.held_in(&seen)?;
            Ok((seen, held))
        })?;
        let times = snapshots.labels().iter().zip(snapshots.times());
        let clouds = times.zip(snapshots.clouds()).map(|((label, time), cloud)| {
            let points = cloud.points().clone().into_pyarray(py);
            (label.clone(), *time, points, cloud.weights().to_vec())
        });
        Ok((clouds.collect(), held))
    }

    /// Draws what the program draws, and returns the names of the files.
    fn pictures(&self, py: Python, data: Given, folder: PathBuf) -> PyResult<Vec<PathBuf>> {
        let (run, data) = (self.run(), data.data());
        let dynamics = self.dynamics.clone();
        work(py, None, move |watch| {
            let seen = seen(&run, &data, watch)?;
            let held = run.held_in(&seen)?.into_iter().filter(|at| *at > 0);
            let held: Vec<usize> = held.collect();
            let scored = run.score(&dynamics, &seen, None, &held)?;
            let mut files = vec![];
            let mut drawn = |svg: &Path| files.push(svg.to_owned());
            run.draw(&dynamics, &seen, &scored, None, &folder, &mut drawn)?;
            Ok(files)
        })
    }
}

/// Data as a run sees them, or a sample of many rows.
fn seen(run: &run::Run, data: &Data, watch: &Watch) -> Result<Snapshots> {
    let shard = run.snapshots()?.0.data.shard;
    let all = run.read_by(|keys| data.sample(keys, shard, watch))?;
    run.view(&all).map_err(|error| data.within(error))
}

/// All rows of data as a run sees them, and their labels in the same order.
fn labelled(
    run: &run::Run,
    data: &Data,
    key: &str,
    given: Option<&[String]>,
) -> Result<(Snapshots, Attribute)> {
    let (all, labels) = run.read_by(|keys| {
        let keys = data::Keys {
            velocity_key: None,
            ..keys.clone()
        };
        let table = data.open(&keys)?;
        let order = table.order();
        let all = table.read()?;
        let labels = match (data, given) {
            (Data::File(path), _) => {
                let known = data::read_attributes(path, &keys, all.columns())?;
                let names = known.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
                let found = known.into_iter().find(|a| a.name == key);
                found.ok_or_else(|| Error::missing(format!("column {key:?}"), names))?
            }
            (Data::Memory(_), given) => Attribute {
                name: key.to_owned(),
                values: given
                    .unwrap_or_default()
                    .iter()
                    .map(|s| s.as_str().into())
                    .collect(),
            },
        };
        if labels.values.len() != order.len() {
            let what = format!(
                "expected {} labels, got {}",
                order.len(),
                labels.values.len()
            );
            return Err(Error::new(ErrorKind::Shape, what));
        }
        Ok((all, labels.select(&order)))
    })?;
    let seen = run.view(&all).map_err(|error| data.within(error))?;
    Ok((seen, labels))
}

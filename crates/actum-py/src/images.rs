//! Images: fits, and what they generate and restore.

use std::path::{Path, PathBuf};

use actum::{
    action::Device,
    data::Images,
    error::{Error, ErrorKind, Result},
    flow::Scheme,
    gallery::Shapes,
    metric,
    path::Mask,
    problem::{Hidden, NoisePath, Task},
    report::{Report, ToldOfImages},
    run::{self, IfExists, ImageModel, ImageSettings},
};
use ndarray::Array4;
use numpy::{IntoPyArray, PyArray4, PyReadonlyArray4};
use pyo3::prelude::*;
use serde_json::json;

use crate::{
    run::{Place, Run, Shown, collected},
    tables,
    work::work,
};

/// Images in memory `[n, height, width, channels]`, or a name: a file, a folder, or `shapes`.
#[derive(FromPyObject)]
pub enum GivenImages<'py> {
    Memory(PyReadonlyArray4<'py, u8>),
    Named(String),
}

#[derive(Clone)]
enum What {
    Memory(Array4<u8>),
    Named(String),
}

impl GivenImages<'_> {
    fn what(self) -> What {
        match self {
            Self::Memory(pixels) => {
                What::Memory(pixels.as_array().as_standard_layout().into_owned())
            }
            Self::Named(name) => What::Named(name),
        }
    }
}

impl What {
    /// Made-up images differ by seed.
    fn read(&self, seed: u64) -> Result<Images> {
        match self {
            Self::Memory(pixels) => Images::new(pixels.clone(), "images in memory"),
            Self::Named(name) => Shapes::or_read(name, seed),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Memory(_) => "images in memory".to_owned(),
            Self::Named(name) if name == Shapes::NAME => name.clone(),
            Self::Named(name) => tables::absolute(Path::new(name)),
        }
    }
}

/// Fits a model of images.
#[pyfunction]
#[pyo3(signature = (data, mask, config, changes, place, progress))]
pub fn fit_images(
    py: Python,
    data: Option<GivenImages>,
    mask: Option<PathBuf>,
    config: Option<PathBuf>,
    changes: Vec<(String, String)>,
    place: Place,
    progress: Option<Bound<PyAny>>,
) -> PyResult<(Py<Run>, Vec<String>)> {
    let data = data.map(GivenImages::what);
    let (run, dynamics, folder, temporary, warnings) = work(py, progress.as_ref(), move |watch| {
        let (folder, if_exists, temporary) = place.folder()?;
        let (base, known) = match if_exists {
            IfExists::Resume => {
                let run = run::Run::open_to_resume(&folder)?;
                (run.images()?.0.clone(), run.source().data.clone())
            }
            _ => (ImageSettings::default(), Shapes::NAME.to_owned()),
        };
        let mut settings: ImageSettings = collected(&base, config.as_deref(), &changes)?;
        if let Some(file) = &mask {
            settings.mask = Some(Hidden::from(&Mask::of(&Images::read(file)?)?));
        }
        let claim = if_exists.claim(&folder)?;
        let device = place.device()?;
        let data = data.unwrap_or(What::Named(known));
        let images = data.read(Shapes::SEEN)?;
        let mut shown = Shown::new(watch, settings.fit.steps);
        let name = data.name();
        let run = run::Run::fit(claim, &images, &name, &settings, &device, &mut shown)?;
        let dynamics = run.dynamics(&Device::cpu())?;
        Ok((run, dynamics, folder, temporary, images.warnings()))
    })?;
    Ok((Run::new(py, run, dynamics, folder, temporary)?, warnings))
}

fn scheme(steps: Option<usize>) -> Scheme {
    steps.map_or(ImageModel::SCHEME, Scheme::RungeKutta4)
}

/// Over how many images bits per dimension are a mean.
const BITS_OF: usize = 64;

/// Generated images.
#[pyfunction]
pub fn sample_images<'py>(
    py: Python<'py>,
    of: PyRef<Run>,
    n: usize,
    seed: u64,
    steps: Option<usize>,
) -> PyResult<Bound<'py, PyArray4<u8>>> {
    let run = of.run();
    let made = work(py, None, move |_| {
        let model = run.model(&Device::cpu())?;
        let like = match run.images()?.0.path {
            Some(NoisePath::Heat) => {
                let own = Shapes::or_read(&run.source().data, Shapes::SEEN)?;
                Some(run.view_images(&own)?)
            }
            _ => None,
        };
        model.sample(n, seed, scheme(steps), like.as_ref())
    })?;
    Ok(made.images.pixels().clone().into_pyarray(py))
}

/// Restored images.
#[pyfunction]
pub fn restore_images<'py>(
    py: Python<'py>,
    of: PyRef<Run>,
    data: GivenImages<'py>,
    temperature: f64,
    seed: u64,
    steps: Option<usize>,
) -> PyResult<Bound<'py, PyArray4<u8>>> {
    let (run, data) = (of.run(), data.what());
    let made = work(py, None, move |_| {
        let model = run.model(&Device::cpu())?;
        let images = run.view_images(&data.read(Shapes::FRESH)?)?;
        model.restore(&images, temperature, seed, scheme(steps))
    })?;
    Ok(made.images.pixels().clone().into_pyarray(py))
}

/// JSON of how good the model is.
#[pyfunction]
pub fn score_images(
    py: Python,
    of: PyRef<Run>,
    data: GivenImages,
    n: usize,
    temperature: Option<f64>,
) -> PyResult<String> {
    let (run, data) = (of.run(), data.what());
    work(py, None, move |_| {
        let (settings, _) = run.images()?;
        let restores = settings.task != Task::Generate;
        if !restores && temperature.is_some() {
            let what = "this run generates images; a temperature is for runs that restore \
                            them: leave it out";
            return Err(Error::new(ErrorKind::Setting, what));
        }
        let model = run.model(&Device::cpu())?;
        let data = run.view_images(&data.read(Shapes::FRESH)?)?;
        let (n, scheme) = (n.min(data.len()), ImageModel::SCHEME);
        if restores {
            let temperature = temperature.unwrap_or(0.0);
            let found = model.restoration(&data.sample(n, 0)?, temperature, 0, scheme)?;
            return Ok(json!(found).to_string());
        }
        Ok(json!(model.generation(&data, n, BITS_OF, 0, scheme)?).to_string())
    })
}

/// A page about the run, with images of its fit and others that it restores.
#[pyfunction]
pub fn page_of_images(
    py: Python,
    of: PyRef<Run>,
    data: Option<GivenImages>,
    images: Option<GivenImages>,
) -> PyResult<(String, Vec<String>)> {
    let (run, commands) = (of.run(), of.commands());
    let [data, images] = [data, images].map(|given| given.map(GivenImages::what));
    work(py, None, move |_| {
        let known = &run.source().data;
        let restores = run.images()?.0.task != Task::Generate;
        let fitted = match data {
            Some(data) => Some(data.read(Shapes::SEEN)?),
            // Those of the fit may be gone.
            None => Shapes::or_read(known, Shapes::SEEN).ok(),
        };
        let restored = match images {
            Some(images) => Some(images.read(Shapes::FRESH)?),
            None if restores && known == Shapes::NAME => {
                Some(Shapes::or_read(known, Shapes::FRESH)?)
            }
            None => None,
        };
        let seen = |images: Option<Images>| images.map(|x| run.view_images(&x)).transpose();
        let (fitted, restored) = (seen(fitted)?, seen(restored)?);
        let told = ToldOfImages {
            fitted: fitted.as_ref(),
            restored: restored.as_ref(),
            commands,
        };
        let report = Report::of_images(&run, &Device::cpu(), &told)?;
        Ok((report.html(), report.summary))
    })
}

/// The PSNR of images beside true ones, in decibels.
#[pyfunction]
pub fn psnr(
    py: Python,
    images: PyReadonlyArray4<u8>,
    truth: PyReadonlyArray4<u8>,
) -> PyResult<Vec<f64>> {
    let [images, truth] = [images, truth].map(|x| GivenImages::Memory(x).what());
    work(py, None, move |_| {
        metric::psnr(&images.read(0)?, &truth.read(0)?)
    })
}

/// The SSIM of images beside true ones.
#[pyfunction]
pub fn ssim(
    py: Python,
    images: PyReadonlyArray4<u8>,
    truth: PyReadonlyArray4<u8>,
) -> PyResult<Vec<f64>> {
    let [images, truth] = [images, truth].map(|x| GivenImages::Memory(x).what());
    work(py, None, move |_| {
        metric::ssim(&images.read(0)?, &truth.read(0)?)
    })
}

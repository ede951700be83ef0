//! A run of images.

use std::{
    ops::ControlFlow,
    path::{Path as FilePath, PathBuf},
};

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    IfExists, ImageModel, ImageSettings, Method, Record, Task,
    folder::{Folder, Origin, SAMPLES},
};
use crate::{
    action::{Sizes, UNet},
    data::Images,
    dynamics::Dynamics,
    error::{Result, ensure},
    fit::{Checkpoint, Observer, Rollback, Step},
    flow::Scheme,
    lagrangian::Lagrangian,
    objective::{Estimator, Problem, Weight},
    path::{Degradation, ImagePath, Path},
    score,
    units::Units,
};

/// Where the images of a run came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// The version of actum that made the run.
    pub version: String,
    /// The name of the data, as the caller gave it.
    pub data: String,
    /// The hash of the images that were seen.
    pub fingerprint: String,
    /// How many they were.
    pub images: usize,
    /// Their size, `[height, width, channels]`.
    pub shape: [usize; 3],
}

impl Origin for ImageSource {
    type Settings = ImageSettings;
    const OF: &str = "images";
    const FIT: &str = "actum image fit";
    const KEY: &str = "images";

    fn data(&self) -> &str {
        &self.data
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// An opened run of images: the same files as those of a [`Run`](super::Run), and a picture.
#[derive(Debug, Clone)]
pub struct ImageRun(Folder<ImageSource>);

impl ImageRun {
    /// Fits images (all of them, named `data` for the record) under `settings` and leaves the
    /// result in `folder`, with a picture of what the model makes that is drawn anew at every
    /// checkpoint.
    ///
    /// # Errors
    /// A folder that is there already with [`IfExists::Keep`], or holds something else than a run;
    /// with [`IfExists::Resume`] no checkpoint, other images or other settings than the run has;
    /// images that do not suit the task or the network; whatever keeps
    /// [fitting](crate::fit::fit) from finishing (what was reached is kept as a checkpoint).
    pub fn fit(
        folder: &FilePath,
        images: &Images,
        data: &str,
        settings: &ImageSettings,
        if_exists: IfExists,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        settings.check()?;
        if_exists.allows(folder)?;
        let seen = settings.data.view(images)?;
        let run = Self(Folder {
            path: folder.to_owned(),
            settings: settings.resolved(),
            source: ImageSource {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                data: data.to_owned(),
                fingerprint: seen.fingerprint(),
                images: seen.len(),
                shape: seen.shape(),
            },
        });
        let checkpoint = run.0.checkpoint_for(if_exists)?;
        let degradation = run.degradation()?;
        let network = run.network(&degradation, device)?;
        let path = ImagePath::new(seen.clone(), degradation.clone())?;
        let path = if settings.data.mirrored {
            path.with_mirrored()
        } else {
            path
        };
        let mut units = Units::isotropic(vec![0.0; path.dimension()], 1.0, path.span())?;
        let score = match settings.method {
            Method::Action => None,
            Method::Score => Some(score::Problem::denoising(&path, units.clone())?),
        };
        let problem = match &score {
            Some(score) => score.as_motion(),
            None => {
                let degradation = degradation.clone();
                let weight = if settings.fit.estimator == Estimator::Velocity {
                    let (times, distances) = degradation.warp();
                    units = units.warped(&times, &distances)?;
                    Weight::new(move |t| degradation.weight_of_velocities(t))
                } else {
                    Weight::new(move |t| degradation.weight(t))
                };
                Problem::new(&path, Lagrangian::kinetic(), units.clone()).weighted(weight)
            }
        };
        let mut painter = Painter {
            file: folder.join(SAMPLES),
            shown: seen.select(&(0..SHOWN.min(seen.len())).collect::<Vec<_>>())?,
            blank: network.clone(),
            method: settings.method,
            degradation,
            units,
            device: device.clone(),
            inner: observer,
        };
        run.0
            .fit(network, &problem, checkpoint.as_ref(), &mut painter)?;
        Ok(run)
    }

    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// No such folder, no run of images in it, a run of another version, or a damaged one.
    pub fn open(folder: &FilePath) -> Result<Self> {
        Folder::open(folder).map(Self)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ImageSettings {
        &self.0.settings
    }

    /// Where its images came from.
    pub fn source(&self) -> &ImageSource {
        &self.0.source
    }

    /// What the model undoes.
    ///
    /// # Errors
    /// Settings that do not suit the images.
    pub fn degradation(&self) -> Result<Degradation> {
        self.settings().degradation(self.source().shape)
    }

    /// The model, on `device`.
    ///
    /// # Errors
    /// The fit is not finished, or its files are damaged.
    pub fn model(&self, device: &Device) -> Result<ImageModel> {
        let learned = self.0.dynamics(device)?;
        ImageModel::new(self.settings().method, learned, self.degradation()?)
    }

    /// The logged steps, in order.
    ///
    /// # Errors
    /// The log cannot be read or a line of it is damaged.
    pub fn log(&self) -> Result<Vec<Record>> {
        self.0.log()
    }

    /// Images of the size of the data as this run sees them: halved, if the run halves. Those that
    /// have its own size already, or what can be restored to it, stay as they are.
    ///
    /// # Errors
    /// Images of another size (`Shape`).
    pub fn view(&self, images: &Images) -> Result<Images> {
        let ([h, w, c], [height, width, _]) = (self.source().shape, images.shape());
        let images = if self.settings().data.halved && [height, width] == [2 * h, 2 * w] {
            images.halved()?
        } else {
            images.clone()
        };
        let [height, width, channels] = images.shape();
        let task = self.settings().task;
        let fits = [height, width] == [h, w]
            || task == Task::Superres && [height, width] == [h.div_ceil(2), w.div_ceil(2)];
        ensure!(
            fits && (channels == c || task == Task::Colorize),
            Shape,
            "{}: the run was fitted on images of {h} x {w} pixels in {c} channel(s), these have \
             {height} x {width} in {channels}",
            images.source()
        );
        Ok(images)
    }

    fn network(&self, degradation: &Degradation, device: &Device) -> Result<UNet> {
        let [height, width, moved] = degradation.shape();
        let settings = self.settings();
        let sizes = Sizes {
            moved,
            conditioning: degradation.conditioning(),
            height,
            width,
            channels: settings.network.channels,
            levels: settings.network.levels_for(height, width),
            blocks: settings.network.blocks,
            periodic: degradation.is_periodic(),
            scalar: settings.network.scalar,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(settings.fit.seed);
        UNet::new(sizes, device, &mut rng)
    }
}

/// How many images the picture of a run shows.
const SHOWN: usize = 16;

/// Draws at every checkpoint what the model makes.
struct Painter<'a> {
    file: PathBuf,
    shown: Images,
    blank: UNet,
    method: Method,
    degradation: Degradation,
    units: Units,
    device: Device,
    inner: &'a mut dyn Observer,
}

impl Observer for Painter<'_> {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        self.inner.step(step)
    }

    fn rollback(&mut self, rollback: &Rollback) {
        self.inner.rollback(rollback);
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if checkpoint.step() > 0 {
            let action = checkpoint.averaged(self.blank.clone(), &self.device)?;
            let (units, device) = (self.units.clone(), self.device.clone());
            let dynamics = Dynamics::new(action, Lagrangian::kinetic(), units, device)?;
            let model = ImageModel::new(self.method, dynamics, self.degradation.clone())?;
            // For the eye: what costs less than a few steps of the fit.
            let scheme = Scheme::RungeKutta4(10);
            let (picture, columns) = if self.degradation.restores() {
                model.beside(&self.shown, 0.0, 0, scheme)?
            } else {
                let made = model.sample(self.shown.len(), 0, scheme, Some(&self.shown))?;
                (made.images, 8)
            };
            picture.write_grid(&self.file, columns)?;
        }
        self.inner.checkpoint(checkpoint)
    }
}

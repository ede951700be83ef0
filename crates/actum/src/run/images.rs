//! What a run of images can do.

use super::{ImageModel, Run};
use crate::{
    action::Device,
    data::Images,
    error::{Result, ensure},
    fit::Checkpoint,
    flow::Scheme,
    path::Degradation,
    problem::{Method, Task},
};

/// Of images; a run of snapshots refuses.
impl Run {
    /// What the model undoes.
    ///
    /// # Errors
    /// A run of snapshots; settings that do not suit the images.
    pub fn degradation(&self) -> Result<Degradation> {
        let (settings, seen) = self.images()?;
        settings.degradation(seen.shape)
    }

    /// The model of images, on `device`.
    ///
    /// # Errors
    /// A run of snapshots; the fit is not finished, or its files are damaged.
    pub fn model(&self, device: &Device) -> Result<ImageModel> {
        let (settings, _) = self.images()?;
        let learned = self.dynamics(device)?;
        ImageModel::new(settings.method, learned, self.degradation()?)
    }

    /// Images of the size of the data as this run sees them: halved, if the run halves. Those that
    /// have its own size already, or what can be restored to it, stay as they are.
    ///
    /// # Errors
    /// Images of another size (`Shape`); a run of snapshots.
    pub fn view_images(&self, images: &Images) -> Result<Images> {
        let (settings, seen) = self.images()?;
        let ([h, w, c], [height, width, _]) = (seen.shape, images.shape());
        let images = if settings.data.halved && [height, width] == [2 * h, 2 * w] {
            images.halved()?
        } else {
            images.clone()
        };
        let [height, width, channels] = images.shape();
        let fits = [height, width] == [h, w]
            || settings.task == Task::Superres && [height, width] == [h.div_ceil(2), w.div_ceil(2)];
        ensure!(
            fits && (channels == c || settings.task == Task::Colorize),
            Shape,
            "{}: the run was fitted on images of {h} x {w} pixels in {c} channel(s), these have \
             {height} x {width} in {channels}",
            images.source()
        );
        Ok(images)
    }
}

/// What is drawn at every checkpoint: what the model makes.
pub(super) struct Picture {
    pub shown: Images,
    pub method: Method,
    pub degradation: Degradation,
    pub device: Device,
}

impl Picture {
    /// What there is to see, and in how many columns.
    pub fn draw(&self, checkpoint: &Checkpoint) -> Result<(Images, usize)> {
        let dynamics = checkpoint.dynamics(&self.device)?;
        let model = ImageModel::new(self.method, dynamics, self.degradation.clone())?;
        // For the eye: what costs less than a few steps of the fit.
        let scheme = Scheme::RungeKutta4(10);
        if self.degradation.restores() {
            return model.beside(&self.shown, 0.0, 0, scheme);
        }
        let made = model.sample(self.shown.len(), 0, scheme, Some(&self.shown))?;
        Ok((made.images, 8))
    }
}

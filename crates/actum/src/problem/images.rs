//! Images that are generated or restored.

use super::{Estimator, Hidden, ImageOptions, Method, NoisePath, Problem, Task, Weight, warped};
use crate::{
    action::{ImageShape, Shape},
    data::Images,
    error::Result,
    lagrangian::Lagrangian,
    path::{ImagePath, Mask, Path},
    units::Units,
};

/// A model of images, with options: see [`Problem::images`].
#[must_use]
pub struct ImageProblem<'a> {
    images: &'a Images,
    options: ImageOptions,
    estimator: Estimator,
}

impl<'a> Problem<'a> {
    /// The motion of images from where a model begins to what it makes, for a network that looks at
    /// images, such as a [`UNet`](crate::action::UNet).
    ///
    /// What is not set has the defaults of `actum image fit`. Times have the weight of the
    /// [degradation](crate::path::Degradation) that the task undoes, and its time warp.
    pub fn images(images: &'a Images, task: Task) -> ImageProblem<'a> {
        ImageProblem {
            images,
            options: ImageOptions {
                task,
                ..ImageOptions::default()
            },
            estimator: Estimator::Velocity,
        }
    }
}

impl ImageProblem<'_> {
    /// All options at once, in place of those set so far.
    pub fn options(self, options: ImageOptions) -> Self {
        Self { options, ..self }
    }

    /// What is learned of the path.
    pub fn method(mut self, method: Method) -> Self {
        self.options.method = method;
        self
    }

    /// How images dissolve that are to be generated.
    pub fn path(mut self, path: NoisePath) -> Self {
        self.options.path = Some(path);
        self
    }

    /// What is hidden where images are inpainted.
    pub fn mask(mut self, mask: &Mask) -> Self {
        self.options.mask = Some(Hidden::from(mask));
        self
    }

    /// Half the height and width.
    pub fn halved(mut self) -> Self {
        self.options.data.halved = true;
        self
    }

    /// Half of the images that are drawn are mirrored left to right.
    pub fn mirrored(mut self) -> Self {
        self.options.data.mirrored = true;
        self
    }

    /// Only the first so many images.
    pub fn limit(mut self, count: usize) -> Self {
        self.options.data.limit = Some(count);
        self
    }

    /// From what the objective is estimated, as in the options of the fit: the weight in time and
    /// the time warp depend on it. Velocities where it is not set.
    pub fn estimator(self, estimator: Estimator) -> Self {
        Self { estimator, ..self }
    }

    /// The problem.
    ///
    /// # Errors
    /// Options outside of their range, or that do not suit the images or each other.
    pub fn build(self) -> Result<Problem<'static>> {
        let Self {
            images,
            options,
            estimator,
        } = self;
        options.check(estimator)?;
        let seen = options.data.view(images)?;
        let degradation = options.degradation(seen.shape())?;
        let path = ImagePath::new(seen, degradation.clone())?;
        let path = if options.data.mirrored {
            path.with_mirrored()
        } else {
            path
        };
        let [height, width, target] = degradation.shape();
        let shape = Shape::Images(ImageShape {
            target,
            conditioning: degradation.conditioning(),
            height,
            width,
            periodic: degradation.is_periodic(),
        });
        let units = Units::isotropic(vec![0.0; path.dimension()], 1.0, path.span())?;
        let problem = match (options.method, estimator) {
            (Method::Score, _) => Problem::denoising(path, units)?,
            (Method::Action, Estimator::Velocity) => {
                let units = warped(units, &path)?;
                let weight = Weight::new(move |t| degradation.weight_of_velocities(t));
                Problem::new(path, Lagrangian::kinetic(), units).weighted(weight)
            }
            (Method::Action, Estimator::Samples) => {
                let weight = Weight::new(move |t| degradation.weight(t));
                Problem::new(path, Lagrangian::kinetic(), units).weighted(weight)
            }
        };
        Ok(Problem {
            estimator: Some(estimator),
            ..problem.shaped(shape)?
        })
    }
}

//! The options of a model of images, as they are in a TOML file.

use std::str::FromStr;

use ndarray::Array2;
use serde::{
    Deserialize, Serialize,
    de::{
        DeserializeOwned, IntoDeserializer,
        value::{Error as Unnamed, StrDeserializer},
    },
};

use super::Estimator;
use crate::{
    data::Images,
    error::{Error, ErrorKind, Result, ensure},
    path::{Degradation, Mask, Process},
};

/// The options of an [`ImageProblem`](super::ImageProblem): those of a TOML file that are not of the network or the fit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageOptions {
    /// What the model is to do.
    pub task: Task,
    /// What is learned of a path.
    pub method: Method,
    /// How images dissolve that are to be generated; where none is given a straight line, and VP
    /// with the method score.
    pub path: Option<NoisePath>,
    /// What is hidden where images are inpainted; the lower half where none is given.
    pub mask: Option<Hidden>,
    /// What of the data is seen.
    pub data: ImageDataOptions,
}

impl ImageOptions {
    /// Checks every option against the others.
    ///
    /// # Errors
    /// Names the first setting that is outside, with its range.
    pub fn check(&self, estimator: Estimator) -> Result<()> {
        ensure!(
            self.path.is_none() || self.task == Task::Generate,
            Setting,
            "a path is chosen where images are generated; restoring has its own: leave `path` out"
        );
        ensure!(
            self.mask.is_none() || self.task == Task::Inpaint,
            Setting,
            "only inpainting has a mask: leave `mask` out, or take the task inpaint"
        );
        if self.method == Method::Score {
            ensure!(
                self.task == Task::Generate
                    && matches!(
                        self.noise_path(),
                        NoisePath::Vp | NoisePath::SubVp | NoisePath::Ve
                    ),
                Setting,
                "the method score is for images that dissolve in noise: take the task generate and \
                 the path vp, subvp or ve, or the method action"
            );
            ensure!(
                estimator == Estimator::Velocity,
                Setting,
                "a score is learned by the estimator `velocity`: leave `fit.estimator` out"
            );
        }
        Ok(())
    }

    fn noise_path(&self) -> NoisePath {
        self.path.unwrap_or(match self.method {
            Method::Action => NoisePath::Linear,
            Method::Score => NoisePath::Vp,
        })
    }

    /// The same with the path named, for a run keeps its path whatever the default becomes.
    pub(crate) fn resolved(&self) -> Self {
        Self {
            path: (self.task == Task::Generate).then(|| self.noise_path()),
            ..self.clone()
        }
    }

    /// What happens to images of shape `[height, width, channels]`.
    ///
    /// # Errors
    /// Images that the task is not for; a mask of another size.
    pub fn degradation(&self, shape: [usize; 3]) -> Result<Degradation> {
        let [height, width, _] = shape;
        let process = |process| Ok(Degradation::process(process, shape));
        match self.task {
            Task::Superres => Degradation::super_resolution(shape),
            Task::Colorize => Degradation::colorization(shape),
            Task::Inpaint => {
                let hidden = self.mask.as_ref().unwrap_or(&Hidden::Half(Half::Bottom));
                Degradation::inpainting(shape, hidden.mask(height, width)?)
            }
            Task::Generate => match self.noise_path() {
                NoisePath::Vp => process(Process::default()),
                NoisePath::SubVp => process(Process::sub_variance_preserving(0.1, 20.0)?),
                NoisePath::Ve => process(Process::variance_exploding(0.01, 50.0)?.normalized()),
                NoisePath::Linear => Ok(Degradation::linear(shape)),
                NoisePath::Heat => Ok(Degradation::heat(shape)),
                NoisePath::Torus => Ok(Degradation::torus(shape)),
            },
        }
    }
}

/// What a model of images does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Makes images out of noise.
    #[default]
    Generate,
    /// Doubles the height and width.
    Superres,
    /// Gives colours to gray.
    Colorize,
    /// Fills in what a mask hides.
    Inpaint,
}

/// What a model of images learns, with the same network and the same options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The action: Action Matching.
    #[default]
    Action,
    /// Score matching: the score of images that dissolve in noise, by denoising, which moves them
    /// by the [probability flow](crate::score::Score::motion).
    Score,
}

/// How images dissolve, see [`Degradation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoisePath {
    /// The variance preserving process.
    Vp,
    /// The sub-VP process.
    SubVp,
    /// The variance exploding process, from 0.01 to 50, [normalized](Process::normalized).
    Ve,
    /// A straight line to noise.
    Linear,
    /// Blur, and noise.
    Heat,
    /// Noise on circles.
    Torus,
}

fn named<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    let name: StrDeserializer<Unnamed> = text.into_deserializer();
    T::deserialize(name)
        .map_err(|cause| Error::new(ErrorKind::Setting, format!("not a {what}")).because(cause))
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("task", text)
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("method", text)
    }
}

impl FromStr for NoisePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("path", text)
    }
}

/// What is hidden: `"top"`, `"bottom"`, or a row of characters for each row of pixels, `#` where
/// hidden and `.` where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a mask is \"top\", \"bottom\" or rows of # (hidden) and . (kept)"
)]
pub enum Hidden {
    /// A half.
    Half(Half),
    /// Pixel by pixel.
    Rows(Vec<String>),
}

/// A half of an image, see [`Mask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// The upper.
    Top,
    /// The lower.
    Bottom,
}

impl From<&Mask> for Hidden {
    fn from(mask: &Mask) -> Self {
        let rows = mask.hidden().rows().into_iter();
        let row = |row: ndarray::ArrayView1<bool>| {
            row.iter().map(|h| if *h { '#' } else { '.' }).collect()
        };
        Self::Rows(rows.map(row).collect())
    }
}

impl Hidden {
    fn mask(&self, height: usize, width: usize) -> Result<Mask> {
        let rows = match self {
            Self::Half(Half::Top) => return Mask::top(height, width),
            Self::Half(Half::Bottom) => return Mask::bottom(height, width),
            Self::Rows(rows) => rows,
        };
        let columns = rows.first().map_or(0, |row| row.chars().count());
        let pixels: Vec<bool> = rows
            .iter()
            .flat_map(|r| r.chars())
            .map(|c| c == '#')
            .collect();
        let whole = rows
            .iter()
            .all(|row| row.chars().count() == columns && row.chars().all(|c| c == '#' || c == '.'));
        ensure!(
            whole && columns > 0,
            Setting,
            "a mask in `mask` is rows of as many characters each, # where hidden and . where kept; \
             got {rows:?}"
        );
        Mask::new(Array2::from_shape_vec((rows.len(), columns), pixels).expect("rows of a length"))
    }
}

/// What of the data is seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageDataOptions {
    /// Half the height and width, as means of 2 x 2 pixels.
    pub halved: bool,
    /// Half of the images that are drawn are mirrored left to right.
    pub mirrored: bool,
    /// Only the first so many images.
    pub limit: Option<usize>,
}

impl ImageDataOptions {
    /// The images that a fit sees.
    ///
    /// # Errors
    /// Sides that cannot be halved; a limit of 0 images.
    pub fn view(&self, images: &Images) -> Result<Images> {
        let limit = self.limit.unwrap_or(images.len());
        ensure!(
            limit > 0,
            Setting,
            "`limit` must be at least 1 image, got 0"
        );
        let kept = if limit < images.len() {
            images.select(&(0..limit).collect::<Vec<_>>())?
        } else {
            images.clone()
        };
        if self.halved { kept.halved() } else { Ok(kept) }
    }
}

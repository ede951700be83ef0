//! Every setting of a run of images: the TOML file, and nothing beside it.

use std::{path::Path as FilePath, str::FromStr};

use ndarray::Array2;
use serde::{
    Deserialize, Serialize,
    de::{
        DeserializeOwned, IntoDeserializer,
        value::{Error as Unnamed, StrDeserializer},
    },
};

use super::schema::{self, Schema};
use crate::{
    action::{Scalar, UNet},
    data::Images,
    error::{Error, ErrorKind, Result, ensure},
    fit::Options,
    objective::Estimator,
    path::{Degradation, Mask, Process},
};

/// The settings of a run of images. Its serialised form is the schema of the TOML file; unknown
/// keys are refused and missing ones have their defaults.
///
/// ```
/// use actum::run::{ImageSettings, Task};
///
/// let settings = ImageSettings::parse("task = \"superres\"\n[network]\nchannels = 8")?;
/// assert_eq!(settings.task, Task::Superres);
/// assert_eq!(settings.fit.batch, ImageSettings::default().fit.batch);
/// assert!(ImageSettings::parse("tusk = \"superres\"").is_err());
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageSettings {
    /// What the model is to do.
    pub task: Task,
    /// What is learned of a path.
    pub method: Method,
    /// How images dissolve that are to be generated; where none is given a straight line, and VP with
    /// the method score.
    pub path: Option<NoisePath>,
    /// What is hidden where images are inpainted; the lower half where none is given.
    pub mask: Option<Hidden>,
    /// What of the data is seen.
    pub data: ImageData,
    /// The size of the U-Net.
    pub network: ImageNetwork,
    /// How to minimise.
    pub fit: Options,
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
pub struct ImageData {
    /// Half the height and width, as means of 2 x 2 pixels.
    pub halved: bool,
    /// Half of the images that are drawn are mirrored left to right.
    pub mirrored: bool,
    /// Only the first so many images.
    pub limit: Option<usize>,
}

impl ImageData {
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

/// The size of the U-Net, see [`Sizes`](crate::action::Sizes).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageNetwork {
    /// The width at full size, a multiple of 4.
    pub channels: usize,
    /// How many sizes of images there are, each half of the one above; where it is not given, as
    /// many as halve both sides until one is odd, or has at most 8 pixels and attention takes what
    /// is left.
    pub levels: Option<usize>,
    /// Residual blocks of a level, on the way down and again on the way up.
    pub blocks: usize,
    /// What the action is of the output of the network: `product` or `distance`.
    pub scalar: Scalar,
}

impl Default for ImageNetwork {
    fn default() -> Self {
        Self {
            channels: 16,
            levels: None,
            blocks: 1,
            scalar: Scalar::default(),
        }
    }
}

impl ImageNetwork {
    /// The levels for images of so many pixels.
    pub(super) fn levels_for(&self, height: usize, width: usize) -> usize {
        let is_halved = |halvings: &u32| {
            let [h, w] = [height, width].map(|side| side >> halvings);
            h.is_multiple_of(2) && w.is_multiple_of(2) && (h.min(w) > 8 || h * w > UNet::ATTENDED)
        };
        let most = || 1 + (0..).take_while(is_halved).count();
        self.levels.unwrap_or_else(most)
    }
}

impl Default for ImageSettings {
    /// What two cores train in minutes on 14 x 14 pixels.
    fn default() -> Self {
        Self {
            task: Task::default(),
            method: Method::default(),
            path: None,
            mask: None,
            data: ImageData::default(),
            network: ImageNetwork::default(),
            fit: Options {
                steps: 2000,
                batch: 64,
                learning_rate: 2e-3,
                ema_decay: 0.995,
                ..Options::default()
            },
        }
    }
}

impl Schema for ImageSettings {
    fn check(&self) -> Result<()> {
        ImageSettings::check(self)
    }

    fn options(&self) -> &Options {
        &self.fit
    }
}

impl ImageSettings {
    /// Reads settings from TOML.
    ///
    /// # Errors
    /// Not TOML, an unknown key (the known ones are listed), a value of the wrong type or outside
    /// its range.
    pub fn parse(text: &str) -> Result<Self> {
        schema::parse(text)
    }

    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), naming the file; a file that cannot be read.
    pub fn read(path: &FilePath) -> Result<Self> {
        schema::read(path)
    }

    /// The settings of a file, or these where there is none, with `changes` laid over them: dotted
    /// keys (`fit.batch`) and values in TOML, or strings without quotes.
    ///
    /// Not [checked](Self::check) yet, for more may be changed; [`ImageRun::fit`](super::ImageRun::fit)
    /// does it in the end.
    ///
    /// # Errors
    /// As [`read`](Self::read) but for ranges; an unknown key (the known ones are listed) or a
    /// value that does not fit it.
    pub fn collect(&self, file: Option<&FilePath>, changes: &[(&str, &str)]) -> Result<Self> {
        schema::collect(self, file, changes)
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// Names the first setting that is outside, with its range.
    pub fn check(&self) -> Result<()> {
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
                "the method score is for images that dissolve in noise: take the task generate and the \
                 path vp, subvp or ve, or the method action"
            );
            ensure!(
                self.fit.estimator == Estimator::Velocity,
                Setting,
                "a score is learned by the estimator `velocity`: leave `fit.estimator` out"
            );
        }
        schema::check_options(&self.fit)
    }

    fn noise_path(&self) -> NoisePath {
        self.path.unwrap_or(match self.method {
            Method::Action => NoisePath::Linear,
            Method::Score => NoisePath::Vp,
        })
    }

    /// The same with the path named, for a run keeps its path whatever the default becomes.
    pub(super) fn resolved(&self) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_halve_while_sides_are_even_and_above_eight() {
        let network = ImageNetwork::default();
        for (height, width, levels) in [
            (28, 28, 3),
            (14, 14, 2),
            (32, 32, 3),
            (8, 8, 1),
            (7, 7, 1),
            (64, 24, 3),
            (256, 256, 6),
            (8, 1024, 2),
        ] {
            assert_eq!(
                network.levels_for(height, width),
                levels,
                "{height} {width}"
            );
        }
        let two = ImageNetwork {
            levels: Some(2),
            ..network
        };
        assert_eq!(two.levels_for(28, 28), 2);
    }

    #[test]
    fn what_a_path_is_by_name_and_by_default() {
        let shape = [4, 6, 1];
        let degradation = |toml: &str| {
            let settings = ImageSettings::parse(toml).unwrap();
            let found = settings.degradation(shape).unwrap();
            assert_eq!(settings.resolved().degradation(shape).unwrap(), found);
            found
        };
        let vp = Degradation::process(Process::default(), shape);
        assert_eq!(degradation(""), Degradation::linear(shape));
        assert_eq!(degradation("method = \"score\""), vp);
        assert_eq!(degradation("path = \"vp\""), vp);
        let exploding = Process::variance_exploding(0.01, 50.0).unwrap();
        assert_eq!(
            degradation("path = \"ve\""),
            Degradation::process(exploding.normalized(), shape)
        );
        let kept = ImageSettings::default().resolved();
        assert_eq!(kept.path, Some(NoisePath::Linear));
    }

    #[test]
    fn a_scalar_by_name() {
        let settings = ImageSettings::parse("[network]\nscalar = \"distance\"").unwrap();
        assert_eq!(settings.network.scalar, Scalar::Distance);
        let error = ImageSettings::parse("[network]\nscalar = \"sum\"").unwrap_err();
        assert!(error.to_string().contains("scalar"), "{error}");
    }
}

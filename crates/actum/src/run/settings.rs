//! Every setting of a run: the TOML files, and nothing beside them.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    schema::{Schema, check_options},
    source::{Seen, SeenImages, SeenSnapshots},
};
use crate::{
    action::{Architecture, Mlp, UNet},
    data::{Images, Split},
    error::{Error, ErrorKind, Result, ensure},
    fit::{self, Observer, Options},
    machines::Parts,
    path::{Degradation, Sharded},
    problem::{
        DataOptions, Hidden, ImageDataOptions, ImageOptions, LagrangianOptions, Method, NoisePath,
        PathOptions, Population, Problem, SnapshotOptions, Task,
    },
};

/// The settings of a run of any kind.
#[expect(clippy::large_enum_variant, reason = "a run has one of them")]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Settings {
    /// Of snapshots.
    Snapshots(SnapshotSettings),
    /// Of images.
    Images(ImageSettings),
}

impl Settings {
    /// How the run is fitted.
    pub fn fit(&self) -> &Options {
        match self {
            Self::Snapshots(settings) => &settings.fit,
            Self::Images(settings) => &settings.fit,
        }
    }

    pub(super) fn fit_mut(&mut self) -> &mut Options {
        match self {
            Self::Snapshots(settings) => &mut settings.fit,
            Self::Images(settings) => &mut settings.fit,
        }
    }

    /// The settings as TOML; feeding it back gives equal settings.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain data")
    }
}

/// The settings of a run of snapshots. Its serialised form is the schema of the TOML file; unknown
/// keys are refused and missing ones have their defaults.
///
/// ```
/// use actum::run::{Schema, SnapshotSettings};
///
/// let text = "[data]\ndims = 5\n[path]\ncoupling = \"entropic:0.1\"";
/// let settings = SnapshotSettings::parse(text)?;
/// assert_eq!(settings.data.dims, Some(5));
/// assert_eq!(settings.fit.steps, SnapshotSettings::default().fit.steps);
/// let error = SnapshotSettings::parse("[data]\ndim = 5").unwrap_err();
/// assert!(error.to_string().contains("`dims`"));
/// # Ok::<(), actum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotSettings {
    /// What to read and how to see it.
    pub data: DataOptions,
    /// How the population is joined up between snapshots.
    pub path: PathOptions,
    /// What the motion is charged for.
    pub lagrangian: LagrangianOptions,
    /// The size of the network.
    pub network: Mlp,
    /// How to minimise.
    pub fit: Options,
}

impl SnapshotSettings {
    /// How a file is split into the shards that a fit sees.
    pub fn split(&self) -> Split {
        Split {
            shard: self.data.shard,
            seed: self.fit.seed,
            most: Sharded::needed(self.fit.steps),
            parts: Parts::all(self.fit.parts),
        }
    }

    /// How many steps there are, those of a first fit to [couple along](PathOptions::recouple)
    /// included.
    pub fn steps(&self) -> usize {
        let fits = 1 + usize::from(self.path.recouple);
        fits.saturating_mul(self.fit.steps)
    }

    /// Those of the problem.
    pub fn options(&self) -> SnapshotOptions {
        SnapshotOptions {
            data: self.data.clone(),
            path: self.path.clone(),
            lagrangian: self.lagrangian.clone(),
        }
    }
}

impl Schema for SnapshotSettings {
    type Data<'a> = Population<'a>;

    fn check(&self) -> Result<()> {
        self.split().check()?;
        self.options().check()?;
        self.network.check()?;
        ensure!(
            !self.lagrangian.drift || self.data.keys.velocity_key.is_some(),
            Setting,
            "a drift needs the velocities of the points: name their array in `velocity_key`"
        );
        check_options(&self.fit)
    }

    fn architecture(&self) -> &dyn Architecture {
        &self.network
    }

    fn seen(&self, data: Population) -> Result<(String, Seen)> {
        let seen = self.data.view(&*data.first()?)?;
        let source = Seen::Snapshots(SeenSnapshots {
            labels: seen.labels().to_vec(),
            times: seen.times().to_vec(),
            unit: seen.unit().map(str::to_owned),
            counts: seen.counts().iter().map(|n| *n as usize).collect(),
            masses: seen.masses(),
            columns: seen.columns().to_vec(),
            named: seen.is_named(),
        });
        Ok((seen.fingerprint(), source))
    }

    fn problem<'a>(
        &self,
        data: Self::Data<'a>,
        observer: &mut dyn Observer,
    ) -> Result<Problem<'a>> {
        let between = Problem::between(data)
            .options(self.options())
            .seed(self.fit.seed);
        if !self.path.recouple {
            return between.build();
        }
        let mut first = self.clone();
        first.path.recouple = false;
        let problem = first.problem(data, observer)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.fit.seed);
        let network = self.network.engine(problem.shape(), &mut rng)?;
        let motion =
            fit::fit(network, &problem, &self.fit, observer).map_err(|error| {
                match error.kind() {
                    ErrorKind::Interrupted => Error::new(
                        ErrorKind::Interrupted,
                        "stopped in the first fit, which the couplings follow; nothing is kept",
                    ),
                    _ => error.within("the first fit, which the couplings follow"),
                }
            })?;
        between
            .along(move |t, x| motion.velocity(t, &x.to_owned()))
            .build()
    }

    fn kept(&self) -> Settings {
        Settings::Snapshots(self.clone())
    }
}

/// The settings of a run of images. Its serialised form is the schema of the TOML file; unknown
/// keys are refused and missing ones have their defaults.
///
/// ```
/// use actum::{problem::Task, run::{ImageSettings, Schema}};
///
/// let settings = ImageSettings::parse("task = \"superres\"\n[network]\nchannels = 8")?;
/// assert_eq!(settings.task, Task::Superres);
/// assert_eq!(settings.fit.batch, ImageSettings::default().fit.batch);
/// assert!(ImageSettings::parse("tusk = \"superres\"").is_err());
/// # Ok::<(), actum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageSettings {
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
    /// The size of the U-Net.
    pub network: UNet,
    /// How to minimise.
    pub fit: Options,
}

impl Default for ImageSettings {
    /// What two cores train in minutes on 14 x 14 pixels.
    fn default() -> Self {
        Self {
            task: Task::default(),
            method: Method::default(),
            path: None,
            mask: None,
            data: ImageDataOptions::default(),
            network: UNet::default(),
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

impl ImageSettings {
    /// Those of the problem.
    pub fn options(&self) -> ImageOptions {
        ImageOptions {
            task: self.task,
            method: self.method,
            path: self.path,
            mask: self.mask.clone(),
            data: self.data.clone(),
        }
    }

    /// What happens to images of shape `[height, width, channels]`.
    ///
    /// # Errors
    /// Images that the task is not for; a mask of another size.
    pub fn degradation(&self, shape: [usize; 3]) -> Result<Degradation> {
        self.options().degradation(shape)
    }
}

impl Schema for ImageSettings {
    type Data<'a> = &'a Images;

    fn check(&self) -> Result<()> {
        self.options().check(self.fit.estimator)?;
        check_options(&self.fit)
    }

    fn architecture(&self) -> &dyn Architecture {
        &self.network
    }

    fn seen(&self, images: &Images) -> Result<(String, Seen)> {
        let seen = self.data.view(images)?;
        let source = Seen::Images(SeenImages {
            images: seen.len(),
            shape: seen.shape(),
        });
        Ok((seen.fingerprint(), source))
    }

    fn problem<'a>(
        &self,
        images: Self::Data<'a>,
        _observer: &mut dyn Observer,
    ) -> Result<Problem<'a>> {
        Problem::images(images, self.task)
            .options(self.options())
            .estimator(self.fit.estimator)
            .build()
    }

    /// With the path named: a run keeps its path whatever the default becomes.
    fn kept(&self) -> Settings {
        Settings::Images(Self {
            path: self.options().resolved().path,
            ..self.clone()
        })
    }

    fn shown(&self, images: &Images) -> Result<Option<Images>> {
        let first: Vec<usize> = (0..SHOWN.min(images.len())).collect();
        self.data.view(&images.select(&first)?).map(Some)
    }
}

/// How many images the picture of a run shows at most.
const SHOWN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{action::Scalar, path::Process};

    #[test]
    fn what_a_path_is_by_name_and_by_default() {
        let shape = [4, 6, 1];
        let degradation = |toml: &str| {
            let settings = ImageSettings::parse(toml).unwrap();
            let found = settings.degradation(shape).unwrap();
            let Settings::Images(kept) = settings.kept() else {
                unreachable!()
            };
            assert_eq!(kept.degradation(shape).unwrap(), found);
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
        let kept = ImageSettings::default().kept();
        assert!(kept.to_toml().contains("path = \"linear\""));
    }

    #[test]
    fn a_scalar_by_name() {
        let settings = ImageSettings::parse("[network]\nscalar = \"distance\"").unwrap();
        assert_eq!(settings.network.scalar, Scalar::Distance);
        let error = ImageSettings::parse("[network]\nscalar = \"sum\"").unwrap_err();
        assert!(error.to_string().contains("scalar"), "{error}");
    }
}

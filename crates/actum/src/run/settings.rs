//! Every setting of a run: the TOML file, and nothing beside it.

use std::{collections::BTreeMap, path::Path as FilePath, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::schema::{self, Schema};
use crate::{
    data::{Keys, Shards, Snapshots, Split},
    error::{Error, ErrorKind, Result, ensure},
    fit::Options,
    lagrangian::{Cost, Drift, Lagrangian, Noise},
    path::{Coupling, Interpolant, Interpolation, Sharded},
    units::Units,
};

/// The settings of a run. Its serialised form is the schema of the TOML file; unknown keys are
/// refused and missing ones have their defaults.
///
/// ```
/// use actum::run::Settings;
///
/// let settings = Settings::parse("[data]\ndims = 5\n[path]\ncoupling = \"entropic:0.1\"")?;
/// assert_eq!(settings.data.dims, Some(5));
/// assert_eq!(settings.fit.steps, Settings::default().fit.steps);
/// assert!(Settings::parse("[data]\ndim = 5").unwrap_err().to_string().contains("`dims`"));
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What to read and how to see it.
    pub data: Data,
    /// How the population is joined up between snapshots.
    pub path: Joining,
    /// What the motion is charged for.
    pub lagrangian: Terms,
    /// The size of the network.
    pub network: Network,
    /// How to minimise.
    pub fit: Options,
}

/// What to read and how to see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Where in the file the numbers are.
    #[serde(flatten, deserialize_with = "keys")]
    pub keys: Keys,
    /// What the masses of the snapshots are, where mass grows.
    pub mass: Mass,
    /// Only the first so many columns.
    pub dims: Option<usize>,
    /// Measures distances after dividing every column by its standard deviation.
    pub standardize: bool,
    /// Times that the fit does not see, as they are written in the file.
    pub hold_out: Vec<String>,
    /// The most rows of a time that are in memory at once, at least 20: a file with more at some
    /// time is fitted in [shards](crate::data::Shards).
    pub shard: usize,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            keys: Keys::default(),
            mass: Mass::default(),
            dims: None,
            standardize: false,
            hold_out: vec![],
            shard: 10_000,
        }
    }
}

/// The keys, out of what the other settings of a section leave: nothing else may be there.
fn keys<'de, D: Deserializer<'de>>(rest: D) -> std::result::Result<Keys, D::Error> {
    const KNOWN: [&str; 9] = [
        Keys::ALL[0].name,
        Keys::ALL[1].name,
        Keys::ALL[2].name,
        Keys::ALL[3].name,
        "mass",
        "dims",
        "standardize",
        "hold_out",
        "shard",
    ];
    let mut keys = Keys::default();
    for (name, value) in BTreeMap::<String, toml::Value>::deserialize(rest)? {
        let known = Keys::ALL.iter().find(|key| key.name == name);
        let key = known.ok_or_else(|| D::Error::unknown_field(&name, &KNOWN))?;
        let value = String::deserialize(value)
            .map_err(|cause| D::Error::custom(format!("`{name}`: {}", cause.message())))?;
        *(key.field)(&mut keys) = Some(value);
    }
    Ok(keys)
}

/// The mass of every snapshot: `"weights"`, `"counts"`, or one number for each time of the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "WrittenMass", into = "WrittenMass")]
pub enum Mass {
    /// The sum of the weights, 1 where the file has none.
    #[default]
    Weights,
    /// The number of points: every point is an individual.
    Counts,
    /// As given.
    Given(Vec<f64>),
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a mass is \"weights\", \"counts\" or one number for each time"
)]
enum WrittenMass {
    Name(String),
    Numbers(Vec<f64>),
}

impl FromStr for Mass {
    type Err = Error;

    /// `weights`, `counts` or `M,M,...`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "weights" => return Ok(Self::Weights),
            "counts" => return Ok(Self::Counts),
            _ => {}
        }
        let numbers = text.split(',').map(|m| m.trim().parse());
        numbers
            .collect::<std::result::Result<_, _>>()
            .map(Self::Given)
            .map_err(|_| {
                Error::new(
                    ErrorKind::Setting,
                    format!(
                        "`{text}` does not say masses; expected counts, weights, or one number for \
                     each time, separated by commas"
                    ),
                )
            })
    }
}

impl TryFrom<WrittenMass> for Mass {
    type Error = Error;

    fn try_from(written: WrittenMass) -> Result<Self> {
        match written {
            WrittenMass::Name(name) => name.parse(),
            WrittenMass::Numbers(masses) => Ok(Self::Given(masses)),
        }
    }
}

impl From<Mass> for WrittenMass {
    fn from(mass: Mass) -> Self {
        match mass {
            Mass::Weights => Self::Name("weights".to_owned()),
            Mass::Counts => Self::Name("counts".to_owned()),
            Mass::Given(masses) => Self::Numbers(masses),
        }
    }
}

/// What the motion is charged for: the terms of a [`Lagrangian`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// `"kinetic"`, `"power:P"` with P above 1, or the rows of a metric's matrix.
    pub cost: Cost,
    /// sigma in units of distance per square root of time, or pairs `[[t, sigma], ...]`.
    pub noise: Noise,
    /// lambda, 0 to keep mass, or `"auto"`.
    pub growth: Growth,
    /// Takes the velocities of the points for a known part of the motion.
    pub drift: bool,
}

/// The lambda of [`Growth::Auto`] in the network's units, chosen on storms (experiments/storms).
const AUTO: f64 = 0.1;

/// The lambda of growth: a number or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenGrowth", into = "WrittenGrowth")]
pub enum Growth {
    /// A number, in time over action: 1 / distance^2 for quadratic costs.
    Lambda(f64),
    /// A tenth of the inverse square of the spread of the data (for quadratic costs): growing
    /// e-fold over the whole time costs ten times what travelling the spread does, so that growth
    /// explains what motion hardly can.
    Auto,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "growth is a number or \"auto\"")]
enum WrittenGrowth {
    Number(f64),
    Name(String),
}

impl Default for Growth {
    fn default() -> Self {
        Self::Lambda(0.0)
    }
}

impl FromStr for Growth {
    type Err = Error;

    /// `auto` or a number.
    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Lambda).map_err(|_| {
            Error::new(
                ErrorKind::Setting,
                format!("`{text}` is not growth; expected auto or a number (lambda)"),
            )
        })
    }
}

impl TryFrom<WrittenGrowth> for Growth {
    type Error = Error;

    fn try_from(written: WrittenGrowth) -> Result<Self> {
        match written {
            WrittenGrowth::Name(name) => name.parse(),
            WrittenGrowth::Number(lambda) => Ok(Self::Lambda(lambda)),
        }
    }
}

impl From<Growth> for WrittenGrowth {
    fn from(growth: Growth) -> Self {
        match growth {
            Growth::Auto => Self::Name("auto".to_owned()),
            Growth::Lambda(lambda) => Self::Number(lambda),
        }
    }
}

impl Terms {
    /// The Lagrangian for what a fit sees of the data.
    ///
    /// # Errors
    /// Numbers outside of their range; a drift without velocities.
    pub fn lagrangian(&self, seen: &Snapshots, units: &Units, seed: u64) -> Result<Lagrangian> {
        let lambda = match self.growth {
            Growth::Lambda(lambda) => lambda,
            Growth::Auto => {
                let exponent = self.cost.exponent();
                AUTO * units.objective(exponent).recip() / units.duration()
            }
        };
        let lagrangian = Lagrangian::new(self.cost.clone())
            .noise_over_time(self.noise.clone())
            .growth(lambda)?;
        lagrangian.check(seen.dimension())?;
        let [first, last] = units.span();
        ensure!(
            lagrangian.noise_in_time().is_within([first, last]),
            Setting,
            "the noise is given for times outside of the data's, [{first}, {last}]: {}",
            lagrangian.noise_in_time()
        );
        if !self.drift {
            return Ok(lagrangian);
        }
        Ok(lagrangian.drift(Drift::smoothed(seen, &units.scale(), seed)?))
    }

    /// Whether mass is born and dies.
    pub fn grows(&self) -> bool {
        self.growth != Growth::Lambda(0.0)
    }
}

/// How the population is joined up between snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Joining {
    /// `"independent"`, `"exact"`, `"entropic:SHARE"`, the regularisation as a share of the mean
    /// squared distance, or `"unbalanced:RHO"`, which lets mass die and be born where moving it
    /// would cost more than the penalty of RHO mean squared distances.
    /// Where none is given it is `"exact"`, and with growth `"unbalanced"`.
    pub coupling: Option<Coupling>,
    /// `"linear"` or `"cubic"`.
    pub interpolation: Interpolation,
    /// The standard deviation of the Gaussian that every point is blurred to, in units of distance.
    /// Where none is given it is 0 without noise, and with noise Scott's rule for densities.
    pub blur: Option<f64>,
}

impl Default for Joining {
    fn default() -> Self {
        Self {
            coupling: None,
            interpolation: Interpolation::Linear,
            blur: None,
        }
    }
}

/// The size of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Units of a hidden layer, at least 1.
    pub width: usize,
    /// Hidden layers, at least 1.
    pub depth: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            width: 128,
            depth: 3,
        }
    }
}

impl Schema for Settings {
    fn check(&self) -> Result<()> {
        Settings::check(self)
    }

    fn options(&self) -> &Options {
        &self.fit
    }
}

impl Settings {
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
    /// As [`parse`](Settings::parse), naming the file; a file that cannot be read.
    pub fn read(path: &FilePath) -> Result<Self> {
        schema::read(path)
    }

    /// How a file is split into the shards that a fit sees.
    pub fn split(&self) -> Split {
        Split {
            shard: self.data.shard,
            seed: self.fit.seed,
            most: Sharded::needed(self.fit.steps),
        }
    }

    /// The settings as TOML; feeding it back gives equal settings.
    pub fn to_toml(&self) -> String {
        schema::to_toml(self)
    }

    /// What differs in `other`, a sentence for each setting.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        schema::differences(self, other)
    }

    /// The settings of a file, or these where there is none, with `changes` laid over them: dotted
    /// keys (`fit.batch`) and values in TOML, or strings without quotes.
    ///
    /// Not [checked](Settings::check) yet, for more may be changed; [`Run::fit`](super::Run::fit)
    /// does it in the end.
    ///
    /// # Errors
    /// As [`read`](Settings::read) but for ranges; an unknown key (the known ones are listed) or a
    /// value that does not fit it.
    pub fn collect(&self, file: Option<&FilePath>, changes: &[(&str, &str)]) -> Result<Self> {
        schema::collect(self, file, changes)
    }

    /// What is to be learned from a population: the path through its shards between the times that
    /// are not held out, the Lagrangian, and the units, which the first shard decides.
    ///
    /// # Errors
    /// Settings that do not fit the data.
    pub(super) fn problem<'a>(
        &self,
        shards: &'a Shards,
    ) -> Result<(Sharded<'a>, Lagrangian, Units)> {
        let needed = Sharded::needed(self.fit.steps).min(shards.count());
        ensure!(
            shards.kept() >= needed,
            Setting,
            "a fit of {} steps sees {needed} shards, and {} of {} are kept; split the file by \
             Settings::split",
            self.fit.steps,
            shards.kept(),
            shards.count()
        );
        let frame = self.frame(&self.data.view(&shards.shard(0)?)?)?;
        let (lagrangian, units) = (frame.lagrangian.clone(), frame.units.clone());
        let settings = self.clone();
        let join = move |shard: &Snapshots| settings.join(&settings.data.view(shard)?, &frame);
        let path = Sharded::new(shards, join)?;
        let first = path.current();
        let units = units.warped(first.times(), first.distances())?;
        Ok((path, lagrangian, units))
    }

    /// What snapshots as [`Data::view`] shows them decide for all shards.
    pub(super) fn frame(&self, seen: &Snapshots) -> Result<Frame> {
        let training = self.data.training(seen)?;
        let units = Units::of(&training, self.data.standardize)?;
        let lagrangian = self
            .lagrangian
            .lagrangian(&training, &units, self.fit.seed)?;
        let training = weighed(training, &lagrangian)?;
        let blur = match self.path.blur {
            Some(width) => width,
            None if lagrangian.is_noisy() => training.scott_width(&units.scale()),
            None => 0.0,
        };
        Ok(Frame {
            units,
            lagrangian,
            blur,
        })
    }

    /// The path between snapshots as [`Data::view`] shows them.
    pub(super) fn join(&self, seen: &Snapshots, frame: &Frame) -> Result<Interpolant> {
        let Frame {
            units,
            lagrangian,
            blur,
        } = frame;
        let training = weighed(self.data.training(seen)?, lagrangian)?;
        let coupling = self.path.coupling.unwrap_or(if lagrangian.grows() {
            Coupling::unbalanced()
        } else {
            Coupling::Exact
        });
        let scale = units.scale();
        let path = match lagrangian.known_drift() {
            Some(drift) => Interpolant::along(&training, coupling, &scale, drift)?,
            None => Interpolant::new(&training, coupling, self.path.interpolation, &scale)?,
        };
        path.blurred(*blur)
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// Names the first setting that is outside, with its range.
    pub fn check(&self) -> Result<()> {
        self.split().check()?;
        ensure!(
            self.data.dims != Some(0),
            Setting,
            "`dims` must be at least 1, got 0"
        );
        for (name, value) in [("width", self.network.width), ("depth", self.network.depth)] {
            ensure!(value > 0, Setting, "`{name}` must be at least 1, got 0");
        }
        if let Growth::Lambda(lambda) = self.lagrangian.growth {
            Lagrangian::kinetic().growth(lambda)?;
        }
        ensure!(
            self.lagrangian.grows() || self.data.mass == Mass::Weights,
            Setting,
            "masses count where mass can grow: give --growth (lagrangian.growth) too, or leave \
             `mass` out"
        );
        ensure!(
            self.lagrangian.grows() || !matches!(self.path.coupling, Some(Coupling::Unbalanced(_))),
            Setting,
            "an unbalanced coupling lets mass be born and die: give --growth (lagrangian.growth) \
             too, or take another coupling"
        );
        ensure!(
            !self.lagrangian.drift || self.data.keys.velocity_key.is_some(),
            Setting,
            "a drift needs the velocities of the points: name their array in `velocity_key`"
        );
        ensure!(
            !self.lagrangian.drift || self.path.interpolation == Interpolation::Linear,
            Setting,
            "a cubic spline does not follow a drift; take the linear interpolation with it"
        );
        schema::check_options(&self.fit)
    }
}

/// What is the same for all shards of a population.
pub(super) struct Frame {
    units: Units,
    lagrangian: Lagrangian,
    blur: f64,
}

/// The snapshots with equal masses, unless mass grows.
fn weighed(training: Snapshots, lagrangian: &Lagrangian) -> Result<Snapshots> {
    if lagrangian.grows() || training.has_equal_masses() {
        Ok(training)
    } else {
        training.with_masses(&vec![1.0; training.len()])
    }
}

impl Data {
    /// The snapshots with the chosen columns and masses, all times.
    ///
    /// # Errors
    /// More columns asked for than there are; masses that are not one for each time.
    pub fn view(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        let seen = self.columns_of(snapshots)?;
        match &self.mass {
            Mass::Weights => Ok(seen),
            Mass::Counts => seen.with_masses(&seen.counts()),
            Mass::Given(masses) => seen.with_masses(masses),
        }
    }

    pub(super) fn columns_of(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        match self.dims {
            Some(count) => snapshots.first_columns(count),
            None => Ok(snapshots.clone()),
        }
    }

    /// The snapshots a fit may see: the held-out times are gone.
    ///
    /// # Errors
    /// A held-out time that is not there, or is the first or the last; fewer than two left.
    pub fn training(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        let held = self
            .hold_out
            .iter()
            .map(|label| {
                let index = snapshots.index_of(label)?;
                ensure!(
                    index > 0 && index + 1 < snapshots.len(),
                    Setting,
                    "cannot hold out {}: it is {} time, and the motion is learned between the \
                     first and the last; times between them: {}",
                    snapshots.labels()[index],
                    if index == 0 { "the first" } else { "the last" },
                    match snapshots.labels() {
                        [_, inner @ .., _] if !inner.is_empty() => inner.join(", "),
                        _ => "none".to_owned(),
                    }
                );
                Ok(index)
            })
            .collect::<Result<Vec<_>>>()?;
        let kept = snapshots.without(&held)?;
        kept.require_times(2)?;
        Ok(kept)
    }
}

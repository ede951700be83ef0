//! The options of a motion between snapshots: the tables `data`, `path` and `lagrangian` of a TOML
//! file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{Growth, Mass};
use crate::{
    data::{Keys, Snapshots},
    error::{Result, ensure},
    lagrangian::{Cost, Drift, Lagrangian, Noise},
    path::{Coupling, Interpolation},
    units::Units,
};

/// The options of a [`SnapshotProblem`](super::SnapshotProblem).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SnapshotOptions {
    /// What to read and how to see it.
    pub data: DataOptions,
    /// How the population is joined up between snapshots.
    pub path: PathOptions,
    /// What the motion is charged for.
    pub lagrangian: LagrangianOptions,
}

/// What to read and how to see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataOptions {
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

impl Default for DataOptions {
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
    const KNOWN: [&str; 10] = [
        Keys::ALL[0].name,
        Keys::ALL[1].name,
        Keys::ALL[2].name,
        Keys::ALL[3].name,
        PCA,
        "mass",
        "dims",
        "standardize",
        "hold_out",
        "shard",
    ];
    const PCA: &str = "pca";
    let mut keys = Keys::default();
    for (name, value) in BTreeMap::<String, toml::Value>::deserialize(rest)? {
        if name == PCA {
            let count = usize::deserialize(value)
                .map_err(|cause| D::Error::custom(format!("`{name}`: {}", cause.message())))?;
            keys.pca = Some(count);
            continue;
        }
        let known = Keys::ALL.iter().find(|key| key.name == name);
        let key = known.ok_or_else(|| D::Error::unknown_field(&name, &KNOWN))?;
        let value = String::deserialize(value)
            .map_err(|cause| D::Error::custom(format!("`{name}`: {}", cause.message())))?;
        *(key.field)(&mut keys) = Some(value);
    }
    Ok(keys)
}

/// How the population is joined up between snapshots.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathOptions {
    /// `"independent"`, `"exact"`, `"entropic:SHARE"`, the regularisation as a share of the mean
    /// squared distance, or `"unbalanced:RHO"`, which lets mass die and be born where moving it
    /// would cost more than the penalty of RHO mean squared distances, or `"bridge:SIGMA"`, the
    /// Schroedinger bridge of that noise.
    /// Where none is given it is `"exact"`, and with growth `"unbalanced"`.
    pub coupling: Option<Coupling>,
    /// `"linear"`, `"cubic"`, `"monotone"`, `"forced"`, `"metric"` or `"clocked"`. Where none is given
    /// it is `"clocked"`, and along a drift and on a Schroedinger bridge `"linear"`.
    pub interpolation: Option<Interpolation>,
    /// Couples twice. A first fit of these settings carries the points of every snapshot to the next,
    /// where they are matched again, and the path follows them there.
    pub recouple: bool,
    /// The standard deviation of the Gaussian that every point is blurred to, in units of distance.
    /// Where none is given it is 0 without noise, and with noise or a Schroedinger bridge Scott's
    /// rule for densities.
    pub blur: Option<f64>,
}

/// What the motion is charged for: the terms of a [`Lagrangian`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LagrangianOptions {
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

impl LagrangianOptions {
    /// The Lagrangian for what a fit sees of the data.
    ///
    /// # Errors
    /// Numbers outside of their range; a drift without velocities.
    pub fn lagrangian(&self, seen: &Snapshots, units: &Units, seed: u64) -> Result<Lagrangian> {
        let lagrangian = self.of_any_path(units)?;
        if !self.drift {
            return Ok(lagrangian);
        }
        Ok(lagrangian.drift(Drift::smoothed(seen, &units.scale(), seed)?))
    }

    /// The terms that need no snapshots: all but the drift.
    ///
    /// # Errors
    /// Numbers outside of their range.
    pub fn of_any_path(&self, units: &Units) -> Result<Lagrangian> {
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
        lagrangian.check(units.dimension())?;
        let [first, last] = units.span();
        ensure!(
            lagrangian.noise_in_time().is_within([first, last]),
            Setting,
            "the noise is given for times outside of the data's, [{first}, {last}]: {}",
            lagrangian.noise_in_time()
        );
        Ok(lagrangian)
    }

    /// Whether mass is born and dies.
    pub fn grows(&self) -> bool {
        self.growth != Growth::Lambda(0.0)
    }
}

impl SnapshotOptions {
    /// How matched points move between the times: as the options say, or the default for them.
    pub fn interpolation(&self) -> Interpolation {
        let is_straight =
            self.lagrangian.drift || matches!(self.path.coupling, Some(Coupling::Bridge(_)));
        self.path.interpolation.unwrap_or(match is_straight {
            true => Interpolation::Linear,
            false => Interpolation::Clocked,
        })
    }

    /// Checks every option against its range and the others.
    ///
    /// # Errors
    /// Names the first that is outside, with its range.
    pub fn check(&self) -> Result<()> {
        let grows = self.lagrangian.grows();
        ensure!(
            self.data.dims != Some(0),
            Setting,
            "`dims` must be at least 1, got 0"
        );
        if let Growth::Lambda(lambda) = self.lagrangian.growth {
            Lagrangian::kinetic().growth(lambda)?;
        }
        ensure!(
            grows || self.data.mass == Mass::Weights,
            Setting,
            "masses count where mass can grow: give `lagrangian.growth` too, or leave `mass` out"
        );
        ensure!(
            grows || !matches!(self.path.coupling, Some(Coupling::Unbalanced(_))),
            Setting,
            "an unbalanced coupling lets mass be born and die: give `lagrangian.growth` too, or \
             take another coupling"
        );
        ensure!(
            !self.lagrangian.drift || self.interpolation() == Interpolation::Linear,
            Setting,
            "a spline does not follow a drift; take the linear interpolation with it"
        );
        ensure!(
            !self.path.recouple
                || (self.lagrangian.noise.is_none()
                    && !self.lagrangian.drift
                    && self.path.coupling != Some(Coupling::Independent)),
            Setting,
            "`recouple` moves the points of a snapshot to the next and matches them there: without \
             noise, a known drift or the independent coupling"
        );
        Ok(())
    }
}

impl DataOptions {
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

    fn columns_of(&self, snapshots: &Snapshots) -> Result<Snapshots> {
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

//! What is fitted, by name.

use std::path::Path as FilePath;

use serde::{Deserialize, Serialize};

use crate::{
    data::Snapshots,
    error::{Error, Result},
    lagrangian::Noise,
    path::{Coupling, Interpolation},
    problem::{DataOptions, Growth},
    run::{Schema, SnapshotSettings},
    units::Units,
};

/// A way to fit a motion: a row of every table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// What it is called.
    pub name: String,
    /// How it fits. The table `data` is that of the evaluation.
    pub settings: SnapshotSettings,
    /// Sigma as a share of the spread of the snapshots that a fit sees, per root of their whole
    /// time, in place of that of the settings: of the noise, and of a bridge where that couples.
    pub relative_noise: Option<f64>,
}

/// The sigma of the methods `noise` and `bridge`: over the whole time a point wanders by a tenth of
/// the spread.
const WANDER: f64 = 0.1;

impl Method {
    /// The names of the built-in methods, and what they are.
    pub const NAMES: [(&str, &str); 10] = [
        (
            "lines",
            "Action Matching on straight lines between matched points",
        ),
        ("clocked", "Action Matching on clocked splines through them"),
        (
            "cubic",
            "Action Matching on natural cubic splines in real time",
        ),
        (
            "monotone",
            "Action Matching on monotone cubics in real time (PCHIP)",
        ),
        (
            "forced",
            "Action Matching on curves that the acceleration of the means bends",
        ),
        (
            "metric",
            "Action Matching on curves that a metric of the data bends",
        ),
        (
            "recoupled",
            "clocked, then a second fit whose couplings follow the first",
        ),
        ("growth", "clocked, and mass that is born and dies"),
        (
            "noise",
            "clocked, and points that wander by a tenth of the spread over the whole time",
        ),
        (
            "bridge",
            "the Schroedinger bridge of that noise: entropic couplings, and Brownian bridges",
        ),
    ];

    /// A method of these settings.
    pub fn new(name: impl Into<String>, settings: SnapshotSettings) -> Self {
        Self {
            name: name.into(),
            settings,
            relative_noise: None,
        }
    }

    /// A built-in method, with the defaults of a fit beside what its name says.
    ///
    /// # Errors
    /// No such name (`Missing`); the message lists those there are.
    pub fn named(name: &str) -> Result<Self> {
        let names = Self::NAMES.map(|known| known.0);
        if !names.contains(&name) {
            return Err(Error::missing(
                format!("the method `{name}`"),
                names.map(str::to_owned).to_vec(),
            ));
        }
        let mut method = Self::new(name, SnapshotSettings::default());
        let settings = &mut method.settings;
        settings.path.interpolation = match name {
            "lines" => Some(Interpolation::Linear),
            "cubic" => Some(Interpolation::Cubic),
            "monotone" => Some(Interpolation::Monotone),
            "metric" => Some(Interpolation::Metric),
            "forced" => Some(Interpolation::Forced),
            _ => None,
        };
        match name {
            "recoupled" => settings.path.recouple = true,
            "growth" => settings.lagrangian.growth = Growth::Auto,
            "noise" => method.relative_noise = Some(WANDER),
            "bridge" => {
                method.relative_noise = Some(WANDER);
                settings.path.coupling = Some(Coupling::Bridge(WANDER));
            }
            _ => {}
        }
        Ok(method)
    }

    /// What an evaluation compares unless told otherwise: `lines` and `clocked`, and `growth` where
    /// the masses of the snapshots differ.
    ///
    /// # Errors
    /// Options that do not fit the data.
    pub fn defaults(snapshots: &Snapshots, data: &DataOptions) -> Result<Vec<Self>> {
        let grows = !data.view(snapshots)?.has_equal_masses();
        let names = ["lines", "clocked"]
            .into_iter()
            .chain(grows.then_some("growth"));
        names.map(Self::named).collect()
    }

    /// A built-in method by its name, or the settings in a file whose name ends with `.toml`.
    ///
    /// # Errors
    /// As [`named`](Self::named) and [`read`](Self::read).
    pub fn find(text: &str) -> Result<Self> {
        match text.ends_with(".toml") {
            true => Self::read(FilePath::new(text)),
            false => Self::named(text).map_err(|error| {
                let what = "a method is a name or a file of settings whose name ends with .toml";
                error.within(what)
            }),
        }
    }

    /// The settings in a TOML file, as a fit takes them; its name without the extension is that of
    /// the method.
    ///
    /// # Errors
    /// As [`Schema::read`]: unknown keys are refused.
    pub fn read(path: &FilePath) -> Result<Self> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self::new(stem, SnapshotSettings::read(path)?))
    }

    /// The same with some settings changed, see [`Schema::collect`].
    ///
    /// # Errors
    /// As [`Schema::collect`].
    pub fn changed(self, changes: &[(&str, &str)]) -> Result<Self> {
        Ok(Self {
            settings: self.settings.collect(None, changes)?,
            ..self
        })
    }

    /// What it is, in words.
    pub fn about(&self) -> Option<&'static str> {
        let mut known = Self::NAMES.into_iter();
        known
            .find(|known| known.0 == self.name)
            .map(|known| known.1)
    }

    /// The settings for what a fit sees.
    pub(super) fn settings_for(&self, training: &Snapshots, seed: u64) -> Result<SnapshotSettings> {
        let mut settings = self.settings.clone();
        settings.fit.seed = settings.fit.seed.saturating_add(seed);
        if let Some(share) = self.relative_noise {
            let units = Units::of(training, settings.data.standardize)?;
            let sigma = share * units.length() / units.duration().sqrt();
            settings.lagrangian.noise = Noise::constant(sigma)?;
            if let Some(Coupling::Bridge(bridge)) = &mut settings.path.coupling {
                *bridge = sigma;
            }
        }
        Ok(settings)
    }
}

//! Every setting of a run: the TOML file, and nothing beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
};

use serde::{Deserialize, Serialize};

use crate::{
    data::{ReadOptions, Snapshots},
    error::{Error, ErrorKind, Result, ensure},
    file,
    fit::Options,
    path::{Coupling, Interpolation},
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
    /// The size of the network.
    pub network: Network,
    /// How to minimise.
    pub fit: Options,
}

/// What to read and how to see it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The array or column of times; found by its name if not given.
    pub time_key: Option<String>,
    /// The array of points, or the columns of coordinates separated by commas.
    pub points_key: Option<String>,
    /// The array or column of weights.
    pub weight_key: Option<String>,
    /// Only the first so many columns.
    pub dims: Option<usize>,
    /// Measures distances after dividing every column by its standard deviation.
    pub standardize: bool,
    /// Times that the fit does not see, as they are written in the file.
    pub hold_out: Vec<String>,
}

/// How the population is joined up between snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Joining {
    /// `"independent"`, `"exact"`, or `"entropic:SHARE"`, the regularisation as a share of the
    /// mean squared distance.
    pub coupling: Coupling,
    /// `"linear"` or `"cubic"`.
    pub interpolation: Interpolation,
}

impl Default for Joining {
    fn default() -> Self {
        Self {
            coupling: Coupling::Exact,
            interpolation: Interpolation::Linear,
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

impl Settings {
    /// Reads settings from TOML.
    ///
    /// # Errors
    /// Not TOML, an unknown key (the known ones are listed), a value of the wrong type or outside
    /// its range.
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text).map_err(|cause| {
            Error::new(ErrorKind::Setting, "these settings cannot be read").because(cause)
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// As [`parse`](Settings::parse), naming the file; a file that cannot be read.
    pub fn read(path: &FilePath) -> Result<Self> {
        let bytes = file::read(path)?;
        let text = String::from_utf8(bytes).map_err(|cause| {
            Error::new(ErrorKind::Format, format!("{} is not text", path.display())).because(cause)
        })?;
        Self::parse(&text).map_err(|e| e.within(path.display()))
    }

    /// The settings as TOML; feeding it back gives equal settings.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain data")
    }

    /// What differs in `other`, a sentence for each setting.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let lines = |settings: &Self| {
            let mut section = String::new();
            let mut lines = BTreeMap::new();
            for line in settings.to_toml().lines() {
                if let Some(name) = line.strip_prefix('[') {
                    section = name.trim_end_matches(']').to_owned();
                } else if let Some((key, value)) = line.split_once(" = ") {
                    lines.insert(format!("{section}.{key}"), value.to_owned());
                }
            }
            lines
        };
        let (ours, theirs) = (lines(self), lines(other));
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let show = |value: Option<&String>| value.map_or("nothing", |v| v).to_owned();
        keys.into_iter()
            .filter(|key| ours.get(*key) != theirs.get(*key))
            .map(|key| {
                format!(
                    "{key} is {}, not {}",
                    show(ours.get(key)),
                    show(theirs.get(key))
                )
            })
            .collect()
    }

    /// The settings with one changed: `key` is dotted (`fit.batch`), `value` is TOML, or a string
    /// without quotes.
    ///
    /// # Errors
    /// An unknown key (the known ones are listed) or a value that does not fit it.
    pub fn with(&self, key: &str, value: &str) -> Result<Self> {
        let mut tree: toml::Table = toml::from_str(&self.to_toml()).expect("settings are TOML");
        let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &mut tree;
        for part in parents.split('.').filter(|p| !p.is_empty()) {
            let names: Vec<String> = table.keys().cloned().collect();
            table = table
                .get_mut(part)
                .and_then(toml::Value::as_table_mut)
                .ok_or_else(|| Error::missing(format!("the setting `{key}`"), names))?;
        }
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut t| t.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        table.insert(last.to_owned(), parsed);
        let text = toml::to_string(&tree).expect("a table is TOML");
        Self::parse(&text).map_err(|e| e.within(format!("{key}={value}")))
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// Names the first setting that is outside, with its range.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.data.dims != Some(0),
            Setting,
            "`dims` must be at least 1, got 0"
        );
        for (name, value) in [("width", self.network.width), ("depth", self.network.depth)] {
            ensure!(value > 0, Setting, "`{name}` must be at least 1, got 0");
        }
        self.fit.check()?;
        ensure!(
            i64::try_from(self.fit.seed).is_ok(),
            Setting,
            "`seed` must be at most {} (TOML's largest integer), got {}",
            i64::MAX,
            self.fit.seed
        );
        Ok(())
    }
}

impl Data {
    /// The names to read by.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions {
            time_key: self.time_key.clone(),
            points_key: self.points_key.clone(),
            weight_key: self.weight_key.clone(),
        }
    }

    /// The snapshots with the chosen columns, all times.
    ///
    /// # Errors
    /// More columns asked for than there are.
    pub fn columns_of(&self, snapshots: &Snapshots) -> Result<Snapshots> {
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

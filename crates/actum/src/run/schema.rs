//! Settings as TOML, whatever is fitted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{Settings, source::Seen};
use crate::{
    action::Architecture,
    data::Images,
    error::{Error, ErrorKind, Result, ensure},
    fit::{Observer, Options},
    problem::Problem,
    store,
};

/// The settings of a kind of run: how they are read from TOML, and what they make of data.
pub trait Schema: Clone + Default + PartialEq + Serialize + DeserializeOwned {
    /// What is fitted.
    type Data<'a>: Copy;

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// Names the first setting that is outside, with its range.
    fn check(&self) -> Result<()>;

    /// The network.
    fn architecture(&self) -> &dyn Architecture;

    /// The hash of the data that are seen, and what they are.
    ///
    /// # Errors
    /// Settings that do not fit the data.
    fn seen(&self, data: Self::Data<'_>) -> Result<(String, Seen)>;

    /// What is to be learned. `observer` watches the fit that comes before, where there is one.
    ///
    /// # Errors
    /// Settings that do not fit the data; an observer that asked to stop.
    fn problem<'a>(&self, data: Self::Data<'a>, observer: &mut dyn Observer)
    -> Result<Problem<'a>>;

    /// The settings as a run keeps them.
    fn kept(&self) -> Settings;

    /// The images of the picture that a run shows while it is fitted, if any.
    ///
    /// # Errors
    /// Settings that do not fit the data.
    fn shown(&self, _data: Self::Data<'_>) -> Result<Option<Images>> {
        Ok(None)
    }

    /// Reads settings from TOML.
    ///
    /// # Errors
    /// Not TOML, an unknown key (the known ones are listed), a value of the wrong type or outside
    /// its range.
    fn parse(text: &str) -> Result<Self> {
        let settings: Self = unchecked(text)?;
        settings.check()?;
        Ok(settings)
    }

    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), naming the file; a file that cannot be read.
    fn read(path: &FilePath) -> Result<Self> {
        let settings: Self = unchecked_file(path)?;
        settings.check().map_err(|e| e.within(path.display()))?;
        Ok(settings)
    }

    /// The settings as TOML; feeding it back gives equal settings.
    fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain data")
    }

    /// These settings, or those of a file, with some changed: dotted keys (`fit.batch`) and values
    /// in TOML, or strings without quotes.
    ///
    /// Not [checked](Self::check) yet, because more may be changed;
    /// [`Run::fit`](super::Run::fit) checks them in the end.
    ///
    /// # Errors
    /// As [`read`](Self::read) except for ranges; an unknown key (the known ones are listed) or a
    /// value that does not fit it.
    fn collect(&self, file: Option<&FilePath>, changes: &[(&str, &str)]) -> Result<Self> {
        let base = match file {
            Some(path) => unchecked_file(path)?,
            None => self.clone(),
        };
        let changed = |changes: &[(&str, &str)]| -> Result<Self> {
            let mut tree = table(&base);
            let mut changes = changes.iter();
            changes.try_for_each(|(key, value)| insert(&mut tree, key, value))?;
            unchecked(&toml::to_string(&tree).expect("a table is TOML"))
        };
        changed(changes).map_err(|error| {
            // The first that cannot be made alone, for the message.
            let alone = changes.iter().find_map(|change| {
                let error = changed(&[*change]).err()?;
                Some(error.within(format_args!("{}={}", change.0, change.1)))
            });
            alone.unwrap_or(error)
        })
    }
}

fn unchecked<S: Schema>(text: &str) -> Result<S> {
    let broken = |cause: toml::de::Error| {
        Error::new(ErrorKind::Setting, "these settings cannot be read").because(cause)
    };
    // From the text itself, for messages that show the line.
    toml::from_str::<S>(text).map_err(broken)?;
    // A kind of run has defaults of its own for parts that it shares with others.
    let mut tree = table(&S::default());
    lay_over(&mut tree, toml::from_str(text).map_err(broken)?);
    tree.try_into().map_err(broken)
}

fn unchecked_file<S: Schema>(path: &FilePath) -> Result<S> {
    let bytes = store::read(path)?;
    let text = String::from_utf8(bytes).map_err(|cause| {
        let what = format!("{} is not text", path.display());
        Error::new(ErrorKind::Format, what).because(cause)
    })?;
    unchecked(&text).map_err(|e| e.within(path.display()))
}

fn insert(tree: &mut toml::Table, key: &str, value: &str) -> Result<()> {
    let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut table = tree;
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
    Ok(())
}

pub(super) fn check_options(options: &Options) -> Result<()> {
    options.check()?;
    ensure!(
        i64::try_from(options.seed).is_ok(),
        Setting,
        "`seed` must be at most {} (TOML's largest integer), got {}",
        i64::MAX,
        options.seed
    );
    Ok(())
}

fn table(settings: &impl Schema) -> toml::Table {
    toml::from_str(&settings.to_toml()).expect("settings are TOML")
}

fn lay_over(tree: &mut toml::Table, written: toml::Table) {
    for (key, value) in written {
        match (tree.get_mut(&key), value) {
            (Some(toml::Value::Table(tree)), toml::Value::Table(written)) => {
                lay_over(tree, written);
            }
            (_, value) => {
                tree.insert(key, value);
            }
        }
    }
}

impl Settings {
    /// What differs in `other`, a sentence for each setting.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let lines = |settings: &Self| {
            let mut section = String::new();
            let mut lines = BTreeMap::new();
            for line in settings.to_toml().lines() {
                if let Some(name) = line.strip_prefix('[') {
                    section = format!("{}.", name.trim_end_matches(']'));
                } else if let Some((key, value)) = line.split_once(" = ") {
                    lines.insert(format!("{section}{key}"), value.to_owned());
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
}

//! Settings as TOML, whatever is fitted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind, Result, ensure},
    file,
    fit::Options,
};

/// Settings of a kind of run.
pub(super) trait Schema: Clone + Default + PartialEq + Serialize + DeserializeOwned {
    fn check(&self) -> Result<()>;
    fn options(&self) -> &Options;
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

pub(super) fn parse<S: Schema>(text: &str) -> Result<S> {
    let settings: S = unchecked(text)?;
    settings.check()?;
    Ok(settings)
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

pub(super) fn read<S: Schema>(path: &FilePath) -> Result<S> {
    let settings: S = unchecked_file(path)?;
    let checked = settings.check();
    checked.map_err(|e| e.within(path.display()))?;
    Ok(settings)
}

fn unchecked_file<S: Schema>(path: &FilePath) -> Result<S> {
    let bytes = file::read(path)?;
    let text = String::from_utf8(bytes).map_err(|cause| {
        Error::new(ErrorKind::Format, format!("{} is not text", path.display())).because(cause)
    })?;
    unchecked(&text).map_err(|e| e.within(path.display()))
}

pub(super) fn to_toml(settings: &impl Schema) -> String {
    toml::to_string(settings).expect("settings are plain data")
}

fn table(settings: &impl Schema) -> toml::Table {
    toml::from_str(&to_toml(settings)).expect("settings are TOML")
}

pub(super) fn differences<S: Schema>(ours: &S, theirs: &S) -> Vec<String> {
    let lines = |settings: &S| {
        let mut section = String::new();
        let mut lines = BTreeMap::new();
        for line in to_toml(settings).lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = format!("{}.", name.trim_end_matches(']'));
            } else if let Some((key, value)) = line.split_once(" = ") {
                lines.insert(format!("{section}{key}"), value.to_owned());
            }
        }
        lines
    };
    let (ours, theirs) = (lines(ours), lines(theirs));
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

pub(super) fn collect<S: Schema>(
    base: &S,
    file: Option<&FilePath>,
    changes: &[(&str, &str)],
) -> Result<S> {
    let base = match file {
        Some(path) => unchecked_file(path)?,
        None => base.clone(),
    };
    let changed = |changes: &[(&str, &str)]| {
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

//! Which columns of a table hold the time, the weight and the coordinates.

use std::collections::HashSet;

use crate::{
    data::Keys,
    error::{Error, ErrorKind, Result, ensure},
};

/// How the names of written velocities begin; that of their coordinate follows.
const VELOCITY: &str = "v_";
const TIME: [&str; 6] = ["t", "time", "timepoint", "time_point", "day", "hour"];
const WEIGHT: [&str; 3] = ["w", "weight", "weights"];
/// What numbers the rows: pandas' index as csv (unnamed, or read and written again) and as
/// parquet, and the particles of written trajectories.
const INDEX: [&str; 4] = ["", "unnamed: 0", "__index_level_0__", "particle"];

/// Indices into the columns of a table.
pub(super) struct Roles {
    /// The error is why there is none, for those who need one.
    pub time: Result<usize>,
    pub weight: Option<usize>,
    /// None where none are asked for; the error is why there are none, for those who need them.
    pub velocity: Result<Vec<usize>>,
    /// The coordinates that were asked for, or those there may be.
    pub points: Vec<usize>,
    /// Whether the coordinates were asked for by name: then all of them must be numbers.
    pub named: bool,
    /// What was left out already.
    pub notes: Vec<String>,
}

pub(super) fn choose(names: &[String], keys: &Keys) -> Result<Roles> {
    let mut seen = HashSet::new();
    if let Some(name) = names
        .iter()
        .find(|name| !name.is_empty() && !seen.insert(*name))
    {
        ensure!(
            false,
            Format,
            "two columns are named {name:?}; give each its own name"
        );
    }
    let velocity = match &keys.velocity_key {
        Some(key) => find_all(names, key),
        None => Ok(Vec::new()),
    };
    // A velocity (u, v, w) is not a weight for its name.
    let velocities = velocity.as_deref().unwrap_or_default();
    let time = match &keys.time_key {
        Some(key) => find(names, key),
        None => one_of(names, &TIME, velocities, "time_key")?.ok_or_else(|| {
            let advice = if names.iter().all(|name| name.parse::<f64>().is_ok()) {
                "the first line must give the names of the columns"
            } else {
                "choose the time with `Keys::time_key`"
            };
            let known = TIME.join(", ");
            Error::missing(format!("a column named one of {known} ({advice})"), names)
        }),
    };
    let time_index = time.as_ref().ok().copied();
    let weight = match &keys.weight_key {
        Some(key) => Some(find(names, key)?),
        None => {
            one_of(names, &WEIGHT, velocities, "weight_key")?.filter(|i| Some(*i) != time_index)
        }
    };
    let is_taken = |i: usize| Some(i) == time_index || Some(i) == weight || velocities.contains(&i);
    let mut notes = Vec::new();
    let points = match &keys.points_key {
        Some(key) => find_all(names, key)?,
        None => {
            let is_index = |i: usize| INDEX.contains(&names[i].to_lowercase().as_str());
            let rest: Vec<usize> = (0..names.len()).filter(|i| !is_taken(*i)).collect();
            let index = rest.iter().filter(|i| is_index(**i));
            notes.extend(
                index.map(|i| format!("left out column {:?}: it numbers the rows", names[*i])),
            );
            rest.into_iter().filter(|i| !is_index(*i)).collect()
        }
    };
    let mut used: HashSet<usize> = weight.into_iter().collect();
    let mut all = time_index.iter().chain(&points).chain(velocities);
    if let Some(i) = all.find(|i| !used.insert(**i)) {
        ensure!(false, Setting, "column {:?} is asked for twice", names[*i]);
    }
    if keys.points_key.is_none() && keys.velocity_key.is_none() {
        notes.extend(possible_velocities(names, &points));
    }
    Ok(Roles {
        time,
        weight,
        velocity,
        points,
        named: keys.points_key.is_some(),
        notes,
    })
}

impl Roles {
    /// The columns that are neither time, weight, velocities nor the coordinates of these names.
    pub fn others(&self, names: &[String], coordinates: &[String]) -> Vec<usize> {
        let velocities = self.velocity.as_deref().unwrap_or_default();
        let is_taken = |i: &usize| {
            self.time.as_ref().ok() == Some(i)
                || self.weight == Some(*i)
                || velocities.contains(i)
                || coordinates.contains(&names[*i])
        };
        (0..names.len()).filter(|i| !is_taken(i)).collect()
    }
}

fn possible_velocities(names: &[String], points: &[usize]) -> Option<String> {
    let of = |i: &usize| {
        let coordinate = names[*i].strip_prefix(VELOCITY)?;
        points
            .iter()
            .any(|p| names[*p] == coordinate)
            .then_some(coordinate)
    };
    let found: Vec<&str> = points.iter().filter_map(of).collect();
    (!found.is_empty()).then(|| {
        let names: Vec<String> = found
            .iter()
            .map(|name| format!("{VELOCITY}{name}"))
            .collect();
        format!(
            "took {} for coordinates; if they are velocities of {}, read them with \
             `Keys::velocity_key` {}",
            names.join(", "),
            found.join(", "),
            names.join(",")
        )
    })
}

fn find_all(names: &[String], keys: &str) -> Result<Vec<usize>> {
    keys.split(',').map(|key| find(names, key.trim())).collect()
}

/// The column named `key`; upper and lower case agree unless that leaves a choice.
fn find(names: &[String], key: &str) -> Result<usize> {
    let exact = names.iter().position(|name| name == key);
    let mut loose = (0..names.len()).filter(|i| names[*i].eq_ignore_ascii_case(key));
    exact
        .or_else(|| loose.next().filter(|_| loose.next().is_none()))
        .ok_or_else(|| Error::missing(format!("column {key:?}"), names))
}

/// The one column with a `known` name that is not among those `taken`.
fn one_of(names: &[String], known: &[&str], taken: &[usize], key: &str) -> Result<Option<usize>> {
    let is_known = |i: &usize| known.contains(&names[*i].to_lowercase().as_str());
    let found: Vec<usize> = (0..names.len())
        .filter(is_known)
        .filter(|i| !taken.contains(i))
        .collect();
    ensure!(
        found.len() <= 1,
        Setting,
        "{} could all be meant; choose one with `Keys::{key}` (and the coordinates with \
         `Keys::points_key`)",
        found
            .iter()
            .map(|i| format!("{:?}", names[*i]))
            .collect::<Vec<_>>()
            .join(", ")
    );
    Ok(found.first().copied())
}

/// Checks that there is a velocity in the columns `names` for each of the coordinates.
pub(super) fn check_velocities(names: &[String], coordinates: &[String]) -> Result<()> {
    let (d, count) = (coordinates.len(), names.len());
    ensure!(
        count == d,
        Shape,
        "expected {d} columns of velocities, one for each of {}, got {count}: {}; name them in the \
         order of the coordinates in `Keys::velocity_key`",
        coordinates.join(", "),
        names.join(", ")
    );
    Ok(())
}

/// Checks that coordinates can stand beside the `reserved` columns of a written table.
pub(in crate::data) fn check_reserved(columns: &[String], reserved: &[&str]) -> Result<()> {
    match columns
        .iter()
        .find(|name| reserved.contains(&name.as_str()))
    {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::Value,
            format!("a coordinate cannot be named {name:?} in a table; write .npz or rename it"),
        )),
    }
}

fn velocities_of(columns: &[String]) -> Vec<String> {
    let names = columns.iter().map(|name| format!("{VELOCITY}{name}"));
    names.collect()
}

/// The key of the velocities in a written table.
pub(super) fn velocity_key(columns: &[String]) -> String {
    velocities_of(columns).join(",")
}

/// The names of the velocities' columns in a written table, `[d]`.
pub(in crate::data) fn velocity_names(columns: &[String]) -> Result<Vec<String>> {
    let names = velocities_of(columns);
    check_reserved(
        columns,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    // The key of velocities, in which commas separate columns, could not name it.
    if let Some(name) = columns.iter().find(|name| name.contains(',')) {
        ensure!(
            false,
            Value,
            "a coordinate with velocities cannot have a comma in its name in a table, as {name:?} \
             has; write .npz or rename it"
        );
    }
    Ok(names)
}

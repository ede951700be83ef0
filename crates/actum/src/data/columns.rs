//! Which columns of a table hold the time, the weight and the coordinates.

use std::collections::HashSet;

use crate::{
    data::ReadOptions,
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

pub(super) fn choose(names: &[String], options: &ReadOptions) -> Result<Roles> {
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
    let velocity = match &options.velocity_key {
        Some(keys) => find_all(names, keys),
        None => Ok(Vec::new()),
    };
    // A velocity (u, v, w) is not a weight for its name.
    let velocities = velocity.as_deref().unwrap_or_default();
    let time = match &options.time_key {
        Some(key) => find(names, key),
        None => one_of(names, &TIME, velocities, "--time-key")?.ok_or_else(|| {
            let advice = if names.iter().all(|name| name.parse::<f64>().is_ok()) {
                "the first line must give the names of the columns"
            } else {
                "choose the time with --time-key"
            };
            let known = TIME.join(", ");
            Error::missing(format!("a column named one of {known} ({advice})"), names)
        }),
    };
    let time_index = time.as_ref().ok().copied();
    let weight = match &options.weight_key {
        Some(key) => Some(find(names, key)?),
        None => {
            one_of(names, &WEIGHT, velocities, "--weight-key")?.filter(|i| Some(*i) != time_index)
        }
    };
    let is_taken = |i: usize| Some(i) == time_index || Some(i) == weight || velocities.contains(&i);
    let mut notes = Vec::new();
    let points = match &options.points_key {
        Some(keys) => find_all(names, keys)?,
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
    if options.points_key.is_none() && options.velocity_key.is_none() {
        notes.extend(possible_velocities(names, &points));
    }
    Ok(Roles {
        time,
        weight,
        velocity,
        points,
        named: options.points_key.is_some(),
        notes,
    })
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
            "took {} for coordinates; if they are velocities of {}, say --velocity-key {}",
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
fn one_of(names: &[String], known: &[&str], taken: &[usize], flag: &str) -> Result<Option<usize>> {
    let is_known = |i: &usize| known.contains(&names[*i].to_lowercase().as_str());
    let found: Vec<usize> = (0..names.len())
        .filter(is_known)
        .filter(|i| !taken.contains(i))
        .collect();
    ensure!(
        found.len() <= 1,
        Setting,
        "{} could all be meant; choose one with {flag} (and the coordinates with --points-key)",
        found
            .iter()
            .map(|i| format!("{:?}", names[*i]))
            .collect::<Vec<_>>()
            .join(", ")
    );
    Ok(found.first().copied())
}

/// Checks that there are coordinates.
pub(super) fn check_some(count: usize) -> Result<()> {
    ensure!(
        count > 0,
        Value,
        "no column of numbers is left for the coordinates besides those of time, weight and \
         velocity"
    );
    Ok(())
}

/// Checks that there is a velocity in the columns `names` for each of the coordinates.
pub(super) fn check_velocities(names: &[String], coordinates: &[String]) -> Result<()> {
    let (d, count) = (coordinates.len(), names.len());
    ensure!(
        count == d,
        Shape,
        "expected {d} columns of velocities, one for each of {}, got {count}: {}; name them in the \
         order of the coordinates with --velocity-key",
        coordinates.join(", "),
        names.join(", ")
    );
    Ok(())
}

pub(super) fn left_out(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| {
        let (which, are) = if names.len() == 1 {
            ("column", "it is")
        } else {
            ("columns", "they are")
        };
        format!("left out {which} {}: {are} not numbers", names.join(", "))
    })
}

/// Checks that coordinates can stand beside the `reserved` columns of a written table.
pub(super) fn check_reserved(columns: &[String], reserved: &[&str]) -> Result<()> {
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

/// The names of the velocities' columns in a written table, `[d]`.
pub(super) fn velocity_names(columns: &[String]) -> Result<Vec<String>> {
    let names: Vec<String> = columns
        .iter()
        .map(|name| format!("{VELOCITY}{name}"))
        .collect();
    check_reserved(
        columns,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    // --velocity-key could not name it.
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

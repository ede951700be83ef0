//! Which columns of a table hold the time, the weight and the coordinates.

mod coordinates;
mod facts;

use std::collections::{HashMap, HashSet};

pub(super) use self::{
    coordinates::{Content, Why, coordinates, with_time},
    facts::Facts,
};
use crate::{
    data::Keys,
    error::{Error, ErrorKind, Result, ensure},
};

/// How the names of written velocities begin; that of their coordinate follows.
const VELOCITY: &str = "v_";
pub(in crate::data::formats) const TIME: [&str; 6] =
    ["t", "time", "timepoint", "time_point", "day", "hour"];
const WEIGHT: [&str; 3] = ["w", "weight", "weights"];

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
        Some(key) => find_all(names, key, &[]),
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
    let taken: Vec<usize> = time_index.into_iter().chain(weight).collect();
    let taken = [&taken[..], velocities].concat();
    let points = match &keys.points_key {
        Some(key) => find_all(names, key, &taken)?,
        None => (0..names.len()).filter(|i| !taken.contains(i)).collect(),
    };
    let mut used: HashSet<usize> = weight.into_iter().collect();
    let mut all = time_index.iter().chain(&points).chain(velocities);
    if let Some(i) = all.find(|i| !used.insert(**i)) {
        ensure!(false, Setting, "column {:?} is asked for twice", names[*i]);
    }
    Ok(Roles {
        time,
        weight,
        velocity,
        points,
        named: keys.points_key.is_some(),
    })
}

impl Roles {
    /// The columns that are neither time, weight, velocities nor the coordinates of these names.
    pub fn others(&self, names: &[String], coordinates: &[String]) -> Vec<usize> {
        let velocities = self.velocity.iter().flatten().collect::<HashSet<_>>();
        let coordinates = coordinates.iter().collect::<HashSet<_>>();
        let is_taken = |i: &usize| {
            self.time.as_ref().ok() == Some(i)
                || self.weight == Some(*i)
                || velocities.contains(i)
                || coordinates.contains(&names[*i])
        };
        (0..names.len()).filter(|i| !is_taken(i)).collect()
    }
}

/// The columns that names, patterns (`PC_*`) and ranges (`PC_1..PC_30`) between commas choose; a
/// pattern chooses none of those that are `taken`.
pub(super) fn find_all(names: &[String], keys: &str, taken: &[usize]) -> Result<Vec<usize>> {
    let mut found = vec![];
    for key in keys.split(',').map(str::trim) {
        if names.iter().any(|name| name == key) {
            found.push(find(names, key)?);
        } else if let Some((first, last)) = range(key)? {
            // Numbers may be padded: `PC01`. The same letters go before others.
            let (mut same, mut like) = (HashMap::new(), HashMap::new());
            for (place, name) in names.iter().enumerate() {
                match numbered(name) {
                    Some((stem, n)) if stem == first.0 => same.entry(n).or_insert(place),
                    Some((stem, n)) if stem.eq_ignore_ascii_case(first.0) => {
                        like.entry(n).or_insert(place)
                    }
                    _ => continue,
                };
            }
            for number in first.1..=last.1 {
                let column = same.get(&number).or_else(|| like.get(&number)).copied();
                let column = column.ok_or_else(|| {
                    let what = format!("column {:?} of {key:?}", format!("{}{number}", first.0));
                    Error::missing(what, names)
                })?;
                found.push(column);
            }
        } else if key.contains('*') {
            let chosen = |i: &usize| !taken.contains(i) && matches(&names[*i], key);
            let before = found.len();
            found.extend((0..names.len()).filter(chosen));
            ensure!(
                found.len() > before,
                Missing,
                "no column is named like {key:?}; available: {}",
                names.join(", ")
            );
        } else {
            found.push(find(names, key)?);
        }
    }
    Ok(found)
}

/// A name that ends in a number: `PC_` and 1.
type Numbered<'a> = (&'a str, u64);

/// The ends of `PC_1..PC_30`, or `PC_1..30`.
fn range(key: &str) -> Result<Option<(Numbered<'_>, Numbered<'_>)>> {
    let Some((first, last)) = key.split_once("..") else {
        return Ok(None);
    };
    let (first, last) = (first.trim(), last.trim().trim_start_matches(['.', '=']));
    let ends = numbered(first).zip(numbered(last));
    let ends = ends.filter(|((stem, n), (other, m))| {
        n <= m && (other.is_empty() || stem.eq_ignore_ascii_case(other))
    });
    ensure!(
        ends.is_some(),
        Setting,
        "{key:?} is no range of columns; write it as in PC_1..PC_30, the lower number first"
    );
    Ok(ends)
}

fn numbered(name: &str) -> Option<Numbered<'_>> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[stem.len()..].parse().ok()?;
    Some((stem, number))
}

/// Whether `name` is as `pattern` says, in which `*` stands for anything.
fn matches(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_lowercase(), pattern.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The columns with exactly these names.
pub(super) fn found(names: &[String], wanted: &[String]) -> Result<Vec<usize>> {
    // A table of genes has tens of thousands.
    let mut places = HashMap::new();
    for (place, name) in names.iter().enumerate() {
        places.entry(name).or_insert(place);
    }
    let place = |wanted: &String| {
        let place = places.get(wanted).copied();
        place.ok_or_else(|| Error::missing(format!("column {wanted:?}"), names))
    };
    wanted.iter().map(place).collect()
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

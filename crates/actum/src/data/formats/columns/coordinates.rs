//! Which columns are coordinates, where none are named.

use std::{collections::HashMap, fmt};

use super::{Facts, Roles, TIME, VELOCITY, numbered};
use crate::error::{Error, ErrorKind, Result, ensure};

/// What a column holds.
pub(in crate::data::formats) enum Content {
    Numbers(Facts),
    Else(Why),
    /// Numbers that cannot be read as they are, and what to do.
    Unread(String),
}

/// Why a column is no coordinate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data::formats) enum Why {
    /// The index of a data frame.
    Index,
    RowNumbers,
    Text,
    Dates,
    Durations,
    Lists,
    TruthValues,
    Structures,
    Unknown,
    Empty,
    Time,
    Label,
    Quality,
    /// There is a run of numbered names.
    Beside(String),
}

impl Why {
    /// What is said of one column, and of several.
    fn of(&self, one: bool) -> String {
        let [singular, plural] = match self {
            Self::Index | Self::RowNumbers => ["it numbers the rows", "they number the rows"],
            Self::Text => ["it is not numbers", "they are not numbers"],
            Self::Dates => [
                "it has dates or times of day",
                "they have dates or times of day",
            ],
            Self::Durations => ["it has durations", "they have durations"],
            Self::Lists => ["it has lists", "they have lists"],
            Self::TruthValues => ["it is true or false", "they are true or false"],
            Self::Structures => ["it is part of a structure", "they are parts of structures"],
            Self::Unknown => ["it is of a type that is not read"; 2],
            Self::Empty => ["it is empty", "they are empty"],
            Self::Time => ["it is named as a time is", "they are named as times are"],
            Self::Label => [
                "it looks like a label of groups",
                "they look like labels of groups",
            ],
            Self::Quality => [
                "it looks like a measure of quality",
                "they look like measures of quality",
            ],
            Self::Beside(run) => {
                let are = if one { "it is" } else { "they are" };
                return format!("{are} beside {run}");
            }
        };
        if one { singular } else { plural }.to_owned()
    }

    /// Whether it could be a coordinate after all.
    fn is_guess(&self) -> bool {
        match self {
            Self::RowNumbers | Self::Time | Self::Label | Self::Quality | Self::Beside(_) => true,
            Self::Index
            | Self::Text
            | Self::Dates
            | Self::Durations
            | Self::Lists
            | Self::TruthValues
            | Self::Structures
            | Self::Unknown
            | Self::Empty => false,
        }
    }
}

/// What numbers the rows, whatever is in it: pandas' index as csv (unnamed, or read and written
/// again) and as parquet, and the particles of written trajectories.
const INDEX: &[&str] = &["", "unnamed: 0", "__index_level_0__", "level_0", "particle"];

/// Names of columns of whole numbers that tell rows apart, apart from case and what is between
/// words.
const ROWS: &[&str] = &[
    "row",
    "rows",
    "rownumber",
    "rownr",
    "cell",
    "cells",
    "cellid",
    "nr",
];

/// Words that end such names.
const IDS: &[&str] = &[
    "index", "idx", "id", "ids", "rowname", "rownames", "barcode", "uuid",
];

/// Words in the names of columns of whole numbers that tell groups apart.
const LABELS: &[&str] = &[
    "batch",
    "batches",
    "leiden",
    "louvain",
    "cluster",
    "clusters",
    "snn",
    "ident",
    "replicate",
    "replicates",
    "rep",
    "donor",
    "patient",
    "subject",
    "individual",
    "animal",
    "mouse",
    "sample",
    "samples",
    "plate",
    "well",
    "lane",
    "library",
    "run",
    "experiment",
    "phase",
    "group",
    "groups",
    "condition",
    "treatment",
    "label",
    "labels",
    "class",
    "category",
    "type",
    "celltype",
    "clone",
    "lineage",
    "is",
];

/// How the names of measures of quality begin, apart from case and what is between words.
const QUALITY: &[&str] = &[
    "ngene",
    "ncount",
    "nfeature",
    "numi",
    "ncell",
    "totalcount",
    "totalumi",
    "totalgene",
    "log1pntotal",
    "log1ptotal",
    "log1pngene",
    "pctcount",
    "pctmito",
    "pctmt",
    "percent",
    "doublet",
    "scrublet",
    "sizefactor",
    "mito",
    "ribo",
    "sscore",
    "g2mscore",
    "pseudotime",
    "libsize",
];

/// Words that end the stems of numbered coordinates.
const STEMS: &[&str] = &[
    "pc",
    "pcs",
    "pca",
    "dim",
    "dims",
    "dimension",
    "comp",
    "component",
    "components",
    "axis",
    "umap",
    "tsne",
    "phate",
    "trimap",
    "latent",
    "factor",
    "ic",
    "ica",
    "lsi",
    "svd",
    "nmf",
    "dc",
    "diffmap",
    "mds",
    "lda",
    "cca",
    "mnn",
    "harmony",
    "scvi",
    "scanvi",
    "scanorama",
    "embedding",
    "emb",
    "embed",
    "coord",
    "coordinate",
    "coords",
    "feature",
    "var",
    "topic",
    "fa",
    "x",
    "y",
    "z",
    "u",
    "v",
];

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn is_known(stem: &str) -> bool {
    let letters = stem.trim_end_matches(|c: char| !c.is_alphanumeric());
    // Names that are numbers alone are those of an array's columns.
    letters.is_empty() || {
        let words = words(letters);
        words
            .last()
            .is_some_and(|word| STEMS.contains(&word.as_str()))
    }
}

fn is_quality(name: &str) -> bool {
    let letters = words(name).concat();
    QUALITY.iter().any(|start| letters.starts_with(start)) || letters.ends_with("pseudotime")
}

/// What the name says of a column that no run of numbered names has.
fn named(name: &str, is_whole: bool) -> Option<Why> {
    let words = words(name);
    let last = words.last().map(String::as_str).unwrap_or_default();
    if TIME.contains(&name.to_lowercase().as_str()) {
        Some(Why::Time)
    } else if is_whole && (IDS.contains(&last) || ROWS.contains(&words.concat().as_str())) {
        Some(Why::RowNumbers)
    } else if is_whole && words.iter().any(|w| LABELS.contains(&w.as_str())) {
        Some(Why::Label)
    } else {
        is_quality(name).then_some(Why::Quality)
    }
}

/// Columns with names that differ in a number: `PC_1`, `PC_2`, ...
struct Run {
    columns: Vec<usize>,
    pattern: String,
    is_known: bool,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pattern)
    }
}

/// The runs among `columns`, those of one letter (`x1`, `x2`, `y1`, `y2`) as one.
fn runs(names: &[String], columns: &[usize]) -> Vec<Run> {
    let mut stems: Vec<(&str, Vec<(u64, usize)>)> = vec![];
    let mut place = HashMap::new();
    for i in columns {
        // A velocity stands with its coordinate.
        let name = names[*i].strip_prefix(VELOCITY);
        let name = name.filter(|name| columns.iter().any(|j| names[*j] == *name));
        let Some((stem, number)) = numbered(name.unwrap_or(&names[*i])) else {
            continue;
        };
        let at = *place.entry(stem).or_insert_with(|| {
            stems.push((stem, vec![]));
            stems.len() - 1
        });
        stems[at].1.push((number, *i));
    }
    let mut runs: Vec<Run> = vec![];
    let mut of_letters: Option<usize> = None;
    for (stem, mut members) in stems {
        members.sort_unstable();
        let numbers: Vec<u64> = members.iter().map(|(number, _)| *number).collect();
        let mut distinct = numbers.clone();
        distinct.dedup();
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        let follows = last - first + 1 == distinct.len() as u64;
        let letters = stem.trim_end_matches(|c: char| !c.is_alphanumeric());
        let (known, is_letter) = (is_known(stem), letters.chars().count() == 1);
        let is_run = match known {
            true => distinct.len() >= 2 && (follows || !is_letter),
            false => distinct.len() >= 3 && follows && first <= 1,
        };
        if !is_run {
            continue;
        }
        let columns = members.iter().map(|(_, i)| *i);
        let pattern = format!("{stem}{first}..{stem}{last}");
        match of_letters.filter(|_| known && is_letter) {
            Some(at) => {
                runs[at].columns.extend(columns);
                runs[at].pattern += &format!(",{pattern}");
            }
            None => {
                if known && is_letter {
                    of_letters = Some(runs.len());
                }
                runs.push(Run {
                    columns: columns.collect(),
                    pattern,
                    is_known: known,
                });
            }
        }
    }
    // `x1`, `x2`, `y` are of one kind.
    if let Some(at) = of_letters {
        let more = columns.iter().filter(|i| is_axis(&names[**i]));
        runs[at].columns.extend(more);
    }
    runs
}

/// Whether a column has the name of a coordinate, without a number: `x`, `y`, `z`.
fn is_axis(name: &str) -> bool {
    name.len() == 1 && STEMS.contains(&name.to_lowercase().as_str())
}

/// The columns that are coordinates, of those that may be by their roles, and what is to be said
/// about the others. `content` tells what is in a column.
///
/// Where names are numbered (`PC_1`, `PC_2`, ...) these columns are the coordinates. Else all
/// columns of numbers are, but those that number rows, label groups or measure quality.
///
/// # Errors
/// No column is left; a choice that cannot be made without the user.
pub(in crate::data::formats) fn coordinates(
    names: &[String],
    roles: &Roles,
    mut content: impl FnMut(usize) -> Result<Content>,
) -> Result<(Vec<usize>, Vec<String>)> {
    if roles.named {
        return Ok((roles.points.clone(), vec![]));
    }
    let mut left: Vec<(usize, Why)> = vec![];
    let (mut facts, mut unread) = (HashMap::new(), HashMap::new());
    let mut candidates = vec![];
    for i in &roles.points {
        let is_index = INDEX.contains(&names[*i].to_lowercase().as_str());
        match content(*i)? {
            Content::Numbers(found) if is_index && !found.is_empty() && !found.is_whole() => {
                let what =
                    "has measured numbers, and the name of an index; give it a name of its own";
                unread.insert(*i, what.to_owned());
                candidates.push(*i);
            }
            Content::Numbers(found) if found.is_empty() => left.push((*i, Why::Empty)),
            _ if is_index => left.push((*i, Why::Index)),
            Content::Numbers(found) => {
                facts.insert(*i, found);
                candidates.push(*i);
            }
            Content::Else(why) => left.push((*i, why)),
            Content::Unread(message) => {
                unread.insert(*i, message);
                candidates.push(*i);
            }
        }
    }
    let runs = runs(names, &candidates);
    let in_run = |i: &usize| runs.iter().any(|run| run.columns.contains(i));
    let axes = candidates.iter().filter(|i| is_axis(&names[**i])).count();
    // What is in no run is known by its name or by its numbers.
    candidates.retain(|i| {
        let facts = facts.get(i);
        // R calls the numbers of rows `X`; beside `Y` it is a coordinate.
        let has_others = axes > 1 && is_axis(&names[*i]);
        let numbers_rows = !has_others && facts.is_some_and(Facts::number_the_rows);
        let found = numbers_rows.then_some(Why::RowNumbers);
        let is_whole = facts.is_none_or(Facts::is_whole);
        let why = found.or_else(|| named(&names[*i], is_whole));
        let why = why.filter(|_| !in_run(i));
        left.extend(why.clone().map(|why| (*i, why)));
        why.is_none()
    });
    let chosen = choose(names, &runs, &candidates, &facts)?;
    if let Some(run) = chosen {
        let others = candidates.iter().filter(|i| !run.columns.contains(i));
        let why = Why::Beside(run.to_string());
        left.extend(others.map(|i| (*i, why.clone())));
        candidates.retain(|i| run.columns.contains(i));
    }
    if let Some((i, message)) = candidates.iter().find_map(|i| Some((i, unread.get(i)?))) {
        ensure!(
            false,
            Format,
            "column {:?} {message}; or name the columns of the coordinates in `Keys::points_key`",
            names[*i]
        );
    }
    left.sort_by_key(|(i, _)| *i);
    if candidates.is_empty() {
        return Err(none_left(names, roles, &left));
    }
    let mut notes = notes(names, &left);
    if roles.velocity.as_ref().is_ok_and(Vec::is_empty) {
        notes.extend(possible_velocities(names, &candidates));
    }
    Ok((candidates, notes))
}

/// What was chosen, and the time. Where neither is found the column of times may be what is in the
/// way.
pub(in crate::data::formats) fn with_time<T>(
    chosen: Result<T>,
    time: Result<usize>,
) -> Result<(T, Result<usize>)> {
    match (chosen, time) {
        (Ok(chosen), time) => Ok((chosen, time)),
        (Err(error), Ok(_)) => Err(error),
        (Err(error), Err(time)) => {
            Err(Error::new(time.kind(), format!("{time}; besides, {error}")))
        }
    }
}

/// The run that the coordinates are; none where all candidates are.
fn choose<'a>(
    names: &[String],
    runs: &'a [Run],
    candidates: &[usize],
    facts: &HashMap<usize, Facts>,
) -> Result<Option<&'a Run>> {
    let shown = |columns: &[usize]| {
        let shown = columns.iter().map(|i| names[*i].as_str());
        let shown: Vec<_> = shown.take(12).collect();
        let more = if columns.len() > 12 { ",..." } else { "" };
        shown.join(",") + more
    };
    let known: Vec<&Run> = runs.iter().filter(|run| run.is_known).collect();
    if let [run] = known[..] {
        return Ok(Some(run));
    }
    if let [first, .., last] = known[..] {
        let all: Vec<String> = known.iter().map(|run| run.to_string()).collect();
        ensure!(
            false,
            Setting,
            "the coordinates may be {}; choose them with `Keys::points_key`, as {first} or {last}",
            all.join(" or ")
        );
    }
    let groups = |i: &usize| facts.get(i).and_then(Facts::groups);
    let in_run = |i: &usize| runs.iter().any(|run| run.columns.contains(i));
    let is_id = |i: &usize| facts.get(i).is_some_and(Facts::may_be_ids);
    let is_named = |i: &usize| is_axis(&names[*i]) || in_run(i);
    let is_group = |i: &usize| (groups(i).is_some() || is_id(i)) && !is_named(i);
    let (labels, others): (Vec<usize>, Vec<usize>) =
        candidates.iter().copied().partition(|i| is_group(i));
    if let [run] = runs {
        let beside: Vec<usize> = others.iter().copied().filter(|i| !in_run(i)).collect();
        if beside.is_empty() {
            return Ok(Some(run));
        }
        // Names that nobody gives to coordinates alone: genes of a family, say.
        if run.columns.len() > beside.len() {
            ensure!(
                false,
                Setting,
                "{run} may be the coordinates, or {} with them; choose with `Keys::points_key`, as \
                 {run} or {run},{}",
                shown(&beside),
                shown(&beside)
            );
        }
    }
    let measured = others
        .iter()
        .any(|i| facts.get(i).is_some_and(|f| !f.is_whole()));
    // So many columns of whole numbers are counts.
    let are_counts = labels.len() > others.len().max(5);
    if let (Some(label), true, false) = (labels.first(), measured, are_counts) {
        let what = match groups(label) {
            Some(count) => format!("has {count} different whole numbers, as labels of groups"),
            None => "has whole numbers, each another, as names of rows".to_owned(),
        };
        ensure!(
            false,
            Setting,
            "column {:?} {what} are, and others are measured; choose the coordinates with \
             `Keys::points_key`, as {} or, with it, {}",
            names[*label],
            shown(&others),
            shown(candidates)
        );
    }
    Ok(None)
}

fn none_left(names: &[String], roles: &Roles, left: &[(usize, Why)]) -> Error {
    let mut found = vec![];
    let mut say = |i: usize, what: &str| found.push(format!("{:?} {what}", names[i]));
    roles.time.iter().for_each(|i| say(*i, "is the time"));
    roles.weight.iter().for_each(|i| say(*i, "is the weight"));
    for i in roles.velocity.iter().flatten() {
        say(*i, "is a velocity");
    }
    for (i, why) in left {
        let what = why.of(true);
        say(*i, what.strip_prefix("it ").unwrap_or(&what));
    }
    let advice = match left.iter().any(|(_, why)| why.is_guess()) {
        true => "; name those to take in `Keys::points_key`",
        false => "",
    };
    let what = "no column of numbers is left for the coordinates";
    let found = match found.len() {
        0..=20 => found.join(", "),
        n => format!("{} and {} more", found[..20].join(", "), n - 20),
    };
    Error::new(ErrorKind::Value, format!("{what}: {found}{advice}"))
}

/// What was left out, for each reason.
fn notes(names: &[String], left: &[(usize, Why)]) -> Vec<String> {
    let mut reasons: Vec<&Why> = vec![];
    for (_, why) in left {
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    let note = |why: &Why| {
        let of_it = left.iter().filter(|(_, other)| other == why);
        let all: Vec<String> = of_it.map(|(i, _)| format!("{:?}", names[*i])).collect();
        let shown = match all.len() {
            0..=20 => all.join(", "),
            n => format!("{} and {} more", all[..20].join(", "), n - 20),
        };
        let columns = if all.len() == 1 { "column" } else { "columns" };
        let them = if all.len() == 1 { "it" } else { "them" };
        let advice = match why.is_guess() {
            true => format!("; to take {them} as well, name all coordinates in `Keys::points_key`"),
            false => String::new(),
        };
        let reason = why.of(all.len() == 1);
        format!("left out {columns} {shown}: {reason}{advice}")
    };
    reasons.into_iter().map(note).collect()
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

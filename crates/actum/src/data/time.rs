//! Real times: numbers, or labels such as `Day 2`, `36h`, `E8.5`.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result, ensure};

/// The distinct times of a data set: values in increasing order, each with the label shown to
/// people and, where the labels name one, the unit they share.
///
/// A label is a number with an optional prefix and an optional suffix: `3`, `0.5`, `36h`,
/// `12 hours`, `Day 2`, `day10`, `d7`, `E8.5`, `P0`, `t=4`. Upper and lower case agree, spaces and
/// `_` separate, and the spellings of second, minute, hour, day and week agree with each other
/// wherever they stand (`1 day`, `Day 2`, `d3`).
///
/// `-1`, `t=-1`, `Day -2` and `Day (-2)` are negative, with any of Unicode's dashes. A hyphen right
/// after a letter is read by all labels together: in `D-2` beside `D0`, `D2` or `D+2` it is a sign;
/// where all labels have one, as in `day-1`, `day-2`, it only separates. What both readings fit is
/// an error.
///
/// Times that differ by rounding alone (0.3 and 0.1 + 0.2) are one.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeAxis {
    values: Vec<f64>,
    labels: Vec<String>,
    mark: Mark,
    /// How a hyphen after a letter is read, where a label has one.
    hyphen: Option<Hyphen>,
    /// What is to be said of times that were taken for one.
    merged: Option<String>,
}

/// What a hyphen right after a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hyphen {
    Sign,
    Separator,
}

/// A label, read.
#[derive(Debug, Clone)]
struct Label {
    /// The number without its sign.
    size: f64,
    sign: Sign,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Absent,
    Plus,
    Minus,
    /// A hyphen that is a minus sign or only separates.
    Hyphen,
}

impl Label {
    fn value(&self, hyphen: Hyphen) -> f64 {
        match (self.sign, hyphen) {
            // Adding 0 makes -0 the same time as 0, in its bits too.
            (Sign::Minus, _) | (Sign::Hyphen, Hyphen::Sign) => -self.size + 0.0,
            _ => self.size,
        }
    }
}

/// What surrounds the number of a label, in lower case and with one spelling for each unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Mark {
    prefix: String,
    unit: String,
}

impl TimeAxis {
    /// The axis of one number for each row, and for each row the index of its time.
    ///
    /// Labels are the shortest decimal form of the values.
    ///
    /// # Errors
    /// No rows, or a value that is not finite.
    pub fn from_values(rows: &[f64]) -> Result<(Self, Vec<usize>)> {
        if let Some(i) = rows.iter().position(|t| !t.is_finite()) {
            let count = rows.iter().filter(|t| !t.is_finite()).count();
            ensure!(
                false,
                Value,
                "{count} of {} times are not finite, the first at row {i} (counted from 0): {}; \
                 remove those rows",
                rows.len(),
                rows[i]
            );
        }
        Self::gathered(rows, |row| (rows[row] + 0.0).to_string(), Mark::default())
    }

    /// The axis of one duration in seconds for each row: labels as `3 h`, in the largest unit that is
    /// not above the shortest step.
    ///
    /// # Errors
    /// As [`TimeAxis::from_values`].
    pub(super) fn from_seconds(rows: &[f64]) -> Result<(Self, Vec<usize>)> {
        const UNITS: [(&str, f64); 4] =
            [("day", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0)];
        let (seconds, _) = Self::from_values(rows)?;
        let steps = seconds.values.windows(2).map(|pair| pair[1] - pair[0]);
        let least = steps.reduce(f64::min).unwrap_or(seconds.values[0].abs());
        let unit = UNITS.iter().find(|(_, unit)| *unit <= least);
        let (name, unit) = unit.unwrap_or(&UNITS[3]);
        let labels: Vec<String> = rows
            .iter()
            .map(|t| format!("{} {name}", t / unit))
            .collect();
        Self::from_labels(&labels)
    }

    /// The axis of one label for each row, and for each row the index of its time.
    ///
    /// Labels of equal value are one time, shown as the first of them is written.
    ///
    /// # Errors
    /// No rows, labels without a number, or labels with different prefixes or units; the message
    /// lists them.
    pub fn from_labels<S: AsRef<str>>(rows: &[S]) -> Result<(Self, Vec<usize>)> {
        let mut code_of = HashMap::new();
        let mut distinct = Vec::new();
        let codes: Vec<usize> = rows
            .iter()
            .map(|row| {
                let label = row.as_ref().trim();
                *code_of.entry(label).or_insert_with(|| {
                    distinct.push(label);
                    distinct.len() - 1
                })
            })
            .collect();
        let parsed: Vec<_> = distinct.iter().map(|label| parse(label)).collect();
        let unread: Vec<_> = some_of(&distinct, |i| parsed[i].is_none());
        ensure!(
            unread.is_empty(),
            Value,
            "times must be numbers, with a prefix or a unit if you like (`day2`, `36h`, `E8.5`), \
             got {}; give each of these labels its number",
            unread.join(", ")
        );
        let parsed: Vec<Label> = parsed.into_iter().flatten().collect();
        let mark = parsed
            .first()
            .map(|label| label.mark.clone())
            .unwrap_or_default();
        let other = some_of(&distinct, |i| parsed[i].mark != mark);
        ensure!(
            other.is_empty(),
            Value,
            "mixed units: {} and {}; write all times with one prefix and one unit",
            some_of(&distinct, |i| parsed[i].mark == mark).join(", "),
            other.join(", ")
        );
        let hyphen = hyphen(&distinct, &parsed)?;
        let value = |code: &usize| parsed[*code].value(hyphen.unwrap_or(Hyphen::Sign));
        let values: Vec<f64> = codes.iter().map(value).collect();
        let (axis, index) = Self::gathered(&values, |row| distinct[codes[row]].to_owned(), mark)?;
        Ok((Self { hyphen, ..axis }, index))
    }

    fn gathered(
        rows: &[f64],
        label: impl Fn(usize) -> String,
        mark: Mark,
    ) -> Result<(Self, Vec<usize>)> {
        ensure!(
            !rows.is_empty(),
            Value,
            "expected at least one row, got none"
        );
        let distinct: HashSet<u64> = rows.iter().map(|t| (t + 0.0).to_bits()).collect();
        let mut order: Vec<f64> = distinct.into_iter().map(f64::from_bits).collect();
        order.sort_by(f64::total_cmp);
        let mut labels = vec![None; order.len()];
        let index: Vec<usize> = (0..rows.len())
            .map(|row| {
                let i = order.partition_point(|v| *v < rows[row]);
                labels[i].get_or_insert_with(|| label(row));
                i
            })
            .collect();
        let labels: Vec<String> = labels.into_iter().flatten().collect();
        let (mut kept, mut time_of, mut merged) = (vec![], vec![0; order.len()], vec![]);
        for (time, twins) in alike(&order).into_iter().enumerate() {
            // The shortest is what was meant: 0.3, not 0.30000000000000004.
            let meant = twins.clone().min_by_key(|i| labels[*i].len());
            let meant = meant.expect("a time is alike to itself");
            if twins.len() > 1 {
                let others: Vec<_> = twins.clone().filter(|i| *i != meant).collect();
                let others = some_of(&labels, |i| others.contains(&i)).join(", ");
                merged.push(format!("{others} for {:?}", labels[meant]));
            }
            twins.for_each(|i| time_of[i] = time);
            kept.push(meant);
        }
        let axis = Self {
            values: kept.iter().map(|i| order[*i]).collect(),
            labels: kept.iter().map(|i| labels[*i].clone()).collect(),
            mark,
            hyphen: None,
            merged: (!merged.is_empty()).then(|| {
                let shown = some(&merged).join(", ");
                format!("times that differ by rounding alone are one: took {shown}")
            }),
        };
        Ok((axis, index.into_iter().map(|i| time_of[i]).collect()))
    }

    /// The times, strictly increasing.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The times as they were written.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The unit the labels share: `second`, `minute`, `hour`, `day`, `week`, or any other suffix.
    pub fn unit(&self) -> Option<&str> {
        Some(self.mark.unit.as_str()).filter(|unit| !unit.is_empty())
    }

    /// The unit as several of it are called, `days`.
    pub fn units(&self) -> Option<String> {
        let unit = self.unit()?;
        let s = if seconds(unit).is_some() { "s" } else { "" };
        Some(format!("{unit}{s}"))
    }

    /// Whether every label is a plain number.
    pub fn is_plain(&self) -> bool {
        self.labels.iter().all(|label| label.parse::<f64>().is_ok())
    }

    /// What a person should know: which times were taken for one.
    pub(super) fn note(&self) -> Option<&str> {
        self.merged.as_deref()
    }

    /// What stands before the numbers of the labels, in lower case: `e` in `E8.5`. It is empty where
    /// that is a unit, or a word for time.
    pub(super) fn prefix(&self) -> &str {
        &self.mark.prefix
    }

    /// The index of the time a person means by `text`: a label, or its number alone.
    ///
    /// # Errors
    /// [`Missing`](crate::error::ErrorKind::Missing) when there is no such time; the message lists
    /// those there are. [`Value`](crate::error::ErrorKind::Value) for a text that means one time or
    /// another.
    pub fn index_of(&self, text: &str) -> Result<usize> {
        if let Some(i) = self.labelled(text) {
            return Ok(i);
        }
        let known = self.typed(text)?.and_then(|value| self.nearest(value));
        known.ok_or_else(|| {
            let shown = self.labels.iter().map(String::as_str);
            let rest = self.labels.len().saturating_sub(LISTED);
            let more = (rest > 0).then(|| format!("and {rest} more"));
            Error::missing(
                format!("time {text:?}"),
                shown.take(LISTED).chain(more.as_deref()),
            )
        })
    }

    /// The time a person means by `text`: one of the labels, or any number with their prefix and
    /// unit or none, so that times between the known ones can be asked for.
    ///
    /// # Errors
    /// [`Value`](crate::error::ErrorKind::Value) for a text that is not such a time, or means one or
    /// another; the message shows the labels there are.
    pub fn value_of(&self, text: &str) -> Result<f64> {
        if let Some(i) = self.labelled(text) {
            return Ok(self.values[i]);
        }
        let value = self.typed(text)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Value,
                format!(
                    "{text:?} is not a time of this data; write a number, or as in {}",
                    self.shown()
                ),
            )
        })?;
        let known = self.nearest(value);
        Ok(known.map_or(value, |i| self.values[i]))
    }

    fn shown(&self) -> String {
        let shown: Vec<_> = self.labels.iter().take(LISTED).cloned().collect();
        shown.join(", ")
    }

    /// The time that is written so.
    fn labelled(&self, text: &str) -> Option<usize> {
        let mut labels = self.labels.iter();
        labels.position(|label| label.eq_ignore_ascii_case(text.trim()))
    }

    /// The number in a typed text, if it has the prefix and unit of the labels or none.
    fn typed(&self, text: &str) -> Result<Option<f64>> {
        let label = parse(text).filter(|l| l.mark == self.mark || l.mark == Mark::default());
        let Some(label) = label else {
            return Ok(None);
        };
        let negative = self.values.iter().any(|value| *value < 0.0);
        let hyphen = self.hyphen.or(negative.then_some(Hyphen::Sign));
        let readings = [Hyphen::Sign, Hyphen::Separator].map(|hyphen| label.value(hyphen));
        match hyphen {
            Some(hyphen) => Ok(Some(label.value(hyphen))),
            None if readings[0] == readings[1] => Ok(Some(readings[0])),
            None => Err(Error::new(
                ErrorKind::Value,
                format!(
                    "time {text:?} could be {} or {}, for no time of this data has a hyphen ({}); \
                     write the number alone",
                    readings[0],
                    readings[1],
                    self.shown()
                ),
            )),
        }
    }

    /// The known time that a number stands for: times made by sums of steps (0.1 + 0.2) are found
    /// by what they stand for.
    fn nearest(&self, value: f64) -> Option<usize> {
        let distance = |i: &usize| (self.values[*i] - value).abs();
        let nearest = (0..self.values.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let known = self.values[nearest];
        let mut with: Vec<f64> = self.values.clone();
        with.push(value);
        with.sort_by(f64::total_cmp);
        let close = distance(&nearest) <= 1e-9 * known.abs().max(value.abs());
        let one = |twins: std::ops::Range<usize>| {
            with[twins.clone()].contains(&value) && with[twins].contains(&known)
        };
        (close || alike(&with).into_iter().any(one)).then_some(nearest)
    }

    /// The text of a time: its label where it is one of these times, else its number written as
    /// they are, `Day 1.5` beside `Day 1`.
    pub fn label_of(&self, value: f64) -> String {
        let near = |known: &f64| (known - value).abs() <= 1e-9 * known.abs().max(value.abs());
        if let Some(i) = self.values.iter().position(near) {
            return self.labels[i].clone();
        }
        let number = (value + 0.0).to_string();
        let mut times = self.values.iter().zip(&self.labels).rev();
        let framed = times.find_map(|(known, label)| {
            let digit = label.find(|c: char| c.is_ascii_digit())?;
            let start = digit - usize::from(label[..digit].ends_with('.'));
            let end = start + number_length(&label[start..]);
            // A sign would be written twice.
            let is_whole = label[start..end].parse() == Ok(*known) && *known > 0.0;
            is_whole.then(|| format!("{}{number}{}", &label[..start], &label[end..]))
        });
        framed.unwrap_or(number)
    }

    /// The axis with a unit for plain numbers, such as the name of their column tells (`day`).
    pub(crate) fn in_unit(mut self, name: &str) -> Self {
        if self.mark == Mark::default()
            && let Some(unit) = unit_in(name)
        {
            self.mark.unit = unit.to_owned();
        }
        self
    }

    /// These times in the unit of `other`, shown as its are, and what is to be said where they had
    /// to be converted, or are supposed to be in that unit.
    ///
    /// # Errors
    /// Units that are not converted into each other; times with a unit where `other` has none.
    pub(crate) fn as_on(&self, other: &Self) -> Result<(Self, Option<String>)> {
        if self.mark == other.mark {
            return Ok((self.clone(), None));
        }
        let shown = |axis: &Self| axis.labels[..axis.labels.len().min(3)].join(", ");
        let units = [self, other].map(|axis| seconds(&axis.mark.unit));
        let (factors, note) = match units {
            _ if self.mark == Mark::default() => {
                let first = &other.labels[0];
                let note = match other.units() {
                    Some(units) if first.parse::<f64>().is_ok() => {
                        format!("its times have no unit and are taken for {units}")
                    }
                    _ => format!(
                        "its times are plain numbers and are taken for times such as {first}"
                    ),
                };
                ([1.0, 1.0], note)
            }
            [Some(from), Some(to)] if self.mark.prefix == other.mark.prefix => {
                let [ours, theirs] = [self, other].map(|axis| &axis.mark.unit);
                let note = format!("its times are in {ours}s and are converted to {theirs}s");
                ([from, to], note)
            }
            _ => {
                let of = |axis: &Self| match axis.units() {
                    Some(units) => format!("{} (in {units})", shown(axis)),
                    None => shown(axis),
                };
                return Err(Error::new(
                    ErrorKind::Value,
                    format!(
                        "expected times such as {}, got {}, which are not converted; write both in \
                         one unit",
                        of(other),
                        of(self)
                    ),
                ));
            }
        };
        let [from, to] = factors;
        let values: Vec<f64> = self.values.iter().map(|t| t * from / to).collect();
        let axis = Self {
            labels: values.iter().map(|t| other.label_of(*t)).collect(),
            values,
            mark: other.mark.clone(),
            hyphen: other.hyphen,
            merged: self.merged.clone(),
        };
        Ok((axis, Some(note)))
    }

    /// The axis without the times for which `keep` is false.
    pub(super) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = || (0..self.values.len()).filter(|i| keep(*i));
        Self {
            values: kept().map(|i| self.values[i]).collect(),
            labels: kept().map(|i| self.labels[i].clone()).collect(),
            mark: self.mark.clone(),
            hyphen: self.hyphen,
            merged: self.merged.clone(),
        }
    }
}

/// The runs of increasing numbers that differ by rounding alone.
///
/// A step is rounding if it is nothing beside the number, or beside all of them, and beside every
/// step that is not: `0.333333` and 1/3 are one where others are a third away, seconds since 1970
/// are not. Whole numbers are exact.
fn alike(order: &[f64]) -> Vec<std::ops::Range<usize>> {
    let span = order[order.len() - 1] - order[0];
    let size = |pair: &[f64]| pair[0].abs().max(pair[1].abs());
    let small = |pair: &[f64]| pair[1] - pair[0] <= (2e-6 * size(pair)).max(1e-12 * span);
    let steps = order.windows(2).filter(|pair| !small(pair));
    let step = steps.map(|pair| pair[1] - pair[0]).reduce(f64::min);
    let rounded = |pair: &[f64]| {
        let gap = pair[1] - pair[0];
        let whole = pair.iter().all(|t| t.fract() == 0.0);
        let last_bits = gap <= 4.0 * f64::EPSILON * size(pair);
        let nothing = small(pair) && step.is_some_and(|step| gap <= 1e-5 * step);
        !whole && (last_bits || nothing)
    };
    let mut runs = vec![];
    let mut start = 0;
    for end in 1..=order.len() {
        if end == order.len() || !rounded(&order[end - 1..=end]) {
            runs.push(start..end);
            start = end;
        }
    }
    runs
}

/// How the labels' hyphens after letters are read, if there are any.
fn hyphen(distinct: &[&str], labels: &[Label]) -> Result<Option<Hyphen>> {
    let hyphens = || labels.iter().filter(|label| label.sign == Sign::Hyphen);
    if hyphens().next().is_none() {
        return Ok(None);
    }
    let has_twin = |size: f64| hyphens().any(|label| label.size == size);
    let is_sign = labels.iter().any(|label| match label.sign {
        Sign::Hyphen => false,
        Sign::Plus | Sign::Minus => true,
        Sign::Absent => label.size == 0.0 || has_twin(label.size),
    });
    if hyphens().all(|label| label.size == 0.0) {
        return Ok(Some(Hyphen::Separator));
    }
    // Nobody writes -0.
    let is_separator = has_twin(0.0) || hyphens().count() == labels.len();
    match (is_sign, is_separator) {
        (true, false) => Ok(Some(Hyphen::Sign)),
        (false, true) => Ok(Some(Hyphen::Separator)),
        _ => {
            let all = |hyphen| {
                let values = labels.iter().map(|label| label.value(hyphen).to_string());
                some(&values.collect::<Vec<_>>()).join(", ")
            };
            let signed = some_of(distinct, |i| labels[i].sign == Sign::Hyphen);
            Err(Error::new(
                ErrorKind::Value,
                format!(
                    "the hyphen in {} may be a minus sign or only separate, so {} may be {} or {}; \
                     write a space before a minus sign (`day -2`), and no hyphen where none is \
                     meant (`day 2`)",
                    signed.join(", "),
                    some_of(distinct, |_| true).join(", "),
                    all(Hyphen::Sign),
                    all(Hyphen::Separator)
                ),
            ))
        }
    }
}

/// How many labels a message lists.
const LISTED: usize = 40;

/// The first labels of those that are chosen, in quotes, and how many more there are.
fn some_of(labels: &[impl AsRef<str>], chosen: impl Fn(usize) -> bool) -> Vec<String> {
    let all = (0..labels.len()).filter(|i| chosen(*i));
    let quoted: Vec<_> = all.map(|i| format!("{:?}", labels[i].as_ref())).collect();
    some(&quoted)
}

/// The first of a list, and how many more there are.
fn some(all: &[String]) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut list: Vec<_> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        list.push(format!("and {} more", all.len() - SHOWN));
    }
    list
}

/// What stands between a number and what surrounds it.
fn separates(c: char) -> bool {
    c.is_whitespace() || "-_=:.,()[]".contains(c)
}

/// A character as a keyboard has it: dashes and minus signs are `-`.
fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{ff0b}' => '+',
        c => c,
    }
}

/// A label's number and what surrounds it; none unless it has exactly one finite number.
fn parse(label: &str) -> Option<Label> {
    let label: String = label.trim().chars().map(plain).collect();
    let digit = label.find(|c: char| c.is_ascii_digit())?;
    let start = digit - usize::from(label[..digit].ends_with('.'));
    let end = start + number_length(&label[start..]);
    let size: f64 = label[start..end].parse().ok()?;
    let (before, after) = (&label[..start], &label[end..]);
    let is_signed_behind = ["-", "+"].contains(&after.trim());
    if !size.is_finite() || is_signed_behind || after.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (before, sign) = sign(before);
    let prefix = before.trim_matches(separates).to_lowercase();
    let suffix = after.trim_matches(separates).to_lowercase();
    let sign = match suffix.split(separates).any(|word| BEFORE.contains(&word)) {
        true if sign != Sign::Absent => return None,
        true => Sign::Minus,
        false => sign,
    };
    let mark = if let Some(unit) = unit(&suffix) {
        Mark {
            prefix,
            unit: unit.to_owned(),
        }
    } else if let (Some(unit), "") = (unit(&prefix), suffix.as_str()) {
        Mark {
            prefix: String::new(),
            unit: unit.to_owned(),
        }
    } else {
        Mark {
            prefix,
            unit: suffix,
        }
    };
    let says_time = ["t", "time"].contains(&mark.prefix.as_str());
    let prefix = if says_time {
        String::new()
    } else {
        mark.prefix
    };
    let mark = Mark { prefix, ..mark };
    Some(Label { size, sign, mark })
}

/// Words after a number that make it negative: `2 days before`.
const BEFORE: [&str; 3] = ["before", "prior", "ago"];

/// The sign at the end of what stands before a number, and what stands before the sign.
fn sign(before: &str) -> (&str, Sign) {
    let touching = before.trim_end();
    if let Some(rest) = touching.strip_suffix('+') {
        return (rest, Sign::Plus);
    }
    if let Some(rest) = touching.strip_suffix('-') {
        let alone = rest.chars().all(separates);
        let attached = touching.len() == before.len();
        let is_sign = alone || attached && rest.ends_with(separates);
        return (rest, if is_sign { Sign::Minus } else { Sign::Hyphen });
    }
    let words = touching.trim_end_matches(separates);
    let ends = |word: &str| {
        let start = words.len().checked_sub(word.len())?;
        let (rest, end) = words.split_at_checked(start)?;
        // `Dminus2`, and no terminus.
        let of_time = rest.len() == 1 || unit(&rest.to_lowercase()).is_some();
        let apart = rest.is_empty() || rest.ends_with(separates) || of_time;
        (apart && end.eq_ignore_ascii_case(word)).then_some(rest)
    };
    let minus = ["minus", "negative", "neg"].iter().find_map(|w| ends(w));
    let plus = ["plus", "positive", "pos"].iter().find_map(|w| ends(w));
    match (minus, plus) {
        (Some(rest), _) => (rest, Sign::Minus),
        (_, Some(rest)) => (rest, Sign::Plus),
        _ => (before, Sign::Absent),
    }
}

/// Whether a name is that of something else that tells points apart: replicates, donors, plates.
pub(super) fn names_no_time(name: &str) -> bool {
    const ELSE: [&str; 16] = [
        "rep",
        "repl",
        "replicate",
        "batch",
        "donor",
        "patient",
        "subject",
        "sample",
        "plate",
        "lane",
        "well",
        "run",
        "library",
        "cluster",
        "group",
        "mouse",
    ];
    let name = name.to_lowercase();
    let words = || name.split(|c: char| !c.is_alphanumeric());
    let is_time = |word: &str| word.contains("time") || unit(word).is_some();
    let is_else =
        |word: &str| ELSE.contains(&word) || word.ends_with("rep") || word.ends_with("replicate");
    words().any(is_else) && !words().any(is_time)
}

/// The length of the decimal number, with its exponent, that `text` starts with.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

fn unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => "second",
        "min" | "mins" | "minute" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hour" | "hours" => "hour",
        "d" | "day" | "days" => "day",
        "w" | "wk" | "wks" | "week" | "weeks" => "week",
        _ => return None,
    })
}

/// The seconds of a unit of time.
fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "second" => 1.0,
        "minute" => 60.0,
        "hour" => 3600.0,
        "day" => 86_400.0,
        "week" => 604_800.0,
        _ => return None,
    })
}

/// The unit that the name of a column of times tells: `day`, `Hours`, `time_h`, `t [min]`.
fn unit_in(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    // A letter alone is a name of many things.
    let (last, rest) = words.split_last()?;
    let says_time = rest
        .iter()
        .any(|word| ["t", "time", "timepoint"].contains(word));
    unit(last).filter(|_| last.len() > 1 || says_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn value(label: &str) -> f64 {
        parse(label).unwrap().value(Hyphen::Sign)
    }

    #[test]
    fn labels_people_write_have_their_value() {
        let cases = [
            ("3", 3.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("36h", 36.0),
            ("Day 2", 2.0),
            ("day10", 10.0),
            ("E8.5", 8.5),
            ("D3", 3.0),
            ("t=4", 4.0),
            ("12 hours", 12.0),
            ("d7", 7.0),
            ("P0", 0.0),
            ("-1", -1.0),
            ("-0.5", -0.5),
            ("-.5", -0.5),
            ("day_2", 2.0),
            ("D_-2", -2.0),
            ("Day (-2)", -2.0),
            ("Day -2", -2.0),
            ("D--2", -2.0),
            ("D-2", -2.0),
            ("E-2.5", -2.5),
            ("D+7", 7.0),
            ("Day +7", 7.0),
            ("\u{2212}2", -2.0),
            ("D\u{2212}2", -2.0),
            ("Day \u{2013}2", -2.0),
            ("minus 2", -2.0),
            ("Day minus 2", -2.0),
            ("Dminus2", -2.0),
            ("Day_neg_2", -2.0),
            ("day plus 2", 2.0),
            ("2 days before", -2.0),
            ("t=-1", -1.0),
            ("1e3", 1000.0),
            ("2e-1 s", 0.2),
            ("day.5", 0.5),
            ("24 hpf", 24.0),
            ("5.", 5.0),
            (" 7 ", 7.0),
        ];
        for (label, expected) in cases {
            assert_eq!(value(label), expected, "{label}");
        }
        for label in [
            "early",
            "",
            "-",
            "nan",
            "inf",
            "1e999",
            "d7_rep1",
            "2024-01-05",
            "1,000",
            "-2 days before",
            "2-",
            "2+",
        ] {
            assert!(parse(label).is_none(), "{label}");
        }
    }

    #[test]
    fn times_are_ordered_by_value_and_shown_as_written() {
        let (axis, index) = TimeAxis::from_labels(&["day10", "Day 2", "day10", "1 day"]).unwrap();
        assert_eq!(axis.values(), [1.0, 2.0, 10.0]);
        assert_eq!(axis.labels(), ["1 day", "Day 2", "day10"]);
        assert_eq!(axis.unit(), Some("day"));
        assert_eq!(index, [2, 1, 2, 0]);
        assert!(!axis.is_plain());
    }

    #[test]
    fn labels_of_equal_value_are_one_time() {
        let (axis, index) = TimeAxis::from_labels(&["day2", "Day 2.0", "d_3"]).unwrap();
        assert_eq!(axis.labels(), ["day2", "d_3"]);
        assert_eq!(index, [0, 0, 1]);
        let (axis, _) = TimeAxis::from_values(&[-0.0, 0.0]).unwrap();
        assert_eq!(axis.values()[0].to_bits(), 0f64.to_bits());
        assert_eq!(axis.labels(), ["0"]);
        assert_eq!(axis.values().len(), 1);
    }

    #[test]
    fn labels_that_cannot_be_ordered_are_listed() {
        let message = |rows: &[&str]| TimeAxis::from_labels(rows).unwrap_err().to_string();
        let mixed = message(&["36h", "day 2", "day 3"]);
        assert!(
            mixed.contains("mixed units: \"36h\" and \"day 2\", \"day 3\""),
            "{mixed}"
        );
        let words = message(&["early", "3", "late"]);
        assert!(words.contains("got \"early\", \"late\""), "{words}");
        let bare = message(&["day 2", "3"]);
        assert!(bare.contains("mixed"), "{bare}");
    }

    #[test]
    fn what_a_person_types_finds_the_time() {
        let (axis, _) = TimeAxis::from_labels(&["day2", "day10"]).unwrap();
        for text in ["2", "day2", "Day 2", "d2", "2.0", "2 days", "t=2"] {
            assert_eq!(axis.index_of(text).unwrap(), 0, "{text}");
        }
        for text in ["36h", "2h", "3", "two", ""] {
            let error = axis.index_of(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Missing);
            assert!(error.to_string().contains("day2, day10"), "{error}");
        }
        let (steps, _) = TimeAxis::from_values(&[0.0, 0.1 + 0.2, 0.5]).unwrap();
        assert_eq!(steps.index_of("0.3").unwrap(), 1);
        assert_eq!(steps.index_of("0").unwrap(), 0);
    }

    #[test]
    fn times_of_another_unit_are_converted_or_refused() {
        let axis = |labels: &[&str]| TimeAxis::from_labels(labels).unwrap().0;
        let days = axis(&["Day 0", "Day 1", "Day 4"]);
        let (same, note) = axis(&["d1", "4 days"]).as_on(&days).unwrap();
        assert_eq!(
            (same.labels(), note),
            (&["d1".into(), "4 days".into()][..], None)
        );
        for hours in [axis(&["24h", "36 hours"]), axis(&["1440 min", "2160 min"])] {
            let (found, note) = hours.as_on(&days).unwrap();
            assert_eq!(found.values(), [1.0, 1.5]);
            assert_eq!(found.labels(), ["Day 1", "Day 1.5"]);
            assert!(note.unwrap().contains("converted to days"));
        }
        let (bare, note) = axis(&["0", "2"]).as_on(&days).unwrap();
        assert_eq!(bare.labels(), ["Day 0", "Day 2"]);
        assert!(note.unwrap().contains("such as Day 0"));
        for other in [
            axis(&["E1", "E2"]),
            axis(&["1 hpf", "2 hpf"]),
            axis(&["rep1"]),
        ] {
            let error = other.as_on(&days).unwrap_err().to_string();
            assert!(error.contains("Day 0, Day 1, Day 4"), "{error}");
            assert!(error.contains(&other.labels()[0]), "{error}");
        }
        // Numbers without a unit cannot be compared with hours.
        let error = axis(&["0h", "1h"]).as_on(&axis(&["0", "1"])).unwrap_err();
        assert!(error.to_string().contains("0h, 1h"), "{error}");
    }

    #[test]
    fn the_name_of_a_column_tells_the_unit_of_plain_numbers() {
        for (name, expected) in [
            ("day", Some("day")),
            ("Hours", Some("hour")),
            ("time_h", Some("hour")),
            ("Time [min]", Some("minute")),
            ("t", None),
            ("d", None),
            ("timepoint", None),
            ("birthday", None),
        ] {
            let (axis, _) = TimeAxis::from_values(&[0.0, 1.0]).unwrap();
            assert_eq!(axis.in_unit(name).unit(), expected, "{name}");
        }
        let (labelled, _) = TimeAxis::from_labels(&["0h", "1h"]).unwrap();
        assert_eq!(labelled.in_unit("day").unit(), Some("hour"));
    }

    #[test]
    fn a_time_between_others_is_written_as_they_are() {
        let axis = |labels: &[&str]| TimeAxis::from_labels(labels).unwrap().0;
        for (labels, value, expected) in [
            (&["Day 0", "Day 3"][..], 1.5, "Day 1.5"),
            (&["Day 0", "Day 3"], 3.0, "Day 3"),
            (&["0h", "36h"], 0.25, "0.25h"),
            (&["E8.5", "E9.5"], 9.0, "E9"),
            (&["day-1", "day-2"], 1.5, "day-1.5"),
            (&["0", "2"], 0.1 + 0.2, "0.30000000000000004"),
            (&["t=0", "t=.5"], 0.25, "t=0.25"),
            (&["-2", "-1"], -1.5, "-1.5"),
        ] {
            assert_eq!(axis(labels).label_of(value), expected);
        }
    }

    #[test]
    fn a_hyphen_is_read_by_all_labels_together() {
        let values = |rows: &[&str]| {
            let axis = TimeAxis::from_labels(rows).map(|(axis, _)| axis);
            axis.map(|axis| axis.values().to_vec())
        };
        let cases: [(&[&str], &[f64]); 12] = [
            (&["D-3", "D-1", "D0", "D2"], &[-3.0, -1.0, 0.0, 2.0]),
            (&["T-1", "T0", "T1", "T2"], &[-1.0, 0.0, 1.0, 2.0]),
            (&["W-2", "W2", "W4"], &[-2.0, 2.0, 4.0]),
            (&["E-2", "E+3"], &[-2.0, 3.0]),
            (&["D-3", "D -1", "D2"], &[-3.0, -1.0, 2.0]),
            (&["D_-2", "D_0", "D_2"], &[-2.0, 0.0, 2.0]),
            (&["Day (-2)", "Day (3)"], &[-2.0, 3.0]),
            (&["D\u{2212}2", "D0"], &[-2.0, 0.0]),
            (&["day-1", "day-2", "day-3"], &[1.0, 2.0, 3.0]),
            (&["day-0", "day-1", "day-2"], &[0.0, 1.0, 2.0]),
            (&["day-0", "day-1", "day 2"], &[0.0, 1.0, 2.0]),
            (&["D+7", "D14"], &[7.0, 14.0]),
        ];
        for (labels, expected) in cases {
            assert_eq!(values(labels).unwrap(), expected, "{labels:?}");
        }
        let error = values(&["D-7", "D1", "D14"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        for part in ["\"D-7\"", "-7, 1, 14 or 7, 1, 14", "`day -2`"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        // A twin says that it is a sign, -0 that it is none.
        assert!(values(&["D-0", "D-1", "D1"]).is_err());
    }

    #[test]
    fn what_a_person_types_is_read_as_the_labels_are() {
        let of = |rows: &[&str]| TimeAxis::from_labels(rows).unwrap().0;
        let signs = of(&["Day-3", "Day0", "Day2"]);
        assert_eq!(signs.index_of("Day -3").unwrap(), 0);
        assert_eq!(signs.index_of("\u{2212}3").unwrap(), 0);
        assert_eq!(signs.value_of("Day-2").unwrap(), -2.0);
        assert_eq!(signs.value_of("2").unwrap(), 2.0);
        let spaced = of(&["Day -3", "Day 0", "Day 2"]);
        assert_eq!(spaced.value_of("Day-2").unwrap(), -2.0);
        let separated = of(&["day-1", "day-2"]);
        assert_eq!(separated.index_of("day-2").unwrap(), 1);
        assert_eq!(separated.value_of("day-1.5").unwrap(), 1.5);
        assert_eq!(separated.value_of("-1.5").unwrap(), -1.5);
        let none = of(&["day 0", "day 2"]);
        for error in [
            none.value_of("Day-2").unwrap_err(),
            none.index_of("d-2").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains("could be -2 or 2"), "{error}");
        }
        assert_eq!(none.value_of("day-0").unwrap(), 0.0);
    }

    #[test]
    fn times_that_differ_by_rounding_alone_are_one() {
        let of = |rows: &[f64]| TimeAxis::from_values(rows).unwrap();
        let (axis, index) = of(&[0.0, 0.1, 0.1 + 2e-17, 0.2, 0.3, 0.1 + 0.2]);
        assert_eq!(axis.values(), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(index, [0, 1, 1, 2, 3, 3]);
        let note = axis.note().unwrap();
        assert!(
            note.contains("\"0.30000000000000004\" for \"0.3\""),
            "{note}"
        );
        let (axis, _) = of(&[0.0, 0.333333, 1.0 / 3.0, 2.0 / 3.0, 1.0]);
        assert_eq!(axis.values(), [0.0, 0.333333, 2.0 / 3.0, 1.0]);
        assert_eq!(axis.labels()[1], "0.333333");
        assert_eq!(axis.index_of("0.3333333").unwrap(), 1);
        assert_eq!(axis.value_of("0.3333333333333333").unwrap(), 0.333333);
        // What is left where 0.3 is taken from 0.1 + 0.2.
        let (axis, _) = of(&[0.0, 0.1 + 0.2 - 0.3, 0.5, 1.0]);
        assert_eq!(axis.values(), [0.0, 0.5, 1.0]);
        assert_eq!(of(&[0.1, 0.1 + 2e-17]).0.values(), [0.1]);

        let day = 86_400.0;
        for apart in [
            // Seconds since 1970, days since 4713 BC, minutes in days, five decades.
            vec![1.7e9, 1.7e9 + 1.0, 1.7e9 + day, 1.7e9 + 90.0 * day],
            vec![2_460_000.5, 2_460_000.5 + 1.0 / day, 2_460_001.5],
            vec![0.0, 1.0 / 1440.0, 1.0, 2.0],
            vec![1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0],
            vec![1e6, 1e6 + 1.0],
            vec![5.0, 5.0 + 1e-9],
        ] {
            let (axis, _) = of(&apart);
            assert_eq!(axis.values(), apart);
            assert_eq!(axis.note(), None);
        }
        let (axis, index) = TimeAxis::from_labels(&["0.1", "0.2", "0.10000000000000002"]).unwrap();
        assert_eq!((axis.labels().len(), index), (2, vec![0, 1, 0]));
    }

    #[test]
    fn names_of_replicates_are_no_names_of_times() {
        for name in [
            "rep",
            "Replicate",
            "tech_rep",
            "biorep",
            "donor id",
            "batch",
        ] {
            assert!(names_no_time(name), "{name}");
        }
        for name in [
            "day",
            "t",
            "sample_time",
            "well hour",
            "stage",
            "",
            "e",
            "sleep",
        ] {
            assert!(!names_no_time(name), "{name}");
        }
    }

    #[test]
    fn times_that_are_not_finite_are_counted_and_placed() {
        let error = TimeAxis::from_values(&[0.0, f64::NAN, f64::INFINITY]).unwrap_err();
        assert!(error.to_string().contains("2 of 3"), "{error}");
        assert!(error.to_string().contains("row 1"), "{error}");
    }
}

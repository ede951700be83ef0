//! Real times: numbers, or labels such as `Day 2`, `36h`, `E8.5`.

mod label;
mod unit;

use std::collections::{HashMap, HashSet};

use label::{Hyphen, LISTED, Label, Mark, hyphen, number_length, parse, some, some_of};
pub(super) use unit::names_no_time;
use unit::{seconds, unit_in};

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

impl TimeAxis {
    /// The axis of one number for each row, and for each row the index of its time.
    ///
    /// Labels are the shortest decimal form of the values.
    ///
    /// # Errors
    /// No rows, a value that is not finite, or more than 20,000 distinct ones.
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
    /// No rows, more than 20,000 distinct labels, labels without a number, or labels with different
    /// prefixes or units; the message lists them.
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
        check_number(distinct.len())?;
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
        check_number(distinct.len())?;
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

    /// The number in a typed text, in the unit of the labels, if it has their prefix and a unit
    /// that is converted to theirs, or neither.
    fn typed(&self, text: &str) -> Result<Option<f64>> {
        let Some(label) = parse(text) else {
            return Ok(None);
        };
        let [from, to] = [&label.mark, &self.mark].map(|mark| seconds(&mark.unit));
        let factor = match (from, to) {
            _ if label.mark == self.mark || label.mark == Mark::default() => 1.0,
            (Some(from), Some(to)) if label.mark.prefix == self.mark.prefix => from / to,
            _ => return Ok(None),
        };
        let negative = self.values.iter().any(|value| *value < 0.0);
        let hyphen = self.hyphen.or(negative.then_some(Hyphen::Sign));
        let readings = [Hyphen::Sign, Hyphen::Separator].map(|hyphen| factor * label.value(hyphen));
        match hyphen {
            Some(hyphen) => Ok(Some(factor * label.value(hyphen))),
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

/// More times than this are no snapshots, and what is asked of each pair of them never ends.
const MOST: usize = 20_000;

fn check_number(times: usize) -> Result<()> {
    ensure!(
        times <= MOST,
        Value,
        "expected at most {MOST} distinct times, got {times}: snapshots are many points at few times; \
         name another column of times (see `Keys::time_key`), or round these"
    );
    Ok(())
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

#[cfg(test)]
mod tests;

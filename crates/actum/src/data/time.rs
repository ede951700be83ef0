//! Real times: numbers, or labels such as `Day 2`, `36h`, `E8.5`.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result, ensure};

/// The distinct times of a data set: values in increasing order, each with the label shown to
/// people and, where the labels name one, the unit they share.
///
/// A label is a number with an optional prefix and an optional suffix: `3`, `0.5`, `36h`,
/// `12 hours`, `Day 2`, `day10`, `d7`, `E8.5`, `P0`, `t=4`. Upper and lower case agree, spaces,
/// `_` and `-` separate (`day-2` is day 2; `-1` and `t=-1` are negative), and the spellings of
/// second, minute, hour, day and week agree with each other wherever they stand (`1 day`,
/// `Day 2`, `d3`).
#[derive(Debug, Clone, PartialEq)]
pub struct TimeAxis {
    values: Vec<f64>,
    labels: Vec<String>,
    mark: Mark,
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
        let parsed: Vec<_> = parsed.into_iter().flatten().collect();
        let mark = parsed
            .first()
            .map(|(_, mark)| mark.clone())
            .unwrap_or_default();
        let other = some_of(&distinct, |i| parsed[i].1 != mark);
        ensure!(
            other.is_empty(),
            Value,
            "mixed units: {} and {}; write all times with one prefix and one unit",
            some_of(&distinct, |i| parsed[i].1 == mark).join(", "),
            other.join(", ")
        );
        let values: Vec<f64> = codes.iter().map(|code| parsed[*code].0).collect();
        Self::gathered(&values, |row| distinct[codes[row]].to_owned(), mark)
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
        // Adding 0 makes -0 the same time as 0, in its bits too.
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
        let axis = Self {
            values: order,
            labels: labels.into_iter().flatten().collect(),
            mark,
        };
        Ok((axis, index))
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

    /// The index of the time a person means by `text`: a label, or its number alone.
    ///
    /// # Errors
    /// [`Missing`](crate::error::ErrorKind::Missing) when there is no such time; the message lists
    /// those there are.
    pub fn index_of(&self, text: &str) -> Result<usize> {
        let text = text.trim();
        if let Some(i) = self
            .labels
            .iter()
            .position(|l| l.eq_ignore_ascii_case(text))
        {
            return Ok(i);
        }
        let nearest = parse(text)
            .filter(|(_, mark)| *mark == self.mark || *mark == Mark::default())
            .and_then(|(value, _)| {
                // Times made by sums of steps (0.1 + 0.2) are still found by what they stand for.
                (0..self.values.len()).find(|i| {
                    let known = self.values[*i];
                    (known - value).abs() <= 1e-9 * known.abs().max(value.abs())
                })
            });
        nearest.ok_or_else(|| {
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
    /// [`Value`](crate::error::ErrorKind::Value) for a text that is not such a time; the message
    /// shows the labels there are.
    pub fn value_of(&self, text: &str) -> Result<f64> {
        if let Ok(i) = self.index_of(text) {
            return Ok(self.values[i]);
        }
        let value = parse(text.trim())
            .filter(|(_, mark)| *mark == self.mark || *mark == Mark::default())
            .map(|(value, _)| value);
        value.ok_or_else(|| {
            Error::new(
                ErrorKind::Value,
                format!(
                    "{text:?} is not a time of this data; write a number, or as in {}",
                    self.labels
                        .iter()
                        .take(LISTED)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            )
        })
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
        }
    }
}

/// How many labels a message lists.
const LISTED: usize = 40;

fn some_of(labels: &[&str], chosen: impl Fn(usize) -> bool) -> Vec<String> {
    let all = (0..labels.len()).filter(|i| chosen(*i));
    let mut list: Vec<_> = all
        .clone()
        .take(8)
        .map(|i| format!("{:?}", labels[i]))
        .collect();
    let rest = all.count() - list.len();
    if rest > 0 {
        list.push(format!("and {rest} more"));
    }
    list
}

/// The value of a label and what surrounds it; none unless it has exactly one finite number.
fn parse(label: &str) -> Option<(f64, Mark)> {
    let label = label.trim();
    let digit = label.find(|c: char| c.is_ascii_digit())?;
    let mut start = digit;
    if label[..start].ends_with('.') {
        start -= 1;
    }
    // A sign after a letter or a digit only separates: `day-2`.
    if label[..start].ends_with(['-', '+']) {
        let before = label[..start - 1].chars().next_back();
        if before.is_none_or(|c| c == '=' || c == ':' || c.is_whitespace()) {
            start -= 1;
        }
    }
    let end = start + number_length(&label[start..]);
    let value: f64 = label[start..end].parse().ok()?;
    let (before, after) = (&label[..start], &label[end..]);
    if !value.is_finite() || after.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let separator = |c: char| c.is_whitespace() || "-_=:.,()[]".contains(c);
    let prefix = before.trim_matches(separator).to_lowercase();
    let suffix = after.trim_matches(separator).to_lowercase();
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
    Some((value, Mark { prefix, ..mark }))
}

/// The length of the decimal number, with sign and exponent, that `text` starts with.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = usize::from(text.starts_with(['-', '+']));
    end += digits(end);
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
        parse(label).unwrap().0
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
            ("day-2", 2.0),
            ("day_2", 2.0),
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
    fn times_that_are_not_finite_are_counted_and_placed() {
        let error = TimeAxis::from_values(&[0.0, f64::NAN, f64::INFINITY]).unwrap_err();
        assert!(error.to_string().contains("2 of 3"), "{error}");
        assert!(error.to_string().contains("row 1"), "{error}");
    }
}

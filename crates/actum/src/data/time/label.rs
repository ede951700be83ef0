//! A label of a time: the number in it, its sign, and what surrounds it.

use super::unit::unit;
use crate::error::{Error, ErrorKind, Result};

/// What a hyphen right after a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hyphen {
    Sign,
    Separator,
}

/// A label, read.
#[derive(Debug, Clone)]
pub(super) struct Label {
    /// The number without its sign.
    pub(super) size: f64,
    pub(super) sign: Sign,
    pub(super) mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Absent,
    Plus,
    Minus,
    /// A hyphen that is a minus sign or only separates.
    Hyphen,
}

impl Label {
    pub(super) fn value(&self, hyphen: Hyphen) -> f64 {
        match (self.sign, hyphen) {
            // Adding 0 makes -0 the same time as 0, in its bits too.
            (Sign::Minus, _) | (Sign::Hyphen, Hyphen::Sign) => -self.size + 0.0,
            _ => self.size,
        }
    }
}

/// What surrounds the number of a label, in lower case and with one spelling for each unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) prefix: String,
    pub(super) unit: String,
}

/// A label's number and what surrounds it; none unless it has exactly one finite number.
pub(super) fn parse(label: &str) -> Option<Label> {
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

/// A character as a keyboard has it: dashes and minus signs are `-`.
fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{ff0b}' => '+',
        c => c,
    }
}

/// What stands between a number and what surrounds it.
fn separates(c: char) -> bool {
    c.is_whitespace() || "-_=:.,()[]".contains(c)
}

/// The length of the decimal number, with its exponent, that `text` starts with.
pub(super) fn number_length(text: &str) -> usize {
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

/// How the labels' hyphens after letters are read, if there are any.
pub(super) fn hyphen(distinct: &[&str], labels: &[Label]) -> Result<Option<Hyphen>> {
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
pub(super) const LISTED: usize = 40;

/// The first labels of those that are chosen, in quotes, and how many more there are.
pub(super) fn some_of(labels: &[impl AsRef<str>], chosen: impl Fn(usize) -> bool) -> Vec<String> {
    let all = (0..labels.len()).filter(|i| chosen(*i));
    let quoted: Vec<_> = all.map(|i| format!("{:?}", labels[i].as_ref())).collect();
    some(&quoted)
}

/// The first of a list, and how many more there are.
pub(super) fn some(all: &[String]) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut list: Vec<_> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        list.push(format!("and {} more", all.len() - SHOWN));
    }
    list
}

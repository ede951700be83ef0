//! What writers say of a Parquet file's columns beyond their types: the Arrow schema (durations,
//! dictionaries), as FlatBuffers in base64, and pandas' list of indices, as JSON. See `Schema.fbs`
//! and `Message.fbs` of the Apache Arrow format.

use std::collections::HashMap;

use parquet::file::metadata::KeyValue;

/// What is said of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Told {
    /// Of a duration, how many are a second.
    pub per_second: Option<f64>,
    /// Its values are codes of a list: a pandas categorical, say.
    pub is_dictionary: bool,
    /// pandas keeps its index in it.
    pub is_index: bool,
}

/// What is said of all columns, by their names; files that say nothing, or nothing that is
/// understood, have none.
pub(super) struct Words(HashMap<String, Told>);

impl Words {
    pub(super) fn of(&self, column: &str) -> Told {
        self.0.get(column).cloned().unwrap_or_default()
    }
}

pub(super) fn told(metadata: Option<&Vec<KeyValue>>) -> Words {
    let value = |key: &str| {
        let found = metadata?.iter().find(|pair| pair.key == key)?;
        found.value.as_deref()
    };
    let mut told = value("ARROW:schema")
        .and_then(from_base64)
        .and_then(|bytes| fields(&bytes))
        .unwrap_or_default();
    let pandas = value("pandas").and_then(|text| serde_json::from_str(text).ok());
    let pandas: serde_json::Value = pandas.unwrap_or_default();
    let indices = pandas["index_columns"].as_array().into_iter().flatten();
    for name in indices.filter_map(|index| index.as_str()) {
        told.entry(name.to_owned()).or_default().is_index = true;
    }
    Words(told)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (vec![], 0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(six), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

/// The fields of an encapsulated message that is a schema.
fn fields(bytes: &[u8]) -> Option<HashMap<String, Told>> {
    // Since version 0.15 a length follows four bytes of ones.
    let skipped = if bytes.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let all = Buffer(bytes.get(skipped..)?);
    let message = all.follow(0)?;
    let schema = all.follow(all.field(message, 2)?)?;
    let list = all.follow(all.field(schema, 1)?)?;
    let mut told = HashMap::new();
    for k in 0..all.number(list)? as usize {
        let field = all.follow(list + 4 + 4 * k)?;
        let name = all.text(all.follow(all.field(field, 0)?)?)?;
        let kind = all.field(field, 2).and_then(|at| all.0.get(at));
        let per_second = (kind == Some(&DURATION)).then(|| {
            let unit = all.field(field, 3).and_then(|at| all.follow(at));
            let unit = unit.and_then(|table| all.0.get(all.field(table, 0)?).copied());
            // Milliseconds are not written down.
            [1.0, 1e3, 1e6, 1e9]
                .get(usize::from(unit.unwrap_or(1)))
                .copied()
        });
        let about = Told {
            per_second: per_second.flatten(),
            is_dictionary: all.field(field, 4).is_some(),
            is_index: false,
        };
        told.insert(name.to_owned(), about);
    }
    Some(told)
}

const DURATION: u8 = 18;

/// FlatBuffers: offsets are relative to where they stand.
struct Buffer<'a>(&'a [u8]);

impl Buffer<'_> {
    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Where the offset at `at` leads.
    fn follow(&self, at: usize) -> Option<usize> {
        at.checked_add(self.number(at)? as usize)
    }

    /// Where field `id` of the table at `table` is, if it has it.
    fn field(&self, table: usize, id: usize) -> Option<usize> {
        let back = self.number(table)? as i32;
        let fields = usize::try_from(i64::try_from(table).ok()? - i64::from(back)).ok()?;
        let short = |at: usize| {
            let bytes = self.0.get(at..at.checked_add(2)?)?;
            Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
        };
        let entry = 4 + 2 * id;
        let offset = (entry < short(fields)?).then(|| short(fields.checked_add(entry)?))??;
        (offset > 0).then(|| table.checked_add(offset))?
    }

    fn text(&self, at: usize) -> Option<&str> {
        let start = at.checked_add(4)?;
        let bytes = self
            .0
            .get(start..start.checked_add(self.number(at)? as usize)?)?;
        std::str::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        // RFC 4648, section 10.
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(from_base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(from_base64("a b"), None);
    }

    #[test]
    fn damaged_schemas_say_nothing() {
        for length in 0..64 {
            assert!(fields(&vec![0xff; length]).is_none());
            assert!(fields(&vec![0x7f; length]).is_none());
        }
    }
}

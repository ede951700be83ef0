//! An open Parquet file.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Type as Physical},
    column::{
        page::PageReader,
        reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    },
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    file::reader::{ChunkReader, FileReader, Length, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{
    arrow::{self, Told},
    columns::{Content, Facts, Why},
    content,
    pages::{self, ZstdPages},
};
use crate::{
    data::reader::{CHUNK, Labels},
    error::{Error, ErrorKind, Result, ensure},
};

/// Bytes of a file on disk.
struct Disk {
    file: File,
    length: u64,
}

impl Length for Disk {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Disk {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A damaged length must not ask for all memory.
        if start.saturating_add(length as u64) > self.length {
            return Err(ParquetError::EOF("a column ends after the file".to_owned()));
        }
        self.file.get_bytes(start, length)
    }
}

/// An open file, of which a few pages at a time are in memory.
pub(super) struct Source {
    disk: Arc<Disk>,
    reader: SerializedFileReader<Disk>,
    pub names: Vec<String>,
    /// What the writer says of each column beyond its type.
    told: Vec<Told>,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Number,
    Half,
    Decimal { scale: i32 },
    Duration { per_second: f64 },
    Text,
    Date,
    TruthValue,
    List,
    Structure,
    Unknown,
}

/// The crate checks lengths, yet a few of its decoders panic on damaged pages.
pub(super) fn unbroken<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Format,
            "the file is damaged: its pages cannot be decoded",
        ))
    })
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let disk = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok(Disk { file, length })
        };
        let disk = || disk().map_err(|cause| Error::io("read", path, cause));
        let mut start = vec![];
        let read = disk()?.file.take(8).read_to_end(&mut start);
        read.map_err(|cause| Error::io("read", path, cause))?;
        content::check(&start, b"PAR1", "Parquet")?;
        unbroken(|| {
            let reader = SerializedFileReader::new(disk()?).map_err(|error| {
                let what = "the file is not a complete Parquet file; it may be truncated";
                Error::new(ErrorKind::Format, what).because(error)
            })?;
            let about = reader.metadata().file_metadata();
            let columns = about.schema_descr().columns();
            let root = |column: &ColumnDescriptor| column.path().parts()[0].clone();
            let names = columns.iter().map(|column| {
                let alone = columns.iter().filter(|c| root(c) == root(column)).count() == 1;
                match column.max_rep_level() > 0 && alone {
                    true => root(column),
                    false => column.path().string(),
                }
            });
            let told = arrow::told(about.key_value_metadata());
            let told = columns.iter().map(|c| told.of(&c.path().string()));
            Ok(Self {
                disk: Arc::new(disk()?),
                names: names.collect(),
                told: told.collect(),
                reader,
            })
        })
    }

    pub(super) fn column(&self, i: usize) -> Arc<ColumnDescriptor> {
        self.reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .column(i)
    }

    pub(super) fn named(&self, columns: &[usize]) -> Vec<String> {
        columns.iter().map(|i| self.names[*i].clone()).collect()
    }

    /// The rows of each row group.
    pub(super) fn groups(&self) -> Result<Vec<usize>> {
        let groups = self.reader.metadata().row_groups().iter();
        groups
            .map(|group| {
                usize::try_from(group.num_rows()).map_err(|cause| {
                    Error::new(ErrorKind::Format, "the file is damaged").because(cause)
                })
            })
            .collect()
    }

    /// The reader of column `i` in a row group.
    pub(super) fn part(&self, group: usize, i: usize) -> Result<ColumnReader> {
        let open = || {
            let group = self.reader.get_row_group(group)?;
            let chunk = group.metadata().column(i);
            // The crate panics on these where it finds them negative.
            let first = chunk
                .dictionary_page_offset()
                .unwrap_or(chunk.data_page_offset());
            if first < 0 || chunk.compressed_size() < 0 {
                return Err(ParquetError::General(
                    "a column at a negative place".to_owned(),
                ));
            }
            let (start, length) = chunk.byte_range();
            pages::check(self.disk.clone(), (start, length), chunk.compression())?;
            let pages: Box<dyn PageReader> = match chunk.compression() {
                Compression::ZSTD(_) => Box::new(ZstdPages::new(self.disk.clone(), start, length)),
                _ => group.get_column_page_reader(i)?,
            };
            Ok(get_column_reader(self.column(i), pages))
        };
        open().map_err(|error| self.failure(i, error))
    }

    /// The next `rows` of column `i` as numbers, missing ones as NaN.
    pub(super) fn numbers(
        &self,
        i: usize,
        reader: &mut ColumnReader,
        rows: usize,
    ) -> Result<Vec<f64>> {
        let (unsigned, kind) = (is_unsigned(&self.column(i)), self.kind(i));
        let read = match reader {
            ColumnReader::FixedLenByteArrayColumnReader(r) if kind == Kind::Half => {
                values(r, rows, |x| half(x.data()))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                values(r, rows, |x| scaled(unscaled(x.data()), kind))
            }
            ColumnReader::ByteArrayColumnReader(r) => {
                values(r, rows, |x| scaled(unscaled(x.data()), kind))
            }
            ColumnReader::Int32ColumnReader(r) if matches!(kind, Kind::Decimal { .. }) => {
                values(r, rows, |x| scaled(i128::from(*x), kind))
            }
            ColumnReader::Int64ColumnReader(r) if matches!(kind, Kind::Decimal { .. }) => {
                values(r, rows, |x| scaled(i128::from(*x), kind))
            }
            ColumnReader::DoubleColumnReader(r) => values(r, rows, |x| *x),
            ColumnReader::FloatColumnReader(r) => values(r, rows, |x| f64::from(*x)),
            ColumnReader::Int32ColumnReader(r) if unsigned => {
                values(r, rows, |x| f64::from(*x as u32))
            }
            ColumnReader::Int32ColumnReader(r) => values(r, rows, |x| f64::from(*x)),
            ColumnReader::Int64ColumnReader(r) if unsigned => values(r, rows, |x| *x as u64 as f64),
            ColumnReader::Int64ColumnReader(r) => values(r, rows, |x| *x as f64),
            _ => return Err(self.wrong_type(i)),
        };
        let read = read.map_err(|error| self.failure(i, error))?;
        Ok(read.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
    }

    /// What is in a column that may be a coordinate.
    pub(super) fn content(&self, i: usize) -> Result<Content> {
        let told = &self.told[i];
        Ok(match self.kind(i) {
            Kind::Number | Kind::Half | Kind::Decimal { .. } => {
                if told.is_index {
                    return Ok(Content::Else(Why::RowNumbers));
                }
                let facts = self.facts(i)?;
                match told.is_dictionary && facts.is_whole() {
                    true => Content::Else(Why::Label),
                    false => Content::Numbers(facts),
                }
            }
            Kind::Text if !told.is_index && self.are_numbers(i)? => Content::Unread(
                "has numbers as text; save them as numbers, in pandas with .astype(float)"
                    .to_owned(),
            ),
            Kind::Text => Content::Else(Why::Text),
            Kind::Date => Content::Else(Why::Dates),
            Kind::Duration { .. } => Content::Else(Why::Durations),
            Kind::TruthValue => Content::Else(Why::TruthValues),
            Kind::List if !self.are_of_numbers(i) => Content::Else(Why::Lists),
            Kind::List => Content::Unread(format!(
                "has lists; give each of their numbers a column of its own, in pandas: \
                 cells.join(pandas.DataFrame(cells.pop({0:?}).tolist(), \
                 index=cells.index).add_prefix({0:?}))",
                self.names[i]
            )),
            Kind::Structure => Content::Else(Why::Structures),
            Kind::Unknown if self.is_null(i) => Content::Else(Why::Empty),
            Kind::Unknown => Content::Else(Why::Unknown),
        })
    }

    /// Whether the lists in a column are lists of numbers.
    fn are_of_numbers(&self, i: usize) -> bool {
        let column = self.column(i);
        let is_number = matches!(
            column.physical_type(),
            Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE
        );
        let is_half = matches!(column.logical_type_ref(), Some(LogicalType::Float16));
        column.max_rep_level() == 1
            && self.names[i] == column.path().parts()[0]
            && (is_number || is_half)
    }

    /// Whether a column is of the type that has no values.
    fn is_null(&self, i: usize) -> bool {
        matches!(
            self.column(i).logical_type_ref(),
            Some(LogicalType::Unknown)
        )
    }

    /// Looks at numbers until they can say nothing more.
    fn facts(&self, i: usize) -> Result<Facts> {
        let mut facts = Facts::default();
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            let mut reader = self.part(group, i)?;
            for start in (0..rows).step_by(CHUNK) {
                let numbers = self.numbers(i, &mut reader, CHUNK.min(rows - start))?;
                numbers.iter().for_each(|x| facts.look(*x));
                if facts.is_settled() {
                    return Ok(facts);
                }
            }
        }
        Ok(facts)
    }

    /// Whether a column of text has numbers that are more than names of groups.
    fn are_numbers(&self, i: usize) -> Result<bool> {
        const SOME: usize = 1000;
        let mut seen = std::collections::BTreeSet::new();
        let (mut whole, mut count) = (true, 0);
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            let ColumnReader::ByteArrayColumnReader(mut reader) = self.part(group, i)? else {
                return Ok(false);
            };
            let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
            let read = values(&mut reader, rows.min(SOME), text);
            for cell in read
                .map_err(|error| self.failure(i, error))?
                .into_iter()
                .flatten()
            {
                let Ok(number) = cell.trim().parse::<f64>() else {
                    return Ok(false);
                };
                whole &= number.fract() == 0.0;
                seen.insert(cell);
                count += 1;
            }
            if count >= SOME {
                break;
            }
        }
        Ok(count > 0 && !(whole && 4 * seen.len() <= count))
    }

    /// A whole column of numbers.
    pub(super) fn all_numbers(&self, i: usize) -> Result<Vec<f64>> {
        if !matches!(self.kind(i), Kind::Duration { .. }) {
            self.check_number(i)?;
        }
        let mut numbers = Vec::new();
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            numbers.extend(self.numbers(i, &mut self.part(group, i)?, rows)?);
        }
        Ok(numbers)
    }

    pub(super) fn labels(&self, i: usize) -> Result<Labels> {
        let mut labels = Labels::default();
        let (mut at, mut first, mut missing) = (0, None, 0);
        self.texts(i, |text| {
            if text.is_none() {
                first.get_or_insert(at);
                missing += 1;
            }
            at += 1;
            labels.push(text.unwrap_or_default());
        })?;
        self.check_times(i, first, missing, at)?;
        Ok(labels)
    }

    /// Calls `take` with each text of a column.
    pub(super) fn texts(&self, i: usize, mut take: impl FnMut(Option<&str>)) -> Result<()> {
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            let ColumnReader::ByteArrayColumnReader(mut reader) = self.part(group, i)? else {
                return Err(self.wrong_type(i));
            };
            for start in (0..rows).step_by(CHUNK) {
                let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
                let read = values(&mut reader, CHUNK.min(rows - start), text)
                    .map_err(|error| self.failure(i, error))?;
                for label in read {
                    take(label.as_deref());
                }
            }
        }
        Ok(())
    }

    /// Checks that no time is missing.
    pub(super) fn check_times(
        &self,
        i: usize,
        first: Option<usize>,
        missing: usize,
        rows: usize,
    ) -> Result<()> {
        ensure!(
            missing == 0,
            Value,
            "column {:?}: {missing} of {rows} times are missing, the first at row {} (counted from \
             0); remove those rows",
            self.names[i],
            first.unwrap_or_default()
        );
        Ok(())
    }

    pub(super) fn check_number(&self, i: usize) -> Result<()> {
        match self.kind(i) {
            Kind::Number | Kind::Half | Kind::Decimal { .. } => Ok(()),
            _ => Err(self.wrong_type(i)),
        }
    }

    pub(super) fn kind(&self, i: usize) -> Kind {
        let column = self.column(i);
        if column.max_rep_level() > 0 {
            return Kind::List;
        } else if column.path().parts().len() > 1 {
            return Kind::Structure;
        }
        let physical = column.physical_type();
        match (column.logical_type_ref(), column.converted_type(), physical) {
            (Some(LogicalType::Decimal(decimal)), ..) => Kind::Decimal {
                scale: decimal.scale,
            },
            (_, ConvertedType::DECIMAL, _) => Kind::Decimal {
                scale: column.type_scale(),
            },
            (Some(LogicalType::Float16), ..) => Kind::Half,
            (
                Some(LogicalType::Date | LogicalType::Time { .. } | LogicalType::Timestamp { .. }),
                ..,
            )
            | (
                _,
                ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS,
                _,
            )
            | (.., Physical::INT96) => Kind::Date,
            (.., Physical::BOOLEAN) => Kind::TruthValue,
            (None | Some(LogicalType::String | LogicalType::Enum), _, Physical::BYTE_ARRAY) => {
                Kind::Text
            }
            (
                None | Some(LogicalType::Integer { .. }),
                _,
                Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE,
            ) => match self.told[i].per_second {
                Some(per_second) => Kind::Duration { per_second },
                None => Kind::Number,
            },
            _ => Kind::Unknown,
        }
    }

    fn failure(&self, i: usize, error: ParquetError) -> Error {
        let what = format!("column {:?} cannot be read", self.names[i]);
        let disabled = error.to_string().contains("feature");
        let advice = if disabled {
            "; write the file with compression='snappy'"
        } else {
            ""
        };
        Error::new(ErrorKind::Format, format!("{what}{advice}")).because(error)
    }

    fn wrong_type(&self, i: usize) -> Error {
        let kind = match self.kind(i) {
            Kind::Date => "a date or a time of day (write the hours or days since the start)",
            Kind::Duration { .. } => "a duration",
            Kind::Text => "text",
            Kind::TruthValue => "true or false",
            Kind::List => "a list in every row (give each of its numbers a column of its own)",
            Kind::Structure => "part of a structure",
            Kind::Number | Kind::Half | Kind::Decimal { .. } | Kind::Unknown => {
                "a type that is not read"
            }
        };
        let name = &self.names[i];
        Error::new(
            ErrorKind::Format,
            format!("column {name:?}: expected numbers, got {kind}"),
        )
    }
}

/// One value, or none, for each row of a column that is not nested.
fn values<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    convert: impl Fn(&T::T) -> V,
) -> Result<Vec<Option<V>>, ParquetError> {
    let (mut levels, mut present) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < rows {
        let (more, _, _) =
            reader.read_records(rows - read, Some(&mut levels), None, &mut present)?;
        if more == 0 {
            return Err(ParquetError::EOF(format!(
                "expected {rows} rows, got {read}"
            )));
        }
        read += more;
    }
    let mut present = present.iter().map(convert);
    // A required column has no levels: every row has a value.
    levels.resize(rows, 1);
    Ok(levels
        .iter()
        .map(|level| if *level > 0 { present.next() } else { None })
        .collect())
}

fn is_unsigned(column: &ColumnDescriptor) -> bool {
    use ConvertedType::{UINT_8, UINT_16, UINT_32, UINT_64};
    [UINT_8, UINT_16, UINT_32, UINT_64].contains(&column.converted_type())
}

/// A number of two bytes, the lower first.
fn half(bytes: &[u8]) -> f64 {
    bytes
        .try_into()
        .map_or(f64::NAN, |bytes| half::f16::from_le_bytes(bytes).to_f64())
}

/// A whole number of any length, the highest byte first; none that 16 bytes do not hold.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let sign = *bytes.first()? as i8 >> 7;
    let (above, rest) = bytes.split_at(bytes.len().saturating_sub(16));
    let fits = above.iter().all(|byte| *byte as i8 == sign)
        && (above.is_empty() || rest[0] as i8 >> 7 == sign);
    let number = |n: i128, byte: &u8| n << 8 | i128::from(*byte);
    fits.then(|| rest.iter().fold(i128::from(sign), number))
}

/// A decimal: a whole number of units in the last place, NaN where there is none.
fn scaled(unscaled: impl Into<Option<i128>>, kind: Kind) -> f64 {
    let (Some(n), Kind::Decimal { scale }) = (unscaled.into(), kind) else {
        return f64::NAN;
    };
    // The nearest number, which a division would not be for large ones.
    format!("{n}e{}", -i64::from(scale))
        .parse()
        .unwrap_or(f64::NAN)
}

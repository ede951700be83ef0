//! An open Parquet file.

use std::{fs::File, io::BufReader, path::Path, sync::Arc};

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

use super::pages::ZstdPages;
use crate::{
    data::reader::{CHUNK, Labels},
    error::{Error, ErrorKind, Result},
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
        unbroken(|| {
            let reader = SerializedFileReader::new(disk()?).map_err(|error| {
                let what = "the file is not a complete Parquet file; it may be truncated";
                Error::new(ErrorKind::Format, what).because(error)
            })?;
            let schema = reader.metadata().file_metadata().schema_descr();
            let names = schema.columns().iter();
            Ok(Self {
                disk: Arc::new(disk()?),
                names: names.map(|column| column.path().string()).collect(),
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
            let pages: Box<dyn PageReader> = match chunk.compression() {
                Compression::ZSTD(_) => {
                    let (start, length) = chunk.byte_range();
                    Box::new(ZstdPages::new(self.disk.clone(), start, length))
                }
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
        let unsigned = is_unsigned(&self.column(i));
        let read = match reader {
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

    /// A whole column of numbers.
    pub(super) fn all_numbers(&self, i: usize) -> Result<Vec<f64>> {
        self.check_number(i)?;
        let mut numbers = Vec::new();
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            numbers.extend(self.numbers(i, &mut self.part(group, i)?, rows)?);
        }
        Ok(numbers)
    }

    pub(super) fn labels(&self, i: usize) -> Result<Labels> {
        let mut labels = Labels::default();
        self.texts(i, |text| labels.push(text))?;
        Ok(labels)
    }

    /// Calls `take` with each text of a column, missing ones as empty.
    pub(super) fn texts(&self, i: usize, mut take: impl FnMut(&str)) -> Result<()> {
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            let ColumnReader::ByteArrayColumnReader(mut reader) = self.part(group, i)? else {
                return Err(self.wrong_type(i));
            };
            for start in (0..rows).step_by(CHUNK) {
                let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
                let read = values(&mut reader, CHUNK.min(rows - start), text)
                    .map_err(|error| self.failure(i, error))?;
                for label in read {
                    take(&label.unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_number(&self, i: usize) -> Result<()> {
        if is_number(&self.column(i)) {
            Ok(())
        } else {
            Err(self.wrong_type(i))
        }
    }

    fn failure(&self, i: usize, error: ParquetError) -> Error {
        let what = format!("column {:?} cannot be read", self.column(i).path().string());
        let disabled = error.to_string().contains("feature");
        let advice = if disabled {
            "; write the file with compression='snappy'"
        } else {
            ""
        };
        Error::new(ErrorKind::Format, format!("{what}{advice}")).because(error)
    }

    fn wrong_type(&self, i: usize) -> Error {
        let column = self.column(i);
        let kind = match column.logical_type_ref() {
            Some(LogicalType::Date | LogicalType::Time { .. } | LogicalType::Timestamp { .. }) => {
                "a date or a time of day (write the hours or days since the start)".to_owned()
            }
            Some(logical) => format!("{logical:?}"),
            None => column.physical_type().to_string(),
        };
        let name = column.path().string();
        Error::new(
            ErrorKind::Format,
            format!("column {name:?}: expected numbers, it is {kind}"),
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

pub(super) fn is_flat(column: &ColumnDescriptor) -> bool {
    column.max_rep_level() == 0 && column.path().parts().len() == 1
}

/// Whether the column holds plain numbers, not dates, decimals, or truth values.
pub(super) fn is_number(column: &ColumnDescriptor) -> bool {
    let number = [
        Physical::INT32,
        Physical::INT64,
        Physical::FLOAT,
        Physical::DOUBLE,
    ];
    let plain = matches!(
        column.logical_type_ref(),
        None | Some(LogicalType::Integer { .. })
    );
    let dated = matches!(
        column.converted_type(),
        ConvertedType::DECIMAL
            | ConvertedType::DATE
            | ConvertedType::TIME_MILLIS
            | ConvertedType::TIME_MICROS
            | ConvertedType::TIMESTAMP_MILLIS
            | ConvertedType::TIMESTAMP_MICROS
    );
    is_flat(column) && number.contains(&column.physical_type()) && plain && !dated
}

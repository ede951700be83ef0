//! Tables as Apache Parquet.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use ndarray::{Array1, Array3};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical},
    column::{
        page::PageReader,
        reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    },
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnDescriptor, Type},
};

use crate::{
    data::{
        ParticleWeights, ReadOptions, Snapshots, Table, Times, columns, has_default_weights,
        npz::decimal, pages::ZstdPages,
    },
    error::{Error, ErrorKind, Result, ensure},
    file,
};

/// An open file, whole in memory.
struct Source {
    bytes: Bytes,
    reader: SerializedFileReader<Bytes>,
}

impl Source {
    fn column(&self, i: usize) -> Arc<ColumnDescriptor> {
        self.reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .column(i)
    }

    /// The readers of column `i`, one for each row group, with the number of rows in each.
    fn chunks(&self, i: usize) -> impl Iterator<Item = Result<(usize, ColumnReader)>> {
        (0..self.reader.num_row_groups()).map(move |group| {
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
                        let range =
                            start as usize..(start as usize).saturating_add(length as usize);
                        let bytes = self.bytes.get(range).ok_or_else(|| {
                            ParquetError::EOF("a column ends after the file".to_owned())
                        })?;
                        Box::new(ZstdPages::new(bytes)?)
                    }
                    _ => group.get_column_page_reader(i)?,
                };
                let rows = usize::try_from(group.metadata().num_rows())?;
                Ok((rows, get_column_reader(self.column(i), pages)))
            };
            open().map_err(|error| self.failure(i, error))
        })
    }

    /// Column `i` as numbers, missing ones as NaN.
    fn numbers(&self, i: usize) -> Result<Vec<f64>> {
        let unsigned = is_unsigned(&self.column(i));
        let mut numbers = Vec::new();
        for chunk in self.chunks(i) {
            let (rows, reader) = chunk?;
            let read = match reader {
                ColumnReader::DoubleColumnReader(r) => values(r, rows, |x| *x),
                ColumnReader::FloatColumnReader(r) => values(r, rows, |x| f64::from(*x)),
                ColumnReader::Int32ColumnReader(r) if unsigned => {
                    values(r, rows, |x| f64::from(*x as u32))
                }
                ColumnReader::Int32ColumnReader(r) => values(r, rows, |x| f64::from(*x)),
                ColumnReader::Int64ColumnReader(r) if unsigned => {
                    values(r, rows, |x| *x as u64 as f64)
                }
                ColumnReader::Int64ColumnReader(r) => values(r, rows, |x| *x as f64),
                _ => return Err(self.wrong_type(i)),
            };
            let read = read.map_err(|error| self.failure(i, error))?;
            numbers.extend(read.into_iter().map(|x| x.unwrap_or(f64::NAN)));
        }
        Ok(numbers)
    }

    fn texts(&self, i: usize) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for chunk in self.chunks(i) {
            let (rows, ColumnReader::ByteArrayColumnReader(reader)) = chunk? else {
                return Err(self.wrong_type(i));
            };
            let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
            let read = values(reader, rows, text).map_err(|error| self.failure(i, error))?;
            texts.extend(read.into_iter().map(Option::unwrap_or_default));
        }
        Ok(texts)
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
    mut reader: ColumnReaderImpl<T>,
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

fn is_flat(column: &ColumnDescriptor) -> bool {
    column.max_rep_level() == 0 && column.path().parts().len() == 1
}

/// Whether the column holds plain numbers, not dates, decimals, or truth values.
fn is_number(column: &ColumnDescriptor) -> bool {
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

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Table> {
    let bytes = Bytes::from(file::read(path)?);
    // The crate checks lengths, yet a few of its decoders panic on damaged pages.
    std::panic::catch_unwind(|| table(bytes, options)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Format,
            "the file is damaged: its pages cannot be decoded",
        ))
    })
}

fn table(bytes: Bytes, options: &ReadOptions) -> Result<Table> {
    let reader = SerializedFileReader::new(bytes.clone()).map_err(|error| {
        let what = "the file is not a complete Parquet file; it may be truncated";
        Error::new(ErrorKind::Format, what).because(error)
    })?;
    let source = Source { bytes, reader };
    let count = source
        .reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .num_columns();
    let names: Vec<String> = (0..count)
        .map(|i| source.column(i).path().string())
        .collect();
    let roles = columns::choose(&names, options)?;
    let number = |i: usize| {
        let column = source.column(i);
        if is_number(&column) {
            source.numbers(i)
        } else {
            Err(source.wrong_type(i))
        }
    };
    let times = |time: usize| {
        let column = source.column(time);
        Ok(match column.physical_type() {
            Physical::BYTE_ARRAY if is_flat(&column) => Times::Labels(source.texts(time)?),
            Physical::FLOAT => Times::Numbers(number(time)?.into_iter().map(decimal).collect()),
            _ => Times::Numbers(number(time)?),
        })
    };
    let times = match roles.time {
        Ok(time) => Ok(times(time)?),
        Err(absent) => Err(absent),
    };
    let rows = source.reader.metadata().file_metadata().num_rows();
    ensure!(rows > 0, Format, "expected rows, got none");

    let (points, text): (Vec<usize>, Vec<usize>) = roles
        .points
        .iter()
        .partition(|i| roles.named || is_number(&source.column(**i)));
    let mut notes = roles.notes;
    let named =
        |indices: &[usize]| -> Vec<String> { indices.iter().map(|i| names[*i].clone()).collect() };
    notes.extend(columns::left_out(&named(&text)));
    let values: Vec<Vec<f64>> = points.iter().map(|i| number(*i)).collect::<Result<_>>()?;
    let weights = roles.weight.map(number).transpose()?;
    let columns = named(&points);
    let velocities = roles.velocity.and_then(|indices| {
        let values: Vec<Vec<f64>> = indices.iter().map(|i| number(*i)).collect::<Result<_>>()?;
        columns::velocities(&named(&indices), &values, &columns)
    });
    Ok(Table {
        points: columns::matrix(&values)?,
        times,
        weights: weights.map(Array1::from_vec),
        velocities,
        columns: Some(columns),
        notes,
    })
}

/// A column to write.
enum Values {
    Double(Vec<f64>),
    Int64(Vec<i64>),
    Text(Vec<ByteArray>),
}

fn encode(table: &[(&str, Values)]) -> Result<Vec<u8>, ParquetError> {
    let fields = table.iter().map(|(name, values)| {
        let (physical, logical) = match values {
            Values::Double(_) => (Physical::DOUBLE, None),
            Values::Int64(_) => (Physical::INT64, None),
            Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical);
        Ok(Arc::new(field.build()?))
    });
    let fields = fields.collect::<Result<_, ParquetError>>()?;
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, values) in table {
        let mut column = group
            .next_column()?
            .expect("a column for each field of the schema");
        match values {
            Values::Double(v) => column.typed::<DoubleType>().write_batch(v, None, None)?,
            Values::Int64(v) => column.typed::<Int64Type>().write_batch(v, None, None)?,
            Values::Text(v) => column.typed::<ByteArrayType>().write_batch(v, None, None)?,
        };
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

fn save(path: &Path, table: &[(&str, Values)]) -> Result<()> {
    let bytes = encode(table).map_err(|error| {
        Error::new(
            ErrorKind::Format,
            format!("cannot write {}", path.display()),
        )
        .because(error)
    })?;
    file::replace(path, |out| out.write_all(&bytes))
}

pub(super) fn write(path: &Path, snapshots: &Snapshots) -> Result<()> {
    columns::check_reserved(snapshots.columns(), &["t", "w"])?;
    let clouds = snapshots.clouds();
    let times = if snapshots.axis().is_plain() {
        let rows = snapshots.times().iter().zip(clouds);
        Values::Double(
            rows.flat_map(|(t, c)| std::iter::repeat_n(*t, c.len()))
                .collect(),
        )
    } else {
        let rows = snapshots.labels().iter().zip(clouds);
        let label = |label: &String| ByteArray::from(label.as_str());
        Values::Text(
            rows.flat_map(|(l, c)| std::iter::repeat_n(label(l), c.len()))
                .collect(),
        )
    };
    let velocity_names = match snapshots.velocities() {
        Some(_) => columns::velocity_names(snapshots.columns())?,
        None => Vec::new(),
    };
    let mut table = vec![("t", times)];
    for (j, name) in snapshots.columns().iter().enumerate() {
        let column = clouds
            .iter()
            .flat_map(|cloud| cloud.points().column(j).to_vec());
        table.push((name, Values::Double(column.collect())));
    }
    for (j, name) in velocity_names.iter().enumerate() {
        let velocities = snapshots.velocities().into_iter().flatten();
        let column = velocities.flat_map(|v| v.column(j).to_vec());
        table.push((name, Values::Double(column.collect())));
    }
    if !has_default_weights(snapshots) {
        let weights = clouds.iter().flat_map(|cloud| cloud.weights().to_vec());
        table.push(("w", Values::Double(weights.collect())));
    }
    save(path, &table)
}

pub(super) fn write_trajectories(
    path: &Path,
    times: &[f64],
    points: &Array3<f64>,
    weights: ParticleWeights,
    names: &[String],
) -> Result<()> {
    columns::check_reserved(names, &["particle", "t", "w"])?;
    let n = points.dim().1;
    let each = || (0..n).flat_map(|i| (0..times.len()).map(move |k| (i, k)));
    let mut table = vec![
        (
            "particle",
            Values::Int64(each().map(|(i, _)| i as i64).collect()),
        ),
        ("t", Values::Double(each().map(|(_, k)| times[k]).collect())),
    ];
    for (j, name) in names.iter().enumerate() {
        table.push((
            name,
            Values::Double(each().map(|(i, k)| points[[k, i, j]]).collect()),
        ));
    }
    if weights.are_given() {
        let each = each().filter_map(|(i, k)| weights.of(k, i));
        table.push(("w", Values::Double(each.collect())));
    }
    save(path, &table)
}

//! Tables as Apache Parquet.

use std::{fs::File, io::BufReader, path::Path, sync::Arc};

use bytes::Bytes;
use ndarray::Array3;
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
        reader::{ChunkReader, FileReader, Length, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnDescriptor, Type},
};

use crate::{
    data::{
        CHUNK, Chunk, Head, Labels, ParticleWeights, ReadOptions, Snapshots, Take, Times,
        chunk_rows,
        columns::{self, Roles},
        has_default_weights,
        npz::decimal,
        pages::ZstdPages,
        snapshots::Finite,
    },
    error::{Error, ErrorKind, Result, ensure},
    store,
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
struct Source {
    disk: Arc<Disk>,
    reader: SerializedFileReader<Disk>,
    names: Vec<String>,
}

/// The crate checks lengths, yet a few of its decoders panic on damaged pages.
fn unbroken<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Format,
            "the file is damaged: its pages cannot be decoded",
        ))
    })
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
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

    fn column(&self, i: usize) -> Arc<ColumnDescriptor> {
        self.reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .column(i)
    }

    fn named(&self, columns: &[usize]) -> Vec<String> {
        columns.iter().map(|i| self.names[*i].clone()).collect()
    }

    /// The rows of each row group.
    fn groups(&self) -> Result<Vec<usize>> {
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
    fn part(&self, group: usize, i: usize) -> Result<ColumnReader> {
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
    fn numbers(&self, i: usize, reader: &mut ColumnReader, rows: usize) -> Result<Vec<f64>> {
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
    fn all_numbers(&self, i: usize) -> Result<Vec<f64>> {
        self.check_number(i)?;
        let mut numbers = Vec::new();
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            numbers.extend(self.numbers(i, &mut self.part(group, i)?, rows)?);
        }
        Ok(numbers)
    }

    fn labels(&self, i: usize) -> Result<Labels> {
        let mut labels = Labels::default();
        for (group, rows) in self.groups()?.into_iter().enumerate() {
            let ColumnReader::ByteArrayColumnReader(mut reader) = self.part(group, i)? else {
                return Err(self.wrong_type(i));
            };
            for start in (0..rows).step_by(CHUNK) {
                let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
                let read = values(&mut reader, CHUNK.min(rows - start), text)
                    .map_err(|error| self.failure(i, error))?;
                for label in read {
                    labels.push(&label.unwrap_or_default());
                }
            }
        }
        Ok(labels)
    }

    fn check_number(&self, i: usize) -> Result<()> {
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

/// Which columns are numbers of the coordinates, and which text.
fn coordinates(source: &Source, roles: &Roles) -> (Vec<usize>, Vec<usize>) {
    let points = roles.points.iter();
    points.partition(|i| roles.named || is_number(&source.column(**i)))
}

pub(super) fn head(path: &Path, options: &ReadOptions) -> Result<Head> {
    let source = Source::open(path)?;
    let roles = columns::choose(&source.names, options)?;
    let (points, text) = coordinates(&source, &roles);
    let mut notes = roles.notes;
    notes.extend(columns::left_out(&source.named(&text)));
    let times = |time: usize| {
        let column = source.column(time);
        Ok(match column.physical_type() {
            Physical::BYTE_ARRAY if is_flat(&column) => Times::Labels(source.labels(time)?),
            Physical::FLOAT => {
                let numbers = source.all_numbers(time)?.into_iter();
                Times::Numbers(numbers.map(decimal).collect())
            }
            _ => Times::Numbers(source.all_numbers(time)?),
        })
    };
    let times = match roles.time {
        Ok(time) => Ok(unbroken(|| times(time))?),
        Err(absent) => Err(absent),
    };
    let rows = source.groups()?.iter().sum();
    ensure!(rows > 0, Format, "expected rows, got none");
    Ok(Head {
        rows,
        times,
        columns: source.named(&points),
        has_weights: roles.weight.is_some(),
        by_columns: vec![],
        notes,
    })
}

pub(super) fn rows(
    path: &Path,
    options: &ReadOptions,
    velocities: bool,
    take: &mut Take,
) -> Result<Vec<usize>> {
    let source = Source::open(path)?;
    let roles = columns::choose(&source.names, options)?;
    let (points, _) = coordinates(&source, &roles);
    let weight: Vec<usize> = roles.weight.into_iter().collect();
    let velocity = if velocities { roles.velocity? } else { vec![] };
    let names = [&points, &velocity].map(|group| source.named(group));
    if velocities {
        columns::check_velocities(&names[1], &names[0])?;
    }
    let all: Vec<usize> = [&points[..], &weight, &velocity].concat();
    all.iter().try_for_each(|i| source.check_number(*i))?;
    let mut finite = [Finite::default(), Finite::default()];
    let (d, most) = (points.len(), chunk_rows(points.len()));
    for (group, rows) in source.groups()?.into_iter().enumerate() {
        let open = || all.iter().map(|i| source.part(group, *i)).collect();
        let mut readers: Vec<ColumnReader> = unbroken(open)?;
        for start in (0..rows).step_by(most) {
            let count = most.min(rows - start);
            // Row by row, coordinates, weight, velocities.
            let mut side_by_side = [vec![0.0; count * d], vec![0.0; count], vec![]];
            side_by_side[2].resize(count * velocity.len(), 0.0);
            for (k, (i, reader)) in all.iter().zip(&mut readers).enumerate() {
                let column = unbroken(|| source.numbers(*i, reader, count))?;
                let (part, width, j) = match k {
                    k if k < d => (0, d, k),
                    k if k < d + weight.len() => (1, 1, 0),
                    k => (2, velocity.len(), k - d - weight.len()),
                };
                let places = side_by_side[part][j..].iter_mut().step_by(width);
                places.zip(column).for_each(|(place, x)| *place = x);
            }
            let [points, weights, moving] = &side_by_side;
            for (finite, (rows, width)) in finite
                .iter_mut()
                .zip([(points, d), (moving, velocity.len())])
            {
                let rows = rows.chunks_exact(width.max(1));
                rows.for_each(|row| finite.look(row));
            }
            take(Chunk {
                points,
                weights: (!weight.is_empty()).then_some(weights),
                velocities: velocities.then_some(moving),
            })?;
        }
    }
    for (finite, names) in finite.iter().zip(&names) {
        finite.check(names)?;
    }
    Ok(vec![])
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
    store::replace(path, |out| out.write_all(&bytes))
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

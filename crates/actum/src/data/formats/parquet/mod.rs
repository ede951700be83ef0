//! Tables as Apache Parquet.

mod arrow;
mod pages;
mod source;

use std::{path::Path, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    column::reader::ColumnReader,
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};

use self::source::{Kind, Source, unbroken};
use super::{columns, content};
use crate::{
    data::{
        Attribute, Keys,
        attributes::Values,
        reader::{Chunk, Head, Take, Times, Wanted, chunk_rows, decimal, half_decimal},
        snapshots::Finite,
        writer::{Cells, Column, Contents},
    },
    error::{Error, ErrorKind, Result, ensure},
    memory, store,
};

pub(super) fn head(path: &Path, keys: &Keys) -> Result<Head> {
    let source = Source::open(path)?;
    let roles = columns::choose(&source.names, keys)?;
    let rows = source.groups()?.into_iter().fold(0, usize::saturating_add);
    ensure!(rows > 0, Format, "expected rows, got none");
    memory::check(&[rows], 8, "a time for each row")?;
    let chosen = columns::coordinates(&source.names, &roles, |i| unbroken(|| source.content(i)));
    let ((points, notes), time) = columns::with_time(chosen, roles.time)?;
    let times = |time: usize| {
        Ok(match source.kind(time) {
            Kind::Text => Times::Labels(source.labels(time)?),
            kind => {
                let numbers = source.all_numbers(time)?;
                let missing = numbers.iter().filter(|x| x.is_nan()).count();
                let first = numbers.iter().position(|x| x.is_nan());
                source.check_times(time, first, missing, rows)?;
                let numbers = numbers.into_iter();
                match (kind, source.column(time).physical_type()) {
                    (Kind::Duration { per_second }, _) => {
                        Times::Seconds(numbers.map(|ticks| ticks / per_second).collect())
                    }
                    (Kind::Half, _) => Times::Numbers(numbers.map(half_decimal).collect()),
                    (_, Physical::FLOAT) => Times::Numbers(numbers.map(decimal).collect()),
                    _ => Times::Numbers(numbers.collect()),
                }
            }
        })
    };
    let time_name = time.as_ref().map(|time| source.names[*time].clone());
    let time_name = time_name.unwrap_or_default();
    let times = match time {
        Ok(time) => Ok(unbroken(|| times(time))?),
        Err(absent) => Err(absent),
    };
    Ok(Head {
        rows,
        times,
        time_name,
        columns: source.named(&points),
        has_weights: roles.weight.is_some(),
        by_columns: vec![],
        notes,
    })
}

pub(super) fn rows(path: &Path, wanted: &Wanted, take: &mut Take) -> Result<()> {
    let source = Source::open(path)?;
    let roles = columns::choose(&source.names, wanted.keys)?;
    let points = columns::found(&source.names, wanted.columns)?;
    let weight: Vec<usize> = roles.weight.into_iter().collect();
    let velocity = if wanted.velocities {
        roles.velocity?
    } else {
        vec![]
    };
    let names = [&points, &velocity].map(|group| source.named(group));
    if wanted.velocities {
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
                velocities: wanted.velocities.then_some(moving),
            })?;
        }
    }
    for (finite, names) in finite.iter().zip(&names) {
        finite.check(names)?;
    }
    Ok(())
}

pub(super) fn attributes(
    path: &Path,
    keys: &Keys,
    coordinates: &[String],
) -> Result<Vec<Attribute>> {
    let source = Source::open(path)?;
    let others = columns::choose(&source.names, keys)?.others(&source.names, coordinates);
    let attribute = |i: usize| {
        let (kind, mut values) = (source.kind(i), Values::default());
        if kind == Kind::Text {
            source.texts(i, |text| values.push(text.unwrap_or_default()))?;
        } else if matches!(kind, Kind::Number | Kind::Half | Kind::Decimal { .. }) {
            let numbers = source.all_numbers(i)?.into_iter();
            numbers.for_each(|x| values.push_number(x));
        } else {
            return Ok(None);
        }
        Ok(Some(values.named(&source.names[i])))
    };
    let each = others.into_iter().map(|i| unbroken(|| attribute(i)));
    each.filter_map(Result::transpose).collect()
}

fn encode(table: Vec<Column>) -> Result<Vec<u8>, ParquetError> {
    let fields = table.iter().map(|column| {
        let (physical, logical) = match column.cells {
            Cells::Numbers(_) | Cells::Times(_, true) => (Physical::DOUBLE, None),
            Cells::Counts(_) => (Physical::INT64, None),
            Cells::Times(_, false) | Cells::Texts(_) => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String))
            }
        };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical);
        Ok(Arc::new(field.build()?))
    });
    let fields = fields.collect::<Result<_, ParquetError>>()?;
    let schema = Type::group_type_builder("schema").with_fields(fields);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let (schema, properties) = (Arc::new(schema.build()?), Arc::new(properties));
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties)?;
    let mut group = writer.next_row_group()?;
    for column in table {
        let mut out = group
            .next_column()?
            .expect("a column for each field of the schema");
        let doubles = |cells: &mut dyn Iterator<Item = f64>| cells.collect::<Vec<_>>();
        match column.cells {
            Cells::Numbers(mut cells) => {
                let values = doubles(&mut cells);
                out.typed::<DoubleType>().write_batch(&values, None, None)?
            }
            Cells::Times(cells, true) => {
                let values = doubles(&mut cells.map(|(t, _)| t));
                out.typed::<DoubleType>().write_batch(&values, None, None)?
            }
            Cells::Counts(cells) => {
                let values: Vec<_> = cells.map(|n| n as i64).collect();
                out.typed::<Int64Type>().write_batch(&values, None, None)?
            }
            Cells::Times(cells, false) => {
                let values: Vec<_> = cells.map(|(_, label)| ByteArray::from(label)).collect();
                out.typed::<ByteArrayType>()
                    .write_batch(&values, None, None)?
            }
            Cells::Texts(cells) => {
                let values: Vec<_> = cells.map(ByteArray::from).collect();
                out.typed::<ByteArrayType>()
                    .write_batch(&values, None, None)?
            }
        };
        out.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

pub(super) fn write(path: &Path, contents: &Contents) -> Result<()> {
    let table = contents.table()?;
    let bytes = encode(table).map_err(|error| {
        Error::new(
            ErrorKind::Format,
            format!("cannot write {}", path.display()),
        )
        .because(error)
    })?;
    store::replace(path, |out| out.write_all(&bytes))
}

#[cfg(test)]
mod tests;

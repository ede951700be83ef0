//! Tables as text: comma or tab separated.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use csv::{ByteRecord, ErrorKind as Cause, StringRecord};
use ndarray::Array2;

use super::columns;
use crate::{
    data::{
        Attribute, Keys,
        attributes::Values,
        reader::{Chunk, Head, Labels, Take, Times, chunk_rows},
        writer::{Cells, Contents},
    },
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// The numbers of a table without a header, `[rows, columns]`.
pub(super) fn matrix(path: &Path, delimiter: u8) -> Result<Array2<f64>> {
    let text = store::read(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_slice());
    let mut values = vec![];
    let mut rows = 0;
    for record in reader.records() {
        let record = record.map_err(|cause| {
            Error::new(ErrorKind::Format, "its rows cannot be read").because(cause)
        })?;
        for cell in &record {
            let number = cell.parse::<f64>().map_err(|_| {
                Error::new(
                    ErrorKind::Format,
                    format!("row {rows} (counted from 0): expected a number, got {cell:?}"),
                )
            })?;
            values.push(number);
        }
        rows += 1;
    }
    let columns = values.len() / rows.max(1);
    Ok(Array2::from_shape_vec((rows, columns), values).expect("rows of one length"))
}

const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "none", "<na>", "-nan"];

fn is_missing(cell: &str) -> bool {
    MISSING.iter().any(|word| word.eq_ignore_ascii_case(cell))
}

/// What is known of a column while it is read.
#[derive(Default)]
struct Column {
    /// The line of the first number that is missing or not finite.
    bad: Option<u64>,
    bad_count: usize,
    has_number: bool,
    is_text: bool,
}

impl Column {
    /// The number in a cell, NaN where there is none. A column whose first cell is not a number is
    /// text; in one of numbers, or one that `must` be, a cell that is not a number is an error.
    fn number(&mut self, cell: &str, line: u64, name: &str, must: bool) -> Result<f64> {
        if self.is_text {
            return Ok(f64::NAN);
        }
        let value = match cell.parse::<f64>() {
            Ok(value) => {
                self.has_number = true;
                value
            }
            Err(_) if is_missing(cell) => f64::NAN,
            Err(_) if !must && !self.has_number => {
                *self = Self {
                    is_text: true,
                    ..Self::default()
                };
                return Ok(f64::NAN);
            }
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::Format,
                    format!(
                        "line {line}, column {name:?}: expected a number, got {cell:?}; correct \
                         it, or name the columns of the coordinates in `Keys::points_key`"
                    ),
                ));
            }
        };
        if !value.is_finite() {
            self.bad.get_or_insert(line);
            self.bad_count += 1;
        }
        Ok(value)
    }
}

/// An open table, its header read.
struct Table {
    reader: csv::Reader<io::BufReader<File>>,
    names: Vec<String>,
    path: PathBuf,
}

impl Table {
    fn open(path: &Path, delimiter: u8) -> Result<Self> {
        let file = File::open(path).map_err(|cause| Error::io("read", path, cause))?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(io::BufReader::with_capacity(1 << 16, file));
        let names: Vec<String> = reader
            .headers()
            .map_err(|error| failure(path, error))?
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        if let ([single], Some(other)) =
            (&names[..], names[0].chars().find(|c| ";\t|".contains(*c)))
        {
            ensure!(
                false,
                Format,
                "the columns of {single:?} seem to be separated by {other:?}; write the table with \
                 commas and decimal points, or with tabs as .tsv"
            );
        }
        Ok(Self {
            reader,
            names,
            path: path.to_owned(),
        })
    }

    /// Reads the next row and tells its line; none after the last.
    fn next(&mut self, row: &mut StringRecord) -> Result<Option<u64>> {
        let more = self.reader.read_record(row);
        if !more.map_err(|error| failure(&self.path, error))? {
            return Ok(None);
        }
        let line = row.position().map_or(0, csv::Position::line);
        ensure!(
            row.len() == self.names.len(),
            Format,
            "line {line} has {} fields, expected {} as in the header",
            row.len(),
            self.names.len()
        );
        Ok(Some(line))
    }

    fn named(&self, columns: &[usize]) -> Vec<String> {
        columns.iter().map(|i| self.names[*i].clone()).collect()
    }
}

/// Goes through the whole table for its times.
pub(super) fn head(path: &Path, keys: &Keys, delimiter: u8) -> Result<Head> {
    let mut table = Table::open(path, delimiter)?;
    let roles = columns::choose(&table.names, keys)?;
    let (mut rows, mut labels, mut missing) = (0, Labels::default(), Column::default());
    let mut row = StringRecord::new();
    while let Some(line) = table.next(&mut row)? {
        rows += 1;
        if let Ok(time) = roles.time {
            let label = row[time].trim();
            if is_missing(label) {
                missing.number("nan", line, "", true)?;
            }
            labels.push(label);
        }
    }
    ensure!(rows > 0, Format, "expected rows after the header, got none");
    if let (Ok(time), Some(line)) = (&roles.time, missing.bad) {
        ensure!(
            false,
            Value,
            "column {:?}: {} of {rows} times are missing, the first at line {line}; remove those \
             rows",
            table.names[*time],
            missing.bad_count
        );
    }
    let time_name = roles.time.as_ref().map(|time| table.names[*time].clone());
    let time_name = time_name.unwrap_or_default();
    Ok(Head {
        rows,
        time_name,
        times: roles.time.map(|_| Times::Labels(labels)),
        columns: table.named(&roles.points),
        has_weights: roles.weight.is_some(),
        by_columns: vec![],
        notes: roles.notes,
    })
}

pub(super) fn rows(
    path: &Path,
    keys: &Keys,
    delimiter: u8,
    velocities: bool,
    take: &mut Take,
) -> Result<Vec<usize>> {
    let mut table = Table::open(path, delimiter)?;
    let roles = columns::choose(&table.names, keys)?;
    let velocity = if velocities { roles.velocity? } else { vec![] };
    // Coordinates may turn out to be text unless they are named; the others must be numbers.
    let groups = [
        (roles.points, roles.named),
        (roles.weight.into_iter().collect(), true),
        (velocity, true),
    ];
    let mut known = groups
        .each_ref()
        .map(|(group, _)| group.iter().map(|_| Column::default()).collect::<Vec<_>>());
    let names = groups.each_ref().map(|(group, _)| table.named(group));
    let mut numbers = [vec![], vec![], vec![]];
    let most = chunk_rows(groups[0].0.len());
    let (mut rows, mut waiting) = (0, 0);
    let mut row = StringRecord::new();
    let mut pour = |numbers: &mut [Vec<f64>; 3]| {
        let [points, weights, moving] = &*numbers;
        take(Chunk {
            points,
            weights: (!groups[1].0.is_empty()).then_some(weights),
            velocities: velocities.then_some(moving),
        })?;
        numbers.iter_mut().for_each(Vec::clear);
        Ok::<_, Error>(())
    };
    while let Some(line) = table.next(&mut row)? {
        for (k, (group, must)) in groups.iter().enumerate() {
            for ((i, column), name) in group.iter().zip(&mut known[k]).zip(&names[k]) {
                numbers[k].push(column.number(row[*i].trim(), line, name, *must)?);
            }
        }
        (rows, waiting) = (rows + 1, waiting + 1);
        if waiting == most {
            pour(&mut numbers)?;
            waiting = 0;
        }
    }
    if waiting > 0 {
        pour(&mut numbers)?;
    }
    for (columns, names) in known.iter().zip(&names) {
        check_bad(names.iter().zip(columns), rows)?;
    }
    let is_text = |j: &usize| known[0][*j].is_text;
    let (text, kept): (Vec<usize>, Vec<usize>) = (0..known[0].len()).partition(is_text);
    if velocities {
        let kept: Vec<String> = kept.iter().map(|j| names[0][*j].clone()).collect();
        columns::check_velocities(&names[2], &kept)?;
    }
    Ok(text)
}

pub(super) fn attributes(
    path: &Path,
    keys: &Keys,
    delimiter: u8,
    coordinates: &[String],
) -> Result<Vec<Attribute>> {
    let mut table = Table::open(path, delimiter)?;
    let others = columns::choose(&table.names, keys)?.others(&table.names, coordinates);
    let mut values: Vec<Values> = others.iter().map(|_| Values::default()).collect();
    let mut row = StringRecord::new();
    while table.next(&mut row)?.is_some() {
        for (i, values) in others.iter().zip(&mut values) {
            values.push(row[*i].trim());
        }
    }
    let each = others.iter().zip(values);
    Ok(each
        .map(|(i, values)| values.named(&table.names[*i]))
        .collect())
}

fn check_bad<'a>(
    columns: impl Iterator<Item = (&'a String, &'a Column)> + Clone,
    rows: usize,
) -> Result<()> {
    let columns = columns.filter(|(_, column)| !column.is_text);
    let first = columns
        .clone()
        .filter_map(|(name, c)| c.bad.map(|line| (line, name)))
        .min();
    let Some((line, name)) = first else {
        return Ok(());
    };
    let count: usize = columns.clone().map(|(_, column)| column.bad_count).sum();
    Err(Error::new(
        ErrorKind::Value,
        format!(
            "{count} of {} numbers are missing or not finite, the first at line {line}, column \
             {name:?}; remove or impute those rows",
            columns.count() * rows
        ),
    ))
}

fn failure(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        Cause::Io(cause) => Error::io("read", path, cause),
        Cause::Utf8 { .. } => Error::new(
            ErrorKind::Format,
            format!("line {line} is not UTF-8 text; save the file as UTF-8"),
        ),
        other => Error::new(ErrorKind::Format, format!("line {line}: {other:?}")),
    }
}

/// The shortest decimal form that reads back as the same number.
fn shortest(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 || (1e-5..1e16).contains(&size) {
        x.to_string()
    } else {
        format!("{x:e}")
    }
}

pub(super) fn write(path: &Path, contents: &Contents, delimiter: u8) -> Result<()> {
    let mut table = contents.table()?;
    store::replace(path, |out| {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .from_writer(out);
        writer.write_record(table.iter().map(|column| column.name.as_bytes()))?;
        let mut row = ByteRecord::new();
        loop {
            row.clear();
            for column in &mut table {
                match &mut column.cells {
                    Cells::Counts(cells) => cells.next().map(|n| push(&mut row, &n.to_string())),
                    Cells::Numbers(cells) => cells.next().map(|x| push(&mut row, &shortest(x))),
                    Cells::Times(cells, _) => cells.next().map(|(_, label)| push(&mut row, label)),
                    Cells::Texts(cells) => cells.next().map(|text| push(&mut row, text)),
                };
            }
            if row.is_empty() {
                return writer.flush();
            }
            writer.write_byte_record(&row)?;
        }
    })
}

fn push(row: &mut ByteRecord, cell: &str) {
    row.push_field(cell.as_bytes());
}

#[cfg(test)]
mod tests;

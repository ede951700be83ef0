//! Tables as text.

use std::{fs::File, io, path::Path};

use csv::{ByteRecord, ErrorKind as Cause, StringRecord};
use ndarray::{Array1, Array2, Array3};

use crate::{
    data::{ParticleWeights, ReadOptions, Snapshots, Table, Times, columns, has_default_weights},
    error::{Error, ErrorKind, Result, ensure},
    file,
};

/// The numbers of a table without a header, `[rows, columns]`.
pub(super) fn read_matrix(path: &Path, delimiter: u8) -> Result<Array2<f64>> {
    let text = file::read(path)?;
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

/// A column while it is read.
#[derive(Default)]
struct Column {
    values: Vec<f64>,
    /// The line of the first number that is missing or not finite.
    bad: Option<u64>,
    bad_count: usize,
    has_number: bool,
    is_text: bool,
}

impl Column {
    /// Takes one cell. A column whose first cell is not a number is text; in one of numbers, or
    /// one that `must` be, a cell that is not a number is an error.
    fn push(&mut self, cell: &str, line: u64, name: &str, must: bool) -> Result<()> {
        if self.is_text {
            return Ok(());
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
                return Ok(());
            }
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::Format,
                    format!(
                        "line {line}, column {name:?}: expected a number, got {cell:?}; correct \
                         it, or name the columns of the coordinates with --points-key"
                    ),
                ));
            }
        };
        if !value.is_finite() {
            self.bad.get_or_insert(line);
            self.bad_count += 1;
        }
        self.values.push(value);
        Ok(())
    }
}

pub(super) fn read(path: &Path, options: &ReadOptions, delimiter: u8) -> Result<Table> {
    let file = File::open(path).map_err(|cause| Error::io("read", path, cause))?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(io::BufReader::with_capacity(1 << 16, file));
    let failed = |error: csv::Error| failure(path, error);
    let names: Vec<String> = reader
        .headers()
        .map_err(failed)?
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    if let ([single], Some(other)) = (&names[..], names[0].chars().find(|c| ";\t|".contains(*c))) {
        ensure!(
            false,
            Format,
            "the columns of {single:?} seem to be separated by {other:?}; write the table with \
             commas and decimal points, or with tabs as .tsv"
        );
    }
    let roles = columns::choose(&names, options)?;
    let mut rows = 0;
    let mut labels = Vec::new();
    let mut missing_times = Column::default();
    let mut weight = roles.weight.map(|_| Column::default());
    let mut points: Vec<Column> = roles.points.iter().map(|_| Column::default()).collect();
    let velocity = roles.velocity.as_deref().unwrap_or_default();
    let mut velocities: Vec<Column> = velocity.iter().map(|_| Column::default()).collect();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        ensure!(
            record.len() == names.len(),
            Format,
            "line {line} has {} fields, expected {} as in the header",
            record.len(),
            names.len()
        );
        rows += 1;
        if let Ok(time) = roles.time {
            let label = record[time].trim();
            if is_missing(label) {
                missing_times.push("nan", line, "", true)?;
            }
            labels.push(label.to_owned());
        }
        if let (Some(weight), Some(i)) = (&mut weight, roles.weight) {
            weight.push(record[i].trim(), line, &names[i], true)?;
        }
        for (column, i) in points.iter_mut().zip(&roles.points) {
            column.push(record[*i].trim(), line, &names[*i], roles.named)?;
        }
        for (column, i) in velocities.iter_mut().zip(velocity) {
            column.push(record[*i].trim(), line, &names[*i], true)?;
        }
    }
    ensure!(rows > 0, Format, "expected rows after the header, got none");
    if let (Ok(time), Some(line)) = (&roles.time, missing_times.bad) {
        ensure!(
            false,
            Value,
            "column {:?}: {} of {rows} times are missing, the first at line {line}; remove those \
             rows",
            names[*time],
            missing_times.bad_count
        );
    }

    let mut notes = roles.notes;
    let (text, numbers): (Vec<_>, Vec<_>) = roles
        .points
        .iter()
        .map(|i| names[*i].clone())
        .zip(points)
        .partition(|(_, c)| c.is_text);
    let text: Vec<String> = text.into_iter().map(|(name, _)| name).collect();
    notes.extend(columns::left_out(&text));
    check_bad(numbers.iter().map(|(name, column)| (name, column)), rows)?;
    if let (Some(weight), Some(i)) = (&weight, roles.weight) {
        check_bad([(&names[i], weight)].into_iter(), rows)?;
    }
    let (kept, values): (Vec<_>, Vec<_>) = numbers.into_iter().map(|(n, c)| (n, c.values)).unzip();
    let velocities = roles.velocity.and_then(|indices| {
        let names: Vec<String> = indices.iter().map(|i| names[*i].clone()).collect();
        check_bad(names.iter().zip(&velocities), rows)?;
        let values: Vec<_> = velocities.into_iter().map(|c| c.values).collect();
        columns::velocities(&names, &values, &kept)
    });
    Ok(Table {
        points: columns::matrix(&values)?,
        times: roles.time.map(|_| Times::Labels(labels)),
        weights: weight.map(|column| Array1::from_vec(column.values)),
        velocities,
        columns: Some(kept),
        notes,
    })
}

fn check_bad<'a>(
    columns: impl Iterator<Item = (&'a String, &'a Column)> + Clone,
    rows: usize,
) -> Result<()> {
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

pub(super) fn write(path: &Path, snapshots: &Snapshots, delimiter: u8) -> Result<()> {
    columns::check_reserved(snapshots.columns(), &["t", "w"])?;
    let weighted = !has_default_weights(snapshots);
    let velocities = snapshots.velocities();
    let velocity_names = match velocities {
        Some(_) => columns::velocity_names(snapshots.columns())?,
        None => Vec::new(),
    };
    file::replace(path, |out| {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .from_writer(out);
        let mut row = ByteRecord::new();
        row.push_field(b"t");
        snapshots
            .columns()
            .iter()
            .chain(&velocity_names)
            .for_each(|name| row.push_field(name.as_bytes()));
        if weighted {
            row.push_field(b"w");
        }
        writer.write_byte_record(&row)?;
        for (time, (label, cloud)) in snapshots
            .labels()
            .iter()
            .zip(snapshots.clouds())
            .enumerate()
        {
            for (i, (point, w)) in cloud.points().outer_iter().zip(cloud.weights()).enumerate() {
                row.clear();
                row.push_field(label.as_bytes());
                let velocity = velocities.map(|v| v[time].row(i));
                point
                    .iter()
                    .chain(velocity.iter().flatten())
                    .chain(weighted.then_some(w))
                    .for_each(|x| row.push_field(shortest(*x).as_bytes()));
                writer.write_byte_record(&row)?;
            }
        }
        writer.flush()
    })
}

pub(super) fn write_trajectories(
    path: &Path,
    times: &[f64],
    points: &Array3<f64>,
    weights: ParticleWeights,
    names: &[String],
    delimiter: u8,
) -> Result<()> {
    columns::check_reserved(names, &["particle", "t", "w"])?;
    file::replace(path, |out| {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .from_writer(out);
        let header = ["particle", "t"]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .chain(weights.are_given().then_some("w"));
        writer.write_record(header)?;
        let mut row = ByteRecord::new();
        for (particle, path) in points.axis_iter(ndarray::Axis(1)).enumerate() {
            for (k, (t, point)) in times.iter().zip(path.outer_iter()).enumerate() {
                row.clear();
                row.push_field(particle.to_string().as_bytes());
                row.push_field(shortest(*t).as_bytes());
                point
                    .iter()
                    .for_each(|x| row.push_field(shortest(*x).as_bytes()));
                if let Some(w) = weights.of(k, particle) {
                    row.push_field(shortest(w).as_bytes());
                }
                writer.write_byte_record(&row)?;
            }
        }
        writer.flush()
    })
}

//! Tables as text: comma or tab separated.

mod cells;

use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use csv::{ByteRecord, ErrorKind as Cause, StringRecord};
use flate2::{Compression, write::GzEncoder};
use ndarray::Array2;

use self::cells::{almost_number, is_missing, number};
use super::{
    columns::{self, Content, Facts, Why},
    content,
};
use crate::{
    data::{
        Attribute, Keys,
        attributes::Values,
        reader::{Chunk, Head, Labels, Take, Times, Wanted, chunk_rows},
        writer::{Cells, Column as Written, Contents},
    },
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// The numbers of a table without a header, `[rows, columns]`.
pub(super) fn matrix(path: &Path, delimiter: u8) -> Result<Array2<f64>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(content::text(path)?);
    let mut values = vec![];
    let mut rows = 0;
    for record in reader.records() {
        let record = record.map_err(|error| failure(path, error, 0))?;
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

/// A column of numbers while it is read.
#[derive(Default)]
struct Column {
    /// The line of the first number that is missing or not finite.
    bad: Option<u64>,
    bad_count: usize,
}

impl Column {
    /// The number in a cell, NaN where there is none.
    fn number(&mut self, cell: &str, line: u64, name: &str) -> Result<f64> {
        let value = match number(cell) {
            Some(value) => value,
            None if is_missing(cell) => f64::NAN,
            None => {
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

/// A column that may be a coordinate, while its cells are looked at.
#[derive(Default)]
struct Candidate {
    facts: Facts,
    /// The first cell that is there, where it is no number.
    text: Option<String>,
}

impl Candidate {
    fn look(&mut self, cell: &str) {
        if self.text.is_some() || self.facts.is_settled() {
            return;
        }
        match number(cell) {
            Some(value) => self.facts.look(value),
            None if is_missing(cell) => self.facts.look(f64::NAN),
            // In a column of numbers a cell that is none is a mistake, and no text.
            None if self.facts.is_empty() => self.text = Some(cell.to_owned()),
            None => {}
        }
    }

    fn content(self) -> Content {
        match self.text {
            None => Content::Numbers(self.facts),
            Some(cell) if almost_number(&cell) => Content::Unread(format!(
                "has numbers that are not written as such, as {cell:?}; write them with a decimal \
                 point and nothing between the digits"
            )),
            Some(_) => Content::Else(Why::Text),
        }
    }
}

/// An open table, its header read.
struct Table {
    reader: csv::Reader<Bounded>,
    /// See [`Bounded`].
    left: Rc<Cell<u64>>,
    names: Vec<String>,
    path: PathBuf,
    /// The row that was read to understand the header.
    first: Option<StringRecord>,
    /// How many lines there are before those that the reader counts.
    before: u64,
    /// Whether the header names no column for the names of the rows, as R writes it.
    is_short: bool,
}

impl Table {
    fn open(path: &Path, delimiter: u8) -> Result<Self> {
        let mut text = content::text(path)?;
        let (before, comment) = skip_comments(&mut text).map_err(|c| unread(path, c))?;
        let mut builder = csv::ReaderBuilder::new();
        builder
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false);
        let left = Rc::new(Cell::new(MOST));
        let mut reader = builder.from_reader(Bounded {
            text,
            left: left.clone(),
        });
        let mut header = StringRecord::new();
        let read = |reader: &mut csv::Reader<_>, row: &mut StringRecord| {
            let more = reader.read_record(row);
            more.map_err(|error| failure(path, error, before))
        };
        read(&mut reader, &mut header)?;
        let has_number = header.iter().any(|cell| number(cell.trim()).is_some());
        let commented = comment.filter(|_| has_number);
        let commented = commented.and_then(|line| {
            let mut names = StringRecord::new();
            let read = builder.from_reader(line.as_bytes()).read_record(&mut names);
            (read.is_ok() && names.len() == header.len()).then_some(names)
        });
        // NumPy writes the names as a comment, and others begin them so.
        let (names, mut first) = match commented {
            Some(names) => (names, Some(header)),
            None => (header, None),
        };
        let mut names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        ensure!(
            names.iter().any(|name| !name.is_empty()),
            Format,
            "expected a header, a first line with the names of the columns, got none"
        );
        if first.is_none() {
            let mut row = StringRecord::new();
            let more = read(&mut reader, &mut row)?;
            first = more.then_some(row);
        }
        if let ([single], Some(row)) = (&names[..], &first) {
            let both = |(c, _): &(char, &str)| single.contains(*c) && row[0].trim().contains(*c);
            let other = SEPARATORS.into_iter().find(both);
            if let Some((_, other)) = other {
                ensure!(
                    false,
                    Format,
                    "the columns of {:?} seem to be separated by {other}; write the table with \
                     commas and decimal points as .csv, or with tabs as .tsv",
                    single.replace('\t', " ")
                );
            }
        }
        // R names no column for the names of the rows.
        let short = |row: &StringRecord| {
            row.len() == names.len() + 1 && row.iter().next_back().is_some_and(|c| !c.is_empty())
        };
        let is_short = first.as_ref().is_some_and(short);
        if is_short {
            names.insert(0, String::new());
        }
        Ok(Self {
            reader,
            left,
            names,
            path: path.to_owned(),
            first,
            before,
            is_short,
        })
    }

    /// Reads the next row and tells its line; none after the last.
    fn next(&mut self, row: &mut StringRecord) -> Result<Option<u64>> {
        match self.first.take() {
            Some(first) => *row = first,
            None => {
                self.left.set(MOST_ROW);
                let more = self.reader.read_record(row);
                if !more.map_err(|error| failure(&self.path, error, self.before))? {
                    return Ok(None);
                }
            }
        }
        let line = self.before + row.position().map_or(0, csv::Position::line);
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

/// Passes over empty lines and those that begin with `#`: how many there are, and what the last
/// says.
fn skip_comments(text: &mut dyn BufRead) -> io::Result<(u64, Option<String>)> {
    let (mut lines, mut last) = (0, None);
    loop {
        match text.fill_buf()?.first() {
            Some(b'#' | b'\r' | b'\n') => {}
            _ => return Ok((lines, last)),
        }
        let mut line = vec![];
        (&mut *text).take(MOST).read_until(b'\n', &mut line)?;
        lines += 1;
        if line.starts_with(b"#") {
            let says = String::from_utf8_lossy(&line);
            last = Some(says.trim_start_matches('#').trim().to_owned());
        }
    }
}

/// What separates columns beside the separator that is expected.
const SEPARATORS: [(char, &str); 5] = [
    ('\t', "tabs"),
    (';', "semicolons"),
    ('|', "bars"),
    (',', "commas"),
    (' ', "spaces"),
];

/// No header is longer, and no row.
const MOST: u64 = 1 << 24;
const MOST_ROW: u64 = 1 << 26;

/// Text whose rows have an end: a little compressed text, or a quotation mark that is never
/// closed, may be one of any length.
struct Bounded {
    text: Box<dyn BufRead>,
    /// How much more may be read before the row ends.
    left: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        let left = left.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "a row is longer than any table has",
            )
        })?;
        self.left.set(left);
        Ok(count)
    }
}

/// Goes through the whole table for its times, and for what its columns are.
pub(super) fn head(path: &Path, keys: &Keys, delimiter: u8) -> Result<Head> {
    let mut table = Table::open(path, delimiter)?;
    let roles = columns::choose(&table.names, keys)?;
    let (mut rows, mut labels, mut missing) = (0, Labels::default(), Column::default());
    let looked = if roles.named {
        &[][..]
    } else {
        &roles.points[..]
    };
    let mut candidates: Vec<Candidate> = looked.iter().map(|_| Candidate::default()).collect();
    let mut row_names = Candidate::default();
    let mut row = StringRecord::new();
    while let Some(line) = table.next(&mut row)? {
        rows += 1;
        if let Ok(time) = roles.time {
            let label = row[time].trim();
            if is_missing(label) {
                missing.number("nan", line, "")?;
            }
            labels.push(label);
        }
        for (i, candidate) in looked.iter().zip(&mut candidates) {
            candidate.look(row[*i].trim());
        }
        row_names.look(row[0].trim());
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
    // A mistake in the header must not make a coordinate the time.
    ensure!(
        !table.is_short || row_names.text.is_some() || row_names.facts.are_distinct(),
        Format,
        "the rows have {} fields, expected {} as in the header: the first must be the names of the \
         rows, each another, or have a name in the header",
        table.names.len(),
        table.names.len() - 1
    );
    let counted = |(i, name): (usize, &String)| name.parse() == Ok(i) || name.parse() == Ok(i + 1);
    let named = table.names.iter().enumerate().all(counted);
    let is_headless = !named && table.names.iter().all(|name| number(name).is_some());
    match roles.time {
        Err(error) if is_headless => return Err(error),
        _ => {}
    }
    let contents = candidates.into_iter().map(Candidate::content);
    let mut contents: HashMap<usize, Content> = looked.iter().copied().zip(contents).collect();
    let chosen = columns::coordinates(&table.names, &roles, |i| {
        Ok(contents.remove(&i).expect("every candidate was looked at"))
    });
    let ((points, notes), time) = columns::with_time(chosen, roles.time)?;
    let time_name = time.as_ref().map(|time| table.names[*time].clone());
    let time_name = time_name.unwrap_or_default();
    Ok(Head {
        rows,
        time_name,
        times: time.map(|_| Times::Labels(labels)),
        columns: table.named(&points),
        has_weights: roles.weight.is_some(),
        by_columns: vec![],
        notes,
    })
}

pub(super) fn rows(path: &Path, wanted: &Wanted, delimiter: u8, take: &mut Take) -> Result<()> {
    let mut table = Table::open(path, delimiter)?;
    let roles = columns::choose(&table.names, wanted.keys)?;
    let points = columns::found(&table.names, wanted.columns)?;
    let velocity = if wanted.velocities {
        roles.velocity?
    } else {
        vec![]
    };
    let groups = [points, roles.weight.into_iter().collect(), velocity];
    let mut known = groups
        .each_ref()
        .map(|group| group.iter().map(|_| Column::default()).collect::<Vec<_>>());
    let names = groups.each_ref().map(|group| table.named(group));
    if wanted.velocities {
        columns::check_velocities(&names[2], &names[0])?;
    }
    let mut numbers = [vec![], vec![], vec![]];
    let most = chunk_rows(groups[0].len());
    let (mut rows, mut waiting) = (0, 0);
    let mut row = StringRecord::new();
    let mut pour = |numbers: &mut [Vec<f64>; 3]| {
        let [points, weights, moving] = &*numbers;
        take(Chunk {
            points,
            weights: (!groups[1].is_empty()).then_some(weights),
            velocities: wanted.velocities.then_some(moving),
        })?;
        numbers.iter_mut().for_each(Vec::clear);
        Ok::<_, Error>(())
    };
    while let Some(line) = table.next(&mut row)? {
        for (k, group) in groups.iter().enumerate() {
            for ((i, column), name) in group.iter().zip(&mut known[k]).zip(&names[k]) {
                numbers[k].push(column.number(row[*i].trim(), line, name)?);
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
    Ok(())
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
             {name:?}; remove or impute those rows, or name other columns in `Keys::points_key`",
            columns.count() * rows
        ),
    ))
}

/// What went wrong where `before` lines are not counted by the reader.
fn failure(path: &Path, error: csv::Error, before: u64) -> Error {
    let line = before + error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        Cause::Io(cause) => unread(path, cause),
        Cause::Utf8 { .. } => Error::new(
            ErrorKind::Format,
            format!("line {line} is not UTF-8 text; save the file as UTF-8"),
        ),
        Cause::UnequalLengths {
            expected_len, len, ..
        } => Error::new(
            ErrorKind::Format,
            format!("line {line} has {len} fields, expected {expected_len} as in the first"),
        ),
        _ => Error::new(ErrorKind::Format, format!("line {line} cannot be read")),
    }
}

/// A file whose bytes cannot be had, or one that is compressed and damaged.
fn unread(path: &Path, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            let what = "its compressed text is damaged or truncated";
            Error::new(ErrorKind::Format, what).because(cause)
        }
        _ => Error::io("read", path, cause),
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
        if !content::is_packed(path) {
            return write_to(out, &mut table, delimiter);
        }
        let mut packed = GzEncoder::new(out, Compression::default());
        write_to(&mut packed, &mut table, delimiter)?;
        packed.finish().map(drop)
    })
}

fn write_to(out: &mut dyn io::Write, table: &mut [Written], delimiter: u8) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(out);
    writer.write_record(table.iter().map(|column| column.name.as_bytes()))?;
    let mut row = ByteRecord::new();
    loop {
        row.clear();
        for column in table.iter_mut() {
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
}

fn push(row: &mut ByteRecord, cell: &str) {
    row.push_field(cell.as_bytes());
}

#[cfg(test)]
mod tests;

//! Matrices with a row for each cell: `X`, `layers` and `obsm`.

use std::fmt;

use super::{
    file::{Array, File, Kind},
    frame::Frame,
};
use crate::{
    data::formats::VisitCells,
    error::{Error, ErrorKind, Result, ensure},
};

/// Where a matrix is, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    X,
    Obsm(String),
    Layer(String),
}

impl Place {
    /// The place that `obsm:NAME`, `layer:NAME` or `X` names.
    pub(super) fn of(key: &str) -> Option<Self> {
        match key.split_once(':') {
            Some(("obsm", name)) => Some(Self::Obsm(name.to_owned())),
            Some(("layer", name)) => Some(Self::Layer(name.to_owned())),
            _ => (key == "X").then_some(Self::X),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::X => "X".to_owned(),
            Self::Obsm(name) => format!("obsm/{name}"),
            Self::Layer(name) => format!("layers/{name}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X => write!(f, "X"),
            Self::Obsm(name) => write!(f, "obsm:{name}"),
            Self::Layer(name) => write!(f, "layer:{name}"),
        }
    }
}

/// A matrix whose rows are still to be read.
pub(super) struct Matrix<'a> {
    file: &'a File,
    pub place: String,
    pub rows: usize,
    pub columns: usize,
    form: Form<'a>,
}

enum Form<'a> {
    Dense(Array),
    /// Compressed by rows.
    Csr(Sparse),
    /// Compressed by columns.
    Csc(Sparse),
    Frame(Frame<'a>),
}

struct Sparse {
    /// Where each row or column starts, and where the last ends.
    pointers: Array,
    indices: Array,
    data: Array,
}

impl<'a> Matrix<'a> {
    /// The matrix at a place, if there is one.
    pub(super) fn open(file: &'a File, place: &Place) -> Result<Option<Self>> {
        let path = place.path();
        let matrix = |rows, columns, form| Self {
            file,
            place: place.to_string(),
            rows,
            columns,
            form,
        };
        if let Some(array) = file.array(&path)? {
            return match array.shape[..] {
                [rows] => Ok(Some(matrix(rows, 1, Form::Dense(array)))),
                [rows, columns] => Ok(Some(matrix(rows, columns, Form::Dense(array)))),
                // What anndata writes for None.
                [] => Ok(None),
                _ => Err(Error::new(
                    ErrorKind::Shape,
                    format!(
                        "{place}: expected a matrix, got the shape {:?}",
                        array.shape
                    ),
                )),
            };
        } else if !file.is_group(&path) {
            return Ok(None);
        }
        let text = |new: &str, old: &str| file.text(&path, new).or_else(|| file.text(&path, old));
        let encoding = text("encoding-type", "h5sparse_format").unwrap_or_default();
        let is_csr = encoding.starts_with("csr");
        if !is_csr && !encoding.starts_with("csc") {
            let what = || {
                let what = format!(
                    "{place} is stored in a way that is not read ({encoding:?}); make it a dense or \
                     sparse matrix"
                );
                Error::new(ErrorKind::Format, what)
            };
            let frame = Frame::open(file, &path)?.ok_or_else(what)?;
            return Ok(Some(matrix(
                frame.rows,
                frame.names.len(),
                Form::Frame(frame),
            )));
        }
        let broken = |what: &str| {
            let what = format!("{place} is a sparse matrix {what}; the file may be damaged");
            Error::new(ErrorKind::Format, what)
        };
        let sizes = |name: &str| file.sizes(&path, name);
        let shape = sizes("shape").or_else(|| sizes("h5sparse_shape"));
        let Some(&[rows, columns]) = shape.as_deref() else {
            return Err(broken("without a shape"));
        };
        let part = |name: &str| {
            let array = file.array(&format!("{path}/{name}"))?;
            array.ok_or_else(|| broken(&format!("without {name:?}")))
        };
        let sparse = Sparse {
            pointers: part("indptr")?,
            indices: part("indices")?,
            data: part("data")?,
        };
        let lines = if is_csr { rows } else { columns };
        ensure!(
            lines
                .checked_add(1)
                .is_some_and(|n| sparse.pointers.shape == [n])
                && sparse.indices.shape == sparse.data.shape
                && sparse.data.shape.len() == 1,
            Format,
            "{place} is a sparse matrix of shape {rows} x {columns} with \"indptr\" of shape {:?}, \
             \"indices\" {:?} and \"data\" {:?}; the file may be damaged",
            sparse.pointers.shape,
            sparse.indices.shape,
            sparse.data.shape
        );
        let form = if is_csr { Form::Csr } else { Form::Csc };
        Ok(Some(matrix(rows, columns, form(sparse))))
    }

    /// A data frame as a matrix, of its columns of numbers.
    pub(super) fn of_frame(file: &'a File, place: &str) -> Result<Self> {
        let frame = Frame::open(file, place)?;
        let frame = frame.ok_or_else(|| Error::missing(place, file.children("")))?;
        Ok(Self {
            file,
            place: place.to_owned(),
            rows: frame.rows,
            columns: frame.names.len(),
            form: Form::Frame(frame),
        })
    }

    /// The names of its columns where it has some of its own.
    pub(super) fn names(&self) -> Option<&[String]> {
        match &self.form {
            Form::Frame(frame) => Some(&frame.names),
            _ => None,
        }
    }

    /// In a few words.
    pub(super) fn about(&self) -> String {
        let (form, of) = match &self.form {
            Form::Dense(array) => ("", array.kind),
            Form::Csr(sparse) => ("sparse by rows, ", sparse.data.kind),
            Form::Csc(sparse) => ("sparse by columns, ", sparse.data.kind),
            Form::Frame(_) => return format!("{} x {}, a data frame", self.rows, self.columns),
        };
        let of = match of {
            Kind::Number(of) => of,
            _ => "not numbers",
        };
        format!("{} x {}, {form}{of}", self.rows, self.columns)
    }

    /// Whether some rows cannot be read without all others.
    pub(super) fn is_by_columns(&self) -> bool {
        matches!(self.form, Form::Csc(_))
    }

    /// The rows, from the first to the last, of these columns.
    pub(super) fn read(&self, columns: &[usize]) -> Result<Rows<'_>> {
        let place = &self.place;
        self.file.check_count(place, [self.rows, columns.len()])?;
        let from = match &self.form {
            Form::Dense(array) => From::Dense(array),
            Form::Csr(sparse) => {
                self.file.check_count(place, [self.columns, 1])?;
                let mut slots = vec![None; self.columns];
                for (slot, column) in columns.iter().enumerate() {
                    slots[*column] = Some(slot);
                }
                From::Csr(Csr {
                    sparse,
                    slots,
                    indices: Ahead::new(&sparse.indices),
                    data: Ahead::new(&sparse.data),
                })
            }
            Form::Csc(sparse) => From::Whole(by_columns(sparse, self.rows, columns, place)?),
            Form::Frame(frame) => {
                let width = columns.len();
                let mut whole = vec![0.0; self.rows * width];
                for (slot, column) in columns.iter().enumerate() {
                    let numbers = frame.numbers(&frame.names[*column])?;
                    let places = whole[slot..].iter_mut().step_by(width);
                    places.zip(numbers).for_each(|(place, x)| *place = x);
                }
                From::Whole(whole)
            }
        };
        Ok(Rows {
            matrix: self,
            columns: columns.to_vec(),
            at: 0,
            from,
        })
    }
}

impl Matrix<'_> {
    /// Hands out the row, the column and the number of all that are not 0, as they are stored.
    pub(super) fn each(&self, take: &mut dyn FnMut(usize, usize, f64)) -> Result<()> {
        let mut take = |row: usize, column: usize, x: f64| {
            ensure!(
                x.is_finite(),
                Value,
                "{} has a number that is not finite, at row {row}, column {column} (counted from 0)",
                self.place
            );
            if x != 0.0 {
                take(row, column, x);
            }
            Ok(())
        };
        let place = &self.place;
        match &self.form {
            Form::Dense(array) => {
                let some = (AHEAD / self.columns.max(1)).max(1);
                for start in (0..self.rows).step_by(some) {
                    let numbers = array.numbers(start, some.min(self.rows - start))?;
                    for (i, x) in numbers.into_iter().enumerate() {
                        take(start + i / self.columns, i % self.columns, x)?;
                    }
                }
                Ok(())
            }
            Form::Csr(sparse) => {
                let columns = self.columns;
                each_line(sparse, self.rows, place, &mut |row, column, x| {
                    take(row, place_of(column, columns, place)?, x)
                })
            }
            Form::Csc(sparse) => {
                let rows = self.rows;
                each_line(sparse, self.columns, place, &mut |column, row, x| {
                    take(place_of(row, rows, place)?, column, x)
                })
            }
            Form::Frame(_) => {
                let what = format!("{place} is a data frame; make it a dense or sparse matrix");
                Err(Error::new(ErrorKind::Format, what))
            }
        }
    }
}

impl Matrix<'_> {
    /// Hands out the columns, in their order, and the numbers that are not 0, row after row.
    pub(super) fn each_row(&self, take: VisitCells) -> Result<()> {
        let place = &self.place;
        let (mut columns, mut numbers) = (vec![], vec![]);
        match &self.form {
            Form::Dense(array) => {
                let some = (AHEAD / self.columns.max(1)).max(1);
                for start in (0..self.rows).step_by(some) {
                    let all = array.numbers(start, some.min(self.rows - start))?;
                    for row in all.chunks_exact(self.columns) {
                        columns.clear();
                        numbers.clear();
                        for (column, x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                            columns.push(column);
                            numbers.push(*x);
                        }
                        take(&columns, &numbers)?;
                    }
                }
                Ok(())
            }
            Form::Csr(sparse) => {
                let (mut indices, mut data) =
                    (Ahead::new(&sparse.indices), Ahead::new(&sparse.data));
                let mut row: Vec<(usize, f64)> = vec![];
                for start in (0..self.rows).step_by(AHEAD) {
                    let ends = pointers(sparse, start, AHEAD.min(self.rows - start), place)?;
                    for ends in ends.windows(2) {
                        let indices = indices.get(ends[0], ends[1])?.iter();
                        row.clear();
                        for (index, x) in indices.zip(data.get(ends[0], ends[1])?) {
                            row.push((place_of(*index, self.columns, place)?, *x));
                        }
                        // Nothing asks files to keep them in their order, or once each.
                        if !row.is_sorted_by(|a, b| a.0 < b.0) {
                            row.sort_by_key(|(column, _)| *column);
                            row.dedup_by(|next, first| {
                                let same = next.0 == first.0;
                                first.1 += if same { next.1 } else { 0.0 };
                                same
                            });
                        }
                        row.retain(|(_, x)| *x != 0.0);
                        columns.clear();
                        columns.extend(row.iter().map(|(column, _)| *column));
                        numbers.clear();
                        numbers.extend(row.iter().map(|(_, x)| *x));
                        take(&columns, &numbers)?;
                    }
                }
                Ok(())
            }
            Form::Csc(_) => {
                let mut counts = vec![0; self.rows];
                self.each(&mut |row, _, _| counts[row] += 1)?;
                let mut from = 0;
                while from < self.rows {
                    // As many rows as fit, and one at least.
                    let (mut to, mut band) = (from, 0);
                    while to < self.rows && (to == from || band + counts[to] <= BAND) {
                        band += counts[to];
                        to += 1;
                    }
                    let mut rows: Vec<(Vec<usize>, Vec<f64>)> = counts[from..to]
                        .iter()
                        .map(|count| (Vec::with_capacity(*count), Vec::with_capacity(*count)))
                        .collect();
                    self.each(&mut |row, column, x| {
                        if (from..to).contains(&row) {
                            let (columns, numbers) = &mut rows[row - from];
                            match columns.last() == Some(&column) {
                                true => *numbers.last_mut().expect("one for each column") += x,
                                false => {
                                    columns.push(column);
                                    numbers.push(x);
                                }
                            }
                        }
                    })?;
                    for (columns, numbers) in rows {
                        take(&columns, &numbers)?;
                    }
                    from = to;
                }
                Ok(())
            }
            Form::Frame(_) => {
                let what = format!("{place} is a data frame; make it a dense or sparse matrix");
                Err(Error::new(ErrorKind::Format, what))
            }
        }
    }
}

/// Hands out the line, the index along it and the number of all that a sparse matrix stores.
fn each_line(
    sparse: &Sparse,
    lines: usize,
    place: &str,
    take: &mut dyn FnMut(usize, f64, f64) -> Result<()>,
) -> Result<()> {
    let (mut indices, mut data) = (Ahead::new(&sparse.indices), Ahead::new(&sparse.data));
    for start in (0..lines).step_by(AHEAD) {
        let ends = pointers(sparse, start, AHEAD.min(lines - start), place)?;
        for (line, ends) in ends.windows(2).enumerate() {
            let (mut at, end) = (ends[0], ends[1]);
            while at < end {
                let next = end.min(at + AHEAD);
                let both = indices.get(at, next)?.iter().zip(data.get(at, next)?);
                for (index, x) in both {
                    take(start + line, *index, *x)?;
                }
                at = next;
            }
        }
    }
    Ok(())
}

/// Rows of some columns of a matrix, from the first to the last.
pub(super) struct Rows<'a> {
    matrix: &'a Matrix<'a>,
    columns: Vec<usize>,
    at: usize,
    from: From<'a>,
}

enum From<'a> {
    Dense(&'a Array),
    Csr(Csr<'a>),
    /// All of them, row by row.
    Whole(Vec<f64>),
}

struct Csr<'a> {
    sparse: &'a Sparse,
    /// For each column of the matrix its place among those wanted.
    slots: Vec<Option<usize>>,
    indices: Ahead<'a>,
    data: Ahead<'a>,
}

impl Rows<'_> {
    /// The next `count` rows, row by row.
    pub(super) fn next(&mut self, count: usize) -> Result<Vec<f64>> {
        let (start, width) = (self.at, self.columns.len());
        self.at += count;
        match &mut self.from {
            From::Dense(array) => {
                let all = array.numbers(start, count)?;
                let is_all = self.columns.iter().copied().eq(0..self.matrix.columns);
                let rows = all.chunks_exact(self.matrix.columns);
                let some = |row: &[f64]| self.columns.iter().map(|j| row[*j]).collect::<Vec<_>>();
                Ok(if is_all {
                    all
                } else {
                    rows.flat_map(some).collect()
                })
            }
            From::Csr(csr) => csr.next(start, count, width, &self.matrix.place),
            From::Whole(whole) => Ok(whole[start * width..(start + count) * width].to_vec()),
        }
    }
}

impl Csr<'_> {
    fn next(&mut self, start: usize, count: usize, width: usize, place: &str) -> Result<Vec<f64>> {
        let ends = pointers(self.sparse, start, count, place)?;
        let mut rows = vec![0.0; count * width];
        for (row, line) in rows.chunks_exact_mut(width).zip(ends.windows(2)) {
            let indices = self.indices.get(line[0], line[1])?;
            let data = self.data.get(line[0], line[1])?;
            for (index, x) in indices.iter().zip(data) {
                let slot = place_of(*index, self.slots.len(), place)?;
                if let Some(slot) = self.slots[slot] {
                    row[slot] += x;
                }
            }
        }
        Ok(rows)
    }
}

/// Where some rows or columns start, and where the last of them ends.
fn pointers(sparse: &Sparse, start: usize, count: usize, place: &str) -> Result<Vec<usize>> {
    let pointers = sparse.pointers.numbers(start, count + 1)?;
    let (total, follow) = (sparse.data.len() as f64, |pair: &[f64]| pair[0] <= pair[1]);
    ensure!(
        pointers.iter().all(|at| (0.0..=total).contains(at)) && pointers.windows(2).all(follow),
        Format,
        "{place}: the rows of its sparse matrix do not follow each other; the file may be damaged"
    );
    Ok(pointers.into_iter().map(|at| at as usize).collect())
}

/// An index below a limit.
fn place_of(index: f64, limit: usize, place: &str) -> Result<usize> {
    ensure!(
        (0.0..limit as f64).contains(&index),
        Format,
        "{place}: its sparse matrix has the index {index}, expected one below {limit}; the file may be \
         damaged"
    );
    Ok(index as usize)
}

/// All rows of some columns of a matrix that is compressed by columns.
fn by_columns(sparse: &Sparse, rows: usize, columns: &[usize], place: &str) -> Result<Vec<f64>> {
    let width = columns.len();
    let mut whole = vec![0.0; rows * width];
    let (mut indices, mut data) = (Ahead::new(&sparse.indices), Ahead::new(&sparse.data));
    let ends = pointers(sparse, 0, sparse.pointers.len() - 1, place)?;
    for (slot, column) in columns.iter().enumerate() {
        let (mut at, end) = (ends[*column], ends[*column + 1]);
        while at < end {
            let next = end.min(at + AHEAD);
            let lines = indices.get(at, next)?.iter().zip(data.get(at, next)?);
            for (index, x) in lines {
                whole[place_of(*index, rows, place)? * width + slot] += x;
            }
            at = next;
        }
    }
    Ok(whole)
}

/// How many numbers of a matrix that is stored by columns are put into rows at once, each in 16
/// bytes.
const BAND: usize = 1 << 22;

/// How many numbers are read ahead.
const AHEAD: usize = 1 << 18;

/// Numbers of a list that are read some at a time, in their order.
struct Ahead<'a> {
    array: &'a Array,
    start: usize,
    numbers: Vec<f64>,
}

impl<'a> Ahead<'a> {
    fn new(array: &'a Array) -> Self {
        Self {
            array,
            start: 0,
            numbers: vec![],
        }
    }

    fn get(&mut self, from: usize, to: usize) -> Result<&[f64]> {
        let held = self.start..=self.start + self.numbers.len();
        if !held.contains(&from) || !held.contains(&to) {
            let most = self.array.len() - from;
            self.numbers = self.array.numbers(from, AHEAD.max(to - from).min(most))?;
            self.start = from;
        }
        Ok(&self.numbers[from - self.start..to - self.start])
    }
}

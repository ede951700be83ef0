//! How files are read, whatever their format: the times first, then the rows, some at a time.

mod gathered;
mod table;

use std::{
    collections::HashMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ndarray::Array2;

pub(super) use self::gathered::Gathered;
use self::gathered::Rows;
pub use self::table::TableReader;
use super::{
    Keys, Snapshots, TimeAxis, components,
    formats::{Format, extensions},
    within,
};
use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
};

/// What a format knows of a file before it reads the rows.
pub(super) struct Head {
    /// How many rows there are.
    pub rows: usize,
    /// One for each row; the error is why there are none, for those who need them.
    pub times: Result<Times>,
    /// The name of their array or column, which may tell their unit.
    pub time_name: String,
    /// The names of the coordinates.
    pub columns: Vec<String>,
    pub has_weights: bool,
    /// Arrays that are stored column by column: their rows cannot be read a few at a time.
    pub by_columns: Vec<String>,
    pub notes: Vec<String>,
}

/// What is wanted of the rows of a file.
pub(super) struct Wanted<'a> {
    pub keys: &'a Keys,
    /// The coordinates, as the [`Head`] names them.
    pub columns: &'a [String],
    pub velocities: bool,
}

/// Some rows of a file, in its order: points `[m, columns]`, weights `[m]` and velocities `[m, d]`,
/// row by row.
pub(super) struct Chunk<'a> {
    pub points: &'a [f64],
    pub weights: Option<&'a [f64]>,
    pub velocities: Option<&'a [f64]>,
}

/// Is called with one chunk after another.
pub(super) type Take<'a> = dyn FnMut(Chunk) -> Result<()> + 'a;

/// About how many numbers a chunk has.
pub(super) const CHUNK: usize = 1 << 16;

/// How many rows a chunk has.
pub(super) fn chunk_rows(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1)
}

pub(super) enum Times {
    Numbers(Vec<f64>),
    Labels(Labels),
    /// Durations since a start, NaN where there is none.
    Seconds(Vec<f64>),
}

/// A label for each row, each kept once.
#[derive(Default)]
pub(super) struct Labels {
    code_of: HashMap<String, u32>,
    distinct: Vec<String>,
    codes: Vec<u32>,
}

impl Labels {
    pub(super) fn push(&mut self, label: &str) {
        let code = match self.code_of.get(label) {
            Some(code) => *code,
            None => {
                let code = self.distinct.len() as u32;
                self.code_of.insert(label.to_owned(), code);
                self.distinct.push(label.to_owned());
                code
            }
        };
        self.codes.push(code);
    }

    /// Adds those of other rows.
    pub(super) fn append(&mut self, other: &Self) {
        let each = other.codes.iter();
        each.for_each(|code| self.push(&other.distinct[*code as usize]));
    }
}

impl Times {
    /// What they are, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Labels(_) => "text",
            Self::Seconds(_) => "durations",
        }
    }

    /// The axis of times in an array or column of this name, and the time of each row.
    fn axis(self, name: &str) -> Result<(TimeAxis, Vec<usize>)> {
        let (axis, index) = match self {
            Self::Numbers(times) => TimeAxis::from_values(&times)?,
            Self::Seconds(times) => TimeAxis::from_seconds(&times)?,
            Self::Labels(labels) => {
                let (axis, time_of) = TimeAxis::from_labels(&labels.distinct)?;
                let index = labels.codes.iter().map(|code| time_of[*code as usize]);
                (axis, index.collect())
            }
        };
        Ok((axis.in_unit(name), index))
    }
}

/// The number a person wrote who now has it in single precision: 0.1, not 0.10000000149.
pub(super) fn decimal(single: f64) -> f64 {
    (single as f32).to_string().parse().unwrap_or(single)
}

/// The same of half precision: 0.1, not 0.0999755859375.
pub(super) fn half_decimal(half: f64) -> f64 {
    let is_it = |x: &f64| half::f16::from_f64(*x).to_f64() == half;
    let rounded = (0..5).filter_map(|digits| format!("{half:.digits$e}").parse().ok());
    rounded.into_iter().find(is_it).unwrap_or(half)
}

/// A file and where in it things are.
struct Source {
    path: PathBuf,
    keys: Keys,
    format: &'static Format,
}

impl Source {
    fn of(path: &Path, keys: &Keys) -> Result<Self> {
        let format = Format::of(path)?;
        if format.is_many() {
            keys.check_made(&extensions(|format| format.genes.is_some()))?;
            return Ok(Self {
                path: path.to_owned(),
                keys: keys.clone(),
                format,
            });
        }
        let about = std::fs::metadata(path).map_err(|cause| Error::io("read", path, cause))?;
        let (is_it, kind) = match format.is_folder {
            true => (about.is_dir(), "a folder"),
            false => (about.is_file(), "a file"),
        };
        ensure!(
            is_it,
            Io,
            "cannot read {}: it is not {kind}",
            path.display()
        );
        ensure!(
            about.len() > 0 || format.is_folder,
            Format,
            "the file is empty"
        );
        let mut keys = keys.clone();
        if format.genes.is_none() {
            keys.check_made(&extensions(|format| format.genes.is_some()))?;
        } else if keys.pca.is_some() && keys.decoder.is_none() {
            let go_on = &mut |_, _| ControlFlow::Continue(());
            keys.decoder = Some(Arc::new(components::of_file(path, &keys, go_on)?));
        }
        Ok(Self {
            path: path.to_owned(),
            keys,
            format,
        })
    }

    fn head(&self) -> Result<Head> {
        (self.format.head)(&self.path, &self.keys)
    }

    /// Hands out these columns of all `rows` in order, and the velocities only if the keys name them
    /// and they are asked for.
    fn each(
        &self,
        rows: usize,
        columns: &[String],
        velocities: bool,
        take: &mut Take,
    ) -> Result<()> {
        let width = columns.len();
        let wanted = Wanted {
            keys: &self.keys,
            columns,
            velocities: velocities && self.keys.velocity_key.is_some(),
        };
        let changed = || Error::new(ErrorKind::Format, "the file changed while it was read");
        let mut seen = 0;
        let take: &mut Take = &mut |chunk: Chunk| {
            seen += chunk.points.len() / width;
            if !chunk.points.len().is_multiple_of(width) || seen > rows {
                return Err(changed());
            }
            take(chunk)
        };
        (self.format.rows)(&self.path, &wanted, take)?;
        if seen == rows { Ok(()) } else { Err(changed()) }
    }
}

/// Reads snapshots from a file of one of the [formats](super::FORMATS).
///
/// In tables without [`points_key`](Keys::points_key), columns with numbered names (`PC_1`, `PC_2`,
/// ...) are the coordinates; where there are none, all columns of numbers but those that number
/// rows, label groups or measure quality. [`Snapshots::notes`] says which were left out, and whether
/// the weights in the file give the times unequal masses.
///
/// # Errors
/// The file is missing, truncated or of another format, a key is not in it, lengths disagree, a
/// number is missing or not finite, a time is not understood or has a single point, or what the
/// coordinates are cannot be told without the user. The message names the file and the array,
/// column, row or line.
pub fn read(path: &Path, keys: &Keys) -> Result<Snapshots> {
    TableReader::open(path, keys)?.read()
}

/// Points of one time of a file, or of a file without times.
#[derive(Debug, Clone)]
pub struct Points {
    /// The points.
    pub cloud: Cloud,
    /// The names of their coordinates, `[d]`.
    pub columns: Vec<String>,
    /// Their rows in the file, counted from 0, `[n]`.
    pub rows: Vec<usize>,
}

/// Reads the points of one time, which `choose` names by its index among the times of the file, or
/// all points of a file without times. Velocities are left out, and need not be there.
///
/// # Errors
/// As [`read`], and those of `choose`.
pub fn read_points(
    path: &Path,
    keys: &Keys,
    choose: &mut dyn FnMut(&TimeAxis) -> Result<usize>,
) -> Result<Points> {
    within(path, || {
        let file = Source::of(path, keys)?;
        let head = file.head()?;
        let n = head.rows;
        let has_times = head.times.is_ok();
        let (index, chosen) = match head.times {
            Err(_) => (vec![0; n], 0),
            Ok(times) => {
                let (axis, index) = times.axis(&head.time_name)?;
                (index, choose(&axis)?)
            }
        };
        let width = head.columns.len();
        let (mut rows, mut at) = (Rows::default(), 0);
        file.each(n, &head.columns, false, &mut |chunk| {
            for (i, point) in chunk.points.chunks_exact(width).enumerate() {
                if index[at] == chosen {
                    rows.push(
                        point,
                        &[chunk.weights.map_or(1.0 / n as f64, |w| w[i])],
                        &[],
                    );
                }
                at += 1;
            }
            Ok(())
        })?;
        let (cloud, _) = rows.cloud()?;
        // Without weights in the file the mass is 1, however many rows other times have.
        let cloud = if head.has_weights || !has_times {
            cloud
        } else {
            cloud.with_mass(1.0)?
        };
        Ok(Points {
            cloud,
            columns: head.columns,
            rows: (0..n).filter(|row| index[*row] == chosen).collect(),
        })
    })
}

/// Reads the numbers of a table without a header, `.csv` or `.tsv`: `[rows, columns]`.
///
/// # Errors
/// Another extension, a file that cannot be read, rows of different lengths, or a cell that is not
/// a number.
pub fn read_matrix(path: &Path) -> Result<Array2<f64>> {
    within(path, || {
        let read = Format::of(path).ok().and_then(|format| format.matrix);
        let read = read.ok_or_else(|| {
            let known = extensions(|format| format.matrix.is_some());
            let what = format!("a matrix is read from {known}: rows of numbers without a header");
            Error::new(ErrorKind::Format, what)
        })?;
        read(path)
    })
}

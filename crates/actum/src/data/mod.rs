//! Snapshots of a population, in files and in memory.
//!
//! | file | time | points | weight |
//! |---|---|---|---|
//! | `.npz` | `t` `[n]`, numbers or text | `X` `[n, d]` | `w` or `weights` `[n]` |
//! | `.npz`, trajectories | `t` `[k]` | `X` `[k, n, d]` | `w` `[n]` or `[k, n]` |
//! | `.csv`, `.tsv`, `.parquet` | a column `t`, `time`, `timepoint`, `time_point`, `day` or `hour` | all other columns of numbers | `w`, `weight` or `weights` |
//!
//! Names of columns agree in upper and lower case; [`ReadOptions`] chooses others. Times are
//! numbers or labels such as `Day 2`, see [`TimeAxis`]. Without weights every time has mass 1.
//! Velocities are read where [`ReadOptions::velocity_key`] says.
//!
//! [`read()`] holds all rows in memory; [`TableReader::shards`] splits a file that is larger than
//! memory into [`Shards`].
//!
//! [`Images`] are read from files of their own, and [`Shapes`] draws some.

mod columns;
mod csv;
mod images;
mod npz;
mod pages;
mod parquet;
mod shapes;
mod shards;
mod snapshots;
mod synthetic;
mod table_reader;
mod time;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ndarray::{Array1, Array2, Array3};

pub(crate) use self::images::LUMA;
pub use self::{
    images::Images,
    shapes::Shapes,
    shards::{Shards, Split},
    snapshots::Snapshots,
    synthetic::{Branching, Fate, Latent},
    table_reader::TableReader,
    time::TimeAxis,
};
use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
};

/// Where in a file the times, points, weights and velocities are, when not where the [module](self) says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The array or column of times.
    pub time_key: Option<String>,
    /// The array of points; for tables the columns of the coordinates, separated by commas.
    pub points_key: Option<String>,
    /// The array or column of weights.
    pub weight_key: Option<String>,
    /// The array of velocities, of the shape of the points; for tables their columns, one for each
    /// coordinate and in that order, separated by commas. Without it no velocities are read.
    pub velocity_key: Option<String>,
}

/// What a reader knows of a file before it reads the rows.
struct Head {
    /// How many rows there are.
    rows: usize,
    /// One for each row; the error is why there are none, for those who need them.
    times: Result<Times>,
    /// The names of the coordinates, those included that may yet turn out to be text.
    columns: Vec<String>,
    has_weights: bool,
    /// Arrays that are stored column by column: their rows cannot be read a few at a time.
    by_columns: Vec<String>,
    notes: Vec<String>,
}

/// Some rows of a file, in its order: points `[m, columns]`, weights `[m]` and velocities `[m, d]`,
/// row by row.
struct Chunk<'a> {
    points: &'a [f64],
    weights: Option<&'a [f64]>,
    velocities: Option<&'a [f64]>,
}

/// Is called with one chunk after another.
type Take<'a> = dyn FnMut(Chunk) -> Result<()> + 'a;

/// About how many numbers a chunk has.
const CHUNK: usize = 1 << 16;

/// How many rows a chunk has.
fn chunk_rows(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1)
}

enum Times {
    Numbers(Vec<f64>),
    Labels(Labels),
}

/// A label for each row, each kept once.
#[derive(Default)]
struct Labels {
    code_of: HashMap<String, u32>,
    distinct: Vec<String>,
    codes: Vec<u32>,
}

impl Labels {
    fn push(&mut self, label: &str) {
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
}

impl Times {
    fn axis(self) -> Result<(TimeAxis, Vec<usize>)> {
        match self {
            Self::Numbers(times) => TimeAxis::from_values(&times),
            Self::Labels(labels) => {
                let (axis, time_of) = TimeAxis::from_labels(&labels.distinct)?;
                let index = labels.codes.iter().map(|code| time_of[*code as usize]);
                Ok((axis, index.collect()))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Format {
    Npz,
    Text { delimiter: u8 },
    Parquet,
}

fn format_of(path: &Path) -> Result<Format> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    Ok(match extension.as_deref() {
        Some("npz") => Format::Npz,
        Some("csv") => Format::Text { delimiter: b',' },
        Some("tsv") => Format::Text { delimiter: b'\t' },
        Some("parquet") => Format::Parquet,
        _ => {
            return Err(Error::new(
                ErrorKind::Format,
                match extension.as_deref() {
                    Some("h5ad") => {
                        "AnnData is not read; save what you need of it, in Python: \
                         numpy.savez('cells.npz', X=adata.obsm['X_pca'], \
                         t=adata.obs['day'].astype(str).to_numpy('U'))"
                    }
                    Some("gz") => "compressed files are not read; unpack it first",
                    _ => {
                        "the extension does not tell the format; expected .npz, .csv, .tsv or \
                         .parquet"
                    }
                },
            ));
        }
    })
}

/// Reads snapshots from a `.npz`, `.csv`, `.tsv` or `.parquet` file.
///
/// Columns of tables that are not numbers, and the row index pandas writes, are left out;
/// [`Snapshots::notes`] says which, and whether the weights in the file give the times unequal
/// masses.
///
/// # Errors
/// The file is missing, truncated or of another format, a key is not in it, lengths disagree, a
/// number is missing or not finite, a time is not understood or has a single point. The message
/// names the file and the array, column, row or line.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Snapshots> {
    TableReader::open(path, options)?.read()
}

fn unequal_masses(snapshots: &Snapshots) -> Option<String> {
    let masses = snapshots.masses();
    let least = masses.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = masses.iter().copied().fold(0.0, f64::max);
    let shown = |mass: f64| format!("{mass:.4e}").parse().unwrap_or(mass);
    // Weights in single precision that were made to sum to 1 do so to about 1e-7.
    (greatest > least * (1.0 + 1e-6)).then(|| {
        format!(
            "the weights in the file give the snapshots unequal masses ({} to {}): they count in a \
             fit only if mass can grow (--growth)",
            shown(least),
            shown(greatest)
        )
    })
}

/// Reads one cloud, and its time where the file tells one: all points of a file without times or
/// with a single one, else those at `time`. Velocities are left out, and need not be there.
///
/// # Errors
/// As [`read`], and a file with several times of which `time` is none or not given.
pub fn read_cloud(
    path: &Path,
    options: &ReadOptions,
    time: Option<f64>,
) -> Result<(Cloud, Option<f64>)> {
    within(path, || {
        let file = Source::of(path, options)?;
        let head = file.head()?;
        let n = head.rows;
        let (index, chosen, found) = match head.times {
            Err(_) => (vec![0; n], 0, None),
            Ok(times) => {
                let (axis, index) = times.axis()?;
                let chosen = match (axis.values(), time) {
                    (_, Some(time)) => axis.index_of(&time.to_string())?,
                    ([_], None) => 0,
                    (_, None) => {
                        let times = axis.labels().join(", ");
                        let what = format!("there are points at {times}; say at which to start");
                        return Err(Error::new(ErrorKind::Value, what));
                    }
                };
                (index, chosen, Some(axis.values()[chosen]))
            }
        };
        let width = head.columns.len();
        let (mut points, mut weights, mut row) = (vec![], vec![], 0);
        let text = file.each(n, width, false, &mut |chunk| {
            for (i, point) in chunk.points.chunks_exact(width).enumerate() {
                if index[row] == chosen {
                    points.extend(point);
                    weights.push(chunk.weights.map_or(1.0 / n as f64, |w| w[i]));
                }
                row += 1;
            }
            Ok(())
        })?;
        let (points, _) = table_reader::kept(points, &head.columns, &text)?;
        let cloud = Cloud::weighted(points, Array1::from(weights))?;
        // Without weights in the file the mass is 1, however many rows other times have.
        let cloud = if head.has_weights || found.is_none() {
            cloud
        } else {
            cloud.with_mass(1.0)?
        };
        Ok((cloud, found))
    })
}

fn within<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    read().map_err(|error| match error.kind() {
        ErrorKind::Io => error,
        _ => error.within(path.display()),
    })
}

/// A file and where in it things are.
struct Source {
    path: PathBuf,
    options: ReadOptions,
    format: Format,
}

impl Source {
    fn of(path: &Path, options: &ReadOptions) -> Result<Self> {
        let format = format_of(path)?;
        let about = std::fs::metadata(path).map_err(|cause| Error::io("read", path, cause))?;
        ensure!(
            about.is_file(),
            Io,
            "cannot read {}: it is not a file",
            path.display()
        );
        ensure!(about.len() > 0, Format, "the file is empty");
        Ok(Self {
            path: path.to_owned(),
            options: options.clone(),
            format,
        })
    }

    fn head(&self) -> Result<Head> {
        match self.format {
            Format::Npz => npz::head(&self.path, &self.options),
            Format::Text { delimiter } => csv::head(&self.path, &self.options, delimiter),
            Format::Parquet => parquet::head(&self.path, &self.options),
        }
    }

    /// Hands out all `rows` in order, of so many coordinates, the velocities only if they are in the
    /// options and asked for; returns which of the coordinates turned out to be text.
    fn each(
        &self,
        rows: usize,
        width: usize,
        velocities: bool,
        take: &mut Take,
    ) -> Result<Vec<usize>> {
        columns::check_some(width)?;
        let (path, options) = (&self.path, &self.options);
        let velocities = velocities && options.velocity_key.is_some();
        let changed = || Error::new(ErrorKind::Format, "the file changed while it was read");
        let mut seen = 0;
        let take: &mut Take = &mut |chunk: Chunk| {
            seen += chunk.points.len() / width;
            if !chunk.points.len().is_multiple_of(width) || seen > rows {
                return Err(changed());
            }
            take(chunk)
        };
        let text = match self.format {
            Format::Npz => npz::rows(path, options, velocities, take),
            Format::Text { delimiter } => csv::rows(path, options, delimiter, velocities, take),
            Format::Parquet => parquet::rows(path, options, velocities, take),
        }?;
        if seen == rows {
            Ok(text)
        } else {
            Err(changed())
        }
    }
}

/// Reads the numbers of a table without a header, `.csv` or `.tsv`: `[rows, columns]`.
///
/// # Errors
/// Another extension, a file that cannot be read, rows of different lengths, or a cell that is not
/// a number.
pub fn read_matrix(path: &Path) -> Result<Array2<f64>> {
    within(path, || match format_of(path) {
        Ok(Format::Text { delimiter }) => csv::read_matrix(path, delimiter),
        _ => Err(Error::new(
            ErrorKind::Format,
            "a matrix is read from .csv or .tsv: rows of numbers without a header",
        )),
    })
}

/// Writes snapshots so that [`read`] gives them back, bit for bit, in the format that the
/// extension of `path` names.
///
/// Times are numbers, or the labels where these are more than numbers (`Day 2`). Weights are
/// written unless every time has equal weights and mass 1. In `.npz`, names of the coordinates
/// are in `columns` `[d]`, if they have any. Velocities are the array `V` `[n, d]`, in tables the
/// columns `v_` and the name of the coordinate; [`ReadOptions::velocity_key`] must name them.
///
/// # Errors
/// An unknown extension, a column of a table named as the time, the weight or a velocity is, or a
/// file that cannot be written; what was at `path` is then untouched.
pub fn write(path: &Path, snapshots: &Snapshots) -> Result<()> {
    match within(path, || format_of(path))? {
        Format::Npz => npz::write(path, snapshots),
        Format::Text { delimiter } => csv::write(path, snapshots, delimiter),
        Format::Parquet => parquet::write(path, snapshots),
    }
}

/// Weights of n particles at k times.
#[derive(Debug, Clone, Copy)]
pub enum ParticleWeights<'a> {
    /// All equal, at all times.
    Equal,
    /// One for each particle, `[n]`, at all times.
    Constant(&'a Array1<f64>),
    /// One for each time and particle, `[k, n]`.
    Changing(&'a Array2<f64>),
}

impl ParticleWeights<'_> {
    fn are_given(&self) -> bool {
        !matches!(self, Self::Equal)
    }

    fn of(&self, time: usize, particle: usize) -> Option<f64> {
        match self {
            Self::Equal => None,
            Self::Constant(weights) => Some(weights[particle]),
            Self::Changing(weights) => Some(weights[[time, particle]]),
        }
    }

    fn check(&self, k: usize, n: usize) -> Result<()> {
        match self {
            Self::Equal => (),
            Self::Constant(weights) => ensure!(
                weights.len() == n,
                Shape,
                "expected one weight for each of {n} particles, got {}",
                weights.len()
            ),
            Self::Changing(weights) => ensure!(
                weights.dim() == (k, n),
                Shape,
                "expected weights of shape [{k}, {n}], one for each time and particle, got {:?}",
                weights.shape()
            ),
        }
        Ok(())
    }
}

/// Writes particles through time, points `[k, n, d]` at `times` `[k]`, with their weights,
/// coordinates named `columns` `[d]`; [`read`] takes the file for snapshots.
///
/// In `.npz`: `X` `[k, n, d]`, `t` `[k]`, `w` `[n]` or `[k, n]`. In tables one row for each
/// particle and time, particle by particle: `particle` (from 0), `t`, the coordinates, `w`.
/// Constant weights that are equal are left out; changing ones are written as they are.
///
/// # Errors
/// Lengths that disagree, and as [`write()`].
pub fn write_trajectories(
    path: &Path,
    times: &[f64],
    points: &Array3<f64>,
    weights: ParticleWeights,
    columns: &[String],
) -> Result<()> {
    let (k, n, d) = points.dim();
    weights.check(k, n)?;
    let weights = match weights {
        ParticleWeights::Constant(w) if w.iter().all(|x| *x == w[0]) => ParticleWeights::Equal,
        given => given,
    };
    ensure!(
        times.len() == k,
        Shape,
        "expected one time for each of {k} steps, got {}",
        times.len()
    );
    snapshots::check_columns(columns, d)?;
    match within(path, || format_of(path))? {
        Format::Npz => npz::write_trajectories(path, times, points, weights, columns),
        Format::Text { delimiter } => {
            csv::write_trajectories(path, times, points, weights, columns, delimiter)
        }
        Format::Parquet => parquet::write_trajectories(path, times, points, weights, columns),
    }
}

/// Whether the weights are those that [`read`] supplies when a file has none.
fn has_default_weights(snapshots: &Snapshots) -> bool {
    snapshots.clouds().iter().all(|cloud| {
        let expected = 1.0 / cloud.len() as f64;
        cloud.weights().iter().all(|w| *w == expected)
    })
}

#[cfg(test)]
mod tests;

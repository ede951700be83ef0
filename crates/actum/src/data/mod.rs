//! Snapshots of a population, in files and in memory.
//!
//! | file | time | points | weight |
//! |---|---|---|---|
//! | `.npz` | `t` `[n]`, numbers or text | `X` `[n, d]` | `w` or `weights` `[n]` |
//! | `.csv`, `.tsv`, `.parquet` | a column `t`, `time`, `timepoint`, `time_point`, `day` or `hour` | all other columns of numbers | `w`, `weight` or `weights` |
//!
//! Names of columns agree in upper and lower case; [`ReadOptions`] chooses others. Times are
//! numbers or labels such as `Day 2`, see [`TimeAxis`]. Without weights every time has mass 1.

mod columns;
mod csv;
mod npz;
mod pages;
mod parquet;
mod snapshots;
mod synthetic;
mod time;

use std::path::Path;

use ndarray::{Array1, Array2, Array3};

pub use self::{
    snapshots::Snapshots,
    synthetic::{Branching, Fate, Latent},
    time::TimeAxis,
};
use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
};

/// Where in a file the times, points and weights are, when not where the [module](self) says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The array or column of times.
    pub time_key: Option<String>,
    /// The array of points; for tables the columns of the coordinates, separated by commas.
    pub points_key: Option<String>,
    /// The array or column of weights.
    pub weight_key: Option<String>,
}

/// What a reader finds in a file, row by row.
struct Table {
    points: Array2<f64>,
    /// The error is why there are none, for those who need them.
    times: Result<Times>,
    weights: Option<Array1<f64>>,
    columns: Option<Vec<String>>,
    notes: Vec<String>,
}

enum Times {
    Numbers(Vec<f64>),
    Labels(Vec<String>),
}

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
/// [`Snapshots::notes`] says which.
///
/// # Errors
/// The file is missing, truncated or of another format, a key is not in it, lengths disagree, a
/// number is missing or not finite, a time is not understood or has a single point. The message
/// names the file and the array, column, row or line.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Snapshots> {
    within(path, || {
        let Table {
            points,
            times,
            weights,
            columns,
            notes,
        } = table(path, options)?;
        let snapshots = match times? {
            Times::Numbers(t) => Snapshots::from_rows(points, &t, weights, columns),
            Times::Labels(t) => Snapshots::from_labelled_rows(points, &t, weights, columns),
        };
        Ok(snapshots?.with_notes(notes))
    })
}

/// Reads one cloud, and its time where the file tells one: all points of a file without times or
/// with a single one, else those at `time`.
///
/// # Errors
/// As [`read`], and a file with several times of which `time` is none or not given.
pub fn read_cloud(
    path: &Path,
    options: &ReadOptions,
    time: Option<f64>,
) -> Result<(Cloud, Option<f64>)> {
    within(path, || {
        let Table {
            points,
            times,
            weights,
            ..
        } = table(path, options)?;
        let n = points.nrows();
        let weights = weights.unwrap_or_else(|| Array1::from_elem(n, 1.0 / n as f64));
        let all = Cloud::weighted(points, weights)?;
        let (axis, index) = match times {
            Err(_) => return Ok((all, None)),
            Ok(Times::Numbers(t)) => TimeAxis::from_values(&t)?,
            Ok(Times::Labels(t)) => TimeAxis::from_labels(&t)?,
        };
        let chosen = match (axis.values(), time) {
            (_, Some(time)) => axis.index_of(&time.to_string())?,
            ([_], None) => 0,
            (_, None) => {
                let times = axis.labels().join(", ");
                let what = format!("there are points at {times}; say at which to start");
                return Err(Error::new(ErrorKind::Value, what));
            }
        };
        let rows: Vec<usize> = (0..n).filter(|i| index[*i] == chosen).collect();
        Ok((all.select(&rows)?, Some(axis.values()[chosen])))
    })
}

fn within<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    read().map_err(|error| match error.kind() {
        ErrorKind::Io => error,
        _ => error.within(path.display()),
    })
}

fn table(path: &Path, options: &ReadOptions) -> Result<Table> {
    let format = format_of(path)?;
    let about = std::fs::metadata(path).map_err(|cause| Error::io("read", path, cause))?;
    ensure!(
        about.is_file(),
        Io,
        "cannot read {}: it is not a file",
        path.display()
    );
    ensure!(about.len() > 0, Format, "the file is empty");
    match format {
        Format::Npz => npz::read(path, options),
        Format::Text { delimiter } => csv::read(path, options, delimiter),
        Format::Parquet => parquet::read(path, options),
    }
}

/// Writes snapshots so that [`read`] gives them back, bit for bit, in the format that the
/// extension of `path` names.
///
/// Times are numbers, or the labels where these are more than numbers (`Day 2`). Weights are
/// written unless every time has equal weights and mass 1. In `.npz`, names of the coordinates
/// are in `columns` `[d]`, if they have any.
///
/// # Errors
/// An unknown extension, a column of a table named as the time or the weight is, or a file that
/// cannot be written; what was at `path` is then untouched.
pub fn write(path: &Path, snapshots: &Snapshots) -> Result<()> {
    match within(path, || format_of(path))? {
        Format::Npz => npz::write(path, snapshots),
        Format::Text { delimiter } => csv::write(path, snapshots, delimiter),
        Format::Parquet => parquet::write(path, snapshots),
    }
}

/// Writes particles through time, points `[k, n, d]` at `times` `[k]`, of `weights` `[n]`,
/// coordinates named `columns` `[d]`; [`read`] takes the file for snapshots.
///
/// In `.npz`: `X` `[k, n, d]`, `t` `[k]`, `w` `[n]`. In tables one row for each particle and time,
/// particle by particle: `particle` (from 0), `t`, the coordinates, `w`. Equal weights are left
/// out.
///
/// # Errors
/// Lengths that disagree, and as [`write()`].
pub fn write_trajectories(
    path: &Path,
    times: &[f64],
    points: &Array3<f64>,
    weights: &Array1<f64>,
    columns: &[String],
) -> Result<()> {
    let (k, n, d) = points.dim();
    ensure!(
        weights.len() == n,
        Shape,
        "expected one weight for each of {n} particles, got {}",
        weights.len()
    );
    let uneven = weights.iter().any(|w| *w != weights[0]);
    let weights = uneven.then_some(weights);
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

//! The rows of a file of any size.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use ndarray::{Array1, Array2, Axis};

use crate::{
    data::{
        ReadOptions, Shards, Snapshots, Source, Split, TimeAxis, columns,
        shards::split,
        snapshots::{check_sizes, rows_by_time},
        unequal_masses, within,
    },
    error::{Result, ensure},
};

/// A file whose times are known and whose rows are still to be read, at 8 bytes a row.
pub struct TableReader {
    pub(super) file: Source,
    pub(super) axis: TimeAxis,
    /// The time of each row, as an index.
    pub(super) index: Vec<usize>,
    pub(super) counts: Vec<usize>,
    /// The coordinates, those included that may yet turn out to be text.
    pub(super) columns: Vec<String>,
    pub(super) has_weights: bool,
    pub(super) notes: Vec<String>,
    by_columns: Vec<String>,
}

impl TableReader {
    /// Reads which times there are.
    ///
    /// # Errors
    /// The file is missing, truncated or of another format, a key is not in it, a time is missing,
    /// not understood, or has a single point.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        within(path, || {
            let file = Source::of(path, options)?;
            let head = file.head()?;
            let (axis, index) = head.times?.axis()?;
            let mut counts = vec![0; axis.values().len()];
            for time in &index {
                counts[*time] += 1;
            }
            Ok(Self {
                file,
                axis,
                index,
                counts,
                columns: head.columns,
                has_weights: head.has_weights,
                notes: head.notes,
                by_columns: head.by_columns,
            })
        })
    }

    /// The times.
    pub fn axis(&self) -> &TimeAxis {
        &self.axis
    }

    /// The number of rows at each time, `[K]`.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// All rows, in memory.
    ///
    /// # Errors
    /// As [`read`](super::read()).
    pub fn read(&self) -> Result<Snapshots> {
        within(&self.file.path, || {
            let (mut points, mut weights, mut velocities) = (vec![], vec![], vec![]);
            let width = self.columns.len();
            let text = self
                .file
                .each(self.index.len(), width, true, &mut |chunk| {
                    points.extend_from_slice(chunk.points);
                    weights.extend_from_slice(chunk.weights.unwrap_or_default());
                    velocities.extend_from_slice(chunk.velocities.unwrap_or_default());
                    Ok(())
                })?;
            let (points, columns) = kept(points, &self.columns, &text)?;
            let snapshots = grouped(
                &self.axis,
                &self.index,
                points,
                self.has_weights.then_some(weights),
                self.file
                    .options
                    .velocity_key
                    .is_some()
                    .then_some(velocities),
                columns,
            )?;
            let notes = self.notes(&text, &snapshots);
            Ok(snapshots.with_notes(notes))
        })
    }

    /// All rows in memory where no time has more than `how.shard` of them, else split into shards.
    /// `progress` is told how many rows of how many are read, and may stop it.
    ///
    /// The shards lie in a new folder in `folder`, which is removed with them: 8 bytes for every
    /// number that is kept. Memory is bounded by a shard, beside 16 bytes a row while the file is
    /// read, and 8 more with weights in `.npz`. An array in Fortran order is read whole, and a note
    /// says so.
    ///
    /// # Errors
    /// As [`read`](super::read()); a `folder` that cannot be written to, or is full;
    /// [`Interrupted`](crate::error::ErrorKind::Interrupted) if `progress` asked to stop.
    pub fn shards(
        mut self,
        how: &Split,
        folder: &Path,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Shards> {
        how.check()?;
        if self.counts.iter().all(|count| *count <= how.shard) {
            return self.read().map(Shards::from);
        }
        let notes = self.by_columns.iter().map(|name| {
            format!(
                "array {name:?} is stored column by column (Fortran order) and was read whole; saved \
                 as numpy.ascontiguousarray({name}) it takes less memory"
            )
        });
        self.notes.extend(notes);
        let path = self.file.path.clone();
        within(&path, || {
            check_sizes(&self.axis, self.counts.iter().copied())?;
            split(&self, how, folder, progress)
        })
    }

    pub(super) fn notes(&self, text: &[usize], snapshots: &Snapshots) -> Vec<String> {
        let names: Vec<String> = text.iter().map(|j| self.columns[*j].clone()).collect();
        let masses = self.has_weights.then(|| unequal_masses(snapshots));
        let found = [columns::left_out(&names), masses.flatten()];
        let notes = self.notes.iter().cloned();
        notes.chain(found.into_iter().flatten()).collect()
    }
}

/// Points `[n, columns]`, row by row, without the columns that are text, and the names of those
/// that are left.
pub(super) fn kept(
    points: Vec<f64>,
    columns: &[String],
    text: &[usize],
) -> Result<(Array2<f64>, Vec<String>)> {
    let text: BTreeSet<usize> = text.iter().copied().collect();
    let kept: Vec<usize> = (0..columns.len()).filter(|j| !text.contains(j)).collect();
    columns::check_some(kept.len())?;
    let shape = (points.len() / columns.len(), columns.len());
    let points = Array2::from_shape_vec(shape, points).expect("whole rows");
    let names = kept.iter().map(|j| columns[*j].clone()).collect();
    Ok(if text.is_empty() {
        (points, names)
    } else {
        (points.select(Axis(1), &kept), names)
    })
}

/// Rows of the times `index` on `axis`, with velocities row by row.
pub(super) fn grouped(
    axis: &TimeAxis,
    index: &[usize],
    points: Array2<f64>,
    weights: Option<Vec<f64>>,
    velocities: Option<Vec<f64>>,
    columns: Vec<String>,
) -> Result<Snapshots> {
    let shape = points.dim();
    let weights = weights.map(Array1::from);
    let snapshots = Snapshots::grouped(axis.clone(), index, points, weights, Some(columns))?;
    let Some(velocities) = velocities else {
        return Ok(snapshots);
    };
    ensure!(
        velocities.len() == shape.0 * shape.1,
        Shape,
        "expected a velocity for each of {} points, got {} numbers",
        shape.0,
        velocities.len()
    );
    let all = Array2::from_shape_vec(shape, velocities).expect("whole rows");
    let rows = rows_by_time(axis, index);
    snapshots.with_velocities(rows.iter().map(|rows| all.select(Axis(0), rows)).collect())
}

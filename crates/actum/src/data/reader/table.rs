//! A file of any size.

use std::{ops::ControlFlow, path::Path};

use super::{Chunk, Gathered, Head, Source};
use crate::{
    data::{
        Keys, Shards, Snapshots, Split, Table, TimeAxis,
        formats::{MemoryRows, extensions},
        shards::split,
        snapshots::check_sizes,
        time::names_no_time,
        within,
    },
    error::Result,
};

/// A file whose times are known and whose rows are still to be read, at 8 bytes a row; or a table
/// in memory.
pub struct TableReader {
    origin: Origin,
    pub(in crate::data) axis: TimeAxis,
    /// The time of each row, as an index.
    pub(in crate::data) index: Vec<usize>,
    pub(in crate::data) counts: Vec<usize>,
    /// The names of the coordinates.
    pub(in crate::data) columns: Vec<String>,
    pub(in crate::data) has_weights: bool,
    notes: Vec<String>,
    by_columns: Vec<String>,
}

/// Where the rows are.
enum Origin {
    File(Source),
    Memory(MemoryRows),
}

impl TableReader {
    /// Reads which times there are.
    ///
    /// # Errors
    /// The file is missing, truncated or of another format, a key is not in it, a time is missing,
    /// not understood, or has a single point.
    pub fn open(path: &Path, keys: &Keys) -> Result<Self> {
        within(path, || {
            let file = Source::of(path, keys)?;
            let head = file.head()?;
            Self::new(Origin::File(file), head, keys)
        })
    }

    /// A table in memory, seen as a file of its columns is: `keys` name them.
    ///
    /// # Errors
    /// As [`open`](Self::open), and those of the numbers of the chosen columns.
    pub fn of(table: &Table, keys: &Keys) -> Result<Self> {
        keys.check_made(&extensions(|format| format.genes.is_some()))?;
        let (head, rows) = table.chosen(keys)?;
        Self::new(Origin::Memory(rows), head, keys)
    }

    fn new(origin: Origin, head: Head, keys: &Keys) -> Result<Self> {
        let (axis, index) = head.times?.axis(&head.time_name)?;
        let mut notes = head.notes;
        notes.extend(axis.note().map(str::to_owned));
        let key = keys
            .time_key
            .as_deref()
            .filter(|_| !names_no_time(axis.prefix()));
        notes.extend(key.and_then(not_a_time));
        let mut counts = vec![0; axis.values().len()];
        for time in &index {
            counts[*time] += 1;
        }
        Ok(Self {
            origin,
            axis,
            index,
            counts,
            columns: head.columns,
            has_weights: head.has_weights,
            notes,
            by_columns: head.by_columns,
        })
    }

    /// The times.
    pub fn axis(&self) -> &TimeAxis {
        &self.axis
    }

    /// The rows in the order of the snapshots: those of the first time first, as in the file.
    pub fn order(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.index.len()).collect();
        rows.sort_by_key(|row| self.index[*row]);
        rows
    }

    /// The number of rows at each time, `[K]`.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    pub(in crate::data) fn has_velocities(&self) -> bool {
        match &self.origin {
            Origin::File(file) => file.keys.velocity_key.is_some(),
            Origin::Memory(rows) => rows.has_velocities(),
        }
    }

    /// Calls `take` with the place of every row, its time, coordinates, weight and velocity, the
    /// last two empty where there are none.
    pub(in crate::data) fn each(
        &self,
        mut take: impl FnMut(usize, usize, &[f64], &[f64], &[f64]) -> Result<()>,
    ) -> Result<()> {
        let (width, mut row) = (self.columns.len(), 0);
        let rows = self.index.len();
        let take = &mut |chunk: Chunk| {
            let points = chunk.points.chunks_exact(width);
            let moving = chunk.velocities.map_or(0, <[f64]>::len) / points.len();
            for (i, point) in points.enumerate() {
                let weight = chunk.weights.map_or(&[][..], |weights| &weights[i..=i]);
                let velocity = chunk.velocities.unwrap_or_default();
                let velocity = &velocity[i * moving..(i + 1) * moving];
                take(row, self.index[row], point, weight, velocity)?;
                row += 1;
            }
            Ok(())
        };
        match &self.origin {
            Origin::File(file) => file.each(rows, &self.columns, true, take),
            Origin::Memory(rows) => rows.each(take),
        }
    }

    /// The same with the file before the message of an error.
    fn within<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        match &self.origin {
            Origin::File(file) => within(&file.path, read),
            Origin::Memory(_) => read(),
        }
    }

    /// All rows, in memory.
    ///
    /// # Errors
    /// As [`read`](crate::data::read()).
    pub fn read(&self) -> Result<Snapshots> {
        self.within(|| {
            let mut gathered = Gathered::new(&self.counts, self.columns.len());
            self.each(|_, time, point, weight, velocity| {
                gathered.push(time, point, weight, velocity);
                Ok(())
            })?;
            let snapshots = gathered.snapshots(&self.axis, &self.columns)?;
            let notes = self.notes(&snapshots);
            Ok(snapshots.with_rows(&self.index).with_notes(notes))
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
    /// As [`read`](crate::data::read()); a `folder` that cannot be written to, or is full;
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
        self.within(|| {
            check_sizes(&self.axis, self.counts.iter().copied())?;
            split(&self, how, folder, progress)
        })
    }

    pub(in crate::data) fn notes(&self, snapshots: &Snapshots) -> Vec<String> {
        let masses = self.has_weights.then(|| unequal_masses(snapshots));
        let notes = self.notes.iter().cloned();
        notes.chain(masses.flatten()).collect()
    }
}

/// A note on a column of times that is named as what else distinguishes points is.
fn not_a_time(key: &str) -> Option<String> {
    names_no_time(key).then(|| {
        format!(
            "the times are those of {key:?}, which is named as what tells other things apart; choose \
             the times with `Keys::time_key`"
        )
    })
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
             fit only with growth, where mass can change",
            shown(least),
            shown(greatest)
        )
    })
}

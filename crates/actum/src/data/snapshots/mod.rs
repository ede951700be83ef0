//! Clouds at increasing real times.

mod checks;
mod outliers;
mod warnings;

use std::sync::Arc;

use ndarray::{Array1, Array2, Axis, concatenate};
use sha2::{Digest, Sha256};

use crate::{
    cloud::Cloud,
    data::{Attribute, TimeAxis},
    error::{Result, ensure},
};

pub(crate) use checks::default_columns;
pub(super) use checks::{Finite, check_columns, check_sizes};
use checks::{check_finite, check_lengths, rows_by_time};

/// A population observed at strictly increasing times: one [`Cloud`] for each, all of one
/// dimension d, each of at least two points. The points of different times are unrelated. Every
/// point may have a [velocity](Snapshots::velocities). Clones share their numbers.
///
/// ```
/// use actum::{cloud::Cloud, data::Snapshots};
/// use ndarray::array;
///
/// let early = Cloud::new(array![[0.0, 1.0], [1.0, 0.0]])?;
/// let late = Cloud::new(array![[4.0, 1.0], [5.0, 0.0], [6.0, 1.0]])?;
/// let snapshots = Snapshots::new(vec![0.0, 12.5], vec![early, late])?;
/// assert_eq!(snapshots.labels(), ["0", "12.5"]);
/// assert_eq!(snapshots.columns(), ["x0", "x1"]);
/// assert_eq!(snapshots.cloud(snapshots.index_of("12.5")?).len(), 3);
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Snapshots {
    axis: TimeAxis,
    clouds: Vec<Cloud>,
    velocities: Option<Arc<[Array2<f64>]>>,
    columns: Vec<String>,
    notes: Vec<String>,
    whole: Option<Whole>,
    attributes: Arc<[Attribute]>,
    /// The row of each point in the file, or in what was given, where it is known.
    rows: Option<Arc<[Vec<u32>]>>,
}

/// What a random sample was drawn from.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// Rows at each time.
    pub counts: Vec<usize>,
    /// The hash of all rows.
    pub fingerprint: String,
}

impl Snapshots {
    /// One cloud for each of `times`, which increase strictly.
    ///
    /// # Errors
    /// No times, as many clouds as times not given, times not finite or not increasing, clouds of
    /// different dimensions, or a cloud of a single point.
    pub fn new(times: Vec<f64>, clouds: Vec<Cloud>) -> Result<Self> {
        ensure!(
            times.len() == clouds.len(),
            Shape,
            "expected one cloud for each of {} times, got {}",
            times.len(),
            clouds.len()
        );
        let (axis, index) = TimeAxis::from_values(&times)?;
        if let Some(i) = (1..times.len()).find(|i| index[*i] != index[i - 1] + 1) {
            ensure!(
                false,
                Value,
                "times must increase strictly, got {} after {}",
                times[i],
                times[i - 1]
            );
        }
        let columns = default_columns(clouds[0].dimension());
        Self::checked(axis, clouds, columns)
    }

    /// Points `[n, d]` grouped by one time for each row; rows keep their order within a time.
    ///
    /// Without `weights` `[n]` every cloud has mass 1 and equal weights; given weights are kept
    /// as they are. `columns` names the d coordinates; by default x0, x1, ...
    ///
    /// # Errors
    /// Lengths that disagree, numbers that are not finite, a time with a single point.
    pub fn from_rows(
        points: Array2<f64>,
        times: &[f64],
        weights: Option<Array1<f64>>,
        columns: Option<Vec<String>>,
    ) -> Result<Self> {
        let (axis, index) = TimeAxis::from_values(times)?;
        Self::grouped(axis, &index, points, weights, columns)
    }

    /// As [`Snapshots::from_rows`], with a label of its time for each row, see [`TimeAxis`].
    ///
    /// # Errors
    /// As [`Snapshots::from_rows`] and [`TimeAxis::from_labels`].
    pub fn from_labelled_rows<S: AsRef<str>>(
        points: Array2<f64>,
        labels: &[S],
        weights: Option<Array1<f64>>,
        columns: Option<Vec<String>>,
    ) -> Result<Self> {
        let (axis, index) = TimeAxis::from_labels(labels)?;
        Self::grouped(axis, &index, points, weights, columns)
    }

    /// Rows of the times `index` on `axis`.
    fn grouped(
        axis: TimeAxis,
        index: &[usize],
        points: Array2<f64>,
        weights: Option<Array1<f64>>,
        columns: Option<Vec<String>>,
    ) -> Result<Self> {
        check_lengths(&points, index.len(), &weights)?;
        let columns = columns.unwrap_or_else(|| default_columns(points.ncols()));
        check_columns(&columns, points.ncols())?;
        check_finite(points.view(), &columns)?;
        let rows_of = rows_by_time(&axis, index);
        check_sizes(&axis, rows_of.iter().map(Vec::len))?;
        let clouds = rows_of
            .iter()
            .zip(axis.labels())
            .map(|(rows, label)| {
                let points = points.select(Axis(0), rows);
                match &weights {
                    None => Cloud::new(points),
                    Some(weights) => Cloud::weighted(points, weights.select(Axis(0), rows)),
                }
                .map_err(|error| error.within(format_args!("time {label}")))
            })
            .collect::<Result<_>>()?;
        let snapshots = Self::checked(axis, clouds, columns)?;
        Ok(snapshots.with_rows(index))
    }

    /// One cloud for each time of `axis`.
    pub(super) fn checked(
        axis: TimeAxis,
        clouds: Vec<Cloud>,
        columns: Vec<String>,
    ) -> Result<Self> {
        let d = columns.len();
        for (cloud, label) in clouds.iter().zip(axis.labels()) {
            ensure!(
                cloud.dimension() == d,
                Shape,
                "expected {d} columns at every time, got {} at time {label}",
                cloud.dimension()
            );
        }
        check_sizes(&axis, clouds.iter().map(Cloud::len))?;
        let notes = axis.note().map(str::to_owned).into_iter().collect();
        Ok(Self {
            axis,
            clouds,
            velocities: None,
            columns,
            notes,
            whole: None,
            attributes: Arc::new([]),
            rows: None,
        })
    }

    /// The snapshots with a velocity for every point: for each time an array `[n, d]`, its rows in
    /// the order of the points of that time, in units of the coordinates per unit of time (the
    /// velocity of a drifter, RNA velocity).
    ///
    /// # Errors
    /// As many arrays as times not given, another shape than that of the points, or a number that
    /// is not finite.
    pub fn with_velocities(self, velocities: Vec<Array2<f64>>) -> Result<Self> {
        ensure!(
            velocities.len() == self.len(),
            Shape,
            "expected one array of velocities for each of {} times ({}), got {}",
            self.len(),
            abridged(self.labels()),
            velocities.len()
        );
        let checked = |(i, of_time): (usize, Array2<f64>)| {
            ensure!(
                of_time.dim() == self.cloud(i).points().dim(),
                Shape,
                "time {}: expected velocities of shape {:?}, as the points have, got {:?}",
                self.labels()[i],
                self.cloud(i).points().shape(),
                of_time.shape()
            );
            check_finite(of_time.view(), &self.columns).map_err(|error| {
                error.within(format_args!("velocities at time {}", self.labels()[i]))
            })?;
            Ok(match of_time.is_standard_layout() {
                true => of_time,
                false => of_time.as_standard_layout().into_owned(),
            })
        };
        let velocities = velocities.into_iter().enumerate().map(checked);
        Ok(Self {
            velocities: Some(velocities.collect::<Result<_>>()?),
            ..self
        })
    }

    /// The snapshots with weights in the same proportions and masses `[K]`, as where the size of
    /// the population is known: `snapshots.with_masses(&snapshots.counts())` lets every point
    /// count the same.
    ///
    /// # Errors
    /// As many masses as times not given, or a mass that is not finite or not above 0.
    pub fn with_masses(&self, masses: &[f64]) -> Result<Self> {
        ensure!(
            masses.len() == self.len(),
            Shape,
            "expected one mass for each of {} times ({}), got {}",
            self.len(),
            abridged(self.labels()),
            masses.len()
        );
        let clouds = masses.iter().zip(&self.clouds).zip(self.labels());
        let clouds = clouds.map(|((mass, cloud), label)| {
            let cloud = cloud.with_mass(*mass);
            cloud.map_err(|error| error.within(format_args!("time {label}")))
        });
        Ok(Self {
            clouds: clouds.collect::<Result<_>>()?,
            ..self.clone()
        })
    }

    /// The snapshots with what is known of their points beside the coordinates: attributes with a
    /// value for each point, those of the first time first.
    ///
    /// # Errors
    /// An attribute with another number of values than there are points.
    pub fn with_attributes(self, attributes: Vec<Attribute>) -> Result<Self> {
        let n: usize = self.clouds.iter().map(Cloud::len).sum();
        for attribute in &attributes {
            ensure!(
                attribute.values.len() == n,
                Shape,
                "expected a value of {:?} for each of {n} points, got {}",
                attribute.name,
                attribute.values.len()
            );
        }
        Ok(Self {
            attributes: attributes.into(),
            ..self
        })
    }

    /// The snapshots as a random sample, with its masses, of so many more points.
    pub(super) fn sampled_from(self, whole: Whole) -> Self {
        Self {
            whole: Some(whole),
            ..self
        }
    }

    /// The snapshots of rows that have these times, as indices.
    pub(super) fn with_rows(self, index: &[usize]) -> Self {
        let mut rows: Vec<Vec<u32>> = self.clouds.iter().map(|_| vec![]).collect();
        for (row, time) in index.iter().enumerate() {
            rows[*time].push(row as u32);
        }
        Self {
            rows: u32::try_from(index.len()).is_ok().then(|| rows.into()),
            ..self
        }
    }

    pub(crate) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// The number of times, K >= 1.
    pub fn len(&self) -> usize {
        self.clouds.len()
    }

    /// Never true: there is at least one time.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The times, strictly increasing, `[K]`.
    pub fn times(&self) -> &[f64] {
        self.axis.values()
    }

    /// The times as they were written, `[K]`.
    pub fn labels(&self) -> &[String] {
        self.axis.labels()
    }

    /// The unit of the times, where the labels name one.
    pub fn unit(&self) -> Option<&str> {
        self.axis.unit()
    }

    /// The times with their labels and unit.
    pub fn axis(&self) -> &TimeAxis {
        &self.axis
    }

    /// One cloud for each time, `[K]`.
    pub fn clouds(&self) -> &[Cloud] {
        &self.clouds
    }

    /// The cloud at the first time.
    pub fn first(&self) -> &Cloud {
        &self.clouds[0]
    }

    /// The cloud at time `i`.
    ///
    /// # Panics
    /// If `i` is not below K.
    pub fn cloud(&self, i: usize) -> &Cloud {
        &self.clouds[i]
    }

    /// The velocities of the points, one array `[n, d]` for each time, rows as in that time's
    /// cloud, where the data have any.
    pub fn velocities(&self) -> Option<&[Array2<f64>]> {
        self.velocities.as_deref()
    }

    /// What is known of the points beside their coordinates, where it was read.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The attributes of the points at time `i`.
    ///
    /// # Panics
    /// If `i` is not below K.
    pub fn attributes_at(&self, i: usize) -> Vec<Attribute> {
        let before: usize = self.clouds[..i].iter().map(Cloud::len).sum();
        let rows: Vec<usize> = (before..before + self.clouds[i].len()).collect();
        self.attributes.iter().map(|a| a.select(&rows)).collect()
    }

    /// The masses of the clouds, `[K]`.
    pub fn masses(&self) -> Vec<f64> {
        self.clouds.iter().map(Cloud::mass).collect()
    }

    /// Whether the masses are equal, to the rounding of weights in single precision.
    pub fn has_equal_masses(&self) -> bool {
        let masses = self.masses();
        masses.iter().all(|m| (m / masses[0] - 1.0).abs() < 1e-6)
    }

    /// The number of points at each time, `[K]`, as [`with_masses`](Snapshots::with_masses) takes
    /// them; of a [sample](Snapshots::is_sample) those that it was drawn from.
    pub fn counts(&self) -> Vec<f64> {
        match &self.whole {
            Some(whole) => whole.counts.iter().map(|n| *n as f64).collect(),
            None => self.clouds.iter().map(|cloud| cloud.len() as f64).collect(),
        }
    }

    /// Whether these are a random sample of a larger population, as a [shard](super::Shards) is:
    /// then [`counts`](Snapshots::counts), masses and the [fingerprint](Snapshots::fingerprint) are
    /// those of the whole.
    pub fn is_sample(&self) -> bool {
        self.whole.is_some()
    }

    /// The number of coordinates, d.
    pub fn dimension(&self) -> usize {
        self.columns.len()
    }

    /// The names of the coordinates, `[d]`.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether the coordinates have names of their own, other than x0, x1, ...
    pub fn is_named(&self) -> bool {
        self.columns != default_columns(self.dimension())
    }

    /// The index of the time a person means by `text`, see [`TimeAxis::index_of`].
    ///
    /// # Errors
    /// There is no such time; the message lists those there are.
    pub fn index_of(&self, text: &str) -> Result<usize> {
        self.axis.index_of(text)
    }

    /// What was left out or supposed when the data were read, for the person who gave the file.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Checks that there are at least `count` times.
    ///
    /// # Errors
    /// There are fewer.
    pub fn require_times(&self, count: usize) -> Result<()> {
        ensure!(
            self.len() >= count,
            Value,
            "expected at least {count} times, got {}: {}",
            self.len(),
            self.labels().join(", ")
        );
        Ok(())
    }

    /// The snapshots without the times at `indices`.
    ///
    /// # Errors
    /// An index that is not below K, or no time left.
    pub fn without(&self, indices: &[usize]) -> Result<Self> {
        if let Some(i) = indices.iter().find(|i| **i >= self.len()) {
            ensure!(
                false,
                Missing,
                "expected time indices below {}, got {i}",
                self.len()
            );
        }
        if indices.is_empty() {
            return Ok(self.clone());
        }
        let keep = |i: usize| !indices.contains(&i);
        let axis = self.axis.filtered(keep);
        ensure!(
            !axis.values().is_empty(),
            Value,
            "leaving out {} leaves no time at all",
            self.labels().join(", ")
        );
        let kept = || (0..self.len()).filter(|i| keep(*i));
        let velocities = self.velocities.as_ref();
        let times = self.clouds.iter().enumerate();
        let times = times.flat_map(|(i, cloud)| std::iter::repeat_n(i, cloud.len()));
        let rows = times.enumerate().filter(|(_, i)| keep(*i));
        let rows: Vec<usize> = rows.map(|(row, _)| row).collect();
        Ok(Self {
            attributes: self.attributes.iter().map(|a| a.select(&rows)).collect(),
            axis,
            clouds: kept().map(|i| self.clouds[i].clone()).collect(),
            velocities: velocities.map(|v| kept().map(|i| v[i].clone()).collect()),
            columns: self.columns.clone(),
            notes: self.notes.clone(),
            whole: self.whole.as_ref().map(|whole| Whole {
                counts: kept().map(|i| whole.counts[i]).collect(),
                fingerprint: whole.fingerprint.clone(),
            }),
            rows: self
                .rows
                .as_ref()
                .map(|rows| kept().map(|i| rows[i].clone()).collect()),
        })
    }

    /// The snapshots with their first `count` coordinates alone, of the velocities too.
    ///
    /// # Errors
    /// `count` is 0 or above d.
    pub fn first_columns(&self, count: usize) -> Result<Self> {
        let d = self.dimension();
        ensure!(
            (1..=d).contains(&count),
            Shape,
            "expected between 1 and {d} columns, got {count}; the data have {d}: {}",
            self.columns.join(", ")
        );
        self.select_columns(&(0..count).collect::<Vec<_>>())
    }

    /// The snapshots with the coordinates `chosen` alone, in that order, of the velocities too.
    pub(crate) fn select_columns(&self, chosen: &[usize]) -> Result<Self> {
        if chosen.iter().copied().eq(0..self.dimension()) {
            return Ok(self.clone());
        }
        let select = |rows: &Array2<f64>| {
            let rows = rows.select(Axis(1), chosen);
            rows.as_standard_layout().into_owned()
        };
        let clouds = self.clouds.iter();
        let clouds = clouds.map(|c| Cloud::weighted(select(c.points()), c.weights().clone()));
        let velocities = self.velocities.as_ref();
        Ok(Self {
            clouds: clouds.collect::<Result<_>>()?,
            velocities: velocities.map(|v| v.iter().map(select).collect()),
            columns: chosen.iter().map(|j| self.columns[*j].clone()).collect(),
            ..self.clone()
        })
    }

    /// The snapshots at the times of an axis of as many.
    pub(crate) fn on_axis(self, axis: TimeAxis) -> Self {
        Self { axis, ..self }
    }

    /// All points of all times as one cloud of mass 1, `[sum of n_k, d]`: a time counts by its
    /// number of points, a point within its time by its weight.
    pub fn pooled(&self) -> Cloud {
        let points: Vec<_> = self.clouds.iter().map(|c| c.points().view()).collect();
        let counts = self.counts();
        let total: f64 = counts.iter().sum();
        let weights = self.clouds.iter().zip(counts).flat_map(|(c, count)| {
            let share = count / total;
            let stands_for = count / c.len() as f64;
            let mass = c.mass();
            let uniform = c.is_uniform();
            c.weights().iter().map(move |w| {
                if uniform {
                    stands_for / total
                } else {
                    w / mass * share
                }
            })
        });
        Cloud::weighted(
            concatenate(Axis(0), &points).expect("clouds of one dimension"),
            weights.collect(),
        )
        .expect("points of valid clouds")
    }

    /// A width of the kernel that makes densities of the snapshots, after dividing every column by
    /// `scale`, `[d]`: Scott's rule (1992), `n^(-1/(d+4))` times the standard deviation within a
    /// snapshot, pooled over columns and times, with n the mean [effective
    /// size](Cloud::effective_sample_size).
    pub fn scott_width(&self, scale: &Array1<f64>) -> f64 {
        let count = self.len() as f64;
        let variances = self.clouds.iter().map(|cloud| {
            let std_dev = cloud.std_dev() / scale;
            std_dev.mapv(|s| s * s).mean().unwrap_or(0.0)
        });
        let std_dev = (variances.sum::<f64>() / count).sqrt();
        let sizes = self.clouds.iter().map(Cloud::effective_sample_size);
        let n = sizes.sum::<f64>() / count;
        std_dev * n.powf(-1.0 / (self.dimension() as f64 + 4.0))
    }

    /// SHA-256, in hexadecimal, of the shape, the times, and the bits of points, weights and
    /// velocities: equal exactly when the numbers are. Labels and names of columns do not count.
    /// Of a [sample](Snapshots::is_sample) it is that of all rows of the file in their order,
    /// whatever columns and masses were chosen since.
    pub fn fingerprint(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.fingerprint.clone();
        }
        let mut hash = Sha256::new();
        hash.update((self.len() as u64).to_le_bytes());
        hash.update((self.dimension() as u64).to_le_bytes());
        for (time, cloud) in self.times().iter().zip(&self.clouds) {
            hash.update(time.to_le_bytes());
            hash.update((cloud.len() as u64).to_le_bytes());
            for x in cloud.points().iter().chain(cloud.weights()) {
                hash.update(x.to_le_bytes());
            }
        }
        for x in self.velocities().unwrap_or_default().iter().flatten() {
            hash.update(x.to_le_bytes());
        }
        hexadecimal(hash)
    }
}

pub(super) fn hexadecimal(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn abridged(names: &[String]) -> String {
    match names.len() {
        0..=8 => names.join(", "),
        n => format!("{} and {} more", names[..8].join(", "), n - 8),
    }
}

#[cfg(test)]
mod tests;

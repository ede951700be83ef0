//! Clouds at increasing real times.

use std::collections::HashSet;

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};
use sha2::{Digest, Sha256};

use crate::{
    cloud::Cloud,
    data::TimeAxis,
    error::{Result, ensure},
};

/// A population observed at strictly increasing times: one [`Cloud`] for each, all of one
/// dimension d, each of at least two points. The points of different times are unrelated. Every
/// point may have a [velocity](Snapshots::velocities).
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
    velocities: Option<Vec<Array2<f64>>>,
    columns: Vec<String>,
    notes: Vec<String>,
    whole: Option<Whole>,
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
    pub(super) fn grouped(
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
        Self::checked(axis, clouds, columns)
    }

    fn checked(axis: TimeAxis, clouds: Vec<Cloud>, columns: Vec<String>) -> Result<Self> {
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
        Ok(Self {
            axis,
            clouds,
            velocities: None,
            columns,
            notes: Vec::new(),
            whole: None,
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
            Ok(of_time.as_standard_layout().into_owned())
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

    /// The snapshots as a random sample, with its masses, of so many more points.
    pub(super) fn sampled_from(self, whole: Whole) -> Self {
        Self {
            whole: Some(whole),
            ..self
        }
    }

    pub(super) fn with_notes(self, notes: Vec<String>) -> Self {
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

    /// The cloud at time `i`.
    ///
    /// # Panics
    /// If `i` is not below K.
    pub fn cloud(&self, i: usize) -> &Cloud {
        &self.clouds[i]
    }

    /// The cloud at the first time.
    pub fn first(&self) -> &Cloud {
        &self.clouds[0]
    }

    /// The velocities of the points, one array `[n, d]` for each time, rows as in that time's
    /// cloud, where the data have any.
    pub fn velocities(&self) -> Option<&[Array2<f64>]> {
        self.velocities.as_deref()
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
        Ok(Self {
            axis,
            clouds: kept().map(|i| self.clouds[i].clone()).collect(),
            velocities: velocities.map(|v| kept().map(|i| v[i].clone()).collect()),
            columns: self.columns.clone(),
            notes: self.notes.clone(),
            whole: self.whole.as_ref().map(|whole| Whole {
                counts: kept().map(|i| whole.counts[i]).collect(),
                fingerprint: whole.fingerprint.clone(),
            }),
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
        let first = |rows: &Array2<f64>| rows.slice(s![.., ..count]).to_owned();
        let clouds = self.clouds.iter();
        let clouds = clouds.map(|c| Cloud::weighted(first(c.points()), c.weights().clone()));
        let velocities = self.velocities.as_ref();
        Ok(Self {
            axis: self.axis.clone(),
            clouds: clouds.collect::<Result<_>>()?,
            velocities: velocities.map(|v| v.iter().map(first).collect()),
            columns: self.columns[..count].to_vec(),
            notes: self.notes.clone(),
            whole: self.whole.clone(),
        })
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

    /// What a person should know before fitting these data: few points at a time, columns of very
    /// different scale, constant columns, repeated rows, times that look continuous.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.len() > 1000 {
            warnings.push(format!(
                "{} distinct times: they look continuous; round them to the times of measurement",
                self.len()
            ));
        }
        let few: Vec<_> = self
            .labels()
            .iter()
            .zip(self.counts())
            .filter(|(_, count)| *count < 20.0)
            .map(|(label, count)| format!("{label} ({count})"))
            .collect();
        if !few.is_empty() {
            warnings.push(format!("fewer than 20 points at time {}", abridged(&few)));
        }
        let constant = self.constant_columns();
        if !constant.is_empty() {
            let names: Vec<_> = constant.iter().map(|j| self.columns[*j].clone()).collect();
            warnings.push(format!(
                "constant columns carry nothing: {}",
                abridged(&names)
            ));
        }
        if let Some([low, high]) = self.unequal_columns() {
            let std_dev = self.pooled().std_dev();
            warnings.push(format!(
                "columns of very unequal scale: standard deviation {:.3e} of {} and {:.3e} of {}; \
                 consider --standardize",
                std_dev[high], self.columns[high], std_dev[low], self.columns[low]
            ));
        }
        let total: usize = self.clouds.iter().map(Cloud::len).sum();
        let repeated: usize = self.clouds.iter().map(|c| c.len() - distinct_rows(c)).sum();
        if 10 * repeated > total {
            warnings.push(format!(
                "{repeated} of {total} rows repeat another row of the same time"
            ));
        }
        warnings
    }

    /// The columns that have the same value at all points.
    pub fn constant_columns(&self) -> Vec<usize> {
        let is_constant = |j: &usize| {
            let first = self.clouds[0].points()[[0, *j]];
            let mut columns = self.clouds.iter().map(|c| c.points().column(*j));
            columns.all(|column| column.iter().all(|x| *x == first))
        };
        (0..self.dimension()).filter(is_constant).collect()
    }

    /// The columns of least and greatest standard deviation, constant ones aside, where the
    /// greatest is more than 100 times the least: such columns are rarely of one unit.
    pub fn unequal_columns(&self) -> Option<[usize; 2]> {
        let constant = self.constant_columns();
        let std_dev = self.pooled().std_dev();
        let by_std_dev = |a: &usize, b: &usize| std_dev[*a].total_cmp(&std_dev[*b]);
        let varying = || (0..self.dimension()).filter(|j| !constant.contains(j));
        let pair = [varying().min_by(by_std_dev)?, varying().max_by(by_std_dev)?];
        (std_dev[pair[1]] > 100.0 * std_dev[pair[0]]).then_some(pair)
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
        for x in self.velocities.iter().flatten().flatten() {
            hash.update(x.to_le_bytes());
        }
        hexadecimal(hash)
    }
}

pub(super) fn hexadecimal(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of each time of `axis`, in their order.
pub(super) fn rows_by_time(axis: &TimeAxis, index: &[usize]) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); axis.values().len()];
    for (row, time) in index.iter().enumerate() {
        rows[*time].push(row);
    }
    rows
}

/// x0, x1, ...
pub(super) fn default_columns(d: usize) -> Vec<String> {
    (0..d).map(|j| format!("x{j}")).collect()
}

pub(super) fn check_columns(columns: &[String], d: usize) -> Result<()> {
    ensure!(
        columns.len() == d,
        Shape,
        "expected {d} names of columns, got {}",
        columns.len()
    );
    let mut seen = HashSet::new();
    if let Some(name) = columns.iter().find(|name| !seen.insert(name.as_str())) {
        ensure!(
            false,
            Value,
            "two columns are named {name:?}; give each its own name"
        );
    }
    Ok(())
}

fn check_lengths(points: &Array2<f64>, times: usize, weights: &Option<Array1<f64>>) -> Result<()> {
    let n = points.nrows();
    ensure!(
        times == n,
        Shape,
        "expected one time for each of {n} points, got {times}"
    );
    let weights = weights.as_ref().map_or(n, Array1::len);
    ensure!(
        weights == n,
        Shape,
        "expected one weight for each of {n} points, got {weights}"
    );
    Ok(())
}

fn check_finite(points: ArrayView2<f64>, columns: &[String]) -> Result<()> {
    let mut finite = Finite::default();
    points.outer_iter().for_each(|row| finite.look(row));
    finite.check(columns)
}

/// Looks for numbers that are not finite, row by row.
#[derive(Default)]
pub(super) struct Finite {
    rows: usize,
    bad: usize,
    /// Row, column and number of the first.
    first: Option<(usize, usize, f64)>,
}

impl Finite {
    pub(super) fn look<'a>(&mut self, row: impl IntoIterator<Item = &'a f64>) {
        for (j, x) in row.into_iter().enumerate() {
            if !x.is_finite() {
                self.bad += 1;
                self.first.get_or_insert((self.rows, j, *x));
            }
        }
        self.rows += 1;
    }

    pub(super) fn check(&self, columns: &[String]) -> Result<()> {
        if let Some((row, j, x)) = self.first {
            ensure!(
                false,
                Value,
                "{} of {} numbers are not finite, the first at row {row} (counted from 0), column \
                 {}: {x}; remove or impute those rows",
                self.bad,
                self.rows * columns.len(),
                columns[j]
            );
        }
        Ok(())
    }
}

pub(super) fn check_sizes(
    axis: &TimeAxis,
    sizes: impl ExactSizeIterator<Item = usize>,
) -> Result<()> {
    let times = sizes.len();
    let single: Vec<_> = sizes
        .zip(axis.labels())
        .filter(|(size, _)| *size < 2)
        .map(|(_, label)| label.clone())
        .collect();
    if single.len() == times && times > 1 {
        ensure!(
            false,
            Value,
            "each of the {times} points has a time of its own, so there are no snapshots of a \
             population; round the times to those of measurement, or choose another time column"
        );
    }
    ensure!(
        single.is_empty(),
        Value,
        "a single point cannot be a snapshot, there is only one at time {}; remove those rows or \
         merge them into another time",
        abridged(&single)
    );
    Ok(())
}

fn distinct_rows(cloud: &Cloud) -> usize {
    let rows = cloud.points().outer_iter();
    rows.map(|row| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        .collect::<HashSet<_>>()
        .len()
}

fn abridged(names: &[String]) -> String {
    match names.len() {
        0..=8 => names.join(", "),
        n => format!("{} and {} more", names[..8].join(", "), n - 8),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::error::ErrorKind;

    fn small() -> Snapshots {
        Snapshots::from_labelled_rows(
            array![[0.0, 1.0], [5.0, 5.0], [2.0, 3.0], [6.0, 6.0], [7.0, 9.0]],
            &["day2", "day10", "Day 2", "day10", "day10"],
            None,
            Some(vec!["PC1".into(), "PC2".into()]),
        )
        .unwrap()
    }

    #[test]
    fn rows_are_grouped_by_time_in_their_order() {
        let snapshots = small();
        assert_eq!(snapshots.times(), [2.0, 10.0]);
        assert_eq!(snapshots.labels(), ["day2", "day10"]);
        assert_eq!(snapshots.unit(), Some("day"));
        assert_eq!(snapshots.cloud(0).points(), array![[0.0, 1.0], [2.0, 3.0]]);
        assert_eq!(
            snapshots.cloud(1).points(),
            array![[5.0, 5.0], [6.0, 6.0], [7.0, 9.0]]
        );
        assert_eq!(snapshots.cloud(1).weights().to_vec(), [1.0 / 3.0; 3]);
        assert_eq!(snapshots.index_of("Day 10").unwrap(), 1);
    }

    #[test]
    fn given_weights_are_kept_and_the_pool_counts_points() {
        let points = array![[1.0], [2.0], [3.0], [4.0], [6.0]];
        let times = [0.0, 0.0, 1.0, 1.0, 1.0];
        let raw = array![1.0, 3.0, 0.5, 0.5, 0.5];
        let weighted = Snapshots::from_rows(points.clone(), &times, Some(raw), None).unwrap();
        assert_eq!(weighted.cloud(0).mass(), 4.0);
        assert_eq!(weighted.cloud(1).mass(), 1.5);
        let pooled = weighted.pooled();
        for (w, expected) in pooled.weights().iter().zip([0.1, 0.3, 0.2, 0.2, 0.2]) {
            assert!((w - expected).abs() < 1e-15);
        }
        let plain = Snapshots::from_rows(points, &times, None, None)
            .unwrap()
            .pooled();
        assert_eq!(plain.weights().to_vec(), [0.2; 5]);
        assert!((plain.mean()[0] - 3.2).abs() < 1e-15);
    }

    #[test]
    fn times_can_be_left_out() {
        let all = small();
        let late = all.without(&[0]).unwrap();
        assert_eq!(
            (late.times(), late.labels()),
            (&[10.0][..], &["day10".to_owned()][..])
        );
        assert_eq!(late.cloud(0), all.cloud(1));
        assert_eq!(late.require_times(2).unwrap_err().kind(), ErrorKind::Value);
        assert!(all.require_times(2).is_ok());
        assert_eq!(all.without(&[2]).unwrap_err().kind(), ErrorKind::Missing);
        assert_eq!(all.without(&[0, 1]).unwrap_err().kind(), ErrorKind::Value);
    }

    #[test]
    fn columns_can_be_cut() {
        let first = small().first_columns(1).unwrap();
        assert_eq!(first.columns(), ["PC1"]);
        assert_eq!(first.cloud(0).points(), array![[0.0], [2.0]]);
        for count in [0, 3] {
            let error = small().first_columns(count).unwrap_err().to_string();
            assert!(
                error.contains("and 2") && error.contains(&format!("got {count}")),
                "{error}"
            );
        }
    }

    #[test]
    fn velocities_stay_with_their_points() {
        let early = array![[0.1, 0.2], [0.3, 0.4]];
        let late = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].reversed_axes();
        let moving = small()
            .with_velocities(vec![early.clone(), late.clone()])
            .unwrap();
        assert_eq!(moving.velocities().unwrap(), [early.clone(), late.clone()]);
        assert!(moving.velocities().unwrap()[1].is_standard_layout());
        assert_eq!(moving.clouds(), small().clouds());
        let cut = moving.without(&[0]).unwrap().first_columns(1).unwrap();
        assert_eq!(cut.velocities().unwrap(), [array![[1.0], [2.0], [3.0]]]);
        assert!(small().without(&[0]).unwrap().velocities().is_none());

        let refused = |velocities| small().with_velocities(velocities).unwrap_err();
        let error = refused(vec![early.clone()]);
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("2 times (day2, day10), got 1"));
        let error = refused(vec![early.clone(), early.clone()]);
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(
            error.to_string().contains("time day10") && error.to_string().contains("[3, 2]"),
            "{error}"
        );
        let mut gap = late.clone();
        gap[[1, 1]] = f64::NAN;
        let error = refused(vec![early, gap]);
        assert_eq!(error.kind(), ErrorKind::Value);
        let expected = "velocities at time day10: 1 of 6 numbers are not finite, the first at row \
                        1 (counted from 0), column PC2: NaN";
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn masses_can_be_given() {
        let snapshots = small();
        assert_eq!(snapshots.counts(), [2.0, 3.0]);
        assert_eq!(snapshots.masses(), [1.0, 1.0]);
        let counted = snapshots.with_masses(&snapshots.counts()).unwrap();
        assert_eq!(counted.masses(), [2.0, 3.0]);
        assert_eq!(counted.cloud(1).weights(), array![1.0, 1.0, 1.0]);
        assert_eq!(counted.cloud(1).points(), snapshots.cloud(1).points());
        let again = counted.with_masses(&[1.0, 1.0]).unwrap();
        assert_eq!(again.fingerprint(), snapshots.fingerprint());

        let error = snapshots.with_masses(&[1.0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("2 times (day2, day10), got 1"));
        for mass in [0.0, -2.0, f64::NAN, f64::INFINITY] {
            let error = snapshots.with_masses(&[1.0, mass]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains("time day10"), "{error}");
            assert!(error.to_string().contains(&mass.to_string()), "{error}");
        }
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        let of = |times: &[f64]| {
            let points = Array2::from_shape_fn((times.len(), 1), |(i, _)| i as f64);
            Snapshots::from_rows(points, times, None, None)
                .unwrap_err()
                .to_string()
        };
        assert!(of(&[0.0, 0.0, 1.5]).contains("only one at time 1.5"));
        assert!(of(&[0.0, 1.0, 2.0]).contains("each of the 3 points"));
        assert!(of(&[]).contains("at least one row"));
        let pair = || Cloud::new(array![[0.0], [1.0]]).unwrap();
        let wide = Cloud::new(array![[0.0, 1.0], [1.0, 1.0]]).unwrap();
        let kind = |times: Vec<f64>, clouds| Snapshots::new(times, clouds).unwrap_err().kind();
        assert_eq!(kind(vec![1.0, 0.0], vec![pair(), pair()]), ErrorKind::Value);
        assert_eq!(kind(vec![1.0, 1.0], vec![pair(), pair()]), ErrorKind::Value);
        assert_eq!(kind(vec![0.0], vec![pair(), pair()]), ErrorKind::Shape);
        assert_eq!(kind(vec![0.0, 1.0], vec![pair(), wide]), ErrorKind::Shape);
        assert_eq!(kind(vec![], vec![]), ErrorKind::Value);
    }

    #[test]
    fn lengths_names_and_numbers_are_checked() {
        let points = array![[0.0, 1.0], [2.0, f64::NAN], [f64::INFINITY, 1.0]];
        let times = [0.0; 3];
        let names = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
        let error =
            Snapshots::from_rows(points.clone(), &times, None, names("a", "b")).unwrap_err();
        assert!(error.to_string().contains("2 of 6"), "{error}");
        assert!(
            error
                .to_string()
                .contains("row 1 (counted from 0), column b: NaN"),
            "{error}"
        );
        let error =
            Snapshots::from_rows(points.clone(), &times, None, names("a", "a")).unwrap_err();
        assert!(
            error.to_string().contains("two columns are named \"a\""),
            "{error}"
        );
        let error = Snapshots::from_rows(points.clone(), &times[..2], None, None).unwrap_err();
        assert!(
            error.to_string().contains("each of 3 points, got 2"),
            "{error}"
        );
        let weights = Some(array![1.0]);
        let error = Snapshots::from_rows(points, &times, weights, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }

    #[test]
    fn warnings_name_what_they_found() {
        let quiet = |i: usize, j: usize| ((i * 7 + j * 3) % 41) as f64;
        let of = |points: Array2<f64>| {
            let n = points.nrows();
            let times: Vec<_> = (0..n).map(|i| (i % 2) as f64).collect();
            Snapshots::from_rows(points, &times, None, None)
                .unwrap()
                .warnings()
        };
        assert_eq!(
            of(Array2::from_shape_fn((40, 2), |(i, j)| quiet(i, j))),
            Vec::<String>::new()
        );
        let one = |warnings: Vec<String>, part: &str| {
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(part), "{warnings:?}");
        };
        one(
            of(Array2::from_shape_fn((39, 2), |(i, j)| quiet(i, j))),
            "time 1 (19)",
        );
        let scaled = |i, j| quiet(i, j) * if j == 1 { 150.0 } else { 1.0 };
        one(
            of(Array2::from_shape_fn((40, 2), |(i, j)| scaled(i, j))),
            "--standardize",
        );
        let flat = |i, j| if j == 1 { 0.1 } else { quiet(i, j) };
        one(
            of(Array2::from_shape_fn((40, 2), |(i, j)| flat(i, j))),
            "carry nothing: x1",
        );
        let twice = |i: usize, j| quiet(i / 4, j);
        one(
            of(Array2::from_shape_fn((40, 2), |(i, j)| twice(i, j))),
            "20 of 40 rows",
        );
        let n = 2002;
        let times: Vec<_> = (0..n).map(|i| (i / 2) as f64).collect();
        let many = Array2::from_shape_fn((n, 1), |(i, _)| i as f64);
        let warnings = Snapshots::from_rows(many, &times, None, None)
            .unwrap()
            .warnings();
        assert!(warnings[0].contains("1001 distinct times"), "{warnings:?}");
    }

    #[test]
    fn the_fingerprint_is_that_of_the_numbers() {
        let snapshots = small().without(&[1]).unwrap();
        // hashlib.sha256(struct.pack("<QQdQ6d", 1, 2, 2., 2, 0, 1, 2, 3, .5, .5)).hexdigest()
        assert_eq!(
            snapshots.fingerprint(),
            "f51bc8cc08f85ac16cf380d7d814222027d9a90866f62f30d39d91308600d15a"
        );
        let moved = Snapshots::new(
            vec![2.0],
            vec![Cloud::new(array![[0.0, 1.0], [2.0, 3.0000000000000004]]).unwrap()],
        );
        assert_ne!(snapshots.fingerprint(), moved.unwrap().fingerprint());
        let moving = snapshots.with_velocities(vec![array![[0.25, -1.0], [3.0, 1e-7]]]);
        // ... struct.pack("<QQdQ10d", 1, 2, 2., 2, 0, 1, 2, 3, .5, .5, .25, -1, 3, 1e-7)
        assert_eq!(
            moving.unwrap().fingerprint(),
            "b3b47e3862ad5b69badd2ead6f256b61acd0b203d839c870a9b01f061b2c148a"
        );
    }
}

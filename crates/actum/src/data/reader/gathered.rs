//! From rows to snapshots, without a copy on the way.

use ndarray::{Array1, Array2};

use crate::{
    cloud::Cloud,
    data::{
        Snapshots, TimeAxis,
        snapshots::{check_columns, check_sizes},
    },
    error::Result,
};

/// Rows on their way to clouds: every number goes at once to where it stays.
pub(in crate::data) struct Gathered {
    /// For each time.
    rows: Vec<Rows>,
}

#[derive(Default)]
pub(super) struct Rows {
    count: usize,
    points: Vec<f64>,
    weights: Vec<f64>,
    velocities: Vec<f64>,
}

impl Rows {
    pub(super) fn push(&mut self, point: &[f64], weight: &[f64], velocity: &[f64]) {
        self.count += 1;
        self.points.extend_from_slice(point);
        self.weights.extend_from_slice(weight);
        self.velocities.extend_from_slice(velocity);
    }

    /// The cloud, and the velocities if there are any.
    pub(super) fn cloud(self) -> Result<(Cloud, Option<Array2<f64>>)> {
        let array = |numbers: Vec<f64>| {
            let shape = (self.count, numbers.len() / self.count);
            Array2::from_shape_vec(shape, numbers).expect("whole rows")
        };
        let points = array(self.points);
        let cloud = match self.weights.is_empty() {
            true => Cloud::new(points),
            false => Cloud::weighted(points, Array1::from(self.weights)),
        };
        let velocities = (!self.velocities.is_empty()).then(|| array(self.velocities));
        Ok((cloud?, velocities))
    }
}

impl Gathered {
    /// Room for `counts` rows of `width` coordinates; weights and velocities make their own.
    pub(in crate::data) fn new(counts: &[usize], width: usize) -> Self {
        let rows = counts.iter().map(|count| Rows {
            points: Vec::with_capacity(count * width),
            ..Rows::default()
        });
        Self {
            rows: rows.collect(),
        }
    }

    pub(in crate::data) fn push(
        &mut self,
        time: usize,
        point: &[f64],
        weight: &[f64],
        velocity: &[f64],
    ) {
        self.rows[time].push(point, weight, velocity);
    }

    pub(in crate::data) fn snapshots(
        self,
        axis: &TimeAxis,
        columns: &[String],
    ) -> Result<Snapshots> {
        check_columns(columns, columns.len())?;
        check_sizes(axis, self.rows.iter().map(|rows| rows.count))?;
        let clouds = self.rows.into_iter().zip(axis.labels());
        let clouds = clouds.map(|(rows, label)| {
            let cloud = rows.cloud();
            cloud.map_err(|error| error.within(format_args!("time {label}")))
        });
        let (clouds, velocities): (Vec<_>, Vec<_>) =
            clouds.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let snapshots = Snapshots::checked(axis.clone(), clouds, columns.to_vec())?;
        match velocities.into_iter().collect::<Option<_>>() {
            Some(velocities) => snapshots.with_velocities(velocities),
            None => Ok(snapshots),
        }
    }
}

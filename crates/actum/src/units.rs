//! The user's units, the units of the cost, and the numbers the network sees.

use ndarray::{Array1, Array2, ArrayView2, Zip};
use serde::{Deserialize, Serialize};

use crate::{
    data::Snapshots,
    error::{Result, ensure},
};

/// The affine change between the user's coordinates and the network's: column j of the network is
/// `(x_j - center_j) / (scale_j * length)` and its time is `(t - start) / duration`.
///
/// `scale` says in which units distances count for the cost: ones keep the user's own, standard
/// deviations make all columns alike (that changes which motion costs least). `length` and
/// `duration` bring numbers near 1 and change nothing: Action Matching with the quadratic cost is
/// invariant under them, with actions multiplied by `length^2 / duration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    center: Vec<f64>,
    scale: Vec<f64>,
    length: f64,
    start: f64,
    duration: f64,
}

impl Units {
    /// The user's own units as they are, for `dimension` columns and times in [0, 1].
    pub fn identity(dimension: usize) -> Self {
        Self {
            center: vec![0.0; dimension],
            scale: vec![1.0; dimension],
            length: 1.0,
            start: 0.0,
            duration: 1.0,
        }
    }

    /// Units in which all points of the snapshots together have mean 0 and, pooled over the
    /// columns, deviation 1, and their times run from 0 to 1. With `standardize` every column is
    /// divided by its own deviation over all points, else all by the same number.
    ///
    /// # Errors
    /// A column without spread when standardising; points that all coincide.
    pub fn of(snapshots: &Snapshots, standardize: bool) -> Result<Self> {
        let pooled = snapshots.pooled();
        let deviation = pooled.deviation();
        let scale = if standardize {
            let constant: Vec<&str> = snapshots
                .constant_columns()
                .into_iter()
                .map(|j| snapshots.columns()[j].as_str())
                .collect();
            ensure!(
                constant.is_empty(),
                Value,
                "cannot standardise columns that are constant: {}; leave them out",
                constant.join(", ")
            );
            deviation.clone()
        } else {
            Array1::ones(deviation.len())
        };
        let spread = (&deviation / &scale)
            .mapv(|s| s * s)
            .mean()
            .unwrap_or(0.0)
            .sqrt();
        ensure!(
            spread > 0.0,
            Value,
            "all points coincide: there is no motion to learn"
        );
        let times = snapshots.times();
        Ok(Self {
            center: pooled.mean().to_vec(),
            scale: scale.to_vec(),
            length: spread,
            start: times[0],
            duration: times[times.len() - 1] - times[0],
        })
    }

    /// Units without a preferred column: the given center `[d]`, one length for all columns and a
    /// span of times.
    ///
    /// # Errors
    /// A length or duration that is not positive and finite.
    pub fn isotropic(center: Vec<f64>, length: f64, span: [f64; 2]) -> Result<Self> {
        let duration = span[1] - span[0];
        for (name, value) in [("length", length), ("duration", duration)] {
            ensure!(
                value.is_finite() && value > 0.0,
                Value,
                "the {name} of units must be positive and finite, got {value}"
            );
        }
        Ok(Self {
            scale: vec![1.0; center.len()],
            center,
            length,
            start: span[0],
            duration,
        })
    }

    /// Whether these can be units, for those that come from a file.
    pub(crate) fn is_whole(&self) -> bool {
        let positive = |x: &f64| x.is_finite() && *x > 0.0;
        self.center.len() == self.scale.len()
            && self.center.iter().all(|x| x.is_finite())
            && self
                .scale
                .iter()
                .chain([&self.length, &self.duration])
                .all(positive)
            && self.start.is_finite()
    }

    /// The number of columns, d.
    pub fn dimension(&self) -> usize {
        self.center.len()
    }

    /// What every column is divided by where distances count, `[d]`.
    pub fn scale(&self) -> Array1<f64> {
        Array1::from(self.scale.clone())
    }

    /// The first and the last time.
    pub fn span(&self) -> [f64; 2] {
        [self.start, self.start + self.duration]
    }

    /// An action of 1 in the network, in the units of the cost: `length^2 / duration`.
    pub fn action(&self) -> f64 {
        self.length * self.length / self.duration
    }

    /// The network's time of a user's time.
    pub fn time_in(&self, t: f64) -> f64 {
        (t - self.start) / self.duration
    }

    /// The user's time of a network's time.
    pub fn time_out(&self, t: f64) -> f64 {
        self.start + self.duration * t
    }

    /// Points `[n, d]` of the user in the network's coordinates.
    pub fn points_in(&self, points: ArrayView2<f64>) -> Array2<f64> {
        self.by_column(points, |x, j| {
            (x - self.center[j]) / (self.scale[j] * self.length)
        })
    }

    /// Points `[n, d]` of the network in the user's coordinates.
    pub fn points_out(&self, points: ArrayView2<f64>) -> Array2<f64> {
        self.by_column(points, |x, j| {
            x * (self.scale[j] * self.length) + self.center[j]
        })
    }

    /// Velocities `[n, d]` of the user, per unit of the network's time and coordinates.
    pub fn velocities_in(&self, velocities: ArrayView2<f64>) -> Array2<f64> {
        self.by_column(velocities, |v, j| {
            v * self.duration / (self.scale[j] * self.length)
        })
    }

    /// Velocities `[n, d]` of the network in the user's coordinates and time.
    pub fn velocities_out(&self, velocities: ArrayView2<f64>) -> Array2<f64> {
        self.by_column(velocities, |v, j| {
            v * (self.scale[j] * self.length) / self.duration
        })
    }

    fn by_column(&self, values: ArrayView2<f64>, f: impl Fn(f64, usize) -> f64) -> Array2<f64> {
        let mut out = Array2::zeros(values.raw_dim());
        Zip::from(out.rows_mut())
            .and(values.rows())
            .for_each(|mut out, row| {
                for (j, (out, x)) in out.iter_mut().zip(row).enumerate() {
                    *out = f(*x, j);
                }
            });
        out
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::cloud::Cloud;

    fn snapshots() -> Snapshots {
        let clouds = [0.0, 6.0].map(|shift| {
            let points = Array2::from_shape_fn((600, 3), |(i, j)| match j {
                0 => i as f64 + shift,
                1 => 1e-3 * (i as f64 * 0.7).sin(),
                _ => 0.1,
            });
            Cloud::new(points).unwrap()
        });
        Snapshots::new(vec![-1.0, 3.0], clouds.to_vec()).unwrap()
    }

    #[test]
    fn pooled_deviation_is_one_and_times_run_from_0_to_1() {
        for standardize in [false, true] {
            let snapshots = snapshots().first_columns(2).unwrap();
            let units = Units::of(&snapshots, standardize).unwrap();
            let inner = units.points_in(snapshots.pooled().points().view());
            let cloud = Cloud::new(inner).unwrap();
            assert!(cloud.mean().iter().all(|m| m.abs() < 1e-10));
            let deviation = cloud.deviation();
            let pooled = deviation.mapv(|s| s * s).mean().unwrap();
            assert!((pooled - 1.0).abs() < 1e-10);
            assert_eq!(
                (deviation[1] / deviation[0] - 1.0).abs() < 1e-10,
                standardize
            );
            assert_eq!(
                [units.time_in(-1.0), units.time_in(1.0), units.time_in(3.0)],
                [0.0, 0.5, 1.0]
            );
        }
    }

    #[test]
    fn there_and_back_is_nothing() {
        let units = Units::of(&snapshots().first_columns(2).unwrap(), true).unwrap();
        let x = array![[3.0, 0.2], [-1e3, 7.0]];
        for back in [
            units.points_out(units.points_in(x.view()).view()),
            units.velocities_out(units.velocities_in(x.view()).view()),
        ] {
            let off = (back - &x).mapv(f64::abs);
            assert!(off.iter().all(|e| *e < 1e-9));
        }
        assert_eq!(units.time_out(units.time_in(2.2)), 2.2);
    }

    #[test]
    fn a_constant_column_cannot_be_standardised_however_it_rounds() {
        let error = Units::of(&snapshots(), true).unwrap_err().to_string();
        assert!(error.contains("constant: x2"), "{error}");
        assert!(Units::of(&snapshots(), false).is_ok());
    }
}

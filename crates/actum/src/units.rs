//! The user's units, the units of the cost, and the network's coordinates.

use ndarray::{Array1, Array2, ArrayView2, Zip};
use serde::{Deserialize, Serialize};

use crate::{
    data::Snapshots,
    error::{Result, ensure},
};

/// The change between the user's coordinates and the network's. Column j of the network is `(x_j -
/// center_j) / (scale_j * length)`. Its time runs from 0 to 1 by a time warp that is linear between
/// knots.
///
/// `scale` sets the unit of distance of the cost. Ones keep the user's own units; standard
/// deviations give all columns equal weight, which changes the motion of least cost. `length`
/// brings numbers near 1 and does not affect the result.
///
/// The warp weights the objective in time by `w_t = (duration * warp'(t))^(1 - p)`, p the exponent
/// of the cost (2 if kinetic). It does not change the field that minimises the objective; a uniform
/// warp has `w_t = 1` (docs/mathematics.md, section 7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    center: Vec<f64>,
    scale: Vec<f64>,
    length: f64,
    /// Times of the user, increasing.
    knots: Vec<f64>,
    /// The network's times at the knots, from 0 to 1.
    warp: Vec<f64>,
}

/// The share of the network's time that is proportional to real time, so that every interval has
/// some.
const REAL: f64 = 0.1;

impl Units {
    /// The user's own units for `dimension` columns and times in [0, 1].
    pub fn identity(dimension: usize) -> Self {
        Self {
            center: vec![0.0; dimension],
            scale: vec![1.0; dimension],
            length: 1.0,
            knots: vec![0.0, 1.0],
            warp: vec![0.0, 1.0],
        }
    }

    /// Units in which the pooled points of all snapshots have mean 0 and, pooled over columns,
    /// standard deviation 1, and times run from 0 to 1. With `standardize` every column is divided
    /// by its own standard deviation over all points, otherwise all columns by the same number.
    ///
    /// # Errors
    /// A column without spread when standardising; points that all coincide.
    pub fn of(snapshots: &Snapshots, standardize: bool) -> Result<Self> {
        let pooled = snapshots.pooled();
        let std_dev = pooled.std_dev();
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
            std_dev.clone()
        } else {
            Array1::ones(std_dev.len())
        };
        let spread = (&std_dev / &scale)
            .mapv(|s| s * s)
            .mean()
            .unwrap_or(0.0)
            .sqrt();
        let still = snapshots.constant_columns().len() == snapshots.dimension();
        ensure!(
            spread > 0.0 && !still,
            Value,
            "all points coincide: there is no motion to learn"
        );
        let times = snapshots.times();
        Ok(Self {
            center: pooled.mean().to_vec(),
            scale: scale.to_vec(),
            length: spread,
            knots: vec![times[0], times[times.len() - 1]],
            warp: vec![0.0, 1.0],
        })
    }

    /// Units that treat all columns alike: a center `[d]`, one length for all columns and a span of
    /// times.
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
            knots: span.to_vec(),
            warp: vec![0.0, 1.0],
        })
    }

    /// The same units with a time warp that slows time where the population is fast. Between
    /// `times` `[K]` nine tenths of the network's time are proportional to the `distances` `[K -
    /// 1]` travelled there (in any unit), and a tenth to real time. A smooth network fits equal
    /// speeds best when snapshots are unequally spaced. Real times are not changed.
    ///
    /// # Errors
    /// Times that do not increase or leave the span, or distances that are negative, not finite,
    /// or not one for each interval.
    pub fn warped(mut self, times: &[f64], distances: &[f64]) -> Result<Self> {
        let [first, last] = self.span();
        ensure!(
            times.len() == distances.len() + 1
                && times.windows(2).all(|w| w[0] < w[1])
                && times[0] == first
                && times[times.len() - 1] == last,
            Value,
            "a time warp needs increasing times from {first} to {last} and a distance for each \
             interval, got times {times:?} and {} distances",
            distances.len()
        );
        ensure!(
            distances.iter().all(|d| d.is_finite() && *d >= 0.0),
            Value,
            "distances must be finite and not negative, got {distances:?}"
        );
        let total: f64 = distances.iter().sum();
        let real = if total > 0.0 { REAL } else { 1.0 };
        let mut warp = vec![0.0];
        for (pair, distance) in times.windows(2).zip(distances) {
            let share = real * (pair[1] - pair[0]) / (last - first)
                + (1.0 - real) * distance / total.max(f64::MIN_POSITIVE);
            warp.push(warp[warp.len() - 1] + share);
        }
        let end = warp[warp.len() - 1];
        self.warp = warp.into_iter().map(|t| t / end).collect();
        self.knots = times.to_vec();
        Ok(self)
    }

    /// Whether saved units are valid.
    pub(crate) fn is_whole(&self) -> bool {
        let positive = |x: &f64| x.is_finite() && *x > 0.0;
        let rising = |x: &[f64]| {
            x.len() >= 2 && x.iter().all(|t| t.is_finite()) && x.windows(2).all(|w| w[0] < w[1])
        };
        self.center.len() == self.scale.len()
            && self.center.iter().all(|x| x.is_finite())
            && self.scale.iter().chain([&self.length]).all(positive)
            && self.knots.len() == self.warp.len()
            && rising(&self.knots)
            && rising(&self.warp)
    }

    /// The number of columns, d.
    pub fn dimension(&self) -> usize {
        self.center.len()
    }

    /// The divisor of every column in measuring distances, `[d]`.
    pub fn scale(&self) -> Array1<f64> {
        Array1::from(self.scale.clone())
    }

    /// The first and the last time.
    pub fn span(&self) -> [f64; 2] {
        [self.knots[0], self.knots[self.knots.len() - 1]]
    }

    /// Whether all `times` lie in the span, up to rounding.
    pub(crate) fn check_times<'a>(&self, times: impl IntoIterator<Item = &'a f64>) -> Result<()> {
        let [first, last] = self.span();
        let slack = 1e-9 * self.duration();
        for &t in times {
            ensure!(
                (first - slack..=last + slack).contains(&t),
                Value,
                "time {t} is outside of what was learned, [{first}, {last}]"
            );
        }
        Ok(())
    }

    /// The factor from the network's objective to units of a cost of this exponent p (2 if
    /// kinetic): `length^p / duration^(p - 1)`.
    pub fn objective(&self, exponent: f64) -> f64 {
        self.length.powf(exponent) / self.duration().powf(exponent - 1.0)
    }

    /// The factor from the network's action at a time to units of a cost of this exponent p:
    /// `length^p warp'(t)^(p - 1)`.
    pub fn action(&self, exponent: f64, t: f64) -> f64 {
        self.length.powf(exponent) * self.rate(t).powf(exponent - 1.0)
    }

    /// The factor from the network's action to a growth rate per unit of the network's time:
    /// `lambda length^p warp'(t)^(p - 2)`.
    pub(crate) fn growth_in(&self, exponent: f64, t: f64, lambda: f64) -> f64 {
        lambda * self.action(exponent, t) / self.rate(t)
    }

    /// The noise sigma at a time, per square root of the network's time and in its length.
    pub(crate) fn noise_in(&self, t: f64, sigma: f64) -> f64 {
        sigma / (self.length * self.rate(t).sqrt())
    }

    /// The time between the first and the last.
    pub fn duration(&self) -> f64 {
        let [first, last] = self.span();
        last - first
    }

    /// A length of the network, in units of distance.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// The network's times where the warp may change its slope, from 0 to 1.
    pub(crate) fn warp_knots(&self) -> &[f64] {
        &self.warp
    }

    /// The network's time of a user's time.
    pub fn time_in(&self, t: f64) -> f64 {
        along(&self.knots, &self.warp, t)
    }

    /// The user's time of a network's time.
    pub fn time_out(&self, t: f64) -> f64 {
        along(&self.warp, &self.knots, t)
    }

    /// `warp'(t)`, the network's time per unit of the user's time; at a knot, that of the interval
    /// after it.
    pub(crate) fn rate(&self, t: f64) -> f64 {
        let k = interval(&self.knots, t);
        (self.warp[k + 1] - self.warp[k]) / (self.knots[k + 1] - self.knots[k])
    }

    /// `length^2 warp'(t)`: a score times this, as a velocity, is the score in the network's
    /// coordinates.
    pub(crate) fn of_score(&self, t: f64) -> f64 {
        self.length * self.length * self.rate(t)
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

    /// Differences of points `[n, d]` of the network in the user's coordinates.
    pub(crate) fn lengths_out(&self, differences: ArrayView2<f64>) -> Array2<f64> {
        self.by_column(differences, |x, j| x * (self.scale[j] * self.length))
    }

    /// Velocities `[n, d]` of the user at `times` `[n]`, per unit of the network's time and
    /// coordinates.
    pub fn velocities_in(&self, times: &[f64], velocities: ArrayView2<f64>) -> Array2<f64> {
        let mut inner = self.by_column(velocities, |v, j| v / (self.scale[j] * self.length));
        for (mut row, t) in inner.rows_mut().into_iter().zip(times) {
            row /= self.rate(*t);
        }
        inner
    }

    /// Velocities `[n, d]` of the network at the user's time `t`, in the user's coordinates and
    /// time.
    pub fn velocities_out(&self, t: f64, velocities: ArrayView2<f64>) -> Array2<f64> {
        let rate = self.rate(t);
        self.by_column(velocities, |v, j| v * (self.scale[j] * self.length) * rate)
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

/// The k with `knots[k] <= t < knots[k + 1]`; times outside belong to the first or the last
/// interval.
pub(crate) fn interval(knots: &[f64], t: f64) -> usize {
    knots.partition_point(|s| *s <= t).clamp(1, knots.len() - 1) - 1
}

/// The piecewise linear function through `(from_k, to_k)` at `t`.
fn along(from: &[f64], to: &[f64], t: f64) -> f64 {
    let k = interval(from, t);
    to[k] + (to[k + 1] - to[k]) * ((t - from[k]) / (from[k + 1] - from[k]))
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
    fn pooled_standard_deviation_is_one_and_times_run_from_0_to_1() {
        for standardize in [false, true] {
            let snapshots = snapshots().first_columns(2).unwrap();
            let units = Units::of(&snapshots, standardize).unwrap();
            let inner = units.points_in(snapshots.pooled().points().view());
            let cloud = Cloud::new(inner).unwrap();
            assert!(cloud.mean().iter().all(|m| m.abs() < 1e-10));
            let std_dev = cloud.std_dev();
            let pooled = std_dev.mapv(|s| s * s).mean().unwrap();
            assert!((pooled - 1.0).abs() < 1e-10);
            assert_eq!((std_dev[1] / std_dev[0] - 1.0).abs() < 1e-10, standardize);
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
            units.velocities_out(1.0, units.velocities_in(&[1.0, 1.0], x.view()).view()),
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

    #[test]
    fn a_time_warp_goes_with_the_distance_and_keeps_velocities_real() {
        let units = Units::isotropic(vec![0.0], 2.0, [0.0, 10.0]).unwrap();
        let units = units.warped(&[0.0, 1.0, 10.0], &[9.0, 3.0]).unwrap();
        // 0.9 * 9/12 + 0.1 * 1/10
        assert!((units.time_in(1.0) - 0.685).abs() < 1e-12);
        for t in [0.0, 0.4, 1.0, 7.7, 10.0] {
            assert!((units.time_out(units.time_in(t)) - t).abs() < 1e-12);
        }
        // A point that moves by 3 a time unit: its network coordinate by 1.5 per warp'(t).
        for (t, rate) in [(0.5, 0.685), (5.0, 0.035)] {
            let inner = units.velocities_in(&[t], array![[3.0]].view());
            assert!((inner[[0, 0]] - 1.5 / rate).abs() < 1e-9);
            assert!((units.velocities_out(t, inner.view())[[0, 0]] - 3.0).abs() < 1e-12);
            assert!((units.action(2.0, t) - 4.0 * rate).abs() < 1e-12);
            assert!((units.action(3.0, t) - 8.0 * rate * rate).abs() < 1e-12);
        }
        assert_eq!([units.objective(2.0), units.objective(3.0)], [0.4, 0.08]);
        let still = Units::identity(1)
            .warped(&[0.0, 0.2, 1.0], &[0.0, 0.0])
            .unwrap();
        assert!((still.time_in(0.2) - 0.2).abs() < 1e-12);
        let bad = Units::identity(1)
            .warped(&[0.0, 1.0], &[1.0, 2.0])
            .unwrap_err()
            .to_string();
        assert!(bad.contains("2 distances"), "{bad}");
    }
}

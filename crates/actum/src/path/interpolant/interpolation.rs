//! The names of the interpolations, and what each must supply.

use std::ops::Range;

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::{clocked::ClockedSpline, line::Line, monotone::Monotone, spline::NaturalSpline};

/// How a matched chain of points moves between the snapshot times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// On straight lines, at constant velocity between two snapshots.
    Linear,
    /// On the natural cubic spline through the chain of matched points, in real time. It is twice
    /// differentiable and has no acceleration at its two ends. Between two snapshots it is the
    /// straight line.
    Cubic,
    /// On the monotone cubic through the chain in every column, in real time (PCHIP, Fritsch and
    /// Butland 1984): a column turns at a snapshot or not at all. Once differentiable; it depends
    /// on the axes. Between two snapshots it is the straight line.
    Monotone,
    /// On curves that a small network bends towards the data (Kapusniak et al. 2024): between two
    /// matched points, where a metric that is larger away from the data makes them shortest. Not
    /// differentiable at the snapshots.
    Metric,
    /// On the centripetal Catmull-Rom spline through the chain, which runs on a clock that advances
    /// by the root of the distance between the means of two snapshots and never goes back. Where a
    /// population bends it is followed without the overshooting of splines in real time. Once
    /// differentiable; between two snapshots it is the straight line.
    Clocked,
}

impl Interpolation {
    /// The curves for increasing `times` `[K]`, K >= 2, at which the means of the snapshots are
    /// `distances` `[K - 1]` apart. Those of a metric are learned from pairs as well: here they are
    /// the lines that they start from.
    pub(super) fn curve(self, times: &[f64], distances: &[f64]) -> Box<dyn Curve> {
        match self {
            Self::Linear | Self::Metric => Box::new(Line::new(times)),
            Self::Cubic => Box::new(NaturalSpline::new(times)),
            Self::Monotone => Box::new(Monotone::new(times)),
            Self::Clocked => Box::new(ClockedSpline::new(times, distances)),
        }
    }
}

/// The curve through any chain of points, one at every time.
pub(super) trait Curve: Send + Sync {
    /// The points that count in the interval from time `interval` to the next.
    fn support(&self, interval: usize) -> Range<usize>;

    /// Writes where the curve is at a `t` in the interval, and its velocity, `[d]` each. `chain`
    /// knows the points of the support.
    fn write<'a>(
        &self,
        interval: usize,
        t: f64,
        chain: &dyn Fn(usize) -> ArrayView1<'a, f64>,
        x: &mut [f64],
        v: &mut [f64],
    );
}

/// A curve that is linear in the points, `x(t) = sum_k c_k(t) y_k`: its cardinal function `c_k` is 1
/// at time k and 0 at the others.
pub(super) trait Cardinal: Send + Sync {
    /// The points that count in the interval from time `interval` to the next.
    fn support(&self, interval: usize) -> Range<usize>;

    /// Writes `[c_k(t), c_k'(t)]` for a t in the interval and the k of its support.
    fn write(&self, interval: usize, t: f64, out: &mut [[f64; 2]]);
}

impl<C: Cardinal> Curve for C {
    fn support(&self, interval: usize) -> Range<usize> {
        Cardinal::support(self, interval)
    }

    fn write<'a>(
        &self,
        interval: usize,
        t: f64,
        chain: &dyn Fn(usize) -> ArrayView1<'a, f64>,
        x: &mut [f64],
        v: &mut [f64],
    ) {
        let support = Cardinal::support(self, interval);
        let mut weights = vec![[0.0; 2]; support.len()];
        Cardinal::write(self, interval, t, &mut weights);
        x.fill(0.0);
        v.fill(0.0);
        for (k, [value, slope]) in support.zip(weights) {
            for (j, y) in chain(k).iter().enumerate() {
                x[j] += value * y;
                v[j] += slope * y;
            }
        }
    }
}

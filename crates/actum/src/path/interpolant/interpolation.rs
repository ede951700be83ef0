//! The names of the interpolations, and what each must supply.

use std::ops::Range;

use ndarray::{Array1, ArrayView1};
use serde::{Deserialize, Serialize};

use super::{
    clocked::ClockedSpline, forced::Forced, line::Line, monotone::Monotone, spline::NaturalSpline,
};

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
    /// On the curves of least action under a force that all points share: the acceleration of the
    /// means of the snapshots. It is a Wasserstein Lagrangian flow (Neklyudov et al. 2024), solved
    /// exactly. Not differentiable at the snapshots; between two of them, where nothing shows an
    /// acceleration, the straight line.
    Forced,
    /// On curves that a small network bends towards the data (Kapusniak et al. 2024): between two
    /// matched points, where a metric that is larger away from the data makes them shortest. Not
    /// differentiable at the snapshots.
    Metric,
    /// On the Catmull-Rom spline through the chain, which runs on a clock: one that advances by the
    /// root of the distance between the means of two snapshots (centripetal), or real time where that
    /// predicts the means of left-out snapshots clearly better. Where a population bends it is followed
    /// without the overshooting of splines in real time. Once differentiable; between two
    /// snapshots it is the straight line.
    Clocked,
}

impl Interpolation {
    /// The curves for increasing `times` `[K]`, K >= 2, of snapshots with the given means, `[d]`
    /// each. Distances are measured after dividing every column by `scale`, `[d]`. The curves of a
    /// metric are learned from pairs as well: here they are the lines that they start from.
    pub(super) fn curve(
        self,
        times: &[f64],
        means: &[Array1<f64>],
        scale: &Array1<f64>,
    ) -> Box<dyn Curve> {
        match self {
            Self::Linear | Self::Metric => Box::new(Line::new(times)),
            Self::Cubic => Box::new(NaturalSpline::new(times)),
            Self::Monotone => Box::new(Monotone::new(times)),
            Self::Forced => Box::new(Forced::new(times, means)),
            Self::Clocked => Box::new(ClockedSpline::of(times, means, scale)),
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

/// Writes `x(t) = sum_k c_k(t) y_k` and its velocity for the `[c_k(t), c_k'(t)]` of the points from
/// `first` on: the cardinal function `c_k` is 1 at time k and 0 at the others.
pub(super) fn combine<'a>(
    first: usize,
    weights: &[[f64; 2]],
    chain: &dyn Fn(usize) -> ArrayView1<'a, f64>,
    x: &mut [f64],
    v: &mut [f64],
) {
    x.fill(0.0);
    v.fill(0.0);
    for (k, [value, slope]) in weights.iter().enumerate() {
        for (j, y) in chain(first + k).iter().enumerate() {
            x[j] += value * y;
            v[j] += slope * y;
        }
    }
}

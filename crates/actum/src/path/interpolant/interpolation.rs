//! The names of the interpolations, and what each must supply.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{clocked::ClockedSpline, line::Line, spline::NaturalSpline};

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
    /// On the centripetal Catmull-Rom spline through the chain, which runs on a clock that advances
    /// by the root of the distance between the means of two snapshots and never goes back. Where a
    /// population bends it is followed without the overshooting of splines in real time. Once
    /// differentiable; between two snapshots it is the straight line.
    Clocked,
}

impl Interpolation {
    /// The cardinal functions for increasing `times` `[K]`, K >= 2, at which the means of the
    /// snapshots are `distances` `[K - 1]` apart.
    pub(super) fn cardinal(self, times: &[f64], distances: &[f64]) -> Box<dyn Cardinal> {
        match self {
            Self::Linear => Box::new(Line::new(times)),
            Self::Cubic => Box::new(NaturalSpline::new(times)),
            Self::Clocked => Box::new(ClockedSpline::new(times, distances)),
        }
    }
}

/// The cardinal functions `c_k(t)` of an interpolation: `c_k` is 1 at time k and 0 at the others.
///
/// Interpolation is linear in the points, so these functions are all that a path needs of it.
pub(super) trait Cardinal: Send + Sync {
    /// Writes `[c_k(t), c_k'(t)]` to `out` `[K]` for a t in the interval from time `interval` to
    /// the next. Returns the k for which it did; the others do not count at t.
    fn write(&self, interval: usize, t: f64, out: &mut [[f64; 2]]) -> Range<usize>;
}

//! Where the mean of a population goes between snapshots.

use ndarray::Array1;

use super::{
    clocked::ClockedSpline,
    interpolation::{Curve, Interpolation},
};
use crate::{cloud::Cloud, data::Snapshots, units::interval};

/// The mean of an [`Interpolant`](super::Interpolant) and the clock of distance. It needs no
/// coupling: a coupling that keeps the marginals leaves the mean of every snapshot where it is, and
/// an interpolation is linear in the points, or nearly (the monotone one). The curves of a metric
/// are taken for lines.
pub(crate) struct MeanPath {
    times: Vec<f64>,
    means: Vec<Array1<f64>>,
    curve: Box<dyn Curve>,
    /// That of distance, so that variances of all choices of snapshots have one unit.
    clock: ClockedSpline,
    scale: Array1<f64>,
}

impl MeanPath {
    /// In units of distance: columns are divided by `scale`, `[d]`. At least two snapshots.
    pub(crate) fn new(
        snapshots: &Snapshots,
        interpolation: Interpolation,
        scale: &Array1<f64>,
    ) -> Self {
        let times = snapshots.times();
        let means = snapshots.clouds().iter().map(Cloud::mean);
        let means: Vec<Array1<f64>> = means.map(|mean| mean / scale).collect();
        let ones = Array1::ones(scale.len());
        Self {
            curve: interpolation.curve(times, &means, &ones),
            clock: ClockedSpline::by_distance(times, &means),
            times: times.to_vec(),
            means,
            scale: scale.clone(),
        }
    }

    /// How far the mean of a cloud, in the user's coordinates, is from that at `t` within the span.
    pub(crate) fn distance(&self, t: f64, cloud: &Cloud) -> f64 {
        let off = self.at(t) - cloud.mean() / &self.scale;
        off.dot(&off).sqrt()
    }

    /// The first and the last time.
    pub(crate) fn span(&self) -> [f64; 2] {
        [self.times[0], self.times[self.times.len() - 1]]
    }

    /// The mean at `t` within the span, `[d]`.
    fn at(&self, t: f64) -> Array1<f64> {
        let d = self.means[0].len();
        let (mut x, mut v) = (vec![0.0; d], vec![0.0; d]);
        let chain = |k: usize| self.means[k].view();
        self.curve
            .write(interval(&self.times, t), t, &chain, &mut x, &mut v);
        Array1::from_vec(x)
    }

    /// The variance at `t` within the span of a Brownian bridge of rate 1 between the snapshots
    /// around it, in the clock.
    pub(crate) fn bridge(&self, t: f64) -> f64 {
        let [before, now, after] = self.clock.reading(interval(&self.times, t), t);
        ((now - before) * (after - now) / (after - before)).max(0.0)
    }
}

//! The path between snapshots: matched points travel along straight lines or splines.

mod clocked;
mod coupling;
mod drift;
mod forced;
mod growth;
mod interpolation;
mod line;
mod matching;
mod means;
mod metric;
mod monotone;
mod spline;
mod whole;

use std::ops::Range;

use ndarray::{Array1, Array2, Axis};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::{
    Masses, Path, PathSample,
    cumulative::{cumulated, draw},
};
use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Result, ensure},
    stop::Stop,
    units::interval,
};
pub use coupling::Coupling;
use drift::Advected;
pub use drift::Field;
use growth::Growth;
use interpolation::Curve;
pub use interpolation::Interpolation;
use line::Line;
use matching::Matching;
pub(crate) use means::MeanPath;
use metric::{Bent, Pair};

/// `q_t` between snapshots: `x_t` is on the curve of the [interpolation](Interpolation) through a
/// chain of points `y_0, ..., y_K`, one of every snapshot, each drawn from the
/// [coupling](Coupling) with the one before. So `q_t` equals the snapshot at its time, and the
/// velocity is that of the curve. Times are real and may be spaced unequally.
///
/// The path has mass where snapshots differ in mass or the coupling is unbalanced, in units of the
/// mean mass of the snapshots. The data do not show how mass changes between snapshots, so the path
/// assumes it: the total grows at a constant rate, and the share of a matched pair (i, j) of mass
/// `P_ij` goes linearly from its part `a_i P_ij / sum_j P_ij` of the mass of i to its part of the
/// mass of j (docs/mathematics.md, section 6).
///
/// With a [blur](Interpolant::blurred) every point is a small Gaussian. With the coupling
/// [`Bridge`](Coupling::Bridge) it also wanders between two snapshots as a Brownian bridge.
pub struct Interpolant {
    times: Vec<f64>,
    clouds: Vec<Cloud>,
    /// Running sums of every cloud's weights.
    running: Vec<Vec<f64>>,
    growth: Growth,
    has_mass: bool,
    matchings: Vec<Matching>,
    distances: Vec<f64>,
    /// Where a field carries every point until the next snapshot.
    advected: Option<Vec<Advected>>,
    curve: Box<dyn Curve>,
    scale: Array1<f64>,
    /// The standard deviation of the blur, in units of distance.
    blur: f64,
    /// The sigma of the Brownian bridge between two snapshots, in units of distance per root of
    /// time.
    wander: f64,
}

impl Interpolant {
    /// The path through all `snapshots`. Distances of the coupling are measured after dividing
    /// every column by `scale`, `[d]` (ones for the user's own units).
    ///
    /// # Errors
    /// Fewer than two snapshots, a scale of another length, an entropic regularisation that is
    /// not positive or too small to converge.
    pub fn new(
        snapshots: &Snapshots,
        coupling: Coupling,
        interpolation: Interpolation,
        scale: &Array1<f64>,
    ) -> Result<Self> {
        Self::join(snapshots, coupling, interpolation, scale, None)
    }

    /// The path through all `snapshots` along a velocity field: a known drift, or a motion that was
    /// fitted before. A point follows the field to the next snapshot and is matched where it then
    /// is. The distance that remains to its partner is added at a constant velocity; it is 0 where
    /// the field is the whole motion.
    ///
    /// # Errors
    /// As [`new`](Interpolant::new); velocities of another shape, or that carry a point out of the
    /// finite numbers; what the field refuses.
    pub fn along(
        snapshots: &Snapshots,
        coupling: Coupling,
        scale: &Array1<f64>,
        field: &Field,
    ) -> Result<Self> {
        Self::join(
            snapshots,
            coupling,
            Interpolation::Linear,
            scale,
            Some(field),
        )
    }

    fn join(
        snapshots: &Snapshots,
        coupling: Coupling,
        interpolation: Interpolation,
        scale: &Array1<f64>,
        field: Option<&Field>,
    ) -> Result<Self> {
        ensure!(
            snapshots.len() >= 2,
            Value,
            "a path needs snapshots at two times or more, got {}",
            snapshots.len()
        );
        let d = snapshots.dimension();
        ensure!(
            scale.len() == d,
            Shape,
            "expected one scale for each of {d} columns, got {}",
            scale.len()
        );
        let clouds = snapshots.clouds().to_vec();
        let times = snapshots.times();
        let center = clouds[0].mean();
        let advected = field
            .map(|field| {
                let spans = times.windows(2).zip(&clouds);
                spans
                    .map(|(span, cloud)| Advected::new(field, cloud.points(), [span[0], span[1]]))
                    .collect::<Result<Vec<_>>>()
            })
            .transpose()?;
        let scaled: Vec<Cloud> = clouds.iter().map(|c| c.rescaled(&center, scale)).collect();
        let join = |k: usize| {
            let start = match &advected {
                None => scaled[k].clone(),
                Some(advected) => {
                    Cloud::weighted(advected[k].end().clone(), clouds[k].weights().clone())?
                        .rescaled(&center, scale)
                }
            };
            let duration = times[k + 1] - times[k];
            let (matching, distance) = Matching::new(&start, &scaled[k + 1], coupling, duration)?;
            // The way along the field counts as travelled too.
            let drifted = (start.points() - scaled[k].points())
                .mapv(|x| x * x)
                .sum_axis(Axis(1));
            let drifted = drifted.dot(clouds[k].weights()) / clouds[k].mass();
            Ok((matching, (distance * distance + drifted).sqrt()))
        };
        let stop = Stop::now();
        let joined: Vec<_> = (0..clouds.len() - 1)
            .into_par_iter()
            .map(|k| stop.within(|| join(k)))
            .collect();
        let joined = joined.into_iter().collect::<Result<Vec<_>>>()?;
        let (matchings, distances): (Vec<_>, Vec<_>) = joined.into_iter().unzip();
        let is_uneven = matchings.iter().any(|matching| matching.gains().is_some());
        let path = Self {
            times: times.to_vec(),
            curve: Box::new(Line::new(times)),
            running: clouds.iter().map(|c| cumulated(c.weights())).collect(),
            growth: Growth::new(times, &clouds),
            has_mass: is_uneven || !snapshots.has_equal_masses(),
            clouds,
            matchings,
            distances,
            advected,
            scale: scale.clone(),
            blur: 0.0,
            wander: match coupling {
                Coupling::Bridge(sigma) => sigma,
                _ => 0.0,
            },
        };
        Ok(path.curved(interpolation))
    }

    fn curved(mut self, interpolation: Interpolation) -> Self {
        self.curve = match interpolation {
            Interpolation::Metric => {
                let pair = |rng: &mut dyn Rng| {
                    let k = rng.random_range(0..self.matchings.len());
                    let mut rows = vec![0; self.clouds.len()];
                    self.chain(k, 0.0, k..k + 2, rng, &mut rows);
                    Pair {
                        interval: k,
                        ends: [k, k + 1].map(|k| self.clouds[k].point(rows[k])),
                    }
                };
                Box::new(Bent::new(&self.times, &self.clouds, &self.scale, pair))
            }
            _ => {
                let means: Vec<_> = self.clouds.iter().map(Cloud::mean).collect();
                interpolation.curve(&self.times, &means, &self.scale)
            }
        };
        self
    }

    /// The same couplings under another interpolation.
    ///
    /// # Errors
    /// A path along a field, which only straight lines follow.
    pub fn interpolated(self, interpolation: Interpolation) -> Result<Self> {
        ensure!(
            self.advected.is_none() || interpolation == Interpolation::Linear,
            Setting,
            "a spline does not follow a field; take the linear interpolation with it"
        );
        Ok(self.curved(interpolation))
    }

    /// The path with every chain displaced by a Gaussian of standard deviation `width`, in the
    /// units of the coupling. The displacement does not change in time: `q_t` is blurred and
    /// velocities stay as they were. Noise in the Lagrangian needs a blur, because the Laplacian of
    /// an action is unbounded below on single points.
    ///
    /// # Errors
    /// A width that is negative or not finite.
    pub fn blurred(self, width: f64) -> Result<Self> {
        ensure!(
            width.is_finite() && width >= 0.0,
            Setting,
            "the blur of a path must be finite and not negative, got {width}"
        );
        Ok(Self {
            blur: width,
            ..self
        })
    }

    /// Draws a chain of matched rows, one of every snapshot in `support`, for `share` of the way
    /// from snapshot `k` to the next. It begins at one of these two and is followed both ways.
    /// Where a coupling keeps the marginals, each row is a fair draw of its snapshot.
    fn chain(
        &self,
        k: usize,
        share: f64,
        support: Range<usize>,
        rng: &mut dyn Rng,
        rows: &mut [usize],
    ) {
        // Starting at the later snapshot with probability `share` draws a pair in proportion to
        // the mass that it has at this time.
        let is_uneven = self.matchings[k].gains().is_some();
        let start = if is_uneven && rng.random::<f64>() < share {
            k + 1
        } else {
            k
        };
        rows[start] = self.point(start, rng);
        for next in start + 1..support.end {
            rows[next] = self.matchings[next - 1]
                .forward(rows[next - 1], rng)
                .unwrap_or_else(|| self.point(next, rng));
        }
        for previous in (support.start..start).rev() {
            rows[previous] = self.matchings[previous]
                .backward(rows[previous + 1], rng)
                .unwrap_or_else(|| self.point(previous, rng));
        }
    }

    /// How wide the Gaussian of a point is at `share` of an interval of length `duration`, and how
    /// fast it widens. A bridge alone widens at an infinite rate at its ends, which a blur keeps
    /// finite.
    fn width(&self, share: f64, duration: f64) -> [f64; 2] {
        let sigma = self.wander * self.wander;
        let variance = self.blur * self.blur + sigma * duration * share * (1.0 - share);
        let width = variance.sqrt();
        match sigma > 0.0 {
            true => [width, sigma * (0.5 - share) / width.max(f64::MIN_POSITIVE)],
            false => [width, 0.0],
        }
    }

    /// A row of snapshot `k`, drawn in proportion to its weight.
    fn point(&self, k: usize, rng: &mut dyn Rng) -> usize {
        draw(&self.running[k], rng).expect("a cloud has mass")
    }
}

impl Path for Interpolant {
    fn dimension(&self) -> usize {
        self.clouds[0].dimension()
    }

    fn span(&self) -> [f64; 2] {
        [self.times[0], self.times[self.times.len() - 1]]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn has_mass(&self) -> bool {
        self.has_mass
    }

    /// The times of the snapshots, and the root mean squared distances between matched points in
    /// the units of the coupling.
    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        Some((self.times.clone(), self.distances.clone()))
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = (times.len(), self.dimension());
        let mut points = Array2::zeros(shape);
        let mut velocities = Array2::zeros(shape);
        let mut masses = Masses {
            values: Array1::ones(times.len()),
            rates: Some(Array1::zeros(times.len())),
        };
        let is_blurred = self.blur > 0.0 || self.wander > 0.0;
        let mut rows = vec![0; self.times.len()];
        for (n, &t) in times.iter().enumerate() {
            let k = interval(&self.times, t);
            let support = self.curve.support(k);
            let duration = self.times[k + 1] - self.times[k];
            let share = (t - self.times[k]) / duration;
            self.chain(k, share, support, rng, &mut rows);
            if let (true, Some(rates)) = (self.has_mass, &mut masses.rates) {
                let gains = self.matchings[k].gains();
                let gains = gains.map(|gains| gains.of_pair(rows[k], rows[k + 1]));
                (masses.values[n], rates[n]) = self.growth.of_pair(k, share, gains);
            }
            let (mut x, mut v) = (points.row_mut(n), velocities.row_mut(n));
            let x = x.as_slice_mut().expect("row-major");
            let v = v.as_slice_mut().expect("row-major");
            let chain = |k: usize| self.clouds[k].point(rows[k]);
            match &self.advected {
                Some(advected) => {
                    advected[k].write(rows[k], chain(k + 1), share, duration, x, v);
                }
                None => self.curve.write(k, t, &chain, x, v),
            }
            if is_blurred {
                let [width, widening] = self.width(share, duration);
                for (j, scale) in self.scale.iter().enumerate() {
                    let off = scale * rng.sample::<f64, _>(StandardNormal);
                    x[j] += width * off;
                    v[j] += widening * off;
                }
            }
        }
        let sample = PathSample::new(points).with_velocities(velocities);
        if self.has_mass {
            sample.with_masses(masses)
        } else {
            sample
        }
    }
}

#[cfg(test)]
mod tests;

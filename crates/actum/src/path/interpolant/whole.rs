//! The population of a path at one time as a single cloud.

use ndarray::{Array1, Array2};

use super::{Interpolant, matching::Conditional};
use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
    units::interval,
};

impl Interpolant {
    /// `q_t` as one cloud: a point for every matched pair of the two snapshots around `t`, weighted
    /// by its mass. Its mass is that of the whole at t, between the two masses at a constant rate of
    /// growth. Where the interpolation looks at snapshots beyond the pair, the mean of the
    /// pair's partners there stands for them: chains would be many more points, whose bends are
    /// mostly the chance of a coupling of samples.
    ///
    /// For straight lines it is the displacement interpolation (McCann 1997).
    ///
    /// # Errors
    /// A time outside of the span (`Value`); the independent coupling, whose pairs are all there
    /// are, or a blur, which makes a density of the path (`Setting`).
    pub fn whole(&self, t: f64) -> Result<Cloud> {
        let [first, last] = [self.times[0], self.times[self.times.len() - 1]];
        ensure!(
            (first..=last).contains(&t),
            Value,
            "time {t} is outside of the path, [{first}, {last}]"
        );
        ensure!(
            self.blur == 0.0 && self.wander == 0.0,
            Setting,
            "a blurred path has a density at every time, not a cloud"
        );
        let k = interval(&self.times, t);
        let support = self.curve.support(k);
        let duration = self.times[k + 1] - self.times[k];
        let share = (t - self.times[k]) / duration;
        let (forward, _) = self.pairs(k)?;
        // The points of a chain for each of the two points of the pair.
        let before = (support.start..k).map(|other| self.expected(k, other));
        let before = before.collect::<Result<Vec<_>>>()?;
        let after = (k + 2..support.end).map(|other| self.expected(k + 1, other));
        let after = after.collect::<Result<Vec<_>>>()?;
        let (a, b) = (&self.clouds[k], &self.clouds[k + 1]);
        let gains = self.matchings[k].gains();
        let (mut points, mut masses) = (vec![], vec![]);
        let (mut x, mut v) = (vec![0.0; a.dimension()], vec![0.0; a.dimension()]);
        for i in 0..a.len() {
            for (j, mass) in forward.row(i) {
                let chain = |other: usize| match other {
                    _ if other < k => before[other - support.start].row(i),
                    _ if other == k => a.point(i),
                    _ if other == k + 1 => b.point(j),
                    _ => after[other - k - 2].row(j),
                };
                match &self.advected {
                    Some(advected) => {
                        advected[k].write(i, b.point(j), share, duration, &mut x, &mut v);
                    }
                    None => self.curve.write(k, t, &chain, &mut x, &mut v),
                }
                points.extend_from_slice(&x);
                masses.push(match gains.map(|gains| gains.of_pair(i, j)) {
                    Some([start, end]) => mass * ((1.0 - share) * start + share * end),
                    None => mass,
                });
            }
        }
        let points = Array2::from_shape_vec((masses.len(), a.dimension()), points);
        let points = points.expect("d numbers for every mass");
        let total = a.mass().powf(1.0 - share) * b.mass().powf(share);
        Cloud::weighted(points, Array1::from_vec(masses))?.with_mass(total)
    }

    /// The mean over the partners at snapshot `to` of every point of snapshot `from`, `[n, d]`,
    /// along the chains between.
    fn expected(&self, from: usize, to: usize) -> Result<Array2<f64>> {
        let mut mean = self.clouds[to].points().clone();
        let mut at = to;
        while at != from {
            let next = if from < to { at - 1 } else { at + 1 };
            let (forward, backward) = self.pairs(next.min(at))?;
            let partners: &Conditional = if from < to { forward } else { backward };
            let anywhere = self.clouds[at].weights().dot(&mean) / self.clouds[at].mass();
            let mut found = Array2::zeros(self.clouds[next].points().raw_dim());
            for (i, mut row) in found.outer_iter_mut().enumerate() {
                let mut sum = 0.0;
                for (j, mass) in partners.row(i) {
                    row.scaled_add(mass, &mean.row(j));
                    sum += mass;
                }
                if sum > 0.0 {
                    row /= sum;
                } else {
                    row.assign(&anywhere);
                }
            }
            (mean, at) = (found, next);
        }
        Ok(mean)
    }

    /// Who is matched with whom from snapshot `k` to the next, and back.
    fn pairs(&self, k: usize) -> Result<(&Conditional, &Conditional)> {
        self.matchings[k].pairs().ok_or_else(|| {
            Error::new(
                ErrorKind::Setting,
                "the independent coupling matches all points with all: take another for a path as \
                 one cloud",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{array, aview1};

    use super::*;
    use crate::{
        data::Snapshots,
        path::{Coupling, Interpolation, interpolant::tests::snapshots},
    };

    fn path(coupling: Coupling, interpolation: Interpolation) -> Interpolant {
        Interpolant::new(&snapshots(), coupling, interpolation, &array![1.0, 1.0]).unwrap()
    }

    /// At the times of the snapshots it is they, and its mean moves as the cardinal functions say,
    /// because couplings keep the marginals.
    #[test]
    fn its_mean_is_the_interpolation_of_the_means() {
        for interpolation in [
            Interpolation::Linear,
            Interpolation::Cubic,
            Interpolation::Clocked,
            Interpolation::Monotone,
            Interpolation::Forced,
        ] {
            let path = path(Coupling::Exact, interpolation);
            let seen = snapshots();
            for (t, cloud) in seen.times().iter().zip(seen.clouds()) {
                let off = (path.whole(*t).unwrap().mean() - cloud.mean()).mapv(f64::abs);
                assert!(off.sum() < 1e-12, "{interpolation:?} at {t}: {off}");
            }
            if interpolation == Interpolation::Monotone {
                // It is not linear in the points.
                continue;
            }
            let t = 0.37 * seen.times()[1] + 0.63 * seen.times()[2];
            let means: Vec<Array1<f64>> = seen.clouds().iter().map(Cloud::mean).collect();
            let (mut mean, mut v) = ([0.0; 2], [0.0; 2]);
            let chain = |k: usize| means[k].view();
            path.curve.write(1, t, &chain, &mut mean, &mut v);
            let off = path.whole(t).unwrap().mean() - aview1(&mean);
            let off = off.mapv(f64::abs).sum();
            assert!(off < 1e-12, "{interpolation:?}: {off}");
        }
    }

    #[test]
    fn what_is_no_cloud_is_refused() {
        let independent = path(Coupling::Independent, Interpolation::Linear);
        assert_eq!(
            independent.whole(0.1).unwrap_err().kind(),
            ErrorKind::Setting
        );
        let blurred = path(Coupling::Exact, Interpolation::Linear)
            .blurred(0.1)
            .unwrap();
        assert_eq!(blurred.whole(0.1).unwrap_err().kind(), ErrorKind::Setting);
        let outside = path(Coupling::Exact, Interpolation::Linear).whole(99.0);
        assert_eq!(outside.unwrap_err().kind(), ErrorKind::Value);
    }

    /// By hand: points on a line keep their order, and the mass doubles.
    #[test]
    fn masses_grow_at_a_constant_rate() {
        let cloud = |x: [f64; 2], mass: f64| {
            let cloud = Cloud::new(array![[x[0], 0.0], [x[1], 0.0]]).unwrap();
            cloud.with_mass(mass).unwrap()
        };
        let clouds = vec![cloud([0.0, 1.0], 1.0), cloud([4.0, 7.0], 4.0)];
        let snapshots = Snapshots::new(vec![0.0, 2.0], clouds).unwrap();
        let scale = array![1.0, 1.0];
        let path = Interpolant::new(&snapshots, Coupling::Exact, Interpolation::Linear, &scale);
        let half = path.unwrap().whole(1.0).unwrap();
        assert_eq!(half.points(), array![[2.0, 0.0], [4.0, 0.0]]);
        assert!((half.mass() - 2.0).abs() < 1e-12);
    }
}

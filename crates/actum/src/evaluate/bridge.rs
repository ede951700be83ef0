//! How far a prediction between snapshots may be off.

use ndarray::Array1;
use serde::Serialize;

use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Result, ensure},
    path::{Interpolation, MeanPath},
};

/// Error bars between snapshots: a Brownian bridge in the clock of distance
/// (docs/mathematics.md, section 6), whose rate comes from the snapshots themselves.
///
/// Each snapshot between the first and the last is left out in turn, and the squared distance of
/// its mean from the path through the others is compared with the variance of a bridge of rate 1
/// at its time. The rate is the sum of the one over the sum of the other; an error at a time
/// is the root of the rate times the variance there. It is 0 at a snapshot and largest between two
/// that are far apart in the clock.
///
/// It is about the mean, which is most of what predictions between snapshots miss, and needs no
/// couplings. On 36 left-out times of five data sets it was within a factor of 2 of the true distance
/// at 24 (experiments/leaderboard).
pub struct Bridge {
    path: MeanPath,
    rate: f64,
    residuals: Vec<Residual>,
}

/// What leaving out a snapshot shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Residual {
    /// Its time.
    pub time: f64,
    /// How far its mean is from the path through the other snapshots, in units of distance.
    pub distance: f64,
    /// The variance of a bridge of rate 1 there.
    pub variance: f64,
}

impl Bridge {
    /// Of the snapshots that a prediction is made from. Distances are measured after dividing every
    /// column by `scale`, `[d]` (ones for the user's own units). None for fewer than three
    /// snapshots: nothing can be left out.
    ///
    /// # Errors
    /// A scale of another length.
    pub fn of(
        snapshots: &Snapshots,
        interpolation: Interpolation,
        scale: &Array1<f64>,
    ) -> Result<Option<Self>> {
        ensure!(
            scale.len() == snapshots.dimension(),
            Shape,
            "expected one scale for each of {} columns, got {}",
            snapshots.dimension(),
            scale.len()
        );
        if snapshots.len() < 3 {
            return Ok(None);
        }
        let mut residuals = vec![];
        for k in 1..snapshots.len() - 1 {
            let others = MeanPath::new(&snapshots.without(&[k])?, interpolation, scale);
            let time = snapshots.times()[k];
            residuals.push(Residual {
                time,
                distance: others.distance(time, snapshots.cloud(k)),
                variance: others.bridge(time),
            });
        }
        let squares: f64 = residuals.iter().map(|r| r.distance * r.distance).sum();
        let variances: f64 = residuals.iter().map(|r| r.variance).sum();
        Ok(Some(Self {
            path: MeanPath::new(snapshots, interpolation, scale),
            rate: squares / variances,
            residuals,
        }))
    }

    /// The root mean square distance, in units of distance, to expect between the mean of a
    /// prediction at `t` and that of real points. None outside of the snapshots.
    pub fn error(&self, t: f64) -> Option<f64> {
        let [first, last] = self.path.span();
        ((first..=last).contains(&t)).then(|| (self.rate * self.path.bridge(t)).sqrt())
    }

    /// How far the mean of real points at `t`, in the user's coordinates, is from the path, in
    /// units of distance: what [`error`](Self::error) is to foresee. None outside of the snapshots.
    pub fn found(&self, t: f64, real: &Cloud) -> Option<f64> {
        let [first, last] = self.path.span();
        ((first..=last).contains(&t)).then(|| self.path.distance(t, real))
    }

    /// What the rate was made from, one for each snapshot between the first and the last.
    pub fn residuals(&self) -> &[Residual] {
        &self.residuals
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn snapshots(times: &[f64], means: &[[f64; 2]]) -> Snapshots {
        let clouds = means
            .iter()
            .map(|m| Cloud::new(array![[m[0] - 0.5, m[1]], [m[0] + 0.5, m[1]]]).unwrap());
        Snapshots::new(times.to_vec(), clouds.collect()).unwrap()
    }

    /// By hand. Without the second of three snapshots the first and the last are joined by a line
    /// and the clock has one interval of length h = sqrt 2, at half of which the bridge has the
    /// variance h / 4; the mean is 0.3 from the line. With all three both intervals are h' =
    /// (1 + 0.09)^(1/4) long.
    #[test]
    fn three_snapshots_by_hand() {
        let data = snapshots(&[0.0, 1.0, 2.0], &[[0.0, 0.0], [1.0, 0.3], [2.0, 0.0]]);
        let scale = array![1.0, 1.0];
        let bridge = Bridge::of(&data, Interpolation::Linear, &scale)
            .unwrap()
            .unwrap();
        let [residual] = bridge.residuals() else {
            panic!("one can be left out");
        };
        assert!((residual.distance - 0.3).abs() < 1e-12);
        assert!((residual.variance - 2f64.sqrt() / 4.0).abs() < 1e-12);
        let rate = 0.09 / (2f64.sqrt() / 4.0);
        let expected = (rate * 1.09f64.powf(0.25) / 4.0).sqrt();
        let found = bridge.error(0.5).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        assert!(bridge.error(1.0).unwrap() < 1e-6 && bridge.error(0.0).unwrap() < 1e-6);
        assert_eq!(bridge.error(2.5), None);
        // The path is at (0.5, 0.15) by then.
        let real = Cloud::new(array![[0.5, 3.15], [4.5, 3.15], [2.5, 3.15]]).unwrap();
        let found_there = bridge.found(0.5, &real).unwrap();
        assert!((found_there - 13f64.sqrt()).abs() < 1e-12, "{found_there}");
        // Ten times the units, ten times the error.
        let tenth = Bridge::of(&data, Interpolation::Linear, &array![0.1, 0.1]);
        let error = tenth.unwrap().unwrap().error(0.5).unwrap();
        assert!((error / found - 10.0).abs() < 1e-9);
        let two = snapshots(&[0.0, 1.0], &[[0.0, 0.0], [1.0, 0.0]]);
        assert!(
            Bridge::of(&two, Interpolation::Linear, &scale)
                .unwrap()
                .is_none()
        );
        assert!(Bridge::of(&data, Interpolation::Linear, &array![1.0]).is_err());
    }

    /// The errors of a Brownian motion are those of its bridge: over many motions seen at eight
    /// times, with a way to go so long that the clock is that of time, the mean squared error
    /// is the mean of what is expected, up to the choice of the path (0.6 to 1.6).
    #[test]
    fn a_brownian_motion_is_as_far_off_as_expected() {
        use rand::{RngExt, SeedableRng};
        use rand_distr::StandardNormal;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let (mut found, mut expected) = (0.0, 0.0);
        for _ in 0..400 {
            let mut at = [0.0; 2];
            let mut means = vec![];
            for _ in 0..15 {
                means.push(at);
                at[0] += 5.0 + 0.5 * rng.sample::<f64, _>(StandardNormal);
                at[1] += 0.5 * rng.sample::<f64, _>(StandardNormal);
            }
            let seen: Vec<[f64; 2]> = means.iter().copied().step_by(2).collect();
            let times: Vec<f64> = (0..seen.len()).map(|k| k as f64).collect();
            let data = snapshots(&times, &seen);
            let scale = array![1.0, 1.0];
            let bridge = Bridge::of(&data, Interpolation::Linear, &scale)
                .unwrap()
                .unwrap();
            let real = Cloud::new(array![[means[5][0], means[5][1]]]).unwrap();
            found += bridge.found(2.5, &real).unwrap().powi(2);
            expected += bridge.error(2.5).unwrap().powi(2);
        }
        let ratio = expected / found;
        assert!((0.6..1.6).contains(&ratio), "{ratio}");
    }
}

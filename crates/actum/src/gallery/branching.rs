//! A made-up population in closed form.

use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Result, ensure},
};

/// A differentiating population in the plane over 48 hours: one round cluster of cells travels
/// along a bend, spreads out, since cells do not keep step, and splits into two fates of unequal
/// size that turn away from each other and settle into tight clusters.
///
/// Every cell has a [`Latent`] that fixes its path, x(t) = b(tau) + width(s) z, with s = t / 48,
/// tau = 1.4 s - 0.4 s^2 + 0.2 s (1 - s) z_0, and b a Bézier curve of degree 5 for each fate. The
/// curves share their first three control points, so that the fates part smoothly.
///
/// ```
/// use actum::gallery::Branching;
///
/// let snapshots = Branching.snapshots(&Branching::TIMES, 500, 0)?;
/// assert_eq!((snapshots.len(), snapshots.dimension()), (6, 2));
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Branching;

/// What makes a cell of [`Branching`] differ from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latent {
    /// Where the cell ends.
    pub fate: Fate,
    /// Two independent standard normal numbers z; the first also sets the cell's pace.
    pub noise: [f64; 2],
}

/// The two ends of [`Branching`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The upper branch.
    Major,
    /// The lower branch, reached with probability [`Branching::MINOR_SHARE`].
    Minor,
}

const TRUNK: [[f64; 2]; 3] = [[-3.2, -1.2], [-2.9, 1.0], [-0.9, 2.0]];

impl Fate {
    /// The control points of the curve, [6, 2].
    fn curve(self) -> [[f64; 2]; 6] {
        let [a, b, c] = TRUNK;
        match self {
            Self::Major => [a, b, c, [1.2, 0.2], [4.6, 1.2], [2.4, 3.6]],
            Self::Minor => [a, b, c, [2.0, 1.2], [2.4, -2.6], [-0.8, -2.9]],
        }
    }

    /// The standard deviation across the curve at s in [0, 1], and its derivative.
    fn width(self, s: f64) -> (f64, f64) {
        let (start, bulge, end) = match self {
            Self::Major => (0.34, 0.8, 0.34),
            Self::Minor => (0.34, 0.48, 0.24),
        };
        let width = start * (1.0 - s) + end * s + bulge * s * (1.0 - s);
        (width, end - start + bulge * (1.0 - 2.0 * s))
    }
}

impl Branching {
    /// The last time, in hours; the first is 0.
    pub const DURATION: f64 = 48.0;
    /// The fraction of the cells on the lower branch.
    pub const MINOR_SHARE: f64 = 0.35;
    /// Unequally spaced times that show what happens, in hours.
    pub const TIMES: [f64; 6] = [0.0, 6.0, 12.0, 20.0, 30.0, 48.0];

    /// Draws a cell.
    pub fn latent(&self, rng: &mut impl Rng) -> Latent {
        let fate = if rng.random_bool(Self::MINOR_SHARE) {
            Fate::Minor
        } else {
            Fate::Major
        };
        Latent {
            fate,
            noise: [rng.sample(StandardNormal), rng.sample(StandardNormal)],
        }
    }

    /// Where a cell is at `t` in [0, 48] hours, `[2]`.
    pub fn position(&self, t: f64, latent: &Latent) -> [f64; 2] {
        let s = t / Self::DURATION;
        let (tau, _) = pace(s, latent);
        let (width, _) = latent.fate.width(s);
        let center = bezier(&latent.fate.curve(), tau);
        [0, 1].map(|j| center[j] + width * latent.noise[j])
    }

    /// How fast a cell moves at `t` in [0, 48] hours, per hour, `[2]`.
    pub fn velocity(&self, t: f64, latent: &Latent) -> [f64; 2] {
        let s = t / Self::DURATION;
        let (tau, pace) = pace(s, latent);
        let (_, widening) = latent.fate.width(s);
        let curve = latent.fate.curve();
        let tangent: Vec<[f64; 2]> = curve
            .windows(2)
            .map(|pair| [0, 1].map(|j| 5.0 * (pair[1][j] - pair[0][j])))
            .collect();
        let along = bezier(&tangent, tau);
        [0, 1].map(|j| (along[j] * pace + widening * latent.noise[j]) / Self::DURATION)
    }

    /// The population at `t` in [0, 48] hours: `n` fresh cells, `[n, 2]`.
    ///
    /// # Errors
    /// `t` is outside the range or `n` is 0.
    pub fn sample(&self, t: f64, n: usize, rng: &mut impl Rng) -> Result<Cloud> {
        ensure!(
            (0.0..=Self::DURATION).contains(&t),
            Value,
            "expected a time in [0, {}] hours, got {t}",
            Self::DURATION
        );
        let mut points = Array2::zeros((n, 2));
        for mut row in points.outer_iter_mut() {
            let [x, y] = self.position(t, &self.latent(rng));
            row[0] = x;
            row[1] = y;
        }
        Cloud::new(points)
    }

    /// Snapshots of `n` cells at each of `times` (hours, strictly increasing); different cells at
    /// different times, as where measuring a cell destroys it.
    ///
    /// # Errors
    /// As [`Branching::sample`] and [`Snapshots::new`].
    pub fn snapshots(&self, times: &[f64], n: usize, seed: u64) -> Result<Snapshots> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let clouds = times.iter().map(|t| self.sample(*t, n, &mut rng));
        Snapshots::new(times.to_vec(), clouds.collect::<Result<_>>()?)
    }
}

/// The cell's own progress tau along its curve and its derivative in s.
fn pace(s: f64, latent: &Latent) -> (f64, f64) {
    let lead = 0.2 * latent.noise[0];
    let tau = s * (1.4 - 0.4 * s) + lead * s * (1.0 - s);
    (tau, 1.4 - 0.8 * s + lead * (1.0 - 2.0 * s))
}

/// The point of a Bézier curve at `u`, by de Casteljau's algorithm.
fn bezier(control: &[[f64; 2]], u: f64) -> [f64; 2] {
    let mut points = control.to_vec();
    for last in (1..points.len()).rev() {
        for i in 0..last {
            let next = points[i + 1];
            points[i] = [0, 1].map(|j| points[i][j] + u * (next[j] - points[i][j]));
        }
    }
    points[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn cells(n: usize) -> Vec<Latent> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        (0..n).map(|_| Branching.latent(&mut rng)).collect()
    }

    #[test]
    fn curves_are_those_of_the_bernstein_form() {
        // NumPy: sum(comb(5, i) * u**i * (1 - u)**(5 - i) * P[i]) at u = 0.3.
        for (fate, expected) in [
            (Fate::Major, [-1.5650869999999995, 0.8450939999999998]),
            (Fate::Minor, [-1.5293929999999996, 0.8538689999999998]),
        ] {
            let at = bezier(&fate.curve(), 0.3);
            for j in 0..2 {
                assert!((at[j] - expected[j]).abs() < 1e-14, "{at:?}");
            }
        }
    }

    #[test]
    fn velocity_is_the_derivative_of_position() {
        for latent in cells(20) {
            for t in [0.5, 7.0, 24.0, 33.3, 47.5] {
                let h = 1e-4;
                let (a, b) = (
                    Branching.position(t - h, &latent),
                    Branching.position(t + h, &latent),
                );
                let v = Branching.velocity(t, &latent);
                for j in 0..2 {
                    let difference = (b[j] - a[j]) / (2.0 * h);
                    assert!((v[j] - difference).abs() < 1e-8, "{v:?} {difference}");
                }
            }
        }
    }

    #[test]
    fn the_population_starts_as_one_gaussian_and_ends_as_two() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 20_000;
        let error = 6.0 / f64::sqrt(n as f64);
        let start = Branching.sample(0.0, n, &mut rng).unwrap();
        assert!((start.mean()[0] + 3.2).abs() < 0.34 * error);
        assert!((start.std_dev()[1] - 0.34).abs() < 0.34 * error);
        let end = Branching.sample(48.0, n, &mut rng).unwrap();
        let minor = end.points().column(1).iter().filter(|y| **y < 0.5).count() as f64 / n as f64;
        assert!((minor - 0.35).abs() < 0.5 * error, "{minor}");
        let expected = 0.65 * 3.6 - 0.35 * 2.9;
        assert!((end.mean()[1] - expected).abs() < 3.2 * error);
    }

    #[test]
    fn a_seed_gives_the_same_snapshots_and_times_are_independent() {
        let of = |seed| Branching.snapshots(&Branching::TIMES, 50, seed).unwrap();
        assert_eq!(of(5).fingerprint(), of(5).fingerprint());
        assert_ne!(of(5).fingerprint(), of(6).fingerprint());
        assert_ne!(
            of(5).fingerprint(),
            Branching
                .snapshots(&[0.0, 6.0, 12.0, 20.0, 30.0, 47.0], 50, 5)
                .unwrap()
                .fingerprint()
        );
        let twice = Branching.snapshots(&[1.0, 1.0 + 1e-9], 50, 5).unwrap();
        let gap = twice.cloud(0).points()[[0, 0]] - twice.cloud(1).points()[[0, 0]];
        assert!(gap.abs() > 1e-3);
    }

    #[test]
    fn times_outside_are_refused() {
        for times in [[-1.0, 2.0], [0.0, 48.5]] {
            let error = Branching.snapshots(&times, 5, 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains("[0, 48] hours"), "{error}");
        }
    }
}

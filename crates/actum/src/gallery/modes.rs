//! Gaussian modes that travel or melt.

use ndarray::{Array2, ArrayView1};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::Truth;
use crate::{
    error::{Result, ensure},
    path::{Path, PathSample},
};

/// `q_t = sum_k w_k N(m_k + v t, (s^2 + 2 D t) I)` for t in [0, 1]: modes that travel together at
/// the velocity v, melt under the heat equation `d_t q = D Lap q`, or both.
///
/// The velocity is `v - D grad log q`.
#[derive(Debug, Clone)]
pub struct Modes {
    /// `[k, d]`
    centers: Array2<f64>,
    /// Add up to 1, `[k]`.
    weights: Vec<f64>,
    std_dev: f64,
    travel: Vec<f64>,
    diffusivity: f64,
}

impl Modes {
    /// Modes of the same standard deviation around `centers` `[k, d]` with `weights` `[k]` in
    /// proportion, at rest.
    ///
    /// # Errors
    /// No modes, no columns, as many weights as centers not given, numbers that are not finite,
    /// weights or a standard deviation not above 0.
    pub fn new(centers: Array2<f64>, weights: Vec<f64>, std_dev: f64) -> Result<Self> {
        let (k, d) = centers.dim();
        ensure!(
            k > 0 && d > 0 && weights.len() == k,
            Shape,
            "expected centers [k, d] and as many weights, got {k} x {d} and {}",
            weights.len()
        );
        let positive = |x: f64| x.is_finite() && x > 0.0;
        ensure!(
            centers.iter().all(|x| x.is_finite())
                && weights.iter().all(|w| positive(*w))
                && positive(std_dev),
            Value,
            "centers must be finite, weights and the standard deviation above 0; got {centers}, {weights:?}, \
             {std_dev}"
        );
        let total: f64 = weights.iter().sum();
        Ok(Self {
            weights: weights.iter().map(|w| w / total).collect(),
            travel: vec![0.0; d],
            centers,
            std_dev,
            diffusivity: 0.0,
        })
    }

    /// The many-moded density in one column of figure 1: twelve modes of standard deviation 0.05 in
    /// [-2, 2], of unequal weight at unequal distance.
    pub fn figure_1() -> Self {
        let centers = [
            -1.9, -1.65, -1.3, -1.0, -0.55, -0.3, 0.1, 0.3, 0.75, 1.05, 1.55, 1.9,
        ];
        let weights = vec![1.0, 2.0, 0.7, 1.6, 1.0, 2.2, 0.8, 1.3, 1.9, 0.6, 1.5, 1.0];
        let centers = Array2::from_shape_vec((centers.len(), 1), centers.to_vec());
        Self::new(centers.expect("one column"), weights, 0.05).expect("they are in range")
    }

    /// Five modes of standard deviation 0.3 and unequal weight, whose centers in `columns` columns
    /// are draws of N(0, 1.5^2 / d), always the same.
    ///
    /// # Errors
    /// No columns.
    pub fn spots(columns: usize) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let scale = 1.5 / (columns.max(1) as f64).sqrt();
        let centers = Array2::from_shape_simple_fn((5, columns), || {
            let z: f64 = rng.sample(StandardNormal);
            scale * z
        });
        Self::new(centers, vec![1.0, 2.0, 3.0, 2.0, 1.0], 0.3)
    }

    /// The same modes, travelling at the velocity `[d]`.
    ///
    /// # Errors
    /// A velocity of another dimension or not finite.
    pub fn travelling(self, velocity: Vec<f64>) -> Result<Self> {
        ensure!(
            velocity.len() == self.dimension() && velocity.iter().all(|v| v.is_finite()),
            Value,
            "expected a finite velocity in {} columns, got {velocity:?}",
            self.dimension()
        );
        Ok(Self {
            travel: velocity,
            ..self
        })
    }

    /// The same modes under the heat equation with this diffusivity D, at least 0.
    ///
    /// # Errors
    /// A diffusivity below 0 or not finite.
    pub fn melting(self, diffusivity: f64) -> Result<Self> {
        ensure!(
            diffusivity.is_finite() && diffusivity >= 0.0,
            Value,
            "expected a diffusivity of 0 or more, got {diffusivity}"
        );
        Ok(Self {
            diffusivity,
            ..self
        })
    }

    fn variance(&self, t: f64) -> f64 {
        self.std_dev.powi(2) + 2.0 * self.diffusivity * t
    }

    fn dimension(&self) -> usize {
        self.centers.ncols()
    }

    /// How much of the density at `point` is of which mode, `[k]`, and the logarithm of the density.
    fn shares(&self, t: f64, point: ArrayView1<f64>) -> (Vec<f64>, f64) {
        let variance = self.variance(t);
        let mut shares = Vec::with_capacity(self.weights.len());
        for (center, weight) in self.centers.rows().into_iter().zip(&self.weights) {
            let offsets = point.iter().zip(center).zip(&self.travel);
            let square: f64 = offsets.map(|((x, m), v)| (x - m - v * t).powi(2)).sum();
            shares.push(weight.ln() - 0.5 * square / variance);
        }
        let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        shares.iter_mut().for_each(|s| *s = (*s - most).exp());
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|s| *s /= total);
        let d = self.dimension() as f64;
        let norm = 0.5 * d * (std::f64::consts::TAU * variance).ln();
        (shares, most + total.ln() - norm)
    }

    /// `log q_t` of points `[n, d]` at t in [0, 1], `[n]`.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn log_density(&self, t: f64, points: &Array2<f64>) -> Vec<f64> {
        super::check(points, self.dimension());
        let rows = points.rows().into_iter();
        rows.map(|point| self.shares(t, point).1).collect()
    }

    /// The score `grad log q_t` of points `[n, d]` at t in [0, 1], `[n, d]`.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn score(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        super::check(points, self.dimension());
        let variance = self.variance(t);
        let mut score = Array2::zeros(points.raw_dim());
        for (mut score, point) in score.rows_mut().into_iter().zip(points.rows()) {
            let (shares, _) = self.shares(t, point);
            for (j, score) in score.iter_mut().enumerate() {
                let of_mode = shares.iter().zip(self.centers.column(j));
                let mean: f64 = of_mode.map(|(share, m)| share * m).sum();
                *score = (mean + self.travel[j] * t - point[j]) / variance;
            }
        }
        score
    }
}

impl Path for Modes {
    fn dimension(&self) -> usize {
        self.dimension()
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    /// `x = m_k + v t + sqrt(s^2 + 2 D t) z` for a mode k and normal z.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = (times.len(), self.dimension());
        let (mut points, mut velocities) = (Array2::zeros(shape), Array2::zeros(shape));
        for (i, &t) in times.iter().enumerate() {
            let mut u: f64 = rng.random();
            let mode = self.weights.iter().position(|w| {
                u -= w;
                u < 0.0
            });
            let mode = mode.unwrap_or(self.weights.len() - 1);
            let std_dev = self.variance(t).sqrt();
            for (j, travel) in self.travel.iter().enumerate() {
                let z: f64 = rng.sample(StandardNormal);
                points[[i, j]] = self.centers[[mode, j]] + travel * t + std_dev * z;
                velocities[[i, j]] = travel + self.diffusivity / std_dev * z;
            }
        }
        PathSample::new(points).with_velocities(velocities)
    }
}

impl Truth for Modes {
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        let mut velocity = self.score(t, points) * -self.diffusivity;
        for (mut column, travel) in velocity.columns_mut().into_iter().zip(&self.travel) {
            column += *travel;
        }
        velocity
    }
}

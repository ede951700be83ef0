//! A Gaussian that moves and breathes: a path and its action in closed form.

use burn::tensor::{Tensor, TensorData};
use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{
    action::Action,
    path::{Draw, Path},
    tensor::numbers,
};

/// What the Gaussian does at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// The mean `m_t`, `[d]`.
    pub mean: Vec<f64>,
    /// Its time derivative, `[d]`.
    pub mean_rate: Vec<f64>,
    /// The standard deviation `sigma_t > 0` of every column.
    pub deviation: f64,
    /// Its time derivative.
    pub deviation_rate: f64,
}

/// `q_t = N(m_t, sigma_t^2 I)` for t in [0, 1]: the oracle of the tests.
///
/// As a [`Path`] it draws `x_t = m_t + sigma_t z` with velocity `m' + sigma' z`. As an [`Action`]
/// it is `s_t(x) = m'.x + (sigma' / 2 sigma) |x - m|^2`, whose gradient is that velocity, so the
/// objective's minimum `-1/2 int (|m'|^2 + d sigma'^2) dt` is reached (docs/mathematics.md,
/// section 8, row 4).
pub struct Gaussian<F> {
    dimension: usize,
    moments: F,
}

impl<F: Fn(f64) -> Moments + Sync> Gaussian<F> {
    /// The Gaussian in `dimension` columns with these moments at every t in [0, 1].
    pub fn new(dimension: usize, moments: F) -> Self {
        Self { dimension, moments }
    }

    /// `-1/2 int_0^1 (|m'|^2 + d sigma'^2) dt` by Simpson's rule on 200 intervals.
    pub fn least_objective(&self) -> f64 {
        let intervals = 200;
        let energy = |k: usize| {
            let at = (self.moments)(k as f64 / intervals as f64);
            let mean: f64 = at.mean_rate.iter().map(|v| v * v).sum();
            mean + self.dimension as f64 * at.deviation_rate * at.deviation_rate
        };
        let sum: f64 = (0..=intervals)
            .map(|k| match k {
                _ if k == 0 || k == intervals => energy(k),
                _ if k % 2 == 1 => 4.0 * energy(k),
                _ => 2.0 * energy(k),
            })
            .sum();
        -0.5 * sum / (3.0 * intervals as f64)
    }

    /// The moments at the times of a tensor `[n, 1]`, one column of numbers each, as tensors:
    /// `m` and `m'` `[n, d]`, `sigma'/sigma` `[n, 1]`.
    fn at(&self, t: &Tensor<2>) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
        let device = t.device();
        let times: Vec<f64> = numbers(t.clone());
        let (n, d) = (times.len(), self.dimension);
        let (mut mean, mut rate, mut growth) = (vec![], vec![], vec![]);
        for time in times {
            let at = (self.moments)(time);
            growth.push(at.deviation_rate / at.deviation);
            mean.extend(at.mean);
            rate.extend(at.mean_rate);
        }
        let tensor =
            |values, columns| Tensor::from_data(TensorData::new(values, [n, columns]), &device);
        (tensor(mean, d), tensor(rate, d), tensor(growth, 1))
    }
}

impl<F: Fn(f64) -> Moments + Sync> Path for Gaussian<F> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> Draw {
        let shape = (times.len(), self.dimension);
        let (mut points, mut velocities) = (Array2::zeros(shape), Array2::zeros(shape));
        for (i, &t) in times.iter().enumerate() {
            let at = (self.moments)(t);
            for j in 0..self.dimension {
                let z: f64 = rng.sample(StandardNormal);
                points[[i, j]] = at.mean[j] + at.deviation * z;
                velocities[[i, j]] = at.mean_rate[j] + at.deviation_rate * z;
            }
        }
        Draw {
            points,
            velocities: Some(velocities),
        }
    }
}

impl<F: Fn(f64) -> Moments + Sync> Action for Gaussian<F> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let (mean, rate, growth) = self.at(&t);
        let y = x.clone() - mean;
        (rate * x).sum_dim(1) + growth * y.square().sum_dim(1) * 0.5
    }

    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let (mean, rate, growth) = self.at(&t);
        rate + growth * (x - mean)
    }

    /// The time derivative by a central difference: the moments are known, their second
    /// derivatives are not.
    fn push(&self, t: Tensor<2>, x: Tensor<2>, dt: Tensor<2>, dx: Tensor<2>) -> Tensor<2> {
        let h = 1e-3;
        let later = self.value(t.clone() + h, x.clone());
        let earlier = self.value(t.clone() - h, x.clone());
        let rate = (later - earlier) / (2.0 * h);
        dt * rate + (dx * self.gradient(t, x)).sum_dim(1)
    }
}

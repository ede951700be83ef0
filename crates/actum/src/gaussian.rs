//! A Gaussian that moves, breathes and grows: a path and its action in closed form.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array1, Array2};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{
    action::Action,
    path::{Masses, Path, PathSample},
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
    pub std_dev: f64,
    /// Its time derivative.
    pub std_dev_rate: f64,
}

/// `M_t q_t` with `q_t = N(m_t, I / p_t)` for t in [0, 1], under noise and growth: the oracle of
/// the tests.
///
/// As a [`Path`] it draws `x_t = m_t + z / sqrt(p_t)` with its velocity, and with masses if it has
/// any. As an [`Action`] it is, with `y = x - m_t` and `l = log M + (d/2) log(p / 2 pi)`,
///
/// `s = a + b.y + c |y|^2 / 2,   c = -(p' + sigma^2 p^2) / (2p + lambda),   b = p m' / (p + lambda),
/// a = (l' + d c + d sigma^2 p / 2) / lambda`
///
/// (a = 0 without growth), whose objective under the kinetic cost is the least,
/// `-1/2 int M E[|grad s|^2 + lambda s^2] dt` (docs/mathematics.md, section 8).
pub struct Gaussian<F> {
    dimension: usize,
    moments: F,
    sigma: f64,
    lambda: f64,
    mass: Option<Mass>,
}

type Mass = Box<dyn Fn(f64) -> [f64; 2] + Sync>;

/// The coefficients of the action at one time.
struct Coefficients {
    moments: Moments,
    value: f64,
    slope: Vec<f64>,
    curvature: f64,
    mass: f64,
}

impl<F: Fn(f64) -> Moments + Sync> Gaussian<F> {
    /// The Gaussian in `dimension` columns with these moments at every t in [0, 1], mass 1, no
    /// noise and no growth.
    pub fn new(dimension: usize, moments: F) -> Self {
        Self {
            dimension,
            moments,
            sigma: 0.0,
            lambda: 0.0,
            mass: None,
        }
    }

    /// The action under noise sigma and growth lambda.
    pub fn under(self, sigma: f64, lambda: f64) -> Self {
        Self {
            sigma,
            lambda,
            ..self
        }
    }

    /// The mass `M_t` and its time derivative.
    pub fn with_mass(self, mass: impl Fn(f64) -> [f64; 2] + Sync + 'static) -> Self {
        Self {
            mass: Some(Box::new(mass)),
            ..self
        }
    }

    fn mass(&self, t: f64) -> [f64; 2] {
        self.mass.as_ref().map_or([1.0, 0.0], |mass| mass(t))
    }

    fn coefficients(&self, t: f64) -> Coefficients {
        let moments = (self.moments)(t);
        let [mass, mass_rate] = self.mass(t);
        let (sigma, lambda, d) = (self.sigma, self.lambda, self.dimension as f64);
        let precision = moments.std_dev.powi(-2);
        let precision_rate = -2.0 * precision * moments.std_dev_rate / moments.std_dev;
        let curvature =
            -(precision_rate + sigma * sigma * precision * precision) / (2.0 * precision + lambda);
        let share = precision / (precision + lambda);
        let slope = moments.mean_rate.iter().map(|v| share * v).collect();
        let log_rate = mass_rate / mass + 0.5 * d * precision_rate / precision;
        let value = if lambda > 0.0 {
            (log_rate + d * curvature + 0.5 * d * sigma * sigma * precision) / lambda
        } else {
            0.0
        };
        Coefficients {
            moments,
            value,
            slope,
            curvature,
            mass,
        }
    }

    /// `-1/2 int_0^1 M E[|grad s|^2 + lambda s^2] dt` by Simpson's rule on 200 intervals.
    pub fn least_objective(&self) -> f64 {
        let intervals = 200;
        let d = self.dimension as f64;
        let energy = |k: usize| {
            let at = self.coefficients(k as f64 / intervals as f64);
            let (variance, c) = (at.moments.std_dev.powi(2), at.curvature);
            let slope: f64 = at.slope.iter().map(|b| b * b).sum();
            let gradient = slope + c * c * d * variance;
            let mean = at.value + 0.5 * c * d * variance;
            let square = mean * mean + slope * variance + 0.5 * c * c * d * variance * variance;
            at.mass * (gradient + self.lambda * square)
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

    /// The coefficients at the times of a tensor `[n, 1]` as tensors: `a` `[n, 1]`, `b` `[n, d]`,
    /// `c` `[n, 1]`, and `y` `[n, d]` for the points x.
    fn at(&self, t: &Tensor<2>, x: Tensor<2>) -> [Tensor<2>; 4] {
        let device = t.device();
        let times: Vec<f64> = numbers(t.clone());
        let (n, d) = (times.len(), self.dimension);
        let [mut value, mut slope, mut curvature, mut mean] = [const { vec![] }; 4];
        for time in times {
            let at = self.coefficients(time);
            value.push(at.value);
            slope.extend(at.slope);
            curvature.push(at.curvature);
            mean.extend(at.moments.mean);
        }
        let tensor =
            |values, columns| Tensor::from_data(TensorData::new(values, [n, columns]), &device);
        let y = x - tensor(mean, d);
        [tensor(value, 1), tensor(slope, d), tensor(curvature, 1), y]
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

    fn has_mass(&self) -> bool {
        self.mass.is_some()
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = (times.len(), self.dimension);
        let (mut points, mut velocities) = (Array2::zeros(shape), Array2::zeros(shape));
        for (i, &t) in times.iter().enumerate() {
            let at = (self.moments)(t);
            for j in 0..self.dimension {
                let z: f64 = rng.sample(StandardNormal);
                points[[i, j]] = at.mean[j] + at.std_dev * z;
                velocities[[i, j]] = at.mean_rate[j] + at.std_dev_rate * z;
            }
        }
        let draw = PathSample::new(points).with_velocities(velocities);
        if self.mass.is_none() {
            return draw;
        }
        let (values, rates): (Vec<f64>, Vec<f64>) =
            times.iter().map(|t| self.mass(*t).into()).unzip();
        draw.with_masses(Masses {
            values: Array1::from(values),
            rates: Some(Array1::from(rates)),
        })
    }
}

impl<F: Fn(f64) -> Moments + Sync> Action for Gaussian<F> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let [value, slope, curvature, y] = self.at(&t, x);
        value + (slope * y.clone()).sum_dim(1) + curvature * y.square().sum_dim(1) * 0.5
    }

    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let [_, slope, curvature, y] = self.at(&t, x);
        slope + curvature * y
    }

    fn curvature(&self, t: Tensor<2>, x: Tensor<2>, direction: Tensor<2>) -> Tensor<2> {
        let [_, _, curvature, _] = self.at(&t, x);
        curvature * direction.square().sum_dim(1)
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

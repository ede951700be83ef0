//! Data that dissolve in noise.

use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{
    Path, PathSample,
    interpolant::{draw_index, running_sum},
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// A process that turns data, at time 0, into noise, at time 1:
///
/// `dx = f(t) x dt + g(t) dW`, whose solution from x is `x_t = alpha_t x + sigma_t eps` in law, with
/// eps a standard Gaussian (Song et al., *Score-based generative modeling through stochastic
/// differential equations*, ICLR 2021, section 3.4 and appendix B).
///
/// | | alpha | sigma | f | g^2 |
/// |---|---|---|---|---|
/// | variance preserving | `e^(-B/2)` | `sqrt(1 - e^-B)` | `-beta/2` | `beta` |
/// | sub-VP | `e^(-B/2)` | `1 - e^-B` | `-beta/2` | `beta (1 - e^-2B)` |
/// | variance exploding | 1 | `smallest (largest/smallest)^t` | 0 | `(sigma^2)'` |
/// | its [`normalized`](Process::normalized) form | c | `c sigma` | `c' / c` | `c^2 (sigma^2)'` |
///
/// `beta` is linear in time and `B` its integral; `c = 1 / sqrt(1 + sigma^2)`. Points should be of
/// order one, for the noise does not know their units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// With beta at both ends.
    Preserving([f64; 2]),
    /// With beta at both ends.
    SubPreserving([f64; 2]),
    /// With sigma at both ends.
    Exploding([f64; 2]),
    /// The same, divided by `sqrt(1 + sigma^2)`.
    Normalized([f64; 2]),
}

impl Default for Process {
    /// Variance preserving with beta from 0.1 to 20, so that `B = 0.1 t + 9.95 t^2`.
    fn default() -> Self {
        Self(Kind::Preserving([0.1, 20.0]))
    }
}

impl Process {
    /// The variance preserving process (VP) with beta from `first` to `last`.
    ///
    /// # Errors
    /// Betas that are not positive and finite.
    pub fn variance_preserving(first: f64, last: f64) -> Result<Self> {
        Ok(Self(Kind::Preserving(positive("beta", [first, last])?)))
    }

    /// The sub-VP process with beta from `first` to `last`: its variance stays below that of VP.
    ///
    /// # Errors
    /// Betas that are not positive and finite.
    pub fn sub_variance_preserving(first: f64, last: f64) -> Result<Self> {
        Ok(Self(Kind::SubPreserving(positive("beta", [first, last])?)))
    }

    /// The variance exploding process (VE) with sigma from `smallest` to `largest` in proportional
    /// steps; at time 0 the data are blurred by the smallest.
    ///
    /// # Errors
    /// Sigmas that are not positive and finite, or do not increase.
    pub fn variance_exploding(smallest: f64, largest: f64) -> Result<Self> {
        let sigmas = positive("sigma", [smallest, largest])?;
        ensure!(
            smallest < largest,
            Value,
            "the sigma of a variance exploding process must increase, got {smallest} to {largest}"
        );
        Ok(Self(Kind::Exploding(sigmas)))
    }

    /// The same process in units that grow with the points of VE, which are divided by
    /// `sqrt(1 + sigma^2)`: those that start of order one stay so, as networks need them. Flows stay
    /// flows and scores scores (docs/mathematics.md, section 13). The others stay as wide as they
    /// are.
    pub fn normalized(self) -> Self {
        match self.0 {
            Kind::Exploding(sigmas) => Self(Kind::Normalized(sigmas)),
            _ => self,
        }
    }

    /// Whether points that start of order one stay so.
    pub(crate) fn is_bounded(self) -> bool {
        !matches!(self.0, Kind::Exploding(_))
    }

    /// What data are multiplied by, `[alpha_t, d alpha_t / dt]`, for t in [0, 1].
    pub fn alpha(self, t: f64) -> [f64; 2] {
        match self.0 {
            Kind::Preserving(betas) | Kind::SubPreserving(betas) => {
                let [integral, beta] = beta(betas, t);
                let alpha = (-0.5 * integral).exp();
                [alpha, -0.5 * beta * alpha]
            }
            Kind::Exploding(_) => [1.0, 0.0],
            Kind::Normalized(sigmas) => {
                let [sigma, rate] = exploding(sigmas, t);
                let alpha = (1.0 + sigma * sigma).powf(-0.5);
                [alpha, -sigma * rate * alpha.powi(3)]
            }
        }
    }

    /// The standard deviation of the noise, `[sigma_t, d sigma_t / dt]`, for t in [0, 1]. At 0 it
    /// is 0 but for VE, and for VP its rate is infinite there.
    pub fn sigma(self, t: f64) -> [f64; 2] {
        match self.0 {
            Kind::Preserving(betas) => {
                let [integral, beta] = beta(betas, t);
                let sigma = (-(-integral).exp_m1()).sqrt();
                [sigma, 0.5 * beta * (-integral).exp() / sigma]
            }
            Kind::SubPreserving(betas) => {
                let [integral, beta] = beta(betas, t);
                [-(-integral).exp_m1(), beta * (-integral).exp()]
            }
            Kind::Exploding(sigmas) => exploding(sigmas, t),
            Kind::Normalized(sigmas) => {
                let ([sigma, rate], [alpha, _]) = (exploding(sigmas, t), self.alpha(t));
                [alpha * sigma, rate * alpha.powi(3)]
            }
        }
    }

    /// `f(t)` of the drift `f(t) x`, for t in [0, 1].
    pub fn f(self, t: f64) -> f64 {
        match self.0 {
            Kind::Preserving(betas) | Kind::SubPreserving(betas) => -0.5 * beta(betas, t)[1],
            Kind::Exploding(_) => 0.0,
            Kind::Normalized(_) => {
                let [alpha, rate] = self.alpha(t);
                rate / alpha
            }
        }
    }

    /// `g(t)` of the noise `g(t) dW`, for t in [0, 1].
    pub fn g(self, t: f64) -> f64 {
        match self.0 {
            Kind::Preserving(betas) => beta(betas, t)[1].sqrt(),
            Kind::SubPreserving(betas) => {
                let [integral, beta] = beta(betas, t);
                (beta * -(-2.0 * integral).exp_m1()).sqrt()
            }
            Kind::Exploding([smallest, largest]) | Kind::Normalized([smallest, largest]) => {
                self.sigma(t)[0] * (2.0 * (largest / smallest).ln()).sqrt()
            }
        }
    }

    /// A weight in time under which the motion of points of order one counts about alike at all
    /// times, `[w_t, dw_t/dt]`: `sigma^5` for VP, for sub-VP, whose sigma is that of VP squared, the
    /// same function of time, `1 / sigma'^2` for VE, and for its normalized form `1 / theta'^2` with
    /// theta = arctan(sigma) (docs/mathematics.md, section 14).
    pub fn weight(self, t: f64) -> [f64; 2] {
        let [sigma, rate] = self.sigma(t);
        match self.0 {
            Kind::Preserving(_) => [sigma.powi(5), 5.0 * sigma.powi(4) * rate],
            Kind::SubPreserving(_) => [sigma.powf(2.5), 2.5 * sigma.powf(1.5) * rate],
            Kind::Exploding(_) => {
                let weight = rate.powi(-2);
                // Both sigma and its rate grow at rate / sigma.
                [weight, -2.0 * weight * rate / sigma]
            }
            Kind::Normalized([smallest, largest]) => {
                // theta' = log_ratio sin(theta) cos(theta), and sigma and alpha are these.
                let log_ratio = (largest / smallest).ln();
                let weight = (log_ratio * sigma * self.alpha(t)[0]).powi(-2);
                [
                    weight,
                    -2.0 * weight * log_ratio * (1.0 - 2.0 * sigma * sigma),
                ]
            }
        }
    }

    /// `g(t)^2 / 2 sigma_t`: by so many times eps the velocity `alpha_t' x + sigma_t' eps` is more than
    /// `f(t) x_t`.
    pub(crate) fn push_of_noise(self, t: f64) -> f64 {
        let g = self.g(t);
        0.5 * g * g / self.sigma(t)[0]
    }

    /// The standard deviation of the prior, the Gaussian that stands for `q_1`: that of the last
    /// noise of VE, in its units, else 1. It is right where `alpha_1 x` is small beside it: betas
    /// that add up to 10 or so, a last noise many times the spread of the data.
    pub fn prior_std_dev(self) -> f64 {
        match self.0 {
            Kind::Preserving(_) | Kind::SubPreserving(_) => 1.0,
            Kind::Exploding([_, largest]) => largest,
            Kind::Normalized([_, largest]) => largest / (1.0 + largest * largest).sqrt(),
        }
    }

    /// Points `[n, d]` of the prior, to begin a sampler with at time 1.
    pub fn prior(self, [n, d]: [usize; 2], seed: u64) -> Array2<f64> {
        normal([n, d], &mut ChaCha8Rng::seed_from_u64(seed)) * self.prior_std_dev()
    }
}

/// Sigma and its rate at time t.
fn exploding([smallest, largest]: [f64; 2], t: f64) -> [f64; 2] {
    let log_ratio = (largest / smallest).ln();
    let sigma = smallest * (log_ratio * t).exp();
    [sigma, log_ratio * sigma]
}

fn positive(name: &str, ends: [f64; 2]) -> Result<[f64; 2]> {
    ensure!(
        ends.iter().all(|x| x.is_finite() && *x > 0.0),
        Value,
        "the {name} of a process must be positive and finite, got {} to {}",
        ends[0],
        ends[1]
    );
    Ok(ends)
}

/// `[B(t), beta(t)]`.
fn beta([first, last]: [f64; 2], t: f64) -> [f64; 2] {
    let slope = last - first;
    [first * t + 0.5 * slope * t * t, first + slope * t]
}

/// Standard Gaussian numbers.
fn normal([n, d]: [usize; 2], rng: &mut dyn Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn((n, d), || rng.sample(StandardNormal))
}

/// The path `x_t = alpha_t x + sigma_t eps` of data under a [`Process`], with its velocity
/// `alpha_t' x + sigma_t' eps`, for t in `[start, 1]`.
///
/// Its action, by Action Matching, is `f |x|^2/2 - g^2/2 log q_t`, so that simulated backward from
/// the prior it generates data; its score is learned by [`score`](crate::score).
#[derive(Debug, Clone)]
pub struct Diffusion {
    process: Process,
    data: Cloud,
    /// The running sum of the weights.
    running: Vec<f64>,
    start: f64,
}

impl Diffusion {
    /// The path of data `[n, d]`, drawn in proportion to their weights, from time `start` to 1.
    /// At 0 the density of data is not smooth: Song et al. begin at 1e-5 and end samplers at 1e-3
    /// (VP) or 1e-5 (VE).
    ///
    /// # Errors
    /// A start outside of [0, 1), or one at which there is no noise: 0 but for VE.
    pub fn new(process: Process, data: Cloud, start: f64) -> Result<Self> {
        ensure!(
            (0.0..1.0).contains(&start),
            Value,
            "a diffusion starts at a time in [0, 1), got {start}"
        );
        ensure!(
            process.sigma(start)[0] > 0.0,
            Value,
            "at time {start} the data have no noise and so no velocity and no score; start later, \
             at 1e-3 or so"
        );
        let mut running = data.weights().to_vec();
        running_sum(&mut running);
        Ok(Self {
            process,
            data,
            running,
            start,
        })
    }
}

impl Path for Diffusion {
    fn dimension(&self) -> usize {
        self.data.dimension()
    }

    fn span(&self) -> [f64; 2] {
        [self.start, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn process(&self) -> Option<Process> {
        Some(self.process)
    }

    /// Which x and eps are drawn does not depend on the times.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = [times.len(), self.data.dimension()];
        let mut points = Array2::zeros(shape);
        for mut row in points.rows_mut() {
            let i = draw_index(&self.running, rng).expect("a cloud has mass");
            row.assign(&self.data.point(i));
        }
        let mut velocities = points.clone();
        let noise = normal(shape, rng);
        for (i, t) in times.iter().enumerate() {
            let [alpha, alpha_rate] = self.process.alpha(*t);
            let [sigma, sigma_rate] = self.process.sigma(*t);
            for (array, of_data, of_noise) in [
                (&mut points, alpha, sigma),
                (&mut velocities, alpha_rate, sigma_rate),
            ] {
                let mut row = array.row_mut(i);
                row *= of_data;
                row.scaled_add(of_noise, &noise.row(i));
            }
        }
        PathSample::new(points).with_velocities(velocities)
    }
}

//! Langevin dynamics while the potential changes.

use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::Truth;
use crate::path::{Path, PathSample};

/// Annealed Langevin dynamics in the plane, `dX = -grad V_t dt + sigma dW` for t in [0, 1] with
/// sigma = 1, while one well turns into two: with u along a line 30 degrees above the first axis,
/// w across, and D = sigma^2/2,
///
/// `V_t = u^2 - D t log cosh(6 u) + w^2/2`, whose equilibrium at t = 1 is half N(-1.5, 0.5^2) and half
/// N(1.5, 0.5^2) in u. Points start at `u ~ N(0.4, 0.5^2)`, `w ~ N(-1, 1)` and lag behind.
///
/// The plain action is `-V - D log q`, the [velocity](Truth::velocity) its gradient; under
/// [noise](Self::SIGMA) the action is -V. In w, q is Gaussian; in u it solves the
/// Fokker-Planck equation, by differences of order 4 on `log q`, so that tails are right.
#[derive(Debug, Clone)]
pub struct FokkerPlanck {
    /// At [`SLICES`] + 1 times, each [`NODES`] numbers: `d log q / du` and the distribution function.
    slopes: Vec<Vec<f64>>,
    distributions: Vec<Vec<f64>>,
    /// The logarithms of q.
    logs: Vec<Vec<f64>>,
}

const NODES: usize = 481;
const EDGE: f64 = 6.0;
const SPACING: f64 = 2.0 * EDGE / (NODES - 1) as f64;
const SLICES: usize = 200;
/// Stable for the differences of order 4 under the Runge-Kutta scheme of order 4.
const STEPS: usize = 10;
const D: f64 = 0.5 * FokkerPlanck::SIGMA * FokkerPlanck::SIGMA;
/// Curvatures of the potential along u and w, and how sharply it splits.
const ALONG: f64 = 2.0;
const ACROSS: f64 = 1.0;
const SPLIT: f64 = 6.0;
/// Mean and standard deviation at the start.
const START: [[f64; 2]; 2] = [[0.4, 0.5], [-1.0, 1.0]];
/// The cosine and sine of the angle between u and the first axis.
const TURN: [f64; 2] = [0.866_025_403_784_438_6, 0.5];

impl FokkerPlanck {
    /// sigma, the noise of the dynamics.
    pub const SIGMA: f64 = 1.0;

    /// Solves the equation; takes some hundredths of a second.
    pub fn new() -> Self {
        let [mean, std_dev] = START[0];
        let mut log: Vec<f64> = (0..NODES)
            .map(|i| -0.5 * ((node(i) - mean) / std_dev).powi(2))
            .collect();
        let mut all = Self {
            slopes: vec![],
            distributions: vec![],
            logs: vec![],
        };
        let step = 1.0 / (SLICES * STEPS) as f64;
        for slice in 0..=SLICES {
            all.keep(&mut log);
            let steps = if slice < SLICES { STEPS } else { 0 };
            for k in 0..steps {
                let t = (slice * STEPS + k) as f64 * step;
                runge_kutta(t, step, &mut log);
            }
        }
        all
    }

    /// Scales q to a mass of 1 and stores it.
    fn keep(&mut self, log: &mut [f64]) {
        let masses = log.windows(2).map(|pair| {
            // Of a density that is exponential between nodes.
            let [a, b] = [pair[0].exp(), pair[1].exp()];
            let change = pair[1] - pair[0];
            SPACING
                * if change.abs() < 1e-6 {
                    0.5 * (a + b)
                } else {
                    (b - a) / change
                }
        });
        let mut sum = 0.0;
        let mut distribution = vec![0.0];
        distribution.extend(masses.map(|mass| {
            sum += mass;
            sum
        }));
        distribution.iter_mut().for_each(|p| *p /= sum);
        log.iter_mut().for_each(|l| *l -= sum.ln());
        self.slopes
            .push((0..NODES).map(|i| differences(log, i)[0]).collect());
        self.distributions.push(distribution);
        self.logs.push(log.to_vec());
    }

    /// `d log q / du` at time t.
    fn slope(&self, t: f64, u: f64) -> f64 {
        self.between(t, |slice| interpolate(&self.slopes[slice], u))
    }

    /// Where the distribution function of u is `p`.
    pub(super) fn quantile(&self, t: f64, p: f64) -> f64 {
        self.between(t, |slice| {
            let distribution = &self.distributions[slice];
            let i = distribution
                .partition_point(|q| *q <= p)
                .clamp(1, NODES - 1)
                - 1;
            let share = (p - distribution[i]) / (distribution[i + 1] - distribution[i]);
            let change = self.logs[slice][i + 1] - self.logs[slice][i];
            let way = if change.abs() < 1e-6 {
                share
            } else {
                (share * change.exp_m1()).ln_1p() / change
            };
            node(i) + SPACING * way
        })
    }

    /// Linear between the slices on both sides of t.
    fn between(&self, t: f64, at: impl Fn(usize) -> f64) -> f64 {
        let place = t.clamp(0.0, 1.0) * SLICES as f64;
        let slice = (place as usize).min(SLICES - 1);
        let share = place - slice as f64;
        (1.0 - share) * at(slice) + share * at(slice + 1)
    }

    /// `-dV/du - D d log q/du` and `-dV/dw - D d log q/dw`.
    fn turned_velocity(&self, t: f64, [u, w]: [f64; 2]) -> [f64; 2] {
        let [mean, variance] = across(t);
        let along = -force(t, u)[0] - D * self.slope(t, u);
        [along, -ACROSS * w + D * (w - mean) / variance]
    }

    /// `log q_t` of points `[n, 2]` with |u| < 6 at t in [0, 1], `[n]`.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn log_density(&self, t: f64, points: &Array2<f64>) -> Vec<f64> {
        super::check(points, 2);
        let [mean, variance] = across(t);
        let rows = points.rows().into_iter();
        rows.map(|point| {
            let [u, w] = turn([point[0], point[1]]);
            let along = self.between(t, |slice| interpolate(&self.logs[slice], u));
            let square = (w - mean).powi(2) / variance;
            along - 0.5 * (square + (std::f64::consts::TAU * variance).ln())
        })
        .collect()
    }

    /// `-grad V_t` at points `[n, 2]` at t in [0, 1], `[n, 2]`: the velocity under noise.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn drift(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        mapped(points, |[u, w]| [-force(t, u)[0], -ACROSS * w])
    }
}

impl Default for FokkerPlanck {
    fn default() -> Self {
        Self::new()
    }
}

fn node(i: usize) -> f64 {
    -EDGE + SPACING * i as f64
}

/// `dV/du` and `d^2 V/du^2`.
fn force(t: f64, u: f64) -> [f64; 2] {
    let tanh = (SPLIT * u).tanh();
    [
        ALONG * u - D * t * SPLIT * tanh,
        ALONG - D * t * SPLIT * SPLIT * (1.0 - tanh * tanh),
    ]
}

/// The mean and variance of w.
fn across(t: f64) -> [f64; 2] {
    let [mean, std_dev] = START[1];
    let (decay, rest) = ((-ACROSS * t).exp(), D / ACROSS);
    [
        mean * decay,
        rest + (std_dev * std_dev - rest) * decay * decay,
    ]
}

/// `(u, w)` of a point.
fn turn([x, y]: [f64; 2]) -> [f64; 2] {
    let [cos, sin] = TURN;
    [cos * x + sin * y, cos * y - sin * x]
}

/// The point of `(u, w)`.
fn turn_back([u, w]: [f64; 2]) -> [f64; 2] {
    let [cos, sin] = TURN;
    [cos * u - sin * w, sin * u + cos * w]
}

/// A field in u and w at points `[n, 2]`.
fn mapped(points: &Array2<f64>, field: impl Fn([f64; 2]) -> [f64; 2]) -> Array2<f64> {
    super::check(points, 2);
    let mut out = Array2::zeros(points.raw_dim());
    for (point, mut out) in points.rows().into_iter().zip(out.rows_mut()) {
        let [x, y] = turn_back(field(turn([point[0], point[1]])));
        (out[0], out[1]) = (x, y);
    }
    out
}

/// The first and second derivative at node i, of order 4; cubic beyond the edges.
fn differences(values: &[f64], i: usize) -> [f64; 2] {
    let last = NODES - 1;
    let at = |k: isize| {
        let place = i as isize + k;
        let (edge, inward, beyond) = if place < 0 {
            (0, 1, -place)
        } else if place > last as isize {
            (last as isize, -1, place - last as isize)
        } else {
            return values[place as usize];
        };
        let inner = |j: isize| values[(edge + inward * j) as usize];
        // The cubic through the last four nodes, one or two nodes beyond.
        match beyond {
            1 => 4.0 * inner(0) - 6.0 * inner(1) + 4.0 * inner(2) - inner(3),
            _ => 10.0 * inner(0) - 20.0 * inner(1) + 15.0 * inner(2) - 4.0 * inner(3),
        }
    };
    let [a, b, c, d, e] = [at(-2), at(-1), at(0), at(1), at(2)];
    [
        (a - 8.0 * b + 8.0 * d - e) / (12.0 * SPACING),
        (-a + 16.0 * b - 30.0 * c + 16.0 * d - e) / (12.0 * SPACING * SPACING),
    ]
}

/// `d_t l = V'' + V' l' + D (l'' + l'^2)` for `l = log q`.
fn rate(t: f64, log: &[f64], rates: &mut [f64]) {
    for (i, rate) in rates.iter_mut().enumerate() {
        let [slope, bend] = differences(log, i);
        let [force, stiffness] = force(t, node(i));
        *rate = stiffness + force * slope + D * (bend + slope * slope);
    }
}

fn runge_kutta(t: f64, step: f64, log: &mut [f64]) {
    let mut stage = vec![0.0; NODES];
    let mut sum = vec![0.0; NODES];
    let mut rates = vec![0.0; NODES];
    stage.copy_from_slice(log);
    for (node, weight, next) in [
        (0.0, 1.0, 0.5),
        (0.5, 2.0, 0.5),
        (0.5, 2.0, 1.0),
        (1.0, 1.0, 0.0),
    ] {
        rate(t + node * step, &stage, &mut rates);
        for i in 0..NODES {
            sum[i] += weight * rates[i];
            stage[i] = log[i] + next * step * rates[i];
        }
    }
    for (log, sum) in log.iter_mut().zip(&sum) {
        *log += step / 6.0 * sum;
    }
}

/// The cubic through the four nodes around u; beyond the edges, the last of them.
fn interpolate(values: &[f64], u: f64) -> f64 {
    let place = (u + EDGE) / SPACING;
    let i = (place.floor().max(1.0) as usize).min(NODES - 3);
    let x = place - i as f64;
    let [a, b, c, d] = [values[i - 1], values[i], values[i + 1], values[i + 2]];
    -a * x * (x - 1.0) * (x - 2.0) / 6.0 + b * (x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0
        - c * (x + 1.0) * x * (x - 2.0) / 2.0
        + d * (x + 1.0) * x * (x - 1.0) / 6.0
}

impl Path for FokkerPlanck {
    fn dimension(&self) -> usize {
        2
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    /// Quantiles of u and w: they move as the velocity says.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = (times.len(), 2);
        let (mut points, mut velocities) = (Array2::zeros(shape), Array2::zeros(shape));
        for (i, &t) in times.iter().enumerate() {
            let u = self.quantile(t, rng.random());
            let z: f64 = rng.sample(StandardNormal);
            let [mean, variance] = across(t);
            let place = [u, mean + variance.sqrt() * z];
            let (point, velocity) = (turn_back(place), turn_back(self.turned_velocity(t, place)));
            for j in 0..2 {
                points[[i, j]] = point[j];
                velocities[[i, j]] = velocity[j];
            }
        }
        PathSample::new(points).with_velocities(velocities)
    }
}

impl Truth for FokkerPlanck {
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        mapped(points, |place| self.turned_velocity(t, place))
    }
}

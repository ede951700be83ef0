//! Explicit Runge-Kutta schemes for `dx = v_t(x) dt + sigma_t dW`.

mod adaptive;
mod fixed;
mod noise;
mod tableau;

use ndarray::{Array2, Array3, s};

use super::brownian::Brownian;
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::Lagrangian,
};
pub(crate) use noise::Noise;
use noise::{Kick, displace};
use tableau::Tableau;

/// A scheme for `dx/dt = v_t(x)`, forward or backward in time, or for `dx = v_t(x) dt + sigma_t
/// dW`, forward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scheme {
    /// Euler's scheme of order 1, with this many steps over the whole span. With noise it is the
    /// Euler-Maruyama scheme; it has order 1 on paths and in law, because sigma does not depend on
    /// x.
    Euler(usize),
    /// Heun's scheme (the explicit trapezoidal rule) of order 2.
    Heun(usize),
    /// The classical Runge-Kutta scheme of order 4.
    RungeKutta4(usize),
    /// Rößler's SRA1 for noise that does not depend on x, of order 1.5 on paths and 2 in law, with
    /// two evaluations per step. Without noise it is a Runge-Kutta scheme of order 2.
    StochasticRungeKutta(usize),
    /// Dormand and Prince's 5(4) pair. The step keeps the root mean square over points and columns
    /// of `error / (tolerance (1 + |x|))` below 1.
    DormandPrince {
        /// The error per step, in units of the coordinates.
        tolerance: f64,
    },
}

impl Default for Scheme {
    /// Dormand and Prince with a tolerance of 1e-5. Networks in f32 round at about this level.
    fn default() -> Self {
        Self::DormandPrince { tolerance: 1e-5 }
    }
}

impl Scheme {
    /// The scheme for a Lagrangian: 128 steps of `StochasticRungeKutta` with noise, else the
    /// default.
    pub fn for_lagrangian(lagrangian: &Lagrangian) -> Self {
        if lagrangian.is_noisy() {
            Self::StochasticRungeKutta(128)
        } else {
            Self::default()
        }
    }

    /// The scheme's table and how its steps are chosen.
    fn parts(self) -> (&'static Tableau, Steps) {
        match self {
            Self::Euler(steps) => (&tableau::EULER, Steps::Fixed(steps)),
            Self::Heun(steps) => (&tableau::HEUN, Steps::Fixed(steps)),
            Self::RungeKutta4(steps) => (&tableau::RUNGE_KUTTA_4, Steps::Fixed(steps)),
            Self::StochasticRungeKutta(steps) => (&tableau::SRA1, Steps::Fixed(steps)),
            Self::DormandPrince { tolerance } => {
                (&tableau::DORMAND_PRINCE, Steps::Adaptive(tolerance))
            }
        }
    }
}

/// How the steps of a scheme are chosen.
#[derive(Clone, Copy)]
enum Steps {
    /// This many of equal length over the whole span.
    Fixed(usize),
    /// By the tableau's pair, with this tolerance.
    Adaptive(f64),
}

/// The states `[k, n, c]` at k times, and the number of evaluations of the field.
pub(crate) struct Solution {
    pub(crate) states: Array3<f64>,
    pub(crate) evaluations: usize,
}

/// Moves `state` `[n, c]` as [`integrate`](super::integrate) does, with noise. The path of the
/// noise does not depend on the steps. Steps with noise have equal length up to a sixteenth, so
/// that all but those at `times` and breaks end where reading the Brownian path is cheap.
///
/// # Errors
/// As [`integrate`](super::integrate), a sigma that is negative or not finite, and, where sigma is
/// not 0, a scheme that takes no noise, times outside of the noise's span and times that go
/// backward.
pub(crate) fn solve(
    field: impl Fn(f64, &Array2<f64>) -> Array2<f64>,
    noise: Option<&Noise>,
    state: &Array2<f64>,
    from: f64,
    times: &[f64],
    scheme: Scheme,
) -> Result<Solution> {
    check(from, times, scheme)?;
    let (tableau, steps) = scheme.parts();
    let end = times.last().map_or(from, |end| *end);
    let breaks = noise.map_or(&[][..], |noise| noise.breaks);
    if let Some(noise) = noise {
        let mut start = from;
        for stop in stops(from, end, breaks) {
            noise.sigma([start, stop], scheme)?;
            start = stop;
        }
    }
    let (rows, columns) = state.dim();
    let mut states = Array3::zeros((times.len(), rows, columns));
    let mut state = State {
        field,
        scheme,
        tableau,
        breaks,
        noise: noise.map(|n| (n, Brownian::new(n.seed, [rows, n.columns], n.span))),
        t: from,
        x: state.clone(),
        first: None,
        evaluations: 0,
    };
    let span = (end - from).abs();
    let mut step = None;
    for (k, &time) in times.iter().enumerate() {
        for until in stops(state.t, time, breaks) {
            match (steps, &tableau.pair) {
                (Steps::Fixed(steps), _) => state.fixed(until, steps, span)?,
                (Steps::Adaptive(tolerance), pair) => {
                    let pair = pair.as_ref().expect("an adaptive scheme is a pair");
                    step = state.adaptive(until, pair, tolerance, step, span)?;
                }
            }
        }
        states.slice_mut(s![k, .., ..]).assign(&state.x);
    }
    Ok(Solution {
        states,
        evaluations: state.evaluations,
    })
}

/// The breaks strictly between two times, in order, followed by the second time unless it equals
/// the first.
fn stops(from: f64, to: f64, breaks: &[f64]) -> Vec<f64> {
    let mut stops: Vec<f64> = breaks
        .iter()
        .copied()
        .filter(|t| from.min(to) < *t && *t < from.max(to))
        .collect();
    if from != to {
        stops.push(to);
    }
    stops.sort_by(|a, b| (a - from).abs().total_cmp(&(b - from).abs()));
    stops.dedup();
    stops
}

/// Refuses times that are not finite or not in order, and a scheme with settings out of range.
pub(super) fn check(from: f64, times: &[f64], scheme: Scheme) -> Result<()> {
    let all: Vec<f64> = std::iter::once(from).chain(times.iter().copied()).collect();
    if let Some(t) = all.iter().find(|t| !t.is_finite()) {
        ensure!(false, Value, "times must be finite, got {t}");
    }
    let rising = all.windows(2).all(|w| w[0] <= w[1]);
    let falling = all.windows(2).all(|w| w[0] >= w[1]);
    ensure!(
        rising || falling,
        Value,
        "times must all lie on one side of the start {from}, in order, got {times:?}"
    );
    match scheme.parts().1 {
        Steps::Fixed(steps) => ensure!(
            steps > 0,
            Setting,
            "a scheme needs at least one step, got 0"
        ),
        Steps::Adaptive(tolerance) => ensure!(
            tolerance.is_finite() && tolerance > 0.0,
            Setting,
            "the tolerance must be positive, got {tolerance}"
        ),
    }
    Ok(())
}

struct State<'a, V> {
    field: V,
    scheme: Scheme,
    tableau: &'static Tableau,
    breaks: &'a [f64],
    noise: Option<(&'a Noise<'a>, Brownian)>,
    t: f64,
    x: Array2<f64>,
    /// The field at `(t, x)`, if the last step evaluated it there.
    first: Option<Array2<f64>>,
    evaluations: usize,
}

impl<V: Fn(f64, &Array2<f64>) -> Array2<f64>> State<'_, V> {
    /// The stages of the step to `end`.
    fn stages(&mut self, end: f64, kick: Option<&Kick>) -> Vec<Array2<f64>> {
        let h = end - self.t;
        let mut stages: Vec<Array2<f64>> = Vec::with_capacity(self.tableau.stages.len());
        for (i, (row, node)) in self
            .tableau
            .stages
            .iter()
            .zip(self.tableau.nodes)
            .enumerate()
        {
            let stage = match (stages.is_empty(), self.first.take()) {
                (true, Some(first)) => first,
                _ => {
                    let mut x = advance(&self.x, h, row, &stages);
                    if let (Some(kick), Some(diffusion)) = (kick, &self.tableau.diffusion) {
                        displace(&mut x, diffusion.stages[i] * kick.sigma[1], &kick.mean);
                    }
                    self.evaluations += 1;
                    (self.field)(self.seen(*node, end), &x)
                }
            };
            stages.push(stage);
        }
        stages
    }

    /// The time of a node of the step to `end`, moved off a break by one rounding unit.
    fn seen(&self, node: f64, end: f64) -> f64 {
        let t = match node {
            1.0 => end,
            _ => self.t + node * (end - self.t),
        };
        match self.breaks.contains(&t) {
            false => t,
            true if (t == self.t) == (self.t < end) => t.next_up(),
            true => t.next_down(),
        }
    }

    /// Refuses points that are not finite.
    fn finite(&self) -> Result<()> {
        match self.x.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Error::new(
                ErrorKind::Diverged,
                format!(
                    "point {} left the finite numbers at time {}; use smaller steps",
                    at / self.x.ncols().max(1),
                    self.t
                ),
            )),
        }
    }
}

/// `x + h sum_j w_j k_j`.
fn advance(x: &Array2<f64>, h: f64, weights: &[f64], stages: &[Array2<f64>]) -> Array2<f64> {
    let mut out = x.clone();
    for (weight, stage) in weights.iter().zip(stages) {
        if *weight != 0.0 {
            out.scaled_add(h * weight, stage);
        }
    }
    out
}

#[cfg(test)]
mod tests;

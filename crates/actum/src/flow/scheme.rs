//! Explicit Runge-Kutta schemes for `dx = v_t(x) dt + sigma_t dW`.

use ndarray::{Array2, Array3, Zip, s};

use super::brownian::Brownian;
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::Lagrangian,
};

/// A scheme for `dx/dt = v_t(x)`, forward or backward in time, or with noise,
/// `dx = v_t(x) dt + sigma_t dW`, forward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scheme {
    /// Euler's, order 1, with this many steps over the whole span. With noise, Euler and
    /// Maruyama's: since sigma does not depend on x, of order 1 in the points and in their law.
    Euler(usize),
    /// Heun's (the explicit trapezoidal rule), order 2.
    Heun(usize),
    /// The classical Runge-Kutta scheme, order 4.
    RungeKutta4(usize),
    /// Rößler's SRA1 for noise that does not depend on x: order 1.5 in the points and 2 in their
    /// law, with two evaluations a step; without noise a Runge-Kutta scheme of order 2.
    StochasticRungeKutta(usize),
    /// Dormand and Prince's 5(4) pair: the step is chosen so that the root mean square over
    /// points and columns of `error / (tolerance (1 + |x|))` stays below 1.
    DormandPrince {
        /// The error allowed a step, in units of the coordinates.
        tolerance: f64,
    },
}

impl Default for Scheme {
    /// Dormand and Prince with a tolerance of 1e-5: a smaller one meets the rounding of f32
    /// networks.
    fn default() -> Self {
        Self::DormandPrince { tolerance: 1e-5 }
    }
}

impl Scheme {
    /// What suits a Lagrangian: the default, or 128 steps of `StochasticRungeKutta` where there is
    /// noise.
    pub fn for_lagrangian(lagrangian: &Lagrangian) -> Self {
        if lagrangian.is_noisy() {
            Self::StochasticRungeKutta(128)
        } else {
            Self::default()
        }
    }

    fn tableau(self) -> &'static Tableau {
        match self {
            Self::Euler(_) => &EULER,
            Self::Heun(_) => &HEUN,
            Self::RungeKutta4(_) => &RUNGE_KUTTA_4,
            Self::StochasticRungeKutta(_) => &SRA1,
            Self::DormandPrince { .. } => &DORMAND_PRINCE,
        }
    }
}

/// The rows of a Butcher tableau: stage i is taken at `t + c_i h` from `x + h sum_j a_ij k_j`.
struct Tableau {
    nodes: &'static [f64],
    stages: &'static [&'static [f64]],
    weights: &'static [f64],
    diffusion: Option<Diffusion>,
}

/// How a scheme takes noise of which it knows, over a step from t to t + h, sigma at both ends,
/// the increment `W = W_(t+h) - W_t` and the mean displacement `J = 1/h int (W_s - W_t) ds`.
struct Diffusion {
    /// Stage i is taken from the point moved by this times `sigma_(t+h) J`.
    stages: &'static [f64],
    /// The factors of `sigma_t W` and `sigma_(t+h) W` in the step.
    increment: [f64; 2],
    /// The factors of `sigma_t J` and `sigma_(t+h) J` in the step.
    mean: [f64; 2],
}

const EULER: Tableau = Tableau {
    nodes: &[0.0],
    stages: &[&[]],
    weights: &[1.0],
    diffusion: Some(Diffusion {
        stages: &[0.0],
        increment: [1.0, 0.0],
        mean: [0.0, 0.0],
    }),
};

const HEUN: Tableau = Tableau {
    nodes: &[0.0, 1.0],
    stages: &[&[], &[1.0]],
    weights: &[0.5, 0.5],
    diffusion: None,
};

const RUNGE_KUTTA_4: Tableau = Tableau {
    nodes: &[0.0, 0.5, 0.5, 1.0],
    stages: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    weights: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    diffusion: None,
};

/// Rößler, SIAM J. Numer. Anal. 48 (2010), "Runge-Kutta methods for the strong approximation of
/// solutions of stochastic differential equations", scheme SRA1; his `I_(1,0)` is h J.
const SRA1: Tableau = Tableau {
    nodes: &[0.0, 0.75],
    stages: &[&[], &[0.75]],
    weights: &[1.0 / 3.0, 2.0 / 3.0],
    diffusion: Some(Diffusion {
        stages: &[0.0, 1.5],
        increment: [0.0, 1.0],
        mean: [1.0, -1.0],
    }),
};

/// Dormand and Prince (1980), table 2. The last stage is the first of the next step.
const DORMAND_PRINCE: Tableau = Tableau {
    nodes: &[0.0, 0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0],
    stages: &[
        &[],
        &[0.2],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[
            19372.0 / 6561.0,
            -25360.0 / 2187.0,
            64448.0 / 6561.0,
            -212.0 / 729.0,
        ],
        &[
            9017.0 / 3168.0,
            -355.0 / 33.0,
            46732.0 / 5247.0,
            49.0 / 176.0,
            -5103.0 / 18656.0,
        ],
        &[
            35.0 / 384.0,
            0.0,
            500.0 / 1113.0,
            125.0 / 192.0,
            -2187.0 / 6784.0,
            11.0 / 84.0,
        ],
    ],
    weights: &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
        0.0,
    ],
    diffusion: None,
};

/// The difference of the two solutions of the Dormand-Prince pair, as weights of the stages.
const DORMAND_PRINCE_ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// Noise `sigma_t dW`, independent in every row and column it acts on.
pub(crate) struct Noise<'a> {
    /// sigma at both ends of a step, as seen from inside it.
    pub(crate) sigma: &'a dyn Fn([f64; 2]) -> [f64; 2],
    /// How many columns of the state, from the first, it acts on.
    pub(crate) columns: usize,
    /// The same seed, span, number of columns and row give the same Brownian path.
    pub(crate) seed: u64,
    /// The span of the Brownian path, which holds every time asked for.
    pub(crate) span: [f64; 2],
    /// The times at which sigma or the field may jump. They end a step, and steps that begin or
    /// end there see the field one rounding unit inside.
    pub(crate) breaks: &'a [f64],
}

/// The states `[k, n, c]` at k times and how often the field was evaluated.
pub(crate) struct Solution {
    pub(crate) states: Array3<f64>,
    pub(crate) evaluations: usize,
}

/// Moves `state` `[n, c]` as [`integrate`](super::integrate) does, with noise: steps with noise are
/// of equal length up to a sixteenth, so that all but those at `times` and breaks end where the
/// Brownian path is cheap. The path is that of [`Noise`] whatever the steps are.
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
            match scheme {
                Scheme::Euler(steps)
                | Scheme::Heun(steps)
                | Scheme::RungeKutta4(steps)
                | Scheme::StochasticRungeKutta(steps) => state.fixed(until, steps, span)?,
                Scheme::DormandPrince { tolerance } => {
                    step = state.adaptive(until, tolerance, step, span)?;
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

/// The breaks strictly between two times, in the order they are met, and the second time unless
/// it is the first.
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

/// Refuses times that are not finite or not in order, and a scheme outside of its range.
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
    match scheme {
        Scheme::Euler(steps)
        | Scheme::Heun(steps)
        | Scheme::RungeKutta4(steps)
        | Scheme::StochasticRungeKutta(steps) => {
            ensure!(
                steps > 0,
                Setting,
                "a scheme needs at least one step, got 0"
            );
        }
        Scheme::DormandPrince { tolerance } => ensure!(
            tolerance.is_finite() && tolerance > 0.0,
            Setting,
            "the tolerance must be positive, got {tolerance}"
        ),
    }
    Ok(())
}

impl Noise<'_> {
    /// sigma at both ends of a step; where it is not 0 the scheme and the direction must allow it.
    fn sigma(&self, [from, to]: [f64; 2], scheme: Scheme) -> Result<[f64; 2]> {
        let sigma = (self.sigma)([from, to]);
        if let Some(bad) = sigma.iter().find(|s| !s.is_finite() || **s < 0.0) {
            ensure!(
                false,
                Value,
                "the noise must be finite and not negative, got {bad} between times {from} and {to}"
            );
        }
        if sigma != [0.0; 2] {
            ensure!(
                from <= to,
                Setting,
                "motion with noise cannot be run backward in time: that would need the score, the \
                 gradient of the logarithm of the density; go forward, or fit without noise"
            );
            ensure!(
                scheme.tableau().diffusion.is_some(),
                Setting,
                "the scheme {scheme:?} ignores noise; use StochasticRungeKutta or Euler with a \
                 number of steps"
            );
            let [start, end] = self.span;
            let slack = 1e-9 * (end - start);
            ensure!(
                start - slack <= from && to <= end + slack,
                Value,
                "the noise is defined in times [{start}, {end}], got [{from}, {to}]"
            );
        }
        Ok(sigma)
    }
}

struct State<'a, V> {
    field: V,
    scheme: Scheme,
    breaks: &'a [f64],
    noise: Option<(&'a Noise<'a>, Brownian)>,
    t: f64,
    x: Array2<f64>,
    /// The field at `(t, x)` where the last step ended with it.
    first: Option<Array2<f64>>,
    evaluations: usize,
}

/// What noise does over a step.
struct Kick {
    sigma: [f64; 2],
    increment: Array2<f64>,
    /// The mean displacement J over the step.
    mean: Array2<f64>,
}

impl<V: Fn(f64, &Array2<f64>) -> Array2<f64>> State<'_, V> {
    /// Steps of equal length to `until`, as many as keep them no longer than `span / steps`.
    fn fixed(&mut self, until: f64, steps: usize, span: f64) -> Result<()> {
        let (start, distance) = (self.t, until - self.t);
        let count = (distance.abs() / span * steps as f64 - 1e-9)
            .ceil()
            .max(1.0);
        let h = distance / count;
        for i in 1..=count as usize {
            let end = match &self.noise {
                _ if i == count as usize => until,
                Some((noise, path)) if (noise.sigma)([start, until]) != [0.0; 2] => {
                    path.settle(start + i as f64 * h, h)
                }
                _ => start + i as f64 * h,
            };
            self.step(end)?;
        }
        Ok(())
    }

    fn step(&mut self, end: f64) -> Result<()> {
        let tableau = self.scheme.tableau();
        let kick = self.kick(end)?;
        let stages = self.stages(end, kick.as_ref());
        self.x = advance(&self.x, end - self.t, tableau.weights, &stages);
        if let (Some(kick), Some(diffusion)) = (kick, &tableau.diffusion) {
            let dot = |a: [f64; 2]| a[0] * kick.sigma[0] + a[1] * kick.sigma[1];
            push(&mut self.x, dot(diffusion.increment), &kick.increment);
            push(&mut self.x, dot(diffusion.mean), &kick.mean);
        }
        self.first = None;
        self.finite()?;
        self.t = end;
        Ok(())
    }

    fn kick(&mut self, end: f64) -> Result<Option<Kick>> {
        let Some((noise, path)) = &mut self.noise else {
            return Ok(None);
        };
        let sigma = noise.sigma([self.t, end], self.scheme)?;
        if sigma == [0.0; 2] {
            return Ok(None);
        }
        let (increment, area) = path.increment(self.t, end);
        Ok(Some(Kick {
            sigma,
            mean: area + 0.5 * &increment,
            increment,
        }))
    }

    /// Steps of a length that keeps the error estimate within `tolerance`; returns the length for
    /// the next step.
    fn adaptive(
        &mut self,
        until: f64,
        tolerance: f64,
        step: Option<f64>,
        span: f64,
    ) -> Result<Option<f64>> {
        let mut length = step.unwrap_or(0.01 * span);
        while self.t != until {
            let left = (until - self.t).abs();
            let last = length >= left * (1.0 - 1e-12);
            let h = length.min(left) * (until - self.t).signum();
            ensure!(
                last || h.abs() > 1e-12 * span,
                Diverged,
                "the step fell below 1e-12 of the span at time {}: the field is too stiff or not \
                 smooth; raise the tolerance or use a scheme with fixed steps",
                self.t
            );
            let end = if last { until } else { self.t + h };
            if let Some((noise, _)) = &self.noise {
                noise.sigma([self.t, end], self.scheme)?;
            }
            let stages = self.stages(end, None);
            let proposal = advance(&self.x, h, DORMAND_PRINCE.weights, &stages);
            let error = advance(
                &Array2::zeros(self.x.raw_dim()),
                h,
                &DORMAND_PRINCE_ERROR,
                &stages,
            );
            let scaled = scaled_norm(&error, &self.x, &proposal, tolerance);
            // A step that leaves the finite numbers is a step that was far too long.
            let factor = if scaled.is_finite() {
                (0.9 * scaled.powf(-0.2)).clamp(0.2, 5.0)
            } else {
                0.2
            };
            if scaled <= 1.0 {
                self.x = proposal;
                self.t = end;
                // The field may jump here, and the last stage saw it before it does.
                let smooth = !self.breaks.contains(&end);
                self.first = stages.into_iter().next_back().filter(|_| smooth);
                if !last || factor < 1.0 {
                    length = h.abs() * factor;
                }
            } else {
                self.first = stages.into_iter().next();
                length = h.abs() * factor;
            }
        }
        self.finite()?;
        Ok(Some(length))
    }

    fn stages(&mut self, end: f64, kick: Option<&Kick>) -> Vec<Array2<f64>> {
        let tableau = self.scheme.tableau();
        let h = end - self.t;
        let mut stages: Vec<Array2<f64>> = Vec::with_capacity(tableau.stages.len());
        for (i, (row, node)) in tableau.stages.iter().zip(tableau.nodes).enumerate() {
            let stage = match (stages.is_empty(), self.first.take()) {
                (true, Some(first)) => first,
                _ => {
                    let mut x = advance(&self.x, h, row, &stages);
                    if let (Some(kick), Some(diffusion)) = (kick, &tableau.diffusion) {
                        push(&mut x, diffusion.stages[i] * kick.sigma[1], &kick.mean);
                    }
                    self.evaluations += 1;
                    (self.field)(self.seen(*node, end), &x)
                }
            };
            stages.push(stage);
        }
        stages
    }

    /// The time of a node of the step to `end`, off a break by one rounding unit.
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

/// `x + factor noise` in the columns that have noise.
fn push(x: &mut Array2<f64>, factor: f64, noise: &Array2<f64>) {
    if factor != 0.0 {
        x.slice_mut(s![.., ..noise.ncols()])
            .scaled_add(factor, noise);
    }
}

/// The root mean square of `error / (tolerance (1 + max(|before|, |after|)))`.
fn scaled_norm(
    error: &Array2<f64>,
    before: &Array2<f64>,
    after: &Array2<f64>,
    tolerance: f64,
) -> f64 {
    let mut sum = 0.0;
    Zip::from(error).and(before).and(after).for_each(|e, b, a| {
        let scale = tolerance * (1.0 + b.abs().max(a.abs()));
        sum += (e / scale) * (e / scale);
    });
    (sum / error.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;
    use crate::flow::{Trajectories, integrate};

    /// dx/dt = -2 t x^2 with x(0) = 1 is x = 1 / (1 + t^2).
    fn field(t: f64, x: &Array2<f64>) -> Array2<f64> {
        x.mapv(|x| -2.0 * t * x * x)
    }

    fn error_at_two(scheme: Scheme) -> f64 {
        let path = integrate(field, &array![[1.0]], 0.0, &[2.0], scheme).unwrap();
        (path.points[[0, 0, 0]] - 0.2).abs()
    }

    #[test]
    fn schemes_have_their_orders() {
        for (scheme, order) in [
            (Scheme::Euler as fn(usize) -> Scheme, 1.0),
            (Scheme::Heun, 2.0),
            (Scheme::RungeKutta4, 4.0),
            (Scheme::StochasticRungeKutta, 2.0),
        ] {
            let slope = (error_at_two(scheme(40)) / error_at_two(scheme(80))).log2();
            assert!((slope - order).abs() < 0.25, "{slope} for order {order}");
        }
    }

    #[test]
    fn the_adaptive_scheme_has_order_five_in_its_work() {
        let work = |tolerance| {
            let scheme = Scheme::DormandPrince { tolerance };
            let path = integrate(field, &array![[1.0]], 0.0, &[2.0], scheme).unwrap();
            path.evaluations as f64
        };
        // The error falls with the fifth power of the number of evaluations.
        let slope = (1e-6f64 / 1e-11).ln() / (work(1e-11) / work(1e-6)).ln();
        assert!((4.0..6.5).contains(&slope), "{slope}");
        for tolerance in [1e-4, 1e-7, 1e-10] {
            let error = error_at_two(Scheme::DormandPrince { tolerance });
            assert!(error < 10.0 * tolerance, "{error} for {tolerance}");
        }
    }

    #[test]
    fn backward_undoes_forward() {
        let start = array![[1.0], [0.3], [-0.2]];
        for scheme in [
            Scheme::RungeKutta4(200),
            Scheme::DormandPrince { tolerance: 1e-9 },
        ] {
            let there = integrate(field, &start, 0.0, &[0.5, 1.3], scheme).unwrap();
            let back = integrate(field, &there.at(1), 1.3, &[0.5, 0.0], scheme).unwrap();
            for (a, b) in [(back.at(1), start.clone()), (back.at(0), there.at(0))] {
                assert!((a - b).iter().all(|e| e.abs() < 1e-7));
            }
        }
    }

    #[test]
    fn recording_more_times_does_not_move_the_points() {
        let many: Vec<f64> = (0..=50).map(|k| k as f64 / 25.0).collect();
        let scheme = Scheme::DormandPrince { tolerance: 1e-9 };
        let all = integrate(field, &array![[1.0]], 0.0, &many, scheme).unwrap();
        for (t, x) in many.iter().zip(all.points.iter()) {
            assert!((x - 1.0 / (1.0 + t * t)).abs() < 1e-7);
        }
    }

    #[test]
    fn bad_requests_are_refused() {
        let go =
            |from, times: &[f64], scheme| integrate(field, &array![[1.0]], from, times, scheme);
        let message = |r: Result<Trajectories>| r.unwrap_err().to_string();
        assert!(message(go(0.0, &[1.0, 0.5], Scheme::Euler(3))).contains("one side"));
        assert!(message(go(0.0, &[-1.0, 1.0], Scheme::Euler(3))).contains("one side"));
        assert!(message(go(0.0, &[f64::NAN], Scheme::Euler(3))).contains("finite"));
        assert!(message(go(0.0, &[1.0], Scheme::Heun(0))).contains("at least one step"));
        let scheme = Scheme::DormandPrince { tolerance: 0.0 };
        assert!(message(go(0.0, &[1.0], scheme)).contains("positive"));
        // dx/dt = x^2 from 1 reaches infinity at t = 1.
        for scheme in [Scheme::RungeKutta4(50), Scheme::default()] {
            let blown = integrate(|_, x| x * x, &array![[1.0]], 0.0, &[3.0], scheme);
            assert_eq!(blown.unwrap_err().kind(), ErrorKind::Diverged);
        }
    }

    const SPAN: [f64; 2] = [0.0, 1.0];

    /// The noise of most tests: seed 7 on all columns of [0, 1].
    fn noise<'a>(sigma: &'a dyn Fn([f64; 2]) -> [f64; 2], breaks: &'a [f64]) -> Noise<'a> {
        Noise {
            sigma,
            columns: 1,
            seed: 7,
            span: SPAN,
            breaks,
        }
    }

    fn ends(noise: Option<&Noise>, field: Field, rows: usize, scheme: Scheme) -> Array2<f64> {
        let start = Array2::from_elem((rows, 1), 0.5);
        let solution = solve(field, noise, &start, 0.0, &[1.0], scheme).unwrap();
        solution.states.index_axis_move(Axis(0), 0)
    }

    type Field = fn(f64, &Array2<f64>) -> Array2<f64>;

    type WithSteps = fn(usize) -> Scheme;

    /// The schemes for noise with their orders on a path and in law.
    const NOISY: [(WithSteps, f64, f64); 2] = [
        (Scheme::Euler, 1.0, 1.0),
        (Scheme::StochasticRungeKutta, 1.5, 2.0),
    ];

    /// dX = (sin X - X/2 cos t) dt + (1 + t/2) dW.
    fn bent(t: f64, x: &Array2<f64>) -> Array2<f64> {
        x.mapv(|x| x.sin() - 0.5 * x * t.cos())
    }

    fn rising(t: [f64; 2]) -> [f64; 2] {
        t.map(|t| 1.0 + 0.5 * t)
    }

    fn still(_: f64, x: &Array2<f64>) -> Array2<f64> {
        Array2::zeros(x.raw_dim())
    }

    #[test]
    fn noisy_schemes_have_their_orders_on_a_path() {
        let noise = noise(&rising, &[]);
        let exact = ends(
            Some(&noise),
            bent,
            500,
            Scheme::StochasticRungeKutta(1 << 13),
        );
        for (scheme, order, _) in NOISY {
            let error = |steps| {
                let off = ends(Some(&noise), bent, 500, scheme(steps)) - &exact;
                (off.mapv(|e| e * e).mean().unwrap()).sqrt()
            };
            let slope = (error(16) / error(128)).log2() / 3.0;
            assert!((slope - order).abs() < 0.1, "{slope} for order {order}");
        }
    }

    /// dX = -X dt + dW, for which a step is x -> r x + a W + b H.
    #[test]
    fn noisy_schemes_have_their_orders_in_law() {
        for (scheme, _, order) in NOISY {
            let error = |steps: usize| {
                let h = 1.0 / steps as f64;
                let one = |noise: Option<&Noise>, x: &Array2<f64>| {
                    let step = solve(|_, x| -x, noise, x, 0.0, &[h], scheme(1)).unwrap();
                    step.states.index_axis_move(Axis(0), 0)
                };
                let r = one(None, &array![[1.0]])[[0, 0]];
                let y = one(Some(&noise(&|_| [1.0; 2], &[])), &array![[0.0], [0.0]]);
                let (w, l) = Brownian::new(7, [2, 1], SPAN).increment(0.0, h);
                let of = |i| (w[[i, 0]], l[[i, 0]], y[[i, 0]]);
                let ((w0, l0, y0), (w1, l1, y1)) = (of(0), of(1));
                let determinant = w0 * l1 - w1 * l0;
                let a = (y0 * l1 - y1 * l0) / determinant;
                let b = (w0 * y1 - w1 * y0) / determinant;
                let moments = (0..steps).fold([1.0, 1.0], |[first, second], _| {
                    let noise = a * a * h + b * b * h / 12.0;
                    [r * first, r * r * second + noise]
                });
                let mean: f64 = moments[0] - (-1f64).exp();
                let second: f64 = moments[1] - (0.5 + 0.5 * (-2f64).exp());
                [mean.abs(), second.abs()]
            };
            let (coarse, fine) = (error(32), error(64));
            for i in 0..2 {
                let slope = (coarse[i] / fine[i]).log2();
                assert!((slope - order).abs() < 0.1, "{slope} for order {order}");
            }
        }
    }

    #[test]
    fn an_ornstein_uhlenbeck_process_reaches_its_variance() {
        let noise = noise(&|_| [0.8; 2], &[]);
        let field: Field = |_, x| x * -1.5;
        let x = ends(
            Some(&noise),
            field,
            40_000,
            Scheme::StochasticRungeKutta(40),
        );
        let (mean, variance) = (x.mean().unwrap(), x.var(0.0));
        let expected = 0.64 * (1.0 - (-3f64).exp()) / 3.0;
        let spread = (expected / 40_000.0).sqrt();
        assert!((mean - 0.5 * (-1.5f64).exp()).abs() < 4.0 * spread);
        assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / 40_000f64).sqrt());
    }

    #[test]
    fn a_linear_sigma_and_no_drift_are_exact_for_any_steps() {
        let noise = noise(&rising, &[]);
        let expected = ends(Some(&noise), still, 100, Scheme::StochasticRungeKutta(1));
        // int (1 + t/2) dW by parts, with int_0^1 W dt = W/2 + H.
        let (w, h) = Brownian::new(7, [100, 1], SPAN).increment(0.0, 1.0);
        let by_parts = 0.5 + &w * 1.5 - (&w * 0.5 + h) * 0.5;
        assert!((by_parts - &expected).iter().all(|e| e.abs() < 1e-13));
        for steps in [2, 64, 37, 100] {
            let scheme = Scheme::StochasticRungeKutta(steps);
            let off = ends(Some(&noise), still, 100, scheme) - &expected;
            assert!(off.iter().all(|e| e.abs() < 1e-12), "{steps}");
        }
        let start = Array2::from_elem((100, 1), 0.5);
        let times = [0.123, 0.5, 0.777, 1.0];
        let scheme = Scheme::StochasticRungeKutta(10);
        let x = solve(still, Some(&noise), &start, 0.0, &times, scheme).unwrap();
        let off = x.states.index_axis(Axis(0), 3).to_owned() - &expected;
        assert!(off.iter().all(|e| e.abs() < 1e-7));
    }

    #[test]
    fn noisy_paths_do_not_depend_on_what_else_is_asked() {
        let go = |rows, times: &[f64], steps| {
            let noise = noise(&rising, &[]);
            let start = Array2::from_elem((rows, 1), 0.5);
            let scheme = Scheme::StochasticRungeKutta(steps);
            solve(bent, Some(&noise), &start, 0.0, times, scheme)
                .unwrap()
                .states
        };
        let short = go(100, &[0.5], 32);
        let long = go(100, &[0.125, 0.5, 1.0], 64);
        assert_eq!(short.slice(s![0, .., ..]), long.slice(s![1, .., ..]));
        let more_rows = go(300, &[0.5], 32);
        assert_eq!(short, more_rows.slice(s![.., ..100, ..]));
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            assert_eq!(pool.unwrap().install(|| go(100, &[0.5], 32)), short);
        }
    }

    #[test]
    fn columns_beyond_the_noise_follow_the_field_alone() {
        let noise = noise(&|_| [1.0; 2], &[]);
        // The last column grows by what its row's noisy coordinate is.
        let field = |_: f64, x: &Array2<f64>| {
            let mut v = Array2::zeros(x.raw_dim());
            v.column_mut(1).assign(&x.column(0));
            v
        };
        let start = Array2::zeros((50, 2));
        let go = |scheme| solve(field, Some(&noise), &start, 0.0, &[1.0], scheme).unwrap();
        let x = go(Scheme::StochasticRungeKutta(20)).states;
        // SRA1 is exact here: the integral of W is W/2 + H.
        let (w, h) = Brownian::new(7, [50, 1], SPAN).increment(0.0, 1.0);
        for i in 0..50 {
            assert!((x[[0, i, 0]] - w[[i, 0]]).abs() < 1e-13);
            assert!((x[[0, i, 1]] - 0.5 * w[[i, 0]] - h[[i, 0]]).abs() < 1e-13);
        }
        let one = go(Scheme::Euler(1)).states;
        assert!(one.slice(s![0, .., 1]).iter().all(|x| *x == 0.0));
        // In one step the second stage sees sigma_1 J: the table has g at c1 = (1, 0).
        let noise = Noise {
            sigma: &rising,
            ..noise
        };
        let scheme = Scheme::StochasticRungeKutta(1);
        let x = solve(field, Some(&noise), &start, 0.0, &[1.0], scheme).unwrap();
        for i in 0..50 {
            let expected = 1.5 * (0.5 * w[[i, 0]] + h[[i, 0]]);
            assert!((x.states[[0, i, 1]] - expected).abs() < 1e-13);
        }
    }

    #[test]
    fn jumps_end_a_step() {
        let third = 1.0 / 3.0;
        let sigma = |[a, b]: [f64; 2]| [if a + b < 2.0 * third { 0.0 } else { 2.0 }; 2];
        let breaks = [third];
        let noise = noise(&sigma, &breaks);
        let (w, _) = Brownian::new(7, [20, 1], SPAN).increment(third, 1.0);
        for (scheme, ..) in NOISY {
            let off = ends(Some(&noise), still, 20, scheme(5)) - 0.5 - &w * 2.0;
            assert!(off.iter().all(|e| e.abs() < 1e-13));
        }
        // dx/dt = 1 before the jump and 5 t^4 after it, whatever it is at the jump.
        let jump = |t: f64, x: &Array2<f64>| {
            assert!(t != third);
            let v = if t < third { 1.0 } else { 5.0 * t.powi(4) };
            Array2::from_elem(x.raw_dim(), v)
        };
        let quiet = Noise {
            sigma: &|_| [0.0; 2],
            ..noise
        };
        let size = third + 1.0 - third.powi(5);
        for (scheme, tolerance) in [
            (Scheme::Heun(400), 2e-5),
            (Scheme::RungeKutta4(20), 1e-6),
            (Scheme::DormandPrince { tolerance: 1e-9 }, 1e-8),
        ] {
            for (from, to, sign) in [(0.0, 1.0, 1.0), (1.0, 0.0, -1.0), (0.0, third, 0.0)] {
                let expected = if sign == 0.0 { third } else { sign * size };
                let x = solve(jump, Some(&quiet), &array![[0.0]], from, &[to], scheme).unwrap();
                let off = (x.states[[0, 0, 0]] - expected).abs();
                assert!(off < tolerance, "{scheme:?} from {from}: {off}");
                assert!(x.evaluations < 900, "{}", x.evaluations);
            }
        }
    }

    #[test]
    fn no_noise_is_no_noise() {
        let quiet = noise(&|_| [0.0; 2], &[]);
        for scheme in [
            Scheme::Heun(7),
            Scheme::StochasticRungeKutta(7),
            Scheme::default(),
        ] {
            let expected = ends(None, bent, 3, scheme);
            assert_eq!(ends(Some(&quiet), bent, 3, scheme), expected);
        }
    }

    #[test]
    fn noise_is_refused_where_it_has_no_meaning() {
        let go = |noise: Noise, from, to, scheme| match solve(
            field,
            Some(&noise),
            &array![[1.0]],
            from,
            &[to],
            scheme,
        ) {
            Ok(_) => panic!("accepted"),
            Err(e) => (e.kind(), e.to_string()),
        };
        let late = |[_, t]: [f64; 2]| [0.0, f64::from(t > 0.5)];
        for scheme in [Scheme::Heun(4), Scheme::RungeKutta4(4), Scheme::default()] {
            let (kind, message) = go(noise(&late, &[]), 0.0, 1.0, scheme);
            assert_eq!(kind, ErrorKind::Setting);
            assert!(message.contains("use StochasticRungeKutta"), "{message}");
            let before = noise(&late, &[]);
            assert!(solve(field, Some(&before), &array![[1.0]], 0.0, &[0.5], scheme).is_ok());
        }
        let (kind, message) = go(noise(&late, &[]), 1.0, 0.6, Scheme::Euler(4));
        assert_eq!(kind, ErrorKind::Setting);
        assert!(message.contains("score"), "{message}");
        for bad in [-0.1, f64::NAN] {
            let (kind, message) = go(noise(&|_| [1.0, bad], &[]), 0.0, 1.0, Scheme::Euler(4));
            assert_eq!(kind, ErrorKind::Value);
            assert!(message.contains("not negative"), "{message}");
        }
        let (kind, message) = go(noise(&late, &[]), 0.0, 1.2, Scheme::Euler(4));
        assert_eq!(kind, ErrorKind::Value);
        assert!(message.contains("[0, 1]"), "{message}");
    }
}

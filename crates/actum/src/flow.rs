//! Moving points: explicit Runge-Kutta schemes on a velocity field.

use ndarray::{Array2, Array3, Axis, Zip, s};

use crate::{
    action::Action,
    cloud::Cloud,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
};

/// A scheme for `dx/dt = v_t(x)`, forward or backward in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scheme {
    /// Euler's, order 1, with this many steps over the whole span.
    Euler(usize),
    /// Heun's (the explicit trapezoidal rule), order 2.
    Heun(usize),
    /// The classical Runge-Kutta scheme, order 4.
    RungeKutta4(usize),
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

/// The rows of a Butcher tableau: stage i is taken at `t + c_i h` from `x + h sum_j a_ij k_j`.
struct Tableau {
    nodes: &'static [f64],
    stages: &'static [&'static [f64]],
    weights: &'static [f64],
}

const EULER: Tableau = Tableau {
    nodes: &[0.0],
    stages: &[&[]],
    weights: &[1.0],
};

const HEUN: Tableau = Tableau {
    nodes: &[0.0, 1.0],
    stages: &[&[], &[1.0]],
    weights: &[0.5, 0.5],
};

const RUNGE_KUTTA_4: Tableau = Tableau {
    nodes: &[0.0, 0.5, 0.5, 1.0],
    stages: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    weights: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
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

/// Where points were at some times.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectories {
    /// The times, `[k]`, in the order they were asked for.
    pub times: Vec<f64>,
    /// The points, `[k, n, d]`: row n of every time is the same particle.
    pub points: Array3<f64>,
    /// How often the velocity of the whole cloud was evaluated.
    pub evaluations: usize,
}

impl Trajectories {
    /// The points at the k-th time, `[n, d]`.
    pub fn at(&self, k: usize) -> Array2<f64> {
        self.points.index_axis(Axis(0), k).to_owned()
    }
}

/// Moves `points` `[n, d]`, which are at time `from`, along `velocity` and records them at
/// `times`, which must be on one side of `from`, in order: increasing goes forward, decreasing
/// backward. A time equal to `from` records the points as they are.
///
/// ```
/// use actum::flow::{Scheme, integrate};
/// use ndarray::array;
///
/// // dx/dt = x: one unit of time multiplies by e.
/// let scheme = Scheme::DormandPrince { tolerance: 1e-9 };
/// let path = integrate(|_, x| x.clone(), &array![[1.0]], 0.0, &[1.0], scheme)?;
/// assert!((path.points[[0, 0, 0]] - 1f64.exp()).abs() < 1e-7);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// Times that are not finite or not monotone away from `from`, a scheme with 0 steps or a
/// tolerance that is not positive, points or velocities that stop being finite.
pub fn integrate(
    velocity: impl Fn(f64, &Array2<f64>) -> Array2<f64>,
    points: &Array2<f64>,
    from: f64,
    times: &[f64],
    scheme: Scheme,
) -> Result<Trajectories> {
    check(from, times, scheme)?;
    let (n, d) = points.dim();
    let mut out = Array3::zeros((times.len(), n, d));
    let mut state = State {
        velocity,
        t: from,
        x: points.clone(),
        first: None,
        evaluations: 0,
    };
    let span = times.last().map_or(0.0, |end| end - from).abs();
    let mut step = None;
    for (k, &until) in times.iter().enumerate() {
        match scheme {
            Scheme::Euler(steps) => state.fixed(&EULER, until, steps, span)?,
            Scheme::Heun(steps) => state.fixed(&HEUN, until, steps, span)?,
            Scheme::RungeKutta4(steps) => state.fixed(&RUNGE_KUTTA_4, until, steps, span)?,
            Scheme::DormandPrince { tolerance } => {
                step = state.adaptive(until, tolerance, step, span)?;
            }
        }
        out.slice_mut(s![k, .., ..]).assign(&state.x);
    }
    Ok(Trajectories {
        times: times.to_vec(),
        points: out,
        evaluations: state.evaluations,
    })
}

/// Moves a cloud, which is at time `from`, along a learned motion and records it at `times`; all
/// in the user's units, except that the tolerance of an adaptive scheme counts in units of the
/// data's spread.
///
/// # Errors
/// As [`integrate`], a cloud of another dimension, and a time outside of the span the dynamics
/// was learned on.
pub fn simulate<A: Action>(
    dynamics: &Dynamics<A>,
    start: &Cloud,
    from: f64,
    times: &[f64],
    scheme: Scheme,
) -> Result<Trajectories> {
    dynamics.check(start.points())?;
    check(from, times, scheme)?;
    let units = &dynamics.units;
    let [first, last] = units.span();
    let slack = 1e-9 * (last - first);
    for &t in times.iter().chain([&from]) {
        ensure!(
            (first - slack..=last + slack).contains(&t),
            Value,
            "time {t} is outside of what was learned, [{first}, {last}]"
        );
    }
    let inner: Vec<f64> = times.iter().map(|t| units.time_in(*t)).collect();
    let mut moved = integrate(
        dynamics.field(),
        &units.points_in(start.points().view()),
        units.time_in(from),
        &inner,
        scheme,
    )?;
    for mut points in moved.points.outer_iter_mut() {
        let user = units.points_out(points.view());
        points.assign(&user);
    }
    moved.times = times.to_vec();
    Ok(moved)
}

fn check(from: f64, times: &[f64], scheme: Scheme) -> Result<()> {
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
        Scheme::Euler(steps) | Scheme::Heun(steps) | Scheme::RungeKutta4(steps) => {
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

struct State<V> {
    velocity: V,
    t: f64,
    x: Array2<f64>,
    /// The velocity at `(t, x)` where the last step ended with it.
    first: Option<Array2<f64>>,
    evaluations: usize,
}

impl<V: Fn(f64, &Array2<f64>) -> Array2<f64>> State<V> {
    /// Steps of equal length to `until`, as many as keep them no longer than `span / steps`.
    fn fixed(&mut self, tableau: &Tableau, until: f64, steps: usize, span: f64) -> Result<()> {
        let distance = until - self.t;
        if distance == 0.0 {
            return Ok(());
        }
        let count = (distance.abs() / span * steps as f64 - 1e-9)
            .ceil()
            .max(1.0);
        let (start, h) = (self.t, distance / count);
        for i in 0..count as usize {
            self.t = start + i as f64 * h;
            let stages = self.stages(tableau, h);
            self.x = advance(&self.x, h, tableau.weights, &stages);
            self.first = None;
            self.finite()?;
        }
        self.t = until;
        Ok(())
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
            let stages = self.stages(&DORMAND_PRINCE, h);
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
                self.t = if last { until } else { self.t + h };
                self.first = stages.into_iter().next_back();
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

    fn stages(&mut self, tableau: &Tableau, h: f64) -> Vec<Array2<f64>> {
        let mut stages: Vec<Array2<f64>> = Vec::with_capacity(tableau.stages.len());
        for (row, node) in tableau.stages.iter().zip(tableau.nodes) {
            let stage = match (stages.is_empty(), self.first.take()) {
                (true, Some(first)) => first,
                _ => {
                    self.evaluations += 1;
                    (self.velocity)(self.t + node * h, &advance(&self.x, h, row, &stages))
                }
            };
            stages.push(stage);
        }
        stages
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
    use ndarray::array;

    use super::*;
    use crate::{
        gaussian::{Gaussian, Moments},
        lagrangian::Lagrangian,
        units::Units,
    };

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
    fn a_gaussian_is_carried_to_its_closed_form() {
        let moments = |t: f64| Moments {
            mean: vec![t * t, 1.0 - t],
            mean_rate: vec![2.0 * t, -1.0],
            deviation: 1.0 + t,
            deviation_rate: 1.0,
        };
        // The oracle lives in [0, 1]; these units are 10 times as long and last 4 times as long.
        let units = Units::isotropic(vec![5.0, 0.0], 10.0, [2.0, 6.0]).unwrap();
        let dynamics = Dynamics::new(
            Gaussian::new(2, moments),
            Lagrangian::kinetic(),
            units,
            burn::tensor::Device::flex(),
        )
        .unwrap();
        let start = Cloud::new(array![[5.0, 10.0], [15.0, 10.0]]).unwrap();
        let moved = simulate(&dynamics, &start, 2.0, &[4.0, 6.0], Scheme::default()).unwrap();
        // In the network's coordinates the points start at (0, 1) and (1, 1), so that z = (0, 0)
        // and (1, 0), and they move to m_t + (1 + t) z.
        for (k, t) in [0.5, 1.0].into_iter().enumerate() {
            let expected = array![
                [5.0 + 10.0 * t * t, 10.0 * (1.0 - t)],
                [5.0 + 10.0 * (t * t + 1.0 + t), 10.0 * (1.0 - t)]
            ];
            let off = (moved.at(k) - expected).mapv(f64::abs);
            assert!(off.iter().all(|e| *e < 2e-3), "{off}");
        }
        let late = simulate(&dynamics, &start, 2.0, &[6.5], Scheme::default()).unwrap_err();
        assert!(late.to_string().contains("[2, 6]"), "{late}");
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
}

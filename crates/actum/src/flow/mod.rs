//! Moving points: Runge-Kutta schemes on a velocity field, with noise, and weights that grow.

mod brownian;
mod scheme;

use ndarray::{Array2, Array3, Axis, concatenate, s};

use crate::{
    action::Action,
    cloud::Cloud,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
};
use scheme::{Noise, check, solve};

pub use scheme::Scheme;

/// Where points were at some times, and what they weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectories {
    /// The times, `[k]`, in the order they were asked for.
    pub times: Vec<f64>,
    /// The points, `[k, n, d]`: row n of every time is the same particle.
    pub points: Array3<f64>,
    /// The weights, `[k, n]`: those of the start, and what has grown on them.
    pub weights: Array2<f64>,
    /// How often the velocity of the whole cloud was evaluated.
    pub evaluations: usize,
}

impl Trajectories {
    /// Points `[k, n, d]` of weight `1/n`.
    pub(crate) fn equal(times: &[f64], points: Array3<f64>, evaluations: usize) -> Self {
        let (count, n, _) = points.dim();
        Self {
            times: times.to_vec(),
            points,
            weights: Array2::from_elem((count, n), 1.0 / n.max(1) as f64),
            evaluations,
        }
    }

    /// The points at the k-th time, `[n, d]`.
    pub fn at(&self, k: usize) -> Array2<f64> {
        self.points.index_axis(Axis(0), k).to_owned()
    }

    /// The weighted points at the k-th time. Where few particles carry most of the weight
    /// ([`Cloud::effective_sample_size`]), [`Cloud::resample`] makes particles of equal weight to
    /// go on from.
    ///
    /// # Errors
    /// All weights have vanished.
    pub fn cloud(&self, k: usize) -> Result<Cloud> {
        Cloud::weighted(self.at(k), self.weights.row(k).to_owned())
            .map_err(|e| e.within(format!("particles at time {}", self.times[k])))
    }

    /// The mass at every time, `[k]`.
    pub fn masses(&self) -> Vec<f64> {
        self.weights.sum_axis(Axis(1)).to_vec()
    }
}

/// Moves `points` `[n, d]` of weight `1/n`, which are at time `from`, along `velocity` and records
/// them at `times`, which must be on one side of `from`, in order: increasing goes forward,
/// decreasing backward. A time equal to `from` records the points as they are.
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
    let solution = solve(velocity, None, points, from, times, scheme)?;
    Ok(Trajectories::equal(
        times,
        solution.states,
        solution.evaluations,
    ))
}

/// Moves `points` `[n, d]` of weight `1/n`, which are at time `from`, by
/// `dx = velocity_t(x) dt + sigma_t dW` and records them at `times`, which must not be before `from`,
/// in order.
///
/// The noise is independent in every row and column. The same seed, `from` and last time give the
/// same noise whatever the steps and the times between.
///
/// ```
/// use actum::flow::{Scheme, diffuse};
/// use ndarray::Array2;
///
/// // dx = -x dt + sqrt(2) dW from 0: the variance at time t is 1 - exp(-2 t).
/// let start = Array2::zeros((5000, 1));
/// let scheme = Scheme::StochasticRungeKutta(50);
/// let path = diffuse(|_, x| -x, |_| 2f64.sqrt(), &start, 0.0, &[1.0], scheme, 0)?;
/// let variance = path.at(0).mapv(|x| x * x).mean().unwrap_or_default();
/// assert!((variance - 0.8647).abs() < 0.07);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// As [`integrate`], a sigma that is negative or not finite, and, where sigma is not 0, times that
/// go backward and a scheme that ignores noise.
pub fn diffuse(
    velocity: impl Fn(f64, &Array2<f64>) -> Array2<f64>,
    sigma: impl Fn(f64) -> f64,
    points: &Array2<f64>,
    from: f64,
    times: &[f64],
    scheme: Scheme,
    seed: u64,
) -> Result<Trajectories> {
    let noise = Noise {
        sigma: &|step| step.map(&sigma),
        columns: points.ncols(),
        seed,
        span: [from, times.last().map_or(from, |last| *last)],
        breaks: &[],
    };
    let solution = solve(velocity, Some(&noise), points, from, times, scheme)?;
    Ok(Trajectories::equal(
        times,
        solution.states,
        solution.evaluations,
    ))
}

/// Moves a cloud, which is at time `from`, as learned and records it at `times`; all in the user's
/// units, except that the tolerance of an adaptive scheme counts in units of the data's spread.
///
/// With noise, points move at random, seeded by `seed`, and the scheme must be one that takes
/// noise ([`Scheme::for_lagrangian`]); the same seed gives the same noise whatever the steps and
/// the times asked for. With growth, weights change as `d log w = lambda s dt`.
///
/// # Errors
/// As [`integrate`], a cloud of another dimension, a time outside of the span the dynamics was
/// learned on, a scheme that ignores noise where there is some, noise backward in time, and
/// weights that all vanish or overflow.
pub fn simulate<A: Action>(
    dynamics: &Dynamics<A>,
    start: &Cloud,
    from: f64,
    times: &[f64],
    scheme: Scheme,
    seed: u64,
) -> Result<Trajectories> {
    dynamics.check(start.points())?;
    check(from, times, scheme)?;
    let (units, lagrangian) = (&dynamics.units, &dynamics.lagrangian);
    units.check_times(times.iter().chain([&from]))?;
    let inner: Vec<f64> = times.iter().map(|t| units.time_in(*t)).collect();
    let (n, d) = start.points().dim();
    let evaluator = dynamics.evaluator();
    let mut state = units.points_in(start.points().view());
    if lagrangian.grows() {
        // The last column is the logarithm of what has grown on a weight.
        state = concatenate![Axis(1), state, Array2::zeros((n, 1))];
    }
    let field = |t: f64, state: &Array2<f64>| {
        if !lagrangian.grows() {
            return evaluator.velocity(t, state);
        }
        let points = state.slice(s![.., ..d]).as_standard_layout().into_owned();
        let (velocity, growth) = evaluator.velocity_and_growth(t, &points);
        concatenate![Axis(1), velocity, growth.insert_axis(Axis(1))]
    };
    let sigma = |step: [f64; 2]| evaluator.scaled.sigma(step);
    let noise = lagrangian.is_noisy().then(|| Noise {
        sigma: &sigma,
        columns: d,
        seed,
        span: [0.0, 1.0],
        breaks: units.warp_knots(),
    });
    let solution = solve(
        field,
        noise.as_ref(),
        &state,
        units.time_in(from),
        &inner,
        scheme,
    )
    .map_err(|e| match e.kind() {
        ErrorKind::Diverged => e.within("in the network's time, 0 to 1 over the span"),
        _ => e,
    })?;

    let mut points = Array3::zeros((times.len(), n, d));
    let mut weights = Array2::zeros((times.len(), n));
    for (k, state) in solution.states.outer_iter().enumerate() {
        let user = units.points_out(state.slice(s![.., ..d]));
        points.index_axis_mut(Axis(0), k).assign(&user);
        let mut row = weights.row_mut(k);
        row.assign(start.weights());
        if lagrangian.grows() {
            row *= &state.column(d).mapv(f64::exp);
        }
        let mass = row.sum();
        if !(mass > 0.0 && mass.is_finite()) {
            return Err(Error::new(
                ErrorKind::Diverged,
                format!(
                    "all weights {} by time {}: the learned growth is too strong there; start \
                     later, or fit with a smaller growth",
                    if mass == 0.0 { "vanish" } else { "overflow" },
                    times[k]
                ),
            ));
        }
    }
    Ok(Trajectories {
        times: times.to_vec(),
        points,
        weights,
        evaluations: solution.evaluations,
    })
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

    #[test]
    fn a_gaussian_is_carried_to_its_closed_form() {
        let moments = |t: f64| Moments {
            mean: vec![t * t, 1.0 - t],
            mean_rate: vec![2.0 * t, -1.0],
            std_dev: 1.0 + t,
            std_dev_rate: 1.0,
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
        let moved = simulate(&dynamics, &start, 2.0, &[4.0, 6.0], Scheme::default(), 0).unwrap();
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
        let late = simulate(&dynamics, &start, 2.0, &[6.5], Scheme::default(), 0).unwrap_err();
        assert!(late.to_string().contains("[2, 6]"), "{late}");
    }

    #[test]
    fn weights_that_all_vanish_are_an_error_that_says_when() {
        let still = |_: f64| Moments {
            mean: vec![0.0],
            mean_rate: vec![0.0],
            std_dev: 1.0,
            std_dev_rate: 0.0,
        };
        let dying = |rate: f64| {
            Dynamics::new(
                Gaussian::new(1, still)
                    .under(0.0, 1.0)
                    .with_mass(move |t| [(rate * t).exp(), rate * (rate * t).exp()]),
                Lagrangian::kinetic().growth(1.0).unwrap(),
                Units::identity(1),
                burn::tensor::Device::flex(),
            )
            .unwrap()
        };
        let run = |rate, unit: f64| {
            let start = Cloud::weighted(array![[0.1], [0.2]], array![3.0, 1.0] * unit).unwrap();
            let scheme = Scheme::RungeKutta4(20);
            simulate(&dying(rate), &start, 0.0, &[0.5, 1.0], scheme, 0)
        };
        let moved = run(-2.0, 1.0).unwrap();
        for (mass, t) in moved.masses().iter().zip([0.5, 1.0]) {
            assert!((mass / (4.0 * (-2.0_f64 * t).exp()) - 1.0).abs() < 1e-3);
        }
        assert!((moved.cloud(1).unwrap().effective_sample_size() - 1.6).abs() < 1e-3);
        let error = run(-100.0, 1e-290).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged);
        let text = error.to_string();
        assert!(text.contains("all weights vanish by time 1"), "{text}");
    }
}

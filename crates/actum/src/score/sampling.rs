//! Drawing from densities by their scores.

use std::cell::RefCell;

use ndarray::{Array2, Array3, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::{
    error::{Error, Result, ensure},
    flow::{Scheme, Trajectories, diffuse, integrate},
    path::Process,
};

/// Moves `points` `[n, d]`, which are at time `from` of a process, backward to `times` by the process
/// in reverse,
///
/// `dx = [f x - g^2 score] dt + g dW`
///
/// with t going down from `from` (Anderson 1982; Song et al., ICLR 2021, equation 6). `score` gives
/// `grad log q_t` at points `[n, d]`, such as [`Score::at`](super::Score::at). From the
/// [prior](Process::prior) at time 1 it draws data. The scheme must be one that takes noise; the
/// same seed, `from` and last time give the same noise whatever the steps and the times between.
///
/// # Errors
/// Times outside of [0, 1] or not in decreasing order, a scheme that ignores noise, a score that
/// fails or is of another shape than the points, and points that stop being finite.
pub fn reverse(
    process: Process,
    score: impl Fn(f64, &Array2<f64>) -> Result<Array2<f64>>,
    points: &Array2<f64>,
    from: f64,
    times: &[f64],
    scheme: Scheme,
    seed: u64,
) -> Result<Trajectories> {
    check_times(from, times)?;
    let all = std::iter::once(&from).chain(times);
    ensure!(
        all.is_sorted_by(|a, b| a >= b),
        Value,
        "a process in reverse goes from later to earlier times, got {times:?} from {from}"
    );
    let score = Watched::new(score);
    // The solver goes forward: its time is 1 - t.
    let velocity = |tau: f64, x: &Array2<f64>| {
        let t = 1.0 - tau;
        let g = process.g(t);
        score.at(t, x) * (g * g) - x * process.f(t)
    };
    let sigma = |tau: f64| process.g(1.0 - tau);
    let ends: Vec<f64> = times.iter().map(|t| 1.0 - t).collect();
    let moved = diffuse(velocity, sigma, points, 1.0 - from, &ends, scheme, seed);
    Ok(Trajectories {
        times: times.to_vec(),
        ..score.outcome(moved)?
    })
}

/// Moves `points` `[n, d]`, which are at time `from` of a process, to `times` without noise, forward
/// or backward, along the flow that has the same densities:
///
/// `dx/dt = f x - g^2/2 score`
///
/// (Song et al., ICLR 2021, equation 13). `score` is as for [`reverse`]; that of a learned one is also a
/// motion like others, [`Score::motion`](super::Score::motion).
///
/// # Errors
/// As [`integrate`], times outside of [0, 1], and a score that fails or is of another shape than the
/// points.
pub fn probability_flow(
    process: Process,
    score: impl Fn(f64, &Array2<f64>) -> Result<Array2<f64>>,
    points: &Array2<f64>,
    from: f64,
    times: &[f64],
    scheme: Scheme,
) -> Result<Trajectories> {
    check_times(from, times)?;
    let score = Watched::new(score);
    let velocity = |t: f64, x: &Array2<f64>| {
        let g = process.g(t);
        x * process.f(t) - score.at(t, x) * (0.5 * g * g)
    };
    let moved = integrate(velocity, points, from, times, scheme);
    score.outcome(moved)
}

/// How long a step of [`langevin`] is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Always this, in squared units of the points.
    Fixed(f64),
    /// So that what the score moves the points is this times what the noise does, both as root mean
    /// squares over the points: `step = 4 ratio^2 d / E|score|^2` (Song et al., ICLR 2021, algorithms
    /// 4 and 5, where 0.16 serves most data). A Gaussian then comes out with `1 + ratio^2` times its
    /// variance.
    SignalToNoise(f64),
}

/// Draws from `q_t` at one of `times` after the other by annealed Langevin dynamics: at each, `steps`
/// times
///
/// `x <- x + step/2 score(t, x) + sqrt(step) z`,   z standard Gaussian
///
/// (Song and Ermon, *Generative modeling by estimating gradients of the data distribution*, NeurIPS
/// 2019, algorithm 1), and records the points, `[n, d]`. Times may go either way: down the noise of a
/// process, or along a population from its first density to the last. The same seed gives the same
/// bits.
///
/// # Errors
/// No steps, a step or ratio that is not positive and finite, times that are not finite, a score that
/// fails or is of another shape than the points, and points that stop being finite.
pub fn langevin(
    score: impl Fn(f64, &Array2<f64>) -> Result<Array2<f64>>,
    points: &Array2<f64>,
    times: &[f64],
    steps: usize,
    step: Step,
    seed: u64,
) -> Result<Trajectories> {
    ensure!(
        steps > 0,
        Setting,
        "Langevin dynamics needs at least one step, got 0"
    );
    let (Step::Fixed(size) | Step::SignalToNoise(size)) = step;
    ensure!(
        size.is_finite() && size > 0.0,
        Setting,
        "the step of Langevin dynamics must be positive and finite, got {step:?}"
    );
    ensure!(
        times.iter().all(|t| t.is_finite()),
        Value,
        "times must be finite, got {times:?}"
    );
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x = points.clone();
    let mut recorded = Array3::zeros((times.len(), x.nrows(), x.ncols()));
    for (k, t) in times.iter().enumerate() {
        for _ in 0..steps {
            let score = score(*t, &x)?;
            check_shape(&score, &x)?;
            let length = match step {
                Step::Fixed(length) => length,
                Step::SignalToNoise(ratio) => {
                    let squares: f64 = score.iter().map(|s| s * s).sum();
                    ensure!(
                        squares > 0.0 || x.is_empty(),
                        Diverged,
                        "the score is 0 at all points at time {t}: no step has a ratio of {ratio}; \
                         use Step::Fixed"
                    );
                    4.0 * ratio * ratio * x.len() as f64 / squares
                }
            };
            x.scaled_add(0.5 * length, &score);
            let width = length.sqrt();
            x.mapv_inplace(|x| x + width * rng.sample::<f64, _>(StandardNormal));
            let lost = x
                .rows()
                .into_iter()
                .position(|x| !x.iter().all(|x| x.is_finite()));
            ensure!(
                lost.is_none(),
                Diverged,
                "point {} left the finite numbers at time {t} after a step of {length}; use a smaller \
                 one",
                lost.unwrap_or_default()
            );
        }
        recorded.index_axis_mut(Axis(0), k).assign(&x);
    }
    Ok(Trajectories::equal(times, recorded, times.len() * steps))
}

fn check_times(from: f64, times: &[f64]) -> Result<()> {
    for t in std::iter::once(&from).chain(times) {
        ensure!(
            (0.0..=1.0).contains(t),
            Value,
            "a process runs in times [0, 1], got {t}"
        );
    }
    Ok(())
}

fn check_shape(score: &Array2<f64>, points: &Array2<f64>) -> Result<()> {
    ensure!(
        score.dim() == points.dim(),
        Shape,
        "the score must have the shape of the points, {:?}, got {:?}",
        points.dim(),
        score.dim()
    );
    Ok(())
}

/// A score that may fail inside of a solver that cannot: after a failure it is NaN, which ends the
/// solver.
struct Watched<S> {
    score: S,
    failure: RefCell<Option<Error>>,
}

impl<S: Fn(f64, &Array2<f64>) -> Result<Array2<f64>>> Watched<S> {
    fn new(score: S) -> Self {
        Self {
            score,
            failure: RefCell::new(None),
        }
    }

    fn at(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        let lost = Array2::from_elem(points.dim(), f64::NAN);
        if self.failure.borrow().is_some() {
            return lost;
        }
        let score = (self.score)(t, points);
        let score = score.and_then(|score| check_shape(&score, points).map(|()| score));
        score.unwrap_or_else(|error| {
            *self.failure.borrow_mut() = Some(error);
            lost
        })
    }

    /// What the solver returned, or why the score failed.
    fn outcome<T>(self, solved: Result<T>) -> Result<T> {
        self.failure.into_inner().map_or(solved, Err)
    }
}

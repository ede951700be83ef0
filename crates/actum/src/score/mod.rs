//! Score matching, the baseline of Action Matching: scores `grad log q_t(x)` by the same objective
//! on other paths.
//!
//! The objective of a path with velocity u is `E[ |grad s|^2/2 - u . grad s + sigma^2/2 Lap s ]`. It
//! is least where `grad s` is the mean of u at x, plus `sigma^2/2 grad log q_t`. So a score is what
//! [`fit::fit`] learns from a path whose u has it for a mean (denoising), or from one that
//! stands still under noise (sliced): docs/mathematics.md, section 13. A score does not move a
//! population by itself; samplers use it to draw from a density, and where the process is known that
//! dissolves data in noise, it also tells the [motion](Score::motion).
//!
//! ```
//! use actum::{action::Mlp, cloud::Cloud, fit, flow::Scheme, path::{Diffusion, Process}};
//! use actum::{score, tensor::Device, units::Units};
//! use ndarray::array;
//! use rand::SeedableRng;
//!
//! // Two points, of which the second weighs three times as much, dissolve in noise ...
//! let process = Process::default();
//! let data = Cloud::weighted(array![[-1.0], [1.0]], array![1.0, 3.0])?;
//! let path = Diffusion::new(process, data, 1e-2)?;
//! // ... whose score a network learns ...
//! let units = Units::isotropic(vec![0.0], 1.0, [1e-2, 1.0])?;
//! let problem = score::Problem::denoising(&path, units)?;
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let network = Mlp::new(1, 32, 2, &Device::flex(), &mut rng)?;
//! let brief = fit::Options { steps: 500, batch: 256, ..Default::default() };
//! let options = fit::Options { learning_rate: 1e-2, ema_decay: 0.9, ..brief };
//! let learned = score::fit(network, &problem, &options, &mut ())?;
//! // ... so that noise can be turned into data.
//! let noise = process.prior([400, 1], 0);
//! let field = |t: f64, x: &_| learned.at(t, x);
//! let drawn = score::reverse(process, field, &noise, 1.0, &[1e-2], Scheme::Euler(200), 1)?;
//! let right = drawn.at(0).iter().filter(|x| **x > 0.0).count();
//! assert!((260..340).contains(&right), "{right}");
//! # Ok::<(), actum::error::Error>(())
//! ```

mod motion;
mod sampling;

use burn::module::Module;
use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

pub use motion::ProbabilityFlowAction;
pub use sampling::{Step, langevin, probability_flow, reverse};

use crate::{
    action::Action,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    fit,
    lagrangian::{Lagrangian, Noise},
    objective::{self, Estimator, Weight},
    path::{Path, PathSample, Process},
    units::Units,
};

/// Which score is to be learned, and how.
///
/// The network learns the score in its own coordinates, so that its gradient is of order one. Along a
/// diffusion of data, whose score grows without bound as the noise vanishes, it learns `sigma_t` times
/// that, the mean of unit noise: so the error of the score is weighted by `sigma_t^2`. Any
/// [`Units`] give the same score; their time warp decides which times count more.
pub struct Problem<'a> {
    path: Target<'a>,
    lagrangian: Lagrangian,
    /// How much every time counts.
    weight: Weight,
}

impl<'a> Problem<'a> {
    /// The score of every `q_t` of data under a [process](Path::process), such as a
    /// [`Diffusion`](crate::path::Diffusion) or [images](crate::path::ImagePath) under
    /// one, by denoising: its mean square error weighted by `sigma_t^2` (Song et al., ICLR 2021,
    /// equation 7; Vincent 2011).
    ///
    /// # Errors
    /// A path that is no diffusion of data.
    pub fn denoising(path: &'a dyn Path, units: Units) -> Result<Self> {
        let process = path.process().ok_or_else(|| {
            let what = "denoising needs a path of data that dissolve in noise; for the score of another \
                        use `Problem::blurred` or `Problem::sliced`";
            Error::new(ErrorKind::Setting, what)
        })?;
        let source = Source::Denoising(path, process);
        Ok(Self::new(source, Lagrangian::kinetic(), units))
    }

    /// The score of `q_t` blurred by Gaussian noise of standard deviation `sigma`, in units of
    /// distance, for every t of a path, by denoising (Vincent, *A connection between score matching
    /// and denoising autoencoders*, 2011, section 4).
    ///
    /// The variance of a draw goes with `1/sigma^2`, the bias in the score with `sigma^2`.
    ///
    /// # Errors
    /// A sigma that is not positive and finite, or a path with masses.
    pub fn blurred(path: &'a dyn Path, sigma: f64, units: Units) -> Result<Self> {
        ensure!(
            sigma.is_finite() && sigma > 0.0,
            Value,
            "denoising needs noise of a positive and finite sigma, got {sigma}; without noise use \
             `Problem::sliced`"
        );
        without_mass(path)?;
        let source = Source::Blurred(path, sigma);
        Ok(Self::new(source, Lagrangian::kinetic(), units))
    }

    /// The score of `q_t` itself for every t of a path, without noise: Hyvärinen's score matching
    /// (2005, theorem 1), in one and two columns by the exact Laplacian, in more by one random
    /// vector for every point (Song, Garg, Shi and Ermon, *Sliced score matching*, UAI 2019, section 3,
    /// with variance reduction).
    ///
    /// `q_t` must have a density: on finitely many points the objective has no lower bound.
    ///
    /// # Errors
    /// A path with masses, or a time warp whose intervals are too short to be told apart.
    pub fn sliced(path: &'a dyn Path, units: Units) -> Result<Self> {
        without_mass(path)?;
        // sigma^2 / 2 = strength, constant between the knots of the time warp, at which it jumps.
        let (mut times, mut sigmas) = (vec![], vec![]);
        for ends in units.warp_knots().windows(2) {
            let (start, end) = (units.time_out(ends[0]), units.time_out(ends[1]));
            let sigma = (2.0 * strength(&units, 0.5 * (start + end))).sqrt();
            times.extend([0.0, 1.0].map(|side| {
                let share = side + EDGE * (1.0 - 2.0 * side);
                (1.0 - share) * start + share * end
            }));
            sigmas.extend([sigma; 2]);
        }
        let noise = Noise::linear(times, sigmas)?;
        let lagrangian = Lagrangian::kinetic().noise_over_time(noise);
        Ok(Self::new(Source::Sliced(path), lagrangian, units))
    }

    fn new(source: Source<'a>, lagrangian: Lagrangian, units: Units) -> Self {
        Self {
            path: Target { source, units },
            lagrangian,
            weight: Weight::uniform(),
        }
    }

    /// The same with times of unequal weight, on top of those above.
    pub fn weighted(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// The problem of motion that has the same solution, for [`fit::resume`] and
    /// [`Objective`](objective::Objective). The estimator must be `velocity`.
    ///
    /// In the network's units its objective is least at minus half of the mean square of what the
    /// network learns.
    pub fn as_motion(&self) -> objective::Problem<'_> {
        let units = self.path.units.clone();
        objective::Problem::new(&self.path, self.lagrangian.clone(), units)
            .weighted(self.weight.clone())
    }

    /// The score in what was fitted to [this problem of motion](Self::as_motion).
    ///
    /// # Errors
    /// A dynamics of another Lagrangian or other units than the problem's.
    pub fn score<A: Action>(&self, dynamics: Dynamics<A>) -> Result<Score<A>> {
        ensure!(
            dynamics.units == self.path.units && dynamics.lagrangian == self.lagrangian,
            Setting,
            "the dynamics was not fitted to this problem: its units or its Lagrangian are others"
        );
        let process = match self.path.source {
            Source::Denoising(_, process) => Some(process),
            _ => None,
        };
        Ok(Score::new(dynamics, process))
    }
}

/// The part of an interval of the time warp at either end where the noise of `sliced` goes over
/// into that of the next.
const EDGE: f64 = 1e-6;

/// `length^2 warp'(t)`: as a velocity of the network this times the score is the score in its
/// coordinates.
fn strength(units: &Units, t: f64) -> f64 {
    units.length() * units.length() * units.rate(t)
}

fn without_mass(path: &dyn Path) -> Result<()> {
    ensure!(
        !path.has_mass(),
        Setting,
        "the path has masses, and a score is that of a density alone; give it without"
    );
    Ok(())
}

/// Learns the score of a problem, as [`fit::fit`] learns motion.
///
/// # Errors
/// As [`fit::fit`], and the estimator `samples`, which would learn how `q_t` moves.
pub fn fit<A: Action + Module>(
    network: A,
    problem: &Problem,
    options: &fit::Options,
    observer: &mut dyn fit::Observer,
) -> Result<Score<A>> {
    ensure!(
        options.estimator == Estimator::Velocity,
        Setting,
        "a score is learned by the estimator `velocity`, got `samples`, which learns motion"
    );
    let dynamics = fit::fit(network, &problem.as_motion(), options, observer)?;
    problem.score(dynamics)
}

/// A learned score.
#[derive(Debug, Clone)]
pub struct Score<A> {
    dynamics: Dynamics<A>,
    /// What the score was multiplied with `sigma_t / length` of.
    process: Option<Process>,
}

impl<A: Action> Score<A> {
    /// The score in [what was fitted](Self::dynamics), such as from a file: by
    /// [denoising](Problem::denoising) under a process, or otherwise.
    pub fn new(dynamics: Dynamics<A>, process: Option<Process>) -> Self {
        Self { dynamics, process }
    }

    /// `grad log q_t(x)` at time `t` of every point, `[n, d]`, per unit of the user's coordinates.
    ///
    /// # Errors
    /// Points of another dimension, a time outside of what was learned.
    pub fn at(&self, t: f64, points: &Array2<f64>) -> Result<Array2<f64>> {
        let units = &self.dynamics.units;
        let gradients = self.dynamics.velocity(t, points)?;
        let width = self
            .process
            .map_or(1.0, |process| process.sigma(t)[0] / units.length());
        let scale = units.scale();
        Ok(gradients / (width * strength(units, t)) / (&scale * &scale))
    }

    /// What was fitted, a multiple of the score as if it were a velocity, for a file.
    pub fn dynamics(&self) -> &Dynamics<A> {
        &self.dynamics
    }
}

enum Source<'a> {
    Denoising(&'a dyn Path, Process),
    Blurred(&'a dyn Path, f64),
    Sliced(&'a dyn Path),
}

/// The path whose velocities have what is learned for a mean, or are 0 where noise does the same.
struct Target<'a> {
    source: Source<'a>,
    units: Units,
}

impl Target<'_> {
    fn source(&self) -> &dyn Path {
        match self.source {
            Source::Denoising(path, _) | Source::Blurred(path, _) | Source::Sliced(path) => path,
        }
    }
}

impl Path for Target<'_> {
    fn dimension(&self) -> usize {
        self.source().dimension()
    }

    fn span(&self) -> [f64; 2] {
        self.source().span()
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let scale = self.units.scale();
        // The score of a point given where it came from is -eps / sigma; velocities are that, times
        // `strength` and the squares of the scales.
        let (points, mut velocities) = match self.source {
            Source::Denoising(path, process) => {
                let draw = path.sample(times, rng);
                let mut noise = draw.velocities.expect("a diffusion has velocities");
                let rows = noise.rows_mut().into_iter().zip(draw.points.rows());
                for ((mut row, point), t) in rows.zip(times) {
                    row.scaled_add(-process.f(*t), &point);
                    row /= process.push_of_noise(*t);
                }
                let noise = noise * (&scale * &scale) / -self.units.length();
                (draw.points, noise)
            }
            Source::Blurred(path, sigma) => {
                let points = path.sample(times, rng).points;
                let noise: Array2<f64> =
                    Array2::from_shape_simple_fn(points.dim(), || rng.sample(StandardNormal));
                let noise = noise * &scale;
                (points + &noise * sigma, noise / -sigma)
            }
            Source::Sliced(path) => {
                let points = path.sample(times, rng).points;
                let velocities = Array2::zeros(points.dim());
                (points, velocities)
            }
        };
        for (mut row, t) in velocities.rows_mut().into_iter().zip(times) {
            row *= strength(&self.units, *t);
        }
        PathSample::new(points).with_velocities(velocities)
    }

    fn advance(&self, step: usize) -> Result<()> {
        self.source().advance(step)
    }
}

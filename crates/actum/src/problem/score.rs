//! Scores as motions: paths whose velocities have the score for a mean.
//!
//! The objective of a path with velocity u is `E[ |grad s|^2/2 - u . grad s + sigma^2/2 Lap s ]`.
//! It is least where `grad s` is the mean of u at x, plus `sigma^2/2 grad log q_t`. So a score is
//! learned from a path whose u has it for a mean (denoising), or from one that stands still under
//! noise (sliced): docs/mathematics.md, section 13.

use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::Problem;
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::{Lagrangian, Noise},
    path::{Path, PathSample, Process},
    units::Units,
};

/// What the gradient of the action is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// The velocity of the population.
    Motion,
    /// The score, times `sigma_t / length` of a process where data dissolve in one.
    Score(Option<Process>),
}

/// Scores. The network learns the score in its own coordinates, so that its gradient is of order
/// one. The estimator must be [`Velocity`](super::Estimator::Velocity);
/// [`Score::of`](crate::score::Score::of) takes the score out of what was fitted.
impl<'a> Problem<'a> {
    /// The score of every `q_t` of data under a [process](Path::process), such as a
    /// [`Diffusion`](crate::path::Diffusion) or [images](crate::path::ImagePath) under
    /// one, by denoising: its mean square error weighted by `sigma_t^2` (Song et al., ICLR 2021,
    /// equation 7; Vincent 2011).
    ///
    /// The score grows without bound as the noise vanishes, so the network learns `sigma_t` times
    /// that, the mean of unit noise. Any units give the same score; their time warp decides which
    /// times count more.
    ///
    /// # Errors
    /// A path that is no diffusion of data.
    pub fn denoising(path: impl Path + 'a, units: Units) -> Result<Self> {
        let process = path.process().ok_or_else(|| {
            let what = "denoising needs a path of data that dissolve in noise; for the score of \
                        another use `Problem::blurred` or `Problem::sliced`";
            Error::new(ErrorKind::Setting, what)
        })?;
        let kind = Kind::Denoising(process);
        Ok(Self::of_score(path, kind, Lagrangian::kinetic(), units))
    }

    /// The score of `q_t` blurred by Gaussian noise of standard deviation `sigma`, in units of
    /// distance, for every t of a path, by denoising (Vincent, *A connection between score matching
    /// and denoising autoencoders*, 2011, section 4).
    ///
    /// The variance of a draw goes with `1/sigma^2`, the bias in the score with `sigma^2`.
    ///
    /// # Errors
    /// A sigma that is not positive and finite, or a path with masses.
    pub fn blurred(path: impl Path + 'a, sigma: f64, units: Units) -> Result<Self> {
        ensure!(
            sigma.is_finite() && sigma > 0.0,
            Value,
            "denoising needs noise of a positive and finite sigma, got {sigma}; without noise use \
             `Problem::sliced`"
        );
        without_mass(&path)?;
        let kind = Kind::Blurred(sigma);
        Ok(Self::of_score(path, kind, Lagrangian::kinetic(), units))
    }

    /// The score of `q_t` itself for every t of a path, without noise: Hyvärinen's score matching
    /// (2005, theorem 1), in one and two columns by the exact Laplacian, in more by one random
    /// vector for every point (Song, Garg, Shi and Ermon, *Sliced score matching*, UAI 2019,
    /// section 3, with variance reduction).
    ///
    /// `q_t` must have a density: on finitely many points the objective has no lower bound.
    ///
    /// # Errors
    /// A path with masses, or a time warp whose intervals are too short to be told apart.
    pub fn sliced(path: impl Path + 'a, units: Units) -> Result<Self> {
        without_mass(&path)?;
        // sigma^2 / 2 = `Units::of_score`, constant between the knots of the time warp, at which it jumps.
        let (mut times, mut sigmas) = (vec![], vec![]);
        for ends in units.warp_knots().windows(2) {
            let (start, end) = (units.time_out(ends[0]), units.time_out(ends[1]));
            let sigma = (2.0 * units.of_score(0.5 * (start + end))).sqrt();
            times.extend([0.0, 1.0].map(|side| {
                let share = side + EDGE * (1.0 - 2.0 * side);
                (1.0 - share) * start + share * end
            }));
            sigmas.extend([sigma; 2]);
        }
        let noise = Noise::linear(times, sigmas)?;
        let lagrangian = Lagrangian::kinetic().noise_over_time(noise);
        Ok(Self::of_score(path, Kind::Sliced, lagrangian, units))
    }

    fn of_score(path: impl Path + 'a, kind: Kind, lagrangian: Lagrangian, units: Units) -> Self {
        let process = match kind {
            Kind::Denoising(process) => Some(process),
            Kind::Blurred(_) | Kind::Sliced => None,
        };
        let path = ScorePath {
            path,
            kind,
            units: units.clone(),
        };
        Self {
            goal: Goal::Score(process),
            ..Self::new(path, lagrangian, units)
        }
    }
}

/// The part of an interval of the time warp at either end where the noise of `sliced` goes over
/// into that of the next.
const EDGE: f64 = 1e-6;

fn without_mass(path: &impl Path) -> Result<()> {
    ensure!(
        !path.has_mass(),
        Setting,
        "the path has masses, and a score is that of a density alone; give it without"
    );
    Ok(())
}

enum Kind {
    Denoising(Process),
    Blurred(f64),
    Sliced,
}

/// The path whose velocities have what is learned for a mean, or are 0 where noise does the same.
struct ScorePath<P> {
    path: P,
    kind: Kind,
    units: Units,
}

impl<P: Path> Path for ScorePath<P> {
    fn dimension(&self) -> usize {
        self.path.dimension()
    }

    fn span(&self) -> [f64; 2] {
        self.path.span()
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let scale = self.units.scale();
        let draw = self.path.sample(times, rng);
        // The score of a point given where it came from is -eps / sigma; velocities are that, times
        // `Units::of_score` and the squares of the scales.
        let (points, mut velocities) = match self.kind {
            Kind::Denoising(process) => {
                let mut noise = draw.velocities.expect("a diffusion has velocities");
                let rows = noise.rows_mut().into_iter().zip(draw.points.rows());
                for ((mut row, point), t) in rows.zip(times) {
                    row.scaled_add(-process.f(*t), &point);
                    row /= process.push_of_noise(*t);
                }
                let noise = noise * (&scale * &scale) / -self.units.length();
                (draw.points, noise)
            }
            Kind::Blurred(sigma) => {
                let points = draw.points;
                let noise: Array2<f64> =
                    Array2::from_shape_simple_fn(points.dim(), || rng.sample(StandardNormal));
                let noise = noise * &scale;
                (points + &noise * sigma, noise / -sigma)
            }
            Kind::Sliced => {
                let velocities = Array2::zeros(draw.points.dim());
                (draw.points, velocities)
            }
        };
        for (mut row, t) in velocities.rows_mut().into_iter().zip(times) {
            row *= self.units.of_score(*t);
        }
        PathSample::new(points).with_velocities(velocities)
    }

    fn advance(&self, step: usize) -> Result<()> {
        self.path.advance(step)
    }
}

//! Paths `q_t`: populations that can be sampled at any time, some with a velocity.

mod cumulative;
mod custom;
mod diffusion;
mod images;
mod interpolant;
mod sharded;

use ndarray::{Array1, Array2};
use rand::Rng;

pub use custom::FnPath;
pub use diffusion::{Diffusion, Process};
pub use images::{Degradation, ImagePath, Mask};
pub(crate) use interpolant::MeanPath;
pub use interpolant::{Coupling, Field, Interpolant, Interpolation};
pub use sharded::Sharded;

use crate::error::Result;

/// Points drawn from a [`Path`], one for every requested time.
#[derive(Debug, Clone)]
pub struct PathSample {
    /// The points, `[n, d]`.
    pub points: Array2<f64>,
    /// `dX/dt` along the path for fixed randomness, `[n, d]`, where the path has one.
    pub velocities: Option<Array2<f64>>,
    /// The masses, where the path has mass.
    pub masses: Option<Masses>,
}

/// The masses of drawn points. The mean of `m f(x)` over draws at a time is `M_t E_qt[f]`.
#[derive(Debug, Clone)]
pub struct Masses {
    /// `m >= 0`, `[n]`.
    pub values: Array1<f64>,
    /// `dm/dt` along the path for fixed randomness, `[n]`; needed where the path has velocities.
    pub rates: Option<Array1<f64>>,
}

impl PathSample {
    /// Points alone, `[n, d]`.
    pub fn new(points: Array2<f64>) -> Self {
        Self {
            points,
            velocities: None,
            masses: None,
        }
    }

    /// The same with velocities, `[n, d]`.
    pub fn with_velocities(self, velocities: Array2<f64>) -> Self {
        Self {
            velocities: Some(velocities),
            ..self
        }
    }

    /// The same with masses.
    pub fn with_masses(self, masses: Masses) -> Self {
        Self {
            masses: Some(masses),
            ..self
        }
    }
}

/// A family of densities `q_t` for `t` in a span, known through samples.
///
/// Everything is in the user's units: points `[n, d]`, real times. Where the path has mass, draws
/// are weighted by it.
pub trait Path: Sync {
    /// The number of columns, d.
    fn dimension(&self) -> usize;

    /// The first and the last time.
    fn span(&self) -> [f64; 2];

    /// Whether draws carry velocities: all draws of a path do, or none.
    fn has_velocity(&self) -> bool;

    /// Whether draws carry masses. The total mass may change in time, or mass may move between
    /// places without travelling. Both need growth in the Lagrangian.
    fn has_mass(&self) -> bool {
        false
    }

    /// The process whose draws are `alpha_t x + sigma_t eps` with velocity `alpha_t' x + sigma_t'
    /// eps`, for data x and standard Gaussian eps. None for paths that are not a diffusion of data.
    fn process(&self) -> Option<Process> {
        None
    }

    /// The distance that points travel: increasing times from the first to the last, `[K]`, and a
    /// typical distance between each and the next, `[K - 1]`, in any unit. A time warp slows time
    /// in proportion to it ([`Units::warped`](crate::units::Units::warped)). None where it is not
    /// known.
    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        None
    }

    /// One point of `q_t` for each of `times`, `[n]`, all within the span; the points are
    /// independent of each other.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample;

    /// Prepares the draws of a step of a fit; `step` counts the steps before it. Draws may depend
    /// on this number and on no other history, because a fit can roll back or be resumed. This and
    /// the draws may run on another thread while the previous step is computed.
    ///
    /// # Errors
    /// What the path needs for the step is not available; the fit ends with that error.
    fn advance(&self, _step: usize) -> Result<()> {
        Ok(())
    }

    /// What one of the [parts](crate::machines::Parts) of a step draws from, where that is not the
    /// path itself.
    fn part(&self, _part: usize) -> Option<&dyn Path> {
        None
    }
}

impl<P: Path + ?Sized> Path for &P {
    fn dimension(&self) -> usize {
        (**self).dimension()
    }

    fn span(&self) -> [f64; 2] {
        (**self).span()
    }

    fn has_velocity(&self) -> bool {
        (**self).has_velocity()
    }

    fn has_mass(&self) -> bool {
        (**self).has_mass()
    }

    fn process(&self) -> Option<Process> {
        (**self).process()
    }

    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        (**self).arc_length()
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        (**self).sample(times, rng)
    }

    fn advance(&self, step: usize) -> Result<()> {
        (**self).advance(step)
    }

    fn part(&self, part: usize) -> Option<&dyn Path> {
        (**self).part(part)
    }
}

//! `q_t`: a population that can be sampled at any time, sometimes with a velocity.

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
pub use interpolant::{Coupling, Interpolant, Interpolation};
pub use sharded::Sharded;

use crate::error::Result;

/// Points drawn from a [`Path`], one for every time asked for.
#[derive(Debug, Clone)]
pub struct PathSample {
    /// The points, `[n, d]`.
    pub points: Array2<f64>,
    /// `dX/dt` along the path for fixed randomness, `[n, d]`, where the path has one.
    pub velocities: Option<Array2<f64>>,
    /// The masses, where the path has mass.
    pub masses: Option<Masses>,
}

/// The masses of drawn points: the mean of `m f(x)` over draws at a time is `M_t E_qt[f]`.
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
/// Everything is in the user's units: points `[n, d]`, times real. Where the path has mass, draws
/// are weighted by it.
pub trait Path: Sync {
    /// The number of columns, d.
    fn dimension(&self) -> usize;

    /// The first and the last time.
    fn span(&self) -> [f64; 2];

    /// Whether draws carry velocities: every draw of a path does, or none.
    fn has_velocity(&self) -> bool;

    /// Whether draws carry masses. The total mass may change in time, or mass may move from one
    /// place to another without travelling; both need growth in the Lagrangian.
    fn has_mass(&self) -> bool {
        false
    }

    /// The process whose `alpha_t x + sigma_t eps` with velocity `alpha_t' x + sigma_t' eps` draws are,
    /// x the data and eps a standard Gaussian: None for paths that are no diffusion of data.
    fn process(&self) -> Option<Process> {
        None
    }

    /// One point of `q_t` for each of `times`, `[n]`, all within the span; the points are
    /// independent of each other.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample;

    /// Is called before the draws of every step of a fit with the number of steps before it: what is
    /// drawn may depend on it, and on it alone, for a fit can roll back or be resumed. Both may
    /// happen on another thread while the step before is computed.
    ///
    /// # Errors
    /// What the path needs for the step cannot be had; the fit ends with that error.
    fn advance(&self, _step: usize) -> Result<()> {
        Ok(())
    }
}

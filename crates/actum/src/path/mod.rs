//! `q_t`: a population that can be sampled at any time, sometimes with a velocity.

mod between;
mod sampled;

use ndarray::Array2;
use rand::Rng;

pub use between::{Between, Coupling, Interpolation};
pub use sampled::Sampled;

/// Points drawn from a [`Path`], one for every time asked for.
#[derive(Debug, Clone)]
pub struct Draw {
    /// The points, `[n, d]`.
    pub points: Array2<f64>,
    /// `dX/dt` along the path for fixed randomness, `[n, d]`, where the path has one.
    pub velocities: Option<Array2<f64>>,
}

/// A family of densities `q_t` for `t` in a span, known through samples.
///
/// Everything is in the user's units: points `[n, d]`, times real.
pub trait Path: Sync {
    /// The number of columns, d.
    fn dimension(&self) -> usize;

    /// The first and the last time.
    fn span(&self) -> [f64; 2];

    /// Whether draws carry velocities: every draw of a path does, or none.
    fn has_velocity(&self) -> bool;

    /// One point of `q_t` for each of `times`, `[n]`, all within the span; the points are
    /// independent of each other.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> Draw;
}

//! A path of the user's own.

use ndarray::{Array1, Array2};
use rand::Rng;

use super::{Path, PathSample};
use crate::error::{Result, ensure};

/// A path given by a closure that draws one point of `q_t` for each time.
///
/// ```
/// use actum::path::{PathSample, Path, FnPath};
/// use ndarray::Array2;
/// use rand::{RngExt, SeedableRng};
///
/// // A uniform density on [t, t + 1], moving at speed 1.
/// let path = FnPath::new(1, [0.0, 2.0], true, |times, rng| {
///     let shape = (times.len(), 1);
///     let points = Array2::from_shape_fn(shape, |(i, _)| times[i] + rng.random::<f64>());
///     PathSample::new(points).with_velocities(Array2::ones(shape))
/// })?;
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let draw = path.sample(&[0.0, 2.0], &mut rng);
/// assert!(draw.points[[0, 0]] < 1.0 && draw.points[[1, 0]] >= 2.0);
/// # Ok::<(), actum::error::Error>(())
/// ```
pub struct FnPath<F> {
    dimension: usize,
    span: [f64; 2],
    has_velocity: bool,
    has_mass: bool,
    draw: F,
}

impl<F> FnPath<F>
where
    F: Fn(&[f64], &mut dyn Rng) -> PathSample + Sync,
{
    /// A path over `span` in `dimension` columns; `has_velocity` says whether `draw` returns
    /// velocities.
    ///
    /// # Errors
    /// A dimension of 0, or a span that is not increasing and finite.
    pub fn new(dimension: usize, span: [f64; 2], has_velocity: bool, draw: F) -> Result<Self> {
        ensure!(
            dimension > 0,
            Shape,
            "a path needs at least one column, got 0"
        );
        let [start, end] = span;
        ensure!(
            start.is_finite() && end.is_finite() && start < end,
            Value,
            "a path's span must be finite and increasing, got [{start}, {end}]"
        );
        Ok(Self {
            dimension,
            span,
            has_velocity,
            has_mass: false,
            draw,
        })
    }

    /// The same path, of which every draw has masses (with rates, if it has velocities).
    pub fn with_mass(self) -> Self {
        Self {
            has_mass: true,
            ..self
        }
    }
}

impl<F> Path for FnPath<F>
where
    F: Fn(&[f64], &mut dyn Rng) -> PathSample + Sync,
{
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn span(&self) -> [f64; 2] {
        self.span
    }

    fn has_velocity(&self) -> bool {
        self.has_velocity
    }

    fn has_mass(&self) -> bool {
        self.has_mass
    }

    /// # Panics
    /// If the closure returns arrays of a shape it did not promise.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let draw = (self.draw)(times, rng);
        let expected = (times.len(), self.dimension);
        let shapes = (draw.points.dim(), draw.velocities.as_ref().map(Array2::dim));
        assert_eq!(
            shapes,
            (expected, self.has_velocity.then_some(expected)),
            "the path's closure must return points (and velocities if promised) of shape [n, d]"
        );
        let sizes = draw.masses.as_ref().map(|masses| {
            let rates = masses.rates.as_ref().map(Array1::len);
            (
                masses.values.len(),
                rates.or(Some(times.len()).filter(|_| !self.has_velocity)),
            )
        });
        assert_eq!(
            sizes,
            self.has_mass.then_some((times.len(), Some(times.len()))),
            "the path's closure must return masses (and their rates beside velocities) if promised"
        );
        draw
    }
}

//! Particles in phase space.

use ndarray::{Array2, array};
use rand::Rng;

use super::{Modes, Truth};
use crate::{
    error::{Result, ensure},
    lagrangian::Drift,
    path::{Path, PathSample},
};

/// Particles without collisions, `dx = p dt`, `dp = -omega^2 x dt` for t in [0, 1] (Vlasov's
/// equation `d_t q + p d_x q - omega^2 x d_p q = 0`): free, or in a quadratic trap. Columns are x and p.
///
/// The field `(p, -omega^2 x)` is no gradient; with the drift `(p, 0)` [known](Vlasov::streaming), and
/// a cost that forbids other motion in x, the rest is: `grad_p (-omega^2 x p)`.
#[derive(Debug, Clone)]
pub struct Vlasov {
    start: Modes,
    frequency: f64,
}

impl Vlasov {
    /// Without a force.
    pub fn free() -> Self {
        let centers = array![[-1.5, 1.0], [0.5, -0.8], [1.2, 1.2]];
        let start = Modes::new(centers, vec![0.4, 0.35, 0.25], 0.3);
        Self {
            start: start.expect("they are in range"),
            frequency: 0.0,
        }
    }

    /// In a trap where x swings at `frequency` omega > 0, in radians per unit of time.
    ///
    /// # Errors
    /// A frequency that is not above 0 or not finite.
    pub fn trapped(frequency: f64) -> Result<Self> {
        ensure!(
            frequency.is_finite() && frequency > 0.0,
            Value,
            "expected a frequency above 0, got {frequency}"
        );
        Ok(Self {
            frequency,
            ..Self::free()
        })
    }

    /// The known part of the motion, `(p, 0)`.
    pub fn streaming() -> Drift {
        Drift::function(|_, point, drift| {
            drift[0] = point[1];
            drift[1] = 0.0;
        })
    }
}

impl Path for Vlasov {
    fn dimension(&self) -> usize {
        2
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    /// Points of the start, moved along their orbits.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let mut points = self.start.sample(&vec![0.0; times.len()], rng).points;
        let mut velocities = Array2::zeros(points.raw_dim());
        let omega = self.frequency;
        let rows = points.rows_mut().into_iter().zip(velocities.rows_mut());
        for (t, (mut point, mut velocity)) in times.iter().zip(rows) {
            let (sin, cos) = (omega * t).sin_cos();
            // sin(omega t) / omega, also where omega is 0.
            let reach = if omega == 0.0 { *t } else { sin / omega };
            let (x, p) = (point[0], point[1]);
            point[0] = x * cos + p * reach;
            point[1] = p * cos - x * omega * sin;
            velocity[0] = point[1];
            velocity[1] = -omega * omega * point[0];
        }
        PathSample::new(points).with_velocities(velocities)
    }
}

impl Truth for Vlasov {
    fn velocity(&self, _t: f64, points: &Array2<f64>) -> Array2<f64> {
        super::check(points, 2);
        let force = -self.frequency.powi(2);
        Array2::from_shape_fn(points.dim(), |(i, j)| match j {
            0 => points[[i, 1]],
            _ => force * points[[i, 0]],
        })
    }
}

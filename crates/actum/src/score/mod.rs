//! Score matching, the baseline of Action Matching: scores `grad log q_t(x)` by the same objective
//! on other paths.
//!
//! A [problem](crate::problem) of a score is fitted like one of motion, and [`Score::of`] takes the
//! score out of the result. A score does not move a population by itself. Samplers use it to draw
//! from a density; where the process that dissolves data in noise is known, it also tells the
//! [motion](Score::motion).
//!
//! ```
//! use actum::{Mlp, Options, Problem, cloud::Cloud, flow::Scheme, score, units::Units};
//! use actum::path::{Diffusion, Process};
//! use ndarray::array;
//!
//! // Two points dissolve in noise. The second weighs three times as much.
//! let process = Process::default();
//! let data = Cloud::weighted(array![[-1.0], [1.0]], array![1.0, 3.0])?;
//! let path = Diffusion::new(process, data, 1e-2)?;
//! let units = Units::isotropic(vec![0.0], 1.0, [1e-2, 1.0])?;
//! let problem = Problem::denoising(&path, units)?;
//! // A network learns the score.
//! let network = Mlp { width: 32, depth: 2 };
//! let options = Options {
//!     steps: 500, batch: 256, learning_rate: 1e-2, ema_decay: 0.9, ..Default::default()
//! };
//! let learned = score::Score::of(&problem, actum::fit(network, &problem, &options)?)?;
//! // The score turns noise into data.
//! let noise = process.prior([400, 1], 0);
//! let field = |t: f64, x: &_| learned.at(t, x);
//! let drawn = score::reverse(process, field, &noise, 1.0, &[1e-2], Scheme::Euler(200), 1)?;
//! let right = drawn.at(0).iter().filter(|x| **x > 0.0).count();
//! assert!((260..340).contains(&right), "{right}");
//! # Ok::<(), actum::error::Error>(())
//! ```

mod motion;
mod sampling;

use ndarray::Array2;

pub use motion::ProbabilityFlowAction;
pub use sampling::{Step, langevin, probability_flow, reverse};

use crate::{dynamics::Dynamics, error::Result, path::Process};
#[cfg(feature = "train")]
use crate::{
    error::{Error, ErrorKind, ensure},
    problem::{Goal, Problem},
};

/// A learned score.
#[derive(Debug, Clone)]
pub struct Score {
    dynamics: Dynamics,
    /// What the score was multiplied with `sigma_t / length` of.
    process: Option<Process>,
}

impl Score {
    /// The score in [what was fitted](Self::dynamics), such as from a file: by
    /// denoising under a process, or otherwise.
    pub fn new(dynamics: Dynamics, process: Option<Process>) -> Self {
        Self { dynamics, process }
    }

    /// The score in what was fitted to a problem of a score.
    ///
    /// # Errors
    /// A problem of motion; a dynamics of another Lagrangian or other units than the problem's.
    #[cfg(feature = "train")]
    pub fn of(problem: &Problem, dynamics: Dynamics) -> Result<Self> {
        let Goal::Score(process) = problem.goal() else {
            return Err(Error::new(
                ErrorKind::Setting,
                "this problem is of motion: a score is learned from `Problem::denoising`, \
                 `Problem::blurred` or `Problem::sliced`",
            ));
        };
        ensure!(
            dynamics.units == *problem.units() && dynamics.lagrangian == *problem.lagrangian(),
            Setting,
            "the dynamics was not fitted to this problem: its units or its Lagrangian are others"
        );
        Ok(Self::new(dynamics, process))
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
        Ok(gradients / (width * units.of_score(t)) / (&scale * &scale))
    }

    /// What was fitted, a multiple of the score as if it were a velocity, for a file.
    pub fn dynamics(&self) -> &Dynamics {
        &self.dynamics
    }
}

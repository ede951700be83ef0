//! What is to be learned: a path, a Lagrangian, units, and how much every time counts.
//!
//! The short doors, [`Problem::between`] snapshots and [`Problem::images`], take data and apply
//! the defaults of the program. Their options are the tables of the TOML file of a run. The long
//! doors, [`Problem::new`] and those of scores, take each part.
//!
//! ```
//! use actum::{Cloud, Problem, Snapshots, path::Coupling};
//! use ndarray::array;
//!
//! let early = Cloud::new(array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])?;
//! let late = Cloud::new(array![[3.0, 1.0], [4.0, 1.0], [3.0, 2.0]])?;
//! let snapshots = Snapshots::new(vec![0.0, 36.0], vec![early, late])?;
//! // With noise the path needs densities, so every point becomes a small Gaussian.
//! let problem = Problem::between(&snapshots).noise(0.5).coupling(Coupling::Exact).build()?;
//! assert!(problem.lagrangian().is_noisy());
//! # Ok::<(), actum::Error>(())
//! ```

mod between;
mod growth;
mod image_options;
mod images;
mod options;
mod score;
mod weight;

use serde::{Deserialize, Serialize};

pub use between::{Population, SnapshotProblem};
pub use growth::{Growth, Mass};
pub use image_options::{Half, Hidden, ImageDataOptions, ImageOptions, Method, NoisePath, Task};
pub use images::ImageProblem;
pub use options::{DataOptions, LagrangianOptions, PathOptions, SnapshotOptions};
pub(crate) use score::Goal;
pub use weight::Weight;

use crate::{
    action::Shape,
    data::Shards,
    error::{Result, ensure},
    lagrangian::Lagrangian,
    machines::Parts,
    path::{Path, Sharded},
    units::Units,
};

/// From what the objective is estimated. Both have the same minimiser and the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// From samples alone, with the two boundary terms:
    /// `w_0 E_q0[s_0] - w_1 E_q1[s_1] + int w E_qt[d_t s + H] + w' E_qt[s] dt`
    /// (Action Matching, equation 5).
    Samples,
    /// From the velocity of the path, integrated by parts along it:
    /// `int w E[H - dX/dt . grad s] dt`. No boundary terms and far less variance.
    Velocity,
}

/// What is to be learned: the motion of a path, or its score, under a Lagrangian, in units.
pub struct Problem<'a> {
    path: Box<dyn Path + 'a>,
    lagrangian: Lagrangian,
    units: Units,
    weight: Weight,
    shape: Shape,
    goal: Goal,
    /// The one estimator that units and weight are made for.
    estimator: Option<Estimator>,
    /// What the path goes through, of a population in shards.
    shards: Option<&'a Shards>,
}

impl<'a> Problem<'a> {
    /// The motion of a path; all times count alike, and points are columns of numbers.
    pub fn new(path: impl Path + 'a, lagrangian: Lagrangian, units: Units) -> Self {
        Self {
            shape: Shape::Columns(path.dimension()),
            path: Box::new(path),
            lagrangian,
            units,
            weight: Weight::uniform(),
            goal: Goal::Motion,
            estimator: None,
            shards: None,
        }
    }

    /// The same with times of unequal weight, on top of those of the units.
    pub fn weighted(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// The same with points of another shape, for networks that look at images.
    ///
    /// # Errors
    /// A shape of another number of columns than the path.
    pub fn shaped(self, shape: Shape) -> Result<Self> {
        ensure!(
            shape.dimension() == self.path.dimension(),
            Shape,
            "points of this shape have {} columns, the path has {}",
            shape.dimension(),
            self.path.dimension()
        );
        Ok(Self { shape, ..self })
    }

    /// The population.
    pub fn path(&self) -> &dyn Path {
        &*self.path
    }

    /// What the action is charged for.
    pub fn lagrangian(&self) -> &Lagrangian {
        &self.lagrangian
    }

    /// From the user's units to the network's.
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// How much every time counts.
    pub fn weight(&self) -> &Weight {
        &self.weight
    }

    /// What the columns of points are.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Motion, or which score.
    pub(crate) fn goal(&self) -> Goal {
        self.goal
    }

    /// Whether the objective can be estimated so.
    pub(crate) fn check_estimator(&self, estimator: Estimator) -> Result<()> {
        ensure!(
            matches!(self.goal, Goal::Motion) || estimator == Estimator::Velocity,
            Setting,
            "a score is learned by the estimator `velocity`, got `samples`, which learns motion"
        );
        ensure!(
            self.estimator.is_none_or(|made_for| made_for == estimator),
            Setting,
            "the weight in time of this problem is for the other estimator: build the problem \
             with `estimator`"
        );
        Ok(())
    }

    /// Whether there are the shards that these parts of a fit of so many steps see.
    pub(crate) fn check_shards(&self, steps: usize, parts: Parts) -> Result<()> {
        let Some(shards) = self.shards.filter(|shards| shards.count() > 1) else {
            return Ok(());
        };
        let (kept, count) = (shards.kept(), shards.count());
        let needed = (Sharded::needed(steps) * parts.held).min(count);
        ensure!(
            shards.are_kept_for(Sharded::needed(steps)),
            Setting,
            "a fit of {steps} steps sees {needed} shards, and {kept} of {count} are kept; split \
             the file for as many steps"
        );
        ensure!(
            shards.parts() == parts,
            Setting,
            "the file was split for {:?}, and the fit has {parts:?}; split it for those",
            shards.parts()
        );
        Ok(())
    }
}

/// Units whose time goes slowly where points of the path go fast.
fn warped(units: Units, path: &dyn Path) -> Result<Units> {
    match path.arc_length() {
        Some((times, distances)) => units.warped(&times, &distances),
        None => Ok(units),
    }
}

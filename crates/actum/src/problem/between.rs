//! What happens between snapshots.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2};

use super::{Growth, Mass, Problem, SnapshotOptions, warped};
use crate::{
    data::{Shards, Snapshots},
    error::{Error, Result},
    lagrangian::{Cost, Lagrangian, Noise},
    path::{Coupling, Field, Interpolant, Interpolation, Sharded},
    units::Units,
};

/// A population in memory, or in shards of a file that is larger than memory.
#[derive(Clone, Copy)]
pub enum Population<'a> {
    /// All of it.
    Snapshots(&'a Snapshots),
    /// In shards; the first decides units, blur, drift and the time warp.
    Shards(&'a Shards),
}

impl<'a> From<&'a Snapshots> for Population<'a> {
    fn from(snapshots: &'a Snapshots) -> Self {
        Self::Snapshots(snapshots)
    }
}

impl<'a> From<&'a Shards> for Population<'a> {
    fn from(shards: &'a Shards) -> Self {
        Self::Shards(shards)
    }
}

impl<'a> Population<'a> {
    /// All of it, or the first shard.
    pub(crate) fn first(self) -> Result<Cow<'a, Snapshots>> {
        match self {
            Self::Snapshots(snapshots) => Ok(Cow::Borrowed(snapshots)),
            Self::Shards(shards) => shards.shard(0).map(Cow::Owned),
        }
    }
}

/// The motion between snapshots, with options: see [`Problem::between`].
#[must_use]
pub struct SnapshotProblem<'a> {
    population: Population<'a>,
    options: SnapshotOptions,
    seed: u64,
    /// Along which snapshots are coupled.
    along: Option<Box<Field<'a>>>,
    /// What is wrong with an option that was set.
    refused: Option<Error>,
}

impl<'a> Problem<'a> {
    /// The motion of a population between its snapshots: `&Snapshots`, or `&Shards` of a file that
    /// is larger than memory.
    ///
    /// What is not set has the defaults of `actum fit`: optimal transport joins neighbouring
    /// snapshots, unbalanced where mass grows; matched points move on clocked splines, along a
    /// drift on lines; with noise, points are blurred by Scott's rule;
    /// without growth, all snapshots have the same mass; the network's time passes with the
    /// distance travelled.
    pub fn between(population: impl Into<Population<'a>>) -> SnapshotProblem<'a> {
        SnapshotProblem {
            population: population.into(),
            options: SnapshotOptions::default(),
            seed: 0,
            along: None,
            refused: None,
        }
    }
}

impl<'a> SnapshotProblem<'a> {
    /// All options at once, in place of those set so far.
    pub fn options(self, options: SnapshotOptions) -> Self {
        Self { options, ..self }
    }

    /// Only the first so many columns.
    pub fn dims(mut self, count: usize) -> Self {
        self.options.data.dims = Some(count);
        self
    }

    /// Measures distances after dividing every column by its standard deviation.
    pub fn standardize(mut self) -> Self {
        self.options.data.standardize = true;
        self
    }

    /// Leaves out times, given as the data show them.
    pub fn hold_out<S: Into<String>>(mut self, times: impl IntoIterator<Item = S>) -> Self {
        self.options.data.hold_out = times.into_iter().map(Into::into).collect();
        self
    }

    /// What the masses of the snapshots are, where mass grows.
    pub fn mass(mut self, mass: Mass) -> Self {
        self.options.data.mass = mass;
        self
    }

    /// How points of neighbouring snapshots are matched.
    pub fn coupling(mut self, coupling: Coupling) -> Self {
        self.options.path.coupling = Some(coupling);
        self
    }

    /// How matched points move between the times.
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.options.path.interpolation = Some(interpolation);
        self
    }

    /// The standard deviation of the Gaussian that every point is blurred to, in units of distance.
    pub fn blur(mut self, width: f64) -> Self {
        self.options.path.blur = Some(width);
        self
    }

    /// What a velocity costs.
    pub fn cost(mut self, cost: Cost) -> Self {
        self.options.lagrangian.cost = cost;
        self
    }

    /// Random motion: sigma, in units of distance per square root of time.
    pub fn noise(mut self, sigma: f64) -> Self {
        match Noise::constant(sigma) {
            Ok(noise) => self.options.lagrangian.noise = noise,
            Err(error) => self.refused = Some(error),
        }
        self
    }

    /// Random motion that changes in time.
    pub fn noise_over_time(mut self, noise: Noise) -> Self {
        self.options.lagrangian.noise = noise;
        self
    }

    /// Birth and death: lambda, in time over action, or [`Growth::Auto`].
    pub fn growth(mut self, growth: impl Into<Growth>) -> Self {
        self.options.lagrangian.growth = growth.into();
        self
    }

    /// Takes the velocities of the points for a known part of the motion.
    pub fn drift(mut self) -> Self {
        self.options.lagrangian.drift = true;
        self
    }

    /// Seeds what the drift is smoothed from; 0 where it is not set, as in the options of a fit.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Couples snapshots along a motion that was fitted before: it carries every point to the next
    /// snapshot, where the point is matched, and the distance that remains is added at a constant
    /// velocity. In place of the interpolation.
    pub fn along(
        self,
        motion: impl Fn(f64, ArrayView2<f64>) -> Result<Array2<f64>> + Sync + 'a,
    ) -> Self {
        Self {
            along: Some(Box::new(motion)),
            ..self
        }
    }

    /// The problem.
    ///
    /// # Errors
    /// Options outside of their range, or that do not fit the data or each other; fewer than two
    /// times; a shard that cannot be read.
    pub fn build(self) -> Result<Problem<'a>> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let (options, seed, along) = (self.options, self.seed, self.along);
        options.check()?;
        let frame = options.frame(&options.data.view(&*self.population.first()?)?, seed)?;
        let (lagrangian, units) = (frame.lagrangian.clone(), frame.units.clone());
        let join = move |shard: &Snapshots| {
            options.join(&options.data.view(shard)?, &frame, along.as_deref())
        };
        Ok(match self.population {
            Population::Snapshots(snapshots) => {
                let path = join(snapshots)?;
                let units = warped(units, &path)?;
                Problem::new(path, lagrangian, units)
            }
            Population::Shards(shards) => {
                let path = Sharded::new(shards, join)?;
                let units = warped(units, &path)?;
                Problem {
                    shards: Some(shards),
                    ..Problem::new(path, lagrangian, units)
                }
            }
        })
    }
}

impl SnapshotOptions {
    /// The path through snapshots as [`DataOptions::view`] shows them.
    pub(crate) fn interpolant(
        &self,
        seen: &Snapshots,
        seed: u64,
        along: Option<&Field>,
    ) -> Result<Interpolant> {
        self.join(seen, &self.frame(seen, seed)?, along)
    }

    /// What snapshots as [`DataOptions::view`] shows them decide for all shards.
    pub(super) fn frame(&self, seen: &Snapshots, seed: u64) -> Result<Frame> {
        let training = self.data.training(seen)?;
        let units = Units::of(&training, self.data.standardize)?;
        let lagrangian = self.lagrangian.lagrangian(&training, &units, seed)?;
        let training = weighed(training, &lagrangian)?;
        let blur = match self.path.blur {
            Some(width) => width,
            None if lagrangian.is_noisy()
                || matches!(self.path.coupling, Some(Coupling::Bridge(_))) =>
            {
                training.scott_width(&units.scale())
            }
            None => 0.0,
        };
        Ok(Frame {
            units,
            lagrangian,
            blur,
        })
    }

    /// The path between snapshots as [`DataOptions::view`] shows them.
    pub(super) fn join(
        &self,
        seen: &Snapshots,
        frame: &Frame,
        along: Option<&Field>,
    ) -> Result<Interpolant> {
        let Frame {
            units,
            lagrangian,
            blur,
        } = frame;
        let training = weighed(self.data.training(seen)?, lagrangian)?;
        let coupling = self.path.coupling.unwrap_or(if lagrangian.grows() {
            Coupling::unbalanced()
        } else {
            Coupling::Exact
        });
        let scale = units.scale();
        let drift = lagrangian
            .known_drift()
            .map(|drift| |t: f64, x: ArrayView2<f64>| Ok(drift.at(&vec![t; x.nrows()], x)));
        let field = along.or(drift.as_ref().map(|drift| drift as &Field));
        let path = match field {
            Some(field) => Interpolant::along(&training, coupling, &scale, field)?,
            None => Interpolant::new(&training, coupling, self.interpolation(), &scale)?,
        };
        path.blurred(*blur)
    }
}

/// What is the same for all shards of a population.
pub(super) struct Frame {
    units: Units,
    lagrangian: Lagrangian,
    blur: f64,
}

/// The snapshots with equal masses, unless mass grows.
fn weighed(training: Snapshots, lagrangian: &Lagrangian) -> Result<Snapshots> {
    if lagrangian.grows() || training.has_equal_masses() {
        Ok(training)
    } else {
        training.with_masses(&vec![1.0; training.len()])
    }
}

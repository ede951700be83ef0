//! Paths through one shard of a population after another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;

use super::{Interpolant, Path, PathSample};
use crate::{
    data::{Shards, Snapshots},
    error::Result,
};

/// The path through a population in [shards](Shards). The first [`Sharded::STEPS`] steps of a fit
/// draw from the first shard, the next from the second, and after the last shard comes the first
/// again. The number of a step alone decides its shard.
///
/// Couplings match the points of a shard with each other, so a chain never leaves its shard. Draws
/// are those of couplings of samples of that size: their distances exceed the population's and fall
/// to it as shards grow.
pub struct Sharded<'a> {
    shards: &'a Shards,
    join: Box<Join<'a>>,
    /// The current shard, and the path through it.
    now: Mutex<(usize, Arc<Interpolant>)>,
    dimension: usize,
    span: [f64; 2],
    has_mass: bool,
}

type Join<'a> = dyn Fn(&Snapshots) -> Result<Interpolant> + Sync + 'a;

impl<'a> Sharded<'a> {
    /// The number of steps before the next shard. Coupling 10,000 points takes longer than these
    /// steps; with more of them a fit would see fewer shards.
    pub const STEPS: usize = 1000;

    /// The number of shards that a fit of `steps` steps sees, if there are as many.
    pub fn needed(steps: usize) -> usize {
        steps.div_ceil(Self::STEPS).max(1)
    }

    /// The path through `shards`; `join` makes the path through one of them. As many shards as a
    /// fit [needs](Sharded::needed) must be [kept](Shards::kept).
    ///
    /// # Errors
    /// Those of the first shard and of `join`.
    pub fn new(
        shards: &'a Shards,
        join: impl Fn(&Snapshots) -> Result<Interpolant> + Sync + 'a,
    ) -> Result<Self> {
        let first = join(&shards.shard(0)?)?;
        Ok(Self {
            shards,
            join: Box::new(join),
            dimension: first.dimension(),
            span: first.span(),
            has_mass: first.has_mass(),
            now: Mutex::new((0, Arc::new(first))),
        })
    }

    fn current(&self) -> Arc<Interpolant> {
        self.now().1.clone()
    }

    fn now(&self) -> MutexGuard<'_, (usize, Arc<Interpolant>)> {
        // A panic elsewhere cannot leave the pair half changed, because it is assigned at once.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Path for Sharded<'_> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn span(&self) -> [f64; 2] {
        self.span
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn has_mass(&self) -> bool {
        self.has_mass
    }

    /// That of the path through the current shard.
    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        self.current().arc_length()
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        self.current().sample(times, rng)
    }

    fn advance(&self, step: usize) -> Result<()> {
        let shard = step / Self::STEPS % self.shards.count();
        let mut now = self.now();
        if now.0 != shard {
            let path = (self.join)(&self.shards.shard(shard)?)?;
            *now = (shard, Arc::new(path));
        }
        Ok(())
    }
}

//! A path through one shard of a population at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;

use super::{Interpolant, Path, PathSample};
use crate::{
    data::{Shards, Snapshots},
    error::Result,
};

/// The path through a population in [shards](Shards): through the first for [`Sharded::STEPS`]
/// steps of a fit, then through the second, and after the last through the first again. Which shard
/// a step draws from is a matter of its number alone.
///
/// Couplings match the points of a shard with each other, so a chain never leaves it: draws are as
/// from couplings of samples of that size, whose distances are above those of the population and go
/// down to them as shards grow.
pub struct Sharded<'a> {
    shards: &'a Shards,
    join: Box<Join<'a>>,
    /// Which shard has its turn, and the path through it.
    now: Mutex<(usize, Arc<Interpolant>)>,
    dimension: usize,
    span: [f64; 2],
    has_mass: bool,
}

type Join<'a> = dyn Fn(&Snapshots) -> Result<Interpolant> + Sync + 'a;

impl<'a> Sharded<'a> {
    /// After how many steps the next shard has its turn. To couple 10,000 points takes longer than
    /// these steps do; more of them would leave fewer shards for a fit to see.
    pub const STEPS: usize = 1000;

    /// How many shards a fit of so many steps sees, if there are as many.
    pub fn needed(steps: usize) -> usize {
        steps.div_ceil(Self::STEPS).max(1)
    }

    /// The path through `shards`, of which as many as a fit [needs](Sharded::needed) must be
    /// [kept](Shards::kept); `join` makes the path through one of them.
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

    /// The path through the shard that has its turn; at first that is the first shard.
    pub fn current(&self) -> Arc<Interpolant> {
        self.now().1.clone()
    }

    fn now(&self) -> MutexGuard<'_, (usize, Arc<Interpolant>)> {
        // A panic leaves nothing half changed.
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

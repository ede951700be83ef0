//! Paths through one shard of a population after another.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;

use super::{Interpolant, Path, PathSample};
use crate::{
    data::{Shards, Snapshots},
    error::Result,
};

/// The path through a population in [shards](Shards). The first [`Sharded::STEPS`] steps of a fit
/// draw from the first shard, the next from the second, and after the last shard comes the first
/// again. The number of a step alone decides its shard. Where a step has parts, each of them has
/// shards of its own, which it sees in turn.
///
/// Couplings match the points of a shard with each other, so a chain never leaves its shard. Draws
/// are those of couplings of samples of that size: their distances exceed the population's and fall
/// to it as shards grow.
pub struct Sharded<'a> {
    shards: &'a Shards,
    join: Box<Join<'a>>,
    /// One for each part of this process.
    turns: Vec<Turn>,
}

/// The current shard of a part, and the path through it.
struct Turn(Mutex<(usize, Arc<Interpolant>)>);

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
    /// fit [needs](Sharded::needed) must be [kept](Shards::kept) for each part.
    ///
    /// # Errors
    /// Those of the first shard and of `join`.
    pub fn new(
        shards: &'a Shards,
        join: impl Fn(&Snapshots) -> Result<Interpolant> + Sync + 'a,
    ) -> Result<Self> {
        let first = Arc::new(join(&shards.shard(0)?)?);
        let turns = shards.parts().held();
        let turns = turns.map(|_| Turn(Mutex::new((0, first.clone()))));
        Ok(Self {
            shards,
            join: Box::new(join),
            turns: turns.collect(),
        })
    }

    /// The first part of this process.
    fn first(&self) -> &Turn {
        &self.turns[0]
    }
}

impl Turn {
    fn current(&self) -> (usize, Arc<Interpolant>) {
        // A panic elsewhere cannot leave the pair half changed, because it is assigned at once.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn is_now(&self, shard: usize, path: Arc<Interpolant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (shard, path);
    }
}

impl Path for Turn {
    fn dimension(&self) -> usize {
        self.current().1.dimension()
    }

    fn span(&self) -> [f64; 2] {
        self.current().1.span()
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn has_mass(&self) -> bool {
        self.current().1.has_mass()
    }

    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        self.current().1.arc_length()
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        self.current().1.sample(times, rng)
    }
}

impl Path for Sharded<'_> {
    fn dimension(&self) -> usize {
        self.first().dimension()
    }

    fn span(&self) -> [f64; 2] {
        self.first().span()
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn has_mass(&self) -> bool {
        self.first().has_mass()
    }

    /// That of the path through the current shard.
    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        self.first().arc_length()
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        self.first().sample(times, rng)
    }

    fn advance(&self, step: usize) -> Result<()> {
        let round = step / Self::STEPS;
        for (part, turn) in self.shards.parts().held().zip(&self.turns) {
            let shard = self.shards.of_part(part, round);
            if turn.current().0 == shard {
                continue;
            }
            // Of few shards several parts see the same.
            let mut others = self.turns.iter().map(Turn::current);
            let path = match others.find(|(other, _)| *other == shard) {
                Some((_, path)) => path,
                None => Arc::new((self.join)(&self.shards.shard(shard)?)?),
            };
            turn.is_now(shard, path);
        }
        Ok(())
    }

    fn part(&self, part: usize) -> Option<&dyn Path> {
        let held = part.checked_sub(self.shards.parts().first)?;
        self.turns.get(held).map(|turn| turn as &dyn Path)
    }
}

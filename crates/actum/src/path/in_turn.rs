//! A path through one piece of a population at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;

use super::{Between, Draw, Path};
use crate::{
    data::{Pieces, Snapshots},
    error::Result,
};

/// The path through a population in [pieces](Pieces): through the first for [`InTurn::STEPS`] steps
/// of a fit, then through the second, and after the last through the first again. Which piece a
/// step draws from is a matter of its number alone.
///
/// Couplings match the points of a piece with each other, so a chain never leaves it: draws are as
/// from couplings of samples of that size, whose distances are above those of the population and go
/// down to them as pieces grow.
pub struct InTurn<'a> {
    pieces: &'a Pieces,
    join: Box<Join<'a>>,
    /// Which piece has its turn, and the path through it.
    now: Mutex<(usize, Arc<Between>)>,
    dimension: usize,
    span: [f64; 2],
    has_mass: bool,
}

type Join<'a> = dyn Fn(&Snapshots) -> Result<Between> + Sync + 'a;

impl<'a> InTurn<'a> {
    /// After how many steps the next piece has its turn. To couple 10,000 points takes longer than
    /// these steps do; more of them would leave fewer pieces for a fit to see.
    pub const STEPS: usize = 1000;

    /// How many pieces a fit of so many steps sees, if there are as many.
    pub fn needed(steps: usize) -> usize {
        steps.div_ceil(Self::STEPS).max(1)
    }

    /// The path through `pieces`, of which as many as a fit [needs](InTurn::needed) must be
    /// [kept](Pieces::kept); `join` makes the path through one of them.
    ///
    /// # Errors
    /// Those of the first piece and of `join`.
    pub fn new(
        pieces: &'a Pieces,
        join: impl Fn(&Snapshots) -> Result<Between> + Sync + 'a,
    ) -> Result<Self> {
        let first = join(&pieces.piece(0)?)?;
        Ok(Self {
            pieces,
            join: Box::new(join),
            dimension: first.dimension(),
            span: first.span(),
            has_mass: first.has_mass(),
            now: Mutex::new((0, Arc::new(first))),
        })
    }

    /// The path through the piece that has its turn; at first that is the first piece.
    pub fn current(&self) -> Arc<Between> {
        self.now().1.clone()
    }

    fn now(&self) -> MutexGuard<'_, (usize, Arc<Between>)> {
        // A panic leaves nothing half changed.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Path for InTurn<'_> {
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

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> Draw {
        self.current().sample(times, rng)
    }

    fn advance(&self, step: usize) -> Result<()> {
        let piece = step / Self::STEPS % self.pieces.count();
        let mut now = self.now();
        if now.0 != piece {
            let path = (self.join)(&self.pieces.piece(piece)?)?;
            *now = (piece, Arc::new(path));
        }
        Ok(())
    }
}

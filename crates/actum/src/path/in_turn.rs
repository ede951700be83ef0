//! A path through one piece of a population at a time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use rand::Rng;

use super::{Between, Draw, Path};
use crate::{
    data::{Pieces, Snapshots},
    error::Result,
};

/// The path through a population in [pieces](Pieces): through the first for [`InTurn::STEPS`] steps
/// of a fit, then through the second, and after the last through the first again. Couplings match
/// the points of a piece with each other, so that a chain never leaves it; over many pieces draws
/// are as from couplings of samples of that size, whose distances are above those of the
/// population and go down to them as pieces grow.
///
/// While the fit goes through a piece the next one is coupled on a thread of its own. Which piece
/// a step draws from is a matter of its number alone.
pub struct InTurn<'a> {
    pieces: &'a Pieces,
    /// How many steps there are in all.
    steps: usize,
    join: Arc<Join>,
    now: Mutex<Now>,
    dimension: usize,
    span: [f64; 2],
    has_mass: bool,
}

type Join = dyn Fn(&Snapshots) -> Result<Between> + Send + Sync;

struct Now {
    piece: usize,
    path: Arc<Between>,
    next: Option<Next>,
}

/// A piece that is being coupled.
struct Next {
    piece: usize,
    path: JoinHandle<Result<Between>>,
}

impl<'a> InTurn<'a> {
    /// After how many steps the next piece has its turn.
    pub const STEPS: usize = 1000;

    /// How many pieces a fit of so many steps sees, if there are as many.
    pub fn needed(steps: usize) -> usize {
        steps.div_ceil(Self::STEPS).max(1)
    }

    /// The path of a fit of so many `steps` through `pieces`, of which as many as it sees must be
    /// [kept](Pieces::kept); `join` makes the path through one of them.
    ///
    /// # Errors
    /// Those of the first piece and of `join`.
    pub fn new(
        pieces: &'a Pieces,
        steps: usize,
        join: impl Fn(&Snapshots) -> Result<Between> + Send + Sync + 'static,
    ) -> Result<Self> {
        let first = join(&pieces.piece(0)?)?;
        Ok(Self {
            pieces,
            steps,
            join: Arc::new(join),
            dimension: first.dimension(),
            span: first.span(),
            has_mass: first.has_mass(),
            now: Mutex::new(Now {
                piece: 0,
                path: Arc::new(first),
                next: None,
            }),
        })
    }

    /// The path through the piece whose turn it is; at first that is the first piece.
    pub fn current(&self) -> Arc<Between> {
        self.now().path.clone()
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Nothing is left half changed by a panic.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The piece of a step.
    fn turn(&self, step: usize) -> usize {
        step / Self::STEPS % self.pieces.count()
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
        let mut now = self.now();
        let piece = self.turn(step);
        if now.piece != piece {
            let path = match now.next.take() {
                Some(next) if next.piece == piece => next
                    .path
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                _ => (self.join)(&self.pieces.piece(piece)?),
            }?;
            (now.piece, now.path) = (piece, Arc::new(path));
        }
        let after = (step / Self::STEPS + 1) * Self::STEPS;
        let next = self.turn(after);
        if after < self.steps && next != piece && now.next.is_none() {
            // The thread has the points alone, so that it need not be waited for when a fit ends.
            let (snapshots, join) = (self.pieces.piece(next)?, self.join.clone());
            now.next = Some(Next {
                piece: next,
                path: thread::spawn(move || join(&snapshots)),
            });
        }
        Ok(())
    }
}

//! Made-up populations: where the papers apply Action Matching, with the truth beside the answer.
//!
//! | name | population | truth |
//! |---|---|---|
//! | `figure-1` | [`Modes`] that travel together | a constant velocity |
//! | `figure-1-diffusing` | the same that melt | `-D grad log q` |
//! | `heat` | [`Modes`] that melt, in any number of columns | `-D grad log q` |
//! | `porous-medium-2`, `-3` | [`PorousMedium`], spots that spread with a sharp edge | `-m/(m-1) grad q^(m-1)` |
//! | `nonlinear-heat` | [`NonlinearHeat`], heavy tails | the same with m < 1 |
//! | `fokker-planck` | [`FokkerPlanck`], annealed Langevin dynamics in a double well | `-grad (V + sigma^2/2 log q)` |
//! | `free-streaming`, `vlasov` | [`Vlasov`], particles in phase space | `(p, -omega^2 x)` |
//! | `hydrogen` | [`Hydrogen`], an electron in two states at once | `grad arg psi` |
//! | `bernoulli` | [`Bernoulli`], bits that change their odds | closed form |
//! | `cycle` | [`Cycle`], a cloud that goes round | a rotation: no gradient |
//!
//! Each is a [`Path`], so it can be fitted from samples at any time, or observed through
//! [`snapshots`]. Times and points have no units. [`Branching`] is a population of cells and
//! [`Shapes`] one of images, for a start without data.
//!
//! ```
//! use actum::gallery;
//!
//! let melting = gallery::find("heat")?.path(Some(3))?;
//! let snapshots = gallery::snapshots(&*melting, &[0.0, 0.5, 1.0], 100, 0)?;
//! assert_eq!((snapshots.len(), snapshots.dimension()), (3, 3));
//! assert!(snapshots.velocities().is_some());
//! # Ok::<(), actum::error::Error>(())
//! ```

mod bernoulli;
mod branching;
mod cycle;
mod fokker_planck;
pub mod gaussian;
mod hydrogen;
mod modes;
mod shapes;
mod spreading;
mod vlasov;

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use self::{
    bernoulli::Bernoulli,
    branching::{Branching, Fate, Latent},
    cycle::Cycle,
    fokker_planck::FokkerPlanck,
    hydrogen::Hydrogen,
    modes::Modes,
    shapes::Shapes,
    spreading::{NonlinearHeat, PorousMedium},
    vlasov::Vlasov,
};
use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Error, Result, ensure},
    path::Path,
};

/// A path whose motion is known.
pub trait Truth: Path {
    /// The velocity of points `[n, d]` at a time within the span by the law of motion, `[n, d]`.
    ///
    /// It satisfies the continuity equation with the densities of the path. If it is a gradient,
    /// Action Matching finds it. It is not defined outside of the span, and need not be accurate
    /// far from the population.
    /// population is it need not be exact.
    ///
    /// # Panics
    /// Points of another dimension.
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64>;
}

/// Panics on points of another dimension, which are an error of the program and not of its input.
fn check(points: &Array2<f64>, dimension: usize) {
    assert_eq!(points.ncols(), dimension, "points of another dimension");
}

/// A population by name.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// A description in one line.
    pub about: &'static str,
    /// The number of snapshots that resolve its motion; rotations need more.
    pub snapshots: usize,
    columns: Columns,
    make: fn(usize) -> Result<Box<dyn Truth>>,
}

/// The numbers of columns that a population can have.
#[derive(Debug, Clone, Copy)]
enum Columns {
    Always(usize),
    /// Any number; this is the default.
    Usually(usize),
}

const MOST_COLUMNS: usize = 10_000;
/// At most 8 GiB.
const MOST_NUMBERS: usize = 1 << 30;

/// All populations.
pub static ENTRIES: &[Entry] = &[
    Entry {
        name: "figure-1",
        about: "a density of many modes that travels: the velocity is constant, the score is not",
        snapshots: 5,
        columns: Columns::Always(1),
        make: |_| Ok(Box::new(Modes::figure_1().travelling(vec![3.0])?)),
    },
    Entry {
        name: "figure-1-diffusing",
        about: "the same density, melting",
        snapshots: 5,
        columns: Columns::Always(1),
        make: |_| Ok(Box::new(Modes::figure_1().melting(0.1)?)),
    },
    Entry {
        name: "heat",
        about: "five spots under the heat equation d_t q = D Lap q",
        snapshots: 5,
        columns: Columns::Usually(2),
        make: |d| Ok(Box::new(Modes::spots(d)?.melting(0.25)?)),
    },
    Entry {
        name: "porous-medium-2",
        about: "two spots under d_t q = Lap q^2, which spread with a sharp edge",
        snapshots: 5,
        columns: Columns::Usually(2),
        make: |d| Ok(Box::new(PorousMedium::new(2.0, d)?)),
    },
    Entry {
        name: "porous-medium-3",
        about: "two spots under d_t q = Lap q^3, of steeper edge",
        snapshots: 5,
        columns: Columns::Usually(2),
        make: |d| Ok(Box::new(PorousMedium::new(3.0, d)?)),
    },
    Entry {
        name: "nonlinear-heat",
        about: "a spot under d_t q = Lap q^m with m < 1 (fast diffusion), of heavy tails: d + 3 degrees of freedom",
        snapshots: 5,
        columns: Columns::Usually(2),
        make: |d| Ok(Box::new(NonlinearHeat::new(d as f64 + 3.0, d)?)),
    },
    Entry {
        name: "fokker-planck",
        about: "Langevin dynamics while the potential turns from one well into two",
        snapshots: 5,
        columns: Columns::Always(2),
        make: |_| Ok(Box::new(FokkerPlanck::new())),
    },
    Entry {
        name: "free-streaming",
        about: "phase space (x, p) of free particles: no gradient field",
        snapshots: 5,
        columns: Columns::Always(2),
        make: |_| Ok(Box::new(Vlasov::free())),
    },
    Entry {
        name: "vlasov",
        about: "phase space (x, p) of particles in a quadratic trap: no gradient field",
        snapshots: 5,
        columns: Columns::Always(2),
        make: |_| Ok(Box::new(Vlasov::trapped(1.5)?)),
    },
    Entry {
        name: "hydrogen",
        about: "the electron of hydrogen in the states (3,2,-1) and (2,1,0) at once, by Schroedinger's equation: no gradient field",
        snapshots: 11,
        columns: Columns::Always(3),
        make: |_| Ok(Box::new(Hydrogen)),
    },
    Entry {
        name: "bernoulli",
        about: "bits that change their odds, spread over [0, 1] and [1, 2]",
        snapshots: 5,
        columns: Columns::Always(1),
        make: |_| Ok(Box::new(Bernoulli)),
    },
    Entry {
        name: "cycle",
        about: "a cloud on a ring that goes round: no gradient field",
        snapshots: 11,
        columns: Columns::Always(2),
        make: |_| Ok(Box::new(Cycle)),
    },
];

/// The population of this name.
///
/// # Errors
/// There is none; the names are listed.
pub fn find(name: &str) -> Result<&'static Entry> {
    let entry = ENTRIES.iter().find(|entry| entry.name == name);
    entry.ok_or_else(|| {
        Error::missing(
            format!("the problem `{name}`"),
            ENTRIES.iter().map(|entry| entry.name),
        )
    })
}

impl Entry {
    /// Whether the number of columns can be chosen.
    pub fn has_any_columns(&self) -> bool {
        matches!(self.columns, Columns::Usually(_))
    }

    /// The times of its snapshots where none are chosen: evenly from the first to the last.
    pub fn times(&self, truth: &dyn Truth) -> Vec<f64> {
        let ([first, last], steps) = (truth.span(), self.snapshots - 1);
        (0..=steps)
            .map(|k| first + (last - first) * k as f64 / steps as f64)
            .collect()
    }

    /// The population, in `columns` columns where that can be chosen.
    ///
    /// # Errors
    /// A number of columns that it cannot have.
    pub fn path(&self, columns: Option<usize>) -> Result<Box<dyn Truth>> {
        let columns = match (self.columns, columns) {
            (Columns::Always(d), None) | (Columns::Usually(d), None) => d,
            (Columns::Always(d), Some(asked)) => {
                ensure!(
                    asked == d,
                    Setting,
                    "`{}` has {d} column{}, got {asked}; those that come in any number are {}",
                    self.name,
                    if d == 1 { "" } else { "s" },
                    variable().join(", ")
                );
                d
            }
            (Columns::Usually(_), Some(asked)) => {
                ensure!(
                    asked > 0,
                    Setting,
                    "`{}` needs at least 1 column, got 0",
                    self.name
                );
                ensure!(
                    asked <= MOST_COLUMNS,
                    Setting,
                    "`{}` comes in at most {MOST_COLUMNS} columns, got {asked}",
                    self.name
                );
                asked
            }
        };
        (self.make)(columns)
    }
}

fn variable() -> Vec<&'static str> {
    let any = ENTRIES.iter().filter(|entry| entry.has_any_columns());
    any.map(|entry| entry.name).collect()
}

/// `n` points at each of `times` (strictly increasing) with their velocities. Points at different
/// times are independent. The same seed gives the same points.
///
/// # Errors
/// No points, more numbers than 2^30, times outside of the span or not increasing.
pub fn snapshots(truth: &dyn Truth, times: &[f64], n: usize, seed: u64) -> Result<Snapshots> {
    let [first, last] = truth.span();
    ensure!(n > 0, Value, "expected 1 point or more at each time, got 0");
    let numbers = n.checked_mul(times.len() * truth.dimension());
    ensure!(
        numbers.is_some_and(|numbers| numbers <= MOST_NUMBERS),
        Value,
        "{n} points of {} columns at {} times are more than fit in memory; take fewer",
        truth.dimension(),
        times.len()
    );
    for t in times {
        ensure!(
            (first..=last).contains(t),
            Value,
            "expected times in [{first}, {last}], got {t}"
        );
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut clouds, mut velocities) = (vec![], vec![]);
    for &t in times {
        let points = truth.sample(&vec![t; n], &mut rng).points;
        velocities.push(truth.velocity(t, &points));
        clouds.push(Cloud::new(points)?);
    }
    Snapshots::new(times.to_vec(), clouds)?.with_velocities(velocities)
}

#[cfg(test)]
mod tests;

//! Where cells end: the fates of cells, the genes that go with them, and what a change would do.
//!
//! A cell is moved to the last time and takes the labels of its nearest neighbours there
//! ([`Destinations`]). With noise it is moved many times, and with growth a path counts by the mass
//! that comes of it. A label may also end paths at an earlier time ([`Terminal`]): the share of the
//! neighbours that have it there stays, and the rest goes on.
//!
//! ```
//! use std::ops::ControlFlow;
//! use actum::{Mlp, Options, Problem, data::Attribute, fates, gallery::Branching};
//!
//! let snapshots = Branching.snapshots(&[0.0, 24.0, 48.0], 60, 0)?;
//! let problem = Problem::between(&snapshots).build()?;
//! let options = Options { steps: 50, ..Options::default() };
//! let dynamics = actum::fit(Mlp { width: 16, depth: 2 }, &problem, &options)?;
//! // Labels of the two branches.
//! let side = |cell: &ndarray::Array1<f64>| if cell[1] > 0.0 { "up" } else { "down" };
//! let cells = snapshots.clouds().iter().flat_map(|cloud| cloud.points().outer_iter());
//! let labels = Attribute {
//!     name: "branch".to_owned(),
//!     values: cells.map(|cell| side(&cell.to_owned()).into()).collect(),
//! };
//! let options = fates::Options::default();
//! let destinations = fates::Destinations::new(&dynamics, &snapshots, &labels, options)?;
//! let fates = destinations.of_snapshots(&snapshots, &mut |_, _| ControlFlow::Continue(()))?;
//! assert_eq!(fates.names, ["down", "up"]);
//! assert!((fates.probabilities.row(0).sum() - 1.0).abs() < 1e-12);
//! # use actum::ndarray;
//! # Ok::<(), actum::Error>(())
//! ```

mod clones;
mod couplings;
mod drivers;
mod neighbours;
mod perturb;
#[cfg(feature = "plot")]
mod picture;
mod tables;
mod trends;

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, Axis, s};

pub use clones::{Bin, ClonalFate, Clones, clones};
pub use couplings::{couplings, transitions};
pub use drivers::{Association, Driver, associations, drivers, strongest};
pub use perturb::{Change, Effect, Perturbed, To, screen};
#[cfg(feature = "plot")]
pub use picture::picture;
pub use tables::{write_drivers, write_screen, write_trends};
pub use trends::{Trend, trends};

use self::neighbours::Reference;
use crate::{
    cloud::Cloud,
    data::{Attribute, Snapshots},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    flow::{Scheme, simulate},
};

/// A label that ends the paths of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Terminal {
    /// The label.
    pub label: String,
    /// At which time of the snapshots; at the last where none is given.
    pub at: Option<f64>,
}

/// How fates are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The labels that are fates. All others at the last time count together as [`OTHER`]. Where
    /// none are given, each label of the last time is one.
    pub terminal: Vec<Terminal>,
    /// How many nearest neighbours say where a path ends, at least 1.
    pub neighbours: usize,
    /// How many paths each cell takes where there is noise, at least 1; else it takes one.
    pub paths: usize,
    /// The most cells of a time that neighbours are looked for among; of more so many at random.
    pub references: usize,
    /// Seeds the noise and the choice of references.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            terminal: vec![],
            neighbours: 20,
            paths: 20,
            references: 10_000,
            seed: 0,
        }
    }
}

/// The name of all labels of the last time that are not [named](Options::terminal).
pub const OTHER: &str = "other";

/// 95 % of a normal variable lie within so many standard deviations.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// How many cells are moved at once.
const SOME: usize = 4096;

/// Where the paths of cells may end.
pub struct Destinations<'a> {
    dynamics: &'a Dynamics,
    options: Options,
    names: Vec<String>,
    /// By time, the last of them at the last time.
    references: Vec<Reference>,
}

/// The fates of some cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Fates {
    /// What the fates are called, `[l]`.
    pub names: Vec<String>,
    /// The probability of every fate for every cell, `[n, l]`; rows sum to 1.
    pub probabilities: Array2<f64>,
    /// The lower end of its 95 % interval, `[n, l]`: Wilson's, of the neighbours (by their shares,
    /// each once) and the paths as a sample (Wilson 1927; Kish 1965). It knows the chance of labels
    /// and of noise, and not the error of the learned motion.
    pub low: Array2<f64>,
    /// The upper end.
    pub high: Array2<f64>,
    /// The mass that comes of a unit of mass of every cell, `[n]`; 1 without growth.
    pub descendants: Array1<f64>,
}

impl<'a> Destinations<'a> {
    /// From the snapshots that the neighbours are looked for among, with a label for each of their
    /// points in their order. A cell without a label (empty text) says nothing.
    ///
    /// # Errors
    /// Labels of other points; a last time, or an earlier one that ends paths, without labelled
    /// cells; a terminal label that is not there, the same one twice; options outside of their
    /// range; times outside of what was learned.
    pub fn new(
        dynamics: &'a Dynamics,
        snapshots: &Snapshots,
        labels: &Attribute,
        options: Options,
    ) -> Result<Self> {
        let count: usize = snapshots.clouds().iter().map(Cloud::len).sum();
        ensure!(
            labels.values.len() == count,
            Shape,
            "expected a label for each of {count} cells, got {}",
            labels.values.len()
        );
        ensure!(
            options.neighbours > 0 && options.paths > 0 && options.references > 0,
            Value,
            "expected at least one neighbour, one path and one reference, got {}, {} and {}",
            options.neighbours,
            options.paths,
            options.references
        );
        dynamics.check(snapshots.cloud(0).points())?;
        let last = snapshots.len() - 1;
        let mut starts = vec![0];
        for cloud in snapshots.clouds() {
            starts.push(starts[starts.len() - 1] + cloud.len());
        }
        let labels_at = |k: usize| &labels.values[starts[k]..starts[k + 1]];
        let known_at = |k: usize| {
            let mut known: Vec<&str> = labels_at(k).iter().map(|label| &**label).collect();
            known.sort_unstable();
            known.dedup();
            known.retain(|label| !label.is_empty());
            known
        };
        ensure!(
            !known_at(last).is_empty(),
            Value,
            "no cell of the last time, {}, has a label in {:?}",
            snapshots.labels()[last],
            labels.name
        );
        let mut ends: Vec<(usize, &str)> = vec![];
        for terminal in &options.terminal {
            let k = match terminal.at {
                None => last,
                Some(t) => snapshots
                    .times()
                    .iter()
                    .position(|time| *time == t)
                    .ok_or_else(|| {
                        Error::missing(format!("the time {t}"), snapshots.labels().iter())
                    })?,
            };
            let known = known_at(k);
            if !known.contains(&terminal.label.as_str()) {
                let what = format!(
                    "the label {:?} of {:?} at time {}",
                    terminal.label,
                    labels.name,
                    snapshots.labels()[k]
                );
                return Err(Error::missing(what, known));
            }
            ensure!(
                !ends.contains(&(k, &terminal.label)),
                Value,
                "the label {:?} is named twice at time {}",
                terminal.label,
                snapshots.labels()[k]
            );
            ends.push((k, &terminal.label));
        }
        if ends.iter().all(|(k, _)| *k != last) {
            ends.extend(known_at(last).into_iter().map(|label| (last, label)));
        }
        // One label is one fate, whenever it is reached.
        let mut names: Vec<String> = ends.iter().map(|(_, label)| (*label).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let other = names.len();
        let named = |k: usize, label: &str| ends.contains(&(k, label));
        if known_at(last).iter().any(|label| !named(last, label)) {
            let mut name = OTHER.to_owned();
            while names.contains(&name) {
                name.push('_');
            }
            names.push(name);
        }
        let mut times: Vec<usize> = ends.iter().map(|(k, _)| *k).collect();
        times.sort_unstable();
        times.dedup();
        let references = times.iter().map(|k| {
            let fates = labels_at(*k).iter().map(|label| {
                let place = names.iter().position(|name| *name == **label);
                match place {
                    _ if label.is_empty() => None,
                    Some(fate) if named(*k, label) => Some(Some(fate)),
                    // What is no fate goes on, and at the end is something else.
                    _ if *k == last => Some(Some(other)),
                    _ => Some(None),
                }
            });
            let fates: Vec<Option<Option<usize>>> = fates.collect();
            Reference::new(
                dynamics,
                snapshots.times()[*k],
                snapshots.cloud(*k),
                &fates,
                &options,
            )
        });
        Ok(Self {
            dynamics,
            references: references.collect::<Result<_>>()?,
            names,
            options,
        })
    }

    /// What the fates are called, `[l]`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The fates of points `[n, d]` at time `from`. The same seed gives the same noise.
    ///
    /// # Errors
    /// As [`simulate`]; a time after the last one that has labels.
    pub fn of(&self, points: &Array2<f64>, from: f64) -> Result<Fates> {
        self.seeded(points, from, self.options.seed)
    }

    fn seeded(&self, points: &Array2<f64>, from: f64, seed: u64) -> Result<Fates> {
        let ahead: Vec<&Reference> = self.references.iter().filter(|r| r.time >= from).collect();
        let last = ahead.last().ok_or_else(|| {
            let what = format!("there are no labels at time {from} or later");
            Error::new(ErrorKind::Value, what)
        })?;
        let times: Vec<f64> = ahead.iter().map(|reference| reference.time).collect();
        let lagrangian = &self.dynamics.lagrangian;
        let is_random = lagrangian.is_noisy() && last.time > from;
        let paths = if is_random { self.options.paths } else { 1 };
        let start = Cloud::weighted(points.clone(), Array1::ones(points.nrows()))?;
        let scheme = Scheme::for_lagrangian(lagrangian);
        let mut tallies = vec![Tally::default(); points.nrows()];
        for path in 0..paths as u64 {
            let seed = seed.wrapping_add(path);
            let moved = simulate(self.dynamics, &start, from, &times, scheme, seed)?;
            // What is left of each path.
            let mut left = vec![1.0; points.nrows()];
            for (k, reference) in ahead.iter().enumerate() {
                let near = reference.nearest(self.dynamics, &moved.at(k), &self.options);
                let mass = moved.weights.row(k);
                for (i, near) in near.into_iter().enumerate() {
                    let before = left[i];
                    for (cell, share) in near {
                        if let Some(fate) = reference.fates[cell] {
                            let amount = before * share * mass[i];
                            tallies[i].ends.push((k, cell, fate, amount));
                            left[i] = f64::max(left[i] - before * share, 0.0);
                        }
                    }
                }
            }
            for (tally, mass) in tallies.iter_mut().zip(moved.weights.row(ahead.len() - 1)) {
                tally.paths.push(*mass);
            }
        }
        let (n, l) = (points.nrows(), self.names.len());
        let mut fates = Fates {
            names: self.names.clone(),
            probabilities: Array2::zeros((n, l)),
            low: Array2::zeros((n, l)),
            high: Array2::zeros((n, l)),
            descendants: Array1::zeros(n),
        };
        for (i, tally) in tallies.into_iter().enumerate() {
            let size = tally.sample_size(is_random);
            fates.descendants[i] = tally.paths.iter().sum::<f64>() / paths as f64;
            let total: f64 = tally.ends.iter().map(|(.., amount)| amount).sum();
            ensure!(
                total > 0.0 && total.is_finite(),
                Diverged,
                "the mass that comes of cell {i} at time {from} is {total}: the learned growth is \
                 too strong there"
            );
            for (_, _, fate, amount) in &tally.ends {
                fates.probabilities[[i, *fate]] += amount / total;
            }
            for fate in 0..l {
                let [low, high] = wilson(fates.probabilities[[i, fate]], size);
                fates.low[[i, fate]] = low;
                fates.high[[i, fate]] = high;
            }
        }
        Ok(fates)
    }

    /// The fates of all points of snapshots, in their order. `progress` is told how many cells of
    /// how many are done, and may stop it.
    ///
    /// # Errors
    /// As [`of`](Self::of); [`Interrupted`](ErrorKind::Interrupted) if `progress` asked to stop.
    pub fn of_snapshots(
        &self,
        snapshots: &Snapshots,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Fates> {
        let total: usize = snapshots.clouds().iter().map(Cloud::len).sum();
        let mut parts = vec![];
        let mut done = 0;
        for (t, cloud) in snapshots.times().iter().zip(snapshots.clouds()) {
            for start in (0..cloud.len()).step_by(SOME) {
                let end = cloud.len().min(start + SOME);
                let some = cloud.points().slice(s![start..end, ..]).to_owned();
                // Each part has noise of its own.
                let seed = self.options.seed.wrapping_add((done as u64) << 20);
                parts.push(self.seeded(&some, *t, seed)?);
                done += end - start;
                ensure!(
                    progress(done, total).is_continue(),
                    Interrupted,
                    "stopped after {done} of {total} cells"
                );
            }
        }
        let rows = |of: fn(&Fates) -> &Array2<f64>| {
            let parts: Vec<_> = parts.iter().map(|part| of(part).view()).collect();
            ndarray::concatenate(Axis(0), &parts).expect("all have the same fates")
        };
        Ok(Fates {
            names: self.names.clone(),
            probabilities: rows(|part| &part.probabilities),
            low: rows(|part| &part.low),
            high: rows(|part| &part.high),
            descendants: parts
                .iter()
                .flat_map(|part| &part.descendants)
                .copied()
                .collect(),
        })
    }
}

/// Where the paths of a cell ended.
#[derive(Debug, Clone, Default)]
struct Tally {
    /// The time and the cell of a neighbour, its fate, and how much of the mass it takes.
    ends: Vec<(usize, usize, usize, f64)>,
    /// The mass of each path.
    paths: Vec<f64>,
}

impl Tally {
    /// The number of independent labels of equal weight that say as much: Kish's, of the cells that
    /// were found, each once, and of the paths.
    fn sample_size(&self, is_random: bool) -> f64 {
        let mut cells: Vec<((usize, usize), f64)> = self
            .ends
            .iter()
            .map(|(time, cell, _, amount)| ((*time, *cell), *amount))
            .collect();
        cells.sort_by_key(|(cell, _)| *cell);
        let total: f64 = cells.iter().map(|(_, amount)| amount).sum();
        let same = cells.chunk_by(|a, b| a.0 == b.0);
        let shares = same.map(|same| same.iter().map(|(_, amount)| amount).sum::<f64>() / total);
        let of_cells: f64 = shares.map(|share| share * share).sum();
        let mass: f64 = self.paths.iter().sum();
        let of_paths: f64 = match is_random {
            true => self.paths.iter().map(|m| (m / mass).powi(2)).sum(),
            false => 0.0,
        };
        1.0 / (of_cells + of_paths)
    }
}

/// Wilson's interval of 95 % of a share that was found among so many.
fn wilson(share: f64, count: f64) -> [f64; 2] {
    let square = Z * Z / count;
    let middle = (share + 0.5 * square) / (1.0 + square);
    let half = (share * (1.0 - share) * square + 0.25 * square * square).sqrt() / (1.0 + square);
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

impl Fates {
    /// The fates of the cells at these places.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn select(&self, cells: &[usize]) -> Self {
        let of = |all: &Array2<f64>| all.select(Axis(0), cells);
        Self {
            names: self.names.clone(),
            probabilities: of(&self.probabilities),
            low: of(&self.low),
            high: of(&self.high),
            descendants: self.descendants.select(Axis(0), cells),
        }
    }

    /// The mean probability of every fate over cells of these weights `[n]`, `[l]`. With growth a
    /// cell also counts by its descendants: the mean is then over the mass at the end.
    ///
    /// # Panics
    /// If there are not as many weights as cells.
    pub fn mean(&self, weights: &Array1<f64>) -> Array1<f64> {
        let weights = weights * &self.descendants;
        weights.dot(&self.probabilities) / weights.sum()
    }
}

#[cfg(test)]
mod tests;

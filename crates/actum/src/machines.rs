//! The processes that share a fit, on one machine or on many.
//!
//! A step of a fit has a fixed number of [parts](Parts). Each is drawn by a generator of its own,
//! and the gradients of all are added as a fixed binary tree. A process computes some of the parts
//! that follow each other, so that its own sum is a whole branch of the tree. How many processes
//! there are therefore decides nothing but the time.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result, ensure};

/// The parts of a step that a process computes: `held` of `count`, from the part `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// How many parts a step has.
    pub count: usize,
    /// The first of this process, counted from 0.
    pub first: usize,
    /// How many of them this process has.
    pub held: usize,
}

impl Parts {
    /// Those of a process that is alone: all of them.
    pub fn all(count: usize) -> Self {
        let (first, held) = (0, count);
        Self { count, first, held }
    }

    /// The parts of this process.
    pub fn held(&self) -> Range<usize> {
        self.first..self.first + self.held
    }
}

/// The processes that share a fit, as one of them sees them: itself alone, or those that `mpirun`
/// started, with the feature `mpi`.
///
/// What several processes do together, all of them call in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machines {
    rank: usize,
    count: usize,
}

impl Default for Machines {
    fn default() -> Self {
        Self::alone()
    }
}

/// How the kind of an error is sent.
const KINDS: [ErrorKind; 12] = [
    ErrorKind::Io,
    ErrorKind::Format,
    ErrorKind::Missing,
    ErrorKind::Shape,
    ErrorKind::Value,
    ErrorKind::Setting,
    ErrorKind::Exists,
    ErrorKind::Version,
    ErrorKind::Diverged,
    ErrorKind::Interrupted,
    ErrorKind::Memory,
    ErrorKind::Busy,
];

impl Machines {
    /// This process alone.
    pub fn alone() -> Self {
        Self { rank: 0, count: 1 }
    }

    /// How many processes there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether this is the process that writes the run and speaks to the user.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// The parts of this process where a step has `count`, a power of 2.
    ///
    /// # Errors
    /// More processes than parts, or a number of processes that is no power of 2.
    pub fn parts(&self, count: usize) -> Result<Parts> {
        ensure!(
            self.count <= count,
            Setting,
            "{} processes cannot share a step of {}: a process computes one part or more. Take at \
             most {count}, or begin another fit with `fit.parts` of at least {}; a fit that has begun \
             keeps its parts",
            self.count,
            if count == 1 {
                "1 part".to_owned()
            } else {
                format!("{count} parts")
            },
            self.count.next_power_of_two()
        );
        ensure!(
            self.count.is_power_of_two(),
            Setting,
            "the {count} parts of a step are shared by 1, 2, 4, .. processes, a power of 2; got {} \
             processes",
            self.count
        );
        let held = count / self.count;
        let first = self.rank * held;
        Ok(Parts { count, first, held })
    }

    /// Goes on where no process failed; else all return the error of the first that did.
    ///
    /// # Errors
    /// As said.
    pub fn agree<T>(&self, result: Result<T>) -> Result<T> {
        if self.count == 1 {
            return result;
        }
        let said = match &result {
            Ok(_) => vec![],
            Err(error) => {
                let kind = KINDS.iter().position(|kind| *kind == error.kind());
                let kind = kind.expect("every kind is in the list") as u8;
                [&[kind], error.to_string().as_bytes()].concat()
            }
        };
        let all = self.gather(&said);
        let Some(rank) = all.iter().position(|said| !said.is_empty()) else {
            return result;
        };
        let (kind, text) = (usize::from(all[rank][0]), &all[rank][1..]);
        let text = String::from_utf8_lossy(text);
        let error = Error::new(KINDS[kind], text);
        Err(match rank {
            0 => error,
            rank => error.within(self.name(rank)),
        })
    }

    /// That all processes have the same of everything that is named, such as `("settings", ..)`.
    ///
    /// # Errors
    /// The first process that has something else, and both.
    pub fn same(&self, named: &[(&str, &str)]) -> Result<()> {
        if self.count == 1 {
            return Ok(());
        }
        for (name, mine) in named {
            let all = self.gather(mine.as_bytes());
            if let Some(rank) = all.iter().position(|theirs| *theirs != all[0]) {
                let [first, other] = [&all[0], &all[rank]].map(|b| String::from_utf8_lossy(b));
                let (first, other) = different_lines(&first, &other);
                let what = format!(
                    "{} differs from the first in its {name}: {other}, not {first}; all processes of a \
                     fit need the same",
                    self.name(rank)
                );
                return Err(Error::new(ErrorKind::Value, what));
            }
        }
        Ok(())
    }

    fn name(&self, rank: usize) -> String {
        format!("process {} of {}", rank + 1, self.count)
    }
}

/// The lines in which two texts differ.
fn different_lines(a: &str, b: &str) -> (String, String) {
    let lacking = |a: &str, b: &str| {
        let other: Vec<&str> = b.lines().collect();
        let lines: Vec<&str> = a.lines().filter(|line| !other.contains(line)).collect();
        if lines.is_empty() {
            "nothing".to_owned()
        } else {
            lines.join(", ")
        }
    };
    (lacking(a, b), lacking(b, a))
}

/// Sums of a power of 2 of leaves as a binary tree, of which no more branches are kept than it has
/// levels.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    branches: Vec<Vec<f32>>,
    spare: Vec<Vec<f32>>,
    count: usize,
}

impl Tree {
    /// Adds the next leaf.
    pub fn add(&mut self, leaf: &[f32]) {
        let mut sum = self.spare.pop().unwrap_or_default();
        sum.clear();
        sum.extend_from_slice(leaf);
        // Branches of equal size are joined, as the digits of a binary number are carried.
        let mut carried = self.count;
        while carried % 2 == 1 {
            let mut left = self.branches.pop().expect("a branch for every digit");
            add(&mut left, &sum);
            self.spare.push(std::mem::replace(&mut sum, left));
            carried /= 2;
        }
        self.branches.push(sum);
        self.count += 1;
    }

    /// The sum of all leaves, after which the tree is empty. The sum is to be given back.
    pub fn take(&mut self) -> Vec<f32> {
        debug_assert!(self.count.is_power_of_two());
        self.count = 0;
        self.branches.pop().unwrap_or_default()
    }

    /// Takes back the memory of a sum.
    pub fn give(&mut self, sum: Vec<f32>) {
        self.spare.push(sum);
    }
}

fn add(sum: &mut [f32], more: &[f32]) {
    sum.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum += more);
}

/// The sum of a power of 2 of numbers, added as by [`Tree`]; 0 of none.
pub(crate) fn tree_sum(numbers: &[f64]) -> f64 {
    match numbers {
        [] => 0.0,
        [one] => *one,
        _ => {
            let (left, right) = numbers.split_at(numbers.len() / 2);
            tree_sum(left) + tree_sum(right)
        }
    }
}

#[cfg(not(feature = "mpi"))]
impl Machines {
    /// What every process has, in their order.
    pub fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        vec![mine.to_vec()]
    }

    /// As many numbers of every process, in their order.
    pub(crate) fn gather_numbers(&self, mine: &[f64]) -> Vec<f64> {
        mine.to_vec()
    }

    /// What the first process has.
    pub fn share(&self, mine: Vec<u8>) -> Vec<u8> {
        mine
    }

    /// Adds the numbers of all processes as a binary tree.
    pub(crate) fn sum(&self, _numbers: &mut [f32]) {}
}

#[cfg(feature = "mpi")]
pub use mpi::World;

#[cfg(feature = "mpi")]
mod mpi {
    use ::mpi::{
        Threading,
        environment::{self, Universe},
        point_to_point::send_receive_into,
        topology::SimpleCommunicator,
        traits::{Communicator, CommunicatorCollectives, Root},
    };

    use super::{Machines, add};
    use crate::error::{Result, ensure};

    /// The processes that `mpirun` started. MPI ends when it is dropped, which all processes do at
    /// the same point.
    pub struct World {
        _universe: Universe,
        machines: Machines,
    }

    impl World {
        /// Begins MPI: once in a process.
        ///
        /// # Errors
        /// It was begun before, or may not be called from more than one thread, one at a time.
        pub fn join() -> Result<Self> {
            let begun = environment::initialize_with_threading(Threading::Serialized);
            ensure!(
                begun.is_some(),
                Value,
                "MPI was begun before in this process"
            );
            let (universe, threading) = begun.expect("it was looked at");
            ensure!(
                threading >= Threading::Serialized,
                Value,
                "this MPI may be called from one thread alone; install one with \
                 MPI_THREAD_SERIALIZED"
            );
            let world = universe.world();
            let [rank, count] = [world.rank(), world.size()].map(|n| n as usize);
            Ok(Self {
                machines: Machines { rank, count },
                _universe: universe,
            })
        }

        /// The processes.
        pub fn machines(&self) -> Machines {
            self.machines
        }

        /// The name of this machine.
        pub fn host(&self) -> String {
            environment::processor_name().unwrap_or_default()
        }
    }

    impl Machines {
        /// What every process has, in their order.
        pub fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
            if self.count == 1 {
                return vec![mine.to_vec()];
            }
            let world = SimpleCommunicator::world();
            let mut lengths = vec![0u64; self.count];
            world.all_gather_into(&(mine.len() as u64), &mut lengths[..]);
            let longest = lengths.iter().max().map_or(0, |n| *n as usize);
            if longest == 0 {
                return vec![vec![]; self.count];
            }
            let mut padded = mine.to_vec();
            padded.resize(longest, 0);
            let mut all = vec![0; longest * self.count];
            world.all_gather_into(&padded[..], &mut all[..]);
            let each = all.chunks_exact(longest).zip(&lengths);
            each.map(|(bytes, n)| bytes[..*n as usize].to_vec())
                .collect()
        }

        /// As many numbers of every process, in their order.
        pub(crate) fn gather_numbers(&self, mine: &[f64]) -> Vec<f64> {
            if self.count == 1 {
                return mine.to_vec();
            }
            let mut all = vec![0.0; mine.len() * self.count];
            SimpleCommunicator::world().all_gather_into(mine, &mut all[..]);
            all
        }

        /// What the first process has.
        pub fn share(&self, mut mine: Vec<u8>) -> Vec<u8> {
            if self.count > 1 {
                let world = SimpleCommunicator::world();
                let first = world.process_at_rank(0);
                let mut length = mine.len() as u64;
                first.broadcast_into(&mut length);
                mine.resize(length as usize, 0);
                // Open MPI refuses the address of nothing.
                if length > 0 {
                    first.broadcast_into(&mut mine[..]);
                }
            }
            mine
        }

        /// Adds the numbers of all processes as a binary tree.
        ///
        /// The library of MPI may add in any order. Here processes exchange halves with a neighbour,
        /// quarters with the neighbour of that, and so on, until each has a piece of the sum; then
        /// the pieces go back the same way (Rabenseifner 2004). The branch of the lower process and
        /// that of the higher are added at every level, so every number is the sum of the same tree.
        pub(crate) fn sum(&self, numbers: &mut [f32]) {
            let world = SimpleCommunicator::world();
            let mut range = 0..numbers.len();
            let mut theirs = vec![0.0; numbers.len().div_ceil(2)];
            let mut levels = vec![];
            let mut distance = 1;
            while distance < self.count {
                let peer = world.process_at_rank((self.rank ^ distance) as i32);
                let middle = range.start + range.len() / 2;
                let (keep, give) = match self.rank & distance {
                    0 => (range.start..middle, middle..range.end),
                    _ => (middle..range.end, range.start..middle),
                };
                let theirs = &mut theirs[..keep.len()];
                send_receive_into(&numbers[give.clone()], &peer, theirs, &peer);
                add(&mut numbers[keep.clone()], theirs);
                levels.push((distance, keep.clone(), give));
                range = keep;
                distance *= 2;
            }
            for (distance, keep, give) in levels.into_iter().rev() {
                let peer = world.process_at_rank((self.rank ^ distance) as i32);
                let middle = keep.start.max(give.start);
                let (low, high) = numbers[..keep.end.max(give.end)].split_at_mut(middle);
                let low = &mut low[keep.start.min(give.start)..];
                let (have, want) = match keep.start < give.start {
                    true => (low, high),
                    false => (high, low),
                };
                send_receive_into(&*have, &peer, want, &peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree of four is (a + b) + (c + d): in f32 every other order gives another sum.
    #[test]
    fn leaves_are_added_as_a_binary_tree() {
        let leaves = [1e8f32, 3.0, -1e8, 5.0];
        let mut tree = Tree::default();
        for _ in 0..2 {
            leaves.iter().for_each(|leaf| tree.add(&[*leaf]));
            let sum = tree.take();
            // 1e8 + 3 is 1e8 in f32, whose neighbours are 8 apart, and -1e8 + 5 is -1e8 + 8.
            assert_eq!(sum, [8.0]);
            tree.give(sum);
        }
        let leaves: Vec<f64> = leaves.iter().map(|leaf| f64::from(*leaf)).collect();
        assert_eq!(tree_sum(&leaves), 8.0);
        assert_eq!(tree_sum(&[1e16, 1.0, -1e16, 1.0]), 0.0);
    }

    /// Whoever has which parts, the sum of the branches is the tree.
    #[test]
    fn branches_of_processes_make_the_whole_tree() {
        let leaf = |k: usize| [1.0 / (k as f32 + 0.7), (k as f32).sin() * 1e4];
        let mut whole = Tree::default();
        (0..16).for_each(|k| whole.add(&leaf(k)));
        let whole = whole.take();
        for count in [1, 2, 4, 8, 16] {
            let mut upper = Tree::default();
            for rank in 0..count {
                let parts = Machines { rank, count }.parts(16).unwrap();
                let mut branch = Tree::default();
                parts.held().for_each(|k| branch.add(&leaf(k)));
                upper.add(&branch.take());
            }
            assert_eq!(upper.take(), whole, "{count} processes");
        }
    }

    #[test]
    fn processes_that_cannot_share_parts_are_refused() {
        let parts = |count, of| {
            Machines { rank: 0, count }
                .parts(of)
                .map_err(|e| e.to_string())
        };
        assert_eq!(
            parts(2, 8),
            Ok(Parts {
                count: 8,
                first: 0,
                held: 4
            })
        );
        let error = parts(4, 1).unwrap_err();
        assert!(
            error.contains("4 processes cannot share a step of 1 part"),
            "{error}"
        );
        assert!(error.contains("`fit.parts` of at least 4"), "{error}");
        let error = parts(3, 8).unwrap_err();
        assert!(error.contains("a power of 2; got 3 processes"), "{error}");
    }

    #[test]
    fn what_differs_is_shown_alone() {
        let (first, other) = different_lines("a = 1\nb = 2\nc = 3", "a = 1\nb = 4\nc = 3");
        assert_eq!((first.as_str(), other.as_str()), ("b = 2", "b = 4"));
    }
}

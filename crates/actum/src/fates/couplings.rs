//! Which cells of the next time come of a cell.

use std::collections::BTreeMap;

use super::{Options, neighbours::Reference};
use crate::{
    cloud::Cloud,
    data::{Snapshots, SparseMatrix},
    dynamics::Dynamics,
    error::Result,
    flow::{Scheme, simulate},
};

/// For every time but the last the coupling of its cells with those of the next: the mass that comes
/// of a cell lies on the nearest neighbours of where it is moved to, with noise of
/// [many paths](Options::paths). The sums of its rows are the weights of the cells, with growth those
/// times what comes of each. Labels and terminals of the options mean nothing here.
///
/// # Errors
/// As [`simulate`].
pub fn couplings(
    dynamics: &Dynamics,
    snapshots: &Snapshots,
    options: &Options,
) -> Result<Vec<SparseMatrix>> {
    let lagrangian = &dynamics.lagrangian;
    let scheme = Scheme::for_lagrangian(lagrangian);
    let paths = if lagrangian.is_noisy() {
        options.paths
    } else {
        1
    };
    let pairs = snapshots
        .clouds()
        .windows(2)
        .zip(snapshots.times().windows(2));
    let each = pairs.map(|(clouds, times)| {
        let [from, to]: &[Cloud; 2] = clouds.try_into().expect("pairs");
        let reference =
            Reference::new(dynamics, times[1], to, &vec![Some(None); to.len()], options)?;
        let mut rows = vec![BTreeMap::<usize, f64>::new(); from.len()];
        for path in 0..paths as u64 {
            let seed = options.seed.wrapping_add(path);
            let moved = simulate(dynamics, from, times[0], &times[1..], scheme, seed)?;
            let near = reference.nearest(dynamics, &moved.at(0), options);
            for ((row, near), mass) in rows.iter_mut().zip(near).zip(moved.weights.row(0)) {
                for (cell, share) in near {
                    *row.entry(reference.cells[cell]).or_default() += mass * share / paths as f64;
                }
            }
        }
        let entries = rows.into_iter().enumerate().flat_map(|(i, row)| {
            let there = row.into_iter().filter(|(_, mass)| *mass > 0.0);
            there.map(move |(j, mass)| (i, j, mass))
        });
        Ok(SparseMatrix {
            shape: [from.len(), to.len()],
            entries: entries.collect(),
        })
    });
    each.collect()
}

/// The same as chances to go from any cell to any other, for points whose places in a file `rows`
/// says, `[n]`: rows sum to 1, and cells of the last time stay.
///
/// # Panics
/// If the couplings are not of so many points.
pub fn transitions(couplings: &[SparseMatrix], rows: &[usize]) -> SparseMatrix {
    let mut entries = vec![];
    let mut start = 0;
    for coupling in couplings {
        let [from, to] = coupling.shape;
        let mut sums = vec![0.0; from];
        for (i, _, mass) in &coupling.entries {
            sums[*i] += mass;
        }
        let next = start + from;
        let told = coupling.entries.iter();
        entries.extend(told.map(|(i, j, mass)| (rows[start + i], rows[next + j], mass / sums[*i])));
        debug_assert!(next + to <= rows.len());
        start = next;
    }
    entries.extend(rows[start..].iter().map(|row| (*row, *row, 1.0)));
    entries.sort_unstable_by_key(|(i, j, _)| (*i, *j));
    SparseMatrix {
        shape: [rows.len(); 2],
        entries,
    }
}

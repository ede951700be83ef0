//! What must hold of rows before they are snapshots.

use std::collections::HashSet;

use ndarray::{Array1, Array2, ArrayView2};

use super::abridged;
use crate::{
    data::TimeAxis,
    error::{Result, ensure},
};

/// The rows of each time of `axis`, in their order.
pub(super) fn rows_by_time(axis: &TimeAxis, index: &[usize]) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); axis.values().len()];
    for (row, time) in index.iter().enumerate() {
        rows[*time].push(row);
    }
    rows
}

/// x0, x1, ...
pub(crate) fn default_columns(d: usize) -> Vec<String> {
    (0..d).map(|j| format!("x{j}")).collect()
}

pub(in crate::data) fn check_columns(columns: &[String], d: usize) -> Result<()> {
    ensure!(
        columns.len() == d,
        Shape,
        "expected {d} names of columns, got {}",
        columns.len()
    );
    let mut seen = HashSet::new();
    if let Some(name) = columns.iter().find(|name| !seen.insert(name.as_str())) {
        ensure!(
            false,
            Value,
            "two columns are named {name:?}; give each its own name"
        );
    }
    Ok(())
}

pub(super) fn check_lengths(
    points: &Array2<f64>,
    times: usize,
    weights: &Option<Array1<f64>>,
) -> Result<()> {
    let n = points.nrows();
    ensure!(
        times == n,
        Shape,
        "expected one time for each of {n} points, got {times}"
    );
    let weights = weights.as_ref().map_or(n, Array1::len);
    ensure!(
        weights == n,
        Shape,
        "expected one weight for each of {n} points, got {weights}"
    );
    Ok(())
}

pub(super) fn check_finite(points: ArrayView2<f64>, columns: &[String]) -> Result<()> {
    let mut finite = Finite::default();
    points.outer_iter().for_each(|row| finite.look(row));
    finite.check(columns)
}

/// Looks for numbers that are not finite, row by row.
#[derive(Default)]
pub(in crate::data) struct Finite {
    rows: usize,
    bad: usize,
    /// Row, column and number of the first.
    first: Option<(usize, usize, f64)>,
}

impl Finite {
    pub(in crate::data) fn look<'a>(&mut self, row: impl IntoIterator<Item = &'a f64>) {
        for (j, x) in row.into_iter().enumerate() {
            if !x.is_finite() {
                self.bad += 1;
                self.first.get_or_insert((self.rows, j, *x));
            }
        }
        self.rows += 1;
    }

    pub(in crate::data) fn check(&self, columns: &[String]) -> Result<()> {
        if let Some((row, j, x)) = self.first {
            ensure!(
                false,
                Value,
                "{} of {} numbers are not finite, the first at row {row} (counted from 0), column \
                 {}: {x}; remove or impute those rows",
                self.bad,
                self.rows * columns.len(),
                columns[j]
            );
        }
        Ok(())
    }
}

pub(in crate::data) fn check_sizes(
    axis: &TimeAxis,
    sizes: impl ExactSizeIterator<Item = usize>,
) -> Result<()> {
    let times = sizes.len();
    let single: Vec<_> = sizes
        .zip(axis.labels())
        .filter(|(size, _)| *size < 2)
        .map(|(_, label)| label.clone())
        .collect();
    if single.len() == times && times > 1 {
        ensure!(
            false,
            Value,
            "each of the {times} points has a time of its own, so there are no snapshots of a \
             population; round the times to those of measurement, or choose another time column"
        );
    }
    ensure!(
        single.is_empty(),
        Value,
        "a single point cannot be a snapshot, there is only one at time {}; remove those rows or \
         merge them into another time",
        abridged(&single)
    );
    Ok(())
}

//! Draws in proportion to weights.

use rand::{Rng, RngExt};

/// Replaces weights by their running sums.
pub(super) fn cumulate(values: &mut [f64]) {
    for k in 1..values.len() {
        values[k] += values[k - 1];
    }
}

/// The running sums of weights.
pub(super) fn cumulated<'a>(weights: impl IntoIterator<Item = &'a f64>) -> Vec<f64> {
    let mut running: Vec<f64> = weights.into_iter().copied().collect();
    cumulate(&mut running);
    running
}

/// An index, drawn in proportion to the mass it adds to the running sum; None if there is no mass.
pub(super) fn draw(running: &[f64], rng: &mut dyn Rng) -> Option<usize> {
    let total = *running.last()?;
    let u = rng.random::<f64>() * total;
    Some(running.partition_point(|r| *r <= u).min(running.len() - 1))
}

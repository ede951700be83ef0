//! The nearest labelled cells of a time.

use ndarray::{Array2, Axis};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

use super::Options;
use crate::{
    cloud::Cloud,
    dynamics::Dynamics,
    error::{Result, ensure},
    neighbours::Neighbours,
};

/// The labelled cells of a time.
pub(super) struct Reference {
    pub time: f64,
    /// For each cell its fate, if its label is one.
    pub fates: Vec<Option<usize>>,
    /// The places of the cells in their cloud.
    pub cells: Vec<usize>,
    /// In the network's units, in which the fit measures distances.
    neighbours: Neighbours,
    weights: Vec<f64>,
}

impl Reference {
    /// Of the cells that have a label.
    pub(super) fn new(
        dynamics: &Dynamics,
        time: f64,
        cloud: &Cloud,
        fates: &[Option<Option<usize>>],
        options: &Options,
    ) -> Result<Self> {
        dynamics.units.check_times([&time])?;
        let counts = |i: &usize| fates[*i].is_some() && cloud.weights()[*i] > 0.0;
        let mut cells: Vec<usize> = (0..cloud.len()).filter(counts).collect();
        ensure!(
            !cells.is_empty(),
            Value,
            "no cell at time {time} has a label and a weight"
        );
        if cells.len() > options.references {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            let mut chosen = index::sample(&mut rng, cells.len(), options.references).into_vec();
            chosen.sort_unstable();
            cells = chosen.into_iter().map(|i| cells[i]).collect();
        }
        let points = cloud.points().select(Axis(0), &cells);
        Ok(Self {
            time,
            fates: cells.iter().map(|i| fates[*i].flatten()).collect(),
            neighbours: Neighbours::new(dynamics.units.points_in(points.view())),
            weights: cells.iter().map(|i| cloud.weights()[*i]).collect(),
            cells,
        })
    }

    /// For each of the points `[n, d]` its nearest cells and their shares by weight, which sum to 1.
    pub(super) fn nearest(
        &self,
        dynamics: &Dynamics,
        points: &Array2<f64>,
        options: &Options,
    ) -> Vec<Vec<(usize, f64)>> {
        let points = dynamics.units.points_in(points.view());
        let near = self.neighbours.nearest(&points, options.neighbours);
        let shares = near.into_iter().map(|near| {
            let total: f64 = near.iter().map(|cell| self.weights[*cell]).sum();
            let share = |cell: usize| (cell, self.weights[cell] / total);
            near.into_iter().map(share).collect()
        });
        shares.collect()
    }
}

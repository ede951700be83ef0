//! The gradient in the parameters of hidden layers: sums over the rows of tiles.

use super::{
    engine::{MlpEngine as Network, ONES},
    tile::{Layer, Tile},
};
use crate::simd::{GROUP, Line, accumulate, add_rows, bf16};

/// Some columns of the gradient in a layer's weights and biases.
pub(super) struct Columns<'a> {
    layer: usize,
    /// The first panel.
    panel: usize,
    weights: &'a mut [Line],
    biases: &'a mut [Line],
    /// Whether products are in bf16.
    rounds: bool,
}

impl<'a> Columns<'a> {
    /// All columns of a gradient, the dearest first.
    pub fn of(network: &Network, gradient: &'a mut [Line]) -> Vec<Self> {
        let layout = network.layout;
        let (layers, ..) = layout.split(gradient);
        let mut all = vec![];
        for (layer, [weights, biases]) in layers.into_iter().enumerate().rev() {
            let groups = weights
                .chunks_mut(GROUP * layout.height(layer))
                .zip(biases.chunks_mut(GROUP));
            all.extend(groups.enumerate().map(|(group, (weights, biases))| Self {
                layer,
                panel: group * GROUP,
                weights,
                biases,
                rounds: network.rounds(layer),
            }));
        }
        all
    }

    /// Adds what the tiles contribute, one after the other.
    pub fn add(self, tiles: &[Tile]) {
        let Self {
            layer,
            panel,
            weights,
            biases,
            rounds,
        } = self;
        for tile in tiles {
            let rows = tile.padded;
            let columns = panel * rows..(panel + biases.len()) * rows;
            let Layer { r, left, right, .. } = &tile.layers[layer];
            add_rows(&ONES[..rows], &r[columns.clone()], biases);
            if rounds {
                let height = right.len() * rows / r.len();
                let right = &right[panel * height..][..biases.len() * height];
                bf16::accumulate(weights.len() / biases.len(), left, right, weights);
                continue;
            }
            let pairs: Vec<_> = tile
                .factors(layer)
                .map(|[left, right]| [&left[..], &right[columns.clone()]])
                .collect();
            accumulate(rows, &pairs, weights);
        }
    }
}

//! The gradient in the parameters of hidden layers: sums over the rows of tiles.

use super::{
    engine::ONES,
    layout::Layout,
    tile::{Layer, Tile},
};
use crate::simd::{GROUP, Line, accumulate, add_rows};

/// Some columns of the gradient in a layer's weights and biases.
pub(super) struct Columns<'a> {
    layer: usize,
    /// The first panel.
    panel: usize,
    weights: &'a mut [Line],
    biases: &'a mut [Line],
}

impl<'a> Columns<'a> {
    /// All columns of a gradient, the dearest first.
    pub fn of(layout: Layout, gradient: &'a mut [Line]) -> Vec<Self> {
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
        } = self;
        for tile in tiles {
            let rows = tile.padded;
            let columns = panel * rows..(panel + biases.len()) * rows;
            let Layer {
                r, g, second_order, ..
            } = &tile.layers[layer];
            let r = &r[columns.clone()];
            let (h, dh) = match layer {
                0 => (&tile.h, &tile.dh),
                _ => (&tile.layers[layer - 1].h, &tile.layers[layer - 1].dh),
            };
            let pairs = [[h.as_slice(), r], [dh, &g[columns.clone()]]];
            accumulate(rows, if tile.moves { &pairs } else { &pairs[..1] }, weights);
            for (direction, tangent) in second_order.tangents[..tile.seconds].iter().enumerate() {
                let h = match layer {
                    0 => &tile.directions[direction],
                    _ => &tile.layers[layer - 1].second_order.tangents[direction].h,
                };
                accumulate(rows, &[[h, &tangent.z[columns.clone()]]], weights);
            }
            add_rows(&ONES[..rows], r, biases);
        }
    }
}

//! How the parameters of a network lie in memory, and all that there is one of for each of them:
//! their gradient, the moments of an optimiser, their average.

use std::ops::Range;

use crate::{
    error::Result,
    simd::{LANES, Line, Lines, panels},
    store::{self, Array},
};

/// The places of a network's parameters in one array of lines: for every hidden layer the panels
/// of `W_l` (rows filled up to a multiple of [`LANES`]) and `b_l`, then the last layer's weights
/// and its bias. What fills up is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub dimension: usize,
    pub width: usize,
    pub depth: usize,
}

impl Layout {
    /// The rows of `W_l`.
    pub fn inputs(self, layer: usize) -> usize {
        if layer == 0 {
            self.dimension + 1
        } else {
            self.width
        }
    }

    /// The lines of every panel of `W_l`.
    pub fn height(self, layer: usize) -> usize {
        self.inputs(layer).next_multiple_of(LANES)
    }

    /// The panels of a hidden layer.
    pub fn panels(self) -> usize {
        panels(self.width)
    }

    /// The lines of `W_l` and those of `b_l`.
    fn layer(self, layer: usize) -> [Range<usize>; 2] {
        let of = |layer| self.panels() * (self.height(layer) + 1);
        let start = match layer {
            0 => 0,
            _ => of(0) + (layer - 1) * of(1),
        };
        let middle = start + self.panels() * self.height(layer);
        [start..middle, middle..middle + self.panels()]
    }

    pub fn weights(self, layer: usize) -> Range<usize> {
        self.layer(layer)[0].clone()
    }

    pub fn biases(self, layer: usize) -> Range<usize> {
        self.layer(layer)[1].clone()
    }

    /// The weights of the last layer.
    pub fn last(self) -> Range<usize> {
        let start = self.biases(self.depth - 1).end;
        start..start + self.panels()
    }

    /// The line of the last bias, which is its first lane.
    pub fn last_bias(self) -> usize {
        self.last().end
    }

    /// The number of lines.
    pub fn lines(self) -> usize {
        self.last_bias() + 1
    }

    /// The lines of `W_l` and of `b_l` of every hidden layer, of the last weights and the last bias.
    pub fn split(self, lines: &mut [Line]) -> (Vec<[&mut [Line]; 2]>, &mut [Line], &mut f32) {
        let (mut hidden, rest) = lines.split_at_mut(self.last().start);
        let (last, bias) = rest.split_at_mut(self.panels());
        let layers = (0..self.depth)
            .map(|layer| {
                let mut take = |range: Range<usize>| {
                    hidden
                        .split_off_mut(..range.len())
                        .expect("layers follow each other")
                };
                self.layer(layer).map(&mut take)
            })
            .collect();
        (layers, last, &mut bias[0][0])
    }

    /// The names and shapes of the parameters, those of weights `[inputs, outputs]`.
    fn names(self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let hidden = (0..self.depth).map(move |layer| vec![self.inputs(layer), self.width]);
        let weights = hidden.chain([vec![self.width, 1]]);
        let biases = std::iter::repeat_n(vec![self.width], self.depth).chain([vec![1]]);
        let name = |kind| move |(layer, shape)| (format!("{kind}.{layer}"), shape);
        let weights = weights.enumerate().map(name("weights"));
        weights.chain(biases.enumerate().map(name("biases")))
    }

    /// The lines of arrays by name, weights in row order.
    pub fn pack(self, arrays: &[Array]) -> Result<Lines> {
        let found = self
            .names()
            .map(|(name, shape)| store::find(arrays, &name, &shape))
            .collect::<Result<Vec<_>>>()?;
        let mut lines = Lines::zeros(self.lines());
        let (weights, biases) = found.split_at(self.depth + 1);
        let (layers, last, last_bias) = self.split(&mut lines);
        for (layer, [panels, bias]) in layers.into_iter().enumerate() {
            for (p, panel) in panels.chunks_exact_mut(self.height(layer)).enumerate() {
                for (line, row) in panel
                    .iter_mut()
                    .zip(weights[layer].chunks_exact(self.width))
                {
                    let row = &row[p * LANES..];
                    let count = row.len().min(LANES);
                    line[..count].copy_from_slice(&row[..count]);
                }
            }
            fill(biases[layer], bias);
        }
        fill(weights[self.depth], last);
        *last_bias = biases[self.depth][0];
        Ok(lines)
    }

    /// What [`pack`](Self::pack) was given.
    pub fn unpack(self, lines: &[Line]) -> Vec<Array> {
        let flat = |range: Range<usize>| lines[range].as_flattened()[..self.width].to_vec();
        let weights = (0..self.depth).map(|layer| {
            let panels = &lines[self.weights(layer)];
            let height = self.height(layer);
            let row = |row: usize| {
                let lines = panels.iter().skip(row).step_by(height);
                lines.flatten().take(self.width).copied()
            };
            (0..self.inputs(layer)).flat_map(row).collect()
        });
        let values = weights
            .chain([flat(self.last())])
            .chain((0..self.depth).map(|layer| flat(self.biases(layer))))
            .chain([vec![lines[self.last_bias()][0]]]);
        self.names()
            .zip(values)
            .map(|((name, shape), values)| Array {
                name,
                shape,
                values,
            })
            .collect()
    }
}

fn fill(values: &[f32], lines: &mut [Line]) {
    lines.as_flattened_mut()[..values.len()].copy_from_slice(values);
}

//! What a thread computes at a time: some rows, from the input to the adjoints.

use std::ops::Range;

use super::{
    Network, ONES, Rows, TILE,
    product::{LANES, Line, ROWS, add_rows, multiply, panels, scale},
    swish::swish,
    zeros,
};

/// Rows of a batch with everything that is computed at them. Rows beyond the given ones fill up
/// to a multiple of [`ROWS`]; they lie at 0, do not move and have the coefficient 0.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    pub(super) rows: usize,
    pub(super) padded: usize,
    /// Whether the rows have tangents.
    pub(super) moves: bool,
    /// `h_0` and its tangent.
    pub(super) h: Vec<Line>,
    pub(super) dh: Vec<Line>,
    pub(super) layers: Vec<Layer>,
    scratch: Vec<Line>,
    /// What the rows contribute to the gradient in the last layer's weights.
    pub(super) last: Vec<Line>,
    pub(super) gradient: Vec<f32>,
    direction: Vec<f32>,
    pub(super) terms: Vec<f32>,
}

/// One hidden layer at the rows of a tile.
///
/// Tangents carry the row's coefficient, and with them `r`, so that no product is scaled.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// `h = phi(z)`.
    pub(super) h: Vec<Line>,
    /// `phi'(z)`.
    slope: Vec<Line>,
    /// `u = ds/dh`, then `g = u phi'(z)`.
    pub(super) g: Vec<Line>,
    /// The tangent of `z`, then of `h`.
    pub(super) dh: Vec<Line>,
    /// `phi''(z)`, then `phi'' u`, then `phi'' u z'`, then `r`, the adjoint of `z`.
    pub(super) r: Vec<Line>,
}

impl Tile {
    pub(super) fn new(network: &Network) -> Self {
        let width = network.width;
        let inputs = network.dimension + 1;
        let layer = Layer {
            h: zeros(width, TILE),
            slope: zeros(width, TILE),
            g: zeros(width, TILE),
            dh: zeros(width, TILE),
            r: zeros(width, TILE),
        };
        Self {
            rows: TILE,
            padded: TILE,
            moves: false,
            h: zeros(inputs, TILE),
            dh: zeros(inputs, TILE),
            layers: vec![layer; network.depth()],
            scratch: zeros(width.max(inputs), TILE),
            last: zeros(width, 1),
            gradient: vec![],
            direction: vec![],
            terms: vec![],
        }
    }

    pub(super) fn interior<D>(
        &mut self,
        network: &Network,
        rows: Rows<'_>,
        range: Range<usize>,
        dt: f32,
        direction: &D,
    ) where
        D: Fn(Range<usize>, &[f32], &mut [f32], &mut [f32]),
    {
        let d = network.dimension;
        self.moves = true;
        self.input(network, rows.times, rows.points, range.clone());
        self.forward(network);
        self.pull(network);
        self.gradient(network);

        self.direction.resize(self.rows * d, 0.0);
        self.terms.clear();
        self.terms.resize(self.rows, 0.0);
        let coefficients = &rows.coefficients[range.clone()];
        direction(range, &self.gradient, &mut self.direction, &mut self.terms);

        // Time enters the network as 2t - 1.
        let (panel, lane) = (d / LANES * self.padded, d % LANES);
        let moves = self
            .gradient
            .chunks_exact(d)
            .zip(self.direction.chunks_exact(d));
        for (row, (term, (p, dx))) in self.terms.iter_mut().zip(moves).enumerate() {
            let along: f32 = p.iter().zip(dx).map(|(p, dx)| p * dx).sum();
            *term = along + 2.0 * dt * self.scratch[panel + row][lane] - *term;
        }
        self.dh.fill([0.0; LANES]);
        let moves = self.direction.chunks_exact(d).zip(coefficients);
        for (row, (dx, coefficient)) in moves.enumerate() {
            for (panel, dx) in dx.chunks(LANES).enumerate() {
                for (lane, dx) in self.dh[panel * self.padded + row].iter_mut().zip(dx) {
                    *lane = coefficient * dx;
                }
            }
            self.dh[panel + row][lane] = 2.0 * dt * coefficient;
        }
        self.push(network);
        let top = &self.layers[network.depth() - 1];
        self.last.fill([0.0; LANES]);
        add_rows(&ONES[..self.padded], &top.dh, &mut self.last);
        self.adjoint(network);
    }

    pub(super) fn boundary(&mut self, network: &Network, rows: Rows<'_>, range: Range<usize>) {
        self.moves = false;
        self.input(network, rows.times, rows.points, range.clone());
        self.forward(network);
        let mut terms = std::mem::take(&mut self.terms);
        terms.resize(self.rows, 0.0);
        self.values(network, &mut terms);
        self.terms = terms;

        let layer = self.layers.last_mut().expect("there is a hidden layer");
        let mut coefficients = [0.0; TILE];
        coefficients[..self.rows].copy_from_slice(&rows.coefficients[range]);
        let coefficients = &coefficients[..self.padded];
        self.last.fill([0.0; LANES]);
        add_rows(coefficients, &layer.h, &mut self.last);
        layer.r.copy_from_slice(&layer.slope);
        scale(coefficients, &network.last, &mut layer.r);
        for layer in &mut self.layers[..network.depth() - 1] {
            layer.r.fill([0.0; LANES]);
        }
        self.adjoint(network);
    }

    pub(super) fn input(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        range: Range<usize>,
    ) {
        let d = network.dimension;
        self.resize(network, range.len());
        self.h.fill([0.0; LANES]);
        let points = points[range.start * d..range.end * d].chunks_exact(d);
        for (row, (time, point)) in times[range].iter().zip(points).enumerate() {
            for (panel, point) in point.chunks(LANES).enumerate() {
                self.h[panel * self.padded + row][..point.len()].copy_from_slice(point);
            }
            self.h[d / LANES * self.padded + row][d % LANES] = 2.0 * time - 1.0;
        }
    }

    fn resize(&mut self, network: &Network, rows: usize) {
        self.rows = rows;
        let padded = rows.next_multiple_of(ROWS);
        if padded == self.padded {
            return;
        }
        self.padded = padded;
        let inputs = panels(network.dimension + 1) * padded;
        let hidden = panels(network.width) * padded;
        for lines in [&mut self.h, &mut self.dh] {
            lines.resize(inputs, [0.0; LANES]);
        }
        for layer in &mut self.layers {
            for lines in [
                &mut layer.h,
                &mut layer.slope,
                &mut layer.g,
                &mut layer.dh,
                &mut layer.r,
            ] {
                lines.resize(hidden, [0.0; LANES]);
            }
        }
    }

    pub(super) fn forward(&mut self, network: &Network) {
        let mut input = &self.h;
        let mut inputs = network.dimension + 1;
        for (layer, (weights, bias)) in self
            .layers
            .iter_mut()
            .zip(network.forward.iter().zip(&network.biases))
        {
            multiply(
                [self.padded, inputs],
                input,
                weights,
                Some(bias),
                &mut layer.h,
                #[inline(always)]
                |first: usize, z: &mut [Line]| {
                    let lines = first..first + z.len();
                    let slope = layer.slope[lines.clone()].as_flattened_mut().iter_mut();
                    let curvature = layer.r[lines].as_flattened_mut().iter_mut();
                    for ((z, slope), curvature) in
                        z.as_flattened_mut().iter_mut().zip(slope).zip(curvature)
                    {
                        [*z, *slope, *curvature] = swish(*z);
                    }
                },
            );
            input = &layer.h;
            inputs = network.width;
        }
    }

    /// `s` from the last layer.
    pub(super) fn values(&self, network: &Network, values: &mut [f32]) {
        let layer = self.layers.last().expect("there is a hidden layer");
        for (row, value) in values.iter_mut().enumerate() {
            let mut sum = [0.0; LANES];
            for (h, last) in layer.h.chunks_exact(self.padded).zip(&network.last) {
                for lane in 0..LANES {
                    sum[lane] += h[row][lane] * last[lane];
                }
            }
            *value = sum.iter().sum::<f32>() + network.last_bias;
        }
    }

    /// `g` of every layer, and `ds/dh_0` in `scratch`.
    pub(super) fn pull(&mut self, network: &Network) {
        let top = self.layers.last_mut().expect("there is a hidden layer");
        let ones = &ONES[..self.padded];
        top.g.copy_from_slice(&top.slope);
        scale(ones, &network.last, &mut top.g);
        scale(ones, &network.last, &mut top.r);
        let inner = [self.padded, network.width];
        for index in (1..network.depth()).rev() {
            let (below, above) = self.layers.split_at_mut(index);
            let below = &mut below[index - 1];
            multiply(
                inner,
                &above[0].g,
                &network.backward[index],
                None,
                &mut below.g,
                #[inline(always)]
                |first: usize, u: &mut [Line]| {
                    let lines = first..first + u.len();
                    let slope = below.slope[lines.clone()].as_flattened();
                    let curvature = below.r[lines].as_flattened_mut().iter_mut();
                    for ((u, slope), curvature) in
                        u.as_flattened_mut().iter_mut().zip(slope).zip(curvature)
                    {
                        *curvature *= *u;
                        *u *= slope;
                    }
                },
            );
        }
        let inputs = panels(network.dimension + 1) * self.padded;
        let u = &mut self.scratch[..inputs];
        multiply(
            inner,
            &self.layers[0].g,
            &network.backward[0],
            None,
            u,
            |_, _| {},
        );
    }

    /// `grad_x s` `[rows, d]` from what [`pull`](Self::pull) left.
    pub(super) fn gradient(&mut self, network: &Network) {
        let d = network.dimension;
        self.gradient.resize(self.rows * d, 0.0);
        for (row, gradient) in self.gradient.chunks_exact_mut(d).enumerate() {
            for (panel, gradient) in gradient.chunks_mut(LANES).enumerate() {
                let line = &self.scratch[panel * self.padded + row];
                gradient.copy_from_slice(&line[..gradient.len()]);
            }
        }
    }

    /// The tangents from that of the input, and `phi'' u z'` in `r`.
    fn push(&mut self, network: &Network) {
        let mut input = &self.dh;
        let mut inputs = network.dimension + 1;
        for (layer, weights) in self.layers.iter_mut().zip(&network.forward) {
            multiply(
                [self.padded, inputs],
                input,
                weights,
                None,
                &mut layer.dh,
                #[inline(always)]
                |first: usize, dz: &mut [Line]| {
                    let lines = first..first + dz.len();
                    let slope = layer.slope[lines.clone()].as_flattened();
                    let r = layer.r[lines].as_flattened_mut().iter_mut();
                    for ((dz, slope), r) in dz.as_flattened_mut().iter_mut().zip(slope).zip(r) {
                        *r *= *dz;
                        *dz *= slope;
                    }
                },
            );
            input = &layer.dh;
            inputs = network.width;
        }
    }

    /// Adds to every layer's `r` what comes from the layer above.
    fn adjoint(&mut self, network: &Network) {
        let hidden = panels(network.width) * self.padded;
        let scratch = &mut self.scratch[..hidden];
        for index in (1..network.depth()).rev() {
            let (below, above) = self.layers.split_at_mut(index);
            let below = &mut below[index - 1];
            let inner = [self.padded, network.width];
            multiply(
                inner,
                &above[0].r,
                &network.backward[index],
                None,
                scratch,
                #[inline(always)]
                |first: usize, adjoint: &mut [Line]| {
                    let lines = first..first + adjoint.len();
                    let slope = below.slope[lines.clone()].as_flattened();
                    let r = below.r[lines].as_flattened_mut().iter_mut();
                    for ((r, slope), adjoint) in r.zip(slope).zip(adjoint.as_flattened()) {
                        *r += slope * adjoint;
                    }
                },
            );
        }
    }
}

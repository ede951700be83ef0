//! What a thread computes at a time: some rows, from the input to the adjoints.

use std::ops::Range;

use pulp::Simd;

use super::{
    At, Choice, Direction, Directions, Interior, Network, ONES, Rows, TILE,
    bend::Bend,
    product::{Epilogue, LANES, Line, ROWS, add_rows, multiply, panels, plus_times, scale, times},
    swish::swish,
    zeros,
};

/// Rows of a batch with everything that is computed at them. Rows beyond the given ones fill up
/// to a multiple of [`ROWS`]; they lie at 0, do not move and have the coefficient 0.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    pub(super) rows: usize,
    pub(super) padded: usize,
    /// Whether the rows have tangents, for which `r` is kept.
    pub(super) moves: bool,
    /// `h_0` and its tangent.
    pub(super) h: Vec<Line>,
    pub(super) dh: Vec<Line>,
    /// How many directions have second derivatives, and the tangent of `h_0` along each; there
    /// may be more from rows before.
    pub(super) bends: usize,
    pub(super) directions: Vec<Vec<Line>>,
    pub(super) layers: Vec<Layer>,
    scratch: Vec<Line>,
    /// What the rows contribute to the gradient in the last layer's weights and bias.
    pub(super) last: Vec<Line>,
    pub(super) last_bias: f32,
    pub(super) values: Vec<f32>,
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
    /// The tangent of `z`, then of `h`. Second derivatives obey the same recursion and are part
    /// of it.
    pub(super) dh: Vec<Line>,
    /// `phi''(z)`, then `phi'' u`, then `phi'' u z'`, then `r`, the adjoint of `z`.
    pub(super) r: Vec<Line>,
    pub(super) bend: Bend,
}

impl Tile {
    pub(super) fn new(network: &Network) -> Self {
        let width = network.width();
        let inputs = network.dimension() + 1;
        let layer = Layer {
            h: zeros(width, TILE),
            slope: zeros(width, TILE),
            g: zeros(width, TILE),
            dh: zeros(width, TILE),
            r: zeros(width, TILE),
            bend: Bend::default(),
        };
        Self {
            rows: TILE,
            padded: TILE,
            moves: false,
            h: zeros(inputs, TILE),
            dh: zeros(inputs, TILE),
            bends: 0,
            directions: vec![],
            layers: vec![layer; network.depth()],
            scratch: zeros(width.max(inputs), TILE),
            last: zeros(width, 1),
            last_bias: 0.0,
            values: vec![],
            gradient: vec![],
            direction: vec![],
            terms: vec![],
        }
    }

    pub(super) fn interior(
        &mut self,
        network: &Network,
        interior: Interior<'_>,
        range: Range<usize>,
        direction: &Direction<'_>,
    ) {
        let d = network.dimension();
        let Interior {
            rows,
            dt,
            curvature,
        } = interior;
        let bends = match curvature.map(|curvature| curvature.directions) {
            None => 0,
            Some(Directions::Probes(_)) => 1,
            Some(Directions::Axes) => d,
        };
        self.moves = true;
        self.input(network, rows.times, rows.points, range.clone(), bends);
        self.forward(network, if bends > 0 { 3 } else { 2 });
        self.values(network);
        self.pull(network);
        self.gradient(network);

        self.direction.resize(self.rows * d, 0.0);
        self.terms.clear();
        self.terms.resize(self.rows, 0.0);
        let mut values = [0.0; TILE];
        let at = At {
            values: &self.values,
            gradients: &self.gradient,
        };
        let choice = Choice {
            directions: &mut self.direction,
            values: &mut values[..self.rows],
            excess: &mut self.terms,
        };
        direction(range.clone(), at, choice);

        // Time enters the network as 2t - 1.
        let coefficients = &rows.coefficients[range.clone()];
        let (panel, lane) = (d / LANES * self.padded, d % LANES);
        self.dh.fill([0.0; LANES]);
        let moves = self.direction.chunks_exact(d).zip(coefficients);
        for (row, (dx, coefficient)) in moves.enumerate() {
            set_row(&mut self.dh[row..], self.padded, dx, *coefficient);
            self.dh[panel + row][lane] = 2.0 * dt * coefficient;
        }
        let mut scales = [0.0; TILE];
        if let Some(curvature) = curvature {
            let weights = coefficients.iter().zip(&curvature.weights[range.clone()]);
            for (scale, (coefficient, weight)) in scales.iter_mut().zip(weights) {
                *scale = (coefficient * weight).sqrt();
            }
            match curvature.directions {
                Directions::Probes(probes) => {
                    self.aim(&probes[range.start * d..range.end * d], &scales);
                }
                Directions::Axes => self.aim_at_axes(&scales),
            }
            self.bend(network);
        }
        self.push(network);

        let top = self.layers.last_mut().expect("there is a hidden layer");
        let mut along = [0.0; TILE];
        if bends > 0 {
            output(network, &top.dh, self.padded, &mut along[..self.rows]);
        }
        let moves = self
            .gradient
            .chunks_exact(d)
            .zip(self.direction.chunks_exact(d));
        for (row, (term, (p, dx))) in self.terms.iter_mut().zip(moves).enumerate() {
            let along = if scales[row] > 0.0 {
                along[row] / coefficients[row]
            } else {
                let along: f32 = p.iter().zip(dx).map(|(p, dx)| p * dx).sum();
                along + 2.0 * dt * self.scratch[panel + row][lane]
            };
            *term = along - *term;
        }

        self.last.fill([0.0; LANES]);
        add_rows(&ONES[..self.padded], &top.dh, &mut self.last);
        self.last_bias = values.iter().sum();
        if values.iter().any(|value| *value != 0.0) {
            add_rows(&values[..self.padded], &top.h, &mut self.last);
            let panels = top.r.chunks_exact_mut(self.padded);
            for (r, g) in panels.zip(top.g.chunks_exact(self.padded)) {
                for ((r, g), value) in r.iter_mut().zip(g).zip(&values) {
                    for lane in 0..LANES {
                        r[lane] += value * g[lane];
                    }
                }
            }
        }
        self.adjoint(network);
    }

    pub(super) fn boundary(&mut self, network: &Network, rows: Rows<'_>, range: Range<usize>) {
        self.moves = false;
        self.input(network, rows.times, rows.points, range.clone(), 0);
        self.forward(network, 1);
        self.values(network);

        let layer = self.layers.last_mut().expect("there is a hidden layer");
        let mut coefficients = [0.0; TILE];
        coefficients[..self.rows].copy_from_slice(&rows.coefficients[range]);
        self.last_bias = coefficients.iter().sum();
        let coefficients = &coefficients[..self.padded];
        self.last.fill([0.0; LANES]);
        add_rows(coefficients, &layer.h, &mut self.last);
        layer.r.copy_from_slice(&layer.slope);
        scale(coefficients, network.last(), &mut layer.r);
        self.adjoint(network);
    }

    /// `e' (grad^2 s) e` along `directions` `[rows, d]`, into `out`, from a forward pass with one
    /// bend.
    pub(super) fn curvature(&mut self, network: &Network, directions: &[f32], out: &mut [f32]) {
        self.dh.fill([0.0; LANES]);
        self.aim(directions, &ONES);
        self.bend(network);
        self.push(network);
        let top = self.layers.last().expect("there is a hidden layer");
        output(network, &top.dh, self.padded, out);
    }

    /// The rows of a range, with room for second derivatives along so many directions.
    pub(super) fn input(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        range: Range<usize>,
        bends: usize,
    ) {
        let d = network.dimension();
        self.resize(network, range.len(), bends);
        self.h.fill([0.0; LANES]);
        let points = points[range.start * d..range.end * d].chunks_exact(d);
        for (row, (time, point)) in times[range].iter().zip(points).enumerate() {
            set_row(&mut self.h[row..], self.padded, point, 1.0);
            self.h[d / LANES * self.padded + row][d % LANES] = 2.0 * time - 1.0;
        }
    }

    fn resize(&mut self, network: &Network, rows: usize, bends: usize) {
        self.rows = rows;
        self.padded = rows.next_multiple_of(ROWS);
        self.bends = bends;
        let inputs = panels(network.dimension() + 1) * self.padded;
        let hidden = panels(network.width()) * self.padded;
        let count = self.directions.len().max(bends);
        self.directions.resize(count, vec![]);
        let directions = &mut self.directions[..bends];
        for lines in [&mut self.h, &mut self.dh].into_iter().chain(directions) {
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
            layer.bend.resize(hidden, bends);
        }
    }

    /// Sets the one direction of second derivatives to the rows of `directions`, each scaled.
    fn aim(&mut self, directions: &[f32], scales: &[f32]) {
        let lines = &mut self.directions[0];
        lines.fill([0.0; LANES]);
        let d = directions.len() / self.rows;
        let rows = directions.chunks_exact(d).zip(scales);
        for (row, (direction, scale)) in rows.enumerate() {
            set_row(&mut lines[row..], self.padded, direction, *scale);
        }
    }

    /// Sets the directions of second derivatives to the axes, scaled at every row.
    fn aim_at_axes(&mut self, scales: &[f32]) {
        for (axis, lines) in self.directions[..self.bends].iter_mut().enumerate() {
            lines.fill([0.0; LANES]);
            let panel = &mut lines[axis / LANES * self.padded..][..self.rows];
            for (line, scale) in panel.iter_mut().zip(scales) {
                line[axis % LANES] = *scale;
            }
        }
    }

    /// The layers' `h` and the derivatives of `phi` up to `order`, at most 2, or 3 with bends.
    pub(super) fn forward(&mut self, network: &Network, order: usize) {
        let mut input = &self.h;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let Bend { second, third, .. } = &mut layer.bend;
            multiply(
                [self.padded, network.layout.inputs(index)],
                input,
                network.weights(index),
                Some(network.biases(index)),
                &mut layer.h,
                Activate {
                    order,
                    slope: &mut layer.slope,
                    curvature: &mut layer.r,
                    bend: [second, third],
                },
            );
            input = &layer.h;
        }
    }

    /// `s` at every row from what [`forward`](Self::forward) left.
    pub(super) fn values(&mut self, network: &Network) {
        let top = self.layers.last().expect("there is a hidden layer");
        self.values.resize(self.rows, 0.0);
        output(network, &top.h, self.padded, &mut self.values);
        for value in &mut self.values {
            *value += network.last_bias();
        }
    }

    /// `g` of every layer, and `ds/dh_0` in `scratch`.
    pub(super) fn pull(&mut self, network: &Network) {
        let (moves, bends) = (self.moves, self.bends > 0);
        let top = self.layers.last_mut().expect("there is a hidden layer");
        let ones = &ONES[..self.padded];
        top.g.copy_from_slice(&top.slope);
        scale(ones, network.last(), &mut top.g);
        if self.moves {
            scale(ones, network.last(), &mut top.r);
        }
        if bends {
            scale(ones, network.last(), &mut top.bend.third);
        }
        let inner = [self.padded, network.width()];
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
                    if bends {
                        below.bend.pull(lines.clone(), u);
                    }
                    let slope = &below.slope[lines.clone()];
                    for ((u, slope), curvature) in u.iter_mut().zip(slope).zip(&mut below.r[lines])
                    {
                        if moves {
                            *curvature = times(curvature, u);
                        }
                        *u = times(u, slope);
                    }
                },
            );
        }
        let inputs = panels(network.dimension() + 1) * self.padded;
        let u = &mut self.scratch[..inputs];
        multiply(
            inner,
            &self.layers[0].g,
            &network.backward[0],
            None,
            u,
            |_: usize, _: &mut [Line]| {},
        );
    }

    /// `grad_x s` `[rows, d]` from what [`pull`](Self::pull) left.
    pub(super) fn gradient(&mut self, network: &Network) {
        let d = network.dimension();
        self.gradient.resize(self.rows * d, 0.0);
        for (row, gradient) in self.gradient.chunks_exact_mut(d).enumerate() {
            for (panel, gradient) in gradient.chunks_mut(LANES).enumerate() {
                let line = &self.scratch[panel * self.padded + row];
                gradient.copy_from_slice(&line[..gradient.len()]);
            }
        }
    }

    /// The tangents along the directions of second derivatives.
    fn bend(&mut self, network: &Network) {
        for index in 0..network.depth() {
            let (below, above) = self.layers.split_at_mut(index);
            let Layer { slope, bend, .. } = &mut above[0];
            bend.squares.fill([0.0; LANES]);
            for direction in 0..self.bends {
                let (input, inputs) = match below.last() {
                    None => (&self.directions[direction], network.dimension() + 1),
                    Some(below) => (&below.bend.tangents[direction].h, network.width()),
                };
                let tangent = &mut bend.tangents[direction];
                multiply(
                    [self.padded, inputs],
                    input,
                    network.weights(index),
                    None,
                    &mut tangent.z,
                    #[inline(always)]
                    |first: usize, z: &mut [Line]| {
                        let lines = first..first + z.len();
                        let slope = &slope[lines.clone()];
                        let squares = &mut bend.squares[lines.clone()];
                        let h = &mut tangent.h[lines];
                        for (((z, slope), squares), h) in z.iter().zip(slope).zip(squares).zip(h) {
                            *squares = plus_times(squares, z, z);
                            *h = times(slope, z);
                        }
                    },
                );
            }
        }
    }

    /// The tangents from that of the input, and `phi'' u z'` in `r`; with second derivatives, what
    /// they contribute to both.
    fn push(&mut self, network: &Network) {
        let bends = self.bends > 0;
        let mut input = &self.dh;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            multiply(
                [self.padded, network.layout.inputs(index)],
                input,
                network.weights(index),
                None,
                &mut layer.dh,
                #[inline(always)]
                |first: usize, dz: &mut [Line]| {
                    let lines = first..first + dz.len();
                    let slope = &layer.slope[lines.clone()];
                    let r = &mut layer.r[lines.clone()];
                    if bends {
                        layer.bend.push(lines, slope, dz, r);
                        return;
                    }
                    for ((dz, slope), r) in dz.iter_mut().zip(slope).zip(r) {
                        *r = times(r, dz);
                        *dz = times(dz, slope);
                    }
                },
            );
            input = &layer.dh;
        }
    }

    /// Adds to every layer's `r` what comes from the layer above, which is all of it where rows do
    /// not move; with second derivatives, turns
    /// their tangents of `z` into its adjoints.
    fn adjoint(&mut self, network: &Network) {
        let moves = self.moves;
        let hidden = panels(network.width()) * self.padded;
        let top = self.layers.last_mut().expect("there is a hidden layer");
        top.bend.start_adjoint(self.bends);
        let scratch = &mut self.scratch[..hidden];
        for index in (1..network.depth()).rev() {
            let (below, above) = self.layers.split_at_mut(index);
            let below = &mut below[index - 1];
            let inner = [self.padded, network.width()];
            multiply(
                inner,
                &above[0].r,
                &network.backward[index],
                None,
                scratch,
                #[inline(always)]
                |first: usize, adjoint: &mut [Line]| {
                    let lines = first..first + adjoint.len();
                    let slope = &below.slope[lines.clone()];
                    let r = below.r[lines].iter_mut();
                    for ((r, slope), adjoint) in r.zip(slope).zip(adjoint) {
                        *r = match moves {
                            true => plus_times(r, slope, adjoint),
                            false => times(slope, adjoint),
                        };
                    }
                },
            );
            for direction in 0..self.bends {
                multiply(
                    inner,
                    &above[0].bend.tangents[direction].z,
                    &network.backward[index],
                    None,
                    scratch,
                    #[inline(always)]
                    |first: usize, adjoint: &mut [Line]| {
                        let lines = first..first + adjoint.len();
                        let slope = &below.slope[lines.clone()];
                        let r = &mut below.r[lines.clone()];
                        below.bend.adjoint(direction, lines, slope, adjoint, r);
                    },
                );
            }
        }
    }
}

/// Turns `z` into `h` and keeps the derivatives of `phi` there.
struct Activate<'a> {
    order: usize,
    slope: &'a mut [Line],
    curvature: &'a mut [Line],
    /// The second and third derivative.
    bend: [&'a mut [Line]; 2],
}

impl Epilogue for Activate<'_> {
    #[inline(always)]
    fn apply<S: Simd>(&mut self, simd: S, first: usize, lines: &mut [Line]) {
        match self.order {
            0 => self.keep::<S, 0>(simd, first, lines),
            1 => self.keep::<S, 1>(simd, first, lines),
            2 => self.keep::<S, 2>(simd, first, lines),
            _ => self.keep::<S, 3>(simd, first, lines),
        }
    }
}

impl Activate<'_> {
    #[inline(always)]
    fn keep<S: Simd, const ORDER: usize>(&mut self, simd: S, first: usize, lines: &mut [Line]) {
        let each = first..first + lines.len();
        for (at, line) in each.zip(lines) {
            let (z, _) = S::as_mut_simd_f32s(line);
            for (v, z) in z.iter_mut().enumerate() {
                let phi = swish(simd, *z);
                *z = phi[0];
                let put =
                    |lines: &mut [Line], value| S::as_mut_simd_f32s(&mut lines[at]).0[v] = value;
                if ORDER >= 1 {
                    put(self.slope, phi[1]);
                }
                if ORDER >= 2 {
                    put(self.curvature, phi[2]);
                }
                if ORDER >= 3 {
                    let [second, third] = &mut self.bend;
                    put(second, phi[2]);
                    put(third, phi[3]);
                }
            }
        }
    }
}

/// The product of every row with the last layer's weights.
fn output(network: &Network, lines: &[Line], padded: usize, out: &mut [f32]) {
    let mut sums = [[0.0; LANES]; TILE];
    for (panel, last) in lines.chunks_exact(padded).zip(network.last()) {
        for (sum, line) in sums.iter_mut().zip(panel) {
            for lane in 0..LANES {
                sum[lane] += line[lane] * last[lane];
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(&sums) {
        *out = sum.iter().sum();
    }
}

/// Writes `factor * values` to the row that `lines` starts with.
fn set_row(lines: &mut [Line], padded: usize, values: &[f32], factor: f32) {
    for (line, values) in lines.iter_mut().step_by(padded).zip(values.chunks(LANES)) {
        for (lane, value) in line.iter_mut().zip(values) {
            *lane = factor * value;
        }
    }
}

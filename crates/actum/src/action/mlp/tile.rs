//! What a thread computes at a time: some rows, from the input to the adjoints.

use std::ops::Range;

use pulp::Simd;

use ndarray::{ArrayView1, ArrayView2, s};

use super::{
    engine::{MlpEngine as Network, ONES, TILE, zeros},
    second_order::SecondOrder,
};
use crate::{
    action::{At, Choice, Choose, Interior, Rows, swish::swish},
    simd::{Epilogue, LANES, Line, Lines, Pairs, add_rows, bf16, panels, plus_times, scale, times},
};

/// Rows of a batch with everything that is computed at them. Rows beyond the given ones fill up
/// to what products need; they lie at 0, do not move and have the coefficient 0.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    pub(super) rows: usize,
    pub(super) padded: usize,
    /// Whether the rows have tangents, for which `r` is kept.
    pub(super) moves: bool,
    /// `h_0` and its tangent.
    pub(super) h: Lines,
    pub(super) dh: Lines,
    /// How many directions have second derivatives, and the tangent of `h_0` along each; there
    /// may be more from rows before.
    pub(super) seconds: usize,
    pub(super) directions: Vec<Lines>,
    pub(super) layers: Vec<Layer>,
    scratch: Lines,
    /// The left factor of a product in bf16.
    rounded: Pairs,
    /// What the rows contribute to the gradient in the last layer's weights and bias.
    pub(super) last: Lines,
    pub(super) last_bias: f32,
    pub(super) values: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    direction: Vec<f32>,
    /// Those of the rows of a boundary.
    pub(super) coefficients: Vec<f32>,
    pub(super) terms: Vec<f32>,
    wide: Wide,
}

/// What is told and chosen at the rows, in the caller's precision.
#[derive(Debug, Clone, Default)]
struct Wide {
    values: Vec<f64>,
    gradients: Vec<f64>,
    directions: Vec<f64>,
    coefficients: Vec<f64>,
    excess: Vec<f64>,
}

/// One hidden layer at the rows of a tile.
///
/// Tangents carry the row's coefficient, and with them `r`, so that no product is scaled.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// `h = phi(z)`.
    pub(super) h: Lines,
    /// `phi'(z)`.
    slope: Lines,
    /// `u = ds/dh`, then `g = u phi'(z)`.
    pub(super) g: Lines,
    /// The tangent of `z`, then of `h`. Second derivatives obey the same recursion and are part
    /// of it.
    pub(super) dh: Lines,
    /// `phi''(z)`, then `phi'' u`, then `phi'' u z'`, then `r`, the adjoint of `z`.
    pub(super) r: Lines,
    pub(super) second_order: SecondOrder,
    /// The factors of its weights' gradient in bf16, if products are: every pair of them one after
    /// the other along the rows.
    pub(super) left: Pairs,
    pub(super) right: Pairs,
}

impl Tile {
    pub(super) fn new(network: &Network) -> Self {
        let width = network.width();
        let inputs = network.columns() + 1;
        let layer = Layer {
            h: zeros(width, TILE),
            slope: zeros(width, TILE),
            g: zeros(width, TILE),
            dh: zeros(width, TILE),
            r: zeros(width, TILE),
            second_order: SecondOrder::default(),
            left: Pairs::default(),
            right: Pairs::default(),
        };
        Self {
            rows: TILE,
            padded: TILE,
            moves: false,
            h: zeros(inputs, TILE),
            dh: zeros(inputs, TILE),
            seconds: 0,
            directions: vec![],
            layers: vec![layer; network.depth()],
            scratch: zeros(width.max(inputs), TILE),
            rounded: Pairs::default(),
            last: zeros(width, 1),
            last_bias: 0.0,
            values: vec![],
            gradient: vec![],
            direction: vec![],
            coefficients: vec![],
            terms: vec![],
            wide: Wide::default(),
        }
    }

    pub(super) fn interior(
        &mut self,
        network: &Network,
        interior: Interior<'_>,
        range: Range<usize>,
        choose: &Choose<'_>,
    ) {
        let d = network.columns();
        let Interior {
            rows,
            dt,
            curvature,
        } = interior;
        let seconds = match curvature {
            None => 0,
            Some(curvature) if curvature.probes.is_some() => 1,
            Some(_) => d,
        };
        self.moves = true;
        self.input(network, rows.times, rows.points, range.clone(), seconds);
        self.forward(network, if seconds > 0 { 3 } else { 2 });
        self.values(network);
        self.vjp(network);
        self.gradient(network);
        let mut values = [0.0; TILE];
        self.choose(range.clone(), choose, &mut values);

        // Time enters the network as 2t - 1.
        let dt = dt as f32;
        let coefficients = narrow(&rows.coefficients[range.clone()]);
        let (panel, lane) = (d / LANES * self.padded, d % LANES);
        self.dh.fill([0.0; LANES]);
        let moves = self.direction.chunks_exact(d).zip(&coefficients);
        for (row, (dx, coefficient)) in moves.enumerate() {
            set_row(&mut self.dh[row..], self.padded, dx, *coefficient);
            self.dh[panel + row][lane] = 2.0 * dt * coefficient;
        }
        let mut scales = [0.0; TILE];
        if let Some(curvature) = curvature {
            let weights = coefficients.iter().zip(&curvature.weights[range.clone()]);
            for (scale, (coefficient, weight)) in scales.iter_mut().zip(weights) {
                *scale = (coefficient * *weight as f32).sqrt();
            }
            match curvature.probes {
                Some(probes) => self.aim(probes.slice(s![range, ..]), &scales),
                None => self.aim_at_axes(&scales),
            }
            self.tangents(network);
        }
        self.jvp(network);

        let top = self.layers.last_mut().expect("there is a hidden layer");
        let mut along = [0.0; TILE];
        if seconds > 0 {
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
        self.round(network);
    }

    /// Lets the caller choose directions, excess and coefficients of values.
    fn choose(&mut self, range: Range<usize>, choose: &Choose<'_>, values: &mut [f32; TILE]) {
        let rows = self.rows;
        let Wide {
            values: at_values,
            gradients,
            directions,
            coefficients,
            excess,
        } = &mut self.wide;
        let widen = |to: &mut Vec<f64>, from: &[f32]| {
            to.clear();
            to.extend(from.iter().map(|v| f64::from(*v)));
        };
        widen(at_values, &self.values);
        widen(gradients, &self.gradient);
        directions.resize(self.gradient.len(), 0.0);
        for zeros in [&mut *coefficients, &mut *excess] {
            zeros.clear();
            zeros.resize(rows, 0.0);
        }
        let at = At {
            values: at_values,
            gradients,
        };
        let choice = Choice {
            directions: &mut directions[..],
            values: coefficients,
            excess,
        };
        choose(range, at, choice);
        self.direction = narrow(directions);
        self.terms = narrow(excess);
        values[..rows].copy_from_slice(&narrow(coefficients));
    }

    pub(super) fn boundary(&mut self, network: &Network, rows: Rows<'_>, range: Range<usize>) {
        self.moves = false;
        self.input(network, rows.times, rows.points, range.clone(), 0);
        self.forward(network, 1);
        self.values(network);

        let layer = self.layers.last_mut().expect("there is a hidden layer");
        let mut coefficients = [0.0; TILE];
        self.coefficients = narrow(&rows.coefficients[range]);
        coefficients[..self.rows].copy_from_slice(&self.coefficients);
        self.last_bias = coefficients.iter().sum();
        let coefficients = &coefficients[..self.padded];
        self.last.fill([0.0; LANES]);
        add_rows(coefficients, &layer.h, &mut self.last);
        layer.r.copy_from_slice(&layer.slope);
        scale(coefficients, network.last(), &mut layer.r);
        self.adjoint(network);
        self.round(network);
    }

    /// The pairs of factors, summed over rows, whose products add up to the gradient in the weights
    /// of a layer.
    pub(super) fn factors(&self, layer: usize) -> impl Iterator<Item = [&Lines; 2]> {
        let Layer {
            r, g, second_order, ..
        } = &self.layers[layer];
        let below = layer.checked_sub(1).map(|below| &self.layers[below]);
        let (h, dh) = below.map_or((&self.h, &self.dh), |below| (&below.h, &below.dh));
        let tangents = second_order.tangents[..self.seconds].iter().enumerate();
        let tangents = tangents.map(move |(direction, tangent)| {
            let h = match below {
                None => &self.directions[direction],
                Some(below) => &below.second_order.tangents[direction].h,
            };
            [h, &tangent.z]
        });
        let moves = self.moves.then_some([dh, g]);
        [[h, r]].into_iter().chain(moves).chain(tangents)
    }

    /// Rounds the factors of the gradients whose products are in bf16.
    fn round(&mut self, network: &Network) {
        let (rows, step) = (self.padded, bf16::height(self.padded));
        for layer in (0..network.depth()).filter(|layer| network.rounds(*layer)) {
            let [mut left, mut right] = {
                let layer = &mut self.layers[layer];
                [&mut layer.left, &mut layer.right].map(std::mem::take)
            };
            let count = self.factors(layer).count();
            let lines = self
                .factors(layer)
                .next()
                .expect("the first is always there");
            left.resize(count * lines[0].len() / 2, [0; LANES]);
            right.resize(count * lines[1].len() / 2, [0; LANES]);
            let lefts = left.chunks_exact_mut(lines[0].len() / 2);
            for (pair, (lines, left)) in self.factors(layer).zip(lefts).enumerate() {
                bf16::turned(rows, lines[0], left);
                bf16::right(rows, lines[1], &mut right, pair * step);
            }
            let layer = &mut self.layers[layer];
            (layer.left, layer.right) = (left, right);
        }
    }

    /// `e' (grad^2 s) e` along `directions` `[rows, d]`, into `out`, from a forward pass of
    /// the third order.
    pub(super) fn curvature(
        &mut self,
        network: &Network,
        directions: ArrayView2<f64>,
        rows: Range<usize>,
        out: &mut [f64],
    ) {
        self.dh.fill([0.0; LANES]);
        self.aim(directions.slice(s![rows, ..]), &ONES);
        self.tangents(network);
        self.jvp(network);
        let top = self.layers.last().expect("there is a hidden layer");
        let mut sums = [0.0; TILE];
        output(network, &top.dh, self.padded, &mut sums[..self.rows]);
        out.iter_mut()
            .zip(sums)
            .for_each(|(out, sum)| *out = f64::from(sum));
    }

    /// The rows of a range, with room for second derivatives along so many directions.
    pub(super) fn input(
        &mut self,
        network: &Network,
        times: &[f64],
        points: ArrayView2<f64>,
        range: Range<usize>,
        seconds: usize,
    ) {
        let d = network.columns();
        self.resize(network, range.len(), seconds);
        self.h.fill([0.0; LANES]);
        let points = points.slice_move(s![range.clone(), ..]);
        for (row, (time, point)) in times[range].iter().zip(points.rows()).enumerate() {
            read_row(&mut self.h[row..], self.padded, point, 1.0);
            self.h[d / LANES * self.padded + row][d % LANES] = 2.0 * *time as f32 - 1.0;
        }
    }

    fn resize(&mut self, network: &Network, rows: usize, seconds: usize) {
        self.rows = rows;
        self.padded = rows.next_multiple_of(network.rows());
        self.seconds = seconds;
        let inputs = panels(network.columns() + 1) * self.padded;
        let hidden = panels(network.width()) * self.padded;
        let count = self.directions.len().max(seconds);
        self.directions.resize(count, Lines::default());
        let directions = &mut self.directions[..seconds];
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
            layer.second_order.resize(hidden, seconds);
        }
    }

    /// Sets the one direction of second derivatives to the rows of `directions`, each scaled.
    fn aim(&mut self, directions: ArrayView2<f64>, scales: &[f32]) {
        let lines = &mut self.directions[0];
        lines.fill([0.0; LANES]);
        for (row, (direction, scale)) in directions.rows().into_iter().zip(scales).enumerate() {
            read_row(&mut lines[row..], self.padded, direction, *scale);
        }
    }

    /// Sets the directions of second derivatives to the axes, scaled at every row.
    fn aim_at_axes(&mut self, scales: &[f32]) {
        for (axis, lines) in self.directions[..self.seconds].iter_mut().enumerate() {
            lines.fill([0.0; LANES]);
            let panel = &mut lines[axis / LANES * self.padded..][..self.rows];
            for (line, scale) in panel.iter_mut().zip(scales) {
                line[axis % LANES] = *scale;
            }
        }
    }

    /// The layers' `h` and the derivatives of `phi` up to `order`, at most 2, or 3 with seconds.
    pub(super) fn forward(&mut self, network: &Network, order: usize) {
        let mut input = &self.h;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let SecondOrder { second, third, .. } = &mut layer.second_order;
            network.forward(index).multiply(
                self.padded,
                input,
                &mut self.rounded,
                Some(network.biases(index)),
                &mut layer.h,
                Activate {
                    order,
                    slope: &mut layer.slope,
                    curvature: &mut layer.r,
                    second_order: [second, third],
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
    pub(super) fn vjp(&mut self, network: &Network) {
        let (moves, seconds) = (self.moves, self.seconds > 0);
        let top = self.layers.last_mut().expect("there is a hidden layer");
        let ones = &ONES[..self.padded];
        top.g.copy_from_slice(&top.slope);
        scale(ones, network.last(), &mut top.g);
        if self.moves {
            scale(ones, network.last(), &mut top.r);
        }
        if seconds {
            scale(ones, network.last(), &mut top.second_order.third);
        }
        for index in (1..network.depth()).rev() {
            let (below, above) = self.layers.split_at_mut(index);
            let below = &mut below[index - 1];
            network.backward(index).multiply(
                self.padded,
                &above[0].g,
                &mut self.rounded,
                None,
                &mut below.g,
                #[inline(always)]
                |first: usize, u: &mut [Line]| {
                    let lines = first..first + u.len();
                    if seconds {
                        below.second_order.vjp(lines.clone(), u);
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
        let inputs = panels(network.columns() + 1) * self.padded;
        let u = &mut self.scratch[..inputs];
        network.backward(0).multiply(
            self.padded,
            &self.layers[0].g,
            &mut self.rounded,
            None,
            u,
            |_: usize, _: &mut [Line]| {},
        );
    }

    /// `grad_x s` `[rows, d]` from what [`vjp`](Self::vjp) left.
    pub(super) fn gradient(&mut self, network: &Network) {
        let d = network.columns();
        self.gradient.resize(self.rows * d, 0.0);
        for (row, gradient) in self.gradient.chunks_exact_mut(d).enumerate() {
            for (panel, gradient) in gradient.chunks_mut(LANES).enumerate() {
                let line = &self.scratch[panel * self.padded + row];
                gradient.copy_from_slice(&line[..gradient.len()]);
            }
        }
    }

    /// The tangents along the directions of second derivatives.
    fn tangents(&mut self, network: &Network) {
        for index in 0..network.depth() {
            let (below, above) = self.layers.split_at_mut(index);
            let Layer {
                slope,
                second_order,
                ..
            } = &mut above[0];
            second_order.squares.fill([0.0; LANES]);
            for direction in 0..self.seconds {
                let input = match below.last() {
                    None => &self.directions[direction],
                    Some(below) => &below.second_order.tangents[direction].h,
                };
                let tangent = &mut second_order.tangents[direction];
                network.forward(index).multiply(
                    self.padded,
                    input,
                    &mut self.rounded,
                    None,
                    &mut tangent.z,
                    #[inline(always)]
                    |first: usize, z: &mut [Line]| {
                        let lines = first..first + z.len();
                        let slope = &slope[lines.clone()];
                        let squares = &mut second_order.squares[lines.clone()];
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
    fn jvp(&mut self, network: &Network) {
        let seconds = self.seconds > 0;
        let mut input = &self.dh;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            network.forward(index).multiply(
                self.padded,
                input,
                &mut self.rounded,
                None,
                &mut layer.dh,
                #[inline(always)]
                |first: usize, dz: &mut [Line]| {
                    let lines = first..first + dz.len();
                    let slope = &layer.slope[lines.clone()];
                    let r = &mut layer.r[lines.clone()];
                    if seconds {
                        layer.second_order.jvp(lines, slope, dz, r);
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
        top.second_order.start_adjoint(self.seconds);
        let scratch = &mut self.scratch[..hidden];
        for index in (1..network.depth()).rev() {
            let (below, above) = self.layers.split_at_mut(index);
            let below = &mut below[index - 1];
            network.backward(index).multiply(
                self.padded,
                &above[0].r,
                &mut self.rounded,
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
            for direction in 0..self.seconds {
                network.backward(index).multiply(
                    self.padded,
                    &above[0].second_order.tangents[direction].z,
                    &mut self.rounded,
                    None,
                    scratch,
                    #[inline(always)]
                    |first: usize, adjoint: &mut [Line]| {
                        let lines = first..first + adjoint.len();
                        let slope = &below.slope[lines.clone()];
                        let r = &mut below.r[lines.clone()];
                        below
                            .second_order
                            .adjoint(direction, lines, slope, adjoint, r);
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
    second_order: [&'a mut [Line]; 2],
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
                    let [second, third] = &mut self.second_order;
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

/// Writes `factor * values`, rounded first, to the row that `lines` starts with.
fn read_row(lines: &mut [Line], padded: usize, values: ArrayView1<f64>, factor: f32) {
    for (j, value) in values.iter().enumerate() {
        lines[j / LANES * padded][j % LANES] = factor * *value as f32;
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

//! The multilayer perceptron on the CPU without tensors: its value, its gradient,
//! and the gradient of the objective in the parameters, in the fewest products
//! (docs/mathematics.md, section 9).
//!
//! The rows of a batch are cut into tiles whose activations stay in a core's cache. Neither the
//! tiles nor the order of any sum depends on the number of threads, so neither do the bits.

mod product;
mod swish;

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Result, ensure};
use product::{GROUP, LANES, Line, ROWS, accumulate, add_rows, multiply, panels, scale};
use swish::swish;

/// The most rows of a tile.
const TILE: usize = 128;
const ONES: [f32; TILE] = [1.0; TILE];
/// The tiles a thread has at once, which bounds the memory of a step.
const TILES: usize = 2;

/// Rows of a batch, each with the coefficient of its term in a sum.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Times in [0, 1], `[n]`.
    pub times: &'a [f32],
    /// Points, `[n, d]` in row order.
    pub points: &'a [f32],
    /// Coefficients, `[n]`.
    pub coefficients: &'a [f32],
}

/// What a step computed besides the gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The directional derivative less the excess at every interior row, `[n]`, without the
    /// coefficient.
    pub interior: Vec<f32>,
    /// `s` at every boundary row, in the order given, without the coefficient.
    pub boundary: Vec<f32>,
}

/// The perceptron with its weights laid out for products.
///
/// Parameters are slices in the order `weights.0 .. weights.depth, biases.0 .. biases.depth`, the
/// weights `[inputs, outputs]` in row order, and layer `l` computes `h W_l + b_l`.
#[derive(Debug, Clone)]
pub struct Network {
    dimension: usize,
    width: usize,
    /// `W_l` and `W_l'` of every layer but the last.
    forward: Vec<Vec<Line>>,
    backward: Vec<Vec<Line>>,
    biases: Vec<Vec<Line>>,
    last: Vec<Line>,
    last_bias: f32,
}

impl Network {
    /// A network for `dimension` columns with `depth` hidden layers of `width` units.
    ///
    /// # Errors
    /// A dimension, width or depth of 0; parameters of another number or size.
    pub fn new<P: AsRef<[f32]> + Sync>(
        dimension: usize,
        width: usize,
        depth: usize,
        parameters: &[P],
    ) -> Result<Self> {
        for (name, value) in [("dimension", dimension), ("width", width), ("depth", depth)] {
            ensure!(
                value > 0,
                Setting,
                "the network's {name} must be at least 1, got 0"
            );
        }
        let inputs = |layer| if layer == 0 { dimension + 1 } else { width };
        let mut network = Self {
            dimension,
            width,
            forward: (0..depth).map(|l| zeros(width, inputs(l))).collect(),
            backward: (0..depth).map(|l| zeros(inputs(l), width)).collect(),
            biases: vec![zeros(width, 1); depth],
            last: zeros(width, 1),
            last_bias: 0.0,
        };
        network.load(parameters)?;
        Ok(network)
    }

    /// Replaces the parameters.
    ///
    /// # Errors
    /// Another number of slices or of numbers in a slice.
    pub fn load<P: AsRef<[f32]> + Sync>(&mut self, parameters: &[P]) -> Result<()> {
        let sizes = self.sizes();
        let got: Vec<usize> = parameters.iter().map(|p| p.as_ref().len()).collect();
        ensure!(
            got == sizes,
            Shape,
            "the parameters of this network have the sizes {sizes:?}, got {got:?}"
        );
        let (weights, biases) = parameters.split_at(self.depth() + 1);
        let width = self.width;
        for (layer, weights) in weights[..self.depth()].iter().enumerate() {
            let weights = weights.as_ref();
            let inputs = weights.len() / width;
            self.forward[layer]
                .par_chunks_mut(inputs)
                .enumerate()
                .for_each(|(panel, lines)| {
                    for (line, row) in lines.iter_mut().zip(weights.chunks_exact(width)) {
                        copy_lanes(&row[panel * LANES..], line);
                    }
                });
            self.backward[layer]
                .par_chunks_mut(width)
                .enumerate()
                .for_each(|(panel, lines)| {
                    let rows = &weights[panel * LANES * width..];
                    for (lane, row) in rows.chunks_exact(width).take(LANES).enumerate() {
                        for (line, value) in lines.iter_mut().zip(row) {
                            line[lane] = *value;
                        }
                    }
                });
        }
        for (lines, values) in self.biases.iter_mut().zip(biases) {
            fill(values.as_ref(), lines);
        }
        fill(weights[self.depth()].as_ref(), &mut self.last);
        self.last_bias = biases[self.depth()].as_ref()[0];
        Ok(())
    }

    /// How many numbers every slice of the parameters has.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![(self.dimension + 1) * self.width];
        sizes.resize(self.depth(), self.width * self.width);
        sizes.push(self.width);
        sizes.resize(2 * self.depth() + 1, self.width);
        sizes.push(1);
        sizes
    }

    fn check(
        &self,
        times: &[f32],
        points: &[f32],
        name: &str,
        got: usize,
        expected: usize,
    ) -> Result<()> {
        ensure!(
            points.len() == times.len() * self.dimension,
            Shape,
            "{} times need points [{}, {}], got {} numbers",
            times.len(),
            times.len(),
            self.dimension,
            points.len()
        );
        ensure!(
            got == expected,
            Shape,
            "{} times need {expected} {name}, got {got}",
            times.len()
        );
        Ok(())
    }

    fn depth(&self) -> usize {
        self.forward.len()
    }
}

/// The memory of a step, kept from one step to the next.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// The sizes of the parameters that it is made for.
    sizes: Vec<usize>,
    tiles: Vec<Tile>,
    /// The gradient in `W_l` and `b_l` of every layer but the last, in panels.
    weights: Vec<Vec<Line>>,
    biases: Vec<Vec<Line>>,
    last: Vec<Line>,
}

impl Workspace {
    /// `s` at times `[n]` and points `[n, d]`, into `values` `[n]`.
    ///
    /// # Errors
    /// Slices of other sizes.
    pub fn value(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        values: &mut [f32],
    ) -> Result<()> {
        network.check(times, points, "values", values.len(), times.len())?;
        self.evaluate(network, times, points, values, |tile, values| {
            tile.values(network, values);
        });
        Ok(())
    }

    /// `grad_x s` at times `[n]` and points `[n, d]`, into `gradients` `[n, d]`.
    ///
    /// # Errors
    /// Slices of other sizes.
    pub fn gradient(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        gradients: &mut [f32],
    ) -> Result<()> {
        network.check(times, points, "gradients", gradients.len(), points.len())?;
        self.evaluate(network, times, points, gradients, |tile, gradients| {
            tile.pull(network);
            tile.gradient(network);
            gradients.copy_from_slice(&tile.gradient);
        });
        Ok(())
    }

    /// Calls `write` for every tile after its forward pass with the tile's part of `out`. Every
    /// thread takes neighbouring tiles, one after the other in the same memory.
    fn evaluate(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        out: &mut [f32],
        write: impl Fn(&mut Tile, &mut [f32]) + Sync,
    ) {
        if times.is_empty() {
            return;
        }
        let columns = out.len() / times.len();
        let height = height(times.len());
        let threads = rayon::current_num_threads();
        let share = times.len().div_ceil(height).div_ceil(threads) * height;
        self.prepare(network, threads);
        self.tiles
            .par_iter_mut()
            .zip(out.par_chunks_mut(share * columns))
            .enumerate()
            .for_each(|(thread, (tile, out))| {
                let mut first = thread * share;
                for out in out.chunks_mut(height * columns) {
                    let rows = first..first + out.len() / columns;
                    first = rows.end;
                    tile.input(network, times, points, rows);
                    tile.forward(network);
                    write(tile, out);
                }
            });
    }

    /// The gradient in the parameters, written to `gradient`, of
    ///
    /// `sum_i c_i (dt d/dt + dx_i . grad) s(t_i, x_i) + sum_j c_j s(t_j, x_j)`
    ///
    /// over `interior` rows i and the rows j of every `boundary`. The directions `dx` are held
    /// constant; `direction(rows, p, dx, excess)` chooses them for a range of interior rows from
    /// the gradients `p = grad s` `[rows, d]`: it fills `dx` `[rows, d]`, and in `excess`
    /// `[rows]`, 0 at first, what the directional derivative has beyond the interior term.
    ///
    /// An interior row costs six times the products of a value, a boundary row three times. Call
    /// it from a thread of the pool (in `rayon::scope`, say): from outside, every one of its
    /// parallel loops costs two switches of threads.
    ///
    /// Plain Action Matching from samples has `dt = 1`, `dx = p`, the excess `|p|^2 / 2`, and
    /// coefficients `1/n` over the density of the time, `1/n` at t = 0 and `-1/n` at t = 1; from
    /// velocities u, `dt = 0`, `dx = p - u` and no boundary.
    ///
    /// # Errors
    /// Slices of other sizes than the network's or the number of rows.
    pub fn step<D>(
        &mut self,
        network: &Network,
        interior: Rows<'_>,
        dt: f32,
        boundary: &[Rows<'_>],
        direction: D,
        gradient: &mut [Vec<f32>],
    ) -> Result<Terms>
    where
        D: Fn(Range<usize>, &[f32], &mut [f32], &mut [f32]) + Sync,
    {
        for rows in boundary.iter().chain([&interior]) {
            let coefficients = rows.coefficients.len();
            network.check(
                rows.times,
                rows.points,
                "coefficients",
                coefficients,
                rows.times.len(),
            )?;
        }
        let sizes = network.sizes();
        let got: Vec<usize> = gradient.iter().map(Vec::len).collect();
        ensure!(
            got == sizes,
            Shape,
            "the gradient of this network has the sizes {sizes:?}, got {got:?}"
        );
        let tasks: Vec<(Option<usize>, Range<usize>)> = tiles(interior.times.len())
            .map(|range| (None, range))
            .chain(boundary.iter().enumerate().flat_map(|(which, rows)| {
                tiles(rows.times.len()).map(move |range| (Some(which), range))
            }))
            .collect();
        let chunk = TILES * rayon::current_num_threads();
        self.prepare(network, tasks.len().min(chunk));
        let sums = self.weights.iter_mut().chain(&mut self.biases);
        for lines in sums.chain([&mut self.last]) {
            lines.fill([0.0; LANES]);
        }

        let mut terms = Terms {
            interior: Vec::with_capacity(interior.times.len()),
            boundary: vec![],
        };
        for tasks in tasks.chunks(chunk) {
            let tiles = &mut self.tiles[..tasks.len()];
            tiles
                .par_iter_mut()
                .zip(tasks)
                .with_max_len(1)
                .for_each(|(tile, (which, range))| match which {
                    None => tile.interior(network, interior, range.clone(), dt, &direction),
                    Some(which) => tile.boundary(network, boundary[*which], range.clone()),
                });
            for (tile, (which, _)) in tiles.iter().zip(tasks) {
                match which {
                    None => terms.interior.extend(&tile.terms),
                    Some(_) => terms.boundary.extend(&tile.terms),
                }
            }
            self.accumulate(tasks.len());
        }
        let coefficients = boundary.iter().flat_map(|rows| rows.coefficients);
        self.unpack(network, coefficients.sum(), gradient);
        Ok(terms)
    }

    fn prepare(&mut self, network: &Network, tiles: usize) {
        if self.sizes != network.sizes() {
            self.sizes = network.sizes();
            self.tiles.clear();
            let height = |lines: &Vec<Line>| {
                let inputs = lines.len() / panels(network.width);
                zeros(network.width, inputs.next_multiple_of(ROWS))
            };
            self.weights = network.forward.iter().map(height).collect();
            self.biases = network.biases.clone();
            self.last = network.last.clone();
        }
        while self.tiles.len() < tiles {
            self.tiles.push(Tile::new(network));
        }
    }

    /// Adds what the first `count` tiles contribute to the gradient: every thread takes columns
    /// of it and goes through the tiles in order.
    fn accumulate(&mut self, count: usize) {
        let tiles = &self.tiles[..count];
        let mut tasks = vec![];
        for (layer, (weights, biases)) in self.weights.iter_mut().zip(&mut self.biases).enumerate()
        {
            let height = weights.len() / biases.len();
            let columns = weights
                .chunks_mut(GROUP * height)
                .zip(biases.chunks_mut(GROUP));
            tasks.extend(
                columns
                    .enumerate()
                    .map(|(group, c)| (layer, group * GROUP, c)),
            );
        }
        tasks
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(layer, panel, (weights, biases))| {
                for tile in tiles {
                    let rows = tile.padded;
                    let columns = panel * rows..(panel + biases.len()) * rows;
                    let r = &tile.layers[layer].r[columns.clone()];
                    let (h, dh) = match layer {
                        0 => (&tile.h, &tile.dh),
                        _ => (&tile.layers[layer - 1].h, &tile.layers[layer - 1].dh),
                    };
                    let pairs = [[h.as_slice(), r], [dh, &tile.layers[layer].g[columns]]];
                    accumulate(rows, if tile.moves { &pairs } else { &pairs[..1] }, weights);
                    add_rows(&ONES[..rows], r, biases);
                }
            });
        for tile in tiles {
            add_rows(&[1.0], &tile.last, &mut self.last);
        }
    }

    fn unpack(&self, network: &Network, last_bias: f32, gradient: &mut [Vec<f32>]) {
        let width = network.width;
        let (weights, biases) = gradient.split_at_mut(network.depth() + 1);
        for (values, lines) in weights.iter_mut().zip(&self.weights) {
            let height = lines.len() / panels(width);
            values
                .par_chunks_mut(width)
                .enumerate()
                .with_min_len(16)
                .for_each(|(row, values)| {
                    for (values, panel) in values.chunks_mut(LANES).zip(lines.chunks_exact(height))
                    {
                        values.copy_from_slice(&panel[row][..values.len()]);
                    }
                });
        }
        for (values, lines) in biases.iter_mut().zip(&self.biases) {
            values.copy_from_slice(&lines.as_flattened()[..width]);
        }
        weights[network.depth()].copy_from_slice(&self.last.as_flattened()[..width]);
        biases[network.depth()][0] = last_bias;
    }
}

/// Rows of a batch with everything that is computed at them. Rows beyond the given ones fill up
/// to a multiple of [`ROWS`]; they lie at 0, do not move and have the coefficient 0.
#[derive(Debug, Clone)]
struct Tile {
    rows: usize,
    padded: usize,
    /// Whether the rows have tangents.
    moves: bool,
    /// `h_0` and its tangent.
    h: Vec<Line>,
    dh: Vec<Line>,
    layers: Vec<Layer>,
    scratch: Vec<Line>,
    /// What the rows contribute to the gradient in the last layer's weights.
    last: Vec<Line>,
    gradient: Vec<f32>,
    direction: Vec<f32>,
    terms: Vec<f32>,
}

/// One hidden layer at the rows of a tile.
///
/// Tangents carry the row's coefficient, and with them `r`, so that no product is scaled.
#[derive(Debug, Clone)]
struct Layer {
    /// `h = phi(z)`.
    h: Vec<Line>,
    /// `phi'(z)`.
    slope: Vec<Line>,
    /// `u = ds/dh`, then `g = u phi'(z)`.
    g: Vec<Line>,
    /// The tangent of `z`, then of `h`.
    dh: Vec<Line>,
    /// `phi''(z)`, then `phi'' u`, then `phi'' u z'`, then `r`, the adjoint of `z`.
    r: Vec<Line>,
}

impl Tile {
    fn new(network: &Network) -> Self {
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

    fn interior<D>(
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

    fn boundary(&mut self, network: &Network, rows: Rows<'_>, range: Range<usize>) {
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

    fn input(&mut self, network: &Network, times: &[f32], points: &[f32], range: Range<usize>) {
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

    fn forward(&mut self, network: &Network) {
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
    fn values(&self, network: &Network, values: &mut [f32]) {
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
    fn pull(&mut self, network: &Network) {
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
    fn gradient(&mut self, network: &Network) {
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

/// The ranges of rows of the tiles of `rows` rows.
fn tiles(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let height = height(rows);
    (0..rows)
        .step_by(height)
        .map(move |first| first..(first + height).min(rows))
}

/// The rows of a tile of `rows` rows: fewer when there are few, so that some threads share them.
fn height(rows: usize) -> usize {
    rows.div_ceil(4).next_multiple_of(ROWS).clamp(32, TILE)
}

fn zeros(columns: usize, rows: usize) -> Vec<Line> {
    vec![[0.0; LANES]; panels(columns) * rows]
}

fn fill(values: &[f32], lines: &mut [Line]) {
    lines.as_flattened_mut()[..values.len()].copy_from_slice(values);
}

fn copy_lanes(values: &[f32], line: &mut Line) {
    let count = values.len().min(LANES);
    line[..count].copy_from_slice(&values[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `s` at one row, in f64 and with nothing clever.
    fn naive(parameters: &[Vec<f64>], t: f64, x: &[f64]) -> f64 {
        let depth = parameters.len() / 2 - 1;
        let mut h: Vec<f64> = x.iter().copied().chain([2.0 * t - 1.0]).collect();
        for layer in 0..=depth {
            let (weights, biases) = (&parameters[layer], &parameters[depth + 1 + layer]);
            let z = biases.iter().enumerate().map(|(j, bias)| {
                let column = weights.iter().skip(j).step_by(biases.len());
                bias + h.iter().zip(column).map(|(h, w)| h * w).sum::<f64>()
            });
            h = match layer == depth {
                true => z.collect(),
                false => z.map(|z| z / (1.0 + (-z).exp())).collect(),
            };
        }
        h[0]
    }

    /// `(dt d/dt + dx . grad) s` by central differences.
    fn naive_push(parameters: &[Vec<f64>], t: f64, x: &[f64], dt: f64, dx: &[f64]) -> f64 {
        let step = 1e-3;
        let at = |by: f64| {
            let x: Vec<f64> = x.iter().zip(dx).map(|(x, dx)| x + by * dx).collect();
            naive(parameters, t + by * dt, &x)
        };
        (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step)
    }

    fn uniform(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..n).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect()
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|v| f64::from(*v)).collect()
    }

    struct Case {
        dimension: usize,
        network: Network,
        parameters: Vec<Vec<f32>>,
        times: Vec<f32>,
        points: Vec<f32>,
        coefficients: Vec<f32>,
        velocities: Vec<f32>,
    }

    impl Case {
        fn new([dimension, width, depth, rows]: [usize; 4], rng: &mut ChaCha8Rng) -> Self {
            let mut sizes = vec![(dimension + 1) * width];
            sizes.extend(vec![width * width; depth - 1]);
            sizes.push(width);
            sizes.extend(vec![width; depth]);
            sizes.push(1);
            let scale = 1.5 / (width as f32).sqrt();
            let parameters: Vec<Vec<f32>> = sizes
                .iter()
                .map(|n| uniform(*n, rng).into_iter().map(|v| scale * v).collect())
                .collect();
            Self {
                dimension,
                network: Network::new(dimension, width, depth, &parameters).unwrap(),
                parameters,
                times: (0..rows).map(|_| rng.random()).collect(),
                points: uniform(rows * dimension, rng),
                coefficients: uniform(rows, rng),
                velocities: uniform(rows * dimension, rng),
            }
        }

        fn rows(&self) -> Rows<'_> {
            Rows {
                times: &self.times,
                points: &self.points,
                coefficients: &self.coefficients,
            }
        }

        /// The step along `grad s - velocity` with the excess `2 dx_0`.
        fn step(
            &self,
            workspace: &mut Workspace,
            dt: f32,
            boundary: &[Rows<'_>],
        ) -> (Terms, Vec<Vec<f32>>) {
            let d = self.dimension;
            let mut gradient: Vec<Vec<f32>> = self
                .parameters
                .iter()
                .map(|p| vec![f32::NAN; p.len()])
                .collect();
            let direction = |rows: Range<usize>, p: &[f32], dx: &mut [f32], excess: &mut [f32]| {
                let velocities = &self.velocities[rows.start * d..rows.end * d];
                for ((dx, p), u) in dx.iter_mut().zip(p).zip(velocities) {
                    *dx = p - u;
                }
                for (excess, dx) in excess.iter_mut().zip(dx.chunks(d)) {
                    *excess = 2.0 * dx[0];
                }
            };
            let terms = workspace
                .step(
                    &self.network,
                    self.rows(),
                    dt,
                    boundary,
                    direction,
                    &mut gradient,
                )
                .unwrap();
            (terms, gradient)
        }
    }

    const SHAPES: [[usize; 4]; 8] = [
        [1, 1, 1, 1],
        [1, 3, 2, 9],
        [2, 17, 3, 65],
        [3, 33, 1, 300],
        [16, 33, 3, 7],
        [40, 17, 2, 130],
        [5, 64, 4, 31],
        [15, 100, 2, 50],
    ];

    #[test]
    fn value_and_gradient_equal_f64_and_its_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for shape in SHAPES {
            let case = Case::new(shape, &mut rng);
            let [d, _, _, rows] = shape;
            let parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
            let (mut values, mut gradients) = (vec![f32::NAN; rows], vec![f32::NAN; rows * d]);
            Workspace::default()
                .value(&case.network, &case.times, &case.points, &mut values)
                .unwrap();
            Workspace::default()
                .gradient(&case.network, &case.times, &case.points, &mut gradients)
                .unwrap();
            for row in 0..rows {
                let (t, x) = (
                    f64::from(case.times[row]),
                    wide(&case.points[row * d..][..d]),
                );
                let expected = naive(&parameters, t, &x);
                assert!(
                    (f64::from(values[row]) - expected).abs() < 1e-5,
                    "{shape:?}"
                );
                for column in 0..d {
                    let mut dx = vec![0.0; d];
                    dx[column] = 1.0;
                    let expected = naive_push(&parameters, t, &x, 0.0, &dx);
                    let got = f64::from(gradients[row * d + column]);
                    assert!(
                        (got - expected).abs() < 1e-5,
                        "{shape:?}: {got}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn step_equals_differences_of_the_objective() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for (shape, dt) in SHAPES.into_iter().zip([0.0, 1.0].into_iter().cycle()) {
            let case = Case::new(shape, &mut rng);
            let [d, _, _, rows] = shape;
            let ends = [rows, rows / 2 + 1].map(|rows| {
                let mut end = Case::new([d, 1, 1, rows], &mut rng);
                end.times.fill(1.0);
                end
            });
            let boundary: Vec<Rows> = ends.iter().map(Case::rows).collect();
            let boundary = if dt == 1.0 { &boundary[..] } else { &[] };
            let (terms, gradient) = case.step(&mut Workspace::default(), dt, boundary);

            let mut parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
            let mut gradients = vec![0.0; rows * d];
            Workspace::default()
                .gradient(&case.network, &case.times, &case.points, &mut gradients)
                .unwrap();
            let dx: Vec<f64> = gradients
                .iter()
                .zip(&case.velocities)
                .map(|(p, u)| f64::from(p - u))
                .collect();
            let dt = f64::from(dt);
            let push = |parameters: &[Vec<f64>], row: usize| {
                let (t, x) = (
                    f64::from(case.times[row]),
                    wide(&case.points[row * d..][..d]),
                );
                naive_push(parameters, t, &x, dt, &dx[row * d..][..d])
            };
            let values = |parameters: &[Vec<f64>]| -> Vec<f64> {
                let rows = |rows: &Rows| -> Vec<f64> {
                    let points = rows.points.chunks(d);
                    rows.times
                        .iter()
                        .zip(points)
                        .map(|(t, x)| naive(parameters, f64::from(*t), &wide(x)))
                        .collect()
                };
                boundary.iter().flat_map(rows).collect()
            };
            assert_eq!(terms.interior.len(), rows);
            for (row, got) in terms.interior.iter().enumerate() {
                let expected = push(&parameters, row) - 2.0 * dx[row * d];
                assert!(
                    (f64::from(*got) - expected).abs() < 5e-5,
                    "{shape:?}: {got}, not {expected}"
                );
            }
            let expected = values(&parameters);
            assert_eq!(terms.boundary.len(), expected.len());
            for (got, expected) in terms.boundary.iter().zip(expected) {
                assert!((f64::from(*got) - expected).abs() < 1e-5, "{shape:?}");
            }

            let objective = |parameters: &[Vec<f64>]| {
                let coefficients = boundary.iter().flat_map(|rows| rows.coefficients);
                let interior = case.coefficients.iter().enumerate();
                interior
                    .map(|(row, c)| f64::from(*c) * push(parameters, row))
                    .sum::<f64>()
                    + coefficients
                        .zip(values(parameters))
                        .map(|(c, s)| f64::from(*c) * s)
                        .sum::<f64>()
            };
            for array in 0..parameters.len() {
                for _ in 0..6 {
                    let i = rng.random_range(0..parameters[array].len());
                    let at = parameters[array][i];
                    let mut moved = |by: f64| {
                        parameters[array][i] = at + by;
                        let value = objective(&parameters);
                        parameters[array][i] = at;
                        value
                    };
                    let expected =
                        (8.0 * (moved(1e-3) - moved(-1e-3)) - (moved(2e-3) - moved(-2e-3))) / 12e-3;
                    let got = f64::from(gradient[array][i]);
                    let bound = 2e-5 * (rows as f64).sqrt() * (1.0 + expected.abs());
                    assert!(
                        (got - expected).abs() < bound,
                        "{shape:?}, parameters {array}[{i}]: {got}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn bits_depend_neither_on_threads_nor_on_what_the_workspace_did_before() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let case = Case::new([3, 50, 3, 700], &mut rng);
        let end = Case::new([3, 1, 1, 900], &mut rng);
        let other = Case::new([3, 20, 3, 30], &mut rng);
        let mut results = vec![];
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let mut workspace = Workspace::default();
                results.push(case.step(&mut workspace, 1.0, &[end.rows()]));
                other.step(&mut workspace, 0.0, &[]);
                results.push(case.step(&mut workspace, 1.0, &[end.rows()]));
            });
        }
        assert!(results[0].1.iter().flatten().all(|g| g.is_finite()));
        for result in &results[1..] {
            assert_eq!(*result, results[0]);
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut case = Case::new([2, 5, 1, 4], &mut rng);
        let mut values = vec![0.0; 4];
        let error = Workspace::default()
            .value(&case.network, &case.times, &case.points[1..], &mut values)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let error = Workspace::default()
            .gradient(&case.network, &case.times, &case.points, &mut values)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let error = case.network.load(&case.parameters[1..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let error = Network::new(2, 0, 1, &case.parameters).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting);
        case.coefficients.pop();
        let mut gradient = case.parameters.clone();
        let error = Workspace::default()
            .step(
                &case.network,
                case.rows(),
                1.0,
                &[],
                |_, _, _, _| {},
                &mut gradient,
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}

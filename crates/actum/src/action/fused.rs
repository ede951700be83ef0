//! The multilayer perceptron on the CPU without tensors: its value, its gradient,
//! and the gradient of the objective in the parameters, in the fewest products
//! (docs/mathematics.md, section 9).
//!
//! The rows of a batch are cut into tiles whose activations stay in a core's cache. Neither the
//! tiles nor the order of any sum depends on the number of threads, so neither do the bits.

mod adam;
mod bend;
mod columns;
mod layout;
pub(super) mod product;
pub(super) mod swish;
mod tile;

use std::ops::Range;

use rayon::prelude::*;

pub use self::adam::{Adam, DECAY, EPSILON, Update};
use super::check_sizes;
use crate::error::{Result, ensure};
use columns::Columns;
use layout::Layout;
use product::{LANES, Line, ROWS, add_rows, panels};
use tile::Tile;

/// The most rows of a tile.
const TILE: usize = 128;
const ONES: [f32; TILE] = [1.0; TILE];
/// The tiles that a thread computes before they are added to the gradient: twice as many are in
/// memory, whatever the batch.
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

/// The rows of the interior and what is differentiated there.
#[derive(Debug, Clone, Copy)]
pub struct Interior<'a> {
    /// The rows; where the curvature has a weight above 0, the coefficient is at least 0.
    pub rows: Rows<'a>,
    /// How far the directional derivative goes along t.
    pub dt: f32,
    /// Second derivatives to add.
    pub curvature: Option<Curvature<'a>>,
}

/// Second directional derivatives `kappa e' (grad^2 s) e`, with which the interior term has a
/// Laplacian.
#[derive(Debug, Clone, Copy)]
pub struct Curvature<'a> {
    /// `kappa`, at least 0, `[n]`.
    pub weights: &'a [f32],
    /// Where e points.
    pub directions: Directions<'a>,
}

/// The directions of second derivatives.
#[derive(Debug, Clone, Copy)]
pub enum Directions<'a> {
    /// The sum over the d axes, which is the Laplacian itself; for few dimensions, since memory
    /// and time grow with them.
    Axes,
    /// One for each row, `[n, d]`: random signs estimate the Laplacian without bias (Hutchinson
    /// 1989).
    Probes(&'a [f32]),
}

/// The action at some interior rows.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// `s`, `[rows]`.
    pub values: &'a [f32],
    /// `grad s`, `[rows, d]`.
    pub gradients: &'a [f32],
}

/// What a caller chooses at some interior rows, to be filled in.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The directions `dx`, `[rows, d]`, with anything in them at first.
    pub directions: &'a mut [f32],
    /// The coefficients `a` of `s`, `[rows]`, 0 at first.
    pub values: &'a mut [f32],
    /// What the derivatives have beyond the interior term, `[rows]`, 0 at first.
    pub excess: &'a mut [f32],
}

/// Chooses at a range of interior rows, from the action there.
pub type Direction<'a> = dyn Fn(Range<usize>, At<'_>, Choice<'_>) + Sync + 'a;

/// What a step computed besides the gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The directional derivative and the curvature, less the excess, at every interior row,
    /// `[n]`, without the coefficient. Where that is 0 the curvature is left out.
    pub interior: Vec<f32>,
    /// `s` at every interior row, `[n]`.
    pub values: Vec<f32>,
    /// `s` at every boundary row, in the order given, without the coefficient.
    pub boundary: Vec<f32>,
}

/// The perceptron with its weights laid out for products.
///
/// Parameters are slices in the order `weights.0 .. weights.depth, biases.0 .. biases.depth`, the
/// weights `[inputs, outputs]` in row order, and layer `l` computes `h W_l + b_l`.
#[derive(Debug, Clone)]
pub struct Network {
    layout: Layout,
    parameters: Vec<Line>,
    /// `W_l'` of every hidden layer, in panels of inputs.
    backward: Vec<Vec<Line>>,
}

impl Network {
    /// A network for `dimension` columns with `depth` hidden layers of `width` units.
    ///
    /// # Errors
    /// A dimension, width or depth of 0; parameters of another number or size.
    pub fn new<P: AsRef<[f32]>>(
        dimension: usize,
        width: usize,
        depth: usize,
        parameters: &[P],
    ) -> Result<Self> {
        check_sizes(dimension, width, depth)?;
        let layout = Layout {
            dimension,
            width,
            depth,
        };
        let backward = |layer| vec![[0.0; LANES]; panels(layout.inputs(layer)) * width];
        let mut network = Self {
            layout,
            parameters: layout.pack(parameters)?,
            backward: (0..depth).map(backward).collect(),
        };
        network.transpose();
        Ok(network)
    }

    /// The parameters, as [`new`](Self::new) takes them.
    pub fn parameters(&self) -> Vec<Vec<f32>> {
        self.layout.unpack(&self.parameters)
    }

    /// Makes `backward` agree with the parameters.
    fn transpose(&mut self) {
        let layout = self.layout;
        for (layer, backward) in self.backward.iter_mut().enumerate() {
            let (inputs, height) = (layout.inputs(layer), layout.height(layer));
            let weights = &self.parameters[layout.weights(layer)];
            let panels = backward.par_chunks_mut(layout.width).enumerate();
            panels.with_min_len(4).for_each(|(panel, lines)| {
                let rows = panel * LANES..(panel * LANES + LANES).min(inputs);
                let blocks = weights.chunks_exact(height);
                for (lines, block) in lines.chunks_mut(LANES).zip(blocks) {
                    let mut rows_of_block = [[0.0; LANES]; LANES];
                    rows_of_block[..rows.len()].copy_from_slice(&block[rows.clone()]);
                    for (lane, line) in lines.iter_mut().enumerate() {
                        *line = std::array::from_fn(|row| rows_of_block[row][lane]);
                    }
                }
            });
        }
    }

    fn weights(&self, layer: usize) -> &[Line] {
        &self.parameters[self.layout.weights(layer)]
    }

    fn biases(&self, layer: usize) -> &[Line] {
        &self.parameters[self.layout.biases(layer)]
    }

    fn last(&self) -> &[Line] {
        &self.parameters[self.layout.last()]
    }

    fn last_bias(&self) -> f32 {
        self.parameters[self.layout.last_bias()][0]
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
            points.len() == times.len() * self.dimension(),
            Shape,
            "{} times need points [{}, {}], got {} numbers",
            times.len(),
            times.len(),
            self.dimension(),
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

    fn check_curvature(&self, rows: Rows<'_>, curvature: Curvature<'_>) -> Result<()> {
        let n = rows.times.len();
        let got = curvature.weights.len();
        self.check(rows.times, rows.points, "weights of the curvature", got, n)?;
        if let Directions::Probes(probes) = curvature.directions {
            let (got, expected) = (probes.len(), rows.points.len());
            self.check(
                rows.times,
                rows.points,
                "numbers in the probes",
                got,
                expected,
            )?;
        }
        for (row, (weight, coefficient)) in
            curvature.weights.iter().zip(rows.coefficients).enumerate()
        {
            ensure!(
                *weight == 0.0 || (*weight > 0.0 && *coefficient >= 0.0),
                Value,
                "a weight of the curvature is 0, or positive with a coefficient of at least 0; \
                 got {weight} with {coefficient} in row {row}"
            );
        }
        Ok(())
    }

    fn dimension(&self) -> usize {
        self.layout.dimension
    }

    fn width(&self) -> usize {
        self.layout.width
    }

    fn depth(&self) -> usize {
        self.layout.depth
    }
}

/// The memory of a step, kept from one step to the next.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// That of the network that it is made for.
    layout: Option<Layout>,
    tiles: Vec<Tile>,
    /// The gradient in the parameters.
    gradient: Vec<Line>,
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
        self.evaluate(network, times, points, 0, [values], |tile, _, [values]| {
            tile.values(network);
            values.copy_from_slice(&tile.values);
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
        self.evaluate(
            network,
            times,
            points,
            1,
            [gradients],
            |tile, _, [gradients]| {
                tile.pull(network);
                tile.gradient(network);
                gradients.copy_from_slice(&tile.gradient);
            },
        );
        Ok(())
    }

    /// [`value`](Self::value) and [`gradient`](Self::gradient) at once, for the products of the
    /// gradient alone.
    ///
    /// # Errors
    /// Slices of other sizes.
    pub fn value_and_gradient(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        values: &mut [f32],
        gradients: &mut [f32],
    ) -> Result<()> {
        network.check(times, points, "values", values.len(), times.len())?;
        network.check(times, points, "gradients", gradients.len(), points.len())?;
        self.evaluate(
            network,
            times,
            points,
            1,
            [values, gradients],
            |tile, _, [values, gradients]| {
                tile.values(network);
                tile.pull(network);
                tile.gradient(network);
                values.copy_from_slice(&tile.values);
                gradients.copy_from_slice(&tile.gradient);
            },
        );
        Ok(())
    }

    /// `e' (grad_x^2 s) e` at times `[n]` and points `[n, d]` along `directions` e `[n, d]`, into
    /// `curvatures` `[n]`, for three times the products of a value.
    ///
    /// # Errors
    /// Slices of other sizes.
    pub fn curvature(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        directions: &[f32],
        curvatures: &mut [f32],
    ) -> Result<()> {
        network.check(times, points, "directions", directions.len(), points.len())?;
        network.check(times, points, "curvatures", curvatures.len(), times.len())?;
        let d = network.dimension();
        self.evaluate(
            network,
            times,
            points,
            3,
            [curvatures],
            |tile, rows, [curvatures]| {
                let directions = &directions[rows.start * d..rows.end * d];
                tile.curvature(network, directions, curvatures);
            },
        );
        Ok(())
    }

    /// Calls `write` for every tile after its forward pass of that order, with room for a bend in
    /// the third, with its rows and their part of every slice of `out`. Every thread takes neighbouring tiles, one
    /// after the other in the same memory.
    fn evaluate<const N: usize>(
        &mut self,
        network: &Network,
        times: &[f32],
        points: &[f32],
        order: usize,
        mut out: [&mut [f32]; N],
        write: impl Fn(&mut Tile, Range<usize>, [&mut [f32]; N]) + Sync,
    ) {
        let rows = times.len();
        if rows == 0 {
            return;
        }
        let columns = out.each_ref().map(|out| out.len() / rows);
        let height = height(rows);
        let threads = rayon::current_num_threads();
        let share = rows.div_ceil(height).div_ceil(threads) * height;
        self.prepare(network, threads);
        let shares = ranges(0..rows, share).map(|range| {
            let out = split_off(&mut out, columns, range.len());
            (range, out)
        });
        let tasks: Vec<_> = self.tiles.iter_mut().zip(shares).collect();
        tasks.into_par_iter().for_each(|(tile, (rows, mut out))| {
            tile.moves = false;
            for rows in ranges(rows, height) {
                let out = split_off(&mut out, columns, rows.len());
                tile.input(
                    network,
                    times,
                    points,
                    rows.clone(),
                    usize::from(order == 3),
                );
                tile.forward(network, order);
                write(tile, rows, out);
            }
        });
    }

    /// The gradient in the parameters, kept for [`Adam::step`], of
    ///
    /// `sum_i c_i [(dt d/dt + dx_i . grad) s + kappa_i e_i' (grad^2 s) e_i](t_i, x_i)
    /// + sum_i a_i s(t_i, x_i) + sum_j c_j s(t_j, x_j)`
    ///
    /// over `interior` rows i and the rows j of every `boundary`. The directions `dx` and the
    /// coefficients `a` are held constant; `direction(rows, at, choice)` chooses them for a range
    /// of interior rows from the action there.
    ///
    /// An interior row costs six times the products of a value, and three times more for each of
    /// its directions of second derivatives; a boundary row three times. Call it from a thread of
    /// the pool (in `rayon::scope`, say): from outside, every one of its parallel loops costs two
    /// switches of threads.
    ///
    /// Plain Action Matching from samples has `dt = 1`, `dx = p`, the excess `|p|^2 / 2`, and
    /// coefficients `1/n` over the density of the time, `1/n` at t = 0 and `-1/n` at t = 1; from
    /// velocities u, `dt = 0`, `dx = p - u` and no boundary. Noise adds the weights
    /// `kappa = sigma^2 / 2`, growth `a = c lambda s`.
    ///
    /// # Errors
    /// Slices of other sizes than the network's or the number of rows; a weight of the curvature
    /// that is negative or not a number, or has a coefficient that is.
    pub fn step(
        &mut self,
        network: &Network,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        direction: &Direction<'_>,
    ) -> Result<Terms> {
        for rows in boundary.iter().chain([&interior.rows]) {
            let coefficients = rows.coefficients.len();
            network.check(
                rows.times,
                rows.points,
                "coefficients",
                coefficients,
                rows.times.len(),
            )?;
        }
        if let Some(curvature) = interior.curvature {
            network.check_curvature(interior.rows, curvature)?;
        }
        let tasks: Vec<Task> = tiles(interior.rows.times.len())
            .map(|range| (None, range))
            .chain(boundary.iter().enumerate().flat_map(|(which, rows)| {
                tiles(rows.times.len()).map(move |range| (Some(which), range))
            }))
            .collect();
        let chunk = TILES * rayon::current_num_threads();
        self.prepare(network, tasks.len().min(2 * chunk));
        self.gradient.fill([0.0; LANES]);
        let mut terms = Terms {
            interior: Vec::with_capacity(interior.rows.times.len()),
            values: Vec::with_capacity(interior.rows.times.len()),
            boundary: vec![],
        };
        // Tiles are added to the gradient while the next ones are computed. Threads take jobs in
        // their order: the small ones at the end fill the time for which one would wait for the
        // others.
        let (mut tiles, mut done) = self.tiles.split_at_mut(chunk.min(tasks.len()));
        let mut count = 0;
        for tasks in tasks.chunks(chunk).chain([&[][..]]) {
            let compute = tiles.iter_mut().zip(tasks);
            let compute = compute.map(|(tile, task)| Job::Compute(tile, task));
            let columns = Columns::of(network.layout, &mut self.gradient).into_iter();
            let add = columns.map(|columns| Job::Add(columns, &done[..count]));
            compute.chain(add).par_bridge().for_each(|job| match job {
                Job::Compute(tile, (None, range)) => {
                    tile.interior(network, interior, range.clone(), direction);
                }
                Job::Compute(tile, (Some(which), range)) => {
                    tile.boundary(network, boundary[*which], range.clone());
                }
                Job::Add(columns, tiles) => columns.add(tiles),
            });
            let (_, last, last_bias) = network.layout.split(&mut self.gradient);
            for (tile, (which, _)) in tiles.iter().zip(tasks) {
                add_rows(&[1.0], &tile.last, last);
                *last_bias += tile.last_bias;
                match which {
                    None => {
                        terms.interior.extend(&tile.terms);
                        terms.values.extend(&tile.values);
                    }
                    Some(_) => terms.boundary.extend(&tile.values),
                }
            }
            count = tasks.len();
            std::mem::swap(&mut tiles, &mut done);
        }
        Ok(terms)
    }

    /// The gradient that the last [`step`](Self::step) left, in the order of [`Network::new`];
    /// nothing before the first step.
    pub fn parameter_gradient(&self) -> Vec<Vec<f32>> {
        let unpack = |layout: Layout| layout.unpack(&self.gradient);
        self.layout.map_or(vec![], unpack)
    }

    /// The Euclidean norm of that gradient.
    pub fn norm(&self) -> f64 {
        let square = |g: &f32| f64::from(*g) * f64::from(*g);
        let chunks = self.gradient.par_chunks(1024);
        let sums: Vec<f64> = chunks
            .map(|lines| {
                let mut sums = [0.0; LANES];
                for line in lines {
                    for (sum, g) in sums.iter_mut().zip(line) {
                        *sum += square(g);
                    }
                }
                sums.iter().sum()
            })
            .collect();
        sums.iter().sum::<f64>().sqrt()
    }

    fn prepare(&mut self, network: &Network, tiles: usize) {
        if self.layout != Some(network.layout) {
            self.layout = Some(network.layout);
            self.tiles.clear();
            self.gradient = vec![[0.0; LANES]; network.layout.lines()];
        }
        while self.tiles.len() < tiles {
            self.tiles.push(Tile::new(network));
        }
    }
}

/// Rows of the interior or of a boundary.
type Task = (Option<usize>, Range<usize>);

/// What a thread does at a time in a step.
enum Job<'a> {
    Compute(&'a mut Tile, &'a Task),
    Add(Columns<'a>, &'a [Tile]),
}

/// The ranges of rows of the tiles of `rows` rows.
fn tiles(rows: usize) -> impl Iterator<Item = Range<usize>> {
    ranges(0..rows, height(rows))
}

/// Parts of a range, of `size` rows but for the last.
fn ranges(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(size)
        .map(move |first| first..(first + size).min(end))
}

/// Takes the first `rows` rows of every slice.
fn split_off<'a, const N: usize>(
    slices: &mut [&'a mut [f32]; N],
    columns: [usize; N],
    rows: usize,
) -> [&'a mut [f32]; N] {
    std::array::from_fn(|i| {
        slices[i]
            .split_off_mut(..rows * columns[i])
            .expect("a slice has the rows of its range")
    })
}

/// The rows of a tile of `rows` rows: fewer when there are few, so that some threads share them.
fn height(rows: usize) -> usize {
    rows.div_ceil(4).next_multiple_of(ROWS).clamp(32, TILE)
}

fn zeros(columns: usize, rows: usize) -> Vec<Line> {
    vec![[0.0; LANES]; panels(columns) * rows]
}

#[cfg(test)]
mod tests;

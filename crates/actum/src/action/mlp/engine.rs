//! The perceptron's value, its gradient, and the gradient of the objective in the parameters, in
//! the fewest products (docs/mathematics.md, section 9).
//!
//! The rows of a batch are cut into tiles whose activations stay in a core's cache. Neither the
//! tiles nor the order of any sum depends on the number of threads, so neither do the bits.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::{Mlp, columns::Columns, factor::Factor, layout::Layout, tile::Tile};
use crate::{
    action::{
        Action, Choose, Engine, Interior, Precision, Rows, Saved, Terms, assert_rows, check_step,
        pool::Pool,
    },
    error::{Result, ensure},
    memory,
    simd::{LANES, Line, Lines, Pairs, ROWS, add_rows, bf16, panels},
    store::Array,
};

/// The most rows of a tile.
pub(super) const TILE: usize = 128;
pub(super) const ONES: [f32; TILE] = [1.0; TILE];
/// The tiles that a thread computes before they are added to the gradient: twice as many are in
/// memory, whatever the batch.
const TILES: usize = 2;

/// A multilayer perceptron ([`Mlp`]) on the CPU, its weights laid out for products.
#[derive(Debug, Clone)]
pub struct MlpEngine {
    pub(super) layout: Layout,
    parameters: Lines,
    /// `W_l'` of every hidden layer, in panels of inputs.
    backward: Vec<Lines>,
    /// `W_l` and `W_l'` as right factors, for every hidden layer with products in bf16.
    rounded: Vec<Option<[Pairs; 2]>>,
    /// That of the last step.
    gradient: Lines,
    tiles: Pool<Tile>,
}

impl MlpEngine {
    /// A network for `dimension` columns.
    ///
    /// Weights are drawn from N(0, 1/inputs), biases are 0, and so is the last layer: the
    /// population starts at rest.
    ///
    /// # Errors
    /// A dimension, width or depth of 0.
    pub fn new(dimension: usize, size: Mlp, rng: &mut impl Rng) -> Result<Self> {
        let mut engine = Self::blank(dimension, size)?;
        let mut arrays = engine.layout.unpack(&engine.parameters);
        for (layer, array) in arrays[..size.depth].iter_mut().enumerate() {
            let scale = (engine.layout.inputs(layer) as f32).sqrt().recip();
            for weight in &mut array.values {
                let z: f32 = StandardNormal.sample(rng);
                *weight = z * scale;
            }
        }
        engine.parameters = engine.layout.pack(&arrays)?;
        engine.transpose();
        Ok(engine)
    }

    /// A network of zeros.
    pub(crate) fn blank(dimension: usize, size: Mlp) -> Result<Self> {
        ensure!(
            dimension > 0,
            Setting,
            "a network needs a column, got points without any"
        );
        size.check()?;
        // Parameters both ways, their gradient, and what the optimiser keeps of each.
        let what = format_args!("a network of width {} and depth {}", size.width, size.depth);
        memory::check(&[size.least_parameters(dimension)], 28, what)?;
        let layout = Layout {
            dimension,
            width: size.width,
            depth: size.depth,
        };
        let backward = |layer| Lines::zeros(panels(layout.inputs(layer)) * layout.width);
        Ok(Self {
            layout,
            parameters: Lines::zeros(layout.lines()),
            backward: (0..layout.depth).map(backward).collect(),
            rounded: vec![None; layout.depth],
            gradient: Lines::default(),
            tiles: Pool::default(),
        })
    }

    /// Makes `backward` and `rounded` agree with the parameters.
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
        let layers = self.rounded.par_iter_mut().enumerate();
        layers.for_each(|(layer, rounded)| {
            if let Some([forward, backward]) = rounded {
                let weights = &self.parameters[layout.weights(layer)];
                bf16::right(layout.height(layer), weights, forward, 0);
                bf16::right(layout.width, &self.backward[layer], backward, 0);
            }
        });
    }

    /// `W_l`.
    pub(super) fn forward(&self, layer: usize) -> Factor<'_> {
        Factor {
            inner: self.layout.inputs(layer),
            lines: &self.parameters[self.layout.weights(layer)],
            pairs: self.rounded[layer].as_ref().map(|[pairs, _]| &pairs[..]),
        }
    }

    /// `W_l'`.
    pub(super) fn backward(&self, layer: usize) -> Factor<'_> {
        Factor {
            inner: self.layout.width,
            lines: &self.backward[layer],
            pairs: self.rounded[layer].as_ref().map(|[_, pairs]| &pairs[..]),
        }
    }

    /// The rows of a tile of `rows` rows: fewer when there are few, so that some threads share them.
    fn tile_rows(&self, rows: usize) -> usize {
        let share = rows.div_ceil(4).next_multiple_of(self.rows());
        share.clamp(32, TILE)
    }

    /// What the rows of a tile are a multiple of.
    pub(super) fn rows(&self) -> usize {
        match self.rounded.iter().any(Option::is_some) {
            true => bf16::DEPTH,
            false => ROWS,
        }
    }

    /// Whether the products of a layer are in bf16.
    pub(super) fn rounds(&self, layer: usize) -> bool {
        self.rounded[layer].is_some()
    }

    pub(super) fn biases(&self, layer: usize) -> &[Line] {
        &self.parameters[self.layout.biases(layer)]
    }

    pub(super) fn last(&self) -> &[Line] {
        &self.parameters[self.layout.last()]
    }

    pub(super) fn last_bias(&self) -> f32 {
        self.parameters[self.layout.last_bias()][0]
    }

    pub(super) fn columns(&self) -> usize {
        self.layout.dimension
    }

    pub(super) fn width(&self) -> usize {
        self.layout.width
    }

    pub(super) fn depth(&self) -> usize {
        self.layout.depth
    }

    /// Calls `write` for every tile after its forward pass of that order, with room for second
    /// derivatives in the third, with its rows and their part of every slice of `out`. Every thread
    /// takes neighbouring tiles, one after the other in the same memory.
    fn evaluate<const N: usize>(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        order: usize,
        mut out: [&mut [f64]; N],
        write: impl Fn(&mut Tile, Range<usize>, [&mut [f64]; N]) + Sync,
    ) {
        assert_rows(self.columns(), times, &points);
        let rows = times.len();
        if rows == 0 {
            return;
        }
        let columns = out.each_ref().map(|out| out.len() / rows);
        let height = self.tile_rows(rows);
        let threads = rayon::current_num_threads();
        let share = rows.div_ceil(height).div_ceil(threads) * height;
        let shares: Vec<_> = ranges(0..rows, share)
            .map(|range| {
                let out = split_off(&mut out, columns, range.len());
                (range, out)
            })
            .collect();
        let evaluate = |(rows, mut out): (Range<usize>, [&mut [f64]; N])| {
            self.tiles.lend(
                || Tile::new(self),
                |tile| {
                    tile.moves = false;
                    for rows in ranges(rows, height) {
                        let out = split_off(&mut out, columns, rows.len());
                        let directions = usize::from(order == 3);
                        tile.input(self, times, points, rows.clone(), directions);
                        tile.forward(self, order);
                        write(tile, rows, out);
                    }
                },
            );
        };
        shares.into_par_iter().for_each(evaluate);
    }

    /// The gradient and the terms of a [`step`](Engine::step).
    fn differentiate(
        &mut self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        choose: &Choose<'_>,
    ) -> Terms {
        let tiles = |rows| ranges(0..rows, self.tile_rows(rows));
        let tasks: Vec<Task> = tiles(interior.rows.times.len())
            .map(|range| (None, range))
            .chain(boundary.iter().enumerate().flat_map(|(which, rows)| {
                tiles(rows.times.len()).map(move |range| (Some(which), range))
            }))
            .collect();
        let chunk = TILES * rayon::current_num_threads();
        let mut gradient = std::mem::take(&mut self.gradient);
        gradient.resize(self.layout.lines(), [0.0; LANES]);
        gradient.fill([0.0; LANES]);
        let network = &*self;
        let mut all = self
            .tiles
            .take(tasks.len().min(2 * chunk), || Tile::new(network));
        let n = interior.rows.times.len();
        let mut terms = Terms {
            interior: Vec::with_capacity(n),
            values: Vec::with_capacity(n),
            boundary: 0.0,
        };
        // Tiles are added to the gradient while the next ones are computed. Threads take jobs in
        // their order: the small ones at the end fill the time for which one would wait for the
        // others.
        let (mut tiles, mut done) = all.split_at_mut(chunk.min(tasks.len()));
        let mut count = 0;
        for tasks in tasks.chunks(chunk).chain([&[][..]]) {
            let compute = tiles.iter_mut().zip(tasks);
            let compute = compute.map(|(tile, task)| Job::Compute(tile, task));
            let columns = Columns::of(network, &mut gradient).into_iter();
            let add = columns.map(|columns| Job::Add(columns, &done[..count]));
            compute.chain(add).par_bridge().for_each(|job| match job {
                Job::Compute(tile, (None, range)) => {
                    tile.interior(network, interior, range.clone(), choose);
                }
                Job::Compute(tile, (Some(which), range)) => {
                    tile.boundary(network, boundary[*which], range.clone());
                }
                Job::Add(columns, tiles) => columns.add(tiles),
            });
            let (_, last, last_bias) = network.layout.split(&mut gradient);
            for (tile, (which, _)) in tiles.iter().zip(tasks) {
                add_rows(&[1.0], &tile.last, last);
                *last_bias += tile.last_bias;
                match which {
                    None => {
                        terms
                            .interior
                            .extend(tile.terms.iter().map(|t| f64::from(*t)));
                        terms
                            .values
                            .extend(tile.values.iter().map(|s| f64::from(*s)));
                    }
                    Some(_) => {
                        let each = tile.values.iter().zip(&tile.coefficients);
                        for (s, c) in each {
                            terms.boundary += f64::from(*s) * f64::from(*c);
                        }
                    }
                }
            }
            count = tasks.len();
            std::mem::swap(&mut tiles, &mut done);
        }
        self.tiles.give(all);
        self.gradient = gradient;
        terms
    }
}

impl Action for MlpEngine {
    fn dimension(&self) -> usize {
        self.columns()
    }

    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64> {
        let mut values = vec![0.0; times.len()];
        self.evaluate(times, points, 0, [&mut values], |tile, _, [values]| {
            tile.values(self);
            widen(&tile.values, values);
        });
        Array1::from(values)
    }

    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        let mut gradients = vec![0.0; points.len()];
        self.evaluate(
            times,
            points,
            1,
            [&mut gradients],
            |tile, _, [gradients]| {
                tile.vjp(self);
                tile.gradient(self);
                widen(&tile.gradient, gradients);
            },
        );
        rows_of(points, gradients)
    }

    fn value_and_gradient(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
    ) -> (Array1<f64>, Array2<f64>) {
        let (mut values, mut gradients) = (vec![0.0; times.len()], vec![0.0; points.len()]);
        let out = [&mut values[..], &mut gradients];
        self.evaluate(times, points, 1, out, |tile, _, [values, gradients]| {
            tile.values(self);
            tile.vjp(self);
            tile.gradient(self);
            widen(&tile.values, values);
            widen(&tile.gradient, gradients);
        });
        (Array1::from(values), rows_of(points, gradients))
    }

    /// For three times the products of a value.
    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64> {
        assert_eq!(
            directions.dim(),
            points.dim(),
            "a direction for every point"
        );
        let mut curvatures = vec![0.0; times.len()];
        self.evaluate(times, points, 3, [&mut curvatures], |tile, rows, [out]| {
            tile.curvature(self, directions, rows, out);
        });
        Array1::from(curvatures)
    }

    fn as_engine(&self) -> Option<&dyn Engine> {
        Some(self)
    }
}

/// Rows like those of `points`.
fn rows_of(points: ArrayView2<f64>, values: Vec<f64>) -> Array2<f64> {
    Array2::from_shape_vec(points.dim(), values).expect("a row for every point")
}

fn widen(from: &[f32], to: &mut [f64]) {
    to.iter_mut()
        .zip(from)
        .for_each(|(to, from)| *to = f64::from(*from));
}

impl Engine for MlpEngine {
    /// An interior row costs six times the products of a value, and three times more for each of
    /// its directions of second derivatives; a boundary row three times.
    fn step(
        &mut self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        choose: &Choose<'_>,
    ) -> Result<Terms> {
        check_step(self.columns(), &interior, boundary)?;
        // From outside of the pool, every parallel loop would cost two switches of threads.
        Ok(rayon::scope(|_| {
            self.differentiate(interior, boundary, choose)
        }))
    }

    fn parameter_gradient(&self) -> &[f32] {
        self.gradient.as_flattened()
    }

    fn parameters(&self) -> &[f32] {
        self.parameters.as_flattened()
    }

    fn update(&mut self, change: &mut (dyn FnMut(&mut [f32], &[f32]) + Send)) {
        rayon::scope(|_| {
            let gradient = self.gradient.as_flattened();
            change(self.parameters.as_flattened_mut(), gradient);
            self.transpose();
        });
    }

    fn multiply_in(&mut self, precision: Precision) -> Precision {
        let layout = self.layout;
        let precision = precision.here();
        let zeros = |panels, rows| Pairs::zeros(panels * bf16::height(rows));
        let rounded = |layer| {
            // To round few coordinates of points costs accuracy and saves no time.
            let inputs = layout.inputs(layer);
            let rounds = precision == Precision::Bf16 && inputs > bf16::DEPTH;
            rounds.then(|| {
                let forward = zeros(layout.panels(), layout.height(layer));
                [forward, zeros(panels(inputs), layout.width)]
            })
        };
        self.rounded = (0..layout.depth).map(rounded).collect();
        self.transpose();
        precision
    }

    fn unpack(&self, values: &[f32]) -> Vec<Array> {
        let (lines, rest) = values.as_chunks();
        assert!(lines.len() == self.layout.lines() && rest.is_empty());
        self.layout.unpack(lines)
    }

    fn pack(&self, arrays: &[Array]) -> Result<Vec<f32>> {
        let lines = self.layout.pack(arrays)?;
        Ok(lines.as_flattened().to_vec())
    }

    fn saved(&self) -> Option<Saved> {
        Some(Saved::Mlp(Mlp {
            width: self.width(),
            depth: self.depth(),
        }))
    }
}

/// Rows of the interior or of a boundary.
type Task = (Option<usize>, Range<usize>);

/// What a thread does at a time in a step.
enum Job<'a> {
    Compute(&'a mut Tile, &'a Task),
    Add(Columns<'a>, &'a [Tile]),
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
    slices: &mut [&'a mut [f64]; N],
    columns: [usize; N],
    rows: usize,
) -> [&'a mut [f64]; N] {
    std::array::from_fn(|i| {
        slices[i]
            .split_off_mut(..rows * columns[i])
            .expect("a slice has the rows of its range")
    })
}

pub(super) fn zeros(columns: usize, rows: usize) -> Lines {
    Lines::zeros(panels(columns) * rows)
}

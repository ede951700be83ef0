use std::ops::Range;

use ndarray::Array2;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Ground, LANES, Line, OVERFLOW};
use crate::{
    error::{Result, ensure},
    stop::Stop,
};

/// The rows of a block. A tile of columns is read once for 8 rows. The terms of 8 rows, which
/// [`sinkhorn`](super::sinkhorn) keeps, take 640 kB for 10,000 columns and fit a second-level cache
/// of 1 MB.
pub(crate) const ROWS: usize = 8;

/// A number for each column, in tiles. The last tile is padded with `rest`.
pub(crate) fn tiled(values: &[f64], rest: f64) -> Vec<Line> {
    let mut lines = vec![[rest; LANES]; values.len().div_ceil(LANES)];
    lines.as_flattened_mut()[..values.len()].copy_from_slice(values);
    lines
}

/// The costs `c(x_i, y_j)` [n, m], computed when they are needed. In few dimensions that is as fast
/// as reading them from memory, and no matrix is stored. Columns are packed in tiles of [`LANES`],
/// coordinate by coordinate, so that a vector instruction handles neighbouring columns. The last
/// tile is padded with copies of the last column, whose costs are finite.
pub(crate) struct Costs<'a> {
    rows: &'a Array2<f64>,
    tiles: Vec<Line>,
    columns: usize,
    ground: Ground,
    /// What is computed of it ends early where this is asked; it is then of no use.
    pub stop: Stop,
}

impl<'a> Costs<'a> {
    /// Rows [n, d] in row-major order and columns [m, d].
    pub fn new(rows: &'a Array2<f64>, columns: &Array2<f64>, ground: Ground) -> Self {
        let (m, d) = columns.dim();
        let mut tiles = vec![[0.0; LANES]; m.div_ceil(LANES) * d];
        for j in 0..m.next_multiple_of(LANES) {
            for (k, value) in columns.row(j.min(m - 1)).iter().enumerate() {
                tiles[j / LANES * d + k][j % LANES] = *value;
            }
        }
        Self {
            rows,
            tiles,
            columns: m,
            ground,
            stop: Stop::now(),
        }
    }

    /// (n, m).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows.nrows(), self.columns)
    }

    /// The columns in tile `t`.
    pub fn lanes(&self, t: usize) -> Range<usize> {
        t * LANES..(t * LANES + LANES).min(self.columns)
    }

    /// The number of tiles.
    pub fn tiles(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// All rows in blocks of [`ROWS`].
    pub fn blocks(&self) -> impl IndexedParallelIterator<Item = Range<usize>> {
        let n = self.shape().0;
        let blocks = (0..n.div_ceil(ROWS)).into_par_iter();
        blocks.map(move |k| k * ROWS..(k * ROWS + ROWS).min(n))
    }

    /// Calls `visit(i, t, costs)` for every tile t from `first` on, and for every row i of a block.
    ///
    /// Tiles are the outer loop, because a tile then stays in the first-level cache for all rows of
    /// the block. `visit` is inlined into code for the widest vectors of the machine, to which its
    /// loops over lanes compile.
    #[inline(always)]
    pub fn visit(&self, rows: Range<usize>, first: usize, visit: impl FnMut(usize, usize, &Line)) {
        Arch::new().dispatch(Visit {
            costs: self,
            rows,
            first,
            visit,
        });
    }

    /// The costs of row `i` and the columns in tile `t`.
    #[inline(always)]
    pub fn tile<S: Simd>(&self, simd: S, i: usize, t: usize) -> Line {
        let d = self.rows.ncols();
        let row = &self.rows.as_slice().expect("row-major")[i * d..][..d];
        let mut sum = [0.0; LANES];
        let (vectors, _) = S::as_mut_simd_f64s(&mut sum);
        for (x, y) in row.iter().zip(&self.tiles[t * d..][..d]) {
            let x = simd.splat_f64s(*x);
            for (s, y) in vectors.iter_mut().zip(S::as_simd_f64s(y).0) {
                let difference = simd.sub_f64s(x, *y);
                *s = simd.mul_add_e_f64s(difference, difference, *s);
            }
        }
        if self.ground == Ground::Euclidean {
            for s in vectors {
                *s = simd.sqrt_f64s(*s);
            }
        }
        sum
    }

    /// The largest cost.
    pub fn greatest(&self) -> Result<f64> {
        let rows: Vec<f64> = self
            .blocks()
            .map(|rows| {
                let mut greatest = [0.0; LANES];
                if self.stop.is_asked() {
                    return 0.0;
                }
                self.visit(rows, 0, |_, _, costs| {
                    for lane in 0..LANES {
                        greatest[lane] = f64::max(greatest[lane], costs[lane]);
                    }
                });
                greatest.into_iter().fold(0.0, f64::max)
            })
            .collect();
        self.stop.check()?;
        let greatest = rows.into_iter().fold(0.0, f64::max);
        ensure!(greatest.is_finite(), Value, "{OVERFLOW}");
        Ok(greatest)
    }

    /// The cost of row `i` and column `j`.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        let d = self.rows.ncols();
        let column = self.tiles[j / LANES * d..].iter().map(|y| y[j % LANES]);
        let square: f64 = self
            .rows
            .row(i)
            .iter()
            .zip(column)
            .map(|(x, y)| (x - y) * (x - y))
            .sum();
        match self.ground {
            Ground::Euclidean => square.sqrt(),
            Ground::SquaredEuclidean => square,
        }
    }
}

struct Visit<'a, 'b, F> {
    costs: &'a Costs<'b>,
    rows: Range<usize>,
    first: usize,
    visit: F,
}

impl<F: FnMut(usize, usize, &Line)> WithSimd for Visit<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for t in self.first..self.costs.tiles() {
            for i in self.rows.clone() {
                let costs = self.costs.tile(simd, i, t);
                (self.visit)(i, t, &costs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tests::waves;

    #[test]
    fn costs_are_those_of_the_definition() {
        let (a, b) = waves(5, 37);
        for (ground, power) in [(Ground::Euclidean, 0.5), (Ground::SquaredEuclidean, 1.0)] {
            let costs = Costs::new(a.points(), b.points(), ground);
            let mut seen = 0;
            costs.visit(1..5, 1, |i, t, row| {
                for (j, cost) in costs.lanes(t).zip(row) {
                    let square = (&a.point(i) - &b.point(j)).mapv(|x| x * x).sum();
                    assert!((cost - square.powf(power)).abs() < 1e-14);
                    assert!((costs.at(i, j) - cost).abs() < 1e-14);
                    seen += 1;
                }
            });
            assert_eq!(seen, 4 * (37 - LANES));
        }
    }
}

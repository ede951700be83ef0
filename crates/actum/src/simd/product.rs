//! Matrix products on panels.
//!
//! A matrix `[rows, columns]` is kept as panels of [`LANES`] columns, `[panel][row][lane]`, the
//! last one filled up with zeros. A row of a panel is one cache line, so every operand of the
//! products below is read in the order in which it lies in memory, and neither has to be copied.

// Loops over constant ranges are unrolled early, which keeps blocks in registers.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{LANES, Line, by_lanes, kernels, load, store};

/// The rows of a matrix that is a left factor or a result are a multiple of this.
pub(crate) const ROWS: usize = 8;
/// How many panels of its result a product computes together on the widest machines.
pub(crate) const GROUP: usize = 3;
/// How many outer products a loop adds before it counts: where another thread shares the core, the
/// instructions that a product is made of are what there is too little room for.
const UNROLL: usize = 8;
/// How many numbers of the inner dimension the rows of a product go through together: the lines of
/// three panels, 24 KiB, then stay in the nearest cache from one block of rows to the next.
const DEPTH: usize = 128;

/// The number of panels of a matrix with so many columns.
pub(crate) fn panels(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// What is done to some lines of a product as soon as they are there, and still in the nearest
/// cache.
pub(crate) trait Epilogue {
    /// `first` is the place of the first of the `lines`.
    fn apply<S: Simd>(&mut self, simd: S, first: usize, lines: &mut [Line]);
}

impl<F: FnMut(usize, &mut [Line])> Epilogue for F {
    #[inline(always)]
    fn apply<S: Simd>(&mut self, _: S, first: usize, lines: &mut [Line]) {
        self(first, lines);
    }
}

/// `c = a b + bias` for `a` `[rows, inner]`, `b` `[inner, columns]` and `c` `[rows, columns]` in
/// panels, and `bias` `[columns]`; without one, `c = a b`. The panels of `b` may have more rows.
#[inline(always)]
pub(crate) fn multiply(
    [rows, inner]: [usize; 2],
    a: &[Line],
    b: &[Line],
    bias: Option<&[Line]>,
    c: &mut [Line],
    after: impl Epilogue,
) {
    debug_assert!(rows.is_multiple_of(2) && a.len() == panels(inner) * rows);
    debug_assert!(c.len().is_multiple_of(rows));
    debug_assert!(b.len() >= c.len() / rows * inner);
    debug_assert!(bias.is_none_or(|bias| bias.len() == c.len() / rows));
    Arch::new().dispatch(Multiply {
        rows,
        inner,
        a,
        b,
        bias,
        c,
        after,
    });
}

/// `c += sum a' b` over pairs of `a` `[rows, left]` and `b` `[rows, right]`, with `c`
/// `[left, right]`, all in panels; the rows of `c` are filled up to a multiple of [`ROWS`].
pub(crate) fn accumulate(rows: usize, pairs: &[[&[Line]; 2]], c: &mut [Line]) {
    debug_assert!(pairs.iter().all(|[a, b]| {
        let (left, right) = (a.len() / rows * LANES, b.len() / rows);
        c.len().is_multiple_of(right) && c.len() / right <= left
    }));
    Arch::new().dispatch(Accumulate { rows, pairs, c });
}

/// Adds the rows of every panel of `lines`, each times its factor, to that panel's line of `sums`.
pub(crate) fn add_rows(rows: &[f32], lines: &[Line], sums: &mut [Line]) {
    debug_assert_eq!(lines.len(), rows.len() * sums.len());
    Arch::new().dispatch(AddRows { rows, lines, sums });
}

/// Multiplies every element of `lines` by the factor of its row and that of its column.
pub(crate) fn scale(rows: &[f32], columns: &[Line], lines: &mut [Line]) {
    debug_assert_eq!(lines.len(), rows.len() * columns.len());
    Arch::new().dispatch(Scale {
        rows,
        columns,
        lines,
    });
}

/// `a b`, lane by lane.
#[inline(always)]
pub(crate) fn times(a: &Line, b: &Line) -> Line {
    std::array::from_fn(|lane| a[lane] * b[lane])
}

/// `sum + a b`, lane by lane.
#[inline(always)]
pub(crate) fn plus_times(sum: &Line, a: &Line, b: &Line) -> Line {
    std::array::from_fn(|lane| sum[lane] + a[lane] * b[lane])
}

struct Scale<'a> {
    rows: &'a [f32],
    columns: &'a [Line],
    lines: &'a mut [Line],
}

impl Scale<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let panels = self.lines.chunks_exact_mut(self.rows.len());
        for (panel, column) in panels.zip(self.columns) {
            let column: [S::f32s; V] = load(simd, column);
            for (line, row) in panel.iter_mut().zip(self.rows) {
                let row = simd.splat_f32s(*row);
                let mut values: [S::f32s; V] = load(simd, line);
                for v in 0..V {
                    values[v] = simd.mul_f32s(values[v], simd.mul_f32s(row, column[v]));
                }
                store(simd, line, values);
            }
        }
    }
}

kernels!(Scale, AddRows; 1; 2; 4; 16);

struct AddRows<'a> {
    rows: &'a [f32],
    lines: &'a [Line],
    sums: &'a mut [Line],
}

impl AddRows<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let panels = self.lines.chunks_exact(self.rows.len());
        for (sum, panel) in self.sums.iter_mut().zip(panels) {
            let mut total: [S::f32s; V] = load(simd, sum);
            for (line, row) in panel.iter().zip(self.rows) {
                let row = simd.splat_f32s(*row);
                let line: [S::f32s; V] = load(simd, line);
                for v in 0..V {
                    total[v] = simd.mul_add_e_f32s(row, line[v], total[v]);
                }
            }
            store(simd, sum, total);
        }
    }
}

/// See [`multiply`].
pub(crate) struct Multiply<'a, F> {
    pub rows: usize,
    pub inner: usize,
    pub a: &'a [Line],
    pub b: &'a [Line],
    pub bias: Option<&'a [Line]>,
    pub c: &'a mut [Line],
    pub after: F,
}

/// See [`accumulate`].
pub(crate) struct Accumulate<'a> {
    pub rows: usize,
    pub pairs: &'a [[&'a [Line]; 2]],
    pub c: &'a mut [Line],
}

/// A block of `M` rows and `N` panels of the result, held in registers; a line is `V` of them.
///
/// Every number that is loaded takes part in as many multiply-and-adds as the block allows: a line
/// of the right factor in `M`, a number of the left one in `N`. So blocks are as large as the
/// registers hold: of 32 registers of 16 lanes, 8 x 3 sums leave room for three lines and a number;
/// of 16 registers of 8 lanes, 6 rows of two vectors leave room for one line and a number.
pub(crate) type Block<T, const V: usize, const M: usize, const N: usize> = [[[T; V]; N]; M];

/// Adds the outer product of `M` numbers and `N` lines.
#[inline(always)]
pub(crate) fn update<S: Simd, const V: usize, const M: usize, const N: usize>(
    simd: S,
    sum: &mut Block<S::f32s, V, M, N>,
    left: [f32; M],
    right: [&Line; N],
) {
    let right: [[S::f32s; V]; N] = std::array::from_fn(|j| load(simd, right[j]));
    for i in 0..M {
        let left = simd.splat_f32s(left[i]);
        for j in 0..N {
            for v in 0..V {
                sum[i][j][v] = simd.mul_add_e_f32s(left, right[j][v], sum[i][j][v]);
            }
        }
    }
}

impl<F: Epilogue> Multiply<'_, F> {
    /// What the numbers of `depth` add to a block; the first starts from the bias, and the last is
    /// followed by `after`.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        panel: usize,
        row: usize,
        depth: Range<usize>,
    ) {
        let first: [usize; N] = std::array::from_fn(|j| (panel + j) * self.rows + row);
        let mut sum: Block<S::f32s, V, M, N> = std::array::from_fn(|i| {
            std::array::from_fn(|j| match self.bias {
                _ if depth.start > 0 => load(simd, &self.c[first[j] + i]),
                Some(bias) => load(simd, &bias[panel + j]),
                None => [simd.splat_f32s(0.0); V],
            })
        });
        let height = self.b.len() / (self.c.len() / self.rows);
        let b: [&[Line]; N] =
            std::array::from_fn(|j| &self.b[(panel + j) * height..][depth.clone()]);
        let mut k = 0;
        let a = &self.a[depth.start / LANES * self.rows..];
        for a in a.chunks_exact(self.rows) {
            let lanes = LANES.min(depth.len() - k);
            if lanes == 0 {
                break;
            }
            let a: &[Line; M] = a[row..].first_chunk().expect("a block divides the rows");
            let b: [&[Line]; N] = std::array::from_fn(|j| &b[j][k..][..lanes]);
            let mut lane = 0;
            while lane + UNROLL <= lanes {
                let b: [&[Line; UNROLL]; N] = std::array::from_fn(|j| {
                    b[j][lane..].first_chunk().expect("as many lanes are left")
                });
                for more in 0..UNROLL {
                    let left = std::array::from_fn(|i| a[i][(lane + more) % LANES]);
                    let right = std::array::from_fn(|j| &b[j][more]);
                    update::<S, V, M, N>(simd, &mut sum, left, right);
                }
                lane += UNROLL;
            }
            for lane in lane..lanes {
                let left = std::array::from_fn(|i| a[i][lane % LANES]);
                let right = std::array::from_fn(|j| &b[j][lane]);
                update::<S, V, M, N>(simd, &mut sum, left, right);
            }
            k += lanes;
        }
        // Nothing but stores in this loop: with more in it the compiler would keep it, and because
        // of its index the sums would go to the stack at every step of the product.
        for j in 0..N {
            for i in 0..M {
                store(simd, &mut self.c[first[j] + i], sum[i][j]);
            }
        }
        if depth.end == self.inner {
            for first in first {
                self.after.apply(simd, first, &mut self.c[first..first + M]);
            }
        }
    }

    #[inline(always)]
    fn panels<S: Simd, const V: usize, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        panel: usize,
    ) {
        let whole = self.rows - self.rows % M;
        for start in (0..self.inner).step_by(DEPTH) {
            let depth = start..(start + DEPTH).min(self.inner);
            for row in (0..whole).step_by(M) {
                self.block::<S, V, M, N>(simd, panel, row, depth.clone());
            }
            for row in (whole..self.rows).step_by(2) {
                self.block::<S, V, 2, N>(simd, panel, row, depth.clone());
            }
        }
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize, const M: usize, const N: usize>(mut self, simd: S) {
        let panels = self.c.len() / self.rows;
        let groups = panels - panels % N;
        for panel in (0..groups).step_by(N) {
            self.panels::<S, V, M, N>(simd, panel);
        }
        for panel in groups..panels {
            self.panels::<S, V, M, 1>(simd, panel);
        }
    }
}

impl<F: Epilogue> WithSimd for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_lanes!(self, simd; 1, ROWS, GROUP; 2, 6, 1; 4, 4, 1; 16, 1, 1)
    }
}

impl Accumulate<'_> {
    #[inline(always)]
    fn block<S: Simd, const V: usize, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        height: usize,
        panel: usize,
        row: usize,
    ) {
        let c: [usize; N] = std::array::from_fn(|j| (panel + j) * height + row);
        let mut sum: Block<S::f32s, V, M, N> =
            std::array::from_fn(|i| std::array::from_fn(|j| load(simd, &self.c[c[j] + i])));
        let first = row % LANES;
        for [a, b] in self.pairs {
            let a = &a[row / LANES * self.rows..][..self.rows];
            let b: [&[Line]; N] =
                std::array::from_fn(|j| &b[(panel + j) * self.rows..][..self.rows]);
            for (k, a) in a.iter().enumerate() {
                let left = *a[first..].first_chunk().expect("a block lies in a line");
                let right = std::array::from_fn(|j| &b[j][k]);
                update::<S, V, M, N>(simd, &mut sum, left, right);
            }
        }
        for j in 0..N {
            let c = &mut self.c[c[j]..][..M];
            for (line, sum) in c.iter_mut().zip(&sum) {
                store(simd, line, sum[j]);
            }
        }
    }

    /// A line of the left factors, which stays in the nearest cache, with some panels of the right.
    #[inline(always)]
    fn line<S: Simd, const V: usize, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        height: usize,
        panel: usize,
        first: usize,
    ) {
        let rows = LANES.min(height - first);
        // Blocks of four, which every machine's registers hold, fill up what blocks of M leave.
        let mut whole = rows - rows % M;
        while !(rows - whole).is_multiple_of(4) {
            whole -= M;
        }
        for row in (0..whole).step_by(M) {
            self.block::<S, V, M, N>(simd, height, panel, first + row);
        }
        for row in (whole..rows).step_by(4) {
            self.block::<S, V, 4, N>(simd, height, panel, first + row);
        }
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize, const M: usize, const N: usize>(mut self, simd: S) {
        let panels = self.pairs[0][1].len() / self.rows;
        let height = self.c.len() / panels;
        let groups = panels - panels % N;
        for first in (0..height).step_by(LANES) {
            for panel in (0..groups).step_by(N) {
                self.line::<S, V, M, N>(simd, height, panel, first);
            }
            for panel in groups..panels {
                self.line::<S, V, M, 1>(simd, height, panel, first);
            }
        }
    }
}

kernels!(Accumulate; 1, ROWS, GROUP; 2, 6, 1; 4, 4, 1; 16, 1, 1);

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    type Matrix = Vec<Vec<f64>>;

    fn matrix(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Matrix {
        (0..rows)
            .map(|_| {
                (0..columns)
                    .map(|_| f64::from(rng.random::<f32>() - 0.5))
                    .collect()
            })
            .collect()
    }

    fn transposed(matrix: &Matrix) -> Matrix {
        (0..matrix[0].len())
            .map(|j| matrix.iter().map(|row| row[j]).collect())
            .collect()
    }

    fn packed(matrix: &Matrix) -> Vec<Line> {
        let mut lines = vec![[0.0; LANES]; panels(matrix[0].len()) * matrix.len()];
        for (i, row) in matrix.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                lines[j / LANES * matrix.len() + i][j % LANES] = *value as f32;
            }
        }
        lines
    }

    fn assert_product(lines: &[Line], rows: usize, a: &Matrix, b: &Matrix, start: f64) {
        for (i, row) in a.iter().enumerate() {
            for j in 0..b[0].len() {
                let expected = start + row.iter().zip(b).map(|(a, b)| a * b[j]).sum::<f64>();
                let got = f64::from(lines[j / LANES * rows + i][j % LANES]);
                assert!(
                    (got - expected).abs() < 1e-5,
                    "({i}, {j}): {got}, not {expected}"
                );
            }
        }
    }

    fn check<S: Simd>(simd: S) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for [rows, inner, columns] in [[8, 1, 1], [16, 17, 33], [40, 64, 50], [128, 3, 112]] {
            let (a, b) = (
                matrix(rows, inner, &mut rng),
                matrix(inner, columns, &mut rng),
            );
            let bias = vec![[0.25; LANES]; panels(columns)];
            let mut c = vec![[f32::NAN; LANES]; panels(columns) * rows];
            let mut seen = 0;
            simd.vectorize(Multiply {
                rows,
                inner,
                a: &packed(&a),
                b: &packed(&b),
                bias: Some(&bias),
                c: &mut c,
                after: |_, lines: &mut [Line]| seen += lines.len(),
            });
            assert_product(&c, rows, &a, &b, 0.25);
            assert_eq!(seen, c.len());

            let height = inner.next_multiple_of(ROWS);
            let d = matrix(rows, columns, &mut rng);
            let (a_lines, d_lines) = (packed(&a), packed(&d));
            let pair = [a_lines.as_slice(), d_lines.as_slice()];
            let mut c = vec![[0.5; LANES]; panels(columns) * height];
            simd.vectorize(Accumulate {
                rows,
                pairs: &[pair, pair],
                c: &mut c,
            });
            let twice: Matrix = d
                .iter()
                .map(|row| row.iter().map(|d| 2.0 * d).collect())
                .collect();
            assert_product(&c, height, &transposed(&a), &twice, 0.5);

            let factors: Vec<f32> = (0..rows).map(|i| i as f32 / rows as f32).collect();
            let mut sums = vec![[0.5; LANES]; panels(columns)];
            simd.vectorize(AddRows {
                rows: &factors,
                lines: &d_lines,
                sums: &mut sums,
            });
            let row = factors.iter().map(|f| f64::from(*f)).collect();
            assert_product(&sums, 1, &vec![row], &d, 0.5);

            let mut scaled = d_lines.clone();
            simd.vectorize(Scale {
                rows: &factors,
                columns: &sums,
                lines: &mut scaled,
            });
            for (i, (got, from)) in scaled.iter().zip(&d_lines).enumerate() {
                for lane in 0..LANES {
                    let factor = factors[i % rows] * sums[i / rows][lane];
                    assert_eq!(got[lane], from[lane] * factor);
                }
            }
        }
    }

    #[test]
    fn products_are_right_on_every_instruction_set_of_this_machine() {
        crate::simd::on_every_instruction_set!(check);
    }
}

//! Products of numbers in bf16 with sums in f32.
//!
//! bf16 is the upper half of an f32: its range, with eight bits of significand. Processors with
//! instructions for it multiply two to eight times as many numbers a second, because a register
//! holds twice as many and a product needs an eighth of the gates. Sums stay in f32, so the error
//! of a product is that of rounding its factors, 2^-9 of each (docs/design.md).
//!
//! Those instructions multiply pairs of numbers of the inner dimension and add both products. Which
//! two make a pair is free as long as both factors agree. Those of panels lie [`LANES`] apart, so
//! that two lines of f32 make one line of pairs without moving a number to another lane: a left
//! factor is made by [`left`] or [`turned`], a right one by [`right`]. Those of images lie side by
//! side ([`side_by_side`]), so that any slice of them is a row of a left factor. Zeros fill the
//! inner dimension up to a multiple of [`DEPTH`]. Results are panels of lines in f32, as for the
//! products beside this module.

pub(crate) mod unit;
#[cfg(target_arch = "x86_64")]
mod x86;

use pulp::{Arch, Simd, WithSimd};

use super::{Aligned, Epilogue, LANES, Line};
use unit::Product;
pub(crate) use unit::{Left, Unit};

/// Lines of pairs. The first of a pair is in the lower half.
pub(crate) type Pairs = Aligned<Pair>;
pub(crate) type Pair = [u32; LANES];

/// The numbers along the inner dimension that a line of a left factor holds, and that one
/// instruction for tiles goes through: a step.
pub(crate) const DEPTH: usize = 2 * LANES;

/// Whether this machine multiplies pairs faster than f32.
pub(crate) fn is_fast() -> bool {
    Unit::here().is_fast()
}

/// The lines of pairs of a right factor in each panel.
pub(crate) fn height(rows: usize) -> usize {
    rows.div_ceil(DEPTH) * LANES
}

/// A matrix `[rows, columns]` in panels as a left factor: `[step][row]`.
pub(crate) fn left(rows: usize, lines: &[Line], out: &mut Pairs) {
    out.resize((lines.len() / rows).div_ceil(2) * rows, [0; LANES]);
    Arch::new().dispatch(FromPanels { rows, lines, out });
}

/// Which two of the [`DEPTH`] numbers of a step make its pair `i`.
type Pairing = fn(usize) -> [usize; 2];

const APART: Pairing = |i| [i, LANES + i];
const SIDE_BY_SIDE: Pairing = |i| [2 * i, 2 * i + 1];

/// A matrix `[rows, columns]` in panels as a right factor, whose inner dimension are the rows:
/// `[panel][step][lane]`. Every panel of `out` may be longer, and is written from the line `first`
/// on.
pub(crate) fn right(rows: usize, lines: &[Line], out: &mut [Pair], first: usize) {
    debug_assert!(out.len() >= lines.len() / rows * (first + height(rows)));
    Arch::new().dispatch(Right {
        rows,
        lines,
        out,
        first,
        pairing: APART,
    });
}

/// The same for a left factor whose pairs lie side by side.
pub(crate) fn right_of_side_by_side(rows: usize, lines: &[Line], out: &mut [Pair]) {
    debug_assert!(out.len() == lines.len() / rows * height(rows));
    Arch::new().dispatch(Right {
        rows,
        lines,
        out,
        first: 0,
        pairing: SIDE_BY_SIDE,
    });
}

/// Numbers in bf16, in their order.
pub(crate) fn side_by_side(numbers: &[f32], out: &mut [u16]) {
    Arch::new().dispatch(|| {
        for (out, number) in out.iter_mut().zip(numbers) {
            let bits = number.to_bits();
            *out = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
        }
    });
}

/// The transpose of a matrix `[rows, columns]` in panels as a left factor; the rows are a multiple
/// of [`DEPTH`].
pub(crate) fn turned(rows: usize, lines: &[Line], out: &mut [Pair]) {
    debug_assert!(rows.is_multiple_of(DEPTH) && out.len() == lines.len() / 2);
    let unit = Unit::here();
    Arch::new().dispatch(Turned {
        unit,
        rows,
        lines,
        out,
    });
}

/// Two lines, rounded to nearest and ties to even, as pairs. What is not a number stays none.
#[inline(always)]
pub(crate) fn pair<S: Simd>(simd: S, first: &Line, second: &Line) -> Pair {
    let number = |bits| simd.splat_u32s(bits);
    let sixteen = number(16);
    let round = |x| {
        let bits = simd.transmute_u32s_f32s(x);
        let odd = simd.and_u32s(simd.wrapping_dyn_shr_u32s(bits, sixteen), number(1));
        simd.add_u32s(bits, simd.add_u32s(odd, number(0x7fff)))
    };
    let mut pair = [0; LANES];
    let (first, second) = (S::as_simd_f32s(first).0, S::as_simd_f32s(second).0);
    let (out, _) = S::as_mut_simd_u32s(&mut pair);
    for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
        let first = simd.wrapping_dyn_shr_u32s(round(*first), sixteen);
        let second = simd.and_u32s(round(*second), number(0xffff_0000));
        *out = simd.or_u32s(first, second);
    }
    pair
}

struct FromPanels<'a> {
    rows: usize,
    lines: &'a [Line],
    out: &'a mut [Pair],
}

impl WithSimd for FromPanels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zeros = [[0.0; LANES]];
        let steps = self.out.chunks_exact_mut(self.rows);
        for (out, lines) in steps.zip(self.lines.chunks(2 * self.rows)) {
            let (first, second) = lines.split_at(self.rows);
            let second = match second {
                [] => zeros.iter().cycle(),
                second => second.iter().cycle(),
            };
            for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
                *out = pair(simd, first, second);
            }
        }
    }
}

struct Right<'a> {
    rows: usize,
    lines: &'a [Line],
    out: &'a mut [Pair],
    first: usize,
    pairing: Pairing,
}

impl WithSimd for Right<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = self.lines.chunks_exact(self.rows);
        let height = self.out.len() / panels.len();
        for (out, lines) in self.out.chunks_exact_mut(height).zip(panels) {
            let steps = out[self.first..].chunks_exact_mut(LANES);
            for (out, lines) in steps.zip(lines.chunks(DEPTH)) {
                for (i, out) in out.iter_mut().enumerate() {
                    let line = |i: usize| lines.get(i).unwrap_or(&[0.0; LANES]);
                    let [first, second] = (self.pairing)(i).map(line);
                    *out = pair(simd, first, second);
                }
            }
        }
    }
}

struct Turned<'a> {
    unit: Unit,
    rows: usize,
    lines: &'a [Line],
    out: &'a mut [Pair],
}

impl WithSimd for Turned<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let columns = self.lines.len() / self.rows * LANES;
        for (panel, lines) in self.lines.chunks_exact(self.rows).enumerate() {
            let (steps, _) = lines.as_chunks::<DEPTH>();
            for (step, lines) in steps.iter().enumerate() {
                let mut block = [[0; LANES]; LANES];
                for (i, block) in block.iter_mut().enumerate() {
                    *block = pair(simd, &lines[i], &lines[LANES + i]);
                }
                let out = &mut self.out[step * columns + panel * LANES..][..LANES];
                self.unit
                    .transpose(&block, out.first_chunk_mut().expect("a line for each lane"));
            }
        }
    }
}

/// The numbers of pairs.
pub(crate) fn numbers(pairs: &[Pair]) -> &[u16] {
    pulp::bytemuck::cast_slice(pairs)
}

/// Where the steps of a factor begin that [`left`] or [`turned`] made.
pub(crate) fn steps(rows: usize, pairs: &[Pair]) -> Vec<usize> {
    let each = 0..pairs.len() / rows;
    each.map(|step| step * rows * DEPTH).collect()
}

/// `c = a b + bias` for a [`left`] factor `a` `[rows, inner]` and a [`right`] one `b` `[inner,
/// columns]`, `c` in panels; the rows are a multiple of [`LANES`].
#[inline(always)]
pub(crate) fn multiply(
    rows: usize,
    a: &[Pair],
    b: &[Pair],
    bias: Option<&[Line]>,
    c: &mut [Line],
    after: impl Epilogue,
) {
    let steps = steps(rows, a);
    let a = Left::of(a, &steps);
    multiply_rows(rows, a, b, bias, c, after);
}

/// The same for rows anywhere.
#[inline(always)]
pub(crate) fn multiply_rows(
    rows: usize,
    a: Left,
    b: &[Pair],
    bias: Option<&[Line]>,
    c: &mut [Line],
    after: impl Epilogue,
) {
    let height = rows;
    Arch::new().dispatch(Multiply {
        unit: Unit::here(),
        product: Product {
            rows,
            a,
            b,
            c,
            height,
        },
        bias,
        after,
    });
}

/// `c += a b`, as [`multiply`].
pub(crate) fn accumulate(rows: usize, a: &[Pair], b: &[Pair], c: &mut [Line]) {
    let steps = steps(rows, a);
    let a = Left::of(a, &steps);
    accumulate_rows(rows, a, b, c, rows);
}

/// The same for rows anywhere, and a part of every `height` lines of `c`.
pub(crate) fn accumulate_rows(rows: usize, a: Left, b: &[Pair], c: &mut [Line], height: usize) {
    Arch::new().dispatch(Accumulate {
        unit: Unit::here(),
        product: Product {
            rows,
            a,
            b,
            c,
            height,
        },
    });
}

/// See [`multiply`].
pub(crate) struct Multiply<'a, F> {
    pub unit: Unit,
    pub product: Product<'a>,
    pub bias: Option<&'a [Line]>,
    pub after: F,
}

impl<F: Epilogue> WithSimd for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            unit,
            mut product,
            bias,
            mut after,
        } = self;
        let _ready = unit.ready();
        for tiles in product.tiles() {
            for panel in tiles.panels() {
                let bias = bias.map_or([0.0; LANES], |bias| bias[panel]);
                product.c[tiles.lines(panel)].fill(bias);
            }
            unit.add(simd, &mut product, tiles);
            for panel in tiles.panels() {
                let lines = tiles.lines(panel);
                after.apply(simd, lines.start, &mut product.c[lines]);
            }
        }
    }
}

/// See [`accumulate`].
pub(crate) struct Accumulate<'a> {
    pub unit: Unit,
    pub product: Product<'a>,
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let _ready = self.unit.ready();
        for tiles in self.product.tiles() {
            self.unit.add(simd, &mut self.product, tiles);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::simd::panels;

    type Matrix = Vec<Vec<f64>>;

    fn matrix(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Matrix {
        let mut number = || f64::from(4.0 * rng.random::<f32>() - 2.0);
        (0..rows)
            .map(|_| (0..columns).map(|_| number()).collect())
            .collect()
    }

    fn lines(matrix: &Matrix) -> Vec<Line> {
        let rows = matrix.len();
        let mut lines = vec![[0.0; LANES]; panels(matrix[0].len()) * rows];
        for (i, row) in matrix.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                lines[j / LANES * rows + i][j % LANES] = *value as f32;
            }
        }
        lines
    }

    /// The nearest number of eight bits, ties to even.
    fn rounded(x: f64) -> f64 {
        let unit = (x.abs().log2().floor() - 7.0).exp2();
        unit * (x / unit).round_ties_even()
    }

    fn assert_product(c: &[Line], start: f64, pairs: &[[&Matrix; 2]], is_turned: bool) {
        let [a, b] = pairs[0];
        let (rows, inner) = match is_turned {
            true => (a[0].len(), a.len()),
            false => (a.len(), a[0].len()),
        };
        let height = c.len() / panels(b[0].len());
        for i in 0..rows {
            for j in 0..b[0].len() {
                let mut expected = start;
                let mut size = start.abs();
                for [a, b] in pairs {
                    for k in 0..inner {
                        let a = if is_turned { a[k][i] } else { a[i][k] };
                        let term = rounded(a) * rounded(b[k][j]);
                        expected += term;
                        size += term.abs();
                    }
                }
                let got = f64::from(c[j / LANES * height + i][j % LANES]);
                assert!(
                    (got - expected).abs() < 1e-6 * size,
                    "({i}, {j}): {got}, not {expected}"
                );
            }
        }
    }

    fn check(unit: Unit, simd: impl Simd) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for [rows, inner, columns] in [[16, 1, 1], [32, 33, 20], [48, 70, 48], [128, 128, 96]] {
            let (a, b) = (
                matrix(rows, inner, &mut rng),
                matrix(inner, columns, &mut rng),
            );
            let (mut left_pairs, mut right_pairs) = (
                Pairs::default(),
                Pairs::zeros(panels(columns) * height(inner)),
            );
            left(rows, &lines(&a), &mut left_pairs);
            right(inner, &lines(&b), &mut right_pairs, 0);
            let mut c = vec![[f32::NAN; LANES]; panels(columns) * rows];
            let mut seen = vec![0; c.len()];
            simd.vectorize(Multiply {
                unit,
                product: Product {
                    rows,
                    a: Left::of(&left_pairs, &steps(rows, &left_pairs)),
                    b: &right_pairs,
                    c: &mut c,
                    height: rows,
                },
                bias: Some(&vec![[0.25; LANES]; panels(columns)]),
                after: |first: usize, lines: &mut [Line]| {
                    seen[first..first + lines.len()]
                        .iter_mut()
                        .for_each(|n| *n += 1);
                },
            });
            assert_product(&c, 0.25, &[[&a, &b]], false);
            assert!(seen.iter().all(|n| *n == 1));
        }
        // Sums over rows, of two pairs of factors.
        for [rows, inputs, outputs] in [[32, 5, 20], [64, 48, 17], [128, 96, 64]] {
            let [a, d] = [0; 2].map(|_| matrix(rows, inputs, &mut rng));
            let [b, e] = [0; 2].map(|_| matrix(rows, outputs, &mut rng));
            let step = height(rows);
            let mut left_pairs = Pairs::zeros(2 * panels(inputs) * LANES * rows / DEPTH);
            let half = left_pairs.len() / 2;
            let mut right_pairs = Pairs::zeros(2 * panels(outputs) * step);
            for (i, [a, b]) in [[&a, &b], [&d, &e]].into_iter().enumerate() {
                simd.vectorize(Turned {
                    unit,
                    rows,
                    lines: &lines(a),
                    out: &mut left_pairs[i * half..][..half],
                });
                right(rows, &lines(b), &mut right_pairs, i * step);
            }
            let height = panels(inputs) * LANES;
            let mut c = vec![[0.5; LANES]; panels(outputs) * height];
            simd.vectorize(Accumulate {
                unit,
                product: Product {
                    rows: height,
                    a: Left::of(&left_pairs, &steps(height, &left_pairs)),
                    b: &right_pairs,
                    c: &mut c,
                    height,
                },
            });
            assert_product(&c, 0.5, &[[&a, &b], [&d, &e]], true);
        }
    }

    /// Rows that overlap, steps in any order, and a part of every panel of the result.
    fn check_rows_anywhere(unit: Unit, simd: impl Simd) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let values: Vec<f32> = matrix(1, 400, &mut rng)[0]
            .iter()
            .map(|v| *v as f32)
            .collect();
        let mut numbers = vec![0; values.len()];
        side_by_side(&values, &mut numbers);
        let (rows, stride, steps) = (48, 6, [64, 7, 33]);
        let a: Matrix = (0..rows)
            .map(|row| {
                let each = steps.iter().flat_map(|step| *step..step + DEPTH);
                each.map(|k| f64::from(values[row * stride + k])).collect()
            })
            .collect();
        let b = matrix(steps.len() * DEPTH, 40, &mut rng);
        let mut pairs = Pairs::zeros(panels(40) * height(b.len()));
        right_of_side_by_side(b.len(), &lines(&b), &mut pairs);
        let between = 50;
        let mut c = vec![[0.5; LANES]; panels(40) * between];
        simd.vectorize(Accumulate {
            unit,
            product: Product {
                rows,
                a: Left {
                    numbers: &numbers,
                    stride,
                    steps: &steps,
                },
                b: &pairs,
                c: &mut c,
                height: between,
            },
        });
        assert_product(&c, 0.5, &[[&a, &b]], false);
        assert!(c.chunks(between).all(|c| c[rows..] == [[0.5; LANES]; 2]));
    }

    #[test]
    fn products_are_right_on_every_unit_of_this_machine() {
        for unit in Unit::all() {
            check(unit, pulp::Scalar);
            check_rows_anywhere(unit, pulp::Scalar);
        }
        crate::simd::on_every_instruction_set!(|simd| {
            check(Unit::Widened, simd);
            check_rows_anywhere(Unit::Widened, simd);
        });
    }

    /// Halves round to even, numbers near the largest go over, and what is not a number stays none.
    #[test]
    fn numbers_are_rounded_as_the_standard_says() {
        let given = [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.004, f32::MAX];
        let expected = [1.0, 1.0 + 2.0 / 128.0, -1.0078125, f32::INFINITY];
        let mut line = [f32::NAN; LANES];
        line[..4].copy_from_slice(&given);
        let pairs = pair(pulp::Scalar, &line, &[0.0; LANES]);
        let got = pairs.map(|pair| f32::from_bits(pair << 16));
        let mut ordered = [0; LANES];
        side_by_side(&line, &mut ordered);
        for got in [
            got,
            ordered.map(|bits| f32::from_bits(u32::from(bits) << 16)),
        ] {
            assert_eq!(got[..4], expected);
            assert!(got[4..].iter().all(|x| x.is_nan()));
        }
    }
}

//! The products of convolutions with 3x3 or 1x1 taps.

use pulp::{Arch, Simd};

use super::{
    image::Image,
    rounded::{self, Room},
};
use crate::{
    action::pool::Pool,
    simd::{LANES, Line, Pair, kernels, line, load, store, update},
};

/// About how many pixels of an image are gone through together in sums over pixels: they stay in
/// the nearest cache.
const PIXELS: usize = 112;

/// Rows of `columns` numbers as panels of lines, `[panel][row]`.
pub(super) fn panels(rows: &[f32], columns: usize) -> Vec<Line> {
    let height = rows.len() / columns;
    let mut lines = vec![[0.0; LANES]; columns.div_ceil(LANES) * height];
    for (i, row) in rows.chunks_exact(columns).enumerate() {
        for (panel, part) in row.chunks(LANES).enumerate() {
            lines[panel * height + i][..part.len()].copy_from_slice(part);
        }
    }
    lines
}

/// What [`panels`] was given.
pub(super) fn rows(panels: &[Line], columns: usize) -> Vec<f32> {
    let height = panels.len() / columns.div_ceil(LANES);
    let mut rows = vec![0.0; height * columns];
    for (i, row) in rows.chunks_exact_mut(columns).enumerate() {
        for (panel, part) in row.chunks_mut(LANES).enumerate() {
            part.copy_from_slice(&panels[panel * height + i][..part.len()]);
        }
    }
    rows
}

/// The taps of the adjoint, `[taps, outputs, inputs]` for `[taps, inputs, outputs]`.
pub(super) fn turned(weights: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let mut turned = vec![0.0; weights.len()];
    let taps = turned.chunks_exact_mut(inputs * outputs);
    for (new, old) in taps.zip(weights.rchunks_exact(inputs * outputs)) {
        for (i, old) in old.chunks_exact(outputs).enumerate() {
            for (o, value) in old.iter().enumerate() {
                new[o * inputs + i] = *value;
            }
        }
    }
    turned
}

/// The weights of a product, or those of its adjoint.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// The [panels] of `[taps, channels, outputs]`.
    pub lines: &'a [Line],
    /// In bf16, if products are, with the room that these need.
    pub rounded: Option<(&'a [Pair], &'a Pool<Room>)>,
}

/// What every pixel sees of an image, times the weights of its taps.
pub(super) struct Correlate<'a> {
    /// How many pixels the taps reach to every side, at most the border of the image.
    pub reach: usize,
    pub image: Image,
    pub x: &'a [f32],
    pub weights: Weights<'a>,
    /// What is added to every pixel, in lines.
    pub row: Option<&'a [Line]>,
    /// The shape of `y`, of the same height and width.
    pub to: Image,
    pub y: &'a mut [f32],
    /// Whether the sum is added to `y` or takes its place.
    pub add: bool,
}

impl Correlate<'_> {
    pub fn go(self) {
        let taps = (2 * self.reach + 1).pow(2);
        debug_assert!(self.reach <= self.image.border);
        debug_assert_eq!(self.image.pixels(), self.to.pixels());
        debug_assert!(self.x.len() >= self.image.numbers() && self.y.len() >= self.to.numbers());
        debug_assert_eq!(
            self.weights.lines.len(),
            self.to.channels.div_ceil(LANES) * taps * self.image.channels
        );
        match self.weights.rounded {
            None => Arch::new().dispatch(self),
            Some((pairs, rooms)) => {
                rooms.lend(Room::default, |room| rounded::correlate(self, pairs, room));
            }
        }
    }
}

/// The sum over pixels of what every tap sees of an image times the adjoint.
pub(super) struct Outer<'a> {
    pub reach: usize,
    pub image: Image,
    pub x: &'a [f32],
    /// The shape of the adjoint, of the same height and width.
    pub to: Image,
    pub adjoint: &'a [f32],
    /// Is added to, like the panels of the weights.
    pub sums: &'a mut [Line],
    /// The room that products in bf16 need, if they are.
    pub rounded: Option<&'a Pool<Room>>,
}

impl Outer<'_> {
    pub fn go(self) {
        let taps = (2 * self.reach + 1).pow(2);
        debug_assert!(self.reach <= self.image.border);
        debug_assert_eq!(self.image.pixels(), self.to.pixels());
        debug_assert!(self.x.len() >= self.image.numbers());
        debug_assert!(self.adjoint.len() >= self.to.numbers());
        debug_assert_eq!(
            self.sums.len(),
            self.to.channels.div_ceil(LANES) * taps * self.image.channels
        );
        match self.rounded {
            None => Arch::new().dispatch(self),
            Some(rooms) => rooms.lend(Room::default, |room| rounded::outer(self, room)),
        }
    }
}

/// A block of `M` lines in registers; a line is `V` of them.
type Block<T, const V: usize, const M: usize> = crate::simd::Block<T, V, M, 1>;

impl Correlate<'_> {
    #[inline(always)]
    fn block<S: Simd, const V: usize, const M: usize>(
        &mut self,
        simd: S,
        panel: usize,
        row: usize,
        column: usize,
    ) {
        let (image, taps) = (self.image, 2 * self.reach + 1);
        let span = taps * image.channels;
        let start = match self.row {
            Some(row) => load(simd, &row[panel]),
            None => [simd.splat_f32s(0.0); V],
        };
        let mut sum: Block<S::f32s, V, M> = [[start]; M];
        let corner = image.place(row, column) - self.reach * (image.stride() + image.channels);
        for tap in 0..taps {
            let seen = &self.x[corner + tap * image.stride()..];
            let left: [&[f32]; M] = std::array::from_fn(|i| &seen[i * image.channels..][..span]);
            let right = &self.weights.lines[(panel * taps + tap) * span..][..span];
            for (k, right) in right.iter().enumerate() {
                let left = std::array::from_fn(|i| left[i][k]);
                update::<S, V, M, 1>(simd, &mut sum, left, [right]);
            }
        }
        let first = panel * LANES;
        let lanes = LANES.min(self.to.channels - first);
        let place = self.to.place(row, column) + first;
        for (i, [mut sum]) in sum.into_iter().enumerate() {
            let place = place + i * self.to.channels;
            if self.add {
                let old: [S::f32s; V] = load(simd, line(self.y, place));
                for v in 0..V {
                    sum[v] = simd.add_f32s(sum[v], old[v]);
                }
            }
            if lanes == LANES {
                let line = self.y[place..].first_chunk_mut();
                store(simd, line.expect("buffers end in a line"), sum);
            } else {
                let mut line = [0.0; LANES];
                store(simd, &mut line, sum);
                self.y[place..][..lanes].copy_from_slice(&line[..lanes]);
            }
        }
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize, const M: usize>(mut self, simd: S) {
        // Blocks of about the same size, for a block of one line waits for itself.
        let width = self.image.width;
        let blocks = width.div_ceil(M.min(8));
        for panel in 0..self.to.channels.div_ceil(LANES) {
            for row in 0..self.image.height {
                for block in 0..blocks {
                    let column = block * width / blocks;
                    match (block + 1) * width / blocks - column {
                        1 => self.block::<S, V, 1>(simd, panel, row, column),
                        2 => self.block::<S, V, 2>(simd, panel, row, column),
                        3 => self.block::<S, V, 3>(simd, panel, row, column),
                        4 => self.block::<S, V, 4>(simd, panel, row, column),
                        5 => self.block::<S, V, 5>(simd, panel, row, column),
                        6 => self.block::<S, V, 6>(simd, panel, row, column),
                        7 => self.block::<S, V, 7>(simd, panel, row, column),
                        _ => self.block::<S, V, 8>(simd, panel, row, column),
                    }
                }
            }
        }
    }
}

impl Outer<'_> {
    /// Some rows of pixels for `M` numbers that the taps of one row see.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const M: usize>(
        &mut self,
        simd: S,
        [panel, tap, first]: [usize; 3],
        rows: std::ops::Range<usize>,
    ) {
        let (image, to, taps) = (self.image, self.to, 2 * self.reach + 1);
        let place = (panel * taps + tap) * taps * image.channels + first;
        let sums = &mut self.sums[place..][..M];
        let mut sum: Block<S::f32s, V, M> = std::array::from_fn(|i| [load(simd, &sums[i])]);
        let back = self.reach * (image.stride() + image.channels);
        for row in rows {
            let seen = &self.x[image.place(row, 0) - back + tap * image.stride() + first..];
            let right = &self.adjoint[to.place(row, 0) + panel * LANES..];
            for column in 0..image.width {
                let left: &[f32; M] = seen[column * image.channels..]
                    .first_chunk()
                    .expect("the taps lie within the border");
                let right = line(right, column * to.channels);
                update::<S, V, M, 1>(simd, &mut sum, *left, [right]);
            }
        }
        for (line, [sum]) in sums.iter_mut().zip(sum) {
            store(simd, line, sum);
        }
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize, const M: usize>(mut self, simd: S) {
        let height = self.image.height;
        let taps = 2 * self.reach + 1;
        let span = taps * self.image.channels;
        let step = PIXELS.div_ceil(self.image.width);
        for start in (0..height).step_by(step) {
            let rows = start..(start + step).min(height);
            for panel in 0..self.to.channels.div_ceil(LANES) {
                for tap in 0..taps {
                    let mut first = 0;
                    while first + M <= span {
                        self.block::<S, V, M>(simd, [panel, tap, first], rows.clone());
                        first += M;
                    }
                    while first + 4 <= span {
                        self.block::<S, V, 4>(simd, [panel, tap, first], rows.clone());
                        first += 4;
                    }
                    while first < span {
                        self.block::<S, V, 1>(simd, [panel, tap, first], rows.clone());
                        first += 1;
                    }
                }
            }
        }
    }
}

kernels!(Correlate, Outer; 1, 12; 2, 6; 4, 4; 16, 1);

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::simd::bf16;

    fn filled(image: Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut numbers = image.zeros();
        image.each(|at| {
            let pixel = &mut numbers[at..][..image.channels];
            pixel.fill_with(|| rng.random::<f32>() - 0.5);
        });
        numbers
    }

    /// The nearest number of eight bits, ties to even.
    fn rounded(x: f32) -> f32 {
        if x == 0.0 {
            return x;
        }
        let unit = (x.abs().log2().floor() - 7.0).exp2();
        unit * (x / unit).round_ties_even()
    }

    /// Images of several shapes, with or without a border that the result has not, against sums in
    /// f64 over rounded factors within the image.
    #[test]
    fn convolutions_in_bf16_are_those_of_rounded_numbers() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let rooms = Pool::default();
        for [reach, height, width, inputs, outputs, border] in [
            [1, 4, 4, 16, 16, 1],
            [1, 7, 5, 32, 48, 1],
            [1, 14, 14, 48, 16, 1],
            [0, 5, 9, 16, 32, 0],
            [0, 1, 30, 32, 16, 1],
        ] {
            let shape = |channels, border| Image {
                height,
                width,
                channels,
                border,
            };
            let (from, to) = (shape(inputs, 1), shape(outputs, border));
            let taps = 2 * reach + 1;
            let (x, adjoint) = (filled(from, &mut rng), filled(to, &mut rng));
            let flat: Vec<f32> = (0..taps * taps * inputs * outputs)
                .map(|_| rng.random::<f32>() - 0.5)
                .collect();
            let bias: Vec<f32> = (0..outputs).map(|_| rng.random()).collect();
            let lines = panels(&flat, outputs);
            let span = taps * inputs;
            let mut pairs = vec![[0; LANES]; lines.len() / span * bf16::height(span)];
            bf16::right_of_side_by_side(span, &lines, &mut pairs);
            let mut sums = vec![[0.25; LANES]; lines.len()];
            let mut both = [adjoint.clone(), adjoint.clone()];
            for (y, add) in both.iter_mut().zip([false, true]) {
                Correlate {
                    reach,
                    image: from,
                    x: &x,
                    weights: Weights {
                        lines: &lines,
                        rounded: Some((&pairs, &rooms)),
                    },
                    row: Some(&panels(&bias, outputs)),
                    to,
                    y,
                    add,
                }
                .go();
            }
            Outer {
                reach,
                image: from,
                x: &x,
                to,
                adjoint: &adjoint,
                sums: &mut sums,
                rounded: Some(&rooms),
            }
            .go();
            let mut expected = vec![0.25; flat.len()];
            let mut values = [to.zeros(), to.zeros()];
            for i in 0..height {
                for j in 0..width {
                    for (o, bias) in bias.iter().enumerate() {
                        let place = to.place(i, j) + o;
                        let mut sum = f64::from(*bias);
                        for tap in 0..taps * taps {
                            let (i, j) = (i + tap / taps, j + tap % taps);
                            let within = (reach..height + reach).contains(&i)
                                && (reach..width + reach).contains(&j);
                            for c in (0..inputs).filter(|_| within) {
                                let k = (tap * inputs + c) * outputs + o;
                                let x = rounded(x[from.place(i - reach, j - reach) + c]);
                                sum += f64::from(x * rounded(flat[k]));
                                expected[k] += f64::from(x * rounded(adjoint[place]));
                            }
                        }
                        values[0][place] = sum as f32;
                        values[1][place] = sum as f32 + adjoint[place];
                    }
                }
            }
            // The border stays as it was.
            for (y, expected) in both.iter().zip(&values) {
                for (y, expected) in y.iter().zip(expected) {
                    assert!((y - expected).abs() < 1e-5, "{reach} {inputs} {outputs}");
                }
            }
            for (sum, expected) in rows(&sums, outputs).iter().zip(&expected) {
                assert!(
                    (f64::from(*sum) - expected).abs() < 1e-4,
                    "{inputs} {outputs}"
                );
            }
        }
    }

    /// Against sums in f64 over what lies within the image, with lines that channels fill and do
    /// not.
    fn check(simd: impl Simd) {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for [reach, height, width, inputs, outputs] in [
            [1, 1, 1, 1, 1],
            [1, 3, 7, 2, 3],
            [1, 5, 13, 16, 17],
            [1, 9, 6, 12, 32],
            [0, 4, 5, 20, 16],
            [0, 1, 30, 7, 40],
        ] {
            let image = |channels| Image {
                height,
                width,
                channels,
                border: 1,
            };
            let (from, to) = (image(inputs), image(outputs));
            let taps = 2 * reach + 1;
            let x = filled(from, &mut rng);
            let adjoint = filled(to, &mut rng);
            let flat: Vec<f32> = (0..taps * taps * inputs * outputs)
                .map(|_| rng.random::<f32>() - 0.5)
                .collect();
            let row: Vec<f32> = (0..outputs).map(|_| rng.random()).collect();
            let mut y = adjoint.clone();
            simd.vectorize(Correlate {
                reach,
                image: from,
                x: &x,
                weights: Weights {
                    lines: &panels(&flat, outputs),
                    rounded: None,
                },
                row: Some(&panels(&row, outputs)),
                to,
                y: &mut y,
                add: true,
            });
            let mut sums = vec![[0.0; LANES]; outputs.div_ceil(LANES) * taps * taps * inputs];
            simd.vectorize(Outer {
                reach,
                image: from,
                x: &x,
                to,
                adjoint: &adjoint,
                sums: &mut sums,
                rounded: None,
            });
            let mut expected = vec![0.0; flat.len()];
            for i in 0..height {
                for j in 0..width {
                    for (o, bias) in row.iter().enumerate() {
                        let place = to.place(i, j) + o;
                        let mut sum = f64::from(adjoint[place]) + f64::from(*bias);
                        for tap in 0..taps * taps {
                            let (i, j) = (i + tap / taps, j + tap % taps);
                            let within = (reach..height + reach).contains(&i)
                                && (reach..width + reach).contains(&j);
                            for c in 0..inputs {
                                let k = (tap * inputs + c) * outputs + o;
                                if within {
                                    let x = f64::from(x[from.place(i - reach, j - reach) + c]);
                                    sum += x * f64::from(flat[k]);
                                    expected[k] += x * f64::from(adjoint[place]);
                                }
                            }
                        }
                        assert!(
                            (f64::from(y[place]) - sum).abs() < 1e-5,
                            "{inputs} {outputs}"
                        );
                    }
                }
            }
            for (a, b) in rows(&sums, outputs).iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 1e-5, "{inputs} {outputs}");
            }
        }
    }

    #[test]
    fn convolutions_are_right_on_every_instruction_set_of_this_machine() {
        crate::simd::on_every_instruction_set!(check);
    }
}

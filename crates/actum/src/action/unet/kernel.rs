//! The products of a 3x3 convolution on the CPU, in f32.
//!
//! Around every image lies a border of zeros. Then what a row of three taps sees of a pixel is one
//! slice of `3 c` numbers, and a convolution is a product whose left factor need not be copied.
//! Images are independent of each other, and sums over them are taken in an order that does not
//! depend on the number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::action::fused::product::{LANES, Line, load, store};

/// About how many pixels of an image are gone through together in sums over pixels: they stay in
/// the nearest cache.
const PIXELS: usize = 112;
/// How many sums over images are kept apart, which bounds the threads that can help.
const SUMS: usize = 16;

/// The shape of images `[count, height, width, channels]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images {
    pub count: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Images {
    fn pixels(self) -> usize {
        self.height * self.width
    }

    /// The numbers of a row of an image with its border.
    fn stride(self) -> usize {
        (self.width + 2) * self.channels
    }

    fn bordered(self) -> Vec<f32> {
        vec![0.0; (self.height + 2) * self.stride()]
    }

    /// Writes an image within its border.
    fn fill(self, bordered: &mut [f32], image: &[f32]) {
        let inner = self.width * self.channels;
        let rows = bordered.chunks_exact_mut(self.stride()).skip(1);
        for (row, from) in rows.zip(image.chunks_exact(inner)) {
            row[self.channels..][..inner].copy_from_slice(from);
        }
    }
}

/// Rows of `columns` numbers as panels of lines, `[panel][row]`.
fn panels(rows: &[f32], columns: usize) -> Vec<Line> {
    let height = rows.len() / columns;
    let mut lines = vec![[0.0; LANES]; columns.div_ceil(LANES) * height];
    for (i, row) in rows.chunks_exact(columns).enumerate() {
        for (panel, part) in row.chunks(LANES).enumerate() {
            lines[panel * height + i][..part.len()].copy_from_slice(part);
        }
    }
    lines
}

/// `[n, h, w, outputs]` for `x` `[n, h, w, c]` and `weights` `[3, 3, c, outputs]`.
pub(super) fn correlate(shape: Images, x: &[f32], weights: &[f32], outputs: usize) -> Vec<f32> {
    let weights = panels(weights, outputs);
    let mut out = vec![0.0; shape.count * shape.pixels() * outputs];
    let images = x.par_chunks_exact(shape.pixels() * shape.channels);
    out.par_chunks_exact_mut(shape.pixels() * outputs)
        .zip(images)
        .with_min_len((1usize << 20).div_ceil(9 * shape.pixels() * shape.channels * outputs))
        .for_each_init(
            || shape.bordered(),
            |bordered, (out, image)| {
                shape.fill(bordered, image);
                Arch::new().dispatch(Correlate {
                    shape,
                    image: bordered,
                    weights: &weights,
                    outputs,
                    out,
                });
            },
        );
    out
}

/// `[3, 3, c, outputs]`: the sum over images and pixels of what every tap sees of `x`
/// `[n, h, w, c]` times `pulled` `[n, h, w, outputs]`.
pub(super) fn outer(shape: Images, x: &[f32], pulled: &[f32], outputs: usize) -> Vec<f32> {
    let height = 9 * shape.channels;
    let share = shape.count.div_ceil(SUMS);
    let inputs = x.par_chunks(share * shape.pixels() * shape.channels);
    let partial: Vec<Vec<Line>> = inputs
        .zip(pulled.par_chunks(share * shape.pixels() * outputs))
        .map(|(x, pulled)| {
            let mut sums = vec![[0.0; LANES]; outputs.div_ceil(LANES) * height];
            let mut bordered = shape.bordered();
            let images = x.chunks_exact(shape.pixels() * shape.channels);
            for (image, pulled) in images.zip(pulled.chunks_exact(shape.pixels() * outputs)) {
                shape.fill(&mut bordered, image);
                Arch::new().dispatch(Outer {
                    shape,
                    image: &bordered,
                    pulled: &panels(pulled, outputs),
                    sums: &mut sums,
                });
            }
            sums
        })
        .collect();
    let mut out = vec![0.0; height * outputs];
    for sums in partial {
        for (i, row) in out.chunks_exact_mut(outputs).enumerate() {
            for (panel, part) in row.chunks_mut(LANES).enumerate() {
                let line = &sums[panel * height + i];
                part.iter_mut()
                    .zip(line)
                    .for_each(|(sum, more)| *sum += more);
            }
        }
    }
    out
}

struct Correlate<'a> {
    shape: Images,
    image: &'a [f32],
    weights: &'a [Line],
    outputs: usize,
    out: &'a mut [f32],
}

struct Outer<'a> {
    shape: Images,
    image: &'a [f32],
    pulled: &'a [Line],
    sums: &'a mut [Line],
}

/// A block of `M` lines in registers; a line is `V` of them.
type Block<T, const V: usize, const M: usize> = [[T; V]; M];

#[inline(always)]
fn update<S: Simd, const V: usize, const M: usize>(
    simd: S,
    sum: &mut Block<S::f32s, V, M>,
    left: [f32; M],
    right: &Line,
) {
    let right: [S::f32s; V] = load(simd, right);
    for i in 0..M {
        let left = simd.splat_f32s(left[i]);
        for v in 0..V {
            sum[i][v] = simd.mul_add_e_f32s(left, right[v], sum[i][v]);
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn block<S: Simd, const V: usize, const M: usize>(
        &mut self,
        simd: S,
        panel: usize,
        row: usize,
        column: usize,
    ) {
        let (stride, channels) = (self.shape.stride(), self.shape.channels);
        let span = 3 * channels;
        let mut sum: Block<S::f32s, V, M> = [[simd.splat_f32s(0.0); V]; M];
        for tap in 0..3 {
            let start = (row + tap) * stride + column * channels;
            let left: [&[f32]; M] =
                std::array::from_fn(|i| &self.image[start + i * channels..][..span]);
            let right = &self.weights[(panel * 3 + tap) * span..][..span];
            for (k, right) in right.iter().enumerate() {
                let left = std::array::from_fn(|i| left[i][k]);
                update::<S, V, M>(simd, &mut sum, left, right);
            }
        }
        let first = panel * LANES;
        let lanes = LANES.min(self.outputs - first);
        let pixels = self.out[(row * self.shape.width + column) * self.outputs..]
            .chunks_exact_mut(self.outputs);
        for (sum, pixel) in sum.into_iter().zip(pixels) {
            let mut line = [0.0; LANES];
            store(simd, &mut line, sum);
            pixel[first..][..lanes].copy_from_slice(&line[..lanes]);
        }
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize, const M: usize>(mut self, simd: S) {
        // Blocks of about the same size, for a block of one line waits for itself.
        let width = self.shape.width;
        let blocks = width.div_ceil(M.min(8));
        for panel in 0..self.outputs.div_ceil(LANES) {
            for row in 0..self.shape.height {
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
        let Images {
            width, channels, ..
        } = self.shape;
        let stride = self.shape.stride();
        let place = (panel * 3 + tap) * 3 * channels + first;
        let sums = &mut self.sums[place..][..M];
        let mut sum: Block<S::f32s, V, M> = std::array::from_fn(|i| load(simd, &sums[i]));
        for row in rows {
            let left = &self.image[(row + tap) * stride + first..];
            let right = &self.pulled[panel * self.shape.pixels() + row * width..][..width];
            for (column, right) in right.iter().enumerate() {
                let left: &[f32; M] = left[column * channels..]
                    .first_chunk()
                    .expect("the taps lie within the border");
                update::<S, V, M>(simd, &mut sum, *left, right);
            }
        }
        for (line, sum) in sums.iter_mut().zip(sum) {
            store(simd, line, sum);
        }
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize, const M: usize>(mut self, simd: S) {
        let Images {
            height,
            width,
            channels,
            ..
        } = self.shape;
        let span = 3 * channels;
        let step = PIXELS.div_ceil(width);
        for start in (0..height).step_by(step) {
            let rows = start..(start + step).min(height);
            for panel in 0..self.pulled.len() / self.shape.pixels() {
                for tap in 0..3 {
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

/// Runs a kernel with the vectors in a line and the lines in a block that the registers of this
/// machine hold.
macro_rules! run {
    ($($kernel:ident),*) => {$(
        impl WithSimd for $kernel<'_> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                match S::F32_LANES {
                    16 => self.run::<S, 1, 12>(simd),
                    8 => self.run::<S, 2, 6>(simd),
                    4 => self.run::<S, 4, 4>(simd),
                    _ => self.run::<S, 16, 1>(simd),
                }
            }
        }
    )*};
}

run!(Correlate, Outer);

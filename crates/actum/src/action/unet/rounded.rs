//! The products of convolutions in bf16.
//!
//! The rows of an image with its border are one long row of pixels, and what a tap sees of all
//! pixels is that row from another pixel on. So the image is rounded once, every tap reads it where
//! it lies, and blocks of a product do not end where rows of pixels do. What is computed for the
//! pixels of the border in between is not kept.

use pulp::{Arch, Simd, WithSimd};

use super::{
    image::Image,
    product::{Correlate, Outer},
};
use crate::simd::{
    Epilogue, LANES, Line, Lines, Pair, Pairs,
    bf16::{self, DEPTH, Left, Unit},
    line,
};

/// Memory for the factors of a product.
#[derive(Default)]
pub(super) struct Room {
    numbers: Vec<u16>,
    steps: Vec<usize>,
    planes: Pairs,
    adjoint: Pairs,
    lines: Lines,
}

/// Whether a product of these images is worth rounding: it fills lines, and has as many pixels.
pub(super) fn fits(images: [Image; 2]) -> bool {
    images
        .iter()
        .all(|image| image.channels.is_multiple_of(LANES) && image.pixels() >= LANES)
}

/// An image as one row of pixels.
#[derive(Clone, Copy)]
struct Row {
    image: Image,
    /// The pixels from a row of the image to the next.
    width: usize,
}

impl Row {
    fn of(image: Image) -> Self {
        let width = image.width + 2 * image.border;
        Self { image, width }
    }

    /// The pixels, border and all.
    fn all(self) -> usize {
        self.width * (self.image.height + 2 * self.image.border)
    }

    /// Those from the first within the border to the last.
    fn within(self) -> usize {
        self.width * (self.image.height - 1) + self.image.width
    }

    /// What the tap `[row, column]` sees of the first pixel within the border.
    fn seen_by(self, reach: usize, [row, column]: [usize; 2]) -> usize {
        (self.image.border + row - reach) * self.width + self.image.border + column - reach
    }

    /// The rows and columns of the pixels from one on, those of the border among them.
    #[inline(always)]
    fn places(self, from: usize) -> impl Iterator<Item = Option<[usize; 2]>> {
        let [mut row, mut column] = [from / self.width, from % self.width];
        std::iter::repeat_with(move || {
            let place = [row, column];
            column += 1;
            if column == self.width {
                [row, column] = [row + 1, 0];
            }
            (place[0] < self.image.height && place[1] < self.image.width).then_some(place)
        })
    }
}

/// [`Correlate`] with weights `[panel][row of taps][pair]`.
pub(super) fn correlate(product: Correlate, weights: &[Pair], room: &mut Room) {
    let Correlate {
        reach,
        image,
        x,
        row: bias,
        to,
        y,
        add,
        ..
    } = product;
    let row = Row::of(image);
    let (taps, channels) = (2 * reach + 1, image.channels);
    let rows = row.within().next_multiple_of(LANES);
    room.steps.clear();
    for tap in 0..taps {
        let first = row.seen_by(reach, [tap, 0]) * channels;
        let steps = (0..taps * channels).step_by(DEPTH);
        room.steps.extend(steps.map(|step| first + step));
    }
    let all = row.all() * channels;
    let last = room.steps[room.steps.len() - 1];
    // The weights of what a step reads beyond the taps are 0.
    let read = last + (rows - 1) * channels + DEPTH;
    room.numbers.resize(all.max(read), 0);
    bf16::side_by_side(&x[..all], &mut room.numbers);
    room.numbers[all..].fill(0);
    room.lines.resize(to.channels / LANES * rows, [0.0; LANES]);
    let left = Left {
        numbers: &room.numbers,
        stride: channels,
        steps: &room.steps,
    };
    let keep = Keep {
        row,
        rows,
        to,
        y,
        add,
    };
    bf16::multiply_rows(rows, left, weights, bias, &mut room.lines, keep);
}

/// Writes what was computed for the pixels within the border.
struct Keep<'a> {
    row: Row,
    /// Those that were computed.
    rows: usize,
    to: Image,
    y: &'a mut [f32],
    add: bool,
}

impl Epilogue for Keep<'_> {
    #[inline(always)]
    fn apply<S: Simd>(&mut self, simd: S, first: usize, lines: &mut [Line]) {
        let channel = first / self.rows * LANES;
        for (line, place) in lines.iter_mut().zip(self.row.places(first % self.rows)) {
            let Some([i, j]) = place else { continue };
            let out = self.y[self.to.place(i, j) + channel..].first_chunk_mut();
            let out: &mut Line = out.expect("buffers end in a line");
            if self.add {
                add_line(simd, out, line);
            } else {
                *out = *line;
            }
        }
    }
}

#[inline(always)]
fn add_line<S: Simd>(simd: S, to: &mut Line, line: &Line) {
    let (to, _) = S::as_mut_simd_f32s(to);
    for (to, more) in to.iter_mut().zip(S::as_simd_f32s(line).0) {
        *to = simd.add_f32s(*to, *more);
    }
}

/// [`Outer`]: for every tap, the channels of the image times those of the adjoint, summed over
/// pixels.
pub(super) fn outer(product: Outer, room: &mut Room) {
    let Outer {
        reach,
        image,
        x,
        to,
        adjoint,
        sums,
        ..
    } = product;
    let row = Row::of(image);
    let (taps, channels) = (2 * reach + 1, image.channels);
    let steps = row.within().div_ceil(DEPTH);
    let last = row.seen_by(reach, [taps - 1; 2]);
    // An odd number of lines: those of all channels do not meet in the cache.
    let long = (last.div_ceil(DEPTH) + steps + 1).max(row.all().div_ceil(DEPTH)) | 1;
    room.planes.resize(channels * long, [0; LANES]);
    Arch::new().dispatch(Planes {
        numbers: &x[..row.all() * channels],
        channels,
        long,
        out: &mut room.planes,
    });
    room.adjoint.resize(to.channels * steps, [0; LANES]);
    Arch::new().dispatch(Adjoint {
        row,
        to,
        numbers: adjoint,
        steps,
        out: &mut room.adjoint,
    });
    room.steps.clear();
    room.steps.extend((0..steps).map(|step| step * DEPTH));
    for tap in 0..taps * taps {
        let seen = row.seen_by(reach, [tap / taps, tap % taps]);
        let left = Left {
            numbers: &bf16::numbers(&room.planes)[seen..],
            stride: long * DEPTH,
            steps: &room.steps,
        };
        let sums = &mut sums[tap * channels..];
        let height = taps * taps * channels;
        bf16::accumulate_rows(channels, left, &room.adjoint, sums, height);
    }
}

/// The pixels of every channel one after the other, and zeros.
struct Planes<'a> {
    /// Pixel after pixel.
    numbers: &'a [f32],
    channels: usize,
    /// The lines of a plane.
    long: usize,
    out: &'a mut [Pair],
}

impl WithSimd for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let unit = Unit::here();
        let pixels = self.numbers.len() / self.channels;
        for step in 0..self.long {
            for first in (0..self.channels).step_by(LANES) {
                let seen = |i: usize| match DEPTH * step + i {
                    pixel if pixel < pixels => line(self.numbers, pixel * self.channels + first),
                    _ => &[0.0; LANES],
                };
                // No closure: one that is not inlined knows no wide vectors.
                let mut pairs = [[0; LANES]; LANES];
                for (k, pair) in pairs.iter_mut().enumerate() {
                    *pair = bf16::pair(simd, seen(2 * k), seen(2 * k + 1));
                }
                let mut turned = [[0; LANES]; LANES];
                unit.transpose(&pairs, &mut turned);
                let planes = self.out[first * self.long + step..].iter_mut();
                for (to, line) in planes.step_by(self.long).zip(turned) {
                    *to = line;
                }
            }
        }
    }
}

/// The channels of an adjoint for pairs of pixels of an image's row, `[panel][pair]`, with zeros on
/// the border.
struct Adjoint<'a> {
    row: Row,
    to: Image,
    numbers: &'a [f32],
    steps: usize,
    out: &'a mut [Pair],
}

impl WithSimd for Adjoint<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = self.out.chunks_exact_mut(self.steps * LANES);
        for (panel, out) in panels.enumerate() {
            let mut places = self.row.places(0);
            let mut next = || match places.next().flatten() {
                Some([i, j]) => line(self.numbers, self.to.place(i, j) + panel * LANES),
                None => &[0.0; LANES],
            };
            for out in out {
                let first = next();
                *out = bf16::pair(simd, first, next());
            }
        }
    }
}

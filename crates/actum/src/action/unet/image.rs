//! How an image lies in memory.

use crate::simd::LANES;

/// The shape of an image `[height, width, channels]` with a border of zeros around it. Then what a
/// row of three taps sees of a pixel is one slice of `3 channels` numbers, and a convolution is a
/// product whose left factor need not be copied. After its last pixel there is room for a line, so
/// that channels can be read by lines whatever their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// The pixels of the border, 0 or 1.
    pub border: usize,
}

impl Image {
    /// `rows` vectors of so many numbers.
    pub fn rows(rows: usize, channels: usize) -> Self {
        Self {
            height: 1,
            width: rows,
            channels,
            border: 0,
        }
    }

    /// As many numbers in a row of pixels.
    pub fn stride(self) -> usize {
        (self.width + 2 * self.border) * self.channels
    }

    /// Where a pixel is.
    #[inline(always)]
    pub fn place(self, row: usize, column: usize) -> usize {
        (row + self.border) * self.stride() + (column + self.border) * self.channels
    }

    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    /// How many numbers it takes.
    pub fn numbers(self) -> usize {
        (self.height + 2 * self.border) * self.stride() + LANES
    }

    /// All zeros.
    pub fn zeros(self) -> Vec<f32> {
        vec![0.0; self.numbers()]
    }

    /// Calls `f` with the place of every pixel.
    #[inline(always)]
    pub fn each(self, mut f: impl FnMut(usize)) {
        for row in 0..self.height {
            let start = self.place(row, 0);
            for column in 0..self.width {
                f(start + column * self.channels);
            }
        }
    }

    /// Fills the first channels from channel after channel, and the others with zeros.
    pub fn fill(self, channels: &[f32], numbers: &mut [f32]) {
        let mut pixel = 0;
        self.each(|at| {
            let pixels = &mut numbers[at..][..self.channels];
            pixels.fill(0.0);
            let given = channels.iter().skip(pixel).step_by(self.pixels());
            pixels
                .iter_mut()
                .zip(given)
                .for_each(|(to, from)| *to = *from);
            pixel += 1;
        });
    }

    /// Adds the first channels to channel after channel.
    pub fn add_to(self, channels: &mut [f32], numbers: &[f32]) {
        let mut pixel = 0;
        self.each(|at| {
            let given = channels.iter_mut().skip(pixel).step_by(self.pixels());
            given.zip(&numbers[at..]).for_each(|(to, from)| *to += from);
            pixel += 1;
        });
    }
}

//! Images: levels 0 to 255, and the points they are.

mod formats;
#[cfg(feature = "images")]
mod pictures;
mod write;

use std::{collections::HashSet, path::Path, sync::Arc};

use ndarray::{Array2, Array4, ArrayView2, Axis, concatenate};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{snapshots::hexadecimal, within};
use crate::error::{Error, ErrorKind, Result, ensure};

pub use write::{IMAGE_TARGETS, ImageTarget};

/// Images of one size: levels 0 to 255, `[n, height, width, channels]`, of one channel (gray) or
/// three (red, green, blue), and where they came from. Clones share their levels.
///
/// As a *point*, an image is a row of `channels * height * width` numbers, channel by channel, each
/// row by row, in `[-1, 1]`: level k becomes `(k + u) / 128 - 1` with u uniform on [0, 1). The noise
/// makes whole levels into numbers that have a density (dequantisation, Uria et al. 2013); levels are
/// [`Images::BIN`] apart, the bin that `likelihood::bits_per_dimension` asks for.
///
/// ```
/// use actum::{data::Images, gallery::Shapes};
///
/// let images = Shapes { height: 16, width: 20, channels: 3 }.draw(5, 0)?;
/// let points = images.points(0);
/// assert_eq!(points.dim(), (5, 3 * 16 * 20));
/// let again = Images::of_points(points.view(), images.shape(), "points")?;
/// assert_eq!(again.pixels(), images.pixels());
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Images {
    /// In row-major order.
    pixels: Arc<Array4<u8>>,
    source: String,
}

/// How much red, green and blue count in gray (Recommendation ITU-R BT.601); they sum to 1.
pub(crate) const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

impl Images {
    /// How far apart two neighbouring levels are in points: 2/256. With natural logarithms of a
    /// density of points, bits per dimension are `-mean log q / (d ln 2) + 7`.
    pub const BIN: f64 = 2.0 / 256.0;

    /// Levels `[n, height, width, channels]`, and a name for where they came from.
    ///
    /// # Errors
    /// No images, no pixels, or a number of channels other than 1 and 3 (`Shape`).
    pub fn new(pixels: Array4<u8>, source: impl Into<String>) -> Result<Self> {
        let (n, h, w, c) = pixels.dim();
        ensure!(
            n > 0 && h > 0 && w > 0,
            Shape,
            "expected at least one image of at least one pixel, got shape [{n}, {h}, {w}, {c}]"
        );
        ensure!(
            c == 1 || c == 3,
            Shape,
            "expected images of 1 channel (gray) or 3 (red, green, blue), in the order [n, height, \
             width, channels]; got shape [{n}, {h}, {w}, {c}]"
        );
        let pixels = if pixels.is_standard_layout() {
            pixels
        } else {
            pixels.as_standard_layout().into_owned()
        };
        Ok(Self {
            pixels: Arc::new(pixels),
            source: source.into(),
        })
    }

    /// Reads images from a folder of PNG and JPEG files of one size, in the order of their names
    /// (other files are left out), or from a file of a format that the content tells, see
    /// [`Images::readable`].
    ///
    /// Palettes and fewer than 8 bits are spread to levels; a channel of opacity is left out where
    /// all is opaque. Pictures are turned upright as their EXIF data say; profiles and gamma are
    /// not applied.
    ///
    /// # Errors
    /// A file that cannot be read (`Io`), that is truncated, of another format or type, of 16 bits
    /// a channel or with transparent pixels (`Format`); a folder without images (`Missing`); images of
    /// different sizes or an array of another shape (`Shape`). Messages name the file.
    pub fn read(path: &Path) -> Result<Self> {
        let source = path.display().to_string();
        let pixels = formats::read(path)?;
        within(path, || Self::new(pixels, source))
    }

    /// What can be read, as a person reads it.
    pub fn readable() -> String {
        formats::readable()
    }

    /// The levels, `[n, height, width, channels]`, in row-major order.
    pub fn pixels(&self) -> &Array4<u8> {
        &self.pixels
    }

    /// The levels of one image, `[height, width, channels]`, row by row.
    ///
    /// # Panics
    /// If there is no image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.dimension();
        let all = self.pixels.as_slice().expect("row-major order");
        &all[i * size..(i + 1) * size]
    }

    /// Where the images came from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len_of(Axis(0))
    }

    /// Never true: there is at least one image.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The size of an image, `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        let (_, h, w, c) = self.pixels.dim();
        [h, w, c]
    }

    /// How many numbers an image has: `height * width * channels`.
    pub fn dimension(&self) -> usize {
        self.shape().iter().product()
    }

    /// What a person should know before fitting these images: that they are all alike, or dark as
    /// floats in `[0, 1]` are that became whole numbers, or that many repeat.
    pub fn warnings(&self) -> Vec<String> {
        const ALIKE: u8 = 2;
        let n = self.len();
        if n == 1 {
            return vec![
                "there is a single image: nothing is learned from it but itself".to_owned(),
            ];
        }
        let mut warnings = vec![];
        let differs = (0..self.dimension()).any(|j| {
            let levels = (0..n).map(|i| self.image(i)[j]);
            let (low, high) = (levels.clone().min(), levels.max());
            high.unwrap_or(0) - low.unwrap_or(0) > ALIKE
        });
        let (low, high) = (self.pixels.iter().min(), self.pixels.iter().max());
        let (low, high) = (*low.unwrap_or(&0), *high.unwrap_or(&0));
        if high <= 1 {
            warnings.push(format!(
                "levels go from {low} to {high}, of 255: if the images were numbers in [0, 1], \
                 multiply them by 255 before they become whole numbers"
            ));
        }
        if !differs {
            warnings.push(format!(
                "all {n} images are alike: no level differs between two of them by more than \
                 {ALIKE} of 255"
            ));
            return warnings;
        }
        let distinct: HashSet<&[u8]> = (0..n).map(|i| self.image(i)).collect();
        let repeated = n - distinct.len();
        if 10 * repeated > n {
            warnings.push(format!("{repeated} of {n} images repeat another"));
        }
        warnings
    }

    /// The SHA-256 of the number of images, the height, width and channels (u64 each) and all
    /// levels, little-endian, as hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let [h, w, c] = self.shape();
        for size in [self.len(), h, w, c] {
            hash.update((size as u64).to_le_bytes());
        }
        hash.update(self.pixels.as_slice().expect("row-major order"));
        hexadecimal(hash)
    }

    /// The images `indices`, in that order; an index may repeat.
    ///
    /// # Errors
    /// An empty selection.
    ///
    /// # Panics
    /// If an index is not below n.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        Self::new(self.pixels.select(Axis(0), indices), self.source.clone())
    }

    /// These images, and after them `others` of the same shape.
    ///
    /// # Errors
    /// Images of another shape (`Shape`).
    pub fn beside(&self, others: &Self) -> Result<Self> {
        let all = concatenate(Axis(0), &[self.pixels.view(), others.pixels.view()]);
        let all = all.map_err(|cause| {
            let what = format!("images of {:?} and {:?}", self.shape(), others.shape());
            Error::new(ErrorKind::Shape, what).because(cause)
        })?;
        Self::new(all, self.source.clone())
    }

    /// At most `n` of the images, drawn at random without repetition: files are often sorted.
    ///
    /// # Errors
    /// `n` of 0.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let indices = rand::seq::index::sample(&mut rng, self.len(), n.min(self.len()));
        self.select(&indices.into_vec())
    }

    /// Images of half the height and width, whose levels are the rounded means of 2 x 2 pixels.
    ///
    /// # Errors
    /// A height or width that is odd (`Shape`).
    pub fn halved(&self) -> Result<Self> {
        let [h, w, c] = self.shape();
        ensure!(
            h % 2 == 0 && w % 2 == 0,
            Shape,
            "{}: images of {h} x {w} pixels cannot be halved: both sides must be even; pad or \
             crop them first",
            self.source
        );
        let level = |i: usize, row: usize, column: usize, channel: usize| {
            u16::from(self.pixels[[i, row, column, channel]])
        };
        let pixels = Array4::from_shape_fn((self.len(), h / 2, w / 2, c), |(i, y, x, k)| {
            let (y, x) = (2 * y, 2 * x);
            let sum = level(i, y, x, k)
                + level(i, y, x + 1, k)
                + level(i, y + 1, x, k)
                + level(i, y + 1, x + 1, k);
            ((sum + 2) / 4) as u8
        });
        Self::new(pixels, self.source.clone())
    }

    /// The images in one channel: `0.299 red + 0.587 green + 0.114 blue`, rounded (Recommendation
    /// ITU-R BT.601); gray images as they are.
    pub fn gray(&self) -> Self {
        let (n, h, w, c) = self.pixels.dim();
        if c == 1 {
            return self.clone();
        }
        let pixels = Array4::from_shape_fn((n, h, w, 1), |(i, y, x, _)| {
            // In thousandths, which are exact.
            let part = |k, parts: u32| parts * u32::from(self.pixels[[i, y, x, k]]);
            ((part(0, 299) + part(1, 587) + part(2, 114) + 500) / 1000) as u8
        });
        Self {
            pixels: Arc::new(pixels),
            source: self.source.clone(),
        }
    }

    /// The images in three channels: gray ones with three equal channels, others as they are.
    pub fn in_color(&self) -> Self {
        let (n, h, w, c) = self.pixels.dim();
        if c == 3 {
            return self.clone();
        }
        let pixels = self.pixels.broadcast((n, h, w, 3)).expect("one channel");
        Self {
            pixels: Arc::new(pixels.as_standard_layout().into_owned()),
            source: self.source.clone(),
        }
    }

    /// All images as points, `[n, channels * height * width]`, every level as the middle of what
    /// dequantisation makes of it.
    pub fn middles(&self) -> Array2<f64> {
        let [h, w, _] = self.shape();
        Array2::from_shape_fn((self.len(), self.dimension()), |(i, j)| {
            let level = self.pixels[[i, j / w % h, j % w, j / (h * w)]];
            (f64::from(level) + 0.5) / 128.0 - 1.0
        })
    }

    /// All images as points, `[n, channels * height * width]`, with the noise of dequantisation.
    pub fn points(&self, seed: u64) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut points = Array2::zeros((self.len(), self.dimension()));
        for (i, mut point) in points.rows_mut().into_iter().enumerate() {
            let point = point.as_slice_mut().expect("row-major order");
            self.write_point(i, false, &mut rng, point);
        }
        points
    }

    /// Writes image `i` as a point, mirrored left to right or not, with the noise of
    /// dequantisation.
    ///
    /// # Panics
    /// If there is no image `i`, or the point is of another dimension.
    pub fn write_point(&self, i: usize, mirrored: bool, rng: &mut impl Rng, point: &mut [f64]) {
        let [h, w, c] = self.shape();
        assert_eq!(point.len(), self.dimension(), "the dimension of an image");
        let levels = self.image(i);
        for (k, plane) in point.chunks_exact_mut(h * w).enumerate() {
            for (y, row) in plane.chunks_exact_mut(w).enumerate() {
                for (x, number) in row.iter_mut().enumerate() {
                    let x = if mirrored { w - 1 - x } else { x };
                    let level = levels[(y * w + x) * c + k];
                    // In single precision the noise stays below 1 after it is added.
                    let noise: f32 = rng.random();
                    *number = (f64::from(level) + f64::from(noise)) / 128.0 - 1.0;
                }
            }
        }
    }

    /// Points `[n, channels * height * width]` as images of a shape `[height, width, channels]`;
    /// numbers outside of [-1, 1) become the nearest level.
    ///
    /// # Errors
    /// Points of another dimension (`Shape`), or a number that is not finite (`Value`).
    pub fn of_points(
        points: ArrayView2<f64>,
        [h, w, c]: [usize; 3],
        source: impl Into<String>,
    ) -> Result<Self> {
        let (n, d) = points.dim();
        ensure!(
            d == h * w * c,
            Shape,
            "images of {h} x {w} pixels in {c} channels have {} numbers, the points have {d}",
            h * w * c
        );
        if let Some(at) = points.iter().position(|x| !x.is_finite()) {
            ensure!(
                false,
                Value,
                "image {} has a number that is not finite",
                at / d
            );
        }
        let pixels = Array4::from_shape_fn((n, h, w, c), |(i, y, x, k)| {
            // A conversion to bytes ends at 0 and 255.
            (128.0 * (points[[i, (k * h + y) * w + x]] + 1.0)).floor() as u8
        });
        Self::new(pixels, source)
    }
}

#[cfg(test)]
mod tests;

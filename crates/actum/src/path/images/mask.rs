//! What of images is hidden.

use ndarray::Array2;

use crate::{
    data::Images,
    error::{Result, ensure},
};

/// Which pixels of an image are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// `[height, width]`, true where hidden.
    hidden: Array2<bool>,
}

impl Mask {
    /// The mask that hides pixels where `hidden` `[height, width]` is true.
    ///
    /// # Errors
    /// All pixels are hidden, or none (`Value`).
    pub fn new(hidden: Array2<bool>) -> Result<Self> {
        let (count, all) = (hidden.iter().filter(|h| **h).count(), hidden.len());
        ensure!(
            0 < count && count < all,
            Value,
            "a mask must hide some pixels and keep some; this one hides {count} of {all}"
        );
        Ok(Self { hidden })
    }

    /// Hides the upper half of `height x width` pixels, the larger if the height is odd.
    ///
    /// # Errors
    /// Fewer than two rows.
    pub fn top(height: usize, width: usize) -> Result<Self> {
        Self::new(Array2::from_shape_fn((height, width), |(y, _)| {
            2 * y < height
        }))
    }

    /// Hides the lower half of `height x width` pixels, the smaller if the height is odd.
    ///
    /// # Errors
    /// Fewer than two rows.
    pub fn bottom(height: usize, width: usize) -> Result<Self> {
        Self::new(Array2::from_shape_fn((height, width), |(y, _)| {
            2 * y >= height
        }))
    }

    /// Hides what is bright (levels of 128 and more) in a single image: white is filled in and
    /// black is kept, as in other tools for inpainting.
    ///
    /// # Errors
    /// Several images (`Shape`), and as [`Mask::new`].
    pub fn of(image: &Images) -> Result<Self> {
        ensure!(
            image.len() == 1,
            Shape,
            "{}: expected one image as a mask, got {}",
            image.source(),
            image.len()
        );
        let [h, w, _] = image.shape();
        let gray = image.gray();
        let bright = |(y, x)| gray.pixels()[[0, y, x, 0]] >= 128;
        let mask = Self::new(Array2::from_shape_fn((h, w), bright));
        mask.map_err(|error| error.within(image.source()))
    }

    /// Where pixels are hidden, `[height, width]`.
    pub fn hidden(&self) -> &Array2<bool> {
        &self.hidden
    }
}

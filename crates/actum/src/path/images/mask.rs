//! Masks: which pixels of an image are hidden.

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

    /// Hides what is bright (levels of 128 and more) in a single image. White is filled in and
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

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::{error::ErrorKind, path::Degradation};

    #[test]
    fn masks() {
        let top = Mask::top(3, 2).unwrap();
        assert_eq!(top.hidden().column(0).to_vec(), [true, true, false]);
        let bottom = Mask::bottom(3, 2).unwrap();
        assert_eq!(bottom.hidden().column(1).to_vec(), [false, false, true]);
        let pixels = Array4::from_shape_vec((1, 1, 3, 1), vec![0, 127, 128]).unwrap();
        let mask = Mask::of(&Images::new(pixels, "m.png").unwrap()).unwrap();
        assert_eq!(mask.hidden().row(0).to_vec(), [false, false, true]);
        let white = Images::new(Array4::from_elem((1, 2, 2, 3), 255), "m.png").unwrap();
        let message = Mask::of(&white).unwrap_err().to_string();
        assert!(
            message.contains("m.png") && message.contains("4 of 4"),
            "{message}"
        );
        assert!(Mask::of(&white.select(&[0, 0]).unwrap()).is_err());
        let error = Degradation::inpainting([4, 4, 1], top).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("4 x 4") && error.to_string().contains("3 x 2"));
    }
}

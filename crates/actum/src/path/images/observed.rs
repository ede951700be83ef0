//! What is observed of a degraded image, and the baseline that restores from it.

use ndarray::Array4;

use super::degradation::{Degradation, Kind};
use crate::{
    data::{Images, LUMA},
    error::{Result, ensure},
};

impl Degradation {
    /// What is observed of images at time 1, as images of the same shape.
    ///
    /// Colorization: the image in gray; images may be in gray or in colour. Super-resolution: every
    /// kept pixel enlarged to four; images may have the size of the kept pixels, `[height/2,
    /// width/2]` rounded up, or be whole, of which the other pixels are ignored. Inpainting: medium
    /// gray where pixels are hidden. Otherwise: the images as they are.
    ///
    /// # Errors
    /// Images of another size (`Shape`).
    pub fn observed(&self, images: &Images) -> Result<Images> {
        let [h, w, c] = self.shape;
        let [height, width, channels] = images.shape();
        let low = [h.div_ceil(2), w.div_ceil(2)];
        let (is_low, is_whole) = ([height, width] == low, [height, width] == [h, w]);
        let (colors, sizes) = match self.kind {
            Kind::Colorization => ("1 or 3".to_owned(), format!("{h} x {w}")),
            Kind::SuperResolution => (
                c.to_string(),
                format!("{} x {} or {h} x {w}", low[0], low[1]),
            ),
            _ => (c.to_string(), format!("{h} x {w}")),
        };
        let fits = is_whole || is_low && self.kind == Kind::SuperResolution;
        let has_channels = channels == c || self.kind == Kind::Colorization;
        ensure!(
            fits && has_channels,
            Shape,
            "{}: expected images of {sizes} pixels in {colors} channel(s), got {height} x {width} \
             in {channels}",
            images.source()
        );
        let pixels = images.pixels();
        let observed = match &self.kind {
            Kind::Colorization => return Ok(images.gray().in_color()),
            Kind::SuperResolution => {
                Array4::from_shape_fn((images.len(), h, w, c), |(i, y, x, k)| {
                    let (y, x) = (y / 2, x / 2);
                    if is_low && !is_whole {
                        pixels[[i, y, x, k]]
                    } else {
                        pixels[[i, 2 * y, 2 * x, k]]
                    }
                })
            }
            Kind::Inpainting(mask) => {
                Array4::from_shape_fn((images.len(), h, w, c), |(i, y, x, k)| {
                    if mask.hidden()[[y, x]] {
                        128
                    } else {
                        pixels[[i, y, x, k]]
                    }
                })
            }
            _ => return Ok(images.clone()),
        };
        Images::new(observed, images.source())
    }

    /// The baseline that a model has to beat, computed from what is observed: the gray image,
    /// bilinear interpolation of the kept pixels, or hidden pixels filled with the mean of the
    /// others in each channel.
    ///
    /// # Errors
    /// A degradation that restores nothing (`Setting`); images of another size (`Shape`).
    pub fn baseline(&self, images: &Images) -> Result<Images> {
        ensure!(
            self.restores(),
            Setting,
            "this path generates images and restores none"
        );
        let observed = self.observed(images)?;
        let [h, w, _] = self.shape;
        let mut points = observed.middles();
        for mut row in points.rows_mut() {
            let planes = row.as_slice_mut().expect("row-major order");
            for plane in planes.chunks_exact_mut(h * w) {
                match &self.kind {
                    Kind::SuperResolution => {
                        let known = plane.to_vec();
                        upsample(&known, [h, w], plane);
                    }
                    Kind::Inpainting(mask) => {
                        let each = || plane.iter().zip(mask.hidden());
                        let kept = each().filter(|(_, hidden)| !**hidden);
                        let sum: f64 = kept.clone().map(|(x, _)| x).sum();
                        let mean = sum / kept.count() as f64;
                        let pixels = plane.iter_mut().zip(mask.hidden());
                        for (x, _) in pixels.filter(|(_, hidden)| **hidden) {
                            *x = mean;
                        }
                    }
                    _ => (),
                }
            }
        }
        Images::of_points(points.view(), self.shape, observed.source())
    }
}

/// Whether super-resolution keeps the pixel.
pub(super) fn is_kept(y: usize, x: usize) -> bool {
    y.is_multiple_of(2) && x.is_multiple_of(2)
}

/// Gray, `[h * w]`, of three channels, `[3 * h * w]`.
pub(super) fn gray(x: &[f64]) -> Vec<f64> {
    let size = x.len() / 3;
    let mut gray = vec![0.0; size];
    for (plane, luma) in x.chunks_exact(size).zip(LUMA) {
        for (gray, x) in gray.iter_mut().zip(plane) {
            *gray += luma * x;
        }
    }
    gray
}

/// Bilinear interpolation of a channel between the pixels in even rows and columns; no other pixels
/// are read. Beyond the last even row or column the interpolation is constant.
pub(super) fn upsample(plane: &[f64], [h, w]: [usize; 2], out: &mut [f64]) {
    // The even neighbours on both sides; an even place is its own neighbour.
    let around = |place: usize, size: usize| {
        let before = place - place % 2;
        let after = before + 2 * (place % 2);
        [before, if after < size { after } else { before }]
    };
    for (y, row) in out.chunks_exact_mut(w).enumerate() {
        let rows = around(y, h);
        for (x, place) in row.iter_mut().enumerate() {
            let [left, right] = around(x, w);
            let along = |y: usize| 0.5 * (plane[y * w + left] + plane[y * w + right]);
            *place = 0.5 * (along(rows[0]) + along(rows[1]));
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::{super::Mask, *};

    #[test]
    fn what_is_observed_and_baselines() {
        let pixels = Array4::from_shape_fn((1, 3, 4, 1), |(_, y, x, _)| (40 * y + 10 * x) as u8);
        let images = Images::new(pixels, "ramp").unwrap();
        let degradation = Degradation::super_resolution([3, 4, 1]).unwrap();
        assert_eq!(
            degradation.observed(&images).unwrap().image(0),
            [0, 0, 20, 20, 0, 0, 20, 20, 80, 80, 100, 100]
        );
        // Linear except beyond the last kept column.
        let baseline = [0, 10, 20, 20, 40, 50, 60, 60, 80, 90, 100, 100];
        assert_eq!(degradation.baseline(&images).unwrap().image(0), baseline);
        let low = Array4::from_shape_vec((1, 2, 2, 1), vec![0, 20, 80, 100]).unwrap();
        let low = Images::new(low, "low").unwrap();
        assert_eq!(degradation.baseline(&low).unwrap().image(0), baseline);
        assert_eq!(
            degradation.start(&low, 1.0, 5).unwrap(),
            degradation.start(&images, 1.0, 5).unwrap()
        );
        let points = degradation.start(&images, 1.0, 5).unwrap();
        let back = degradation.images(points.view(), "start").unwrap();
        let kept = [0, 2, 8, 10].map(|j| back.image(0)[j]);
        assert_eq!(kept, [0, 20, 80, 100]);

        let degradation = Degradation::inpainting([3, 4, 1], Mask::bottom(3, 4).unwrap()).unwrap();
        assert_eq!(
            degradation.observed(&images).unwrap().image(0),
            [0, 10, 20, 30, 40, 50, 60, 70, 128, 128, 128, 128]
        );
        assert_eq!(
            degradation.baseline(&images).unwrap().image(0),
            [0, 10, 20, 30, 40, 50, 60, 70, 35, 35, 35, 35]
        );
        // Known pixels come from the conditioning even if a model moves them.
        let moved = degradation.start(&images, 1.0, 0).unwrap();
        let mut astray = moved.clone();
        astray.slice_mut(s![.., ..12]).fill(0.9);
        let back = degradation.images(astray.view(), "astray").unwrap();
        assert_eq!(back.image(0)[..8], images.image(0)[..8]);
        assert_eq!(back.image(0)[8], 243);

        let pixels = Array4::from_shape_vec((1, 1, 2, 3), vec![200, 40, 90, 7, 7, 7]).unwrap();
        let color = Images::new(pixels, "color").unwrap();
        let degradation = Degradation::colorization([1, 2, 3]).unwrap();
        let baseline = degradation.baseline(&color).unwrap();
        assert_eq!(baseline.image(0), [94, 94, 94, 7, 7, 7]);
        let gray = color.gray();
        assert_eq!(
            degradation.baseline(&gray).unwrap().pixels(),
            baseline.pixels()
        );
        assert_eq!(
            degradation.start(&gray, 1.0, 1).unwrap(),
            degradation.start(&color, 1.0, 1).unwrap()
        );
    }
}

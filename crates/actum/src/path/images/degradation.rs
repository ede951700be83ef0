//! What happens to an image, as a function of time.

use ndarray::{Array2, ArrayView2};

use super::{
    Mask,
    heat::Heat,
    observed::{gray, is_kept, upsample},
};
use crate::{
    data::Images,
    error::{Result, ensure},
    path::Process,
};

/// What happens to an image x from time 0, where it is whole, to time 1, where a
/// model begins to make or restore it; eps are standard Gaussian numbers.
///
/// | | x_t | conditioning | [weight](Degradation::weight) |
/// |---|---|---|---|
/// | [`process`](Degradation::process) | `alpha_t x + sigma_t eps` | | [`Process::weight`] |
/// | [`linear`](Degradation::linear) | `(1 - t) x + t eps` | | `t^3` |
/// | [`heat`](Degradation::heat) | x blurred to the width `1.5 t^2 side` in pixels, `+ t eps` | | `t^2 / 2` |
/// | [`torus`](Degradation::torus) | `(x/4 + 1/2 + t eps / 2) mod 1` | | `t^3` |
/// | [`colorization`](Degradation::colorization) | `(1 - t) x + t (gray x + eps / 10)` | gray x | `t^3` |
/// | [`super_resolution`](Degradation::super_resolution) | pixels in even rows and columns stay, others are `(1 - t) x + t eps` | the kept ones, bilinearly between | `t^3` |
/// | [`inpainting`](Degradation::inpainting) | pixels outside of a mask stay, others are `(1 - t) x + t eps` | x, 0 where hidden | `t^3` |
///
/// (Neklyudov et al., *Action Matching*, ICML 2023, the experiments on images; blurring as in Rissanen et
/// al., *Generative modelling with inverse heat dissipation*, ICLR 2023.)
///
/// A *point* is `[moved channels, conditioning channels]`, each `height * width` numbers row by row,
/// scaled as in [`Images`]; on the torus in [0, 1). Conditioning channels are computed from what is
/// kept alone, have the velocity 0 and so are observed and never moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Degradation {
    pub(super) kind: Kind,
    /// `[height, width, channels]`.
    pub(super) shape: [usize; 3],
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Process(Process),
    Linear,
    Heat(Heat),
    Torus,
    Colorization,
    SuperResolution,
    Inpainting(Mask),
}

impl Degradation {
    /// A diffusion [`Process`] on images of shape `[height, width, channels]`. Networks learn VE
    /// when it is [normalized](Process::normalized).
    pub fn process(process: Process, shape: [usize; 3]) -> Self {
        let kind = Kind::Process(process);
        Self { kind, shape }
    }

    /// A straight line to noise.
    pub fn linear(shape: [usize; 3]) -> Self {
        let kind = Kind::Linear;
        Self { kind, shape }
    }

    /// The heat equation, which blurs images until they are flat, and noise.
    pub fn heat(shape: [usize; 3]) -> Self {
        let kind = Kind::Heat(Heat::new(shape[0], shape[1]));
        Self { kind, shape }
    }

    /// Noise on a circle for each number.
    pub fn torus(shape: [usize; 3]) -> Self {
        let kind = Kind::Torus;
        Self { kind, shape }
    }

    /// Colours fade to gray.
    ///
    /// # Errors
    /// Images without three channels (`Shape`).
    pub fn colorization(shape: [usize; 3]) -> Result<Self> {
        ensure!(
            shape[2] == 3,
            Shape,
            "colorization learns from images of 3 channels, these have {}",
            shape[2]
        );
        let kind = Kind::Colorization;
        Ok(Self { kind, shape })
    }

    /// Three of four pixels dissolve; those in even rows and columns, counted from 0, stay.
    ///
    /// # Errors
    /// Images of a single pixel (`Shape`).
    pub fn super_resolution(shape: [usize; 3]) -> Result<Self> {
        ensure!(
            shape[0] * shape[1] > 1,
            Shape,
            "super-resolution needs images of more than one pixel"
        );
        let kind = Kind::SuperResolution;
        Ok(Self { kind, shape })
    }

    /// The pixels that a mask hides dissolve.
    ///
    /// # Errors
    /// A mask of another size (`Shape`).
    pub fn inpainting(shape: [usize; 3], mask: Mask) -> Result<Self> {
        let [h, w, _] = shape;
        let (y, x) = mask.hidden().dim();
        ensure!(
            (y, x) == (h, w),
            Shape,
            "the images have {h} x {w} pixels, the mask {y} x {x}; make them alike"
        );
        let kind = Kind::Inpainting(mask);
        Ok(Self { kind, shape })
    }

    /// The size of images, `[height, width, channels]`; all channels move.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of conditioning channels, which come after those that move.
    pub fn conditioning(&self) -> usize {
        match self.kind {
            Kind::Colorization => 1,
            Kind::SuperResolution | Kind::Inpainting(_) => self.shape[2],
            Kind::Process(_) | Kind::Linear | Kind::Heat(_) | Kind::Torus => 0,
        }
    }

    /// How many numbers a point has: `(channels + conditioning) * height * width`.
    pub fn dimension(&self) -> usize {
        let [h, w, c] = self.shape;
        (c + self.conditioning()) * h * w
    }

    /// Whether the numbers that move live on circles of length 1: on the torus.
    pub fn is_periodic(&self) -> bool {
        matches!(self.kind, Kind::Torus)
    }

    /// The diffusion process, where it is one.
    pub fn as_process(&self) -> Option<Process> {
        match self.kind {
            Kind::Process(process) => Some(process),
            _ => None,
        }
    }

    /// How far apart neighbouring levels are in the numbers that move, the bin that
    /// `likelihood::bits_per_dimension` asks for: [`Images::BIN`], a quarter of it on the torus.
    pub fn bin(&self) -> f64 {
        Images::BIN * self.scale()
    }

    /// The number of a pixel at time 0 for a 1 in the image: below 1 where VE is normalized.
    fn scale(&self) -> f64 {
        match self.kind {
            Kind::Torus => 0.25,
            Kind::Process(process) => process.alpha(0.0)[0],
            _ => 1.0,
        }
    }

    /// Whether there is something to see at time 1 that tells one image from another, so that
    /// models restore: colorization, super-resolution and inpainting.
    pub fn restores(&self) -> bool {
        self.conditioning() > 0
    }

    /// Images as points `[n, d]` at time 0, with the noise of dequantisation.
    ///
    /// # Errors
    /// Images of another shape (`Shape`).
    pub fn points(&self, images: &Images, seed: u64) -> Result<Array2<f64>> {
        self.must_fit(images)?;
        let whole = images.points(seed);
        let mut points = Array2::zeros((images.len(), self.dimension()));
        let noise = vec![0.0; images.dimension()];
        for (x, mut row) in whole.rows().into_iter().zip(points.rows_mut()) {
            let x = x.as_slice().expect("row-major order");
            let row = row.as_slice_mut().expect("row-major order");
            self.write_point(x, &noise, 0.0, row, None);
        }
        Ok(points)
    }

    pub(super) fn must_fit(&self, images: &Images) -> Result<()> {
        let ([h, w, c], [height, width, channels]) = (self.shape, images.shape());
        ensure!(
            [h, w, c] == [height, width, channels],
            Shape,
            "{}: expected images of {h} x {w} pixels in {c} channel(s), got {height} x {width} in \
             {channels}",
            images.source()
        );
        Ok(())
    }

    /// The images of points `[n, d]` at time 0. Pixels that are known, from the conditioning, are as they are
    /// there.
    ///
    /// # Errors
    /// Points of another dimension (`Shape`), or a number that is not finite (`Value`).
    pub fn images(&self, points: ArrayView2<f64>, source: impl Into<String>) -> Result<Images> {
        let d = self.dimension();
        ensure!(
            points.ncols() == d,
            Shape,
            "expected points of {d} numbers, got {}",
            points.ncols()
        );
        let ([h, w, c], scale) = (self.shape, self.scale());
        let moved = Array2::from_shape_fn((points.nrows(), c * h * w), |(i, j)| {
            let known = match &self.kind {
                Kind::SuperResolution => is_kept(j / w % h, j % w),
                Kind::Inpainting(mask) => !mask.hidden()[[j / w % h, j % w]],
                _ => false,
            };
            match self.kind {
                _ if known => points[[i, c * h * w + j]],
                Kind::Torus => (points[[i, j]].rem_euclid(1.0) - 0.5) / scale,
                _ => points[[i, j]] / scale,
            }
        });
        Images::of_points(moved.view(), self.shape, source)
    }

    /// Writes the point of an image x and of noise, both `[channels * height * width]`, at time t, `[d]`,
    /// and its velocity, if it is asked for.
    pub(super) fn write_point(
        &self,
        x: &[f64],
        noise: &[f64],
        t: f64,
        point: &mut [f64],
        velocity: Option<&mut [f64]>,
    ) {
        let [h, w, _] = self.shape;
        let (moved, conditioning) = point.split_at_mut(x.len());
        // The path and its rate at one number of the image and of the noise.
        let affine = |[a, a_rate]: [f64; 2], [b, b_rate]: [f64; 2], x: f64, y: f64| {
            [a * x + b * y, a_rate * x + b_rate * y]
        };
        let line = |x, y| affine([1.0 - t, -1.0], [t, 1.0], x, y);
        let both: Vec<[f64; 2]> = match &self.kind {
            Kind::Process(process) => {
                let (alpha, sigma) = (process.alpha(t), process.sigma(t));
                let each = x.iter().zip(noise);
                each.map(|(x, e)| affine(alpha, sigma, *x, *e)).collect()
            }
            Kind::Linear => x.iter().zip(noise).map(|(x, e)| line(*x, *e)).collect(),
            Kind::Heat(heat) => {
                let planes = x.chunks_exact(h * w);
                let blurred = planes.flat_map(|plane| {
                    let plane = ArrayView2::from_shape((h, w), plane).expect("a channel");
                    let [blurred, rate] = heat.blur(plane, t);
                    blurred.into_iter().zip(rate)
                });
                let each = blurred.zip(noise);
                each.map(|((x, rate), e)| [x + t * e, rate + e]).collect()
            }
            Kind::Torus => {
                let each = x.iter().zip(noise);
                let turn = |x: f64, e: f64| (0.25 * x + 0.5 + 0.5 * t * e).rem_euclid(1.0);
                each.map(|(x, e)| [turn(*x, *e), 0.5 * e]).collect()
            }
            Kind::Colorization => {
                let gray = gray(x);
                let each = x.iter().zip(gray.iter().cycle()).zip(noise);
                each.map(|((x, gray), e)| line(*x, gray + 0.1 * e))
                    .collect()
            }
            Kind::SuperResolution => {
                let each = x.iter().zip(noise).enumerate();
                each.map(|(j, (x, e))| match is_kept(j / w % h, j % w) {
                    true => [*x, 0.0],
                    false => line(*x, *e),
                })
                .collect()
            }
            Kind::Inpainting(mask) => {
                let each = x.iter().zip(noise).zip(mask.hidden().iter().cycle());
                each.map(|((x, e), hidden)| match hidden {
                    true => line(*x, *e),
                    false => [*x, 0.0],
                })
                .collect()
            }
        };
        for (place, [value, _]) in moved.iter_mut().zip(&both) {
            *place = *value;
        }
        if let Some(velocity) = velocity {
            velocity.fill(0.0);
            for (place, [_, rate]) in velocity.iter_mut().zip(&both) {
                *place = *rate;
            }
        }
        match &self.kind {
            Kind::Colorization => conditioning.copy_from_slice(&gray(x)),
            Kind::SuperResolution => {
                let planes = x.chunks_exact(h * w);
                for (plane, out) in planes.zip(conditioning.chunks_exact_mut(h * w)) {
                    upsample(plane, [h, w], out);
                }
            }
            Kind::Inpainting(mask) => {
                let each = x.iter().zip(mask.hidden().iter().cycle());
                for (place, (x, hidden)) in conditioning.iter_mut().zip(each) {
                    *place = if *hidden { 0.0 } else { *x };
                }
            }
            _ => (),
        }
    }
}

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

/// The degradation of an image x from time 0, where it is whole, to time 1, where a model begins to
/// generate or restore it. All eps are standard Gaussian numbers.
///
/// | | x_t, with `l = (1 - t) x + t eps` | conditioning | [weight] |
/// |---|---|---|---|
/// | [`process`] | `alpha_t x + sigma_t eps` | | [`Process::weight`] |
/// | [`linear`] | `l` | | `t^3` |
/// | [`heat`] | x blurred to the width `1.5 t^2 side` in pixels, `+ t eps` | | `t^2 / 2` |
/// | [`torus`] | `(x/4 + 1/2 + t eps / 2) mod 1` | | `t^3` |
/// | [`colorization`] | `(1 - t) x + t (gray x + eps / 10)` | gray x | `t^3` |
/// | [`super_resolution`] | x in even rows and columns, else `l` | these, bilinearly | `t^3` |
/// | [`inpainting`] | x outside of a mask, else `l` | x, 0 where hidden | `t^3` |
///
/// [weight]: Degradation::weight
/// [`process`]: Degradation::process
/// [`linear`]: Degradation::linear
/// [`heat`]: Degradation::heat
/// [`torus`]: Degradation::torus
/// [`colorization`]: Degradation::colorization
/// [`super_resolution`]: Degradation::super_resolution
/// [`inpainting`]: Degradation::inpainting
///
/// (Neklyudov et al., *Action Matching*, ICML 2023, the experiments on images; blurring as in
/// Rissanen et al., *Generative modelling with inverse heat dissipation*, ICLR 2023.)
///
/// A *point* is `[target channels, conditioning channels]`, each `height * width` numbers row by
/// row, scaled as in [`Images`]; on the torus in [0, 1). Conditioning channels depend on the kept
/// part of the image only. They have the velocity 0, so they are observed and never moved.
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
    /// A diffusion [`Process`] on images of shape `[height, width, channels]`. For VE use its
    /// [normalized](Process::normalized) form, which networks can learn.
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

    /// Noise on a circle for every number.
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

    /// Three of four pixels dissolve; those in even rows and columns, counted from 0, are kept.
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

    /// The number of conditioning channels, which follow the target channels.
    pub fn conditioning(&self) -> usize {
        match self.kind {
            Kind::Colorization => 1,
            Kind::SuperResolution | Kind::Inpainting(_) => self.shape[2],
            Kind::Process(_) | Kind::Linear | Kind::Heat(_) | Kind::Torus => 0,
        }
    }

    /// The numbers per point: `(channels + conditioning) * height * width`.
    pub fn dimension(&self) -> usize {
        let [h, w, c] = self.shape;
        (c + self.conditioning()) * h * w
    }

    /// Whether the target channels live on circles of length 1: on the torus.
    pub fn is_periodic(&self) -> bool {
        matches!(self.kind, Kind::Torus)
    }

    /// The diffusion process, if the degradation is one.
    pub fn as_process(&self) -> Option<Process> {
        match self.kind {
            Kind::Process(process) => Some(process),
            _ => None,
        }
    }

    /// The distance between neighbouring levels in the target channels: [`Images::BIN`], times a
    /// quarter on the torus. It is the bin of `likelihood::bits_per_dimension`.
    pub fn bin(&self) -> f64 {
        Images::BIN * self.scale()
    }

    /// The number of a pixel at time 0 whose value in the image is 1; below 1 for normalized VE.
    fn scale(&self) -> f64 {
        match self.kind {
            Kind::Torus => 0.25,
            Kind::Process(process) => process.alpha(0.0)[0],
            _ => 1.0,
        }
    }

    /// Whether something that distinguishes images is still observed at time 1, so that models
    /// restore: colorization, super-resolution and inpainting.
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

    /// The images of points `[n, d]` at time 0. Known pixels are taken from the conditioning.
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

    /// Writes the point `[d]` at time t of an image x and of noise, both `[channels * height *
    /// width]`, and on request its velocity.
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
        // The value and the rate at one number of the image and of the noise.
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

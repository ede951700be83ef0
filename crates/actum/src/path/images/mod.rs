//! Images that lose what a model is to give back.

mod heat;
mod mask;

use std::f64::consts::TAU;

use ndarray::{Array1, Array2, Array4, ArrayView2, Axis};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::{Path, PathSample, Process};
use crate::{
    data::{Images, LUMA},
    error::{Result, ensure},
};
use heat::Heat;
pub use mask::Mask;

/// On how many stretches of time the speed of a process is taken as constant.
const KNOTS: usize = 64;

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
    kind: Kind,
    /// `[height, width, channels]`.
    shape: [usize; 3],
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
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

    /// The first and the last time: `[0, 1]`, but `[0.001, 1]` for VP and sub-VP, of which the
    /// first has an infinite velocity at 0 (Song et al. end samplers there).
    pub fn span(&self) -> [f64; 2] {
        match self.kind {
            Kind::Process(process) if process.sigma(0.0)[0] == 0.0 => [1e-3, 1.0],
            _ => [0.0, 1.0],
        }
    }

    /// Whether the numbers that move live on circles of length 1: on the torus.
    pub fn is_periodic(&self) -> bool {
        matches!(self.kind, Kind::Torus)
    }

    /// The weight of time t in the objective from samples and its derivative, `[w_t, dw_t/dt]`, see the table:
    /// `Weight::new(move |t| degradation.weight(t))`. It goes to 0 where the action of data without
    /// noise is infinite, and makes no difference to what the best action is.
    pub fn weight(&self, t: f64) -> [f64; 2] {
        match self.kind {
            Kind::Process(process) => process.weight(t),
            Kind::Heat(_) => [0.5 * t * t, t],
            _ => [t.powi(3), 3.0 * t * t],
        }
    }

    /// The same for the objective from velocities, which needs no action that is finite at 0: then
    /// all parts of the way from images to noise count alike once time is warped by
    /// [`warp`](Degradation::warp), and noise that is left over at its end, which shows most, is
    /// not neglected. It is 1, but for VE that is not [normalized](Process::normalized), whose way
    /// is longer than any image is wide and counts by its logarithm.
    pub fn weight_of_velocities(&self, t: f64) -> [f64; 2] {
        match self.kind {
            Kind::Process(process) if !process.is_bounded() => process.weight(t),
            _ => [1.0, 0.0],
        }
    }

    /// Times from the first to the last, and how far points of order one go between them, for
    /// [`Units::warped`](crate::units::Units::warped): a process goes fast where noise begins and
    /// slowly where it has won.
    pub fn warp(&self) -> (Vec<f64>, Vec<f64>) {
        let [first, last] = self.span();
        let process = match self.kind {
            Kind::Process(process) if process.is_bounded() => process,
            _ => return (vec![first, last], vec![last - first]),
        };
        // Closer to each other near 0, where VP goes as the root of time.
        let times: Vec<f64> = (0..=KNOTS)
            .map(|k| first + (last - first) * (k as f64 / KNOTS as f64).powi(2))
            .collect();
        let place = |t: f64| [process.alpha(t)[0], process.sigma(t)[0]];
        let distances = times.windows(2).map(|pair| {
            let [a, b] = [pair[0], pair[1]].map(place);
            (b[0] - a[0]).hypot(b[1] - a[1])
        });
        let distances = distances.collect();
        (times, distances)
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

    /// Whether points at time 1 have the same law whatever the images: where images are generated,
    /// but by heat, which leaves their mean colours.
    pub fn has_prior(&self) -> bool {
        !self.restores() && !matches!(self.kind, Kind::Heat(_))
    }

    fn must_have_prior(&self) -> Result<()> {
        ensure!(
            self.has_prior(),
            Setting,
            "what this path begins with depends on images; give some to start from"
        );
        Ok(())
    }

    /// The standard deviation of every number of the prior that is Gaussian; None on the torus.
    fn prior_std_dev(&self) -> Option<f64> {
        match self.kind {
            Kind::Process(process) => Some(process.prior_std_dev()),
            Kind::Torus => None,
            _ => Some(1.0),
        }
    }

    /// The log density of the [prior](Degradation::prior) at points `[n, d]`: `[n]`.
    ///
    /// # Errors
    /// As [`Degradation::prior`].
    pub fn log_prior(&self, points: &Array2<f64>) -> Result<Array1<f64>> {
        self.must_have_prior()?;
        let d = points.ncols() as f64;
        Ok(match self.prior_std_dev() {
            Some(std_dev) => {
                let variance = std_dev * std_dev;
                let squares = points.map_axis(Axis(1), |row| row.dot(&row));
                -0.5 * (squares / variance + d * (TAU * variance).ln())
            }
            None => Array1::zeros(points.nrows()),
        })
    }

    /// So many points at time 1 to generate images from, `[n, d]`: Gaussian noise of standard
    /// deviation 1 (that of the [process](Process::prior_std_dev)), or numbers uniform in [0, 1) on
    /// the torus.
    ///
    /// # Errors
    /// [None](Degradation::has_prior) (`Setting`): see [`Degradation::start`].
    pub fn prior(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        self.must_have_prior()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = (n, self.dimension());
        Ok(match self.prior_std_dev() {
            Some(std_dev) => Array2::from_shape_simple_fn(shape, || {
                std_dev * rng.sample::<f64, _>(StandardNormal)
            }),
            None => Array2::from_shape_simple_fn(shape, || rng.random()),
        })
    }

    /// A point at time 1 for each of the images, `[n, d]`, to restore them from: as the path has them,
    /// and of the images only what [is observed](Degradation::observed) of them. All noise, that of
    /// dequantisation too, has `temperature` times its size: 1 makes one of the images that fit what
    /// is observed, as often as they occur, and 0 the one in the middle of them, whatever the seed.
    /// For heat, images of their mean colours: those that it was fitted to, in any order, start
    /// what resembles them.
    ///
    /// # Errors
    /// Images of a size that is not expected (`Shape`), see [`Degradation::observed`]; a
    /// temperature that is negative or not finite (`Value`).
    pub fn start(&self, images: &Images, temperature: f64, seed: u64) -> Result<Array2<f64>> {
        ensure!(
            0.0 <= temperature && temperature.is_finite(),
            Value,
            "expected a temperature of at least 0, got {temperature}"
        );
        let observed = self.observed(images)?;
        let middles = observed.middles();
        let mut points = Array2::zeros((observed.len(), self.dimension()));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut image = vec![0.0; observed.dimension()];
        for (i, mut row) in points.rows_mut().into_iter().enumerate() {
            observed.write_point(i, false, &mut rng, &mut image);
            for (x, middle) in image.iter_mut().zip(middles.row(i)) {
                *x = middle + temperature * (*x - middle);
            }
            let noise = standard_gaussian(image.len(), &mut rng);
            let noise: Vec<f64> = noise.map(|e| temperature * e).collect();
            let row = row.as_slice_mut().expect("row-major order");
            self.write_point(&image, &noise, 1.0, row, None);
        }
        Ok(points)
    }

    /// What is observed of images at time 1, as images of the same shape: gray in place of colours
    /// (of images in gray or in colour), one pixel enlarged to four (of images as low as the kept
    /// pixels, `[height/2, width/2]` rounded up, or of whole ones, of which the others are left out), or
    /// medium gray where pixels are hidden. Where nothing is restored, the images as they are.
    ///
    /// # Errors
    /// Images of another size than these (`Shape`).
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

    /// The baseline that a model has to beat, from what is observed of images: gray, bilinear
    /// interpolation of the kept pixels, or hidden pixels filled with the mean of the others in
    /// each channel.
    ///
    /// # Errors
    /// A path that restores nothing (`Setting`); images of another size (`Shape`).
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

    fn must_fit(&self, images: &Images) -> Result<()> {
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
    fn write_point(
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

/// So many standard Gaussian numbers.
fn standard_gaussian(n: usize, rng: &mut impl Rng) -> impl Iterator<Item = f64> {
    (0..n).map(|_| rng.sample(StandardNormal))
}

/// Whether super-resolution knows the pixel.
fn is_kept(y: usize, x: usize) -> bool {
    y.is_multiple_of(2) && x.is_multiple_of(2)
}

/// Gray, `[h * w]`, of three channels, `[3 * h * w]`.
fn gray(x: &[f64]) -> Vec<f64> {
    let size = x.len() / 3;
    let mut gray = vec![0.0; size];
    for (plane, luma) in x.chunks_exact(size).zip(LUMA) {
        for (gray, x) in gray.iter_mut().zip(plane) {
            *gray += luma * x;
        }
    }
    gray
}

/// Bilinear interpolation of a channel between the pixels in even rows and columns, the only ones
/// that are looked at; the last of them also stand for what lies beyond.
fn upsample(plane: &[f64], [h, w]: [usize; 2], out: &mut [f64]) {
    // The even neighbours on both sides: the same for an even place.
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

/// The path of [`Images`] under a [`Degradation`]: for every point an image is drawn, with the
/// noise of dequantisation. Images are kept as levels, a byte each.
///
/// ```
/// use actum::{gallery::Shapes, path::{Degradation, ImagePath, Path}};
/// use rand::SeedableRng;
///
/// let images = Shapes { height: 8, width: 8, channels: 3 }.draw(100, 0)?;
/// let path = ImagePath::new(images, Degradation::colorization([8, 8, 3])?)?;
/// let draw = path.sample(&[0.0, 0.5], &mut rand_chacha::ChaCha8Rng::seed_from_u64(0));
/// assert_eq!(draw.points.dim(), (2, (3 + 1) * 8 * 8));
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImagePath {
    images: Images,
    degradation: Degradation,
    mirrors: bool,
}

impl ImagePath {
    /// The path of images, all of which are as likely.
    ///
    /// # Errors
    /// Images of another shape than those of the degradation (`Shape`).
    pub fn new(images: Images, degradation: Degradation) -> Result<Self> {
        degradation.must_fit(&images)?;
        Ok(Self {
            images,
            degradation,
            mirrors: false,
        })
    }

    /// The same path of images of which half, drawn at random, are mirrored left to right.
    pub fn with_mirrored(self) -> Self {
        Self {
            mirrors: true,
            ..self
        }
    }

    /// The images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// What happens to them.
    pub fn degradation(&self) -> &Degradation {
        &self.degradation
    }
}

impl Path for ImagePath {
    fn dimension(&self) -> usize {
        self.degradation.dimension()
    }

    fn span(&self) -> [f64; 2] {
        self.degradation.span()
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn process(&self) -> Option<Process> {
        self.degradation.as_process()
    }

    /// Which images and which noise are drawn does not depend on the times.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let (n, d) = (times.len(), self.dimension());
        // A generator for each row, so that rows can be drawn side by side.
        let rows: Vec<(f64, u64)> = times.iter().map(|t| (*t, rng.random())).collect();
        let mut points = vec![0.0; n * d];
        let mut velocities = vec![0.0; n * d];
        let each = rows.into_par_iter().zip(points.par_chunks_exact_mut(d));
        each.zip(velocities.par_chunks_exact_mut(d))
            .for_each(|(((t, seed), point), velocity)| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let i = rng.random_range(0..self.images.len());
                let mirrored = self.mirrors && rng.random();
                let mut image = vec![0.0; self.images.dimension()];
                self.images.write_point(i, mirrored, &mut rng, &mut image);
                let noise: Vec<f64> = standard_gaussian(image.len(), &mut rng).collect();
                self.degradation
                    .write_point(&image, &noise, t, point, Some(velocity));
            });
        let array = |numbers| Array2::from_shape_vec((n, d), numbers).expect("a row for each time");
        PathSample::new(array(points)).with_velocities(array(velocities))
    }
}

#[cfg(test)]
mod tests;

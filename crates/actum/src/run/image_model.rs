//! What a fit to images can do, and how well.

use ndarray::{Array2, Array4, Axis, concatenate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::Serialize;

use crate::{
    cloud::Cloud,
    data::Images,
    dynamics::Dynamics,
    error::{Result, ensure},
    flow::{
        Scheme,
        likelihood::{TraceEstimator, bits_per_dimension, log_density},
        simulate,
    },
    memory, metric,
    path::Degradation,
    problem::Method,
    score::Score,
};

/// A learned motion of images, and what it undoes.
#[derive(Debug, Clone)]
pub struct ImageModel {
    motion: Dynamics,
    degradation: Degradation,
}

/// Images that a model made.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The images.
    pub images: Images,
    /// How often the velocity of all of them was evaluated.
    pub evaluations: usize,
}

/// How far generated images are from real ones, as points in [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleQuality {
    /// The [energy distance](metric::energy_distance).
    pub energy: f64,
    /// The [sliced W2](metric::sliced_wasserstein_2) along 500 directions.
    pub sliced_w2: f64,
}

/// How good generated images are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerationMetrics {
    /// How many images were generated, and compared with as many real ones.
    pub images: usize,
    /// The model's.
    pub model: SampleQuality,
    /// Those of the Gaussian with the mean and the covariance of all real ones.
    pub gaussian: SampleQuality,
    /// As many other real ones: nothing is nearer. None where there are too few.
    pub real: Option<SampleQuality>,
    /// How often the velocity was evaluated.
    pub evaluations: usize,
    /// What a code for the levels of a number takes, by Hutchinson's estimate; None for the path
    /// `heat`, whose law at time 1 is not known.
    pub bits_per_dimension: Option<f64>,
    /// Over how many images that is a mean.
    pub bits_of: usize,
}

/// How good restored images are: means over all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestorationMetrics {
    /// How many images were restored.
    pub images: usize,
    /// The PSNR of the model, in decibels, the mean over images. One counts at most 58.9, what
    /// rounding to levels costs: a gray image is its own baseline.
    pub psnr: f64,
    /// That of the [baseline](Degradation::baseline).
    pub baseline_psnr: f64,
    /// The SSIM of the model; None for images too small for it.
    pub ssim: Option<f64>,
    /// That of the baseline.
    pub baseline_ssim: Option<f64>,
    /// How often the velocity was evaluated.
    pub evaluations: usize,
}

/// `10 log10(255^2 / (1/12))`: an error uniform within a level.
const ROUNDED: f64 = 58.92;

/// How many images the Gaussian is fitted to at most.
const FITTED: usize = 10_000;

impl ImageModel {
    /// What suits sampling: errors of the network are larger.
    pub const SCHEME: Scheme = Scheme::DormandPrince { tolerance: 1e-3 };

    /// Joins the parts, of which the first is what was fitted: a motion, or [a score as if it were
    /// one](Score::dynamics).
    ///
    /// # Errors
    /// Something learned of points of another dimension (`Shape`); a score of images that do not
    /// dissolve under a process (`Setting`).
    pub fn new(method: Method, learned: Dynamics, degradation: Degradation) -> Result<Self> {
        let (found, expected) = (learned.units.dimension(), degradation.dimension());
        ensure!(
            found == expected,
            Shape,
            "the images are points of {expected} numbers, the motion is of {found}"
        );
        let motion = match method {
            Method::Action => learned,
            Method::Score => Score::new(learned, degradation.as_process()).motion()?,
        };
        Ok(Self {
            motion,
            degradation,
        })
    }

    /// Generates `n` images. The path `heat` starts from the mean colours of `like`, drawn at random.
    ///
    /// # Errors
    /// A model that restores; `heat` without images; a motion that diverges.
    pub fn sample(
        &self,
        n: usize,
        seed: u64,
        scheme: Scheme,
        like: Option<&Images>,
    ) -> Result<Samples> {
        ensure!(
            !self.degradation.restores(),
            Setting,
            "this model restores images and generates none"
        );
        ensure!(n > 0, Value, "expected at least one image, got 0");
        let d = self.degradation.dimension();
        memory::check(&[n, d], 64, format_args!("{n} images of {d} numbers"))?;
        let start = match (self.degradation.prior(n, seed), like) {
            (Err(_), Some(like)) => {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let chosen: Vec<usize> = (0..n).map(|_| rng.random_range(0..like.len())).collect();
                self.degradation.start(&like.select(&chosen)?, 1.0, seed)?
            }
            (prior, _) => prior?,
        };
        self.finish(start, scheme, "generated")
    }

    /// Restores images of which only [what is observed](Degradation::observed) is used, from
    /// noise of [`temperature`](Degradation::start).
    ///
    /// # Errors
    /// A model that generates; images of another size; a temperature below 0; a motion that diverges.
    pub fn restore(
        &self,
        images: &Images,
        temperature: f64,
        seed: u64,
        scheme: Scheme,
    ) -> Result<Samples> {
        self.must_restore()?;
        let start = self.degradation.start(images, temperature, seed)?;
        self.finish(start, scheme, images.source())
    }

    /// For every image, side by side: what is observed of it, the baseline, the restored one
    /// and, where it is of full size and in as many channels, the image itself. Also how many that
    /// are.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn beside(
        &self,
        images: &Images,
        temperature: f64,
        seed: u64,
        scheme: Scheme,
    ) -> Result<(Images, usize)> {
        let restored = self.restore(images, temperature, seed, scheme)?.images;
        let mut columns = vec![
            self.degradation.observed(images)?,
            self.degradation.baseline(images)?,
            restored,
        ];
        if images.shape() == self.degradation.shape() {
            columns.push(images.clone());
        }
        let all: Vec<_> = columns.iter().map(|c| c.pixels().view()).collect();
        let all: Array4<u8> = concatenate(Axis(0), &all).expect("images of one shape");
        let count = columns.len();
        let order: Vec<usize> = (0..images.len())
            .flat_map(|i| (0..count).map(move |k| k * images.len() + i))
            .collect();
        Ok((Images::new(all, images.source())?.select(&order)?, count))
    }

    /// The bits that each number of images takes, by [Hutchinson's
    /// estimate](TraceEstimator::Hutchinson), dequantised.
    ///
    /// # Errors
    /// A path [without a prior](Degradation::has_prior) (`Setting`); images of another size; a
    /// motion that diverges.
    pub fn bits_per_dimension(&self, images: &Images, seed: u64, scheme: Scheme) -> Result<f64> {
        let [first, last] = self.degradation.span();
        let d = self.degradation.dimension();
        // Refuses, with a reason, before anything is computed.
        self.degradation.log_prior(&Array2::zeros((0, d)))?;
        let base = |x: &Array2<f64>| self.degradation.log_prior(x).expect("a path with a prior");
        let x = self.degradation.points(images, seed)?;
        let divergence = TraceEstimator::Hutchinson { seed };
        let density = log_density(&self.motion, &x, first, last, base, divergence, scheme)?;
        bits_per_dimension(&density, d, self.degradation.bin())
    }

    /// Compares `n` generated images with `n` of `data` that are drawn at random, and `bits_of` of
    /// these with the density.
    ///
    /// # Errors
    /// As [`sample`](Self::sample); fewer images than that, or fewer than 2.
    pub fn generation(
        &self,
        data: &Images,
        n: usize,
        bits_of: usize,
        seed: u64,
        scheme: Scheme,
    ) -> Result<GenerationMetrics> {
        ensure!(
            2 <= n && n <= data.len(),
            Value,
            "expected between 2 and all {} images, got {n}",
            data.len()
        );
        let bits_of = bits_of.min(n);
        let data = &data.sample(FITTED.max(2 * n), seed)?;
        let some = |from: usize, to: usize| data.select(&(from..to).collect::<Vec<_>>());
        let real = Cloud::new(some(0, n)?.points(seed))?;
        let quality = |images: &Images, seed: u64| -> Result<SampleQuality> {
            let cloud = Cloud::new(images.points(seed))?;
            Ok(SampleQuality {
                energy: metric::energy_distance(&cloud, &real)?,
                sliced_w2: metric::sliced_wasserstein_2(&cloud, &real, 500, seed)?,
            })
        };
        let samples = self.sample(n, seed, scheme, Some(data))?;
        Ok(GenerationMetrics {
            images: n,
            model: quality(&samples.images, seed + 1)?,
            gaussian: quality(&gaussian(data, n, seed)?, seed + 1)?,
            real: if 2 * n <= data.len() {
                Some(quality(&some(n, 2 * n)?, seed + 1)?)
            } else {
                None
            },
            evaluations: samples.evaluations,
            bits_per_dimension: if self.degradation.has_prior() {
                Some(self.bits_per_dimension(&some(0, bits_of)?, seed, scheme)?)
            } else {
                None
            },
            bits_of,
        })
    }

    /// Restores images and compares them with what they were.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); images that are not whole (`Shape`).
    pub fn restoration(
        &self,
        images: &Images,
        temperature: f64,
        seed: u64,
        scheme: Scheme,
    ) -> Result<RestorationMetrics> {
        self.must_restore()?;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let psnr = |found: &Images| -> Result<f64> {
            let each = metric::psnr(found, images)?.into_iter();
            Ok(mean(each.map(|decibels| decibels.min(ROUNDED)).collect()))
        };
        let baseline = self.degradation.baseline(images)?;
        let samples = self.restore(images, temperature, seed, scheme)?;
        let ssim = |found: &Images| metric::ssim(found, images).ok().map(mean);
        Ok(RestorationMetrics {
            images: images.len(),
            psnr: psnr(&samples.images)?,
            baseline_psnr: psnr(&baseline)?,
            ssim: ssim(&samples.images),
            baseline_ssim: ssim(&baseline),
            evaluations: samples.evaluations,
        })
    }

    fn must_restore(&self) -> Result<()> {
        ensure!(
            self.degradation.restores(),
            Setting,
            "this model generates images and restores none"
        );
        Ok(())
    }

    /// From time 1 to the images.
    fn finish(&self, start: Array2<f64>, scheme: Scheme, source: &str) -> Result<Samples> {
        let [first, last] = self.degradation.span();
        let start = Cloud::new(start)?;
        let moved = simulate(&self.motion, &start, last, &[first], scheme, 0)?;
        Ok(Samples {
            images: self.degradation.images(moved.at(0).view(), source)?,
            evaluations: moved.evaluations,
        })
    }
}

/// `n` images of the Gaussian with the mean and covariance of `data`, of the first 10,000 of many.
fn gaussian(data: &Images, n: usize, seed: u64) -> Result<Images> {
    let fitted = FITTED.min(data.len());
    let mut centered = data.select(&(0..fitted).collect::<Vec<_>>())?.points(seed);
    let mean = centered.mean_axis(Axis(0)).expect("at least one image");
    centered -= &mean;
    // A combination of the images by Gaussian numbers has their covariance: no matrix is factored.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shares = Array2::from_shape_simple_fn((n, fitted), || {
        rng.sample::<f64, _>(StandardNormal) / (fitted as f64).sqrt()
    });
    Images::of_points(
        (shares.dot(&centered) + mean).view(),
        data.shape(),
        "gaussian",
    )
}

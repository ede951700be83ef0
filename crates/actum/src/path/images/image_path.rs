//! The path of images under a degradation.

use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Degradation, standard_gaussian};
use crate::{
    data::Images,
    error::Result,
    path::{Path, PathSample, Process},
};

/// The path of [`Images`] under a [`Degradation`]. Every draw is a random image with the noise of
/// dequantisation. Images are stored as levels, one byte per number.
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
    /// The path of images, drawn with equal probability.
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

    /// The same path with half of the drawn images, chosen at random, mirrored left to right.
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

    /// The degradation of the images.
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

    fn arc_length(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        Some(self.degradation.arc_length())
    }

    /// The images and the noise that are drawn do not depend on the times.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let (n, d) = (times.len(), self.dimension());
        // One generator per row lets rows be drawn in parallel with the same result on any number
        // of threads.
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

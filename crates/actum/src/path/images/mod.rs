//! Degraded images, which a model learns to generate or restore.

mod degradation;
mod heat;
mod image_path;
mod mask;
mod observed;
mod prior;
mod weights;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

pub use degradation::Degradation;
pub use image_path::ImagePath;
pub use mask::Mask;

/// `n` standard Gaussian numbers.
fn standard_gaussian(n: usize, rng: &mut impl Rng) -> impl Iterator<Item = f64> {
    (0..n).map(|_| rng.sample(StandardNormal))
}

#[cfg(test)]
mod tests;

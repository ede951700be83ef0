//! Images that lose what a model is to give back.

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

/// So many standard Gaussian numbers.
fn standard_gaussian(n: usize, rng: &mut impl Rng) -> impl Iterator<Item = f64> {
    (0..n).map(|_| rng.sample(StandardNormal))
}

#[cfg(test)]
mod tests;

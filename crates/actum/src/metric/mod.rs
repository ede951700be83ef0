//! Distances between two weighted clouds of any sizes, and between restored images and true ones.
//!
//! All distances of clouds divide the weights by their sum and need O(n + m) memory. They run in
//! parallel over points with sums in a fixed order. All fail with `Shape` when the clouds have
//! different dimensions.

mod image;
mod kernel;
mod wasserstein;

pub use image::{psnr, ssim};
pub(crate) use kernel::mean_distance;
#[cfg(feature = "train")]
pub(crate) use kernel::mean_distances;
pub use kernel::{
    GAMMAS, REACH, energy_distance, mmd_squared, mmd_squared_with, unbiased_energy_distance,
};
pub use wasserstein::{sinkhorn_divergence, sliced_wasserstein_2, wasserstein_1, wasserstein_2};

#[cfg(test)]
mod tests;

//! Between arrays and tensors, and where tensors live.

pub use burn::tensor::Device;
use burn::tensor::{Element, Tensor, TensorData};
use ndarray::ArrayView2;

use crate::error::{Error, Result};

/// The device of a name: `cpu`, and `cuda`, `vulkan` or `metal` where the library was built with
/// the feature of that name (the first GPU is taken).
///
/// # Errors
/// A device that is not built in.
pub fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        _ => {
            let built_in = [
                ("cpu", true),
                ("cuda", cfg!(feature = "cuda")),
                ("vulkan", cfg!(feature = "vulkan")),
                ("metal", cfg!(feature = "metal")),
            ];
            let names = built_in.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
            Err(Error::missing(
                format!(
                    "the device `{name}` (GPUs need a build with the feature cuda, vulkan or metal)"
                ),
                names,
            ))
        }
    }
}

/// An array `[n, d]` as a tensor of the device's float type.
pub(crate) fn matrix(values: ArrayView2<f64>, device: &Device) -> Tensor<2> {
    let shape = [values.nrows(), values.ncols()];
    let values: Vec<f64> = values.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Numbers `[n]` as a tensor `[n, 1]`.
pub(crate) fn column(values: &[f64], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len(), 1]), device)
}

/// The numbers of a tensor in row-major order.
pub(crate) fn numbers<E: Element, const D: usize>(tensor: Tensor<D>) -> Vec<E> {
    tensor
        .try_into_vec_as()
        .expect("a float tensor can be read as numbers")
}

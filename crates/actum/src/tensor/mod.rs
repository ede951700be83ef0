//! Between arrays and tensors, and where tensors live.

pub use burn::tensor::Device;
use burn::tensor::{DeviceType, Element, Tensor, TensorData};
use ndarray::ArrayView2;

use crate::error::{Error, ErrorKind, Result};

/// The device of a name: `cpu`, and `cuda`, `vulkan` or `metal` where the library was built with
/// the feature of that name (the first that its driver lists is taken).
///
/// # Errors
/// A device that is not built in, or that this machine does not have.
pub fn device(name: &str) -> Result<Device> {
    let built_in = [
        ("cpu", DeviceType::Flex),
        #[cfg(feature = "cuda")]
        ("cuda", DeviceType::Cuda),
        #[cfg(feature = "vulkan")]
        ("vulkan", DeviceType::Vulkan),
        #[cfg(feature = "metal")]
        ("metal", DeviceType::Metal),
    ];
    let Some((_, kind)) = built_in.iter().find(|(known, _)| *known == name) else {
        return Err(Error::missing(
            format!(
                "the device `{name}` (GPUs need a build with the feature cuda, vulkan or metal)"
            ),
            built_in.map(|(name, _)| name),
        ));
    };
    let mut found = Device::enumerate(kind.clone()).into_vec().into_iter();
    found.next().ok_or_else(|| {
        Error::new(
            ErrorKind::Missing,
            format!(
                "no GPU is reached through `{name}` on this machine; install its driver or use the \
                 device cpu"
            ),
        )
    })
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

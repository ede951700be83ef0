//! Networks of your own in the tensors of [Burn](burn), on any of its devices (feature `tensor`).
//!
//! A network says what `s_t(x)` is along a [`Jet`], a value with its derivatives along a line. A
//! [`TensorEngine`] makes all that a fit needs of it: values, gradients and second derivatives, and
//! by automatic differentiation the gradient in the parameters. The built-in networks take the same
//! way to a GPU ([`action::Device`](crate::action::Device)).
//!
//! ```
//! use actum::{action::{Action, Engine}, tensor::{Device, Jet, Network, TensorEngine}};
//! use burn::module::{Module, Param};
//! use burn::tensor::Tensor;
//! use ndarray::array;
//!
//! /// `s = w . x`, a constant velocity.
//! #[derive(Module, Debug)]
//! struct Constant {
//!     velocity: Param<Tensor<2>>,
//! }
//!
//! impl Network for Constant {
//!     fn dimension(&self) -> usize {
//!         self.velocity.dims()[0]
//!     }
//!
//!     fn scalar(&self, _: Jet<2>, x: Jet<2>) -> Jet<2> {
//!         x.map(|x| x.matmul(self.velocity.val()))
//!     }
//! }
//!
//! let device = Device::flex();
//! let velocity = Param::from_tensor(Tensor::from_data([[3.0], [-1.0]], &device));
//! let engine = TensorEngine::new(Constant { velocity }, &device);
//! let gradients = engine.gradient(&[0.5], array![[7.0, 8.0]].view());
//! assert_eq!(gradients, array![[3.0, -1.0]]);
//! assert_eq!(engine.parameters(), [3.0, -1.0]);
//! ```

mod built_in;
mod engine;
mod jet;

pub use burn::tensor::Device;
use burn::{module::Module, tensor::DeviceType};

pub(crate) use built_in::place;
pub use engine::TensorEngine;
pub use jet::Jet;

use crate::error::{Error, ErrorKind, Result};

/// An action `s_t(x)` in tensors.
pub trait Network: Module {
    /// The number of columns of points, d.
    fn dimension(&self) -> usize;

    /// `s`, `[n, 1]`, of times `[n, 1]` and points `[n, d]` that move along a line.
    fn scalar(&self, t: Jet<2>, x: Jet<2>) -> Jet<2>;

    /// How many rows are computed at once, which bounds the memory of activations.
    fn rows(&self) -> usize {
        8192
    }
}

/// The GPUs that are built in.
pub(crate) const GPUS: &[&str] = &[
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "vulkan")]
    "vulkan",
    #[cfg(feature = "metal")]
    "metal",
];

/// The first GPU that the driver of one of [`GPUS`] lists.
///
/// # Errors
/// A device that this machine does not have.
pub(crate) fn gpu(name: &str) -> Result<Device> {
    let kind = match name {
        #[cfg(feature = "cuda")]
        "cuda" => DeviceType::Cuda,
        #[cfg(feature = "vulkan")]
        "vulkan" => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        "metal" => DeviceType::Metal,
        _ => DeviceType::Flex,
    };
    let mut found = Device::enumerate(kind).into_vec().into_iter();
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

//! `s_t(x)`: the scalar field whose gradient moves the population.

pub mod fused;
mod mlp;
pub(crate) mod parameters;
mod unet;

use burn::tensor::Tensor;

pub use mlp::Mlp;
pub use unet::{Scalar, Sizes, UNet};

use crate::error::{Result, ensure};

fn check_sizes(dimension: usize, width: usize, depth: usize) -> Result<()> {
    for (name, value) in [("dimension", dimension), ("width", width), ("depth", depth)] {
        ensure!(
            value > 0,
            Setting,
            "the network's {name} must be at least 1, got 0"
        );
    }
    Ok(())
}

/// An action `s_t(x)`, in the network's [units](crate::units::Units): `t` is `[n, 1]`, `x` is
/// `[n, d]`, rows are independent of each other.
pub trait Action {
    /// The number of columns of `x`, d.
    fn dimension(&self) -> usize;

    /// `s_t(x)`, `[n, 1]`.
    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2>;

    /// `grad_x s_t(x)`, `[n, d]`. Called without autodiff: the result is a number, not a graph.
    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2>;

    /// The tangent of `s` along `(dt, dx)`, `[n, 1]`: `dt * d_t s + dx . grad s`, by forward-mode
    /// differentiation written in ordinary tensor operations, so that one reverse sweep gives its
    /// gradient in the parameters (docs/mathematics.md, section 3).
    fn push(&self, t: Tensor<2>, x: Tensor<2>, dt: Tensor<2>, dx: Tensor<2>) -> Tensor<2>;

    /// The second derivative of `s` along a direction e of every row, `e' (grad^2 s) e`, `[n, 1]`
    /// for directions `[n, d]`, in ordinary tensor operations like [`push`](Self::push): the
    /// second coefficient of its Taylor series. Over the unit vectors it adds up to the Laplacian.
    fn curvature(&self, t: Tensor<2>, x: Tensor<2>, direction: Tensor<2>) -> Tensor<2>;

    /// The same function laid out for the CPU, where it is there and has such a layout: then that
    /// is used in place of tensors, and gives the same numbers sooner.
    fn fused(&self) -> Option<fused::Network> {
        None
    }

    /// [`Workspace::step`](fused::Workspace::step) and the gradient in the parameters, a slice for
    /// each in the order a module visits them, by code of the action's own for the CPU, where it
    /// is there and has such: then that is used in place of autodiff, and gives the same numbers
    /// sooner.
    fn step(
        &self,
        _interior: fused::Interior<'_>,
        _boundary: &[fused::Rows<'_>],
        _direction: &fused::Direction<'_>,
    ) -> Option<(fused::Terms, Vec<Vec<f32>>)> {
        None
    }
}

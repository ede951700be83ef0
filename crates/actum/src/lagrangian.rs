//! The terms of the objective, and what each means when the population moves.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// `H = c*(grad s)`: what the action is charged for in the interior of the objective
/// (Action Matching, equation 5; docs/mathematics.md, section 2).
///
/// The kinetic cost `c(v) = |v|^2 / 2` is its own conjugate, and `v = grad s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lagrangian {}

impl Lagrangian {
    /// Plain Action Matching: kinetic energy, no noise, no growth.
    pub fn kinetic() -> Self {
        Self {}
    }

    /// `v = grad c*(p)` for gradients `p`, `[n, d]`.
    pub fn velocity(&self, gradient: Tensor<2>) -> Tensor<2> {
        gradient
    }

    /// `c*(p)` for gradients `p`, `[n, d]`: `[n, 1]`.
    pub fn conjugate(&self, gradient: Tensor<2>) -> Tensor<2> {
        gradient.square().sum_dim(1) * 0.5
    }

    /// As [`velocity`](Self::velocity), in place, for gradients of one row or many.
    pub(crate) fn move_along(&self, _gradients: &mut [f32]) {}

    /// As [`conjugate`](Self::conjugate), for the gradient of one row.
    pub(crate) fn conjugate_of(&self, gradient: &[f32]) -> f32 {
        0.5 * gradient.iter().map(|p| p * p).sum::<f32>()
    }
}

//! The multilayer perceptron.

mod columns;
mod engine;
mod factor;
mod layout;
mod second_order;
mod tile;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Architecture, Engine, Precision, Shape};
use crate::error::{Result, ensure};

pub use engine::MlpEngine;

/// The size of a multilayer perceptron, `s = h_{L-1} w + b`, `h_l = phi(h_{l-1} W_l + b_l)`,
/// `h_0 = (x, t)`, with `phi(z) = z / (1 + e^{-z})` (swish), which is smooth, as a field that is
/// differentiated twice must be.
///
/// Time enters as one more column, 2t - 1. Fourier features of time fit the exact tests no better
/// (docs/design.md has the numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Units of a hidden layer, at least 1.
    pub width: usize,
    /// Hidden layers, at least 1.
    pub depth: usize,
}

impl Default for Mlp {
    fn default() -> Self {
        Self {
            width: 128,
            depth: 3,
        }
    }
}

impl Mlp {
    /// Checks every size against its range.
    ///
    /// # Errors
    /// A width or depth of 0.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("width", self.width), ("depth", self.depth)] {
            ensure!(value > 0, Setting, "`{name}` must be at least 1, got 0");
        }
        Ok(())
    }
}

impl Architecture for Mlp {
    fn engine(&self, shape: Shape, mut rng: &mut dyn Rng) -> Result<Box<dyn Engine>> {
        Ok(Box::new(MlpEngine::new(
            shape.dimension(),
            *self,
            &mut rng,
        )?))
    }

    fn precision(&self, asked: Precision) -> Precision {
        asked.here()
    }
}

#[cfg(test)]
mod tests;

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
    /// Units of a hidden layer, from 1 to 65536.
    pub width: usize,
    /// Hidden layers, from 1 to 1024.
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
    /// A width or depth of 0, or above the greatest.
    pub fn check(&self) -> Result<()> {
        for (name, value, most) in [("width", self.width, 1 << 16), ("depth", self.depth, 1024)] {
            ensure!(
                (1..=most).contains(&value),
                Setting,
                "`{name}` must be from 1 to {most}, got {value}"
            );
        }
        Ok(())
    }

    /// How many parameters a network of this size has at least, for points of `dimension` columns.
    pub(crate) fn least_parameters(&self, dimension: usize) -> usize {
        let hidden = (self.width * self.width).saturating_mul(self.depth - 1);
        hidden.saturating_add(self.width.saturating_mul(dimension))
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

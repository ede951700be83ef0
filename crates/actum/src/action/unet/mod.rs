//! The U-Net, for images.
//!
//! Its architecture is a list of operations (`program`), written once. The engine of this folder
//! runs the list over the buffers of one image; the tensor adapter runs it over tensors.

mod attend;
mod buffers;
mod engine;
mod image;
mod linear;
mod moving;
mod norm;
mod product;
mod program;
mod rounded;
mod second_order;
mod sweeps;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Architecture, Engine, ImageShape, Precision, Shape};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    memory,
};

pub use engine::UNetEngine;
#[cfg(feature = "tensor")]
pub(crate) use program::{Op, Program, waves};

/// How many neighbouring channels are normalised together.
pub(crate) const GROUP: usize = 4;
/// What is added to their variance.
pub(crate) const EPSILON: f32 = 1e-5;
/// How many frequencies time is seen by.
pub(crate) const FREQUENCIES: usize = 8;
/// The most pixels that attention takes, which keeps a weight for each pair of them.
pub(crate) const ATTENDED: usize = 64 * 64;

/// The size of a U-Net, `s_t(x) = <h(t, x), x>` with a network h, or the other [`Scalar`].
///
/// h is the network of Ho, Jain and Abbeel (2020) with mean pooling and doubled pixels between the
/// levels: residual blocks of group normalisation (four channels to a group), swish and 3x3
/// convolutions, to which dense features of time are added; one head of self-attention at the
/// coarsest level; a skip from every block on the way down to one on the way up. It has as many
/// output channels as are moved, and its last layer starts at 0.
///
/// The product is the default. It starts at rest and can take either sign: along a diffusion s is
/// about `(sigma'/2 sigma) |x|^2` near the data, which `h = c x` gives, while `-|h - x|^2 / 2` is
/// nowhere above 0, so that what expands is out of its reach but far from its top. Both have the
/// same derivative in h at the start, x; but the product is linear in the last layer, in which the
/// objective is then convex, and it has fewer bits per dimension after as many steps
/// (experiments/images). A value at x = 0 it cannot have, but that moves nothing.
///
/// On circles h sees `(cos 2 pi x, sin 2 pi x)` in place of x, gives as many channels, and s is
/// made of these.
///
/// The conditioning channels are inputs of h alone and constants of s: the gradient has zeros
/// there, and what a direction has there is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNet {
    /// The width at full size, a multiple of 4; it is twice as wide below.
    pub channels: usize,
    /// How many sizes of images there are, each half of the one above; where it is not given, as
    /// many as halve both sides until one is odd, or has at most 8 pixels and attention takes what
    /// is left.
    pub levels: Option<usize>,
    /// Residual blocks of a level, on the way down and again on the way up.
    pub blocks: usize,
    /// What the action is of the output of the network: `product` or `distance`.
    pub scalar: Scalar,
}

impl Default for UNet {
    fn default() -> Self {
        Self {
            channels: 16,
            levels: None,
            blocks: 1,
            scalar: Scalar::default(),
        }
    }
}

impl UNet {
    /// The levels for images of so many pixels.
    fn levels_for(&self, height: usize, width: usize) -> usize {
        let is_halved = |halvings: &u32| {
            let [h, w] = [height, width].map(|side| side >> halvings);
            h.is_multiple_of(2) && w.is_multiple_of(2) && (h.min(w) > 8 || h * w > ATTENDED)
        };
        let most = || 1 + (0..).take_while(is_halved).count();
        self.levels.unwrap_or_else(most)
    }

    /// All that is to be known of a network for images of this shape.
    pub fn sizes(&self, images: ImageShape) -> Sizes {
        Sizes {
            target: images.target,
            conditioning: images.conditioning,
            height: images.height,
            width: images.width,
            channels: self.channels,
            levels: self.levels_for(images.height, images.width),
            blocks: self.blocks,
            periodic: images.periodic,
            scalar: self.scalar,
        }
    }
}

impl Architecture for UNet {
    fn engine(&self, shape: Shape, mut rng: &mut dyn Rng) -> Result<Box<dyn Engine>> {
        match shape {
            Shape::Images(images) => Ok(Box::new(UNetEngine::new(self.sizes(images), &mut rng)?)),
            Shape::Columns(columns) => Err(Error::new(
                ErrorKind::Shape,
                format!("a U-Net is for images, got points of {columns} columns; use an `Mlp`"),
            )),
        }
    }

    fn precision(&self, asked: Precision) -> Precision {
        asked.here()
    }
}

/// A [`UNet`] with the shape of its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// The channels of an image that are moved, at least 1.
    pub target: usize,
    /// The channels that are fed and never moved.
    pub conditioning: usize,
    /// Rows of pixels: a multiple of `2^(levels - 1)`.
    pub height: usize,
    /// Columns of pixels: a multiple of `2^(levels - 1)`.
    pub width: usize,
    /// The width of the network at full size, a multiple of 4; it is twice as wide below.
    pub channels: usize,
    /// How many sizes of images there are, each half of the one above.
    pub levels: usize,
    /// Residual blocks of a level, on the way down and again on the way up.
    pub blocks: usize,
    /// Whether what moves lives on circles of length 1: then s has that period in each of its
    /// numbers.
    #[serde(default)]
    pub periodic: bool,
    /// What s is of the output of the network.
    #[serde(default)]
    pub scalar: Scalar,
}

/// What a [`UNet`] makes of its output h and of the images x (of what it [sees](UNet) of them, on
/// circles): the two forms of Neklyudov et al., *Action Matching* (ICML 2023), and Salimans and
/// Ho, *Should EBMs model the energy or the score?* (2021). In both the last layer of h starts at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    /// `<h, x>`, which starts at rest, `s = 0`, and takes either sign.
    #[default]
    Product,
    /// `-|h - x|^2 / 2`, which is nowhere above 0 and starts by drawing images to 0 (on circles,
    /// where `|x|` is the same everywhere, at rest).
    Distance,
}

impl Scalar {
    /// How much of `(|h|^2 + |x|^2) / 2` is taken off `<h, x>`.
    pub(crate) fn squares(self) -> f32 {
        match self {
            Self::Product => 0.0,
            Self::Distance => 1.0,
        }
    }
}

impl Sizes {
    /// The channels that the network sees of those that move, and as many that it gives.
    pub(crate) fn seen(&self) -> usize {
        if self.periodic {
            2 * self.target
        } else {
            self.target
        }
    }

    /// How many parameters the network has at least: those of two convolutions of 3 x 3 pixels in
    /// every block, down and up.
    pub(crate) fn least_parameters(&self) -> usize {
        let blocks = 4usize
            .saturating_mul(self.blocks)
            .saturating_mul(self.levels);
        let channels = self.channels.saturating_mul(self.channels);
        channels.saturating_mul(9).saturating_mul(blocks)
    }

    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The number of columns.
    pub(crate) fn dimension(&self) -> usize {
        (self.target + self.conditioning) * self.pixels()
    }

    /// The columns that are moved.
    pub(crate) fn moved(&self) -> usize {
        self.target * self.pixels()
    }

    fn check(&self) -> Result<()> {
        let Self {
            target,
            height,
            width,
            channels,
            levels,
            blocks,
            ..
        } = *self;
        for (name, value, most) in [
            ("target", target, 1 << 16),
            ("height", height, 1 << 16),
            ("width", width, 1 << 16),
            ("channels", channels, 1 << 14),
            ("levels", levels, 17),
            ("blocks", blocks, 1 << 10),
        ] {
            ensure!(
                (1..=most).contains(&value),
                Setting,
                "the U-Net's {name} must be from 1 to {most}, got {value}"
            );
        }
        ensure!(
            self.conditioning <= 1 << 16,
            Setting,
            "the U-Net's conditioning must be at most {}, got {}",
            1 << 16,
            self.conditioning
        );
        let what =
            format_args!("a U-Net of {channels} channels, {levels} levels and {blocks} blocks");
        memory::check(&[self.least_parameters()], 28, what)?;
        // What the sweeps keep of one image, by each thread.
        memory::check(&[self.pixels(), channels, blocks], 64, what)?;
        ensure!(
            channels.is_multiple_of(GROUP),
            Setting,
            "the U-Net's channels must be a multiple of {GROUP}, got {channels}; take {}",
            channels.next_multiple_of(GROUP)
        );
        let halvings = levels - 1;
        let most = height.trailing_zeros().min(width.trailing_zeros()) as usize + 1;
        let unit = 1usize.checked_shl(halvings as u32).unwrap_or(0);
        ensure!(
            levels <= most,
            Setting,
            "a U-Net of {levels} levels halves images {halvings} times, which {height}x{width} \
             does not allow; take at most {most} levels, or images of {}x{}",
            height.checked_next_multiple_of(unit).unwrap_or(unit),
            width.checked_next_multiple_of(unit).unwrap_or(unit)
        );
        let pixels = |times: usize| (height >> times).saturating_mul(width >> times);
        if pixels(halvings) > ATTENDED {
            let needed = (halvings..).find(|times| pixels(*times) <= ATTENDED);
            let step = 1 << needed.expect("halves end at 0");
            let [h, w] = [height, width].map(|side| (side / step * step).max(step));
            let remedy = if [h, w] == [height, width] {
                String::new()
            } else {
                format!("crop or scale images to multiples of {step}, such as {h}x{w}, and ")
            };
            return Err(Error::new(
                ErrorKind::Setting,
                format!(
                    "a U-Net of {levels} levels has {} pixels at its coarsest level of images of \
                     {height}x{width}, and attention takes at most {}; {remedy}take {} levels",
                    pixels(halvings),
                    ATTENDED,
                    step.ilog2() + 1
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

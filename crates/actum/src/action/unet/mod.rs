//! The U-Net as an action on images.

mod fused;
mod jet;
mod layers;

use std::f64::consts::{FRAC_PI_2, TAU};

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor, TensorData},
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use self::{
    jet::Jet,
    layers::{Attention, Block, Clock, Convolution, GROUP, Norm, Start, double, halve},
};
use super::{
    Action,
    fused::{Direction, Interior, Rows, Terms},
};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    tensor::numbers,
};

/// The sizes of a [`UNet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// The channels of an image that are moved, at least 1.
    pub moved: usize,
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
    fn squares(self) -> f32 {
        match self {
            Self::Product => 0.0,
            Self::Distance => 1.0,
        }
    }
}

impl Sizes {
    /// The channels that the network sees of those that move, and as many that it gives.
    fn seen(&self) -> usize {
        if self.periodic {
            2 * self.moved
        } else {
            self.moved
        }
    }

    fn check(&self) -> Result<()> {
        let Self {
            moved,
            height,
            width,
            channels,
            levels,
            blocks,
            ..
        } = *self;
        for (name, value) in [
            ("moved", moved),
            ("height", height),
            ("width", width),
            ("channels", channels),
            ("levels", levels),
            ("blocks", blocks),
        ] {
            ensure!(
                value > 0,
                Setting,
                "the U-Net's {name} must be at least 1, got 0"
            );
        }
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
        if pixels(halvings) > UNet::ATTENDED {
            let needed = (halvings..).find(|times| pixels(*times) <= UNet::ATTENDED);
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
                    UNet::ATTENDED,
                    step.ilog2() + 1
                ),
            ));
        }
        Ok(())
    }

    fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// `s_t(x) = <h(t, x), x>` with a U-Net h, or the other [`Scalar`], for images as rows: `x` is
/// `[n, (moved + conditioning) * height * width]`, channel after channel, each in row-major order,
/// the conditioning channels last.
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
#[derive(Module, Debug)]
pub struct UNet {
    #[module(skip)]
    sizes: Sizes,
    clock: Clock,
    first: Convolution,
    /// All blocks on the way down, level after level.
    down: Vec<Block>,
    before: Block,
    attention: Attention,
    after: Block,
    /// All blocks on the way up.
    up: Vec<Block>,
    norm: Norm,
    last: Convolution,
}

/// How many images are seen at once: bounds the memory of activations that no graph keeps.
const IMAGES: usize = 64;

impl UNet {
    /// The most pixels that attention takes, which keeps a weight for each pair of them.
    pub(crate) const ATTENDED: usize = 64 * 64;

    /// A network whose weights are drawn from N(0, 1/inputs); biases, the last layer and the last
    /// layer of every residual are 0: with the product the population starts at rest.
    ///
    /// # Errors
    /// A size of 0, but for conditioning channels; channels that are no multiple of 4; a height or
    /// width that cannot be halved as often as there are levels below the first; more than 4096
    /// pixels at the coarsest level.
    pub fn new(sizes: Sizes, device: &Device, rng: &mut impl Rng) -> Result<Self> {
        sizes.check()?;
        let Sizes {
            conditioning,
            channels,
            levels,
            blocks,
            ..
        } = sizes;
        let seen = sizes.seen();
        let time = 4 * channels;
        let width = |level: usize| if level == 0 { channels } else { 2 * channels };
        let first = Convolution::new(seen + conditioning, channels, Start::Random, device, rng);
        let mut inputs = channels;
        let mut down = vec![];
        for level in 0..levels {
            for _ in 0..blocks {
                down.push(Block::new(inputs, width(level), time, device, rng));
                inputs = width(level);
            }
        }
        let before = Block::new(inputs, inputs, time, device, rng);
        let attention = Attention::new(inputs, device, rng);
        let after = Block::new(inputs, inputs, time, device, rng);
        let mut up = vec![];
        for level in (0..levels).rev() {
            for _ in 0..blocks {
                up.push(Block::new(
                    inputs + width(level),
                    width(level),
                    time,
                    device,
                    rng,
                ));
                inputs = width(level);
            }
        }
        Ok(Self {
            sizes,
            clock: Clock::new(time, device, rng),
            first,
            down,
            before,
            attention,
            after,
            up,
            norm: Norm::new(channels, device),
            last: Convolution::new(channels, seen, Start::Zero, device, rng),
        })
    }

    /// The sizes it was made with.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The columns that are moved.
    fn moved(&self) -> usize {
        self.sizes.moved * self.sizes.pixels()
    }

    /// h at times and at what it sees of images, `[n, (seen + conditioning) * height * width]`;
    /// `[n, seen * height * width]`.
    fn network(&self, t: Jet<2>, x: Jet<2>) -> Jet<2> {
        let seen = self.sizes.seen();
        let Sizes {
            conditioning,
            height,
            width,
            blocks,
            ..
        } = self.sizes;
        let [n, _] = x.dims();
        let time = self.clock.apply(t);
        let images = x.map(|x| {
            x.reshape([n, seen + conditioning, height, width])
                .permute([0, 2, 3, 1])
        });
        let mut h = self.first.apply(images);
        let mut skips = vec![];
        for (level, down) in self.down.chunks_exact(blocks).enumerate() {
            if level > 0 {
                h = h.map(halve);
            }
            for block in down {
                h = block.apply(h, &time);
                skips.push(h.clone());
            }
        }
        h = self.before.apply(h, &time);
        h = self.attention.apply(h);
        h = self.after.apply(h, &time);
        for (level, up) in self.up.chunks_exact(blocks).enumerate() {
            if level > 0 {
                h = h.map(double);
            }
            for block in up {
                let skip = skips.pop().expect("a skip for every block");
                h = block.apply(h.beside(skip), &time);
            }
        }
        let h = self.last.apply(self.norm.apply(h).swish());
        h.map(|h| h.permute([0, 3, 1, 2]).reshape([n, seen * height * width]))
    }

    /// The same network laid out for the CPU, if it is there in f32, and no graph is asked for.
    fn fused(&self) -> Option<fused::Network> {
        let weight = self.first.weight.val();
        let plain = !weight.is_autodiff() && weight.dtype() == DType::F32;
        (plain && weight.device() == Device::flex()).then(|| fused::Network::of(self))
    }

    fn scalar(&self, t: Jet<2>, x: Jet<2>) -> Jet<2> {
        let mut seen = x.clone().map(|x| self.moving(x));
        let mut all = x.clone();
        if self.sizes.periodic {
            let turned = seen.map(|x| x * TAU);
            // cos x = sin(x + pi/2)
            let device = self.first.weight.val().device();
            let quarter = Tensor::full([1, 1], FRAC_PI_2, &device).without_autodiff();
            seen = turned.clone().shift(quarter).sin().beside(turned.sin());
            if self.sizes.conditioning > 0 {
                let d = self.dimension();
                let still = x.map(|x| x.narrow(1, self.moved(), d - self.moved()));
                all = seen.clone().beside(still);
            } else {
                all = seen.clone();
            }
        }
        let h = self.network(t, all);
        let dot = |a: Tensor<2>, b: Tensor<2>| (a * b).sum_dim(1);
        match self.sizes.scalar {
            Scalar::Product => h.product(&seen, dot),
            Scalar::Distance => {
                let off = h.add(seen.map(|x| -x));
                off.product(&off, dot).map(|square| square * -0.5)
            }
        }
    }

    /// The columns that are moved of all.
    fn moving(&self, x: Tensor<2>) -> Tensor<2> {
        x.narrow(1, 0, self.moved())
    }

    /// The same columns with zeros for those that are not moved.
    fn masked(&self, x: Tensor<2>) -> Tensor<2> {
        let [n, d] = x.dims();
        let moved = self.moved();
        if moved == d {
            return x;
        }
        let still = Tensor::zeros([n, d - moved], &x.device());
        Tensor::cat(vec![self.moving(x), still], 1)
    }
}

impl Action for UNet {
    fn dimension(&self) -> usize {
        (self.sizes.moved + self.sizes.conditioning) * self.sizes.pixels()
    }

    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        if let Some(network) = self.fused() {
            return rows([t, x], 1, |[t, x]| network.value(t, x));
        }
        in_parts([t, x], |[t, x]| {
            self.scalar(Jet::constant(t), Jet::constant(x)).last()
        })
    }

    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        if let Some(network) = self.fused() {
            return rows([t, x], self.dimension(), |[t, x]| network.gradient(t, x));
        }
        in_parts([t, x], |[t, x]| {
            let x = x.autodiff().require_grad();
            let s = self.scalar(Jet::constant(t), Jet::constant(x.clone()));
            let gradients = s.last().sum().backward();
            self.masked(x.grad(&gradients).expect("s depends on x"))
        })
    }

    fn push(&self, t: Tensor<2>, x: Tensor<2>, dt: Tensor<2>, dx: Tensor<2>) -> Tensor<2> {
        if let Some(network) = self.fused() {
            return rows([t, x, dt, dx], 1, |[t, x, dt, dx]| {
                network.push(t, x, dt, dx)
            });
        }
        in_parts([t, x, dt, dx], |[t, x, dt, dx]| {
            let x = Jet::line(x, self.masked(dx), 1);
            self.scalar(Jet::line(t, dt, 1), x).last()
        })
    }

    fn curvature(&self, t: Tensor<2>, x: Tensor<2>, direction: Tensor<2>) -> Tensor<2> {
        if let Some(network) = self.fused() {
            return rows([t, x, direction], 1, |[t, x, e]| network.curvature(t, x, e));
        }
        in_parts([t, x, direction], |[t, x, direction]| {
            let x = Jet::line(x, self.masked(direction), 2);
            self.scalar(Jet::constant(t), x).last()
        })
    }

    fn step(
        &self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        direction: &Direction<'_>,
    ) -> Option<(Terms, Vec<Vec<f32>>)> {
        if interior.curvature.is_some() {
            return None;
        }
        let network = self.fused()?;
        Some(network.step(interior, boundary, direction))
    }
}

/// A function of rows of numbers.
fn rows<const K: usize>(
    inputs: [Tensor<2>; K],
    columns: usize,
    f: impl FnOnce([&[f32]; K]) -> Vec<f32>,
) -> Tensor<2> {
    let (count, device) = (inputs[0].dims()[0], inputs[0].device());
    let inputs: [Vec<f32>; K] = inputs.map(numbers);
    let out = f(inputs.each_ref().map(Vec::as_slice));
    Tensor::from_data(TensorData::new(out, [count, columns]), &device)
}

/// A function of rows, some at a time.
fn in_parts<const K: usize>(
    inputs: [Tensor<2>; K],
    f: impl Fn([Tensor<2>; K]) -> Tensor<2>,
) -> Tensor<2> {
    let rows = inputs[0].dims()[0];
    let parts = (0..rows).step_by(IMAGES).map(|first| {
        let count = IMAGES.min(rows - first);
        f(inputs
            .each_ref()
            .map(|input| input.clone().narrow(0, first, count)))
    });
    Tensor::cat(parts.collect(), 0)
}

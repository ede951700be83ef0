//! The layers of the U-Net, on jets of images `[n, h, w, c]`.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData, module::conv2d, ops::ConvOptions},
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::jet::Jet;

/// How many neighbouring channels are normalised together.
pub(super) const GROUP: usize = 4;
/// What is added to their variance.
pub(super) const EPSILON: f32 = 1e-5;

/// How the weights of a layer start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Start {
    /// Drawn from N(0, 1/inputs).
    Random,
    /// 0, so that a residual block starts as the identity.
    Zero,
}

fn weights<const D: usize>(
    shape: [usize; D],
    start: Start,
    device: &Device,
    rng: &mut impl Rng,
) -> Param<Tensor<D>> {
    if start == Start::Zero {
        return Param::from_tensor(Tensor::zeros(shape, device));
    }
    let count: usize = shape.iter().product();
    let scale = ((count / shape[D - 1]) as f32).sqrt().recip();
    let values: Vec<f32> = StandardNormal
        .sample_iter(rng)
        .take(count)
        .map(|z: f32| z * scale)
        .collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

fn constant(value: f32, size: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::full([size], value, device))
}

/// A product with a matrix over the last axis, and a bias.
#[derive(Module, Debug)]
pub(super) struct Dense {
    pub weight: Param<Tensor<2>>,
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    pub fn new(
        inputs: usize,
        outputs: usize,
        start: Start,
        device: &Device,
        rng: &mut impl Rng,
    ) -> Self {
        Self {
            weight: weights([inputs, outputs], start, device, rng),
            bias: constant(0.0, outputs, device),
        }
    }

    pub fn apply<const D: usize>(&self, x: Jet<D>) -> Jet<D> {
        let weight = self.weight.val();
        let [inputs, outputs] = weight.dims();
        let product = x.map(|x| {
            let mut shape = x.dims();
            shape[D - 1] = outputs;
            let rows: Tensor<2> = x.reshape([-1, inputs as i64]);
            rows.matmul(weight.clone()).reshape(shape)
        });
        product.shift(self.bias.val().unsqueeze())
    }
}

/// A 3x3 convolution with zeros around the image, and a bias.
#[derive(Module, Debug)]
pub(super) struct Convolution {
    /// `[3, 3, inputs, outputs]`.
    pub weight: Param<Tensor<4>>,
    pub bias: Param<Tensor<1>>,
}

impl Convolution {
    pub fn new(
        inputs: usize,
        outputs: usize,
        start: Start,
        device: &Device,
        rng: &mut impl Rng,
    ) -> Self {
        Self {
            weight: weights([3, 3, inputs, outputs], start, device, rng),
            bias: constant(0.0, outputs, device),
        }
    }

    pub fn apply(&self, x: Jet<4>) -> Jet<4> {
        let weight = self.weight.val();
        let on_cpu = weight.device().without_autodiff() == Device::flex();
        let convolve = if on_cpu { by_library } else { by_product };
        x.map(|x| convolve(x, weight.clone()))
            .shift(self.bias.val().unsqueeze())
    }
}

/// Images `[n, h, w, inputs]` with weights `[3, 3, inputs, outputs]`.
fn by_library(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    // The library takes the channels first.
    let (x, weight) = (x.permute([0, 3, 1, 2]), weight.permute([3, 2, 0, 1]));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    conv2d(x, weight, None, options).permute([0, 2, 3, 1])
}

/// The same as one product with a matrix of all pixels and their neighbours. On GPUs the library wants to
/// tune its convolutions for every size, which takes more than a minute; products need no tuning.
fn by_product(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let ([n, h, w, inputs], [_, _, _, outputs]) = (x.dims(), weight.dims());
    let pixels = around(x).reshape([n * h * w, 9 * inputs]);
    let product = pixels.matmul(weight.reshape([9 * inputs, outputs]));
    product.reshape([n, h, w, outputs])
}

/// The channels of every pixel and its eight neighbours, row by row, zeros outside: `[n, h, w, 9 c]`.
fn around(x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let framed = Tensor::zeros([n, h + 2, w + 2, c], &x.device());
    let framed = framed.slice_assign([0..n, 1..h + 1, 1..w + 1, 0..c], x);
    let shifted = |k: usize| {
        let (down, right) = (k / 3, k % 3);
        framed
            .clone()
            .slice([0..n, down..down + h, right..right + w, 0..c])
    };
    Tensor::cat((0..9).map(shifted).collect(), 3)
}

/// Group normalisation with an affine map.
#[derive(Module, Debug)]
pub(super) struct Norm {
    pub scale: Param<Tensor<1>>,
    pub bias: Param<Tensor<1>>,
}

impl Norm {
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            scale: constant(1.0, channels, device),
            bias: constant(0.0, channels, device),
        }
    }

    pub fn apply(&self, x: Jet<4>) -> Jet<4> {
        let [n, h, w, c] = x.dims();
        let (scale, bias) = (self.scale.val().unsqueeze(), self.bias.val().unsqueeze());
        x.map(|x| x.reshape([n, h * w, c]))
            .normalise(scale, bias)
            .map(|x| x.reshape([n, h, w, c]))
    }
}

/// Features of time: the sine and cosine of t times frequencies from 1 to 32, and two dense layers.
/// Faster waves would make `d_t s`, which the objective holds, larger than any motion needs.
#[derive(Module, Debug)]
pub(super) struct Clock {
    pub first: Dense,
    pub second: Dense,
}

pub(super) const FREQUENCIES: usize = 8;

/// The frequency and the phase of every feature: cos x = sin(x + pi/2).
pub(super) fn waves() -> impl Iterator<Item = (f32, f32)> {
    let last = (FREQUENCIES - 1) as f32;
    (0..2 * FREQUENCIES).map(move |k| {
        let frequency = 32f32.powf((k % FREQUENCIES) as f32 / last);
        let phase = if k < FREQUENCIES { 0.0 } else { 0.5 };
        (frequency, phase * std::f32::consts::PI)
    })
}

impl Clock {
    pub fn new(width: usize, device: &Device, rng: &mut impl Rng) -> Self {
        Self {
            first: Dense::new(2 * FREQUENCIES, width, Start::Random, device, rng),
            second: Dense::new(width, width, Start::Random, device, rng),
        }
    }

    /// `[n, width]` for times `[n, 1]`.
    pub fn apply(&self, t: Jet<2>) -> Jet<2> {
        let device = self.second.bias.val().device();
        let (frequencies, phases): (Vec<f32>, Vec<f32>) = waves().unzip();
        let row = |values: Vec<f32>| {
            Tensor::<2>::from_data(TensorData::new(values, [1, 2 * FREQUENCIES]), &device)
                .without_autodiff()
        };
        let (frequencies, phases) = (row(frequencies), row(phases));
        let features = t.map(|t| t * frequencies.clone()).shift(phases).sin();
        let hidden = self.first.apply(features).swish();
        self.second.apply(hidden).swish()
    }
}

/// A residual block: normalisation, swish and convolution twice, with time in between.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub before: Norm,
    pub first: Convolution,
    pub time: Dense,
    pub between: Norm,
    pub second: Convolution,
    pub shortcut: Option<Dense>,
}

impl Block {
    pub fn new(
        inputs: usize,
        outputs: usize,
        time: usize,
        device: &Device,
        rng: &mut impl Rng,
    ) -> Self {
        Self {
            before: Norm::new(inputs, device),
            first: Convolution::new(inputs, outputs, Start::Random, device, rng),
            time: Dense::new(time, outputs, Start::Random, device, rng),
            between: Norm::new(outputs, device),
            second: Convolution::new(outputs, outputs, Start::Zero, device, rng),
            shortcut: (inputs != outputs)
                .then(|| Dense::new(inputs, outputs, Start::Random, device, rng)),
        }
    }

    pub fn apply(&self, x: Jet<4>, time: &Jet<2>) -> Jet<4> {
        let time = self.time.apply(time.clone()).map(|time| {
            let [n, c] = time.dims();
            time.reshape([n, 1, 1, c])
        });
        let h = self.first.apply(self.before.apply(x.clone()).swish());
        let h = self.between.apply(h.add(time)).swish();
        let h = self.second.apply(h);
        match &self.shortcut {
            Some(shortcut) => shortcut.apply(x).add(h),
            None => x.add(h),
        }
    }
}

/// Self-attention of one head between all pixels of an image, as a residual.
#[derive(Module, Debug)]
pub(super) struct Attention {
    pub norm: Norm,
    pub query: Dense,
    pub key: Dense,
    pub value: Dense,
    pub out: Dense,
}

impl Attention {
    pub fn new(channels: usize, device: &Device, rng: &mut impl Rng) -> Self {
        let mut dense = |start| Dense::new(channels, channels, start, device, rng);
        Self {
            norm: Norm::new(channels, device),
            query: dense(Start::Random),
            key: dense(Start::Random),
            value: dense(Start::Random),
            out: dense(Start::Zero),
        }
    }

    pub fn apply(&self, x: Jet<4>) -> Jet<4> {
        let [n, h, w, c] = x.dims();
        let pixels = self.norm.apply(x.clone()).map(|x| x.reshape([n, h * w, c]));
        let scale = (c as f64).sqrt().recip();
        let query = self.query.apply(pixels.clone()).map(|q| q * scale);
        let key = self.key.apply(pixels.clone()).map(|k| k.swap_dims(1, 2));
        let weights = query.product(&key, Tensor::matmul).softmax();
        let seen = weights.product(&self.value.apply(pixels), Tensor::matmul);
        x.add(self.out.apply(seen).map(|out| out.reshape([n, h, w, c])))
    }
}

/// The mean over squares of 2x2 pixels.
pub(super) fn halve(x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let rows = x.reshape([n * h / 2, 2, w * c]).sum_dim(1);
    let pixels = rows.reshape([n * h / 2 * w / 2, 2, c]).sum_dim(1);
    pixels.reshape([n, h / 2, w / 2, c]) * 0.25
}

/// Every pixel as a square of 2x2.
pub(super) fn double(x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let pixels: Tensor<3> = x.reshape([n * h * w, 1, c]).expand([n * h * w, 2, c]);
    let rows: Tensor<3> = pixels.reshape([n * h, 1, 2 * w * c]);
    rows.expand([n * h, 2, 2 * w * c])
        .reshape([n, 2 * h, 2 * w, c])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::tensor::numbers;

    #[test]
    fn a_convolution_by_a_product_is_that_of_the_library() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut random = |shape: [usize; 4]| {
            let count = shape.iter().product();
            let values: Vec<f32> = StandardNormal.sample_iter(&mut rng).take(count).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex())
        };
        let (x, weight) = (random([2, 4, 6, 3]), random([3, 3, 3, 5]));
        let ours: Vec<f32> = numbers(by_product(x.clone(), weight.clone()));
        let theirs: Vec<f32> = numbers(by_library(x, weight));
        assert_eq!(ours.len(), 2 * 4 * 6 * 5);
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

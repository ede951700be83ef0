//! The built-in networks in tensors.

use std::f64::consts::{FRAC_PI_2, TAU};

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData, module::conv2d, ops::ConvOptions},
};

use super::{Jet, Network, TensorEngine};
use crate::{
    action::{Engine, Op, Program, Saved, Scalar, Sizes, waves},
    error::{Error, ErrorKind, Result},
};

/// A built-in network on a device.
///
/// # Errors
/// A network of the user's own, which is where it is.
pub(crate) fn place(engine: &dyn Engine, device: &Device) -> Result<Box<dyn Engine>> {
    let saved = engine.saved().ok_or_else(|| {
        Error::new(
            ErrorKind::Setting,
            "only the networks of this library can be placed on a device",
        )
    })?;
    let kind = match saved {
        Saved::Mlp(mlp) => Kind::Mlp {
            dimension: engine.dimension(),
            depth: mlp.depth,
        },
        Saved::UNet { unet } => Kind::UNet(Box::new(Program::new(unet)?)),
    };
    let arrays = engine.unpack(engine.parameters());
    let parameters = arrays.iter().map(|array| {
        let shape = [array.values.len()];
        let data = TensorData::new(array.values.clone(), shape);
        Param::from_tensor(Tensor::from_data(data, device))
    });
    let network = BuiltIn {
        parameters: parameters.collect(),
        shapes: arrays.iter().map(|array| array.shape.clone()).collect(),
        kind,
    };
    Ok(Box::new(TensorEngine::built_in(
        network, device, arrays, saved,
    )))
}

/// A network of the library, its parameters flat and in the order of its arrays.
#[derive(Module, Debug)]
struct BuiltIn {
    parameters: Vec<Param<Tensor<1>>>,
    #[module(skip)]
    shapes: Vec<Vec<usize>>,
    #[module(skip)]
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Mlp { dimension: usize, depth: usize },
    UNet(Box<Program>),
}

impl Network for BuiltIn {
    fn dimension(&self) -> usize {
        match &self.kind {
            Kind::Mlp { dimension, .. } => *dimension,
            Kind::UNet(program) => program.sizes.dimension(),
        }
    }

    fn scalar(&self, t: Jet<2>, x: Jet<2>) -> Jet<2> {
        match &self.kind {
            Kind::Mlp { depth, .. } => self.perceptron(*depth, t, x),
            Kind::UNet(program) => self.unet(program, t, x),
        }
    }

    fn rows(&self) -> usize {
        match &self.kind {
            Kind::Mlp { .. } => 8192,
            Kind::UNet(_) => 64,
        }
    }
}

impl BuiltIn {
    fn parameter<const D: usize>(&self, index: usize) -> Tensor<D> {
        let shape: [usize; D] = self.shapes[index].clone().try_into().expect("its axes");
        self.parameters[index].val().reshape(shape)
    }

    /// All weights come first, then all biases.
    fn perceptron(&self, depth: usize, t: Jet<2>, x: Jet<2>) -> Jet<2> {
        let one = Tensor::full([1, 1], -1.0, &t.device()).without_autodiff();
        let order = x.order().max(t.order());
        let time = t.map(|t| t * 2.0).shift(one).raised(order);
        let mut h = x.raised(order).beside(time);
        for layer in 0..=depth {
            let weights: Tensor<2> = self.parameter(layer);
            let bias: Tensor<1> = self.parameter(depth + 1 + layer);
            h = h.map(|h| h.matmul(weights.clone())).shift(bias.unsqueeze());
            if layer < depth {
                h = h.swish();
            }
        }
        h
    }

    fn unet(&self, program: &Program, t: Jet<2>, x: Jet<2>) -> Jet<2> {
        let sizes = program.sizes;
        let (d, moved) = (sizes.dimension(), sizes.moved());
        let mut seen = x.clone().map(|x| x.narrow(1, 0, moved));
        if sizes.periodic {
            let turned = seen.map(|x| x * TAU);
            // cos x = sin(x + pi/2)
            let quarter = Tensor::full([1, 1], FRAC_PI_2, &turned.device()).without_autodiff();
            seen = turned.clone().shift(quarter).sin().beside(turned.sin());
        }
        let all = if sizes.conditioning > 0 {
            // What is not moved is a constant, whatever direction it is given.
            let still = x.value().narrow(1, moved, d - moved).detach();
            seen.clone()
                .beside(Jet::constant(still).raised(seen.order()))
        } else {
            seen.clone()
        };
        let h = self.run(program, t, all);
        let dot = |a: Tensor<2>, b: Tensor<2>| (a * b).sum_dim(1);
        match sizes.scalar {
            Scalar::Product => h.product(&seen, dot),
            Scalar::Distance => {
                let off = h.plus(seen.map(|x| -x));
                off.product(&off, dot).map(|square| square * -0.5)
            }
        }
    }

    /// h at times and at all channels of images, `[n, channels * height * width]`.
    fn run(&self, program: &Program, t: Jet<2>, all: Jet<2>) -> Jet<2> {
        let Sizes { height, width, .. } = program.sizes;
        let [n, d] = all.dims();
        let channels = d / (height * width);
        let mut buffers: Vec<Option<Jet<4>>> = vec![None; program.buffers.len()];
        buffers[program.features] = Some(features(t));
        buffers[program.image] = Some(all.map(|x| {
            x.reshape([n, channels, height, width])
                .permute([0, 2, 3, 1])
        }));
        for op in &program.ops {
            let of = |place: usize| buffers[place].clone().expect("written before it is read");
            let out = match *op {
                Op::Product {
                    x,
                    reach,
                    weight,
                    bias,
                    shift,
                    plus,
                    ..
                } => {
                    let bias: Tensor<1> = self.parameter(bias);
                    let product = match reach {
                        0 => dense(of(x), self.parameter(weight)),
                        _ => convolution(of(x), self.parameter(weight)),
                    };
                    let mut out = product.shift(bias.unsqueeze());
                    for more in [shift, plus].into_iter().flatten() {
                        out = out.plus(of(more));
                    }
                    out
                }
                Op::Norm {
                    x,
                    scale,
                    bias,
                    activated,
                    ..
                } => {
                    let [scale, bias] = [scale, bias].map(|place| self.parameter::<1>(place));
                    let x = of(x);
                    let [n, h, w, c] = x.dims();
                    let out = x
                        .map(|x| x.reshape([n, h * w, c]))
                        .normalise(scale.unsqueeze(), bias.unsqueeze())
                        .map(|x| x.reshape([n, h, w, c]));
                    if activated { out.swish() } else { out }
                }
                Op::Swish { x, .. } => of(x).swish(),
                Op::Beside { parts, .. } => {
                    let [a, b] = parts.map(of);
                    a.beside(b)
                }
                Op::Halve { x, .. } => of(x).map(halve),
                Op::Double { x, .. } => of(x).map(double),
                Op::Attend {
                    query, key, value, ..
                } => attend([query, key, value].map(of)),
            };
            buffers[op.output()] = Some(out);
        }
        let h = buffers[program.last].take().expect("the last operation");
        h.map(|h| {
            let [n, height, width, channels] = h.dims();
            h.permute([0, 3, 1, 2])
                .reshape([n, channels * height * width])
        })
    }
}

/// The features of times `[n, 1]` as images of one pixel.
fn features(t: Jet<2>) -> Jet<4> {
    let device = t.device();
    let (frequencies, phases): (Vec<f32>, Vec<f32>) = waves().unzip();
    let row = |values: Vec<f32>| {
        let shape = [1, values.len()];
        Tensor::<2>::from_data(TensorData::new(values, shape), &device).without_autodiff()
    };
    let (frequencies, phases) = (row(frequencies), row(phases));
    let features = t.map(|t| t * frequencies.clone()).shift(phases).sin();
    features.map(|x| {
        let [n, c] = x.dims();
        x.reshape([n, 1, 1, c])
    })
}

fn dense(x: Jet<4>, weight: Tensor<2>) -> Jet<4> {
    let [inputs, outputs] = weight.dims();
    x.map(|x| {
        let [n, h, w, _] = x.dims();
        let rows: Tensor<2> = x.reshape([-1, inputs as i64]);
        rows.matmul(weight.clone()).reshape([n, h, w, outputs])
    })
}

fn convolution(x: Jet<4>, weight: Tensor<4>) -> Jet<4> {
    let on_cpu = weight.device().without_autodiff() == Device::flex();
    let convolve = if on_cpu { by_library } else { by_product };
    x.map(|x| convolve(x, weight.clone()))
}

/// What every pixel sees of all others, for query, key and value.
fn attend([query, key, value]: [Jet<4>; 3]) -> Jet<4> {
    let [n, h, w, c] = query.dims();
    let scale = (c as f64).sqrt().recip();
    let [query, key, value] =
        [query, key, value].map(|image| image.map(|x| x.reshape([n, h * w, c])));
    let query = query.map(|q| q * scale);
    let key = key.map(|k| k.swap_dims(1, 2));
    let weights = query.product(&key, Tensor::matmul).softmax();
    let seen = weights.product(&value, Tensor::matmul);
    seen.map(|x| x.reshape([n, h, w, c]))
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

/// The mean over squares of 2x2 pixels.
fn halve(x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let rows = x.reshape([n * h / 2, 2, w * c]).sum_dim(1);
    let pixels = rows.reshape([n * h / 2 * w / 2, 2, c]).sum_dim(1);
    pixels.reshape([n, h / 2, w / 2, c]) * 0.25
}

/// Every pixel as a square of 2x2.
fn double(x: Tensor<4>) -> Tensor<4> {
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
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    #[test]
    fn a_convolution_by_a_product_is_that_of_the_library() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut random = |shape: [usize; 4]| {
            let count = shape.iter().product();
            let values: Vec<f32> = StandardNormal.sample_iter(&mut rng).take(count).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex())
        };
        let (x, weight) = (random([2, 4, 6, 3]), random([3, 3, 3, 5]));
        let ours: Vec<f32> = by_product(x.clone(), weight.clone())
            .try_into_vec_as()
            .unwrap();
        let theirs: Vec<f32> = by_library(x, weight).try_into_vec_as().unwrap();
        assert_eq!(ours.len(), 2 * 4 * 6 * 5);
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

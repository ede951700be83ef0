//! The 3x3 convolution of images `[n, h, w, c]`: our own on the CPU, the library's elsewhere.

use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};

use super::{
    cpu::{self, Array, Operation},
    kernel::{self, Images},
};

/// `[n, h, w, outputs]` for `x` `[n, h, w, inputs]`, with zeros around every image, and `weight`
/// `[3, 3, inputs, outputs]`.
pub(super) fn convolve(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    if cpu::holds(&x) && cpu::holds(&weight) {
        return cpu::apply(Convolve, [x.into(), weight.into()]);
    }
    by_the_library(x, weight)
}

fn by_the_library(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let (x, weight) = (x.permute([0, 3, 1, 2]), weight.permute([3, 2, 0, 1]));
    conv2d(x, weight, None, options).permute([0, 2, 3, 1])
}

#[derive(Debug, Clone)]
struct Convolve;

fn images(x: &Array) -> Images {
    let [count, height, width, channels] = x.shape[..] else {
        panic!("images have four axes, got {:?}", x.shape)
    };
    Images {
        count,
        height,
        width,
        channels,
    }
}

impl Operation<2> for Convolve {
    fn apply(&self, [x, weight]: [&Array; 2]) -> Array {
        let (images, outputs) = (images(x), weight.shape[3]);
        let out = kernel::correlate(images, x.values(), weight.values(), outputs);
        Array::new(out, [images.count, images.height, images.width, outputs])
    }

    fn pull(
        &self,
        [x, weight]: [&Array; 2],
        pulled: &Array,
        [x_wanted, weight_wanted]: [bool; 2],
    ) -> [Option<Array>; 2] {
        let outputs = weight.shape[3];
        let of_x = x_wanted.then(|| self.apply([pulled, &turned(weight)]));
        let of_weight = weight_wanted.then(|| {
            let sums = kernel::outer(images(x), x.values(), pulled.values(), outputs);
            Array::new(sums, weight.shape.clone())
        });
        [of_x, of_weight]
    }
}

/// The weights of the adjoint, `[3, 3, outputs, inputs]`.
fn turned(weight: &Array) -> Array {
    let (inputs, outputs) = (weight.shape[2], weight.shape[3]);
    let old = weight.values();
    let mut new = vec![0.0; old.len()];
    for (tap, old) in old.chunks_exact(inputs * outputs).enumerate() {
        let new = &mut new[(8 - tap) * inputs * outputs..][..inputs * outputs];
        for (i, old) in old.chunks_exact(outputs).enumerate() {
            for (o, value) in old.iter().enumerate() {
                new[o * inputs + i] = *value;
            }
        }
    }
    Array::new(new, [3, 3, outputs, inputs])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With channels and widths that fill lines and blocks and that do not.
    #[test]
    fn the_convolution_and_its_adjoints_are_the_library_s() {
        for [n, h, w, inputs, outputs] in [
            [1, 1, 1, 1, 1],
            [5, 3, 7, 2, 3],
            [19, 14, 14, 16, 17],
            [2, 28, 28, 12, 32],
            [2, 5, 13, 48, 16],
        ] {
            cpu::assert_same(
                [[n, h, w, inputs], [3, 3, inputs, outputs]],
                |[x, weight]| convolve(x, weight),
                |[x, weight]| by_the_library(x, weight),
            );
        }
    }
}

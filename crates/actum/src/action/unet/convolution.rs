//! The 3x3 convolution of images `[n, h, w, c]`: our own on the CPU, the library's elsewhere.

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::{DType, Device, Tensor, TensorData, module::conv2d, ops::ConvOptions},
};

use super::kernel::{self, Images};

/// `[n, h, w, outputs]` for `x` `[n, h, w, inputs]`, with zeros around every image, and `weight`
/// `[3, 3, inputs, outputs]`.
pub(super) fn convolve(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let on_cpu = x.device().without_autodiff() == Device::flex();
    if on_cpu && x.dtype() == DType::F32 && weight.dtype() == DType::F32 {
        on_the_cpu(x, weight)
    } else {
        by_the_library(x, weight)
    }
}

/// On any device and in any precision.
fn by_the_library(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let (x, weight) = (x.permute([0, 3, 1, 2]), weight.permute([3, 2, 0, 1]));
    conv2d(x, weight, None, options).permute([0, 2, 3, 1])
}

/// The library's takes six times as long, forward and backward (docs/design.md has the numbers).
fn on_the_cpu(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    const SAME: &str = "the tensor is on the CPU";
    if !x.is_autodiff() && !weight.is_autodiff() {
        let x = x.try_into_primitive::<Flex>().expect(SAME);
        let weight = weight.try_into_primitive::<Flex>().expect(SAME);
        return Tensor::from_primitive::<Flex>(correlate(&x, &weight));
    }
    let tracked = |tensor: Tensor<4>| {
        let tensor = tensor.autodiff().try_into_primitive::<Autodiff<Flex>>();
        tensor.expect(SAME).into_parts()
    };
    let ((x, x_node), (weight, weight_node)) = (tracked(x), tracked(weight));
    let out = correlate(&x, &weight);
    let nodes = [x_node, weight_node];
    let prepared = Convolve.prepare::<NoCheckpointing>(nodes).compute_bound();
    let out = match prepared.stateful() {
        OpsKind::Tracked(operation) => operation.finish((x, weight), out),
        OpsKind::UnTracked(operation) => operation.finish(out),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

#[derive(Debug)]
struct Convolve;

impl Backward<Flex, 2> for Convolve {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        operation: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let pulled = gradients.consume::<Flex>(&operation.node);
        let [x_node, weight_node] = operation.parents;
        let (x, weight) = operation.state;
        if let Some(node) = weight_node {
            let sums = outer(&x, &pulled);
            gradients.register::<Flex>(node.id, sums);
        }
        if let Some(node) = x_node {
            let weight = turned(&weight);
            gradients.register::<Flex>(node.id, correlate(&pulled, &weight));
        }
    }
}

fn images(x: &FlexTensor) -> Images {
    let [count, height, width, channels] = x.layout().shape().dims();
    Images {
        count,
        height,
        width,
        channels,
    }
}

fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("the tensor is contiguous")
}

fn correlate(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let [.., outputs] = weight.layout().shape().dims::<4>();
    let out = kernel::correlate(images(&x), values(&x), values(&weight), outputs);
    let Images {
        count,
        height,
        width,
        ..
    } = images(&x);
    FlexTensor::from_data(TensorData::new(out, [count, height, width, outputs]))
}

fn outer(x: &FlexTensor, pulled: &FlexTensor) -> FlexTensor {
    let (x, pulled) = (x.to_contiguous(), pulled.to_contiguous());
    let (inputs, outputs) = (images(&x).channels, images(&pulled).channels);
    let sums = kernel::outer(images(&x), values(&x), values(&pulled), outputs);
    FlexTensor::from_data(TensorData::new(sums, [3, 3, inputs, outputs]))
}

/// The weights of the adjoint, `[3, 3, outputs, inputs]`.
fn turned(weight: &FlexTensor) -> FlexTensor {
    let weight = weight.to_contiguous();
    let [_, _, inputs, outputs] = weight.layout().shape().dims::<4>();
    let old = values(&weight);
    let mut new = vec![0.0; old.len()];
    for (tap, old) in old.chunks_exact(inputs * outputs).enumerate() {
        let new = &mut new[(8 - tap) * inputs * outputs..][..inputs * outputs];
        for (i, old) in old.chunks_exact(outputs).enumerate() {
            for (o, value) in old.iter().enumerate() {
                new[o * inputs + i] = *value;
            }
        }
    }
    FlexTensor::from_data(TensorData::new(new, [3, 3, outputs, inputs]))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::tensor::numbers;

    /// Against the library, with channels and widths that fill lines and blocks and that do not.
    #[test]
    fn the_convolution_and_its_adjoints_are_the_library_s() {
        for [n, h, w, inputs, outputs] in [
            [1, 1, 1, 1, 1],
            [5, 3, 7, 2, 3],
            [9, 14, 14, 16, 17],
            [2, 28, 28, 12, 32],
            [2, 5, 13, 48, 16],
        ] {
            let device = Device::flex().autodiff();
            let normal = Distribution::Normal(0.0, 1.0);
            let x = Tensor::<4>::random([n, h, w, inputs], normal, &device).require_grad();
            let weight = Tensor::<4>::random([3, 3, inputs, outputs], normal, &device);
            let weight = weight.require_grad();
            let pulled = Tensor::<4>::random([n, h, w, outputs], normal, &device);
            let [ours, theirs] = [convolve, by_the_library].map(|f| {
                let out = f(x.clone(), weight.clone());
                let gradients = (out.clone() * pulled.clone()).sum().backward();
                let numbers = |tensor| numbers::<f32, 4>(tensor);
                [
                    numbers(out.without_autodiff()),
                    numbers(x.grad(&gradients).unwrap()),
                    numbers(weight.grad(&gradients).unwrap()),
                ]
            });
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let scale = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
                assert_eq!(ours.len(), theirs.len());
                for (a, b) in ours.iter().zip(theirs) {
                    assert!((a - b).abs() < 1e-5 * scale, "{a} against {b}");
                }
            }
        }
    }
}

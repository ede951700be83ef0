//! Operations on the CPU, in f32, whose adjoints are written by hand.
//!
//! The library computes an element-wise function as one pass over memory for every sign in its
//! formula, and keeps what is between them; a convolution it computes at a fraction of the speed
//! that the machine has (docs/design.md has the numbers).

use std::fmt::Debug;

use burn::{
    backend::{
        Autodiff, AutodiffBackend, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::{DType, Device, Tensor, TensorData},
};

/// A function of `N` tensors.
pub(super) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// Its value.
    fn apply(&self, inputs: [&Array; N]) -> Array;

    /// The derivative in the inputs of the sum over the value times `pulled`; where it is not
    /// `wanted` it may be left out.
    fn pull(&self, inputs: [&Array; N], pulled: &Array, wanted: [bool; N]) -> [Option<Array>; N];
}

/// Numbers in row-major order.
pub(super) struct Array {
    pub shape: Vec<usize>,
    tensor: FlexTensor,
}

impl Array {
    pub fn new(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let tensor = FlexTensor::from_data(TensorData::new(values, shape.clone()));
        Self { shape, tensor }
    }

    fn of(tensor: &FlexTensor) -> Self {
        Self {
            shape: tensor.layout().shape().to_vec(),
            tensor: tensor.to_contiguous(),
        }
    }

    pub fn values(&self) -> &[f32] {
        self.tensor.as_slice().expect("the tensor is contiguous")
    }
}

/// Whether operations can be applied to a tensor.
pub(super) fn holds<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device().without_autodiff() == Device::flex() && tensor.dtype() == DType::F32
}

/// How many images of so many numbers are worth a thread of their own.
pub(super) fn share(numbers: usize) -> usize {
    (1usize << 14).div_ceil(numbers)
}

/// What an operation is applied to: a number, or a node of a graph.
pub(super) enum Input {
    Plain(FlexTensor),
    Tracked(FloatTensor<Autodiff<Flex>>),
}

impl<const D: usize> From<Tensor<D>> for Input {
    fn from(tensor: Tensor<D>) -> Self {
        const HELD: &str = "the tensor is on the CPU";
        if tensor.is_autodiff() {
            Self::Tracked(tensor.try_into_primitive::<Autodiff<Flex>>().expect(HELD))
        } else {
            Self::Plain(tensor.try_into_primitive::<Flex>().expect(HELD))
        }
    }
}

/// The value of an operation, with its place in the graph where an input has one.
pub(super) fn apply<const N: usize, const D: usize, O: Operation<N>>(
    operation: O,
    inputs: [Input; N],
) -> Tensor<D> {
    let value = |inputs: &[FlexTensor; N]| {
        let arrays = inputs.each_ref().map(Array::of);
        operation.apply(arrays.each_ref()).tensor
    };
    if inputs.iter().all(|input| matches!(input, Input::Plain(_))) {
        let inputs = inputs.map(|input| match input {
            Input::Plain(tensor) => tensor,
            Input::Tracked(node) => node.into_primitive(),
        });
        return Tensor::from_primitive::<Flex>(value(&inputs));
    }
    let nodes = inputs.map(|input| match input {
        Input::Plain(tensor) => Autodiff::<Flex>::from_inner(tensor),
        Input::Tracked(node) => node,
    });
    let guards = nodes.each_ref().map(|node| node.node());
    let inputs = nodes.map(|node| node.into_primitive());
    let out = value(&inputs);
    let prepared = Adjoint(operation).prepare::<NoCheckpointing>(guards);
    let out = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(inputs, out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

#[derive(Debug)]
struct Adjoint<O>(O);

impl<const N: usize, O: Operation<N>> Backward<Flex, N> for Adjoint<O> {
    type State = [FlexTensor; N];

    fn backward(self, node: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let pulled = Array::of(&gradients.consume::<Flex>(&node.node));
        let wanted = node.parents.each_ref().map(Option::is_some);
        let arrays = node.state.each_ref().map(Array::of);
        let all = self.0.pull(arrays.each_ref(), &pulled, wanted);
        for (parent, gradient) in node.parents.into_iter().zip(all) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient.tensor);
            }
        }
    }
}

/// The derivatives of `f` on the CPU and of `g` by the library, at random inputs, for tests.
#[cfg(test)]
pub(super) fn assert_same<const N: usize, const D: usize>(
    shapes: [[usize; D]; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<D>,
    theirs: impl Fn([Tensor<D>; N]) -> Tensor<D>,
) {
    use crate::tensor::numbers;
    use burn::tensor::Distribution;

    let device = Device::flex().autodiff();
    let random = |shape| Tensor::<D>::random(shape, Distribution::Normal(0.3, 1.0), &device);
    let inputs = shapes.map(|shape| random(shape).require_grad());
    let pulled = random(ours(inputs.clone()).dims());
    let all = |f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>| -> Vec<Vec<f32>> {
        let out = f(inputs.clone());
        let gradients = (out.clone() * pulled.clone()).sum().backward();
        let each = inputs.each_ref().map(|x| x.grad(&gradients).unwrap());
        let values = std::iter::once(out.without_autodiff()).chain(each);
        values.map(numbers).collect()
    };
    for (place, (ours, theirs)) in all(&ours).iter().zip(all(&theirs)).enumerate() {
        let scale = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(theirs) {
            let off = (a - b).abs();
            assert!(off < 2e-5 * scale, "{shapes:?}, {place}: {a} against {b}");
        }
    }
}

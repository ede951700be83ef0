//! The multilayer perceptron as an action.

use burn::{
    module::{Module, Param},
    tensor::{DType, Device, Tensor, TensorData, activation::sigmoid},
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Action, check_sizes, fused, parameters};
use crate::{error::Result, tensor::numbers};

/// `s = h_{L-1} w + b`, `h_l = phi(h_{l-1} W_l + b_l)`, `h_0 = (x, t)`, with
/// `phi(z) = z / (1 + e^{-z})` (swish), which is smooth, as a field that is differentiated twice
/// must be.
///
/// Time enters as one more column, 2t - 1. Fourier features of time fit the exact tests no better
/// (docs/design.md has the numbers).
#[derive(Module, Debug)]
pub struct Mlp {
    weights: Vec<Param<Tensor<2>>>,
    biases: Vec<Param<Tensor<1>>>,
}

impl Mlp {
    /// A network for `dimension` columns with `depth` hidden layers of `width` units.
    ///
    /// Weights are drawn from N(0, 1/inputs), biases are 0, and so is the last layer: the
    /// population starts at rest.
    ///
    /// # Errors
    /// A dimension, width or depth of 0.
    pub fn new(
        dimension: usize,
        width: usize,
        depth: usize,
        device: &Device,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        check_sizes(dimension, width, depth)?;
        let mut sizes = vec![dimension + 1];
        sizes.extend(std::iter::repeat_n(width, depth));
        let mut weights: Vec<Param<Tensor<2>>> = sizes
            .windows(2)
            .map(|pair| {
                let (rows, columns) = (pair[0], pair[1]);
                let scale = (rows as f32).sqrt().recip();
                let values: Vec<f32> = (0..rows * columns)
                    .map(|_| {
                        let z: f32 = StandardNormal.sample(rng);
                        z * scale
                    })
                    .collect();
                let data = TensorData::new(values, [rows, columns]);
                Param::from_tensor(Tensor::from_data(data, device))
            })
            .collect();
        weights.push(Param::from_tensor(Tensor::zeros([width, 1], device)));
        let biases = std::iter::repeat_n(width, depth)
            .chain([1])
            .map(|size| Param::from_tensor(Tensor::zeros([size], device)))
            .collect();
        Ok(Self { weights, biases })
    }

    /// The number of units of a hidden layer.
    pub fn width(&self) -> usize {
        self.weights[0].dims()[1]
    }

    /// The number of hidden layers.
    pub fn depth(&self) -> usize {
        self.weights.len() - 1
    }

    fn affine(&self, layer: usize, h: Tensor<2>) -> Tensor<2> {
        h.matmul(self.weights[layer].val()) + self.biases[layer].val().unsqueeze()
    }

    fn inputs(t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        Tensor::cat(vec![x, t * 2.0 - 1.0], 1)
    }
}

/// `phi'(z)` from `z` and `sigmoid(z)`.
pub(super) fn swish_slope<const D: usize>(z: Tensor<D>, sigmoid: Tensor<D>) -> Tensor<D> {
    let complement = -sigmoid.clone() + 1.0;
    sigmoid * (z * complement + 1.0)
}

/// `phi''(z)` from `z` and `sigmoid(z)`.
pub(super) fn swish_curvature<const D: usize>(z: Tensor<D>, sigmoid: Tensor<D>) -> Tensor<D> {
    let complement = -sigmoid.clone() + 1.0;
    let balance = complement.clone() - sigmoid.clone();
    sigmoid * complement * (z * balance + 2.0)
}

impl Action for Mlp {
    fn dimension(&self) -> usize {
        self.weights[0].dims()[0] - 1
    }

    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let mut h = Self::inputs(t, x);
        for layer in 0..self.depth() {
            let z = self.affine(layer, h);
            h = z.clone() * sigmoid(z);
        }
        self.affine(self.depth(), h)
    }

    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let [rows, columns] = x.dims();
        let mut h = Self::inputs(t, x);
        let mut slopes = Vec::with_capacity(self.depth());
        for layer in 0..self.depth() {
            let z = self.affine(layer, h);
            let s = sigmoid(z.clone());
            h = z.clone() * s.clone();
            slopes.push(swish_slope(z, s));
        }
        let last = self.weights[self.depth()].val().transpose();
        let mut pulled = last.expand([rows as i64, -1]);
        for (layer, slope) in slopes.into_iter().enumerate().rev() {
            pulled = (pulled * slope).matmul(self.weights[layer].val().transpose());
        }
        pulled.narrow(1, 0, columns)
    }

    fn push(&self, t: Tensor<2>, x: Tensor<2>, dt: Tensor<2>, dx: Tensor<2>) -> Tensor<2> {
        let mut h = Self::inputs(t, x);
        let mut dh = Tensor::cat(vec![dx, dt * 2.0], 1);
        for layer in 0..self.depth() {
            let z = self.affine(layer, h);
            let dz = dh.matmul(self.weights[layer].val());
            let s = sigmoid(z.clone());
            h = z.clone() * s.clone();
            dh = swish_slope(z, s) * dz;
        }
        dh.matmul(self.weights[self.depth()].val())
    }

    fn curvature(&self, t: Tensor<2>, x: Tensor<2>, direction: Tensor<2>) -> Tensor<2> {
        let still = t.zeros_like();
        let mut h = Self::inputs(t, x);
        let mut first = Tensor::cat(vec![direction, still], 1);
        let mut second: Option<Tensor<2>> = None;
        for layer in 0..self.depth() {
            let weights = self.weights[layer].val();
            let z = self.affine(layer, h);
            let (dz, ddz) = (
                first.matmul(weights.clone()),
                second.map(|second| second.matmul(weights)),
            );
            let s = sigmoid(z.clone());
            h = z.clone() * s.clone();
            let slope = swish_slope(z.clone(), s.clone());
            let bent = swish_curvature(z, s) * dz.clone().square();
            second = Some(match ddz {
                Some(ddz) => slope.clone() * ddz + bent,
                None => bent,
            });
            first = slope * dz;
        }
        second
            .expect("there is a hidden layer")
            .matmul(self.weights[self.depth()].val())
    }

    fn fused(&self) -> Option<fused::Network> {
        let weights = self.weights[0].val();
        let on_cpu = weights.device().without_autodiff() == Device::flex();
        if !on_cpu || weights.dtype() != DType::F32 {
            return None;
        }
        let parameters: Vec<Vec<f32>> = parameters::flat(self).into_iter().map(numbers).collect();
        let network =
            fused::Network::new(self.dimension(), self.width(), self.depth(), &parameters);
        Some(network.expect("the parameters have the sizes of this network"))
    }
}

//! Taylor arithmetic: what a layer does to a value and to its derivatives along one direction.

use burn::tensor::{Tensor, activation};

use crate::action::{EPSILON, GROUP};

/// The derivatives of a tensor along one direction, of order 0, 1 and perhaps 2. Of two jets that
/// meet, the shorter one does not change beyond its order.
#[derive(Debug, Clone)]
pub struct Jet<const D: usize>(Vec<Tensor<D>>);

impl<const D: usize> Jet<D> {
    /// A value that moves along `first` without bending, up to `order`.
    pub(super) fn line(value: Tensor<D>, first: Tensor<D>, order: usize) -> Self {
        let mut parts = vec![value, first];
        if order == 2 {
            parts.push(parts[1].zeros_like());
        }
        Self(parts)
    }

    /// A value that does not move.
    pub(super) fn constant(value: Tensor<D>) -> Self {
        Self(vec![value])
    }

    /// The derivative of the highest order.
    pub(super) fn last(mut self) -> Tensor<D> {
        self.0.pop().expect("a jet has a value")
    }

    /// The derivative of an order; 0 beyond that of the jet.
    pub(super) fn coefficient(mut self, order: usize) -> Tensor<D> {
        if order < self.0.len() {
            self.0.swap_remove(order)
        } else {
            self.0[0].clone().without_autodiff().zeros_like()
        }
    }

    /// The value.
    pub(super) fn value(&self) -> Tensor<D> {
        self.0[0].clone()
    }

    /// The highest order of its derivatives.
    pub(super) fn order(&self) -> usize {
        self.0.len() - 1
    }

    /// The same with derivatives of 0 up to an order.
    pub(super) fn raised(mut self, order: usize) -> Self {
        while self.order() < order {
            self.0
                .push(self.0[0].clone().without_autodiff().zeros_like());
        }
        self
    }

    /// Where it is.
    pub(super) fn device(&self) -> burn::tensor::Device {
        self.0[0].device().without_autodiff()
    }

    /// The sizes of its axes.
    pub fn dims(&self) -> [usize; D] {
        self.0[0].dims()
    }

    /// A linear function.
    pub fn map<const E: usize>(self, f: impl Fn(Tensor<D>) -> Tensor<E>) -> Jet<E> {
        Jet(self.0.into_iter().map(f).collect())
    }

    /// The columns or channels of both, of the same order.
    pub fn beside(self, other: Self) -> Self {
        let pairs = self.0.into_iter().zip(other.0);
        let parts = pairs.map(|(a, b)| Tensor::cat(vec![a, b], D - 1));
        Self(parts.collect())
    }

    /// The sum with a constant.
    pub fn shift(mut self, by: Tensor<D>) -> Self {
        let value = self.0[0].clone();
        self.0[0] = value + by;
        self
    }

    /// The sum with a jet of no higher order.
    pub fn plus(self, other: Self) -> Self {
        let mut others = other.0.into_iter();
        let parts = self.0.into_iter().map(|part| match others.next() {
            Some(other) => part + other,
            None => part,
        });
        Self(parts.collect())
    }

    /// A bilinear function of two jets, by Leibniz' rule.
    pub fn product<const E: usize, const F: usize>(
        &self,
        other: &Jet<E>,
        f: impl Fn(Tensor<D>, Tensor<E>) -> Tensor<F>,
    ) -> Jet<F> {
        let (a, b) = (&self.0, &other.0);
        let terms = |order: usize| {
            let of = |i: usize| {
                let (a, b) = (a.get(i)?, b.get(order - i)?);
                let term = f(a.clone(), b.clone());
                // Of orders up to 2 only the middle term of the last is there twice.
                Some(if order == 2 && i == 1 {
                    term * 2.0
                } else {
                    term
                })
            };
            (0..=order).filter_map(of).reduce(|sum, term| sum + term)
        };
        let parts = (0..a.len().max(b.len())).map(terms);
        Jet(parts.map(|part| part.expect("a value")).collect())
    }

    /// The square of every element.
    fn square(&self) -> Self {
        let a = &self.0;
        let mut parts = vec![a[0].clone().square()];
        if let Some(first) = a.get(1) {
            parts.push(a[0].clone() * first.clone() * 2.0);
            if let Some(second) = a.get(2) {
                parts.push((first.clone().square() + a[0].clone() * second.clone()) * 2.0);
            }
        }
        Self(parts)
    }

    /// A function of every element, given its derivatives of the order asked for, 0, 1 or 2.
    pub fn compose(self, f: impl Fn(&Tensor<D>, usize) -> Tensor<D>) -> Self {
        let a = &self.0;
        let mut parts = vec![f(&a[0], 0)];
        if let Some(first) = a.get(1) {
            let slope = f(&a[0], 1);
            if let Some(second) = a.get(2) {
                let bent = f(&a[0], 2) * first.clone().square();
                parts.push(slope.clone() * first.clone());
                parts.push(slope * second.clone() + bent);
            } else {
                parts.push(slope * first.clone());
            }
        }
        Self(parts)
    }

    /// `x / (1 + e^{-x})`.
    pub fn swish(self) -> Self {
        let sigmoid = activation::sigmoid(self.0[0].clone());
        self.compose(|x, order| match order {
            0 => x.clone() * sigmoid.clone(),
            1 => sigmoid.clone() * (x.clone() * (-sigmoid.clone() + 1.0) + 1.0),
            _ => {
                let complement = -sigmoid.clone() + 1.0;
                let balance = complement.clone() - sigmoid.clone();
                sigmoid.clone() * complement * (x.clone() * balance + 2.0)
            }
        })
    }

    /// `sin x`.
    pub fn sin(self) -> Self {
        self.compose(|x, order| match order {
            0 => x.clone().sin(),
            1 => x.clone().cos(),
            _ => -x.clone().sin(),
        })
    }

    /// `(x + epsilon)^{-1/2}`.
    fn inverse_root(self, epsilon: f64) -> Self {
        let root = (self.0[0].clone() + epsilon).sqrt().recip();
        self.compose(|_, order| match order {
            0 => root.clone(),
            1 => root.clone().powi_scalar(3) * -0.5,
            _ => root.clone().powi_scalar(5) * 0.75,
        })
    }

    /// The softmax over the last axis.
    pub fn softmax(self) -> Self {
        let mut logits = self.0.into_iter();
        let value = activation::softmax(logits.next().expect("a jet has a value"), D - 1);
        let mut parts = vec![value.clone()];
        if let Some(first) = logits.next() {
            let mean = (value.clone() * first.clone()).sum_dim(D - 1);
            let off = first.clone() - mean;
            let slope = value.clone() * off.clone();
            parts.push(slope.clone());
            if let Some(second) = logits.next() {
                let turn = slope.clone() * first + value.clone() * second.clone();
                parts.push(slope * off + value * (second - turn.sum_dim(D - 1)));
            }
        }
        Self(parts)
    }
}

impl Jet<3> {
    /// Group normalisation of `[n, pixels, c]` (Wu and He 2018): over all pixels of the channels of
    /// a group the mean is 0 and the variance 1, but for epsilon; then `scale` and `bias`
    /// `[1, 1, c]`.
    pub(super) fn normalise(self, scale: Tensor<3>, bias: Tensor<3>) -> Self {
        let [n, _, channels] = self.dims();
        let count = channels / GROUP;
        let mean = |x: Tensor<3>| {
            let each = x.mean_dim(1).reshape([n, count, GROUP]).mean_dim(2);
            each.expand([n, count, GROUP]).reshape([n, 1, channels])
        };
        let centred = self.map(|x| x.clone() - mean(x));
        let variance = centred.square().map(mean);
        let root = variance.inverse_root(EPSILON.into());
        let slope = root.map(|root| root * scale.clone());
        centred.product(&slope, |x, slope| x * slope).shift(bias)
    }
}

//! Swish and its derivatives on the CPU.

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::cpu::{self, Array, Operation};
use crate::action::fused::{product::LANES, swish::swish};

/// How many numbers a thread takes at once.
const CHUNK: usize = 1 << 14;

/// `phi(z)`, swish.
pub(super) fn value<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    cpu::apply(Value, [z.into()])
}

/// The derivative of swish of an order of 1 or 2 at `z`, times `a`.
pub(super) fn along<const D: usize>(order: usize, z: Tensor<D>, a: Tensor<D>) -> Tensor<D> {
    cpu::apply(Along(order), [z.into(), a.into()])
}

#[derive(Debug, Clone)]
struct Value;

impl Operation<1> for Value {
    fn apply(&self, [z]: [&Array; 1]) -> Array {
        bend(0, z, &[])
    }

    fn pull(&self, [z]: [&Array; 1], pulled: &Array, _: [bool; 1]) -> [Option<Array>; 1] {
        [Some(bend(1, z, &[pulled]))]
    }
}

#[derive(Debug, Clone)]
struct Along(usize);

impl Operation<2> for Along {
    fn apply(&self, [z, a]: [&Array; 2]) -> Array {
        bend(self.0, z, &[a])
    }

    fn pull(
        &self,
        [z, a]: [&Array; 2],
        pulled: &Array,
        [z_wanted, a_wanted]: [bool; 2],
    ) -> [Option<Array>; 2] {
        [
            z_wanted.then(|| bend(self.0 + 1, z, &[pulled, a])),
            a_wanted.then(|| bend(self.0, z, &[pulled])),
        ]
    }
}

/// The derivative of swish of an order up to 3 at `z`, times all factors.
fn bend(order: usize, z: &Array, factors: &[&Array]) -> Array {
    let mut out = vec![0.0; z.values().len()];
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(k, out)| {
        let place = k * CHUNK..k * CHUNK + out.len();
        Arch::new().dispatch(Bend {
            order,
            z: &z.values()[place.clone()],
            factors: &factors
                .iter()
                .map(|factor| &factor.values()[place.clone()])
                .collect::<Vec<_>>(),
            out,
        });
    });
    Array::new(out, z.shape.clone())
}

struct Bend<'a> {
    order: usize,
    z: &'a [f32],
    factors: &'a [&'a [f32]],
    out: &'a mut [f32],
}

impl Bend<'_> {
    #[inline(always)]
    fn run<S: Simd, const ORDER: usize>(self, simd: S) {
        let lines = self.out.chunks_mut(LANES).zip(self.z.chunks(LANES));
        for (out, z) in lines {
            let mut line = [0.0; LANES];
            line[..z.len()].copy_from_slice(z);
            let (vectors, _) = S::as_mut_simd_f32s(&mut line);
            for vector in vectors {
                *vector = swish(simd, *vector)[ORDER];
            }
            out.copy_from_slice(&line[..out.len()]);
        }
        for factor in self.factors {
            for (out, factor) in self.out.iter_mut().zip(*factor) {
                *out *= factor;
            }
        }
    }
}

impl WithSimd for Bend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.order {
            0 => self.run::<S, 0>(simd),
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 3>(simd),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::sigmoid;

    use super::*;
    use crate::action::mlp::{swish_curvature, swish_slope};

    #[test]
    fn swish_and_its_adjoints_are_the_library_s() {
        for shape in [[1, 1], [7, 13], [40, 1000]] {
            cpu::assert_same([shape], |[z]| value(z), |[z]| z.clone() * sigmoid(z));
            cpu::assert_same(
                [shape; 2],
                |[z, a]| along(1, z, a),
                |[z, a]| swish_slope(z.clone(), sigmoid(z)) * a,
            );
            cpu::assert_same(
                [shape; 2],
                |[z, a]| along(2, z, a),
                |[z, a]| swish_curvature(z.clone(), sigmoid(z)) * a,
            );
        }
    }
}

//! Swish and its derivatives.

use pulp::Simd;

use crate::simd::{Lanes, exp2};

/// `phi(z) = z / (1 + e^{-z})` and its first three derivatives.
///
/// Without branches; inlined, so that what the caller does not use is not computed.
#[inline(always)]
pub(super) fn swish<S: Simd>(simd: S, z: S::f32s) -> [S::f32s; 4] {
    // Beyond, e^{|z|} leaves the normal numbers, and all four are their limits to f32.
    const LIMIT: f32 = 87.0;
    let number = |x| simd.splat_f32s(x);
    let (one, zero) = (number(1.0), number(0.0));
    let x = simd.mul_f32s(z, number(-std::f32::consts::LOG2_E));
    let x = simd.max_f32s(simd.min_f32s(x, number(126.0)), number(-126.0));
    let e = exp2(simd, x);
    let sigmoid = simd.div_f32s(one, simd.add_f32s(one, e));
    let below = simd.less_than_f32s(z, number(-LIMIT));
    let sigmoid = simd.select_f32s(below, zero, sigmoid);
    let complement = simd.mul_f32s(e, sigmoid);
    let value = simd.mul_f32s(z, sigmoid);
    let slope = simd.mul_add_e_f32s(value, complement, sigmoid);
    let product = simd.mul_f32s(sigmoid, complement);
    let difference = simd.sub_f32s(complement, sigmoid);
    let second = simd.mul_add_e_f32s(z, difference, number(2.0));
    let third = simd.mul_f32s(z, simd.mul_add_e_f32s(product, number(-6.0), one));
    let third = simd.mul_add_e_f32s(number(3.0), difference, third);
    [
        value,
        slope,
        simd.mul_f32s(product, second),
        simd.mul_f32s(product, third),
    ]
}

/// The same of every number of a line.
#[inline(always)]
pub(super) fn swish_of<S: Simd, const V: usize>(z: Lanes<S, V>) -> [Lanes<S, V>; 4] {
    let mut all = [z; 4];
    for v in 0..V {
        let values = swish(z.simd, z.vectors[v]);
        for (out, value) in all.iter_mut().zip(values) {
            out.vectors[v] = value;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    #[test]
    fn swish_and_its_derivatives_equal_f64() {
        for i in 0..=400_000 {
            let z = -100.0 + 200.0 * (i as f32 / 400_000.0);
            let exact = f64::from(z);
            let s = 1.0 / (1.0 + (-exact).exp());
            let expected = [
                exact * s,
                s * (1.0 + exact * (1.0 - s)),
                s * (1.0 - s) * (2.0 + exact * (1.0 - 2.0 * s)),
                s * (1.0 - s) * (3.0 - 6.0 * s + exact * (1.0 - 6.0 * s * (1.0 - s))),
            ];
            for (got, expected) in swish(Scalar, z).into_iter().zip(expected) {
                let bound = 1e-6 * expected.abs() + 2e-7;
                assert!(
                    (f64::from(got) - expected).abs() < bound,
                    "{z}: {got}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn swish_saturates_and_keeps_nan() {
        for z in [100.0, 1e4, 1e30] {
            let [value, first, second, third] = swish(Scalar, z);
            assert_eq!([value, first], [z, 1.0]);
            assert!(second.abs().max(third.abs()) < 1e-7, "{second}, {third}");
            assert_eq!(swish(Scalar, -z), [0.0; 4]);
        }
        assert!(swish(Scalar, f32::NAN)[0].is_nan());
    }

    /// All instruction sets have the lanes of the scalar one, with the rounding of their own
    /// multiply-and-add.
    #[test]
    fn lanes_are_independent() {
        fn check<S: Simd>(simd: S) {
            struct Each;
            impl pulp::WithSimd for Each {
                type Output = ();
                fn with_simd<S: Simd>(self, simd: S) {
                    let z: Vec<f32> = (0..64).map(|i| 0.7 * (i as f32 - 31.0)).collect();
                    let (vectors, _) = S::as_simd_f32s(&z);
                    for (k, v) in vectors.iter().enumerate() {
                        for (order, got) in swish(simd, *v).into_iter().enumerate() {
                            let got: &[f32] = bytemuck_lanes::<S>(&got);
                            for (lane, got) in got.iter().enumerate() {
                                let z = z[k * S::F32_LANES + lane];
                                let expected = swish(Scalar, z)[order];
                                assert!((got - expected).abs() <= 1e-6 * expected.abs() + 2e-7);
                            }
                        }
                    }
                }
            }
            fn bytemuck_lanes<S: Simd>(v: &S::f32s) -> &[f32] {
                pulp::bytemuck::cast_slice(std::slice::from_ref(v))
            }
            simd.vectorize(Each);
        }
        crate::simd::on_every_instruction_set!(check);
    }
}

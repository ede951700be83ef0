//! Swish and its derivatives.

/// `phi(z) = z / (1 + e^{-z})` and its first three derivatives.
///
/// Without branches, so that a loop over it becomes vector instructions; inlined, so that what the
/// loop does not use is not computed.
#[inline(always)]
pub(super) fn swish(z: f32) -> [f32; 4] {
    // Beyond, e^{|z|} leaves the normal numbers, and all four are their limits to f32.
    const LIMIT: f32 = 87.0;
    let x = if z > LIMIT { LIMIT } else { z };
    let x = if x < -LIMIT { -LIMIT } else { x };
    let e = exp(-x);
    let sigmoid = if z < -LIMIT { 0.0 } else { 1.0 / (1.0 + e) };
    let complement = e * sigmoid;
    let (product, difference) = (sigmoid * complement, complement - sigmoid);
    [
        z * sigmoid,
        sigmoid * (1.0 + z * complement),
        product * (2.0 + z * difference),
        product * (3.0 * difference + z * (1.0 - 6.0 * product)),
    ]
}

/// `e^x` for x in [-87, 87] to about 1 unit in the last place: `2^n e^r` with |r| <= ln(2)/2, and
/// the Taylor polynomial of `e^r`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding it rounds to an integer, which is then in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has few enough bits that its product with n is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let sum = x * std::f32::consts::LOG2_E + ROUND;
    let n = sum - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut tail = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        tail = tail * r + coefficient;
    }
    let power = f32::from_bits(sum.to_bits().wrapping_add(127) << 23);
    (1.0 + (r + r * r * tail)) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in 0..=2_000_000 {
            let x = -87.0 + 174.0 * (i as f32 / 2_000_000.0);
            let expected = f64::from(x).exp();
            let unit = f64::from(expected as f32) * f64::from(f32::EPSILON);
            worst = worst.max((f64::from(exp(x)) - expected).abs() / unit);
        }
        assert!(worst < 2.0, "{worst}");
    }

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
            for (got, expected) in swish(z).into_iter().zip(expected) {
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
            let [value, first, second, third] = swish(z);
            assert_eq!([value, first], [z, 1.0]);
            assert!(second.abs().max(third.abs()) < 1e-7, "{second}, {third}");
            assert_eq!(swish(-z), [0.0; 4]);
        }
        assert!(swish(f32::NAN)[0].is_nan());
    }
}

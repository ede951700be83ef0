//! Exponentials of lines.

use pulp::{Arch, Simd, WithSimd};

use super::{LANES, Line as Of};

type Line = Of<f64>;

/// `e^x` of every lane to 7e-16 of it, for x from -700 to 700; beyond, that of the end.
#[inline(always)]
pub(crate) fn exp(line: &mut Line) {
    Arch::new().dispatch(Exp(line));
}

struct Exp<'a>(&'a mut Line);

impl WithSimd for Exp<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        exp_within(simd, self.0);
    }
}

/// [`exp`] where vector instructions are already chosen.
///
/// With `x = k log 2 + r`, `|r| <= log(2) / 2`, it is `2^k` times the Taylor polynomial of degree 13
/// of `e^r`, halved again and again (Estrin, 1960) so that few steps wait for the one before.
#[inline(always)]
pub(crate) fn exp_within<S: Simd>(simd: S, line: &mut Line) {
    // Added to a small number, it leaves the nearest integer in the low bits.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    // The high part of log 2 has so many zeros at its end that k times it is exact.
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let number = |x: f64| simd.splat_f64s(x);
    let mut shifted = [0.0; LANES];
    let lanes = S::as_mut_simd_f64s(line).0.iter_mut();
    for (x, shifted) in lanes.zip(S::as_mut_simd_f64s(&mut shifted).0) {
        let within = simd.min_f64s(simd.max_f64s(*x, number(-700.0)), number(700.0));
        *shifted = simd.mul_add_e_f64s(within, number(std::f64::consts::LOG2_E), number(SHIFT));
        let k = simd.sub_f64s(*shifted, number(SHIFT));
        let high = simd.mul_add_e_f64s(k, number(-HIGH), within);
        let r = simd.mul_add_e_f64s(k, number(-LOW), high);
        let r2 = simd.mul_f64s(r, r);
        let r4 = simd.mul_f64s(r2, r2);
        let pair = |low: f64, high: f64| simd.mul_add_e_f64s(r, number(high), number(low));
        let four = |low, high| simd.mul_add_e_f64s(r2, high, low);
        let eight = |low, high| simd.mul_add_e_f64s(r4, high, low);
        let low = eight(
            four(pair(1.0, 1.0), pair(1.0 / 2.0, 1.0 / 6.0)),
            four(
                pair(1.0 / 24.0, 1.0 / 120.0),
                pair(1.0 / 720.0, 1.0 / 5_040.0),
            ),
        );
        let high = eight(
            four(
                pair(1.0 / 40_320.0, 1.0 / 362_880.0),
                pair(1.0 / 3_628_800.0, 1.0 / 39_916_800.0),
            ),
            pair(1.0 / 479_001_600.0, 1.0 / 6_227_020_800.0),
        );
        *x = simd.mul_add_e_f64s(simd.mul_f64s(r4, r4), high, low);
    }
    for (x, shifted) in line.iter_mut().zip(shifted) {
        *x *= f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    }
}

/// `2^x` for x in [-126, 126] to about 1 unit in the last place: `2^n 2^r` with |r| <= 1/2, and the
/// polynomial of least greatest relative error, 2e-9, for `2^r`.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding it rounds to an integer, which is then in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let sum = simd.add_f32s(x, simd.splat_f32s(ROUND));
    let r = simd.sub_f32s(x, simd.sub_f32s(sum, simd.splat_f32s(ROUND)));
    let mut power = simd.splat_f32s(1.535_336_2e-4);
    for coefficient in [
        1.339_887_4e-3,
        9.618_437e-3,
        5.550_332_4e-2,
        2.402_264_8e-1,
        std::f32::consts::LN_2,
        1.0,
    ] {
        power = simd.mul_add_e_f32s(power, r, simd.splat_f32s(coefficient));
    }
    let n = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(sum), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(power), n))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far off the greatest of these exponentials is, in parts of it.
    fn error(points: impl Iterator<Item = f64>, exp: impl Fn(&mut Line)) -> f64 {
        points.fold(0.0, |worst, x| {
            let mut line = [x; LANES];
            exp(&mut line);
            assert!(line.iter().all(|e| *e == line[0]));
            f64::max(worst, (line[0] / x.exp() - 1.0).abs())
        })
    }

    #[test]
    fn equals_that_of_the_standard_library() {
        let points = || {
            let even = (-70_000..=70_000).map(|i| 0.01 * f64::from(i));
            even.chain([-1e-300, 1e-300, 1e-17, -0.34657, 0.34657])
        };
        let worst = error(points(), exp);
        assert!(worst < 7e-16, "{worst}");
        let worst = error(points(), |line| exp_within(pulp::Scalar, line));
        assert!(worst < 7e-16, "{worst}");
        let mut line = [f64::NEG_INFINITY; LANES];
        line[0] = f64::INFINITY;
        exp(&mut line);
        assert!(line[0] > 1e300 && line[1..].iter().all(|e| *e < 1e-300));
    }

    #[test]
    fn exp2_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in 0..=2_000_000 {
            let x = -126.0 + 252.0 * (i as f32 / 2_000_000.0);
            let expected = f64::from(x).exp2();
            let unit = f64::from(expected as f32) * f64::from(f32::EPSILON);
            worst = worst.max((f64::from(exp2(pulp::Scalar, x)) - expected).abs() / unit);
        }
        assert!(worst < 2.0, "{worst}");
    }
}

//! Natural cubic splines through the points of a chain.

use std::ops::Range;

use ndarray::{Array2, ArrayView1};

use super::interpolation::{Curve, combine};

pub(super) struct NaturalSpline {
    knots: Vec<f64>,
    /// Row k holds the second derivatives of `c_k` at the knots, `[K, K]`.
    curvature: Array2<f64>,
}

impl NaturalSpline {
    pub(super) fn new(knots: &[f64]) -> Self {
        Self {
            knots: knots.to_vec(),
            curvature: natural_curvature(knots),
        }
    }

    /// `[c_k(t), c_k'(t)]` of every point.
    fn weights(&self, interval: usize, t: f64) -> Vec<[f64; 2]> {
        let h = self.knots[interval + 1] - self.knots[interval];
        let b = (t - self.knots[interval]) / h;
        let a = 1.0 - b;
        let weight = |k: usize| {
            let [value, slope] = match k {
                _ if k == interval => [a, -1.0 / h],
                _ if k == interval + 1 => [b, 1.0 / h],
                _ => [0.0, 0.0],
            };
            let (left, right) = (
                self.curvature[[k, interval]],
                self.curvature[[k, interval + 1]],
            );
            [
                value + h * h / 6.0 * ((a * a * a - a) * left + (b * b * b - b) * right),
                slope + h / 6.0 * ((1.0 - 3.0 * a * a) * left + (3.0 * b * b - 1.0) * right),
            ]
        };
        (0..self.knots.len()).map(weight).collect()
    }
}

impl Curve for NaturalSpline {
    /// All points of a chain count at every time.
    fn support(&self, _interval: usize) -> Range<usize> {
        0..self.knots.len()
    }

    fn write<'a>(
        &self,
        interval: usize,
        t: f64,
        chain: &dyn Fn(usize) -> ArrayView1<'a, f64>,
        x: &mut [f64],
        v: &mut [f64],
    ) {
        combine(0, &self.weights(interval, t), chain, x, v);
    }
}

/// Second derivatives at the knots of the natural cubic splines through the unit vectors: the
/// tridiagonal system of spline interpolation, solved once for every right-hand side.
fn natural_curvature(knots: &[f64]) -> Array2<f64> {
    let n = knots.len();
    let h: Vec<f64> = knots.windows(2).map(|w| w[1] - w[0]).collect();
    let mut curvature = Array2::zeros((n, n));
    for k in 0..n {
        let y = |i: usize| f64::from(i == k);
        let mut diagonal = vec![1.0; n];
        let mut right = vec![0.0; n];
        for i in 1..n - 1 {
            let full = 2.0 * (h[i - 1] + h[i]);
            let rhs = 6.0 * ((y(i + 1) - y(i)) / h[i] - (y(i) - y(i - 1)) / h[i - 1]);
            let factor = if i > 1 {
                h[i - 1] / diagonal[i - 1]
            } else {
                0.0
            };
            diagonal[i] = full - factor * h[i - 1];
            right[i] = rhs - factor * right[i - 1];
        }
        for i in (1..n - 1).rev() {
            let beyond = if i + 1 < n - 1 {
                h[i] * curvature[[k, i + 1]]
            } else {
                0.0
            };
            curvature[[k, i]] = (right[i] - beyond) / diagonal[i];
        }
    }
    curvature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::interval;

    #[test]
    fn splines_agree_with_scipy() {
        // scipy 1.17.1: CubicSpline([0, 1, 1.5, 4], identity, bc_type="natural") at 0.25, 1.2, 3.
        let knots = [0.0, 1.0, 1.5, 4.0];
        let spline = NaturalSpline::new(&knots);
        for (t, values, slopes) in SCIPY {
            let weights = spline.weights(interval(&knots, t), t);
            for k in 0..4 {
                assert!((weights[k][0] - values[k]).abs() < 1e-12);
                assert!((weights[k][1] - slopes[k]).abs() < 1e-12);
            }
        }
    }

    const SCIPY: [(f64, [f64; 4], [f64; 4]); 3] = [
        (
            0.25,
            [
                0.670774647887324,
                0.5008802816901409,
                -0.1742957746478873,
                0.0026408450704225356,
            ],
            [
                -1.2746478873239437,
                1.8697183098591548,
                -0.604225352112676,
                0.00915492957746479,
            ],
        ),
        (
            1.2,
            [
                -0.030084507042253524,
                0.667267605633803,
                0.36741408450704216,
                -0.004597183098591549,
            ],
            [
                -0.00619718309859163,
                -2.067042253521127,
                2.0903661971830987,
                -0.017126760563380288,
            ],
        ),
        (
            3.0,
            [
                0.05915492957746477,
                -0.8873239436619726,
                1.3701408450704229,
                0.45802816901408444,
            ],
            [
                -0.03661971830985915,
                0.549295774647887,
                -1.0005633802816898,
                0.48788732394366197,
            ],
        ),
    ];
}

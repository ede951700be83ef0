//! Blurring by the heat equation in a box that nothing leaves.

use std::f64::consts::PI;

use ndarray::{Array2, ArrayView2, Zip};

/// The heat equation on `height x width` pixels, solved in cosines.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heat {
    /// The cosines of both sides, `[modes, pixels]`, orthonormal.
    cosines: [Array2<f64>; 2],
    /// How fast every mode fades, `[height, width]`: `pi^2 (k^2 / height^2 + l^2 / width^2)`.
    rates: Array2<f64>,
    /// The width of the blur at time 1, in pixels.
    widest: f64,
}

/// The blur at time 1 is as wide as this many times the longer side: the slowest mode then has
/// `e^(-pi^2 1.5^2 / 2) = 1.5e-5` of its size left, and images are flat.
const WIDEST: f64 = 1.5;

impl Heat {
    pub(super) fn new(height: usize, width: usize) -> Self {
        let cosines = [height, width].map(|n| {
            Array2::from_shape_fn((n, n), |(k, i)| {
                let scale = if k == 0 { 1.0 } else { 2.0 } / n as f64;
                scale.sqrt() * (PI * k as f64 * (i as f64 + 0.5) / n as f64).cos()
            })
        });
        let square = |k: usize, n: usize| (PI * k as f64 / n as f64).powi(2);
        let rates = Array2::from_shape_fn((height, width), |(k, l)| {
            square(k, height) + square(l, width)
        });
        Self {
            cosines,
            rates,
            widest: WIDEST * height.max(width) as f64,
        }
    }

    /// A channel after it was blurred with a Gaussian of standard deviation `widest t^2`, and its
    /// rate.
    pub(super) fn blur(&self, plane: ArrayView2<f64>, t: f64) -> [Array2<f64>; 2] {
        let [rows, columns] = &self.cosines;
        // The heat equation for a time of half the squared width.
        let time = 0.5 * self.widest.powi(2) * t.powi(4);
        let pace = 2.0 * self.widest.powi(2) * t.powi(3);
        let mut modes = rows.dot(&plane).dot(&columns.t());
        Zip::from(&mut modes)
            .and(&self.rates)
            .for_each(|mode, rate| *mode *= (-time * rate).exp());
        let fading = -pace * &modes * &self.rates;
        [modes, fading].map(|modes| rows.t().dot(&modes).dot(columns))
    }
}

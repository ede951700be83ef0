//! Straight lines between the points of a chain.

use std::ops::Range;

use ndarray::ArrayView1;

use super::interpolation::{Curve, combine};

pub(super) struct Line {
    knots: Vec<f64>,
}

impl Line {
    pub(super) fn new(knots: &[f64]) -> Self {
        Self {
            knots: knots.to_vec(),
        }
    }
}

impl Curve for Line {
    fn support(&self, interval: usize) -> Range<usize> {
        interval..interval + 2
    }

    fn write<'a>(
        &self,
        interval: usize,
        t: f64,
        chain: &dyn Fn(usize) -> ArrayView1<'a, f64>,
        x: &mut [f64],
        v: &mut [f64],
    ) {
        let h = self.knots[interval + 1] - self.knots[interval];
        let b = (t - self.knots[interval]) / h;
        let weights = [[1.0 - b, -1.0 / h], [b, 1.0 / h]];
        combine(interval, &weights, chain, x, v);
    }
}

//! Straight lines between the points of a chain.

use std::ops::Range;

use super::interpolation::Cardinal;

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

impl Cardinal for Line {
    fn support(&self, interval: usize) -> Range<usize> {
        interval..interval + 2
    }

    fn write(&self, interval: usize, t: f64, out: &mut [[f64; 2]]) {
        let h = self.knots[interval + 1] - self.knots[interval];
        let b = (t - self.knots[interval]) / h;
        out.copy_from_slice(&[[1.0 - b, -1.0 / h], [b, 1.0 / h]]);
    }
}

//! Monotone cubics through the points of a chain, column by column.

use std::ops::Range;

use ndarray::ArrayView1;

use super::interpolation::Curve;

pub(super) struct Monotone {
    times: Vec<f64>,
}

impl Monotone {
    pub(super) fn new(times: &[f64]) -> Self {
        Self {
            times: times.to_vec(),
        }
    }
}

impl Curve for Monotone {
    /// Slopes at the two ends of an interval take a point on either side.
    fn support(&self, interval: usize) -> Range<usize> {
        interval.saturating_sub(1)..(interval + 3).min(self.times.len())
    }

    fn write<'a>(
        &self,
        interval: usize,
        t: f64,
        chain: &dyn Fn(usize) -> ArrayView1<'a, f64>,
        x: &mut [f64],
        v: &mut [f64],
    ) {
        let support = self.support(interval);
        let times = &self.times[support.clone()];
        let at = interval - support.start;
        let points: Vec<ArrayView1<f64>> = support.map(chain).collect();
        let mut values = vec![0.0; points.len()];
        for column in 0..x.len() {
            for (value, point) in values.iter_mut().zip(&points) {
                *value = point[column];
            }
            // A slope depends on its neighbours alone, so that of an inner point is that of the
            // whole chain.
            let slopes = slopes(times, &values);
            let ends = [at, at + 1].map(|k| [values[k], slopes[k]]);
            [x[column], v[column]] = hermite([times[at], times[at + 1]], ends, t);
        }
    }
}

/// Slopes at `times` with which the cubics through `values` go up where these do, and down where
/// they do (Fritsch and Butland 1984, in the form of SciPy's `PchipInterpolator`).
pub(super) fn slopes(times: &[f64], values: &[f64]) -> Vec<f64> {
    let h: Vec<f64> = times.windows(2).map(|t| t[1] - t[0]).collect();
    let lines: Vec<f64> = values
        .windows(2)
        .zip(&h)
        .map(|(y, h)| (y[1] - y[0]) / h)
        .collect();
    let last = lines.len();
    let at_end = |near: usize, far: usize| {
        let slope =
            ((2.0 * h[near] + h[far]) * lines[near] - h[near] * lines[far]) / (h[near] + h[far]);
        if slope * lines[near] <= 0.0 {
            0.0
        } else if lines[near] * lines[far] <= 0.0 && slope.abs() > 3.0 * lines[near].abs() {
            3.0 * lines[near]
        } else {
            slope
        }
    };
    (0..=last)
        .map(|k| match k {
            _ if last == 1 => lines[0],
            0 => at_end(0, 1),
            _ if k == last => at_end(last - 1, last - 2),
            _ if lines[k - 1] * lines[k] <= 0.0 => 0.0,
            _ => {
                let (after, before) = (2.0 * h[k] + h[k - 1], h[k] + 2.0 * h[k - 1]);
                (after + before) / (after / lines[k - 1] + before / lines[k])
            }
        })
        .collect()
}

/// The value and the derivative at `t` of the cubic with the given ones at the ends.
pub(super) fn hermite([start, end]: [f64; 2], [low, high]: [[f64; 2]; 2], t: f64) -> [f64; 2] {
    let h = end - start;
    let u = (t - start) / h;
    let line = (high[0] - low[0]) / h;
    let [left, right] = [low[1] - line, high[1] - line];
    let rest = 1.0 - u;
    [
        low[0] + h * u * (line + rest * (rest * left - u * right)),
        line + rest * (1.0 - 3.0 * u) * left + u * (3.0 * u - 2.0) * right,
    ]
}

#[cfg(test)]
mod tests {
    use ndarray::aview1;

    use super::*;
    use crate::units::interval;

    /// scipy 1.17.1: `PchipInterpolator` and its derivative.
    #[test]
    fn equals_scipy() {
        let times = [0.0, 1.0, 1.5, 4.0, 4.5, 7.0];
        let points = [
            [0.0, 1.0],
            [2.0, 0.5],
            [3.0, -1.0],
            [2.5, 4.0],
            [0.3, 2.0],
            [1.0, 1.0],
        ];
        let curve = Monotone::new(&times);
        for (t, place, velocity) in [
            (0.3, [0.6, 0.950655172414], [2.0, -0.32275862069]),
            (1.2, [2.496, -0.095034482759], [2.64, -4.208275862069]),
            (2.0, [2.9864, -0.48], [-0.0576, 1.92]),
            (3.9, [2.5465728, 3.97664], [-0.451584, 0.4608]),
            (4.2, [1.69104, 3.338666666667], [-6.2784, -5.475555555556]),
            (5.5, [0.3448, 1.328], [0.1344, -0.469333333333]),
            (
                6.9,
                [0.9193152, 1.001258666667],
                [0.774144, -0.025315555556],
            ),
        ] {
            let (mut x, mut v) = ([0.0; 2], [0.0; 2]);
            let chain = |k: usize| aview1(&points[k]);
            curve.write(interval(&times, t), t, &chain, &mut x, &mut v);
            for j in 0..2 {
                assert!((x[j] - place[j]).abs() < 1e-11, "{t}: {x:?}");
                assert!((v[j] - velocity[j]).abs() < 1e-11, "{t}: {v:?}");
            }
        }
        // At an end the slope of the parabola is cut where it is steep, or turns.
        let at_start = |values: [f64; 3]| slopes(&[0.0, 1.0, 1.2], &values)[0];
        assert_eq!(
            [at_start([0.0, 1.0, 0.0]), at_start([0.0, 1.0, 3.0])],
            [3.0, 0.0]
        );
    }
}

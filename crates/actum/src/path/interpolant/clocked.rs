//! Centripetal Catmull-Rom splines on a clock of distance.
//!
//! A cubic in real time overshoots where a population moves fast and then slowly: its slope at a
//! time is shared by a short way and a long one. So the cubic runs in `c`, which advances by the
//! root of the distance between the means of two snapshots (the centripetal choice of Lee 1989, for
//! which a curve neither loops nor leaves its points), and `c(t)` is monotone. The formula stands in
//! docs/mathematics.md, section 6.

use std::ops::Range;

use super::{
    interpolation::Cardinal,
    monotone::{hermite, slopes},
};

/// No interval of the clock is shorter than this part of the mean one. Means that hardly move, as
/// where a population splits, would make slopes of noise.
const LEAST: f64 = 0.25;

pub(super) struct ClockedSpline {
    times: Vec<f64>,
    /// `c_k`, and `c'(t_k)`.
    clock: Vec<[f64; 2]>,
}

impl ClockedSpline {
    /// For snapshots at `times` `[K]` whose means are `distances` `[K - 1]` apart.
    pub(super) fn new(times: &[f64], distances: &[f64]) -> Self {
        let roots: Vec<f64> = distances.iter().map(|distance| distance.sqrt()).collect();
        let mean = roots.iter().sum::<f64>() / roots.len() as f64;
        let strides: Vec<f64> = match mean > 0.0 {
            true => roots.iter().map(|root| root.max(LEAST * mean)).collect(),
            // Nothing moves on the whole: real time is as good a clock as any.
            false => times.windows(2).map(|t| t[1] - t[0]).collect(),
        };
        let mut clock = vec![0.0];
        for stride in &strides {
            clock.push(clock[clock.len() - 1] + stride);
        }
        let rates = slopes(times, &clock);
        Self {
            times: times.to_vec(),
            clock: clock.into_iter().zip(rates).map(Into::into).collect(),
        }
    }

    /// `c_{k+1} - c_k`.
    fn stride(&self, k: usize) -> f64 {
        self.clock[k + 1][0] - self.clock[k][0]
    }

    /// What the clock shows at the start of an interval, at `t` in it, and at its end.
    pub(super) fn reading(&self, interval: usize, t: f64) -> [f64; 3] {
        let ends = [interval, interval + 1].map(|k| self.times[k]);
        let [low, high] = [self.clock[interval], self.clock[interval + 1]];
        let [now, _] = hermite(ends, [low, high], t);
        [low[0], now, high[0]]
    }

    /// Adds the slope `dx/dc` at point `k`, times `factor`, to the weights of the points from
    /// `first` on.
    fn add_slope(
        &self,
        k: usize,
        factor: f64,
        first: usize,
        out: &mut [[f64; 2]],
        component: usize,
    ) {
        let last = self.clock.len() - 1;
        // The slope of the line between points i and i + 1, times a weight.
        let mut add = |i: usize, weight: f64| {
            let weight = factor * weight / self.stride(i);
            out[i - first][component] -= weight;
            out[i + 1 - first][component] += weight;
        };
        if last == 1 {
            add(0, 1.0);
        } else if k == 0 || k == last {
            // The parabola through the last three points.
            let [near, far] = if k == 0 { [0, 1] } else { [last - 1, last - 2] };
            let [h, beyond] = [self.stride(near), self.stride(far)];
            add(near, (2.0 * h + beyond) / (h + beyond));
            add(far, -h / (h + beyond));
        } else {
            let [before, after] = [self.stride(k - 1), self.stride(k)];
            add(k - 1, after / (before + after));
            add(k, before / (before + after));
        }
    }
}

impl Cardinal for ClockedSpline {
    /// Two points on either side count. At an end of the chain the slope takes a third point, on
    /// the other side.
    fn support(&self, interval: usize) -> Range<usize> {
        interval.saturating_sub(1)..(interval + 3).min(self.times.len())
    }

    fn write(&self, interval: usize, t: f64, out: &mut [[f64; 2]]) {
        let ends = [interval, interval + 1].map(|k| self.times[k]);
        let [c, rate] = hermite(ends, [self.clock[interval], self.clock[interval + 1]], t);
        let h = self.stride(interval);
        let u = (c - self.clock[interval][0]) / h;
        let (squared, rest) = (u * u, 1.0 - u);
        // How much each end and each slope counts, and the derivatives of these in t.
        let end = [squared * (3.0 - 2.0 * u), 6.0 * u * rest / h * rate];
        let slopes = [
            [u * rest * rest * h, rest * (1.0 - 3.0 * u) * rate],
            [-squared * rest * h, u * (3.0 * u - 2.0) * rate],
        ];
        let first = interval.saturating_sub(1);
        out.fill([0.0; 2]);
        out[interval - first] = [1.0 - end[0], -end[1]];
        out[interval + 1 - first] = end;
        for component in 0..2 {
            for (k, slope) in [interval, interval + 1].into_iter().zip(slopes) {
                self.add_slope(k, slope[component], first, out, component);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::aview1;

    use super::{super::interpolation::Curve, *};

    const TIMES: [f64; 6] = [0.0, 1.0, 1.5, 4.0, 4.5, 7.0];
    const DISTANCES: [f64; 5] = [0.5, 2.0, 0.3, 1.2, 0.8];
    const POINTS: [[f64; 2]; 6] = [
        [0.0, 1.0],
        [2.0, 0.5],
        [3.0, -1.0],
        [2.5, 4.0],
        [0.3, 2.0],
        [1.0, 1.0],
    ];

    /// The point of the spline at t, and its velocity.
    fn at(spline: &ClockedSpline, t: f64, points: &[[f64; 2]]) -> [[f64; 2]; 2] {
        let k = (1..spline.times.len() - 1)
            .take_while(|k| spline.times[*k] <= t)
            .count();
        let (mut x, mut v) = ([f64::NAN; 2], [f64::NAN; 2]);
        Curve::write(spline, k, t, &|k| aview1(&points[k]), &mut x, &mut v);
        [x, v]
    }

    /// From the formula as it is written, in numpy, with the clock of scipy's `PchipInterpolator`.
    #[test]
    fn equals_the_formula() {
        let spline = ClockedSpline::new(&TIMES, &DISTANCES);
        for (t, expected) in [
            (0.3, [0.264168, 0.954028]),
            (1.2, [2.842220214489, -1.032930040893]),
            (2.0, [2.887875055495, 0.544299966479]),
            (3.9, [2.557071357287, 3.714472124007]),
            (4.2, [1.708932118861, 4.444376571835]),
            (5.5, [0.496291932534, 1.28832008593]),
            (6.9, [0.997216955722, 1.001094526058]),
        ] {
            let [got, velocity] = at(&spline, t, &POINTS);
            let [before, after] = [-1e-6, 1e-6].map(|by| at(&spline, t + by, &POINTS)[0]);
            for column in 0..2 {
                let off = (got[column] - expected[column]).abs();
                assert!(off < 1e-6, "{t}: {got:?}, not {expected:?}");
                let rate = (after[column] - before[column]) / 2e-6;
                assert!((velocity[column] - rate).abs() < 1e-7);
            }
        }
    }

    /// A circular motion seen at eight unequal times: the mean squared distance from it is a tenth
    /// of that of lines.
    #[test]
    fn a_circle_is_followed_closer_than_by_lines() {
        let times = [0.0, 0.5, 1.1, 1.5, 2.1, 2.5, 3.1, 3.6];
        let on_circle = |t: f64| [t.cos(), t.sin()];
        let points = times.map(on_circle);
        let squared = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        let distances: Vec<f64> = points
            .windows(2)
            .map(|p| squared(p[0], p[1]).sqrt())
            .collect();
        let spline = ClockedSpline::new(&times, &distances);
        let (mut off, mut off_lines) = (0.0, 0.0);
        for i in 1..360 {
            let t = 0.01 * f64::from(i);
            let [got, _] = at(&spline, t, &points);
            off += squared(got, on_circle(t));
            let k = times.iter().take_while(|time| **time <= t).count() - 1;
            let share = (t - times[k]) / (times[k + 1] - times[k]);
            let line = [0, 1].map(|j| points[k][j] + share * (points[k + 1][j] - points[k][j]));
            off_lines += squared(line, on_circle(t));
        }
        assert!(10.0 * off < off_lines, "{off}, lines {off_lines}");
    }

    /// Constants and, on an even way, straight lines are kept; two points give a line; where
    /// nothing moves on the whole, real time is the clock.
    #[test]
    fn keeps_what_is_simple() {
        let spline = ClockedSpline::new(&TIMES, &DISTANCES);
        let [x, v] = at(&spline, 2.7, &[[3.0, -1.0]; 6]);
        assert!((x[0] - 3.0).abs() < 1e-12 && (x[1] + 1.0).abs() < 1e-12);
        assert!(v.iter().all(|v| v.abs() < 1e-12));
        let two = ClockedSpline::new(&[1.0, 3.0], &[0.7]);
        let [x, v] = at(&two, 1.5, &[[0.0, 2.0], [4.0, 0.0]]);
        assert!((x[0] - 1.0).abs() < 1e-12 && (v[0] - 2.0).abs() < 1e-12);
        let still = ClockedSpline::new(&TIMES, &[0.0; 5]);
        let line = TIMES.map(|t| [2.0 * t - 1.0, 0.0]);
        let [x, v] = at(&still, 3.3, &line);
        assert!((x[0] - 5.6).abs() < 1e-12 && (v[0] - 2.0).abs() < 1e-12);
        // One step of the means that is nearly 0 does not throw the neighbours about.
        let nearly = ClockedSpline::new(&[0.0, 1.0, 2.0, 3.0], &[1.0, 1e-12, 1.0]);
        let points = [[0.0, 0.0], [1.0, 0.0], [1.5, 0.0], [2.5, 0.0]];
        for i in 0..30 {
            let [x, _] = at(&nearly, 0.1 * f64::from(i), &points);
            assert!((-0.5..3.0).contains(&x[0]), "{x:?}");
        }
    }
}

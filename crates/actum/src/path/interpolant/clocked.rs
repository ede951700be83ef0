//! Catmull-Rom splines on a clock.
//!
//! A cubic in real time overshoots where a population moves fast and then slowly: its slope at a
//! time is shared by a short way and a long one. So the cubic runs in `c`, which advances by the
//! root of the distance between the means of two snapshots (the centripetal choice of Lee 1989, for
//! which a curve neither loops nor leaves its points), and `c(t)` is monotone. Where a population
//! moves evenly, real time is the better clock: its curve has the right acceleration. The snapshots
//! tell which they prefer. The formula stands in docs/mathematics.md, section 6.

use std::ops::Range;

use ndarray::{Array1, ArrayView1};

use super::{
    interpolation::{Curve, combine},
    monotone::{hermite, slopes},
};
use crate::units::interval;

/// No interval of the clock is shorter than this part of the mean one. Means that hardly move, as
/// where a population splits, would make slopes of noise.
const LEAST: f64 = 0.25;

/// Real time is taken where its squared error is below this part of that of the clock of distance.
/// Means that move by chance alone prefer either by chance.
const CLEARLY: f64 = 0.5;

pub(super) struct ClockedSpline {
    times: Vec<f64>,
    /// `c_k`, and `c'(t_k)`.
    clock: Vec<[f64; 2]>,
}

impl ClockedSpline {
    /// For snapshots at `times` `[K]` with the given means, `[d]` each, on the clock of distance, or in
    /// real time where that predicts the means clearly better that are left out in turn. Distances
    /// are measured after dividing every column by `scale`. Of fewer than four snapshots, of which
    /// two are left at most when one is left out, the clock is that of distance.
    pub(super) fn of(times: &[f64], means: &[Array1<f64>], scale: &Array1<f64>) -> Self {
        let means: Vec<Array1<f64>> = means.iter().map(|mean| mean / scale).collect();
        let clocks = [Self::by_distance, Self::in_real_time];
        let off = clocks.map(|clock| residual(times, &means, clock));
        let is_even = times.len() >= 4 && off[1] < CLEARLY * off[0];
        clocks[usize::from(is_even)](times, &means)
    }

    /// On the clock of distance; `means` are in units of distance.
    pub(super) fn by_distance(times: &[f64], means: &[Array1<f64>]) -> Self {
        let roots = means.windows(2).map(|pair| {
            let way = &pair[1] - &pair[0];
            way.dot(&way).sqrt().sqrt()
        });
        let roots: Vec<f64> = roots.collect();
        let mean = roots.iter().sum::<f64>() / roots.len() as f64;
        if mean > 0.0 {
            let strides: Vec<f64> = roots.iter().map(|root| root.max(LEAST * mean)).collect();
            Self::new(times, &strides)
        } else {
            // Nothing moves on the whole.
            Self::in_real_time(times, means)
        }
    }

    fn in_real_time(times: &[f64], _means: &[Array1<f64>]) -> Self {
        let strides: Vec<f64> = times.windows(2).map(|t| t[1] - t[0]).collect();
        Self::new(times, &strides)
    }

    /// On a clock that advances by `strides` `[K - 1]` between `times` `[K]`.
    fn new(times: &[f64], strides: &[f64]) -> Self {
        let mut clock = vec![0.0];
        for stride in strides {
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

impl Curve for ClockedSpline {
    /// Two points on either side count. At an end of the chain the slope takes a third point, on
    /// the other side.
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
        let support = self.support(interval);
        let first = support.start;
        let mut weights = [[0.0; 2]; 4];
        let out = &mut weights[..support.len()];
        out[interval - first] = [1.0 - end[0], -end[1]];
        out[interval + 1 - first] = end;
        for component in 0..2 {
            for (k, slope) in [interval, interval + 1].into_iter().zip(slopes) {
                self.add_slope(k, slope[component], first, out, component);
            }
        }
        combine(first, out, chain, x, v);
    }
}

/// The sum of the squared distances of the inner means from the curve through the other ones.
fn residual(
    times: &[f64],
    means: &[Array1<f64>],
    clock: fn(&[f64], &[Array1<f64>]) -> ClockedSpline,
) -> f64 {
    let off = (1..times.len() - 1).map(|left_out| {
        let (mut times, mut others) = (times.to_vec(), means.to_vec());
        let t = times.remove(left_out);
        let mean = others.remove(left_out);
        let (mut x, mut v) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
        let chain = |k: usize| others[k].view();
        clock(&times, &others).write(interval(&times, t), t, &chain, &mut x, &mut v);
        let off = Array1::from(x) - mean;
        off.dot(&off)
    });
    off.sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{array, aview1};

    use super::*;

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

    /// Means so far apart.
    fn on_a_line(distances: &[f64]) -> Vec<Array1<f64>> {
        let mut means = vec![array![0.0]];
        for distance in distances {
            means.push(&means[means.len() - 1] + *distance);
        }
        means
    }

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
        let spline = ClockedSpline::by_distance(&TIMES, &on_a_line(&DISTANCES));
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
        let spline =
            ClockedSpline::by_distance(&times, &points.map(|x| Array1::from_vec(x.to_vec())));
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

    /// A fall is even in real time, and a burst that slows down is even in distance: each finds its
    /// clock. Three snapshots cannot tell.
    #[test]
    fn the_snapshots_choose_the_clock() {
        let times = [0.0, 1.0, 1.5, 3.5, 4.0, 6.0];
        let fall = times.map(|t| array![2.0 * t, 5.0 * t - 0.5 * t * t]);
        let real = |spline: &ClockedSpline| {
            let clock = spline.clock.iter().zip(&spline.times);
            clock.into_iter().all(|([c, _], t)| (c - t).abs() < 1e-12)
        };
        let scale = array![2.0, 1.0];
        let falling = ClockedSpline::of(&times, &fall, &scale);
        assert!(real(&falling));
        let points = fall.each_ref().map(|x| [x[0], x[1]]);
        let [x, _] = at(&falling, 2.0, &points);
        assert!((x[0] - 4.0).abs() < 1e-12 && (x[1] - 8.0).abs() < 1e-12);
        // Around a circle, as far in each interval, in times that double.
        let times = [0.0, 1.0, 3.0, 7.0, 15.0, 31.0];
        let angles = [0.0, 0.4, 0.8, 1.2, 1.6, 2.0f64];
        let turn = angles.map(|angle| array![angle.cos(), angle.sin()]);
        assert!(!real(&ClockedSpline::of(&times, &turn, &array![1.0, 1.0])));
        let three = ClockedSpline::of(&times[..3], &fall[..3], &scale);
        assert!(!real(&three));
    }

    /// Constants and, on an even way, straight lines are kept; two points give a line; where
    /// nothing moves on the whole, real time is the clock.
    #[test]
    fn keeps_what_is_simple() {
        let spline = ClockedSpline::by_distance(&TIMES, &on_a_line(&DISTANCES));
        let [x, v] = at(&spline, 2.7, &[[3.0, -1.0]; 6]);
        assert!((x[0] - 3.0).abs() < 1e-12 && (x[1] + 1.0).abs() < 1e-12);
        assert!(v.iter().all(|v| v.abs() < 1e-12));
        let two = ClockedSpline::of(&[1.0, 3.0], &on_a_line(&[0.7]), &array![1.0]);
        let [x, v] = at(&two, 1.5, &[[0.0, 2.0], [4.0, 0.0]]);
        assert!((x[0] - 1.0).abs() < 1e-12 && (v[0] - 2.0).abs() < 1e-12);
        let still = ClockedSpline::of(&TIMES, &on_a_line(&[0.0; 5]), &array![1.0]);
        let line = TIMES.map(|t| [2.0 * t - 1.0, 0.0]);
        let [x, v] = at(&still, 3.3, &line);
        assert!((x[0] - 5.6).abs() < 1e-12 && (v[0] - 2.0).abs() < 1e-12);
        // One step of the means that is nearly 0 does not throw the neighbours about.
        let nearly =
            ClockedSpline::by_distance(&[0.0, 1.0, 2.0, 3.0], &on_a_line(&[1.0, 1e-12, 1.0]));
        let points = [[0.0, 0.0], [1.0, 0.0], [1.5, 0.0], [2.5, 0.0]];
        for i in 0..30 {
            let [x, _] = at(&nearly, 0.1 * f64::from(i), &points);
            assert!((-0.5..3.0).contains(&x[0]), "{x:?}");
        }
    }
}

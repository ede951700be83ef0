//! Curves of least action under a force that is the same for all points.

use std::ops::Range;

use ndarray::{Array1, ArrayView1};

use super::interpolation::Curve;

/// Between two snapshots, minimises the integral of `|v|^2 / 2 + a(t) . x`: a Wasserstein Lagrangian
/// flow (Neklyudov et al. 2024) whose potential is linear in x. The Euler-Lagrange equation is `dv/dt
/// = a(t)` for every point, so the path of least action is known: the line, and a displacement that
/// all points share. The cost of a pair is that of the line and terms of either end alone, so
/// optimal transport couples as without the force.
///
/// `a` is the acceleration of the means: at an interior snapshot the difference of the mean velocities
/// on either side over half the time that these take, and at other times that of the nearest one.
pub(super) struct Forced {
    times: Vec<f64>,
    /// `[d]` for every snapshot; those of the first and the last are their neighbours'.
    forces: Vec<Array1<f64>>,
}

impl Forced {
    /// For snapshots at `times` `[K]` with the given means, `[d]` each.
    pub(super) fn new(times: &[f64], means: &[Array1<f64>]) -> Self {
        let velocity = |k: usize| (&means[k + 1] - &means[k]) / (times[k + 1] - times[k]);
        let last = times.len() - 1;
        let at = |k: usize| match last {
            1 => Array1::zeros(means[0].len()),
            _ => {
                let k = k.clamp(1, last - 1);
                (velocity(k) - velocity(k - 1)) / (0.5 * (times[k + 1] - times[k - 1]))
            }
        };
        Self {
            times: times.to_vec(),
            forces: (0..=last).map(at).collect(),
        }
    }
}

impl Curve for Forced {
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
        let [start, end] = [interval, interval + 1].map(|k| self.times[k]);
        let h = end - start;
        let u = (t - start) / h;
        let [early, late] = shares(u);
        let (y, z) = (chain(interval), chain(interval + 1));
        let (a, b) = (&self.forces[interval], &self.forces[interval + 1]);
        for j in 0..x.len() {
            let rise = z[j] - y[j];
            x[j] = y[j] + u * rise + h * h * (early[0] * a[j] + late[0] * b[j]);
            v[j] = rise / h + h * (early[1] * a[j] + late[1] * b[j]);
        }
    }
}

/// What a force of 1 in the first half of [0, 1] displaces at `u`, with its derivative, and what one
/// in the second half does: 0 at both ends.
fn shares(u: f64) -> [[f64; 2]; 2] {
    // Twice integrated, less the line to where that ends: 3/8 in the first case.
    let first = |u: f64| match u < 0.5 {
        true => [0.5 * u * u - 0.375 * u, u - 0.375],
        false => [0.125 * (u - 1.0), 0.125],
    };
    let [value, slope] = first(1.0 - u);
    [first(u), [value, -slope]]
}

#[cfg(test)]
mod tests {
    use ndarray::{array, aview1};

    use super::*;

    fn at(curve: &Forced, interval: usize, t: f64, ends: [&[f64]; 2]) -> [Vec<f64>; 2] {
        let d = ends[0].len();
        let (mut x, mut v) = (vec![f64::NAN; d], vec![f64::NAN; d]);
        let chain = |k: usize| aview1(ends[k - interval]);
        curve.write(interval, t, &chain, &mut x, &mut v);
        [x, v]
    }

    /// Where the means fall freely, `m = v t + g t^2 / 2`, every point falls alike.
    #[test]
    fn a_free_fall_is_followed_exactly() {
        let times = [0.0, 1.0, 1.5, 4.0];
        let fall = |x: f64, t: f64| array![x + 2.0 * t, 5.0 * t - 0.5 * 9.81 * t * t];
        let means = times.map(|t| fall(0.3, t));
        let curve = Forced::new(&times, &means);
        for (interval, t) in [(0, 0.2), (0, 0.9), (1, 1.2), (2, 2.0), (2, 3.9)] {
            let ends = [interval, interval + 1].map(|k| fall(-1.0, times[k]));
            let ends = ends.each_ref().map(|x| x.as_slice().unwrap());
            let [x, v] = at(&curve, interval, t, ends);
            let expected = fall(-1.0, t);
            assert!((x[0] - expected[0]).abs() < 1e-12 && (x[1] - expected[1]).abs() < 1e-12);
            assert!((v[0] - 2.0).abs() < 1e-12 && (v[1] - 5.0 + 9.81 * t).abs() < 1e-12);
        }
    }

    /// The action of the curve is the least: displaced curves with the same ends have a larger one,
    /// by that of the displacement alone.
    #[test]
    fn the_action_is_least() {
        let times = [0.0, 1.0, 3.0, 3.5];
        let means = [array![0.0], array![2.0], array![1.0], array![-1.0]];
        let curve = Forced::new(&times, &means);
        // The force between the times 1 and 3: it changes in the middle.
        let [early, late] = [(-0.5 - 2.0) / 1.5, (-4.0 + 0.5) / 1.25];
        let action = |off: f64| {
            let n = 4000;
            let h = 2.0 / f64::from(n);
            let each = (0..n).map(|i| {
                let t = 1.0 + h * (f64::from(i) + 0.5);
                let [x, v] = at(&curve, 1, t, [&[0.7], &[0.2]]);
                let wave = std::f64::consts::PI * (t - 1.0);
                let (x, v) = (
                    x[0] + off * wave.sin(),
                    v[0] + off * std::f64::consts::PI * wave.cos(),
                );
                let force = if t < 2.0 { early } else { late };
                h * (0.5 * v * v + force * x)
            });
            each.sum::<f64>()
        };
        let extra = 0.5 * std::f64::consts::PI.powi(2);
        for off in [-0.3, 0.2, 1.0] {
            let rise = action(off) - action(0.0);
            assert!((rise - off * off * extra).abs() < 1e-5, "{off}: {rise}");
        }
    }
}

//! Curves that stay near the data: learned interpolants on a metric of the data (Kapusniak et al.
//! 2024).
//!
//! Between two matched points a curve is `x_u = (1-u) x_0 + u x_1 + 2u(1-u) phi(x_0, x_1, t)`, and
//! `phi` is learned so that the mean energy `E sum_d (dx_d/du)^2 M_d(x)` is least, where `M` is
//! large away from the data. Which `M`, and with which settings, is as published: below 11 columns
//! that of LAND, else that of radial basis functions. The derivative of `phi` in time is taken for
//! every column (code published before August 2025 added the columns up).

mod ground;
mod network;

use std::ops::Range;

use ndarray::{Array1, ArrayView1};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::interpolation::Curve;
use crate::cloud::Cloud;
use ground::Ground;
use network::{Network, Trace};

/// Steps of Adam, the pairs that each looks at, and its largest rate, which falls along half a
/// cosine.
const STEPS: usize = 1000;
const BATCH: usize = 256;
const RATE: f64 = 2e-3;
/// Into how many parts a batch is cut, so that sums do not depend on the number of threads.
const PARTS: usize = 8;

/// Two matched points.
pub(super) struct Pair<'a> {
    /// The snapshot of the earlier one.
    pub interval: usize,
    pub ends: [ArrayView1<'a, f64>; 2],
}

pub(super) struct Bent {
    center: Array1<f64>,
    scale: Array1<f64>,
    bend: Bend,
}

/// How lines between matched points bend, as the network sees them.
struct Bend {
    times: Vec<f64>,
    network: Network,
}

impl Bent {
    /// Learns to bend the lines between the pairs that `draw` gives. Columns are divided by
    /// `scale` first. Its draws are seeded: the same snapshots give the same curve.
    pub(super) fn new<'a>(
        times: &[f64],
        clouds: &[Cloud],
        scale: &Array1<f64>,
        draw: impl Fn(&mut dyn Rng) -> Pair<'a>,
    ) -> Self {
        let d = clouds[0].dimension();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        // The settings are for data of unit variance.
        let count = clouds.len() as f64;
        let sum = |sum: Array1<f64>, cloud: &Cloud| sum + cloud.mean();
        let center = clouds.iter().fold(Array1::zeros(d), sum) / count;
        let spread = |cloud: &Cloud| {
            let off = (cloud.mean() - &center) / scale;
            let variance = (cloud.std_dev() / scale).mapv(|s| s * s).sum();
            (off.dot(&off) + variance) / d as f64
        };
        let spread = (clouds.iter().map(spread).sum::<f64>() / count).sqrt();
        let scale = match spread > 0.0 {
            true => scale * spread,
            false => scale.clone(),
        };
        let ground = Ground::of(clouds, &center, &scale, &mut rng);
        let mut bent = Self {
            center,
            scale,
            bend: Bend {
                times: times.to_vec(),
                network: Network::new(2 * d + 1, d, &mut rng),
            },
        };
        let scaled = |rng: &mut dyn Rng| {
            let pair = draw(rng);
            (pair.interval, pair.ends.map(|end| bent.entering(end)))
        };
        let charge =
            |x: &[f64], v: &[f64], dx: &mut [f64], dv: &mut [f64]| ground.charge(x, v, dx, dv);
        bent.bend = bent.bend.learned(scaled, charge, &mut rng);
        bent
    }

    /// A point as the network sees it.
    fn entering(&self, point: ArrayView1<f64>) -> Vec<f64> {
        let center = self.center.iter().zip(&self.scale);
        let pairs = point.iter().zip(center);
        pairs
            .map(|(x, (center, scale))| (x - center) / scale)
            .collect()
    }
}

impl Curve for Bent {
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
        let times = &self.bend.times;
        let duration = times[interval + 1] - times[interval];
        let u = (t - times[interval]) / duration;
        let ends = [chain(interval), chain(interval + 1)].map(|end| self.entering(end));
        self.bend
            .write(interval, u, &ends, &mut Trace::default(), x, v);
        for (j, (center, scale)) in self.center.iter().zip(&self.scale).enumerate() {
            x[j] = center + scale * x[j];
            v[j] *= scale / duration;
        }
    }
}

/// How much the bend counts at the share `u`, and the derivative of that.
fn window(u: f64) -> [f64; 2] {
    [2.0 * u * (1.0 - u), 2.0 - 4.0 * u]
}

impl Bend {
    /// Writes where a curve is at the share `u` of an interval, and its velocity in `u`. The trace
    /// is that of the network.
    fn write(
        &self,
        interval: usize,
        u: f64,
        ends: &[Vec<f64>; 2],
        trace: &mut Trace,
        x: &mut [f64],
        v: &mut [f64],
    ) {
        let d = x.len();
        let [start, low, high, end] =
            [0, interval, interval + 1, self.times.len() - 1].map(|k| self.times[k]);
        let mut input = [ends[0].as_slice(), &ends[1]].concat();
        input.push((low - start + u * (high - low)) / (end - start));
        let mut along = vec![0.0; 2 * d];
        along.push((high - low) / (end - start));
        let [bend, rate] = self.network.forward(&input, &along, trace);
        let [weight, change] = window(u);
        for j in 0..d {
            let [a, b] = [ends[0][j], ends[1][j]];
            x[j] = (1.0 - u) * a + u * b + weight * bend[j];
            v[j] = b - a + change * bend[j] + weight * rate[j];
        }
    }

    /// Minimises the mean over pairs and times of what `charge` says of `(x, v)`: the charge, and its
    /// derivatives in both.
    fn learned(
        &self,
        draw: impl Fn(&mut dyn Rng) -> (usize, [Vec<f64>; 2]),
        charge: impl Fn(&[f64], &[f64], &mut [f64], &mut [f64]) -> f64 + Sync,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut learned = Self {
            times: self.times.clone(),
            network: self.network.clone(),
        };
        let count = learned.network.len();
        let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
        // The mean charge of straight lines is the unit, as published: the network starts with them.
        let mut unit = 0.0;
        for step in 0..STEPS {
            let batch: Vec<_> = (0..BATCH)
                .map(|_| (draw(rng), rng.random::<f64>()))
                .collect();
            let parts = batch.par_chunks(BATCH / PARTS).map(|part| {
                let mut gradient = vec![0.0; count];
                let mut total = 0.0;
                let mut trace = Trace::default();
                for ((interval, ends), u) in part {
                    let d = ends[0].len();
                    let [mut x, mut v, mut dx, mut dv] = [(); 4].map(|()| vec![0.0; d]);
                    learned.write(*interval, *u, ends, &mut trace, &mut x, &mut v);
                    total += charge(&x, &v, &mut dx, &mut dv);
                    let [weight, change] = window(*u);
                    for (dx, dv) in dx.iter_mut().zip(&mut dv) {
                        *dx = weight * *dx + change * *dv;
                        *dv *= weight;
                    }
                    learned.network.backward(&trace, &dx, &dv, &mut gradient);
                }
                (total, gradient)
            });
            let parts: Vec<_> = parts.collect();
            let mut gradient = vec![0.0; count];
            let mut total = 0.0;
            for (part, of_part) in &parts {
                total += part;
                for (sum, g) in gradient.iter_mut().zip(of_part) {
                    *sum += g;
                }
            }
            if step == 0 {
                unit = total;
            }
            let done = step as f64 / STEPS as f64;
            let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            let corrections = [0.9f64, 0.999].map(|decay| 1.0 - decay.powi(step as i32 + 1));
            for (k, w) in learned.network.weights_mut().iter_mut().enumerate() {
                let g = gradient[k] / unit;
                first[k] = 0.9 * first[k] + 0.1 * g;
                second[k] = 0.999 * second[k] + 0.001 * g * g;
                let root = (second[k] / corrections[1]).sqrt() + 1e-8;
                *w -= rate * first[k] / corrections[0] / root;
            }
        }
        learned
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// In the upper half plane with the metric `(dx^2 + dy^2) / y^2` the shortest way from (-1, 1)
    /// to (1, 1) is on the circle of radius sqrt(2), and its length is arcosh(3).
    #[test]
    fn a_geodesic_of_the_half_plane_is_learned() {
        let charge = |x: &[f64], v: &[f64], dx: &mut [f64], dv: &mut [f64]| {
            let y = x[1].max(0.1);
            let squared = v[0] * v[0] + v[1] * v[1];
            dx.copy_from_slice(&[0.0, -2.0 * squared / y.powi(3)]);
            dv.copy_from_slice(&[2.0 * v[0] / (y * y), 2.0 * v[1] / (y * y)]);
            squared / (y * y)
        };
        let ends = [vec![-1.0, 1.0], vec![1.0, 1.0]];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let bend = Bend {
            times: vec![0.0, 2.0],
            network: Network::new(5, 2, &mut rng),
        };
        let bend = bend.learned(|_| (0, ends.clone()), charge, &mut rng);
        let (mut energy, n) = (0.0, 200);
        for i in 0..n {
            let u = (f64::from(i) + 0.5) / f64::from(n);
            let (mut x, mut v) = ([0.0; 2], [0.0; 2]);
            bend.write(0, u, &ends, &mut Trace::default(), &mut x, &mut v);
            let radius = x[0].hypot(x[1]);
            assert!((radius / 2f64.sqrt() - 1.0).abs() < 0.02, "{u}: {radius}");
            energy += charge(&x, &v, &mut [0.0; 2], &mut [0.0; 2]) / f64::from(n);
        }
        let least = 3f64.acosh().powi(2);
        assert!(
            (least - 1e-6..1.01 * least).contains(&energy),
            "{energy}, not {least}"
        );
    }

    /// Points on a half circle: from one end to the other the curve stays nearer to them than the
    /// chord, and velocities are its derivative.
    #[test]
    fn a_curve_stays_near_the_data() {
        let n = 120;
        let at = |i: usize| std::f64::consts::PI * (i as f64 + 0.5) / n as f64;
        let arc = ndarray::Array2::from_shape_fn((n, 2), |(i, j)| match j {
            0 => 5.0 + 2.0 * at(i).cos(),
            _ => 2.0 * at(i).sin(),
        });
        let ends = [array![7.0, 0.0], array![3.0, 0.0]];
        let times = [1.0, 4.0];
        let clouds = vec![Cloud::new(arc.clone()).unwrap(), Cloud::new(arc).unwrap()];
        let pair = |_: &mut dyn Rng| Pair {
            interval: 0,
            ends: [ends[0].view(), ends[1].view()],
        };
        let bent = Bent::new(&times, &clouds, &array![1.0, 1.0], pair);
        let write = |t: f64| {
            let (mut x, mut v) = ([0.0; 2], [0.0; 2]);
            bent.write(0, t, &|k| ends[k].view(), &mut x, &mut v);
            (x, v)
        };
        let (middle, _) = write(2.5);
        let off = (middle[0] - 5.0).hypot(middle[1]) - 2.0;
        assert!(off.abs() < 0.4, "{middle:?}");
        for t in [1.0, 1.7, 3.9] {
            let (before, after) = (write(t - 1e-6).0, write(t + 1e-6).0);
            for j in 0..2 {
                let rate = (after[j] - before[j]) / 2e-6;
                assert!((rate - write(t).1[j]).abs() < 1e-6);
            }
        }
        assert!((write(1.0).0[0] - 7.0).abs() < 1e-12 && (write(4.0).0[0] - 3.0).abs() < 1e-12);
    }
}

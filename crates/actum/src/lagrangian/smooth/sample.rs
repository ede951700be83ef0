//! Points and velocities in units of their own spread, split into folds, and the landmarks that
//! cover them.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

const FOLDS: usize = 5;
const LANDMARKS: usize = 256;
/// The number of points among which landmarks are chosen.
const CANDIDATES: usize = 4096;

/// The points of positive weight in random order, with mean 0 and total variance 1, velocities
/// whose largest entry is 1, and weights of sum 1.
pub(super) struct Sample {
    pub(super) points: Array2<f64>,
    pub(super) velocities: Array2<f64>,
    pub(super) weights: Array1<f64>,
    /// Rows of the same fold are consecutive.
    pub(super) folds: Vec<Range<usize>>,
    /// `x = center + length * y` for a row y of `points`.
    pub(super) center: Array1<f64>,
    pub(super) length: f64,
    /// The velocities are `speed` times those here.
    pub(super) speed: f64,
}

impl Sample {
    pub(super) fn new(
        cloud: &Cloud,
        velocities: &Array2<f64>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let (n, d) = cloud.points().dim();
        ensure!(
            velocities.dim() == (n, d),
            Shape,
            "expected a velocity for every point, [{n}, {d}], got [{}, {}]",
            velocities.nrows(),
            velocities.ncols()
        );
        if let Some(((i, j), _)) = velocities.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let count = velocities.iter().filter(|v| !v.is_finite()).count();
            ensure!(
                false,
                Value,
                "{count} of {} numbers of the velocities are not finite, the first at row {i}, \
                 column {j}; remove those points",
                n * d
            );
        }
        let mut rows: Vec<usize> = (0..n).filter(|i| cloud.weights()[*i] > 0.0).collect();
        ensure!(
            rows.len() >= 4,
            Value,
            "a smooth field needs velocities at 4 or more points of positive weight, got {}; pool \
             snapshots or leave the velocities out",
            rows.len()
        );
        let center = cloud.mean();
        let length = cloud.std_dev().mapv(|s| s * s).sum().sqrt();
        ensure!(
            length.is_finite(),
            Value,
            "the spread of the points overflows; divide them by a constant"
        );
        // Points that coincide have length 0; any other will do.
        let length = if length > 0.0 { length } else { 1.0 };
        let speed = velocities.iter().fold(0f64, |a, v| a.max(v.abs()));
        let speed = if speed > 0.0 { speed } else { 1.0 };

        rows.shuffle(rng);
        let k = FOLDS.min(rows.len());
        let folds = (0..k)
            .map(|f| f * rows.len() / k..(f + 1) * rows.len() / k)
            .collect();
        let chosen = cloud.select(&rows)?;
        let points = (chosen.points() - &center) / length;
        let velocities = velocities.select(Axis(0), &rows) / speed;
        Ok(Self {
            points,
            velocities,
            weights: chosen.weights() / chosen.mass(),
            folds,
            center,
            length,
            speed,
        })
    }

    /// `sum_i w_i |V_i|^2`.
    pub(super) fn power(&self) -> f64 {
        let rows = self.velocities.outer_iter().zip(&self.weights);
        rows.map(|(v, w)| w * v.dot(&v)).sum()
    }

    /// At most 256 distinct points that cover the weighted sample, `[m, d]`, by the k-means++ rule
    /// (Arthur & Vassilvitskii, 2007): each is drawn with probability proportional to weight times
    /// squared distance from those before. Of large samples, 4,096 points are considered, drawn
    /// systematically by weight.
    pub(super) fn landmarks(&self, rng: &mut ChaCha8Rng) -> Array2<f64> {
        let n = self.points.nrows();
        let (candidates, weights) = if n > CANDIDATES {
            let step = 1.0 / CANDIDATES as f64;
            let mut rows = Vec::with_capacity(CANDIDATES);
            let (mut row, mut below) = (0, self.weights[0]);
            let offset: f64 = rng.random();
            for k in 0..CANDIDATES {
                while below < (k as f64 + offset) * step && row + 1 < n {
                    row += 1;
                    below += self.weights[row];
                }
                rows.push(row);
            }
            (
                self.points.select(Axis(0), &rows),
                Array1::from_elem(CANDIDATES, step),
            )
        } else {
            (self.points.clone(), self.weights.clone())
        };
        let mut chance = weights.clone();
        let mut nearest = Array1::from_elem(weights.len(), f64::INFINITY);
        let mut chosen = Vec::with_capacity(LANDMARKS);
        while chosen.len() < LANDMARKS {
            let total = chance.sum();
            if total <= 0.0 {
                break;
            }
            let mut left = rng.random::<f64>() * total;
            let mut last = 0;
            for (i, c) in chance.iter().enumerate().filter(|(_, c)| **c > 0.0) {
                last = i;
                left -= c;
                if left < 0.0 {
                    break;
                }
            }
            chosen.push(last);
            let landmark = candidates.row(last);
            for (i, row) in candidates.outer_iter().enumerate() {
                let square: f64 = row
                    .iter()
                    .zip(&landmark)
                    .map(|(a, b)| (a - b) * (a - b))
                    .sum();
                nearest[i] = square.min(nearest[i]);
                chance[i] = weights[i] * nearest[i];
            }
        }
        // A kernel cannot distinguish points that all coincide.
        if chosen.len() == 1 {
            chosen.clear();
        }
        candidates.select(Axis(0), &chosen)
    }
}

/// `|x_i - z_j|^2` of the rows of x `[n, d]` and z `[m, d]`: `[n, m]`.
pub(super) fn squared_distances(x: ArrayView2<f64>, z: ArrayView2<f64>) -> Array2<f64> {
    let norms = |a: ArrayView2<f64>| -> Vec<f64> { a.outer_iter().map(|r| r.dot(&r)).collect() };
    let (nx, nz) = (norms(x), norms(z));
    let mut out = x.dot(&z.t());
    for (mut row, a) in out.outer_iter_mut().zip(&nx) {
        for (value, b) in row.iter_mut().zip(&nz) {
            *value = (a + b - 2.0 * *value).max(0.0);
        }
    }
    out
}

/// `exp(-r^2 / 2 h^2)` for squared distances.
pub(super) fn gaussian(mut squares: Array2<f64>, bandwidth: f64) -> Array2<f64> {
    let factor = -0.5 / (bandwidth * bandwidth);
    squares.mapv_inplace(|r| (factor * r).exp());
    squares
}

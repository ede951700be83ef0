//! How far predicted clouds are from real ones, beside what they must be compared with.

use ndarray::{Array1, Array2};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    action::Action,
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    error::{Result, ensure},
    flow::{Scheme, simulate},
    metric,
    transport::{self, Ground},
};

/// Four distances between two clouds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distances {
    /// The exact Wasserstein distance of order 1 under the Euclidean distance.
    pub w1: f64,
    /// The exact Wasserstein distance of order 2.
    pub w2: f64,
    /// The unbiased squared maximum mean discrepancy, see [`metric::mmd`]; can be below 0.
    pub mmd: f64,
    /// The energy distance.
    pub energy: f64,
}

impl Distances {
    /// The distances between `a` and `b`.
    ///
    /// # Errors
    /// Clouds of different dimension, or of a single point.
    pub fn between(a: &Cloud, b: &Cloud) -> Result<Self> {
        Ok(Self {
            w1: metric::wasserstein_1(a, b)?,
            w2: metric::wasserstein_2(a, b)?,
            mmd: metric::mmd(a, b)?,
            energy: metric::energy_distance(a, b)?,
        })
    }
}

/// A prediction at one time against the real points there, with four rows to read it by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The time whose real points were pushed, as the data shows it.
    pub from: String,
    /// The time they were pushed to.
    pub at: String,
    /// The times of the snapshots before and after `at` that the reference rows are made of.
    pub neighbours: [Option<String>; 2],
    /// The real points of `from`, moved to `at`, against the real points of `at`.
    pub prediction: Distances,
    /// The snapshot before `at` as it is.
    pub previous: Option<Distances>,
    /// The snapshot after `at` as it is.
    pub next: Option<Distances>,
    /// Optimal transport from the snapshot before to the one after, stopped at the true fraction
    /// of the time between them.
    pub linear: Option<Distances>,
    /// Two random halves of the real points of `at`: the noise of samples of half the size.
    pub floor: Distances,
}

impl Score {
    /// The rows by name, those that exist.
    pub fn rows(&self) -> Vec<(&'static str, Distances)> {
        let rows = [
            ("action matching", Some(self.prediction)),
            ("previous snapshot", self.previous),
            ("next snapshot", self.next),
            ("linear transport", self.linear),
            ("two halves", Some(self.floor)),
        ];
        let some = rows
            .into_iter()
            .filter_map(|(name, row)| Some((name, row?)));
        some.collect()
    }
}

/// The nearest snapshots before and after `at` that are not in `unseen`.
pub fn neighbours(snapshots: &Snapshots, at: usize, unseen: &[usize]) -> [Option<usize>; 2] {
    let seen = |i: &usize| !unseen.contains(i);
    let before = (0..at).rev().find(seen);
    let after = (at + 1..snapshots.len()).find(seen);
    [before, after]
}

/// Pushes the real points of snapshot `from` to the time of snapshot `at` and measures, beside
/// references made of the snapshots `neighbours` (before and after `at`).
///
/// Distances are measured after dividing every column by `scale`, `[d]` (ones for the user's own
/// units).
///
/// # Errors
/// Snapshots of another dimension than the dynamics, `from` equal to `at`, times outside of what
/// was learned, fewer than four points at `at`.
///
/// # Panics
/// If an index is not below the number of snapshots.
pub fn score<A: Action>(
    dynamics: &Dynamics<A>,
    snapshots: &Snapshots,
    from: usize,
    at: usize,
    neighbours: [Option<usize>; 2],
    scale: &Array1<f64>,
) -> Result<Score> {
    let (times, labels) = (snapshots.times(), snapshots.labels());
    let real = snapshots.cloud(at);
    ensure!(
        real.len() >= 4,
        Value,
        "scoring needs four points or more at time {}, got {}",
        labels[at],
        real.len()
    );
    ensure!(
        from != at,
        Value,
        "points pushed from {} to {} do not move; name another time",
        labels[from],
        labels[at]
    );
    let start = snapshots.cloud(from);
    let moved = simulate(
        dynamics,
        start,
        times[from],
        &[times[at]],
        Scheme::default(),
    )?;
    let predicted = Cloud::weighted(moved.at(0), start.weights().clone())?;

    let center = real.mean();
    let measured = |cloud: &Cloud| cloud.rescaled(&center, scale);
    let target = measured(real);
    let [previous, next] = neighbours.map(|i| i.map(|i| snapshots.cloud(i)));
    let linear = match neighbours {
        [Some(a), Some(b)] => {
            let fraction = (times[at] - times[a]) / (times[b] - times[a]);
            let (a, b) = (snapshots.cloud(a), snapshots.cloud(b));
            Some(interpolated(a, b, fraction, &center, scale)?)
        }
        _ => None,
    };
    let clouds = [Some(&predicted), previous, next, linear.as_ref()];
    let mut rows = clouds
        .into_par_iter()
        .map(|cloud| {
            cloud
                .map(|cloud| Distances::between(&measured(cloud), &target))
                .transpose()
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter();
    let mut row = || rows.next().flatten();
    Ok(Score {
        from: labels[from].clone(),
        at: labels[at].clone(),
        neighbours: neighbours.map(|i| i.map(|i| labels[i].clone())),
        prediction: row().expect("there is a prediction"),
        previous: row(),
        next: row(),
        linear: row(),
        floor: halves(&target)?,
    })
}

/// The displacement interpolation (McCann 1997) of two clouds at a fraction in [0, 1].
fn interpolated(
    a: &Cloud,
    b: &Cloud,
    fraction: f64,
    center: &Array1<f64>,
    scale: &Array1<f64>,
) -> Result<Cloud> {
    let plan = transport::exact(
        &a.rescaled(center, scale),
        &b.rescaled(center, scale),
        Ground::SquaredEuclidean,
    )?;
    let mut points = Array2::zeros((plan.len(), a.dimension()));
    let mut weights = Array1::zeros(plan.len());
    for (k, (i, j, mass)) in plan.iter().enumerate() {
        let mut row = points.row_mut(k);
        row.scaled_add(1.0 - fraction, &a.point(i));
        row.scaled_add(fraction, &b.point(j));
        weights[k] = mass;
    }
    Cloud::weighted(points, weights)
}

/// The split is the same for every run, so that floors can be compared.
fn halves(cloud: &Cloud) -> Result<Distances> {
    let mut order: Vec<usize> = (0..cloud.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let (a, b) = order.split_at(cloud.len() / 2);
    Distances::between(&cloud.select(a)?, &cloud.select(b)?)
}

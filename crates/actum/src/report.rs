//! How far predicted clouds are from real ones, beside what they must be compared with.

use ndarray::{Array1, Array2};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
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
        let mut rows = vec![("action matching", self.prediction)];
        let optional = [
            ("previous snapshot", self.previous),
            ("next snapshot", self.next),
            ("linear transport", self.linear),
        ];
        rows.extend(
            optional
                .iter()
                .filter_map(|(name, row)| Some((*name, (*row)?))),
        );
        rows.push(("two halves", self.floor));
        rows
    }
}

/// Pushes the real points of snapshot `from` to the time of snapshot `at` and measures.
///
/// Distances are measured after dividing every column by `scale`, `[d]` (ones for the user's own
/// units).
///
/// # Errors
/// Snapshots of another dimension than the dynamics, times outside of what was learned, fewer
/// than four points at `at`.
///
/// # Panics
/// If `from` or `at` is not an index of `snapshots`.
pub fn score<A: Action>(
    dynamics: &Dynamics<A>,
    snapshots: &Snapshots,
    from: usize,
    at: usize,
    scale: &Array1<f64>,
) -> Result<Score> {
    let times = snapshots.times();
    let real = snapshots.cloud(at);
    ensure!(
        real.len() >= 4,
        Value,
        "scoring needs four points or more at time {}, got {}",
        snapshots.labels()[at],
        real.len()
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
    let against = |cloud: &Cloud| Distances::between(&measured(cloud), &target);

    let previous = at.checked_sub(1).map(|i| snapshots.cloud(i));
    let next = (at + 1 < snapshots.len()).then(|| snapshots.cloud(at + 1));
    let linear = match (previous, next) {
        (Some(a), Some(b)) => {
            let fraction = (times[at] - times[at - 1]) / (times[at + 1] - times[at - 1]);
            Some(against(&interpolated(a, b, fraction, &center, scale)?)?)
        }
        _ => None,
    };
    Ok(Score {
        from: snapshots.labels()[from].clone(),
        at: snapshots.labels()[at].clone(),
        prediction: against(&predicted)?,
        previous: previous.map(against).transpose()?,
        next: next.map(against).transpose()?,
        linear,
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

//! How far predicted clouds are from real ones, beside what they must be compared with.

use ndarray::{Array1, Array2, Axis};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    action::Action,
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    flow::{Scheme, simulate},
    metric,
    path::Path,
    smooth::{GradientFraction, gradient_fraction},
    transport::{self, Ground},
};

/// Distances between two clouds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distances {
    /// The exact Wasserstein distance of order 1 under the Euclidean distance.
    pub w1: f64,
    /// The exact Wasserstein distance of order 2.
    pub w2: f64,
    /// The unbiased squared maximum mean discrepancy, see [`metric::mmd_squared`]; can be below 0.
    pub mmd_squared: f64,
    /// The energy distance.
    pub energy: f64,
    /// The relative error of the mass, `mass / mass there - 1`; the others do not see it.
    pub mass_error: f64,
}

impl Distances {
    /// The distances between `a` and `b`, by their weights over their masses, and how much more mass
    /// `a` has.
    ///
    /// # Errors
    /// Clouds of different dimension, or of a single point.
    pub fn between(a: &Cloud, b: &Cloud) -> Result<Self> {
        Ok(Self {
            w1: metric::wasserstein_1(a, b)?,
            w2: metric::wasserstein_2(a, b)?,
            mmd_squared: metric::mmd_squared(a, b)?,
            energy: metric::energy_distance(a, b)?,
            mass_error: a.mass() / b.mass() - 1.0,
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
    let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
    let moved = simulate(dynamics, start, times[from], &[times[at]], scheme, SEED)?;
    let predicted = moved.cloud(0)?;

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

/// What the action tells about a population at one time; means are weighted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The time, as the data shows it.
    pub at: String,
    /// The mass of the snapshot.
    pub mass: f64,
    /// The mean speed, in units of distance per unit of time.
    pub speed: f64,
    /// The mean kinetic energy `c(v - b)`.
    pub energy: f64,
    /// The mean growth rate, per unit of time.
    pub growth: f64,
    /// The growth rate that a twentieth of the mass is below of.
    pub growth_low: f64,
    /// The growth rate that a twentieth of the mass is above of.
    pub growth_high: f64,
    /// Of the velocities that come with the points: the share that a gradient field explains, and
    /// the share that any smooth field explains; none where they are all zero or too few.
    pub gradient_fraction: Option<GradientFraction>,
    /// How far the learned velocity is from these: the root mean square of the difference over that
    /// of the velocities given, which a velocity of 0 puts at 1. None under noise or with a drift:
    /// there the velocities given are not those that the action moves points by.
    pub velocity_error: Option<f64>,
}

/// What the action tells about every snapshot.
///
/// # Errors
/// Snapshots of another dimension than the dynamics.
pub fn summaries<A: Action>(dynamics: &Dynamics<A>, snapshots: &Snapshots) -> Result<Vec<Summary>> {
    let scale = dynamics.units.scale();
    let lagrangian = &dynamics.lagrangian;
    let comparable = !lagrangian.is_noisy() && lagrangian.known_drift().is_none();
    (0..snapshots.len())
        .map(|k| {
            let cloud = snapshots.cloud(k);
            let description = dynamics.describe(snapshots.times()[k], cloud.points())?;
            let weights = cloud.weights() / cloud.mass();
            let fraction = snapshots.velocities().map(|velocities| {
                let measured = cloud.rescaled(&Array1::zeros(scale.len()), &scale);
                gradient_fraction(&measured, &(&velocities[k] / &scale), SEED)
            });
            let given = snapshots.velocities().filter(|_| comparable);
            let velocity_error = given.and_then(|velocities| {
                let square = |v: &Array2<f64>| {
                    let squares = (v / &scale).mapv(|v| v * v).sum_axis(Axis(1));
                    weights.dot(&squares)
                };
                let given = square(&velocities[k]);
                let off = square(&(&description.velocity - &velocities[k]));
                (given > 0.0).then(|| (off / given).sqrt())
            });
            Ok(Summary {
                at: snapshots.labels()[k].clone(),
                mass: cloud.mass(),
                speed: weights.dot(&description.speed),
                energy: weights.dot(&description.energy),
                growth: weights.dot(&description.growth),
                growth_low: quantile(&description.growth, &weights, 0.05),
                growth_high: quantile(&description.growth, &weights, 0.95),
                gradient_fraction: fraction.and_then(Result::ok),
                velocity_error,
            })
        })
        .collect()
}

/// The least value with a `share` of the weights, of sum 1, at or below it.
fn quantile(values: &Array1<f64>, weights: &Array1<f64>, share: f64) -> f64 {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut below = 0.0;
    for &i in &order {
        below += weights[i];
        if below >= share {
            return values[i];
        }
    }
    values[order[order.len() - 1]]
}

/// The action of the learned motion, `int M_t E[c(v - b) + lambda s^2 / 2] dt`, over the particles
/// of `start`, taken for mass 1, moved from the first learned time to the last. The objective of a
/// fit goes to minus this with its times weighted.
///
/// # Errors
/// As [`simulate`].
pub fn total_action<A: Action>(dynamics: &Dynamics<A>, start: &Cloud) -> Result<f64> {
    const INSTANTS: usize = 128;
    let units = &dynamics.units;
    let times: Vec<f64> = (0..=INSTANTS)
        .map(|k| units.time_out(k as f64 / INSTANTS as f64))
        .collect();
    let lambda = dynamics.lagrangian.lambda();
    let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
    let moved = simulate(dynamics, start, times[0], &times, scheme, SEED)?;
    let rates = (0..=INSTANTS)
        .map(|k| {
            let description = dynamics.describe(times[k], &moved.at(k))?;
            let growth = description.action.mapv(|s| 0.5 * lambda * s * s);
            Ok(moved.weights.row(k).dot(&(description.energy + growth)) / start.mass())
        })
        .collect::<Result<Vec<f64>>>()?;
    let pieces = times.windows(2).zip(rates.windows(2));
    Ok(pieces
        .map(|(t, r)| (t[1] - t[0]) * 0.5 * (r[0] + r[1]))
        .sum())
}

/// How much of the velocity of a path at time `t` is a gradient, from `points` draws: a path whose
/// own velocity goes round is followed by an action in its densities alone, not in its
/// trajectories. Distances are measured after dividing every column by `scale`, `[d]`.
///
/// # Errors
/// A scale of another length, a path without velocities, fewer than 4 points, or velocities that
/// are all zero.
pub fn path_gradient_fraction(
    path: &dyn Path,
    t: f64,
    scale: &Array1<f64>,
    points: usize,
    seed: u64,
) -> Result<GradientFraction> {
    ensure!(
        scale.len() == path.dimension(),
        Shape,
        "expected one scale for each of {} columns, got {}",
        path.dimension(),
        scale.len()
    );
    let draw = path.sample(&vec![t; points], &mut ChaCha8Rng::seed_from_u64(seed));
    let velocities = draw.velocities.ok_or_else(|| {
        Error::new(
            ErrorKind::Setting,
            "the path has no velocities of which a share could be a gradient",
        )
    })?;
    let scaled = draw.points / scale;
    let cloud = match draw.masses {
        Some(masses) => Cloud::weighted(scaled, masses.values)?,
        None => Cloud::new(scaled)?,
    };
    gradient_fraction(&cloud, &(velocities / scale), seed)
}

/// Seeds what is random in a score, so that every run is measured alike.
const SEED: u64 = 0;

/// The displacement interpolation (McCann 1997) of two clouds at a fraction in [0, 1]; mass grows at
/// a constant rate.
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
    let mass = a.mass().powf(1.0 - fraction) * b.mass().powf(fraction);
    Cloud::weighted(points, weights)?.with_mass(mass)
}

/// The split is the same for every run, so that floors can be compared; both halves have mass 1.
fn halves(cloud: &Cloud) -> Result<Distances> {
    let mut order: Vec<usize> = (0..cloud.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let (a, b) = order.split_at(cloud.len() / 2);
    let half = |rows| cloud.select(rows).and_then(|cloud| cloud.with_mass(1.0));
    Distances::between(&half(a)?, &half(b)?)
}

//! Predicted clouds compared with real ones, beside reference predictions.

mod bridge;
mod motion;

pub use bridge::{Bridge, Residual};
pub use motion::Motion;

use ndarray::{Array1, Array2, Axis};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    flow::{Scheme, simulate},
    lagrangian::smooth::{GradientFraction, gradient_fraction},
    metric,
    path::Path,
    stop::Stop,
    transport::{self, Ground},
};

/// Distances between two clouds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Distances {
    /// The exact Wasserstein distance of order 1 under the Euclidean distance.
    pub w1: f64,
    /// The exact Wasserstein distance of order 2.
    pub w2: f64,
    /// The unbiased squared maximum mean discrepancy, see [`metric::mmd_squared`]; can be below 0.
    pub mmd_squared: f64,
    /// The energy distance.
    pub energy: f64,
    /// The relative error of the mass, `a / b - 1`. The distances do not depend on the masses.
    pub mass_error: f64,
}

impl Distances {
    /// The distances between `a` and `b` with weights of sum 1, and the relative error of the mass
    /// of `a`.
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

/// A prediction at one time compared with the real points, and four reference rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The time whose real points were moved, as written in the data.
    pub from: String,
    /// The time to which they were moved.
    pub at: String,
    /// The times of the snapshots before and after `at` that the reference rows use.
    pub neighbours: [Option<String>; 2],
    /// The real points of `from`, moved to `at`, compared with the real points of `at`.
    pub prediction: Distances,
    /// The snapshot before `at`, not moved.
    pub previous: Option<Distances>,
    /// The snapshot after `at`, not moved.
    pub next: Option<Distances>,
    /// Optimal transport from the snapshot before to the snapshot after, interpolated to the time
    /// `at`.
    pub linear: Option<Distances>,
    /// The expected distances of two samples of the population at `at`, of as many points as were
    /// moved and as there are: what a perfect prediction has. See [`expected`].
    pub floor: Distances,
}

impl Score {
    /// The rows that exist, with their names.
    pub fn rows(&self) -> Vec<(&'static str, Distances)> {
        let rows = [
            ("action matching", Some(self.prediction)),
            ("previous snapshot", self.previous),
            ("next snapshot", self.next),
            ("linear transport", self.linear),
            ("two samples", Some(self.floor)),
        ];
        let some = rows
            .into_iter()
            .filter_map(|(name, row)| Some((name, row?)));
        some.collect()
    }

    /// Whether linear transport is nearer in W1 than the prediction, and the prediction farther than
    /// a fresh sample would be.
    pub fn is_behind_linear(&self) -> bool {
        let found = self.prediction.w1;
        let behind = |linear: &Distances| linear.w1 < found && self.floor.w1 < found;
        self.linear.as_ref().is_some_and(behind)
    }
}

/// The nearest snapshots before and after `at` that are not in `unseen`.
pub fn neighbours(snapshots: &Snapshots, at: usize, unseen: &[usize]) -> [Option<usize>; 2] {
    let seen = |i: &usize| !unseen.contains(i);
    let before = (0..at).rev().find(seen);
    let after = (at + 1..snapshots.len()).find(seen);
    [before, after]
}

/// Moves the real points of snapshot `from` to the time of snapshot `at` and compares them with the
/// real points there, beside reference rows from the snapshots `neighbours` (before and after
/// `at`).
///
/// Distances are measured after dividing every column by `scale`, `[d]` (ones for the user's own
/// units).
///
/// # Errors
/// Snapshots of another dimension than the dynamics, `from` equal to `at`, times outside of the
/// learned span, fewer than four points at `at`.
///
/// # Panics
/// If an index is not below the number of snapshots.
pub fn score(
    dynamics: &Dynamics,
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
    let stop = Stop::now();
    let between = |cloud: &Cloud| Distances::between(&measured(cloud), &target);
    let mut rows = clouds
        .into_par_iter()
        .map(|cloud| stop.within(|| cloud.map(between).transpose()))
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
        floor: expected(&target, predicted.effective_sample_size())?,
    })
}

/// Properties of the learned motion of a population at one time; means are weighted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The time, as written in the data.
    pub at: String,
    /// The mass of the snapshot.
    pub mass: f64,
    /// The mean speed, in units of distance per unit of time.
    pub speed: f64,
    /// The mean kinetic energy `c(v - b)`.
    pub energy: f64,
    /// The mean growth rate, per unit of time.
    pub growth: f64,
    /// The growth rate below which a twentieth of the mass lies.
    pub growth_low: f64,
    /// The growth rate above which a twentieth of the mass lies.
    pub growth_high: f64,
    /// The shares of the given velocities that a gradient field and any smooth field explain. None
    /// where velocities are all zero or too few.
    pub gradient_fraction: Option<GradientFraction>,
    /// The root mean square difference between the learned and the given velocities, over that of
    /// the given ones; a velocity of 0 has the error 1. None with noise or a drift, where the
    /// action's velocity is not the given one.
    pub velocity_error: Option<f64>,
}

/// Summarises the learned motion at every snapshot.
///
/// # Errors
/// Snapshots of another dimension than the dynamics.
pub fn summaries(dynamics: &Dynamics, snapshots: &Snapshots) -> Result<Vec<Summary>> {
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

/// The least value such that a `share` of the weights, of sum 1, is at or below it.
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

/// The action of the learned motion, `int M_t E[c(v - b) + lambda s^2 / 2] dt`, for the particles
/// of `start` scaled to mass 1, moved from the first learned time to the last. The objective of a
/// fit converges to minus this, with times weighted.
///
/// # Errors
/// As [`simulate`].
pub fn total_action(dynamics: &Dynamics, start: &Cloud) -> Result<f64> {
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

/// The fraction of the velocity of a path at time `t` that is a gradient, from `points` draws. An
/// action reproduces the densities of a path with rotational velocities, but not its trajectories.
/// Distances are measured after dividing every column by `scale`, `[d]`.
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

/// The seed of all that is random in a score, fixed so that runs can be compared.
const SEED: u64 = 0;

/// The displacement interpolation (McCann 1997) of two clouds at a fraction in [0, 1], with a
/// constant growth rate of the mass.
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

/// About how many points are split to measure how distances fall with the size of samples.
const SPLIT: usize = 2000;

/// The expected distances between two independent samples of the law of `cloud`, one of as many
/// points as it has and one of `size`; masses do not count.
///
/// The energy distance of samples of n and m points is `E|X - X'| (1/n + 1/m)`, and the unbiased MMD
/// is 0. W1 and W2 are measured between halves and between quarters of the cloud, fall as a power of
/// the size between these, by `n^(-1/2)` at most (Fournier and Guillin, 2015), and go on so; samples
/// of two sizes are as far apart as the mean of two of either. The splits are the same for every
/// run, so that runs can be compared.
///
/// # Errors
/// Fewer than four points; distances that overflow.
pub fn expected(cloud: &Cloud, size: f64) -> Result<Distances> {
    let count = cloud.len();
    ensure!(
        count >= 4,
        Value,
        "expected four points or more, got {count}"
    );
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut pairs = vec![];
    for _ in 0..SPLIT.div_ceil(count).min(8) {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        let (a, b) = order.split_at(count / 2);
        pairs.push((false, a.to_vec(), b.to_vec()));
        for half in [a, b] {
            let (a, b) = half.split_at(half.len() / 2);
            pairs.push((true, a.to_vec(), b.to_vec()));
        }
    }
    let part = |rows: &[usize]| cloud.select(rows).and_then(|part| part.with_mass(1.0));
    let stop = Stop::now();
    let distances = |a: &[usize], b: &[usize]| {
        let (a, b) = (part(a)?, part(b)?);
        let w1 = metric::wasserstein_1(&a, &b)?;
        Ok([w1, metric::wasserstein_2(&a, &b)?])
    };
    let measured = pairs
        .into_par_iter()
        .map(|(is_quarter, a, b)| Ok((is_quarter, stop.within(|| distances(&a, &b))?)))
        .collect::<Result<Vec<_>>>()?;
    let mean = |quarters: bool, k: usize| {
        let of = measured.iter().filter(|(q, _)| *q == quarters);
        let (sum, n) = of.fold((0.0, 0.0), |(sum, n), (_, found)| (sum + found[k], n + 1.0));
        sum / n
    };
    let n = cloud.effective_sample_size();
    let at = |k: usize| {
        let [halves, quarters] = [mean(false, k), mean(true, k)];
        let rate = (quarters / halves).log2();
        // Clouds whose halves coincide have no rate.
        let rate = if rate.is_nan() {
            0.0
        } else {
            rate.clamp(0.0, 0.5)
        };
        let of = |size: f64| halves * (0.5 * n / size).powf(rate);
        0.5 * (of(n) + of(size))
    };
    let weights = cloud.weights() / cloud.mass();
    let apart = 1.0 - weights.dot(&weights);
    // A cloud beside its own center of mass has, of its energy distance, the mean distance within.
    let within = metric::mean_distance(cloud)? / apart;
    Ok(Distances {
        w1: at(0),
        w2: at(1),
        mmd_squared: 0.0,
        energy: within * (1.0 / n + 1.0 / size),
        mass_error: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// The mean over independent samples of a Gaussian, against what one of them lets expect.
    #[test]
    fn the_expected_distances_are_those_of_fresh_samples() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (n, m, d, tolerance) in [
            (240, 120, 2, 0.15),
            (200, 200, 10, 0.05),
            (150, 300, 30, 0.05),
        ] {
            let mut draw = |n: usize| {
                let points =
                    Array2::from_shape_simple_fn((n, d), || StandardNormal.sample(&mut rng));
                Cloud::new(points).unwrap()
            };
            let found = expected(&draw(n), m as f64).unwrap();
            let pairs: Vec<Distances> = (0..20)
                .map(|_| Distances::between(&draw(m), &draw(n)).unwrap())
                .collect();
            let mean = |of: fn(&Distances) -> f64| pairs.iter().map(of).sum::<f64>() / 20.0;
            for (name, found, fresh) in [
                ("W1", found.w1, mean(|d| d.w1)),
                ("W2", found.w2, mean(|d| d.w2)),
                ("energy", found.energy, mean(|d| d.energy)),
            ] {
                let off = (found / fresh - 1.0).abs();
                // Its mean over 20 pairs is known less well than those of W1 and W2.
                let tolerance = if name == "energy" { 0.15 } else { tolerance };
                assert!(
                    off < tolerance,
                    "{name} of {n}, {m} in {d}: {found}, {fresh}"
                );
            }
            // Of samples of one law its mean is 0.
            assert!(mean(|d| d.mmd_squared).abs() < 1e-3);
        }
    }

    #[test]
    fn points_that_coincide_are_expected_to_be_nowhere_else() {
        let still = Cloud::new(Array2::ones((9, 2))).unwrap();
        let found = expected(&still, 4.0).unwrap();
        assert_eq!([found.w1, found.w2, found.energy], [0.0; 3]);
        let few = Cloud::new(Array2::ones((3, 2))).unwrap();
        assert!(expected(&few, 3.0).is_err());
    }
}

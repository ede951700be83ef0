//! Whether two snapshots show a motion at all.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::{
    SeedableRng,
    seq::{SliceRandom, index},
};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Result, ensure},
};

/// What two snapshots say of the motion between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Motion {
    /// How far the mean moves, `|m_b - m_a|`.
    pub shift: f64,
    /// The standard error of that mean's difference from sampling alone,
    /// `sqrt(tr S_a / n_a + tr S_b / n_b)`: snapshots with a shift below it say nothing of the mean
    /// velocity. With weights n is `(sum w)^2 / sum w^2`.
    pub error: f64,
    /// How often two samples of one population differ as much, in (0, 1]: the p-value of the
    /// permutation test of the energy distance (Székely & Rizzo 2004).
    pub chance: f64,
}

/// The most points of a snapshot that the test looks at: it takes the square of them in memory.
const MOST: usize = 300;
/// How often the points are dealt anew: the least `chance` is one in 200.
const DEALS: usize = 199;

/// The fewest points of a snapshot that can tell a motion from chance.
const FEW: usize = 5;

impl Motion {
    /// That between each snapshot and the next; none where one has fewer than five points, or
    /// distances overflow.
    pub fn of(snapshots: &Snapshots) -> Vec<Option<Self>> {
        let (clouds, counts) = (snapshots.clouds(), snapshots.counts());
        let pairs = (1..clouds.len()).into_par_iter().map(|k| {
            let (a, b) = (&clouds[k - 1], &clouds[k]);
            let motion = || Self::between(a, b, [counts[k - 1], counts[k]], 0).ok();
            (a.len().min(b.len()) >= FEW).then(motion).flatten()
        });
        pairs.collect()
    }

    /// The motion from a snapshot `a` to a snapshot `b`, of as many individuals as `sizes` says
    /// where the clouds are samples of them. Of more than 300 points of a cloud the test takes so
    /// many at random.
    ///
    /// Masses are not compared. A motion that leaves every density as it is, such as that of a
    /// stream, is seen by no snapshot: then `chance` is large, too.
    ///
    /// # Errors
    /// Clouds of different dimension, or with fewer than two points; distances that overflow.
    pub fn between(a: &Cloud, b: &Cloud, sizes: [f64; 2], seed: u64) -> Result<Self> {
        ensure!(
            a.dimension() == b.dimension(),
            Shape,
            "clouds of {} and {} columns cannot be compared",
            a.dimension(),
            b.dimension()
        );
        ensure!(
            a.len() >= 2 && b.len() >= 2,
            Value,
            "the error of a mean needs two points or more in each cloud, got {} and {}",
            a.len(),
            b.len()
        );
        let apart = b.mean() - a.mean();
        let variance = |cloud: &Cloud, size: f64| {
            let spread = cloud.std_dev();
            let sample = cloud.effective_sample_size();
            // The spread is that of the sample, not of what it was drawn from.
            let unbiased = spread.dot(&spread) * sample / (sample - 1.0).max(1.0);
            unbiased / (sample * size / cloud.len() as f64)
        };
        let error = (variance(a, sizes[0]) + variance(b, sizes[1])).sqrt();
        let motion = Self {
            shift: apart.dot(&apart).sqrt(),
            error,
            chance: chance(a, b, seed),
        };
        ensure!(
            motion.shift.is_finite() && motion.error.is_finite() && motion.chance.is_finite(),
            Value,
            "the distances overflow; bring the coordinates to a smaller scale"
        );
        Ok(motion)
    }
}

/// The p-value; not a number where distances overflow.
fn chance(a: &Cloud, b: &Cloud, seed: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows: Vec<(ArrayView1<f64>, f64)> = vec![];
    let mut first = 0;
    for cloud in [a, b] {
        let chosen = match cloud.len() {
            n if n > MOST => index::sample(&mut rng, n, MOST).into_vec(),
            n => (0..n).collect(),
        };
        rows.extend(
            chosen
                .iter()
                .map(|i| (cloud.point(*i), cloud.weights()[*i])),
        );
        if first == 0 {
            first = rows.len();
        }
    }
    let n = rows.len();
    let distance = |i: usize, j: usize| {
        let pairs = rows[i].0.iter().zip(rows[j].0);
        pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
    };
    let values: Vec<f64> = (0..n * n)
        .into_par_iter()
        .map(|k| distance(k / n, k % n))
        .collect();
    let distances = Array2::from_shape_vec((n, n), values).expect("n^2 values");
    // Each deal is one column: the weights of the first group over their sum, less those of the
    // second. The energy distance is then -z' D z.
    let mut order: Vec<usize> = (0..n).collect();
    let mut deals = Array2::zeros((n, DEALS + 1));
    for mut z in deals.columns_mut() {
        let groups = [&order[..first], &order[first..]];
        for (group, sign) in groups.into_iter().zip([1.0, -1.0]) {
            let mass: f64 = group.iter().map(|i| rows[*i].1).sum();
            group.iter().for_each(|i| z[*i] = sign * rows[*i].1 / mass);
        }
        // The first column is the snapshots as they are.
        order.shuffle(&mut rng);
    }
    let energies: Array1<f64> = -(distances.dot(&deals) * &deals).sum_axis(Axis(0));
    let found = energies[0];
    if !found.is_finite() {
        return f64::NAN;
    }
    // Sums in another order are as far apart as if they were equal.
    let least = found - 1e-12 * found.abs();
    energies.iter().filter(|e| **e >= least).count() as f64 / (DEALS + 1) as f64
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn normal(n: usize, d: usize, shift: f64, rng: &mut ChaCha8Rng) -> Cloud {
        let mut points = Array2::from_shape_simple_fn((n, d), || StandardNormal.sample(rng));
        points.column_mut(0).mapv_inplace(|x: f64| x + shift);
        Cloud::new(points).unwrap()
    }

    /// All 20 ways to deal six points into two hands of three.
    #[test]
    fn the_p_value_is_that_of_all_deals() {
        let (x, y) = (array![[0.0], [1.0], [2.5]], array![[1.5], [4.0], [6.0]]);
        let all: Vec<f64> = x.iter().chain(&y).copied().collect();
        let energy = |hand: u32| {
            let of = |k: u32| (0..6).filter(move |i| (hand >> i & 1) == k);
            let mean = |a: u32, b: u32| {
                let pairs = of(a).flat_map(|i| of(b).map(move |j| (i, j)));
                pairs
                    .map(|(i, j)| (all[i as usize] - all[j as usize]).abs())
                    .sum::<f64>()
                    / 9.0
            };
            2.0 * mean(0, 1) - mean(0, 0) - mean(1, 1)
        };
        let hands: Vec<u32> = (0..64u32).filter(|hand| hand.count_ones() == 3).collect();
        let found = energy(0b111000);
        let exact = hands
            .iter()
            .filter(|h| energy(**h) >= found - 1e-12)
            .count() as f64
            / 20.0;
        // NumPy's enumeration gives the same.
        assert_eq!(exact, 0.2);
        let [a, b] = [x, y].map(|points| Cloud::new(points).unwrap());
        let motion = Motion::between(&a, &b, [3.0, 3.0], 1).unwrap();
        // Four standard deviations of 200 deals.
        assert!(
            (motion.chance - exact).abs() < 4.0 * (0.2 * 0.8 / 200f64).sqrt(),
            "{motion:?}"
        );
        // Means 7/6 and 23/6, variances 19/12 and 61/12.
        assert!((motion.shift - 8.0 / 3.0).abs() < 1e-12);
        assert!(
            (motion.error - (80.0 / 36f64).sqrt()).abs() < 1e-12,
            "{motion:?}"
        );
    }

    #[test]
    fn one_population_seen_twice_does_not_move() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut rare = 0;
        for k in 0..100 {
            let (a, b) = (normal(40, 2, 0.0, &mut rng), normal(60, 2, 0.0, &mut rng));
            rare += usize::from(Motion::between(&a, &b, [40.0, 60.0], k).unwrap().chance <= 0.05);
        }
        // 5 are expected, 12 or more once in 200.
        assert!((1..12).contains(&rare), "{rare}");
        let (a, b) = (normal(40, 2, 0.0, &mut rng), normal(60, 2, 1.0, &mut rng));
        assert_eq!(
            Motion::between(&a, &b, [40.0, 60.0], 0).unwrap().chance,
            0.005
        );
        // The mean stands still, the spread does not.
        let wide = a.rescaled(&Array1::zeros(2), &array![0.3, 0.3]);
        assert_eq!(
            Motion::between(&a, &wide, [40.0, 40.0], 0).unwrap().chance,
            0.005
        );
    }

    #[test]
    fn weights_count_as_points_and_a_sample_as_what_it_is_of() {
        let a = Cloud::new(array![[0.0], [0.0], [1.0], [2.0]]).unwrap();
        let b = Cloud::weighted(array![[0.5], [3.0]], array![1.0, 1.0]).unwrap();
        let many = Motion::between(&a, &b, [400.0, 200.0], 0).unwrap();
        let few = Motion::between(&a, &b, [4.0, 2.0], 0).unwrap();
        assert!((few.error / many.error - 10.0).abs() < 1e-12);
        assert_eq!(few.chance, many.chance);
        let error = Motion::between(&a, &Cloud::new(array![[1.0]]).unwrap(), [4.0, 1.0], 0);
        assert!(error.unwrap_err().to_string().contains("4 and 1"));
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (a, b) = (normal(700, 3, 0.0, &mut rng), normal(50, 3, 0.1, &mut rng));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Motion::between(&a, &b, [700.0, 50.0], 9).unwrap())
        };
        assert_eq!(with(1), with(3));
    }
}

//! Distances of a prediction from real points, and how far chance in these goes.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    cloud::Cloud,
    error::Result,
    evaluate::Distances,
    metric,
    stop::Stop,
    transport::{Ground, optimal},
};

/// Into how many groups the real points of a time fall, at most.
const GROUPS: usize = 20;

/// A prediction compared with real points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The distances.
    pub distances: Distances,
    /// The energy distance without those of points from themselves, see
    /// [`metric::unbiased_energy_distance`].
    pub unbiased_energy: f64,
    /// How W1 changes with the points.
    pub w1_chance: Chance,
    /// How the unbiased energy distance does.
    pub energy_chance: Chance,
}

/// How a distance changes with the points it is measured between: the infinitesimal jackknife
/// (Jaeckel 1972; Efron 1982), the limit of resampling points many times.
///
/// To first order a distance is a sum over points. For W1 a point adds its Kantorovich potential
/// (del Barrio and Loubes 2019), for the energy distance its mean distance from the other cloud less
/// that from its own, twice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Chance {
    /// The variance that the points of the prediction bring.
    pub prediction: f64,
    /// What the real points add, of sum 0, in groups that are the same for every prediction of a
    /// time, so that differences between predictions have a chance of their own: `[20]` or one for
    /// each point.
    pub real: Vec<f64>,
}

impl Chance {
    /// Of potentials `[n]` and `[m]`, which differ by a constant from what the points add.
    fn new(predicted: &Cloud, real: &Cloud, potentials: [&[f64]; 2]) -> Self {
        let added = |cloud: &Cloud, of: &[f64]| -> Vec<f64> {
            let shares = cloud.weights() / cloud.mass();
            let mean: f64 = shares.iter().zip(of).map(|(p, u)| p * u).sum();
            let terms = shares.iter().zip(of);
            terms.map(|(p, u)| p * (u - mean)).collect()
        };
        let squares = added(predicted, potentials[0]).into_iter().map(|a| a * a);
        let mut order: Vec<usize> = (0..real.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(super::job::SEED));
        let mut groups = vec![0.0; GROUPS.min(real.len())];
        let count = groups.len();
        for (at, added) in order.iter().zip(added(real, potentials[1])) {
            groups[at % count] += added;
        }
        Self {
            prediction: squares.sum(),
            real: groups,
        }
    }

    /// The variance.
    pub fn variance(&self) -> f64 {
        self.prediction + Self::of_groups(self.real.iter().copied())
    }

    /// The variance of the difference from another prediction of the same real points.
    pub fn variance_of_difference(&self, other: &Self) -> f64 {
        let apart = self.real.iter().zip(&other.real).map(|(a, b)| a - b);
        self.prediction + other.prediction + Self::of_groups(apart)
    }

    fn of_groups(groups: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = groups.len() as f64;
        let squares: f64 = groups.map(|sum| sum * sum).sum();
        squares * count / (count - 1.0).max(1.0)
    }
}

/// Compares a prediction with real points, both in units of distance.
pub(super) fn measure(predicted: &Cloud, real: &Cloud) -> Result<Measured> {
    let stop = Stop::now();
    let (w1, w2) = rayon::join(
        || stop.within(|| wasserstein(predicted, real)),
        || stop.within(|| metric::wasserstein_2(predicted, real)),
    );
    let (w1, w1_chance) = w1?;
    let own = |cloud: &Cloud| {
        let shares = cloud.weights() / cloud.mass();
        let apart = 1.0 - shares.dot(&shares);
        let within = metric::mean_distances(cloud, cloud);
        within.into_iter().map(move |mean| mean / apart)
    };
    let towards = |a: &Cloud, b: &Cloud| -> Vec<f64> {
        let across = metric::mean_distances(a, b);
        across
            .iter()
            .zip(own(a))
            .map(|(x, own)| 2.0 * (x - own))
            .collect()
    };
    let added = [towards(predicted, real), towards(real, predicted)];
    Ok(Measured {
        distances: Distances {
            w1,
            w2: w2?,
            mmd_squared: metric::mmd_squared(predicted, real)?,
            energy: metric::energy_distance(predicted, real)?,
            mass_error: predicted.mass() / real.mass() - 1.0,
        },
        unbiased_energy: metric::unbiased_energy_distance(predicted, real)?,
        w1_chance,
        energy_chance: Chance::new(predicted, real, [&added[0], &added[1]]),
    })
}

/// W1 and its chance.
fn wasserstein(predicted: &Cloud, real: &Cloud) -> Result<(f64, Chance)> {
    if predicted.dimension() == 1 && real.dimension() == 1 {
        let potentials = on_a_line(predicted, real);
        let chance = Chance::new(predicted, real, [&potentials[0], &potentials[1]]);
        return Ok((metric::wasserstein_1(predicted, real)?, chance));
    }
    let (plan, [u, v]) = optimal(predicted, real, Ground::Euclidean)?;
    Ok((plan.cost(), Chance::new(predicted, real, [&u, &v])))
}

/// The potentials of W1 on a line: the one of the first cloud falls with slope 1 where more of it
/// than of the second lies below, and rises where less does; that of the second is its opposite.
fn on_a_line(a: &Cloud, b: &Cloud) -> [Vec<f64>; 2] {
    let mut marks: Vec<(f64, f64, usize)> = vec![];
    for (sign, cloud) in [(1.0, a), (-1.0, b)] {
        let places = cloud.points().column(0).into_iter().zip(cloud.weights());
        let shares = places.map(|(x, w)| (*x, sign * w / cloud.mass()));
        let start = marks.len();
        marks.extend(
            shares
                .enumerate()
                .map(|(i, (x, share))| (x, share, start + i)),
        );
    }
    marks.sort_by(|x, y| x.0.total_cmp(&y.0));
    let mut potentials = vec![0.0; marks.len()];
    let (mut above, mut potential, mut last) = (0.0f64, 0.0, marks[0].0);
    for (x, share, at) in marks {
        // Rounding of shares that cancel is no slope.
        if above.abs() > 1e-12 {
            potential -= above.signum() * (x - last);
        }
        last = x;
        potentials[at] = potential;
        above += share;
    }
    let second = potentials.split_off(a.len());
    [potentials, second.into_iter().map(|u| -u).collect()]
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;

    fn normal(n: usize, d: usize, shift: f64, rng: &mut ChaCha8Rng) -> Cloud {
        let points =
            Array2::from_shape_simple_fn((n, d), || shift + rng.sample::<f64, _>(StandardNormal));
        Cloud::new(points).unwrap()
    }

    /// The chance of one pair of clouds against the spread over 200 fresh pairs, and of the
    /// difference of two predictions alike.
    #[test]
    fn the_chance_is_that_of_fresh_points() {
        for d in [1, 2, 5] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut found = vec![];
            for _ in 0..200 {
                let real = normal(80, d, 0.0, &mut rng);
                let near = measure(&normal(60, d, 0.7, &mut rng), &real).unwrap();
                let far = measure(&normal(50, d, 1.0, &mut rng), &real).unwrap();
                let values = [
                    near.distances.w1,
                    near.unbiased_energy,
                    far.distances.w1 - near.distances.w1,
                    far.unbiased_energy - near.unbiased_energy,
                ];
                let variances = [
                    near.w1_chance.variance(),
                    near.energy_chance.variance(),
                    far.w1_chance.variance_of_difference(&near.w1_chance),
                    far.energy_chance
                        .variance_of_difference(&near.energy_chance),
                ];
                found.push([values, variances]);
            }
            for k in 0..4 {
                let mean = |which: usize, of: &dyn Fn(f64) -> f64| {
                    found.iter().map(|f| of(f[which][k])).sum::<f64>() / 200.0
                };
                let value = mean(0, &|v| v);
                let spread = mean(0, &|v| (v - value).powi(2)).sqrt();
                let said = mean(1, &|v| v).sqrt();
                // The spread over 200 is known to 5 %.
                let off = said / spread - 1.0;
                assert!(off.abs() < 0.2, "{k} in {d}: {said}, not {spread}");
            }
        }
    }

    /// `u_i + v_j <= |x_i - y_j|`, and their means add up to W1.
    #[test]
    fn potentials_on_a_line_are_dual() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (a, b) = (normal(7, 1, 0.3, &mut rng), normal(9, 1, 0.0, &mut rng));
        let [u, v] = on_a_line(&a, &b);
        for (i, u) in u.iter().enumerate() {
            for (j, v) in v.iter().enumerate() {
                let apart = (a.points()[[i, 0]] - b.points()[[j, 0]]).abs();
                assert!(u + v <= apart + 1e-12);
            }
        }
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let w1 = metric::wasserstein_1(&a, &b).unwrap();
        assert!((mean(&u) + mean(&v) - w1).abs() < 1e-12);
    }
}

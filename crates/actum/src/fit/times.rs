//! Which times a step looks at.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

const BINS: usize = 64;
/// The share of draws that stay uniform, so that no time is forgotten.
const FLOOR: f64 = 0.01;
/// How much a new observation of a bin counts against what is known.
const FORGET: f64 = 0.05;

/// Low-discrepancy times `u_k = (u_0 + k sqrt 2) mod 1`, with `u_0` carried from step to step, and
/// where wanted sent through the inverse of a distribution whose density is proportional to the
/// running standard deviation of the interior term (Action Matching, appendix C).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeSampler {
    offset: f64,
    bins: Option<Vec<Bin>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    seen: f64,
    mean: f64,
    variance: f64,
}

impl TimeSampler {
    pub fn new(adaptive: bool, rng: &mut impl Rng) -> Self {
        Self {
            offset: rng.random(),
            bins: adaptive.then(|| vec![Bin::default(); BINS]),
        }
    }

    /// `n` times in [0, 1) and the density each was drawn with.
    pub fn draw(&mut self, n: usize) -> (Vec<f64>, Vec<f64>) {
        let uniform: Vec<f64> = (0..n)
            .map(|k| (self.offset + k as f64 * std::f64::consts::SQRT_2).fract())
            .collect();
        self.offset = (self.offset + n as f64 * std::f64::consts::SQRT_2).fract();
        let Some(mass) = self.mass() else {
            return (uniform, vec![1.0; n]);
        };
        let mut running = vec![0.0; BINS + 1];
        for (k, m) in mass.iter().enumerate() {
            running[k + 1] = running[k] + m;
        }
        uniform
            .iter()
            .map(|u| {
                let target = u * running[BINS];
                let k = running.partition_point(|r| *r <= target).clamp(1, BINS) - 1;
                let within = ((target - running[k]) / mass[k]).clamp(0.0, 1.0);
                let density = mass[k] * BINS as f64 / running[BINS];
                ((k as f64 + within) / BINS as f64, density)
            })
            .unzip()
    }

    /// The probability of every bin, once every bin has been seen.
    fn mass(&self) -> Option<Vec<f64>> {
        let bins = self.bins.as_ref()?;
        if bins.iter().any(|b| b.seen < 2.0) {
            return None;
        }
        let std_devs: Vec<f64> = bins.iter().map(|b| b.variance.sqrt()).collect();
        let total: f64 = std_devs.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        Some(
            std_devs
                .iter()
                .map(|s| (1.0 - FLOOR) * s / total + FLOOR / BINS as f64)
                .collect(),
        )
    }

    /// Takes note of the interior term at the times of a step.
    pub fn learn(&mut self, times: &[f64], interior: &[f64]) {
        let Some(bins) = &mut self.bins else { return };
        for (t, value) in times.iter().zip(interior) {
            let bin = &mut bins[((t * BINS as f64) as usize).min(BINS - 1)];
            bin.seen += 1.0;
            let share = (1.0 / bin.seen).max(FORGET);
            let off = value - bin.mean;
            bin.mean += share * off;
            bin.variance = (1.0 - share) * (bin.variance + share * off * off);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn sampler(adaptive: bool) -> TimeSampler {
        TimeSampler::new(adaptive, &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn carried_times_fill_the_unit_interval_evenly() {
        let mut sampler = sampler(false);
        let mut times: Vec<f64> = (0..20).flat_map(|_| sampler.draw(50).0).collect();
        times.sort_by(f64::total_cmp);
        // The three-gap theorem: for 1,000 points of a sequence with quadratic irrational step no
        // gap is much larger than 1/1000; independent draws leave gaps of about 7/1000.
        let gap = times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
        assert!(gap < 2.5e-3, "{gap}");
    }

    #[test]
    fn two_half_draws_are_one_whole_draw() {
        let (mut a, mut b) = (sampler(false), sampler(false));
        let whole = a.draw(10).0;
        let halves = [b.draw(5).0, b.draw(5).0].concat();
        for (x, y) in whole.iter().zip(&halves) {
            let apart = (x - y).abs();
            assert!(apart.min(1.0 - apart) < 1e-12);
        }
    }

    #[test]
    fn the_density_follows_the_standard_deviation_and_keeps_integrals() {
        let mut sampler = sampler(true);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        // The interior term has mean t^2 and standard deviation 9 times larger in the second half.
        for _ in 0..400 {
            let (times, _) = sampler.draw(64);
            let interior: Vec<f64> = times
                .iter()
                .map(|t| {
                    let scale = if *t < 0.5 { 1.0 } else { 9.0 };
                    t * t + scale * (rng.random::<f64>() - 0.5)
                })
                .collect();
            sampler.learn(&times, &interior);
        }
        let (times, density) = sampler.draw(20_000);
        let late = times.iter().filter(|t| **t >= 0.5).count() as f64 / 20_000.0;
        assert!((late - 0.9).abs() < 0.05, "{late}");
        let integral: f64 = times
            .iter()
            .zip(&density)
            .map(|(t, p)| t * t / p)
            .sum::<f64>()
            / 20_000.0;
        assert!((integral - 1.0 / 3.0).abs() < 2e-3, "{integral}");
    }
}

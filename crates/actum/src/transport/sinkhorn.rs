use ndarray::Array1;
use rayon::prelude::*;

use super::{Costs, Ground, LANES, Plan, same_dimension};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// The greatest part of the mass that row or column sums may be off when the iteration stops.
const MARGINAL_ERROR: f64 = 1e-9;
/// Iterations at the final epsilon before giving up.
const ITERATIONS: usize = 20_000;
/// Iterations at each larger epsilon on the way.
const ANNEALING: usize = 8;
/// Iterations between two estimates of the rate of convergence.
const WINDOW: usize = 10;
/// The slowest plain iteration that the relaxation is made for; more of it only overshoots.
const SLOWEST: f64 = 0.9995;
/// What part of its row or of its column an entry of average size keeps when it is dropped.
const NEGLIGIBLE: f64 = 1e-9;

/// The plan `P_ij = p_i q_j exp((f_i + g_j - c_ij) / epsilon)`, where p and q are the weights of
/// two clouds divided by their mass.
#[derive(Debug, Clone)]
pub(super) struct Potentials {
    pub f: Array1<f64>,
    pub g: Array1<f64>,
    /// The weights p.
    pub p: Array1<f64>,
    /// The weights q.
    pub q: Array1<f64>,
    epsilon: f64,
    reach: f64,
    ground: Ground,
    clouds: (Cloud, Cloud),
}

/// The potentials of the plan that minimises
/// `<P, c> + epsilon KL(P | p q') + reach KL(P 1 | p) + reach KL(P' 1 | q)`; an infinite reach
/// asks for the sums p and q themselves.
///
/// At the minimum the row sums are `p exp(-f / reach)` and the column sums `q exp(-g / reach)`.
/// On return the row sums are that to rounding, and the column sums to 1e-9 of the mass in total.
pub(super) fn sinkhorn(
    a: &Cloud,
    b: &Cloud,
    ground: Ground,
    epsilon: f64,
    reach: f64,
) -> Result<Potentials> {
    same_dimension(a, b)?;
    ensure!(
        epsilon.is_finite() && epsilon > 0.0,
        Setting,
        "epsilon must be finite and positive, got {epsilon}"
    );
    let (n, m) = (a.len(), b.len());
    let costs = Costs::new(a.points(), b.points(), ground);
    let flipped = Costs::new(b.points(), a.points(), ground);
    let greatest = costs.greatest()?;
    let (p, q) = (a.weights() / a.mass(), b.weights() / b.mass());

    let damping = |epsilon: f64| 1.0 / (1.0 + epsilon / reach);
    let update = |costs: &Costs, g: &[f64], weights: &Array1<f64>, epsilon: f64| {
        let mut f = soft_minimum(costs, g, weights, epsilon);
        f.iter_mut().for_each(|f| *f *= damping(epsilon));
        f
    };
    // The iteration forgets a constant that f has too much and g too little only at the rate
    // `reach / (reach + epsilon)`; the best one is known (Sejourne, Vialard, Peyre, 2022, section 3).
    let translate = |f: &mut [f64], g: &mut [f64]| {
        let shift = (level(&q, g, reach) - level(&p, f, reach)) / 2.0;
        f.iter_mut().for_each(|f| *f += shift);
        g.iter_mut().for_each(|g| *g -= shift);
    };

    let mut g = vec![0.0; m];
    let mut f = vec![0.0; n];
    // An epsilon above the reach would only blur what the damping has made easy.
    let mut wide = greatest.min(reach);
    while wide > 4.0 * epsilon {
        for _ in 0..ANNEALING {
            f = update(&costs, &g, &q, wide);
            g = update(&flipped, &f, &p, wide);
            translate(&mut f, &mut g);
        }
        wide /= 4.0;
    }

    let off = |weights: &Array1<f64>, old: &[f64], new: &[f64]| -> f64 {
        let level = level(weights, old, reach);
        positive(weights)
            .map(|(i, w)| {
                let expected = w * ((level - old[i]) / reach).exp();
                let excess = (old[i] - new[i]) / (epsilon * damping(epsilon));
                expected * excess.exp_m1().abs()
            })
            .sum()
    };
    let mut relaxation = 1.0;
    let mut error = f64::INFINITY;
    let mut before = f64::INFINITY;
    let mut least = f64::INFINITY;
    for iteration in 0..ITERATIONS {
        let rows = update(&costs, &g, &q, epsilon);
        error = off(&p, &f, &rows);
        if error <= MARGINAL_ERROR {
            // Without relaxation the row sums are exact; what is left is in the column sums.
            f = rows;
            let columns = update(&flipped, &f, &p, epsilon);
            error = off(&q, &g, &columns);
            if error <= MARGINAL_ERROR {
                break;
            }
            g = columns;
            continue;
        }
        relax(&mut f, rows, relaxation);
        relax(&mut g, update(&flipped, &f, &p, epsilon), relaxation);
        translate(&mut f, &mut g);
        match iteration % (2 * WINDOW) {
            // A new relaxation changes the error at once: its rate shows after some iterations.
            step if step == WINDOW - 1 => before = error,
            step if step == 2 * WINDOW - 1 => {
                let rate = (error / before).powf(1.0 / WINDOW as f64);
                if rate < 1.0 && before.is_finite() {
                    relaxation = overrelaxation(relaxation, rate);
                } else if error > 10.0 * least {
                    relaxation = 1.0;
                }
                least = least.min(error);
            }
            _ => {}
        }
    }
    let converged = error <= MARGINAL_ERROR;
    ensure!(
        converged,
        Diverged,
        "the marginals of the entropic coupling are off by {error:.1e} after {ITERATIONS} iterations, \
         expected {MARGINAL_ERROR:.0e}; raise epsilon, now {epsilon:e} where the greatest cost is {greatest:e}"
    );
    Ok(Potentials {
        f: f.into(),
        g: g.into(),
        p,
        q,
        epsilon,
        reach,
        ground,
        clouds: (a.clone(), b.clone()),
    })
}

impl Potentials {
    /// The mass of P and its cost `<P, c>`.
    pub fn mass_and_cost(&self) -> (f64, f64) {
        let rows: Vec<(f64, f64)> = self.rows(|row| {
            let mass = row.iter().map(|e| e.1).sum();
            (mass, row.iter().map(|(_, mass, cost)| mass * cost).sum())
        });
        let mass = rows.iter().map(|row| row.0).sum();
        (mass, rows.iter().map(|row| row.1).sum())
    }

    /// P without its negligible entries, scaled to this mass.
    ///
    /// An entry is negligible when its mass is below `1e-9 r_i / m` and below `1e-9 c_j / n`, with
    /// r the row sums and c the column sums. A row or column of positive weight whose entries all
    /// underflow keeps the greatest, as the least positive normal number.
    pub fn plan(&self, mass: f64) -> Result<Plan> {
        let (n, m) = (self.f.len(), self.g.len());
        let means = &self.q * (&self.g / -self.reach).exp() / n as f64;
        let rows = self.rows(|row| {
            let mean = row.iter().map(|e| e.1).sum::<f64>() / m as f64;
            let kept =
                |e: &&(usize, f64, f64)| e.1 > 0.0 && e.1 >= NEGLIGIBLE * mean.min(means[e.0]);
            row.iter()
                .filter(kept)
                .map(|e| (e.0, e.1))
                .collect::<Vec<_>>()
        });
        let scale = mass / rows.iter().flatten().map(|e| e.1).sum::<f64>();
        let (a, b) = &self.clouds;
        let costs = Costs::new(a.points(), b.points(), self.ground);
        let height = heights(&costs, &self.g, &self.q, self.epsilon);
        let mut entries = Vec::new();
        for (i, row) in rows.into_iter().enumerate() {
            if row.is_empty() && self.p[i] > 0.0 {
                entries.push((i, strongest(&costs, i, &height), 0.0));
            }
            entries.extend(row.into_iter().map(|(j, part)| (i, j, part * scale)));
        }
        let mut paired = vec![false; m];
        entries.iter().for_each(|e| paired[e.1] = true);
        let flipped = Costs::new(b.points(), a.points(), self.ground);
        let height = heights(&flipped, &self.f, &self.p, self.epsilon);
        let alone = positive(&self.q).filter(|(j, _)| !paired[*j]);
        entries.extend(alone.map(|(j, _)| (strongest(&flipped, j, &height), j, 0.0)));
        for entry in &mut entries {
            entry.2 = entry.2.max(f64::MIN_POSITIVE);
        }
        Plan::new((n, m), entries, |i, j| costs.at(i, j))
    }

    /// Calls `reduce` with the entries (j, mass, cost) of every row.
    fn rows<T: Send>(&self, reduce: impl Fn(&[(usize, f64, f64)]) -> T + Sync) -> Vec<T> {
        let (a, b) = &self.clouds;
        let costs = Costs::new(a.points(), b.points(), self.ground);
        (0..a.len())
            .into_par_iter()
            .map_init(Vec::new, |row, i| {
                row.clear();
                for t in 0..costs.tiles() {
                    for (cost, j) in costs.tile(i, t).into_iter().zip(costs.lanes(t)) {
                        let exponent = (self.f[i] + self.g[j] - cost) / self.epsilon;
                        let weight = self.p[i] * self.q[j];
                        let mass = if weight > 0.0 {
                            weight * exponent.exp()
                        } else {
                            0.0
                        };
                        row.push((j, mass, cost));
                    }
                }
                reduce(row)
            })
            .collect()
    }
}

/// The positive weights and their places. Where a weight is zero a potential means nothing, and
/// its exponential may overflow.
pub(super) fn positive(weights: &Array1<f64>) -> impl Iterator<Item = (usize, f64)> + '_ {
    let all = weights.iter().copied().enumerate();
    all.filter(|(_, w)| *w > 0.0)
}

/// `-reach log sum_i w_i exp(-f_i / reach)`, so that the plan wants the mass
/// `exp(-level / reach)`; 0 for an infinite reach, where that mass is 1 whatever f.
fn level(weights: &Array1<f64>, f: &[f64], reach: f64) -> f64 {
    if reach.is_infinite() {
        return 0.0;
    }
    let least = positive(weights).fold(f64::INFINITY, |least, (i, _)| least.min(f[i]));
    let mean = |of: fn(f64) -> f64| -> f64 {
        let terms = positive(weights).map(|(i, w)| w * of((least - f[i]) / reach));
        terms.sum()
    };
    // The logarithm of a mean near 1, times a great reach, needs what the mean is short of 1.
    let short = mean(f64::exp_m1);
    let log = if short > -0.5 {
        short.ln_1p()
    } else {
        mean(f64::exp).ln()
    };
    least - reach * log
}

fn relax(old: &mut [f64], new: Vec<f64>, relaxation: f64) {
    for (old, new) in old.iter_mut().zip(new) {
        *old += relaxation * (new - *old);
    }
}

/// `-epsilon log sum_j w_j exp((g_j - c_ij) / epsilon)` for every row i.
fn soft_minimum(costs: &Costs, g: &[f64], weights: &Array1<f64>, epsilon: f64) -> Vec<f64> {
    let height = heights(costs, g, weights, epsilon);
    (0..costs.shape().0)
        .into_par_iter()
        .map_init(
            || vec![0.0; height.len()],
            |gain, i| row_minimum(costs, i, &height, epsilon, gain),
        )
        .collect()
}

/// `g_j + epsilon log w_j`, padded to whole tiles with what never counts.
fn heights<'a>(
    costs: &Costs,
    g: impl IntoIterator<Item = &'a f64>,
    weights: &Array1<f64>,
    epsilon: f64,
) -> Vec<f64> {
    let mut height = vec![f64::NEG_INFINITY; costs.tiles() * LANES];
    for ((h, g), w) in height.iter_mut().zip(g).zip(weights) {
        *h = g + epsilon * w.ln();
    }
    height
}

/// The column j of the greatest `height_j - c_ij`.
fn strongest(costs: &Costs, i: usize, height: &[f64]) -> usize {
    let tiles = 0..costs.tiles();
    let gains = tiles.flat_map(|t| costs.lanes(t).zip(costs.tile(i, t)));
    gains
        .map(|(j, cost)| (j, height[j] - cost))
        .fold((0, f64::NEG_INFINITY), |top, new| {
            if new.1 > top.1 { new } else { top }
        })
        .0
}

/// `-epsilon log sum_j exp((height_j - c_ij) / epsilon)`; `gain` is room for one number a column.
fn row_minimum(costs: &Costs, i: usize, height: &[f64], epsilon: f64, gain: &mut [f64]) -> f64 {
    let mut top = [f64::NEG_INFINITY; LANES];
    let tiles = gain.chunks_exact_mut(LANES).zip(height.chunks_exact(LANES));
    for (t, (gain, height)) in tiles.enumerate() {
        let cost = costs.tile(i, t);
        for lane in 0..LANES {
            gain[lane] = height[lane] - cost[lane];
            top[lane] = if gain[lane] > top[lane] {
                gain[lane]
            } else {
                top[lane]
            };
        }
    }
    let top = top.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = [0.0; LANES];
    for gain in gain.chunks_exact(LANES) {
        for lane in 0..LANES {
            sum[lane] += exp_of_negative((gain[lane] - top) / epsilon);
        }
    }
    -(top + epsilon * sum.iter().sum::<f64>().ln())
}

/// `exp(x)` for x <= 0 to 2e-16 of it, without a branch, so that the compiler makes vector
/// instructions of it; 1e-304 for what is smaller. With `x = k log 2 + r`, `|r| <= log(2) / 2`,
/// it is `2^k` times the Taylor polynomial of degree 13 of `exp(r)`.
#[inline(always)]
fn exp_of_negative(x: f64) -> f64 {
    // Added to a small number, it leaves the nearest integer in the low bits.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    // The high part of log 2 has so many zeros at its end that k times it is exact.
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = if x > -700.0 { x } else { -700.0 };
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let r = (x - k * HIGH) - k * LOW;
    let mut sum = 1.0 / 6_227_020_800.0;
    for inverse in [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * r + inverse;
    }
    sum * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// The relaxation that is best for the rate of convergence seen with the present one, from
/// `(rate + w - 1)^2 = rate w^2 eta`, with eta the rate of the plain iteration, and
/// `w = 2 / (1 + sqrt(1 - eta))`.
fn overrelaxation(present: f64, rate: f64) -> f64 {
    let plain = (rate + present - 1.0).powi(2) / (rate * present * present);
    2.0 / (1.0 + (1.0 - plain.min(SLOWEST)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential() {
        for x in (0..70_000)
            .map(|i| -0.01 * i as f64)
            .chain([-1e-300, -700.0])
        {
            let got = exp_of_negative(x);
            assert!((got / x.exp() - 1.0).abs() < 4e-16, "{x}: {got}");
        }
        assert!(exp_of_negative(f64::NEG_INFINITY) < 1e-300);
    }
}

use ndarray::Array1;
use rayon::prelude::*;

use super::{Costs, Ground, LANES, Plan, same_dimension};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// The greatest sum of `|P' 1 - b|` at which the iteration stops.
const MARGINAL_ERROR: f64 = 1e-9;
/// Iterations at the final epsilon before giving up.
const ITERATIONS: usize = 20_000;
/// Iterations at each larger epsilon on the way.
const ANNEALING: usize = 8;
/// Iterations between two estimates of the rate of convergence.
const WINDOW: usize = 10;
/// The slowest plain iteration that the relaxation is made for; more of it only overshoots.
const SLOWEST: f64 = 0.9995;
/// What [`entropic`] found: `P_ij = a_i b_j exp((f_i + g_j - c_ij) / epsilon)`.
#[derive(Debug, Clone)]
pub struct Entropic {
    f: Array1<f64>,
    g: Array1<f64>,
    epsilon: f64,
    ground: Ground,
    clouds: (Cloud, Cloud),
    cost: f64,
    value: f64,
}

/// Entropic optimal transport, `min_P <P, c> + epsilon KL(P | a b')` over the couplings of two
/// clouds (Cuturi, 2013), with `epsilon` in the units of the cost.
///
/// Sinkhorn's iteration on the potentials, in the log domain, from large values of epsilon down
/// to the one asked for (Schmitzer, *Stabilized sparse scaling algorithms*, 2019, section 3), with
/// overrelaxation at the observed rate (Lehmann et al., *A note on overrelaxation in the Sinkhorn
/// algorithm*, 2021, theorem 2). It stops when the column sums of P are right to 1e-9 in total;
/// the row sums are right to rounding. Memory is O(n + m); an iteration costs 2 n m exponentials.
///
/// ```
/// use actum::{cloud::Cloud, transport::{Ground, entropic}};
/// use ndarray::array;
///
/// let a = Cloud::new(array![[0.0], [1.0]])?;
/// let coupling = entropic(&a, &a, Ground::SquaredEuclidean, 1.0)?;
/// // The plan is [[p, q], [q, p]] with q / p = exp(-1).
/// let q = 0.5 / (1.0 + 1f64.exp());
/// assert!((coupling.cost() - 2.0 * q).abs() < 1e-9);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// Clouds of different dimension (`Shape`); an epsilon that is not finite and positive
/// (`Setting`); distances that overflow (`Value`); no convergence (`Diverged`), which a greater
/// epsilon remedies.
pub fn entropic(a: &Cloud, b: &Cloud, ground: Ground, epsilon: f64) -> Result<Entropic> {
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

    let mut g = vec![0.0; m];
    let mut f = vec![0.0; n];
    let mut wide = greatest;
    while wide > 4.0 * epsilon {
        for _ in 0..ANNEALING {
            f = soft_minimum(&costs, &g, &q, wide);
            g = soft_minimum(&flipped, &f, &p, wide);
        }
        wide /= 4.0;
    }

    let off = |weights: &Array1<f64>, old: &[f64], new: &[f64]| -> f64 {
        let sums = weights.iter().zip(old.iter().zip(new));
        sums.map(|(w, (old, new))| w * ((old - new) / epsilon).exp_m1().abs())
            .sum()
    };
    let mut relaxation = 1.0;
    let mut error = f64::INFINITY;
    let mut before = f64::INFINITY;
    let mut least = f64::INFINITY;
    for iteration in 0..ITERATIONS {
        let rows = soft_minimum(&costs, &g, &q, epsilon);
        error = off(&p, &f, &rows);
        if error <= MARGINAL_ERROR {
            // Without relaxation the row sums are exact; what is left is in the column sums.
            f = rows;
            let columns = soft_minimum(&flipped, &f, &p, epsilon);
            error = off(&q, &g, &columns);
            if error <= MARGINAL_ERROR {
                break;
            }
            g = columns;
            continue;
        }
        relax(&mut f, rows, relaxation);
        relax(&mut g, soft_minimum(&flipped, &f, &p, epsilon), relaxation);
        match iteration % (2 * WINDOW) {
            // A new relaxation changes the error at once: its rate shows after some iterations.
            step if step == WINDOW - 1 => before = error,
            step if step == 2 * WINDOW - 1 => {
                let rate = (error / before).powf(1.0 / WINDOW as f64);
                if rate < 1.0 {
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

    let value = p.iter().zip(&f).map(|(w, f)| w * f).sum::<f64>()
        + q.iter().zip(&g).map(|(w, g)| w * g).sum::<f64>();
    let mut found = Entropic {
        f: f.into(),
        g: g.into(),
        epsilon,
        ground,
        clouds: (a.clone(), b.clone()),
        cost: 0.0,
        value,
    };
    let rows: Vec<f64> = found.rows(|row| row.iter().map(|(_, mass, cost)| mass * cost).sum());
    found.cost = rows.iter().sum();
    Ok(found)
}

impl Entropic {
    /// The potential of the first cloud, `[n]`; together with [`g`](Self::g) it is unique up to a
    /// constant that may go from one to the other.
    pub fn f(&self) -> &Array1<f64> {
        &self.f
    }

    /// The potential of the second cloud, `[m]`.
    pub fn g(&self) -> &Array1<f64> {
        &self.g
    }

    /// The cost of the transport alone, `<P, c>`.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// What was minimised, `<P, c> + epsilon KL(P | a b')`, which is `<a, f> + <b, g>`.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The coupling P without its negligible entries.
    ///
    /// An entry of row i is dropped when its mass is below `1e-9 a_i / m`, all of them together
    /// less than 1e-9; the rest is divided by its sum. With a large epsilon all n m entries stay.
    ///
    /// # Errors
    /// None for clouds that [`entropic`] accepted.
    pub fn plan(&self) -> Result<Plan> {
        let m = self.g.len() as f64;
        let rows = self.rows(|row| {
            let total: f64 = row.iter().map(|e| e.1).sum();
            let kept = |e: &&(usize, f64, f64)| e.1 > 0.0 && e.1 >= 1e-9 * total / m;
            row.iter()
                .filter(kept)
                .map(|e| (e.0, e.1))
                .collect::<Vec<_>>()
        });
        let total: f64 = rows.iter().flatten().map(|e| e.1).sum();
        let entries = rows
            .into_iter()
            .enumerate()
            .flat_map(|(i, row)| row.into_iter().map(move |(j, mass)| (i, j, mass / total)))
            .collect();
        let (a, b) = &self.clouds;
        let costs = Costs::new(a.points(), b.points(), self.ground);
        Plan::new((self.f.len(), self.g.len()), entries, |i, j| costs.at(i, j))
    }

    /// Calls `reduce` with the entries (j, mass, cost) of every row.
    fn rows<T: Send>(&self, reduce: impl Fn(&[(usize, f64, f64)]) -> T + Sync) -> Vec<T> {
        let (a, b) = &self.clouds;
        let (p, q) = (a.weights() / a.mass(), b.weights() / b.mass());
        let costs = Costs::new(a.points(), b.points(), self.ground);
        (0..a.len())
            .into_par_iter()
            .map_init(Vec::new, |row, i| {
                row.clear();
                for t in 0..costs.tiles() {
                    for (cost, j) in costs.tile(i, t).into_iter().zip(costs.lanes(t)) {
                        let exponent = (self.f[i] + self.g[j] - cost) / self.epsilon;
                        let mass = if q[j] > 0.0 {
                            p[i] * q[j] * exponent.exp()
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

fn relax(old: &mut [f64], new: Vec<f64>, relaxation: f64) {
    for (old, new) in old.iter_mut().zip(new) {
        *old += relaxation * (new - *old);
    }
}

/// `-epsilon log sum_j w_j exp((g_j - c_ij) / epsilon)` for every row i.
fn soft_minimum(costs: &Costs, g: &[f64], weights: &Array1<f64>, epsilon: f64) -> Vec<f64> {
    let mut height = vec![f64::NEG_INFINITY; costs.tiles() * LANES];
    for ((h, g), w) in height.iter_mut().zip(g).zip(weights) {
        *h = g + epsilon * w.ln();
    }
    (0..costs.shape().0)
        .into_par_iter()
        .map_init(
            || vec![0.0; height.len()],
            |gain, i| row_minimum(costs, i, &height, epsilon, gain),
        )
        .collect()
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
    use ndarray::array;

    use super::*;
    use crate::{
        error::ErrorKind,
        transport::{exact, tests::waves},
    };

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

    #[test]
    fn the_numbers_of_pot() {
        // POT 0.9.7: P = ot.sinkhorn(a, b, M, epsilon, method="sinkhorn_log", stopThr=1e-13), the
        // cost (P * M).sum() and the value with epsilon * (P * log(P / a b')).sum() added.
        let (a, b) = waves(40, 27);
        let expected = [
            (Ground::SquaredEuclidean, 0.5, 1.3268741592, 2.00311011439),
            (Ground::SquaredEuclidean, 0.02, 1.18770391045, 1.22813174925),
            (Ground::Euclidean, 0.1, 1.06351284899, 1.21206405911),
        ];
        for (ground, epsilon, cost, value) in expected {
            let found = entropic(&a, &b, ground, epsilon).unwrap();
            assert!(
                (found.cost() / cost - 1.0).abs() < 1e-8,
                "{} {cost}",
                found.cost()
            );
            assert!(
                (found.value() / value - 1.0).abs() < 1e-10,
                "{} {value}",
                found.value()
            );
        }
        let plan = entropic(&a, &b, Ground::SquaredEuclidean, 0.5)
            .unwrap()
            .plan()
            .unwrap();
        let first = plan.iter().next().unwrap();
        assert_eq!((first.0, first.1), (0, 0));
        assert!(
            (first.2 / 5.57111359748e-06 - 1.0).abs() < 1e-7,
            "{first:?}"
        );
    }

    #[test]
    fn the_plan_keeps_the_marginals_and_the_cost() {
        let (a, b) = waves(70, 45);
        let found = entropic(&a, &b, Ground::SquaredEuclidean, 0.01).unwrap();
        let plan = found.plan().unwrap();
        assert!(plan.len() < 70 * 45 / 2, "{}", plan.len());
        let (rows, columns) = plan.marginals();
        let off = |got: Array1<f64>, cloud: &Cloud| {
            (got - cloud.weights() / cloud.mass()).mapv(f64::abs).sum()
        };
        assert!(off(rows, &a) < 3e-9 && off(columns, &b) < 3e-9);
        assert!((plan.cost() - found.cost()).abs() < 1e-8);
    }

    #[test]
    fn between_the_exact_and_the_independent_coupling() {
        let (a, b) = waves(40, 27);
        let exact = exact(&a, &b, Ground::SquaredEuclidean).unwrap().cost();
        let small = entropic(&a, &b, Ground::SquaredEuclidean, 1e-3).unwrap();
        assert!(small.cost() > exact && small.cost() < exact + 1e-3);
        let large = entropic(&a, &b, Ground::SquaredEuclidean, 1e6).unwrap();
        let spread = (a.mean() - b.mean()).mapv(|x| x * x).sum()
            + a.deviation().mapv(|x| x * x).sum()
            + b.deviation().mapv(|x| x * x).sum();
        assert!((large.cost() / spread - 1.0).abs() < 1e-5);
    }

    #[test]
    fn points_of_no_weight_get_no_mass() {
        let a = Cloud::weighted(array![[0.0], [5.0], [1.0]], array![1.0, 0.0, 1.0]).unwrap();
        let b = Cloud::weighted(array![[7.0], [1.0], [0.0]], array![0.0, 1.0, 1.0]).unwrap();
        let found = entropic(&a, &b, Ground::SquaredEuclidean, 1.0).unwrap();
        assert!((found.cost() - 1.0 / (1.0 + 1f64.exp())).abs() < 1e-9);
        assert!(found.f().iter().chain(found.g()).all(|x| x.is_finite()));
        let plan = found.plan().unwrap();
        assert!(plan.iter().all(|(i, j, _)| i != 1 && j != 0));
    }

    #[test]
    fn bad_settings_and_no_convergence_are_errors() {
        let (a, b) = waves(40, 27);
        for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = entropic(&a, &b, Ground::Euclidean, epsilon).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Setting);
        }
        let error = entropic(&a, &b, Ground::SquaredEuclidean, 1e-7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged);
        assert!(error.to_string().contains("raise epsilon"), "{error}");
    }
}

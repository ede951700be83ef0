use std::{
    collections::VecDeque,
    ops::{Range, RangeInclusive},
};

use nalgebra::{DMatrix, DVector};
use ndarray::Array1;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Costs, Ground, LANES, Line, Plan, ROWS, same_dimension, tiled};
use crate::simd::{exp, exp_within};
use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
};

/// The error of the column sums, as a part of the mass, at which the iteration stops.
const MARGINAL_ERROR: f64 = 1e-9;
/// Iterations at the final epsilon before an error.
const ITERATIONS: usize = 20_000;
/// Iterations at each larger epsilon.
const ANNEALING: usize = 2;
/// The number of previous iterations that an extrapolation uses.
const MEMORY: usize = 12;
/// The blocks of rows with column sums of their own. The number does not depend on that of the
/// threads, so that the sums are added in the same order and give the same bits; it is large enough
/// to occupy many threads.
const BLOCKS: usize = 64;
/// Sums of exponentials outside of this range are recomputed relative to their largest term.
const SAFE: RangeInclusive<f64> = 1e-200..=1e200;
/// The share of its row or column, times their length, below which an entry is dropped.
const NEGLIGIBLE: f64 = 1e-9;
/// The relative decrease of the dual objective that counts as one.
const ROUNDING: f64 = 1e-13;
/// Added to the diagonal of a matrix of cosines, to keep it positive definite.
const RIDGE: f64 = 1e-12;
/// Entries of P with this exponent or a lower one are 0.
const LEAST_EXPONENT: f64 = -700.0;

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
    rho: f64,
    ground: Ground,
    clouds: (Cloud, Cloud),
}

/// The potentials of the plan that minimises `<P, c> + epsilon KL(P | p q') + rho KL(P 1 | p) + rho
/// KL(P' 1 | q)`. An infinite rho fixes the sums to p and q.
///
/// At the minimum the row sums are `p exp(-f / rho)` and the column sums `q exp(-g / rho)`. The
/// result meets these row sums to rounding, and the column sums to 1e-9 of the mass in total.
pub(super) fn sinkhorn(
    a: &Cloud,
    b: &Cloud,
    ground: Ground,
    epsilon: f64,
    rho: f64,
) -> Result<Potentials> {
    same_dimension(a, b)?;
    ensure!(
        epsilon.is_finite() && epsilon > 0.0,
        Setting,
        "epsilon must be finite and positive, got {epsilon}"
    );
    let (p, q) = (a.weights() / a.mass(), b.weights() / b.mass());
    let problem = Problem {
        costs: Costs::new(a.points(), b.points(), ground),
        flipped: Costs::new(b.points(), a.points(), ground),
        p: &p,
        q: &q,
        rho,
    };
    let greatest = problem.costs.greatest()?;
    // A constant added to f and subtracted from g decays only at the rate `rho / (rho + epsilon)`.
    // Its best value is known (Sejourne, Vialard, Peyre, 2022, section 3).
    let translate = |f: &[f64], g: &mut [f64]| {
        let shift = (level(&q, g, rho) - level(&p, f, rho)) / 2.0;
        g.iter_mut().for_each(|g| *g -= shift);
    };

    let mut g = vec![0.0; b.len()];
    // An epsilon above rho need not be annealed, because the damping makes its iteration converge
    // fast.
    let mut wide = greatest.min(rho);
    let mut minima = vec![0.0; a.len()];
    while wide > 4.0 * epsilon {
        for _ in 0..ANNEALING {
            let f;
            (f, g) = problem.iterate(&mut minima, &g, wide)?;
            translate(&f, &mut g);
        }
        wide /= 4.0;
    }

    let damping = 1.0 / (1.0 + epsilon / rho);
    let off = |old: &[f64], new: &[f64]| -> f64 {
        let level = level(&q, old, rho);
        positive(&q)
            .map(|(j, w)| {
                let expected = w * ((level - old[j]) / rho).exp();
                let excess = (old[j] - new[j]) / (epsilon * damping);
                expected * excess.exp_m1().abs()
            })
            .sum()
    };
    let mut extrapolation = Extrapolation::default();
    let mut error = f64::INFINITY;
    let mut value = f64::NEG_INFINITY;
    for _ in 0..ITERATIONS {
        let (f, mut image) = problem.iterate(&mut minima, &g, epsilon)?;
        error = off(&g, &image);
        if error <= MARGINAL_ERROR {
            return Ok(Potentials {
                f: f.into(),
                g: g.into(),
                p,
                q,
                epsilon,
                rho,
                ground,
                clouds: (a.clone(), b.clone()),
            });
        }
        let new = problem.dual(&f, &g, epsilon);
        // An iteration never lowers the dual objective. An extrapolation that does is undone.
        if new < value - ROUNDING * value.abs()
            && let Some(image) = extrapolation.undo()
        {
            g = image;
            continue;
        }
        value = new;
        translate(&f, &mut image);
        g = extrapolation.next(&g, image, &q);
    }
    Err(Error::new(
        ErrorKind::Diverged,
        format!(
            "the marginals of the entropic coupling are off by {error:.1e} after {ITERATIONS} iterations, \
             expected {MARGINAL_ERROR:.0e}; raise epsilon, now {epsilon:e} where the greatest cost is {greatest:e}"
        ),
    ))
}

/// The data of an iteration.
struct Problem<'a> {
    costs: Costs<'a>,
    flipped: Costs<'a>,
    p: &'a Array1<f64>,
    q: &'a Array1<f64>,
    rho: f64,
}

impl Problem<'_> {
    /// The dual objective at g and its best f.
    fn dual(&self, f: &[f64], g: &[f64], epsilon: f64) -> f64 {
        let rho = self.rho;
        let side = |weights, f: &[f64]| -> f64 {
            let term = |(i, w): (usize, f64)| {
                w * if rho.is_infinite() {
                    f[i]
                } else {
                    -rho * (-f[i] / rho).exp_m1()
                }
            };
            positive(weights).map(term).sum()
        };
        let mass: f64 = positive(self.p).map(|(i, w)| w * (-f[i] / rho).exp()).sum();
        side(self.p, f) + side(self.q, g) - epsilon * mass
    }

    /// The best f for g, and the best g for that f.
    ///
    /// Every cost and its exponential is computed once. A row of the plan is kept until its sum is
    /// known, then normalised and added to the column sums, which give the correction of g.
    /// `minima` holds the soft minima of the rows, on entry those of the previous iteration. They
    /// are close to the new ones and so keep the exponentials within range.
    fn iterate(
        &self,
        minima: &mut Vec<f64>,
        g: &[f64],
        epsilon: f64,
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let damping = 1.0 / (1.0 + epsilon / self.rho);
        let damped = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| damping * x).collect() };
        let level = level(self.p, &damped(minima), self.rho);
        let of_g = heights(g, self.q, epsilon);
        let n = minima.len();
        let length = n.div_ceil(BLOCKS).next_multiple_of(ROWS);
        let blocks: Vec<(Vec<f64>, Vec<Line>)> = (0..n.div_ceil(length))
            .into_par_iter()
            .map(|k| {
                Arch::new().dispatch(Block {
                    problem: self,
                    rows: k * length..(k * length + length).min(n),
                    minima,
                    heights: &of_g,
                    epsilon,
                    level,
                })
            })
            .collect();
        self.costs.stop.check()?;
        let mut sums = vec![[0.0; LANES]; of_g.len()];
        for (_, part) in &blocks {
            for (sum, part) in sums.iter_mut().zip(part) {
                for lane in 0..LANES {
                    sum[lane] += part[lane];
                }
            }
        }
        *minima = blocks.into_iter().flat_map(|block| block.0).collect();
        let f = damped(minima);
        let of_f = heights(&f, self.p, epsilon);
        let image = (0..g.len()).into_par_iter().map(|j| {
            let sum = sums[j / LANES][j % LANES];
            let minimum = if SAFE.contains(&sum) {
                g[j] - epsilon * ((sum / self.q[j]).ln() - level / self.rho)
            } else {
                soft_minimum(&self.flipped, j, &of_f, epsilon)
            };
            damping * minimum
        });
        Ok((f, image.collect()))
    }
}

/// The part of an iteration on some rows. `heights` belong to g; `level` is one of f and keeps the
/// column sums within range.
struct Block<'a> {
    problem: &'a Problem<'a>,
    rows: Range<usize>,
    minima: &'a [f64],
    heights: &'a [Line],
    epsilon: f64,
    level: f64,
}

impl Block<'_> {
    /// Writes `exp((minimum_i + height_j - c_ij) / epsilon)` for these rows i and every column j to
    /// `[tile of j][i - start]`, and returns the sums over j.
    ///
    /// The rows of a tile lie side by side in `terms`, because the column sums read them in this
    /// order.
    #[inline(always)]
    fn fill<S: Simd>(
        &self,
        simd: S,
        (start, rows): (usize, Range<usize>),
        minima: &[f64; ROWS],
        terms: &mut [[Line; ROWS]],
    ) -> [f64; ROWS] {
        let scale = 1.0 / self.epsilon;
        let mut sums = [[0.0; LANES]; ROWS];
        for (t, (terms, heights)) in terms.iter_mut().zip(self.heights).enumerate() {
            for i in rows.clone() {
                let r = i - start;
                let costs = self.problem.costs.tile(simd, i, t);
                let mut line = [0.0; LANES];
                for lane in 0..LANES {
                    line[lane] = scale * (minima[r] + heights[lane] - costs[lane]);
                }
                exp_within(simd, &mut line);
                add(simd, 1.0, &line, &mut sums[r]);
                terms[r] = line;
            }
        }
        sums.map(|sum| sum.iter().sum())
    }
}

impl WithSimd for Block<'_> {
    /// The soft minima of the rows and the column sums.
    type Output = (Vec<f64>, Vec<Line>);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Problem { costs, p, rho, .. } = self.problem;
        let damping = 1.0 / (1.0 + self.epsilon / rho);
        let mut terms = vec![[[0.0; LANES]; ROWS]; self.heights.len()];
        let mut columns = vec![[0.0; LANES]; self.heights.len()];
        let mut found = Vec::with_capacity(self.rows.len());
        for start in self.rows.clone().step_by(ROWS) {
            if costs.stop.is_asked() {
                break;
            }
            let rows = start..(start + ROWS).min(self.rows.end);
            let mut minima = [0.0; ROWS];
            minima[..rows.len()].copy_from_slice(&self.minima[rows.clone()]);
            let mut sums = self.fill(simd, (start, rows.clone()), &minima, &mut terms);
            let mut factors = [0.0; ROWS];
            for (r, i) in rows.clone().enumerate() {
                if !SAFE.contains(&sums[r]) {
                    minima[r] = soft_minimum(costs, i, self.heights, self.epsilon);
                    sums[r] = self.fill(simd, (start, i..i + 1), &minima, &mut terms)[r];
                }
                minima[r] -= self.epsilon * sums[r].ln();
                factors[r] = p[i] / sums[r] * ((self.level - damping * minima[r]) / rho).exp();
            }
            found.extend_from_slice(&minima[..rows.len()]);
            for (column, terms) in columns.iter_mut().zip(&terms) {
                let mut sum = *column;
                for (factor, terms) in factors.iter().zip(&terms[..rows.len()]) {
                    add(simd, *factor, terms, &mut sum);
                }
                *column = sum;
            }
        }
        (found, columns)
    }
}

/// Adds a multiple of a line to another.
#[inline(always)]
fn add<S: Simd>(simd: S, factor: f64, line: &Line, sums: &mut Line) {
    let factor = simd.splat_f64s(factor);
    let sums = S::as_mut_simd_f64s(sums).0.iter_mut();
    for (sum, x) in sums.zip(S::as_simd_f64s(line).0) {
        *sum = simd.mul_add_e_f64s(factor, *x, *sum);
    }
}

/// Anderson's extrapolation of a fixed-point iteration (Walker & Ni, *Anderson acceleration for
/// fixed-point iterations*, 2011): the combination of the last images with the least combined
/// residual.
#[derive(Default)]
struct Extrapolation {
    last: Option<(Vec<f64>, Vec<f64>)>,
    /// The changes of the image and of the residual from one iteration to the next.
    changes: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl Extrapolation {
    /// The image of the last point, from which the iteration continues without extrapolation. None
    /// if the last step was not extrapolated.
    fn undo(&mut self) -> Option<Vec<f64>> {
        if self.changes.is_empty() {
            return None;
        }
        self.changes.clear();
        self.last.take().map(|last| last.0)
    }

    /// The next point, after `x` with this image. Residuals are measured with `weights`.
    fn next(&mut self, x: &[f64], image: Vec<f64>, weights: &Array1<f64>) -> Vec<f64> {
        let difference =
            |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x - y).collect() };
        let product = |x: &[f64], y: &[f64]| -> f64 {
            let terms = positive(weights).map(|(j, w)| w * x[j] * y[j]);
            terms.sum()
        };
        let residual = difference(&image, x);
        if let Some((image_before, residual_before)) = &self.last {
            self.changes.push_back((
                difference(&image, image_before),
                difference(&residual, residual_before),
            ));
            if self.changes.len() > MEMORY {
                self.changes.pop_front();
            }
        }
        let mut next = image.clone();
        let count = self.changes.len();
        let lengths: Vec<f64> = self
            .changes
            .iter()
            .map(|c| product(&c.1, &c.1).sqrt())
            .collect();
        let angles = DMatrix::from_fn(count, count, |k, l| {
            let cosine =
                product(&self.changes[k].1, &self.changes[l].1) / (lengths[k] * lengths[l]);
            // Rounding must not decide between changes that are nearly parallel.
            cosine + if k == l { RIDGE } else { 0.0 }
        });
        let along = DVector::from_fn(count, |k, _| {
            product(&self.changes[k].1, &residual) / lengths[k]
        });
        if let Some(factors) = angles.cholesky() {
            let factors = factors.solve(&along);
            for ((change, length), factor) in self.changes.iter().zip(&lengths).zip(&factors) {
                for (next, change) in next.iter_mut().zip(&change.0) {
                    *next -= factor / length * change;
                }
            }
        }
        self.last = Some((image, residual));
        next
    }
}

impl Potentials {
    /// The mass of P and its cost `<P, c>`.
    pub fn mass_and_cost(&self) -> (f64, f64) {
        let entries = self.entries();
        let sums: Vec<(f64, f64)> = entries
            .costs
            .blocks()
            .map(|rows| {
                let (mut mass, mut cost) = ([0.0; LANES], [0.0; LANES]);
                entries.visit(rows, |_, _, masses, costs| {
                    for lane in 0..LANES {
                        mass[lane] += masses[lane];
                        cost[lane] += masses[lane] * costs[lane];
                    }
                });
                (mass.iter().sum(), cost.iter().sum())
            })
            .collect();
        let mass = sums.iter().map(|sum| sum.0).sum();
        (mass, sums.iter().map(|sum| sum.1).sum())
    }

    /// P without its negligible entries, scaled to this mass.
    ///
    /// An entry is negligible if its mass is below `1e-9 r_i / m` and below `1e-9 c_j / n`, with r
    /// the row sums and c the column sums. A row or column of positive weight whose entries all
    /// underflow keeps the largest one, as the least positive normal number.
    pub fn plan(&self, mass: f64) -> Result<Plan> {
        let (n, m) = (self.p.len(), self.q.len());
        let all = self.entries();
        let least = |weights: &Array1<f64>, f: &Array1<f64>, others: usize| {
            weights * (f / -self.rho).exp() * (NEGLIGIBLE / others as f64)
        };
        let least_of_row = least(&self.p, &self.f, m);
        let least_of_column = tiled(
            least(&self.q, &self.g, n).as_slice().expect("contiguous"),
            0.0,
        );
        let each = |rows: Range<usize>, keep: &mut dyn FnMut(usize, usize, f64, f64)| {
            all.visit(rows, |i, t, masses, costs| {
                let entries = masses.iter().zip(&least_of_column[t]).zip(costs);
                for (j, ((&mass, &least), &cost)) in all.costs.lanes(t).zip(entries) {
                    if mass > 0.0 && mass >= least.min(least_of_row[i]) {
                        keep(i, j, mass, cost);
                    }
                }
            });
        };
        // Entries are counted before they are stored, because there may be n m of them.
        let sums: Vec<([usize; ROWS], f64, f64)> = all
            .costs
            .blocks()
            .map(|rows| {
                let (mut counts, mut total, mut expense) = ([0; ROWS], 0.0, 0.0);
                each(rows.clone(), &mut |i, _, mass, cost| {
                    counts[i - rows.start] += 1;
                    total += mass;
                    expense += mass * cost;
                });
                for i in rows.clone() {
                    let alone = counts[i - rows.start] == 0 && self.p[i] > 0.0;
                    counts[i - rows.start] += usize::from(alone);
                }
                (counts, total, expense)
            })
            .collect();
        let scale = mass / sums.iter().map(|sum| sum.1).sum::<f64>();
        let cost = scale * sums.iter().map(|sum| sum.2).sum::<f64>();
        let count = sums.iter().flat_map(|sum| sum.0).sum();
        let mut entries = vec![(0, 0, 0.0); count];
        let mut rest = entries.as_mut_slice();
        let mut parts = Vec::with_capacity(sums.len());
        for (counts, ..) in &sums {
            let part;
            (part, rest) = rest.split_at_mut(counts.iter().sum());
            parts.push((part, *counts));
        }
        let parts = parts.into_par_iter().zip(all.costs.blocks());
        parts.for_each(|((part, counts), rows)| {
            let mut next = [0; ROWS];
            for r in 1..ROWS {
                next[r] = next[r - 1] + counts[r - 1];
            }
            let begins = next;
            each(rows.clone(), &mut |i, j, mass, _| {
                let at = &mut next[i - rows.start];
                part[*at] = (i as u32, j as u32, (mass * scale).max(f64::MIN_POSITIVE));
                *at += 1;
            });
            for (r, i) in rows.enumerate() {
                if next[r] == begins[r] && counts[r] > 0 {
                    let j = strongest(&all.costs, i, &all.heights);
                    part[begins[r]] = (i as u32, j as u32, f64::MIN_POSITIVE);
                }
            }
        });

        let mut paired = vec![false; m];
        entries.iter().for_each(|e| paired[e.1 as usize] = true);
        let alone: Vec<usize> = positive(&self.q)
            .map(|(j, _)| j)
            .filter(|j| !paired[*j])
            .collect();
        if !alone.is_empty() {
            let (a, b) = &self.clouds;
            let flipped = Costs::new(b.points(), a.points(), self.ground);
            let heights = heights(
                self.f.as_slice().expect("contiguous"),
                &self.p,
                self.epsilon,
            );
            entries.extend(alone.into_iter().map(|j| {
                let i = strongest(&flipped, j, &heights);
                (i as u32, j as u32, f64::MIN_POSITIVE)
            }));
            entries.sort_unstable_by_key(|e| (e.0, e.1));
        }
        Ok(Plan {
            shape: (n, m),
            entries,
            cost,
        })
    }

    fn entries(&self) -> Entries<'_> {
        let (a, b) = &self.clouds;
        let g = self.g.as_slice().expect("contiguous");
        Entries {
            costs: Costs::new(a.points(), b.points(), self.ground),
            heights: heights(g, &self.q, self.epsilon),
            potentials: self,
        }
    }
}

/// The entries of a plan, computed when they are needed.
struct Entries<'a> {
    costs: Costs<'a>,
    heights: Vec<Line>,
    potentials: &'a Potentials,
}

impl Entries<'_> {
    /// Calls `visit(i, t, masses, costs)` for every tile t and the rows i.
    #[inline(always)]
    fn visit(&self, rows: Range<usize>, mut visit: impl FnMut(usize, usize, &Line, &Line)) {
        let Potentials { f, p, epsilon, .. } = self.potentials;
        let scale = 1.0 / epsilon;
        self.costs.visit(rows, 0, |i, t, costs| {
            let mut exponents = [0.0; LANES];
            for lane in 0..LANES {
                exponents[lane] = scale * (f[i] + self.heights[t][lane] - costs[lane]);
            }
            let mut masses = exponents;
            exp(&mut masses);
            for lane in 0..LANES {
                let counts = exponents[lane] > LEAST_EXPONENT;
                masses[lane] = if counts { p[i] * masses[lane] } else { 0.0 };
            }
            visit(i, t, &masses, costs);
        });
    }
}

/// The positive weights and their indices. At a weight of 0 a potential has no meaning, and its
/// exponential may overflow.
pub(super) fn positive(weights: &Array1<f64>) -> impl Iterator<Item = (usize, f64)> + '_ {
    let all = weights.iter().copied().enumerate();
    all.filter(|(_, w)| *w > 0.0)
}

/// `-rho log sum_i w_i exp(-f_i / rho)`, so that the mass of the plan is `exp(-level / rho)`; 0 for
/// an infinite rho, where that mass is 1 for every f.
fn level(weights: &Array1<f64>, f: &[f64], rho: f64) -> f64 {
    if rho.is_infinite() {
        return 0.0;
    }
    let least = positive(weights).fold(f64::INFINITY, |least, (i, _)| least.min(f[i]));
    let mean = |of: fn(f64) -> f64| -> f64 {
        let terms = positive(weights).map(|(i, w)| w * of((least - f[i]) / rho));
        terms.sum()
    };
    // For a mean near 1 the logarithm is computed from its difference from 1, because rho
    // multiplies its rounding error.
    let short = mean(f64::exp_m1);
    let log = if short > -0.5 {
        short.ln_1p()
    } else {
        mean(f64::exp).ln()
    };
    least - rho * log
}

/// `g_j + epsilon log w_j` in tiles, padded with minus infinity, whose exponential is 0.
fn heights(g: &[f64], weights: &Array1<f64>, epsilon: f64) -> Vec<Line> {
    let heights: Vec<f64> = g
        .iter()
        .zip(weights)
        .map(|(g, w)| g + epsilon * w.ln())
        .collect();
    tiled(&heights, f64::NEG_INFINITY)
}

/// The column j of the largest `height_j - c_ij`.
fn strongest(costs: &Costs, i: usize, heights: &[Line]) -> usize {
    let mut top = (0, f64::NEG_INFINITY);
    costs.visit(i..i + 1, 0, |_, t, row| {
        for (j, (height, cost)) in costs.lanes(t).zip(heights[t].iter().zip(row)) {
            if height - cost > top.1 {
                top = (j, height - cost);
            }
        }
    });
    top.0
}

/// `-epsilon log sum_j exp((height_j - c_ij) / epsilon)`, safe for terms of any size.
fn soft_minimum(costs: &Costs, i: usize, heights: &[Line], epsilon: f64) -> f64 {
    let mut top = [f64::NEG_INFINITY; LANES];
    costs.visit(i..i + 1, 0, |_, t, row| {
        for lane in 0..LANES {
            let gain = heights[t][lane] - row[lane];
            top[lane] = if gain > top[lane] { gain } else { top[lane] };
        }
    });
    let top = top.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = [0.0; LANES];
    costs.visit(i..i + 1, 0, |_, t, row| {
        let mut terms = [0.0; LANES];
        for lane in 0..LANES {
            terms[lane] = (heights[t][lane] - row[lane] - top) / epsilon;
        }
        exp(&mut terms);
        for lane in 0..LANES {
            sum[lane] += terms[lane];
        }
    });
    -(top + epsilon * sum.iter().sum::<f64>().ln())
}

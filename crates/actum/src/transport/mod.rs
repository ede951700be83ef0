//! Couplings of two clouds: [exact](exact()), [entropic](entropic()) and, on a line,
//! [monotone](line()).
//!
//! A coupling of `a = sum_i a_i delta_{x_i}` and `b = sum_j b_j delta_{y_j}` gives the mass
//! `P_ij >= 0` that goes from `x_i` to `y_j`. Its row sums are `a` and its column sums `b`, both divided
//! by their mass. Optimal transport minimises `sum_ij P_ij c(x_i, y_j)` over couplings.
//! [Unbalanced](unbalanced()) transport penalises sums that differ from a and b instead of
//! excluding them.

mod costs;
mod entropic;
mod exact;
mod line;
mod simplex;
mod sinkhorn;
mod unbalanced;

pub(crate) use crate::simd::LANES;
pub(crate) use costs::{Costs, ROWS, tiled};
/// A number for each column of a tile.
pub(crate) type Line = crate::simd::Line<f64>;
pub use entropic::{Entropic, entropic};
pub use exact::exact;
#[cfg(feature = "train")]
pub(crate) use exact::optimal;
pub use line::line;
pub(crate) use line::monotone;
pub use unbalanced::{Unbalanced, unbalanced};

use ndarray::Array1;

use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// The cost of moving a unit of mass from x to y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// `|x - y|`, the ground cost of W1.
    Euclidean,
    /// `|x - y|^2` (without a factor 1/2), the ground cost of W2.
    SquaredEuclidean,
}

/// A sparse coupling of a cloud of n points and a cloud of m points. Its entries are (i, j, mass)
/// with positive masses, whose sum is 1 unless the plan is [unbalanced](unbalanced()).
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    shape: (usize, usize),
    entries: Vec<(u32, u32, f64)>,
    cost: f64,
}

impl Plan {
    /// Sorts the entries and sums the cost in that order.
    fn new(
        shape: (usize, usize),
        mut entries: Vec<(u32, u32, f64)>,
        costs: &Costs,
    ) -> Result<Self> {
        entries.sort_unstable_by_key(|&(i, j, _)| (i, j));
        let mut plan = Self {
            shape,
            entries,
            cost: 0.0,
        };
        plan.cost = plan.iter().map(|(i, j, mass)| mass * costs.at(i, j)).sum();
        ensure!(plan.cost.is_finite(), Value, "{OVERFLOW}");
        Ok(plan)
    }

    /// The sum of mass times ground cost over the entries.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// The sum of the masses of the entries.
    pub fn mass(&self) -> f64 {
        self.iter().map(|(_, _, mass)| mass).sum()
    }

    /// The number of points of the first and of the second cloud, (n, m).
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never true: a plan has mass.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries (i, j, mass), by row and then by column.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, usize, f64)> + '_ {
        self.entries
            .iter()
            .map(|&(i, j, mass)| (i as usize, j as usize, mass))
    }

    /// The sums of the rows `[n]` and of the columns `[m]`. Unless the plan is unbalanced, they are
    /// the weights of the two clouds divided by their mass.
    pub fn marginals(&self) -> (Array1<f64>, Array1<f64>) {
        let mut rows = Array1::zeros(self.shape.0);
        let mut columns = Array1::zeros(self.shape.1);
        for (i, j, mass) in self.iter() {
            rows[i] += mass;
            columns[j] += mass;
        }
        (rows, columns)
    }
}

const OVERFLOW: &str = "the ground costs overflow; bring the coordinates to a smaller scale";

/// The weights of two sides as integers of the same sum.
pub(crate) struct Units {
    pub supply: Vec<i64>,
    pub demand: Vec<i64>,
    pub total: i64,
}

/// Equal weights are exact. Others are rounded to multiples of 2^-60 of the mass, finer than `f64`,
/// and the largest weight absorbs the rounding.
pub(crate) fn units(a: &[f64], b: &[f64]) -> Units {
    let (n, m) = (a.len(), b.len());
    let uniform = |w: &[f64]| w.iter().all(|x| *x == w[0]);
    if uniform(a) && uniform(b) {
        let (supply, demand) = (vec![m as i64; n], vec![n as i64; m]);
        return Units {
            supply,
            demand,
            total: (n * m) as i64,
        };
    }
    let total = 1i64 << 60;
    let round = |w: &[f64]| {
        let mass: f64 = w.iter().sum();
        // At least one unit, so that every point of positive weight is in the basis.
        let unit = |x: &f64| {
            (x / mass * total as f64)
                .max(if *x > 0.0 { 1.0 } else { 0.0 })
                .round() as i64
        };
        let mut units: Vec<i64> = w.iter().map(unit).collect();
        let largest = (0..w.len()).fold(0, |top, i| if w[i] > w[top] { i } else { top });
        units[largest] += total - units.iter().sum::<i64>();
        units
    };
    Units {
        supply: round(a),
        demand: round(b),
        total,
    }
}

pub(crate) fn same_dimension(a: &Cloud, b: &Cloud) -> Result<()> {
    ensure!(
        a.dimension() == b.dimension(),
        Shape,
        "the clouds must have the same number of columns, got [{}, {}] and [{}, {}]",
        a.len(),
        a.dimension(),
        b.len(),
        b.dimension()
    );
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use ndarray::Array2;

    use super::*;

    /// Two weighted clouds of waves in three dimensions that other programs can reproduce: `x_ik =
    /// sin(1.3 i + 0.7 k) + 0.1 k` with weights `1 + i mod 5` and `y_jk = 1.5 cos(0.9 j + 1.1 k) +
    /// 0.3` with weights `1 + (j mod 3) / 2`.
    pub(crate) fn waves(n: usize, m: usize) -> (Cloud, Cloud) {
        let x = Array2::from_shape_fn((n, 3), |(i, k)| {
            (1.3 * i as f64 + 0.7 * k as f64).sin() + 0.1 * k as f64
        });
        let y = Array2::from_shape_fn((m, 3), |(j, k)| {
            1.5 * (0.9 * j as f64 + 1.1 * k as f64).cos() + 0.3
        });
        let a = (0..n).map(|i| 1.0 + (i % 5) as f64).collect();
        let b = (0..m).map(|j| 1.0 + 0.5 * (j % 3) as f64).collect();
        (
            Cloud::weighted(x, a).unwrap(),
            Cloud::weighted(y, b).unwrap(),
        )
    }

    /// The points `(i, j) * step` of an n by m lattice.
    pub(crate) fn lattice(n: usize, m: usize, step: f64) -> Cloud {
        let at = |(p, k)| step * if k == 0 { p / m } else { p % m } as f64;
        Cloud::new(Array2::from_shape_fn((n * m, 2), at)).unwrap()
    }

    #[test]
    fn units_have_the_same_sum_and_are_exact_where_weights_are_equal() {
        let found = units(&[0.25; 4], &[2.0; 6]);
        assert_eq!((found.supply[0], found.demand[0], found.total), (6, 4, 24));
        let found = units(&[0.1, 0.7, 1e-9, 0.3], &[1.0 / 3.0; 3]);
        assert_eq!(found.supply.iter().sum::<i64>(), found.total);
        assert_eq!(found.demand.iter().sum::<i64>(), found.total);
        assert!(found.supply.iter().chain(&found.demand).all(|u| *u > 0));
    }
}

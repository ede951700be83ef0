use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::{
    Costs, Ground, LANES, Plan, ROWS, line, same_dimension,
    simplex::{Arc, Tree},
    tiled, units,
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// Initial arcs for every row and every column.
const CANDIDATES: usize = 10;
/// The most arcs added for a row in one round of pricing.
const VIOLATED: usize = 8;
/// Problems with both sides at most this long are solved without a coarser one.
const COARSEST: usize = 200;
/// The factor by which each side of the coarser problem is smaller.
const COARSENING: usize = 4;
/// A reduced cost above `-TOLERANCE` of the greatest cost counts as zero.
const TOLERANCE: f64 = 1e-12;
/// Pivots per point before an error; 10 to 20 is usual.
const PIVOTS: usize = 10_000;

/// The coupling of two clouds that minimises the sum of mass times ground cost, exactly.
///
/// The method is a network simplex over a growing list of arcs. The dual of a problem a quarter the
/// size selects the initial arcs and the first basis. When the list is solved, all n m arcs are
/// priced and those of negative reduced cost join the list, until there is none. The last pricing
/// proves the cost optimal to 1e-12 of the largest ground cost.
///
/// The plan has at most n + m - 1 entries. Memory is O(n + m): no matrix of costs is stored.
/// Weights are rounded to multiples of 2^-60 of the mass, or are exact where they are equal on each
/// side. Clouds of one column are [sorted](line()).
///
/// ```
/// use actum::{cloud::Cloud, transport::{Ground, exact}};
/// use ndarray::array;
///
/// let a = Cloud::new(array![[0.0, 0.0], [4.0, 0.0]])?;
/// let b = Cloud::weighted(array![[4.0, 3.0], [0.0, 0.0]], array![1.0, 3.0])?;
/// let plan = exact(&a, &b, Ground::Euclidean)?;
/// assert_eq!(plan.iter().collect::<Vec<_>>(), [(0, 1, 0.5), (1, 0, 0.25), (1, 1, 0.25)]);
/// assert_eq!(plan.cost(), 0.25 * 3.0 + 0.25 * 4.0);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// Clouds of different dimension (`Shape`); distances that overflow (`Value`); no optimum within
/// 10,000 (n + m) pivots (`Diverged`), a thousand times the usual number; a [stop](crate::stop)
/// that was asked (`Interrupted`).
pub fn exact(a: &Cloud, b: &Cloud, ground: Ground) -> Result<Plan> {
    same_dimension(a, b)?;
    if a.dimension() == 1 {
        return line(a, b, ground);
    }
    Ok(optimal(a, b, ground)?.0)
}

/// The optimal coupling of clouds of two columns or more, and its potentials: `u` `[n]` and `v`
/// `[m]` with `u_i + v_j <= c_ij`, equal where mass moves, and 0 where a point has no weight.
pub(crate) fn optimal(a: &Cloud, b: &Cloud, ground: Ground) -> Result<(Plan, [Vec<f64>; 2])> {
    let heavy = |cloud: &Cloud| -> Vec<usize> {
        (0..cloud.len())
            .filter(|&i| cloud.weights()[i] > 0.0)
            .collect()
    };
    let (rows, columns) = (heavy(a), heavy(b));
    let side = |cloud: &Cloud, kept: &[usize]| Side {
        points: cloud.points().select(Axis(0), kept),
        weights: kept.iter().map(|&i| cloud.weights()[i]).collect(),
    };
    let (tree, total) = solve(&side(a, &rows), &side(b, &columns), ground)?;
    let entries = tree
        .flows()
        .map(|(i, j, mass)| {
            (
                rows[i] as u32,
                columns[j] as u32,
                mass as f64 / total as f64,
            )
        })
        .collect();
    let (u, v) = tree.potentials();
    let spread = |kept: &[usize], of: &[f64], count: usize| {
        let mut all = vec![0.0; count];
        for (&i, value) in kept.iter().zip(of) {
            all[i] = *value;
        }
        all
    };
    let potentials = [spread(&rows, u, a.len()), spread(&columns, v, b.len())];
    let costs = Costs::new(a.points(), b.points(), ground);
    Ok((Plan::new((a.len(), b.len()), entries, &costs)?, potentials))
}

/// The points of positive weight.
struct Side {
    points: Array2<f64>,
    weights: Vec<f64>,
}

impl Side {
    fn sample(&self) -> Self {
        let n = self.weights.len();
        let count = n.min((n / COARSENING).max(COARSEST / COARSENING));
        let kept: Vec<usize> = (0..count).map(|i| i * n / count).collect();
        Self {
            points: self.points.select(Axis(0), &kept),
            weights: kept.iter().map(|&i| self.weights[i]).collect(),
        }
    }
}

/// An optimal tree and its flows in units of mass.
fn solve(a: &Side, b: &Side, ground: Ground) -> Result<(Tree, i64)> {
    let (n, m) = (a.weights.len(), b.weights.len());
    let mut v = vec![0.0; m];
    if n.max(m) > COARSEST {
        let sample = a.sample();
        let (tree, _) = solve(&sample, &b.sample(), ground)?;
        v = nearest(
            &Costs::new(&b.points, &sample.points, ground),
            tree.potentials().0,
            1,
        )?
        .0;
    }
    let costs = Costs::new(&a.points, &b.points, ground);
    let flipped = Costs::new(&b.points, &a.points, ground);
    let tolerance = TOLERANCE * costs.greatest()?;

    let (u, mut arcs) = nearest(&costs, &v, CANDIDATES)?;
    let (v, near) = nearest(&flipped, &u, CANDIDATES)?;
    arcs.extend(near.iter().map(|arc| Arc {
        row: arc.column,
        column: arc.row,
        ..*arc
    }));
    distinct(&mut arcs);
    let units = units(&a.weights, &b.weights);
    let total = units.total;
    let links = basis(a, b, ground, &arcs, (&u, &v), (units.supply, units.demand))?;
    arcs.extend(links.iter().map(|link| link.0));
    distinct(&mut arcs);

    let mut tree = Tree::new(n, m, &links);
    let mut left = PIVOTS * (n + m);
    loop {
        // Well within the tolerance of pricing, so that rounding does not price out an arc of the
        // list.
        left -= tree.optimise(&arcs, tolerance / 8.0, left, &costs.stop)?;
        ensure!(
            left > 0,
            Diverged,
            "no optimal coupling of {n} and {m} points after {} pivots; use `entropic`",
            PIVOTS * (n + m)
        );
        tree.refresh();
        let violated = price(&costs, tree.potentials(), tolerance)?;
        if violated.is_empty() {
            return Ok((tree, total));
        }
        arcs.extend(violated);
    }
}

fn distinct(arcs: &mut Vec<Arc>) {
    arcs.sort_unstable_by_key(|arc| (arc.row, arc.column));
    arcs.dedup();
}

/// The least `c_ij - v_j` of every row, and the arcs of the `count` least.
fn nearest(costs: &Costs, v: &[f64], count: usize) -> Result<(Vec<f64>, Vec<Arc>)> {
    let zeros = vec![0.0; costs.shape().0];
    let rows = least(costs, &zeros, v, f64::INFINITY, count)?;
    let least = rows.iter().map(|row| row[0].0).collect();
    Ok((least, rows.into_iter().flatten().map(|b| b.1).collect()))
}

/// The arcs with a reduced cost below `-tolerance`, the lowest few of every row.
fn price(costs: &Costs, (u, v): (&[f64], &[f64]), tolerance: f64) -> Result<Vec<Arc>> {
    let rows = least(costs, u, v, -tolerance, VIOLATED)?;
    Ok(rows.into_iter().flatten().map(|found| found.1).collect())
}

/// For every row i the `count` least `c_ij - u_i - v_j` below the bound, in order, and their arcs.
fn least(
    costs: &Costs,
    u: &[f64],
    v: &[f64],
    bound: f64,
    count: usize,
) -> Result<Vec<Vec<(f64, Arc)>>> {
    let v = tiled(v, f64::NEG_INFINITY);
    let blocks = costs.blocks().flat_map_iter(|rows| {
        let mut found = vec![Vec::with_capacity(count + 1); rows.len()];
        let mut bounds = [bound; ROWS];
        if costs.stop.is_asked() {
            return found;
        }
        costs.visit(rows.clone(), 0, |i, t, row| {
            let bound = &mut bounds[i - rows.start];
            let mut reduced = [0.0; LANES];
            let mut any = false;
            for lane in 0..LANES {
                reduced[lane] = row[lane] - u[i] - v[t][lane];
                any |= reduced[lane] < *bound;
            }
            if !any {
                return;
            }
            let found = &mut found[i - rows.start];
            for ((reduced, cost), j) in reduced.into_iter().zip(row).zip(costs.lanes(t)) {
                if reduced < *bound {
                    let arc = Arc {
                        row: i as u32,
                        column: j as u32,
                        cost: *cost,
                    };
                    let at = found.partition_point(|f: &(f64, Arc)| f.0 <= reduced);
                    found.insert(at, (reduced, arc));
                    found.truncate(count);
                    if found.len() == count {
                        *bound = found[count - 1].0;
                    }
                }
            }
        });
        found
    });
    let found = blocks.collect();
    costs.stop.check()?;
    Ok(found)
}

/// A first basis: mass is sent greedily along the arcs of least reduced cost. Every arc exhausts a
/// row or a column, so the arcs form a forest. Arcs of zero flow then connect its trees.
fn basis(
    a: &Side,
    b: &Side,
    ground: Ground,
    arcs: &[Arc],
    (u, v): (&[f64], &[f64]),
    (mut supply, mut demand): (Vec<i64>, Vec<i64>),
) -> Result<Vec<(Arc, i64)>> {
    let (n, m) = (supply.len(), demand.len());
    let ordered = |arcs: &[Arc]| {
        let mut order = arcs.to_vec();
        let reduced = |arc: &Arc| arc.cost - u[arc.row as usize] - v[arc.column as usize];
        order.sort_by(|x, y| reduced(x).total_cmp(&reduced(y)));
        order
    };
    let mut links = Vec::with_capacity(n + m - 1);
    let mut near = ordered(arcs);
    let candidates = near.clone();
    loop {
        for arc in near {
            let (i, j) = (arc.row as usize, arc.column as usize);
            let mass = supply[i].min(demand[j]);
            if mass > 0 {
                supply[i] -= mass;
                demand[j] -= mass;
                links.push((arc, mass));
            }
        }
        let open =
            |mass: &[i64]| -> Vec<usize> { (0..mass.len()).filter(|&i| mass[i] > 0).collect() };
        let (rows, columns) = (open(&supply), open(&demand));
        if rows.is_empty() {
            break;
        }
        let (x, y) = (
            a.points.select(Axis(0), &rows),
            b.points.select(Axis(0), &columns),
        );
        let offset: Vec<f64> = columns.iter().map(|&j| v[j]).collect();
        let mut found = nearest(&Costs::new(&x, &y, ground), &offset, CANDIDATES)?.1;
        for arc in &mut found {
            arc.row = rows[arc.row as usize] as u32;
            arc.column = columns[arc.column as usize] as u32;
        }
        near = ordered(&found);
    }

    let mut forest = Sets::new(n + m);
    for (arc, _) in &links {
        forest.union(arc.row as usize, n + arc.column as usize);
    }
    let part: Vec<usize> = (0..n + m).map(|x| forest.find(x)).collect();
    let mut hung = vec![false; n + m];
    hung[part[n]] = true;
    // A part without a candidate above its tree can always be connected to column 0.
    let costs = Costs::new(&a.points, &b.points, ground);
    let last = (0..n).map(|i| Arc {
        row: i as u32,
        column: 0,
        cost: costs.at(i, 0),
    });
    for arc in candidates.into_iter().chain(last) {
        let (i, j) = (arc.row as usize, n + arc.column as usize);
        if !hung[part[i]] && forest.find(i) != forest.find(j) {
            hung[part[i]] = true;
            forest.union(i, j);
            links.push((arc, 0));
        }
    }
    Ok(links)
}

/// Disjoint sets with path halving.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn find(&mut self, mut x: usize) -> usize {
        while self.0[x] != x {
            self.0[x] = self.0[self.0[x]];
            x = self.0[x];
        }
        x
    }

    fn union(&mut self, x: usize, y: usize) {
        let (x, y) = (self.find(x), self.find(y));
        self.0[x] = y;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array, concatenate};

    use super::*;
    use crate::{
        error::ErrorKind,
        transport::tests::{lattice, waves},
    };

    const GROUNDS: [Ground; 2] = [Ground::Euclidean, Ground::SquaredEuclidean];

    /// The cost, after a check of the marginals.
    fn cost(a: &Cloud, b: &Cloud, ground: Ground) -> f64 {
        let plan = exact(a, b, ground).unwrap();
        assert_eq!(plan.shape(), (a.len(), b.len()));
        assert!(plan.len() < a.len() + b.len());
        let (rows, columns) = plan.marginals();
        let off = |got: Array1<f64>, cloud: &Cloud| {
            (got - cloud.weights() / cloud.mass()).mapv(f64::abs).sum()
        };
        assert!(off(rows, a) < 1e-13 && off(columns, b) < 1e-13);
        plan.cost()
    }

    fn close(got: f64, want: f64) {
        assert!((got / want - 1.0).abs() < 1e-10, "{got} {want}");
    }

    #[test]
    fn a_coarse_problem_and_greedy_start_change_nothing() {
        // With every point three times at a third of its weight, the solver goes through coarser
        // problems; the cost is that of the small problem.
        let (a, b) = waves(60, 90);
        let thrice = |cloud: &Cloud| {
            let (x, w) = (cloud.points().view(), cloud.weights().view());
            let points = concatenate![Axis(0), x, x, x];
            Cloud::weighted(points, concatenate![Axis(0), w, w, w] / 3.0).unwrap()
        };
        for ground in GROUNDS {
            close(cost(&thrice(&a), &thrice(&b), ground), cost(&a, &b, ground));
        }
    }

    #[test]
    fn equal_to_sorting_where_points_lie_on_a_line() {
        let (a, b) = waves(500, 333);
        let column = |cloud: &Cloud| {
            Cloud::weighted(
                cloud.points().select(Axis(1), &[0]),
                cloud.weights().clone(),
            )
            .unwrap()
        };
        // Along the direction (3, 4) distances are 5 times those of the line.
        let in_plane = |cloud: &Cloud| {
            let x = cloud.points().select(Axis(1), &[0]);
            Cloud::weighted(x.dot(&array![[3.0, 4.0]]), cloud.weights().clone()).unwrap()
        };
        for (ground, factor) in GROUNDS.into_iter().zip([5.0, 25.0]) {
            let sorted = line(&column(&a), &column(&b), ground).unwrap().cost();
            close(cost(&in_plane(&a), &in_plane(&b), ground), factor * sorted);
        }
    }

    #[test]
    fn identical_clouds_and_ties_end_at_zero() {
        let square = lattice(20, 20, 1.0);
        let order: Vec<usize> = (0..400).map(|i| i * 171 % 400).collect();
        for ground in GROUNDS {
            assert_eq!(cost(&square, &square.select(&order).unwrap(), ground), 0.0);
            let same = Cloud::new(Array2::from_elem((300, 2), 7.0)).unwrap();
            assert_eq!(cost(&same, &same.select(&[0, 1, 2]).unwrap(), ground), 0.0);
        }
    }

    #[test]
    fn a_lattice_moved_by_one_step_of_itself() {
        // Under |x - y| the many ways of moving 24 columns of points 5 steps to the right have
        // equal cost.
        let a = lattice(24, 24, 1.0);
        let b = Cloud::new(a.points() + &array![5.0, 0.0]).unwrap();
        close(cost(&a, &b, Ground::Euclidean), 5.0);
        close(cost(&a, &b, Ground::SquaredEuclidean), 25.0);
    }

    #[test]
    fn far_from_the_origin() {
        let (a, b) = waves(300, 200);
        let far =
            |cloud: &Cloud| Cloud::weighted(cloud.points() + 1e6, cloud.weights().clone()).unwrap();
        for ground in GROUNDS {
            let near = cost(&a, &b, ground);
            assert!((cost(&far(&a), &far(&b), ground) / near - 1.0).abs() < 1e-8);
        }
    }

    #[test]
    fn one_point_many_points_and_points_of_no_weight() {
        let one = Cloud::new(array![[1.0, 2.0]]).unwrap();
        let many = lattice(40, 25, 0.5);
        let mean = many
            .points()
            .outer_iter()
            .map(|x| (x[0] - 1.0).hypot(x[1] - 2.0))
            .sum::<f64>()
            / 1e3;
        close(cost(&one, &many, Ground::Euclidean), mean);
        close(cost(&many, &one, Ground::Euclidean), mean);

        let a = Cloud::weighted(
            array![[0.0, 0.0], [100.0, 0.0], [1.0, 0.0]],
            array![2.0, 0.0, 2.0],
        )
        .unwrap();
        let b = Cloud::weighted(array![[0.0, 1.0], [9.0, 9.0]], array![5.0, 0.0]).unwrap();
        let plan = exact(&a, &b, Ground::SquaredEuclidean).unwrap();
        assert_eq!(plan.iter().collect::<Vec<_>>(), [(0, 0, 0.5), (2, 0, 0.5)]);
        assert_eq!(plan.cost(), 1.5);
    }

    #[test]
    fn weights_of_very_different_sizes() {
        let (a, b) = waves(250, 250);
        let uneven = |cloud: &Cloud| {
            let weights = (0..cloud.len())
                .map(|i| (-0.3 * (i * 37 % 250) as f64).exp())
                .collect();
            Cloud::weighted(cloud.points().clone(), weights).unwrap()
        };
        let (a, b) = (uneven(&a), uneven(&b));
        for ground in GROUNDS {
            close(cost(&a, &b, ground), cost(&b, &a, ground));
        }
    }

    #[test]
    fn bad_input_is_named() {
        let a = Cloud::new(array![[0.0, 1.0]]).unwrap();
        let b = Cloud::new(array![[0.0, 1.0, 2.0]]).unwrap();
        let error = exact(&a, &b, Ground::Euclidean).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("[1, 2] and [1, 3]"), "{error}");
        let huge = Cloud::new(array![[1e200, 1.0]]).unwrap();
        assert_eq!(
            exact(&a, &huge, Ground::Euclidean).unwrap_err().kind(),
            ErrorKind::Value
        );
    }
}

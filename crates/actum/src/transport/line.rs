use super::{Costs, Ground, Plan, same_dimension, units};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// The optimal coupling of two clouds of one column: the monotone one, by sorting in O((n + m)
/// log(n + m)).
///
/// It is optimal for every convex cost of x - y (Santambrogio, *Optimal Transport for Applied
/// Mathematicians*, 2015, theorem 2.9). [`Plan::cost`] is W1 for [`Ground::Euclidean`] and the
/// square of W2 for [`Ground::SquaredEuclidean`].
///
/// # Errors
/// Clouds of more than one column; distances that overflow.
pub fn line(a: &Cloud, b: &Cloud, ground: Ground) -> Result<Plan> {
    same_dimension(a, b)?;
    ensure!(
        a.dimension() == 1,
        Shape,
        "transport on a line needs clouds of 1 column, got {}; use `exact`",
        a.dimension()
    );
    let column = |cloud: &Cloud| cloud.points().column(0).to_vec();
    let supply: Vec<f64> = a.weights().to_vec();
    let demand: Vec<f64> = b.weights().to_vec();
    let units = units(&supply, &demand);
    let total = units.total as f64;
    let mut entries = Vec::with_capacity(a.len() + b.len());
    let ordered = |values: &[f64], masses: &[i64]| -> Vec<(usize, i64)> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        order.into_iter().map(|i| (i, masses[i])).collect()
    };
    monotone(
        &ordered(&column(a), &units.supply),
        &ordered(&column(b), &units.demand),
        |i, j, mass| entries.push((i as u32, j as u32, mass as f64 / total)),
    );
    let costs = Costs::new(a.points(), b.points(), ground);
    Plan::new((a.len(), b.len()), entries, &costs)
}

/// Calls `visit(x, y, mass)` for the entries of the monotone coupling. Each side is a sorted list
/// of places with masses in units; both sides have the same total.
pub(crate) fn monotone<T: Copy>(
    rows: &[(T, i64)],
    columns: &[(T, i64)],
    mut visit: impl FnMut(T, T, i64),
) {
    let mut columns = columns.iter().copied();
    let Some((mut y, mut wanted)) = columns.next() else {
        return;
    };
    for &(x, supply) in rows {
        let mut left = supply;
        while left > 0 {
            while wanted == 0 {
                let Some(next) = columns.next() else { return };
                (y, wanted) = next;
            }
            let mass = left.min(wanted);
            visit(x, y, mass);
            left -= mass;
            wanted -= mass;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::error::ErrorKind;

    fn cloud(points: &[f64], weights: &[f64]) -> Cloud {
        let points = Array2::from_shape_vec((points.len(), 1), points.to_vec()).unwrap();
        Cloud::weighted(points, weights.iter().copied().collect()).unwrap()
    }

    #[test]
    fn the_plan_of_a_worked_example() {
        // Quantile functions: a is 0 up to 3/4 and then 8; b is -1 up to 1/2, then 2, then 10
        // from 5/6 on.
        let a = cloud(&[8.0, 0.0], &[1.0, 3.0]);
        let b = cloud(&[2.0, 10.0, -1.0], &[2.0, 1.0, 3.0]);
        let plan = line(&a, &b, Ground::Euclidean).unwrap();
        let expected = [
            (0, 0, 1.0 / 12.0),
            (0, 1, 1.0 / 6.0),
            (1, 0, 0.25),
            (1, 2, 0.5),
        ];
        assert_eq!(plan.len(), 4);
        for (got, want) in plan.iter().zip(expected) {
            assert_eq!((got.0, got.1), (want.0, want.1));
            assert!((got.2 - want.2).abs() < 1e-15, "{got:?} {want:?}");
        }
        assert!((plan.cost() - (0.5 + 0.5 + 0.5 + 1.0 / 3.0)).abs() < 1e-14);
        let square = line(&a, &b, Ground::SquaredEuclidean).unwrap().cost();
        assert!(
            (square - (3.0 + 4.0 / 6.0 + 1.0 + 0.5)).abs() < 1e-14,
            "{square}"
        );
    }

    #[test]
    fn a_quantile_located_gaussian_is_moved_and_stretched() {
        // Between a and s a + m the cost is the mean of ((s - 1) a + m)^2.
        let n = 501;
        let grid: Vec<f64> = (0..n)
            .map(|i| ((i as f64 + 0.5) / n as f64 * 3.0 - 1.5).tan())
            .collect();
        let moved: Vec<f64> = grid.iter().rev().map(|x| 2.0 * x + 3.0).collect();
        let ones = vec![1.0; n];
        let cost = line(
            &cloud(&grid, &ones),
            &cloud(&moved, &ones),
            Ground::SquaredEuclidean,
        )
        .unwrap()
        .cost();
        let expected = grid.iter().map(|x| (x + 3.0) * (x + 3.0)).sum::<f64>() / n as f64;
        assert!((cost / expected - 1.0).abs() < 1e-12);
    }

    #[test]
    fn only_one_column() {
        let flat = Cloud::new(array![[0.0, 1.0]]).unwrap();
        assert_eq!(
            line(&flat, &flat, Ground::Euclidean).unwrap_err().kind(),
            ErrorKind::Shape
        );
    }
}

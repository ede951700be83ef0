//! Nearest neighbours, by comparing all with all: trees gain nothing in tens of columns.

use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

/// How many points are compared at once: the product of so many rows is where the time goes, and the
/// squares of so many fit in the cache beside it.
const SOME: usize = 128;

/// Points that neighbours are looked for among.
pub(crate) struct Neighbours {
    points: Array2<f64>,
    /// Half of their squared lengths.
    halves: Array1<f64>,
}

impl Neighbours {
    /// Of points `[m, d]`.
    pub(crate) fn new(points: Array2<f64>) -> Self {
        Self {
            halves: points.outer_iter().map(|row| 0.5 * row.dot(&row)).collect(),
            points,
        }
    }

    /// For each of the points `[n, d]` its `count` nearest, or all of fewer, in their order.
    pub(crate) fn nearest(&self, points: &Array2<f64>, count: usize) -> Vec<Vec<usize>> {
        let some: Vec<_> = points.axis_chunks_iter(Axis(0), SOME).collect();
        let each = some.into_par_iter().map(|some| {
            // |x - y|^2 / 2 without |x|^2, which is the same for all y.
            let apart = &self.halves - &some.dot(&self.points.t());
            let rows = apart.outer_iter();
            let rows = rows.map(|row| {
                let mut order: Vec<(f64, usize)> = row.iter().copied().zip(0..).collect();
                let by_distance =
                    |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
                if count < order.len() {
                    order.select_nth_unstable_by(count - 1, by_distance);
                    order.truncate(count);
                }
                let mut nearest: Vec<usize> = order.into_iter().map(|(_, cell)| cell).collect();
                nearest.sort_unstable();
                nearest
            });
            rows.collect::<Vec<_>>()
        });
        each.collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_nearest_are_found() {
        let line = Neighbours::new(array![[0.0], [1.0], [2.0], [4.0], [2.0]]);
        let points = array![[1.9], [10.0], [-1.0]];
        assert_eq!(line.nearest(&points, 2), [[2, 4], [2, 3], [0, 1]]);
        assert_eq!(line.nearest(&points, 9)[0], [0, 1, 2, 3, 4]);
        // Of points as near the first is taken.
        assert_eq!(line.nearest(&array![[2.0]], 1), [[2]]);
    }
}

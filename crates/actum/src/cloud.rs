//! Weighted points: `sum_i w_i delta_{x_i}`.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use crate::error::{Result, ensure};

/// A weighted sample of a population: points `[n, d]` and weights `[n]`.
///
/// Invariants: `n >= 1`, `d >= 1`, all numbers finite, weights non-negative and not all zero.
/// The sum of the weights is the [mass](Cloud::mass); metrics and transport use the weights
/// divided by it.
///
/// ```
/// use actum::cloud::Cloud;
/// use ndarray::array;
///
/// let cloud = Cloud::new(array![[0.0, 1.0], [2.0, 5.0]])?;
/// assert_eq!((cloud.len(), cloud.dimension(), cloud.mass()), (2, 2, 1.0));
/// assert_eq!(cloud.mean().to_vec(), [1.0, 3.0]);
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cloud {
    points: Array2<f64>,
    weights: Array1<f64>,
}

impl Cloud {
    /// Points `[n, d]` of equal weight `1/n`.
    ///
    /// # Errors
    /// No points, no columns, or a number that is not finite.
    pub fn new(points: Array2<f64>) -> Result<Self> {
        let n = points.nrows().max(1);
        Self::weighted(points, Array1::from_elem(n, 1.0 / n as f64))
    }

    /// Points `[n, d]` with weights `[n]`.
    ///
    /// # Errors
    /// As [`Cloud::new`], and weights of another length, negative, or all zero.
    pub fn weighted(points: Array2<f64>, weights: Array1<f64>) -> Result<Self> {
        let (n, d) = points.dim();
        ensure!(
            n > 0 && d > 0,
            Shape,
            "a cloud needs at least one point and one column, got [{n}, {d}]"
        );
        ensure!(
            weights.len() == n,
            Shape,
            "expected one weight for each of {n} points, got {}",
            weights.len()
        );
        if let Some((i, j)) = first_not_finite(&points) {
            let count = points.iter().filter(|v| !v.is_finite()).count();
            ensure!(
                false,
                Value,
                "{count} of {} numbers are not finite, the first at row {i}, column {j}; \
                 remove or impute those rows",
                n * d
            );
        }
        if let Some(i) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            ensure!(
                false,
                Value,
                "weights must be finite and non-negative, weight {i} is {}",
                weights[i]
            );
        }
        ensure!(weights.sum() > 0.0, Value, "all {n} weights are zero");
        // Row-major order is what every pass over rows relies on.
        let points = if points.is_standard_layout() {
            points
        } else {
            points.as_standard_layout().into_owned()
        };
        Ok(Self { points, weights })
    }

    /// The points, `[n, d]`, in row-major order.
    pub fn points(&self) -> &Array2<f64> {
        &self.points
    }

    /// The weights, `[n]`.
    pub fn weights(&self) -> &Array1<f64> {
        &self.weights
    }

    /// Row `i`, `[d]`.
    pub fn point(&self, i: usize) -> ArrayView1<'_, f64> {
        self.points.row(i)
    }

    /// The number of points, n.
    pub fn len(&self) -> usize {
        self.points.nrows()
    }

    /// Never true: a cloud has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The number of columns, d.
    pub fn dimension(&self) -> usize {
        self.points.ncols()
    }

    /// The sum of the weights.
    pub fn mass(&self) -> f64 {
        self.weights.sum()
    }

    /// Whether all weights are equal.
    pub fn is_uniform(&self) -> bool {
        self.weights.iter().all(|w| *w == self.weights[0])
    }

    /// The weighted mean of every column, `[d]`.
    pub fn mean(&self) -> Array1<f64> {
        self.weights.dot(&self.points) / self.mass()
    }

    /// The weighted standard deviation of every column (divided by the mass, not by n - 1), `[d]`.
    pub fn deviation(&self) -> Array1<f64> {
        let mean = self.mean();
        let mut square = Array1::<f64>::zeros(self.dimension());
        for (row, w) in self.points.outer_iter().zip(&self.weights) {
            for ((s, x), m) in square.iter_mut().zip(row).zip(&mean) {
                *s += w * (x - m) * (x - m);
            }
        }
        (square / self.mass()).mapv(f64::sqrt)
    }

    /// The cloud of the rows `indices`, with their weights; an index may repeat.
    ///
    /// # Errors
    /// An empty selection, or one whose weights are all zero.
    ///
    /// # Panics
    /// If an index is not below n.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        Self::weighted(
            self.points.select(Axis(0), indices),
            self.weights.select(Axis(0), indices),
        )
    }

    /// The cloud moved to other coordinates `(x - center) / scale`, column by column.
    ///
    /// # Panics
    /// If `center` or `scale` is not of length d.
    pub fn rescaled(&self, center: &Array1<f64>, scale: &Array1<f64>) -> Self {
        Self {
            points: (&self.points - center) / scale,
            weights: self.weights.clone(),
        }
    }
}

fn first_not_finite(points: &Array2<f64>) -> Option<(usize, usize)> {
    points
        .indexed_iter()
        .find(|(_, v)| !v.is_finite())
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn moments_use_the_weights() {
        let cloud = Cloud::weighted(array![[0.0], [4.0]], array![3.0, 1.0]).unwrap();
        assert_eq!(cloud.mean()[0], 1.0);
        assert_eq!(cloud.deviation()[0], 3f64.sqrt());
        assert_eq!(cloud.mass(), 4.0);
        assert!(!cloud.is_uniform());
    }

    #[test]
    fn bad_numbers_are_counted_and_placed() {
        let error = Cloud::new(array![[0.0, 1.0], [2.0, f64::NAN]]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains("1 of 4"), "{error}");
        assert!(error.to_string().contains("row 1, column 1"), "{error}");
    }

    #[test]
    fn bad_shapes_and_weights_are_refused() {
        let kind = |c: Result<Cloud>| c.unwrap_err().kind();
        assert_eq!(kind(Cloud::new(Array2::zeros((0, 2)))), ErrorKind::Shape);
        assert_eq!(kind(Cloud::new(Array2::zeros((2, 0)))), ErrorKind::Shape);
        let two = || Array2::zeros((2, 1));
        assert_eq!(kind(Cloud::weighted(two(), array![1.0])), ErrorKind::Shape);
        assert_eq!(
            kind(Cloud::weighted(two(), array![1.0, -1.0])),
            ErrorKind::Value
        );
        assert_eq!(
            kind(Cloud::weighted(two(), array![0.0, 0.0])),
            ErrorKind::Value
        );
    }

    #[test]
    fn points_are_row_major_whatever_was_given() {
        let cloud = Cloud::new(array![[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]].reversed_axes()).unwrap();
        assert_eq!(
            cloud.points().as_slice().unwrap(),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
    }
}

//! Weighted points: `sum_i w_i delta_{x_i}`.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::{Rng, RngExt};

use crate::error::{Result, ensure};

/// A weighted sample of a population: points `[n, d]` and weights `[n]`.
///
/// Invariants: `n >= 1`, `d >= 1`, all numbers finite, weights non-negative and not all zero.
/// The sum of the weights is the [mass](Cloud::mass); metrics and transport use the weights
/// divided by it. Clones share their numbers, so a clone costs nothing.
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
    points: Arc<Array2<f64>>,
    weights: Arc<Array1<f64>>,
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
        // Row-major order is what every pass over rows relies on.
        let points = if points.is_standard_layout() {
            points
        } else {
            points.as_standard_layout().into_owned()
        };
        Self::shared(Arc::new(points), weights)
    }

    /// Points that are checked, with as many weights.
    fn shared(points: Arc<Array2<f64>>, weights: Array1<f64>) -> Result<Self> {
        let mut each = weights.iter().enumerate();
        each.try_for_each(|(i, weight)| check_weight(i, *weight))?;
        ensure!(
            weights.sum() > 0.0,
            Value,
            "all {} weights are zero",
            weights.len()
        );
        ensure!(
            weights.sum().is_finite(),
            Value,
            "the sum of the {} weights is not finite, the greatest is {:e}; divide them by it",
            weights.len(),
            weights.iter().copied().fold(0.0, f64::max)
        );
        let weights = Arc::new(weights);
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
        self.weights.dot(&*self.points) / self.mass()
    }

    /// The weighted standard deviation of every column (divided by the mass, not by n - 1), `[d]`.
    pub fn std_dev(&self) -> Array1<f64> {
        let mean = self.mean();
        let mut square = Array1::<f64>::zeros(self.dimension());
        for (row, w) in self.points.outer_iter().zip(self.weights.iter()) {
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

    /// The number of points of equal weight whose mean has the same variance, `(sum w)^2 / sum
    /// w^2`, in [1, n]. It is n if all weights are equal and 1 if a single one is not zero (Kish
    /// 1965, Survey Sampling).
    pub fn effective_sample_size(&self) -> f64 {
        let weights = self.relative_weights();
        let sum = weights.sum();
        // Rounding could leave the range.
        (sum * sum / weights.dot(&weights)).clamp(1.0, self.len() as f64)
    }

    /// The same points with proportional weights of total `mass`.
    ///
    /// # Errors
    /// `mass` is not finite or not above 0, or so small that the weights become 0.
    pub fn with_mass(&self, mass: f64) -> Result<Self> {
        ensure!(
            mass.is_finite() && mass > 0.0,
            Value,
            "expected a finite mass above 0, got {mass}"
        );
        let weights = self.relative_weights();
        let sum = weights.sum();
        Self::shared(self.points.clone(), weights.mapv(|w| mass * w / sum))
    }

    /// A cloud of `count` points of equal weight and the same mass, drawn by systematic resampling
    /// (Kitagawa 1996, Monte Carlo Filter and Smoother). With one uniform number u in [0, 1), it
    /// takes for each of j = 0, ..., `count` - 1 the point at which the weights, summed in order,
    /// pass (j + u) mass / `count`.
    ///
    /// Point i appears `count` w_i / mass times on average, and always that number rounded down or
    /// up. The points keep their order.
    ///
    /// # Errors
    /// `count` is 0.
    pub fn resample(&self, count: usize, rng: &mut impl Rng) -> Result<Self> {
        ensure!(
            count > 0,
            Value,
            "expected at least one point to draw, got 0"
        );
        let weights = self.relative_weights();
        // The sum in the order of the loop, so that its rounding is that of `passed`.
        let sum: f64 = weights.iter().fold(0.0, |sum, w| sum + w);
        let start: f64 = rng.random();
        let mut passed = weights[0];
        let mut i = 0;
        let chosen: Vec<usize> = (0..count)
            .map(|j| {
                let mark = ((j as f64 + start) * sum / count as f64).min(sum.next_down());
                while passed <= mark {
                    i += 1;
                    passed += weights[i];
                }
                i
            })
            .collect();
        let weights = Array1::from_elem(count, self.mass() / count as f64);
        Self::weighted(self.points.select(Axis(0), &chosen), weights)
    }

    /// The weights over the greatest of them. Equal weights are then exactly 1, and no sum
    /// overflows.
    fn relative_weights(&self) -> Array1<f64> {
        let greatest = self.weights.iter().copied().fold(0.0, f64::max);
        &*self.weights / greatest
    }

    /// The cloud in the coordinates `(x - center) / scale`, column by column.
    ///
    /// # Panics
    /// If `center` or `scale` is not of length d.
    pub fn rescaled(&self, center: &Array1<f64>, scale: &Array1<f64>) -> Self {
        Self {
            points: Arc::new((&*self.points - center) / scale),
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

/// Checks that a number can be the weight of point `i`.
pub(crate) fn check_weight(i: usize, weight: f64) -> Result<()> {
    ensure!(
        weight.is_finite() && weight >= 0.0,
        Value,
        "weights must be finite and non-negative, weight {i} is {weight}"
    );
    Ok(())
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
        assert_eq!(cloud.std_dev()[0], 3f64.sqrt());
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
    fn the_effective_size_is_between_one_and_all() {
        let of = |weights: Vec<f64>| {
            let points = Array2::zeros((weights.len(), 1));
            let cloud = Cloud::weighted(points, Array1::from_vec(weights));
            cloud.unwrap().effective_sample_size()
        };
        // By hand: 10^2 / (1 + 4 + 9 + 16).
        assert!((of(vec![1.0, 2.0, 3.0, 4.0]) - 100.0 / 30.0).abs() < 1e-15);
        assert_eq!(of(vec![0.0, 0.3, 0.0]), 1.0);
        assert_eq!(of(vec![0.1; 7]), 7.0);
        assert_eq!(of(vec![1e300; 3]), 3.0);
        assert_eq!(of(vec![1e-300, 1e-300]), 2.0);
    }

    #[test]
    fn a_mass_can_be_given() {
        let uneven = Cloud::weighted(array![[0.0], [4.0], [5.0]], array![4.0, 1.0, 3.0]).unwrap();
        let heavy = uneven.with_mass(200.0).unwrap();
        assert_eq!(heavy.weights(), array![100.0, 25.0, 75.0]);
        assert_eq!(heavy.points(), uneven.points());
        let even = Cloud::new(Array2::zeros((49, 1))).unwrap();
        assert_eq!(
            even.with_mass(49.0).unwrap().weights(),
            Array1::<f64>::ones(49)
        );
        assert_eq!(even.with_mass(49.0).unwrap().with_mass(1.0).unwrap(), even);
        for mass in [0.0, -1.0, f64::NAN, f64::INFINITY, 5e-324] {
            assert_eq!(
                even.with_mass(mass).unwrap_err().kind(),
                ErrorKind::Value,
                "{mass}"
            );
        }
    }

    #[test]
    fn resampling_repeats_points_by_their_weight() {
        use rand::SeedableRng;
        use rand_chacha::ChaCha8Rng;

        // Sums of these are exact, and so is the number of marks they pass.
        let weights = [0.0, 5.0, 0.25, 0.0, 1.0, 0.5, 8.0, 1.25, 0.0];
        let points = Array2::from_shape_fn((9, 2), |(i, j)| (10 * j + i) as f64);
        let cloud = Cloud::weighted(points, Array1::from(weights.to_vec())).unwrap();
        for count in [1, 3, 16, 64, 1000] {
            let mut total = [0.0; 9];
            let draws = 400;
            for seed in 0..draws {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let drawn = cloud.resample(count, &mut rng).unwrap();
                assert_eq!(drawn.len(), count);
                assert!(drawn.is_uniform());
                assert!((drawn.mass() - 16.0).abs() < 1e-12);
                let u: f64 = ChaCha8Rng::seed_from_u64(seed).random();
                let mut before = 0.0;
                for (i, w) in weights.iter().enumerate() {
                    let copies = drawn.points().outer_iter().filter(|p| *p == cloud.point(i));
                    let copies = copies.count() as f64;
                    let expected = count as f64 * w / 16.0;
                    assert!(copies == expected.floor() || copies == expected.ceil());
                    let after = before + expected;
                    assert_eq!(copies, (after - u).ceil() - (before - u).ceil());
                    before = after;
                    total[i] += copies;
                }
                let order: Vec<f64> = drawn.points().column(0).to_vec();
                assert!(order.is_sorted());
            }
            // The variance of floor or ceil is at most 1/4.
            for (total, w) in total.iter().zip(weights) {
                let mean = total / draws as f64;
                assert!((mean - count as f64 * w / 16.0).abs() < 5.0 * 0.5 / (draws as f64).sqrt());
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let error = cloud.resample(0, &mut rng).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
    }

    #[test]
    fn resampling_equal_weights_gives_every_point_once() {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for n in [1, 3, 49, 1000, 12_345] {
            let points = Array2::from_shape_fn((n, 1), |(i, _)| i as f64);
            let cloud = Cloud::new(points.clone()).unwrap();
            assert_eq!(cloud.resample(n, &mut rng).unwrap().points(), points);
            let twice = cloud.resample(2 * n, &mut rng).unwrap();
            assert!((0..2 * n).all(|j| twice.points()[[j, 0]] == (j / 2) as f64));
        }
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

//! The projection from d columns to the two of a picture.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::axis;
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// The projection of points of d columns: themselves for d = 2, the first two principal axes of the
/// observed clouds for d > 2. For d = 1 the column is drawn against time. Columns that have one
/// value at all observed points are not drawn, unless all are such.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    dimension: usize,
    /// The columns that are drawn.
    kept: Vec<usize>,
    names: [String; 2],
    principal: Option<Principal>,
    time: String,
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Principal {
    /// Of the columns after dividing by `scale`, [d].
    center: Array1<f64>,
    scale: Array1<f64>,
    /// [2, d], rows orthonormal.
    axes: Array2<f64>,
    shares: [f64; 2],
}

impl Projection {
    /// The projection for `clouds` whose d columns have the names `columns`.
    ///
    /// The principal axes are those of the sum of the clouds as measures, so that a cloud is
    /// weighted by its [mass](Cloud::mass). The largest coefficient of an axis is positive.
    ///
    /// # Errors
    /// No clouds, clouds of different dimension, or not one name for every column.
    pub fn fit(clouds: &[&Cloud], columns: &[String]) -> Result<Self> {
        Self::scaled(clouds, columns, &Array1::ones(columns.len()))
    }

    /// As [`fit`](Self::fit), with the principal axes after dividing every column by its `scale`,
    /// `[d]`, as distances are measured where columns are standardised.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and scales that are not d positive numbers.
    pub fn scaled(clouds: &[&Cloud], columns: &[String], scale: &Array1<f64>) -> Result<Self> {
        ensure!(
            !clouds.is_empty(),
            Value,
            "a projection needs at least one cloud, got none"
        );
        let d = clouds[0].dimension();
        for (i, cloud) in clouds.iter().enumerate() {
            ensure!(
                cloud.dimension() == d,
                Shape,
                "cloud 0 has {d} columns, cloud {i} has {}; all must have the same columns",
                cloud.dimension()
            );
            super::check("coordinate", cloud.points().iter().copied())?;
        }
        ensure!(
            columns.len() == d,
            Shape,
            "expected a name for each of {d} columns, got {}: {}",
            columns.len(),
            columns.join(", ")
        );
        ensure!(
            scale.len() == d && scale.iter().all(|s| s.is_finite() && *s > 0.0),
            Value,
            "expected a positive scale for each of {d} columns, got {scale}"
        );
        let varies = |j: &usize| {
            let all = || clouds.iter().flat_map(|c| c.points().column(*j));
            let low = all().fold(f64::INFINITY, |low, x| low.min(*x));
            !axis::flat(low, all().fold(f64::NEG_INFINITY, |high, x| high.max(*x)))
        };
        let mut kept: Vec<usize> = (0..d).filter(varies).collect();
        if kept.is_empty() {
            kept = (0..d).collect();
        }
        let named = |of: &[usize]| -> Vec<&str> { of.iter().map(|j| &*columns[*j]).collect() };
        let gone: Vec<usize> = (0..d).filter(|j| !kept.contains(j)).collect();
        let mut notes = vec![];
        let (names, principal) = match named(&kept)[..] {
            [x] => (["time".to_owned(), x.to_owned()], None),
            [x, y] => ([x.to_owned(), y.to_owned()], None),
            _ => {
                let scale = scale.select(Axis(0), &kept);
                let is_scaled = scale.iter().any(|s| *s != 1.0);
                let principal = Principal::fit(clouds, &kept, scale);
                notes.push(format!(
                    "Axes: the first two principal axes of the drawn points{}.",
                    if is_scaled {
                        ", after dividing every column by its standard deviation as distances are"
                    } else {
                        ""
                    }
                ));
                let is_axis = |name: &String| name.to_lowercase().contains("axis");
                let word = match columns.iter().any(is_axis) {
                    true => "projection",
                    false => "axis",
                };
                let names = [0, 1].map(|i| {
                    let share = 100.0 * principal.shares[i];
                    let axis = principal.axes.row(i);
                    let mostly = (0..kept.len()).find(|j| axis[*j] * axis[*j] > 0.5);
                    let mostly = mostly.map(|j| format!(", mostly {}", columns[kept[j]]));
                    let mostly = mostly.unwrap_or_default();
                    format!("{word} {} ({share:.0} %{mostly})", i + 1)
                });
                (names, Some(principal))
            }
        };
        if !gone.is_empty() {
            let names = named(&gone);
            notes.push(match names[..] {
                [name] => format!("{name} has one value and is not drawn."),
                [.., last] => {
                    let count = names.len();
                    match count {
                        2..6 => {
                            let first = names[..count - 1].join(", ");
                            format!("{first} and {last} have one value each and are not drawn.")
                        }
                        _ => format!("{count} columns have one value each and are not drawn."),
                    }
                }
                [] => String::new(),
            });
        }
        Ok(Self {
            dimension: d,
            kept,
            names,
            principal,
            time: "time".to_owned(),
            note: (!notes.is_empty()).then(|| notes.join(" ")),
        })
    }

    /// The same projection for pictures whose axis of time is called `name`, such as `time, days`.
    pub fn over(mut self, name: impl Into<String>) -> Self {
        self.time = name.into();
        if self.against_time() {
            self.names[0].clone_from(&self.time);
        }
        self
    }

    /// The number of columns, d.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The names of the horizontal and the vertical axis: columns, the time and the column where one
    /// is drawn, or `axis 1 (62 %, mostly gata)` with the share of the variance and the column that
    /// has more than half of the axis.
    pub fn names(&self) -> &[String; 2] {
        &self.names
    }

    /// What the axis of time is called.
    pub(super) fn time(&self) -> &str {
        &self.time
    }

    /// The sentence of a caption on the axes, if there is something to say.
    pub(crate) fn note(&self) -> Option<String> {
        self.note.clone()
    }

    /// The rows are the principal axes in the columns that are drawn, `[2, d]`, orthonormal; none
    /// for two or fewer.
    pub fn axes(&self) -> Option<&Array2<f64>> {
        self.principal.as_ref().map(|p| &p.axes)
    }

    /// Projected points: `[n, d]` to `[n, 2]`, or to `[n, 1]` where one column is drawn.
    ///
    /// # Errors
    /// Not d columns.
    pub fn points(&self, points: &Array2<f64>) -> Result<Array2<f64>> {
        self.expect("points", points)?;
        let points = points.select(Axis(1), &self.kept);
        Ok(match &self.principal {
            Some(p) => (points / &p.scale - &p.center).dot(&p.axes.t()),
            None => points,
        })
    }

    /// Projected velocities: `[n, d]` to `[n, 2]`, or to `[n, 1]` where one column is drawn.
    ///
    /// # Errors
    /// Not d columns.
    pub fn vectors(&self, vectors: &Array2<f64>) -> Result<Array2<f64>> {
        self.expect("vectors", vectors)?;
        let vectors = vectors.select(Axis(1), &self.kept);
        Ok(match &self.principal {
            Some(p) => (vectors / &p.scale).dot(&p.axes.t()),
            None => vectors,
        })
    }

    /// Whether the picture shows one column against time.
    pub(super) fn against_time(&self) -> bool {
        self.kept.len() == 1
    }

    /// `[horizontal, vertical]` of every point; all at `time` where the picture is against time.
    pub(super) fn on_page(&self, points: &Array2<f64>, time: f64) -> Result<Vec<[f64; 2]>> {
        super::check("coordinate", points.iter().copied())?;
        let points = self.points(points)?;
        let pair = |row: ArrayView1<f64>| {
            if row.len() == 1 {
                [time, row[0]]
            } else {
                [row[0], row[1]]
            }
        };
        Ok(points.outer_iter().map(pair).collect())
    }

    fn expect(&self, what: &str, rows: &Array2<f64>) -> Result<()> {
        ensure!(
            rows.ncols() == self.dimension,
            Shape,
            "the projection is of {} columns, the {what} have {}",
            self.dimension,
            rows.ncols()
        );
        Ok(())
    }
}

impl Principal {
    /// Of the columns `kept`, each divided by its `scale`.
    fn fit(clouds: &[&Cloud], kept: &[usize], scale: Array1<f64>) -> Self {
        let d = kept.len();
        let n: usize = clouds.iter().map(|c| c.len()).sum();
        let mass: f64 = clouds.iter().map(|c| c.mass()).sum();
        let center = clouds.iter().fold(Array1::zeros(d), |sum, c| {
            sum + c.mean().select(Axis(0), kept) / &scale * (c.mass() / mass)
        });

        // Rows sqrt(w_i) (x_i - m), in units of the largest standard deviation, so that squares
        // stay finite.
        let mut rows = Array2::<f64>::zeros((n, d));
        let mut at = 0;
        for cloud in clouds {
            for (x, w) in cloud.points().outer_iter().zip(cloud.weights()) {
                let x = x.select(Axis(0), kept) / &scale;
                rows.row_mut(at)
                    .assign(&((&x - &center) * (w / mass).sqrt()));
                at += 1;
            }
        }
        let unit = rows.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if unit > 0.0 {
            rows /= unit;
        }

        let total: f64 = rows.iter().map(|v| v * v).sum();
        // X'X and XX' have the same leading eigenvalues; the smaller one is used.
        let by_column = d <= n;
        let gram = if by_column {
            rows.t().dot(&rows)
        } else {
            rows.dot(&rows.t())
        };
        let (values, vectors) = leading(&gram);
        let vectors = if by_column {
            vectors
        } else {
            vectors.dot(&rows)
        };
        Self {
            center,
            scale,
            axes: orthonormal(vectors),
            shares: values.map(|v| if total > 0.0 { v.max(0.0) / total } else { 0.0 }),
        }
    }
}

/// The two largest eigenvalues of a positive semidefinite matrix `[m, m]` and their vectors `[2,
/// m]`, by subspace iteration with a Rayleigh-Ritz step (Saad, *Numerical methods for large
/// eigenvalue problems*, 2011, algorithm 5.3). Exact after one step for m <= 24.
fn leading(matrix: &Array2<f64>) -> ([f64; 2], Array2<f64>) {
    const BLOCK: usize = 24;
    const STEPS: usize = 500;
    let m = matrix.nrows();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut block =
        Array2::from_shape_simple_fn((m, BLOCK.min(m)), || StandardNormal.sample(&mut rng));
    orthonormalise(&mut block);
    let mut found = ([0.0; 2], Array2::zeros((2, m)));
    for _ in 0..STEPS {
        let image = matrix.dot(&block);
        let (values, turn) = jacobi(block.t().dot(&image));
        block = block.dot(&turn);
        let image = image.dot(&turn);
        let value = |i: usize| values.get(i).copied().unwrap_or(0.0);
        found.0 = [value(0), value(1)];
        let pair = block.ncols().min(2);
        found
            .1
            .slice_mut(s![..pair, ..])
            .assign(&block.slice(s![.., ..pair]).t());
        let residual = (0..pair).map(|j| {
            let rest = &image.column(j) - &(&block.column(j) * values[j]);
            rest.dot(&rest).sqrt()
        });
        if residual.fold(0.0, f64::max) <= 1e-10 * value(0) {
            break;
        }
        block = image;
        orthonormalise(&mut block);
    }
    found
}

/// Eigenvalues (largest first) and eigenvectors (columns) of a small symmetric matrix by cyclic
/// Jacobi rotations (Golub and Van Loan, *Matrix Computations*, 4th edition, section 8.5).
fn jacobi(mut a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let m = a.nrows();
    let mut v = Array2::eye(m);
    let size = a.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..60 {
        let off = a
            .indexed_iter()
            .filter(|((i, j), _)| i != j)
            .map(|(_, x)| x * x)
            .sum::<f64>()
            .sqrt();
        if off <= 1e-15 * size {
            break;
        }
        for p in 0..m {
            for q in p + 1..m {
                if a[[p, q]] == 0.0 {
                    continue;
                }
                let theta = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let sine = t * c;
                for k in 0..m {
                    let (x, y) = (a[[k, p]], a[[k, q]]);
                    (a[[k, p]], a[[k, q]]) = (c * x - sine * y, sine * x + c * y);
                }
                for k in 0..m {
                    let (x, y) = (a[[p, k]], a[[q, k]]);
                    (a[[p, k]], a[[q, k]]) = (c * x - sine * y, sine * x + c * y);
                    let (x, y) = (v[[k, p]], v[[k, q]]);
                    (v[[k, p]], v[[k, q]]) = (c * x - sine * y, sine * x + c * y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|i, j| a[[*j, *j]].total_cmp(&a[[*i, *i]]));
    (
        order.iter().map(|i| a[[*i, *i]]).collect(),
        v.select(Axis(1), &order),
    )
}

/// Gram-Schmidt on the columns, twice. A column that depends on those before becomes zero.
fn orthonormalise(block: &mut Array2<f64>) {
    for j in 0..block.ncols() {
        let mut column = block.column(j).to_owned();
        let before = column.dot(&column).sqrt();
        for _ in 0..2 {
            for k in 0..j {
                let along = column.dot(&block.column(k));
                column.scaled_add(-along, &block.column(k));
            }
        }
        let after = column.dot(&column).sqrt();
        let scale = if after > 1e-13 * before {
            1.0 / after
        } else {
            0.0
        };
        block.column_mut(j).assign(&(column * scale));
    }
}

/// The rows of `vectors`, `[2, d]`, orthonormal and with fixed signs. A row without a direction
/// (the data lie on a line or a point) is replaced by the coordinate direction nearest to
/// orthogonal.
fn orthonormal(vectors: Array2<f64>) -> Array2<f64> {
    let d = vectors.ncols();
    let mut axes = Array2::<f64>::zeros((2, d));
    let scale = vectors.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    for i in 0..2 {
        let mut row = vectors.row(i).to_owned();
        if scale > 0.0 {
            row /= scale;
        }
        let mut row = rejected(row, &axes);
        if row.dot(&row) < 1e-16 {
            let free = |j: &usize| axes.column(*j).mapv(|v| v * v).sum();
            let j = (0..d)
                .min_by(|a, b| free(a).total_cmp(&free(b)))
                .unwrap_or(0);
            let mut unit = Array1::zeros(d);
            unit[j] = 1.0;
            row = rejected(unit, &axes);
        }
        let length = row.dot(&row).sqrt();
        let largest = row
            .iter()
            .fold(0.0, |m: f64, v| if v.abs() > m.abs() { *v } else { m });
        axes.row_mut(i).assign(&(row * (largest.signum() / length)));
    }
    axes
}

fn rejected(mut row: Array1<f64>, axes: &Array2<f64>) -> Array1<f64> {
    for _ in 0..2 {
        for axis in axes.outer_iter() {
            let along = row.dot(&axis);
            row.scaled_add(-along, &axis);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::error::ErrorKind;

    fn names(d: usize) -> Vec<String> {
        (0..d).map(|i| format!("gene {i}")).collect()
    }

    fn assert_orthonormal(projection: &Projection) {
        let axes = projection.axes().unwrap();
        let gram = axes.dot(&axes.t());
        for ((i, j), g) in gram.indexed_iter() {
            assert!((g - f64::from(u8::from(i == j))).abs() < 1e-12, "{gram}");
        }
    }

    /// Points +-sqrt(d l_j) along orthonormal directions e_j have covariance sum_j l_j e_j e_j'.
    fn cross(directions: &Array2<f64>, variances: &[f64]) -> Cloud {
        let d = directions.ncols();
        let mut points = Array2::zeros((2 * variances.len(), d));
        for (j, l) in variances.iter().enumerate() {
            let arm = &directions.row(j) * (variances.len() as f64 * l).sqrt();
            points.row_mut(2 * j).assign(&(&arm + 3.0));
            points.row_mut(2 * j + 1).assign(&(-&arm + 3.0));
        }
        Cloud::new(points).unwrap()
    }

    /// A Householder reflection: its rows are orthonormal.
    fn reflection(d: usize) -> Array2<f64> {
        let v = Array1::from_shape_fn(d, |i| ((i * i) as f64 * 0.37).sin() + 0.1);
        let column = v.clone().insert_axis(Axis(1));
        Array2::eye(d) - 2.0 / v.dot(&v) * column.dot(&column.t())
    }

    #[test]
    fn a_known_covariance_gives_its_axes_and_shares() {
        for (d, kept) in [(3, 3), (30, 30), (45, 7), (400, 9), (120, 120)] {
            let directions = reflection(d);
            let variances: Vec<f64> = (0..kept).map(|j| 5.0 * 0.6f64.powi(j)).collect();
            let cloud = cross(&directions, &variances);
            let projection = Projection::fit(&[&cloud], &names(d)).unwrap();
            assert_orthonormal(&projection);
            let axes = projection.axes().unwrap();
            let total: f64 = variances.iter().sum();
            for (i, variance) in variances.iter().take(2).enumerate() {
                let cosine = axes.row(i).dot(&directions.row(i));
                assert!((cosine.abs() - 1.0).abs() < 1e-12, "d = {d}: {cosine}");
                let share = projection.principal.as_ref().unwrap().shares[i];
                assert!((share - variance / total).abs() < 1e-12, "d = {d}");
                let largest = axes
                    .row(i)
                    .iter()
                    .fold(0.0, |m: f64, v| if v.abs() > m.abs() { *v } else { m });
                assert!(largest > 0.0);
            }
            // The center goes to the origin and the variance along an axis is its eigenvalue.
            let page = projection.points(cloud.points()).unwrap();
            assert!(page.sum_axis(Axis(0)).iter().all(|v| v.abs() < 1e-9));
            let spread = page.column(1).mapv(|v| v * v).mean().unwrap();
            assert!((spread - variances[1]).abs() < 1e-10, "d = {d}: {spread}");
        }
    }

    #[test]
    fn vectors_turn_with_the_points_but_do_not_move() {
        let cloud = cross(&reflection(5), &[4.0, 3.0, 2.0, 1.0, 0.5]);
        let projection = Projection::fit(&[&cloud], &names(5)).unwrap();
        let (from, step) = (
            cloud.points().clone(),
            Array2::from_shape_fn((10, 5), |(i, j)| (i + 2 * j) as f64),
        );
        let moved =
            projection.points(&(&from + &step)).unwrap() - projection.points(&from).unwrap();
        let turned = projection.vectors(&step).unwrap();
        assert!((moved - turned).iter().all(|v| v.abs() < 1e-10));
    }

    #[test]
    fn two_columns_stay_and_one_is_drawn_against_time() {
        let points = array![[1.0, 2.0], [3.0, 4.0]];
        let cloud = Cloud::new(points.clone()).unwrap();
        let projection = Projection::fit(&[&cloud], &names(2)).unwrap();
        assert_eq!(projection.points(&points).unwrap(), points);
        assert_eq!(
            projection.names(),
            &["gene 0".to_owned(), "gene 1".to_owned()]
        );
        let line = Cloud::new(array![[1.0]]).unwrap();
        let projection = Projection::fit(&[&line], &names(1)).unwrap();
        assert_eq!(projection.names()[0], "time");
        assert_eq!(
            projection.on_page(&array![[7.0]], 2.5).unwrap(),
            [[2.5, 7.0]]
        );
    }

    #[test]
    fn points_on_a_line_or_a_point_still_give_two_axes() {
        let line = Cloud::new(array![[0.0, 0.0, 0.0], [1.0, 1.0, -1.0]]).unwrap();
        let point = Cloud::new(Array2::from_elem((4, 3), 2.0)).unwrap();
        let huge = Cloud::new(array![
            [0.0, 0.0, 0.0],
            [1e140, 1e140, 1e130],
            [0.0, 1e139, 0.0]
        ])
        .unwrap();
        for cloud in [line, point, huge] {
            assert_orthonormal(&Projection::fit(&[&cloud], &names(3)).unwrap());
        }
    }

    #[test]
    fn a_cloud_counts_by_its_mass() {
        let heavy =
            Cloud::weighted(array![[0.0, 0.1, -3.0], [0.0, -0.1, 3.0]], array![5.0, 5.0]).unwrap();
        let light = Cloud::new(array![[-4.0, 0.0, 0.0], [4.0, 0.0, 0.0]]).unwrap();
        let projection = Projection::fit(&[&heavy, &light], &names(3)).unwrap();
        assert!((projection.axes().unwrap()[[0, 2]] - 1.0).abs() < 1e-2);
        assert_eq!(projection.names()[0], "axis 1 (85 %, mostly gene 2)");
    }

    #[test]
    fn axes_are_not_called_as_columns_are() {
        let cloud = cross(&reflection(3), &[3.0, 2.0, 1.0]);
        let name = |columns: [&str; 3]| {
            let projection = Projection::fit(&[&cloud], &columns.map(str::to_owned)).unwrap();
            projection.names()[0].split(' ').next().unwrap().to_owned()
        };
        assert_eq!(name(["PC_1", "PC_2", "PC_3"]), "axis");
        assert_eq!(name(["Axis.1", "Axis.2", "Axis.3"]), "projection");
    }

    /// A column of counts fills the picture, unless columns are divided by their spread as distances
    /// are.
    #[test]
    fn axes_are_those_that_distances_see() {
        let cloud = cross(&Array2::eye(3), &[2e6, 4.0, 1.0]);
        let columns = names(3);
        let raw = Projection::fit(&[&cloud], &columns).unwrap();
        assert_eq!(raw.names()[0], "axis 1 (100 %, mostly gene 0)");
        let scale = array![1e3, 1.0, 1.0];
        let scaled = Projection::scaled(&[&cloud], &columns, &scale).unwrap();
        assert_eq!(scaled.names()[0], "axis 1 (57 %, mostly gene 1)");
        assert!(scaled.note().unwrap().contains("standard deviation"));
        let one = array![[1e3 + 3.0, 3.0, 3.0], [3.0, 3.0, 3.0]];
        let page = scaled.points(&one).unwrap();
        let apart = &page.row(0) - &page.row(1);
        assert!((apart.dot(&apart) - 1.0).abs() < 1e-9, "{apart}");
        let moved = scaled.vectors(&array![[1e3, 0.0, 0.0]]).unwrap();
        assert!((&moved.row(0) - &apart).iter().all(|x| x.abs() < 1e-9));
        for bad in [
            array![1.0, 0.0, 1.0],
            array![1.0, 1.0],
            Array1::from_elem(3, f64::NAN),
        ] {
            assert!(Projection::scaled(&[&cloud], &columns, &bad).is_err());
        }
    }

    #[test]
    fn a_column_of_one_value_is_not_drawn() {
        let cloud = Cloud::new(array![[1.0, 7.0], [2.0, 7.0]]).unwrap();
        let columns = ["gata".to_owned(), "batch".to_owned()];
        let projection = Projection::fit(&[&cloud], &columns).unwrap();
        let projection = projection.over("time, days");
        assert_eq!(
            projection.names(),
            &["time, days".to_owned(), "gata".to_owned()]
        );
        assert!(projection.note().unwrap().contains("batch has one value"));
        let moved = projection.vectors(&array![[0.5, 3.0]]).unwrap();
        assert_eq!(moved, array![[0.5]]);
        assert_eq!(
            projection.on_page(&array![[1.5, 9.0]], 4.0).unwrap(),
            [[4.0, 1.5]]
        );
        let still = Cloud::new(Array2::ones((3, 2))).unwrap();
        let still = Projection::fit(&[&still], &columns).unwrap();
        assert_eq!((still.names()[1].as_str(), still.note()), ("batch", None));
    }

    #[test]
    fn bad_input_is_refused() {
        let two = Cloud::new(Array2::zeros((3, 2))).unwrap();
        let three = Cloud::new(Array2::zeros((3, 3))).unwrap();
        let kind = |p: Result<Projection>| p.unwrap_err().kind();
        assert_eq!(kind(Projection::fit(&[], &names(2))), ErrorKind::Value);
        assert_eq!(
            kind(Projection::fit(&[&two, &three], &names(2))),
            ErrorKind::Shape
        );
        assert_eq!(kind(Projection::fit(&[&two], &names(3))), ErrorKind::Shape);
        let projection = Projection::fit(&[&two], &names(2)).unwrap();
        assert_eq!(
            projection
                .points(&Array2::zeros((1, 3)))
                .unwrap_err()
                .kind(),
            ErrorKind::Shape
        );
    }
}

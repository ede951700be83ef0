//! Smooth vector fields through velocities known at points, such as RNA velocity, and [the part of
//! them](gradient_fraction()) that is a gradient.

mod embedded;
mod gradient_fraction;
mod ridge;
mod sample;

pub use embedded::embedded_velocities;
pub use gradient_fraction::{GradientFraction, gradient_fraction};

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result, ensure},
};
use ridge::{Kind, Model};
use sample::{Sample, gaussian, squared_distances};

/// A smooth field `b(x)` through noisy velocities: an affine field plus Gaussian bumps at no more
/// than 256 landmarks, `b(x) = c + B (x - center) + sum_m a_m exp(-|x - z_m|^2 / 2 h^2)`.
///
/// This is kernel ridge regression in the Nystroem approximation (Williams & Seeger, 2001). The
/// landmarks are points of the cloud, drawn by the k-means++ rule with its weights. Five-fold
/// cross-validation over a small grid chooses the bandwidth h, the ridge and the penalty of B; it
/// drops the bumps if they do not help. Distances are Euclidean: the fit does not depend on units,
/// origin or rotation of the points, nor on units of the velocities, but on the relative units of
/// the columns.
///
/// *Far from the data* bumps vanish within a few bandwidths. The affine part is exact in the ball
/// about the mean that holds all points, and saturates beyond: x is replaced by the point in the
/// same direction at distance `R + R tanh((r - R) / R)`, R the radius of the ball. So b is bounded,
/// has two continuous derivatives, and far away is constant along rays from the mean.
///
/// The fit costs about `n (m^2 + m d)` operations for every bandwidth and needs covariances `[d,
/// d]`. It is meant for tens of columns (principal components), not for thousands.
///
/// ```
/// use actum::{cloud::Cloud, lagrangian::smooth::Smoother};
/// use ndarray::{Array2, array};
///
/// let x = Array2::from_shape_fn((121, 2), |(i, j)| [i / 11, i % 11][j] as f64);
/// let v = x.dot(&array![[0.0, 1.0], [-1.0, 0.0]]); // v(x) = (-x_2, x_1)
/// let field = Smoother::fit(&Cloud::new(x)?, &v, 0)?;
/// let b = field.velocity(array![[4.0, 5.0]].view());
/// assert!((b[[0, 0]] + 5.0).abs() < 1e-5 && (b[[0, 1]] - 4.0).abs() < 1e-5);
/// # Ok::<(), actum::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Field")]
pub struct Smoother(Field);

/// The saved form, in coordinates `y = (x - center) / length`; matrices are row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    /// `[d]`
    center: Vec<f64>,
    length: f64,
    /// The radius within which the affine part is exact.
    reach: f64,
    /// `[d]`
    constant: Vec<f64>,
    /// `[d, d]`: row i is the gradient of entry i of the velocity.
    linear: Vec<f64>,
    bandwidth: f64,
    /// `[m, d]`
    landmarks: Vec<f64>,
    /// `[m, d]`
    weights: Vec<f64>,
}

/// Rows evaluated together. It must not depend on the number of threads, on which the bits would
/// then depend.
const BLOCK: usize = 64;

impl Smoother {
    /// The field through `velocities` `[n, d]` at the weighted points of a cloud. The same seed
    /// gives the same bits.
    ///
    /// # Errors
    /// Velocities of another shape than the points or not finite; fewer than 4 points of positive
    /// weight.
    pub fn fit(cloud: &Cloud, velocities: &Array2<f64>, seed: u64) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sample = Sample::new(cloud, velocities, &mut rng)?;
        let landmarks = sample.landmarks(&mut rng);
        let (model, _) = Model::choose(Kind::Free, &sample, &landmarks);
        let fitted = model.fit(&sample);
        let squares = sample.points.outer_iter().map(|x| x.dot(&x));
        let reach = squares.fold(0f64, f64::max).sqrt();
        let scaled = |a: &Array2<f64>| a.iter().map(|v| v * sample.speed).collect();
        Ok(Self(Field {
            center: sample.center.to_vec(),
            length: sample.length,
            // Points that coincide have radius 0. Their field is constant, so that any radius will
            // do.
            reach: if reach > 0.0 { reach } else { 1.0 },
            constant: (&fitted.constant * sample.speed).to_vec(),
            linear: scaled(&fitted.linear),
            bandwidth: model.bandwidth,
            landmarks: model.landmarks.iter().copied().collect(),
            weights: scaled(&fitted.weights),
        }))
    }

    /// The number of columns, d.
    pub fn dimension(&self) -> usize {
        self.0.center.len()
    }

    /// The velocity at points `[n, d]`: `[n, d]`.
    ///
    /// # Panics
    /// If the points do not have d columns.
    pub fn velocity(&self, points: ArrayView2<f64>) -> Array2<f64> {
        let parts = self.0.parts();
        self.0.by_rows(points, self.dimension(), |y, _| {
            let mut reached = y.clone();
            for mut row in reached.outer_iter_mut() {
                row *= self.0.reached(row.dot(&row).sqrt()).0;
            }
            let bumps = gaussian(
                squared_distances(y.view(), parts.landmarks),
                self.0.bandwidth,
            );
            reached.dot(&parts.linear.t()) + &parts.constant + bumps.dot(&parts.weights)
        })
    }

    /// The divergence of the velocity at points `[n, d]`: `[n]`.
    ///
    /// # Panics
    /// If the points do not have d columns.
    pub fn divergence(&self, points: ArrayView2<f64>) -> Array1<f64> {
        let parts = self.0.parts();
        let trace = parts.linear.diag().sum();
        let inner = (&parts.landmarks * &parts.weights).sum_axis(Axis(1));
        let square = self.0.bandwidth * self.0.bandwidth;
        let out = self.0.by_rows(points, 1, |y, _| {
            let bumps = gaussian(
                squared_distances(y.view(), parts.landmarks),
                self.0.bandwidth,
            );
            let pulled = bumps.dot(&inner) - (bumps.dot(&parts.weights) * &y).sum_axis(Axis(1));
            let mut out = pulled / square;
            let turned = y.dot(&parts.linear.t());
            for ((out, y), by) in out.iter_mut().zip(y.outer_iter()).zip(turned.outer_iter()) {
                let (scale, bend) = self.0.reached(y.dot(&y).sqrt());
                *out += scale * trace + bend * y.dot(&by);
            }
            (out / self.0.length).insert_axis(Axis(1))
        });
        out.remove_axis(Axis(1))
    }

    /// The Jacobian of the velocity at points `[n, d]` times `directions` `[n, d]`: `[n, d]`, row i
    /// being `d/de b(x_i + e direction_i)` at e = 0.
    ///
    /// # Panics
    /// If points and directions are not of the same shape with d columns.
    pub fn along(&self, points: ArrayView2<f64>, directions: ArrayView2<f64>) -> Array2<f64> {
        assert_eq!(
            points.dim(),
            directions.dim(),
            "a direction for every point"
        );
        let parts = self.0.parts();
        let square = self.0.bandwidth * self.0.bandwidth;
        self.0.by_rows(points, self.dimension(), |y, rows| {
            let e = directions.slice(s![rows, ..]);
            let mut bumps = gaussian(
                squared_distances(y.view(), parts.landmarks),
                self.0.bandwidth,
            );
            let inner = (&y * &e).sum_axis(Axis(1)).insert_axis(Axis(1));
            bumps *= &((e.dot(&parts.landmarks.t()) - &inner) / square);
            let mut reached = e.to_owned();
            for ((mut out, y), inner) in reached.outer_iter_mut().zip(y.outer_iter()).zip(&inner) {
                let (scale, bend) = self.0.reached(y.dot(&y).sqrt());
                out *= scale;
                out.scaled_add(bend * inner, &y);
            }
            (reached.dot(&parts.linear.t()) + bumps.dot(&parts.weights)) / self.0.length
        })
    }
}

struct Parts<'a> {
    constant: Array1<f64>,
    linear: ArrayView2<'a, f64>,
    landmarks: ArrayView2<'a, f64>,
    weights: ArrayView2<'a, f64>,
}

impl Field {
    fn parts(&self) -> Parts<'_> {
        let d = self.center.len();
        let view =
            |a| ArrayView2::from_shape((<[f64]>::len(a) / d, d), a).expect("checked lengths");
        Parts {
            constant: Array1::from(self.constant.clone()),
            linear: view(&self.linear),
            landmarks: view(&self.landmarks),
            weights: view(&self.weights),
        }
    }

    /// The map `r u -> f(r) u`, `|u| = 1`, of the affine part: returns `f(r) / r`, and the `g` of
    /// its derivative `f(r) / r I + g y y'` at y = r u.
    fn reached(&self, r: f64) -> (f64, f64) {
        if r <= self.reach {
            return (1.0, 0.0);
        }
        let tanh = (r / self.reach - 1.0).tanh();
        let scale = self.reach * (1.0 + tanh) / r;
        (scale, (1.0 - tanh * tanh - scale) / r / r)
    }

    /// Applies `f` to blocks of rows of points in coordinates y, and to the range of rows of each.
    fn by_rows(
        &self,
        points: ArrayView2<f64>,
        columns: usize,
        f: impl Fn(Array2<f64>, std::ops::Range<usize>) -> Array2<f64> + Sync,
    ) -> Array2<f64> {
        let (n, d) = points.dim();
        assert_eq!(d, self.center.len(), "columns of points and of the field");
        let center = Array1::from(self.center.clone());
        let mut out = vec![0.0; n * columns];
        out.par_chunks_mut(BLOCK * columns)
            .enumerate()
            .for_each(|(k, out)| {
                let rows = k * BLOCK..(k * BLOCK + BLOCK).min(n);
                let y = (&points.slice(s![rows.clone(), ..]) - &center) / self.length;
                for (out, value) in out.iter_mut().zip(&f(y, rows)) {
                    *out = *value;
                }
            });
        Array2::from_shape_vec((n, columns), out).expect("n rows")
    }
}

impl TryFrom<Field> for Smoother {
    type Error = Error;

    fn try_from(field: Field) -> Result<Self> {
        let d = field.center.len();
        let whole = d > 0
            && field.constant.len() == d
            && field.linear.len() == d * d
            && field.landmarks.len().is_multiple_of(d)
            && field.weights.len() == field.landmarks.len();
        ensure!(
            whole,
            Format,
            "a smooth field of {d} columns with {} constants, {} slopes, {} numbers of landmarks \
             and {} weights is damaged; fit it again",
            field.constant.len(),
            field.linear.len(),
            field.landmarks.len(),
            field.weights.len()
        );
        let positive = |v: f64| v > 0.0 && v.is_finite();
        if positive(field.length) && positive(field.reach) && positive(field.bandwidth) {
            Ok(Self(field))
        } else {
            Err(Error::new(
                ErrorKind::Format,
                format!(
                    "length, reach and bandwidth of a smooth field must be positive, got {}, {} \
                     and {}; fit it again",
                    field.length, field.reach, field.bandwidth
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn normal(n: usize, d: usize, rng: &mut impl Rng) -> Array2<f64> {
        Array2::from_shape_simple_fn((n, d), || StandardNormal.sample(rng))
    }

    /// A field on a plane with rotation and curvature.
    fn swirl(x: &Array2<f64>) -> Array2<f64> {
        let mut v = x.clone();
        for mut row in v.outer_iter_mut() {
            let (a, b) = (row[0], row[1]);
            row[0] = (2.0 * b).sin() - 0.5 * a;
            row[1] = (a * b).cos() + a;
        }
        v
    }

    fn noisy(n: usize, noise: f64, seed: u64) -> (Array2<f64>, Array2<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = normal(n, 2, &mut rng);
        let v = swirl(&x) + noise * normal(n, 2, &mut rng);
        (x, v)
    }

    /// The root mean square of entries.
    fn size(a: &Array2<f64>) -> f64 {
        a.mapv(|v| v * v).mean().unwrap().sqrt()
    }

    #[test]
    fn a_linear_field_is_recovered_with_and_without_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let x = normal(500, 3, &mut rng) * &array![3.0, 1.0, 0.3] + &array![100.0, 0.0, -5.0];
        let turn = array![[0.0, -1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.2, 0.0]];
        let flow = |x: &Array2<f64>| (x - &array![100.0, 0.0, -5.0]).dot(&turn.t());
        // Half the spread of the data, so that no point lies beyond them.
        let at = normal(200, 3, &mut rng) * &array![1.5, 0.5, 0.15] + &array![100.0, 0.0, -5.0];
        let cloud = Cloud::new(x.clone()).unwrap();
        let miss = |v: &Array2<f64>| {
            let field = Smoother::fit(&cloud, v, 0).unwrap();
            size(&(field.velocity(at.view()) - flow(&at))) / size(&flow(&at))
        };
        let exact = miss(&flow(&x));
        assert!(exact < 1e-6, "{exact}");
        // Least squares would miss by about sqrt(4 / 500) of the noise.
        let noise = 0.5 * normal(500, 3, &mut rng);
        let ideal = 0.5 * (4f64 / 500.0).sqrt() / size(&flow(&at));
        let got = miss(&(flow(&x) + noise));
        assert!(got < 2.0 * ideal, "{got}, ideal {ideal}");
    }

    #[test]
    fn a_bent_field_without_noise_is_followed_closely() {
        let (x, v) = noisy(2000, 0.0, 2);
        let field = Smoother::fit(&Cloud::new(x).unwrap(), &v, 0).unwrap();
        let (at, truth) = noisy(500, 0.0, 3);
        let miss = size(&(field.velocity(at.view()) - &truth)) / size(&truth);
        assert!(miss < 0.05, "{miss}");
    }

    #[test]
    fn noise_is_smoothed_better_than_by_the_nearest_neighbour_and_by_an_affine_field() {
        let (x, v) = noisy(1000, 0.5, 4);
        let field = Smoother::fit(&Cloud::new(x.clone()).unwrap(), &v, 0).unwrap();
        let (at, truth) = noisy(500, 0.0, 5);
        let miss = size(&(field.velocity(at.view()) - &truth));
        let squares = squared_distances(at.view(), x.view());
        let mut nearest = truth.clone();
        for (mut row, squares) in nearest.outer_iter_mut().zip(squares.outer_iter()) {
            let order = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
            let closest = squares.iter().enumerate().min_by(order).unwrap().0;
            row.assign(&v.row(closest));
        }
        let baseline = size(&(nearest - &truth));
        assert!(miss < 0.3 * baseline, "{miss} against {baseline}");
        assert!(miss < 0.15, "{miss}");
    }

    #[test]
    fn derivatives_are_those_of_the_velocity_near_and_far() {
        let (x, v) = noisy(300, 0.1, 6);
        let field = Smoother::fit(&Cloud::new(x * 40.0).unwrap(), &v, 0).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        // Points among the data, at the edge of the ball, and far outside it.
        let at = normal(150, 2, &mut rng) * 120.0;
        let radii = at.mapv(|v| v * v).sum_axis(Axis(1)).mapv(f64::sqrt) / field.0.length;
        assert!(radii.iter().any(|r| *r < 0.7 * field.0.reach));
        assert!(radii.iter().any(|r| *r > 1.5 * field.0.reach));
        let step = 1e-3;
        let slope = |e: &Array2<f64>| {
            let up = field.velocity((&at + &(e * step)).view());
            let down = field.velocity((&at - &(e * step)).view());
            (up - down) / (2.0 * step)
        };
        let e = normal(150, 2, &mut rng);
        let along = field.along(at.view(), e.view());
        let miss = size(&(&along - slope(&e)));
        assert!(miss < 1e-7 * size(&along), "{miss} of {}", size(&along));
        let mut divergence = Array1::zeros(150);
        for j in 0..2 {
            let mut unit = Array2::zeros((150, 2));
            unit.column_mut(j).fill(1.0);
            divergence += &slope(&unit).column(j);
        }
        let got = field.divergence(at.view());
        let miss = (&got - &divergence)
            .mapv(f64::abs)
            .fold(0f64, |a, b| a.max(*b));
        assert!(miss < 1e-7, "{miss}");
        assert!(got.iter().any(|v| v.abs() > 1e-3));
    }

    #[test]
    fn far_away_the_field_is_bounded_and_constant_along_rays() {
        let (x, v) = noisy(300, 0.1, 8);
        let field = Smoother::fit(&Cloud::new(x).unwrap(), &v, 0).unwrap();
        let near = field.velocity(array![[3e3, 4e3], [-4e3, 3e3]].view());
        let far = field.velocity(array![[3e6, 4e6], [-4e6, 3e6]].view());
        assert!(size(&(&near - &far)) < 1e-2 * size(&far), "{near} {far}");
        assert!(size(&far) < 10.0 * size(&v));
        assert!(field.divergence(array![[3e6, 4e6]].view())[0].abs() < 1e-5);
    }

    #[test]
    fn units_origin_and_rotation_do_not_matter() {
        let (x, v) = noisy(400, 0.2, 9);
        let (at, _) = noisy(100, 0.0, 10);
        let plain = Smoother::fit(&Cloud::new(x.clone()).unwrap(), &v, 0).unwrap();
        let expected = plain.velocity(at.view());
        let (sin, cos) = 0.7f64.sin_cos();
        let turn = array![[cos, sin], [-sin, cos]];
        let moved = |x: &Array2<f64>| x.dot(&turn) * 1000.0 + &array![5e3, -2e3];
        let faster = v.dot(&turn) * 1e-4;
        let other = Smoother::fit(&Cloud::new(moved(&x)).unwrap(), &faster, 0).unwrap();
        let got = other.velocity(moved(&at).view()).dot(&turn.t()) * 1e4;
        let miss = size(&(&got - &expected)) / size(&expected);
        assert!(miss < 1e-6, "{miss}");
        let slower = plain.divergence(at.view()) - other.divergence(moved(&at).view()) * 1e7;
        assert!(slower.iter().all(|v| v.abs() < 1e-5));
    }

    #[test]
    fn a_weight_counts_and_zero_weight_does_not() {
        let (x, mut v) = noisy(400, 0.1, 11);
        let mut weights = Array1::ones(400);
        for i in 200..400 {
            weights[i] = 0.0;
            v[[i, 0]] = 1e6;
        }
        let all = Cloud::weighted(x.clone(), weights).unwrap();
        let field = Smoother::fit(&all, &v, 0).unwrap();
        let half = Cloud::new(x.slice(s![..200, ..]).to_owned()).unwrap();
        let same = Smoother::fit(&half, &v.slice(s![..200, ..]).to_owned(), 0).unwrap();
        let gap = field.velocity(x.view()) - same.velocity(x.view());
        assert!(size(&gap) < 1e-4, "{}", size(&gap));

        // Pairs of equal points with different velocities: the field is their weighted mean.
        let x = array![[0.0], [0.0], [1.0], [1.0], [2.0], [2.0], [3.0], [3.0]];
        let v = array![[0.0], [4.0], [0.0], [4.0], [0.0], [4.0], [0.0], [4.0]];
        let weights = Array1::from_shape_fn(8, |i| if i % 2 == 0 { 1.0 } else { 3.0 });
        let field = Smoother::fit(&Cloud::weighted(x, weights).unwrap(), &v, 0).unwrap();
        let middle = field.velocity(array![[1.5]].view())[[0, 0]];
        assert!((middle - 3.0).abs() < 1e-6, "{middle}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
        let (x, v) = noisy(6000, 0.2, 12);
        let cloud = Cloud::new(x).unwrap();
        let on = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let field = Smoother::fit(&cloud, &v, seed).unwrap();
                let at = cloud.points().slice(s![..500, ..]);
                (field.velocity(at), field.divergence(at), field)
            })
        };
        let one = on(1, 3);
        assert_eq!(one, on(3, 3));
        assert_ne!(one.0, on(1, 4).0);
    }

    #[test]
    fn a_saved_field_is_the_same_field() {
        let (x, v) = noisy(100, 0.2, 13);
        let field = Smoother::fit(&Cloud::new(x).unwrap(), &v, 0).unwrap();
        let text = serde_json::to_string(&field).unwrap();
        assert_eq!(serde_json::from_str::<Smoother>(&text).unwrap(), field);
        let cut = text.replacen("\"constant\":[", "\"constant\":[0.5,", 1);
        let error = serde_json::from_str::<Smoother>(&cut)
            .unwrap_err()
            .to_string();
        assert!(error.contains("2 columns with 3 constants"), "{error}");
    }

    #[test]
    fn few_points_resting_points_and_points_in_one_place_have_a_field() {
        let four = array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
        let v = array![[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]];
        let at = array![[0.5, 0.2], [7.0, -3.0]];
        for x in [four.clone(), &four * 0.0 + 3.0] {
            let field = Smoother::fit(&Cloud::new(x).unwrap(), &v, 0).unwrap();
            let gap = field.velocity(at.view()) - array![1.0, 2.0];
            assert!(size(&gap) < 1e-6, "{gap}");
        }
        let field = Smoother::fit(&Cloud::new(four).unwrap(), &(v * 0.0), 0).unwrap();
        assert_eq!(field.velocity(at.view()), Array2::<f64>::zeros((2, 2)));
        assert_eq!(field.divergence(at.view()), Array1::<f64>::zeros(2));
        assert_eq!(field.velocity(Array2::zeros((0, 2)).view()).dim(), (0, 2));
    }

    #[test]
    fn what_cannot_be_smoothed_is_said() {
        let cloud = Cloud::new(Array2::from_shape_fn((5, 2), |(i, j)| (i + j) as f64)).unwrap();
        let message = |cloud: &Cloud, v: Array2<f64>, kind| {
            let error = Smoother::fit(cloud, &v, 0).unwrap_err();
            assert_eq!(error.kind(), kind);
            error.to_string()
        };
        let got = message(&cloud, Array2::zeros((5, 3)), ErrorKind::Shape);
        assert!(got.contains("[5, 2], got [5, 3]"), "{got}");
        let mut v = Array2::zeros((5, 2));
        v[[3, 1]] = f64::NAN;
        v[[4, 0]] = f64::INFINITY;
        let got = message(&cloud, v, ErrorKind::Value);
        assert!(
            got.contains("2 of 10") && got.contains("row 3, column 1"),
            "{got}"
        );
        let light = Array1::from_shape_fn(5, |i| if i < 3 { 1.0 } else { 0.0 });
        let cloud = Cloud::weighted(cloud.points().clone(), light).unwrap();
        let got = message(&cloud, Array2::zeros((5, 2)), ErrorKind::Value);
        assert!(got.contains("4 or more") && got.contains("got 3"), "{got}");
    }
}

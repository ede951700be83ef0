//! Ridge least squares for a field that is affine plus Gaussian bumps at landmarks, either
//! unrestricted or a gradient.
//!
//! With `k_m(x) = exp(-|x - z_m|^2 / 2 h^2)`,
//!
//! - free:      `f(x) = c + B x + sum_m a_m k_m(x)`, a_m in R^d;
//! - gradient:  `f(x) = c + S x + sum_m a_m k_m(x) (x - z_m) / h`, S symmetric, a_m in R: the
//!   gradient of `c.x + x.Sx/2 - h sum_m a_m k_m(x)`.
//!
//! The objective is `sum_i w_i |V_i - f(x_i)|^2 + slope |B|_F^2 + ridge sum_mn a_m.a_n k_m(z_n)`
//! with weights w of sum 1. The last term is the norm of the bumps in the space of the kernel
//! (Nystroem). In the eigenbasis of the covariance of x the normal equations of B, and of S, are
//! diagonal. They are eliminated, which leaves m equations for the bumps.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, Axis, ShapeBuilder, concatenate,
    linalg::general_mat_mul, s,
};
use rayon::prelude::*;

use super::sample::{Sample, gaussian, squared_distances};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Free,
    Gradient,
}

/// Bumps and their settings; without landmarks the field is affine.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) landmarks: Array2<f64>,
    pub(super) bandwidth: f64,
    slope: f64,
    ridge: f64,
}

/// A fitted field in the units of a [`Sample`].
pub(super) struct Fitted {
    pub(super) constant: Array1<f64>,
    pub(super) linear: Array2<f64>,
    /// `[m, d]`, multiplied by `k_m(x)`; for a gradient one column more, multiplied by `k_m(x) x`.
    pub(super) weights: Array2<f64>,
}

/// Penalties of slopes, for points of variance 1 per column.
const SLOPES: [f64; 12] = [
    1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3,
];
const RIDGES: [f64; 11] = [
    1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10,
];
/// Bandwidths, equally spaced in their logarithm.
const BANDWIDTHS: usize = 5;
/// Kernel directions below this share of the largest are dropped, because only rounding is left in
/// them.
const NEGLIGIBLE: f64 = 1e-9;
/// The least gain, as a share of the power of the velocities, that is worth bumps. It keeps an
/// affine field without noise affine.
const GAIN: f64 = 1e-12;
const BLOCK: usize = 256;

impl Model {
    /// The model of least error on held-out folds, and that error, `sum_i w_i |V_i - f(x_i)|^2`.
    /// The penalty of the slopes is chosen first, without bumps, then bandwidth and ridge, or no
    /// bumps if none help. Bandwidths range from the mean distance of a landmark to its nearest
    /// neighbour to twice the standard deviation of the points, or four times that distance if it
    /// is more.
    pub(super) fn choose(kind: Kind, sample: &Sample, landmarks: &Array2<f64>) -> (Self, f64) {
        let d = sample.points.ncols();
        let affine = SLOPES.map(|slope| Self {
            kind,
            landmarks: Array2::zeros((0, d)),
            bandwidth: 1.0,
            slope: slope / d as f64,
            ridge: 1.0,
        });
        let mut best = affine
            .into_iter()
            .map(|m| {
                let error = m.held_out(sample, &[1.0])[0];
                (m, error)
            })
            .reduce(|a, b| if b.1 < a.1 { b } else { a })
            .expect("a grid");
        if landmarks.is_empty() {
            return best;
        }
        let slope = best.0.slope;
        let least = spacing(landmarks);
        let most = (4.0 * least).max(2.0);
        let bumps: Vec<(Self, Vec<f64>)> = (0..BANDWIDTHS)
            .into_par_iter()
            .map(|i| {
                let share = i as f64 / (BANDWIDTHS - 1) as f64;
                let model = Self {
                    kind,
                    landmarks: landmarks.clone(),
                    bandwidth: most * (least / most).powf(share),
                    slope,
                    ridge: 1.0,
                };
                let errors = model.held_out(sample, &RIDGES);
                (model, errors)
            })
            .collect();
        let gain = GAIN * sample.power();
        for (model, errors) in bumps {
            for (ridge, error) in RIDGES.into_iter().zip(errors) {
                if error < best.1 - gain {
                    best = (
                        Self {
                            ridge,
                            ..model.clone()
                        },
                        error,
                    );
                }
            }
        }
        best
    }

    /// The field fitted to the whole sample.
    pub(super) fn fit(&self, sample: &Sample) -> Fitted {
        let moments = self.moments(sample);
        let all = Moments::sum(moments.iter());
        self.solve(&all, &self.whitening(), &[self.ridge]).remove(0)
    }

    /// The error on held-out folds for every ridge.
    fn held_out(&self, sample: &Sample, ridges: &[f64]) -> Vec<f64> {
        let moments = self.moments(sample);
        let whitening = self.whitening();
        let errors: Vec<Vec<f64>> = (0..moments.len())
            .into_par_iter()
            .map(|fold| {
                let others = moments.iter().enumerate().filter(|(k, _)| *k != fold);
                let train = Moments::sum(others.map(|(_, m)| m));
                self.errors(sample, fold, &self.solve(&train, &whitening, ridges))
            })
            .collect();
        (0..ridges.len())
            .map(|r| errors.iter().map(|e| e[r]).sum())
            .collect()
    }

    fn errors(&self, sample: &Sample, fold: usize, fits: &[Fitted]) -> Vec<f64> {
        let mut errors = vec![0.0; fits.len()];
        for rows in blocks(sample, fold) {
            let x = sample.points.slice(s![rows.clone(), ..]);
            let k = gaussian(squared_distances(x, self.landmarks.view()), self.bandwidth);
            for (error, fit) in errors.iter_mut().zip(fits) {
                let miss = fit.at(x, &k) - sample.velocities.slice(s![rows.clone(), ..]);
                for (row, w) in miss
                    .outer_iter()
                    .zip(sample.weights.slice(s![rows.clone()]))
                {
                    *error += w * row.dot(&row);
                }
            }
        }
        errors
    }

    fn moments(&self, sample: &Sample) -> Vec<Moments> {
        (0..sample.folds.len())
            .into_par_iter()
            .map(|fold| {
                let mut moments = Moments::zeros(self.kind, self.landmarks.dim());
                for rows in blocks(sample, fold) {
                    moments.add(
                        self,
                        sample.points.slice(s![rows.clone(), ..]),
                        sample.velocities.slice(s![rows.clone(), ..]),
                        sample.weights.slice(s![rows]),
                    );
                }
                moments
            })
            .collect()
    }

    /// `T` `[m, p]` with `T' K T = I` for the kernel K of the landmarks.
    fn whitening(&self) -> Array2<f64> {
        let z = self.landmarks.view();
        let (values, vectors) = eigen(&gaussian(squared_distances(z, z), self.bandwidth));
        let largest = values.iter().fold(0f64, |a, v| a.max(*v));
        let kept: Vec<usize> = (0..values.len())
            .filter(|i| values[*i] > NEGLIGIBLE * largest)
            .collect();
        vectors.select(Axis(1), &kept) / values.select(Axis(0), &kept).mapv(f64::sqrt)
    }

    fn solve(&self, moments: &Moments, whitening: &Array2<f64>, ridges: &[f64]) -> Vec<Fitted> {
        let mut normal = match self.kind {
            Kind::Free => moments.free(),
            Kind::Gradient => moments.gradient(self),
        };
        normal.energy += self.slope;
        let scaled = &normal.cross / &normal.energy;
        let gram = &normal.gram - scaled.dot(&normal.cross.t());
        let right = &normal.right - scaled.dot(&normal.target);
        let (values, vectors) = eigen(&whitening.t().dot(&gram).dot(whitening));
        let basis = whitening.dot(&vectors);
        let right = basis.t().dot(&right);
        ridges
            .iter()
            .map(|ridge| {
                let shrunk = (&values.mapv(|v| v.max(0.0)) + *ridge).insert_axis(Axis(1));
                let bumps = basis.dot(&(&right / &shrunk));
                let energy = normal.energy.view().insert_axis(Axis(1));
                let slopes = (&normal.target - &normal.cross.t().dot(&bumps)) / energy;
                self.field(moments, &normal, bumps, slopes)
            })
            .collect()
    }

    fn field(
        &self,
        moments: &Moments,
        normal: &Normal,
        bumps: Array2<f64>,
        slopes: Array2<f64>,
    ) -> Fitted {
        let d = moments.x.len();
        let axes = &normal.axes;
        let (linear, offset, weights) = match self.kind {
            Kind::Free => {
                let offset = normal.means.t().dot(&bumps).row(0).to_owned();
                (axes.dot(&slopes).reversed_axes(), offset, bumps)
            }
            Kind::Gradient => {
                let slopes = slopes.into_shape_with_order((d, d)).expect("d x d slopes");
                let offset = bumps.t().dot(&normal.means).row(0).to_owned();
                let radial = bumps / self.bandwidth;
                let weights = concatenate![Axis(1), -(&self.landmarks * &radial), radial];
                (axes.dot(&slopes).dot(&axes.t()), offset, weights)
            }
        };
        let constant = (&moments.v - &linear.dot(&moments.x)) / moments.mass - offset;
        Fitted {
            constant,
            linear,
            weights,
        }
    }
}

impl Fitted {
    /// The field at points `[n, d]` whose bumps are `k` `[n, m]`.
    fn at(&self, x: ArrayView2<f64>, k: &Array2<f64>) -> Array2<f64> {
        let d = x.ncols();
        let bumps = k.dot(&self.weights);
        let mut out = x.dot(&self.linear.t()) + &self.constant + bumps.slice(s![.., ..d]);
        if bumps.ncols() > d {
            out += &(&x * &bumps.slice(s![.., d..]));
        }
        out
    }
}

/// Weighted sums over points of the products in the normal equations. `k` stands for the bumps. The
/// products of x with itself are the upper triangle, row by row.
#[derive(Clone)]
struct Moments {
    mass: f64,
    x: Array1<f64>,
    v: Array1<f64>,
    xx: Array2<f64>,
    vx: Array2<f64>,
    k: Array1<f64>,
    kx: Array2<f64>,
    kv: Array2<f64>,
    kk: Array2<f64>,
    /// `k_m v.x`, `k_m x x` and `|x - z_m|^2 k_m k_n`, which only a gradient needs.
    kvx: Array1<f64>,
    kxx: Array2<f64>,
    rkk: Array2<f64>,
}

impl Moments {
    fn zeros(kind: Kind, (m, d): (usize, usize)) -> Self {
        let (pairs, rows) = match kind {
            Kind::Free => (0, 0),
            Kind::Gradient => (d * (d + 1) / 2, m),
        };
        Self {
            mass: 0.0,
            x: Array1::zeros(d),
            v: Array1::zeros(d),
            xx: Array2::zeros((d, d)),
            vx: Array2::zeros((d, d)),
            k: Array1::zeros(m),
            kx: Array2::zeros((m, d)),
            kv: Array2::zeros((m, d)),
            kk: Array2::zeros((m, m)),
            kvx: Array1::zeros(rows),
            kxx: Array2::zeros((rows, pairs)),
            rkk: Array2::zeros((rows, rows)),
        }
    }

    fn add(
        &mut self,
        model: &Model,
        x: ArrayView2<f64>,
        v: ArrayView2<f64>,
        weights: ArrayView1<f64>,
    ) {
        let w = weights.insert_axis(Axis(1));
        let (wx, wv) = (&x * &w, &v * &w);
        self.mass += weights.sum();
        self.x += &wx.sum_axis(Axis(0));
        self.v += &wv.sum_axis(Axis(0));
        self.xx += &wx.t().dot(&x);
        self.vx += &wv.t().dot(&x);
        if model.landmarks.is_empty() {
            return;
        }
        let squares = squared_distances(x, model.landmarks.view());
        let k = gaussian(squares.clone(), model.bandwidth);
        let wk = &k * &w;
        self.k += &wk.sum_axis(Axis(0));
        general_mat_mul(1.0, &wk.t(), &x, 1.0, &mut self.kx);
        general_mat_mul(1.0, &wk.t(), &v, 1.0, &mut self.kv);
        general_mat_mul(1.0, &wk.t(), &k, 1.0, &mut self.kk);
        if model.kind == Kind::Gradient {
            self.kvx += &wk.t().dot(&(&v * &x).sum_axis(Axis(1)));
            let mut pairs = Array2::zeros((x.nrows(), self.kxx.ncols()));
            for (row, mut out) in x.outer_iter().zip(pairs.outer_iter_mut()) {
                let mut out = out.iter_mut();
                for a in 0..row.len() {
                    for b in a..row.len() {
                        *out.next().expect("a pair") = row[a] * row[b];
                    }
                }
            }
            general_mat_mul(1.0, &wk.t(), &pairs, 1.0, &mut self.kxx);
            general_mat_mul(1.0, &(wk * squares).t(), &k, 1.0, &mut self.rkk);
        }
    }

    fn sum<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut parts = parts.cloned();
        let first = parts.next().expect("two folds or more");
        parts.fold(first, |a, b| Self {
            mass: a.mass + b.mass,
            x: a.x + b.x,
            v: a.v + b.v,
            xx: a.xx + b.xx,
            vx: a.vx + b.vx,
            k: a.k + b.k,
            kx: a.kx + b.kx,
            kv: a.kv + b.kv,
            kk: a.kk + b.kk,
            kvx: a.kvx + b.kvx,
            kxx: a.kxx + b.kxx,
            rkk: a.rkk + b.rkk,
        })
    }

    /// Eigenvalues and eigenvectors of the covariance of x, and `E[(v - Ev) (x - Ex)']` in that
    /// basis of x.
    fn slopes(&self) -> (Array1<f64>, Array2<f64>, Array2<f64>) {
        let (x, v) = (&self.x / self.mass, &self.v / self.mass);
        let (values, axes) = eigen(&(&self.xx / self.mass - outer(&x, &x)));
        let with = (&self.vx / self.mass - outer(&v, &x)).dot(&axes);
        (values.mapv(|l| l.max(0.0)), axes, with)
    }

    fn free(&self) -> Normal {
        let (energy, axes, with) = self.slopes();
        let k = &self.k / self.mass;
        let (x, v) = (&self.x / self.mass, &self.v / self.mass);
        Normal {
            gram: &self.kk / self.mass - outer(&k, &k),
            right: &self.kv / self.mass - outer(&k, &v),
            cross: (&self.kx / self.mass - outer(&k, &x)).dot(&axes),
            target: with.reversed_axes(),
            energy,
            means: k.insert_axis(Axis(1)),
            axes,
        }
    }

    /// Linear features are the d^2 entries of S in the eigenbasis. The entries (a, b) and (b, a)
    /// are equal, with `E|S x|^2 = sum_ab S_ab^2 (l_a + l_b) / 2`.
    fn gradient(&self, model: &Model) -> Normal {
        let (m, d) = model.landmarks.dim();
        let (values, axes, with) = self.slopes();
        let x = &self.x / self.mass;
        let v = &self.v / self.mass;
        let (z, h) = (&model.landmarks, model.bandwidth);
        let scale = self.mass * h;
        let k = self.k.view().insert_axis(Axis(1));
        let radial = &self.kx - &(z * &k);

        let mut cross = Array2::zeros((m, d * d));
        let mut product = Array2::zeros((d, d));
        for (i, out) in cross.outer_iter_mut().enumerate() {
            let mut pairs = self.kxx.row(i).into_iter();
            for a in 0..d {
                for b in a..d {
                    let value = *pairs.next().expect("a pair");
                    product[[a, b]] = value;
                    product[[b, a]] = value;
                }
            }
            product -= &outer(&z.row(i).to_owned(), &self.kx.row(i).to_owned());
            product -= &outer(&radial.row(i).to_owned(), &x);
            symmetric(&(axes.t().dot(&product).dot(&axes) / scale))
                .assign_to(out.into_shape_with_order((d, d)).expect("d x d entries"));
        }
        let means = &radial / scale;
        let between = squared_distances(z.view(), z.view());
        let gram = (&self.rkk + &self.rkk.t() - between * &self.kk) / (2.0 * h * scale)
            - means.dot(&means.t());
        let right = (&self.kvx - &(&self.kv * z).sum_axis(Axis(1))) / scale - means.dot(&v);
        let target = symmetric(&axes.t().dot(&with));
        Normal {
            gram,
            right: right.insert_axis(Axis(1)),
            cross,
            target: target
                .into_shape_with_order((d * d, 1))
                .expect("d x d entries"),
            energy: Array1::from_shape_fn(d * d, |i| 0.5 * (values[i / d] + values[i % d])),
            means,
            axes,
        }
    }
}

/// The normal equations of m bumps and q linear features for p outputs, about the means.
struct Normal {
    /// `[m, m]`
    gram: Array2<f64>,
    /// `[m, p]`
    right: Array2<f64>,
    /// Of bumps and linear features, `[m, q]`.
    cross: Array2<f64>,
    /// Of linear features and velocities, `[q, p]`.
    target: Array2<f64>,
    /// Of linear features with themselves, `[q]`, because they are uncorrelated.
    energy: Array1<f64>,
    /// The means of the bumps, `[m, 1]`, or of their gradients, `[m, d]`.
    means: Array2<f64>,
    /// The eigenvectors of the covariance of x, `[d, d]`.
    axes: Array2<f64>,
}

/// A few rows of a fold, which bounds the memory.
fn blocks(sample: &Sample, fold: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let rows = sample.folds[fold].clone();
    let end = rows.end;
    rows.step_by(BLOCK).map(move |i| i..(i + BLOCK).min(end))
}

fn spacing(landmarks: &Array2<f64>) -> f64 {
    let mut squares = squared_distances(landmarks.view(), landmarks.view());
    squares.diag_mut().fill(f64::INFINITY);
    let nearest = squares.fold_axis(Axis(1), f64::INFINITY, |a, b| a.min(*b));
    nearest
        .mapv(f64::sqrt)
        .mean()
        .expect("two landmarks or more")
}

fn outer(a: &Array1<f64>, b: &Array1<f64>) -> Array2<f64> {
    &a.view().insert_axis(Axis(1)) * b
}

fn symmetric(a: &Array2<f64>) -> Array2<f64> {
    (a + &a.t()) / 2.0
}

/// Eigenvalues `[n]` and eigenvectors (the columns of `[n, n]`) of a symmetric matrix.
fn eigen(a: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let n = a.nrows();
    if n == 0 {
        return (Array1::zeros(0), Array2::zeros((0, 0)));
    }
    let eigen = SymmetricEigen::new(DMatrix::from_fn(n, n, |i, j| a[[i, j]]));
    let vectors =
        ArrayView2::from_shape((n, n).f(), eigen.eigenvectors.as_slice()).expect("n x n entries");
    (
        eigen.eigenvalues.iter().copied().collect(),
        vectors.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::cloud::Cloud;

    /// At the solution the objective, evaluated point by point as at the head of this file, must be
    /// stationary.
    #[test]
    fn the_fit_is_the_minimum_of_the_objective() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (n, d, m) = (60, 3, 8);
        let mut normal = |n, d| -> Array2<f64> {
            Array2::from_shape_simple_fn((n, d), || StandardNormal.sample(&mut rng))
        };
        let weights = normal(n, 1).column(0).mapv(f64::exp);
        let cloud = Cloud::weighted(normal(n, d), weights).unwrap();
        let (velocities, push) = (normal(n, d), normal(d * (2 + d) + m * d, 1));
        let sample = Sample::new(&cloud, &velocities, &mut rng).unwrap();
        let z = sample.points.slice(s![..m, ..]).to_owned();
        for kind in [Kind::Free, Kind::Gradient] {
            let model = Model {
                kind,
                landmarks: z.clone(),
                bandwidth: 0.5,
                slope: 0.02,
                ridge: 0.03,
            };
            let fit = model.fit(&sample);
            let radial = match kind {
                Kind::Free => Array2::zeros((m, 0)),
                Kind::Gradient => fit.weights.slice(s![.., d..]).to_owned() * 0.5,
            };
            let objective = |step: f64| {
                let move_ = |a: &Array2<f64>, from: usize| {
                    let change = push.column(0);
                    let change = change.slice(s![from..from + a.len()]).to_owned();
                    a + &(change.into_shape_with_order(a.dim()).unwrap() * step)
                };
                let c = move_(&fit.constant.clone().insert_axis(Axis(0)), 0);
                let mut b = move_(&fit.linear, d);
                let a = match kind {
                    Kind::Free => move_(&fit.weights, d + d * d),
                    Kind::Gradient => {
                        b = symmetric(&b);
                        move_(&radial, d + d * d)
                    }
                };
                let k = |x: ArrayView1<f64>, i: usize| {
                    let r = &x - &z.row(i);
                    (-r.dot(&r) / (2.0 * 0.25)).exp()
                };
                let mut total = 0.02 * b.mapv(|v| v * v).sum();
                for i in 0..m {
                    for j in 0..m {
                        total += 0.03 * a.row(i).dot(&a.row(j)) * k(z.row(i), j);
                    }
                }
                for i in 0..n {
                    let x = sample.points.row(i);
                    let mut f = &c.row(0) + &b.dot(&x);
                    for j in 0..m {
                        match kind {
                            Kind::Free => f.scaled_add(k(x, j), &a.row(j)),
                            Kind::Gradient => {
                                f.scaled_add(a[[j, 0]] * k(x, j) / 0.5, &(&x - &z.row(j)))
                            }
                        }
                    }
                    let miss = &f - &sample.velocities.row(i);
                    total += sample.weights[i] * miss.dot(&miss);
                }
                total
            };
            let (down, here, up) = (objective(-1e-4), objective(0.0), objective(1e-4));
            let curvature = up + down - 2.0 * here;
            assert!(curvature > 1e-9);
            assert!(
                (up - down).abs() < 1e-3 * curvature,
                "{kind:?} {down} {here} {up}"
            );
        }
    }
}

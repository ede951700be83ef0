//! How much a velocity is charged for at a point: more away from the data.

use ndarray::{Array1, Array2};
use rand::{Rng, RngExt, seq::SliceRandom};

use crate::cloud::Cloud;

/// Up to so many columns the metric is that of LAND.
const FEW_COLUMNS: usize = 10;
/// The most points that LAND sums over, drawn evenly from the snapshots.
const LAND_POINTS: usize = 500;
/// The most points that centres are found from.
const POINTS: usize = 4000;

/// A diagonal metric `M(x)`, in units of the spread of the data.
pub(super) enum Ground {
    /// `M_d = (sum_i w_i (x_i - x)_d^2 + rho)^(-alpha)` with `w_i = exp(-|x_i - x|^2 / 2 s^2)`.
    Land {
        points: Vec<Vec<f64>>,
        /// 1 / s^2, rho and alpha.
        settings: [f64; 3],
    },
    /// `M_d = 1 / (h + eps)` with `h = sum_k W_k exp(-lambda_k |x - c_k|^2 / 2)`.
    Basis {
        centers: Vec<Vec<f64>>,
        /// W_k and lambda_k.
        bumps: Vec<[f64; 2]>,
        eps: f64,
    },
}

impl Ground {
    /// With the published settings: s = 0.125, rho = 0.001, alpha = 2; 150 centers by k-means,
    /// lambda = 0.5 / (1.5 sigma)^2, eps = 0.001.
    pub(super) fn of(
        clouds: &[Cloud],
        center: &Array1<f64>,
        scale: &Array1<f64>,
        rng: &mut dyn Rng,
    ) -> Self {
        let few = clouds[0].dimension() <= FEW_COLUMNS;
        let most = if few { LAND_POINTS } else { POINTS };
        let mut points = vec![];
        for cloud in clouds {
            let mut rows: Vec<usize> = (0..cloud.len()).collect();
            rows.shuffle(rng);
            for row in rows.into_iter().take(most.div_ceil(clouds.len())) {
                points.push(((&cloud.point(row) - center) / scale).to_vec());
            }
        }
        if few {
            let settings = [1.0 / (0.125 * 0.125), 0.001, 2.0];
            return Self::Land { points, settings };
        }
        let (centers, sigmas) = k_means(&points, 150, rng);
        let lambdas: Vec<f64> = sigmas
            .iter()
            .map(|sigma| 0.5 / (1.5 * sigma).powi(2))
            .collect();
        let weights = weights_for_one(&points, &centers, &lambdas);
        Self::Basis {
            centers,
            bumps: weights.into_iter().zip(lambdas).map(Into::into).collect(),
            eps: 0.001,
        }
    }

    /// `sum_d v_d^2 M_d(x)`; its derivatives go to `dx` and `dv`.
    pub(super) fn charge(&self, x: &[f64], v: &[f64], dx: &mut [f64], dv: &mut [f64]) -> f64 {
        dx.fill(0.0);
        let mut total = 0.0;
        match self {
            Self::Land { points, settings } => {
                let [sharpness, rho, alpha] = *settings;
                let mut near: Vec<(f64, &Vec<f64>)> = vec![];
                let mut h = vec![rho; x.len()];
                for point in points {
                    let weight = (-0.5 * sharpness * squared(point, x)).exp();
                    if weight > 1e-12 {
                        near.push((weight, point));
                        for ((h, p), x) in h.iter_mut().zip(point).zip(x) {
                            *h += weight * (p - x) * (p - x);
                        }
                    }
                }
                // v_d^2 times the derivative of M_d in its sum.
                let mut slopes = vec![0.0; x.len()];
                for d in 0..x.len() {
                    let m = h[d].powf(-alpha);
                    total += v[d] * v[d] * m;
                    dv[d] = 2.0 * v[d] * m;
                    slopes[d] = -alpha * v[d] * v[d] * m / h[d];
                }
                for (weight, point) in near {
                    let sum: f64 = (0..x.len())
                        .map(|d| slopes[d] * (point[d] - x[d]).powi(2))
                        .sum();
                    for d in 0..x.len() {
                        let off = point[d] - x[d];
                        dx[d] += weight * off * (sharpness * sum - 2.0 * slopes[d]);
                    }
                }
            }
            Self::Basis {
                centers,
                bumps,
                eps,
            } => {
                let mut h = *eps;
                let mut slope = vec![0.0; x.len()];
                for (center, [weight, lambda]) in centers.iter().zip(bumps) {
                    let bump = weight * (-0.5 * lambda * squared(center, x)).exp();
                    h += bump;
                    for ((slope, c), x) in slope.iter_mut().zip(center).zip(x) {
                        *slope += bump * lambda * (c - x);
                    }
                }
                let speed: f64 = v.iter().map(|v| v * v).sum();
                total = speed / h;
                for d in 0..x.len() {
                    dv[d] = 2.0 * v[d] / h;
                    dx[d] = -speed / (h * h) * slope[d];
                }
            }
        }
        total
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// At most `count` centers by Lloyd's algorithm, and the root mean squared distance of the points of
/// each, at least a hundredth of the mean one.
fn k_means(points: &[Vec<f64>], count: usize, rng: &mut dyn Rng) -> (Vec<Vec<f64>>, Vec<f64>) {
    const ROUNDS: usize = 20;
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.shuffle(rng);
    let mut centers: Vec<Vec<f64>> = order
        .into_iter()
        .take(count)
        .map(|i| points[i].clone())
        .collect();
    let mut spreads = vec![0.0; centers.len()];
    for _ in 0..ROUNDS {
        let d = centers[0].len();
        let mut sums = vec![vec![0.0; d]; centers.len()];
        let mut found = vec![[0.0; 2]; centers.len()];
        for point in points {
            let away = centers.iter().map(|center| squared(center, point));
            let (k, least) = away
                .enumerate()
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .expect("there is a center");
            found[k][0] += 1.0;
            found[k][1] += least;
            for (sum, x) in sums[k].iter_mut().zip(point) {
                *sum += x;
            }
        }
        for (k, sum) in sums.into_iter().enumerate() {
            let [members, away] = found[k];
            if members > 0.0 {
                centers[k] = sum.into_iter().map(|sum| sum / members).collect();
                spreads[k] = (away / members).sqrt();
            } else {
                // No point is nearest to it: it starts again at one of them.
                centers[k] = points[rng.random_range(0..points.len())].clone();
                spreads[k] = 0.0;
            }
        }
    }
    let mean = spreads.iter().sum::<f64>() / spreads.len() as f64;
    let least = if mean > 0.0 { 0.01 * mean } else { 1.0 };
    (centers, spreads.into_iter().map(|s| s.max(least)).collect())
}

/// Weights of at least 0 for which the sum of bumps is near 1 at the points, in least squares, by
/// multiplicative updates (Lee and Seung 2000).
fn weights_for_one(points: &[Vec<f64>], centers: &[Vec<f64>], lambdas: &[f64]) -> Vec<f64> {
    const ROUNDS: usize = 200;
    let bumps = Array2::from_shape_fn((points.len(), centers.len()), |(i, k)| {
        (-0.5 * lambdas[k] * squared(&points[i], &centers[k])).exp()
    });
    let target = bumps.sum_axis(ndarray::Axis(0));
    let gram = bumps.t().dot(&bumps);
    let mut weights = Array1::<f64>::ones(centers.len());
    for _ in 0..ROUNDS {
        let reached = gram.dot(&weights);
        for (weight, (target, reached)) in weights.iter_mut().zip(target.iter().zip(&reached)) {
            *weight *= target / reached.max(1e-300);
        }
    }
    weights.to_vec()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    fn gaussian(n: usize, d: usize) -> Vec<Cloud> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let points = Array2::from_shape_simple_fn((n, d), || rng.sample::<f64, _>(StandardNormal));
        vec![Cloud::new(points).unwrap()]
    }

    fn of(d: usize) -> Ground {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        Ground::of(
            &gaussian(800, d),
            &Array1::zeros(d),
            &Array1::ones(d),
            &mut rng,
        )
    }

    /// Against differences, and more away from the data than in their middle.
    #[test]
    fn derivatives_are_right() {
        for d in [2, 12] {
            let ground = of(d);
            let x: Vec<f64> = (0..d).map(|j| 0.3 - 0.05 * j as f64).collect();
            let v: Vec<f64> = (0..d).map(|j| 1.0 - 0.2 * j as f64).collect();
            let charge =
                |x: &[f64], v: &[f64]| ground.charge(x, v, &mut vec![0.0; d], &mut vec![0.0; d]);
            let (mut dx, mut dv) = (vec![0.0; d], vec![0.0; d]);
            let here = ground.charge(&x, &v, &mut dx, &mut dv);
            for j in 0..d {
                let h = 1e-6;
                let moved = |a: &[f64], by: f64| {
                    let mut a = a.to_vec();
                    a[j] += by;
                    a
                };
                let in_x = (charge(&moved(&x, h), &v) - charge(&moved(&x, -h), &v)) / (2.0 * h);
                let in_v = (charge(&x, &moved(&v, h)) - charge(&x, &moved(&v, -h))) / (2.0 * h);
                assert!((dx[j] - in_x).abs() < 1e-4 * here, "{d}: {} {in_x}", dx[j]);
                assert!((dv[j] - in_v).abs() < 1e-6 * here, "{d}: {} {in_v}", dv[j]);
            }
            let away = vec![6.0; d];
            assert!(charge(&away, &v) > 10.0 * here);
        }
    }

    /// By numpy: one point at the origin, s, rho and alpha as published, x = (0.1, 0.05), v = (1, 2):
    /// w = exp(-0.0125 / 0.03125) = exp(-0.4), M = (w 0.01 + 0.001)^-2, (w 0.0025 + 0.001)^-2.
    #[test]
    fn land_is_the_formula() {
        let ground = Ground::Land {
            points: vec![vec![0.0, 0.0]],
            settings: [64.0, 0.001, 2.0],
        };
        let w = (-0.4f64).exp();
        let expected = (0.01 * w + 0.001).powi(-2) + 4.0 * (0.0025 * w + 0.001).powi(-2);
        let got = ground.charge(&[0.1, 0.05], &[1.0, 2.0], &mut [0.0; 2], &mut [0.0; 2]);
        assert!((got / expected - 1.0).abs() < 1e-12, "{got} {expected}");
    }

    /// The bumps add up to about 1 where the data are.
    #[test]
    fn bumps_cover_the_data() {
        let Ground::Basis { centers, bumps, .. } = of(12) else {
            panic!("more than ten columns have bumps")
        };
        let clouds = gaussian(800, 12);
        let at = |i: usize| -> f64 {
            let x = clouds[0].point(i).to_vec();
            let terms = centers
                .iter()
                .zip(&bumps)
                .map(|(center, [weight, lambda])| {
                    weight * (-0.5 * lambda * squared(center, &x)).exp()
                });
            terms.sum()
        };
        let mean = (0..800).map(at).sum::<f64>() / 800.0;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
    }
}

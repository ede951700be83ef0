//! How much of a motion a gradient can follow.

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{
    ridge::{Kind, Model},
    sample::Sample,
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// Shares of the power of velocities, `sum_i w_i |V_i|^2`, that smooth fields explain at points
/// they were not fitted to, in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GradientFraction {
    /// The share that the best smooth gradient field explains.
    pub gradient: f64,
    /// The share that the best smooth field explains: the rest is noise, or finer than the data
    /// can show.
    pub field: f64,
}

impl GradientFraction {
    /// The share of the smooth motion that a gradient follows, `gradient / field`, at most 1;
    /// none if no smooth field explains anything.
    pub fn fraction(&self) -> Option<f64> {
        (self.field > 0.0).then(|| (self.gradient / self.field).min(1.0))
    }
}

/// How much of velocities `[n, d]` at the points of a cloud is a gradient.
///
/// The velocity of a gradient field cannot follow a cycle. Any field is, in one way, a gradient
/// plus a field with `div(q u) = 0` that leaves the population q as it is, and their powers add
/// up: `E|V|^2 = E|grad s|^2 + E|u|^2` (Helmholtz-Hodge decomposition in L2(q)). Here
/// [`gradient`](GradientFraction::gradient) estimates `E|grad s|^2 / E|V|^2` by ridge least squares
/// of a quadratic potential and Gaussian bumps, and [`field`](GradientFraction::field) the same for
/// a [`Smoother`](super::Smoother); both are `1 - sum w |V - fit|^2 / sum w |V|^2` over five
/// held-out folds, weighted as the cloud. [`GradientFraction::fraction`] near 1 says that an action
/// alone can follow the motion; near 0, that what moves goes round and needs a drift; and `field`
/// near 0, that the velocities are mostly noise, whatever the fraction.
///
/// It says what happens at these points and no more. Where the cloud shows only part of a cycle,
/// that part is a gradient. With few points (below a hundred or so, more with many columns) both
/// numbers are low and their quotient uncertain: try several seeds. The mean velocity counts as a
/// gradient. Velocities averaged over neighbouring points share their noise, which then counts as
/// motion.
///
/// ```
/// use actum::{cloud::Cloud, smooth::gradient_fraction};
/// use ndarray::{Array2, array};
///
/// let x = Array2::from_shape_fn((121, 2), |(i, j)| [i / 11, i % 11][j] as f64 - 5.0);
/// let v = x.dot(&array![[-1.0, 1.0], [-1.0, -1.0]]); // half goes inwards, half round
/// let found = gradient_fraction(&Cloud::new(x)?, &v, 0)?;
/// assert!((found.fraction().unwrap() - 0.5).abs() < 0.05);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// Velocities of another shape than the points, not finite, or all zero where the weight is
/// positive: there is no power to share. Fewer than 4 points of positive weight.
pub fn gradient_fraction(
    cloud: &Cloud,
    velocities: &Array2<f64>,
    seed: u64,
) -> Result<GradientFraction> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sample = Sample::new(cloud, velocities, &mut rng)?;
    let landmarks = sample.landmarks(&mut rng);
    let power = sample.power();
    ensure!(
        power > 0.0,
        Value,
        "all velocities are zero: there is no motion of which a share could be a gradient"
    );
    let explained = |kind| {
        let (_, error) = Model::choose(kind, &sample, &landmarks);
        (1.0 - error / power).clamp(0.0, 1.0)
    };
    Ok(GradientFraction {
        gradient: explained(Kind::Gradient),
        field: explained(Kind::Free),
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::error::ErrorKind;

    fn normal(n: usize, d: usize, seed: u64) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((n, d), || StandardNormal.sample(&mut rng))
    }

    fn fraction(x: &Array2<f64>, v: &Array2<f64>) -> GradientFraction {
        gradient_fraction(&Cloud::new(x.clone()).unwrap(), v, 0).unwrap()
    }

    #[test]
    fn of_a_linear_field_on_an_isotropic_gaussian_the_symmetric_part_is_the_gradient() {
        // E|A x|^2 = |A|_F^2, and x'Ax/2 has the gradient sym(A) x, to which skew(A) x is
        // orthogonal: it has no divergence and is tangent to spheres.
        let x = normal(4000, 2, 1);
        let a = array![[1.0, -2.0], [0.5, 0.3]];
        let symmetric = (&a + &a.t()) / 2.0;
        let square = |m: &Array2<f64>| m.mapv(|v| v * v).sum();
        let expected = square(&symmetric) / square(&a);
        let got = fraction(&x, &x.dot(&a.t()));
        assert!(got.field > 0.9999, "{got:?}");
        assert!(
            (got.gradient - expected).abs() < 0.02,
            "{got:?}, expected {expected}"
        );
    }

    #[test]
    fn of_a_rotation_on_an_anisotropic_gaussian_a_share_is_a_gradient() {
        // For N(0, C) the projection S x of A x has C^-1 (A - S) antisymmetric, so
        // S C + C S = A C + C A'. With C = diag(4, 1) and A = [[0, -1], [1, 0]] that is
        // S = 0.6 [[0, 1], [1, 0]], and tr(S C S) / tr(A C A') = 1.8 / 5.
        let x = normal(4000, 2, 2) * &array![2.0, 1.0];
        let got = fraction(&x, &x.dot(&array![[0.0, 1.0], [-1.0, 0.0]]));
        assert!((got.gradient - 0.36).abs() < 0.02, "{got:?}");
        assert!((got.fraction().unwrap() - 0.36).abs() < 0.02);
    }

    #[test]
    fn weights_make_the_population() {
        // Importance weights turn N(0, I) into N(0, diag(4, 1)) in the test above, reversed.
        let x = normal(6000, 2, 3) * 2.0;
        let weights = x.column(1).mapv(|y| (-0.5 * y * y * (1.0 - 0.25)).exp());
        let cloud = Cloud::weighted(x.clone(), weights).unwrap();
        let v = x.dot(&array![[0.0, 1.0], [-1.0, 0.0]]);
        let got = gradient_fraction(&cloud, &v, 0).unwrap();
        assert!((got.gradient - 0.36).abs() < 0.03, "{got:?}");
    }

    #[test]
    fn a_rotation_about_the_mean_is_no_gradient_and_a_translation_is() {
        let x = normal(3000, 2, 4) + &array![10.0, 20.0];
        let v = (&x - &array![10.0, 20.0]).dot(&array![[0.0, 3.0], [-3.0, 0.0]]);
        let got = fraction(&x, &v);
        assert!(got.gradient < 0.01 && got.field > 0.9999, "{got:?}");
        let got = fraction(&x, &(&v * 0.0 + &array![1.0, -2.0]));
        assert!(got.gradient > 0.999999, "{got:?}");
    }

    #[test]
    fn round_a_ring_nothing_is_a_gradient_and_along_an_arc_all_is() {
        let angle = |width: f64| Array1::from_shape_fn(1500, |i| width * i as f64 / 1500.0);
        let along = |angles: Array1<f64>| {
            let mut x = Array2::zeros((1500, 2));
            x.column_mut(0).assign(&angles.mapv(f64::cos));
            x.column_mut(1).assign(&angles.mapv(f64::sin));
            fraction(&x, &x.dot(&array![[0.0, 1.0], [-1.0, 0.0]]))
        };
        let ring = along(angle(std::f64::consts::TAU));
        assert!(ring.gradient < 0.01 && ring.field > 0.9999, "{ring:?}");
        let arc = along(angle(4.0));
        assert!(arc.fraction().unwrap() > 0.98, "{arc:?}");
    }

    #[test]
    fn the_gradient_of_a_potential_is_a_gradient_and_noise_is_set_apart() {
        // The potential sin(2 x) cos(y).
        let x = normal(3000, 2, 5);
        let mut v = x.clone();
        for mut row in v.outer_iter_mut() {
            let (a, b) = (row[0], row[1]);
            row[0] = 2.0 * (2.0 * a).cos() * b.cos();
            row[1] = -(2.0 * a).sin() * b.sin();
        }
        let clean = fraction(&x, &v);
        assert!(clean.gradient > 0.99 && clean.field > 0.99, "{clean:?}");
        // Noise of the power of v itself leaves half to be explained.
        let noise = v.mapv(|v| v * v).mean().unwrap().sqrt() * normal(3000, 2, 6);
        let noisy = fraction(&x, &(&v + &noise));
        assert!((noisy.gradient - 0.5).abs() < 0.04, "{noisy:?}");
        assert!(noisy.fraction().unwrap() > 0.95, "{noisy:?}");
    }

    #[test]
    fn in_five_dimensions_with_noise_the_parts_are_told_apart() {
        let x = normal(3000, 5, 7);
        let mut a = Array2::<f64>::eye(5);
        for i in 0..4 {
            a[[i, i + 1]] = -2.0;
            a[[i + 1, i]] = 2.0;
        }
        // |sym A|^2 / |A|^2 = 5 / (5 + 8 * 4).
        let got = fraction(&x, &(x.dot(&a.t()) + 2.0 * normal(3000, 5, 8)));
        assert!(
            (got.fraction().unwrap() - 5.0 / 37.0).abs() < 0.03,
            "{got:?}"
        );
        let explained = 37.0 / (37.0 + 5.0 * 4.0);
        assert!(
            (got.field - explained).abs() < 0.03,
            "{got:?}, expected {explained}"
        );
    }

    #[test]
    fn noise_alone_has_no_fraction_worth_the_name_and_rest_is_an_error() {
        let x = normal(500, 2, 9);
        let got = fraction(&x, &normal(500, 2, 10));
        assert!(got.field < 0.03 && got.gradient < 0.03, "{got:?}");
        let none = GradientFraction {
            gradient: 0.0,
            field: 0.0,
        };
        assert_eq!(none.fraction(), None);
        let error = gradient_fraction(&Cloud::new(x).unwrap(), &Array2::zeros((500, 2)), 0);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Value);
    }
}

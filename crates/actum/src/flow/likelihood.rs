//! The likelihood of points: the density along the flow.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Scheme, integrate};
use crate::{
    action::rademacher,
    dynamics::Dynamics,
    error::{Result, ensure},
};

/// How the trace of a Jacobian is computed, such as the divergence of a velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceEstimator {
    /// Exactly, as the sum over the d coordinate directions.
    Exact,
    /// By one product with random signs for every point (Hutchinson 1989): unbiased, at the cost of
    /// one direction.
    Hutchinson {
        /// The seed of the signs.
        seed: u64,
    },
}

/// `log q_t(x)` at time `t` of every point, `[n, d]`. `base` gives the log density of points `[n,
/// d]` at time `base_time`, such as that of the prior of a generative path.
///
/// Points are moved back to the base along the flow, on which `d log q / dt = -div v + lambda s`
/// (Chen et al., *Neural ordinary differential equations*, 2018, theorem 1; docs/mathematics.md,
/// section 10). With growth, `q` is the density times the mass. Densities are per unit of volume of
/// the user's coordinates.
///
/// # Errors
/// Points of another dimension, times outside of the learned span, noise (its densities do not
/// follow the flow; fit without noise), a base that does not return one value per point, and errors
/// of [`integrate`].
pub fn log_density(
    dynamics: &Dynamics,
    points: &Array2<f64>,
    t: f64,
    base_time: f64,
    base: impl Fn(&Array2<f64>) -> Array1<f64>,
    divergence: TraceEstimator,
    scheme: Scheme,
) -> Result<Array1<f64>> {
    dynamics.check(points)?;
    ensure!(
        !dynamics.lagrangian.is_noisy(),
        Setting,
        "a dynamics with noise has no density along its flow; fit the same population without noise"
    );
    let units = &dynamics.units;
    units.check_times([&t, &base_time])?;
    let (n, d) = points.dim();
    let probes = match divergence {
        TraceEstimator::Exact => None,
        TraceEstimator::Hutchinson { seed } => {
            Some(rademacher((n, d), &mut ChaCha8Rng::seed_from_u64(seed)))
        }
    };
    let evaluator = dynamics.evaluator();
    let grows = dynamics.lagrangian.grows();
    let state = concatenate![
        Axis(1),
        units.points_in(points.view()),
        Array2::zeros((n, 1))
    ];
    let field = |t: f64, state: &Array2<f64>| {
        let points = state.slice(s![.., ..d]).as_standard_layout().into_owned();
        let (values, gradients) = evaluator.local(t, &points);
        let mut change = -evaluator.divergence(t, &points, &gradients, probes.as_ref());
        if grows {
            change += &(values * evaluator.scaled.growth(t));
        }
        let velocity = evaluator.total(t, &points, gradients);
        concatenate![Axis(1), velocity, change.insert_axis(Axis(1))]
    };
    let (start, end) = (units.time_in(t), units.time_in(base_time));
    let moved = integrate(field, &state, start, &[end], scheme)?.at(0);
    let at_base = units.points_out(moved.slice(s![.., ..d]));
    let known = base(&at_base);
    ensure!(
        known.len() == n,
        Shape,
        "the base density must give one value for each of {n} points, got {}",
        known.len()
    );
    // Moving back reverses the sign of the change of density.
    Ok(known - moved.column(d))
}

/// The log density of a standard Gaussian at points `[n, d]`: `[n]`.
pub fn standard_gaussian(points: &Array2<f64>) -> Array1<f64> {
    let constant = 0.5 * points.ncols() as f64 * std::f64::consts::TAU.ln();
    let squares = points.map_axis(Axis(1), |row| row.dot(&row));
    -0.5 * squares - constant
}

/// Adds uniform noise to levels 0 to 255, `[n, d]`: `(k + u) / 256` with u uniform in [0, 1). Whole
/// levels have no density (Uria et al. 2013).
pub fn dequantize(levels: ArrayView2<u8>, rng: &mut impl Rng) -> Array2<f64> {
    levels.map(|k| (f64::from(*k) + rng.random::<f64>()) / 256.0)
}

/// The bits per number, averaged over points with these log densities in `dimension` numbers, each
/// recorded in steps of `bin` (1/256 for [dequantized](dequantize) levels): `-(mean log q / d + log
/// bin) / log 2`. For dequantised data it is an upper bound on the code length of the levels (Theis
/// et al. 2016).
///
/// # Errors
/// No densities, a dimension of 0, or a bin that is not positive and finite.
pub fn bits_per_dimension(log_density: &Array1<f64>, dimension: usize, bin: f64) -> Result<f64> {
    ensure!(
        !log_density.is_empty() && dimension > 0,
        Shape,
        "bits per dimension need a density and a column, got {} and {dimension}",
        log_density.len()
    );
    ensure!(
        bin.is_finite() && bin > 0.0,
        Value,
        "the bin must be positive and finite, got {bin}"
    );
    let mean = log_density.sum() / log_density.len() as f64;
    Ok(-(mean / dimension as f64 + bin.ln()) / std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use rand_distr::StandardNormal;

    use super::*;
    use crate::{
        action::{Engine, Mlp, MlpEngine},
        gallery::gaussian::{Gaussian, Moments},
        lagrangian::{Cost, Drift, Lagrangian},
        units::Units,
    };

    fn moments(t: f64) -> Moments {
        Moments {
            mean: vec![t, 1.0 - t * t, 0.0],
            mean_rate: vec![1.0, -2.0 * t, 0.0],
            std_dev: 1.0 + t,
            std_dev_rate: 1.0,
        }
    }

    /// log N(m_t, std_dev^2) in the user's units, which are twice the oracle's and last 4.
    fn truth(t: f64, points: &Array2<f64>) -> Array1<f64> {
        let at = moments(t / 4.0);
        let mean = Array1::from(at.mean) * 2.0;
        let std_dev = 2.0 * at.std_dev;
        standard_gaussian(&((points - &mean) / std_dev)) - 3.0 * std_dev.ln()
    }

    fn points(n: usize) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        Array2::from_shape_simple_fn((n, 3), || 2.0 * rng.sample::<f64, _>(StandardNormal))
    }

    fn units() -> Units {
        Units::isotropic(vec![0.0; 3], 2.0, [0.0, 4.0]).unwrap()
    }

    const TIGHT: Scheme = Scheme::DormandPrince { tolerance: 1e-6 };

    #[test]
    fn a_gaussian_has_its_density() {
        let dynamics =
            Dynamics::new(Gaussian::new(3, moments), Lagrangian::kinetic(), units()).unwrap();
        let x = points(20);
        // The Hessian is a multiple of the identity, for which one probe is exact.
        for divergence in [
            TraceEstimator::Exact,
            TraceEstimator::Hutchinson { seed: 1 },
        ] {
            for (t, from) in [(4.0, 0.0), (1.0, 3.0)] {
                let base = |x: &Array2<f64>| truth(from, x);
                let found = log_density(&dynamics, &x, t, from, base, divergence, TIGHT).unwrap();
                let off = (found - truth(t, &x)).mapv(f64::abs);
                assert!(off.iter().all(|e| *e < 2e-3), "{off}");
            }
        }
    }

    #[test]
    fn growth_adds_to_the_density_of_mass() {
        let mass = |t: f64| [(0.7 * t).exp(), 0.7 * (0.7 * t).exp()];
        let lambda = 0.5;
        let dynamics = Dynamics::new(
            Gaussian::new(3, moments).under(0.0, lambda).with_mass(mass),
            Lagrangian::kinetic().growth(lambda / 4.0).unwrap(),
            units(),
        )
        .unwrap();
        let x = points(20);
        let base = |x: &Array2<f64>| truth(0.0, x);
        let exact = TraceEstimator::Exact;
        let found = log_density(&dynamics, &x, 4.0, 0.0, base, exact, TIGHT).unwrap();
        let off = (found - truth(4.0, &x) - 0.7).mapv(f64::abs);
        assert!(off.iter().all(|e| *e < 2e-3), "{off}");
    }

    #[test]
    fn the_divergence_is_that_of_the_velocity_for_every_cost_and_drift() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut network = MlpEngine::new(
            3,
            Mlp {
                width: 17,
                depth: 2,
            },
            &mut rng,
        )
        .unwrap();
        let mut arrays = network.unpack(network.parameters());
        for value in arrays.iter_mut().flat_map(|array| &mut array.values) {
            *value = 0.2 + 0.5 * *value;
        }
        let packed = network.pack(&arrays).unwrap();
        network.update(&mut |parameters, _| parameters.copy_from_slice(&packed));
        let metric = ndarray::array![[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]];
        let drift = Drift::function(|t, x, b| b.copy_from_slice(&[x[0] * x[1], t * x[1], x[0]]));
        for lagrangian in [
            Lagrangian::kinetic(),
            Lagrangian::new(Cost::power(1.5).unwrap()),
            Lagrangian::new(Cost::power(3.0).unwrap()),
            Lagrangian::new(Cost::metric(metric).unwrap()).drift(drift),
        ] {
            let dynamics = Dynamics::new(network.clone(), lagrangian, units()).unwrap();
            let evaluator = dynamics.evaluator();
            let (t, x) = (0.4, points(6) / 3.0);
            let gradients = evaluator.local(t, &x).1;
            let found = evaluator.divergence(t, &x, &gradients, None);
            let h = 1e-2;
            let mut expected = Array1::zeros(6);
            for j in 0..3 {
                let at = |h: f64| {
                    let mut moved = x.clone();
                    moved.column_mut(j).mapv_inplace(|x| x + h);
                    evaluator.velocity(t, &moved).column(j).to_owned()
                };
                expected += &((8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h));
            }
            let off = (&found - &expected).mapv(f64::abs);
            let size = expected.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
            assert!(off.iter().all(|e| *e < 1e-3 * size), "{found} {expected}");
        }
    }

    #[test]
    fn bits_are_those_of_the_code() {
        // A uniform density over [0, 1) needs 8 bits per byte.
        let bits = bits_per_dimension(&Array1::zeros(4), 7, 1.0 / 256.0).unwrap();
        assert!((bits - 8.0).abs() < 1e-12);
        // Levels 0 to 63 only, under their density of 4: 6 bits.
        let levels = Array2::from_shape_fn((50, 3), |(i, j)| ((i * 7 + j) % 64) as u8);
        let spread = dequantize(levels.view(), &mut ChaCha8Rng::seed_from_u64(0));
        assert!(spread.iter().all(|x| (0.0..0.25).contains(x)));
        let density = Array1::from_elem(50, 3.0 * 4f64.ln());
        assert!((bits_per_dimension(&density, 3, 1.0 / 256.0).unwrap() - 6.0).abs() < 1e-12);
        assert!(bits_per_dimension(&density, 0, 1.0).is_err());
        assert!(bits_per_dimension(&density, 3, 0.0).is_err());
    }

    #[test]
    fn noise_and_other_mistakes_are_refused() {
        let noisy = Lagrangian::kinetic().noise(0.5).unwrap();
        let make =
            |lagrangian| Dynamics::new(Gaussian::new(3, moments), lagrangian, units()).unwrap();
        let message = |dynamics: &Dynamics, t, base: &dyn Fn(&Array2<f64>) -> Array1<f64>| {
            log_density(
                dynamics,
                &points(2),
                t,
                0.0,
                base,
                TraceEstimator::Exact,
                TIGHT,
            )
            .unwrap_err()
            .to_string()
        };
        assert!(message(&make(noisy), 1.0, &standard_gaussian).contains("noise"));
        let plain = make(Lagrangian::kinetic());
        assert!(message(&plain, 5.0, &standard_gaussian).contains("[0, 4]"));
        assert!(message(&plain, 1.0, &|_| Array1::zeros(1)).contains("2 points, got 1"));
    }
}

use ndarray::Array1;

use super::{
    Ground, Plan,
    sinkhorn::{Potentials, sinkhorn},
};
use crate::{cloud::Cloud, error::Result};

/// The result of [`entropic`]: `P_ij = a_i b_j exp((f_i + g_j - c_ij) / epsilon)`.
#[derive(Debug, Clone)]
pub struct Entropic {
    potentials: Potentials,
    cost: f64,
    value: f64,
}

/// Entropic optimal transport, `min_P <P, c> + epsilon KL(P | a b')` over the couplings of two
/// clouds (Cuturi, 2013), with `epsilon` in the units of the cost.
///
/// The method is Sinkhorn's iteration on the potentials, in the log domain, with epsilon decreasing
/// to its final value (Schmitzer, *Stabilized sparse scaling algorithms*, 2019, section 3).
/// Anderson's extrapolation from the last 12 iterations (Walker & Ni, *Anderson acceleration for
/// fixed-point iterations*, 2011) is undone where it lowers the dual objective. The iteration stops
/// when the column sums of P are accurate to 1e-9 in total; the row sums are accurate to rounding.
/// Memory is O(n + m); an iteration computes n m exponentials.
///
/// ```
/// use actum::{cloud::Cloud, transport::{Ground, entropic}};
/// use ndarray::array;
///
/// let a = Cloud::new(array![[0.0], [1.0]])?;
/// let coupling = entropic(&a, &a, Ground::SquaredEuclidean, 1.0)?;
/// // The plan is [[p, q], [q, p]] with q / p = exp(-1).
/// let q = 0.5 / (1.0 + 1f64.exp());
/// assert!((coupling.cost() - 2.0 * q).abs() < 1e-9);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// Clouds of different dimension (`Shape`); an epsilon that is not finite and positive (`Setting`);
/// distances that overflow (`Value`); no convergence (`Diverged`), which a larger epsilon avoids.
pub fn entropic(a: &Cloud, b: &Cloud, ground: Ground, epsilon: f64) -> Result<Entropic> {
    let potentials = sinkhorn(a, b, ground, epsilon, f64::INFINITY)?;
    let mean = |weights: &Array1<f64>, f: &Array1<f64>| -> f64 {
        let terms = weights.iter().zip(f).map(|(w, f)| w * f);
        terms.sum()
    };
    let value = mean(&potentials.p, &potentials.f) + mean(&potentials.q, &potentials.g);
    let cost = potentials.mass_and_cost().1;
    Ok(Entropic {
        potentials,
        cost,
        value,
    })
}

impl Entropic {
    /// The potential of the first cloud, `[n]`. Together with [`g`](Self::g) it is unique up to a
    /// constant added to one and subtracted from the other.
    pub fn f(&self) -> &Array1<f64> {
        &self.potentials.f
    }

    /// The potential of the second cloud, `[m]`.
    pub fn g(&self) -> &Array1<f64> {
        &self.potentials.g
    }

    /// The cost of the transport alone, `<P, c>`.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// The minimum, `<P, c> + epsilon KL(P | a b')`, which is `<a, f> + <b, g>`.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The coupling P without its negligible entries.
    ///
    /// An entry is dropped if its mass is below both `1e-9 a_i / m` and `1e-9 b_j / n`. The dropped
    /// mass is below 1e-9, and the rest is divided by its sum. With a large epsilon all n m entries
    /// stay. Every point of positive weight keeps a partner.
    ///
    /// # Errors
    /// None for clouds that [`entropic`] accepted.
    pub fn plan(&self) -> Result<Plan> {
        self.potentials.plan(1.0)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::{
        error::ErrorKind,
        transport::{exact, tests::waves},
    };

    #[test]
    fn the_numbers_of_pot() {
        // POT 0.9.7: P = ot.sinkhorn(a, b, M, epsilon, method="sinkhorn_log", stopThr=1e-13), the
        // cost (P * M).sum() and the value with epsilon * (P * log(P / a b')).sum() added.
        let (a, b) = waves(40, 27);
        let expected = [
            (Ground::SquaredEuclidean, 0.5, 1.3268741592, 2.00311011439),
            (Ground::SquaredEuclidean, 0.02, 1.18770391045, 1.22813174925),
            (Ground::Euclidean, 0.1, 1.06351284899, 1.21206405911),
        ];
        for (ground, epsilon, cost, value) in expected {
            let found = entropic(&a, &b, ground, epsilon).unwrap();
            assert!(
                (found.cost() / cost - 1.0).abs() < 1e-8,
                "{} {cost}",
                found.cost()
            );
            assert!(
                (found.value() / value - 1.0).abs() < 1e-10,
                "{} {value}",
                found.value()
            );
        }
        let plan = entropic(&a, &b, Ground::SquaredEuclidean, 0.5)
            .unwrap()
            .plan()
            .unwrap();
        let first = plan.iter().next().unwrap();
        assert_eq!((first.0, first.1), (0, 0));
        assert!(
            (first.2 / 5.57111359748e-06 - 1.0).abs() < 1e-7,
            "{first:?}"
        );
    }

    #[test]
    fn the_plan_keeps_the_marginals_and_the_cost() {
        let (a, b) = waves(70, 45);
        let found = entropic(&a, &b, Ground::SquaredEuclidean, 0.01).unwrap();
        let plan = found.plan().unwrap();
        assert!(plan.len() < 70 * 45 / 2, "{}", plan.len());
        let (rows, columns) = plan.marginals();
        let off = |got: Array1<f64>, cloud: &Cloud| {
            (got - cloud.weights() / cloud.mass()).mapv(f64::abs).sum()
        };
        assert!(off(rows, &a) < 3e-9 && off(columns, &b) < 3e-9);
        assert!((plan.cost() - found.cost()).abs() < 1e-8);
    }

    #[test]
    fn between_the_exact_and_the_independent_coupling() {
        let (a, b) = waves(40, 27);
        let exact = exact(&a, &b, Ground::SquaredEuclidean).unwrap().cost();
        let small = entropic(&a, &b, Ground::SquaredEuclidean, 1e-3).unwrap();
        assert!(small.cost() > exact && small.cost() < exact + 1e-3);
        let large = entropic(&a, &b, Ground::SquaredEuclidean, 1e6).unwrap();
        let spread = (a.mean() - b.mean()).mapv(|x| x * x).sum()
            + a.std_dev().mapv(|x| x * x).sum()
            + b.std_dev().mapv(|x| x * x).sum();
        assert!((large.cost() / spread - 1.0).abs() < 1e-5);
    }

    #[test]
    fn points_of_no_weight_get_no_mass() {
        let a = Cloud::weighted(array![[0.0], [5.0], [1.0]], array![1.0, 0.0, 1.0]).unwrap();
        let b = Cloud::weighted(array![[7.0], [1.0], [0.0]], array![0.0, 1.0, 1.0]).unwrap();
        let found = entropic(&a, &b, Ground::SquaredEuclidean, 1.0).unwrap();
        assert!((found.cost() - 1.0 / (1.0 + 1f64.exp())).abs() < 1e-9);
        assert!(found.f().iter().chain(found.g()).all(|x| x.is_finite()));
        let plan = found.plan().unwrap();
        assert!(plan.iter().all(|(i, j, _)| i != 1 && j != 0));
    }

    #[test]
    fn bad_settings_and_no_convergence_are_errors() {
        let (a, b) = waves(40, 27);
        for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = entropic(&a, &b, Ground::Euclidean, epsilon).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Setting);
        }
        let error = entropic(&a, &b, Ground::SquaredEuclidean, 1e-7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged);
        assert!(error.to_string().contains("raise epsilon"), "{error}");
    }
}

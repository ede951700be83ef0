use super::{
    Ground, Plan,
    sinkhorn::{Potentials, positive, sinkhorn},
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// What [`unbalanced`] found: `P_ij = s p_i q_j exp((f_i + g_j - c_ij) / epsilon)`.
#[derive(Debug, Clone)]
pub struct Unbalanced {
    potentials: Potentials,
    mass: f64,
    mean_cost: f64,
    value: f64,
}

/// Unbalanced entropic transport, in which mass may also be made and lost:
/// `min_P <P, c> + epsilon KL(P | s p q') + rho KL(P 1 | a) + rho KL(P' 1 | b)` over all
/// `P >= 0` (Chizat, Peyre, Schmitzer, Vialard, *Scaling algorithms for unbalanced optimal
/// transport problems*, 2018; Sejourne et al., *Sinkhorn divergences for unbalanced optimal
/// transport*, 2019).
///
/// `KL(x | y) = sum x log(x / y) - x + y`. Here a and b are the weights of the clouds as they are,
/// of mass A and B, and the entropy is relative to `s p q'` with `p = a / A`, `q = b / B` and
/// `s = sqrt(A B)`, that is to `a b' / s`. So the weights of both clouds times k make P times k and
/// change nothing else, and where nothing costs, P is `s p q'` for any epsilon and rho. Since
/// rho is that of both sides, P is s times the plan for p and q.
///
/// `epsilon` and the marginal penalty `rho` have the units of the cost. Mass that would have to go
/// much further than `c = rho` is lost rather than moved: between two single points, `s exp(-c /
/// (epsilon + 2 rho))` moves. The entropy has its price in mass too, small where epsilon is well
/// below rho. With a great rho the plan is s times the [entropic](super::entropic()) one.
///
/// The iteration of [`entropic`](super::entropic()), damped by `rho / (rho + epsilon)`, with
/// the constant in the potentials set to its best value each time (Sejourne, Vialard, Peyre,
/// *Faster unbalanced optimal transport: translation invariant Sinkhorn and 1-D Frank-Wolfe*, 2022,
/// section 3). It stops when the column sums are `b exp(-g / rho)`, up to the constant, to 1e-9
/// of the mass in total; the row sums are `a exp(-f / rho)` to rounding. Memory is O(n + m); an
/// iteration costs n m exponentials.
///
/// ```
/// use actum::{cloud::Cloud, transport::{Ground, unbalanced}};
/// use ndarray::array;
///
/// // One of two points is near its partner, the other far from everything.
/// let a = Cloud::new(array![[0.0], [9.0]])?;
/// let b = Cloud::new(array![[0.0], [-9.0]])?;
/// let plan = unbalanced(&a, &b, Ground::SquaredEuclidean, 0.01, 1.0)?.plan()?;
/// let (rows, _) = plan.marginals();
/// assert!(rows[0] > 0.49 && rows[1] < 1e-9);
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// # Errors
/// Clouds of different dimension (`Shape`); an epsilon or rho that is not finite and positive
/// (`Setting`); distances that overflow, or a mass that underflows because everything is out of
/// rho (`Value`); no convergence (`Diverged`), which a greater epsilon remedies.
pub fn unbalanced(
    a: &Cloud,
    b: &Cloud,
    ground: Ground,
    epsilon: f64,
    rho: f64,
) -> Result<Unbalanced> {
    ensure!(
        rho.is_finite() && rho > 0.0,
        Setting,
        "rho must be finite and positive, got {rho}"
    );
    let potentials = sinkhorn(a, b, ground, epsilon, rho)?;
    let (mass, cost) = potentials.mass_and_cost();
    let (root_a, root_b) = (a.mass().sqrt(), b.mass().sqrt());
    let scale = root_a * root_b;
    ensure!(
        mass * scale >= f64::MIN_POSITIVE,
        Value,
        "no mass is moved: every pair of points is too far apart for rho {rho:e}; raise rho"
    );
    // The dual objective, whose error is of second order in that of the potentials.
    let lost: f64 = [
        (&potentials.p, &potentials.f),
        (&potentials.q, &potentials.g),
    ]
    .into_iter()
    .flat_map(|(weights, f)| positive(weights).map(|(i, w)| -w * (-f[i] / rho).exp_m1()))
    .sum();
    let value = scale * (rho * lost + epsilon * (1.0 - mass)) + rho * (root_a - root_b).powi(2);
    Ok(Unbalanced {
        potentials,
        mass: mass * scale,
        mean_cost: cost / mass,
        value,
    })
}

impl Unbalanced {
    /// The mass of P: how much is moved, and neither made nor lost.
    pub fn mass(&self) -> f64 {
        self.mass
    }

    /// The mean cost of what is moved, `<P, c>` divided by the mass of P.
    pub fn mean_cost(&self) -> f64 {
        self.mean_cost
    }

    /// What was minimised, all four terms of it.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// P without its negligible entries; its [mass](Plan::mass) is that of P.
    ///
    /// An entry is dropped when its mass is below `1e-9 / m` of its row sum and below `1e-9 / n`
    /// of its column sum. Every point of positive weight keeps a partner, however little it moves:
    /// at least the smallest positive normal number, 2e-308.
    ///
    /// # Errors
    /// None for clouds that [`unbalanced`] accepted.
    pub fn plan(&self) -> Result<Plan> {
        self.potentials.plan(self.mass)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;
    use crate::{
        error::ErrorKind,
        transport::{entropic, tests::waves},
    };

    const SQUARE: Ground = Ground::SquaredEuclidean;

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got / want - 1.0).abs() < tolerance, "{got} {want}");
    }

    fn dirac(x: f64, mass: f64) -> Cloud {
        Cloud::weighted(array![[x]], array![mass]).unwrap()
    }

    #[test]
    fn the_numbers_of_pot() {
        // POT 0.9.7: P = s * ot.unbalanced.sinkhorn_unbalanced(a / s, b / s, M, epsilon, rho,
        // reg_type="kl", stopThr=1e-15) with s = sqrt(a.sum() * b.sum()), which makes its reference
        // a b' / s^2; then the four terms of the objective as documented, the sum of row 3 and
        // the sum of column 5. The masses are 120 and 40.5.
        let (a, b) = waves(40, 27);
        let line = Ground::Euclidean;
        #[rustfmt::skip]
        let expected = [
            (SQUARE, 0.5, 1.0, [36.4627930425, 0.838611012913, 104.19986751, 1.16983405975, 1.86049744828]),
            (SQUARE, 0.05, 0.2, [13.4326423224, 0.537469931315, 29.5409959665, 0.589791067468, 0.626144520229]),
            (SQUARE, 0.02, 5.0, [63.357876133, 0.808069910431, 169.048355152, 1.93959214685, 3.20896543066]),
            (SQUARE, 0.5, 200.0, [69.3682934031, 1.29726844527, 4352.85534216, 2.29915566729, 3.42371488272]),
            (SQUARE, 2.0, 0.05, [16.8214345072, 1.70749139612, 112.127387998, 0.523649920264, 0.792129158471]),
            (line, 0.1, 0.3, [16.2940850692, 0.799177455733, 43.7155104748, 0.586059601452, 0.823351555265]),
        ];
        for (ground, epsilon, rho, [mass, mean_cost, value, row, column]) in expected {
            let found = unbalanced(&a, &b, ground, epsilon, rho).unwrap();
            close(found.mass(), mass, 2e-9);
            close(found.mean_cost(), mean_cost, 2e-9);
            close(found.value(), value, 1e-11);
            let (rows, columns) = found.plan().unwrap().marginals();
            close(rows[3], row, 1e-8);
            close(columns[5], column, 1e-8);
        }
    }

    #[test]
    fn two_single_points() {
        // P minimises P c + epsilon KL(P | s) + rho KL(P | A) + rho KL(P | B), whose derivative
        // is c + epsilon log(P / s) + 2 rho log(P / s), since log A + log B = 2 log s.
        let (mass_a, mass_b, c) = (3.0, 0.5, 4.0);
        let s = f64::sqrt(mass_a * mass_b);
        let kl = |x: f64, y: f64| x * (x / y).ln() - x + y;
        for (epsilon, rho) in [(1.0, 0.3), (0.01, 2.0), (5.0, 1e3)] {
            let found = unbalanced(
                &dirac(0.0, mass_a),
                &dirac(2.0, mass_b),
                SQUARE,
                epsilon,
                rho,
            );
            let found = found.unwrap();
            let moved = s * (-c / (epsilon + 2.0 * rho)).exp();
            close(found.mass(), moved, 1e-9);
            close(found.mean_cost(), c, 1e-14);
            let ends = kl(moved, mass_a) + kl(moved, mass_b);
            close(
                found.value(),
                moved * c + epsilon * kl(moved, s) + rho * ends,
                1e-10,
            );
            close(found.plan().unwrap().cost(), moved * c, 1e-9);
        }
    }

    #[test]
    fn sums_are_those_of_the_potentials() {
        let (a, b) = waves(70, 45);
        for (epsilon, rho) in [(0.1, 0.5), (0.02, 30.0), (1.0, 0.01)] {
            let found = unbalanced(&a, &b, SQUARE, epsilon, rho).unwrap();
            let plan = found.plan().unwrap();
            let expected = |cloud: &Cloud, f: &Array1<f64>| {
                // The constant of masses A and B in the potentials of p and q.
                let other = a.mass() * b.mass() / cloud.mass();
                cloud.weights() * (f / -rho).exp() * (other / cloud.mass()).sqrt()
            };
            let (rows, columns) = plan.marginals();
            let off = |got: Array1<f64>, want: Array1<f64>| (got - want).mapv(f64::abs).sum();
            let tolerance = 3e-9 * found.mass();
            assert!(off(rows, expected(&a, &found.potentials.f)) < tolerance);
            assert!(off(columns, expected(&b, &found.potentials.g)) < tolerance);
            close(plan.mass(), found.mass(), 1e-12);
            close(plan.cost() / plan.mass(), found.mean_cost(), 1e-7);
        }
    }

    #[test]
    fn the_least_value_of_all_plans_nearby() {
        let (a, b) = waves(12, 9);
        let (epsilon, rho) = (0.3, 0.8);
        let found = unbalanced(&a, &b, SQUARE, epsilon, rho).unwrap();
        let mut plan = Array2::zeros((12, 9));
        for (i, j, mass) in found.plan().unwrap().iter() {
            plan[[i, j]] = mass;
        }
        let kl = |x: f64, y: f64| if x > 0.0 { x * (x / y).ln() - x + y } else { y };
        let s = (a.mass() * b.mass()).sqrt();
        let objective = |plan: &Array2<f64>| {
            let mut sum = 0.0;
            for ((i, j), &mass) in plan.indexed_iter() {
                let cost = (&a.point(i) - &b.point(j)).mapv(|x| x * x).sum();
                sum += mass * cost + epsilon * kl(mass, a.weights()[i] * b.weights()[j] / s);
            }
            for (axis, weights) in [(1, a.weights()), (0, b.weights())] {
                let sums = plan.sum_axis(ndarray::Axis(axis));
                sum += rho
                    * sums
                        .iter()
                        .zip(weights)
                        .map(|(x, y)| kl(*x, *y))
                        .sum::<f64>();
            }
            sum
        };
        close(objective(&plan), found.value(), 1e-8);
        for k in 0..40 {
            let change = |(i, j)| 1.0 + 0.01 * ((i * 31 + j * 17 + k * 7) as f64).sin();
            let other = &plan * &Array2::from_shape_fn((12, 9), change);
            assert!(objective(&other) > found.value());
        }
    }

    #[test]
    fn a_great_rho_keeps_the_marginals() {
        let (a, b) = waves(40, 27);
        let balanced = entropic(&a, &b, SQUARE, 0.1).unwrap();
        for rho in [1e9, 1e18, 1e290] {
            let found = unbalanced(&a, &b, SQUARE, 0.1, rho).unwrap();
            close(found.mass(), (120.0 * 40.5f64).sqrt(), 1e-7);
            close(found.mean_cost(), balanced.cost(), 1e-7);
        }
        let equal = Cloud::weighted(b.points().clone(), b.weights() / 40.5).unwrap();
        let a = Cloud::weighted(a.points().clone(), a.weights() / 120.0).unwrap();
        let found = unbalanced(&a, &equal, SQUARE, 0.1, 1e10).unwrap();
        close(found.value(), balanced.value(), 1e-8);
        let pairs = found.plan().unwrap();
        for (got, want) in pairs.iter().zip(balanced.plan().unwrap().iter()) {
            assert_eq!((got.0, got.1), (want.0, want.1));
            close(got.2, want.2, 1e-6);
        }
    }

    #[test]
    fn a_small_rho_moves_only_what_has_nowhere_to_go() {
        let (a, b) = waves(40, 27);
        let masses: Vec<f64> = [1.0, 0.1, 0.01, 0.005]
            .map(|rho| unbalanced(&a, &b, SQUARE, 0.001, rho).unwrap().mass())
            .into();
        assert!(
            masses.is_sorted_by(|x, y| x > y) && masses[3] < 0.05 * masses[0],
            "{masses:?}"
        );
        // Where the clouds are one, with points out of each other's reach, a point keeps its mass
        // but for the entropy: epsilon log(P / s p^2) + 2 rho log(P / s p) = 0.
        let far = Array2::from_shape_fn((5, 1), |(i, _)| 10.0 * i as f64);
        let a = Cloud::weighted(far, array![1.0, 2.0, 3.0, 4.0, 2.0]).unwrap();
        let (epsilon, rho) = (1e-2f64, 0.3);
        let found = unbalanced(&a, &a, SQUARE, epsilon, rho).unwrap();
        let power = 2.0 * (epsilon + rho) / (epsilon + 2.0 * rho);
        let kept = 12.0 * a.weights().mapv(|w| (w / 12.0).powf(power)).sum();
        close(found.mass(), kept, 1e-9);
        assert!(found.mean_cost() < 1e-9);
    }

    #[test]
    fn masses_scale_the_plan_and_nothing_else() {
        let (a, b) = waves(40, 27);
        let heavier = |cloud: &Cloud, factor: f64| {
            Cloud::weighted(cloud.points().clone(), cloud.weights() * factor).unwrap()
        };
        let plain = unbalanced(&a, &b, SQUARE, 0.1, 0.7).unwrap();
        let pairs = plain.plan().unwrap();
        for factor in [1e-9, 0.3, 7e5] {
            let (a, b) = (heavier(&a, factor), heavier(&b, factor));
            let found = unbalanced(&a, &b, SQUARE, 0.1, 0.7).unwrap();
            close(found.mass(), factor * plain.mass(), 1e-9);
            close(found.value(), factor * plain.value(), 1e-11);
            close(found.mean_cost(), plain.mean_cost(), 1e-9);
            let plan = found.plan().unwrap();
            for (got, want) in plan.iter().zip(pairs.iter()) {
                assert_eq!((got.0, got.1), (want.0, want.1));
                close(got.2, factor * want.2, 1e-6);
            }
        }
        // One cloud times k is both times its root, but for what making that mass costs.
        let found = unbalanced(&heavier(&a, 4.0), &b, SQUARE, 0.1, 0.7).unwrap();
        close(found.mass(), 2.0 * plain.mass(), 1e-9);
        // The other way round, the plan is the transpose.
        let found = unbalanced(&b, &a, SQUARE, 0.1, 0.7).unwrap();
        close(found.value(), plain.value(), 1e-11);
        close(found.mean_cost(), plain.mean_cost(), 1e-8);
    }

    #[test]
    fn every_point_of_positive_weight_keeps_a_partner() {
        // An outlier on each side, so far that its mass underflows; one only hardly reached; and
        // points of no weight, one of them on an outlier.
        let a = Cloud::weighted(
            array![[0.0], [1.0], [1e4], [30.0], [-1e5], [0.5]],
            array![1.0, 2.0, 1.0, 1.0, 0.0, 1e-12],
        )
        .unwrap();
        let b = Cloud::weighted(
            array![[0.1], [1.2], [-1e5], [0.0]],
            array![2.0, 1.0, 5.0, 0.0],
        )
        .unwrap();
        for (epsilon, rho) in [
            (0.1, 1.0),
            (1e-3, 1e-2),
            (1.0, 1.0),
            (1e-3, 3.0),
            (2.0, 0.1),
        ] {
            let found = unbalanced(&a, &b, SQUARE, epsilon, rho).unwrap();
            let plan = found.plan().unwrap();
            let (rows, columns) = plan.marginals();
            for (got, cloud) in [(&rows, &a), (&columns, &b)] {
                for (sum, weight) in got.iter().zip(cloud.weights()) {
                    assert_eq!(*sum > 0.0, *weight > 0.0, "{epsilon} {rho} {got}");
                }
            }
            assert!(rows[2] < 1e-300 && columns[2] < 1e-300);
            assert!(rows[3] < 1e-50 * rows[1]);
            close(plan.mass(), found.mass(), 1e-12);
            let nearest = |i| plan.iter().find(|e| e.0 == i).unwrap().1;
            assert_eq!((nearest(2), nearest(3)), (1, 1));
        }
    }

    #[test]
    fn an_outlier_loses_its_mass_and_leaves_the_rest_alone() {
        let (a, b) = waves(40, 27);
        let with_outlier = {
            let mut points = a.points().to_owned();
            points.push_row(array![9.0, 9.0, 9.0].view()).unwrap();
            let mut weights = a.weights().to_vec();
            weights.push(30.0);
            Cloud::weighted(points, weights.into()).unwrap()
        };
        let (plain, other) = (
            unbalanced(&a, &b, SQUARE, 0.1, 1.0).unwrap(),
            unbalanced(&with_outlier, &b, SQUARE, 0.1, 1.0).unwrap(),
        );
        let (rows, _) = other.plan().unwrap().marginals();
        assert!(rows[40] < 1e-9 * rows.sum());
        // The reference of the entropy has changed by a constant; the partners are the same.
        close(other.mean_cost(), plain.mean_cost(), 1e-2);
        let balanced = entropic(&with_outlier, &b, SQUARE, 0.1).unwrap();
        assert!(balanced.cost() > 10.0 * plain.mean_cost());
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let (a, b) = waves(300, 200);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool.install(|| unbalanced(&a, &b, SQUARE, 0.05, 0.5).unwrap());
            let numbers = [found.mass(), found.mean_cost(), found.value()].map(f64::to_bits);
            (numbers, pool.install(|| found.plan().unwrap()))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn bad_input_is_an_error() {
        let (a, b) = waves(40, 27);
        let kind = |epsilon, rho| unbalanced(&a, &b, SQUARE, epsilon, rho).unwrap_err().kind();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(kind(bad, 1.0), ErrorKind::Setting);
            assert_eq!(kind(1.0, bad), ErrorKind::Setting);
        }
        let error = unbalanced(&a, &b, SQUARE, 1e-7, 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged);
        assert!(error.to_string().contains("raise epsilon"), "{error}");
        let error = unbalanced(&dirac(0.0, 1.0), &dirac(1.0, 1.0), SQUARE, 1e-4, 1e-4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains("raise rho"), "{error}");
        let far = dirac(1e200, 1.0);
        let error = unbalanced(&dirac(0.0, 1.0), &far, SQUARE, 1.0, 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        let error = unbalanced(&a, &far, SQUARE, 1.0, 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}

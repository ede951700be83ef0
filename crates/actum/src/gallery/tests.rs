//! Densities are tested against their equations by finite differences, samples against the
//! densities, and velocities against both.

use ndarray::{Array2, array};

use super::*;
use crate::error::ErrorKind;

fn draw(path: &dyn Path, t: f64, n: usize, seed: u64) -> (Array2<f64>, Array2<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let draw = path.sample(&vec![t; n], &mut rng);
    (draw.points, draw.velocities.expect("they have velocities"))
}

/// Test functions that distinguish velocities: `grad f` for several f, of points in units of the
/// spread of the population.
fn gradients(x: &[f64]) -> Vec<Vec<f64>> {
    let d = x.len();
    let unit = |j: usize, value: f64| (0..d).map(|i| if i == j { value } else { 0.0 }).collect();
    let mut all: Vec<Vec<f64>> = vec![];
    for j in 0..d {
        all.push(unit(j, 1.0));
        all.push(unit(j, 2.0 * x[j]));
        all.push(unit(j, 3.0 * (3.0 * x[j]).cos()));
        let next = (j + 1) % d;
        if next != j {
            let mut product = vec![0.0; d];
            (product[j], product[next]) = (x[next].sin(), x[j] * x[next].cos());
            all.push(product);
        }
    }
    all
}

#[test]
fn the_truth_and_the_path_carry_the_same_densities() {
    // d/dt E[f] = E[v . grad f] for every velocity v that does so.
    for entry in ENTRIES {
        let truth = entry.path(None).unwrap();
        let [first, last] = truth.span();
        for share in [0.02, 0.5, 0.97] {
            let t = first + share * (last - first);
            let n = 40_000;
            let (points, velocities) = draw(&*truth, t, n, 7);
            let known = truth.velocity(t, &points);
            let spread = points.std(0.0);
            let mut moments: Vec<Vec<f64>> = vec![];
            for i in 0..n {
                let x: Vec<f64> = points.row(i).iter().map(|x| x / spread).collect();
                let apart = &known.row(i) - &velocities.row(i);
                let along = |g: &Vec<f64>| g.iter().zip(&apart).map(|(g, v)| g * v).sum();
                moments.push(gradients(&x).iter().map(along).collect());
            }
            for k in 0..moments[0].len() {
                let each: Vec<f64> = moments.iter().map(|m| m[k]).collect();
                let mean = each.iter().sum::<f64>() / n as f64;
                let variance = each.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / n as f64;
                let noise = (variance / n as f64).sqrt();
                let speed = velocities.std(0.0);
                assert!(
                    mean.abs() <= 5.0 * noise + 1e-3 * speed,
                    "{} at {t}, moment {k}: {mean} with noise {noise}",
                    entry.name
                );
            }
        }
    }
}

#[test]
fn velocities_of_a_path_are_derivatives_for_fixed_randomness() {
    for entry in ENTRIES {
        let truth = entry.path(None).unwrap();
        let [first, last] = truth.span();
        let (t, h) = (0.4 * last + 0.6 * first, 2.5e-4 * (last - first));
        let ends = [t - h, t + h].map(|t| draw(&*truth, t, 300, 3).0);
        let (_, velocities) = draw(&*truth, t, 300, 3);
        let differences = (&ends[1] - &ends[0]) / (2.0 * h);
        let scale = velocities.mapv(|v| v * v).mean().unwrap().sqrt();
        // Quantiles of Fokker-Planck are interpolated in a table.
        let allowed = if entry.name == "fokker-planck" {
            0.05
        } else {
            1e-3
        } * scale;
        let off = (differences - velocities).mapv(f64::abs);
        let worst = off.iter().copied().fold(0.0, f64::max);
        assert!(worst < allowed, "{}: off by {worst} of {scale}", entry.name);
    }
}

/// `[d_t f, Lap g(f), f, grad g(f)]` by central differences at a point, g a power.
fn differences(
    density: impl Fn(f64, &Array2<f64>) -> Vec<f64>,
    power: f64,
    t: f64,
    point: &[f64],
) -> [f64; 3] {
    let h = 1e-3;
    let at = |t: f64, shift: Option<(usize, f64)>| {
        let mut x = Array2::from_shape_vec((1, point.len()), point.to_vec()).unwrap();
        if let Some((j, by)) = shift {
            x[[0, j]] += by;
        }
        density(t, &x)[0]
    };
    let here = at(t, None);
    let raised = |j, by: f64| at(t, Some((j, by))).powf(power);
    let laplacian: f64 = (0..point.len())
        .map(|j| (raised(j, h) - 2.0 * here.powf(power) + raised(j, -h)) / (h * h))
        .sum();
    [
        (at(t + h, None) - at(t - h, None)) / (2.0 * h),
        laplacian,
        here,
    ]
}

#[test]
fn densities_solve_their_equations() {
    let close = |a: f64, b: f64, scale: f64| (a - b).abs() < 2e-3 * scale + 1e-6;
    for d in [1, 2, 3, 5] {
        let modes = Modes::spots(d).unwrap().melting(0.25).unwrap();
        let heat = |t: f64, x: &Array2<f64>| -> Vec<f64> {
            modes.log_density(t, x).iter().map(|l| l.exp()).collect()
        };
        let (points, _) = draw(&modes, 0.5, 20, 1);
        for point in points.rows() {
            let [rate, laplacian, here] = differences(heat, 1.0, 0.5, &point.to_vec());
            assert!(
                close(rate, 0.25 * laplacian, here),
                "heat, {d}: {rate} {laplacian}"
            );
        }
        for m in [2.0, 3.0] {
            let medium = PorousMedium::new(m, d).unwrap();
            let density = |t: f64, x: &Array2<f64>| medium.density(t, x);
            let (points, _) = draw(&medium, 0.5, 20, 1);
            for point in points.rows() {
                let [rate, laplacian, here] = differences(density, m, 0.5, &point.to_vec());
                // Derivatives jump at the edge of the support.
                if here > 0.3 * density(0.5, &array_of(&medium, d))[0] {
                    assert!(
                        close(rate, laplacian, here),
                        "m = {m}, {d}: {rate} {laplacian}"
                    );
                }
            }
        }
        let heavy = NonlinearHeat::new(d as f64 + 3.0, d).unwrap();
        let density = |t: f64, x: &Array2<f64>| heavy.density(t, x);
        let (points, _) = draw(&heavy, 0.5, 20, 1);
        for point in points.rows() {
            let m = heavy.exponent();
            let [rate, laplacian, here] = differences(density, m, 0.5, &point.to_vec());
            assert!(
                close(rate, laplacian, here),
                "m = {m}, {d}: {rate} {laplacian}"
            );
        }
    }
}

/// The center of the larger spot, `[1, d]`: the mean of its points at the start.
fn array_of(medium: &PorousMedium, d: usize) -> Array2<f64> {
    let (points, _) = draw(medium, 0.0, 2000, 2);
    let left: Vec<f64> = points
        .column(0)
        .iter()
        .copied()
        .filter(|x| *x < 0.0)
        .collect();
    let mut center = Array2::zeros((1, d));
    center[[0, 0]] = left.iter().sum::<f64>() / left.len() as f64;
    center
}

/// `int f q dx` in one column by the trapezoidal rule.
fn integral(density: impl Fn(&Array2<f64>) -> Vec<f64>, f: impl Fn(f64) -> f64) -> f64 {
    let (n, edge) = (200_001, 60.0);
    let h = 2.0 * edge / (n - 1) as f64;
    let nodes = Array2::from_shape_fn((n, 1), |(i, _)| -edge + h * i as f64);
    let values = density(&nodes);
    h * nodes
        .iter()
        .zip(values)
        .map(|(x, q)| f(*x) * q)
        .sum::<f64>()
}

#[test]
fn samples_have_the_moments_of_the_densities() {
    let modes = Modes::figure_1().melting(0.1).unwrap();
    let medium = PorousMedium::new(3.0, 1).unwrap();
    let heavy = NonlinearHeat::new(5.0, 1).unwrap();
    type Density<'a> = Box<dyn Fn(&Array2<f64>) -> Vec<f64> + 'a>;
    let all: [(&dyn Path, Density); 3] = [
        (
            &modes,
            Box::new(|x| modes.log_density(0.3, x).iter().map(|l| l.exp()).collect()),
        ),
        (&medium, Box::new(|x| medium.density(0.3, x))),
        (&heavy, Box::new(|x| heavy.density(0.3, x))),
    ];
    for (path, density) in &all {
        let mass = integral(density, |_| 1.0);
        assert!((mass - 1.0).abs() < 1e-4, "{mass}");
        let n = 100_000;
        let (points, _) = draw(*path, 0.3, n, 5);
        for f in [
            |x: f64| x,
            |x: f64| (2.0 * x).cos(),
            |x: f64| (-x * x).exp(),
        ] {
            let mean = points.iter().map(|x| f(*x)).sum::<f64>() / n as f64;
            let square = points.iter().map(|x| f(*x).powi(2)).sum::<f64>() / n as f64;
            let noise = (square / n as f64).sqrt();
            let expected = integral(density, f);
            assert!(
                (mean - expected).abs() < 5.0 * noise,
                "{mean} {expected} {noise}"
            );
        }
    }
}

#[test]
fn no_point_leaves_a_porous_medium() {
    for d in [1, 2, 5] {
        let medium = PorousMedium::new(2.0, d).unwrap();
        for t in [0.0, 0.6, 1.0] {
            let (points, _) = draw(&medium, t, 2000, 1);
            assert!(medium.density(t, &points).iter().all(|q| *q > 0.0));
            // The density is 0 between the spots; (0, ..., 0) is there at all times.
            assert_eq!(medium.density(t, &Array2::zeros((1, d))), [0.0]);
        }
    }
}

#[test]
fn the_fokker_planck_equation_is_solved() {
    // SciPy: finite volumes (Scharfetter-Gummel), 1200 and 2400 cells extrapolated, BDF to 1e-9:
    // E[u], E[u^2], E[cos 3u], P(u > 0).
    let expected = [
        (0.25, [0.27663111, 0.37525872, 0.13665757, 0.69617574]),
        (0.5, [0.24154938, 0.50041472, -0.03147396, 0.65056010]),
        (1.0, [0.2810479, 1.19989006, -0.36374760, 0.62285403]),
    ];
    let langevin = FokkerPlanck::new();
    let n = 20_000;
    for (t, expected) in expected {
        let mut found = [0.0; 4];
        for i in 0..n {
            let u = langevin.quantile(t, (i as f64 + 0.5) / n as f64);
            let each = [u, u * u, (3.0 * u).cos(), f64::from(u > 0.0)];
            (0..4).for_each(|k| found[k] += each[k] / n as f64);
        }
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 5e-4,
                "at {t}: {found} {expected}"
            );
        }
    }
    // The density of the plane has mass 1, and its score is the velocity's.
    let h = 0.05;
    let nodes = Array2::from_shape_fn((240 * 240, 2), |(i, j)| {
        h * ([i / 240, i % 240][j] as f64 - 119.5)
    });
    let mass: f64 = langevin
        .log_density(0.7, &nodes)
        .iter()
        .map(|l| l.exp())
        .sum::<f64>()
        * h
        * h;
    assert!((mass - 1.0).abs() < 1e-3, "{mass}");
    let at = array![[0.3, -0.4], [1.2, 0.9], [-1.0, -0.2]];
    let velocity = langevin.velocity(0.7, &at);
    let drift = langevin.drift(0.7, &at);
    for i in 0..3 {
        for j in 0..2 {
            let log = |by: f64| {
                let mut x = at.clone();
                x[[i, j]] += by;
                langevin.log_density(0.7, &x)[i]
            };
            let score = (log(1e-4) - log(-1e-4)) / 2e-4;
            let expected = drift[[i, j]] - 0.5 * score;
            assert!(
                (velocity[[i, j]] - expected).abs() < 2e-3,
                "{velocity} {expected}"
            );
        }
    }
}

#[test]
fn bernoulli_has_the_odds_and_the_least_action() {
    let (points, _) = draw(&Bernoulli, 0.5, 100_000, 1);
    let ones = points.iter().filter(|x| **x >= 1.0).count() as f64 / 1e5;
    assert!((ones - 0.5).abs() < 0.01, "{ones}");
    // -1/2 int E|v|^2 = -(ln 2)/9, docs/mathematics.md, section 8.
    let steps = 200;
    let energy = |t: f64| {
        let (points, velocities) = draw(&Bernoulli, t, 4000, 1);
        velocities.mapv(|v| v * v).sum() / points.len() as f64
    };
    let sum: f64 = (0..steps)
        .map(|k| energy((k as f64 + 0.5) / steps as f64))
        .sum();
    let action = -0.5 * sum / steps as f64;
    assert!((action + 2f64.ln() / 9.0).abs() < 2e-3, "{action}");
}

#[test]
fn hydrogen_is_where_quantum_mechanics_has_it() {
    let n = 40_000;
    let a = Hydrogen::BOHR;
    let (points, _) = draw(&Hydrogen, 2000.0, n, 3);
    // <r> = a/2 (3 n^2 - l (l + 1)): 10.5 a and 5 a; <r^2> = a^2 n^2/2 (5 n^2 + 1 - 3 l (l + 1)):
    // 126 a^2 and 30 a^2.
    let radii: Vec<f64> = points
        .rows()
        .into_iter()
        .map(|x| x.dot(&x).sqrt() / a)
        .collect();
    let mean = radii.iter().sum::<f64>() / n as f64;
    let square = radii.iter().map(|r| r * r).sum::<f64>() / n as f64;
    assert!((mean - 7.75).abs() < 0.1, "{mean}");
    assert!((square / 78.0 - 1.0).abs() < 0.03, "{square}");
    assert!((std::f64::consts::TAU / Hydrogen::frequency() - 14_287.0).abs() < 1.0);

    // The density integrates to 1 and agrees with the points: E[x] and E[y] on a grid.
    let (cells, h) = (100, 5.0 * a / 10.0);
    let nodes = Array2::from_shape_fn((cells * cells * cells, 3), |(i, j)| {
        h * ([i / (cells * cells), i / cells % cells, i % cells][j] as f64 - 49.5)
    });
    let values = Hydrogen.density(2000.0, &nodes);
    let over = |f: &dyn Fn(&[f64]) -> f64| -> f64 {
        let rows = nodes.rows().into_iter().zip(&values);
        rows.map(|(x, q)| f(x.to_slice().unwrap()) * q).sum::<f64>() * h.powi(3)
    };
    assert!((over(&|_| 1.0) - 1.0).abs() < 5e-3, "{}", over(&|_| 1.0));
    for j in 0..2 {
        let expected = over(&|x| x[j]);
        let found = points.column(j).mean().unwrap();
        assert!(
            (found - expected).abs() < 5.0 * 7.0 * a / (n as f64).sqrt(),
            "{found} {expected}"
        );
    }

    // The guidance equation conserves |psi|^2: d_t q = -div(q v) by differences.
    let (points, _) = draw(&Hydrogen, 5000.0, 50, 8);
    let (dt, dx) = (1.0, 1e-2);
    for point in points.rows() {
        let at = |t: f64, j: usize, by: f64| {
            let mut x = point.to_owned().insert_axis(ndarray::Axis(0));
            x[[0, j]] += by;
            (Hydrogen.density(t, &x)[0], Hydrogen.velocity(t, &x)[[0, j]])
        };
        let rate = (at(5000.0 + dt, 0, 0.0).0 - at(5000.0 - dt, 0, 0.0).0) / (2.0 * dt);
        let flux = |j: usize, by: f64| {
            let (q, v) = at(5000.0, j, by);
            q * v
        };
        let parts: Vec<f64> = (0..3)
            .map(|j| (flux(j, dx) - flux(j, -dx)) / (2.0 * dx))
            .collect();
        let size: f64 = parts.iter().map(|p| p.abs()).sum::<f64>() + rate.abs();
        let sum = rate + parts.iter().sum::<f64>();
        assert!(sum.abs() < 1e-3 * size, "{sum} of {size}");
    }
}

#[test]
fn what_is_not_there_is_refused() {
    let error = find("figure").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(
        error.to_string().contains("figure-1, figure-1-diffusing"),
        "{error}"
    );
    let fixed = find("vlasov").unwrap().path(Some(3)).err().unwrap();
    assert_eq!(fixed.kind(), ErrorKind::Setting);
    assert!(
        fixed.to_string().contains("`vlasov` has 2 columns, got 3"),
        "{fixed}"
    );
    assert!(fixed.to_string().contains("heat"), "{fixed}");
    assert!(find("heat").unwrap().path(Some(0)).is_err());
    let heat = find("heat").unwrap().path(Some(1)).unwrap();
    let late = snapshots(&*heat, &[0.0, 1.5], 10, 0).unwrap_err();
    assert!(late.to_string().contains("[0, 1], got 1.5"), "{late}");
    let none = snapshots(&*heat, &[0.0, 1.0], 0, 0).unwrap_err();
    assert!(none.to_string().contains("1 point or more"), "{none}");
    assert!(snapshots(&*heat, &[1.0, 0.0], 10, 0).is_err());
    assert!(PorousMedium::new(1.0, 2).is_err());
    assert!(NonlinearHeat::new(2.0, 2).is_err());
    assert!(Vlasov::trapped(0.0).is_err());
    let tiny = NonlinearHeat::new(5.0, 500).unwrap_err();
    assert!(tiny.to_string().contains("grow with the columns"), "{tiny}");
    assert!(find("heat").unwrap().path(Some(usize::MAX)).is_err());
    assert!(snapshots(&*heat, &[0.0, 1.0], usize::MAX, 0).is_err());
    assert!(Modes::new(array![[0.0], [1.0]], vec![1.0, -1.0], 0.1).is_err());
}

#[test]
fn many_columns_are_no_harder_than_few() {
    let d = 500;
    for name in [
        "heat",
        "porous-medium-2",
        "porous-medium-3",
        "nonlinear-heat",
    ] {
        let truth = find(name).unwrap().path(Some(d)).unwrap();
        let (points, velocities) = draw(&*truth, 0.5, 50, 1);
        let spread = points.std_axis(ndarray::Axis(0), 0.0);
        assert!(
            spread.iter().all(|s| (1e-3..1e3).contains(s)),
            "{name}: {spread}"
        );
        assert!(velocities.iter().all(|v| v.is_finite()));
    }
    let points = draw(&PorousMedium::new(2.0, d).unwrap(), 0.5, 20, 1).0;
    let dense = PorousMedium::new(2.0, d).unwrap().density(0.5, &points);
    assert!(dense.iter().all(|q| !q.is_nan()), "{dense:?}");
}

#[test]
fn a_seed_gives_the_points() {
    let heat = find("heat").unwrap().path(None).unwrap();
    let of = |seed| {
        snapshots(&*heat, &[0.0, 1.0], 20, seed)
            .unwrap()
            .fingerprint()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

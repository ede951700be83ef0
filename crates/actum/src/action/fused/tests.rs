use super::*;
use crate::error::ErrorKind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `s` at one row, in f64 and with nothing clever.
fn naive(parameters: &[Vec<f64>], t: f64, x: &[f64]) -> f64 {
    let depth = parameters.len() / 2 - 1;
    let mut h: Vec<f64> = x.iter().copied().chain([2.0 * t - 1.0]).collect();
    for layer in 0..=depth {
        let (weights, biases) = (&parameters[layer], &parameters[depth + 1 + layer]);
        let z = biases.iter().enumerate().map(|(j, bias)| {
            let column = weights.iter().skip(j).step_by(biases.len());
            bias + h.iter().zip(column).map(|(h, w)| h * w).sum::<f64>()
        });
        h = match layer == depth {
            true => z.collect(),
            false => z.map(|z| z / (1.0 + (-z).exp())).collect(),
        };
    }
    h[0]
}

/// `(dt d/dt + dx . grad) s` by central differences.
fn naive_push(parameters: &[Vec<f64>], t: f64, x: &[f64], dt: f64, dx: &[f64]) -> f64 {
    let step = 1e-3;
    let at = |by: f64| {
        let x: Vec<f64> = x.iter().zip(dx).map(|(x, dx)| x + by * dx).collect();
        naive(parameters, t + by * dt, &x)
    };
    (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step)
}

/// `e' (grad^2 s) e` by Taylor series through the layers.
fn naive_curvature(parameters: &[Vec<f64>], t: f64, x: &[f64], e: &[f64]) -> f64 {
    let depth = parameters.len() / 2 - 1;
    let mut h: Vec<[f64; 3]> = x.iter().zip(e).map(|(x, e)| [*x, *e, 0.0]).collect();
    h.push([2.0 * t - 1.0, 0.0, 0.0]);
    for layer in 0..=depth {
        let (weights, biases) = (&parameters[layer], &parameters[depth + 1 + layer]);
        let mut z: Vec<[f64; 3]> = biases.iter().map(|bias| [*bias, 0.0, 0.0]).collect();
        for (h, row) in h.iter().zip(weights.chunks(biases.len())) {
            for (z, w) in z.iter_mut().zip(row) {
                for order in 0..3 {
                    z[order] += h[order] * w;
                }
            }
        }
        if layer < depth {
            for z in &mut z {
                let [value, first, second] = *z;
                let s = 1.0 / (1.0 + (-value).exp());
                let slope = s + value * s * (1.0 - s);
                let curvature = s * (1.0 - s) * (2.0 + value * (1.0 - 2.0 * s));
                *z = [
                    value * s,
                    slope * first,
                    slope * second + curvature * first * first,
                ];
            }
        }
        h = z;
    }
    h[0][2]
}

fn uniform(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    (0..n).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

struct Case {
    dimension: usize,
    network: Network,
    parameters: Vec<Vec<f32>>,
    times: Vec<f32>,
    points: Vec<f32>,
    coefficients: Vec<f32>,
    velocities: Vec<f32>,
}

impl Case {
    fn new([dimension, width, depth, rows]: [usize; 4], rng: &mut ChaCha8Rng) -> Self {
        let mut sizes = vec![(dimension + 1) * width];
        sizes.extend(vec![width * width; depth - 1]);
        sizes.push(width);
        sizes.extend(vec![width; depth]);
        sizes.push(1);
        let scale = 1.5 / (width as f32).sqrt();
        let parameters: Vec<Vec<f32>> = sizes
            .iter()
            .map(|n| uniform(*n, rng).into_iter().map(|v| scale * v).collect())
            .collect();
        Self {
            dimension,
            network: Network::new(dimension, width, depth, &parameters).unwrap(),
            parameters,
            times: (0..rows).map(|_| rng.random()).collect(),
            points: uniform(rows * dimension, rng),
            coefficients: uniform(rows, rng),
            velocities: uniform(rows * dimension, rng),
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            times: &self.times,
            points: &self.points,
            coefficients: &self.coefficients,
        }
    }

    fn row(&self, row: usize) -> (f64, Vec<f64>) {
        let d = self.dimension;
        (
            f64::from(self.times[row]),
            wide(&self.points[row * d..][..d]),
        )
    }

    /// The step along `grad s - velocity` with the excess `2 dx_0` and the coefficients
    /// `growth * s`.
    fn step(
        &self,
        workspace: &mut Workspace,
        dt: f32,
        curvature: Option<Curvature<'_>>,
        growth: f32,
        boundary: &[Rows<'_>],
    ) -> (Terms, Vec<Vec<f32>>) {
        let d = self.dimension;
        let interior = Interior {
            rows: self.rows(),
            dt,
            curvature,
        };
        let direction = |rows: Range<usize>, at: At<'_>, choice: Choice<'_>| {
            let velocities = &self.velocities[rows.start * d..rows.end * d];
            let moves = choice.directions.iter_mut().zip(at.gradients);
            for ((dx, p), u) in moves.zip(velocities) {
                *dx = p - u;
            }
            for (excess, dx) in choice.excess.iter_mut().zip(choice.directions.chunks(d)) {
                *excess += 2.0 * dx[0];
            }
            for (a, s) in choice.values.iter_mut().zip(at.values) {
                *a += growth * s;
            }
        };
        let terms = workspace
            .step(&self.network, interior, boundary, &direction)
            .unwrap();
        (terms, workspace.parameter_gradient())
    }
}

const SHAPES: [[usize; 4]; 8] = [
    [1, 1, 1, 1],
    [1, 3, 2, 9],
    [2, 17, 3, 65],
    [3, 33, 1, 300],
    [16, 33, 3, 7],
    [40, 17, 2, 130],
    [5, 64, 4, 31],
    [15, 100, 2, 50],
];

#[test]
fn value_and_gradient_equal_f64_and_its_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for shape in SHAPES {
        let case = Case::new(shape, &mut rng);
        let [d, _, _, rows] = shape;
        let parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
        let (mut values, mut gradients) = (vec![f32::NAN; rows], vec![f32::NAN; rows * d]);
        Workspace::default()
            .value(&case.network, &case.times, &case.points, &mut values)
            .unwrap();
        Workspace::default()
            .gradient(&case.network, &case.times, &case.points, &mut gradients)
            .unwrap();
        let (mut both, mut both_gradients) = (vec![f32::NAN; rows], vec![f32::NAN; rows * d]);
        Workspace::default()
            .value_and_gradient(
                &case.network,
                &case.times,
                &case.points,
                &mut both,
                &mut both_gradients,
            )
            .unwrap();
        assert_eq!((&both, &both_gradients), (&values, &gradients));
        for row in 0..rows {
            let (t, x) = case.row(row);
            let expected = naive(&parameters, t, &x);
            assert!(
                (f64::from(values[row]) - expected).abs() < 1e-5,
                "{shape:?}"
            );
            for column in 0..d {
                let mut dx = vec![0.0; d];
                dx[column] = 1.0;
                let expected = naive_push(&parameters, t, &x, 0.0, &dx);
                let got = f64::from(gradients[row * d + column]);
                assert!(
                    (got - expected).abs() < 1e-5,
                    "{shape:?}: {got}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn curvature_equals_f64_and_its_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for shape in SHAPES {
        let case = Case::new(shape, &mut rng);
        let [d, _, _, rows] = shape;
        let parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
        let mut curvatures = vec![f32::NAN; rows];
        Workspace::default()
            .curvature(
                &case.network,
                &case.times,
                &case.points,
                &case.velocities,
                &mut curvatures,
            )
            .unwrap();
        for (row, got) in curvatures.iter().enumerate() {
            let (t, x) = case.row(row);
            let e = wide(&case.velocities[row * d..][..d]);
            let at = |by: f64| {
                let x: Vec<f64> = x.iter().zip(&e).map(|(x, e)| x + by * e).collect();
                naive(&parameters, t, &x)
            };
            let step = 1e-2;
            let near = 16.0 * (at(step) + at(-step)) - 30.0 * at(0.0);
            let differences = (near - at(2.0 * step) - at(-2.0 * step)) / (12.0 * step * step);
            let expected = naive_curvature(&parameters, t, &x, &e);
            assert!(
                (differences - expected).abs() < 1e-5,
                "{shape:?}: {differences}, not {expected}"
            );
            let got = f64::from(*got);
            assert!(
                (got - expected).abs() < 1e-5,
                "{shape:?}: {got}, not {expected}"
            );
        }
    }
}

/// Compares a step with differences in the parameters of the objective in f64.
fn check_step(
    shape: [usize; 4],
    dt: f32,
    directions: Option<Directions<'_>>,
    growth: f32,
    rng: &mut ChaCha8Rng,
) {
    let mut case = Case::new(shape, rng);
    let [d, _, _, rows] = shape;
    for coefficient in case.coefficients.iter_mut().skip(2).step_by(5) {
        *coefficient = 0.0;
    }
    // A term with a negative coefficient has no curvature.
    let weights: Vec<f32> = case
        .coefficients
        .iter()
        .map(|c| if *c < 0.0 { 0.0 } else { rng.random() })
        .collect();
    let curvature = directions.map(|directions| Curvature {
        weights: &weights,
        directions,
    });
    let ends = [rows, rows / 2 + 1].map(|rows| {
        let mut end = Case::new([d, 1, 1, rows], rng);
        end.times.fill(1.0);
        end
    });
    let boundary: Vec<Rows> = ends.iter().map(Case::rows).collect();
    let boundary = if dt == 1.0 { &boundary[..] } else { &[] };
    let (terms, gradient) = case.step(&mut Workspace::default(), dt, curvature, growth, boundary);

    let mut parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
    let (mut values, mut gradients) = (vec![0.0; rows], vec![0.0; rows * d]);
    Workspace::default()
        .value_and_gradient(
            &case.network,
            &case.times,
            &case.points,
            &mut values,
            &mut gradients,
        )
        .unwrap();
    assert_eq!(terms.values, values);
    let dx: Vec<f64> = gradients
        .iter()
        .zip(&case.velocities)
        .map(|(p, u)| f64::from(p - u))
        .collect();
    let dt = f64::from(dt);
    let term = |parameters: &[Vec<f64>], row: usize| {
        let (t, x) = case.row(row);
        let push = naive_push(parameters, t, &x, dt, &dx[row * d..][..d]);
        let bend = |e: &[f64]| naive_curvature(parameters, t, &x, e);
        let bend: f64 = match directions {
            _ if case.coefficients[row] <= 0.0 => 0.0,
            None => 0.0,
            Some(Directions::Probes(probes)) => bend(&wide(&probes[row * d..][..d])),
            Some(Directions::Axes) => (0..d)
                .map(|axis| {
                    let mut e = vec![0.0; d];
                    e[axis] = 1.0;
                    bend(&e)
                })
                .sum(),
        };
        push + f64::from(weights[row]) * bend
    };
    let ends = |parameters: &[Vec<f64>]| -> Vec<f64> {
        let rows = |rows: &Rows| -> Vec<f64> {
            let points = rows.points.chunks(d);
            rows.times
                .iter()
                .zip(points)
                .map(|(t, x)| naive(parameters, f64::from(*t), &wide(x)))
                .collect()
        };
        boundary.iter().flat_map(rows).collect()
    };
    assert_eq!(terms.interior.len(), rows);
    for (row, got) in terms.interior.iter().enumerate() {
        let expected = term(&parameters, row) - 2.0 * dx[row * d];
        assert!(
            (f64::from(*got) - expected).abs() < 5e-5,
            "{shape:?}: {got}, not {expected}"
        );
    }
    let expected = ends(&parameters);
    assert_eq!(terms.boundary.len(), expected.len());
    for (got, expected) in terms.boundary.iter().zip(expected) {
        assert!((f64::from(*got) - expected).abs() < 1e-5, "{shape:?}");
    }

    let objective = |parameters: &[Vec<f64>]| {
        let interior = case.coefficients.iter().enumerate().map(|(row, c)| {
            let (t, x) = case.row(row);
            let a = f64::from(growth * values[row]);
            f64::from(*c) * term(parameters, row) + a * naive(parameters, t, &x)
        });
        let coefficients = boundary.iter().flat_map(|rows| rows.coefficients);
        interior.sum::<f64>()
            + coefficients
                .zip(ends(parameters))
                .map(|(c, s)| f64::from(*c) * s)
                .sum::<f64>()
    };
    for array in 0..parameters.len() {
        for _ in 0..6 {
            let i = rng.random_range(0..parameters[array].len());
            let at = parameters[array][i];
            let mut moved = |by: f64| {
                parameters[array][i] = at + by;
                let value = objective(&parameters);
                parameters[array][i] = at;
                value
            };
            let expected =
                (8.0 * (moved(1e-3) - moved(-1e-3)) - (moved(2e-3) - moved(-2e-3))) / 12e-3;
            let got = f64::from(gradient[array][i]);
            let bound = 2e-5 * (rows as f64).sqrt() * (1.0 + expected.abs());
            assert!(
                (got - expected).abs() < bound,
                "{shape:?}, parameters {array}[{i}]: {got}, not {expected}"
            );
        }
    }
}

#[test]
fn step_equals_differences_of_the_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (shape, dt) in SHAPES.into_iter().zip([0.0, 1.0].into_iter().cycle()) {
        check_step(shape, dt, None, 0.0, &mut rng);
        check_step(shape, dt, None, 0.7, &mut rng);
    }
}

#[test]
fn step_with_probes_equals_differences_of_the_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for (shape, dt) in SHAPES.into_iter().zip([1.0, 0.0].into_iter().cycle()) {
        let probes = uniform(shape[3] * shape[0], &mut rng);
        check_step(shape, dt, Some(Directions::Probes(&probes)), 0.7, &mut rng);
    }
}

#[test]
fn step_with_axes_equals_differences_of_the_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (shape, dt) in SHAPES.into_iter().zip([0.0, 1.0].into_iter().cycle()) {
        check_step(shape, dt, Some(Directions::Axes), 0.7, &mut rng);
    }
}

#[test]
fn rows_with_coefficient_0_contribute_nothing_but_their_value() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut case = Case::new([3, 20, 3, 40], &mut rng);
    case.coefficients.fill(0.0);
    let curvature = Some(Curvature {
        weights: &[0.5; 40],
        directions: Directions::Axes,
    });
    let (terms, gradient) = case.step(&mut Workspace::default(), 1.0, curvature, 0.0, &[]);
    assert!(gradient.iter().flatten().all(|g| *g == 0.0));
    let (plain, _) = case.step(&mut Workspace::default(), 1.0, None, 0.0, &[]);
    assert_eq!(terms, plain);

    let (_, gradient) = case.step(&mut Workspace::default(), 1.0, curvature, 0.7, &[]);
    let coefficients: Vec<f32> = terms.values.iter().map(|s| 0.7 * s).collect();
    let values = Rows {
        coefficients: &coefficients,
        ..case.rows()
    };
    let nothing = Case::new([3, 20, 3, 0], &mut rng);
    let (_, expected) = Case {
        parameters: case.parameters.clone(),
        network: case.network.clone(),
        ..nothing
    }
    .step(&mut Workspace::default(), 1.0, None, 0.0, &[values]);
    for (got, expected) in gradient.iter().flatten().zip(expected.iter().flatten()) {
        let bound = 1e-6 * (1.0 + expected.abs());
        assert!((got - expected).abs() < bound, "{got}, not {expected}");
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_what_the_workspace_did_before() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let case = Case::new([3, 50, 3, 700], &mut rng);
    let end = Case::new([3, 1, 1, 900], &mut rng);
    let other = Case::new([3, 20, 3, 30], &mut rng);
    let weights: Vec<f32> = case
        .coefficients
        .iter()
        .map(|c| c.signum().max(0.0))
        .collect();
    let bend = |directions| {
        Some(Curvature {
            weights: &weights,
            directions,
        })
    };
    let curvatures = [
        None,
        bend(Directions::Probes(&case.velocities)),
        bend(Directions::Axes),
    ];
    let mut results = [const { vec![] }; 3];
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut workspace = Workspace::default();
            for (results, curvature) in results.iter_mut().zip(curvatures) {
                results.push(case.step(&mut workspace, 1.0, curvature, 0.7, &[end.rows()]));
                other.step(&mut workspace, 0.0, None, 0.0, &[]);
                results.push(case.step(&mut workspace, 1.0, curvature, 0.7, &[end.rows()]));
            }
            for (results, curvature) in results.iter_mut().zip(curvatures).rev() {
                results.push(case.step(&mut workspace, 1.0, curvature, 0.7, &[end.rows()]));
            }
        });
    }
    for results in results {
        assert!(results[0].1.iter().flatten().all(|g| g.is_finite()));
        for result in &results[1..] {
            assert_eq!(*result, results[0]);
        }
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut case = Case::new([2, 5, 1, 4], &mut rng);
    let mut values = vec![0.0; 4];
    let error = Workspace::default()
        .value(&case.network, &case.times, &case.points[1..], &mut values)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = Workspace::default()
        .gradient(&case.network, &case.times, &case.points, &mut values)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = Network::new(2, 5, 1, &case.parameters[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = Network::new(2, 0, 1, &case.parameters).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    let error = Workspace::default()
        .value_and_gradient(
            &case.network,
            &case.times,
            &case.points,
            &mut values,
            &mut [0.0; 7],
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "4 times need 8 gradients, got 7");
    let error = Workspace::default()
        .curvature(
            &case.network,
            &case.times,
            &case.points,
            &case.velocities[2..],
            &mut values,
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "4 times need 8 directions, got 6");

    let step_error = |case: &Case, weights: &[f32], directions| {
        let interior = Interior {
            rows: case.rows(),
            dt: 1.0,
            curvature: Some(Curvature {
                weights,
                directions,
            }),
        };
        Workspace::default()
            .step(&case.network, interior, &[], &|_, _, _| {})
            .unwrap_err()
    };
    let error = step_error(&case, &[0.5; 3], Directions::Axes);
    assert_eq!(
        error.to_string(),
        "4 times need 4 weights of the curvature, got 3"
    );
    let error = step_error(&case, &[0.5; 4], Directions::Probes(&[1.0; 4]));
    assert_eq!(
        error.to_string(),
        "4 times need 8 numbers in the probes, got 4"
    );
    for (coefficient, weight) in [(-1.0, 0.5), (1.0, -0.5), (1.0, f32::NAN), (f32::NAN, 0.5)] {
        case.coefficients = vec![1.0, 1.0, coefficient, 1.0];
        let error = step_error(&case, &[0.5, 0.5, weight, 0.5], Directions::Axes);
        assert_eq!(error.kind(), ErrorKind::Value);
        let got = format!("got {weight} with {coefficient} in row 2");
        assert!(error.to_string().contains(&got), "{error}");
    }
    case.coefficients.pop();
    let error = step_error(&case, &[0.5; 4], Directions::Axes);
    assert_eq!(error.to_string(), "4 times need 4 coefficients, got 3");
}

#[test]
fn parameters_come_back_as_they_went_in() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for shape in SHAPES {
        let case = Case::new(shape, &mut rng);
        assert_eq!(case.network.parameters(), case.parameters, "{shape:?}");
    }
}

/// Ten steps of algorithm 1 of Kingma & Ba in f64, on the gradient that the workspace has.
#[test]
fn adam_is_that_of_the_paper() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for shape in SHAPES {
        let mut case = Case::new(shape, &mut rng);
        let mut workspace = Workspace::default();
        let mut adam = Adam::new(&case.network);
        let mut value: Vec<f64> = wide(&case.parameters.concat());
        let mut average = value.clone();
        let (mut m, mut v) = (vec![0.0; value.len()], vec![0.0; value.len()]);
        for step in 1..=10 {
            let (_, gradient) = case.step(&mut workspace, 1.0, None, 0.3, &[]);
            let gradient = wide(&gradient.concat());
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!((workspace.norm() / norm - 1.0).abs() < 1e-12);
            let update = Update {
                rate: 1e-3,
                scale: 1.0 / norm,
                keep: 0.7,
            };
            adam.step(&mut case.network, &workspace, update);
            for (i, g) in gradient.iter().enumerate() {
                let g = g * update.scale;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let first = m[i] / (1.0 - 0.9_f64.powi(step));
                let second = v[i] / (1.0 - 0.999_f64.powi(step));
                value[i] -= update.rate * first / (second.sqrt() + 1e-8);
                average[i] = update.keep * average[i] + (1.0 - update.keep) * value[i];
            }
            let got = wide(&case.network.parameters().concat());
            for (got, expected) in [(&got, &value), (&wide(&adam.average().concat()), &average)] {
                for (got, expected) in got.iter().zip(expected) {
                    assert!(
                        (got - expected).abs() < 1e-5,
                        "{shape:?}: {got}, not {expected}"
                    );
                }
            }
        }
        // What is kept aside is all there is: going on from it is the same to the bit.
        let [first, second] = adam.moments();
        let copy = Adam::resumed(&case.network, 10, &adam.average(), [&first, &second]).unwrap();
        let mut networks = [case.network.clone(), case.network.clone()];
        let update = Update {
            rate: 1e-2,
            scale: 0.5,
            keep: 0.9,
        };
        for (network, mut adam) in networks.iter_mut().zip([adam, copy]) {
            adam.step(network, &workspace, update);
        }
        let [a, b] = networks.map(|network| network.parameters());
        assert_eq!(a, b);
    }
}

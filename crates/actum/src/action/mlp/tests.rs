use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    action::{Action, At, Choice, Curvature, Interior, Precision, Rows, Terms},
    error::ErrorKind,
    store::Array,
};

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
fn naive_jvp(parameters: &[Vec<f64>], t: f64, x: &[f64], dt: f64, dx: &[f64]) -> f64 {
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

fn uniform(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..n)
        .map(|_| f64::from(2.0 * rng.random::<f32>() - 1.0))
        .collect()
}

fn matrix(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    Array2::from_shape_vec((rows, columns), uniform(rows * columns, rng)).unwrap()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// The parameters of a network, one array after the other.
fn parameters(network: &MlpEngine) -> Vec<Vec<f64>> {
    let arrays = network.unpack(network.parameters());
    arrays.iter().map(|array| wide(&array.values)).collect()
}

#[derive(Clone)]
struct Case {
    network: MlpEngine,
    times: Vec<f64>,
    points: Array2<f64>,
    coefficients: Vec<f64>,
    velocities: Array2<f64>,
}

impl Case {
    fn new([dimension, width, depth, rows]: [usize; 4], rng: &mut ChaCha8Rng) -> Self {
        let scale = 1.5 / (width as f32).sqrt();
        let mut network = MlpEngine::blank(dimension, Mlp { width, depth }).unwrap();
        let mut arrays = network.unpack(network.parameters());
        for array in &mut arrays {
            array
                .values
                .fill_with(|| scale * (2.0 * rng.random::<f32>() - 1.0));
        }
        let packed = network.pack(&arrays).unwrap();
        network.update(&mut |parameters, _| parameters.copy_from_slice(&packed));
        Self {
            network,
            times: (0..rows).map(|_| f64::from(rng.random::<f32>())).collect(),
            points: matrix(rows, dimension, rng),
            coefficients: uniform(rows, rng),
            velocities: matrix(rows, dimension, rng),
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            times: &self.times,
            points: self.points.view(),
            coefficients: &self.coefficients,
        }
    }

    fn row(&self, row: usize) -> (f64, Vec<f64>) {
        (self.times[row], self.points.row(row).to_vec())
    }

    /// The step along `grad s - velocity` with the excess `2 dx_0` and the coefficients
    /// `growth * s`, and the gradient it leaves.
    fn step<'a>(
        &'a self,
        network: &mut MlpEngine,
        dt: f64,
        curvature: Option<Curvature<'a>>,
        growth: f64,
        boundary: &[Rows<'_>],
    ) -> (Terms, Vec<f64>) {
        let d = self.points.ncols();
        let interior = Interior {
            rows: self.rows(),
            dt,
            curvature,
        };
        let choose = |rows: Range<usize>, at: At<'_>, choice: Choice<'_>| {
            let velocities = self.velocities.slice(s![rows, ..]);
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
        let terms = network.step(interior, boundary, &choose).unwrap();
        let gradient = network.unpack(network.parameter_gradient());
        let gradient = gradient.iter().flat_map(|array| wide(&array.values));
        (terms, gradient.collect())
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
        let parameters = parameters(&case.network);
        let (times, points) = (&case.times, case.points.view());
        let values = case.network.value(times, points);
        let gradients = case.network.gradient(times, points);
        let both = case.network.value_and_gradient(times, points);
        assert_eq!(both, (values.clone(), gradients.clone()));
        for row in 0..rows {
            let (t, x) = case.row(row);
            let expected = naive(&parameters, t, &x);
            assert!((values[row] - expected).abs() < 1e-5, "{shape:?}");
            for column in 0..d {
                let mut dx = vec![0.0; d];
                dx[column] = 1.0;
                let expected = naive_jvp(&parameters, t, &x, 0.0, &dx);
                let got = gradients[[row, column]];
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
        let parameters = parameters(&case.network);
        let directions = case.velocities.view();
        let curvatures = case
            .network
            .curvature(&case.times, case.points.view(), directions);
        for (row, got) in curvatures.iter().enumerate() {
            let (t, x) = case.row(row);
            let e = directions.row(row).to_vec();
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
            assert!(
                (got - expected).abs() < 1e-5,
                "{shape:?}: {got}, not {expected}"
            );
        }
    }
}

/// The directions of second derivatives in a test.
#[derive(Clone, Copy, PartialEq)]
enum Directions {
    None,
    Probes,
    Axes,
}

/// Compares a step with differences in the parameters of the objective in f64.
fn check_step(
    shape: [usize; 4],
    dt: f64,
    directions: Directions,
    growth: f64,
    rng: &mut ChaCha8Rng,
) {
    let mut case = Case::new(shape, rng);
    let [d, _, _, rows] = shape;
    for coefficient in case.coefficients.iter_mut().skip(2).step_by(5) {
        *coefficient = 0.0;
    }
    let probes = matrix(rows, d, rng);
    // A term with a negative coefficient has no curvature.
    let weights: Vec<f64> = case
        .coefficients
        .iter()
        .map(|c| if *c < 0.0 { 0.0 } else { rng.random() })
        .collect();
    let curvature = (directions != Directions::None).then_some(Curvature {
        weights: &weights,
        probes: (directions == Directions::Probes).then_some(probes.view()),
    });
    let ends = [rows, rows / 2 + 1].map(|rows| {
        let mut end = Case::new([d, 1, 1, rows], rng);
        end.times.fill(1.0);
        end
    });
    let boundary: Vec<Rows> = ends.iter().map(Case::rows).collect();
    let boundary = if dt == 1.0 { &boundary[..] } else { &[] };
    let mut network = case.network.clone();
    let (terms, gradient) = case.step(&mut network, dt, curvature, growth, boundary);

    let mut parameters = parameters(&network);
    let (values, gradients) = network.value_and_gradient(&case.times, case.points.view());
    assert_eq!(terms.values, values.to_vec());
    let dx = gradients - &case.velocities;
    let term = |parameters: &[Vec<f64>], row: usize| {
        let (t, x) = case.row(row);
        let push = naive_jvp(parameters, t, &x, dt, &dx.row(row).to_vec());
        let second = |e: &[f64]| naive_curvature(parameters, t, &x, e);
        let second: f64 = match directions {
            _ if case.coefficients[row] <= 0.0 => 0.0,
            Directions::None => 0.0,
            Directions::Probes => second(&probes.row(row).to_vec()),
            Directions::Axes => (0..d)
                .map(|axis| {
                    let mut e = vec![0.0; d];
                    e[axis] = 1.0;
                    second(&e)
                })
                .sum(),
        };
        push + weights[row] * second
    };
    let ends = |parameters: &[Vec<f64>]| -> f64 {
        let each = |rows: &Rows| -> f64 {
            let all = rows
                .times
                .iter()
                .zip(rows.points.rows())
                .zip(rows.coefficients);
            all.map(|((t, x), c)| c * naive(parameters, *t, &x.to_vec()))
                .sum()
        };
        boundary.iter().map(each).sum()
    };
    assert_eq!(terms.interior.len(), rows);
    for (row, got) in terms.interior.iter().enumerate() {
        let expected = term(&parameters, row) - 2.0 * dx[[row, 0]];
        assert!(
            (got - expected).abs() < 5e-5,
            "{shape:?}: {got}, not {expected}"
        );
    }
    let off = terms.boundary - ends(&parameters);
    assert!(off.abs() < 1e-5 * (1.0 + rows as f64).sqrt(), "{shape:?}");

    let objective = |parameters: &[Vec<f64>]| {
        let interior = case.coefficients.iter().enumerate().map(|(row, c)| {
            let (t, x) = case.row(row);
            c * term(parameters, row) + growth * values[row] * naive(parameters, t, &x)
        });
        interior.sum::<f64>() + ends(parameters)
    };
    let mut start = 0;
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
            let got = gradient[start + i];
            let bound = 2e-5 * (rows as f64).sqrt() * (1.0 + expected.abs());
            assert!(
                (got - expected).abs() < bound,
                "{shape:?}, parameters {array}[{i}]: {got}, not {expected}"
            );
        }
        start += parameters[array].len();
    }
}

#[test]
fn step_equals_differences_of_the_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (shape, dt) in SHAPES.into_iter().zip([0.0, 1.0].into_iter().cycle()) {
        check_step(shape, dt, Directions::None, 0.0, &mut rng);
        check_step(shape, dt, Directions::None, 0.7, &mut rng);
    }
}

#[test]
fn step_with_second_derivatives_equals_differences_of_the_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for (shape, dt) in SHAPES.into_iter().zip([1.0, 0.0].into_iter().cycle()) {
        check_step(shape, dt, Directions::Probes, 0.7, &mut rng);
        check_step(shape, 1.0 - dt, Directions::Axes, 0.7, &mut rng);
    }
}

#[test]
fn rows_with_coefficient_0_contribute_nothing_but_their_value() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut case = Case::new([3, 20, 3, 40], &mut rng);
    case.coefficients.fill(0.0);
    let curvature = Some(Curvature {
        weights: &[0.5; 40],
        probes: None,
    });
    let mut network = case.network.clone();
    let (terms, gradient) = case.step(&mut network, 1.0, curvature, 0.0, &[]);
    assert!(gradient.iter().all(|g| *g == 0.0));
    let (plain, _) = case.step(&mut network, 1.0, None, 0.0, &[]);
    assert_eq!(terms, plain);

    let (_, gradient) = case.step(&mut network, 1.0, curvature, 0.7, &[]);
    let coefficients: Vec<f64> = terms.values.iter().map(|s| 0.7 * s).collect();
    let values = Rows {
        coefficients: &coefficients,
        ..case.rows()
    };
    let nothing = Case::new([3, 20, 3, 0], &mut rng);
    let (_, expected) = nothing.step(&mut network, 1.0, None, 0.0, &[values]);
    for (got, expected) in gradient.iter().zip(&expected) {
        let bound = 1e-6 * (1.0 + expected.abs());
        assert!((got - expected).abs() < bound, "{got}, not {expected}");
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_steps_before() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let case = Case::new([3, 50, 3, 700], &mut rng);
    let end = Case::new([3, 1, 1, 900], &mut rng);
    let other = Case::new([3, 20, 3, 30], &mut rng);
    let weights: Vec<f64> = case
        .coefficients
        .iter()
        .map(|c| c.signum().max(0.0))
        .collect();
    let second = |probes| {
        Some(Curvature {
            weights: &weights,
            probes,
        })
    };
    let curvatures = [None, second(Some(case.velocities.view())), second(None)];
    let mut results = [const { vec![] }; 3];
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut network = case.network.clone();
            for (results, curvature) in results.iter_mut().zip(curvatures) {
                results.push(case.step(&mut network, 1.0, curvature, 0.7, &[end.rows()]));
                other.step(&mut network, 0.0, None, 0.0, &[]);
                results.push(case.step(&mut network, 1.0, curvature, 0.7, &[end.rows()]));
            }
            for (results, curvature) in results.iter_mut().zip(curvatures).rev() {
                results.push(case.step(&mut network, 1.0, curvature, 0.7, &[end.rows()]));
            }
        });
    }
    for results in results {
        assert!(results[0].1.iter().all(|g| g.is_finite()));
        for result in &results[1..] {
            assert_eq!(*result, results[0]);
        }
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut case = Case::new([2, 5, 1, 4], &mut rng);
    let arrays = case.network.unpack(case.network.parameters());
    let error = case.network.pack(&arrays[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let turned = Array {
        shape: vec![5, 3],
        ..arrays[0].clone()
    };
    let error = case.network.pack(&[turned]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let none = Mlp { width: 0, depth: 1 };
    let error = MlpEngine::blank(2, none).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);

    let step_error = |case: &Case, weights: &[f64], probes: Option<ArrayView2<f64>>| {
        let interior = Interior {
            rows: case.rows(),
            dt: 1.0,
            curvature: Some(Curvature { weights, probes }),
        };
        let mut network = case.network.clone();
        network.step(interior, &[], &|_, _, _| {}).unwrap_err()
    };
    let error = step_error(&case, &[0.5; 3], None);
    assert_eq!(
        error.to_string(),
        "4 times need 4 weights of the curvature, got 3"
    );
    let error = step_error(&case, &[0.5; 4], Some(Array2::ones((2, 2)).view()));
    assert_eq!(
        error.to_string(),
        "4 times need 8 numbers in the probes, got 4"
    );
    for (coefficient, weight) in [(-1.0, 0.5), (1.0, -0.5), (1.0, f64::NAN), (f64::NAN, 0.5)] {
        case.coefficients = vec![1.0, 1.0, coefficient, 1.0];
        let error = step_error(&case, &[0.5, 0.5, weight, 0.5], None);
        assert_eq!(error.kind(), ErrorKind::Value);
        let got = format!("got {weight} with {coefficient} in row 2");
        assert!(error.to_string().contains(&got), "{error}");
    }
    case.coefficients.pop();
    let error = step_error(&case, &[0.5; 4], None);
    assert_eq!(error.to_string(), "4 times need 4 coefficients, got 3");
    case.points.remove_index(Axis(0), 0);
    let error = step_error(&case, &[0.5; 4], None);
    assert_eq!(error.to_string(), "4 times need points [4, 2], got [3, 2]");
}

#[test]
fn parameters_come_back_as_they_went_in() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for shape in SHAPES {
        let network = Case::new(shape, &mut rng).network;
        let arrays = network.unpack(network.parameters());
        assert_eq!(network.pack(&arrays).unwrap(), network.parameters());
        let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        assert_eq!(names[..2], ["weights.0", "weights.1"]);
        assert_eq!(arrays[0].shape, [shape[0] + 1, shape[1]]);
        assert_eq!(arrays.last().unwrap().values.len(), 1);
    }
}

/// The root mean square of the difference, as a part of that of the second.
fn relative_error(got: &[f64], expected: &[f64]) -> f64 {
    let squares = |all: &mut dyn Iterator<Item = f64>| all.map(|x| x * x).sum::<f64>();
    let mut differences = got.iter().zip(expected).map(|(a, b)| a - b);
    (squares(&mut differences) / squares(&mut expected.iter().copied())).sqrt()
}

/// Rounding moves each factor by at most 2^-9 = 0.2 %; a gradient has four products in a row.
#[test]
fn steps_in_bf16_are_those_in_f32_to_rounding() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one = one.unwrap();
    for shape in [
        [2, 48, 3, 33],
        [40, 64, 2, 150],
        [5, 100, 4, 40],
        [3, 256, 3, 300],
    ] {
        let mut case = Case::new(shape, &mut rng);
        case.coefficients.iter_mut().for_each(|c| *c = c.abs());
        let [d, _, _, rows] = shape;
        let weights = vec![0.3; rows];
        let probes = matrix(rows, d, &mut rng);
        for probes in [None, Some(probes.view())] {
            let curvature = (d < 10 || probes.is_some()).then_some(Curvature {
                weights: &weights,
                probes,
            });
            let boundary = [case.rows()];
            let mut network = case.network.clone();
            let (terms, gradient) = case.step(&mut network, 1.0, curvature, 0.5, &boundary);
            assert_eq!(network.multiply_in(Precision::Bf16), Precision::Bf16);
            let (rounded, rounded_gradient) =
                case.step(&mut network, 1.0, curvature, 0.5, &boundary);
            for (what, error) in [
                ("values", relative_error(&rounded.values, &terms.values)),
                ("terms", relative_error(&rounded.interior, &terms.interior)),
                ("gradient", relative_error(&rounded_gradient, &gradient)),
            ] {
                assert!(1e-6 < error && error < 1e-2, "{shape:?}, {what}: {error}");
            }
            // The same bits on one thread.
            let alone = one.install(|| case.step(&mut network, 1.0, curvature, 0.5, &boundary));
            assert_eq!(alone, (rounded, rounded_gradient));
            assert_eq!(network.multiply_in(Precision::F32), Precision::F32);
            let again = case.step(&mut network, 1.0, curvature, 0.5, &boundary);
            assert_eq!(again, (terms, gradient));
        }
    }
}

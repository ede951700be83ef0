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

    /// The step along `grad s - velocity` with the excess `2 dx_0`.
    fn step(
        &self,
        workspace: &mut Workspace,
        dt: f32,
        boundary: &[Rows<'_>],
    ) -> (Terms, Vec<Vec<f32>>) {
        let d = self.dimension;
        let mut gradient: Vec<Vec<f32>> = self
            .parameters
            .iter()
            .map(|p| vec![f32::NAN; p.len()])
            .collect();
        let direction = |rows: Range<usize>, p: &[f32], dx: &mut [f32], excess: &mut [f32]| {
            let velocities = &self.velocities[rows.start * d..rows.end * d];
            for ((dx, p), u) in dx.iter_mut().zip(p).zip(velocities) {
                *dx = p - u;
            }
            for (excess, dx) in excess.iter_mut().zip(dx.chunks(d)) {
                *excess = 2.0 * dx[0];
            }
        };
        let terms = workspace
            .step(
                &self.network,
                self.rows(),
                dt,
                boundary,
                direction,
                &mut gradient,
            )
            .unwrap();
        (terms, gradient)
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
        for row in 0..rows {
            let (t, x) = (
                f64::from(case.times[row]),
                wide(&case.points[row * d..][..d]),
            );
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
fn step_equals_differences_of_the_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (shape, dt) in SHAPES.into_iter().zip([0.0, 1.0].into_iter().cycle()) {
        let case = Case::new(shape, &mut rng);
        let [d, _, _, rows] = shape;
        let ends = [rows, rows / 2 + 1].map(|rows| {
            let mut end = Case::new([d, 1, 1, rows], &mut rng);
            end.times.fill(1.0);
            end
        });
        let boundary: Vec<Rows> = ends.iter().map(Case::rows).collect();
        let boundary = if dt == 1.0 { &boundary[..] } else { &[] };
        let (terms, gradient) = case.step(&mut Workspace::default(), dt, boundary);

        let mut parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
        let mut gradients = vec![0.0; rows * d];
        Workspace::default()
            .gradient(&case.network, &case.times, &case.points, &mut gradients)
            .unwrap();
        let dx: Vec<f64> = gradients
            .iter()
            .zip(&case.velocities)
            .map(|(p, u)| f64::from(p - u))
            .collect();
        let dt = f64::from(dt);
        let push = |parameters: &[Vec<f64>], row: usize| {
            let (t, x) = (
                f64::from(case.times[row]),
                wide(&case.points[row * d..][..d]),
            );
            naive_push(parameters, t, &x, dt, &dx[row * d..][..d])
        };
        let values = |parameters: &[Vec<f64>]| -> Vec<f64> {
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
            let expected = push(&parameters, row) - 2.0 * dx[row * d];
            assert!(
                (f64::from(*got) - expected).abs() < 5e-5,
                "{shape:?}: {got}, not {expected}"
            );
        }
        let expected = values(&parameters);
        assert_eq!(terms.boundary.len(), expected.len());
        for (got, expected) in terms.boundary.iter().zip(expected) {
            assert!((f64::from(*got) - expected).abs() < 1e-5, "{shape:?}");
        }

        let objective = |parameters: &[Vec<f64>]| {
            let coefficients = boundary.iter().flat_map(|rows| rows.coefficients);
            let interior = case.coefficients.iter().enumerate();
            interior
                .map(|(row, c)| f64::from(*c) * push(parameters, row))
                .sum::<f64>()
                + coefficients
                    .zip(values(parameters))
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
}

#[test]
fn bits_depend_neither_on_threads_nor_on_what_the_workspace_did_before() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let case = Case::new([3, 50, 3, 700], &mut rng);
    let end = Case::new([3, 1, 1, 900], &mut rng);
    let other = Case::new([3, 20, 3, 30], &mut rng);
    let mut results = vec![];
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut workspace = Workspace::default();
            results.push(case.step(&mut workspace, 1.0, &[end.rows()]));
            other.step(&mut workspace, 0.0, &[]);
            results.push(case.step(&mut workspace, 1.0, &[end.rows()]));
        });
    }
    assert!(results[0].1.iter().flatten().all(|g| g.is_finite()));
    for result in &results[1..] {
        assert_eq!(*result, results[0]);
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
    let error = case.network.load(&case.parameters[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = Network::new(2, 0, 1, &case.parameters).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    case.coefficients.pop();
    let mut gradient = case.parameters.clone();
    let error = Workspace::default()
        .step(
            &case.network,
            case.rows(),
            1.0,
            &[],
            |_, _, _, _| {},
            &mut gradient,
        )
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
}

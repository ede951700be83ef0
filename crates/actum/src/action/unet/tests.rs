use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::action::{Action, At, Choice, Curvature, Interior, Rows};

const SIZES: Sizes = Sizes {
    target: 2,
    conditioning: 1,
    height: 4,
    width: 6,
    channels: 4,
    levels: 2,
    blocks: 1,
    periodic: false,
    scalar: Scalar::Product,
};

/// A network all of whose parameters are random: a fresh one ends in zeros.
fn network(sizes: Sizes) -> UNetEngine {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut network = UNetEngine::new(sizes, &mut rng).unwrap();
    let mut arrays = network.unpack(network.parameters());
    for value in arrays.iter_mut().flat_map(|array| &mut array.values) {
        *value += 0.2 * rng.sample::<f32, _>(StandardNormal);
    }
    let packed = network.pack(&arrays).unwrap();
    network.update(&mut |parameters, _| parameters.copy_from_slice(&packed));
    network
}

fn random(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || rng.sample(StandardNormal))
}

fn step(network: &mut UNetEngine, weights: &[f64], probes: Option<ArrayView2<f64>>) -> Vec<f64> {
    let (n, d) = (weights.len(), network.dimension());
    let (times, coefficients) = (vec![0.3; n], vec![0.5; n]);
    let (points, velocities) = (random(n, d, 2), random(n, d, 3));
    let interior = Interior {
        rows: Rows {
            times: &times,
            points: points.view(),
            coefficients: &coefficients,
        },
        dt: 1.0,
        curvature: Some(Curvature { weights, probes }),
    };
    let choose = |rows: Range<usize>, at: At<'_>, choice: Choice<'_>| {
        let moves = choice.directions.iter_mut().zip(at.gradients);
        for ((dx, p), u) in moves.zip(velocities.row(rows.start)) {
            *dx = p - u;
        }
        choice.values[0] = 0.7 * at.values[0];
    };
    network.step(interior, &[], &choose).unwrap().interior
}

/// The gradient with second derivatives goes over into that without.
#[test]
fn vanishing_second_derivatives_change_nothing() {
    for periodic in [false, true] {
        let mut network = network(Sizes { periodic, ..SIZES });
        let probes = random(2, network.dimension(), 4);
        let plain = step(&mut network, &[0.0; 2], Some(probes.view()));
        let gradient = network.parameter_gradient().to_vec();
        let small = step(&mut network, &[1e-12; 2], Some(probes.view()));
        let scale = gradient.iter().fold(0.0, |most: f32, g| most.max(g.abs()));
        for (a, b) in network.parameter_gradient().iter().zip(&gradient) {
            assert!((a - b).abs() < 1e-4 * scale, "{a} against {b}");
        }
        for (a, b) in plain.iter().zip(&small) {
            assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} against {b}");
        }
    }
}

/// The norm that clips a gradient sees parameters alone, not what fills up their lines.
#[test]
fn what_fills_up_has_no_gradient() {
    let mut network = network(SIZES);
    step(&mut network, &[0.0; 2], None);
    let square = |values: &[f32]| values.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
    let arrays = network.unpack(network.parameter_gradient());
    let expected: f64 = arrays.iter().map(|array| square(&array.values)).sum();
    let found = square(network.parameter_gradient());
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
}

/// The sum over the axes is what probes along each of them add up to.
#[test]
fn axes_are_all_unit_vectors() {
    let sizes = Sizes {
        target: 1,
        conditioning: 0,
        height: 1,
        width: 2,
        levels: 1,
        ..SIZES
    };
    let mut network = network(sizes);
    let all = step(&mut network, &[0.8], None)[0];
    let none = step(&mut network, &[0.0], None)[0];
    let along = [0, 1].map(|j| {
        let unit = Array2::from_shape_fn((1, 2), |(_, k)| f64::from(j == k));
        step(&mut network, &[0.8], Some(unit.view()))[0] - none
    });
    let expected = none + along[0] + along[1];
    assert!((all - expected).abs() < 1e-4, "{all} against {expected}");
    let points = random(1, 2, 2);
    for (j, along) in along.into_iter().enumerate() {
        let unit = Array2::from_shape_fn((1, 2), |(_, k)| f64::from(j == k));
        let curvature = network.curvature(&[0.3], points.view(), unit.view())[0];
        assert!(
            (along - 0.8 * curvature).abs() < 1e-4,
            "{along} {curvature}"
        );
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let gradients = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new();
        let pool = pool.num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut network = network(SIZES);
            let probes = random(40, network.dimension(), 4);
            let weights: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
            step(&mut network, &weights, Some(probes.view()));
            network.parameter_gradient().to_vec()
        })
    });
    assert!(gradients[0].iter().any(|g| g.abs() > 1e-3));
    assert_eq!(gradients[0], gradients[1]);
    assert_eq!(gradients[0], gradients[2]);
}

/// In bf16 everything is off by about its 2^-9, and no more; bits do not depend on threads, and
/// f32 comes back.
#[test]
fn steps_in_bf16_are_near_those_in_f32() {
    let sizes = Sizes {
        height: 8,
        width: 12,
        channels: 16,
        ..SIZES
    };
    let mut network = network(sizes);
    let probes = random(6, network.dimension(), 4);
    let one = |network: &mut UNetEngine, weight: f64| {
        let terms = step(network, &[weight; 6], Some(probes.view()));
        (terms, network.parameter_gradient().to_vec())
    };
    let off = |a: &[f64], b: &[f64]| {
        let square = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>();
        let difference = square(&mut a.iter().zip(b).map(|(a, b)| a - b));
        (difference / square(&mut b.iter().copied())).sqrt()
    };
    let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    for weight in [0.0, 0.5] {
        let exact = one(&mut network, weight);
        assert_eq!(network.multiply_in(Precision::Bf16), Precision::Bf16);
        let rounded = one(&mut network, weight);
        let errors = [
            off(&rounded.0, &exact.0),
            off(&wide(&rounded.1), &wide(&exact.1)),
        ];
        for error in errors {
            assert!(1e-5 < error && error < 2e-2, "{errors:?}");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
        let alone = pool.build().unwrap();
        assert_eq!(alone.install(|| one(&mut network, weight)), rounded);
        assert_eq!(network.multiply_in(Precision::F32), Precision::F32);
        assert_eq!(one(&mut network, weight), exact);
    }
}

#[test]
fn levels_halve_while_sides_are_even_and_above_eight() {
    let network = UNet::default();
    for (height, width, levels) in [
        (28, 28, 3),
        (14, 14, 2),
        (32, 32, 3),
        (8, 8, 1),
        (7, 7, 1),
        (64, 24, 3),
        (256, 256, 6),
        (8, 1024, 2),
    ] {
        let found = network.levels_for(height, width);
        assert_eq!(found, levels, "{height} {width}");
    }
    let two = UNet {
        levels: Some(2),
        ..network
    };
    assert_eq!(two.levels_for(28, 28), 2);
}

//! Derivatives of the built-in networks against finite differences, in f64.

use actum::action::{Action, Engine, Scalar, Sizes};
use ndarray::{Array2, s};

use crate::support::{
    assert_close,
    networks::{SIZES, jvp, moved, random_mlp, random_unet, unet},
    normal, normal_times,
    tensors::in_f64,
};

/// A network, how many of its columns move, and the bound of its differences.
struct Case {
    network: Box<dyn Engine>,
    moved: usize,
    off: f64,
    name: String,
}

impl Case {
    /// Some points and directions of as many columns.
    fn normal(&self, rows: usize, seed: u64) -> Array2<f64> {
        normal(rows, self.network.dimension(), seed)
    }

    /// The part of directions along which points move.
    fn moving(&self, mut directions: Array2<f64>) -> Array2<f64> {
        directions.slice_mut(s![.., self.moved..]).fill(0.0);
        directions
    }
}

/// One of each kind: perceptrons; a U-Net of a single level; conditioning; levels and blocks;
/// circles; the other scalar.
fn cases() -> Vec<Case> {
    let flat = Sizes {
        target: 1,
        conditioning: 0,
        height: 3,
        width: 2,
        levels: 1,
        ..SIZES
    };
    let deep = Sizes {
        target: 1,
        width: 4,
        levels: 3,
        blocks: 2,
        ..SIZES
    };
    let circles = Sizes {
        periodic: true,
        ..SIZES
    };
    let distance = Sizes {
        scalar: Scalar::Distance,
        ..SIZES
    };
    let perceptrons = [(1, 3, 1), (3, 8, 2), (5, 17, 3)].map(|(d, width, depth)| Case {
        network: in_f64(random_mlp(d, width, depth)),
        moved: d,
        off: 1e-8,
        name: format!("{d}, {width}, {depth}"),
    });
    // The fastest wave of time has a third derivative of 32^3.
    let unets = [flat, SIZES, deep, circles, distance].map(|sizes| Case {
        network: in_f64(random_unet(sizes)),
        moved: moved(sizes),
        off: 1e-6,
        name: format!("{sizes:?}"),
    });
    perceptrons.into_iter().chain(unets).collect()
}

const H: f64 = 1e-5;

#[test]
fn the_gradient_is_that_of_the_value_where_points_move() {
    for case in cases() {
        let (n, d) = (3, case.network.dimension());
        let (times, x) = (normal_times(n, 1), case.normal(n, 2));
        let gradient = case.network.gradient(&times, x.view());
        let mut differences = Array2::zeros((n, d));
        for j in 0..d {
            let at = |h: f64| {
                let mut x = x.clone();
                x.column_mut(j).mapv_inplace(|x| x + h);
                case.network.value(&times, x.view())
            };
            let slope = (at(H) - at(-H)) / (2.0 * H);
            differences.column_mut(j).assign(&slope);
        }
        let felt = differences.slice(s![.., case.moved..]).mapv(f64::abs);
        let differences = case.moving(differences);
        let [ours, theirs] = [gradient, differences].map(|x| x.into_raw_vec_and_offset().0);
        assert_close(&ours, &theirs, 1e-3, case.off.min(1e-7), &case.name);
        // What is given is seen by the network, and yet a constant.
        assert!(case.moved == d || felt.iter().any(|slope| *slope > 1e-3));
    }
}

#[test]
fn a_step_has_the_directional_derivative() {
    for mut case in cases() {
        let (times, x, dx) = (normal_times(6, 1), case.normal(6, 2), case.normal(6, 4));
        let dt = 0.7;
        let found = jvp(&mut *case.network, &times, x.view(), dt, dx.view());
        let dx = case.moving(dx);
        let at = |h: f64| {
            let times: Vec<f64> = times.iter().map(|t| t + h * dt).collect();
            case.network.value(&times, (&x + &(&dx * h)).view())
        };
        let differences = (at(H) - at(-H)) / (2.0 * H);
        assert_close(&found, &differences.to_vec(), 1e-3, case.off, &case.name);
    }
}

#[test]
fn the_curvature_is_the_second_directional_derivative() {
    for case in cases() {
        let (times, x, e) = (normal_times(6, 1), case.normal(6, 2), case.normal(6, 4));
        let curvature = case.network.curvature(&times, x.view(), e.view());
        let e = case.moving(e);
        // Twice the gradient, which has been tested against the value.
        let at = |h: f64| case.network.gradient(&times, (&x + &(&e * h)).view());
        let differences = (&e * (at(H) - at(-H))).sum_axis(ndarray::Axis(1)) / (2.0 * H);
        let [ours, theirs] = [curvature, differences].map(|x| x.to_vec());
        assert_close(&ours, &theirs, 1e-3, case.off, &case.name);
    }
}

#[test]
fn on_circles_whole_turns_change_nothing() {
    let sizes = Sizes {
        periodic: true,
        ..SIZES
    };
    let network = in_f64(random_unet(sizes));
    let (times, x) = (normal_times(2, 1), normal(2, network.dimension(), 2));
    let mut turned = x.clone();
    let mut turns = (0..).map(|k| f64::from(k % 5) - 2.0);
    let moving = turned.slice_mut(s![.., ..moved(sizes)]);
    moving.into_iter().for_each(|x| *x += turns.next().unwrap());
    let [a, b] = [x, turned].map(|x| network.value(&times, x.view()).to_vec());
    assert!(a[0].abs() > 1e-3);
    assert_close(&a, &b, 1e-3, 1e-10, "whole turns");
}

/// Images in a batch do not see each other.
#[test]
fn rows_are_independent() {
    let network = random_unet(SIZES);
    let (times, x) = (normal_times(5, 1), normal(5, network.dimension(), 2));
    for (network, off) in [(in_f64(random_unet(SIZES)), 1e-12), (network, 1e-15)] {
        let whole = network.value(&times, x.view()).to_vec();
        for i in 0..5 {
            let alone = network.value(&times[i..=i], x.slice(s![i..=i, ..]));
            assert_close(&alone.to_vec(), &whole[i..=i], 1e-3, off, "alone");
        }
    }
}

#[test]
fn a_fresh_network_of_the_distance_draws_to_zero() {
    let sizes = Sizes {
        scalar: Scalar::Distance,
        ..SIZES
    };
    let fresh = unet(sizes, 0);
    let x = normal(1, fresh.dimension(), 2).mapv(|x| f64::from(x as f32));
    let mut expected = -&x;
    expected.slice_mut(s![.., moved(sizes)..]).fill(0.0);
    let least = -0.5 * expected.mapv(|x| x * x).sum();
    for (network, off) in [(in_f64(unet(sizes, 0)), 1e-12), (fresh, 1e-6)] {
        let (value, gradient) = network.value_and_gradient(&[0.3], x.view());
        let [ours, theirs] = [&gradient, &expected].map(|x| x.iter().copied().collect::<Vec<_>>());
        assert_close(&ours, &theirs, 1e-3, off, "gradient");
        assert_close(&value.to_vec(), &[least], 1e-3, off, "value");
    }
}

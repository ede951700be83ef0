//! The U-Net on the CPU: how it starts, its steps, its sizes. Its numbers are compared with tensors in
//! `tensor::engines`.

use actum::{
    action::{Action, Interior, Rows, Sizes, UNetEngine},
    fit::{Options, fit},
    lagrangian::Lagrangian,
    path::Path,
    problem::Problem,
    units::Units,
};
use ndarray::Array2;

use crate::support::{
    networks::{SIZES, images, jvp, unet},
    normal, normal_times, rng,
};

#[test]
fn a_fresh_network_is_at_rest_and_begins_to_move() {
    let mut fresh = unet(SIZES, 1);
    let (times, x) = (normal_times(2, 1), normal(2, fresh.dimension(), 2));
    let (values, gradients) = fresh.value_and_gradient(&times, x.view());
    assert!(values.iter().all(|s| *s == 0.0));
    assert!(gradients.iter().all(|g| *g == 0.0));
    let sum = Rows {
        times: &times,
        points: x.view(),
        coefficients: &[1.0; 2],
    };
    let nothing = Array2::zeros((0, fresh.dimension()));
    let interior = Interior {
        rows: Rows {
            times: &[],
            points: nothing.view(),
            coefficients: &[],
        },
        dt: 0.0,
        curvature: None,
    };
    fresh.step(interior, &[sum], &|_, _, _| {}).unwrap();
    assert!(fresh.parameter_gradient().iter().any(|g| g.abs() > 1e-3));
}

#[test]
fn a_step_has_the_change_of_the_value_in_single_precision() {
    let path = images(SIZES);
    let problem = Problem::new(
        &path,
        Lagrangian::kinetic(),
        Units::identity(path.dimension()),
    );
    let options = Options {
        steps: 30,
        batch: 20,
        warmup: 20,
        learning_rate: 4e-3,
        ema_decay: 0.98,
        ..Options::default()
    };
    let dynamics = fit(unet(SIZES, 0), &problem, &options, &mut ()).unwrap();
    let learned = dynamics.action().as_engine().unwrap();
    let mut network = unet(SIZES, 1);
    let parameters = learned.parameters();
    network.update(&mut |to, _| to.copy_from_slice(parameters));
    let ramp = |scale: f64, offset: f64| {
        let d = path.dimension();
        Array2::from_shape_fn((3, d), |(i, j)| ((i * d + j) as f64 * scale + offset).sin())
    };
    let (times, x, mut dx) = ([0.4; 3], ramp(0.7, 0.1), ramp(1.3, 0.5));
    let found = jvp(&mut *network, &times, x.view(), 1.0, dx.view());
    let given = crate::support::networks::moved(SIZES);
    dx.slice_mut(ndarray::s![.., given..]).fill(0.0);
    let h = 1e-3;
    let at = |h: f64| network.value(&times.map(|t| t + h), (&x + &(&dx * h)).view());
    let differences = (at(h) - at(-h)) / (2.0 * h);
    for (a, b) in found.iter().zip(differences) {
        assert!((a - b).abs() < 2e-3 * b.abs().max(1.0), "{a} against {b}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_with_those_that_can() {
    let message = |sizes: Sizes| {
        let network = UNetEngine::new(sizes, &mut rng(0));
        network.err().map_or(String::new(), |e| e.to_string())
    };
    let sized = |height, width, levels| Sizes {
        height,
        width,
        levels,
        ..SIZES
    };
    for (height, width, levels) in [(28, 28, 3), (14, 14, 2), (8, 12, 3), (32, 32, 6)] {
        let sizes = sized(height, width, levels);
        assert_eq!(message(sizes), "", "{sizes:?}");
    }
    let thin = Sizes {
        channels: 6,
        ..SIZES
    };
    for (sizes, said) in [
        (sized(14, 30, 3), "at most 2 levels, or images of 16x32"),
        (thin, "multiple of 4, got 6; take 8"),
        (sized(4, 6, 0), "levels must be from 1 to 17, got 0"),
        (sized(4, 6, 16), "at most 2 levels"),
        (
            sized(255, 130, 1),
            "33150 pixels at its coarsest level of images of 255x130",
        ),
        (
            sized(255, 130, 1),
            "multiples of 4, such as 252x128, and take 3 levels",
        ),
        (
            sized(128, 128, 1),
            "attention takes at most 4096; take 2 levels",
        ),
        (sized(1, 5000, 1), "such as 2x5000"),
    ] {
        let found = message(sizes);
        assert!(found.contains(said), "{found}");
    }
}

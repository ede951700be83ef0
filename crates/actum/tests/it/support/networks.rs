//! Networks at random and paths of images.

use std::ops::Range;

use actum::{
    action::{At, Choice, Engine, Interior, Mlp, MlpEngine, Rows, Scalar, Sizes, UNetEngine},
    path::{FnPath, Path, PathSample},
    store::Array,
};
use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::rng;

/// A fresh perceptron.
pub fn mlp(dimension: usize, width: usize, depth: usize, seed: u64) -> Box<dyn Engine> {
    let network = MlpEngine::new(dimension, Mlp { width, depth }, &mut rng(seed));
    Box::new(network.unwrap())
}

/// A fresh U-Net.
pub fn unet(sizes: Sizes, seed: u64) -> Box<dyn Engine> {
    Box::new(UNetEngine::new(sizes, &mut rng(seed)).unwrap())
}

/// A perceptron all of whose parameters are random: a fresh one ends in zeros.
pub fn random_mlp(dimension: usize, width: usize, depth: usize) -> Box<dyn Engine> {
    shaken(mlp(dimension, width, depth, 7), 0.0, 0.5)
}

/// A U-Net all of whose parameters are random.
pub fn random_unet(sizes: Sizes) -> Box<dyn Engine> {
    shaken(unet(sizes, 7), 1.0, 0.2)
}

/// The finest step of [`shaken`] parameters, which moves them by half without rounding.
pub const GRAIN: f32 = 1.0 / 65536.0;

/// The parameters times `keep` and with noise added, rounded to multiples of [`GRAIN`].
fn shaken(mut engine: Box<dyn Engine>, keep: f32, noise: f32) -> Box<dyn Engine> {
    let mut rng = rng(7);
    change(&mut *engine, |arrays| {
        for value in arrays.iter_mut().flat_map(|array| &mut array.values) {
            let z: f32 = rng.sample(StandardNormal);
            *value = ((keep * *value + noise * z) / GRAIN).round() * GRAIN;
        }
    });
    engine
}

/// Changes the parameters as arrays by name.
pub fn change(engine: &mut dyn Engine, change: impl FnOnce(&mut Vec<Array>)) {
    let mut arrays = engine.unpack(engine.parameters());
    change(&mut arrays);
    let packed = engine.pack(&arrays).unwrap();
    engine.update(&mut |parameters, _| parameters.copy_from_slice(&packed));
}

/// The gradient of the last step as numbers of every array by name, without what fills up between.
pub fn gradients(engine: &dyn Engine) -> Vec<(String, Vec<f64>)> {
    let arrays = engine.unpack(engine.parameter_gradient());
    let numbers = |array: Array| (array.name, super::wide(&array.values));
    arrays.into_iter().map(numbers).collect()
}

/// `(dt d/dt + dx . grad) s` at every point, as a step gives it.
pub fn jvp(
    engine: &mut dyn Engine,
    times: &[f64],
    points: ArrayView2<f64>,
    dt: f64,
    dx: ArrayView2<f64>,
) -> Vec<f64> {
    let (ones, d) = (vec![1.0; times.len()], points.ncols());
    let interior = Interior {
        rows: Rows {
            times,
            points,
            coefficients: &ones,
        },
        dt,
        curvature: None,
    };
    let choose = |rows: Range<usize>, _: At<'_>, choice: Choice<'_>| {
        let each = choice.directions.chunks_exact_mut(d);
        for (direction, row) in each.zip(rows) {
            dx.row(row)
                .iter()
                .zip(direction)
                .for_each(|(from, to)| *to = *from);
        }
    };
    engine.step(interior, &[], &choose).unwrap().interior
}

/// Two channels that move beside one that is given, in two levels.
pub const SIZES: Sizes = Sizes {
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

/// The columns of images that move.
pub fn moved(sizes: Sizes) -> usize {
    sizes.target * sizes.height * sizes.width
}

/// Images that drift, spread and brighten, with the conditioning channels at rest.
pub fn images(sizes: Sizes) -> impl Path {
    let (pixels, moved) = (sizes.height * sizes.width, moved(sizes));
    let d = (sizes.target + sizes.conditioning) * pixels;
    FnPath::new(d, [0.0, 1.0], true, move |times, rng: &mut dyn Rng| {
        let shape = (times.len(), d);
        let z = Array2::from_shape_simple_fn(shape, || rng.sample::<f64, _>(StandardNormal));
        let moves = |j: usize| f64::from(j < moved);
        let points = Array2::from_shape_fn(shape, |(i, j)| {
            z[[i, j]] * (1.0 + 0.5 * times[i] * moves(j)) + times[i] * moves(j)
        });
        let velocities = Array2::from_shape_fn(shape, |(i, j)| (0.5 * z[[i, j]] + 1.0) * moves(j));
        PathSample::new(points).with_velocities(velocities)
    })
    .unwrap()
}

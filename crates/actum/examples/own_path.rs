//! Learns the motion of a path of your own: anything that can be sampled at any time.
//!
//! Five modes that travel together: the density is complicated, the field is the constant 5.

use actum::{
    action::{Architecture, Mlp, Shape},
    fit::{Options, fit},
    lagrangian::Lagrangian,
    path::{FnPath, PathSample},
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::{Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> actum::error::Result<()> {
    let path = FnPath::new(1, [0.0, 1.0], false, |times, rng| {
        PathSample::new(Array2::from_shape_fn((times.len(), 1), |(i, _)| {
            let mode = rng.random_range(0..5) as f64;
            mode + 0.2 * rng.random::<f64>() + 5.0 * times[i]
        }))
    })?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let options = Options {
        steps: 600,
        batch: 256,
        learning_rate: 5e-3,
        ema_decay: 0.99,
        estimator: Estimator::Samples,
        ..Options::default()
    };
    let problem = Problem::new(
        &path,
        Lagrangian::kinetic(),
        Units::isotropic(vec![4.5], 3.0, [0.0, 1.0])?,
    );
    let network = Mlp {
        width: 32,
        depth: 2,
    }
    .engine(Shape::Columns(1), &mut rng)?;
    let dynamics = fit(network, &problem, &options, &mut ())?;
    let velocity = dynamics.velocity(0.5, &array![[3.0], [4.5], [6.0]])?;
    println!("velocity at three points, 5 in truth: {velocity:.2}");
    Ok(())
}

//! Times moving particles along an action: `cargo run --release -p actum --example simulate --
//! DIM WIDTH PARTICLES STEPS [bf16]`. Prints one JSON line.

use std::time::Instant;

use actum::{
    action::{Engine, Mlp, MlpEngine, Precision},
    cloud::Cloud,
    dynamics::Dynamics,
    flow::{Scheme, simulate},
    lagrangian::Lagrangian,
    units::Units,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let precision = match arguments.pop_if(|last| last == "bf16") {
        Some(_) => Precision::Bf16,
        None => Precision::F32,
    };
    let arguments: Vec<usize> = arguments
        .iter()
        .map(|a| a.parse())
        .collect::<Result<_, _>>()?;
    let [dim, width, particles, steps] = arguments[..] else {
        return Err("usage: simulate DIM WIDTH PARTICLES STEPS".into());
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut network = MlpEngine::new(dim, Mlp { width, depth: 3 }, &mut rng)?;
    network.multiply_in(precision);
    let dynamics = Dynamics::new(network, Lagrangian::kinetic(), Units::identity(dim))?;
    let start = Cloud::new(Array2::from_shape_fn((particles, dim), |_| {
        rng.sample(StandardNormal)
    }))?;
    let scheme = Scheme::RungeKutta4(steps);
    simulate(
        &dynamics,
        &start,
        0.0,
        &[1.0 / steps as f64],
        Scheme::RungeKutta4(1),
        0,
    )?;
    let clock = Instant::now();
    simulate(&dynamics, &start, 0.0, &[1.0], scheme, 0)?;
    let seconds = clock.elapsed().as_secs_f64();
    println!(
        "{{\"peer\": \"actum\", \"dim\": {dim}, \"width\": {width}, \"particles\": {particles}, \
         \"steps\": {steps}, \"seconds\": {seconds:.3}}}"
    );
    Ok(())
}

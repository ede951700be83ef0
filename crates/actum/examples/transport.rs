//! Times exact transport between two Gaussian clouds, the second moved by 1 in every column:
//! `cargo run --release --example transport -- N M D [SEED]`. Prints one line of JSON.

use std::time::Instant;

use actum::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result},
    transport::{Ground, exact},
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map_while(|s| s.parse().ok())
        .collect();
    let (n, m, d, seed) = match numbers[..] {
        [n, m, d] => (n, m, d, 0),
        [n, m, d, seed] => (n, m, d, seed),
        _ => {
            return Err(Error::new(
                ErrorKind::Setting,
                "usage: transport N M D [SEED]",
            ));
        }
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut cloud = |count: u64, shift: f64| {
        let draw =
            || shift + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng);
        Cloud::new(Array2::from_shape_simple_fn(
            (count as usize, d as usize),
            draw,
        ))
    };
    let (a, b) = (cloud(n, 0.0)?, cloud(m, 1.0)?);
    let timed = |ground| -> Result<(f64, f64)> {
        let start = Instant::now();
        Ok((exact(&a, &b, ground)?.cost(), start.elapsed().as_secs_f64()))
    };
    let (w1, w1_seconds) = timed(Ground::Euclidean)?;
    let (square, w2_seconds) = timed(Ground::SquaredEuclidean)?;
    println!(
        "{{\"peer\":\"actum\",\"n\":{n},\"m\":{m},\"d\":{d},\"w1\":{w1},\"w1_seconds\":{w1_seconds:.3},\
         \"w2\":{},\"w2_seconds\":{w2_seconds:.3}}}",
        square.sqrt()
    );
    Ok(())
}

//! Times transport between two Gaussian clouds, the second moved by 1 in every column:
//! `cargo run --release --example transport -- N M D [KIND]`, with KIND one of exact (the default),
//! entropic, unbalanced and sliced. Prints one line of JSON.
//!
//! Epsilon is 0.05 of the mean squared distance, rho that distance, and there are 1000
//! projections; iterations stop when the column sums are right to 1e-9 of the mass in total.

use std::time::Instant;

use actum::{
    cloud::Cloud,
    error::{Error, ErrorKind, Result},
    metric,
    transport::{Ground, entropic, unbalanced},
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn main() -> Result<()> {
    let usage = || Error::new(ErrorKind::Setting, "usage: transport N M D [KIND]");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut sizes = arguments.iter().take(3).map(|s| s.parse::<usize>());
    let mut size = || sizes.next().and_then(|s| s.ok()).ok_or_else(usage);
    let (n, m, d) = (size()?, size()?, size()?);
    let kind = arguments.get(3).map_or("exact", |s| s.as_str());

    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut cloud = |count: usize, shift: f64| {
        let draw =
            || shift + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng);
        Cloud::new(Array2::from_shape_simple_fn((count, d), draw))
    };
    let (a, b) = (cloud(n, 0.0)?, cloud(m, 1.0)?);
    // E |X - Y|^2 of the two laws.
    let mean = 3.0 * d as f64;
    let epsilon = 0.05 * mean;
    let squared = Ground::SquaredEuclidean;

    let mut fields = vec![format!(
        "\"peer\":\"actum\",\"n\":{n},\"m\":{m},\"d\":{d},\"kind\":\"{kind}\""
    )];
    let mut timed = |name: &str, run: &dyn Fn() -> Result<f64>| -> Result<()> {
        let start = Instant::now();
        let value = run()?;
        let seconds = start.elapsed().as_secs_f64();
        fields.push(format!(
            "\"{name}\":{value},\"{name}_seconds\":{seconds:.3}"
        ));
        Ok(())
    };
    match kind {
        "exact" => {
            timed("w1", &|| metric::wasserstein_1(&a, &b))?;
            timed("w2", &|| metric::wasserstein_2(&a, &b))?;
        }
        "entropic" => timed("entropic", &|| {
            Ok(entropic(&a, &b, squared, epsilon)?.cost())
        })?,
        "unbalanced" => timed("unbalanced", &|| {
            Ok(unbalanced(&a, &b, squared, epsilon, mean)?.mean_cost())
        })?,
        "sliced" => timed("sliced", &|| metric::sliced_wasserstein_2(&a, &b, 1000, 0))?,
        _ => return Err(usage()),
    }
    println!("{{{}}}", fields.join(","));
    Ok(())
}

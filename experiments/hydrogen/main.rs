//! The electron of hydrogen in two states at once, by the metric of the paper (Action Matching, ICML
//! 2023, section 5.2): the unbiased squared MMD with the kernel `3 exp(-1e-4 |x - y|^2)` between 5,000
//! moved and 5,000 fresh points, averaged over ten times. The authors report 5.66e-4 +- 3.06e-4 after
//! 100,000 steps of 1,000 points with a width of 256, and 4.7e-2 for annealed Langevin dynamics.
//!
//!     cargo run --release --example hydrogen -- [STEPS] [WIDTH] [SEED]

use std::time::Instant;

use actum::{
    action::{Architecture, Mlp, Shape},
    cloud::Cloud,
    data::Snapshots,
    error::Result,
    fit::{Options, fit},
    flow::{Scheme, simulate},
    gallery::{self, Hydrogen},
    lagrangian::Lagrangian,
    metric::mmd_squared_with,
    path::Path,
    problem::{Estimator, Problem},
    score::{self, Score},
    units::Units,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const POINTS: usize = 5000;

fn main() -> Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok());
    let steps = numbers.next().unwrap_or(10_000);
    let width = numbers.next().unwrap_or(256);
    let seed = numbers.next().unwrap_or(0);
    let times: Vec<f64> = (0..=10)
        .map(|k| f64::from(k) * Hydrogen.span()[1] / 10.0)
        .collect();
    let fresh = gallery::snapshots(&Hydrogen, &times, POINTS, 1)?;
    let start = gallery::snapshots(&Hydrogen, &times, POINTS, 2)?;
    let others = |k: usize| Ok(start.cloud(k).clone());
    println!("fresh points     {}", apart(&fresh, others)?);
    println!("staying          {}", apart(&fresh, |_| others(0))?);

    let units = Units::of(&fresh, false)?;
    let network = || {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        Mlp { width, depth: 3 }.engine(Shape::Columns(3), &mut rng)
    };
    let options = Options {
        steps,
        batch: 1000,
        learning_rate: 1e-3,
        seed: seed as u64,
        ..Options::default()
    };
    for estimator in [Estimator::Samples, Estimator::Velocity] {
        let began = Instant::now();
        let problem = Problem::new(Hydrogen, Lagrangian::kinetic(), units.clone());
        let options = Options {
            estimator,
            ..options.clone()
        };
        let dynamics = fit(network()?, &problem, &options, &mut ())?;
        let seconds = began.elapsed().as_secs_f64();
        let moved = simulate(&dynamics, start.cloud(0), 0.0, &times, Scheme::default(), 0)?;
        let apart = apart(&fresh, |k| moved.cloud(k))?;
        println!(
            "action, {:8} {apart}  {steps} steps, {seconds:.0} s",
            format!("{estimator:?}").to_lowercase()
        );
    }
    for name in ["sliced", "denoising"] {
        let began = Instant::now();
        let problem = match name {
            "sliced" => Problem::sliced(Hydrogen, units.clone())?,
            // A twentieth of the standard deviation of a column.
            _ => Problem::blurred(Hydrogen, 0.05 * units.length(), units.clone())?,
        };
        let learned = Score::of(&problem, fit(network()?, &problem, &options, &mut ())?)?;
        let seconds = began.elapsed().as_secs_f64();
        let step = score::Step::SignalToNoise(0.16);
        let moved = score::langevin(
            |t, x| learned.at(t, x),
            start.cloud(0).points(),
            &times,
            100,
            step,
            0,
        )?;
        let apart = apart(&fresh, |k| moved.cloud(k))?;
        println!("{name:9} score  {apart}  {steps} steps, {seconds:.0} s");
    }
    Ok(())
}

/// The mean over all times but the first, and the standard deviation over them.
fn apart(fresh: &Snapshots, at: impl Fn(usize) -> Result<Cloud>) -> Result<String> {
    let each =
        (1..fresh.len()).map(|k| Ok(3.0 * mmd_squared_with(&at(k)?, fresh.cloud(k), &[1e-4])?));
    let each = each.collect::<Result<ndarray::Array1<f64>>>()?;
    let mean = each.mean().unwrap_or_default();
    Ok(format!("{mean:9.2e} +- {:8.2e}", each.std(0.0)))
}

//! Times one training step: `cargo run --release -p actum --example step -- DIM WIDTH BATCH
//! [SECONDS] [f32]`. In bf16 where the processor has it, unless f32 is asked for.
//!
//! The samples-only objective on a line from N(0, I) to N(1, I), three hidden layers, Adam. Prints
//! one JSON line.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use actum::{
    action::{Architecture, Mlp, Precision, Shape},
    error::ErrorKind,
    fit::{Observer, Options, Step, fit},
    lagrangian::Lagrangian,
    path::{FnPath, PathSample},
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

struct Stopwatch {
    seconds: f64,
    started: Option<Instant>,
    steps: usize,
    elapsed: Duration,
}

const WARM: usize = 5;

impl Observer for Stopwatch {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        if step.step == WARM {
            self.started = Some(Instant::now());
        }
        if let Some(started) = self.started {
            self.steps = step.step - WARM;
            self.elapsed = started.elapsed();
            if self.elapsed.as_secs_f64() > self.seconds && self.steps > 0 {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let precision = match arguments.pop_if(|last| last == "f32") {
        Some(_) => Precision::F32,
        None => Precision::Auto,
    };
    let arguments: Vec<f64> = arguments
        .iter()
        .map(|a| a.parse())
        .collect::<Result<_, _>>()?;
    let [dim, width, batch, rest @ ..] = arguments.as_slice() else {
        return Err("usage: step DIM WIDTH BATCH [SECONDS]".into());
    };
    let (dim, width, batch) = (*dim as usize, *width as usize, *batch as usize);

    let path = FnPath::new(dim, [0.0, 1.0], false, move |times, rng| {
        PathSample::new(Array2::from_shape_fn((times.len(), dim), |(i, _)| {
            let mut part = |share: f64| match share {
                0.0 => 0.0,
                share => share * rng.sample::<f64, _>(StandardNormal),
            };
            part(1.0 - times[i]) + part(times[i]) + times[i]
        }))
    })?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let options = Options {
        steps: 1_000_000_000,
        batch,
        learning_rate: 1e-4,
        precision,
        estimator: Estimator::Samples,
        ..Options::default()
    };
    let mut watch = Stopwatch {
        seconds: rest.first().copied().unwrap_or(5.0),
        started: None,
        steps: 0,
        elapsed: Duration::ZERO,
    };
    let problem = Problem::new(&path, Lagrangian::kinetic(), Units::identity(dim));
    let network = Mlp { width, depth: 3 }.engine(Shape::Columns(dim), &mut rng)?;
    let stopped = fit(network, &problem, &options, &mut watch);
    if let Err(error) = stopped
        && error.kind() != ErrorKind::Interrupted
    {
        return Err(error.into());
    }
    let milliseconds = watch.elapsed.as_secs_f64() * 1e3 / watch.steps as f64;
    println!(
        "{{\"peer\": \"actum\", \"dim\": {dim}, \"width\": {width}, \"batch\": {batch}, \
         \"ms_per_step\": {milliseconds:.3}}}"
    );
    Ok(())
}

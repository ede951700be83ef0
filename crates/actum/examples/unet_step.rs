//! Times one training step of a U-Net on images of one channel:
//! `cargo run --release -p actum --example unet_step -- CHANNELS LEVELS SIZE BATCH [SECONDS]
//! [f32]`, on the device of the variable DEVICE, or else the CPU. In bf16 where the processor has
//! it, unless f32 is asked for.
//!
//! The objective from velocities on the line from images to noise, one block to a level, Adam.
//! Prints one JSON line.

use std::{ops::ControlFlow, time::Instant};

use actum::{
    action::{Device, Precision, Scalar, Sizes, UNetEngine},
    error::ErrorKind,
    fit::{Observer, Options, Step, fit},
    lagrangian::Lagrangian,
    path::{FnPath, PathSample},
    problem::Problem,
    units::Units,
};
use ndarray::{Array2, Zip};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

struct Stopwatch {
    seconds: f64,
    started: Instant,
    last: Instant,
    steps: Vec<f64>,
}

impl Observer for Stopwatch {
    fn step(&mut self, _: &Step) -> ControlFlow<()> {
        self.steps.push(self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
        if self.steps.len() > 5 && self.started.elapsed().as_secs_f64() > self.seconds {
            return ControlFlow::Break(());
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
    let [channels, levels, size, batch, rest @ ..] = arguments.as_slice() else {
        return Err("usage: unet_step CHANNELS LEVELS SIZE BATCH [SECONDS] [f32]".into());
    };
    let device = Device::named(&std::env::var("DEVICE").unwrap_or("cpu".into()))?;
    let sizes = Sizes {
        target: 1,
        conditioning: 0,
        height: *size as usize,
        width: *size as usize,
        channels: *channels as usize,
        levels: *levels as usize,
        blocks: 1,
        periodic: false,
        scalar: Scalar::Product,
    };
    let pixels = sizes.height * sizes.width;
    let path = FnPath::new(pixels, [0.0, 1.0], true, move |times, rng| {
        let shape = (times.len(), pixels);
        let images = Array2::from_shape_simple_fn(shape, || rng.random::<f64>() * 2.0 - 1.0);
        let velocities =
            Zip::from(&images).map_collect(|image| rng.sample::<f64, _>(StandardNormal) - image);
        let times = Array2::from_shape_fn((shape.0, 1), |(i, _)| times[i]);
        PathSample::new(&images + &velocities * &times).with_velocities(velocities)
    })?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let options = Options {
        steps: 1_000_000_000,
        batch: *batch as usize,
        precision,
        ..Options::default()
    };
    let network = device.place(Box::new(UNetEngine::new(sizes, &mut rng)?))?;
    let mut watch = Stopwatch {
        seconds: rest.first().copied().unwrap_or(5.0),
        started: Instant::now(),
        last: Instant::now(),
        steps: vec![],
    };
    let problem = Problem::new(&path, Lagrangian::kinetic(), Units::identity(pixels));
    let stopped = fit(network, &problem, &options, &mut watch);
    if let Err(error) = stopped
        && error.kind() != ErrorKind::Interrupted
    {
        return Err(error.into());
    }
    let steps = &watch.steps[2..];
    let mean = steps.iter().sum::<f64>() / steps.len() as f64;
    let best = steps.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{{\"peer\": \"actum\", \"channels\": {channels}, \"levels\": {levels}, \"size\": {size}, \
         \"batch\": {batch}, \"ms_per_step\": {:.1}, \"best_ms\": {:.1}}}",
        mean * 1e3,
        best * 1e3
    );
    Ok(())
}

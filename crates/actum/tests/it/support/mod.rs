//! What several tests need.

mod known;
pub mod learn;
pub mod networks;
pub mod tensors;

use std::{ops::ControlFlow, path::PathBuf};

use actum::{
    error::Result,
    fit::{Checkpoint, Observer, Step},
    gallery::gaussian::Moments,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub use known::Known;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Standard Gaussian numbers.
pub fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut rng = rng(seed);
    Array2::from_shape_simple_fn((rows, columns), || rng.sample(StandardNormal))
}

/// The same as times, which may be outside of [0, 1].
pub fn normal_times(rows: usize, seed: u64) -> Vec<f64> {
    normal(rows, 1, seed).into_raw_vec_and_offset().0
}

/// The middles of so many parts of [0, 1].
pub fn middles(count: usize) -> Vec<f64> {
    (0..count)
        .map(|k| (k as f64 + 0.5) / count as f64)
        .collect()
}

pub fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}

pub fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |most, x| most.max(x.abs()))
}

/// That all numbers are within `off` of the largest, or of `least` if that is larger.
#[track_caller]
pub fn assert_close(ours: &[f64], theirs: &[f64], least: f64, off: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = largest(theirs).max(least);
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() < off * scale, "{what}, {i}: {a} against {b}");
    }
}

/// Runs on so many threads.
pub fn within<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(run)
}

/// A file of the data folder beside the repository, for tests that are ignored without it.
///
/// # Panics
/// If it is not there.
#[track_caller]
pub fn shared(name: &str) -> PathBuf {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let file = PathBuf::from(data).join(name);
    assert!(
        file.exists(),
        "{} is absent: this test needs the data folder beside the repository",
        file.display()
    );
    file
}

/// Moments of a Gaussian whose mean is constant but for a part that grows with t, and whose
/// standard deviation is 1 at first.
pub fn drifting(t: f64, rates: &[f64], std_dev_rate: f64) -> Moments {
    Moments {
        mean: rates.iter().map(|rate| rate * t).collect(),
        mean_rate: rates.to_vec(),
        std_dev: 1.0 + std_dev_rate * t,
        std_dev_rate,
    }
}

/// Stops a fit after so many steps, and keeps the last checkpoint as a file would.
pub struct StopAt {
    step: usize,
    kept: Option<Checkpoint>,
}

impl StopAt {
    pub fn step(step: usize) -> Self {
        Self { step, kept: None }
    }

    /// The last checkpoint, which a fit that ends leaves.
    pub fn kept(self) -> Checkpoint {
        self.kept.expect("a fit that ends leaves its state")
    }
}

impl Observer for StopAt {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        if step.step == self.step {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint.safetensors");
        checkpoint.save(&file)?;
        self.kept = Some(Checkpoint::load(&file)?);
        Ok(())
    }
}

//! How many numbers all cores multiply and add in a second when nothing has to be fetched, and
//! whether it multiplies faster in bf16: `cargo run --release -p actum --example peak`. Prints one
//! JSON line.

use std::{hint::black_box, time::Instant};

use actum::action::Precision;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub(crate) const SUMS: usize = 12;
pub(crate) const ROUNDS: usize = 10_000_000;

pub(crate) struct MultiplyAndAdd;

impl WithSimd for MultiplyAndAdd {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (x, y) = (
            simd.splat_f32s(black_box(1.0)),
            simd.splat_f32s(black_box(1e-9)),
        );
        let mut sums = [simd.splat_f32s(1.0); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// The numbers of a vector here.
pub(crate) struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

fn main() {
    let (threads, lanes) = (rayon::current_num_threads(), Arch::new().dispatch(Lanes));
    let fastest = (0..100)
        .map(|_| {
            let start = Instant::now();
            (0..threads).into_par_iter().for_each(|_| {
                black_box(Arch::new().dispatch(MultiplyAndAdd));
            });
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    let operations = 2 * threads * lanes * SUMS * ROUNDS;
    println!(
        "{{\"threads\": {threads}, \"lanes\": {lanes}, \"gflops\": {:.1}, \"bf16\": {}}}",
        operations as f64 / fastest / 1e9,
        Precision::Auto.here() == Precision::Bf16
    );
}

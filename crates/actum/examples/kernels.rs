//! How fast the products of networks are on one thread: `cargo run --release -p actum --example
//! kernels`. Prints a JSON line for each kernel, instruction set and size, with its share of the
//! most that this instruction set reaches when nothing has to be fetched.

#![allow(
    dead_code,
    unused_imports,
    reason = "a library's module, of which this needs a part"
)]

#[path = "peak.rs"]
mod peak;
// The kernels are not public. Here they are compiled once more, as they are.
#[path = "../src/simd/mod.rs"]
mod simd;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use peak::{Lanes, MultiplyAndAdd, ROUNDS, SUMS};
use pulp::Simd;
use simd::{
    Aligned, Line, Lines, Pairs,
    bf16::{self, unit},
    panels, product,
};

/// The rows of a tile, and the widths of layers.
const ROWS: usize = 128;
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// Operations a second, in 10^9: the best of some that take half a second together.
fn gflops(operations: f64, mut run: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut best = f64::INFINITY;
    while started.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    operations / best / 1e9
}

fn lines(count: usize) -> Lines {
    let mut lines = Aligned::zeros(count);
    for (i, x) in lines.as_flattened_mut().iter_mut().enumerate() {
        *x = (i % 97) as f32 * 0.01 - 0.5;
    }
    lines
}

fn report(kernel: &str, set: &str, width: usize, got: f64, peak: f64) {
    println!(
        "{{\"kernel\": \"{kernel}\", \"instructions\": \"{set}\", \"width\": {width}, \
         \"gflops\": {got:.0}, \"share\": {:.2}}}",
        got / peak
    );
}

/// The products of f32 with these instructions. Returns the most that they reach.
fn measure(name: &str, simd: impl Simd) -> f64 {
    let vector = simd.vectorize(Lanes) as f64;
    let peak = gflops(2.0 * vector * (SUMS * ROUNDS) as f64, || {
        black_box(simd.vectorize(MultiplyAndAdd));
    });
    for width in WIDTHS {
        let [a, b] = [ROWS, width].map(|rows| lines(rows * panels(width)));
        let (mut c, mut sums) = (a.clone(), b.clone());
        let operations = (2 * ROWS * width * width) as f64;
        let got = gflops(operations, || {
            simd.vectorize(product::Multiply {
                rows: ROWS,
                inner: width,
                a: &a,
                b: &b,
                bias: None,
                c: black_box(&mut c),
                after: |_: usize, _: &mut [Line]| {},
            });
        });
        report("multiply", name, width, got, peak);
        let got = gflops(operations, || {
            simd.vectorize(product::Accumulate {
                rows: ROWS,
                pairs: &[[&a, &a]],
                c: black_box(&mut sums),
            });
        });
        report("accumulate", name, width, got, peak);
    }
    peak
}

/// The products of bf16 on every unit for them; shares are of the f32 peak.
fn measure_bf16(simd: impl Simd, peak: f64) {
    for unit in unit::Unit::all() {
        let name = format!("bf16 {unit:?}").to_lowercase();
        for width in WIDTHS {
            let [a, b] = [ROWS, width].map(|rows| lines(rows * panels(width)));
            let mut left = Pairs::default();
            bf16::left(ROWS, &a, &mut left);
            let steps = bf16::steps(ROWS, &left);
            let mut right = Pairs::zeros(panels(width) * bf16::height(width));
            bf16::right(width, &b, &mut right, 0);
            let mut turned = Pairs::zeros(a.len() / 2);
            bf16::turned(ROWS, &a, &mut turned);
            let turned_steps = bf16::steps(width, &turned);
            let mut rows = Pairs::zeros(panels(width) * bf16::height(ROWS));
            bf16::right(ROWS, &a, &mut rows, 0);
            let (mut c, mut sums) = (a.clone(), b.clone());
            let operations = (2 * ROWS * width * width) as f64;
            let got = gflops(operations, || {
                simd.vectorize(bf16::Multiply {
                    unit,
                    product: unit::Product {
                        rows: ROWS,
                        a: unit::Left::of(&left, &steps),
                        b: &right,
                        c: black_box(&mut c),
                        height: ROWS,
                    },
                    bias: None,
                    after: |_: usize, _: &mut [Line]| {},
                });
            });
            report("multiply", &name, width, got, peak);
            let got = gflops(operations, || {
                simd.vectorize(bf16::Accumulate {
                    unit,
                    product: unit::Product {
                        rows: width,
                        a: unit::Left::of(&turned, &turned_steps),
                        b: &rows,
                        c: black_box(&mut sums),
                        height: width,
                    },
                });
            });
            report("accumulate", &name, width, got, peak);
        }
    }
}

fn main() {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V3::try_new() {
            let peak = measure("AVX2 (V3)", simd);
            if pulp::x86::V4::try_new().is_none() {
                measure_bf16(simd, peak);
            }
        }
        if let Some(simd) = pulp::x86::V4::try_new() {
            let peak = measure("AVX-512 (V4)", simd);
            measure_bf16(simd, peak);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        let peak = measure("NEON", simd);
        measure_bf16(simd, peak);
    }
}

//! Arithmetic on lines of numbers, with the widest vectors that the processor has: one copy for
//! transport and for both networks.
//!
//! A kernel is a struct whose method is generic over the instruction set (`pulp`). It is compiled
//! once for each, and the processor decides at run time which one runs.

mod aligned;
pub(crate) mod bf16;
mod exp;
mod lanes;
pub(crate) mod product;

use pulp::Simd;

pub(crate) use aligned::{Aligned, Lines};
pub(crate) use bf16::{Pair, Pairs};
pub(crate) use exp::{exp, exp_within, exp2};
pub(crate) use lanes::{Lanes, line};
pub(crate) use product::{
    Block, Epilogue, GROUP, ROWS, accumulate, add_rows, multiply, panels, plus_times, scale, times,
    update,
};

/// The numbers of a line. Sixteen f32 fill the widest register and a cache line.
pub(crate) const LANES: usize = 16;

/// Numbers that lie side by side.
pub(crate) type Line<T = f32> = [T; LANES];

#[inline(always)]
pub(crate) fn load<S: Simd, const V: usize>(_: S, line: &Line) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(line);
    std::array::from_fn(|v| vectors[v])
}

#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(_: S, line: &mut Line, values: [S::f32s; V]) {
    let (vectors, _) = S::as_mut_simd_f32s(line);
    vectors[..V].copy_from_slice(&values);
}

/// Runs a kernel's method `run` with constants for vectors of 16, 8, 4 and fewer lanes: first how
/// many vectors make a line, then the block of a product that the registers of such a machine hold.
macro_rules! by_lanes {
    ($kernel:ident, $simd:ident; $($a:expr),+; $($b:expr),+; $($c:expr),+; $($d:expr),+) => {
        match S::F32_LANES {
            16 => $kernel.run::<S, $({ $a }),+>($simd),
            8 => $kernel.run::<S, $({ $b }),+>($simd),
            4 => $kernel.run::<S, $({ $c }),+>($simd),
            _ => $kernel.run::<S, $({ $d }),+>($simd),
        }
    };
}

/// Makes kernels without a result of structs that borrow: see [`by_lanes`].
macro_rules! kernels {
    (; $($constants:tt)+) => {};
    ($kernel:ident $(, $more:ident)*; $($constants:tt)+) => {
        impl pulp::WithSimd for $kernel<'_> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, simd: S) {
                $crate::simd::by_lanes!(self, simd; $($constants)+)
            }
        }
        $crate::simd::kernels!($($more),*; $($constants)+);
    };
}

pub(crate) use {by_lanes, kernels};

/// Calls `check` with every instruction set of this machine.
#[cfg(test)]
macro_rules! on_every_instruction_set {
    ($check:expr) => {{
        $check(pulp::Scalar);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                $check(simd);
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                $check(simd);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            $check(simd);
        }
    }};
}

#[cfg(test)]
pub(crate) use on_every_instruction_set;

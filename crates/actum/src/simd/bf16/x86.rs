//! Instructions for pairs on x86-64.
//!
//! Every function here needs what [`has_lines`] or [`has_tiles`] found, which is why only
//! [`Unit`](super::unit::Unit) calls them. [`Product::tiles`](super::unit::Product::tiles) has
//! checked the sizes that the pointers rely on.

#![allow(unsafe_code)]
// Loops over constant ranges are unrolled early, which keeps blocks in registers.
#![allow(clippy::needless_range_loop)]

use std::arch::{asm, x86_64::*};

use super::{
    Pair,
    unit::{Left, Product, Tiles},
};
use crate::simd::{LANES, Line};

pub(super) fn has_lines() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

pub(super) fn is_amd() -> bool {
    let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0);
    [ebx, edx, ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

/// Whether there are tiles, and the system lets this process use them: it keeps 8 KiB more for
/// every thread, so it wants to be asked.
pub(super) fn has_tiles() -> bool {
    const TILES_AND_BF16: u32 = 1 << 24 | 1 << 22;
    let there = __cpuid(0).eax >= 7
        && __cpuid_count(7, 0).edx & TILES_AND_BF16 == TILES_AND_BF16
        && is_x86_feature_detected!("avx512f");
    there && permitted()
}

#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let answer: i64;
    // SAFETY: the call changes what this process may use and nothing else.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// Eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

pub(super) fn configure() {
    // SAFETY: there are tiles, and 64 bytes are read.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly));
    }
}

/// Lets the system forget the tiles, so that switching threads does not save them.
pub(super) fn release() {
    // SAFETY: there are tiles.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// Where a block begins in `a`, in its panels of `b`, and in those of `c`.
fn first(product: &mut Product, tiles: Tiles) -> (*const u16, [*const Pair; 2], [*mut Line; 2]) {
    let steps = product.steps();
    let panels = [tiles.panels().start, tiles.panels().end - 1];
    let (a, b) = (product.a.numbers.as_ptr(), product.b.as_ptr());
    let c = product.c.as_mut_ptr();
    // SAFETY: the block lies within the product.
    unsafe {
        (
            a.add(tiles.rows().start * product.a.stride),
            panels.map(|panel| b.add(panel * steps * LANES)),
            panels.map(|panel| c.add(tiles.lines(panel).start)),
        )
    }
}

/// One tile in four costs as many loads as multiplications; four share them, so that multiplying
/// is what takes the time.
pub(super) fn add_tiles(product: &mut Product, tiles: Tiles) {
    let (a, b, c) = first(product, tiles);
    let Left { stride, steps, .. } = product.a;
    if tiles.rows().len() == 2 * LANES && tiles.panels().len() == 2 {
        // SAFETY: there are tiles, configured; the block lies within the product.
        unsafe {
            asm!(
                "tileloadd tmm0, [{c0} + {line}]",
                "tileloadd tmm1, [{c1} + {line}]",
                "tileloadd tmm2, [{c0} + {line} + 1024]",
                "tileloadd tmm3, [{c1} + {line} + 1024]",
                "2:",
                "mov {row}, [{steps}]",
                "lea {row}, [{a} + 2 * {row}]",
                "tileloadd tmm4, [{row} + {stride}]",
                "tileloadd tmm6, [{b0} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b1} + {line}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {row}, {tile}",
                "tileloadd tmm5, [{row} + {stride}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {steps}, 8",
                "add {b0}, 1024",
                "add {b1}, 1024",
                "dec {count}",
                "jnz 2b",
                "tilestored [{c0} + {line}], tmm0",
                "tilestored [{c1} + {line}], tmm1",
                "tilestored [{c0} + {line} + 1024], tmm2",
                "tilestored [{c1} + {line} + 1024], tmm3",
                a = in(reg) a,
                row = out(reg) _,
                b0 = inout(reg) b[0] => _,
                b1 = inout(reg) b[1] => _,
                c0 = in(reg) c[0],
                c1 = in(reg) c[1],
                stride = in(reg) 2 * stride,
                tile = in(reg) 2 * stride * LANES,
                line = in(reg) 64_usize,
                steps = inout(reg) steps.as_ptr() => _,
                count = inout(reg) steps.len() => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
        return;
    }
    for (b, c) in b.into_iter().zip(c).take(tiles.panels().len()) {
        for tile in 0..tiles.rows().len() / LANES {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "tileloadd tmm0, [{c} + {line}]",
                    "2:",
                    "mov {row}, [{steps}]",
                    "lea {row}, [{a} + 2 * {row}]",
                    "tileloadd tmm4, [{row} + {stride}]",
                    "tileloadd tmm6, [{b} + {line}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "add {steps}, 8",
                    "add {b}, 1024",
                    "dec {count}",
                    "jnz 2b",
                    "tilestored [{c} + {line}], tmm0",
                    a = in(reg) a.add(tile * LANES * stride),
                    row = out(reg) _,
                    b = inout(reg) b => _,
                    c = in(reg) c.add(tile * LANES),
                    stride = in(reg) 2 * stride,
                    line = in(reg) 64_usize,
                    steps = inout(reg) steps.as_ptr() => _,
                    count = inout(reg) steps.len() => _,
                    out("tmm0") _, out("tmm4") _, out("tmm6") _,
                    options(nostack),
                );
            }
        }
    }
}

pub(super) fn add_lines(product: &mut Product, tiles: Tiles) {
    let high = tiles.rows().len();
    let wide = tiles.panels().len();
    let (a, b, c) = first(product, tiles);
    let Left { stride, steps, .. } = product.a;
    for row in (0..high).step_by(8) {
        // SAFETY: the processor has these instructions; the block lies within the product.
        unsafe {
            let a = a.add(row * stride);
            if wide == 2 {
                lines::<2>(steps, stride, a, b, c.map(|c| c.add(row)));
            } else {
                lines::<1>(steps, stride, a, [b[0]], [c[0].add(row)]);
            }
        }
    }
}

/// Eight rows of `N` panels: 16 sums hide the latency of six cycles, and the two lines and eight
/// pairs that are loaded for them leave room for it.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn lines<const N: usize>(
    steps: &[usize],
    stride: usize,
    a: *const u16,
    b: [*const Pair; N],
    c: [*mut Line; N],
) {
    // SAFETY: the caller gives a block within a product.
    unsafe {
        let mut sum = [[_mm512_setzero_ps(); N]; 8];
        for i in 0..8 {
            for j in 0..N {
                sum[i][j] = _mm512_loadu_ps(c[j].add(i).cast());
            }
        }
        for (step, first) in steps.iter().enumerate() {
            let a = a.add(*first);
            for pair in 0..LANES {
                let mut right = [_mm512_setzero_si512(); N];
                for j in 0..N {
                    right[j] = _mm512_loadu_si512(b[j].add(step * LANES + pair).cast());
                }
                for i in 0..8 {
                    let left = a.add(i * stride + 2 * pair).cast::<i32>();
                    let left = _mm512_set1_epi32(left.read_unaligned());
                    for j in 0..N {
                        sum[i][j] = _mm512_dpbf16_ps(
                            sum[i][j],
                            std::mem::transmute::<__m512i, __m512bh>(left),
                            std::mem::transmute::<__m512i, __m512bh>(right[j]),
                        );
                    }
                }
            }
        }
        for i in 0..8 {
            for j in 0..N {
                _mm512_storeu_ps(c[j].add(i).cast(), sum[i][j]);
            }
        }
    }
}

/// Sixteen lines in four rounds: pairs of numbers, of pairs, of quarters and of halves of a line
/// change places.
pub(super) fn transpose(lines: &[Pair; LANES], out: &mut [Pair; LANES]) {
    // SAFETY: both kinds of processors have AVX-512.
    unsafe { transpose_in_registers(lines, out) }
}

#[target_feature(enable = "avx512f")]
unsafe fn transpose_in_registers(lines: &[Pair; LANES], out: &mut [Pair; LANES]) {
    let mut a = [_mm512_setzero_si512(); LANES];
    let mut b = a;
    for i in 0..LANES {
        // SAFETY: a line has 64 bytes.
        a[i] = unsafe { _mm512_loadu_si512(lines[i].as_ptr().cast()) };
    }
    for i in 0..8 {
        b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
    }
    for i in 0..4 {
        for j in 0..2 {
            let [low, high] = [b[4 * i + j], b[4 * i + 2 + j]];
            a[4 * i + 2 * j] = _mm512_unpacklo_epi64(low, high);
            a[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(low, high);
        }
    }
    for i in 0..2 {
        for j in 0..4 {
            let [low, high] = [a[8 * i + j], a[8 * i + 4 + j]];
            b[8 * i + j] = _mm512_shuffle_i32x4::<0x88>(low, high);
            b[8 * i + 4 + j] = _mm512_shuffle_i32x4::<0xdd>(low, high);
        }
    }
    for j in 0..8 {
        a[j] = _mm512_shuffle_i32x4::<0x88>(b[j], b[8 + j]);
        a[8 + j] = _mm512_shuffle_i32x4::<0xdd>(b[j], b[8 + j]);
    }
    for i in 0..LANES {
        // SAFETY: a line has 64 bytes.
        unsafe { _mm512_storeu_si512(out[i].as_mut_ptr().cast(), a[i]) };
    }
}

//! The part of a processor that multiplies pairs.

use std::{ops::Range, sync::LazyLock};

use pulp::Simd;

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{DEPTH, Pair};
use crate::simd::{Block, LANES, Line, load, store, update};

/// A left factor: rows at a stride, of which a step reads [`DEPTH`] numbers each.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub numbers: &'a [u16],
    /// The numbers from a row to the next.
    pub stride: usize,
    /// Where each step begins in the first row.
    pub steps: &'a [usize],
}

impl<'a> Left<'a> {
    /// A factor that [`left`](super::left) or [`turned`](super::turned) made, with its
    /// [`steps`](super::steps).
    pub fn of(pairs: &'a [Pair], steps: &'a [usize]) -> Self {
        Self {
            numbers: super::numbers(pairs),
            stride: DEPTH,
            steps,
        }
    }
}

/// `c += a b`, all of it.
pub(crate) struct Product<'a> {
    /// The rows of `a`, and of the part of every panel of `c` that is added to.
    pub rows: usize,
    pub a: Left<'a>,
    pub b: &'a [Pair],
    pub c: &'a mut [Line],
    /// The lines from a panel of `c` to the next.
    pub height: usize,
}

/// A block of `c`: one or two panels of 16 or 32 rows.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    height: usize,
    panel: usize,
    wide: usize,
    row: usize,
    high: usize,
}

impl Tiles {
    pub fn panels(self) -> Range<usize> {
        self.panel..self.panel + self.wide
    }

    /// The rows of `a`.
    pub fn rows(self) -> Range<usize> {
        self.row..self.row + self.high * LANES
    }

    /// The rows in a panel of `c`.
    pub fn lines(self, panel: usize) -> Range<usize> {
        let first = panel * self.height + self.row;
        first..first + self.high * LANES
    }
}

impl Product<'_> {
    /// All blocks. Two panels of `b` stay in the nearest cache while the rows of `a` go by.
    pub fn tiles(&self) -> impl Iterator<Item = Tiles> + use<> {
        let (rows, height) = (self.rows, self.height);
        let panels = self.b.len() / (self.steps() * LANES);
        let last = self.a.steps.iter().max().expect("there is a step");
        assert!(rows.is_multiple_of(LANES) && rows > 0 && panels > 0);
        assert!(self.a.numbers.len() >= last + (rows - 1) * self.a.stride + DEPTH);
        assert!(self.b.len() == panels * self.steps() * LANES);
        assert!(height >= rows && self.c.len() >= (panels - 1) * height + rows);
        (0..panels).step_by(2).flat_map(move |panel| {
            (0..rows).step_by(2 * LANES).map(move |row| Tiles {
                height,
                panel,
                wide: (panels - panel).min(2),
                row,
                high: ((rows - row) / LANES).min(2),
            })
        })
    }

    pub fn steps(&self) -> usize {
        self.a.steps.len()
    }
}

/// What multiplies here. The three round alike but for the order of sums; tiles take numbers below
/// 2^-126 as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// AMX: tiles of 16 rows of 16 pairs.
    #[cfg(target_arch = "x86_64")]
    Tiles,
    /// AVX-512 BF16: lines of 16 pairs.
    #[cfg(target_arch = "x86_64")]
    Lines,
    /// Any: pairs are made f32 again. Slower than f32 alone.
    Widened,
}

static HERE: LazyLock<Unit> = LazyLock::new(|| Unit::all().next().expect("one is everywhere"));

impl Unit {
    /// Those of this machine, the fastest first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [
            x86::has_tiles().then_some(Self::Tiles),
            x86::has_lines().then_some(Self::Lines),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let special = [None];
        special.into_iter().flatten().chain([Self::Widened])
    }

    /// The fastest of this machine.
    pub fn here() -> Self {
        *HERE
    }

    /// The lanes of lines as lines.
    #[inline(always)]
    pub fn transpose(self, lines: &[Pair; LANES], out: &mut [Pair; LANES]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tiles | Self::Lines => x86::transpose(lines, out),
            Self::Widened => {
                for (lane, out) in out.iter_mut().enumerate() {
                    *out = lines.map(|line| line[lane]);
                }
            }
        }
    }

    /// Whether it multiplies faster than f32. AMD's processors start a line of pairs in every cycle,
    /// twice as many numbers as in f32; Intel's (Sapphire Rapids) in every second, where two lines of f32 start in
    /// each.
    pub fn is_fast(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tiles => true,
            #[cfg(target_arch = "x86_64")]
            Self::Lines => x86::is_amd(),
            Self::Widened => false,
        }
    }

    /// Prepares this thread; what it returns is kept until all is added.
    pub(super) fn ready(self) -> Ready {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Tiles {
            x86::configure();
        }
        Ready(self)
    }

    /// Adds a block of a product.
    #[inline(always)]
    pub(super) fn add<S: Simd>(self, simd: S, product: &mut Product, tiles: Tiles) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tiles => x86::add_tiles(product, tiles),
            #[cfg(target_arch = "x86_64")]
            Self::Lines => x86::add_lines(product, tiles),
            Self::Widened => add_widened(simd, product, tiles),
        }
    }
}

pub(super) struct Ready(Unit);

impl Drop for Ready {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Unit::Tiles {
            x86::release();
        }
    }
}

/// The rows of a block that [`add_widened`] keeps in registers.
const ROWS: usize = 4;

#[inline(always)]
fn add_widened<S: Simd>(simd: S, product: &mut Product, tiles: Tiles) {
    let add = Widened { product, tiles };
    crate::simd::by_lanes!(add, simd; 1; 2; 4; 16)
}

struct Widened<'a, 'b> {
    product: &'a mut Product<'b>,
    tiles: Tiles,
}

impl Widened<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { product, tiles } = self;
        let (a, height) = (product.a, product.steps() * LANES);
        for panel in tiles.panels() {
            let b = product.b[panel * height..][..height].chunks_exact(LANES);
            let lines = tiles.lines(panel);
            for row in (0..lines.len()).step_by(ROWS) {
                let first = (tiles.row + row) * a.stride;
                let c = &mut product.c[lines.start + row..];
                let c: &mut [Line; ROWS] = c.first_chunk_mut().expect("blocks divide the rows");
                let mut sum: Block<S::f32s, V, ROWS, 1> =
                    std::array::from_fn(|i| [load(simd, &c[i])]);
                for (step, b) in a.steps.iter().zip(b.clone()) {
                    let a: [&[u16; DEPTH]; ROWS] = std::array::from_fn(|i| {
                        let row = a.numbers[first + step + i * a.stride..].first_chunk();
                        row.expect("steps lie within the numbers")
                    });
                    for (pair, b) in b.iter().enumerate() {
                        let wide = |bits: u16| f32::from_bits(u32::from(bits) << 16);
                        let left = std::array::from_fn(|i| wide(a[i][2 * pair]));
                        let right = b.map(|pair| f32::from_bits(pair << 16));
                        update::<S, V, ROWS, 1>(simd, &mut sum, left, [&right]);
                        let left = std::array::from_fn(|i| wide(a[i][2 * pair + 1]));
                        let right = b.map(|pair| f32::from_bits(pair & 0xffff_0000));
                        update::<S, V, ROWS, 1>(simd, &mut sum, left, [&right]);
                    }
                }
                for i in 0..ROWS {
                    store(simd, &mut c[i], sum[i][0]);
                }
            }
        }
    }
}

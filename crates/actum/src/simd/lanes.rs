//! Arithmetic on a line of numbers in registers.

use std::ops::{Add, AddAssign, Mul, Sub};

use pulp::Simd;

use super::{LANES, Line, load, store};

/// A line, as `V` vectors.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<S: Simd, const V: usize> {
    pub simd: S,
    pub vectors: [S::f32s; V],
}

impl<S: Simd, const V: usize> Lanes<S, V> {
    #[inline(always)]
    pub fn splat(simd: S, value: f32) -> Self {
        let vectors = [simd.splat_f32s(value); V];
        Self { simd, vectors }
    }

    #[inline(always)]
    pub fn of(simd: S, line: &Line) -> Self {
        let vectors = load(simd, line);
        Self { simd, vectors }
    }

    /// The numbers from `place` on; what is beyond the last channel of a pixel is of no meaning.
    #[inline(always)]
    pub fn at(simd: S, numbers: &[f32], place: usize) -> Self {
        Self::of(simd, line(numbers, place))
    }

    #[inline(always)]
    pub fn line(self) -> Line {
        let mut line = [0.0; LANES];
        store(self.simd, &mut line, self.vectors);
        line
    }

    /// Writes the first `lanes` numbers at `place`.
    #[inline(always)]
    pub fn put(self, numbers: &mut [f32], place: usize, lanes: usize) {
        let numbers = &mut numbers[place..];
        if lanes == LANES {
            let line = numbers.first_chunk_mut().expect("buffers end in a line");
            store(self.simd, line, self.vectors);
        } else {
            numbers[..lanes].copy_from_slice(&self.line()[..lanes]);
        }
    }

    /// `self a + b`.
    #[inline(always)]
    pub fn times_plus(mut self, a: Self, b: Self) -> Self {
        for v in 0..V {
            self.vectors[v] = self
                .simd
                .mul_add_e_f32s(self.vectors[v], a.vectors[v], b.vectors[v]);
        }
        self
    }
}

/// The line of numbers from `place` on.
#[inline(always)]
pub(crate) fn line(numbers: &[f32], place: usize) -> &Line {
    numbers[place..]
        .first_chunk()
        .expect("buffers end in a line")
}

macro_rules! operator {
    ($trait:ident, $method:ident, $function:ident) => {
        impl<S: Simd, const V: usize> $trait for Lanes<S, V> {
            type Output = Self;

            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                for v in 0..V {
                    self.vectors[v] = self.simd.$function(self.vectors[v], other.vectors[v]);
                }
                self
            }
        }
    };
}

operator!(Add, add, add_f32s);
operator!(Sub, sub, sub_f32s);
operator!(Mul, mul, mul_f32s);

impl<S: Simd, const V: usize> AddAssign for Lanes<S, V> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

//! Second derivatives along directions: what a hidden layer keeps of them.
//!
//! Along a direction e the Taylor coefficients of a layer are `h' = phi' z'` and
//! `h'' = phi' z'' + phi'' z'^2`. The second obey the recursion of the tangents, so the sum of
//! `z'^2` over the directions enters the layer's tangent and only z' has to be kept.

use std::ops::Range;

use crate::simd::{LANES, Line, Lines, plus_times, times};

/// What a hidden layer keeps at the rows of a tile; empty unless there are directions.
///
/// Directions carry the root of the row's coefficient, so that no product is scaled.
#[derive(Debug, Clone, Default)]
pub(super) struct SecondOrder {
    /// `phi''(z)`.
    pub(super) second: Lines,
    /// `phi'''(z)`, then `phi''' u`.
    pub(super) third: Lines,
    /// The sum of `z'^2` over the directions, then `2 phi'' u`.
    pub(super) squares: Lines,
    /// One for each direction; there may be more from rows before.
    pub(super) tangents: Vec<Tangent>,
}

/// The tangent of a layer along a direction.
#[derive(Debug, Clone, Default)]
pub(super) struct Tangent {
    /// The tangent of `z`, then its adjoint.
    pub(super) z: Lines,
    pub(super) h: Lines,
}

impl SecondOrder {
    pub(super) fn resize(&mut self, lines: usize, directions: usize) {
        if directions == 0 {
            return;
        }
        let count = self.tangents.len().max(directions);
        self.tangents.resize(count, Tangent::default());
        let tangents = self.tangents[..directions].iter_mut();
        for buffer in [&mut self.second, &mut self.third, &mut self.squares]
            .into_iter()
            .chain(tangents.flat_map(|tangent| [&mut tangent.z, &mut tangent.h]))
        {
            buffer.resize(lines, [0.0; LANES]);
        }
    }

    #[inline(always)]
    pub(super) fn vjp(&mut self, lines: Range<usize>, u: &[Line]) {
        for (third, u) in self.third[lines].iter_mut().zip(u) {
            *third = times(third, u);
        }
    }

    /// Turns the tangent of `z` into that of `h`, and `phi'' u` into the adjoint of `z` so far.
    #[inline(always)]
    pub(super) fn jvp(
        &mut self,
        lines: Range<usize>,
        slope: &[Line],
        dz: &mut [Line],
        r: &mut [Line],
    ) {
        let second = &self.second[lines.clone()];
        let third = &self.third[lines.clone()];
        let given = slope.iter().zip(second).zip(third);
        let squares = &mut self.squares[lines];
        for (((dz, r), squares), ((slope, second), third)) in
            dz.iter_mut().zip(r).zip(squares).zip(given)
        {
            let curvature = *r;
            *r = plus_times(&times(&curvature, dz), third, squares);
            *dz = plus_times(&times(slope, dz), second, squares);
            *squares = curvature.map(|c| 2.0 * c);
        }
    }

    /// The adjoints of the tangents of `z` in the last hidden layer, where those of `h` end.
    pub(super) fn start_adjoint(&mut self, directions: usize) {
        for tangent in &mut self.tangents[..directions] {
            let squares = self.squares.as_flattened();
            for (z, square) in tangent.z.as_flattened_mut().iter_mut().zip(squares) {
                *z *= square;
            }
        }
    }

    /// Turns the tangent of `z` along a direction into its adjoint, and adds to `r` what that
    /// tangent contributes, from the adjoint of the tangent of `h`.
    #[inline(always)]
    pub(super) fn adjoint(
        &mut self,
        direction: usize,
        lines: Range<usize>,
        slope: &[Line],
        adjoint: &[Line],
        r: &mut [Line],
    ) {
        let second = &self.second[lines.clone()];
        let squares = &self.squares[lines.clone()];
        let z = &mut self.tangents[direction].z[lines];
        let given = slope.iter().zip(second).zip(squares).zip(adjoint);
        for ((z, r), (((slope, second), square), adjoint)) in z.iter_mut().zip(r).zip(given) {
            *r = plus_times(r, &times(second, z), adjoint);
            *z = plus_times(&times(slope, adjoint), square, z);
        }
    }
}

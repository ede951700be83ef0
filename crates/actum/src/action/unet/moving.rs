//! What the network sees of the numbers that move.

use std::{borrow::Cow, f32::consts::TAU};

/// The numbers of the channels that move.
#[derive(Clone, Copy)]
pub(super) enum Moving<'a> {
    /// Seen as they are.
    Line(&'a [f32]),
    /// On circles of length 1: `cos 2 pi x` of all of them is seen, then `sin 2 pi x`.
    Circles(&'a [f32]),
}

/// `cos 2 pi x` and `sin 2 pi x`.
fn turn(x: f32) -> [f32; 2] {
    let (sine, cosine) = (TAU * x).sin_cos();
    [cosine, sine]
}

impl<'a> Moving<'a> {
    pub fn seen(self) -> Cow<'a, [f32]> {
        match self {
            Self::Line(x) => x.into(),
            Self::Circles(x) => {
                let (cosines, sines): (Vec<f32>, Vec<f32>) =
                    x.iter().map(|x| turn(*x).into()).unzip();
                [cosines, sines].concat().into()
            }
        }
    }

    /// The tangent of what is seen.
    pub fn jvp(self, dx: &[f32]) -> Cow<'_, [f32]> {
        match self {
            Self::Line(_) => dx.into(),
            Self::Circles(x) => {
                let each = x.iter().zip(dx).map(|(x, dx)| {
                    let [cosine, sine] = turn(*x);
                    (-TAU * sine * dx, TAU * cosine * dx)
                });
                let (cosines, sines): (Vec<f32>, Vec<f32>) = each.unzip();
                [cosines, sines].concat().into()
            }
        }
    }

    /// The derivative in the numbers, from that in what is seen.
    pub fn vjp(self, adjoint: &[f32], out: &mut [f32]) {
        match self {
            Self::Line(_) => out.copy_from_slice(adjoint),
            Self::Circles(x) => {
                let (cosines, sines) = adjoint.split_at(x.len());
                for (((out, x), a), b) in out.iter_mut().zip(x).zip(cosines).zip(sines) {
                    let [cosine, sine] = turn(*x);
                    *out = TAU * (b * cosine - a * sine);
                }
            }
        }
    }

    /// The coefficients of what is seen of `x + first e + second e^2`.
    pub fn series(self, first: &[f32], second: &[f32]) -> [Vec<f32>; 3] {
        let mut bent = self.jvp(second).into_owned();
        if let Self::Circles(x) = self {
            let (cosines, sines) = bent.split_at_mut(x.len());
            for (((x, dx), cosine), sine) in x.iter().zip(first).zip(cosines).zip(sines) {
                let half = 0.5 * (TAU * dx).powi(2);
                let [c, s] = turn(*x);
                *cosine -= half * c;
                *sine -= half * s;
            }
        }
        [self.seen().into_owned(), self.jvp(first).into_owned(), bent]
    }

    /// The second derivative along `dx` of what is seen, times its adjoint.
    pub fn second_order(self, adjoint: &[f32], dx: &[f32]) -> f32 {
        match self {
            Self::Line(_) => 0.0,
            Self::Circles(x) => {
                let (cosines, sines) = adjoint.split_at(x.len());
                let each = x.iter().zip(dx).zip(cosines).zip(sines);
                each.map(|(((x, dx), a), b)| {
                    let [cosine, sine] = turn(*x);
                    -(TAU * dx).powi(2) * (a * cosine + b * sine)
                })
                .sum()
            }
        }
    }
}

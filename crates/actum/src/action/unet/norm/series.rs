//! Group normalisation along a power series, with its adjoint.

use pulp::{Arch, Simd};

use super::Norm;
use crate::{
    action::{swish::swish_of, unet::EPSILON},
    simd::{LANES, Lanes, Line, kernels},
};

/// Adds lines to lines.
pub(in crate::action::unet) fn add_lines(sums: &mut [Line], more: &[Line]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        for lane in 0..LANES {
            sum[lane] += more[lane];
        }
    }
}

/// The first three coefficients of a power series, at the numbers of a line.
#[derive(Clone, Copy)]
struct Series<S: Simd, const V: usize>([Lanes<S, V>; 3]);

impl<S: Simd, const V: usize> Series<S, V> {
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        let ([a0, a1, a2], [b0, b1, b2]) = (self.0, other.0);
        Self([a0 * b0, a0 * b1 + a1 * b0, a0 * b2 + a1 * b1 + a2 * b0])
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let ([a0, a1, a2], [b0, b1, b2]) = (self.0, other.0);
        Self([a0 - b0, a1 - b1, a2 - b2])
    }

    #[inline(always)]
    fn scaled(self, by: Lanes<S, V>) -> Self {
        Self(self.0.map(|a| a * by))
    }

    /// A function of the first coefficient, and of the series, by its first two derivatives.
    #[inline(always)]
    fn compose(self, simd: S, [value, slope, second]: [Lanes<S, V>; 3]) -> Self {
        let [_, z1, z2] = self.0;
        let half = Lanes::splat(simd, 0.5);
        Self([value, slope * z1, slope * z2 + half * second * z1 * z1])
    }
}

/// What is known of the groups of a line of channels along a series, at each of their channels.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::action::unet) struct SeriesStats {
    mean: [Line; 3],
    /// r.
    root: [Line; 3],
}

impl Norm<'_> {
    /// The second and third coefficients of the result, for the three of x.
    pub fn series(self, x: [&[f32]; 3], stats: &mut [SeriesStats], out: [&mut [f32]; 2]) {
        Arch::new().dispatch(SeriesValue {
            norm: self,
            x,
            stats,
            out,
        });
    }

    /// n at a place, and the adjoint of `z = scale n + bias` there, for x and the adjoint of the
    /// result. No closure: one that is called twice is not inlined, and knows no wide vectors then.
    #[inline(always)]
    fn with_adjoint<S: Simd, const V: usize>(
        self,
        simd: S,
        [x, adjoint]: [[&[f32]; 3]; 2],
        place: usize,
        [mean, root]: [Series<S, V>; 2],
        [scale, bias]: [Lanes<S, V>; 2],
    ) -> (Series<S, V>, Series<S, V>) {
        let [x, mut adjoint] =
            [x, adjoint].map(|all| Series(all.map(|numbers| Lanes::at(simd, numbers, place))));
        let n = x.minus(mean).times(root);
        if self.activated {
            let mut z = n.scaled(scale);
            z.0[0] += bias;
            let [_, slope, second, third] = swish_of(z.0[0]);
            adjoint = adjoint.times(z.compose(simd, [slope, second, third]));
        }
        (n, adjoint)
    }

    #[inline(always)]
    fn means<S: Simd, const V: usize>(self, simd: S, sums: Series<S, V>) -> Series<S, V> {
        Series(sums.0.map(|sum| self.mean(simd, sum)))
    }
}

struct SeriesValue<'a> {
    norm: Norm<'a>,
    x: [&'a [f32]; 3],
    stats: &'a mut [SeriesStats],
    out: [&'a mut [f32]; 2],
}

impl SeriesValue<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let (norm, image) = (self.norm, self.norm.image);
        let [out1, out2] = self.out;
        let zero = Series([Lanes::<S, V>::splat(simd, 0.0); 3]);
        for (panel, (first, lanes)) in norm.panels().enumerate() {
            let x = |at: usize| Series(self.x.map(|x| Lanes::<S, V>::at(simd, x, at + first)));
            let mut sums = zero;
            image.each(|at| {
                let x = x(at).0;
                sums.0.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            });
            let mean = norm.means(simd, sums);
            let mut sums = zero;
            image.each(|at| {
                let u = x(at).minus(mean);
                let squares = u.times(u).0;
                sums.0
                    .iter_mut()
                    .zip(squares)
                    .for_each(|(sum, u)| *sum += u);
            });
            let root = inverse_root(norm.means(simd, sums).0.map(Lanes::line));
            self.stats[panel] = SeriesStats {
                mean: mean.0.map(Lanes::line),
                root,
            };
            let root = Series(root.map(|line| Lanes::of(simd, &line)));
            let scale = Lanes::of(simd, &norm.scale[panel]);
            let bias = Lanes::of(simd, &norm.bias[panel]);
            image.each(|at| {
                let mut z = x(at).minus(mean).times(root).scaled(scale);
                z.0[0] += bias;
                if norm.activated {
                    let [value, slope, second, _] = swish_of(z.0[0]);
                    z = z.compose(simd, [value, slope, second]);
                }
                z.0[1].put(out1, at + first, lanes);
                z.0[2].put(out2, at + first, lanes);
            });
        }
    }
}

/// The coefficients of `(v + epsilon)^{-1/2}`.
fn inverse_root([v0, v1, v2]: [Line; 3]) -> [Line; 3] {
    let mut root = [[0.0; LANES]; 3];
    for lane in 0..LANES {
        let r = (v0[lane] + EPSILON).sqrt().recip();
        let cube = r * r * r;
        root[0][lane] = r;
        root[1][lane] = -0.5 * cube * v1[lane];
        root[2][lane] = -0.5 * cube * v2[lane] + 0.375 * cube * r * r * v1[lane] * v1[lane];
    }
    root
}

/// The adjoint of the value in the arithmetic of series: with `A` and `B` the means of the adjoint
/// of n and of its product with n, that of x is `r (dn - A - n B)`.
pub(in crate::action::unet) struct SeriesVjp<'a> {
    pub norm: Norm<'a>,
    pub x: [&'a [f32]; 3],
    pub stats: &'a [SeriesStats],
    /// The coefficients of the adjoint of the value.
    pub adjoint: [&'a [f32]; 3],
    /// The second and third of that of x, and whether they are added to what is there.
    pub out: [&'a mut [f32]; 2],
    pub add: [bool; 2],
    /// Are added to.
    pub of_scale: &'a mut [Line],
    pub of_bias: &'a mut [Line],
}

impl SeriesVjp<'_> {
    pub fn go(self) {
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let (norm, image) = (self.norm, self.norm.image);
        let mut out = self.out;
        let zero = Series([Lanes::<S, V>::splat(simd, 0.0); 3]);
        for (panel, (first, lanes)) in norm.panels().enumerate() {
            let of = |line: &Line| Lanes::<S, V>::of(simd, line);
            let stats = &self.stats[panel];
            let mean = Series(stats.mean.each_ref().map(of));
            let root = Series(stats.root.each_ref().map(of));
            let (scale, bias) = (of(&norm.scale[panel]), of(&norm.bias[panel]));
            let both = [self.x, self.adjoint];
            let [mut sums, mut products] = [zero; 2];
            image.each(|place| {
                let (n, adjoint) =
                    norm.with_adjoint(simd, both, place + first, [mean, root], [scale, bias]);
                let along = adjoint.times(n).0;
                sums.0
                    .iter_mut()
                    .zip(adjoint.0)
                    .for_each(|(sum, a)| *sum += a);
                products
                    .0
                    .iter_mut()
                    .zip(along)
                    .for_each(|(sum, a)| *sum += a);
            });
            let add = |lines: &mut [Line], more: Lanes<S, V>| {
                lines[panel] = (of(&lines[panel]) + more).line();
            };
            add(self.of_bias, sums.0[2]);
            add(self.of_scale, products.0[2]);
            let a = norm.means(simd, sums.scaled(scale));
            let b = norm.means(simd, products.scaled(scale));
            image.each(|place| {
                let (n, adjoint) =
                    norm.with_adjoint(simd, both, place + first, [mean, root], [scale, bias]);
                let off = adjoint.scaled(scale).minus(a).minus(n.times(b));
                let [_, first_of_x, second_of_x] = off.times(root).0;
                for ((mut value, out), add) in [first_of_x, second_of_x]
                    .into_iter()
                    .zip(&mut out)
                    .zip(self.add)
                {
                    if add {
                        value += Lanes::at(simd, out, place + first);
                    }
                    value.put(out, place + first, lanes);
                }
            });
        }
    }
}

kernels!(SeriesValue, SeriesVjp; 1; 2; 4; 16);

//! Group normalisation, and swish behind it.
//!
//! Per group of N numbers of an image let `u` be x less its mean, `r = (mean u^2 + epsilon)^{-1/2}`
//! and `n = u r`; the result is `phi(scale n + bias)` with swish, phi, or without it. The tangent
//! of n is `r (u' - n <n, u'> / N)` with `u'` the tangent of x less its mean, and its adjoints
//! follow from `dn = r (du - n <n, du> / N)` and `dr = -r^2 <n, du> / N`.

use pulp::{Arch, Simd};

use super::{EPSILON, GROUP, image::Image};
use crate::{
    action::swish::swish,
    simd::{LANES, Lanes, Line, kernels},
};

/// What is normalised, and how.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    /// The shape of all images; the channels are a multiple of [`GROUP`].
    pub image: Image,
    pub scale: &'a [Line],
    pub bias: &'a [Line],
    /// Whether swish follows.
    pub activated: bool,
}

/// What is known of the groups of a line of channels, at each of their channels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GroupStats {
    mean: Line,
    /// r.
    root: Line,
    /// The mean of the tangent.
    change: Line,
    /// `<n, u'> / N`.
    share: Line,
}

impl Norm<'_> {
    pub fn value(self, x: &[f32], stats: &mut [GroupStats], out: &mut [f32]) {
        Arch::new().dispatch(Value {
            norm: self,
            x,
            stats,
            out,
        });
    }

    /// The tangent along `dx`, after the value.
    pub fn jvp(self, x: &[f32], dx: &[f32], stats: &mut [GroupStats], out: &mut [f32]) {
        Arch::new().dispatch(Jvp {
            norm: self,
            x,
            dx,
            stats,
            out,
        });
    }

    /// The mean over pixels and the channels of every group, at each of its channels.
    #[inline(always)]
    fn mean<S: Simd, const V: usize>(self, simd: S, sum: Lanes<S, V>) -> Lanes<S, V> {
        let mut line = sum.line();
        for group in line.chunks_exact_mut(GROUP) {
            let mean = group.iter().sum::<f32>() / (GROUP * self.image.pixels()) as f32;
            group.fill(mean);
        }
        Lanes::of(simd, &line)
    }

    /// The first channel of every panel, and its number of channels.
    #[inline(always)]
    fn panels(self) -> impl Iterator<Item = (usize, usize)> {
        let channels = self.image.channels;
        let firsts = (0..channels).step_by(LANES);
        firsts.map(move |first| (first, LANES.min(channels - first)))
    }
}

struct Value<'a> {
    norm: Norm<'a>,
    x: &'a [f32],
    stats: &'a mut [GroupStats],
    out: &'a mut [f32],
}

impl Value<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let (norm, image) = (self.norm, self.norm.image);
        for (panel, (first, lanes)) in norm.panels().enumerate() {
            let x = |at: usize| Lanes::<S, V>::at(simd, self.x, at + first);
            let mut sum = Lanes::<S, V>::splat(simd, 0.0);
            image.each(|at| sum += x(at));
            let mean = norm.mean(simd, sum);
            let mut squares = Lanes::<S, V>::splat(simd, 0.0);
            image.each(|at| {
                let u = x(at) - mean;
                squares = u.times_plus(u, squares);
            });
            let mut root = norm.mean(simd, squares).line();
            root.iter_mut()
                .for_each(|v| *v = (*v + EPSILON).sqrt().recip());
            self.stats[panel].mean = mean.line();
            self.stats[panel].root = root;
            let slope = Lanes::of(simd, &norm.scale[panel]) * Lanes::of(simd, &root);
            let bias = Lanes::of(simd, &norm.bias[panel]);
            image.each(|at| {
                let z = (x(at) - mean).times_plus(slope, bias);
                let value = if norm.activated { z.each(swish)[0] } else { z };
                value.put(self.out, at + first, lanes);
            });
        }
    }
}

struct Jvp<'a> {
    norm: Norm<'a>,
    x: &'a [f32],
    dx: &'a [f32],
    stats: &'a mut [GroupStats],
    out: &'a mut [f32],
}

impl Jvp<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let (norm, image) = (self.norm, self.norm.image);
        for (panel, (first, lanes)) in norm.panels().enumerate() {
            let level = &mut self.stats[panel];
            let of = |line: &Line| Lanes::<S, V>::of(simd, line);
            let [mean, root] = [level.mean, level.root].map(|line| of(&line));
            let x = |at: usize| Lanes::<S, V>::at(simd, self.x, at + first);
            let dx = |at: usize| Lanes::<S, V>::at(simd, self.dx, at + first);
            let zero = Lanes::<S, V>::splat(simd, 0.0);
            let (mut sum, mut products) = (zero, zero);
            image.each(|at| {
                sum += dx(at);
                products = ((x(at) - mean) * root).times_plus(dx(at), products);
            });
            let (change, share) = (norm.mean(simd, sum), norm.mean(simd, products));
            level.change = change.line();
            level.share = share.line();
            let (scale, bias) = (of(&norm.scale[panel]), of(&norm.bias[panel]));
            let slope = scale * root;
            image.each(|at| {
                let n = (x(at) - mean) * root;
                let tangent = (dx(at) - change - n * share) * slope;
                let tangent = if norm.activated {
                    n.times_plus(scale, bias).each(swish)[1] * tangent
                } else {
                    tangent
                };
                tangent.put(self.out, at + first, lanes);
            });
        }
    }
}

/// The adjoint of the value, and with it that of the tangent.
pub(super) struct Vjp<'a> {
    pub norm: Norm<'a>,
    pub x: &'a [f32],
    pub stats: &'a [GroupStats],
    /// The adjoint of the value.
    pub adjoint: &'a [f32],
    /// The tangent of x, and the adjoint of the tangent of the value.
    pub tangents: Option<[&'a [f32]; 2]>,
    /// Room for two images.
    pub room: [&'a mut [f32]; 2],
    pub out: &'a mut [f32],
    /// Whether the result is added to `out` or takes its place.
    pub add: bool,
    /// Are added to.
    pub of_scale: &'a mut [Line],
    pub of_bias: &'a mut [Line],
}

impl Vjp<'_> {
    pub fn go(self) {
        Arch::new().dispatch(self);
    }

    /// With `w` the adjoint of the tangent of `scale n`, `a = <w, u'> / N`, `b = <w, n> / N` and
    /// `c = <n, u'> / N`, the tangent adds to the adjoint of x
    /// `-r^2 (c w + b u' + (a - 3 b c) n)`, less its mean.
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let (norm, image) = (self.norm, self.norm.image);
        let [kept, kept_along] = self.room;
        let zero = Lanes::<S, V>::splat(simd, 0.0);
        for (panel, (first, lanes)) in norm.panels().enumerate() {
            let of = |line: &Line| Lanes::<S, V>::of(simd, line);
            let read = |numbers: &[f32], at: usize| Lanes::<S, V>::at(simd, numbers, at + first);
            let level = &self.stats[panel];
            let (mean, root) = (of(&level.mean), of(&level.root));
            let (change, share) = (of(&level.change), of(&level.share));
            let (scale, bias) = (of(&norm.scale[panel]), of(&norm.bias[panel]));
            let slope = scale * root;
            let [mut sum, mut products] = [zero; 2];
            let [mut sum_along, mut products_along, mut tangents] = [zero; 3];
            image.each(|at| {
                let n = (read(self.x, at) - mean) * root;
                let mut p = read(self.adjoint, at);
                let [slope_of, bend_of] = if norm.activated {
                    let [_, slope, bend, _] = n.times_plus(scale, bias).each(swish);
                    p = p * slope;
                    [slope, bend]
                } else {
                    [zero; 2]
                };
                if let Some([dx, adjoint]) = self.tangents {
                    let off = read(dx, at) - change;
                    let mut w = read(adjoint, at);
                    if norm.activated {
                        let tangent = (off - n * share) * slope;
                        p = (w * bend_of).times_plus(tangent, p);
                        w = w * slope_of;
                    }
                    sum_along += w;
                    products_along = w.times_plus(n, products_along);
                    tangents = w.times_plus(off, tangents);
                    w.put(kept_along, at + first, lanes);
                }
                sum += p;
                products = p.times_plus(n, products);
                p.put(kept, at + first, lanes);
            });
            let add = |sums: &mut [Line], more: Lanes<S, V>| {
                sums[panel] = (of(&sums[panel]) + more).line();
            };
            add(self.of_bias, sum);
            let of_tangent = (tangents - share * products_along) * root;
            add(self.of_scale, products + of_tangent);
            let mean_of = |sum| norm.mean(simd, scale * sum);
            let (level, portion) = (mean_of(sum), mean_of(products));
            let (level_along, a, b) = (
                mean_of(sum_along),
                mean_of(tangents),
                mean_of(products_along),
            );
            let square = root * root;
            let rest = a - Lanes::splat(simd, 3.0) * b * share;
            image.each(|at| {
                let n = (read(self.x, at) - mean) * root;
                let p = read(kept, at);
                let mut out = (scale * p - level - n * portion) * root;
                if let Some([dx, _]) = self.tangents {
                    let w = scale * read(kept_along, at) - level_along;
                    let off = read(dx, at) - change;
                    out = out - (share * w + b * off + rest * n) * square;
                }
                if self.add {
                    out += read(self.out, at);
                }
                out.put(self.out, at + first, lanes);
            });
        }
    }
}

/// Adds lines to lines.
pub(super) fn add_lines(sums: &mut [Line], more: &[Line]) {
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
pub(super) struct SeriesStats {
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
                    let [value, slope, second, _] = z.0[0].each(swish);
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
pub(super) struct SeriesVjp<'a> {
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
            let read = |all: [&[f32]; 3], at: usize| {
                Series(all.map(|numbers| Lanes::<S, V>::at(simd, numbers, at + first)))
            };
            // n, and the adjoint of z = scale n + bias.
            let at = |place: usize| {
                let n = read(self.x, place).minus(mean).times(root);
                let mut adjoint = read(self.adjoint, place);
                if norm.activated {
                    let mut z = n.scaled(scale);
                    z.0[0] += bias;
                    let [_, slope, second, third] = z.0[0].each(swish);
                    adjoint = adjoint.times(z.compose(simd, [slope, second, third]));
                }
                (n, adjoint)
            };
            let [mut sums, mut products] = [zero; 2];
            image.each(|place| {
                let (n, adjoint) = at(place);
                let both = adjoint.times(n).0;
                sums.0
                    .iter_mut()
                    .zip(adjoint.0)
                    .for_each(|(sum, a)| *sum += a);
                products
                    .0
                    .iter_mut()
                    .zip(both)
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
                let (n, adjoint) = at(place);
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

kernels!(Value, Jvp, Vjp, SeriesValue, SeriesVjp; 1; 2; 4; 16);

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const IMAGE: Image = Image {
        height: 3,
        width: 5,
        channels: 20,
        border: 1,
    };

    /// Value, tangent and both adjoints of the same numbers.
    fn all(simd: impl Simd) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut image = || {
            let mut numbers = IMAGE.zeros();
            IMAGE.each(|at| {
                numbers[at..][..IMAGE.channels].fill_with(|| rng.random::<f32>() - 0.3);
            });
            numbers
        };
        let [x, dx, adjoint, first] = [image(), image(), image(), image()];
        let [scale, bias] = [0.7, -0.2].map(|value| vec![[value; LANES]; 2]);
        let mut found = vec![];
        for activated in [true, false] {
            let norm = Norm {
                image: IMAGE,
                scale: &scale,
                bias: &bias,
                activated,
            };
            let mut stats = vec![GroupStats::default(); 2];
            let [mut value, mut tangent, mut out] = [IMAGE.zeros(), IMAGE.zeros(), IMAGE.zeros()];
            simd.vectorize(Value {
                norm,
                x: &x,
                stats: &mut stats,
                out: &mut value,
            });
            simd.vectorize(Jvp {
                norm,
                x: &x,
                dx: &dx,
                stats: &mut stats,
                out: &mut tangent,
            });
            let [mut of_scale, mut of_bias] = [vec![[0.0; LANES]; 2], vec![[0.0; LANES]; 2]];
            simd.vectorize(Vjp {
                norm,
                x: &x,
                stats: &stats,
                adjoint: &adjoint,
                tangents: Some([&dx, &first]),
                room: [&mut IMAGE.zeros(), &mut IMAGE.zeros()],
                out: &mut out,
                add: false,
                of_scale: &mut of_scale,
                of_bias: &mut of_bias,
            });
            let channels =
                [of_scale, of_bias].map(|lines| lines.as_flattened()[..IMAGE.channels].to_vec());
            found.extend([value, tangent, out].concat());
            found.extend(channels.concat());
        }
        found
    }

    /// That they are right is seen where the whole network is compared with its tensors.
    #[test]
    fn every_instruction_set_of_this_machine_gives_the_same() {
        let expected = all(pulp::Scalar);
        assert!(expected.iter().filter(|v| v.abs() > 0.01).count() > 1000);
        let check = |found: Vec<f32>| {
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-4, "{a} against {b}");
            }
        };
        crate::simd::on_every_instruction_set!(|simd| check(all(simd)));
    }
}

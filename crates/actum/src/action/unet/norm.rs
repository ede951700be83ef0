//! Group normalisation, and swish behind it.
//!
//! Per group of N numbers of an image let `u` be x less its mean, `r = (mean u^2 + epsilon)^{-1/2}`
//! and `n = u r`; the result is `phi(scale n + bias)` with swish, phi, or without it. The tangent
//! of n is `r (u' - n <n, u'> / N)` with `u'` the tangent of x less its mean, and its adjoints
//! follow from `dn = r (du - n <n, du> / N)` and `dr = -r^2 <n, du> / N`.

pub(super) mod series;

use pulp::{Arch, Simd};

use super::{EPSILON, GROUP, image::Image};
use crate::{
    action::swish::swish_of,
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
                let value = if norm.activated { swish_of(z)[0] } else { z };
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
                    swish_of(n.times_plus(scale, bias))[1] * tangent
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
                    let [_, slope, bend, _] = swish_of(n.times_plus(scale, bias));
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

kernels!(Value, Jvp, Vjp; 1; 2; 4; 16);

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

//! Group normalisation and its tangent on the CPU.
//!
//! Per group of N numbers of an image let `u` be x less its mean, `r = (mean u^2 + epsilon)^{-1/2}`
//! and `n = u r`. The tangent of n is `r (u' - n <n, u'> / N)`, and its adjoints follow from
//! `dn = r (du - n <n, du> / N)` and `dr = -r^2 <n, du> / N`.

use burn::tensor::Tensor;
use pulp::Arch;
use rayon::prelude::*;

use super::cpu::{self, Array, Operation};

/// `n scale + bias` for `x` `[n, pixels, c]`, `scale` and `bias` `[1, 1, c]`, with groups of
/// `width` channels.
pub(super) fn value(groups: Groups, x: Tensor<3>, scale: Tensor<3>, bias: Tensor<3>) -> Tensor<3> {
    cpu::apply(Value(groups), [x.into(), scale.into(), bias.into()])
}

/// The tangent of `n scale` along `dx` `[n, pixels, c]`.
pub(super) fn along(groups: Groups, x: Tensor<3>, dx: Tensor<3>, scale: Tensor<3>) -> Tensor<3> {
    cpu::apply(Along(groups), [x.into(), dx.into(), scale.into()])
}

/// What is normalised together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    /// Neighbouring channels.
    pub width: usize,
    /// What is added to the variance.
    pub epsilon: f32,
}

impl Groups {
    /// The mean of every group, at each of its channels, from sums over pixels.
    #[inline(always)]
    fn means(self, mut sums: Vec<f32>, pixels: usize) -> Vec<f32> {
        for group in sums.chunks_exact_mut(self.width) {
            let mean = group.iter().sum::<f32>() / (self.width * pixels) as f32;
            group.fill(mean);
        }
        sums
    }

    /// r, from the means of `u^2`.
    #[inline(always)]
    fn roots(self, squares: Vec<f32>, pixels: usize) -> Vec<f32> {
        let mut roots = self.means(squares, pixels);
        roots
            .iter_mut()
            .for_each(|v| *v = (*v + self.epsilon).sqrt().recip());
        roots
    }
}

/// Sums over pixels of functions of the numbers of some images and the channel.
#[inline(always)]
fn sums<const K: usize, const J: usize>(
    channels: usize,
    images: [&[f32]; K],
    f: impl Fn([f32; K], usize) -> [f32; J],
) -> [Vec<f32>; J] {
    let mut sums = [const { vec![] }; J];
    sums.iter_mut().for_each(|sum| sum.resize(channels, 0.0));
    for pixel in 0..images[0].len() / channels {
        let rows = images.map(|image| &image[pixel * channels..][..channels]);
        let sums = sums.each_mut().map(|sum| &mut sum[..channels]);
        for c in 0..channels {
            let terms = f(rows.map(|row| row[c]), c);
            for j in 0..J {
                sums[j][c] += terms[j];
            }
        }
    }
    sums
}

/// Writes a function of the numbers of some images and the channel.
#[inline(always)]
fn write<const K: usize>(
    channels: usize,
    out: &mut [f32],
    images: [&[f32]; K],
    f: impl Fn([f32; K], usize) -> f32,
) {
    for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
        let rows = images.map(|image| &image[pixel * channels..][..channels]);
        for (c, out) in out.iter_mut().enumerate() {
            *out = f(rows.map(|row| row[c]), c);
        }
    }
}

/// `a b` at every channel.
fn times(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// The sum over images of `[c]` each, in their order.
fn total(parts: impl IntoIterator<Item = Vec<f32>>, channels: usize) -> Array {
    let mut sum = vec![0.0; channels];
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
    }
    Array::new(sum, [1, 1, channels])
}

#[derive(Debug, Clone)]
struct Value(Groups);

impl Operation<3> for Value {
    fn apply(&self, [x, scale, bias]: [&Array; 3]) -> Array {
        let (image, channels) = (x.shape[1] * x.shape[2], x.shape[2]);
        let (scale, bias) = (scale.values(), bias.values());
        let mut out = vec![0.0; x.values().len()];
        let images = x.values().par_chunks_exact(image);
        out.par_chunks_exact_mut(image)
            .zip(images)
            .with_min_len(cpu::share(image))
            .for_each(|(out, x)| {
                Arch::new().dispatch(|| {
                    let pixels = image / channels;
                    let [mean] = sums(channels, [x], |[x], _| [x]);
                    let mean = self.0.means(mean, pixels);
                    let [squares] = sums(channels, [x], |[x], c| [(x - mean[c]).powi(2)]);
                    let slope = times(scale, &self.0.roots(squares, pixels));
                    write(channels, out, [x], |[x], c| {
                        (x - mean[c]) * slope[c] + bias[c]
                    });
                });
            });
        Array::new(out, x.shape.clone())
    }

    fn pull(&self, [x, scale, _]: [&Array; 3], pulled: &Array, _: [bool; 3]) -> [Option<Array>; 3] {
        let (image, channels) = (x.shape[1] * x.shape[2], x.shape[2]);
        let scale = scale.values();
        let mut out = vec![0.0; x.values().len()];
        let images = x.values().par_chunks_exact(image);
        let parts: Vec<[Vec<f32>; 2]> = out
            .par_chunks_exact_mut(image)
            .zip(images)
            .zip(pulled.values().par_chunks_exact(image))
            .with_min_len(cpu::share(image))
            .map(|((out, x), pulled)| {
                Arch::new().dispatch(|| {
                    let pixels = image / channels;
                    let [mean] = sums(channels, [x], |[x], _| [x]);
                    let mean = self.0.means(mean, pixels);
                    let [squares, of_scale, of_bias] = sums(channels, [x, pulled], |[x, p], c| {
                        let u = x - mean[c];
                        [u * u, p * u, p]
                    });
                    let root = self.0.roots(squares, pixels);
                    let of_scale = times(&of_scale, &root);
                    let normal = |x: f32, c: usize| (x - mean[c]) * root[c];
                    let level = self.0.means(times(scale, &of_bias), pixels);
                    let share = self.0.means(times(scale, &of_scale), pixels);
                    write(channels, out, [pulled, x], |[p, x], c| {
                        root[c] * (scale[c] * p - level[c] - normal(x, c) * share[c])
                    });
                    [of_scale, of_bias]
                })
            })
            .collect();
        let (of_scale, of_bias): (Vec<_>, Vec<_>) = parts.into_iter().map(Into::into).unzip();
        [
            Some(Array::new(out, x.shape.clone())),
            Some(total(of_scale, channels)),
            Some(total(of_bias, channels)),
        ]
    }
}

#[derive(Debug, Clone)]
struct Along(Groups);

impl Operation<3> for Along {
    fn apply(&self, [x, dx, scale]: [&Array; 3]) -> Array {
        let (image, channels) = (x.shape[1] * x.shape[2], x.shape[2]);
        let scale = scale.values();
        let mut out = vec![0.0; x.values().len()];
        let images = x.values().par_chunks_exact(image);
        out.par_chunks_exact_mut(image)
            .zip(images)
            .zip(dx.values().par_chunks_exact(image))
            .with_min_len(cpu::share(image))
            .for_each(|((out, x), dx)| {
                Arch::new().dispatch(|| {
                    let pixels = image / channels;
                    let [mean, change] = sums(channels, [x, dx], |both, _| both)
                        .map(|sum| self.0.means(sum, pixels));
                    let [squares, products] = sums(channels, [x, dx], |[x, dx], c| {
                        let u = x - mean[c];
                        [u * u, u * dx]
                    });
                    let root = self.0.roots(squares, pixels);
                    let share = self.0.means(products, pixels);
                    write(channels, out, [x, dx], |[x, dx], c| {
                        let turned = (x - mean[c]) * (root[c] * root[c] * share[c]);
                        scale[c] * root[c] * (dx - change[c] - turned)
                    });
                });
            });
        Array::new(out, x.shape.clone())
    }

    /// With `w = scale p`, `a = <w, u'> / N`, `b = <w, n> / N`, `c = <n, u'> / N`: the adjoint of
    /// u' is `r (w - b n)` and that of u is `-r^2 (c w + b u' + (a - 3 b c) n)`, both less their
    /// means.
    fn pull(
        &self,
        [x, dx, scale]: [&Array; 3],
        pulled: &Array,
        _: [bool; 3],
    ) -> [Option<Array>; 3] {
        let (image, channels) = (x.shape[1] * x.shape[2], x.shape[2]);
        let scale = scale.values();
        let [mut of_x, mut of_dx] = [const { vec![] }; 2];
        of_x.resize(x.values().len(), 0.0);
        of_dx.resize(x.values().len(), 0.0);
        let of_scale: Vec<Vec<f32>> = of_x
            .par_chunks_exact_mut(image)
            .zip(of_dx.par_chunks_exact_mut(image))
            .zip(x.values().par_chunks_exact(image))
            .zip(dx.values().par_chunks_exact(image))
            .zip(pulled.values().par_chunks_exact(image))
            .with_min_len(cpu::share(image))
            .map(|((((of_x, of_dx), x), dx), pulled)| {
                Arch::new().dispatch(|| {
                    let pixels = image / channels;
                    let [mean, change] = sums(channels, [x, dx], |both, _| both)
                        .map(|sum| self.0.means(sum, pixels));
                    let [squares, products, tangents, normals, level] =
                        sums(channels, [x, dx, pulled], |[x, dx, p], c| {
                            let u = x - mean[c];
                            [u * u, u * dx, p * (dx - change[c]), p * u, p]
                        });
                    let root = self.0.roots(squares, pixels);
                    let [products, normals] = [products, normals].map(|sum| times(&sum, &root));
                    let normal = |x: f32, c: usize| (x - mean[c]) * root[c];
                    let a = self.0.means(times(scale, &tangents), pixels);
                    let b = self.0.means(times(scale, &normals), pixels);
                    let c = self.0.means(products, pixels);
                    let level = self.0.means(times(scale, &level), pixels);
                    write(channels, of_dx, [pulled, x], |[p, x], k| {
                        root[k] * (scale[k] * p - level[k] - normal(x, k) * b[k])
                    });
                    write(channels, of_x, [pulled, x, dx], |[p, x, dx], k| {
                        let w = scale[k] * p - level[k];
                        let rest = (a[k] - 3.0 * b[k] * c[k]) * normal(x, k);
                        let sum = c[k] * w + b[k] * (dx - change[k]) + rest;
                        -root[k] * root[k] * sum
                    });
                    let each = tangents.iter().zip(&normals).enumerate();
                    each.map(|(k, (tangent, normal))| root[k] * (tangent - normal * c[k]))
                        .collect()
                })
            })
            .collect();
        [
            Some(Array::new(of_x, x.shape.clone())),
            Some(Array::new(of_dx, x.shape.clone())),
            Some(total(of_scale, channels)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::unet::jet::Jet;

    /// Against the jets of the library's operations.
    #[test]
    fn the_normalisation_its_tangent_and_their_adjoints_are_those_of_the_formula() {
        let groups = Groups {
            width: 4,
            epsilon: 1e-5,
        };
        for [n, pixels, c] in [[1, 3, 4], [5, 49, 12], [2, 784, 16]] {
            let (images, row) = ([n, pixels, c], [1, 1, c]);
            cpu::assert_same(
                [images, row, row],
                |[x, scale, bias]| value(groups, x, scale, bias),
                |[x, scale, bias]| Jet::constant(x).by_formula(groups, scale, bias).last(),
            );
            cpu::assert_same(
                [images, images, row],
                |[x, dx, scale]| along(groups, x, dx, scale),
                |[x, dx, scale]| {
                    let bias = scale.zeros_like();
                    Jet::line(x, dx, 1).by_formula(groups, scale, bias).last()
                },
            );
        }
    }
}

//! A small perceptron from numbers to numbers, its derivative in one direction of the input, and
//! the gradient of a function of both in its weights.
//!
//! It bends a path, and is no action: actions are scalars, and their module comes later.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// Hidden layers, and how wide each is (Kapusniak et al. 2024).
const HIDDEN: usize = 3;
const WIDTH: usize = 64;

/// One layer after another in `weights`: `[in + 1, out]`, the last row is the bias.
#[derive(Clone)]
pub(super) struct Network {
    widths: Vec<usize>,
    weights: Vec<f64>,
}

/// What a forward pass leaves for the backward pass: the inputs of every layer and their derivative,
/// and what the layer made of them before the activation.
#[derive(Default)]
pub(super) struct Trace {
    entering: Vec<[Vec<f64>; 2]>,
    leaving: Vec<[Vec<f64>; 2]>,
}

impl Network {
    /// Weights are Gaussian of variance 1 / in, as SELU wants them; those of the last layer are 0,
    /// so that nothing bends at first.
    pub(super) fn new(inputs: usize, outputs: usize, rng: &mut dyn Rng) -> Self {
        let mut widths = vec![inputs];
        widths.extend([WIDTH; HIDDEN]);
        widths.push(outputs);
        let mut weights = vec![];
        for pair in widths.windows(2) {
            let deviation = (1.0 / pair[0] as f64).sqrt();
            for _ in 0..pair[0] * pair[1] {
                let z: f64 = rng.sample(StandardNormal);
                weights.push(deviation * z);
            }
            weights.resize(weights.len() + pair[1], 0.0);
        }
        let last = (WIDTH + 1) * outputs;
        let start = weights.len() - last;
        weights[start..].fill(0.0);
        Self { widths, weights }
    }

    pub(super) fn weights_mut(&mut self) -> &mut [f64] {
        &mut self.weights
    }

    /// How many weights there are.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The outputs for `input`, and their derivative in the direction `along`.
    pub(super) fn forward<'a>(
        &self,
        input: &[f64],
        along: &[f64],
        trace: &'a mut Trace,
    ) -> [&'a [f64]; 2] {
        let layers = self.widths.len() - 1;
        trace.entering.resize_with(layers, Default::default);
        trace.leaving.resize_with(layers, Default::default);
        let mut at = 0;
        for layer in 0..layers {
            let [entering, leaving] = [self.widths[layer], self.widths[layer + 1]];
            let weights = &self.weights[at..at + (entering + 1) * leaving];
            at += weights.len();
            let inside = &mut trace.entering[layer];
            match layer {
                0 => *inside = [input.to_vec(), along.to_vec()],
                _ => {
                    let [z, dz] = &trace.leaving[layer - 1];
                    *inside = [vec![], vec![]];
                    for (z, dz) in z.iter().zip(dz) {
                        let [value, slope, _] = selu(*z);
                        inside[0].push(value);
                        inside[1].push(slope * dz);
                    }
                }
            }
            let (rows, bias) = weights.split_at(entering * leaving);
            let mut z = bias.to_vec();
            let mut dz = vec![0.0; leaving];
            for (i, row) in rows.chunks(leaving).enumerate() {
                let [a, da] = [inside[0][i], inside[1][i]];
                for ((z, dz), w) in z.iter_mut().zip(&mut dz).zip(row) {
                    *z += a * w;
                    *dz += da * w;
                }
            }
            trace.leaving[layer] = [z, dz];
        }
        let [z, dz] = &trace.leaving[layers - 1];
        [z, dz]
    }

    /// Adds to `gradient` that of a function in the weights, which has the derivatives `value` in
    /// the outputs of a pass and `slope` in their derivative.
    pub(super) fn backward(
        &self,
        trace: &Trace,
        value: &[f64],
        slope: &[f64],
        gradient: &mut [f64],
    ) {
        let (mut g, mut dg) = (value.to_vec(), slope.to_vec());
        let mut at = self.weights.len();
        for layer in (0..self.widths.len() - 1).rev() {
            let [entering, leaving] = [self.widths[layer], self.widths[layer + 1]];
            at -= (entering + 1) * leaving;
            let weights = &self.weights[at..at + entering * leaving];
            let gradient = &mut gradient[at..at + (entering + 1) * leaving];
            let (rows, bias) = gradient.split_at_mut(entering * leaving);
            for (bias, g) in bias.iter_mut().zip(&g) {
                *bias += g;
            }
            let inside = &trace.entering[layer];
            let (mut below, mut below_along) = (vec![0.0; entering], vec![0.0; entering]);
            let pairs = rows.chunks_mut(leaving).zip(weights.chunks(leaving));
            for (i, (row, weights)) in pairs.enumerate() {
                let [a, da] = [inside[0][i], inside[1][i]];
                let (mut sum, mut along) = (0.0, 0.0);
                for (((row, w), g), dg) in row.iter_mut().zip(weights).zip(&g).zip(&dg) {
                    *row += a * g + da * dg;
                    sum += w * g;
                    along += w * dg;
                }
                (below[i], below_along[i]) = (sum, along);
            }
            if layer > 0 {
                let [z, dz] = &trace.leaving[layer - 1];
                for i in 0..entering {
                    let [_, first, second] = selu(z[i]);
                    below[i] = below[i] * first + below_along[i] * second * dz[i];
                    below_along[i] *= first;
                }
            }
            (g, dg) = (below, below_along);
        }
    }
}

/// The scaled exponential linear unit (Klambauer et al. 2017) and its first two derivatives.
fn selu(z: f64) -> [f64; 3] {
    const SCALE: f64 = 1.050_700_987_355_480_5;
    const ALPHA: f64 = 1.673_263_242_354_377_2;
    if z > 0.0 {
        [SCALE * z, SCALE, 0.0]
    } else {
        let e = SCALE * ALPHA * z.exp();
        [e - SCALE * ALPHA, e, e]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Of `f = sum a_i y_i + b_i dy_i`, against differences.
    #[test]
    fn derivatives_are_right() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut network = Network::new(5, 2, &mut rng);
        for w in network.weights_mut() {
            let z: f64 = rng.sample(StandardNormal);
            *w += 0.1 * z;
        }
        let input = [0.3, -1.2, 0.7, 0.1, 0.4];
        let along = [0.0, 0.0, 0.5, 0.0, 1.0];
        let (a, b) = ([0.7, -0.4], [0.2, 1.1]);
        let f = |network: &Network| {
            let mut trace = Trace::default();
            let [y, dy] = network.forward(&input, &along, &mut trace);
            (0..2).map(|i| a[i] * y[i] + b[i] * dy[i]).sum::<f64>()
        };
        let mut trace = Trace::default();
        let [y, dy] = network
            .forward(&input, &along, &mut trace)
            .map(<[f64]>::to_vec);
        let h = 1e-6;
        for i in 0..2 {
            let ends = [-h, h].map(|h| {
                let moved: Vec<f64> = (0..5).map(|k| input[k] + h * along[k]).collect();
                network.forward(&moved, &along, &mut Trace::default())[0][i]
            });
            assert!(((ends[1] - ends[0]) / (2.0 * h) - dy[i]).abs() < 1e-7);
            assert!(y[i].is_finite());
        }
        let mut gradient = vec![0.0; network.len()];
        network.backward(&trace, &a, &b, &mut gradient);
        for k in (0..network.len()).step_by(97) {
            let ends = [-h, h].map(|h| {
                let mut moved = network.clone();
                moved.weights[k] += h;
                f(&moved)
            });
            let expected = (ends[1] - ends[0]) / (2.0 * h);
            assert!((gradient[k] - expected).abs() < 1e-6, "{k}");
        }
    }
}

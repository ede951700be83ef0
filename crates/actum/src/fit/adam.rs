//! Adam, with the average of the parameters: one pass over memory.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    error::{Result, ensure},
    simd::LANES,
};

/// How far one step of [`Adam`] goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Update {
    /// The learning rate.
    pub rate: f64,
    /// What the gradient is multiplied by first.
    pub scale: f64,
    /// The share of the average that is kept, in [0, 1].
    pub keep: f64,
}

/// The decay of the mean of gradients and of the mean of their squares.
const DECAY: [f32; 2] = [0.9, 0.999];
/// What is added to the root of the mean square.
const EPSILON: f32 = 1e-8;

/// The moments of Adam (Kingma & Ba, 2015, algorithm 1) and the exponential average of the
/// parameters, all in the order of an engine.
#[derive(Debug, Clone)]
pub(super) struct Adam {
    steps: i32,
    first: Vec<f32>,
    second: Vec<f32>,
    average: Vec<f32>,
}

/// Numbers that a thread moves at once.
const CHUNK: usize = 1024 * LANES;

/// The Euclidean norm of a gradient.
pub(super) fn norm(gradient: &[f32]) -> f64 {
    let square = |g: &f32| f64::from(*g) * f64::from(*g);
    let chunks = gradient.par_chunks(CHUNK);
    let sums: Vec<f64> = chunks
        .map(|numbers| {
            let mut sums = [0.0; LANES];
            for line in numbers.chunks(LANES) {
                for (sum, g) in sums.iter_mut().zip(line) {
                    *sum += square(g);
                }
            }
            sums.iter().sum()
        })
        .collect();
    sums.iter().sum::<f64>().sqrt()
}

impl Adam {
    /// The start of a minimisation: no moments, and the average is the parameters themselves.
    pub fn new(parameters: &[f32]) -> Self {
        let zeros = vec![0.0; parameters.len()];
        Self {
            steps: 0,
            first: zeros.clone(),
            second: zeros,
            average: parameters.to_vec(),
        }
    }

    /// The state after `steps` steps, as [`average`](Self::average) and [`moments`](Self::moments)
    /// gave it.
    ///
    /// # Errors
    /// More steps than 2^31 - 1.
    pub fn resumed(
        steps: usize,
        average: Vec<f32>,
        [first, second]: [Vec<f32>; 2],
    ) -> Result<Self> {
        ensure!(
            i32::try_from(steps).is_ok(),
            Value,
            "expected less than 2^31 steps, got {steps}"
        );
        Ok(Self {
            steps: steps as i32,
            first,
            second,
            average,
        })
    }

    /// The average of the parameters.
    pub fn average(&self) -> &[f32] {
        &self.average
    }

    /// The means of gradients and of their squares.
    pub fn moments(&self) -> [&[f32]; 2] {
        [&self.first, &self.second]
    }

    /// Moves the parameters against the gradient.
    ///
    /// # Panics
    /// If there are not as many as at the start.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], update: Update) {
        let count = self.average.len();
        assert_eq!([parameters.len(), gradient.len()], [count; 2]);
        self.steps += 1;
        let [decay, decay_squares] = DECAY.map(f64::from);
        let correction = (1.0 - decay_squares.powi(self.steps)).sqrt();
        let constants = Constants {
            scale: update.scale as f32,
            rate: (update.rate * correction / (1.0 - decay.powi(self.steps))) as f32,
            epsilon: (f64::from(EPSILON) * correction) as f32,
            keep: update.keep as f32,
        };
        let chunks = gradient.par_chunks(CHUNK);
        chunks
            .zip(parameters.par_chunks_mut(CHUNK))
            .zip(self.first.par_chunks_mut(CHUNK))
            .zip(self.second.par_chunks_mut(CHUNK))
            .zip(self.average.par_chunks_mut(CHUNK))
            .for_each(|((((gradient, value), first), second), average)| {
                Arch::new().dispatch(Move {
                    constants,
                    gradient,
                    value,
                    first,
                    second,
                    average,
                });
            });
    }
}

#[derive(Clone, Copy)]
struct Constants {
    scale: f32,
    rate: f32,
    epsilon: f32,
    keep: f32,
}

struct Move<'a> {
    constants: Constants,
    gradient: &'a [f32],
    value: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    average: &'a mut [f32],
}

impl WithSimd for Move<'_> {
    type Output = ();

    /// A plain loop, which the compiler turns into vectors of the instruction set.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Constants {
            scale,
            rate,
            epsilon,
            keep,
        } = self.constants;
        let [decay, decay_squares] = DECAY;
        let numbers = self.gradient.iter().zip(self.value).zip(self.first);
        for ((((g, w), m), v), a) in numbers.zip(self.second).zip(self.average) {
            let g = g * scale;
            *m = decay * *m + (1.0 - decay) * g;
            *v = decay_squares * *v + (1.0 - decay_squares) * (g * g);
            *w -= rate * (*m / (v.sqrt() + epsilon));
            *a = keep * *a + (1.0 - keep) * *w;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..count)
            .map(|_| 2.0 * rng.random::<f32>() - 1.0)
            .collect()
    }

    /// Ten steps of algorithm 1 of Kingma & Ba in f64.
    #[test]
    fn adam_is_that_of_the_paper() {
        let mut rng = ChaCha8Rng::seed_from_u64(10);
        for count in [1, 16, 100, 2 * CHUNK + 3] {
            let mut parameters = random(count, &mut rng);
            let mut adam = Adam::new(&parameters);
            let mut value: Vec<f64> = parameters.iter().map(|p| f64::from(*p)).collect();
            let mut average = value.clone();
            let (mut m, mut v) = (vec![0.0; count], vec![0.0; count]);
            for step in 1..=10 {
                let gradient = random(count, &mut rng);
                let size: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
                let size = size.sqrt();
                assert!((norm(&gradient) / size - 1.0).abs() < 1e-12);
                let update = Update {
                    rate: 1e-3,
                    scale: 1.0 / size,
                    keep: 0.7,
                };
                adam.step(&mut parameters, &gradient, update);
                for (i, g) in gradient.iter().enumerate() {
                    let g = f64::from(*g) * update.scale;
                    m[i] = 0.9 * m[i] + 0.1 * g;
                    v[i] = 0.999 * v[i] + 0.001 * g * g;
                    let first = m[i] / (1.0 - 0.9_f64.powi(step));
                    let second = v[i] / (1.0 - 0.999_f64.powi(step));
                    value[i] -= update.rate * first / (second.sqrt() + 1e-8);
                    average[i] = update.keep * average[i] + (1.0 - update.keep) * value[i];
                }
                for (got, expected) in [(&parameters[..], &value), (adam.average(), &average)] {
                    for (got, expected) in got.iter().zip(expected) {
                        let off = (f64::from(*got) - expected).abs();
                        assert!(off < 1e-5, "{got}, not {expected}");
                    }
                }
            }
            // What is kept aside is all there is: going on from it is the same to the bit.
            let moments = adam.moments().map(<[f32]>::to_vec);
            let copy = Adam::resumed(10, adam.average().to_vec(), moments).unwrap();
            let update = Update {
                rate: 1e-2,
                scale: 0.5,
                keep: 0.9,
            };
            let gradient = random(count, &mut rng);
            let [a, b] = [adam, copy].map(|mut adam| {
                let mut parameters = parameters.clone();
                adam.step(&mut parameters, &gradient, update);
                (parameters, adam.average().to_vec())
            });
            assert_eq!(a, b);
        }
    }
}

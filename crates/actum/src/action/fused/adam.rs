//! Adam on the lines of a network, with the average of its parameters: one pass over memory.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Network, Workspace,
    layout::Layout,
    product::{LANES, Line},
};
use crate::error::{Result, ensure};

/// How far one step of [`Adam`] goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// The learning rate.
    pub rate: f64,
    /// What the gradient is multiplied by first.
    pub scale: f64,
    /// The share of the average that is kept, in [0, 1].
    pub keep: f64,
}

/// The decay of the mean of gradients and of the mean of their squares.
pub const DECAY: [f32; 2] = [0.9, 0.999];
/// What is added to the root of the mean square.
pub const EPSILON: f32 = 1e-8;

/// The moments of Adam (Kingma & Ba, 2015, algorithm 1) for a [`Network`], and the exponential
/// average of its parameters.
#[derive(Debug, Clone)]
pub struct Adam {
    layout: Layout,
    steps: i32,
    first: Vec<Line>,
    second: Vec<Line>,
    average: Vec<Line>,
}

/// Lines that a thread moves at once.
const CHUNK: usize = 1024;

impl Adam {
    /// The start of a minimisation: no moments, and the average is the network itself.
    pub fn new(network: &Network) -> Self {
        let zeros = vec![[0.0; LANES]; network.layout.lines()];
        Self {
            layout: network.layout,
            steps: 0,
            first: zeros.clone(),
            second: zeros,
            average: network.parameters.clone(),
        }
    }

    /// The state after `steps` steps, as [`average`](Self::average) and [`moments`](Self::moments)
    /// gave it.
    ///
    /// # Errors
    /// Slices of other sizes than the network's; more steps than 2^31 - 1.
    pub fn resumed<P: AsRef<[f32]>>(
        network: &Network,
        steps: usize,
        average: &[P],
        [first, second]: [&[P]; 2],
    ) -> Result<Self> {
        let layout = network.layout;
        ensure!(
            i32::try_from(steps).is_ok(),
            Value,
            "expected less than 2^31 steps, got {steps}"
        );
        Ok(Self {
            layout,
            steps: steps as i32,
            first: layout.pack(first)?,
            second: layout.pack(second)?,
            average: layout.pack(average)?,
        })
    }

    /// The average of the parameters, in the order of [`Network::new`].
    pub fn average(&self) -> Vec<Vec<f32>> {
        self.layout.unpack(&self.average)
    }

    /// The means of gradients and of their squares, each in the order of [`Network::new`].
    pub fn moments(&self) -> [Vec<Vec<f32>>; 2] {
        [&self.first, &self.second].map(|lines| self.layout.unpack(lines))
    }

    /// Moves the parameters of `network` against the gradient that the last
    /// [`Workspace::step`] left in `workspace`.
    ///
    /// # Panics
    /// If that step, or these moments, were of a network of another size.
    pub fn step(&mut self, network: &mut Network, workspace: &Workspace, update: Update) {
        assert_eq!(self.layout, network.layout);
        assert_eq!(workspace.gradient.len(), self.layout.lines());
        self.steps += 1;
        let [decay, decay_squares] = DECAY.map(f64::from);
        let correction = (1.0 - decay_squares.powi(self.steps)).sqrt();
        let constants = Constants {
            scale: update.scale as f32,
            rate: (update.rate * correction / (1.0 - decay.powi(self.steps))) as f32,
            epsilon: (f64::from(EPSILON) * correction) as f32,
            keep: update.keep as f32,
        };
        let chunks = workspace.gradient.par_chunks(CHUNK);
        chunks
            .zip(network.parameters.par_chunks_mut(CHUNK))
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
        network.transpose();
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
    gradient: &'a [Line],
    value: &'a mut [Line],
    first: &'a mut [Line],
    second: &'a mut [Line],
    average: &'a mut [Line],
}

impl WithSimd for Move<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Constants {
            scale,
            rate,
            epsilon,
            keep,
        } = self.constants;
        let [decay, decay_squares] = DECAY;
        let lines = self.gradient.iter().zip(self.value).zip(self.first);
        for ((((g, w), m), v), a) in lines.zip(self.second).zip(self.average) {
            let g = g.map(|g| g * scale);
            *m = std::array::from_fn(|i| decay * m[i] + (1.0 - decay) * g[i]);
            *v = std::array::from_fn(|i| {
                decay_squares * v[i] + (1.0 - decay_squares) * (g[i] * g[i])
            });
            let root = v.map(|v| v.sqrt() + epsilon);
            *w = std::array::from_fn(|i| w[i] - rate * (m[i] / root[i]));
            *a = std::array::from_fn(|i| keep * a[i] + (1.0 - keep) * w[i]);
        }
    }
}

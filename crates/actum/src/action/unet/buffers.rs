//! The buffers of one image, and what the sweeps over them give.

use super::{
    Scalar,
    engine::{Network, dot},
    image::Image,
    norm::GroupStats,
    program::{Op, Program, waves},
    second_order::SecondOrder,
    sweeps::{At, start, sweep_back},
};
use crate::simd::{LANES, Line};

/// The derivatives of a number in every buffer.
#[derive(Debug, Clone)]
pub(super) struct Adjoints {
    pub numbers: Vec<Vec<f32>>,
    /// Whether something was added to a buffer in this sweep.
    pub begun: Vec<bool>,
}

impl Adjoints {
    pub fn of(program: &Program) -> Self {
        Self {
            numbers: zeros(program, false),
            begun: vec![false; program.buffers.len()],
        }
    }

    /// A buffer to write to, and whether to add to what is there.
    pub fn open(&mut self, buffer: usize) -> (&mut [f32], bool) {
        let add = std::mem::replace(&mut self.begun[buffer], true);
        (&mut self.numbers[buffer], add)
    }

    /// A buffer to add to.
    pub fn addend(&mut self, buffer: usize) -> &mut [f32] {
        let (numbers, add) = self.open(buffer);
        if !add {
            numbers.fill(0.0);
        }
        numbers
    }
}

/// A number for each of all buffers; the weights of attention, the largest of all where images are
/// not halved, have values alone.
pub(super) fn zeros(program: &Program, are_values: bool) -> Vec<Vec<f32>> {
    let mut all: Vec<Vec<f32>> = program.buffers.iter().map(|image| image.zeros()).collect();
    for op in &program.ops {
        if let Op::Attend { weights, .. } = op
            && !are_values
        {
            all[*weights] = vec![];
        }
    }
    all
}

#[derive(Debug)]
pub(super) struct Buffers {
    pub values: Vec<Vec<f32>>,
    pub tangents: Vec<Vec<f32>>,
    /// `ds/dy` of every buffer y.
    pub first: Adjoints,
    /// The derivatives of the tangent of s, where the gradient in the parameters begins.
    pub second: Adjoints,
    /// What every normalisation knows of its groups, at the place of its buffer.
    pub stats: Vec<Vec<GroupStats>>,
    pub room: [Vec<f32>; 2],
    /// What second derivatives take; made when they are first asked for.
    pub second_order: Option<Box<SecondOrder>>,
}

impl Buffers {
    pub fn of(program: &Program) -> Self {
        let lines = |image: &Image| image.channels.div_ceil(LANES);
        let stats = |image: &Image| vec![GroupStats::default(); lines(image)];
        let tangents = zeros(program, false);
        let most = tangents.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            tangents,
            first: Adjoints::of(program),
            second: Adjoints::of(program),
            stats: program.buffers.iter().map(stats).collect(),
            room: [vec![0.0; most], vec![0.0; most]],
            values: zeros(program, true),
            second_order: None,
        }
    }

    /// A time, and all channels that the network sees, one after the other.
    pub fn load(&mut self, program: &Program, t: f32, x: &[f32]) {
        let (features, image) = (program.features, program.image);
        program.buffers[image].fill(x, &mut self.values[image]);
        for (value, (frequency, phase)) in self.values[features].iter_mut().zip(waves()) {
            *value = (t * frequency + phase).sin();
        }
    }

    /// `s` for what is seen of the channels that move, after [`value`](Self::value).
    pub fn scalar(&self, program: &Program, seen: &[f32]) -> f32 {
        let h = last(program, &self.values, seen.len());
        let each = h.iter().zip(seen);
        match program.sizes.scalar {
            Scalar::Product => each.map(|(h, x)| h * x).sum(),
            Scalar::Distance => each.map(|(h, x)| -0.5 * (h - x) * (h - x)).sum(),
        }
    }

    /// `ds/dh` for what is seen of the channels that move.
    pub fn of_output(&self, program: &Program, seen: &[f32]) -> Vec<f32> {
        factor(program, seen, &last(program, &self.values, seen.len()))
    }

    /// The tangent of `ds/dh` for that of what is seen.
    pub fn tangent_of_output(&self, program: &Program, change: &[f32]) -> Vec<f32> {
        factor(
            program,
            change,
            &last(program, &self.tangents, change.len()),
        )
    }

    /// The derivative of s in what is seen of the channels that move, after [`vjp`](Self::vjp):
    /// from the network, and from the factor itself.
    pub fn gradient(&self, program: &Program, seen: &[f32]) -> Vec<f32> {
        let image = program.image;
        let mut out = factor(program, &last(program, &self.values, seen.len()), seen);
        program.buffers[image].add_to(&mut out, &self.first.numbers[image]);
        out
    }

    /// The tangents along `dt` and `change` of what is seen of the channels that move, after
    /// [`value`](Self::value); returns that of s.
    pub fn jvp(&mut self, net: &Network, [t, dt]: [f32; 2], seen: &[f32], change: &[f32]) -> f32 {
        let program = &net.program;
        let (features, image) = (program.features, program.image);
        program.buffers[image].fill(change, &mut self.tangents[image]);
        for (value, (frequency, phase)) in self.tangents[features].iter_mut().zip(waves()) {
            *value = (t * frequency + phase).cos() * frequency * dt;
        }
        self.tangents(net);
        let [h, dh] = [&self.values, &self.tangents].map(|at| last(program, at, seen.len()));
        dot(&dh, &factor(program, seen, &h)) + dot(&factor(program, &h, seen), change)
    }

    /// `ds/dy` in every buffer, given [`ds/dh`](Self::of_output).
    pub fn vjp(&mut self, net: &Network, of_output: &[f32]) {
        let Self {
            values,
            first,
            stats,
            room,
            ..
        } = self;
        start(&net.program, first, of_output);
        let at = At {
            net,
            values,
            stats,
            tangents: None,
        };
        sweep_back(at, first, room, None, true);
    }

    /// Adds to the gradient in the parameters that of the sum of `<seeds, h>` and, `with_tangents`,
    /// of the tangent of h times what s has at h, after the sweeps for both.
    pub fn backward_tangent(
        &mut self,
        net: &Network,
        seeds: &[f32],
        with_tangents: bool,
        gradient: &mut [Line],
    ) {
        self.second_sweep(net, seeds, with_tangents, Some(gradient), false);
    }

    /// The product of the second derivatives of s in what is seen of the channels that move with
    /// the direction along which the tangents are.
    pub fn hvp(&mut self, net: &Network, change: &[f32]) -> Vec<f32> {
        let program = &net.program;
        let seeds = self.tangent_of_output(program, change);
        self.second_sweep(net, &seeds, true, None, true);
        let tangent = last(program, &self.tangents, change.len());
        let mut out = factor(program, &tangent, change);
        let image = program.image;
        program.buffers[image].add_to(&mut out, &self.second.numbers[image]);
        out
    }

    fn second_sweep(
        &mut self,
        net: &Network,
        seeds: &[f32],
        with_tangents: bool,
        gradient: Option<&mut [Line]>,
        to_image: bool,
    ) {
        let Self {
            values,
            tangents,
            first,
            second,
            stats,
            room,
            ..
        } = self;
        start(&net.program, second, seeds);
        let at = At {
            net,
            values,
            stats,
            tangents: with_tangents.then_some([tangents.as_slice(), &first.numbers]),
        };
        sweep_back(at, second, room, gradient, to_image);
    }
}

/// h or a derivative of it, channel after channel.
pub(super) fn last(program: &Program, buffers: &[Vec<f32>], numbers: usize) -> Vec<f32> {
    let mut out = vec![0.0; numbers];
    program.buffers[program.last].add_to(&mut out, &buffers[program.last]);
    out
}

/// `factor - squares * other`, the derivative of s in the other.
pub(super) fn factor(program: &Program, factor: &[f32], other: &[f32]) -> Vec<f32> {
    let squares = program.sizes.scalar.squares();
    let each = factor.iter().zip(other);
    each.map(|(factor, other)| factor - squares * other)
        .collect()
}

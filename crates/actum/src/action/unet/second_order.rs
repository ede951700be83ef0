//! The gradient in the parameters of second derivatives of s, by Taylor series.
//!
//! Let x go along `x_0 + x_1 e + x_2 e^2`, with e small. The coefficient of `e^2` in s is
//! `grad s . x_2 + x_1' (grad^2 s) x_1 / 2`: with `x_1` a direction times `sqrt(2 kappa)`, and `x_2`
//! the direction of the first derivative, it is all that an interior term has. Its derivatives in
//! the coefficients of a buffer are, in reverse order, the coefficients of `ds/dy` along the same
//! curve. So the sweep back is the ordinary one in the arithmetic of truncated series, and the
//! coefficient of `e^2` in what it adds to the gradient is the gradient
//! (docs/mathematics.md, section 9).

use super::{
    attend::{self, Series as MatrixSeries},
    buffers::{Adjoints, Buffers, factor, last, zeros},
    engine::{Network, dot},
    linear::{jvp_of_linear, vjp_of_linear},
    moving::Moving,
    norm::series::{self, SeriesStats, SeriesVjp},
    product::Outer,
    program::{Op, Program, waves},
    sweeps::{matrix, norm, start},
};
use crate::{
    action::swish::swish,
    simd::{LANES, Line},
};

/// The coefficients of `e`, beside the values and the tangents, which are those of `e^0` and `e^2`.
#[derive(Debug, Clone)]
pub(super) struct SecondOrder {
    firsts: Vec<Vec<f32>>,
    adjoints: Adjoints,
    stats: Vec<Vec<SeriesStats>>,
}

/// What is differentiated at an image, all of it times the coefficient of the row.
pub(super) struct Term<'a> {
    pub t: f32,
    pub dt: f32,
    pub dx: &'a [f32],
    /// The weight of the second derivatives.
    pub kappa: f32,
    pub directions: &'a [Vec<f32>],
    /// The coefficient of s itself.
    pub weight: f32,
}

impl SecondOrder {
    fn of(program: &Program) -> Self {
        let lines = |channels: usize| channels.div_ceil(LANES);
        let stats = |channels| vec![SeriesStats::default(); lines(channels)];
        let channels = program.buffers.iter().map(|image| image.channels);
        Self {
            firsts: zeros(program, false),
            adjoints: Adjoints::of(program),
            stats: channels.map(stats).collect(),
        }
    }
}

impl Buffers {
    /// The derivatives of a term, and its gradient in the parameters added to `gradient`, after
    /// [`value`](Self::value) and [`vjp`](Self::vjp).
    pub fn second_order_step(
        &mut self,
        net: &Network,
        moving: Moving,
        term: &Term,
        gradient: &mut [Line],
    ) -> f32 {
        let program = &net.program;
        let mut second_order = self
            .second_order
            .take()
            .unwrap_or_else(|| Box::new(SecondOrder::of(program)));
        let root = (2.0 * term.kappa).sqrt();
        let still = vec![0.0; term.dx.len()];
        let mut total = 0.0;
        for (k, direction) in term.directions.iter().enumerate() {
            // First derivatives, and the values themselves, belong to the first of the curves.
            let (dt, dx, weight) = match k {
                0 => (term.dt, term.dx, term.weight),
                _ => (0.0, still.as_slice(), 0.0),
            };
            let direction: Vec<f32> = direction.iter().map(|e| root * e).collect();
            let seen = moving.series(&direction, dx);
            let [x0, x1, x2] = &seen;
            program.buffers[program.image].fill(x1, &mut second_order.firsts[program.image]);
            program.buffers[program.image].fill(x2, &mut self.tangents[program.image]);
            second_order.firsts[program.features].fill(0.0);
            let features = self.tangents[program.features].iter_mut();
            for (value, (frequency, phase)) in features.zip(waves()) {
                *value = (term.t * frequency + phase).cos() * frequency * dt;
            }
            second_order.forward(self, net);

            let of = |buffers: &[Vec<f32>]| last(program, buffers, x0.len());
            let (h0, h1, h2) = (
                of(&self.values),
                of(&second_order.firsts),
                of(&self.tangents),
            );
            let squares = program.sizes.scalar.squares();
            let own = 2.0 * (dot(&h0, &h2) + dot(x0, x2)) + dot(&h1, &h1) + dot(x1, x1);
            total += dot(&h0, x2) + dot(&h1, x1) + dot(&h2, x0) - 0.5 * squares * own;

            start(
                program,
                &mut second_order.adjoints,
                &factor(program, x1, &h1),
            );
            let seeds = factor(program, x2, &h2);
            let of_value = factor(program, x0, &h0);
            let seeds: Vec<f32> = seeds
                .iter()
                .zip(&of_value)
                .map(|(seed, value)| seed + weight * value)
                .collect();
            start(program, &mut self.second, &seeds);
            second_order.sweep_back(self, net, gradient);
        }
        self.second_order = Some(second_order);
        total
    }
}

impl SecondOrder {
    /// The coefficients of `e` and `e^2` in all buffers from those of the features and the image.
    fn forward(&mut self, buffers: &mut Buffers, net: &Network) {
        let program = &net.program;
        let Self { firsts, stats, .. } = self;
        let (values, tangents) = (&buffers.values, &mut buffers.tangents);
        for op in &program.ops {
            match *op {
                Op::Norm { x, y, .. } => {
                    let mut out = [&mut *firsts, tangents].map(|of| std::mem::take(&mut of[y]));
                    let [first, second] = &mut out;
                    norm(net, *op).series(
                        [&values[x], &firsts[x], &tangents[x]],
                        &mut stats[y],
                        [first, second],
                    );
                    [firsts[y], tangents[y]] = out;
                }
                Op::Swish { x, y } => {
                    for i in 0..values[x].len() {
                        let [_, slope, second, _] = swish(pulp::Scalar, values[x][i]);
                        let z1 = firsts[x][i];
                        firsts[y][i] = slope * z1;
                        tangents[y][i] = slope * tangents[x][i] + 0.5 * second * z1 * z1;
                    }
                }
                Op::Attend {
                    query,
                    key,
                    value,
                    weights,
                    y,
                } => {
                    let at = [query, key, value]
                        .map(|place| coefficients(program, [values, firsts, tangents], place));
                    let weights = matrix(program, values, weights);
                    let [_, first, second] = attend::series(&at, &weights);
                    first.write(&mut firsts[y]);
                    second.write(&mut tangents[y]);
                }
                Op::Product { .. } | Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                    jvp_of_linear(net, *op, firsts);
                    jvp_of_linear(net, *op, tangents);
                }
            }
        }
    }

    /// The sweep back from the last buffer.
    fn sweep_back(&mut self, buffers: &mut Buffers, net: &Network, gradient: &mut [Line]) {
        let program = &net.program;
        let Self {
            firsts,
            adjoints,
            stats,
        } = self;
        let Buffers {
            values,
            tangents,
            first,
            second,
            ..
        } = buffers;
        for op in program.ops.iter().rev() {
            let y = op.output();
            let g0 = &first.numbers[y];
            let g1 = std::mem::take(&mut adjoints.numbers[y]);
            let g2 = std::mem::take(&mut second.numbers[y]);
            match *op {
                Op::Norm { x, scale, bias, .. } => {
                    let (out1, add1) = adjoints.open(x);
                    let (out2, add2) = second.open(x);
                    let mut lines = [scale, bias].map(|p| vec![[0.0; LANES]; net.lines(p).len()]);
                    let [of_scale, of_bias] = &mut lines;
                    SeriesVjp {
                        norm: norm(net, *op),
                        x: [&values[x], &firsts[x], &tangents[x]],
                        stats: &stats[y],
                        adjoint: [g0, &g1, &g2],
                        out: [out1, out2],
                        add: [add1, add2],
                        of_scale,
                        of_bias,
                    }
                    .go();
                    for (place, lines) in [scale, bias].into_iter().zip(&lines) {
                        series::add_lines(net.part(gradient, place), lines);
                    }
                }
                Op::Swish { x, .. } => {
                    let (out1, out2) = (adjoints.addend(x), second.addend(x));
                    for i in 0..values[x].len() {
                        let [_, p0, p1, p2] = swish(pulp::Scalar, values[x][i]);
                        let (z1, z2) = (firsts[x][i], tangents[x][i]);
                        let (slope1, slope2) = (p1 * z1, p1 * z2 + 0.5 * p2 * z1 * z1);
                        out1[i] += p0 * g1[i] + slope1 * g0[i];
                        out2[i] += p0 * g2[i] + slope1 * g1[i] + slope2 * g0[i];
                    }
                }
                Op::Attend {
                    query,
                    key,
                    value,
                    weights,
                    ..
                } => {
                    let places = [query, key, value];
                    let at = places
                        .map(|place| coefficients(program, [values, firsts, tangents], place));
                    let weights = matrix(program, values, weights);
                    let image = program.buffers[y];
                    let adjoint = [g0, &g1, &g2]
                        .map(|numbers| attend::Matrix::of(numbers, image.pixels(), image.channels));
                    let found = attend::series_vjp(&at, &weights, &adjoint);
                    for (place, [_, of_first, of_second]) in places.into_iter().zip(found) {
                        of_first.write(adjoints.open(place).0);
                        of_second.write(second.open(place).0);
                    }
                }
                Op::Product {
                    x,
                    reach,
                    weight,
                    bias,
                    ..
                } => {
                    vjp_of_linear(net, *op, &g1, adjoints, None, false);
                    let of_bias = net.part(gradient, bias);
                    vjp_of_linear(net, *op, &g2, second, Some(of_bias), false);
                    let pairs = [(&values[x], &g2), (&firsts[x], &g1), (&tangents[x], g0)];
                    for (x_numbers, adjoint) in pairs {
                        Outer {
                            reach,
                            image: program.buffers[x],
                            x: x_numbers,
                            to: program.buffers[y],
                            adjoint,
                            sums: net.part(gradient, weight),
                            rounded: net.rooms(weight),
                        }
                        .go();
                    }
                }
                Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                    vjp_of_linear(net, *op, &g1, adjoints, None, false);
                    vjp_of_linear(net, *op, &g2, second, None, false);
                }
            }
            adjoints.numbers[y] = g1;
            second.numbers[y] = g2;
        }
    }
}

fn coefficients(program: &Program, buffers: [&[Vec<f32>]; 3], place: usize) -> MatrixSeries {
    buffers.map(|buffers| matrix(program, buffers, place))
}

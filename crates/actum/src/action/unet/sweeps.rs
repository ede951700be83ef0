//! The sweeps over the buffers of one image: values, tangents, and back.

use super::{
    attend::{self, Matrix, Three},
    buffers::{Adjoints, Buffers},
    engine::Network,
    linear::{add_to, jvp_of_linear, product, rearrange, vjp_of_linear},
    norm::{GroupStats, Norm, Vjp},
    product::Outer,
    program::{Op, Program},
};
use crate::simd::{LANES, Line};

impl Buffers {
    /// All buffers from the features of time and the image.
    pub fn value(&mut self, net: &Network) {
        let program = &net.program;
        for op in &program.ops {
            let buffers = &mut self.values;
            match *op {
                Op::Product {
                    x,
                    reach,
                    weight,
                    bias,
                    shift,
                    plus,
                    y,
                } => {
                    let mut row = net.lines(bias).to_vec();
                    if let Some(shift) = shift {
                        let row = row.as_flattened_mut().iter_mut();
                        row.zip(&buffers[shift]).for_each(|(sum, v)| *sum += v);
                    }
                    product(net, buffers, [x, weight, y], reach, Some(&row), plus);
                }
                Op::Norm { x, y, .. } => {
                    let mut out = std::mem::take(&mut buffers[y]);
                    norm(net, *op).value(&buffers[x], &mut self.stats[y], &mut out);
                    buffers[y] = out;
                }
                Op::Swish { x, y } => {
                    let mut out = std::mem::take(&mut buffers[y]);
                    for (out, z) in out.iter_mut().zip(&buffers[x]) {
                        *out = swish(*z)[0];
                    }
                    buffers[y] = out;
                }
                Op::Attend {
                    query,
                    key,
                    value,
                    weights,
                    y,
                } => {
                    let at = [query, key, value].map(|place| matrix(program, buffers, place));
                    let [w, seen] = attend::value(&at);
                    w.write(&mut buffers[weights]);
                    seen.write(&mut buffers[y]);
                }
                Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                    rearrange(program, *op, buffers);
                }
            }
        }
    }

    /// All tangents from those of the features and the image.
    pub fn tangents(&mut self, net: &Network) {
        let program = &net.program;
        for op in &program.ops {
            let (values, buffers) = (&self.values, &mut self.tangents);
            match *op {
                Op::Norm { x, y, .. } => {
                    let mut out = std::mem::take(&mut buffers[y]);
                    let stats = &mut self.stats[y];
                    norm(net, *op).jvp(&values[x], &buffers[x], stats, &mut out);
                    buffers[y] = out;
                }
                Op::Swish { x, y } => {
                    let mut out = std::mem::take(&mut buffers[y]);
                    for ((out, z), dz) in out.iter_mut().zip(&values[x]).zip(&buffers[x]) {
                        *out = swish(*z)[1] * dz;
                    }
                    buffers[y] = out;
                }
                Op::Attend {
                    query,
                    key,
                    value,
                    weights,
                    y,
                } => {
                    let places = [query, key, value];
                    let at = places.map(|place| matrix(program, values, place));
                    let tangents = places.map(|place| matrix(program, buffers, place));
                    let weights = matrix(program, values, weights);
                    attend::jvp(&at, &weights, &tangents).write(&mut buffers[y]);
                }
                Op::Product { .. } | Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                    jvp_of_linear(net, *op, buffers);
                }
            }
        }
    }
}

/// Begins a sweep with the adjoint of the last buffer.
pub(super) fn start(program: &Program, adjoints: &mut Adjoints, seeds: &[f32]) {
    adjoints.begun.fill(false);
    let (last, _) = adjoints.open(program.last);
    program.buffers[program.last].fill(seeds, last);
}

/// What a sweep back reads.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub net: &'a Network,
    pub values: &'a [Vec<f32>],
    pub stats: &'a [Vec<GroupStats>],
    /// The tangents, and their adjoints.
    pub tangents: Option<[&'a [Vec<f32>]; 2]>,
}

/// A sweep back from the last buffer.
pub(super) fn sweep_back(
    at: At,
    adjoints: &mut Adjoints,
    room: &mut [Vec<f32>; 2],
    mut gradient: Option<&mut [Line]>,
    to_image: bool,
) {
    let At { net, values, .. } = at;
    let program = &net.program;
    let image = |buffer: usize| program.buffers[buffer];
    for op in program.ops.iter().rev() {
        let y = op.output();
        let adjoint = std::mem::take(&mut adjoints.numbers[y]);
        match *op {
            Op::Product {
                x,
                reach,
                weight,
                bias,
                ..
            } => {
                let of_bias = gradient.as_deref_mut().map(|lines| net.part(lines, bias));
                vjp_of_linear(net, *op, &adjoint, adjoints, of_bias, to_image);
                if let Some(gradient) = &mut gradient {
                    let mut outer = |x_numbers: &[f32], adjoint: &[f32]| {
                        Outer {
                            reach,
                            image: image(x),
                            x: x_numbers,
                            to: image(y),
                            adjoint,
                            sums: net.part(gradient, weight),
                            rounded: net.rooms(weight),
                        }
                        .go();
                    };
                    outer(&values[x], &adjoint);
                    if let Some([tangents, first]) = at.tangents {
                        outer(&tangents[x], &first[y]);
                    }
                }
            }
            Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                vjp_of_linear(net, *op, &adjoint, adjoints, None, to_image);
            }
            Op::Norm { x, scale, bias, .. } => {
                let (out, add) = adjoints.open(x);
                let [a, b] = room;
                let mut lines = [scale, bias].map(|place| {
                    let lines = net.lines(place).len();
                    vec![[0.0; LANES]; lines]
                });
                let [of_scale, of_bias] = &mut lines;
                Vjp {
                    norm: norm(net, *op),
                    x: &values[x],
                    stats: &at.stats[y],
                    adjoint: &adjoint,
                    tangents: at
                        .tangents
                        .map(|[tangents, first]| [tangents[x].as_slice(), &first[y]]),
                    room: [a, b],
                    out,
                    add,
                    of_scale,
                    of_bias,
                }
                .go();
                if let Some(gradient) = &mut gradient {
                    for (place, lines) in [scale, bias].into_iter().zip(&lines) {
                        add_to(
                            net.part(gradient, place).as_flattened_mut(),
                            lines.as_flattened(),
                        );
                    }
                }
            }
            Op::Swish { x, .. } => {
                let out = adjoints.addend(x);
                for (i, out) in out.iter_mut().enumerate() {
                    let [_, slope, bend] = swish(values[x][i]);
                    *out += slope * adjoint[i];
                    if let Some([tangents, first]) = at.tangents {
                        *out += bend * tangents[x][i] * first[y][i];
                    }
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
                let of = |buffers: &[Vec<f32>]| -> Three {
                    places.map(|place| matrix(program, buffers, place))
                };
                let along = at
                    .tangents
                    .map(|[tangents, first]| (of(tangents), matrix(program, first, y)));
                let found = attend::vjp(
                    &of(values),
                    &matrix(program, values, weights),
                    &Matrix::of(&adjoint, image(y).pixels(), image(y).channels),
                    along.as_ref().map(|(tangents, first)| (tangents, first)),
                );
                for (place, found) in places.into_iter().zip(&found) {
                    found.write(adjoints.open(place).0);
                }
            }
        }
        adjoints.numbers[y] = adjoint;
    }
}

pub(super) fn norm(net: &Network, op: Op) -> Norm<'_> {
    let Op::Norm {
        x,
        scale,
        bias,
        activated,
        ..
    } = op
    else {
        unreachable!("a normalisation is asked for")
    };
    Norm {
        image: net.program.buffers[x],
        scale: net.lines(scale),
        bias: net.lines(bias),
        activated,
    }
}

/// Swish and its first two derivatives.
fn swish(z: f32) -> [f32; 3] {
    let [value, slope, bend, _] = crate::action::swish::swish(pulp::Scalar, z);
    [value, slope, bend]
}

pub(super) fn matrix(program: &Program, buffers: &[Vec<f32>], place: usize) -> Matrix {
    let image = program.buffers[place];
    Matrix::of(&buffers[place], image.pixels(), image.channels)
}

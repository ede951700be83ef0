//! The buffers of one image, and the sweeps over them.

use pulp::Arch;

use super::{
    Scalar,
    attend::{self, Matrix, Three},
    engine::{Network, dot},
    image::Image,
    norm::{GroupStats, Norm, Vjp},
    product::{Correlate, Outer},
    program::{Op, Program, waves},
    second_order::SecondOrder,
};
use crate::simd::{LANES, Line, line};

/// The derivatives of a number in every buffer.
#[derive(Debug, Clone)]
pub(super) struct Adjoints {
    pub numbers: Vec<Vec<f32>>,
    /// Whether something was added to a buffer in this sweep.
    begun: Vec<bool>,
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
    stats: Vec<Vec<GroupStats>>,
    room: [Vec<f32>; 2],
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
    fn tangents(&mut self, net: &Network) {
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

/// A convolution of a buffer, added to another one where `plus` names one.
pub(super) fn product(
    net: &Network,
    buffers: &mut [Vec<f32>],
    [x, weight, y]: [usize; 3],
    reach: usize,
    row: Option<&[Line]>,
    plus: Option<usize>,
) {
    let mut out = std::mem::take(&mut buffers[y]);
    if let Some(plus) = plus {
        out.copy_from_slice(&buffers[plus]);
    }
    Correlate {
        reach,
        image: net.program.buffers[x],
        x: &buffers[x],
        weights: net.lines(weight),
        row,
        to: net.program.buffers[y],
        y: &mut out,
        add: plus.is_some(),
    }
    .go();
    buffers[y] = out;
}

/// The tangent of an operation that is linear, but for a bias.
pub(super) fn jvp_of_linear(net: &Network, op: Op, buffers: &mut [Vec<f32>]) {
    let Op::Product {
        x,
        reach,
        weight,
        shift,
        plus,
        y,
        ..
    } = op
    else {
        return rearrange(&net.program, op, buffers);
    };
    let lines = net.program.buffers[y].channels.div_ceil(LANES);
    let row = shift.map(|shift| {
        let mut row = vec![[0.0; LANES]; lines];
        let numbers = row.as_flattened_mut().iter_mut();
        numbers.zip(&buffers[shift]).for_each(|(to, v)| *to = *v);
        row
    });
    product(net, buffers, [x, weight, y], reach, row.as_deref(), plus);
}

/// The adjoint of such an operation, added to the adjoints of what it reads, and to that of its
/// bias.
pub(super) fn vjp_of_linear(
    net: &Network,
    op: Op,
    adjoint: &[f32],
    adjoints: &mut Adjoints,
    of_bias: Option<&mut [Line]>,
    to_image: bool,
) {
    let program = &net.program;
    let image = |buffer: usize| program.buffers[buffer];
    match op {
        Op::Product {
            x,
            reach,
            weight,
            shift,
            plus,
            y,
            ..
        } => {
            if shift.is_some() || of_bias.is_some() {
                let sums = sums(image(y), adjoint);
                if let Some(shift) = shift {
                    let to = &mut adjoints.addend(shift)[..image(shift).channels];
                    add_to(to, sums.as_flattened());
                }
                if let Some(of_bias) = of_bias {
                    add_to(of_bias.as_flattened_mut(), sums.as_flattened());
                }
            }
            if let Some(plus) = plus {
                let (to, add) = adjoints.open(plus);
                if add {
                    add_to(to, adjoint);
                } else {
                    to.copy_from_slice(adjoint);
                }
            }
            if x != program.features && (x != program.image || to_image) {
                let (to, add) = adjoints.open(x);
                Correlate {
                    reach,
                    image: image(y),
                    x: adjoint,
                    weights: net.backward(weight),
                    row: None,
                    to: image(x),
                    y: to,
                    add,
                }
                .go();
            }
        }
        Op::Beside { parts, y } => {
            let mut first = 0;
            for part in parts {
                let channels = image(part).channels;
                let to = adjoints.addend(part);
                pairs(image(part), image(y), |at, from| {
                    add_to(&mut to[at..][..channels], &adjoint[from + first..]);
                });
                first += channels;
            }
        }
        Op::Halve { x, y } => {
            let to = adjoints.addend(x);
            squares(image(x), image(y), |large, small| {
                let to = to[large..][..image(x).channels].iter_mut();
                to.zip(&adjoint[small..])
                    .for_each(|(to, v)| *to += 0.25 * v);
            });
        }
        Op::Double { x, y } => {
            let to = adjoints.addend(x);
            squares(image(y), image(x), |large, small| {
                add_to(&mut to[small..][..image(x).channels], &adjoint[large..]);
            });
        }
        Op::Norm { .. } | Op::Swish { .. } | Op::Attend { .. } => {
            unreachable!("this operation is not linear")
        }
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

/// Begins a sweep with the adjoint of the last buffer.
pub(super) fn start(program: &Program, adjoints: &mut Adjoints, seeds: &[f32]) {
    adjoints.begun.fill(false);
    let (last, _) = adjoints.open(program.last);
    program.buffers[program.last].fill(seeds, last);
}

/// What a sweep back reads.
#[derive(Clone, Copy)]
struct At<'a> {
    net: &'a Network,
    values: &'a [Vec<f32>],
    stats: &'a [Vec<GroupStats>],
    /// The tangents, and their adjoints.
    tangents: Option<[&'a [Vec<f32>]; 2]>,
}

/// A sweep back from the last buffer.
fn sweep_back(
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

pub(super) fn add_to(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, v)| *to += v);
}

/// The value or the tangent of an operation that only moves numbers.
pub(super) fn rearrange(program: &Program, op: Op, buffers: &mut [Vec<f32>]) {
    let image = |buffer: usize| program.buffers[buffer];
    match op {
        Op::Beside { parts, y } => {
            let mut out = std::mem::take(&mut buffers[y]);
            let mut first = 0;
            for part in parts {
                let channels = image(part).channels;
                pairs(image(part), image(y), |from, to| {
                    out[to + first..][..channels]
                        .copy_from_slice(&buffers[part][from..][..channels]);
                });
                first += channels;
            }
            buffers[y] = out;
        }
        Op::Halve { x, y } => {
            let mut out = std::mem::take(&mut buffers[y]);
            let channels = image(x).channels;
            image(y).each(|at| out[at..][..channels].fill(0.0));
            squares(image(x), image(y), |large, small| {
                let to = out[small..][..channels].iter_mut();
                to.zip(&buffers[x][large..])
                    .for_each(|(to, v)| *to += 0.25 * v);
            });
            buffers[y] = out;
        }
        Op::Double { x, y } => {
            let mut out = std::mem::take(&mut buffers[y]);
            let channels = image(x).channels;
            squares(image(y), image(x), |large, small| {
                out[large..][..channels].copy_from_slice(&buffers[x][small..][..channels]);
            });
            buffers[y] = out;
        }
        _ => unreachable!("this operation computes"),
    }
}

/// The places of every pixel in two images of one size.
pub(super) fn pairs(a: Image, b: Image, mut f: impl FnMut(usize, usize)) {
    for row in 0..a.height {
        for column in 0..a.width {
            f(a.place(row, column), b.place(row, column));
        }
    }
}

/// The place of every pixel of a large image, and that of its pixel in one of half the size.
pub(super) fn squares(large: Image, small: Image, mut f: impl FnMut(usize, usize)) {
    for row in 0..large.height {
        for column in 0..large.width {
            f(large.place(row, column), small.place(row / 2, column / 2));
        }
    }
}

/// The sums over pixels, in lines.
pub(super) fn sums(image: Image, numbers: &[f32]) -> Vec<Line> {
    let mut sums = vec![[0.0; LANES]; image.channels.div_ceil(LANES)];
    Arch::new().dispatch(|| {
        for (panel, sum) in sums.iter_mut().enumerate() {
            image.each(|at| {
                let line = line(numbers, at + panel * LANES);
                for lane in 0..LANES {
                    sum[lane] += line[lane];
                }
            });
        }
    });
    sums
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

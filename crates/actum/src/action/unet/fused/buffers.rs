//! The buffers of one image, and the sweeps over them.

use pulp::Arch;

use super::{
    attend::{self, Matrix, Three},
    dot,
    image::Image,
    norm::{Level, Norm, Pull},
    product::{Correlate, Outer},
    program::{Op, Program},
};
use crate::action::{
    fused::product::{LANES, Line},
    unet::{Scalar, layers},
};

type Gradient<'a> = &'a mut [Vec<Line>];

/// The derivatives of a number in every buffer.
struct Adjoints {
    numbers: Vec<Vec<f32>>,
    /// Whether something was added to a buffer in this sweep.
    begun: Vec<bool>,
}

impl Adjoints {
    fn of(program: &Program) -> Self {
        Self {
            numbers: zeros(program, false),
            begun: vec![false; program.buffers.len()],
        }
    }

    /// A buffer to write to, and whether to add to what is there.
    fn open(&mut self, buffer: usize) -> (&mut [f32], bool) {
        let add = std::mem::replace(&mut self.begun[buffer], true);
        (&mut self.numbers[buffer], add)
    }

    /// A buffer to add to.
    fn addend(&mut self, buffer: usize) -> &mut [f32] {
        let (numbers, add) = self.open(buffer);
        if !add {
            numbers.fill(0.0);
        }
        numbers
    }
}

/// A number for each of all buffers; the weights of attention, the largest of all where images are
/// not halved, have values alone.
fn zeros(program: &Program, are_values: bool) -> Vec<Vec<f32>> {
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

pub(super) struct Buffers<'a> {
    program: &'a Program,
    values: Vec<Vec<f32>>,
    tangents: Vec<Vec<f32>>,
    /// `ds/dy` of every buffer y.
    first: Adjoints,
    /// The derivatives of the tangent of s, where the gradient in the parameters begins.
    second: Adjoints,
    /// What every normalisation knows of its groups, at the place of its buffer.
    levels: Vec<Vec<Level>>,
    room: [Vec<f32>; 2],
}

impl<'a> Buffers<'a> {
    pub fn of(program: &'a Program) -> Self {
        let lines = |image: &Image| image.channels.div_ceil(LANES);
        let levels = |image: &Image| vec![Level::default(); lines(image)];
        let tangents = zeros(program, false);
        let most = tangents.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            program,
            tangents,
            first: Adjoints::of(program),
            second: Adjoints::of(program),
            levels: program.buffers.iter().map(levels).collect(),
            room: [vec![0.0; most], vec![0.0; most]],
            values: zeros(program, true),
        }
    }

    /// A time, and all channels that the network sees, one after the other.
    pub fn load(&mut self, t: f32, x: &[f32]) {
        let (features, image) = (self.program.features, self.program.image);
        self.program.buffers[image].fill(x, &mut self.values[image]);
        for (value, (frequency, phase)) in self.values[features].iter_mut().zip(layers::waves()) {
            *value = (t * frequency + phase).sin();
        }
    }

    /// `s` for what is seen of the channels that move, after [`value`](Self::value).
    pub fn scalar(&self, seen: &[f32]) -> f32 {
        let h = self.last(&self.values, seen.len());
        let each = h.iter().zip(seen);
        match self.program.scalar {
            Scalar::Product => each.map(|(h, x)| h * x).sum(),
            Scalar::Distance => each.map(|(h, x)| -0.5 * (h - x) * (h - x)).sum(),
        }
    }

    /// `ds/dh` for what is seen of the channels that move.
    pub fn pulled(&self, seen: &[f32]) -> Vec<f32> {
        self.less(seen, &self.last(&self.values, seen.len()))
    }

    /// The tangent of `ds/dh` for that of what is seen.
    pub fn pulled_along(&self, change: &[f32]) -> Vec<f32> {
        self.less(change, &self.last(&self.tangents, change.len()))
    }

    /// `factor - squares * other`, the derivative of s in the other.
    fn less(&self, factor: &[f32], other: &[f32]) -> Vec<f32> {
        let squares = self.program.scalar.squares();
        let each = factor.iter().zip(other);
        each.map(|(factor, other)| factor - squares * other)
            .collect()
    }

    /// h or its tangent, channel after channel.
    fn last(&self, buffers: &[Vec<f32>], numbers: usize) -> Vec<f32> {
        let last = self.program.last;
        let mut out = vec![0.0; numbers];
        self.program.buffers[last].add_to(&mut out, &buffers[last]);
        out
    }

    /// The derivative of s in what is seen of the channels that move, after the sweep
    /// [back](Self::back) to the image: from the network, and from the factor itself.
    pub fn gradient(&self, seen: &[f32]) -> Vec<f32> {
        let image = self.program.image;
        let mut out = self.less(&self.last(&self.values, seen.len()), seen);
        self.program.buffers[image].add_to(&mut out, &self.first.numbers[image]);
        out
    }

    /// The tangents along `dt` and `change` of what is seen of the channels that move, after
    /// [`value`](Self::value); returns that of s.
    pub fn along(&mut self, t: f32, dt: f32, seen: &[f32], change: &[f32]) -> f32 {
        let (features, image) = (self.program.features, self.program.image);
        self.program.buffers[image].fill(change, &mut self.tangents[image]);
        for (value, (frequency, phase)) in self.tangents[features].iter_mut().zip(layers::waves()) {
            *value = (t * frequency + phase).cos() * frequency * dt;
        }
        self.tangents();
        let [h, dh] = [&self.values, &self.tangents].map(|at| self.last(at, seen.len()));
        dot(&dh, &self.less(seen, &h)) + dot(&self.less(&h, seen), change)
    }

    /// `ds/dy` in every buffer, given [`ds/dh`](Self::pulled).
    pub fn back(&mut self, pulled: &[f32]) {
        let Self {
            program,
            values,
            first,
            levels,
            room,
            ..
        } = self;
        start(program, first, pulled);
        let at = At {
            program,
            values,
            levels,
            along: None,
        };
        pull(at, first, room, None, true);
    }

    /// Adds to the gradient in the parameters that of the sum of `<seeds, h>` and, where `along`
    /// says so, of the tangent of h times what s has at h, after the sweeps for both.
    pub fn back_again(&mut self, seeds: &[f32], along: bool, gradient: Gradient) {
        self.second_sweep(seeds, along, Some(gradient), false);
    }

    /// The product of the second derivatives of s in what is seen of the channels that move with
    /// the direction along which the tangents are.
    pub fn turned(&mut self, change: &[f32]) -> Vec<f32> {
        let seeds = self.pulled_along(change);
        self.second_sweep(&seeds, true, None, true);
        let mut out = self.less(&self.last(&self.tangents, change.len()), change);
        let image = self.program.image;
        self.program.buffers[image].add_to(&mut out, &self.second.numbers[image]);
        out
    }

    fn second_sweep(
        &mut self,
        seeds: &[f32],
        along: bool,
        gradient: Option<Gradient>,
        to_image: bool,
    ) {
        let Self {
            program,
            values,
            tangents,
            first,
            second,
            levels,
            room,
        } = self;
        start(program, second, seeds);
        let at = At {
            program,
            values,
            levels,
            along: along.then_some([tangents.as_slice(), &first.numbers]),
        };
        pull(at, second, room, gradient, to_image);
    }

    /// All buffers from the features of time and the image.
    pub fn value(&mut self) {
        let program = self.program;
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
                    let mut row = program.parameters[bias].lines().to_vec();
                    if let Some(shift) = shift {
                        let row = row.as_flattened_mut().iter_mut();
                        row.zip(&buffers[shift]).for_each(|(sum, v)| *sum += v);
                    }
                    self.product([x, weight, y], reach, Some(&row), plus, false);
                }
                Op::Norm { x, y, .. } => {
                    let mut out = std::mem::take(&mut buffers[y]);
                    norm(program, *op).value(&buffers[x], &mut self.levels[y], &mut out);
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
                    copy(&w, &mut buffers[weights]);
                    copy(&seen, &mut buffers[y]);
                }
                Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                    rearrange(program, *op, buffers);
                }
            }
        }
    }

    /// All tangents from those of the features and the image.
    fn tangents(&mut self) {
        let program = self.program;
        for op in &program.ops {
            let (values, buffers) = (&self.values, &mut self.tangents);
            match *op {
                Op::Product {
                    x,
                    reach,
                    weight,
                    shift,
                    plus,
                    y,
                    ..
                } => {
                    let lines = program.buffers[y].channels.div_ceil(LANES);
                    let row = shift.map(|shift| {
                        let mut row = vec![[0.0; LANES]; lines];
                        let numbers = row.as_flattened_mut().iter_mut();
                        numbers.zip(&buffers[shift]).for_each(|(to, v)| *to = *v);
                        row
                    });
                    self.product([x, weight, y], reach, row.as_deref(), plus, true);
                }
                Op::Norm { x, y, .. } => {
                    let mut out = std::mem::take(&mut buffers[y]);
                    let levels = &mut self.levels[y];
                    norm(program, *op).along(&values[x], &buffers[x], levels, &mut out);
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
                    copy(&attend::along(&at, &weights, &tangents), &mut buffers[y]);
                }
                Op::Beside { .. } | Op::Halve { .. } | Op::Double { .. } => {
                    rearrange(program, *op, buffers);
                }
            }
        }
    }

    fn product(
        &mut self,
        [x, weight, y]: [usize; 3],
        reach: usize,
        row: Option<&[Line]>,
        plus: Option<usize>,
        tangents: bool,
    ) {
        let buffers = if tangents {
            &mut self.tangents
        } else {
            &mut self.values
        };
        let mut out = std::mem::take(&mut buffers[y]);
        if let Some(plus) = plus {
            out.copy_from_slice(&buffers[plus]);
        }
        Correlate {
            reach,
            image: self.program.buffers[x],
            x: &buffers[x],
            weights: self.program.parameters[weight].lines(),
            row,
            to: self.program.buffers[y],
            y: &mut out,
            add: plus.is_some(),
        }
        .run();
        buffers[y] = out;
    }
}

/// Begins a sweep with what is pulled of the last buffer.
fn start(program: &Program, adjoints: &mut Adjoints, seeds: &[f32]) {
    adjoints.begun.fill(false);
    let (last, _) = adjoints.open(program.last);
    program.buffers[program.last].fill(seeds, last);
}

/// What a sweep back reads.
#[derive(Clone, Copy)]
struct At<'a> {
    program: &'a Program,
    values: &'a [Vec<f32>],
    levels: &'a [Vec<Level>],
    /// The tangents, and what is pulled of them.
    along: Option<[&'a [Vec<f32>]; 2]>,
}

/// A sweep back from the last buffer.
fn pull(
    at: At,
    adjoints: &mut Adjoints,
    room: &mut [Vec<f32>; 2],
    mut gradient: Option<Gradient>,
    to_image: bool,
) {
    let At {
        program, values, ..
    } = at;
    let image = |buffer: usize| program.buffers[buffer];
    for op in program.ops.iter().rev() {
        let y = op.output();
        let pulled = std::mem::take(&mut adjoints.numbers[y]);
        match *op {
            Op::Product {
                x,
                reach,
                weight,
                bias,
                shift,
                plus,
                ..
            } => {
                if shift.is_some() || gradient.is_some() {
                    let sums = sums(image(y), &pulled);
                    if let Some(shift) = shift {
                        let to = &mut adjoints.addend(shift)[..image(shift).channels];
                        add_to(to, sums.as_flattened());
                    }
                    if let Some(gradient) = &mut gradient {
                        add_to(gradient[bias].as_flattened_mut(), sums.as_flattened());
                    }
                }
                if let Some(plus) = plus {
                    let (to, add) = adjoints.open(plus);
                    if add {
                        add_to(to, &pulled);
                    } else {
                        to.copy_from_slice(&pulled);
                    }
                }
                if x != program.features && (x != program.image || to_image) {
                    let (to, add) = adjoints.open(x);
                    Correlate {
                        reach,
                        image: image(y),
                        x: &pulled,
                        weights: program.parameters[weight].backward(),
                        row: None,
                        to: image(x),
                        y: to,
                        add,
                    }
                    .run();
                }
                if let Some(gradient) = &mut gradient {
                    let mut outer = |x_numbers: &[f32], pulled: &[f32]| {
                        Outer {
                            reach,
                            image: image(x),
                            x: x_numbers,
                            to: image(y),
                            pulled,
                            sums: &mut gradient[weight],
                        }
                        .run();
                    };
                    outer(&values[x], &pulled);
                    if let Some([tangents, first]) = at.along {
                        outer(&tangents[x], &first[y]);
                    }
                }
            }
            Op::Norm { x, scale, bias, .. } => {
                let (out, add) = adjoints.open(x);
                let [a, b] = room;
                let mut lines = [scale, bias].map(|place| {
                    let lines = program.parameters[place].lines().len();
                    vec![[0.0; LANES]; lines]
                });
                let [of_scale, of_bias] = &mut lines;
                Pull {
                    norm: norm(program, *op),
                    x: &values[x],
                    levels: &at.levels[y],
                    pulled: &pulled,
                    along: at
                        .along
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
                        add_to(gradient[place].as_flattened_mut(), lines.as_flattened());
                    }
                }
            }
            Op::Swish { x, .. } => {
                let out = adjoints.addend(x);
                for (i, out) in out.iter_mut().enumerate() {
                    let [_, slope, bend] = swish(values[x][i]);
                    *out += slope * pulled[i];
                    if let Some([tangents, first]) = at.along {
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
                    .along
                    .map(|[tangents, first]| (of(tangents), matrix(program, first, y)));
                let found = attend::pull(
                    &of(values),
                    &matrix(program, values, weights),
                    &Matrix::of(&pulled, image(y).pixels(), image(y).channels),
                    along.as_ref().map(|(tangents, first)| (tangents, first)),
                );
                for (place, found) in places.into_iter().zip(&found) {
                    copy(found, adjoints.open(place).0);
                }
            }
            Op::Beside { parts, .. } => {
                let mut first = 0;
                for part in parts {
                    let channels = image(part).channels;
                    let to = adjoints.addend(part);
                    pairs(image(part), image(y), |at, from| {
                        add_to(&mut to[at..][..channels], &pulled[from + first..]);
                    });
                    first += channels;
                }
            }
            Op::Halve { x, .. } => {
                let to = adjoints.addend(x);
                squares(image(x), image(y), |large, small| {
                    let to = to[large..][..image(x).channels].iter_mut();
                    to.zip(&pulled[small..]).for_each(|(to, v)| *to += 0.25 * v);
                });
            }
            Op::Double { x, .. } => {
                let to = adjoints.addend(x);
                squares(image(y), image(x), |large, small| {
                    add_to(&mut to[small..][..image(x).channels], &pulled[large..]);
                });
            }
        }
        adjoints.numbers[y] = pulled;
    }
}

fn add_to(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, v)| *to += v);
}

/// The value or the tangent of an operation that only moves numbers.
fn rearrange(program: &Program, op: Op, buffers: &mut [Vec<f32>]) {
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
fn pairs(a: Image, b: Image, mut f: impl FnMut(usize, usize)) {
    for row in 0..a.height {
        for column in 0..a.width {
            f(a.place(row, column), b.place(row, column));
        }
    }
}

/// The place of every pixel of a large image, and that of its pixel in one of half the size.
fn squares(large: Image, small: Image, mut f: impl FnMut(usize, usize)) {
    for row in 0..large.height {
        for column in 0..large.width {
            f(large.place(row, column), small.place(row / 2, column / 2));
        }
    }
}

/// The sums over pixels, in lines.
fn sums(image: Image, numbers: &[f32]) -> Vec<Line> {
    let mut sums = vec![[0.0; LANES]; image.channels.div_ceil(LANES)];
    Arch::new().dispatch(|| {
        for (panel, sum) in sums.iter_mut().enumerate() {
            image.each(|at| {
                let line = super::lanes::line(numbers, at + panel * LANES);
                for lane in 0..LANES {
                    sum[lane] += line[lane];
                }
            });
        }
    });
    sums
}

fn norm(program: &Program, op: Op) -> Norm<'_> {
    let Op::Norm {
        x,
        scale,
        bias,
        bends,
        ..
    } = op
    else {
        unreachable!("a normalisation is asked for")
    };
    Norm {
        image: program.buffers[x],
        scale: program.parameters[scale].lines(),
        bias: program.parameters[bias].lines(),
        bends,
    }
}

/// Swish and its first two derivatives.
fn swish(z: f32) -> [f32; 3] {
    let [value, slope, bend, _] = crate::action::fused::swish::swish(pulp::Scalar, z);
    [value, slope, bend]
}

fn matrix(program: &Program, buffers: &[Vec<f32>], place: usize) -> Matrix {
    let image = program.buffers[place];
    Matrix::of(&buffers[place], image.pixels(), image.channels)
}

fn copy(matrix: &Matrix, buffer: &mut [f32]) {
    let values = matrix.values();
    buffer[..values.len()].copy_from_slice(values);
}

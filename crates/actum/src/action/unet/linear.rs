//! The operations that are linear: their values, tangents and adjoints.

use pulp::Arch;

use super::{
    buffers::Adjoints,
    engine::Network,
    image::Image,
    product::Correlate,
    program::{Op, Program},
};
use crate::simd::{LANES, Line, line};

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
        weights: net.weights(weight),
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

//! The U-Net as a list of operations on the buffers of one image.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleVisitor, Param, ParamId},
    tensor::Tensor,
};

use super::{
    image::Image,
    product::{panels, rows, turned},
};
use crate::{
    action::{
        fused::product::{LANES, Line},
        unet::{
            Scalar, UNet,
            layers::{Block, Convolution, Dense, FREQUENCIES, Norm},
        },
    },
    tensor::numbers,
};

/// Writes one buffer from others; all places are those of buffers, but for parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// A convolution and its bias, with the same numbers added to every pixel and another image.
    Product {
        x: usize,
        reach: usize,
        /// The places of its two parameters.
        weight: usize,
        bias: usize,
        shift: Option<usize>,
        plus: Option<usize>,
        y: usize,
    },
    Norm {
        x: usize,
        scale: usize,
        bias: usize,
        bends: bool,
        y: usize,
    },
    Swish {
        x: usize,
        y: usize,
    },
    /// The channels of both.
    Beside {
        parts: [usize; 2],
        y: usize,
    },
    Halve {
        x: usize,
        y: usize,
    },
    Double {
        x: usize,
        y: usize,
    },
    /// `y = w value` with weights `w = softmax(query key' / sqrt c)`.
    Attend {
        query: usize,
        key: usize,
        value: usize,
        weights: usize,
        y: usize,
    },
}

impl Op {
    /// The buffer that it writes, beside the weights of attention.
    pub fn output(self) -> usize {
        match self {
            Self::Product { y, .. }
            | Self::Norm { y, .. }
            | Self::Swish { y, .. }
            | Self::Beside { y, .. }
            | Self::Halve { y, .. }
            | Self::Double { y, .. }
            | Self::Attend { y, .. } => y,
        }
    }
}

/// A parameter, laid out for products.
pub(super) enum Parameter {
    /// The panels of the weights of a product, and of its adjoint.
    Weight {
        outputs: usize,
        forward: Vec<Line>,
        backward: Vec<Line>,
    },
    /// A number for every channel, in lines.
    Row { channels: usize, lines: Vec<Line> },
}

impl Parameter {
    fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims();
        let outputs = shape[D - 1];
        let flat: Vec<f32> = numbers(tensor);
        if D == 1 {
            return Self::Row {
                channels: outputs,
                lines: panels(&flat, outputs),
            };
        }
        let inputs = shape[D - 2];
        Self::Weight {
            outputs,
            forward: panels(&flat, outputs),
            backward: panels(&turned(&flat, inputs, outputs), inputs),
        }
    }

    /// The lines of the row, or those of the product.
    pub fn lines(&self) -> &[Line] {
        match self {
            Self::Weight { forward, .. } => forward,
            Self::Row { lines, .. } => lines,
        }
    }

    pub fn backward(&self) -> &[Line] {
        match self {
            Self::Weight { backward, .. } => backward,
            Self::Row { .. } => unreachable!("a row has no adjoint"),
        }
    }

    /// What lies in memory like this parameter, flat.
    pub fn flat(&self, lines: &[Line]) -> Vec<f32> {
        match self {
            Self::Weight { outputs, .. } => rows(lines, *outputs),
            Self::Row { channels, .. } => lines.as_flattened()[..*channels].to_vec(),
        }
    }
}

pub(super) struct Program {
    /// In the order the network visits them.
    pub parameters: Vec<Parameter>,
    pub buffers: Vec<Image>,
    pub ops: Vec<Op>,
    /// The buffers that are there before the first operation: the features of time and all
    /// channels of the image.
    pub features: usize,
    pub image: usize,
    /// The buffer that the last operation writes.
    pub last: usize,
    pub scalar: Scalar,
}

impl Program {
    pub fn of(network: &UNet) -> Self {
        struct Collect(Vec<Parameter>, HashMap<ParamId, usize>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.insert(param.id, self.0.len());
                self.0.push(Parameter::of(param.val().without_autodiff()));
            }
        }
        let mut collect = Collect(vec![], HashMap::new());
        network.visit(&mut collect);
        let mut builder = Builder {
            places: collect.1,
            buffers: vec![],
            ops: vec![],
        };
        let [features, image, last] = builder.network(network);
        Self {
            parameters: collect.0,
            buffers: builder.buffers,
            ops: builder.ops,
            features,
            image,
            last,
            scalar: network.sizes.scalar,
        }
    }

    /// Zeros for the gradient in every parameter.
    pub fn gradient(&self) -> Vec<Vec<Line>> {
        let zeros = |parameter: &Parameter| vec![[0.0; LANES]; parameter.lines().len()];
        self.parameters.iter().map(zeros).collect()
    }
}

struct Builder {
    places: HashMap<ParamId, usize>,
    buffers: Vec<Image>,
    ops: Vec<Op>,
}

impl Builder {
    fn network(&mut self, network: &UNet) -> [usize; 3] {
        let sizes = network.sizes;
        let features = self.buffer(Image::rows(1, 2 * FREQUENCIES));
        let image = self.buffer(Image {
            height: sizes.height,
            width: sizes.width,
            channels: sizes.seen() + sizes.conditioning,
            border: 1,
        });
        let hidden = self.dense(features, &network.clock.first);
        let hidden = self.swish(hidden);
        let time = self.dense(hidden, &network.clock.second);
        let time = self.swish(time);
        let mut h = self.convolution(image, &network.first, [None; 2]);
        let mut skips = vec![];
        for (level, down) in network.down.chunks_exact(sizes.blocks).enumerate() {
            if level > 0 {
                h = self.halve(h);
            }
            for block in down {
                h = self.block(h, block, time);
                skips.push(h);
            }
        }
        h = self.block(h, &network.before, time);
        let attention = &network.attention;
        let pixels = self.norm(h, &attention.norm, false);
        let [query, key, value] =
            [&attention.query, &attention.key, &attention.value].map(|dense| {
                let rows = Image {
                    border: 0,
                    ..self.buffers[pixels]
                };
                self.dense_to(rows, pixels, dense, None)
            });
        let shape = self.buffers[query];
        let weights = self.buffer(Image {
            channels: shape.pixels(),
            ..shape
        });
        let y = self.buffer(shape);
        self.ops.push(Op::Attend {
            query,
            key,
            value,
            weights,
            y,
        });
        h = self.dense_to(self.buffers[h], y, &attention.out, Some(h));
        h = self.block(h, &network.after, time);
        for (level, up) in network.up.chunks_exact(sizes.blocks).enumerate() {
            if level > 0 {
                h = self.double(h);
            }
            for block in up {
                let skip = skips.pop().expect("a skip for every block");
                let both = self.beside([h, skip]);
                h = self.block(both, block, time);
            }
        }
        let h = self.norm(h, &network.norm, true);
        let last = self.convolution(h, &network.last, [None; 2]);
        [features, image, last]
    }

    fn block(&mut self, x: usize, block: &Block, time: usize) -> usize {
        let h = self.norm(x, &block.before, true);
        let time = self.dense(time, &block.time);
        let h = self.convolution(h, &block.first, [Some(time), None]);
        let h = self.norm(h, &block.between, true);
        let plus = match &block.shortcut {
            Some(shortcut) => self.dense(x, shortcut),
            None => x,
        };
        self.convolution(h, &block.second, [None, Some(plus)])
    }

    fn buffer(&mut self, image: Image) -> usize {
        self.buffers.push(image);
        self.buffers.len() - 1
    }

    fn convolution(
        &mut self,
        x: usize,
        convolution: &Convolution,
        [shift, plus]: [Option<usize>; 2],
    ) -> usize {
        let [weight, bias] =
            [convolution.weight.id, convolution.bias.id].map(|id| self.places[&id]);
        let y = self.buffer(Image {
            channels: convolution.weight.dims()[3],
            ..self.buffers[x]
        });
        self.ops.push(Op::Product {
            x,
            reach: 1,
            weight,
            bias,
            shift,
            plus,
            y,
        });
        y
    }

    fn dense(&mut self, x: usize, dense: &Dense) -> usize {
        self.dense_to(self.buffers[x], x, dense, None)
    }

    /// With a result of another border, added to another image.
    fn dense_to(&mut self, shape: Image, x: usize, dense: &Dense, plus: Option<usize>) -> usize {
        let [weight, bias] = [dense.weight.id, dense.bias.id].map(|id| self.places[&id]);
        let y = self.buffer(Image {
            channels: dense.weight.dims()[1],
            ..shape
        });
        self.ops.push(Op::Product {
            x,
            reach: 0,
            weight,
            bias,
            shift: None,
            plus,
            y,
        });
        y
    }

    fn norm(&mut self, x: usize, norm: &Norm, bends: bool) -> usize {
        let [scale, bias] = [norm.scale.id, norm.bias.id].map(|id| self.places[&id]);
        let y = self.buffer(self.buffers[x]);
        self.ops.push(Op::Norm {
            x,
            scale,
            bias,
            bends,
            y,
        });
        y
    }

    fn swish(&mut self, x: usize) -> usize {
        let y = self.buffer(self.buffers[x]);
        self.ops.push(Op::Swish { x, y });
        y
    }

    fn beside(&mut self, parts: [usize; 2]) -> usize {
        let [a, b] = parts.map(|part| self.buffers[part]);
        let y = self.buffer(Image {
            channels: a.channels + b.channels,
            ..a
        });
        self.ops.push(Op::Beside { parts, y });
        y
    }

    fn halve(&mut self, x: usize) -> usize {
        let image = self.buffers[x];
        let y = self.buffer(Image {
            height: image.height / 2,
            width: image.width / 2,
            ..image
        });
        self.ops.push(Op::Halve { x, y });
        y
    }

    fn double(&mut self, x: usize) -> usize {
        let image = self.buffers[x];
        let y = self.buffer(Image {
            height: 2 * image.height,
            width: 2 * image.width,
            ..image
        });
        self.ops.push(Op::Double { x, y });
        y
    }
}

//! The U-Net as a list of operations on the buffers of one image.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{FREQUENCIES, GROUP, Sizes, image::Image};
use crate::{error::Result, store::Array};

/// Writes one buffer from others; all places are those of buffers, but for parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
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
        activated: bool,
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

/// A parameter: weights `[.., inputs, outputs]`, those of a convolution `[3, 3, inputs, outputs]`,
/// or a number for every channel.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    start: Start,
}

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// Drawn from N(0, 1/inputs).
    Random,
    /// 0: the last layer of every residual block, so that the block starts as the identity.
    Zero,
    One,
}

impl Parameter {
    pub fn outputs(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    /// Those of weights.
    pub fn inputs(&self) -> usize {
        self.shape[self.shape.len() - 2]
    }

    /// The taps of a row of weights.
    pub fn taps(&self) -> usize {
        match self.shape[..] {
            [taps, _, _, _] => taps,
            _ => 1,
        }
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it is the weights of a product.
    pub fn is_weight(&self) -> bool {
        self.shape.len() > 1
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub sizes: Sizes,
    /// In the order in which they are drawn.
    pub parameters: Vec<Parameter>,
    pub buffers: Vec<Image>,
    pub ops: Vec<Op>,
    /// The buffers that are there before the first operation: the features of time and all
    /// channels of the image.
    pub features: usize,
    pub image: usize,
    /// The buffer that the last operation writes.
    pub last: usize,
}

/// The frequency and the phase of every feature of time: cos x = sin(x + pi/2). The frequencies go
/// from 1 to 32; faster waves would make `d_t s`, which the objective holds, larger than any motion
/// needs.
pub(crate) fn waves() -> impl Iterator<Item = (f32, f32)> {
    let last = (FREQUENCIES - 1) as f32;
    (0..2 * FREQUENCIES).map(move |k| {
        let frequency = 32f32.powf((k % FREQUENCIES) as f32 / last);
        let phase = if k < FREQUENCIES { 0.0 } else { 0.5 };
        (frequency, phase * std::f32::consts::PI)
    })
}

impl Program {
    /// The network of these sizes.
    ///
    /// # Errors
    /// A size of 0, but for conditioning channels; channels that are no multiple of 4; a height or
    /// width that cannot be halved as often as there are levels below the first; more than 4096
    /// pixels at the coarsest level.
    pub fn new(sizes: Sizes) -> Result<Self> {
        sizes.check()?;
        let mut builder = Builder {
            parameters: vec![],
            buffers: vec![],
            ops: vec![],
        };
        let [features, image, last] = builder.network(sizes);
        Ok(Self {
            sizes,
            parameters: builder.parameters,
            buffers: builder.buffers,
            ops: builder.ops,
            features,
            image,
            last,
        })
    }

    /// How the parameters start.
    pub fn start(&self, rng: &mut impl Rng) -> Vec<Array> {
        let draw = |parameter: &Parameter| {
            let count = parameter.count();
            let values = match parameter.start {
                Start::Zero => vec![0.0; count],
                Start::One => vec![1.0; count],
                Start::Random => {
                    let inputs = count / parameter.outputs();
                    let scale = (inputs as f32).sqrt().recip();
                    let normal = StandardNormal.sample_iter(&mut *rng).take(count);
                    normal.map(|z: f32| z * scale).collect()
                }
            };
            Array {
                name: parameter.name.clone(),
                shape: parameter.shape.clone(),
                values,
            }
        };
        self.parameters.iter().map(draw).collect()
    }
}

struct Builder {
    parameters: Vec<Parameter>,
    buffers: Vec<Image>,
    ops: Vec<Op>,
}

/// The places of two parameters: the weights of a product, or the scale of a normalisation, and a
/// bias.
#[derive(Clone, Copy)]
struct Layer {
    weight: usize,
    bias: usize,
    outputs: usize,
}

/// The parameters of a residual block.
struct Block {
    before: Layer,
    first: Layer,
    time: Layer,
    between: Layer,
    second: Layer,
    shortcut: Option<Layer>,
}

impl Builder {
    fn network(&mut self, sizes: Sizes) -> [usize; 3] {
        let Sizes {
            channels,
            levels,
            blocks,
            ..
        } = sizes;
        let width = |level: usize| if level == 0 { channels } else { 2 * channels };
        let features = self.buffer(Image::rows(1, 2 * FREQUENCIES));
        let image = self.buffer(Image {
            height: sizes.height,
            width: sizes.width,
            channels: sizes.seen() + sizes.conditioning,
            border: 1,
        });
        let time = self.buffer(Image::rows(1, 4 * channels));
        let first = self.weights(
            "first",
            &[3, 3, self.channels(image), channels],
            Start::Random,
        );
        let mut h = self.convolution(image, first, [None; 2]);
        let mut skips = vec![];
        for level in 0..levels {
            if level > 0 {
                h = self.halve(h);
            }
            for _ in 0..blocks {
                h = self.block(&format!("down.{}", skips.len()), h, width(level), time);
                skips.push(h);
            }
        }
        h = self.block("before", h, self.channels(h), time);
        h = self.attention(h);
        h = self.block("after", h, self.channels(h), time);
        let mut count = 0;
        for level in (0..levels).rev() {
            if level + 1 < levels {
                h = self.double(h);
            }
            for _ in 0..blocks {
                let skip = skips.pop().expect("a skip for every block");
                let both = self.beside([h, skip]);
                h = self.block(&format!("up.{count}"), both, width(level), time);
                count += 1;
            }
        }
        // Time is there before the image is looked at.
        let rest = std::mem::take(&mut self.ops);
        self.time(features, time);
        self.ops.extend(rest);

        let norm = self.scaling("norm", channels);
        let h = self.norm(h, norm, true);
        let last = self.weights("last", &[3, 3, channels, sizes.seen()], Start::Zero);
        let last = self.convolution(h, last, [None; 2]);
        [features, image, last]
    }

    /// Two dense layers over the features of time.
    fn time(&mut self, features: usize, time: usize) {
        let width = self.channels(time);
        let first = self.weights("clock.first", &[2 * FREQUENCIES, width], Start::Random);
        let second = self.weights("clock.second", &[width, width], Start::Random);
        let hidden = self.dense(features, first);
        let hidden = self.swish(hidden);
        let out = self.dense(hidden, second);
        self.ops.push(Op::Swish { x: out, y: time });
    }

    /// Normalisation, swish and convolution twice, with time in between, added to its input.
    fn block(&mut self, name: &str, x: usize, outputs: usize, time: usize) -> usize {
        let inputs = self.channels(x);
        let of = |layer: &str| format!("{name}.{layer}");
        let block = Block {
            before: self.scaling(&of("before"), inputs),
            first: self.weights(&of("first"), &[3, 3, inputs, outputs], Start::Random),
            time: self.weights(&of("time"), &[self.channels(time), outputs], Start::Random),
            between: self.scaling(&of("between"), outputs),
            second: self.weights(&of("second"), &[3, 3, outputs, outputs], Start::Zero),
            shortcut: (inputs != outputs)
                .then(|| self.weights(&of("shortcut"), &[inputs, outputs], Start::Random)),
        };
        let h = self.norm(x, block.before, true);
        let time = self.dense(time, block.time);
        let h = self.convolution(h, block.first, [Some(time), None]);
        let h = self.norm(h, block.between, true);
        let plus = match block.shortcut {
            Some(shortcut) => self.dense(x, shortcut),
            None => x,
        };
        self.convolution(h, block.second, [None, Some(plus)])
    }

    /// Self-attention of one head between all pixels, added to its input.
    fn attention(&mut self, x: usize) -> usize {
        let channels = self.channels(x);
        let norm = self.scaling("attention.norm", channels);
        let pixels = self.norm(x, norm, false);
        let rows = Image {
            border: 0,
            ..self.buffers[pixels]
        };
        let [query, key, value] = ["query", "key", "value"].map(|name| {
            let name = format!("attention.{name}");
            let layer = self.weights(&name, &[channels, channels], Start::Random);
            self.dense_to(rows, pixels, layer, None)
        });
        let weights = self.buffer(Image {
            channels: rows.pixels(),
            ..rows
        });
        let y = self.buffer(rows);
        self.ops.push(Op::Attend {
            query,
            key,
            value,
            weights,
            y,
        });
        let out = self.weights("attention.out", &[channels, channels], Start::Zero);
        self.dense_to(self.buffers[x], y, out, Some(x))
    }

    fn channels(&self, buffer: usize) -> usize {
        self.buffers[buffer].channels
    }

    fn parameter(&mut self, name: String, shape: Vec<usize>, start: Start) -> usize {
        self.parameters.push(Parameter { name, shape, start });
        self.parameters.len() - 1
    }

    /// The weights of a product, and a bias of 0.
    fn weights(&mut self, name: &str, shape: &[usize], start: Start) -> Layer {
        let outputs = shape[shape.len() - 1];
        Layer {
            weight: self.parameter(format!("{name}.weight"), shape.to_vec(), start),
            bias: self.parameter(format!("{name}.bias"), vec![outputs], Start::Zero),
            outputs,
        }
    }

    /// The scale and the bias of a normalisation.
    fn scaling(&mut self, name: &str, channels: usize) -> Layer {
        debug_assert!(channels.is_multiple_of(GROUP));
        Layer {
            weight: self.parameter(format!("{name}.scale"), vec![channels], Start::One),
            bias: self.parameter(format!("{name}.bias"), vec![channels], Start::Zero),
            outputs: channels,
        }
    }

    fn buffer(&mut self, image: Image) -> usize {
        self.buffers.push(image);
        self.buffers.len() - 1
    }

    fn convolution(&mut self, x: usize, layer: Layer, [shift, plus]: [Option<usize>; 2]) -> usize {
        let y = self.buffer(Image {
            channels: layer.outputs,
            ..self.buffers[x]
        });
        self.ops.push(Op::Product {
            x,
            reach: 1,
            weight: layer.weight,
            bias: layer.bias,
            shift,
            plus,
            y,
        });
        y
    }

    fn dense(&mut self, x: usize, layer: Layer) -> usize {
        self.dense_to(self.buffers[x], x, layer, None)
    }

    /// With a result of another border, added to another image.
    fn dense_to(&mut self, shape: Image, x: usize, layer: Layer, plus: Option<usize>) -> usize {
        let y = self.buffer(Image {
            channels: layer.outputs,
            ..shape
        });
        self.ops.push(Op::Product {
            x,
            reach: 0,
            weight: layer.weight,
            bias: layer.bias,
            shift: None,
            plus,
            y,
        });
        y
    }

    fn norm(&mut self, x: usize, layer: Layer, activated: bool) -> usize {
        let y = self.buffer(self.buffers[x]);
        self.ops.push(Op::Norm {
            x,
            scale: layer.weight,
            bias: layer.bias,
            activated,
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

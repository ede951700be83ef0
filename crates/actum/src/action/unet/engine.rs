//! The U-Net on the CPU, image by image: its value, gradient and derivatives along a direction,
//! and the gradient of the objective in the parameters, in six times the products of a value.
//!
//! The objective holds the derivative `c` of s along a direction that depends on grad s. One sweep
//! back from s gives grad s, and what it leaves in every buffer, `ds/dy`, is the adjoint of the
//! tangent of that buffer too, for tangents are linear. So after the tangents one more sweep back,
//! `dc/dy`, is all that the gradient in the parameters needs.
//!
//! The buffers of one image stay in a core's caches, whatever the batch. Sums over images are taken
//! in an order that does not depend on the number of threads.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::Rng;
use rayon::prelude::*;

use super::{
    Sizes,
    buffers::Buffers,
    moving::Moving,
    product::{Weights, panels, rows, turned},
    program::{Op, Parameter, Program},
    rounded::{Room, fits},
    second_order::Term,
};
use crate::{
    action::{
        Action, At, Choice, Choose, Engine, Interior, Precision, Rows, Saved, Terms, assert_rows,
        check_step, pool::Pool,
    },
    error::Result,
    simd::{LANES, Line, Pairs, bf16},
    store::{self, Array},
};

/// How many sums over images are kept apart, which bounds the threads that can help.
const SUMS: usize = 16;

/// A U-Net ([`UNet`](super::UNet)) on the CPU.
#[derive(Debug, Clone)]
pub struct UNetEngine {
    network: Network,
    /// That of the last step.
    gradient: Vec<Line>,
    /// The sums over a part of the images.
    parts: Pool<Vec<Line>>,
    buffers: Pool<Buffers>,
}

/// The operations, and the parameters in the order that products read them.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub program: Program,
    parameters: Vec<Line>,
    /// Where the lines of every parameter are.
    places: Vec<Range<usize>>,
    /// The weights of the adjoint of every product; nothing for other parameters.
    backward: Vec<Vec<Line>>,
    /// Those of both in bf16, for products that are.
    rounded: Vec<Option<[Pairs; 2]>>,
    rooms: Pool<Room>,
}

impl Network {
    /// The lines of a parameter: the panels of a product, or a number for every channel.
    pub fn lines(&self, parameter: usize) -> &[Line] {
        &self.parameters[self.places[parameter].clone()]
    }

    /// The weights of a product.
    pub fn weights(&self, parameter: usize) -> Weights<'_> {
        let rounded = self.rounded[parameter].as_ref();
        Weights {
            lines: self.lines(parameter),
            rounded: rounded.map(|[forward, _]| (&forward[..], &self.rooms)),
        }
    }

    /// Those of its adjoint.
    pub fn backward(&self, parameter: usize) -> Weights<'_> {
        let rounded = self.rounded[parameter].as_ref();
        Weights {
            lines: &self.backward[parameter],
            rounded: rounded.map(|[_, backward]| (&backward[..], &self.rooms)),
        }
    }

    /// The room for the gradient in the weights, if it is summed in bf16.
    pub fn rooms(&self, parameter: usize) -> Option<&Pool<Room>> {
        self.rounded[parameter].is_some().then_some(&self.rooms)
    }

    /// The lines of a parameter in what lies in memory like all of them.
    pub fn part<'a>(&self, lines: &'a mut [Line], parameter: usize) -> &'a mut [Line] {
        &mut lines[self.places[parameter].clone()]
    }

    /// Makes `backward` and `rounded` agree with the parameters.
    fn transpose(&mut self) {
        let (parameters, places) = (&self.parameters, &self.places);
        let all = self.program.parameters.par_iter().zip(places);
        all.zip(&mut self.backward)
            .zip(&mut self.rounded)
            .filter(|(((parameter, _), _), _)| parameter.is_weight())
            .for_each(|(((parameter, place), backward), rounded)| {
                let outputs = parameter.outputs();
                let inputs = parameter.inputs();
                let lines = &parameters[place.clone()];
                *backward = panels(&turned(&rows(lines, outputs), inputs, outputs), inputs);
                if let Some(pairs) = rounded {
                    let taps = parameter.taps();
                    let both = [(taps * inputs, lines), (taps * outputs, &backward[..])];
                    for ((span, lines), pairs) in both.into_iter().zip(pairs) {
                        pairs.resize(lines.len() / span * bf16::height(span), [0; LANES]);
                        bf16::right_of_side_by_side(span, lines, pairs);
                    }
                }
            });
    }

    /// Sets what fills up the last panel of every parameter to 0.
    fn clear_padding(&self, lines: &mut [Line]) {
        for (parameter, place) in self.program.parameters.iter().zip(&self.places) {
            let outputs = parameter.outputs();
            let rows = parameter.count() / outputs;
            let used = outputs % LANES;
            if used > 0 {
                let last = place.end - rows..place.end;
                lines[last]
                    .iter_mut()
                    .for_each(|line| line[used..].fill(0.0));
            }
        }
    }

    /// The arrays of lines that lie like the parameters.
    fn unpack(&self, lines: &[Line]) -> Vec<Array> {
        let array = |(parameter, place): (&Parameter, &Range<usize>)| Array {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            values: rows(&lines[place.clone()], parameter.outputs()),
        };
        let all = self.program.parameters.iter().zip(&self.places);
        all.map(array).collect()
    }

    fn pack(&self, arrays: &[Array]) -> Result<Vec<Line>> {
        let mut lines = Vec::with_capacity(self.parameters.len());
        for parameter in &self.program.parameters {
            let values = store::find(arrays, &parameter.name, &parameter.shape)?;
            lines.extend(panels(values, parameter.outputs()));
        }
        Ok(lines)
    }
}

impl UNetEngine {
    /// A network whose weights are drawn from N(0, 1/inputs); biases, the last layer and the last
    /// layer of every residual are 0: with the product the population starts at rest.
    ///
    /// # Errors
    /// A size of 0, but for conditioning channels; channels that are no multiple of 4; a height or
    /// width that cannot be halved as often as there are levels below the first; more than 4096
    /// pixels at the coarsest level.
    pub fn new(sizes: Sizes, rng: &mut impl Rng) -> Result<Self> {
        let mut engine = Self::blank(sizes)?;
        let network = &mut engine.network;
        network.parameters = network.pack(&network.program.start(rng))?;
        network.transpose();
        Ok(engine)
    }

    /// A network of zeros.
    pub(crate) fn blank(sizes: Sizes) -> Result<Self> {
        let program = Program::new(sizes)?;
        let mut end = 0;
        let places: Vec<Range<usize>> = program
            .parameters
            .iter()
            .map(|parameter| {
                let rows = parameter.count() / parameter.outputs();
                let start = end;
                end += parameter.outputs().div_ceil(LANES) * rows;
                start..end
            })
            .collect();
        Ok(Self {
            network: Network {
                parameters: vec![[0.0; LANES]; end],
                backward: vec![vec![]; places.len()],
                rounded: vec![None; places.len()],
                rooms: Pool::default(),
                places,
                program,
            },
            gradient: vec![],
            parts: Pool::default(),
            buffers: Pool::default(),
        })
    }

    /// The sizes it was made with.
    pub fn sizes(&self) -> Sizes {
        self.network.program.sizes
    }

    /// Every value at a time and an image; returns its part that moves.
    fn load<'x>(&self, buffers: &mut Buffers, t: f32, x: &'x [f32]) -> Moving<'x> {
        let sizes = self.sizes();
        let (numbers, still) = x.split_at(sizes.moved());
        let moving = if sizes.periodic {
            Moving::Circles(numbers)
        } else {
            Moving::Line(numbers)
        };
        let program = &self.network.program;
        buffers.load(program, t, &[moving.seen().as_ref(), still].concat());
        buffers.value(&self.network);
        moving
    }

    /// Lends buffers that no other thread has.
    fn with_buffers<R>(&self, f: impl FnOnce(&mut Buffers) -> R) -> R {
        self.buffers.lend(|| Buffers::of(&self.network.program), f)
    }

    /// What `f` writes in `columns` numbers for every row, given the values of its image.
    fn rows(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        columns: usize,
        f: impl Fn(&mut Buffers, usize, Moving, &mut [f64]) + Sync,
    ) -> Vec<f64> {
        assert_rows(self.dimension(), times, &points);
        let mut out = vec![0.0; times.len() * columns];
        let each = out.par_chunks_exact_mut(columns).enumerate();
        each.for_each(|(i, out)| {
            let x = narrow(points.row(i));
            self.with_buffers(|buffers| {
                let moving = self.load(buffers, times[i] as f32, &x);
                f(buffers, i, moving, out);
            });
        });
        out
    }

    /// The gradient of s in an image, after its values, for what is seen of it.
    fn gradient_at(&self, buffers: &mut Buffers, moving: Moving, seen: &[f32], out: &mut [f32]) {
        let program = &self.network.program;
        let of_output = buffers.of_output(program, seen);
        buffers.vjp(&self.network, &of_output);
        moving.vjp(&buffers.gradient(program, seen), out);
    }

    /// The tangents are those along the direction times the coefficient of the row: what they lead
    /// to is linear in them.
    fn interior(
        &self,
        buffers: &mut Buffers,
        interior: Interior<'_>,
        i: usize,
        choose: &Choose<'_>,
        part: &mut Part,
    ) {
        let (network, program) = (&self.network, &self.network.program);
        let moved = self.sizes().moved();
        let rows = interior.rows;
        let (t, x) = (rows.times[i] as f32, narrow(rows.points.row(i)));
        let (dt, coefficient) = (interior.dt as f32, rows.coefficients[i] as f32);
        let moving = self.load(buffers, t, &x);
        let seen = moving.seen();
        let value = f64::from(buffers.scalar(program, &seen));
        let mut gradient = vec![0.0; moved];
        self.gradient_at(buffers, moving, &seen, &mut gradient);
        let mut gradients = vec![0.0; x.len()];
        widen(&gradient, &mut gradients);
        let mut direction = vec![0.0; x.len()];
        let [mut weight, mut excess] = [[0.0]; 2];
        choose(
            i..i + 1,
            At {
                values: &[value],
                gradients: &gradients,
            },
            Choice {
                directions: &mut direction,
                values: &mut weight,
                excess: &mut excess,
            },
        );
        let weight = weight[0] as f32;
        let dx: Vec<f32> = direction[..moved]
            .iter()
            .map(|v| *v as f32 * coefficient)
            .collect();
        let kappa = interior.curvature.map_or(0.0, |c| c.weights[i] as f32) * coefficient;
        let tangent = if kappa > 0.0 {
            let probe = interior.curvature.and_then(|curvature| curvature.probes);
            let directions: Vec<Vec<f32>> = match probe {
                Some(probes) => vec![narrow(probes.row(i))[..moved].to_vec()],
                None => unit_vectors(moved),
            };
            let term = Term {
                t,
                dt: dt * coefficient,
                dx: &dx,
                kappa,
                directions: &directions,
                weight,
            };
            buffers.second_order_step(network, moving, &term, &mut part.gradient)
        } else {
            let change = moving.jvp(&dx);
            let tangent = buffers.jvp(network, [t, dt * coefficient], &seen, &change);
            let of_output = buffers.of_output(program, &seen);
            let seeds = buffers.tangent_of_output(program, &change);
            let seeds: Vec<f32> = seeds
                .iter()
                .zip(&of_output)
                .map(|(tangent, value)| tangent + weight * value)
                .collect();
            buffers.backward_tangent(network, &seeds, true, &mut part.gradient);
            tangent
        };
        let term = if coefficient == 0.0 {
            0.0
        } else {
            f64::from(tangent / coefficient - excess[0] as f32)
        };
        part.terms.interior.push(term);
        part.terms.values.push(value);
    }

    fn boundary(&self, buffers: &mut Buffers, rows: Rows<'_>, i: usize, part: &mut Part) {
        let (network, program) = (&self.network, &self.network.program);
        let x = narrow(rows.points.row(i));
        let coefficient = rows.coefficients[i] as f32;
        let seen = self.load(buffers, rows.times[i] as f32, &x).seen();
        let value = buffers.scalar(program, &seen);
        part.terms.boundary += f64::from(value) * f64::from(coefficient);
        let seeds = buffers.of_output(program, &seen);
        let seeds: Vec<f32> = seeds.iter().map(|seed| seed * coefficient).collect();
        buffers.backward_tangent(network, &seeds, false, &mut part.gradient);
    }
}

/// The gradient in a part of the images, and their terms.
struct Part {
    gradient: Vec<Line>,
    terms: Terms,
}

impl Action for UNetEngine {
    fn dimension(&self) -> usize {
        self.sizes().dimension()
    }

    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64> {
        let values = self.rows(times, points, 1, |buffers, _, moving, out| {
            out[0] = f64::from(buffers.scalar(&self.network.program, &moving.seen()));
        });
        Array1::from(values)
    }

    /// 0 where nothing moves.
    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        self.value_and_gradient(times, points).1
    }

    fn value_and_gradient(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
    ) -> (Array1<f64>, Array2<f64>) {
        let (d, moved) = (self.dimension(), self.sizes().moved());
        let both = self.rows(times, points, 1 + d, |buffers, _, moving, out| {
            let seen = moving.seen();
            out[0] = f64::from(buffers.scalar(&self.network.program, &seen));
            let mut gradient = vec![0.0; moved];
            self.gradient_at(buffers, moving, &seen, &mut gradient);
            widen(&gradient, &mut out[1..]);
        });
        let both = Array2::from_shape_vec((times.len(), 1 + d), both).expect("a row for each");
        let (values, gradients) = both.view().split_at(ndarray::Axis(1), 1);
        (values.column(0).to_owned(), gradients.to_owned())
    }

    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64> {
        assert_eq!(
            directions.dim(),
            points.dim(),
            "a direction for every point"
        );
        let (network, program) = (&self.network, &self.network.program);
        let moved = self.sizes().moved();
        let curvatures = self.rows(times, points, 1, |buffers, i, moving, out| {
            let seen = moving.seen();
            let direction = &narrow(directions.row(i))[..moved];
            let change = moving.jvp(direction);
            let of_output = buffers.of_output(program, &seen);
            buffers.vjp(network, &of_output);
            buffers.jvp(network, [times[i] as f32, 0.0], &seen, &change);
            let product = buffers.hvp(network, &change);
            let bent = moving.second_order(&buffers.gradient(program, &seen), direction);
            out[0] = f64::from(dot(&product, &change) + bent);
        });
        Array1::from(curvatures)
    }

    fn as_engine(&self) -> Option<&dyn Engine> {
        Some(self)
    }
}

impl Engine for UNetEngine {
    fn step(
        &mut self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        choose: &Choose<'_>,
    ) -> Result<Terms> {
        check_step(self.dimension(), &interior, boundary)?;
        let n = interior.rows.times.len();
        let tasks: Vec<(Option<usize>, usize)> = (0..n)
            .map(|i| (None, i))
            .chain(
                boundary
                    .iter()
                    .enumerate()
                    .flat_map(|(which, rows)| (0..rows.times.len()).map(move |i| (Some(which), i))),
            )
            .collect();
        let this = &*self;
        let lines = this.network.parameters.len();
        let parts: Vec<Part> = tasks
            .par_chunks(tasks.len().div_ceil(SUMS).max(1))
            .map(|tasks| {
                let gradient = this.parts.take(1, Vec::new).swap_remove(0);
                let mut part = Part {
                    gradient,
                    terms: Terms::default(),
                };
                part.gradient.clear();
                part.gradient.resize(lines, [0.0; LANES]);
                this.with_buffers(|buffers| {
                    for (which, i) in tasks {
                        match which {
                            None => this.interior(buffers, interior, *i, choose, &mut part),
                            Some(which) => this.boundary(buffers, boundary[*which], *i, &mut part),
                        }
                    }
                });
                part
            })
            .collect();
        let mut terms = Terms::default();
        self.gradient.clear();
        self.gradient.resize(lines, [0.0; LANES]);
        // Threads share the lines, not the parts: every sum keeps its order.
        let chunk = lines.div_ceil(4 * rayon::current_num_threads()).max(1);
        let sums = self.gradient.par_chunks_mut(chunk).enumerate();
        sums.for_each(|(k, sums)| {
            for part in &parts {
                for (sum, more) in sums.iter_mut().zip(&part.gradient[k * chunk..]) {
                    for lane in 0..LANES {
                        sum[lane] += more[lane];
                    }
                }
            }
        });
        // Sums over pixels read lines whose last lanes belong to the next pixel.
        self.network.clear_padding(&mut self.gradient);
        for part in parts {
            terms.interior.extend(part.terms.interior);
            terms.values.extend(part.terms.values);
            terms.boundary += part.terms.boundary;
            self.parts.give([part.gradient]);
        }
        Ok(terms)
    }

    fn parameter_gradient(&self) -> &[f32] {
        self.gradient.as_flattened()
    }

    fn parameters(&self) -> &[f32] {
        self.network.parameters.as_flattened()
    }

    fn update(&mut self, change: &mut (dyn FnMut(&mut [f32], &[f32]) + Send)) {
        rayon::scope(|_| {
            let gradient = self.gradient.as_flattened();
            change(self.network.parameters.as_flattened_mut(), gradient);
            self.network.transpose();
        });
    }

    fn multiply_in(&mut self, precision: Precision) -> Precision {
        let precision = precision.here();
        let Network {
            program, rounded, ..
        } = &mut self.network;
        rounded.fill(None);
        if precision == Precision::Bf16 {
            for op in &program.ops {
                if let Op::Product { x, y, weight, .. } = *op {
                    let images = [x, y].map(|buffer| program.buffers[buffer]);
                    rounded[weight] = fits(images).then(Default::default);
                }
            }
        }
        self.network.transpose();
        precision
    }

    fn unpack(&self, values: &[f32]) -> Vec<Array> {
        let (lines, rest) = values.as_chunks();
        assert!(lines.len() == self.network.parameters.len() && rest.is_empty());
        self.network.unpack(lines)
    }

    fn pack(&self, arrays: &[Array]) -> Result<Vec<f32>> {
        Ok(self.network.pack(arrays)?.as_flattened().to_vec())
    }

    fn saved(&self) -> Option<Saved> {
        Some(Saved::UNet { unet: self.sizes() })
    }
}

fn unit_vectors(dimension: usize) -> Vec<Vec<f32>> {
    let unit = |j| {
        (0..dimension)
            .map(|i| f32::from(u8::from(i == j)))
            .collect()
    };
    (0..dimension).map(unit).collect()
}

fn narrow(row: ArrayView1<f64>) -> Vec<f32> {
    row.iter().map(|v| *v as f32).collect()
}

fn widen(from: &[f32], to: &mut [f64]) {
    to.iter_mut()
        .zip(from)
        .for_each(|(to, from)| *to = f64::from(*from));
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

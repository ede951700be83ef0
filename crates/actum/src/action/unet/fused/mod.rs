//! The U-Net on the CPU without tensors, image by image: its value, gradient and derivatives along
//! a direction, and the gradient of the objective in the parameters, in six times the products of
//! a value.
//!
//! The objective holds the derivative `c` of s along a direction that depends on grad s. One sweep
//! back from s gives grad s, and what it leaves in every buffer, `ds/dy`, is the adjoint of the
//! tangent of that buffer too, for tangents are linear. So after the tangents one more sweep back,
//! `dc/dy`, is all that the gradient in the parameters needs.
//!
//! The buffers of one image stay in a core's caches, whatever the batch. Sums over images are taken
//! in an order that does not depend on the number of threads.

mod attend;
mod buffers;
mod image;
mod lanes;
mod moving;
mod norm;
mod product;
mod program;

use std::sync::Mutex;

use rayon::prelude::*;

use self::{buffers::Buffers, moving::Moving, program::Program};
use super::{Sizes, UNet};
use crate::action::fused::{At, Choice, Direction, Interior, Rows, Terms, product::Line};

/// How many sums over images are kept apart, which bounds the threads that can help.
const SUMS: usize = 16;

/// A U-Net laid out for the CPU.
pub(super) struct Network {
    program: Program,
    sizes: Sizes,
}

/// The gradient in a part of the images, and their terms.
struct Part {
    gradient: Vec<Vec<Line>>,
    terms: Terms,
}

impl Network {
    pub fn of(network: &UNet) -> Self {
        Self {
            program: Program::of(network),
            sizes: network.sizes,
        }
    }

    /// `s`, `[n]`, at times `[n]` and images `[n, d]`.
    pub fn value(&self, times: &[f32], points: &[f32]) -> Vec<f32> {
        self.rows(times, points, 1, |buffers, _, moving, out| {
            out[0] = buffers.scalar(&moving.seen());
        })
    }

    /// `grad s`, `[n, d]`, 0 where nothing moves.
    pub fn gradient(&self, times: &[f32], points: &[f32]) -> Vec<f32> {
        let (d, moved) = (self.dimension(), self.moved());
        self.rows(times, points, d, |buffers, _, moving, out| {
            let seen = moving.seen();
            let pulled = buffers.pulled(&seen);
            buffers.back(&pulled);
            moving.back(&buffers.gradient(&seen), &mut out[..moved]);
        })
    }

    /// The tangent of s, `[n]`, along `dt` `[n]` and `dx` `[n, d]`.
    pub fn push(&self, times: &[f32], points: &[f32], dt: &[f32], dx: &[f32]) -> Vec<f32> {
        let (d, moved) = (self.dimension(), self.moved());
        self.rows(times, points, 1, |buffers, i, moving, out| {
            let change = moving.along(&dx[i * d..][..moved]);
            out[0] = buffers.along(times[i], dt[i], &moving.seen(), &change);
        })
    }

    /// The second derivative of s, `[n]`, along `directions` `[n, d]`.
    pub fn curvature(&self, times: &[f32], points: &[f32], directions: &[f32]) -> Vec<f32> {
        let (d, moved) = (self.dimension(), self.moved());
        self.rows(times, points, 1, |buffers, i, moving, out| {
            let seen = moving.seen();
            let direction = &directions[i * d..][..moved];
            let change = moving.along(direction);
            let pulled = buffers.pulled(&seen);
            buffers.back(&pulled);
            buffers.along(times[i], 0.0, &seen, &change);
            let turned = buffers.turned(&change);
            let bent = moving.bend(&buffers.gradient(&seen), direction);
            out[0] = dot(&turned, &change) + bent;
        })
    }

    /// See [`Workspace::step`](crate::action::fused::Workspace::step); the gradient has a slice for
    /// every parameter, in the order the network visits them.
    pub fn step(
        &self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        direction: &Direction<'_>,
    ) -> (Terms, Vec<Vec<f32>>) {
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
        let spare = Mutex::new(vec![]);
        let parts: Vec<Part> = tasks
            .par_chunks(tasks.len().div_ceil(SUMS).max(1))
            .map(|tasks| {
                let mut part = Part {
                    gradient: self.program.gradient(),
                    terms: Terms {
                        interior: vec![],
                        values: vec![],
                        boundary: vec![],
                    },
                };
                self.with_buffers(&spare, |buffers| {
                    for (which, i) in tasks {
                        match which {
                            None => self.interior(buffers, interior, *i, direction, &mut part),
                            Some(which) => {
                                self.boundary(buffers, boundary[*which], *i, &mut part);
                            }
                        }
                    }
                });
                part
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut total = parts.next().expect("a batch has a row");
        for part in parts {
            for (sum, more) in total.gradient.iter_mut().zip(&part.gradient) {
                let sum = sum.as_flattened_mut().iter_mut();
                sum.zip(more.as_flattened())
                    .for_each(|(sum, more)| *sum += more);
            }
            total.terms.interior.extend(part.terms.interior);
            total.terms.values.extend(part.terms.values);
            total.terms.boundary.extend(part.terms.boundary);
        }
        let each = self.program.parameters.iter().zip(&total.gradient);
        let gradient = each
            .map(|(parameter, lines)| parameter.flat(lines))
            .collect();
        (total.terms, gradient)
    }

    /// The tangents are those along the direction times the coefficient of the row: what they lead
    /// to is linear in them.
    fn interior(
        &self,
        buffers: &mut Buffers,
        interior: Interior<'_>,
        i: usize,
        direction: &Direction<'_>,
        part: &mut Part,
    ) {
        let (d, moved) = (self.dimension(), self.moved());
        let rows = interior.rows;
        let (t, x) = (rows.times[i], &rows.points[i * d..(i + 1) * d]);
        let coefficient = rows.coefficients[i];
        let moving = self.load(buffers, t, x);
        let seen = moving.seen();
        let value = buffers.scalar(&seen);
        let mut gradient = vec![0.0; d];
        let pulled = buffers.pulled(&seen);
        buffers.back(&pulled);
        moving.back(&buffers.gradient(&seen), &mut gradient[..moved]);
        let mut dx = vec![0.0; d];
        let [mut weight, mut excess] = [[0.0]; 2];
        direction(
            i..i + 1,
            At {
                values: &[value],
                gradients: &gradient,
            },
            Choice {
                directions: &mut dx,
                values: &mut weight,
                excess: &mut excess,
            },
        );
        dx.truncate(moved);
        dx.iter_mut().for_each(|v| *v *= coefficient);
        let change = moving.along(&dx);
        let tangent = buffers.along(t, interior.dt * coefficient, &seen, &change);
        let turned = buffers.pulled_along(&change);
        let seeds = turned.iter().zip(&pulled);
        let seeds: Vec<f32> = seeds
            .map(|(turned, pulled)| turned + weight[0] * pulled)
            .collect();
        buffers.back_again(&seeds, true, &mut part.gradient);
        let term = if coefficient == 0.0 {
            0.0
        } else {
            tangent / coefficient - excess[0]
        };
        part.terms.interior.push(term);
        part.terms.values.push(value);
    }

    fn boundary(&self, buffers: &mut Buffers, rows: Rows<'_>, i: usize, part: &mut Part) {
        let d = self.dimension();
        let x = &rows.points[i * d..(i + 1) * d];
        let seen = self.load(buffers, rows.times[i], x).seen();
        part.terms.boundary.push(buffers.scalar(&seen));
        let pulled = buffers.pulled(&seen);
        let seeds: Vec<f32> = pulled.iter().map(|p| p * rows.coefficients[i]).collect();
        buffers.back_again(&seeds, false, &mut part.gradient);
    }

    /// Every value at a time and an image; returns its part that moves.
    fn load<'x>(&self, buffers: &mut Buffers, t: f32, x: &'x [f32]) -> Moving<'x> {
        let (numbers, still) = x.split_at(self.moved());
        let moving = if self.sizes.periodic {
            Moving::Circles(numbers)
        } else {
            Moving::Line(numbers)
        };
        buffers.load(t, &[moving.seen().as_ref(), still].concat());
        buffers.value();
        moving
    }

    fn dimension(&self) -> usize {
        (self.sizes.moved + self.sizes.conditioning) * self.sizes.pixels()
    }

    /// The columns that are moved.
    fn moved(&self) -> usize {
        self.sizes.moved * self.sizes.pixels()
    }

    /// What `f` writes in `columns` numbers for every row, given the values of its image.
    fn rows(
        &self,
        times: &[f32],
        points: &[f32],
        columns: usize,
        f: impl Fn(&mut Buffers, usize, Moving, &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let d = self.dimension();
        assert_eq!(
            points.len(),
            times.len() * d,
            "a row of {d} numbers for every time"
        );
        let spare = Mutex::new(vec![]);
        let mut out = vec![0.0; times.len() * columns];
        let each = out.par_chunks_exact_mut(columns).enumerate();
        each.for_each(|(i, out)| {
            let x = &points[i * d..(i + 1) * d];
            self.with_buffers(&spare, |buffers| {
                let moving = self.load(buffers, times[i], x);
                f(buffers, i, moving, out);
            });
        });
        out
    }

    /// Lends buffers that no other thread has.
    fn with_buffers<'a>(
        &'a self,
        spare: &Mutex<Vec<Buffers<'a>>>,
        f: impl FnOnce(&mut Buffers<'a>),
    ) {
        let kept = spare.lock().expect("no thread has panicked").pop();
        let mut buffers = kept.unwrap_or_else(|| Buffers::of(&self.program));
        f(&mut buffers);
        spare.lock().expect("no thread has panicked").push(buffers);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

//! Attention between the pixels of one image.

use super::{
    image::Image,
    product::{Correlate, Outer, panels, rows},
};
use crate::action::fused::product::LANES;

/// A matrix `[rows, columns]`, with room for a line behind it.
#[derive(Clone)]
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    numbers: Vec<f32>,
}

impl Matrix {
    pub fn of(numbers: &[f32], rows: usize, columns: usize) -> Self {
        let mut numbers = numbers[..rows * columns].to_vec();
        numbers.resize(rows * columns + LANES, 0.0);
        Self {
            rows,
            columns,
            numbers,
        }
    }

    fn shape(&self) -> Image {
        Image::rows(self.rows, self.columns)
    }

    pub fn values(&self) -> &[f32] {
        &self.numbers[..self.rows * self.columns]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.rows * self.columns]
    }

    fn turned(&self) -> Self {
        let mut turned = vec![0.0; self.numbers.len()];
        for (i, row) in self.values().chunks_exact(self.columns).enumerate() {
            for (j, value) in row.iter().enumerate() {
                turned[j * self.rows + i] = *value;
            }
        }
        Self {
            rows: self.columns,
            columns: self.rows,
            numbers: turned,
        }
    }

    /// `self b`.
    fn times(&self, b: &Self) -> Self {
        let to = Image::rows(self.rows, b.columns);
        let mut y = to.zeros();
        Correlate {
            reach: 0,
            image: self.shape(),
            x: &self.numbers,
            weights: &panels(b.values(), b.columns),
            row: None,
            to,
            y: &mut y,
            add: false,
        }
        .run();
        Self {
            rows: self.rows,
            columns: b.columns,
            numbers: y,
        }
    }

    /// `self' b`.
    fn turned_times(&self, b: &Self) -> Self {
        let mut sums = vec![[0.0; LANES]; b.columns.div_ceil(LANES) * self.columns];
        Outer {
            reach: 0,
            image: self.shape(),
            x: &self.numbers,
            to: b.shape(),
            pulled: &b.numbers,
            sums: &mut sums,
        }
        .run();
        Self::of(&rows(&sums, b.columns), self.columns, b.columns)
    }

    fn scaled(mut self, by: f32) -> Self {
        self.numbers.iter_mut().for_each(|v| *v *= by);
        self
    }

    fn plus(mut self, other: &Self) -> Self {
        let pairs = self.numbers.iter_mut().zip(&other.numbers);
        pairs.for_each(|(a, b)| *a += b);
        self
    }
}

/// `w (a - <w, a>)`, row by row: the derivative of a softmax w along a, and its own adjoint.
fn softmax_along(w: &Matrix, a: &Matrix) -> Matrix {
    let mut out = a.clone();
    let rows = out.numbers[..w.rows * w.columns].chunks_exact_mut(w.columns);
    for (out, w) in rows.zip(w.values().chunks_exact(w.columns)) {
        let mean: f32 = out.iter().zip(w).map(|(a, w)| a * w).sum();
        out.iter_mut()
            .zip(w)
            .for_each(|(a, w)| *a = w * (*a - mean));
    }
    out
}

/// Query, key and value, or something for each of them, `[pixels, c]`.
pub(super) type Three = [Matrix; 3];

fn scale(query: &Matrix) -> f32 {
    (query.columns as f32).sqrt().recip()
}

/// The weights `[pixels, pixels]`, and what is seen, `[pixels, c]`.
pub(super) fn value([query, key, value]: &Three) -> [Matrix; 2] {
    let mut weights = query.times(&key.turned()).scaled(scale(query));
    let columns = weights.columns;
    for row in weights.values_mut().chunks_exact_mut(columns) {
        let most = row.iter().fold(f32::NEG_INFINITY, |most, v| most.max(*v));
        row.iter_mut().for_each(|v| *v = (*v - most).exp());
        let sum = row.iter().sum::<f32>().recip();
        row.iter_mut().for_each(|v| *v *= sum);
    }
    let seen = weights.times(value);
    [weights, seen]
}

/// The tangents of the logits.
fn logits([query, key, _]: &Three, [d_query, d_key, _]: &Three) -> Matrix {
    let sum = d_query
        .times(&key.turned())
        .plus(&query.times(&d_key.turned()));
    sum.scaled(scale(query))
}

/// The tangent of what is seen.
pub(super) fn along(at: &Three, weights: &Matrix, tangents: &Three) -> Matrix {
    let change = softmax_along(weights, &logits(at, tangents));
    change.times(&at[2]).plus(&weights.times(&tangents[2]))
}

/// The adjoint of what is seen, and with it that of its tangent, given the tangents and what is
/// pulled of the tangent.
pub(super) fn pull(
    at: &Three,
    weights: &Matrix,
    pulled: &Matrix,
    along: Option<(&Three, &Matrix)>,
) -> Three {
    let [query, key, value] = at;
    let mut of_weights = pulled.times(&value.turned());
    let mut of_value = weights.turned_times(pulled);
    let mut more = None;
    if let Some((tangents, pulled)) = along {
        let tangents_of_logits = logits(at, tangents);
        let change = softmax_along(weights, &tangents_of_logits);
        of_value = of_value.plus(&change.turned_times(pulled));
        of_weights = of_weights.plus(&pulled.times(&tangents[2].turned()));
        // The tangent of the softmax is w (a - <w, a>): g is pulled of it.
        let g = pulled.times(&value.turned());
        let columns = weights.columns;
        let each = of_weights.values_mut().chunks_exact_mut(columns);
        let each = each.zip(weights.values().chunks_exact(columns));
        let each = each.zip(g.values().chunks_exact(columns));
        for (((out, w), g), a) in each.zip(tangents_of_logits.values().chunks_exact(columns)) {
            let mean = |v: &[f32]| v.iter().zip(w).map(|(v, w)| v * w).sum::<f32>();
            let (mean_a, mean_g) = (mean(a), mean(g));
            for ((out, g), a) in out.iter_mut().zip(g).zip(a) {
                *out += g * (a - mean_a) - mean_g * a;
            }
        }
        more = Some((tangents, softmax_along(weights, &g)));
    }
    let of_logits = softmax_along(weights, &of_weights);
    let mut of_query = of_logits.times(key);
    let mut of_key = of_logits.turned_times(query);
    if let Some((tangents, of_logits)) = more {
        of_query = of_query.plus(&of_logits.times(&tangents[1]));
        of_key = of_key.plus(&of_logits.turned_times(&tangents[0]));
    }
    let scale = scale(query);
    [of_query.scaled(scale), of_key.scaled(scale), of_value]
}

//! Attention between the pixels of one image.

use super::{
    image::Image,
    product::{Correlate, Outer, Weights, panels, rows},
};
use crate::simd::LANES;

/// A matrix `[rows, columns]`, with room for a line behind it.
#[derive(Debug, Clone)]
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

    /// Writes the values to the start of a buffer.
    pub fn write(&self, buffer: &mut [f32]) {
        let values = self.values();
        buffer[..values.len()].copy_from_slice(values);
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
            weights: Weights {
                lines: &panels(b.values(), b.columns),
                rounded: None,
            },
            row: None,
            to,
            y: &mut y,
            add: false,
        }
        .go();
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
            adjoint: &b.numbers,
            sums: &mut sums,
            rounded: None,
        }
        .go();
        Self::of(&rows(&sums, b.columns), self.columns, b.columns)
    }

    fn scaled(mut self, by: f32) -> Self {
        self.numbers.iter_mut().for_each(|v| *v *= by);
        self
    }

    fn plus_owned(self, other: Self) -> Self {
        self.plus(&other)
    }

    /// The products of elements.
    fn by_element(&self, other: &Self) -> Self {
        let mut out = self.clone();
        let pairs = out.numbers.iter_mut().zip(&other.numbers);
        pairs.for_each(|(a, b)| *a *= b);
        out
    }

    /// The scalar product of every row with that of the other, `[rows, 1]`.
    fn row_dots(&self, other: &Self) -> Self {
        let rows = self.values().chunks_exact(self.columns);
        let rows = rows.zip(other.values().chunks_exact(self.columns));
        let dots: Vec<f32> = rows
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
            .collect();
        Self::of(&dots, self.rows, 1)
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
pub(super) fn jvp(at: &Three, weights: &Matrix, tangents: &Three) -> Matrix {
    let change = softmax_along(weights, &logits(at, tangents));
    change.times(&at[2]).plus(&weights.times(&tangents[2]))
}

/// The adjoint of what is seen, and with it that of its tangent, given the tangents and the
/// adjoint of the tangent.
pub(super) fn vjp(
    at: &Three,
    weights: &Matrix,
    adjoint: &Matrix,
    along: Option<(&Three, &Matrix)>,
) -> Three {
    let [query, key, value] = at;
    let mut of_weights = adjoint.times(&value.turned());
    let mut of_value = weights.turned_times(adjoint);
    let mut more = None;
    if let Some((tangents, adjoint)) = along {
        let tangents_of_logits = logits(at, tangents);
        let change = softmax_along(weights, &tangents_of_logits);
        of_value = of_value.plus(&change.turned_times(adjoint));
        of_weights = of_weights.plus(&adjoint.times(&tangents[2].turned()));
        // The tangent of the softmax is w (a - <w, a>): g is the adjoint of it.
        let g = adjoint.times(&value.turned());
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

/// The first three coefficients of a power series.
pub(super) type Series = [Matrix; 3];

/// The coefficients of a product of two series.
fn product(a: &Series, b: &Series, f: impl Fn(&Matrix, &Matrix) -> Matrix) -> Series {
    std::array::from_fn(|k| {
        let terms = (0..=k).map(|i| f(&a[i], &b[k - i]));
        terms.reduce(Matrix::plus_owned).expect("a term for each")
    })
}

/// The weights along the series of query and key, from those at its start.
fn weights_along([query, key, _]: &[Series; 3], weights: &Matrix) -> Series {
    let factor = scale(&query[0]);
    let logits = product(query, key, |q, k| q.times(&k.turned()).scaled(factor));
    let columns = weights.columns;
    let [_, mut first, mut second] = logits;
    let rows = first.values_mut().chunks_exact_mut(columns);
    let rows = rows.zip(second.values_mut().chunks_exact_mut(columns));
    // With a the logarithm of w but for a constant, w' = w (a' - <w, a'>), coefficient by
    // coefficient.
    for ((a1, a2), w0) in rows.zip(weights.values().chunks_exact(columns)) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let mean = dot(w0, a1);
        let w1: Vec<f32> = w0.iter().zip(&*a1).map(|(w, a)| w * (a - mean)).collect();
        let next = dot(&w1, a1) + 2.0 * dot(w0, a2);
        for (i, w1) in w1.iter().enumerate() {
            a2[i] = 0.5 * (w1 * (a1[i] - mean) + w0[i] * (2.0 * a2[i] - next));
        }
        a1.copy_from_slice(&w1);
    }
    [weights.clone(), first, second]
}

/// What is seen along the series of query, key and value.
pub(super) fn series(at: &[Series; 3], weights: &Matrix) -> Series {
    product(&weights_along(at, weights), &at[2], Matrix::times)
}

/// The adjoint of what is seen, in the arithmetic of series.
pub(super) fn series_vjp(at: &[Series; 3], weights: &Matrix, adjoint: &Series) -> [Series; 3] {
    let [query, key, value] = at;
    let weights = weights_along(at, weights);
    let mut of_weights = product(adjoint, value, |g, v| g.times(&v.turned()));
    let of_value = product(&weights, adjoint, Matrix::turned_times);
    let means = product(&weights, &of_weights, Matrix::row_dots);
    for (of_weights, means) in of_weights.iter_mut().zip(&means) {
        let columns = of_weights.columns;
        let rows = of_weights.values_mut().chunks_exact_mut(columns);
        for (row, mean) in rows.zip(means.values()) {
            row.iter_mut().for_each(|g| *g -= mean);
        }
    }
    let of_logits = product(&weights, &of_weights, Matrix::by_element);
    let factor = scale(&query[0]);
    let of_query = product(&of_logits, key, Matrix::times).map(|m| m.scaled(factor));
    let of_key = product(&of_logits, query, Matrix::turned_times).map(|m| m.scaled(factor));
    [of_query, of_key, of_value]
}

//! The leading eigenvectors of a symmetric matrix that has no negative eigenvalues.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayViewMut2, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Matrices of at most so many rows are decomposed as a whole.
const SMALL: usize = 256;

/// How many more vectors are iterated than are wanted.
const MORE: usize = 20;

/// The residual of an eigenvector, as a share of the greatest eigenvalue.
const TOLERANCE: f64 = 1e-10;

/// A filter makes no direction greater than another by more than this, which rounding would mix.
const STRETCH: f64 = 1e8;

/// After so many filters the matrix is decomposed as a whole.
const MOST: usize = 300;

/// The `count` greatest eigenvalues, and their eigenvectors in columns, `[g, count]`. Of each vector
/// the entry that is greatest in size is positive.
///
/// Subspace iteration with Chebyshev filters (Zhou, Saad, Tiago and Chelikowsky 2006): a
/// decomposition of the whole matrix takes g^3, and this g^2.
pub fn leading(matrix: &Array2<f64>, count: usize) -> (Array1<f64>, Array2<f64>) {
    let g = matrix.nrows();
    let found = match g <= SMALL || 2 * (count + MORE) > g {
        true => None,
        false => iterated(matrix, count),
    };
    let (values, mut vectors) = found.unwrap_or_else(|| whole(matrix));
    let values = values.slice(s![..count]).to_owned();
    vectors = vectors.slice(s![.., ..count]).to_owned();
    for mut vector in vectors.columns_mut() {
        let greatest = vector
            .iter()
            .copied()
            .fold(0.0, |a: f64, x| match x.abs() > a.abs() {
                true => x,
                false => a,
            });
        if greatest < 0.0 {
            vector.mapv_inplace(|x| -x);
        }
    }
    (values, vectors)
}

/// All eigenvalues, the greatest first, and their vectors.
fn whole(matrix: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let g = matrix.nrows();
    let eigen = SymmetricEigen::new(DMatrix::from_fn(g, g, |i, j| matrix[[i, j]]));
    let mut order: Vec<usize> = (0..g).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let values = order.iter().map(|j| eigen.eigenvalues[*j]).collect();
    let vectors = Array2::from_shape_fn((g, g), |(i, j)| eigen.eigenvectors[(i, order[j])]);
    (values, vectors)
}

fn iterated(matrix: &Array2<f64>, count: usize) -> Option<(Array1<f64>, Array2<f64>)> {
    let (g, block) = (matrix.nrows(), count + MORE);
    // Any start does; the same one gives the same bits.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut vectors = Array2::from_shape_fn((g, block), |_| rng.random_range(-1.0..1.0));
    for _ in 0..MOST {
        orthonormalize(&mut vectors);
        let images = product(matrix, &vectors);
        let (values, turn) = whole(&vectors.t().dot(&images));
        vectors = vectors.dot(&turn);
        let images = images.dot(&turn);
        let (greatest, least) = (values[0], values[block - 1].max(0.0));
        let off = |j: usize| {
            let residual = &images.column(j) - &(&vectors.column(j) * values[j]);
            residual.dot(&residual).sqrt()
        };
        if (0..count).all(|j| off(j) <= TOLERANCE * greatest) {
            return Some((values, vectors));
        }
        vectors = match least > 1e-12 * greatest {
            true => filtered(matrix, vectors, images, greatest, least),
            // The matrix has no more directions than these.
            false => images,
        };
    }
    None
}

/// Chebyshev's polynomial of the matrix on vectors, which stays small between 0 and `least` and
/// grows beyond.
fn filtered(
    matrix: &Array2<f64>,
    vectors: Array2<f64>,
    images: Array2<f64>,
    greatest: f64,
    least: f64,
) -> Array2<f64> {
    let half = least / 2.0;
    let reach = ((greatest - half) / half).max(1.0).acosh().max(1e-3);
    let degree = ((2.0 * STRETCH).ln() / reach).clamp(1.0, 20.0) as usize;
    // T_k((A - half) / half), a product for each step after the first.
    let (mut before, mut now) = (vectors.clone(), (images - &vectors * half) / half);
    for _ in 1..degree {
        let mut next = (product(matrix, &now) - &now * half) * (2.0 / half);
        next -= &before;
        (before, now) = (now, next);
    }
    now
}

/// A product whose rows are computed in parallel, each in the same order whatever the threads.
fn product(matrix: &Array2<f64>, vectors: &Array2<f64>) -> Array2<f64> {
    const ROWS: usize = 64;
    let width = vectors.ncols();
    let mut all = vec![0.0; matrix.nrows() * width];
    all.par_chunks_mut(ROWS * width)
        .enumerate()
        .for_each(|(chunk, into)| {
            let count = into.len() / width;
            let rows = matrix.slice(s![chunk * ROWS..chunk * ROWS + count, ..]);
            let into = ArrayViewMut2::from_shape((count, width), into);
            into.expect("rows of this width").assign(&rows.dot(vectors));
        });
    Array2::from_shape_vec(vectors.dim(), all).expect("as many rows as the matrix has")
}

/// Gram and Schmidt, twice.
fn orthonormalize(vectors: &mut Array2<f64>) {
    // Columns as rows, which are contiguous.
    let mut rows = vectors.t().as_standard_layout().into_owned();
    for j in 0..rows.nrows() {
        for _ in 0..2 {
            let (before, mut from) = rows.view_mut().split_at(Axis(0), j);
            let mut row = from.row_mut(0);
            let size = row.dot(&row).sqrt();
            if size > 0.0 {
                row /= size;
            }
            let shares = before.dot(&row);
            row -= &shares.dot(&before);
        }
        let mut row = rows.row_mut(j);
        let size = row.dot(&row).sqrt();
        if size > 0.0 {
            row /= size;
        }
    }
    vectors.assign(&rows.t());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of these eigenvalues whose eigenvectors are those of a second difference:
    /// v_j(i) = sqrt(2 / (g + 1)) sin(pi (i + 1) (j + 1) / (g + 1)).
    fn of(values: &[f64]) -> (Array2<f64>, Array2<f64>) {
        let g = values.len();
        let n = (g + 1) as f64;
        let vectors = Array2::from_shape_fn((g, g), |(i, j)| {
            let angle = std::f64::consts::PI * ((i + 1) * (j + 1)) as f64 / n;
            (2.0 / n).sqrt() * angle.sin()
        });
        let scaled = &vectors * &Array1::from(values.to_vec());
        (scaled.dot(&vectors.t()), vectors)
    }

    fn check(values: &[f64], count: usize) {
        let (matrix, vectors) = of(values);
        let (found, leading) = leading(&matrix, count);
        for j in 0..count {
            assert!(
                (found[j] - values[j]).abs() < 1e-9 * values[0],
                "{j}: {}",
                found[j]
            );
            let along = leading.column(j).dot(&vectors.column(j)).abs();
            assert!((along - 1.0).abs() < 1e-9, "{j}: {along}");
            let greatest = leading.column(j).iter().copied().fold(0.0, f64::max);
            let least = leading.column(j).iter().copied().fold(0.0, f64::min);
            assert!(greatest >= -least - 1e-12);
        }
    }

    #[test]
    fn eigenvectors_of_a_second_difference() {
        // A few that stand out of a floor that is nearly flat, as of noise.
        let spectrum = |g: usize| -> Vec<f64> {
            (0..g)
                .map(|j| match j {
                    0..5 => 100.0 / (1 + j) as f64,
                    _ => 1.0 - 0.3 * (j as f64 / g as f64),
                })
                .collect()
        };
        check(&spectrum(40), 4);
        check(&spectrum(300), 5);
        // Within the floor neighbours are 1e-3 apart.
        check(&spectrum(300), 12);
    }

    #[test]
    fn fewer_directions_than_are_iterated() {
        let mut values = vec![0.0; 300];
        values[..3].copy_from_slice(&[3.0, 2.0, 1.0]);
        check(&values, 3);
    }
}

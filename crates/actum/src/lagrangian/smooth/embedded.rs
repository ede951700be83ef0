//! Velocities as they are seen in another embedding of the same points.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array1, Array2, Axis};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    error::{Result, ensure},
    neighbours::Neighbours,
};

/// How many neighbours a map is fitted to.
const NEAR: usize = 30;

/// The ridge, as a share of the mean squared distance of the neighbours.
const RIDGE: f64 = 0.1;

/// Among how many points neighbours are looked for at most.
const MOST: usize = 10_000;

/// The velocities `[n, d]` of points `[n, d]` in an embedding of them `[n, e]`, such as UMAP, which
/// is no function of the points: at every point the linear map from the coordinates to the embedding
/// that fits the differences to its 30 nearest neighbours best (ridge regression, the ridge a tenth
/// of their mean squared distance) is applied to its velocity. Distances count after dividing by
/// `scale` `[d]`. Of more than 10,000 points neighbours are looked for among so many at random.
///
/// # Errors
/// Tables of other points; fewer than two points; numbers that are not finite.
pub fn embedded_velocities(
    points: &Array2<f64>,
    velocities: &Array2<f64>,
    embedding: &Array2<f64>,
    scale: &Array1<f64>,
    seed: u64,
) -> Result<Array2<f64>> {
    let n = points.nrows();
    ensure!(
        velocities.dim() == points.dim()
            && embedding.nrows() == n
            && scale.len() == points.ncols()
            && n > 1,
        Shape,
        "expected points, velocities and an embedding of two points or more, got {:?}, {:?} and {:?}",
        points.dim(),
        velocities.dim(),
        embedding.dim()
    );
    let all = points.iter().chain(velocities).chain(embedding);
    ensure!(
        all.clone().all(|x| x.is_finite()),
        Value,
        "points, velocities and their embedding must be finite"
    );
    let (points, velocities) = (points / scale, velocities / scale);
    let chosen: Vec<usize> = match n > MOST {
        true => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut chosen = index::sample(&mut rng, n, MOST).into_vec();
            chosen.sort_unstable();
            chosen
        }
        false => (0..n).collect(),
    };
    let reference = Neighbours::new(points.select(Axis(0), &chosen));
    // A point may be its own neighbour, which says nothing.
    let near = reference.nearest(&points, NEAR + 1);
    let (d, e) = (points.ncols(), embedding.ncols());
    let rows: Vec<Vec<f64>> = (0..n)
        .into_par_iter()
        .map(|i| {
            let near: Vec<usize> = near[i]
                .iter()
                .map(|j| chosen[*j])
                .filter(|j| *j != i)
                .collect();
            let k = near.len();
            let apart = DMatrix::from_fn(k, d, |j, c| points[[near[j], c]] - points[[i, c]]);
            let seen = DMatrix::from_fn(k, e, |j, c| embedding[[near[j], c]] - embedding[[i, c]]);
            let velocity = DVector::from_fn(d, |c, _| velocities[[i, c]]);
            // The dual: as many unknowns as neighbours, however many columns there are.
            let mut kernel = &apart * apart.transpose();
            let ridge = RIDGE * kernel.trace() / k as f64;
            for j in 0..k {
                kernel[(j, j)] += ridge;
            }
            let weights = kernel.cholesky().map(|it| it.solve(&(&apart * velocity)));
            // Neighbours that are all at the point know no direction.
            match weights {
                Some(weights) => (seen.transpose() * weights).iter().copied().collect(),
                None => vec![0.0; e],
            }
        })
        .collect();
    let rows = Array2::from_shape_vec((n, e), rows.concat());
    Ok(rows.expect("a velocity for each point"))
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::RngExt;

    use super::*;

    fn cloud(n: usize) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        Array2::from_shape_fn((n, 3), |_| rng.random_range(-1.0..1.0))
    }

    #[test]
    fn a_linear_map_is_found_and_a_curved_one_has_its_derivative() {
        let points = cloud(2000);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let velocities = points.mapv(|_| rng.random_range(-1.0..1.0));
        let map = array![[1.0, 0.5], [-2.0, 0.0], [0.3, 1.0]];
        let found =
            embedded_velocities(&points, &velocities, &points.dot(&map), &Array1::ones(3), 0);
        let (found, exact) = (found.unwrap(), velocities.dot(&map));
        let share = |off: &Array2<f64>, of: &Array2<f64>| {
            (off.mapv(|x| x * x).sum() / of.mapv(|x| x * x).sum()).sqrt()
        };
        // The ridge takes a hundredth of a direction that has a third of the spread.
        assert!(share(&(&found - &exact), &exact) < 0.02);
        let bent = Array2::from_shape_fn((2000, 2), |(i, j)| match j {
            0 => points[[i, 0]].sin() * points[[i, 1]].exp(),
            _ => points[[i, 2]].powi(2),
        });
        let exact = Array2::from_shape_fn((2000, 2), |(i, j)| {
            let (x, v) = (points.row(i), velocities.row(i));
            match j {
                0 => x[1].exp() * (x[0].cos() * v[0] + x[0].sin() * v[1]),
                _ => 2.0 * x[2] * v[2],
            }
        });
        let found = embedded_velocities(&points, &velocities, &bent, &Array1::ones(3), 0).unwrap();
        assert!(share(&(&found - &exact), &exact) < 0.2);
        // Units of the columns do not matter where they are divided out.
        let scale = array![10.0, 1.0, 0.1];
        let other = embedded_velocities(
            &(&points * &scale),
            &(&velocities * &scale),
            &bent,
            &scale,
            0,
        );
        assert!(share(&(&other.unwrap() - &found), &found) < 1e-9);
    }

    #[test]
    fn what_fits_no_points_is_refused() {
        let (points, ones) = (cloud(5), Array1::ones(3));
        let of = |velocities: &Array2<f64>, embedding: &Array2<f64>| {
            embedded_velocities(&points, velocities, embedding, &ones, 0)
        };
        assert!(of(&cloud(4), &cloud(5)).is_err() && of(&cloud(5), &cloud(4)).is_err());
        let mut broken = cloud(5);
        broken[[1, 1]] = f64::NAN;
        assert!(of(&points, &broken).is_err());
        // All points in one place: nothing is known, and nothing breaks.
        let same = Array2::ones((5, 3));
        let found = embedded_velocities(&same, &points, &points, &ones, 0).unwrap();
        assert!(found.iter().all(|x| *x == 0.0));
    }
}

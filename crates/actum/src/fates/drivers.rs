//! The genes that go with a fate, and that move on the way to it.

use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Fates, Z};
use crate::{
    data::{Genes, Snapshots},
    dynamics::Dynamics,
    error::{Result, ensure},
    genes::Decoder,
};

/// How the expression of a gene goes with the probability of a fate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Association {
    /// Pearson's correlation over cells.
    pub correlation: f64,
    /// Its 95 % interval, by Fisher's transformation.
    pub interval: [f64; 2],
    /// The chance of one as far from 0 without an association, by Fisher's transformation.
    pub p: f64,
    /// The rate of false discoveries among the genes of the fate with a p as small (Benjamini and
    /// Hochberg 1995).
    pub q: f64,
}

/// A gene on the way to a fate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Driver {
    /// The gene.
    pub gene: String,
    /// None where the gene or the probability has one value in all cells.
    pub association: Option<Association>,
    /// The mean velocity of the gene, in expression per unit of time, of cells that go there,
    /// averaged over time, and its 95 % interval from resampled cells. None where the coordinates do
    /// not lead back to the gene.
    pub rate: Option<[f64; 3]>,
}

/// The first `count` genes of every fate that go with it at all, each once.
pub fn strongest(drivers: &[Vec<Driver>], count: usize) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for driver in drivers.iter().flat_map(|all| all.iter().take(count)) {
        if driver.association.is_some() && !names.contains(&driver.gene) {
            names.push(driver.gene.clone());
        }
    }
    names
}

/// How every gene of a file, `[g]`, goes with every fate, `[l]`: as `compute_lineage_drivers` of
/// CellRank computes it for the same probabilities, `[cells, l]` in the order of the file.
///
/// # Errors
/// Probabilities of other cells, of fewer than four; a file that cannot be read.
pub fn associations(
    genes: &Genes,
    probabilities: &Array2<f64>,
) -> Result<Vec<Vec<Option<Association>>>> {
    let (n, l) = probabilities.dim();
    ensure!(
        n == genes.cells(),
        Shape,
        "expected probabilities of each of {} cells, got them of {n}",
        genes.cells()
    );
    ensure!(
        n > 3,
        Value,
        "an interval of a correlation needs four cells, got {n}"
    );
    let g = genes.names().len();
    let mut sums = Array1::<f64>::zeros(g);
    let mut squares = Array1::<f64>::zeros(g);
    let mut products = Array2::<f64>::zeros((g, l));
    let mean = probabilities.mean_axis(Axis(0)).expect("there are cells");
    // About their means, the probabilities need no correction that cancels.
    let about = probabilities - &mean;
    genes.each(&mut |row, gene, x| {
        sums[gene] += x;
        squares[gene] += x * x;
        products.row_mut(gene).scaled_add(x, &about.row(row));
    })?;
    let count = n as f64;
    let spread = (&about * &about).sum_axis(Axis(0));
    let of = |gene: usize, fate: usize| {
        let about_mean = squares[gene] - sums[gene] * sums[gene] / count;
        // What rounding leaves of a constant is no spread.
        let varies = |about: f64, raw: f64| about > 1e-12 * raw && about > 0.0;
        if !varies(about_mean, squares[gene]) || !varies(spread[fate], count) {
            return None;
        }
        let correlation = products[[gene, fate]] / (about_mean * spread[fate]).sqrt();
        let correlation = correlation.clamp(-1.0, 1.0);
        let (middle, error) = (correlation.atanh(), 1.0 / (count - 3.0).sqrt());
        Some(Association {
            correlation,
            interval: [(middle - Z * error).tanh(), (middle + Z * error).tanh()],
            p: libm::erfc((middle / error).abs() / std::f64::consts::SQRT_2),
            q: 1.0,
        })
    };
    let each = (0..l).map(|fate| {
        let mut all: Vec<_> = (0..g).map(|gene| of(gene, fate)).collect();
        false_discoveries(&mut all);
        all
    });
    Ok(each.collect())
}

/// Fills in every q.
fn false_discoveries(all: &mut [Option<Association>]) {
    let mut known: Vec<&mut Association> = all.iter_mut().flatten().collect();
    known.sort_by(|a, b| b.p.total_cmp(&a.p));
    let count = known.len();
    let mut least = 1.0f64;
    for (above, association) in known.into_iter().enumerate() {
        least = least.min(association.p * count as f64 / (count - above) as f64);
        association.q = least;
    }
}

/// How often cells are drawn anew.
const RESAMPLES: usize = 200;

/// For every fate all genes of a file, the strongest association first. Cells of the file are the
/// points of the snapshots, whose places in it `rows` says, `[n]`.
///
/// The motion of a gene to a fate is the mean of the velocities that `dynamics` gives the cells of a
/// time, weighted by the probability of the fate, averaged over time.
///
/// # Errors
/// As [`associations`]; fates of other points; as [`Dynamics::velocity`].
pub fn drivers(
    genes: &Genes,
    rows: &[usize],
    snapshots: &Snapshots,
    fates: &Fates,
    dynamics: &Dynamics,
    decoder: Option<&Decoder>,
    seed: u64,
) -> Result<Vec<Vec<Driver>>> {
    let in_file = in_file(&fates.probabilities, rows)?;
    let told = associations(genes, &in_file)?;
    let rates = match decoder {
        None => vec![],
        Some(decoder) => rates(snapshots, fates, dynamics, decoder, seed)?,
    };
    let places = decoder.map(|decoder| {
        let known = decoder.genes().iter().map(String::as_str).zip(0..);
        known.collect::<std::collections::HashMap<&str, usize>>()
    });
    let each = told.into_iter().enumerate().map(|(fate, told)| {
        let all = genes.names().iter().zip(told).map(|(gene, association)| {
            let place = places.as_ref().and_then(|places| places.get(gene.as_str()));
            Driver {
                gene: gene.clone(),
                association,
                rate: place.map(|place| rates[fate][*place]),
            }
        });
        let mut all: Vec<Driver> = all.collect();
        let key = |driver: &Driver| {
            let correlation = driver.association.map(|a| a.correlation);
            correlation.unwrap_or(f64::NEG_INFINITY)
        };
        all.sort_by(|a, b| key(b).total_cmp(&key(a)));
        all
    });
    Ok(each.collect())
}

/// The rows of a table of points in the order of their file.
pub(super) fn in_file(table: &Array2<f64>, rows: &[usize]) -> Result<Array2<f64>> {
    let n = table.nrows();
    let mut places = vec![usize::MAX; n];
    for (point, row) in rows.iter().enumerate() {
        ensure!(
            rows.len() == n && *row < n && places[*row] == usize::MAX,
            Shape,
            "expected the places of {n} points in their file, each once"
        );
        places[*row] = point;
    }
    Ok(table.select(Axis(0), &places))
}

/// For every fate and gene of the decoder the mean velocity and its interval.
pub(super) fn rates(
    snapshots: &Snapshots,
    fates: &Fates,
    dynamics: &Dynamics,
    decoder: &Decoder,
    seed: u64,
) -> Result<Vec<Vec<[f64; 3]>>> {
    let (l, d) = (fates.names.len(), snapshots.dimension());
    let shares = shares_of_time(snapshots.times());
    // Row 0 is of the cells as they are, the others of those drawn anew.
    let mut means = vec![Array2::<f64>::zeros((1 + RESAMPLES, d)); l];
    // A time in which no cell goes to a fate says nothing of it.
    let mut told = Array2::<f64>::zeros((l, 1 + RESAMPLES));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut start = 0;
    for (k, cloud) in snapshots.clouds().iter().enumerate() {
        let n = cloud.len();
        let velocities = dynamics.velocity(snapshots.times()[k], cloud.points())?;
        for sample in 0..=RESAMPLES {
            let mut counts = Array1::<f64>::zeros(n);
            match sample {
                0 => counts.fill(1.0),
                _ => (0..n).for_each(|_| counts[rng.random_range(0..n)] += 1.0),
            }
            for (fate, means) in means.iter_mut().enumerate() {
                let p = fates.probabilities.column(fate);
                let p = p.slice(ndarray::s![start..start + n]);
                let weights = &counts * cloud.weights() * p;
                let mass = weights.sum();
                if mass > 0.0 {
                    means
                        .row_mut(sample)
                        .scaled_add(shares[k] / mass, &weights.dot(&velocities));
                    told[[fate, sample]] += shares[k];
                }
            }
        }
        start += n;
    }
    let each = means
        .iter_mut()
        .zip(told.outer_iter())
        .map(|(means, told)| {
            for (mut mean, share) in means.outer_iter_mut().zip(told) {
                mean /= share.max(f64::MIN_POSITIVE);
            }
            let decoded = decoder.decode_velocities(means)?;
            let genes = decoded.columns().into_iter().map(|column| {
                let mut again: Vec<f64> = column.iter().skip(1).copied().collect();
                again.sort_by(f64::total_cmp);
                let quantile = |q: f64| again[((again.len() - 1) as f64 * q).round() as usize];
                [column[0], quantile(0.025), quantile(0.975)]
            });
            Ok(genes.collect())
        });
    each.collect()
}

/// The share of the whole time that is nearest to each, by the trapezoidal rule.
fn shares_of_time(times: &[f64]) -> Vec<f64> {
    let last = times.len() - 1;
    let whole = times[last] - times[0];
    if whole <= 0.0 {
        return vec![1.0; times.len()];
    }
    let share = |k: usize| (times[(k + 1).min(last)] - times[k.saturating_sub(1)]) / (2.0 * whole);
    (0..times.len()).map(share).collect()
}

//! Expression along real time for every fate.

use ndarray::{Array2, Array3};
use serde::Serialize;

use super::{Fates, Z, drivers::in_file};
use crate::{
    data::{Genes, Snapshots},
    error::{Result, ensure},
};

/// The expression of a gene in cells that go to a fate, at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// The gene.
    pub gene: String,
    /// The fate.
    pub fate: String,
    /// The time.
    pub time: f64,
    /// The time as the data shows it.
    pub label: String,
    /// The mean of `X` over the cells of the time, weighted by the probability of the fate.
    pub mean: f64,
    /// Its 95 % interval, by the standard error of a weighted mean.
    pub interval: [f64; 2],
    /// How many cells of equal weight say as much (Kish 1965).
    pub cells: f64,
}

/// The trends of these genes of a file, gene by gene, fate by fate and time by time. Cells of the
/// file are the points of the snapshots, whose places in it `rows` says, `[n]`. A time in which no
/// cell goes to a fate is left out.
///
/// # Errors
/// Fates of other cells; a file that cannot be read.
///
/// # Panics
/// If there is no such gene.
pub fn trends(
    genes: &Genes,
    chosen: &[usize],
    rows: &[usize],
    snapshots: &Snapshots,
    fates: &Fates,
) -> Result<Vec<Trend>> {
    let (times, l) = (snapshots.len(), fates.names.len());
    let of_time = snapshots.clouds().iter().enumerate();
    let of_time: Vec<usize> = of_time
        .flat_map(|(k, cloud)| std::iter::repeat_n(k, cloud.len()))
        .collect();
    ensure!(
        of_time.len() == fates.probabilities.nrows() && of_time.len() == genes.cells(),
        Shape,
        "expected fates of each of {} points and {} cells, got {}",
        of_time.len(),
        genes.cells(),
        fates.probabilities.nrows()
    );
    let weights = snapshots.clouds().iter().flat_map(|cloud| cloud.weights());
    let mut table = fates.probabilities.clone();
    for (mut row, weight) in table.outer_iter_mut().zip(weights) {
        row *= *weight;
    }
    let weights = in_file(&table, rows)?;
    let mut times_of_rows = vec![0; of_time.len()];
    for (point, row) in rows.iter().enumerate() {
        times_of_rows[*row] = of_time[point];
    }
    // Of all cells, those that do not express a gene included.
    let mut mass = Array2::<f64>::zeros((times, l));
    let mut squares = Array2::<f64>::zeros((times, l));
    for (row, k) in weights.outer_iter().zip(&times_of_rows) {
        for (fate, w) in row.iter().enumerate() {
            mass[[*k, fate]] += w;
            squares[[*k, fate]] += w * w;
        }
    }
    let mut slots = vec![None; genes.names().len()];
    for (slot, gene) in chosen.iter().enumerate() {
        slots[*gene] = Some(slot);
    }
    let shape = (chosen.len(), times, l);
    // w x, w^2 x and w^2 x^2.
    let mut sums = [(); 3].map(|()| Array3::<f64>::zeros(shape));
    genes.each(&mut |row, gene, x| {
        let Some(slot) = slots[gene] else {
            return;
        };
        let k = times_of_rows[row];
        for (fate, w) in weights.row(row).iter().enumerate() {
            for (sum, amount) in sums.iter_mut().zip([w * x, w * w * x, w * w * x * x]) {
                sum[[slot, k, fate]] += amount;
            }
        }
    })?;
    let mut all = vec![];
    for (slot, gene) in chosen.iter().enumerate() {
        for (fate, name) in fates.names.iter().enumerate() {
            for k in (0..times).filter(|k| mass[[*k, fate]] > 0.0) {
                let (total, square) = (mass[[k, fate]], squares[[k, fate]]);
                let [first, cross, second] = sums.each_ref().map(|sum| sum[[slot, k, fate]]);
                let mean = first / total;
                // sum w^2 (x - mean)^2, whose rounding may fall below 0.
                let about = (second - 2.0 * mean * cross + mean * mean * square).max(0.0);
                let error = about.sqrt() / total;
                all.push(Trend {
                    gene: genes.names()[*gene].clone(),
                    fate: name.clone(),
                    time: snapshots.times()[k],
                    label: snapshots.labels()[k].clone(),
                    mean,
                    interval: [mean - Z * error, mean + Z * error],
                    cells: total * total / square,
                });
            }
        }
    }
    Ok(all)
}

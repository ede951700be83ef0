//! Predicted fates beside those of clones, which barcodes tell.

use std::collections::BTreeMap;

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::Fates;
use crate::{
    data::{Attribute, Snapshots},
    error::{Result, ensure},
};

/// Predictions beside the fates of clones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clones {
    /// How many clones have cells at the last time and before it.
    pub clones: usize,
    /// How many of their cells are before the last time: those that predictions are compared for.
    pub cells: usize,
    /// For every fate that a clone reached.
    pub fates: Vec<ClonalFate>,
}

/// One fate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClonalFate {
    /// What it is called.
    pub name: String,
    /// The share of it among the cells of clones at the last time, averaged over the cells before.
    pub share: f64,
    /// The chance that a cell whose sister went there has a higher probability than one whose
    /// sister did not: 0.5 knows nothing, 1 is right.
    pub auc: f64,
    /// Its 95 % interval from resampled clones.
    pub auc_interval: [f64; 2],
    /// The mean squared difference of the probability from the share of the clone (Brier 1950).
    pub brier: f64,
    /// The same of the [share](Self::share) for every cell.
    pub brier_of_share: f64,
    /// The cells by their probability.
    pub calibration: Vec<Bin>,
}

/// Cells of about one probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// How many cells.
    pub cells: usize,
    /// Their mean probability.
    pub predicted: f64,
    /// The mean share of their clones that went there.
    pub found: f64,
}

/// How often clones are drawn anew.
const RESAMPLES: usize = 200;

/// How many bins a probability has.
const BINS: usize = 5;

/// Compares fates of snapshots with those of clones: the labels of their cells at the last time,
/// where `clones` has a name for each point that is in one and else empty text.
///
/// # Errors
/// Lists of other lengths than there are points; no clone with labelled cells both at the last time
/// and before.
pub fn clones(
    fates: &Fates,
    snapshots: &Snapshots,
    labels: &Attribute,
    clones: &Attribute,
    seed: u64,
) -> Result<Clones> {
    let n = fates.probabilities.nrows();
    for (what, length) in [
        ("points", snapshots.clouds().iter().map(|c| c.len()).sum()),
        ("labels", labels.values.len()),
        ("clones", clones.values.len()),
    ] {
        ensure!(
            length == n,
            Shape,
            "expected fates, labels and clones of {n} cells, got {length} {what}"
        );
    }
    let last = n - snapshots.clouds().last().map_or(0, |cloud| cloud.len());
    let l = fates.names.len();
    // Of each clone the labels at the end, and its cells before.
    let mut ends: BTreeMap<&str, (Vec<f64>, Vec<usize>)> = BTreeMap::new();
    for i in 0..n {
        let clone = &*clones.values[i];
        if clone.is_empty() {
            continue;
        }
        let (shares, cells) = ends.entry(clone).or_insert((vec![0.0; l], vec![]));
        if i < last {
            cells.push(i);
        } else if !labels.values[i].is_empty() {
            let is_it = |name: &String| **name == *labels.values[i];
            let fate = fates.names.iter().position(is_it);
            // A label that is no fate of its own is the last one, with all others.
            shares[fate.unwrap_or(l - 1)] += 1.0;
        }
    }
    ends.retain(|_, (shares, cells)| !cells.is_empty() && shares.iter().sum::<f64>() > 0.0);
    ensure!(
        !ends.is_empty(),
        Value,
        "no clone of {:?} has labelled cells both at the last time and before it",
        clones.name
    );
    // For each clone its cells: the clone's share, and the cell in the table of fates.
    let groups: Vec<(Vec<f64>, Vec<usize>)> = ends
        .into_values()
        .map(|(shares, cells)| {
            let total: f64 = shares.iter().sum();
            (shares.into_iter().map(|s| s / total).collect(), cells)
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let draws: Vec<Vec<usize>> = (0..RESAMPLES)
        .map(|_| {
            (0..groups.len())
                .map(|_| rng.random_range(0..groups.len()))
                .collect()
        })
        .collect();
    let whole: Vec<usize> = (0..groups.len()).collect();
    let told = (0..l).filter_map(|fate| {
        let of = |chosen: &[usize]| pairs(&groups, chosen, &fates.probabilities, fate);
        let all = of(&whole);
        let value = auc(&all)?;
        let mut again: Vec<f64> = draws.iter().filter_map(|draw| auc(&of(draw))).collect();
        again.sort_by(f64::total_cmp);
        let quantile = |q: f64| again[((again.len() - 1) as f64 * q).round() as usize];
        let count = all.len() as f64;
        let share = all.iter().map(|(_, found)| found).sum::<f64>() / count;
        let brier = |of: &dyn Fn(f64) -> f64| {
            let squares = all.iter().map(|(p, found)| (of(*p) - found).powi(2));
            squares.sum::<f64>() / count
        };
        Some(ClonalFate {
            name: fates.names[fate].clone(),
            share,
            auc: value,
            auc_interval: [quantile(0.025), quantile(0.975)],
            brier: brier(&|p| p),
            brier_of_share: brier(&|_| share),
            calibration: calibration(&all),
        })
    });
    Ok(Clones {
        clones: groups.len(),
        cells: groups.iter().map(|(_, cells)| cells.len()).sum(),
        fates: told.collect(),
    })
}

/// The probability of a fate for every cell of these clones, and the share of its clone that went
/// there.
fn pairs(
    groups: &[(Vec<f64>, Vec<usize>)],
    chosen: &[usize],
    probabilities: &Array2<f64>,
    fate: usize,
) -> Vec<(f64, f64)> {
    let cells = chosen.iter().flat_map(|clone| {
        let (shares, cells) = &groups[*clone];
        cells
            .iter()
            .map(move |i| (probabilities[[*i, fate]], shares[fate]))
    });
    cells.collect()
}

/// The chance that of two cells the one whose sister has the fate has the higher probability, ties
/// half; none where all sisters or no sister has it. A cell stands for its sisters by their shares.
fn auc(cells: &[(f64, f64)]) -> Option<f64> {
    let mut cells = cells.to_vec();
    cells.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = cells.iter().map(|(_, y)| y).sum();
    let rest = cells.len() as f64 - total;
    if !(total > 1e-9 && rest > 1e-9) {
        return None;
    }
    let (mut below, mut sum) = (0.0, 0.0);
    for same in cells.chunk_by(|a, b| a.0 == b.0) {
        let with: f64 = same.iter().map(|(_, y)| y).sum();
        let without = same.len() as f64 - with;
        sum += with * (below + 0.5 * without);
        below += without;
    }
    Some(sum / (total * rest))
}

/// The bins that have cells.
fn calibration(cells: &[(f64, f64)]) -> Vec<Bin> {
    let of = |p: f64| ((p * BINS as f64) as usize).min(BINS - 1);
    let bins = (0..BINS).filter_map(|bin| {
        let there: Vec<_> = cells.iter().filter(|(p, _)| of(*p) == bin).collect();
        let count = there.len();
        let mean = |sum: f64| sum / count as f64;
        (count > 0).then(|| Bin {
            cells: count,
            predicted: mean(there.iter().map(|(p, _)| p).sum()),
            found: mean(there.iter().map(|(_, y)| y).sum()),
        })
    });
    bins.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_those_of_scikit_learn() {
        // sklearn.metrics.roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) = 0.75.
        let cells = [(0.1, 0.0), (0.4, 0.0), (0.35, 1.0), (0.8, 1.0)];
        assert_eq!(auc(&cells), Some(0.75));
        // roc_auc_score([0, 1, 0, 1, 1], [0.5, 0.5, 0.2, 0.5, 0.9]) = 5/6.
        let ties = [(0.5, 0.0), (0.5, 1.0), (0.2, 0.0), (0.5, 1.0), (0.9, 1.0)];
        assert!((auc(&ties).unwrap() - 5.0 / 6.0).abs() < 1e-15);
        // A share of 0.25 is one sister of four.
        let shared = [(0.2, 0.25), (0.7, 0.75)];
        let apart = [
            [(0.2, 1.0), (0.2, 0.0), (0.2, 0.0), (0.2, 0.0)],
            [(0.7, 0.0), (0.7, 1.0), (0.7, 1.0), (0.7, 1.0)],
        ];
        assert_eq!(auc(&shared), auc(&apart.concat()));
        assert_eq!(auc(&[(0.2, 1.0), (0.3, 1.0)]), None);
    }

    #[test]
    fn bins_hold_what_is_predicted() {
        let cells = [(0.0, 0.0), (0.1, 1.0), (0.95, 1.0), (1.0, 0.5)];
        let bins = calibration(&cells);
        assert_eq!(bins.len(), 2);
        assert_eq!(
            (bins[0].cells, bins[0].predicted, bins[0].found),
            (2, 0.05, 0.5)
        );
        assert_eq!(
            (bins[1].cells, bins[1].predicted, bins[1].found),
            (2, 0.975, 0.75)
        );
    }
}

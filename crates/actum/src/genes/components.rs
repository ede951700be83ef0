//! Principal components of counts, as scanpy computes them: `normalize_total` to 10,000, `log1p`,
//! `highly_variable_genes(flavor="seurat")` and `pca`.

use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{Decoder, leading::leading, variable};
use crate::error::{Error, ErrorKind, Result, ensure};

/// The sum of a cell's normalised counts.
const TOTAL: f64 = 1e4;

/// How many genes are looked at, those that vary most.
const GENES: usize = 2000;

/// How many numbers are gathered before they are multiplied.
const SOME: usize = 1 << 20;

/// How many rows of the products of genes are summed up together.
const ROWS: usize = 64;

/// A matrix of counts that is read as often as asked: hands out the genes, in their order, and the
/// counts of one cell after another.
pub type Counts<'a> = dyn Fn(&mut dyn FnMut(&[usize], &[f64]) -> Result<()>) -> Result<()> + 'a;

/// Brings the counts of cells to logarithms of normalised counts, one cell after another.
pub struct Normalized<'a> {
    names: &'a [String],
    cell: usize,
    numbers: Vec<f64>,
}

impl<'a> Normalized<'a> {
    /// Of genes of these names.
    pub fn new(names: &'a [String]) -> Self {
        Self {
            names,
            cell: 0,
            numbers: vec![],
        }
    }

    /// Of the next cell, with what its counts are multiplied by first.
    ///
    /// # Errors
    /// What is no count, and a cell without counts.
    pub fn next(&mut self, genes: &[usize], counts: &[f64]) -> Result<(&[f64], f64)> {
        let row = self.cell;
        self.cell += 1;
        for (gene, count) in genes.iter().zip(counts) {
            ensure!(
                *count >= 0.0 && count.fract() == 0.0,
                Value,
                "expected counts to make principal components of, got {count} in cell {row} \
                 (counted from 0), gene {}: whole numbers from 0 are normalised here, once; where \
                 the counts are in a layer choose it with `Keys::points_key`, as layer:counts; what \
                 is normalised already has its components made in Python: scanpy.pp.pca(adata)",
                self.names[*gene]
            );
        }
        let total: f64 = counts.iter().sum();
        ensure!(
            total > 0.0,
            Value,
            "cell {row} (counted from 0) has no counts, so it cannot be normalised; leave such cells \
             out, in Python: scanpy.pp.filter_cells(adata, min_counts=1)"
        );
        let scale = TOTAL / total;
        self.numbers.clear();
        self.numbers
            .extend(counts.iter().map(|count| (count * scale).ln_1p()));
        Ok((&self.numbers, scale))
    }
}

/// The decoder of the `count` leading components of counts of genes of these `names`, whose columns
/// are `X_pca1`, `X_pca2`, ...: their numbers are such that single precision holds them.
///
/// # Errors
/// What is no count; fewer cells or varying genes than components.
pub fn components(names: &[String], count: usize, counts: &Counts) -> Result<Decoder> {
    of_highest(names, count, GENES, counts)
}

fn of_highest(names: &[String], count: usize, most: usize, counts: &Counts) -> Result<Decoder> {
    ensure!(
        count > 0,
        Setting,
        "expected one or more principal components, got {count}"
    );
    let (cells, chosen) = choose(names, most, counts)?;
    let few = |what: &str, there: usize| {
        Error::new(
            ErrorKind::Value,
            format!(
                "{count} principal components need more {what} than that, and there are {there}; \
                 ask for fewer"
            ),
        )
    };
    if cells <= count {
        return Err(few("cells", cells));
    } else if chosen.len() <= count {
        return Err(few("genes that vary", chosen.len()));
    }
    let (mean, covariance) = covariance(names, &chosen, counts)?;
    let (_, loadings) = leading(&covariance, count);
    let single = |x: f64| f64::from(x as f32);
    Decoder::new(
        chosen.iter().map(|gene| names[*gene].clone()).collect(),
        (1..=count).map(|j| format!("X_pca{j}")).collect(),
        mean.mapv(single),
        Array1::zeros(count),
        loadings.mapv(single),
    )
}

/// How many cells there are, and the genes that vary most in them.
fn choose(names: &[String], most: usize, counts: &Counts) -> Result<(usize, Vec<usize>)> {
    let g = names.len();
    let (mut sums, mut squares) = (vec![0.0; g], vec![0.0; g]);
    let (mut normalized, mut cells) = (Normalized::new(names), 0);
    counts(&mut |genes, counts| {
        let (_, scale) = normalized.next(genes, counts)?;
        for (gene, count) in genes.iter().zip(counts) {
            let x = count * scale;
            sums[*gene] += x;
            squares[*gene] += x * x;
        }
        cells += 1;
        Ok(())
    })?;
    let n = cells as f64;
    let means: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
    let variance = |(square, mean): (&f64, &f64)| (square / n - mean * mean) * n / (n - 1.0);
    let variances: Vec<f64> = squares.iter().zip(&means).map(variance).collect();
    let dispersions = variable::dispersions(&means, &variances);
    Ok((cells, variable::highest(&dispersions, most)))
}

/// The means and the covariance of the logarithms of some genes.
fn covariance(
    names: &[String],
    chosen: &[usize],
    counts: &Counts,
) -> Result<(Array1<f64>, Array2<f64>)> {
    let g = chosen.len();
    let mut place_of = vec![None; names.len()];
    for (place, gene) in chosen.iter().enumerate() {
        place_of[*gene] = Some(place as u32);
    }
    let mut products = Products {
        sums: vec![0.0; g],
        all: vec![0.0; g * g],
        genes: vec![],
        numbers: vec![],
        ends: vec![0],
    };
    let (mut normalized, mut cells) = (Normalized::new(names), 0);
    counts(&mut |genes, counts| {
        let (numbers, _) = normalized.next(genes, counts)?;
        let known = genes.iter().zip(numbers);
        let known = known.filter_map(|(gene, x)| Some((place_of[*gene]?, *x)));
        products.push(known);
        cells += 1;
        Ok(())
    })?;
    products.add();
    let n = cells as f64;
    let mean: Vec<f64> = products.sums.iter().map(|sum| sum / n).collect();
    let of = |i: usize, j: usize| {
        // Below the diagonal alone there are sums.
        let (i, j) = (i.max(j), i.min(j));
        (products.all[i * g + j] - n * mean[i] * mean[j]) / (n - 1.0)
    };
    let covariance = Array2::from_shape_fn((g, g), |(i, j)| of(i, j));
    Ok((mean.into(), covariance))
}

/// Sums of the products of pairs of genes over cells.
struct Products {
    sums: Vec<f64>,
    /// The sums on and below the diagonal.
    all: Vec<f64>,
    /// What is still to be added: the genes of each cell, in their order, and their numbers.
    genes: Vec<u32>,
    numbers: Vec<f64>,
    /// Where the first cell starts, and where each ends.
    ends: Vec<usize>,
}

impl Products {
    fn push(&mut self, cell: impl Iterator<Item = (u32, f64)>) {
        for (gene, x) in cell {
            self.sums[gene as usize] += x;
            self.genes.push(gene);
            self.numbers.push(x);
        }
        self.ends.push(self.genes.len());
        if self.genes.len() >= SOME {
            self.add();
        }
    }

    /// Each row belongs to one thread and sees the cells in their order: the bits do not depend on
    /// how many threads there are.
    fn add(&mut self) {
        let g = self.sums.len();
        let (genes, numbers, ends) = (&self.genes, &self.numbers, &self.ends);
        let rows = self.all.par_chunks_mut(ROWS * g).enumerate();
        rows.for_each(|(chunk, rows)| {
            let (from, to) = (chunk * ROWS, chunk * ROWS + rows.len() / g);
            for ends in ends.windows(2) {
                let (genes, numbers) = (&genes[ends[0]..ends[1]], &numbers[ends[0]..ends[1]]);
                let first = genes.partition_point(|gene| (*gene as usize) < from);
                let last = genes.partition_point(|gene| (*gene as usize) < to);
                for i in first..last {
                    let row = &mut rows[(genes[i] as usize - from) * g..][..g];
                    for (gene, x) in genes[..=i].iter().zip(numbers) {
                        row[*gene as usize] += numbers[i] * x;
                    }
                }
            }
        });
        self.genes.clear();
        self.numbers.clear();
        self.ends.truncate(1);
    }
}

#[cfg(test)]
mod tests;

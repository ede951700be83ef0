//! The genes that vary most, as scanpy chooses them (`highly_variable_genes(flavor="seurat")`).

/// How many bins of equal width the means fall into.
const BINS: usize = 20;

/// The dispersion of every gene beside that of genes of a like mean, `[g]`, from the means and
/// variances of normalised counts; NaN where a gene does not vary.
///
/// The logarithm of the dispersion (variance over mean) is standardised among the genes whose
/// log(1 + mean) falls into the same of 20 bins; a gene that is alone there has 1 (Satija et al.
/// 2015, as scanpy computes it).
pub fn dispersions(means: &[f64], variances: &[f64]) -> Vec<f64> {
    // scanpy's least mean.
    let means: Vec<f64> = means
        .iter()
        .map(|m| if *m == 0.0 { 1e-12 } else { *m })
        .collect();
    let log = |(mean, variance): (&f64, &f64)| match variance / mean {
        0.0 => f64::NAN,
        dispersion => dispersion.ln(),
    };
    let dispersions: Vec<f64> = means.iter().zip(variances).map(log).collect();
    let levels: Vec<f64> = means.iter().map(|mean| mean.ln_1p()).collect();
    let bins = bins(&levels);
    let mut of_bin = vec![vec![]; BINS];
    for (bin, dispersion) in bins.iter().zip(&dispersions) {
        if !dispersion.is_nan() {
            of_bin[*bin].push(*dispersion);
        }
    }
    let stats: Vec<[f64; 2]> = of_bin.iter().map(|all| center_and_width(all)).collect();
    let standardised = bins.iter().zip(&dispersions).map(|(bin, dispersion)| {
        let [center, width] = stats[*bin];
        (dispersion - center) / width
    });
    standardised.collect()
}

/// The genes of the `count` highest dispersions, in their order; all of those that tie with the
/// last.
pub fn highest(dispersions: &[f64], count: usize) -> Vec<usize> {
    let mut sorted: Vec<f64> = dispersions
        .iter()
        .copied()
        .filter(|x| !x.is_nan())
        .collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let least = sorted.get(count.min(sorted.len()).saturating_sub(1));
    let is_in = |gene: &usize| least.is_some_and(|least| dispersions[*gene] >= *least);
    (0..dispersions.len()).filter(is_in).collect()
}

/// Which of the bins, closed above, each number falls into, as `pandas.cut` makes them.
fn bins(numbers: &[f64]) -> Vec<usize> {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Of numbers that are all the same pandas widens the range.
    let aside = |x: f64| if x == 0.0 { 0.001 } else { 0.001 * x.abs() };
    let (from, to) = match least == greatest {
        true => (least - aside(least), greatest + aside(greatest)),
        false => (least, greatest),
    };
    let step = (to - from) / BINS as f64;
    let edges: Vec<f64> = (1..BINS).map(|bin| bin as f64 * step + from).collect();
    let bin = |x: &f64| edges.partition_point(|edge| edge < x);
    numbers.iter().map(bin).collect()
}

/// Mean and standard deviation; what gives a gene that is alone 1.
fn center_and_width(all: &[f64]) -> [f64; 2] {
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    match all.len() {
        0 | 1 => [0.0, mean],
        _ => {
            let square: f64 = all.iter().map(|x| (x - mean) * (x - mean)).sum();
            [mean, (square / (n - 1.0)).sqrt()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_those_of_pandas() {
        // pandas.cut([0, 1, 2, 10, 0.5, 20], 20, labels=False)
        assert_eq!(bins(&[0.0, 1.0, 2.0, 10.0, 0.5, 20.0]), [0, 0, 1, 9, 0, 19]);
        // pandas.cut([3, 3], 20, labels=False)
        assert_eq!(bins(&[3.0, 3.0]), [9, 9]);
    }

    #[test]
    fn ties_with_the_last_are_taken() {
        let dispersions = [f64::NAN, 1.0, 3.0, 2.0, 2.0];
        assert_eq!(highest(&dispersions, 1), [2]);
        assert_eq!(highest(&dispersions, 2), [2, 3, 4]);
        assert_eq!(highest(&dispersions, 9), [1, 2, 3, 4]);
        assert!(highest(&[f64::NAN], 3).is_empty());
    }
}

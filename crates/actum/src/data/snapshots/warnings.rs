//! What a person should know of snapshots before a fit.

use std::collections::HashSet;

use super::{Snapshots, abridged};
use crate::{cloud::Cloud, data::time::names_no_time};

impl Snapshots {
    /// What a person should know before fitting these data: few points at a time, columns of very
    /// different scale, constant columns, repeated rows, times that look continuous, are almost one,
    /// or are named as replicates are, outliers and codes for missing values.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.len() > 1000 {
            warnings.push(format!(
                "{} distinct times: they look continuous; round them to the times of measurement",
                self.len()
            ));
        }
        warnings.extend(self.step_too_small());
        warnings.extend(self.not_times());
        let few: Vec<_> = self
            .labels()
            .iter()
            .zip(self.counts())
            .filter(|(_, count)| *count < 20.0)
            .map(|(label, count)| format!("{label} ({count})"))
            .collect();
        if !few.is_empty() {
            warnings.push(format!("fewer than 20 points at time {}", abridged(&few)));
        }
        let constant = self.constant_columns();
        if !constant.is_empty() {
            let names: Vec<_> = constant.iter().map(|j| self.columns[*j].clone()).collect();
            warnings.push(format!(
                "constant columns carry nothing: {}",
                abridged(&names)
            ));
        }
        let outliers = self.outliers();
        if let Some([low, high]) = self.unequal_beside(&outliers) {
            let std_dev = self.pooled().std_dev();
            warnings.push(format!(
                "columns of very unequal scale: standard deviation {:.3e} of {} and {:.3e} of {}; \
                 standardise them unless their units are the same",
                std_dev[high], self.columns[high], std_dev[low], self.columns[low]
            ));
        }
        warnings.extend(outliers.into_iter().map(|(_, text)| text));
        let total: usize = self.clouds.iter().map(Cloud::len).sum();
        let repeated: usize = self.clouds.iter().map(|c| c.len() - distinct_rows(c)).sum();
        if 10 * repeated > total {
            warnings.push(format!(
                "{repeated} of {total} rows repeat another row of the same time"
            ));
        }
        warnings
    }

    /// Two times that may be one, measured or written twice.
    fn step_too_small(&self) -> Option<String> {
        let step = |pair: &[f64]| pair[1] - pair[0];
        let mut steps: Vec<f64> = self.times().windows(2).map(step).collect();
        let least = (0..steps.len()).min_by(|a, b| steps[*a].total_cmp(&steps[*b]))?;
        let [from, to] = [least, least + 1].map(|i| &self.labels()[i]);
        let smallest = steps.swap_remove(least);
        steps.sort_by(f64::total_cmp);
        let Some(median) = steps.get(steps.len() / 2) else {
            let times = self.times();
            let is_measured = times.iter().any(|t| t.fract() != 0.0);
            return (is_measured && smallest < 1e-7 * times[1].abs()).then(|| {
                format!(
                    "the times {from} and {to} differ by {smallest:.2e} alone: if they are one time, \
                     write them alike"
                )
            });
        };
        (smallest < 0.01 * median).then(|| {
            format!(
                "the step from {from} to {to} is {:.2e} of the others: if they are one time, write \
                 them alike",
                smallest / median
            )
        })
    }

    /// Times that are named as what else distinguishes points is.
    fn not_times(&self) -> Option<String> {
        let prefix = self.axis.prefix();
        names_no_time(prefix).then(|| {
            format!(
                "the times are {}: these look like names of a {prefix}, not of times; choose the \
                 column of times with `Keys::time_key`",
                abridged(self.labels())
            )
        })
    }

    /// The columns that have the same value at all points.
    pub fn constant_columns(&self) -> Vec<usize> {
        let is_constant = |j: &usize| {
            let first = self.clouds[0].points()[[0, *j]];
            let mut columns = self.clouds.iter().map(|c| c.points().column(*j));
            columns.all(|column| column.iter().all(|x| *x == first))
        };
        (0..self.dimension()).filter(is_constant).collect()
    }

    /// The columns of least and greatest standard deviation, constant ones aside, where the
    /// greatest is more than 100 times the least: such columns are rarely of one unit.
    ///
    /// Columns with values far from all others are left out: those make the deviation.
    pub fn unequal_columns(&self) -> Option<[usize; 2]> {
        self.unequal_beside(&self.outliers())
    }

    fn unequal_beside(&self, outliers: &[(usize, String)]) -> Option<[usize; 2]> {
        let constant = self.constant_columns();
        let std_dev = self.pooled().std_dev();
        let by_std_dev = |a: &usize, b: &usize| std_dev[*a].total_cmp(&std_dev[*b]);
        let has_outliers = |j: &usize| outliers.iter().any(|(other, _)| other == j);
        let varying = || {
            let columns = 0..self.dimension();
            columns.filter(|j| !constant.contains(j) && !has_outliers(j))
        };
        let pair = [varying().min_by(by_std_dev)?, varying().max_by(by_std_dev)?];
        (std_dev[pair[1]] > 100.0 * std_dev[pair[0]]).then_some(pair)
    }
}

fn distinct_rows(cloud: &Cloud) -> usize {
    let rows = cloud.points().outer_iter();
    rows.map(|row| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        .collect::<HashSet<_>>()
        .len()
}

//! What a person should know of snapshots before a fit.

use std::collections::HashSet;

use super::{Snapshots, abridged};
use crate::cloud::Cloud;

impl Snapshots {
    /// What a person should know before fitting these data: few points at a time, columns of very
    /// different scale, constant columns, repeated rows, times that look continuous.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.len() > 1000 {
            warnings.push(format!(
                "{} distinct times: they look continuous; round them to the times of measurement",
                self.len()
            ));
        }
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
        if let Some([low, high]) = self.unequal_columns() {
            let std_dev = self.pooled().std_dev();
            warnings.push(format!(
                "columns of very unequal scale: standard deviation {:.3e} of {} and {:.3e} of {}; \
                 standardise them unless their units are the same",
                std_dev[high], self.columns[high], std_dev[low], self.columns[low]
            ));
        }
        let total: usize = self.clouds.iter().map(Cloud::len).sum();
        let repeated: usize = self.clouds.iter().map(|c| c.len() - distinct_rows(c)).sum();
        if 10 * repeated > total {
            warnings.push(format!(
                "{repeated} of {total} rows repeat another row of the same time"
            ));
        }
        warnings
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
    pub fn unequal_columns(&self) -> Option<[usize; 2]> {
        let constant = self.constant_columns();
        let std_dev = self.pooled().std_dev();
        let by_std_dev = |a: &usize, b: &usize| std_dev[*a].total_cmp(&std_dev[*b]);
        let varying = || (0..self.dimension()).filter(|j| !constant.contains(j));
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

//! Fates, drivers and trends as files.

use std::path::Path;

use super::{Driver, Effect, Fates, Trend};
use crate::{error::Result, store};

/// Writes rows of text under a header, `.csv`.
fn write(path: &Path, header: &[String], rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
    store::replace(path, |out| {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(row)?;
        }
        writer.flush()
    })
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Fates {
    /// Writes a row for every cell: `known` columns `[n]` by their names, then for every fate the
    /// probability `p_`, and its interval `low_` and `high_`, and the mass that comes of the cell.
    ///
    /// # Errors
    /// A file that cannot be written.
    ///
    /// # Panics
    /// If a column is shorter than there are cells.
    pub fn write(&self, path: &Path, known: &[(&str, Vec<&str>)]) -> Result<()> {
        let mut names: Vec<String> = known.iter().map(|(name, _)| (*name).to_owned()).collect();
        let of = |what: &'static str| self.names.iter().map(move |name| format!("{what}_{name}"));
        names.extend(of("p").chain(of("low")).chain(of("high")));
        names.push("descendants".to_owned());
        let rows = (0..self.probabilities.nrows()).map(|i| {
            let mut row: Vec<String> = known.iter().map(|(_, all)| all[i].to_owned()).collect();
            for table in [&self.probabilities, &self.low, &self.high] {
                row.extend(table.row(i).iter().map(f64::to_string));
            }
            row.push(self.descendants[i].to_string());
            row
        });
        write(path, &names, rows)
    }
}

/// Writes a row for every fate and gene, `.csv`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_drivers(path: &Path, names: &[String], drivers: &[Vec<Driver>]) -> Result<()> {
    let names_of = header(&[
        "fate",
        "gene",
        "correlation",
        "low",
        "high",
        "p",
        "q",
        "rate",
        "rate_low",
        "rate_high",
    ]);
    let each = names.iter().zip(drivers);
    let rows = each.flat_map(|(fate, drivers)| {
        drivers.iter().map(move |driver| {
            let mut row = vec![fate.clone(), driver.gene.clone()];
            let told = driver.association.map(|a| {
                let [low, high] = a.interval;
                [a.correlation, low, high, a.p, a.q].map(|x| x.to_string())
            });
            row.extend(told.unwrap_or_default());
            row.extend(
                driver
                    .rate
                    .map(|rate| rate.map(|x| x.to_string()))
                    .unwrap_or_default(),
            );
            row
        })
    });
    write(path, &names_of, rows)
}

/// Writes a row for every gene, fate and time, `.csv`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_trends(path: &Path, trends: &[Trend]) -> Result<()> {
    let names = header(&["gene", "fate", "time", "mean", "low", "high", "cells"]);
    let rows = trends.iter().map(|trend| {
        let [low, high] = trend.interval;
        let mut row = vec![trend.gene.clone(), trend.fate.clone(), trend.label.clone()];
        row.extend([trend.mean, low, high, trend.cells].map(|x| x.to_string()));
        row
    });
    write(path, &names, rows)
}

/// Writes a row for every gene of a screen and every fate, `.csv`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_screen(path: &Path, genes: &[String], effects: &[Vec<Effect>]) -> Result<()> {
    let names = header(&[
        "gene",
        "fate",
        "before",
        "after",
        "difference",
        "low",
        "high",
    ]);
    let rows = genes.iter().zip(effects).flat_map(|(gene, effects)| {
        effects.iter().map(move |effect| {
            let [low, high] = effect.interval;
            let mut row = vec![gene.clone(), effect.fate.clone()];
            let numbers = [effect.before, effect.after, effect.difference, low, high];
            row.extend(numbers.map(|x| x.to_string()));
            row
        })
    });
    write(path, &names, rows)
}

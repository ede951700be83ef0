//! What a change of expression would do to fates.

use std::{ops::ControlFlow, str::FromStr};

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::Serialize;

use super::{Destinations, Fates, Z};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    genes::Decoder,
};

/// A change of the expression of a gene: `GATA1=0`, `SPI1=+1`, `SPI1=-0.5`.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The gene.
    pub gene: String,
    /// To what its expression is set, or by what it grows.
    pub to: To,
}

/// What expression is changed to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum To {
    /// This value.
    Value(f64),
    /// So much more, or less where it is negative, but not below 0 where it was not.
    Shift(f64),
}

impl FromStr for To {
    type Err = Error;

    /// `0` is a value, `+1` and `-1` are shifts.
    fn from_str(text: &str) -> Result<Self> {
        let number = text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
        let number = number.ok_or_else(|| {
            let what =
                format!("expected a value such as 0, or a shift such as +1 or -1, got {text:?}");
            Error::new(ErrorKind::Value, what)
        })?;
        Ok(match text.trim().starts_with(['+', '-']) {
            true => Self::Shift(number),
            false => Self::Value(number),
        })
    }
}

impl FromStr for Change {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (gene, to) = text.rsplit_once('=').ok_or_else(|| {
            let what = format!("{text:?}: expected GENE=VALUE, such as GATA1=0 or SPI1=+1");
            Error::new(ErrorKind::Value, what)
        })?;
        Ok(Self {
            gene: gene.trim().to_owned(),
            to: to.parse().map_err(|error: Error| error.within(gene))?,
        })
    }
}

impl To {
    fn change(self, x: f64) -> f64 {
        match self {
            Self::Value(value) => value - x,
            Self::Shift(shift) if x >= 0.0 => shift.max(-x),
            Self::Shift(shift) => shift,
        }
    }
}

/// How much of a change of a gene the coordinates must see.
const LEAST_SEEN: f64 = 0.01;

/// The effect of a change on one fate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// What the fate is called.
    pub fate: String,
    /// Its mean probability over the cells as they are.
    pub before: f64,
    /// Over the changed cells.
    pub after: f64,
    /// `after - before`.
    pub difference: f64,
    /// Its 95 % interval, by the standard error of the differences of cells.
    pub interval: [f64; 2],
}

/// Cells at one time whose expression may be changed.
pub struct Perturbed<'a> {
    destinations: &'a Destinations<'a>,
    decoder: &'a Decoder,
    points: &'a Array2<f64>,
    weights: Array1<f64>,
    time: f64,
    before: Fates,
    /// The root mean square of the distance from the mean, in the network's units.
    spread: f64,
}

impl<'a> Perturbed<'a> {
    /// Cells at `points` `[n, d]` of these weights `[n]` at `time`.
    ///
    /// # Errors
    /// As [`Destinations::of`]; a decoder of other coordinates; other weights than points.
    pub fn new(
        destinations: &'a Destinations<'a>,
        decoder: &'a Decoder,
        points: &'a Array2<f64>,
        weights: &Array1<f64>,
        time: f64,
    ) -> Result<Self> {
        ensure!(
            weights.len() == points.nrows() && weights.sum() > 0.0,
            Shape,
            "expected a weight for each of {} cells, got {}",
            points.nrows(),
            weights.len()
        );
        let before = destinations.of(points, time)?;
        let units = &destinations.dynamics.units;
        let inner = units.points_in(points.view());
        let mean = inner.mean_axis(Axis(0)).expect("there are cells");
        Ok(Self {
            spread: root_mean_square(&(inner - &mean), weights),
            weights: weights / weights.sum(),
            destinations,
            decoder,
            points,
            time,
            before,
        })
    }

    /// Checks that the coordinates see a gene of the [decoder](Decoder::genes).
    ///
    /// # Errors
    /// They see less than a hundredth of a change of it.
    pub fn check_seen(&self, gene: usize) -> Result<()> {
        let row = self.decoder.loadings().row(gene);
        let seen = row.dot(&row).sqrt();
        ensure!(
            seen >= LEAST_SEEN,
            Value,
            "the coordinates hardly see {}: they keep {seen:.4} of a change of it, expected {LEAST_SEEN} \
             or more; a change of it would say nothing",
            self.decoder.genes()[gene]
        );
        Ok(())
    }

    /// The effect of changes of these genes of the [decoder](Decoder::genes), from the expression
    /// of each in every cell, `[n, changes]`. Also how far the cells are shifted, as a share of
    /// their spread: far beyond 1 nothing was learned.
    ///
    /// # Errors
    /// Expression of other cells or genes; a gene that the [coordinates hardly
    /// see](Self::check_seen); as [`Destinations::of`].
    pub fn effect(
        &self,
        changes: &[(usize, To)],
        expression: ArrayView2<f64>,
    ) -> Result<(Vec<Effect>, f64)> {
        let n = self.points.nrows();
        ensure!(
            expression.dim() == (n, changes.len()),
            Shape,
            "expected the expression of {} genes in {n} cells, got {:?}",
            changes.len(),
            expression.dim()
        );
        let mut shift = Array2::<f64>::zeros(self.points.raw_dim());
        for ((gene, to), column) in changes.iter().zip(expression.columns()) {
            self.check_seen(*gene)?;
            let loadings = self.decoder.loadings().row(*gene);
            for (mut shift, x) in shift.outer_iter_mut().zip(column) {
                shift.scaled_add(to.change(*x), &loadings);
            }
        }
        let after = self.destinations.of(&(self.points + &shift), self.time)?;
        let inner = self
            .destinations
            .dynamics
            .units
            .points_in((self.points + &shift).view())
            - self
                .destinations
                .dynamics
                .units
                .points_in(self.points.view());
        let share = root_mean_square(&inner, &self.weights) / self.spread;
        let effects = self.before.names.iter().enumerate().map(|(fate, name)| {
            let [before, after] = [&self.before, &after].map(|fates| {
                let weights = &self.weights * &fates.descendants;
                (&weights / weights.sum(), fates.probabilities.column(fate))
            });
            let means = [&before, &after].map(|(weights, p)| weights.dot(p));
            // What each cell adds to the difference of two means whose weights may differ.
            let parts = (0..n).map(|i| {
                after.0[i] * (after.1[i] - means[1]) - before.0[i] * (before.1[i] - means[0])
            });
            let error = parts.map(|part| part * part).sum::<f64>().sqrt();
            let difference = means[1] - means[0];
            Effect {
                fate: name.clone(),
                before: means[0],
                after: means[1],
                difference,
                interval: [difference - Z * error, difference + Z * error],
            }
        });
        Ok((effects.collect(), share))
    }
}

fn root_mean_square(rows: &Array2<f64>, weights: &Array1<f64>) -> f64 {
    let squares = rows.outer_iter().map(|row| row.dot(&row));
    let sum: f64 = squares.zip(weights).map(|(square, w)| square * w).sum();
    (sum / weights.sum()).sqrt()
}

/// The effects of the same change of each of these genes alone, from their expression in every cell,
/// `[n, genes]`. `progress` is told how many genes of how many are done, and may stop it.
///
/// # Errors
/// As [`Perturbed::effect`]; [`Interrupted`](ErrorKind::Interrupted) if `progress` asked to stop.
pub fn screen(
    cells: &Perturbed,
    genes: &[usize],
    to: To,
    expression: &Array2<f64>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Vec<Vec<Effect>>> {
    let mut all = vec![];
    for (done, gene) in genes.iter().enumerate() {
        let column = expression.column(done).insert_axis(Axis(1));
        all.push(cells.effect(&[(*gene, to)], column)?.0);
        ensure!(
            progress(done + 1, genes.len()).is_continue(),
            Interrupted,
            "stopped after {} of {} genes",
            done + 1,
            genes.len()
        );
    }
    Ok(all)
}

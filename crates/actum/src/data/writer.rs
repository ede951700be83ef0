//! Snapshots and trajectories out to files.

use std::{borrow::Cow, iter::repeat_n, path::Path, sync::Arc};

use ndarray::{Array1, Array2, Array3};

use super::{
    Attribute, Snapshots,
    attributes::free_names,
    formats::{Format, check_reserved, velocity_names},
    snapshots::check_columns,
    within,
};
use crate::{
    error::{Result, ensure},
    genes::Decoder,
};

/// Writes snapshots so that [`read`](super::read()) gives them back, bit for bit, in the
/// [format](super::FORMATS) that the extension of `path` names.
///
/// Times are numbers, or the labels where these are more than numbers (`Day 2`). Weights are
/// written unless every time has equal weights and mass 1. In `.npz`, names of the coordinates
/// are in `columns` `[d]`, if they have any. Velocities are the array `V` `[n, d]`, in tables the
/// columns `v_` and the name of the coordinate; [`Format::velocity_key`] is the key to read them by.
///
/// In `.h5ad` the coordinates are `X`, under their names, and `obsm["X_pca"]`; velocities are
/// `layers["velocity"]` and `obsm["velocity_pca"]`; times are ordered categories `obs["t"]`.
///
/// # Errors
/// An unknown extension, a column of a table named as the time, the weight or a velocity is, or a
/// file that cannot be written; what was at `path` is then untouched.
pub fn write(path: &Path, snapshots: &Snapshots) -> Result<()> {
    let format = within(path, || Format::of(path))?;
    (format.write)(path, &Contents::Snapshots(snapshots))
}

/// Weights of n particles at k times.
#[derive(Debug, Clone, Copy)]
pub enum ParticleWeights<'a> {
    /// All equal, at all times.
    Equal,
    /// One for each particle, `[n]`, at all times.
    Constant(&'a Array1<f64>),
    /// One for each time and particle, `[k, n]`.
    Changing(&'a Array2<f64>),
}

impl ParticleWeights<'_> {
    fn check(&self, k: usize, n: usize) -> Result<()> {
        match self {
            Self::Equal => (),
            Self::Constant(weights) => ensure!(
                weights.len() == n,
                Shape,
                "expected one weight for each of {n} particles, got {}",
                weights.len()
            ),
            Self::Changing(weights) => ensure!(
                weights.dim() == (k, n),
                Shape,
                "expected weights of shape [{k}, {n}], one for each time and particle, got {:?}",
                weights.shape()
            ),
        }
        Ok(())
    }
}

/// Particles through time.
#[derive(Debug, Clone, Copy)]
pub struct Particles<'a> {
    /// The times, `[k]`.
    pub times: &'a [f64],
    /// The times as they are written, `[k]`; [`TimeAxis::label_of`](super::TimeAxis::label_of)
    /// makes them.
    pub labels: &'a [String],
    /// The points, `[k, n, d]`.
    pub points: &'a Array3<f64>,
    /// Their velocities, `[k, n, d]`, written in formats [that have them](Format::has_velocities).
    pub velocities: Option<&'a Array3<f64>>,
    /// Their weights.
    pub weights: ParticleWeights<'a>,
    /// The names of the coordinates, `[d]`.
    pub columns: &'a [String],
    /// What is known of each particle, `[n]`.
    pub attributes: &'a [Attribute],
    /// The genes behind these coordinates, whose expression is written for each particle and time.
    pub genes: Option<&'a Decoder>,
}

impl Particles<'_> {
    /// The expression of all particles, row by row time by time.
    pub(super) fn expression(&self) -> Option<Array2<f64>> {
        let (k, n, d) = self.points.dim();
        let rows = self.points.iter().copied().collect();
        let rows = Array2::from_shape_vec((k * n, d), rows).expect("as many numbers as before");
        let decoded = self.genes?.decode(&rows);
        Some(decoded.expect("a decoder of these columns"))
    }

    pub(super) fn times_are_numbers(&self) -> bool {
        self.labels.iter().all(|label| label.parse::<f64>().is_ok())
    }
}

/// Writes particles through time; [`read`](super::read()) takes the file for snapshots.
///
/// In `.npz`: `X` `[k, n, d]`, `t` `[k]`, `w` `[n]` or `[k, n]`, and every attribute as text `[n]`.
/// In tables one row for each particle and time, particle by particle: `particle` (from 0), `t`,
/// the coordinates, `w`, the attributes. In `.h5ad` the same rows, time by time. Constant weights that are equal are left out; changing
/// ones are written as they are. An attribute that is named as another column gets a `_` behind its
/// name.
///
/// The expression of genes is, in `.npz`, `expression` `[k, n, g]` with the names `genes` `[g]`; in
/// tables columns behind the others; and in `.h5ad` it is `X`, with the coordinates in
/// `obsm["X_pca"]` and velocities in genes in `layers["velocity"]`.
///
/// # Errors
/// Lengths that disagree, genes behind other coordinates, more than 2^27 numbers of expression, and
/// as [`write()`].
pub fn write_trajectories(path: &Path, particles: &Particles) -> Result<()> {
    let (k, n, d) = particles.points.dim();
    particles.weights.check(k, n)?;
    let weights = match particles.weights {
        ParticleWeights::Constant(w) if w.iter().all(|x| *x == w[0]) => ParticleWeights::Equal,
        given => given,
    };
    ensure!(
        particles.times.len() == k && particles.labels.len() == k,
        Shape,
        "expected one time and one label for each of {k} steps, got {} and {}",
        particles.times.len(),
        particles.labels.len()
    );
    if let Some(velocities) = particles.velocities {
        ensure!(
            velocities.dim() == (k, n, d),
            Shape,
            "expected velocities of the shape {:?} of the points, got {:?}",
            (k, n, d),
            velocities.dim()
        );
    }
    for attribute in particles.attributes {
        ensure!(
            attribute.values.len() == n,
            Shape,
            "expected a value of {:?} for each of {n} particles, got {}",
            attribute.name,
            attribute.values.len()
        );
    }
    check_columns(particles.columns, d)?;
    if let Some(genes) = particles.genes {
        ensure!(
            genes.columns() == particles.columns,
            Shape,
            "the genes are known behind the coordinates {}, and the particles have {}",
            genes.columns().join(", "),
            particles.columns.join(", ")
        );
        let count = genes.genes().len();
        ensure!(
            (k * n).saturating_mul(count) <= MOST_EXPRESSION,
            Value,
            "the expression of {count} genes in {n} particles at {k} times is more than 2^27 \
             numbers; choose fewer genes, times or particles"
        );
    }
    let format = within(path, || Format::of(path))?;
    let particles = Particles {
        weights,
        ..*particles
    };
    (format.write)(path, &Contents::Particles(particles))
}

/// How many numbers of expression are written at most: half a gigabyte in single precision.
const MOST_EXPRESSION: usize = 1 << 27;

/// What a file is to hold.
pub(super) enum Contents<'a> {
    Snapshots(&'a Snapshots),
    Particles(Particles<'a>),
}

/// A column of a table that is written.
pub(super) struct Column<'a> {
    pub name: Cow<'a, str>,
    pub cells: Cells<'a>,
}

type Each<'a, T> = Box<dyn Iterator<Item = T> + 'a>;

/// The cells of a column, from the first row to the last.
pub(super) enum Cells<'a> {
    Counts(Each<'a, usize>),
    Numbers(Each<'a, f64>),
    /// Times and their labels, and whether the labels are only numbers.
    Times(Each<'a, (f64, &'a str)>, bool),
    Texts(Each<'a, &'a str>),
}

impl<'a> Column<'a> {
    fn numbers(name: impl Into<Cow<'a, str>>, cells: impl Iterator<Item = f64> + 'a) -> Self {
        Self {
            name: name.into(),
            cells: Cells::Numbers(Box::new(cells)),
        }
    }
}

impl<'a> Contents<'a> {
    /// The columns of a table.
    pub(super) fn table(&self) -> Result<Vec<Column<'a>>> {
        match self {
            Self::Snapshots(snapshots) => snapshots_table(snapshots),
            Self::Particles(particles) => particles_table(particles),
        }
    }
}

fn snapshots_table(snapshots: &Snapshots) -> Result<Vec<Column<'_>>> {
    let (names, clouds) = (snapshots.columns(), snapshots.clouds());
    check_reserved(names, &["t", "w"])?;
    let times = snapshots.times().iter().zip(snapshots.labels()).zip(clouds);
    let times = times.flat_map(|((t, label), cloud)| repeat_n((*t, label.as_str()), cloud.len()));
    let mut table = vec![Column {
        name: "t".into(),
        cells: Cells::Times(Box::new(times), snapshots.axis().is_plain()),
    }];
    for (j, name) in names.iter().enumerate() {
        let column = clouds.iter().flat_map(move |c| c.points().column(j));
        table.push(Column::numbers(name, column.copied()));
    }
    if let Some(velocities) = snapshots.velocities() {
        for (j, name) in velocity_names(names)?.into_iter().enumerate() {
            let column = velocities.iter().flat_map(move |v| v.column(j));
            table.push(Column::numbers(name, column.copied()));
        }
    }
    if !has_default_weights(snapshots) {
        let weights = clouds.iter().flat_map(|cloud| cloud.weights());
        table.push(Column::numbers("w", weights.copied()));
    }
    let attributes = snapshots.attributes();
    for (attribute, name) in attributes.iter().zip(beside(&table, attributes)) {
        let cells = attribute.values.iter().map(|value| &**value);
        table.push(Column {
            name: name.into(),
            cells: Cells::Texts(Box::new(cells)),
        });
    }
    Ok(table)
}

/// The names of attributes beside the columns of a table.
fn beside(table: &[Column], attributes: &[Attribute]) -> Vec<String> {
    let taken: Vec<&str> = table.iter().map(|column| &*column.name).collect();
    free_names(attributes, &[&taken[..], &["t", "w"]].concat())
}

fn particles_table<'a>(particles: &Particles<'a>) -> Result<Vec<Column<'a>>> {
    let Particles {
        times,
        labels,
        points,
        velocities: _,
        weights,
        columns,
        attributes,
        genes,
    } = *particles;
    let is_plain = particles.times_are_numbers();
    check_reserved(columns, &["particle", "t", "w"])?;
    let (k, n, _) = points.dim();
    let each = move || (0..n).flat_map(move |i| (0..k).map(move |k| (i, k)));
    let mut table = vec![
        Column {
            name: "particle".into(),
            cells: Cells::Counts(Box::new(each().map(|(i, _)| i))),
        },
        Column {
            name: "t".into(),
            cells: match is_plain {
                true => Cells::Numbers(Box::new(each().map(|(_, k)| times[k]))),
                false => {
                    let cells = each().map(|(_, k)| (times[k], labels[k].as_str()));
                    Cells::Times(Box::new(cells), false)
                }
            },
        },
    ];
    for (j, name) in columns.iter().enumerate() {
        let column = each().map(move |(i, k)| points[[k, i, j]]);
        table.push(Column::numbers(name, column));
    }
    match weights {
        ParticleWeights::Equal => {}
        ParticleWeights::Constant(w) => table.push(Column::numbers("w", each().map(|(i, _)| w[i]))),
        ParticleWeights::Changing(w) => {
            table.push(Column::numbers("w", each().map(|(i, k)| w[[k, i]])));
        }
    }
    for (attribute, name) in attributes.iter().zip(beside(&table, attributes)) {
        let cells = each().map(|(i, _)| &*attribute.values[i]);
        table.push(Column {
            name: name.into(),
            cells: Cells::Texts(Box::new(cells)),
        });
    }
    if let (Some(genes), Some(expression)) = (genes, particles.expression()) {
        let expression = Arc::new(expression);
        for (g, gene) in genes.genes().iter().enumerate() {
            let is_taken = |name: &str| table.iter().any(|c| c.name.eq_ignore_ascii_case(name));
            let mut name = gene.clone();
            while is_taken(&name) {
                name.push('_');
            }
            let expression = expression.clone();
            let column = each().map(move |(i, k)| expression[[k * n + i, g]]);
            table.push(Column::numbers(name, column));
        }
    }
    Ok(table)
}

/// Whether the weights are those that [`read`](super::read()) supplies when a file has none.
pub(super) fn has_default_weights(snapshots: &Snapshots) -> bool {
    snapshots.clouds().iter().all(|cloud| {
        let expected = 1.0 / cloud.len() as f64;
        cloud.weights().iter().all(|w| *w == expected)
    })
}

#[cfg(test)]
mod tests;

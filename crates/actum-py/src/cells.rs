//! Fates of cells, and the genes behind them.

use std::{ops::ControlFlow, path::PathBuf};

use actum::{
    action::Device,
    data::Genes,
    error::Result,
    fates::{self, Change, Options, To},
    run,
};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;
use serde_json::json;

use crate::{
    run::Run,
    tables,
    work::{Watch, work},
};

/// Which cells, and where they end.
#[derive(FromPyObject)]
pub struct Ends {
    #[pyo3(item)]
    file: PathBuf,
    #[pyo3(item)]
    label: String,
    #[pyo3(item)]
    terminal: Vec<String>,
    #[pyo3(item)]
    neighbours: usize,
    #[pyo3(item)]
    paths: usize,
}

impl Ends {
    fn options(&self, run: &run::Run, cells: &run::Cells) -> Result<Options> {
        cells.fate_options(run, &self.terminal, self.neighbours, self.paths)
    }
}

/// JSON of tables, the probabilities with the two ends of their intervals, and the descendants.
type Told<'py> = (
    String,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<f64>>,
);

/// How many drivers of a fate have trends where no genes are chosen.
const STRONGEST: usize = 3;

fn go_on(watch: &Watch, done: usize, of: usize, what: &str) -> ControlFlow<()> {
    match watch.at(done, of, || what.to_owned()) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

/// The fates of the cells of a file, and trends of the genes that are named, of all, or of the
/// strongest.
#[pyfunction]
pub fn fates_of<'py>(
    py: Python<'py>,
    of: &Run,
    ends: Ends,
    clones: Option<String>,
    genes: Option<Vec<String>>,
    all_genes: bool,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Told<'py>> {
    let run = of.run();
    let (told, text) = work(py, progress.as_ref(), move |watch| {
        let dynamics = run.dynamics(&Device::cpu())?;
        let cells = run.cells(&ends.file)?;
        let options = ends.options(&run, &cells)?;
        let destinations = cells.destinations(&dynamics, &ends.label, options)?;
        let mut tell = |done, of| go_on(watch, done, of, "cells");
        let told = destinations.of_snapshots(&cells.snapshots, &mut tell)?;
        let labels = cells.attribute(&ends.label)?;
        let seed = run.snapshots()?.0.fit.seed;
        let clones = clones.map(|key| {
            let clones = cells.attribute(&key)?;
            fates::clones(&told, &cells.snapshots, labels, clones, seed)
        });
        let clones = clones
            .transpose()
            .map_err(|e| e.within(ends.file.display()))?;
        let asked = all_genes || genes.is_some();
        let drivers = match asked || Genes::reads(&ends.file) {
            true => match cells.drivers(&run, &dynamics, &told) {
                Err(error) if !asked => {
                    watch.warn(format!("no drivers and trends: {error}"));
                    None
                }
                drivers => Some(drivers?),
            },
            false => None,
        };
        let trends = drivers.as_ref().map(|drivers| match (all_genes, &genes) {
            (true, _) => cells.trends(&told, None),
            (false, Some(names)) => cells.trends(&told, Some(names)),
            (false, None) => cells.trends(&told, Some(&fates::strongest(drivers, STRONGEST))),
        });
        let trends = trends.transpose()?;
        let snapshots = &cells.snapshots;
        let times = snapshots.labels().iter().zip(snapshots.clouds());
        let times = times.flat_map(|(label, cloud)| std::iter::repeat_n(label, cloud.len()));
        let text = json!({
            "fates": told.names,
            "cells": cells.names()?,
            "rows": cells.rows,
            "times": times.collect::<Vec<_>>(),
            "labels": labels.values.iter().map(|label| &**label).collect::<Vec<&str>>(),
            "clones": clones,
            "drivers": drivers,
            "trends": trends,
        });
        Ok((told, text.to_string()))
    })?;
    Ok((
        text,
        told.probabilities.into_pyarray(py),
        told.low.into_pyarray(py),
        told.high.into_pyarray(py),
        told.descendants.into_pyarray(py),
    ))
}

/// JSON of what changes of expression would do to the fates of the cells of a time.
#[pyfunction]
pub fn perturb(
    py: Python,
    of: &Run,
    ends: Ends,
    start: Option<String>,
    changes: Vec<String>,
) -> PyResult<String> {
    let run = of.run();
    work(py, None, move |_| {
        let changes = changes.iter().map(|text| text.parse::<Change>());
        let changes = changes.collect::<Result<Vec<_>>>()?;
        let dynamics = run.dynamics(&Device::cpu())?;
        let cells = run.cells(&ends.file)?;
        let at = time_of(&cells, start.as_deref())?;
        let options = ends.options(&run, &cells)?;
        let destinations = cells.destinations(&dynamics, &ends.label, options)?;
        let (effects, shift) = cells.perturb(&run, &destinations, at, &changes)?;
        Ok(json!({"effects": effects, "shift": shift}).to_string())
    })
}

/// JSON of what a change of each gene alone would do.
#[pyfunction]
pub fn screen(
    py: Python,
    of: &Run,
    ends: Ends,
    start: Option<String>,
    genes: Option<Vec<String>>,
    to: String,
    progress: Option<Bound<PyAny>>,
) -> PyResult<String> {
    let run = of.run();
    work(py, progress.as_ref(), move |watch| {
        let to: To = to.parse()?;
        let dynamics = run.dynamics(&Device::cpu())?;
        let cells = run.cells(&ends.file)?;
        let at = time_of(&cells, start.as_deref())?;
        let options = ends.options(&run, &cells)?;
        let destinations = cells.destinations(&dynamics, &ends.label, options)?;
        let mut tell = |done, of| go_on(watch, done, of, "genes");
        let found = cells.screen(&run, &destinations, at, genes.as_deref(), to, &mut tell)?;
        Ok(json!({
            "genes": found.genes,
            "effects": found.effects,
            "unseen": found.unseen,
        })
        .to_string())
    })
}

fn time_of(cells: &run::Cells, start: Option<&str>) -> Result<usize> {
    start.map_or(Ok(0), |text| cells.snapshots.axis().index_of(text))
}

/// Learns the genes behind the coordinates of a run from a file; how many they are.
#[pyfunction]
pub fn learn_genes(py: Python, of: &Run, file: PathBuf) -> PyResult<Option<usize>> {
    let run = of.run();
    work(py, None, move |watch| {
        let keys = run.keys()?;
        Ok(match run.keep_genes_of(&file, &keys)? {
            Some(Err(error)) => {
                watch.warn(format!("the run knows no genes: {error}"));
                None
            }
            found => found.and_then(Result::ok),
        })
    })
}

/// The genes behind the coordinates of a run.
#[pyfunction]
pub fn genes_of(py: Python, of: &Run) -> PyResult<Vec<String>> {
    let run = of.run();
    work(py, None, move |_| Ok(run.genes()?.genes().to_vec()))
}

/// The expression of genes, all for None, at points.
#[pyfunction]
pub fn decode<'py>(
    py: Python<'py>,
    of: &Run,
    points: PyReadonlyArray2<'py, f64>,
    genes: Option<Vec<String>>,
) -> PyResult<(Vec<String>, Bound<'py, PyArray2<f64>>)> {
    let (run, points) = (of.run(), tables::points(&points));
    let (names, table) = work(py, None, move |_| {
        let known = run.genes()?;
        let decoder = match genes {
            None => known,
            Some(names) => known.select(&known.find(&names)?)?,
        };
        let table = decoder.decode(&points)?;
        Ok((decoder.genes().to_vec(), table))
    })?;
    Ok((names, table.into_pyarray(py)))
}

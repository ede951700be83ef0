//! Every time left out in turn.

use std::{ops::ControlFlow, path::PathBuf};

use actum::{
    error::{Error, Result},
    leave_out::{self, Evaluation, Method, Options, Protocol},
    problem::DataOptions,
    run::{Schema, SnapshotSettings},
};
use pyo3::prelude::*;
use serde_json::json;

use crate::{
    errors::in_python,
    run::collected,
    tables::{self, Given},
    work::work,
};

/// How an evaluation goes.
#[derive(FromPyObject)]
pub struct How {
    #[pyo3(item)]
    methods: Vec<String>,
    #[pyo3(item)]
    protocols: Vec<String>,
    #[pyo3(item)]
    seeds: usize,
    #[pyo3(item)]
    nested: bool,
    #[pyo3(item)]
    points: usize,
    #[pyo3(item)]
    output: Option<PathBuf>,
}

fn protocol(name: &String) -> Result<Protocol> {
    let known = Protocol::ALL.into_iter().find(|known| known.name() == name);
    let names = Protocol::ALL.map(Protocol::name);
    known.ok_or_else(|| Error::missing(format!("the protocol `{name}`"), names))
}

/// JSON of the report. `data_changes` are settings of the table `data`, `changes` of all methods.
#[pyfunction]
#[pyo3(signature = (data, keys, data_changes, changes, how, progress))]
pub fn evaluate(
    py: Python,
    data: Given,
    keys: Vec<(String, String)>,
    data_changes: Vec<(String, String)>,
    changes: Vec<(String, String)>,
    how: How,
    progress: Option<Bound<PyAny>>,
) -> PyResult<String> {
    let data = data.data();
    work(py, progress.as_ref(), move |watch| {
        let base: SnapshotSettings = collected(&SnapshotSettings::default(), None, &[])?;
        let told: Vec<(&str, &str)> = data_changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let seen = DataOptions {
            keys: tables::keys(keys),
            ..base.collect(None, &told)?.data
        };
        let snapshots = data.sample(&seen.keys, seen.shard, watch)?;
        let methods = match how.methods.is_empty() {
            true => Method::defaults(&snapshots, &seen)?,
            false => {
                let found = how.methods.iter().map(|name| Method::find(name));
                found.collect::<Result<_>>()?
            }
        };
        let changes: Vec<(&str, &str)> = changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let methods = methods.into_iter().map(|method| method.changed(&changes));
        let methods = methods.collect::<Result<Vec<_>>>()?;
        let options = Options {
            protocols: how.protocols.iter().map(protocol).collect::<Result<_>>()?,
            seeds: how.seeds,
            nested: how.nested,
            points: how.points,
        };
        let evaluation = Evaluation::new(&snapshots, &seen, methods, options)
            .map_err(|error| data.within(error))?;
        if how.output.is_some() {
            watch.keep();
        }
        let tell = |at: leave_out::Progress| {
            let message = || format!("{} of {} jobs", at.jobs, at.of_jobs);
            match watch.at(at.steps, at.of_steps, message) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let report = evaluation.run(how.output.as_deref(), &tell)?;
        let settings = match &report.best {
            Some(method) => Some(evaluation.settings(method)?),
            None => None,
        };
        let texts = |texts: &[String]| texts.iter().map(|t| in_python(t)).collect::<Vec<_>>();
        Ok(json!({
            "units": if seen.standardize { "standard deviations" } else { "units of the data" },
            "report": report,
            "settings": settings,
            "notes": texts(snapshots.notes()),
            "warnings": texts(&snapshots.warnings()),
        })
        .to_string())
    })
}

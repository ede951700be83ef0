//! Couplings and distances of points, and populations to try.

use std::collections::HashMap;

use actum::{
    Cloud,
    error::{Error, ErrorKind},
    gallery as populations, metric,
    transport::{self as couplings, Ground, Plan},
};
use ndarray::{Array1, Array2};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::{tables, work::work};

/// Points and weights.
type Weighted<'py> = (PyReadonlyArray2<'py, f64>, Option<Vec<f64>>);

/// Rows, columns and masses of a coupling, and numbers by their names.
type Coupled<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    HashMap<&'static str, f64>,
);

fn no_such(what: &str, name: &str, known: &[&str]) -> Error {
    Error::missing(format!("the {what} `{name}`"), known)
}

fn ground(name: &str) -> actum::Result<Ground> {
    match name {
        "euclidean" => Ok(Ground::Euclidean),
        "squared" => Ok(Ground::SquaredEuclidean),
        other => Err(no_such("ground cost", other, &["euclidean", "squared"])),
    }
}

type Clouds = (
    (Array2<f64>, Option<Vec<f64>>),
    (Array2<f64>, Option<Vec<f64>>),
);

fn clouds((a, b): Clouds) -> actum::Result<(Cloud, Cloud)> {
    let first = tables::cloud(a.0, a.1).map_err(|e| e.within("the first points"))?;
    let second = tables::cloud(b.0, b.1).map_err(|e| e.within("the second points"))?;
    Ok((first, second))
}

fn taken(a: &Weighted, b: &Weighted) -> Clouds {
    let one = |it: &Weighted| (tables::points(&it.0), it.1.clone());
    (one(a), one(b))
}

/// A coupling of two clouds by the method of this name.
#[pyfunction]
pub fn transport<'py>(
    py: Python<'py>,
    method: String,
    a: Weighted<'py>,
    b: Weighted<'py>,
    ground_cost: String,
    parameters: Vec<f64>,
) -> PyResult<Coupled<'py>> {
    let given = taken(&a, &b);
    let (plan, numbers) = work(py, None, move |_| {
        let ((a, b), ground) = (clouds(given)?, ground(&ground_cost)?);
        let named = |plan: Plan, more: &[(&'static str, f64)]| {
            let mut numbers = HashMap::from([("cost", plan.cost()), ("mass", plan.mass())]);
            numbers.extend(more.iter().copied());
            (plan, numbers)
        };
        Ok(match (method.as_str(), &parameters[..]) {
            ("exact", []) => named(couplings::exact(&a, &b, ground)?, &[]),
            ("line", []) => named(couplings::line(&a, &b, ground)?, &[]),
            ("entropic", [epsilon]) => {
                let found = couplings::entropic(&a, &b, ground, *epsilon)?;
                named(found.plan()?, &[("value", found.value())])
            }
            ("unbalanced", [epsilon, rho]) => {
                let found = couplings::unbalanced(&a, &b, ground, *epsilon, *rho)?;
                named(found.plan()?, &[("value", found.value())])
            }
            (other, _) => {
                let known = ["exact", "line", "entropic", "unbalanced"];
                return Err(no_such("coupling", other, &known));
            }
        })
    })?;
    let column =
        |of: fn((usize, usize, f64)) -> i64| -> Array1<i64> { plan.iter().map(of).collect() };
    let masses: Array1<f64> = plan.iter().map(|(_, _, mass)| mass).collect();
    Ok((
        column(|(i, _, _)| i as i64).into_pyarray(py),
        column(|(_, j, _)| j as i64).into_pyarray(py),
        masses.into_pyarray(py),
        numbers,
    ))
}

/// A distance of two clouds by its name.
#[pyfunction]
pub fn distance<'py>(
    py: Python<'py>,
    name: String,
    a: Weighted<'py>,
    b: Weighted<'py>,
    parameters: Vec<f64>,
    seed: u64,
) -> PyResult<f64> {
    let given = taken(&a, &b);
    work(py, None, move |_| {
        let (a, b) = clouds(given)?;
        match (name.as_str(), &parameters[..]) {
            ("w1", []) => metric::wasserstein_1(&a, &b),
            ("w2", []) => metric::wasserstein_2(&a, &b),
            ("energy", []) => metric::energy_distance(&a, &b),
            ("unbiased_energy", []) => metric::unbiased_energy_distance(&a, &b),
            ("mmd_squared", []) => metric::mmd_squared(&a, &b),
            ("mmd_squared", gammas) => metric::mmd_squared_with(&a, &b, gammas),
            ("sinkhorn_divergence", [epsilon]) => metric::sinkhorn_divergence(&a, &b, *epsilon),
            ("sliced_w2", [projections]) => {
                metric::sliced_wasserstein_2(&a, &b, *projections as usize, seed)
            }
            (other, _) => Err(no_such("distance", other, &["w1", "w2", "energy"])),
        }
    })
}

/// Names of populations, what they are, and the first and the last time.
#[pyfunction]
pub fn gallery_names() -> Vec<(&'static str, &'static str)> {
    populations::ENTRIES
        .iter()
        .map(|entry| (entry.name, entry.about))
        .collect()
}

/// Points, times and velocities of a population: `[sum of n, d]`, `[sum of n]`, `[sum of n, d]`.
type Population<'py> = (
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray2<f64>>,
);

/// A population of the gallery.
#[pyfunction]
#[pyo3(signature = (name, n, times, columns, seed))]
pub fn gallery<'py>(
    py: Python<'py>,
    name: String,
    n: usize,
    times: Option<Vec<f64>>,
    columns: Option<usize>,
    seed: u64,
) -> PyResult<Population<'py>> {
    let (points, at, velocities) = work(py, None, move |_| {
        let entry = populations::find(&name)?;
        let truth = entry.path(columns)?;
        let times = times.unwrap_or_else(|| entry.times(&*truth));
        let snapshots = populations::snapshots(&*truth, &times, n, seed)?;
        let d = snapshots.dimension();
        let rows = n * times.len();
        let stacked = |all: Vec<f64>| {
            Array2::from_shape_vec((rows, d), all).map_err(|cause| {
                Error::new(ErrorKind::Shape, "the points do not fit together").because(cause)
            })
        };
        let points = snapshots.clouds().iter().flat_map(|c| c.points().iter());
        let given = snapshots.velocities().unwrap_or_default();
        let velocities = given.iter().flatten();
        let at = times.iter().flat_map(|t| std::iter::repeat_n(*t, n));
        Ok((
            stacked(points.copied().collect())?,
            at.collect::<Array1<f64>>(),
            stacked(velocities.copied().collect())?,
        ))
    })?;
    Ok((
        points.into_pyarray(py),
        at.into_pyarray(py),
        velocities.into_pyarray(py),
    ))
}

/// Points and times: `[sum of n, d]`, `[sum of n]`.
type Points<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>);

/// Points and times of the population that `actum demo` makes, which splits in two.
#[pyfunction]
pub fn branching<'py>(
    py: Python<'py>,
    n: usize,
    times: Option<Vec<f64>>,
    seed: u64,
) -> PyResult<Points<'py>> {
    let (points, at) = work(py, None, move |_| {
        let times = times.unwrap_or(populations::Branching::TIMES.to_vec());
        let snapshots = populations::Branching.snapshots(&times, n, seed)?;
        let clouds: Vec<_> = snapshots
            .clouds()
            .iter()
            .map(|c| c.points().view())
            .collect();
        let points = ndarray::concatenate(ndarray::Axis(0), &clouds).map_err(|cause| {
            Error::new(ErrorKind::Shape, "the points do not fit together").because(cause)
        })?;
        let at = times.iter().flat_map(|t| std::iter::repeat_n(*t, n));
        Ok((points, at.collect::<Array1<f64>>()))
    })?;
    Ok((points.into_pyarray(py), at.into_pyarray(py)))
}

//! Data from Python: columns and matrices, or the name of a file.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use actum::{
    cloud::Cloud,
    data::{self, Keys, Snapshots, Split, TableReader, Values},
    error::{Error, ErrorKind, Result},
};
use ndarray::{Array1, Array2};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::{exceptions::PyTypeError, prelude::*};

use crate::{errors::raise, work::Watch};

/// Columns and matrices in memory.
#[pyclass(frozen, module = "actum._actum")]
pub struct Table(pub data::Table);

/// A matrix `[n, d]` and the names of its columns.
type Named<'py> = (Vec<String>, PyReadonlyArray2<'py, f64>);

/// Name, kind, values and codes.
type Column<'py> = (String, String, Bound<'py, PyAny>, Option<Vec<i64>>);

/// A table of columns `(name, kind, values, codes)`: kind is `float64`, `float32`, `float16`,
/// `seconds` with numbers, `text` with a list and codes, or `bool`, `date`, `else` with any numbers
/// for their count.
#[pyfunction]
pub fn table(
    py: Python,
    columns: Vec<Column>,
    points: Option<Named>,
    velocities: Option<Named>,
) -> PyResult<Table> {
    let columns = columns.into_iter().map(|(name, kind, values, codes)| {
        let numbers = || -> PyResult<Vec<f64>> {
            Ok(values
                .extract::<PyReadonlyArray1<f64>>()?
                .as_array()
                .to_vec())
        };
        let values = match kind.as_str() {
            "float64" => Values::Numbers(numbers()?),
            "float32" => Values::Singles(numbers()?),
            "float16" => Values::Halves(numbers()?),
            "seconds" => Values::Seconds(numbers()?),
            "text" => Values::Texts {
                list: values.extract()?,
                codes: codes.unwrap_or_default(),
            },
            "bool" => Values::Truths(values.len()?),
            "date" => Values::Dates(values.len()?),
            "else" => Values::Else(values.len()?),
            other => return Err(PyTypeError::new_err(format!("no kind of columns: {other}"))),
        };
        Ok((name, values))
    });
    let columns = columns.collect::<PyResult<Vec<_>>>()?;
    let made = || {
        let mut table = data::Table::new(columns)?;
        if let Some((names, points)) = points {
            table = table.with_points(names, points.as_array().to_owned())?;
        }
        if let Some((names, velocities)) = velocities {
            table = table.with_velocities(names, velocities.as_array().to_owned())?;
        }
        Ok(table)
    };
    made().map(Table).map_err(|error| raise(py, &error))
}

/// Where data are: in memory, or in a file.
#[derive(FromPyObject)]
pub enum Given {
    Memory(Py<Table>),
    File(PathBuf),
}

/// The same without the interpreter.
#[derive(Clone)]
pub enum Data {
    Memory(data::Table),
    File(PathBuf),
}

impl Given {
    pub fn data(self) -> Data {
        match self {
            Self::Memory(table) => Data::Memory(table.get().0.clone()),
            Self::File(path) => Data::File(path),
        }
    }
}

impl Data {
    pub fn open(&self, keys: &Keys) -> Result<TableReader> {
        match self {
            Self::Memory(table) => TableReader::of(table, keys),
            Self::File(path) => TableReader::open(path, keys),
        }
    }

    /// The keys with the components that they ask for.
    pub fn keys(&self, keys: &Keys, watch: &Watch) -> Result<Keys> {
        let mut keys = keys.clone();
        if keys.pca.is_some() {
            let Self::File(path) = self else {
                let what = "principal components are made of the counts of a file: give its name, \
                            or make them first, with scanpy.pp.pca(adata)";
                return Err(Error::new(ErrorKind::Setting, what));
            };
            let mut tell = |done, of| match watch.at(done, of, || "components".to_owned()) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            };
            keys.decoder = Some(Arc::new(data::principal_components(
                path, &keys, &mut tell,
            )?));
        }
        Ok(keys)
    }

    /// All rows, or, where some time has more than `shard`, so many at random: those that the
    /// program looks at.
    pub fn sample(&self, keys: &Keys, shard: usize, watch: &Watch) -> Result<Snapshots> {
        let how = Split {
            shard,
            seed: 0,
            most: 1,
            parts: actum::machines::Parts::all(1),
        };
        let mut tell = |_, _| match watch.goes_on() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let table = self.open(keys)?;
        table
            .shards(&how, &std::env::temp_dir(), &mut tell)?
            .shard(0)
    }

    /// An error in them with their name before it.
    pub fn within(&self, error: actum::Error) -> actum::Error {
        match self {
            Self::Memory(_) => error,
            Self::File(path) => error.within(path.display()),
        }
    }

    /// What a run remembers them by.
    pub fn name(&self) -> String {
        match self {
            Self::Memory(_) => "data in memory".to_owned(),
            Self::File(path) => absolute(path),
        }
    }
}

/// A name that holds in any folder.
pub fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or(path.to_owned());
    path.display().to_string()
}

/// Keys by their names.
pub fn keys(named: Vec<(String, String)>) -> Keys {
    let mut keys = Keys::default();
    for (name, value) in named {
        if let Some(key) = Keys::ALL.iter().find(|key| key.name == name) {
            *(key.field)(&mut keys) = Some(value);
        }
    }
    keys
}

pub fn points(given: &PyReadonlyArray2<f64>) -> Array2<f64> {
    let given = given.as_array();
    given.as_standard_layout().into_owned()
}

/// Points with weights, or without.
pub fn cloud(points: Array2<f64>, weights: Option<Vec<f64>>) -> Result<Cloud> {
    match weights {
        None => Cloud::new(points),
        Some(weights) => Cloud::weighted(points, Array1::from(weights)),
    }
}

/// A folder beside which there is room.
pub fn beside(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or(folder.to_owned());
    let there = folder.ancestors().skip(1).find(|folder| folder.is_dir());
    there.unwrap_or(Path::new(".")).to_owned()
}

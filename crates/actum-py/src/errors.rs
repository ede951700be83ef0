//! The library's errors as the exceptions of `actum._errors`.

use actum::{
    data::Keys,
    error::{Error, ErrorKind},
};
use pyo3::{prelude::*, types::PyType};

fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Io => "FileError",
        ErrorKind::Format => "FormatError",
        ErrorKind::Missing => "MissingError",
        ErrorKind::Shape => "ShapeError",
        ErrorKind::Value => "DataError",
        ErrorKind::Setting => "SettingError",
        ErrorKind::Exists => "ExistsError",
        ErrorKind::Version => "VersionError",
        ErrorKind::Diverged => "DivergedError",
        ErrorKind::Interrupted => "InterruptedError",
        ErrorKind::Memory => "DataError",
        ErrorKind::Busy => "ExistsError",
        _ => "InternalError",
    }
}

/// An exception of the class of this name.
pub fn exception(py: Python, class: &str, message: &str) -> PyErr {
    let found = py.import("actum._errors").and_then(|m| m.getattr(class));
    match found.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, (message.to_owned(),)),
        Err(error) => error,
    }
}

/// An error of the library as an exception.
pub fn raise(py: Python, error: &Error) -> PyErr {
    exception(py, name(error.kind()), &in_python(&error.to_string()))
}

/// A message of the library in the words of the package.
pub fn in_python(text: &str) -> String {
    let keys = Keys::ALL.iter().fold(text.to_owned(), |text, key| {
        let parameter = match key.name {
            "points_key" => "rep",
            name => name.trim_end_matches("_key"),
        };
        text.replace(&format!("`Keys::{}`", key.name), &format!("{parameter}="))
    });
    keys.replace("`Keys::pca`", "data.pca")
        .replace("`IfExists::Overwrite`", "overwrite=True")
        .replace("`IfExists::Resume`", "resume=True")
        .replace("`lagrangian.growth`", "growth=")
}

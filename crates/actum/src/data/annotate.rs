//! Copies of files with more in them.

use std::path::Path;

use ndarray::{Array1, Array2};

use super::{Format, Keys, within};
use crate::error::{Error, ErrorKind, Result};

/// What is known of every row of a file, in its order.
#[derive(Debug, Clone, Copy)]
pub struct Annotations<'a> {
    /// The names of the coordinates, `[d]`.
    pub columns: &'a [String],
    /// The coordinates, `[n, d]`.
    pub points: &'a Array2<f64>,
    /// The velocities, `[n, d]`.
    pub velocities: &'a Array2<f64>,
    /// Names and numbers `[n]`.
    pub numbers: &'a [(&'a str, &'a Array1<f64>)],
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Annotated {
    /// Where in the file it is.
    pub added: Vec<String>,
    /// Why it is alone in a file of its own, where nothing can be added to the kind of file.
    pub alone: Option<String>,
}

/// Whether [`annotate`] copies files of the format that the extension of this path names.
pub fn annotates(path: &Path) -> bool {
    Format::of(path).is_ok_and(|format| format.annotate.is_some())
}

/// Writes a copy of an AnnData file with what is known of its cells: velocities beside the
/// coordinates (`obsm["velocity_pca"]` for `X_pca`, `layers["velocity"]` for `X`, and
/// `obsm["velocity_actum"]` with `obsm["X_actum"]` for some columns of a matrix) and columns of
/// `obs`. All else stays as it is. A name that is taken gets a `_` behind it.
///
/// A file to which nothing can be added (HDF5 with dense link storage) is not copied:
/// what is known is then alone in the new file, and [`Annotated::alone`] says why.
///
/// # Errors
/// Another format, lengths that disagree, and as [`read`](super::read()) and [`write`](super::write()).
pub fn annotate(from: &Path, keys: &Keys, to: &Path, known: &Annotations) -> Result<Annotated> {
    within(from, || {
        let annotate = Format::of(from)?.annotate.filter(|_| annotates(to));
        let annotate = annotate.ok_or_else(|| {
            let what = "expected two .h5ad files: only a copy of one can be added to";
            Error::new(ErrorKind::Format, what)
        })?;
        annotate(from, keys, to, known)
    })
}

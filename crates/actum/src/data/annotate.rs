//! Copies of files with more in them.

use std::path::Path;

use ndarray::{Array1, Array2};

use super::{Format, Keys, within};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    genes::Decoder,
};

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
    /// The genes behind the coordinates, where they are known.
    pub genes: Option<&'a Decoder>,
    /// Further matrices of `obsm`, by their names, `[n, columns]`.
    pub obsm: &'a [(String, Array2<f64>)],
    /// The chances to go from a cell to another, `[n, n]`, for `obsp["T_actum"]`.
    pub transitions: Option<&'a SparseMatrix>,
}

/// A sparse matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseMatrix {
    /// How many rows and columns.
    pub shape: [usize; 2],
    /// The row, the column and the number of all that are not 0, by row and then by column.
    pub entries: Vec<(usize, usize, f64)>,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Annotated {
    /// Where in the file it is.
    pub added: Vec<String>,
    /// What was left out, and why.
    pub left_out: Option<String>,
    /// Why it is alone in a file of its own, where nothing can be added to the kind of file.
    pub alone: Option<String>,
}

/// Whether [`annotate`] copies files of the format that the extension of this path names.
pub fn annotates(path: &Path) -> bool {
    Format::of(path).is_ok_and(|format| format.annotate.is_some())
}

/// Writes a copy of an AnnData file with what is known of its cells: velocities beside the
/// coordinates (`obsm["velocity_pca"]` for `X_pca`, `layers["velocity"]` for `X`, and
/// `obsm["velocity_actum"]` with `obsm["X_actum"]` for some columns of a matrix), with known genes
/// `layers["velocity"]` in genes (NaN where a gene has no loadings; left out where cells times
/// genes are more than 2^28), and columns of `obs`. All else stays as it is. A name that is taken gets a
/// `_` behind it.
///
/// A file to which nothing can be added (a store of Zarr, HDF5 with dense link storage) is not
/// copied: what is known is then alone in the new file, and [`Annotated::alone`] says why.
///
/// # Errors
/// Another format, lengths that disagree, and as [`read`](super::read()) and
/// [`write`](super::write()).
pub fn annotate(from: &Path, keys: &Keys, to: &Path, known: &Annotations) -> Result<Annotated> {
    within(from, || {
        let is_file = |path: &Path| Format::of(path).is_ok_and(|format| !format.is_folder);
        let annotator = Format::of(from)?.annotate;
        let annotator = annotator.filter(|_| annotates(to) && is_file(to));
        let annotator = annotator.ok_or_else(|| {
            let what = "expected an AnnData file to read and an .h5ad file to write";
            Error::new(ErrorKind::Format, what)
        })?;
        (annotator.annotate)(from, keys, to, known)
    })
}

/// The embeddings of the cells of an AnnData file, such as `X_umap`: the matrices of `obsm` of two
/// or three columns, `[n, 2 or 3]`, by their names. Of other formats there are none.
///
/// # Errors
/// As [`read`](super::read()).
pub fn embeddings(path: &Path) -> Result<Vec<(String, Array2<f64>)>> {
    within(path, || match Format::of(path)?.annotate {
        Some(annotator) => (annotator.embeddings)(path),
        None => Ok(vec![]),
    })
}

/// The names of the cells of an AnnData file in its order, `[n]`.
///
/// # Errors
/// As [`read`](super::read()); another format.
pub fn cell_names(path: &Path) -> Result<Vec<String>> {
    within(path, || match Format::of(path)?.annotate {
        Some(annotator) => (annotator.names)(path),
        None => Err(Error::new(
            ErrorKind::Format,
            "names of cells are read from .h5ad alone",
        )),
    })
}

/// Writes a coupling of cells of these names to an AnnData file, as Waddington-OT does: `X` has the
/// masses, `obs` the cells of the rows and `var` those of the columns.
///
/// # Errors
/// Other names than rows and columns; another format; a file that cannot be written.
pub fn write_coupling(path: &Path, coupling: &SparseMatrix, names: [&[&str]; 2]) -> Result<()> {
    within(path, || {
        let lengths = names.map(<[&str]>::len);
        ensure!(
            lengths == coupling.shape,
            Shape,
            "expected names of {:?} rows and columns, got {lengths:?}",
            coupling.shape
        );
        let annotator = Format::of(path)?
            .annotate
            .ok_or_else(|| Error::new(ErrorKind::Format, "couplings are written to .h5ad alone"))?;
        (annotator.coupling)(path, coupling, names)
    })
}

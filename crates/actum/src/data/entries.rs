//! What a file holds beside what is read by default.

use std::path::Path;

use super::{Format, within};
use crate::error::Result;

/// A matrix or a column that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is: `X`, `obsm:X_pca`, `layer:counts`, `obs:day`.
    pub place: String,
    /// What it is, in a few words.
    pub about: String,
}

/// Lists what is in an AnnData file: matrices by the [`Keys`](super::Keys) that name them, then the
/// columns of `obs`. Of other formats nothing is listed.
///
/// # Errors
/// The file is missing, truncated or of another format.
pub fn entries(path: &Path) -> Result<Vec<Entry>> {
    within(path, || (Format::of(path)?.entries)(path))
}

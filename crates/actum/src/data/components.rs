//! Principal components of counts, where a file has none.

use std::{ops::ControlFlow, path::Path};

use super::{Format, Keys, extensions, within};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    genes::{self, Decoder},
};

/// After every so many cells the caller is told.
const TOLD: usize = 1000;

/// The [`pca`](Keys::pca) leading principal components of the counts of an AnnData file, as scanpy
/// computes them: every cell is brought to a sum of 10,000, logarithms of 1 + x are taken
/// (`normalize_total`, `log1p`), and of the 2,000 genes that vary most
/// (`highly_variable_genes(flavor="seurat")`) the components (`pca`). The counts are in `X` or the
/// layer that [`points_key`](Keys::points_key) names. The decoder becomes
/// [`Keys::decoder`]; its columns are `X_pca1`, `X_pca2`, ...
///
/// The file is read twice, some cells at a time; 80 MB are taken for the covariance of 2,000 genes.
/// `progress` is told how many cells of how many are read, and may stop it.
///
/// # Errors
/// Keys without `pca` or with velocities; another format; numbers that are no counts, cells without
/// any; fewer cells or varying genes than components; what is not finite; a damaged file;
/// [`Interrupted`](crate::error::ErrorKind::Interrupted) if `progress` asked to stop.
pub fn principal_components(
    path: &Path,
    keys: &Keys,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Decoder> {
    within(path, || of_file(path, keys, progress))
}

pub(super) fn of_file(
    path: &Path,
    keys: &Keys,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Decoder> {
    let known = extensions(|format| format.genes.is_some());
    let reader = Format::of(path)?.genes.as_ref();
    let reader = reader.ok_or_else(|| {
        let what = format!("principal components are made of counts of genes in {known} alone");
        Error::new(ErrorKind::Format, what)
    })?;
    ensure!(
        keys.velocity_key.is_none(),
        Setting,
        "velocities have no part in the principal components that are made here; compute both \
         together, in Python, and name them with `Keys::points_key` and `Keys::velocity_key`"
    );
    let count = keys.pca.unwrap_or_default();
    let (names, cells, _) = (reader.names)(path, keys)?;
    genes::check_distinct(&names)?;
    let done = std::cell::Cell::new(0);
    let progress = std::cell::RefCell::new(progress);
    let counts: &genes::Counts = &|take| {
        (reader.counts)(path, keys, &mut |genes, counts| {
            done.set(done.get() + 1);
            if done.get() % TOLD == 1 || done.get() == 2 * cells {
                let told = (progress.borrow_mut())(done.get(), 2 * cells);
                ensure!(
                    told.is_continue(),
                    Interrupted,
                    "stopped while the counts were read"
                );
            }
            take(genes, counts)
        })
    };
    genes::components(&names, count, counts)
}

//! Snapshots of a population, in files and in memory.
//!
//! [`read()`] takes files of the [formats](FORMATS): arrays (`.npz`), tables and AnnData. [`Keys`] name
//! the arrays or columns, if they have names of their own. Times are numbers or labels such as `Day 2`,
//! see [`TimeAxis`]. Without weights every time has mass 1. Velocities are read if
//! [`Keys::velocity_key`] names them.
//!
//! What is in memory already, as columns of a [`Table`], is looked at in the same way
//! ([`TableReader::of`]).
//!
//! [`read()`] holds all rows in memory; [`TableReader::shards`] splits a file that is larger than
//! memory into [`Shards`].
//!
//! [`Images`] are read from files of their own.

mod annotate;
mod attributes;
mod components;
mod entries;
mod formats;
mod genes;
mod images;
mod keys;
mod reader;
mod shards;
mod snapshots;
mod time;
mod writer;

use std::path::Path;

use self::formats::listed;
pub(crate) use self::images::LUMA;
#[cfg(feature = "train")]
pub(crate) use self::snapshots::default_columns;
pub use self::{
    annotate::{
        Annotated, Annotations, SparseMatrix, annotate, annotates, cell_names, embeddings,
        write_coupling,
    },
    attributes::{Attribute, read_attributes},
    components::principal_components,
    entries::{Entry, entries},
    formats::{FORMATS, Format, Table, Values, described, extensions},
    genes::Genes,
    images::{IMAGE_TARGETS, ImageTarget, Images},
    keys::{Key, Keys},
    reader::{Points, TableReader, read, read_matrix, read_points},
    shards::{Shards, Split},
    snapshots::Snapshots,
    time::TimeAxis,
    writer::{ParticleWeights, Particles, write, write_trajectories},
};
use crate::error::{ErrorKind, Result};

fn within<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    read().map_err(|error| match error.kind() {
        ErrorKind::Io => error,
        _ => error.within(path.display()),
    })
}

#[cfg(test)]
mod tests;

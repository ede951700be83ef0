//! Where in a file the numbers are.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    error::{Error, ErrorKind, Result},
    genes::Decoder,
};

/// Where in a file the times, points, weights and velocities are, if not where a
/// [format](super::FORMATS) has them by default. The fields are settings under their own names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Keys {
    /// The array or column of times.
    pub time_key: Option<String>,
    /// The array of points; in a table the columns of the coordinates, separated by commas: names,
    /// patterns (`PC_*`) and ranges (`PC_1..PC_30`). In AnnData all columns of `obsm:NAME`,
    /// `layer:NAME` or `X`, or columns of one of them, such as genes.
    pub points_key: Option<String>,
    /// The array or column of weights.
    pub weight_key: Option<String>,
    /// The array of velocities, of the shape of the points; in a table their columns, one for each
    /// coordinate and in that order, as in `points_key`. Without it no velocities are read.
    pub velocity_key: Option<String>,
    /// How many principal components are made of the counts of genes that `points_key` names, in
    /// AnnData `X` or `layer:NAME`: [`principal_components`](super::principal_components).
    pub pca: Option<usize>,
    /// The components, where they are known: those of a run, say. Without them they are computed
    /// anew for every reading.
    #[serde(skip)]
    pub decoder: Option<Arc<Decoder>>,
}

/// One of the [`Keys`].
#[derive(Debug)]
pub struct Key {
    /// The name of the field, and of the setting.
    pub name: &'static str,
    /// What it names.
    pub about: &'static str,
    /// The field.
    pub field: fn(&mut Keys) -> &mut Option<String>,
}

impl Keys {
    /// Whether the points are columns by their names, and not what has a place of its own.
    pub(crate) fn names_columns(&self) -> bool {
        let key = self.points_key.as_deref();
        key.is_some_and(|key| key != "X" && !self.names_part())
    }

    /// Checks that the points need not be made of counts of genes, which only formats of these
    /// extensions hold.
    pub(crate) fn check_made(&self, known: &str) -> Result<()> {
        match self.pca {
            // Where the components are known others may have the coordinates already.
            Some(_) if self.decoder.is_none() || !self.names_columns() => {}
            _ => return Ok(()),
        }
        let instead = match &self.decoder {
            Some(decoder) => format!("give the columns {}", decoder.columns().join(", ")),
            None => "compute them first, in Python: scanpy.pp.pca(adata)".to_owned(),
        };
        Err(Error::new(
            ErrorKind::Format,
            format!("principal components are made of counts of genes in {known} alone; {instead}"),
        ))
    }

    /// Whether the points are all columns of a part of AnnData, whose columns may be named as
    /// others are.
    pub(crate) fn names_part(&self) -> bool {
        let key = self.points_key.as_deref().unwrap_or_default();
        ["obsm:", "layer:"].iter().any(|part| key.starts_with(part))
    }

    /// All keys.
    pub const ALL: [Key; 4] = [
        Key {
            name: "time_key",
            about: "The array or column of times",
            field: |keys| &mut keys.time_key,
        },
        Key {
            name: "points_key",
            about: "The array of points (in .h5ad obsm:NAME, layer:NAME or X), or the columns of \
                    coordinates separated by commas: names, patterns (PC_*), ranges (PC_1..PC_30)",
            field: |keys| &mut keys.points_key,
        },
        Key {
            name: "weight_key",
            about: "The array or column of weights",
            field: |keys| &mut keys.weight_key,
        },
        Key {
            name: "velocity_key",
            about: "The array of velocities, or their columns separated by commas",
            field: |keys| &mut keys.velocity_key,
        },
    ];
}

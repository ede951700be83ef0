//! Arrays by name, in memory and as safetensors.

use std::{collections::HashMap, path::Path as FilePath};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// Numbers in row order, with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The name.
    pub name: String,
    /// How many there are along every axis.
    pub shape: Vec<usize>,
    /// As many numbers as the product of the shape.
    pub values: Vec<f32>,
}

/// Writes arrays and metadata to a safetensors file, whole or not at all.
pub(crate) fn write_arrays(
    path: &FilePath,
    arrays: &[Array],
    metadata: &[(&str, &str)],
) -> Result<()> {
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|a| a.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = arrays.iter().zip(&bytes).map(|(a, bytes)| {
        let view = TensorView::new(Dtype::F32, a.shape.clone(), bytes)
            .expect("an array has as many numbers as its shape says");
        (a.name.as_str(), view)
    });
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let whole = safetensors::serialize(views, Some(metadata))
        .map_err(|cause| Error::new(ErrorKind::Io, "cannot lay out safetensors").because(cause))?;
    store::replace(path, |out| out.write_all(&whole))
}

/// Reads what [`write_arrays`] wrote.
pub(crate) fn read_arrays(path: &FilePath) -> Result<(Vec<Array>, HashMap<String, String>)> {
    let bytes = store::read(path)?;
    let broken = |cause: safetensors::SafeTensorError| {
        Error::new(
            ErrorKind::Format,
            format!("{} is not a whole safetensors file", path.display()),
        )
        .because(cause)
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let arrays = tensors
        .iter()
        .map(|(name, view)| {
            ensure!(
                view.dtype() == Dtype::F32,
                Format,
                "{}: expected f32 in `{name}`, got {:?}",
                path.display(),
                view.dtype()
            );
            Ok(Array {
                name: name.to_owned(),
                shape: view.shape().to_vec(),
                values: view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
            })
        })
        .collect::<Result<_>>()?;
    Ok((arrays, metadata))
}

/// The values of the array of this name.
///
/// # Errors
/// No such array, or one of another shape.
pub(crate) fn find<'a>(arrays: &'a [Array], name: &str, shape: &[usize]) -> Result<&'a [f32]> {
    let Some(array) = arrays.iter().find(|array| array.name == name) else {
        let names = arrays.iter().map(|array| &array.name);
        return Err(Error::missing(format!("the parameter `{name}`"), names));
    };
    ensure!(
        array.shape == shape,
        Shape,
        "`{name}`: expected shape {shape:?}, got {:?}",
        array.shape
    );
    Ok(&array.values)
}

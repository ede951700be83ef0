//! Arrays by name, in memory and as safetensors.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    path::Path as FilePath,
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

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
    let bytes = arrays_to_bytes(arrays, metadata);
    store::replace(path, |out| out.write_all(&bytes))
}

/// Arrays and metadata as a safetensors file has them.
pub(crate) fn arrays_to_bytes(arrays: &[Array], metadata: &[(&str, &str)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|a| a.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = arrays.iter().zip(&bytes).map(|(a, bytes)| {
        let view = TensorView::new(Dtype::F32, a.shape.clone(), bytes)
            .expect("an array has as many numbers as its shape says");
        (a.name.as_str(), view)
    });
    let mut metadata: BTreeMap<String, String> = metadata
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    metadata.insert(HASH.to_owned(), hash(arrays, &metadata));
    let text = serde_json::to_string(&metadata).expect("texts are plain data");
    // The library writes several texts in an order of chance.
    let metadata = HashMap::from([(ALL.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).expect("views and texts can be laid out")
}

/// Under what name the file has all metadata.
const ALL: &str = "actum";

/// Under what name the metadata have the hash of all the rest.
const HASH: &str = "sha256";

/// The SHA-256 of arrays and metadata in the order of their names: the format has no checksum of
/// its own.
fn hash(arrays: &[Array], metadata: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (key, value) in metadata.iter().filter(|(key, _)| *key != HASH) {
        add(key.as_bytes());
        add(value.as_bytes());
    }
    let mut arrays: Vec<&Array> = arrays.iter().collect();
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    for array in arrays {
        add(array.name.as_bytes());
        let shape = array.shape.iter().flat_map(|n| (*n as u64).to_le_bytes());
        add(&shape.collect::<Vec<_>>());
        let values = array.values.iter().flat_map(|x| x.to_le_bytes());
        add(&values.collect::<Vec<_>>());
    }
    let hash = hash.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`write_arrays`] wrote.
pub(crate) fn read_arrays(path: &FilePath) -> Result<(Vec<Array>, BTreeMap<String, String>)> {
    arrays_in(&store::read(path)?, path.display())
}

/// What [`arrays_to_bytes`] made, which messages call `name`.
pub(crate) fn arrays_in(
    bytes: &[u8],
    name: impl Display,
) -> Result<(Vec<Array>, BTreeMap<String, String>)> {
    let broken = |cause: safetensors::SafeTensorError| {
        Error::new(
            ErrorKind::Format,
            format!("{name} is not a whole safetensors file"),
        )
        .because(cause)
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let texts = header.metadata().clone().unwrap_or_default();
    // A file of another program has none: it is refused for its hash.
    let metadata = texts
        .get(ALL)
        .and_then(|text| serde_json::from_str(text).ok());
    let metadata: BTreeMap<String, String> = metadata.unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let arrays = tensors
        .iter()
        .map(|(array, view)| {
            ensure!(
                view.dtype() == Dtype::F32,
                Format,
                "{name}: expected f32 in `{array}`, got {:?}",
                view.dtype()
            );
            Ok(Array {
                name: array.to_owned(),
                shape: view.shape().to_vec(),
                values: view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(
        metadata.get(HASH) == Some(&hash(&arrays, &metadata)),
        Format,
        "{name} is damaged: its numbers do not have the hash that was written with them"
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let array = |name: &str, shape: &[usize]| Array {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|i| i as f32).collect(),
        };
        let arrays = [array("b", &[2, 3]), array("a", &[3, 2])];
        write_arrays(&path, &arrays, &[("about", "{\"x\": 1}")]).unwrap();
        let (found, metadata) = read_arrays(&path).unwrap();
        assert_eq!((found.len(), metadata["about"].as_str()), (2, "{\"x\": 1}"));
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            // Spaces pad the header: they are the same as what a flip makes of some.
            if let Ok((read, about)) = read_arrays(&path) {
                assert_eq!(
                    (read, about),
                    (found.clone(), metadata.clone()),
                    "bit {bit}"
                );
            }
        }
    }
}

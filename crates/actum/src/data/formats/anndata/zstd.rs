//! Chunks of HDF5 that are compressed by Zstandard, which the crate that reads the file leaves packed.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use hdf5_pure::{Dataset, Datatype};
use ruzstd::decoding::StreamingDecoder;

use super::hdf5::Kind;
use crate::error::{Error, ErrorKind, Result, ensure};

const SHUFFLE: u16 = 2;
const ZSTD: u16 = 32015;

fn broken(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let what = "a chunk cannot be unpacked; the file may be damaged";
    Error::new(ErrorKind::Format, what).because(cause)
}

/// The numbers of some rows, row by row.
pub(super) fn numbers(
    path: &Path,
    dataset: &Dataset,
    kind: Kind,
    start: usize,
    rows: usize,
) -> Result<Vec<f64>> {
    let filters = dataset.filters();
    ensure!(
        filters == [ZSTD] || filters == [SHUFFLE, ZSTD],
        Format,
        "it is compressed by zstd together with other filters ({filters:?}), which is not read; \
         write it again in Python: adata.write_h5ad(file, compression=\"gzip\")"
    );
    let decode = decoder(kind, &dataset.datatype().map_err(broken)?)?;
    let size = dataset.element_size().map_err(broken)? as usize;
    let whole = |sizes: Vec<u64>| sizes.into_iter().map(|n| n as usize).collect::<Vec<_>>();
    let shape = whole(dataset.shape().map_err(broken)?);
    let chunk = whole(dataset.chunk_shape().map_err(broken)?.unwrap_or_default());
    ensure!(
        chunk.len() == shape.len() && matches!(shape.len(), 1 | 2) && chunk.iter().all(|n| *n > 0),
        Format,
        "its chunks of shape {chunk:?} do not fit the shape {shape:?}"
    );
    let width = shape.get(1).copied().unwrap_or(1);
    let chunk_width = chunk.get(1).copied().unwrap_or(1);
    // What no chunk holds is 0, as h5py and anndata write it.
    let mut numbers = vec![0.0; rows * width];
    let mut file = File::open(path).map_err(|cause| Error::io("read", path, cause))?;
    for piece in dataset.chunks().map_err(broken)? {
        let offset = whole(piece.offset);
        let (first, left) = (offset[0], offset.get(1).copied().unwrap_or(0));
        let last = first.saturating_add(chunk[0]);
        if last <= start || first >= start + rows || left >= width {
            continue;
        }
        // A chunk's mask has a bit for each filter, from the first, that was left out.
        let applies = |filter: u16| {
            let at = filters.iter().position(|other| *other == filter);
            at.is_some_and(|at| piece.filter_mask >> at & 1 == 0)
        };
        let count = chunk[0] * chunk_width;
        let (bytes, shuffled) = (count * size, applies(SHUFFLE));
        let place = (piece.address, piece.storage_size);
        let unpacked = unpack(&mut file, place, bytes, applies(ZSTD))?;
        let mut item = [0u8; 8];
        for row in first.max(start)..last.min(start + rows) {
            for column in left..width.min(left.saturating_add(chunk_width)) {
                let at = (row - first) * chunk_width + column - left;
                for (k, byte) in item[..size].iter_mut().enumerate() {
                    *byte = unpacked[if shuffled {
                        k * count + at
                    } else {
                        at * size + k
                    }];
                }
                numbers[(row - start) * width + column] = decode(&item);
            }
        }
    }
    Ok(numbers)
}

/// The bytes of a chunk that lies at an address in so many bytes.
fn unpack(
    file: &mut File,
    (at, length): (u64, u64),
    bytes: usize,
    is_packed: bool,
) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let mut read = || {
        file.seek(SeekFrom::Start(at))?;
        let mut source = (&mut *file).take(length);
        if !is_packed {
            return source.read_to_end(&mut unpacked);
        }
        let decoder = StreamingDecoder::new(source).map_err(std::io::Error::other)?;
        decoder.take(bytes as u64 + 1).read_to_end(&mut unpacked)
    };
    read().map_err(broken)?;
    ensure!(
        unpacked.len() == bytes,
        Format,
        "a chunk has {} bytes, expected {bytes}; the file may be damaged",
        unpacked.len()
    );
    Ok(unpacked)
}

/// Reads an item that is at the start of eight bytes.
fn decoder(kind: Kind, of: &Datatype) -> Result<fn(&[u8; 8]) -> f64> {
    fn first<const N: usize>(bytes: &[u8; 8]) -> [u8; N] {
        bytes[..N].try_into().expect("at most eight bytes")
    }
    let is_little = match of {
        Datatype::FixedPoint { byte_order, .. } | Datatype::FloatingPoint { byte_order, .. } => {
            *byte_order == hdf5_pure::DatatypeByteOrder::LittleEndian
        }
        _ => true,
    };
    Ok(match kind {
        Kind::Number("float64") if is_little => |b| f64::from_le_bytes(*b),
        Kind::Number("float32") if is_little => |b| f32::from_le_bytes(first(b)).into(),
        Kind::Number("int8") | Kind::Truth => |b| f64::from(b[0] as i8),
        Kind::Number("uint8") => |b| b[0].into(),
        Kind::Number("int16") if is_little => |b| i16::from_le_bytes(first(b)).into(),
        Kind::Number("uint16") if is_little => |b| u16::from_le_bytes(first(b)).into(),
        Kind::Number("int32") if is_little => |b| i32::from_le_bytes(first(b)).into(),
        Kind::Number("uint32") if is_little => |b| u32::from_le_bytes(first(b)).into(),
        Kind::Number("int64") if is_little => |b| i64::from_le_bytes(*b) as f64,
        Kind::Number("uint64") if is_little => |b| u64::from_le_bytes(*b) as f64,
        _ => {
            let what = "expected numbers, the lower byte first; got a type that is not read";
            return Err(Error::new(ErrorKind::Format, what));
        }
    })
}

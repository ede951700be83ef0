//! Chunks of HDF5 that are compressed by Zstandard, which the crate that reads the file leaves packed.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use hdf5_pure::{Dataset, Datatype, DatatypeByteOrder};
use ruzstd::decoding::StreamingDecoder;

use super::file::{Kind, decoder};
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
    let is_little = match dataset.datatype().map_err(broken)? {
        Datatype::FixedPoint { byte_order, .. } | Datatype::FloatingPoint { byte_order, .. } => {
            byte_order == DatatypeByteOrder::LittleEndian
        }
        _ => true,
    };
    ensure!(
        is_little,
        Format,
        "expected numbers, the lower byte first; got the higher byte first"
    );
    let decode = decoder(kind)?;
    let mut numbers = vec![];
    items(path, dataset, start, rows, |count| {
        // What no chunk holds is 0, as h5py and anndata write it.
        numbers.resize(count, 0.0);
        Box::new(|at: usize, bytes: &[u8]| {
            let mut item = [0u8; 8];
            item[..bytes.len()].copy_from_slice(bytes);
            numbers[at] = decode(&item);
            Ok(())
        })
    })?;
    Ok(numbers)
}

/// The texts of some rows of a list.
pub(super) fn texts(
    path: &Path,
    dataset: &Dataset,
    start: usize,
    rows: usize,
) -> Result<Vec<String>> {
    let is_fixed = matches!(dataset.datatype().map_err(broken)?, Datatype::String { .. });
    let mut heap = Heap::open(path)?;
    let mut texts = vec![];
    items(path, dataset, start, rows, |count| {
        texts.resize(count, String::new());
        Box::new(|at: usize, bytes: &[u8]| {
            let text = match is_fixed {
                // Padded by zeros or spaces.
                true => bytes.to_vec(),
                false => heap.text(bytes)?,
            };
            let text = String::from_utf8(text).map_err(broken)?;
            texts[at] = text.trim_end_matches(['\0', ' ']).to_owned();
            Ok(())
        })
    })?;
    Ok(texts)
}

type Take<'a> = Box<dyn FnMut(usize, &[u8]) -> Result<()> + 'a>;

/// Hands out the place and the bytes of every item of some rows that a chunk holds; `begin` is told
/// how many items there are.
fn items<'a>(
    path: &Path,
    dataset: &Dataset,
    start: usize,
    rows: usize,
    begin: impl FnOnce(usize) -> Take<'a>,
) -> Result<()> {
    let filters = dataset.filters();
    ensure!(
        filters == [ZSTD] || filters == [SHUFFLE, ZSTD],
        Format,
        "it is compressed by zstd together with other filters ({filters:?}), which is not read; \
         write it again in Python: adata.write_h5ad(file, compression=\"gzip\")"
    );
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
    let mut take = begin(rows * width);
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
        let mut item = vec![0u8; size];
        for row in first.max(start)..last.min(start + rows) {
            for column in left..width.min(left.saturating_add(chunk_width)) {
                let at = (row - first) * chunk_width + column - left;
                for (k, byte) in item.iter_mut().enumerate() {
                    *byte = unpacked[if shuffled {
                        k * count + at
                    } else {
                        at * size + k
                    }];
                }
                take((row - start) * width + column, &item)?;
            }
        }
    }
    Ok(())
}

/// Texts of any length lie together in collections; an item names the collection and the text.
struct Heap {
    file: File,
    length: u64,
    /// The collection that was read last: where it is, and the texts in it by their numbers.
    address: u64,
    texts: HashMap<u16, Vec<u8>>,
}

/// The bytes of an item: a length, an address and a number.
const ITEM: usize = 16;

impl Heap {
    fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            Ok((file.metadata()?.len(), file))
        };
        let (length, file) = open().map_err(|cause| Error::io("read", path, cause))?;
        Ok(Self {
            file,
            length,
            address: u64::MAX,
            texts: HashMap::new(),
        })
    }

    fn text(&mut self, item: &[u8]) -> Result<Vec<u8>> {
        ensure!(
            item.len() == ITEM,
            Format,
            "its texts are stored in {} bytes each, expected {ITEM}",
            item.len()
        );
        let address = u64::from_le_bytes(item[4..12].try_into().expect("eight bytes"));
        let number = u32::from_le_bytes(item[12..].try_into().expect("four bytes"));
        if item[..4] == [0; 4] || address == 0 {
            return Ok(vec![]);
        }
        if self.address != address {
            self.texts = self.collection(address)?;
            self.address = address;
        }
        let text = u16::try_from(number).ok().and_then(|n| self.texts.get(&n));
        let length = u32::from_le_bytes(item[..4].try_into().expect("four bytes")) as usize;
        let text = text.and_then(|text| text.get(..length));
        text.map(<[u8]>::to_vec)
            .ok_or_else(|| broken("a text is not where it should be"))
    }

    /// A collection at an address: after 16 bytes about itself it has objects, each with 16 bytes
    /// about itself, to a multiple of eight (HDF5 file format, III.E).
    fn collection(&mut self, address: u64) -> Result<HashMap<u16, Vec<u8>>> {
        let outside = || broken("a collection of texts lies outside of the file");
        let read = |file: &mut File, at: u64, count: u64| {
            let mut bytes = vec![];
            file.seek(SeekFrom::Start(at)).map_err(broken)?;
            file.take(count).read_to_end(&mut bytes).map_err(broken)?;
            Ok::<_, Error>(bytes)
        };
        let start = read(&mut self.file, address, 16)?;
        let size = start
            .get(8..16)
            .map(|it| u64::from_le_bytes(it.try_into().expect("eight")));
        let size = size.filter(|size| {
            let fits = address
                .checked_add(*size)
                .is_some_and(|end| end <= self.length);
            fits && start.starts_with(b"GCOL\x01")
        });
        let bytes = read(&mut self.file, address, size.ok_or_else(outside)?)?;
        let (mut texts, mut at) = (HashMap::new(), 16);
        while let Some(head) = bytes.get(at..at + 16) {
            let number = u16::from_le_bytes([head[0], head[1]]);
            let length = u64::from_le_bytes(head[8..].try_into().expect("eight bytes"));
            // What is free is the end.
            if number == 0 {
                break;
            }
            let length = usize::try_from(length).map_err(broken)?;
            let end = (at + 16).checked_add(length).ok_or_else(outside)?;
            texts.insert(
                number,
                bytes.get(at + 16..end).ok_or_else(outside)?.to_vec(),
            );
            at = end.next_multiple_of(8);
        }
        Ok(texts)
    }
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
        let mut decoder = StreamingDecoder::new(source).map_err(std::io::Error::other)?;
        let read = (&mut decoder)
            .take(bytes as u64 + 1)
            .read_to_end(&mut unpacked)?;
        let sums = &decoder.decoder;
        let expected = sums.get_checksum_from_data();
        if expected.is_some() && expected != sums.get_calculated_checksum() {
            return Err(std::io::Error::other("its checksum differs"));
        }
        Ok(read)
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

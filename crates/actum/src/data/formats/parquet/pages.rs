//! The pages of a Parquet column compressed with zstd, in Rust: the `parquet` crate would link a
//! C library for them. Page headers are structs in Thrift's compact protocol, see
//! `parquet.thrift` and `Compression.md` of the Apache Parquet format.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use bytes::Bytes;
use flate2::Crc;
use parquet::{
    basic::{Compression, Encoding},
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::reader::ChunkReader,
};
use ruzstd::decoding::StreamingDecoder;

use crate::memory;

/// The pages of one column chunk, decompressed one after another.
pub(super) struct ZstdPages<R> {
    file: Arc<R>,
    /// Where the next page starts, and where the chunk ends.
    at: u64,
    end: u64,
    next: Option<Page>,
}

/// Goes through the headers of the pages in `length` bytes from `start` on: they must be whole, and
/// the pages within the chunk. The crate's own parser goes through some damaged headers for ever,
/// and takes the memory that a header asks for.
pub(super) fn check<R: ChunkReader>(
    file: Arc<R>,
    (start, length): (u64, u64),
    codec: Compression,
) -> Result<()> {
    let mut pages = ZstdPages::new(file, start, length);
    // Deflate makes no more of a byte, snappy and lz4 less; zstd knows no bound.
    let grows = match codec {
        Compression::ZSTD(_) | Compression::BROTLI(_) => usize::MAX,
        _ => 1032,
    };
    while pages.at < pages.end {
        let (header, length) = pages.header()?;
        let (unpacked, size) = (header.size(2)?, header.size(3)?);
        if size as u64 > pages.end - pages.at - length {
            return Err(damaged("a page that ends early"));
        }
        if unpacked > size.saturating_mul(grows).max(1 << 16) {
            return Err(damaged("a page larger than it can be"));
        }
        memory::check(&[], unpacked, "a page").map_err(|e| ParquetError::External(e.into()))?;
        pages.at += length + size as u64;
    }
    Ok(())
}

/// How many bytes are read for a page header at first.
const HEADER: u64 = 1 << 10;

impl<R: ChunkReader> ZstdPages<R> {
    /// The pages in `length` bytes of a file from `start` on.
    pub(super) fn new(file: Arc<R>, start: u64, length: u64) -> Self {
        Self {
            file,
            at: start,
            end: start.saturating_add(length),
            next: None,
        }
    }

    /// The header of the next page, and the bytes it takes. Statistics make some headers long.
    fn header(&self) -> Result<(Fields, u64)> {
        let left = self.end - self.at;
        let mut length = HEADER.min(left);
        loop {
            let bytes = self.file.get_bytes(self.at, length as usize)?;
            let mut rest = Compact(&bytes);
            if let Some(header) = rest.structure(0) {
                return Ok((header, length - rest.0.len() as u64));
            }
            if length == left {
                return Err(damaged("a page header"));
            }
            length = (8 * length).min(left);
        }
    }

    /// Makes the next page of values or of a dictionary ready, if there is one.
    fn ready(&mut self) -> Result<Option<&Page>> {
        while self.next.is_none() && self.at < self.end {
            let (header, length) = self.header()?;
            let size = header.size(3)?;
            if size as u64 > self.end - self.at - length {
                return Err(damaged("a page that ends early"));
            }
            let body = self.file.get_bytes(self.at + length, size)?;
            let mut sum = Crc::new();
            sum.update(&body);
            if header.integer(4).is_some_and(|crc| crc as u32 != sum.sum()) {
                return Err(damaged("the checksum of a page differs"));
            }
            self.at += length + size as u64;
            self.next = page(&header, &body)?;
        }
        Ok(self.next.as_ref())
    }
}

fn page(header: &Fields, body: &[u8]) -> Result<Option<Page>> {
    let size = header.size(2)?;
    Ok(match header.size(1)? {
        0 => {
            let about = header.structure(5)?;
            Some(Page::DataPage {
                buf: decompressed(body, 0, size)?,
                num_values: about.count(1)?,
                encoding: about.encoding(2)?,
                def_level_encoding: about.encoding(3)?,
                rep_level_encoding: about.encoding(4)?,
                statistics: None,
            })
        }
        2 => {
            let about = header.structure(7)?;
            Some(Page::DictionaryPage {
                buf: decompressed(body, 0, size)?,
                num_values: about.count(1)?,
                encoding: about.encoding(2)?,
                is_sorted: about.integer(3) == Some(1),
            })
        }
        3 => {
            let about = header.structure(8)?;
            let levels = about.size(5)? + about.size(6)?;
            let is_compressed = about.integer(7) != Some(0);
            Some(Page::DataPageV2 {
                buf: if is_compressed {
                    decompressed(body, levels, size)?
                } else {
                    Bytes::copy_from_slice(body)
                },
                num_values: about.count(1)?,
                num_nulls: about.count(2)?,
                num_rows: about.count(3)?,
                encoding: about.encoding(4)?,
                def_levels_byte_len: about.count(5)?,
                rep_levels_byte_len: about.count(6)?,
                is_compressed: false,
                statistics: None,
            })
        }
        _ => None,
    })
}

/// The first `plain` bytes as they are and the rest decompressed, `size` bytes in all.
fn decompressed(body: &[u8], plain: usize, size: usize) -> Result<Bytes> {
    let (plain, packed) = body
        .split_at_checked(plain)
        .ok_or_else(|| damaged("a page that ends early"))?;
    let mut out = plain.to_vec();
    if size > out.len() {
        let left = (size - out.len()) as u64;
        let zstd = |error: String| ParquetError::General(format!("zstd: {error}"));
        let mut decoder = StreamingDecoder::new(packed).map_err(|e| zstd(e.to_string()))?;
        (&mut decoder)
            .take(left + 1)
            .read_to_end(&mut out)
            .map_err(|e| zstd(e.to_string()))?;
        let sums = &decoder.decoder;
        let expected = sums.get_checksum_from_data();
        if expected.is_some() && expected != sums.get_calculated_checksum() {
            return Err(damaged("the checksum of a page differs"));
        }
    }
    if out.len() != size {
        return Err(damaged("a page of another size than it says"));
    }
    Ok(out.into())
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("the file is damaged: {what}"))
}

impl<R: ChunkReader> Iterator for ZstdPages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for ZstdPages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.ready()?;
        Ok(self.next.take())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Ok(self.ready()?.map(|page| PageMetadata {
            num_rows: match page {
                Page::DataPageV2 { num_rows, .. } => Some(*num_rows as usize),
                _ => None,
            },
            num_levels: page.is_data_page().then(|| page.num_values() as usize),
            is_dict: page.is_dictionary_page(),
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.get_next_page().map(drop)
    }
}

/// A field of a Thrift struct; texts and numbers with a point are passed over. No page header has a
/// list.
enum Field {
    Integer(i64),
    Structure(Fields),
    Other,
}

struct Fields(BTreeMap<i64, Field>);

impl Fields {
    fn integer(&self, id: i64) -> Option<i64> {
        match self.0.get(&id)? {
            Field::Integer(value) => Some(*value),
            _ => None,
        }
    }

    fn size(&self, id: i64) -> Result<usize> {
        Ok(self.count(id)? as usize)
    }

    fn count(&self, id: i64) -> Result<u32> {
        let value = self.integer(id).and_then(|value| u32::try_from(value).ok());
        value.ok_or_else(|| damaged("an incomplete page header"))
    }

    fn encoding(&self, id: i64) -> Result<Encoding> {
        let value = self.count(id)?;
        let known = Encoding::VARIANTS.iter().find(|e| **e as u32 == value);
        known.copied().ok_or_else(|| damaged("an unknown encoding"))
    }

    fn structure(&self, id: i64) -> Result<&Self> {
        match self.0.get(&id) {
            Some(Field::Structure(fields)) => Ok(fields),
            _ => Err(damaged("an incomplete page header")),
        }
    }
}

/// Bytes in Thrift's compact protocol, consumed from the front.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Option<Fields> {
        let mut fields = BTreeMap::new();
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Some(Fields(fields));
            }
            id = match byte >> 4 {
                0 => self.zigzag()?,
                step => id + i64::from(step),
            };
            let field = match byte & 0x0f {
                truth @ (1 | 2) => Field::Integer(i64::from(truth == 1)),
                kind => self.value(kind, depth)?,
            };
            fields.insert(id, field);
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Field> {
        // Page headers nest three deep. A damaged file must not exhaust the stack.
        if depth > 8 {
            return None;
        }
        match kind {
            3 => self.skip(1)?,
            4..=6 => return self.zigzag().map(Field::Integer),
            7 => self.skip(8)?,
            8 => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            12 => return self.structure(depth + 1).map(Field::Structure),
            _ => return None,
        }
        Some(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thrift_structs_are_read_by_field() {
        // {1: i32 150 (zigzag 300 = ac 02), 2: true, 3: "ab", 5: {1: i32 -1}, 20: i64 7}
        let bytes = [
            0x15, 0xac, 0x02, 0x11, 0x18, 2, b'a', b'b', 0x2c, 0x15, 1, 0, 0x06, 40, 14, 0, 99,
        ];
        let mut compact = Compact(&bytes);
        let fields = compact.structure(0).unwrap();
        assert_eq!(fields.integer(1), Some(150));
        assert_eq!(fields.integer(2), Some(1));
        assert!(fields.integer(3).is_none());
        assert_eq!(fields.structure(5).unwrap().integer(1), Some(-1));
        assert_eq!(fields.integer(20), Some(7));
        assert_eq!(compact.0, [99]);
        for end in 0..bytes.len() - 1 {
            assert!(Compact(&bytes[..end]).structure(0).is_none());
        }
        assert!(Compact(&[0x1c; 1000]).structure(0).is_none());
    }

    #[test]
    fn headers_are_checked_to_the_end_of_the_chunk() {
        let checked = |bytes: &'static [u8]| {
            let all = (0, bytes.len() as u64);
            check(
                Arc::new(Bytes::from_static(bytes)),
                all,
                Compression::SNAPPY,
            )
        };
        // Two pages of two bytes; then one that claims 4, a list, and 2^30 bytes out of two.
        let page = [0x15, 0, 0x15, 4, 0x15, 4, 0, 1, 2];
        let two: &'static [u8] = Box::leak([page, page].concat().into_boxed_slice());
        assert!(checked(two).is_ok());
        assert!(checked(&[0x15, 0, 0x15, 4, 0x15, 8, 0, 1, 2]).is_err());
        assert!(checked(&[0x15, 0, 0x15, 4, 0x15, 4, 0x19, 0x15, 2, 0, 1, 2]).is_err());
        assert!(checked(&[0x15, 0, 0x15, 128, 128, 128, 128, 8, 0x15, 4, 0, 1, 2]).is_err());
    }

    #[test]
    fn damaged_chunks_are_errors() {
        let first = |bytes: &'static [u8]| {
            let file = Arc::new(Bytes::from_static(bytes));
            ZstdPages::new(file, 0, bytes.len() as u64).get_next_page()
        };
        assert!(first(&[0x15, 0, 0x15, 8, 0x15, 200, 1, 0, 1, 2]).is_err());
        assert!(first(&[0x15, 0, 0x15, 8, 0x15, 4, 0x2c, 0x15, 2, 0, 0, 1, 2]).is_err());
    }
}

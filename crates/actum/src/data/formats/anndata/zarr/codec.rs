//! How the bytes of a chunk are unpacked.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

use super::blosc;
use crate::error::{Error, ErrorKind, Result, ensure};

/// What to do with what is not read.
pub(super) const ADVICE: &str =
    "write it as a file, in Python: anndata.read_zarr(store).write_h5ad('cells.h5ad')";

/// How the items of an unpacked chunk lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Of one length, row by row.
    Numbers,
    /// Of one length, column by column.
    Turned,
    /// A count, then each with its length before it (NumCodecs' VLenUTF8).
    Texts,
    /// Of one length, four bytes a letter.
    Wide,
    /// Of one length, bytes of UTF-8.
    Narrow,
}

/// Chunks that lie together in a file.
pub(super) struct Shards {
    pub chunk: Vec<usize>,
    /// Whether four bytes check the index.
    pub is_summed: bool,
    /// Whether the index is at the start, not at the end.
    pub is_first: bool,
}

/// A step of unpacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zlib,
    Zstd,
    Lz4,
    Blosc,
    Crc32c,
}

pub(super) fn broken(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let what = "a chunk cannot be unpacked; the store may be damaged";
    Error::new(ErrorKind::Format, what).because(cause)
}

impl Codec {
    /// By the name of format 2 or 3.
    pub(super) fn of(name: &str) -> Result<Self> {
        Ok(match name {
            "gzip" | "numcodecs.gzip" => Self::Gzip,
            "zlib" | "numcodecs.zlib" => Self::Zlib,
            "zstd" | "numcodecs.zstd" => Self::Zstd,
            "lz4" | "numcodecs.lz4" => Self::Lz4,
            "blosc" | "numcodecs.blosc" => Self::Blosc,
            "crc32c" => Self::Crc32c,
            _ => {
                let what = format!("it is packed by {name:?}, which is not read; {ADVICE}");
                return Err(Error::new(ErrorKind::Format, what));
            }
        })
    }

    /// Unpacks into `most` bytes at most.
    pub(super) fn unpack(self, bytes: &[u8], most: usize) -> Result<Vec<u8>> {
        let mut unpacked = vec![];
        let limit = most as u64 + 1;
        match self {
            Self::Gzip => flate2::read::MultiGzDecoder::new(bytes)
                .take(limit)
                .read_to_end(&mut unpacked)
                .map_err(broken)?,
            Self::Zlib => flate2::read::ZlibDecoder::new(bytes)
                .take(limit)
                .read_to_end(&mut unpacked)
                .map_err(broken)?,
            Self::Zstd => {
                let decoder = StreamingDecoder::new(bytes).map_err(broken)?;
                decoder
                    .take(limit)
                    .read_to_end(&mut unpacked)
                    .map_err(broken)?
            }
            Self::Lz4 => {
                let (size, packed) = bytes
                    .split_first_chunk()
                    .ok_or_else(|| broken("it has no length"))?;
                let size = u32::from_le_bytes(*size) as usize;
                ensure!(
                    size <= most,
                    Format,
                    "a chunk claims {size} bytes, at most {most} are expected; the store may be damaged"
                );
                unpacked.resize(size, 0);
                lz4_flex::block::decompress_into(packed, &mut unpacked).map_err(broken)?
            }
            Self::Blosc => {
                unpacked = blosc::unpack(bytes, most)?;
                unpacked.len()
            }
            Self::Crc32c => {
                let (content, sum) = bytes
                    .split_last_chunk()
                    .ok_or_else(|| broken("it has no checksum"))?;
                check_sum(content, *sum)?;
                unpacked.extend_from_slice(content);
                unpacked.len()
            }
        };
        ensure!(
            unpacked.len() <= most,
            Format,
            "a chunk has more than the {most} bytes that are expected; the store may be damaged"
        );
        Ok(unpacked)
    }
}

/// Checks Castagnoli's checksum (RFC 3720, B.4).
pub(super) fn check_sum(content: &[u8], expected: [u8; 4]) -> Result<()> {
    let found = crc32c(content).to_le_bytes();
    ensure!(
        found == expected,
        Format,
        "a checksum is {found:02x?}, expected {expected:02x?}; the store may be damaged"
    );
    Ok(())
}

fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let (mut table, mut byte) = ([0; 256], 0);
        while byte < 256 {
            let (mut sum, mut bit) = (byte as u32, 0);
            while bit < 8 {
                sum = (sum >> 1) ^ (0x82f6_3b78 * (sum & 1));
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[((sum as u8) ^ byte) as usize];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_unknown_step_is_named() {
        let error = Codec::of("jpeg2k").unwrap_err().to_string();
        assert!(
            error.contains("\"jpeg2k\"") && error.contains("write_h5ad"),
            "{error}"
        );
    }
}

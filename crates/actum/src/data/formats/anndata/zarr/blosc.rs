//! Blosc, version 1 of its format: blocks of packed bytes, shuffled before they were packed
//! (README_CHUNK_FORMAT of C-Blosc).

use super::codec::{ADVICE, Codec, broken};
use crate::error::{Error, ErrorKind, Result, ensure};

/// The bytes before the blocks.
const HEAD: usize = 16;

/// A block is packed byte by byte of its items, if they are no wider and it is no shorter.
const WIDEST: usize = 16;
const SHORTEST: usize = 128;

const BYTES: u8 = 1;
const STORED: u8 = 2;
const BITS: u8 = 4;
const WHOLE: u8 = 16;

pub(super) fn unpack(bytes: &[u8], most: usize) -> Result<Vec<u8>> {
    let head = bytes.first_chunk::<HEAD>();
    let head = head.ok_or_else(|| broken("it is shorter than the head of Blosc"))?;
    let number = |at: usize| {
        let number = bytes.get(at..at + 4).map(|it| it.try_into().expect("four"));
        number.map(|it| u32::from_le_bytes(it) as usize)
    };
    let part = |at: usize, length: usize| {
        let end = at.checked_add(length);
        end.and_then(|end| bytes.get(at..end))
            .ok_or_else(|| broken("it ends too early"))
    };
    let (flags, width) = (head[2], usize::from(head[3].max(1)));
    let (size, block) = (
        number(4).expect("in the head"),
        number(8).expect("in the head"),
    );
    ensure!(
        size <= most,
        Format,
        "a chunk claims {size} bytes, at most {most} are expected; the store may be damaged"
    );
    if flags & STORED != 0 {
        return Ok(part(HEAD, size)?.to_vec());
    }
    if size == 0 {
        return Ok(vec![]);
    }
    let codec = match flags >> 5 {
        1 => Codec::Lz4,
        3 => Codec::Zlib,
        4 => Codec::Zstd,
        other => {
            let name = ["blosclz", "", "snappy"].get(usize::from(other));
            let name = name.copied().unwrap_or("an unknown compressor");
            let what = format!("it is packed by Blosc with {name}, which is not read; {ADVICE}");
            return Err(Error::new(ErrorKind::Format, what));
        }
    };
    ensure!(
        block > 0,
        Format,
        "a chunk has blocks of no bytes; the store may be damaged"
    );
    let mut all = vec![0; size];
    for (index, into) in all.chunks_mut(block).enumerate() {
        let start = number(HEAD + 4 * index).ok_or_else(|| broken("it ends too early"))?;
        let is_split = flags & WHOLE == 0
            && width <= WIDEST
            && block / width >= SHORTEST
            && into.len() == block
            && block.is_multiple_of(width);
        let length = into.len() / if is_split { width } else { 1 };
        let (mut at, mut unpacked) = (start, Vec::with_capacity(into.len()));
        for _ in 0..into.len() / length {
            let packed = number(at).ok_or_else(|| broken("it ends too early"))?;
            let packed = part(at + 4, packed)?;
            at += 4 + packed.len();
            if packed.len() == length {
                unpacked.extend_from_slice(packed);
                continue;
            }
            let from = unpacked.len();
            if codec == Codec::Lz4 {
                unpacked.resize(from + length, 0);
                let count = lz4_flex::block::decompress_into(packed, &mut unpacked[from..]);
                unpacked.truncate(from + count.map_err(broken)?);
            } else {
                unpacked.extend(codec.unpack(packed, length)?);
            }
            ensure!(
                unpacked.len() == from + length,
                Format,
                "a block has {} bytes, expected {length}; the store may be damaged",
                unpacked.len() - from
            );
        }
        match flags & (BYTES | BITS) {
            BYTES if width > 1 => unshuffle(&unpacked, width, into),
            // What is not a whole number of bytes of bits was left as it is.
            BITS if (into.len() / width).is_multiple_of(8) => {
                unshuffle_bits(&unpacked, width, into)
            }
            _ => into.copy_from_slice(&unpacked),
        }
    }
    Ok(all)
}

/// First the first bytes of all items, then the second ones.
fn unshuffle(from: &[u8], width: usize, into: &mut [u8]) {
    let count = from.len() / width;
    for (k, bytes) in from[..count * width].chunks_exact(count.max(1)).enumerate() {
        for (item, byte) in bytes.iter().enumerate() {
            into[item * width + k] = *byte;
        }
    }
    into[count * width..].copy_from_slice(&from[count * width..]);
}

/// First the lowest bits of the first bytes of all items, eight to a byte.
fn unshuffle_bits(from: &[u8], width: usize, into: &mut [u8]) {
    let count = from.len() / width;
    into[..count * width].fill(0);
    for (plane, bits) in from[..count * width]
        .chunks_exact((count / 8).max(1))
        .enumerate()
    {
        let (k, bit) = (plane / 8, plane % 8);
        for (eight, bits) in bits.iter().enumerate() {
            for item in 0..8 {
                into[(8 * eight + item) * width + k] |= (bits >> item & 1) << bit;
            }
        }
    }
    into[count * width..].copy_from_slice(&from[count * width..]);
}

//! Rows out of chunks.

use std::{
    cell::RefCell,
    fs::File,
    io::{ErrorKind as IoKind, Read, Seek, SeekFrom},
    path::PathBuf,
    rc::Rc,
};

use super::{
    MOST_PACKED,
    codec::{Layout, broken, check_sum},
    meta::{Fill, Meta},
};
use crate::{
    data::formats::anndata::file::{Kind, decoder},
    error::{Error, ErrorKind, Result, ensure},
};

/// How many bytes of unpacked chunks of an array are kept for the next rows.
const CACHE: usize = 64 << 20;

/// The items of an array.
pub(in crate::data::formats::anndata) struct Items {
    folder: PathBuf,
    meta: Meta,
    /// The chunks that were unpacked last, by their places in the grid of all.
    kept: RefCell<Vec<([usize; 2], Rc<Chunk>)>>,
    /// The index of the shard that was read last.
    index: RefCell<Option<([usize; 2], Index)>>,
}

/// Where each chunk of a shard starts, and how long it is.
type Index = Rc<Vec<[u64; 2]>>;

/// An unpacked chunk; none where the store has none.
struct Chunk {
    bytes: Option<Vec<u8>>,
    /// Where each text starts, and where the last ends; of texts of any length.
    ends: Vec<[usize; 2]>,
}

impl Items {
    pub(super) fn new(folder: PathBuf, meta: Meta) -> Self {
        Self {
            folder,
            meta,
            kept: RefCell::default(),
            index: RefCell::default(),
        }
    }

    pub(in crate::data::formats::anndata) fn numbers(
        &self,
        place: &str,
        kind: Kind,
        start: usize,
        rows: usize,
    ) -> Result<Vec<f64>> {
        let read = || {
            let decode = decoder(kind)?;
            let (size, mut item) = (self.meta.size, [0u8; 8]);
            let mut numbers = vec![self.filled()?; rows * self.width()];
            self.each(start, rows, &mut |at, chunk, from| {
                if let Some(bytes) = &chunk.bytes {
                    item[..size].copy_from_slice(&bytes[from * size..(from + 1) * size]);
                    numbers[at] = decode(&item);
                }
                Ok(())
            })?;
            Ok(numbers)
        };
        read().map_err(|error: Error| error.within(format_args!("{place:?}")))
    }

    pub(in crate::data::formats::anndata) fn texts(
        &self,
        place: &str,
        start: usize,
        rows: usize,
    ) -> Result<Vec<String>> {
        let read = || {
            let fill = match &self.meta.fill {
                Fill::Text(text) => text.as_str(),
                _ => "",
            };
            let size = self.meta.size;
            let mut texts = vec![fill.to_owned(); rows * self.width()];
            self.each(start, rows, &mut |at, chunk, from| {
                let Some(bytes) = &chunk.bytes else {
                    return Ok(());
                };
                let one = || &bytes[from * size..(from + 1) * size];
                texts[at] = match self.meta.layout {
                    Layout::Texts => {
                        let [from, to] = chunk.ends[from];
                        String::from_utf8(bytes[from..to].to_vec()).map_err(broken)?
                    }
                    Layout::Wide => {
                        let letters = one().chunks_exact(4).map(|letter| {
                            let letter = letter.try_into().expect("four bytes");
                            char::from_u32(u32::from_le_bytes(letter))
                        });
                        let text: Option<String> = letters.collect();
                        text.ok_or_else(|| broken("a letter is none"))?
                    }
                    _ => String::from_utf8(one().to_vec()).map_err(broken)?,
                };
                if self.meta.layout != Layout::Texts {
                    let length = texts[at].trim_end_matches('\0').len();
                    texts[at].truncate(length);
                }
                Ok(())
            })?;
            Ok(texts)
        };
        read().map_err(|error: Error| error.within(format_args!("{place:?}")))
    }

    fn filled(&self) -> Result<f64> {
        match self.meta.fill {
            Fill::Number(number) => Ok(number),
            // Only where a chunk is missing; no anndata writes others.
            _ => Err(Error::new(
                ErrorKind::Format,
                "what stands where no chunk is cannot be read; the store may be damaged",
            )),
        }
    }

    fn width(&self) -> usize {
        self.meta.shape.iter().skip(1).product()
    }

    /// The shape of the chunks that are unpacked, as rows and columns.
    fn chunk_shape(&self) -> [usize; 2] {
        let shape = self.meta.shards.as_ref().map(|shards| &shards.chunk);
        two(shape.unwrap_or(&self.meta.chunk))
    }

    /// Hands out the place among some rows of every item, its chunk, and its place in that.
    fn each(
        &self,
        start: usize,
        rows: usize,
        take: &mut dyn FnMut(usize, &Chunk, usize) -> Result<()>,
    ) -> Result<()> {
        ensure!(
            self.meta.shape.len() <= 2,
            Format,
            "expected a list or a matrix, got the shape {:?}",
            self.meta.shape
        );
        let [height, width] = two(&self.meta.shape);
        let [chunk_height, chunk_width] = self.chunk_shape();
        let end = (start + rows).min(height);
        if rows == 0 || width == 0 {
            return Ok(());
        }
        for down in start / chunk_height..=(end - 1) / chunk_height {
            for right in 0..width.div_ceil(chunk_width) {
                let chunk = self.chunk([down, right])?;
                let (top, left) = (down * chunk_height, right * chunk_width);
                for row in top.max(start)..(top + chunk_height).min(end) {
                    for column in left..(left + chunk_width).min(width) {
                        let (i, j) = (row - top, column - left);
                        let from = match self.meta.layout {
                            Layout::Turned => j * chunk_height + i,
                            _ => i * chunk_width + j,
                        };
                        take((row - start) * width + column, &chunk, from)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn chunk(&self, at: [usize; 2]) -> Result<Rc<Chunk>> {
        let mut kept = self.kept.borrow_mut();
        if let Some((_, chunk)) = kept.iter().find(|(other, _)| *other == at) {
            return Ok(chunk.clone());
        }
        let chunk = Rc::new(self.unpacked(at)?);
        kept.push((at, chunk.clone()));
        let size = |chunk: &Chunk| chunk.bytes.as_ref().map_or(0, Vec::len) + 16 * chunk.ends.len();
        let mut all: usize = kept.iter().map(|(_, chunk)| size(chunk)).sum();
        while kept.len() > 1 && all > CACHE {
            all -= size(&kept.remove(0).1);
        }
        Ok(chunk)
    }

    fn unpacked(&self, at: [usize; 2]) -> Result<Chunk> {
        let count = self.chunk_shape().iter().product::<usize>();
        let Some(mut bytes) = self.packed(at)? else {
            return Ok(Chunk {
                bytes: None,
                ends: vec![],
            });
        };
        let is_texts = self.meta.layout == Layout::Texts;
        let most = match is_texts {
            // Every text has its length before it.
            true => bytes
                .len()
                .saturating_mul(MOST_PACKED as usize)
                .saturating_add(4 * count),
            false => count * self.meta.size,
        };
        for codec in &self.meta.codecs {
            // Between steps there may be a head or a checksum.
            bytes = codec.unpack(&bytes, most.saturating_add(1024))?;
        }
        ensure!(
            is_texts || bytes.len() == most,
            Format,
            "a chunk has {} bytes, expected {most}; the store may be damaged",
            bytes.len()
        );
        let ends = if is_texts {
            ends(&bytes, count)?
        } else {
            vec![]
        };
        Ok(Chunk {
            bytes: Some(bytes),
            ends,
        })
    }

    /// The bytes of a chunk as they are stored; none where there are none.
    fn packed(&self, at: [usize; 2]) -> Result<Option<Vec<u8>>> {
        let Some(shards) = &self.meta.shards else {
            let Some((mut file, _)) = self.open(at)? else {
                return Ok(None);
            };
            let mut bytes = vec![];
            file.read_to_end(&mut bytes).map_err(broken)?;
            return Ok(Some(bytes));
        };
        let (outer, inner) = (two(&self.meta.chunk), two(&shards.chunk));
        let per = [outer[0] / inner[0], outer[1] / inner[1]];
        let shard = [at[0] / per[0], at[1] / per[1]];
        let Some((mut file, length)) = self.open(shard)? else {
            return Ok(None);
        };
        let index = self.index_of(shard, per, &mut file, length)?;
        let [offset, size] = index[at[0] % per[0] * per[1] + at[1] % per[1]];
        if [offset, size] == [u64::MAX; 2] {
            return Ok(None);
        }
        ensure!(
            offset.checked_add(size).is_some_and(|end| end <= length),
            Format,
            "a chunk lies outside of its shard; the store may be damaged"
        );
        let mut bytes = vec![];
        let mut read = || {
            file.seek(SeekFrom::Start(offset))?;
            (&mut file).take(size).read_to_end(&mut bytes)
        };
        read().map_err(broken)?;
        Ok(Some(bytes))
    }

    /// Where each chunk of a shard starts, and how long it is.
    fn index_of(
        &self,
        shard: [usize; 2],
        per: [usize; 2],
        file: &mut File,
        length: u64,
    ) -> Result<Index> {
        let mut kept = self.index.borrow_mut();
        if let Some((_, index)) = kept.as_ref().filter(|(other, _)| *other == shard) {
            return Ok(index.clone());
        }
        let shards = self.meta.shards.as_ref().expect("there are shards");
        let sum = if shards.is_summed { 4 } else { 0 };
        let size = per[0].checked_mul(per[1]).and_then(|n| n.checked_mul(16));
        let size = size.filter(|size| (*size as u64).saturating_add(sum) <= length);
        let size = size.ok_or_else(|| broken("a shard is shorter than its index"))?;
        let start = if shards.is_first {
            0
        } else {
            length - sum - size as u64
        };
        let mut bytes = vec![];
        let mut read = || {
            file.seek(SeekFrom::Start(start))?;
            file.take(size as u64 + sum).read_to_end(&mut bytes)
        };
        read().map_err(broken)?;
        ensure!(
            bytes.len() as u64 == size as u64 + sum,
            Format,
            "a shard ends too early; the store may be damaged"
        );
        if let (true, Some(sum)) = (shards.is_summed, bytes[size..].first_chunk()) {
            check_sum(&bytes[..size], *sum)?;
        }
        let number = |at: &[u8]| u64::from_le_bytes(at.try_into().expect("eight bytes"));
        let pairs = bytes[..size].chunks_exact(16);
        let index = pairs.map(|pair| [number(&pair[..8]), number(&pair[8..])]);
        let index = Rc::new(index.collect::<Vec<_>>());
        *kept = Some((shard, index.clone()));
        Ok(index)
    }

    /// The file of a chunk or a shard, and its length; none where there is none.
    fn open(&self, at: [usize; 2]) -> Result<Option<(File, u64)>> {
        let dimensions = self.meta.shape.len();
        let mut parts: Vec<String> = at[..dimensions].iter().map(usize::to_string).collect();
        if self.meta.prefix {
            parts.insert(0, "c".to_owned());
        } else if dimensions == 0 {
            parts.push("0".to_owned());
        }
        let path = self
            .folder
            .join(parts.join(&self.meta.separator.to_string()));
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((about, file)) => {
                ensure!(
                    about.is_file(),
                    Format,
                    "the chunk {} is no file; the store may be damaged",
                    parts.join("/")
                );
                Ok(Some((file, about.len())))
            }
            Err(cause) if cause.kind() == IoKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("read", &path, cause)),
        }
    }
}

/// A shape as rows and columns.
fn two(shape: &[usize]) -> [usize; 2] {
    let side = |k: usize| shape.get(k).copied().unwrap_or(1);
    [side(0), side(1)]
}

/// Where texts of any length start and end, each after its length.
fn ends(bytes: &[u8], most: usize) -> Result<Vec<[usize; 2]>> {
    let number = |at: usize| {
        let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
        let number = number.ok_or_else(|| broken("a list of texts ends too early"))?;
        Ok::<_, Error>(u32::from_le_bytes(*number) as usize)
    };
    let count = number(0)?;
    ensure!(
        count <= most,
        Format,
        "a chunk has {count} texts, expected {most}; the store may be damaged"
    );
    let (mut ends, mut at) = (vec![], 4);
    for _ in 0..count {
        let length = number(at)?;
        let end = (at + 4)
            .checked_add(length)
            .filter(|end| *end <= bytes.len());
        let end = end.ok_or_else(|| broken("a text ends too late"))?;
        ends.push([at + 4, end]);
        at = end;
    }
    ensure!(
        count == most,
        Format,
        "a chunk has {count} texts, expected {most}; the store may be damaged"
    );
    Ok(ends)
}

//! What the first bytes of a file say of it, whatever its name.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, ErrorKind, Result};

const GZIP: &[u8] = b"\x1f\x8b";

/// First bytes, the format that they tell, and what to do with a file that should be another.
const KNOWN: [(&[u8], &str, &str); 14] = [
    (
        b"PK\x03\x04",
        "a zip archive",
        "unpack it first (.npz and .xlsx are such archives)",
    ),
    (b"PK\x05\x06", "an empty zip archive", "write it again"),
    (b"BZh", "compressed by bzip2", "unpack it first"),
    (b"\xfd7zXZ\0", "compressed by xz", "unpack it first"),
    (b"\x5d\0\0", "compressed by lzma", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "unpack it first"),
    (GZIP, "compressed by gzip", "unpack it first"),
    (b"\x93NUMPY", "one array of NumPy", "name it .npy"),
    (b"PAR1", "Parquet", "name it .parquet"),
    (
        b"\x89HDF\r\n",
        "HDF5, as .h5ad is",
        "name it .h5ad if it is AnnData",
    ),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "save it as .csv"),
];

/// Refuses a file of another format than `expected`, whose files begin with `magic`, or which is
/// text.
pub(super) fn check(start: &[u8], magic: &[u8], expected: &str) -> Result<()> {
    // A name in a header may begin as other formats do.
    let fits = match magic {
        [] => is_text(start),
        _ => start.starts_with(magic) || start.is_empty(),
    };
    if fits {
        return Ok(());
    }
    let known = KNOWN.iter().find(|(first, ..)| start.starts_with(first));
    let (what, remedy) = match known {
        Some((_, what, remedy)) => (*what, *remedy),
        None if magic.is_empty() => return Ok(()),
        None if is_text(start) => ("text", "name it .csv or .tsv if it is a table"),
        None => ("something else", "it may be damaged"),
    };
    Err(Error::new(
        ErrorKind::Format,
        format!("expected {expected}, the file is {what}; {remedy}"),
    ))
}

/// Whether a file that begins so may be text in UTF-8, of which a character may be cut.
fn is_text(start: &[u8]) -> bool {
    let is_utf8 = std::str::from_utf8(start).map_or_else(|e| e.error_len().is_none(), |_| true);
    is_utf8 && !start.iter().any(|byte| *byte < b'\t')
}

/// Whether text that is written to `path` is to be compressed.
pub(super) fn is_packed(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("gz")
}

/// The text of a file, unpacked if it is compressed by gzip.
pub(super) fn text(path: &Path) -> Result<Box<dyn BufRead>> {
    let failed = |cause| Error::io("read", path, cause);
    let buffered = |file| BufReader::with_capacity(1 << 16, file);
    let mut file = buffered(File::open(path).map_err(failed)?);
    if !file.fill_buf().map_err(failed)?.starts_with(GZIP) {
        return without_mark(Box::new(file)).map_err(failed)?;
    }
    let unpacked = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file));
    without_mark(Box::new(unpacked)).map_err(|cause| {
        let what = "its compressed text is damaged or truncated";
        Error::new(ErrorKind::Format, what).because(cause)
    })?
}

/// Text without the mark that some programs begin it with.
fn without_mark(mut text: Box<dyn BufRead>) -> io::Result<Result<Box<dyn BufRead>>> {
    let start = text.fill_buf()?;
    if let Err(error) = check(start, b"", "a table of text") {
        return Ok(Err(error));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        text.consume(3);
    }
    Ok(Ok(text))
}

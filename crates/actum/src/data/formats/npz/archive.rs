//! A zip of arrays.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, Write},
    path::Path,
};

use zip::{
    CompressionMethod, ZipArchive, ZipWriter,
    result::ZipError,
    write::{SimpleFileOptions, StreamWriter},
};

use super::array::Header;
use crate::{
    data::{formats::content, snapshots::default_columns},
    error::{Error, ErrorKind, Result, ensure},
};

/// An open `.npz` file.
pub struct Archive<R> {
    zip: ZipArchive<R>,
    pub names: Vec<String>,
}

impl Archive<BufReader<File>> {
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |cause| Error::io("read", path, cause);
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        content::check(file.fill_buf().map_err(failed)?, b"PK", "a .npz archive")?;
        Self::new(file)
    }
}

impl<R: Read + Seek> Archive<R> {
    pub fn new(source: R) -> Result<Self> {
        let zip = ZipArchive::new(source).map_err(zip_failure)?;
        let names = zip
            .file_names()
            .filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned()))
            .collect();
        Ok(Self { zip, names })
    }

    /// What an array says of itself.
    pub fn header(&mut self, name: &str) -> Result<Header> {
        let mut entry = self
            .zip
            .by_name(&format!("{name}.npy"))
            .map_err(zip_failure)?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        let header = Header::read(name, &mut entry)?;
        // No member grows more than that in unpacking (zlib.net/zlib_tech.html), so that a small
        // file cannot declare much.
        ensure!(
            size <= packed.saturating_mul(1032).saturating_add(1 << 16),
            Format,
            "array {name:?} is damaged: {packed} bytes would unpack to {size}"
        );
        header.check_length(size)?;
        Ok(header)
    }

    /// Reads an array to the end of its member, where the archive's checksum of it is compared.
    pub fn array<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Header, &mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        self.header(name)?;
        let mut entry = self
            .zip
            .by_name(&format!("{name}.npy"))
            .map_err(zip_failure)?;
        let header = Header::read(name, &mut entry)?;
        let found = read(header, &mut entry)?;
        io::copy(&mut entry, &mut io::sink()).map_err(|cause| {
            let what = format!("array {name:?} is damaged: its checksum differs");
            Error::new(ErrorKind::Format, what).because(cause)
        })?;
        Ok(found)
    }

    /// The first of `names` that is an array here.
    pub fn first(&self, names: &[&str]) -> Option<String> {
        let here = |name: &&&str| self.names.iter().any(|n| n == **name);
        names.iter().find(here).map(|name| (*name).to_owned())
    }

    pub fn find(&mut self, name: &str, key: &str) -> Result<String> {
        if let Some(name) = self.first(&[name]) {
            return Ok(name);
        }
        let (mut there, mut advice) = (Vec::new(), None);
        for other in self.names.clone() {
            let about = self.header(&other).map(|h| {
                if !h.fields.is_empty() {
                    advice = Some(h.unpacked());
                }
                format!("{} {:?}", h.type_name(), h.shape)
            });
            let about = about.unwrap_or_else(|_| "that cannot be read".to_owned());
            there.push(format!("{other} {about}"));
        }
        let what = match advice {
            None => format!("array {name:?} (see `Keys::{key}`)"),
            Some(advice) => {
                format!("array {name:?} (save fields as arrays of their own: {advice})")
            }
        };
        Err(Error::missing(what, there))
    }
}

fn zip_failure(error: ZipError) -> Error {
    let what = "the file is not a complete .npz archive; it may be truncated";
    Error::new(ErrorKind::Format, what).because(error)
}

/// A `.npz` file that is written, its arrays in row-major order.
pub struct Writer<'a>(ZipWriter<StreamWriter<&'a mut dyn Write>>);

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self(ZipWriter::new_stream(out))
    }

    fn begin(
        &mut self,
        name: &str,
        description: &str,
        shape: &[usize],
        bytes: usize,
    ) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes as u64 >= u64::from(u32::MAX));
        self.0.start_file(format!("{name}.npy"), options)?;
        let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let mut header =
            format!("{{'descr': '{description}', 'fortran_order': False, 'shape': ({shape}), }}");
        // The format asks that the data start at a multiple of 64 bytes and the header end a line.
        let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
        header.extend(std::iter::repeat_n(' ', padded - header.len()));
        header.push('\n');
        self.0.write_all(b"\x93NUMPY\x01\x00")?;
        self.0.write_all(&(header.len() as u16).to_le_bytes())?;
        self.0.write_all(header.as_bytes())
    }

    pub fn numbers<'x>(
        &mut self,
        name: &str,
        shape: &[usize],
        numbers: impl Iterator<Item = &'x f64>,
    ) -> io::Result<()> {
        self.begin(name, "<f8", shape, 8 * shape.iter().product::<usize>())?;
        let mut buffer = io::BufWriter::with_capacity(1 << 16, &mut self.0);
        for x in numbers {
            buffer.write_all(&x.to_le_bytes())?;
        }
        buffer.flush()
    }

    pub fn texts<'x>(
        &mut self,
        name: &str,
        texts: impl ExactSizeIterator<Item = &'x (impl AsRef<str> + 'x)> + Clone,
    ) -> io::Result<()> {
        let length = texts
            .clone()
            .map(|text| text.as_ref().chars().count())
            .max()
            .unwrap_or(0)
            .max(1);
        self.begin(
            name,
            &format!("<U{length}"),
            &[texts.len()],
            4 * length * texts.len(),
        )?;
        let mut buffer = io::BufWriter::with_capacity(1 << 16, &mut self.0);
        for text in texts {
            let letters = text
                .as_ref()
                .chars()
                .map(u32::from)
                .chain(std::iter::repeat(0));
            for letter in letters.take(length) {
                buffer.write_all(&letter.to_le_bytes())?;
            }
        }
        buffer.flush()
    }

    pub fn columns(&mut self, columns: &[String]) -> io::Result<()> {
        if columns == default_columns(columns.len()) {
            return Ok(());
        }
        self.texts("columns", columns.iter())
    }

    pub fn levels(&mut self, name: &str, shape: &[usize], levels: &[u8]) -> io::Result<()> {
        self.begin(name, "|u1", shape, levels.len())?;
        self.0.write_all(levels)
    }

    pub fn finish(self) -> io::Result<()> {
        self.0.finish()?;
        Ok(())
    }
}

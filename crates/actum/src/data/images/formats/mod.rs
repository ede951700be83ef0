//! Images out of files: one module and one row of [`FORMATS`] for each format.

#[cfg(feature = "images")]
mod exif;
mod idx;
#[cfg(feature = "images")]
mod jpeg;
pub(super) mod npz;
#[cfg(feature = "images")]
pub(super) mod png;

use std::{fs, path::Path};

use ndarray::Array4;
use rayon::prelude::*;

use crate::{
    data::{listed, within},
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// Levels `[height, width, channels]`.
struct Picture {
    shape: [usize; 3],
    levels: Vec<u8>,
}

/// A format that the first bytes of a file tell.
struct Format {
    about: &'static str,
    magic: &'static [u8],
    /// How its files are named in a folder of pictures.
    extensions: &'static [&'static str],
    read: Read,
}

enum Read {
    Picture(fn(&[u8]) -> Result<Picture>),
    Array(fn(&[u8]) -> Result<Array4<u8>>),
}

static FORMATS: &[Format] = &[
    #[cfg(feature = "images")]
    Format {
        about: "PNG",
        magic: &[0x89, b'P'],
        extensions: &["png"],
        read: Read::Picture(png::read),
    },
    #[cfg(feature = "images")]
    Format {
        about: "JPEG",
        magic: &[0xff, 0xd8],
        extensions: &["jpg", "jpeg"],
        read: Read::Picture(jpeg::read),
    },
    Format {
        about: "IDX (MNIST)",
        magic: &[0, 0],
        extensions: &[],
        read: Read::Array(idx::read),
    },
    Format {
        about: "IDX in .gz",
        magic: &[0x1f, 0x8b],
        extensions: &[],
        read: Read::Array(idx::read_packed),
    },
    Format {
        about: ".npz with one array of uint8 [n, height, width, channels]",
        magic: b"PK",
        extensions: &[],
        read: Read::Array(npz::read),
    },
];

fn is_picture(format: &&Format) -> bool {
    matches!(format.read, Read::Picture(_))
}

/// The formats of single pictures.
fn pictures() -> String {
    listed(FORMATS.iter().filter(is_picture).map(|f| f.about))
}

/// What can be read.
pub(super) fn readable() -> String {
    let formats = listed(FORMATS.iter().map(|format| format.about));
    format!(
        "a folder of files of {}, or a file of {formats}",
        pictures()
    )
}

pub(super) fn read(path: &Path) -> Result<Array4<u8>> {
    if path.is_dir() {
        return folder(path);
    }
    let bytes = store::read(path)?;
    within(path, || {
        ensure!(!bytes.is_empty(), Format, "the file is empty");
        let format = FORMATS.iter().find(|f| bytes.starts_with(f.magic));
        match format.map(|format| &format.read) {
            Some(Read::Picture(read)) => array(vec![read(&bytes)?]),
            Some(Read::Array(read)) => read(&bytes),
            None => {
                let (expected, start) = (readable(), &bytes[..bytes.len().min(4)]);
                let what = format!("expected {expected}; it begins with the bytes {start:02x?}");
                Err(Error::new(ErrorKind::Format, what))
            }
        }
    })
}

fn folder(path: &Path) -> Result<Array4<u8>> {
    let unreadable = |cause| Error::io("read", path, cause);
    let known: Vec<&str> = FORMATS.iter().flat_map(|f| f.extensions).copied().collect();
    let (mut files, mut others) = (vec![], 0);
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        // Systems leave hidden files beside pictures, under their names too (`._0.png`).
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let extension = file.extension().unwrap_or_default().to_string_lossy();
        if known.contains(&&*extension.to_lowercase()) && file.is_file() {
            files.push(file);
        } else {
            others += 1;
        }
    }
    ensure!(
        !files.is_empty(),
        Missing,
        "{}: there is no {} file in the folder, which has {others} others; images in folders \
         within it are not looked for",
        path.display(),
        listed(known.iter().map(|extension| format!(".{extension}")))
    );
    files.sort();
    let one = |file: &std::path::PathBuf| {
        let bytes = store::read(file)?;
        within(file, || picture(&bytes))
    };
    let pictures: Vec<Picture> = files.par_iter().map(one).collect::<Result<_>>()?;
    let [h, w, c] = pictures[0].shape;
    let each = pictures.iter().zip(&files);
    if let Some((other, file)) = each.into_iter().find(|(p, _)| p.shape != [h, w, c]) {
        let [y, x, k] = other.shape;
        let (first, file) = (files[0].display(), file.display());
        ensure!(
            k == c,
            Shape,
            "{file} has {k} channel(s) and {first} has {c}; save all of them in gray, or all in \
             colour"
        );
        ensure!(
            false,
            Shape,
            "{file} is {y} pixels high and {x} wide, {first} is {h} high and {w} wide; crop or \
             resize them to one size"
        );
    }
    array(pictures)
}

fn picture(bytes: &[u8]) -> Result<Picture> {
    let format = FORMATS.iter().find(|f| bytes.starts_with(f.magic));
    match format.map(|format| &format.read) {
        Some(Read::Picture(read)) => read(bytes),
        _ => Err(Error::new(
            ErrorKind::Format,
            format!("the file is not {}, whatever its name says", pictures()),
        )),
    }
}

/// Pictures of one shape, of which there is at least one.
fn array(pictures: Vec<Picture>) -> Result<Array4<u8>> {
    let ([h, w, c], n) = (pictures[0].shape, pictures.len());
    let levels: Vec<u8> = pictures.into_iter().flat_map(|p| p.levels).collect();
    Ok(Array4::from_shape_vec((n, h, w, c), levels).expect("pictures of one shape"))
}

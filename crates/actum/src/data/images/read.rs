//! Images out of files.

use std::{
    fs,
    io::{Cursor, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use ndarray::Array4;
use png::{BitDepth, ColorType, Decoder, Transformations};
use rayon::prelude::*;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{
    data::{npz, within},
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// Levels `[height, width, channels]`.
struct Picture {
    shape: [usize; 3],
    levels: Vec<u8>,
}

pub(super) fn read(path: &Path) -> Result<Array4<u8>> {
    if path.is_dir() {
        return folder(path);
    }
    let bytes = store::read(path)?;
    within(path, || match bytes[..] {
        [] => Err(Error::new(ErrorKind::Format, "the file is empty")),
        [b'P', b'K', ..] => npz(path),
        [0x89, b'P', ..] | [0xff, 0xd8, ..] => array(vec![picture(&bytes)?]),
        [0x1f, 0x8b, ..] => {
            let mut unpacked = vec![];
            let mut decoder = MultiGzDecoder::new(&bytes[..]);
            decoder.read_to_end(&mut unpacked).map_err(|cause| {
                let what = "the file cannot be unpacked; it may be truncated";
                Error::new(ErrorKind::Format, what).because(cause)
            })?;
            idx(&unpacked)
        }
        [0, 0, ..] => idx(&bytes),
        _ => {
            let start = &bytes[..bytes.len().min(4)];
            let what = format!(
                "expected a folder of PNG or JPEG files, an IDX file (plain or .gz), .npz, PNG or \
                 JPEG; the file begins with the bytes {start:02x?}"
            );
            Err(Error::new(ErrorKind::Format, what))
        }
    })
}

fn folder(path: &Path) -> Result<Array4<u8>> {
    let unreadable = |cause| Error::io("read", path, cause);
    let (mut files, mut others) = (vec![], 0);
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let extension = file.extension().map(|e| e.to_string_lossy().to_lowercase());
        let known = matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"));
        if known && file.is_file() {
            files.push(file);
        } else {
            others += 1;
        }
    }
    ensure!(
        !files.is_empty(),
        Missing,
        "{}: there is no .png, .jpg or .jpeg file in the folder, which has {others} others; images \
         in folders within it are not looked for",
        path.display()
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
            "{file} has {k} channel(s) and {first} has {c}; save all of them in gray, or all in colour"
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

/// Pictures of one shape, of which there is at least one.
fn array(pictures: Vec<Picture>) -> Result<Array4<u8>> {
    let ([h, w, c], n) = (pictures[0].shape, pictures.len());
    let levels: Vec<u8> = pictures.into_iter().flat_map(|p| p.levels).collect();
    Ok(Array4::from_shape_vec((n, h, w, c), levels).expect("pictures of one shape"))
}

fn picture(bytes: &[u8]) -> Result<Picture> {
    match bytes {
        [0x89, b'P', ..] => png(bytes),
        [0xff, 0xd8, ..] => jpeg(bytes),
        _ => Err(Error::new(
            ErrorKind::Format,
            "the file is neither PNG nor JPEG, whatever its name says",
        )),
    }
}

/// More levels than any image here has; a damaged header must not ask for all memory.
const MOST: usize = 1 << 30;

fn png(bytes: &[u8]) -> Result<Picture> {
    let damaged = |cause: png::DecodingError| {
        let what = "the PNG cannot be read; it may be truncated or damaged";
        Error::new(ErrorKind::Format, what).because(cause)
    };
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (color, depth) = reader.output_color_type();
    ensure!(
        depth == BitDepth::Eight,
        Format,
        "expected at most 8 bits a channel, the PNG has 16; convert it to 8"
    );
    let size = reader.output_buffer_size().filter(|size| *size <= MOST);
    let mut levels = vec![
        0;
        size.ok_or_else(|| Error::new(
            ErrorKind::Format,
            "the PNG says that it has more than 2^30 numbers; it may be damaged"
        ))?
    ];
    let info = reader.next_frame(&mut levels).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    let (opacity, channels) = match color {
        ColorType::Grayscale => (false, 1),
        ColorType::GrayscaleAlpha => (true, 1),
        ColorType::Rgb => (false, 3),
        ColorType::Rgba => (true, 3),
        ColorType::Indexed => unreachable!("palettes are expanded"),
    };
    if opacity {
        let opaque = levels
            .chunks_exact(channels + 1)
            .all(|pixel| pixel[channels] == 255);
        ensure!(
            opaque,
            Format,
            "the PNG has transparent pixels; put it on a background first"
        );
        let pixels = levels.chunks_exact(channels + 1);
        levels = pixels
            .flat_map(|pixel| &pixel[..channels])
            .copied()
            .collect();
    }
    Ok(Picture {
        shape: [info.height as usize, info.width as usize, channels],
        levels,
    })
}

fn jpeg(bytes: &[u8]) -> Result<Picture> {
    let damaged = |cause: zune_jpeg::errors::DecodeErrors| {
        let what = format!("the JPEG cannot be read; it may be truncated or damaged: {cause}");
        Error::new(ErrorKind::Format, what)
    };
    // Without strictness what is missing at the end would be gray.
    let options = DecoderOptions::new_safe().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (out, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        Some(ColorSpace::YCbCr | ColorSpace::RGB) => (ColorSpace::RGB, 3),
        other => {
            let what = format!("expected a JPEG in gray or RGB, got {other:?}; convert it");
            return Err(Error::new(ErrorKind::Format, what));
        }
    };
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    let levels = decoder.decode().map_err(damaged)?;
    let (width, height) = decoder.dimensions().expect("headers are decoded");
    // What lacks before the last marker would be taken for the end of the image. A preview may have
    // markers of its own, ahead of the scans.
    let last = |marker| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    ensure!(
        last(0xd9) > last(0xda),
        Format,
        "the JPEG has no end; it is truncated"
    );
    Ok(Picture {
        shape: [height, width, channels],
        levels,
    })
}

/// The format of MNIST (yann.lecun.com/exdb/mnist): two zeros, the type, the number of dimensions,
/// the dimensions in four bytes each, the bytes.
fn idx(bytes: &[u8]) -> Result<Array4<u8>> {
    let truncated = || Error::new(ErrorKind::Format, "the IDX file ends within its header");
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(truncated)?;
    let [0, 0, kind, dimensions] = *magic else {
        let what = format!("expected an IDX file, which begins with 00 00; got {magic:02x?}");
        return Err(Error::new(ErrorKind::Format, what));
    };
    ensure!(
        kind == 8,
        Format,
        "expected an IDX file of unsigned bytes (type 08), got type {kind:02x}"
    );
    ensure!(
        dimensions == 3,
        Shape,
        "expected an IDX file of images [n, height, width], got {dimensions} dimension(s){}",
        match dimensions {
            1 =>
                ": these are labels; the images are beside them, in the file with idx3 in its name",
            _ => "",
        }
    );
    let (sides, levels) = rest.split_first_chunk::<12>().ok_or_else(truncated)?;
    let side = |k: usize| {
        let bytes = sides[4 * k..][..4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes) as usize
    };
    let [n, h, w] = [side(0), side(1), side(2)];
    let expected = n.checked_mul(h).and_then(|size| size.checked_mul(w));
    ensure!(
        expected == Some(levels.len()),
        Format,
        "expected {n} images of {h} x {w} bytes, there are {} bytes; the file is {}",
        levels.len(),
        if expected.is_some_and(|size| size < levels.len()) {
            "damaged"
        } else {
            "truncated"
        }
    );
    Ok(Array4::from_shape_vec((n, h, w, 1), levels.to_vec()).expect("as many as expected"))
}

fn npz(path: &Path) -> Result<Array4<u8>> {
    let levels = npz::levels(path)?;
    Ok(match levels.ndim() {
        3 => levels.insert_axis(ndarray::Axis(3)),
        _ => levels,
    }
    .into_dimensionality()
    .expect("four dimensions"))
}

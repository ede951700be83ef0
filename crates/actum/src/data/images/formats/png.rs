//! PNG: one picture.

use std::io::{self, Cursor, Write};

use png::{BitDepth, ColorType, DecodeOptions, Decoder, Encoder, Transformations};

use super::Picture;
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    memory,
};

/// No more bytes come of one that is compressed: a symbol of a bit for a run of 258, a bit for
/// where it begins.
const DEFLATE: usize = 1032;

pub(super) fn read(bytes: &[u8]) -> Result<Picture> {
    let damaged = |cause: png::DecodingError| {
        let what = "the PNG cannot be read; it may be truncated or damaged";
        Error::new(ErrorKind::Format, what).because(cause)
    };
    let mut options = DecodeOptions::default();
    // Transparency and orientation are in parts that the crate would leave out where they are
    // damaged.
    options.set_skip_ancillary_crc_failures(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (color, depth) = reader.output_color_type();
    ensure!(
        depth == BitDepth::Eight,
        Format,
        "expected at most 8 bits a channel, the PNG has 16; convert it to 8"
    );
    let info = reader.info();
    let (width, height) = (info.width, info.height);
    let row = info.raw_row_length() as u64;
    ensure!(
        row * u64::from(height) <= (DEFLATE * bytes.len()) as u64,
        Format,
        "the PNG is damaged: it says that it has {width} x {height} pixels, more than its {} bytes \
         can hold",
        bytes.len()
    );
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    memory::check(
        &[size],
        1,
        format_args!("a PNG of {width} x {height} pixels"),
    )?;
    let mut levels = vec![0; size];
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
    let picture = Picture {
        shape: [info.height as usize, info.width as usize, channels],
        levels,
    };
    Ok(picture.upright(reader.info().exif_metadata.as_deref()))
}

pub(in crate::data::images) fn encode(
    out: &mut dyn Write,
    levels: &[u8],
    [h, w, c]: [usize; 3],
) -> io::Result<()> {
    let mut encoder = Encoder::new(out, w as u32, h as u32);
    encoder.set_color(if c == 1 {
        ColorType::Grayscale
    } else {
        ColorType::Rgb
    });
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(levels)?;
    Ok(writer.finish()?)
}

//! JPEG: one picture.

use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::Picture;
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    memory,
};

pub(super) fn read(bytes: &[u8]) -> Result<Picture> {
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
            let what = match other {
                Some(ColorSpace::CMYK | ColorSpace::YCCK) => "CMYK, the colours of print",
                _ => "other colours",
            };
            let what = format!("expected a JPEG in gray or RGB, got {what}; convert it");
            return Err(Error::new(ErrorKind::Format, what));
        }
    };
    let (width, height) = decoder.dimensions().expect("headers are decoded");
    // The channel that has all pixels has 64 of them in a block, which takes a bit or more.
    ensure!(
        width * height <= 512 * bytes.len(),
        Format,
        "the JPEG is damaged: it says that it has {width} x {height} pixels, and {} bytes hold no \
         more than {}",
        bytes.len(),
        512 * bytes.len()
    );
    memory::check(
        &[width, height, channels],
        1,
        format_args!("a JPEG of {width} x {height} pixels"),
    )?;
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    let levels = decoder.decode().map_err(damaged)?;
    // What lacks before the last marker would be taken for the end of the image. A preview may have
    // markers of its own, ahead of the scans.
    let last = |marker| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    ensure!(
        last(0xd9) > last(0xda),
        Format,
        "the JPEG has no end; it is truncated"
    );
    let picture = Picture {
        shape: [height, width, channels],
        levels,
    };
    Ok(picture.upright(decoder.exif().map(Vec::as_slice)))
}

//! IDX, the format of MNIST, plain or in gzip.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use ndarray::Array4;

use crate::{
    error::{Error, ErrorKind, Result, ensure},
    memory,
};

pub(super) fn read_packed(bytes: &[u8]) -> Result<Array4<u8>> {
    let mut unpacked = vec![];
    let mut decoder = MultiGzDecoder::new(bytes);
    let broken = |cause| {
        let what = "the file cannot be unpacked; it may be truncated";
        Error::new(ErrorKind::Format, what).because(cause)
    };
    // Little unpacks to much: the header says how much is to be kept.
    let header = (&mut decoder)
        .take(HEADER as u64)
        .read_to_end(&mut unpacked);
    header.map_err(broken)?;
    let size = shape(&unpacked)?.iter().map(|n| *n as u64).product::<u64>();
    let rest = (&mut decoder).take(size + 1).read_to_end(&mut unpacked);
    rest.map_err(broken)?;
    read(&unpacked)
}

/// The bytes of the header of images.
const HEADER: usize = 16;

/// The format of MNIST (yann.lecun.com/exdb/mnist): two zeros, the type, the number of dimensions,
/// the dimensions in four bytes each, the bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Array4<u8>> {
    let [n, h, w] = shape(bytes)?;
    let (expected, levels) = (n * h * w, &bytes[HEADER..]);
    ensure!(
        expected == levels.len(),
        Format,
        "expected {n} images of {h} x {w} bytes, there are {} bytes; the file is {}",
        levels.len(),
        if expected < levels.len() {
            "damaged"
        } else {
            "truncated"
        }
    );
    Ok(Array4::from_shape_vec((n, h, w, 1), levels.to_vec()).expect("as many as expected"))
}

/// What the header says: how many images, their height and width.
fn shape(bytes: &[u8]) -> Result<[usize; 3]> {
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
    let (sides, _) = rest.split_first_chunk::<12>().ok_or_else(truncated)?;
    let side = |k: usize| {
        let bytes = sides[4 * k..][..4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes) as usize
    };
    let shape = [side(0), side(1), side(2)];
    ensure!(
        shape.iter().all(|side| *side > 0),
        Format,
        "expected images of one pixel or more, the IDX file says {} of {} x {}",
        shape[0],
        shape[1],
        shape[2]
    );
    memory::check(&shape, 1, format_args!("an IDX file of images {shape:?}"))?;
    ensure!(
        shape
            .iter()
            .try_fold(1u64, |n, k| n.checked_mul(*k as u64))
            .is_some_and(|n| n < 1 << 60),
        Format,
        "the IDX file is damaged: it has an impossible shape {shape:?}"
    );
    Ok(shape)
}

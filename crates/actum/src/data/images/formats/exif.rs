//! How a camera was held: the orientation that EXIF tells.

use super::Picture;

/// The tag of the orientation (EXIF 3.0, section 4.6.5).
const ORIENTATION: usize = 0x0112;

impl Picture {
    /// The picture as every viewer shows it: turned and mirrored as its EXIF data say. Data that are
    /// damaged say nothing.
    pub(super) fn upright(self, exif: Option<&[u8]>) -> Self {
        let [h, w, c] = self.shape;
        // The pixel that comes to row y and column x.
        type From = fn([usize; 2], [usize; 2]) -> [usize; 2];
        let (from, turned): (From, bool) = match exif.and_then(orientation) {
            Some(2) => (|[_, w], [y, x]| [y, w - 1 - x], false),
            Some(3) => (|[h, w], [y, x]| [h - 1 - y, w - 1 - x], false),
            Some(4) => (|[h, _], [y, x]| [h - 1 - y, x], false),
            Some(5) => (|_, [y, x]| [x, y], true),
            Some(6) => (|[h, _], [y, x]| [h - 1 - x, y], true),
            Some(7) => (|[h, w], [y, x]| [h - 1 - x, w - 1 - y], true),
            Some(8) => (|[_, w], [y, x]| [x, w - 1 - y], true),
            _ => return self,
        };
        let [high, wide] = if turned { [w, h] } else { [h, w] };
        let mut levels = Vec::with_capacity(self.levels.len());
        for y in 0..high {
            for x in 0..wide {
                let [y, x] = from([h, w], [y, x]);
                levels.extend_from_slice(&self.levels[(y * w + x) * c..][..c]);
            }
        }
        Self {
            shape: [high, wide, c],
            levels,
        }
    }
}

/// The orientation, 1 to 8, in EXIF data: a TIFF file, whose first directory has it.
fn orientation(exif: &[u8]) -> Option<usize> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let is_big = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = tiff.get(at..at.checked_add(length)?)?.iter();
        let add = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(match is_big {
            true => bytes.fold(0, add),
            false => bytes.rev().fold(0, add),
        })
    };
    let directory = number(4, 4)?;
    let entries = number(directory, 2)?;
    (0..entries).find_map(|k| {
        let entry = directory + 2 + 12 * k;
        if number(entry, 2)? != ORIENTATION {
            return None;
        }
        // A short number, or a long one.
        let length = match number(entry + 2, 2)? {
            3 => 2,
            4 => 4,
            _ => return None,
        };
        number(entry + 8, length)
    })
}

//! Images into files.

use std::{fs, path::Path};

use ndarray::Array3;
use rayon::prelude::*;

use super::{
    Images,
    formats::{npz, png},
};
use crate::{
    data::listed,
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// What images can be written as.
pub struct ImageTarget {
    /// How the names of such files end, without the dot; none for a folder.
    pub extension: Option<&'static str>,
    /// What is written, in a few words.
    pub about: &'static str,
    /// Whether all images are in one picture.
    pub is_grid: bool,
    /// Writes images, the picture in so many columns.
    pub write: fn(&Images, &Path, usize) -> Result<()>,
}

/// All that images can be written as.
pub static IMAGE_TARGETS: &[ImageTarget] = &[
    ImageTarget {
        extension: Some("png"),
        about: "one picture (.png)",
        is_grid: true,
        write: Images::write_grid,
    },
    ImageTarget {
        extension: Some("npz"),
        about: "an array (.npz: arr_0, uint8 [n, height, width, channels])",
        is_grid: false,
        write: |images, path, _| images.write_npz(path),
    },
    ImageTarget {
        extension: None,
        about: "a new folder of PNG files (no extension)",
        is_grid: false,
        write: |images, path, _| images.write_folder(path),
    },
];

impl ImageTarget {
    /// What the extension of a path names, in upper or lower case.
    ///
    /// # Errors
    /// There is no such target (`Setting`); they are listed. There is such a folder already
    /// (`Exists`).
    pub fn of(path: &Path) -> Result<&'static Self> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let named = |target: &&Self| target.extension == extension.as_deref();
        let target = IMAGE_TARGETS.iter().find(named).ok_or_else(|| {
            let what = format!(
                "cannot write images to .{}; expected {}",
                extension.as_deref().unwrap_or_default(),
                Self::listed()
            );
            Error::new(ErrorKind::Setting, what)
        })?;
        ensure!(
            target.extension.is_some() || !path.exists(),
            Exists,
            "{} is there already; choose another folder",
            path.display()
        );
        Ok(target)
    }

    /// All targets as a person reads them.
    pub fn listed() -> String {
        listed(IMAGE_TARGETS.iter().map(|target| target.about))
    }
}

/// Pixels between the images of a grid, and around them.
const GAP: usize = 2;

/// To how many pixels a grid enlarges the shorter side of small images.
const VISIBLE: usize = 64;

impl Images {
    /// Writes all images as one PNG for the eye: row by row in so many columns, on white. Images
    /// below 64 pixels are enlarged by a whole number, to about that.
    ///
    /// # Errors
    /// No columns (`Setting`), or a file that cannot be written; what was at `path` is then
    /// untouched.
    pub fn write_grid(&self, path: &Path, columns: usize) -> Result<()> {
        ensure!(
            columns > 0,
            Setting,
            "expected a grid of at least one column, got 0"
        );
        let ([h, w, c], n) = (self.shape(), self.len());
        let columns = columns.min(n);
        let scale = (VISIBLE / h.min(w)).max(1);
        let (high, wide) = (scale * h + GAP, scale * w + GAP);
        let size = [n.div_ceil(columns) * high + GAP, columns * wide + GAP, c];
        let mut grid = Array3::from_elem(size, 255);
        for i in 0..n {
            let (top, left) = (GAP + i / columns * high, GAP + i % columns * wide);
            for y in 0..scale * h {
                for x in 0..scale * w {
                    for k in 0..c {
                        grid[[top + y, left + x, k]] = self.pixels[[i, y / scale, x / scale, k]];
                    }
                }
            }
        }
        let levels = grid.into_raw_vec_and_offset().0;
        store::replace(path, |out| png::encode(out, &levels, size))
    }

    /// Writes a new folder of PNG files, `00000.png` and so on, that [`Images::read`] gives back.
    ///
    /// # Errors
    /// Something is at `path` already (`Exists`), or a file cannot be written; then there is no
    /// folder.
    pub fn write_folder(&self, path: &Path) -> Result<()> {
        let digits = (self.len() - 1).to_string().len().max(5);
        store::new_folder(path, |folder| {
            (0..self.len()).into_par_iter().try_for_each(|i| {
                let file = folder.join(format!("{i:0digits$}.png"));
                let mut bytes = vec![];
                png::encode(&mut bytes, self.image(i), self.shape())
                    .and_then(|()| fs::write(&file, bytes))
                    .map_err(|cause| Error::io("write", &file, cause))
            })
        })
    }

    /// Writes `.npz` with the one array `arr_0` of uint8, `[n, height, width, channels]`, as
    /// evaluators of generated images (FID) read it.
    ///
    /// # Errors
    /// The file cannot be written; what was at `path` is then untouched.
    pub fn write_npz(&self, path: &Path) -> Result<()> {
        npz::write(path, "arr_0", &self.pixels)
    }
}

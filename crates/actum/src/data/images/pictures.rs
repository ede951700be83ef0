//! Images into pictures.

use std::{fs, path::Path};

use ndarray::Array3;
use rayon::prelude::*;

use super::{Images, formats::png};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    store,
};

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
        let bytes = self.grid(columns)?;
        store::replace(path, |out| out.write_all(&bytes))
    }

    /// The bytes of the file that [`write_grid`](Self::write_grid) writes.
    ///
    /// # Errors
    /// No columns (`Setting`).
    pub fn grid(&self, columns: usize) -> Result<Vec<u8>> {
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
        let mut bytes = vec![];
        png::encode(&mut bytes, &levels, size).map_err(|cause| {
            Error::new(ErrorKind::Value, "cannot encode the PNG").because(cause)
        })?;
        Ok(bytes)
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
}

//! Images into files.

use std::path::Path;

use super::{Images, formats::npz};
use crate::{
    data::listed,
    error::{Error, ErrorKind, Result, ensure},
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
    #[cfg(feature = "images")]
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
    #[cfg(feature = "images")]
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

impl Images {
    /// Writes `.npz` with the one array `arr_0` of uint8, `[n, height, width, channels]`, as
    /// evaluators of generated images (FID) read it.
    ///
    /// # Errors
    /// The file cannot be written; what was at `path` is then untouched.
    pub fn write_npz(&self, path: &Path) -> Result<()> {
        npz::write(path, "arr_0", &self.pixels)
    }
}

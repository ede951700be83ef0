//! Files: they appear whole or not at all, hold arrays by name, and say which version wrote them.

mod arrays;
mod version;

pub use arrays::Array;
pub(crate) use arrays::{find, read_arrays, write_arrays};
pub(crate) use version::versioned;

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use tempfile::NamedTempFile;

use crate::error::{Error, Result, ensure};

/// How the names of temporary files begin.
pub(crate) const TEMPORARY: &str = ".actum-";

/// Writes `path` through a temporary file in the same folder, renamed when it is complete: a
/// failure midway (a full disk, an error from `write`) leaves what was at `path` untouched.
///
/// # Errors
/// The folder is missing or read-only, the disk is full, or `write` failed.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let temporary = temporary_beside(path)?;
    let attempt = move || -> io::Result<()> {
        let mut buffer = BufWriter::new(temporary);
        write(&mut buffer)?;
        let temporary = buffer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(|cause| Error::io("write", path, cause))
}

/// Makes `path` by `make`, which is given the path of an empty file beside it; that is renamed when
/// it is complete. A failure midway leaves what was at `path` untouched.
///
/// # Errors
/// The folder is missing or read-only, the disk is full, or `make` failed.
pub fn replace_by<T>(path: &Path, make: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let failed = |cause| Error::io("write", path, cause);
    let temporary = temporary_beside(path)?;
    let made = make(temporary.path())?;
    let file = fs::OpenOptions::new().append(true).open(temporary.path());
    file.and_then(|file| file.sync_all()).map_err(failed)?;
    temporary.persist(path).map_err(|e| failed(e.error))?;
    Ok(made)
}

/// A file that is removed unless it is kept, in the folder of `path`.
fn temporary_beside(path: &Path) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    ensure!(
        folder.is_dir(),
        Io,
        "cannot write {}: the folder {} does not exist; make it first",
        path.display(),
        folder.display()
    );
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // A temporary file is private to its user; what it becomes is an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let plain = |e: io::Error| e.raw_os_error().map_or(e, io::Error::from_raw_os_error);
    let file = builder.tempfile_in(folder).map_err(plain);
    file.map_err(|cause| Error::io("write", path, cause))
}

/// Fills a new folder under another name beside it, renamed when it is complete: a failure midway
/// leaves nothing.
///
/// # Errors
/// Something is at `path` already (`Exists`), what it is to be in is missing or read-only, the disk
/// is full, or `fill` failed.
pub fn new_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    ensure!(
        !path.exists(),
        Exists,
        "{} is there already; choose another name or remove it first",
        path.display()
    );
    let failed = |cause| Error::io("write", path, cause);
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let folder = builder.tempdir_in(parent).map_err(failed)?;
    fill(folder.path())?;
    fs::rename(folder.path(), path).map_err(failed)?;
    // What it was called is gone.
    let _ = folder.keep();
    Ok(())
}

/// Reads a whole file.
///
/// # Errors
/// The file is missing or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| Error::io("read", path, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        replace(&path, |w| w.write_all(b"old")).unwrap();
        let error = replace(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert!(error.to_string().contains("disk full"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = replace(Path::new("no/such/folder/a.txt"), |_| Ok(())).unwrap_err();
        assert!(
            error.to_string().contains("no/such/folder/a.txt"),
            "{error}"
        );
    }
}

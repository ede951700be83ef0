//! Files: they appear whole or not at all, hold arrays by name, and say which version wrote them.

mod arrays;
mod lock;
mod swap;
mod version;

pub use arrays::Array;
#[cfg(feature = "train")]
pub(crate) use arrays::{arrays_in, arrays_to_bytes};
pub(crate) use arrays::{find, read_arrays, write_arrays};
#[cfg(feature = "train")]
pub(crate) use lock::Lock;
pub(crate) use lock::sweep;
#[cfg(feature = "train")]
pub(crate) use swap::{is_half_done, recover, swap};
pub(crate) use version::versioned;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempDir};

use crate::{
    error::{Error, ErrorKind, Result, ensure},
    memory,
};

/// How the names of temporary files begin.
pub(crate) const TEMPORARY: &str = ".actum-";

/// Folders within that of a run: the files that are to replace its own, those that do, and those
/// that are replaced.
pub(crate) const NEW: &str = ".actum-new";
const DONE: &str = ".actum-done";
const OLD: &str = ".actum-old";
const RESERVED: [&str; 3] = [NEW, DONE, OLD];

/// Writes `path` through a temporary file in the same folder, renamed when it is complete: a
/// failure midway (a full disk, an error from `write`) leaves what was at `path` untouched. A link
/// stays, and the file that it leads to is written.
///
/// # Errors
/// The folder is missing or read-only, the disk is full, there is something at `path` that is no
/// file, or `write` failed.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let target = target(path)?;
    let Temporary { mut file, .. } = temporary_beside(path, &target)?;
    let attempt = move || -> io::Result<()> {
        let mut buffer = BufWriter::new(file.as_file_mut());
        write(&mut buffer)?;
        buffer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(|cause| Error::io("write", path, cause))
}

/// Makes `path` by `make`, which is given the path of an empty file beside it; that is renamed when
/// it is complete. A failure midway leaves what was at `path` untouched.
///
/// # Errors
/// As [`replace`], or `make` failed.
pub fn replace_by<T>(path: &Path, make: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let failed = |cause| Error::io("write", path, cause);
    let target = target(path)?;
    let Temporary { file, _mark } = temporary_beside(path, &target)?;
    let made = make(file.path())?;
    let whole = fs::OpenOptions::new().append(true).open(file.path());
    whole.and_then(|file| file.sync_all()).map_err(failed)?;
    file.persist(&target).map_err(|e| failed(e.error))?;
    Ok(made)
}

/// Where a file is written that is to be at `path`.
fn target(path: &Path) -> Result<PathBuf> {
    let Ok(there) = fs::symlink_metadata(path) else {
        return Ok(path.to_owned());
    };
    let kind = |path: &Path| fs::metadata(path).map(|there| there.file_type());
    let target = match there.is_symlink() {
        false => path.to_owned(),
        true => fs::canonicalize(path).map_err(|cause| {
            let to = fs::read_link(path).unwrap_or_default();
            let what = format!(
                "cannot write {}: it is a link to {}, which is not there; remove the link",
                path.display(),
                to.display()
            );
            Error::new(ErrorKind::Io, what).because(cause)
        })?,
    };
    let kind = kind(&target).map_err(|cause| Error::io("write", path, cause))?;
    ensure!(
        kind.is_file(),
        Io,
        "cannot write {}: it is {}; name a file",
        path.display(),
        if kind.is_dir() {
            "a folder"
        } else {
            "no ordinary file"
        }
    );
    Ok(target)
}

/// A file that is removed unless it is kept.
struct Temporary {
    file: NamedTempFile,
    /// Tells other processes that this one lives.
    _mark: Option<File>,
}

/// A temporary file in the folder of `target`, for what the user calls `path`.
fn temporary_beside(path: &Path, target: &Path) -> Result<Temporary> {
    let folder = folder_of(target);
    let there = fs::metadata(folder);
    let is_missing = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    ensure!(
        !there.as_ref().is_err_and(is_missing),
        Io,
        "cannot write {}: the folder {} does not exist; make it first",
        path.display(),
        folder.display()
    );
    there.map_err(|cause| Error::io("write", path, cause))?;
    sweep(folder);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // A temporary file is private to its user; what it becomes is an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let plain = |e: io::Error| e.raw_os_error().map_or(e, io::Error::from_raw_os_error);
    loop {
        let file = builder.tempfile_in(folder).map_err(plain);
        let file = file.map_err(|cause| Error::io("write", path, cause))?;
        if let (_mark, true) = lock::mark(file.path()) {
            return Ok(Temporary { file, _mark });
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// A folder that is removed unless it is kept.
pub(crate) struct TemporaryFolder {
    folder: TempDir,
    _mark: Option<File>,
}

impl TemporaryFolder {
    /// A new one in `parent`, with these permissions where there are such.
    pub(crate) fn new_in(parent: &Path, mode: u32) -> io::Result<Self> {
        sweep(parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        loop {
            let folder = builder.tempdir_in(parent)?;
            if let (_mark, true) = lock::mark(folder.path()) {
                return Ok(Self { folder, _mark });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Fills a new folder under another name beside it, renamed when it is complete: a failure midway
/// leaves nothing.
///
/// # Errors
/// Something is at `path` already (`Exists`), what it is to be in is missing or read-only, the disk
/// is full, or `fill` failed.
pub fn new_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    ensure!(
        fs::symlink_metadata(path).is_err(),
        Exists,
        "{} is there already; choose another name or remove it first",
        path.display()
    );
    let failed = |cause| Error::io("write", path, cause);
    let folder = TemporaryFolder::new_in(folder_of(path), 0o777).map_err(failed)?;
    fill(folder.path())?;
    fs::rename(folder.path(), path).map_err(failed)?;
    // What it was called is gone.
    let _ = folder.folder.keep();
    Ok(())
}

/// Reads a whole file.
///
/// # Errors
/// The file is missing, cannot be read, or is larger than the [budget](memory::set_budget).
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |cause| Error::io("read", path, cause);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let budget = memory::budget();
    memory::check(
        &[],
        usize::try_from(length).unwrap_or(usize::MAX),
        path.display(),
    )?;
    let mut bytes = Vec::with_capacity(length as usize);
    // Some that are no files have no end and no length.
    let read = file.take(budget.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(failed)?;
    memory::check(&[], bytes.len(), path.display())?;
    Ok(bytes)
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

    #[cfg(unix)]
    #[test]
    fn links_stay_and_what_is_no_file_is_refused() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("real"), "old").unwrap();
        symlink(at("real"), at("link")).unwrap();
        replace(&at("link"), |w| w.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(fs::read(at("real")).unwrap(), b"new");
        symlink(at("nothing"), at("dangling")).unwrap();
        let error = replace(&at("dangling"), |_| Ok(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("dangling: it is a link to"), "{error}");
        let error = replace(folder.path(), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("it is a folder"), "{error}");
        let error = replace(Path::new("/dev/null"), |_| Ok(())).unwrap_err();
        assert!(
            error.to_string().contains("it is no ordinary file"),
            "{error}"
        );
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

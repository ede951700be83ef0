//! Who writes where: a lock that names its process, and what dead processes left.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::{RESERVED, TEMPORARY};
use crate::error::{Error, ErrorKind, Result};

/// The lock of a folder in which one process at a time writes.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    /// Held as long as the lock: the system lets go of it where the process ends, however it does.
    _file: File,
}

impl Lock {
    const NAME: &str = ".actum-lock";

    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// Another process has it (`Busy`), which is named; the folder cannot be written.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::NAME);
        let failed = |cause| Error::io("lock", folder, cause);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut process = String::new();
                    // Where locks keep others from reading, the process has no number here.
                    let _ = file.read_to_string(&mut process);
                    let what = format!(
                        "{} is being written by another process{}; wait until it ends, or take \
                         another folder",
                        folder.display(),
                        match process.trim() {
                            "" => String::new(),
                            process => format!(" ({process})"),
                        }
                    );
                    return Err(Error::new(ErrorKind::Busy, what));
                }
                // Some file systems of networks have no locks: there is then no way to know.
                Err(TryLockError::Error(cause)) if is_unknown(&cause) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // Who had it before may have removed the file after it was opened here.
            if !is_at(&file, &path) {
                continue;
            }
            let mut write = || {
                file.set_len(0)?;
                file.rewind()?;
                write!(file, "process {}", std::process::id())
            };
            // The number is for people alone: on a full disk the lock holds without it.
            let _ = write();
            return Ok(Self { path, _file: file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock is held still, so this is its own file.
        let _ = fs::remove_file(&self.path);
    }
}

impl Lock {
    /// The file of the lock.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn is_unknown(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::Unsupported
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = || -> io::Result<bool> {
        let (open, there) = (file.metadata()?, fs::symlink_metadata(path)?);
        Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
    };
    same().unwrap_or(false)
}

/// Open files are not removed here.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Marks a temporary file or folder as in use by this process. False where another has just taken
/// it for a dead one's and removed it.
pub(super) fn mark(path: &Path) -> (Option<File>, bool) {
    if cfg!(not(unix)) {
        return (None, true);
    }
    let Ok(file) = File::open(path) else {
        return (None, false);
    };
    // Without locks nothing is removed either.
    let _ = file.lock();
    let is_there = is_at(&file, path);
    (Some(file), is_there)
}

/// Removes the temporary files and folders that dead processes left in a folder; once for each
/// folder, as it may hold many files.
pub(crate) fn sweep(folder: &Path) {
    static SWEPT: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut swept = SWEPT.lock().unwrap_or_else(|broken| broken.into_inner());
    if cfg!(unix) && swept.get_or_insert_default().insert(folder.to_owned()) {
        drop(swept);
        remove_dead(folder);
    }
}

fn remove_dead(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_temporary = name.to_string_lossy().starts_with(TEMPORARY);
        if !is_temporary || name == Lock::NAME || RESERVED.iter().any(|kept| name == *kept) {
            continue;
        }
        // A link, a pipe: nothing that was made here.
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_err() {
            continue;
        }
        // What cannot be removed is in nobody's way.
        let _ = match kind.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_lock_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let process = format!("(process {})", std::process::id());
        assert!(error.to_string().contains(&process), "{error}");
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(Lock::take(folder.path()).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn what_the_dead_left_is_removed_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".actum-dead"), "x").unwrap();
        fs::create_dir(at(".actum-shards")).unwrap();
        fs::write(at(".actum-shards/0"), "x").unwrap();
        fs::write(at(".actum-alive"), "x").unwrap();
        fs::create_dir(at(RESERVED[0])).unwrap();
        fs::write(at("mine"), "x").unwrap();
        let (_alive, is_there) = mark(&at(".actum-alive"));
        assert!(is_there);
        sweep(folder.path());
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".actum-alive", RESERVED[0], "mine"]);
    }
}

//! Which process writes to the folder of a run, and what becomes of the run that was there.

use std::{
    fs,
    path::{Path as FilePath, PathBuf},
};

use super::{IfExists, Run};
use crate::{
    error::{Error, Result, ensure},
    store::{self, Lock},
};

/// A folder to which this process alone writes a run, until this is dropped. A run that is replaced
/// stays as it is until the new one is whole.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    if_exists: IfExists,
    lock: Lock,
    /// After the lock, which is in it.
    _made: Made,
}

/// Folders that were made for a run, the innermost first; those that stay empty are removed.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Made {
    fn at(folder: &FilePath) -> Result<Self> {
        let missing = folder.ancestors().take_while(|folder| {
            let is_named = !folder.as_os_str().is_empty();
            is_named && !folder.exists()
        });
        let missing = missing.map(FilePath::to_owned).collect();
        let made = Self(missing);
        fs::create_dir_all(folder)
            .map_err(|cause| Error::io("create the folder", folder, cause))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // A folder with something in it stays.
        let _ = self.0.iter().try_for_each(fs::remove_dir);
    }
}

impl IfExists {
    /// Claims `folder`, which is made if need be, for [`Run::fit`]. That is worth doing before a
    /// long reading.
    ///
    /// # Errors
    /// Another process is writing there ([`Busy`](crate::error::ErrorKind::Busy)); the folder is
    /// there already with [`IfExists::Keep`], is missing with [`IfExists::Resume`], or holds
    /// something else than a run.
    pub fn claim(self, folder: &FilePath) -> Result<Claim> {
        if self == IfExists::Resume && !folder.is_dir() {
            Run::open(folder)?;
        }
        let made = Made::at(folder)?;
        let lock = Lock::take(folder)?;
        store::recover(folder)?;
        store::sweep(folder);
        self.check(folder)?;
        Ok(Claim {
            folder: folder.to_owned(),
            if_exists: self,
            lock,
            _made: made,
        })
    }

    fn check(self, folder: &FilePath) -> Result<()> {
        if self == IfExists::Resume {
            return Ok(());
        }
        let unreadable = |cause| Error::io("read", folder, cause);
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if name.to_string_lossy().starts_with(store::TEMPORARY) {
                continue;
            }
            ensure!(
                self == IfExists::Overwrite,
                Exists,
                "{} is there already: replace it (`IfExists::Overwrite`) or go on with it \
                 (`IfExists::Resume`)",
                folder.display()
            );
            ensure!(
                Run::FILES.iter().any(|file| *file == name),
                Exists,
                "{} holds {}, which is not part of a run: it is not overwritten; choose another \
                 folder",
                folder.display(),
                name.display()
            );
        }
        Ok(())
    }
}

impl Claim {
    /// The folder.
    pub fn folder(&self) -> &FilePath {
        &self.folder
    }

    /// What removes the traces of this claim where the process is to end without dropping it.
    pub fn undo(&self) -> impl Fn() + Send + 'static {
        let (lock, made) = (self.lock.path().to_owned(), self._made.0.clone());
        move || {
            let _ = fs::remove_file(&lock);
            let _ = made.iter().try_for_each(fs::remove_dir);
        }
    }

    pub(super) fn if_exists(&self) -> IfExists {
        self.if_exists
    }

    /// Where a new run is written: beside the files of one that is there.
    pub(super) fn begin(&self) -> Result<PathBuf> {
        let new = self.folder.join(store::NEW);
        let failed = |cause| Error::io("replace", &new, cause);
        if new.exists() {
            fs::remove_dir_all(&new).map_err(failed)?;
        }
        let is_there = |name: &&str| fs::symlink_metadata(self.folder.join(name)).is_ok();
        if !Run::FILES.iter().any(is_there) {
            return Ok(self.folder.clone());
        }
        fs::create_dir(&new).map_err(failed)?;
        Ok(new)
    }

    /// Puts a run that is whole in the place of the one that was there.
    pub(super) fn finish(&self, at: &FilePath) -> Result<()> {
        if at == self.folder {
            return Ok(());
        }
        store::swap(&self.folder, &Run::FILES)
    }
}

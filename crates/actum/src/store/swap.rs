//! Files that replace others all at once.
//!
//! New files are written to a folder within the folder that they are for. To replace the old ones
//! takes several renames, and a process may be ended between any two of them. One of these, that of
//! the folder of new files, decides: before it the next process puts the old files back, after it
//! the next one puts the rest of the new ones in place.

use std::{fs, io, path::Path};

use super::{DONE, NEW, OLD};
use crate::error::{Error, Result};

/// Replaces the files of these names in `folder` by those in its folder [`NEW`].
///
/// # Errors
/// A file that cannot be replaced: all are as they were before.
pub(crate) fn swap(folder: &Path, names: &[&str]) -> Result<()> {
    let [new, done, old] = [NEW, DONE, OLD].map(|name| folder.join(name));
    let failed = |cause| Error::io("replace", folder, cause);
    recover(folder)?;
    fs::create_dir(&old).map_err(failed)?;
    let is_there = |name: &&&str| fs::symlink_metadata(folder.join(name)).is_ok();
    let moved = names.iter().filter(is_there).try_for_each(|name| {
        let from = folder.join(name);
        fs::rename(&from, old.join(name)).map_err(|cause| Error::io("replace", &from, cause))
    });
    let decided = moved.and_then(|()| fs::rename(&new, &done).map_err(failed));
    if let Err(error) = decided {
        recover(folder)?;
        return Err(error);
    }
    recover(folder)
}

/// Whether a [`swap`] was begun and not ended.
pub(crate) fn is_half_done(folder: &Path) -> bool {
    [DONE, OLD].iter().any(|name| folder.join(name).exists())
}

/// Ends what a [`swap`] began.
///
/// # Errors
/// A file that cannot be moved.
pub(crate) fn recover(folder: &Path) -> Result<()> {
    let [done, old] = [DONE, OLD].map(|name| folder.join(name));
    let ended = || -> io::Result<()> {
        if done.exists() {
            empty(&done, folder)?;
            if old.exists() {
                fs::remove_dir_all(&old)?;
            }
        } else if old.exists() {
            empty(&old, folder)?;
        }
        Ok(())
    };
    ended().map_err(|cause| Error::io("replace", folder, cause))
}

/// Moves all that is in one folder to another, and removes it.
fn empty(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    fs::remove_dir(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    /// All files in a folder and its folders.
    fn files(folder: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                for (file, text) in files(&path) {
                    found.insert(format!("{name}/{file}"), text);
                }
                found.entry(format!("{name}/")).or_default();
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
        found
    }

    /// `a`, `b` old and `mine`; `a`, `c` new.
    fn begun() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(NEW)).unwrap();
        for (name, text) in [("a", "old"), ("b", "old"), ("mine", "mine")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        for name in ["a", "c"] {
            fs::write(folder.path().join(NEW).join(name), "new").unwrap();
        }
        folder
    }

    fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        owned.collect()
    }

    #[test]
    fn all_is_replaced() {
        let folder = begun();
        swap(folder.path(), &NAMES).unwrap();
        let new = [("a", "new"), ("c", "new"), ("mine", "mine")];
        assert_eq!(files(folder.path()), expected(&new));
    }

    #[test]
    fn a_process_that_ends_anywhere_leaves_all_old_or_all_new_files() {
        let old = [("a", "old"), ("b", "old"), ("mine", "mine")];
        let new = [("a", "new"), ("c", "new"), ("mine", "mine")];
        // The renames of a swap one by one, and how many of them are done.
        for done in 0..=6 {
            let folder = begun();
            let at = |name: &str| folder.path().join(name);
            let steps: [&dyn Fn() -> io::Result<()>; 6] = [
                &|| fs::create_dir(at(OLD)),
                &|| fs::rename(at("a"), at(OLD).join("a")),
                &|| fs::rename(at("b"), at(OLD).join("b")),
                &|| fs::rename(at(NEW), at(DONE)),
                &|| fs::rename(at(DONE).join("c"), at("c")),
                &|| fs::rename(at(DONE).join("a"), at("a")),
            ];
            steps[..done].iter().for_each(|step| step().unwrap());
            recover(folder.path()).unwrap();
            assert!(!is_half_done(folder.path()));
            let mut found = files(folder.path());
            found.retain(|name, _| !name.starts_with(NEW));
            let whole = if done < 4 { &old } else { &new };
            assert_eq!(found, expected(whole), "{done} renames done");
        }
    }
}

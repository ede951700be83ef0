//! Files of any size: all rows, or a random sample that is spoken of.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use actum::{
    data::{self, Keys, Snapshots, Split, TableReader},
    error::Result,
    machines::Parts,
};

use crate::{output, progress::Meter};

/// Every command looks at the same sample, whatever run it is for.
const SEED: u64 = 0;

/// The keys with the components that they ask for, which are computed once.
pub fn with_components(
    path: &Path,
    keys: &Keys,
    tell: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Keys> {
    let mut keys = keys.clone();
    if keys.pca.is_some() {
        keys.decoder = Some(Arc::new(data::principal_components(path, &keys, tell)?));
    }
    Ok(keys)
}

/// The same, with progress that nothing stops.
pub fn with_components_told(path: &Path, keys: &Keys) -> Result<Keys> {
    let mut meter = Meter::new("cell");
    with_components(path, keys, &mut |done, of| {
        meter.at(done, of, "");
        ControlFlow::Continue(())
    })
}

/// All rows of a file that has at most `shard` of them at each time, with the columns that are no
/// coordinates; else so many at random, without.
pub fn with_attributes(path: &Path, keys: &Keys, shard: usize) -> Result<Snapshots> {
    let snapshots = sample(path, keys, shard)?;
    if snapshots.is_sample() {
        return Ok(snapshots);
    }
    let order = TableReader::open(path, keys)?.order();
    let attributes = data::read_attributes(path, keys, snapshots.columns())?;
    snapshots.with_attributes(attributes.iter().map(|a| a.select(&order)).collect())
}

/// All rows of a file that has at most `shard` of them at each time, else so many at random.
pub fn sample(path: &Path, keys: &Keys, shard: usize) -> Result<Snapshots> {
    let how = Split {
        shard,
        seed: SEED,
        most: 1,
        parts: Parts::all(1),
    };
    let mut meter = Meter::new("row");
    let mut tell = |done, of| {
        meter.at(done, of, "");
        ControlFlow::Continue(())
    };
    let table = TableReader::open(path, keys)?;
    table
        .shards(&how, &std::env::temp_dir(), &mut tell)?
        .shard(0)
}

/// Says on standard error what was supposed of a file.
pub fn note(path: &Path, notes: &[String]) {
    for note in notes {
        output::say(&format!(
            "note: {}: {}",
            path.display(),
            output::with_flags(note)
        ));
    }
}

/// What is said of a sample: of how many rows so many "are compared", say.
pub fn said(snapshots: &Snapshots, are: &str) -> Option<String> {
    let most = |counts: Vec<f64>| counts.into_iter().fold(0.0, f64::max) as usize;
    let sizes = snapshots.clouds().iter().map(|cloud| cloud.len() as f64);
    let (of, sizes) = (most(snapshots.counts()), most(sizes.collect()));
    let equal = snapshots.counts().iter().all(|n| *n as usize == of);
    snapshots.is_sample().then(|| {
        format!(
            "a random {} of {}{} rows at each time {are}",
            output::thousands(sizes),
            if equal { "" } else { "up to " },
            output::thousands(of),
        )
    })
}

/// Where bytes that are no text go in a name: characters that stand for nothing (MirBSD's OPTU-8).
const BYTES: u32 = 0xef00;

/// A path as text that [`path_of`] gives back.
pub fn name_of(path: &Path) -> String {
    let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
    let mut name = String::new();
    for chunk in chunks {
        name += chunk.valid();
        let bytes = chunk.invalid().iter();
        name.extend(bytes.filter_map(|byte| char::from_u32(BYTES + u32::from(*byte))));
    }
    name
}

/// The path of [`name_of`].
#[cfg(unix)]
pub fn path_of(name: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    // A path may have such characters itself.
    let plain = PathBuf::from(name);
    if plain.exists() {
        return plain;
    }
    let mut bytes = vec![];
    for letter in name.chars() {
        match u32::from(letter).checked_sub(BYTES) {
            Some(byte @ 0x80..=0xff) => bytes.push(byte as u8),
            _ => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// The path of [`name_of`].
#[cfg(not(unix))]
pub fn path_of(name: &str) -> PathBuf {
    PathBuf::from(name)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    #[test]
    fn names_give_their_paths_back() {
        for bytes in [
            &b"/a/b.csv"[..],
            b"/caf\xe9/\xff\xfe.csv",
            "/caf\u{e9}".as_bytes(),
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(path_of(&name_of(path)), path);
        }
    }
}

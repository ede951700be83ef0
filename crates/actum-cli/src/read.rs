//! Files of any size: all rows, or a random sample that is spoken of.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use actum::{
    data::{self, Keys, Snapshots, Split, TableReader},
    error::Result,
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
        eprintln!("note: {}: {}", path.display(), output::with_flags(note));
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

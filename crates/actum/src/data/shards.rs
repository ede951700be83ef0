//! A population in shards that fit in memory.

use std::{fs::OpenOptions, io::Write, ops::ControlFlow, path::Path};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::{
    cloud::check_weight,
    data::{
        Snapshots, TableReader, TimeAxis,
        reader::Gathered,
        snapshots::{Whole, hexadecimal},
    },
    error::{Error, ErrorKind, Result, ensure},
    machines::Parts,
    store::{self, TemporaryFolder},
};

/// How to split a file into shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The most points of a shard at each time, at least [`Split::LEAST`].
    pub shard: usize,
    /// Seeds which row goes where.
    pub seed: u64,
    /// How many shards are kept for each part; the rows of the others are read and left out.
    pub most: usize,
    /// The parts of the steps that are to see the shards. Those of other processes keep theirs.
    pub parts: Parts,
}

impl Split {
    /// The least `shard`.
    pub const LEAST: usize = 20;

    /// Checks the size of a shard against its range.
    ///
    /// # Errors
    /// It is outside.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.shard >= Self::LEAST,
            Setting,
            "`shard` must be at least {} points, got {}",
            Self::LEAST,
            self.shard
        );
        Ok(())
    }
}

/// A population in shards, each a uniform random sample of it: in one shard in memory
/// (`Shards::from(snapshots)`), or in many in a temporary folder ([`TableReader::shards`]).
///
/// The rows of the most numerous time are in one shard each. So are those of other times, unless a
/// shard then had fewer than a tenth of `shard` points there: then every row is in as many shards
/// as it takes, at most in all. Which rows go where is random and spread evenly: of rows that
/// follow each other in the file every shard gets its share. Within a shard the rows keep their
/// order.
pub struct Shards(Store);

enum Store {
    Whole(Box<Snapshots>),
    Disk(Box<OnDisk>),
}

struct OnDisk {
    folder: TemporaryFolder,
    /// Which of the shards of the whole are here.
    here: Vec<bool>,
    parts: Parts,
    axis: TimeAxis,
    columns: Vec<String>,
    masses: Option<Vec<f64>>,
    has_velocities: bool,
    whole: Whole,
    notes: Vec<String>,
}

impl From<Snapshots> for Shards {
    fn from(snapshots: Snapshots) -> Self {
        Self(Store::Whole(Box::new(snapshots)))
    }
}

impl Shards {
    /// In how many shards the whole is, at least 1.
    pub fn count(&self) -> usize {
        match &self.0 {
            Store::Whole(_) => 1,
            Store::Disk(disk) => disk.here.len(),
        }
    }

    /// How many of them are kept, at least 1.
    pub fn kept(&self) -> usize {
        match &self.0 {
            Store::Whole(_) => 1,
            Store::Disk(disk) => disk.here.iter().filter(|here| **here).count(),
        }
    }

    /// The parts of steps that see them.
    pub(crate) fn parts(&self) -> Parts {
        match &self.0 {
            Store::Whole(_) => Parts::all(1),
            Store::Disk(disk) => disk.parts,
        }
    }

    /// The shard that a part sees when its turn has come so often before.
    pub(crate) fn of_part(&self, part: usize, round: usize) -> usize {
        of_part(self.count(), self.parts().count, part, round)
    }

    /// Whether all that a fit sees in so many turns are kept.
    pub(crate) fn are_kept_for(&self, rounds: usize) -> bool {
        let Store::Disk(disk) = &self.0 else {
            return true;
        };
        let rounds = rounds.min(disk.here.len());
        let mut parts = disk.parts.held();
        parts.all(|part| (0..rounds).all(|round| disk.here[self.of_part(part, round)]))
    }

    /// Shard `i`: points of all times, with the masses of the whole. Where there are several it
    /// [is a sample](Snapshots::is_sample).
    ///
    /// # Errors
    /// There is no such shard, its file was tampered with, or it has no weight at some time.
    pub fn shard(&self, i: usize) -> Result<Snapshots> {
        let is_kept = match &self.0 {
            Store::Whole(_) => i == 0,
            Store::Disk(disk) => disk.here.get(i) == Some(&true),
        };
        ensure!(
            is_kept,
            Missing,
            "expected one of the {} shards that are kept, got shard {i}",
            self.kept()
        );
        match &self.0 {
            Store::Whole(snapshots) => Ok(Snapshots::clone(snapshots)),
            Store::Disk(disk) => disk
                .shard(i)
                .map_err(|e| e.within(format_args!("shard {i} of {}", disk.here.len()))),
        }
    }
}

impl OnDisk {
    fn shard(&self, i: usize) -> Result<Snapshots> {
        let bytes = store::read(&self.folder.path().join(i.to_string()))?;
        let d = self.columns.len();
        let moving = if self.has_velocities { d } else { 0 };
        let width = 1 + d + usize::from(self.masses.is_some()) + moving;
        let number = |x: &[u8]| f64::from_le_bytes(x.try_into().expect("eight bytes"));
        let rows = || bytes.chunks_exact(8 * width);
        let mut counts = vec![0; self.axis.values().len()];
        rows().for_each(|row| counts[number(&row[..8]) as usize] += 1);
        let (mut gathered, mut row) = (Gathered::new(&counts, d), vec![0.0; width]);
        for bytes in rows() {
            let numbers = row.iter_mut().zip(bytes.chunks_exact(8));
            numbers.for_each(|(x, bytes)| *x = number(bytes));
            let (point, rest) = row[1..].split_at(d);
            let (weight, velocity) = rest.split_at(rest.len() - moving);
            gathered.push(row[0] as usize, point, weight, velocity);
        }
        let snapshots = gathered.snapshots(&self.axis, &self.columns)?;
        let snapshots = match &self.masses {
            Some(masses) => snapshots.with_masses(masses)?,
            None => snapshots,
        };
        let snapshots = snapshots.sampled_from(self.whole.clone());
        Ok(snapshots.with_notes(self.notes.clone()))
    }
}

/// The shard of `count` that one of `parts` parts sees in its turn: every part has those whose
/// number leaves its own when divided by the number of parts. Of fewer shards than parts, several
/// parts see the same.
fn of_part(count: usize, parts: usize, part: usize, round: usize) -> usize {
    match count.saturating_sub(part).div_ceil(parts) {
        0 => part % count,
        own => part + parts * (round % own),
    }
}

/// To which shards the rows of one time go.
struct Assigner {
    order: Vec<u32>,
    next: usize,
    copies: usize,
}

impl Assigner {
    fn new(shards: usize, count: usize, least: usize) -> Self {
        Self {
            order: (0..shards as u32).collect(),
            next: 0,
            copies: (least * shards).div_ceil(count).clamp(1, shards),
        }
    }

    fn split(&mut self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = usize> {
        if self.next == 0 {
            self.order.shuffle(rng);
        }
        let (start, shards) = (self.next, self.order.len());
        self.next = (start + self.copies) % shards;
        (start..start + self.copies).map(move |k| self.order[k % shards] as usize)
    }
}

/// Shards while they are written.
struct Writer<'a> {
    folder: &'a Path,
    buffers: Vec<Vec<u8>>,
}

/// How many bytes of a shard are written at once.
const BUFFER: usize = 1 << 16;

impl Writer<'_> {
    fn push(&mut self, shard: usize, row: &[u8]) -> Result<()> {
        self.buffers[shard].extend_from_slice(row);
        if self.buffers[shard].len() >= BUFFER {
            self.flush(shard)?;
        }
        Ok(())
    }

    fn flush(&mut self, shard: usize) -> Result<()> {
        let path = self.folder.join(shard.to_string());
        // There may be more shards than files can be open.
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(&self.buffers[shard]))
            .map_err(|cause| {
                Error::new(
                    ErrorKind::Io,
                    format!(
                        "cannot write the shards of a large file to {}; take a disk with more room, \
                         or fewer steps, which see fewer shards",
                        self.folder.display()
                    ),
                )
                .because(cause)
            })?;
        self.buffers[shard].clear();
        Ok(())
    }
}

/// Every how many rows `progress` is asked.
const ASK: usize = 10_000;

pub(super) fn split(
    table: &TableReader,
    how: &Split,
    folder: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Shards> {
    let largest = table.counts.iter().copied().max().unwrap_or(0);
    let count = largest.div_ceil(how.shard);
    let mut here = vec![false; count];
    // The first one decides units for all parts.
    here[0] = true;
    for part in how.parts.held() {
        for round in 0..how.most.min(count) {
            here[of_part(count, how.parts.count, part, round)] = true;
        }
    }
    let least = (how.shard / 10).max(Split::LEAST / 2);
    let made = TemporaryFolder::new_in(folder, 0o700);
    let folder = made.map_err(|cause| {
        let verb = "make a folder for the shards of a large file in";
        Error::io(verb, folder, cause)
    })?;
    let mut writer = Writer {
        folder: folder.path(),
        buffers: vec![vec![]; count],
    };
    let assigner = |n: &usize| Assigner::new(count, *n, least);
    let mut assigners: Vec<Assigner> = table.counts.iter().map(assigner).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
    let mut hash = Sha256::new();
    hash.update((table.columns.len() as u64).to_le_bytes());
    let mut masses = vec![0.0; assigners.len()];
    let mut seen = vec![0; assigners.len()];
    // The reader may know better where in the file it is, so it has the first word.
    let mut wrong: Option<Error> = None;

    let (total, mut bytes) = (table.index.len(), vec![]);
    table.each(|row, time, point, weight, velocity| {
        for weight in weight {
            masses[time] += weight;
            let label = &table.axis.labels()[time];
            let checked = check_weight(seen[time], *weight);
            wrong = wrong.take().or(checked
                .err()
                .map(|e| e.within(format_args!("time {label}"))));
        }
        seen[time] += 1;
        bytes.clear();
        for x in [&[time as f64], point, weight, velocity]
            .into_iter()
            .flatten()
        {
            bytes.extend_from_slice(&x.to_le_bytes());
        }
        hash.update(&bytes);
        for shard in assigners[time].split(&mut rng) {
            if here[shard] {
                writer.push(shard, &bytes)?;
            }
        }
        let done = row + 1;
        if done.is_multiple_of(ASK) || done == total {
            ensure!(
                progress(done, total).is_continue(),
                Interrupted,
                "stopped after {done} of {total} rows were read; nothing is kept"
            );
        }
        Ok(())
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    (0..count).try_for_each(|shard| match here[shard] {
        true => writer.flush(shard),
        false => Ok(()),
    })?;
    for time in table.axis.values() {
        hash.update(time.to_le_bytes());
    }
    let mut disk = OnDisk {
        folder,
        here,
        parts: how.parts,
        axis: table.axis.clone(),
        columns: table.columns.clone(),
        masses: table.has_weights.then_some(masses),
        has_velocities: table.has_velocities(),
        whole: Whole {
            counts: table.counts.clone(),
            fingerprint: hexadecimal(hash),
        },
        notes: vec![],
    };
    disk.notes = table.notes(&disk.shard(0)?);
    Ok(Shards(Store::Disk(Box::new(disk))))
}

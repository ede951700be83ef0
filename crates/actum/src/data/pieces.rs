//! A population in pieces that fit in memory.

use std::{fs::OpenOptions, io::Write, ops::ControlFlow, path::Path};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    cloud::check_weight,
    data::{
        Rows, Snapshots, TimeAxis,
        rows::{grouped, kept},
        snapshots::{Whole, hexadecimal},
    },
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// How to deal a file into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deal {
    /// The most points of a piece at each time, at least [`Deal::LEAST`].
    pub piece: usize,
    /// Seeds which row goes where.
    pub seed: u64,
    /// How many pieces are kept; the rows of the others are read and left out.
    pub most: usize,
}

impl Deal {
    /// The least `piece`.
    pub const LEAST: usize = 20;

    /// Checks the size of a piece against its range.
    ///
    /// # Errors
    /// It is outside.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.piece >= Self::LEAST,
            Setting,
            "`piece` must be at least {} points, got {}",
            Self::LEAST,
            self.piece
        );
        Ok(())
    }
}

/// A population in pieces, each a uniform random sample of it: in one piece in memory
/// (`Pieces::from(snapshots)`), or in many in a temporary folder ([`Rows::pieces`]).
///
/// The rows of the most numerous time are in one piece each. So are those of other times, unless a
/// piece then had fewer than a tenth of `piece` points there: then every row is in as many pieces as
/// it takes, at most in all. Which rows go where is random and spread evenly: of rows that follow
/// each other in the file every piece gets its share. Within a piece the rows keep their order.
pub struct Pieces(Store);

enum Store {
    Whole(Box<Snapshots>),
    Dealt(Box<Dealt>),
}

struct Dealt {
    folder: TempDir,
    /// Pieces of the whole, and how many of them are here.
    count: usize,
    here: usize,
    axis: TimeAxis,
    columns: Vec<String>,
    text: Vec<usize>,
    masses: Option<Vec<f64>>,
    has_velocities: bool,
    whole: Whole,
    notes: Vec<String>,
}

impl From<Snapshots> for Pieces {
    fn from(snapshots: Snapshots) -> Self {
        Self(Store::Whole(Box::new(snapshots)))
    }
}

impl Pieces {
    /// In how many pieces the whole is, at least 1.
    pub fn count(&self) -> usize {
        match &self.0 {
            Store::Whole(_) => 1,
            Store::Dealt(dealt) => dealt.count,
        }
    }

    /// How many of them are kept, at least 1.
    pub fn kept(&self) -> usize {
        match &self.0 {
            Store::Whole(_) => 1,
            Store::Dealt(dealt) => dealt.here,
        }
    }

    /// Piece `i`: points of all times, with the masses of the whole. Where there are several it
    /// [is a sample](Snapshots::is_sample).
    ///
    /// # Errors
    /// There is no such piece, its file was tampered with, or it has no weight at some time.
    pub fn piece(&self, i: usize) -> Result<Snapshots> {
        ensure!(
            i < self.kept(),
            Missing,
            "expected one of the {} pieces that are kept, got piece {i}",
            self.kept()
        );
        match &self.0 {
            Store::Whole(snapshots) => Ok(Snapshots::clone(snapshots)),
            Store::Dealt(dealt) => dealt
                .piece(i)
                .map_err(|e| e.within(format_args!("piece {i} of {}", dealt.count))),
        }
    }
}

impl Dealt {
    fn piece(&self, i: usize) -> Result<Snapshots> {
        let bytes = store::read(&self.folder.path().join(i.to_string()))?;
        let numbers: Vec<f64> = bytes
            .chunks_exact(8)
            .map(|x| f64::from_le_bytes(x.try_into().expect("eight bytes")))
            .collect();
        let d = self.columns.len();
        let moving = if self.has_velocities {
            d - self.text.len()
        } else {
            0
        };
        let width = 1 + d + usize::from(self.masses.is_some()) + moving;
        let (mut index, mut points) = (vec![], vec![]);
        let (mut weights, mut velocities) = (vec![], vec![]);
        for row in numbers.chunks_exact(width) {
            index.push(row[0] as usize);
            points.extend_from_slice(&row[1..=d]);
            weights.extend_from_slice(&row[1 + d..width - moving]);
            velocities.extend_from_slice(&row[width - moving..]);
        }
        let (points, columns) = kept(points, &self.columns, &self.text)?;
        let snapshots = grouped(
            &self.axis,
            &index,
            points,
            self.masses.is_some().then_some(weights),
            self.has_velocities.then_some(velocities),
            columns,
        )?;
        let snapshots = match &self.masses {
            Some(masses) => snapshots.with_masses(masses)?,
            None => snapshots,
        };
        let snapshots = snapshots.sampled_from(self.whole.clone());
        Ok(snapshots.with_notes(self.notes.clone()))
    }
}

/// To which pieces the rows of one time go.
struct Hand {
    order: Vec<u32>,
    next: usize,
    copies: usize,
}

impl Hand {
    fn new(pieces: usize, count: usize, least: usize) -> Self {
        Self {
            order: (0..pieces as u32).collect(),
            next: 0,
            copies: (least * pieces).div_ceil(count).clamp(1, pieces),
        }
    }

    fn deal(&mut self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = usize> {
        if self.next == 0 {
            self.order.shuffle(rng);
        }
        let (start, pieces) = (self.next, self.order.len());
        self.next = (start + self.copies) % pieces;
        (start..start + self.copies).map(move |k| self.order[k % pieces] as usize)
    }
}

/// Pieces while they are written.
struct Writer<'a> {
    folder: &'a Path,
    buffers: Vec<Vec<u8>>,
}

/// How many bytes of a piece are written at once.
const BUFFER: usize = 1 << 16;

impl Writer<'_> {
    fn push(&mut self, piece: usize, row: &[u8]) -> Result<()> {
        self.buffers[piece].extend_from_slice(row);
        if self.buffers[piece].len() >= BUFFER {
            self.flush(piece)?;
        }
        Ok(())
    }

    fn flush(&mut self, piece: usize) -> Result<()> {
        let path = self.folder.join(piece.to_string());
        // There may be more pieces than files can be open.
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(&self.buffers[piece]))
            .map_err(|cause| {
                Error::new(
                    ErrorKind::Io,
                    format!(
                        "cannot write the pieces of a large file to {}; a disk with more room helps, \
                         or fewer steps, which see fewer pieces",
                        self.folder.display()
                    ),
                )
                .because(cause)
            })?;
        self.buffers[piece].clear();
        Ok(())
    }
}

/// Every how many rows `progress` is asked.
const ASK: usize = 10_000;

pub(super) fn deal(
    rows: &Rows,
    how: &Deal,
    folder: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Pieces> {
    let largest = rows.counts.iter().copied().max().unwrap_or(0);
    let count = largest.div_ceil(how.piece);
    let here = count.min(how.most.max(1));
    let least = (how.piece / 10).max(Deal::LEAST / 2);
    let folder = tempfile::Builder::new()
        .prefix(store::TEMPORARY)
        .tempdir_in(folder)
        .map_err(|cause| {
            Error::io(
                "make a folder for the pieces of a large file in",
                folder,
                cause,
            )
        })?;
    let mut writer = Writer {
        folder: folder.path(),
        buffers: vec![vec![]; here],
    };
    let hand = |n: &usize| Hand::new(count, *n, least);
    let mut hands: Vec<Hand> = rows.counts.iter().map(hand).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
    let mut hash = Sha256::new();
    hash.update((rows.columns.len() as u64).to_le_bytes());
    let mut masses = vec![0.0; hands.len()];
    let mut seen = vec![0; hands.len()];
    // The reader may know better where in the file it is, so it has the first word.
    let mut wrong: Option<Error> = None;

    let total = rows.index.len();
    let (d, mut at, mut bytes) = (rows.columns.len(), 0, vec![]);
    let has_velocities = rows.file.options.velocity_key.is_some();
    let text = rows.file.each(total, d, true, &mut |chunk| {
        let n = chunk.points.len() / d;
        let moving = chunk.velocities.map_or(0, <[f64]>::len) / n;
        for i in 0..n {
            let time = rows.index[at];
            let weight = chunk.weights.map(|weights| weights[i]);
            if let Some(weight) = weight {
                masses[time] += weight;
                let label = &rows.axis.labels()[time];
                let checked = check_weight(seen[time], weight);
                wrong = wrong.take().or(checked
                    .err()
                    .map(|e| e.within(format_args!("time {label}"))));
            }
            seen[time] += 1;
            bytes.clear();
            let velocity = chunk.velocities.unwrap_or_default();
            let numbers = [time as f64].into_iter();
            let numbers = numbers.chain(chunk.points[i * d..(i + 1) * d].iter().copied());
            let numbers = numbers.chain(weight);
            let velocity = &velocity[i * moving..(i + 1) * moving];
            for x in numbers.chain(velocity.iter().copied()) {
                bytes.extend_from_slice(&x.to_le_bytes());
            }
            hash.update(&bytes);
            for piece in hands[time].deal(&mut rng) {
                if piece < here {
                    writer.push(piece, &bytes)?;
                }
            }
            at += 1;
            if at.is_multiple_of(ASK) || at == total {
                ensure!(
                    progress(at, total).is_continue(),
                    Interrupted,
                    "stopped after {at} of {total} rows were read; nothing is kept"
                );
            }
        }
        Ok(())
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    (0..here).try_for_each(|piece| writer.flush(piece))?;
    for time in rows.axis.values() {
        hash.update(time.to_le_bytes());
    }
    let mut dealt = Dealt {
        folder,
        count,
        here,
        axis: rows.axis.clone(),
        columns: rows.columns.clone(),
        text,
        masses: rows.has_weights.then_some(masses),
        has_velocities,
        whole: Whole {
            counts: rows.counts.clone(),
            fingerprint: hexadecimal(hash),
        },
        notes: vec![],
    };
    dealt.notes = rows.notes(&dealt.text, &dealt.piece(0)?);
    Ok(Pieces(Store::Dealt(Box::new(dealt))))
}

//! What AnnData lies in: a file of HDF5 or a store of Zarr, read in the same way.

use std::path::Path;

use super::{hdf5, zarr};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    memory,
};

/// An open file or store, of which a few chunks at a time are in memory.
pub(super) enum File {
    Hdf5(hdf5::File),
    Zarr(zarr::Store),
}

/// What the items of an array are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of so many bits, in NumPy's words.
    Number(&'static str),
    Text,
    Truth,
    Else,
}

/// An array that can be read.
pub(super) struct Array {
    /// Where it is in the file.
    pub place: String,
    pub shape: Vec<usize>,
    pub kind: Kind,
    items: Items,
}

/// Where the items of an array are.
enum Items {
    Hdf5(hdf5::Items),
    Zarr(Box<zarr::Items>),
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self> {
        match path.is_dir() {
            true => zarr::Store::open(path).map(Self::Zarr),
            false => hdf5::File::open(path).map(Self::Hdf5),
        }
    }

    /// Checks that so many numbers are not more than the file can be meant to hold.
    pub(super) fn check_count(&self, place: &str, counts: [usize; 2]) -> Result<()> {
        let bytes = counts
            .iter()
            .try_fold(8u64, |n, k| n.checked_mul(*k as u64));
        let fits = bytes.is_some_and(|bytes| match self {
            Self::Hdf5(file) => file.may_hold(bytes),
            Self::Zarr(store) => store.may_hold(bytes),
        });
        ensure!(
            fits,
            Format,
            "{place:?} claims {} x {} numbers, which a file of this size cannot hold; it may be \
             damaged",
            counts[0],
            counts[1]
        );
        memory::check(&counts, 8, format_args!("{place:?}"))
    }

    pub(super) fn is_group(&self, place: &str) -> bool {
        match self {
            Self::Hdf5(file) => file.is_group(place),
            Self::Zarr(store) => store.is_group(place),
        }
    }

    /// The names of the groups and arrays in a group; none where there is no group. Of a group that
    /// cannot be listed, as with some links, what is in it is still found by its name.
    pub(super) fn children(&self, place: &str) -> Vec<String> {
        match self {
            Self::Hdf5(file) => file.children(place),
            Self::Zarr(store) => store.children(place),
        }
    }

    /// An attribute that is text.
    pub(super) fn text(&self, place: &str, name: &str) -> Option<String> {
        match self {
            Self::Hdf5(file) => file.text(place, name),
            Self::Zarr(store) => store.text(place, name),
        }
    }

    /// An attribute that is a list of texts.
    pub(super) fn texts(&self, place: &str, name: &str) -> Option<Vec<String>> {
        match self {
            Self::Hdf5(file) => file.texts(place, name),
            Self::Zarr(store) => store.texts(place, name),
        }
    }

    /// An attribute that is a list of sizes.
    pub(super) fn sizes(&self, place: &str, name: &str) -> Option<Vec<usize>> {
        match self {
            Self::Hdf5(file) => file.sizes(place, name),
            Self::Zarr(store) => store.sizes(place, name),
        }
    }

    /// The array at a place, if there is one.
    pub(super) fn array(&self, place: &str) -> Result<Option<Array>> {
        let found = match self {
            Self::Hdf5(file) => file
                .items(place)?
                .map(|(shape, kind, items)| (shape, kind, Items::Hdf5(items))),
            Self::Zarr(store) => store
                .items(place)?
                .map(|(shape, kind, items)| (shape, kind, Items::Zarr(Box::new(items)))),
        };
        Ok(found.map(|(shape, kind, items)| Array {
            place: place.to_owned(),
            shape,
            kind,
            items,
        }))
    }
}

impl Array {
    /// How many rows there are, 1 where there is a single item.
    pub(super) fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Checks that it is a list of so many items.
    pub(super) fn check_list(&self, length: usize) -> Result<()> {
        ensure!(
            self.shape == [length],
            Shape,
            "{:?}: expected {length} items, one for each of the rows, got the shape {:?}",
            self.place,
            self.shape
        );
        Ok(())
    }

    /// The numbers of some rows, row by row; true or false are 1 and 0.
    pub(super) fn numbers(&self, start: usize, rows: usize) -> Result<Vec<f64>> {
        if matches!(self.kind, Kind::Text | Kind::Else) {
            return Err(self.wrong("numbers"));
        }
        self.check_rows(start, rows)?;
        let numbers = match &self.items {
            Items::Hdf5(items) => items.numbers(&self.place, self.kind, start, rows)?,
            Items::Zarr(items) => items.numbers(&self.place, self.kind, start, rows)?,
        };
        self.check_read(numbers.len(), rows)?;
        Ok(numbers)
    }

    /// The texts of some rows of a list.
    pub(super) fn texts(&self, start: usize, rows: usize) -> Result<Vec<String>> {
        if self.kind != Kind::Text {
            return Err(self.wrong("text"));
        }
        self.check_rows(start, rows)?;
        let texts = match &self.items {
            Items::Hdf5(items) => items.texts(&self.place, start, rows)?,
            Items::Zarr(items) => items.texts(&self.place, start, rows)?,
        };
        self.check_read(texts.len(), rows)?;
        Ok(texts)
    }

    /// Checks that there are such rows.
    fn check_rows(&self, start: usize, rows: usize) -> Result<()> {
        ensure!(
            start.checked_add(rows).is_some_and(|end| end <= self.len()),
            Format,
            "{:?}: expected {rows} rows from row {start}, got {} in all; the file may be damaged",
            self.place,
            self.len()
        );
        Ok(())
    }

    /// Checks that so many rows are as many numbers as the shape says.
    fn check_read(&self, found: usize, rows: usize) -> Result<()> {
        let expected = rows * self.shape.iter().skip(1).product::<usize>();
        ensure!(
            found == expected,
            Format,
            "{:?}: expected {expected} items in {rows} rows, got {found}; the file may be damaged",
            self.place
        );
        Ok(())
    }

    fn wrong(&self, expected: &str) -> Error {
        let got = match self.kind {
            Kind::Number(of) => of,
            Kind::Text => "text",
            Kind::Truth => "true or false",
            Kind::Else => "a type that is not read",
        };
        let what = format!("{:?}: expected {expected}, got {got}", self.place);
        Error::new(ErrorKind::Format, what)
    }
}

/// Reads an item that is at the start of eight bytes, the lower byte first.
pub(super) fn decoder(kind: Kind) -> Result<fn(&[u8; 8]) -> f64> {
    fn first<const N: usize>(bytes: &[u8; 8]) -> [u8; N] {
        bytes[..N].try_into().expect("at most eight bytes")
    }
    Ok(match kind {
        Kind::Number("float64") => |b| f64::from_le_bytes(*b),
        Kind::Number("float32") => |b| f32::from_le_bytes(first(b)).into(),
        Kind::Number("float16") => |b| half::f16::from_le_bytes(first(b)).into(),
        Kind::Number("int8") | Kind::Truth => |b| f64::from(b[0] as i8),
        Kind::Number("uint8") => |b| b[0].into(),
        Kind::Number("int16") => |b| i16::from_le_bytes(first(b)).into(),
        Kind::Number("uint16") => |b| u16::from_le_bytes(first(b)).into(),
        Kind::Number("int32") => |b| i32::from_le_bytes(first(b)).into(),
        Kind::Number("uint32") => |b| u32::from_le_bytes(first(b)).into(),
        Kind::Number("int64") => |b| i64::from_le_bytes(*b) as f64,
        Kind::Number("uint64") => |b| u64::from_le_bytes(*b) as f64,
        _ => {
            let what = "expected numbers; got a type that is not read";
            return Err(Error::new(ErrorKind::Format, what));
        }
    })
}

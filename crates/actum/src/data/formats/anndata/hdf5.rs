//! HDF5, as much of it as AnnData needs. No other module knows the crate that reads it.

use std::{borrow::Cow, collections::HashMap, path::Path};

use hdf5_pure::{
    AttrValue, ChunkCacheConfig, DType, Dataset, DatasetBuilder, Datatype, Error as Hdf5Error,
    FileAccessProperties, FileBuilder, FileLocking, FormatError, GroupBuilder,
};

use super::{file::Kind, zstd};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// How many bytes of unpacked chunks of an array are kept for the next rows.
const CACHE: usize = 64 << 20;

/// Deflate makes no more of a byte, and no file of cells comes near it.
const MOST_PACKED: u64 = 1032;

/// What any file may ask for.
const LEAST_BUDGET: u64 = 64 << 20;

/// HDF5's own limit of a chunk.
const MOST_CHUNK: u64 = 1 << 32;

/// What the numbers of the filters mean that are not read, and that of Zstandard.
const ZSTD: u16 = 32015;
const READ: [u16; 6] = [1, 2, 3, 6, 32000, ZSTD];
const FILTERS: [(u16, &str); 9] = [
    (4, "szip"),
    (5, "nbit"),
    (307, "bzip2"),
    (32001, "blosc"),
    (32004, "lz4"),
    (32008, "bitshuffle"),
    (32013, "zfp"),
    (32017, "sz"),
    (32026, "blosc2"),
];

/// An open file, of which a few chunks at a time are in memory.
pub(super) struct File {
    file: hdf5_pure::File,
    /// How many bytes the file has.
    length: u64,
    /// How many bytes one array may have: a damaged shape must not ask for all memory.
    budget: u64,
    path: std::path::PathBuf,
}

/// The items of an array.
pub(super) struct Items {
    dataset: Dataset,
    file: std::path::PathBuf,
}

fn damaged(place: &str, cause: Hdf5Error) -> Error {
    if matches!(
        cause,
        Hdf5Error::Format(FormatError::InvalidLayoutVersion(5..))
    ) {
        let what = format!(
            "{place:?} is stored as HDF5 2.0 does for libver=\"latest\", which is not read; write it \
             again in Python: adata.write_h5ad(file)"
        );
        return Error::new(ErrorKind::Format, what);
    }
    let what = format!("{place:?} cannot be read; the file may be damaged or truncated");
    Error::new(ErrorKind::Format, what).because(cause)
}

/// Whether an error only says that nothing of the kind is at a place.
fn is_absence(error: &Hdf5Error) -> bool {
    matches!(
        error,
        Hdf5Error::NotADataset(_)
            | Hdf5Error::NotAGroup(_)
            | Hdf5Error::Format(FormatError::PathNotFound(_))
    )
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|cause| Error::io("read", path, cause))?;
        let cache = ChunkCacheConfig::new()
            .with_max_bytes(CACHE)
            .with_max_slots(4096);
        let access = FileAccessProperties::new().with_chunk_cache(cache);
        let file = hdf5_pure::File::open_streaming_with_options(path, access);
        let file = file.map_err(|error| match error {
            Hdf5Error::Io(cause) => Error::io("read", path, cause),
            error => {
                let what = "the file is not a complete HDF5 file; it may be truncated";
                Error::new(ErrorKind::Format, what).because(error)
            }
        })?;
        Ok(Self {
            file,
            length: length.len(),
            budget: length.len().saturating_mul(MOST_PACKED) + LEAST_BUDGET,
            path: path.to_owned(),
        })
    }

    /// Whether so many bytes are not more than the file can be meant to hold.
    pub(super) fn may_hold(&self, bytes: u64) -> bool {
        bytes <= self.budget
    }

    pub(super) fn is_group(&self, place: &str) -> bool {
        self.file.group(place).is_ok()
    }

    pub(super) fn children(&self, place: &str) -> Vec<String> {
        let group = match place {
            "" => Ok(self.file.root()),
            _ => self.file.group(place),
        };
        let Ok(group) = group else {
            return vec![];
        };
        let mut names = group.groups().unwrap_or_default();
        names.extend(group.datasets().unwrap_or_default());
        names.sort();
        names
    }

    fn attributes(&self, place: &str) -> HashMap<String, AttrValue> {
        let of_group = self.file.group(place).and_then(|group| group.attrs());
        let all = of_group.or_else(|_| self.file.dataset(place)?.attrs());
        all.unwrap_or_default()
    }

    /// An attribute that is text.
    pub(super) fn text(&self, place: &str, name: &str) -> Option<String> {
        let value = self.attributes(place).remove(name)?;
        value.as_str().map(str::to_owned)
    }

    /// An attribute that is a list of texts.
    pub(super) fn texts(&self, place: &str, name: &str) -> Option<Vec<String>> {
        let value = self.attributes(place).remove(name)?;
        value.as_strings().map(<[String]>::to_vec)
    }

    /// An attribute that is a list of sizes.
    pub(super) fn sizes(&self, place: &str, name: &str) -> Option<Vec<usize>> {
        let value = self.attributes(place).remove(name)?;
        let sizes = value.to_u64s().or_else(|| {
            let signed = value.to_i64s()?;
            signed.into_iter().map(|n| u64::try_from(n).ok()).collect()
        })?;
        sizes.into_iter().map(|n| usize::try_from(n).ok()).collect()
    }

    /// The shape, the kind and the items of the array at a place, if there is one.
    pub(super) fn items(&self, place: &str) -> Result<Option<(Vec<usize>, Kind, Items)>> {
        let dataset = match self.file.dataset(place) {
            Ok(dataset) => dataset,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(damaged(place, error)),
        };
        let broken = |error| damaged(place, error);
        let (shape, size) = (
            dataset.shape().map_err(broken)?,
            dataset.element_size().map_err(broken)?,
        );
        let kind = kind(&dataset.dtype().map_err(broken)?);
        let bytes = |shape: &[u64]| shape.iter().try_fold(size, |n, k| n.checked_mul(*k));
        let all = bytes(&shape);
        let chunk = dataset.chunk_shape().map_err(broken)?;
        let chunk = chunk.map_or(Some(0), |shape| bytes(&shape));
        let most = self.budget.min(MOST_CHUNK);
        ensure!(
            all.is_some_and(|all| all <= self.budget) && chunk.is_some_and(|chunk| chunk <= most),
            Format,
            "{place:?} claims the shape {shape:?} in items of {size} bytes, which a file of this size \
             cannot hold; it may be damaged"
        );
        // The crate takes as much memory as a chunk says that it has bytes, before it reads them. An
        // index that it cannot list is one that it cannot read either.
        let chunks = dataset.is_chunked().then(|| dataset.chunks());
        let ends = chunks.into_iter().flatten().flatten();
        let mut ends = ends.map(|chunk| chunk.address.saturating_add(chunk.storage_size));
        ensure!(
            ends.all(|end| end <= self.length),
            Format,
            "{place:?} has a chunk beyond the end of the file; it may be truncated or damaged"
        );
        let shape = shape.into_iter().map(|n| n as usize).collect();
        let file = self.path.clone();
        Ok(Some((shape, kind, Items { dataset, file })))
    }
}

fn kind(of: &DType) -> Kind {
    Kind::Number(match of {
        DType::F64 => "float64",
        DType::F32 => "float32",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::Other(full) if matches!(**full, Datatype::FloatingPoint { size: 2, .. }) => {
            "float16"
        }
        DType::String | DType::VariableLengthString => return Kind::Text,
        // As h5py writes NumPy's.
        DType::Enum(names) if names == &["FALSE", "TRUE"] => return Kind::Truth,
        _ => return Kind::Else,
    })
}

impl Items {
    fn check_filters(&self, place: &str) -> Result<bool> {
        let filters = self.dataset.filters();
        if let Some(filter) = filters.iter().find(|filter| !READ.contains(filter)) {
            let known = FILTERS.iter().find(|(number, _)| number == filter);
            let name = known.map_or("unknown", |(_, name)| name);
            ensure!(
                false,
                Format,
                "{place:?} is compressed by {name} (filter {filter} of HDF5), which is not read; write \
                 it again in Python: adata.write_h5ad(file, compression=\"gzip\")"
            );
        }
        Ok(filters.contains(&ZSTD))
    }

    pub(super) fn numbers(
        &self,
        place: &str,
        kind: Kind,
        start: usize,
        rows: usize,
    ) -> Result<Vec<f64>> {
        let broken = |error| damaged(place, error);
        let (from, count) = (start as u64, rows as u64);
        if self.check_filters(place)? {
            return zstd::numbers(&self.file, &self.dataset, kind, start, rows)
                .map_err(|error| error.within(format_args!("{place:?}")));
        }
        match kind {
            Kind::Truth => {
                let bytes = self.dataset.read_raw_rows(from, count).map_err(broken)?;
                Ok(bytes.into_iter().map(f64::from).collect())
            }
            _ => self.dataset.read_f64_rows(from, count).map_err(broken),
        }
    }

    pub(super) fn texts(&self, place: &str, start: usize, rows: usize) -> Result<Vec<String>> {
        if self.check_filters(place)? {
            return zstd::texts(&self.file, &self.dataset, start, rows)
                .map_err(|error| error.within(format_args!("{place:?}")));
        }
        let texts = self.dataset.read_string_rows(start as u64, rows as u64);
        texts.map_err(|error| damaged(place, error))
    }
}

/// Something to write: what it is, and what it says of itself.
pub(super) struct Node<'a> {
    pub attributes: Vec<(&'static str, Word<'a>)>,
    pub content: Content<'a>,
}

/// The value of an attribute.
pub(super) enum Word<'a> {
    Text(&'a str),
    Texts(Vec<String>),
    Truth(bool),
    Sizes(Vec<usize>),
}

pub(super) enum Content<'a> {
    Group(Vec<(String, Node<'a>)>),
    /// Numbers row by row, and how many there are along each side.
    Numbers(Cow<'a, [f64]>, Vec<usize>),
    /// The same in single precision.
    Single(Vec<f32>, Vec<usize>),
    Whole(Vec<i64>),
    Codes(Vec<i32>),
    Texts(Vec<&'a str>),
    Text(&'a str),
}

impl Word<'_> {
    fn value(self) -> AttrValue {
        match self {
            Self::Text(text) => AttrValue::VarLenString(text.to_owned()),
            Self::Texts(texts) => AttrValue::VarLenStringArray(texts),
            Self::Sizes(sizes) => {
                AttrValue::I64Array(sizes.into_iter().map(|n| n as i64).collect())
            }
            // The crate writes no truth values; anndata takes numbers for them.
            Self::Truth(is_true) => AttrValue::U8(u8::from(is_true)),
        }
    }
}

impl Content<'_> {
    /// Fills in an array.
    fn fill(self, array: &mut DatasetBuilder) {
        match self {
            Self::Group(_) => unreachable!("a group is no array"),
            Self::Numbers(numbers, shape) => {
                let shape: Vec<u64> = shape.into_iter().map(|n| n as u64).collect();
                array.with_f64_data(&numbers).with_shape(&shape);
            }
            Self::Single(numbers, shape) => {
                let shape: Vec<u64> = shape.into_iter().map(|n| n as u64).collect();
                array.with_f32_data(&numbers).with_shape(&shape);
            }
            Self::Whole(numbers) => {
                array.with_i64_data(&numbers);
            }
            Self::Codes(codes) => {
                array.with_i32_data(&codes);
            }
            Self::Texts(texts) => {
                array.with_vlen_strings(&texts);
            }
            Self::Text(text) => {
                array.with_vlen_strings(&[text]).with_shape(&[]);
            }
        }
    }
}

impl Node<'_> {
    fn fill(self, group: &mut GroupBuilder) {
        for (name, value) in self.attributes {
            group.set_attr(name, value.value());
        }
        let Content::Group(children) = self.content else {
            return;
        };
        for (name, child) in children {
            if let Content::Group(_) = child.content {
                let mut inner = group.create_group(&name);
                child.fill(&mut inner);
                group.add_group(inner.finish());
            } else {
                child.array(group.create_dataset(&name));
            }
        }
    }

    fn array(self, array: &mut DatasetBuilder) {
        self.content.fill(array);
        for (name, value) in self.attributes {
            array.set_attr(name, value.value());
        }
    }
}

/// Writes a new file of these groups and arrays.
pub(super) fn write(path: &Path, root: Node) -> Result<()> {
    store::replace(path, |out| {
        let mut builder = FileBuilder::new();
        for (name, value) in root.attributes {
            builder.set_attr(name, value.value());
        }
        let children = match root.content {
            Content::Group(children) => children,
            _ => vec![],
        };
        for (name, child) in children {
            if let Content::Group(_) = child.content {
                let mut group = builder.create_group(&name);
                child.fill(&mut group);
                builder.add_group(group.finish());
            } else {
                child.array(builder.create_dataset(&name));
            }
        }
        builder.finish_to(out).map_err(|error| match error {
            Hdf5Error::Io(cause) => cause,
            error => std::io::Error::other(error),
        })
    })
}

/// Arrays to add to a copy of a file.
pub(super) struct Additions<'a> {
    /// The group, the name and the array.
    pub arrays: Vec<(&'a str, String, Node<'a>)>,
    /// The groups that are made where there are none, and what they say of themselves.
    pub groups: Vec<(String, Vec<(&'static str, Word<'a>)>)>,
    /// The group whose list of texts, an attribute, becomes another.
    pub list: (&'a str, &'a str, Vec<String>),
}

/// Copies a file and adds to the copy; says why not where the file is of a kind that cannot be
/// edited. Nothing that is there is written anew.
pub(super) fn add(from: &Path, to: &Path, additions: Additions) -> Result<Option<String>> {
    let io = |verb: &str, path: &Path| {
        let (verb, path) = (verb.to_owned(), path.to_owned());
        move |cause| Error::io(&verb, &path, cause)
    };
    let mut source = std::fs::File::open(from).map_err(io("read", from))?;
    let mut copy = std::fs::File::create(to).map_err(io("write", to))?;
    std::io::copy(&mut source, &mut copy).map_err(io("write", to))?;
    drop(copy);
    match edit(to, additions) {
        Ok(()) => Ok(None),
        Err(Hdf5Error::EditUnsupported(why)) => Ok(Some(why.to_string())),
        Err(Hdf5Error::Io(cause)) => Err(Error::io("write", to, cause)),
        Err(error) => {
            let what = "the copy of the file cannot be added to; the file may be damaged";
            Err(Error::new(ErrorKind::Format, what).because(error))
        }
    }
}

fn edit(path: &Path, additions: Additions) -> Result<(), Hdf5Error> {
    // It is this process's own temporary file, which is locked already.
    let access = FileAccessProperties::new().with_locking(FileLocking::Disabled);
    let file = hdf5_pure::File::open_rw_with_options(path, access)?;
    let root = file.root();
    for (name, attributes) in additions.groups {
        if file.group(&name).is_err() {
            root.create_group_with(&name, |new| {
                for (name, value) in attributes {
                    new.set_attr(name, value.value());
                }
            })?;
        }
    }
    for (group, name, node) in additions.arrays {
        root.create_dataset(&format!("{group}/{name}"), |new| node.array(new))?;
    }
    let (group, name, list) = additions.list;
    file.group(group)?
        .set_attr(name, AttrValue::VarLenStringArray(list))?;
    file.commit()?;
    file.close()
}

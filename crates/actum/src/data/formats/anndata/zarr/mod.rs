//! Zarr, formats 2 and 3, as much of it as AnnData needs: a folder of descriptions in JSON and of
//! chunks, a file each or, in shards, many in a file.
//!
//! Zarr specification, versions 2 and 3; NumCodecs for the names of compressors.

mod blosc;
mod chunks;
mod codec;
mod meta;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

pub(super) use self::chunks::Items;
use self::meta::Meta;
use super::file::Kind;
use crate::error::{Error, ErrorKind, Result, ensure};

/// How many bytes of a description are read at most.
const MOST_DESCRIBED: u64 = 64 << 20;

/// How many bytes may come of one, as for HDF5.
const MOST_PACKED: u64 = 1032;

/// What any store may ask for: chunks of one value are not stored, or take next to nothing.
const LEAST_BUDGET: u64 = 512 << 20;

/// An open store.
pub(super) struct Store {
    root: PathBuf,
}

/// What is at a place.
enum Node {
    Group(Map<String, Value>),
    Array(Map<String, Value>, Value, Version),
}

/// The format of Zarr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Two,
    Three,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let store = Self {
            root: path.to_owned(),
        };
        match store.node("")? {
            Some(Node::Group(_)) => Ok(store),
            _ => Err(Error::new(
                ErrorKind::Format,
                "the folder is no Zarr store: expected a group in its .zgroup or zarr.json",
            )),
        }
    }

    /// The folder of a place; none where a name would lead elsewhere.
    fn folder(&self, place: &str) -> Option<PathBuf> {
        let mut folder = self.root.clone();
        for name in place.split('/').filter(|_| !place.is_empty()) {
            let leads_away = matches!(name, "" | "." | "..")
                || name.contains(['\\', '\0'])
                || name.starts_with('.')
                || cfg!(windows) && name.contains(':');
            if leads_away {
                return None;
            }
            folder.push(name);
        }
        Some(folder)
    }

    fn node(&self, place: &str) -> Result<Option<Node>> {
        let Some(folder) = self.folder(place) else {
            return Ok(None);
        };
        let described = |name: &str| description(&folder.join(name), place);
        if let Some(all) = described("zarr.json")? {
            let attributes = object(all.get("attributes"));
            return Ok(Some(match all.get("node_type").and_then(Value::as_str) {
                Some("array") => Node::Array(attributes, all, Version::Three),
                _ => Node::Group(attributes),
            }));
        }
        let attributes = || Ok::<_, Error>(object(described(".zattrs")?.as_ref()));
        if let Some(all) = described(".zarray")? {
            return Ok(Some(Node::Array(attributes()?, all, Version::Two)));
        }
        match described(".zgroup")? {
            Some(_) => Ok(Some(Node::Group(attributes()?))),
            None => Ok(None),
        }
    }

    fn attribute(&self, place: &str, name: &str) -> Option<Value> {
        match self.node(place).ok()?? {
            Node::Group(mut all) | Node::Array(mut all, ..) => all.remove(name),
        }
    }

    pub(super) fn is_group(&self, place: &str) -> bool {
        matches!(self.node(place), Ok(Some(Node::Group(_))))
    }

    pub(super) fn children(&self, place: &str) -> Vec<String> {
        let listed = self.folder(place).and_then(|f| fs::read_dir(f).ok());
        let names = listed.into_iter().flatten().filter_map(|entry| {
            let entry = entry.ok()?;
            let is_node = ["zarr.json", ".zarray", ".zgroup"]
                .iter()
                .any(|name| entry.path().join(name).is_file());
            entry.file_name().into_string().ok().filter(|_| is_node)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    pub(super) fn text(&self, place: &str, name: &str) -> Option<String> {
        Some(self.attribute(place, name)?.as_str()?.to_owned())
    }

    pub(super) fn texts(&self, place: &str, name: &str) -> Option<Vec<String>> {
        let value = self.attribute(place, name)?;
        let texts = value.as_array()?.iter();
        texts.map(|text| Some(text.as_str()?.to_owned())).collect()
    }

    pub(super) fn sizes(&self, place: &str, name: &str) -> Option<Vec<usize>> {
        meta::sizes(&self.attribute(place, name)?)
    }

    /// Whether so many bytes are not more than the store can be meant to hold.
    pub(super) fn may_hold(&self, bytes: u64) -> bool {
        may_hold(&self.root, bytes)
    }

    /// The shape, the kind and the items of the array at a place, if there is one.
    pub(super) fn items(&self, place: &str) -> Result<Option<(Vec<usize>, Kind, Items)>> {
        let Some(Node::Array(_, described, version)) = self.node(place)? else {
            return Ok(None);
        };
        let meta = match version {
            Version::Two => Meta::two(&described),
            Version::Three => Meta::three(&described),
        };
        let meta = meta.map_err(|error| error.within(format_args!("{place:?}")))?;
        let folder = self.folder(place).expect("the array is there");
        // As they are in memory.
        let size = meta.size.max(8) as u64;
        let bytes = |shape: &[usize]| {
            let mut sizes = shape.iter();
            sizes.try_fold(size, |n, k| n.checked_mul(*k as u64))
        };
        let fits = |shape: &[usize]| bytes(shape).is_some_and(|all| may_hold(&folder, all));
        ensure!(
            fits(&meta.shape) && fits(&meta.chunk),
            Format,
            "{place:?} claims the shape {:?} in items of {size} bytes and chunks of {:?}, which files \
             of this size cannot hold; the store may be damaged",
            meta.shape,
            meta.chunk
        );
        let (shape, kind) = (meta.shape.clone(), meta.kind);
        Ok(Some((shape, kind, Items::new(folder, meta))))
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    let object = value.and_then(Value::as_object);
    object.cloned().unwrap_or_default()
}

/// What a file of JSON says, if it is there.
fn description(path: &Path, place: &str) -> Result<Option<Value>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(cause) => {
            return match cause.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(Error::io("read", path, cause)),
            };
        }
    };
    let mut text = vec![];
    let read = file.take(MOST_DESCRIBED).read_to_end(&mut text);
    read.map_err(|cause| Error::io("read", path, cause))?;
    let value = serde_json::from_slice(&text).map_err(|cause| {
        let name = path.file_name().unwrap_or_default().display();
        let what = format!("{place:?}: {name} is no JSON; the store may be damaged");
        Error::new(ErrorKind::Format, what).because(cause)
    })?;
    Ok(Some(value))
}

/// Whether so many bytes are not more than the files in a folder can be meant to hold. No more of
/// them are looked at than that takes.
fn may_hold(folder: &Path, bytes: u64) -> bool {
    let (mut budget, mut folders) = (LEAST_BUDGET, vec![folder.to_owned()]);
    while bytes > budget {
        let Some(folder) = folders.pop() else {
            return false;
        };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // What a link leads to is counted nowhere: it may lead back.
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) => {
                    budget = budget.saturating_add(about.len().saturating_mul(MOST_PACKED));
                }
                Err(_) => {}
            }
        }
    }
    true
}

#[cfg(test)]
mod tests;

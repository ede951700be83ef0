//! What the description of an array says.

use serde_json::Value;

use super::codec::{Codec, Layout, Shards};
use crate::{
    data::formats::anndata::file::Kind,
    error::{Error, ErrorKind, Result, ensure},
};

/// An array of one or two dimensions, or a single item.
pub(super) struct Meta {
    pub shape: Vec<usize>,
    /// The shape of a chunk; of a shard, where there are some.
    pub chunk: Vec<usize>,
    pub kind: Kind,
    /// The bytes of an item; of texts of any length 1, which they have at least.
    pub size: usize,
    pub layout: Layout,
    /// What is where no chunk is.
    pub fill: Fill,
    /// Between the numbers of a chunk in the name of its file, and what is before them.
    pub separator: char,
    pub prefix: bool,
    pub shards: Option<Shards>,
    /// How chunks are unpacked, the first step first; those in shards by `shards`.
    pub codecs: Vec<Codec>,
}

/// What is where no chunk is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fill {
    Number(f64),
    Text(String),
    Unknown,
}

fn broken(what: impl std::fmt::Display) -> Error {
    let what = format!("the description of the array {what}; the store may be damaged");
    Error::new(ErrorKind::Format, what)
}

/// A list of sizes.
pub(super) fn sizes(value: &Value) -> Option<Vec<usize>> {
    let sizes = value.as_array()?.iter();
    sizes.map(|n| usize::try_from(n.as_u64()?).ok()).collect()
}

fn sized(all: &Value, name: &str) -> Result<Vec<usize>> {
    let found = all.get(name).and_then(sizes);
    found.ok_or_else(|| broken(format_args!("has no list of sizes {name:?}")))
}

/// What NumPy calls a number that format 3 calls by the same name.
const NUMBERS: [(&str, usize); 11] = [
    ("float64", 8),
    ("float32", 4),
    ("float16", 2),
    ("int8", 1),
    ("int16", 2),
    ("int32", 4),
    ("int64", 8),
    ("uint8", 1),
    ("uint16", 2),
    ("uint32", 4),
    ("uint64", 8),
];

impl Meta {
    /// Of format 2.
    pub(super) fn two(all: &Value) -> Result<Self> {
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        let filters: Vec<&Value> = match all.get("filters") {
            Some(Value::Array(filters)) => filters.iter().collect(),
            _ => vec![],
        };
        let names: Vec<&str> = filters.iter().map(|filter| id(filter)).collect();
        let dtype = text("dtype").unwrap_or_default();
        let (order, of) = dtype.split_at_checked(1).unwrap_or_default();
        let count = of.get(1..).and_then(|n| n.parse::<usize>().ok());
        let (kind, size, layout) = match (of.get(..1).unwrap_or_default(), count) {
            ("O", _) if names == ["vlen-utf8"] => (Kind::Text, 1, Layout::Texts),
            ("U", Some(count)) => (Kind::Text, count.saturating_mul(4).max(1), Layout::Wide),
            ("S", Some(count)) => (Kind::Text, count.max(1), Layout::Narrow),
            ("b", Some(1)) => (Kind::Truth, 1, Layout::Numbers),
            (sort, Some(count)) => {
                let sort = match sort {
                    "f" => "float",
                    "i" => "int",
                    "u" => "uint",
                    _ => "",
                };
                let name = format!("{sort}{}", count.saturating_mul(8));
                let known = NUMBERS.iter().find(|(known, _)| *known == name);
                let kind = known.map_or(Kind::Else, |(name, _)| Kind::Number(name));
                (kind, count.max(1), Layout::Numbers)
            }
            _ => (Kind::Else, 1, Layout::Numbers),
        };
        let mut codecs = vec![];
        if let Some(compressor) = all.get("compressor").filter(|it| !it.is_null()) {
            codecs.push(Codec::of(id(compressor))?);
        }
        if layout != Layout::Texts {
            // The last filter was applied last.
            for filter in filters.iter().rev() {
                codecs.push(Codec::of(id(filter))?);
            }
        }
        let meta = Self {
            shape: sized(all, "shape")?,
            chunk: sized(all, "chunks")?,
            kind,
            size,
            layout,
            fill: Fill::of(all.get("fill_value"), kind),
            separator: separator(text("dimension_separator").unwrap_or("."))?,
            prefix: false,
            shards: None,
            codecs,
        };
        let meta = meta.by_rows(text("order") != Some("F"))?;
        meta.with_order(order == ">")
    }

    /// Of format 3.
    pub(super) fn three(all: &Value) -> Result<Self> {
        let configured = |of: Option<&Value>, name: &str| {
            let configuration = of.and_then(|of| of.get("configuration"));
            configuration.and_then(|it| it.get(name)).cloned()
        };
        let named = |of: Option<&Value>| {
            let name = of.map(|of| of.get("name").unwrap_or(of));
            name.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let data_type = all.get("data_type");
        let length = configured(data_type, "length_bytes");
        let length = length.and_then(|n| usize::try_from(n.as_u64()?).ok());
        let of = named(data_type);
        let (kind, size, layout) = match (of.as_str(), length) {
            ("string", _) => (Kind::Text, 1, Layout::Texts),
            ("fixed_length_utf32", Some(length)) => (Kind::Text, length.max(1), Layout::Wide),
            ("null_terminated_bytes", Some(length)) => (Kind::Text, length.max(1), Layout::Narrow),
            ("bool", _) => (Kind::Truth, 1, Layout::Numbers),
            (name, _) => match NUMBERS.iter().find(|(known, _)| *known == name) {
                Some((name, size)) => (Kind::Number(name), *size, Layout::Numbers),
                None => (Kind::Else, 1, Layout::Numbers),
            },
        };
        let grid = all.get("chunk_grid");
        ensure!(
            named(grid) == "regular",
            Format,
            "its chunks lie in a grid {:?}, which is not read; {}",
            named(grid),
            super::codec::ADVICE
        );
        let chunk = configured(grid, "chunk_shape").as_ref().and_then(sizes);
        let encoding = all.get("chunk_key_encoding");
        let prefix = named(encoding) != "v2";
        let by_default = if prefix { "/" } else { "." };
        let between = configured(encoding, "separator");
        let between = between.as_ref().and_then(Value::as_str);
        let list = |value: Option<&Value>| -> Result<Vec<Value>> {
            let list = value.and_then(Value::as_array).cloned();
            list.ok_or_else(|| broken("has no list of codecs"))
        };
        let mut codecs = list(all.get("codecs"))?;
        let mut shards = None;
        let first = codecs.first();
        if named(first) == "sharding_indexed" {
            ensure!(
                codecs.len() == 1,
                Format,
                "its shards are packed again, which is not read; {}",
                super::codec::ADVICE
            );
            let part = |name: &str| configured(first, name);
            let inner = part("chunk_shape").as_ref().and_then(sizes);
            let index = list(part("index_codecs").as_ref())?;
            let names: Vec<String> = index.iter().map(|codec| named(Some(codec))).collect();
            let is_little = index.first().is_some_and(|first| {
                configured(Some(first), "endian").is_none_or(|order| order == "little")
            });
            let is_plain = names == ["bytes", "crc32c"] || names == ["bytes"];
            ensure!(
                is_plain && is_little,
                Format,
                "the index of its shards is stored in a way that is not read ({})",
                names.join(", ")
            );
            shards = Some(Shards {
                chunk: inner.ok_or_else(|| broken("has no shape of the chunks of a shard"))?,
                is_summed: names.len() == 2,
                is_first: part("index_location").is_some_and(|at| at == "start"),
            });
            codecs = list(part("codecs").as_ref())?;
        }
        let (mut steps, mut is_big, mut by_rows) = (vec![], false, true);
        let mut is_bytes = false;
        for codec in &codecs {
            let name = named(Some(codec));
            match name.as_str() {
                "transpose" if !is_bytes => {
                    let order = configured(Some(codec), "order");
                    let order = order.as_ref().and_then(sizes).unwrap_or_default();
                    by_rows = order.is_sorted();
                }
                "bytes" | "vlen-utf8" if !is_bytes => {
                    is_bytes = true;
                    is_big = configured(Some(codec), "endian").is_some_and(|it| it == "big");
                }
                _ => steps.push(Codec::of(&name)?),
            }
        }
        steps.reverse();
        let meta = Self {
            shape: sized(all, "shape")?,
            chunk: chunk.ok_or_else(|| broken("has no shape of its chunks"))?,
            kind,
            size,
            layout,
            fill: Fill::of(all.get("fill_value"), kind),
            separator: separator(between.unwrap_or(by_default))?,
            prefix,
            shards,
            codecs: steps,
        };
        meta.by_rows(by_rows)?.with_order(is_big)
    }

    /// Checks that all fits together.
    fn by_rows(mut self, by_rows: bool) -> Result<Self> {
        let is_chunk =
            |chunk: &[usize]| chunk.len() == self.shape.len() && chunk.iter().all(|n| *n > 0);
        let inner = self.shards.as_ref().map(|shards| &shards.chunk);
        let divides = |inner: &Vec<usize>| {
            let both = inner.iter().zip(&self.chunk);
            is_chunk(inner) && both.into_iter().all(|(n, of)| of.is_multiple_of(*n))
        };
        ensure!(
            is_chunk(&self.chunk) && inner.is_none_or(divides),
            Format,
            "its chunks of shape {:?} do not fit the shape {:?}; the store may be damaged",
            self.chunk,
            self.shape
        );
        if !by_rows && self.layout == Layout::Numbers && self.shape.len() == 2 {
            self.layout = Layout::Turned;
        }
        Ok(self)
    }

    fn with_order(self, is_big: bool) -> Result<Self> {
        ensure!(
            !is_big || self.size == 1,
            Format,
            "expected numbers, the lower byte first; got the higher byte first; {}",
            super::codec::ADVICE
        );
        Ok(self)
    }
}

fn id(of: &Value) -> &str {
    of.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn separator(text: &str) -> Result<char> {
    match text {
        "." => Ok('.'),
        "/" => Ok('/'),
        _ => Err(broken(format_args!(
            "separates the numbers of chunks by {text:?}"
        ))),
    }
}

impl Fill {
    fn of(value: Option<&Value>, kind: Kind) -> Self {
        match (value, kind) {
            (Some(Value::String(text)), Kind::Text) => Self::Text(text.clone()),
            (_, Kind::Text) => Self::Text(String::new()),
            (None | Some(Value::Null), _) => Self::Number(0.0),
            (Some(Value::Bool(is)), _) => Self::Number(f64::from(u8::from(*is))),
            (Some(Value::Number(number)), _) => number.as_f64().map_or(Self::Unknown, Self::Number),
            (Some(Value::String(text)), _) => match text.as_str() {
                "NaN" => Self::Number(f64::NAN),
                "Infinity" => Self::Number(f64::INFINITY),
                "-Infinity" => Self::Number(f64::NEG_INFINITY),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

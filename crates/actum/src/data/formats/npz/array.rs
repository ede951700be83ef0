//! Arrays in the `.npy` format (NumPy Enhancement Proposal 1).

use std::io::Read;

use ndarray::{Array2, Array3, ShapeBuilder};

use crate::{
    data::formats::columns::TIME,
    error::{Error, ErrorKind, Result},
    memory,
};

/// What an array says of itself before its data.
pub struct Header {
    pub name: String,
    big_endian: bool,
    /// NumPy's letter: `f`, `i`, `u`, `U`, `S`, `O`, ...
    pub kind: char,
    /// Bytes of one number, characters of one text.
    pub size: usize,
    pub fortran: bool,
    pub shape: Vec<usize>,
    /// Of dates and durations, what they are counted in: `ns`, `25s`.
    unit: String,
    /// What an item has, where it has several parts: names and types.
    pub fields: Vec<(String, String)>,
    /// How many bytes there are before the first item.
    length: u64,
}

/// No header of an array is longer.
const MOST: u32 = 1 << 20;

impl Header {
    /// Reads the header and leaves `source` at the first item.
    pub fn read(name: &str, source: &mut dyn Read) -> Result<Self> {
        let cut = |cause| broken(name, "is truncated").because(cause);
        let mut start = [0; 8];
        source.read_exact(&mut start).map_err(cut)?;
        let (before, length) = match (&start[..6], start[6]) {
            (b"\x93NUMPY", 1) => {
                let mut length = [0; 2];
                source.read_exact(&mut length).map_err(cut)?;
                (10, u32::from(u16::from_le_bytes(length)))
            }
            (b"\x93NUMPY", 2 | 3) => {
                let mut length = [0; 4];
                source.read_exact(&mut length).map_err(cut)?;
                (12, u32::from_le_bytes(length))
            }
            _ => return Err(broken(name, "is not in the .npy format, version 1 to 3")),
        };
        if length > MOST {
            return Err(broken(name, "is damaged: its header has no end"));
        }
        let mut text = String::new();
        (&mut *source)
            .take(length.into())
            .read_to_string(&mut text)
            .map_err(cut)?;
        let header = Self::parse(name, &text);
        let header = header.ok_or_else(|| broken(name, "is of a type that is not read"))?;
        Ok(Self {
            length: before + text.len() as u64,
            ..header
        })
    }

    /// Compares the shape with the length of the whole array, header and items, in bytes.
    pub fn check_length(&self, length: u64) -> Result<()> {
        let (item, is_exact) = match self.kind {
            // Objects are pickled and structures of any size, but none is nothing.
            'O' | 'V' => (1, false),
            'U' => (4 * self.size, true),
            _ => (self.size, true),
        };
        // Items without bytes would allow any number of them.
        let items = (self.count()? as u128).saturating_mul(item.max(1) as u128);
        let there = u128::from(length.saturating_sub(self.length));
        if items == there || (items < there && !is_exact) {
            return Ok(());
        }
        let what = format!(
            "is truncated or damaged, expected shape {:?} in {items} bytes, got {there}",
            self.shape
        );
        Err(broken(&self.name, &what))
    }

    /// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`
    fn parse(name: &str, text: &str) -> Option<Self> {
        let after = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
        let whole = after("descr")?;
        let fields = match whole.strip_prefix('[') {
            Some(list) => list.split_once("], '")?.0.split("('").skip(1),
            None => "".split("('").skip(1),
        };
        let fields = fields.filter_map(|field| {
            let (name, rest) = field.split_once('\'')?;
            let of = rest.strip_prefix(", '").and_then(|of| of.split_once('\''));
            Some((name.to_owned(), of.unwrap_or_default().0.to_owned()))
        });
        let fields: Vec<_> = fields.collect();
        let description = match fields.is_empty() {
            true => whole.strip_prefix('\'')?.split_once('\'')?.0,
            false => "|V0",
        };
        let (order, rest) = description.split_at_checked(1)?;
        let kind = rest.chars().next()?;
        let rest = &rest[kind.len_utf8()..];
        let (digits, unit) = rest.split_once('[').unwrap_or((rest, ""));
        // No number and no label is longer; a damaged header must not ask for all memory.
        let size = digits.parse().ok().filter(|size| *size <= 1 << 20);
        let shape = after("shape")?
            .strip_prefix('(')?
            .split_once(')')?
            .0
            .split(',');
        Some(Self {
            name: name.to_owned(),
            big_endian: order == ">",
            kind,
            size: if kind == 'O' { 8 } else { size? },
            fortran: after("fortran_order")?.starts_with("True"),
            shape: shape
                .map(str::trim)
                .filter(|n| !n.is_empty())
                .map(|n| n.parse().ok())
                .collect::<Option<_>>()?,
            unit: unit.trim_end_matches(']').to_owned(),
            fields,
            length: 0,
        })
    }

    pub fn type_name(&self) -> String {
        let bits = self.size.saturating_mul(8);
        match self.kind {
            'f' => format!("float{bits}"),
            'i' => format!("int{bits}"),
            'u' => format!("uint{bits}"),
            'U' | 'S' => "text".to_owned(),
            'O' => "object".to_owned(),
            'b' => "bool".to_owned(),
            'c' => format!("complex{bits}"),
            'm' => "timedelta64".to_owned(),
            'M' => "datetime64".to_owned(),
            'V' if !self.fields.is_empty() => {
                format!("structured with the fields {}", self.field_names())
            }
            _ => "a type that is not read".to_owned(),
        }
    }

    pub fn count(&self) -> Result<usize> {
        let count = self.shape.iter().try_fold(1usize, |n, k| n.checked_mul(*k));
        count.ok_or_else(|| {
            broken(
                &self.name,
                &format!("has an impossible shape {:?}", self.shape),
            )
        })
    }

    /// All items as numbers, in the order of the file.
    pub fn numbers(&self, source: &mut dyn Read) -> Result<Vec<f64>> {
        memory::check(&self.shape, 8, format_args!("array {:?}", self.name))?;
        self.next_numbers(source, self.count()?)
    }

    /// The next so many items as numbers.
    pub fn next_numbers(&self, source: &mut dyn Read, count: usize) -> Result<Vec<f64>> {
        let decode: fn(&[u8]) -> f64 = match (self.kind, self.size) {
            ('f', 2) => |b| half::f16::from_le_bytes(fixed(b)).to_f64(),
            ('f', 4) => |b| f32::from_le_bytes(fixed(b)).into(),
            ('f', 8) => |b| f64::from_le_bytes(fixed(b)),
            ('i', 1) => |b| i8::from_le_bytes(fixed(b)).into(),
            ('i', 2) => |b| i16::from_le_bytes(fixed(b)).into(),
            ('i', 4) => |b| i32::from_le_bytes(fixed(b)).into(),
            ('i', 8) => |b| i64::from_le_bytes(fixed(b)) as f64,
            ('u', 1) => |b| b[0].into(),
            ('u', 2) => |b| u16::from_le_bytes(fixed(b)).into(),
            ('u', 4) => |b| u32::from_le_bytes(fixed(b)).into(),
            ('u', 8) => |b| u64::from_le_bytes(fixed(b)) as f64,
            _ => return Err(self.unsupported()),
        };
        let mut numbers = Vec::new();
        self.each(source, count, self.size, self.size, |item| {
            numbers.push(decode(item))
        })?;
        Ok(numbers)
    }

    /// All durations in seconds, NaN where there is none; nothing if the items are of another kind.
    pub fn seconds(&self, source: &mut dyn Read) -> Result<Option<Vec<f64>>> {
        let tick = tick(&self.unit).filter(|_| (self.kind, self.size) == ('m', 8));
        let Some((times, over)) = tick else {
            return Ok(None);
        };
        let mut seconds = Vec::new();
        self.each(source, self.count()?, 8, 8, |item| {
            seconds.push(match i64::from_le_bytes(fixed(item)) {
                i64::MIN => f64::NAN,
                ticks => ticks as f64 * times / over,
            });
        })?;
        Ok(Some(seconds))
    }

    /// Vectors of d numbers, `(k, n, d)`; k is 1 unless they are of trajectories.
    pub fn vectors(&self) -> Result<(usize, usize, usize)> {
        match self.shape[..] {
            [n] => Ok((1, n, 1)),
            [n, d] => Ok((1, n, d)),
            [k, n, d] => Ok((k, n, d)),
            _ => Err(wrong_shape(self, "[n, d] (or trajectories, [times, n, d])")),
        }
    }

    /// All vectors, one after another in time, `[k n, d]`.
    pub fn rows(&self, source: &mut dyn Read) -> Result<Array2<f64>> {
        let (k, n, d) = self.vectors()?;
        let shape = (k, n, d).set_f(self.fortran);
        let cube =
            Array3::from_shape_vec(shape, self.numbers(source)?).expect("a number for each place");
        Ok(cube
            .as_standard_layout()
            .into_owned()
            .into_shape_with_order((k * n, d))
            .expect("the same numbers in the same order"))
    }

    /// Whether the vectors follow each other, so that a few can be read at a time.
    pub fn is_row_by_row(&self) -> bool {
        let sides = self.shape.iter().filter(|n| **n > 1).count();
        !self.fortran || sides <= 1
    }

    pub fn is_text(&self) -> bool {
        ['U', 'S'].contains(&self.kind)
    }

    /// Calls `take` with each item of an array that [is text](Self::is_text).
    pub fn texts(&self, source: &mut dyn Read, mut take: impl FnMut(&str)) -> Result<()> {
        let count = self.count()?;
        match self.kind {
            'U' => self.each(source, count, 4 * self.size, 4, |item| {
                let letters = item.chunks_exact(4).map(|b| u32::from_le_bytes(fixed(b)));
                let text: String = letters
                    .take_while(|c| *c != 0)
                    .map(|c| char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect();
                take(&text);
            }),
            _ => self.each(source, count, self.size, 1, |item| {
                let text = String::from_utf8_lossy(item);
                take(text.trim_end_matches('\0'));
            }),
        }
    }

    /// Calls `take` with the little-endian bytes of each of the next `left` items of `width` bytes,
    /// whose numbers are of `unit` bytes.
    pub fn each(
        &self,
        source: &mut dyn Read,
        mut left: usize,
        width: usize,
        unit: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<()> {
        if width == 0 {
            return Err(broken(&self.name, "has items without a size"));
        }
        let mut chunk = vec![0; width * (1 + (1 << 16) / width).min(left.max(1))];
        while left > 0 {
            let items = left.min(chunk.len() / width);
            let bytes = &mut chunk[..items * width];
            source.read_exact(bytes).map_err(|cause| {
                let shape = format!("is truncated or damaged, expected shape {:?}", self.shape);
                broken(&self.name, &shape).because(cause)
            })?;
            if self.big_endian {
                bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
            }
            bytes.chunks_exact(width).for_each(&mut take);
            left -= items;
        }
        Ok(())
    }

    /// How the parts of a structured array are saved as arrays of their own.
    pub fn unpacked(&self) -> String {
        let (name, fields) = (&self.name, &self.fields);
        let is_time = |field: &&(String, String)| TIME.contains(&field.0.to_lowercase().as_str());
        let time = fields.iter().find(is_time);
        let points = fields.iter().filter(|field| Some(*field) != time);
        // Parts of text would make text of all.
        let points = points.filter(|(_, of)| !of.contains(['U', 'S', 'O', 'M', 'm']));
        let points: Vec<_> = points
            .map(|(field, _)| format!("{name}['{field}']"))
            .collect();
        let time = time.map_or("...".to_owned(), |(field, _)| format!("{name}['{field}']"));
        format!(
            "numpy.savez('cells.npz', X=numpy.column_stack([{}]), t={time})",
            points.join(", ")
        )
    }

    fn field_names(&self) -> String {
        let names = self.fields.iter().map(|(field, _)| field.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    fn unsupported(&self) -> Error {
        let name = &self.name;
        let is_calendar = ["Y", "M"].iter().any(|unit| self.unit.ends_with(unit));
        let (what, remedy) = match self.kind {
            'V' if !self.fields.is_empty() => (
                format!("parts: {}", self.field_names()),
                format!("arrays of their own: {}", self.unpacked()),
            ),
            'M' if !is_calendar => (
                "dates".to_owned(),
                format!(
                    "hours since the start: ({name} - {name}.min()) / numpy.timedelta64(1, 'h')"
                ),
            ),
            // NumPy has no months in hours.
            'M' => (
                "dates".to_owned(),
                format!("numbers: ({name} - {name}.min()).astype(float)"),
            ),
            'm' => (
                "durations".to_owned(),
                format!("numbers: {name}.astype(float)"),
            ),
            'c' => (
                "complex numbers".to_owned(),
                format!("their parts: numpy.hstack([{name}.real, {name}.imag])"),
            ),
            'b' => (
                "true or false".to_owned(),
                format!("numbers: {name}.astype(float)"),
            ),
            'U' | 'S' => ("text".to_owned(), format!("numbers: {name}.astype(float)")),
            'O' => (
                "pickled Python objects".to_owned(),
                format!("{name}.astype(float), or {name}.astype(str) if it is text"),
            ),
            'f' | 'i' | 'u' => (self.type_name(), format!("{name}.astype(float)")),
            _ => (self.type_name(), "plain numbers".to_owned()),
        };
        Error::new(
            ErrorKind::Format,
            format!("array {name:?}: expected numbers, got {what}; save it as {remedy}"),
        )
    }
}

/// The seconds of one duration in a unit, `ns` or `25s`: a number to multiply by and one to divide
/// by.
fn tick(unit: &str) -> Option<(f64, f64)> {
    let letters = unit.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = match &unit[..unit.len() - letters.len()] {
        "" => 1.0,
        digits => digits.parse().ok()?,
    };
    let (times, over) = match letters {
        "W" => (604_800.0, 1.0),
        "D" => (86_400.0, 1.0),
        "h" => (3_600.0, 1.0),
        "m" => (60.0, 1.0),
        "s" => (1.0, 1.0),
        "ms" => (1.0, 1e3),
        "us" => (1.0, 1e6),
        "ns" => (1.0, 1e9),
        "ps" => (1.0, 1e12),
        _ => return None,
    };
    Some((count * times, over))
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("items of the size in the header")
}

fn broken(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Format, format!("array {name:?} {what}"))
}

pub fn wrong_shape(header: &Header, expected: &str) -> Error {
    Error::new(
        ErrorKind::Shape,
        format!(
            "array {:?}: expected shape {expected}, got {:?}",
            header.name, header.shape
        ),
    )
}

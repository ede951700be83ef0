//! NumPy archives: a zip of arrays in the `.npy` format (NumPy Enhancement Proposal 1).

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use ndarray::{Array2, Array3, Array4, ArrayD, Dimension, IxDyn, ShapeBuilder, s};
use zip::{CompressionMethod, ZipArchive, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::{
    data::{
        Chunk, Head, Labels, ParticleWeights, ReadOptions, Snapshots, Take, Times, chunk_rows,
        has_default_weights,
        snapshots::{Finite, default_columns},
    },
    error::{Error, ErrorKind, Result, ensure},
    store,
};

/// What an array says of itself before its data.
struct Header {
    name: String,
    big_endian: bool,
    /// NumPy's letter: `f`, `i`, `u`, `U`, `S`, `O`, ...
    kind: char,
    /// Bytes of one number, characters of one text.
    size: usize,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the header and leaves `source` at the first item.
    fn read(name: &str, source: &mut dyn Read) -> Result<Self> {
        let cut = |cause| broken(name, "is truncated").because(cause);
        let mut start = [0; 8];
        source.read_exact(&mut start).map_err(cut)?;
        let length = match (&start[..6], start[6]) {
            (b"\x93NUMPY", 1) => {
                let mut length = [0; 2];
                source.read_exact(&mut length).map_err(cut)?;
                u16::from_le_bytes(length).into()
            }
            (b"\x93NUMPY", 2 | 3) => {
                let mut length = [0; 4];
                source.read_exact(&mut length).map_err(cut)?;
                u32::from_le_bytes(length)
            }
            _ => return Err(broken(name, "is not in the .npy format, version 1 to 3")),
        };
        let mut text = String::new();
        (&mut *source)
            .take(length.into())
            .read_to_string(&mut text)
            .map_err(cut)?;
        Self::parse(name, &text).ok_or_else(|| {
            broken(
                name,
                &format!("has a type that is not understood: {}", text.trim()),
            )
        })
    }

    /// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`
    fn parse(name: &str, text: &str) -> Option<Self> {
        let after = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
        let description = after("descr")?.strip_prefix('\'')?.split_once('\'')?.0;
        let (order, rest) = description.split_at_checked(1)?;
        let kind = rest.chars().next()?;
        // No number and no label is longer; a damaged header must not ask for all memory.
        let size = rest[kind.len_utf8()..]
            .parse()
            .ok()
            .filter(|size| *size <= 1 << 20);
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
        })
    }

    fn type_name(&self) -> String {
        let bits = self.size.saturating_mul(8);
        match self.kind {
            'f' => format!("float{bits}"),
            'i' => format!("int{bits}"),
            'u' => format!("uint{bits}"),
            'U' | 'S' => "text".to_owned(),
            'O' => "object".to_owned(),
            kind => format!("{kind}{}", self.size),
        }
    }

    fn count(&self) -> Result<usize> {
        let count = self.shape.iter().try_fold(1usize, |n, k| n.checked_mul(*k));
        count.ok_or_else(|| {
            broken(
                &self.name,
                &format!("has an impossible shape {:?}", self.shape),
            )
        })
    }

    /// All items as numbers, in the order of the file.
    fn numbers(&self, source: &mut dyn Read) -> Result<Vec<f64>> {
        self.next_numbers(source, self.count()?)
    }

    /// The next so many items as numbers.
    fn next_numbers(&self, source: &mut dyn Read, count: usize) -> Result<Vec<f64>> {
        let decode: fn(&[u8]) -> f64 = match (self.kind, self.size) {
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

    /// Vectors of d numbers, `(k, n, d)`; k is 1 unless they are of trajectories.
    fn vectors(&self) -> Result<(usize, usize, usize)> {
        match self.shape[..] {
            [n] => Ok((1, n, 1)),
            [n, d] => Ok((1, n, d)),
            [k, n, d] => Ok((k, n, d)),
            _ => Err(wrong_shape(self, "[n, d] (or trajectories, [times, n, d])")),
        }
    }

    /// All vectors, one after another in time, `[k n, d]`.
    fn rows(&self, source: &mut dyn Read) -> Result<Array2<f64>> {
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
    fn is_row_by_row(&self) -> bool {
        let sides = self.shape.iter().filter(|n| **n > 1).count();
        !self.fortran || sides <= 1
    }

    fn is_text(&self) -> bool {
        ['U', 'S'].contains(&self.kind)
    }

    /// Calls `take` with each item of an array that [is text](Self::is_text).
    fn texts(&self, source: &mut dyn Read, mut take: impl FnMut(&str)) -> Result<()> {
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
    fn each(
        &self,
        source: &mut dyn Read,
        mut left: usize,
        width: usize,
        unit: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<()> {
        if width == 0 {
            (0..left).for_each(|_| take(&[]));
            return Ok(());
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

    fn unsupported(&self) -> Error {
        let name = &self.name;
        let (what, remedy) = match self.kind {
            'O' => (
                "pickled Python objects".to_owned(),
                format!("{name}.astype(float), or {name}.astype(str) if it is text"),
            ),
            _ => (
                format!("of type {}", self.type_name()),
                format!("{name}.astype(float)"),
            ),
        };
        Error::new(
            ErrorKind::Format,
            format!("array {name:?}: expected numbers, it is {what}; save it as {remedy}"),
        )
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("items of the size in the header")
}

fn broken(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Format, format!("array {name:?} {what}"))
}

/// An open `.npz` file.
struct Archive {
    zip: ZipArchive<BufReader<File>>,
    names: Vec<String>,
}

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| Error::io("read", path, cause))?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(zip_failure)?;
        let names = zip
            .file_names()
            .filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned()))
            .collect();
        Ok(Self { zip, names })
    }

    fn array<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Header, &mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        let mut entry = self
            .zip
            .by_name(&format!("{name}.npy"))
            .map_err(zip_failure)?;
        let header = Header::read(name, &mut entry)?;
        read(header, &mut entry)
    }

    /// The first of `names` that is an array here.
    fn first(&self, names: &[&str]) -> Option<String> {
        let here = |name: &&&str| self.names.iter().any(|n| n == **name);
        names.iter().find(here).map(|name| (*name).to_owned())
    }

    fn find(&mut self, name: &str, flag: &str) -> Result<String> {
        if let Some(name) = self.first(&[name]) {
            return Ok(name);
        }
        let mut there = Vec::new();
        for other in self.names.clone() {
            let about = self.array(&other, |h, _| {
                Ok(format!("{} {:?}", h.type_name(), h.shape))
            });
            there.push(format!(
                "{other} {}",
                about.unwrap_or_else(|_| "(unreadable)".to_owned())
            ));
        }
        Err(Error::missing(
            format!("array {name:?} (see {flag})"),
            there,
        ))
    }
}

fn zip_failure(error: ZipError) -> Error {
    let what = "the file is not a complete .npz archive; it may be truncated";
    Error::new(ErrorKind::Format, what).because(error)
}

/// Which array is what.
struct Roles {
    points: String,
    time: Result<String>,
    weight: Option<String>,
}

fn roles(archive: &mut Archive, options: &ReadOptions) -> Result<Roles> {
    let points = archive.find(options.points_key.as_deref().unwrap_or("X"), "--points-key")?;
    let time = archive.find(options.time_key.as_deref().unwrap_or("t"), "--time-key");
    let weight = match &options.weight_key {
        Some(key) => Some(archive.find(key, "--weight-key")?),
        None => {
            let velocity = options.velocity_key.as_deref();
            let known = ["w", "weights"].into_iter();
            let known: Vec<_> = known.filter(|name| Some(*name) != velocity).collect();
            archive.first(&known)
        }
    };
    Ok(Roles {
        points,
        time,
        weight,
    })
}

/// The shape of the points: `count` times of `particles` points, or a point for each of `count`
/// rows.
struct Places {
    name: String,
    count: usize,
    /// How many points share a time and its place, in trajectories `[k, n, d]`.
    particles: Option<usize>,
    columns: usize,
    shape: Vec<usize>,
}

impl Places {
    fn of(header: &Header) -> Result<Self> {
        let (k, n, d) = header.vectors()?;
        ensure!(
            header.count()? > 0,
            Shape,
            "array {:?} is empty: {:?}",
            header.name,
            header.shape
        );
        let particles = (header.shape.len() == 3).then_some(n);
        Ok(Self {
            name: header.name.clone(),
            count: particles.map_or(n, |_| k),
            particles,
            columns: d,
            shape: header.shape.clone(),
        })
    }

    fn rows(&self) -> usize {
        self.count * self.particles.unwrap_or(1)
    }

    fn check_one_for_each(&self, header: &Header) -> Result<()> {
        let length = match header.shape[..] {
            [length] | [length, 1] => length,
            _ => return Err(wrong_shape(header, "[n]")),
        };
        ensure!(
            length == self.count,
            Shape,
            "{} has {} {} and {} has {length}; expected one for each",
            self.name,
            self.count,
            if self.particles.is_some() {
                "times"
            } else {
                "rows"
            },
            header.name
        );
        Ok(())
    }

    fn times(&self, header: &Header, source: &mut dyn Read) -> Result<Times> {
        self.check_one_for_each(header)?;
        let copies = self.particles.unwrap_or(1);
        if header.is_text() {
            let mut labels = Labels::default();
            header.texts(source, |label| {
                (0..copies).for_each(|_| labels.push(label));
            })?;
            return Ok(Times::Labels(labels));
        }
        let numbers = header.numbers(source)?.into_iter();
        let numbers = match (header.kind, header.size) {
            ('f', 4) => numbers.map(decimal).collect(),
            _ => numbers.collect(),
        };
        Ok(Times::Numbers(repeated(numbers, self.particles)))
    }

    fn weights(&self, header: &Header, source: &mut dyn Read) -> Result<Vec<f64>> {
        match (self.particles, &header.shape[..]) {
            (Some(count), [m]) if *m == count => {
                let one_time = header.numbers(source)?;
                return Ok(one_time.iter().copied().cycle().take(self.rows()).collect());
            }
            (Some(count), [k, m]) if (*k, *m) == (self.count, count) => {
                let shape = (*k, count).set_f(header.fortran);
                let all = Array2::from_shape_vec(shape, header.numbers(source)?)
                    .expect("a number for each place");
                return Ok(all.iter().copied().collect());
            }
            (Some(count), [_, m]) if *m > 1 => {
                let n = self.count;
                let expected = format!("[{count}], or [{n}, {count}] where they change in time");
                return Err(wrong_shape(header, &expected));
            }
            _ => self.check_one_for_each(header)?,
        }
        Ok(repeated(header.numbers(source)?, self.particles))
    }
}

/// The names of the coordinates, and what is to be said about them.
fn names(archive: &mut Archive, count: usize) -> Result<(Vec<String>, Vec<String>)> {
    let (mut columns, mut notes) = (default_columns(count), vec![]);
    if archive.first(&["columns"]).is_some() {
        archive.array("columns", |header, source| {
            if header.shape == [count] && header.is_text() {
                columns.clear();
                header.texts(source, |name| columns.push(name.to_owned()))?;
            } else {
                notes.push(format!(
                    "left out array \"columns\": expected the names of {count} coordinates, it is \
                     {} {:?}",
                    header.type_name(),
                    header.shape
                ));
            }
            Ok(())
        })?;
    }
    Ok((columns, notes))
}

pub(super) fn head(path: &Path, options: &ReadOptions) -> Result<Head> {
    let mut archive = Archive::open(path)?;
    let roles = roles(&mut archive, options)?;
    let mut by_columns = vec![];
    let mut look = |header: &Header| {
        if !header.is_row_by_row() {
            by_columns.push(header.name.clone());
        }
    };
    let places = archive.array(&roles.points, |header, _| {
        look(&header);
        Places::of(&header)
    })?;
    let times = match roles.time {
        Ok(key) => Ok(archive.array(&key, |header, source| places.times(&header, source))?),
        Err(absent) => Err(absent),
    };
    if let Some(key) = &options.velocity_key
        && archive.first(&[key]).is_some()
    {
        archive.array(key, |header, _| {
            look(&header);
            Ok(())
        })?;
    }
    let (columns, notes) = names(&mut archive, places.columns)?;
    Ok(Head {
        rows: places.rows(),
        times,
        columns,
        has_weights: roles.weight.is_some(),
        by_columns,
        notes,
    })
}

/// Vectors of an array, some at a time.
struct Vectors<'a> {
    header: Header,
    source: &'a mut dyn Read,
    /// Those of an array whose rows do not follow each other in the file.
    all: Option<Array2<f64>>,
    at: usize,
    finite: Finite,
}

impl<'a> Vectors<'a> {
    fn new(header: Header, source: &'a mut dyn Read) -> Result<Self> {
        let all = match header.is_row_by_row() {
            true => None,
            false => Some(header.rows(source)?),
        };
        Ok(Self {
            header,
            source,
            all,
            at: 0,
            finite: Finite::default(),
        })
    }

    /// The next `rows` of `columns` numbers, row by row.
    fn next(&mut self, rows: usize, columns: usize) -> Result<Vec<f64>> {
        let numbers = match &self.all {
            None => self.header.next_numbers(self.source, rows * columns)?,
            Some(all) => {
                let some = all.slice(s![self.at..self.at + rows, ..]);
                some.iter().copied().collect()
            }
        };
        self.at += rows;
        let rows = numbers.chunks_exact(columns);
        rows.for_each(|row| self.finite.look(row));
        Ok(numbers)
    }
}

pub(super) fn rows(
    path: &Path,
    options: &ReadOptions,
    velocities: bool,
    take: &mut Take,
) -> Result<Vec<usize>> {
    let mut archive = Archive::open(path)?;
    let roles = roles(&mut archive, options)?;
    let places = archive.array(&roles.points, |header, _| Places::of(&header))?;
    let weights = match &roles.weight {
        Some(key) => Some(archive.array(key, |header, source| places.weights(&header, source))?),
        None => None,
    };
    let (names, _) = names(&mut archive, places.columns)?;
    let mut pour = |points: &mut Vectors, mut moving: Option<&mut Vectors>| {
        let (n, d) = (places.rows(), places.columns);
        for start in (0..n).step_by(chunk_rows(d)) {
            let count = chunk_rows(d).min(n - start);
            let velocities = moving.as_mut().map(|moving| moving.next(count, d));
            take(Chunk {
                points: &points.next(count, d)?,
                weights: weights.as_ref().map(|w| &w[start..start + count]),
                velocities: velocities.transpose()?.as_deref(),
            })?;
        }
        points.finite.check(&names)
    };
    let key = options.velocity_key.as_deref().filter(|_| velocities);
    let Some(key) = key else {
        archive.array(&roles.points, |header, source| {
            pour(&mut Vectors::new(header, source)?, None)
        })?;
        return Ok(vec![]);
    };
    let key = archive.find(key, "--velocity-key")?;
    // Two entries of an archive are read side by side through two readers.
    Archive::open(path)?.array(&key, |header, source| {
        let is_expected = |(k, n, d)| {
            let count = places
                .particles
                .map_or((1, places.count), |n| (places.count, n));
            ((k, n), d) == (count, places.columns)
        };
        ensure!(
            header.vectors().is_ok_and(is_expected),
            Shape,
            "array {key:?}: expected shape {:?}, as {:?} has, got {:?}",
            places.shape,
            places.name,
            header.shape
        );
        let mut moving = Vectors::new(header, source)?;
        archive.array(&roles.points, |header, source| {
            pour(&mut Vectors::new(header, source)?, Some(&mut moving))
        })?;
        let found = moving.finite.check(&names);
        found.map_err(|error| error.within(format_args!("array {key:?}")))
    })?;
    Ok(vec![])
}

/// The one array of whole levels in a file of images: `[n, height, width]` or `[n, height, width,
/// channels]`, in row-major order.
pub(super) fn levels(path: &Path) -> Result<ArrayD<u8>> {
    let mut archive = Archive::open(path)?;
    let (mut found, mut seen) = (vec![], vec![]);
    for name in archive.names.clone() {
        archive.array(&name, |header, _| {
            if (header.kind, header.size) == ('u', 1) && [3, 4].contains(&header.shape.len()) {
                found.push(name.clone());
            }
            seen.push(format!("{name} {} {:?}", header.type_name(), header.shape));
            Ok(())
        })?;
    }
    let [name] = &found[..] else {
        let what = format!(
            "expected one array of uint8, [n, height, width] or [n, height, width, channels], got \
             {} of that kind among: {}; save the images alone, in Python: numpy.savez('images.npz', \
             images.astype('uint8')), with levels from 0 to 255",
            found.len(),
            seen.join(", ")
        );
        return Err(Error::new(ErrorKind::Format, what));
    };
    archive.array(name, |header, source| {
        let count = header.count()?;
        if let [_, c, _, last] = header.shape[..] {
            ensure!(
                [1, 3].contains(&last) || ![1, 3].contains(&c),
                Shape,
                "array {name:?} has shape {:?}, channels first; save it channels last, in Python: \
                 images.transpose(0, 2, 3, 1)",
                header.shape
            );
        }
        let mut levels = vec![];
        header.each(source, count, 1, 1, |item| levels.push(item[0]))?;
        let shape = IxDyn(&header.shape).set_f(header.fortran);
        let array = ArrayD::from_shape_vec(shape, levels).expect("a level for each place");
        Ok(array.as_standard_layout().into_owned())
    })
}

/// Every value so many times over.
fn repeated<T: Clone>(values: Vec<T>, times: Option<usize>) -> Vec<T> {
    match times {
        None => values,
        Some(times) => {
            let copies = |value| std::iter::repeat_n(value, times);
            values.into_iter().flat_map(copies).collect()
        }
    }
}

/// The number a person wrote who now has it in single precision: 0.1, not 0.10000000149.
pub(super) fn decimal(single: f64) -> f64 {
    (single as f32).to_string().parse().unwrap_or(single)
}

fn wrong_shape(header: &Header, expected: &str) -> Error {
    Error::new(
        ErrorKind::Shape,
        format!(
            "array {:?}: expected shape {expected}, got {:?}",
            header.name, header.shape
        ),
    )
}

struct Writer<W: Write>(ZipWriter<zip::write::StreamWriter<W>>);

impl<W: Write> Writer<W> {
    fn begin(
        &mut self,
        name: &str,
        description: &str,
        shape: &[usize],
        bytes: usize,
    ) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes as u64 >= u64::from(u32::MAX));
        self.0.start_file(format!("{name}.npy"), options)?;
        let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let mut header =
            format!("{{'descr': '{description}', 'fortran_order': False, 'shape': ({shape}), }}");
        // The format asks that the data start at a multiple of 64 bytes and the header end a line.
        let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
        header.extend(std::iter::repeat_n(' ', padded - header.len()));
        header.push('\n');
        self.0.write_all(b"\x93NUMPY\x01\x00")?;
        self.0.write_all(&(header.len() as u16).to_le_bytes())?;
        self.0.write_all(header.as_bytes())
    }

    fn numbers<'a>(
        &mut self,
        name: &str,
        shape: &[usize],
        numbers: impl Iterator<Item = &'a f64>,
    ) -> io::Result<()> {
        self.begin(name, "<f8", shape, 8 * shape.iter().product::<usize>())?;
        let mut buffer = io::BufWriter::with_capacity(1 << 16, &mut self.0);
        for x in numbers {
            buffer.write_all(&x.to_le_bytes())?;
        }
        buffer.flush()
    }

    fn texts<'a>(
        &mut self,
        name: &str,
        texts: impl ExactSizeIterator<Item = &'a String> + Clone,
    ) -> io::Result<()> {
        let length = texts
            .clone()
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
            .max(1);
        self.begin(
            name,
            &format!("<U{length}"),
            &[texts.len()],
            4 * length * texts.len(),
        )?;
        let mut buffer = io::BufWriter::with_capacity(1 << 16, &mut self.0);
        for text in texts {
            let letters = text.chars().map(u32::from).chain(std::iter::repeat(0));
            for letter in letters.take(length) {
                buffer.write_all(&letter.to_le_bytes())?;
            }
        }
        buffer.flush()
    }

    fn columns(&mut self, columns: &[String]) -> io::Result<()> {
        if columns == default_columns(columns.len()) {
            return Ok(());
        }
        self.texts("columns", columns.iter())
    }
}

/// Writes one array of levels, in row-major order.
pub(super) fn write_levels(path: &Path, name: &str, levels: &Array4<u8>) -> Result<()> {
    let bytes = levels.as_slice().expect("row-major order");
    store::replace(path, |out| {
        let mut writer = Writer(ZipWriter::new_stream(out));
        writer.begin(name, "|u1", levels.shape(), bytes.len())?;
        writer.0.write_all(bytes)?;
        writer.0.finish()?;
        Ok(())
    })
}

pub(super) fn write(path: &Path, snapshots: &Snapshots) -> Result<()> {
    let clouds = snapshots.clouds();
    let n: usize = clouds.iter().map(|cloud| cloud.len()).sum();
    store::replace(path, |out| {
        let mut writer = Writer(ZipWriter::new_stream(out));
        let shape = [n, snapshots.dimension()];
        writer.numbers("X", &shape, clouds.iter().flat_map(|cloud| cloud.points()))?;
        if snapshots.axis().is_plain() {
            let times = snapshots.times().iter().zip(clouds);
            let rows = times.flat_map(|(t, cloud)| std::iter::repeat_n(t, cloud.len()));
            writer.numbers("t", &[n], rows)?;
        } else {
            let labels = snapshots.labels().iter().zip(clouds);
            let rows: Vec<&String> = labels
                .flat_map(|(label, cloud)| std::iter::repeat_n(label, cloud.len()))
                .collect();
            writer.texts("t", rows.into_iter())?;
        }
        if let Some(velocities) = snapshots.velocities() {
            writer.numbers("V", &shape, velocities.iter().flatten())?;
        }
        if !has_default_weights(snapshots) {
            writer.numbers("w", &[n], clouds.iter().flat_map(|cloud| cloud.weights()))?;
        }
        writer.columns(snapshots.columns())?;
        writer.0.finish()?;
        Ok(())
    })
}

pub(super) fn write_trajectories(
    path: &Path,
    times: &[f64],
    points: &Array3<f64>,
    weights: ParticleWeights,
    columns: &[String],
) -> Result<()> {
    store::replace(path, |out| {
        let mut writer = Writer(ZipWriter::new_stream(out));
        writer.numbers("X", points.raw_dim().slice(), points.iter())?;
        writer.numbers("t", &[times.len()], times.iter())?;
        match weights {
            ParticleWeights::Equal => (),
            ParticleWeights::Constant(w) => writer.numbers("w", &[w.len()], w.iter())?,
            ParticleWeights::Changing(w) => writer.numbers("w", w.shape(), w.iter())?,
        }
        writer.columns(columns)?;
        writer.0.finish()?;
        Ok(())
    })
}

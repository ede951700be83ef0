//! NumPy archives: a zip of arrays.

mod archive;
mod array;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    iter::repeat_n,
    path::Path,
};

use ndarray::{Array2, Dimension, ShapeBuilder, s};

use self::array::wrong_shape;
pub(in crate::data) use self::{
    archive::{Archive, Writer},
    array::Header,
};
use super::content;
use crate::{
    data::{
        Attribute, Keys, Snapshots,
        attributes::{Values, free_names},
        reader::{Chunk, Head, Labels, Take, Times, Wanted, chunk_rows, decimal, half_decimal},
        snapshots::{Finite, default_columns},
        writer::{Contents, ParticleWeights, Particles, has_default_weights},
    },
    error::{Error, ErrorKind, Result, ensure},
    memory, store,
};

/// The array of velocities in a file that is written.
pub(super) const VELOCITIES: &str = "V";

/// Which array is what.
struct Roles {
    points: String,
    time: Result<String>,
    weight: Option<String>,
}

fn roles(archive: &mut Archive<impl Read + Seek>, keys: &Keys) -> Result<Roles> {
    let points = archive.find(keys.points_key.as_deref().unwrap_or("X"), "points_key")?;
    let time = archive.find(keys.time_key.as_deref().unwrap_or("t"), "time_key");
    let weight = match &keys.weight_key {
        Some(key) => Some(archive.find(key, "weight_key")?),
        None => {
            let velocity = keys.velocity_key.as_deref();
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
        // Columns have names, rows have times.
        let what = format_args!("array {:?}", header.name);
        memory::check(&[d], 64, what)?;
        memory::check(&[k, n], 8, what)?;
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
        if let Some(seconds) = header.seconds(source)? {
            return Ok(Times::Seconds(repeated(seconds, self.particles)));
        }
        let numbers = header.numbers(source)?.into_iter();
        let numbers = match (header.kind, header.size) {
            ('f', 2) => numbers.map(half_decimal).collect(),
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
fn names(
    archive: &mut Archive<impl Read + Seek>,
    count: usize,
) -> Result<(Vec<String>, Vec<String>)> {
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

pub(super) fn head(path: &Path, keys: &Keys) -> Result<Head> {
    let mut archive = Archive::open(path)?;
    let roles = roles(&mut archive, keys)?;
    let mut by_columns = vec![];
    let mut look = |header: &Header| {
        if !header.is_row_by_row() {
            by_columns.push(header.name.clone());
        }
    };
    let points = archive.header(&roles.points)?;
    look(&points);
    let places = Places::of(&points)?;
    let time_name = roles.time.as_ref().cloned().unwrap_or_default();
    let times = match roles.time {
        Ok(key) => Ok(archive.array(&key, |header, source| places.times(&header, source))?),
        Err(absent) => Err(absent),
    };
    if let Some(key) = &keys.velocity_key
        && archive.first(&[key]).is_some()
    {
        look(&archive.header(key)?);
    }
    let (columns, notes) = names(&mut archive, places.columns)?;
    Ok(Head {
        rows: places.rows(),
        times,
        time_name,
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

pub(super) fn rows(path: &Path, wanted: &Wanted, take: &mut Take) -> Result<()> {
    let mut archive = Archive::open(path)?;
    let roles = roles(&mut archive, wanted.keys)?;
    let places = Places::of(&archive.header(&roles.points)?)?;
    let weights = match &roles.weight {
        Some(key) => Some(archive.array(key, |header, source| places.weights(&header, source))?),
        None => None,
    };
    let names = wanted.columns;
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
        points.finite.check(names)
    };
    let key = wanted.keys.velocity_key.as_deref();
    let Some(key) = key.filter(|_| wanted.velocities) else {
        return archive.array(&roles.points, |header, source| {
            pour(&mut Vectors::new(header, source)?, None)
        });
    };
    let key = archive.find(key, "velocity_key")?;
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
        let found = moving.finite.check(names);
        found.map_err(|error| error.within(format_args!("array {key:?}")))
    })
}

/// What is known of a file of one array, which has no times.
pub(super) fn single_head(path: &Path, _: &Keys) -> Result<Head> {
    let (header, _) = single(path)?;
    let times = "a .npy file has points alone, and no times; save both in one file, in Python: \
                 numpy.savez('cells.npz', X=X, t=t)";
    let (rows, columns) = header.shape.split_at(1);
    Ok(Head {
        rows: rows[0],
        time_name: String::new(),
        times: Err(Error::new(ErrorKind::Missing, times)),
        columns: default_columns(columns.first().copied().unwrap_or(1)),
        has_weights: false,
        by_columns: vec![],
        notes: vec![],
    })
}

pub(super) fn single_rows(path: &Path, wanted: &Wanted, take: &mut Take) -> Result<()> {
    let (header, mut source) = single(path)?;
    let (n, d) = (header.shape[0], wanted.columns.len());
    let mut points = Vectors::new(header, &mut source)?;
    for start in (0..n).step_by(chunk_rows(d)) {
        take(Chunk {
            points: &points.next(chunk_rows(d).min(n - start), d)?,
            weights: None,
            velocities: None,
        })?;
    }
    points.finite.check(wanted.columns)
}

/// A file of one array of vectors, its header read.
fn single(path: &Path) -> Result<(Header, BufReader<File>)> {
    let failed = |cause| Error::io("read", path, cause);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    content::check(
        file.fill_buf().map_err(failed)?,
        b"\x93NUMPY",
        "one array of NumPy",
    )?;
    let header = Header::read("X", &mut file)?;
    if !(1..=2).contains(&header.shape.len()) {
        return Err(wrong_shape(&header, "[n, d]"));
    }
    ensure!(
        header.count()? > 0,
        Shape,
        "the array is empty: {:?}",
        header.shape
    );
    header.check_length(file.get_ref().metadata().map_err(failed)?.len())?;
    Ok((header, file))
}

/// A file of one array holds no times, and so no snapshots.
pub(super) fn single_write(_: &Path, _: &Contents) -> Result<()> {
    Err(Error::new(
        ErrorKind::Format,
        "a .npy file has one array, and no place for times; write .npz",
    ))
}

pub(super) fn attributes(
    path: &Path,
    keys: &Keys,
    _coordinates: &[String],
) -> Result<Vec<Attribute>> {
    let mut archive = Archive::open(path)?;
    let roles = roles(&mut archive, keys)?;
    let places = Places::of(&archive.header(&roles.points)?)?;
    let velocities = keys.velocity_key.as_deref().unwrap_or(VELOCITIES);
    let taken = [&roles.points, "columns", velocities];
    let taken = |name: &String| {
        taken.contains(&name.as_str())
            || roles.time.as_ref().ok() == Some(name)
            || roles.weight.as_ref() == Some(name)
    };
    let names: Vec<String> = archive
        .names
        .iter()
        .filter(|n| !taken(n))
        .cloned()
        .collect();
    // Those of trajectories hold at every time.
    let (n, times) = match places.particles {
        Some(particles) => (particles, places.count),
        None => (places.count, 1),
    };
    let each = names.into_iter().map(|name| {
        if archive.header(&name)?.shape != [n] {
            return Ok(None);
        }
        archive.array(&name, |header, source| {
            let mut values = Values::default();
            if header.is_text() {
                header.texts(source, |text| values.push(text))?;
            } else if ['f', 'i', 'u'].contains(&header.kind) {
                header
                    .numbers(source)?
                    .into_iter()
                    .for_each(|x| values.push_number(x));
            } else {
                return Ok(None);
            }
            let rows: Vec<usize> = (0..times).flat_map(|_| 0..n).collect();
            Ok(Some(values.named(&name).select(&rows)))
        })
    });
    each.filter_map(Result::transpose).collect()
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

pub(super) fn write(path: &Path, contents: &Contents) -> Result<()> {
    store::replace(path, |out| {
        let mut writer = Writer::new(out);
        match contents {
            Contents::Snapshots(snapshots) => write_snapshots(&mut writer, snapshots)?,
            Contents::Particles(particles) => write_particles(&mut writer, particles)?,
        }
        writer.finish()
    })
}

fn write_snapshots(writer: &mut Writer, snapshots: &Snapshots) -> io::Result<()> {
    let clouds = snapshots.clouds();
    let n: usize = clouds.iter().map(|cloud| cloud.len()).sum();
    let shape = [n, snapshots.dimension()];
    writer.numbers("X", &shape, clouds.iter().flat_map(|cloud| cloud.points()))?;
    if snapshots.axis().is_plain() {
        let times = snapshots.times().iter().zip(clouds);
        let rows = times.flat_map(|(t, cloud)| repeat_n(t, cloud.len()));
        writer.numbers("t", &[n], rows)?;
    } else {
        let labels = snapshots.labels().iter().zip(clouds);
        let rows = labels.flat_map(|(label, cloud)| repeat_n(label, cloud.len()));
        let rows: Vec<&String> = rows.collect();
        writer.texts("t", rows.into_iter())?;
    }
    if let Some(velocities) = snapshots.velocities() {
        writer.numbers(VELOCITIES, &shape, velocities.iter().flatten())?;
    }
    if !has_default_weights(snapshots) {
        writer.numbers("w", &[n], clouds.iter().flat_map(|cloud| cloud.weights()))?;
    }
    write_attributes(writer, snapshots.attributes())?;
    writer.columns(snapshots.columns())
}

/// Of particles, the expression `[k, n, g]` and the names of genes.
const EXPRESSION: &str = "expression";
const GENES: &str = "genes";

fn write_particles(writer: &mut Writer, particles: &Particles) -> io::Result<()> {
    let Particles { times, points, .. } = particles;
    writer.numbers("X", points.raw_dim().slice(), points.iter())?;
    match particles.times_are_numbers() {
        true => writer.numbers("t", &[times.len()], times.iter())?,
        false => writer.texts("t", particles.labels.iter())?,
    }
    match particles.weights {
        ParticleWeights::Equal => (),
        ParticleWeights::Constant(w) => writer.numbers("w", &[w.len()], w.iter())?,
        ParticleWeights::Changing(w) => writer.numbers("w", w.shape(), w.iter())?,
    }
    if let (Some(genes), Some(expression)) = (particles.genes, particles.expression()) {
        let (k, n, _) = points.dim();
        let shape = [k, n, genes.genes().len()];
        writer.numbers(EXPRESSION, &shape, expression.iter())?;
        writer.texts(GENES, genes.genes().iter())?;
    }
    write_attributes(writer, particles.attributes)?;
    writer.columns(particles.columns)
}

fn write_attributes(writer: &mut Writer, attributes: &[Attribute]) -> io::Result<()> {
    let names = free_names(
        attributes,
        &[
            "X", "t", "w", "weights", VELOCITIES, "columns", EXPRESSION, GENES,
        ],
    );
    for (attribute, name) in attributes.iter().zip(names) {
        writer.texts(&name.replace(['/', '\\'], "_"), attribute.values.iter())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

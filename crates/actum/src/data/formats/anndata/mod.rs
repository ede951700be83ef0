//! AnnData files (`.h5ad`) and stores (`.zarr`): cells with their annotation, as scanpy writes
//! them.

mod expression;
mod file;
mod frame;
mod hdf5;
mod matrix;
mod write;
mod zarr;
mod zstd;

use std::{fs, io::Read, path::Path};

pub(super) use self::{
    expression::GENES,
    write::{ANNOTATOR, VELOCITIES, write},
};
use self::{
    expression::{of_genes, project},
    file::File,
    frame::Frame,
    matrix::{Matrix, Place},
};
use super::{columns, content};
use crate::{
    data::{
        Attribute, Entry, Keys,
        reader::{Chunk, Head, Take, Wanted, chunk_rows},
        snapshots::Finite,
    },
    error::{Error, ErrorKind, Result, ensure},
    genes::{Decoder, closest},
};

/// The coordinates that scanpy computes.
const PCA: &str = "X_pca";

/// `X` of at most so many columns is taken for coordinates.
const FEW: usize = 100;

/// How many numbers of a matrix are in memory at most, while some of its columns are read.
const MOST: usize = 1 << 22;

fn open(path: &Path) -> Result<File> {
    if path.is_dir() {
        return File::open(path);
    }
    let mut start = vec![];
    let read = fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.map_err(|cause| Error::io("read", path, cause))?;
    content::check(&start, b"\x89HDF\r\n\x1a\n", "AnnData, which is HDF5")?;
    File::open(path)
}

/// The annotation of cells.
fn cells(file: &File) -> Result<Frame<'_>> {
    let obs = Frame::open(file, "obs")?.ok_or_else(|| {
        let what = "the file is no AnnData: \"obs\", the table of cells,";
        Error::missing(what, file.children(""))
    })?;
    ensure!(obs.rows > 0, Format, "expected cells, got none");
    Ok(obs)
}

/// Columns of one matrix.
struct Chosen<'a> {
    matrix: Matrix<'a>,
    columns: Vec<usize>,
    names: Vec<String>,
}

impl Chosen<'_> {
    /// The name of a column for messages is that of its matrix where it has none of its own.
    fn is_obs(&self) -> bool {
        self.matrix.place == "obs"
    }
}

/// Where the coordinates may be.
struct Places<'a> {
    file: &'a File,
    obs: &'a Frame<'a>,
}

impl<'a> Places<'a> {
    /// All matrices by their places, the coordinates of scanpy first.
    fn all(&self) -> Vec<Place> {
        let mut obsm = self.file.children("obsm");
        obsm.sort_by_key(|name| name != PCA);
        let layers = self.file.children("layers");
        let all = obsm.into_iter().map(Place::Obsm).chain([Place::X]);
        all.chain(layers.into_iter().map(Place::Layer)).collect()
    }

    /// The places of matrices, as a person names them.
    fn listed(&self) -> Vec<String> {
        let there = |place: &Place| {
            let matrix = Matrix::open(self.file, place);
            !matches!(matrix, Ok(None))
        };
        let all = self.all().into_iter().filter(there);
        all.map(|place| place.to_string()).collect()
    }

    /// The matrix at a place, which has a row for each cell.
    fn open(&self, place: &Place) -> Result<Option<Matrix<'a>>> {
        let matrix = Matrix::open(self.file, place)?;
        if let Some(matrix) = &matrix {
            ensure!(
                matrix.rows == self.obs.rows,
                Shape,
                "{place} has {} rows, and obs has {}",
                matrix.rows,
                self.obs.rows
            );
            ensure!(matrix.columns > 0, Shape, "{place} has no columns");
        }
        Ok(matrix)
    }

    /// The names of the columns of a matrix: `X_pca1`, `X_pca2`, ..., or those of the genes.
    fn names(&self, place: &Place, matrix: &Matrix) -> Result<Vec<String>> {
        if let Some(names) = matrix.names() {
            return Ok(names.to_vec());
        }
        let count = matrix.columns;
        if let Place::Obsm(name) = place {
            return Ok((1..=count).map(|j| format!("{name}{j}")).collect());
        }
        let genes = Frame::open(self.file, "var")?;
        let genes = genes.ok_or_else(|| Error::missing("\"var\"", self.file.children("")))?;
        ensure!(
            genes.rows == count,
            Shape,
            "{place} has {count} columns, and var has {} rows",
            genes.rows
        );
        genes.index()
    }

    /// All columns of the matrix at a place.
    fn whole(&self, place: &Place) -> Result<Option<Chosen<'a>>> {
        let Some(matrix) = self.open(place)? else {
            return Ok(None);
        };
        let names = self.names(place, &matrix)?;
        let mut seen = std::collections::HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
            ensure!(
                false,
                Format,
                "two columns of {place} are named {name:?}; give each its own name, in Python: \
                 adata.var_names_make_unique()"
            );
        }
        Ok(Some(Chosen {
            columns: (0..matrix.columns).collect(),
            matrix,
            names,
        }))
    }

    /// Whether these are all columns of the matrix at a place, in their order.
    fn is_whole(&self, place: &Place, columns: &[String]) -> bool {
        let whole = self.whole(place);
        whole.is_ok_and(|whole| whole.is_some_and(|whole| whole.names == columns))
    }

    /// The coordinates where none are named.
    fn default(&self) -> Result<Chosen<'a>> {
        // Files that Actum writes have the names of the coordinates there.
        if let Some(chosen) = self.own()? {
            return Ok(chosen);
        }
        if let Some(chosen) = self.whole(&Place::Obsm(PCA.to_owned()))? {
            return Ok(chosen);
        }
        let x = self.open(&Place::X)?;
        let columns = x.map_or(0, |x| x.columns);
        if (1..=FEW).contains(&columns)
            && let Some(chosen) = self.whole(&Place::X)?
        {
            return Ok(chosen);
        }
        let x = match columns {
            0 => "X is empty".to_owned(),
            columns => format!("X has {columns} columns, more than {FEW}"),
        };
        let others = self.listed();
        let others = match others.is_empty() {
            true => "there is no other matrix".to_owned(),
            false => format!("choose one with `Keys::points_key`: {}", others.join(", ")),
        };
        Err(Error::new(
            ErrorKind::Missing,
            format!(
                "the coordinates are not told: obsm has no {PCA:?}, and {x}; {others}; or make principal \
                 components: of counts with `Keys::pca`, of others in Python: scanpy.pp.pca(adata)"
            ),
        ))
    }

    /// The coordinates of a file that [`write`] wrote.
    fn own(&self) -> Result<Option<Chosen<'a>>> {
        let marked = self.file.array(write::MARK)?;
        let place = match marked {
            Some(marked) if marked.shape.is_empty() => marked.texts(0, 1)?.pop(),
            _ => None,
        };
        let Some(place) = place.as_deref().and_then(Place::of) else {
            return Ok(None);
        };
        let mut chosen = self.whole(&place)?;
        if let (Some(chosen), Some(names)) = (&mut chosen, self.file.array(write::COLUMNS)?)
            && names.shape == [chosen.names.len()]
        {
            chosen.names = names.texts(0, names.len())?;
        }
        Ok(chosen)
    }

    /// What a key names: all columns of a matrix, or columns by their names.
    fn named(&self, key: &str) -> Result<Chosen<'a>> {
        match Place::of(key) {
            Some(place) => self
                .whole(&place)?
                .ok_or_else(|| Error::missing(&place, self.listed())),
            None => self.by_names(key),
        }
    }

    /// Columns by their names, which one matrix or the annotation of the cells has.
    fn by_names(&self, key: &str) -> Result<Chosen<'a>> {
        let chosen = |matrix, names: Vec<String>| -> Result<Chosen> {
            let columns = columns::find_all(&names, key, &[])?;
            Ok(Chosen {
                names: columns.iter().map(|j| names[*j].clone()).collect(),
                columns,
                matrix,
            })
        };
        let mut found: Vec<Chosen> = vec![];
        let mut genes = vec![];
        for place in self.all() {
            // What cannot be read has no columns of these names; layers have those of X.
            let Ok(Some(matrix)) = self.open(&place) else {
                continue;
            };
            let Ok(names) = self.names(&place, &matrix) else {
                continue;
            };
            if matches!(place, Place::Layer(_)) {
                continue;
            } else if place == Place::X {
                genes.clone_from(&names);
            }
            match chosen(matrix, names) {
                // What is taken where nothing is named comes first.
                Ok(it) if place == Place::Obsm(PCA.to_owned()) => return Ok(it),
                Ok(it) => found.push(it),
                Err(error) if error.kind() == ErrorKind::Missing => {}
                Err(error) => return Err(error),
            }
        }
        if found.is_empty() {
            let names = self.obs.names.clone();
            match chosen(Matrix::of_frame(self.file, "obs")?, names) {
                Ok(it) => return Ok(it),
                Err(error) if error.kind() == ErrorKind::Missing => {}
                Err(error) => return Err(error),
            }
        }
        ensure!(
            found.len() < 2,
            Setting,
            "{key:?} may be columns of {}; choose all columns of one with `Keys::points_key`, as {}",
            found
                .iter()
                .map(|it| it.matrix.place.as_str())
                .collect::<Vec<_>>()
                .join(" or of "),
            found[0].matrix.place
        );
        found.pop().ok_or_else(|| self.absent(key, &genes))
    }

    fn absent(&self, key: &str, names: &[String]) -> Error {
        let wanted: Vec<&str> = key.split(',').map(str::trim).collect();
        let lacking = wanted
            .iter()
            .find(|name| !names.iter().any(|gene| gene.eq_ignore_ascii_case(name)));
        let lacking = lacking.copied().unwrap_or(key);
        let place = Place::Obsm(lacking.to_owned()).to_string();
        let listed = self.listed();
        let advice = if listed.contains(&place) {
            format!("; write {place}")
        } else {
            match closest(lacking, names) {
                near if near.is_empty() => String::new(),
                near => format!("; the closest genes are {}", near.join(", ")),
            }
        };
        Error::new(
            ErrorKind::Missing,
            format!(
                "no matrix has all the columns {key:?}: {lacking:?} is no gene of X{advice}; \
                 available: columns of X, obs and obsm, or all columns of {}",
                listed.join(", ")
            ),
        )
    }
}

/// Which columns of `obs` are the time and the weight.
fn roles(obs: &Frame, keys: &Keys) -> Result<columns::Roles> {
    let own = Keys {
        time_key: keys.time_key.clone(),
        weight_key: keys.weight_key.clone(),
        ..Keys::default()
    };
    columns::choose(&obs.names, &own).map_err(|error| error.within("obs"))
}

/// Whether Actum wrote the file: it has the coordinates themselves.
fn is_own(file: &File) -> Result<bool> {
    Ok(file.array(write::MARK)?.is_some())
}

/// The decoder of components that the coordinates are to be made by.
fn components<'a>(file: &File, keys: &'a Keys) -> Result<Option<&'a Decoder>> {
    if keys.pca.is_none() || is_own(file)? {
        return Ok(None);
    }
    let unknown = || {
        let what = "the principal components are not known; give them as `Keys::decoder`";
        Error::new(ErrorKind::Setting, what)
    };
    keys.decoder.as_deref().ok_or_else(unknown).map(Some)
}

/// The names of the coordinates.
fn names(places: &Places, keys: &Keys) -> Result<Vec<String>> {
    let Some(decoder) = components(places.file, keys)? else {
        return Ok(points(places, keys)?.names);
    };
    // Columns of these names may be components of another making.
    ensure!(
        !keys.names_columns(),
        Missing,
        "the coordinates are principal components of counts, made with the run"
    );
    of_genes(places, Some(keys))?;
    Ok(decoder.columns().to_vec())
}

fn points<'a>(places: &Places<'a>, keys: &Keys) -> Result<Chosen<'a>> {
    // Of the counts of another file nothing is said here.
    let of_counts = keys.pca.is_some() && !keys.names_columns();
    match keys.points_key.as_ref().filter(|_| !of_counts) {
        Some(key) => places.named(key),
        None => places.default(),
    }
}

pub(super) fn head(path: &Path, keys: &Keys) -> Result<Head> {
    let file = open(path)?;
    let obs = cells(&file)?;
    let roles = roles(&obs, keys)?;
    let places = Places {
        file: &file,
        obs: &obs,
    };
    let names = names(&places, keys);
    let (names, time) = columns::with_time(names, roles.time)?;
    let chosen = match components(&file, keys)? {
        Some(_) => None,
        None => Some(points(&places, keys)?),
    };
    let mut by_columns = vec![];
    let moving = keys.velocity_key.as_deref().map(|key| places.named(key));
    for matrix in [
        chosen.as_ref(),
        moving.as_ref().and_then(|it| it.as_ref().ok()),
    ] {
        by_columns.extend(
            matrix
                .filter(|it| it.matrix.is_by_columns())
                .map(|it| it.matrix.place.clone()),
        );
    }
    let time_name = time.as_ref().map(|time| obs.names[*time].clone());
    let time_name = time_name.unwrap_or_default();
    Ok(Head {
        rows: obs.rows,
        times: match time {
            Ok(time) => Ok(obs.times(&obs.names[time])?),
            Err(absent) => Err(absent.within("obs")),
        },
        time_name,
        columns: names,
        has_weights: roles.weight.is_some(),
        by_columns,
        notes: vec![],
    })
}

pub(super) fn rows(path: &Path, wanted: &Wanted, take: &mut Take) -> Result<()> {
    let file = open(path)?;
    let obs = cells(&file)?;
    let places = Places {
        file: &file,
        obs: &obs,
    };
    let weights = roles(&obs, wanted.keys)?.weight;
    let weights = weights.map(|i| obs.numbers(&obs.names[i])).transpose()?;
    if let Some(decoder) = components(&file, wanted.keys)? {
        let columns = columns::found(decoder.columns(), wanted.columns)?;
        let (keys, weights) = (wanted.keys, weights.as_deref());
        return project(&places, keys, decoder, &columns, weights, take);
    }
    let chosen = points(&places, wanted.keys)?;
    let columns = columns::found(&chosen.names, wanted.columns)?;
    let columns: Vec<usize> = columns.into_iter().map(|j| chosen.columns[j]).collect();
    let moving = wanted
        .keys
        .velocity_key
        .as_deref()
        .filter(|_| wanted.velocities);
    let moving = moving.map(|key| places.named(key)).transpose()?;
    if let Some(moving) = &moving {
        columns::check_velocities(&moving.names, wanted.columns)?;
    }
    let mut points = chosen.matrix.read(&columns)?;
    let mut velocities = match &moving {
        Some(moving) => Some(moving.matrix.read(&moving.columns)?),
        None => None,
    };
    let widest = moving.as_ref().map_or(0, |moving| moving.matrix.columns);
    let some = (MOST / widest.max(chosen.matrix.columns)).max(1);
    let some = some.min(chunk_rows(columns.len()));
    let mut finite = [Finite::default(), Finite::default()];
    for start in (0..obs.rows).step_by(some) {
        let count = some.min(obs.rows - start);
        let points = points.next(count)?;
        let moving = velocities
            .as_mut()
            .map(|rows| rows.next(count))
            .transpose()?;
        for (finite, numbers) in finite.iter_mut().zip([Some(&points), moving.as_ref()]) {
            let rows = numbers
                .into_iter()
                .flat_map(|numbers| numbers.chunks_exact(columns.len()));
            rows.for_each(|row| finite.look(row));
        }
        take(Chunk {
            points: &points,
            weights: weights.as_ref().map(|w| &w[start..start + count]),
            velocities: moving.as_deref(),
        })?;
    }
    let [of_points, of_velocities] = &finite;
    of_points
        .check(wanted.columns)
        .map_err(|error| error.within(&chosen.matrix.place))?;
    match &moving {
        Some(moving) => of_velocities
            .check(&moving.names)
            .map_err(|error| error.within(&moving.matrix.place)),
        None => Ok(()),
    }
}

pub(super) fn attributes(
    path: &Path,
    keys: &Keys,
    coordinates: &[String],
) -> Result<Vec<Attribute>> {
    let file = open(path)?;
    let obs = cells(&file)?;
    let roles = roles(&obs, keys)?;
    let is_obs = {
        let places = Places {
            file: &file,
            obs: &obs,
        };
        keys.pca.is_none() && points(&places, keys)?.is_obs()
    };
    let taken = if is_obs { coordinates } else { &[] };
    let others = roles
        .others(&obs.names, taken)
        .into_iter()
        .map(|i| &obs.names[i]);
    let index = obs.index.trim_start_matches('_').to_owned();
    let mut all = vec![];
    for name in [&obs.index].into_iter().chain(others) {
        if *name == obs.index && (obs.names.contains(&index) || obs.index_counts().unwrap_or(true))
        {
            continue;
        }
        // A column that cannot be read is in nobody's way.
        if let Ok(column) = obs.column(name) {
            let name = if *name == obs.index { &index } else { name };
            all.push(column.values(obs.rows).named(name));
        }
    }
    Ok(all)
}

pub(super) fn entries(path: &Path) -> Result<Vec<Entry>> {
    let file = open(path)?;
    let obs = cells(&file)?;
    let places = Places {
        file: &file,
        obs: &obs,
    };
    let mut entries = vec![];
    for place in places.all() {
        match Matrix::open(&file, &place) {
            Ok(None) => {}
            Ok(Some(matrix)) => entries.push(Entry {
                place: place.to_string(),
                about: matrix.about(),
            }),
            Err(error) => entries.push(Entry {
                place: place.to_string(),
                about: error.to_string(),
            }),
        }
    }
    entries.extend(obs.names.iter().map(|name| Entry {
        place: format!("obs:{name}"),
        about: obs.about(name),
    }));
    Ok(entries)
}

#[cfg(test)]
mod tests;

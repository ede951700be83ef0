//! New files that scanpy, scVelo and CellRank open as they are, and copies with more in them.

use std::{borrow::Cow, collections::HashMap, path::Path};

use ndarray::Array2;

use super::{
    Places,
    hdf5::{self, Additions, Content, Node, Word},
    matrix::Place,
};
use crate::{
    data::{
        Annotated, Annotations, Attribute, Keys, Snapshots,
        attributes::free_names,
        writer::{Contents, ParticleWeights, Particles, has_default_weights},
    },
    error::{Result, ensure},
    store,
};

/// Where a file says which matrix has the coordinates under their names.
pub(super) const MARK: &str = "uns/actum/coordinates";

/// The key of the velocities of a written file.
pub(in crate::data::formats) const VELOCITIES: &str = "layer:velocity";

fn said<'a>(encoding: &'a str, version: &'a str) -> Vec<(&'static str, Word<'a>)> {
    vec![
        ("encoding-type", Word::Text(encoding)),
        ("encoding-version", Word::Text(version)),
    ]
}

fn node<'a>(encoding: &'a str, content: Content<'a>) -> Node<'a> {
    Node {
        attributes: said(encoding, "0.2.0"),
        content,
    }
}

pub(super) fn group<'a>(children: Vec<(&str, Node<'a>)>) -> Node<'a> {
    let children = children
        .into_iter()
        .map(|(name, child)| (name.to_owned(), child));
    Node {
        attributes: said("dict", "0.1.0"),
        content: Content::Group(children.collect()),
    }
}

pub(super) fn matrix<'a>(numbers: impl Into<Cow<'a, [f64]>>, columns: usize) -> Node<'a> {
    let numbers = numbers.into();
    let shape = vec![numbers.len() / columns, columns];
    node("array", Content::Numbers(numbers, shape))
}

pub(super) fn list<'a>(numbers: impl Into<Cow<'a, [f64]>>) -> Node<'a> {
    let numbers = numbers.into();
    let shape = vec![numbers.len()];
    node("array", Content::Numbers(numbers, shape))
}

fn texts(texts: Vec<&str>) -> Node<'_> {
    node("string-array", Content::Texts(texts))
}

fn categorical<'a>(codes: Vec<i32>, categories: Node<'a>, ordered: bool) -> Node<'a> {
    let children = [
        ("codes", node("array", Content::Codes(codes))),
        ("categories", categories),
    ];
    let children = children.map(|(name, child)| (name.to_owned(), child));
    let mut attributes = said("categorical", "0.2.0");
    attributes.push(("ordered", Word::Truth(ordered)));
    Node {
        attributes,
        content: Content::Group(children.into()),
    }
}

/// A column of text: categories where texts repeat, so that scanpy colours by it.
fn attribute(attribute: &Attribute) -> Node<'_> {
    let mut distinct: Vec<&str> = attribute.values.iter().map(|value| &**value).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if 2 * distinct.len() > attribute.values.len() {
        return texts(attribute.values.iter().map(|value| &**value).collect());
    }
    // No text is a missing value.
    distinct.retain(|text| !text.is_empty());
    let places = distinct
        .iter()
        .enumerate()
        .map(|(code, text)| (*text, code as i32));
    let code_of: HashMap<&str, i32> = places.collect();
    let codes = attribute
        .values
        .iter()
        .map(|value| *code_of.get(&**value).unwrap_or(&-1));
    categorical(codes.collect(), texts(distinct), false)
}

/// Times as ordered categories of numbers, or of labels that are more than numbers.
fn times<'a>(rows: Vec<i32>, values: &'a [f64], labels: &'a [String], is_plain: bool) -> Node<'a> {
    let categories = match is_plain {
        true => list(values),
        false => texts(labels.iter().map(String::as_str).collect()),
    };
    categorical(rows, categories, true)
}

/// A data frame whose rows have these names.
pub(super) fn frame<'a>(index: Vec<&'a str>, columns: Vec<(String, Node<'a>)>) -> Node<'a> {
    let order = columns.iter().map(|(name, _)| name.clone()).collect();
    let mut attributes = said("dataframe", "0.2.0");
    attributes.push(("_index", Word::Text("_index")));
    attributes.push(("column-order", Word::Texts(order)));
    let mut children = vec![("_index".to_owned(), texts(index))];
    children.extend(columns);
    Node {
        attributes,
        content: Content::Group(children),
    }
}

pub(in crate::data::formats) fn write(path: &Path, contents: &Contents) -> Result<()> {
    match contents {
        Contents::Snapshots(snapshots) => write_snapshots(path, snapshots),
        Contents::Particles(particles) => write_particles(path, particles),
    }
}

fn write_snapshots(path: &Path, snapshots: &Snapshots) -> Result<()> {
    let clouds = snapshots.clouds();
    let points: Vec<f64> = clouds
        .iter()
        .flat_map(|cloud| cloud.points())
        .copied()
        .collect();
    let velocities = snapshots.velocities();
    let velocities = velocities.map(|all| all.iter().flatten().copied().collect::<Vec<f64>>());
    let weights: Vec<f64> = clouds
        .iter()
        .flat_map(|cloud| cloud.weights())
        .copied()
        .collect();
    let rows = clouds.iter().enumerate();
    let rows = rows.flat_map(|(k, cloud)| std::iter::repeat_n(k as i32, cloud.len()));
    let is_plain = snapshots.axis().is_plain();
    let mut obs = vec![(
        "t".to_owned(),
        times(
            rows.collect(),
            snapshots.times(),
            snapshots.labels(),
            is_plain,
        ),
    )];
    if !has_default_weights(snapshots) {
        obs.push(("w".to_owned(), list(&weights)));
    }
    let all = snapshots.attributes();
    let names = free_names(all, &["t", "w", "_index"]);
    // Names of cells stay names of cells.
    let is_index = |attribute: &Attribute| {
        let mut seen = std::collections::HashSet::new();
        attribute.name == "index" && attribute.values.iter().all(|name| seen.insert(&**name))
    };
    let index = all.iter().find(|attribute| is_index(attribute));
    let others = all
        .iter()
        .zip(names)
        .filter(|(a, _)| index.is_none_or(|index| a.name != index.name));
    obs.extend(others.map(|(a, name)| (name.replace('/', "_"), attribute(a))));
    let counted: Vec<String> = (0..weights.len()).map(|row| row.to_string()).collect();
    let index = match index {
        Some(index) => index.values.iter().map(|name| &**name).collect(),
        None => counted.iter().map(String::as_str).collect(),
    };
    let obs = frame(index, obs);
    file(
        path,
        &points,
        velocities.as_deref(),
        snapshots.columns(),
        obs,
    )
}

fn write_particles(path: &Path, particles: &Particles) -> Result<()> {
    let (k, n, d) = particles.points.dim();
    let rows = || (0..k).flat_map(|k| (0..n).map(move |i| (k, i)));
    // Row by row, whatever the order in memory.
    let points: Vec<f64> = particles.points.iter().copied().collect();
    let velocities = particles.velocities;
    let velocities = velocities.map(|all| all.iter().copied().collect::<Vec<f64>>());
    let number = node(
        "array",
        Content::Whole(rows().map(|(_, i)| i as i64).collect()),
    );
    let is_plain = particles.times_are_numbers();
    let times = times(
        rows().map(|(k, _)| k as i32).collect(),
        particles.times,
        particles.labels,
        is_plain,
    );
    let mut obs = vec![("particle".to_owned(), number), ("t".to_owned(), times)];
    let weights: Option<Vec<f64>> = match particles.weights {
        ParticleWeights::Equal => None,
        ParticleWeights::Constant(w) => Some(rows().map(|(_, i)| w[i]).collect()),
        ParticleWeights::Changing(w) => Some(w.iter().copied().collect()),
    };
    obs.extend(weights.map(|weights| ("w".to_owned(), list(weights))));
    let every: Vec<usize> = rows().map(|(_, i)| i).collect();
    let all: Vec<Attribute> = particles
        .attributes
        .iter()
        .map(|a| a.select(&every))
        .collect();
    let names = free_names(&all, &["particle", "t", "w", "_index"]);
    obs.extend(
        all.iter()
            .zip(names)
            .map(|(a, name)| (name.replace('/', "_"), attribute(a))),
    );
    let index: Vec<String> = (0..k * n).map(|row| row.to_string()).collect();
    let obs = frame(index.iter().map(String::as_str).collect(), obs);
    debug_assert_eq!(points.len(), k * n * d);
    file(path, &points, velocities.as_deref(), particles.columns, obs)
}

/// The coordinates stand for genes in `X`, where scVelo looks for them, and for principal components
/// in `obsm`, where CellRank does.
fn file<'a>(
    path: &Path,
    points: &'a [f64],
    velocities: Option<&'a [f64]>,
    columns: &'a [String],
    obs: Node<'a>,
) -> Result<()> {
    let of = |numbers: &'a [f64]| matrix(numbers, columns.len());
    let (mut obsm, mut layers) = (vec![("X_pca", of(points))], vec![]);
    if let Some(velocities) = velocities {
        obsm.push(("velocity_pca", of(velocities)));
        layers.extend([("velocity", of(velocities)), ("Ms", of(points))]);
    }
    let mark = Node {
        attributes: said("string", "0.2.0"),
        content: Content::Text("X"),
    };
    let var = frame(columns.iter().map(String::as_str).collect(), vec![]);
    let root = group(vec![
        ("X", of(points)),
        ("obs", obs),
        ("var", var),
        ("obsm", group(obsm)),
        ("varm", group(vec![])),
        ("obsp", group(vec![])),
        ("varp", group(vec![])),
        ("layers", group(layers)),
        (
            "uns",
            group(vec![("actum", group(vec![("coordinates", mark)]))]),
        ),
    ]);
    let root = Node {
        attributes: said("anndata", "0.1.0"),
        content: root.content,
    };
    hdf5::write(path, root)
}

/// A copy of a file with what is known of every cell; says why where only that could be written.
pub(in crate::data::formats) fn annotate(
    from: &Path,
    keys: &Keys,
    to: &Path,
    known: &Annotations,
) -> Result<Annotated> {
    let file = super::open(from)?;
    let obs = super::cells(&file)?;
    let n = obs.rows;
    let lengths = known.numbers.iter().map(|(_, numbers)| numbers.len());
    for length in lengths.chain([known.points.nrows(), known.velocities.nrows()]) {
        ensure!(
            length == n,
            Shape,
            "expected something of each of {n} cells, got it of {length}"
        );
    }
    let places = Places {
        file: &file,
        obs: &obs,
    };
    let chosen = super::points(&places, keys)?;
    let place = Place::of(&chosen.matrix.place);
    // Velocities of some columns of a matrix fit no matrix that is there.
    let of = match place.filter(|place| places.is_whole(place, known.columns)) {
        Some(Place::Obsm(name)) => {
            let name = name.strip_prefix("X_").unwrap_or(&name).to_owned();
            ("obsm", format!("velocity_{name}"))
        }
        Some(Place::X | Place::Layer(_)) => ("layers", "velocity".to_owned()),
        None => ("obsm", "velocity_actum".to_owned()),
    };
    let width = known.columns.len();
    let numbers = |matrix: &Array2<f64>| matrix.iter().copied().collect::<Vec<f64>>();
    let mut matrices = vec![(of.0, of.1, numbers(known.velocities))];
    if matrices[0].1 == "velocity_actum" {
        matrices.push(("obsm", "X_actum".to_owned(), numbers(known.points)));
    }
    // What is there keeps its name.
    for (group, name, _) in &mut matrices {
        let there = file.children(group);
        while there.contains(name) {
            name.push('_');
        }
    }
    let mut columns = vec![];
    let mut order = obs.names.clone();
    for (name, numbers) in known.numbers {
        let mut name = (*name).to_owned();
        while order.contains(&name) || name == obs.index {
            name.push('_');
        }
        order.push(name.clone());
        columns.push((name, numbers));
    }
    let added = matrices
        .iter()
        .map(|(group, name, _)| format!("{group}[{name:?}]"));
    let added = added.chain(columns.iter().map(|(name, _)| format!("obs[{name:?}]")));
    let added = added.collect();
    let alone = store::replace_by(to, |temporary| {
        let arrays = matrices
            .iter()
            .map(|(group, name, numbers)| (*group, name.clone(), matrix(numbers, width)));
        let lists = columns
            .iter()
            .map(|(name, numbers)| ("obs", name.clone(), list(numbers.to_vec())));
        let additions = Additions {
            arrays: arrays.chain(lists).collect(),
            groups: ["obsm", "layers"]
                .map(|name| (name, said("dict", "0.1.0")))
                .into(),
            list: ("obs", "column-order", order.clone()),
        };
        let why = hdf5::add(from, temporary, additions)?;
        if why.is_some() {
            let index = obs.index()?;
            let index = index.iter().map(String::as_str).collect();
            let columns = columns
                .iter()
                .map(|(name, numbers)| (name.clone(), list(numbers.to_vec())));
            let obsm = matrices
                .iter()
                .map(|(_, name, numbers)| (name.as_str(), matrix(numbers, width)));
            let root = group(vec![
                ("obs", frame(index, columns.collect())),
                ("var", frame(vec![], vec![])),
                ("obsm", group(obsm.collect())),
            ]);
            let root = Node {
                attributes: said("anndata", "0.1.0"),
                content: root.content,
            };
            hdf5::write(temporary, root)?;
            return Ok(why);
        }
        // What was added is there before the file gets its name.
        let again = super::hdf5::File::open(temporary)?;
        for (group, name, numbers) in &matrices {
            let there = again.array(&format!("{group}/{name}"))?;
            let same = there.map(|array| array.numbers(0, n)).transpose()?;
            ensure!(
                same.is_some_and(|same| same == *numbers),
                Format,
                "the copy of {} does not hold what was added to it",
                from.display()
            );
        }
        Ok(why)
    })?;
    Ok(Annotated { added, alone })
}

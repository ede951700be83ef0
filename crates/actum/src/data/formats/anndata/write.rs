//! New files that scanpy, scVelo and CellRank open as they are, and copies with more in them.

use std::{borrow::Cow, collections::HashMap, path::Path};

use ndarray::{Array2, Axis};

use super::{
    PCA, Places,
    frame::Frame,
    hdf5::{self, Additions, Content, Node, Word},
    matrix::Place,
};
use crate::{
    data::{
        Annotated, Annotations, Attribute, Keys, Snapshots, SparseMatrix,
        attributes::free_names,
        formats::Annotator,
        writer::{Contents, ParticleWeights, Particles, has_default_weights},
    },
    error::{Error, Result, ensure},
    genes::Decoder,
    store,
};

/// Where a file says which matrix has the coordinates under their names.
pub(super) const MARK: &str = "uns/actum/coordinates";

/// Their names.
pub(super) const COLUMNS: &str = "uns/actum/columns";

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

/// Expression in single precision, as scanpy has it.
fn single(numbers: impl Iterator<Item = f64>, columns: usize) -> Node<'static> {
    let numbers: Vec<f32> = numbers.map(|x| x as f32).collect();
    let shape = vec![numbers.len() / columns, columns];
    node("array", Content::Single(numbers, shape))
}

/// What a sparse matrix says of itself, and its arrays.
type Sparse<'a> = (
    Vec<(&'static str, Word<'static>)>,
    [(&'static str, Node<'a>); 3],
);

/// A matrix that is sparse by rows.
fn sparse(matrix: &SparseMatrix) -> Sparse<'_> {
    let mut ends = vec![0i64; matrix.shape[0] + 1];
    for (i, ..) in &matrix.entries {
        ends[i + 1] += 1;
    }
    for i in 0..matrix.shape[0] {
        ends[i + 1] += ends[i];
    }
    let indices = matrix.entries.iter().map(|(_, j, _)| *j as i64).collect();
    let numbers: Vec<f64> = matrix.entries.iter().map(|(.., x)| *x).collect();
    let plain = |content| Node {
        attributes: vec![],
        content,
    };
    let length = vec![numbers.len()];
    let mut about = said("csr_matrix", "0.1.0");
    about.push(("shape", Word::Sizes(matrix.shape.to_vec())));
    let arrays = [
        ("data", plain(Content::Numbers(numbers.into(), length))),
        ("indices", plain(Content::Whole(indices))),
        ("indptr", plain(Content::Whole(ends))),
    ];
    (about, arrays)
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
        None,
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
    let genes = particles.genes.zip(particles.expression());
    file(
        path,
        &points,
        velocities.as_deref(),
        particles.columns,
        obs,
        genes,
    )
}

/// Where no genes are known, the coordinates stand for them in `X`, where scVelo looks; for principal
/// components they stand in `obsm`, where CellRank does.
fn file<'a>(
    path: &Path,
    points: &'a [f64],
    velocities: Option<&'a [f64]>,
    columns: &'a [String],
    obs: Node<'a>,
    genes: Option<(&'a Decoder, Array2<f64>)>,
) -> Result<()> {
    let of = |numbers: &'a [f64]| matrix(numbers, columns.len());
    let (mut obsm, mut layers, mut varm) = (vec![("X_pca", of(points))], vec![], vec![]);
    if let Some(velocities) = velocities {
        obsm.push(("velocity_pca", of(velocities)));
    }
    let (x, var, place) = match genes {
        None => {
            if let Some(velocities) = velocities {
                layers.extend([("velocity", of(velocities)), ("Ms", of(points))]);
            }
            (of(points), columns, "X")
        }
        Some((genes, expression)) => {
            let width = genes.genes().len();
            let expression = || single(expression.iter().copied(), width);
            if let Some(velocities) = velocities {
                let shape = (velocities.len() / columns.len(), columns.len());
                let velocities = Array2::from_shape_vec(shape, velocities.to_vec());
                let velocities = velocities.expect("as many numbers as the shape says");
                let velocities = genes.decode_velocities(&velocities)?;
                layers.push(("velocity", single(velocities.into_iter(), width)));
                layers.push(("Ms", expression()));
            }
            let loadings: Vec<f64> = genes.loadings().iter().copied().collect();
            varm.push(("PCs", matrix(loadings, columns.len())));
            (expression(), genes.genes(), "obsm:X_pca")
        }
    };
    let mark = Node {
        attributes: said("string", "0.2.0"),
        content: Content::Text(place),
    };
    let names = columns.iter().map(String::as_str).collect();
    let var = frame(var.iter().map(String::as_str).collect(), vec![]);
    let root = group(vec![
        ("X", x),
        ("obs", obs),
        ("var", var),
        ("obsm", group(obsm)),
        ("varm", group(varm)),
        ("obsp", group(vec![])),
        ("varp", group(vec![])),
        ("layers", group(layers)),
        (
            "uns",
            group(vec![(
                "actum",
                group(vec![("coordinates", mark), ("columns", texts(names))]),
            )]),
        ),
    ]);
    let root = Node {
        attributes: said("anndata", "0.1.0"),
        content: root.content,
    };
    hdf5::write(path, root)
}

/// How files are copied with more in them.
pub(in crate::data::formats) const ANNOTATOR: Annotator = Annotator {
    annotate,
    names,
    embeddings,
    coupling,
};

fn names(path: &Path) -> Result<Vec<String>> {
    super::cells(&super::open(path)?)?.index()
}

/// Matrices of `obsm` of so few columns are for pictures.
const EMBEDDED: std::ops::RangeInclusive<usize> = 2..=3;

fn embeddings(path: &Path) -> Result<Vec<(String, Array2<f64>)>> {
    let file = super::open(path)?;
    let obs = super::cells(&file)?;
    let places = Places {
        file: &file,
        obs: &obs,
    };
    let mut all = vec![];
    for name in file.children("obsm") {
        // Velocities have no place in a picture of their own.
        if !name.starts_with("X_") {
            continue;
        }
        let place = Place::Obsm(name.clone());
        let Ok(Some(matrix)) = places.open(&place) else {
            continue;
        };
        if EMBEDDED.contains(&matrix.columns) {
            let columns: Vec<usize> = (0..matrix.columns).collect();
            let numbers = matrix.read(&columns)?.next(matrix.rows)?;
            let shape = (matrix.rows, matrix.columns);
            let rows = Array2::from_shape_vec(shape, numbers);
            all.push((name, rows.expect("as many numbers as the shape says")));
        }
    }
    Ok(all)
}

fn coupling(path: &Path, coupling: &SparseMatrix, names: [&[&str]; 2]) -> Result<()> {
    let (attributes, arrays) = sparse(coupling);
    let arrays = arrays.map(|(name, array)| (name.to_owned(), array));
    let x = Node {
        attributes,
        content: Content::Group(arrays.into()),
    };
    let [rows, columns] = names.map(|names| frame(names.to_vec(), vec![]));
    let root = group(vec![("X", x), ("obs", rows), ("var", columns)]);
    let root = Node {
        attributes: said("anndata", "0.1.0"),
        content: root.content,
    };
    hdf5::write(path, root)
}

/// A copy of a file with what is known of every cell; says why where only that could be written.
fn annotate(from: &Path, keys: &Keys, to: &Path, known: &Annotations) -> Result<Annotated> {
    let file = super::open(from)?;
    let obs = super::cells(&file)?;
    let n = obs.rows;
    let lengths = known.numbers.iter().map(|(_, numbers)| numbers.len());
    let lengths = lengths.chain(known.obsm.iter().map(|(_, matrix)| matrix.nrows()));
    let lengths = lengths.chain(known.transitions.iter().flat_map(|it| it.shape));
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
    let components = super::components(&file, keys)?;
    let place = match components {
        Some(_) => None,
        None => Place::of(&super::points(&places, keys)?.matrix.place),
    };
    // Velocities of some columns of a matrix fit no matrix that is there.
    let of = match place.filter(|place| places.is_whole(place, known.columns)) {
        Some(Place::Obsm(name)) => {
            let name = name.strip_prefix("X_").unwrap_or(&name).to_owned();
            ("obsm", format!("velocity_{name}"))
        }
        Some(Place::X | Place::Layer(_)) => ("layers", "velocity".to_owned()),
        None => ("obsm", "velocity_actum".to_owned()),
    };
    let numbers = |matrix: &Array2<f64>| matrix.iter().copied().collect::<Vec<f64>>();
    let mut matrices = vec![(of.0, of.1, numbers(known.velocities))];
    if matrices[0].1 == "velocity_actum" {
        let mut name = "X_actum";
        // Components that the file lacked get the names that others look for.
        if components.is_some() && !file.children("obsm").iter().any(|there| there == PCA) {
            matrices[0].1 = "velocity_pca".to_owned();
            name = PCA;
        }
        matrices.push(("obsm", name.to_owned(), numbers(known.points)));
    }
    for (name, matrix) in known.obsm {
        matrices.push(("obsm", name.clone(), numbers(matrix)));
    }
    let (mut names, mut left_out) = (None, None);
    if let Some(genes) = known.genes.filter(|_| of.0 == "obsm") {
        let of_genes = Frame::open(&file, "var")?;
        let of_genes = of_genes.ok_or_else(|| Error::missing("\"var\"", file.children("")))?;
        if n.saturating_mul(of_genes.rows) <= MOST_RATES {
            let of_genes = of_genes.index()?;
            let rates = in_genes(&of_genes, genes, known.velocities)?;
            matrices.push(("layers", "velocity".to_owned(), rates));
            names = Some(of_genes);
        } else {
            left_out = Some(format!(
                "layers[\"velocity\"], for velocities of {n} cells in {} genes are more than 2^28 \
                 numbers; choose genes in Python first: adata[:, adata.var[\"highly_variable\"]]",
                of_genes.rows
            ));
        }
    }
    // What is there keeps its name.
    for (group, name, _) in &mut matrices {
        let there = file.children(group);
        while there.contains(name) {
            name.push('_');
        }
    }
    let mut transitions = "T_actum".to_owned();
    while file.children("obsp").contains(&transitions) {
        transitions.push('_');
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
    let of_pairs = known.transitions.map(|_| format!("obsp[{transitions:?}]"));
    let added = added.chain(of_pairs).collect();
    let alone = store::replace_by(to, |temporary| {
        let arrays = matrices
            .iter()
            .map(|(group, name, numbers)| (*group, name.clone(), of_cells(group, numbers, n)));
        let lists = columns
            .iter()
            .map(|(name, numbers)| ("obs", name.clone(), list(numbers.to_vec())));
        let place = format!("obsp/{transitions}");
        let mut groups: Vec<_> = ["obsm", "layers", "obsp"]
            .map(|name| (name.to_owned(), said("dict", "0.1.0")))
            .into();
        let mut arrays: Vec<_> = arrays.chain(lists).collect();
        if let Some(matrix) = known.transitions {
            let (about, parts) = sparse(matrix);
            groups.push((place.clone(), about));
            let parts = parts.map(|(name, array)| (place.as_str(), name.to_owned(), array));
            arrays.extend(parts);
        }
        let additions = Additions {
            arrays,
            groups,
            list: ("obs", "column-order", order.clone()),
        };
        let why = match from.is_dir() {
            true => Some("what is added to is HDF5, and this is a store of Zarr".to_owned()),
            false => hdf5::add(from, temporary, additions)?,
        };
        if why.is_some() {
            let index = obs.index()?;
            let index = index.iter().map(String::as_str).collect();
            let columns = columns
                .iter()
                .map(|(name, numbers)| (name.clone(), list(numbers.to_vec())));
            let placed = |of: &str| {
                let those = matrices.iter().filter(|(group, ..)| *group == of);
                let those =
                    those.map(|(_, name, numbers)| (name.as_str(), of_cells(of, numbers, n)));
                group(those.collect())
            };
            // Layers have a column for each gene, and those of a run on X have no others.
            let coordinates = (of.0 == "layers").then_some(known.columns);
            let var = names.as_deref().or(coordinates).unwrap_or_default();
            let of_pairs = known.transitions.map(|matrix| {
                let (attributes, arrays) = sparse(matrix);
                let arrays = arrays.map(|(name, array)| (name.to_owned(), array));
                let content = Content::Group(arrays.into());
                let node = Node {
                    attributes,
                    content,
                };
                (transitions.as_str(), node)
            });
            let root = group(vec![
                ("obs", frame(index, columns.collect())),
                (
                    "var",
                    frame(var.iter().map(String::as_str).collect(), vec![]),
                ),
                ("obsm", placed("obsm")),
                ("layers", placed("layers")),
                ("obsp", group(of_pairs.into_iter().collect())),
            ]);
            let root = Node {
                attributes: said("anndata", "0.1.0"),
                content: root.content,
            };
            hdf5::write(temporary, root)?;
            return Ok(why);
        }
        // What was added is there before the file gets its name.
        let again = super::File::open(temporary)?;
        for (group, name, numbers) in &matrices {
            let there = again.array(&format!("{group}/{name}"))?;
            let same = there.map(|array| array.numbers(0, n)).transpose()?;
            let kept = |x: &f64| match *group {
                "layers" => f64::from(*x as f32).to_bits(),
                _ => x.to_bits(),
            };
            ensure!(
                same.is_some_and(|same| same.iter().map(kept).eq(numbers.iter().map(kept))),
                Format,
                "the copy of {} does not hold what was added to it",
                from.display()
            );
        }
        Ok(why)
    })?;
    Ok(Annotated {
        added,
        left_out,
        alone,
    })
}

/// How many numbers of a layer are written at most: a gigabyte in single precision.
const MOST_RATES: usize = 1 << 28;

/// A matrix with a row for each of n cells; layers have single precision, as expression does.
fn of_cells<'a>(group: &str, numbers: &'a [f64], n: usize) -> Node<'a> {
    let columns = numbers.len() / n;
    match group {
        "layers" => single(numbers.iter().copied(), columns),
        _ => matrix(numbers, columns),
    }
}

/// The velocities in all genes of the file, by their names. What no coordinate sees has none (NaN),
/// which scVelo and CellRank leave out.
fn in_genes(names: &[String], decoder: &Decoder, velocities: &Array2<f64>) -> Result<Vec<f64>> {
    let n = velocities.nrows();
    let of: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let known = decoder.genes().iter().enumerate();
    let known: Vec<(usize, usize)> = known
        .filter_map(|(g, gene)| Some((g, *of.get(gene.as_str())?)))
        .collect();
    let mut rates = vec![f64::NAN; n * names.len()];
    // Some rows at a time: all genes of all cells are there once already.
    for (rows, into) in velocities
        .axis_chunks_iter(Axis(0), 1024)
        .zip(rates.chunks_mut(1024 * names.len()))
    {
        let decoded = decoder.decode_velocities(&rows.to_owned())?;
        for (row, into) in decoded.outer_iter().zip(into.chunks_exact_mut(names.len())) {
            for (g, place) in &known {
                into[*place] = row[*g];
            }
        }
    }
    Ok(rates)
}

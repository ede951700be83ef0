//! The formats of files of snapshots: one module and one row of [`FORMATS`] for each.

#[cfg(feature = "anndata")]
mod anndata;
mod columns;
mod content;
mod many;
mod memory;
pub(super) mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod text;

use std::path::Path;

use ndarray::Array2;

pub(super) use columns::{check_reserved, velocity_names};
pub(super) use memory::Rows as MemoryRows;
pub use memory::{Table, Values};

use super::{
    Annotated, Annotations, Attribute, Entry, Keys, SparseMatrix,
    reader::{Head, Take, Wanted},
    writer::Contents,
};
use crate::{
    error::{Error, ErrorKind, Result},
    genes::Decoder,
};

/// A format of files.
pub struct Format {
    /// How the names of its files end, without the dot.
    pub extension: &'static str,
    /// What is read from a file and written to it, in a few words.
    pub snapshots: &'static str,
    /// What [trajectories](super::write_trajectories) are written as, in a few words.
    pub trajectories: &'static str,
    /// Whether trajectories are written with velocities, where they have some.
    pub has_velocities: bool,
    /// The [`velocity_key`](Keys::velocity_key) of the velocities that are written, if the
    /// coordinates have these names.
    pub velocity_key: fn(&[String]) -> String,
    /// What is known of a file before its rows are read.
    pub(super) head: fn(&Path, &Keys) -> Result<Head>,
    /// Hands out what is wanted of all rows in order.
    pub(super) rows: fn(&Path, &Wanted, &mut Take) -> Result<()>,
    /// The columns beside the coordinates of these names.
    pub(super) attributes: fn(&Path, &Keys, &[String]) -> Result<Vec<Attribute>>,
    /// What is in a file beside what is read by default.
    pub(super) entries: fn(&Path) -> Result<Vec<Entry>>,
    pub(super) write: fn(&Path, &Contents) -> Result<()>,
    /// Copies a file with what is known of every row.
    pub(super) annotate: Option<Annotator>,
    /// Reads rows of numbers without a header.
    pub(super) matrix: Option<Matrix>,
    /// Reads the expression of genes.
    pub(super) genes: Option<GeneReader>,
    /// Whether it is a folder, which is read and not written.
    pub(super) is_folder: bool,
}

/// How the expression of genes is read.
pub(super) struct GeneReader {
    /// The names of the genes, how many cells there are, and whether their numbers are counts that
    /// the keys ask to normalise.
    pub names: fn(&Path, &Keys) -> Result<GeneNames>,
    /// Hands out every number that is not 0, with its row and gene.
    pub each: fn(&Path, Visit) -> Result<()>,
    /// Hands out the genes, in their order, and the counts of one cell after another.
    pub counts: fn(&Path, &Keys, VisitCells) -> Result<()>,
    /// The decoder of the principal components, and how far it is off.
    pub decoder: fn(&Path) -> Result<(Decoder, f64)>,
}

/// How a file is copied with more in it.
#[derive(Clone, Copy)]
pub(super) struct Annotator {
    pub annotate: fn(&Path, &Keys, &Path, &Annotations) -> Result<Annotated>,
    /// The names of the cells.
    pub names: fn(&Path) -> Result<Vec<String>>,
    /// Other coordinates that a file has for pictures.
    pub embeddings: fn(&Path) -> Result<Embeddings>,
    /// Writes a coupling of cells of these names.
    pub coupling: fn(&Path, &SparseMatrix, [&[&str]; 2]) -> Result<()>,
}

type Matrix = fn(&Path) -> Result<Array2<f64>>;
type GeneNames = (Vec<String>, usize, bool);
type VisitCells<'a> = &'a mut dyn FnMut(&[usize], &[f64]) -> Result<()>;
type Visit<'a> = &'a mut dyn FnMut(usize, usize, f64);
type Embeddings = Vec<(String, Array2<f64>)>;

const TABLE: &str = "a time column, coordinates, optional weight";
const LONG_TABLE: &str = "a row for each particle and time";

/// All formats. In `.npz` times may be text and `X` `[k, n, d]` are trajectories at times `t` `[k]`
/// with weights `[n]` or `[k, n]`, also called `weights`. In tables the time is a column `t`,
/// `time`, `timepoint`, `time_point`, `day` or `hour`, the weight `w`, `weight` or `weights`, in
/// upper or lower case; what the coordinates are is said at [`read`](super::read()). Text may be
/// compressed (`.csv.gz`, `.tsv.gz`). A folder of `.parquet` files, or all files that a pattern such
/// as `donors/*.h5ad` names, are one population with a column `file`. A `.npy` file is read where
/// points need no times, and a folder `.zarr` as the AnnData file `.h5ad` is.
pub static FORMATS: &[Format] = &[
    Format {
        extension: "npz",
        snapshots: "X [n, d], t [n], optional w [n]",
        trajectories: "X [times, n, d], t [times], w [n] or, with growth, [times, n]",
        has_velocities: false,
        velocity_key: |_| npz::VELOCITIES.to_owned(),
        head: npz::head,
        rows: npz::rows,
        attributes: npz::attributes,
        entries: |_| Ok(vec![]),
        write: npz::write,
        annotate: None,
        matrix: None,
        genes: None,
        is_folder: false,
    },
    Format {
        extension: "csv",
        snapshots: TABLE,
        trajectories: LONG_TABLE,
        has_velocities: false,
        velocity_key: columns::velocity_key,
        head: |path, keys| text::head(path, keys, b','),
        rows: |path, wanted, take| text::rows(path, wanted, b',', take),
        attributes: |path, keys, taken| text::attributes(path, keys, b',', taken),
        entries: |_| Ok(vec![]),
        write: |path, contents| text::write(path, contents, b','),
        annotate: None,
        matrix: Some(|path| text::matrix(path, b',')),
        genes: None,
        is_folder: false,
    },
    Format {
        extension: "tsv",
        snapshots: TABLE,
        trajectories: LONG_TABLE,
        has_velocities: false,
        velocity_key: columns::velocity_key,
        head: |path, keys| text::head(path, keys, b'\t'),
        rows: |path, wanted, take| text::rows(path, wanted, b'\t', take),
        attributes: |path, keys, taken| text::attributes(path, keys, b'\t', taken),
        entries: |_| Ok(vec![]),
        write: |path, contents| text::write(path, contents, b'\t'),
        annotate: None,
        matrix: Some(|path| text::matrix(path, b'\t')),
        genes: None,
        is_folder: false,
    },
    #[cfg(feature = "anndata")]
    Format {
        extension: "h5ad",
        snapshots: "AnnData, also .zarr: obsm X_pca, a time column in obs",
        trajectories: "the same rows with velocities, as scanpy, scVelo and CellRank read them",
        has_velocities: true,
        velocity_key: |_| anndata::VELOCITIES.to_owned(),
        head: anndata::head,
        rows: anndata::rows,
        attributes: anndata::attributes,
        entries: anndata::entries,
        write: anndata::write,
        annotate: Some(anndata::ANNOTATOR),
        matrix: None,
        genes: Some(anndata::GENES),
        is_folder: false,
    },
    #[cfg(feature = "parquet")]
    Format {
        extension: "parquet",
        snapshots: TABLE,
        trajectories: LONG_TABLE,
        has_velocities: false,
        velocity_key: columns::velocity_key,
        head: parquet::head,
        rows: parquet::rows,
        attributes: parquet::attributes,
        entries: |_| Ok(vec![]),
        write: parquet::write,
        annotate: None,
        matrix: None,
        genes: None,
        is_folder: false,
    },
];

/// Points without times: where they are to start, say. It is no row of the table, for nothing is
/// written to it.
static NPY: Format = Format {
    extension: "npy",
    snapshots: "X [n, d], without times",
    trajectories: "",
    has_velocities: false,
    velocity_key: |_| npz::VELOCITIES.to_owned(),
    head: npz::single_head,
    rows: npz::single_rows,
    attributes: |_, _, _| Ok(vec![]),
    entries: |_| Ok(vec![]),
    write: npz::single_write,
    annotate: None,
    matrix: None,
    genes: None,
    is_folder: false,
};

/// A folder of AnnData: as `.h5ad`, and nothing is written to it either.
#[cfg(feature = "anndata")]
static ZARR: Format = Format {
    extension: "zarr",
    snapshots: "AnnData: obsm X_pca, a time column in obs",
    trajectories: "",
    has_velocities: true,
    velocity_key: |_| anndata::VELOCITIES.to_owned(),
    head: anndata::head,
    rows: anndata::rows,
    attributes: anndata::attributes,
    entries: anndata::entries,
    write: |_, _| {
        let what = "stores of Zarr are read and not written; write .h5ad";
        Err(Error::new(ErrorKind::Format, what))
    },
    annotate: Some(anndata::ANNOTATOR),
    matrix: None,
    genes: Some(anndata::GENES),
    is_folder: true,
};

/// Several files of the formats above, of which nothing but a population is read.
static MANY: Format = Format {
    extension: "",
    snapshots: "a folder of .parquet files, or a pattern such as '*.h5ad'",
    trajectories: "",
    has_velocities: false,
    velocity_key: columns::velocity_key,
    head: many::head,
    rows: many::rows,
    attributes: many::attributes,
    entries: |_| Ok(vec![]),
    write: |_, _| {
        let what = "it names several files, which are read and not written; name one";
        Err(Error::new(ErrorKind::Format, what))
    },
    annotate: None,
    matrix: None,
    genes: None,
    is_folder: true,
};

const UNPACK: &str = "it is compressed in a way that is not read; unpack it first, or compress it \
                      as .csv.gz or .tsv.gz";

/// What to do with files of some formats that are not read.
const ADVICE: [(&str, &str); 12] = [
    (
        "loom",
        "write it as AnnData, in Python: scanpy.read_loom(file).write_h5ad('cells.h5ad')",
    ),
    (
        "h5",
        "name it .h5ad if it is AnnData; write a file of 10x as such, in Python: \
         scanpy.read_10x_h5(file).write_h5ad('cells.h5ad')",
    ),
    (
        "mtx",
        "write a folder of 10x as AnnData, in Python: \
         scanpy.read_10x_mtx(folder).write_h5ad('cells.h5ad')",
    ),
    (
        "rds",
        "write what R keeps as AnnData: in R, anndataR::write_h5ad(object, \"cells.h5ad\")",
    ),
    ("gz", UNPACK),
    ("bz2", UNPACK),
    ("xz", UNPACK),
    ("zst", UNPACK),
    ("zip", UNPACK),
    ("xlsx", "workbooks are not read; save the sheet as .csv"),
    ("xls", "workbooks are not read; save the sheet as .csv"),
    (
        "txt",
        "name it .csv if commas separate its columns, or .tsv if tabs do",
    ),
];

impl Format {
    /// Whether it is that of several files.
    pub(super) fn is_many(&self) -> bool {
        self.extension.is_empty()
    }

    /// The format that the extension of a path names, in upper or lower case; `.csv.gz` and
    /// `.tsv.gz` are compressed text. Folders of files and patterns of names have one of their own.
    ///
    /// # Errors
    /// There is none; the formats are listed.
    pub fn of(path: &Path) -> Result<&'static Self> {
        if many::is_many(path) {
            return Ok(&MANY);
        }
        let of = |path: &Path| {
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            extension.to_lowercase()
        };
        let extension = of(path);
        let packed = content::is_packed(path).then(|| path.with_extension(""));
        let inner = packed.as_deref().map(of);
        let is_it = |format: &&Self| match &inner {
            Some(inner) => format.matrix.is_some() && format.extension == *inner,
            None => format.extension == extension,
        };
        let others = [
            &NPY,
            #[cfg(feature = "anndata")]
            &ZARR,
        ];
        let format = FORMATS.iter().chain(others).find(is_it);
        format.ok_or_else(|| {
            let advice = ADVICE.iter().find(|(known, _)| *known == extension);
            let expected = extensions(|_| true);
            let what = match advice {
                Some((_, advice)) => format!("expected {expected}; {advice}"),
                None => format!("the extension does not tell the format; expected {expected}"),
            };
            Error::new(ErrorKind::Format, what)
        })
    }
}

/// The extensions of some formats as a person reads them: `.npz, .csv or .parquet`.
pub fn extensions(chosen: fn(&Format) -> bool) -> String {
    let chosen = FORMATS.iter().filter(|format| chosen(format));
    listed(chosen.map(|format| format!(".{}", format.extension)))
}

/// `a, b or c`.
pub(super) fn listed(names: impl Iterator<Item = impl ToString>) -> String {
    let mut names: Vec<String> = names.map(|name| name.to_string()).collect();
    let last = names.pop().unwrap_or_default();
    match names.is_empty() {
        true => last,
        false => format!("{} or {last}", names.join(", ")),
    }
}

/// All extensions, each run of formats that are alike followed by what `about` says of it:
/// `.npz (arrays), .csv or .parquet (a table)`.
pub fn described(about: impl Fn(&Format) -> &'static str) -> String {
    let alike = |a: &Format, b: &Format| about(a) == about(b);
    let runs = FORMATS.chunk_by(alike).map(|run| {
        let names = run.iter().map(|format| format!(".{}", format.extension));
        format!(
            "{} ({})",
            names.collect::<Vec<_>>().join(", "),
            about(&run[0])
        )
    });
    listed(runs)
}

//! Files made by anndata 0.7.8, 0.8.0, 0.12.19 and 0.13.4 (`tests/data/make_h5ad.py`).

use std::{fs, path::Path};

use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{hdf5, write};
use crate::{
    data::{tests::*, *},
    error::ErrorKind,
};

pub(super) const N: usize = 24;
const FILES: [&str; 4] = [
    "anndata-0.7.h5ad",
    "anndata-0.8.h5ad",
    "anndata-0.12.h5ad",
    "anndata-0.13.h5ad",
];

/// The arrays of `make_h5ad.py`.
pub(super) fn pca() -> Array2<f64> {
    Array2::from_shape_fn((N, 2), |(i, j)| ((i * 7 + j * 3) % 11) as f64 / 4.0 - 1.0)
}

pub(super) fn velocity() -> Array2<f64> {
    Array2::from_shape_fn((N, 2), |(i, j)| ((i * 3 + j * 5) % 13) as f64 / 8.0)
}

pub(super) fn counts() -> Array2<f64> {
    Array2::from_shape_fn((N, 5), |(i, j)| match (i * 5 + j * 3) % 7 {
        few @ 0..3 => few as f64,
        _ => 0.0,
    })
}

/// Every `of`-th row, from row `first`.
pub(super) fn rows(all: &Array2<f64>, first: usize, of: usize) -> Array2<f64> {
    let rows: Vec<usize> = (first..N).step_by(of).collect();
    all.select(Axis(0), &rows)
}

pub(super) fn at(time: &str, points: &str) -> Keys {
    keys(Some(time), Some(points), None)
}

fn named(name: &str, points: &str) -> Snapshots {
    read(&fixture(name), &at("day", points)).unwrap()
}

#[test]
fn every_version_has_the_coordinates_and_times_it_was_given() {
    for name in FILES {
        let snapshots = read(&fixture(name), &keys(Some("day"), None, None)).unwrap();
        assert_eq!(snapshots.times(), [10.0, 10.5, 11.0], "{name}");
        assert_eq!(snapshots.labels(), ["10", "10.5", "11"], "{name}");
        assert_eq!(snapshots.unit(), Some("day"), "{name}");
        assert_eq!(snapshots.columns(), ["X_pca1", "X_pca2"], "{name}");
        for k in 0..3 {
            assert_bits(snapshots.cloud(k).points(), &rows(&pca(), k, 3));
        }
    }
}

#[test]
fn a_column_of_times_is_found_by_its_name() {
    let plain = plain("anndata-0.7.h5ad").unwrap();
    assert_eq!(plain.labels(), ["10", "10.5", "11"]);
    // Both `day` and `time` could be meant.
    let error = read(&fixture("anndata-0.13.h5ad"), &Keys::default());
    assert_holds(
        &error.unwrap_err(),
        &["\"day\"", "\"time\"", "`Keys::time_key`"],
    );
    let error = read(&fixture("anndata-0.7.h5ad"), &keys(Some("Tag"), None, None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_holds(
        &error,
        &["\"Tag\"", "obs", "day, cell_type, score, is_good, stage"],
    );
}

#[test]
fn times_are_labels_numbers_or_nullable() {
    let labels = |name: &str, time: &str| {
        let snapshots = read(&fixture(name), &keys(Some(time), None, None));
        snapshots.map(|snapshots| snapshots.labels().to_vec())
    };
    assert_eq!(
        labels("anndata-0.7.h5ad", "stage").unwrap(),
        ["Day 2", "day10"]
    );
    assert_eq!(labels("anndata-0.13.h5ad", "time").unwrap(), ["0h", "12h"]);
    let error = labels("anndata-0.8.h5ad", "hour").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_holds(
        &error,
        &["\"hour\"", "1 of 24 times are missing", "row 5", "notna()"],
    );
    let error = labels("anndata-0.12.h5ad", "cell_type").unwrap_err();
    assert_holds(
        &error,
        &["\"cell_type\"", "8 of 24 times are missing", "row 1"],
    );
    let error = labels("anndata-0.12.h5ad", "is_good").unwrap_err();
    assert_holds(
        &error,
        &["\"is_good\"", "expected times, got true or false"],
    );
    // Categories that are no times.
    let error = labels("anndata-0.13.h5ad", "batch").unwrap_err();
    assert_holds(&error, &["anndata-0.13.h5ad", "\"a\""]);
}

#[test]
fn any_matrix_is_read_by_its_place() {
    // Dense, by rows, by columns.
    for name in ["anndata-0.12.h5ad", "anndata-0.7.h5ad", "anndata-0.8.h5ad"] {
        let snapshots = named(name, "X");
        assert_eq!(
            snapshots.columns(),
            ["Gata1", "Spi1", "Klf1", "Cebpa", "Actb"],
            "{name}"
        );
        for k in 0..3 {
            assert_bits(snapshots.cloud(k).points(), &rows(&counts(), k, 3));
        }
    }
    let scaled = named("anndata-0.12.h5ad", "layer:scaled");
    assert_bits(scaled.cloud(1).points(), &rows(&(2.0 * counts()), 1, 3));
    let protein = named("anndata-0.12.h5ad", "obsm:protein");
    assert_eq!(protein.columns(), ["CD4", "CD8"]);
    let (cd4, cd8) = (counts(), pca());
    let expected = ndarray::stack![Axis(1), cd4.column(0), cd8.column(0)];
    assert_bits(protein.cloud(2).points(), &rows(&expected, 2, 3));
    let error = read(&fixture("anndata-0.12.h5ad"), &at("day", "obsm:X_umap")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_holds(
        &error,
        &[
            "obsm:X_umap",
            "obsm:X_pca",
            "obsm:protein",
            "X, layer:scaled",
        ],
    );
}

#[test]
fn columns_are_found_by_their_names() {
    let name = "anndata-0.12.h5ad";
    let genes = named(name, "Actb,Spi1");
    assert_eq!(genes.columns(), ["Actb", "Spi1"]);
    let expected = counts().select(Axis(1), &[4, 1]);
    assert_bits(genes.cloud(0).points(), &rows(&expected, 0, 3));
    // As sparse matrices have them.
    for name in ["anndata-0.7.h5ad", "anndata-0.8.h5ad"] {
        assert_bits(
            named(name, "Actb,Spi1").cloud(0).points(),
            &rows(&expected, 0, 3),
        );
    }
    assert_eq!(named(name, "X_pca*").columns(), ["X_pca1", "X_pca2"]);
    assert_eq!(named(name, "X_pca2..2").columns(), ["X_pca2"]);
    assert_eq!(named(name, "cd8").columns(), ["CD8"]);
    let weights = named(name, "w");
    assert_eq!(
        weights.cloud(0).points().column(0).to_vec(),
        [1.0, 4.0, 3.0, 2.0, 1.0, 4.0, 3.0, 2.0]
    );
    for (key, parts) in [
        ("Gata", &["\"Gata\" is no gene of X", "Gata1"][..]),
        ("spi1,gatta1", &["\"gatta1\" is no gene of X", "Gata1"]),
        ("X_pca", &["write obsm:X_pca"]),
        (
            "Gata1,X_pca1",
            &["\"X_pca1\" is no gene of X", "columns of X, obs and obsm"],
        ),
    ] {
        let error = read(&fixture(name), &at("day", key)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
        assert_holds(&error, parts);
    }
}

#[test]
fn weights_and_velocities_are_read() {
    let keys = Keys {
        velocity_key: Some("obsm:velocity_pca".to_owned()),
        ..keys(Some("day"), None, None)
    };
    let snapshots = read(&fixture("anndata-0.12.h5ad"), &keys).unwrap();
    assert_eq!(
        snapshots.cloud(0).weights().to_vec(),
        [1.0, 4.0, 3.0, 2.0, 1.0, 4.0, 3.0, 2.0]
    );
    for k in 0..3 {
        assert_bits(
            &snapshots.velocities().unwrap()[k],
            &rows(&velocity(), k, 3),
        );
    }
    let keys = Keys {
        velocity_key: Some("obsm:velocity_pca".to_owned()),
        ..at("day", "X")
    };
    let error = read(&fixture("anndata-0.12.h5ad"), &keys).unwrap_err();
    assert_holds(
        &error,
        &["expected 5 columns of velocities", "got 2", "velocity_pca1"],
    );
}

#[test]
fn what_is_known_of_cells_is_carried() {
    let value = |all: &[Attribute], name: &str, row: usize| {
        let found = all.iter().find(|attribute| attribute.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).values[row].to_string()
    };
    for name in FILES {
        let keys = keys(Some("day"), None, None);
        let all = read_attributes(&fixture(name), &keys, &[]).unwrap();
        let index = if name.contains("0.13") {
            "barcode"
        } else {
            "index"
        };
        for (column, expected) in [
            (index, ["cell0", "cell1", "cell2"]),
            ("cell_type", ["blood", "", "skin"]),
            ("score", ["0", "", "0.5"]),
            ("is_good", ["True", "False", "True"]),
        ] {
            let found: Vec<_> = (0..3).map(|row| value(&all, column, row)).collect();
            assert_eq!(found, expected, "{name} {column}");
        }
        assert!(all.iter().all(|attribute| attribute.name != "day"));
    }
    let all = read_attributes(
        &fixture("anndata-0.8.h5ad"),
        &keys(Some("day"), None, None),
        &[],
    );
    assert_eq!(value(all.as_ref().unwrap(), "hour", 4), "0");
    assert_eq!(value(all.as_ref().unwrap(), "hour", 5), "");
    let of_obs = at("day", "score");
    let all =
        read_attributes(&fixture("anndata-0.8.h5ad"), &of_obs, &["score".to_owned()]).unwrap();
    assert!(all.iter().all(|attribute| attribute.name != "score"));
}

#[test]
fn what_a_file_holds_is_listed() {
    let listed = |name: &str| {
        let entries = entries(&fixture(name)).unwrap();
        let lines = entries
            .into_iter()
            .map(|entry| format!("{} = {}", entry.place, entry.about));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        listed("anndata-0.12.h5ad"),
        [
            "obsm:X_pca = 24 x 2, float32",
            "obsm:protein = 24 x 2, a data frame",
            "obsm:velocity_pca = 24 x 2, float32",
            "X = 24 x 5, float32",
            "layer:scaled = 24 x 5, sparse by rows, float32",
            "obs:day = 3 categories: 10, 10.5, 11",
            "obs:cell_type = 2 categories: blood, skin",
            "obs:score = float32",
            "obs:is_good = true or false",
            "obs:w = int64",
        ]
    );
    assert!(
        listed("anndata-0.8.h5ad").contains(&"X = 24 x 5, sparse by columns, float32".to_owned())
    );
    let hour = "obs:hour = int64, some may be missing".to_owned();
    assert!(listed("anndata-0.8.h5ad").contains(&hour));
    assert!(listed("anndata-0.13.h5ad").contains(&"obs:batch = text".to_owned()));
    assert!(entries(&fixture("labels.npz")).unwrap().is_empty());
}

#[test]
fn zstd_is_unpacked_and_other_filters_are_named() {
    let snapshots = plain("zstd.h5ad").unwrap();
    for k in 0..3 {
        assert_bits(snapshots.cloud(k).points(), &rows(&pca(), k, 3));
    }
    // Texts of any length lie elsewhere in the file, those of one length in the chunks.
    let found = read_attributes(&fixture("zstd.h5ad"), &Keys::default(), &[]).unwrap();
    let of = |name: &str| found.iter().find(|a| a.name == name).unwrap();
    for row in 0..N {
        let kind = ["".to_owned(), "größer".to_owned(), "skin".repeat(200)];
        assert_eq!(*of("kind").values[row], *kind[row % 3]);
        assert_eq!(*of("batch").values[row], *format!("b{}", row % 2));
    }
    let error = plain("blosc.h5ad").unwrap_err();
    assert_holds(
        &error,
        &[
            "blosc.h5ad",
            "obsm/X_pca",
            "blosc (filter 32001",
            "write_h5ad(file, compression=\"gzip\")",
        ],
    );
}

#[test]
fn the_newest_hdf5_is_named() {
    let error = plain("hdf5-2.h5ad").unwrap_err();
    assert_holds(
        &error,
        &["hdf5-2.h5ad", "HDF5 2.0", "adata.write_h5ad(file)"],
    );
}

#[test]
fn rows_that_are_by_columns_are_told_of() {
    let counts = |name: &str| {
        let head = super::head(&fixture(name), &at("day", "X")).unwrap();
        (head.rows, head.by_columns)
    };
    assert_eq!(counts("anndata-0.8.h5ad"), (24, vec!["X".to_owned()]));
    assert_eq!(counts("anndata-0.7.h5ad"), (24, vec![]));
}

/// A file with so many genes and no principal components.
fn wide(path: &Path, genes: usize) {
    let names = |count: usize| (0..count).map(|k| k.to_string()).collect::<Vec<_>>();
    let (genes_of, cells) = (names(genes), names(N));
    let texts = |names: &'static [String]| names.iter().map(String::as_str).collect();
    let days: Vec<f64> = (0..N).map(|i| (i % 2) as f64).collect();
    let obs = vec![("day".to_owned(), write::list(days))];
    let root = write::group(vec![
        ("X", write::matrix(vec![0.5; N * genes], genes)),
        ("obs", write::frame(texts(cells.leak()), obs)),
        ("var", write::frame(texts(genes_of.leak()), vec![])),
    ]);
    hdf5::write(path, root).unwrap();
}

#[test]
fn many_genes_are_no_coordinates_unless_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.h5ad");
    wide(&path, 101);
    let error = read(&path, &Keys::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_holds(
        &error,
        &[
            "\"X_pca\"",
            "X has 101 columns, more than 100",
            "`Keys::points_key`: X",
            "scanpy.pp.pca",
        ],
    );
    assert_eq!(
        read(&path, &keys(None, Some("X"), None))
            .unwrap()
            .dimension(),
        101
    );
    wide(&path, 100);
    assert_eq!(read(&path, &Keys::default()).unwrap().dimension(), 100);
}

#[test]
fn what_is_no_anndata_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.h5ad");
    hdf5::write(
        &path,
        write::group(vec![("matrix", write::list(vec![1.0]))]),
    )
    .unwrap();
    assert_holds(
        &read(&path, &Keys::default()).unwrap_err(),
        &["no AnnData", "\"obs\"", "matrix"],
    );
    fs::write(&path, "a,b\n").unwrap();
    assert_holds(
        &read(&path, &Keys::default()).unwrap_err(),
        &["expected AnnData", "text"],
    );
    let loom = read(&folder.path().join("cells.loom"), &Keys::default()).unwrap_err();
    assert_holds(&loom, &["scanpy.read_loom"]);
}

#[test]
fn a_copy_has_what_was_there_and_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.h5ad");
    let speed = Array1::from_iter((0..N).map(|i| i as f64 / 3.0));
    let new = velocity().mapv(|x| 10.0 - x / 3.0);
    for name in FILES {
        let file = fixture(name);
        let known = |columns: &'static [&'static str]| {
            let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            let known = Annotations {
                columns: &columns,
                points: &pca(),
                velocities: &new,
                numbers: &[("speed", &speed), ("score", &speed)],
                genes: None,
                obsm: &[],
                transitions: None,
            };
            annotate(&file, &keys(Some("day"), None, None), &copy, &known).unwrap()
        };
        let told = known(&["X_pca1", "X_pca2"]);
        // The file has velocities and a score of its own.
        let moving = match name {
            "anndata-0.12.h5ad" => "velocity_pca_",
            _ => "velocity_pca",
        };
        let added = [
            format!("obsm[{moving:?}]"),
            "obs[\"speed\"]".to_owned(),
            "obs[\"score_\"]".to_owned(),
        ];
        assert_eq!(told.added, added, "{name}");
        // Those of anndata's own choice of format can be added to.
        if name != "anndata-0.7.h5ad" {
            assert!(told.alone.unwrap().contains("dense"), "{name}");
            let alone = keys(None, Some(&format!("obsm:{moving}")), None);
            let all = read_points(&copy, &alone, &mut |_| unreachable!("there are no times"));
            assert_bits(all.unwrap().cloud.points(), &new);
            let found = read_attributes(&copy, &alone, &[]).unwrap();
            assert_eq!(found[0].values[2], "cell2".into());
            continue;
        }
        assert_eq!(told.alone, None);
        let with = Keys {
            velocity_key: Some(format!("obsm:{moving}")),
            ..keys(Some("day"), None, None)
        };
        let again = read(&copy, &with).unwrap();
        for k in 0..3 {
            assert_bits(&again.velocities().unwrap()[k], &rows(&new, k, 3));
            assert_bits(again.cloud(k).points(), &rows(&pca(), k, 3));
        }
        let all = read_attributes(&copy, &with, &[]).unwrap();
        let old = read_attributes(&file, &with, &[]).unwrap();
        assert_eq!(all[..old.len()], old, "{name}");
        let values = all[old.len()]
            .values
            .iter()
            .map(|value| value.parse::<f64>().unwrap());
        assert!(values.eq(speed.iter().copied()), "{name}");
        let listed = |path: &Path| entries(path).unwrap();
        let (before, after) = (listed(&file), listed(&copy));
        assert!(before.iter().all(|entry| after.contains(entry)), "{name}");
        assert_eq!(after.len(), before.len() + 3, "{name}");
        // Some columns of a matrix.
        let told = known(&["X_pca2", "X_pca1"]);
        assert_eq!(
            told.added[..2],
            ["obsm[\"velocity_actum\"]", "obsm[\"X_actum\"]"]
        );
    }
    let short = Annotations {
        columns: &["X_pca1".to_owned()],
        points: &Array2::zeros((3, 1)),
        velocities: &Array2::zeros((3, 1)),
        numbers: &[],
        genes: None,
        obsm: &[],
        transitions: None,
    };
    let before = fs::read(&copy).unwrap();
    let error = annotate(&fixture(FILES[0]), &Keys::default(), &copy, &short).unwrap_err();
    assert_holds(&error, &["24 cells", "got it of 3"]);
    let to = folder.path().join("copy.csv");
    let error = annotate(&fixture(FILES[0]), &Keys::default(), &to, &short).unwrap_err();
    assert_holds(&error, &["an .h5ad file to write"]);
    assert_eq!(fs::read(&copy).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_expression_of_genes_is_handed_out_whatever_its_form() {
    // Dense, by rows, by columns.
    for name in ["anndata-0.12.h5ad", "anndata-0.7.h5ad", "anndata-0.8.h5ad"] {
        let genes = Genes::open(&fixture(name), &Keys::default()).unwrap();
        assert_eq!(genes.names(), ["Gata1", "Spi1", "Klf1", "Cebpa", "Actb"]);
        assert_eq!(genes.cells(), N);
        let mut found = Array2::zeros((N, 5));
        genes
            .each(&mut |row, gene, x| found[[row, gene]] += x)
            .unwrap();
        assert_bits(&found, &counts());
        // There are no loadings.
        let columns = ["X_pca1", "X_pca2"].map(str::to_owned);
        let error = genes.decoder(&columns).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        assert_holds(&error, &[name, "varm[\"PCs\"]"]);
        // Genes that are the coordinates are themselves.
        let (decoder, error) = genes.decoder(&["Spi1".to_owned()]).unwrap();
        assert_eq!((decoder.genes()[0].as_str(), error), ("Spi1", 0.0));
    }
    let error = Genes::open(&fixture("velocity.csv"), &Keys::default())
        .err()
        .unwrap();
    assert_holds(&error, &["velocity.csv", "genes are read from .h5ad"]);
}

/// What scanpy says of `scanpy.h5ad` (`make_scanpy.py`).
fn scanpy(name: &str) -> serde_json::Value {
    let text = fs::read_to_string(fixture("scanpy.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()[name].take()
}

fn rows_of(value: &serde_json::Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap()
}

#[test]
fn loadings_of_scanpy_decode() {
    let genes = Genes::open(&fixture("scanpy.h5ad"), &Keys::default()).unwrap();
    let columns: Vec<String> = (1..=4).map(|j| format!("X_pca{j}")).collect();
    let (decoder, error) = genes.decoder(&columns).unwrap();
    assert!(error < 1e-5, "{error}");
    // Genes that are not highly variable have no loadings.
    let chosen: Vec<usize> = serde_json::from_value(scanpy("highly_variable")).unwrap();
    let names: Vec<String> = chosen.iter().map(|j| format!("Gene{j}")).collect();
    assert_eq!(decoder.genes(), names);
    let loadings = rows_of(&scanpy("PCs")).select(Axis(0), &chosen);
    let mean: Vec<f64> = serde_json::from_value(scanpy("mean")).unwrap();
    let scores = rows_of(&scanpy("X_pca"));
    // In single precision and without the mean of the scores, which is 0 but for rounding.
    let expected = scores.dot(&loadings.t()) + &Array1::from(mean).select(Axis(0), &chosen);
    let off = decoder.decode(&scores).unwrap() - expected;
    assert!(off.iter().all(|x| x.abs() < 1e-5));
    // Some of the components.
    let (two, _) = genes.decoder(&columns[2..]).unwrap();
    assert_eq!(two.loadings().column(1), decoder.loadings().column(3));
}

#[test]
fn loadings_that_do_not_lead_to_the_components_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.h5ad");
    let [x, scores] = [(6, 3), (6, 2)]
        .map(|dim| Array2::from_shape_fn(dim, |(i, j)| ((i * 5 + j * 3) % 7) as f64));
    let write = |x: &Array2<f64>, scores: &Array2<f64>, loadings: &Array2<f64>| {
        let of = |all: &Array2<f64>| {
            let numbers: Vec<f64> = all.iter().copied().collect();
            write::matrix(numbers, all.ncols())
        };
        let obs = write::frame(
            vec!["a", "b", "c", "d", "e", "f"],
            vec![("day".to_owned(), write::list(vec![0., 0., 0., 1., 1., 1.]))],
        );
        let root = write::group(vec![
            ("X", of(x)),
            ("obs", obs),
            ("var", write::frame(vec!["p", "q", "r"], vec![])),
            ("obsm", write::group(vec![("X_pca", of(scores))])),
            ("varm", write::group(vec![("PCs", of(loadings))])),
        ]);
        hdf5::write(&path, root).unwrap();
        let columns = ["X_pca1", "X_pca2"].map(str::to_owned);
        Genes::open(&path, &Keys::default())
            .unwrap()
            .decoder(&columns)
    };
    let loadings = ndarray::array![[0.6, 0.0], [0.8, 0.0], [0.0, 1.0]];
    // Of cells chosen afterwards neither mean is that of the components.
    let right = x.dot(&loadings) + 3.0;
    let (decoder, error) = write(&x, &right, &loadings).unwrap();
    assert!(error < 1e-12);
    let middle = decoder.decode(&right).unwrap().mean_axis(Axis(0)).unwrap();
    let off = middle - x.mean_axis(Axis(0)).unwrap();
    assert!(off.iter().all(|x| x.abs() < 1e-12));
    let error = write(&(&x * 3.0), &right, &loadings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_holds(&error, &["cells.h5ad", "off by 2.000", "scaled", "sc"]);
    let error = write(
        &x,
        &scores,
        &loadings.slice(ndarray::s![..2, ..]).to_owned(),
    );
    assert_holds(&error.unwrap_err(), &["[2, 2]", "3 genes"]);
    let error = write(
        &x,
        &scores,
        &loadings.slice(ndarray::s![.., ..1]).to_owned(),
    );
    assert_holds(&error.unwrap_err(), &["1 components", "2 columns"]);
    let mut broken = x.clone();
    broken[[4, 1]] = f64::NAN;
    let error = write(&broken, &right, &loadings).unwrap_err();
    assert_holds(&error, &["not finite", "row 4, column 1"]);
}

/// Keys of so many components of the counts in a layer.
fn made(count: usize, layer: Option<&str>) -> Keys {
    Keys {
        pca: Some(count),
        ..keys(Some("day"), layer, None)
    }
}

#[test]
fn components_of_counts_are_those_that_are_kept() {
    let path = fixture("scanpy.h5ad");
    let mut keys = made(3, Some("layer:counts"));
    let mut told = vec![];
    let decoder = principal_components(&path, &keys, &mut |done, of| {
        told.push((done, of));
        std::ops::ControlFlow::Continue(())
    });
    let decoder = decoder.unwrap();
    assert_eq!(told, [(1, 240), (240, 240)]);
    // All 40 genes vary, and X is what scanpy made of the counts, in single precision.
    let x = Genes::open(&path, &Keys::default()).unwrap();
    let all = |count: usize| (0..count).collect::<Vec<_>>();
    let x = x.table(&all(120), &all(40)).unwrap();
    let mean = x.mean_axis(Axis(0)).unwrap();
    assert_eq!(decoder.genes().len(), 40);
    assert!((&mean - decoder.mean()).iter().all(|off| off.abs() < 1e-5));
    let expected = (&x - &mean).dot(decoder.loadings());
    // Principal components do not correlate.
    let products = expected.t().dot(&expected);
    for (i, j) in [(0, 1), (0, 2), (1, 2)] {
        assert!(products[[i, j]].abs() < 1e-3 * products[[j, j]]);
    }
    let near = |snapshots: &Snapshots| {
        for k in 0..3 {
            let expected = expected.slice(ndarray::s![40 * k..40 * (k + 1), ..]);
            let off = snapshots.cloud(k).points() - &expected;
            assert!(off.iter().all(|off| off.abs() < 1e-4));
        }
    };
    let computed = read(&path, &keys).unwrap();
    assert_eq!(computed.columns(), ["X_pca1", "X_pca2", "X_pca3"]);
    near(&computed);
    // Known components give the same bits, from a file of them too.
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("genes.safetensors");
    decoder.save(&kept).unwrap();
    keys.decoder = Some(std::sync::Arc::new(
        crate::genes::Decoder::load(&kept).unwrap(),
    ));
    let known = read(&path, &keys).unwrap();
    for k in 0..3 {
        assert_bits(known.cloud(k).points(), computed.cloud(k).points());
    }
    // The expression of genes is that of X.
    let genes = Genes::open(&path, &keys).unwrap();
    let off = genes.table(&all(120), &all(40)).unwrap() - &x;
    assert!(off.iter().all(|off| off.abs() < 1e-5));
    let columns = [computed.columns()[1].clone()];
    let (one, _) = genes.decoder(&columns).unwrap();
    assert_eq!(one.loadings().column(0), decoder.loadings().column(1));
    // What is written has the coordinates, and is not projected again.
    let written = folder.path().join("moved.h5ad");
    crate::data::write(&written, &known).unwrap();
    let again = read(
        &written,
        &Keys {
            time_key: None,
            ..keys.clone()
        },
    )
    .unwrap();
    assert_bits(again.cloud(2).points(), known.cloud(2).points());
    // Columns of these names in other files are taken, and those of obsm are not.
    let named = Keys {
        points_key: Some("X_pca1,X_pca2,X_pca3".into()),
        ..keys.clone()
    };
    let table = folder.path().join("moved.csv");
    crate::data::write(&table, &known).unwrap();
    let of_table = read(
        &table,
        &Keys {
            time_key: None,
            ..named.clone()
        },
    )
    .unwrap();
    assert_bits(of_table.cloud(1).points(), known.cloud(1).points());
    let error = read(&path, &named).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let error = read(
        &table,
        &Keys {
            time_key: None,
            ..keys.clone()
        },
    )
    .unwrap_err();
    assert_holds(
        &error,
        &[
            "moved.csv",
            ".h5ad alone",
            "give the columns X_pca1, X_pca2",
        ],
    );
}

#[test]
fn counts_are_read_whatever_their_form() {
    // Dense, by rows, by columns.
    for name in ["anndata-0.12.h5ad", "anndata-0.7.h5ad", "anndata-0.8.h5ad"] {
        let rows = |name: &str| -> Vec<Vec<(usize, f64)>> {
            let mut rows = vec![];
            let mut take = |genes: &[usize], counts: &[f64]| {
                rows.push(genes.iter().copied().zip(counts.iter().copied()).collect());
                Ok(())
            };
            (super::GENES.counts)(&fixture(name), &made(2, None), &mut take).unwrap();
            rows
        };
        let expected = counts();
        let expected = expected.outer_iter().map(|row| {
            let row = row.iter().copied().enumerate();
            row.filter(|(_, x)| *x != 0.0).collect()
        });
        assert_eq!(rows(name), expected.collect::<Vec<Vec<_>>>(), "{name}");
    }
}

#[test]
fn what_is_no_matrix_of_counts_says_where_they_may_be() {
    let path = fixture("scanpy.h5ad");
    let refused = |keys: &Keys| read(&path, keys).unwrap_err();
    let error = refused(&made(3, None));
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_holds(
        &error,
        &[
            "scanpy.h5ad",
            "X: expected counts",
            "cell 0",
            "layer:counts",
            "scanpy.pp.pca",
        ],
    );
    let error = refused(&made(3, Some("obsm:X_pca")));
    assert_holds(&error, &["X or layer:NAME", "\"obsm:X_pca\""]);
    let error = refused(&made(3, Some("layer:raw")));
    assert_holds(&error, &["layer:raw", "layer:counts"]);
    let error = refused(&made(40, Some("layer:counts")));
    assert_holds(&error, &["genes that vary", "there are 40"]);
    let drift = Keys {
        velocity_key: Some("obsm:X_pca".into()),
        ..made(3, Some("layer:counts"))
    };
    assert_holds(&refused(&drift), &["`Keys::velocity_key`"]);
    let error = read(&fixture("velocity.csv"), &made(3, None)).unwrap_err();
    assert_holds(
        &error,
        &["velocity.csv", ".h5ad alone", "scanpy.pp.pca(adata)"],
    );
    // A gene of the components that is not there.
    let decoder = principal_components(&path, &made(2, Some("layer:counts")), &mut |_, _| {
        std::ops::ControlFlow::Continue(())
    });
    let other = Keys {
        decoder: decoder.ok().map(Into::into),
        ..made(2, None)
    };
    let error = read(&fixture("anndata-0.7.h5ad"), &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_holds(&error, &["the components need a gene", "\"Gene0\""]);
    let stopped = principal_components(&path, &made(2, Some("layer:counts")), &mut |_, _| {
        std::ops::ControlFlow::Break(())
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
}

/// The key of the chunk of `X/data` in its index, as h5py finds it, says 1 GB in a file of 24 KB.
#[test]
fn a_chunk_beyond_the_end_takes_no_memory() {
    let mut bytes = fs::read(fixture("anndata-0.7.h5ad")).unwrap();
    assert_eq!(bytes[6872..6876], 136u32.to_le_bytes());
    bytes[6872..6876].copy_from_slice(&(1u32 << 30).to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    fs::write(&path, bytes).unwrap();
    let error = read(&path, &at("day", "X")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert_holds(
        &error,
        &["\"X/data\"", "a chunk beyond the end of the file"],
    );
}

/// A damaged copy: some bytes are others, a number is another, or the end is missing.
pub(super) fn mutant(whole: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match rng.random_range(0..8) {
        0 => bytes.truncate(rng.random_range(0..whole.len())),
        1..=3 => {
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..whole.len());
                bytes[at] = rng.random();
            }
        }
        // Sizes and addresses are numbers of 1 to 8 bytes.
        kind => {
            let width = [1, 2, 4, 8][kind - 4];
            let at = rng.random_range(0..whole.len() - width);
            let extreme = [
                0,
                1,
                u64::MAX,
                u64::MAX >> 1,
                1 << 31,
                1 << 40,
                whole.len() as u64,
            ];
            let number = extreme[rng.random_range(0..extreme.len())];
            bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
        }
    }
    bytes
}

/// Reads all that can be read of so many mutants of every file, adds to a copy of each, and says how
/// many were refused.
fn read_mutants(count: usize, seed: u64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.h5ad");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let copy = folder.path().join("copy.h5ad");
    let (mut refused, mut added) = (0, 0);
    let others = ["zstd.h5ad", "blosc.h5ad", "scanpy.h5ad"];
    for name in FILES.into_iter().chain(others) {
        let whole = fs::read(fixture(name)).unwrap();
        for _ in 0..count {
            fs::write(&path, mutant(&whole, &mut rng)).unwrap();
            let by_default = keys(Some("day"), None, None);
            let snapshots = read(&path, &by_default);
            refused += usize::from(snapshots.is_err());
            for points in ["X", "layer:scaled", "obsm:protein", "Actb,Spi1", "score"] {
                let _ = read(&path, &at("day", points));
            }
            let _ = read_attributes(&path, &by_default, &[]);
            let _ = entries(&path);
            let _ = embeddings(&path);
            if let Ok(genes) = Genes::open(&path, &Keys::default()) {
                let columns: Vec<String> = (1..=4).map(|j| format!("X_pca{j}")).collect();
                let _ = genes.decoder(&columns);
                let _ = genes.each(&mut |_, _, _| {});
            }
            for layer in [None, Some("layer:counts"), Some("layer:scaled")] {
                let _ = read(&path, &made(2, layer));
            }
            let known = Annotations {
                columns: &["X_pca1".to_owned(), "X_pca2".to_owned()],
                points: &pca(),
                velocities: &velocity(),
                numbers: &[("speed", &Array1::ones(N))],
                genes: None,
                obsm: &[],
                transitions: None,
            };
            if annotate(&path, &by_default, &copy, &known).is_ok() {
                added += 1;
            }
        }
    }
    assert!(added > count, "{added}");
    refused
}

#[test]
fn damaged_files_are_read_or_refused() {
    let refused = read_mutants(60, 0);
    assert!((60..350).contains(&refused), "{refused}");
}

#[test]
#[ignore = "takes minutes: run by hand where the reader or its crate changes"]
fn ten_thousand_damaged_files_are_read_or_refused() {
    assert!(read_mutants(1429, 1) > 1000);
}

//! Stores of anndata 0.12.19 (format 2) and 0.13.4 (format 3), and of zarr 3.4.2 with every
//! compressor (`tests/data/make_h5ad.py`).

use std::fs;

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::data::{
    formats::anndata::tests::{N, at, counts, mutant, pca, rows, velocity},
    tests::*,
    *,
};

/// A store of the tests, unpacked.
fn unpacked(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let packed = fs::File::open(fixture(&format!("{name}.zip"))).unwrap();
    zip::ZipArchive::new(packed)
        .unwrap()
        .extract(&path)
        .unwrap();
    (folder, path)
}

#[test]
fn a_store_is_read_as_a_file_is() {
    for name in ["anndata-0.12.zarr", "anndata-0.13.zarr"] {
        let (folder, path) = unpacked(name);
        let snapshots = read(&path, &keys(Some("day"), None, Some("w"))).unwrap();
        assert_eq!(snapshots.labels(), ["10", "10.5", "11"], "{name}");
        assert_eq!(snapshots.columns(), ["X_pca1", "X_pca2"]);
        for k in 0..3 {
            assert_bits(snapshots.cloud(k).points(), &rows(&pca(), k, 3));
            let weights = snapshots.cloud(k).weights();
            assert!((0..8).all(|i| weights[i] == ((3 * i + k) % 4 + 1) as f64));
        }
        // By rows, by columns, dense.
        for (place, times) in [("X", 1.0), ("layer:scaled", 2.0), ("layer:dense", 1.0)] {
            let snapshots = read(&path, &at("day", place)).unwrap();
            assert_eq!(snapshots.columns()[..2], ["Gata1", "Spi1"], "{place}");
            for k in 0..3 {
                assert_bits(
                    snapshots.cloud(k).points(),
                    &rows(&(times * counts()), k, 3),
                );
            }
        }
        let moving = Keys {
            velocity_key: Some("obsm:velocity_pca".into()),
            ..keys(Some("day"), None, None)
        };
        let snapshots = read(&path, &moving).unwrap();
        assert_bits(
            &snapshots.velocities().unwrap()[1],
            &rows(&velocity(), 1, 3),
        );
        let protein = read(&path, &at("day", "obsm:protein")).unwrap();
        assert_eq!(protein.columns(), ["CD4", "CD8"]);
        let all = read_attributes(&path, &keys(Some("day"), None, None), &[]).unwrap();
        let value = |name: &str, row: usize| {
            let found = all.iter().find(|attribute| attribute.name == name);
            found.unwrap_or_else(|| panic!("{name}")).values[row].to_string()
        };
        assert_eq!(value("index", 7), "cell7");
        assert_eq!(
            [0, 1, 2].map(|row| value("cell_type", row)),
            ["blood", "", "skin"]
        );
        assert_eq!([1, 2].map(|row| value("score", row)), ["", "0.5"]);
        assert_eq!([0, 1].map(|row| value("is_good", row)), ["True", "False"]);
        assert_eq!([4, 5].map(|row| value("hour", row)), ["0", ""]);
        let places: Vec<String> = entries(&path)
            .unwrap()
            .into_iter()
            .map(|e| e.place)
            .collect();
        for place in [
            "X",
            "obsm:X_pca",
            "obsm:protein",
            "layer:dense",
            "obs:day",
            "obs:hour",
        ] {
            assert!(places.contains(&place.to_owned()), "{place}: {places:?}");
        }
        assert_eq!(cell_names(&path).unwrap()[23], "cell23");
        let genes = Genes::open(&path, &Keys::default()).unwrap();
        let table = genes
            .table(&(0..N).collect::<Vec<_>>(), &[0, 1, 2, 3, 4])
            .unwrap();
        assert_bits(&table, &counts());
        // Nothing is added to a store: what is known is in a file of its own.
        let known = Annotations {
            columns: &["X_pca1".to_owned(), "X_pca2".to_owned()],
            points: &pca(),
            velocities: &velocity(),
            numbers: &[],
            genes: None,
            obsm: &[],
            transitions: Some(&SparseMatrix {
                shape: [N, N],
                entries: vec![(0, 1, 1.0)],
            }),
        };
        let to = folder.path().join("known.h5ad");
        let by_default = keys(Some("day"), None, None);
        let annotated = annotate(&path, &by_default, &to, &known).unwrap();
        assert!(annotated.alone.unwrap().contains("Zarr"));
        assert!(annotated.added.contains(&"obsp[\"T_actum\"]".to_owned()));
        let alone = crate::data::formats::anndata::open(&to).unwrap();
        assert_eq!(alone.sizes("obsp/T_actum", "shape"), Some(vec![N, N]));
        assert_eq!(cell_names(&to).unwrap()[5], "cell5");
        let to = folder.path().join("known.zarr");
        let error = annotate(&path, &by_default, &to, &known).unwrap_err();
        assert_holds(&error, &["an .h5ad file to write"]);
        let error = write(&to, &snapshots).unwrap_err();
        assert_holds(&error, &["not written", ".h5ad"]);
    }
}

#[test]
fn every_compressor_gives_the_same_numbers() {
    let wide = Array2::from_shape_fn((N, 800), |(i, j)| pca()[[i, j % 2]]);
    for (name, count) in [("codecs-2.zarr", 37), ("codecs-3.zarr", 30)] {
        let (_folder, path) = unpacked(name);
        let (mut read_well, mut refused) = (0, vec![]);
        for entry in entries(&path).unwrap() {
            let Some(array) = entry.place.strip_prefix("obsm:X_") else {
                continue;
            };
            let got = match read(&path, &at("day", &entry.place)) {
                Ok(got) => got,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Format);
                    refused.push(format!("{array}: {error}"));
                    continue;
                }
            };
            let expected = match array {
                "some" => Array2::from_shape_fn((N, 2), |(i, j)| match i {
                    0..10 => 0.0,
                    _ => pca()[[i, j]],
                }),
                _ if array.starts_with("wide") => wide.clone(),
                _ => pca(),
            };
            for k in 0..3 {
                assert_bits(got.cloud(k).points(), &rows(&expected, k, 3));
            }
            read_well += 1;
        }
        assert_eq!(read_well, count, "{name}: {refused:#?}");
        for refused in refused {
            let why = match refused.contains("blosclz_") {
                true => "Blosc with blosclz",
                false => "the higher byte first",
            };
            let is_said = refused.contains(why) && refused.contains("write_h5ad");
            assert!(is_said, "{name}: {refused}");
        }
        let fixed = read_attributes(&path, &at("day", "obsm:X_none"), &[]).unwrap();
        let fixed = fixed
            .iter()
            .find(|attribute| attribute.name == "fixed")
            .unwrap();
        assert_eq!([2, 3].map(|row| &*fixed.values[row]), ["skin", "größer"]);
    }
}

#[test]
fn what_is_no_store_says_so() {
    let (folder, path) = unpacked("anndata-0.13.zarr");
    let refused = |path: &Path| read(path, &keys(Some("day"), None, None)).unwrap_err();
    let empty = folder.path().join("empty.zarr");
    fs::create_dir(&empty).unwrap();
    assert_holds(
        &refused(&empty),
        &["empty.zarr", "no Zarr store", "zarr.json"],
    );
    let file = folder.path().join("file.zarr");
    fs::write(&file, "text").unwrap();
    assert_holds(&refused(&file), &["file.zarr", "not a folder"]);
    let other = folder.path().join("other.h5ad");
    fs::create_dir(&other).unwrap();
    assert_holds(&refused(&other), &["other.h5ad", "folder", "name a file"]);
    assert_holds(&refused(&folder.path().join("gone.zarr")), &["gone.zarr"]);
    // A codec that nobody knows, and a grid of chunks that is none.
    let about = path.join("obsm/X_pca/zarr.json");
    let whole = fs::read_to_string(&about).unwrap();
    let change = |from: &str, to: &str| {
        assert!(whole.contains(from));
        fs::write(&about, whole.replace(from, to)).unwrap();
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Format);
        error
    };
    let error = change("\"zstd\"", "\"pcodec\"");
    assert_holds(&error, &["\"obsm/X_pca\"", "\"pcodec\"", "write_h5ad"]);
    assert_holds(
        &change("\"regular\"", "\"rectangular\""),
        &["\"rectangular\""],
    );
    let error = change("24", "240000000000");
    assert_holds(&error, &["240000000000", "cannot hold"]);
    // A chunk that is cut.
    fs::write(&about, &whole).unwrap();
    let chunk = path.join("obsm/X_pca/c/0/0");
    let bytes = fs::read(&chunk).unwrap();
    fs::write(&chunk, &bytes[..bytes.len() - 3]).unwrap();
    assert_holds(&refused(&path), &["\"obsm/X_pca\"", "damaged"]);
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&chunk, &other).unwrap();
    assert_holds(&refused(&path), &["checksum"]);
}

#[test]
fn names_lead_out_of_no_store() {
    let (folder, path) = unpacked("anndata-0.12.zarr");
    // The same column, beside the store.
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in [".zarray", ".zattrs", "0"] {
        fs::copy(path.join("obs/w").join(name), outside.join(name)).unwrap();
    }
    let about = path.join("obs/.zattrs");
    let text = fs::read_to_string(&about).unwrap();
    let led = text.replace("\"score\"", "\"../../outside\"");
    assert_ne!(led, text);
    fs::write(&about, led).unwrap();
    let error = read(&path, &keys(Some("day"), None, Some("../../outside"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let store = Store::open(&path).unwrap();
    for place in [
        "../outside",
        "obs/../../outside",
        "/etc",
        "obs//w",
        "obs/.",
        "obs\\w",
    ] {
        assert!(store.folder(place).is_none(), "{place}");
        assert!(store.items(place).unwrap().is_none(), "{place}");
    }
    assert!(store.items("obs/w").unwrap().is_some());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

/// Reads all that can be read of so many damaged copies of every store, and says how many were
/// refused.
fn read_mutants(count: usize, seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut refused = 0;
    for name in [
        "anndata-0.12.zarr",
        "anndata-0.13.zarr",
        "codecs-2.zarr",
        "codecs-3.zarr",
    ] {
        let (_folder, path) = unpacked(name);
        let all = files(&path);
        let every = read_every(&path);
        assert_eq!(every.1 > 10, name.starts_with("codecs"), "{name}");
        for _ in 0..count {
            let mut restored = vec![];
            for _ in 0..rng.random_range(1..4) {
                let file = &all[rng.random_range(0..all.len())];
                let whole = fs::read(file).unwrap();
                if whole.len() > 8 {
                    fs::write(file, mutant(&whole, &mut rng)).unwrap();
                    restored.push((file, whole));
                }
            }
            refused += usize::from(read_every(&path).0);
            // The first copy of a file that was damaged twice is whole.
            for (file, whole) in restored.into_iter().rev() {
                fs::write(file, whole).unwrap();
            }
        }
        assert_eq!(read_every(&path), every, "{name}");
    }
    refused
}

/// Whether anything was refused that is read by default, and how many matrices could be read.
fn read_every(path: &Path) -> (bool, usize) {
    let listed = entries(path).unwrap_or_default();
    let mut well = 0;
    for entry in listed {
        if !entry.place.starts_with("obs:") {
            well += usize::from(read(path, &at("day", &entry.place)).is_ok());
        }
    }
    let by_default = keys(Some("day"), None, None);
    let is_refused =
        read(path, &by_default).is_err() | read_attributes(path, &by_default, &[]).is_err();
    let _ = embeddings(path);
    if let Ok(genes) = Genes::open(path, &Keys::default()) {
        let _ = genes.each(&mut |_, _, _| {});
    }
    let made = Keys {
        pca: Some(2),
        ..by_default
    };
    let _ = read(path, &made);
    (is_refused, well)
}

#[test]
fn damaged_stores_are_read_or_refused() {
    assert!(read_mutants(15, 0) > 5);
}

#[test]
#[ignore = "takes minutes: run by hand where the reader changes"]
fn thousands_of_damaged_stores_are_read_or_refused() {
    assert!(read_mutants(1000, 1) > 500);
}

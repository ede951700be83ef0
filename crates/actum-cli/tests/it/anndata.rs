//! AnnData files from one end of the program to the other.

use std::{fs, path::Path};

use actum::data::{self, Keys};
use serde_json::Value;

use crate::support::{Bench, SMALL};

/// A folder with `cells.h5ad`: 24 cells at three days, as this version of anndata wrote them.
fn written_by(version: &str) -> Bench {
    let bench = Bench::empty();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../actum/tests/data");
    let file = data.join(format!("anndata-{version}.h5ad"));
    fs::copy(file, bench.path("cells.h5ad")).unwrap();
    bench
}

/// With layers, and velocities of its own.
fn bench() -> Bench {
    written_by("0.12")
}

fn key(velocity: &str) -> Keys {
    Keys {
        velocity_key: Some(velocity.to_owned()),
        ..Keys::default()
    }
}

#[test]
fn an_h5ad_goes_all_the_way() {
    let bench = bench();
    let said = bench.run("check cells.h5ad").done();
    for part in [
        "obsm:X_pca",
        "layer:scaled",
        "obs:cell_type",
        "X_pca1, X_pca2",
        "actum fit cells.h5ad",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said: Value = serde_json::from_str(&bench.run("check cells.h5ad --json").done()).unwrap();
    assert_eq!(said["holds"][0]["place"], "obsm:X_pca");
    bench
        .run(&format!("fit cells.h5ad --hold-out 10.5 -o run {SMALL}"))
        .done();
    bench.run("score run cells.h5ad").done();
    bench
        .run("plot run cells.h5ad --colour cell_type -o pictures")
        .done();
    // The same motion, whatever it is written to.
    for name in ["moved.csv", "moved.h5ad"] {
        let line = format!("simulate run --start cells.h5ad --from 10 --times 10.5,11 -o {name}");
        bench.run(&line).done();
    }
    let table = fs::read_to_string(bench.path("moved.csv")).unwrap();
    assert!(table.starts_with("particle,t,X_pca1,X_pca2,"), "{table}");
    assert!(table.contains(",cell0,blood,"), "{table}");
    let table = data::read(&bench.path("moved.csv"), &Keys::default()).unwrap();
    let moved = data::read(&bench.path("moved.h5ad"), &key("layer:velocity")).unwrap();
    assert_eq!(moved.columns(), ["X_pca1", "X_pca2"]);
    assert_eq!(moved.labels(), ["10.5", "11"]);
    assert_eq!(moved.cloud(1).points(), table.cloud(1).points());
    // What annotate says of them are the velocities that were written.
    bench.run("annotate run moved.h5ad -o told.npz").done();
    let told = data::read(&bench.path("told.npz"), &Keys::default()).unwrap();
    let columns = |name: &str| {
        told.columns()
            .iter()
            .position(|column| column == name)
            .unwrap()
    };
    for (k, velocities) in moved.velocities().unwrap().iter().enumerate() {
        let first = told
            .cloud(k)
            .points()
            .column(columns("v_X_pca1"))
            .to_owned();
        assert_eq!(velocities.column(0), first);
    }
}

#[test]
fn an_annotated_copy_keeps_what_was_there() {
    let bench = written_by("0.7");
    bench
        .run(&format!("fit cells.h5ad --time-key day -o run {SMALL}"))
        .done();
    let said = bench.run("annotate run cells.h5ad -o copy.h5ad").done();
    assert!(
        said.contains("a copy with obsm[\"velocity_pca\"], obs[\"actum_action\"]"),
        "{said}"
    );
    bench.run("annotate run cells.h5ad -o told.csv").done();
    let told = Keys {
        points_key: Some("X_pca1,X_pca2".to_owned()),
        ..key("v_X_pca1,v_X_pca2")
    };
    let told = data::read(&bench.path("told.csv"), &told).unwrap();
    let copy = data::read(&bench.path("copy.h5ad"), &key("obsm:velocity_pca")).unwrap();
    assert_eq!(copy.velocities(), told.velocities());
    let places = |name: &str| -> Vec<String> {
        let entries = data::entries(&bench.path(name)).unwrap().into_iter();
        entries.map(|entry| entry.place).collect()
    };
    let new = [
        "obsm:velocity_pca",
        "obs:actum_action",
        "obs:actum_speed",
        "obs:actum_energy",
    ];
    let mut left = places("copy.h5ad");
    left.retain(|place| !new.contains(&place.as_str()));
    assert_eq!(left, places("cells.h5ad"));
    assert_eq!(places("copy.h5ad").len(), left.len() + new.len());
    let said = bench
        .run("annotate run cells.h5ad -o copy.h5ad --json")
        .done();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["added"][1], "obs[\"actum_action\"]");
    assert_eq!(said["alone"], Value::Null);
}

/// The file has velocities already, and a form of HDF5 that cannot be added to.
#[test]
fn what_cannot_be_added_is_alone_and_how_to_merge_it_is_said() {
    let bench = bench();
    bench.run(&format!("fit cells.h5ad -o run {SMALL}")).done();
    let said = bench.run("annotate run cells.h5ad -o new.h5ad").done();
    for part in [
        "new.h5ad: obsm[\"velocity_pca_\"]",
        "dense",
        "adata.obs.join(new.obs)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(data::entries(&bench.path("new.h5ad")).unwrap().len(), 4);
}

/// A layer has columns of the same names as `X`.
#[test]
fn a_run_on_a_layer_reads_the_layer_of_other_files() {
    let bench = bench();
    let fit = format!("fit cells.h5ad --points-key layer:scaled -o run {SMALL}");
    bench.run(&fit).done();
    bench.run("annotate run -o own.csv").done();
    fs::copy(bench.path("cells.h5ad"), bench.path("other.h5ad")).unwrap();
    bench.run("annotate run other.h5ad -o other.csv").done();
    let text = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    assert_eq!(text("own.csv"), text("other.csv"));
    // Twice the counts, which X has: never one.
    let read = data::read(
        &bench.path("own.csv"),
        &Keys {
            points_key: Some("Gata1,Actb".to_owned()),
            ..Keys::default()
        },
    );
    let points = read.unwrap().pooled();
    assert!(points.points().iter().all(|x| [0.0, 2.0, 4.0].contains(x)));
    assert!(points.points().iter().any(|x| *x == 4.0));
}

#[test]
fn what_cannot_be_chosen_is_listed() {
    let bench = bench();
    let checked = bench.run("check cells.h5ad --points-key obsm:X_umap");
    assert!(checked.out.contains("layer:scaled"), "{}", checked.out);
    checked.error(&["cells.h5ad", "obsm:X_umap is not there", "obsm:X_pca"]);
    bench
        .run("check cells.h5ad --time-key stage")
        .error(&["\"stage\"", "day, cell_type, score, is_good, w"]);
    bench
        .run("check cells.h5ad --time-key score --points-key gata2")
        .error(&["\"gata2\"", "Gata1"]);
    let whole = fs::read(bench.path("cells.h5ad")).unwrap();
    fs::write(bench.path("cells.h5ad"), &whole[..whole.len() / 2]).unwrap();
    bench
        .run("check cells.h5ad")
        .error(&["cells.h5ad", "truncated"]);
    bench.write("cells.h5ad", "");
    bench.run("check cells.h5ad").error(&["cells.h5ad"]);
}

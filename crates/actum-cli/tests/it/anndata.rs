//! AnnData files from one end of the program to the other.

use std::{fs, path::Path};

use actum::data::{self, Keys};
use serde_json::Value;

use crate::support::{Bench, SMALL};

/// A folder with `cells.h5ad`: 120 cells at three days with principal components of scanpy.
fn with_genes() -> Bench {
    let bench = Bench::empty();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../actum/tests/data/scanpy.h5ad");
    fs::copy(file, bench.path("cells.h5ad")).unwrap();
    bench
}

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

#[test]
fn coordinates_lead_back_to_genes() {
    let bench = with_genes();
    let said = bench.run("check cells.h5ad").done();
    assert!(
        said.contains("the coordinates lead back to 25 genes"),
        "{said}"
    );
    let said = bench.run(&format!("fit cells.h5ad -o run {SMALL}")).done();
    assert!(said.contains("lead back to 25 genes"), "{said}");
    assert!(bench.path("run/genes.safetensors").is_file());
    bench
        .run("simulate run --genes gene0,Gene12 -o moved.csv")
        .done();
    let table = fs::read_to_string(bench.path("moved.csv")).unwrap();
    let header = table.lines().next().unwrap();
    assert!(header.ends_with("clone,Gene0,Gene12"), "{header}");
    bench.write("list.txt", "Gene12\n\nGene0\n");
    for genes in ["all", "list.txt"] {
        bench
            .run(&format!("simulate run --genes {genes} -o moved.h5ad"))
            .done();
    }
    let entries = data::entries(&bench.path("moved.h5ad")).unwrap();
    let x = entries.iter().find(|entry| entry.place == "X").unwrap();
    assert_eq!(x.about, "80 x 2, float32");
    bench
        .run("simulate run --genes Gene00 -o moved.csv")
        .error(&["\"Gene00\"", "Gene0"]);
    // A gene that is in the file and not in the components.
    bench
        .run("simulate run --genes Gene1,Gene39 -o moved.csv")
        .error(&["the coordinates know no gene"]);
    bench.run("annotate run -o told.h5ad").done();
    let told = data::entries(&bench.path("told.h5ad")).unwrap();
    let layer = told.iter().find(|e| e.place == "layer:velocity").unwrap();
    assert_eq!(layer.about, "120 x 40, float32");
    // Another run knows none.
    let plain = bench_without_genes();
    plain
        .run("simulate run --genes all -o moved.csv")
        .error(&["run knows no genes", "actum check"]);
    plain
        .run("perturb run --label-key cell_type --set Gata1=0")
        .error(&["run knows no genes"]);
}

fn bench_without_genes() -> Bench {
    let bench = bench();
    bench.run(&format!("fit cells.h5ad -o run {SMALL}")).done();
    bench
}

#[test]
fn cells_have_fates_and_fates_have_genes() {
    let bench = with_genes();
    bench.run(&format!("fit cells.h5ad -o run {SMALL}")).done();
    let line = "fates run --label-key cell_type --clone-key clone -o fates";
    let said = bench.run(line).done();
    for part in [
        "blue",
        "by cell_type",
        "AUC",
        "Genes that go with each fate",
        "trends.png",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        bench.names("fates"),
        [
            "cells.csv",
            "drivers.csv",
            "trends.csv",
            "trends.png",
            "trends.svg"
        ]
    );
    let cells = fs::read_to_string(bench.path("fates/cells.csv")).unwrap();
    assert_eq!(cells.lines().count(), 121);
    let header = "cell,time,label,p_blue,p_red,low_blue,low_red,high_blue,high_red,descendants";
    assert_eq!(cells.lines().next().unwrap(), header);
    let drivers = fs::read_to_string(bench.path("fates/drivers.csv")).unwrap();
    assert_eq!(drivers.lines().count(), 81);
    let line = "fates run --label-key cell_type --terminal red --terminal stem@0 --json";
    let said: Value = serde_json::from_str(&bench.run(line).done()).unwrap();
    assert_eq!(said["fates"], serde_json::json!(["red", "stem", "other"]));
    // All cells of day 0 are stem cells, and stay that.
    assert!(said["times"][0]["mean"][1].as_f64().unwrap() > 1.0 - 1e-9);
    let line = "annotate run -o told.h5ad --label-key cell_type";
    bench.run(line).done();
    let told = data::entries(&bench.path("told.h5ad")).unwrap();
    assert!(told.iter().any(|entry| entry.place == "obs:actum_fate_red"));
    let line = "perturb run --label-key cell_type --set Gene0=+1 --set Gene12=0";
    let said = bench.run(line).done();
    assert!(
        said.contains("Gene0=+1, Gene12=0 in 40 cells at 0"),
        "{said}"
    );
    let line =
        "perturb run --label-key cell_type --screen Gene0,Gene12,Gene5 --to +1 -o screen.csv";
    bench.run(line).done();
    let screen = fs::read_to_string(bench.path("screen.csv")).unwrap();
    assert_eq!(screen.lines().count(), 7);
    bench
        .run("fates run --label-key type")
        .error(&["cells.h5ad", "\"type\"", "cell_type"]);
    bench
        .run("fates run --label-key cell_type --terminal green")
        .error(&["\"green\"", "at time 4", "blue, red"]);
    bench
        .run("fates run --label-key cell_type --clone-key day2")
        .error(&["\"day2\""]);
    bench
        .run("perturb run --label-key cell_type --set Gene0")
        .error(&["GENE=VALUE"]);
    bench
        .run("perturb run --label-key cell_type --set Gene0=0 --from 3")
        .error(&["3"]);
    bench
        .run("annotate run -o told.csv --label-key cell_type")
        .error(&["copy of .h5ad"]);
}

#[test]
fn components_of_counts_go_all_the_way() {
    let bench = with_genes();
    let made = "--pca 4 --points-key layer:counts";
    let said = bench.run(&format!("check cells.h5ad {made}")).done();
    for part in [
        "4 principal components of 40 genes",
        "fit cells.h5ad --points-key layer:counts --pca 4",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = bench
        .run(&format!(
            "fit cells.h5ad {made} --hold-out 2 -o run {SMALL}"
        ))
        .done();
    assert!(said.contains("lead back to 40 genes"), "{said}");
    let settings = fs::read_to_string(bench.path("run/settings.toml")).unwrap();
    assert!(settings.contains("pca = 4"), "{settings}");
    bench.comes_back("run", "fit cells.h5ad -o run --resume");
    // No command needs to be told again, and none takes the X_pca that is in the file.
    bench.run("score run cells.h5ad").done();
    bench.run("plot run -o pictures").done();
    let simulated = bench
        .run("simulate run --times 2,4 --genes all -o moved.h5ad")
        .done();
    assert!(simulated.contains("40 particles"), "{simulated}");
    bench
        .run("simulate run --start cells.h5ad --from 0 --times 2,4 -o moved.csv")
        .done();
    let table = data::read(&bench.path("moved.csv"), &Keys::default()).unwrap();
    let moved = data::read(&bench.path("moved.h5ad"), &Keys::default()).unwrap();
    assert_eq!(moved.cloud(1).points(), table.cloud(1).points());
    bench.run("score run moved.h5ad --from 2 --at 4").done();
    bench.run("score run moved.csv --from 2 --at 4").done();
    let said = bench.run("fates run --label-key cell_type -o fates").done();
    assert!(said.contains("Genes that go with each fate"), "{said}");
    // Correlations are with normalised expression, which X is in single precision.
    let drivers = |folder: &str| fs::read_to_string(bench.path(&format!("{folder}/drivers.csv")));
    assert_eq!(drivers("fates").unwrap().lines().count(), 1 + 2 * 40);
    bench
        .run("perturb run --label-key cell_type --set Gene3=0")
        .done();
    let said = bench
        .run("annotate run --label-key cell_type -o told.h5ad")
        .done();
    // X_pca is taken by other components.
    for part in [
        "obsm[\"velocity_actum\"]",
        "obsm[\"X_actum\"]",
        "layers[\"velocity\"]",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    bench
        .run(&format!(
            "evaluate cells.h5ad {made} --method lines --set fit.steps=20"
        ))
        .done();
    bench
        .run("fit cells.h5ad --pca 4 -o other")
        .error(&["X: expected counts", "--points-key, as layer:counts"]);
    bench
        .run("fit moved.csv --pca 4 -o other")
        .error(&["moved.csv", "in .h5ad alone"]);
    assert!(!bench.path("other").exists());
}

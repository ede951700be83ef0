//! A table as a biologist has it: labels of days, barcodes, replicates, cell types.

use std::fs;

use actum::data::{self, Keys};
use serde_json::Value;

use crate::support::{Bench, SMALL};

/// Cells of two types that part, with a column of counts beside the components.
fn cells() -> Bench {
    let bench = Bench::empty();
    let mut text = "barcode,day,replicate,cell_type,PC_1,PC_2,PC_3,umi\n".to_owned();
    for day in 0..3 {
        for i in 0..40 {
            let kind = if i % 2 == 0 { 1.0 } else { -1.0 };
            let wave = |k: f64| (f64::from(i) * k).sin();
            text += &format!(
                "BC{day}-{i},Day {day},rep{},{},{},{},{},{}\n",
                i % 3,
                if i % 2 == 0 { "HSC" } else { "MEP" },
                kind * f64::from(day) + wave(0.7),
                f64::from(day) + wave(1.1),
                wave(1.9),
                2000.0 + 500.0 * wave(2.3),
            );
        }
    }
    bench.write("cells.csv", &text);
    bench
}

const FIT: &str = "fit cells.csv --points-key PC_1,PC_2,PC_3 -o run --hold-out 1";

#[test]
fn what_is_no_coordinate_is_carried_and_times_come_back_as_they_were() {
    let bench = cells();
    bench.run(&format!("{FIT} {SMALL}")).done();
    let told = bench
        .run("simulate run --times 1,1.5,2 -o moved.csv")
        .done();
    assert!(told.contains("from Day 0 at 3 times"), "{told}");
    let text = fs::read_to_string(bench.path("moved.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next().unwrap(),
        "particle,t,PC_1,PC_2,PC_3,barcode,replicate,cell_type,umi"
    );
    for (i, line) in lines.enumerate() {
        let (cell, time) = (i / 3, ["Day 1", "Day 1.5", "Day 2"][i % 3]);
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[1], time);
        let kind = if cell % 2 == 0 { "HSC" } else { "MEP" };
        let expected = [
            format!("BC0-{cell}"),
            format!("rep{}", cell % 3),
            kind.to_owned(),
        ];
        assert_eq!(cells[5..8], expected);
    }
    // A file of trajectories is data for the run again.
    bench.run("score run moved.csv --from 1 --at 2").done();
    for file in ["moved.npz", "moved.parquet"] {
        bench.run(&format!("simulate run -o {file}")).done();
        let keys = Keys {
            points_key: file.ends_with("t").then(|| "PC_1".to_owned()),
            ..Keys::default()
        };
        let moved = data::read(&bench.path(file), &keys).unwrap();
        assert_eq!(moved.labels(), ["Day 1", "Day 2"], "{file}");
        let found = data::read_attributes(&bench.path(file), &keys, moved.columns()).unwrap();
        assert!(
            found
                .iter()
                .any(|a| a.name == "cell_type" && &*a.values[0] == "HSC")
        );
    }

    // From a file, only of the rows that are moved.
    bench
        .run("simulate run --start cells.csv --from 2 --to 0 -o back.csv")
        .done();
    let back = fs::read_to_string(bench.path("back.csv")).unwrap();
    assert!(
        back.lines().skip(1).all(|line| line.contains(",BC2-")),
        "{back}"
    );
    assert_eq!(back.lines().count(), 41);

    bench.run("annotate run -o told.csv").done();
    let told = fs::read_to_string(bench.path("told.csv")).unwrap();
    let header = told.lines().next().unwrap();
    assert!(
        header.ends_with("energy,barcode,replicate,cell_type,umi"),
        "{header}"
    );
    assert!(told.lines().nth(1).unwrap().contains("BC0-0,rep0,HSC"));
}

#[test]
fn pictures_are_coloured_by_a_column() {
    let bench = cells();
    bench.run(&format!("{FIT} {SMALL}")).done();
    bench.run("plot run -o time").done();
    bench.run("plot run -o kind --colour Cell_Type").done();
    for name in ["snapshots", "trajectories", "streamlines"] {
        let picture =
            |folder: &str| fs::read_to_string(bench.path(&format!("{folder}/{name}.svg"))).unwrap();
        let (time, kind) = (picture("time"), picture("kind"));
        for text in ["HSC", "MEP", ">cell_type<"] {
            assert!(
                kind.contains(text) && !time.contains(text),
                "{name}: {text}"
            );
        }
    }
    bench
        .run("plot run -o kind --colour leiden")
        .error(&["\"leiden\"", "barcode, replicate, cell_type, umi"]);
}

#[test]
fn a_standardised_run_is_drawn_as_distances_see_it() {
    let bench = cells();
    let all = "fit cells.csv --points-key PC_1,PC_2,PC_3,umi";
    let axes = |run: &str| {
        bench.run(&format!("plot {run} -o pictures")).done();
        fs::read_to_string(bench.path("pictures/streamlines.svg")).unwrap()
    };
    bench.run(&format!("{all} -o raw {SMALL}")).done();
    assert!(axes("raw").contains("axis 1 (100 %, mostly umi)"));
    bench
        .run(&format!("{all} -o even --standardize {SMALL}"))
        .done();
    let even = axes("even");
    assert!(!even.contains("mostly umi"), "{even}");
    assert!(even.contains("standard deviation"));
    assert!(even.contains("time, days"));
}

#[test]
fn a_score_says_when_linear_transport_is_nearer() {
    let bench = cells();
    // A fit of a single step moves nothing.
    let small = SMALL.replace("--steps 30", "--steps 1");
    bench.run(&format!("{FIT} {small}")).done();
    let told = bench.run("score run cells.csv").done();
    assert!(
        told.contains("Linear transport between the neighbours is nearer"),
        "{told}"
    );
    assert!(told.contains("(--steps 2)"), "{told}");
    let json = bench.run("score run cells.csv --json").done();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["advice"][0].as_str().unwrap().contains("at Day 1"));
    assert!(
        json["scores"][0]["rows"]["two samples"]["w1"]
            .as_f64()
            .unwrap()
            > 0.0
    );
}

#[test]
fn a_score_says_where_the_kernels_of_the_mmd_see_nothing() {
    let bench = Bench::new();
    let rows = (0..60).map(|i| format!("{},{}e6,{}e6", i / 20, i * 7 % 20, i * 3 % 11));
    let rows: Vec<String> = rows.collect();
    bench.write("far.csv", &format!("t,x,y\n{}\n", rows.join("\n")));
    bench
        .run("fit far.csv --hold-out 1 --steps 20 -o far")
        .done();
    let told = bench.run("score far far.csv").done();
    assert!(told.contains("MMD^2 tells nothing here"), "{told}");
    let row = told.lines().find(|line| line.contains("linear transport"));
    assert_eq!(row.unwrap().split_whitespace().nth(4), Some("-"), "{told}");
}

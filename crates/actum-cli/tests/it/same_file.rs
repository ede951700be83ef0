//! Every file given to a run is checked the same way.

use std::fs;

use serde_json::Value;

use crate::support::{Bench, SMALL};

/// A table of points at three times, which `label` writes, with its columns in the order of the
/// header.
fn table(header: &str, label: impl Fn(usize) -> String) -> String {
    let mut text = format!("{header}\n");
    for time in 0..3 {
        for i in 0..30 {
            let cells = header
                .split(',')
                .map(|name| match name.to_lowercase().as_str() {
                    "gata" | "x0" => format!("{}", 2.0 * time as f64 + (f64::from(i) * 0.7).sin()),
                    "pax" | "x1" | "x2" | "sox" => format!("{}", 10.0 + (f64::from(i) * 1.3).cos()),
                    "type" => format!("type {}", i % 3),
                    "umi" => format!("{}", 1000 * i * i % 77),
                    _ => label(time),
                });
            text += &format!("{}\n", cells.collect::<Vec<_>>().join(","));
        }
    }
    text
}

fn days(time: usize) -> String {
    format!("Day {time}")
}

fn fitted() -> Bench {
    let bench = Bench::empty();
    bench.write("train.csv", &table("t,gata,pax", days));
    bench
        .run(&format!("fit train.csv -o run --hold-out 1 {SMALL}"))
        .done();
    bench
}

#[test]
fn columns_are_found_by_their_names() {
    let bench = fitted();
    let expected = bench.run("simulate run --from 0 --to 2 -o a.csv");
    expected.done();
    // Without the columns that are carried along.
    let moved = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(bench.path(name)).unwrap();
        let lines = text.lines().map(|line| line.split(',').take(4));
        lines
            .map(|cells| cells.collect::<Vec<_>>().join(","))
            .collect()
    };
    let expected = moved("a.csv");
    for (header, note) in [
        ("t,gata,pax", ""),
        ("pax,t,gata", ""),
        ("PAX,GATA,t", ""),
        ("umi,pax,type,t,gata", ""),
        ("t,x0,x1", "taken for gata, pax"),
    ] {
        bench.write("start.csv", &table(header, days));
        let outcome = bench.run("simulate run --start start.csv --from 0 --to 2 -o b.csv");
        assert!(outcome.err.contains(note), "{header}: {}", outcome.err);
        outcome.done();
        assert_eq!(moved("b.csv"), expected, "{header}");
    }
    for (header, parts) in [
        ("t,gata,sox", ["gata, pax", "gata, sox"]),
        ("t,pax", ["gata, pax", "has pax"]),
        ("t,x0,pax", ["gata, pax", "x0, pax"]),
    ] {
        bench.write("start.csv", &table(header, days).replace("Day", "day"));
        for line in [
            "simulate run --start start.csv --from 0 --to 2 -o b.csv",
            "score run start.csv",
            "annotate run start.csv",
            "plot run start.csv -o pictures",
        ] {
            bench.run(line).error(&["start.csv", parts[0], parts[1]]);
        }
    }
}

#[test]
fn arrays_without_names_are_taken_in_their_order() {
    let bench = Bench::empty();
    bench.write("train.csv", &table("t,x0,x1", days));
    bench.run(&format!("fit train.csv -o run {SMALL}")).done();
    bench.run("simulate run --from 0 --to 2 -o a.csv").done();
    for header in ["t,x1,x0", "t,gata,pax"] {
        bench.write("start.csv", &table(header, days));
        let outcome = bench.run("simulate run --start start.csv --from 0 --to 2 -o b.csv");
        let is_supposed = outcome.err.contains("the run's columns have no names");
        assert_eq!(is_supposed, header.contains("gata"), "{}", outcome.err);
        outcome.done();
        let [a, b] = ["a.csv", "b.csv"].map(|name| fs::read(bench.path(name)).unwrap());
        assert!(a == b, "{header}");
    }
    bench.write("start.csv", &table("t,x0,x2", days));
    bench
        .run("simulate run --start start.csv --from 0 --to 2 -o b.csv")
        .error(&["x0, x1", "x0, x2"]);
}

#[test]
fn times_are_converted_to_the_unit_of_the_run_or_refused() {
    let bench = fitted();
    let results = |file: &str| {
        let json = |line: &str, of: &str| {
            let json: Value = serde_json::from_str(&bench.run(line).done()).unwrap();
            json[of].to_string()
        };
        bench
            .run(&format!(
                "simulate run --start {file} --from 1 --to 2 -o moved.csv"
            ))
            .done();
        [
            json(&format!("score run {file} --json"), "scores"),
            json(&format!("annotate run {file} --json"), "times"),
            fs::read_to_string(bench.path("moved.csv")).unwrap(),
        ]
    };
    let expected = results("train.csv");
    type Label = fn(usize) -> String;
    let hours: Label = |t| format!("{} h", 24 * t);
    let cases: [(&str, Label, &str); 4] = [
        ("t,pax,gata", hours, "converted to days"),
        (
            "t,gata,pax",
            |t| format!("{}min", 1440 * t),
            "converted to days",
        ),
        (
            "hour,gata,pax",
            |t| (24 * t).to_string(),
            "converted to days",
        ),
        ("t,gata,pax", |t| t.to_string(), "plain numbers"),
    ];
    for (header, label, note) in cases {
        bench.write("other.csv", &table(header, label));
        assert_eq!(results("other.csv"), expected, "{header} {}", label(1));
        let said = bench.run("score run other.csv").err;
        assert!(said.contains("other.csv") && said.contains(note), "{said}");
    }
    let refused: [Label; 3] = [
        |t| format!("E{t}"),
        |t| format!("{t} hpf"),
        |t| format!("{t} cycles"),
    ];
    for label in refused {
        bench.write("other.csv", &table("t,gata,pax", label));
        for line in [
            "simulate run --start other.csv --from 0 --to 2 -o b.csv",
            "score run other.csv",
            "annotate run other.csv",
            "plot run other.csv -o pictures",
        ] {
            bench.run(line).error(&["other.csv", "Day 0", &label(0)]);
        }
    }
    // Nor are hours compared with numbers that have no unit.
    bench.write("bare.csv", &table("t,gata,pax", |t| t.to_string()));
    bench.run(&format!("fit bare.csv -o bare {SMALL}")).done();
    bench.write("other.csv", &table("t,gata,pax", hours));
    bench
        .run("score bare other.csv")
        .error(&["other.csv", "24 h"]);
}

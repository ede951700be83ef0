//! Files larger than memory.

use std::fs;

use actum::{data, gallery::Branching};

use crate::support::{Bench, Outcome, SMALL};

/// A population with more points at each time than a shard has.
fn large() -> Bench {
    let bench = Bench::new();
    let snapshots = Branching.snapshots(&[0.0, 6.0, 20.0, 48.0], 300, 1);
    data::write(&bench.path("large.npz"), &snapshots.unwrap()).unwrap();
    bench
}

#[test]
fn a_large_file_is_fitted_in_shards_and_every_command_says_so() {
    let bench = large();
    let before = bench.names(".");
    let fit = bench.run(&format!(
        "fit large.npz -o run --hold-out 6 --shard 70 --growth 1 --mass counts {SMALL}"
    ));
    let note = "1,200 rows are in 5 shards of at most 70 at each time; the fit sees 1 of them";
    assert!(fit.err.contains(note), "{}", fit.err);
    assert!(fit.err.contains("row 1200 of 1200"), "{}", fit.err);
    fit.done();
    let with_run = [&before[..], &["run".to_owned()]].concat();
    assert_eq!(bench.names("."), with_run, "shards were left behind");

    let inspected = bench.run("inspect run --json").done();
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["source"]["counts"][2], 300);
    assert_eq!(inspected["source"]["masses"][2], 300.0);
    let sample = "a random 60 of 300 rows at each time are";
    for command in [
        "score run large.npz",
        "score run large.npz --json",
        "annotate run",
        "annotate run --json",
        "plot run -o pictures",
        "simulate run -o moved.npz",
    ] {
        let out = bench.run(command).done();
        assert!(out.contains(sample), "{command}: {out}");
    }
    let moved = data::read(&bench.path("moved.npz"), &Default::default()).unwrap();
    assert_eq!(moved.cloud(0).len(), 60);
    // Who names the points to move means all of them.
    let out = bench.run("simulate run --start large.npz --from 0 -o all.npz");
    assert!(out.done().contains("300 particles"));

    // What is left of an interrupted fit, and other data.
    bench.comes_back("run", "fit large.npz -o run --resume");
    bench
        .run("fit large.npz -o run --resume --shard 80")
        .error(&["data.shard is 70, not 80"]);
    let changed = Branching
        .snapshots(&[0.0, 6.0, 20.0, 48.0], 300, 9)
        .unwrap();
    data::write(&bench.path("changed.npz"), &changed).unwrap();
    bench
        .run("fit changed.npz -o run --resume")
        .error(&["other data"]);
    data::write(&bench.path("large.npz"), &changed).unwrap();
    bench.run("plot run -o pictures").error(&["has changed"]);
}

#[test]
fn bad_shards_are_errors_that_leave_nothing() {
    let bench = large();
    let before = bench.names(".");
    let fit = |flags: &str| bench.run(&format!("fit large.npz -o run {flags} {SMALL}"));
    fit("--shard 0").error(&["`shard` must be at least 20", "got 0"]);
    fit("--shard -5").error(&["-5"]);
    fit("--shard 70 --hold-out 7").error(&["\"7\"", "0, 6, 20, 48"]);
    fit("--shard 70 --hold-out 0").error(&["the first time"]);
    fit("--shard 70 --dims 9").error(&["9", "2"]);
    let whole = fs::read(bench.path("large.npz")).unwrap();
    fs::write(bench.path("large.npz"), &whole[..whole.len() / 2]).unwrap();
    fit("--shard 70").error(&["large.npz", "truncated"]);
    let row = |i: usize| format!("{},{}\n", i % 2, if i == 700 { "nan" } else { "1" });
    let rows: String = (0..800).map(row).collect();
    bench.write("large.csv", &format!("t,x\n{rows}"));
    bench
        .run(&format!("fit large.csv -o run --shard 70 {SMALL}"))
        .error(&["large.csv", "line 702", "\"x\""]);
    fs::remove_file(bench.path("large.csv")).unwrap();
    assert_eq!(bench.names("."), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_too_full_for_the_shards_is_an_error_that_leaves_nothing() {
    let bench = large();
    let before = bench.names(".");
    bench
        .run_on_a_full_disk("fit large.npz -o run --shard 290")
        .error(&["the shards of a large file"]);
    assert_eq!(bench.names("."), before);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_hold_the_shards_is_named() {
    let bench = large();
    bench
        .run_shut_out(&format!("fit large.npz -o closed/run --shard 70 {SMALL}"))
        .error(&["cannot create the folder closed/run"]);
    let rows: String = (0..20_100).map(|i| format!("{},{i}.5\n", i % 2)).collect();
    bench.write("big.csv", &format!("t,x\n{rows}"));
    let mut check = bench.program();
    check
        .args(["check", "big.csv"])
        .env("TMPDIR", bench.path("nowhere"));
    Outcome::of(check.output().unwrap()).error(&["nowhere"]);
}

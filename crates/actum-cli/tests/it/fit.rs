//! `actum fit`: settings, folders that are there, bad data, interrupts.

use std::{fs, process::Command};

use actum::{data, gallery::Branching};

use crate::support::{Bench, Outcome, SMALL, fitted};

#[test]
fn settings_of_a_run_can_be_fed_back_and_flags_override_them() {
    let bench = fitted();
    bench
        .run("fit population.npz -o again --config run/settings.toml")
        .done();
    let read = |name: &str| fs::read(bench.path(name)).unwrap();
    assert_eq!(read("run/settings.toml"), read("again/settings.toml"));
    assert_eq!(
        read("run/model.safetensors"),
        read("again/model.safetensors")
    );
    bench
        .run("fit population.npz -o other --config run/settings.toml --seed 1")
        .done();
    assert_ne!(
        read("run/model.safetensors"),
        read("other/model.safetensors")
    );
}

#[test]
fn existing_folders_are_kept_unless_asked_otherwise() {
    let bench = fitted();
    bench.run("fit population.npz -o run").error(&[
        "run is there already",
        "--overwrite",
        "--resume",
    ]);
    bench.run("fit population.npz -o run --resume").done();
    bench
        .run("fit population.npz -o run --resume --seed 3")
        .error(&["fit.seed is 0, not 3"]);
    let changed = Branching.snapshots(&[0.0, 6.0, 20.0, 48.0], 60, 9).unwrap();
    data::write(&bench.path("changed.npz"), &changed).unwrap();
    bench
        .run("fit changed.npz -o run --resume")
        .error(&["other data"]);
    bench
        .run(&format!("fit population.npz -o run --overwrite {SMALL}"))
        .done();
    bench.write("run/thesis.txt", "years of work");
    bench
        .run("fit population.npz -o run --overwrite")
        .error(&["thesis.txt", "not part of a run"]);
    assert!(bench.path("run/model.safetensors").exists());
    bench
        .run("fit population.npz -o nowhere --resume")
        .error(&["nowhere is not a run"]);
}

#[test]
fn a_failed_overwrite_keeps_the_old_run() {
    let bench = fitted();
    let before = fs::read(bench.path("run/model.safetensors")).unwrap();
    bench
        .run("fit population.npz -o run --overwrite --hold-out 7")
        .error(&["\"7\""]);
    bench
        .run("fit missing.npz -o run --overwrite")
        .error(&["missing.npz"]);
    assert_eq!(
        fs::read(bench.path("run/model.safetensors")).unwrap(),
        before
    );
}

#[test]
fn time_labels_are_ordered_by_value_and_shown_back() {
    let bench = Bench::new();
    let mut text = String::from("stage,a,b\n");
    for (label, shift) in [("day10", 10.0), ("Day 2", 2.0), ("day 0", 0.0)] {
        for k in 0..30 {
            let x = f64::from(k) * 0.37 % 1.0;
            text += &format!("{label},{},{}\n", shift + x, x * x);
        }
    }
    bench.write("days.csv", &text);
    let table = bench.run("check days.csv --time-key stage").done();
    let at = |label: &str| table.find(label).unwrap();
    assert!(
        at("day 0") < at("Day 2") && at("Day 2") < at("day10"),
        "{table}"
    );
    let mut fit = bench.program();
    fit.args([
        "fit",
        "days.csv",
        "--time-key",
        "stage",
        "--hold-out",
        "day 2",
    ])
    .args(["-o", "run"])
    .args(SMALL.split(' '));
    Outcome::of(fit.output().unwrap()).done();
    let score = bench.run("score run days.csv").done();
    assert!(
        score.contains("From day 0 to Day 2, which the fit did not see"),
        "{score}"
    );
    bench.run("simulate run --to 5.5 -o moved.npz").done();
    // The key of the times is the run's also for the start.
    bench
        .run("simulate run --start days.csv --from 2 --to 10 -o from2.csv")
        .done();
    let moved = fs::read_to_string(bench.path("from2.csv")).unwrap();
    assert_eq!(moved.lines().count(), 31);
    let renamed = text.replace("stage,a,b", "stage,a,c");
    bench.write("renamed.csv", &renamed);
    bench.run("score run renamed.csv").error(&["a, b", "c"]);
    let inspected = bench.run("inspect run").done();
    assert!(inspected.contains("held out"), "{inspected}");
}

#[test]
fn bad_data_is_an_error_that_says_where() {
    let bench = Bench::new();
    let fit = |file: &str| bench.run(&format!("fit {file} -o run {SMALL}"));
    fit("missing.npz").error(&["missing.npz", "cannot read"]);
    bench.write("data.xlsx", "x");
    fit("data.xlsx").error(&["data.xlsx", ".parquet", "save the sheet"]);
    bench.write("empty.csv", "");
    fit("empty.csv").error(&["empty.csv", "empty"]);
    bench.write("nan.csv", "t,x\n0,1\n0,nan\n1,2\n1,3\n");
    fit("nan.csv").error(&["1 of 4", "line 3", "\"x\""]);
    bench.write("once.csv", "t,x\n0,1\n0,2\n");
    fit("once.csv").error(&["at least 2 times, got 1"]);
    bench.write("single.csv", "t,x\n0,1\n0,2\n1,5\n");
    fit("single.csv").error(&["1", "single point"]);
    bench.write("words.csv", "t,x\nearly,1\nearly,2\nlate,5\nlate,6\n");
    fit("words.csv").error(&["early", "late"]);
    bench.write("mixed.csv", "t,x\n36h,1\n36h,2\nday 2,5\nday 2,6\n");
    fit("mixed.csv").error(&["mixed units", "36h", "day 2"]);
    bench.write("nokey.csv", "a,b\n0,1\n0,2\n1,5\n1,6\n");
    fit("nokey.csv").error(&["a, b", "--time-key"]);
    bench
        .run("fit nokey.csv --time-key c -o run")
        .error(&["\"c\"", "a, b"]);
    bench
        .run("fit population.npz --time-key time -o run")
        .error(&["time", "t float64"]);
    bench.write("flat.csv", "t,x,y\n0,1,7\n0,2,7\n1,5,7\n1,6,7\n");
    bench
        .run("fit flat.csv --standardize -o run")
        .error(&["constant", "y"]);
    let whole = fs::read(bench.path("population.npz")).unwrap();
    fs::write(bench.path("cut.npz"), &whole[..whole.len() / 2]).unwrap();
    fit("cut.npz").error(&["cut.npz", "truncated"]);
    assert!(!bench.path("run").exists(), "an error left a run behind");
}

#[test]
fn bad_settings_are_errors_that_say_what_is_possible() {
    let bench = Bench::new();
    let fit = |flags: &str| bench.run(&format!("fit population.npz -o run {flags}"));
    fit("--hold-out 7").error(&["\"7\"", "0, 6, 20, 48"]);
    fit("--hold-out 0").error(&["the first time", "6, 20"]);
    fit("--hold-out 48").error(&["the last time"]);
    fit("--dims 9").error(&["9", "2"]);
    fit("--dims 0").error(&["dims"]);
    fit("--steps 0").error(&["steps"]);
    fit("--steps -5").error(&["-5"]);
    fit("--coupling nearest").error(&["nearest", "independent, exact, entropic"]);
    fit("--coupling entropic:-1").error(&["entropic:-1"]);
    fit("--set fit.batch=0").error(&["batch"]);
    fit("--set fit.learning_rate=-1").error(&["learning_rate"]);
    fit("--set fit.bach=3").error(&["bach", "batch"]);
    fit("--set nonsense").error(&["KEY=VALUE"]);
    fit("--set network.width=wide").error(&["network.width=wide"]);
    fit("--device abacus").error(&["abacus", "cpu"]);
    bench.write("bad.toml", "[fit]\nstep = 3\n");
    fit("--config bad.toml").error(&["bad.toml", "`step`", "`steps`"]);
    bench.write("broken.toml", "[fit\n");
    fit("--config broken.toml").error(&["broken.toml"]);
    fit("--overwrite --resume").error(&["--resume"]);
    assert!(!bench.path("run").exists(), "an error left a run behind");
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_says_how_to_go_on() {
    let bench = Bench::new();
    let child = bench
        .program()
        .args("fit population.npz -o run --steps 100000 --set network.width=8".split(' '))
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ready = bench.path("run/checkpoint.safetensors");
    while !ready.exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("actum fit population.npz -o run --resume"),
        "{message}"
    );
    bench
        .run("score run population.npz")
        .error(&["not finished", "of 100000", "--resume"]);
}

#[test]
fn the_order_of_settings_does_not_matter() {
    let bench = Bench::new();
    let settings = |flags: &str| {
        let fit = format!("fit population.npz -o run --overwrite {flags} {SMALL}");
        bench.run(&fit).done();
        fs::read_to_string(bench.path("run/settings.toml")).unwrap()
    };
    bench.write("counts.toml", "[data]\nmass = \"counts\"\n");
    let (mass, growth) = ("--set data.mass=counts", "--set lagrangian.growth=auto");
    let expected = settings(&format!("{growth} {mass}"));
    assert!(expected.contains("mass = \"counts\""), "{expected}");
    for flags in [
        format!("{mass} {growth}"),
        format!("{mass} --growth auto"),
        format!("--growth auto {mass}"),
        format!("--config counts.toml {growth}"),
    ] {
        assert_eq!(settings(&flags), expected, "{flags}");
    }
    // What was typed as a flag is the last word.
    let time = settings("--set data.time_key=day --time-key t --set fit.seed=4 --seed 5");
    assert!(
        time.contains("time_key = \"t\"") && time.contains("seed = 5"),
        "{time}"
    );
    let fit = |flags: &str| bench.run(&format!("fit population.npz -o other {flags}"));
    fit(mass).error(&["growth"]);
    fit("--set data.dim=3").error(&["data.dim=3", "`dims`", "`time_key`", "`shard`"]);
    fit("--set data.time_key=3").error(&["data.time_key=3", "expected a string"]);
    fit("--set fit.batch=9 --set network.width=wide").error(&["network.width=wide"]);
}

#[cfg(not(feature = "mpi"))]
#[test]
fn a_program_without_mpi_says_how_it_gets_it() {
    let bench = fitted();
    bench
        .run("fit population.npz -o shared --mpi")
        .error(&["built without MPI", "--features mpi"]);
    assert!(!bench.path("shared").exists());
}

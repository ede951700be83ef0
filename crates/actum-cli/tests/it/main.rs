//! The program as a person meets it: what it prints, what it leaves behind, how it exits.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use actum::data::{self, Branching};
use tempfile::TempDir;

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Outcome {
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// An error: exit code 2, one message on standard error, none of it a panic.
    #[track_caller]
    fn error(self, parts: &[&str]) {
        assert_eq!(self.code, 2, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// A folder with a small population, `population.npz`.
struct Bench(TempDir);

impl Bench {
    /// Leaves of a finished run what an interrupted fit leaves, everything but the model, and
    /// checks that `resume` makes the same model again.
    fn comes_back(&self, run: &str, resume: &str) {
        let model = self.path(&format!("{run}/model.safetensors"));
        let whole = fs::read(&model).unwrap();
        fs::remove_file(&model).unwrap();
        self.run(resume).done();
        assert_eq!(fs::read(&model).unwrap(), whole);
    }

    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let snapshots = Branching.snapshots(&[0.0, 6.0, 20.0, 48.0], 60, 0).unwrap();
        data::write(&bench.path("population.npz"), &snapshots).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command line split at spaces in the folder.
    fn run(&self, line: &str) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_actum"))
            .args(line.split(' '))
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const SMALL: &str = "--steps 30 --set network.width=8 --set fit.batch=32";

fn fitted() -> Bench {
    let bench = Bench::new();
    bench
        .run(&format!("fit population.npz -o run --hold-out 6 {SMALL}"))
        .done();
    bench
}

#[test]
fn fit_score_simulate_plot_and_inspect_follow_each_other() {
    let bench = fitted();
    assert_eq!(
        bench.names("run"),
        [
            "checkpoint.safetensors",
            "log.jsonl",
            "model.safetensors",
            "run.json",
            "settings.toml"
        ]
    );

    let table = bench.run("score run population.npz").done();
    assert!(
        table.contains("From 0 to 6, which the fit did not see"),
        "{table}"
    );
    for row in [
        "action matching",
        "previous",
        "next",
        "linear transport",
        "two halves",
    ] {
        assert!(table.contains(row), "{table}");
    }
    let json = bench
        .run("score run population.npz --at 48 --from 0 --json")
        .done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let score = &json["scores"][0];
    assert_eq!(
        (score["from"].as_str(), score["at"].as_str()),
        (Some("0"), Some("48"))
    );
    assert!(score["rows"]["action matching"]["w1"].as_f64().unwrap() > 0.0);
    assert!(score["rows"]["next snapshot"].is_null());

    for file in ["moved.npz", "moved.csv", "moved.parquet"] {
        bench
            .run(&format!("simulate run -o {file} --times 3,24,48"))
            .done();
        let moved = data::read(&bench.path(file), &Default::default()).unwrap();
        assert_eq!(moved.times(), [3.0, 24.0, 48.0]);
        assert_eq!((moved.cloud(0).len(), moved.dimension()), (60, 2));
    }
    // A cloud without times is a start too, and backward is a direction like any other.
    bench.write("start.csv", "x0,x1\n1.5,2\n-1,-1\n");
    bench
        .run("simulate run --start start.csv --from 48 --to 0 -o back.csv")
        .done();
    assert_eq!(
        fs::read_to_string(bench.path("back.csv"))
            .unwrap()
            .lines()
            .count(),
        3
    );

    // The file itself is a start: only its cells of that time are taken.
    bench
        .run("simulate run --start population.npz --from 6 --to 20 -o six.npz")
        .done();
    let six = data::read(&bench.path("six.npz"), &Default::default()).unwrap();
    assert_eq!(six.cloud(0).len(), 60);

    bench.run("plot run -o pictures").done();
    let names = bench.names("pictures");
    for stem in [
        "snapshots",
        "trajectories",
        "streamlines",
        "loss",
        "score-6",
    ] {
        for extension in ["svg", "png"] {
            assert!(names.contains(&format!("{stem}.{extension}")), "{names:?}");
        }
    }
    let about = bench.run("inspect run").done();
    assert!(
        about.contains("30 of 30 steps") && about.contains("held out"),
        "{about}"
    );
    let json = bench.run("inspect run --json").done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["settings"]["network"]["width"], 8);
}

/// A population that halves while it moves, with a velocity for every point.
fn dying() -> Bench {
    let bench = Bench::new();
    let mut text = "t,x,y,vx,vy\n".to_owned();
    for (k, n) in [(0, 80), (1, 60), (2, 40), (3, 20)] {
        for i in 0..n {
            let (x, y) = (k as f64 + (i as f64 * 0.37).sin(), (i as f64 * 0.73).cos());
            text += &format!("{k},{x},{y},{},{}\n", 1.0 - y, x - k as f64);
        }
    }
    bench.write("dying.csv", &text);
    bench
}

const DYING: &str = "fit dying.csv --points-key x,y";

#[test]
fn noise_growth_cost_and_drift_are_followed_by_every_command() {
    let bench = dying();
    bench.write("metric.csv", "2, 0.5\n0.5, 1\n");
    for (terms, says) in [
        ("--noise 0.3", "noise 0.3 (exact Laplacian)"),
        ("--noise 0:0.1,3:0.4", "noise 0:0.1,3:0.4"),
        ("--growth auto --mass counts", "growth"),
        (
            "--growth 0.5 --mass 4,3,2,1 --coupling unbalanced",
            "growth 0.5000",
        ),
        ("--cost power:1.5", "cost |v|^1.5"),
        ("--cost metric:metric.csv", "cost of a metric"),
        ("--drift vx,vy", "known drift"),
        (
            "--noise 0.2 --growth 1 --mass counts --drift vx,vy --standardize",
            "known drift",
        ),
    ] {
        let grows = terms.contains("--growth");
        let fit = format!("{DYING} --hold-out 2 {terms} {SMALL} -o run --overwrite");
        bench.run(&fit).done();
        assert!(bench.run("inspect run").done().contains(says), "{terms}");
        let score = bench.run("score run dying.csv").done();
        assert_eq!(score.contains(" %"), grows, "{score}");
        let out = bench.run("simulate run -o moved.npz").done();
        assert_eq!(out.contains("effective particles"), grows, "{out}");
        let moved = data::read(&bench.path("moved.npz"), &Default::default()).unwrap();
        assert_eq!((moved.len(), moved.cloud(0).len()), (3, 80));
        // A table of trajectories has its weights too.
        bench.run("simulate run -o moved.csv").done();
        let table = fs::read_to_string(bench.path("moved.csv")).unwrap();
        assert_eq!(table.lines().next().unwrap().ends_with(",w"), grows);
        bench.run("plot run -o pictures").done();
        assert_eq!(bench.path("pictures/mass.png").exists(), grows);
        let told = bench.run("annotate run -o told.csv").done();
        assert_eq!(told.contains("growth rate"), grows, "{told}");
        assert!(told.contains("a gradient follows"), "{told}");
        assert_eq!(
            told.contains("gradient, smooth"),
            terms.contains("drift"),
            "{told}"
        );
        let header = fs::read_to_string(bench.path("told.csv")).unwrap();
        let header = header.lines().next().unwrap().to_owned();
        assert!(
            header.contains("v_x,v_y,action,speed,growth,energy"),
            "{header}"
        );
        fs::remove_dir_all(bench.path("pictures")).unwrap();
        // The same again to the last bit: what is random is seeded.
        let again = bench.run("simulate run -o again.csv").done();
        assert!(again.contains("particles"));
        assert_eq!(fs::read_to_string(bench.path("again.csv")).unwrap(), table);
    }
}

#[test]
fn a_noisy_growing_fit_resumes_as_if_it_had_not_stopped() {
    let bench = dying();
    let terms = "--noise 0.2 --growth 1 --mass counts --drift vx,vy --set network.width=8 --set fit.batch=32";
    bench
        .run(&format!("{DYING} {terms} --steps 700 -o whole"))
        .done();
    bench.comes_back("whole", "fit dying.csv -o whole --resume");
    bench
        .run("fit dying.csv -o whole --resume --noise 0.3")
        .error(&["lagrangian.noise is 0.2, not 0.3"]);
}

#[test]
fn bad_terms_are_errors_that_say_what_is_possible() {
    let bench = dying();
    bench.write("wide.csv", "1,0,0\n0,1,0\n0,0,1\n");
    bench.write("skew.csv", "1,2\n3,1\n");
    bench.write("words.csv", "1,two\n2,1\n");
    for (terms, parts) in [
        ("--noise -1", &["not negative, got -1"][..]),
        ("--noise loud", &["`loud` is not noise", "T:SIGMA"]),
        (
            "--growth -1",
            &["growth must be finite and not negative, got -1"],
        ),
        ("--growth nan", &["growth must be finite"]),
        ("--growth lots", &["expected auto or a number"]),
        ("--mass counts", &["--growth"]),
        ("--growth 1 --mass 1,2", &["4 times", "0, 1, 2, 3", "got 2"]),
        ("--growth 1 --mass 1,2,0,1", &["time 2"]),
        ("--growth 1 --mass heavy", &["counts, weights"]),
        ("--coupling unbalanced", &["--growth"]),
        ("--growth 1 --coupling unbalanced:-1", &["positive"]),
        ("--cost power:1", &["above 1"]),
        ("--cost cubic", &["kinetic, power:P"]),
        ("--cost metric:wide.csv", &["for 3 columns", "have 2"]),
        ("--cost metric:skew.csv", &["skew.csv", "symmetric"]),
        ("--cost metric:words.csv", &["words.csv", "row 0", "two"]),
        ("--cost metric:none.csv", &["none.csv"]),
        ("--drift vx", &["vx", "2"]),
        ("--drift vx,speed", &["speed", "vy"]),
        ("--set lagrangian.noise=true", &["a number, pairs"]),
        ("--set lagrangian.growth=true", &["a number or \"auto\""]),
        ("--set data.mass=3", &["weights", "counts"]),
    ] {
        bench
            .run(&format!("{DYING} {terms} {SMALL} -o run"))
            .error(parts);
        assert!(!bench.path("run").exists(), "{terms}");
    }
    bench
        .run(&format!("{DYING} --noise 0.5 {SMALL} -o run"))
        .done();
    bench
        .run("simulate run --from 3 --to 0 -o back.npz")
        .error(&["backward", "score"]);
    bench
        .run(&format!(
            "{DYING} --velocity-key vx,vy --drift vx,vy {SMALL} -o other"
        ))
        .error(&["cannot be used with"]);
}

#[test]
fn a_run_with_a_drift_and_masses_reads_other_files() {
    let bench = dying();
    let terms = "--drift vx,vy --growth 1 --mass 8,6,4,2";
    bench.run(&format!("{DYING} {terms} {SMALL} -o run")).done();
    // Without velocities, and with some of the times: their masses are known by their labels.
    let text = fs::read_to_string(bench.path("dying.csv")).unwrap();
    let rows = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>());
    let some: Vec<String> = rows
        .filter(|row| ["1", "3"].contains(&row[0]))
        .map(|row| row[..3].join(","))
        .collect();
    bench.write("some.csv", &format!("t,x,y\n{}\n", some.join("\n")));
    let out = bench
        .run("score run some.csv --from 1 --at 3 --json")
        .done();
    let score: serde_json::Value = serde_json::from_str(&out).unwrap();
    let error = score["scores"][0]["rows"]["previous snapshot"]["mass_error"].as_f64();
    assert!((error.unwrap() - 2.0).abs() < 1e-9, "{out}");
    bench.write("late.csv", "t,x,y\n1,0,0\n1,1,1\n7,0,0\n7,1,1\n");
    bench
        .run("score run late.csv")
        .error(&["mass for each of its times", "7"]);
    bench.run("annotate run late.csv").error(&["7"]);
}

#[test]
fn points_to_start_from_have_mass_one_or_are_counted() {
    let bench = dying();
    for (mass, expected) in [("weights", "1.0000"), ("counts", "20.0000")] {
        let fit = format!("{DYING} --growth 1 --mass {mass} {SMALL} -o run --overwrite");
        bench.run(&fit).done();
        bench
            .run("simulate run --start dying.csv --from 3 --to 3 -o end.npz")
            .done();
        let out = bench
            .run("simulate run --start dying.csv --from 3 --to 3 -o end.npz")
            .done();
        assert!(out.contains(expected), "{out}");
    }
}

#[test]
fn check_says_which_share_of_velocities_is_a_gradient() {
    let bench = Bench::new();
    let mut text = "t,x,y,vx,vy\n".to_owned();
    for i in 0..240 {
        let (x, y) = ((i as f64 * 0.37).sin(), (i as f64 * 0.73).cos());
        text += &format!("{},{x},{y},{},{x}\n", i % 2, -y);
    }
    bench.write("round.csv", &text);
    let out = bench
        .run("check round.csv --points-key x,y --velocity-key vx,vy")
        .done();
    assert!(
        out.contains("gradient  smooth") && out.contains("they go round"),
        "{out}"
    );
    assert!(out.contains("--drift vx,vy"), "{out}");

    // Velocities in other units than the points and times, and numbers of points that fall.
    let mut text = "t,x,vx\n".to_owned();
    for (t, n) in [(0, 60), (1, 30)] {
        for i in 0..n {
            text += &format!("{t},{},24\n", t as f64 * 2.0 + (i as f64 * 0.37).sin());
        }
    }
    bench.write("fast.csv", &text);
    let out = bench
        .run("check fast.csv --points-key x --velocity-key vx")
        .done();
    assert!(
        out.contains("move the mean 1") && out.contains("units of the points"),
        "{out}"
    );
    assert!(
        out.contains("from 60 to 30") && out.contains("--mass counts"),
        "{out}"
    );
    assert!(!out.contains("--drift vx "), "{out}");
    let json = bench
        .run("check fast.csv --points-key x --velocity-key vx --json")
        .done();
    assert!(
        json.contains("move the mean 1") && json.contains("from 60 to 30"),
        "{json}"
    );
    let fit = format!("fit fast.csv --points-key x --growth auto {SMALL} -o run");
    assert!(bench.run(&fit).err.contains("--mass counts"));
}

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
fn check_tells_what_is_there_and_suggests_a_command_that_works() {
    let bench = Bench::new();
    let text = bench.run("check population.npz").done();
    assert!(
        text.contains("240 points at 4 times in 2 columns"),
        "{text}"
    );
    let command = text
        .lines()
        .last()
        .unwrap()
        .trim()
        .strip_prefix("actum ")
        .unwrap();
    bench.run(&format!("{command} {SMALL}")).done();
    bench.write("one.csv", "t,x\n1,2\n1,3\n");
    let one = bench.run("check one.csv");
    assert_eq!(one.code, 1);
    assert!(one.out.contains("problem"), "{}", one.out);
    let json = bench.run("check population.npz --json").done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["times"][2]["time"], 20.0);
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
    let held = Command::new(env!("CARGO_BIN_EXE_actum"))
        .args([
            "fit",
            "days.csv",
            "--time-key",
            "stage",
            "--hold-out",
            "day 2",
            "-o",
            "run",
        ])
        .args(SMALL.split(' '))
        .current_dir(bench.0.path())
        .status()
        .unwrap();
    assert!(held.success());
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
    let shuffled = text.replace("stage,a,b", "stage,b,a");
    bench.write("shuffled.csv", &shuffled);
    bench
        .run("score run shuffled.csv")
        .error(&["the columns a, b", "b, a"]);
    let inspected = bench.run("inspect run").done();
    assert!(inspected.contains("held out"), "{inspected}");
}

#[test]
fn bad_data_is_an_error_that_says_where() {
    let bench = Bench::new();
    let fit = |file: &str| bench.run(&format!("fit {file} -o run {SMALL}"));
    fit("missing.npz").error(&["missing.npz", "cannot read"]);
    bench.write("data.xlsx", "x");
    fit("data.xlsx").error(&["data.xlsx", ".parquet"]);
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

#[test]
fn bad_uses_of_a_run_are_errors() {
    let bench = fitted();
    bench
        .run("inspect nowhere")
        .error(&["nowhere", "actum fit"]);
    bench
        .run("score run population.npz --at 7")
        .error(&["\"7\"", "0, 6, 20, 48"]);
    bench
        .run("score run population.npz --at 0")
        .error(&["--from"]);
    bench
        .run("simulate run --to 60 -o x.npz")
        .error(&["60", "[0, 48]"]);
    bench
        .run("simulate run --from 7 -o x.npz")
        .error(&["7", "--start"]);
    bench
        .run("simulate run --to 6 -o x.docx")
        .error(&["x.docx", ".parquet"]);
    bench
        .run("simulate run --to 6 -o no/such/x.npz")
        .error(&["no/such/x.npz", "does not exist"]);
    bench
        .run("simulate run --times 20,6 -o x.npz")
        .error(&["in order"]);
    bench.write("wide.csv", "x0,x1,x2\n1,2,3\n2,3,4\n");
    bench
        .run("simulate run --start wide.csv -o x.npz")
        .error(&["2 columns", "3"]);
    fs::remove_file(bench.path("population.npz")).unwrap();
    bench
        .run("simulate run -o x.npz")
        .error(&["population.npz"]);
    assert!(!bench.path("x.npz").exists());

    let model = bench.path("run/model.safetensors");
    let whole = fs::read(&model).unwrap();
    fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    bench
        .run("simulate run --start wide.csv -o x.npz")
        .error(&["model.safetensors"]);
    let about = fs::read_to_string(bench.path("run/run.json")).unwrap();
    let version = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    bench.write(
        "run/run.json",
        &about.replace(version, "\"version\": \"9.1.0\""),
    );
    bench
        .run("inspect run")
        .error(&["9.1.0", env!("CARGO_PKG_VERSION")]);
    bench.write("run/run.json", "{");
    bench.run("inspect run").error(&["run.json"]);
}

/// Root writes where others may not: there is nothing to test for it.
#[cfg(unix)]
fn is_refused(folder: &Path) -> bool {
    fs::write(folder.join("probe"), "").is_err()
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let bench = fitted();
    let closed = bench.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if !is_refused(&closed) {
        eprintln!("NOT CHECKED: this user may write into read-only folders");
        return;
    }
    bench
        .run("simulate run --to 6 -o closed/x.npz")
        .error(&["closed/x.npz"]);
    bench
        .run(&format!("fit population.npz -o closed/run {SMALL}"))
        .error(&["closed/run"]);
    bench
        .run("plot run -o closed/pictures")
        .error(&["closed/pictures"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    let bench = fitted();
    // A limit on the size of files makes writes fail midway, as a full disk does.
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 1; exec \"$0\" simulate run -o big.csv --times 1,2,3,4,5,6,7,8")
        .arg(env!("CARGO_BIN_EXE_actum"))
        .current_dir(bench.0.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("big.csv"), "{message}");
    let left = bench.names(".");
    assert_eq!(left, ["population.npz", "run"], "{left:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_says_how_to_go_on() {
    let bench = Bench::new();
    let child = Command::new(env!("CARGO_BIN_EXE_actum"))
        .args("fit population.npz -o run --steps 100000 --set network.width=8".split(' '))
        .current_dir(bench.0.path())
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
fn a_demo_takes_only_an_empty_folder_or_its_own() {
    let bench = fitted();
    bench
        .run("demo --out .")
        .error(&[". is there already", "--out"]);
    assert!(bench.path("run/model.safetensors").exists());
}

#[test]
fn problems_are_listed_made_and_learned() {
    let bench = Bench::new();
    let list = bench.run("gallery --list").done();
    for name in ["figure-1", "hydrogen", "0 to 14000", "2 or any"] {
        assert!(list.contains(name), "no {name} in {list}");
    }
    assert_eq!(bench.run("gallery").done(), list);
    let list: serde_json::Value =
        serde_json::from_str(&bench.run("gallery --list --json").done()).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 12);
    assert_eq!(list[1]["name"], "figure-1-diffusing");

    let made = bench.run("gallery nonlinear-heat -n 200 --times 0,0.2,0.5,1 --columns 1 -o p.npz");
    let made = made.done();
    assert!(
        made.contains("200 points at each of 4 times from 0 to 1 in 1 column"),
        "{made}"
    );
    assert!(
        made.contains("actum fit p.npz --velocity-key V -o run"),
        "{made}"
    );
    bench
        .run("fit p.npz --velocity-key V --steps 300 --set network.width=32 -o run")
        .done();
    let told: serde_json::Value =
        serde_json::from_str(&bench.run("annotate run --json").done()).unwrap();
    let errors = told["times"].as_array().unwrap().iter();
    let errors: Vec<f64> = errors
        .map(|t| t["velocity_error"].as_f64().unwrap())
        .collect();
    assert!(
        errors.len() == 4 && errors.iter().all(|e| (0.01..0.9).contains(e)),
        "{errors:?}"
    );
    assert!(bench.run("annotate run").done().contains("error"));

    // Tables hold the velocities as columns; the hint names them.
    let table = bench.run("gallery vlasov -n 20 -o v.csv").done();
    assert!(table.contains("--velocity-key v_x0,v_x1"), "{table}");
    let checked = bench.run("check v.csv --velocity-key v_x0,v_x1").done();
    assert!(checked.contains("in 2 columns"), "{checked}");

    // The same seed gives the same file.
    let file = |line: &str| {
        bench.run(line).done();
        fs::read(bench.path("s.npz")).unwrap()
    };
    let one = file("gallery cycle -n 20 -o s.npz");
    assert_eq!(one, file("gallery cycle -n 20 -o s.npz"));
    assert_ne!(one, file("gallery cycle -n 20 --seed 1 -o s.npz"));
}

#[test]
fn problems_that_are_not_there_are_errors_that_leave_nothing() {
    let bench = Bench::new();
    for (line, parts) in [
        (
            "gallery heart -o p.npz",
            ["`heart`", "heat, porous-medium-2"],
        ),
        ("gallery heat --times 0,1.5 -o p.npz", ["[0, 1]", "1.5"]),
        ("gallery heat --times 1,0 -o p.npz", ["increas", "0"]),
        ("gallery heat -n 0 -o p.npz", ["2 points or more", "0"]),
        (
            "gallery heat --columns 0 -o p.npz",
            ["at least 1 column", "0"],
        ),
        (
            "gallery hydrogen --columns 2 -o p.npz",
            ["3 columns", "heat"],
        ),
        ("gallery heat -o p.txt", ["p.txt", ".npz"]),
        ("gallery heat", ["--output", "FILE"]),
        ("gallery -o p.npz", ["NAME", "required"]),
        ("gallery -n 5", ["NAME", "required"]),
        (
            "gallery heat -n 18446744073709551615 -o p.npz",
            ["18446744073709551615", "fewer"],
        ),
        (
            "gallery heat --columns 18446744073709551615 -o p.npz",
            ["10000 columns", "1844"],
        ),
        ("gallery --list -o p.npz", ["--list", "cannot be used"]),
    ] {
        bench.run(line).error(&parts);
    }
    assert!(!bench.path("p.npz").exists());
}

#[test]
fn help_names_every_command() {
    let bench = Bench::new();
    let help = bench.run("--help").done();
    for command in [
        "demo", "gallery", "check", "fit", "simulate", "score", "plot", "annotate", "inspect",
    ] {
        assert!(help.contains(&format!("  {command}")), "{help}");
    }
    let version = bench.run("--version").done();
    assert_eq!(version.trim(), concat!("actum ", env!("CARGO_PKG_VERSION")));
    bench.run("fly").error(&["fly"]);
}

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
fn check_counts_all_rows_of_a_large_file() {
    let bench = Bench::new();
    let row = |i: usize| format!("{},{},{}\n", i % 2, i % 101, i % 103);
    let rows: String = (0..25_000).map(row).collect();
    bench.write("large.csv", &format!("t,x,y\n{rows}"));
    let out = bench.run("check large.csv").done();
    for part in [
        "25000 points at 2 times",
        "a random 6,250 of 12,500 rows at each time are looked at",
    ] {
        assert!(out.contains(part), "{out}");
    }
    let json = bench.run("check large.csv --json").done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["times"][1]["points"], 12_500);
    assert!(json["sample"].as_str().unwrap().contains("12,500"));
    assert_eq!(bench.names("."), ["large.csv", "population.npz"]);
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
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 1; exec \"$0\" fit large.npz -o run --shard 290")
        .arg(env!("CARGO_BIN_EXE_actum"))
        .current_dir(bench.0.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("the shards of a large file"), "{message}");
    assert_eq!(bench.names("."), before);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_hold_the_shards_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let bench = large();
    let closed = bench.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if is_refused(&closed) {
        bench
            .run(&format!("fit large.npz -o closed/run --shard 70 {SMALL}"))
            .error(&["closed", "the shards of a large file"]);
    }
    let rows: String = (0..20_100).map(|i| format!("{},{i}\n", i % 2)).collect();
    bench.write("big.csv", &format!("t,x\n{rows}"));
    let output = Command::new(env!("CARGO_BIN_EXE_actum"))
        .args(["check", "big.csv"])
        .env("TMPDIR", bench.path("nowhere"))
        .current_dir(bench.0.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("nowhere"), "{message}");
}

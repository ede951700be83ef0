//! Processes that are killed at any moment. ACTUM_KILLS is how many, 50 without it.

use std::{
    fs,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use actum::{
    rand::{RngExt, SeedableRng},
    rand_chacha::ChaCha8Rng,
};

use crate::support::Bench;

const FIT: &str = "--steps 400 --set network.width=8 --set fit.batch=32";
const IMAGES: &str = "--steps 8 --limit 20 --set network.channels=4 --set fit.batch=2";

/// A command that is killed, and what must hold then.
struct Case {
    command: String,
    /// What brings the state before.
    before: fn(&Bench),
    /// What must be as in the folder `whole` in the end, and the command that goes on to there, or
    /// begins anew.
    file: &'static str,
    as_in: &'static str,
    or_as_in: Option<&'static str>,
    resume: Option<String>,
    anew: String,
}

fn forget(bench: &Bench, folder: &str) {
    let _ = fs::remove_dir_all(bench.path(folder));
}

/// Copies a run.
fn copy(bench: &Bench, from: &str, to: &str) {
    forget(bench, to);
    fs::create_dir(bench.path(to)).unwrap();
    for name in bench.names(from) {
        fs::copy(
            bench.path(&format!("{from}/{name}")),
            bench.path(&format!("{to}/{name}")),
        )
        .unwrap();
    }
}

fn cases() -> Vec<Case> {
    let fit = |flags: &str| format!("fit population.npz -o run {FIT}{flags}");
    let image = |flags: &str| format!("image fit -o run {IMAGES}{flags}");
    let model = "run/model.safetensors";
    vec![
        Case {
            command: fit(""),
            before: |bench| forget(bench, "run"),
            file: model,
            as_in: "whole/model.safetensors",
            or_as_in: None,
            resume: Some(fit(" --resume")),
            anew: fit(" --overwrite"),
        },
        Case {
            command: fit(" --overwrite"),
            before: |bench| copy(bench, "old", "run"),
            file: model,
            as_in: "whole/model.safetensors",
            or_as_in: Some("old/model.safetensors"),
            resume: None,
            anew: fit(" --overwrite"),
        },
        Case {
            command: fit(" --resume"),
            before: |bench| {
                copy(bench, "whole", "run");
                fs::remove_file(bench.path("run/model.safetensors")).unwrap();
                fs::copy(
                    bench.path("early"),
                    bench.path("run/checkpoint.safetensors"),
                )
                .unwrap();
            },
            file: model,
            as_in: "whole/model.safetensors",
            or_as_in: None,
            resume: Some(fit(" --resume")),
            anew: fit(" --resume"),
        },
        Case {
            command: "simulate whole -o run/moved.npz --times 1,2,3,4,5,6,7,8,9".to_owned(),
            before: |bench| {
                forget(bench, "run");
                fs::create_dir(bench.path("run")).unwrap();
                fs::write(bench.path("run/moved.npz"), "old").unwrap();
            },
            file: "run/moved.npz",
            as_in: "moved.npz",
            or_as_in: Some("text"),
            resume: None,
            anew: "simulate whole -o run/moved.npz --times 1,2,3,4,5,6,7,8,9".to_owned(),
        },
        Case {
            command: "annotate whole -o run/said.csv".to_owned(),
            before: |bench| {
                forget(bench, "run");
                fs::create_dir(bench.path("run")).unwrap();
                fs::write(bench.path("run/said.csv"), "old").unwrap();
            },
            file: "run/said.csv",
            as_in: "said.csv",
            or_as_in: Some("text"),
            resume: None,
            anew: "annotate whole -o run/said.csv".to_owned(),
        },
        Case {
            command: image(""),
            before: |bench| forget(bench, "run"),
            file: model,
            as_in: "images/model.safetensors",
            or_as_in: None,
            resume: Some(image(" --resume")),
            anew: image(" --overwrite"),
        },
    ]
}

#[test]
#[ignore = "takes a minute: .ci/run asks for it by name"]
fn what_is_killed_leaves_all_or_nothing_and_comes_to_the_same_end() {
    let count = std::env::var("ACTUM_KILLS").ok();
    let count = count.map_or(50, |text| text.parse::<usize>().unwrap());
    let bench = Bench::new();
    bench
        .run(&format!("fit population.npz -o whole {FIT}"))
        .done();
    bench
        .run("fit population.npz -o old --steps 20 --set network.width=8")
        .done();
    bench.run(&format!("image fit -o images {IMAGES}")).done();
    bench
        .run("simulate whole -o moved.npz --times 1,2,3,4,5,6,7,8,9")
        .done();
    bench.run("annotate whole -o said.csv").done();
    bench.write("text", "old");
    // The checkpoint that a fit begins with.
    let mut early = bench.program();
    early.args(format!("fit population.npz -o first {FIT}").split(' '));
    let mut child = early
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !bench.path("first/checkpoint.safetensors").is_file() {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::copy(
        bench.path("first/checkpoint.safetensors"),
        bench.path("early"),
    )
    .unwrap();
    let bytes = |name: &str| fs::read(bench.path(name)).unwrap();
    let cases = cases();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let lasts: Vec<Duration> = cases
        .iter()
        .map(|case| {
            (case.before)(&bench);
            let began = Instant::now();
            bench.run(&case.command).done();
            began.elapsed()
        })
        .collect();
    let (mut killed, mut ended) = (0, 0);
    for k in 0..count {
        let (case, last) = (&cases[k % cases.len()], lasts[k % cases.len()]);
        (case.before)(&bench);
        let mut command = bench.program();
        command.args(case.command.split(' '));
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(last.mul_f64(rng.random_range(0.0..1.1)));
        child.kill().unwrap();
        match child.wait().unwrap().success() {
            true => ended += 1,
            false => killed += 1,
        }
        // What was there is there still, or what was to be.
        if let Some(old) = case.or_as_in {
            if case.command.starts_with("fit") {
                bench.run("score run population.npz").done();
            }
            let found = bytes(case.file);
            assert!(
                found == bytes(old) || found == bytes(case.as_in),
                "{}",
                case.command
            );
        }
        let has_checkpoint = bench.path("run/checkpoint.safetensors").is_file();
        let go_on = case.resume.as_ref().filter(|_| has_checkpoint);
        bench.run(go_on.unwrap_or(&case.anew)).done();
        assert!(
            bytes(case.file) == bytes(case.as_in),
            "{} ended otherwise",
            case.command
        );
        for folder in ["run", "."] {
            let left = bench.names(folder);
            assert!(
                !left.iter().any(|name| name.starts_with('.')),
                "{}: {left:?}",
                case.command
            );
        }
    }
    println!("{killed} killed, {ended} had ended");
    assert!(killed > 0);
}

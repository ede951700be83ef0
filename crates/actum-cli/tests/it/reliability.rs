//! Nothing lost, nothing believed, nothing left behind: docs/reliability.md says what is promised.

use std::{
    fs,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::support::{Bench, Outcome, SMALL, fitted};

/// A fit that lasts until it is ended, into the folder `run`, with a checkpoint.
fn endless(bench: &Bench, flags: &str) -> Child {
    let line = format!(
        "fit population.npz -o run --steps 900000 --set network.width=8 --set fit.batch=32{flags}"
    );
    let mut command = bench.program();
    command
        .args(line.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let began = Instant::now();
    let places = [
        "run/checkpoint.safetensors",
        "run/.actum-new/checkpoint.safetensors",
    ];
    let place = if flags.is_empty() {
        places[0]
    } else {
        places[1]
    };
    while !bench.path(place).is_file() {
        assert!(began.elapsed() < Duration::from_secs(120), "no checkpoint");
        sleep(Duration::from_millis(20));
    }
    child
}

fn killed(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_array_whose_checksum_differs_is_refused() {
    let bench = Bench::new();
    let mut bytes = fs::read(bench.path("population.npz")).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(bench.path("flipped.npz"), bytes).unwrap();
    bench
        .run("check flipped.npz")
        .error(&["flipped.npz", "checksum differs"]);
}

#[test]
fn a_run_that_is_replaced_stays_until_the_new_one_is_whole() {
    let bench = fitted();
    let old = fs::read(bench.path("run/model.safetensors")).unwrap();
    let names = bench.names("run");
    killed(endless(&bench, " --overwrite"));
    assert_eq!(fs::read(bench.path("run/model.safetensors")).unwrap(), old);
    bench.run("score run population.npz").done();
    // The one that was killed can be gone on with; its settings are its own.
    bench
        .run(&format!("fit population.npz -o run --resume {SMALL}"))
        .error(&["cannot resume run with other settings", "fit.steps"]);
    let again = format!("fit population.npz -o run --overwrite --seed 5 {SMALL}");
    bench.run(&again).done();
    assert_ne!(fs::read(bench.path("run/model.safetensors")).unwrap(), old);
    assert_eq!(bench.names("run"), names);
    // A fit that diverges leaves the run as it was.
    let new = fs::read(bench.path("run/model.safetensors")).unwrap();
    let line = format!("{again} --set fit.learning_rate=1e30");
    bench.run(&line).error(&["rolled back"]);
    assert_eq!(fs::read(bench.path("run/model.safetensors")).unwrap(), new);
    bench.run("score run population.npz").done();
}

#[test]
fn one_fit_at_a_time_writes_to_a_folder() {
    let bench = Bench::new();
    let first = endless(&bench, "");
    let process = format!("(process {})", first.id());
    for flag in ["--overwrite", "--resume"] {
        let line = format!("fit population.npz -o run {flag} {SMALL}");
        bench
            .run(&line)
            .error(&["run is being written by another process", &process]);
    }
    killed(first);
    bench
        .run(&format!("fit population.npz -o run --overwrite {SMALL}"))
        .done();
    bench.run("score run population.npz").done();
    assert!(!bench.names("run").iter().any(|name| name.starts_with('.')));
}

#[test]
fn a_fit_that_is_refused_leaves_no_folder() {
    let bench = Bench::new();
    bench
        .run("fit population.npz -o a/b/run --hold-out 7")
        .error(&["time \"7\" is not there"]);
    assert_eq!(bench.names("."), ["population.npz"]);
}

#[cfg(target_os = "linux")]
#[test]
fn streams_that_are_full_or_closed_end_no_program_by_a_panic() {
    let bench = fitted();
    let code = |line: &str| {
        let mut shell = std::process::Command::new("sh");
        let program = env!("CARGO_BIN_EXE_actum");
        shell.args(["-c", &line.replace("actum", program)]);
        let output = shell.current_dir(bench.path(".")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked"), "{line}: {text}");
        output.status.code()
    };
    assert_eq!(code("actum check population.npz > /dev/full"), Some(2));
    assert_eq!(code("actum check nothing.npz 2> /dev/full"), Some(2));
    assert_eq!(code("actum check nothing.npz >&- 2>&-"), Some(2));
    assert_eq!(code("actum --help > /dev/full 2>&1"), Some(0));
    let fit = format!("actum fit population.npz -o full {SMALL} 2> /dev/full");
    assert_eq!(code(&fit), Some(0));
    assert_eq!(code("actum check population.npz | true"), Some(0));
}

#[test]
fn what_is_declared_is_compared_with_the_memory_that_may_be_taken() {
    let bench = Bench::new();
    let wide = "fit population.npz -o run --set network.width=60000 --set network.depth=1000";
    bench
        .run(wide)
        .error(&["a network of width 60000", "of memory"]);
    bench
        .run("fit population.npz -o run --set network.width=100000")
        .error(&["`width` must be from 1 to 65536"]);
    bench
        .run("fit population.npz -o run --set fit.batch=10000000 --memory 100M")
        .error(&["`batch`: 10000000 points", "100.0 MB may be taken"]);
    bench
        .run("fit population.npz -o run --set fit.batch=99999999999")
        .error(&["`batch` must be from 1 to 100000000"]);
    bench
        .run("fit population.npz -o run --steps 9999999999999")
        .error(&["`steps` must be from 1 to 1000000000"]);
    bench
        .run("check population.npz --memory 5")
        .error(&["at least 1MB"]);
    assert_eq!(bench.names("."), ["population.npz"]);
}

#[test]
fn numbers_that_are_not_finite_reach_no_run() {
    let bench = Bench::new();
    bench
        .run(&format!(
            "fit population.npz -o run --cost power:1e6 {SMALL}"
        ))
        .error(&["a cost of the power 1000000"]);
    bench.write(
        "heavy.csv",
        "t,x,w\n0,0,1e308\n0,1,1e308\n1,2,1e308\n1,3,1e308\n",
    );
    bench
        .run(&format!("fit heavy.csv -o run {SMALL}"))
        .error(&["the sum of the 2 weights is not finite"]);
    assert_eq!(bench.names("."), ["heavy.csv", "population.npz"]);
}

#[test]
fn what_is_written_is_none_of_what_is_read() {
    let bench = fitted();
    let whole = fs::read(bench.path("population.npz")).unwrap();
    for line in [
        "simulate run --start population.npz -o population.npz",
        "simulate run -o population.npz",
        "annotate run population.npz -o population.npz",
        "annotate run -o ./population.npz",
    ] {
        bench
            .run(line)
            .error(&["population.npz is an input of this command"]);
    }
    assert_eq!(fs::read(bench.path("population.npz")).unwrap(), whole);
}

#[cfg(unix)]
#[test]
fn links_and_paths_that_are_no_text_are_kept() {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink},
    };
    let bench = fitted();
    symlink("nowhere.npz", bench.path("link.npz")).unwrap();
    bench
        .run("simulate run -o link.npz")
        .error(&["link.npz: it is a link to nowhere.npz"]);
    let odd = OsStr::from_bytes(b"caf\xe9.npz");
    fs::copy(bench.path("population.npz"), bench.path(".").join(odd)).unwrap();
    let run = |typed: &[&OsStr]| Outcome::of(bench.program().args(typed).output().unwrap());
    let words = |line: &'static str| line.split(' ').map(OsStr::new);
    let fit: Vec<&OsStr> = words("fit -o other")
        .chain([odd])
        .chain(words(SMALL))
        .collect();
    let said = run(&fit).done();
    assert!(said.contains("actum score other $'caf\\xe9.npz'"), "{said}");
    run(&words("simulate other -o moved.npz").collect::<Vec<_>>()).done();
    let evaluate: Vec<&OsStr> = words("evaluate -o evaluation -m lines")
        .chain(words("--set fit.steps=5 --set network.width=8"))
        .chain([odd])
        .collect();
    run(&evaluate).done();
    let again = run(&words("collect evaluation").collect::<Vec<_>>()).done();
    assert!(again.contains("$'"), "{again}");
    let check: Vec<&OsStr> = words("check --json").chain([odd]).collect();
    assert!(run(&check).done().contains("\"file\""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_grows_too_large_is_an_error_without_a_trap_too() {
    let bench = fitted();
    let mut shell = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_actum");
    shell.args([
        "-c",
        "ulimit -f 1; exec \"$0\" simulate run -o big.csv",
        program,
    ]);
    let output = shell.current_dir(bench.path(".")).output().unwrap();
    Outcome::of(output).error(&["big.csv"]);
    assert_eq!(bench.names("."), ["population.npz", "run"]);
}

#[cfg(unix)]
#[test]
fn what_dead_processes_left_is_removed() {
    let bench = fitted();
    fs::write(bench.path(".actum-abcdef"), "half").unwrap();
    fs::create_dir(bench.path(".actum-shards")).unwrap();
    bench.run("simulate run -o moved.npz").done();
    assert_eq!(bench.names("."), ["moved.npz", "population.npz", "run"]);
}

#[test]
fn times_that_differ_by_their_last_digits_are_drawn() {
    let bench = Bench::empty();
    let mut text = "t,x,y\n".to_owned();
    for k in 0..3 {
        for i in 0..25 {
            let (x, y) = (f64::from(k) + f64::from(i).sin(), f64::from(i).cos());
            text += &format!("{}.0,{x},{y}\n", 1_000_000_000_000_000_u64 + k as u64);
        }
    }
    bench.write("late.csv", &text);
    bench.run(&format!("fit late.csv -o run {SMALL}")).done();
    bench.run("plot run -o pictures").done();
}

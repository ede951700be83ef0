//! `actum evaluate`.

use std::fs;

use serde_json::Value;

use crate::support::{Bench, Outcome};

const SMALL: &str = "--set fit.steps=20 --set network.width=8 --set fit.batch=32";

#[test]
fn a_newcomer_gets_an_answer() {
    let bench = Bench::new();
    let outcome = bench.run(&format!("evaluate population.npz {SMALL}"));
    assert!(
        outcome.err.contains("steps/s") && outcome.err.contains("left"),
        "{}",
        outcome.err
    );
    let text = outcome.done();
    for part in [
        "Left out in turn: 6, 20. Distances in units of the file",
        "From the snapshot before: means over 2 times",
        "From the snapshots on both sides",
        "action matching: lines",
        "action matching: clocked",
        "linear transport",
        "two samples",
        "less linear transport, 95 % over times",
        "of 2",
        "Energy distance at each time",
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(
        text.contains("\nUse ") || text.contains("\nStraight-line"),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_large_coupling() {
    use std::{
        process::{Command, Stdio},
        thread::sleep,
        time::Duration,
    };

    let bench = Bench::empty();
    let points = |t: i32| {
        (0..30_000).map(move |i| {
            let i = f64::from(i);
            let (x, y) = ((1.3 * i).sin() + f64::from(t), (0.7 * i * i).cos());
            format!("{t},{x},{y}\n")
        })
    };
    let rows: String = (0..3).flat_map(points).collect();
    bench.write("cells.csv", &format!("t,x,y\n{rows}"));
    let child = bench
        .program()
        .args("evaluate cells.csv -o out".split(' '))
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its settings are written soon before the first coupling, which takes long.
    while !bench.path("out").is_dir() {
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_secs(2));
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.error(&["stopped after 0 of", "the same command goes on"]);
}

#[test]
fn what_is_finished_is_kept_and_not_done_again() {
    let bench = Bench::new();
    bench.write(
        "wide.toml",
        "[network]\nwidth = 12\n[path]\ninterpolation = \"cubic\"\n",
    );
    let line = format!(
        "evaluate population.npz {SMALL} -m lines -m wide.toml --from first --nested --seeds 2 \
         --standardize -o out --json"
    );
    let one = bench.run(&line).done();
    let read: Value = serde_json::from_str(&one).unwrap();
    let table = &read["report"]["tables"][0];
    assert_eq!(table["protocol"], "first");
    let names: Vec<&str> = table["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..4], ["lines", "wide", "chosen", "previous snapshot"]);
    assert!(table["rows"][0]["at"][0]["w1_over_seeds"].as_f64().unwrap() > 0.0);
    let next = read["next"].as_str().unwrap();
    assert!(
        next.starts_with("actum fit population.npz --standardize"),
        "{next}"
    );
    let found = bench.names("out");
    // Two references, and two methods from two seeds without 6, 20, and both.
    assert_eq!(
        found.iter().filter(|name| name.starts_with("job-")).count(),
        2 + 12
    );
    for name in ["evaluation.json", "evaluation.svg", "evaluation.png"] {
        assert!(found.iter().any(|there| there == name), "{found:?}");
    }
    let file = bench.path("out/job-0005.json");
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let untouched = fs::metadata(bench.path("out/job-0004.json"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(bench.run(&line).done(), one);
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let after = fs::metadata(bench.path("out/job-0004.json"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(untouched, after);
    // Of other data and settings it is refused, and says what differs.
    let other = line.replace("fit.steps=20", "fit.steps=21");
    bench.run(&other).error(&[
        "methods.lines.settings.fit.steps is 20, not 21",
        "another folder",
    ]);
    bench
        .run(&line.replace("--seeds 2", "--seeds 3"))
        .error(&["options.seeds is 2, not 3"]);
}

/// Shares that many machines do, each by its own variable, make the tables of one command.
#[test]
fn shares_are_collected() {
    let bench = Bench::new();
    let line = format!("evaluate population.npz {SMALL} --json");
    let mut whole: Value = serde_json::from_str(&bench.run(&line).done()).unwrap();
    let share = |job: &str, variables: &[(&str, &str)]| {
        let mut program = bench.program();
        for name in [
            "SLURM_ARRAY_TASK_ID",
            "SLURM_ARRAY_TASK_MIN",
            "JOB_COMPLETION_INDEX",
            "OMPI_COMM_WORLD_RANK",
        ] {
            program.env_remove(name);
        }
        let line = format!("{line} -o out --job {job}");
        let typed = program.args(line.split(' '));
        let output = typed.envs(variables.iter().copied()).output();
        Outcome::of(output.unwrap())
    };
    share("0/4", &[]).done();
    let some = bench.run("collect out");
    assert_eq!(some.code, 1, "{}{}", some.out, some.err);
    assert!(some.out.contains("of 6 jobs are not done"), "{}", some.out);
    assert!(some.out.contains("clocked without 20"), "{}", some.out);
    let json = bench.run("collect out --json");
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["missing"].as_array().unwrap().len(), 4);
    // Arrays may count from 1.
    let slurm = [("SLURM_ARRAY_TASK_ID", "2"), ("SLURM_ARRAY_TASK_MIN", "1")];
    share("auto/4", &slurm).done();
    share("auto/4", &[("JOB_COMPLETION_INDEX", "2")]).done();
    let told = share("auto/4", &[("OMPI_COMM_WORLD_RANK", "3")]).done();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!([&told["jobs_done"], &told["jobs"]], [6, 6]);
    // A share that is done again changes nothing.
    let file = bench.path("out/job-0003.json");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    share("1/4", &[]).done();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    let mut collected: Value =
        serde_json::from_str(&bench.run("collect out --json").done()).unwrap();
    for report in [&mut whole, &mut collected] {
        report["pictures"].take();
        report["file"].take();
        report["next"].take();
    }
    assert_eq!(collected, whole);
    share("4/4", &[]).error(&["--job", "from 0 to 3 of 4, got 4"]);
    share("auto/4", &[]).error(&["SLURM_ARRAY_TASK_ID", "--job 0/40"]);
    share("auto/4", &[("JOB_COMPLETION_INDEX", "two")]).error(&["JOB_COMPLETION_INDEX", "two"]);
    share("two", &[]).error(&["I/N"]);
    bench
        .run(&format!("evaluate population.npz {SMALL} --job 0/2"))
        .error(&["--output"]);
    bench
        .run(&format!(
            "evaluate population.npz {SMALL} -o fresh --job 4/4"
        ))
        .error(&["--job"]);
    assert!(!bench.path("fresh").exists());
    bench.run("collect gone").error(&["gone", "command.json"]);
    // A folder of other settings is refused.
    let other = line.replace("fit.steps=20", "fit.steps=21");
    bench
        .run(&format!("{other} -o out --job 0/4"))
        .error(&["fit.steps is 20, not 21"]);
}

#[test]
fn what_is_wrong_is_said() {
    let bench = Bench::new();
    let run = |line: &str| bench.run(&format!("evaluate population.npz {line}"));
    run("-m smooth").error(&[
        "the method `smooth` is not there",
        "lines, clocked, cubic, monotone, forced, metric, recoupled, growth, noise, bridge",
    ]);
    bench.write("odd.toml", "[fit]\nstep = 5\n");
    run("-m odd.toml").error(&["odd.toml", "step", "steps"]);
    run("-m gone.toml").error(&["gone.toml"]);
    bench.write("dims.toml", "[data]\ndims = 1\n");
    run("-m dims.toml").error(&["method dims", "data.dims"]);
    run("--from left").error(&["previous, first, both"]);
    run("--set fit.step=5").error(&["fit.step"]);
    run("--points 3").error(&["20 points or more", "3 points"]);
    run("--seeds 0").error(&["0 seeds"]);
    bench.write("two.csv", "time,x\n0,1\n0,2\n1,3\n1,4\n");
    bench
        .run("evaluate two.csv")
        .error(&["two.csv", "there are none", "0, 1"]);
    let rows: String = (0..12).map(|i| format!("{},{}\n", i / 4, i * i)).collect();
    bench.write("three.csv", &format!("time,x\n{rows}"));
    bench
        .run("evaluate three.csv --nested")
        .error(&["four times", "at the one time 1"]);
    fs::create_dir(bench.path("mine")).unwrap();
    bench.write("mine/notes.txt", "");
    run("-o mine").error(&["notes.txt", "another folder"]);
    let one = bench.run(&format!("evaluate three.csv {SMALL}")).done();
    assert!(one.contains("95 % over points"), "{one}");
    assert!(one.contains("fewer than 10 points at 1 (4)"), "{one}");
    assert!(one.contains("say nothing of other times"), "{one}");
}

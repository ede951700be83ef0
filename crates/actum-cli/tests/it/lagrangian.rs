//! Noise, growth, costs, drifts and masses in every command.

use std::fs;

use actum::data;

use crate::support::{DYING, SMALL, dying};

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
        let mut header = table.lines().next().unwrap().split(',');
        assert_eq!(header.any(|name| name == "w"), grows);
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

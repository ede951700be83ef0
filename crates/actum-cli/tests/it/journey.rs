//! A fit followed by all that is done with it.

use std::fs;

use actum::data;

use crate::support::fitted;

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
        "two samples",
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
        "error",
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

//! Generation, by Action Matching and by score matching.

use std::fs;

use actum::data::Images;

use super::{Bench, SMALL, shape, shapes};

#[test]
fn generate_fit_sample_score_and_resume() {
    let bench = Bench::new();
    // Made-up images of 16 x 16, halved.
    let said = bench.done(&format!("fit -o run --halve {SMALL}"));
    assert!(
        said.contains("40 images of 8 x 8 pixels in 3 channels"),
        "{said}"
    );
    for name in [
        "samples.png",
        "settings.toml",
        "run.json",
        "model.safetensors",
        "checkpoint.safetensors",
        "log.jsonl",
    ] {
        assert!(bench.path("run").join(name).is_file(), "{name}");
    }

    let said = bench.done("sample run -n 5 -o five.npz --steps 4");
    assert!(said.contains("5 images, 16 evaluations"), "{said}");
    assert_eq!(shape(&bench.path("five.npz")), (5, [8, 8, 3]));
    bench.done("sample run -n 5 -o again --steps 4");
    let [a, b] = ["five.npz", "again"].map(|name| Images::read(&bench.path(name)).unwrap());
    assert_eq!(a.pixels(), b.pixels());
    bench.done("sample run -n 4 -o grid.png");
    assert_eq!(shape(&bench.path("grid.png")).1[2], 3);

    let scores = &bench.json("score run --data shapes -n 16 --json")["scores"];
    for row in ["model", "gaussian", "real"] {
        assert!(scores[row]["energy"].as_f64().unwrap() > 0.0, "{scores}");
    }
    assert!(scores["bits_per_dimension"].as_f64().unwrap().is_finite());
    assert_eq!(scores["bits_of"], 16);
    let table = bench.done("score run --data whole.npz -n 8");
    assert!(
        table.contains("Gaussian") && table.contains("Bits"),
        "{table}"
    );

    // What an interrupted fit leaves: everything but the model.
    let model = bench.path("run/model.safetensors");
    let whole = fs::read(&model).unwrap();
    fs::remove_file(&model).unwrap();
    bench.error("sample run -o x.png", &["is not finished", "--resume"]);
    bench.error(
        "fit -o run --resume --steps 30",
        &["fit.steps is 20, not 30"],
    );
    bench.error("fit -o run --resume --data whole.npz", &["other data"]);
    bench.done("fit -o run --resume");
    assert_eq!(fs::read(&model).unwrap(), whole);
    bench.done(&format!("fit -o twin --halve {SMALL} --mirror --seed 1"));
    assert_ne!(
        fs::read(bench.path("twin/model.safetensors")).unwrap(),
        whole
    );
}

#[test]
fn every_path_generates() {
    let bench = Bench::new();
    for path in ["vp", "subvp", "ve", "linear", "heat", "torus"] {
        bench.done(&format!(
            "fit -o {path} --path {path} --data whole.npz {SMALL}"
        ));
        bench.done(&format!("sample {path} -n 3 -o {path}.npz --steps 3"));
        assert_eq!(shape(&bench.path(&format!("{path}.npz"))).0, 3);
    }
    bench.error(
        "score heat --data whole.npz --temperature 1",
        &["heat generates images", "leave it out"],
    );
    let said = bench.done("score heat --data whole.npz -n 4");
    assert!(said.contains("unknown"), "{said}");
    let bits =
        &bench.json("score torus --data whole.npz -n 4 --json")["scores"]["bits_per_dimension"];
    assert!(bits.as_f64().unwrap() > 0.0, "{bits}");
}

/// Where the network cannot halve images it does not.
#[test]
fn images_of_odd_sizes_have_one_level() {
    let bench = Bench::new();
    shapes(7, 3, 2).write_npz(&bench.path("odd.npz")).unwrap();
    bench.done(&format!("fit -o odd --data odd.npz {SMALL}"));
    bench.done("sample odd -n 2 -o made.npz --steps 2");
}

#[test]
fn score_matching_does_all_that_generation_does() {
    let bench = Bench::new();
    for path in ["vp", "subvp", "ve"] {
        let fit = format!("fit -o {path} --method score --path {path} --data whole.npz {SMALL}");
        bench.done(&fit);
        assert!(bench.path(path).join("samples.png").is_file());
        let said = bench.done(&format!("sample {path} -n 3 -o {path}.npz --steps 3"));
        assert!(said.contains("12 evaluations"), "{said}");
        assert_eq!(shape(&bench.path(&format!("{path}.npz"))), (3, [8, 8, 3]));
    }
    let settings = fs::read_to_string(bench.path("vp/settings.toml")).unwrap();
    assert!(settings.contains("method = \"score\""), "{settings}");
    let said = bench.done("score vp --data whole.npz -n 8");
    assert!(said.contains("score matching") && !said.contains("action matching"));
    let found = bench.json("score vp --data whole.npz -n 8 --json");
    assert_eq!(found["method"], "score");
    let bits = &found["scores"]["bits_per_dimension"];
    assert!(bits.as_f64().unwrap().is_finite(), "{found}");

    let model = bench.path("vp/model.safetensors");
    let whole = fs::read(&model).unwrap();
    fs::remove_file(&model).unwrap();
    bench.error(
        "fit -o vp --resume --method action",
        &["method is \"score\", not \"action\""],
    );
    bench.done("fit -o vp --resume --method score");
    assert_eq!(fs::read(&model).unwrap(), whole);
    // The same images and draws, another objective.
    bench.done(&format!("fit -o action --path vp --data whole.npz {SMALL}"));
    assert_ne!(
        fs::read(bench.path("action/model.safetensors")).unwrap(),
        whole
    );
}

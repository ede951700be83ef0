//! `actum image` as a person meets it, on images of 8 x 8 pixels.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use actum::data::{Images, Shapes};
use tempfile::TempDir;

struct Bench(TempDir);

const SMALL: &str = "--limit 40 --steps 20 --set network.channels=4 --set fit.batch=8";

impl Bench {
    /// A folder with whole images of 8 x 8 pixels, `whole.npz`.
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        shapes(8, 3, 40)
            .write_npz(&bench.path("whole.npz"))
            .unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command line split at spaces in the folder: the exit code, and what was printed.
    fn run(&self, line: &str) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_actum"))
            .arg("image")
            .args(line.split(' '))
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    #[track_caller]
    fn done(&self, line: &str) -> String {
        let (code, text) = self.run(line);
        assert_eq!(code, 0, "{line}: {text}");
        text
    }

    /// An error: exit code 2, a message with these parts, none of it a panic.
    #[track_caller]
    fn error(&self, line: &str, parts: &[&str]) {
        let (code, text) = self.run(line);
        assert_eq!(code, 2, "{line}: {text}");
        for part in parts {
            assert!(text.contains(part), "no {part:?} in: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    }

    fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.done(line)).unwrap()
    }
}

fn shapes(side: usize, channels: usize, n: usize) -> Images {
    let shapes = Shapes {
        height: side,
        width: side,
        channels,
    };
    shapes.draw(n, 7).unwrap()
}

fn shape(path: &Path) -> (usize, [usize; 3]) {
    let images = Images::read(path).unwrap();
    (images.len(), images.shape())
}

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

#[test]
fn images_are_restored() {
    let bench = Bench::new();
    shapes(4, 3, 2).write_npz(&bench.path("low.npz")).unwrap();
    shapes(8, 1, 2).write_npz(&bench.path("gray.npz")).unwrap();
    for task in ["superres", "colorize", "inpaint"] {
        bench.done(&format!(
            "fit -o {task} --task {task} --data whole.npz {SMALL}"
        ));
        let grid = format!("{task}.png");
        let said = bench.done(&format!(
            "restore {task} --input whole.npz -n 2 -o {grid} --steps 3"
        ));
        assert!(said.contains("restored, the image"), "{said}");
        // Four images of 64 pixels in a row, two rows, with gaps of 2.
        assert_eq!(shape(&bench.path(&grid)).1, [134, 266, 3]);
        let scores = &bench.json(&format!("score {task} --data whole.npz -n 4 --json"))["scores"];
        assert!(scores["baseline_psnr"].as_f64().unwrap() > 5.0, "{scores}");
        assert!(scores["psnr"].as_f64().is_some() && scores["ssim"].is_null());
        assert!(
            bench
                .done(&format!("score {task} --data whole.npz"))
                .contains("baseline")
        );
        bench.error(&format!("sample {task} -o x.png"), &["restores images"]);
    }
    for (task, input) in [("superres", "low.npz"), ("colorize", "gray.npz")] {
        let said = bench.done(&format!("restore {task} --input {input} -o {task}-in.png"));
        assert!(said.ends_with("baseline, restored\n"), "{said}");
        bench.done(&format!("restore {task} --input {input} -o {task}-out"));
        let restored = shape(&bench.path(&format!("{task}-out")));
        assert_eq!(restored, (2, [8, 8, 3]));
    }
    bench.error("score superres --data low.npz", &["one shape", "4 x 4"]);

    // The middle of what fits, whatever the seed, or draws of it.
    let restore = |name: &str, how: &str| {
        bench.done(&format!(
            "restore inpaint --input whole.npz -n 2 -o {name}.npz --steps 3 {how}"
        ));
        let images = Images::read(&bench.path(&format!("{name}.npz"))).unwrap();
        images.pixels().clone()
    };
    let cold = restore("cold", "--seed 1");
    assert_eq!(cold, restore("cold-too", "--seed 2"));
    let hot = restore("hot", "--seed 1 --temperature 1");
    assert_ne!(hot, cold);
    assert_ne!(hot, restore("hot-too", "--seed 2 --temperature 1"));
    let found = bench.json("score inpaint --data whole.npz -n 2 --temperature 0.5 --json");
    assert_eq!(found["temperature"], 0.5);
    bench.error(
        "restore inpaint --input whole.npz -o x.png --temperature -1",
        &["temperature", "-1"],
    );
    assert!(!bench.path("x.png").exists());

    // A mask of one's own: a picture that is white where hidden.
    let mut mask = ndarray::Array4::zeros((1, 8, 8, 1));
    mask.slice_mut(ndarray::s![.., 2..5, 3..6, ..]).fill(255);
    let mask = Images::new(mask, "mask").unwrap();
    mask.write_npz(&bench.path("mask.npz")).unwrap();
    bench.done(&format!(
        "fit -o hole --task inpaint --mask mask.npz --data whole.npz {SMALL}"
    ));
    let settings = fs::read_to_string(bench.path("hole/settings.toml")).unwrap();
    assert!(settings.contains("...###.."), "{settings}");
    bench.done("restore hole --input whole.npz -n 1 -o hole.npz --steps 3");
    let [truth, filled] = ["whole.npz", "hole.npz"].map(|n| Images::read(&bench.path(n)).unwrap());
    let pair = truth.image(0).iter().zip(filled.image(0)).enumerate();
    for (k, (truth, filled)) in pair {
        let (y, x) = (k / 3 / 8, k / 3 % 8);
        let hidden = (2..5).contains(&y) && (3..6).contains(&x);
        assert!(hidden || truth == filled, "{y} {x}");
    }
}

#[test]
fn bad_input_is_explained_and_leaves_nothing() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    fs::create_dir(bench.path("mixed")).unwrap();
    let save = |images: Images, name: &str| images.write_folder(&bench.path(name)).unwrap();
    save(shapes(8, 3, 2), "eight");
    save(shapes(6, 3, 2), "six");
    for (from, to) in [("eight", "mixed/a.png"), ("six", "mixed/b.png")] {
        let from = bench.path(from).join("00000.png");
        fs::copy(from, bench.path(to)).unwrap();
    }
    let png = fs::read(bench.path("eight/00000.png")).unwrap();
    fs::write(bench.path("short.png"), &png[..png.len() / 2]).unwrap();
    // Ten images of 8 x 8 promised, one and a half given.
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 8, 0, 0, 0, 8];
    idx.extend([7; 96]);
    fs::write(bench.path("short.idx"), idx).unwrap();
    shapes(8, 1, 2).write_npz(&bench.path("gray.npz")).unwrap();
    shapes(7, 3, 2).write_npz(&bench.path("odd.npz")).unwrap();
    let mut mask = ndarray::Array4::zeros((1, 6, 6, 1));
    mask[[0, 0, 0, 0]] = 255;
    let mask = Images::new(mask, "mask").unwrap();
    mask.write_npz(&bench.path("mask.npz")).unwrap();

    let bad: [(&str, &[&str]); 18] = [
        ("--data none.png", &["none.png"]),
        ("--data empty", &["empty", "no .png"]),
        ("--data mixed", &["b.png", "6 pixels high", "8 high"]),
        ("--data short.png", &["short.png", "truncated"]),
        ("--data short.idx", &["short.idx"]),
        ("--data odd.npz --set network.levels=2", &["7x7", "8x8"]),
        ("--data odd.npz --halve", &["halved", "7 x 7"]),
        ("--data gray.npz --task colorize", &["3 channels", "1"]),
        (
            "--data eight --task inpaint --mask mask.npz",
            &["8 x 8", "6 x 6"],
        ),
        ("--data eight --mask top", &["inpaint"]),
        ("--data eight --task superres --path ve", &["path"]),
        (
            "--data eight --method score --path heat",
            &["score", "vp, subvp or ve"],
        ),
        (
            "--data eight --method score --path linear",
            &["vp, subvp or ve", "action"],
        ),
        (
            "--data eight --method score --task inpaint",
            &["generate", "vp, subvp or ve"],
        ),
        (
            "--data eight --method score --set fit.estimator=samples",
            &["fit.estimator", "velocity"],
        ),
        ("--data eight --limit 0", &["limit", "0"]),
        (
            "--data eight --set network.channels=6",
            &["multiple of 4", "8"],
        ),
        (
            "--data eight --set network.chanels=8",
            &["chanels", "channels"],
        ),
    ];
    for (line, parts) in bad {
        bench.error(&format!("fit -o run {line}"), parts);
        assert!(!bench.path("run").exists(), "{line}");
    }
    bench.error("fit -o run --task paint", &["paint", "superres"]);
    bench.error("fit -o run --method ddpm", &["ddpm", "action", "score"]);
    bench.error("fit -o run --path vq", &["vq", "subvp"]);

    bench.done(&format!(
        "fit -o run --task superres --data whole.npz {SMALL}"
    ));
    bench.error("fit -o run --data whole.npz", &["--overwrite", "--resume"]);
    bench.error(
        "restore run --input six -o x.png",
        &["six", "8 x 8", "6 x 6"],
    );
    bench.error(
        "restore run --input gray.npz -o x.png",
        &["3 channel", "in 1"],
    );
    bench.error("restore run --input whole.npz -o x.jpg", &[".jpg", ".png"]);
    bench.error("restore run --input eight -o six", &["six", "already"]);
    bench.error("restore run --input eight -o no/x.png", &["no"]);
    bench.error("score run --data six", &["8 x 8"]);
    bench.error("sample nothing -o x.png", &["not a run"]);
    assert!(!bench.path("x.png").exists() && !bench.path("x.jpg").exists());

    // A run of snapshots is another thing.
    let points = "t,x\n0,1\n0,2\n1,2\n1,3\n";
    fs::write(bench.path("points.csv"), points).unwrap();
    let actum = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actum"));
        let output = command.args(line.split(' ')).current_dir(bench.0.path());
        let output = output.output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(actum("fit points.csv -o snapshots --steps 2").0, 0);
    bench.error("sample snapshots -o x.png", &["not a run of images"]);
    let (code, text) = actum("inspect run");
    assert!(
        code == 2 && text.contains("not a run of snapshots"),
        "{text}"
    );
}

//! `actum image` as a person meets it, on images of 8 x 8 pixels.

mod errors;
mod generate;
mod restore;

use std::path::{Path, PathBuf};

use std::fs;

use actum::{data::Images, gallery::Shapes};

use crate::support::{Bench as Folder, Outcome};

/// A folder with whole images of 8 x 8 pixels, `whole.npz`.
struct Bench(Folder);

const SMALL: &str = "--limit 40 --steps 20 --set network.channels=4 --set fit.batch=8";

impl Bench {
    fn new() -> Self {
        let bench = Self(Folder::empty());
        let images = shapes(8, 3, 40);
        images.write_npz(&bench.path("whole.npz")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn run(&self, line: &str) -> Outcome {
        self.0.run(&format!("image {line}"))
    }

    /// All that was printed.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let outcome = self.run(line);
        let err = outcome.err.clone();
        outcome.done() + &err
    }

    #[track_caller]
    fn error(&self, line: &str, parts: &[&str]) {
        self.run(line).error(parts);
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
fn the_order_of_settings_does_not_matter() {
    let bench = Bench::new();
    let settings = |flags: &str| {
        let fit = format!("fit -o run --overwrite --data whole.npz {flags} {SMALL}");
        bench.done(&fit);
        fs::read_to_string(bench.path("run/settings.toml")).unwrap()
    };
    let expected = settings("--set task=inpaint --set mask=top");
    assert!(expected.contains("mask = \"top\""), "{expected}");
    for flags in [
        "--set mask=top --set task=inpaint",
        "--set mask=top --task inpaint",
        "--mask top --set task=superres --task inpaint",
    ] {
        assert_eq!(settings(flags), expected, "{flags}");
    }
    bench.error("fit -o other --set mask=top", &["inpaint"]);
    bench.error(
        "fit -o other --set tusk=inpaint",
        &["tusk=inpaint", "`task`"],
    );
}

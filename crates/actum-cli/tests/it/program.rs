//! The program itself: its help, its demo.

use crate::support::{Bench, fitted};

#[test]
fn a_demo_takes_only_an_empty_folder_or_its_own() {
    let bench = fitted();
    bench
        .run("demo --out .")
        .error(&[". is there already", "--out"]);
    assert!(bench.path("run/model.safetensors").exists());
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

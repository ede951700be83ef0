//! What is refused.

use std::fs;

use actum::data::Images;

use super::{Bench, SMALL, shapes};

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
    bench.0.run("fit points.csv -o snapshots --steps 2").done();
    bench.error("sample snapshots -o x.png", &["not a run of images"]);
    bench
        .0
        .run("inspect run")
        .error(&["not a run of snapshots"]);
}

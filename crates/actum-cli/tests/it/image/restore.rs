//! Restoration.

use std::fs;

use actum::data::Images;

use super::{Bench, SMALL, shape, shapes};

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

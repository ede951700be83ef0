//! `actum gallery`.

use std::fs;

use crate::support::Bench;

#[test]
fn problems_are_listed_made_and_learned() {
    let bench = Bench::new();
    let list = bench.run("gallery --list").done();
    for name in ["figure-1", "hydrogen", "0 to 14000", "2 or any"] {
        assert!(list.contains(name), "no {name} in {list}");
    }
    assert_eq!(bench.run("gallery").done(), list);
    let list: serde_json::Value =
        serde_json::from_str(&bench.run("gallery --list --json").done()).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 12);
    assert_eq!(list[1]["name"], "figure-1-diffusing");

    let made = bench.run("gallery nonlinear-heat -n 200 --times 0,0.2,0.5,1 --columns 1 -o p.npz");
    let made = made.done();
    assert!(
        made.contains("200 points at each of 4 times from 0 to 1 in 1 column"),
        "{made}"
    );
    assert!(
        made.contains("actum fit p.npz --velocity-key V -o run"),
        "{made}"
    );
    bench
        .run("fit p.npz --velocity-key V --steps 300 --set network.width=32 -o run")
        .done();
    let told: serde_json::Value =
        serde_json::from_str(&bench.run("annotate run --json").done()).unwrap();
    let errors = told["times"].as_array().unwrap().iter();
    let errors: Vec<f64> = errors
        .map(|t| t["velocity_error"].as_f64().unwrap())
        .collect();
    assert!(
        errors.len() == 4 && errors.iter().all(|e| (0.01..0.9).contains(e)),
        "{errors:?}"
    );
    assert!(bench.run("annotate run").done().contains("error"));

    // Tables hold the velocities as columns; the hint names them.
    let table = bench.run("gallery vlasov -n 20 -o v.csv").done();
    assert!(table.contains("--velocity-key v_x0,v_x1"), "{table}");
    let checked = bench.run("check v.csv --velocity-key v_x0,v_x1").done();
    assert!(checked.contains("in 2 columns"), "{checked}");

    // The same seed gives the same file.
    let file = |line: &str| {
        bench.run(line).done();
        fs::read(bench.path("s.npz")).unwrap()
    };
    let one = file("gallery cycle -n 20 -o s.npz");
    assert_eq!(one, file("gallery cycle -n 20 -o s.npz"));
    assert_ne!(one, file("gallery cycle -n 20 --seed 1 -o s.npz"));
}

#[test]
fn problems_that_are_not_there_are_errors_that_leave_nothing() {
    let bench = Bench::new();
    for (line, parts) in [
        (
            "gallery heart -o p.npz",
            ["`heart`", "heat, porous-medium-2"],
        ),
        ("gallery heat --times 0,1.5 -o p.npz", ["[0, 1]", "1.5"]),
        ("gallery heat --times 1,0 -o p.npz", ["increas", "0"]),
        ("gallery heat -n 0 -o p.npz", ["2 points or more", "0"]),
        (
            "gallery heat --columns 0 -o p.npz",
            ["at least 1 column", "0"],
        ),
        (
            "gallery hydrogen --columns 2 -o p.npz",
            ["3 columns", "heat"],
        ),
        ("gallery heat -o p.txt", ["p.txt", ".npz"]),
        ("gallery heat", ["--output", "FILE"]),
        ("gallery -o p.npz", ["NAME", "required"]),
        ("gallery -n 5", ["NAME", "required"]),
        (
            "gallery heat -n 18446744073709551615 -o p.npz",
            ["18446744073709551615", "fewer"],
        ),
        (
            "gallery heat --columns 18446744073709551615 -o p.npz",
            ["10000 columns", "1844"],
        ),
        ("gallery --list -o p.npz", ["--list", "cannot be used"]),
    ] {
        bench.run(line).error(&parts);
    }
    assert!(!bench.path("p.npz").exists());
}

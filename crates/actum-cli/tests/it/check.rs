//! `actum check`.

use crate::support::{Bench, SMALL};

#[test]
fn check_says_which_share_of_velocities_is_a_gradient() {
    let bench = Bench::new();
    let mut text = "t,x,y,vx,vy\n".to_owned();
    for i in 0..240 {
        let (x, y) = ((i as f64 * 0.37).sin(), (i as f64 * 0.73).cos());
        text += &format!("{},{x},{y},{},{x}\n", i % 2, -y);
    }
    bench.write("round.csv", &text);
    let out = bench
        .run("check round.csv --points-key x,y --velocity-key vx,vy")
        .done();
    assert!(
        out.contains("gradient  smooth") && out.contains("they go round"),
        "{out}"
    );
    assert!(out.contains("--drift vx,vy"), "{out}");

    // Velocities in other units than the points and times, and numbers of points that fall.
    let mut text = "t,x,vx\n".to_owned();
    for (t, n) in [(0, 60), (1, 30)] {
        for i in 0..n {
            text += &format!("{t},{},24\n", t as f64 * 2.0 + (i as f64 * 0.37).sin());
        }
    }
    bench.write("fast.csv", &text);
    let out = bench
        .run("check fast.csv --points-key x --velocity-key vx")
        .done();
    assert!(
        out.contains("move the mean 1") && out.contains("units of the points"),
        "{out}"
    );
    assert!(
        out.contains("from 60 to 30") && out.contains("--mass counts"),
        "{out}"
    );
    assert!(!out.contains("--drift vx "), "{out}");
    let json = bench
        .run("check fast.csv --points-key x --velocity-key vx --json")
        .done();
    assert!(
        json.contains("move the mean 1") && json.contains("from 60 to 30"),
        "{json}"
    );
    let fit = format!("fit fast.csv --points-key x --growth auto {SMALL} -o run");
    assert!(bench.run(&fit).err.contains("--mass counts"));
}

#[test]
fn check_tells_what_is_there_and_suggests_a_command_that_works() {
    let bench = Bench::new();
    let text = bench.run("check population.npz").done();
    assert!(
        text.contains("240 points at 4 times in 2 columns"),
        "{text}"
    );
    let command = text
        .lines()
        .last()
        .unwrap()
        .trim()
        .strip_prefix("actum ")
        .unwrap();
    bench.run(&format!("{command} {SMALL}")).done();
    bench.write("one.csv", "t,x\n1,2\n1,3\n");
    let one = bench.run("check one.csv");
    assert_eq!(one.code, 1);
    assert!(one.out.contains("problem"), "{}", one.out);
    let json = bench.run("check population.npz --json").done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["times"][2]["time"], 20.0);
}

#[test]
fn check_counts_all_rows_of_a_large_file() {
    let bench = Bench::new();
    let row = |i: usize| format!("{},{},{}\n", i % 2, i % 101, i % 103);
    let rows: String = (0..25_000).map(row).collect();
    bench.write("large.csv", &format!("t,x,y\n{rows}"));
    let out = bench.run("check large.csv").done();
    for part in [
        "25000 points at 2 times",
        "a random 6,250 of 12,500 rows at each time are looked at",
    ] {
        assert!(out.contains(part), "{out}");
    }
    let json = bench.run("check large.csv --json").done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["times"][1]["points"], 12_500);
    assert!(json["sample"].as_str().unwrap().contains("12,500"));
    assert_eq!(bench.names("."), ["large.csv", "population.npz"]);
}

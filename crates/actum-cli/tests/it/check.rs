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

/// 60 points at each time of a label, about the day that the label means; the numbers of rows and
/// columns where a code stands for what is missing.
fn days(labels: &[(&str, f64)], missing: &[usize]) -> String {
    let mut text = "day,PC_1,PC_2\n".to_owned();
    for i in 0..60 * labels.len() {
        let (label, day) = labels[i % labels.len()];
        let second = match missing.contains(&i) {
            true => -9999.0,
            false => (i as f64 * 0.73).cos(),
        };
        text += &format!("{label},{},{second}\n", day + (i as f64 * 0.37).sin());
    }
    text
}

#[test]
fn check_names_codes_for_what_is_missing_and_fit_warns() {
    let bench = Bench::empty();
    bench.write("cells.csv", &days(&[("0", 0.0), ("1", 1.0)], &[57, 101]));
    let out = bench.run("check cells.csv").done();
    let warning = "warning: column PC_2: 2 values of -9999";
    for part in [warning, "rows 57, 101 (counted from 0)", "remove or impute"] {
        assert!(out.contains(part), "{out}");
    }
    let fit = bench.run(&format!("fit cells.csv -o run {SMALL}"));
    assert!(fit.err.contains(warning), "{}", fit.err);
    bench.write("cells.csv", &days(&[("rep1", 0.0), ("rep2", 1.0)], &[]));
    let out = bench.run("check cells.csv").done();
    for part in ["rep1, rep2", "names of a rep, not of times", "--time-key"] {
        assert!(out.contains(part), "{out}");
    }
}

#[test]
fn signs_in_times_are_read_in_files_and_on_the_command_line() {
    let bench = Bench::empty();
    let labels = [("D-3", -3.0), ("D-1", -1.0), ("D0", 0.0), ("D2", 2.0)];
    bench.write("cells.csv", &days(&labels, &[]));
    let json = bench.run("check cells.csv --json").done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (time, (label, day)) in json["times"].as_array().unwrap().iter().zip(labels) {
        assert_eq!(
            (&time["label"], &time["time"]),
            (&label.into(), &day.into())
        );
    }
    bench
        .run(&format!("fit cells.csv -o run --hold-out D-1 {SMALL}"))
        .done();
    bench
        .run("simulate run --from D0 --to D-2 -o moved.csv")
        .done();
    let moved = std::fs::read_to_string(bench.path("moved.csv")).unwrap();
    assert!(
        moved.lines().nth(1).unwrap().starts_with("0,D-2,"),
        "{moved}"
    );
    bench.write("cells.csv", &days(&[("D-7", -7.0), ("D1", 1.0)], &[]));
    bench
        .run("check cells.csv")
        .error(&["\"D-7\"", "-7, 1 or 7, 1"]);
}

#[test]
fn check_names_growth_where_counts_differ() {
    let bench = Bench::empty();
    let row = |i: usize| format!("{},{}.5\n", [0, 1, 1, 2][i % 4], i * 7 % 31);
    let rows: String = (0..120).map(row).collect();
    bench.write("cells.csv", &format!("t,x\n{rows}"));
    let out = bench.run("check cells.csv").done();
    for part in ["lie between 30 and 60", "--growth auto --mass counts"] {
        assert!(out.contains(part), "{out}");
    }
}

/// Two samples of one population at times 1 and 2, after a motion.
#[test]
fn check_says_where_nothing_moves() {
    let bench = Bench::new();
    let mut text = "t,x,y,vx,vy\n".to_owned();
    for i in 0..240 {
        let (x, y) = ((i as f64 * 0.37).sin(), (i as f64 * 0.73).cos());
        let t = i % 3;
        let x = if t == 0 { x - 4.0 } else { x };
        text += &format!("{t},{x},{y},-4,0\n");
    }
    bench.write("still.csv", &text);
    let check = "check still.csv --points-key x,y --velocity-key vx,vy";
    let out = bench.run(check).done();
    assert!(
        out.contains("from 1 to 2 the points differ no more"),
        "{out}"
    );
    assert!(out.contains("velocities point against the motion"), "{out}");
    let json: serde_json::Value =
        serde_json::from_str(&bench.run(&format!("{check} --json")).done()).unwrap();
    let motion = |k: usize| json["times"][k]["motion"].clone();
    assert_eq!(motion(0)["chance"], 0.005);
    assert!((motion(0)["shift"].as_f64().unwrap() - 4.0).abs() < 0.2);
    assert!(motion(1)["chance"].as_f64().unwrap() > 0.2);
    assert!(motion(1)["shift"].as_f64().unwrap() < motion(1)["error"].as_f64().unwrap());
    assert!(motion(2).is_null());
}

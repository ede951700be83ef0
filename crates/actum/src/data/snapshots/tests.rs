use ndarray::array;

use super::*;
use crate::error::ErrorKind;

fn small() -> Snapshots {
    Snapshots::from_labelled_rows(
        array![[0.0, 1.0], [5.0, 5.0], [2.0, 3.0], [6.0, 6.0], [7.0, 9.0]],
        &["day2", "day10", "Day 2", "day10", "day10"],
        None,
        Some(vec!["PC1".into(), "PC2".into()]),
    )
    .unwrap()
}

#[test]
fn rows_are_grouped_by_time_in_their_order() {
    let snapshots = small();
    assert_eq!(snapshots.times(), [2.0, 10.0]);
    assert_eq!(snapshots.labels(), ["day2", "day10"]);
    assert_eq!(snapshots.unit(), Some("day"));
    assert_eq!(snapshots.cloud(0).points(), array![[0.0, 1.0], [2.0, 3.0]]);
    assert_eq!(
        snapshots.cloud(1).points(),
        array![[5.0, 5.0], [6.0, 6.0], [7.0, 9.0]]
    );
    assert_eq!(snapshots.cloud(1).weights().to_vec(), [1.0 / 3.0; 3]);
    assert_eq!(snapshots.index_of("Day 10").unwrap(), 1);
}

#[test]
fn given_weights_are_kept_and_the_pool_counts_points() {
    let points = array![[1.0], [2.0], [3.0], [4.0], [6.0]];
    let times = [0.0, 0.0, 1.0, 1.0, 1.0];
    let raw = array![1.0, 3.0, 0.5, 0.5, 0.5];
    let weighted = Snapshots::from_rows(points.clone(), &times, Some(raw), None).unwrap();
    assert_eq!(weighted.cloud(0).mass(), 4.0);
    assert_eq!(weighted.cloud(1).mass(), 1.5);
    let pooled = weighted.pooled();
    for (w, expected) in pooled.weights().iter().zip([0.1, 0.3, 0.2, 0.2, 0.2]) {
        assert!((w - expected).abs() < 1e-15);
    }
    let plain = Snapshots::from_rows(points, &times, None, None)
        .unwrap()
        .pooled();
    assert_eq!(plain.weights().to_vec(), [0.2; 5]);
    assert!((plain.mean()[0] - 3.2).abs() < 1e-15);
}

#[test]
fn times_can_be_left_out() {
    let all = small();
    let late = all.without(&[0]).unwrap();
    assert_eq!(
        (late.times(), late.labels()),
        (&[10.0][..], &["day10".to_owned()][..])
    );
    assert_eq!(late.cloud(0), all.cloud(1));
    assert_eq!(late.require_times(2).unwrap_err().kind(), ErrorKind::Value);
    assert!(all.require_times(2).is_ok());
    assert_eq!(all.without(&[2]).unwrap_err().kind(), ErrorKind::Missing);
    assert_eq!(all.without(&[0, 1]).unwrap_err().kind(), ErrorKind::Value);
}

#[test]
fn columns_can_be_cut() {
    let first = small().first_columns(1).unwrap();
    assert_eq!(first.columns(), ["PC1"]);
    assert_eq!(first.cloud(0).points(), array![[0.0], [2.0]]);
    for count in [0, 3] {
        let error = small().first_columns(count).unwrap_err().to_string();
        assert!(
            error.contains("and 2") && error.contains(&format!("got {count}")),
            "{error}"
        );
    }
}

#[test]
fn velocities_stay_with_their_points() {
    let early = array![[0.1, 0.2], [0.3, 0.4]];
    let late = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].reversed_axes();
    let moving = small()
        .with_velocities(vec![early.clone(), late.clone()])
        .unwrap();
    assert_eq!(moving.velocities().unwrap(), [early.clone(), late.clone()]);
    assert!(moving.velocities().unwrap()[1].is_standard_layout());
    assert_eq!(moving.clouds(), small().clouds());
    let cut = moving.without(&[0]).unwrap().first_columns(1).unwrap();
    assert_eq!(cut.velocities().unwrap(), [array![[1.0], [2.0], [3.0]]]);
    assert!(small().without(&[0]).unwrap().velocities().is_none());

    let refused = |velocities| small().with_velocities(velocities).unwrap_err();
    let error = refused(vec![early.clone()]);
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(error.to_string().contains("2 times (day2, day10), got 1"));
    let error = refused(vec![early.clone(), early.clone()]);
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(
        error.to_string().contains("time day10") && error.to_string().contains("[3, 2]"),
        "{error}"
    );
    let mut gap = late.clone();
    gap[[1, 1]] = f64::NAN;
    let error = refused(vec![early, gap]);
    assert_eq!(error.kind(), ErrorKind::Value);
    let expected = "velocities at time day10: 1 of 6 numbers are not finite, the first at row \
                    1 (counted from 0), column PC2: NaN";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn masses_can_be_given() {
    let snapshots = small();
    assert_eq!(snapshots.counts(), [2.0, 3.0]);
    assert_eq!(snapshots.masses(), [1.0, 1.0]);
    let counted = snapshots.with_masses(&snapshots.counts()).unwrap();
    assert_eq!(counted.masses(), [2.0, 3.0]);
    assert_eq!(counted.cloud(1).weights(), array![1.0, 1.0, 1.0]);
    assert_eq!(counted.cloud(1).points(), snapshots.cloud(1).points());
    let again = counted.with_masses(&[1.0, 1.0]).unwrap();
    assert_eq!(again.fingerprint(), snapshots.fingerprint());

    let error = snapshots.with_masses(&[1.0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(error.to_string().contains("2 times (day2, day10), got 1"));
    for mass in [0.0, -2.0, f64::NAN, f64::INFINITY] {
        let error = snapshots.with_masses(&[1.0, mass]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains("time day10"), "{error}");
        assert!(error.to_string().contains(&mass.to_string()), "{error}");
    }
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let of = |times: &[f64]| {
        let points = Array2::from_shape_fn((times.len(), 1), |(i, _)| i as f64);
        Snapshots::from_rows(points, times, None, None)
            .unwrap_err()
            .to_string()
    };
    assert!(of(&[0.0, 0.0, 1.5]).contains("only one at time 1.5"));
    assert!(of(&[0.0, 1.0, 2.0]).contains("each of the 3 points"));
    assert!(of(&[]).contains("at least one row"));
    let pair = || Cloud::new(array![[0.0], [1.0]]).unwrap();
    let wide = Cloud::new(array![[0.0, 1.0], [1.0, 1.0]]).unwrap();
    let kind = |times: Vec<f64>, clouds| Snapshots::new(times, clouds).unwrap_err().kind();
    assert_eq!(kind(vec![1.0, 0.0], vec![pair(), pair()]), ErrorKind::Value);
    assert_eq!(kind(vec![1.0, 1.0], vec![pair(), pair()]), ErrorKind::Value);
    assert_eq!(kind(vec![0.0], vec![pair(), pair()]), ErrorKind::Shape);
    assert_eq!(kind(vec![0.0, 1.0], vec![pair(), wide]), ErrorKind::Shape);
    assert_eq!(kind(vec![], vec![]), ErrorKind::Value);
}

#[test]
fn lengths_names_and_numbers_are_checked() {
    let points = array![[0.0, 1.0], [2.0, f64::NAN], [f64::INFINITY, 1.0]];
    let times = [0.0; 3];
    let names = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
    let error = Snapshots::from_rows(points.clone(), &times, None, names("a", "b")).unwrap_err();
    assert!(error.to_string().contains("2 of 6"), "{error}");
    assert!(
        error
            .to_string()
            .contains("row 1 (counted from 0), column b: NaN"),
        "{error}"
    );
    let error = Snapshots::from_rows(points.clone(), &times, None, names("a", "a")).unwrap_err();
    assert!(
        error.to_string().contains("two columns are named \"a\""),
        "{error}"
    );
    let error = Snapshots::from_rows(points.clone(), &times[..2], None, None).unwrap_err();
    assert!(
        error.to_string().contains("each of 3 points, got 2"),
        "{error}"
    );
    let weights = Some(array![1.0]);
    let error = Snapshots::from_rows(points, &times, weights, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
}

#[test]
fn warnings_name_what_they_found() {
    let quiet = |i: usize, j: usize| ((i * 7 + j * 3) % 41) as f64;
    let of = |points: Array2<f64>| {
        let n = points.nrows();
        let times: Vec<_> = (0..n).map(|i| (i % 2) as f64).collect();
        Snapshots::from_rows(points, &times, None, None)
            .unwrap()
            .warnings()
    };
    assert_eq!(
        of(Array2::from_shape_fn((40, 2), |(i, j)| quiet(i, j))),
        Vec::<String>::new()
    );
    let one = |warnings: Vec<String>, part: &str| {
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(part), "{warnings:?}");
    };
    one(
        of(Array2::from_shape_fn((39, 2), |(i, j)| quiet(i, j))),
        "time 1 (19)",
    );
    let scaled = |i, j| quiet(i, j) * if j == 1 { 150.0 } else { 1.0 };
    one(
        of(Array2::from_shape_fn((40, 2), |(i, j)| scaled(i, j))),
        "unequal scale",
    );
    let flat = |i, j| if j == 1 { 0.1 } else { quiet(i, j) };
    one(
        of(Array2::from_shape_fn((40, 2), |(i, j)| flat(i, j))),
        "carry nothing: x1",
    );
    let twice = |i: usize, j| quiet(i / 4, j);
    one(
        of(Array2::from_shape_fn((40, 2), |(i, j)| twice(i, j))),
        "20 of 40 rows",
    );
    let n = 2002;
    let times: Vec<_> = (0..n).map(|i| (i / 2) as f64).collect();
    let many = Array2::from_shape_fn((n, 1), |(i, _)| i as f64);
    let warnings = Snapshots::from_rows(many, &times, None, None)
        .unwrap()
        .warnings();
    assert!(warnings[0].contains("1001 distinct times"), "{warnings:?}");
}

#[test]
fn the_fingerprint_is_that_of_the_numbers() {
    let snapshots = small().without(&[1]).unwrap();
    // hashlib.sha256(struct.pack("<QQdQ6d", 1, 2, 2., 2, 0, 1, 2, 3, .5, .5)).hexdigest()
    assert_eq!(
        snapshots.fingerprint(),
        "f51bc8cc08f85ac16cf380d7d814222027d9a90866f62f30d39d91308600d15a"
    );
    let moved = Snapshots::new(
        vec![2.0],
        vec![Cloud::new(array![[0.0, 1.0], [2.0, 3.0000000000000004]]).unwrap()],
    );
    assert_ne!(snapshots.fingerprint(), moved.unwrap().fingerprint());
    let moving = snapshots.with_velocities(vec![array![[0.25, -1.0], [3.0, 1e-7]]]);
    // ... struct.pack("<QQdQ10d", 1, 2, 2., 2, 0, 1, 2, 3, .5, .5, .25, -1, 3, 1e-7)
    assert_eq!(
        moving.unwrap().fingerprint(),
        "b3b47e3862ad5b69badd2ead6f256b61acd0b203d839c870a9b01f061b2c148a"
    );
}

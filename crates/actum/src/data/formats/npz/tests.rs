use ndarray::{Array2, Axis, array};

use crate::{
    data::{tests::*, *},
    error::ErrorKind,
};

#[test]
fn numpy_text_labels_are_times() {
    let snapshots = plain("labels.npz").unwrap();
    assert_eq!(snapshots.labels(), ["Day 2", "day10"]);
    assert_eq!(snapshots.cloud(0).points(), rows().select(Axis(0), &[0, 3]));
    assert_eq!(snapshots.cloud(1).points(), rows().select(Axis(0), &[1, 2]));
    assert_eq!(snapshots.columns(), ["x0", "x1", "x2"]);
}

#[test]
fn numpy_fortran_order_big_endian_and_compressed() {
    let snapshots = plain("fortran.npz").unwrap();
    assert_eq!(snapshots.times(), [1.0, 3.0]);
    assert_eq!(snapshots.cloud(0).points(), rows().select(Axis(0), &[1, 2]));
    assert_eq!(snapshots.cloud(0).weights(), array![2.0, 3.0]);
    assert_eq!(snapshots.cloud(1).mass(), 5.0);
}

#[test]
fn numpy_single_precision_and_names() {
    let snapshots = plain("single.npz").unwrap();
    assert_eq!(snapshots.times(), [0.1, 2.5]);
    assert_eq!(snapshots.labels(), ["0.1", "2.5"]);
    assert_eq!(snapshots.columns(), ["a", "bé"]);
    assert_eq!(snapshots.cloud(0).points()[[0, 0]], f64::from(0.1f32));
}

#[test]
fn numpy_arrays_of_other_shapes_and_types_are_named() {
    assert_holds(
        &plain("pickled.npz").unwrap_err(),
        &["\"t\"", "pickled", "t.astype(str)"],
    );
    let of = |o: Keys| read(&fixture("cube.npz"), &o).unwrap_err();
    // A cube is trajectories if it has a time for each of its planes.
    assert_holds(
        &of(keys(Some("short"), None, None)),
        &["cube.npz", "X has 2 times", "short has 5"],
    );
    assert_holds(
        &of(keys(None, Some("short"), None)),
        &["short has 5 rows and t has 2"],
    );
    assert_holds(
        &of(keys(Some("plane"), Some("t"), None)),
        &["\"plane\"", "[n], got [2, 2]"],
    );
    let missing = of(keys(None, Some("Y"), None));
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert_holds(
        &missing,
        &[
            "\"Y\"",
            "X float64 [2, 3, 4]",
            "short uint8 [5]",
            "points_key",
        ],
    );
    let weight = of(keys(None, Some("plane"), Some("mass")));
    assert_holds(&weight, &["\"mass\"", "weight_key"]);
    let time = of(keys(Some("time"), None, None));
    assert_holds(&time, &["\"time\"", "time_key"]);
    let one = keys(Some("short"), Some("short"), None);
    assert_eq!(
        read(&fixture("cube.npz"), &one).unwrap().cloud(0).points(),
        Array2::<f64>::zeros((5, 1))
    );
}

#[test]
fn numpy_velocities_are_read_when_asked_for() {
    let path = fixture("velocity.npz");
    let options = |key: &str| Keys {
        weight_key: Some("t".to_owned()),
        ..velocity(key)
    };
    let with = read(&path, &options("V")).unwrap();
    let of_time = with.velocities().unwrap();
    assert_bits(&of_time[0], &velocity_rows().select(Axis(0), &[1, 2]));
    assert_bits(&of_time[1], &velocity_rows().select(Axis(0), &[0, 3]));
    assert_eq!(with.cloud(0).points(), rows().select(Axis(0), &[1, 2]));
    let single = read(&path, &options("single")).unwrap();
    assert_eq!(
        single.velocities().unwrap()[0],
        of_time[0].mapv(|x| f64::from(x as f32))
    );
    let without = read(
        &path,
        &Keys {
            velocity_key: None,
            ..options("")
        },
    )
    .unwrap();
    assert!(without.velocities().is_none());
    assert_eq!(without.clouds(), with.clouds());
    // An array of velocities is no weight for its name; without the key it is the weight.
    let w = read(&path, &velocity("w")).unwrap();
    assert_bits(&w.velocities().unwrap()[0], &of_time[0]);
    assert_eq!(w.cloud(0).mass(), 1.0);
    assert_holds(
        &plain("velocity.npz").unwrap_err(),
        &["\"w\"", "got [4, 3]"],
    );
}

#[test]
fn numpy_velocities_of_other_shapes_and_types_are_named() {
    let of = |key: &str| {
        let options = Keys {
            weight_key: Some("t".to_owned()),
            ..velocity(key)
        };
        read(&fixture("velocity.npz"), &options).unwrap_err()
    };
    let missing = of("U");
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert_holds(
        &missing,
        &["\"U\"", "velocity_key", "narrow float64 [4, 2]"],
    );
    for (key, got) in [("narrow", "got [4, 2]"), ("t", "got [4]")] {
        assert_eq!(of(key).kind(), ErrorKind::Shape);
        assert_holds(
            &of(key),
            &["velocity.npz", key, "expected shape [4, 3]", got],
        );
    }
    assert_eq!(of("gap").kind(), ErrorKind::Value);
    assert_holds(
        &of("gap"),
        &[
            "\"gap\"",
            "1 of 12",
            "row 2 (counted from 0), column x1: NaN",
        ],
    );
    assert_holds(&of("wave"), &["\"wave\"", "complex", "wave.real"]);
    assert_holds(&of("pickled"), &["\"pickled\"", "pickled Python objects"]);
}

#[test]
fn numpy_trajectories_have_weights_that_change() {
    let grown = read(&fixture("growth.npz"), &velocity("V")).unwrap();
    assert_eq!(grown.times(), [0.0, 1.5]);
    assert_eq!(
        grown.cloud(1).points(),
        array![[6.0, 7.0], [8.0, 9.0], [10.0, 11.0]]
    );
    assert_eq!(grown.cloud(0).weights(), array![0.5, 0.25, 2.0]);
    assert_eq!(grown.cloud(1).weights(), array![1.5, 0.25, 8.0]);
    assert_eq!(grown.velocities().unwrap()[1], -grown.cloud(1).points());
    assert_eq!(
        grown.notes(),
        [
            "the weights in the file give the snapshots unequal masses (2.75 to 9.75): they count \
             in a fit only with growth, where mass can change"
        ]
    );
    let options = Keys::default();
    let cloud = read_at(&fixture("growth.npz"), &options, Some(1.5)).unwrap();
    assert_eq!(cloud.weights(), array![1.5, 0.25, 8.0]);
    let error = read(&fixture("growth.npz"), &keys(None, None, Some("turned"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert_holds(&error, &["\"turned\"", "[3], or [2, 3]", "got [3, 2]"]);
}

#[test]
fn embryoid_bodies_are_read_as_numpy_reads_them() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/eb/eb.npz"
    );
    if !std::path::Path::new(path).exists() {
        eprintln!("{path} is absent: nothing tested");
        return;
    }
    let eb = read(path.as_ref(), &Keys::default()).unwrap();
    let sizes: Vec<_> = eb.clouds().iter().map(|cloud| cloud.len()).collect();
    assert_eq!(sizes, [2381, 4165, 3278, 3665, 3332]);
    assert_eq!(
        (eb.dimension(), eb.times()),
        (20, &[0.0, 1.0, 2.0, 3.0, 4.0][..])
    );
    // X[t == 3].astype(float).mean(0)[:2] and X[t == 3].astype(float).std(0)[19]
    let cloud = eb.cloud(3);
    let expected = [2.0895497788699746, -0.5761785061263809];
    for (mean, expected) in cloud.mean().iter().zip(expected) {
        assert!((mean - expected).abs() < 1e-12);
    }
    assert!((cloud.std_dev()[19] - 1.0031158261674833).abs() < 1e-12);
    let options = keys(Some("day_start"), Some("phate"), None);
    let phate = read(path.as_ref(), &options).unwrap();
    assert_eq!(
        (phate.dimension(), phate.times()),
        (2, &[0.0, 6.0, 12.0, 18.0, 24.0][..])
    );
}

#[test]
fn numpy_types_beside_the_usual_ones() {
    let of = |time: &str| read(&fixture("types.npz"), &keys(Some(time), None, None));
    let hours = of("t").unwrap();
    assert_eq!(hours.labels(), ["0 h", "3 h", "6 h"]);
    assert_eq!(hours.unit(), Some("hour"));
    assert_eq!(hours.cloud(1).points().row(0).to_vec(), [0.5, 0.75]);
    assert_eq!(
        of("fine").unwrap().labels(),
        ["0 h", "1.5 h", "3 h"],
        "nanoseconds"
    );
    assert_eq!(of("half").unwrap().labels(), ["0.1", "0.2"]);
    assert_holds(&of("gap").unwrap_err(), &["6 of 12 times", "row 1"]);
    assert_holds(
        &of("dates").unwrap_err(),
        &["\"dates\"", "got dates", "numpy.timedelta64(1, 'h')"],
    );
    let points = |key: &str| read(&fixture("types.npz"), &keys(None, Some(key), None));
    assert_holds(
        &points("flags").unwrap_err(),
        &["\"flags\"", "true or false", "flags.astype(float)"],
    );
    let parts = [
        "\"cells\"",
        "day, PC_1, PC_2",
        "X=numpy.column_stack([cells['PC_1'], cells['PC_2']]), t=cells['day']",
    ];
    assert_holds(&points("cells").unwrap_err(), &parts);
    let missing = points("Y").unwrap_err();
    assert_holds(
        &missing,
        &["\"Y\"", "cells structured", "t timedelta64", parts[2]],
    );
}

#[test]
fn one_array_is_points_without_times() {
    let cloud = read_at(&fixture("points.npy"), &Keys::default(), Some(2.0)).unwrap();
    assert_eq!(cloud.points(), rows());
    let error = plain("points.npy").unwrap_err();
    assert_holds(&error, &["points.npy", "no times", "numpy.savez"]);
    let folder = tempfile::tempdir().unwrap();
    let snapshots = plain("labels.npz").unwrap();
    let error = write(&folder.path().join("a.npy"), &snapshots).unwrap_err();
    assert_holds(&error, &["write .npz"]);
}

/// Objects have no size of their own, and texts may have none: neither allows any number of them.
#[test]
fn items_without_bytes_are_no_more_than_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.npy");
    for kind in ["|O", "|S0", "<U0", "|V0"] {
        let text =
            format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (2, 10000000000), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend([0; 80]);
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &Keys::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{kind}: {error}");
        assert!(error.to_string().contains("got 80"), "{kind}: {error}");
    }
}

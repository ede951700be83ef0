//! Files made by NumPy 2.4.6, pandas 3.1.1, Polars 2.1.0 and PyArrow 26.0.1 (`tests/data`), and
//! what holds for every format.

use std::{fs, path::PathBuf};

use ndarray::{Array1, Array2, Array3, Axis, array};

use super::*;
use crate::{cloud::Cloud, error::Error};

pub(in crate::data) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}

pub(in crate::data) fn plain(name: &str) -> Result<Snapshots> {
    read(&fixture(name), &Keys::default())
}

pub(in crate::data) fn keys(
    time: Option<&str>,
    points: Option<&str>,
    weight: Option<&str>,
) -> Keys {
    Keys {
        time_key: time.map(str::to_owned),
        points_key: points.map(str::to_owned),
        weight_key: weight.map(str::to_owned),
        ..Keys::default()
    }
}

pub(in crate::data) fn velocity(key: &str) -> Keys {
    Keys {
        velocity_key: Some(key.to_owned()),
        ..Keys::default()
    }
}

/// The four rows of every fixture.
pub(in crate::data) fn rows() -> Array2<f64> {
    array![
        [0.1, -2.5, 1e-300],
        [1.0 / 3.0, 4.0, -7.25],
        [0.5f64.sqrt(), 1e17, 0.0],
        [5.5, -6.5, 1.5]
    ]
}

#[track_caller]
pub(in crate::data) fn assert_holds(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// Reads a text table from memory.
pub(in crate::data) fn csv(text: &str, options: &Keys) -> Result<Snapshots> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.csv");
    fs::write(&path, text).unwrap();
    read(&path, options)
}

/// `V` of `make.py`, row by row with [`rows`].
pub(in crate::data) fn velocity_rows() -> Array2<f64> {
    array![
        [0.25, -1.0, 1.0 / 3.0],
        [2f64.sqrt(), 5e-324, -0.0],
        [1e17, 0.1, 7.0],
        [-3.5, 2.0, 1e-7]
    ]
}

#[track_caller]
pub(in crate::data) fn assert_bits(array: &Array2<f64>, expected: &Array2<f64>) {
    assert_eq!(array.dim(), expected.dim());
    let bits = |array: &Array2<f64>| array.mapv(f64::to_bits);
    assert_eq!(bits(array), bits(expected));
}

#[test]
fn files_cut_short_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "labels.npz",
        "fortran.npz",
        "snappy.parquet",
        "zstd.parquet",
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        for length in (1..whole.len()).step_by(7) {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read(&path, &Keys::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{name} {length}: {error}");
            assert_holds(&error, &[name]);
        }
        fs::write(&path, "").unwrap();
        assert_holds(
            &read(&path, &Keys::default()).unwrap_err(),
            &[name, "empty"],
        );
    }
}

#[test]
fn damaged_files_do_not_panic() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["labels.npz", "fortran.npz", "zstd.parquet", "nulls.parquet"] {
        let whole = fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        for at in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            fs::write(&path, &bytes).unwrap();
            let _ = read(&path, &Keys::default());
        }
    }
    // Two places where the parquet crate itself panics.
    for (name, at, flip) in [("zstd.parquet", 52, 2), ("snappy.parquet", 857, 0x80)] {
        let mut bytes = fs::read(fixture(name)).unwrap();
        bytes[at] ^= flip;
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let error = read(&path, &Keys::default()).unwrap_err();
        assert_holds(&error, &[name, "damaged"]);
    }
}

#[test]
fn missing_and_unknown_files_are_named() {
    let error = plain("no.npz").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_holds(&error, &["no.npz"]);
    for name in ["cells.h5", "cells"] {
        assert_holds(&plain(name).unwrap_err(), &[name, &extensions(|_| true)]);
    }
}

/// Writes particles at times that are numbers.
pub(in crate::data) fn trajectories(
    path: &Path,
    times: &[f64],
    points: &Array3<f64>,
    weights: ParticleWeights,
    columns: &[String],
) -> Result<()> {
    let labels: Vec<String> = times.iter().map(f64::to_string).collect();
    let particles = Particles {
        times,
        labels: &labels,
        points,
        velocities: None,
        weights,
        columns,
        attributes: &[],
        genes: None,
    };
    write_trajectories(path, &particles)
}

/// The points at a time, the first by default.
pub(in crate::data) fn read_at(path: &Path, keys: &Keys, time: Option<f64>) -> Result<Cloud> {
    let choose = &mut |axis: &TimeAxis| match time {
        Some(time) => axis.index_of(&time.to_string()),
        None => Ok(0),
    };
    read_points(path, keys, choose).map(|points| points.cloud)
}

#[test]
fn a_cloud_needs_no_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.csv");
    let of = |text: &str, time: Option<f64>| {
        fs::write(&path, text).unwrap();
        read_at(&path, &Keys::default(), time)
    };
    assert_eq!(
        of("x,y\n1,2\n3,4\n", Some(7.0)).unwrap().points(),
        array![[1.0, 2.0], [3.0, 4.0]]
    );
    let single = of("t,x\n0,1\n0,3\n", None).unwrap();
    assert_eq!(single.points(), array![[1.0], [3.0]]);
    let other = of("t,x\n0,1\n0,3\n", Some(7.0)).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Missing);
    assert_eq!(
        of("t,x\n0,1\nday 2,3\n", Some(2.0)).unwrap_err().kind(),
        ErrorKind::Value
    );
    assert_eq!(
        of("t,x\nday 0,1\nday 2,3\n", Some(2.0)).unwrap().points(),
        array![[3.0]]
    );
    let error = of("t,x\nday 0,1\nday 2,3\n", Some(3.0)).unwrap_err();
    assert_holds(&error, &["start.csv", "\"3\"", "day 0, day 2"]);
    let npz = folder.path().join("start.npz");
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64);
    trajectories(
        &npz,
        &[0.0, 1.5],
        &points,
        ParticleWeights::Constant(&Array1::ones(3)),
        &["x".to_owned()],
    )
    .unwrap();
    let points = read_points(&npz, &Keys::default(), &mut |axis| axis.index_of("1.5")).unwrap();
    assert_eq!(points.cloud.points(), array![[10.0], [11.0], [12.0]]);
    assert_eq!(
        (points.columns, points.rows),
        (vec!["x".to_owned()], vec![3, 4, 5])
    );
}

#[test]
fn pandas_velocities_are_columns() {
    for name in ["velocity.csv", "velocity.parquet"] {
        let of = |key: &str| read(&fixture(name), &velocity(key));
        let with = of("U, v,w").unwrap();
        assert_eq!(with.columns(), ["x", "y", "z"], "{name}");
        assert_eq!(with.cloud(0).points(), rows().select(Axis(0), &[1, 2]));
        assert_eq!(with.cloud(0).weights(), array![0.5, 0.5]);
        let of_time = with.velocities().unwrap();
        assert_bits(&of_time[0], &velocity_rows().select(Axis(0), &[1, 2]));
        assert_bits(&of_time[1], &velocity_rows().select(Axis(0), &[0, 3]));
        assert!(with.notes().iter().any(|note| note.contains("who")));

        let missing = of("u,v,dz").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Missing);
        assert_holds(&missing, &[name, "\"dz\"", "x, y, z, u, v, w, day, who"]);
        // Of those not named, w is taken for the weight, and v for a coordinate.
        let few = of("u,v").unwrap_err();
        assert_eq!(few.kind(), ErrorKind::Shape);
        assert_holds(&few, &["expected 3 columns", "x, y, z", "got 2: u, v"]);
        assert_holds(&of("u,v,u").unwrap_err(), &["\"u\"", "twice"]);
        assert_holds(&of("u,v,day").unwrap_err(), &[name, "time"]);
        assert_holds(&of("u,v,who").unwrap_err(), &["\"who\"", "number"]);
        let options = Keys {
            points_key: Some("z,x".to_owned()),
            ..velocity("w,u")
        };
        let two = read(&fixture(name), &options).unwrap();
        assert_bits(
            &two.velocities().unwrap()[1],
            &velocity_rows()
                .select(Axis(0), &[0, 3])
                .select(Axis(1), &[2, 0]),
        );
        let overlap = Keys {
            points_key: Some("x,u".to_owned()),
            ..velocity("u,v")
        };
        assert_holds(
            &read(&fixture(name), &overlap).unwrap_err(),
            &["\"u\"", "twice"],
        );
    }
}

#[test]
fn missing_velocities_are_counted_and_placed() {
    let text = "t,x,y,u,v\n0,1,2,3,4\n0,1,3,,NA\n0,1,4,5,inf\n";
    let error = csv(text, &velocity("u,v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_holds(&error, &["3 of 6", "line 3", "column \"u\""]);
    let options = Keys {
        points_key: Some("x".to_owned()),
        ..velocity("y")
    };
    let error = read(&fixture("nulls.parquet"), &options).unwrap_err();
    assert_holds(
        &error,
        &["nulls.parquet", "1 of 4", "row 1", "column y: NaN"],
    );
}

#[test]
fn a_cloud_needs_no_velocities() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.csv");
    let of = |text: &str| {
        fs::write(&path, text).unwrap();
        read_at(&path, &velocity("u,v"), None)
    };
    let points = array![[1.0, 2.0], [3.0, 4.0]];
    assert_eq!(of("x,y\n1,2\n3,4\n").unwrap().points(), points);
    assert_eq!(of("x,y,u,v\n1,2,9,9\n3,4,9,\n").unwrap().points(), points);
    let npz = fixture("labels.npz");
    assert!(read_at(&npz, &velocity("V"), Some(2.0)).is_ok());
}

#[test]
fn a_note_says_that_masses_differ() {
    let notes = |text: &str| csv(text, &Keys::default()).unwrap().notes().to_vec();
    let even = "t,x,w\n0,1,0.5\n0,2,0.25\n1,3,0.375\n1,4,0.37500001\n";
    assert_eq!(notes(even), Vec::<String>::new());
    let uneven = notes("t,x,w\n0,1,600\n0,2,93\n1,3,198\n1,4,100\n");
    assert_eq!(uneven.len(), 1);
    assert!(uneven[0].contains("(298 to 693)"), "{uneven:?}");
    assert!(notes("t,x\n0,1\n0,2\n1,3\n1,4\n1,5\n").is_empty());
}

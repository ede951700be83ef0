//! Files made by NumPy 2.4.6, pandas 3.1.1, Polars 2.1.0 and PyArrow 26.0.1 (`tests/data`), and
//! what is written read again.

use std::{fs, path::PathBuf};

use ndarray::{Axis, array};

use super::*;
use crate::cloud::Cloud;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}

fn plain(name: &str) -> Result<Snapshots> {
    read(&fixture(name), &ReadOptions::default())
}

fn keys(time: Option<&str>, points: Option<&str>, weight: Option<&str>) -> ReadOptions {
    ReadOptions {
        time_key: time.map(str::to_owned),
        points_key: points.map(str::to_owned),
        weight_key: weight.map(str::to_owned),
        velocity_key: None,
    }
}

fn velocity(key: &str) -> ReadOptions {
    ReadOptions {
        velocity_key: Some(key.to_owned()),
        ..ReadOptions::default()
    }
}

/// The four rows of every fixture.
fn rows() -> Array2<f64> {
    array![
        [0.1, -2.5, 1e-300],
        [1.0 / 3.0, 4.0, -7.25],
        [0.5f64.sqrt(), 1e17, 0.0],
        [5.5, -6.5, 1.5]
    ]
}

#[track_caller]
fn assert_holds(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// Reads a text table from memory.
fn csv(text: &str, options: &ReadOptions) -> Result<Snapshots> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.csv");
    fs::write(&path, text).unwrap();
    read(&path, options)
}

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
    let of = |o: ReadOptions| read(&fixture("cube.npz"), &o).unwrap_err();
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
    assert_holds(
        &of(keys(None, Some("half"), None)),
        &["float16", "half.astype(float)"],
    );
    let missing = of(keys(None, Some("Y"), None));
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert_holds(
        &missing,
        &[
            "\"Y\"",
            "X float64 [2, 3, 4]",
            "short uint8 [5]",
            "--points-key",
        ],
    );
    let weight = of(keys(None, Some("plane"), Some("mass")));
    assert_holds(&weight, &["\"mass\"", "--weight-key"]);
    let time = of(keys(Some("time"), None, None));
    assert_holds(&time, &["\"time\"", "--time-key"]);
    let one = keys(Some("short"), Some("short"), None);
    assert_eq!(
        read(&fixture("cube.npz"), &one).unwrap().cloud(0).points(),
        Array2::<f64>::zeros((5, 1))
    );
}

#[test]
fn pandas_text() {
    let snapshots = plain("pandas.csv").unwrap();
    assert_eq!(snapshots.labels(), ["Day 2", "day10"]);
    assert_eq!(snapshots.columns(), ["PC1", "PC2", "PC3"]);
    assert_eq!(snapshots.cloud(1).points(), rows().select(Axis(0), &[1, 2]));
    assert_eq!(
        snapshots.notes(),
        [
            "left out column \"\": it numbers the rows",
            "left out column cluster: it is not numbers"
        ]
    );
}

#[test]
fn pandas_parquet() {
    let snapshots = plain("snappy.parquet").unwrap();
    assert_eq!(snapshots.labels(), ["Day 2", "day10"]);
    assert_eq!(snapshots.columns(), ["PC1", "PC2", "PC3", "count"]);
    let points = snapshots.cloud(1).points();
    assert_eq!(
        points.select(Axis(1), &[0, 1, 2]),
        rows().select(Axis(0), &[1, 2])
    );
    assert_eq!(
        snapshots.cloud(0).points().column(3).to_vec(),
        [1.0, 4294967295.0]
    );
    assert!(
        snapshots.notes().iter().any(|n| n.contains("cluster")),
        "{:?}",
        snapshots.notes()
    );
}

#[test]
fn polars_parquet_is_zstd() {
    let snapshots = plain("zstd.parquet").unwrap();
    assert_eq!(snapshots.times(), [1.0, 3.0]);
    assert_eq!(snapshots.columns(), ["x", "y"]);
    assert_eq!(
        snapshots.cloud(1).points(),
        array![[0.1, -2.5], [5.5, -6.5]]
    );
    assert_eq!(snapshots.cloud(0).points()[[1, 1]], f64::from(1e17f32));
    assert_eq!(snapshots.cloud(1).weights(), array![1.0, 4.0]);
    assert_eq!(
        snapshots.notes(),
        ["left out column label: it is not numbers"]
    );
}

#[test]
fn parquet_of_version_two_with_nulls() {
    let error = plain("nulls.parquet").unwrap_err();
    assert_holds(&error, &["nulls.parquet", "1 of 8", "row 1", "column y"]);
    let x = read(&fixture("nulls.parquet"), &keys(None, Some("x"), None)).unwrap();
    assert_eq!(x.cloud(0).points(), array![[1.0 / 3.0], [0.5f64.sqrt()]]);
}

#[test]
fn parquet_that_cannot_be_used_says_why() {
    assert_holds(
        &plain("brotli.parquet").unwrap_err(),
        &["\"t\"", "compression='snappy'"],
    );
    assert_holds(
        &plain("dates.parquet").unwrap_err(),
        &["\"t\"", "expected numbers", "a date or a time of day"],
    );
    let error = read(&fixture("zstd.parquet"), &keys(None, Some("x,label"), None)).unwrap_err();
    assert_holds(&error, &["\"label\"", "String"]);
    let error = read(&fixture("zstd.parquet"), &keys(Some("z"), None, None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_holds(&error, &["\"z\"", "Time, x, y, label, w"]);
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
            let error = read(&path, &ReadOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{name} {length}: {error}");
            assert_holds(&error, &[name]);
        }
        fs::write(&path, "").unwrap();
        assert_holds(
            &read(&path, &ReadOptions::default()).unwrap_err(),
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
            let _ = read(&path, &ReadOptions::default());
        }
    }
    // Two places where the parquet crate itself panics.
    for (name, at, flip) in [("zstd.parquet", 52, 2), ("snappy.parquet", 857, 0x80)] {
        let mut bytes = fs::read(fixture(name)).unwrap();
        bytes[at] ^= flip;
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let error = read(&path, &ReadOptions::default()).unwrap_err();
        assert_holds(&error, &[name, "damaged"]);
    }
}

#[test]
fn missing_and_unknown_files_are_named() {
    let error = plain("no.npz").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_holds(&error, &["no.npz"]);
    for name in ["cells.h5", "cells"] {
        assert_holds(
            &plain(name).unwrap_err(),
            &[name, ".npz, .csv, .tsv or .parquet"],
        );
    }
}

#[test]
fn text_with_a_mark_quotes_and_windows_lines() {
    let text = "\u{feff}t,\"x, in mm\",y\r\n1,\"2.5\",3\r\n\r\n1,+4e0, 5 \r\n";
    let snapshots = csv(text, &ReadOptions::default()).unwrap();
    assert_eq!(snapshots.columns(), ["x, in mm", "y"]);
    assert_eq!(snapshots.cloud(0).points(), array![[2.5, 3.0], [4.0, 5.0]]);
}

#[test]
fn text_columns_are_chosen_by_name() {
    let text = "t,day,PC1,PC2,size\n0,D3,1,2,3\n0,D3,4,5,6\n";
    let error = csv(text, &ReadOptions::default()).unwrap_err();
    assert_holds(&error, &["\"t\", \"day\"", "--time-key"]);
    let snapshots = csv(text, &keys(Some("Day"), Some("pc2, PC1"), Some("size"))).unwrap();
    assert_eq!(snapshots.labels(), ["D3"]);
    assert_eq!(snapshots.columns(), ["PC2", "PC1"]);
    assert_eq!(snapshots.cloud(0).points(), array![[2.0, 1.0], [5.0, 4.0]]);
    assert_eq!(snapshots.cloud(0).weights(), array![3.0, 6.0]);
    let twice = csv(text, &keys(Some("day"), Some("PC1,day"), None)).unwrap_err();
    assert_holds(&twice, &["\"day\"", "twice"]);
}

#[test]
fn text_errors_name_line_and_column() {
    let of = |text: &str| csv(text, &ReadOptions::default()).unwrap_err();
    let cases: [(&str, &[&str]); 13] = [
        (
            "t,x\n0,1\n0,2,3\n",
            &["cells.csv", "line 3 has 3 fields", "expected 2"],
        ),
        (
            "t,x\n0,1\n0,1o\n",
            &["line 3", "\"x\"", "\"1o\"", "--points-key"],
        ),
        (
            "t,x,y\n0,1,2\n0,,NA\n0,inf,3\n",
            &["3 of 6", "line 3", "\"x\""],
        ),
        (
            "t,x\n0,1\n,2\nNA,3\n",
            &["\"t\"", "2 of 3 times are missing", "line 3"],
        ),
        ("t,x\nearly,1\nlate,2\n", &["\"early\", \"late\"", "number"]),
        ("t,x\n36h,1\nday 2,2\n", &["mixed units", "36h", "day 2"]),
        ("t,x\n", &["got none"]),
        ("t,name\n0,a\n0,b\n", &["no column of numbers"]),
        ("0,1.5\n0,2.5\n", &["first line must give the names"]),
        (
            "a,b\n0,2.5\n",
            &["time_point", "--time-key", "available: a, b"],
        ),
        ("t,x,x\n0,2.5,1\n", &["two columns are named \"x\""]),
        ("t,x,w\n0,1,a\n0,2,1\n", &["line 2", "\"w\"", "\"a\""]),
        ("t,x,w\n0,1,-1\n0,2,1\n", &["time 0", "weight 0 is -1"]),
    ];
    for (text, parts) in cases {
        assert_holds(&of(text), parts);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin.csv");
    fs::write(&path, b"t,x,who\n0,1,Ren\xe9\n").unwrap();
    assert_holds(
        &read(&path, &ReadOptions::default()).unwrap_err(),
        &["line 2", "UTF-8"],
    );
}

fn written() -> Vec<Snapshots> {
    let points = array![
        [0.1, -0.0, 5e-324],
        [1.0 / 3.0, f64::MAX, -7.25],
        [1e-7, 1e17, 123456.789],
        [5.5, -6.5, std::f64::consts::PI],
        [f64::EPSILON, 2e-5, 9007199254740993.0]
    ];
    let times = [-0.5, 0.1 + 0.2, -0.5, 0.1 + 0.2, -0.5];
    let labels = ["Day 2", "day10", "Day 2", "day10", "d2"];
    let weights = Some(array![0.1, 0.2, 1e-9, 3.0, 0.7]);
    let names = Some(vec![
        "PC1".to_owned(),
        "größe, \"mm\"".to_owned(),
        "z".to_owned(),
    ]);
    vec![
        Snapshots::from_rows(points.clone(), &times, None, None).unwrap(),
        Snapshots::from_rows(points.clone(), &times, weights.clone(), names.clone()).unwrap(),
        Snapshots::from_labelled_rows(points, &labels, weights, names).unwrap(),
    ]
}

#[test]
fn what_is_written_reads_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (i, snapshots) in written().iter().enumerate() {
        for extension in ["npz", "csv", "tsv", "parquet"] {
            let path = folder.path().join(format!("{i}.{extension}"));
            write(&path, snapshots).unwrap();
            let again = read(&path, &ReadOptions::default()).unwrap();
            assert_eq!(
                again.fingerprint(),
                snapshots.fingerprint(),
                "{}",
                path.display()
            );
            assert_eq!(again.axis(), snapshots.axis(), "{}", path.display());
            assert_eq!(again.columns(), snapshots.columns(), "{}", path.display());
            assert_eq!(again.notes().len(), usize::from(i > 0));
            let masses = |note: &String| note.contains("unequal masses (0.8 to 3.2)");
            assert!(again.notes().iter().all(masses), "{:?}", again.notes());
        }
    }
}

#[test]
fn weights_and_names_are_written_only_when_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write(&path, &written()[0].first_columns(1).unwrap()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "t,x0\n-0.5,0.1\n-0.5,1e-7\n-0.5,2.220446049250313e-16\n\
         0.30000000000000004,0.3333333333333333\n0.30000000000000004,5.5\n"
    );
    let taken = Some(vec!["t".to_owned()]);
    let points = array![[1.0], [2.0]];
    let snapshots = Snapshots::from_rows(points, &[0.0, 0.0], None, taken).unwrap();
    assert_holds(&write(&path, &snapshots).unwrap_err(), &["\"t\"", ".npz"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(write(&folder.path().join("a.npz"), &snapshots).is_ok());
}

#[test]
fn trajectories_are_long_in_tables() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64 / 4.0);
    let path = |extension| folder.path().join(format!("paths.{extension}"));
    let names = ["x".to_owned()];
    for extension in ["csv", "parquet", "npz"] {
        write_trajectories(
            &path(extension),
            &[0.0, 1.5],
            &points,
            ParticleWeights::Constant(&Array1::ones(3)),
            &names,
        )
        .unwrap();
    }
    assert_eq!(
        fs::read_to_string(path("csv")).unwrap(),
        "particle,t,x\n0,0,0\n0,1.5,2.5\n1,0,0.25\n1,1.5,2.75\n2,0,0.5\n2,1.5,3\n"
    );
    for extension in ["csv", "parquet", "npz"] {
        let snapshots = read(&path(extension), &ReadOptions::default()).unwrap();
        assert_eq!(snapshots.times(), [0.0, 1.5]);
        assert_eq!(snapshots.cloud(1).points(), array![[2.5], [2.75], [3.0]]);
        assert_eq!(snapshots.columns(), ["x"]);
        let notes: &[&str] = match extension {
            "npz" => &[],
            _ => &["left out column \"particle\": it numbers the rows"],
        };
        assert_eq!(snapshots.notes(), notes);
    }
    let data: Vec<u8> = points.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = fs::read(path("npz")).unwrap();
    assert!(bytes.windows(data.len()).any(|part| part == data));
    let error = write_trajectories(
        &path("csv"),
        &[0.0],
        &points,
        ParticleWeights::Constant(&Array1::ones(3)),
        &names,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = write_trajectories(
        &path("csv"),
        &[0.0, 1.0],
        &points,
        ParticleWeights::Constant(&Array1::ones(3)),
        &[],
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
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
    let eb = read(path.as_ref(), &ReadOptions::default()).unwrap();
    let sizes: Vec<_> = eb.clouds().iter().map(Cloud::len).collect();
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
fn particles_keep_their_weights() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64);
    let weights = array![0.5, 0.25, 2.0];
    for extension in ["csv", "parquet", "npz"] {
        let path = folder.path().join(format!("paths.{extension}"));
        write_trajectories(
            &path,
            &[0.0, 1.5],
            &points,
            ParticleWeights::Constant(&weights),
            &["x".to_owned()],
        )
        .unwrap();
        let snapshots = read(&path, &ReadOptions::default()).unwrap();
        for cloud in snapshots.clouds() {
            assert_eq!(cloud.weights(), &weights, "{extension}");
        }
        assert_eq!(snapshots.columns(), ["x"]);
    }
}

#[test]
fn a_cloud_needs_no_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.csv");
    let of = |text: &str, time: Option<f64>| {
        fs::write(&path, text).unwrap();
        read_cloud(&path, &ReadOptions::default(), time).map(|(cloud, _)| cloud)
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
    write_trajectories(
        &npz,
        &[0.0, 1.5],
        &points,
        ParticleWeights::Constant(&Array1::ones(3)),
        &["x".to_owned()],
    )
    .unwrap();
    let (cloud, time) = read_cloud(&npz, &ReadOptions::default(), Some(1.5)).unwrap();
    assert_eq!(cloud.points(), array![[10.0], [11.0], [12.0]]);
    assert_eq!(time, Some(1.5));
    let error = read_cloud(&npz, &ReadOptions::default(), None).unwrap_err();
    assert_holds(&error, &["0, 1.5"]);
}

/// `V` of `make.py`, row by row with [`rows`].
fn velocity_rows() -> Array2<f64> {
    array![
        [0.25, -1.0, 1.0 / 3.0],
        [2f64.sqrt(), 5e-324, -0.0],
        [1e17, 0.1, 7.0],
        [-3.5, 2.0, 1e-7]
    ]
}

#[track_caller]
fn assert_bits(array: &Array2<f64>, expected: &Array2<f64>) {
    assert_eq!(array.dim(), expected.dim());
    let bits = |array: &Array2<f64>| array.mapv(f64::to_bits);
    assert_eq!(bits(array), bits(expected));
}

#[test]
fn numpy_velocities_are_read_when_asked_for() {
    let path = fixture("velocity.npz");
    let options = |key: &str| ReadOptions {
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
        &ReadOptions {
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
        let options = ReadOptions {
            weight_key: Some("t".to_owned()),
            ..velocity(key)
        };
        read(&fixture("velocity.npz"), &options).unwrap_err()
    };
    let missing = of("U");
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert_holds(
        &missing,
        &["\"U\"", "--velocity-key", "narrow float64 [4, 2]"],
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
    assert_holds(&of("wave"), &["\"wave\"", "c16", "wave.astype(float)"]);
    assert_holds(&of("pickled"), &["\"pickled\"", "pickled Python objects"]);
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
        let options = ReadOptions {
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
        let overlap = ReadOptions {
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
    let options = ReadOptions {
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
fn velocities_are_written_and_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let points = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]];
    let columns = Some(vec!["PC1".to_owned(), "größe \"mm\"".to_owned()]);
    let all = velocity_rows();
    let of = |rows: &[usize]| all.select(Axis(0), rows).select(Axis(1), &[1, 2]);
    let velocities = vec![of(&[0, 2]), of(&[1, 3])];
    let weights = Some(array![0.5, 0.25, 0.5, 0.75]);
    let times = [2.0, 4.5, 2.0, 4.5];
    let labels = ["Day 2", "day4.5", "d2", "day4.5"];
    let numbered = Snapshots::from_rows(points.clone(), &times, None, None).unwrap();
    let labelled = Snapshots::from_labelled_rows(points, &labels, weights, columns).unwrap();
    for (snapshots, key) in [(numbered, "v_x0,v_x1"), (labelled, "v_PC1,v_größe \"mm\"")] {
        let with = snapshots
            .clone()
            .with_velocities(velocities.clone())
            .unwrap();
        assert_ne!(with.fingerprint(), snapshots.fingerprint());
        for extension in ["npz", "csv", "tsv", "parquet"] {
            let path = folder.path().join(format!("a.{extension}"));
            write(&path, &with).unwrap();
            let is_npz = extension == "npz";
            let again = read(&path, &velocity(if is_npz { "V" } else { key })).unwrap();
            assert_eq!(again.fingerprint(), with.fingerprint(), "{extension}");
            for (again, with) in again.velocities().unwrap().iter().zip(&velocities) {
                assert_bits(again, with);
            }
            assert_eq!(again.columns(), with.columns());
            assert_eq!(again.axis(), with.axis());
            let blind = read(&path, &ReadOptions::default()).unwrap();
            assert!(blind.velocities().is_none());
            if is_npz {
                assert_eq!(blind.fingerprint(), snapshots.fingerprint());
            } else {
                assert_eq!(blind.dimension(), 4);
                let note = format!("--velocity-key {key}");
                assert!(blind.notes().iter().any(|n| n.contains(&note)));
            }
        }
    }
}

#[test]
fn velocities_that_no_key_could_name_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    for names in [["x", "v_x"], ["x, in mm", "y"]] {
        let columns = Some(names.map(str::to_owned).to_vec());
        let points = array![[1.0, 2.0], [3.0, 4.0]];
        let snapshots = Snapshots::from_rows(points.clone(), &[0.0; 2], None, columns).unwrap();
        let with = snapshots.with_velocities(vec![points]).unwrap();
        for extension in ["csv", "parquet"] {
            let path = folder.path().join(format!("a.{extension}"));
            let error = write(&path, &with).unwrap_err();
            assert_holds(&error, &["write .npz or rename it"]);
            assert!(!path.exists());
        }
        let path = folder.path().join("a.npz");
        write(&path, &with).unwrap();
        let again = read(&path, &velocity("V")).unwrap();
        assert_eq!(again.fingerprint(), with.fingerprint());
    }
}

#[test]
fn a_cloud_needs_no_velocities() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.csv");
    let of = |text: &str| {
        fs::write(&path, text).unwrap();
        read_cloud(&path, &velocity("u,v"), None).map(|(cloud, _)| cloud)
    };
    let points = array![[1.0, 2.0], [3.0, 4.0]];
    assert_eq!(of("x,y\n1,2\n3,4\n").unwrap().points(), points);
    assert_eq!(of("x,y,u,v\n1,2,9,9\n3,4,9,\n").unwrap().points(), points);
    let npz = fixture("labels.npz");
    assert!(read_cloud(&npz, &velocity("V"), Some(2.0)).is_ok());
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
             in a fit only if mass can grow (--growth)"
        ]
    );
    let options = ReadOptions::default();
    let (cloud, _) = read_cloud(&fixture("growth.npz"), &options, Some(1.5)).unwrap();
    assert_eq!(cloud.weights(), array![1.5, 0.25, 8.0]);
    let error = read(&fixture("growth.npz"), &keys(None, None, Some("turned"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert_holds(&error, &["\"turned\"", "[3], or [2, 3]", "got [3, 2]"]);
}

#[test]
fn weights_that_change_are_written_at_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let points = Array3::from_shape_fn((2, 3, 1), |(k, i, _)| (10 * k + i) as f64);
    let names = ["x".to_owned()];
    let weights = array![[0.5, 1.0 / 3.0, 2.0], [1e-300, 0.25, 8.0]];
    let path = |extension| folder.path().join(format!("paths.{extension}"));
    // In the order of the columns, as after a transpose.
    let turned = weights.t().as_standard_layout().into_owned();
    let turned = turned.reversed_axes();
    for extension in ["csv", "tsv", "parquet", "npz"] {
        for weights in [&weights, &turned] {
            let changing = ParticleWeights::Changing(weights);
            write_trajectories(&path(extension), &[0.0, 1.5], &points, changing, &names).unwrap();
            let snapshots = read(&path(extension), &ReadOptions::default()).unwrap();
            for k in 0..2 {
                assert_eq!(snapshots.cloud(k).weights(), weights.row(k), "{extension}");
            }
            assert!(snapshots.notes().iter().any(|n| n.contains("growth")));
            assert_eq!(snapshots.columns(), ["x"]);
        }
    }
    assert_eq!(
        fs::read_to_string(path("csv")).unwrap().lines().nth(2),
        Some("0,1.5,10,1e-300")
    );
    // As many particles as times: still one row of weights for each time.
    let square = array![[1.0, 2.0], [3.0, 4.0]];
    let pair = points.slice_axis(Axis(1), (0..2).into()).to_owned();
    let changing = ParticleWeights::Changing(&square);
    write_trajectories(&path("npz"), &[0.0, 1.5], &pair, changing, &names).unwrap();
    let snapshots = read(&path("npz"), &ReadOptions::default()).unwrap();
    assert_eq!(snapshots.cloud(1).weights(), array![3.0, 4.0]);
    let wrong = ParticleWeights::Changing(&square);
    let error = write_trajectories(&path("npz"), &[0.0, 1.5], &points, wrong, &names).unwrap_err();
    assert_holds(&error, &["[2, 3]", "got [2, 2]"]);
    for extension in ["csv", "parquet", "npz"] {
        let equal = ParticleWeights::Equal;
        write_trajectories(&path(extension), &[0.0, 1.5], &points, equal, &names).unwrap();
        let snapshots = read(&path(extension), &ReadOptions::default()).unwrap();
        assert_eq!(snapshots.masses(), [1.0, 1.0]);
    }
}

#[test]
fn a_note_says_that_masses_differ() {
    let notes = |text: &str| csv(text, &ReadOptions::default()).unwrap().notes().to_vec();
    let even = "t,x,w\n0,1,0.5\n0,2,0.25\n1,3,0.375\n1,4,0.37500001\n";
    assert_eq!(notes(even), Vec::<String>::new());
    let uneven = notes("t,x,w\n0,1,600\n0,2,93\n1,3,198\n1,4,100\n");
    assert_eq!(uneven.len(), 1);
    assert!(uneven[0].contains("(298 to 693)"), "{uneven:?}");
    assert!(notes("t,x\n0,1\n0,2\n1,3\n1,4\n1,5\n").is_empty());
}

//! Files larger than memory: splitting, and reading in chunks. Fits that see a shard at a time are in
//! `fit::shards`.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path as FilePath, PathBuf},
};

use actum::{
    data::{self, FORMATS, Keys, Shards, Snapshots, Split, TableReader},
    error::{ErrorKind, Result},
    run::SnapshotSettings,
};
use ndarray::{Array1, Array2, array};
use tempfile::TempDir;

const NUMBERS: [usize; 3] = [97, 50, 4];

/// Row i is (i, -i / 8) with the weight 1 + i and, where asked for, the velocity (i / 2, 3).
fn population() -> Snapshots {
    let n: usize = NUMBERS.iter().sum();
    // Times alternate while they last.
    let mut left = NUMBERS;
    let times: Vec<f64> = (0..n)
        .map(|i| {
            let mut k = i % 3;
            while left[k] == 0 {
                k = (k + 1) % 3;
            }
            left[k] -= 1;
            k as f64
        })
        .collect();
    let points = Array2::from_shape_fn((n, 2), |(i, j)| i as f64 * [1.0, -0.125][j]);
    let weights = Array1::from_shape_fn(n, |i| 1.0 + i as f64);
    let snapshots = Snapshots::from_rows(points, &times, Some(weights), None).unwrap();
    let velocities = snapshots.clouds().iter().map(|cloud| {
        let v = |(i, j): (usize, usize)| [cloud.points()[[i, 0]] / 2.0, 3.0][j];
        Array2::from_shape_fn(cloud.points().dim(), v)
    });
    let velocities = velocities.collect();
    snapshots.with_velocities(velocities).unwrap()
}

/// A folder with the population in every format.
fn files() -> (TempDir, Vec<(PathBuf, Keys)>) {
    let folder = tempfile::tempdir().unwrap();
    let population = population();
    let all = FORMATS.iter().map(|format| {
        let path = folder.path().join(format!("a.{}", format.extension));
        data::write(&path, &population).unwrap();
        let keys = Keys {
            velocity_key: Some((format.velocity_key)(population.columns())),
            ..Keys::default()
        };
        (path, keys)
    });
    let all = all.collect();
    (folder, all)
}

pub fn split(shard: usize, most: usize) -> Split {
    Split {
        shard,
        seed: 7,
        most,
        parts: actum::machines::Parts::all(1),
    }
}

pub fn sharded(path: &FilePath, options: &Keys, how: Split) -> Result<Shards> {
    let folder = path.parent().unwrap();
    let mut on = |_, _| ControlFlow::Continue(());
    TableReader::open(path, options)?.shards(&how, folder, &mut on)
}

#[test]
fn every_row_is_in_one_shard_and_few_rows_are_in_all() {
    let (_folder, files) = files();
    let mut first = None;
    for (path, options) in &files {
        let shards = sharded(path, options, split(20, 99)).unwrap();
        assert_eq!((shards.count(), shards.kept()), (5, 5));
        let mut times_seen = BTreeMap::new();
        for i in 0..5 {
            let shard = shards.shard(i).unwrap();
            let sizes: Vec<usize> = shard.clouds().iter().map(|cloud| cloud.len()).collect();
            assert!((19..=20).contains(&sizes[0]), "{sizes:?}");
            assert_eq!(sizes[1..], [10, 4]);
            assert!(shard.is_sample());
            assert_eq!(shard.counts(), NUMBERS.map(|n| n as f64));
            for (ours, whole) in shard.masses().iter().zip(population().masses()) {
                assert!((ours / whole - 1.0).abs() < 1e-12);
            }
            let velocities = shard.velocities().unwrap();
            for (k, cloud) in shard.clouds().iter().enumerate() {
                for (row, v) in cloud.points().outer_iter().zip(velocities[k].outer_iter()) {
                    assert_eq!(row[1], -0.125 * row[0]);
                    assert_eq!(v, array![row[0] / 2.0, 3.0]);
                    *times_seen.entry((k, row[0] as usize)).or_insert(0) += 1;
                }
                // Weights stay in proportion.
                let ratio = |i: usize| cloud.weights()[i] / (1.0 + cloud.points()[[i, 0]]);
                assert!((1..cloud.len()).all(|i| (ratio(i) / ratio(0) - 1.0).abs() < 1e-12));
            }
        }
        assert_eq!(times_seen.len(), 151);
        for ((time, _), seen) in times_seen {
            assert_eq!(seen, if time == 2 { 5 } else { 1 });
        }
        // The same rows in the same order, whatever the format, and however many are kept.
        let shard = sharded(path, options, split(20, 1))
            .unwrap()
            .shard(0)
            .unwrap();
        let (points, hash) = first.get_or_insert((shard.clouds().to_vec(), shard.fingerprint()));
        assert_eq!(
            (shard.clouds(), &shard.fingerprint()),
            (&points[..], &*hash)
        );
    }
    let (path, options) = &files[0];
    let other = Split {
        seed: 8,
        ..split(20, 1)
    };
    let other = sharded(path, options, other).unwrap().shard(0).unwrap();
    let (points, hash) = first.unwrap();
    assert_eq!(other.fingerprint(), hash);
    assert_ne!(other.clouds(), points);
    let error = sharded(path, options, split(20, 2)).unwrap().shard(2);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Missing);
}

#[test]
fn a_file_below_the_limit_is_as_it_was() {
    let (_folder, files) = files();
    for (path, options) in &files {
        let shards = sharded(path, options, split(97, 9)).unwrap();
        assert_eq!((shards.count(), shards.kept()), (1, 1));
        let whole = shards.shard(0).unwrap();
        assert!(!whole.is_sample());
        assert_eq!(whole.fingerprint(), population().fingerprint());
    }
}

#[test]
fn views_of_a_sample_speak_of_the_whole() {
    let (_folder, files) = files();
    let (path, options) = &files[0];
    let shard = sharded(path, options, split(20, 1))
        .unwrap()
        .shard(0)
        .unwrap();
    let late = shard.without(&[0]).unwrap().first_columns(1).unwrap();
    assert_eq!(late.counts(), [50.0, 4.0]);
    assert_eq!(late.fingerprint(), shard.fingerprint());
    let mut settings = SnapshotSettings::default();
    settings.data.mass = actum::problem::Mass::Counts;
    let counted = settings.data.view(&shard).unwrap();
    for (mass, count) in counted.masses().iter().zip(NUMBERS) {
        assert!((mass / count as f64 - 1.0).abs() < 1e-12);
    }
    // A time counts by its number of points in the whole.
    let pooled = shard.pooled();
    let early = pooled.weights().iter().take(shard.cloud(0).len());
    assert!((early.sum::<f64>() - 97.0 / 151.0).abs() < 1e-12);
}

#[test]
fn text_that_comes_late_is_left_out_of_shards_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.csv");
    let mut text = "t,x,who,y\n".to_owned();
    for i in 0..90 {
        let who = if i < 60 { "" } else { "ann" };
        text += &format!("{},{i},{who},{}\n", i % 2, 2 * i);
    }
    fs::write(&path, &text).unwrap();
    let options = Keys::default();
    let shard = sharded(&path, &options, split(20, 1)).unwrap().shard(0);
    let shard = shard.unwrap();
    assert_eq!(shard.columns(), ["x", "y"]);
    assert_eq!(
        shard.notes(),
        ["left out column \"who\": it is not numbers"]
    );
    let point = shard.cloud(0).point(3);
    assert_eq!(point[1], 2.0 * point[0]);
}

/// A zip of stored `.npy` arrays.
fn npz(path: &FilePath, arrays: &[(&str, &str, &[usize], Vec<u8>)]) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, order, shape, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let header =
            format!("{{'descr': '<f8', 'fortran_order': {order}, 'shape': ({shape}), }}\n");
        use std::io::Write;
        writer.write_all(b"\x93NUMPY\x01\x00").unwrap();
        let length = (header.len() as u16).to_le_bytes();
        writer.write_all(&length).unwrap();
        writer.write_all(header.as_bytes()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
}

fn bytes(numbers: impl Iterator<Item = f64>) -> Vec<u8> {
    numbers.flat_map(f64::to_le_bytes).collect()
}

#[track_caller]
fn assert_refused(result: Result<Shards>, kind: ErrorKind, parts: &[&str]) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} in {error}");
    }
}

#[test]
fn bad_files_are_told_as_when_they_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.npz");
    let options = Keys::default();
    let n = 40_000;
    let times = || bytes((0..n).map(|i| (i % 2) as f64));
    let points = || (0..2 * n).map(|i| i as f64);
    let of = |order, x: Vec<u8>| {
        npz(
            &path,
            &[("X", order, &[n, 2], x), ("t", "False", &[n], times())],
        );
        let whole = data::read(&path, &options);
        (sharded(&path, &options, split(100, 3)), whole)
    };
    // X ends in its middle, in an archive that is whole.
    let (shards, whole) = of("False", bytes(points().take(n)));
    let truncated = ["bad.npz", "\"X\" is truncated", "[40000, 2]"];
    let message = whole.unwrap_err().to_string();
    assert!(
        truncated.iter().all(|part| message.contains(part)),
        "{message}"
    );
    assert_refused(shards, ErrorKind::Format, &truncated);
    // The archive itself ends early.
    let (shards, _) = of("False", bytes(points()));
    assert_eq!(shards.unwrap().count(), 200);
    let all = fs::read(&path).unwrap();
    fs::write(&path, &all[..all.len() / 2]).unwrap();
    let cut = sharded(&path, &options, split(100, 3));
    assert_refused(cut, ErrorKind::Format, &["bad.npz", "truncated"]);
    // A number is missing late in the file.
    let late = points().map(|x| if x == 71_235.0 { f64::NAN } else { x });
    let (shards, whole) = of("False", bytes(late));
    let row = [
        "bad.npz",
        "1 of 80000",
        "row 35617 (counted from 0)",
        "x1: NaN",
    ];
    let message = whole.unwrap_err().to_string();
    assert!(row.iter().all(|part| message.contains(part)), "{message}");
    assert_refused(shards, ErrorKind::Value, &row);
    // Column by column: read whole, and told.
    let (shards, whole) = of("True", bytes(points()));
    let (shard, whole) = (shards.unwrap().shard(0).unwrap(), whole.unwrap());
    assert!(shard.notes()[0].contains("numpy.ascontiguousarray(X)"));
    assert!(whole.notes().is_empty());
    let point = shard.cloud(1).point(7);
    assert_eq!(point[1], point[0] + n as f64);

    // A table, late too.
    let path = folder.path().join("bad.csv");
    let row = |i: usize| {
        format!(
            "{},{},{}\n",
            i % 2,
            i as f64 + 0.5,
            if i == 30_000 { "nan" } else { "1" }
        )
    };
    fs::write(
        &path,
        "t,x,w\n".to_owned() + &(0..n).map(row).collect::<String>(),
    )
    .unwrap();
    let late = sharded(&path, &options, split(100, 3));
    assert_refused(late, ErrorKind::Value, &["bad.csv", "line 30002", "\"w\""]);
    let row = |i: usize| format!("{},{i}.5,{}\n", i % 2, if i == 30_000 { "-1" } else { "1" });
    fs::write(
        &path,
        "t,x,w\n".to_owned() + &(0..n).map(row).collect::<String>(),
    )
    .unwrap();
    let late = sharded(&path, &options, split(100, 3));
    assert_refused(late, ErrorKind::Value, &["time 0", "weight 15000 is -1"]);

    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "a failure left shards behind: {names:?}");
}

#[test]
fn shards_need_a_size_and_a_place_and_can_be_stopped() {
    let (folder, files) = files();
    let (path, options) = &files[0];
    let small = sharded(path, options, split(0, 1));
    assert_refused(small, ErrorKind::Setting, &["at least 20", "got 0"]);
    let open = || TableReader::open(path, options).unwrap();
    let nowhere = folder.path().join("nowhere");
    let mut on = |_, _| ControlFlow::Continue(());
    let missing = open().shards(&split(20, 1), &nowhere, &mut on);
    assert_refused(missing, ErrorKind::Io, &["nowhere"]);
    let mut told = vec![];
    let mut stop = |done, of| {
        told.push((done, of));
        ControlFlow::Break(())
    };
    let stopped = open().shards(&split(20, 1), folder.path(), &mut stop);
    assert_refused(stopped, ErrorKind::Interrupted, &["151 of 151 rows"]);
    assert_eq!(told, [(151, 151)]);
    let names = || fs::read_dir(folder.path()).unwrap().count();
    let before = names();
    let shards = sharded(path, options, split(20, 1)).unwrap();
    assert_eq!(names(), before + 1);
    drop(shards);
    assert_eq!(names(), before);
}

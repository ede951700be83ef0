use ndarray::{Axis, array};

use crate::{
    data::{tests::*, *},
    error::ErrorKind,
};

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

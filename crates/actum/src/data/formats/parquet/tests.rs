use ndarray::{Axis, array};

use crate::{
    data::{tests::*, *},
    error::ErrorKind,
};

#[test]
fn pandas_parquet() {
    let snapshots = plain("snappy.parquet").unwrap();
    assert_eq!(snapshots.labels(), ["Day 2", "day10"]);
    assert_eq!(snapshots.columns(), ["PC1", "PC2", "PC3"]);
    let points = snapshots.cloud(1).points();
    assert_eq!(points, rows().select(Axis(0), &[1, 2]));
    let notes = snapshots.notes().join("; ");
    for part in [
        "\"cluster\": it is not numbers",
        "\"count\": it is beside PC1..PC3",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    let count = keys(None, Some("count"), None);
    let count = read(&fixture("snappy.parquet"), &count).unwrap();
    assert_eq!(count.cloud(0).points(), array![[1.0], [4294967295.0]]);
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
        ["left out column \"label\": it is not numbers"]
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
        &["\"x\"", "compression='snappy'"],
    );
    assert_holds(
        &plain("dates.parquet").unwrap_err(),
        &["\"t\"", "expected numbers", "a date or a time of day"],
    );
    let error = read(&fixture("zstd.parquet"), &keys(None, Some("x,label"), None)).unwrap_err();
    assert_holds(&error, &["\"label\"", "got text"]);
    let error = read(&fixture("zstd.parquet"), &keys(Some("z"), None, None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_holds(&error, &["\"z\"", "Time, x, y, label, w"]);
}

#[test]
fn half_precision_and_decimals_are_numbers() {
    let snapshots = plain("types.parquet").unwrap();
    assert_eq!(snapshots.columns(), ["half", "money", "wide", "long"]);
    for k in 0..12 {
        let i = 2 * k;
        let expected = [
            i as f64 / 4.0,
            format!("{}e-2", i as i64 - 7).parse().unwrap(),
            format!("{}e-2", i as i64 - 7).parse().unwrap(),
            format!("{}e-3", 12345678901234567 + 10 * (i as i64 - 7))
                .parse()
                .unwrap(),
        ];
        assert_eq!(
            snapshots.cloud(0).points().row(k).to_vec(),
            expected,
            "row {i}"
        );
    }
    let whole = plain("whole.parquet").unwrap();
    assert_eq!(whole.cloud(1).points()[[0, 0]], -0.06);
}

#[test]
fn lists_and_numbers_as_text_are_refused_by_name() {
    for (file, column, advice) in [
        ("lists.parquet", "list", "pandas.DataFrame"),
        ("texts.parquet", "text", "astype(float)"),
    ] {
        let error = plain(file).unwrap_err();
        assert_holds(
            &error,
            &[file, &format!("{column:?}"), advice, "`Keys::points_key`"],
        );
        let x = read(&fixture(file), &keys(None, Some("x"), None)).unwrap();
        assert_eq!(x.columns(), ["x"]);
        let error = read(&fixture(file), &keys(None, Some(column), None)).unwrap_err();
        assert_holds(&error, &[column, "expected numbers"]);
        assert!(!error.to_string().contains("ARRAY"), "{error}");
    }
    let error = read(&fixture("texts.parquet"), &keys(None, Some("date"), None)).unwrap_err();
    assert_holds(&error, &["\"date\"", "a date"]);
}

#[test]
fn durations_are_times_with_their_unit() {
    for unit in ["s", "ms", "us", "ns"] {
        let of = keys(Some(unit), Some("x"), None);
        let snapshots = read(&fixture("durations.parquet"), &of).unwrap();
        assert_eq!(snapshots.labels(), ["0 h", "3 h", "6 h"], "{unit}");
        assert_eq!(snapshots.unit(), Some("hour"));
    }
    let all = read(&fixture("durations.parquet"), &keys(Some("ns"), None, None)).unwrap();
    assert_eq!(all.columns(), ["x"]);
    let gap = read(
        &fixture("durations.parquet"),
        &keys(Some("gap"), None, None),
    );
    assert_holds(
        &gap.unwrap_err(),
        &["\"gap\"", "1 of 24 times are missing", "row 0"],
    );
    // Microseconds; a step of three.
    let polars = plain("polars.parquet").unwrap();
    assert_eq!(polars.labels(), ["0 s", "0.000003 s", "0.000006 s"]);
}

#[test]
fn categories_and_indices_are_no_coordinates() {
    let snapshots = plain("categorical.parquet").unwrap();
    // Codes of measured numbers are numbers.
    assert_eq!(snapshots.columns(), ["x", "y", "coded"]);
    assert_eq!(snapshots.cloud(1).points()[[0, 2]], 1.0 / 13.0);
    let notes = snapshots.notes().join("; ");
    for part in [
        "\"probe\": it numbers the rows",
        "\"what\": it looks like a label",
        "\"tags\", \"deep\": they have lists",
        "\"gone\": it is empty",
        "\"late\": it has durations",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
}

#[test]
fn labels_that_are_missing_are_counted() {
    assert_holds(
        &plain("untimed.parquet").unwrap_err(),
        &["\"day\"", "2 of 4 times are missing", "row 1"],
    );
}

use std::fs;

use ndarray::{Axis, array};

use crate::data::{tests::*, *};

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
fn text_with_a_mark_quotes_and_windows_lines() {
    let text = "\u{feff}t,\"x, in mm\",y\r\n1,\"2.5\",3\r\n\r\n1,+4e0, 5 \r\n";
    let snapshots = csv(text, &Keys::default()).unwrap();
    assert_eq!(snapshots.columns(), ["x, in mm", "y"]);
    assert_eq!(snapshots.cloud(0).points(), array![[2.5, 3.0], [4.0, 5.0]]);
}

#[test]
fn text_columns_are_chosen_by_name() {
    let text = "t,day,PC1,PC2,size\n0,D3,1,2,3\n0,D3,4,5,6\n";
    let error = csv(text, &Keys::default()).unwrap_err();
    assert_holds(&error, &["\"t\", \"day\"", "time_key"]);
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
    let of = |text: &str| csv(text, &Keys::default()).unwrap_err();
    let cases: [(&str, &[&str]); 13] = [
        (
            "t,x\n0,1\n0,2,3\n",
            &["cells.csv", "line 3 has 3 fields", "expected 2"],
        ),
        (
            "t,x\n0,1\n0,1o\n",
            &["line 3", "\"x\"", "\"1o\"", "points_key"],
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
            &["time_point", "time_key", "available: a, b"],
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
        &read(&path, &Keys::default()).unwrap_err(),
        &["line 2", "UTF-8"],
    );
}

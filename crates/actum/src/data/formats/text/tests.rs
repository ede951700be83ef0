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
            "left out column \"cluster\": it is not numbers"
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
    let cases: [(&str, &[&str]); 21] = [
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
            &["3 of 6", "line 3", "\"x\"", "`Keys::points_key`"],
        ),
        (
            "t,x\n0,1\n,2\nNA,3\n",
            &["\"t\"", "2 of 3 times are missing", "line 3"],
        ),
        ("t,x\nearly,1\nlate,2\n", &["\"early\", \"late\"", "number"]),
        ("t,x\n36h,1\nday 2,2\n", &["mixed units", "36h", "day 2"]),
        ("t,x\n", &["got none"]),
        (
            "t,name,done\n0,a,\n0,b,\n",
            &[
                "no column of numbers",
                "\"t\" is the time",
                "\"name\" is not numbers",
                "\"done\" is empty",
            ],
        ),
        (
            "Time (h),a\n0,1.5\n1,2.5\n",
            &["`Keys::time_key`", "available: Time (h), a"],
        ),
        (
            "day,,\n0,1.5,2\n0,2.5,3\n",
            &["column \"\"", "give it a name of its own"],
        ),
        ("day;a\n0;1,5\n", &["\"day;a\"", "separated by semicolons"]),
        ("day\ta\n0\t1\n", &["\"day a\"", "separated by tabs"]),
        ("day a\n0 1\n", &["\"day a\"", "separated by spaces"]),
        ("\n\n", &["expected a header", "got none"]),
        (",,\n1,2,3\n", &["expected a header", "got none"]),
        ("# made by hand\n\n", &["expected a header", "got none"]),
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

/// A table of 60 rows at three times: the cells of each column by the number of the row.
fn table(names: &str, cells: impl Fn(usize) -> String) -> String {
    let rows = (0..60).map(|i| format!("{},{}\n", i % 3, cells(i)));
    format!("day,{names}\n{}", rows.collect::<String>())
}

fn wave(i: usize) -> f64 {
    (0.37 * i as f64).sin()
}

#[test]
fn numbers_that_number_rows_are_no_coordinates() {
    for name in [
        "index",
        "id",
        "cell_id",
        "rownames",
        "Unnamed: 0",
        "",
        "what",
        "X",
    ] {
        for first in [0, 1, 1000] {
            let text = table(&format!("{name},a,b"), |i| {
                format!("{},{},{}", i + first, wave(i), wave(i + 7))
            });
            let snapshots = csv(&text, &Keys::default()).unwrap();
            assert_eq!(snapshots.columns(), ["a", "b"], "{name}");
            let note = &snapshots.notes()[0];
            let what = format!("left out column {name:?}: it numbers the rows");
            assert!(note.starts_with(&what), "{note}");
            // What has no name of its own cannot be named.
            let is_index = ["", "Unnamed: 0"].contains(&name);
            assert_eq!(note.contains("`Keys::points_key`"), !is_index, "{note}");
        }
    }
    let text = table("x,y", |i| format!("{i},{}", wave(i)));
    assert_eq!(csv(&text, &Keys::default()).unwrap().columns(), ["x", "y"]);
    // In another order, as after a shuffle.
    let text = table("what,a", |i| format!("{},{}", 7 * i % 60, wave(i)));
    assert_eq!(csv(&text, &Keys::default()).unwrap().columns(), ["a"]);
    let text = table("index", |i| i.to_string());
    let error = csv(&text, &Keys::default()).unwrap_err();
    assert_holds(
        &error,
        &["\"index\" numbers the rows", "`Keys::points_key`"],
    );
    let named = csv(&text, &keys(None, Some("index"), None)).unwrap();
    assert_eq!(named.columns(), ["index"]);
}

#[test]
fn labels_of_groups_are_no_coordinates() {
    let text = table("batch,leiden,is_doublet,a,b", |i| {
        format!(
            "{},{}.0,{},{},{}",
            i % 3,
            i % 7,
            i % 2,
            wave(i),
            wave(i + 7)
        )
    });
    let snapshots = csv(&text, &Keys::default()).unwrap();
    assert_eq!(snapshots.columns(), ["a", "b"]);
    assert_holds_all(
        &snapshots.notes()[0],
        &[
            "\"batch\", \"leiden\", \"is_doublet\"",
            "labels of groups",
            "`Keys::points_key`",
        ],
    );
    let all = csv(&text, &keys(None, Some("batch,a"), None)).unwrap();
    assert_eq!(all.columns(), ["batch", "a"]);
    // A name says nothing about it.
    let text = table("what,a,b", |i| {
        format!("{},{},{}", i % 3, wave(i), wave(i + 7))
    });
    let error = csv(&text, &Keys::default()).unwrap_err();
    assert_holds(
        &error,
        &[
            "\"what\" has 3 different whole numbers",
            "as a,b or, with it, what,a,b",
        ],
    );
    let text = table("what,a", |i| format!("{},{}", 14 * i % 61, wave(i)));
    let error = csv(&text, &Keys::default()).unwrap_err();
    assert_holds(
        &error,
        &[
            "\"what\" has whole numbers, each another",
            "as a or, with it, what,a",
        ],
    );
    // Counts are all whole, or many; `x` is a coordinate; no groups are counted in fives.
    let text = table("gata,pax", |i| format!("{},{}", i % 3, i % 5));
    assert_eq!(
        csv(&text, &Keys::default()).unwrap().columns(),
        ["gata", "pax"]
    );
    let counts = "a,b,c,d,e,f,g";
    let text = table(counts, |i| {
        format!("{0},{0},{0},{0},{0},{0},{1}", i % 3, wave(i))
    });
    assert_eq!(csv(&text, &Keys::default()).unwrap().dimension(), 7);
    for (names, step) in [("x,y", 1), ("wind,lat", 5)] {
        let text = table(names, |i| format!("{},{}", step * (i % 7), wave(i)));
        assert_eq!(
            csv(&text, &Keys::default()).unwrap().columns().join(","),
            names
        );
    }
}

fn assert_holds_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn a_run_of_numbered_names_is_the_coordinates() {
    let of = |names: &str| {
        let count = names.split(',').count();
        let text = table(names, |i| {
            let cells = (0..count).map(|j| wave(i * (j + 1)).to_string());
            cells.collect::<Vec<_>>().join(",")
        });
        csv(&text, &Keys::default())
    };
    let run: [(&str, &[&str]); 10] = [
        (
            "n_genes,pct_counts_mt,X_pca1,X_pca2,score",
            &["X_pca1", "X_pca2"],
        ),
        ("PC_1,x,PC_2,y,PC_3", &["PC_1", "PC_2", "PC_3"]),
        ("PC10,PC9,size", &["PC10", "PC9"]),
        ("0,1,2,size", &["0", "1", "2"]),
        ("x0,x1,v_x0,v_x1,size", &["x0", "x1", "v_x0", "v_x1"]),
        ("x1,y1,x2,y2,size", &["x1", "y1", "x2", "y2"]),
        ("x1,x2,z", &["x1", "x2", "z"]),
        ("x_1,y_1,x_2,y_2", &["x_1", "y_1", "x_2", "y_2"]),
        ("gene_1,gene_2,gene_3", &["gene_1", "gene_2", "gene_3"]),
        // Genes of families, and others.
        ("GATA1,GATA2,PAX6,SOX2", &["GATA1", "GATA2", "PAX6", "SOX2"]),
    ];
    for (names, expected) in run {
        assert_eq!(of(names).unwrap().columns(), expected, "{names}");
    }
    let notes = of("total,PC_1,PC_2").unwrap().notes().to_vec();
    assert_eq!(notes.len(), 1);
    assert_holds_all(
        &notes[0],
        &["\"total\"", "beside PC_1..PC_2", "`Keys::points_key`"],
    );
    let two = of("PC_1,PC_2,UMAP_1,UMAP_2").unwrap_err();
    assert_holds(
        &two,
        &["PC_1..PC_2 or UMAP_1..UMAP_2", "`Keys::points_key`"],
    );
    let unsure = of("HOXA1,HOXA2,HOXA3,SOX2").unwrap_err();
    assert_holds(&unsure, &["HOXA1..HOXA3", "HOXA1..HOXA3,SOX2"]);
}

#[test]
fn coordinates_are_chosen_by_patterns_and_ranges() {
    let text = "PC_10,PC_1,PC_2,day,PC_3,UMAP_1\n1,2,3,0,4,5\n6,7,8,0,9,0\n";
    let of = |key: &str| csv(text, &keys(None, Some(key), None));
    let columns = |key: &str| of(key).unwrap().columns().to_vec();
    assert_eq!(columns("PC_*"), ["PC_10", "PC_1", "PC_2", "PC_3"]);
    assert_eq!(columns("PC_1..PC_3"), ["PC_1", "PC_2", "PC_3"]);
    assert_eq!(columns("pc_1..2,umap*"), ["PC_1", "PC_2", "UMAP_1"]);
    assert_eq!(columns("*_1"), ["PC_1", "UMAP_1"]);
    assert_eq!(of("*").unwrap().dimension(), 5);
    assert_eq!(
        of("PC_1..PC_3").unwrap().cloud(0).points(),
        array![[2.0, 3.0, 4.0], [7.0, 8.0, 9.0]]
    );
    for (key, parts) in [
        ("PC_1..PC_4", ["\"PC_4\"", "available: PC_10, PC_1"]),
        ("X_*", ["\"X_*\"", "available: PC_10, PC_1"]),
        ("PC_3..PC_1", ["\"PC_3..PC_1\"", "lower number first"]),
        ("PC_1..UMAP_1", ["\"PC_1..UMAP_1\"", "lower number first"]),
        ("PC_*,PC_1", ["\"PC_1\"", "twice"]),
    ] {
        assert_holds(&of(key).unwrap_err(), &parts);
    }
}

#[test]
fn numbers_written_for_people_are_refused_by_name() {
    for cell in [
        "\"1,537.72\"",
        "\"0,5\"",
        "12 %",
        "1 234",
        "1'234",
        "1.5D+03",
        "<0.1",
    ] {
        let text = table("a,b", |i| format!("{cell},{}", wave(i)));
        let error = csv(&text, &Keys::default()).unwrap_err();
        assert_holds(
            &error,
            &["\"a\"", cell.trim_matches('"'), "`Keys::points_key`"],
        );
        assert!(csv(&text, &keys(None, Some("b"), None)).is_ok());
    }
    let text = table("a,b", |i| format!("\u{2212}{},{}", i % 5, wave(i)));
    let snapshots = csv(&text, &Keys::default()).unwrap();
    assert_eq!(snapshots.cloud(1).points()[[0, 0]], -1.0);
    let text = table("a", |i| format!("\u{2212}{}.5", i));
    let snapshots = csv(&text, &Keys::default()).unwrap();
    assert_eq!(snapshots.cloud(1).points()[[0, 0]], -1.5);
}

#[test]
fn tables_of_r_and_numpy_have_headers_of_their_own() {
    let of_r = "\"day\",\"PC_1\",\"PC_2\"\n\"AAAC-1\",0,1,2\n\"AAAG-1\",0,3,4\n";
    for text in [of_r, &of_r.replace("AAAC-1", "1").replace("AAAG-1", "2")] {
        let snapshots = csv(text, &Keys::default()).unwrap();
        assert_eq!(snapshots.columns(), ["PC_1", "PC_2"]);
        assert_eq!(snapshots.cloud(0).points(), array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(
            snapshots.notes(),
            ["left out column \"\": it numbers the rows"]
        );
    }
    // A cell too many is no name of a row.
    for text in [
        "day,x\n0,1,5\n0,2,5\n",
        "day,x\n0,1,\n0,2,\n",
        "day,x\n0.5,1,5\n0.6,2,5\n",
    ] {
        let error = csv(text, &Keys::default()).unwrap_err();
        assert_holds(&error, &["3 fields", "expected 2 as in the header"]);
    }
    let commented = "# made on Monday\n#\n\nday,x\n0,1\n0,2\n0,\n";
    let error = csv(commented, &Keys::default()).unwrap_err();
    assert_holds(&error, &["line 7"]);
    let whole = csv(&commented.replace("0,\n", ""), &Keys::default()).unwrap();
    assert_eq!(whole.cloud(0).points(), array![[1.0], [2.0]]);
    // numpy.savetxt with a header.
    let of_numpy = csv("# day,x\n0.0e+00,1.0\n0.0e+00,2.0\n", &Keys::default()).unwrap();
    assert_eq!(of_numpy.cloud(0).points(), array![[1.0], [2.0]]);
    let named = csv("#cell,day,x\nA,0,1.0\nB,0,2.0\n", &Keys::default()).unwrap();
    assert_eq!(named.columns(), ["x"]);
    assert_eq!(named.cloud(0).len(), 2);
    // After the header a line that begins so is a row.
    let error = csv("day,x\n0,1\n# no comment\n0,2\n", &Keys::default()).unwrap_err();
    assert_holds(&error, &["line 3 has 1 fields"]);
}

#[test]
fn a_comma_at_the_end_of_every_line_is_an_empty_column() {
    let text = "t,a,b,\n0,0.5,1.5,\n0,1.5,2.25,\n1,2.5,0.75,\n1,0.1,3.5,\n";
    let found = csv(text, &Keys::default()).unwrap();
    assert_eq!(found.columns(), ["a", "b"]);
    assert_eq!(found.notes(), ["left out column \"\": it is empty"]);
}

#[test]
fn compressed_text_is_read_and_written() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.csv.gz");
    let text = "day,x\n0,1\n0,2.5\n";
    let snapshots = csv(text, &Keys::default()).unwrap();
    write(&path, &snapshots).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut unpacked)
        .unwrap();
    assert_eq!(unpacked, text.replace("day", "t"));
    assert_eq!(
        read(&path, &Keys::default()).unwrap().fingerprint(),
        snapshots.fingerprint()
    );
    // Under another name, and in two members, as bgzip writes them.
    let plain = folder.path().join("cells.csv");
    let mut members = vec![];
    for half in [&text[..9], &text[9..]] {
        let mut member = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        member.write_all(half.as_bytes()).unwrap();
        members.extend(member.finish().unwrap());
    }
    fs::write(&plain, &members).unwrap();
    assert_eq!(
        read(&plain, &Keys::default()).unwrap().fingerprint(),
        snapshots.fingerprint()
    );
    for length in [3, 12, bytes.len() - 5] {
        fs::write(&plain, &bytes[..length]).unwrap();
        let error = read(&plain, &Keys::default()).unwrap_err();
        assert_holds(
            &error,
            &["cells.csv", "compressed text is damaged or truncated"],
        );
    }
    // Text is not compressed for its name.
    fs::write(&path, text).unwrap();
    assert!(read(&path, &Keys::default()).is_ok());
}

#[test]
fn other_formats_are_known_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[u8], &str); 7] = [
        (b"PK\x03\x04\x14\0\0\0", "zip"),
        (b"BZh91AY&SY\0\x01", "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (b"\x28\xb5\x2f\xfd\0", "zstd"),
        (b"PAR1\x15\x04\x15\x10", "Parquet"),
        (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
        (b"\xff\xfet\0,\0x\0", "UTF-16"),
    ];
    for (bytes, what) in cases {
        for name in ["a.csv", "a.npz", "a.npy", "a.parquet"] {
            let is_its_own = [("zip", "a.npz"), ("Parquet", "a.parquet")].contains(&(what, name));
            if is_its_own || name == "a.parquet" && !cfg!(feature = "parquet") {
                continue;
            }
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let error = read(&path, &Keys::default()).unwrap_err();
            assert_holds(&error, &[name, what, "expected"]);
        }
    }
    for (bytes, what) in [(&b"day,x\n0,1\n"[..], "is text"), (b"\0\x01", "damaged")] {
        let path = folder.path().join("a.npz");
        fs::write(&path, bytes).unwrap();
        let error = read(&path, &Keys::default()).unwrap_err();
        assert_holds(&error, &["expected a .npz archive", what]);
    }
    for (name, advice) in [
        ("a.csv.bz2", "unpack it first"),
        ("a.npz.gz", "unpack it first"),
        ("a.gz", ".csv.gz"),
        ("a.xlsx", "save the sheet"),
    ] {
        assert_holds(&plain(name).unwrap_err(), &[name, advice]);
    }
    // Names of columns may begin in the same way.
    assert!(csv("PAR1,BZh,t\n1,2,0\n3,4,0\n", &Keys::default()).is_ok());
}

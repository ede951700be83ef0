use super::{label::*, unit::*, *};
use crate::error::ErrorKind;

fn value(label: &str) -> f64 {
    parse(label).unwrap().value(Hyphen::Sign)
}

#[test]
fn labels_people_write_have_their_value() {
    let cases = [
        ("3", 3.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("36h", 36.0),
        ("Day 2", 2.0),
        ("day10", 10.0),
        ("E8.5", 8.5),
        ("D3", 3.0),
        ("t=4", 4.0),
        ("12 hours", 12.0),
        ("d7", 7.0),
        ("P0", 0.0),
        ("-1", -1.0),
        ("-0.5", -0.5),
        ("-.5", -0.5),
        ("day_2", 2.0),
        ("D_-2", -2.0),
        ("Day (-2)", -2.0),
        ("Day -2", -2.0),
        ("D--2", -2.0),
        ("D-2", -2.0),
        ("E-2.5", -2.5),
        ("D+7", 7.0),
        ("Day +7", 7.0),
        ("\u{2212}2", -2.0),
        ("D\u{2212}2", -2.0),
        ("Day \u{2013}2", -2.0),
        ("minus 2", -2.0),
        ("Day minus 2", -2.0),
        ("Dminus2", -2.0),
        ("Day_neg_2", -2.0),
        ("day plus 2", 2.0),
        ("2 days before", -2.0),
        ("t=-1", -1.0),
        ("1e3", 1000.0),
        ("2e-1 s", 0.2),
        ("day.5", 0.5),
        ("24 hpf", 24.0),
        ("5.", 5.0),
        (" 7 ", 7.0),
    ];
    for (label, expected) in cases {
        assert_eq!(value(label), expected, "{label}");
    }
    for label in [
        "early",
        "",
        "-",
        "nan",
        "inf",
        "1e999",
        "d7_rep1",
        "2024-01-05",
        "1,000",
        "-2 days before",
        "2-",
        "2+",
    ] {
        assert!(parse(label).is_none(), "{label}");
    }
}

#[test]
fn times_are_ordered_by_value_and_shown_as_written() {
    let (axis, index) = TimeAxis::from_labels(&["day10", "Day 2", "day10", "1 day"]).unwrap();
    assert_eq!(axis.values(), [1.0, 2.0, 10.0]);
    assert_eq!(axis.labels(), ["1 day", "Day 2", "day10"]);
    assert_eq!(axis.unit(), Some("day"));
    assert_eq!(index, [2, 1, 2, 0]);
    assert!(!axis.is_plain());
}

#[test]
fn labels_of_equal_value_are_one_time() {
    let (axis, index) = TimeAxis::from_labels(&["day2", "Day 2.0", "d_3"]).unwrap();
    assert_eq!(axis.labels(), ["day2", "d_3"]);
    assert_eq!(index, [0, 0, 1]);
    let (axis, _) = TimeAxis::from_values(&[-0.0, 0.0]).unwrap();
    assert_eq!(axis.values()[0].to_bits(), 0f64.to_bits());
    assert_eq!(axis.labels(), ["0"]);
    assert_eq!(axis.values().len(), 1);
}

#[test]
fn labels_that_cannot_be_ordered_are_listed() {
    let message = |rows: &[&str]| TimeAxis::from_labels(rows).unwrap_err().to_string();
    let mixed = message(&["36h", "day 2", "day 3"]);
    assert!(
        mixed.contains("mixed units: \"36h\" and \"day 2\", \"day 3\""),
        "{mixed}"
    );
    let words = message(&["early", "3", "late"]);
    assert!(words.contains("got \"early\", \"late\""), "{words}");
    let bare = message(&["day 2", "3"]);
    assert!(bare.contains("mixed"), "{bare}");
}

#[test]
fn what_a_person_types_finds_the_time() {
    let (axis, _) = TimeAxis::from_labels(&["day2", "day10"]).unwrap();
    for text in ["2", "day2", "Day 2", "d2", "2.0", "2 days", "t=2"] {
        assert_eq!(axis.index_of(text).unwrap(), 0, "{text}");
    }
    for text in ["36h", "2h", "3", "two", ""] {
        let error = axis.index_of(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        assert!(error.to_string().contains("day2, day10"), "{error}");
    }
    assert_eq!(axis.index_of("48h").unwrap(), 0);
    assert_eq!(axis.value_of("60 hours").unwrap(), 2.5);
    assert!(axis.value_of("60 hpf").is_err());
    let (steps, _) = TimeAxis::from_values(&[0.0, 0.1 + 0.2, 0.5]).unwrap();
    assert_eq!(steps.index_of("0.3").unwrap(), 1);
    assert_eq!(steps.index_of("0").unwrap(), 0);
}

#[test]
fn times_of_another_unit_are_converted_or_refused() {
    let axis = |labels: &[&str]| TimeAxis::from_labels(labels).unwrap().0;
    let days = axis(&["Day 0", "Day 1", "Day 4"]);
    let (same, note) = axis(&["d1", "4 days"]).as_on(&days).unwrap();
    assert_eq!(
        (same.labels(), note),
        (&["d1".into(), "4 days".into()][..], None)
    );
    for hours in [axis(&["24h", "36 hours"]), axis(&["1440 min", "2160 min"])] {
        let (found, note) = hours.as_on(&days).unwrap();
        assert_eq!(found.values(), [1.0, 1.5]);
        assert_eq!(found.labels(), ["Day 1", "Day 1.5"]);
        assert!(note.unwrap().contains("converted to days"));
    }
    let (bare, note) = axis(&["0", "2"]).as_on(&days).unwrap();
    assert_eq!(bare.labels(), ["Day 0", "Day 2"]);
    assert!(note.unwrap().contains("such as Day 0"));
    for other in [
        axis(&["E1", "E2"]),
        axis(&["1 hpf", "2 hpf"]),
        axis(&["rep1"]),
    ] {
        let error = other.as_on(&days).unwrap_err().to_string();
        assert!(error.contains("Day 0, Day 1, Day 4"), "{error}");
        assert!(error.contains(&other.labels()[0]), "{error}");
    }
    // Numbers without a unit cannot be compared with hours.
    let error = axis(&["0h", "1h"]).as_on(&axis(&["0", "1"])).unwrap_err();
    assert!(error.to_string().contains("0h, 1h"), "{error}");
}

#[test]
fn the_name_of_a_column_tells_the_unit_of_plain_numbers() {
    for (name, expected) in [
        ("day", Some("day")),
        ("Hours", Some("hour")),
        ("time_h", Some("hour")),
        ("Time [min]", Some("minute")),
        ("t", None),
        ("d", None),
        ("timepoint", None),
        ("birthday", None),
    ] {
        let (axis, _) = TimeAxis::from_values(&[0.0, 1.0]).unwrap();
        assert_eq!(axis.in_unit(name).unit(), expected, "{name}");
    }
    let (labelled, _) = TimeAxis::from_labels(&["0h", "1h"]).unwrap();
    assert_eq!(labelled.in_unit("day").unit(), Some("hour"));
}

#[test]
fn a_time_between_others_is_written_as_they_are() {
    let axis = |labels: &[&str]| TimeAxis::from_labels(labels).unwrap().0;
    for (labels, value, expected) in [
        (&["Day 0", "Day 3"][..], 1.5, "Day 1.5"),
        (&["Day 0", "Day 3"], 3.0, "Day 3"),
        (&["0h", "36h"], 0.25, "0.25h"),
        (&["E8.5", "E9.5"], 9.0, "E9"),
        (&["day-1", "day-2"], 1.5, "day-1.5"),
        (&["0", "2"], 0.1 + 0.2, "0.30000000000000004"),
        (&["t=0", "t=.5"], 0.25, "t=0.25"),
        (&["-2", "-1"], -1.5, "-1.5"),
    ] {
        assert_eq!(axis(labels).label_of(value), expected);
    }
}

#[test]
fn a_hyphen_is_read_by_all_labels_together() {
    let values = |rows: &[&str]| {
        let axis = TimeAxis::from_labels(rows).map(|(axis, _)| axis);
        axis.map(|axis| axis.values().to_vec())
    };
    let cases: [(&[&str], &[f64]); 12] = [
        (&["D-3", "D-1", "D0", "D2"], &[-3.0, -1.0, 0.0, 2.0]),
        (&["T-1", "T0", "T1", "T2"], &[-1.0, 0.0, 1.0, 2.0]),
        (&["W-2", "W2", "W4"], &[-2.0, 2.0, 4.0]),
        (&["E-2", "E+3"], &[-2.0, 3.0]),
        (&["D-3", "D -1", "D2"], &[-3.0, -1.0, 2.0]),
        (&["D_-2", "D_0", "D_2"], &[-2.0, 0.0, 2.0]),
        (&["Day (-2)", "Day (3)"], &[-2.0, 3.0]),
        (&["D\u{2212}2", "D0"], &[-2.0, 0.0]),
        (&["day-1", "day-2", "day-3"], &[1.0, 2.0, 3.0]),
        (&["day-0", "day-1", "day-2"], &[0.0, 1.0, 2.0]),
        (&["day-0", "day-1", "day 2"], &[0.0, 1.0, 2.0]),
        (&["D+7", "D14"], &[7.0, 14.0]),
    ];
    for (labels, expected) in cases {
        assert_eq!(values(labels).unwrap(), expected, "{labels:?}");
    }
    let error = values(&["D-7", "D1", "D14"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    for part in ["\"D-7\"", "-7, 1, 14 or 7, 1, 14", "`day -2`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // A twin says that it is a sign, -0 that it is none.
    assert!(values(&["D-0", "D-1", "D1"]).is_err());
}

#[test]
fn what_a_person_types_is_read_as_the_labels_are() {
    let of = |rows: &[&str]| TimeAxis::from_labels(rows).unwrap().0;
    let signs = of(&["Day-3", "Day0", "Day2"]);
    assert_eq!(signs.index_of("Day -3").unwrap(), 0);
    assert_eq!(signs.index_of("\u{2212}3").unwrap(), 0);
    assert_eq!(signs.value_of("Day-2").unwrap(), -2.0);
    assert_eq!(signs.value_of("2").unwrap(), 2.0);
    let spaced = of(&["Day -3", "Day 0", "Day 2"]);
    assert_eq!(spaced.value_of("Day-2").unwrap(), -2.0);
    let separated = of(&["day-1", "day-2"]);
    assert_eq!(separated.index_of("day-2").unwrap(), 1);
    assert_eq!(separated.value_of("day-1.5").unwrap(), 1.5);
    assert_eq!(separated.value_of("-1.5").unwrap(), -1.5);
    let none = of(&["day 0", "day 2"]);
    for error in [
        none.value_of("Day-2").unwrap_err(),
        none.index_of("d-2").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains("could be -2 or 2"), "{error}");
    }
    assert_eq!(none.value_of("day-0").unwrap(), 0.0);
}

#[test]
fn times_that_differ_by_rounding_alone_are_one() {
    let of = |rows: &[f64]| TimeAxis::from_values(rows).unwrap();
    let (axis, index) = of(&[0.0, 0.1, 0.1 + 2e-17, 0.2, 0.3, 0.1 + 0.2]);
    assert_eq!(axis.values(), [0.0, 0.1, 0.2, 0.3]);
    assert_eq!(index, [0, 1, 1, 2, 3, 3]);
    let note = axis.note().unwrap();
    assert!(
        note.contains("\"0.30000000000000004\" for \"0.3\""),
        "{note}"
    );
    let (axis, _) = of(&[0.0, 0.333333, 1.0 / 3.0, 2.0 / 3.0, 1.0]);
    assert_eq!(axis.values(), [0.0, 0.333333, 2.0 / 3.0, 1.0]);
    assert_eq!(axis.labels()[1], "0.333333");
    assert_eq!(axis.index_of("0.3333333").unwrap(), 1);
    assert_eq!(axis.value_of("0.3333333333333333").unwrap(), 0.333333);
    // What is left where 0.3 is taken from 0.1 + 0.2.
    let (axis, _) = of(&[0.0, 0.1 + 0.2 - 0.3, 0.5, 1.0]);
    assert_eq!(axis.values(), [0.0, 0.5, 1.0]);
    assert_eq!(of(&[0.1, 0.1 + 2e-17]).0.values(), [0.1]);

    let day = 86_400.0;
    for apart in [
        // Seconds since 1970, days since 4713 BC, minutes in days, five decades.
        vec![1.7e9, 1.7e9 + 1.0, 1.7e9 + day, 1.7e9 + 90.0 * day],
        vec![2_460_000.5, 2_460_000.5 + 1.0 / day, 2_460_001.5],
        vec![0.0, 1.0 / 1440.0, 1.0, 2.0],
        vec![1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0],
        vec![1e6, 1e6 + 1.0],
        vec![5.0, 5.0 + 1e-9],
    ] {
        let (axis, _) = of(&apart);
        assert_eq!(axis.values(), apart);
        assert_eq!(axis.note(), None);
    }
    let (axis, index) = TimeAxis::from_labels(&["0.1", "0.2", "0.10000000000000002"]).unwrap();
    assert_eq!((axis.labels().len(), index), (2, vec![0, 1, 0]));
}

#[test]
fn names_of_replicates_are_no_names_of_times() {
    for name in [
        "rep",
        "Replicate",
        "tech_rep",
        "biorep",
        "donor id",
        "batch",
    ] {
        assert!(names_no_time(name), "{name}");
    }
    for name in [
        "day",
        "t",
        "sample_time",
        "well hour",
        "stage",
        "",
        "e",
        "sleep",
    ] {
        assert!(!names_no_time(name), "{name}");
    }
}

#[test]
fn times_that_are_not_finite_are_counted_and_placed() {
    let error = TimeAxis::from_values(&[0.0, f64::NAN, f64::INFINITY]).unwrap_err();
    assert!(error.to_string().contains("2 of 3"), "{error}");
    assert!(error.to_string().contains("row 1"), "{error}");
}

#[test]
fn a_time_for_every_row_is_refused_at_once() {
    let rows: Vec<f64> = (0..1_000_000).map(|i| f64::from(i) * 0.37).collect();
    let error = TimeAxis::from_values(&rows).unwrap_err().to_string();
    assert!(
        error.contains("at most 20000 distinct times, got 1000000"),
        "{error}"
    );
    let labels: Vec<String> = (0..30_000).map(|i| format!("d-{i}")).collect();
    assert!(TimeAxis::from_labels(&labels).is_err());
}

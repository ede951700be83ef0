//! Folders that cannot be written to.

use crate::support::{SMALL, fitted};

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_an_error() {
    let bench = fitted();
    let fit = format!("fit population.npz -o closed/run {SMALL}");
    for (line, named) in [
        ("simulate run --to 6 -o closed/x.npz", "closed/x.npz"),
        (fit.as_str(), "closed/run"),
        ("plot run -o closed/pictures", "closed/pictures"),
    ] {
        bench.run_shut_out(line).error(&[named]);
    }
    assert!(bench.names("closed").is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    let bench = fitted();
    bench
        .run_on_a_full_disk("simulate run -o big.csv --times 1,2,3,4,5,6,7,8")
        .error(&["big.csv"]);
    assert_eq!(bench.names("."), ["population.npz", "run"]);
}

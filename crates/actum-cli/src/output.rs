//! Standard output: tables for people, JSON for machines.

use std::io::{self, Write};

use actum::data::Keys;

/// Prints a line. A reader that has gone away (`| head`) is no error; a full disk ends the program.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to standard output: {cause}");
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Prints JSON.
pub fn json(value: &serde_json::Value) {
    line(&serde_json::to_string_pretty(value).expect("a value is JSON"));
}

/// Prints rows under a header, the first column to the left and the others to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    columns(header, rows, |j| j == 0);
}

/// Prints rows of words under a header, all columns to the left.
pub fn left_table(header: &[&str], rows: &[Vec<String>]) {
    columns(header, rows, |_| true);
}

fn columns(header: &[&str], rows: &[Vec<String>], left: impl Fn(usize) -> bool) {
    let widths: Vec<usize> = (0..header.len())
        .map(|j| {
            let cells = rows.iter().map(|row| row[j].chars().count());
            cells.chain([header[j].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let print = |cells: &[&str]| {
        let mut text = String::from(" ");
        for (j, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let gap = if j == 0 { " " } else { "  " };
            text += &if left(j) {
                format!("{gap}{cell:<width$}")
            } else {
                format!("{gap}{cell:>width$}")
            };
        }
        line(text.trim_end());
    };
    print(header);
    for row in rows {
        print(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// A number with about four significant digits.
pub fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        a if !(1e-3..1e5).contains(&a) => format!("{x:.3e}"),
        a if a >= 1000.0 => format!("{x:.1}"),
        _ => format!("{x:.4}"),
    }
}

/// `1 point`, `2 points`.
pub fn count(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Text as a shell takes it.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/=,:+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A message of the library that names the program's flags.
pub fn with_flags(text: &str) -> String {
    Keys::ALL.iter().fold(text.to_owned(), |text, key| {
        let flag = format!("--{}", key.name.replace('_', "-"));
        text.replace(&format!("`Keys::{}`", key.name), &flag)
    })
}

/// A path as a shell takes it.
pub fn path(path: &std::path::Path) -> String {
    quoted(&path.display().to_string())
}

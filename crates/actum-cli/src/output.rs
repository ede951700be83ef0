//! Standard output: tables for people, JSON for machines.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use actum::{
    data::Keys,
    error::{Error, ErrorKind, Result},
};

/// Prints a line. A reader that has gone away (`| head`) is no error; a full disk ends the program.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("error: cannot write to standard output: {cause}"));
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Says a line on standard error. One that is closed or full is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
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
    let text = [
        ("`Keys::pca`", "--pca"),
        ("`IfExists::Overwrite`", "--overwrite"),
        ("`IfExists::Resume`", "--resume"),
        ("`lagrangian.growth`", "--growth"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, flag)| {
        text.replace(name, flag)
    });
    Keys::ALL.iter().fold(text, |text, key| {
        let flag = format!("--{}", key.name.replace('_', "-"));
        text.replace(&format!("`Keys::{}`", key.name), &flag)
    })
}

/// A path as a shell takes it, byte by byte where it is no text.
pub fn path(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return quoted(text);
    }
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let each = bytes.map(|byte| match byte {
        b'\'' | b'\\' => format!("\\{}", *byte as char),
        b' '..=b'~' => (*byte as char).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    format!("$'{}'", each.collect::<String>())
}

/// A path as JSON has it.
pub fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Checks that what is written is none of what is read: a command that is repeated would then go on
/// from its own result.
pub fn check_apart<'a>(to: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let Ok(there) = fs::canonicalize(to) else {
        return Ok(());
    };
    for input in inputs {
        if fs::canonicalize(input).is_ok_and(|input| input == there) {
            let what = format!(
                "{} is an input of this command and is not written over; choose another file",
                path(to)
            );
            return Err(Error::new(ErrorKind::Exists, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn paths_that_are_no_text_are_written_byte_by_byte() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let odd = Path::new(OsStr::from_bytes(b"caf\xe9 'x'/a.csv"));
        assert_eq!(path(odd), "$'caf\\xe9 \\'x\\'/a.csv'");
        assert_eq!(path(Path::new("a b")), "'a b'");
    }
}

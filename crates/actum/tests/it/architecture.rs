//! What holds of the library's source: one place knows a tensor type, nothing is printed or read from
//! the surroundings, and modules import only what is listed before them in lib.rs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A file of the library as its compiler sees it: without comments, and without what is for tests.
struct Source {
    /// Below `src`, with `/` between folders.
    name: String,
    code: String,
}

impl Source {
    /// The module of lib.rs that it belongs to.
    fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn says(&self, word: &str) -> bool {
        is_said(&self.code, word)
    }
}

/// Whether a word is there that is no part of a longer one.
fn is_said(code: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !(before.is_some_and(is_letter)
            || word.ends_with(is_letter) && after.is_some_and(is_letter))
    })
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    fn collect(folder: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let below = path.strip_prefix(source_folder()).unwrap().iter();
                let parts: Vec<&str> = below.map(|part| part.to_str().unwrap()).collect();
                found.push(Source {
                    name: parts.join("/"),
                    code: without_tests(&without_comments(&fs::read_to_string(&path).unwrap())),
                });
            }
        }
    }
    let mut found = vec![];
    collect(&source_folder(), &mut found);
    assert!(found.len() > 80, "only {} files", found.len());
    found
}

/// Text from `//` on is gone, but for that in strings, such as of an address.
fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let comment = line.match_indices("//").find(|(at, _)| {
            let quotes = line[..*at].matches('"').count() - line[..*at].matches("\\\"").count();
            quotes.is_multiple_of(2)
        });
        comment.map_or(line, |(at, _)| &line[..at]).to_owned() + "\n"
    };
    text.lines().map(code).collect()
}

/// Without the items under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let Some((before, rest)) = code.split_once("#[cfg(test)]") else {
        return code.to_owned();
    };
    let start = rest.find(['{', ';']).expect("an item");
    let mut depth = 0;
    let end = rest[start..].find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0 && (c == '}' || c == ';')
    });
    let after = &rest[start + end.expect("an item ends") + 1..];
    format!("{before}{}", without_tests(after))
}

/// The modules of the library that code names, as `crate::one::..` or in a group.
fn imports(code: &str) -> BTreeSet<String> {
    let code: String = code.split_whitespace().collect();
    let mut found = BTreeSet::new();
    let name = |text: &str| -> String {
        let letters = text.chars();
        letters
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let (mut depth, mut starts) = (0, true);
        for (at, c) in group.char_indices() {
            if depth == 0 && starts && c != '}' {
                found.insert(name(&group[at..]));
            }
            starts = c == ',';
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth < 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn imports_are_found() {
    let code = "use crate::{ab::{c, d}, e::F, g}; crate::h::i(); pub(crate) use other::j; crate::K";
    let found: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(found, ["K", "ab", "e", "g", "h"]);
    let code = "a\n#[cfg(test)]\nuse x;\nb { c }\n#[cfg(test)]\nmod tests { fn y() { z } }\nd // e";
    let code = without_tests(&without_comments(code));
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "b", "{", "c", "}", "d"]);
    assert!(is_said("use burn::x", "burn") && !is_said("burning; auburn", "burn"));
    assert!(is_said("eprintln!()", "eprintln!") && !is_said("eprintln!()", "println!"));
}

/// The modules of lib.rs in their order, those of a feature included.
fn order() -> Vec<String> {
    let text = fs::read_to_string(source_folder().join("lib.rs")).unwrap();
    let lines = text
        .lines()
        .map(|line| line.strip_prefix("pub ").unwrap_or(line));
    let modules = lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    modules.map(str::to_owned).collect()
}

/// Invariant 5. A device places a network in tensors, and everything above asks a device.
#[test]
fn modules_import_only_what_is_listed_before_them() {
    let order = order();
    assert!(order.len() > 20, "{order:?}");
    let place = |module: &str| order.iter().position(|other| other == module);
    let mut upward = vec![];
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| source.name != "lib.rs") {
        let own = place(source.module()).expect("a module of lib.rs");
        seen.insert(own);
        for import in imports(&source.code) {
            let other = place(&import);
            if other.is_some_and(|other| other > own) {
                upward.push(format!("{} imports {import}", source.name));
            }
        }
    }
    assert_eq!(seen.len(), order.len());
    assert_eq!(upward, ["action/device.rs imports tensor"]);
}

/// Invariant 1.
#[test]
fn only_the_tensor_module_knows_a_tensor_type() {
    let all = sources();
    let knows = |source: &&Source| source.says("burn") || source.says("crate::tensor");
    let knowing: Vec<&str> = all
        .iter()
        .filter(knows)
        .map(|source| &*source.name)
        .collect();
    let outside: Vec<&&str> = knowing
        .iter()
        .filter(|name| !name.starts_with("tensor/"))
        .collect();
    assert!(knowing.len() > outside.len());
    assert_eq!(outside, [&"action/device.rs"]);
    let device = all.iter().find(|source| source.name == "action/device.rs");
    assert!(!device.unwrap().says("burn"));
}

/// Invariant 4: randomness and devices are arguments. The clock is asked by a fit alone, how long
/// ago it saved.
#[test]
fn nothing_is_printed_or_read_from_the_surroundings() {
    let forbidden = [
        "print!",
        "println!",
        "eprint!",
        "eprintln!",
        "dbg!",
        "env::",
        "std::env",
        "stdin",
        "stdout",
        "stderr",
        "Instant",
        "SystemTime",
        "thread_rng",
        "ThreadRng",
        "SysRng",
        "OsRng",
        "rand::rng",
        "rand::random",
        "make_rng",
        "from_os_rng",
        "from_entropy",
        "tempdir",
        "temp_dir",
    ];
    let mut found = vec![];
    for source in sources() {
        for word in forbidden {
            if source.says(word) {
                found.push(format!("{}: {word}", source.name));
            }
        }
    }
    assert_eq!(found, ["fit/mod.rs: Instant"]);
}

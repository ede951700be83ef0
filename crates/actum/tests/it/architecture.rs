//! Modules import only modules listed before them in lib.rs.

use std::{fs, path::Path};

fn sources(path: &Path) -> Vec<String> {
    if path.is_file() {
        return vec![fs::read_to_string(path).unwrap()];
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| sources(&entry.unwrap().path()))
        .collect()
}

#[test]
fn modules_import_only_what_is_listed_before_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order: Vec<String> = fs::read_to_string(root.join("lib.rs"))
        .unwrap()
        .lines()
        .filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned()))
        .collect();
    assert!(order.len() > 10, "{order:?}");
    for (place, module) in order.iter().enumerate() {
        let single = root.join(format!("{module}.rs"));
        let folder = root.join(module);
        let mut texts = vec![];
        for path in [single, folder] {
            if path.exists() {
                texts.extend(sources(&path));
            }
        }
        assert!(!texts.is_empty(), "no source of {module}");
        // Only what is compiled into the library counts: tests may look ahead.
        for text in texts
            .iter()
            .map(|text| text.split("#[cfg(test)]").next().unwrap())
        {
            let code: String = text.split_whitespace().collect();
            for later in &order[place + 1..] {
                for import in [format!("crate::{later}::"), format!("usecrate::{later};")] {
                    assert!(!code.contains(&import), "{module} imports {later}");
                }
                let grouped = code
                    .split("usecrate::{")
                    .nth(1)
                    .map(|rest| rest.split("};").next());
                let grouped = grouped.flatten().unwrap_or_default();
                let starts = [format!("{later}::"), format!("{later}{{")];
                let in_group =
                    |part: &str| starts.iter().any(|s| part.starts_with(s)) || part == later;
                assert!(
                    !grouped.split(',').any(in_group),
                    "{module} imports {later}"
                );
            }
        }
    }
}

//! An evaluation as a folder: what it is of, and a file for every finished job.

use std::{fs, path::Path as FilePath};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Evaluation, Job, Outcome};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    store::{self, versioned},
};

const EVALUATION: &str = "evaluation.json";

/// What a folder is of.
#[derive(Serialize, Deserialize)]
struct Manifest {
    version: String,
    /// All that decides the outcomes.
    of: Value,
}

/// The most differences that a message lists.
const LISTED: usize = 4;

impl Evaluation {
    /// The outcomes of the [jobs](Evaluation::jobs) that `folder` holds, None for those it lacks.
    /// A folder that is not there is made.
    ///
    /// # Errors
    /// It holds an evaluation of other data or settings, or something else; it cannot be read or
    /// written; a damaged file.
    pub fn open(&self, folder: &FilePath) -> Result<Vec<Option<Outcome>>> {
        let file = folder.join(EVALUATION);
        if !file.is_file() {
            self.begin(folder)?;
        }
        let bytes = store::read(&file)?;
        let there: Manifest = versioned(&bytes).map_err(|e: Error| e.within(file.display()))?;
        let mut apart = vec![];
        differences("", &there.of, &self.identity(), &mut apart);
        let more = apart.len().saturating_sub(LISTED);
        apart.truncate(LISTED);
        ensure!(
            apart.is_empty(),
            Setting,
            "{} holds an evaluation with other settings or data: {}{}; choose another folder, or \
             the same settings to go on with it",
            folder.display(),
            apart.join(", "),
            if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            }
        );
        let jobs = self.jobs();
        let found = jobs.iter().enumerate().map(|(index, job)| {
            let path = folder.join(name(index));
            if !path.is_file() {
                return Ok(None);
            }
            let outcome: Option<Outcome> = serde_json::from_slice(&store::read(&path)?).ok();
            match outcome {
                Some(outcome) if outcome.job == *job => Ok(Some(outcome)),
                _ => Err(Error::new(
                    ErrorKind::Format,
                    format!(
                        "{} is damaged or of another job; remove it, and it is computed again",
                        path.display()
                    ),
                )),
            }
        });
        found.collect()
    }

    fn begin(&self, folder: &FilePath) -> Result<()> {
        if folder.exists() {
            let mut entries =
                fs::read_dir(folder).map_err(|cause| Error::io("read", folder, cause))?;
            let other = entries.find_map(|entry| {
                let name = entry.ok()?.file_name().to_string_lossy().into_owned();
                (!name.starts_with(store::TEMPORARY)).then_some(name)
            });
            if let Some(other) = other {
                return Err(Error::new(
                    ErrorKind::Exists,
                    format!(
                        "{} holds {other} and no evaluation; choose another folder",
                        folder.display()
                    ),
                ));
            }
        }
        fs::create_dir_all(folder)
            .map_err(|cause| Error::io("create the folder", folder, cause))?;
        let manifest = Manifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            of: self.identity(),
        };
        let text = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
        store::replace(&folder.join(EVALUATION), |out| writeln!(out, "{text}"))
    }

    /// All that decides the outcomes, as it is read back.
    fn identity(&self) -> Value {
        let sizes: Vec<usize> = self.snapshots.clouds().iter().map(|c| c.len()).collect();
        let identity = json!({
            "data": {
                "hash": self.snapshots.fingerprint(),
                "times": self.snapshots.labels(),
                "points": sizes,
                "masses": self.snapshots.masses(),
                "columns": self.snapshots.columns(),
            },
            "standardize": self.data.standardize,
            "options": self.options,
            "methods": self.methods,
        });
        let text = identity.to_string();
        serde_json::from_str(&text).expect("what was written is read")
    }
}

/// Keeps what a job found, whole or not at all.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn keep(folder: &FilePath, index: usize, outcome: &Outcome) -> Result<()> {
    let text = serde_json::to_string(outcome).expect("an outcome is plain data");
    store::replace(&folder.join(name(index)), |out| writeln!(out, "{text}"))
}

fn name(index: usize) -> String {
    format!("job-{index:04}.json")
}

impl Job {
    /// The name of the file that keeps what the job of this index found.
    pub fn file(index: usize) -> String {
        name(index)
    }
}

/// What differs, with the keys joined by dots.
fn differences(at: &str, there: &Value, here: &Value, found: &mut Vec<String>) {
    let below = |key: &str| match at {
        "" => key.to_owned(),
        at => format!("{at}.{key}"),
    };
    match (there, here) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one
                .keys()
                .chain(other.keys().filter(|k| !one.contains_key(*k)));
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                differences(&below(key), &of(one), &of(other), found);
            }
        }
        (Value::Array(one), Value::Array(other))
            if one.len() == other.len() && one.iter().all(Value::is_object) =>
        {
            for (k, (one, other)) in one.iter().zip(other).enumerate() {
                let name = one["name"].as_str().map_or(k.to_string(), str::to_owned);
                differences(&below(&name), one, other, found);
            }
        }
        _ if there != here => {
            let shown = |value: &Value| {
                let each = value.as_array().into_iter().flatten();
                let names: Vec<&str> = each.filter_map(|one| one["name"].as_str()).collect();
                let text = match names.is_empty() {
                    true => value.to_string(),
                    false => names.join(" "),
                };
                match text.char_indices().nth(40) {
                    Some((end, _)) => format!("{}..", &text[..end]),
                    None => text,
                }
            };
            found.push(format!("{at} is {}, not {}", shown(there), shown(here)));
        }
        _ => {}
    }
}

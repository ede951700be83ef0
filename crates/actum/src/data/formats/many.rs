//! Several files as one population: a folder of parquet files, or all that a pattern names.

use std::path::{Component, Path, PathBuf};

use super::Format;
use crate::{
    data::{
        Attribute, Keys,
        attributes::Values,
        reader::{Head, Take, Times, Wanted},
        within,
    },
    error::{Error, ErrorKind, Result, ensure},
};

/// The column that tells which file a row is of.
const FILE: &str = "file";

/// Whether a path names several files: a folder that is no store, or a pattern with `*`, `?` or
/// `[..]` that is no name of a file.
pub(super) fn is_many(path: &Path) -> bool {
    let is_store = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("zarr"));
    match path.is_dir() {
        true => !is_store,
        false => !path.exists() && path.to_string_lossy().contains(['*', '?', '[']),
    }
}

/// The files in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let unreadable = |cause| Error::io("read", path, cause);
        let mut files = vec![];
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let is_part = Path::new(&name)
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
            // Programs that write such folders hide in this way what is no data.
            if is_part && !name.to_string_lossy().starts_with(['.', '_']) {
                files.push(entry.path());
            }
        }
        ensure!(
            !files.is_empty(),
            Missing,
            "the folder has no .parquet files; name a file, or several by a pattern such as \
             'folder/*.h5ad'"
        );
        files.sort();
        return Ok(files);
    }
    let pattern = path.to_str().ok_or_else(|| {
        let what = "a pattern of names must be text; rename the files";
        Error::new(ErrorKind::Value, what)
    })?;
    let wrong = |cause: glob::PatternError| {
        Error::new(ErrorKind::Value, "the pattern of names cannot be read").because(cause)
    };
    let found = glob::glob(pattern).map_err(wrong)?;
    let found: Result<Vec<PathBuf>> = found
        .map(|file| {
            file.map_err(|e| {
                let path = e.path().to_owned();
                Error::io("read", &path, e.into())
            })
        })
        .collect();
    let files = found?;
    ensure!(
        !files.is_empty(),
        Missing,
        "no file has a name of this pattern"
    );
    if let Some(folder) = files.iter().find(|file| is_many(file)) {
        let folder = folder.display();
        let what = format!("{folder} is a folder of files; let the pattern name the files in it");
        return Err(Error::new(ErrorKind::Value, what));
    }
    Ok(files)
}

/// The names of files without the folders that they share.
fn names(files: &[PathBuf]) -> Vec<String> {
    let folders = |file: &Path| -> Vec<PathBuf> {
        let folder = file.parent().unwrap_or(Path::new(""));
        folder
            .components()
            .map(|part: Component| PathBuf::from(part.as_os_str()))
            .collect()
    };
    let mut shared = folders(&files[0]);
    for file in files {
        let here = folders(file);
        let same = shared.iter().zip(&here).take_while(|(a, b)| a == b).count();
        shared.truncate(same);
    }
    let shared: PathBuf = shared.iter().collect();
    let name = |file: &PathBuf| {
        file.strip_prefix(&shared)
            .unwrap_or(file)
            .display()
            .to_string()
    };
    files.iter().map(name).collect()
}

/// What each file has, by its format.
fn each<T>(
    files: &[PathBuf],
    mut look: impl FnMut(&Path, &'static Format) -> Result<T>,
) -> Result<Vec<T>> {
    let each = files
        .iter()
        .map(|file| within(file, || look(file, Format::of(file)?)));
    each.collect()
}

pub(super) fn head(path: &Path, keys: &Keys) -> Result<Head> {
    let files = files(path)?;
    let mut heads = each(&files, |file, format| (format.head)(file, keys))?.into_iter();
    let mut all = heads.next().expect("a file");
    for (file, head) in files[1..].iter().zip(heads) {
        within(file, || join(&mut all, head, &files[0]))?;
    }
    if files.len() > 1 {
        all.notes.insert(
            0,
            format!(
                "{} files are taken for one population: their coordinates must have been made \
                 together",
                files.len()
            ),
        );
    }
    Ok(all)
}

/// Adds the rows of another file.
fn join(all: &mut Head, head: Head, first: &Path) -> Result<()> {
    let first = first.display();
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort();
        columns
    };
    ensure!(
        sorted(&all.columns) == sorted(&head.columns),
        Shape,
        "expected the coordinates {} of {first}, got {}; name those that all files have",
        all.columns.join(", "),
        head.columns.join(", ")
    );
    ensure!(
        all.has_weights == head.has_weights,
        Shape,
        "{first} has {}, and this file has {}; all files have them or none",
        if all.has_weights {
            "weights"
        } else {
            "no weights"
        },
        if head.has_weights { "some" } else { "none" }
    );
    all.rows += head.rows;
    let (had, has) = (&all.time_name, &head.time_name);
    ensure!(
        had == has,
        Shape,
        "expected times in {had:?} as in {first}, got them in {has:?}; choose those that all files \
         have with `Keys::time_key`"
    );
    let times = std::mem::replace(&mut all.times, Ok(Times::Numbers(vec![])));
    all.times = match (times, head.times) {
        // Points need no times, where they are to start.
        (Err(absent), _) | (_, Err(absent)) => Err(absent),
        (Ok(Times::Numbers(a)), Ok(Times::Numbers(b))) => Ok(Times::Numbers([a, b].concat())),
        (Ok(Times::Seconds(a)), Ok(Times::Seconds(b))) => Ok(Times::Seconds([a, b].concat())),
        (Ok(Times::Labels(mut a)), Ok(Times::Labels(b))) => {
            a.append(&b);
            Ok(Times::Labels(a))
        }
        (Ok(a), Ok(b)) => {
            let what = format!(
                "expected times as {} as in {first}, got {}",
                a.kind(),
                b.kind()
            );
            return Err(Error::new(ErrorKind::Format, what));
        }
    };
    for array in head.by_columns {
        if !all.by_columns.contains(&array) {
            all.by_columns.push(array);
        }
    }
    for note in head.notes {
        if !all.notes.contains(&note) {
            all.notes.push(note);
        }
    }
    Ok(())
}

pub(super) fn rows(path: &Path, wanted: &Wanted, take: &mut Take) -> Result<()> {
    each(&files(path)?, |file, format| {
        (format.rows)(file, wanted, take)
    })
    .map(|_| ())
}

/// Those of all files, and which file each row is of. What a file lacks is empty there.
pub(super) fn attributes(
    path: &Path,
    keys: &Keys,
    coordinates: &[String],
) -> Result<Vec<Attribute>> {
    let files = files(path)?;
    let parts = each(&files, |file, format| {
        let attributes = (format.attributes)(file, keys, coordinates)?;
        let rows = match attributes.first() {
            Some(attribute) => attribute.values.len(),
            None => (format.head)(file, keys)?.rows,
        };
        Ok((rows, attributes))
    })?;
    let mut known: Vec<String> = vec![];
    for attribute in parts.iter().flat_map(|(_, attributes)| attributes) {
        if !known.contains(&attribute.name) {
            known.push(attribute.name.clone());
        }
    }
    let joined = known.iter().map(|name| {
        let mut values = Values::default();
        for (rows, attributes) in &parts {
            match attributes.iter().find(|attribute| attribute.name == *name) {
                Some(attribute) => attribute.values.iter().for_each(|text| values.push(text)),
                None => (0..*rows).for_each(|_| values.push("")),
            }
        }
        values.named(name)
    });
    let mut of = Values::default();
    for ((rows, _), name) in parts.iter().zip(names(&files)) {
        (0..*rows).for_each(|_| of.push(&name));
    }
    let mut free = FILE.to_owned();
    while known.contains(&free) || coordinates.contains(&free) {
        free.push('_');
    }
    Ok(joined.chain([of.named(&free)]).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{
        cloud::Cloud,
        data::{self, Keys, TableReader},
        error::ErrorKind,
    };

    #[test]
    fn files_are_one_population_and_tell_their_rows_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        fs::write(
            at("a.csv"),
            "t,x,y,kind\n0,1,2,u\n0,3,4,v\n1,5,6,u\n1,2,2,u\n",
        )
        .unwrap();
        fs::write(at("b/c.csv"), "t,y,x\n2,20,10\n0,40,30\n2,1,0\n").unwrap();
        let pattern = at("**/*.csv");
        let snapshots = data::read(&pattern, &Keys::default()).unwrap();
        assert_eq!(snapshots.times(), [0.0, 1.0, 2.0]);
        assert_eq!(snapshots.counts(), [3.0, 2.0, 2.0]);
        // By the names of the columns, whatever their order in a file.
        let rows = |cloud: &Cloud| {
            cloud
                .points()
                .rows()
                .into_iter()
                .map(|x| x.to_vec())
                .collect()
        };
        let first: Vec<Vec<f64>> = rows(&snapshots.clouds()[0]);
        assert_eq!(first, [[1.0, 2.0], [3.0, 4.0], [30.0, 40.0]]);
        assert!(
            snapshots.notes()[0].starts_with("2 files are taken"),
            "{:?}",
            snapshots.notes()
        );
        let columns = snapshots.columns();
        let attributes = data::read_attributes(&pattern, &Keys::default(), columns).unwrap();
        let [kind, file] = &attributes[..] else {
            panic!("{attributes:?}")
        };
        let texts = |values: &[std::sync::Arc<str>]| values.join(" ");
        assert_eq!(
            (kind.name.as_str(), texts(&kind.values)),
            ("kind", "u v u u   ".to_owned())
        );
        let expected = "a.csv a.csv a.csv a.csv b/c.csv b/c.csv b/c.csv".to_owned();
        assert_eq!(
            (file.name.as_str(), texts(&file.values)),
            ("file", expected)
        );
        let order = TableReader::open(&pattern, &Keys::default())
            .unwrap()
            .order();
        assert_eq!(order, [0, 1, 5, 2, 3, 4, 6]);
    }

    #[test]
    fn files_that_do_not_go_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let refused = |pattern: &str| {
            let error = data::read(&at(pattern), &Keys::default()).unwrap_err();
            (error.kind(), error.to_string())
        };
        let good = "t,x,y\n0,1,2\n0,3,4\n1,5,6\n1,1,1\n";
        fs::write(at("a.csv"), good).unwrap();
        for (text, kind, words) in [
            (
                "t,x,z\n0,1,2\n",
                ErrorKind::Shape,
                ["b.csv", "coordinates x, y of"],
            ),
            (
                "t,x,y,w\n0,1,2,1\n",
                ErrorKind::Shape,
                ["b.csv", "no weights"],
            ),
            (
                "day,x,y\n0,1,2\n",
                ErrorKind::Shape,
                ["b.csv", "got them in \"day\""],
            ),
            (
                "t,x,y\nday 1,1,2\n",
                ErrorKind::Value,
                ["*.csv", "mixed units"],
            ),
            (
                "t,x,y\n0,1,2\n0,1,nan\n",
                ErrorKind::Value,
                ["b.csv", "line 3"],
            ),
        ] {
            fs::write(at("b.csv"), text).unwrap();
            let (found, said) = refused("*.csv");
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
            assert_eq!(found, kind, "{said}");
        }
        let (kind, said) = refused("*.tsv");
        assert!(
            said.contains("no file has a name of this pattern"),
            "{said}"
        );
        assert_eq!(kind, ErrorKind::Missing);
        let (_, said) = refused("");
        assert!(said.contains("no .parquet files"), "{said}");
        assert!(refused("***.csv").1.contains("cannot be read"));
        // A file of such a name is that file.
        fs::write(at("[a].csv"), good).unwrap();
        assert_eq!(
            data::read(&at("[a].csv"), &Keys::default())
                .unwrap()
                .counts(),
            [2.0, 2.0]
        );
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn a_folder_of_parquet_files_is_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (k, name) in ["part-1.parquet", "part-0.parquet"].iter().enumerate() {
            let shift = 10.0 * k as f64;
            let cloud =
                |x: f64| Cloud::new(ndarray::array![[x + shift], [x + shift + 1.0]]).unwrap();
            let clouds = vec![cloud(0.0), cloud(4.0)];
            let snapshots = data::Snapshots::new(vec![0.0, 1.0], clouds).unwrap();
            data::write(&at(name), &snapshots).unwrap();
        }
        fs::write(at("_SUCCESS"), "").unwrap();
        fs::write(at("_metadata.parquet"), "").unwrap();
        let snapshots = data::read(folder.path(), &Keys::default()).unwrap();
        let first = snapshots.clouds()[0].points().column(0).to_vec();
        assert_eq!(first, [10.0, 11.0, 0.0, 1.0]);
    }
}

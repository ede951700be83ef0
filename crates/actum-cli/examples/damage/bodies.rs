//! What is done with an input, whoever made it: `main.rs` and the targets of `fuzz/` share these.
//! Each may refuse the input by an error; a panic, an abort or a hang is a defect.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use actum::{
    action::Device,
    data::{self, Genes, Images, Keys, TableReader, TimeAxis},
    dynamics::Dynamics,
    fit::Checkpoint,
    genes::Decoder,
    ndarray::Array2,
    run::{ImageSettings, Run, Schema, SnapshotSettings},
};

/// A table under this name: looked at and read in every way there is.
pub fn table(path: &Path) {
    let keys = Keys::default();
    if let Ok(snapshots) = TableReader::open(path, &keys).and_then(|table| table.read()) {
        for cloud in snapshots.clouds() {
            assert!(cloud.points().iter().all(|x| x.is_finite()));
            assert!(cloud.mass().is_finite());
        }
        assert!(snapshots.times().windows(2).all(|t| t[0] < t[1]));
        let _ = (snapshots.warnings(), snapshots.fingerprint());
        let _ = data::read_attributes(path, &keys, snapshots.columns());
    }
    let _ = data::read_points(path, &keys, &mut |_| Ok(0));
    let _ = data::entries(path);
    if Genes::reads(path)
        && let Ok(genes) = Genes::open(path, &keys)
    {
        let _ = genes.each(&mut |_, _, _| ());
    }
}

/// The stores of the tests, unpacked in a folder of this process: their names, and the files in them.
pub fn stores() -> &'static (tempfile::TempDir, Vec<String>) {
    static STORES: OnceLock<(tempfile::TempDir, Vec<String>)> = OnceLock::new();
    STORES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // This file is part of two crates, in two folders.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let samples = ["../actum/tests/data", "../crates/actum/tests/data"].map(|p| here.join(p));
        let samples = samples
            .iter()
            .find(|p| p.is_dir())
            .expect("the folder of samples");
        let mut files = vec![];
        for store in ["anndata-0.12", "anndata-0.13", "codecs-2", "codecs-3"] {
            let packed =
                fs::File::open(samples.join(format!("{store}.zarr.zip"))).expect("a store");
            let mut packed = zip::ZipArchive::new(packed).expect("a store");
            for i in 0..packed.len() {
                let mut member = packed.by_index(i).expect("a file of a store");
                if member.is_dir() {
                    continue;
                }
                let name = member.name().expect("a name of a file").into_owned();
                let name = format!("{store}.zarr/{name}");
                let path = folder.path().join(&name);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                let mut content = vec![];
                member.read_to_end(&mut content).expect("a file of a store");
                put(&path, &content);
                files.push(name);
            }
        }
        (folder, files)
    })
}

/// A file of one of the [`stores`]: its name there, the end of the line, and what it holds instead.
pub fn store(input: &[u8]) {
    let (folder, files) = stores();
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let Some(name) = files.iter().find(|file| file.as_bytes() == &input[..end]) else {
        return;
    };
    let path: PathBuf = folder.path().join(name);
    let root = folder.path().join(name.split('/').next().expect("a store"));
    let whole = fs::read(&path).expect("a file of a store");
    put(&path, &input[end + 1..]);
    table(&root);
    // The array that this file is part of, where it is none of those that are read by default.
    if let Some((_, array)) = name.split_once("/obsm/") {
        let array = array.split('/').next().expect("a name");
        let keys = Keys {
            points_key: Some(format!("obsm:{array}")),
            ..Keys::default()
        };
        let _ = TableReader::open(&root, &keys).and_then(|table| table.read());
    }
    put(&path, &whole);
}

/// Images under this name.
pub fn images(path: &Path) {
    if let Ok(images) = Images::read(path) {
        let _ = (images.warnings(), images.fingerprint());
    }
}

/// Labels of times, one a line, the last asked for.
pub fn labels(text: &str) {
    let labels: Vec<&str> = text.lines().collect();
    if let Ok((axis, index)) = TimeAxis::from_labels(&labels) {
        assert_eq!(index.len(), labels.len());
        assert!(axis.values().windows(2).all(|t| t[0] < t[1]));
        let asked = labels.last().copied().unwrap_or_default();
        let _ = (axis.index_of(asked), axis.value_of(asked));
        let _ = axis.label_of(axis.values()[0] + 0.5);
    }
}

/// Settings, as a file and as changes.
pub fn settings(text: &str) {
    if let Ok(settings) = SnapshotSettings::parse(text) {
        let again = SnapshotSettings::parse(&settings.to_toml()).expect("its own TOML");
        assert_eq!(again.to_toml(), settings.to_toml());
    }
    let _ = ImageSettings::parse(text);
    let changes: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let _ = SnapshotSettings::default().collect(None, &changes);
}

/// A file of a run, in the folder of a whole one.
pub fn run(folder: &Path) {
    let Ok(run) = Run::open(folder) else { return };
    let _ = (
        run.log(),
        run.warning(),
        run.steps_done(),
        run.axis(),
        run.held_out(),
    );
    let _ = run.dynamics(&Device::cpu());
}

/// A model, a checkpoint, a decoder: whatever it is.
pub fn model(path: &Path) {
    if let Ok(dynamics) = Dynamics::load(path, &Device::cpu()) {
        let [first, _] = dynamics.units.span();
        let _ = dynamics.describe(first, &Array2::zeros((1, dynamics.units.dimension())));
    }
    let _ = (Checkpoint::load(path), Decoder::load(path));
}

/// An input as a file of this name, in a folder of this process.
pub fn of_file(bytes: &[u8], name: &str, body: fn(&Path)) {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        actum::memory::set_budget(256 << 20);
        tempfile::tempdir().expect("a temporary folder")
    });
    let path = folder.path().join(name);
    put(&path, bytes);
    body(&path);
}

/// Writes an input where the bodies read it.
pub fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a place to write to");
}

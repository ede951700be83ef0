//! Damaged inputs by the million: `damage COUNT [SEED [KIND]]` changes files that are right and looks
//! whether each is read or refused. Panics are counted; an input that takes ten seconds ends the
//! program, as one that aborts does. What failed is in `target/damage`. docs/reliability.md has the
//! figures of long runs.

mod bodies;
mod mutate;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::exit,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use actum::{
    Mlp, Options, Snapshots,
    action::Device,
    gallery::Branching,
    gallery::Shapes,
    rand::{RngExt, SeedableRng},
    rand_chacha::ChaCha8Rng,
    run::{IfExists, Run, Schema, SnapshotSettings},
};

/// What is done with the bytes of an input in a folder.
type Body = Box<dyn Fn(&Path, &[u8])>;

/// When an input was begun, its kind and its bytes.
type Begun<'a> = Option<(Instant, &'a str, Vec<u8>)>;

type Mutate = fn(&mut Vec<u8>, &[Vec<u8>], &mut ChaCha8Rng);

/// A kind of input: right ones, how they are changed, and what is done with them.
struct Kind {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    mutate: Mutate,
    body: Body,
}

/// A file of this name.
fn of_files(
    name: &'static str,
    file: &'static str,
    seeds: Vec<Vec<u8>>,
    mutate: Mutate,
    body: fn(&Path),
) -> Kind {
    let body = move |_: &Path, bytes: &[u8]| bodies::of_file(bytes, file, body);
    Kind {
        name,
        seeds,
        mutate,
        body: Box::new(body),
    }
}

fn of_texts(name: &'static str, seeds: &[&str], body: fn(&str)) -> Kind {
    Kind {
        name,
        seeds: seeds.iter().map(|text| text.as_bytes().to_vec()).collect(),
        mutate: mutate::text,
        body: Box::new(move |_, bytes| body(&String::from_utf8_lossy(bytes))),
    }
}

/// The small files of the tests that end so.
fn samples(ending: &str) -> Vec<Vec<u8>> {
    found("../actum/tests/data", ending)
}

/// The files of a folder that end so.
fn found(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of samples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| fs::read(path).expect("a sample"))
        .collect()
}

/// Every file of the stores of the tests, as [`bodies::store`] takes it.
fn stores() -> Vec<Vec<u8>> {
    let (folder, files) = bodies::stores();
    let seed = |name: &String| {
        let mut seed = format!("{name}\n").into_bytes();
        seed.extend(fs::read(folder.path().join(name)).expect("a file of a store"));
        seed
    };
    files.iter().map(seed).collect()
}

fn written(folder: &Path, name: &str, snapshots: &Snapshots) -> Vec<u8> {
    let path = folder.join(name);
    actum::data::write(&path, snapshots).expect("a seed");
    fs::read(path).expect("a seed")
}

fn kinds(folder: &Path) -> Vec<Kind> {
    let snapshots = Branching
        .snapshots(&[0.0, 20.0, 48.0], 20, 0)
        .expect("a population");
    let seed = |name: &str| written(folder, name, &snapshots);
    let with = |ending: &str| {
        [
            samples(&format!(".{ending}")),
            vec![seed(&format!("a.{ending}"))],
        ]
        .concat()
    };
    let mut settings = SnapshotSettings {
        network: Mlp { width: 8, depth: 1 },
        ..Default::default()
    };
    settings.fit = Options {
        steps: 3,
        batch: 4,
        ..settings.fit
    };
    let home = folder.join("run");
    let claim = IfExists::Overwrite.claim(&home).expect("a folder");
    Run::fit(
        claim,
        &actum::data::Shards::from(snapshots.clone()),
        "a.npz",
        &settings,
        &Device::cpu(),
        &mut (),
    )
    .expect("a run");
    let shapes = Shapes {
        height: 8,
        width: 8,
        channels: 3,
    }
    .draw(3, 0)
    .expect("images");
    shapes
        .write_grid(&folder.join("a.png"), 2)
        .expect("a picture");
    let pngs = vec![fs::read(folder.join("a.png")).expect("a picture")];
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3];
    idx.extend(0..18);
    let of = |name: &str| fs::read(home.join(name)).expect("a file of the run");
    let models = vec![of("model.safetensors"), of("checkpoint.safetensors")];
    let part = |name: &'static str, file: &'static str, mutate: Mutate| {
        let (seed, home) = (of(file), home.clone());
        let whole = seed.clone();
        let body = move |_: &Path, bytes: &[u8]| {
            bodies::put(&home.join(file), bytes);
            bodies::run(&home);
            bodies::put(&home.join(file), &whole);
        };
        Kind {
            name,
            seeds: vec![seed],
            mutate,
            body: Box::new(body),
        }
    };
    let toml = [settings.to_toml(), SnapshotSettings::default().to_toml()];
    vec![
        of_files("npz", "a.npz", with("npz"), mutate::archive, bodies::table),
        of_files(
            "npz, bytes",
            "a.npz",
            with("npz"),
            mutate::bytes,
            bodies::table,
        ),
        of_files(
            "npy",
            "a.npy",
            samples(".npy"),
            |b, _, r| mutate::array(b, r),
            bodies::table,
        ),
        of_files("csv", "a.csv", with("csv"), mutate::text, bodies::table),
        of_files(
            "tsv",
            "a.tsv",
            vec![seed("a.tsv")],
            mutate::text,
            bodies::table,
        ),
        of_files(
            "csv.gz",
            "a.csv.gz",
            vec![seed("a.csv.gz")],
            mutate::packed,
            bodies::table,
        ),
        of_files(
            "parquet",
            "a.parquet",
            with("parquet"),
            mutate::bytes,
            bodies::table,
        ),
        of_files("h5ad", "a.h5ad", with("h5ad"), mutate::bytes, bodies::table),
        Kind {
            name: "zarr",
            seeds: stores(),
            mutate: mutate::store,
            body: Box::new(|_, bytes| bodies::store(bytes)),
        },
        of_files("png", "a.png", pngs, mutate::chunks, bodies::images),
        of_files(
            "jpeg",
            "a.jpg",
            found("../../fuzz/seeds/jpeg", ".jpg"),
            mutate::bytes,
            bodies::images,
        ),
        of_files("idx", "a.idx", vec![idx], mutate::bytes, bodies::images),
        of_files(
            "images npz",
            "a.npz",
            with("npz"),
            mutate::archive,
            bodies::images,
        ),
        of_files(
            "models",
            "a.safetensors",
            models,
            mutate::hashed,
            bodies::model,
        ),
        part("run.json", "run.json", mutate::text),
        part("settings.toml", "settings.toml", mutate::text),
        part("log.jsonl", "log.jsonl", mutate::text),
        of_texts(
            "labels",
            &[
                "Day 0\nDay 2\nDay 10",
                "-1\n0\n2.5",
                "E8.5\nE9",
                "d-1\nd0\nd+2",
            ],
            bodies::labels,
        ),
        of_texts("settings", &[&toml[0], &toml[1]], bodies::settings),
    ]
}

/// The largest memory that this process had, in MB, where the system tells.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1000
}

fn main() {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| {
        typed
            .get(i)
            .map_or(default, |t| t.parse().expect("a number"))
    };
    let (count, seed, only) = (number(0, 10_000), number(1, 0), typed.get(2));
    actum::memory::set_budget(256 << 20);
    let failed = Path::new("target/damage");
    fs::create_dir_all(failed).expect("a folder for what fails");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kinds: Vec<Kind> = kinds(folder.path())
        .into_iter()
        .filter(|k| only.is_none_or(|o| k.name == o))
        .collect();
    std::panic::set_hook(Box::new(|_| ()));
    let now: Arc<Mutex<Begun>> = Arc::default();
    let watched = now.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            let slow = watched
                .lock()
                .expect("no panic")
                .take_if(|(since, ..)| since.elapsed() > Duration::from_secs(10));
            if let Some((_, name, bytes)) = slow {
                bodies::put(&failed.join(format!("hang-{name}")), &bytes);
                println!("{name}: an input takes more than ten seconds");
                exit(1);
            }
        }
    });
    let (mut panics, began) = (0, Instant::now());
    for kind in &kinds {
        let (mut found, start) = (0, Instant::now());
        let each = count / kinds.len() as u64;
        let mut slowest = Duration::ZERO;
        for i in 0..each {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(i);
            let mut input = kind.seeds[rng.random_range(0..kind.seeds.len())].clone();
            (kind.mutate)(&mut input, &kind.seeds, &mut rng);
            let since = Instant::now();
            *now.lock().expect("no panic") = Some((since, kind.name, input.clone()));
            if catch_unwind(AssertUnwindSafe(|| (kind.body)(folder.path(), &input))).is_err() {
                found += 1;
                bodies::put(
                    &failed.join(format!("panic-{}-{seed}-{i}", kind.name)),
                    &input,
                );
            }
            slowest = slowest.max(since.elapsed());
        }
        panics += found;
        println!(
            "{:15} {each:9} inputs  {found} panics  slowest {:.2} s  peak {} MB  {:.0} s",
            kind.name,
            slowest.as_secs_f64(),
            peak(),
            start.elapsed().as_secs_f64()
        );
    }
    println!(
        "{} inputs, {panics} panics, {:.0} s",
        count / kinds.len() as u64 * kinds.len() as u64,
        began.elapsed().as_secs_f64()
    );
    exit(i32::from(panics > 0));
}

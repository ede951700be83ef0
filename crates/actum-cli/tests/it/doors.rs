//! The short door of the library gives the bits of the program on the same file.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
};

use actum::{
    Dynamics, Images, Mlp, Options, Problem, Snapshots, UNet,
    data::{self, Keys, Split, TableReader},
    gallery::{Branching, Shapes},
    lagrangian::Cost,
    path::{Coupling, Interpolation, Sharded},
    problem::{Growth, Mass, Method, SnapshotProblem, Task},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const TIMES: [f64; 4] = [0.0, 6.0, 20.0, 48.0];
const NETWORK: Mlp = Mlp { width: 8, depth: 2 };

fn options() -> Options {
    Options {
        steps: 60,
        batch: 32,
        ..Options::default()
    }
}

/// A folder with a population of other counts at each time.
struct Bench(TempDir);

impl Bench {
    fn new(counts: [usize; 4]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let clouds = TIMES.iter().zip(counts);
        let clouds = clouds.map(|(t, n)| Branching.sample(*t, n, &mut rng).unwrap());
        let snapshots = Snapshots::new(TIMES.to_vec(), clouds.collect()).unwrap();
        let bench = Self(tempfile::tempdir().unwrap());
        data::write(&bench.file(), &snapshots).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("population.csv")
    }

    fn read(&self) -> Snapshots {
        data::read(&self.file(), &Keys::default()).unwrap()
    }

    /// What the program leaves of a command line that is split at spaces.
    fn program(&self, line: &str) -> Vec<u8> {
        let output = Command::new(env!("CARGO_BIN_EXE_actum"))
            .args(line.split(' '))
            .args(["-o", "run", "--overwrite"])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        fs::read(self.path("run/model.safetensors")).unwrap()
    }

    fn fit(&self, steps: usize, flags: &str) -> Vec<u8> {
        let small = "--set network.width=8 --set network.depth=2 --set fit.batch=32";
        self.program(&format!(
            "fit population.csv --steps {steps} {small}{flags}"
        ))
    }

    fn library(&self, dynamics: &Dynamics) -> Vec<u8> {
        let file = self.path("library.safetensors");
        dynamics.save(&file).unwrap();
        fs::read(file).unwrap()
    }

    fn learn(&self, problem: SnapshotProblem, options: &Options) -> Vec<u8> {
        let problem = problem.build().unwrap();
        self.library(&actum::fit(NETWORK, &problem, options).unwrap())
    }
}

#[test]
fn between_snapshots() {
    type With = for<'a> fn(SnapshotProblem<'a>) -> SnapshotProblem<'a>;
    let cases: [(&str, With); 5] = [
        ("", |problem| problem),
        (" --noise 0.5", |problem| problem.noise(0.5)),
        (" --growth auto --mass counts", |problem| {
            problem.growth(Growth::Auto).mass(Mass::Counts)
        }),
        (" --hold-out 6 --standardize --dims 1", |problem| {
            problem.hold_out(["6"]).standardize().dims(1)
        }),
        (
            " --coupling independent --cost power:1.5 --growth 0.2 --set path.blur=0.1 \
             --set path.interpolation=cubic",
            |problem| {
                let problem = problem
                    .coupling(Coupling::Independent)
                    .growth(0.2)
                    .blur(0.1);
                let problem = problem.interpolation(Interpolation::Cubic);
                problem.cost(Cost::power(1.5).unwrap())
            },
        ),
    ];
    let bench = Bench::new([60, 80, 70, 50]);
    let snapshots = bench.read();
    let mut models = vec![];
    for (flags, with) in cases {
        let model = bench.learn(with(Problem::between(&snapshots)), &options());
        assert!(model == bench.fit(60, flags), "{flags}");
        models.push(model);
    }
    models.sort();
    models.dedup();
    assert_eq!(models.len(), cases.len(), "flags without effect");
}

#[test]
fn a_file_in_shards() {
    let bench = Bench::new([150, 140, 160, 150]);
    let options = Options {
        steps: Sharded::STEPS + 10,
        ..options()
    };
    let split = Split {
        shard: 60,
        seed: 0,
        most: Sharded::needed(options.steps),
        parts: actum::machines::Parts::all(1),
    };
    let table = TableReader::open(&bench.file(), &Keys::default()).unwrap();
    let shards = table.shards(
        &split,
        bench.0.path(),
        &mut |_, _| ControlFlow::Continue(()),
    );
    let shards = shards.unwrap();
    assert_eq!((shards.kept(), shards.count()), (2, 3));
    let model = bench.learn(Problem::between(&shards).noise(0.5), &options);
    let program = bench.fit(options.steps, " --noise 0.5 --shard 60");
    assert!(model == program);

    // A longer fit would see shards that are not there.
    let problem = Problem::between(&shards).build().unwrap();
    let longer = Options {
        steps: 2 * Sharded::STEPS + 1,
        ..options
    };
    let error = actum::fit(NETWORK, &problem, &longer).unwrap_err();
    assert!(error.to_string().contains("2 of 3"), "{error}");
}

#[test]
fn images() {
    let bench = Bench::new([2; 4]);
    let shapes = Shapes {
        height: 8,
        width: 8,
        channels: 1,
    };
    let file: &Path = &bench.path("images.npz");
    shapes.draw(40, 0).unwrap().write_npz(file).unwrap();
    let images = Images::read(file).unwrap();
    let network = UNet {
        channels: 4,
        ..UNet::default()
    };
    let options = Options {
        steps: 3,
        batch: 4,
        learning_rate: 2e-3,
        ema_decay: 0.995,
        ..Options::default()
    };
    let small = "--steps 3 --set network.channels=4 --set fit.batch=4";
    for (flags, problem) in [
        ("", Problem::images(&images, Task::Generate)),
        (
            " --method score",
            Problem::images(&images, Task::Generate).method(Method::Score),
        ),
        (
            " --task superres --mirror",
            Problem::images(&images, Task::Superres).mirrored(),
        ),
    ] {
        let dynamics = actum::fit(network, &problem.build().unwrap(), &options).unwrap();
        let program = bench.program(&format!("image fit --data images.npz {small}{flags}"));
        assert!(bench.library(&dynamics) == program, "{flags}");
    }
}

/// The example of the README.
#[test]
fn the_readme() {
    let bench = Bench::new([2; 4]);
    let snapshots = Branching.snapshots(&[0.0, 20.0, 48.0], 100, 0).unwrap();
    data::write(&bench.file(), &snapshots).unwrap();
    let problem = Problem::between(&snapshots).noise(0.5).build().unwrap();
    let options = Options {
        steps: 200,
        ..Options::default()
    };
    let dynamics = actum::fit(Mlp::default(), &problem, &options).unwrap();
    let program = bench.program("fit population.csv --noise 0.5 --steps 200");
    assert!(bench.library(&dynamics) == program);
    let later = dynamics.simulate(snapshots.first(), &[12.0, 48.0]).unwrap();
    assert_eq!(later.points.dim(), (2, 100, 2));
}

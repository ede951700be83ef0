//! The program in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use actum::{data, gallery::Branching};
use tempfile::TempDir;

pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// An error: exit code 2, one message on standard error, none of it a panic.
    #[track_caller]
    pub fn error(self, parts: &[&str]) {
        assert_eq!(self.code, 2, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// A folder with a small population, `population.npz`.
pub struct Bench(TempDir);

impl Bench {
    /// Leaves of a finished run what an interrupted fit leaves, everything but the model, and
    /// checks that `resume` makes the same model again.
    pub fn comes_back(&self, run: &str, resume: &str) {
        let model = self.path(&format!("{run}/model.safetensors"));
        let whole = fs::read(&model).unwrap();
        fs::remove_file(&model).unwrap();
        self.run(resume).done();
        assert_eq!(fs::read(&model).unwrap(), whole);
    }

    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn new() -> Self {
        let bench = Self::empty();
        let snapshots = Branching.snapshots(&[0.0, 6.0, 20.0, 48.0], 60, 0).unwrap();
        data::write(&bench.path("population.npz"), &snapshots).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The program in the folder.
    pub fn program(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_actum"))
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path());
        command
    }

    /// Runs a command line split at spaces in the folder.
    pub fn run(&self, line: &str) -> Outcome {
        Outcome::of(self.program().args(line.split(' ')).output().unwrap())
    }

    /// Runs a command line where files can have 512 bytes at most: writes fail midway, as on a full
    /// disk.
    #[cfg(target_os = "linux")]
    pub fn run_on_a_full_disk(&self, line: &str) -> Outcome {
        let mut shell = self.command("sh");
        let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
        let program = env!("CARGO_BIN_EXE_actum");
        shell.args(["-c", script, program]).args(line.split(' '));
        Outcome::of(shell.output().unwrap())
    }

    /// Runs a command line as a user who may not write into the folder `closed`, which it makes.
    #[cfg(unix)]
    pub fn run_shut_out(&self, line: &str) -> Outcome {
        use std::os::unix::{fs::PermissionsExt, process::CommandExt};
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        fn read_by_all(folder: &Path, mode: &dyn Fn(&Path, u32)) {
            mode(folder, 0o755);
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read_by_all(&path, mode);
                } else {
                    mode(&path, 0o644);
                }
            }
        }
        let closed = self.path("closed");
        fs::create_dir_all(&closed).unwrap();
        mode(&closed, 0o555);
        let probe = closed.join("probe");
        if fs::write(&probe, "").is_err() {
            return self.run(line);
        }
        // Root may write anywhere, and so runs the program as nobody: from here, since nobody need be
        // allowed to where it was built.
        fs::remove_file(probe).unwrap();
        read_by_all(self.0.path(), &mode);
        mode(&closed, 0o555);
        let program = self.path("actum");
        fs::copy(env!("CARGO_BIN_EXE_actum"), &program).unwrap();
        mode(&program, 0o755);
        let mut command = self.command(&program);
        command.args(line.split(' ')).uid(65534).gid(65534);
        // While another test starts a program, its copy of this file is open for writing.
        let output = loop {
            match command.output() {
                Err(cause) if cause.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                output => break output.unwrap(),
            }
        };
        Outcome::of(output)
    }

    pub fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub const SMALL: &str = "--steps 30 --set network.width=8 --set fit.batch=32";

pub fn fitted() -> Bench {
    let bench = Bench::new();
    bench
        .run(&format!("fit population.npz -o run --hold-out 6 {SMALL}"))
        .done();
    bench
}

/// A population that halves while it moves, with a velocity for every point.
pub fn dying() -> Bench {
    let bench = Bench::new();
    let mut text = "t,x,y,vx,vy\n".to_owned();
    for (k, n) in [(0, 80), (1, 60), (2, 40), (3, 20)] {
        for i in 0..n {
            let (x, y) = (k as f64 + (i as f64 * 0.37).sin(), (i as f64 * 0.73).cos());
            text += &format!("{k},{x},{y},{},{}\n", 1.0 - y, x - k as f64);
        }
    }
    bench.write("dying.csv", &text);
    bench
}

pub const DYING: &str = "fit dying.csv --points-key x,y";

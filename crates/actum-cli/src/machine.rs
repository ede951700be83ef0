//! What the machine has: its memory and its cores bound what the program takes.

use std::{fs, str::FromStr};

use actum::{error::Result, machines::Machines};

/// A number of bytes, typed as `8G`, `500MB` or `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit());
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let unit = unit.trim().to_ascii_uppercase();
        let base: f64 = if unit.ends_with("IB") { 1024.0 } else { 1000.0 };
        let power = match unit.trim_end_matches("IB").trim_end_matches('B') {
            "" => 0,
            "K" => 1,
            "M" => 2,
            "G" => 3,
            "T" => 4,
            _ => -1,
        };
        let bytes = number.parse::<f64>().ok().map(|n| n * base.powi(power));
        match bytes {
            Some(bytes) if power >= 0 && bytes >= 1e6 => Ok(Self(bytes as u64)),
            _ => Err("expected a size of at least 1MB, such as 8G or 500M".to_owned()),
        }
    }
}

/// The processes that share a fit, and what this one shares with others on its machine.
pub struct Shared {
    pub machines: Machines,
    /// How many processes have the memory of this machine, this one included.
    memory: usize,
    /// How many of them have the same cores.
    cores: usize,
    #[cfg(feature = "mpi")]
    _world: Option<actum::machines::World>,
}

impl Shared {
    /// With the processes that `mpirun` started, or alone.
    pub fn join(is_shared: bool) -> Result<Self> {
        if is_shared {
            return Self::among_others();
        }
        Ok(Self {
            machines: Machines::alone(),
            memory: 1,
            cores: 1,
            #[cfg(feature = "mpi")]
            _world: None,
        })
    }

    #[cfg(feature = "mpi")]
    fn among_others() -> Result<Self> {
        let world = actum::machines::World::join()?;
        let machines = world.machines();
        // mpirun may have given every process cores of its own.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = status.lines();
        let cores = lines.find(|line| line.starts_with("Cpus_allowed_list:"));
        let host = world.host();
        let mine = format!("{host}\n{}", cores.unwrap_or_default());
        let all = machines.gather(mine.as_bytes());
        let is_here =
            |other: &&Vec<u8>| other.split(|b| *b == b'\n').next() == Some(host.as_bytes());
        Ok(Self {
            machines,
            memory: all.iter().filter(is_here).count(),
            cores: all
                .iter()
                .filter(|other| **other == mine.as_bytes())
                .count(),
            _world: Some(world),
        })
    }

    #[cfg(not(feature = "mpi"))]
    fn among_others() -> Result<Self> {
        use actum::error::{Error, ErrorKind};
        let what = "this program was built without MPI; build it where an MPI library and libclang \
                    are, by `cargo install --path crates/actum-cli --features mpi`";
        Err(Error::new(ErrorKind::Missing, what))
    }
}

/// Bounds what the program takes: by `memory`, else three quarters of what the machine has for each
/// of the processes on it.
pub fn bound(memory: Option<Bytes>, shared: &Shared) {
    let most = || most().map(|bytes| bytes / shared.memory as u64);
    if let Some(bytes) = memory.map(|Bytes(bytes)| bytes).or_else(most) {
        actum::memory::set_budget(bytes);
    }
    // Without a pool of its own a library is asked for as many threads as the environment says.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = (cores / shared.cores).max(1);
    let asked = std::env::var("RAYON_NUM_THREADS").ok();
    let asked = asked.and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    let threads = asked.unwrap_or(cores).min(MOST_THREADS.max(cores));
    // A caller from Python may have made it before.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
}

/// Makes a file that grows beyond what is allowed an error, as on a full disk: the signal of it ends
/// a program that does not listen.
pub fn hear_of_large_files() {
    #[cfg(unix)]
    {
        // Nobody reads the flag: what is written tells.
        let flag = std::sync::Arc::default();
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag);
    }
}

/// More threads than this and than cores only take memory.
const MOST_THREADS: usize = 64;

/// Three quarters of the memory of the machine, or of what this process may have of it, where that
/// is known.
fn most() -> Option<u64> {
    let known = fs::read_to_string("/proc/meminfo").ok()?;
    let total = known
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().trim_end_matches(" kB").parse().ok()?;
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = limits.iter().filter_map(|limit| {
        let limit = fs::read_to_string(limit).ok()?;
        limit.trim().parse::<u64>().ok()
    });
    limits
        .chain([total.saturating_mul(1024)])
        .min()
        .map(|bytes| bytes / 4 * 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("8G", 8_000_000_000),
            ("1.5GiB", 1_610_612_736),
            ("500 mb", 500_000_000),
            ("2000000", 2_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "8", "G", "-8G", "8X", "8GG", "1e9", "nan"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}

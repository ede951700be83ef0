//! `actum demo`.

use std::{fs, path::Path, time::Instant};

use actum::{
    action::Device,
    cloud::Cloud,
    data::{self, Keys, Snapshots, extensions},
    error::{Error, ErrorKind, Result},
    flow::{self, Scheme},
    gallery::Branching,
    metric,
    run::{IfExists, Run, SnapshotSettings},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{arguments::Demo, output, plot, progress::Progress, score};

/// Cells at each time, and the time that the fit does not see.
const CELLS: usize = 600;
const HELD_OUT: usize = 3;

pub fn run(arguments: &Demo) -> Result<()> {
    let started = Instant::now();
    let folder = &arguments.out;
    let population = folder.join("population.npz");
    let run_folder = folder.join("run");
    let pictures = folder.join("pictures");

    let snapshots = Branching.snapshots(&Branching::TIMES, CELLS, 0)?;
    claim(folder, &population, &snapshots)?;
    data::write(&population, &snapshots)?;
    let held_out = snapshots.labels()[HELD_OUT].clone();
    output::line(&format!(
        "{}: a population that differentiates into two branches, {CELLS} cells at {} hours.\n\
         No cell is seen twice. Learning its motion without the cells at {held_out}.\n",
        population.display(),
        snapshots.labels().join(", "),
    ));

    let mut settings = SnapshotSettings::default();
    settings.data.hold_out = vec![held_out.clone()];
    settings.network.width = 64;
    settings.fit.steps = 1500;
    settings.fit.batch = 256;
    let device = Device::cpu();
    let name = std::path::absolute(&population).unwrap_or(population.clone());
    let run = Run::fit(
        IfExists::Overwrite.claim(&run_folder)?,
        &snapshots,
        &name.display().to_string(),
        &settings,
        &device,
        &mut Progress::new(settings.fit.steps),
    )?;

    let dynamics = run.dynamics(&device)?;
    let scored = run.score(&dynamics, &snapshots, None, &[HELD_OUT])?;
    score::print(&scored[0].score, true, false);

    let (first, last) = (snapshots.cloud(0), snapshots.times()[snapshots.len() - 1]);
    let moved = flow::simulate(
        &dynamics,
        first,
        snapshots.times()[0],
        &[last],
        Scheme::default(),
        0,
    )?;
    let truth = Branching.sample(last, 4 * CELLS, &mut ChaCha8Rng::seed_from_u64(1))?;
    let again = Branching.sample(last, CELLS, &mut ChaCha8Rng::seed_from_u64(2))?;
    output::line(&format!(
        "\nAll the way from 0 to {last} hours, against {} fresh cells of the truth:\n  \
         W1 {}  (cells of the truth themselves: {})\n",
        truth.len(),
        output::number(metric::wasserstein_1(&Cloud::new(moved.at(0))?, &truth)?),
        output::number(metric::wasserstein_1(&again, &truth)?),
    ));

    output::line("Pictures:");
    run.draw(
        &dynamics,
        &snapshots,
        &scored,
        None,
        &pictures,
        &mut plot::drawn,
    )?;
    output::line(&format!(
        "\nDone in {:.0} s. For your own file ({}):\n  \
         actum check FILE\n  \
         actum fit FILE --hold-out TIME -o run\n  \
         actum score run FILE\n  \
         actum plot run FILE -o pictures",
        started.elapsed().as_secs_f64(),
        extensions(|_| true)
    ));
    Ok(())
}

/// Makes the folder, or takes one that an earlier demo left.
fn claim(folder: &Path, population: &Path, snapshots: &Snapshots) -> Result<()> {
    fs::create_dir_all(folder).map_err(|cause| Error::io("create the folder", folder, cause))?;
    let mut entries = fs::read_dir(folder).map_err(|cause| Error::io("read", folder, cause))?;
    let own = || {
        let there = data::read(population, &Keys::default());
        there.is_ok_and(|there| there.fingerprint() == snapshots.fingerprint())
    };
    if entries.next().is_none() || own() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Exists,
        format!(
            "{} is there already and not an earlier demo; choose another folder with --out",
            folder.display()
        ),
    ))
}

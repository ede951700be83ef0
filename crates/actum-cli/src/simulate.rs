//! `actum simulate`.

use std::path::{Path, PathBuf};

use actum::{
    action::Device,
    cloud::Cloud,
    data::{self, Keys, ParticleWeights, Snapshots},
    error::{Error, ErrorKind, Result},
    flow::{self, Scheme, Trajectories},
    run::Run,
};

use crate::{arguments::Simulate, output, read};

pub fn run(arguments: &Simulate) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let (settings, seen) = run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    let axis = run.axis()?;
    let from = arguments
        .from
        .as_deref()
        .map(|text| axis.value_of(text))
        .transpose()?;
    let (start, from, sampled) = start(arguments, &run, from)?;
    let times = match (&arguments.to, arguments.times.as_slice()) {
        (Some(to), _) => vec![axis.value_of(to)?],
        (None, []) => axis
            .values()
            .iter()
            .copied()
            .filter(|t| *t > from)
            .collect(),
        (None, times) => times
            .iter()
            .map(|t| axis.value_of(t))
            .collect::<Result<_>>()?,
    };
    if times.is_empty() {
        return Err(Error::new(
            ErrorKind::Value,
            format!("{from} is the last time; say where to go with --to or --times"),
        ));
    }
    let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
    let seed = settings.fit.seed;
    let moved = flow::simulate(&dynamics, &start, from, &times, scheme, seed)?;
    let grows = dynamics.lagrangian.grows();
    let weights = match grows {
        true => ParticleWeights::Changing(&moved.weights),
        false => ParticleWeights::Constant(start.weights()),
    };
    data::write_trajectories(
        &arguments.output,
        &moved.times,
        &moved.points,
        weights,
        &seen.columns,
    )?;
    output::line(&format!(
        "{}: {} from {from} at {} (velocity evaluated {})",
        arguments.output.display(),
        output::count(start.len(), "particle"),
        output::count(times.len(), "time"),
        output::count(moved.evaluations, "time"),
    ));
    if let Some(sampled) = sampled {
        output::line(&sampled);
    }
    if grows {
        print_masses(&moved, &times, start.mass())?;
    }
    Ok(())
}

fn print_masses(moved: &Trajectories, times: &[f64], before: f64) -> Result<()> {
    let rows = moved.masses().into_iter().zip(times).enumerate();
    let rows = rows.map(|(k, (mass, time))| {
        Ok(vec![
            time.to_string(),
            output::number(mass),
            output::number(mass / before),
            output::number(moved.cloud(k)?.effective_sample_size()),
        ])
    });
    let header = [
        "time",
        "mass",
        "over that of the start",
        "effective particles",
    ];
    output::table(&header, &rows.collect::<Result<Vec<_>>>()?);
    Ok(())
}

/// The points to move and their time: the one typed, else the one the start file tells, else the
/// first; and what is to be said where they are a sample.
fn start(
    arguments: &Simulate,
    run: &Run,
    from: Option<f64>,
) -> Result<(Cloud, f64, Option<String>)> {
    let (settings, seen) = run.snapshots()?;
    let first = seen.times[0];
    if let Some(path) = &arguments.start {
        let (cloud, time) = data::read_cloud(path, &settings.data.keys, from)?;
        let cloud = run
            .view_cloud(&cloud)
            .map_err(|e| e.within(path.display()))?;
        return Ok((cloud, from.or(time).unwrap_or(first), None));
    }
    let snapshots = own_data(run)?;
    let from = from.unwrap_or(first);
    let index = (0..snapshots.len()).find(|i| snapshots.times()[*i] == from);
    let cloud = index.map(|i| snapshots.cloud(i).clone()).ok_or_else(|| {
        Error::new(
            ErrorKind::Missing,
            format!(
                "the data has no points at {from}; start from one of {}, or give the points with \
                 --start",
                snapshots.labels().join(", ")
            ),
        )
    })?;
    let sampled = read::said(&snapshots, "are moved; --start FILE moves all of a file");
    Ok((cloud, from, sampled))
}

/// The data that the run was fitted on, from where it was then, or a sample of it.
pub fn own_data(run: &Run) -> Result<Snapshots> {
    let path = PathBuf::from(&run.source().data);
    let snapshots = read_for(run, &path)?;
    if snapshots.fingerprint() != run.source().fingerprint {
        return Err(Error::new(
            ErrorKind::Value,
            format!(
                "{} has changed since the run was fitted on it; name the data to use",
                path.display()
            ),
        ));
    }
    Ok(snapshots)
}

/// Reads a file as the run sees it, or a sample of a large one.
pub fn read_for(run: &Run, path: &Path) -> Result<Snapshots> {
    let (settings, _) = run.snapshots()?;
    let (keys, shard) = (&settings.data.keys, settings.data.shard);
    let snapshots = read::sample(path, keys, shard).or_else(|error| {
        // The drift is in the run: a file without velocities will do.
        let without = Keys {
            velocity_key: None,
            ..keys.clone()
        };
        match error.kind() {
            ErrorKind::Missing => read::sample(path, &without, shard).map_err(|_| error),
            _ => Err(error),
        }
    })?;
    run.view(&snapshots).map_err(|e| e.within(path.display()))
}

//! `actum simulate`.

use std::path::{Path, PathBuf};

use actum::{
    action::Device,
    cloud::Cloud,
    data::{self, Attribute, Format, Keys, ParticleWeights, Particles, Snapshots},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
    evaluate::Bridge,
    flow::{self, Scheme, Trajectories},
    run::Run,
};
use ndarray::Array3;

use crate::{arguments::Simulate, genes, output, read};

pub fn run(arguments: &Simulate) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let to = &arguments.output;
    let format = Format::of(to).map_err(|e| e.within(to.display()))?;
    let own = own_path(&run);
    output::check_apart(to, arguments.start.as_deref().into_iter().chain([&*own]))?;
    let (settings, seen) = run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    let genes = arguments.genes.as_deref();
    let genes = genes.map(|text| genes::of_run(&run, text)).transpose()?;
    let axis = run.axis()?;
    let from = arguments
        .from
        .as_deref()
        .map(|text| axis.value_of(text))
        .transpose()?;
    let Started {
        cloud: start,
        from,
        attributes,
        sampled,
        bridge,
    } = start(arguments, &run, from)?;
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
    let began = axis.label_of(from);
    if times.is_empty() {
        return Err(Error::new(
            ErrorKind::Value,
            format!("{began} is the last time; say where to go with --to or --times"),
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
    let labels: Vec<String> = moved.times.iter().map(|t| axis.label_of(*t)).collect();
    let velocities = match format.has_velocities {
        true => Some(velocities(&dynamics, &moved)?),
        false => None,
    };
    let particles = Particles {
        times: &moved.times,
        labels: &labels,
        points: &moved.points,
        velocities: velocities.as_ref(),
        weights,
        columns: &seen.columns,
        attributes: &attributes,
        genes: genes.as_ref(),
    };
    data::write_trajectories(&arguments.output, &particles)?;
    output::line(&format!(
        "{}: {} from {began} at {} (velocity evaluated {})",
        arguments.output.display(),
        output::count(start.len(), "particle"),
        output::count(times.len(), "time"),
        output::count(moved.evaluations, "time"),
    ));
    if let Some(sampled) = sampled {
        output::line(&sampled);
    }
    if grows {
        print_masses(&moved, &labels, start.mass())?;
    }
    if let Some(bridge) = bridge {
        print_errors(
            &bridge,
            &times,
            &labels,
            &seen.times,
            settings.data.standardize,
        );
    }
    Ok(())
}

/// The velocities of all particles at all times, `[k, n, d]`.
fn velocities(dynamics: &Dynamics, moved: &Trajectories) -> Result<Array3<f64>> {
    let mut all = Array3::zeros(moved.points.raw_dim());
    let each = moved.points.outer_iter().zip(all.outer_iter_mut());
    for (t, (points, mut velocities)) in moved.times.iter().zip(each) {
        velocities.assign(&dynamics.describe(*t, &points.to_owned())?.velocity);
    }
    Ok(all)
}

/// Prints how far the mean may be off at the times between snapshots.
fn print_errors(
    bridge: &Bridge,
    times: &[f64],
    labels: &[String],
    snapshots: &[f64],
    standardize: bool,
) {
    let between = times
        .iter()
        .zip(labels)
        .filter(|(t, _)| !snapshots.contains(*t));
    let rows: Vec<Vec<String>> = between
        .filter_map(|(t, label)| Some(vec![label.clone(), output::number(bridge.error(*t)?)]))
        .collect();
    if rows.is_empty() {
        return;
    }
    let unit = match standardize {
        true => "standard deviations",
        false => "units of the data",
    };
    output::line(&format!(
        "\nBetween snapshots the mean of the population may be off by about ({unit})"
    ));
    output::table(&["time", "distance"], &rows);
}

fn print_masses(moved: &Trajectories, labels: &[String], before: f64) -> Result<()> {
    let rows = moved.masses().into_iter().zip(labels).enumerate();
    let rows = rows.map(|(k, (mass, time))| {
        Ok(vec![
            time.clone(),
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

/// The points to move.
struct Started {
    cloud: Cloud,
    /// Their time: the one typed, else the one the start file tells, else the first.
    from: f64,
    /// What is known of them beside the coordinates.
    attributes: Vec<Attribute>,
    /// What is to be said where they are a sample.
    sampled: Option<String>,
    /// How far the population may be off between snapshots, where it is the data's own.
    bridge: Option<Bridge>,
}

fn start(arguments: &Simulate, run: &Run, from: Option<f64>) -> Result<Started> {
    let first = run.snapshots()?.1.times[0];
    if let Some(path) = &arguments.start {
        let start = run.read_start(path, from)?;
        read::note(path, &start.notes);
        let all = run.read_by(|keys| data::read_attributes(path, keys, &start.columns))?;
        return Ok(Started {
            from: from.or(start.time).unwrap_or(first),
            attributes: all.iter().map(|a| a.select(&start.rows)).collect(),
            cloud: start.cloud,
            sampled: None,
            bridge: None,
        });
    }
    let snapshots = own_data(run, read::with_attributes)?;
    let from = from.unwrap_or(first);
    let index = (0..snapshots.len()).find(|i| snapshots.times()[*i] == from);
    let index = index.ok_or_else(|| {
        Error::new(
            ErrorKind::Missing,
            format!(
                "the data has no points at {from}; start from one of {}, or give the points with \
                 --start",
                snapshots.labels().join(", ")
            ),
        )
    })?;
    Ok(Started {
        cloud: snapshots.cloud(index).clone(),
        from,
        attributes: match snapshots.is_sample() {
            true => vec![],
            false => snapshots.attributes_at(index),
        },
        bridge: run.bridge(&snapshots)?,
        sampled: read::said(&snapshots, "are moved; --start FILE moves all of a file"),
    })
}

/// How a file is read: [`read::sample`] or [`read::with_attributes`].
pub type Read = fn(&Path, &Keys, usize) -> Result<Snapshots>;

/// Where the data of a run were.
pub fn own_path(run: &Run) -> PathBuf {
    read::path_of(&run.source().data)
}

/// The data that the run was fitted on, from where it was then, or a sample of it.
pub fn own_data(run: &Run, read: Read) -> Result<Snapshots> {
    let path = own_path(run);
    let (settings, _) = run.snapshots()?;
    let snapshots = read(&path, &run.keys()?, settings.data.shard)?;
    let snapshots = run.view(&snapshots).map_err(|e| e.within(path.display()))?;
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

/// Reads a file as the run sees it, or a sample of a large one, and says what had to be supposed.
pub fn read_for(run: &Run, path: &Path, read: Read) -> Result<Snapshots> {
    let shard = run.snapshots()?.0.data.shard;
    let snapshots = run.read_by(|keys| read(path, keys, shard))?;
    let known = snapshots.notes().len();
    let seen = run.view(&snapshots).map_err(|e| e.within(path.display()))?;
    read::note(path, &seen.notes()[known..]);
    Ok(seen)
}

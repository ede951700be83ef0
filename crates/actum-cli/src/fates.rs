//! `actum fates`.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use actum::{
    action::Device,
    data::{Attribute, Genes, Snapshots},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
    fates::{self, Clones, Destinations, Driver, Options, Trend},
    run::{Cells, Run},
};
use ndarray::Array1;
use serde_json::json;

use crate::{
    arguments::{self, Ends},
    genes, output,
    progress::Meter,
    read,
};

/// The cells of a file, or of the one that a run was fitted on.
pub fn cells_of(run: &Run, file: Option<&Path>) -> Result<Cells> {
    let own = crate::simulate::own_path(run);
    let cells = run.cells(file.unwrap_or(&own))?;
    read::note(&cells.path, &cells.notes);
    Ok(cells)
}

/// How fates are told.
pub fn options(cells: &Cells, run: &Run, ends: &Ends) -> Result<Options> {
    cells.fate_options(run, &ends.terminal, ends.neighbours, ends.paths)
}

/// The fates of all cells.
pub fn fates_of(cells: &Cells, destinations: &Destinations) -> Result<fates::Fates> {
    let mut meter = Meter::new("cell");
    destinations.of_snapshots(&cells.snapshots, &mut |done, of| {
        meter.at(done, of, "");
        ControlFlow::Continue(())
    })
}

/// How many drivers of a fate are printed, and have trends where no genes are chosen.
const STRONGEST: usize = 3;

/// How many genes a picture shows at most.
const SHOWN: usize = 24;

pub fn run(arguments: &arguments::Fates) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    let cells = cells_of(&run, arguments.file.as_deref())?;
    let key = &arguments.label_key;
    let labels = cells.attribute(key)?;
    let clone_of = arguments.clone_key.as_deref();
    let clone_of = clone_of.map(|key| cells.attribute(key)).transpose()?;
    let options = options(&cells, &run, &arguments.ends)?;
    let destinations = cells.destinations(&dynamics, key, options)?;
    let told = fates_of(&cells, &destinations)?;
    let seed = run.snapshots()?.0.fit.seed;
    let clones = clone_of
        .map(|clones| fates::clones(&told, &cells.snapshots, labels, clones, seed))
        .transpose()
        .map_err(|e| e.within(cells.path.display()))?;
    let asked = arguments.genes.as_deref().map(genes::chosen).transpose()?;
    let drivers = drivers_of(asked.is_some(), &run, &dynamics, &cells, &told)?;
    let of_genes = drivers.map(|drivers| {
        let trends = match (&asked, &arguments.output) {
            (Some(chosen), _) => cells.trends(&told, chosen.as_deref())?,
            (None, Some(_)) => {
                let strongest = fates::strongest(&drivers, STRONGEST);
                cells.trends(&told, Some(&strongest))?
            }
            // Nothing shows them.
            (None, None) => vec![],
        };
        Ok((drivers, trends))
    });
    let of_genes: Option<OfGenes> = of_genes.transpose()?;
    let files = match &arguments.output {
        Some(folder) => write(folder, &cells, labels, &told, of_genes.as_ref())?,
        None => vec![],
    };
    let times = by_time(&cells.snapshots, &told);
    let kinds = by_label(&cells.snapshots, labels, &told);
    if arguments.json {
        let drivers = of_genes.as_ref().map(|(drivers, _)| {
            let each = told.names.iter().zip(drivers);
            let each = each.map(|(fate, all)| json!({"fate": fate, "drivers": all}));
            each.collect::<Vec<_>>()
        });
        output::json(&json!({
            "run": output::name(&arguments.run),
            "fates": told.names,
            "times": times.iter().map(Group::json).collect::<Vec<_>>(),
            "labels": kinds.iter().map(Group::json).collect::<Vec<_>>(),
            "clones": clones,
            "drivers": drivers,
            "files": files,
        }));
        return Ok(());
    }
    let header = |first: &'static str| -> Vec<&str> {
        let names = told.names.iter().map(String::as_str);
        [first, "cells"].into_iter().chain(names).collect()
    };
    output::line("Mean probability of each fate\n");
    output::table(
        &header("time"),
        &times.iter().map(Group::row).collect::<Vec<_>>(),
    );
    if !kinds.is_empty() {
        output::line(&format!("\nby {key} before the last time\n"));
        output::table(
            &header("label"),
            &kinds.iter().map(Group::row).collect::<Vec<_>>(),
        );
    }
    if dynamics.lagrangian.grows() {
        output::line("\nwith growth a cell counts by the mass that comes of it");
    }
    if let Some(clones) = &clones {
        print_clones(clones);
    }
    if let Some((drivers, _)) = &of_genes {
        print_drivers(&told.names, drivers);
    }
    if !files.is_empty() {
        output::line("");
    }
    for file in files {
        output::line(&format!("Wrote {}", file.display()));
    }
    Ok(())
}

/// Cells with what they have in common.
struct Group {
    name: String,
    cells: usize,
    mean: Vec<f64>,
}

impl Group {
    fn of(name: &str, cells: &[usize], weights: &Array1<f64>, told: &fates::Fates) -> Self {
        let weights = cells.iter().map(|i| weights[*i]).collect();
        Self {
            name: name.to_owned(),
            cells: cells.len(),
            mean: told.select(cells).mean(&weights).to_vec(),
        }
    }

    fn row(&self) -> Vec<String> {
        let mean = self.mean.iter().map(|p| format!("{p:.3}"));
        [self.name.clone(), self.cells.to_string()]
            .into_iter()
            .chain(mean)
            .collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({"name": self.name, "cells": self.cells, "mean": self.mean})
    }
}

fn weights(snapshots: &Snapshots) -> Array1<f64> {
    let clouds = snapshots.clouds().iter();
    clouds.flat_map(|cloud| cloud.weights()).copied().collect()
}

fn by_time(snapshots: &Snapshots, told: &fates::Fates) -> Vec<Group> {
    let weights = weights(snapshots);
    let mut start = 0;
    let groups = snapshots.clouds().iter().zip(snapshots.labels());
    let groups = groups.map(|(cloud, label)| {
        let cells: Vec<usize> = (start..start + cloud.len()).collect();
        start += cloud.len();
        Group::of(label, &cells, &weights, told)
    });
    groups.collect()
}

/// The cells before the last time by their label.
fn by_label(snapshots: &Snapshots, labels: &Attribute, told: &fates::Fates) -> Vec<Group> {
    let weights = weights(snapshots);
    let last = snapshots.clouds().last().map_or(0, |cloud| cloud.len());
    let before = labels.values.len() - last;
    let mut names: Vec<&str> = labels.values[..before]
        .iter()
        .map(|label| &**label)
        .collect();
    names.sort_unstable();
    names.dedup();
    let groups = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            let is_it = |i: &usize| *labels.values[*i] == *name;
            let cells: Vec<usize> = (0..before).filter(is_it).collect();
            Group::of(name, &cells, &weights, told)
        });
    groups.collect()
}

/// The drivers of every fate. Where genes were not asked for and the file has none, there are none.
pub fn drivers_of(
    asked: bool,
    run: &Run,
    dynamics: &Dynamics,
    cells: &Cells,
    told: &fates::Fates,
) -> Result<Option<Vec<Vec<Driver>>>> {
    if !asked && !Genes::reads(&cells.path) {
        return Ok(None);
    }
    match cells.drivers(run, dynamics, told) {
        Err(error) if !asked && error.kind() != ErrorKind::Io => {
            output::say(&format!("note: no drivers and trends: {error}"));
            Ok(None)
        }
        drivers => drivers.map(Some),
    }
}

type OfGenes = (Vec<Vec<Driver>>, Vec<Trend>);

fn write(
    folder: &Path,
    cells: &Cells,
    labels: &Attribute,
    told: &fates::Fates,
    of_genes: Option<&OfGenes>,
) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).map_err(|cause| Error::io("create the folder", folder, cause))?;
    let snapshots = &cells.snapshots;
    let names = cells.names()?;
    let times = snapshots.labels().iter().zip(snapshots.clouds());
    let times = times.flat_map(|(label, cloud)| std::iter::repeat_n(label.as_str(), cloud.len()));
    let mut known = vec![("cell", names.iter().map(String::as_str).collect::<Vec<_>>())];
    known.push(("time", times.collect()));
    known.push((
        "label",
        labels.values.iter().map(|label| &**label).collect(),
    ));
    let mut files = vec![folder.join("cells.csv")];
    told.write(&files[0], &known)?;
    if let Some((drivers, trends)) = of_genes {
        let path = folder.join("drivers.csv");
        fates::write_drivers(&path, &told.names, drivers)?;
        files.push(path);
        if !trends.is_empty() {
            let path = folder.join("trends.csv");
            fates::write_trends(&path, trends)?;
            files.push(path);
            let of_gene: Vec<&[Trend]> = trends.chunk_by(|a, b| a.gene == b.gene).collect();
            let shown = of_gene.into_iter().take(SHOWN).collect::<Vec<_>>().concat();
            let time = match snapshots.unit() {
                Some(unit) => format!("time ({unit})"),
                None => "time".to_owned(),
            };
            files.extend(fates::picture(&shown, &time)?.save(&folder.join("trends"))?);
        }
    }
    Ok(files)
}

fn print_clones(clones: &Clones) {
    output::line(&format!(
        "\n{} of {} beside where their sisters went\n",
        output::count(clones.cells, "cell"),
        output::count(clones.clones, "clone"),
    ));
    let rows: Vec<Vec<String>> = clones
        .fates
        .iter()
        .map(|fate| {
            let [low, high] = fate.auc_interval;
            vec![
                fate.name.clone(),
                format!("{:.3}", fate.share),
                format!("{:.3}", fate.auc),
                format!("{low:.3} to {high:.3}"),
                format!("{:.4}", fate.brier),
                format!("{:.4}", fate.brier_of_share),
            ]
        })
        .collect();
    let header = [
        "fate",
        "share",
        "AUC",
        "95 %",
        "squared error",
        "of the share",
    ];
    output::table(&header, &rows);
    let mut bins = vec![];
    for fate in &clones.fates {
        for bin in &fate.calibration {
            bins.push(vec![
                fate.name.clone(),
                bin.cells.to_string(),
                format!("{:.3}", bin.predicted),
                format!("{:.3}", bin.found),
            ]);
        }
    }
    output::line("\nprobabilities, and how many sisters went there\n");
    output::table(&["fate", "cells", "predicted", "found"], &bins);
}

fn print_drivers(names: &[String], drivers: &[Vec<Driver>]) {
    let mut rows = vec![];
    for (fate, all) in names.iter().zip(drivers) {
        for driver in all.iter().take(STRONGEST) {
            let Some(association) = driver.association else {
                continue;
            };
            let rate = match driver.rate {
                Some([rate, low, high]) => format!(
                    "{} ({} to {})",
                    output::number(rate),
                    output::number(low),
                    output::number(high)
                ),
                None => "-".to_owned(),
            };
            rows.push(vec![
                fate.clone(),
                driver.gene.clone(),
                format!("{:.3}", association.correlation),
                format!("{:.1e}", association.q),
                rate,
            ]);
        }
    }
    output::line("\nGenes that go with each fate\n");
    output::left_table(&["fate", "gene", "correlation", "q", "rate (95 %)"], &rows);
}

//! `actum perturb`.

use std::ops::ControlFlow;

use actum::{
    action::Device,
    data::Genes,
    error::Result,
    fates::{self, Change, Effect, Perturbed, To},
    run::Run,
};
use serde_json::json;

use crate::{arguments::Perturb, fates::Cells, genes, output, progress::Meter};

/// How many genes of a screen are printed.
const STRONGEST: usize = 10;

pub fn run(arguments: &Perturb) -> Result<()> {
    let changes = arguments.set.iter().map(|text| text.parse::<Change>());
    let changes = changes.collect::<Result<Vec<_>>>()?;
    let to: To = arguments.to.parse()?;
    let run = Run::open(&arguments.run)?;
    run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    let decoder = run.genes()?;
    let cells = Cells::of(&run, arguments.file.as_ref())?;
    let of_file = Genes::open(&cells.path, &cells.keys)?;
    let snapshots = &cells.snapshots;
    let at = match &arguments.from {
        Some(text) => snapshots.axis().index_of(text)?,
        None => 0,
    };
    let destinations =
        cells.destinations(&run, &dynamics, &arguments.label_key, &arguments.ends)?;
    let cloud = snapshots.cloud(at);
    let changed = Perturbed::new(
        &destinations,
        &decoder,
        cloud.points(),
        cloud.weights(),
        snapshots.times()[at],
    )?;
    let before: usize = snapshots.clouds()[..at].iter().map(|c| c.len()).sum();
    let rows = &cells.rows[before..before + cloud.len()];
    let when = &snapshots.labels()[at];
    match &arguments.screen {
        None => {
            let names: Vec<String> = changes.iter().map(|change| change.gene.clone()).collect();
            let in_file = of_file.find(&names)?;
            let places = decoder.find(&names).map_err(unseen)?;
            let expression = of_file.table(rows, &in_file)?;
            let known = places
                .iter()
                .zip(&changes)
                .map(|(gene, change)| (*gene, change.to));
            let (effects, shift) = changed.effect(&known.collect::<Vec<_>>(), expression.view())?;
            report(arguments, when, cloud.len(), &effects, shift);
        }
        Some(text) => {
            let chosen = match genes::chosen(text)? {
                None => (0..decoder.genes().len()).collect(),
                Some(names) => decoder.find(&names).map_err(unseen)?,
            };
            let (seen, faint): (Vec<usize>, Vec<usize>) = chosen
                .into_iter()
                .partition(|gene| changed.check_seen(*gene).is_ok());
            if let (Some(first), true) = (faint.first(), seen.is_empty()) {
                changed.check_seen(*first)?;
            }
            if !faint.is_empty() {
                output::say(&format!(
                    "note: left out {} that the coordinates hardly see",
                    output::count(faint.len(), "gene")
                ));
            }
            let names: Vec<String> = seen.iter().map(|g| decoder.genes()[*g].clone()).collect();
            let expression = of_file.table(rows, &of_file.find(&names)?)?;
            let mut meter = Meter::new("gene");
            let mut tell = |done, of| {
                meter.at(done, of, "");
                ControlFlow::Continue(())
            };
            let effects = fates::screen(&changed, &seen, to, &expression, &mut tell)?;
            if let Some(path) = &arguments.output {
                fates::write_screen(path, &names, &effects)?;
            }
            report_screen(arguments, when, cloud.len(), &names, &effects);
        }
    }
    Ok(())
}

/// A gene that the file may have and the coordinates do not know.
fn unseen(error: actum::Error) -> actum::Error {
    error.within("genes without loadings cannot be changed")
}

fn report(arguments: &Perturb, when: &str, cells: usize, effects: &[Effect], shift: f64) {
    if arguments.json {
        output::json(&json!({
            "run": output::name(&arguments.run),
            "set": arguments.set,
            "time": when,
            "cells": cells,
            "shift": shift,
            "effects": effects,
        }));
        return;
    }
    output::line(&format!(
        "{} in {} at {when}; they are shifted by {} of their spread\n",
        arguments.set.join(", "),
        output::count(cells, "cell"),
        output::number(shift),
    ));
    let rows: Vec<Vec<String>> = effects
        .iter()
        .map(|effect| row(&effect.fate, effect))
        .collect();
    output::table(&["fate", "before", "after", "difference", "95 %"], &rows);
    if shift > 1.0 {
        output::line("\nwarning: that is far from all cells: nothing was learned there");
    }
}

fn row(first: &str, effect: &Effect) -> Vec<String> {
    let [low, high] = effect.interval;
    let mut row = vec![first.to_owned()];
    row.extend([effect.before, effect.after].map(|p| format!("{p:.3}")));
    row.push(format!("{:+.4}", effect.difference));
    row.push(format!("{low:+.4} to {high:+.4}"));
    row
}

fn report_screen(
    arguments: &Perturb,
    when: &str,
    cells: usize,
    genes: &[String],
    effects: &[Vec<Effect>],
) {
    if arguments.json {
        let each = genes.iter().zip(effects);
        let each = each.map(|(gene, effects)| json!({"gene": gene, "effects": effects}));
        output::json(&json!({
            "run": output::name(&arguments.run),
            "to": arguments.to,
            "time": when,
            "cells": cells,
            "genes": each.collect::<Vec<_>>(),
            "file": arguments.output.as_deref().map(output::name),
        }));
        return;
    }
    output::line(&format!(
        "{} changed to {}, each alone, in {} at {when}; the strongest effects\n",
        output::count(genes.len(), "gene"),
        arguments.to,
        output::count(cells, "cell"),
    ));
    let all = genes.iter().zip(effects);
    let mut all: Vec<(&String, &Effect)> = all
        .flat_map(|(gene, effects)| effects.iter().map(move |effect| (gene, effect)))
        .collect();
    all.sort_by(|a, b| b.1.difference.abs().total_cmp(&a.1.difference.abs()));
    let rows = all.iter().take(STRONGEST).map(|(gene, effect)| {
        let mut row = row(gene, effect);
        row.insert(1, effect.fate.clone());
        row
    });
    let header = ["gene", "fate", "before", "after", "difference", "95 %"];
    output::left_table(&header, &rows.collect::<Vec<_>>());
    if let Some(path) = &arguments.output {
        output::line(&format!("\nWrote {}", path.display()));
    }
}

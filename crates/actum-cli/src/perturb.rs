//! `actum perturb`.

use std::ops::ControlFlow;

use actum::{
    action::Device,
    error::Result,
    fates::{self, Change, Effect, To},
    run::Run,
};
use serde_json::json;

use crate::{
    arguments::Perturb,
    fates::{cells_of, options},
    genes, output,
    progress::Meter,
};

/// How many genes of a screen are printed.
const STRONGEST: usize = 10;

pub fn run(arguments: &Perturb) -> Result<()> {
    let changes = arguments.set.iter().map(|text| text.parse::<Change>());
    let changes = changes.collect::<Result<Vec<_>>>()?;
    let to: To = arguments.to.parse()?;
    let run = Run::open(&arguments.run)?;
    run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    // What the run does not know is said before a long reading.
    run.genes()?;
    let cells = cells_of(&run, arguments.file.as_deref())?;
    let snapshots = &cells.snapshots;
    let at = match &arguments.from {
        Some(text) => snapshots.axis().index_of(text)?,
        None => 0,
    };
    let options = options(&cells, &run, &arguments.ends)?;
    let destinations = cells.destinations(&dynamics, &arguments.label_key, options)?;
    let (when, count) = (&snapshots.labels()[at], snapshots.cloud(at).len());
    match &arguments.screen {
        None => {
            let (effects, shift) = cells.perturb(&run, &destinations, at, &changes)?;
            report(arguments, when, count, &effects, shift);
        }
        Some(text) => {
            let chosen = genes::chosen(text)?;
            let mut meter = Meter::new("gene");
            let mut tell = |done, of| {
                meter.at(done, of, "");
                ControlFlow::Continue(())
            };
            let screen = cells.screen(&run, &destinations, at, chosen.as_deref(), to, &mut tell)?;
            if screen.unseen > 0 {
                output::say(&format!(
                    "note: left out {} that the coordinates hardly see",
                    output::count(screen.unseen, "gene")
                ));
            }
            if let Some(path) = &arguments.output {
                fates::write_screen(path, &screen.genes, &screen.effects)?;
            }
            report_screen(arguments, when, count, &screen.genes, &screen.effects);
        }
    }
    Ok(())
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

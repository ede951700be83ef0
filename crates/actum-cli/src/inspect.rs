//! `actum inspect`.

use actum::{
    action::Device,
    dynamics::Dynamics,
    error::{ErrorKind, Result},
    objective::EXACT_LAPLACIAN,
    run::{Record, Run, Schema},
};
use serde_json::json;

use crate::{arguments::Inspect, output};

pub fn run(arguments: &Inspect) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let (settings, seen) = run.snapshots()?;
    let source = run.source();
    let done = run.steps_done()?;
    let log = if done > 0 { run.log()? } else { vec![] };
    let last = Record::last_step(&log);
    let is_rollback = |record: &&Record| matches!(record, Record::Rollback(_));
    let rollbacks = log.iter().filter(is_rollback).count();
    let held = run.held_out()?;
    let finished = match run.dynamics(&Device::cpu()) {
        Err(error) if error.kind() != ErrorKind::Missing => return Err(error),
        other => other,
    };
    if arguments.json {
        output::json(&json!({
            "run": output::name(&arguments.run),
            "source": source,
            "settings": settings,
            "steps_done": done,
            "finished": finished.is_ok(),
            "last_step": last,
            "rollbacks": rollbacks,
            "units": finished.as_ref().ok().map(|d| &d.units),
            "motion": finished.as_ref().ok().map(motion),
        }));
        return Ok(());
    }
    output::line(&format!(
        "{}, by actum {}\n",
        arguments.run.display(),
        source.version
    ));
    output::line(&format!("data      {}", source.data));
    output::line(&format!("hash      {}", source.fingerprint));
    let rows: Vec<Vec<String>> = seen
        .labels
        .iter()
        .zip(&seen.counts)
        .zip(&seen.masses)
        .enumerate()
        .map(|(i, ((label, count), mass))| {
            let held = if held.contains(&i) { "held out" } else { "" };
            let mass = output::number(*mass);
            vec![label.clone(), count.to_string(), mass, held.to_owned()]
        })
        .collect();
    output::table(&["time", "points", "mass", ""], &rows);
    output::line(&format!("columns   {}", seen.columns.join(", ")));
    output::line(&format!(
        "state     {done} of {} steps{}{}",
        settings.fit.steps,
        last.map_or(String::new(), |s| format!(
            ", objective {}",
            output::number(s.smoothed)
        )),
        if rollbacks > 0 {
            format!(", {}", output::count(rollbacks, "rollback"))
        } else {
            String::new()
        },
    ));
    match &finished {
        Ok(dynamics) => output::line(&format!("motion    {}", motion(dynamics))),
        Err(error) => output::line(&format!("          {error}")),
    }
    output::line(&format!("\n{}", settings.to_toml().trim_end()));
    Ok(())
}

/// How the population moves, in a line.
fn motion(dynamics: &Dynamics) -> String {
    let lagrangian = &dynamics.lagrangian;
    let mut terms = vec![];
    terms.push(match lagrangian.cost() {
        cost if cost.is_kinetic() => "kinetic cost".to_owned(),
        cost if cost.dimension().is_some() => "cost of a metric".to_owned(),
        cost => format!("cost |v|^{}", cost.exponent()),
    });
    if lagrangian.is_noisy() {
        let laplacian = if dynamics.units.dimension() <= EXACT_LAPLACIAN {
            "exact Laplacian"
        } else {
            "Laplacian by one probe a point"
        };
        let sigma = lagrangian.noise_in_time();
        terms.push(format!("noise {sigma} ({laplacian})"));
    }
    if lagrangian.grows() {
        terms.push(format!("growth {}", output::number(lagrangian.lambda())));
    }
    if lagrangian.known_drift().is_some() {
        terms.push("known drift".to_owned());
    }
    terms.join(", ")
}

//! `actum inspect`.

use actum::{
    error::{ErrorKind, Result},
    run::{Record, Run},
    tensor,
};
use serde_json::json;

use crate::{arguments::Inspect, output};

pub fn run(arguments: &Inspect) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let (source, settings) = (run.source(), run.settings());
    let done = run.steps_done()?;
    let log = if done > 0 { run.log()? } else { vec![] };
    let last = Record::last_step(&log);
    let is_rollback = |record: &&Record| matches!(record, Record::Rollback(_));
    let rollbacks = log.iter().filter(is_rollback).count();
    let held = run.held_out()?;
    let finished = match run.dynamics(&tensor::device("cpu")?) {
        Err(error) if error.kind() != ErrorKind::Missing => return Err(error),
        other => other,
    };
    if arguments.json {
        output::json(&json!({
            "run": arguments.run,
            "source": source,
            "settings": settings,
            "steps_done": done,
            "finished": finished.is_ok(),
            "last_step": last,
            "rollbacks": rollbacks,
            "units": finished.as_ref().ok().map(|d| &d.units),
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
    let rows: Vec<Vec<String>> = source
        .labels
        .iter()
        .zip(&source.counts)
        .enumerate()
        .map(|(i, (label, count))| {
            let held = if held.contains(&i) { "held out" } else { "" };
            vec![label.clone(), count.to_string(), held.to_owned()]
        })
        .collect();
    output::table(&["time", "points", ""], &rows);
    output::line(&format!("columns   {}", source.columns.join(", ")));
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
    if let Err(error) = finished {
        output::line(&format!("          {error}"));
    }
    output::line(&format!("\n{}", settings.to_toml().trim_end()));
    Ok(())
}

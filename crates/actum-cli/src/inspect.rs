//! `actum inspect`.

use actum::{
    error::Result,
    run::{Record, Run},
    tensor,
};
use serde_json::json;

use crate::{arguments::Inspect, output};

pub fn run(arguments: &Inspect) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let (source, settings) = (run.source(), run.settings());
    let log = run.log().unwrap_or_default();
    let last = log.iter().rev().find_map(|record| match record {
        Record::Step(step) => Some(*step),
        Record::Rollback(_) => None,
    });
    let rollbacks = log
        .iter()
        .filter(|r| matches!(r, Record::Rollback(_)))
        .count();
    let done = run.checkpoint().map_or(0, |c| c.step());
    let finished = run.dynamics(&tensor::device("cpu")?);
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
        .map(|(label, count)| {
            let held = settings.data.hold_out.iter().any(|h| h == label);
            let held = if held { "held out" } else { "" };
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

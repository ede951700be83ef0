//! `actum gallery`.

use actum::{
    data::{self, Format},
    error::{Error, ErrorKind, Result},
    gallery::{self, ENTRIES},
};
use serde_json::json;

use crate::{arguments::Gallery, output};

pub fn run(arguments: &Gallery) -> Result<()> {
    match (&arguments.name, &arguments.output) {
        (Some(name), Some(output)) => write(arguments, name, output),
        _ => list(arguments.json),
    }
}

fn list(as_json: bool) -> Result<()> {
    let mut rows = vec![];
    for entry in ENTRIES {
        let path = entry.path(None)?;
        rows.push((entry, path.dimension(), path.span()));
    }
    if as_json {
        let rows = rows.iter().map(|(entry, columns, span)| {
            json!({
                "name": entry.name,
                "about": entry.about,
                "columns": columns,
                "any_columns": entry.has_any_columns(),
                "span": span,
                "snapshots": entry.snapshots,
            })
        });
        output::json(&json!(rows.collect::<Vec<_>>()));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(entry, columns, [first, last])| {
            let any = if entry.has_any_columns() {
                " or any"
            } else {
                ""
            };
            vec![
                entry.name.to_owned(),
                format!("{columns}{any}"),
                format!("{first} to {last}"),
                entry.about.to_owned(),
            ]
        })
        .collect();
    output::left_table(&["name", "columns", "times", "what it is"], &rows);
    output::line(
        "\nactum gallery NAME -o FILE.npz writes points X, times t and true velocities V.",
    );
    Ok(())
}

fn write(arguments: &Gallery, name: &str, path: &std::path::Path) -> Result<()> {
    let entry = gallery::find(name)?;
    let truth = entry.path(arguments.columns)?;
    let times = match arguments.times.is_empty() {
        true => entry.times(&*truth),
        false => arguments.times.clone(),
    };
    if arguments.points < 2 {
        return Err(Error::new(
            ErrorKind::Value,
            format!(
                "a snapshot needs 2 points or more, got -n {}",
                arguments.points
            ),
        ));
    }
    let snapshots = gallery::snapshots(&*truth, &times, arguments.points, arguments.seed)?;
    data::write(path, &snapshots)?;
    let velocities = (Format::of(path)?.velocity_key)(snapshots.columns());
    if arguments.json {
        output::json(&json!({
            "file": output::name(path),
            "name": name,
            "points": arguments.points,
            "times": times,
            "columns": snapshots.dimension(),
            "velocity_key": velocities,
        }));
        return Ok(());
    }
    output::line(&format!(
        "{}: {} at each of {} from {} to {} in {}, with their true velocities ({velocities})",
        path.display(),
        output::count(arguments.points, "point"),
        output::count(times.len(), "time"),
        times[0],
        times[times.len() - 1],
        output::count(snapshots.dimension(), "column"),
    ));
    if times.len() < 2 {
        return Ok(());
    }
    let file = output::path(path);
    output::line(&format!(
        "\nNext:\n  \
         actum fit {file} --velocity-key {velocities} -o run\n  \
         actum annotate run               how far the learned velocity is from the true one\n  \
         actum score run {file}\n  \
         actum plot run -o pictures"
    ));
    Ok(())
}

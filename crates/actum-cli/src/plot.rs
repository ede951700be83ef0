//! `actum plot`.

use std::path::Path;

use actum::{
    action::Device,
    cloud::Cloud,
    data::Snapshots,
    error::{Error, ErrorKind, Result},
    plot::ByClass,
    run::Run,
};

use crate::{
    arguments::Plot,
    output, read,
    simulate::{own_data, read_for},
};

pub fn run(arguments: &Plot) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    run.snapshots()?;
    let dynamics = run.dynamics(&Device::cpu())?;
    let how = match arguments.colour {
        Some(_) => read::with_attributes,
        None => read::sample,
    };
    let snapshots = match &arguments.file {
        Some(path) => read_for(&run, path, how)?,
        None => own_data(&run, how)?,
    };
    let colour = arguments.colour.as_deref();
    let by = colour.map(|name| by_class(name, &snapshots)).transpose()?;
    if let Some(sampled) = read::said(&snapshots, "are drawn and compared") {
        output::line(&format!("Note: {sampled}."));
    }
    let held = run.held_in(&snapshots)?;
    let named: Vec<usize> = held.into_iter().filter(|at| *at > 0).collect();
    let scored = run.score(&dynamics, &snapshots, None, &named)?;
    run.draw(
        &dynamics,
        &snapshots,
        &scored,
        by.as_ref(),
        &arguments.output,
        &mut drawn,
    )
}

/// Says that there is a picture.
pub fn drawn(svg: &Path) {
    output::line(&format!("  {} (and .png)", svg.display()));
}

/// The classes of the points by the attribute of a name; upper and lower case agree.
fn by_class(name: &str, snapshots: &Snapshots) -> Result<ByClass> {
    if snapshots.is_sample() {
        return Err(Error::new(
            ErrorKind::Value,
            format!(
                "the file has too many rows to be read whole, and {name:?} is known of whole files \
                 alone; raise data.shard of the run, or name a part of the file"
            ),
        ));
    }
    let attributes = snapshots.attributes();
    let exact = attributes.iter().find(|a| a.name == name);
    let found = exact.or_else(|| {
        attributes
            .iter()
            .find(|a| a.name.eq_ignore_ascii_case(name))
    });
    let found = found.ok_or_else(|| {
        let names = attributes.iter().map(|a| a.name.as_str());
        Error::missing(format!("column {name:?} beside the coordinates"), names)
    })?;
    let sizes: Vec<usize> = snapshots.clouds().iter().map(Cloud::len).collect();
    ByClass::of(found, &sizes)
}

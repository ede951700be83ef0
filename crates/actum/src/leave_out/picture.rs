//! A picture of an evaluation.

use super::{Protocol, Report, report::Point};
use crate::{
    error::Result,
    plot::{Axis, Chart, Curve, Look, Picture, curves},
};

/// W1 and the unbiased energy distance at every left-out time, for the first protocol: fitted
/// methods, linear transport and the clocked spline as curves, two samples as a wide pale line
/// under them. `time` names the axis of time and `unit` that of distance.
///
/// # Errors
/// As [`curves`].
pub fn picture(report: &Report, time: &str, unit: &str) -> Result<Picture> {
    let table = &report.tables[0];
    type Value = fn(&Point) -> f64;
    let measures: [(&str, Value); 2] = [
        ("W1", |point| point.distances.w1),
        ("energy distance", |point| point.unbiased_energy),
    ];
    let mut charts: Vec<Chart> = measures
        .map(|(name, value)| {
            let mut look = 0;
            let lines = table
                .rows
                .iter()
                .filter(|line| !line.name.contains("snapshot"));
            let curves = lines.filter_map(|line| {
                let points = report.values.iter().zip(&line.at);
                let points: Vec<[f64; 2]> = points
                    .filter_map(|(t, at)| Some([*t, value(at.as_ref()?)]))
                    .collect();
                let is_floor = line.name == "two samples";
                if points.is_empty() || (is_floor && name != "W1") {
                    return None;
                }
                Some(Curve {
                    name: line.name.clone(),
                    points,
                    look: if is_floor {
                        Look::Truth
                    } else {
                        look += 1;
                        Look::Learned(look - 1)
                    },
                    dots: true,
                })
            });
            Chart {
                title: format!("{name} to the time that was left out"),
                curves: curves.collect(),
                x: Axis {
                    name: time.to_owned(),
                    logarithmic: false,
                },
                y: Axis {
                    name: format!("{name}, {unit}"),
                    logarithmic: false,
                },
                y_limits: None,
                density: None,
            }
        })
        .to_vec();
    charts.extend(calibration(report, time, unit));
    let from = match table.protocol {
        Protocol::Previous => "the snapshot before",
        Protocol::First => "the first snapshot",
        Protocol::Both => "both sides",
    };
    curves(
        &format!("Every time left out in turn, predicted from {from}"),
        &charts,
        2,
    )
}

/// How far the mean was expected to be off and was, where that could be said.
fn calibration(report: &Report, time: &str, unit: &str) -> Option<Chart> {
    let each = || report.values.iter().zip(&report.calibration);
    let expected: Vec<[f64; 2]> = each()
        .filter_map(|(t, at)| Some([*t, at.expected?]))
        .collect();
    if expected.is_empty() {
        return None;
    }
    let curve = |name: &str, points, look| Curve {
        name: name.to_owned(),
        points,
        look: Look::Learned(look),
        dots: true,
    };
    let found = each().map(|(t, at)| [*t, at.found]).collect();
    Some(Chart {
        title: "error of the mean: expected without the time, and found".to_owned(),
        curves: vec![curve("expected", expected, 0), curve("found", found, 1)],
        x: Axis {
            name: time.to_owned(),
            logarithmic: false,
        },
        y: Axis {
            name: format!("distance, {unit}"),
            logarithmic: false,
        },
        y_limits: None,
        density: None,
    })
}

//! A picture of trends.

use super::Trend;
use crate::{
    error::Result,
    plot::{Axis, Chart, Curve, Look, Picture, curves},
};

/// Expression along time, a frame for every gene and a curve for every fate; `time` names the axis.
///
/// # Errors
/// No trends; as [`curves`].
pub fn picture(trends: &[Trend], time: &str) -> Result<Picture> {
    let axis = |name: &str| Axis {
        name: name.to_owned(),
        logarithmic: false,
    };
    let mut fates: Vec<&str> = trends.iter().map(|trend| trend.fate.as_str()).collect();
    fates.sort_unstable();
    fates.dedup();
    let charts: Vec<Chart> = trends
        .chunk_by(|a, b| a.gene == b.gene)
        .map(|of_gene| {
            let lines = of_gene.chunk_by(|a, b| a.fate == b.fate);
            let lines = lines.map(|line| Curve {
                name: line[0].fate.clone(),
                points: line.iter().map(|trend| [trend.time, trend.mean]).collect(),
                look: Look::Learned(
                    fates
                        .iter()
                        .position(|fate| *fate == line[0].fate)
                        .unwrap_or(0),
                ),
                dots: true,
            });
            Chart {
                title: of_gene[0].gene.clone(),
                x: axis(time),
                y: axis("expression"),
                curves: lines.collect(),
                y_limits: None,
                density: None,
            }
        })
        .collect();
    curves("Expression in cells on the way to each fate", &charts, 3)
}

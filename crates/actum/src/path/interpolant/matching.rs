//! Which points of two neighbouring snapshots belong together.

use rand::Rng;

use super::{
    coupling::{Coupling, SHARE},
    growth::Gains,
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
    path::cumulative::{cumulate, draw},
    transport::{self, Ground, Plan},
};

/// The matching of two neighbouring snapshots, which can be followed in both directions.
pub(super) enum Matching {
    /// Every point with every other.
    Independent,
    /// The pairs of a transport plan.
    Plan {
        forward: Conditional,
        backward: Conditional,
        /// None where all pairs grow alike.
        gains: Option<Gains>,
    },
}

impl Matching {
    /// The matching of snapshots `duration` apart, and the root mean squared distance between
    /// matched points.
    pub(super) fn new(
        a: &Cloud,
        b: &Cloud,
        coupling: Coupling,
        duration: f64,
    ) -> Result<(Self, f64)> {
        let positive = |name: &str, value: f64| {
            ensure!(
                value.is_finite() && value > 0.0,
                Setting,
                "the coupling's {name} must be positive, got {value}"
            );
            Ok(())
        };
        let squared = Ground::SquaredEuclidean;
        let entropic = |regularisation: f64| {
            transport::entropic(a, b, squared, regularisation)
                .and_then(|entropic| entropic.plan())
                .map_err(|e| {
                    e.within(format!(
                        "coupling {} (a larger number helps)",
                        String::from(coupling)
                    ))
                })
        };
        let plan: Plan = match coupling {
            Coupling::Independent => {
                return Ok((Self::Independent, mean_squared_distance(a, b).sqrt()));
            }
            Coupling::Exact => transport::exact(a, b, squared)?,
            Coupling::Entropic(share) => {
                positive("regularisation", share)?;
                entropic(share * mean_squared_distance(a, b))?
            }
            Coupling::Bridge(sigma) => {
                positive("sigma", sigma)?;
                entropic(2.0 * sigma * sigma * duration)?
            }
            Coupling::Unbalanced(rho) => {
                positive("rho", rho)?;
                let mean = mean_squared_distance(a, b);
                transport::unbalanced(a, b, squared, SHARE * mean, rho * mean)
                    .and_then(|unbalanced| unbalanced.plan())
                    .map_err(|e| e.within(format!("coupling unbalanced:{rho}")))?
            }
        };
        let is_uneven = matches!(coupling, Coupling::Unbalanced(_));
        let matching = Self::Plan {
            forward: Conditional::new(a.len(), || plan.iter()),
            backward: Conditional::new(b.len(), || plan.iter().map(|(i, j, mass)| (j, i, mass))),
            gains: is_uneven.then(|| Gains::new(a, b, &plan)),
        };
        Ok((matching, (plan.cost() / plan.mass()).max(0.0).sqrt()))
    }

    /// The gains of the pairs; None where all pairs grow alike.
    pub(super) fn gains(&self) -> Option<&Gains> {
        match self {
            Self::Plan { gains, .. } => gains.as_ref(),
            Self::Independent => None,
        }
    }

    /// The pairs, where they are those of a plan.
    pub(super) fn pairs(&self) -> Option<(&Conditional, &Conditional)> {
        match self {
            Self::Plan {
                forward, backward, ..
            } => Some((forward, backward)),
            Self::Independent => None,
        }
    }

    /// The partner of row `i` in the later snapshot; None where any point will do.
    pub(super) fn forward(&self, i: usize, rng: &mut dyn Rng) -> Option<usize> {
        match self {
            Self::Independent => None,
            Self::Plan { forward, .. } => forward.draw(i, rng),
        }
    }

    /// The partner of row `j` in the earlier snapshot; None where any point will do.
    pub(super) fn backward(&self, j: usize, rng: &mut dyn Rng) -> Option<usize> {
        match self {
            Self::Independent => None,
            Self::Plan { backward, .. } => backward.draw(j, rng),
        }
    }
}

/// The distribution of the columns of a plan given the row.
pub(super) struct Conditional {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    /// Running sums of the mass within each row.
    running: Vec<f64>,
}

impl Conditional {
    fn new<I: Iterator<Item = (usize, usize, f64)>>(rows: usize, entries: impl Fn() -> I) -> Self {
        let mut offsets = vec![0; rows + 1];
        for (i, ..) in entries() {
            offsets[i + 1] += 1;
        }
        for i in 0..rows {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut columns = vec![0; offsets[rows]];
        let mut running = vec![0.0; offsets[rows]];
        for (i, j, mass) in entries() {
            columns[next[i]] = j as u32;
            running[next[i]] = mass;
            next[i] += 1;
        }
        for i in 0..rows {
            cumulate(&mut running[offsets[i]..offsets[i + 1]]);
        }
        Self {
            offsets,
            columns,
            running,
        }
    }

    /// The columns of row `i` and their masses.
    pub(super) fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let start = self.offsets[i];
        (start..self.offsets[i + 1]).map(move |at| {
            let before = if at > start {
                self.running[at - 1]
            } else {
                0.0
            };
            (self.columns[at] as usize, self.running[at] - before)
        })
    }

    /// A column of row `i` in proportion to its mass; None where the row has no mass.
    fn draw(&self, i: usize, rng: &mut dyn Rng) -> Option<usize> {
        let range = self.offsets[i]..self.offsets[i + 1];
        let at = draw(&self.running[range.clone()], rng)?;
        Some(self.columns[range.start + at] as usize)
    }
}

/// `E|x - y|^2` for independent x and y, from the moments of the two clouds.
fn mean_squared_distance(a: &Cloud, b: &Cloud) -> f64 {
    let shift = a.mean() - b.mean();
    let variance = |c: &Cloud| c.std_dev().mapv(|s| s * s).sum();
    shift.dot(&shift) + variance(a) + variance(b)
}

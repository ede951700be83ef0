//! What a run of snapshots says of real points, and how near its predictions come to them.

use ndarray::{Array1, Array2};

use super::Run;
use crate::{
    data::Snapshots,
    dynamics::{Description, Dynamics},
    error::{Error, ErrorKind, Result},
    evaluate::{self, Score},
    units::Units,
};

/// A time that was predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// How near the prediction came.
    pub score: Score,
    /// Whether the fit did not see the time.
    pub held_out: bool,
}

/// What the action says of every row of a table, in the order of its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The names of the coordinates, `[d]`.
    pub columns: Vec<String>,
    /// The coordinates, `[n, d]`.
    pub points: Array2<f64>,
    /// What the action says of them.
    pub description: Description,
    /// Whether mass grows.
    pub grows: bool,
}

impl Described {
    /// The numbers of every row by the names of their columns; the velocities are beside them.
    pub fn numbers(&self) -> Vec<(&'static str, &Array1<f64>)> {
        let known = &self.description;
        let mut numbers = vec![
            ("actum_action", &known.action),
            ("actum_speed", &known.speed),
            ("actum_energy", &known.energy),
        ];
        if self.grows {
            numbers.push(("actum_growth", &known.growth));
        }
        numbers
    }
}

/// Of snapshots; a run of images refuses.
impl Run {
    /// The times of snapshots, as the run [sees](Run::view) them, that the fit did not see.
    ///
    /// # Errors
    /// As [`held_out`](Run::held_out).
    pub fn held_in(&self, seen: &Snapshots) -> Result<Vec<usize>> {
        let labels = &self.snapshots()?.1.labels;
        let held = self.held_out()?.into_iter();
        Ok(held
            .filter_map(|i| seen.index_of(&labels[i]).ok())
            .collect())
    }

    /// What distances are divided by, `[d]`: for a standardised run the standard deviations over
    /// all rows of the scored data, as the field's protocol has it, so that reference rows do not
    /// depend on the run.
    ///
    /// # Errors
    /// A run of images; a column that does not vary.
    pub fn scale(&self, seen: &Snapshots) -> Result<Array1<f64>> {
        Ok(Units::of(seen, self.snapshots()?.0.data.standardize)?.scale())
    }

    /// The times to predict: those that are named, else those that the fit did not see, else all
    /// but the first.
    ///
    /// # Errors
    /// A name of no time; as [`held_out`](Run::held_out).
    pub fn targets(&self, seen: &Snapshots, at: &[String]) -> Result<Vec<usize>> {
        let named = at.iter().map(|text| seen.index_of(text));
        let named = named.collect::<Result<Vec<_>>>()?;
        let held = self.held_in(seen)?;
        Ok(match (named.is_empty(), held.is_empty()) {
            (false, _) => named,
            (true, false) => held,
            (true, true) => (1..seen.len()).collect(),
        })
    }

    /// Predicts the times `at` and compares with the real points there, beside reference rows. The
    /// real points of the time `from` are moved, else those of the last time before that the fit
    /// saw.
    ///
    /// # Errors
    /// As [`evaluate::score`]; no time before, and none named (`Missing`).
    pub fn score(
        &self,
        dynamics: &Dynamics,
        seen: &Snapshots,
        from: Option<&str>,
        at: &[usize],
    ) -> Result<Vec<Scored>> {
        let (scale, held) = (self.scale(seen)?, self.held_in(seen)?);
        let named = from.map(|text| seen.index_of(text)).transpose()?;
        let one = |at: usize| {
            let neighbours = evaluate::neighbours(seen, at, &held);
            let from = named.or(neighbours[0]).ok_or_else(|| {
                let at = &seen.labels()[at];
                let what =
                    format!("there is no time before {at} to move points from; say from which");
                Error::new(ErrorKind::Missing, what)
            })?;
            Ok(Scored {
                score: evaluate::score(dynamics, seen, from, at, neighbours, &scale)?,
                held_out: held.contains(&at),
            })
        };
        at.iter().map(|at| one(*at)).collect()
    }

    /// What the action says of every row of a table that was read, whose [order] is that of the
    /// snapshots; in the order of the table.
    ///
    /// [order]: crate::data::TableReader::order
    ///
    /// # Errors
    /// As [`view`](Run::view); times outside of what was learned.
    pub fn describe(
        &self,
        dynamics: &Dynamics,
        all: &Snapshots,
        order: &[usize],
    ) -> Result<Described> {
        let seen = self.view(all)?;
        let mut rows = order.iter().copied();
        let (n, d) = (rows.len(), seen.dimension());
        let (mut points, mut velocity) = (Array2::zeros((n, d)), Array2::zeros((n, d)));
        let [mut action, mut speed, mut growth, mut energy] = [(); 4].map(|()| Array1::zeros(n));
        for (t, cloud) in seen.times().iter().zip(seen.clouds()) {
            let told = dynamics.describe(*t, cloud.points())?;
            for (i, row) in rows.by_ref().take(cloud.len()).enumerate() {
                points.row_mut(row).assign(&cloud.points().row(i));
                velocity.row_mut(row).assign(&told.velocity.row(i));
                action[row] = told.action[i];
                speed[row] = told.speed[i];
                growth[row] = told.growth[i];
                energy[row] = told.energy[i];
            }
        }
        Ok(Described {
            columns: seen.columns().to_vec(),
            points,
            description: Description {
                action,
                velocity,
                speed,
                growth,
                energy,
            },
            grows: dynamics.lagrangian.grows(),
        })
    }
}

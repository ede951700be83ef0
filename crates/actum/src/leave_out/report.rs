//! What the jobs of an evaluation found, as tables.

use serde::Serialize;

use super::{Evaluation, Measured, Outcome, Protocol, Source, words};
use crate::{
    error::{Result, ensure},
    evaluate::{Bridge, Distances},
    path::{Interpolation, MeanPath},
    units::Units,
};

/// The tables of an evaluation, and what they say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The times that were left out, as written in the data.
    pub times: Vec<String>,
    /// The same as numbers.
    pub values: Vec<f64>,
    /// One for each protocol, in the order of the [options](super::Options).
    pub tables: Vec<Table>,
    /// How far the mean was expected to be off, and was: one for each of the times.
    pub calibration: Vec<Calibration>,
    /// Which method to use, in a sentence.
    pub advice: String,
    /// The method that the advice is for.
    pub best: Option<String>,
    /// What limits these numbers.
    pub notes: Vec<String>,
}

/// An error bar at a left-out time, made without it, and the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// How far the mean of the clocked spline is expected to be from that of the real points, see
    /// [`Bridge`]; None where too few times are left to say.
    pub expected: Option<f64>,
    /// How far it is.
    pub found: f64,
}

/// The rows for one protocol. Those that no points are moved for are the same in every table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// From where points were moved.
    pub protocol: Protocol,
    /// Fitted methods first, then reference rows.
    pub rows: Vec<Line>,
}

impl Table {
    /// The row of this name.
    pub fn line(&self, name: &str) -> Option<&Line> {
        self.rows.iter().find(|line| line.name == name)
    }
}

/// A method or a reference at all left-out times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Whether something was fitted for it.
    pub fitted: bool,
    /// What was measured at every left-out time, the mean over seeds; None where there is nothing.
    pub at: Vec<Option<Point>>,
    /// The means over the times, where all of them have something.
    pub mean: Option<Means>,
    /// W1 less that of linear transport; None for linear transport itself.
    pub w1_less_linear: Option<Difference>,
    /// The unbiased energy distance less that of linear transport.
    pub energy_less_linear: Option<Difference>,
    /// The methods that were chosen for the times, in the row of choosing.
    pub chosen: Option<Vec<String>>,
}

/// What was measured at a left-out time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The distances.
    #[serde(flatten)]
    pub distances: Distances,
    /// The energy distance without those of points from themselves.
    pub unbiased_energy: f64,
    /// The standard error of W1 over the points.
    pub w1_error: f64,
    /// The standard error of the unbiased energy distance over the points.
    pub energy_error: f64,
    /// The standard deviation of W1 over seeds, where there are several.
    pub w1_over_seeds: Option<f64>,
}

/// Means over the left-out times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Means {
    /// W1.
    pub w1: Estimate,
    /// W2.
    pub w2: f64,
    /// The squared MMD.
    pub mmd_squared: f64,
    /// The energy distance.
    pub energy: f64,
    /// The energy distance without those of points from themselves.
    pub unbiased_energy: Estimate,
    /// The absolute relative error of the mass.
    pub mass_error: f64,
}

/// A mean over left-out times, with standard errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error over resampled points, for these times.
    pub over_points: f64,
    /// Its standard error over times; None for a single time.
    pub over_times: Option<f64>,
}

/// A mean difference from linear transport at the same times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The mean, with standard errors that know what the two have in common.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// 95 % of Student's intervals over times; over the points alone for a single time.
    pub interval: [f64; 2],
    /// At how many times it is nearer than linear transport.
    pub wins: usize,
}

/// The measurements of a row at a time, one for each seed.
type Cell = Vec<Measured>;

/// Fewer points than these make rough intervals.
const FEW: usize = 10;

impl Evaluation {
    /// Tables of what all [jobs](Evaluation::jobs) found, in any order.
    ///
    /// # Errors
    /// Outcomes that are missing (`Missing`).
    pub fn report(&self, outcomes: &[Outcome]) -> Result<Report> {
        let missing = self
            .jobs()
            .into_iter()
            .find(|job| outcomes.iter().all(|o| o.job != *job));
        ensure!(
            missing.is_none(),
            Missing,
            "a job of the evaluation is not done: {:?}",
            missing.expect("it is missing")
        );
        let rows = |left_out: &[usize], at: usize, wanted: &dyn Fn(&Source) -> bool| -> Cell {
            let those = outcomes.iter().filter(|o| o.job.left_out == left_out);
            let rows = those.flat_map(|o| &o.rows);
            let rows = rows.filter(|row| row.at == at && wanted(&row.source));
            rows.map(|row| row.measured.clone()).collect()
        };
        let interior: Vec<usize> = self.interior().collect();
        let references = [
            ("previous snapshot", Source::Previous),
            ("next snapshot", Source::Next),
            ("linear transport", Source::Linear),
            ("clocked spline", Source::Clocked),
            ("two samples", Source::TwoSamples),
        ];
        let reference = |source: Source| -> Vec<Cell> {
            let cell = |at: &usize| rows(&[*at], *at, &|found| *found == source);
            interior.iter().map(cell).collect()
        };
        let linear = reference(Source::Linear);
        let fitted = |left_out: &[usize], at: usize, method: usize, protocol: Protocol| -> Cell {
            let cell = rows(left_out, at, &|found| {
                matches!(found, Source::Fitted { method: m, protocol: p, .. }
                    if *m == method && *p == protocol)
            });
            // A mean over those seeds that did not diverge would flatter.
            if cell.len() == self.options.seeds {
                cell
            } else {
                vec![]
            }
        };
        let tables: Vec<Table> =
            self.options
                .protocols
                .iter()
                .map(|&protocol| {
                    let mut lines: Vec<Line> = (0..self.methods.len())
                        .map(|method| {
                            let cells = interior
                                .iter()
                                .map(|at| fitted(&[*at], *at, method, protocol));
                            let cells: Vec<Cell> = cells.collect();
                            Line::new(&self.methods[method].name, true, &cells, &linear)
                        })
                        .collect();
                    if self.options.nested {
                        let inner = |left_out: &[usize], at: usize, method: usize| {
                            fitted(left_out, at, method, protocol)
                        };
                        let chosen: Vec<Option<usize>> =
                            interior.iter().map(|at| self.choose(*at, &inner)).collect();
                        let cells: Vec<Cell> = interior
                            .iter()
                            .zip(&chosen)
                            .map(|(at, chosen)| {
                                chosen
                                    .map_or(vec![], |method| fitted(&[*at], *at, method, protocol))
                            })
                            .collect();
                        let names = chosen.iter().map(|chosen| match chosen {
                            Some(method) => self.methods[*method].name.clone(),
                            None => "none".to_owned(),
                        });
                        lines.push(Line {
                            chosen: Some(names.collect()),
                            ..Line::new(CHOSEN, true, &cells, &linear)
                        });
                    }
                    lines.extend(references.iter().map(|(name, source)| {
                        Line::new(name, false, &reference(*source), &linear)
                    }));
                    Table {
                        protocol,
                        rows: lines,
                    }
                })
                .collect();
        let (best, advice) = words::advice(self, &tables[0]);
        let labels = self.snapshots.labels();
        Ok(Report {
            times: interior.iter().map(|k| labels[*k].clone()).collect(),
            values: interior
                .iter()
                .map(|k| self.snapshots.times()[*k])
                .collect(),
            calibration: interior
                .iter()
                .map(|at| self.calibration(*at))
                .collect::<Result<_>>()?,
            advice,
            best,
            notes: words::notes(self, outcomes, &tables[0], FEW),
            tables,
        })
    }

    fn calibration(&self, at: usize) -> Result<Calibration> {
        let training = self.snapshots.without(&[at])?;
        let scale = Units::of(&training, self.data.standardize)?.scale();
        let time = self.snapshots.times()[at];
        let path = MeanPath::new(&training, Interpolation::Clocked, &scale);
        let bridge = Bridge::of(&training, Interpolation::Clocked, &scale)?;
        Ok(Calibration {
            expected: bridge.and_then(|bridge| bridge.error(time)),
            found: path.distance(time, self.snapshots.cloud(at)),
        })
    }

    /// The method that predicts best, by the mean unbiased energy distance, what is left out
    /// beside `at`: it has not seen `at`, nor has its ruler. None where no method has all of these.
    fn choose(&self, at: usize, inner: &dyn Fn(&[usize], usize, usize) -> Cell) -> Option<usize> {
        let score = |method: usize| -> Option<f64> {
            let others = self.interior().filter(|other| *other != at);
            let mut sum = 0.0;
            for other in others {
                let cell = inner(&[at.min(other), at.max(other)], other, method);
                sum += mean(&cell, |m| m.unbiased_energy)?;
            }
            Some(sum)
        };
        let scores = (0..self.methods.len()).filter_map(|m| Some((m, score(m)?)));
        scores.min_by(|a, b| a.1.total_cmp(&b.1)).map(|best| best.0)
    }
}

/// The row of [`nested`](super::Options::nested) choosing.
pub(super) const CHOSEN: &str = "chosen";

impl Line {
    fn new(name: &str, fitted: bool, cells: &[Cell], linear: &[Cell]) -> Self {
        let is_linear = name == "linear transport";
        let is_whole = cells.iter().all(|cell| !cell.is_empty());
        let differ = |value: fn(&Measured) -> f64, chance: Which| {
            if is_linear || !is_whole || name == "two samples" {
                return None;
            }
            difference(cells, linear, value, chance)
        };
        let of = |value: fn(&Measured) -> f64| -> f64 {
            let each = cells.iter().filter_map(|cell| mean(cell, value));
            each.sum::<f64>() / cells.len() as f64
        };
        Self {
            name: name.to_owned(),
            fitted,
            at: cells.iter().map(Point::of).collect(),
            mean: is_whole.then(|| Means {
                w1: estimate(cells, |m| m.distances.w1, Which::W1),
                w2: of(|m| m.distances.w2),
                mmd_squared: of(|m| m.distances.mmd_squared),
                energy: of(|m| m.distances.energy),
                unbiased_energy: estimate(cells, |m| m.unbiased_energy, Which::Energy),
                mass_error: of(|m| m.distances.mass_error.abs()),
            }),
            w1_less_linear: differ(|m| m.distances.w1, Which::W1),
            energy_less_linear: differ(|m| m.unbiased_energy, Which::Energy),
            chosen: None,
        }
    }
}

impl Point {
    fn of(cell: &Cell) -> Option<Self> {
        let of = |value: fn(&Measured) -> f64| mean(cell, value);
        let w1 = of(|m| m.distances.w1)?;
        let seeds = cell.len() as f64;
        let squares = cell
            .iter()
            .map(|m| (m.distances.w1 - w1).powi(2))
            .sum::<f64>();
        Some(Self {
            distances: Distances {
                w1,
                w2: of(|m| m.distances.w2)?,
                mmd_squared: of(|m| m.distances.mmd_squared)?,
                energy: of(|m| m.distances.energy)?,
                mass_error: of(|m| m.distances.mass_error)?,
            },
            unbiased_energy: of(|m| m.unbiased_energy)?,
            w1_error: variance(cell, Which::W1).sqrt(),
            energy_error: variance(cell, Which::Energy).sqrt(),
            w1_over_seeds: (cell.len() > 1).then(|| (squares / (seeds - 1.0)).sqrt()),
        })
    }
}

/// Whose chance.
#[derive(Clone, Copy)]
enum Which {
    W1,
    Energy,
}

impl Which {
    fn of(self, measured: &Measured) -> &super::Chance {
        match self {
            Self::W1 => &measured.w1_chance,
            Self::Energy => &measured.energy_chance,
        }
    }
}

fn mean(cell: &Cell, value: impl Fn(&Measured) -> f64) -> Option<f64> {
    let count = cell.len() as f64;
    (count > 0.0).then(|| cell.iter().map(value).sum::<f64>() / count)
}

/// The variance over points of a mean over seeds: the seeds share the points.
fn variance(cell: &Cell, which: Which) -> f64 {
    mean(cell, |m| which.of(m).variance()).unwrap_or(0.0)
}

fn estimate(cells: &[Cell], value: fn(&Measured) -> f64, which: Which) -> Estimate {
    let values: Vec<f64> = cells.iter().filter_map(|cell| mean(cell, value)).collect();
    let variances: f64 = cells.iter().map(|cell| variance(cell, which)).sum();
    combined(&values, variances)
}

/// The mean of values at times, of which the variances over points add up to a sum.
fn combined(values: &[f64], variances: f64) -> Estimate {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Estimate {
        mean,
        over_points: variances.sqrt() / count,
        over_times: (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt()),
    }
}

fn difference(
    cells: &[Cell],
    linear: &[Cell],
    value: fn(&Measured) -> f64,
    which: Which,
) -> Option<Difference> {
    let mut values = vec![];
    let mut variances = 0.0;
    for (cell, linear) in cells.iter().zip(linear) {
        let line = linear.first()?;
        values.push(mean(cell, value)? - value(line));
        variances += mean(cell, |m| which.of(m).variance_of_difference(which.of(line)))?;
    }
    let estimate = combined(&values, variances);
    let reach = match estimate.over_times {
        Some(error) => student(values.len() - 1) * error,
        None => student(usize::MAX) * estimate.over_points,
    };
    Some(Difference {
        estimate,
        interval: [estimate.mean - reach, estimate.mean + reach],
        wins: values.iter().filter(|v| **v < 0.0).count(),
    })
}

/// The 97.5 % quantile of Student's distribution: exact to the fourth digit for 1 to 4 degrees of
/// freedom, then by the expansion of Cornish and Fisher (Abramowitz and Stegun, 26.7.5).
fn student(freedom: usize) -> f64 {
    const FIRST: [f64; 4] = [12.7062, 4.3027, 3.1824, 2.7764];
    if let Some(known) = freedom.checked_sub(1).and_then(|at| FIRST.get(at)) {
        return *known;
    }
    let (z, n) = (1.959964f64, freedom as f64);
    let g1 = (z.powi(3) + z) / 4.0;
    let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    let g4 = 79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5);
    let g4 = (g4 - 1920.0 * z.powi(3) - 945.0 * z) / 92160.0;
    z + g1 / n + g2 / (n * n) + g3 / n.powi(3) + g4 / n.powi(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From scipy.stats.t.ppf(0.975, n).
    #[test]
    fn students_quantiles() {
        for (freedom, expected) in [
            (1, 12.7062),
            (2, 4.3027),
            (5, 2.5706),
            (10, 2.2281),
            (30, 2.0423),
            (1000, 1.9623),
        ] {
            let found = student(freedom);
            assert!((found - expected).abs() < 5e-4, "{freedom}: {found}");
        }
    }

    /// By hand: 1, 2, 6 have the mean 3 and the variance 7.
    #[test]
    fn means_have_errors_over_times_and_points() {
        let found = combined(&[1.0, 2.0, 6.0], 0.81);
        assert_eq!(found.mean, 3.0);
        assert!((found.over_times.unwrap() - (7.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!((found.over_points - 0.3).abs() < 1e-15);
        assert_eq!(combined(&[1.0], 0.04).over_times, None);
    }
}

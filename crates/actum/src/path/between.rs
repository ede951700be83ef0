//! The path between snapshots: matched points travel along straight lines or cubic splines.

use std::str::FromStr;

use ndarray::{Array1, Array2, ArrayView1};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{Draw, Path};
use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Error, ErrorKind, Result, ensure},
    transport::{self, Ground, Plan},
    units::interval,
};

/// How points of one snapshot are matched with points of the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Coupling {
    /// Every point with every other.
    Independent,
    /// By exact optimal transport of the full snapshots under the squared distance.
    Exact,
    /// By entropic transport under the squared distance, the regularisation given as a multiple
    /// of the mean squared distance between the two snapshots.
    Entropic(f64),
}

impl FromStr for Coupling {
    type Err = Error;

    /// `independent`, `exact`, `entropic` or `entropic:SHARE`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::new(
                ErrorKind::Setting,
                format!(
                    "`{text}` is not a coupling; expected independent, exact, entropic or \
                     entropic:SHARE with a positive SHARE of the mean squared distance"
                ),
            )
        };
        match text.split_once(':') {
            None if text == "independent" => Ok(Self::Independent),
            None if text == "exact" => Ok(Self::Exact),
            None if text == "entropic" => Ok(Self::Entropic(0.05)),
            Some(("entropic", share)) => {
                let share: f64 = share.parse().map_err(|_| unknown())?;
                if share.is_finite() && share > 0.0 {
                    Ok(Self::Entropic(share))
                } else {
                    Err(unknown())
                }
            }
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Coupling {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Coupling> for String {
    fn from(coupling: Coupling) -> Self {
        match coupling {
            Coupling::Independent => "independent".to_owned(),
            Coupling::Exact => "exact".to_owned(),
            Coupling::Entropic(share) => format!("entropic:{share}"),
        }
    }
}

/// How a matched chain of points moves between the snapshot times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// On straight lines, at constant velocity between two snapshots.
    Linear,
    /// On the natural cubic spline through the chain of matched points, in real time: twice
    /// differentiable, no acceleration at the two ends. Between two snapshots it is the straight
    /// line.
    Cubic,
}

/// `q_t` between snapshots: `x_t = sum_k c_k(t) y_k` for a chain of points `y_0, ..., y_K`, one of
/// every snapshot, each drawn from the [coupling](Coupling) with the one before. `c_k` is the
/// cardinal function of the [interpolation](Interpolation), so `q_t` equals the snapshot at its
/// time and the velocity is `sum_k c_k'(t) y_k`. Real times are kept, unequal spacing and all.
pub struct Between {
    times: Vec<f64>,
    clouds: Vec<Cloud>,
    /// Running sums of every cloud's weights.
    running: Vec<Vec<f64>>,
    links: Vec<Link>,
    distances: Vec<f64>,
    cardinal: Cardinal,
}

/// The matching of two neighbouring snapshots, ready to be drawn from in both directions.
enum Link {
    Independent,
    Paired { forward: Rows, backward: Rows },
}

/// For every row of a plan, the columns and their running mass.
struct Rows {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    running: Vec<f64>,
}

fn running_sum(values: &mut [f64]) {
    for k in 1..values.len() {
        values[k] += values[k - 1];
    }
}

/// An index in proportion to the mass it adds to the running sum; none if there is no mass.
fn draw_index(running: &[f64], rng: &mut dyn Rng) -> Option<usize> {
    let total = *running.last()?;
    let u = rng.random::<f64>() * total;
    Some(running.partition_point(|r| *r <= u).min(running.len() - 1))
}

impl Rows {
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
            running_sum(&mut running[offsets[i]..offsets[i + 1]]);
        }
        Self {
            offsets,
            columns,
            running,
        }
    }

    /// A column of row `i` in proportion to its mass; none where the row has no mass.
    fn draw(&self, i: usize, rng: &mut dyn Rng) -> Option<usize> {
        let range = self.offsets[i]..self.offsets[i + 1];
        let at = draw_index(&self.running[range.clone()], rng)?;
        Some(self.columns[range.start + at] as usize)
    }
}

impl Between {
    /// The path through all `snapshots`. Distances of the coupling are measured after dividing
    /// every column by `scale`, `[d]` (ones for the user's own units).
    ///
    /// # Errors
    /// Fewer than two snapshots, a scale of another length, an entropic regularisation that is
    /// not positive or too small to converge.
    pub fn new(
        snapshots: &Snapshots,
        coupling: Coupling,
        interpolation: Interpolation,
        scale: &Array1<f64>,
    ) -> Result<Self> {
        ensure!(
            snapshots.len() >= 2,
            Value,
            "a path needs snapshots at two times or more, got {}",
            snapshots.len()
        );
        ensure!(
            scale.len() == snapshots.dimension(),
            Shape,
            "expected one scale for each of {} columns, got {}",
            snapshots.dimension(),
            scale.len()
        );
        let clouds = snapshots.clouds().to_vec();
        let center = clouds[0].mean();
        let scaled: Vec<Cloud> = clouds.iter().map(|c| c.rescaled(&center, scale)).collect();
        let (links, distances) = scaled
            .windows(2)
            .map(|pair| Link::new(&pair[0], &pair[1], coupling))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        Ok(Self {
            times: snapshots.times().to_vec(),
            cardinal: Cardinal::new(snapshots.times(), interpolation),
            running: clouds
                .iter()
                .map(|c| {
                    let mut weights = c.weights().to_vec();
                    running_sum(&mut weights);
                    weights
                })
                .collect(),
            clouds,
            links,
            distances,
        })
    }

    /// The times of the snapshots, `[K]`.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// The root mean squared distance, in the units of the coupling, that matched points travel
    /// between neighbouring snapshots, `[K - 1]`.
    pub fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// A chain of matched rows, one of every snapshot, started at snapshot `k` and followed both
    /// ways: since couplings keep the marginals, each is a fair draw of its snapshot.
    fn chain(
        &self,
        k: usize,
        support: std::ops::Range<usize>,
        rng: &mut dyn Rng,
        rows: &mut [usize],
    ) {
        rows[k] = self.point(k, rng);
        for next in k + 1..support.end {
            rows[next] = self.links[next - 1]
                .forward(rows[next - 1], rng)
                .unwrap_or_else(|| self.point(next, rng));
        }
        for previous in (support.start..k).rev() {
            rows[previous] = self.links[previous]
                .backward(rows[previous + 1], rng)
                .unwrap_or_else(|| self.point(previous, rng));
        }
    }

    fn point(&self, k: usize, rng: &mut dyn Rng) -> usize {
        draw_index(&self.running[k], rng).expect("a cloud has mass")
    }
}

impl Link {
    /// The link, and the root mean squared distance of what it matches.
    fn new(a: &Cloud, b: &Cloud, coupling: Coupling) -> Result<(Self, f64)> {
        let plan: Plan = match coupling {
            Coupling::Independent => {
                return Ok((Link::Independent, mean_squared_distance(a, b).sqrt()));
            }
            Coupling::Exact => transport::exact(a, b, Ground::SquaredEuclidean)?,
            Coupling::Entropic(share) => {
                ensure!(
                    share.is_finite() && share > 0.0,
                    Setting,
                    "the entropic coupling's regularisation must be positive, got {share}"
                );
                let mean_square = mean_squared_distance(a, b);
                transport::entropic(a, b, Ground::SquaredEuclidean, share * mean_square)
                    .and_then(|entropic| entropic.plan())
                    .map_err(|e| {
                        e.within(format!("coupling entropic:{share} (a larger SHARE helps)"))
                    })?
            }
        };
        let link = Link::Paired {
            forward: Rows::new(a.len(), || plan.iter()),
            backward: Rows::new(b.len(), || plan.iter().map(|(i, j, mass)| (j, i, mass))),
        };
        Ok((link, plan.cost().max(0.0).sqrt()))
    }

    /// The partner of row `i` in the later snapshot; none where any point will do.
    fn forward(&self, i: usize, rng: &mut dyn Rng) -> Option<usize> {
        match self {
            Link::Independent => None,
            Link::Paired { forward, .. } => forward.draw(i, rng),
        }
    }

    /// The partner of row `j` in the earlier snapshot; none where any point will do.
    fn backward(&self, j: usize, rng: &mut dyn Rng) -> Option<usize> {
        match self {
            Link::Independent => None,
            Link::Paired { backward, .. } => backward.draw(j, rng),
        }
    }
}

/// `E|x - y|^2` for independent x and y, from the moments of the two clouds.
fn mean_squared_distance(a: &Cloud, b: &Cloud) -> f64 {
    let shift = a.mean() - b.mean();
    let variance = |c: &Cloud| c.deviation().mapv(|s| s * s).sum();
    shift.dot(&shift) + variance(a) + variance(b)
}

impl Path for Between {
    fn dimension(&self) -> usize {
        self.clouds[0].dimension()
    }

    fn span(&self) -> [f64; 2] {
        [self.times[0], self.times[self.times.len() - 1]]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> Draw {
        let shape = (times.len(), self.dimension());
        let mut points = Array2::zeros(shape);
        let mut velocities = Array2::zeros(shape);
        let mut rows = vec![0; self.times.len()];
        let mut weights = vec![(0.0, 0.0); self.times.len()];
        for (n, &t) in times.iter().enumerate() {
            let k = interval(&self.times, t);
            let support = self.cardinal.weights(k, t, &mut weights);
            self.chain(k, support.clone(), rng, &mut rows);
            let mut x = points.row_mut(n);
            let mut v = velocities.row_mut(n);
            for k in support {
                let (value, slope) = weights[k];
                let y: ArrayView1<f64> = self.clouds[k].point(rows[k]);
                x.scaled_add(value, &y);
                v.scaled_add(slope, &y);
            }
        }
        Draw {
            points,
            velocities: Some(velocities),
        }
    }
}

/// The cardinal functions `c_k(t)` of an interpolation: 1 at knot k, 0 at the others.
struct Cardinal {
    knots: Vec<f64>,
    /// For the cubic spline, row k holds the second derivatives of `c_k` at the knots; `[K, K]`.
    curvature: Option<Array2<f64>>,
}

impl Cardinal {
    fn new(knots: &[f64], interpolation: Interpolation) -> Self {
        let curvature = match interpolation {
            Interpolation::Linear => None,
            Interpolation::Cubic => Some(natural_curvature(knots)),
        };
        Self {
            knots: knots.to_vec(),
            curvature,
        }
    }

    /// Fills `(c_k(t), c_k'(t))` for the knots that count at `t`, and returns which those are.
    fn weights(&self, interval: usize, t: f64, out: &mut [(f64, f64)]) -> std::ops::Range<usize> {
        let h = self.knots[interval + 1] - self.knots[interval];
        let b = (t - self.knots[interval]) / h;
        let a = 1.0 - b;
        let line = |k: usize| match k {
            _ if k == interval => (a, -1.0 / h),
            _ if k == interval + 1 => (b, 1.0 / h),
            _ => (0.0, 0.0),
        };
        let Some(curvature) = &self.curvature else {
            out[interval] = line(interval);
            out[interval + 1] = line(interval + 1);
            return interval..interval + 2;
        };
        for (k, out) in out.iter_mut().enumerate() {
            let (left, right) = (curvature[[k, interval]], curvature[[k, interval + 1]]);
            let (value, slope) = line(k);
            *out = (
                value + h * h / 6.0 * ((a * a * a - a) * left + (b * b * b - b) * right),
                slope + h / 6.0 * ((1.0 - 3.0 * a * a) * left + (3.0 * b * b - 1.0) * right),
            );
        }
        0..self.knots.len()
    }
}

/// Second derivatives at the knots of the natural cubic splines through the unit vectors: the
/// tridiagonal system of spline interpolation, solved once for every right-hand side.
fn natural_curvature(knots: &[f64]) -> Array2<f64> {
    let n = knots.len();
    let h: Vec<f64> = knots.windows(2).map(|w| w[1] - w[0]).collect();
    let mut curvature = Array2::zeros((n, n));
    for k in 0..n {
        let y = |i: usize| f64::from(i == k);
        let mut diagonal = vec![1.0; n];
        let mut right = vec![0.0; n];
        for i in 1..n - 1 {
            let full = 2.0 * (h[i - 1] + h[i]);
            let rhs = 6.0 * ((y(i + 1) - y(i)) / h[i] - (y(i) - y(i - 1)) / h[i - 1]);
            let factor = if i > 1 {
                h[i - 1] / diagonal[i - 1]
            } else {
                0.0
            };
            diagonal[i] = full - factor * h[i - 1];
            right[i] = rhs - factor * right[i - 1];
        }
        for i in (1..n - 1).rev() {
            let beyond = if i + 1 < n - 1 {
                h[i] * curvature[[k, i + 1]]
            } else {
                0.0
            };
            curvature[[k, i]] = (right[i] - beyond) / diagonal[i];
        }
    }
    curvature
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn snapshots() -> Snapshots {
        let clouds = vec![
            Cloud::new(array![[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]).unwrap(),
            Cloud::weighted(array![[2.1, 1.0], [0.1, 1.0]], array![1.0, 2.0]).unwrap(),
            Cloud::new(array![[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]).unwrap(),
            Cloud::new(array![[1.0, 2.0], [3.0, 2.0]]).unwrap(),
        ];
        Snapshots::new(vec![0.0, 1.0, 1.5, 4.0], clouds).unwrap()
    }

    fn path(coupling: Coupling, interpolation: Interpolation) -> Between {
        Between::new(&snapshots(), coupling, interpolation, &array![1.0, 1.0]).unwrap()
    }

    const COUPLINGS: [Coupling; 3] = [
        Coupling::Independent,
        Coupling::Exact,
        Coupling::Entropic(0.1),
    ];
    const INTERPOLATIONS: [Interpolation; 2] = [Interpolation::Linear, Interpolation::Cubic];

    #[test]
    fn snapshots_are_reproduced_at_their_times() {
        let snapshots = snapshots();
        for coupling in COUPLINGS {
            for interpolation in INTERPOLATIONS {
                let path = path(coupling, interpolation);
                let mut rng = ChaCha8Rng::seed_from_u64(0);
                for (t, cloud) in snapshots.times().iter().zip(snapshots.clouds()) {
                    let draw = path.sample(&vec![*t; 30_000], &mut rng);
                    let mean = draw.points.mean_axis(ndarray::Axis(0)).unwrap();
                    let off = (mean - cloud.mean()).mapv(f64::abs);
                    assert!(off.iter().all(|e| *e < 0.05), "{coupling:?} at {t}: {off}");
                    let known = |x: ArrayView1<f64>| {
                        let rows = cloud.points().rows();
                        rows.into_iter()
                            .any(|y| (&x - &y).iter().all(|e| e.abs() < 1e-12))
                    };
                    assert!(draw.points.rows().into_iter().all(known));
                }
            }
        }
    }

    #[test]
    fn velocities_are_the_time_derivative() {
        for coupling in COUPLINGS {
            for interpolation in INTERPOLATIONS {
                let path = path(coupling, interpolation);
                for t in [0.3, 0.999, 1.2, 2.0, 3.7] {
                    // The same seed draws the same chain within an interval.
                    let at = |t: f64| path.sample(&[t], &mut ChaCha8Rng::seed_from_u64(4));
                    let h = 1e-6;
                    let rate = (at(t + h).points - at(t - h).points) / (2.0 * h);
                    let off = (rate - at(t).velocities.unwrap()).mapv(f64::abs);
                    assert!(off.iter().all(|e| *e < 1e-6), "{off}");
                }
            }
        }
    }

    #[test]
    fn splines_agree_with_scipy() {
        // scipy 1.17.1: CubicSpline([0, 1, 1.5, 4], identity, bc_type="natural") at 0.25, 1.2, 3.
        let cardinal = Cardinal::new(&[0.0, 1.0, 1.5, 4.0], Interpolation::Cubic);
        for (t, values, slopes) in SCIPY {
            let mut weights = vec![(0.0, 0.0); 4];
            cardinal.weights(interval(&cardinal.knots, t), t, &mut weights);
            for k in 0..4 {
                assert!((weights[k].0 - values[k]).abs() < 1e-12);
                assert!((weights[k].1 - slopes[k]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_exact_coupling_keeps_neighbours_together() {
        let path = path(Coupling::Exact, Interpolation::Linear);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // Two thirds of the mass goes to x = 0.1, taking all of x = 0 and x = 1.
        let draw = path.sample(&vec![0.5; 3000], &mut rng);
        let ends: Vec<f64> = (draw.points.column(0).to_owned() * 1.0).to_vec();
        assert!(
            ends.iter()
                .all(|x| [0.05, 0.55, 2.05].iter().any(|e| (x - e).abs() < 1e-12))
        );
    }

    #[test]
    fn bad_requests_are_refused() {
        let one = Snapshots::new(vec![0.0], vec![snapshots().cloud(0).clone()]).unwrap();
        let scale = array![1.0, 1.0];
        let new = |s: &Snapshots, c, scale: &Array1<f64>| {
            Between::new(s, c, Interpolation::Linear, scale)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert!(new(&one, Coupling::Exact, &scale).contains("two times"));
        assert!(new(&snapshots(), Coupling::Entropic(-1.0), &scale).contains("positive"));
        assert!(new(&snapshots(), Coupling::Exact, &array![1.0]).contains("2 columns"));
    }

    const SCIPY: [(f64, [f64; 4], [f64; 4]); 3] = [
        (
            0.25,
            [
                0.670774647887324,
                0.5008802816901409,
                -0.1742957746478873,
                0.0026408450704225356,
            ],
            [
                -1.2746478873239437,
                1.8697183098591548,
                -0.604225352112676,
                0.00915492957746479,
            ],
        ),
        (
            1.2,
            [
                -0.030084507042253524,
                0.667267605633803,
                0.36741408450704216,
                -0.004597183098591549,
            ],
            [
                -0.00619718309859163,
                -2.067042253521127,
                2.0903661971830987,
                -0.017126760563380288,
            ],
        ),
        (
            3.0,
            [
                0.05915492957746477,
                -0.8873239436619726,
                1.3701408450704229,
                0.45802816901408444,
            ],
            [
                -0.03661971830985915,
                0.549295774647887,
                -1.0005633802816898,
                0.48788732394366197,
            ],
        ),
    ];
}

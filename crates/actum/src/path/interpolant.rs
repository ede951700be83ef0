//! The path between snapshots: matched points travel along straight lines or cubic splines.

use std::{ops::Range, str::FromStr};

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Masses, Path, PathSample};
use crate::{
    cloud::Cloud,
    data::Snapshots,
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::Drift,
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
    /// By unbalanced entropic transport under the squared distance, regularised as
    /// `Entropic(0.05)`. The marginal penalty rho is given as a multiple of the mean squared
    /// distance: mass dies and is born where moving it costs more than about rho (Chizat et al.
    /// 2018).
    Unbalanced(f64),
}

/// The entropic regularisation that none has asked for, as a share of the mean squared distance.
const SHARE: f64 = 0.05;
/// The marginal penalty that none has asked for, in mean squared distances.
const RHO: f64 = 1.0;

impl Coupling {
    /// The unbalanced coupling whose marginal penalty is the mean squared distance.
    pub fn unbalanced() -> Self {
        Self::Unbalanced(RHO)
    }
}

impl FromStr for Coupling {
    type Err = Error;

    /// `independent`, `exact`, `entropic`, `entropic:SHARE`, `unbalanced` or `unbalanced:RHO`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::new(
                ErrorKind::Setting,
                format!(
                    "`{text}` is not a coupling; expected independent, exact, entropic, \
                     entropic:SHARE, unbalanced or unbalanced:RHO with a positive SHARE or \
                     RHO in mean squared distances"
                ),
            )
        };
        match text.split_once(':') {
            None if text == "independent" => Ok(Self::Independent),
            None if text == "exact" => Ok(Self::Exact),
            None if text == "entropic" => Ok(Self::Entropic(SHARE)),
            None if text == "unbalanced" => Ok(Self::unbalanced()),
            Some((name @ ("entropic" | "unbalanced"), number)) => {
                let number: f64 = number.parse().map_err(|_| unknown())?;
                if !(number.is_finite() && number > 0.0) {
                    return Err(unknown());
                }
                Ok(match name {
                    "entropic" => Self::Entropic(number),
                    _ => Self::Unbalanced(number),
                })
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
            Coupling::Unbalanced(rho) => format!("unbalanced:{rho}"),
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
///
/// Where snapshots differ in mass, or the coupling is unbalanced, the path has mass, in units of
/// the mean mass of the snapshots. What happens between is assumed, for the data do not tell: the
/// whole grows at a constant rate, and the share of a matched pair (i, j) of mass `P_ij` goes
/// linearly from its part `a_i P_ij / sum_j P_ij` of the mass of i to its part of the mass of j
/// (docs/mathematics.md, section 6).
///
/// With a [blur](Interpolant::blurred) every point is a small Gaussian.
pub struct Interpolant {
    times: Vec<f64>,
    clouds: Vec<Cloud>,
    /// Running sums of every cloud's weights.
    running: Vec<Vec<f64>>,
    /// The masses over their mean.
    masses: Vec<f64>,
    has_mass: bool,
    links: Vec<Link>,
    distances: Vec<f64>,
    /// Where a known drift carries every point until the next snapshot.
    carried: Option<Vec<Carried>>,
    cardinal: Cardinal,
    scale: Array1<f64>,
    /// The standard deviation of the blur in every column.
    blur: Array1<f64>,
}

/// The matching of two neighbouring snapshots, ready to be drawn from in both directions.
enum Link {
    Independent,
    Paired {
        forward: Rows,
        backward: Rows,
        /// Where pairs grow at different rates: the mass of every point of the two snapshots over
        /// that of its pairs.
        gains: Option<[Vec<f64>; 2]>,
    },
}

/// For every row of a plan, the columns and their running mass.
struct Rows {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    running: Vec<f64>,
}

pub(super) fn running_sum(values: &mut [f64]) {
    for k in 1..values.len() {
        values[k] += values[k - 1];
    }
}

/// An index in proportion to the mass it adds to the running sum; none if there is no mass.
pub(super) fn draw_index(running: &[f64], rng: &mut dyn Rng) -> Option<usize> {
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

impl Interpolant {
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
        Self::join(snapshots, coupling, interpolation, scale, None)
    }

    /// The path through all `snapshots` along a known drift: a point follows the drift to the next
    /// snapshot, is matched where it then is, and makes up for what is missing at a constant
    /// velocity. Where the drift is the whole truth nothing is missing.
    ///
    /// # Errors
    /// As [`new`](Interpolant::new); a drift for another number of columns, or one that carries a
    /// point out of the finite numbers.
    pub fn along(
        snapshots: &Snapshots,
        coupling: Coupling,
        scale: &Array1<f64>,
        drift: &Drift,
    ) -> Result<Self> {
        Self::join(
            snapshots,
            coupling,
            Interpolation::Linear,
            scale,
            Some(drift),
        )
    }

    fn join(
        snapshots: &Snapshots,
        coupling: Coupling,
        interpolation: Interpolation,
        scale: &Array1<f64>,
        drift: Option<&Drift>,
    ) -> Result<Self> {
        ensure!(
            snapshots.len() >= 2,
            Value,
            "a path needs snapshots at two times or more, got {}",
            snapshots.len()
        );
        let d = snapshots.dimension();
        ensure!(
            scale.len() == d,
            Shape,
            "expected one scale for each of {d} columns, got {}",
            scale.len()
        );
        if let Some(expected) = drift.and_then(Drift::dimension) {
            ensure!(
                expected == d,
                Shape,
                "the known drift is for {expected} columns, the snapshots have {d}"
            );
        }
        let clouds = snapshots.clouds().to_vec();
        let times = snapshots.times();
        let mean = clouds.iter().map(Cloud::mass).sum::<f64>() / clouds.len() as f64;
        let center = clouds[0].mean();
        let carried = drift
            .map(|drift| {
                let spans = times.windows(2).zip(&clouds);
                spans
                    .map(|(span, cloud)| Carried::new(drift, cloud.points(), [span[0], span[1]]))
                    .collect::<Result<Vec<_>>>()
            })
            .transpose()?;
        let scaled: Vec<Cloud> = clouds.iter().map(|c| c.rescaled(&center, scale)).collect();
        let join = |k: usize| {
            let start = match &carried {
                None => scaled[k].clone(),
                Some(carried) => {
                    Cloud::weighted(carried[k].end().clone(), clouds[k].weights().clone())?
                        .rescaled(&center, scale)
                }
            };
            let (link, distance) = Link::new(&start, &scaled[k + 1], coupling)?;
            // What the drift carries counts as travelled.
            let drifted = (start.points() - scaled[k].points())
                .mapv(|x| x * x)
                .sum_axis(Axis(1));
            let drifted = drifted.dot(clouds[k].weights()) / clouds[k].mass();
            Ok((link, (distance * distance + drifted).sqrt()))
        };
        let joined: Vec<_> = (0..clouds.len() - 1).into_par_iter().map(join).collect();
        let joined = joined.into_iter().collect::<Result<Vec<_>>>()?;
        let (links, distances): (Vec<_>, Vec<_>) = joined.into_iter().unzip();
        Ok(Self {
            times: times.to_vec(),
            cardinal: Cardinal::new(times, interpolation),
            running: clouds
                .iter()
                .map(|c| {
                    let mut weights = c.weights().to_vec();
                    running_sum(&mut weights);
                    weights
                })
                .collect(),
            masses: clouds.iter().map(|c| c.mass() / mean).collect(),
            has_mass: links.iter().any(Link::is_uneven) || !snapshots.has_equal_masses(),
            clouds,
            links,
            distances,
            carried,
            scale: scale.clone(),
            blur: Array1::zeros(d),
        })
    }

    /// The path with every chain displaced by a Gaussian of standard deviation `width`, in the
    /// units of the coupling, that stays with it: `q_t` is blurred, velocities are as they were.
    /// Noise in the Lagrangian needs it, for the Laplacian of an action has no meaning on single
    /// points: it can go to minus infinity there.
    ///
    /// # Errors
    /// A width that is negative or not finite.
    pub fn blurred(self, width: f64) -> Result<Self> {
        ensure!(
            width.is_finite() && width >= 0.0,
            Setting,
            "the blur of a path must be finite and not negative, got {width}"
        );
        let blur = &self.scale * width;
        Ok(Self { blur, ..self })
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

    /// A chain of matched rows, one of every snapshot in `support`, for `share` of the way from
    /// snapshot `k` to the next, followed both ways from either of the two. Where a coupling keeps
    /// the marginals, each row is a fair draw of its snapshot.
    fn chain(
        &self,
        k: usize,
        share: f64,
        support: Range<usize>,
        rng: &mut dyn Rng,
        rows: &mut [usize],
    ) {
        // In proportion to the share that a pair has of the mass at this time.
        let uneven = self.links[k].is_uneven();
        let start = if uneven && rng.random::<f64>() < share {
            k + 1
        } else {
            k
        };
        rows[start] = self.point(start, rng);
        for next in start + 1..support.end {
            rows[next] = self.links[next - 1]
                .forward(rows[next - 1], rng)
                .unwrap_or_else(|| self.point(next, rng));
        }
        for previous in (support.start..start).rev() {
            rows[previous] = self.links[previous]
                .backward(rows[previous + 1], rng)
                .unwrap_or_else(|| self.point(previous, rng));
        }
    }

    /// The mass of a draw of the matched `rows` at `share` of the way from snapshot `k` to the
    /// next, and its rate per unit of time.
    ///
    /// Of the mass `M_t = M_k^(1-u) M_(k+1)^u` the pair's share goes linearly from `s P` to `e P`,
    /// and it is drawn in proportion to that share.
    fn mass(&self, k: usize, share: f64, rows: &[usize]) -> (f64, f64) {
        let (before, after) = (self.masses[k], self.masses[k + 1]);
        let mass = before.powf(1.0 - share) * after.powf(share);
        let own = match &self.links[k] {
            Link::Paired {
                gains: Some([starts, ends]),
                ..
            } => {
                let (start, end) = (starts[rows[k]], ends[rows[k + 1]]);
                (end - start) / ((1.0 - share) * start + share * end)
            }
            _ => 0.0,
        };
        let rate = ((after / before).ln() + own) / (self.times[k + 1] - self.times[k]);
        (mass, mass * rate)
    }

    fn point(&self, k: usize, rng: &mut dyn Rng) -> usize {
        draw_index(&self.running[k], rng).expect("a cloud has mass")
    }
}

/// Points `[n, d]` on their way along a drift: positions and velocities at equally spaced nodes,
/// and cubic Hermite polynomials between.
struct Carried {
    nodes: Vec<[Array2<f64>; 2]>,
}

impl Carried {
    const PIECES: usize = 8;
    const STEPS: usize = 4;

    fn new(drift: &Drift, points: &Array2<f64>, [first, last]: [f64; 2]) -> Result<Self> {
        let at = |t: f64, x: &Array2<f64>| drift.at(&vec![t; x.nrows()], x.view());
        let h = (last - first) / (Self::PIECES * Self::STEPS) as f64;
        let mut x = points.clone();
        let mut nodes = vec![];
        for step in 0..=Self::PIECES * Self::STEPS {
            let t = first + h * step as f64;
            let k1 = at(t, &x);
            if step % Self::STEPS == 0 {
                nodes.push([x.clone(), k1.clone()]);
            }
            if nodes.len() > Self::PIECES {
                break;
            }
            // The classical Runge-Kutta scheme.
            let k2 = at(t + 0.5 * h, &(&x + &(&k1 * (0.5 * h))));
            let k3 = at(t + 0.5 * h, &(&x + &(&k2 * (0.5 * h))));
            let k4 = at(t + h, &(&x + &(&k3 * h)));
            x = x + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0);
        }
        let finite = nodes
            .iter()
            .flatten()
            .all(|a| a.iter().all(|x| x.is_finite()));
        ensure!(
            finite,
            Value,
            "the known drift carries points out of the finite numbers between the times {first} and \
             {last}; is it in the units of the points and times?"
        );
        Ok(Self { nodes })
    }

    fn end(&self) -> &Array2<f64> {
        &self.nodes[Self::PIECES][0]
    }

    /// Writes where row `i` is at a `share` of the way, which lasts `duration`, and its velocity.
    fn at(&self, i: usize, share: f64, duration: f64, x: &mut [f64], v: &mut [f64]) {
        let place = share * Self::PIECES as f64;
        let k = (place as usize).min(Self::PIECES - 1);
        let (u, h) = (place - k as f64, duration / Self::PIECES as f64);
        let [(a, da), (b, db)] =
            [&self.nodes[k], &self.nodes[k + 1]].map(|[x, v]| (x.row(i), v.row(i)));
        for j in 0..x.len() {
            let rise = b[j] - a[j];
            let (bend, twist) = (
                3.0 * rise - h * (2.0 * da[j] + db[j]),
                h * (da[j] + db[j]) - 2.0 * rise,
            );
            x[j] = a[j] + u * (h * da[j] + u * (bend + u * twist));
            v[j] = da[j] + u * (2.0 * bend + 3.0 * u * twist) / h;
        }
    }
}

impl Link {
    /// The link, and the root mean squared distance of what it matches.
    fn new(a: &Cloud, b: &Cloud, coupling: Coupling) -> Result<(Self, f64)> {
        let positive = |name: &str, value: f64| {
            ensure!(
                value.is_finite() && value > 0.0,
                Setting,
                "the coupling's {name} must be positive, got {value}"
            );
            Ok(())
        };
        let squared = Ground::SquaredEuclidean;
        let plan: Plan = match coupling {
            Coupling::Independent => {
                return Ok((Link::Independent, mean_squared_distance(a, b).sqrt()));
            }
            Coupling::Exact => transport::exact(a, b, squared)?,
            Coupling::Entropic(share) => {
                positive("regularisation", share)?;
                transport::entropic(a, b, squared, share * mean_squared_distance(a, b))
                    .and_then(|entropic| entropic.plan())
                    .map_err(|e| {
                        e.within(format!("coupling entropic:{share} (a larger SHARE helps)"))
                    })?
            }
            Coupling::Unbalanced(rho) => {
                positive("rho", rho)?;
                let mean = mean_squared_distance(a, b);
                transport::unbalanced(a, b, squared, SHARE * mean, rho * mean)
                    .and_then(|unbalanced| unbalanced.plan())
                    .map_err(|e| e.within(format!("coupling unbalanced:{rho}")))?
            }
        };
        let gains = matches!(coupling, Coupling::Unbalanced(_)).then(|| {
            let (rows, columns) = plan.marginals();
            [(a, rows), (b, columns)].map(|(cloud, sums)| {
                let shares = cloud.weights() / cloud.mass();
                shares
                    .iter()
                    .zip(&sums)
                    .map(|(share, sum)| share / sum)
                    .collect()
            })
        });
        let link = Link::Paired {
            forward: Rows::new(a.len(), || plan.iter()),
            backward: Rows::new(b.len(), || plan.iter().map(|(i, j, mass)| (j, i, mass))),
            gains,
        };
        Ok((link, (plan.cost() / plan.mass()).max(0.0).sqrt()))
    }

    fn is_uneven(&self) -> bool {
        matches!(self, Link::Paired { gains: Some(_), .. })
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
    let variance = |c: &Cloud| c.std_dev().mapv(|s| s * s).sum();
    shift.dot(&shift) + variance(a) + variance(b)
}

impl Path for Interpolant {
    fn dimension(&self) -> usize {
        self.clouds[0].dimension()
    }

    fn span(&self) -> [f64; 2] {
        [self.times[0], self.times[self.times.len() - 1]]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    fn has_mass(&self) -> bool {
        self.has_mass
    }

    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let shape = (times.len(), self.dimension());
        let mut points = Array2::zeros(shape);
        let mut velocities = Array2::zeros(shape);
        let mut masses = Masses {
            values: Array1::ones(times.len()),
            rates: Some(Array1::zeros(times.len())),
        };
        let is_blurred = self.blur.iter().any(|b| *b > 0.0);
        let mut rows = vec![0; self.times.len()];
        let mut weights = vec![(0.0, 0.0); self.times.len()];
        for (n, &t) in times.iter().enumerate() {
            let k = interval(&self.times, t);
            let support = self.cardinal.weights(k, t, &mut weights);
            let share = (t - self.times[k]) / (self.times[k + 1] - self.times[k]);
            self.chain(k, share, support.clone(), rng, &mut rows);
            if let (true, Some(rates)) = (self.has_mass, &mut masses.rates) {
                (masses.values[n], rates[n]) = self.mass(k, share, &rows);
            }
            let mut x = points.row_mut(n);
            let mut v = velocities.row_mut(n);
            if let Some(carried) = &self.carried {
                let duration = self.times[k + 1] - self.times[k];
                let (x, v) = (x.as_slice_mut(), v.as_slice_mut());
                let (x, v) = (x.expect("row-major"), v.expect("row-major"));
                carried[k].at(rows[k], share, duration, x, v);
                let aim = self.clouds[k + 1].point(rows[k + 1]);
                let reached = carried[k].end().row(rows[k]);
                for (j, (aim, reached)) in aim.iter().zip(reached).enumerate() {
                    x[j] += share * (aim - reached);
                    v[j] += (aim - reached) / duration;
                }
            } else {
                for k in support {
                    let (value, slope) = weights[k];
                    let y: ArrayView1<f64> = self.clouds[k].point(rows[k]);
                    x.scaled_add(value, &y);
                    v.scaled_add(slope, &y);
                }
            }
            if is_blurred {
                for (x, blur) in x.iter_mut().zip(&self.blur) {
                    *x += blur * rng.sample::<f64, _>(StandardNormal);
                }
            }
        }
        let draw = PathSample::new(points).with_velocities(velocities);
        if self.has_mass {
            draw.with_masses(masses)
        } else {
            draw
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
    fn weights(&self, interval: usize, t: f64, out: &mut [(f64, f64)]) -> Range<usize> {
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

    fn path(coupling: Coupling, interpolation: Interpolation) -> Interpolant {
        Interpolant::new(&snapshots(), coupling, interpolation, &array![1.0, 1.0]).unwrap()
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
        for coupling in COUPLINGS.into_iter().chain([Coupling::Unbalanced(0.3)]) {
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

    /// Every point of every snapshot has its weight, whatever the masses and the coupling, and
    /// the rates are the time derivative of `E[m f(x)]` at fixed chains.
    #[test]
    fn a_path_with_mass_reproduces_weighted_snapshots() {
        let masses = [4.0, 1.0, 3.0, 2.0];
        let heavy = snapshots().with_masses(&masses).unwrap();
        let scale = array![1.0, 1.0];
        for coupling in COUPLINGS.into_iter().chain([Coupling::Unbalanced(0.1)]) {
            let path = Interpolant::new(&heavy, coupling, Interpolation::Cubic, &scale).unwrap();
            assert!(path.has_mass());
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let n = 60_000;
            for (k, cloud) in heavy.clouds().iter().enumerate() {
                let draw = path.sample(&vec![heavy.times()[k]; n], &mut rng);
                let found = draw.masses.unwrap();
                for (y, weight) in cloud.points().rows().into_iter().zip(cloud.weights()) {
                    let rows = draw.points.rows().into_iter().zip(&found.values);
                    let there = rows.filter(|(x, _)| (x - &y).iter().all(|e| e.abs() < 1e-9));
                    let share = there.map(|(_, m)| m).sum::<f64>() / n as f64;
                    // In units of the mean mass, which is 2.5.
                    let expected = weight / 2.5;
                    assert!(
                        (share - expected).abs() < 0.02,
                        "{coupling:?}: {share} {expected}"
                    );
                }
            }
            // In an interval the rates add up to the difference of its ends.
            let times: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
            let draw = path.sample(&times, &mut rng).masses.unwrap();
            let gained = draw.rates.unwrap().sum() / n as f64;
            assert!((gained + 3.0 / 2.5).abs() < 0.03, "{coupling:?}: {gained}");
        }
        let even = |c| Interpolant::new(&snapshots(), c, Interpolation::Linear, &scale).unwrap();
        assert!(even(Coupling::Unbalanced(1.0)).has_mass());
        let still = snapshots().with_masses(&[1.0; 4]).unwrap();
        let exact = Interpolant::new(&still, Coupling::Exact, Interpolation::Linear, &scale);
        assert!(!exact.unwrap().has_mass());
        // A coupling that keeps the marginals lets every pair grow alike: 4^(1/2) 1^(1/2) halfway.
        let path =
            Interpolant::new(&heavy, Coupling::Exact, Interpolation::Linear, &scale).unwrap();
        let draw = path.sample(&[0.5; 3], &mut ChaCha8Rng::seed_from_u64(0));
        assert!(
            draw.masses
                .unwrap()
                .values
                .iter()
                .all(|m| (m - 2.0 / 2.5).abs() < 1e-12)
        );
    }

    #[test]
    fn a_path_along_a_drift_is_the_drift_where_that_is_all() {
        // A turn about the origin, by one radian between snapshots of the same points.
        let turned = |angle: f64| {
            let (sin, cos) = angle.sin_cos();
            let start = array![[3.0, 0.0], [3.5, 0.2], [2.8, -0.4], [3.1, 0.7]];
            Cloud::new(start.dot(&array![[cos, sin], [-sin, cos]])).unwrap()
        };
        let times = vec![0.0, 1.0, 1.5];
        let clouds = times.iter().map(|t| turned(*t)).collect();
        let snapshots = Snapshots::new(times, clouds).unwrap();
        let turn = Drift::function(|_, x, b| b.copy_from_slice(&[-x[1], x[0]]));
        let scale = array![1.0, 1.0];
        let path = Interpolant::along(&snapshots, Coupling::Exact, &scale, &turn).unwrap();
        let times: Vec<f64> = (0..=60).map(|k| k as f64 / 40.0).collect();
        let draw = path.sample(&times, &mut ChaCha8Rng::seed_from_u64(2));
        let velocities = draw.velocities.unwrap();
        for ((x, v), t) in draw
            .points
            .rows()
            .into_iter()
            .zip(velocities.rows())
            .zip(&times)
        {
            assert!(
                (v[0] + x[1]).abs() < 1e-4 && (v[1] - x[0]).abs() < 1e-4,
                "{t}: {x} {v}"
            );
            let known = turned(*t);
            let near = known
                .points()
                .rows()
                .into_iter()
                .any(|y| (&x - &y).dot(&(&x - &y)) < 1e-8);
            assert!(near, "{t}: {x}");
        }
        // Against another drift the snapshots are still met, and velocities are derivatives.
        let wrong = Drift::function(|t, x, b| b.copy_from_slice(&[t * x[1], 1.0]));
        let path = Interpolant::along(&snapshots, Coupling::Exact, &scale, &wrong).unwrap();
        for t in [0.0, 1.0, 1.5] {
            let x = path.sample(&[t], &mut ChaCha8Rng::seed_from_u64(3)).points;
            let known = turned(t);
            let rows = known.points().rows().into_iter();
            let mut apart = rows.map(|y| (&x.row(0) - &y).mapv(f64::abs).sum());
            assert!(apart.any(|e| e < 1e-9), "{t}");
        }
        for t in [0.3, 1.2] {
            let at = |t: f64| path.sample(&[t], &mut ChaCha8Rng::seed_from_u64(4));
            let rate = (at(t + 1e-6).points - at(t - 1e-6).points) / 2e-6;
            let off = (rate - at(t).velocities.unwrap()).mapv(f64::abs);
            assert!(off.iter().all(|e| *e < 1e-6), "{off}");
        }
        let away = Drift::function(|_, x, b| b.copy_from_slice(&[x[0].exp().exp().exp(), 0.0]));
        let error = Interpolant::along(&snapshots, Coupling::Exact, &scale, &away)
            .err()
            .unwrap();
        assert!(error.to_string().contains("units of the points"), "{error}");
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
            Interpolant::new(s, c, Interpolation::Linear, scale)
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

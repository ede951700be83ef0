//! Barenblatt's solutions of `d_t q = Lap q^m`.

use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::{Beta, ChiSquared, Distribution, StandardNormal};

use super::Truth;
use crate::{
    error::{Result, ensure},
    path::{Path, PathSample},
};

/// The porous medium equation `d_t q = Lap q^m`, m > 1: two spots of mass 0.6 and 0.4 that spread
/// with a sharp edge and do not meet, for t in [0, 1].
///
/// Each is Barenblatt's solution (Vázquez, *The Porous Medium Equation*, 2007, section 4.4.2): with
/// tau = t + 0.1,
///
/// `q = tau^-alpha (C - k |x - c|^2 tau^(-2 beta))_+^(1/(m-1))`,
/// `alpha = d beta, beta = 1/(d (m - 1) + 2), k = beta (m - 1)/(2 m)`,
///
/// which every point x of travels by `-m/(m-1) grad q^(m-1) = beta (x - c)/tau`.
#[derive(Debug, Clone)]
pub struct PorousMedium {
    exponent: f64,
    spots: [Spot; 2],
}

/// `d_t q = Lap q^m` with m < 1, the fast diffusion equation, where heat spreads the faster the
/// thinner it is: one spot of heavy tails for t in [0, 1].
///
/// It is Barenblatt's solution with a plus for the minus,
/// `q = tau^-alpha (C + k |x - c|^2 tau^(-2 beta))^(-1/(1-m))`, `beta = 1/(2 - d (1 - m))`,
/// `k = beta (1 - m)/(2 m)`, tau = t + 0.1: a multivariate Student distribution with nu degrees of
/// freedom for `m = 1 - 2/(nu + d)`. A point x travels by `beta (x - c)/tau`.
#[derive(Debug, Clone)]
pub struct NonlinearHeat {
    freedom: f64,
    spot: Spot,
}

/// A density that keeps its shape: `x = c + radius tau^beta xi`, xi of a law that does not change.
#[derive(Debug, Clone)]
struct Spot {
    mass: f64,
    center: Vec<f64>,
    /// At tau = 1.
    radius: f64,
    beta: f64,
}

/// When the spots were points.
const BIRTH: f64 = -0.1;

impl Spot {
    fn radius(&self, t: f64) -> f64 {
        self.radius * (t - BIRTH).powf(self.beta)
    }

    fn place(&self, t: f64, xi: &[f64], point: &mut [f64], velocity: &mut [f64]) {
        let radius = self.radius(t);
        for (j, xi) in xi.iter().enumerate() {
            point[j] = self.center[j] + radius * xi;
            velocity[j] = self.beta * radius * xi / (t - BIRTH);
        }
    }

    /// `beta (x - c) / tau`
    fn velocity(&self, t: f64, point: &[f64], velocity: &mut [f64]) {
        for (v, (x, c)) in velocity.iter_mut().zip(point.iter().zip(&self.center)) {
            *v = self.beta * (x - c) / (t - BIRTH);
        }
    }

    fn square(&self, point: &[f64]) -> f64 {
        let offsets = point.iter().zip(&self.center);
        offsets.map(|(x, c)| (x - c).powi(2)).sum()
    }
}

/// `log int (1 - |y|^2)^a dy` over the unit ball.
fn log_ball(a: f64, d: f64) -> f64 {
    0.5 * d * std::f64::consts::PI.ln() + libm::lgamma(a + 1.0) - libm::lgamma(a + 1.0 + 0.5 * d)
}

/// `log int (1 + |y|^2)^-a dy`
fn log_tails(a: f64, d: f64) -> f64 {
    0.5 * d * std::f64::consts::PI.ln() + libm::lgamma(a - 0.5 * d) - libm::lgamma(a)
}

impl PorousMedium {
    /// The spots in `columns` columns for an exponent m > 1.
    ///
    /// # Errors
    /// An exponent that is not above 1 or not finite; no columns.
    pub fn new(exponent: f64, columns: usize) -> Result<Self> {
        ensure!(
            exponent.is_finite() && exponent > 1.0,
            Value,
            "the porous medium equation needs an exponent above 1, got {exponent}"
        );
        ensure!(columns > 0, Shape, "expected 1 column or more, got 0");
        let (m, d) = (exponent, columns as f64);
        let beta = 1.0 / (d * (m - 1.0) + 2.0);
        let k = beta * (m - 1.0) / (2.0 * m);
        let a = 1.0 / (m - 1.0);
        let mut spots = [0.6, 0.4].map(|mass: f64| {
            // mass = C^(a + d/2) k^(-d/2) int (1 - |y|^2)^a dy
            let log_c = (mass.ln() + 0.5 * d * k.ln() - log_ball(a, d)) / (a + 0.5 * d);
            Spot {
                mass,
                center: vec![0.0; columns],
                radius: (log_c.exp() / k).sqrt(),
                beta,
            }
        });
        let reach = spots[0].radius(1.0) + spots[1].radius(1.0);
        spots[0].center[0] = -0.6 * reach;
        spots[1].center[0] = 0.6 * reach;
        Ok(Self { exponent, spots })
    }

    /// The density of points `[n, d]` at t in [0, 1], `[n]`: 0 outside of the spots.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn density(&self, t: f64, points: &Array2<f64>) -> Vec<f64> {
        super::check(points, self.dimension());
        let d = points.ncols() as f64;
        let a = 1.0 / (self.exponent - 1.0);
        let rows = points.rows().into_iter().map(|row| row.to_vec());
        rows.map(|point| {
            let spot = self.nearest(t, &point);
            let radius = spot.radius(t);
            let inside = (1.0 - spot.square(&point) / (radius * radius)).max(0.0);
            (spot.mass.ln() + a * inside.ln() - log_ball(a, d) - d * radius.ln()).exp()
        })
        .collect()
    }

    /// The spot whose edge is the nearest.
    fn nearest(&self, t: f64, point: &[f64]) -> &Spot {
        let [one, other] = &self.spots;
        let beyond = |spot: &Spot| spot.square(point).sqrt() - spot.radius(t);
        if beyond(one) <= beyond(other) {
            one
        } else {
            other
        }
    }
}

impl Path for PorousMedium {
    fn dimension(&self) -> usize {
        self.spots[0].center.len()
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    /// `|xi|^2` of a spot has the law Beta(d/2, 1/(m-1) + 1).
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let d = self.dimension();
        let squares =
            Beta::new(0.5 * d as f64, 1.0 / (self.exponent - 1.0) + 1.0).expect("both are above 0");
        draw(times, d, |t, xi, point, velocity| {
            let spot = &self.spots[usize::from(!rng.random_bool(self.spots[0].mass))];
            let norm = normals(xi, rng);
            let stretch = squares.sample(rng).sqrt() / norm;
            xi.iter_mut().for_each(|x| *x *= stretch);
            spot.place(t, xi, point, velocity);
        })
    }
}

impl Truth for PorousMedium {
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        super::check(points, self.dimension());
        velocities(points, |point, velocity| {
            self.nearest(t, point).velocity(t, point, velocity)
        })
    }
}

impl NonlinearHeat {
    /// The spot in `columns` columns with so many degrees of freedom; above 2 its variance is
    /// finite.
    ///
    /// # Errors
    /// Degrees of freedom not above 2 or not finite; no columns; a spot too small or large to compute
    /// with, as of few degrees of freedom in many columns.
    pub fn new(freedom: f64, columns: usize) -> Result<Self> {
        ensure!(
            freedom.is_finite() && freedom > 2.0,
            Value,
            "expected more than 2 degrees of freedom, got {freedom}"
        );
        ensure!(columns > 0, Shape, "expected 1 column or more, got 0");
        let d = columns as f64;
        let a = 0.5 * (freedom + d);
        let m = 1.0 - 1.0 / a;
        let beta = 1.0 / (2.0 - d * (1.0 - m));
        let k = beta * (1.0 - m) / (2.0 * m);
        // 1 = C^(d/2 - a) k^(-d/2) int (1 + |y|^2)^-a dy
        let log_c = (log_tails(a, d) - 0.5 * d * k.ln()) / (a - 0.5 * d);
        let spot = Spot {
            mass: 1.0,
            center: vec![1.0; columns],
            radius: (log_c.exp() / k).sqrt(),
            beta,
        };
        ensure!(
            [0.0, 1.0]
                .iter()
                .all(|t| (1e-6..1e6).contains(&spot.radius(*t))),
            Value,
            "a spot with {freedom} degrees of freedom in {columns} columns has a radius of {:.1e} at \
             the start and {:.1e} at the end; take degrees of freedom that grow with the columns",
            spot.radius(0.0),
            spot.radius(1.0)
        );
        Ok(Self { freedom, spot })
    }

    /// The exponent m.
    pub fn exponent(&self) -> f64 {
        1.0 - 2.0 / (self.freedom + self.spot.center.len() as f64)
    }

    /// The density of points `[n, d]` at t in [0, 1], `[n]`.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn density(&self, t: f64, points: &Array2<f64>) -> Vec<f64> {
        super::check(points, self.dimension());
        let d = points.ncols() as f64;
        let a = 0.5 * (self.freedom + d);
        let radius = self.spot.radius(t);
        let rows = points.rows().into_iter().map(|row| row.to_vec());
        rows.map(|point| {
            let square = self.spot.square(&point) / (radius * radius);
            (-a * square.ln_1p() - log_tails(a, d) - d * radius.ln()).exp()
        })
        .collect()
    }
}

impl Path for NonlinearHeat {
    fn dimension(&self) -> usize {
        self.spot.center.len()
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 1.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    /// xi is a normal vector over the root of a chi-squared number.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let squares = ChiSquared::new(self.freedom).expect("it is above 0");
        draw(times, self.dimension(), |t, xi, point, velocity| {
            normals(xi, rng);
            let shrink = squares.sample(rng).sqrt().recip();
            xi.iter_mut().for_each(|x| *x *= shrink);
            self.spot.place(t, xi, point, velocity);
        })
    }
}

impl Truth for NonlinearHeat {
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        super::check(points, self.dimension());
        velocities(points, |point, velocity| {
            self.spot.velocity(t, point, velocity)
        })
    }
}

/// Fills `xi` with normal numbers and returns their norm.
fn normals(xi: &mut [f64], rng: &mut dyn Rng) -> f64 {
    xi.iter_mut().for_each(|x| *x = rng.sample(StandardNormal));
    xi.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Points and velocities as `place` writes them, given a time and room for xi.
fn draw(
    times: &[f64],
    d: usize,
    mut place: impl FnMut(f64, &mut [f64], &mut [f64], &mut [f64]),
) -> PathSample {
    let n = times.len();
    let (mut points, mut velocities) = (vec![0.0; n * d], vec![0.0; n * d]);
    let mut xi = vec![0.0; d];
    let rows = points
        .chunks_exact_mut(d)
        .zip(velocities.chunks_exact_mut(d));
    for (t, (point, velocity)) in times.iter().zip(rows) {
        place(*t, &mut xi, point, velocity);
    }
    let array = |values| Array2::from_shape_vec((n, d), values).expect("n rows");
    PathSample::new(array(points)).with_velocities(array(velocities))
}

fn velocities(points: &Array2<f64>, mut of: impl FnMut(&[f64], &mut [f64])) -> Array2<f64> {
    let mut out = Array2::zeros(points.raw_dim());
    for (point, mut velocity) in points.rows().into_iter().zip(out.rows_mut()) {
        of(&point.to_vec(), velocity.as_slice_mut().expect("row-major"));
    }
    out
}

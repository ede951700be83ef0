//! Two states of hydrogen at once.

use std::f64::consts::{PI, TAU};

use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution, Gamma};

use super::Truth;
use crate::path::{Path, PathSample};

/// The electron of hydrogen in the states (n, l, m) = (3, 2, -1) and (2, 1, 0) at once, in units
/// where the reduced Planck constant and the mass are 1 and Bohr's radius is [`Hydrogen::BOHR`], for t in
/// [0, 14000], about one period (Action Matching, section 5.2).
///
/// `psi = (psi_(3,2,-1) e^(-i E_3 t) + psi_(2,1,0) e^(-i E_2 t)) / sqrt 2`,
/// `E_n = -1/(2 n^2 a^2)`, moves points by the guidance equation `dx/dt = grad arg psi`. The states
/// differ by `e^(-i phi)`, so `|psi|^2` turns rigidly about the third axis at the frequency
/// [`Hydrogen::frequency`]. Two consequences: `q_t` is sampled exactly, and the rotation is a
/// velocity of the path, as good as the guidance equation's and without its poles where psi is 0.
///
/// `arg psi` has many values: it loses 2 pi on the way round the curve where psi is 0. So `grad arg
/// psi`, which is curl-free elsewhere and unbounded there, is the gradient of no one function, and
/// Action Matching finds another field with the same densities.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hydrogen;

/// The states at a point: `sqrt 2 psi = z e^(-i E_2 t) (F (x - i y) e^(-i Omega t) + G)`.
struct Radial {
    /// F and its derivative by r.
    f: [f64; 2],
    /// G and its derivative by r.
    g: [f64; 2],
}

impl Hydrogen {
    /// Bohr's radius, 4 pi.
    pub const BOHR: f64 = 4.0 * PI;

    /// `Omega = E_3 - E_2` in radians per unit of time: the density turns clockwise about the
    /// third axis by it.
    pub fn frequency() -> f64 {
        0.5 * (0.25 - 1.0 / 9.0) / (Self::BOHR * Self::BOHR)
    }

    fn radial(r: f64) -> Radial {
        let a = Self::BOHR;
        // R_32 Y_(2,-1) and R_21 Y_10 without z and (x - i y).
        let f = 4.0 / (81.0 * 30f64.sqrt()) * a.powf(-3.5) * (15.0 / (8.0 * PI)).sqrt();
        let g = a.powf(-2.5) / 24f64.sqrt() * (3.0 / (4.0 * PI)).sqrt();
        let (f, g) = (f * (-r / (3.0 * a)).exp(), g * (-r / (2.0 * a)).exp());
        Radial {
            f: [f, -f / (3.0 * a)],
            g: [g, -g / (2.0 * a)],
        }
    }

    /// `|psi_t|^2` of points `[n, 3]`, `[n]`, at any t.
    ///
    /// # Panics
    /// Points of another dimension.
    pub fn density(&self, t: f64, points: &Array2<f64>) -> Vec<f64> {
        super::check(points, 3);
        let (sin, cos) = (Self::frequency() * t).sin_cos();
        let rows = points.rows().into_iter();
        rows.map(|point| {
            let [x, y, z] = [point[0], point[1], point[2]];
            let Radial {
                f: [f, _],
                g: [g, _],
            } = Self::radial((x * x + y * y + z * z).sqrt());
            let (re, im) = (x * cos - y * sin, -(y * cos + x * sin));
            0.5 * z * z * ((f * re + g).powi(2) + (f * im).powi(2))
        })
        .collect()
    }
}

impl Path for Hydrogen {
    fn dimension(&self) -> usize {
        3
    }

    fn span(&self) -> [f64; 2] {
        [0.0, 14_000.0]
    }

    fn has_velocity(&self) -> bool {
        true
    }

    /// Rejection from an even mixture of the two states, `|f + g|^2 <= 2 (|f|^2 + |g|^2)`.
    fn sample(&self, times: &[f64], rng: &mut dyn Rng) -> PathSample {
        let a = Self::BOHR;
        let radii = [(7.0, 1.5 * a), (5.0, a)].map(|(shape, scale)| Gamma::new(shape, scale));
        let squares = [(1.5, 2.0), (1.5, 1.0)].map(|(a, b)| Beta::new(a, b));
        let omega = Self::frequency();
        let mut points = Array2::zeros((times.len(), 3));
        for (t, mut point) in times.iter().zip(points.rows_mut()) {
            loop {
                let state = usize::from(rng.random_bool(0.5));
                let r = radii[state].as_ref().expect("above 0").sample(rng);
                let square: f64 = squares[state].as_ref().expect("above 0").sample(rng);
                let sign = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
                let phase = TAU * rng.random::<f64>();
                let rho = r * (1.0 - square).sqrt();
                let Radial {
                    f: [f, _],
                    g: [g, _],
                } = Self::radial(r);
                let (f, g) = (f * rho, g);
                let both = f * f + g * g;
                if rng.random::<f64>() * 2.0 * both <= both + 2.0 * f * g * phase.cos() {
                    let (sin, cos) = (phase - omega * t).sin_cos();
                    point[0] = rho * cos;
                    point[1] = rho * sin;
                    point[2] = sign * r * square.sqrt();
                    break;
                }
            }
        }
        let mut velocities = Array2::zeros(points.raw_dim());
        for (mut velocity, point) in velocities.rows_mut().into_iter().zip(points.rows()) {
            velocity[0] = omega * point[1];
            velocity[1] = -omega * point[0];
        }
        PathSample::new(points).with_velocities(velocities)
    }
}

impl Truth for Hydrogen {
    /// `Im(grad P / P)`, `P = F (x - i y) e^(-i Omega t) + G`.
    fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        super::check(points, 3);
        let (sin, cos) = (Self::frequency() * t).sin_cos();
        let mut velocities = Array2::zeros(points.raw_dim());
        for (mut velocity, point) in velocities.rows_mut().into_iter().zip(points.rows()) {
            let [x, y, z] = [point[0], point[1], point[2]];
            let r = (x * x + y * y + z * z).sqrt();
            let Radial {
                f: [f, df],
                g: [g, dg],
            } = Self::radial(r);
            // (x - i y) e^(-i Omega t)
            let turned = [x * cos - y * sin, -(y * cos + x * sin)];
            let p = [f * turned[0] + g, f * turned[1]];
            let square = p[0] * p[0] + p[1] * p[1];
            // e^(-i Omega t), -i e^(-i Omega t), 0
            let turns = [[cos, -sin], [-sin, -cos], [0.0, 0.0]];
            for (j, turn) in turns.into_iter().enumerate() {
                let along = if r > 0.0 { point[j] / r } else { 0.0 };
                let slope = [
                    along * (df * turned[0] + dg) + f * turn[0],
                    along * df * turned[1] + f * turn[1],
                ];
                velocity[j] = (slope[1] * p[0] - slope[0] * p[1]) / square;
            }
        }
        velocities
    }
}

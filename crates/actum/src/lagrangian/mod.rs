//! The terms of the objective, and what each means when the population moves.

mod cost;
mod drift;
mod noise;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

pub use cost::Cost;
pub use drift::Drift;
pub use noise::Noise;

use crate::{
    error::{Result, ensure},
    units::Units,
};

/// `H = b . grad s + c*(grad s) + sigma_t^2/2 Lap s + lambda s^2/2`: what the action is charged
/// for in the interior of the objective, and so how the population moves,
///
/// `dx = (b + grad c*(grad s)) dt + sigma_t dW,   d log w = lambda s dt`
///
/// (Action Matching, sections 2 and 3; docs/mathematics.md, section 2). Terms compose:
///
/// ```
/// use actum::lagrangian::{Cost, Drift, Lagrangian};
///
/// let plain = Lagrangian::kinetic();
/// let all = Lagrangian::new(Cost::power(1.5)?)
///     .noise(0.5)?
///     .growth(2.0)?
///     .drift(Drift::function(|_t, x, b| b.copy_from_slice(&[-x[1], x[0]])));
/// assert!(all.is_noisy() && all.grows() && !plain.grows());
/// # Ok::<(), actum::error::Error>(())
/// ```
///
/// Costs and noise count in the [units of distance](Units::scale), which are the user's own
/// unless columns are standardised; times are the user's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lagrangian {
    cost: Cost,
    noise: Noise,
    growth: f64,
    drift: Option<Drift>,
}

impl Lagrangian {
    /// Plain Action Matching: kinetic energy, no noise, no growth, no drift.
    pub fn kinetic() -> Self {
        Self::default()
    }

    /// Another cost of velocities.
    pub fn new(cost: Cost) -> Self {
        Self {
            cost,
            ..Self::default()
        }
    }

    /// The same noise at all times, in units of distance per square root of time (entropic Action
    /// Matching).
    ///
    /// # Errors
    /// A sigma that is negative or not finite.
    pub fn noise(self, sigma: f64) -> Result<Self> {
        Ok(self.noise_over_time(Noise::constant(sigma)?))
    }

    /// Noise that changes in time.
    pub fn noise_over_time(self, noise: Noise) -> Self {
        Self { noise, ..self }
    }

    /// Birth and death at the rate `lambda s` (unbalanced Action Matching). A growth rate g costs
    /// `g^2 / (2 lambda)`: the larger lambda, the more is explained by growth instead of motion.
    /// Its unit is time over that of the action, for quadratic costs 1 / distance^2.
    ///
    /// # Errors
    /// A lambda that is negative or not finite.
    pub fn growth(self, lambda: f64) -> Result<Self> {
        let grown = Self {
            growth: lambda,
            ..self
        };
        grown.check_growth()?;
        Ok(grown)
    }

    /// A known part of the velocity: what is learned is the rest.
    pub fn drift(self, drift: Drift) -> Self {
        Self {
            drift: Some(drift),
            ..self
        }
    }

    /// The cost of velocities.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// The noise over time.
    pub fn noise_in_time(&self) -> &Noise {
        &self.noise
    }

    /// `sigma_t`.
    pub fn sigma(&self, t: f64) -> f64 {
        self.noise.at(t)
    }

    /// The lambda of growth; 0 where mass is kept.
    pub fn lambda(&self) -> f64 {
        self.growth
    }

    /// Whether points move at random.
    pub fn is_noisy(&self) -> bool {
        !self.noise.is_none()
    }

    /// Whether mass is born and dies.
    pub fn grows(&self) -> bool {
        self.growth > 0.0
    }

    /// The known part of the velocity.
    pub fn known_drift(&self) -> Option<&Drift> {
        self.drift.as_ref()
    }

    /// The same without noise: what carries the same densities by a flow, once it is fitted.
    pub fn without_noise(self) -> Self {
        self.noise_over_time(Noise::none())
    }

    /// Whether it can charge for motion in so many columns.
    pub(crate) fn check(&self, dimension: usize) -> Result<()> {
        self.check_growth()?;
        if let Some(expected) = self.drift.as_ref().and_then(Drift::dimension) {
            ensure!(
                expected == dimension,
                Shape,
                "the known drift is for {expected} columns, the points have {dimension}"
            );
        }
        if let Some(expected) = self.cost.dimension() {
            ensure!(
                expected == dimension,
                Shape,
                "the metric is for {expected} columns, the points have {dimension}"
            );
        }
        Ok(())
    }

    fn check_growth(&self) -> Result<()> {
        ensure!(
            self.growth.is_finite() && self.growth >= 0.0,
            Setting,
            "growth must be finite and not negative, got {}",
            self.growth
        );
        Ok(())
    }

    /// As the network sees it.
    pub(crate) fn scaled<'a>(&'a self, units: &'a Units) -> Scaled<'a> {
        Scaled {
            lagrangian: self,
            units,
        }
    }
}

/// A Lagrangian on the network's numbers: times warped to [0, 1], centered and scaled
/// points (docs/mathematics.md, section 7).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scaled<'a> {
    lagrangian: &'a Lagrangian,
    units: &'a Units,
}

impl Scaled<'_> {
    /// The noise at both ends of a step, seen from inside: it jumps where the slope of the time
    /// warp does.
    pub fn sigma(&self, step: [f64; 2]) -> [f64; 2] {
        let time = |u| self.units.time_out(u);
        let middle = time(0.5 * (step[0] + step[1]));
        step.map(|u| {
            self.units
                .noise_in(middle, self.lagrangian.noise.at(time(u)))
        })
    }

    /// The lambda of growth at a time.
    pub fn growth(&self, u: f64) -> f64 {
        let Lagrangian { cost, growth, .. } = self.lagrangian;
        let time = self.units.time_out(u);
        self.units.growth_in(cost.exponent(), time, *growth)
    }

    /// The known drift at times `[n]` and points `[n, d]`.
    pub fn drift(&self, times: &[f64], points: ArrayView2<f64>) -> Option<Array2<f64>> {
        let drift = self.lagrangian.drift.as_ref()?;
        let times = self.times_out(times);
        let known = drift.at(&times, self.units.points_out(points).view());
        Some(self.units.velocities_in(&times, known.view()))
    }

    /// The directional derivative of the known drift at times `[n]` and points `[n, d]` along
    /// `directions`, `[n, d]`.
    pub fn drift_along(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Option<Array2<f64>> {
        /// Of the spread of the data, for differences of f64 numbers.
        const STEP: f64 = 1e-5;
        let drift = self.lagrangian.drift.as_ref()?;
        let times = self.times_out(times);
        let along = drift.along(
            &times,
            self.units.points_out(points).view(),
            self.units.lengths_out(directions).view(),
            STEP,
        );
        Some(self.units.velocities_in(&times, along.view()))
    }

    fn times_out(&self, times: &[f64]) -> Vec<f64> {
        times.iter().map(|u| self.units.time_out(*u)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn units_leave_the_motion_as_it_is() {
        let units = Units::isotropic(vec![1.0, 2.0], 4.0, [0.0, 10.0])
            .and_then(|units| units.warped(&[0.0, 5.0, 10.0], &[3.0, 1.0]))
            .unwrap();
        let lagrangian = Lagrangian::new(Cost::power(3.0).unwrap())
            .noise_over_time(Noise::linear(vec![0.0, 10.0], vec![1.0, 3.0]).unwrap())
            .growth(0.5)
            .unwrap()
            .drift(Drift::function(|t, x, b| {
                b.copy_from_slice(&[t * x[1], -x[0] * x[0]])
            }));
        let scaled = lagrangian.scaled(&units);
        // In the first half the warp has slope 0.145, in the second 0.055 a time unit.
        let rate = 0.145;
        let step = [units.time_in(2.5), units.time_in(5.0)];
        for (sigma, expected) in scaled.sigma(step).iter().zip([1.5, 2.0]) {
            // The variance of a unit of the network's time, in its lengths.
            assert!((sigma * sigma - expected * expected / 16.0 / rate).abs() < 1e-12);
        }
        // lambda s dt is one number: s is 4^3 rate^2 times the network's.
        let expected = 0.5 * 64.0 * rate * rate / rate;
        assert!((scaled.growth(step[0]) - expected).abs() < 1e-12);
        let inner = units.points_in(array![[2.0, 3.0]].view());
        let drift = scaled.drift(&[step[0]], inner.view()).unwrap();
        let known = array![[2.5 * 3.0, -4.0]] / (4.0 * rate);
        assert!((drift - known).iter().all(|e| e.abs() < 1e-12));
        let along = scaled
            .drift_along(&[step[0]], inner.view(), array![[1.0, 0.5]].view())
            .unwrap();
        let known = array![[2.5 * 0.5, -4.0]] / rate;
        assert!((along - known).iter().all(|e| e.abs() < 1e-8));
    }

    #[test]
    fn bad_terms_are_refused() {
        let message = |r: Result<Lagrangian>| r.unwrap_err().to_string();
        assert!(message(Lagrangian::kinetic().noise(-0.1)).contains("got -0.1"));
        assert!(message(Lagrangian::kinetic().growth(-1.0)).contains("got -1"));
        assert!(message(Lagrangian::kinetic().growth(f64::NAN)).contains("growth must be finite"));
        let metric = Lagrangian::new(Cost::metric(array![[1.0]]).unwrap());
        let error = metric.check(2).unwrap_err().to_string();
        assert!(
            error.contains("for 1 columns") && error.contains("have 2"),
            "{error}"
        );
    }
}

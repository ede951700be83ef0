//! The noise in a step.

use ndarray::{Array2, s};

use super::{Scheme, State};
use crate::error::{Result, ensure};

/// Noise `sigma_t dW`, independent in every row and column that has noise.
pub(crate) struct Noise<'a> {
    /// sigma at both ends of a step, as limits from inside the step.
    pub(crate) sigma: &'a dyn Fn([f64; 2]) -> [f64; 2],
    /// The number of columns with noise; they are the first.
    pub(crate) columns: usize,
    /// The same seed, span, number of columns and row give the same Brownian path.
    pub(crate) seed: u64,
    /// The span of the Brownian path, which contains all requested times.
    pub(crate) span: [f64; 2],
    /// The times at which sigma or the field may jump. They end a step. Steps that begin or end
    /// there evaluate the field one rounding unit inside.
    pub(crate) breaks: &'a [f64],
}

impl Noise<'_> {
    /// sigma at both ends of a step. Where it is not 0, the scheme must take noise and time must
    /// increase.
    pub(super) fn sigma(&self, [from, to]: [f64; 2], scheme: Scheme) -> Result<[f64; 2]> {
        let sigma = (self.sigma)([from, to]);
        if let Some(bad) = sigma.iter().find(|s| !s.is_finite() || **s < 0.0) {
            ensure!(
                false,
                Value,
                "the noise must be finite and not negative, got {bad} between times {from} and {to}"
            );
        }
        if sigma != [0.0; 2] {
            ensure!(
                from <= to,
                Setting,
                "motion with noise cannot be run backward in time: that would need the score, the \
                 gradient of the logarithm of the density; go forward, or fit without noise"
            );
            ensure!(
                scheme.parts().0.diffusion.is_some(),
                Setting,
                "the scheme {scheme:?} ignores noise; use StochasticRungeKutta or Euler with a \
                 number of steps"
            );
            let [start, end] = self.span;
            let slack = 1e-9 * (end - start);
            ensure!(
                start - slack <= from && to <= end + slack,
                Value,
                "the noise is defined in times [{start}, {end}], got [{from}, {to}]"
            );
        }
        Ok(sigma)
    }
}

/// The noise over one step.
pub(super) struct Kick {
    /// At both ends of the step.
    pub(super) sigma: [f64; 2],
    pub(super) increment: Array2<f64>,
    /// The mean displacement J over the step.
    pub(super) mean: Array2<f64>,
}

impl<V> State<'_, V> {
    /// The noise over the step to `end`; None where sigma is 0.
    pub(super) fn kick(&mut self, end: f64) -> Result<Option<Kick>> {
        let Some((noise, path)) = &mut self.noise else {
            return Ok(None);
        };
        let sigma = noise.sigma([self.t, end], self.scheme)?;
        if sigma == [0.0; 2] {
            return Ok(None);
        }
        let (increment, area) = path.increment(self.t, end);
        Ok(Some(Kick {
            sigma,
            mean: area + 0.5 * &increment,
            increment,
        }))
    }
}

/// Adds `factor noise` to the columns of x that have noise.
pub(super) fn displace(x: &mut Array2<f64>, factor: f64, noise: &Array2<f64>) {
    if factor != 0.0 {
        x.slice_mut(s![.., ..noise.ncols()])
            .scaled_add(factor, noise);
    }
}

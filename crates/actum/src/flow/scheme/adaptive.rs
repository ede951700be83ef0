//! Steps whose length follows an estimate of the error.

use ndarray::{Array2, Zip};

use super::{State, advance, tableau::Pair};
use crate::error::{Result, ensure};

impl<V: Fn(f64, &Array2<f64>) -> Array2<f64>> State<'_, V> {
    /// Steps whose length keeps the error estimate within `tolerance`; returns the length of the
    /// next step.
    pub(super) fn adaptive(
        &mut self,
        until: f64,
        pair: &Pair,
        tolerance: f64,
        step: Option<f64>,
        span: f64,
    ) -> Result<Option<f64>> {
        let mut length = step.unwrap_or(0.01 * span);
        while self.t != until {
            let left = (until - self.t).abs();
            let last = length >= left * (1.0 - 1e-12);
            let h = length.min(left) * (until - self.t).signum();
            ensure!(
                last || h.abs() > 1e-12 * span,
                Diverged,
                "the step fell below 1e-12 of the span at time {}: the field is too stiff or not \
                 smooth; raise the tolerance or use a scheme with fixed steps",
                self.t
            );
            let end = if last { until } else { self.t + h };
            if let Some((noise, _)) = &self.noise {
                noise.sigma([self.t, end], self.scheme)?;
            }
            let stages = self.stages(end, None);
            let proposal = advance(&self.x, h, self.tableau.weights, &stages);
            let error = advance(
                &Array2::zeros(self.x.raw_dim()),
                h,
                pair.difference,
                &stages,
            );
            let scaled = scaled_norm(&error, &self.x, &proposal, tolerance);
            // An overflow means that the step was far too long.
            let factor = if scaled.is_finite() {
                (0.9 * scaled.powf(-1.0 / pair.order)).clamp(0.2, 5.0)
            } else {
                0.2
            };
            if scaled <= 1.0 {
                self.x = proposal;
                self.t = end;
                // The field may jump here, and the last stage is its value before the jump.
                let smooth = !self.breaks.contains(&end);
                self.first = stages.into_iter().next_back().filter(|_| smooth);
                if !last || factor < 1.0 {
                    length = h.abs() * factor;
                }
            } else {
                self.first = stages.into_iter().next();
                length = h.abs() * factor;
            }
        }
        self.finite()?;
        Ok(Some(length))
    }
}

/// The root mean square of `error / (tolerance (1 + max(|before|, |after|)))`.
fn scaled_norm(
    error: &Array2<f64>,
    before: &Array2<f64>,
    after: &Array2<f64>,
    tolerance: f64,
) -> f64 {
    let mut sum = 0.0;
    Zip::from(error).and(before).and(after).for_each(|e, b, a| {
        let scale = tolerance * (1.0 + b.abs().max(a.abs()));
        sum += (e / scale) * (e / scale);
    });
    (sum / error.len().max(1) as f64).sqrt()
}

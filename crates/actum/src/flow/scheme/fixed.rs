//! Steps of equal length.

use ndarray::Array2;

use super::{State, advance, noise::displace};
use crate::error::Result;

impl<V: Fn(f64, &Array2<f64>) -> Array2<f64>> State<'_, V> {
    /// The fewest steps of equal length to `until` that are no longer than `span / steps`.
    pub(super) fn fixed(&mut self, until: f64, steps: usize, span: f64) -> Result<()> {
        let (start, distance) = (self.t, until - self.t);
        let count = (distance.abs() / span * steps as f64 - 1e-9)
            .ceil()
            .max(1.0);
        let h = distance / count;
        for i in 1..=count as usize {
            let end = match &self.noise {
                _ if i == count as usize => until,
                Some((noise, path)) if (noise.sigma)([start, until]) != [0.0; 2] => {
                    path.settle(start + i as f64 * h, h)
                }
                _ => start + i as f64 * h,
            };
            self.step(end)?;
        }
        Ok(())
    }

    fn step(&mut self, end: f64) -> Result<()> {
        let tableau = self.tableau;
        let kick = self.kick(end)?;
        let stages = self.stages(end, kick.as_ref());
        self.x = advance(&self.x, end - self.t, tableau.weights, &stages);
        if let (Some(kick), Some(diffusion)) = (kick, &tableau.diffusion) {
            let dot = |a: [f64; 2]| a[0] * kick.sigma[0] + a[1] * kick.sigma[1];
            displace(&mut self.x, dot(diffusion.increment), &kick.increment);
            displace(&mut self.x, dot(diffusion.mean), &kick.mean);
        }
        self.first = None;
        self.finite()?;
        self.t = end;
        Ok(())
    }
}

//! The motion that has the densities of a learned score.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::Score;
use crate::{
    action::Action,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::Lagrangian,
    path::Process,
    units::Units,
};

/// The action of the [probability flow](Score::motion) of a score, `f |x|^2/2 - g^2/2 log q_t`, in the
/// network's units.
pub struct ProbabilityFlowAction {
    /// Its gradient is `sigma_t` times the score.
    network: Arc<dyn Action>,
    process: Process,
    units: Units,
}

impl Score {
    /// The motion that keeps the densities `q_t` of a process, as if it were learned by Action Matching:
    /// [`simulate`](crate::flow::simulate) moves points by it and
    /// [`log_density`](crate::flow::likelihood::log_density) follows their density. It is
    ///
    /// `dx/dt = f x - g^2/2 grad log q_t`
    ///
    /// (Song et al., ICLR 2021, equation 13), the gradient of `f |x|^2/2 - g^2/2 log q_t`
    /// (docs/mathematics.md, section 13). [`probability_flow`](super::probability_flow) does the same
    /// with a score of one's own.
    ///
    /// # Errors
    /// A score that was not learned by denoising under a process; one in standardised columns, where
    /// distances have other units than the noise.
    pub fn motion(self) -> Result<Dynamics> {
        let process = self.process.ok_or_else(|| {
            let what = "only the score of data that dissolve in noise says how they move; this one was \
                        not learned by `Problem::denoising`";
            Error::new(ErrorKind::Setting, what)
        })?;
        let scale = self.dynamics.units.scale();
        ensure!(
            scale.iter().all(|s| *s == scale[0]),
            Setting,
            "the flow of a score is a gradient only where all columns have the same unit, and these \
             are divided by {scale}"
        );
        let units = self.dynamics.units.clone();
        let potential = ProbabilityFlowAction {
            network: self.dynamics.action().clone(),
            process,
            units: units.clone(),
        };
        Dynamics::new(potential, Lagrangian::kinetic(), units)
    }
}

impl ProbabilityFlowAction {
    /// a and b of `a (|x|^2/2 + x . center) - b s` at a time of the user, s what the network learned.
    fn factors(&self, t: f64) -> [f64; 2] {
        let Self { process, units, .. } = self;
        let rate = units.rate(t);
        let length = units.length() * units.scale()[0];
        let noise = process.push_of_noise(t) * units.length() / (length * length);
        [process.f(t) / rate, noise / rate]
    }

    /// Both at every one of the network's times, as columns `[n, 1]`.
    fn factors_at(&self, times: &[f64]) -> [Array2<f64>; 2] {
        let each = times.iter().map(|t| self.factors(self.units.time_out(*t)));
        let (a, b): (Vec<f64>, Vec<f64>) = each.map(<(f64, f64)>::from).unzip();
        [a, b].map(|factors| Array1::from(factors).insert_axis(Axis(1)))
    }

    /// `x + center`, `[n, d]`: points from where the user's coordinates are 0.
    fn position(&self, points: ArrayView2<f64>) -> Array2<f64> {
        let zero = Array2::zeros((1, self.units.dimension()));
        &points - &self.units.points_in(zero.view())
    }

    fn join(&self, times: &[f64], squares: Array1<f64>, of_network: Array1<f64>) -> Array1<f64> {
        let [a, b] = self.factors_at(times);
        &a.column(0) * squares - &b.column(0) * of_network
    }
}

fn squares(rows: ArrayView2<f64>) -> Array1<f64> {
    rows.map_axis(Axis(1), |row| row.dot(&row))
}

impl Action for ProbabilityFlowAction {
    fn dimension(&self) -> usize {
        self.network.dimension()
    }

    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64> {
        let half = squares(self.position(points).view()) * 0.5;
        self.join(times, half, self.network.value(times, points))
    }

    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        let [a, b] = self.factors_at(times);
        a * self.position(points) - b * self.network.gradient(times, points)
    }

    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64> {
        let of_network = self.network.curvature(times, points, directions);
        self.join(times, squares(directions), of_network)
    }
}

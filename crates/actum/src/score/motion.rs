//! The motion that has the densities of a learned score.

use burn::tensor::Tensor;
use ndarray::Array2;

use super::Score;
use crate::{
    action::Action,
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::Lagrangian,
    path::Process,
    tensor::{column, matrix, numbers},
    units::Units,
};

/// The action of the [probability flow](Score::motion) of a score, `f |x|^2/2 - g^2/2 log q_t`, in the
/// network's units.
#[derive(Debug, Clone)]
pub struct ProbabilityFlowAction<A> {
    /// Its gradient is `sigma_t` times the score.
    network: A,
    process: Process,
    units: Units,
}

impl<A: Action> Score<A> {
    /// The motion that keeps the densities `q_t` of a process, as if it were learned by Action Matching:
    /// [`simulate`](crate::flow::simulate) moves points by it and
    /// [`log_density`](crate::likelihood::log_density) follows their density. It is
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
    pub fn motion(self) -> Result<Dynamics<ProbabilityFlowAction<A>>> {
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
        let device = self.dynamics.device().clone();
        let Dynamics { action, units, .. } = self.dynamics;
        let action = ProbabilityFlowAction {
            network: action,
            process,
            units: units.clone(),
        };
        Dynamics::new(action, Lagrangian::kinetic(), units, device)
    }
}

impl<A> ProbabilityFlowAction<A> {
    /// a and b of `a (|x|^2/2 + x . center) - b s` at a time of the user, s what the network learned.
    fn factors(&self, t: f64) -> [f64; 2] {
        let Self { process, units, .. } = self;
        let rate = units.rate(t);
        let length = units.length() * units.scale()[0];
        let noise = process.push_of_noise(t) * units.length() / (length * length);
        [process.f(t) / rate, noise / rate]
    }

    /// The factors at times `[n, 1]` of the network as columns `[n, 1]`.
    fn factors_at(&self, t: &Tensor<2>, f: impl Fn(f64) -> [f64; 2]) -> [Tensor<2>; 2] {
        let times: Vec<f64> = numbers(t.clone());
        let each = times.iter().map(|t| f(self.units.time_out(*t)));
        let (a, b): (Vec<f64>, Vec<f64>) = each.map(<(f64, f64)>::from).unzip();
        [a, b].map(|factor| column(&factor, &t.device()))
    }

    /// `x + center`, `[n, d]`: points from where the user's coordinates are 0.
    fn position(&self, x: Tensor<2>) -> Tensor<2> {
        let zero = Array2::zeros((1, self.units.dimension()));
        let zero = self.units.points_in(zero.view());
        x.clone() - matrix(zero.view(), &x.device())
    }
}

impl<A: Action> Action for ProbabilityFlowAction<A> {
    fn dimension(&self) -> usize {
        self.network.dimension()
    }

    fn value(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let [a, b] = self.factors_at(&t, |t| self.factors(t));
        let squares = self.position(x.clone()).square().sum_dim(1);
        a * squares * 0.5 - b * self.network.value(t, x)
    }

    fn gradient(&self, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let [a, b] = self.factors_at(&t, |t| self.factors(t));
        a * self.position(x.clone()) - b * self.network.gradient(t, x)
    }

    /// The rates of the factors by a central difference.
    fn push(&self, t: Tensor<2>, x: Tensor<2>, dt: Tensor<2>, dx: Tensor<2>) -> Tensor<2> {
        let [a, b] = self.factors_at(&t, |t| self.factors(t));
        let [a_rate, b_rate] = self.factors_at(&t, |t| {
            // Short beside t, for VP has no noise before 0; VE has, and may begin there.
            let h = 1e-5 * if t > 0.0 { t } else { 1.0 };
            let [later, earlier] = [t + h, t - h].map(|t| self.factors(t));
            [0, 1].map(|k| (later[k] - earlier[k]) / (2.0 * h * self.units.rate(t)))
        });
        let position = self.position(x.clone());
        let squares = position.clone().square().sum_dim(1);
        let value = self.network.value(t.clone(), x.clone());
        let of_time = a_rate * squares * 0.5 - b_rate * value;
        let of_points = a * (position * dx.clone()).sum_dim(1);
        dt.clone() * of_time + of_points - b * self.network.push(t, x, dt, dx)
    }

    fn curvature(&self, t: Tensor<2>, x: Tensor<2>, direction: Tensor<2>) -> Tensor<2> {
        let [a, b] = self.factors_at(&t, |t| self.factors(t));
        let squares = direction.clone().square().sum_dim(1);
        a * squares - b * self.network.curvature(t, x, direction)
    }
}

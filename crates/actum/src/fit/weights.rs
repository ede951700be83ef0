//! The parameters of a network under Adam, and their average: on the CPU in the fused layout where
//! the network has one, else as tensors on its device.

use burn::{
    module::Module,
    optim::{AdamConfig, AdamState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Tensor},
};

use crate::{
    action::{
        Action,
        fused::{Adam, DECAY, EPSILON, Network, Update, Workspace},
        parameters,
    },
    error::Result,
    objective::{Batch, Objective, ObjectiveValue},
    tensor::numbers,
};

/// The parameters, their average and Adam's two moments, each flat, in the order the network
/// visits its parameters.
pub(super) type Parts = [Vec<Vec<f32>>; 4];

#[derive(Clone)]
pub(super) struct Weights<A> {
    /// The network without autodiff. Its values are the current ones where they are tensors.
    network: A,
    route: Route,
}

#[derive(Clone)]
enum Route {
    Fused(Network, Adam),
    Tensors {
        average: Vec<Tensor<1>>,
        moments: Vec<Option<AdamState<1>>>,
    },
}

impl<A: Action + Module> Weights<A> {
    pub fn new(network: A) -> Self {
        let network = network.valid();
        let route = match network.fused() {
            Some(fused) => {
                let adam = Adam::new(&fused);
                Route::Fused(fused, adam)
            }
            None => {
                let average = parameters::flat(&network);
                Route::Tensors {
                    moments: vec![None; average.len()],
                    average,
                }
            }
        };
        Self { network, route }
    }

    /// After `steps` steps that led to `average` and moments; the values are those of `network`.
    pub fn resumed(
        network: A,
        steps: usize,
        average: Vec<Tensor<1>>,
        [first, second]: [Vec<Tensor<1>>; 2],
    ) -> Result<Self> {
        let network = network.valid();
        let route = match network.fused() {
            Some(fused) => {
                let [average, first, second] = [average, first, second]
                    .map(|flat| flat.into_iter().map(numbers).collect::<Vec<Vec<f32>>>());
                let adam = Adam::resumed(&fused, steps, &average, [&first, &second])?;
                Route::Fused(fused, adam)
            }
            None => Route::Tensors {
                average,
                moments: first
                    .into_iter()
                    .zip(second)
                    .map(|(m, v)| {
                        let state = || AdamState::new(AdaptiveMomentumState::new(steps, m, v));
                        (steps > 0).then(state)
                    })
                    .collect(),
            },
        };
        Ok(Self { network, route })
    }

    /// The network that names the parameters.
    pub fn network(&self) -> &A {
        &self.network
    }

    /// One step down the gradient, as far as `decide` says who is told the value of the objective
    /// and the norm of the gradient. After an error of his nothing has moved.
    pub fn descend(
        &mut self,
        objective: &Objective,
        batch: &Batch,
        device: &Device,
        workspace: &mut Workspace,
        decide: impl FnOnce(f64, f64) -> Result<Update, String>,
    ) -> Result<ObjectiveValue, String> {
        match &mut self.route {
            Route::Fused(network, adam) => {
                let level = objective.differentiate_fused(network, batch, workspace);
                let update = decide(level.value, workspace.norm())?;
                rayon::scope(|_| adam.step(network, workspace, update));
                Ok(level)
            }
            Route::Tensors { average, moments } => {
                let (level, gradient) = objective.differentiate(&self.network, batch, device);
                let Update { rate, scale, keep } =
                    decide(level.value, parameters::norm(&gradient))?;
                let adam = AdamConfig::new()
                    .with_beta_1(DECAY[0])
                    .with_beta_2(DECAY[1])
                    .with_epsilon(EPSILON)
                    .build();
                let values = parameters::flat(&self.network).into_iter().zip(gradient);
                let moved: Vec<Tensor<1>> = values
                    .enumerate()
                    .map(|(i, (value, gradient))| {
                        let (value, after) =
                            adam.step(rate, value, gradient * scale, moments[i].take());
                        moments[i] = after;
                        average[i] = average[i].clone() * keep + value.clone() * (1.0 - keep);
                        value
                    })
                    .collect();
                self.network = parameters::replace(self.network.clone(), &moved);
                Ok(level)
            }
        }
    }

    pub fn parts(&self) -> Parts {
        match &self.route {
            Route::Fused(network, adam) => {
                let [first, second] = adam.moments();
                [network.parameters(), adam.average(), first, second]
            }
            Route::Tensors { average, moments } => {
                let host = |flat: Vec<Tensor<1>>| flat.into_iter().map(numbers).collect();
                let of = |moment: fn(&AdaptiveMomentumState<1>) -> &Tensor<1>| {
                    let each = moments.iter().zip(average);
                    host(
                        each.map(|(state, average)| match state {
                            Some(state) => moment(&state.momentum).clone(),
                            None => average.zeros_like(),
                        })
                        .collect(),
                    )
                };
                [
                    host(parameters::flat(&self.network)),
                    host(average.clone()),
                    of(|state| &state.moment_1),
                    of(|state| &state.moment_2),
                ]
            }
        }
    }

    /// The network with the average of its parameters.
    pub fn averaged(self, device: &Device) -> A {
        let average = match self.route {
            Route::Fused(_, adam) => {
                let average = adam.average().into_iter();
                let tensor = |values: Vec<f32>| Tensor::from_data(values.as_slice(), device);
                average.map(tensor).collect()
            }
            Route::Tensors { average, .. } => average,
        };
        parameters::replace(self.network, &average)
    }
}

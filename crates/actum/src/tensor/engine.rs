//! A network of tensors as an engine.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Element, Gradients, Tensor, TensorData},
};
use ndarray::{Array1, Array2, ArrayView2, s};

use super::{Jet, Network};
use crate::{
    action::{Action, At, Choice, Choose, Engine, Interior, Rows, Saved, Terms},
    error::Result,
    store::{self, Array},
};

/// A network of tensors with its parameters, on a device. It computes in the device's type of
/// numbers; what crosses to the host as parameters is f32.
pub struct TensorEngine<N> {
    // A module need not be shareable between threads.
    network: Mutex<N>,
    dimension: usize,
    rows: usize,
    device: Device,
    /// The names and shapes of the parameters, in the order the module visits them.
    layout: Vec<(String, Vec<usize>)>,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    saved: Option<Saved>,
}

impl<N: Network> TensorEngine<N> {
    /// The engine of a network whose parameters are on `device`.
    pub fn new(network: N, device: &Device) -> Self {
        let network = network.valid();
        let arrays = collect(&network);
        Self {
            dimension: network.dimension(),
            rows: network.rows(),
            device: device.clone(),
            parameters: arrays.iter().flat_map(|a| a.values.clone()).collect(),
            layout: arrays.into_iter().map(|a| (a.name, a.shape)).collect(),
            gradient: vec![],
            saved: None,
            network: Mutex::new(network),
        }
    }

    /// The engine of a built-in network, whose parameters have other names.
    pub(super) fn built_in(network: N, device: &Device, names: Vec<Array>, saved: Saved) -> Self {
        let mut engine = Self::new(network, device);
        engine.layout = names.into_iter().map(|a| (a.name, a.shape)).collect();
        engine.saved = Some(saved);
        engine
    }

    /// The network with its current parameters.
    pub fn network(&self) -> N {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, N> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `f` makes of some rows at a time.
    fn by_rows(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        columns: usize,
        f: impl Fn(&N, std::ops::Range<usize>, Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Array2<f64> {
        assert_eq!(points.dim(), (times.len(), self.dimension));
        let network = self.locked();
        let mut out = Vec::with_capacity(times.len() * columns);
        for rows in self.ranges(times.len()) {
            let (t, x) = self.inputs(times, points, rows.clone());
            out.extend(numbers::<f64, 2>(f(&network, rows, t, x)));
        }
        Array2::from_shape_vec((times.len(), columns), out).expect("a row for every point")
    }

    fn ranges(&self, rows: usize) -> impl Iterator<Item = std::ops::Range<usize>> + use<N> {
        let most = self.rows;
        (0..rows)
            .step_by(most)
            .map(move |first| first..(first + most).min(rows))
    }

    fn inputs(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        rows: std::ops::Range<usize>,
    ) -> (Tensor<2>, Tensor<2>) {
        let t = column(&times[rows.clone()], &self.device);
        let x = matrix(points.slice_move(s![rows, ..]), &self.device);
        (t, x)
    }

    /// Adds to the gradient in the parameters that of a number.
    fn accumulate(&mut self, tracked: &N, surrogate: Tensor<1>) {
        let gradients = surrogate.backward();
        let more = parameter_gradients(tracked, &gradients);
        self.gradient
            .iter_mut()
            .zip(more)
            .for_each(|(sum, g)| *sum += g);
    }
}

fn value<N: Network>(network: &N, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    network.scalar(Jet::constant(t), Jet::constant(x)).last()
}

fn gradient<N: Network>(network: &N, t: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    let x = x.autodiff().require_grad();
    let s = value(network, t, x.clone());
    let zeros = x.clone().without_autodiff().zeros_like();
    let gradients = s.sum().backward();
    x.grad(&gradients).unwrap_or(zeros)
}

fn curvature<N: Network>(network: &N, t: Tensor<2>, x: Tensor<2>, e: Tensor<2>) -> Tensor<2> {
    network
        .scalar(Jet::constant(t), Jet::line(x, e, 2))
        .coefficient(2)
}

impl<N: Network> Action for TensorEngine<N> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64> {
        let values = self.by_rows(times, points, 1, |network, _, t, x| value(network, t, x));
        values.column(0).to_owned()
    }

    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        self.by_rows(times, points, self.dimension, |network, _, t, x| {
            gradient(network, t, x)
        })
    }

    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64> {
        let curvatures = self.by_rows(times, points, 1, |network, rows, t, x| {
            let e = matrix(directions.slice(s![rows, ..]), &self.device);
            curvature(network, t, x, e)
        });
        curvatures.column(0).to_owned()
    }

    fn as_engine(&self) -> Option<&dyn Engine> {
        Some(self)
    }
}

impl<N: Network> Engine for TensorEngine<N> {
    /// With the directions and coefficients held constant, all terms are one number of tensors,
    /// which is differentiated once for some rows at a time: first-order autodiff is enough.
    fn step(
        &mut self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        choose: &Choose<'_>,
    ) -> Result<Terms> {
        crate::action::check_step(self.dimension, &interior, boundary)?;
        let d = self.dimension;
        self.gradient = vec![0.0; self.parameters.len()];
        let mut terms = Terms::default();
        let frozen = self.network();
        let tracked = frozen.clone().train();
        let Rows {
            times,
            points,
            coefficients,
        } = interior.rows;
        for rows in self.ranges(times.len()) {
            let n = rows.len();
            let (t, x) = self.inputs(times, points, rows.clone());
            let values: Vec<f64> = numbers(value(&frozen, t.clone(), x.clone()));
            let gradients: Vec<f64> = numbers(gradient(&frozen, t.clone(), x.clone()));
            let mut directions = vec![0.0; n * d];
            let [mut weights, mut excess] = [vec![0.0; n], vec![0.0; n]];
            choose(
                rows.clone(),
                At {
                    values: &values,
                    gradients: &gradients,
                },
                Choice {
                    directions: &mut directions,
                    values: &mut weights,
                    excess: &mut excess,
                },
            );
            let directions = Array2::from_shape_vec((n, d), directions).expect("a row for each");
            let dx = matrix(directions.view(), &self.device);
            let dt = column(&vec![interior.dt; n], &self.device);
            let line = |e: Tensor<2>, order| Jet::line(x.clone(), e, order);
            let along = tracked.scalar(Jet::line(t.clone(), dt, 1), line(dx, 1));
            let mut tangent = along.coefficient(1);
            if let Some(second) = interior.curvature {
                let kappa = column(&second.weights[rows.clone()], &self.device);
                let along = |e: Array2<f64>| {
                    let e = matrix(e.view(), &self.device);
                    kappa.clone() * curvature(&tracked, t.clone(), x.clone(), e)
                };
                tangent = match second.probes {
                    Some(probes) => tangent + along(probes.slice(s![rows.clone(), ..]).to_owned()),
                    None => (0..d).fold(tangent, |tangent, j| {
                        let mut unit = Array2::zeros((n, d));
                        unit.column_mut(j).fill(1.0);
                        tangent + along(unit)
                    }),
                };
            }
            let each: Vec<f64> = numbers(tangent.clone().without_autodiff());
            let each = each.iter().zip(&excess);
            terms
                .interior
                .extend(each.map(|(term, excess)| term - excess));
            terms.values.extend(values);
            let mut surrogate = (tangent * column(&coefficients[rows], &self.device)).sum();
            if weights.iter().any(|weight| *weight != 0.0) {
                let values = value(&tracked, t, x);
                surrogate = surrogate + (values * column(&weights, &self.device)).sum();
            }
            self.accumulate(&tracked, surrogate);
        }
        for side in boundary {
            for rows in self.ranges(side.times.len()) {
                let (t, x) = self.inputs(side.times, side.points, rows.clone());
                let weights = column(&side.coefficients[rows], &self.device);
                let sum = (value(&tracked, t, x) * weights).sum();
                terms.boundary += numbers::<f64, 1>(sum.clone().without_autodiff())[0];
                self.accumulate(&tracked, sum);
            }
        }
        Ok(terms)
    }

    fn parameter_gradient(&self) -> &[f32] {
        &self.gradient
    }

    fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    fn update(&mut self, change: &mut (dyn FnMut(&mut [f32], &[f32]) + Send)) {
        change(&mut self.parameters, &self.gradient);
        let network = self.network();
        let network = replace(network, &self.parameters, &self.device);
        self.network = Mutex::new(network);
    }

    fn unpack(&self, values: &[f32]) -> Vec<Array> {
        assert_eq!(values.len(), self.parameters.len());
        let mut rest = values;
        let array = |(name, shape): &(String, Vec<usize>)| {
            let (values, after) = rest.split_at(shape.iter().product());
            rest = after;
            Array {
                name: name.clone(),
                shape: shape.clone(),
                values: values.to_vec(),
            }
        };
        self.layout.iter().map(array).collect()
    }

    fn pack(&self, arrays: &[Array]) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.parameters.len());
        for (name, shape) in &self.layout {
            values.extend(store::find(arrays, name, shape)?);
        }
        Ok(values)
    }

    fn saved(&self) -> Option<Saved> {
        self.saved
    }
}

/// An array `[n, d]` as a tensor of the device's float type.
fn matrix(values: ArrayView2<f64>, device: &Device) -> Tensor<2> {
    let shape = [values.nrows(), values.ncols()];
    let values: Vec<f64> = values.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Numbers `[n]` as a tensor `[n, 1]`.
fn column(values: &[f64], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len(), 1]), device)
}

/// The numbers of a tensor in row-major order.
fn numbers<E: Element, const D: usize>(tensor: Tensor<D>) -> Vec<E> {
    tensor
        .try_into_vec_as()
        .expect("a float tensor can be read as numbers")
}

/// The parameters of a network, by their place in it.
fn collect(network: &impl Module) -> Vec<Array> {
    struct Collect {
        path: Vec<String>,
        arrays: Vec<Array>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val().without_autodiff();
            self.arrays.push(Array {
                name: self.path.join("."),
                shape: tensor.dims().to_vec(),
                values: numbers(tensor),
            });
        }
    }
    let mut visitor = Collect {
        path: vec![],
        arrays: vec![],
    };
    network.visit(&mut visitor);
    visitor.arrays
}

/// The gradients, one parameter after the other; zero for a parameter that nothing depends on.
fn parameter_gradients(network: &impl Module, gradients: &Gradients) -> Vec<f32> {
    struct Collect<'a>(&'a Gradients, Vec<f32>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            match value.grad(self.0) {
                Some(gradient) => self.1.extend(numbers::<f32, D>(gradient)),
                None => self
                    .1
                    .resize(self.1.len() + value.shape().num_elements(), 0.0),
            }
        }
    }
    let mut visitor = Collect(gradients, vec![]);
    network.visit(&mut visitor);
    visitor.1
}

/// The network with other parameters.
fn replace<N: Module>(network: N, values: &[f32], device: &Device) -> N {
    struct Replace<'a>(&'a [f32], &'a Device);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|old| {
                let shape = old.dims();
                let (values, rest) = self.0.split_at(shape.iter().product());
                self.0 = rest;
                Tensor::from_data(TensorData::new(values.to_vec(), shape), self.1)
            })
        }
    }
    network.map(&mut Replace(values, device))
}

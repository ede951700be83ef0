//! The parameters of a network as a list of flat tensors, in the order the network visits them.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Gradients, Tensor},
};

use crate::tensor::numbers;

/// The values, without autodiff.
pub(crate) fn flat(network: &impl Module) -> Vec<Tensor<1>> {
    struct Flat(Vec<Tensor<1>>);
    impl ModuleVisitor for Flat {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().without_autodiff().reshape([-1]));
        }
    }
    let mut visitor = Flat(vec![]);
    network.visit(&mut visitor);
    visitor.0
}

/// The gradients; zero for a parameter that the objective does not depend on.
pub(crate) fn gradients(network: &impl Module, gradients: &Gradients) -> Vec<Tensor<1>> {
    struct Collect<'a>(&'a Gradients, Vec<Tensor<1>>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            let gradient = value
                .grad(self.0)
                .unwrap_or_else(|| value.without_autodiff().zeros_like());
            self.1.push(gradient.reshape([-1]));
        }
    }
    let mut visitor = Collect(gradients, vec![]);
    network.visit(&mut visitor);
    visitor.1
}

/// The network with other values.
pub(crate) fn replace<A: Module>(network: A, values: &[Tensor<1>]) -> A {
    struct Replace<'a>(std::slice::Iter<'a, Tensor<1>>);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let value = self.0.next().expect("one value for every parameter");
            param.map(|old| value.clone().reshape(old.dims()))
        }
    }
    network.map(&mut Replace(values.iter()))
}

/// The Euclidean norm over all parameters.
pub(crate) fn norm(gradients: &[Tensor<1>]) -> f64 {
    let squares = gradients.iter().map(|g| g.clone().square().sum()).collect();
    let squares: Vec<f64> = numbers(Tensor::cat(squares, 0));
    squares.iter().sum::<f64>().sqrt()
}

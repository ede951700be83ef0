//! A network of one's own in tensors.

use actum::{
    action::{Action, Device, Engine},
    error::ErrorKind,
    fit::{Options, fit},
    gallery::gaussian::{Gaussian, Moments},
    lagrangian::Lagrangian,
    problem::{Estimator, Problem},
    tensor::{Jet, Network, TensorEngine},
    units::Units,
};
use burn::{
    module::{Module, Param},
    tensor::{Tensor, TensorData},
};
use ndarray::array;

use crate::support::{assert_close, learn::level, networks::jvp, tensors::device};

/// `s = a |x|^2 / 2 + t b . x`.
#[derive(Module, Debug)]
struct Quadratic {
    a: Param<Tensor<2>>,
    b: Param<Tensor<2>>,
}

impl Network for Quadratic {
    fn dimension(&self) -> usize {
        self.b.dims()[0]
    }

    fn scalar(&self, t: Jet<2>, x: Jet<2>) -> Jet<2> {
        let square = x.product(&x, |x, y| (x * y).sum_dim(1));
        let along = x.map(|x| x.matmul(self.b.val()));
        let moved = along.product(&t, |along, t| along * t);
        square
            .map(|square| square.matmul(self.a.val()) * 0.5)
            .plus(moved)
    }
}

fn quadratic(a: f64, b: [f64; 2]) -> TensorEngine<Quadratic> {
    let tensor = |values: Vec<f64>| {
        let rows = values.len();
        Param::from_tensor(Tensor::from_data(
            TensorData::new(values, [rows, 1]),
            &device(),
        ))
    };
    let network = Quadratic {
        a: tensor(vec![a]),
        b: tensor(b.to_vec()),
    };
    TensorEngine::new(network, &device())
}

#[test]
fn derivatives_are_those_of_the_closed_form() {
    let mut network = quadratic(3.0, [2.0, -1.0]);
    assert_eq!(network.parameters(), [3.0, 2.0, -1.0]);
    let (times, x) = ([0.5, 0.1], array![[1.0, 2.0], [-3.0, 0.5]]);
    let close = |ours: &[f64], theirs: [f64; 2]| assert_close(ours, &theirs, 1.0, 1e-12, "closed");
    let value = network.value(&times, x.view());
    close(value.as_slice().unwrap(), [7.5, 1.5 * 9.25 - 0.65]);
    let gradient = network.gradient(&times, x.view());
    close(gradient.column(0).to_vec().as_slice(), [4.0, -8.8]);
    close(gradient.column(1).to_vec().as_slice(), [5.5, 1.4]);
    let e = array![[1.0, 1.0], [2.0, 0.0]];
    let curvature = network.curvature(&times, x.view(), e.view());
    close(curvature.as_slice().unwrap(), [6.0, 12.0]);
    // dt b.x + e . grad s
    let along = jvp(&mut network, &times, x.view(), 0.5, e.view());
    close(&along, [9.5, 0.5 * -6.5 - 17.6]);
}

/// The mean accelerates along b, which is then all that there is to be learned.
#[test]
fn it_is_fitted_like_any_other_and_has_no_place_in_a_file() {
    let path = Gaussian::new(2, |t| Moments {
        mean: vec![t * t, -0.5 * t * t],
        mean_rate: vec![2.0 * t, -t],
        std_dev: 1.0,
        std_dev_rate: 0.0,
    });
    let problem = Problem::new(&path, Lagrangian::kinetic(), Units::identity(2));
    let options = Options {
        steps: 400,
        batch: 64,
        learning_rate: 5e-2,
        ema_decay: 0.9,
        estimator: Estimator::Velocity,
        ..Options::default()
    };
    let network = Box::new(quadratic(1.0, [0.0, 0.0]));
    let dynamics = fit(network, &problem, &options, &mut ()).unwrap();
    // -1/2 int |b|^2 t^2 dt
    let level = level(&dynamics, &problem);
    assert!((level + 5.0 / 6.0).abs() < 0.02, "{level}");
    let engine = dynamics.action().as_engine().unwrap();
    let found = engine.parameters();
    for (found, expected) in found.iter().zip([0.0, 2.0, -1.0]) {
        assert!((found - expected).abs() < 0.05, "{found} {expected}");
    }
    let folder = tempfile::tempdir().unwrap();
    let saved = dynamics.save(&folder.path().join("model.safetensors"));
    assert_eq!(saved.unwrap_err().kind(), ErrorKind::Setting);
    let placed = Device::from(device()).place(Box::new(quadratic(1.0, [0.0, 0.0])));
    assert_eq!(placed.err().unwrap().kind(), ErrorKind::Setting);
}

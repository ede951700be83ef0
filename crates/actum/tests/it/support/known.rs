//! An action without parameters as an engine.

use actum::{
    action::{Action, At, Choice, Choose, Engine, Interior, Rows, Terms},
    error::Result,
    store::Array,
};
use ndarray::{Array1, Array2, ArrayView2, Zip};

/// Computes the terms of the objective one by one, from the derivatives of an action: an engine
/// that shares no code with the others, for the oracle and for the level of fitted actions.
pub struct Known<'a> {
    action: &'a dyn Action,
    rate: Option<&'a Rate<'a>>,
}

/// `d_t s` at times and points.
type Rate<'a> = dyn Fn(&[f64], ArrayView2<f64>) -> Array1<f64> + Sync + 'a;

impl<'a> Known<'a> {
    /// For the estimator `velocity`, which has no derivative in time.
    pub fn of(action: &'a dyn Action) -> Self {
        Self { action, rate: None }
    }

    /// With the time derivative, for either estimator.
    pub fn with_rate(action: &'a dyn Action, rate: &'a Rate<'a>) -> Self {
        Self {
            action,
            rate: Some(rate),
        }
    }

    /// `sum_e e' (grad^2 s) e` over the probes or the axes.
    fn second(&self, rows: Rows, probes: Option<ArrayView2<f64>>) -> Array1<f64> {
        let along = |e: ArrayView2<f64>| self.action.curvature(rows.times, rows.points, e);
        if let Some(probes) = probes {
            return along(probes);
        }
        let shape = rows.points.dim();
        let axes = (0..shape.1).map(|j| Array2::from_shape_fn(shape, |(_, k)| f64::from(j == k)));
        axes.fold(Array1::zeros(shape.0), |sum, axis| sum + along(axis.view()))
    }
}

impl Action for Known<'_> {
    fn dimension(&self) -> usize {
        self.action.dimension()
    }

    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64> {
        self.action.value(times, points)
    }

    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        self.action.gradient(times, points)
    }

    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64> {
        self.action.curvature(times, points, directions)
    }
}

impl Engine for Known<'_> {
    fn step(
        &mut self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        choose: &Choose<'_>,
    ) -> Result<Terms> {
        let rows = interior.rows;
        let (values, gradients) = self.action.value_and_gradient(rows.times, rows.points);
        let (values, gradients) = (values.to_vec(), gradients.as_standard_layout().into_owned());
        let n = rows.times.len();
        let mut directions = Array2::zeros(gradients.dim());
        let [mut of_values, mut excess] = [vec![0.0; n], vec![0.0; n]];
        choose(
            0..n,
            At {
                values: &values,
                gradients: gradients.as_slice().unwrap(),
            },
            Choice {
                directions: directions.as_slice_mut().unwrap(),
                values: &mut of_values,
                excess: &mut excess,
            },
        );
        let mut terms = (directions * gradients).sum_axis(ndarray::Axis(1)) - Array1::from(excess);
        if interior.dt != 0.0 {
            let rate = self.rate.expect("the derivative in time is known");
            terms.scaled_add(interior.dt, &rate(rows.times, rows.points));
        }
        if let Some(curvature) = interior.curvature {
            Zip::from(&mut terms)
                .and(&self.second(rows, curvature.probes))
                .and(curvature.weights)
                .for_each(|term, second, weight| *term += weight * second);
        }
        let boundary = boundary.iter().map(|side| {
            let values = self.action.value(side.times, side.points);
            values.dot(&ndarray::aview1(side.coefficients))
        });
        Ok(Terms {
            interior: terms.to_vec(),
            values,
            boundary: boundary.sum(),
        })
    }

    fn parameter_gradient(&self) -> &[f32] {
        &[]
    }

    fn parameters(&self) -> &[f32] {
        &[]
    }

    fn update(&mut self, _: &mut (dyn FnMut(&mut [f32], &[f32]) + Send)) {}

    fn unpack(&self, _: &[f32]) -> Vec<Array> {
        vec![]
    }

    fn pack(&self, _: &[Array]) -> Result<Vec<f32>> {
        Ok(vec![])
    }
}

//! What a fit returns: an action, its Lagrangian and the units of the data.

use std::{path::Path as FilePath, sync::Arc};

use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Device, Saved},
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::{Lagrangian, Scaled},
    store::{self, Array, versioned},
    units::Units,
};

/// A learned motion, in the user's units: `dx = v_t(x) dt + sigma_t dW`, `d log w = g_t(x) dt`.
#[derive(Clone)]
pub struct Dynamics {
    action: Arc<dyn Action>,
    /// What the action was charged for, and so how it moves points.
    pub lagrangian: Lagrangian,
    /// From the user's units to the network's and back.
    pub units: Units,
}

impl std::fmt::Debug for Dynamics {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Dynamics")
            .field("lagrangian", &self.lagrangian)
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}

/// What the action says about points at one time, in the user's units.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The action `s_t(x)`, `[n]`, in the units of the cost.
    pub action: Array1<f64>,
    /// The velocity `v = b + grad c*(grad s)`, `[n, d]`, in the user's coordinates.
    pub velocity: Array2<f64>,
    /// `|v|`, `[n]`, in units of distance per unit of time.
    pub speed: Array1<f64>,
    /// The growth rate `g = lambda s`, `[n]`, per unit of time; 0 without growth.
    pub growth: Array1<f64>,
    /// The kinetic energy `c(v - b)`, `[n]`: what the motion costs.
    pub energy: Array1<f64>,
}

impl Dynamics {
    /// Joins the parts; the action is in the network's units.
    ///
    /// # Errors
    /// An action or a metric of another dimension than the units.
    pub fn new(
        action: impl Action + 'static,
        lagrangian: Lagrangian,
        units: Units,
    ) -> Result<Self> {
        ensure!(
            action.dimension() == units.dimension(),
            Shape,
            "the action has {} columns, the units {}",
            action.dimension(),
            units.dimension()
        );
        lagrangian.check(units.dimension())?;
        Ok(Self {
            action: Arc::new(action),
            lagrangian,
            units,
        })
    }

    /// The action, in the network's units.
    pub fn action(&self) -> &Arc<dyn Action> {
        &self.action
    }

    /// The velocity `b + grad c*(grad s)` at time `t` of every point, `[n, d]`, all in the user's
    /// units.
    ///
    /// # Errors
    /// Points of another dimension, a time outside of what was learned.
    pub fn velocity(&self, t: f64, points: &Array2<f64>) -> Result<Array2<f64>> {
        self.check(points)?;
        self.units.check_times([&t])?;
        let inner = self.units.points_in(points.view());
        let evaluator = self.evaluator();
        let velocity = evaluator.velocity(self.units.time_in(t), &inner);
        Ok(self.units.velocities_out(t, velocity.view()))
    }

    /// The action `s_t(x)` of every point, `[n]`, in the units of the cost (squared distance over
    /// time for quadratic costs). Without growth it is defined up to a function of time.
    ///
    /// # Errors
    /// Points of another dimension, a time outside of what was learned.
    pub fn action_at(&self, t: f64, points: &Array2<f64>) -> Result<Array1<f64>> {
        self.check(points)?;
        self.units.check_times([&t])?;
        let inner = self.units.points_in(points.view());
        let (values, _) = self.evaluator().local(self.units.time_in(t), &inner);
        let exponent = self.lagrangian.cost().exponent();
        Ok(values * self.units.action(exponent, t))
    }

    /// All that the action says about every point, `[n, d]`, at time `t`.
    ///
    /// # Errors
    /// Points of another dimension, a time outside of what was learned.
    pub fn describe(&self, t: f64, points: &Array2<f64>) -> Result<Description> {
        self.check(points)?;
        self.units.check_times([&t])?;
        let cost = self.lagrangian.cost();
        let inner = self.units.points_in(points.view());
        let evaluator = self.evaluator();
        let time = self.units.time_in(t);
        let (values, gradients) = evaluator.local(time, &inner);
        let action = values * self.units.action(cost.exponent(), t);
        let free = self
            .units
            .velocities_out(t, cost.velocities(gradients).view());
        let drift = evaluator.drift(time, &inner);
        let velocity = match drift {
            Some(drift) => &free + &self.units.velocities_out(t, drift.view()),
            None => free.clone(),
        };
        let scale = self.units.scale();
        let by_distance = |v: &Array2<f64>, f: &dyn Fn(&[f64]) -> f64| {
            let scaled = v / &scale;
            let rows = scaled.rows().into_iter();
            rows.map(|row| f(row.to_slice().expect("row-major")))
                .collect()
        };
        Ok(Description {
            growth: &action * self.lagrangian.lambda(),
            speed: by_distance(&velocity, &|v| v.iter().map(|v| v * v).sum::<f64>().sqrt()),
            energy: by_distance(&free, &|v| cost.cost(v)),
            action,
            velocity,
        })
    }

    /// The score `grad log q_t(x)` of every point, `[n, d]`, for free: this action was fitted with
    /// noise and `plain` without, both carry the same densities, so
    /// `grad s - grad s_plain = sigma^2/2 grad log q` (docs/mathematics.md, section 10).
    ///
    /// # Errors
    /// Points of another dimension, a time outside of what was learned; no noise here at t, or noise there; Lagrangians that differ in
    /// more than noise, have growth or another cost than the kinetic one.
    pub fn score(&self, plain: &Self, t: f64, points: &Array2<f64>) -> Result<Array2<f64>> {
        let variance = self.comparable(plain, t)?;
        let scale = self.units.scale();
        let apart = self.velocity(t, points)? - plain.velocity(t, points)?;
        Ok(apart * (2.0 / variance) / (&scale * &scale))
    }

    /// `log q_t(x)` of every point, `[n]`, up to a function of time, like [`score`](Self::score).
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn relative_log_density(
        &self,
        plain: &Self,
        t: f64,
        points: &Array2<f64>,
    ) -> Result<Array1<f64>> {
        let variance = self.comparable(plain, t)?;
        let apart = self.action_at(t, points)? - plain.action_at(t, points)?;
        Ok(apart * (2.0 / variance))
    }

    /// `sigma_t^2`, if the two differ in noise alone.
    fn comparable(&self, plain: &Self, t: f64) -> Result<f64> {
        let (noisy, other) = (&self.lagrangian, &plain.lagrangian);
        let sigma = noisy.sigma(t);
        ensure!(
            sigma > 0.0 && !other.is_noisy(),
            Setting,
            "a score needs a dynamics with noise and one without; at time {t} they have {sigma} and \
             {}",
            other.sigma(t)
        );
        ensure!(
            noisy.clone().without_noise() == *other && !noisy.grows() && noisy.cost().is_kinetic(),
            Setting,
            "a score needs two Lagrangians that differ in noise alone, with the kinetic cost and \
             without growth"
        );
        ensure!(
            self.units.scale() == plain.units.scale(),
            Setting,
            "a score needs two dynamics with the same units of distance"
        );
        Ok(sigma * sigma)
    }

    /// The motion in the network's units, for many calls.
    pub(crate) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            dynamics: self,
            scaled: self.lagrangian.scaled(&self.units),
        }
    }

    pub(crate) fn check(&self, points: &Array2<f64>) -> Result<()> {
        ensure!(
            points.ncols() == self.units.dimension(),
            Shape,
            "the dynamics moves points of {} columns, got {}",
            self.units.dimension(),
            points.ncols()
        );
        Ok(())
    }
}

/// A [`Dynamics`] in the network's units.
pub(crate) struct Evaluator<'a> {
    dynamics: &'a Dynamics,
    pub scaled: Scaled<'a>,
}

impl Evaluator<'_> {
    /// `v = b + grad c*(grad s)` at a time of points `[n, d]`.
    pub fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        let times = vec![t; points.nrows()];
        let gradients = self.dynamics.action.gradient(&times, points.view());
        self.total(t, points, gradients)
    }

    /// `v` and the growth rate `lambda s`, `[n]`.
    pub fn velocity_and_growth(&self, t: f64, points: &Array2<f64>) -> (Array2<f64>, Array1<f64>) {
        let (values, gradients) = self.local(t, points);
        let velocity = self.total(t, points, gradients);
        (velocity, values * self.scaled.growth(t))
    }

    /// `s` `[n]` and `grad s` `[n, d]`.
    pub fn local(&self, t: f64, points: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
        let times = vec![t; points.nrows()];
        let action = &self.dynamics.action;
        action.value_and_gradient(&times, points.view())
    }

    /// `div v`, `[n]`, or its estimate `e' (grad v) e` by one probe e for every point, `[n, d]`,
    /// given `grad s` `[n, d]`.
    pub fn divergence(
        &self,
        t: f64,
        points: &Array2<f64>,
        gradients: &Array2<f64>,
        probes: Option<&Array2<f64>>,
    ) -> Array1<f64> {
        let along = |e: &Array2<f64>| {
            let cost = self.dynamics.lagrangian.cost();
            let mut turned = Array2::zeros(e.raw_dim());
            let rows = turned.rows_mut().into_iter().zip(gradients.rows());
            for ((mut turned, p), e) in rows.zip(e.rows()) {
                cost.root(
                    p.to_slice().expect("row-major"),
                    e.to_slice().expect("row-major"),
                    turned.as_slice_mut().expect("row-major"),
                );
            }
            let mut sum = self.curvature(t, points, &turned);
            let times = vec![t; points.nrows()];
            if let Some(drift) = self.scaled.drift_along(&times, points.view(), e.view()) {
                sum += &(drift * e).sum_axis(Axis(1));
            }
            sum
        };
        let Some(probes) = probes else {
            let mut sum = Array1::zeros(points.nrows());
            for j in 0..points.ncols() {
                let mut unit = Array2::zeros(points.raw_dim());
                unit.column_mut(j).fill(1.0);
                sum += &along(&unit);
            }
            return sum;
        };
        along(probes)
    }

    /// `e' (grad^2 s) e`, `[n]`.
    fn curvature(&self, t: f64, points: &Array2<f64>, directions: &Array2<f64>) -> Array1<f64> {
        let times = vec![t; points.nrows()];
        let action = &self.dynamics.action;
        action.curvature(&times, points.view(), directions.view())
    }

    /// The known drift `[n, d]`, where there is one.
    pub fn drift(&self, t: f64, points: &Array2<f64>) -> Option<Array2<f64>> {
        self.scaled.drift(&vec![t; points.nrows()], points.view())
    }

    /// `b + grad c*(p)` at points `[n, d]` with the gradients p, `[n, d]`.
    pub fn total(&self, t: f64, points: &Array2<f64>, gradients: Array2<f64>) -> Array2<f64> {
        let learned = self.dynamics.lagrangian.cost().velocities(gradients);
        match self.drift(t, points) {
            Some(drift) => learned + drift,
            None => learned,
        }
    }
}

/// Everything about a [`Dynamics`] except its numbers.
#[derive(Serialize, Deserialize)]
struct Header {
    version: String,
    #[serde(flatten)]
    network: Saved,
    lagrangian: Lagrangian,
    units: Units,
}

/// The key of the header in a safetensors file.
const HEADER: &str = "actum";

impl Dynamics {
    /// Writes the parameters as safetensors, with the units and the Lagrangian in its metadata;
    /// whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written; an action that is no network of this library; a known drift that
    /// is a function.
    pub fn save(&self, path: &FilePath) -> Result<()> {
        let foreign = || {
            let what = "cannot save this action: only the networks of this library have a place in a \
                        file";
            Error::new(ErrorKind::Setting, what)
        };
        let engine = self.action.as_engine().ok_or_else(foreign)?;
        let network = engine.saved().ok_or_else(foreign)?;
        let header = header(network, &self.lagrangian, &self.units)?;
        let arrays = engine.unpack(engine.parameters());
        store::write_arrays(path, &arrays, &[(HEADER, &header)])
    }

    /// Reads what [`save`](Dynamics::save) wrote, onto `device`.
    ///
    /// # Errors
    /// The file is missing, truncated, of another version, or not one of these.
    pub fn load(path: &FilePath, device: &Device) -> Result<Self> {
        let (arrays, metadata) = store::read_arrays(path)?;
        let text = metadata.get(HEADER).ok_or_else(|| {
            Error::new(
                ErrorKind::Format,
                format!(
                    "{}: no `{HEADER}` in its metadata: not a saved dynamics",
                    path.display()
                ),
            )
        })?;
        Self::of(text, &arrays, device).map_err(|e| e.within(path.display()))
    }

    /// Of a [`header`] and the parameters of its network.
    pub(crate) fn of(text: &str, arrays: &[Array], device: &Device) -> Result<Self> {
        let header: Header = versioned(text.as_bytes())?;
        ensure!(
            header.units.is_whole(),
            Format,
            "its units are damaged: {:?}",
            header.units
        );
        let numbers = arrays.iter().map(|array| array.values.len()).sum();
        let mut network = header.network.blank(header.units.dimension(), numbers)?;
        let values = network.pack(arrays)?;
        network.update(&mut |parameters, _| parameters.copy_from_slice(&values));
        let network = device.place(network)?;
        Self::new(network, header.lagrangian, header.units)
    }
}

/// All of a motion except its numbers, as text.
///
/// # Errors
/// A known drift that is a function.
pub(crate) fn header(network: Saved, lagrangian: &Lagrangian, units: &Units) -> Result<String> {
    let header = Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        network,
        lagrangian: lagrangian.clone(),
        units: units.clone(),
    };
    serde_json::to_string(&header)
        .map_err(|cause| Error::new(ErrorKind::Setting, "cannot save it").because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        store::write_arrays(&file, &[], &[(HEADER, "{\"version\":\"7.9.9\"}")]).unwrap();
        let error = Dynamics::load(&file, &Device::cpu()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Version);
        assert!(error.to_string().contains("7.9.9"), "{error}");
        store::write_arrays(&file, &[], &[("other", "{}")]).unwrap();
        let error = Dynamics::load(&file, &Device::cpu()).unwrap_err();
        assert!(
            error.to_string().contains("not a saved dynamics"),
            "{error}"
        );
    }
}

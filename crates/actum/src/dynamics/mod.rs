//! What a fit returns: an action, its Lagrangian and the units of the data.

pub(crate) mod store;

use std::{cell::RefCell, path::Path as FilePath};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    action::{
        Action, Mlp, Sizes, UNet,
        fused::{Network, Workspace},
    },
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::{Lagrangian, Scaled},
    tensor::{matrix, numbers},
    units::Units,
};

/// A learned motion, in the user's units: `dx = v_t(x) dt + sigma_t dW`, `d log w = g_t(x) dt`.
#[derive(Debug, Clone)]
pub struct Dynamics<A> {
    /// The action, in the network's units, without autodiff.
    pub action: A,
    /// What the action was charged for, and so how it moves points.
    pub lagrangian: Lagrangian,
    /// From the user's units to the network's and back.
    pub units: Units,
    device: Device,
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

/// How many rows the network sees at once: bounds the memory of its activations.
const ROWS: usize = 8192;

impl<A: Action> Dynamics<A> {
    /// Joins the parts; `device` is where the action's parameters are.
    ///
    /// # Errors
    /// An action or a metric of another dimension than the units.
    pub fn new(action: A, lagrangian: Lagrangian, units: Units, device: Device) -> Result<Self> {
        ensure!(
            action.dimension() == units.dimension(),
            Shape,
            "the action has {} columns, the units {}",
            action.dimension(),
            units.dimension()
        );
        lagrangian.check(units.dimension())?;
        Ok(Self {
            action,
            lagrangian,
            units,
            device,
        })
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

    /// Where the parameters of the action are.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The motion in the network's units, for many calls.
    pub(crate) fn evaluator(&self) -> Evaluator<'_, A> {
        Evaluator {
            dynamics: self,
            scaled: self.lagrangian.scaled(&self.units),
            network: self.action.fused(),
            workspace: RefCell::new(Workspace::default()),
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

/// A [`Dynamics`] in the network's units, with the memory that its evaluations share.
pub(crate) struct Evaluator<'a, A> {
    dynamics: &'a Dynamics<A>,
    pub scaled: Scaled<'a>,
    network: Option<Network>,
    workspace: RefCell<Workspace>,
}

impl<A: Action> Evaluator<'_, A> {
    /// `v = b + grad c*(grad s)` at a time of points `[n, d]`.
    pub fn velocity(&self, t: f64, points: &Array2<f64>) -> Array2<f64> {
        let gradients = match &self.network {
            Some(network) => {
                let workspace = &mut *self.workspace.borrow_mut();
                fused_rows(t, points, points.ncols(), |times, points, out| {
                    workspace.gradient(network, times, points, out)
                })
            }
            None => self.by_rows(t, points, points.ncols(), |t, x| {
                self.dynamics.action.gradient(t, x)
            }),
        };
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
        let action = &self.dynamics.action;
        let Some(network) = &self.network else {
            let values = self.by_rows(t, points, 1, |t, x| action.value(t, x));
            let gradients = self.by_rows(t, points, points.ncols(), |t, x| action.gradient(t, x));
            return (values.column(0).to_owned(), gradients);
        };
        let mut values = vec![0.0; points.nrows()];
        let workspace = &mut *self.workspace.borrow_mut();
        let gradients = fused_rows(t, points, points.ncols(), |times, points, out| {
            workspace.value_and_gradient(network, times, points, &mut values, out)
        });
        (values.into_iter().map(f64::from).collect(), gradients)
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
        let out = match &self.network {
            Some(network) => {
                let directions: Vec<f32> = directions.iter().map(|e| *e as f32).collect();
                let workspace = &mut *self.workspace.borrow_mut();
                fused_rows(t, points, 1, |times, points, out| {
                    workspace.curvature(network, times, points, &directions, out)
                })
            }
            None => {
                let device = &self.dynamics.device;
                let rows = directions.axis_chunks_iter(Axis(0), ROWS);
                let directions: Vec<_> = rows.map(|rows| matrix(rows, device)).collect();
                let mut directions = directions.into_iter();
                self.by_rows(t, points, 1, |t, x| {
                    let e = directions.next().expect("as many chunks");
                    self.dynamics.action.curvature(t, x, e)
                })
            }
        };
        out.column(0).to_owned()
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

    fn by_rows(
        &self,
        t: f64,
        points: &Array2<f64>,
        columns: usize,
        mut f: impl FnMut(Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Array2<f64> {
        let device = &self.dynamics.device;
        let mut out = Vec::with_capacity(points.nrows() * columns);
        for rows in points.axis_chunks_iter(Axis(0), ROWS) {
            let times = Tensor::full([rows.nrows(), 1], t, device);
            out.extend(numbers::<f64, 2>(f(times, matrix(rows, device))));
        }
        Array2::from_shape_vec((points.nrows(), columns), out)
            .expect("the action returns one row for every point")
    }
}

/// What `write` leaves in `columns` numbers for every point, given times `[n]` and points `[n, d]`
/// in f32, called where its parallel loops need no switch of threads.
fn fused_rows(
    t: f64,
    points: &Array2<f64>,
    columns: usize,
    write: impl FnOnce(&[f32], &[f32], &mut [f32]) -> Result<()> + Send,
) -> Array2<f64> {
    let times = vec![t as f32; points.nrows()];
    let single: Vec<f32> = points.iter().map(|x| *x as f32).collect();
    let mut out = vec![0.0; points.nrows() * columns];
    rayon::scope(|_| write(&times, &single, &mut out))
        .expect("points have the dimension of the action");
    let out = out.into_iter().map(f64::from).collect();
    Array2::from_shape_vec((points.nrows(), columns), out).expect("a row for every point")
}

/// A network that a file can hold: its sizes are written beside its numbers.
pub trait Stored: Action + Module {
    /// What the network is made from, besides its columns.
    type Sizes: Serialize + DeserializeOwned;

    /// The sizes of this network.
    fn sizes(&self) -> Self::Sizes;

    /// A network of these sizes for `dimension` columns, whatever its numbers.
    ///
    /// # Errors
    /// Sizes that no network has.
    fn of_sizes(sizes: Self::Sizes, dimension: usize, device: &Device) -> Result<Self>;
}

/// The sizes of an [`Mlp`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct MlpSizes {
    width: usize,
    depth: usize,
}

impl Stored for Mlp {
    type Sizes = MlpSizes;

    fn sizes(&self) -> MlpSizes {
        MlpSizes {
            width: self.width(),
            depth: self.depth(),
        }
    }

    fn of_sizes(sizes: MlpSizes, dimension: usize, device: &Device) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        Self::new(dimension, sizes.width, sizes.depth, device, &mut rng)
    }
}

impl Stored for UNet {
    type Sizes = UNetSizes;

    fn sizes(&self) -> UNetSizes {
        UNetSizes { unet: self.sizes() }
    }

    fn of_sizes(sizes: UNetSizes, _: usize, device: &Device) -> Result<Self> {
        Self::new(sizes.unet, device, &mut ChaCha8Rng::seed_from_u64(0))
    }
}

/// The sizes of a [`UNet`], under its name.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct UNetSizes {
    unet: Sizes,
}

/// Everything about a [`Dynamics`] except its numbers.
#[derive(Serialize, Deserialize)]
struct Header<S> {
    version: String,
    #[serde(flatten)]
    sizes: S,
    lagrangian: Lagrangian,
    units: Units,
}

/// The key of the header in a safetensors file.
const HEADER: &str = "actum";

impl<A: Stored> Dynamics<A> {
    /// Writes the parameters as safetensors, with the units and the Lagrangian in its metadata;
    /// whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written; a known drift that is a function.
    pub fn save(&self, path: &FilePath) -> Result<()> {
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sizes: self.action.sizes(),
            lagrangian: self.lagrangian.clone(),
            units: self.units.clone(),
        };
        let header = serde_json::to_string(&header)
            .map_err(|cause| Error::new(ErrorKind::Setting, "cannot save it").because(cause))?;
        store::write(path, &store::collect(&self.action), &[(HEADER, &header)])
    }

    /// Reads what [`save`](Dynamics::save) wrote, onto `device`.
    ///
    /// # Errors
    /// The file is missing, truncated, of another version, or not one of these.
    pub fn load(path: &FilePath, device: &Device) -> Result<Self> {
        let (arrays, metadata) = store::read(path)?;
        let text = metadata.get(HEADER).ok_or_else(|| {
            Error::new(
                ErrorKind::Format,
                format!(
                    "{}: no `{HEADER}` in its metadata: not a saved dynamics",
                    path.display()
                ),
            )
        })?;
        let header: Header<A::Sizes> =
            versioned(text.as_bytes()).map_err(|e| e.within(path.display()))?;
        ensure!(
            header.units.is_whole(),
            Format,
            "{}: its units are damaged: {:?}",
            path.display(),
            header.units
        );
        let within = |e: Error| e.within(path.display());
        let blank = A::of_sizes(header.sizes, header.units.dimension(), device).map_err(within)?;
        let action = store::restore(blank.valid(), &arrays, device).map_err(within)?;
        Self::new(action, header.lagrangian, header.units, device.clone())
    }
}

/// Reads JSON with a field `version`, which is checked before the rest is looked at.
pub(crate) fn versioned<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let broken = |cause: serde_json::Error| {
        Error::new(ErrorKind::Format, "it is damaged: its JSON cannot be read").because(cause)
    };
    let value: serde_json::Value = serde_json::from_slice(text).map_err(broken)?;
    check_version(value["version"].as_str().unwrap_or_default())?;
    serde_json::from_slice(text).map_err(broken)
}

/// Whether files written by `version` can be read: same major, and same minor before 1.0.
fn check_version(version: &str) -> Result<()> {
    let ours = env!("CARGO_PKG_VERSION");
    let compatible = |v: &str| {
        let mut parts = v.split('.').map(str::to_owned);
        let major = parts.next()?;
        Some(if major == "0" {
            (major, parts.next())
        } else {
            (major, None)
        })
    };
    ensure!(
        compatible(version).is_some() && compatible(version) == compatible(ours),
        Version,
        "written by version {} of actum, this is {ours}; fit again or use that version",
        if version.is_empty() {
            "(unknown)"
        } else {
            version
        }
    );
    Ok(())
}

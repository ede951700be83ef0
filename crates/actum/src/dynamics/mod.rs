//! What a fit returns: an action, its Lagrangian and the units of the data.

pub(crate) mod store;

use std::{cell::RefCell, path::Path as FilePath};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    action::{Action, Mlp, fused::Workspace},
    error::{Error, ErrorKind, Result, ensure},
    lagrangian::Lagrangian,
    tensor::{matrix, numbers},
    units::Units,
};

/// A learned motion: `dx/dt = v_t(x)`, in the user's units.
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

/// How many rows the network sees at once: bounds the memory of its activations.
const ROWS: usize = 8192;

impl<A: Action> Dynamics<A> {
    /// Joins the parts; `device` is where the action's parameters are.
    ///
    /// # Errors
    /// An action of another dimension than the units.
    pub fn new(action: A, lagrangian: Lagrangian, units: Units, device: Device) -> Result<Self> {
        ensure!(
            action.dimension() == units.dimension(),
            Shape,
            "the action has {} columns, the units {}",
            action.dimension(),
            units.dimension()
        );
        Ok(Self {
            action,
            lagrangian,
            units,
            device,
        })
    }

    /// The velocity at time `t` of every point, `[n, d]`, all in the user's units.
    ///
    /// # Errors
    /// Points of another dimension.
    pub fn velocity(&self, t: f64, points: &Array2<f64>) -> Result<Array2<f64>> {
        self.check(points)?;
        let inner = self.units.points_in(points.view());
        let velocity = self.field()(self.units.time_in(t), &inner);
        Ok(self.units.velocities_out(t, velocity.view()))
    }

    /// The action `s_t(x)` of every point, `[n]`, in the units of the cost (squared length over
    /// time). It is defined up to a function of time.
    ///
    /// # Errors
    /// Points of another dimension.
    pub fn action_at(&self, t: f64, points: &Array2<f64>) -> Result<Vec<f64>> {
        self.check(points)?;
        let inner = self.units.points_in(points.view());
        let time = self.units.time_in(t);
        let values = match self.action.fused() {
            Some(network) => fused_rows(time, &inner, 1, |times, points, values| {
                Workspace::default().value(&network, times, points, values)
            }),
            None => self.by_rows(time, &inner, 1, |t, x| self.action.value(t, x)),
        };
        Ok(values.iter().map(|s| s * self.units.action(t)).collect())
    }

    /// The velocity in the network's units, for many calls.
    pub(crate) fn field(&self) -> impl Fn(f64, &Array2<f64>) -> Array2<f64> + '_ {
        let network = self.action.fused();
        let lagrangian = self.lagrangian;
        let workspace = RefCell::new(Workspace::default());
        move |t, points| {
            let Some(network) = &network else {
                return self.by_rows(t, points, points.ncols(), |t, x| {
                    lagrangian.velocity(self.action.gradient(t, x))
                });
            };
            let workspace = &mut *workspace.borrow_mut();
            fused_rows(t, points, points.ncols(), |times, points, velocity| {
                workspace.gradient(network, times, points, velocity)?;
                lagrangian.move_along(velocity);
                Ok(())
            })
        }
    }

    fn by_rows(
        &self,
        t: f64,
        points: &Array2<f64>,
        columns: usize,
        f: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Array2<f64> {
        let mut out = Vec::with_capacity(points.nrows() * columns);
        for rows in points.axis_chunks_iter(ndarray::Axis(0), ROWS) {
            let times = Tensor::full([rows.nrows(), 1], t, &self.device);
            out.extend(numbers::<f64, 2>(f(times, matrix(rows, &self.device))));
        }
        Array2::from_shape_vec((points.nrows(), columns), out)
            .expect("the action returns one row for every point")
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

/// Everything about a [`Dynamics`] of an [`Mlp`] except its numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: String,
    width: usize,
    depth: usize,
    lagrangian: Lagrangian,
    units: Units,
}

/// The key of the header in a safetensors file.
const HEADER: &str = "actum";

impl Dynamics<Mlp> {
    /// Writes the parameters as safetensors, with the units and the Lagrangian in its metadata;
    /// whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &FilePath) -> Result<()> {
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            width: self.action.width(),
            depth: self.action.depth(),
            lagrangian: self.lagrangian,
            units: self.units.clone(),
        };
        let header = serde_json::to_string(&header).expect("a header is plain data");
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
        let header: Header = versioned(text.as_bytes()).map_err(|e| e.within(path.display()))?;
        ensure!(
            header.units.is_whole(),
            Format,
            "{}: its units are damaged: {:?}",
            path.display(),
            header.units
        );
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let blank = Mlp::new(
            header.units.dimension(),
            header.width,
            header.depth,
            device,
            &mut rng,
        )?;
        let action =
            store::restore(blank.valid(), &arrays, device).map_err(|e| e.within(path.display()))?;
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

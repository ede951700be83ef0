//! Drifts: the known part of the motion.

use std::{fmt, sync::Arc};

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use crate::{
    data::Snapshots,
    error::{Error, ErrorKind, Result, ensure},
    units::interval,
};

use super::smooth::Smoother;

/// A known part `b(t, x)` of the velocity, in the user's units: `v = b + grad c*(grad s)`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Smoothed")]
pub struct Drift(Kind);

#[derive(Clone)]
enum Kind {
    Function(Arc<Function>),
    Smoothed(Arc<Smoothed>),
}

type Function = dyn Fn(f64, &[f64], &mut [f64]) + Send + Sync;

/// One smooth field per snapshot, linear in time between snapshots and constant beyond them, on
/// coordinates divided by `scale`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Smoothed {
    times: Vec<f64>,
    scale: Vec<f64>,
    fields: Vec<Smoother>,
}

impl Drift {
    /// The field `f(t, x, b)` that writes `b`, `[d]`, for a time and a point, `[d]`. It cannot be
    /// saved with a dynamics.
    pub fn function(f: impl Fn(f64, &[f64], &mut [f64]) + Send + Sync + 'static) -> Self {
        Self(Kind::Function(Arc::new(f)))
    }

    /// The field through the velocities of the points of snapshots, such as RNA velocity. It is
    /// [smoothed](Smoother) at every snapshot and linear in time between them. Distances are
    /// measured after dividing every column by `scale`, `[d]`.
    ///
    /// # Errors
    /// Snapshots without velocities; a scale of another length; errors of [`Smoother::fit`].
    pub fn smoothed(snapshots: &Snapshots, scale: &Array1<f64>, seed: u64) -> Result<Self> {
        let velocities = snapshots.velocities().ok_or_else(|| {
            Error::new(
                ErrorKind::Missing,
                "a drift needs a velocity for every point, and these snapshots have none; name \
                 their array when reading",
            )
        })?;
        ensure!(
            scale.len() == snapshots.dimension(),
            Shape,
            "expected one scale for each of {} columns, got {}",
            snapshots.dimension(),
            scale.len()
        );
        let origin = Array1::zeros(scale.len());
        let each = snapshots.clouds().iter().zip(velocities).enumerate();
        let fields = each
            .map(|(k, (cloud, velocities))| {
                Smoother::fit(&cloud.rescaled(&origin, scale), &(velocities / scale), seed)
                    .map_err(|e| e.within(format!("velocities at {}", snapshots.labels()[k])))
            })
            .collect::<Result<_>>()?;
        Ok(Self(Kind::Smoothed(Arc::new(Smoothed {
            times: snapshots.times().to_vec(),
            scale: scale.to_vec(),
            fields,
        }))))
    }

    /// The number of columns, if the drift fixes it.
    pub(crate) fn dimension(&self) -> Option<usize> {
        match &self.0 {
            Kind::Function(_) => None,
            Kind::Smoothed(smoothed) => Some(smoothed.scale.len()),
        }
    }

    /// `b` at `times` `[n]` and `points` `[n, d]`: `[n, d]`.
    pub fn at(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        match &self.0 {
            Kind::Function(f) => {
                let mut out = Array2::zeros(points.raw_dim());
                let points = points.as_standard_layout();
                for ((t, x), mut b) in times.iter().zip(points.rows()).zip(out.rows_mut()) {
                    let x = x.to_slice().expect("row-major");
                    f(*t, x, b.as_slice_mut().expect("row-major"));
                }
                out
            }
            Kind::Smoothed(smoothed) => {
                smoothed.grouped(times, points, |field, points, _| field.velocity(points))
            }
        }
    }

    /// The directional derivative `(grad b) e` at `times` `[n]` and `points` `[n, d]` along
    /// `directions` `[n, d]`: `[n, d]`. For a function it is a central difference over `step` in
    /// units of the directions.
    pub(crate) fn along(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
        step: f64,
    ) -> Array2<f64> {
        match &self.0 {
            Kind::Function(_) => {
                let shift = &directions * step;
                let up = self.at(times, (&points + &shift).view());
                let down = self.at(times, (&points - &shift).view());
                (up - down) / (2.0 * step)
            }
            Kind::Smoothed(smoothed) => {
                let scale = Array1::from(smoothed.scale.clone());
                let scaled = &directions / &scale;
                smoothed.grouped(times, points, |field, points, rows| {
                    let rows = scaled.select(Axis(0), rows);
                    field.along(points, rows.view())
                })
            }
        }
    }
}

impl Smoothed {
    /// Evaluates `f` on the fields before and after every time and interpolates linearly. Rows
    /// between the same two snapshots are evaluated together.
    fn grouped(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        f: impl Fn(&Smoother, ArrayView2<f64>, &[usize]) -> Array2<f64>,
    ) -> Array2<f64> {
        let scale = Array1::from(self.scale.clone());
        let scaled = &points / &scale;
        let mut out = Array2::zeros(points.raw_dim());
        let share = |t: f64, k: usize| match self.times.get(k + 1) {
            Some(next) => ((t - self.times[k]) / (next - self.times[k])).clamp(0.0, 1.0),
            None => 0.0,
        };
        let place = |t: f64| match self.times.len() {
            1 => 0,
            _ => interval(&self.times, t),
        };
        let mut groups = vec![vec![]; self.times.len()];
        for (row, t) in times.iter().enumerate() {
            let k = place(*t);
            let later = share(*t, k);
            if later < 1.0 {
                groups[k].push((row, 1.0 - later));
            }
            if later > 0.0 {
                groups[k + 1].push((row, later));
            }
        }
        for (field, group) in self.fields.iter().zip(&groups) {
            if group.is_empty() {
                continue;
            }
            let rows: Vec<usize> = group.iter().map(|(row, _)| *row).collect();
            let values = f(field, scaled.select(Axis(0), &rows).view(), &rows);
            for ((row, share), value) in group.iter().zip(values.rows()) {
                out.row_mut(*row).scaled_add(*share, &value);
            }
        }
        out * &scale
    }
}

impl fmt::Debug for Drift {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.0 {
            Kind::Function(_) => f.write_str("Drift(function)"),
            Kind::Smoothed(smoothed) => write!(f, "Drift(smoothed at {:?})", smoothed.times),
        }
    }
}

impl PartialEq for Drift {
    /// Two functions are equal if they are the same object.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Function(a), Kind::Function(b)) => Arc::ptr_eq(a, b),
            (Kind::Smoothed(a), Kind::Smoothed(b)) => a == b,
            _ => false,
        }
    }
}

impl Serialize for Drift {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Kind::Function(_) => Err(S::Error::custom(
                "a drift that is a function cannot be saved; make it from velocities at points, or \
                 give it again after loading",
            )),
            Kind::Smoothed(smoothed) => smoothed.serialize(serializer),
        }
    }
}

impl TryFrom<Smoothed> for Drift {
    type Error = Error;

    fn try_from(smoothed: Smoothed) -> Result<Self> {
        let Smoothed {
            times,
            scale,
            fields,
        } = &smoothed;
        let whole = !times.is_empty()
            && times.len() == fields.len()
            && times.windows(2).all(|w| w[0] < w[1])
            && scale.iter().all(|s| s.is_finite() && *s > 0.0)
            && fields.iter().all(|field| field.dimension() == scale.len());
        ensure!(whole, Format, "the saved drift is damaged");
        Ok(Self(Kind::Smoothed(Arc::new(smoothed))))
    }
}

//! `s_t(x)`: the scalar field whose gradient moves the population.
//!
//! An [`Action`] is a function over plain arrays. A network that can be fitted is an [`Engine`] as
//! well: it owns its parameters in the order that its products read them, and differentiates the
//! terms of the objective. [`Architecture`]s make engines of the right size for a problem.

mod device;
mod mlp;
mod pool;
mod precision;
mod swish;
mod unet;

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

pub use device::Device;
pub use mlp::{Mlp, MlpEngine};
pub use precision::Precision;
#[cfg(feature = "tensor")]
pub(crate) use unet::{EPSILON, GROUP, Op, Program, waves};
pub use unet::{Scalar, Sizes, UNet, UNetEngine};

use crate::{
    error::{Result, ensure},
    store::Array,
};

/// An action `s_t(x)`, in the network's [units](crate::units::Units). Times are `[n]`, in [0, 1],
/// points `[n, d]`; rows are independent of each other.
pub trait Action: Send + Sync {
    /// The number of columns of points, d.
    fn dimension(&self) -> usize;

    /// `s_t(x)`, `[n]`.
    ///
    /// # Panics
    /// If there are not as many times as points, or points have another number of columns.
    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64>;

    /// `grad_x s_t(x)`, `[n, d]`.
    ///
    /// # Panics
    /// As [`value`](Self::value).
    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64>;

    /// Both at once.
    ///
    /// # Panics
    /// As [`value`](Self::value).
    fn value_and_gradient(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
    ) -> (Array1<f64>, Array2<f64>) {
        (self.value(times, points), self.gradient(times, points))
    }

    /// `e' (grad_x^2 s_t) e`, `[n]`, the second derivative along a direction e for every point,
    /// `[n, d]`. Over the unit vectors it adds up to the Laplacian.
    ///
    /// # Panics
    /// As [`value`](Self::value); directions of another shape than the points.
    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64>;

    /// The action as a network whose parameters can be read, if it is one.
    fn as_engine(&self) -> Option<&dyn Engine> {
        None
    }
}

/// A network with its parameters, and the code that differentiates it in them: what a fit owns from
/// its first step to its last.
///
/// Parameters, their gradient and all that an optimiser keeps of them are flat slices of one order,
/// the engine's own. [`pack`](Self::pack) and [`unpack`](Self::unpack) translate to arrays by name.
pub trait Engine: Action {
    /// The gradient in the parameters, kept for [`update`](Self::update), of
    ///
    /// `sum_i c_i [(dt d/dt + dx_i . grad) s + kappa_i sum_e e' (grad^2 s) e](t_i, x_i)
    /// + sum_i a_i s(t_i, x_i) + sum_j c_j s(t_j, x_j)`
    ///
    /// over `interior` rows i and the rows j of every `boundary`. The directions `dx` and the
    /// coefficients `a` are held constant; `choose(rows, at, choice)` chooses them for a range of
    /// interior rows from the action there, from any thread and in any order.
    ///
    /// Plain Action Matching from samples has `dt = 1`, `dx = p`, the excess `|p|^2 / 2`, and
    /// coefficients `1/n` over the density of the time, `1/n` at t = 0 and `-1/n` at t = 1; from
    /// velocities u, `dt = 0`, `dx = p - u` and no boundary. Noise adds the weights
    /// `kappa = sigma^2 / 2`, growth `a = c lambda s`.
    ///
    /// # Errors
    /// Slices of other sizes than the network's or the number of rows; a weight of the curvature
    /// that is negative or not a number, or has a coefficient that is.
    fn step(
        &mut self,
        interior: Interior<'_>,
        boundary: &[Rows<'_>],
        choose: &Choose<'_>,
    ) -> Result<Terms>;

    /// The gradient that the last [`step`](Self::step) left; nothing before the first step.
    fn parameter_gradient(&self) -> &[f32];

    /// The parameters. What fills up between them is 0 and stays 0 under any update that leaves 0
    /// where the gradient is 0.
    fn parameters(&self) -> &[f32];

    /// Calls `change` with the parameters and the [gradient](Self::parameter_gradient), and takes
    /// over the parameters that it leaves.
    fn update(&mut self, change: &mut (dyn FnMut(&mut [f32], &[f32]) + Send));

    /// Chooses the precision of products from now on, f32 at first, and returns it. A network that
    /// knows only one keeps to that.
    fn multiply_in(&mut self, _precision: Precision) -> Precision {
        Precision::F32
    }

    /// Arrays with the names and shapes of the parameters, from values in the engine's order.
    ///
    /// # Panics
    /// If there are not as many values as [`parameters`](Self::parameters).
    fn unpack(&self, values: &[f32]) -> Vec<Array>;

    /// Values in the engine's order from arrays by name; other arrays are passed over.
    ///
    /// # Errors
    /// An array that is missing or has another shape.
    fn pack(&self, arrays: &[Array]) -> Result<Vec<f32>>;

    /// What a file says of the network beside its numbers; none for networks of the user's own,
    /// which no file can bring back.
    fn saved(&self) -> Option<Saved> {
        None
    }
}

/// The size of a network, apart from what a problem says of it.
pub trait Architecture {
    /// A network for points of this shape, its parameters drawn from `rng`.
    ///
    /// # Errors
    /// Sizes that no network has, or points of a kind that this one does not take.
    fn engine(&self, shape: Shape, rng: &mut dyn Rng) -> Result<Box<dyn Engine>>;

    /// The precision that its engines choose on this machine if they are asked for `asked`; f32
    /// unless it knows more.
    fn precision(&self, _asked: Precision) -> Precision {
        Precision::F32
    }
}

/// What the columns of points are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// So many numbers.
    Columns(usize),
    /// The channels of images, one after the other.
    Images(ImageShape),
}

impl Shape {
    /// The number of columns, d.
    pub fn dimension(self) -> usize {
        match self {
            Self::Columns(columns) => columns,
            Self::Images(images) => {
                (images.target + images.conditioning) * images.height * images.width
            }
        }
    }
}

/// The shape of images as points: `(target + conditioning) * height * width` numbers, channel after
/// channel, each in row-major order, the conditioning channels last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// The channels that are moved, at least 1.
    pub target: usize,
    /// The channels that are given and never moved.
    pub conditioning: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Whether what moves lives on circles of length 1.
    pub periodic: bool,
}

/// Rows of a batch, each with the coefficient of its term in a sum.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Times in [0, 1], `[n]`.
    pub times: &'a [f64],
    /// Points, `[n, d]`.
    pub points: ArrayView2<'a, f64>,
    /// Coefficients, `[n]`.
    pub coefficients: &'a [f64],
}

/// The rows of the interior and what is differentiated there.
#[derive(Debug, Clone, Copy)]
pub struct Interior<'a> {
    /// The rows; where the curvature has a weight above 0, the coefficient is at least 0.
    pub rows: Rows<'a>,
    /// How far the directional derivative goes along t.
    pub dt: f64,
    /// Second derivatives to add.
    pub curvature: Option<Curvature<'a>>,
}

/// Second directional derivatives `kappa sum_e e' (grad^2 s) e`, with which the interior term has a
/// Laplacian.
#[derive(Debug, Clone, Copy)]
pub struct Curvature<'a> {
    /// `kappa`, at least 0, `[n]`.
    pub weights: &'a [f64],
    /// One direction e for each row, `[n, d]`: random signs estimate the Laplacian without bias
    /// (Hutchinson 1989). Without them the sum runs over the d axes and is the Laplacian itself:
    /// for few dimensions, since memory and time grow with them.
    pub probes: Option<ArrayView2<'a, f64>>,
}

/// The action at some interior rows.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// `s`, `[rows]`.
    pub values: &'a [f64],
    /// `grad s`, `[rows, d]`.
    pub gradients: &'a [f64],
}

/// What a caller chooses at some interior rows, to be filled in.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The directions `dx`, `[rows, d]`, with anything in them at first.
    pub directions: &'a mut [f64],
    /// The coefficients `a` of `s`, `[rows]`, 0 at first.
    pub values: &'a mut [f64],
    /// What the derivatives have beyond the interior term, `[rows]`, 0 at first.
    pub excess: &'a mut [f64],
}

/// Chooses at a range of interior rows, from the action there.
pub type Choose<'a> = dyn Fn(Range<usize>, At<'_>, Choice<'_>) + Sync + 'a;

/// What a step computed besides the gradient.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Terms {
    /// The directional derivative and the curvature, less the excess, at every interior row,
    /// `[n]`, without the coefficient. Where that is 0 any finite number may stand here.
    pub interior: Vec<f64>,
    /// `s` at every interior row, `[n]`.
    pub values: Vec<f64>,
    /// The sum of `c_j s` over the rows of every boundary.
    pub boundary: f64,
}

/// What a file says of a network beside its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Saved {
    /// A multilayer perceptron.
    Mlp(Mlp),
    /// A U-Net.
    UNet {
        /// Its sizes.
        unet: Sizes,
    },
}

impl Saved {
    /// A network of these sizes for points of `dimension` columns, all parameters 0, for arrays of
    /// so many `numbers` that a file has.
    ///
    /// # Errors
    /// Sizes that no network has, or more parameters than there are numbers.
    pub(crate) fn blank(self, dimension: usize, numbers: usize) -> Result<Box<dyn Engine>> {
        let least = match &self {
            Self::Mlp(mlp) => {
                mlp.check()?;
                mlp.least_parameters(dimension)
            }
            Self::UNet { unet } => unet.least_parameters(),
        };
        ensure!(
            least <= numbers,
            Format,
            "it is damaged: the network it declares has {least} parameters or more, and it holds \
             {numbers} numbers"
        );
        Ok(match self {
            Self::Mlp(mlp) => Box::new(MlpEngine::blank(dimension, mlp)?),
            Self::UNet { unet } => Box::new(UNetEngine::blank(unet)?),
        })
    }
}

impl<A: Action + ?Sized> Action for Box<A> {
    fn dimension(&self) -> usize {
        (**self).dimension()
    }

    fn value(&self, times: &[f64], points: ArrayView2<f64>) -> Array1<f64> {
        (**self).value(times, points)
    }

    fn gradient(&self, times: &[f64], points: ArrayView2<f64>) -> Array2<f64> {
        (**self).gradient(times, points)
    }

    fn value_and_gradient(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
    ) -> (Array1<f64>, Array2<f64>) {
        (**self).value_and_gradient(times, points)
    }

    fn curvature(
        &self,
        times: &[f64],
        points: ArrayView2<f64>,
        directions: ArrayView2<f64>,
    ) -> Array1<f64> {
        (**self).curvature(times, points, directions)
    }

    fn as_engine(&self) -> Option<&dyn Engine> {
        (**self).as_engine()
    }
}

fn check_count(n: usize, name: &str, got: usize, expected: usize) -> Result<()> {
    ensure!(
        got == expected,
        Shape,
        "{n} times need {expected} {name}, got {got}"
    );
    Ok(())
}

impl Rows<'_> {
    fn check(&self, dimension: usize) -> Result<()> {
        let n = self.times.len();
        ensure!(
            self.points.dim() == (n, dimension),
            Shape,
            "{n} times need points [{n}, {dimension}], got {:?}",
            self.points.shape()
        );
        check_count(n, "coefficients", self.coefficients.len(), n)
    }
}

/// That slices have the sizes of a network of `dimension` columns.
pub(crate) fn check_step(
    dimension: usize,
    interior: &Interior<'_>,
    boundary: &[Rows<'_>],
) -> Result<()> {
    interior.rows.check(dimension)?;
    boundary.iter().try_for_each(|rows| rows.check(dimension))?;
    let Some(curvature) = interior.curvature else {
        return Ok(());
    };
    let rows = &interior.rows;
    let n = rows.times.len();
    check_count(n, "weights of the curvature", curvature.weights.len(), n)?;
    if let Some(probes) = curvature.probes {
        check_count(n, "numbers in the probes", probes.len(), rows.points.len())?;
    }
    for (row, (weight, coefficient)) in curvature.weights.iter().zip(rows.coefficients).enumerate()
    {
        ensure!(
            *weight == 0.0 || (*weight > 0.0 && *coefficient >= 0.0),
            Value,
            "a weight of the curvature is 0, or positive with a coefficient of at least 0; got \
             {weight} with {coefficient} in row {row}"
        );
    }
    Ok(())
}

/// That there is a time for every point, and points have `dimension` columns.
///
/// # Panics
/// If not.
#[track_caller]
fn assert_rows(dimension: usize, times: &[f64], points: &ArrayView2<f64>) {
    assert_eq!(
        points.dim(),
        (times.len(), dimension),
        "an action needs points [times, columns]"
    );
}

/// Signs at random, `[n, d]`: vectors e with `E[e e'] = I`.
pub(crate) fn rademacher(shape: (usize, usize), rng: &mut dyn Rng) -> Array2<f64> {
    let sign = |up| if up { 1.0 } else { -1.0 };
    Array2::from_shape_simple_fn(shape, || sign(rng.random()))
}

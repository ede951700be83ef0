//! Costs of velocities and their conjugates.

use std::str::FromStr;

use nalgebra::DMatrix;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, ensure};

/// A convex cost `c(v)` of a velocity, with its conjugate `c*(p) = max_v p.v - c(v)`. The maps `v =
/// grad c*(p)` and `p = grad c(v)` are inverse to each other (Action Matching, section 3.3).
///
/// Velocities are in [units of distance](crate::units::Units::scale). In TOML: `"kinetic"`,
/// `"power:1.5"`, or the rows of a matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Cost(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Kinetic,
    Power(f64),
    Metric(Metric),
}

#[derive(Debug, Clone, PartialEq)]
struct Metric {
    matrix: Array2<f64>,
    inverse: Array2<f64>,
    /// R with `R R' = A^-1`.
    root: Array2<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a cost is \"kinetic\", \"power:P\" or the rows of a matrix"
)]
enum Written {
    Name(String),
    Matrix(Vec<Vec<f64>>),
}

impl Cost {
    /// `c(v) = |v|^2 / 2`, its own conjugate: `v = p`.
    pub fn kinetic() -> Self {
        Self(Kind::Kinetic)
    }

    /// `c(v) = |v|^p / p` with `c*(p) = |p|^q / q`, `1/p + 1/q = 1`. Exponents below 2 favour
    /// motion in which few points move far; exponents above 2 favour equal speeds.
    ///
    /// # Errors
    /// An exponent that is not finite or at most 1.
    pub fn power(exponent: f64) -> Result<Self> {
        ensure!(
            exponent.is_finite() && exponent > 1.0,
            Setting,
            "the exponent of a power cost must be finite and above 1 (2 is kinetic), got {exponent}"
        );
        if exponent == 2.0 {
            return Ok(Self::kinetic());
        }
        Ok(Self(Kind::Power(exponent)))
    }

    /// `c(v) = v'A v / 2` with `c*(p) = p'A^-1 p / 2`, for a symmetric positive definite `A`, `[d,
    /// d]`. Motion in directions in which A is large costs more.
    ///
    /// # Errors
    /// A matrix that is not square, not finite, not symmetric or not positive definite.
    pub fn metric(matrix: Array2<f64>) -> Result<Self> {
        let (n, d) = matrix.dim();
        ensure!(
            n == d && d > 0,
            Shape,
            "the matrix of a metric must be square, got [{n}, {d}]"
        );
        let greatest = matrix.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        ensure!(
            matrix.iter().all(|x| x.is_finite()),
            Value,
            "the matrix of a metric must be finite"
        );
        for ((i, j), x) in matrix.indexed_iter() {
            let other = matrix[[j, i]];
            ensure!(
                (x - other).abs() <= 1e-12 * greatest,
                Value,
                "the matrix of a metric must be symmetric; entry ({i}, {j}) is {x}, ({j}, {i}) is {other}"
            );
        }
        let decomposed = DMatrix::from_fn(d, d, |i, j| matrix[[i, j]]).cholesky();
        let Some(cholesky) = decomposed else {
            return Err(Error::new(
                ErrorKind::Value,
                "the matrix of a metric must be positive definite, and this one is not",
            ));
        };
        // A = L L', so A^-1 = R R' with R = L^-T.
        let lower = cholesky.l();
        let root = lower
            .transpose()
            .try_inverse()
            .expect("a Cholesky factor has a positive diagonal");
        let array = |m: &DMatrix<f64>| Array2::from_shape_fn((d, d), |(i, j)| m[(i, j)]);
        Ok(Self(Kind::Metric(Metric {
            matrix,
            inverse: array(&cholesky.inverse()),
            root: array(&root),
        })))
    }

    /// The exponent p of `c(a v) = a^p c(v)`.
    pub fn exponent(&self) -> f64 {
        match &self.0 {
            Kind::Power(exponent) => *exponent,
            Kind::Kinetic | Kind::Metric(_) => 2.0,
        }
    }

    /// Whether it is `|v|^2 / 2`.
    pub fn is_kinetic(&self) -> bool {
        self.0 == Kind::Kinetic
    }

    /// The number of columns of a velocity, if the cost fixes it.
    pub fn dimension(&self) -> Option<usize> {
        match &self.0 {
            Kind::Metric(metric) => Some(metric.matrix.nrows()),
            Kind::Kinetic | Kind::Power(_) => None,
        }
    }

    /// `c(v)` of a velocity, `[d]`.
    pub fn cost(&self, velocity: &[f64]) -> f64 {
        match &self.0 {
            Kind::Kinetic => 0.5 * square(velocity),
            Kind::Power(p) => square(velocity).powf(0.5 * p) / p,
            Kind::Metric(metric) => 0.5 * form(&metric.matrix, velocity),
        }
    }

    /// `c*(p)` of a momentum, `[d]`.
    pub fn conjugate(&self, momentum: &[f64]) -> f64 {
        match &self.0 {
            Kind::Kinetic => 0.5 * square(momentum),
            Kind::Power(p) => {
                let q = p / (p - 1.0);
                square(momentum).powf(0.5 * q) / q
            }
            Kind::Metric(metric) => 0.5 * form(&metric.inverse, momentum),
        }
    }

    /// Writes `v = grad c*(p)` to `velocity`, both `[d]`.
    pub fn velocity(&self, momentum: &[f64], velocity: &mut [f64]) {
        match &self.0 {
            Kind::Kinetic => velocity.copy_from_slice(momentum),
            Kind::Power(p) => along(momentum, p / (p - 1.0), velocity),
            Kind::Metric(metric) => times(&metric.inverse, momentum, velocity),
        }
    }

    /// `v = grad c*(p)` of momenta `[n, d]` in row-major order: `[n, d]`.
    pub(crate) fn velocities(&self, mut momenta: Array2<f64>) -> Array2<f64> {
        if self.is_kinetic() {
            return momenta;
        }
        let mut velocity = vec![0.0; momenta.ncols()];
        for mut row in momenta.rows_mut() {
            let row = row.as_slice_mut().expect("row-major");
            self.velocity(row, &mut velocity);
            row.copy_from_slice(&velocity);
        }
        momenta
    }

    /// Writes `p = grad c(v)` to `momentum`, both `[d]`.
    pub fn momentum(&self, velocity: &[f64], momentum: &mut [f64]) {
        match &self.0 {
            Kind::Kinetic => momentum.copy_from_slice(velocity),
            Kind::Power(p) => along(velocity, *p, momentum),
            Kind::Metric(metric) => times(&metric.matrix, velocity, momentum),
        }
    }

    /// Writes `B e` to `out`, `[d]`, for a root `B B' = grad^2 c*(p)`. With it the divergence of
    /// `grad c*(grad s)` is a sum of second derivatives of s, `sum_e (B e)' (grad^2 s) (B e)` over
    /// the unit vectors e. At p = 0 a power cost of exponent above 2 has no second derivative, and
    /// `out` is 0.
    pub fn root(&self, momentum: &[f64], e: &[f64], out: &mut [f64]) {
        match &self.0 {
            Kind::Kinetic => out.copy_from_slice(e),
            Kind::Power(p) => {
                // |p|^(q-2) (I + (q-2) n n'), n = p/|p|.
                let q = p / (p - 1.0);
                let square = square(momentum);
                if square == 0.0 {
                    out.fill(0.0);
                    return;
                }
                let scale = square.powf(0.25 * (q - 2.0));
                let dot: f64 = momentum.iter().zip(e).map(|(p, e)| p * e).sum();
                let turn = ((q - 1.0).sqrt() - 1.0) * dot / square;
                for ((out, e), p) in out.iter_mut().zip(e).zip(momentum) {
                    *out = scale * (e + turn * p);
                }
            }
            Kind::Metric(metric) => times(&metric.root, e, out),
        }
    }
}

fn square(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

fn form(matrix: &Array2<f64>, x: &[f64]) -> f64 {
    let rows = matrix.rows().into_iter().zip(x);
    rows.map(|(row, x_i)| x_i * row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>())
        .sum()
}

fn times(matrix: &Array2<f64>, x: &[f64], out: &mut [f64]) {
    for (out, row) in out.iter_mut().zip(matrix.rows()) {
        *out = row.iter().zip(x).map(|(a, x)| a * x).sum();
    }
}

/// `|x|^(r - 2) x`, which is 0 at 0.
fn along(x: &[f64], r: f64, out: &mut [f64]) {
    let square = square(x);
    let scale = if square > 0.0 {
        square.powf(0.5 * (r - 2.0))
    } else {
        0.0
    };
    for (out, x) in out.iter_mut().zip(x) {
        *out = scale * x;
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::kinetic()
    }
}

impl FromStr for Cost {
    type Err = Error;

    /// `kinetic` or `power:P`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::new(
                ErrorKind::Setting,
                format!(
                    "`{text}` is not a cost; expected kinetic, power:P with P above 1, or the \
                     rows of a matrix (--cost metric:FILE)"
                ),
            )
        };
        match text.split_once(':') {
            None if text == "kinetic" => Ok(Self::kinetic()),
            Some(("power", exponent)) => Self::power(exponent.parse().map_err(|_| unknown())?),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<Written> for Cost {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Name(name) => name.parse(),
            Written::Matrix(rows) => {
                let d = rows.len();
                if let Some((i, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != d) {
                    ensure!(
                        false,
                        Shape,
                        "the matrix of a metric has {d} rows, so each needs {d} numbers; row {i} has {}",
                        row.len()
                    );
                }
                let flat = rows.into_iter().flatten().collect();
                let matrix = Array2::from_shape_vec((d, d), flat).expect("square rows");
                Self::metric(matrix)
            }
        }
    }
}

impl From<Cost> for Written {
    fn from(cost: Cost) -> Self {
        match cost.0 {
            Kind::Kinetic => Self::Name("kinetic".to_owned()),
            Kind::Power(exponent) => Self::Name(format!("power:{exponent}")),
            Kind::Metric(metric) => Self::Matrix(
                metric
                    .matrix
                    .rows()
                    .into_iter()
                    .map(|r| r.to_vec())
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    fn costs() -> Vec<Cost> {
        let metric = array![[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]];
        let mut costs = vec![Cost::kinetic(), Cost::metric(metric).unwrap()];
        costs.extend([1.2, 1.5, 2.0, 3.0, 6.0].map(|p| Cost::power(p).unwrap()));
        costs
    }

    fn draw(rng: &mut ChaCha8Rng) -> Vec<f64> {
        (0..3).map(|_| rng.sample(StandardNormal)).collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn the_conjugate_is_the_greatest_gain_and_the_gradients_undo_each_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for cost in costs() {
            for _ in 0..20 {
                let p = draw(&mut rng);
                let (mut v, mut back) = (vec![0.0; 3], vec![0.0; 3]);
                cost.velocity(&p, &mut v);
                cost.momentum(&v, &mut back);
                for (p, back) in p.iter().zip(&back) {
                    assert!((p - back).abs() < 1e-10 * (1.0 + p.abs()), "{cost:?}");
                }
                // Fenchel and Young: c*(p) = p.v - c(v) holds there, and c*(p) is larger everywhere
                // else.
                let gain = |v: &[f64]| dot(&p, v) - cost.cost(v);
                let conjugate = cost.conjugate(&p);
                assert!(
                    (gain(&v) - conjugate).abs() < 1e-10 * (1.0 + conjugate),
                    "{cost:?}"
                );
                for _ in 0..20 {
                    assert!(gain(&draw(&mut rng)) <= conjugate + 1e-12);
                }
            }
        }
    }

    #[test]
    fn velocity_and_root_are_first_and_second_derivatives_of_the_conjugate() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for cost in costs() {
            let (p, e) = (draw(&mut rng), draw(&mut rng));
            let at = |h: f64| -> Vec<f64> { p.iter().zip(&e).map(|(p, e)| p + h * e).collect() };
            let h = 1e-4;
            let [up, mid, down] = [h, 0.0, -h].map(|h| cost.conjugate(&at(h)));
            let mut v = vec![0.0; 3];
            cost.velocity(&p, &mut v);
            assert!(
                ((up - down) / (2.0 * h) - dot(&v, &e)).abs() < 1e-6,
                "{cost:?}"
            );
            // e' grad^2 c* e = |B'e|^2 = sum_k (B e_k . e)^2.
            let second: f64 = (0..3)
                .map(|k| {
                    let (mut unit, mut b) = (vec![0.0; 3], vec![0.0; 3]);
                    unit[k] = 1.0;
                    cost.root(&p, &unit, &mut b);
                    dot(&b, &e).powi(2)
                })
                .sum();
            let differences = (up - 2.0 * mid + down) / (h * h);
            assert!(
                (second - differences).abs() < 1e-5 * (1.0 + second),
                "{cost:?}"
            );
        }
    }

    #[test]
    fn it_is_written_and_read() {
        for cost in costs() {
            let text = serde_json::to_string(&cost).unwrap();
            assert_eq!(serde_json::from_str::<Cost>(&text).unwrap(), cost);
        }
    }

    #[test]
    fn what_is_no_cost_is_refused() {
        let message = |r: Result<Cost>| r.unwrap_err().to_string();
        for p in [1.0, 0.5, f64::NAN] {
            assert!(message(Cost::power(p)).contains("above 1"));
        }
        assert!(message("power:1".parse()).contains("got 1"));
        assert!(message("cubic".parse()).contains("`cubic` is not a cost"));
        let metric = |m| message(Cost::metric(m));
        assert!(metric(array![[1.0, 2.0]]).contains("[1, 2]"));
        assert!(metric(array![[1.0, 2.0], [0.0, 1.0]]).contains("symmetric"));
        assert!(metric(array![[1.0, 2.0], [2.0, 1.0]]).contains("positive definite"));
        assert!(metric(array![[f64::INFINITY]]).contains("finite"));
        let ragged = serde_json::from_str::<Cost>("[[1.0, 0.0], [0.0]]").unwrap_err();
        assert!(ragged.to_string().contains("row 1 has 1"), "{ragged}");
    }
}

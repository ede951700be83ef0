//! Paths along a velocity field: a known drift, or a motion that was fitted before.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::error::{Result, ensure};

/// The velocities `[n, d]` of points `[n, d]` at one time.
pub type Field<'a> = dyn Fn(f64, ArrayView2<f64>) -> Result<Array2<f64>> + Sync + 'a;

/// Points `[n, d]` that follow a field from one snapshot to the next.
///
/// Positions and velocities are known at equally spaced nodes; cubic Hermite polynomials join them.
pub(super) struct Advected {
    nodes: Vec<[Array2<f64>; 2]>,
}

impl Advected {
    /// Hermite polynomials between two snapshots.
    const SEGMENTS: usize = 8;
    /// Steps of the integration per segment.
    const STEPS: usize = 4;

    pub(super) fn new(
        field: &Field,
        points: &Array2<f64>,
        [first, last]: [f64; 2],
    ) -> Result<Self> {
        let h = (last - first) / (Self::SEGMENTS * Self::STEPS) as f64;
        let start = field(first, points.view())?;
        ensure!(
            start.dim() == points.dim(),
            Shape,
            "expected velocities of the shape {:?} of the points, got {:?}",
            points.dim(),
            start.dim()
        );
        let mut x = points.clone();
        let mut nodes = vec![];
        for step in 0..=Self::SEGMENTS * Self::STEPS {
            let [t, half, next] = [0.0, 0.5, 1.0].map(|part| first + h * (step as f64 + part));
            let k1 = field(t.min(last), x.view())?;
            if step % Self::STEPS == 0 {
                nodes.push([x.clone(), k1.clone()]);
            }
            if nodes.len() > Self::SEGMENTS {
                break;
            }
            // The classical Runge-Kutta scheme of order 4. Schemes of `flow` are later in the order
            // of modules.
            let k2 = field(half, (&x + &(&k1 * (0.5 * h))).view())?;
            let k3 = field(half, (&x + &(&k2 * (0.5 * h))).view())?;
            let k4 = field(next.min(last), (&x + &(&k3 * h)).view())?;
            x = x + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0);
        }
        let finite = nodes
            .iter()
            .flatten()
            .all(|a| a.iter().all(|x| x.is_finite()));
        ensure!(
            finite,
            Value,
            "the velocities carry points out of the finite numbers between the times {first} and \
             {last}; are they in the units of the points and times?"
        );
        Ok(Self { nodes })
    }

    /// Where the field carries the points until the next snapshot.
    pub(super) fn end(&self) -> &Array2<f64> {
        &self.nodes[Self::SEGMENTS][0]
    }

    /// Writes where row `i` is at `share` of an interval of length `duration`, and its velocity, on
    /// a path that ends at `aim`: the field's, and the rest of the way at a constant velocity.
    pub(super) fn write(
        &self,
        i: usize,
        aim: ArrayView1<f64>,
        share: f64,
        duration: f64,
        x: &mut [f64],
        v: &mut [f64],
    ) {
        self.write_drifted(i, share, duration, x, v);
        let reached = self.end().row(i);
        for (j, (aim, reached)) in aim.iter().zip(reached).enumerate() {
            x[j] += share * (aim - reached);
            v[j] += (aim - reached) / duration;
        }
    }

    fn write_drifted(&self, i: usize, share: f64, duration: f64, x: &mut [f64], v: &mut [f64]) {
        let place = share * Self::SEGMENTS as f64;
        let k = (place as usize).min(Self::SEGMENTS - 1);
        let (u, h) = (place - k as f64, duration / Self::SEGMENTS as f64);
        let [(a, da), (b, db)] =
            [&self.nodes[k], &self.nodes[k + 1]].map(|[x, v]| (x.row(i), v.row(i)));
        for j in 0..x.len() {
            let rise = b[j] - a[j];
            let (bend, twist) = (
                3.0 * rise - h * (2.0 * da[j] + db[j]),
                h * (da[j] + db[j]) - 2.0 * rise,
            );
            x[j] = a[j] + u * (h * da[j] + u * (bend + u * twist));
            v[j] = da[j] + u * (2.0 * bend + 3.0 * u * twist) / h;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{
        cloud::Cloud,
        data::Snapshots,
        path::{Coupling, Interpolant, Interpolation, Path},
    };

    /// A field from the velocity of one point.
    fn field(
        at: impl Fn(f64, ArrayView1<f64>) -> [f64; 2] + Sync,
    ) -> impl Fn(f64, ArrayView2<f64>) -> Result<Array2<f64>> + Sync {
        move |t, points| {
            let velocities: Vec<[f64; 2]> = points.outer_iter().map(|x| at(t, x)).collect();
            Ok(Array2::from(velocities))
        }
    }

    /// Points on a circle that turn by a sixth of it between snapshots: the nearest ones are behind,
    /// so transport turns them back. Along the motion everyone finds itself.
    #[test]
    fn along_the_motion_points_find_themselves() {
        let turned = |angle: f64| {
            let at = |i: usize| angle + std::f64::consts::FRAC_PI_2 * i as f64;
            Cloud::new(Array2::from_shape_fn((4, 2), |(i, j)| match j {
                0 => at(i).cos(),
                _ => at(i).sin(),
            }))
            .unwrap()
        };
        let times = vec![0.0, 1.0, 3.0];
        let angle = std::f64::consts::FRAC_PI_3;
        let clouds = times.iter().map(|t| turned(angle * t)).collect();
        let snapshots = Snapshots::new(times, clouds).unwrap();
        let scale = array![1.0, 1.0];
        let spin = |path: &Interpolant| {
            let draw = path.sample(&[0.5; 20], &mut ChaCha8Rng::seed_from_u64(2));
            let v = draw.velocities.unwrap();
            let x = draw.points;
            let spins = x.outer_iter().zip(v.outer_iter());
            let spins: Vec<f64> = spins.map(|(x, v)| x[0] * v[1] - x[1] * v[0]).collect();
            spins
        };
        let lines = Interpolant::new(&snapshots, Coupling::Exact, Interpolation::Linear, &scale);
        assert!(spin(&lines.unwrap()).iter().all(|spin| *spin < -0.1));
        let turn = field(|_, x| [-angle * x[1], angle * x[0]]);
        let along = Interpolant::along(&snapshots, Coupling::Exact, &scale, &turn).unwrap();
        assert!(spin(&along).iter().all(|spin| (spin - angle).abs() < 1e-4));
        let flat = |_: f64, x: ArrayView2<f64>| Ok(x.slice(ndarray::s![.., ..1]).to_owned());
        let error = Interpolant::along(&snapshots, Coupling::Exact, &scale, &flat).err();
        assert!(error.unwrap().to_string().contains("(4, 1)"));
    }

    #[test]
    fn a_path_along_a_drift_is_the_drift_where_that_is_all() {
        // A turn about the origin, by one radian between snapshots of the same points.
        let turned = |angle: f64| {
            let (sin, cos) = angle.sin_cos();
            let start = array![[3.0, 0.0], [3.5, 0.2], [2.8, -0.4], [3.1, 0.7]];
            Cloud::new(start.dot(&array![[cos, sin], [-sin, cos]])).unwrap()
        };
        let times = vec![0.0, 1.0, 1.5];
        let clouds = times.iter().map(|t| turned(*t)).collect();
        let snapshots = Snapshots::new(times, clouds).unwrap();
        let turn = field(|_, x| [-x[1], x[0]]);
        let scale = array![1.0, 1.0];
        let path = Interpolant::along(&snapshots, Coupling::Exact, &scale, &turn).unwrap();
        let times: Vec<f64> = (0..=60).map(|k| k as f64 / 40.0).collect();
        let draw = path.sample(&times, &mut ChaCha8Rng::seed_from_u64(2));
        let velocities = draw.velocities.unwrap();
        for ((x, v), t) in draw
            .points
            .rows()
            .into_iter()
            .zip(velocities.rows())
            .zip(&times)
        {
            assert!(
                (v[0] + x[1]).abs() < 1e-4 && (v[1] - x[0]).abs() < 1e-4,
                "{t}: {x} {v}"
            );
            let known = turned(*t);
            let near = known
                .points()
                .rows()
                .into_iter()
                .any(|y| (&x - &y).dot(&(&x - &y)) < 1e-8);
            assert!(near, "{t}: {x}");
        }
        // With a wrong drift the snapshots are still met, and velocities are derivatives.
        let wrong = field(|t, x| [t * x[1], 1.0]);
        let path = Interpolant::along(&snapshots, Coupling::Exact, &scale, &wrong).unwrap();
        for t in [0.0, 1.0, 1.5] {
            let x = path.sample(&[t], &mut ChaCha8Rng::seed_from_u64(3)).points;
            let known = turned(t);
            let rows = known.points().rows().into_iter();
            let mut apart = rows.map(|y| (&x.row(0) - &y).mapv(f64::abs).sum());
            assert!(apart.any(|e| e < 1e-9), "{t}");
        }
        for t in [0.3, 1.2] {
            let at = |t: f64| path.sample(&[t], &mut ChaCha8Rng::seed_from_u64(4));
            let rate = (at(t + 1e-6).points - at(t - 1e-6).points) / 2e-6;
            let off = (rate - at(t).velocities.unwrap()).mapv(f64::abs);
            assert!(off.iter().all(|e| *e < 1e-6), "{off}");
        }
        let away = field(|_, x| [x[0].exp().exp().exp(), 0.0]);
        let error = Interpolant::along(&snapshots, Coupling::Exact, &scale, &away)
            .err()
            .unwrap();
        assert!(error.to_string().contains("units of the points"), "{error}");
    }
}

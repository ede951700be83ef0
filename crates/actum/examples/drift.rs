//! A density that turns: no gradient can follow its trajectories, until the turn is known.

use actum::{
    action::{Architecture, Mlp, Shape},
    cloud::Cloud,
    evaluate::path_gradient_fraction,
    fit::{Options, fit},
    flow::{Scheme, simulate},
    lagrangian::{Drift, Lagrangian},
    metric::wasserstein_1,
    path::{FnPath, Path, PathSample},
    problem::Problem,
    units::Units,
};
use ndarray::{Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn main() -> actum::error::Result<()> {
    // An ellipse around (0.4, 0) that turns about the origin by one radian.
    let path = FnPath::new(2, [0.0, 1.0], true, |times, rng| {
        let shape = (times.len(), 2);
        let (mut points, mut velocities) = (Array2::zeros(shape), Array2::zeros(shape));
        for (i, t) in times.iter().enumerate() {
            let z: [f64; 2] = [rng.sample(StandardNormal), rng.sample(StandardNormal)];
            let (x, y) = (0.4 + 0.2 * z[0], 0.6 * z[1]);
            let turned = [t.cos() * x - t.sin() * y, t.sin() * x + t.cos() * y];
            points.row_mut(i).assign(&array![turned[0], turned[1]]);
            velocities.row_mut(i).assign(&array![-turned[1], turned[0]]);
        }
        PathSample::new(points).with_velocities(velocities)
    })?;
    let share = path_gradient_fraction(&path, 0.5, &array![1.0, 1.0], 2000, 0)?;
    println!("of the velocity, a gradient explains {:.2}", share.gradient);

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let start = Cloud::new(path.sample(&[0.0; 500], &mut rng).points)?;
    let end = Cloud::new(path.sample(&[1.0; 500], &mut rng).points)?;
    let turn = array![[1f64.cos(), -1f64.sin()], [1f64.sin(), 1f64.cos()]];
    let truth = start.points().dot(&turn.t());
    let known = Lagrangian::kinetic().drift(Drift::function(|_t, x, b| {
        b.copy_from_slice(&[-x[1], x[0]]);
    }));
    for (name, lagrangian) in [("plain", Lagrangian::kinetic()), ("turn known", known)] {
        let units = Units::isotropic(vec![0.3, 0.2], 0.5, [0.0, 1.0])?;
        let problem = Problem::new(&path, lagrangian, units);
        let network = Mlp {
            width: 32,
            depth: 2,
        }
        .engine(Shape::Columns(2), &mut rng)?;
        let options = Options {
            steps: 400,
            batch: 128,
            learning_rate: 5e-3,
            ema_decay: 0.98,
            ..Options::default()
        };
        let dynamics = fit(network, &problem, &options, &mut ())?;
        let moved = simulate(&dynamics, &start, 0.0, &[1.0], Scheme::default(), 0)?;
        let off = (moved.at(0) - &truth).mapv(|e| e * e).sum() / start.len() as f64;
        println!(
            "{name}: W1 to the density {:.3}, root mean square error of the trajectories {:.3}",
            wasserstein_1(&moved.cloud(0)?, &end)?,
            off.sqrt()
        );
    }
    Ok(())
}

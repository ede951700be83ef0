//! From two snapshots in memory to a moving population, and back.

use actum::{
    action::{Architecture, Mlp, Shape},
    cloud::Cloud,
    data::Snapshots,
    fit::{Options, fit},
    flow::{Scheme, simulate},
    lagrangian::Lagrangian,
    metric,
    path::{Coupling, Interpolant, Interpolation},
    problem::Problem,
    units::Units,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn main() -> actum::error::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut normal = |shift: f64, scale: f64| {
        Cloud::new(Array2::from_shape_fn((400, 2), |(_, j)| {
            let z: f64 = rng.sample(StandardNormal);
            scale * z + shift * j as f64
        }))
    };
    let (early, late) = (normal(0.0, 1.0)?, normal(3.0, 0.5)?);
    let snapshots = Snapshots::new(vec![0.0, 36.0], vec![early.clone(), late.clone()])?;

    let units = Units::of(&snapshots, false)?;
    let path = Interpolant::new(
        &snapshots,
        Coupling::Exact,
        Interpolation::Linear,
        &units.scale(),
    )?;
    let problem = Problem::new(&path, Lagrangian::kinetic(), units);
    let options = Options {
        steps: 500,
        batch: 256,
        ..Options::default()
    };
    let network = Mlp {
        width: 64,
        depth: 2,
    }
    .engine(Shape::Columns(2), &mut rng)?;
    let dynamics = fit(network, &problem, &options, &mut ())?;

    let forward = simulate(&dynamics, &early, 0.0, &[18.0, 36.0], Scheme::default(), 0)?;
    let moved = Cloud::new(forward.at(1))?;
    let back = simulate(&dynamics, &moved, 36.0, &[0.0], Scheme::default(), 0)?;
    println!("W2 before: {:.3}", metric::wasserstein_2(&early, &late)?);
    println!("W2 after:  {:.3}", metric::wasserstein_2(&moved, &late)?);
    println!(
        "there and back: {:.4}",
        metric::wasserstein_2(&Cloud::new(back.at(0))?, &early)?
    );
    Ok(())
}

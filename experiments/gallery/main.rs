//! Learns a problem of the gallery from fresh samples at any time and compares with the truth:
//!
//!     cargo run --release --example gallery -- NAME [STEPS] [COLUMNS] [FOLDER]
//!
//! Prints, for each way to learn it, the error of the velocity field (relative, over all times) and W1
//! between points moved from the first time and fresh ones, averaged over ten times, beside the
//! same points moved by the true velocity; with a folder, draws both.

use std::{path::Path as Folder, time::Instant};

use actum::{
    action::{Architecture, Mlp, Shape},
    cloud::Cloud,
    data::Snapshots,
    error::Result,
    fit::{Options, fit},
    flow::{Scheme, Trajectories, integrate, simulate},
    gallery::{self, FokkerPlanck, Truth, Vlasov},
    lagrangian::{Cost, Lagrangian},
    metric::wasserstein_1,
    plot::{self, Panel, Projection},
    problem::{Estimator, Problem},
    units::Units,
};
use ndarray::{Array2, array, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// How many points are moved and compared.
const POINTS: usize = 2000;
/// How many of them a picture shows.
const DRAWN: usize = 700;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| arguments.get(i).and_then(|text| text.parse().ok());
    let name = arguments.first().map_or("heat", String::as_str);
    let (steps, columns) = (number(1).unwrap_or(3000), number(2));
    let truth = gallery::find(name)?.path(columns)?;
    let [first, last] = truth.span();
    let times: Vec<f64> = (0..=10)
        .map(|k| first + (last - first) * f64::from(k) / 10.0)
        .collect();
    let fresh = gallery::snapshots(&*truth, &times, POINTS, 1)?;
    let again = gallery::snapshots(&*truth, &times, POINTS, 2)?;
    let start = fresh.cloud(0);
    let field = |t: f64, x: &Array2<f64>| truth.velocity(t, x);
    let moved = integrate(field, start.points(), first, &times, Scheme::default())?;
    let floor = distance(&again, |k| moved.cloud(k))?;
    println!("{name}, {steps} steps; W1 by the true velocity {floor:.4}");

    let plain = Lagrangian::kinetic();
    let mut ways = vec![
        ("velocity", plain.clone(), Estimator::Velocity),
        ("samples", plain.clone(), Estimator::Samples),
    ];
    match name {
        "fokker-planck" => ways.push((
            "with noise",
            plain.noise(FokkerPlanck::SIGMA)?,
            Estimator::Samples,
        )),
        "vlasov" | "free-streaming" => {
            // Moving in x costs so much that only the known drift does it.
            let cost = Cost::metric(array![[100.0, 0.0], [0.0, 1.0]])?;
            let known = Lagrangian::new(cost).drift(Vlasov::streaming());
            ways.push(("drift known", known, Estimator::Samples));
        }
        _ => {}
    }
    for (way, lagrangian, estimator) in ways {
        let started = Instant::now();
        let units = Units::of(&fresh, false)?;
        let problem = Problem::new(&*truth, lagrangian.clone(), units);
        let options = Options {
            steps,
            learning_rate: 1e-3,
            estimator,
            ..Options::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let shape = Shape::Columns(truth.dimension());
        let network = Mlp {
            width: 128,
            depth: 3,
        }
        .engine(shape, &mut rng)?;
        let dynamics = fit(network, &problem, &options, &mut ())?;
        let seconds = started.elapsed().as_secs_f64();
        let field = |t: f64, x: &Array2<f64>| dynamics.velocity(t, x);
        let noisy = lagrangian.is_noisy();
        let error = field_error(&*truth, &fresh, noisy, field)?;
        let scheme = Scheme::for_lagrangian(&lagrangian);
        let moved = simulate(&dynamics, start, first, &times, scheme, 0)?;
        let apart = distance(&again, |k| moved.cloud(k))?;
        println!("{way:>12}: field error {error:.4}, W1 {apart:.4}, {seconds:.0} s");
        if let Some(folder) = arguments.get(3) {
            draw(
                &Folder::new(folder).join(format!("{name}-{}", way.replace(' ', "-"))),
                &again,
                &moved,
            )?;
        }
    }
    Ok(())
}

/// The root mean square of `v - v*` over that of `v*`, over all snapshots; under the noise of
/// [`FokkerPlanck`] v* is `-grad V`.
fn field_error(
    truth: &dyn Truth,
    fresh: &Snapshots,
    noisy: bool,
    field: impl Fn(f64, &Array2<f64>) -> Result<Array2<f64>>,
) -> Result<f64> {
    let langevin = noisy.then(FokkerPlanck::new);
    let (mut off, mut total) = (0.0, 0.0);
    for (t, cloud) in fresh.times().iter().zip(fresh.clouds()) {
        let known = match &langevin {
            Some(langevin) => langevin.drift(*t, cloud.points()),
            None => truth.velocity(*t, cloud.points()),
        };
        off += (field(*t, cloud.points())? - &known).mapv(|x| x * x).sum();
        total += known.mapv(|x| x * x).sum();
    }
    Ok((off / total).sqrt())
}

/// The mean of W1 to the snapshots over all times but the first.
fn distance(fresh: &Snapshots, at: impl Fn(usize) -> Result<Cloud>) -> Result<f64> {
    let each = (1..fresh.len()).map(|k| wasserstein_1(&at(k)?, fresh.cloud(k)));
    Ok(each.sum::<Result<f64>>()? / (fresh.len() - 1) as f64)
}

/// The first two columns of fresh points above those of moved ones.
fn draw(stem: &Folder, fresh: &Snapshots, moved: &Trajectories) -> Result<()> {
    let fresh = fresh.first_columns(fresh.dimension().min(2))?;
    let panels = [0, 2, 5, 8, 10].map(|k| {
        let moved = moved.points.slice(s![k, ..DRAWN, ..fresh.dimension()]);
        let observed = fresh.cloud(k).points().slice(s![..DRAWN, ..]);
        Ok(Panel {
            time: fresh.times()[k],
            label: format!("t = {}", fresh.labels()[k]),
            observed: Some(Cloud::new(observed.to_owned())?),
            predicted: Some(Cloud::new(moved.to_owned())?),
            held_out: false,
        })
    });
    let panels = panels.into_iter().collect::<Result<Vec<_>>>()?;
    let clouds: Vec<&Cloud> = fresh.clouds().iter().collect();
    let projection = Projection::fit(&clouds, fresh.columns())?;
    let picture = plot::snapshots(&panels, "Moved from the first time.", &projection, None)?;
    picture.save(stem)?;
    Ok(())
}

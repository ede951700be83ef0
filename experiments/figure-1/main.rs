//! Figure 1 of the seed paper as numbers: a density of many modes travels, or melts. Action Matching
//! and score matching, the baseline, with the same network and budget:
//!
//!     cargo run --release --example figure-1 -- [STEPS,STEPS,..] [FOLDER]
//!
//! Errors of fields are relative to the truth, over ten times after the first; W1 is that between
//! moved and fresh points, averaged over the same. Scores move points by annealed Langevin dynamics.

use std::path::Path as Folder;

use actum::{
    action::{Architecture, Engine, Mlp, Shape},
    data::Snapshots,
    error::Result,
    fit::{Options, fit},
    flow::{Scheme, Trajectories, simulate},
    gallery::{self, Modes, Truth},
    lagrangian::Lagrangian,
    metric::wasserstein_1,
    plot::{Axis, Chart, Curve, Look, curves},
    problem::{Estimator, Problem},
    score::{self, Score},
    units::Units,
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SPEED: f64 = 3.0;
const DIFFUSIVITY: f64 = 0.1;

type Field<'a> = Box<dyn Fn(f64, &Array2<f64>) -> Result<Array2<f64>> + 'a>;

/// A method after its budget: what it learned, what that should be, and where it moved points.
struct Learned<'a> {
    field: Field<'a>,
    truth: Field<'a>,
    moved: Trajectories,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let budgets = arguments.first().map_or("100,300,1000,3000", |text| text);
    let budgets: Vec<usize> = budgets.split(',').filter_map(|n| n.parse().ok()).collect();
    let travelling = Modes::figure_1().travelling(vec![SPEED])?;
    let melting = Modes::figure_1().melting(DIFFUSIVITY)?;
    let times: Vec<f64> = (0..=10).map(|k| f64::from(k) / 10.0).collect();
    let mut charts = vec![];
    for (name, modes, center) in [
        ("travelling", &travelling, 0.5 * SPEED),
        ("melting", &melting, 0.0),
    ] {
        let fresh = gallery::snapshots(modes, &times, 2000, 1)?;
        for &steps in &budgets {
            for method in ["action with noise", "action", "denoising", "sliced"] {
                let learned = match method {
                    "action" => action(modes, &fresh, steps, 0.0)?,
                    // The noise is known to be the one that melts.
                    "action with noise" if name == "melting" => {
                        action(modes, &fresh, steps, (2.0 * DIFFUSIVITY).sqrt())?
                    }
                    "action with noise" => continue,
                    _ => baseline(modes, &fresh, steps, method == "sliced")?,
                };
                let [error, w1] = measure(&learned, &fresh)?;
                println!("{name:10} {steps:6} steps  {method:17}  field {error:.3}  W1 {w1:.4}");
                if Some(&steps) == budgets.last() {
                    charts.push(chart(
                        &format!("{name}: {method}"),
                        modes,
                        &learned,
                        center,
                    )?);
                }
            }
        }
    }
    if let Some(folder) = arguments.get(1) {
        let title = "The velocity, or the score, at half time after the largest budget";
        curves(title, &charts, 3)?.save(&Folder::new(folder).join("figure-1"))?;
    }
    Ok(())
}

fn network() -> Result<Box<dyn Engine>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let size = Mlp {
        width: 128,
        depth: 3,
    };
    size.engine(Shape::Columns(1), &mut rng)
}

fn action<'a>(
    modes: &'a Modes,
    fresh: &Snapshots,
    steps: usize,
    sigma: f64,
) -> Result<Learned<'a>> {
    let lagrangian = Lagrangian::kinetic().noise(sigma)?;
    let scheme = Scheme::for_lagrangian(&lagrangian);
    let problem = Problem::new(modes, lagrangian, Units::of(fresh, false)?);
    let options = Options {
        steps,
        learning_rate: 1e-3,
        estimator: Estimator::Samples,
        ..Options::default()
    };
    let dynamics = fit(network()?, &problem, &options, &mut ())?;
    let moved = simulate(&dynamics, fresh.cloud(0), 0.0, fresh.times(), scheme, 0)?;
    // The noise takes its part of the velocity.
    let truth = move |t: f64, x: &Array2<f64>| {
        Ok(modes.velocity(t, x) + modes.score(t, x) * (0.5 * sigma * sigma))
    };
    Ok(Learned {
        field: Box::new(move |t, x| dynamics.velocity(t, x)),
        truth: Box::new(truth),
        moved,
    })
}

fn baseline<'a>(
    modes: &'a Modes,
    fresh: &Snapshots,
    steps: usize,
    sliced: bool,
) -> Result<Learned<'a>> {
    let units = Units::of(fresh, false)?;
    let problem = match sliced {
        true => Problem::sliced(modes, units)?,
        // Less than half of the standard deviation of a mode.
        false => Problem::blurred(modes, 0.02, units)?,
    };
    let options = Options {
        steps,
        learning_rate: 1e-3,
        ..Options::default()
    };
    let learned = Score::of(&problem, fit(network()?, &problem, &options, &mut ())?)?;
    let step = score::Step::SignalToNoise(0.16);
    let field = |t: f64, x: &Array2<f64>| learned.at(t, x);
    let moved = score::langevin(field, fresh.cloud(0).points(), fresh.times(), 50, step, 0)?;
    Ok(Learned {
        field: Box::new(move |t, x| learned.at(t, x)),
        truth: Box::new(|t, x| Ok(modes.score(t, x))),
        moved,
    })
}

/// The relative error of the field (absolute where nothing is left to be learned), and W1.
fn measure(learned: &Learned, fresh: &Snapshots) -> Result<[f64; 2]> {
    let (mut off, mut total, mut w1) = (0.0, 0.0, 0.0);
    let square = |field: &Array2<f64>| field.mapv(|v| v * v).mean().unwrap_or_default();
    // At the first time points have not moved.
    for (k, (t, cloud)) in fresh.times().iter().zip(fresh.clouds()).enumerate().skip(1) {
        let truth = (learned.truth)(*t, cloud.points())?;
        off += square(&((learned.field)(*t, cloud.points())? - &truth));
        total += square(&truth);
        w1 += wasserstein_1(&learned.moved.cloud(k)?, cloud)?;
    }
    let times = (fresh.len() - 1) as f64;
    let error = if total > 1e-9 {
        off / total
    } else {
        off / times
    };
    Ok([error.sqrt(), w1 / times])
}

fn chart(title: &str, modes: &Modes, learned: &Learned, center: f64) -> Result<Chart> {
    let line = Array2::from_shape_fn((600, 1), |(i, _)| center - 2.2 + 4.4 * i as f64 / 599.0);
    let zip = |values: Vec<f64>| {
        line.iter()
            .copied()
            .zip(values)
            .map(|(x, y)| [x, y])
            .collect()
    };
    let curve = |name: &str, field: &Field, look| -> Result<Curve> {
        Ok(Curve {
            name: name.to_owned(),
            points: zip(field(0.5, &line)?.into_raw_vec_and_offset().0),
            look,
            dots: false,
        })
    };
    let axis = |name: &str| Axis {
        name: name.to_owned(),
        logarithmic: false,
    };
    let curves = vec![
        curve("truth", &learned.truth, Look::Truth)?,
        curve("learned", &learned.field, Look::Learned(0))?,
    ];
    // A constant would be drawn in a scale that shows nothing but its last digits.
    let level = curves[0].points[0][1];
    let near = |p: &[f64; 2]| (p[1] - level).abs() < 1e-9;
    let constant = curves[0].points.iter().all(near);
    let density = modes
        .log_density(0.5, &line)
        .iter()
        .map(|log| log.exp())
        .collect();
    Ok(Chart {
        title: title.to_owned(),
        x: axis("x"),
        y: axis(if title.contains("action") {
            "velocity"
        } else {
            "score"
        }),
        y_limits: constant.then_some([level - 3.0, level + 3.0]),
        curves,
        density: Some(zip(density)),
    })
}

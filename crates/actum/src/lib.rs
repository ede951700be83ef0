//! Learn how a population moves from snapshots of it.
//!
//! A population is seen as samples at a few times; nobody is seen twice. Action Matching learns one
//! scalar field, the *action* `s_t(x)`, whose gradient moves the samples so that every snapshot is
//! reproduced (Neklyudov, Brekelmans, Severo, Makhzani, ICML 2023). Read from top to bottom, the
//! modules are the method:
//!
//! ```
//! use actum::{action::Mlp, cloud::Cloud, data::Snapshots, fit, flow, objective, tensor::Device};
//! use actum::{lagrangian::Lagrangian, path::{Coupling, Interpolant, Interpolation}, units::Units};
//! use ndarray::array;
//! use rand::SeedableRng;
//!
//! // Clouds at real times ...
//! let early = Cloud::new(array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])?;
//! let late = Cloud::new(array![[3.0, 1.0], [4.0, 1.0], [3.0, 2.0]])?;
//! let snapshots = Snapshots::new(vec![0.0, 36.0], vec![early.clone(), late])?;
//! // ... joined into a path by optimal transport ...
//! let units = Units::of(&snapshots, false)?;
//! let scale = units.scale();
//! let path = Interpolant::new(&snapshots, Coupling::Exact, Interpolation::Linear, &scale)?;
//! // ... whose motion an action learns ...
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let network = Mlp::new(2, 16, 2, &Device::flex(), &mut rng)?;
//! let problem = objective::Problem::new(&path, Lagrangian::kinetic(), units);
//! let brief = fit::Options { steps: 200, batch: 32, ..Default::default() };
//! let options = fit::Options { learning_rate: 1e-2, ema_decay: 0.9, ..brief };
//! let dynamics = fit::fit(network, &problem, &options, &mut ())?;
//! // ... so that any point can be moved, forward or backward.
//! let moved = flow::simulate(&dynamics, &early, 0.0, &[36.0], flow::Scheme::default(), 0)?;
//! assert!((moved.points[[0, 0, 0]] - 3.0).abs() < 0.5);
//! # Ok::<(), actum::error::Error>(())
//! ```
//!
//! The library never prints and reads no environment, clock or global generator: randomness and
//! devices are arguments.

// The order is that of dependence, which the blank lines keep from being sorted.
pub mod error;

pub mod file;

pub mod cloud;

pub mod transport;

pub mod data;

pub mod units;

pub mod smooth;

pub mod lagrangian;

pub mod path;

pub mod gallery;

pub mod tensor;

pub mod action;

pub mod gaussian;

pub mod objective;

pub mod dynamics;

pub mod fit;

pub mod flow;

pub mod likelihood;

pub mod score;

pub mod metric;

pub mod report;

pub mod plot;

pub mod run;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

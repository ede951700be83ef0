//! Learn how a population moves from snapshots of it.
//!
//! A population is seen as samples at a few times; nobody is seen twice. Action Matching learns one
//! scalar field, the *action* `s_t(x)`, whose gradient moves the samples so that every snapshot is
//! reproduced (Neklyudov, Brekelmans, Severo, Makhzani, ICML 2023). Read from top to bottom, the
//! modules are the method:
//!
//! ```
//! use actum::{Cloud, Mlp, Options, Problem, Snapshots};
//! use ndarray::array;
//!
//! // Clouds at real times ...
//! let early = Cloud::new(array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])?;
//! let late = Cloud::new(array![[3.0, 1.0], [4.0, 1.0], [3.0, 2.0]])?;
//! let snapshots = Snapshots::new(vec![0.0, 36.0], vec![early, late])?;
//! // ... joined into a path by optimal transport ...
//! let problem = Problem::between(&snapshots).build()?;
//! // ... whose motion an action learns ...
//! let options = Options {
//!     steps: 200, batch: 32, learning_rate: 1e-2, ema_decay: 0.9, ..Options::default()
//! };
//! let dynamics = actum::fit(Mlp { width: 16, depth: 2 }, &problem, &options)?;
//! // ... so that any point can be moved.
//! let moved = dynamics.simulate(snapshots.first(), &[36.0])?;
//! assert!((moved.points[[0, 0, 0]] - 3.0).abs() < 0.5);
//! # Ok::<(), actum::error::Error>(())
//! ```
//!
//! | chapter | modules |
//! |---|---|
//! | ground | [`error`], [`memory`], [`stop`], [`store`], [`machines`] |
//! | populations | [`cloud`], [`transport`], [`genes`], [`data`], [`units`] |
//! | motion | [`lagrangian`], [`path`] |
//! | the field | [`action`], [`tensor`](guide::library) (a feature) |
//! | learning it | [`problem`], [`objective`], [`dynamics`], [`fit`](mod@fit) |
//! | using it | [`flow`], [`score`] |
//! | judging it | [`metric`], [`evaluate`], `plot` (a feature) |
//! | cells and genes | [`fates`] |
//! | on disk | [`run`] |
//! | which method suits | [`leave_out`] |
//! | one page to send | `report` (with `plot`) |
//! | populations to try | [`gallery`] |
//!
//! The [guides](guide) show each part at work. Arrays are those of [`ndarray`], generators those of
//! [`rand`] and [`rand_chacha`]; all three are re-exported.
//!
//! The library never prints and reads no environment, clock or global generator: randomness and
//! devices are arguments.

// Some parts serve features alone.
#![cfg_attr(
    not(all(
        feature = "anndata",
        feature = "images",
        feature = "parquet",
        feature = "train"
    )),
    allow(dead_code)
)]

// The order is that of dependence, which the blank lines keep from being sorted.
pub mod error;

pub mod memory;

pub mod stop;

pub mod store;

pub mod machines;

mod simd;

pub mod cloud;

mod neighbours;

pub mod transport;

pub mod genes;

pub mod data;

pub mod units;

pub mod lagrangian;

pub mod path;

pub mod action;

#[cfg(feature = "tensor")]
pub mod tensor;

#[cfg(feature = "train")]
pub mod problem;

pub mod gallery;

#[cfg(feature = "train")]
pub mod objective;

pub mod dynamics;

#[cfg(feature = "train")]
pub mod fit;

pub mod flow;

pub mod score;

pub mod metric;

pub mod evaluate;

#[cfg(feature = "plot")]
pub mod plot;

pub mod fates;

#[cfg(feature = "train")]
pub mod run;

#[cfg(feature = "train")]
pub mod leave_out;

#[cfg(all(feature = "plot", feature = "train"))]
pub mod report;

pub use ndarray;
pub use rand;
pub use rand_chacha;

pub use action::{Mlp, UNet};
pub use cloud::Cloud;
pub use data::{Images, Snapshots};
pub use dynamics::Dynamics;
pub use error::{Error, Result};
#[cfg(feature = "train")]
pub use fit::{Options, fit_architecture as fit};
pub use lagrangian::Lagrangian;
#[cfg(feature = "train")]
pub use problem::Problem;
#[cfg(feature = "train")]
pub use run::Run;
pub use score::Score;

/// The guides, whose examples are tested.
pub mod guide {
    #[doc = include_str!("../docs/guide/data.md")]
    pub mod data {}

    #[doc = include_str!("../docs/guide/cells.md")]
    pub mod cells {}

    #[doc = include_str!("../docs/guide/fitting.md")]
    pub mod fitting {}

    #[doc = include_str!("../docs/guide/evaluating.md")]
    pub mod evaluating {}

    #[doc = include_str!("../docs/guide/limits.md")]
    pub mod limits {}

    #[doc = include_str!("../docs/guide/clusters.md")]
    pub mod clusters {}

    #[doc = include_str!("../docs/guide/report.md")]
    pub mod report {}

    #[doc = include_str!("../docs/guide/growth.md")]
    pub mod growth {}

    #[doc = include_str!("../docs/guide/large-files.md")]
    pub mod large_files {}

    #[doc = include_str!("../docs/guide/images.md")]
    pub mod images {}

    #[doc = include_str!("../docs/guide/scores.md")]
    pub mod scores {}

    #[doc = include_str!("../docs/guide/library.md")]
    pub mod library {}

    #[doc = include_str!("../docs/guide/python.md")]
    pub mod python {}
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

//! A run as one page of HTML: what was learned, how well it predicts, and the motion itself.
//!
//! A [`Report`] is plain data: sentences, sections of tables, charts and pictures, and the moving
//! points. [`Report::html`] makes one file of it that asks for nothing else: a person can send it,
//! open it without a network, and print it. Every table has itself as TSV and JSON inside.
//!
//! Texts of the data (labels, names of columns and files) are shown and never run: they are escaped
//! where they are written, and a content security policy in the page allows its own script and
//! style, by their hashes, and nothing from outside.
//!
//! ```
//! use actum::{
//!     Snapshots, action::Device, gallery::Branching, report::{Report, Told},
//!     run::{IfExists, Run, SnapshotSettings},
//! };
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path().join("run");
//! let snapshots = Branching.snapshots(&[0.0, 24.0, 48.0], 40, 0)?;
//! let mut settings = SnapshotSettings::default();
//! settings.fit.steps = 20;
//! let device = Device::cpu();
//! let claim = IfExists::Keep.claim(&folder)?;
//! let run = Run::fit(claim, &snapshots, "cells.csv", &settings, &device, &mut ())?;
//! let report = Report::of_snapshots(&run, &run.dynamics(&device)?, &snapshots, &Told::default())?;
//! assert_eq!(report.summary.len(), 3);
//! assert!(report.html().starts_with("<!DOCTYPE html>"));
//! # Ok::<(), actum::Error>(())
//! ```

mod html;
#[cfg(feature = "images")]
mod images;
mod parts;
mod progress;
mod scene;
mod snapshots;
mod words;

use std::path::Path;

use serde::Serialize;

#[cfg(feature = "images")]
pub use images::ToldOfImages;
pub use parts::{Cell, Chart, Part, Raster, Section, Table};
pub use progress::{Follower, Progress};
pub use scene::{Labelled, Scene, Seen, SeenLabel, SeenSnapshot};
pub use snapshots::Told;

use crate::{error::Result, store};

/// What a page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The title.
    pub title: String,
    /// A line below it.
    pub about: String,
    /// What a reader sees first: what was fitted, how well it predicts, and what to be careful
    /// about.
    pub summary: Vec<String>,
    /// The moving picture, where points move.
    pub scene: Option<Scene>,
    /// The details.
    pub sections: Vec<Section>,
    /// The version of actum.
    pub version: String,
}

impl Report {
    /// Writes the page, under a temporary name first.
    ///
    /// # Errors
    /// The file cannot be written; what was at `path` is then untouched.
    pub fn save(&self, path: &Path) -> Result<()> {
        let page = self.html();
        store::replace(path, |out| out.write_all(page.as_bytes()))
    }
}

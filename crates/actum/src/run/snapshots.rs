//! What a run of snapshots can do.

use ndarray::s;

use super::Run;
use crate::{
    cloud::Cloud,
    data::{Snapshots, TimeAxis},
    error::{Result, ensure},
    path::Interpolant,
    problem::Mass,
};

/// Of snapshots; a run of images refuses.
impl Run {
    /// The path that the run was fitted to, from the snapshots it was [fitted on](Run::view) or, of
    /// a population in shards, one shard.
    ///
    /// # Errors
    /// A run of images; as [`Run::fit`].
    pub fn path(&self, seen: &Snapshots) -> Result<Interpolant> {
        let (settings, _) = self.snapshots()?;
        settings.options().interpolant(seen, settings.fit.seed)
    }

    /// The indices of the times that the fit did not see.
    ///
    /// # Errors
    /// A run of images; settings with times that it does not have: its files are damaged.
    pub fn held_out(&self) -> Result<Vec<usize>> {
        let axis = self.axis()?;
        let held = &self.snapshots()?.0.data.hold_out;
        held.iter().map(|label| axis.index_of(label)).collect()
    }

    /// The times of the data.
    ///
    /// # Errors
    /// A run of images; labels that are not times: its files are damaged.
    pub fn axis(&self) -> Result<TimeAxis> {
        Ok(TimeAxis::from_labels(&self.snapshots()?.1.labels)?.0)
    }

    /// The snapshots of a file as this run sees them: its columns, checked against it.
    ///
    /// # Errors
    /// A run of images; fewer columns than the run was fitted with, or more where it took them all;
    /// columns with other names or in another order; times in another unit.
    pub fn view(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        let (settings, source) = self.snapshots()?;
        self.columns_of(snapshots.dimension())?;
        let seen = match &settings.data.mass {
            Mass::Given(masses) => self.with_known_masses(snapshots, masses)?,
            Mass::Weights | Mass::Counts => settings.data.view(snapshots)?,
        };
        ensure!(
            !(source.named && seen.is_named()) || seen.columns() == source.columns,
            Shape,
            "the run was fitted on the columns {}; this data has {}",
            source.columns.join(", "),
            seen.columns().join(", ")
        );
        if let (Some(ours), Some(theirs)) = (&source.unit, seen.unit()) {
            ensure!(
                ours == theirs,
                Value,
                "the run was fitted on times in {ours}s, this data is in {theirs}s"
            );
        }
        Ok(seen)
    }

    /// A cloud as this run sees it, like [`view`](Run::view).
    ///
    /// # Errors
    /// As [`view`](Run::view).
    pub fn view_cloud(&self, cloud: &Cloud) -> Result<Cloud> {
        let count = self.columns_of(cloud.dimension())?;
        let points = cloud.points().slice(s![.., ..count]).to_owned();
        let seen = Cloud::weighted(points, cloud.weights().clone())?;
        match self.snapshots()?.0.data.mass {
            Mass::Counts => seen.with_mass(seen.len() as f64),
            Mass::Weights | Mass::Given(_) => Ok(seen),
        }
    }

    /// The snapshots with the `masses` that the run was given for its times.
    fn with_known_masses(&self, snapshots: &Snapshots, masses: &[f64]) -> Result<Snapshots> {
        let axis = self.axis()?;
        ensure!(
            masses.len() == axis.values().len(),
            Shape,
            "the run has {} masses for {} times: its files are damaged",
            masses.len(),
            axis.values().len()
        );
        let labels = snapshots.labels().iter();
        let known = labels
            .map(|label| Ok(masses[axis.index_of(label)?]))
            .collect::<Result<Vec<_>>>()
            .map_err(|e| e.within("the run was given a mass for each of its times"))?;
        let seen = self.snapshots()?.0.data.columns_of(snapshots)?;
        seen.with_masses(&known)
    }

    /// How many of so many columns the run sees.
    fn columns_of(&self, given: usize) -> Result<usize> {
        let (settings, source) = self.snapshots()?;
        let expected = source.columns.len();
        let selects = settings.data.dims.is_some();
        ensure!(
            given == expected || (selects && given > expected),
            Shape,
            "the run was fitted on {expected} columns, this data has {given}"
        );
        Ok(expected)
    }
}

//! What a run of snapshots can do.

use std::{collections::HashSet, path::Path as FilePath, sync::Arc};

use ndarray::{ArrayView2, Axis};

use super::Run;
use crate::{
    action::Device,
    cloud::Cloud,
    data::{self, Keys, Snapshots, TimeAxis, default_columns},
    error::{Error, ErrorKind, Result, ensure},
    evaluate::Bridge,
    path::{Field, Interpolant},
    problem::Mass,
    units::Units,
};

/// Points to move, as a run sees them.
#[derive(Debug, Clone)]
pub struct Start {
    /// The points.
    pub cloud: Cloud,
    /// Their time, where the file tells one.
    pub time: Option<f64>,
    /// Their rows in the file, counted from 0.
    pub rows: Vec<usize>,
    /// The names of all coordinates that were read, those included that the run does not see.
    pub columns: Vec<String>,
    /// What was converted or supposed.
    pub notes: Vec<String>,
}

/// Of snapshots; a run of images refuses.
impl Run {
    /// The path that the run was fitted to, from the snapshots it was [fitted on](Run::view) or, of
    /// a population in shards, one shard.
    ///
    /// # Errors
    /// A run of images; as [`Run::fit`].
    pub fn path(&self, seen: &Snapshots) -> Result<Interpolant> {
        let (settings, _) = self.snapshots()?;
        let motion;
        let along = match settings.path.recouple {
            true => {
                let dynamics = self.dynamics(&Device::cpu())?;
                motion = move |t: f64, x: ArrayView2<f64>| dynamics.velocity(t, &x.to_owned());
                Some(&motion as &Field)
            }
            false => None,
        };
        settings
            .options()
            .interpolant(seen, settings.fit.seed, along)
    }

    /// How far predictions between the times that the fit saw may be off, from the snapshots it was
    /// [fitted on](Run::view). None where it saw fewer than three, or follows a drift, which a
    /// path between the means does not know.
    ///
    /// # Errors
    /// A run of images; snapshots that the settings do not fit.
    pub fn bridge(&self, seen: &Snapshots) -> Result<Option<Bridge>> {
        let (settings, _) = self.snapshots()?;
        if settings.lagrangian.drift {
            return Ok(None);
        }
        let training = settings.data.training(seen)?;
        let scale = Units::of(&training, settings.data.standardize)?.scale();
        Bridge::of(&training, settings.options().interpolation(), &scale)
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
        let (_, seen) = self.snapshots()?;
        let (axis, _) = TimeAxis::from_labels(&seen.labels)?;
        Ok(axis.in_unit(seen.unit.as_deref().unwrap_or_default()))
    }

    /// Where in its own file the run found what it was fitted on, with the components that it made.
    ///
    /// # Errors
    /// A run of images; components that are lost or damaged.
    pub fn keys(&self) -> Result<Keys> {
        let (settings, _) = self.snapshots()?;
        let mut keys = settings.data.keys.clone();
        if keys.pca.is_some() {
            keys.decoder = Some(Arc::new(self.genes()?));
        }
        Ok(keys)
    }

    /// Reads a file as this run sees it, by `read` with the keys of the run: `read` is asked for
    /// the run's columns by their names first, then for what the run's own file had, with
    /// velocities where the run had some, and without.
    ///
    /// # Errors
    /// A run of images; what `read` refuses.
    pub fn read_by<T>(&self, mut read: impl FnMut(&Keys) -> Result<T>) -> Result<T> {
        let (_, seen) = self.snapshots()?;
        let own = &self.keys()?;
        let has_names = seen.named && !seen.columns.iter().any(|name| name.contains(','));
        let named = has_names.then(|| Keys {
            points_key: Some(seen.columns.join(",")),
            ..own.clone()
        });
        // The drift is in the run: a file without velocities will do.
        let still = |keys: &Keys| Keys {
            velocity_key: None,
            ..keys.clone()
        };
        let mut attempts: Vec<Keys> = named.into_iter().chain([own.clone()]).collect();
        // A layer has columns of the same names as X; components have names of their own.
        if own.names_part() && own.pca.is_none() {
            attempts.reverse();
        }
        if own.velocity_key.is_some() {
            let without: Vec<Keys> = attempts.iter().map(still).collect();
            attempts.extend(without);
        }
        let mut absent = None;
        for keys in attempts {
            match read(&keys) {
                // Those of the run's own file say what lacks.
                Err(error) if error.kind() == ErrorKind::Missing => {
                    if absent.is_none() || keys == *own {
                        absent = Some(error);
                    }
                }
                found => return found,
            }
        }
        Err(absent.expect("there was an attempt"))
    }

    /// The snapshots of a file as this run sees them: its columns, found by their names, and its
    /// times, in its unit. [Notes](Snapshots::notes) say what was converted or supposed.
    ///
    /// # Errors
    /// A run of images; columns of other names, or without names and not as many as the run was
    /// fitted with; times in a unit that is not converted to the run's.
    pub fn view(&self, snapshots: &Snapshots) -> Result<Snapshots> {
        let (settings, _) = self.snapshots()?;
        let (chosen, columns) = self.places(snapshots.columns())?;
        let (axis, times) = snapshots.axis().as_on(&self.axis()?)?;
        let notes = snapshots.notes().iter().cloned();
        let notes = notes.chain(columns).chain(times).collect();
        let seen = snapshots.select_columns(&chosen)?;
        let seen = seen.on_axis(axis).with_notes(notes);
        match &settings.data.mass {
            Mass::Given(masses) => self.with_known_masses(&seen, masses),
            Mass::Counts => seen.with_masses(&seen.counts()),
            Mass::Weights => Ok(seen),
        }
    }

    /// Reads points to move from a file as this run sees it, like [`view`](Run::view): all of one
    /// without times or with a single one, else those at the time `from`.
    ///
    /// # Errors
    /// As [`view`](Run::view) and [`read_points`](data::read_points()); a file with several times
    /// of which `from` is none or not given.
    pub fn read_start(&self, path: &FilePath, from: Option<f64>) -> Result<Start> {
        let axis = self.axis()?;
        let (mut time, mut notes) = (None, vec![]);
        let mut choose = |there: &TimeAxis| {
            let (there, note) = there.as_on(&axis)?;
            let chosen = match (there.values(), from) {
                (_, Some(from)) => there.index_of(&from.to_string())?,
                ([_], None) => 0,
                (_, None) => {
                    let times = there.labels().join(", ");
                    let what = format!("there are points at {times}; say at which to start");
                    return Err(Error::new(ErrorKind::Value, what));
                }
            };
            (time, notes) = (Some(there.values()[chosen]), Vec::from_iter(note));
            Ok(chosen)
        };
        let points = self.read_by(|keys| data::read_points(path, keys, &mut choose))?;
        let seen = || {
            let (chosen, note) = self.places(&points.columns)?;
            let cloud = &points.cloud;
            let rows = cloud.points().select(Axis(1), &chosen);
            let cloud = Cloud::weighted(rows, cloud.weights().clone())?;
            Ok((cloud, note))
        };
        let (cloud, note) = seen().map_err(|e: Error| e.within(path.display()))?;
        notes.extend(note);
        let cloud = match self.snapshots()?.0.data.mass {
            Mass::Counts => cloud.with_mass(cloud.len() as f64)?,
            Mass::Weights | Mass::Given(_) => cloud,
        };
        Ok(Start {
            cloud,
            time,
            rows: points.rows,
            columns: points.columns,
            notes,
        })
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
        snapshots.with_masses(&known)
    }

    /// Which of the columns of a file are the run's, in its order, and what is to be said of them.
    fn places(&self, given: &[String]) -> Result<(Vec<usize>, Option<String>)> {
        let (settings, source) = self.snapshots()?;
        let (ours, expected) = (&source.columns, source.columns.len());
        let is_named = given != default_columns(given.len());
        let by_name: Option<Vec<usize>> = ours.iter().map(|name| place(given, name)).collect();
        let is_distinct = |chosen: &Vec<usize>| HashSet::<_>::from_iter(chosen).len() == expected;
        if let Some(chosen) = by_name.filter(|chosen| is_named && is_distinct(chosen)) {
            let others: Vec<&str> = (0..given.len())
                .filter(|j| !chosen.contains(j))
                .map(|j| given[j].as_str())
                .collect();
            let note = (!others.is_empty() && settings.data.dims.is_none()).then(|| {
                let others = others.join(", ");
                format!("left out what the run was not fitted on: {others}")
            });
            return Ok((chosen, note));
        }
        let shared = ours.iter().any(|name| place(given, name).is_some());
        ensure!(
            !(is_named && (source.named || shared)),
            Shape,
            "the run was fitted on the columns {}; this data has {}",
            ours.join(", "),
            given.join(", ")
        );
        let selects = settings.data.dims.is_some();
        ensure!(
            given.len() == expected || (selects && given.len() > expected),
            Shape,
            "the run was fitted on {expected} columns, this data has {}",
            given.len()
        );
        let names = if is_named { &given[..expected] } else { ours };
        let note = (is_named != source.named).then(|| {
            let whose = if is_named { "the run's" } else { "its" };
            let names = names.join(", ");
            format!("{whose} columns have no names: they are taken for {names} in this order")
        });
        Ok(((0..expected).collect(), note))
    }
}

/// The column of a name; upper and lower case agree unless that leaves a choice.
fn place(columns: &[String], name: &str) -> Option<usize> {
    let exact = columns.iter().position(|column| column == name);
    let mut loose = (0..columns.len()).filter(|j| columns[*j].eq_ignore_ascii_case(name));
    exact.or_else(|| loose.next().filter(|_| loose.next().is_none()))
}

//! Pictures of a run of snapshots.

use std::{fs, path::Path};

use ndarray::{ArrayView2, Axis, concatenate};

use super::{Record, Run, Scored};
use crate::{
    cloud::Cloud,
    data::Snapshots,
    dynamics::Dynamics,
    error::{Error, Result},
    flow::{self, Scheme},
    plot::{
        self, ByClass, Chart, Curve, Look, LossPoint, Observed, ObservedMass, Panel, Projection,
    },
};

/// How many particles and instants a picture of trajectories has.
const PARTICLES: usize = 200;
const INSTANTS: usize = 121;

/// Of snapshots; a run of images refuses.
impl Run {
    /// Draws everything about a run into `folder`, as SVG and PNG: snapshots as the run
    /// [sees](Run::view) them beside predictions, streamlines, trajectories, the loss, and W1 of
    /// the `scored` times. Points are coloured by time or by their class. `drawn` is told of every
    /// picture, by the name of its SVG.
    ///
    /// # Errors
    /// A run of images; times outside of what was learned; a file that cannot be written.
    pub fn draw(
        &self,
        dynamics: &Dynamics,
        snapshots: &Snapshots,
        scored: &[Scored],
        by: Option<&ByClass>,
        folder: &Path,
        drawn: &mut dyn FnMut(&Path),
    ) -> Result<()> {
        fs::create_dir_all(folder)
            .map_err(|cause| Error::io("create the folder", folder, cause))?;
        let mut save = |picture: plot::Picture, name: &str| {
            let [svg, _] = picture.save(&folder.join(name))?;
            drawn(&svg);
            Ok(())
        };
        let panels = self.panels(dynamics, snapshots)?;
        let how = format!(
            "Predicted: the points of {} moved along the learned field.",
            panels[0].label
        );
        let projection = self.projection(snapshots)?;
        save(
            plot::snapshots(&panels, &how, &projection, by)?,
            "snapshots",
        )?;
        self.pictures(dynamics, snapshots, scored, by, &mut save)
    }

    /// The page of all snapshots, with axes as distances see them: columns that are standardised in
    /// the fit are so in the picture.
    pub(crate) fn projection(&self, snapshots: &Snapshots) -> Result<Projection> {
        let clouds: Vec<&Cloud> = snapshots.clouds().iter().collect();
        let scale = self.scale(snapshots)?;
        let projection = Projection::scaled(&clouds, snapshots.columns(), &scale)?;
        Ok(projection.over(over(snapshots)))
    }

    /// Each snapshot, and the points of the first moved to its time.
    pub(crate) fn panels(&self, dynamics: &Dynamics, snapshots: &Snapshots) -> Result<Vec<Panel>> {
        let held = self.held_in(snapshots)?;
        let (labels, times) = (shown(snapshots), snapshots.times());
        let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
        let seed = self.settings().fit().seed;
        let first = snapshots.cloud(0);
        let moved = flow::simulate(dynamics, first, times[0], times, scheme, seed)?;
        let panels = labels.into_iter().enumerate().map(|(i, label)| {
            Ok(Panel {
                time: times[i],
                label,
                observed: Some(snapshots.cloud(i).clone()),
                predicted: Some(moved.cloud(i)?),
                held_out: held.contains(&i),
            })
        });
        panels.collect()
    }

    /// The pictures that [`draw`](Self::draw) writes beside the snapshots, each given to `save` with
    /// its name.
    pub(crate) fn pictures(
        &self,
        dynamics: &Dynamics,
        snapshots: &Snapshots,
        scored: &[Scored],
        by: Option<&ByClass>,
        save: &mut dyn FnMut(plot::Picture, &str) -> Result<()>,
    ) -> Result<()> {
        let held = &self.held_in(snapshots)?;
        let time = over(snapshots);
        let projection = self.projection(snapshots)?;
        let labels = shown(snapshots);
        let observed: Vec<Observed> = labels
            .iter()
            .zip(snapshots.times())
            .zip(snapshots.clouds())
            .map(|((label, time), cloud)| Observed {
                time: *time,
                label: label.clone(),
                cloud,
            })
            .collect();

        let first = snapshots.cloud(0);
        let times = snapshots.times();
        let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
        let seed = self.settings().fit().seed;
        let rows = thinned(first.len(), PARTICLES);
        let (some, by) = (first.select(&rows)?, by.map(|by| by.moving(&rows)));
        let by = by.as_ref();
        let last = times[times.len() - 1];
        let span = last - times[0];
        let mut instants: Vec<f64> = (0..INSTANTS)
            .map(|k| (times[0] + span * k as f64 / (INSTANTS - 1) as f64).min(last))
            .collect();
        // Few numbers lie between times that differ by their last digits.
        instants.dedup();
        if dynamics.lagrangian.grows() {
            let moved = flow::simulate(dynamics, first, times[0], &instants, scheme, seed)?;
            let predicted: Vec<_> = instants.iter().copied().zip(moved.masses()).collect();
            let observed: Vec<_> = (0..snapshots.len())
                .map(|i| ObservedMass {
                    time: times[i],
                    mass: snapshots.cloud(i).mass(),
                    held_out: held.contains(&i),
                })
                .collect();
            save(plot::mass("Mass", &predicted, &observed, &time)?, "mass")?;
        }
        let paths = flow::simulate(dynamics, &some, times[0], &instants, scheme, seed)?;
        save(
            plot::trajectories(&paths.times, &paths.points, &observed, &projection, by)?,
            "trajectories",
        )?;

        let mut velocities = vec![];
        let mut at = vec![];
        for (k, &t) in instants.iter().enumerate() {
            velocities.push(dynamics.velocity(t, &paths.at(k))?);
            at.extend(std::iter::repeat_n(t, some.len()));
        }
        let velocities: Vec<ArrayView2<f64>> = velocities.iter().map(|v| v.view()).collect();
        let velocities = concatenate(Axis(0), &velocities).expect("all have the same columns");
        let points = paths.points.to_shape((at.len(), some.dimension()));
        let points = points.expect("rows of all times in turn").into_owned();
        save(
            plot::streamlines(&points, &velocities, &at, &observed, &projection, by)?,
            "streamlines",
        )?;

        if let Some(bridge) = self.bridge(snapshots)? {
            let unit = match self.snapshots()?.0.data.standardize {
                true => "standard deviations",
                false => "units of the data",
            };
            let error = |t: &f64| bridge.error(*t).map(|error| [*t, error]);
            let found = held.iter().filter_map(|k| {
                let found = bridge.found(times[*k], snapshots.cloud(*k))?;
                Some([times[*k], found])
            });
            // The times of the snapshots, where it is 0, are among those that are drawn.
            let mut drawn: Vec<f64> = instants.iter().chain(times).copied().collect();
            drawn.sort_by(f64::total_cmp);
            drawn.dedup();
            let curve = |name: &str, points: Vec<[f64; 2]>, look| Curve {
                name: name.to_owned(),
                points,
                look: Look::Learned(look),
                dots: look == 1,
            };
            let expected = curve("expected", drawn.iter().filter_map(error).collect(), 0);
            let found = curve("found where held out", found.collect(), 1);
            let mut curves = vec![expected, found];
            curves.retain(|curve| !curve.points.is_empty());
            let chart = Chart {
                title: "How far the mean of a prediction may be off".to_owned(),
                x: plot::Axis {
                    name: time.clone(),
                    logarithmic: false,
                },
                y: plot::Axis {
                    name: format!("distance, {unit}"),
                    logarithmic: false,
                },
                curves,
                y_limits: None,
                density: None,
            };
            save(
                plot::curves("Error bars between snapshots", &[chart], 1)?,
                "error",
            )?;
        }

        let mut losses = vec![];
        let mut events = vec![];
        for record in self.log()? {
            match record {
                Record::Step(step) => losses.push(LossPoint {
                    step: step.step,
                    loss: step.loss,
                    smooth: Some(step.smoothed),
                }),
                Record::Rollback(rollback) => events.push((rollback.to, "rolled back".to_owned())),
            }
        }
        save(plot::loss("Objective", &losses, &events)?, "loss")?;

        for Scored { score, .. } in scored {
            let rows: Vec<plot::Score> = score
                .rows()
                .into_iter()
                .enumerate()
                .map(|(i, (name, distances))| plot::Score {
                    name: name.to_owned(),
                    value: distances.w1,
                    result: i == 0,
                })
                .collect();
            let measure = format!("W1 to the points held out at {}", score.at);
            save(
                plot::scores(&measure, &rows)?,
                &format!("score-{}", file_name(&score.at)),
            )?;
        }
        Ok(())
    }
}

/// The axis of time.
fn over(snapshots: &Snapshots) -> String {
    let units = snapshots.axis().units();
    units.map_or("time".to_owned(), |units| format!("time, {units}"))
}

/// The labels as a person reads them: numbers alone say that they are times.
fn shown(snapshots: &Snapshots) -> Vec<String> {
    let plain = |label: &String| label.parse::<f64>().is_ok();
    let labels = snapshots.labels();
    labels
        .iter()
        .map(|label| {
            if plain(label) {
                format!("t = {label}")
            } else {
                label.clone()
            }
        })
        .collect()
}

fn file_name(label: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    label
        .chars()
        .map(|c| if safe(c) { c } else { '-' })
        .collect()
}

/// Evenly spaced rows out of `n`, at most `most` of them.
fn thinned(n: usize, most: usize) -> Vec<usize> {
    let kept = n.min(most);
    (0..kept).map(|k| k * n / kept).collect()
}

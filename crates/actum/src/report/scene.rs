//! The moving picture as numbers.

use ndarray::{Array1, Array2};
use serde::Serialize;

use super::{Chart, parts::thousands, words};
use crate::{
    cloud::Cloud,
    data::{Attribute, Snapshots},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
    fates::Fates,
    flow::{Scheme, simulate},
    plot::{CLASS_COLOURS, Classes, Projection, TimeScale, ramp},
};

/// What is known of the points of snapshots beside their coordinates.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// A label for each point, those of one snapshot after another.
    pub labels: &'a Attribute,
    /// The fates of all these points.
    pub fates: Option<&'a Fates>,
}

/// Points that move, in a page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scene {
    /// What it shows, for those who do not see it.
    pub described: String,
    /// What a reader should know of it.
    pub note: String,
    /// What is shown where nothing can move: a drawing of each time.
    pub still: Vec<Chart>,
    /// What the numbers are.
    pub seen: Seen,
    /// The numbers: places of moving points, of observed ones, rates, masses, labels, fates.
    #[serde(skip)]
    numbers: Vec<u8>,
}

/// What the numbers of a [`Scene`] are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// How many points move.
    pub n: usize,
    /// How many observed points are drawn.
    pub m: usize,
    /// The times at which places are known.
    pub frames: Vec<f64>,
    /// Where these times are on the way from dark to light, 0 to 1.
    pub places: Vec<f64>,
    /// The snapshots.
    pub snapshots: Vec<SeenSnapshot>,
    /// Which snapshot has the points that move.
    pub first: usize,
    /// Their rows in it, counted from 0; empty where all move.
    pub rows: Vec<usize>,
    /// Their weights; empty where all are equal.
    pub weights: Vec<f64>,
    /// The least and the greatest coordinates on the page, which 16 bits are for.
    pub low: [f64; 2],
    /// The greatest.
    pub high: [f64; 2],
    /// The names of the axes.
    pub names: [String; 2],
    /// The unit of times, `hours`; empty where none is known.
    pub unit: String,
    /// Whether mass grows.
    pub grows: bool,
    /// The growth rate of the strongest colour.
    pub rate: f64,
    /// The unit of growth rates.
    pub rate_unit: String,
    /// The labels.
    pub label: Option<SeenLabel>,
    /// The names of fates.
    pub fates: Vec<String>,
    /// The colours of time, from early to late.
    pub ramp: Vec<String>,
    /// The colours of growth, from death to birth.
    pub rising: [&'static str; 3],
    /// The colours of labels.
    pub colours: [&'static str; CLASS_COLOURS.len()],
    /// Which of them each fate has.
    pub fate_colours: Vec<usize>,
}

/// A snapshot of a [`Scene`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenSnapshot {
    /// Its time as the data write it.
    pub label: String,
    /// The same in a sentence.
    pub said: String,
    /// At which of the frames it is; -1 outside of what was learned.
    pub frame: f64,
    /// Where its time is on the way from dark to light.
    pub place: f64,
    /// Whether the fit did not see it.
    pub held_out: bool,
    /// How many points it has, and how many of them are drawn.
    pub count: usize,
    /// How many are drawn.
    pub drawn: usize,
}

/// The labels of points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenLabel {
    /// Their name.
    pub name: String,
    /// What they are.
    pub classes: Vec<String>,
}

/// How many points move in a report, and how many observed ones are drawn.
pub(super) const MOST: usize = 50_000;
/// The same in a picture among others.
pub(super) const FEW: usize = 5000;
/// How many bytes the moving points take for each of the most points, before they become text.
const BYTES: usize = 44;
/// How many frames there are at most.
const FRAMES: usize = 61;
/// Blue, grey and orange: they differ for the colour-blind.
const RISING: [&str; 3] = ["#0072b2", "#c3c9d3", "#d55e00"];

/// What a scene is made of.
pub(super) struct Of<'a> {
    pub dynamics: &'a Dynamics,
    pub snapshots: &'a Snapshots,
    pub held: &'a [usize],
    pub projection: &'a Projection,
    pub known: Option<Labelled<'a>>,
    pub seed: u64,
    pub still: Vec<Chart>,
    /// How many points move at most, and how many observed ones are drawn.
    pub most: usize,
}

impl Scene {
    /// Moves the points of the first snapshot that was learned.
    pub(super) fn new(of: &Of) -> Result<Self> {
        let (dynamics, snapshots) = (of.dynamics, of.snapshots);
        let (units, grows) = (&dynamics.units, dynamics.lagrangian.grows());
        let [begin, end] = units.span();
        let times = snapshots.times();
        let inside = |t: f64| (begin..=end).contains(&t);
        let first = times.iter().position(|t| inside(*t)).ok_or_else(|| {
            let what =
                format!("no snapshot lies between {begin} and {end}, where the run moves points");
            Error::new(ErrorKind::Value, what)
        })?;
        let rows = thinned(snapshots.cloud(first).len(), of.most);
        let cloud = snapshots.cloud(first).select(&rows)?;
        let n = cloud.len();
        let bytes = if grows { 6 } else { 4 };
        let most = (of.most * BYTES / (n * bytes)).clamp(6, FRAMES);
        let mut stops: Vec<f64> = times[first..]
            .iter()
            .copied()
            .filter(|t| inside(*t))
            .collect();
        if *stops.last().expect("the first is one") < end {
            stops.push(end);
        }
        if stops.len() < 2 {
            let what = format!(
                "the points at {} are at the end of the learned motion; add earlier ones",
                snapshots.labels()[first]
            );
            return Err(Error::new(ErrorKind::Value, what));
        }
        let frames = frames(&stops, most, |t| units.time_in(t), |t| units.time_out(t));
        let scheme = Scheme::for_lagrangian(&dynamics.lagrangian);
        let moved = simulate(dynamics, &cloud, times[first], &frames, scheme, of.seed)?;

        let on_page = |points: &Array2<f64>, t: f64| -> Result<Vec<[f64; 2]>> {
            let page = of.projection.points(points)?;
            Ok(page
                .outer_iter()
                .map(|row| match row.len() {
                    1 => [t, row[0]],
                    _ => [row[0], row[1]],
                })
                .collect())
        };
        let mut places = Vec::with_capacity(frames.len() * n);
        for (k, t) in frames.iter().enumerate() {
            places.extend(on_page(&moved.at(k), *t)?);
        }
        let share = of.most / snapshots.len();
        let shown: Vec<Vec<usize>> = snapshots
            .clouds()
            .iter()
            .map(|cloud| thinned(cloud.len(), share))
            .collect();
        let mut observed = vec![];
        for (k, rows) in shown.iter().enumerate() {
            let points = snapshots.cloud(k).select(rows)?;
            observed.extend(on_page(points.points(), times[k])?);
        }
        let (low, high) = bounds(places.iter().chain(&observed));
        let mut numbers = vec![];
        for places in [&places, &observed] {
            for axis in [0, 1] {
                for place in places {
                    let level = 65535.0 * (place[axis] - low[axis]) / (high[axis] - low[axis]);
                    numbers.extend((level.round() as u16).to_le_bytes());
                }
            }
        }
        let mut rate = 0.0;
        if grows {
            let rates = frames.iter().enumerate().map(|(k, t)| {
                let told = dynamics.describe(*t, &moved.at(k))?;
                Ok(told.growth)
            });
            let rates: Vec<Array1<f64>> = rates.collect::<Result<_>>()?;
            let mut sizes: Vec<f64> = rates.iter().flatten().map(|g| g.abs()).collect();
            sizes.sort_by(f64::total_cmp);
            rate = sizes[(0.99 * (sizes.len() - 1) as f64) as usize].max(f64::MIN_POSITIVE);
            for g in rates.iter().flatten() {
                numbers.push((127.5 * (1.0 + g / rate)).clamp(0.0, 255.0) as u8);
            }
            for row in moved.weights.outer_iter() {
                for (now, before) in row.iter().zip(cloud.weights()) {
                    // What has no weight stays without.
                    let grown = if *before > 0.0 { now / before } else { 0.0 };
                    numbers.push((128.0 + 21.0 * grown.log2()).clamp(0.0, 255.0).round() as u8);
                }
            }
        }
        let mut label = None;
        let (mut fates, mut fate_colours) = (vec![], vec![]);
        if let Some(known) = of.known {
            let (classes, each) = Classes::of(known.labels);
            let start =
                |k: usize| -> usize { snapshots.clouds()[..k].iter().map(Cloud::len).sum() };
            numbers.extend(rows.iter().map(|row| each[start(first) + row] as u8));
            for (k, rows) in shown.iter().enumerate() {
                numbers.extend(rows.iter().map(|row| each[start(k) + row] as u8));
            }
            if let Some(told) = known.fates {
                let cells: Vec<usize> = rows.iter().map(|row| start(first) + row).collect();
                let (names, shares) = most_likely(told, &cells);
                for share in shares.iter() {
                    numbers.push((255.0 * share).round() as u8);
                }
                fate_colours = colours_of(&names, classes.labels());
                fates = names;
            }
            label = Some(SeenLabel {
                name: known.labels.name.clone(),
                classes: classes.labels().to_vec(),
            });
        }
        let scale = TimeScale::new(times.iter().copied());
        let axis = snapshots.axis();
        let at = |t: f64| frames.iter().position(|frame| *frame == t);
        let snapshots_of = (0..snapshots.len()).map(|k| SeenSnapshot {
            label: snapshots.labels()[k].clone(),
            frame: at(times[k]).map_or(-1.0, |k| k as f64),
            place: scale.place(times[k]),
            said: words::time(snapshots, &snapshots.labels()[k]),
            held_out: of.held.contains(&k),
            count: snapshots.counts()[k] as usize,
            drawn: shown[k].len(),
        });
        let weights = cloud.weights();
        let mean = weights.sum() / n as f64;
        let seen = Seen {
            n,
            m: observed.len(),
            places: frames.iter().map(|t| scale.place(*t)).collect(),
            snapshots: snapshots_of.collect(),
            first,
            rows: match n == snapshots.cloud(first).len() {
                true => vec![],
                false => rows,
            },
            weights: match cloud.is_uniform() {
                true => vec![],
                // Six digits are enough for shares.
                false => weights
                    .iter()
                    .map(|w| (1e6 * w / mean).round() / 1e6)
                    .collect(),
            },
            low,
            high,
            names: of.projection.names().clone(),
            unit: axis.units().unwrap_or_default(),
            grows,
            rate,
            rate_unit: axis
                .unit()
                .map_or("per unit of time".to_owned(), |unit| format!("per {unit}")),
            label,
            fates,
            ramp: (0..=10)
                .map(|k| crate::plot::hex(ramp(f64::from(k) / 10.0)))
                .collect(),
            rising: RISING,
            colours: CLASS_COLOURS,
            fate_colours,
            frames,
        };
        Ok(Self {
            described: format!(
                "{} points at {} move to {}; the axes are {} and {}.",
                thousands(n),
                words::time(snapshots, &snapshots.labels()[first]),
                words::time(snapshots, &axis.label_of(end)),
                seen.names[0],
                seen.names[1]
            ),
            note: note(of, &seen),
            still: of.still.clone(),
            seen,
            numbers,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.numbers
    }

    /// By what points can be coloured: its value in the page, and what it is called.
    pub(super) fn ways_to_colour(&self) -> Vec<(&'static str, String)> {
        let mut ways = vec![("time", "time".to_owned())];
        if let Some(label) = &self.seen.label {
            ways.push(("label", label.name.clone()));
        }
        if self.seen.grows {
            ways.push(("growth", "growth rate".to_owned()));
        }
        if !self.seen.fates.is_empty() {
            ways.push(("fate", "most likely fate".to_owned()));
        }
        ways
    }
}

/// What a reader should know of the picture.
fn note(of: &Of, seen: &Seen) -> String {
    let snapshot = &seen.snapshots[seen.first];
    let mut notes = vec![format!(
        "The points at {} are moved along the learned field; faint points were observed.",
        snapshot.said
    )];
    if seen.n < snapshot.count {
        notes.push(format!(
            "{} of {} are moved.",
            thousands(seen.n),
            thousands(snapshot.count)
        ));
    }
    let all: usize = seen.snapshots.iter().map(|s| s.count).sum();
    if seen.m < all {
        notes.push(format!(
            "{} of {} observed points are drawn.",
            thousands(seen.m),
            thousands(all)
        ));
    }
    if of.dynamics.lagrangian.is_noisy() {
        notes.push("Each takes one of its random paths.".to_owned());
    }
    if seen.grows {
        notes.push("A point is the fainter the less has come of it.".to_owned());
    }
    notes.extend(of.projection.note());
    notes.push("The slider advances with the distance that the population travels.".to_owned());
    if seen.snapshots.iter().any(|s| s.held_out) {
        notes.push("A dashed time was held out of the fit.".to_owned());
    }
    notes.join(" ")
}

/// Evenly spaced rows out of `n`, at most `most` of them.
pub(super) fn thinned(n: usize, most: usize) -> Vec<usize> {
    let kept = n.min(most);
    (0..kept).map(|k| k * n / kept).collect()
}

/// About `most` times, all `stops` among them, evenly spaced in the network's time.
fn frames(
    stops: &[f64],
    most: usize,
    inner: impl Fn(f64) -> f64,
    outer: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let mut frames = vec![stops[0]];
    let whole = inner(stops[stops.len() - 1]) - inner(stops[0]);
    for pair in stops.windows(2) {
        let [from, to] = [inner(pair[0]), inner(pair[1])];
        let count = (((to - from) / whole * (most - 1) as f64).round() as usize).max(1);
        for k in 1..count {
            frames.push(outer(from + (to - from) * k as f64 / count as f64));
        }
        frames.push(pair[1]);
    }
    frames
}

/// The least and the greatest coordinates, apart.
fn bounds<'a>(places: impl Iterator<Item = &'a [f64; 2]>) -> ([f64; 2], [f64; 2]) {
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for place in places {
        for axis in [0, 1] {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    for axis in [0, 1] {
        let middle = 0.5 * (low[axis] + high[axis]);
        if high[axis] - low[axis] <= 1e-9 * middle.abs() || high[axis] == low[axis] {
            let half = if middle == 0.0 {
                1.0
            } else {
                0.5 * middle.abs()
            };
            (low[axis], high[axis]) = (middle - half, middle + half);
        }
    }
    (low, high)
}

/// The names of the likeliest fates of some cells and their probabilities, `[n, l]`; where there
/// are more than there are colours, the rest counts together.
fn most_likely(told: &Fates, cells: &[usize]) -> (Vec<String>, Array2<f64>) {
    let told = told.select(cells);
    let all = told.names.len();
    if all <= CLASS_COLOURS.len() {
        return (told.names, told.probabilities);
    }
    let kept = CLASS_COLOURS.len() - 1;
    let sums = told.probabilities.sum_axis(ndarray::Axis(0));
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by(|a, b| sums[*b].total_cmp(&sums[*a]));
    order.truncate(kept);
    order.sort_unstable();
    let mut names: Vec<String> = order.iter().map(|l| told.names[*l].clone()).collect();
    names.push(format!("{} others", all - kept));
    let shares = Array2::from_shape_fn((cells.len(), kept + 1), |(i, l)| match order.get(l) {
        Some(fate) => told.probabilities[[i, *fate]],
        None => {
            let known: f64 = order
                .iter()
                .map(|fate| told.probabilities[[i, *fate]])
                .sum();
            (1.0 - known).max(0.0)
        }
    });
    (names, shares)
}

/// A colour for each fate: that of the label of its name, else one that no label has.
fn colours_of(fates: &[String], labels: &[String]) -> Vec<usize> {
    let known = |fate: &String| labels.iter().position(|label| label == fate);
    let mut free: Vec<usize> = (0..CLASS_COLOURS.len())
        .filter(|c| !fates.iter().any(|fate| known(fate) == Some(*c)))
        .collect();
    // Colours that no label has come first.
    free.sort_by_key(|c| *c < labels.len());
    let mut free = free.into_iter();
    let of = fates.iter().map(|fate| known(fate).or_else(|| free.next()));
    of.map(|colour| colour.unwrap_or(CLASS_COLOURS.len() - 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::{
        gallery::gaussian::{Gaussian, Moments},
        lagrangian::Lagrangian,
        units::Units,
    };

    /// A Gaussian whose points start at `x` and are at `t^2 + (1 + t) (x - m_0)`, from times 2 to 6
    /// in units of 10: closed forms.
    fn gaussian(clouds: Vec<Cloud>, times: Vec<f64>) -> Scene {
        let moments = |t: f64| Moments {
            mean: vec![t * t, 1.0 - t],
            mean_rate: vec![2.0 * t, -1.0],
            std_dev: 1.0 + t,
            std_dev_rate: 1.0,
        };
        let units = Units::isotropic(vec![5.0, 0.0], 10.0, [2.0, 6.0]).unwrap();
        let dynamics =
            Dynamics::new(Gaussian::new(2, moments), Lagrangian::kinetic(), units).unwrap();
        let snapshots = Snapshots::new(times, clouds).unwrap();
        let all: Vec<&Cloud> = snapshots.clouds().iter().collect();
        let projection = Projection::fit(&all, snapshots.columns()).unwrap();
        Scene::new(&Of {
            dynamics: &dynamics,
            snapshots: &snapshots,
            held: &[1],
            projection: &projection,
            known: None,
            seed: 0,
            still: vec![],
            most: MOST,
        })
        .unwrap()
    }

    #[test]
    fn points_are_where_the_closed_form_has_them() {
        let start = array![[5.0, 10.0], [15.0, 10.0]];
        let end = array![[15.0, 0.0], [0.0, 3.0], [1.0, -4.0]];
        let clouds = vec![Cloud::new(start).unwrap(), Cloud::new(end.clone()).unwrap()];
        let scene = gaussian(clouds, vec![2.0, 6.0]);
        let seen = &scene.seen;
        assert_eq!((seen.n, seen.m, seen.frames.len()), (2, 3 + 2, FRAMES));
        let frames: Vec<f64> = seen.snapshots.iter().map(|s| s.frame).collect();
        assert_eq!(frames, [0.0, 60.0]);
        let levels: Vec<f64> = scene
            .bytes()
            .chunks_exact(2)
            .map(|pair| f64::from(u16::from_le_bytes([pair[0], pair[1]])))
            .collect();
        let place = |axis: usize, level: f64| {
            seen.low[axis] + (seen.high[axis] - seen.low[axis]) * level / 65535.0
        };
        let half = FRAMES * seen.n;
        for (k, t) in [(0, 0.0), (30, 0.5), (60, 1.0)] {
            for (i, z) in [0.0, 1.0].into_iter().enumerate() {
                let expected = [5.0 + 10.0 * (t * t + (1.0 + t) * z), 10.0 * (1.0 - t)];
                for axis in [0, 1] {
                    let found = place(axis, levels[axis * half + k * seen.n + i]);
                    assert!((found - expected[axis]).abs() < 4e-3, "{k} {i}: {found}");
                }
            }
        }
        // The observed points follow: x of all, then y of all.
        let observed = &levels[2 * half..];
        for (i, row) in end.outer_iter().enumerate() {
            assert!((place(0, observed[2 + i]) - row[0]).abs() < 4e-3);
            assert!((place(1, observed[5 + 2 + i]) - row[1]).abs() < 4e-3);
        }
        assert_eq!(levels.len(), 2 * (half + 5));
    }

    #[test]
    fn fifty_thousand_points_are_less_than_five_megabytes() {
        let cloud = |n: usize| {
            let point = |(i, j): (usize, usize)| 10.0 + ((7 * i + j) as f64).sin();
            Cloud::new(Array2::from_shape_fn((n, 2), point)).unwrap()
        };
        for sizes in [
            [50_000, 50_000, 50_000],
            [10_000, 20_000, 20_000],
            [70_000, 5, 5],
        ] {
            let scene = gaussian(sizes.map(cloud).to_vec(), vec![2.0, 4.0, 6.0]);
            let told = serde_json::to_string(&scene.seen).unwrap();
            let size = scene.bytes().len() * 4 / 3 + told.len();
            assert!(size < 4_000_000, "{sizes:?}: {size}");
            assert!(scene.seen.n <= 50_000 && scene.seen.m <= 50_000);
        }
    }

    #[test]
    fn frames_hold_all_stops_and_are_about_as_many_as_asked() {
        // The first tenth of the time is half of the way.
        let inner = |t: f64| {
            if t <= 1.0 {
                0.5 * t
            } else {
                0.5 + (t - 1.0) / 18.0
            }
        };
        let outer = |s: f64| {
            if s <= 0.5 {
                2.0 * s
            } else {
                1.0 + 18.0 * (s - 0.5)
            }
        };
        let found = frames(&[0.0, 1.0, 10.0], 21, inner, outer);
        assert_eq!(found.len(), 21);
        assert_eq!([found[0], found[10], found[20]], [0.0, 1.0, 10.0]);
        assert!((found[5] - 0.5).abs() < 1e-12 && (found[15] - 5.5).abs() < 1e-12);
        assert_eq!(frames(&[0.0, 1.0, 10.0], 2, inner, outer), [0.0, 1.0, 10.0]);
    }

    #[test]
    fn equal_coordinates_have_bounds_apart() {
        let (low, high) = bounds([[3.0, 0.0], [3.0, 0.0]].iter());
        assert_eq!((low, high), ([1.5, -1.0], [4.5, 1.0]));
    }

    #[test]
    fn fates_have_the_colours_of_their_labels() {
        let names = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let found = colours_of(&names(&["b", "other"]), &names(&["a", "b"]));
        assert_eq!(found, [1, 2]);
    }
}

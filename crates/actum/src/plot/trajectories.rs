//! The paths of particles.

use std::fmt::Write;

use ndarray::{Array2, Array3, Axis};

use super::{
    ByClass, Observed, Picture, Projection,
    axis::{self, Frame},
    canvas::{Area, At, CAPTION, Canvas, MARGIN, SOFT, Text},
    colour::TimeScale,
    population,
};
use crate::error::{Result, ensure};

/// More lines hide each other.
const LINES: usize = 80;
const COLOURS: usize = 48;

/// The paths of particles, `points [k, n, d]` at the `times [k]`, coloured by time, over the
/// observed clouds. A dot marks the end of a path. At most 80 paths are drawn. A population of one
/// column is drawn against time. With classes the points and the paths have their colours instead.
///
/// # Errors
/// No particles, not a class for each point, not one time for each of k, times that neither increase
/// nor decrease, another dimension than the projection, a number that is not finite.
pub fn trajectories(
    times: &[f64],
    points: &Array3<f64>,
    observed: &[Observed],
    projection: &Projection,
    by: Option<&ByClass>,
) -> Result<Picture> {
    let (k, n, _) = points.dim();
    ensure!(
        k > 0 && n > 0,
        Value,
        "trajectories need times and particles, got [{k}, {n}]"
    );
    ensure!(
        times.len() == k,
        Shape,
        "expected a time for each of {k} steps, got {}",
        times.len()
    );
    super::check("time", times.iter().copied())?;
    let forward = times.windows(2).all(|t| t[0] < t[1]);
    let backward = times.windows(2).all(|t| t[0] > t[1]);
    ensure!(
        forward || backward,
        Value,
        "the times of trajectories must increase or decrease throughout"
    );

    let dots = population::observed_dots(observed, projection, by)?;
    if let Some(by) = by {
        by.check(observed.len(), Some(n))?;
    }
    // All particles determine the limits and are counted; only some are drawn.
    let steps = (0..k)
        .map(|i| {
            let at: Array2<f64> = points.index_axis(Axis(0), i).to_owned();
            projection
                .on_page(&at, times[i])
                .map_err(|e| e.within(format_args!("step {i}")))
        })
        .collect::<Result<Vec<_>>>()?;
    let drawn = population::sample(n, LINES);
    let marked = observed.iter().map(|o| o.time);
    let scale = &TimeScale::reaching(marked, times.iter().copied());
    let page = || {
        dots.iter()
            .flat_map(|d| &d.page)
            .chain(drawn.iter().flat_map(|&j| steps.iter().map(move |s| &s[j])))
    };
    let limits = [
        axis::limits(page().map(|p| p[0])),
        axis::limits(page().map(|p| p[1])),
    ];

    let mut notes = vec![
        Some("Lines: the paths of particles, which end at their dots.".to_owned()),
        (drawn.len() < n).then(|| {
            format!(
                "{} of {} trajectories are drawn.",
                population::count(drawn.len()),
                population::count(n)
            )
        }),
        population::subsampled("observed points", &dots),
    ];
    let marks: Vec<(f64, String)> = observed.iter().map(|o| (o.time, o.label.clone())).collect();
    Ok(beside_time_bar(
        limits,
        projection,
        scale,
        &marks,
        by,
        |canvas, frame| {
            for (dots, o) in dots.iter().zip(observed) {
                dots.draw(canvas, frame, &scale.colour(o.time), 0.35);
            }
            let paths: Vec<Vec<(f64, [f64; 2])>> = drawn
                .iter()
                .map(|&j| {
                    let mut path: Vec<_> = times
                        .iter()
                        .zip(&steps)
                        .map(|(t, s)| (*t, frame.at(s[j])))
                        .collect();
                    if backward {
                        path.reverse();
                    }
                    path
                })
                .collect();
            canvas.clipped(frame.area, |canvas| {
                canvas.group("opacity=\"0.8\"", |canvas| match by {
                    None => graded(canvas, &paths, scale),
                    Some(by) => classed(canvas, &paths, &drawn, by),
                });
                let end = if backward {
                    times[0].min(times[k - 1])
                } else {
                    times[k - 1]
                };
                let ends = [scale.colour(end)];
                let colours = by.map_or(&ends[..], |by| by.classes.colours());
                for (class, colour) in colours.iter().enumerate() {
                    let is_of = |j: &&usize| by.is_none_or(|by| by.moved[**j] == class);
                    let style =
                        format!("fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"0.5\"");
                    canvas.group(&style, |canvas| {
                        for &j in drawn.iter().filter(is_of) {
                            canvas.dot(frame.at(steps[k - 1][j]), 2.0);
                        }
                    });
                }
            });
            let out = drawn
                .iter()
                .filter(|&&j| steps.iter().any(|s| !frame.area.contains(frame.at(s[j]))))
                .count();
            notes.push(population::outside(frame, &dots));
            notes.push(
                (out > 0)
                    .then(|| format!("{} trajectories leave the axes.", population::count(out))),
            );
            notes.push(population::weights(&dots));
            notes.push(projection.note());
            notes.push(match by {
                Some(by) => Some(by.classes.note()),
                None => scale.note(),
            });
            notes
        },
    ))
}

/// Lines in the colours of their classes.
fn classed(canvas: &mut Canvas, paths: &[Vec<(f64, [f64; 2])>], drawn: &[usize], by: &ByClass) {
    for (class, colour) in by.classes.colours().iter().enumerate() {
        let of = paths
            .iter()
            .zip(drawn)
            .filter(|(_, j)| by.moved[**j] == class);
        let mut data = String::new();
        for (path, _) in of {
            let places: Vec<[f64; 2]> = path.iter().map(|(_, at)| *at).collect();
            add_line(&mut data, &places);
        }
        canvas.path(&data, &stroke(colour, paths.len()));
    }
}

/// Adds a line through points to the data of a path.
fn add_line(data: &mut String, places: &[[f64; 2]]) {
    let Some((first, rest)) = places.split_first() else {
        return;
    };
    let _ = write!(data, "M{} {}", At(first[0]), At(first[1]));
    let mut last = *first;
    for (i, p) in rest.iter().enumerate() {
        // Points closer than a third of a unit would add bytes without a visible effect.
        if i + 1 == rest.len() || (p[0] - last[0]).hypot(p[1] - last[1]) > 0.34 {
            let _ = write!(data, "L{} {}", At(p[0]), At(p[1]));
            last = *p;
        }
    }
}

fn stroke(colour: &str, lines: usize) -> String {
    let width = if lines > 60 { 0.9 } else { 1.2 };
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"")
}

/// Lines in the colours of time. Every colour is one shape, cut out of all paths.
fn graded(canvas: &mut Canvas, paths: &[Vec<(f64, [f64; 2])>], scale: &TimeScale) {
    if scale.last() <= scale.first() {
        return;
    }
    let edge = |c: f64| scale.time_at(c / COLOURS as f64);
    for c in 0..COLOURS {
        let c = c as f64;
        // A colour begins a little early, because a gap would be visible between the ends.
        let (from, to) = (edge(c - 0.15), edge(c + 1.0));
        let mut data = String::new();
        for path in paths {
            add_line(&mut data, &between(path, from, to));
        }
        let colour = scale.colour(edge(c + 0.5));
        canvas.path(&data, &stroke(&colour, paths.len()));
    }
}

/// The part of a path (times increase) between two times; its ends lie on the segments.
fn between(path: &[(f64, [f64; 2])], from: f64, to: f64) -> Vec<[f64; 2]> {
    let (Some(first), Some(last)) = (path.first(), path.last()) else {
        return Vec::new();
    };
    let (from, to) = (from.max(first.0), to.min(last.0));
    if from >= to {
        return Vec::new();
    }
    let at = |time: f64| {
        let i = path
            .partition_point(|(t, _)| *t < time)
            .clamp(1, path.len() - 1);
        let ((s, a), (t, b)) = (path[i - 1], path[i]);
        let u = (time - s) / (t - s);
        [a[0] + u * (b[0] - a[0]), a[1] + u * (b[1] - a[1])]
    };
    let inner = path
        .iter()
        .filter(|(t, _)| *t > from && *t < to)
        .map(|(_, p)| *p);
    std::iter::once(at(from))
        .chain(inner)
        .chain([at(to)])
        .collect()
}

/// A large frame with the colours of time beside it; `draw` returns the parts of the caption.
/// Against time, the marks are above the frame instead. With classes their colours are beside it.
pub(super) fn beside_time_bar(
    limits: [[f64; 2]; 2],
    projection: &Projection,
    scale: &TimeScale,
    marks: &[(f64, String)],
    by: Option<&ByClass>,
    draw: impl FnOnce(&mut Canvas, &Frame) -> Vec<Option<String>>,
) -> Picture {
    const MARK: Text = Text::new(10.5, SOFT);
    let against_time = projection.against_time();
    let (width, height) = if against_time {
        (640.0, 360.0)
    } else {
        (500.0, 440.0)
    };
    let top = MARGIN + if against_time { 16.0 } else { 4.0 };
    let probe = Frame::new(
        Area {
            x: 0.0,
            y: top,
            width,
            height,
        },
        limits[0],
        limits[1],
    );
    let x = MARGIN + axis::left_of(probe.label_width());
    let area = Area { x, ..probe.area };
    let frame = Frame::new(area, limits[0], limits[1]);
    let bar = (0.62 * height).round();
    let right = if let Some(by) = by {
        20.0 + by.classes.width()
    } else if against_time {
        10.0
    } else {
        20.0 + scale.bar_width(marks, bar, projection.time())
    };

    // The caption, and with it the height, is known after everything is drawn.
    let mut canvas = Canvas::new(area.right() + right + MARGIN, 0.0);
    frame.draw(&mut canvas);
    frame.label_x(&mut canvas, 12.0);
    frame.label_y(&mut canvas);
    frame.name_x(&mut canvas, &projection.names()[0]);
    frame.name_y(&mut canvas, &projection.names()[1]);
    if against_time {
        let mut order: Vec<&(f64, String)> = marks.iter().collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = f64::NEG_INFINITY;
        for (time, label) in order {
            let at = frame.x.at(*time);
            let label = MARK.cut(label, 2.0 * (canvas.width() - at - 4.0).min(at - 4.0));
            let half = 0.5 * MARK.width(&label);
            if at - half > free {
                canvas.text(at, area.y - 8.0, MARK.middle(), &label);
                free = at + half + 8.0;
            }
        }
    } else if by.is_none() {
        scale.draw_bar(
            &mut canvas,
            [area.right() + 20.0, area.y + 18.0],
            bar,
            marks,
            projection.time(),
        );
    }
    if let Some(by) = by {
        by.classes
            .draw(&mut canvas, [area.right() + 20.0, area.y + 14.0]);
    }
    let notes = draw(&mut canvas, &frame);
    let caption = population::caption(notes, canvas.width() - x - MARGIN);
    canvas.lines(x, area.bottom() + axis::BELOW + 14.0, CAPTION, &caption);
    canvas.set_height(
        area.bottom() + axis::BELOW + population::caption_height(&caption) + 0.5 * MARGIN,
    );
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_where_the_colour_changes() {
        let path = [(0.0, [0.0, 0.0]), (1.0, [2.0, 0.0]), (3.0, [2.0, 4.0])];
        assert_eq!(
            between(&path, 0.5, 2.0),
            [[1.0, 0.0], [2.0, 0.0], [2.0, 2.0]]
        );
        assert_eq!(between(&path, -5.0, 0.5), [[0.0, 0.0], [1.0, 0.0]]);
        assert!(between(&path, 3.0, 4.0).is_empty());
        assert!(between(&path[..1], -1.0, 1.0).is_empty());
    }
}

//! Observed and predicted clouds at each time.

use super::{
    ByClass, Picture, Projection,
    axis::{self, Frame},
    canvas::{Area, At, CAPTION, Canvas, FAINT, INK, MARGIN, SOFT, Text},
    colour::TimeScale,
    population::{self, Dots},
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// One time of [`snapshots`].
#[derive(Debug, Clone)]
pub struct Panel {
    /// Real time, in the units of the data.
    pub time: f64,
    /// The title of the panel: "day 2".
    pub label: String,
    /// The observed cloud.
    pub observed: Option<Cloud>,
    /// The predicted cloud.
    pub predicted: Option<Cloud>,
    /// Whether the time was held out of the fit.
    pub held_out: bool,
}

const HEADING: Text = Text::new(12.5, INK).bold();
const HELD_OUT: Text = Text::new(10.5, "#9a5b00").bold();
const STRIP: Text = Text::new(11.5, SOFT).bold();
const NOTE: Text = Text::new(11.0, FAINT);
const HELD_OUT_FILL: &str = "#fdf1dd";
const PER_ROW: usize = 5;
const GAP: f64 = 12.0;
const HEAD: f64 = 27.0;

/// One column for each time: the observed cloud above, the predicted one below, on the same axes,
/// with all observed points in grey behind. `how` is a sentence of the caption on the prediction
/// and may be empty. After five times the columns continue below. A held-out time is marked. A row
/// whose panels are all empty is omitted.
///
/// A population of one column (d = 1) is drawn against time. At every time the observed values are
/// on the left in grey and the predicted ones on the right in colour. The width of their strips
/// shows the density.
///
/// With classes the points have their colours instead of those of time: the observed ones those of
/// their panel, the predicted ones those of the points that were moved.
///
/// # Errors
/// No panels, not a class for each point, no cloud in any of them, clouds of another dimension than the projection, a time that
/// is not finite.
pub fn snapshots(
    panels: &[Panel],
    how: &str,
    projection: &Projection,
    by: Option<&ByClass>,
) -> Result<Picture> {
    let rows = drawn(panels, projection, by)?;
    let rows = [&*rows[0], &*rows[1]];
    let times = TimeScale::new(panels.iter().map(|p| p.time));
    Ok(match projection.against_time() {
        true => strips(panels, rows, how, projection, by),
        false => grid(panels, rows, rows, &times, how, projection, by),
    })
}

/// As [`snapshots`], but a picture for each time, on the axes of all. A population of one column has
/// one picture.
///
/// # Errors
/// As [`snapshots`].
pub fn snapshots_apart(
    panels: &[Panel],
    projection: &Projection,
    by: Option<&ByClass>,
) -> Result<Vec<Picture>> {
    let all = drawn(panels, projection, by)?;
    let all = [&*all[0], &*all[1]];
    if projection.against_time() {
        return Ok(vec![strips(panels, all, "", projection, by)]);
    }
    let times = TimeScale::new(panels.iter().map(|p| p.time));
    let one = |i: usize| {
        let rows = all.map(|row| &row[i..=i]);
        grid(&panels[i..=i], rows, all, &times, "", projection, by)
    };
    Ok((0..panels.len()).map(one).collect())
}

/// The observed and the predicted points of each panel that are drawn.
fn drawn(
    panels: &[Panel],
    projection: &Projection,
    by: Option<&ByClass>,
) -> Result<[Vec<Option<Dots>>; 2]> {
    super::check("panel time", panels.iter().map(|p| p.time))?;
    let clouds = panels
        .iter()
        .flat_map(|p| [&p.observed, &p.predicted])
        .flatten()
        .count();
    ensure!(
        clouds > 0,
        Value,
        "snapshots need at least one cloud in {} panels, got none",
        panels.len()
    );
    if let Some(by) = by {
        by.check(panels.len(), None)?;
    }
    let most = population::most_points(clouds);
    let dots = |i: usize, cloud: &Option<Cloud>, classes: fn(&ByClass, usize) -> &[usize]| {
        let Some(cloud) = cloud else { return Ok(None) };
        let drawn = || {
            let dots = Dots::new(cloud, panels[i].time, projection, most)?;
            match by {
                Some(by) => dots.by_class(classes(by, i), by.classes.colours()),
                None => Ok(dots),
            }
        };
        let dots = drawn().map(Some);
        dots.map_err(|e| e.within(format_args!("panel {:?}", panels[i].label)))
    };
    let each = || panels.iter().enumerate();
    Ok([
        each()
            .map(|(i, p)| dots(i, &p.observed, |by, i| &by.observed[i]))
            .collect::<Result<Vec<_>>>()?,
        each()
            .map(|(i, p)| dots(i, &p.predicted, |by, _| &by.moved))
            .collect::<Result<Vec<_>>>()?,
    ])
}

/// What is drawn of the observed and of the predicted points of panels.
type Rows<'a> = [&'a [Option<Dots>]; 2];

const NAMES: [&str; 2] = ["observed", "predicted"];

fn notes(
    rows: Rows,
    how: &str,
    frame: &Frame,
    projection: &Projection,
    times: &TimeScale,
    by: Option<&ByClass>,
) -> Vec<Option<String>> {
    let all = || rows.into_iter().flatten().flatten();
    vec![
        (!how.is_empty()).then(|| how.to_owned()),
        population::subsampled("observed points", rows[0].iter().flatten()),
        population::subsampled("predicted points", rows[1].iter().flatten()),
        population::outside(frame, all()),
        population::weights(all()),
        projection.note(),
        match by {
            Some(by) => Some(by.classes.note()),
            None => times.note(),
        },
    ]
}

/// Panels on the axes of all points `within`.
fn grid(
    panels: &[Panel],
    rows: Rows,
    within: Rows,
    times: &TimeScale,
    how: &str,
    projection: &Projection,
    by: Option<&ByClass>,
) -> Picture {
    let limits = |axis: usize| {
        axis::limits(
            within
                .into_iter()
                .flatten()
                .flatten()
                .flat_map(|d| d.page.iter().map(move |p| p[axis])),
        )
    };
    let limits = [limits(0), limits(1)];
    let shown: Vec<usize> = (0..2)
        .filter(|r| rows[*r].iter().any(Option::is_some))
        .collect();
    let bands = panels.len().div_ceil(PER_ROW);
    let columns = panels.len().div_ceil(bands);
    let width = ((920.0 - GAP * columns as f64) / columns as f64).min(300.0);
    let height = (0.9 * width).round();
    let origin = Frame::new(
        Area {
            x: 0.0,
            y: 0.0,
            width,
            height,
        },
        limits[0],
        limits[1],
    );

    let labels = origin.label_width();
    let left = MARGIN + axis::left_of(labels);
    let band = HEAD + shown.len() as f64 * (height + GAP);
    let last = |column: usize| (0..panels.len()).filter(|i| i % columns == column).max();
    // Where the last band is shorter, the tick labels of the others are between the bands.
    let between = if panels.len().is_multiple_of(columns) {
        10.0
    } else {
        24.0
    };
    let right = left + columns as f64 * (width + GAP) - GAP;
    let bottom = MARGIN + bands as f64 * band - GAP + (bands - 1) as f64 * between;
    let notes = notes(rows, how, &origin, projection, times, by);
    let caption = population::caption(notes, right - left);
    let total = bottom + axis::BELOW + population::caption_height(&caption) + 0.5 * MARGIN;
    let legend = by.map_or(0.0, |by| 16.0 + by.classes.width());
    let mut canvas = Canvas::new(right + 26.0 + legend + MARGIN, total);
    if let Some(by) = by {
        by.classes
            .draw(&mut canvas, [right + 42.0, MARGIN + HEAD + 14.0]);
    }

    let observed: Vec<&Dots> = rows[0].iter().flatten().collect();
    canvas.define("context", |canvas| {
        Dots::draw_context(&observed, canvas, &origin)
    });
    for (i, panel) in panels.iter().enumerate() {
        let x = left + (i % columns) as f64 * (width + GAP);
        let top = MARGIN + (i / columns) as f64 * (band + between);
        let colour = times.colour(panel.time);
        if panel.held_out {
            let card = Area {
                x: x - 5.0,
                y: top,
                width: width + 10.0,
                height: band - GAP + 5.0,
            };
            canvas.area(card, &format!("rx=\"4\" fill=\"{HELD_OUT_FILL}\""));
        }
        heading(
            &mut canvas,
            panel,
            by.is_none().then_some(colour.as_str()),
            [x + 2.0, top + 17.0],
            width - 4.0,
        );
        for (place, &row) in shown.iter().enumerate() {
            let y = top + HEAD + place as f64 * (height + GAP);
            let area = Area {
                x,
                y,
                width,
                height,
            };
            let frame = Frame::new(area, limits[0], limits[1]);
            canvas.area(area, "fill=\"#ffffff\"");
            if rows[row][i].is_some() {
                canvas.reuse("context", x, y);
            }
            frame.draw(&mut canvas);
            match &rows[row][i] {
                Some(dots) => dots.draw(&mut canvas, &frame, &colour, 1.0),
                None => {
                    // Away from the lines of the grid, which would cross the words.
                    let half = 0.5 * NOTE.width("not predicted") + 6.0;
                    let [x, y] = [x + 0.5 * width, y + 0.5 * height];
                    canvas.area(
                        Area {
                            x: x - half,
                            y: y - 9.0,
                            width: 2.0 * half,
                            height: 18.0,
                        },
                        "fill=\"#ffffff\"",
                    );
                    let note = ["not observed", "not predicted"][row];
                    canvas.text(x, y + 4.0, NOTE.middle(), note);
                }
            }
            if i % columns == 0 {
                frame.label_y(&mut canvas);
            }
            if last(i % columns) == Some(i) && place + 1 == shown.len() {
                frame.label_x(&mut canvas, 4.0);
            }
            if i % columns == columns - 1 || i + 1 == panels.len() {
                canvas.text(
                    x + width + 14.0,
                    y + 0.5 * height,
                    STRIP.middle().turned(90),
                    NAMES[row],
                );
            }
        }
    }
    let names = projection.names();
    for b in 0..bands {
        let y = MARGIN + b as f64 * (band + between) + HEAD;
        let area = Area {
            x: left,
            y,
            width,
            height: band - HEAD - GAP,
        };
        origin.name_y_beside(&mut canvas, area, labels, &names[1]);
    }
    let whole = Area {
        x: left,
        y: MARGIN,
        width: right - left,
        height: bottom - MARGIN,
    };
    origin.name_x_below(&mut canvas, whole, &names[0]);
    canvas.lines(left, bottom + axis::BELOW + 14.0, CAPTION, &caption);
    canvas.finish()
}

/// The label of a panel, behind a dot of its colour if times have some, and "held out" at the right if it fits.
fn heading(canvas: &mut Canvas, panel: &Panel, colour: Option<&str>, [x, y]: [f64; 2], width: f64) {
    let indent = match colour {
        Some(colour) => {
            canvas.group(&format!("fill=\"{colour}\""), |canvas| {
                canvas.dot([x + 4.5, y - 4.3], 4.5)
            });
            15.0
        }
        None => 0.0,
    };
    let mark = if panel.held_out { "held out" } else { "" };
    let label = HEADING.cut(&panel.label, width - 22.0 - HELD_OUT.width(mark));
    canvas.text(x + indent, y, HEADING, &label);
    canvas.text(x + width, y, HELD_OUT.end(), mark);
}

fn strips(
    panels: &[Panel],
    rows: Rows,
    how: &str,
    projection: &Projection,
    by: Option<&ByClass>,
) -> Picture {
    let mut order: Vec<usize> = (0..panels.len()).collect();
    order.sort_by(|a, b| panels[*a].time.total_cmp(&panels[*b].time));
    let times = TimeScale::new(panels.iter().map(|p| p.time));
    let length = (panels.len() as f64 * 90.0).clamp(420.0, 900.0);
    let gap = order
        .windows(2)
        .map(|pair| panels[pair[1]].time - panels[pair[0]].time)
        .filter(|gap| *gap > 0.0)
        .fold(f64::INFINITY, f64::min);
    let span = times.last() - times.first();
    let slot = if gap.is_finite() {
        (0.42 * length * gap / (span + gap)).clamp(3.0, 42.0)
    } else {
        42.0
    };
    // Keeps the outermost strips and their labels inside of the frame.
    let room = (slot + 8.0).max(30.0);
    let pad = if span > 0.0 {
        span * room / (length - 2.0 * room)
    } else {
        1.0_f64.max(times.first().abs())
    };
    let x_limits = [times.first() - pad, times.last() + pad];
    let y_limits = axis::limits(
        rows.into_iter()
            .flatten()
            .flatten()
            .flat_map(|d| d.page.iter().map(|p| p[1])),
    );

    let top = MARGIN + 46.0;
    let probe = Frame::new(
        Area {
            x: 0.0,
            y: top,
            width: length,
            height: 330.0,
        },
        x_limits,
        y_limits,
    );
    let left = MARGIN + axis::left_of(probe.label_width());
    let area = Area {
        x: left,
        ..probe.area
    };
    let frame = Frame::new(area, x_limits, y_limits);
    let notes = notes(rows, how, &frame, projection, &times, by);
    let caption = population::caption(notes, length);
    let total = area.bottom() + axis::BELOW + population::caption_height(&caption) + 0.5 * MARGIN;
    let beside = by.map_or(0.0, |by| 16.0 + by.classes.width());
    let mut canvas = Canvas::new(area.right() + beside + MARGIN + 6.0, total);
    if let Some(by) = by {
        by.classes
            .draw(&mut canvas, [area.right() + 20.0, area.y + 14.0]);
    }

    legend(&mut canvas, [left, MARGIN + 8.0], panels, rows);
    for panel in panels.iter().filter(|p| p.held_out) {
        let x = frame.x.at(panel.time) - slot - 3.0;
        let card = Area {
            x,
            y: top - 22.0,
            width: 2.0 * slot + 6.0,
            height: area.height + 22.0,
        };
        canvas.area(card, &format!("rx=\"3\" fill=\"{HELD_OUT_FILL}\""));
    }
    frame.draw(&mut canvas);
    frame.label_x(&mut canvas, 4.0);
    frame.label_y(&mut canvas);
    frame.name_x(&mut canvas, &projection.names()[0]);
    frame.name_y(&mut canvas, &projection.names()[1]);
    let mut free = f64::NEG_INFINITY;
    for &i in &order {
        let panel = &panels[i];
        let at = frame.x.at(panel.time);
        let label = HEADING.cut(&panel.label, 2.0 * (area.right() - at).min(at - area.x));
        let half = 0.5 * HEADING.width(&label);
        if at - half > free {
            canvas.text(at, top - 7.0, HEADING.middle(), &label);
            free = at + half + 6.0;
        }
        let colour = times.colour(panel.time);
        for (row, side, colour, opacity) in
            [(0, -1.0, OBSERVED, 0.55), (1, 1.0, colour.as_str(), 0.6)]
        {
            if let Some(dots) = &rows[row][i] {
                strip(&mut canvas, &frame, dots, side * slot, colour, opacity);
            }
        }
    }
    canvas.lines(left, area.bottom() + axis::BELOW + 14.0, CAPTION, &caption);
    canvas.finish()
}

const OBSERVED: &str = "#7d8694";

fn legend(canvas: &mut Canvas, [mut x, y]: [f64; 2], panels: &[Panel], rows: Rows) {
    let mut entry = |canvas: &mut Canvas, colours: &[String], text: &str| {
        for colour in colours {
            canvas.group(&format!("fill=\"{colour}\""), |canvas| {
                canvas.dot([x + 4.0, y - 4.0], 4.0)
            });
            x += 7.0;
        }
        canvas.text(x + 6.0, y, NOTE, text);
        x += 6.0 + NOTE.width(text) + 22.0;
    };
    if rows[0].iter().any(Option::is_some) {
        entry(canvas, &[OBSERVED.to_owned()], "observed (left)");
    }
    if rows[1].iter().any(Option::is_some) {
        let times = TimeScale::new([0.0, 1.0]);
        entry(
            canvas,
            &[0.0, 0.5, 1.0].map(|u| times.colour(u)),
            "predicted (right)",
        );
    }
    if panels.iter().any(|p| p.held_out) {
        let swatch = Area {
            x,
            y: y - 10.0,
            width: 18.0,
            height: 12.0,
        };
        canvas.area(
            swatch,
            &format!("rx=\"2\" fill=\"{HELD_OUT_FILL}\" stroke=\"#e8c48a\" stroke-width=\"0.8\""),
        );
        canvas.text(x + 24.0, y, HELD_OUT, "held out");
    }
}

/// Dots between the time of the cloud and `reach` beside it, spread in proportion to the density.
fn strip(canvas: &mut Canvas, frame: &Frame, dots: &Dots, reach: f64, colour: &str, opacity: f64) {
    const BINS: usize = 64;
    let bin = |y: f64| {
        let part = (y - frame.area.y) / frame.area.height;
        ((part * BINS as f64) as usize).min(BINS - 1)
    };
    let at: Vec<[f64; 2]> = dots.drawn.iter().map(|&i| frame.at(dots.page[i])).collect();
    let mut histogram = [0.0; BINS];
    for p in at.iter().filter(|p| frame.area.contains(**p)) {
        histogram[bin(p[1])] += 1.0;
    }
    let density: Vec<f64> = (0..BINS)
        .map(|i| {
            (0..BINS)
                .map(|j| histogram[j] * (-0.5 * (i.abs_diff(j) as f64 / 1.5).powi(2)).exp())
                .sum()
        })
        .collect();
    let most = density.iter().fold(0.0, |m: f64, v| m.max(*v)).max(1e-12);
    for (colour, points) in dots.coloured(colour) {
        let style = format!("fill=\"{colour}\" fill-opacity=\"{}\"", At(opacity));
        canvas.group(&style, |canvas| {
            for (k, _) in points {
                let p = at[k];
                if frame.area.contains(p) {
                    let density = density[bin(p[1])] / most;
                    let x = p[0] + reach * (0.06 + 0.9 * population::even(k) * density);
                    canvas.dot([x, p[1]], 1.5);
                }
            }
        });
    }
}

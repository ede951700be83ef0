//! The objective during a fit.

use super::{
    Picture,
    axis::{self, Frame},
    canvas::{ACCENT, Area, At, CAPTION, Canvas, FAINT, MARGIN, TITLE, Text},
    population,
};
use crate::error::{Result, ensure};

/// The objective after one step of the optimisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// The number of the step.
    pub step: usize,
    /// The objective on the batch of that step.
    pub loss: f64,
    /// A running mean of it.
    pub smooth: Option<f64>,
}

const RAW: &str = "#d3cae6";
const SMOOTH: &str = "#4b2a93";
const EVENT: Text = Text::new(10.5, FAINT);
const END: Text = Text::new(11.0, SMOOTH).bold();
const LEVELS: usize = 3;

/// The objective of the steps in `points`: pale, with its running mean in dark. `events` are steps
/// to mark, such as checkpoints and returns to an earlier state. Far values (beyond the 0.5 and
/// 99.5 percentiles) are cut off and counted in the caption.
///
/// # Errors
/// No points, a number that is not finite.
pub fn loss(title: &str, points: &[LossPoint], events: &[(usize, String)]) -> Result<Picture> {
    ensure!(
        !points.is_empty(),
        Value,
        "a picture of the loss needs at least one step, got none"
    );
    for p in points {
        super::check(&format!("step {}: loss", p.step), [p.loss])?;
        super::check(&format!("step {}: smoothed loss", p.step), p.smooth)?;
    }
    let mut points = points.to_vec();
    points.sort_by_key(|p| p.step);
    let (width, height) = (640.0, 320.0);

    let steps = points
        .iter()
        .map(|p| p.step)
        .chain(events.iter().map(|e| e.0));
    let (first, last) = steps.fold((usize::MAX, 0), |(a, b), s| (a.min(s), b.max(s)));
    let x_limits = if first < last {
        [first as f64, last as f64]
    } else {
        axis::padded(first as f64, first as f64)
    };
    let mut sorted: Vec<f64> = points.iter().map(|p| p.loss).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = sorted.len() / 200;
    let (mut low, mut high) = (sorted[cut], sorted[sorted.len() - 1 - cut]);
    if let Some(end) = points.last().and_then(|p| p.smooth) {
        (low, high) = (low.min(end), high.max(end));
    }
    let y_limits = axis::padded(low, high);

    let heading = TITLE.lines(title, width);
    let (marks, levels, omitted) = place(events, x_limits, width);
    let top = MARGIN + 21.0 * heading.len() as f64 + 8.0 + 14.0 * levels as f64;
    let probe = Frame::new(
        Area {
            x: 0.0,
            y: top,
            width,
            height,
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
    let outside = points
        .iter()
        .filter(|p| !(y_limits[0]..=y_limits[1]).contains(&p.loss))
        .count();
    let caption = population::caption(
        [
            Some("The minimum of the objective is not 0: it is minus the action of the true dynamics.".to_owned()),
            (outside > 0).then(|| {
                let (some, all) = (population::count(outside), population::count(points.len()));
                format!("{some} of {all} steps lie outside of the axis.")
            }),
            (omitted > 0).then(|| format!("{} marks have no room for their labels.", population::count(omitted))),
        ],
        width,
    );
    let end = points.last().map(|p| (p.smooth.unwrap_or(p.loss), p.step));
    let end = end.map(|(value, step)| (value, step, axis::readable(&[value]).concat()));
    let overhang = marks
        .iter()
        .map(|m| m.at + 4.0 + EVENT.width(&m.label) - width);
    let right = overhang.fold(
        end.as_ref()
            .map_or(0.0, |(_, _, text)| END.width(text) + 12.0),
        f64::max,
    );
    let total = area.bottom() + axis::BELOW + population::caption_height(&caption) + 0.5 * MARGIN;
    let mut canvas = Canvas::new(area.right() + right + MARGIN, total);

    for (i, line) in heading.iter().enumerate() {
        canvas.text(left, MARGIN + 13.0 + 21.0 * i as f64, TITLE, line);
    }
    frame.draw(&mut canvas);
    frame.label_x(&mut canvas, 14.0);
    frame.label_y(&mut canvas);
    frame.name_x(&mut canvas, "step");
    frame.name_y(&mut canvas, "objective");
    for &(step, _) in events {
        let x = At(frame.x.at(step as f64));
        canvas.path(
            &format!("M{x} {}V{}", At(area.y), At(area.bottom())),
            &format!(
                "fill=\"none\" stroke=\"{FAINT}\" stroke-width=\"0.8\" stroke-dasharray=\"3 3\""
            ),
        );
    }
    for mark in marks {
        let y = area.y - 7.0 - 14.0 * mark.level as f64;
        let x = area.x + mark.at;
        canvas.line([x, y - 8.0], [x, area.y], FAINT, 0.8);
        canvas.text(x + 4.0, y, EVENT, &mark.label);
    }
    canvas.clipped(area, |canvas| {
        let raw: Vec<[f64; 2]> = points.iter().map(|p| frame.at([p.step as f64, p.loss])).collect();
        let smooth: Vec<[f64; 2]> =
            points.iter().filter_map(|p| p.smooth.map(|s| frame.at([p.step as f64, s]))).collect();
        let line = |colour: &str, width: f64| {
            format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"")
        };
        if smooth.is_empty() {
            canvas.path(&envelope(&raw), &line(SMOOTH, 1.3));
        } else {
            canvas.path(&envelope(&raw), &line(RAW, 0.8));
            canvas.path(&envelope(&smooth), &line(SMOOTH, 2.2));
        }
    });
    if let Some((value, step, text)) = end {
        let at = frame.at([step as f64, value]);
        let at = [at[0], at[1].clamp(area.y, area.bottom())];
        canvas.group(&format!("fill=\"{ACCENT}\""), |canvas| canvas.dot(at, 3.0));
        canvas.text(area.right() + 8.0, at[1] + 3.9, END, &text);
    }
    canvas.lines(left, area.bottom() + axis::BELOW + 14.0, CAPTION, &caption);
    Ok(canvas.finish())
}

struct Mark {
    /// From the left of the area; the label is to the right of it.
    at: f64,
    level: usize,
    label: String,
}

/// Levels for the labels of events that keep them apart, at most [`LEVELS`]; the number of levels,
/// and the number of labels without a place. Earlier labels are above later ones, so that the line
/// down from a label crosses no other label.
fn place(events: &[(usize, String)], limits: [f64; 2], width: f64) -> (Vec<Mark>, usize, usize) {
    let scale = axis::Scale::new(limits, 0.0, width);
    let mut order: Vec<&(usize, String)> = events.iter().collect();
    order.sort_by_key(|e| e.0);
    let mut free = [f64::INFINITY; LEVELS];
    let mut marks = Vec::new();
    for (step, label) in order.into_iter().rev() {
        let label = EVENT.cut(label, 180.0);
        let at = scale.at(*step as f64);
        let end = at + EVENT.width(&label) + 12.0;
        if let Some(level) = free.iter().position(|start| end <= *start) {
            free[level] = at;
            marks.push(Mark { at, level, label });
        }
    }
    let levels = marks.iter().map(|m| m.level + 1).max().unwrap_or(0);
    let omitted = events.len() - marks.len();
    (marks, levels, omitted)
}

/// A line through points whose x increases. Of many points on half a unit, only the first, the
/// lowest, the highest and the last are kept.
pub(super) fn envelope(points: &[[f64; 2]]) -> String {
    let mut data = String::new();
    let mut add = |p: &[f64; 2]| {
        let command = if data.is_empty() { 'M' } else { 'L' };
        // Clipping removes what lies outside; far numbers would only lose digits.
        data += &format!("{command}{} {}", At(p[0]), At(p[1].clamp(-1e4, 1e4)));
    };
    for bin in points.chunk_by(|p, q| (2.0 * p[0]).floor() == (2.0 * q[0]).floor()) {
        if bin.len() <= 4 {
            bin.iter().for_each(&mut add);
            continue;
        }
        let by_height = |i: &usize, j: &usize| bin[*i][1].total_cmp(&bin[*j][1]);
        let inner = 1..bin.len() - 1;
        let mut kept = vec![0, bin.len() - 1];
        kept.extend(inner.clone().min_by(by_height));
        kept.extend(inner.max_by(by_height));
        kept.sort_unstable();
        kept.dedup();
        kept.into_iter().for_each(|i| add(&bin[i]));
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_keeps_the_extremes() {
        let mut points: Vec<[f64; 2]> = (0..100_000)
            .map(|i| [f64::from(i) / 1000.0, 50.0])
            .collect();
        points[54_321][1] = 99.25;
        points[77_777][1] = 1.75;
        let data = envelope(&points);
        assert!(data.contains(" 99.25L") && data.contains(" 1.75L"));
        assert!(data.len() < 15_000, "{}", data.len());
    }

    #[test]
    fn marks_do_not_overlap() {
        let events: Vec<(usize, String)> = (0..30)
            .map(|i| (i * 30, format!("checkpoint {i}")))
            .collect();
        let (marks, levels, omitted) = place(&events, [0.0, 900.0], 640.0);
        assert_eq!(marks.len() + omitted, 30);
        assert!(levels <= LEVELS);
        for (i, a) in marks.iter().enumerate() {
            for b in marks[..i].iter().filter(|b| b.level == a.level) {
                // Marks are ordered from right to left.
                assert!(a.at + 4.0 + EVENT.width(&a.label) <= b.at);
            }
        }
    }
}

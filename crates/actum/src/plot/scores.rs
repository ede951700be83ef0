//! A score beside its references.

use super::{
    Picture,
    axis::{self, Frame},
    canvas::{ACCENT, Area, CAPTION, Canvas, INK, MARGIN, SOFT, Text},
    population,
};
use crate::error::{Result, ensure};

/// One row of [`scores`].
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// "action matching", "previous snapshot", "linear transport", "floor".
    pub name: String,
    /// The score, for example a Wasserstein distance.
    pub value: f64,
    /// Whether this is the result; the others are its references.
    pub result: bool,
}

const NAME: Text = Text::new(12.0, SOFT);
const RESULT: Text = Text::new(12.0, ACCENT).bold();
const REFERENCE: &str = "#8b94a2";
const ROW: f64 = 30.0;

/// One line for each score, from 0, in the order given, with its value. Results are emphasised.
/// `measure` is the name of the axis: "W1 to day 2".
///
/// # Errors
/// No rows, a value that is not finite.
pub fn scores(measure: &str, rows: &[Score]) -> Result<Picture> {
    ensure!(
        !rows.is_empty(),
        Value,
        "a picture of scores needs at least one row, got none"
    );
    for row in rows {
        super::check(&format!("score {:?}: value", row.name), [row.value])?;
    }
    let style = |row: &Score| if row.result { RESULT } else { NAME };
    let names: Vec<String> = rows.iter().map(|r| style(r).cut(&r.name, 230.0)).collect();
    let values: Vec<String> = axis::readable(&rows.iter().map(|r| r.value).collect::<Vec<_>>());
    let widest = |texts: &[String]| {
        texts
            .iter()
            .zip(rows)
            .map(|(t, r)| style(r).width(t))
            .fold(0.0, f64::max)
    };
    let low = rows.iter().map(|r| r.value).fold(0.0, f64::min);
    let high = rows.iter().map(|r| r.value).fold(0.0, f64::max);
    let [padded_low, padded_high] = axis::padded(low, high);
    let limits = [
        if low < 0.0 { padded_low } else { 0.0 },
        if high > 0.0 || low == 0.0 {
            padded_high
        } else {
            0.0
        },
    ];

    let area = Area {
        x: MARGIN + widest(&names) + 14.0,
        y: MARGIN,
        width: 380.0,
        height: ROW * rows.len() as f64 + 6.0,
    };
    let frame = Frame::new(area, limits, [0.0, 1.0]);
    let right = area.right() + 12.0 + widest(&values);
    let caption = "In colour the result, in grey what it is compared with.";
    let caption = population::caption([Some(caption.to_owned())], right - MARGIN);
    let below = population::caption_height(&caption);
    let total = area.bottom() + axis::BELOW + below + 0.5 * MARGIN;
    let mut canvas = Canvas::new(right + MARGIN, total);
    frame.draw_columns(&mut canvas);
    frame.label_x(&mut canvas, 12.0);
    frame.name_x(&mut canvas, measure);
    let zero = frame.x.at(0.0);
    canvas.line([zero, area.y], [zero, area.bottom()], INK, 0.8);
    for (i, row) in rows.iter().enumerate() {
        let y = area.y + 3.0 + ROW * (i as f64 + 0.5);
        let x = frame.x.at(row.value);
        let (colour, width, radius) = if row.result {
            (ACCENT, 3.0, 6.0)
        } else {
            (REFERENCE, 1.6, 4.5)
        };
        canvas.line([zero, y], [x, y], colour, width);
        canvas.group(&format!("fill=\"{colour}\""), |canvas| {
            canvas.dot([x, y], radius)
        });
        canvas.text(area.x - 12.0, y + 4.2, style(row).end(), &names[i]);
        canvas.text(right, y + 4.2, style(row).end(), &values[i]);
    }
    canvas.lines(
        MARGIN,
        area.bottom() + axis::BELOW + 14.0,
        CAPTION,
        &caption,
    );
    Ok(canvas.finish())
}

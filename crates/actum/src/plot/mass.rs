//! Mass over time.

use super::{
    Picture,
    axis::{self, Frame},
    canvas::{ACCENT, Area, At, CAPTION, Canvas, FAINT, MARGIN, TITLE},
    population,
};
use crate::error::{Result, ensure};

/// The mass of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObservedMass {
    /// Its time.
    pub time: f64,
    /// Its mass.
    pub mass: f64,
    /// Whether the prediction was made without it.
    pub held_out: bool,
}

const LINE: &str = "#4b2a93";

/// Predicted masses `(time, mass)` as a line, masses of snapshots as dots, held-out ones as rings.
///
/// # Errors
/// Fewer than two predictions, or a number that is not finite.
pub fn mass(
    title: &str,
    predicted: &[(f64, f64)],
    observed: &[ObservedMass],
    time_name: &str,
) -> Result<Picture> {
    ensure!(
        predicted.len() >= 2,
        Value,
        "a picture of masses needs predictions at two times or more, got {}",
        predicted.len()
    );
    let times = || {
        predicted
            .iter()
            .map(|p| p.0)
            .chain(observed.iter().map(|o| o.time))
    };
    let masses = || {
        predicted
            .iter()
            .map(|p| p.1)
            .chain(observed.iter().map(|o| o.mass))
    };
    super::check("times", times())?;
    super::check("masses", masses())?;
    let (width, height) = (640.0, 320.0);
    let heading = TITLE.lines(title, width);
    let area = Area {
        x: 0.0,
        y: MARGIN + 21.0 * heading.len() as f64 + 8.0,
        width,
        height,
    };
    // The axis starts at zero, so that ratios of masses are ratios of heights.
    let limits = [axis::limits(times()), [0.0, axis::limits(masses())[1]]];
    let labels = Frame::new(area, limits[0], limits[1]).label_width();
    let area = Area {
        x: MARGIN + axis::left_of(labels),
        ..area
    };
    let frame = Frame::new(area, limits[0], limits[1]);
    let rings = observed.iter().any(|o| o.held_out);
    let caption = population::caption(
        [
            Some("Line: predicted from the first snapshot. Dots: the snapshots.".to_owned()),
            rings.then(|| "Rings: held out.".to_owned()),
        ],
        width,
    );
    let total = area.bottom() + axis::BELOW + population::caption_height(&caption) + 0.5 * MARGIN;
    let mut canvas = Canvas::new(area.right() + 2.0 * MARGIN, total);
    for (i, line) in heading.iter().enumerate() {
        canvas.text(area.x, MARGIN + 13.0 + 21.0 * i as f64, TITLE, line);
    }
    frame.draw(&mut canvas);
    frame.label_x(&mut canvas, 14.0);
    frame.label_y(&mut canvas);
    frame.name_x(&mut canvas, time_name);
    frame.name_y(&mut canvas, "mass");
    let mut path = String::new();
    for (i, (time, mass)) in predicted.iter().enumerate() {
        let [x, y] = frame.at([*time, *mass]);
        path += &format!("{}{} {}", if i == 0 { "M" } else { "L" }, At(x), At(y));
    }
    canvas.clipped(area, |canvas| {
        canvas.path(
            &path,
            &format!(
                "fill=\"none\" stroke=\"{LINE}\" stroke-width=\"2.2\" stroke-linejoin=\"round\""
            ),
        );
    });
    for o in observed {
        let at = frame.at([o.time, o.mass]);
        let style = match o.held_out {
            true => format!("fill=\"#ffffff\" stroke=\"{ACCENT}\" stroke-width=\"2\""),
            false => format!("fill=\"{FAINT}\""),
        };
        canvas.group(&style, |canvas| canvas.dot(at, 4.5));
    }
    canvas.lines(
        area.x,
        area.bottom() + axis::BELOW + 14.0,
        CAPTION,
        &caption,
    );
    Ok(canvas.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_masses_from_zero() {
        let predicted = [(0.0, 690.0), (100.0, 480.0), (168.0, 300.0)];
        let observed = [(0.0, false), (72.0, true)].map(|(time, held_out)| ObservedMass {
            time,
            mass: 600.0,
            held_out,
        });
        let picture = mass("Mass", &predicted, &observed, "time").unwrap();
        assert!(picture.svg().contains(">0<") && picture.svg().contains("Rings: held out."));
        assert_eq!(picture.svg().matches(ACCENT).count(), 1);
        assert!(mass("Mass", &predicted[..1], &observed, "time").is_err());
        let broken = [(0.0, f64::NAN), (1.0, 2.0)];
        assert!(mass("Mass", &broken, &observed, "time").is_err());
    }
}

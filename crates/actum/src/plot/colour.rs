//! Colour as time.

use super::{
    axis,
    canvas::{Area, At, Canvas, FAINT, RULE, SOFT, Text},
};

/// From early to late. The lightness (CIE L*) rises from 22 to 78, so that the order is preserved
/// in grey and the last colour is visible on white.
const CONTROLS: [[f64; 3]; 6] = [
    [43.0, 28.0, 112.0],
    [100.0, 30.0, 145.0],
    [166.0, 45.0, 137.0],
    [218.0, 84.0, 99.0],
    [241.0, 137.0, 64.0],
    [245.0, 185.0, 56.0],
];

/// The colour at `u` in [0, 1].
pub(super) fn ramp(u: f64) -> [u8; 3] {
    let at = u.clamp(0.0, 1.0) * (CONTROLS.len() - 1) as f64;
    let i = (at as usize).min(CONTROLS.len() - 2);
    let part = at - i as f64;
    std::array::from_fn(|c| {
        (CONTROLS[i][c] + part * (CONTROLS[i + 1][c] - CONTROLS[i][c])).round() as u8
    })
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

const LABEL: Text = Text::new(10.5, SOFT);
const TICK: Text = Text::new(10.5, FAINT);
const BAR: f64 = 11.0;
const WIDEST: f64 = 130.0;
/// The least distance between two lines of labels.
const APART: f64 = 14.0;

/// The colours of the times from `first` to `last`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeScale {
    pub first: f64,
    pub last: f64,
}

impl TimeScale {
    /// The range of `times`; `[0, 0]` for none.
    pub fn new(times: impl IntoIterator<Item = f64>) -> Self {
        let range = times.into_iter().fold(None, |range, t| match range {
            None => Some((t, t)),
            Some((first, last)) => Some((t.min(first), t.max(last))),
        });
        let (first, last) = range.unwrap_or((0.0, 0.0));
        Self { first, last }
    }

    pub fn colour(&self, time: f64) -> String {
        let length = self.last - self.first;
        hex(ramp(if length > 0.0 {
            (time - self.first) / length
        } else {
            0.0
        }))
    }

    /// The width of the bar with its ticks and labels.
    pub fn bar_width(&self, marks: &[(f64, String)], height: f64) -> f64 {
        let labels = marks
            .iter()
            .map(|(_, label)| LABEL.width(label))
            .fold(0.0, f64::max);
        self.tick_width(height) + BAR + 24.0 + labels.min(WIDEST)
    }

    fn limits(&self) -> [f64; 2] {
        if self.last > self.first {
            [self.first, self.last]
        } else {
            axis::padded(self.first, self.last)
        }
    }

    fn ticks(&self, height: f64) -> Vec<(f64, String)> {
        axis::ticks(self.limits(), ((height / 42.0) as usize).clamp(4, 8))
    }

    fn tick_width(&self, height: f64) -> f64 {
        let labels = self
            .ticks(height)
            .into_iter()
            .map(|(_, label)| TICK.width(&label));
        labels.fold(TICK.width("time"), f64::max) + 6.0
    }

    /// A vertical bar of the colours with its top left at (`x`, `y`). Round times are on its left,
    /// `marks` (observed times and their names) on its right. Labels that would overlap are moved
    /// apart. If there are too many for the height, every second, third, ... is written.
    pub fn draw_bar(
        &self,
        canvas: &mut Canvas,
        [x, y]: [f64; 2],
        height: f64,
        marks: &[(f64, String)],
    ) {
        let left = x + self.tick_width(height);
        let scale = axis::Scale::new(self.limits(), y + height, y);
        let bar = Area {
            x: left,
            y,
            width: BAR,
            height,
        };
        let strips = 120;
        for i in 0..strips {
            let part = |i: usize| y + height * (1.0 - i as f64 / f64::from(strips as u32));
            // Strips overlap by half a unit, which avoids white hairlines between them.
            let strip = Area {
                x: left,
                y: part(i + 1),
                width: BAR,
                height: part(i) - part(i + 1) + if i > 0 { 0.5 } else { 0.0 },
            };
            let colour = hex(ramp((i as f64 + 0.5) / strips as f64));
            canvas.area(strip, &format!("fill=\"{colour}\""));
        }
        canvas.area(
            bar,
            &format!("fill=\"none\" stroke=\"{RULE}\" stroke-width=\"0.6\""),
        );
        canvas.text(left - 6.0, y - 10.0, TICK.end(), "time");
        for (time, label) in self.ticks(height) {
            canvas.text(left - 6.0, scale.at(time) + 3.8, TICK.end(), &label);
        }

        let right = left + BAR;
        let most = ((height / APART) as usize + 1).max(2);
        let every = marks.len().div_ceil(most).max(1);
        let mut order: Vec<usize> = (0..marks.len()).collect();
        order.sort_by(|a, b| marks[*a].0.total_cmp(&marks[*b].0));
        let written: Vec<usize> = order.iter().copied().step_by(every).collect();
        let wanted: Vec<f64> = written.iter().map(|i| scale.at(marks[*i].0)).collect();
        for mark in marks {
            let at = scale.at(mark.0);
            canvas.line([left, at], [right + 4.0, at], "#ffffff", 1.0);
            canvas.line([right, at], [right + 5.0, at], FAINT, 0.8);
        }
        for ((i, wanted), at) in written
            .iter()
            .zip(&wanted)
            .zip(spread(&wanted, y, y + height))
        {
            if (at - wanted).abs() > 1.0 {
                let leader = format!(
                    "M{} {}L{} {}",
                    At(right + 5.0),
                    At(*wanted),
                    At(right + 12.0),
                    At(at)
                );
                canvas.path(
                    &leader,
                    &format!("fill=\"none\" stroke=\"{RULE}\" stroke-width=\"0.8\""),
                );
            }
            canvas.text(
                right + 15.0,
                at + 3.8,
                LABEL,
                &LABEL.cut(&marks[*i].1, WIDEST),
            );
        }
    }
}

/// Places close to `wanted` (decreasing) with neighbours at least [`APART`] and, if there is room,
/// all within `[top, bottom]`.
fn spread(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut at = wanted.to_vec();
    for i in 0..at.len() {
        let limit = if i == 0 { bottom } else { at[i - 1] - APART };
        at[i] = at[i].min(limit);
    }
    for i in (0..at.len()).rev() {
        let limit = if i + 1 == at.len() {
            top
        } else {
            at[i + 1] + APART
        };
        at[i] = at[i].max(limit);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE L* of an sRGB colour.
    fn lightness(colour: [u8; 3]) -> f64 {
        let linear = colour.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        });
        let y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        116.0 * y.cbrt() - 16.0
    }

    #[test]
    fn later_is_lighter_evenly_and_still_seen_on_white() {
        let levels: Vec<f64> = (0..=20)
            .map(|i| lightness(ramp(f64::from(i) / 20.0)))
            .collect();
        for pair in levels.windows(2) {
            assert!((1.2..5.0).contains(&(pair[1] - pair[0])), "{levels:?}");
        }
        assert!(levels[20] < 80.0, "{levels:?}");
    }

    #[test]
    fn labels_keep_their_distance() {
        let at = spread(&[100.0, 99.0, 98.0, 50.0, 10.0], 0.0, 100.0);
        assert!(at.windows(2).all(|p| p[0] - p[1] >= APART - 1e-9), "{at:?}");
        assert_eq!(at[3..], [50.0, 10.0]);
        assert!(at.iter().all(|a| (0.0..=100.0).contains(a)));
    }
}

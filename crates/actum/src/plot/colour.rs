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
pub(crate) fn ramp(u: f64) -> [u8; 3] {
    let at = u.clamp(0.0, 1.0) * (CONTROLS.len() - 1) as f64;
    let i = (at as usize).min(CONTROLS.len() - 2);
    let part = at - i as f64;
    std::array::from_fn(|c| {
        (CONTROLS[i][c] + part * (CONTROLS[i + 1][c] - CONTROLS[i][c])).round() as u8
    })
}

/// The colour at `u` in [0, 1], as SVG has it.
pub(super) fn at(u: f64) -> String {
    hex(ramp(u))
}

/// A colour as CSS and SVG have it.
pub(crate) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

const LABEL: Text = Text::new(10.5, SOFT);
const TICK: Text = Text::new(10.5, FAINT);
const BAR: f64 = 11.0;
const WIDEST: f64 = 130.0;
/// The least distance between two lines of labels.
const APART: f64 = 14.0;

/// The colours of times, from dark (early) to light (late).
#[derive(Debug, Clone)]
pub(crate) struct TimeScale {
    /// Times that increase and their places on the way from dark to light, at least one.
    knots: Vec<[f64; 2]>,
}

/// Neighbouring times of less than this share of their mean distance have nearly one colour.
const UNEQUAL: f64 = 0.25;

impl TimeScale {
    /// Colours for `marked` times and all others between them: in proportion to time, or, where the
    /// marked times are so unequally spaced that some would look alike, by their order.
    pub fn new(marked: impl IntoIterator<Item = f64>) -> Self {
        let mut times: Vec<f64> = marked.into_iter().collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let (first, last) = match times[..] {
            [first, .., last] => (first, last),
            [time] => (time, time),
            [] => (0.0, 0.0),
        };
        if first == last {
            return Self {
                knots: vec![[first, 0.0]],
            };
        }
        let mean = (last - first) / (times.len() - 1) as f64;
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let is_unequal = gaps.fold(f64::INFINITY, f64::min) < UNEQUAL * mean;
        let knots = match is_unequal {
            true => {
                let count = (times.len() - 1) as f64;
                let each = times.iter().enumerate();
                each.map(|(k, time)| [*time, k as f64 / count]).collect()
            }
            false => vec![[first, 0.0], [last, 1.0]],
        };
        Self { knots }
    }

    /// The same with room for `others` before the first and after the last marked time.
    pub fn reaching(
        marked: impl IntoIterator<Item = f64>,
        others: impl IntoIterator<Item = f64>,
    ) -> Self {
        let marked: Vec<f64> = marked.into_iter().collect();
        let all = others.into_iter().chain(marked.iter().copied());
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), t| {
            (low.min(t), high.max(t))
        });
        let ends = [low, high].into_iter().filter(|t| t.is_finite());
        match Self::new(marked.iter().copied()).is_by_order() {
            true => Self::new(marked.into_iter().chain(ends)),
            false => Self::new(ends),
        }
    }

    pub fn first(&self) -> f64 {
        self.knots[0][0]
    }

    pub fn last(&self) -> f64 {
        self.knots[self.knots.len() - 1][0]
    }

    fn is_by_order(&self) -> bool {
        self.knots.len() > 2
    }

    /// The sentence of a caption on the colours, if there is something to say.
    pub fn note(&self) -> Option<String> {
        self.is_by_order().then(|| {
            "Colours follow the order of the times, which are unequally spaced.".to_owned()
        })
    }

    /// The place of a time on the way from dark to light, in [0, 1].
    pub fn place(&self, time: f64) -> f64 {
        self.along(time, 0, 1)
    }

    /// The time at a place.
    pub fn time_at(&self, place: f64) -> f64 {
        self.along(place, 1, 0)
    }

    fn along(&self, x: f64, from: usize, to: usize) -> f64 {
        let knots = &self.knots;
        if knots.len() == 1 {
            return knots[0][to];
        }
        let after = knots.partition_point(|knot| knot[from] <= x);
        let [a, b] = [0, 1].map(|i| knots[after.clamp(1, knots.len() - 1) - 1 + i]);
        let part = ((x - a[from]) / (b[from] - a[from])).clamp(0.0, 1.0);
        a[to] + part * (b[to] - a[to])
    }

    pub fn colour(&self, time: f64) -> String {
        hex(ramp(self.place(time)))
    }

    /// The width of the bar with its ticks and labels.
    pub fn bar_width(&self, marks: &[(f64, String)], height: f64, name: &str) -> f64 {
        let labels = marks
            .iter()
            .map(|(_, label)| LABEL.width(label))
            .fold(0.0, f64::max);
        self.tick_width(height, name) + BAR + 24.0 + labels.min(WIDEST)
    }

    /// Where a time is on a bar from `y` downwards.
    fn at(&self, time: f64, y: f64, height: f64) -> f64 {
        let place = match self.knots.len() {
            1 => 0.5,
            _ => self.place(time),
        };
        y + height * (1.0 - place)
    }

    /// Round times; none where the bar is no scale.
    fn ticks(&self, height: f64) -> Vec<(f64, String)> {
        match self.knots[..] {
            [[first, _], [last, _]] => {
                axis::ticks([first, last], ((height / 42.0) as usize).clamp(4, 8))
            }
            _ => vec![],
        }
    }

    fn tick_width(&self, height: f64, name: &str) -> f64 {
        let labels = self
            .ticks(height)
            .into_iter()
            .map(|(_, label)| TICK.width(&label));
        labels.fold(TICK.width(name) - BAR - 6.0, f64::max).max(0.0) + 6.0
    }

    /// A vertical bar of the colours with its top left at (`x`, `y`), under its `name`. Round times are on its left,
    /// `marks` (observed times and their names) on its right. Labels that would overlap are moved
    /// apart. If there are too many for the height, every second, third, ... is written.
    pub(super) fn draw_bar(
        &self,
        canvas: &mut Canvas,
        [x, y]: [f64; 2],
        height: f64,
        marks: &[(f64, String)],
        name: &str,
    ) {
        let left = x + self.tick_width(height, name);
        let place = |time: f64| self.at(time, y, height);
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
        canvas.text(left + BAR, y - 10.0, TICK.end(), name);
        for (time, label) in self.ticks(height) {
            canvas.text(left - 6.0, place(time) + 3.8, TICK.end(), &label);
        }

        let right = left + BAR;
        let most = ((height / APART) as usize + 1).max(2);
        let every = marks.len().div_ceil(most).max(1);
        let mut order: Vec<usize> = (0..marks.len()).collect();
        order.sort_by(|a, b| marks[*a].0.total_cmp(&marks[*b].0));
        let written: Vec<usize> = order.iter().copied().step_by(every).collect();
        let wanted: Vec<f64> = written.iter().map(|i| place(marks[*i].0)).collect();
        for mark in marks {
            let at = place(mark.0);
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
    fn colours_are_in_proportion_to_time_or_follow_its_order() {
        let even = TimeScale::new([0.0, 6.0, 20.0, 48.0]);
        assert_eq!((even.place(12.0), even.note()), (0.25, None));
        assert_eq!(even.time_at(0.25), 12.0);
        // The first hour would have one colour.
        let close = TimeScale::new([96.0, 0.0, 0.5, 1.0, 48.0]);
        assert_eq!(
            [0.0, 0.5, 1.0, 48.0, 96.0].map(|t| close.place(t)),
            [0.0, 0.25, 0.5, 0.75, 1.0]
        );
        assert!(close.note().is_some());
        for place in [0.0, 0.1, 0.25, 0.9, 1.0] {
            assert!((close.place(close.time_at(place)) - place).abs() < 1e-12);
        }
        assert_eq!((close.place(-1.0), close.place(100.0)), (0.0, 1.0));
        let wider = TimeScale::reaching([0.0, 6.0, 20.0, 48.0], [-48.0, 48.0]);
        assert_eq!((wider.first(), wider.place(0.0)), (-48.0, 0.5));
        let none = TimeScale::reaching([], [1.0, 3.0]);
        assert_eq!(
            (none.first(), none.last(), none.place(2.0)),
            (1.0, 3.0, 0.5)
        );
        assert_eq!(TimeScale::new([3.0]).colour(7.0), hex(ramp(0.0)));
    }

    #[test]
    fn labels_keep_their_distance() {
        let at = spread(&[100.0, 99.0, 98.0, 50.0, 10.0], 0.0, 100.0);
        assert!(at.windows(2).all(|p| p[0] - p[1] >= APART - 1e-9), "{at:?}");
        assert_eq!(at[3..], [50.0, 10.0]);
        assert!(at.iter().all(|a| (0.0..=100.0).contains(a)));
    }
}

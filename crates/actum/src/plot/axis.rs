//! Ticks, limits and frames, linear or logarithmic.

use super::canvas::{Area, At, Canvas, FAINT, GRID, RULE, SOFT, Text};

const TICK: Text = Text::new(10.5, FAINT);
const NAME: Text = Text::new(12.0, SOFT);

/// The range of an axis for `values`: their range plus 4 % on either side. If a few far values
/// would compress the others (the 0.1 and 99.9 percentiles span less than two thirds of the range),
/// it is the range of those percentiles. No values give `[0, 1]`; a single value gets a margin.
pub(super) fn limits(values: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
        return [0.0, 1.0];
    };
    let cut = values.len() / 1000;
    let (inner_low, inner_high) = (values[cut], values[values.len() - 1 - cut]);
    if 1.5 * (inner_high - inner_low) < high - low && !flat(inner_low, inner_high) {
        padded(inner_low, inner_high)
    } else {
        padded(low, high)
    }
}

/// The range of `values`, or a margin around a single one.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
    if flat(low, high) {
        padded(low, high)
    } else {
        [low, high]
    }
}

/// `[low, high]` plus 4 % on either side, or a margin around a single value.
pub(super) fn padded(low: f64, high: f64) -> [f64; 2] {
    let pad = if !flat(low, high) {
        0.04 * (high - low)
    } else if high.abs() < 1e-290 {
        1.0
    } else {
        0.1 * high.abs()
    };
    [low - pad, high + pad]
}

/// Whether `high` exceeds `low` by too little for an axis.
pub(super) fn flat(low: f64, high: f64) -> bool {
    high - low <= 1e-9 * low.abs().max(high.abs()) || high - low < 1e-290
}

/// Round numbers within `[low, high]`: between `most / 2.5 - 1` and `most + 1` of them, spaced by
/// 1, 2 or 5 times a power of ten (also 25, 250, ...). Their labels have equally many decimals.
pub(super) fn ticks([low, high]: [f64; 2], most: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / most as f64;
    let power = rough.log10().floor() as i32;
    let (mantissa, power) = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .map(|m| (m, power))
        .filter(|(m, power)| *m != 2.5 || *power > 0)
        .chain([(1.0, power + 1)])
        .find(|(m, power)| m * 10f64.powi(*power) >= rough * (1.0 - 1e-9))
        .unwrap_or((2.0, power + 1));
    let step = mantissa * 10f64.powi(power);
    let slack = 1e-9 * (high - low);
    let first = ((low - slack) / step).ceil();
    let count = ((high + slack) / step).floor() - first;
    // A step of 25, 250, ... needs one more digit than its power of ten.
    let places = i32::from(mantissa == 2.5) - power;
    let largest = low.abs().max(high.abs());
    (0..=count.max(0.0) as usize)
        .map(|i| {
            // Adding zero turns -0 into 0.
            let value = (first + i as f64) * step + 0.0;
            (value, label(value, places, largest))
        })
        .collect()
}

/// As [`ticks`], for a logarithmic axis. There are three cases: powers of ten if they are three or
/// more, else 1, 2 and 5 or 1 and 3 times powers of ten, and the ticks of a linear axis for less
/// than a decade.
fn log_ticks([low, high]: [f64; 2], most: usize) -> Vec<(f64, String)> {
    let [from, to] = [low, high].map(f64::log10);
    if to - from < 1.0 {
        return ticks([low, high], most);
    }
    let slack = 1e-9 * (to - from);
    let inside = |value: f64| (from - slack..=to + slack).contains(&value.log10());
    let powers = || (from.floor() as i32..=to.ceil() as i32).filter(|p| inside(10f64.powi(*p)));
    let count = powers().count();
    if count < 3 {
        for mantissas in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]] {
            let all: Vec<_> = (from.floor() as i32..=to.ceil() as i32)
                .flat_map(|p| mantissas.iter().map(move |m| (m * 10f64.powi(p), p)))
                .filter(|(value, _)| inside(*value))
                .map(|(value, p)| (value, label(value, -p, high)))
                .collect();
            if all.len() <= most {
                return all;
            }
        }
    }
    let step = [1, 10, 100]
        .into_iter()
        .flat_map(|ten| [1, 2, 3, 5].map(|m| m * ten))
        .find(|step| powers().filter(|p| p % step == 0).count() <= most)
        .unwrap_or(1000);
    let powers: Vec<i32> = powers().filter(|p| p % step == 0).collect();
    // Labels beyond 0.0001 and 10000 have the form 1e5.
    let plain = powers.iter().all(|p| (-4..=4).contains(p));
    let largest = if plain { 1.0 } else { f64::INFINITY };
    powers
        .into_iter()
        .map(|p| (10f64.powi(p), label(10f64.powi(p), -p, largest)))
        .collect()
}

/// `value` with `places` decimals, as `1.2e6` where the axis reaches far from 1.
fn label(value: f64, places: i32, largest: f64) -> String {
    let text = if largest >= 1e6 || (largest < 1e-3 && places > 0) {
        if value == 0.0 {
            return "0".to_owned();
        }
        let exponent = value.abs().log10().floor() as i32;
        // The exponent can be off by one through rounding; 17 digits are the precision of a number.
        let text = format!("{value:.*e}", (exponent + places).clamp(0, 16) as usize);
        match text.split_once('e') {
            Some((digits, exponent)) if digits.contains('.') => {
                format!(
                    "{}e{exponent}",
                    digits.trim_end_matches('0').trim_end_matches('.')
                )
            }
            _ => text,
        }
    } else {
        format!("{value:.*}", places.clamp(0, 16) as usize)
    };
    text.replace('-', "−")
}

/// Numbers with equally many decimals: four digits for the largest, at least two for the smallest.
pub(super) fn readable(values: &[f64]) -> Vec<String> {
    let exponents = || {
        values
            .iter()
            .filter(|v| **v != 0.0)
            .map(|v| v.abs().log10().floor() as i32)
    };
    let places = (3 - exponents().max().unwrap_or(3)).max(1 - exponents().min().unwrap_or(3));
    let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    values.iter().map(|v| label(*v, places, largest)).collect()
}

/// From numbers of one axis to the canvas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub limits: [f64; 2],
    /// Whether equal ratios have equal distances; the limits are positive then.
    pub logarithmic: bool,
    from: f64,
    to: f64,
}

impl Scale {
    pub fn new(limits: [f64; 2], from: f64, to: f64) -> Self {
        Self {
            limits,
            logarithmic: false,
            from,
            to,
        }
    }

    pub fn at(&self, value: f64) -> f64 {
        self.from + (self.even(value) - self.even(self.limits[0])) * self.factor()
    }

    /// Pixels for one unit of the data, or for one decade.
    pub fn factor(&self) -> f64 {
        (self.to - self.from) / (self.even(self.limits[1]) - self.even(self.limits[0]))
    }

    /// `value` on the scale that is evenly spaced along the axis.
    fn even(&self, value: f64) -> f64 {
        if self.logarithmic {
            value.log10()
        } else {
            value
        }
    }

    fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if self.logarithmic {
            return log_ticks(self.limits, most);
        }
        let offset = self.offset();
        let ticks = ticks(self.limits.map(|limit| limit - offset), most);
        let back = ticks
            .into_iter()
            .map(|(value, label)| (value + offset, label));
        back.collect()
    }

    /// A round number that tick labels leave out, where its digits would be most of them; else 0.
    fn offset(&self) -> f64 {
        let [low, high] = self.limits;
        let range = high - low;
        if self.logarithmic || low.abs().max(high.abs()) < 1e4 * range {
            return 0.0;
        }
        let power = range.log10().ceil() as i32;
        let middle = low + 0.5 * range;
        // Powers below 1 are not exact, so their inverse divides.
        match 10f64.powi(power.abs()) {
            unit if power < 0 => (middle * unit).round() / unit,
            unit => (middle / unit).round() * unit,
        }
    }

    /// The name of the axis, with what its labels leave out.
    fn named(&self, name: &str) -> String {
        let offset = self.offset();
        let digits = match offset.abs() {
            0.0 => return name.to_owned(),
            size if size < 1e6 => size.to_string(),
            size => format!("{size:e}"),
        };
        let sign = if offset > 0.0 { "−" } else { "+" };
        format!("{name} {sign} {digits}")
    }

    fn length(&self) -> f64 {
        (self.to - self.from).abs()
    }
}

/// Two axes around an area.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub area: Area,
    pub x: Scale,
    pub y: Scale,
}

impl Frame {
    pub fn new(area: Area, x: [f64; 2], y: [f64; 2]) -> Self {
        Self {
            area,
            x: Scale::new(x, area.x, area.right()),
            y: Scale::new(y, area.bottom(), area.y),
        }
    }

    pub fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.x.at(x), self.y.at(y)]
    }

    /// As many ticks as their labels leave room for.
    fn x_ticks(&self) -> Vec<(f64, String)> {
        let length = self.x.length();
        let most = ((length / 50.0) as usize).clamp(4, 9);
        for count in (2..=most).rev() {
            let ticks = self.x.ticks(count);
            let widest = ticks
                .iter()
                .map(|(_, label)| TICK.width(label))
                .fold(0.0, f64::max);
            let apart = ticks
                .windows(2)
                .map(|pair| self.x.at(pair[1].0) - self.x.at(pair[0].0))
                .fold(length, f64::min);
            if widest + 10.0 <= apart {
                return ticks;
            }
        }
        self.x.ticks(2).into_iter().take(1).collect()
    }

    fn y_ticks(&self) -> Vec<(f64, String)> {
        self.y
            .ticks(((self.y.length() / 42.0) as usize).clamp(5, 9))
    }

    /// The grid and the frame, drawn before the data.
    pub fn draw(&self, canvas: &mut Canvas) {
        let mut grid = String::new();
        for (x, _) in self.x_ticks() {
            let x = At(self.x.at(x));
            grid += &format!("M{x} {}V{}", At(self.area.y), At(self.area.bottom()));
        }
        for (y, _) in self.y_ticks() {
            let y = At(self.y.at(y));
            grid += &format!("M{} {y}H{}", At(self.area.x), At(self.area.right()));
        }
        canvas.path(
            &grid,
            &format!("fill=\"none\" stroke=\"{GRID}\" stroke-width=\"0.8\""),
        );
        canvas.area(
            self.area,
            &format!("fill=\"none\" stroke=\"{RULE}\" stroke-width=\"0.8\""),
        );
    }

    /// The vertical lines of the grid only, where rows have names instead of numbers.
    pub fn draw_columns(&self, canvas: &mut Canvas) {
        for (x, _) in self.x_ticks() {
            let x = self.x.at(x);
            canvas.line([x, self.area.y], [x, self.area.bottom()], GRID, 0.8);
        }
    }

    /// Tick labels below. Labels that would leave the frame by more than `overhang` are omitted.
    pub fn label_x(&self, canvas: &mut Canvas, overhang: f64) {
        for (x, label) in self.x_ticks() {
            let (at, half) = (self.x.at(x), 0.5 * TICK.width(&label));
            if at - half >= self.area.x - overhang && at + half <= self.area.right() + overhang {
                canvas.text(at, self.area.bottom() + 15.0, TICK.middle(), &label);
            }
        }
    }

    /// Tick labels on the left.
    pub fn label_y(&self, canvas: &mut Canvas) {
        for (y, label) in self.y_ticks() {
            canvas.text(self.area.x - 7.0, self.y.at(y) + 3.8, TICK.end(), &label);
        }
    }

    pub fn name_x(&self, canvas: &mut Canvas, name: &str) {
        self.name_x_below(canvas, self.area, name);
    }

    pub fn name_y(&self, canvas: &mut Canvas, name: &str) {
        self.name_y_beside(canvas, self.area, self.label_width(), name);
    }

    /// The name of the horizontal axis below `area`.
    pub fn name_x_below(&self, canvas: &mut Canvas, area: Area, name: &str) {
        let name = NAME.cut(&self.x.named(name), area.width);
        canvas.text(
            area.x + 0.5 * area.width,
            area.bottom() + 36.0,
            NAME.middle(),
            &name,
        );
    }

    /// The name of the vertical axis to the left of `area`, beyond tick labels of width `labels`.
    pub fn name_y_beside(&self, canvas: &mut Canvas, area: Area, labels: f64, name: &str) {
        let name = NAME.cut(&self.y.named(name), area.height);
        let x = area.x - labels - 17.0;
        canvas.text(
            x,
            area.y + 0.5 * area.height,
            NAME.middle().turned(-90),
            &name,
        );
    }

    /// The width of the widest tick label on the left.
    pub fn label_width(&self) -> f64 {
        let widths = self
            .y_ticks()
            .into_iter()
            .map(|(_, label)| TICK.width(&label));
        widths.fold(0.0, f64::max)
    }
}

/// The room that [`Frame::label_x`] and [`Frame::name_x`] take below the frame.
pub(super) const BELOW: f64 = 42.0;

/// The room that tick labels of width `labels` and [`Frame::name_y`] take on the left.
pub(super) fn left_of(labels: f64) -> f64 {
    labels + 28.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(limits: [f64; 2], most: usize) -> Vec<String> {
        ticks(limits, most)
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn labels_are_what_a_person_would_write() {
        assert_eq!(
            labels([0.0, 1.0], 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels([-1.2, 1.3], 5),
            ["−1.0", "−0.5", "0.0", "0.5", "1.0"]
        );
        assert_eq!(labels([0.0, 100.0], 4), ["0", "25", "50", "75", "100"]);
        assert_eq!(labels([0.0, 2.4e6], 5), ["0", "5e5", "1e6", "1.5e6", "2e6"]);
        assert_eq!(labels([1e-5, 4.2e-5], 4), ["1e−5", "2e−5", "3e−5", "4e−5"]);
    }

    #[test]
    fn a_large_offset_is_written_once() {
        for (limits, expected, name) in [
            ([1e9 - 0.012, 1e9 + 0.022], &["0.00", "0.02"][..], "x − 1e9"),
            (
                [20_240_001.0, 20_240_004.0],
                &["1", "2", "3"],
                "x − 2.024e7",
            ),
            (
                [-50_000.5, -50_000.2],
                &["−0.5", "−0.4", "−0.3"],
                "x + 50000",
            ),
        ] {
            let scale = Scale::new(limits, 0.0, 100.0);
            assert_eq!(scale.named("x"), name);
            let ticks = scale.ticks(3);
            let labels: Vec<&str> = ticks.iter().map(|(_, label)| label.as_str()).collect();
            assert!(
                expected.iter().all(|label| labels.contains(label)),
                "{labels:?}"
            );
            for (value, label) in &ticks {
                let off: f64 = label.replace('−', "-").parse().unwrap();
                assert!((value - scale.offset() - off).abs() < 1e-5);
                assert!((0.0..=100.0).contains(&scale.at(*value)), "{label}");
            }
        }
        let plain = Scale::new([990.0, 1010.0], 0.0, 100.0);
        assert_eq!((plain.offset(), plain.named("x")), (0.0, "x".to_owned()));
    }

    #[test]
    fn logarithmic_labels_are_what_a_person_would_write() {
        let labels = |limits, most| -> Vec<String> {
            let ticks = log_ticks(limits, most);
            ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels([0.001, 1.0], 5), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels([0.9, 1.1e4], 5), ["1", "10", "100", "1000", "10000"]);
        assert_eq!(labels([3e-7, 2e-4], 5), ["1e−6", "1e−5", "1e−4"]);
        assert_eq!(labels([1e-6, 1e4], 5), ["1e−6", "1e−3", "1e0", "1e3"]);
        assert_eq!(labels([1e-150, 1e150], 3), ["1e−100", "1e0", "1e100"]);
        assert_eq!(labels([3.0, 60.0], 5), ["5", "10", "20", "50"]);
        assert_eq!(labels([0.03, 4.0], 5), ["0.03", "0.1", "0.3", "1", "3"]);
        assert_eq!(labels([3e-6, 2.5e-5], 4), ["1e−5", "2e−5"]);
        assert_eq!(labels([0.25, 0.9], 4), ["0.4", "0.6", "0.8"]);
        assert_eq!(labels([300.0, 31000.0], 2), ["1000", "10000"]);
    }

    #[test]
    fn equal_factors_are_equal_distances() {
        let mut scale = Scale::new([0.01, 100.0], 300.0, 100.0);
        scale.logarithmic = true;
        for (value, at) in [(0.01, 300.0), (0.1, 250.0), (1.0, 200.0), (100.0, 100.0)] {
            assert!((scale.at(value) - at).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn ticks_are_few_round_and_inside() {
        for low in [-3.7e9, -12.3, -1e-7, 0.0, 2.2e-12, 0.9, 7.77, 1e6] {
            for range in [1e-13, 3.1e-4, 0.77, 1.0, 9.99, 12345.6, 8e11] {
                if range < 1e-6 * f64::abs(low) {
                    continue;
                }
                for most in 2..10 {
                    let limits = [low, low + range];
                    let ticks = ticks(limits, most);
                    assert!(
                        ((2 * most / 5).saturating_sub(1)..=most + 1).contains(&ticks.len()),
                        "{limits:?} {most}: {ticks:?}"
                    );
                    let slack = 1e-8 * range;
                    assert!(
                        ticks
                            .iter()
                            .all(|(t, _)| *t >= low - slack && *t <= low + range + slack)
                    );
                    for pair in ticks.windows(2) {
                        let step = pair[1].0 - pair[0].0;
                        let mantissa = step / 10f64.powf(step.log10().floor());
                        let round = [1.0, 2.0, 2.5, 5.0, 10.0];
                        assert!(
                            round.iter().any(|r| (mantissa - r).abs() < 1e-2),
                            "step {step}"
                        );
                        assert_ne!(pair[0].1, pair[1].1);
                    }
                    for (value, label) in &ticks {
                        let read: f64 = label.replace('−', "-").parse().unwrap();
                        assert!(
                            (read - value).abs() <= 1e-6 * range,
                            "{value} is labelled {label}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn limits_have_room_and_ignore_a_far_value_among_many() {
        assert_eq!(limits([]), [0.0, 1.0]);
        assert_eq!(limits([0.0, 0.0]), [-1.0, 1.0]);
        assert_eq!(limits([10.0]), [9.0, 11.0]);
        assert_eq!(limits([0.0, 100.0]), [-4.0, 104.0]);
        let far = (0..2000).map(|i| f64::from(i) / 2000.0).chain([1e6]);
        assert!(limits(far)[1] < 2.0);
    }
}

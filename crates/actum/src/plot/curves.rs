//! Functions of one variable side by side.

use super::{
    Picture,
    axis::{self, Frame},
    canvas::{ACCENT, Area, At, CAPTION, Canvas, FAINT, INK, MARGIN, SOFT, TITLE, Text},
    loss::envelope,
    population,
};
use crate::error::{Result, ensure};

/// The look of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The truth: a wide pale line underneath the others.
    Truth,
    /// A compared curve. The same number has the same colour and dash in every picture; there are
    /// 16.
    Learned(usize),
}

/// A function as a line through points.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// "truth", "learned".
    pub name: String,
    /// The points (x, y), in any order; the line connects them by increasing x.
    pub points: Vec<[f64; 2]>,
    /// Its look.
    pub look: Look,
    /// Whether dots mark the points.
    pub dots: bool,
}

/// An axis of a [`Chart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// "position x", "mean error".
    pub name: String,
    /// Whether the axis is logarithmic.
    pub logarithmic: bool,
}

/// One frame of [`curves`].
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The title above it.
    pub title: String,
    /// The horizontal axis, from the smallest to the largest x of the curves and of the density.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The compared curves.
    pub curves: Vec<Curve>,
    /// The limits of the vertical axis. Points outside are cut off and counted in the caption. By
    /// default they contain the curves except a few far values.
    pub y_limits: Option<[f64; 2]>,
    /// A density (x, density) on its own scale, as a pale area along the bottom. It shows where the
    /// population is.
    pub density: Option<Vec<[f64; 2]>>,
}

/// Their lightness (CIE L*) is 27, 45, 58 and 67, so that they differ in grey and for the
/// colour-blind.
const COLOURS: [&str; 4] = ["#4b2a93", ACCENT, "#1a9a94", "#f18940"];
const DASHES: [&str; 4] = ["none", "7 3", "2 3", "9 3 2 3"];
const TRUTH: &str = "#c3c9d3";
const DENSITY: &str = "#ebe8f3";
/// The share of the height of the largest density.
const DENSE: f64 = 0.22;

const HEADING: Text = Text::new(12.5, INK).bold();
const LEGEND: Text = Text::new(11.5, SOFT);
/// A length that cuts no dash.
const SWATCH: f64 = 27.0;
const ROW: f64 = 19.0;
/// The widest name at the end of a curve.
const WIDEST: f64 = 130.0;
const GAP: f64 = 16.0;
const HEAD: f64 = 27.0;

impl Curve {
    /// A single point has no line.
    fn dotted(&self) -> bool {
        self.dots || self.points.len() == 1
    }
}

impl Look {
    fn colour(self) -> &'static str {
        match self {
            Self::Truth => TRUTH,
            Self::Learned(i) => COLOURS[i % COLOURS.len()],
        }
    }

    fn stroke(self) -> String {
        let colour = self.colour();
        match self {
            Self::Truth => format!(
                "fill=\"none\" stroke=\"{colour}\" stroke-width=\"6\" stroke-linejoin=\"round\""
            ),
            Self::Learned(i) => format!(
                "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\" \
                 stroke-dasharray=\"{}\"",
                DASHES[(i + i / COLOURS.len()) % DASHES.len()]
            ),
        }
    }

    /// The name at the end of a curve.
    fn label(self) -> Text {
        match self {
            Self::Truth => Text::new(11.0, FAINT).bold(),
            Self::Learned(_) => Text::new(11.0, self.colour()).bold(),
        }
    }

    fn draw_dots(self, canvas: &mut Canvas, at: impl Iterator<Item = [f64; 2]>) {
        let radius = if self == Self::Truth { 5.0 } else { 3.4 };
        let colour = self.colour();
        canvas.group(
            &format!("fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"0.8\""),
            |canvas| at.for_each(|at| canvas.dot(at, radius)),
        );
    }
}

/// Charts in rows of `columns` (1 to 3), each with its own axes. Names are at the right ends of
/// curves. In a chart where they would collide, or where a curve ends earlier, they are in the
/// legend above.
///
/// # Errors
/// No charts, 0 or more than 3 columns, a chart without curves, a curve without points, a density
/// of fewer than two points or below 0, limits that do not increase, a number that is not finite,
/// one that is not positive on a logarithmic axis.
///
/// ```
/// use actum::plot::{Axis, Chart, Curve, Look, curves};
///
/// let x = || (0..=40).map(|i| f64::from(i) / 10.0);
/// let chart = Chart {
///     title: "t = 0.5".into(),
///     x: Axis { name: "x".into(), logarithmic: false },
///     y: Axis { name: "velocity".into(), logarithmic: false },
///     curves: vec![
///         Curve {
///             name: "truth".into(),
///             points: x().map(|x| [x, x.sin()]).collect(),
///             look: Look::Truth,
///             dots: false,
///         },
///         Curve {
///             name: "learned".into(),
///             points: x().map(|x| [x, x - x.powi(3) / 6.0]).collect(),
///             look: Look::Learned(0),
///             dots: false,
///         },
///     ],
///     y_limits: Some([-1.5, 1.5]),
///     density: Some(x().map(|x| [x, (-x * x).exp()]).collect()),
/// };
/// let picture = curves("A field", &[chart], 1)?;
/// assert!(picture.svg().contains("points lie outside of the axes."));
/// # Ok::<(), actum::error::Error>(())
/// ```
pub fn curves(title: &str, charts: &[Chart], columns: usize) -> Result<Picture> {
    ensure!(
        !charts.is_empty(),
        Value,
        "a picture of curves needs at least one chart, got none"
    );
    ensure!(
        (1..=3).contains(&columns),
        Value,
        "charts stand in 1 to 3 columns, not in {columns}"
    );
    let columns = columns.min(charts.len());
    let (width, height) = [(640.0, 320.0), (370.0, 240.0), (250.0, 190.0)][columns - 1];
    let size = Area {
        x: 0.0,
        y: 0.0,
        width,
        height,
    };
    let charts = charts
        .iter()
        .map(|chart| {
            Laid::new(chart, size).map_err(|e| e.within(format_args!("chart {:?}", chart.title)))
        })
        .collect::<Result<Vec<_>>>()?;

    // The width of a column includes its labels and the names at the ends of curves.
    let labels = charts.iter().map(|c| c.frame(size).label_width());
    let labels = widest(labels, columns);
    let names = widest(charts.iter().map(Laid::names_width), columns);
    let mut lefts = Vec::new();
    let mut right = MARGIN - GAP;
    for (labels, names) in labels.iter().zip(&names) {
        lefts.push(right + GAP + axis::left_of(*labels));
        right = lefts[lefts.len() - 1] + width + names;
    }
    let left = lefts[0];
    let whole = right - left;
    let row = HEAD + height + axis::BELOW + GAP;
    let heading = TITLE.lines(title, whole);
    let (entries, legend_height) = legend(&charts, whole);
    let legend_top = MARGIN + 21.0 * heading.len() as f64;
    let top = legend_top + legend_height;
    let bottom = top + charts.len().div_ceil(columns) as f64 * row - GAP - axis::BELOW;

    let outside: usize = charts.iter().map(Laid::outside).sum();
    let all = charts.iter().flat_map(|c| &c.curves);
    let all: usize = all.map(|(_, points)| points.len()).sum();
    let caption = population::caption(
        [
            charts.iter().any(|c| c.density.is_some()).then(|| {
                "Pale area along the bottom: where the population is, in a scale of its own."
                    .to_owned()
            }),
            (outside > 0).then(|| {
                let (some, all) = (population::count(outside), population::count(all));
                format!("{some} of {all} points lie outside of the axes.")
            }),
        ],
        whole,
    );
    let total = bottom + axis::BELOW + population::caption_height(&caption) + 0.5 * MARGIN;
    let mut canvas = Canvas::new(right + MARGIN, total);
    for (i, line) in heading.iter().enumerate() {
        canvas.text(left, MARGIN + 13.0 + 21.0 * i as f64, TITLE, line);
    }
    for entry in entries {
        let [x, y] = [left + entry.at[0], legend_top + entry.at[1]];
        let line = format!("M{} {}h{SWATCH}", At(x), At(y - 4.0));
        canvas.path(&line, &entry.curve.look.stroke());
        if entry.curve.dotted() {
            let middle = [x + 0.5 * SWATCH, y - 4.0];
            entry
                .curve
                .look
                .draw_dots(&mut canvas, [middle].into_iter());
        }
        canvas.text(x + SWATCH + 7.0, y, LEGEND, &entry.name);
    }
    for (i, chart) in charts.iter().enumerate() {
        let area = Area {
            x: lefts[i % columns],
            y: top + HEAD + (i / columns) as f64 * row,
            ..size
        };
        chart.draw(&mut canvas, area, labels[i % columns]);
    }
    canvas.lines(left, bottom + axis::BELOW + 14.0, CAPTION, &caption);
    Ok(canvas.finish())
}

/// The largest of `widths` in every column.
fn widest(widths: impl Iterator<Item = f64>, columns: usize) -> Vec<f64> {
    let mut most = vec![0.0; columns];
    for (i, width) in widths.enumerate() {
        most[i % columns] = width.max(most[i % columns]);
    }
    most
}

/// A checked chart.
struct Laid<'a> {
    chart: &'a Chart,
    /// The truth first; points by increasing x, as in `density`.
    curves: Vec<(&'a Curve, Vec<[f64; 2]>)>,
    density: Option<Vec<[f64; 2]>>,
    limits: [[f64; 2]; 2],
    /// Whether names are at the ends of curves.
    names_at_ends: bool,
}

impl<'a> Laid<'a> {
    fn new(chart: &'a Chart, size: Area) -> Result<Self> {
        ensure!(!chart.curves.is_empty(), Value, "it has no curves");
        for curve in &chart.curves {
            let name = &curve.name;
            ensure!(
                !curve.points.is_empty(),
                Value,
                "curve {name:?} has no points"
            );
            let column = |axis: usize| curve.points.iter().map(move |p| p[axis]);
            check(&format!("curve {name:?}: x"), &chart.x, column(0))?;
            check(&format!("curve {name:?}: y"), &chart.y, column(1))?;
        }
        if let Some(density) = &chart.density {
            ensure!(
                density.len() >= 2,
                Value,
                "a density needs two points or more, got {}",
                density.len()
            );
            check("density: x", &chart.x, density.iter().map(|p| p[0]))?;
            super::check("density", density.iter().map(|p| p[1]))?;
            ensure!(
                density.iter().all(|p| p[1] >= 0.0),
                Value,
                "a density is 0 or more everywhere"
            );
        }
        if let Some([low, high]) = chart.y_limits {
            check("y limit", &chart.y, [low, high].into_iter())?;
            ensure!(
                !axis::flat(low, high),
                Value,
                "y limits must increase, got [{low}, {high}]"
            );
        }

        let mut curves: Vec<_> = chart.curves.iter().map(|c| (c, by_x(&c.points))).collect();
        curves.sort_by_key(|(c, _)| c.look != Look::Truth);
        let density = chart.density.as_deref().map(by_x);
        let points = || curves.iter().flat_map(|(_, points)| points);
        let x = points().chain(density.iter().flatten()).map(|p| p[0]);
        let y_limits = chart.y_limits.unwrap_or_else(|| match chart.y.logarithmic {
            true => axis::limits(points().map(|p| p[1].log10())).map(|power| 10f64.powf(power)),
            false => axis::limits(points().map(|p| p[1])),
        });
        let limits = [axis::range(x), y_limits];
        let mut laid = Self {
            chart,
            curves,
            density,
            limits,
            names_at_ends: false,
        };
        laid.names_at_ends = laid.ends_are_apart(size);
        Ok(laid)
    }

    fn frame(&self, area: Area) -> Frame {
        let mut frame = Frame::new(area, self.limits[0], self.limits[1]);
        frame.x.logarithmic = self.chart.x.logarithmic;
        frame.y.logarithmic = self.chart.y.logarithmic;
        frame
    }

    fn ends_are_apart(&self, size: Area) -> bool {
        let frame = self.frame(size);
        let ends = self.curves.iter().filter_map(|(_, points)| points.last());
        let ends: Vec<[f64; 2]> = ends.map(|p| frame.at(*p)).collect();
        let mut heights: Vec<f64> = ends.iter().map(|p| p[1]).collect();
        heights.sort_unstable_by(f64::total_cmp);
        ends.iter().all(|p| p[0] >= size.right() - 1.0)
            && heights.iter().all(|y| (0.0..=size.height).contains(y))
            && heights.windows(2).all(|pair| pair[1] - pair[0] >= 13.0)
    }

    /// The width of the names at the ends of curves.
    fn names_width(&self) -> f64 {
        let curves = self.curves.iter().filter(|_| self.names_at_ends);
        let widths = curves.map(|(c, _)| c.look.label().width(&c.name).min(WIDEST) + 8.0);
        widths.fold(0.0, f64::max)
    }

    /// The number of points outside of the axes.
    fn outside(&self) -> usize {
        let [low, high] = self.limits[1];
        let points = self.curves.iter().flat_map(|(_, points)| points);
        points.filter(|p| !(low..=high).contains(&p[1])).count()
    }

    fn draw(&self, canvas: &mut Canvas, area: Area, labels: f64) {
        let frame = self.frame(area);
        let heading = HEADING.cut(&self.chart.title, area.width);
        canvas.text(area.x, area.y - 9.0, HEADING, &heading);
        if let Some(density) = &self.density {
            draw_density(canvas, &frame, density);
        }
        frame.draw(canvas);
        frame.label_x(canvas, 14.0);
        frame.label_y(canvas);
        frame.name_x(canvas, &self.chart.x.name);
        frame.name_y_beside(canvas, area, labels, &self.chart.y.name);

        canvas.clipped(area, |canvas| {
            for (curve, points) in &self.curves {
                let page: Vec<[f64; 2]> = points.iter().map(|p| frame.at(*p)).collect();
                let parts = between(&page, area.y - 10.0, area.bottom() + 10.0);
                let line: String = parts.iter().map(|part| envelope(part)).collect();
                canvas.path(&line, &curve.look.stroke());
            }
        });
        let [low, high] = self.limits[1];
        for (curve, points) in &self.curves {
            if curve.dotted() {
                let inside = points.iter().filter(|p| (low..=high).contains(&p[1]));
                curve.look.draw_dots(canvas, inside.map(|p| frame.at(*p)));
            }
            if let (true, Some(end)) = (self.names_at_ends, points.last()) {
                let style = curve.look.label();
                let name = style.cut(&curve.name, WIDEST);
                let y = frame.at(*end)[1] + 3.9;
                canvas.text(area.right() + 8.0, y, style, &name);
            }
        }
    }
}

/// As [`check`](super::check), for numbers on this axis.
fn check(what: &str, axis: &Axis, values: impl Iterator<Item = f64> + Clone) -> Result<()> {
    super::check(what, values.clone())?;
    for (i, value) in values.enumerate().filter(|_| axis.logarithmic) {
        ensure!(
            value > 1e-150,
            Value,
            "{what} {i} is {value}; a logarithmic axis needs positive numbers, from 1e-150 up"
        );
    }
    Ok(())
}

fn by_x(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut points = points.to_vec();
    points.sort_by(|p, q| p[0].total_cmp(&q[0]));
    points
}

/// The parts of a line whose y is from `low` to `high`. Clipping alone would not do, because a line
/// to a far value has more dashes than a renderer draws.
fn between(line: &[[f64; 2]], low: f64, high: f64) -> Vec<Vec<[f64; 2]>> {
    let mut parts: Vec<Vec<[f64; 2]>> = Vec::new();
    let mut whole = false;
    for pair in line.windows(2) {
        // At this distance the line inside is practically the same, and sums keep their digits.
        let [[x, y], [end_x, end_y]] = [pair[0], pair[1]].map(|[x, y]| [x, y.clamp(-1e7, 1e7)]);
        let at = |u: f64| [x + u * (end_x - x), y + u * (end_y - y)];
        let (from, to) = if y == end_y {
            (0.0, if (low..=high).contains(&y) { 1.0 } else { -1.0 })
        } else {
            let cuts = [low, high].map(|cut| (cut - y) / (end_y - y));
            (cuts[0].min(cuts[1]).max(0.0), cuts[0].max(cuts[1]).min(1.0))
        };
        if from > to {
            whole = false;
            continue;
        }
        match parts.last_mut() {
            Some(part) if whole && from == 0.0 => part.push(at(to)),
            _ => parts.push(vec![at(from), at(to)]),
        }
        whole = to == 1.0;
    }
    parts
}

fn draw_density(canvas: &mut Canvas, frame: &Frame, density: &[[f64; 2]]) {
    let largest = density.iter().fold(0.0, |m: f64, p| m.max(p[1]));
    if largest == 0.0 {
        return;
    }
    let (bottom, height) = (frame.area.bottom(), DENSE * frame.area.height);
    let page = density
        .iter()
        .map(|p| [frame.x.at(p[0]), bottom - height * p[1] / largest]);
    let page: Vec<[f64; 2]> = page.collect();
    let (first, last) = (page[0][0], page[page.len() - 1][0]);
    let bottom = At(bottom);
    let outline = format!("{}L{} {bottom}H{}Z", envelope(&page), At(last), At(first));
    canvas.path(&outline, &format!("fill=\"{DENSITY}\""));
}

struct Entry<'a> {
    /// Left from the legend's left, and baseline from its top.
    at: [f64; 2],
    curve: &'a Curve,
    name: String,
}

/// The legend of the curves without names at their ends, in lines not wider than `width`, and its
/// height.
fn legend<'a>(charts: &[Laid<'a>], width: f64) -> (Vec<Entry<'a>>, f64) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = [0.0, 15.0];
    for chart in charts.iter().filter(|c| !c.names_at_ends) {
        for &(curve, _) in &chart.curves {
            let known = |e: &Entry| e.curve.name == curve.name && e.curve.look == curve.look;
            if curve.name.is_empty() || entries.iter().any(known) {
                continue;
            }
            let name = LEGEND.cut(&curve.name, width - SWATCH - 7.0);
            let length = SWATCH + 7.0 + LEGEND.width(&name);
            if at[0] > 0.0 && at[0] + length > width {
                at = [0.0, at[1] + ROW];
            }
            entries.push(Entry { at, curve, name });
            at[0] += length + 22.0;
        }
    }
    let height = entries.last().map_or(0.0, |e| e.at[1] + 6.0);
    (entries, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn curve(name: &str, look: Look, points: &[[f64; 2]]) -> Curve {
        Curve {
            name: name.into(),
            points: points.to_vec(),
            look,
            dots: false,
        }
    }

    fn chart(logarithmic: bool, curves: Vec<Curve>) -> Chart {
        let axis = |name: &str| Axis {
            name: name.into(),
            logarithmic,
        };
        Chart {
            title: "<error & budget>".into(),
            x: axis("budget"),
            y: axis("error"),
            curves,
            y_limits: None,
            density: None,
        }
    }

    /// The number after `key` in the element of the picture that ends with `end`.
    fn number(picture: &Picture, end: &str, key: &str) -> f64 {
        let line = picture.svg().lines().find(|line| line.ends_with(end));
        let line = line.unwrap_or_else(|| panic!("{end} in {}", picture.svg()));
        let after = line.split_once(&format!(" {key}=\"")).unwrap().1;
        after.split('"').next().unwrap().parse().unwrap()
    }

    #[test]
    fn a_point_stands_where_the_axes_say() {
        for (logarithmic, points, labels) in [
            (
                false,
                [[0.0, 0.0], [20.0, 4.0], [100.0, 10.0]],
                [">20</text>", ">4</text>"],
            ),
            (
                true,
                [[10.0, 0.001], [100.0, 0.01], [1000.0, 1.0]],
                [">100</text>", ">0.01</text>"],
            ),
        ] {
            let dots = Curve {
                dots: true,
                ..curve("a", Look::Learned(0), &points)
            };
            let chart = chart(logarithmic, vec![dots]);
            let picture = curves("", &[chart], 1).unwrap();
            let dots: Vec<&str> = picture.svg().split("<circle cx=\"").collect();
            let at: Vec<f64> = dots[2]
                .split('"')
                .step_by(2)
                .take(2)
                .map(|n| n.parse().unwrap())
                .collect();
            assert!((at[0] - number(&picture, labels[0], "x")).abs() < 0.02);
            assert!((at[1] - (number(&picture, labels[1], "y") - 3.8)).abs() < 0.02);
        }
    }

    #[test]
    fn a_line_is_cut_where_it_leaves() {
        let line = [
            [0.0, 0.0],
            [1.0, 40.0],
            [2.0, 1e300],
            [3.0, 5.0],
            [4.0, 5.0],
            [5.0, -5.0],
        ];
        let parts = between(&line, 0.0, 10.0);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], [[0.0, 0.0], [0.25, 10.0]]);
        assert!((parts[1][0][0] - 3.0).abs() < 1e-5 && (parts[1][0][1] - 10.0).abs() < 1e-6);
        assert_eq!(parts[1][2], [4.0, 5.0]);
        assert_eq!(parts[1][3], [4.5, 0.0]);
        assert!(between(&[[0.0, 20.0], [1.0, 20.0], [2.0, 90.0]], 0.0, 10.0).is_empty());
        let through = between(&[[0.0, -10.0], [1.0, 30.0], [2.0, -10.0]], 0.0, 10.0);
        assert_eq!(
            through,
            [[[0.25, 0.0], [0.5, 10.0]], [[1.5, 10.0], [1.75, 0.0]]]
        );
    }

    #[test]
    fn names_stand_at_the_ends_or_in_the_legend() {
        let two = |end: f64, last: f64| {
            vec![
                curve("upper", Look::Learned(0), &[[0.0, 1.0], [1.0, 1.0]]),
                curve("lower", Look::Learned(1), &[[0.0, 0.0], [last, end]]),
            ]
        };
        let right = |picture: &Picture| number(picture, ">upper</text>", "x") > 600.0;
        let draw = |curves: Vec<Curve>| super::curves("", &[chart(false, curves)], 1).unwrap();
        assert!(right(&draw(two(0.0, 1.0))));
        assert!(!right(&draw(two(0.99, 1.0))));
        assert!(!right(&draw(two(0.0, 0.5))));
        let same = chart(false, two(1.0, 1.0));
        let picture = super::curves("", &[same.clone(), same], 2).unwrap();
        assert_eq!(picture.svg().matches(">upper<").count(), 1);
    }

    #[test]
    fn the_truth_lies_underneath_and_the_population_below() {
        let mut chart = chart(
            false,
            vec![
                curve("learned", Look::Learned(0), &[[0.0, 1.0], [1.0, 1.0]]),
                curve("truth", Look::Truth, &[[1.0, 1.5], [0.0, 1.0]]),
            ],
        );
        chart.density = Some(vec![[0.0, 0.0], [2.0, 3.0], [4.0, 0.0]]);
        chart.y_limits = Some([0.0, 1.2]);
        let picture = curves("", &[chart], 1).unwrap();
        let svg = picture.svg();
        let stroke = |look: Look| svg.rfind(&look.stroke()).unwrap();
        assert!(stroke(Look::Truth) < stroke(Look::Learned(0)));
        assert!(svg.find(DENSITY).unwrap() < stroke(Look::Truth));
        assert!(svg.contains(">4.0<") && svg.contains("1 of 4 points lie outside of the axes."));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused_by_name() {
        let ok = [[1.0, 1.0], [2.0, 2.0]];
        let a = |points: &[[f64; 2]]| curve("<a & b>", Look::Learned(0), points);
        let refused = |chart: Chart, what: &str| {
            let error = curves("", &[chart], 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            let text = error.to_string();
            assert!(
                text.starts_with("chart \"<error & budget>\": ") && text.contains(what),
                "{text}"
            );
        };
        refused(chart(false, vec![]), "no curves");
        refused(
            chart(false, vec![a(&ok), curve("empty", Look::Truth, &[])]),
            "curve \"empty\" has no points",
        );
        refused(
            chart(false, vec![a(&[[0.0, f64::NAN]])]),
            "curve \"<a & b>\": y 0 is NaN",
        );
        refused(
            chart(false, vec![a(&[[f64::INFINITY, 0.0]])]),
            "curve \"<a & b>\": x 0 is inf",
        );
        refused(
            chart(true, vec![a(&[[1.0, 1.0], [2.0, 0.0]])]),
            "curve \"<a & b>\": y 1 is 0",
        );
        refused(
            chart(true, vec![a(&[[-1.0, 1.0]])]),
            "curve \"<a & b>\": x 0 is -1",
        );
        for limits in [[0.0, 1.0], [2.0, 1.0], [1.0, 1.0 + 1e-12], [1.0, f64::NAN]] {
            let y_limits = Some(limits);
            refused(
                Chart {
                    y_limits,
                    ..chart(true, vec![a(&ok)])
                },
                "y limit",
            );
        }
        for density in [
            vec![],
            vec![[1.0, 1.0]],
            vec![[1.0, 1.0], [2.0, -1.0]],
            vec![[0.0, 1.0]; 2],
        ] {
            let density = Some(density);
            refused(
                Chart {
                    density,
                    ..chart(true, vec![a(&ok)])
                },
                "density",
            );
        }
        let one = [chart(false, vec![a(&ok)])];
        for (charts, columns) in [(&[][..], 1), (&one[..], 0), (&one, 4)] {
            assert_eq!(
                curves("", charts, columns).unwrap_err().kind(),
                ErrorKind::Value
            );
        }
    }

    /// The matrices are those of Machado, Oliveira and Fernandes (2009) for dichromats. Colours 10
    /// apart in CIE Lab are easy to distinguish.
    #[test]
    fn colours_differ_in_grey_and_for_the_colour_blind() {
        let sights: [[[f64; 3]; 3]; 4] = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [
                [0.1523, 1.0526, -0.2049],
                [0.1145, 0.7863, 0.0992],
                [-0.0039, -0.0481, 1.052],
            ],
            [
                [0.3673, 0.8606, -0.228],
                [0.2801, 0.6725, 0.0474],
                [-0.0118, 0.0429, 0.9689],
            ],
            [[0.2126, 0.7152, 0.0722]; 3],
        ];
        let linear = |colour: &str| {
            [1, 3, 5].map(|i| {
                let c = f64::from(u8::from_str_radix(&colour[i..i + 2], 16).unwrap()) / 255.0;
                if c <= 0.04045 {
                    c / 12.92
                } else {
                    ((c + 0.055) / 1.055).powf(2.4)
                }
            })
        };
        let times = |m: [[f64; 3]; 3], v: [f64; 3]| {
            m.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
        };
        let lab = |rgb: [f64; 3]| {
            let to_xyz = [
                [0.4339, 0.3762, 0.1899],
                [0.2126, 0.7152, 0.0722],
                [0.0177, 0.1095, 0.8728],
            ];
            let [x, y, z] = times(to_xyz, rgb.map(|c| c.clamp(0.0, 1.0))).map(f64::cbrt);
            [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
        };
        let colours = [COLOURS.as_slice(), &[TRUTH]].concat();
        for sight in sights {
            for (i, one) in colours.iter().enumerate() {
                for other in &colours[..i] {
                    let [p, q] = [one, other].map(|c| lab(times(sight, linear(c))));
                    let apart = (0..3).map(|k| (p[k] - q[k]).powi(2)).sum::<f64>().sqrt();
                    assert!(apart > 9.5, "{one} and {other} are {apart} apart");
                }
            }
        }
        let looks: std::collections::BTreeSet<String> =
            (0..16).map(|i| Look::Learned(i).stroke()).collect();
        assert_eq!(looks.len(), 16);
    }
}

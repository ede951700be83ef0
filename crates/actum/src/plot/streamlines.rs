//! The velocity of a population as streamlines.

use std::{collections::VecDeque, fmt::Write};

use ndarray::Array2;

use super::{
    ByClass, Observed, Picture, Projection,
    axis::{self, Frame},
    canvas::{Area, At, Canvas},
    colour::TimeScale,
    population,
    trajectories::beside_time_bar,
};
use crate::error::{Result, ensure};

/// The distance between lines at their starts, in units of the canvas.
const APART: f64 = 14.0;
/// The distance to another line at which a line ends.
const CLOSE: f64 = 0.5 * APART;
const STEP: f64 = 2.0;
const SHORTEST: f64 = 45.0;
const INK: &str = "#20242e";

/// The velocities `[n, d]` of particles at `points [n, d]` as streamlines over the observed clouds.
/// Wider lines are faster. There are lines only where there are particles.
///
/// The velocities are averaged onto a grid with a Gaussian kernel (as in scVelo, Bergen et al.
/// 2020). The lines are evenly spaced (Jobard and Lefer, *Creating evenly-spaced streamlines of
/// arbitrary density*, 1997). All times are averaged together: where the velocity at a place
/// changes in time, the lines show its mean. For d = 1 the lines are those of dx/dt in the plane of
/// time and x, where `times` places the particles; for d > 1 times only determine the colours. With
/// classes the observed points have their colours instead.
///
/// # Errors
/// No particles, not a class for each point, arrays of different shapes, another dimension than the projection, a number that
/// is not finite.
pub fn streamlines(
    points: &Array2<f64>,
    velocities: &Array2<f64>,
    times: &[f64],
    observed: &[Observed],
    projection: &Projection,
    by: Option<&ByClass>,
) -> Result<Picture> {
    let n = points.nrows();
    ensure!(n > 0, Value, "streamlines need particles, got none");
    ensure!(
        points.dim() == velocities.dim() && times.len() == n,
        Shape,
        "expected a velocity and a time for each of {:?} points, got velocities {:?} and {} times",
        points.dim(),
        velocities.dim(),
        times.len()
    );
    super::check("velocity", velocities.iter().copied())?;
    super::check("time", times.iter().copied())?;
    let dots = population::observed_dots(observed, projection, by)?;
    let mut at = projection.on_page(points, 0.0)?;
    let moves = projection.vectors(velocities)?;
    let against_time = projection.against_time();
    let moves: Vec<[f64; 2]> = if against_time {
        for (p, t) in at.iter_mut().zip(times) {
            p[0] = *t;
        }
        moves.outer_iter().map(|v| [1.0, v[0]]).collect()
    } else {
        moves.outer_iter().map(|v| [v[0], v[1]]).collect()
    };

    let marked = observed.iter().map(|o| o.time);
    let scale = &TimeScale::reaching(marked, times.iter().copied());
    let page = || dots.iter().flat_map(|d| &d.page).chain(&at);
    let limits = [
        axis::limits(page().map(|p| p[0])),
        axis::limits(page().map(|p| p[1])),
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
                dots.draw(canvas, frame, &scale.colour(o.time), 0.6);
            }
            let at: Vec<[f64; 2]> = at.iter().map(|p| frame.at(*p)).collect();
            let factor = [frame.x.factor(), frame.y.factor()];
            let moves: Vec<[f64; 2]> = moves
                .iter()
                .map(|v| [v[0] * factor[0], v[1] * factor[1]])
                .collect();
            let field = Field::average(&at, &moves, frame, against_time);
            let lines = evenly_spaced(&field);
            draw(canvas, &lines, &field);
            let how = "Lines follow the mean velocity of all particles and times near a place; thicker \
                       is faster.";
            vec![
                (!lines.is_empty()).then(|| how.to_owned()),
                population::subsampled("observed points", &dots),
                population::outside(frame, &dots),
                lines.is_empty().then(|| "Nothing moves.".to_owned()),
                population::weights(&dots),
                projection.note(),
                match by {
                    Some(by) => Some(by.classes.note()),
                    None => scale.note(),
                },
            ]
        },
    ))
}

/// A velocity on a grid of the canvas: bilinear in the sums of the kernel and of the kernel times
/// the velocity, so that their quotient is continuous.
struct Field {
    area: Area,
    columns: usize,
    rows: usize,
    spacing: [f64; 2],
    mass: Vec<f64>,
    momentum: Vec<[f64; 2]>,
    /// The velocity is undefined further left or right.
    reach: [f64; 2],
    /// The velocity is undefined where the kernel's sum is lower.
    least: f64,
    /// A speed close to the largest.
    fast: f64,
}

impl Field {
    fn average(at: &[[f64; 2]], moves: &[[f64; 2]], frame: &Frame, against_time: bool) -> Self {
        let area = frame.area;
        let columns = (area.width / 9.0) as usize + 1;
        let rows = (area.height / 9.0) as usize + 1;
        let spacing = [
            area.width / (columns - 1) as f64,
            area.height / (rows - 1) as f64,
        ];
        let bandwidth = bandwidth(at, against_time);
        let mut mass = vec![0.0; columns * rows];
        let mut momentum = vec![[0.0; 2]; columns * rows];
        let reach = |center: f64, h: f64, spacing: f64, count: usize| {
            let node = |x: f64| (x / spacing).clamp(0.0, (count - 1) as f64);
            node(center - 3.0 * h).ceil() as usize..=node(center + 3.0 * h).floor() as usize
        };
        for (p, v) in at.iter().zip(moves) {
            if !area.contains(*p) {
                continue;
            }
            let [x, y] = [p[0] - area.x, p[1] - area.y];
            for j in reach(y, bandwidth[1], spacing[1], rows) {
                let dy = (j as f64 * spacing[1] - y) / bandwidth[1];
                for i in reach(x, bandwidth[0], spacing[0], columns) {
                    let dx = (i as f64 * spacing[0] - x) / bandwidth[0];
                    let w = (-0.5 * (dx * dx + dy * dy)).exp();
                    mass[j * columns + i] += w;
                    momentum[j * columns + i][0] += w * v[0];
                    momentum[j * columns + i][1] += w * v[1];
                }
            }
        }
        let mut sorted = mass.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let most = sorted[sorted.len() * 99 / 100];
        // One hundredth of the densest place, and at least about two points.
        let least = (0.01 * most).max(2f64.min(0.4 * sorted[sorted.len() - 1]));
        let reach = if against_time {
            // The velocity is unknown before the first and after the last time.
            at.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |r, p| {
                [r[0].min(p[0]), r[1].max(p[0])]
            })
        } else {
            [area.x, area.right()]
        };
        let mut field = Self {
            area,
            columns,
            rows,
            spacing,
            mass,
            momentum,
            reach,
            least,
            fast: 0.0,
        };
        let mut speeds: Vec<f64> = field
            .nodes()
            .filter_map(|p| field.velocity(p))
            .map(|v| v[0].hypot(v[1]))
            .collect();
        speeds.sort_unstable_by(f64::total_cmp);
        if !speeds.is_empty() {
            field.fast = speeds[(speeds.len() - 1) * 95 / 100];
        }
        field
    }

    fn node(&self, k: usize) -> [f64; 2] {
        let (i, j) = (k % self.columns, k / self.columns);
        [
            self.area.x + i as f64 * self.spacing[0],
            self.area.y + j as f64 * self.spacing[1],
        ]
    }

    fn nodes(&self) -> impl Iterator<Item = [f64; 2]> {
        (0..self.mass.len()).map(|k| self.node(k))
    }

    /// Pixels per unit of time; None where no particles are near.
    fn velocity(&self, p: [f64; 2]) -> Option<[f64; 2]> {
        if !self.area.contains(p) || p[0] < self.reach[0] || p[0] > self.reach[1] {
            return None;
        }
        let [x, y] = [
            (p[0] - self.area.x) / self.spacing[0],
            (p[1] - self.area.y) / self.spacing[1],
        ];
        let i = (x as usize).min(self.columns - 2);
        let j = (y as usize).min(self.rows - 2);
        let [u, v] = [x - i as f64, y - j as f64];
        let corners = [
            (0, 0, (1.0 - u) * (1.0 - v)),
            (1, 0, u * (1.0 - v)),
            (0, 1, (1.0 - u) * v),
            (1, 1, u * v),
        ];
        let (mut mass, mut momentum) = (0.0, [0.0; 2]);
        for (di, dj, w) in corners {
            let k = (j + dj) * self.columns + i + di;
            mass += w * self.mass[k];
            momentum[0] += w * self.momentum[k][0];
            momentum[1] += w * self.momentum[k][1];
        }
        (mass >= self.least && mass > 0.0).then(|| momentum.map(|m| m / mass))
    }

    /// The direction of the velocity; None also where it is 0.
    fn direction(&self, p: [f64; 2]) -> Option<[f64; 2]> {
        let v = self.velocity(p)?;
        let speed = v[0].hypot(v[1]);
        (speed > 1e-3 * self.fast && speed > 0.0).then(|| [v[0] / speed, v[1] / speed])
    }

    /// The speed relative to `fast`, at most 1.
    fn speed(&self, p: [f64; 2]) -> f64 {
        match self.velocity(p) {
            Some(v) if self.fast > 0.0 => (v[0].hypot(v[1]) / self.fast).min(1.0),
            _ => 0.0,
        }
    }
}

/// Scott's rule, narrowed because populations have branches. Against time it is at least so wide
/// that neighbouring times meet.
fn bandwidth(at: &[[f64; 2]], against_time: bool) -> [f64; 2] {
    let n = at.len() as f64;
    let spread = |axis: usize| {
        let mean = at.iter().map(|p| p[axis]).sum::<f64>() / n;
        (at.iter().map(|p| (p[axis] - mean).powi(2)).sum::<f64>() / n).sqrt()
    };
    let mut h = [0, 1].map(|axis| (0.5 * spread(axis) * n.powf(-1.0 / 6.0)).clamp(8.0, 32.0));
    if against_time {
        let mut times: Vec<f64> = at.iter().map(|p| p[0]).collect();
        times.sort_unstable_by(f64::total_cmp);
        let gap = times.windows(2).map(|t| t[1] - t[0]).fold(0.0, f64::max);
        h[0] = h[0].max(0.5 * gap);
    }
    h
}

/// The places of lines, in cells of [`APART`].
struct Taken {
    area: Area,
    columns: usize,
    rows: usize,
    cells: Vec<Vec<[f64; 2]>>,
}

impl Taken {
    fn new(area: Area) -> Self {
        let columns = (area.width / APART) as usize + 1;
        let rows = (area.height / APART) as usize + 1;
        Self {
            area,
            columns,
            rows,
            cells: vec![Vec::new(); columns * rows],
        }
    }

    fn cell(&self, p: [f64; 2]) -> (usize, usize) {
        let place = |x: f64, count: usize| ((x / APART).max(0.0) as usize).min(count - 1);
        (
            place(p[0] - self.area.x, self.columns),
            place(p[1] - self.area.y, self.rows),
        )
    }

    fn add(&mut self, p: [f64; 2]) {
        let (i, j) = self.cell(p);
        self.cells[j * self.columns + i].push(p);
    }

    /// Whether all lines are at least `distance` away, which is at most [`APART`].
    fn free(&self, p: [f64; 2], distance: f64) -> bool {
        let (i, j) = self.cell(p);
        (j.saturating_sub(1)..=(j + 1).min(self.rows - 1)).all(|j| {
            (i.saturating_sub(1)..=(i + 1).min(self.columns - 1)).all(|i| {
                self.cells[j * self.columns + i]
                    .iter()
                    .all(|q| apart(p, *q) >= distance)
            })
        })
    }
}

fn apart(p: [f64; 2], q: [f64; 2]) -> f64 {
    (p[0] - q[0]).hypot(p[1] - q[1])
}

/// Lines at least [`CLOSE`] from each other. Each begins [`APART`] beside an older one or, where
/// none is near, at the place with the most particles.
fn evenly_spaced(field: &Field) -> Vec<Vec<[f64; 2]>> {
    let mut taken = Taken::new(field.area);
    let mut lines: Vec<Vec<[f64; 2]>> = Vec::new();
    let mut dense: Vec<usize> = (0..field.mass.len()).collect();
    dense.sort_by(|a, b| field.mass[*b].total_cmp(&field.mass[*a]));
    for start in dense {
        let mut seeds = VecDeque::from([field.node(start)]);
        while let Some(seed) = seeds.pop_front() {
            if !field.area.contains(seed) || !taken.free(seed, 0.999 * APART) {
                continue;
            }
            let line = trace(field, &taken, seed);
            if (line.len() as f64) * STEP < SHORTEST {
                continue;
            }
            for (i, p) in line.iter().enumerate() {
                taken.add(*p);
                if i % 6 == 0
                    && let Some(d) = field.direction(*p)
                {
                    for side in [-APART, APART] {
                        seeds.push_back([p[0] - side * d[1], p[1] + side * d[0]]);
                    }
                }
            }
            lines.push(line);
        }
    }
    lines
}

/// The line through `seed` in both directions, by the midpoint rule with steps of equal length. It
/// ends where there are no particles, another line is close or it meets itself.
fn trace(field: &Field, taken: &Taken, seed: [f64; 2]) -> Vec<[f64; 2]> {
    let mut line: VecDeque<[f64; 2]> = VecDeque::from([seed]);
    for sign in [-1.0, 1.0] {
        let mut p = seed;
        for _ in 0..700 {
            let Some(d) = field.direction(p) else { break };
            let middle = [
                p[0] + sign * 0.5 * STEP * d[0],
                p[1] + sign * 0.5 * STEP * d[1],
            ];
            let Some(d) = field.direction(middle) else {
                break;
            };
            let next = [p[0] + sign * STEP * d[0], p[1] + sign * STEP * d[1]];
            let recent = (APART / STEP) as usize + 1;
            let meets_itself = |q: &[f64; 2]| apart(next, *q) < CLOSE;
            let itself = if sign > 0.0 {
                line.iter().rev().skip(recent).any(meets_itself)
            } else {
                line.iter().skip(recent).any(meets_itself)
            };
            if itself || field.velocity(next).is_none() || !taken.free(next, CLOSE) {
                break;
            }
            if sign > 0.0 {
                line.push_back(next);
            } else {
                line.push_front(next);
            }
            p = next;
        }
    }
    line.into()
}

fn draw(canvas: &mut Canvas, lines: &[Vec<[f64; 2]>], field: &Field) {
    const WIDTHS: usize = 6;
    let width = |speed: f64| 0.7 + 1.3 * speed;
    let level = |p: [f64; 2]| ((field.speed(p) * WIDTHS as f64) as usize).min(WIDTHS - 1);
    let mut shapes = vec![String::new(); WIDTHS];
    let mut heads = String::new();
    for line in lines {
        let ends = line.len() - 1;
        // Every second step is enough for a smooth line.
        let points: Vec<[f64; 2]> = line
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 2 == 0 || *i == ends)
            .map(|(_, p)| *p)
            .collect();
        let mut pen = None;
        for pair in points.windows(2) {
            let at = level(pair[1]);
            if pen != Some(at) {
                let _ = write!(shapes[at], "M{} {}", At(pair[0][0]), At(pair[0][1]));
                pen = Some(at);
            }
            let _ = write!(shapes[at], "L{} {}", At(pair[1][0]), At(pair[1][1]));
        }
        let pieces = (line.len() as f64 * STEP / 110.0).round().max(1.0) as usize;
        for piece in 0..pieces {
            let i = (line.len() * (2 * piece + 1) / (2 * pieces)).clamp(1, ends);
            if let Some(d) = field.direction(line[i]) {
                head(
                    &mut heads,
                    line[i],
                    d,
                    2.6 + 1.2 * width(field.speed(line[i])),
                );
            }
        }
    }
    for (i, shape) in shapes.iter().enumerate() {
        let width = At(width((i as f64 + 0.5) / WIDTHS as f64));
        canvas.path(shape, &format!("fill=\"none\" stroke=\"{INK}\" stroke-opacity=\"0.85\" stroke-width=\"{width}\" stroke-linejoin=\"round\""));
    }
    canvas.path(&heads, &format!("fill=\"{INK}\""));
}

/// An arrow head centered at `p`.
fn head(data: &mut String, p: [f64; 2], d: [f64; 2], size: f64) {
    let corner = |along: f64, across: f64| {
        let x = p[0] + size * (along * d[0] - across * d[1]);
        let y = p[1] + size * (along * d[1] + across * d[0]);
        format!("{} {}", At(x), At(y))
    };
    let _ = write!(
        data,
        "M{}L{}L{}L{}Z",
        corner(1.0, 0.0),
        corner(-0.8, 0.75),
        corner(-0.4, 0.0),
        corner(-0.8, -0.75)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Frame {
        let area = Area {
            x: 10.0,
            y: 20.0,
            width: 300.0,
            height: 300.0,
        };
        Frame::new(area, [-1.0, 1.0], [-1.0, 1.0])
    }

    fn lattice(frame: &Frame) -> Vec<[f64; 2]> {
        let place = |i: usize| -0.99 + 1.98 * (i as f64) / 59.0;
        (0..3600)
            .map(|k| frame.at([place(k % 60), place(k / 60)]))
            .collect()
    }

    /// The streamlines of a rotation about the middle are circles.
    #[test]
    fn a_rotation_gives_circles_that_keep_their_distance() {
        let frame = square();
        let at = lattice(&frame);
        let middle = [160.0, 170.0];
        let moves: Vec<[f64; 2]> = at
            .iter()
            .map(|p| [-(p[1] - middle[1]), p[0] - middle[0]])
            .collect();
        let field = Field::average(&at, &moves, &frame, false);
        let lines = evenly_spaced(&field);
        assert!(lines.len() > 6, "{}", lines.len());
        for line in lines
            .iter()
            .filter(|line| line.iter().all(|p| apart(*p, middle) < 110.0))
        {
            let radii = || line.iter().map(|p| apart(*p, middle));
            let (low, high) = (
                radii().fold(f64::MAX, f64::min),
                radii().fold(0.0, f64::max),
            );
            assert!(high - low < 1.5, "from {low} to {high}");
        }
        for (i, line) in lines.iter().enumerate() {
            for other in &lines[..i] {
                let nearest = line
                    .iter()
                    .flat_map(|p| other.iter().map(|q| apart(*p, *q)))
                    .fold(f64::MAX, f64::min);
                assert!(nearest >= CLOSE - 1e-9, "{nearest}");
            }
        }
    }

    #[test]
    fn there_are_no_lines_where_there_are_no_particles() {
        let frame = square();
        let left: Vec<[f64; 2]> = lattice(&frame)
            .into_iter()
            .filter(|p| p[0] < 160.0)
            .collect();
        let moves = vec![[1.0, 0.0]; left.len()];
        let field = Field::average(&left, &moves, &frame, false);
        let lines = evenly_spaced(&field);
        assert!(!lines.is_empty());
        assert!(lines.iter().flatten().all(|p| p[0] < 190.0));
        // The lines of a constant field are straight and fill the area: about one for every 14
        // units.
        assert!(lines.iter().flatten().all(|p| {
            field
                .velocity(*p)
                .is_some_and(|v| (v[0] - 1.0).abs() < 1e-9 && v[1].abs() < 1e-9)
        }));
        assert!((14..=40).contains(&lines.len()), "{}", lines.len());
    }
}

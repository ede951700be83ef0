//! Brownian paths that do not depend on the steps at which they are read.
//!
//! The span of time is halved repeatedly, down to `2^-30` of it. Times are rounded to that grid
//! independently of each other, so that rounding errors do not accumulate. A segment of the path of
//! length h has an increment and a space-time Levy area,
//!
//! ```text
//! W = W_to - W_from ~ N(0, h),
//! H = 1/h int_from^to (W_s - W_from - (s - from)/h W) ds ~ N(0, h/12),
//! ```
//!
//! which are independent. Neighbours with shares r and 1 - r of the length join to `W = W1 + W2`
//! and `H = ((1 - r) W1 - r W2) / 2 + r H1 + (1 - r) H2`. For r = 1/2, two independent normal
//! numbers split a segment in its middle:
//!
//! ```text
//! W1 - W2 = 3 H + N(0, h/4),    H1 + H2 = 2 H - (W1 - W2)/2,    H1 - H2 ~ N(0, h/12).
//! ```
//!
//! Foster, Lyons and Oberhauser, SIAM J. Numer. Anal. 58 (2020), "An optimal polynomial
//! approximation of Brownian motion". The tree is that of Li, Wong, Chen and Duvenaud, AISTATS
//! 2020, with the areas as in Jelinčič, Foster and Kidger (2024, arXiv:2405.06464).

use std::ops::Range;

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

const LEVELS: u32 = 30;

/// The rows that share a generator. Another number gives other paths for the same seed.
const ROWS: usize = 64;

/// Independent Brownian paths, one for each row and column, over a span of time.
///
/// They depend on the seed, the span and the number of columns; the first rows do not depend on how
/// many follow. Reading increments in the order of time is cheap. A dyadic step costs one split,
/// which is two normal numbers. A step whose end is [settled](Brownian::settle) costs about four,
/// and any other step up to `30 - log2(steps)`. Going back starts again from the whole span.
pub(crate) struct Brownian {
    seed: u64,
    shape: [usize; 2],
    span: [f64; 2],
    /// Where the pending segments begin, in cells of the grid.
    position: u64,
    /// For each chunk of rows the segments that cover what is ahead, the next one last.
    pending: Vec<Vec<Segment>>,
}

/// The paths of some rows over a dyadic part of the span.
struct Segment {
    /// 1 is the whole span; 2 i and 2 i + 1 are the halves of i.
    id: u64,
    /// W and H of every row and column.
    values: Vec<[f64; 2]>,
}

impl Brownian {
    /// Paths of `shape` `[rows, columns]` over `span`.
    pub(crate) fn new(seed: u64, shape: [usize; 2], span: [f64; 2]) -> Self {
        let mut path = Self {
            seed,
            shape,
            span,
            position: 0,
            pending: Vec::new(),
        };
        path.restart();
        path
    }

    fn restart(&mut self) {
        let [rows, columns] = self.shape;
        let (seed, length) = (self.seed, self.span[1] - self.span[0]);
        self.position = 0;
        self.pending = (0..rows.div_ceil(ROWS))
            .into_par_iter()
            .map(|chunk| {
                let count = columns * ROWS.min(rows - chunk * ROWS);
                let mut normal = normals(seed, chunk, 0);
                let values = (0..count)
                    .map(|_| [length.sqrt() * normal(), (length / 12.0).sqrt() * normal()])
                    .collect();
                vec![Segment { id: 1, values }]
            })
            .collect();
    }

    /// W and H, `[rows, columns]` each, over the cells of the grid from `from` to `to >= from`. A
    /// time outside of the span is replaced by its end.
    pub(crate) fn increment(&mut self, from: f64, to: f64) -> (Array2<f64>, Array2<f64>) {
        let [from, to] = [from, to].map(|t| self.cell(t));
        if from < self.position {
            self.restart();
        }
        self.position = to;
        let [rows, columns] = self.shape;
        let (seed, length) = (self.seed, self.span[1] - self.span[0]);
        let mut w = Array2::zeros((rows, columns));
        let mut h = Array2::zeros((rows, columns));
        let width = (ROWS * columns).max(1);
        if let (Some(w), Some(h)) = (w.as_slice_mut(), h.as_slice_mut()) {
            let parts = w.par_chunks_mut(width).zip(h.par_chunks_mut(width));
            let chunks = self.pending.par_iter_mut().zip(parts);
            chunks.enumerate().for_each(|(chunk, (pending, (w, h)))| {
                let mut split = |segment: Segment| {
                    let normal = normals(seed, chunk, segment.id);
                    segment.split(length, normal)
                };
                walk(pending, from, &mut split, |_| ());
                let mut covered = 0;
                walk(pending, to, &mut split, |segment| {
                    segment.join(covered, w, h);
                    covered += segment.cells();
                });
            });
        }
        (w, h)
    }

    /// The time near `t` at which steps of about `step` end cheaply. It differs from `t` by at most
    /// 1/32 of a step.
    pub(crate) fn settle(&self, t: f64, step: f64) -> f64 {
        let [start, end] = self.span;
        let part = (step.abs() / (end - start) / 16.0).log2().floor().exp2();
        if part < 0.5f64.powi(LEVELS as i32) {
            return t;
        }
        start + (end - start) * ((t - start) / (end - start) / part).round() * part
    }

    fn cell(&self, t: f64) -> u64 {
        let share = (t - self.span[0]) / (self.span[1] - self.span[0]);
        ((share * (1u64 << LEVELS) as f64).round() as u64).min(1 << LEVELS)
    }
}

/// Takes the segments up to the cell `to` and splits the last one as often as needed.
fn walk(
    pending: &mut Vec<Segment>,
    to: u64,
    mut split: impl FnMut(Segment) -> [Segment; 2],
    mut take: impl FnMut(&Segment),
) {
    while let Some(segment) = pending.pop_if(|segment| segment.range().start < to) {
        if segment.range().end <= to {
            take(&segment);
        } else {
            let [first, second] = split(segment);
            pending.extend([second, first]);
        }
    }
}

/// The normal numbers that split the segment `id` of a chunk of rows; `id` 0 draws the whole span.
fn normals(seed: u64, chunk: usize, id: u64) -> impl FnMut() -> f64 {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(chunk as u64).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(id);
    move || StandardNormal.sample(&mut rng)
}

impl Segment {
    fn cells(&self) -> u64 {
        1 << (LEVELS - self.id.ilog2())
    }

    fn range(&self) -> Range<u64> {
        let start = (self.id - (1 << self.id.ilog2())) * self.cells();
        start..start + self.cells()
    }

    /// The two halves, for a whole span of `length`.
    fn split(mut self, length: f64, mut normal: impl FnMut() -> f64) -> [Segment; 2] {
        let length = length * 0.5f64.powi(self.id.ilog2() as i32);
        let (of_w, of_h) = ((length / 4.0).sqrt(), (length / 12.0).sqrt());
        let mut second = Vec::with_capacity(self.values.len());
        for value in &mut self.values {
            let [w, h] = *value;
            let w_difference = 3.0 * h + of_w * normal();
            let h_sum = 2.0 * h - 0.5 * w_difference;
            let h_difference = of_h * normal();
            *value = [0.5 * (w + w_difference), 0.5 * (h_sum + h_difference)];
            second.push([0.5 * (w - w_difference), 0.5 * (h_sum - h_difference)]);
        }
        let id = 2 * self.id;
        [
            Segment {
                id,
                values: self.values,
            },
            Segment {
                id: id + 1,
                values: second,
            },
        ]
    }

    /// Appends this segment to the `covered` cells over which the path has `w` and `h`.
    fn join(&self, covered: u64, w: &mut [f64], h: &mut [f64]) {
        let before = covered as f64 / (covered + self.cells()) as f64;
        let after = 1.0 - before;
        for ((w, h), [dw, dh]) in w.iter_mut().zip(h).zip(&self.values) {
            *h = 0.5 * (after * *w - before * dw) + before * *h + after * dh;
            *w += dw;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    const SPAN: [f64; 2] = [-1.0, 3.0];

    fn path(seed: u64, rows: usize) -> Brownian {
        Brownian::new(seed, [rows, 2], SPAN)
    }

    /// (W, H) over the neighbouring segments between `times`, joined by the definition of H.
    fn joined(path: &mut Brownian, times: &[f64]) -> (Array2<f64>, Array2<f64>) {
        let (from, to) = (times[0], times[times.len() - 1]);
        let mut w = Array2::<f64>::zeros((path.shape[0], path.shape[1]));
        let mut integral = w.clone();
        for t in times.windows(2) {
            let (dw, dh) = path.increment(t[0], t[1]);
            integral = integral + (&w + &dw * 0.5 + dh) * (t[1] - t[0]);
            w += &dw;
        }
        let h = integral / (to - from) - &w * 0.5;
        (w, h)
    }

    fn close(a: &Array2<f64>, b: &Array2<f64>, tolerance: f64) {
        let off = (a - b).iter().fold(0.0f64, |m, e| m.max(e.abs()));
        assert!(off < tolerance, "{off}");
    }

    #[test]
    fn increments_have_the_moments_of_brownian_motion() {
        // Dyadic and other splits; the four columns are W and H before and after the split.
        for (seed, times) in [[-1.0, 1.0, 3.0], [-0.5, 0.0, 0.5], [-0.3, 0.4, 2.77]]
            .into_iter()
            .enumerate()
        {
            let rows = 60_000;
            let mut path = path(seed as u64, rows);
            let parts: Vec<_> = times
                .windows(2)
                .map(|t| path.increment(t[0], t[1]))
                .collect();
            let (union_w, union_h) = path.increment(times[0], times[2]);
            let columns = [
                &parts[0].0,
                &parts[0].1,
                &parts[1].0,
                &parts[1].1,
                &union_w,
                &union_h,
            ];
            let (h1, h2) = (times[1] - times[0], times[2] - times[1]);
            let h = h1 + h2;
            let r = h1 / h;
            let q = 1.0 - r;
            // int (W_s - W_from) ds over the union is h (W/2 + H): from Cov(W_s, W_t) = min(s, t),
            // Cov(W1, W/2 + H) = h1 (1 - r/2) and Cov(W2, W/2 + H) = h2 q/2. Subtracting half of
            // Cov(Wi, W) = hi leaves Cov(Wi, H); those of Hi are the share of its own integral.
            let theory = [
                [h1, 0.0, 0.0, 0.0, h1, h1 * q / 2.0],
                [0.0, h1 / 12.0, 0.0, 0.0, 0.0, r * h1 / 12.0],
                [0.0, 0.0, h2, 0.0, h2, -h2 * r / 2.0],
                [0.0, 0.0, 0.0, h2 / 12.0, 0.0, q * h2 / 12.0],
                [h1, 0.0, h2, 0.0, h, 0.0],
                [
                    h1 * q / 2.0,
                    r * h1 / 12.0,
                    -h2 * r / 2.0,
                    q * h2 / 12.0,
                    0.0,
                    h / 12.0,
                ],
            ];
            let n = union_w.len() as f64;
            for i in 0..6 {
                let std_dev = theory[i][i].sqrt();
                let mean = columns[i].sum() / n;
                assert!(mean.abs() < 4.0 * std_dev / n.sqrt(), "mean {i}: {mean}");
                for j in 0..=i {
                    let covariance = (columns[i] * columns[j]).sum() / n;
                    let scale = std_dev * theory[j][j].sqrt();
                    let off = (covariance - theory[i][j]).abs() / scale;
                    assert!(off < 4.5 * (2.0 / n).sqrt(), "{times:?} {i} {j}: {off}");
                }
            }
        }
    }

    #[test]
    fn fine_increments_join_to_coarse_ones() {
        let dyadic: Vec<f64> = (0..=64).map(|i| -1.0 + i as f64 / 16.0).collect();
        let mut path = path(5, 70);
        let (fine_w, fine_h) = joined(&mut path, &dyadic);
        let (w, h) = path.increment(-1.0, 3.0);
        close(&w, &fine_w, 1e-13);
        close(&h, &fine_h, 1e-13);
        // Otherwise lengths are rounded to the grid of 4 * 2^-30, which bounds the error of H.
        let other: Vec<f64> = (0..=37).map(|i| -0.9 + 0.1 * i as f64).collect();
        let (fine_w, fine_h) = joined(&mut path, &other);
        let (w, h) = path.increment(other[0], other[37]);
        close(&w, &fine_w, 1e-13);
        close(&h, &fine_h, 1e-7);
        let on_grid: Vec<f64> = (0..=37)
            .map(|i| -1.0 + 4.0 * path.cell(-0.9 + 0.1 * i as f64) as f64 / (1u64 << 30) as f64)
            .collect();
        let (fine_w, fine_h) = joined(&mut path, &on_grid);
        close(&w, &fine_w, 1e-13);
        close(&h, &fine_h, 1e-13);
    }

    #[test]
    fn the_area_is_what_its_definition_says() {
        let (n, mut path) = (4096, path(2, 40));
        let (w, h) = path.increment(-1.0, 3.0);
        let mut at = Array2::zeros(w.raw_dim());
        let mut mean = Array2::zeros(w.raw_dim());
        for i in 0..n {
            let [from, to] = [i, i + 1].map(|i| -1.0 + 4.0 * i as f64 / n as f64);
            let step = path.increment(from, to).0;
            mean = mean + (&at + &step * 0.5) / n as f64;
            at += &step;
        }
        // The trapezoidal rule leaves a standard deviation of sqrt(4/12)/n = 1.4e-4.
        close(&(mean - &w * 0.5), &h, 8e-4);
    }

    #[test]
    fn the_path_does_not_depend_on_how_it_is_asked_for() {
        let asked = |path: &mut Brownian| path.increment(0.1, 0.35);
        let expected = asked(&mut path(3, 200));
        assert_eq!(asked(&mut path(3, 200)), expected);
        assert_ne!(asked(&mut path(4, 200)), expected);

        let mut walked = path(3, 200);
        for i in 0..50 {
            walked.increment(-1.0 + 0.02 * i as f64, -1.0 + 0.02 * (i + 1) as f64);
        }
        assert_eq!(asked(&mut walked), expected);
        walked.increment(2.0, 3.0);
        assert_eq!(asked(&mut walked), expected);

        for more in [201, 1000] {
            let (w, h) = asked(&mut path(3, more));
            assert_eq!(w.slice(s![..200, ..]), expected.0);
            assert_eq!(h.slice(s![..200, ..]), expected.1);
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            assert_eq!(pool.unwrap().install(|| asked(&mut path(3, 200))), expected);
        }
    }

    #[test]
    fn rows_of_different_chunks_differ() {
        let (w, _) = path(0, 3 * ROWS).increment(0.0, 1.0);
        let mut values: Vec<f64> = w.iter().copied().collect();
        values.sort_by(f64::total_cmp);
        assert!(values.windows(2).all(|v| v[0] != v[1]));
    }

    #[test]
    fn settled_times_are_near_and_cheap() {
        let path = path(0, 1);
        for (t, step) in [(0.1, 0.03), (2.2, 0.4), (-0.7, 1e-5)] {
            let settled = path.settle(t, step);
            assert!((settled - t).abs() <= step / 32.0, "{settled}");
            let depth = LEVELS - path.cell(settled).trailing_zeros();
            assert!(depth <= (4.0f64 / step).log2() as u32 + 5, "{depth}");
        }
        assert_eq!(path.settle(0.5, 1.0 / 16.0), 0.5);
        assert_eq!(path.settle(0.1, 1e-9), 0.1);
        assert_eq!(path.cell(-2.0), 0);
        assert_eq!(path.cell(4.0), 1 << LEVELS);
    }

    #[test]
    fn nothing_moves_in_no_time() {
        let mut path = path(1, 3);
        let (w, h) = path.increment(0.3, 0.3);
        assert!(w.iter().chain(&h).all(|v| *v == 0.0));
        assert_eq!(
            Brownian::new(1, [0, 2], SPAN).increment(0.0, 1.0).0.len(),
            0
        );
        assert_eq!(
            Brownian::new(1, [2, 0], SPAN).increment(0.0, 1.0).0.len(),
            0
        );
    }
}

//! Points of clouds, drawn alike in every picture.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    ByClass, Observed, Projection,
    axis::Frame,
    canvas::{At, CAPTION, Canvas},
};
use crate::{
    cloud::Cloud,
    error::{Result, ensure},
};

/// The colour of points in the background.
pub(super) const CONTEXT: &str = "#e3e6ea";

/// At most `most` of `0..n` without repetition, in increasing order, always the same ones.
pub(super) fn sample(n: usize, most: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    if n > most {
        let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
        for i in 0..most {
            let j = rng.random_range(i..n);
            all.swap(i, j);
        }
        all.truncate(most);
        all.sort_unstable();
    }
    all
}

/// The number of points drawn of each of `clouds`, limited so that a picture stays small.
pub(super) fn most_points(clouds: usize) -> usize {
    (20_000 / clouds.max(1)).min(1500)
}

/// The drawn points of a cloud.
pub(super) struct Dots {
    /// The coordinates of all points.
    pub page: Vec<[f64; 2]>,
    /// Which of them are drawn.
    pub drawn: Vec<usize>,
    /// The factor of the radius of every point. The area is proportional to the weight.
    size: Option<Vec<f64>>,
    /// Half the width of the strip of dots of one time.
    jitter: f64,
    /// The class of each point, and their colours.
    classes: Option<(Vec<usize>, Vec<String>)>,
}

impl Dots {
    pub fn new(cloud: &Cloud, time: f64, projection: &Projection, most: usize) -> Result<Self> {
        let page = projection.on_page(cloud.points(), time)?;
        let mean = cloud.mass() / cloud.len() as f64;
        let size = |w: &f64| (w / mean).sqrt().min(3.0);
        Ok(Self {
            jitter: if projection.against_time() { 6.0 } else { 0.0 },
            drawn: sample(page.len(), most),
            page,
            size: (!cloud.is_uniform()).then(|| cloud.weights().iter().map(size).collect()),
            classes: None,
        })
    }

    /// The dots in the colours of classes, of which each point has one.
    pub fn by_class(mut self, classes: &[usize], colours: &[String]) -> Result<Self> {
        let n = self.page.len();
        ensure!(
            classes.len() == n,
            Shape,
            "expected a class for each of {n} points, got {}",
            classes.len()
        );
        self.classes = Some((classes.to_vec(), colours.to_vec()));
        Ok(self)
    }

    /// The drawn points and their places among these, for each colour: one, if no classes are known.
    pub fn coloured<'a>(&'a self, colour: &'a str) -> Vec<(&'a str, Vec<(usize, usize)>)> {
        let drawn = || self.drawn.iter().copied().enumerate();
        match &self.classes {
            None => vec![(colour, drawn().collect())],
            Some((classes, colours)) => colours
                .iter()
                .enumerate()
                .map(|(class, colour)| {
                    let of = drawn().filter(|(_, i)| classes[*i] == class);
                    (colour.as_str(), of.collect())
                })
                .collect(),
        }
    }

    /// The dots inside of the frame, in one colour. Many dots or a small frame make them smaller
    /// and fainter.
    pub fn draw(&self, canvas: &mut Canvas, frame: &Frame, colour: &str, strength: f64) {
        let (radius, opacity) = look(self.drawn.len());
        let radius = radius * (frame.area.width / 320.0).clamp(0.7, 1.0);
        for (colour, points) in self.coloured(colour) {
            let style = format!(
                "fill=\"{colour}\" fill-opacity=\"{}\"",
                At(opacity * strength)
            );
            canvas.group(&style, |canvas| {
                for (k, i) in points {
                    let mut at = frame.at(self.page[i]);
                    at[0] += self.jitter * (2.0 * even(k) - 1.0);
                    let size = self.size.as_ref().map_or(1.0, |size| size[i]);
                    if size > 0.0 && frame.area.contains(at) {
                        canvas.dot(at, radius * size);
                    }
                }
            });
        }
    }

    /// The dots as one grey shape, for the background.
    pub fn draw_context(dots: &[&Self], canvas: &mut Canvas, frame: &Frame) {
        let count: usize = dots.iter().map(|d| d.drawn.len()).sum();
        let keep = sample(count, 4000);
        let all: Vec<[f64; 2]> = dots
            .iter()
            .flat_map(|d| d.drawn.iter().map(|&i| d.page[i]))
            .collect();
        let mut data = String::new();
        for i in keep {
            let at = frame.at(all[i]);
            if frame.area.contains(at) {
                data += &format!("M{} {}h0", At(at[0]), At(at[1]));
            }
        }
        let style = format!(
            "fill=\"none\" stroke=\"{CONTEXT}\" stroke-width=\"2.6\" stroke-linecap=\"round\""
        );
        canvas.path(&data, &style);
    }

    pub fn weighted(&self) -> bool {
        self.size.is_some()
    }
}

/// A sequence in `k` that fills (0, 1) evenly: multiples of the golden ratio, modulo 1.
pub(super) fn even(k: usize) -> f64 {
    ((k + 1) as f64 * 0.618_033_988_749_895).fract()
}

/// Radius and opacity for this many dots in one place.
fn look(count: usize) -> (f64, f64) {
    let crowd = ((count as f64 / 60.0).max(1.0).ln() / 25f64.ln()).min(1.0);
    (3.0 - 1.3 * crowd, 0.85 - 0.4 * crowd)
}

/// The observed clouds as [`Dots`].
pub(super) fn observed_dots(
    observed: &[Observed],
    projection: &Projection,
    by: Option<&ByClass>,
) -> Result<Vec<Dots>> {
    super::check("observed time", observed.iter().map(|o| o.time))?;
    if let Some(by) = by {
        by.check(observed.len(), None)?;
    }
    let most = most_points(observed.len());
    let each = observed.iter().enumerate().map(|(i, o)| {
        let dots = Dots::new(o.cloud, o.time, projection, most)?;
        match by {
            Some(by) => dots.by_class(&by.observed[i], by.classes.colours()),
            None => Ok(dots),
        }
    });
    let each = each.zip(observed);
    each.map(|(dots, o)| dots.map_err(|e| e.within(format_args!("observed {:?}", o.label))))
        .collect()
}

/// `text` with a comma between thousands.
pub(super) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The caption's sentence on `dots` that are subsampled: "1,500 of 4,000 observed points are
/// drawn". Empty if all are drawn.
pub(super) fn subsampled<'a>(
    what: &str,
    dots: impl IntoIterator<Item = &'a Dots>,
) -> Option<String> {
    let (drawn, all) = dots.into_iter().fold((0, 0), |(drawn, all), d| {
        (drawn + d.drawn.len(), all + d.page.len())
    });
    (drawn < all).then(|| format!("{} of {} {what} are drawn.", count(drawn), count(all)))
}

/// The caption's sentence on points outside of the frame.
pub(super) fn outside<'a>(
    frame: &Frame,
    dots: impl IntoIterator<Item = &'a Dots>,
) -> Option<String> {
    let out = dots
        .into_iter()
        .flat_map(|d| &d.page)
        .filter(|at| !frame.area.contains(frame.at(**at)))
        .count();
    (out > 0).then(|| format!("{} points lie outside of the axes.", count(out)))
}

/// The caption's sentence on weights.
pub(super) fn weights<'a>(dots: impl IntoIterator<Item = &'a Dots>) -> Option<String> {
    let any = dots.into_iter().any(Dots::weighted);
    any.then(|| "The area of a dot is its share of the mass at its time.".to_owned())
}

/// The caption of a picture of this width, in lines.
pub(super) fn caption(parts: impl IntoIterator<Item = Option<String>>, width: f64) -> Vec<String> {
    let text: Vec<String> = parts.into_iter().flatten().collect();
    CAPTION.lines(&text.join(" "), width)
}

/// The height of a caption below the rest of a picture.
pub(super) fn caption_height(lines: &[String]) -> f64 {
    match lines.len() {
        0 => 0.0,
        n => 10.0 + 1.4 * CAPTION.size * n as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_small_distinct_and_always_the_same() {
        assert_eq!(sample(3, 5), [0, 1, 2]);
        let some = sample(4000, 1500);
        assert_eq!(some.len(), 1500);
        assert!(some.windows(2).all(|p| p[0] < p[1]) && some[1499] < 4000);
        assert_eq!(some, sample(4000, 1500));
        let mean = some.iter().sum::<usize>() as f64 / 1500.0;
        // The mean of 1,500 of 0..4000 without repetition has standard deviation 23.6.
        assert!((mean - 1999.5).abs() < 100.0, "{mean}");
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}

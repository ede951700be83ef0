//! Colours by what is known of points, such as their cell type.

use std::collections::HashMap;

use super::{
    canvas::{Canvas, SOFT, Text},
    colour,
};
use crate::{
    data::Attribute,
    error::{Result, ensure},
};

/// Classes that points are in, each with a colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    name: String,
    labels: Vec<String>,
    colours: Vec<String>,
}

/// Colours that differ for the colour-blind (Okabe and Ito, 2008), and a few more; the last is for
/// all other classes.
pub(crate) const COLOURS: [&str; 10] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a5195", "#8c6d31",
    "#66a61e", "#b5bbc4",
];
/// More distinct numbers than so many are a quantity.
const NUMBERS: usize = 12;
/// In how many parts of equal size a quantity is drawn.
const PARTS: usize = 5;

const LABEL: Text = Text::new(10.5, SOFT);
const WIDEST: f64 = 130.0;
/// The distance of two lines of a legend.
const ROW: f64 = 16.0;

impl Classes {
    /// The classes of an attribute, and for each of its points the one that it is in.
    ///
    /// Texts, and numbers of which at most 12 differ, are classes of their own; of more than ten the
    /// nine with most points, and all others together. More numbers are five classes of equal size,
    /// from dark to light.
    pub fn of(attribute: &Attribute) -> (Self, Vec<usize>) {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for value in &attribute.values {
            *counts.entry(value).or_default() += 1;
        }
        let numbers = attribute.values.iter().map(|value| value.parse::<f64>());
        let numbers: Option<Vec<f64>> = numbers.map(|x| x.ok().filter(|x| x.is_finite())).collect();
        match numbers.filter(|_| counts.len() > NUMBERS) {
            Some(numbers) => Self::of_quantity(&attribute.name, &numbers),
            None => Self::of_texts(attribute, &counts),
        }
    }

    fn of_texts(attribute: &Attribute, counts: &HashMap<&str, usize>) -> (Self, Vec<usize>) {
        let mut order: Vec<&str> = counts.keys().copied().collect();
        order.sort_by_key(|value| (std::cmp::Reverse(counts[value]), *value));
        let own = match order.len() {
            n if n <= COLOURS.len() => n,
            _ => COLOURS.len() - 1,
        };
        let others = order.split_off(own).len();
        order.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        let place: HashMap<&str, usize> = order.iter().enumerate().map(|(i, v)| (*v, i)).collect();
        let of = attribute.values.iter();
        let of = of.map(|value| place.get(&**value).copied().unwrap_or(own));
        let shown = order.iter().map(|value| match *value {
            "" => "(none)".to_owned(),
            value => value.to_owned(),
        });
        let mut labels: Vec<String> = shown.collect();
        if others > 0 {
            labels.push(format!("{others} others"));
        }
        let classes = Self {
            name: attribute.name.clone(),
            colours: COLOURS[..labels.len()]
                .iter()
                .map(|c| (*c).to_owned())
                .collect(),
            labels,
        };
        (classes, of.collect())
    }

    fn of_quantity(name: &str, numbers: &[f64]) -> (Self, Vec<usize>) {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |k: usize| sorted[k * (sorted.len() - 1) / PARTS];
        let ends: Vec<f64> = (0..=PARTS).map(quantile).collect();
        let inner = &ends[1..PARTS];
        let of = numbers.iter().map(|x| inner.partition_point(|end| end < x));
        let labels = ends
            .windows(2)
            .map(|pair| format!("{:.4} to {:.4}", pair[0], pair[1]));
        let classes = Self {
            name: name.to_owned(),
            labels: labels.collect(),
            colours: (0..PARTS)
                .map(|k| colour::at(k as f64 / (PARTS - 1) as f64))
                .collect(),
        };
        (classes, of.collect())
    }

    /// What they are called, at most ten.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The colours, one for each class.
    pub(super) fn colours(&self) -> &[String] {
        &self.colours
    }

    /// The sentence of a caption.
    pub(super) fn note(&self) -> String {
        format!("Colours: {}.", self.name)
    }

    /// The width of a legend below each other.
    pub(super) fn width(&self) -> f64 {
        let widths = self.labels.iter().chain([&self.name]);
        widths
            .map(|l| LABEL.width(l))
            .fold(0.0, f64::max)
            .min(WIDEST)
            + 16.0
    }

    /// The legend, its top left at (`x`, `y`): a line for each class.
    pub(super) fn draw(&self, canvas: &mut Canvas, [x, y]: [f64; 2]) {
        canvas.text(x, y, LABEL.bold(), &LABEL.cut(&self.name, WIDEST));
        for (i, (label, colour)) in self.labels.iter().zip(&self.colours).enumerate() {
            let y = y + ROW * (i as f64 + 1.2);
            canvas.group(&format!("fill=\"{colour}\""), |canvas| {
                canvas.dot([x + 4.0, y - 4.0], 4.0)
            });
            canvas.text(x + 14.0, y, LABEL, &LABEL.cut(label, WIDEST));
        }
    }
}

/// The classes of all points of a picture.
#[derive(Debug, Clone)]
pub struct ByClass {
    pub(super) classes: Classes,
    /// Those of the observed points, for each cloud.
    pub(super) observed: Vec<Vec<usize>>,
    /// Those of the points that are moved.
    pub(super) moved: Vec<usize>,
}

impl ByClass {
    /// The classes of an attribute of observed clouds of these `sizes`, one after another, of which
    /// the points of the first are moved.
    ///
    /// # Errors
    /// Not a value for each point.
    pub fn of(attribute: &Attribute, sizes: &[usize]) -> Result<Self> {
        let (n, given) = (sizes.iter().sum::<usize>(), attribute.values.len());
        ensure!(
            n == given && !sizes.is_empty(),
            Shape,
            "expected a value of {:?} for each of {n} points, got {given}",
            attribute.name
        );
        let (classes, all) = Classes::of(attribute);
        let mut rest = &all[..];
        let observed: Vec<Vec<usize>> = sizes
            .iter()
            .map(|size| {
                let (here, after) = rest.split_at(*size);
                rest = after;
                here.to_vec()
            })
            .collect();
        Ok(Self {
            classes,
            moved: observed[0].clone(),
            observed,
        })
    }

    /// The same where only the points `rows` of the first cloud are moved.
    ///
    /// # Panics
    /// If there is no such point.
    pub fn moving(&self, rows: &[usize]) -> Self {
        let moved = rows.iter().map(|row| self.observed[0][*row]).collect();
        Self {
            moved,
            ..self.clone()
        }
    }

    /// Checks that there is a class for each of so many points.
    pub(super) fn check(&self, clouds: usize, moved: Option<usize>) -> Result<()> {
        ensure!(
            self.observed.len() == clouds && moved.is_none_or(|n| n == self.moved.len()),
            Shape,
            "expected classes for {clouds} clouds and {} moved points, got {} and {}",
            moved.unwrap_or(0),
            self.observed.len(),
            self.moved.len()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn of(values: &[String]) -> (Classes, Vec<usize>) {
        let values = values.iter().map(|value| Arc::from(value.as_str()));
        Classes::of(&Attribute {
            name: "type".to_owned(),
            values: values.collect(),
        })
    }

    #[test]
    fn texts_and_few_numbers_are_classes() {
        let (classes, found) = of(&["b", "a", "b", ""].map(str::to_owned));
        assert_eq!(classes.labels, ["(none)", "a", "b"]);
        assert_eq!(found, [2, 1, 2, 0]);
        let (classes, found) = of(&["10", "9", "10"].map(str::to_owned));
        assert_eq!(classes.labels, ["9", "10"]);
        assert_eq!(found, [1, 0, 1]);
    }

    #[test]
    fn rare_classes_share_a_colour() {
        let many: Vec<String> = (0..12)
            .flat_map(|i| vec![format!("c{i:02}"); 20 - i])
            .collect();
        let (classes, found) = of(&many);
        assert_eq!(classes.labels.len(), 10);
        assert_eq!(classes.labels[9], "3 others");
        assert_eq!((found[0], found[many.len() - 1]), (0, 9));
    }

    #[test]
    fn many_numbers_are_parts_of_equal_size() {
        let many: Vec<String> = (0..101)
            .rev()
            .map(|i| format!("{}", f64::from(i) / 2.0))
            .collect();
        let (classes, found) = of(&many);
        assert_eq!(classes.labels[0], "0.0000 to 10.0000");
        for part in 0..PARTS {
            let size = found.iter().filter(|k| **k == part).count();
            assert!((20..=21).contains(&size), "{size}");
        }
        assert_eq!((found[0], found[100]), (4, 0));
    }
}

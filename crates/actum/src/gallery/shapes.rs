//! Made-up images.

use std::{
    f64::consts::{PI, TAU},
    path::Path,
};

use ndarray::Array4;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    data::{Images, LUMA},
    error::{Result, ensure},
};

/// A generator of images of one or two shapes, so that anyone can start without data.
///
/// Discs (red), rings (yellow), triangles (green) and squares (blue), each turned and of random place,
/// size and shade, with soft edges, stand before a dim background that shades from one side to
/// the other. So colour can be told from gray by the shape, half of a shape from the other, and an
/// edge from a few of its pixels; but not exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// 3, or 1 for the same images in gray.
    pub channels: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Disc,
    Ring,
    /// With so many sides.
    Polygon(u32),
}

const KINDS: [(Kind, f64); 4] = [
    (Kind::Disc, 0.0),
    (Kind::Ring, 0.14),
    (Kind::Polygon(3), 0.33),
    (Kind::Polygon(4), 0.6),
];

impl Kind {
    /// The signed distance of a place from the edge of the shape of radius 1, negative within it;
    /// less than it beyond corners.
    fn distance(self, [x, y]: [f64; 2]) -> f64 {
        let radius = x.hypot(y);
        match self {
            Self::Disc => radius - 1.0,
            Self::Ring => (radius - 0.75).abs() - 0.25,
            Self::Polygon(sides) => {
                let along = |k| {
                    let (sine, cosine) = (TAU * f64::from(k) / f64::from(sides)).sin_cos();
                    cosine * x + sine * y
                };
                let farthest = (0..sides).map(along).fold(f64::MIN, f64::max);
                farthest - (PI / f64::from(sides)).cos()
            }
        }
    }
}

struct Shape {
    kind: Kind,
    center: [f64; 2],
    radius: f64,
    turn: f64,
    color: [f64; 3],
}

impl Shape {
    fn draw(side: f64, [height, width]: [f64; 2], rng: &mut impl Rng) -> Self {
        let (kind, hue) = KINDS[rng.random_range(0..KINDS.len())];
        let hue = hue + rng.random_range(-0.04..0.04);
        Self {
            kind,
            center: [
                width * rng.random_range(0.25..0.75),
                height * rng.random_range(0.25..0.75),
            ],
            radius: side * rng.random_range(0.16..0.34),
            turn: rng.random_range(0.0..TAU),
            color: color(
                hue,
                rng.random_range(0.6..0.95),
                rng.random_range(0.75..1.0),
            ),
        }
    }

    /// How much of a pixel at a place is covered.
    fn cover(&self, [x, y]: [f64; 2]) -> f64 {
        let (sine, cosine) = self.turn.sin_cos();
        let [x, y] = [x - self.center[0], y - self.center[1]];
        let place = [cosine * x + sine * y, cosine * y - sine * x].map(|x| x / self.radius);
        (0.5 - self.radius * self.kind.distance(place)).clamp(0.0, 1.0)
    }
}

/// Red, green and blue in [0, 1] of a hue (0 red, 1/3 green, 2/3 blue), saturation and value.
fn color(hue: f64, saturation: f64, value: f64) -> [f64; 3] {
    [0.0, 2.0, 1.0].map(|turn: f64| {
        let away = ((hue + turn / 3.0).rem_euclid(1.0) * 6.0 - 3.0).abs() - 1.0;
        value * (1.0 - saturation * (1.0 - away.clamp(0.0, 1.0)))
    })
}

impl Shapes {
    /// What stands for made-up images in place of a file.
    pub const NAME: &str = "shapes";
    /// The seed of the images that models are fitted to.
    pub const SEEN: u64 = 0;
    /// That of others.
    pub const FRESH: u64 = 1;

    /// The images in a file or folder, or 4000 made-up ones of 16 x 16 pixels in colour for the
    /// [name](Self::NAME) of none; these differ by seed.
    ///
    /// # Errors
    /// As [`Images::read`].
    pub fn or_read(what: &str, seed: u64) -> Result<Images> {
        if what != Self::NAME {
            return Images::read(Path::new(what));
        }
        let shapes = Self {
            height: 16,
            width: 16,
            channels: 3,
        };
        shapes.draw(4000, seed)
    }

    /// So many images. The same seed gives the same images, and the first ones are the same however
    /// many there are.
    ///
    /// # Errors
    /// No images, sides below 4 pixels, or a number of channels other than 1 and 3 (`Shape`).
    pub fn draw(self, n: usize, seed: u64) -> Result<Images> {
        let Self {
            height,
            width,
            channels,
        } = self;
        ensure!(
            height >= 4 && width >= 4 && (channels == 1 || channels == 3),
            Shape,
            "expected shapes on at least 4 x 4 pixels in 1 or 3 channels, got {height} x {width} in \
             {channels}"
        );
        let size = height * width * channels;
        let mut levels = vec![0; n * size];
        let each = levels.par_chunks_exact_mut(size).enumerate();
        each.for_each(|(i, image)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(i as u64);
            self.paint(image, &mut rng);
        });
        let pixels = Array4::from_shape_vec((n, height, width, channels), levels);
        Images::new(pixels.expect("a level for each place"), "shapes")
    }

    fn paint(self, image: &mut [u8], rng: &mut impl Rng) {
        let [height, width] = [self.height as f64, self.width as f64];
        let side = height.min(width);
        let hue = rng.random_range(0.5..0.7);
        let shades: [[f64; 3]; 2] =
            std::array::from_fn(|_| color(hue, 0.4, rng.random_range(0.05..0.35)));
        let (sine, cosine) = rng.random_range(0.0..TAU).sin_cos();
        let count = rng.random_range(1..=2);
        let shapes: Vec<Shape> = (0..count)
            .map(|_| Shape::draw(side, [height, width], rng))
            .collect();
        let pixels = image.chunks_exact_mut(self.channels).enumerate();
        for (k, pixel) in pixels {
            let place = [(k % self.width) as f64 + 0.5, (k / self.width) as f64 + 0.5];
            let across = cosine * (place[0] / width - 0.5) + sine * (place[1] / height - 0.5);
            let share = across / 2f64.sqrt() + 0.5;
            let mut seen: [f64; 3] = std::array::from_fn(|channel| {
                shades[0][channel] * (1.0 - share) + shades[1][channel] * share
            });
            for shape in &shapes {
                let cover = shape.cover(place);
                for (seen, color) in seen.iter_mut().zip(shape.color) {
                    *seen += cover * (color - *seen);
                }
            }
            if self.channels == 1 {
                seen[0] = LUMA.iter().zip(seen).map(|(luma, x)| luma * x).sum();
            }
            for (level, seen) in pixel.iter_mut().zip(seen) {
                *level = (255.0 * seen).round() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, s};

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn shapes_are_varied_and_repeat() {
        let shapes = Shapes {
            height: 20,
            width: 24,
            channels: 3,
        };
        let images = shapes.draw(200, 5).unwrap();
        assert_eq!(shapes.draw(200, 5).unwrap().pixels(), images.pixels());
        let few = shapes.draw(7, 5).unwrap();
        assert_eq!(few.pixels(), images.pixels().slice(s![..7, .., .., ..]));
        assert_ne!(shapes.draw(7, 6).unwrap().pixels(), few.pixels());
        let gray = Shapes {
            channels: 1,
            ..shapes
        };
        let gray = gray.draw(200, 5).unwrap();
        let both = gray.pixels().iter().zip(images.gray().pixels().clone());
        // Rounded before gray is taken, and after it.
        assert!(both.into_iter().all(|(a, b)| a.abs_diff(b) <= 1));
        // Every pixel of the middle changes from image to image, in every channel.
        let numbers = images.pixels().mapv(f64::from);
        let std_dev = numbers.std_axis(Axis(0), 0.0);
        assert!(
            std_dev
                .slice(s![8..12, 8..16, ..])
                .iter()
                .all(|d| *d > 30.0)
        );
        let no = Shapes {
            channels: 2,
            ..shapes
        };
        assert_eq!(no.draw(1, 0).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(shapes.draw(0, 0).unwrap_err().kind(), ErrorKind::Shape);
    }
}

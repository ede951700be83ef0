use ndarray::{Array1, Array2, Array4, ArrayView2, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{degradation::Kind, heat::Heat, observed::is_kept, *};
use crate::{
    data::Images,
    error::ErrorKind,
    path::{Path, PathSample, Process},
};

const SHAPE: [usize; 3] = [4, 5, 3];

pub(super) fn images(n: usize) -> Images {
    let level = |(i, y, x, k)| ((50 * i + 31 * y + 17 * x + 90 * k) % 256) as u8;
    Images::new(Array4::from_shape_fn((n, 4, 5, 3), level), "ramp").unwrap()
}

fn mask() -> Mask {
    Mask::new(Array2::from_shape_fn((4, 5), |(y, x)| (y + 2 * x) % 3 == 1)).unwrap()
}

pub(super) fn processes() -> [Degradation; 4] {
    let exploding = Process::variance_exploding(0.01, 50.0).unwrap();
    [
        Process::default(),
        Process::sub_variance_preserving(0.1, 20.0).unwrap(),
        exploding,
        exploding.normalized(),
    ]
    .map(|process| Degradation::process(process, SHAPE))
}

pub(super) fn others() -> [Degradation; 6] {
    [
        Degradation::linear(SHAPE),
        Degradation::heat(SHAPE),
        Degradation::torus(SHAPE),
        Degradation::colorization(SHAPE).unwrap(),
        Degradation::super_resolution(SHAPE).unwrap(),
        Degradation::inpainting(SHAPE, mask()).unwrap(),
    ]
}

pub(super) fn all() -> impl Iterator<Item = Degradation> {
    processes().into_iter().chain(others())
}

pub(super) fn draw(path: &ImagePath, t: f64, n: usize, seed: u64) -> PathSample {
    path.sample(&vec![t; n], &mut ChaCha8Rng::seed_from_u64(seed))
}

/// Compares means and variances of all numbers within multiples of their standard errors.
fn agree(points: &Array2<f64>, mean: &Array1<f64>, variance: &Array1<f64>) {
    let n = points.nrows() as f64;
    let found = points.var_axis(Axis(0), 0.0);
    for (j, m) in points.mean_axis(Axis(0)).unwrap().iter().enumerate() {
        let (expected, v) = (mean[j], variance[j]);
        let off = (m - expected).abs();
        assert!(off <= 5.0 * (v / n).sqrt() + 1e-12, "{j}: {m} {expected}");
        let off = (found[j] - v).abs();
        assert!(
            off <= 5.0 * v * (2.0 / n).sqrt() + 1e-12,
            "{j}: {} {v}",
            found[j]
        );
    }
}

/// The mean of the dequantised image, `[60]`, and the variance of its numbers.
fn image() -> (Array1<f64>, f64) {
    let images = images(1);
    let mean = Array1::from_shape_fn(60, |j| {
        let level = images.pixels()[[0, j / 5 % 4, j % 5, j / 20]];
        (f64::from(level) + 0.5) / 128.0 - 1.0
    });
    (mean, 1.0 / (12.0 * 128.0 * 128.0))
}

#[test]
fn moments_of_paths_to_noise() {
    let (x, v) = image();
    let n = 20_000;
    for t in [0.2, 0.7, 1.0f64] {
        // alpha and sigma in closed form, at these times.
        let integral = 0.1 * t + 9.95 * t * t;
        let alpha = (-0.5 * integral).exp();
        let wide = (1.0 + 1e-4 * 5000f64.powf(2.0 * t)).sqrt();
        let cases = [
            (alpha, (1.0 - (-integral).exp()).sqrt()),
            (alpha, 1.0 - (-integral).exp()),
            (1.0, 0.01 * 5000f64.powf(t)),
            (wide.recip(), 0.01 * 5000f64.powf(t) / wide),
            (1.0 - t, t),
        ];
        let linear = others()[0].clone();
        let degradations = processes().into_iter().chain([linear]);
        for (degradation, (alpha, sigma)) in degradations.zip(cases) {
            let path = ImagePath::new(images(1), degradation).unwrap();
            let points = draw(&path, t, n, 1).points;
            let variance = Array1::from_elem(60, alpha * alpha * v + sigma * sigma);
            agree(&points, &(&x * alpha), &variance);
        }
    }
}

#[test]
fn moments_of_paths_that_restore() {
    let (x, v) = image();
    let [color, resolution, inpainting] = [3, 4, 5].map(|k| others()[k].clone());
    let n = 20_000;
    for t in [0.2, 0.7, 1.0f64] {
        let noisy = (1.0 - t).powi(2) * v + t * t;
        let gray =
            Array1::from_shape_fn(20, |j| 0.299 * x[j] + 0.587 * x[20 + j] + 0.114 * x[40 + j]);
        let squares = [0.299f64, 0.587, 0.114].map(|w| w * w);
        let path = ImagePath::new(images(1), color.clone()).unwrap();
        let mean = Array1::from_shape_fn(80, |j| match j {
            0..60 => (1.0 - t) * x[j] + t * gray[j % 20],
            _ => gray[j - 60],
        });
        let variance = Array1::from_shape_fn(80, |j| {
            let all: f64 = squares.iter().sum();
            if j >= 60 {
                return all * v;
            }
            let luma = squares[j / 20].sqrt();
            let own = (1.0 - t + t * luma).powi(2) + t * t * (all - luma * luma);
            own * v + 0.01 * t * t
        });
        agree(&draw(&path, t, n, 2).points, &mean, &variance);

        let path = ImagePath::new(images(1), resolution.clone()).unwrap();
        let points = draw(&path, t, n, 3).points;
        let kept = |j: usize| is_kept(j / 5 % 4, j % 5);
        let mean = Array1::from_shape_fn(60, |j| x[j] * if kept(j) { 1.0 } else { 1.0 - t });
        let variance = Array1::from_shape_fn(60, |j| if kept(j) { v } else { noisy });
        agree(&points.slice(s![.., ..60]).to_owned(), &mean, &variance);

        let path = ImagePath::new(images(1), inpainting.clone()).unwrap();
        let points = draw(&path, t, n, 4).points;
        let hidden = |j: usize| mask().hidden()[[j / 5 % 4, j % 5]];
        let mean = Array1::from_shape_fn(120, |j| match (hidden(j % 60), j < 60) {
            (false, _) => x[j % 60],
            (true, true) => (1.0 - t) * x[j],
            (true, false) => 0.0,
        });
        let variance = Array1::from_shape_fn(120, |j| match (hidden(j % 60), j < 60) {
            (false, _) => v,
            (true, true) => noisy,
            (true, false) => 0.0,
        });
        agree(&points, &mean, &variance);
    }
}

#[test]
fn moments_on_the_torus() {
    // E exp(2 pi i y) = exp(2 pi i m) exp(-2 pi^2 variance) for a wrapped Gaussian.
    let (x, _) = image();
    let path = ImagePath::new(images(1), others()[2].clone()).unwrap();
    for t in [0.2, 0.5] {
        let points = draw(&path, t, 20_000, 5).points;
        assert!(points.iter().all(|y| (0.0..=1.0).contains(y)));
        let turns = points.mapv(|y| std::f64::consts::TAU * y);
        let length = (-0.5 * (std::f64::consts::PI * t).powi(2)).exp();
        for j in 0..60 {
            let angle = std::f64::consts::TAU * (0.25 * x[j] + 0.5);
            let cosine = turns.column(j).mapv(f64::cos).mean().unwrap();
            let sine = turns.column(j).mapv(f64::sin).mean().unwrap();
            assert!((cosine - length * angle.cos()).abs() < 0.035, "{j} {t}");
            assert!((sine - length * angle.sin()).abs() < 0.035, "{j} {t}");
        }
    }
}

#[test]
fn heat_as_scipy_spreads_it() {
    // SciPy 1.17: idctn(exp(-width^2 rates / 2) dctn(x)), both with norm="ortho".
    let x = Array2::from_shape_fn((6, 5), |(y, x)| ((5 * y + x) * 7 % 11) as f64 / 5.5 - 1.0);
    let heat = Heat::new(6, 5);
    let places = [(0, 0), (2, 3), (5, 4)];
    for (t, expected) in [
        (
            0.3,
            [
                -0.5642907616076112,
                -0.07979025399274015,
                -0.025760725572842244,
            ],
        ),
        (
            0.6,
            [
                -0.1084678516225988,
                -0.0736762292003607,
                -0.06924885663981316,
            ],
        ),
    ] {
        let [blurred, _] = heat.blur(x.view(), t);
        for (place, expected) in places.iter().zip(expected) {
            assert!((blurred[*place] - expected).abs() < 1e-12);
        }
    }
    // The mean is conserved, the image is unchanged at first and flat at the end.
    let [first, last] = [0.0, 1.0].map(|t| heat.blur(x.view(), t)[0].clone());
    let mean = x.mean().unwrap();
    assert!((&first - &x).iter().all(|d| d.abs() < 1e-12));
    assert!(last.iter().all(|y| (y - mean).abs() < 1e-4));

    let (mean, v) = image();
    let path = ImagePath::new(images(1), others()[1].clone()).unwrap();
    let heat = Heat::new(4, 5);
    for t in [0.2, 1.0] {
        let planes = mean.as_slice().unwrap().chunks_exact(20);
        let blurred: Array1<f64> = planes
            .flat_map(|plane| {
                let plane = ArrayView2::from_shape((4, 5), plane).unwrap();
                heat.blur(plane, t)[0].clone()
            })
            .collect();
        // The noise of dequantisation is blurred too, between 0 and all of it; half is within the
        // bound.
        let variance = Array1::from_elem(60, t * t + 0.5 * v);
        agree(&draw(&path, t, 20_000, 6).points, &blurred, &variance);
    }
}

#[test]
fn velocities_are_rates_for_the_same_draw() {
    for degradation in all() {
        let scale = degradation.clone();
        let path = ImagePath::new(images(3), degradation)
            .unwrap()
            .with_mirrored();
        for t in [0.05, 0.3, 0.9] {
            let now = draw(&path, t, 6, 7);
            let velocities = now.velocities.unwrap();
            let h = 1e-5;
            let [before, after] = [t - h, t + h].map(|t| draw(&path, t, 6, 7).points);
            let mut change = after - before;
            if scale.is_periodic() {
                change.mapv_inplace(|turn| turn - turn.round());
            }
            let rate = change / (2.0 * h);
            for (found, expected) in velocities.iter().zip(&rate) {
                let off = (found - expected).abs();
                assert!(
                    off < 1e-6 * (1.0 + expected.abs()),
                    "{found} {expected} {scale:?}"
                );
            }
            // Conditioning does not move.
            assert!(velocities.slice(s![.., 60..]).iter().all(|v| *v == 0.0));
        }
    }
}

#[test]
fn at_first_images_are_whole() {
    for degradation in all() {
        if degradation.span()[0] > 0.0 || matches!(degradation.kind, Kind::Process(_)) {
            continue;
        }
        let path = ImagePath::new(images(1), degradation.clone()).unwrap();
        let points = draw(&path, 0.0, 1, 8).points;
        let again = degradation.images(points.view(), "again").unwrap();
        // Blurring transforms to cosines and back, and the torus scales by a quarter: both round.
        let both = again.image(0).iter().zip(path.images().image(0));
        for (a, b) in both {
            assert!(a.abs_diff(*b) <= 1, "{a} {b} {degradation:?}");
        }
    }
}

#[test]
fn points_of_images_are_images_again() {
    let wide = Process::variance_exploding(0.5, 50.0).unwrap();
    for degradation in all().chain([Degradation::process(wide.normalized(), SHAPE)]) {
        let images = images(3);
        let points = degradation.points(&images, 8).unwrap();
        let again = degradation.images(points.view(), "again").unwrap();
        for i in 0..3 {
            let both = again.image(i).iter().zip(images.image(i));
            for (a, b) in both {
                assert!(a.abs_diff(*b) <= 1, "{a} {b} {degradation:?}");
            }
        }
    }
}

#[test]
fn all_images_and_their_mirrors_are_drawn() {
    let path = ImagePath::new(images(3), Degradation::linear(SHAPE)).unwrap();
    let count = |path: &ImagePath| {
        let points = draw(path, 0.0, 400, 9).points;
        let drawn = path.degradation().images(points.view(), "drawn").unwrap();
        let mut kinds: Vec<&[u8]> = (0..400).map(|i| drawn.image(i)).collect();
        kinds.sort_unstable();
        let sizes: Vec<usize> = kinds.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        sizes
    };
    let plain = count(&path);
    assert_eq!(plain.len(), 3);
    assert!(plain.iter().all(|k| (90..180).contains(k)), "{plain:?}");
    let mirrored = count(&path.with_mirrored());
    assert_eq!(mirrored.len(), 6);
    assert!(
        mirrored.iter().all(|k| (40..100).contains(k)),
        "{mirrored:?}"
    );
}

#[test]
fn hidden_pixels_do_not_leak() {
    let one = images(1);
    for (degradation, seen) in [(others()[4].clone(), (2, 4)), (others()[5].clone(), (0, 0))] {
        let paths = |images: Images| ImagePath::new(images, degradation.clone()).unwrap();
        let here = draw(&paths(one.clone()), 0.4, 1, 10).points;
        let start = degradation.start(&one, 1.0, 3).unwrap();
        for y in 0..4 {
            for x in 0..5 {
                let hidden = match &degradation.kind {
                    Kind::Inpainting(mask) => mask.hidden()[[y, x]],
                    _ => y % 2 == 1 || x % 2 == 1,
                };
                let mut pixels = one.pixels().clone();
                pixels[[0, y, x, 1]] ^= 0xff;
                let other = Images::new(pixels, "other").unwrap();
                let there = draw(&paths(other.clone()), 0.4, 1, 10).points;
                let changed = |from: usize, to: usize| {
                    let range = s![0, from..to];
                    here.slice(range) != there.slice(range)
                };
                assert!(changed(0, 60));
                assert_eq!(changed(60, 120), !hidden, "{y} {x}");
                let began = degradation.start(&other, 1.0, 3).unwrap();
                assert_eq!(began != start, !hidden, "{y} {x}");
                let (a, b) = (degradation.baseline(&one), degradation.baseline(&other));
                assert_eq!(a.unwrap().pixels() != b.unwrap().pixels(), !hidden);
            }
        }
        // A kept pixel is the same in target and conditioning, and stays.
        let j = 20 + 5 * seen.0 + seen.1;
        let early = draw(&paths(one.clone()), 0.0, 1, 10).points;
        assert!((here[[0, j]] - early[[0, j]]).abs() < 1e-12);
        assert!((here[[0, j]] - here[[0, 60 + j]]).abs() < 1e-12);
    }
}

#[test]
fn sizes_that_do_not_fit() {
    assert_eq!(
        Degradation::colorization([4, 4, 1]).unwrap_err().kind(),
        ErrorKind::Shape
    );
    assert!(Degradation::super_resolution([1, 1, 3]).is_err());
    let other = ImagePath::new(images(1), Degradation::linear([4, 5, 1])).unwrap_err();
    let message = other.to_string();
    assert!(
        message.contains("ramp") && message.contains("4 x 5"),
        "{message}"
    );
    for degradation in others() {
        let half = Images::new(Array4::zeros((1, 4, 2, 3)), "narrow").unwrap();
        assert_eq!(
            degradation.start(&half, 1.0, 0).unwrap_err().kind(),
            ErrorKind::Shape
        );
        let few = Array2::zeros((1, 7));
        assert_eq!(
            degradation.images(few.view(), "few").unwrap_err().kind(),
            ErrorKind::Shape
        );
        assert_eq!(
            degradation.baseline(&images(1)).is_ok(),
            degradation.restores()
        );
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let path = ImagePath::new(images(3), others()[4].clone()).unwrap();
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| draw(&path, 0.3, 50, 13))
    });
    assert_eq!(one.points, three.points);
    assert_eq!(one.velocities, three.velocities);
    assert_ne!(draw(&path, 0.3, 50, 14).points, one.points);
}

use ndarray::{Array1, Axis, s};

use super::*;
use crate::error::ErrorKind;

const SHAPE: [usize; 3] = [4, 5, 3];

fn images(n: usize) -> Images {
    let level = |(i, y, x, k)| ((50 * i + 31 * y + 17 * x + 90 * k) % 256) as u8;
    Images::new(Array4::from_shape_fn((n, 4, 5, 3), level), "ramp").unwrap()
}

fn mask() -> Mask {
    Mask::new(Array2::from_shape_fn((4, 5), |(y, x)| (y + 2 * x) % 3 == 1)).unwrap()
}

fn processes() -> [Degradation; 4] {
    let exploding = Process::variance_exploding(0.01, 50.0).unwrap();
    [
        Process::default(),
        Process::sub_variance_preserving(0.1, 20.0).unwrap(),
        exploding,
        exploding.normalized(),
    ]
    .map(|process| Degradation::process(process, SHAPE))
}

fn others() -> [Degradation; 6] {
    [
        Degradation::linear(SHAPE),
        Degradation::heat(SHAPE),
        Degradation::torus(SHAPE),
        Degradation::colorization(SHAPE).unwrap(),
        Degradation::super_resolution(SHAPE).unwrap(),
        Degradation::inpainting(SHAPE, mask()).unwrap(),
    ]
}

fn all() -> impl Iterator<Item = Degradation> {
    processes().into_iter().chain(others())
}

fn draw(path: &ImagePath, t: f64, n: usize, seed: u64) -> PathSample {
    path.sample(&vec![t; n], &mut ChaCha8Rng::seed_from_u64(seed))
}

/// Means and variances of all numbers, within so many of their standard errors.
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
    // Nothing leaves, nothing changes at first, and all is flat at last.
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
        // The noise of dequantisation is blurred too: it is lost beside eps but for its bound.
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
            // What is fed is not moved.
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
        // Cosines there and back, and a quarter, round.
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
        // A kept pixel is itself in both, and stays.
        let j = 20 + 5 * seen.0 + seen.1;
        let early = draw(&paths(one.clone()), 0.0, 1, 10).points;
        assert!((here[[0, j]] - early[[0, j]]).abs() < 1e-12);
        assert!((here[[0, j]] - here[[0, 60 + j]]).abs() < 1e-12);
    }
}

#[test]
fn starts_have_the_law_of_the_path_at_its_end() {
    let n = 20_000;
    let one = images(1);
    for degradation in others() {
        let path = ImagePath::new(one.clone(), degradation.clone()).unwrap();
        let end = draw(&path, 1.0, n, 11).points;
        let many = one.select(&vec![0; n]).unwrap();
        let start = degradation.start(&many, 1.0, 12).unwrap();
        let begun = match degradation.restores() || matches!(degradation.kind, Kind::Heat(_)) {
            true => {
                assert!(degradation.prior(2, 0).is_err());
                start
            }
            false => degradation.prior(n, 12).unwrap(),
        };
        let (mean, variance) = (end.mean_axis(Axis(0)).unwrap(), end.var_axis(Axis(0), 0.0));
        for (j, m) in begun.mean_axis(Axis(0)).unwrap().iter().enumerate() {
            let std_dev = variance[j].sqrt();
            let found = begun.column(j).std(0.0);
            // Gray is rounded to a level before it is seen, 1/128 apart; a wrapped Gaussian of
            // standard deviation 1/2 is uniform but for 1.4 percent.
            assert!((m - mean[j]).abs() < 0.06 * std_dev + 0.5 / 128.0, "{j}");
            assert!((found - std_dev).abs() < 0.04 * std_dev + 0.004, "{j}");
        }
        assert_eq!(
            degradation.start(&one, 1.0, 1).unwrap(),
            degradation.start(&one, 1.0, 1).unwrap()
        );
        assert_ne!(
            degradation.start(&one, 1.0, 1).unwrap(),
            degradation.start(&one, 1.0, 2).unwrap()
        );
    }
    let [vp, _, ve, normalized] = processes();
    let spread = |degradation: &Degradation| degradation.prior(500, 0).unwrap().std(0.0);
    assert!((spread(&vp) - 1.0).abs() < 0.02);
    assert!((spread(&ve) / 50.0 - 1.0).abs() < 0.02);
    assert!((spread(&normalized) - 1.0).abs() < 0.02);
}

#[test]
fn temperature_scales_all_noise() {
    let two = images(2);
    let restoring = others().into_iter().filter(Degradation::restores);
    for degradation in restoring {
        let start = |t: f64, seed: u64| degradation.start(&two, t, seed).unwrap();
        let [cold, warm, hot] = [0.0, 0.5, 1.0].map(|t| start(t, 1));
        assert_eq!(cold, start(0.0, 2));
        assert_ne!(warm, start(0.5, 2));
        let middle = (&cold + &hot) / 2.0;
        assert!((&warm - middle).iter().all(|d| d.abs() < 1e-12));
        // Without noise, gray or what is kept, and 0 where pixels are hidden.
        let observed = degradation.observed(&two).unwrap();
        for (j, x) in cold.row(1).iter().take(60).enumerate() {
            let (y, column) = (j / 5 % 4, j % 5);
            let is_known = match &degradation.kind {
                Kind::Inpainting(mask) => !mask.hidden()[[y, column]],
                Kind::SuperResolution => is_kept(y, column),
                _ => true,
            };
            let level = f64::from(observed.pixels()[[1, y, column, j / 20]]);
            let expected = if is_known {
                (level + 0.5) / 128.0 - 1.0
            } else {
                0.0
            };
            assert!((x - expected).abs() < 1e-12, "{j}: {x} {expected}");
        }
        for t in [-0.1, f64::NAN, f64::INFINITY] {
            let error = degradation.start(&two, t, 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
        }
    }
}

#[test]
fn what_is_observed_and_baselines() {
    let pixels = Array4::from_shape_fn((1, 3, 4, 1), |(_, y, x, _)| (40 * y + 10 * x) as u8);
    let images = Images::new(pixels, "ramp").unwrap();
    let degradation = Degradation::super_resolution([3, 4, 1]).unwrap();
    assert_eq!(
        degradation.observed(&images).unwrap().image(0),
        [0, 0, 20, 20, 0, 0, 20, 20, 80, 80, 100, 100]
    );
    // Linear but beyond the last kept column.
    let baseline = [0, 10, 20, 20, 40, 50, 60, 60, 80, 90, 100, 100];
    assert_eq!(degradation.baseline(&images).unwrap().image(0), baseline);
    let low = Array4::from_shape_vec((1, 2, 2, 1), vec![0, 20, 80, 100]).unwrap();
    let low = Images::new(low, "low").unwrap();
    assert_eq!(degradation.baseline(&low).unwrap().image(0), baseline);
    assert_eq!(
        degradation.start(&low, 1.0, 5).unwrap(),
        degradation.start(&images, 1.0, 5).unwrap()
    );
    let points = degradation.start(&images, 1.0, 5).unwrap();
    let back = degradation.images(points.view(), "start").unwrap();
    let kept = [0, 2, 8, 10].map(|j| back.image(0)[j]);
    assert_eq!(kept, [0, 20, 80, 100]);

    let degradation = Degradation::inpainting([3, 4, 1], Mask::bottom(3, 4).unwrap()).unwrap();
    assert_eq!(
        degradation.observed(&images).unwrap().image(0),
        [0, 10, 20, 30, 40, 50, 60, 70, 128, 128, 128, 128]
    );
    assert_eq!(
        degradation.baseline(&images).unwrap().image(0),
        [0, 10, 20, 30, 40, 50, 60, 70, 35, 35, 35, 35]
    );
    // A model that moves what is known is not believed.
    let moved = degradation.start(&images, 1.0, 0).unwrap();
    let mut astray = moved.clone();
    astray.slice_mut(s![.., ..12]).fill(0.9);
    let back = degradation.images(astray.view(), "astray").unwrap();
    assert_eq!(back.image(0)[..8], images.image(0)[..8]);
    assert_eq!(back.image(0)[8], 243);

    let pixels = Array4::from_shape_vec((1, 1, 2, 3), vec![200, 40, 90, 7, 7, 7]).unwrap();
    let color = Images::new(pixels, "color").unwrap();
    let degradation = Degradation::colorization([1, 2, 3]).unwrap();
    let baseline = degradation.baseline(&color).unwrap();
    assert_eq!(baseline.image(0), [94, 94, 94, 7, 7, 7]);
    let gray = color.gray();
    assert_eq!(
        degradation.baseline(&gray).unwrap().pixels(),
        baseline.pixels()
    );
    assert_eq!(
        degradation.start(&gray, 1.0, 1).unwrap(),
        degradation.start(&color, 1.0, 1).unwrap()
    );
}

#[test]
fn masks() {
    let top = Mask::top(3, 2).unwrap();
    assert_eq!(top.hidden().column(0).to_vec(), [true, true, false]);
    let bottom = Mask::bottom(3, 2).unwrap();
    assert_eq!(bottom.hidden().column(1).to_vec(), [false, false, true]);
    let pixels = Array4::from_shape_vec((1, 1, 3, 1), vec![0, 127, 128]).unwrap();
    let mask = Mask::of(&Images::new(pixels, "m.png").unwrap()).unwrap();
    assert_eq!(mask.hidden().row(0).to_vec(), [false, false, true]);
    let white = Images::new(Array4::from_elem((1, 2, 2, 3), 255), "m.png").unwrap();
    let message = Mask::of(&white).unwrap_err().to_string();
    assert!(
        message.contains("m.png") && message.contains("4 of 4"),
        "{message}"
    );
    assert!(Mask::of(&white.select(&[0, 0]).unwrap()).is_err());
    let error = Degradation::inpainting([4, 4, 1], top).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(error.to_string().contains("4 x 4") && error.to_string().contains("3 x 2"));
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
fn weights_and_their_derivatives() {
    for degradation in all() {
        let [start, _] = degradation.span();
        let h = 1e-6;
        for t in [0.01, 0.2, 0.6, 0.95] {
            let [weight, slope] = degradation.weight(t);
            let rate = (degradation.weight(t + h)[0] - degradation.weight(t - h)[0]) / (2.0 * h);
            assert!(weight > 0.0);
            assert!(
                (slope - rate).abs() < 1e-6 * slope.abs() + 1e-8,
                "{slope} {rate}"
            );
        }
        // VE alone has noise at first.
        let noisy = processes()[2..].contains(&degradation);
        assert!(noisy || degradation.weight(start)[0] < 1e-2);
    }
    let [vp, sub, ve, normalized] = processes();
    let sigma = (1.0 - (-0.1f64 * 0.3 - 9.95 * 0.09).exp()).sqrt();
    assert!((vp.weight(0.3)[0] - sigma.powi(5)).abs() < 1e-12);
    assert!((sub.weight(0.3)[0] - sigma.powi(5)).abs() < 1e-12);
    let rate = 0.01 * 5000f64.powf(0.3) * 5000f64.ln();
    assert!((ve.weight(0.3)[0] * rate * rate - 1.0).abs() < 1e-12);
    // theta' by differences.
    let theta = |t: f64| (0.01 * 5000f64.powf(t)).atan();
    let rate = (theta(0.3 + 1e-6) - theta(0.3 - 1e-6)) / 2e-6;
    assert!((normalized.weight(0.3)[0] * rate * rate - 1.0).abs() < 1e-8);
    assert_eq!(others()[0].weight(0.5), [0.125, 0.75]);
    assert_eq!(others()[1].weight(0.5), [0.125, 0.5]);
}

/// Along VP and normalized VE the way is an arc of a circle.
#[test]
fn the_warp_is_the_way_that_points_go() {
    for degradation in all() {
        let (times, distances) = degradation.warp();
        assert_eq!([times[0], *times.last().unwrap()], degradation.span());
        assert!(times.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(times.len(), distances.len() + 1);
        assert!(distances.iter().all(|d| *d > 0.0));
    }
    let [vp, sub, ve, normalized] = processes();
    let check = |degradation: &Degradation, angle: fn(f64) -> f64| {
        let (times, distances) = degradation.warp();
        let mut way = 0.0;
        for (t, distance) in times[1..].iter().zip(&distances) {
            way += distance;
            let expected = angle(*t) - angle(times[0]);
            assert!((way - expected).abs() < 1e-3, "{t}: {way}, {expected}");
        }
        assert_eq!(degradation.weight_of_velocities(0.3), [1.0, 0.0]);
    };
    check(&vp, |t| (0.1 * t + 9.95 * t * t).exp_m1().sqrt().atan());
    check(&normalized, |t| (0.01 * 5000f64.powf(t)).atan());
    assert_eq!(sub.weight_of_velocities(0.3), [1.0, 0.0]);
    assert_eq!(ve.weight_of_velocities(0.3), ve.weight(0.3));
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

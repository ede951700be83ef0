//! Models of images whose answers are known.

use actum::{
    action::{Device, Scalar, Sizes, UNetEngine},
    data::Images,
    dynamics::Dynamics,
    error::ErrorKind,
    fit::Options,
    lagrangian::Lagrangian,
    path::{Degradation, Mask, Process},
    problem::{Method, NoisePath},
    run::{IfExists, ImageModel, ImageSettings, Run},
    units::Units,
};
use ndarray::{Array2, Array4, Axis};
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::support::rng;

/// A network as it starts, which moves nothing.
fn at_rest(method: Method, degradation: Degradation) -> ImageModel {
    let [height, width, target] = degradation.shape();
    let sizes = Sizes {
        target,
        conditioning: degradation.conditioning(),
        height,
        width,
        channels: 4,
        levels: 2,
        blocks: 1,
        periodic: false,
        scalar: Scalar::Product,
    };
    let network = UNetEngine::new(sizes, &mut rng(0)).unwrap();
    let center = vec![0.0; degradation.dimension()];
    let units = Units::isotropic(center, 1.0, degradation.span()).unwrap();
    let dynamics = Dynamics::new(network, Lagrangian::kinetic(), units).unwrap();
    ImageModel::new(method, dynamics, degradation).unwrap()
}

/// Gaussian images: level 128 and a standard deviation of 25, half of the variance shared by all
/// pixels.
fn clouds(n: usize, seed: u64) -> Images {
    let mut rng = rng(seed);
    let mut pixels = Array4::zeros((n, 4, 4, 1));
    for mut image in pixels.outer_iter_mut() {
        let shared: f64 = rng.sample(StandardNormal);
        image.mapv_inplace(|_: u8| {
            let own: f64 = rng.sample(StandardNormal);
            (128.0 + 25.0 * 0.5f64.sqrt() * (shared + own)) as u8
        });
    }
    Images::new(pixels, "clouds").unwrap()
}

#[test]
fn a_model_at_rest_has_the_density_of_its_prior() {
    let images = clouds(50, 0);
    let squares = images.points(3).mapv(|x| x * x).mean().unwrap();
    let exploding = Process::variance_exploding(0.5, 5.0).unwrap();
    // With the units of points at time 0.
    for (degradation, std_dev, unit) in [
        (Degradation::linear([4, 4, 1]), 1.0f64, 1.0f64),
        (Degradation::process(exploding, [4, 4, 1]), 5.0, 1.0),
        (
            Degradation::process(exploding.normalized(), [4, 4, 1]),
            5.0 / 26f64.sqrt(),
            1.0 / 1.25f64.sqrt(),
        ),
    ] {
        let model = at_rest(Method::Action, degradation);
        let bits = model
            .bits_per_dimension(&images, 3, ImageModel::SCHEME)
            .unwrap();
        let variance = (std_dev / unit).powi(2);
        let nats = 0.5 * (squares / variance + (std::f64::consts::TAU * variance).ln());
        let expected = nats / std::f64::consts::LN_2 + 7.0;
        assert!((bits - expected).abs() < 1e-6, "{bits} {expected}");
    }
    // Uniform on circles, of which the levels take a half.
    let model = at_rest(Method::Action, Degradation::torus([4, 4, 1]));
    let bits = model.bits_per_dimension(&images, 3, ImageModel::SCHEME);
    assert!((bits.unwrap() - 9.0).abs() < 1e-6);
}

#[test]
fn a_score_at_rest_leaves_the_drift_of_the_process() {
    let images = clouds(50, 0);
    let squares = images.points(3).mapv(|x| x * x).mean().unwrap();
    let model = at_rest(
        Method::Score,
        Degradation::process(Process::default(), [4, 4, 1]),
    );
    let bits = model
        .bits_per_dimension(&images, 3, ImageModel::SCHEME)
        .unwrap();
    // x e^(-(B(1) - B(0.001)) / 2) is a standard Gaussian; B = 0.1 t + 9.95 t^2.
    let half = 0.5 * (10.05 - 0.000_109_95f64);
    let nats = 0.5 * (squares * (-2.0 * half).exp() + std::f64::consts::TAU.ln()) + half;
    let expected = nats / std::f64::consts::LN_2 + 7.0;
    assert!((bits - expected).abs() < 1e-3, "{bits} {expected}");
}

#[test]
fn gaussian_images_are_learned_whose_density_is_known() {
    let learned = [
        (Method::Action, NoisePath::Linear, 0.03),
        (Method::Action, NoisePath::Vp, 0.03),
        (Method::Action, NoisePath::Ve, 0.06),
        (Method::Action, NoisePath::Torus, 0.06),
        (Method::Score, NoisePath::Vp, 0.06),
        (Method::Score, NoisePath::Ve, 0.1),
    ];
    for (method, path, bound) in learned {
        let (bits, expected, ratios) = learn_clouds(ImageSettings {
            method,
            path: Some(path),
            ..ImageSettings::default()
        });
        println!("{bits:.4} bits of {expected:.4}, variances {ratios:.3?} of the true ones");
        // With the variance of a pixel alone, and no more, it would be 0.37 above.
        assert!((bits - expected).abs() < bound, "{bits} {expected}");
        for ratio in ratios {
            assert!((0.7..1.5).contains(&ratio), "{ratios:?}");
        }
    }
}

/// The bits per dimension that a model finds, those that are true, and the variances along the image
/// that is the same everywhere and across it, divided by the true ones.
fn learn_clouds(mut settings: ImageSettings) -> (f64, f64, [f64; 2]) {
    let (images, fresh) = (clouds(4000, 1), clouds(200, 2));
    // Along the image that is the same everywhere the variance is 16/2 + 1/2 times that of a pixel.
    let pixel = (25.0f64 / 128.0).powi(2);
    let variances = [8.5 * pixel, 0.5 * pixel];
    let squares = |points: &Array2<f64>| {
        let flat = points.map_axis(Axis(1), |x| x.sum().powi(2) / 16.0);
        let all = points.map_axis(Axis(1), |x| x.dot(&x));
        [flat.mean().unwrap(), (all - flat).mean().unwrap() / 15.0]
    };
    let [flat, others] = squares(&fresh.points(3));
    let logarithm = 0.5 * (std::f64::consts::TAU * variances[1]).ln();
    let nats = 0.5 * (flat / variances[0] + 15.0 * others / variances[1] + 17f64.ln());
    let expected = (nats / 16.0 + logarithm) / std::f64::consts::LN_2 + 7.0;

    settings.network.channels = 8;
    settings.fit = Options {
        steps: 700,
        learning_rate: 1e-2,
        ema_decay: 0.98,
        ..settings.fit
    };
    let folder = tempfile::tempdir().unwrap();
    let run = Run::fit(
        IfExists::Overwrite.claim(folder.path()).unwrap(),
        &images,
        "clouds",
        &settings,
        &Device::cpu(),
        &mut (),
    )
    .unwrap();
    let model = run.model(&Device::cpu()).unwrap();
    let bits = model
        .bits_per_dimension(&fresh, 3, ImageModel::SCHEME)
        .unwrap();
    let made = model.sample(1000, 4, ImageModel::SCHEME, None).unwrap();
    let found = squares(&made.images.points(5));
    let ratios = [0, 1].map(|k| found[k] / variances[k]);
    (bits, expected, ratios)
}

#[test]
fn gaussian_images_are_told_from_noise_and_not_from_their_gaussian() {
    let model = at_rest(Method::Action, Degradation::linear([4, 4, 1]));
    let found = model
        .generation(&clouds(2000, 1), 500, 2, 0, ImageModel::SCHEME)
        .unwrap();
    let real = found.real.unwrap();
    assert!(found.gaussian.energy < 2.0 * real.energy, "{found:?}");
    assert!(found.gaussian.sliced_w2 < 1.5 * real.sliced_w2, "{found:?}");
    assert!(found.model.energy > 20.0 * real.energy, "{found:?}");
    let few = model.generation(&clouds(3, 1), 4, 2, 0, ImageModel::SCHEME);
    assert_eq!(few.unwrap_err().kind(), ErrorKind::Value);
}

#[test]
fn what_is_restored_keeps_what_is_known() {
    let mask = Mask::bottom(4, 4).unwrap();
    let model = at_rest(
        Method::Action,
        Degradation::inpainting([4, 4, 1], mask).unwrap(),
    );
    let images = clouds(3, 2);
    let restored = model
        .restore(&images, 1.0, 0, ImageModel::SCHEME)
        .unwrap()
        .images;
    for i in 0..3 {
        assert_eq!(restored.image(i)[..8], images.image(i)[..8]);
        assert_ne!(restored.image(i)[8..], images.image(i)[8..]);
    }
    let (rows, columns) = model.beside(&images, 1.0, 0, ImageModel::SCHEME).unwrap();
    assert_eq!((rows.len(), columns), (12, 4));
    assert_eq!(rows.image(6), restored.image(1));
    assert_eq!(rows.image(7), images.image(1));
    let sampled = model.sample(2, 0, ImageModel::SCHEME, None);
    assert_eq!(sampled.unwrap_err().kind(), ErrorKind::Setting);
    let bits = model.bits_per_dimension(&images, 0, ImageModel::SCHEME);
    assert_eq!(bits.unwrap_err().kind(), ErrorKind::Setting);
}

/// A file may have all dark images first.
#[test]
fn real_images_to_compare_with_are_drawn_at_random() {
    let mut pixels = Array4::zeros((1000, 4, 4, 1));
    for (i, mut image) in pixels.outer_iter_mut().enumerate() {
        image.fill(if i < 500 { 20u8 } else { 220 });
    }
    let sorted = Images::new(pixels, "sorted").unwrap();
    let model = at_rest(Method::Action, Degradation::linear([4, 4, 1]));
    let found = model.generation(&sorted, 500, 2, 0, ImageModel::SCHEME);
    let real = found.unwrap().real.unwrap();
    // Half of them 6.25 apart from the others.
    assert!(real.energy < 0.2, "{real:?}");
}

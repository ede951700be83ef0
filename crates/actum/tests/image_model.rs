//! Models of images whose answers are known.

use actum::{
    action::{Sizes, UNet},
    data::Images,
    dynamics::Dynamics,
    error::ErrorKind,
    lagrangian::Lagrangian,
    path::{Corruption, Mask, Process},
    run::ImageModel,
    tensor::Device,
    units::Units,
};
use ndarray::Array4;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A network as it starts, which moves nothing.
fn at_rest(corruption: Corruption) -> ImageModel {
    let [height, width, moved] = corruption.shape();
    let sizes = Sizes {
        moved,
        conditioning: corruption.conditioning(),
        height,
        width,
        channels: 4,
        levels: 2,
        blocks: 1,
        periodic: false,
    };
    let device = Device::flex();
    let network = UNet::new(sizes, &device, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    let center = vec![0.0; corruption.dimension()];
    let units = Units::isotropic(center, 1.0, corruption.span()).unwrap();
    let dynamics = Dynamics::new(network, Lagrangian::kinetic(), units, device).unwrap();
    ImageModel::new(dynamics, corruption).unwrap()
}

/// Gaussian images: level 128 and a deviation of 25, half of the variance shared by all pixels.
fn clouds(n: usize, seed: u64) -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
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
    let exploding = Process::variance_exploding(0.01, 5.0).unwrap();
    for (corruption, deviation) in [
        (Corruption::linear([4, 4, 1]), 1.0f64),
        (Corruption::process(exploding, [4, 4, 1]), 5.0),
    ] {
        let model = at_rest(corruption);
        let bits = model
            .bits_per_dimension(&images, 3, ImageModel::SCHEME)
            .unwrap();
        let variance = deviation * deviation;
        let nats = 0.5 * (squares / variance + (std::f64::consts::TAU * variance).ln());
        let expected = nats / std::f64::consts::LN_2 + 7.0;
        assert!((bits - expected).abs() < 1e-6, "{bits} {expected}");
    }
}

#[test]
fn gaussian_images_are_told_from_noise_and_not_from_their_gaussian() {
    let model = at_rest(Corruption::linear([4, 4, 1]));
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
    let model = at_rest(Corruption::inpainting([4, 4, 1], mask).unwrap());
    let images = clouds(3, 2);
    let restored = model
        .restore(&images, 0, ImageModel::SCHEME)
        .unwrap()
        .images;
    for i in 0..3 {
        assert_eq!(restored.image(i)[..8], images.image(i)[..8]);
        assert_ne!(restored.image(i)[8..], images.image(i)[8..]);
    }
    let (rows, columns) = model.beside(&images, 0, ImageModel::SCHEME).unwrap();
    assert_eq!((rows.len(), columns), (12, 4));
    assert_eq!(rows.image(6), restored.image(1));
    assert_eq!(rows.image(7), images.image(1));
    let sampled = model.sample(2, 0, ImageModel::SCHEME, None);
    assert_eq!(sampled.unwrap_err().kind(), ErrorKind::Setting);
    let bits = model.bits_per_dimension(&images, 0, ImageModel::SCHEME);
    assert_eq!(bits.unwrap_err().kind(), ErrorKind::Setting);
}

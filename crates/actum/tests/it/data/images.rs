//! Images and densities; baselines on MNIST and CIFAR-10 (`../shared/data`) against NumPy and
//! scikit-image 0.26.0.

use actum::{
    data::Images,
    flow::likelihood::bits_per_dimension,
    metric::{psnr, ssim},
    path::{Degradation, Mask},
};
use ndarray::{Array1, Array4};

use crate::support::shared;

fn mean(values: Vec<f64>) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean PSNR and SSIM of the baseline on the first hundred.
fn baseline(images: &Images, degradation: &Degradation, expected: [f64; 2]) {
    let truth = images.select(&(0..100).collect::<Vec<_>>()).unwrap();
    let answer = degradation.baseline(&truth).unwrap();
    let found = [psnr(&answer, &truth), ssim(&answer, &truth)].map(|v| mean(v.unwrap()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
}

#[test]
#[ignore = "needs shared/data/mnist"]
fn digits() {
    let images = Images::read(&shared("mnist/t10k-images-idx3-ubyte.gz")).unwrap();
    assert_eq!((images.len(), images.shape()), (10_000, [28, 28, 1]));
    let sum: f64 = images.pixels().iter().map(|level| f64::from(*level)).sum();
    assert!((sum / 7_840_000.0 - 33.791224489795916).abs() < 1e-9);
    let half = images.halved().unwrap();
    let sum: u32 = half.image(0).iter().map(|level| u32::from(*level)).sum();
    assert_eq!(sum, 4618);
    let shape = images.shape();
    baseline(
        &images,
        &Degradation::super_resolution(shape).unwrap(),
        [19.291431457491157, 0.8385238902475838],
    );
    let mask = Mask::bottom(28, 28).unwrap();
    baseline(
        &images,
        &Degradation::inpainting(shape, mask).unwrap(),
        [13.679863440411827, 0.4921540073211972],
    );
    let labels = shared("mnist/t10k-labels-idx1-ubyte.gz");
    let message = Images::read(&labels).unwrap_err().to_string();
    assert!(message.contains("labels"), "{message}");
}

#[test]
#[ignore = "needs shared/data/cifar10"]
fn photographs() {
    // A sheet: every row is an image.
    let sheet = Images::read(&shared("cifar10/cifar10_batch_0.png")).unwrap();
    assert_eq!(sheet.shape(), [1000, 1024, 3]);
    let pixels = sheet.pixels().clone();
    let pixels = pixels.into_shape_with_order((1000, 32, 32, 3)).unwrap();
    let images = Images::new(pixels, sheet.source()).unwrap();
    let shape = images.shape();
    baseline(
        &images,
        &Degradation::super_resolution(shape).unwrap(),
        [24.899647063240945, 0.8526366919648357],
    );
    baseline(
        &images,
        &Degradation::colorization(shape).unwrap(),
        [23.63362649252565, 0.928320376566128],
    );
    let mask = Mask::bottom(32, 32).unwrap();
    baseline(
        &images,
        &Degradation::inpainting(shape, mask).unwrap(),
        [16.150101763285992, 0.5418573988437901],
    );
}

#[test]
fn bits_of_dequantised_levels() {
    // Of 256 levels 64 occur, under their own density: 2 on [-1, -0.5).
    let level = |(_, _, x, _)| (x % 64) as u8;
    let images = Images::new(Array4::from_shape_fn((1, 1, 640, 1), level), "64").unwrap();
    let points = images.points(0);
    assert!(points.iter().all(|x| (-1.0..-0.5).contains(x)));
    let density = Array1::from_elem(1, 640.0 * 2f64.ln());
    let bits = bits_per_dimension(&density, 640, Images::BIN).unwrap();
    assert!((bits - 6.0).abs() < 1e-12);
    assert!((-density[0] / (640.0 * 2f64.ln()) + 7.0 - bits).abs() < 1e-12);
}

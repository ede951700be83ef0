//! The similarity of restored images to the true ones.

use rayon::prelude::*;

use crate::{
    data::Images,
    error::{Result, ensure},
};

/// The peak signal-to-noise ratio of every image in decibels, over all pixels and channels: `10
/// log10(255^2 / mean squared difference of levels)`. It is infinite for equal images.
///
/// # Errors
/// Another number of images, or images of another shape (`Shape`).
pub fn psnr(images: &Images, truth: &Images) -> Result<Vec<f64>> {
    check(images, truth)?;
    let one = |i| {
        let pairs = images.image(i).iter().zip(truth.image(i));
        let sum: f64 = pairs
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        10.0 * (255.0 * 255.0 * images.dimension() as f64 / sum).log10()
    };
    Ok((0..images.len()).map(one).collect())
}

/// The radius of the window of [`ssim`]; its side is 11.
const RADIUS: usize = 5;

/// The structural similarity of every image to the true one (Wang, Bovik, Sheikh & Simoncelli,
/// *Image quality assessment*, 2004, equation 13). It is at most 1, which equal images have.
///
/// The constants are those of the paper: Gaussian windows of 11 x 11 pixels and standard deviation
/// 1.5, K1 = 0.01, K2 = 0.03, levels from 0 to 255. The result is the mean over all windows within
/// the image and over channels.
///
/// # Errors
/// As [`psnr`], and images below 11 x 11 pixels (`Shape`).
pub fn ssim(images: &Images, truth: &Images) -> Result<Vec<f64>> {
    check(images, truth)?;
    let [h, w, c] = images.shape();
    ensure!(
        h.min(w) > 2 * RADIUS,
        Shape,
        "structural similarity needs images of at least 11 x 11 pixels, these have {h} x {w}"
    );
    let weight = |k: usize| (-0.5 * ((k as f64 - RADIUS as f64) / 1.5).powi(2)).exp();
    let weights: Vec<f64> = (0..=2 * RADIUS).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let [c1, c2] = [0.01f64, 0.03].map(|k| (k * 255.0).powi(2));
    let one = |i: usize| {
        let mut sum = 0.0;
        for k in 0..c {
            let levels = |images: &Images| -> Vec<f64> {
                let channel = images.image(i).iter().skip(k).step_by(c);
                channel.map(|level| f64::from(*level)).collect()
            };
            let (a, b) = (levels(images), levels(truth));
            let product = |a: &[f64], b: &[f64]| -> Vec<f64> {
                let product: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * b).collect();
                windows(&product, w, &weights)
            };
            let (aa, ab, bb) = (product(&a, &a), product(&a, &b), product(&b, &b));
            let (a, b) = (windows(&a, w, &weights), windows(&b, w, &weights));
            let mut similarity = 0.0;
            for j in 0..a.len() {
                let (x, y) = (a[j], b[j]);
                let [xx, xy, yy] = [aa[j] - x * x, ab[j] - x * y, bb[j] - y * y];
                similarity +=
                    (2.0 * x * y + c1) * (2.0 * xy + c2) / ((x * x + y * y + c1) * (xx + yy + c2));
            }
            sum += similarity / a.len() as f64;
        }
        sum / c as f64
    };
    Ok((0..images.len()).into_par_iter().map(one).collect())
}

/// The weighted means over all windows within a channel of width `w`.
fn windows(channel: &[f64], w: usize, weights: &[f64]) -> Vec<f64> {
    let mean = |values: &mut dyn Iterator<Item = f64>| -> f64 {
        values.zip(weights).map(|(x, weight)| x * weight).sum()
    };
    let rows: Vec<Vec<f64>> = channel
        .chunks_exact(w)
        .map(|row| {
            let within = row.windows(weights.len());
            within
                .map(|window| mean(&mut window.iter().copied()))
                .collect()
        })
        .collect();
    let columns = w + 1 - weights.len();
    rows.windows(weights.len())
        .flat_map(|window| (0..columns).map(move |x| mean(&mut window.iter().map(|row| row[x]))))
        .collect()
}

fn check(images: &Images, truth: &Images) -> Result<()> {
    let [[h, w, c], [height, width, channels]] = [images.shape(), truth.shape()];
    ensure!(
        images.len() == truth.len() && [h, w, c] == [height, width, channels],
        Shape,
        "expected as many images of one shape as true ones, got {} of {h} x {w} in {c} channel(s) \
         and {} of {height} x {width} in {channels}",
        images.len(),
        truth.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::error::ErrorKind;

    /// Two images and two similar ones.
    fn pair(h: usize, w: usize, c: usize) -> [Images; 2] {
        [0, 1].map(|off| {
            let level = |(i, y, x, k): (usize, usize, usize, usize)| {
                let base = y * 7 + x * 13 + k * 29 + i * 31 + (y * x) % 17 * 5;
                ((base + off * (x * y * (i + 1) % 23)) % 256) as u8
            };
            Images::new(Array4::from_shape_fn((2, h, w, c), level), "waves").unwrap()
        })
    }

    #[test]
    fn the_numbers_of_scikit_image() {
        // scikit-image 0.26.0: peak_signal_noise_ratio and structural_similarity with
        // gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.
        let near = |found: Vec<f64>, expected: [f64; 2]| {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-10, "{found} {expected}");
            }
        };
        let [a, b] = pair(14, 17, 3);
        near(
            psnr(&a, &b).unwrap(),
            [13.685551338390239, 13.636806206790988],
        );
        near(
            ssim(&a, &b).unwrap(),
            [0.6416076675293527, 0.7168348780505682],
        );
        let [a, b] = pair(32, 32, 1);
        near(
            psnr(&a, &b).unwrap(),
            [13.634203003756477, 14.016647057750781],
        );
        near(
            ssim(&a, &b).unwrap(),
            [0.709898299605506, 0.7365616939888775],
        );
    }

    #[test]
    fn equal_images_and_others() {
        let [a, b] = pair(12, 12, 1);
        assert_eq!(psnr(&a, &a).unwrap(), [f64::INFINITY; 2]);
        assert!(
            ssim(&a, &a)
                .unwrap()
                .iter()
                .all(|s| (s - 1.0).abs() < 1e-12)
        );
        let one = b.select(&[0]).unwrap();
        assert_eq!(psnr(&a, &one).unwrap_err().kind(), ErrorKind::Shape);
        let [small, other] = pair(10, 30, 1);
        let message = ssim(&small, &other).unwrap_err().to_string();
        assert!(
            message.contains("11 x 11") && message.contains("10 x 30"),
            "{message}"
        );
    }
}

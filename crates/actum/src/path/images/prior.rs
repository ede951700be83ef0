//! Points at the end of a degradation, to generate or restore images from.

use std::f64::consts::TAU;

use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{
    degradation::{Degradation, Kind},
    standard_gaussian,
};
use crate::{
    data::Images,
    error::{Result, ensure},
};

impl Degradation {
    /// Whether the law of points at time 1 is the same for all images. It is where images are
    /// generated, except by heat, which keeps their mean colours.
    pub fn has_prior(&self) -> bool {
        !self.restores() && !matches!(self.kind, Kind::Heat(_))
    }

    fn must_have_prior(&self) -> Result<()> {
        ensure!(
            self.has_prior(),
            Setting,
            "what this path begins with depends on images; give some to start from"
        );
        Ok(())
    }

    /// The standard deviation of a Gaussian prior; None on the torus.
    fn prior_std_dev(&self) -> Option<f64> {
        match self.kind {
            Kind::Process(process) => Some(process.prior_std_dev()),
            Kind::Torus => None,
            _ => Some(1.0),
        }
    }

    /// The log density of the [prior](Degradation::prior) at points `[n, d]`: `[n]`.
    ///
    /// # Errors
    /// As [`Degradation::prior`].
    pub fn log_prior(&self, points: &Array2<f64>) -> Result<Array1<f64>> {
        self.must_have_prior()?;
        let d = points.ncols() as f64;
        Ok(match self.prior_std_dev() {
            Some(std_dev) => {
                let variance = std_dev * std_dev;
                let squares = points.map_axis(Axis(1), |row| row.dot(&row));
                -0.5 * (squares / variance + d * (TAU * variance).ln())
            }
            None => Array1::zeros(points.nrows()),
        })
    }

    /// Points at time 1 to generate images from, `[n, d]`: Gaussian noise of standard deviation 1
    /// (or that of the [process](crate::path::Process::prior_std_dev)), or numbers uniform in [0, 1) on the
    /// torus.
    ///
    /// # Errors
    /// A degradation [without a prior](Degradation::has_prior) (`Setting`); use
    /// [`Degradation::start`].
    pub fn prior(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        self.must_have_prior()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = (n, self.dimension());
        Ok(match self.prior_std_dev() {
            Some(std_dev) => Array2::from_shape_simple_fn(shape, || {
                std_dev * rng.sample::<f64, _>(StandardNormal)
            }),
            None => Array2::from_shape_simple_fn(shape, || rng.random()),
        })
    }

    /// A point at time 1 for each of the images, `[n, d]`, to restore them from. It is drawn as the
    /// path draws it, from [what is observed](Degradation::observed) of the image alone.
    ///
    /// All noise, including that of dequantisation, is scaled by `temperature`. A temperature of 1
    /// samples the images that agree with what is observed. A temperature of 0 gives the middle
    /// of them, whatever the seed.
    ///
    /// For heat, points start from the mean colours of the images given; those of the training
    /// images, in any order, generate similar images.
    ///
    /// # Errors
    /// Images of another size (`Shape`), see [`Degradation::observed`]; a temperature that is
    /// negative or not finite (`Value`).
    pub fn start(&self, images: &Images, temperature: f64, seed: u64) -> Result<Array2<f64>> {
        ensure!(
            0.0 <= temperature && temperature.is_finite(),
            Value,
            "expected a temperature of at least 0, got {temperature}"
        );
        let observed = self.observed(images)?;
        let middles = observed.middles();
        let mut points = Array2::zeros((observed.len(), self.dimension()));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut image = vec![0.0; observed.dimension()];
        for (i, mut row) in points.rows_mut().into_iter().enumerate() {
            observed.write_point(i, false, &mut rng, &mut image);
            for (x, middle) in image.iter_mut().zip(middles.row(i)) {
                *x = middle + temperature * (*x - middle);
            }
            let noise = standard_gaussian(image.len(), &mut rng);
            let noise: Vec<f64> = noise.map(|e| temperature * e).collect();
            let row = row.as_slice_mut().expect("row-major order");
            self.write_point(&image, &noise, 1.0, row, None);
        }
        Ok(points)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            ImagePath,
            observed::is_kept,
            tests::{draw, images, others, processes},
        },
        *,
    };
    use crate::error::ErrorKind;

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
                // Gray is rounded to a level of 1/128 before it is observed. A wrapped Gaussian of
                // standard deviation 1/2 is uniform up to 1.4 percent.
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
            // Without noise: gray or what is kept, and 0 where pixels are hidden.
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
}

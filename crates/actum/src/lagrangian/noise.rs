//! The strength of the noise over time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result, ensure},
    units::interval,
};

/// `sigma_t >= 0` of `dx = v dt + sigma_t dW`, in units of distance per square root of time:
/// linear between knots and constant beyond them.
///
/// In TOML a number, or pairs `[[t, sigma], ...]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Noise {
    times: Vec<f64>,
    sigmas: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "noise is a number, pairs [[t, sigma], ...] or \"T:SIGMA,T:SIGMA,...\""
)]
enum Written {
    Text(String),
    Constant(f64),
    Linear(Vec<[f64; 2]>),
}

/// The number of linear segments that approximate a function of time.
const PIECES: usize = 1024;

impl Noise {
    /// No noise.
    pub fn none() -> Self {
        Self {
            times: vec![0.0],
            sigmas: vec![0.0],
        }
    }

    /// The same noise at all times.
    ///
    /// # Errors
    /// A sigma that is negative or not finite.
    pub fn constant(sigma: f64) -> Result<Self> {
        Self::linear(vec![0.0], vec![sigma])
    }

    /// Noise that is linear between `times` `[K]`, where it is `sigmas` `[K]`.
    ///
    /// # Errors
    /// No times, times that do not increase, another number of sigmas, or a sigma that is negative
    /// or not finite.
    pub fn linear(times: Vec<f64>, sigmas: Vec<f64>) -> Result<Self> {
        ensure!(
            !times.is_empty() && times.len() == sigmas.len(),
            Shape,
            "noise over time needs one sigma for each time, got {} times and {} sigmas",
            times.len(),
            sigmas.len()
        );
        ensure!(
            times.iter().all(|t| t.is_finite()) && times.windows(2).all(|w| w[0] < w[1]),
            Value,
            "the times of noise must be finite and increase, got {times:?}"
        );
        if let Some(sigma) = sigmas.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
            ensure!(
                false,
                Setting,
                "noise must be finite and not negative, got {sigma}"
            );
        }
        Ok(Self { times, sigmas })
    }

    /// Any function of time over `span`, approximated by 1,024 linear segments.
    ///
    /// # Errors
    /// A span that is empty, or a value that is negative or not finite.
    pub fn function(span: [f64; 2], sigma: impl Fn(f64) -> f64) -> Result<Self> {
        let at = |k: usize| span[0] + (span[1] - span[0]) * k as f64 / PIECES as f64;
        let times: Vec<f64> = (0..=PIECES).map(at).collect();
        let sigmas = times.iter().map(|t| sigma(*t)).collect();
        Self::linear(times, sigmas)
    }

    /// `sigma_t`.
    pub fn at(&self, t: f64) -> f64 {
        if self.times.len() == 1 {
            return self.sigmas[0];
        }
        let k = interval(&self.times, t);
        let share = (t - self.times[k]) / (self.times[k + 1] - self.times[k]);
        let share = share.clamp(0.0, 1.0);
        (1.0 - share) * self.sigmas[k] + share * self.sigmas[k + 1]
    }

    /// Whether it is constant, or some of its times lie in the span.
    pub(crate) fn is_within(&self, [first, last]: [f64; 2]) -> bool {
        let reaches = self.times[0] <= last && self.times[self.times.len() - 1] >= first;
        self.times.len() == 1 || reaches
    }

    /// Whether it is 0 at all times.
    pub fn is_none(&self) -> bool {
        self.sigmas.iter().all(|s| *s == 0.0)
    }
}

impl Default for Noise {
    fn default() -> Self {
        Self::none()
    }
}

impl FromStr for Noise {
    type Err = Error;

    /// `SIGMA`, or `T:SIGMA,T:SIGMA,...`.
    fn from_str(text: &str) -> Result<Self> {
        let number = |part: &str| {
            part.trim().parse::<f64>().map_err(|_| {
                Error::new(
                    ErrorKind::Setting,
                    format!(
                        "`{text}` is not noise; expected SIGMA, or T:SIGMA,T:SIGMA,... for noise \
                         that changes in time"
                    ),
                )
            })
        };
        if !text.contains(':') {
            return Self::constant(number(text)?);
        }
        let (mut times, mut sigmas) = (vec![], vec![]);
        for pair in text.split(',') {
            let (t, sigma) = pair.split_once(':').unwrap_or((pair, ""));
            times.push(number(t)?);
            sigmas.push(number(sigma)?);
        }
        Self::linear(times, sigmas)
    }
}

impl fmt::Display for Noise {
    /// In the form that is parsed.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let [sigma] = self.sigmas[..] {
            return write!(f, "{sigma}");
        }
        for (k, (t, sigma)) in self.times.iter().zip(&self.sigmas).enumerate() {
            write!(f, "{}{t}:{sigma}", if k == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl TryFrom<Written> for Noise {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Constant(sigma) => Self::constant(sigma),
            Written::Linear(pairs) => {
                let (times, sigmas) = pairs.into_iter().map(|[t, s]| (t, s)).unzip();
                Self::linear(times, sigmas)
            }
        }
    }
}

impl From<Noise> for Written {
    fn from(noise: Noise) -> Self {
        match noise.sigmas[..] {
            [sigma] => Self::Constant(sigma),
            _ => {
                let pairs = noise.times.iter().zip(&noise.sigmas);
                Self::Linear(pairs.map(|(t, s)| [*t, *s]).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_linear_between_knots_and_constant_beyond() {
        let noise: Noise = "0:1, 10:3,20:0".parse().unwrap();
        for (t, sigma) in [
            (-5.0, 1.0),
            (0.0, 1.0),
            (5.0, 2.0),
            (10.0, 3.0),
            (15.0, 1.5),
            (30.0, 0.0),
        ] {
            assert!((noise.at(t) - sigma).abs() < 1e-12, "{t}");
        }
        assert_eq!(noise.to_string().parse::<Noise>().unwrap(), noise);
        assert_eq!("0.5".parse::<Noise>().unwrap().at(7.0), 0.5);
        assert!(Noise::constant(0.0).unwrap().is_none() && !noise.is_none());
        let smooth = Noise::function([0.0, 2.0], |t| 1.0 + t.sin()).unwrap();
        assert!((smooth.at(0.777) - 1.0 - 0.777f64.sin()).abs() < 1e-6);
    }

    #[test]
    fn it_is_written_and_read() {
        for text in ["0.5", "[[0.0,1.0],[10.0,3.0]]"] {
            let noise: Noise = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&noise).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_noise_is_refused() {
        let message = |text: &str| text.parse::<Noise>().unwrap_err().to_string();
        assert!(message("-1").contains("not negative, got -1"));
        assert!(message("nan").contains("not negative, got NaN"));
        assert!(message("loud").contains("`loud` is not noise"));
        assert!(message("0:1,5").contains("T:SIGMA"));
        assert!(message("5:1,0:2").contains("increase"));
    }
}

//! How much mass there is at each time, and how readily it grows.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The lambda of growth: a number or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenGrowth", into = "WrittenGrowth")]
pub enum Growth {
    /// A number, in time over action: 1 / distance^2 for quadratic costs.
    Lambda(f64),
    /// A tenth of the inverse square of the spread of the data (for quadratic costs): growing
    /// e-fold over the whole time costs ten times what travelling the spread does, so that growth
    /// explains what motion hardly can.
    Auto,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "growth is a number or \"auto\"")]
enum WrittenGrowth {
    Number(f64),
    Name(String),
}

impl Default for Growth {
    fn default() -> Self {
        Self::Lambda(0.0)
    }
}

impl From<f64> for Growth {
    fn from(lambda: f64) -> Self {
        Self::Lambda(lambda)
    }
}

impl FromStr for Growth {
    type Err = Error;

    /// `auto` or a number.
    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Lambda).map_err(|_| {
            Error::new(
                ErrorKind::Setting,
                format!("`{text}` is not growth; expected auto or a number (lambda)"),
            )
        })
    }
}

impl TryFrom<WrittenGrowth> for Growth {
    type Error = Error;

    fn try_from(written: WrittenGrowth) -> Result<Self> {
        match written {
            WrittenGrowth::Name(name) => name.parse(),
            WrittenGrowth::Number(lambda) => Ok(Self::Lambda(lambda)),
        }
    }
}

impl From<Growth> for WrittenGrowth {
    fn from(growth: Growth) -> Self {
        match growth {
            Growth::Auto => Self::Name("auto".to_owned()),
            Growth::Lambda(lambda) => Self::Number(lambda),
        }
    }
}

/// The mass of every snapshot: `"weights"`, `"counts"`, or one number for each time of the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "WrittenMass", into = "WrittenMass")]
pub enum Mass {
    /// The sum of the weights, 1 where the file has none.
    #[default]
    Weights,
    /// The number of points: every point is an individual.
    Counts,
    /// As given.
    Given(Vec<f64>),
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a mass is \"weights\", \"counts\" or one number for each time"
)]
enum WrittenMass {
    Name(String),
    Numbers(Vec<f64>),
}

impl FromStr for Mass {
    type Err = Error;

    /// `weights`, `counts` or `M,M,...`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "weights" => return Ok(Self::Weights),
            "counts" => return Ok(Self::Counts),
            _ => {}
        }
        let numbers = text.split(',').map(|m| m.trim().parse());
        numbers
            .collect::<std::result::Result<_, _>>()
            .map(Self::Given)
            .map_err(|_| {
                Error::new(
                    ErrorKind::Setting,
                    format!(
                        "`{text}` does not say masses; expected counts, weights, or one number for \
                     each time, separated by commas"
                    ),
                )
            })
    }
}

impl TryFrom<WrittenMass> for Mass {
    type Error = Error;

    fn try_from(written: WrittenMass) -> Result<Self> {
        match written {
            WrittenMass::Name(name) => name.parse(),
            WrittenMass::Numbers(masses) => Ok(Self::Given(masses)),
        }
    }
}

impl From<Mass> for WrittenMass {
    fn from(mass: Mass) -> Self {
        match mass {
            Mass::Weights => Self::Name("weights".to_owned()),
            Mass::Counts => Self::Name("counts".to_owned()),
            Mass::Given(masses) => Self::Numbers(masses),
        }
    }
}

//! The names of the couplings.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How points of one snapshot are matched with points of the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Coupling {
    /// Every point with every other.
    Independent,
    /// By exact optimal transport of the full snapshots under the squared distance.
    Exact,
    /// By entropic transport under the squared distance. The regularisation is a multiple of the
    /// mean squared distance between the two snapshots.
    Entropic(f64),
    /// By the Schroedinger bridge of this sigma, in units of distance per root of time: by entropic
    /// transport under the squared distance with the regularisation `2 sigma^2 dt`, and between the
    /// two snapshots a matched pair wanders as a Brownian bridge of the same sigma. On straight
    /// lines the path is the most likely one of a Brownian motion that is seen at the snapshots
    /// (Leonard 2014; learned so by Tong et al. 2024).
    Bridge(f64),
    /// By unbalanced entropic transport under the squared distance, regularised as
    /// `Entropic(0.05)`. The marginal penalty rho is a multiple of the mean squared distance:
    /// mass dies and is born where moving it costs more than about rho (Chizat et al. 2018).
    Unbalanced(f64),
}

/// The default entropic regularisation, as a share of the mean squared distance.
pub(super) const SHARE: f64 = 0.05;
/// The default marginal penalty, in mean squared distances.
const RHO: f64 = 1.0;

impl Coupling {
    /// The unbalanced coupling whose marginal penalty is the mean squared distance.
    pub fn unbalanced() -> Self {
        Self::Unbalanced(RHO)
    }
}

impl FromStr for Coupling {
    type Err = Error;

    /// `independent`, `exact`, `entropic`, `entropic:SHARE`, `bridge:SIGMA`, `unbalanced` or
    /// `unbalanced:RHO`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::new(
                ErrorKind::Setting,
                format!(
                    "`{text}` is not a coupling; expected independent, exact, entropic, \
                     entropic:SHARE, bridge:SIGMA, unbalanced or unbalanced:RHO with a positive \
                     SHARE or RHO in mean squared distances, or SIGMA in units of distance per \
                     root of time"
                ),
            )
        };
        match text.split_once(':') {
            None if text == "independent" => Ok(Self::Independent),
            None if text == "exact" => Ok(Self::Exact),
            None if text == "entropic" => Ok(Self::Entropic(SHARE)),
            None if text == "unbalanced" => Ok(Self::unbalanced()),
            Some((name @ ("entropic" | "bridge" | "unbalanced"), number)) => {
                let number: f64 = number.parse().map_err(|_| unknown())?;
                if !(number.is_finite() && number > 0.0) {
                    return Err(unknown());
                }
                Ok(match name {
                    "entropic" => Self::Entropic(number),
                    "bridge" => Self::Bridge(number),
                    _ => Self::Unbalanced(number),
                })
            }
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Coupling {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Coupling> for String {
    fn from(coupling: Coupling) -> Self {
        match coupling {
            Coupling::Independent => "independent".to_owned(),
            Coupling::Exact => "exact".to_owned(),
            Coupling::Entropic(share) => format!("entropic:{share}"),
            Coupling::Bridge(sigma) => format!("bridge:{sigma}"),
            Coupling::Unbalanced(rho) => format!("unbalanced:{rho}"),
        }
    }
}

//! Where the data of a run came from: `run.json`.

use serde::{Deserialize, Serialize};

/// Where the data of a run came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The version of actum that made the run.
    pub version: String,
    /// The name of the data, as the caller gave it.
    pub data: String,
    /// The hash of the data as the run sees them, held-out times included; of a file in shards that
    /// of all its rows.
    pub fingerprint: String,
    /// What they are.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What the data of a run are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seen {
    /// Snapshots.
    Snapshots(SeenSnapshots),
    /// Images.
    Images(SeenImages),
}

/// What the snapshots of a run are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenSnapshots {
    /// The times as the data shows them, in order.
    pub labels: Vec<String>,
    /// The times as numbers.
    pub times: Vec<f64>,
    /// The unit of the times, where the data names one.
    pub unit: Option<String>,
    /// How many points there were at each time.
    pub counts: Vec<usize>,
    /// The mass at each time.
    pub masses: Vec<f64>,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Whether the columns have names of their own.
    pub named: bool,
}

/// What the images of a run are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenImages {
    /// How many they were.
    pub images: usize,
    /// Their size, `[height, width, channels]`.
    pub shape: [usize; 3],
}

impl Seen {
    /// What they are called, and how a run of them is made.
    pub(super) fn named(&self) -> [&'static str; 2] {
        match self {
            Self::Snapshots(_) => Self::SNAPSHOTS,
            Self::Images(_) => Self::IMAGES,
        }
    }

    pub(super) const SNAPSHOTS: [&str; 2] = ["snapshots", "actum fit FILE"];
    pub(super) const IMAGES: [&str; 2] = ["images", "actum image fit"];
}

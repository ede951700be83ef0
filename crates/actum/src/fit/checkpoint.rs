//! The state of a fit on disk.

use std::path::Path as FilePath;

use burn::{
    module::Module,
    optim::{AdamState, AdaptiveMomentumState},
    tensor::Device,
};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Options, State, Watch, times::TimeSampler};
use crate::{
    action::{Action, parameters},
    dynamics::{
        store::{self, Array},
        versioned,
    },
    error::{Error, ErrorKind, Result, ensure},
    tensor::numbers,
};

/// A state of a fit from which going on equals never having stopped.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    rest: Rest,
    arrays: Vec<Array>,
}

/// What is not an array.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    version: String,
    step: usize,
    options: Options,
    rng: ChaCha8Rng,
    times: TimeSampler,
    watch: Watch,
    rate_factor: f64,
    tries: usize,
}

const KEY: &str = "actum-checkpoint";

impl Checkpoint {
    pub(super) fn of<A: Module>(state: &State<A>, options: &Options) -> Self {
        let values = store::collect(&state.action);
        let zeros = |i: usize| vec![0.0; values[i].values.len()];
        let mut arrays = vec![];
        for (i, array) in values.iter().enumerate() {
            let moments = state.moments[i].as_ref().map(|m| &m.momentum);
            let parts = [
                ("value", array.values.clone()),
                ("average", numbers(state.average[i].clone())),
                (
                    "first",
                    moments.map_or_else(|| zeros(i), |m| numbers(m.moment_1.clone())),
                ),
                (
                    "second",
                    moments.map_or_else(|| zeros(i), |m| numbers(m.moment_2.clone())),
                ),
            ];
            arrays.extend(parts.map(|(part, values)| Array {
                name: format!("{part}.{}", array.name),
                shape: array.shape.clone(),
                values,
            }));
        }
        Self {
            rest: Rest {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                step: state.step,
                options: options.clone(),
                rng: state.rng.clone(),
                times: state.times.clone(),
                watch: state.watch,
                rate_factor: state.rate_factor,
                tries: state.tries,
            },
            arrays,
        }
    }

    /// How many steps were done.
    pub fn step(&self) -> usize {
        self.rest.step
    }

    /// Writes a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &FilePath) -> Result<()> {
        let rest = serde_json::to_string(&self.rest).expect("the rest is plain data");
        store::write(path, &self.arrays, &[(KEY, &rest)])
    }

    /// Reads what [`save`](Checkpoint::save) wrote.
    ///
    /// # Errors
    /// The file is missing, truncated, of another version, or not a checkpoint.
    pub fn load(path: &FilePath) -> Result<Self> {
        let (arrays, metadata) = store::read(path)?;
        let broken = || {
            Error::new(
                ErrorKind::Format,
                format!("{} is not a checkpoint", path.display()),
            )
        };
        let text = metadata.get(KEY).ok_or_else(broken)?;
        let rest = versioned(text.as_bytes()).map_err(|e| e.within(path.display()))?;
        Ok(Self { rest, arrays })
    }

    pub(super) fn restore<A: Action + Module>(
        &self,
        fresh: State<A>,
        options: &Options,
        device: &Device,
    ) -> Result<State<A>> {
        ensure!(
            self.rest.options == *options,
            Setting,
            "the checkpoint was made with other options; resume with the same:\n{:?}\ngot\n{:?}",
            self.rest.options,
            options
        );
        let part = |part: &str| -> Result<A> {
            let prefix = format!("{part}.");
            let arrays: Vec<Array> = self
                .arrays
                .iter()
                .filter_map(|a| {
                    let name = a.name.strip_prefix(&prefix)?.to_owned();
                    Some(Array { name, ..a.clone() })
                })
                .collect();
            store::restore(fresh.action.clone(), &arrays, device)
        };
        let action = part("value")?;
        let average = parameters::flat(&part("average")?);
        let first = parameters::flat(&part("first")?);
        let second = parameters::flat(&part("second")?);
        let step = self.rest.step;
        let moments = first
            .into_iter()
            .zip(second)
            .map(|(m, v)| {
                (step > 0).then(|| AdamState::new(AdaptiveMomentumState::new(step, m, v)))
            })
            .collect();
        Ok(State {
            step,
            action,
            average,
            moments,
            rng: self.rest.rng.clone(),
            times: self.rest.times.clone(),
            watch: self.rest.watch,
            rate_factor: self.rest.rate_factor,
            tries: self.rest.tries,
        })
    }
}

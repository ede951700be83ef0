//! The state of a fit on disk.

use std::{fmt::Display, path::Path as FilePath};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{DivergenceGuard, Good, Options, TrainState, adam::Adam, times::TimeSampler};
use crate::{
    action::Engine,
    error::{Error, ErrorKind, Result, ensure},
    store::{self, Array, versioned},
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
    guard: DivergenceGuard,
    rate_factor: f64,
    tries: usize,
}

const KEY: &str = "actum-checkpoint";
/// The parameters, their average and Adam's two moments.
const PARTS: [&str; 4] = ["value", "average", "first", "second"];

impl Checkpoint {
    pub(super) fn of(network: &dyn Engine, good: &Good, options: &Options) -> Self {
        let state = &good.state;
        let [first, second] = state.adam.moments();
        let parts = [&good.parameters, state.adam.average(), first, second];
        let arrays = PARTS.into_iter().zip(parts).flat_map(|(part, values)| {
            let arrays = network.unpack(values).into_iter();
            arrays.map(move |array| Array {
                name: format!("{part}.{}", array.name),
                ..array
            })
        });
        Self {
            arrays: arrays.collect(),
            rest: Rest {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                step: state.step,
                options: options.clone(),
                rng: state.rng.clone(),
                times: state.times.clone(),
                guard: state.guard,
                rate_factor: state.rate_factor,
                tries: state.tries,
            },
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
        let bytes = self.to_bytes();
        store::replace(path, |out| out.write_all(&bytes))
    }

    /// What a file has.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let rest = serde_json::to_string(&self.rest).expect("the rest is plain data");
        store::arrays_to_bytes(&self.arrays, &[(KEY, &rest)])
    }

    /// Reads what [`save`](Checkpoint::save) wrote.
    ///
    /// # Errors
    /// The file is missing, truncated, of another version, or not a checkpoint.
    pub fn load(path: &FilePath) -> Result<Self> {
        Self::from_bytes(&store::read(path)?, path.display())
    }

    /// What a file has, which messages call `name`.
    pub(crate) fn from_bytes(bytes: &[u8], name: impl Display) -> Result<Self> {
        let (arrays, metadata) = store::arrays_in(bytes, &name)?;
        let broken = || Error::new(ErrorKind::Format, format!("{name} is not a checkpoint"));
        let text = metadata.get(KEY).ok_or_else(broken)?;
        let rest = versioned(text.as_bytes()).map_err(|e| e.within(&name))?;
        Ok(Self { rest, arrays })
    }

    /// Gives a network the average of the parameters.
    pub(crate) fn average_into(&self, network: &mut dyn Engine) -> Result<()> {
        let average = self.part(PARTS[1], network)?;
        network.update(&mut |parameters, _| parameters.copy_from_slice(&average));
        Ok(())
    }

    fn part(&self, part: &str, network: &dyn Engine) -> Result<Vec<f32>> {
        let prefix = format!("{part}.");
        let arrays: Vec<Array> = self
            .arrays
            .iter()
            .filter_map(|a| {
                let name = a.name.strip_prefix(&prefix)?.to_owned();
                Some(Array { name, ..a.clone() })
            })
            .collect();
        network.pack(&arrays)
    }

    /// The state, with its parameters given to the network.
    pub(super) fn restore(
        &self,
        network: &mut dyn Engine,
        options: &Options,
    ) -> Result<TrainState> {
        ensure!(
            self.rest.options == *options,
            Setting,
            "the checkpoint was made with other options; resume with the same:\n{:?}\ngot\n{:?}",
            self.rest.options,
            options
        );
        let [value, average, first, second] = PARTS;
        let step = self.rest.step;
        let part = |part| self.part(part, network);
        let adam = Adam::resumed(step, part(average)?, [part(first)?, part(second)?])?;
        let value = part(value)?;
        network.update(&mut |parameters, _| parameters.copy_from_slice(&value));
        Ok(TrainState {
            step,
            adam,
            rng: self.rest.rng.clone(),
            times: self.rest.times.clone(),
            guard: self.rest.guard,
            rate_factor: self.rest.rate_factor,
            tries: self.rest.tries,
        })
    }
}

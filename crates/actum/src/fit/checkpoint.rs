//! The state of a fit on disk.

use std::{fmt::Display, path::Path as FilePath};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{DivergenceGuard, Good, Options, TrainState, adam::Adam, times::TimeSampler};
use crate::{
    action::{Device, Engine},
    dynamics::{self, Dynamics},
    error::{Error, ErrorKind, Result, ensure},
    problem::Problem,
    store::{self, Array, versioned},
};

/// A state of a fit from which going on equals never having stopped.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    rest: Rest,
    arrays: Vec<Array>,
    /// What the average lacks of a motion; none of what no file can hold.
    motion: Option<String>,
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
const MOTION: &str = "actum-motion";
/// The parameters, their average and Adam's two moments.
const PARTS: [&str; 4] = ["value", "average", "first", "second"];

impl Checkpoint {
    pub(super) fn of(
        network: &dyn Engine,
        good: &Good,
        options: &Options,
        problem: &Problem,
    ) -> Self {
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
        let motion = |saved| dynamics::header(saved, problem.lagrangian(), problem.units()).ok();
        Self {
            arrays: arrays.collect(),
            motion: network.saved().and_then(motion),
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
        let motion = self.motion.as_deref().map(|motion| (MOTION, motion));
        let texts: Vec<_> = motion.into_iter().chain([(KEY, &*rest)]).collect();
        store::arrays_to_bytes(&self.arrays, &texts)
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
        let (arrays, mut metadata) = store::arrays_in(bytes, &name)?;
        let broken = || Error::new(ErrorKind::Format, format!("{name} is not a checkpoint"));
        let text = metadata.get(KEY).ok_or_else(broken)?;
        let rest = versioned(text.as_bytes()).map_err(|e| e.within(&name))?;
        Ok(Self {
            rest,
            arrays,
            motion: metadata.remove(MOTION),
        })
    }

    /// The motion as far as it is learned, on `device`: what [`fit`](super::fit()) would return if
    /// this were the last step.
    ///
    /// # Errors
    /// A network that is not of this library, or a known drift that is a function; a damaged
    /// checkpoint.
    pub fn dynamics(&self, device: &Device) -> Result<Dynamics> {
        let motion = self.motion.as_ref().ok_or_else(|| {
            let what = "the checkpoint is of a network or a drift that has no place in a file";
            Error::new(ErrorKind::Setting, what)
        })?;
        Dynamics::of(motion, &self.part(PARTS[1]), device)
    }

    fn part(&self, part: &str) -> Vec<Array> {
        let prefix = format!("{part}.");
        let of = self.arrays.iter().filter_map(|array| {
            let name = array.name.strip_prefix(&prefix)?.to_owned();
            Some(Array {
                name,
                ..array.clone()
            })
        });
        of.collect()
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
        let part = |part| network.pack(&self.part(part));
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

//! The state of a fit on disk.

use std::path::Path as FilePath;

use burn::{module::Module, tensor::Device};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{DivergenceGuard, Options, State, times::TimeSampler, weights::Weights};
use crate::{
    action::{Action, parameters},
    dynamics::{
        store::{self, Array},
        versioned,
    },
    error::{Error, ErrorKind, Result, ensure},
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
    pub(super) fn of<A: Action + Module>(state: &State<A>, options: &Options) -> Self {
        let places = store::collect(state.weights.network());
        let parts = PARTS.into_iter().zip(state.weights.parts());
        let arrays = parts
            .flat_map(|(part, values)| {
                let arrays = places.iter().zip(values);
                arrays.map(move |(place, values)| Array {
                    name: format!("{part}.{}", place.name),
                    shape: place.shape.clone(),
                    values,
                })
            })
            .collect();
        Self {
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

    /// A network like `blank` with the average of the parameters.
    pub(crate) fn averaged<A: Module>(&self, blank: A, device: &Device) -> Result<A> {
        self.part(PARTS[1], blank, device)
    }

    fn part<A: Module>(&self, part: &str, blank: A, device: &Device) -> Result<A> {
        let prefix = format!("{part}.");
        let arrays: Vec<Array> = self
            .arrays
            .iter()
            .filter_map(|a| {
                let name = a.name.strip_prefix(&prefix)?.to_owned();
                Some(Array { name, ..a.clone() })
            })
            .collect();
        store::restore(blank, &arrays, device)
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
        let part = |part| self.part(part, fresh.weights.network().clone(), device);
        let [value, average, first, second] = PARTS;
        let flat = |name| Ok::<_, Error>(parameters::flat(&part(name)?));
        let step = self.rest.step;
        let moments = [flat(first)?, flat(second)?];
        Ok(State {
            step,
            weights: Weights::resumed(part(value)?, step, flat(average)?, moments)?,
            rng: self.rest.rng.clone(),
            times: self.rest.times.clone(),
            guard: self.rest.guard,
            rate_factor: self.rest.rate_factor,
            tries: self.rest.tries,
        })
    }
}

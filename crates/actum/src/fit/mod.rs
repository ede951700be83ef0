//! Minimising the objective: steps, averaging, the divergence guard, checkpoints.

mod adam;
mod checkpoint;
mod times;

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use checkpoint::Checkpoint;

use crate::{
    action::{Architecture, Engine, Precision},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result, ensure},
    machines::{Machines, Parts, Tree, tree_sum},
    memory,
    objective::{Batch, Objective},
    problem::{Estimator, Problem},
    stop::Stop,
};
use adam::{Adam, Update};
use times::TimeSampler;

/// How to minimise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How many steps of the optimiser, from 1 to 10^9.
    pub steps: usize,
    /// How many points a step draws, from 1 to 10^8 (and as many at each boundary with the estimator
    /// `samples`).
    pub batch: usize,
    /// In how many parts a step is computed: a power of 2 up to 1024 that divides the batch. Each
    /// is drawn by a generator of its own, and their gradients are added as a binary tree, so that
    /// as many [processes](crate::machines) can share the fit and get the same bits. Other parts
    /// are other draws.
    pub parts: usize,
    /// The largest learning rate of Adam: reached after the warm-up, then lowered to 0 along half
    /// a cosine.
    pub learning_rate: f64,
    /// Over how many steps the learning rate rises from 0.
    pub warmup: usize,
    /// Gradients of a larger Euclidean norm over all parameters are scaled down to it.
    pub clip: f64,
    /// The decay of the exponential average of the parameters that is the result, in [0, 1).
    /// After k steps it is at most (1 + k) / (10 + k), so that the start is forgotten.
    pub ema_decay: f64,
    /// From what the objective is estimated.
    pub estimator: Estimator,
    /// The precision of the network's products. The fitted network is used in f32.
    pub precision: Precision,
    /// Draws more times where the interior term varies more (importance sampling).
    pub adaptive_times: bool,
    /// Seeds every draw (and, in a [run](crate::run), the parameters).
    pub seed: u64,
}

/// More than anyone waits for, and than anything here overflows at.
const MOST_STEPS: usize = 1_000_000_000;
const MOST_BATCH: usize = 100_000_000;
const MOST_PARTS: usize = 1024;

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: 2000,
            batch: 512,
            parts: 1,
            learning_rate: 1e-2,
            warmup: 100,
            clip: 1.0,
            ema_decay: 0.999,
            estimator: Estimator::Velocity,
            precision: Precision::Auto,
            adaptive_times: false,
            seed: 0,
        }
    }
}

impl Options {
    /// Checks every number against its range.
    ///
    /// # Errors
    /// Names the first setting that is outside, with its range.
    pub fn check(&self) -> Result<()> {
        let most = [
            ("steps", self.steps, MOST_STEPS),
            ("batch", self.batch, MOST_BATCH),
        ];
        for (name, value, most) in most {
            ensure!(
                (1..=most).contains(&value),
                Setting,
                "`{name}` must be from 1 to {most}, got {value}"
            );
        }
        ensure!(
            self.warmup <= MOST_STEPS,
            Setting,
            "`warmup` must be at most {MOST_STEPS}, got {}",
            self.warmup
        );
        ensure!(
            self.parts.is_power_of_two() && self.parts <= MOST_PARTS,
            Setting,
            "`parts` must be 1, 2, 4, .. or {MOST_PARTS}, a power of 2, got {}",
            self.parts
        );
        ensure!(
            self.batch.is_multiple_of(self.parts),
            Setting,
            "`batch` must be a multiple of `parts`, got {} and {}",
            self.batch,
            self.parts
        );
        for (name, value) in [("learning_rate", self.learning_rate), ("clip", self.clip)] {
            ensure!(
                value.is_finite() && value > 0.0,
                Setting,
                "`{name}` must be positive and finite, got {value}"
            );
        }
        ensure!(
            (0.0..1.0).contains(&self.ema_decay),
            Setting,
            "`ema_decay` must be in [0, 1), got {}",
            self.ema_decay
        );
        Ok(())
    }

    fn learning_rate_at(&self, step: usize) -> f64 {
        let warm = ((step + 1) as f64 / (self.warmup.max(1)) as f64).min(1.0);
        let done = step as f64 / self.steps as f64;
        self.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// How many steps are done, from 1.
    pub step: usize,
    /// The objective on this step's batch, in the units of the cost.
    pub loss: f64,
    /// Its level over about the last 100 steps, without the lag of a running mean.
    pub smoothed: f64,
    /// The norm of the gradient before clipping, in the network's units.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// The guard rolled back to an earlier state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    /// The step that went wrong.
    pub from: usize,
    /// The step it rolled back to.
    pub to: usize,
    /// What the learning rates of the schedule are multiplied by from now on.
    pub rate_factor: f64,
    /// What was seen.
    pub reason: String,
}

/// Is told what happens while fitting. Every method has a default that does nothing.
pub trait Observer {
    /// A [run](crate::run::Run::fit) has joined up its data and is about to write its folder;
    /// [`ControlFlow::Break`] stops before.
    fn begin(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A step is done; [`ControlFlow::Break`] stops after a last checkpoint.
    fn step(&mut self, _step: &Step) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The guard rolled back.
    fn rollback(&mut self, _rollback: &Rollback) {}

    /// The state from which resuming equals never having stopped; every 500 steps or half a
    /// minute, and at the end.
    ///
    /// # Errors
    /// Whatever keeps it from being stored; fitting stops with that error.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }
}

impl Observer for () {}

/// Every how many steps the observer gets a checkpoint, and after how long, where they take longer.
const CHECKPOINT_EVERY: usize = 500;
const CHECKPOINT_AFTER: Duration = Duration::from_secs(30);
/// Every how many steps the guard remembers a good state.
const REMEMBER_EVERY: usize = 50;
/// How often the guard rolls back before it gives up.
const TRIES: usize = 5;

/// What can be known before a fit begins to keep anything.
pub(crate) fn check(problem: &Problem, options: &Options, machines: Machines) -> Result<()> {
    options.check()?;
    problem.check_shards(options.steps, machines.parts(options.parts)?)?;
    // Points and velocities in both precisions, of this step and of the next.
    let d = problem.path().dimension();
    let what = format_args!("`batch`: {} points of {d} columns", options.batch);
    memory::check(&[options.batch, d], 64, what)?;
    let exponent = problem.lagrangian().cost().exponent();
    let unit = problem.units().objective(exponent);
    ensure!(
        unit.is_normal(),
        Value,
        "the objective cannot be told in the units of the data: a cost of the power {exponent} \
         makes {unit:e} of 1; take a smaller power, or other units of points or times"
    );
    Ok(())
}

/// Makes a network for a problem, its parameters drawn from the options' seed, and fits it.
///
/// # Errors
/// A network that is not for points of the problem's shape; as [`fit`].
pub fn fit_architecture(
    architecture: impl Architecture,
    problem: &Problem,
    options: &Options,
) -> Result<Dynamics> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let network = architecture.engine(problem.shape(), &mut rng)?;
    fit(network, problem, options, &mut ())
}

/// Solves `problem`: minimises the objective over the parameters of `network` and returns the
/// average of the parameters over the last steps as a [`Dynamics`].
///
/// # Errors
/// Options outside their range; the estimator `velocity` on a path without velocities; an action
/// or units of another dimension than the path; an objective that left the finite numbers and did
/// not come back ([`ErrorKind::Diverged`]); an observer that asked to stop ([`ErrorKind::Interrupted`]) or failed.
pub fn fit(
    network: Box<dyn Engine>,
    problem: &Problem,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Dynamics> {
    among(Machines::alone(), network, problem, options, None, observer)
}

/// Goes on from a checkpoint: the result has the same bits as if the earlier fit of the same
/// problem had never stopped. The parameters of `network` are replaced by the checkpoint's.
///
/// # Errors
/// As [`fit`], and a checkpoint of other options or of another network.
pub fn resume(
    network: Box<dyn Engine>,
    problem: &Problem,
    options: &Options,
    checkpoint: &Checkpoint,
    observer: &mut dyn Observer,
) -> Result<Dynamics> {
    let alone = Machines::alone();
    among(alone, network, problem, options, Some(checkpoint), observer)
}

/// The part of this process in a fit that several share: [`fit`], or [`resume`] from a checkpoint.
/// All give the same problem, options and checkpoint, and get the same dynamics. An error of one is
/// that of all; the observer of the first alone can stop the fit.
pub(crate) fn among(
    machines: Machines,
    network: Box<dyn Engine>,
    problem: &Problem,
    options: &Options,
    checkpoint: Option<&Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Dynamics> {
    let begun = Training::new(machines, network, problem, options).and_then(|mut training| {
        if let Some(checkpoint) = checkpoint {
            training.state = checkpoint.restore(&mut *training.network, &training.options)?;
        }
        Ok(training)
    });
    machines.agree(begun)?.run(observer)
}

/// Everything that changes from step to step, but for the parameters, which the network has.
#[derive(Clone)]
struct TrainState {
    step: usize,
    adam: Adam,
    rng: ChaCha8Rng,
    times: TimeSampler,
    guard: DivergenceGuard,
    rate_factor: f64,
    /// How often the guard rolled back lately.
    tries: usize,
}

impl TrainState {
    fn new(network: &dyn Engine, options: &Options) -> Self {
        // The stream of the parameters' draws is 0: steps must not repeat them.
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(1);
        Self {
            step: 0,
            adam: Adam::new(network.parameters()),
            times: TimeSampler::new(options.adaptive_times, &mut rng),
            rng,
            guard: DivergenceGuard::default(),
            rate_factor: 1.0,
            tries: 0,
        }
    }
}

/// What a step looks at, and the generators after its draws.
struct Drawn {
    /// One for each part of this process.
    batches: Vec<Batch>,
    /// Of all parts.
    at: Vec<f64>,
    rng: ChaCha8Rng,
    times: TimeSampler,
}

struct Training<'a> {
    machines: Machines,
    parts: Parts,
    network: Box<dyn Engine>,
    problem: &'a Problem<'a>,
    objective: Objective<'a>,
    /// With the precision that is meant here.
    options: Options,
    state: TrainState,
    /// Drawn for the next step while the last one was computed; no part of the state.
    ahead: Option<Result<Drawn>>,
    /// Memory for the gradients of parts.
    tree: Tree,
}

/// What the guard can go back to.
#[derive(Clone)]
struct Good {
    state: TrainState,
    parameters: Vec<f32>,
}

/// Draws for the step after `step` others.
fn draw(
    objective: &Objective,
    options: &Options,
    parts: Parts,
    step: usize,
    rng: &ChaCha8Rng,
    times: &TimeSampler,
) -> Result<Drawn> {
    objective.path().advance(step)?;
    let (mut rng, mut times) = (rng.clone(), times.clone());
    let (at, density) = times.draw(options.batch);
    let batches = if parts.count == 1 {
        vec![objective.batch(at.clone(), density, &mut rng)]
    } else {
        let seed = rng.next_u64();
        let rows = options.batch / parts.count;
        let batch = |part: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(part as u64);
            let here = part * rows..(part + 1) * rows;
            let (at, density) = (at[here.clone()].to_vec(), density[here].to_vec());
            objective.part(part, options.batch, at, density, &mut rng)
        };
        parts.held().map(batch).collect()
    };
    Ok(Drawn {
        batches,
        at,
        rng,
        times,
    })
}

impl<'a> Training<'a> {
    fn new(
        machines: Machines,
        mut network: Box<dyn Engine>,
        problem: &'a Problem<'a>,
        options: &Options,
    ) -> Result<Self> {
        check(problem, options, machines)?;
        ensure!(
            network.dimension() == problem.path().dimension(),
            Shape,
            "the action has {} columns, the path {}",
            network.dimension(),
            problem.path().dimension()
        );
        let options = Options {
            precision: network.multiply_in(options.precision),
            ..options.clone()
        };
        Ok(Self {
            machines,
            parts: machines.parts(options.parts)?,
            problem,
            objective: Objective::new(problem, options.estimator)?,
            state: TrainState::new(&*network, &options),
            options,
            network,
            ahead: None,
            tree: Tree::default(),
        })
    }

    fn good(&self) -> Good {
        Good {
            state: self.state.clone(),
            parameters: self.network.parameters().to_vec(),
        }
    }

    fn checkpoint(&self, good: &Good) -> Checkpoint {
        Checkpoint::of(&*self.network, good, &self.options, self.problem)
    }

    fn stopped(&self, good: &Good) -> Error {
        let what = format!(
            "stopped after {} of {} steps; the first {} are saved",
            self.state.step, self.options.steps, good.state.step
        );
        Error::new(ErrorKind::Interrupted, what)
    }

    fn run(mut self, observer: &mut dyn Observer) -> Result<Dynamics> {
        let mut good = self.good();
        let mut saved = Instant::now();
        // What went wrong in this process after a step. The others learn of it in the next one.
        let mut failed = None;
        while self.state.step < self.options.steps {
            let before = self
                .state
                .step
                .is_multiple_of(REMEMBER_EVERY)
                .then(|| self.good());
            let drawn = self.ahead.take().unwrap_or_else(|| {
                let TrainState {
                    step, rng, times, ..
                } = &self.state;
                let (objective, options) = (&self.objective, &self.options);
                draw(objective, options, self.parts, *step, rng, times)
            });
            let drawn = match drawn {
                // The coupling of a shard: what was reached is kept.
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    let kept = observer.checkpoint(&self.checkpoint(&good));
                    Err(kept.err().unwrap_or_else(|| self.stopped(&good)))
                }
                drawn => drawn,
            };
            let drawn = failed.take().map_or(drawn, Err);
            match self.step(drawn)? {
                Ok(report) => {
                    let step = self.state.step;
                    if step.is_multiple_of(CHECKPOINT_EVERY) {
                        self.state.tries = 0;
                    }
                    let done = step == self.options.steps;
                    let stop = observer.step(&report).is_break() && !done;
                    // A state is good once its objective and gradient have been seen to be. What
                    // is saved on the way is what the guard could roll back to, so that a resumed
                    // fit can roll back as far.
                    let mut due = false;
                    if let Some(before) = before {
                        due = before.state.step.is_multiple_of(CHECKPOINT_EVERY)
                            || saved.elapsed() > CHECKPOINT_AFTER;
                        good = before;
                    }
                    if done {
                        observer.checkpoint(&self.checkpoint(&self.good()))?;
                        continue;
                    }
                    if stop || due {
                        let kept = observer.checkpoint(&self.checkpoint(&good));
                        failed = kept.err();
                        saved = Instant::now();
                    }
                    if stop && failed.is_none() {
                        failed = Some(self.stopped(&good));
                    }
                    if self.machines.count() == 1
                        && let Some(error) = failed
                    {
                        return Err(error);
                    }
                }
                Err(reason) => {
                    let from = self.state.step;
                    good.state.tries = self.state.tries + 1;
                    good.state.rate_factor *= 0.5;
                    self.state = good.state.clone();
                    self.network
                        .update(&mut |parameters, _| parameters.copy_from_slice(&good.parameters));
                    let TrainState {
                        step: to,
                        tries,
                        rate_factor,
                        ..
                    } = self.state;
                    if tries > TRIES {
                        observer.checkpoint(&self.checkpoint(&good))?;
                    }
                    ensure!(
                        tries <= TRIES,
                        Diverged,
                        "{reason}; rolled back {TRIES} times and lowered the learning rate to {:.1e} \
                         without success: check the data for extreme values, or lower \
                         `learning_rate`",
                        self.options.learning_rate * rate_factor
                    );
                    observer.rollback(&Rollback {
                        from,
                        to,
                        rate_factor,
                        reason,
                    });
                }
            }
        }
        let average = self.state.adam.average();
        ensure!(
            average.iter().all(|x| x.is_finite()),
            Diverged,
            "parameters of the network are not finite after the last step; lower `learning_rate`"
        );
        self.network
            .update(&mut |parameters, _| parameters.copy_from_slice(average));
        self.network.multiply_in(Precision::F32);
        let (lagrangian, units) = (self.problem.lagrangian(), self.problem.units());
        Dynamics::new(self.network, lagrangian.clone(), units.clone())
    }

    /// One step, or what went wrong with its numbers; then the state is no longer of use.
    ///
    /// # Errors
    /// What the draw failed by, here or in another process.
    fn step(&mut self, drawn: Result<Drawn>) -> Result<Result<Step, String>> {
        let (machines, parts, options) = (self.machines, self.parts, &self.options);
        let drawn = match drawn {
            Ok(drawn) => drawn,
            Err(error) => {
                // The others wait for as many numbers as they have.
                let rows = match options.adaptive_times {
                    true => options.batch / parts.count,
                    false => 0,
                };
                machines.gather_numbers(&vec![f64::NAN; 1 + parts.held * (1 + rows)]);
                return machines.agree(Err(error));
            }
        };
        let Drawn {
            batches,
            at,
            rng,
            times,
        } = drawn;
        let state = &mut self.state;
        let step = state.step;
        let learning_rate = options.learning_rate_at(step) * state.rate_factor;
        let (objective, network) = (&self.objective, &mut *self.network);
        let tree = &mut self.tree;
        // Times that adapt wait for what this step finds.
        let is_next_known = step + 1 < options.steps && !options.adaptive_times;
        let mut ahead = None;
        let stop = Stop::now();
        // The step stays on its thread: a GPU has a stream for each.
        let found = rayon::in_place_scope(|scope| {
            if is_next_known {
                let ahead = &mut ahead;
                let (rng, times, stop) = (&rng, &times, &stop);
                let next = move || draw(objective, options, parts, step + 1, rng, times);
                scope.spawn(move |_| *ahead = Some(stop.within(next)));
            }
            let mut told = vec![0.0];
            if machines.count() > 1 && step.is_multiple_of(REMEMBER_EVERY) {
                told[0] = checksum(network.parameters());
            }
            let mut interior = vec![];
            for batch in &batches {
                let level = objective.differentiate(network, batch);
                told.push(level.value);
                interior.extend(level.interior);
                if parts.count > 1 {
                    tree.add(network.parameter_gradient());
                }
            }
            if options.adaptive_times {
                told.extend(&interior);
            }
            let all = machines.gather_numbers(&told);
            let all: Vec<&[f64]> = all.chunks_exact(told.len()).collect();
            if all.iter().any(|told| told[0].is_nan()) {
                machines.agree(Ok(()))?;
            }
            ensure!(
                all.iter().all(|told| told[0] == all[0][0]),
                Value,
                "the processes have come to different parameters by step {step}: they must run on \
                 processors of one kind"
            );
            let values: Vec<f64> = all
                .iter()
                .flat_map(|told| &told[1..=parts.held])
                .copied()
                .collect();
            let value = tree_sum(&values);
            if machines.count() > 1 {
                interior = all
                    .iter()
                    .flat_map(|told| &told[1 + parts.held..])
                    .copied()
                    .collect();
            }
            let sum = (parts.count > 1).then(|| {
                let mut sum = tree.take();
                machines.sum(&mut sum);
                sum
            });
            let gradient = sum.as_deref().unwrap_or(network.parameter_gradient());
            let norm = adam::norm(gradient);
            if let Err(reason) = state.guard.check(value) {
                return Ok(Err(reason));
            }
            if !norm.is_finite() {
                return Ok(Err(format!(
                    "the gradient became {norm} at step {}",
                    step + 1
                )));
            }
            let k = step as f64;
            let update = Update {
                rate: learning_rate,
                scale: (options.clip / norm).min(1.0),
                keep: options.ema_decay.min((1.0 + k) / (10.0 + k)),
            };
            let adam = &mut state.adam;
            network.update(&mut |parameters, gradient| {
                adam.step(parameters, sum.as_deref().unwrap_or(gradient), update);
            });
            sum.into_iter().for_each(|sum| tree.give(sum));
            Ok(Ok((value, interior, norm)))
        })?;
        let (loss, interior, gradient_norm) = match found {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        self.ahead = ahead;
        (state.rng, state.times) = (rng, times);
        state.times.learn(&at, &interior);
        state.step += 1;
        state.guard.learn(loss);
        let exponent = self.problem.lagrangian().cost().exponent();
        let unit = self.problem.units().objective(exponent);
        let [told, level] = [loss, state.guard.level()].map(|loss| loss * unit);
        if !(told.is_finite() && level.is_finite()) {
            return Ok(Err(format!(
                "the objective became {told} at step {}",
                step + 1
            )));
        }
        Ok(Ok(Step {
            step: state.step,
            loss: told,
            smoothed: level,
            gradient_norm,
            learning_rate,
        }))
    }
}

/// By which parameters that differ in a bit are told from each other: a whole number below 2^52.
fn checksum(parameters: &[f32]) -> f64 {
    // The constants of FNV-1a.
    let mix = |hash: u64, x: &f32| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x100_0000_01b3);
    (parameters.iter().fold(0xcbf2_9ce4_8422_2325, mix) >> 12) as f64
}

/// The running level of the objective, by which an explosion is told from noise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct DivergenceGuard {
    count: usize,
    mean: f64,
    /// The running mean of the means, which lags as far behind them as they behind the objective.
    mean_of_means: f64,
    variance: f64,
    /// The lowest mean so far: growth too slow to be a jump is seen against it.
    lowest: f64,
}

impl DivergenceGuard {
    /// Far outside of what a bad batch does, so that only a lost fit is stopped.
    fn check(&self, loss: f64) -> Result<(), String> {
        let step = self.count + 1;
        if !loss.is_finite() {
            return Err(format!("the objective became {loss} at step {step}"));
        }
        let width = self.variance.sqrt() + 0.1 * self.mean.abs() + 0.1;
        if self.count >= 20 && (loss - self.mean).abs() > 200.0 * width {
            return Err(format!(
                "the objective jumped from about {:.3e} to {loss:.3e} at step {step}",
                self.mean
            ));
        }
        let noise = self.variance.sqrt();
        if self.mean - self.lowest > 10.0 * (self.lowest.abs() + 0.1) + noise {
            return Err(format!(
                "the objective rose from {:.3e} to {:.3e} by step {step}",
                self.lowest, self.mean
            ));
        }
        Ok(())
    }

    /// The running mean moved on by its lag.
    fn level(&self) -> f64 {
        2.0 * self.mean - self.mean_of_means
    }

    fn learn(&mut self, loss: f64) {
        self.count += 1;
        // A window of a third of the steps so far, and of 100 in the end.
        let share = (3.0 / (self.count as f64 + 2.0)).clamp(0.01, 1.0);
        let off = loss - self.mean;
        self.mean += share * off;
        self.mean_of_means += share * (self.mean - self.mean_of_means);
        self.variance = (1.0 - share) * (self.variance + share * off * off);
        self.lowest = if self.count == 1 {
            self.mean
        } else {
            self.lowest.min(self.mean)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two averages one after the other lag twice as far (Mulloy 1994).
    #[test]
    fn the_level_keeps_up_with_an_objective_that_falls() {
        let mut guard = DivergenceGuard::default();
        guard.learn(7.0);
        assert_eq!(guard.level(), 7.0);
        for k in 1..1500 {
            let loss = 7.0 - 0.01 * f64::from(k);
            guard.learn(loss);
            let lag = (guard.level() - loss) / 0.01;
            assert!(lag.abs() < 0.07 * f64::from(k) + 1.0, "{lag} steps at {k}");
            if k >= 1000 {
                assert!(lag.abs() < 4.0, "{lag} steps at {k}");
                assert!(guard.mean - loss > 0.9);
            }
        }
    }

    #[test]
    fn a_fit_may_begin_high_and_fall_below_0_but_not_rise() {
        let mut guard = DivergenceGuard::default();
        for k in 0..400 {
            let loss = 1000.0 - 5.0 * f64::from(k);
            assert_eq!(guard.check(loss), Ok(()));
            guard.learn(loss);
        }
        assert!(guard.mean < 0.0);
        let mut rising = DivergenceGuard::default();
        let risen = (0..400).find_map(|k| {
            rising.learn(10.0 * 1.05f64.powi(k));
            rising.check(rising.mean).err()
        });
        assert!(risen.unwrap().contains("rose from 1.000e1"));
    }
}

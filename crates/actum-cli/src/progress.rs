//! Progress on standard error: a bar for a terminal, a line now and then for a log.

use std::{
    io::IsTerminal,
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actum::{
    fit::{Observer, Rollback, Step},
    leave_out,
    stop::Stop,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// How far something is that counts.
pub struct Meter {
    noun: &'static str,
    bar: Option<ProgressBar>,
    first: Option<(usize, Instant)>,
    spoke: Instant,
}

impl Meter {
    /// Counts a `noun`: steps, rows.
    pub fn new(noun: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                format!("{{bar:30}} {{pos}}/{{len}} {noun}s  {{msg}}{{per_sec}}  {{eta}} left");
            ProgressBar::no_length().with_style(
                ProgressStyle::with_template(&style).expect("the template is well formed"),
            )
        });
        Self {
            noun,
            bar,
            first: None,
            spoke: Instant::now(),
        }
    }

    /// So many are done; `message` ends with two spaces, or is empty.
    pub fn at(&mut self, done: usize, of: usize, message: &str) {
        let now = Instant::now();
        if self.first.is_none() {
            // A rate needs two calls.
            self.spoke = now;
        }
        let (from, since) = *self.first.get_or_insert((done - 1, now));
        match &self.bar {
            Some(bar) => {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
                bar.set_message(message.to_owned());
                if done == of {
                    bar.finish();
                }
            }
            None if done == of || now - self.spoke > SILENCE => {
                self.spoke = now;
                let rate = (done - from) as f64 / (now - since).as_secs_f64().max(1e-9);
                let left = (of - done) as f64 / rate;
                let noun = self.noun;
                output::say(&format!(
                    "{noun} {done} of {of}  {message}{rate:.0} {noun}s/s  {left:.0} s left"
                ));
            }
            None => {}
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => output::say(text),
        }
    }
}

pub struct Progress {
    meter: Meter,
    making: Meter,
    reading: Meter,
    steps: usize,
    /// Steps of a fit that came before, and of it and this one.
    before: usize,
    done: usize,
    stop: Stop,
    joining: Arc<Mutex<Option<Undo>>>,
}

/// What removes the traces of a fit that keeps nothing.
type Undo = Box<dyn Fn() + Send>;

/// A second interrupt after so long ends the program at once.
const INSIST: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(10);

impl Progress {
    /// Progress over so many steps. Ctrl-C (or being asked to terminate) stops the fit after a
    /// checkpoint; a later second one ends the program at once.
    pub fn new(steps: usize) -> Self {
        let stop = Stop::default();
        let flag = stop.clone();
        let joining: Arc<Mutex<Option<Undo>>> = Arc::default();
        let undo = joining.clone();
        let mut first = None;
        // Without a handler Ctrl-C still ends the program; the last checkpoint is then what is left.
        let _ = ctrlc::set_handler(move || {
            flag.ask();
            // Nothing is kept yet, and nobody looks at the flag before the first step.
            if let Ok(mut joining) = undo.lock()
                && let Some(undo) = joining.take()
            {
                undo();
                output::say("error: stopped before the first step; nothing is kept");
                std::process::exit(2);
            }
            // Some callers send every signal twice at once; a person who insists takes longer.
            if first.get_or_insert_with(Instant::now).elapsed() > INSIST {
                std::process::exit(2);
            }
        });
        Self {
            meter: Meter::new("step"),
            making: Meter::new("cell"),
            reading: Meter::new("row"),
            steps,
            before: 0,
            done: 0,
            stop,
            joining,
        }
    }

    /// What a process has that assists in a fit: nothing is shown, and being asked to stop is left
    /// to the process that it assists.
    pub fn ignoring_interrupts() {
        let _ = ctrlc::set_handler(|| {});
    }

    /// The data are read and are joined up next, which may take long: an interrupt ends the program
    /// until the first step, after `undo`.
    pub fn joining(&self, undo: impl Fn() + Send + 'static) {
        if let Ok(mut joining) = self.joining.lock() {
            *joining = Some(Box::new(undo));
        }
    }

    /// So many cells are read for principal components.
    pub fn making(&mut self, done: usize, of: usize) -> ControlFlow<()> {
        self.making.at(done, of, "");
        self.go_on()
    }

    /// So many rows of a large file are read.
    pub fn reading(&mut self, done: usize, of: usize) -> ControlFlow<()> {
        self.reading.at(done, of, "");
        self.go_on()
    }

    /// An evaluation is so far.
    pub fn evaluating(&mut self, progress: leave_out::Progress) -> ControlFlow<()> {
        let leave_out::Progress {
            jobs,
            of_jobs,
            steps,
            of_steps,
        } = progress;
        if steps > 0 && steps != self.steps {
            self.steps = steps;
            self.meter
                .at(steps, of_steps, &format!("{jobs} of {of_jobs} jobs  "));
        }
        self.go_on()
    }

    fn go_on(&self) -> ControlFlow<()> {
        match self.stop.is_asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// What Ctrl-C asks.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

impl Observer for Progress {
    fn begin(&mut self) -> ControlFlow<()> {
        self.before = self.done;
        if let Ok(mut joining) = self.joining.lock() {
            joining.take();
        }
        self.go_on()
    }

    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        let objective = format!("objective {:.4}  ", step.smoothed);
        self.done = self.before + step.step;
        self.meter.at(self.done, self.steps, &objective);
        self.go_on()
    }

    fn rollback(&mut self, rollback: &Rollback) {
        self.meter.say(&format!(
            "warning: {}; rolled back to step {} with {} times the learning rate",
            rollback.reason, rollback.to, rollback.rate_factor
        ));
    }
}

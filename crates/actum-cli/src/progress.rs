//! Progress on standard error: a bar for a terminal, a line now and then for a log.

use std::{
    io::IsTerminal,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actum::fit::{Observer, Rollback, Step};
use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress {
    bar: Option<ProgressBar>,
    steps: usize,
    first: Option<(usize, Instant)>,
    spoke: Instant,
    stop: Arc<AtomicBool>,
}

/// A second interrupt after so long ends the program at once.
const INSIST: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(10);

impl Progress {
    /// Progress over so many steps. Ctrl-C (or being asked to terminate) stops the fit after a
    /// checkpoint; a later second one ends the program at once.
    pub fn new(steps: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let mut first = None;
        // Without a handler Ctrl-C still ends the program; the last checkpoint is then what is left.
        let _ = ctrlc::set_handler(move || {
            flag.store(true, Ordering::SeqCst);
            // Some callers send every signal twice at once; a person who insists takes longer.
            if first.get_or_insert_with(Instant::now).elapsed() > INSIST {
                std::process::exit(2);
            }
        });
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{bar:30} {pos}/{len} steps  {msg}  {per_sec}  {eta} left";
            ProgressBar::new(steps as u64).with_style(
                ProgressStyle::with_template(style).expect("the template is well formed"),
            )
        });
        Self {
            bar,
            steps,
            first: None,
            spoke: Instant::now(),
            stop,
        }
    }
}

impl Observer for Progress {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        let now = Instant::now();
        let (from, since) = *self.first.get_or_insert((step.step - 1, now));
        let done = step.step == self.steps;
        match &self.bar {
            Some(bar) => {
                bar.set_position(step.step as u64);
                bar.set_message(format!("objective {:.4}", step.smoothed));
                if done {
                    bar.finish();
                }
            }
            None if done || now - self.spoke > SILENCE => {
                self.spoke = now;
                let rate = (step.step - from) as f64 / (now - since).as_secs_f64().max(1e-9);
                let left = (self.steps - step.step) as f64 / rate;
                eprintln!(
                    "step {} of {}  objective {:.4}  {rate:.0} steps/s  {left:.0} s left",
                    step.step, self.steps, step.smoothed
                );
            }
            None => {}
        }
        if self.stop.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn rollback(&mut self, rollback: &Rollback) {
        let text = format!(
            "warning: {}; went back to step {} with {} times the learning rate",
            rollback.reason, rollback.to, rollback.rate_factor
        );
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

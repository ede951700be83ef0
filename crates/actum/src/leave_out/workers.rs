//! Jobs side by side.

use std::{
    ops::ControlFlow,
    path::Path as FilePath,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use super::{Evaluation, Outcome, Report, Work, folder};
use crate::error::{Error, ErrorKind, Result};

/// How far an evaluation is. What a folder held already counts as neither done nor to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Finished jobs.
    pub jobs: usize,
    /// Jobs to do.
    pub of_jobs: usize,
    /// Steps of fits that are done.
    pub steps: usize,
    /// Steps of all fits to do.
    pub of_steps: usize,
}

impl Evaluation {
    /// Does all jobs and reports. With a `folder` each finished job is a file in it that appears
    /// whole, and jobs whose files are there are not done again. `watch` is told of every step and
    /// every finished job, and can stop the evaluation.
    ///
    /// Jobs run side by side, as many as there are threads, each with an equal share of them: a fit
    /// leaves a part of its threads idle, and distances most (on two cores a fit alone takes 0.63
    /// of the time of a fit on one). Results do not depend on it.
    ///
    /// # Errors
    /// As [`open`](Evaluation::open) and [`compute`](Evaluation::compute); stopped (`Interrupted`).
    pub fn run(
        &self,
        folder: Option<&FilePath>,
        watch: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Report> {
        let jobs = self.jobs();
        let found = match folder {
            Some(folder) => self.open(folder)?,
            None => vec![None; jobs.len()],
        };
        let pending: Vec<usize> = (0..jobs.len()).filter(|i| found[*i].is_none()).collect();
        let steps_of = |i: &usize| match jobs[*i].work {
            Work::References => 0,
            Work::Fit { method, .. } => self.methods[method].settings.fit.steps,
        };
        let of_steps: usize = pending.iter().map(steps_of).sum();
        let found = Mutex::new(found);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (steps, stop) = (AtomicI64::new(0), AtomicBool::new(false));
        let tell = || {
            let flow = watch(Progress {
                jobs: done.load(Ordering::SeqCst),
                of_jobs: pending.len(),
                steps: steps.load(Ordering::SeqCst).max(0) as usize,
                of_steps,
            });
            if flow.is_break() {
                stop.store(true, Ordering::SeqCst);
            }
            match stop.load(Ordering::SeqCst) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let fail = |error: Error| {
            failed
                .lock()
                .expect("no worker panics")
                .get_or_insert(error);
            stop.store(true, Ordering::SeqCst);
        };
        let threads = rayon::current_num_threads();
        let workers = pending.len().clamp(1, threads);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::SeqCst);
                let Some(&index) = pending.get(at).filter(|_| !stop.load(Ordering::SeqCst)) else {
                    return;
                };
                let mut step = |by: i64| {
                    steps.fetch_add(by, Ordering::SeqCst);
                    tell()
                };
                let outcome = self.compute(&jobs[index], &mut step).and_then(|outcome| {
                    if let Some(folder) = folder {
                        folder::keep(folder, index, &outcome)?;
                    }
                    Ok(outcome)
                });
                match outcome {
                    Ok(outcome) => {
                        found.lock().expect("no worker panics")[index] = Some(outcome);
                        done.fetch_add(1, Ordering::SeqCst);
                        let _ = tell();
                    }
                    Err(error) => return fail(error),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads / workers);
                    match pool.build() {
                        Ok(pool) => pool.install(work),
                        Err(cause) => {
                            let what = "cannot start the threads of an evaluation";
                            fail(Error::new(ErrorKind::Io, what).because(cause));
                        }
                    }
                });
            }
        });
        let failed = failed.into_inner().expect("no worker panics");
        let outcomes: Vec<Option<Outcome>> = found.into_inner().expect("no worker panics");
        let (have, all) = (outcomes.iter().flatten().count(), jobs.len());
        match failed {
            Some(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ if have < all => {
                let kept = match folder {
                    Some(_) => "those are kept",
                    None => "nothing is kept without a folder",
                };
                let what = format!("stopped after {have} of {all} jobs; {kept}");
                Err(Error::new(ErrorKind::Interrupted, what))
            }
            _ => {
                let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
                self.report(&outcomes)
            }
        }
    }
}

//! Jobs side by side.

use std::{
    ops::ControlFlow,
    path::Path as FilePath,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use super::{Evaluation, Job, Outcome, Report, Work, folder};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    stop::Stop,
};

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

/// A share of the jobs. Shares are of about equal size, and together they are all jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which share, from 0.
    pub index: usize,
    /// How many there are, at least 1. More than jobs leave some with nothing to do.
    pub of: usize,
}

impl Default for Share {
    /// All jobs.
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Share {
    /// Checks the numbers.
    ///
    /// # Errors
    /// An index that is not below the number of shares.
    pub fn check(self) -> Result<()> {
        ensure!(
            self.index < self.of,
            Setting,
            "expected a share from 0 to {} of {}, got {}",
            self.of.saturating_sub(1),
            self.of,
            self.index
        );
        Ok(())
    }
}

impl Evaluation {
    /// Does all jobs and [reports](Evaluation::report). With a `folder` each finished job is a file in
    /// it that appears whole, and jobs whose files are there are not done again. `watch` is told of
    /// every step and every finished job, and can stop the evaluation.
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
        let outcomes = self.work(folder, Share::default(), watch)?;
        let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        self.report(&outcomes)
    }

    /// Does a share of the jobs, as [`run`](Evaluation::run) does all, and leaves what they found in
    /// `folder`. Many machines can work in one folder at once.
    ///
    /// # Errors
    /// As [`run`](Evaluation::run).
    pub fn share(
        &self,
        folder: &FilePath,
        share: Share,
        watch: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<()> {
        self.work(Some(folder), share, watch).map(drop)
    }

    /// The jobs, by their number and in words, that `folder` lacks.
    ///
    /// # Errors
    /// As [`open`](Evaluation::open).
    pub fn missing(&self, folder: &FilePath) -> Result<Vec<(usize, String)>> {
        let found = self.open(folder)?;
        let jobs = self.jobs().into_iter().enumerate().zip(found);
        let missing = jobs.filter(|(_, found)| found.is_none());
        Ok(missing
            .map(|((index, job), _)| (index, self.name_of(&job)))
            .collect())
    }

    fn name_of(&self, job: &Job) -> String {
        let labels = self.snapshots.labels();
        let times: Vec<&str> = job.left_out.iter().map(|k| labels[*k].as_str()).collect();
        let times = times.join(" and ");
        match job.work {
            Work::References => format!("references without {times}"),
            Work::Fit { method, seed: 0 } => {
                format!("{} without {times}", self.methods[method].name)
            }
            Work::Fit { method, seed } => {
                format!(
                    "{} without {times}, seed + {seed}",
                    self.methods[method].name
                )
            }
        }
    }

    /// The outcomes of a share of the jobs, and of those that are there already.
    fn work(
        &self,
        folder: Option<&FilePath>,
        share: Share,
        watch: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<Option<Outcome>>> {
        share.check()?;
        let jobs = self.jobs();
        let found = match folder {
            Some(folder) => self.open(folder)?,
            None => vec![None; jobs.len()],
        };
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        // Methods take unlike times: every share has as many fits of each, or one less.
        order.sort_by_key(|i| match jobs[*i].work {
            Work::References => 0,
            Work::Fit { method, .. } => 1 + method,
        });
        let mut pending: Vec<usize> = order
            .into_iter()
            .skip(share.index)
            .step_by(share.of)
            .collect();
        pending.retain(|i| found[*i].is_none());
        pending.sort_unstable();
        let steps_of = |i: &usize| match jobs[*i].work {
            Work::References => 0,
            Work::Fit { method, .. } => self.methods[method].settings.steps(),
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
        let outer = Stop::now();
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
                        Ok(pool) => pool.install(|| outer.within(work)),
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
        let (have, all) = (done.into_inner(), pending.len());
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
            _ => Ok(outcomes),
        }
    }
}

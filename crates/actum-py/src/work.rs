//! Long work beside the interpreter: Ctrl-C, progress, threads, panics.

use std::{
    any::Any,
    cell::Cell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use actum::{
    error::{Error, ErrorKind, Result},
    stop::Stop,
};
use pyo3::{exceptions::PyKeyboardInterrupt, prelude::*};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{exception, raise};

/// How often the caller's thread looks for Ctrl-C.
const LOOK: Duration = Duration::from_millis(20);

/// How far the work is, and whether it is to go on.
#[derive(Default)]
pub struct Watch {
    stop: Stop,
    /// What the work keeps must not be left half done: a stop is waited for.
    keeps: AtomicBool,
    told: Mutex<Told>,
    failed: Mutex<Option<PyErr>>,
}

#[derive(Default, Clone, PartialEq)]
struct Told {
    done: usize,
    of: usize,
    message: String,
    warnings: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// So much is done; whether to go on.
    pub fn at(&self, done: usize, of: usize, message: impl FnOnce() -> String) -> bool {
        // What nobody reads is not written.
        if let Ok(mut told) = self.told.try_lock() {
            (told.done, told.of) = (done, of);
            told.message = message();
        }
        self.goes_on()
    }

    pub fn goes_on(&self) -> bool {
        !self.stop.is_asked()
    }

    /// From now on a stop is waited for.
    pub fn keep(&self) {
        self.keeps.store(true, Ordering::SeqCst);
    }

    pub fn warn(&self, warning: String) {
        lock(&self.told).warnings.push(warning);
    }

    /// Stops with what a function of the user's raised.
    pub fn fail(&self, error: PyErr) {
        lock(&self.failed).get_or_insert(error);
        self.stop.ask();
    }
}

thread_local! {
    /// How many calls of the user's functions this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls a function of the user's, attached to the interpreter.
pub fn call<T>(f: impl FnOnce(Python) -> T) -> T {
    DEPTH.set(DEPTH.get() + 1);
    let found = catch_unwind(AssertUnwindSafe(|| Python::attach(f)));
    DEPTH.set(DEPTH.get() - 1);
    found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// By process and depth.
type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;

/// The threads of this process. A fork has none of its parent's, and what a user's function calls
/// must not wait for the threads that wait for it: each has its own.
fn pool() -> Result<Arc<ThreadPool>> {
    static POOLS: Mutex<Option<Pools>> = Mutex::new(None);
    let key = (std::process::id(), DEPTH.get());
    let mut pools = lock(&POOLS);
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&key) {
        return Ok(pool.clone());
    }
    let pool = ThreadPoolBuilder::new().build().map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot start the threads of a computation").because(cause)
    })?;
    let pool = Arc::new(pool);
    // To drop those of a parent would wait for threads that are not here.
    pools.insert(key, pool.clone());
    Ok(pool)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("something went wrong").to_owned()
}

/// Does `f` on a thread of its own. Meanwhile `progress(done, total, message, warnings)` is called
/// now and then on this thread, where Ctrl-C and whatever it raises end the work.
pub fn work<T: Send + 'static>(
    py: Python,
    progress: Option<&Bound<PyAny>>,
    f: impl FnOnce(&Watch) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let pool = pool().map_err(|error| raise(py, &error))?;
    let watch = Arc::new(Watch::default());
    let (send, receive) = channel();
    let its = watch.clone();
    let depth = DEPTH.get();
    let thread = std::thread::Builder::new().name("actum".to_owned());
    let started = thread.spawn(move || {
        let doing = || {
            DEPTH.set(depth);
            its.stop.within(|| f(&its))
        };
        let done = catch_unwind(AssertUnwindSafe(|| pool.install(doing)));
        // Nobody listens once the caller was interrupted.
        let _ = send.send(done);
    });
    if let Err(cause) = started {
        let error = Error::new(ErrorKind::Io, "cannot start a thread").because(cause);
        return Err(raise(py, &error));
    }
    let receive = Mutex::new(receive);
    let (mut last, mut warned) = (Told::default(), 0);
    let mut tell = |watch: &Watch| -> PyResult<()> {
        let told = lock(&watch.told).clone();
        if let Some(progress) = progress.filter(|_| told != last) {
            let warnings = told.warnings[warned..].to_vec();
            warned = told.warnings.len();
            progress.call1((told.done, told.of, &told.message, warnings))?;
        }
        last = told;
        Ok(())
    };
    let mut stopped: Option<PyErr> = None;
    loop {
        let found = py.detach(|| lock(&receive).recv_timeout(LOOK));
        match found {
            Ok(Ok(done)) => {
                if let Some(error) = lock(&watch.failed).take() {
                    return Err(error);
                }
                if done.is_ok() && stopped.is_none() {
                    tell(&watch)?;
                }
                return match (done, stopped) {
                    // Interrupted after the last step.
                    (Ok(_), Some(error)) => Err(error),
                    (Ok(done), None) => Ok(done),
                    (Err(error), Some(stop)) if error.kind() == ErrorKind::Interrupted => {
                        let _ = stop
                            .value(py)
                            .call_method1("add_note", (error.to_string(),));
                        Err(stop)
                    }
                    (Err(error), _) => Err(raise(py, &error)),
                };
            }
            Ok(Err(panic)) => {
                if let Some(error) = lock(&watch.failed).take() {
                    return Err(error);
                }
                let what = format!(
                    "actum went wrong, and this is its fault, not yours: {}",
                    said(&*panic)
                );
                return Err(exception(py, "InternalError", &what));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(exception(
                    py,
                    "InternalError",
                    "a computation ended without a result",
                ));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let asked = py.check_signals().and_then(|()| tell(&watch));
        if let Err(error) = asked {
            // A person who insists is not kept waiting.
            let again = stopped.is_some() && error.is_instance_of::<PyKeyboardInterrupt>(py);
            watch.stop.ask();
            if again || !watch.keeps.load(Ordering::SeqCst) {
                return Err(error);
            }
            stopped.get_or_insert(error);
        }
    }
}

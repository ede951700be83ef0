//! Work that is ended from outside.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::{Result, ensure};

thread_local! {
    /// As an argument it would go through every coupling, distance and score, and each would hand it
    /// on. It is set for the time of a call alone.
    static NOW: RefCell<Stop> = RefCell::default();
}

/// A wish that work ends, shared by those who have it and those who work.
///
/// Couplings and distances of large clouds take long. What is computed [within](Stop::within) a stop
/// looks at it every few milliseconds and then ends with
/// [`Interrupted`](crate::error::ErrorKind::Interrupted).
///
/// ```
/// use actum::{Cloud, error::ErrorKind, stop::Stop, transport::{Ground, exact}};
/// use ndarray::array;
///
/// let cloud = Cloud::new(array![[0.0, 0.0], [4.0, 0.0]])?;
/// let stop = Stop::default();
/// // A handler of Ctrl-C has a clone, and asks when the time comes.
/// stop.clone().ask();
/// let error = stop.within(|| exact(&cloud, &cloud, Ground::Euclidean)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Interrupted);
/// # Ok::<(), actum::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks all that is computed within this stop to end. It cannot be taken back.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Does `work` on this thread, in place of the stop that it may be within.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Before(Option<Stop>);
        impl Drop for Before {
            fn drop(&mut self) {
                if let Some(stop) = self.0.take() {
                    NOW.set(stop);
                }
            }
        }
        let _before = Before(Some(NOW.replace(self.clone())));
        work()
    }

    /// The stop that this thread is within. Other threads that work for it have to be told.
    pub(crate) fn now() -> Self {
        NOW.with_borrow(Self::clone)
    }

    /// An error if it was asked.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.is_asked(), Interrupted, "stopped");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_within_its_stop_alone() {
        let (outer, inner) = (Stop::default(), Stop::default());
        outer.ask();
        outer.within(|| {
            inner.within(|| assert!(!Stop::now().is_asked()));
            let panics = || inner.within(|| panic!("inside"));
            assert!(std::panic::catch_unwind(panics).is_err());
            assert!(Stop::now().is_asked());
        });
        assert!(!Stop::now().is_asked());
        assert!(Stop::now().check().is_ok() && outer.check().is_err());
    }
}

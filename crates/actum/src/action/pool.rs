//! Memory that calls lend each other, so that none of them has to ask for it anew.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// What is not in use. A copy begins empty.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    /// Calls `f` with something that no other thread has, new if there is nothing spare.
    pub fn lend<R>(&self, new: impl FnOnce() -> T, f: impl FnOnce(&mut T) -> R) -> R {
        let spare = self.locked(|spare| spare.pop());
        let mut lent = spare.unwrap_or_else(new);
        let result = f(&mut lent);
        self.give([lent]);
        result
    }

    /// Takes `count` of them.
    pub fn take(&self, count: usize, new: impl Fn() -> T) -> Vec<T> {
        let mut taken = self.locked(|spare| {
            let kept = spare.len().saturating_sub(count);
            spare.split_off(kept)
        });
        taken.resize_with(count, new);
        taken
    }

    /// Gives them back.
    pub fn give(&self, lent: impl IntoIterator<Item = T>) {
        self.locked(|spare| spare.extend(lent));
    }

    // Scratch memory means nothing between calls, so one that panicked leaves no harm.
    fn locked<R>(&self, f: impl FnOnce(&mut Vec<T>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(vec![]))
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Pool")
    }
}

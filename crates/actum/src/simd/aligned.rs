//! Memory for lines.

use std::ops::{Deref, DerefMut};

use aligned_vec::{AVec, ConstAlign};

use super::Line;

/// Elements that begin where a cache line does, so that no vector lies across two: loading such a
/// vector takes twice as long.
#[derive(Debug, Clone)]
pub(crate) struct Aligned<T>(AVec<T, ConstAlign<64>>);

pub(crate) type Lines = Aligned<Line>;

impl<T: Copy + Default> Aligned<T> {
    /// As many zeros.
    pub fn zeros(count: usize) -> Self {
        let mut zeros = Self::default();
        zeros.resize(count, T::default());
        zeros
    }
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self(AVec::new(64))
    }
}

impl<T> Deref for Aligned<T> {
    type Target = AVec<T, ConstAlign<64>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

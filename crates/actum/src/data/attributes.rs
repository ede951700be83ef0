//! What a file tells of points beside their coordinates.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use super::{Format, Keys, within};
use crate::error::Result;

/// A column that is no coordinate: a barcode, a replicate, a cell type.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// A value for each point.
    pub values: Vec<Arc<str>>,
}

impl Attribute {
    /// The attribute of the points `rows`, in that order.
    ///
    /// # Panics
    /// If there is no such point.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            name: self.name.clone(),
            values: rows.iter().map(|row| self.values[*row].clone()).collect(),
        }
    }
}

/// Reads all columns of a file that are neither times, weights, velocities nor `coordinates`, for
/// each row in the order of the file. In `.npz` they are the arrays of text or numbers `[n]`.
///
/// # Errors
/// As [`read`](super::read()).
pub fn read_attributes(path: &Path, keys: &Keys, coordinates: &[String]) -> Result<Vec<Attribute>> {
    within(path, || {
        let format = Format::of(path)?;
        (format.attributes)(path, keys, coordinates)
    })
}

/// Values of an attribute while they are read, each text kept once.
#[derive(Default)]
pub(super) struct Values {
    known: HashMap<String, Arc<str>>,
    values: Vec<Arc<str>>,
}

impl Values {
    pub fn push(&mut self, text: &str) {
        let value = match self.known.get(text) {
            Some(value) => value.clone(),
            None => {
                let value: Arc<str> = text.into();
                self.known.insert(text.to_owned(), value.clone());
                value
            }
        };
        self.values.push(value);
    }

    pub fn push_number(&mut self, x: f64) {
        match x.is_nan() {
            true => self.push(""),
            false => self.push(&x.to_string()),
        }
    }

    /// The attribute; the index of a table, which has no name, is called so.
    pub fn named(self, name: &str) -> Attribute {
        Attribute {
            name: if name.is_empty() { "index" } else { name }.to_owned(),
            values: self.values,
        }
    }
}

/// Names under which attributes can be written beside columns that are `taken`.
pub(super) fn free_names(attributes: &[Attribute], taken: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = taken.iter().map(|name| (*name).to_owned()).collect();
    let free = attributes.iter().map(|attribute| {
        let mut name = attribute.name.clone();
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    });
    free.collect()
}

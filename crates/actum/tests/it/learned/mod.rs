//! Fits whose answers are known: levels of the objective, fields, and what they move.

mod gallery;
mod lagrangian;
mod levels;

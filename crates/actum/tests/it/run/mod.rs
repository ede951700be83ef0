//! Runs on disk.

mod image_model;

//! The program as a person meets it: what it prints, what it leaves behind, how it exits.

mod anndata;
mod biologist;
mod check;
mod disk;
mod doors;
mod evaluate;
mod fit;
mod gallery;
mod image;
mod journey;
mod kills;
mod lagrangian;
mod program;
mod reliability;
mod report;
mod same_file;
mod shards;
mod support;

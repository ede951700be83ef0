//! Reading data.

mod images;
pub mod shards;

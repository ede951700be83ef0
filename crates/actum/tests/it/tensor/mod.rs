//! Networks in tensors: their derivatives in f64, and the engines of the CPU against them.

mod derivatives;
mod engines;
mod own;

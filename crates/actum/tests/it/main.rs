//! The library as its users meet it; the folders are those of the library.

mod action;
mod architecture;
mod data;
mod fit;
mod learned;
mod metric;
mod objective;
mod run;
mod score;
mod support;
mod tensor;
mod transport;

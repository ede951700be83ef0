//! The built-in networks.

mod unet;

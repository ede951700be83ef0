//! The Python module `actum._actum`: the library over numpy arrays, for the package `actum`, which
//! names things, makes frames and draws.
//!
//! What takes long runs on a thread of its own, without the interpreter, while the caller's thread
//! looks for Ctrl-C and tells of progress ([`work`]).

mod errors;
mod evaluate;
mod images;
mod own_path;
mod points;
mod run;
mod tables;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _actum {
    use super::{PyResult, Python, pyfunction};

    #[pymodule_export]
    use super::{
        evaluate::evaluate,
        images::{fit_images, psnr, restore_images, sample_images, score_images, ssim},
        own_path::fit_path,
        points::{branching, distance, gallery, gallery_names, transport},
        run::{Motion, Run, check, fit},
        tables::{Table, table},
    };

    /// The version of the library.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Runs the program `actum` with what was typed, its own name first, and returns its exit code.
    #[pyfunction]
    fn program(py: Python, typed: Vec<std::ffi::OsString>) -> PyResult<u8> {
        Ok(py.detach(|| actum_cli::run(typed)))
    }
}

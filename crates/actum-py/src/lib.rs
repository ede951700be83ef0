//! The Python module `actum._actum`: the library over numpy arrays, for the package `actum`, which
//! names things, makes frames and draws.
//!
//! What takes long runs on a thread of its own, without the interpreter, while the caller's thread
//! looks for Ctrl-C and tells of progress ([`work`]).

mod cells;
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
    use super::{PyResult, Python, pyfunction, work};

    #[pymodule_export]
    use super::{
        cells::{decode, fates_of, genes_of, learn_genes, perturb, screen},
        evaluate::evaluate,
        images::{
            fit_images, page_of_images, psnr, restore_images, sample_images, score_images, ssim,
        },
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

    /// Panics as a defect of the library would: for the test that it becomes an exception.
    #[pyfunction]
    fn panic(py: Python, text: String) -> PyResult<()> {
        work::work(py, None, move |_| panic!("{text}"))
    }

    /// Runs the program `actum` with what was typed, its own name first, and returns its exit code.
    #[pyfunction]
    fn program(py: Python, typed: Vec<std::ffi::OsString>) -> PyResult<u8> {
        Ok(py.detach(|| actum_cli::run(typed)))
    }
}

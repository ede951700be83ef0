//! The program `actum`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(actum_cli::run(std::env::args_os()))
}

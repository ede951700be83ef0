//! The program `actum`: what was typed becomes a call of the library, and its result an exit
//! code: 0 done, 1 a check failed, 2 an error. A library, so that the Python package has it too.

// `output` alone writes to standard output and standard error: either may be closed or full, which
// the macros answer by a panic.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod annotate;
mod arguments;
mod check;
mod demo;
mod evaluate;
mod fates;
mod fit;
mod gallery;
mod genes;
mod image;
mod inspect;
mod machine;
mod output;
mod perturb;
mod plot;
mod progress;
mod read;
mod report;
mod score;
mod simulate;
mod view;

use std::ffi::OsString;

use actum::{
    error::{Error, Result},
    machines::Machines,
};
use clap::Parser;

use arguments::{Arguments, Command};

/// Whether everything that was looked at is in order.
enum Verdict {
    Fine,
    Failed,
}

/// Runs the program with the arguments that were typed, of which the first is its own name, and
/// returns its exit code. It answers on standard output and standard error.
pub fn run(typed: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(typed) {
        Ok(arguments) => arguments,
        Err(said) => {
            // A terminal that is gone is nobody to tell.
            let _ = said.print();
            return said.exit_code() as u8;
        }
    };
    machine::hear_of_large_files();
    let is_shared = matches!(&arguments.command, Command::Fit(fit) if fit.mpi);
    // Processes that share a fit end together, after the last of them has said what it has to say.
    let shared = match machine::Shared::join(is_shared) {
        Ok(shared) => shared,
        Err(error) => return failed(&error),
    };
    machine::bound(arguments.memory, &shared);
    match obey(arguments, shared.machines) {
        Ok(Verdict::Fine) => 0,
        Ok(Verdict::Failed) => 1,
        // All have the error of the first that failed.
        Err(_) if !shared.machines.is_first() => 2,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> u8 {
    output::say(&format!(
        "error: {}",
        output::with_flags(&error.to_string())
    ));
    2
}

fn obey(arguments: Arguments, machines: Machines) -> Result<Verdict> {
    match arguments.command {
        Command::Demo(demo) => demo::run(&demo)?,
        Command::Gallery(gallery) => gallery::run(&gallery)?,
        Command::Check(check) => return check::run(&check),
        Command::Fit(fit) => fit::run(&fit, machines)?,
        Command::Simulate(simulate) => simulate::run(&simulate)?,
        Command::Score(score) => score::run(&score)?,
        Command::Evaluate(evaluate) => evaluate::run(&evaluate)?,
        Command::Collect(collect) => return evaluate::collect(&collect),
        Command::Plot(plot) => plot::run(&plot)?,
        Command::Report(report) => report::run(&report)?,
        Command::View(view) => view::run(&view)?,
        Command::Annotate(annotate) => annotate::run(&annotate)?,
        Command::Fates(fates) => fates::run(&fates)?,
        Command::Perturb(perturb) => perturb::run(&perturb)?,
        Command::Inspect(inspect) => inspect::run(&inspect)?,
        Command::Image(image) => image::run(&image)?,
    }
    Ok(Verdict::Fine)
}

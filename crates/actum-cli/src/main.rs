//! The program `actum`: what was typed becomes a call of the library, and its result an exit
//! code: 0 done, 1 a check failed, 2 an error.

mod annotate;
mod arguments;
mod check;
mod demo;
mod evaluate;
mod fit;
mod gallery;
mod image;
mod inspect;
mod output;
mod plot;
mod progress;
mod read;
mod score;
mod simulate;

use std::process::ExitCode;

use actum::error::Result;
use clap::Parser;

use arguments::{Arguments, Command};

/// Whether everything that was looked at is in order.
enum Verdict {
    Fine,
    Failed,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {}", output::with_flags(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<Verdict> {
    match arguments.command {
        Command::Demo(demo) => demo::run(&demo)?,
        Command::Gallery(gallery) => gallery::run(&gallery)?,
        Command::Check(check) => return check::run(&check),
        Command::Fit(fit) => fit::run(&fit)?,
        Command::Simulate(simulate) => simulate::run(&simulate)?,
        Command::Score(score) => score::run(&score)?,
        Command::Evaluate(evaluate) => evaluate::run(&evaluate)?,
        Command::Plot(plot) => plot::run(&plot)?,
        Command::Annotate(annotate) => annotate::run(&annotate)?,
        Command::Inspect(inspect) => inspect::run(&inspect)?,
        Command::Image(image) => image::run(&image)?,
    }
    Ok(Verdict::Fine)
}

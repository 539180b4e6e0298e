//! Parses, calls `cli`, returns the exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    mailrun::cli::run(mailrun::cli::Cli::parse()).into()
}

//! Parses, calls `cli`, returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mailrun::cli::run(mailrun::cli::parse()).into()
}

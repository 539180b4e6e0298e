//! Arguments, commands, diagnostics, progress, exit codes.

mod args;
mod diagnostic;
mod exit;
mod log;
mod paths;
mod text;

pub use args::Cli;
pub use exit::Exit;

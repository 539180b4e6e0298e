//! stdout: the answer to the command, and nothing else.

use std::io::{self, Write};

use super::diagnostic::Diagnostic;
use super::exit::Exit;

/// Prints the answer of a command.
pub(super) fn out(text: &str) -> Result<(), Diagnostic> {
    out_bytes(text.as_bytes())
}

/// Prints the answer of a command, byte for byte.
pub(super) fn out_bytes(bytes: &[u8]) -> Result<(), Diagnostic> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).or_else(|error| ended_pipe(error).map(drop))
}

/// A closed pipe is no failure: `mailrun … | head`.
pub(super) fn ended_pipe(error: io::Error) -> Result<Exit, Diagnostic> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(Exit::Ok);
    }
    Err(Diagnostic::of("can't write to stdout", &error))
}

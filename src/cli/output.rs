//! stdout: what was asked for, and nothing else.

use std::io::{self, Write};

use super::diagnostic::Diagnostic;
use super::exit::Exit;

/// Prints what was asked for.
pub fn out(text: &str) -> Result<(), Diagnostic> {
    out_bytes(text.as_bytes())
}

/// Prints what was asked for, such as a message, byte for byte.
pub fn out_bytes(bytes: &[u8]) -> Result<(), Diagnostic> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).or_else(|error| ended_pipe(error).map(drop))
}

/// `mailrun … | head` ends well.
pub fn ended_pipe(error: io::Error) -> Result<Exit, Diagnostic> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(Exit::Ok);
    }
    Err(Diagnostic::of("can't write to stdout", &error))
}

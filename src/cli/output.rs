//! stdout: the answer to the command, and nothing else.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use crate::kit::outside_text;

/// Prints the answer of a command, safe for terminals.
pub(super) fn out(text: &str) -> Result<(), Diagnostic> {
    write(outside_text::lines(text).as_bytes())
}

/// The same, with words in colours.
pub(super) fn out_painted(text: &str) -> Result<(), Diagnostic> {
    write(outside_text::painted(text).as_bytes())
}

/// Prints the answer of a command as JSON.
pub(super) fn out_json(value: &Value) -> Result<(), Diagnostic> {
    write(outside_text::json(&format!("{value:#}\n")).as_bytes())
}

/// Prints the answer of a command: byte for byte, unless it goes to a terminal.
pub(super) fn out_bytes(bytes: &[u8]) -> Result<(), Diagnostic> {
    if io::stdout().is_terminal() {
        return out(&String::from_utf8_lossy(bytes).replace("\r\n", "\n"));
    }
    write(bytes)
}

fn write(bytes: &[u8]) -> Result<(), Diagnostic> {
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

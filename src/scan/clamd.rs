//! A client of ClamAV's daemon: `zINSTREAM` (clamd(8)).

use std::io::{self, Write};
use std::time::Duration;

use super::ScanResult;
use super::daemon::{self, Connection, bad_answer, read_to_end};

/// Far below StreamMaxLength, large enough to be few.
const CHUNK_BYTES: usize = 64 << 10;

/// ClamAV's daemon.
#[derive(Debug, Clone)]
pub(crate) struct Clamd {
    endpoint: String,
    patience: Duration,
}

impl Clamd {
    /// The daemon at `endpoint`: `host:port`, or the path of its socket.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self::patient(endpoint, daemon::PATIENCE)
    }

    /// The daemon at `endpoint`, which may take `patience` to judge something.
    pub(crate) fn patient(endpoint: &str, patience: Duration) -> Self {
        Self { endpoint: endpoint.to_owned(), patience }
    }

    /// Scans `content` over a connection of its own.
    ///
    /// # Errors
    /// The daemon can't be reached, does not answer in time, or its answer makes no sense.
    pub(crate) fn scan(&self, content: &[u8]) -> io::Result<ScanResult> {
        let stream = &mut daemon::connect(&self.endpoint, self.patience)?;
        let sent = send(stream, content);
        // A daemon that has seen too much says so and closes: its answer is worth more than the
        // failed write.
        let answer = match (read_to_end(stream), &sent) {
            (Ok(answer), _) if !answer.is_empty() => answer,
            (Ok(answer), Ok(())) => answer,
            (Err(error), Ok(())) => return Err(error),
            (_, Err(_)) => return Err(sent.expect_err("it was just seen")),
        };
        let result = parse(&answer).ok_or_else(|| bad_answer(&answer))?;
        match (result, sent) {
            // It has not seen all of it.
            (ScanResult::Clean, Err(error)) => Err(error),
            (result, _) => Ok(result),
        }
    }
}

/// Chunks with their lengths in network order, ended by an empty one.
fn send(stream: &mut Connection, content: &[u8]) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0")?;
    for chunk in content.chunks(CHUNK_BYTES) {
        let length = u32::try_from(chunk.len()).expect("a chunk is short");
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(chunk)?;
    }
    stream.write_all(&0_u32.to_be_bytes())?;
    stream.flush()
}

/// `stream: OK`, `stream: Eicar-Test-Signature FOUND`, or `… ERROR`, ended by NUL: what lacks its
/// end was cut off, and nobody knows what it would have said.
fn parse(answer: &[u8]) -> Option<ScanResult> {
    let text = std::str::from_utf8(answer.strip_suffix(b"\0")?).ok()?.trim();
    if let Some(error) = text.strip_suffix(" ERROR") {
        return Some(ScanResult::Refused(error.to_owned()));
    }
    let verdict = text.strip_prefix("stream: ")?;
    match verdict.strip_suffix(" FOUND") {
        Some(name) => Some(ScanResult::Infected(name.to_owned())),
        None => (verdict == "OK").then_some(ScanResult::Clean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let check = |answer: &str, verdict| assert_eq!(parse(answer.as_bytes()), verdict, "{answer}");
        check("stream: OK\0", Some(ScanResult::Clean));
        check(
            "stream: Eicar-Test-Signature FOUND\0",
            Some(ScanResult::Infected("Eicar-Test-Signature".into())),
        );
        let limit = "INSTREAM size limit exceeded.";
        check(&format!("{limit} ERROR\0"), Some(ScanResult::Refused(limit.into())));
        check("UNKNOWN COMMAND\0", None);
        check("stream: OK", None);
        check("stream: OK\0stream: OK\0", None);
        check("", None);
    }
}

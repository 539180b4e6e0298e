//! A client of ClamAV's daemon: `zINSTREAM` (clamd(8)).

use std::io;

use super::ScanResult;
use super::daemon::{self, Duplex, bad_answer, read_to_end};

/// Far below StreamMaxLength, large enough to be few.
const CHUNK_BYTES: usize = 64 << 10;

/// ClamAV's daemon.
#[derive(Debug, Clone)]
pub(crate) struct Clamd {
    endpoint: String,
}

impl Clamd {
    /// The daemon at `endpoint`: `host:port`, or the path of its socket.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned() }
    }

    /// Scans `content` over a connection of its own.
    ///
    /// # Errors
    /// The daemon can't be reached, does not answer in time, or its answer makes no sense.
    pub(crate) fn scan(&self, content: &[u8]) -> io::Result<ScanResult> {
        let stream = &mut *daemon::connect(&self.endpoint)?;
        let sent = send(stream, content);
        // A daemon that has seen too much says so and closes: its answer is worth more than the
        // failed write.
        let answer = match (read_to_end(stream), sent) {
            (Ok(answer), _) if !answer.is_empty() => answer,
            (_, Err(error)) | (Err(error), Ok(())) => return Err(error),
            (Ok(answer), Ok(())) => answer,
        };
        parse(&answer).ok_or_else(|| bad_answer(&answer))
    }
}

/// Chunks with their lengths in network order, ended by an empty one.
fn send(stream: &mut dyn Duplex, content: &[u8]) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0")?;
    for chunk in content.chunks(CHUNK_BYTES) {
        let length = u32::try_from(chunk.len()).expect("a chunk is short");
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(chunk)?;
    }
    stream.write_all(&0_u32.to_be_bytes())?;
    stream.flush()
}

/// `stream: OK`, `stream: Eicar-Test-Signature FOUND`, or `… ERROR`.
fn parse(answer: &[u8]) -> Option<ScanResult> {
    let text = std::str::from_utf8(answer).ok()?.trim_end_matches('\0').trim();
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
        check("", None);
    }
}

//! What others say about the content: SpamAssassin on a message of the list, ClamAV on it and on every attachment.
//!
//! Both daemons are asked where the campaign names them, and nowhere else. Neither gets to see who the other recipients are.

mod clamd;
mod spamd;

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::finding::{Finding, Group};
use crate::campaign::Checks;

/// A daemon that says nothing for so long is not waited for: the first scan loads SpamAssassin's rules.
const PATIENCE: Duration = Duration::from_secs(60);
/// A daemon on the same machine or next to it connects at once.
const CONNECT: Duration = Duration::from_secs(5);
/// More than any answer has.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A stream to a daemon.
trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// Asks the daemons that `checks` names about `message`, and about `files`: name and content of each attachment.
pub fn check(checks: &Checks, message: &[u8], files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(endpoint) = &checks.spamd {
        findings.push(match connect(endpoint).and_then(|mut stream| spamd::symbols(&mut stream, message)) {
            Ok(answer) => spam(&answer, checks.spam_threshold),
            Err(error) => unreachable("spamd-unreachable", "SpamAssassin", endpoint, &error),
        });
    }
    if let Some(endpoint) = &checks.clamd {
        findings.extend(viruses(endpoint, message, files));
    }
    findings
}

fn connect(endpoint: &str) -> io::Result<Box<dyn Duplex>> {
    #[cfg(unix)]
    if endpoint.starts_with('/') {
        let stream = std::os::unix::net::UnixStream::connect(endpoint)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        return Ok(Box::new(stream));
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for address in endpoint.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(Box::new(stream));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The whole answer, bounded.
fn read_to_end(stream: &mut dyn Duplex) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

fn bad_answer(answer: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("an answer that makes no sense: {}", shown.escape_debug()),
    )
}

fn unreachable(id: &'static str, who: &str, endpoint: &str, error: &io::Error) -> Finding {
    Finding::warning(Group::Content, id, format!("{who} at `{endpoint}` did not answer: {error}"))
        .why("the content has not been looked at")
        .mend("start the daemon, or correct its address in [check]")
}

fn spam(answer: &spamd::Answer, threshold: f64) -> Finding {
    let rules =
        if answer.rules.is_empty() { String::new() } else { format!(": {}", answer.rules.join(", ")) };
    let seen = format!(
        "SpamAssassin gives the message {:.1} points, {threshold:.1} are refused{rules}",
        answer.score
    );
    if answer.score < threshold {
        return Finding::ok(Group::Content, "spam-score", seen);
    }
    Finding::refused(Group::Content, "spam-score-high", seen)
        .why("receivers with the same rules put it into the spam folder or refuse it")
        .mend("look the rules up at https://spamassassin.apache.org/tests.html, or raise `spam-threshold` in [check]")
}

fn viruses(endpoint: &str, message: &[u8], files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clean = 0;
    let whole = ("a message of the list".to_owned(), message);
    let all = files.iter().map(|(name, content)| (format!("`{name}`"), content.as_slice()));
    for (name, content) in std::iter::once(whole).chain(all) {
        match connect(endpoint).and_then(|mut stream| clamd::scan(&mut stream, content)) {
            Ok(clamd::Verdict::Clean) => clean += 1,
            Ok(clamd::Verdict::Found(what)) => findings.push(
                Finding::refused(Group::Content, "virus", format!("ClamAV finds {what} in {name}"))
                    .why("receivers refuse it, and the domain's reputation with it")
                    .mend("take the file out"),
            ),
            Ok(clamd::Verdict::Error(error)) => findings.push(
                Finding::warning(
                    Group::Content,
                    "clamd-error",
                    format!("ClamAV can't look at {name}: {error}"),
                )
                .why("the content has not been looked at")
                .mend("StreamMaxLength in clamd.conf must be as large as the largest attachment"),
            ),
            Err(error) => {
                findings.push(unreachable("clamd-unreachable", "ClamAV", endpoint, &error));
                return findings;
            }
        }
    }
    if clean > 0 {
        let seen = format!("ClamAV finds nothing in {clean} of {} texts and files", files.len() + 1);
        findings.push(Finding::ok(Group::Content, "clamd", seen));
    }
    findings
}

#[cfg(test)]
mod tests;

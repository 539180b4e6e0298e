//! A client of SpamAssassin's daemon: `SYMBOLS` (spamd/PROTOCOL, version 1.5).

use std::io::{self, Write};

use super::daemon::{self, bad_answer, read_to_end};

/// SpamAssassin's daemon.
#[derive(Debug, Clone)]
pub(crate) struct Spamd {
    endpoint: String,
}

/// What SpamAssassin thinks of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Score {
    /// The points of all rules that matched; more is worse, and it can be negative.
    pub points: f64,
    /// The names of the rules that matched.
    pub rules: Vec<String>,
}

impl Spamd {
    /// The daemon at `endpoint`: `host:port`, or the path of its socket.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned() }
    }

    /// Scores `message`, a whole message with CRLF line ends.
    ///
    /// # Errors
    /// The daemon can't be reached, does not answer in time, or its answer makes no sense.
    pub(crate) fn score(&self, message: &[u8]) -> io::Result<Score> {
        let mut stream = daemon::connect(&self.endpoint, daemon::PATIENCE)?;
        let head = format!("SYMBOLS SPAMC/1.5\r\nContent-length: {}\r\n\r\n", message.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(message)?;
        stream.flush()?;
        let answer = read_to_end(&mut stream)?;
        parse(&answer).ok_or_else(|| bad_answer(&answer))
    }
}

/// `SPAMD/1.1 0 EX_OK`, header lines with `Spam: True ; 7.5 / 5.0`, an empty line, the rules.
fn parse(answer: &[u8]) -> Option<Score> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut status = lines.next()?.split_whitespace();
    if !status.next()?.starts_with("SPAMD/") || status.next()? != "0" {
        return None;
    }
    let spam = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Spam").then_some(value)
    })?;
    let (_, numbers) = spam.split_once(';')?;
    let points = numbers.split('/').next()?.trim().parse().ok()?;
    let rules = body.trim().split(',').map(str::trim).filter(|rule| !rule.is_empty());
    Some(Score { points, rules: rules.map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let good = "SPAMD/1.1 0 EX_OK\r\nContent-length: 29\r\nSpam: True ; 7.5 / 5.0\r\n\r\nHTML_MESSAGE,MISSING_DATE\r\n";
        let rules = vec!["HTML_MESSAGE".into(), "MISSING_DATE".into()];
        assert_eq!(parse(good.as_bytes()), Some(Score { points: 7.5, rules }));
        let none = "SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n\r\n";
        assert_eq!(parse(none.as_bytes()), Some(Score { points: -0.1, rules: Vec::new() }));
        for bad in [
            "",
            "SPAMD/1.0 76 Bad header line\r\n\r\n",
            "HTTP/1.1 200 OK\r\nSpam: True ; 1 / 5\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\n\r\n",
            "SPAMD/1.1 0 EX_OK\r\nSpam: True",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}

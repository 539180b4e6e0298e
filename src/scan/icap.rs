//! A client of scanners that speak ICAP (RFC 3507).
//!
//! A part of a message is shown to the service as the answer to an HTTP request (RESPMOD), or as a
//! request (REQMOD) where the service takes no answers. `204` is a clean bill. Everything else that
//! the service makes of the content, a page in its place above all, is a finding: what would leave
//! is not what the service lets pass.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ScanResult;
use super::daemon::{self, Connection};
use crate::campaign::split_icap_url;
use crate::kit::outside_text;

/// A head or a line of chunks longer than this makes no sense.
const LONGEST_HEAD: usize = 64 << 10;
/// How long the service's options hold at most (RFC 3507 §4.10.2).
const OPTIONS_HOLD: Duration = Duration::from_secs(300);
/// The name that the parts have for the service.
const PART: &str = "http://mailrun.invalid/part";

/// A service that speaks ICAP.
#[derive(Debug)]
pub(crate) struct Icap {
    url: String,
    authority: String,
    patience: Duration,
    options: Mutex<Option<(Instant, Options)>>,
}

/// What the service asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    /// It takes answers; otherwise requests.
    answers: bool,
    /// So many bytes are shown first.
    preview: Option<usize>,
}

impl Icap {
    /// The service at `icap://host:port/service`; `None` where that is no such address.
    pub(crate) fn at(url: &str, patience: Duration) -> Option<Self> {
        let (authority, _) = split_icap_url(url)?;
        Some(Self { url: url.to_owned(), authority, patience, options: Mutex::default() })
    }

    /// Has the service judge `content`, over a connection of its own.
    ///
    /// # Errors
    /// The service can't be reached, does not answer in time, refuses to work, or makes no sense.
    pub(crate) fn scan(&self, content: &[u8]) -> io::Result<ScanResult> {
        let result = self.options().and_then(|options| self.ask(options, content));
        if result.is_err() {
            // It may come back with other options.
            *self.known() = None;
        }
        result
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Options)>> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self) -> io::Result<Options> {
        if let Some((until, options)) = *self.known()
            && Instant::now() < until
        {
            return Ok(options);
        }
        let mut talk = Talk::to(&self.authority, self.patience)?;
        let asked = self.head("OPTIONS", "Encapsulated: null-body=0\r\nConnection: close\r\n");
        talk.stream.write_all(asked.as_bytes())?;
        let answer = talk.head()?;
        if answer.code != 200 {
            return Err(answer.unexpected());
        }
        let methods = answer.field("Methods").unwrap_or_default().to_ascii_uppercase();
        let options = Options {
            answers: methods.contains("RESPMOD") || !methods.contains("REQMOD"),
            preview: answer.field("Preview").and_then(|bytes| bytes.trim().parse().ok()),
        };
        let hold = answer.field("Options-TTL").and_then(|seconds| seconds.trim().parse().ok());
        let hold = hold.map_or(OPTIONS_HOLD, Duration::from_secs).min(OPTIONS_HOLD);
        *self.known() = Some((Instant::now() + hold, options));
        Ok(options)
    }

    fn ask(&self, options: Options, content: &[u8]) -> io::Result<ScanResult> {
        let mut talk = Talk::to(&self.authority, self.patience)?;
        let shown = options.preview.map(|bytes| bytes.min(content.len()));
        talk.stream.write_all(&self.question(options, content))?;
        let (first, rest) = content.split_at(shown.unwrap_or(content.len()));
        let whole = rest.is_empty();
        // RFC 3507 §4.5: what ends within the preview says so.
        let end: &[u8] = if shown.is_some() && whole { b"0; ieof\r\n\r\n" } else { b"0\r\n\r\n" };
        let mut sent = talk.chunk(first).and_then(|()| talk.stream.write_all(end));
        let mut answer = talk.head_after(&sent)?;
        if answer.code == 100 && !whole && sent.is_ok() {
            sent = talk.chunk(rest).and_then(|()| talk.stream.write_all(b"0\r\n\r\n"));
            answer = talk.head_after(&sent)?;
        }
        let result = self.result(&answer, &mut talk, content)?;
        match (result, sent) {
            // It has not seen all that it asked for.
            (ScanResult::Clean, Err(error)) => Err(error),
            (result, _) => Ok(result),
        }
    }

    fn head(&self, method: &str, fields: &str) -> String {
        let Self { url, authority, .. } = self;
        format!("{method} {url} ICAP/1.0\r\nHost: {authority}\r\nUser-Agent: mailrun\r\n{fields}\r\n")
    }

    /// The head of the question and the heads of HTTP in it.
    fn question(&self, options: Options, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let of_content =
            format!("Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n");
        let host = "Host: mailrun.invalid\r\n";
        let (method, encapsulated, heads) = if options.answers {
            let request = format!("GET {PART} HTTP/1.1\r\n{host}\r\n");
            let answer = format!("HTTP/1.1 200 OK\r\n{of_content}");
            let (at, end) = (request.len(), request.len() + answer.len());
            ("RESPMOD", format!("req-hdr=0, res-hdr={at}, res-body={end}"), request + &answer)
        } else {
            let request = format!("POST {PART} HTTP/1.1\r\n{host}{of_content}");
            ("REQMOD", format!("req-hdr=0, req-body={}", request.len()), request)
        };
        let preview = options.preview.map_or(String::new(), |_| {
            format!("Preview: {}\r\n", options.preview.unwrap_or(0).min(content.len()))
        });
        let fields = format!("Allow: 204\r\n{preview}Connection: close\r\nEncapsulated: {encapsulated}\r\n");
        (self.head(method, &fields) + &heads).into_bytes()
    }

    fn result(&self, answer: &Head, talk: &mut Talk, content: &[u8]) -> io::Result<ScanResult> {
        if let Some(found) = answer.finding() {
            return Ok(ScanResult::Infected(outside_text::line(&found).into_owned()));
        }
        match answer.code {
            204 => Ok(ScanResult::Clean),
            200 => {
                let (is_refusal, body) = talk.encapsulated(answer, content.len())?;
                if !is_refusal && body == content {
                    return Ok(ScanResult::Clean);
                }
                Ok(ScanResult::Infected("content that the scanner replaces".into()))
            }
            _ => Err(answer.unexpected()),
        }
    }
}

/// The first line and the fields of an answer.
struct Head {
    line: String,
    code: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let line = lines.next()?.to_owned();
        let mut words = line.split(' ');
        if !words.next()?.starts_with("ICAP/1.") {
            return None;
        }
        let code = words.next()?.parse().ok()?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for field in lines.filter(|line| !line.is_empty()) {
            match (field.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(field.trim());
                }
                (true, None) => return None,
                (false, _) => {
                    let (name, value) = field.split_once(':')?;
                    fields.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
        }
        Some(Self { line, code, fields })
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What was found, as servers say it in fields that no RFC knows.
    fn finding(&self) -> Option<String> {
        if let Some(found) = self.field("X-Infection-Found") {
            let threat = found.split(';').find_map(|part| part.trim().strip_prefix("Threat="));
            return Some(threat.unwrap_or(found).to_owned());
        }
        let names = ["X-Virus-ID", "X-Virus-Name", "X-Violations-Found"];
        let found = names.into_iter().find_map(|name| self.field(name))?;
        Some(found.to_owned())
    }

    fn unexpected(&self) -> io::Error {
        let line = outside_text::line(&self.line);
        io::Error::new(io::ErrorKind::InvalidData, format!("the service says `{line}`"))
    }
}

/// A connection and what was read from it too early.
struct Talk {
    stream: Connection,
    read: Vec<u8>,
}

impl Talk {
    fn to(authority: &str, patience: Duration) -> io::Result<Self> {
        Ok(Self { stream: daemon::connect(authority, patience)?, read: Vec::new() })
    }

    fn chunk(&mut self, content: &[u8]) -> io::Result<()> {
        // A chunk without bytes is the end.
        if content.is_empty() {
            return Ok(());
        }
        self.stream.write_all(format!("{:x}\r\n", content.len()).as_bytes())?;
        self.stream.write_all(content)?;
        self.stream.write_all(b"\r\n")
    }

    fn head(&mut self) -> io::Result<Head> {
        let text = self.up_to(b"\r\n\r\n")?;
        let parsed = std::str::from_utf8(&text).ok().and_then(Head::parse);
        parsed.ok_or_else(|| daemon::bad_answer(&text))
    }

    /// A service that has seen enough answers and closes: its answer is worth more than the failed
    /// write.
    fn head_after(&mut self, sent: &io::Result<()>) -> io::Result<Head> {
        match (self.head(), sent) {
            (Err(_), Err(error)) => Err(io::Error::new(error.kind(), error.to_string())),
            (head, _) => head,
        }
    }

    /// What comes before `end`, without it.
    fn up_to(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.read, end) {
                let before = self.read.drain(..at + end.len()).take(at).collect();
                return Ok(before);
            }
            if self.read.len() > LONGEST_HEAD {
                return Err(daemon::bad_answer(&self.read));
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < bytes {
            self.more()?;
        }
        Ok(self.read.drain(..bytes).collect())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8_192];
        let read = self.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the service ended in the middle of its answer",
            ));
        }
        self.read.extend_from_slice(&buffer[..read]);
        Ok(())
    }

    /// What the service lets pass: whether that is an HTTP answer that refuses, and the body, as
    /// far as it is no longer than it was.
    fn encapsulated(&mut self, answer: &Head, longest: usize) -> io::Result<(bool, Vec<u8>)> {
        let parts = answer.field("Encapsulated").unwrap_or_default().to_owned();
        let bad = || daemon::bad_answer(parts.as_bytes());
        // RFC 3507 §4.4.1: the body comes last, and its offset is the length of the heads.
        let (name, heads) = parts.rsplit(',').next().and_then(|part| part.split_once('=')).ok_or_else(bad)?;
        let heads: usize =
            heads.trim().parse().ok().filter(|heads| *heads <= LONGEST_HEAD).ok_or_else(bad)?;
        let heads = self.exactly(heads)?;
        let refuses = parts.contains("res-hdr")
            && !heads.starts_with(b"HTTP/1.1 200 ")
            && !heads.starts_with(b"HTTP/1.0 200 ");
        if name.trim() == "null-body" || refuses {
            return Ok((refuses, Vec::new()));
        }
        let mut body = Vec::new();
        loop {
            let line = self.up_to(b"\r\n")?;
            let size = std::str::from_utf8(&line).ok().and_then(|line| line.split(';').next());
            let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()).ok_or_else(bad)?;
            if size == 0 {
                return Ok((false, body));
            }
            if body.len().saturating_add(size) > longest {
                return Ok((true, Vec::new()));
            }
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    const OPTIONS: &str = "ICAP/1.0 200 OK\r\nMethods: RESPMOD, REQMOD\r\nPreview: 8\r\nAllow: 204\r\n\r\n";

    /// Plays a service: each step reads until what it was given ends so, and answers.
    fn service(connections: Vec<Vec<(&'static str, &'static str)>>) -> (Icap, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("icap://{}/scan", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let mut asked = Vec::new();
            for steps in connections {
                let (mut stream, _) = listener.accept().unwrap();
                let mut heard = String::new();
                for (until, answer) in steps {
                    while !heard.ends_with(until) {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        heard.push(char::from(byte[0]));
                    }
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                asked.push(heard);
            }
            asked
        });
        (Icap::at(&url, Duration::from_secs(5)).unwrap(), thread)
    }

    fn scan(content: &str, steps: Vec<(&'static str, &'static str)>) -> (io::Result<ScanResult>, String) {
        let (icap, thread) = service(vec![vec![("\r\n\r\n", OPTIONS)], steps]);
        let result = icap.scan(content.as_bytes());
        (result, thread.join().unwrap().remove(1))
    }

    fn infected(name: &str) -> ScanResult {
        ScanResult::Infected(name.to_owned())
    }

    #[test]
    fn what_ends_within_the_preview_says_so() {
        let (result, asked) = scan("short", vec![("0; ieof\r\n\r\n", "ICAP/1.0 204 No Content\r\n\r\n")]);
        assert_eq!(result.unwrap(), ScanResult::Clean);
        assert!(asked.starts_with("RESPMOD icap://127.0.0.1:"), "{asked}");
        assert!(asked.contains("\r\nAllow: 204\r\nPreview: 5\r\n"), "{asked}");
        let heads = asked.split("\r\n\r\n").collect::<Vec<_>>();
        let at = heads[1].len() + 4;
        let end = at + heads[2].len() + 4;
        assert!(
            heads[0].ends_with(&format!("Encapsulated: req-hdr=0, res-hdr={at}, res-body={end}")),
            "{asked}"
        );
        assert!(heads[3].starts_with("5\r\nshort\r\n0; ieof"), "{asked}");
    }

    #[test]
    fn the_rest_follows_when_it_is_asked_for() {
        let steps = || {
            vec![
                ("8\r\na longer\r\n0\r\n\r\n", "ICAP/1.0 100 Continue\r\n\r\n"),
                ("5\r\n text\r\n0\r\n\r\n", "ICAP/1.0 204 No Content\r\n\r\n"),
            ]
        };
        assert_eq!(scan("a longer text", steps()).0.unwrap(), ScanResult::Clean);
        let mut found = steps();
        found[1].1 = "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\r\n";
        assert_eq!(scan("a longer text", found).0.unwrap(), infected("Eicar"));
        let by_id = vec![("0\r\n\r\n", "ICAP/1.0 200 OK\r\nX-Virus-ID: Own.Sig\r\n\r\n")];
        assert_eq!(scan("a longer text", by_id).0.unwrap(), infected("Own.Sig"));
    }

    #[test]
    fn what_the_service_replaces_does_not_pass() {
        let check = |answer: &'static str, expected: Option<ScanResult>| {
            let (result, _) = scan("text", vec![("ieof\r\n\r\n", answer)]);
            assert_eq!(result.ok(), expected, "{answer}");
        };
        let replaced = Some(infected("content that the scanner replaces"));
        let head = "HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(head.len(), 19);
        check(
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n4\r\ntext\r\n0\r\n\r\n",
            Some(ScanResult::Clean),
        );
        check(
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n4\r\nTEXT\r\n0\r\n\r\n",
            replaced.clone(),
        );
        check(
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n",
            replaced.clone(),
        );
        check(
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            replaced,
        );
        // Cut off, broken, or no answer to the question: nobody has judged anything.
        for bad in [
            "",
            "ICAP/1.0 204 No Content\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "ICAP/1.0 100 Continue\r\n\r\n",
            "ICAP/1.0 404 Service not found\r\n\r\n",
            "ICAP/1.0 503 Overloaded\r\n\r\n",
            "ICAP/1.0 200 OK\r\n\r\n",
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n4\r\nte",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_service_that_takes_requests_only_gets_one() {
        let options = "ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n\r\n";
        let clean = ("0\r\n\r\n", "ICAP/1.0 204 No Content\r\n\r\n");
        let (icap, thread) = service(vec![vec![("\r\n\r\n", options)], vec![clean], vec![clean]]);
        assert_eq!(icap.scan(b"text").unwrap(), ScanResult::Clean);
        // Its options are asked once.
        assert_eq!(icap.scan(b"text").unwrap(), ScanResult::Clean);
        let asked = thread.join().unwrap();
        assert!(asked[1].starts_with("REQMOD ") && asked[1].contains("POST http://mailrun.invalid/part"));
        assert!(!asked[1].contains("Preview"), "{}", asked[1]);
    }
}

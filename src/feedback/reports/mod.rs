//! Reports about domains: DMARC aggregates (RFC 7489 appendix C, RFC 9990) and TLS reports
//! (RFC 8460), packed or not. What a file is, its first bytes say: names and types are often wrong.

mod dmarc;
mod tls;
mod unpack;
mod xml;

use std::io::{self, BufRead, Read};

use serde::Serialize;

pub use dmarc::{DmarcReport, DmarcRow};
pub use tls::{TlsReport, TlsRow};

use super::event::Kind;

/// A report about a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Who sent in the name of a domain.
    Dmarc(DmarcReport),
    /// How TLS went towards a domain.
    Tls(TlsReport),
}

impl Report {
    /// How many rows are kept of it.
    pub fn rows(&self) -> usize {
        match self {
            Self::Dmarc(report) => report.rows.len(),
            Self::Tls(report) => report.rows.len(),
        }
    }

    /// The kind of mail that brings it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Dmarc(_) => Kind::DmarcAggregate,
            Self::Tls(_) => Kind::TlsReport,
        }
    }
}

/// The report in a file or a part of a mail; the first one of an archive.
pub(super) fn read(bytes: &[u8]) -> Option<Report> {
    let mut found = None;
    unpack::each_file(bytes, &mut |file| {
        found = unpacked(file);
        found.is_none()
    });
    found
}

fn unpacked(file: &mut dyn BufRead) -> Option<Report> {
    if file.fill_buf().ok()?.starts_with(b"\xef\xbb\xbf") {
        file.consume(3);
    }
    let first = loop {
        let buffer = file.fill_buf().ok()?;
        let blanks = buffer.len() - buffer.trim_ascii_start().len();
        match buffer.get(blanks) {
            Some(first) => break *first,
            None if buffer.is_empty() => return None,
            None => file.consume(blanks),
        }
    };
    let mut file = Hashed { file, hasher: blake3::Hasher::new() };
    let mut report = match first {
        b'<' => Report::Dmarc(dmarc::read(&mut file)?),
        b'{' => Report::Tls(tls::read(&mut file)?),
        _ => return None,
    };
    let hash = file.hash();
    match &mut report {
        Report::Dmarc(report) => report.hash = hash,
        Report::Tls(report) => report.hash = hash,
    }
    Some(report)
}

/// A file that is hashed as it is read: without its white space, which mails change.
struct Hashed<'a> {
    file: &'a mut dyn BufRead,
    hasher: blake3::Hasher,
}

impl Hashed<'_> {
    /// Of the file to its end.
    fn hash(mut self) -> String {
        io::copy(&mut self, &mut io::sink()).ok();
        self.hasher.finalize().to_hex()[..32].to_owned()
    }
}

impl BufRead for Hashed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is consumed is in the buffer: no more is read here.
        if let Ok(buffer) = self.file.fill_buf() {
            for word in buffer[..amount].split(u8::is_ascii_whitespace) {
                self.hasher.update(word);
            }
        }
        self.file.consume(amount);
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(to)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;

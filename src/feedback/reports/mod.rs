//! Reports about domains: DMARC aggregates (RFC 7489 appendix C, RFC 9990) and TLS reports
//! (RFC 8460), packed or not. What a file is, its first bytes say: names and types are often wrong.

mod dmarc;
mod tls;
mod unpack;
mod xml;

use std::borrow::Cow;

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
pub(super) fn read<'b>(bytes: impl Into<Cow<'b, [u8]>>) -> Option<Report> {
    let mut found = None;
    unpack::each_file(bytes.into(), &mut |bytes| {
        found = unpacked(bytes);
        found.is_none()
    });
    found
}

fn unpacked(bytes: &[u8]) -> Option<Report> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match bytes.first()? {
        b'<' => dmarc::read(bytes).map(Report::Dmarc),
        b'{' => tls::read(bytes).map(Report::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

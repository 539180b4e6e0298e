//! A server's reply (RFC 5321 §4.2) and its enhanced status code (RFC 3463, RFC 2034).

use std::fmt;
use std::str::FromStr;

/// An enhanced status code: `class.subject.detail` (RFC 3463 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedStatus {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// What the status is about: 1 addressing, 2 mailbox, … (0 to 999).
    pub subject: u16,
    /// The detail within the subject (0 to 999).
    pub detail: u16,
}

impl EnhancedStatus {
    /// The code at the start of a reply's text, with what follows it; `None` where there is none.
    pub fn split(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        word.parse().ok().map(|status| (status, rest))
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The text is not of the form `class.subject.detail`.
#[derive(Debug, thiserror::Error)]
#[error("not an enhanced status code: `{0}`")]
pub struct BadStatus(String);

impl FromStr for EnhancedStatus {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: Option<&str>| {
            part.filter(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|p| p.parse::<u16>().ok())
        };
        let mut parts = text.split('.');
        let (class, subject, detail) = (number(parts.next()), number(parts.next()), number(parts.next()));
        match (class, subject, detail, parts.next()) {
            (Some(class @ (2 | 4 | 5)), Some(subject), Some(detail), None) => {
                Ok(Self { class: class as u8, subject, detail })
            }
            _ => Err(BadStatus(text.to_owned())),
        }
    }
}

/// One reply of a server, its lines joined with a space and without the enhanced status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits (200 to 599).
    pub code: u16,
    /// The enhanced status code, where the server gives one.
    pub enhanced: Option<EnhancedStatus>,
    /// The text; what is not visible is written out as `\u{1b}`.
    pub text: String,
}

impl Reply {
    /// 2yz: done (RFC 5321 §4.2.1).
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: may work later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: will not work.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_status_reads_and_prints() {
        let (status, rest) = EnhancedStatus::split("5.7.515 Access denied").unwrap();
        assert_eq!((status.class, status.subject, status.detail, rest), (5, 7, 515, "Access denied"));
        assert_eq!(status.to_string(), "5.7.515");
        for bad in ["", "5.7", "3.0.0", "5.7.1.2", "5.7.x", "5.1234.1", "+5.1.1"] {
            assert!(bad.parse::<EnhancedStatus>().is_err(), "{bad}");
        }
    }
}

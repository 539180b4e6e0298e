//! The steps of the SMTP dialogue, for errors and fates.

use std::fmt;

/// A step of the SMTP dialogue that the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// The connection itself, answered by the greeting.
    Connect,
    /// EHLO or HELO.
    Ehlo,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH and the lines that follow it (RFC 4954).
    Auth,
    /// RSET.
    Rset,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// RCPT TO for the archive address.
    ArchiveRcpt,
    /// DATA, answered by 354.
    Data,
    /// The end of the message: the dot after DATA, or the last BDAT chunk (RFC 3030).
    EndOfMessage,
    /// QUIT.
    Quit,
}

impl Command {
    /// The verb in errors and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Rset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::ArchiveRcpt => "RCPT for the archive",
            Self::Data => "DATA",
            Self::EndOfMessage => "end of message",
            Self::Quit => "QUIT",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

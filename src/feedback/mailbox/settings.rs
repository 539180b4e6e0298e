//! `[[feedback.mailbox]]`: where a mailbox is, and what becomes of its mails.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mailbox {
    /// The server.
    pub host: String,
    /// Its port; by default that of `tls`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is secured.
    #[serde(default)]
    pub tls: MailboxTls,
    /// A PEM file with the certificates to trust; by default the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The user.
    pub username: String,
    /// The environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// The file that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The folder with the mails.
    #[serde(default = "inbox")]
    pub folder: String,
    /// What becomes of mails that were read.
    #[serde(default)]
    pub done: Done,
}

/// How a connection is secured. A password is never sent without TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailboxTls {
    /// TLS from the first byte (RFC 8314).
    #[default]
    Implicit,
    /// STARTTLS, or nothing.
    Starttls,
}

/// What becomes of a mail that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Done {
    /// It gets the flag `\Flagged`; flagged mails are not read.
    #[default]
    Flag,
    /// It is moved to this folder.
    Move(String),
    /// It is deleted.
    Delete,
}

impl Mailbox {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailboxTls::Implicit => 993,
            MailboxTls::Starttls => 143,
        })
    }

    /// The same with its files seen from `folder`, or what is wrong with it.
    pub fn checked(mut self, folder: &Path) -> Result<Self, String> {
        for path in [&mut self.ca_file, &mut self.password_file].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        if self.password_env.is_some() == self.password_file.is_some() {
            return Err(format!("mailbox `{self}` needs one of `password-env` and `password-file`"));
        }
        if matches!(&self.done, Done::Move(to) if *to == self.folder) {
            return Err(format!("mailbox `{self}` moves mails to the folder that they are in"));
        }
        let texts = [&self.host, &self.username, &self.folder];
        if texts.iter().any(|text| text.is_empty() || text.contains(char::is_control)) {
            return Err(format!("mailbox `{self}` has an empty name, or one with control characters"));
        }
        Ok(self)
    }
}

/// `user@host/INBOX`.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.username, self.host, self.folder)
    }
}

impl FromStr for Done {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "flag" => Ok(Self::Flag),
            "delete" => Ok(Self::Delete),
            _ => match text.strip_prefix("move:") {
                Some(folder) if !folder.is_empty() && !folder.contains(char::is_control) => {
                    Ok(Self::Move(folder.to_owned()))
                }
                Some(_) | None => Err(format!("`{text}` is none of `flag`, `delete` and `move:Folder`")),
            },
        }
    }
}

impl TryFrom<String> for Done {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

fn inbox() -> String {
    "INBOX".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Mailbox, String> {
        let text = format!("host = \"imap.example.com\"\nusername = \"bounces\"\n{more}");
        let mailbox: Mailbox = toml::from_str(&text).map_err(|error| error.to_string())?;
        mailbox.checked(Path::new("/state"))
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let mailbox = read("password-file = \"imap.password\"\n").unwrap();
        assert_eq!((mailbox.port(), mailbox.folder.as_str(), &mailbox.done), (993, "INBOX", &Done::Flag));
        assert_eq!(mailbox.password_file.as_deref(), Some(Path::new("/state/imap.password")));
        assert_eq!(mailbox.to_string(), "bounces@imap.example.com/INBOX");
        let other = read("password-env = \"P\"\ntls = \"starttls\"\ndone = \"move:Old mail\"\n").unwrap();
        assert_eq!((other.port(), other.done), (143, Done::Move("Old mail".to_owned())));
    }

    #[test]
    fn mistakes_are_named() {
        for (more, why) in [
            ("", "needs one of"),
            ("password-env = \"A\"\npassword-file = \"b\"\n", "needs one of"),
            ("password-env = \"A\"\ndone = \"move:INBOX\"\n", "that they are in"),
            ("password-env = \"A\"\ndone = \"move:\"\n", "none of `flag`"),
            ("password-env = \"A\"\ndone = \"keep\"\n", "none of `flag`"),
            ("password-env = \"A\"\nfolder = \"a\\nb\"\n", "control characters"),
            ("password-env = \"A\"\ntls = \"none\"\n", "unknown variant"),
            ("password = \"A\"\n", "unknown field"),
        ] {
            let error = read(more).unwrap_err();
            assert!(error.contains(why), "{more}: {error}");
        }
    }
}

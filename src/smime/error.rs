//! Why a certificate can't be used for signing.

use std::io;
use std::path::PathBuf;

use chrono::NaiveDate;

/// Why a certificate can't be used for signing.
#[derive(Debug, thiserror::Error)]
pub enum SmimeError {
    /// A file can't be read.
    #[error("can't read `{}` of [smime]", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` holds {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, or what is wrong with it.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// There is no private key.
    #[error("there is no private key for the certificate in `{}`", certificate.display())]
    NoKey {
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error("no certificate in `{}` is that of the private key", certificate.display())]
    OtherKey {
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// None of several signs on this day.
    #[error("no certificate of [smime] signs on {day}")]
    NoneToday {
        /// The day (UTC).
        day: NaiveDate,
    },
    /// It is encrypted, and no password is given.
    #[error("`{}` is encrypted", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// The password is another.
    #[error("the password does not open `{}`", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
}

impl SmimeError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "paths in `[smime]` are relative to the campaign file",
            Self::Content { hint, .. } => hint,
            Self::NoKey { .. } => "name the PEM file with the key in `key`",
            Self::OtherKey { .. } => "name the certificate and the key that belong together",
            Self::NoneToday { .. } => {
                "its `use-from` and `use-until` must leave no day out: unsigned mail is not sent"
            }
            Self::NoPassword { .. } => "name what holds the password in `password-env` or `password-file`",
            Self::Password { .. } => "compare it with the password that the file was exported with",
        }
    }
}

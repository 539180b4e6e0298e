//! The exit codes: part of the contract with cron and scripts.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Finished; every planned recipient accepted.
    Ok,
    /// Finished; some recipients were not accepted.
    SomeNotAccepted,
    /// The command, the campaign file or the input is wrong; nothing was sent.
    Usage,
    /// A preflight check refused; nothing was sent.
    Refused,
    /// Interrupted or stopped early; the same command resumes.
    Interrupted,
    /// Another process is running this campaign, and nothing was sent; or mails were not kept since
    /// the run that they name can't be read. `EX_TEMPFAIL` of sysexits.
    Busy,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::SomeNotAccepted => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Interrupted => 4,
            Self::Busy => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

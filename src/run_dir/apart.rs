//! Runs that are none of a campaign's own.

/// What is kept apart from a campaign's runs: it has names of its own, and never answers to the
/// campaign's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Messages of single rows, sent to other addresses.
    Tests,
    /// Runs that the embedded receiver gets.
    Rehearsals,
    /// Messages of single rows that were sent once more.
    Resent,
    /// Mails with tokens that verify the addresses of senders.
    Verifications,
}

impl Apart {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tests, Self::Rehearsals, Self::Resent, Self::Verifications];

    /// Their folder in that of the runs.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Rehearsals => "rehearsals",
            Self::Resent => "resent",
            Self::Verifications => "verifications",
        }
    }
}

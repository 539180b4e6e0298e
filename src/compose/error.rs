//! Why a row can't be composed.

use crate::template::Fault;

/// Why one row has no message; the rest are sent. Its text is the row's `detail`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderFailure {
    /// A template can't be rendered for it.
    #[error(transparent)]
    Template(#[from] Fault),
    /// A file named by an attachment column.
    #[error("attachment `{file}` of column `{column}` {problem}")]
    Attachment {
        /// The column.
        column: String,
        /// The path as the row has it.
        file: String,
        /// A lowercase fragment.
        problem: String,
    },
    /// With `[secure-documents]`, a row has none.
    #[error("it has no document: {columns} name no file")]
    NoDocument {
        /// The columns.
        columns: String,
    },
    /// The row's language or time zone is not known.
    #[error("column `{column}`: {problem}")]
    Local {
        /// The column.
        column: String,
        /// A lowercase fragment.
        problem: String,
    },
    /// There is no letter for the row's language.
    #[error("there is no letter for `{language}` (column `{column}`), and no default")]
    Language {
        /// The column.
        column: String,
        /// What the row says.
        language: String,
    },
    /// Larger than `template.largest`, the signatures counted.
    #[error("the message has {bytes} bytes; at most {largest} are allowed")]
    TooLarge {
        /// As it would be sent.
        bytes: u64,
        /// `template.largest`.
        largest: u64,
    },
    /// The documents of the encrypted ZIP, before they are packed, are larger than a message.
    #[error("its documents have {bytes} bytes; at most {largest} are allowed")]
    LargeDocuments {
        /// Those of all recipients and its own.
        bytes: u64,
        /// `template.largest`.
        largest: u64,
    },
    /// The recipient's id does not fit into an unsubscribe token.
    #[error(
        "the recipient's id has {bytes} bytes; at most {} fit into an unsubscribe token",
        super::token::LONGEST
    )]
    LongId {
        /// Its length.
        bytes: usize,
    },
    /// A ready message can't be sent.
    #[error("the message {problem}")]
    Ready {
        /// A fragment, after "the message".
        problem: String,
    },
    /// A text contains the line that separates the parts of the message.
    #[error("a part contains the boundary between parts")]
    Boundary,
    /// A template takes other passwords, and not this one.
    #[error("the templates can't print this password")]
    UnfitPassword,
    /// The mail with the password of its documents can't be composed, so these don't leave.
    #[error("the mail with the password: {0}")]
    Password(#[source] Box<Self>),
}

impl RenderFailure {
    /// The same, whichever of a row's mails it is about.
    pub(crate) fn of_either_mail(&self) -> &Self {
        match self {
            Self::Password(own) => own.of_either_mail(),
            own => own,
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Template(Fault::NoValue { .. }) => "give the row a value or the template a default",
            Self::Template(Fault::Value { .. }) => "correct the row's value or the template",
            Self::Attachment { .. } => "correct the row's path, or put the file there",
            Self::NoDocument { .. } => "give the row a file, or leave it out of the list",
            Self::Local { .. } => "correct the row's value, or leave it empty",
            Self::Language { .. } => {
                "correct the row's value, or give `subject`, `text` and `html` a `default`"
            }
            Self::TooLarge { .. } | Self::LargeDocuments { .. } => {
                "attach less, or raise `largest` in [template]"
            }
            Self::LongId { .. } => "shorten the id, or name another column as `id` in [target-group]",
            Self::Ready { .. } => "correct the message in its file of batch SMTP",
            Self::Boundary => "remove that line from the template or the row",
            Self::UnfitPassword => "print `{{password}}` as it is",
            Self::Password(own) => own.hint(),
        }
    }
}

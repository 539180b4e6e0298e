//! Tokens that are refused: of unsubscribe links, and of mails that verify a sender.

use crate::compose::token::TokenError;

/// Why a token unsubscribes nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenRefused {
    /// It can't be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is that of a test message.
    #[error(
        "the token is that of a test message of run `{run}`, which another address got: it unsubscribes nobody"
    )]
    Test {
        /// The run.
        run: String,
    },
    /// It holds an id only, and its run is gone.
    #[error("the token holds only the id `{id}`, and run `{run}` is not found")]
    NoRun {
        /// The recipient's id.
        id: String,
        /// The run.
        run: String,
    },
    /// Its run has no such recipient.
    #[error("run `{run}` has no recipient `{id}`")]
    NoRecipient {
        /// The recipient's id.
        id: String,
        /// The run.
        run: String,
    },
}

impl TokenRefused {
    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Token(TokenError::Secret) => {
                "name the campaign whose `[unsubscribe]` names the secret with `--campaign FILE`; the default is \
                 the secret in the state directory"
            }
            Self::Token(TokenError::Kind) => {
                "read it with the version of mailrun that made it, or a later one"
            }
            Self::Test { .. } => {
                "add the address itself: `mailrun suppress add ADDRESS --reason unsubscribe`"
            }
            Self::NoRun { .. } => {
                "choose the folder of its run with `--runs DIR`, or add the address itself with `--reason unsubscribe`"
            }
            Self::NoRecipient { .. } => {
                "add the address itself: `mailrun suppress add ADDRESS --reason unsubscribe`"
            }
        }
    }
}

/// Why a token verifies nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerificationError {
    /// Altered, or made with another state directory.
    #[error("the token was not made with this state directory, or was altered")]
    Token,
    /// It was sent to somebody else.
    #[error("the token was sent to `{0}`")]
    OtherAddress(String),
    /// A later mail was sent, or the address is verified.
    #[error("the token is not that of the last mail to `{0}`")]
    NotTheLast(String),
    /// Too old.
    #[error("the token is older than 7 days")]
    Old,
}

impl VerificationError {
    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Token => "copy the whole token, and use the `--state` that sent the mail",
            Self::OtherAddress(_) => "verify that address, or use the token of the mail to this one",
            Self::NotTheLast(_) => "use the token of the last mail",
            Self::Old => {
                "have another mail sent with `mailrun sender verify --address ADDRESS --campaign FILE`"
            }
        }
    }
}

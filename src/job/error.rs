//! What can go wrong, by noun: what it is, where, what to do, and how the command ends.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::freeze_error::FreezeError;
use super::purge_error::PurgeError;
use super::recover_error::RecoverError;
use super::refusal::Refusal;
use super::retry_error::RetryError;
use super::token_error::{TokenRefused, VerificationError};
use crate::campaign::{Campaign, CampaignError, NotRegistered};
use crate::compose::NoRoom;
use crate::dkim::{KeyError, SignError};
use crate::journal::JournalError;
use crate::kit::store::StoreError;
use crate::kit::text::{counted, grouped};
use crate::mail::Address;
use crate::pacing::LedgerError;
use crate::plan::PlanError;
use crate::results::ResultsError;
use crate::route::RuleError;
use crate::route::{PolicyStoreError, ResolverError, ShapingError};
use crate::run::{FinishError, PlanningError};
use crate::run_dir::RunDirError;
use crate::scan::ScannerError;
use crate::screen::ScreenError;
use crate::smime::SmimeError;
use crate::smtp::{BadEhloName, TlsError};
use crate::target_group::TargetGroupError;
use crate::template::TemplateError;
use crate::webhook::WebhookError;

/// How a command with this error ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The command, the campaign file or the input is wrong; nothing was sent.
    Usage,
    /// A check refused; nothing was sent.
    Refused,
    /// Mail may have gone out; the same command resumes.
    Interrupted,
    /// Another process works on the run; nothing was sent.
    Busy,
}

/// A job can't be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    #[error(transparent)]
    TargetGroup(#[from] TargetGroupError),
    #[error(transparent)]
    State(#[from] StoreError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Smime(#[from] SmimeError),
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Results(#[from] ResultsError),
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    #[error(transparent)]
    Shaping(#[from] ShapingError),
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error(transparent)]
    Scanner(#[from] ScannerError),
    #[error(transparent)]
    Policies(#[from] PolicyStoreError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Sender(#[from] SenderRefused),
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    #[error(transparent)]
    Retry(#[from] RetryError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Purge(#[from] PurgeError),
    #[error(transparent)]
    Token(#[from] TokenRefused),
    #[error(transparent)]
    Verification(#[from] VerificationError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Mail may have gone out.
    #[error(transparent)]
    Interrupted(Box<JobError>),
}

impl JobError {
    /// The same after the first message may have gone out.
    pub(super) fn interrupted(error: impl Into<Self>) -> Self {
        Self::Interrupted(Box::new(error.into()))
    }

    /// How a command with this error ends.
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::RunDir(RunDirError::Locked { .. }) | Self::Purge(PurgeError::InUse) => ErrorClass::Busy,
            // The input is wrong.
            Self::Refusal(Refusal::List { .. }) => ErrorClass::Usage,
            Self::Sender(_) | Self::Refusal(Refusal::Findings { .. } | Refusal::NotApproved { .. }) => {
                ErrorClass::Refused
            }
            Self::Interrupted(_) => ErrorClass::Interrupted,
            Self::Campaign(_)
            | Self::Scanner(_)
            | Self::TargetGroup(_)
            | Self::State(_)
            | Self::Template(_)
            | Self::Key(_)
            | Self::Smime(_)
            | Self::RunDir(_)
            | Self::Plan(_)
            | Self::Journal(_)
            | Self::Ledger(_)
            | Self::Results(_)
            | Self::Resolver(_)
            | Self::Shaping(_)
            | Self::Rule(_)
            | Self::Policies(_)
            | Self::Workspace(_)
            | Self::Secret(_)
            | Self::Freeze(_)
            | Self::Retry(_)
            | Self::Selection(_)
            | Self::Setup(_)
            | Self::Export(_)
            | Self::Recover(_)
            | Self::Purge(_)
            | Self::Token(_)
            | Self::Verification(_)
            | Self::Webhook(_) => ErrorClass::Usage,
        }
    }
}

impl From<PlanningError> for JobError {
    fn from(error: PlanningError) -> Self {
        match error {
            PlanningError::TargetGroup(error) => error.into(),
            PlanningError::Screen(error) => SelectionError::Screen(error).into(),
            PlanningError::Plan(error) => error.into(),
        }
    }
}

impl From<SignError> for JobError {
    fn from(error: SignError) -> Self {
        SetupError::Sign(error).into()
    }
}

impl From<FinishError> for JobError {
    fn from(error: FinishError) -> Self {
        match error {
            FinishError::Plan(error) => error.into(),
            FinishError::Journal(error) => error.into(),
            FinishError::Results(error) => error.into(),
        }
    }
}

/// The suppression list can't be written to a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// Neither CSV nor Parquet.
    #[error("the file's extension decides the format")]
    Extension(PathBuf),
    /// The file can't be written.
    #[error("can't write the list")]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ExportError {
    /// Turns the error of a writer of `file` into this one.
    pub(super) fn write<E: Into<Box<dyn Error + Send + Sync>>>(file: &Path) -> impl Fn(E) -> Self {
        let file = file.to_owned();
        move |error| Self::Write { file: file.clone(), source: error.into() }
    }

    /// The file.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Extension(file) | Self::Write { file, .. } => file.display().to_string(),
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Extension(_) => Some("use `.csv` or `.parquet`"),
            Self::Write { .. } => None,
        }
    }
}

/// The state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// Neither an option nor the environment says where it is.
    #[error("can't choose a state directory: neither HOME nor XDG_STATE_HOME is set")]
    Homeless,
    /// The system refuses.
    #[error("can't {action}")]
    Io {
        /// `create the state directory`, `save the location of the runs`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is known of senders can't be understood.
    #[error("the notes on senders are damaged")]
    Notes {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl WorkspaceError {
    /// The file or directory.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::Homeless => None,
            Self::Io { path, .. } | Self::Notes { path, .. } => Some(path.display().to_string()),
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Homeless | Self::Io { .. } => {
                "choose a state directory with `--state DIR` or MAILRUN_STATE"
            }
            Self::Notes { .. } => "restore it from a backup, or remove it and verify its addresses again",
        }
    }
}

/// A secret is missing or unreadable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// Its environment variable is not set.
    #[error("the environment variable `{name}` is not set")]
    NotSet {
        /// The variable.
        name: String,
        /// What to do.
        hint: &'static str,
    },
    /// Its file can't be read.
    #[error("can't read {what}")]
    Read {
        /// Whose secret it is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It can be guessed.
    #[error("{what} has {bytes} bytes, and needs at least {least}")]
    TooShort {
        /// Whose secret it is.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The least that it may have.
        least: usize,
    },
    /// The one in the state directory can't be read or made.
    #[error("can't read or create the secret of the tokens")]
    Own {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl SecretError {
    /// The file.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::NotSet { .. } | Self::TooShort { .. } => None,
            Self::Read { path, .. } | Self::Own { path, .. } => Some(path.display().to_string()),
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotSet { hint, .. } => Some(hint),
            Self::TooShort { .. } => Some("`openssl rand -base64 33` makes a good one"),
            Self::Read { .. } | Self::Own { .. } => None,
        }
    }
}

/// The campaign contradicts the registry of senders.
#[derive(Debug, thiserror::Error)]
#[error("{refused}")]
pub(crate) struct SenderRefused {
    /// What.
    pub refused: NotRegistered,
    /// The registry.
    pub registry: PathBuf,
    /// The place in the campaign file that contradicts it, if one does.
    pub in_campaign: Option<Box<CampaignError>>,
}

impl SenderRefused {
    /// `campaign` contradicts the registry at `registry`.
    pub(super) fn new(refused: NotRegistered, registry: PathBuf, campaign: &Campaign) -> Self {
        let in_campaign = refused
            .contradiction()
            .map(|(key, found)| Box::new(campaign.error_at(key, Some(found), refused.to_string(), None)));
        Self { refused, registry, in_campaign }
    }

    /// The campaign file's place, or the registry.
    pub(super) fn place(&self) -> String {
        self.in_campaign.as_ref().map_or_else(|| self.registry.display().to_string(), |error| error.at())
    }
}

/// A part of the job can't be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// TLS.
    #[error("can't set up TLS")]
    Tls(#[source] TlsError),
    /// The name in EHLO.
    #[error("invalid `delivery.ehlo`")]
    Ehlo(#[source] BadEhloName),
    /// The return paths.
    #[error("can't create return paths")]
    ReturnPath {
        /// The campaign file.
        campaign: PathBuf,
        /// Why.
        #[source]
        source: NoRoom,
    },
    /// A signature.
    #[error("can't sign a message")]
    Sign(#[source] SignError),
    /// The folder of route `bsmtp`.
    #[error("can't write to the folder `{folder}` of `[delivery.bsmtp]`")]
    BatchFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The embedded receiver.
    #[error("can't start the sandbox")]
    Sandbox(#[source] io::Error),
    /// More rows than passwords can be numbered for.
    #[error("{rows} rows are too many for secure documents")]
    TooManyPasswords {
        /// The plan's rows.
        rows: u32,
    },
    /// A thread.
    #[error("can't start the {name}'s thread")]
    Thread {
        /// `ledger`, `suppressor`.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder for files that are not kept.
    #[error("can't create a temporary folder")]
    Temporary(#[source] io::Error),
    /// The list that comes from stdin.
    #[error("can't keep the list from stdin")]
    Stdin(#[source] io::Error),
    /// Nobody types a list.
    #[error("the list is to come from stdin, which is a terminal")]
    StdinIsTerminal,
    /// Real mail must be paced.
    #[error("`--unpaced` ignores the agreed capacity and works only with the sandbox")]
    Unpaced,
}

impl SetupError {
    /// The file and key.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::ReturnPath { campaign, .. } => {
                Some(format!("{}, `sender.return-path`", campaign.display()))
            }
            Self::Tls(_)
            | Self::Ehlo(_)
            | Self::Sign(_)
            | Self::Sandbox(_)
            | Self::BatchFolder { .. }
            | Self::Thread { .. }
            | Self::Temporary(_)
            | Self::Stdin(_)
            | Self::StdinIsTerminal
            | Self::TooManyPasswords { .. }
            | Self::Unpaced => None,
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ehlo(_) => Some("use this machine's host name"),
            Self::ReturnPath { .. } => Some("shorten its local part, or set `verp = false`"),
            Self::Unpaced => Some("add `--sandbox` to rehearse"),
            Self::TooManyPasswords { .. } => Some("split the list"),
            Self::Stdin(_) => Some("`TMPDIR` names the folder for it; the run keeps a copy"),
            Self::StdinIsTerminal => Some("send it there: `cat list.csv | mailrun send --list - CAMPAIGN`"),
            Self::BatchFolder { .. } => Some(
                "make the folder, writable for this user and readable for the program that sends the files",
            ),
            Self::Tls(_) | Self::Sign(_) | Self::Sandbox(_) | Self::Thread { .. } | Self::Temporary(_) => {
                None
            }
        }
    }
}

/// A row is not among those that pass screening, or has no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectionError {
    /// The rows can't be screened.
    #[error("can't screen the target group")]
    Screen(#[source] ScreenError),
    /// Fewer rows pass screening.
    #[error("no row {row}: {} of {} pass screening", grouped(*accepted), counted(*rows, "row", "rows"))]
    NoRow {
        /// The row asked for.
        row: u32,
        /// Rows that pass screening.
        accepted: u64,
        /// All rows.
        rows: u64,
    },
    /// No row has the address.
    #[error("no row that passes screening has the address `{0}`")]
    NoAddress(Address),
    /// The row has no message.
    #[error("can't render the message for `{email}`: {reason}")]
    Render {
        /// The recipient.
        email: String,
        /// File and row.
        place: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The address is not a return path of the run.
    #[error("`{address}` is not a return path of run `{run}`")]
    NoReturnPath {
        /// The address.
        address: Address,
        /// The run.
        run: String,
    },
    /// No run has a row with this notification id.
    #[error("no run has a notification `{id}`")]
    NoNotification {
        /// The id.
        id: String,
    },
}

impl SelectionError {
    /// File and row.
    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Render { place, .. } => Some(place),
            Self::Screen(_)
            | Self::NoRow { .. }
            | Self::NoAddress(_)
            | Self::NoReturnPath { .. }
            | Self::NoNotification { .. } => None,
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Screen(_) | Self::NoRow { .. } => None,
            Self::NoAddress(_) => {
                Some("addresses are case-sensitive; `mailrun send --dry-run` shows which rows fail and why")
            }
            Self::Render { hint, .. } => Some(hint),
            Self::NoReturnPath { .. } => Some(
                "its token belongs to another run, was made with another secret, or was altered in transit",
            ),
            Self::NoNotification { .. } => Some(
                "copy the `notificationId` that `mailrun status --json` prints for a recipient, or name the run too",
            ),
        }
    }
}

/// The error and its causes, joined with `: `; a cause that its error's text repeats is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_first_message_every_error_leaves_the_run_to_be_resumed() {
        let error = JobError::from(RetryError::Accepted);
        assert_eq!(error.class(), ErrorClass::Usage);
        let text = error.to_string();
        let error = JobError::interrupted(error);
        assert_eq!((error.class(), error.to_string()), (ErrorClass::Interrupted, text));
    }

    #[test]
    fn a_chain_repeats_nothing() {
        let source = io::Error::other("disk full");
        let error = SecretError::Own { path: "token.key".into(), source };
        assert_eq!(chain(&error), "can't read or create the secret of the tokens: disk full");
    }
}

//! What can go wrong, by noun: what it is, where, what to do, and how the command ends.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::campaign::{CampaignError, NotRegistered};
use crate::compose::NoRoom;
use crate::dkim::{KeyError, SignError};
use crate::journal::JournalError;
use crate::kit::store::StoreError;
use crate::mail::{Address, Disposition};
use crate::pacing::LedgerError;
use crate::plan::PlanError;
use crate::preflight::Finding;
use crate::results::ResultsError;
use crate::route::classify::RuleError;
use crate::route::mta_sts;
use crate::route::{ResolverError, ShapingError};
use crate::run::{FinishError, PlanningError};
use crate::run_dir::{RunDirError, RunId};
use crate::screen::ScreenError;
use crate::smtp::{BadEhloName, TlsError};
use crate::target_group::TargetGroupError;
use crate::template::TemplateError;

/// How a command with this error ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
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
#[expect(missing_docs, reason = "the transparent ones are documented where they come from")]
pub enum JobError {
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
    Policies(#[from] mta_sts::StoreError),
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
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::RunDir(RunDirError::Locked { .. }) => ErrorClass::Busy,
            Self::Sender(_) | Self::Refusal(_) => ErrorClass::Refused,
            Self::Interrupted(_) => ErrorClass::Interrupted,
            Self::Campaign(_)
            | Self::TargetGroup(_)
            | Self::State(_)
            | Self::Template(_)
            | Self::Key(_)
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
            | Self::Setup(_) => ErrorClass::Usage,
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

/// There is no place for the state.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Nothing says where it should be.
    #[error("neither HOME nor XDG_STATE_HOME is set, so there is no place for the state directory")]
    Homeless,
    /// The system refuses.
    #[error("can't {action}")]
    Io {
        /// `make the state directory`, `note where the runs are`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl WorkspaceError {
    /// The file or directory.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Homeless => None,
            Self::Io { path, .. } => Some(path.display().to_string()),
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        "choose a state directory with `--state DIR` or MAILRUN_STATE"
    }
}

/// A secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment does not have it.
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
    /// The one in the state directory can't be read or made.
    #[error("can't keep the secret of the tokens")]
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
    pub fn place(&self) -> Option<String> {
        match self {
            Self::NotSet { .. } => None,
            Self::Read { path, .. } | Self::Own { path, .. } => Some(path.display().to_string()),
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotSet { hint, .. } => Some(hint),
            Self::Read { .. } | Self::Own { .. } => None,
        }
    }
}

/// The campaign says something else than its sender is registered with.
#[derive(Debug, thiserror::Error)]
#[error("{refused}")]
pub struct SenderRefused {
    /// What.
    pub refused: NotRegistered,
    /// The registry.
    pub registry: PathBuf,
}

/// A part of the job can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS.
    #[error("can't set up TLS")]
    Tls(#[source] TlsError),
    /// The name in EHLO.
    #[error("bad `delivery.ehlo`")]
    Ehlo(#[source] BadEhloName),
    /// The return paths.
    #[error("can't make return paths")]
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
    /// The embedded receiver.
    #[error("can't start the sandbox")]
    Sandbox(#[source] io::Error),
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
    #[error("can't make a temporary folder")]
    Temporary(#[source] io::Error),
    /// Real mail keeps to the agreement.
    #[error("`--unpaced` is only for the sandbox: it ignores the agreed capacity")]
    Unpaced,
}

impl SetupError {
    /// The file and key.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::ReturnPath { campaign, .. } => {
                Some(format!("{}, `sender.return-path`", campaign.display()))
            }
            Self::Tls(_)
            | Self::Ehlo(_)
            | Self::Sign(_)
            | Self::Sandbox(_)
            | Self::Thread { .. }
            | Self::Temporary(_)
            | Self::Unpaced => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ehlo(_) => Some("use this machine's host name"),
            Self::ReturnPath { .. } => Some("shorten its local part, or set `verp = false`"),
            Self::Unpaced => Some("add `--sandbox` to rehearse"),
            Self::Tls(_) | Self::Sign(_) | Self::Sandbox(_) | Self::Thread { .. } | Self::Temporary(_) => {
                None
            }
        }
    }
}

/// A row is not among those that pass screening, or has no message.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// The rows can't be screened.
    #[error("can't screen the target group")]
    Screen(#[source] ScreenError),
    /// The list is shorter.
    #[error("there is no row {row}: {accepted} of {rows} rows pass screening")]
    NoRow {
        /// The row asked for.
        row: u32,
        /// Rows that pass screening.
        accepted: u64,
        /// All rows.
        rows: u64,
    },
    /// Nobody has the address.
    #[error("no row that passes screening has the address `{0}`")]
    NoAddress(Address),
    /// The template can't be filled.
    #[error("can't render the message for `{email}`: {reason}")]
    Render {
        /// The recipient.
        email: String,
        /// File and row.
        place: String,
        /// Why.
        reason: String,
    },
    /// The address is no return path of the run.
    #[error("`{address}` is no return path of run `{run}`")]
    NoReturnPath {
        /// The address.
        address: Address,
        /// The run.
        run: String,
    },
}

impl SelectionError {
    /// File and row.
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::Render { place, .. } => Some(place),
            Self::Screen(_) | Self::NoRow { .. } | Self::NoAddress(_) | Self::NoReturnPath { .. } => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Screen(_) | Self::NoRow { .. } => None,
            Self::NoAddress(_) => {
                Some("`mailrun send --dry-run` tells which rows fail and why; capital letters count")
            }
            Self::Render { .. } => {
                Some("give the row a value or the template a default; `send` records it as `render_failed`")
            }
            Self::NoReturnPath { .. } => {
                Some("its token names another run, was made with another secret, or was changed on the way")
            }
        }
    }
}

/// No run can be made or resumed of this content.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// An unfinished run of the campaign has other content: nobody must get two messages because of an edit.
    #[error("run `{run_id}` of this campaign has begun and is not finished, and its content was another")]
    OtherUnfinished {
        /// The run.
        run_id: RunId,
        /// Its directory.
        dir: PathBuf,
    },
    /// A run keeps the content that it began with.
    #[error("run `{run_id}` began with another content: {what} has changed")]
    Changed {
        /// The run.
        run_id: RunId,
        /// Its directory.
        dir: PathBuf,
        /// `the target group`, `a template or an attachment` or `--limit`.
        what: &'static str,
    },
    /// What is left of an interrupted start is in the way.
    #[error("can't remove an unfinished plan")]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FreezeError {
    /// The file or run directory.
    pub fn place(&self) -> &Path {
        match self {
            Self::OtherUnfinished { dir, .. } | Self::Changed { dir, .. } => dir,
            Self::Remove { path, .. } => path,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherUnfinished { .. } => Some(
                "restore its files to go on with it, or start anew with `--new-run`: those who got the first message \
                 get this one too",
            ),
            Self::Changed { .. } => Some("name another run with `--run-id`, or restore what it began with"),
            Self::Remove { .. } => None,
        }
    }
}

/// Rows that can't be sent again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The next hop took them.
    #[error("`accepted` rows are not sent again")]
    Accepted,
    /// Screening left them out.
    #[error("`{0}` rows are not in the plan")]
    NotPlanned(Disposition),
    /// None ended so.
    #[error("run `{0}` has no such rows")]
    NoRows(String),
}

impl RetryError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Accepted => "`send --run-id NAME` sends all anew",
            Self::NotPlanned(_) => "mend the list and send it: its content makes a new run",
            Self::NoRows(_) => "`mailrun status RUN` shows what it has",
        }
    }
}

/// Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A check refused.
    #[error("{what}, nothing was sent: {}", seen(findings))]
    Findings {
        /// Which check.
        what: &'static str,
        /// What it found, at least one thing.
        findings: Vec<Finding>,
    },
    /// Something that reaches a recipient differs from what was approved.
    #[error("this is not what was approved{}", differences(different))]
    NotApproved {
        /// The hash of what would be sent.
        hash: String,
        /// What differs, where that is known.
        different: Vec<String>,
    },
}

impl Refusal {
    /// Where.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Findings { .. } => None,
            Self::NotApproved { hash, .. } => Some(format!("its hash is {hash}")),
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Findings { findings, .. } => {
                let fix = findings.first().and_then(|finding| finding.fix.clone());
                fix.unwrap_or_else(|| "`mailrun check` says more".into())
            }
            Self::NotApproved { .. } => {
                "look at it with `mailrun check`, and have its new hash approved".into()
            }
        }
    }
}

fn seen(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{} ({})", f.seen, f.id)).collect::<Vec<_>>().join("; ")
}

fn differences(different: &[String]) -> String {
    if different.is_empty() { String::new() } else { format!(": {}", different.join(", ")) }
}

/// The error and its causes, joined with `: `; a cause that its error's text repeats is left out.
pub fn chain(error: &dyn Error) -> String {
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

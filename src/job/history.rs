//! What happened to recipients of a run, from its plan and its journal.

use std::collections::HashMap;
use std::ops::Range;

use super::error::{JobError, SelectionError};
use super::secret::token_secret;
use super::workspace::Workspace;
use crate::compose::return_path;
use crate::feedback::{Effect, Kind, Logged, Machine};
use crate::journal::{Attempt, Reader, Verdict};
use crate::mail::{Address, Disposition, Timestamp};
use crate::plan::{self, ScreenedRows};
use crate::run_dir::{Manifest, RunDir, StoredRun};
use crate::screen::Screened;

/// Rows whose attempts are collected in one pass over the journal, where all are asked for.
const ROWS_AT_ONCE: u32 = 32_768;

/// One thing that happened.
pub(crate) struct Step {
    /// Its status code as a notification.
    pub code: &'static str,
    /// What was seen.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What happened to one row.
pub(crate) struct History {
    /// Its id as a notification.
    pub notification: String,
    /// File and row.
    pub place: String,
    /// The address; as given where it is not one, `None` where the row could not be read that far.
    pub recipient: Option<String>,
    /// Of its message, without angle brackets; of the last one where it was sent several times.
    pub message_id: Option<String>,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// Which rows of a run are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All.
    Everybody,
    /// Those with this address.
    Address(Address),
    /// Those whose cell with the address says this, which is none.
    Text(String),
    /// The one with this notification id.
    Notification(String),
    /// Those that one of these asks for.
    Any(Vec<Asked>),
}

impl Asked {
    /// What a user or a service names: an address, `email:` and an address, or a text that is no
    /// address and may be in the list as it is.
    pub(crate) fn recipient(text: &str) -> Self {
        let text = match text.split_at_checked("email:".len()) {
            Some((channel, address)) if channel.eq_ignore_ascii_case("email:") => address,
            Some(_) | None => text,
        };
        Address::parse(text).map_or_else(|_| Self::Text(text.trim().to_owned()), Self::Address)
    }

    fn is_planned(&self, run: &str, index: u32, address: &dyn Fn() -> Address) -> bool {
        match self {
            Self::Everybody => true,
            Self::Address(asked) => is_same(&address(), asked),
            Self::Text(_) => false,
            Self::Notification(id) => *id == of_planned(run, index),
            Self::Any(all) => all.iter().any(|one| one.is_planned(run, index, address)),
        }
    }

    fn is_screened(&self, run: &str, row: &Screened) -> bool {
        let email = row.email.as_deref();
        match self {
            Self::Everybody => true,
            Self::Address(asked) => {
                email.is_some_and(|email| Address::parse(email).is_ok_and(|other| is_same(&other, asked)))
            }
            Self::Text(text) => email.is_some_and(|email| email.trim() == text),
            Self::Notification(id) => *id == of_screened(run, row),
            Self::Any(all) => all.iter().any(|one| one.is_screened(run, row)),
        }
    }

    /// Whether it asks for who has this address, as the list has it.
    pub(crate) fn is_for(&self, recipient: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::Address(asked) => Address::parse(recipient).is_ok_and(|other| is_same(&other, asked)),
            Self::Text(text) => recipient.trim() == text,
            Self::Notification(_) => false,
            Self::Any(all) => all.iter().any(|one| one.is_for(recipient)),
        }
    }

    /// How many rows it pays to look up together.
    fn rows_at_once(&self) -> u32 {
        match self {
            Self::Everybody => ROWS_AT_ONCE,
            Self::Address(_) | Self::Text(_) | Self::Notification(_) | Self::Any(_) => 1,
        }
    }
}

fn of_planned(run: &str, index: u32) -> String {
    format!("{run}.{index}")
}

fn of_screened(run: &str, row: &Screened) -> String {
    format!("{run}.{}.{}", row.file, row.place.row)
}

impl Workspace {
    /// The run that a notification is of, from its id: the run's id and one or two numbers.
    pub(crate) fn find_notified(&self, id: &str) -> Result<StoredRun, JobError> {
        let run_ids = id.rmatch_indices('.').take(2).map(|(dot, _)| &id[..dot]);
        for run_id in run_ids {
            if let Ok(run) = self.find_run(run_id)
                && run.dir().run_id() == run_id
            {
                return Ok(run);
            }
        }
        Err(SelectionError::NoNotification { id: id.to_owned() }.into())
    }
}

/// The recipient whose return path in the run in `dir` this is.
pub(crate) fn recipient_of_return_path(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    return_path: &Address,
) -> Result<Address, JobError> {
    let secret = token_secret(workspace, manifest.campaign.unsubscribe.as_ref())?;
    let plan = manifest.open_plan(&dir.plan())?;
    let row = return_path::decode(&secret, manifest.run_id.as_str(), return_path);
    let row = row.filter(|row| *row < plan.len());
    let no_such = || SelectionError::NoReturnPath { address: return_path.clone(), run: dir.name() };
    Ok(row.map(|row| plan.address(row)).ok_or_else(no_such)?)
}

/// Hands what happened to the rows that are asked for to `each`, in the order of the lists, until
/// it returns false.
pub(crate) fn histories(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    asked: &Asked,
    each: &mut dyn FnMut(History) -> bool,
) -> Result<(), JobError> {
    let plan = manifest.open_plan(&dir.plan())?;
    let state = workspace.state()?;
    let attempts_from = |first: u32| -> Result<Attempts, JobError> {
        let journal = state.has_journal(dir).then(|| state.read_journal(dir)).transpose()?;
        Ok(Attempts { journal, rows_at_once: asked.rows_at_once(), first, rows: 0..0, found: Vec::new() })
    };
    let mut attempts = attempts_from(0)?;
    // Passwords are rows of the journal after those of the plan.
    let has_passwords = manifest.campaign.secure_documents.is_some();
    let mut passwords = has_passwords.then(|| attempts_from(plan.len())).transpose()?;
    let (run, received) = (manifest.run_id.as_str(), manifest.planned.unwrap_or(manifest.created));
    let shown = |file: usize| manifest.shown(file);
    let came_back = came_back(workspace, manifest)?;
    for row in plan::input_order(&plan, ScreenedRows::open(&dir.screened())?) {
        let history = match row? {
            plan::InputRow::Planned(index) => {
                if !asked.is_planned(run, index, &|| plan.address(index)) {
                    continue;
                }
                let (file, row) = plan.place(index);
                let mut steps = vec![Step { code: "CAAS_RECEIVED", text: "planned".into(), at: received }];
                let rows = index..index.saturating_add(attempts.rows_at_once).min(plan.len());
                let own = attempts.of(index, rows.clone())?;
                let intents = own.iter().rev().filter_map(|attempt| attempt.intent.as_ref());
                let message_id = intents.map(|intent| intent.message_id.clone()).next();
                add_steps(&mut steps, own, "");
                if let Some(passwords) = &mut passwords {
                    add_steps(&mut steps, passwords.of(index, rows)?, "password: ");
                }
                steps.extend(came_back.get(&index).into_iter().flatten().map(step));
                History {
                    notification: of_planned(run, index),
                    place: format!("{}, row {row}", shown(file as usize)),
                    recipient: Some(plan.address(index).to_string()),
                    message_id,
                    steps,
                }
            }
            plan::InputRow::Screened(screened) => {
                if !asked.is_screened(run, &screened) {
                    continue;
                }
                let text = format!("{}: {}", screened.disposition, screened.detail);
                History {
                    notification: of_screened(run, &screened),
                    place: format!("{}, row {}", shown(screened.file), screened.place.row),
                    recipient: screened.email.as_deref().map(|email| email.trim().to_owned()),
                    message_id: None,
                    steps: vec![
                        Step { code: "CAAS_RECEIVED", text: "read".into(), at: received },
                        Step { code: ended(screened.disposition), text, at: received },
                    ],
                }
            }
        };
        if !each(history) {
            break;
        }
    }
    Ok(())
}

/// What came back to the rows of a run.
fn came_back(workspace: &Workspace, manifest: &Manifest) -> Result<HashMap<u32, Vec<Logged>>, JobError> {
    let mut rows: HashMap<u32, Vec<Logged>> = HashMap::new();
    // A state without any database has no feedback, and need not get one for being asked.
    if workspace.state_file()?.exists() {
        let all =
            workspace.state()?.feedback()?.of_run(&manifest.campaign_id, manifest.run_id.as_str(), 0)?;
        for logged in all {
            if let Some(row) = logged.record.row {
                rows.entry(row).or_default().push(logged);
            }
        }
    }
    Ok(rows)
}

/// A mail that came back, as a step.
fn step(logged: &Logged) -> Step {
    let record = &logged.record;
    let code = match record.kind {
        Kind::Bounce => "CH_BOUNCED",
        Kind::Complaint => "CH_COMPLAINED",
        Kind::Unsubscribe => "CH_UNSUBSCRIBED",
        Kind::Delivered => "CH_DELIVERED",
        Kind::Open => "CH_OPENED",
        Kind::Click => "CH_CLICKED",
        Kind::Delay
        | Kind::NotSpam
        | Kind::AuthFailure
        | Kind::AutoReply
        | Kind::Challenge
        | Kind::DmarcAggregate
        | Kind::TlsReport
        | Kind::Reputation
        | Kind::Other => "CH_ANSWERED",
    };
    let class = record.class.map_or("", |class| class.as_str());
    let status = record.status.as_deref().unwrap_or_default();
    let effect = match logged.effect {
        Effect::None => "",
        effect => effect.as_str(),
    };
    let undone = if logged.undone.is_some() { "undone" } else { "" };
    let machine = record.machine.map_or("", Machine::as_str);
    let words = [record.kind.as_str(), machine, class, status, effect, undone];
    let mut text = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ");
    text.extend(record.text.iter().flat_map(|reason| [": ", reason]));
    Step { code, text, at: record.at }
}

/// The attempts of rows that are asked for in ascending order.
struct Attempts {
    journal: Option<Reader>,
    rows_at_once: u32,
    /// The number of row 0 in the journal.
    first: u32,
    /// The rows whose attempts are in `found`.
    rows: Range<u32>,
    found: Vec<Vec<Attempt>>,
}

impl Attempts {
    /// Those of `index`; where they are not at hand, those of all `rows` are read.
    fn of(&mut self, index: u32, rows: Range<u32>) -> Result<&[Attempt], JobError> {
        let Some(journal) = &self.journal else { return Ok(&[]) };
        if !self.rows.contains(&index) {
            self.found = journal.attempts(self.first + rows.start..self.first + rows.end)?;
            self.rows = rows;
        }
        Ok(&self.found[(index - self.rows.start) as usize])
    }
}

fn is_same(one: &Address, other: &Address) -> bool {
    one.domain() == other.domain() && one.local().to_lowercase() == other.local().to_lowercase()
}

/// The code of the end of a row.
fn ended(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Accepted => "CH_SENT",
        Disposition::Bounced => "CH_BOUNCED",
        Disposition::Deferred => "CH_DEFERRED",
        Disposition::InDoubt => "CH_IN_DOUBT",
        Disposition::Suppressed
        | Disposition::Duplicate
        | Disposition::Invalid
        | Disposition::RenderFailed
        | Disposition::Infected
        | Disposition::NotAttempted
        | Disposition::AlreadySent
        | Disposition::Capped => "CAAS_FAILED",
    }
}

/// What attempts amount to: handed to the channel, accepted by it or not, and how that ended.
/// `which` mail they are of comes before each text.
fn add_steps(steps: &mut Vec<Step>, attempts: &[Attempt], which: &str) {
    let step = |code, text: String, at| Step { code, text: format!("{which}{text}"), at };
    // A row that is given up without another attempt ends for the reason of the last one.
    let mut last = String::new();
    for attempt in attempts {
        if let Some(intent) = &attempt.intent {
            let text = format!("attempt {}, message {}", intent.attempt, intent.message_id);
            steps.push(step("CAAS_SENT", text, intent.at));
        }
        let Some(outcome) = &attempt.outcome else { continue };
        let why = match (&outcome.reply, &outcome.detail) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(detail)) => detail.clone(),
            (None, None) => last.clone(),
        };
        let (code, text) = match outcome.verdict {
            Verdict::Final(disposition) => {
                if disposition == Disposition::Accepted {
                    let started = outcome.last_attempt_at.unwrap_or(outcome.at);
                    let text = "handed to the next hop".into();
                    steps.push(step("CH_RECEIVED", text, started));
                }
                (ended(disposition), format!("{disposition}: {why}"))
            }
            Verdict::Retry { at } => ("CH_RETRY", format!("retry at {at}: {why}")),
            // Copies for the archive are not among the attempts.
            Verdict::Copy { .. } => continue,
            Verdict::Withdrawn => ("CAAS_RECEIVED", "not started, waiting again".into()),
        };
        steps.push(step(code, text, outcome.at));
        last = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_an_address_with_or_without_its_channel() {
        let ann = Asked::Address(Address::parse("ann@a.example").unwrap());
        for text in ["ann@a.example", "email:ann@a.example", "EMAIL:ann@a.example"] {
            assert_eq!(Asked::recipient(text), ann);
        }
        for text in ["bob@@a.example", "email: bob@@a.example "] {
            assert_eq!(Asked::recipient(text), Asked::Text("bob@@a.example".into()));
        }
    }
}

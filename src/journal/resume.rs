//! What a resumed run does with the intents that a kill left without an outcome.

use super::codec;
use super::commit::Journal;
use super::error::JournalError;
use super::record::{Intent, Outcome, Verdict};
use super::states::{RowState, States};
use super::writer::GROUP_RECORDS;
use crate::mail::{Class, Disposition, Timestamp};

/// What to do with the rows in doubt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InDoubt {
    /// They stay in doubt: nothing is sent twice.
    #[default]
    Keep,
    /// They are sent again, on request; those of earlier kills too.
    Resend,
}

/// A row that was in doubt when the journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// The plan row.
    pub row: u32,
    /// When it was granted.
    pub at: Timestamp,
    /// The name of the host that it was handed to, where it is known.
    pub remote_host: Option<String>,
}

impl Journal {
    /// Writes an outcome for every intent that has none (and, to resend, a second one for every row
    /// in doubt), and updates `states`: afterwards no row is open. Returns the rows that had an
    /// open intent.
    pub fn resolve_open_intents(
        &mut self,
        states: &mut States,
        now: Timestamp,
        choice: InDoubt,
    ) -> Result<Vec<OpenIntent>, JournalError> {
        let mut open = Vec::new();
        let mut outcomes = Vec::new();
        let mut details = self.details();
        for row in states.open_rows() {
            let Some(intent) = details.open_intent(states, row)? else { continue };
            let before = details.outcome(states, row)?;
            let connection = details.connection(intent.connection)?;
            let remote_host = connection.map(|info| info.remote_host.clone());
            outcomes.push(in_doubt(&intent, before.as_ref(), remote_host.as_deref(), now));
            open.push(OpenIntent { row, at: intent.at, remote_host });
        }
        match choice {
            InDoubt::Keep => {}
            InDoubt::Resend => {
                for (row, _) in states
                    .with_passwords()
                    .filter(|(_, state)| *state == RowState::Final(Disposition::InDoubt))
                {
                    outcomes.extend(details.outcome(states, row)?);
                }
                for outcome in &mut outcomes {
                    outcome.at = now;
                    outcome.verdict = Verdict::Retry { at: now };
                }
            }
        }
        drop(details);
        self.put_outcomes(&outcomes, states)?;
        Ok(open)
    }

    /// Ends rows that are not to be sent, and updates `states`. What is known of earlier attempts
    /// stays.
    pub fn end_rows(
        &mut self,
        rows: &[u32],
        states: &mut States,
        disposition: Disposition,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut details = self.details();
        for row in rows {
            let before = details.outcome(states, *row)?;
            let verdict = Verdict::Final(disposition);
            let outcome = before.unwrap_or_else(|| Outcome::new(*row, 0, verdict, now));
            outcomes.push(Outcome { verdict, at: now, detail: Some(detail.to_owned()), ..outcome });
        }
        drop(details);
        self.put_outcomes(&outcomes, states)
    }

    fn put_outcomes(&mut self, outcomes: &[Outcome], states: &mut States) -> Result<(), JournalError> {
        for group in outcomes.chunks(GROUP_RECORDS) {
            let mut records = Vec::new();
            for outcome in group {
                codec::put_outcome(&mut records, outcome);
            }
            self.commit(&[], &records)?;
        }
        states.catch_up(self.store());
        Ok(())
    }
}

fn in_doubt(intent: &Intent, before: Option<&Outcome>, host: Option<&str>, now: Timestamp) -> Outcome {
    let host = host.map_or(String::new(), |host| format!(" to `{host}`"));
    Outcome {
        connection: Some(intent.connection),
        first_attempt_at: before.and_then(|before| before.first_attempt_at).or(Some(intent.at)),
        last_attempt_at: Some(intent.at),
        class: Some(Class::Network),
        message_id: Some(intent.message_id.clone()),
        detail: Some(format!(
            "the run was cut off after this was given to connection {}{host} at {}; no reply was seen",
            intent.connection, intent.at
        )),
        ..Outcome::new(intent.row, intent.attempt, Verdict::Final(Disposition::InDoubt), now)
    }
}

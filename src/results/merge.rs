//! Merges plan and journal, row by row in input order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::StructArray;
use arrow_schema::{DataType, Field};

use super::batch::{BATCH_ROWS, Batch};
use super::columns::{self, ResultRow};
use super::error::ResultsError;
use super::parts::Parts;
use super::row::{InputRow, ScreeningOutcome};
use super::summary::{Counts, Summary, TOP_DOMAINS};
use crate::campaign::{Campaign, Compression, FileMode};
use crate::journal::{Details, Intent, Outcome, RowState, States, Verdict};
use crate::kit::outside_text;
use crate::mail::{Address, Disposition, Timestamp};
use crate::plan::PURGED;

/// Default rows per file: about 100 MB.
const ROWS_PER_PART: u64 = 1_000_000;

/// How results are written.
#[derive(Debug, Clone)]
pub struct Options {
    /// Parquet's page compression.
    pub compression: Compression,
    /// Who can read the files.
    pub mode: FileMode,
    /// Rows per file.
    pub rows_per_part: u64,
    /// How many domains the summary lists.
    pub top_domains: usize,
    /// The run is still sending: rows in flight are not in doubt yet.
    pub running: bool,
    /// The detail of rows that were not attempted.
    pub not_attempted: String,
    /// Where the messages of a test went instead, by the row of the plan; the last holds for all
    /// further rows. Empty for real mail.
    pub delivered_to: Vec<String>,
    /// The rows of the plan that are copies for seed addresses.
    pub seeds: Range<u32>,
    /// The type of the recipients' ids, which come as texts.
    pub ids: DataType,
    /// Columns of the target group that are passed through.
    pub passed: Vec<Field>,
    /// The rows whose documents another run has sent, and whose password this one sends.
    pub passwords: HashSet<u32>,
    /// The variant of a letter that an address gets.
    pub variant_of: Option<Campaign>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::Zstd,
            mode: FileMode::default(),
            rows_per_part: ROWS_PER_PART,
            top_domains: TOP_DOMAINS,
            running: false,
            not_attempted: "the run ended before its turn".to_owned(),
            delivered_to: Vec::new(),
            seeds: 0..0,
            ids: DataType::Utf8,
            passed: Vec::new(),
            passwords: HashSet::new(),
            variant_of: None,
        }
    }
}

/// What is known from the journal.
#[derive(Debug)]
pub struct Known<'a> {
    /// The state of every row.
    pub states: &'a States,
    /// The cursor for their details.
    pub details: Details<'a>,
}

/// Results that are being written.
pub struct Results<'a> {
    known: Known<'a>,
    options: Options,
    parts: Parts,
    batch: Batch,
    counts: Counts,
}

impl<'a> Results<'a> {
    /// Starts writing results into `folder`. Existing results stay until [`finish`](Self::finish).
    pub fn create(folder: &Path, known: Known<'a>, options: Options) -> Result<Self, ResultsError> {
        let run_id = &known.states.run.run_id;
        let batch = Batch::new(options.ids.clone(), options.passed.clone());
        let (schema, version) = (Arc::clone(batch.schema()), columns::version(&options.ids));
        let rows_per_part = options.rows_per_part.max(1);
        let parts = Parts::create(folder, options.compression, run_id, schema, version, rows_per_part)?
            .readable_by(options.mode);
        Ok(Self { known, options, parts, batch, counts: Counts::new() })
    }

    /// Takes the next row of the input.
    pub fn push(&mut self, input: &InputRow<'_>) -> Result<(), ResultsError> {
        self.push_passing(input, None)
    }

    /// The same with the target group's columns, and the row's place in them.
    pub fn push_passing(
        &mut self,
        input: &InputRow<'_>,
        cells: Option<(&StructArray, usize)>,
    ) -> Result<(), ResultsError> {
        match input.screening {
            ScreeningOutcome::Screened { disposition, detail } => {
                let detail = detail.map(outside_text::line);
                self.put(&ResultRow { detail, ..ResultRow::new(input, disposition) }, cells)
            }
            ScreeningOutcome::Planned { index } => self.push_planned(input, index, cells),
        }
    }

    /// Publishes the files.
    pub fn finish(mut self) -> Result<Summary, ResultsError> {
        self.parts.write(self.batch.take())?;
        let files = self.parts.finish()?;
        Ok(self.counts.summary(files, self.options.top_domains))
    }

    fn put(&mut self, row: &ResultRow<'_>, cells: Option<(&StructArray, usize)>) -> Result<(), ResultsError> {
        self.counts.add(row);
        self.batch.push(row, cells);
        if self.batch.rows() == BATCH_ROWS {
            self.parts.write(self.batch.take())?;
        }
        Ok(())
    }

    /// The variant that the recipient gets.
    fn variant(&self, input: &InputRow<'_>) -> Option<Cow<'static, str>> {
        let campaign = self.options.variant_of.as_ref()?;
        let address = Address::parse(input.email.filter(|email| *email != PURGED)?).ok()?;
        campaign.variant_of(&address.to_string()).map(|name| Cow::Owned(name.to_owned()))
    }

    fn push_planned(
        &mut self,
        input: &InputRow<'_>,
        index: u32,
        cells: Option<(&StructArray, usize)>,
    ) -> Result<(), ResultsError> {
        let variant = self.variant(input);
        let Known { states, details } = &mut self.known;
        let state = states.state(index);
        let archive_attempts_at = states.copies_at(index).collect();
        let outcome = details.outcome(states, index)?;
        let copy = match outcome.as_ref().and_then(|outcome| outcome.copied_by) {
            Some(row) => details.copy(states, row)?,
            None => None,
        };
        let intent = details.open_intent(states, index)?;
        let number = intent.as_ref().map(|intent| intent.connection);
        let number = number.or(outcome.as_ref().and_then(|outcome| outcome.connection));
        let connection = match number.map(|number| details.connection(number)) {
            // The rest of a damaged journal is useful even without the names of hosts.
            Some(Err(_)) if states.damage.is_some() => None,
            found => found.transpose()?.flatten(),
        };

        let mut row = ResultRow::new(input, Disposition::NotAttempted);
        let delivered_to = &self.options.delivered_to;
        row.variant = variant;
        row.archive_attempts_at = archive_attempts_at;
        row.is_test = !delivered_to.is_empty();
        row.is_seed = self.options.seeds.contains(&index);
        let delivered_to = delivered_to.get(index as usize).or(delivered_to.last());
        row.delivered_to = delivered_to.map(|to| Cow::Owned(to.clone()));
        if let Some(outcome) = &outcome {
            fill_from_outcome(&mut row, outcome, details.between(states, index, outcome.attempt));
        }
        if let Some(Outcome { archive, detail, .. }) = &copy {
            let reply = archive.as_ref().map(ToString::to_string);
            row.archive = reply.or(detail.clone()).map(Cow::Owned);
        }
        if let Some(intent) = &intent {
            fill_from_intent(&mut row, intent);
        }
        if let Some(connection) = &connection {
            row.remote_host = Some(Cow::Borrowed(&connection.remote_host));
            row.remote_ip = connection.remote_ip;
            row.local_ip = connection.local_ip;
            row.tls = connection.tls.as_deref().map(Cow::Borrowed);
        }
        row.slot = row.last_attempt_at.map(|at| at.slot());
        (row.disposition, row.detail) = match state {
            RowState::Final(disposition) => (disposition, row.detail),
            RowState::Untouched => {
                (Disposition::NotAttempted, Some(Cow::Owned(self.options.not_attempted.clone())))
            }
            RowState::Pending => (Disposition::Deferred, Some(Cow::Owned(pending(outcome.as_ref())))),
            RowState::Open if self.options.running => {
                (Disposition::InDoubt, Some(Cow::Borrowed("under way when this was written")))
            }
            RowState::Open => {
                (Disposition::InDoubt, Some(Cow::Borrowed("handed over, and no reply was seen")))
            }
            RowState::Unknown => (Disposition::InDoubt, Some(Cow::Owned(unknown(states)))),
        };
        self.fill_password(&mut row, index)?;
        self.put(&row, cells)
    }

    /// What became of the mail with the password, where the row has one.
    fn fill_password(&mut self, row: &mut ResultRow<'_>, index: u32) -> Result<(), ResultsError> {
        let Known { states, details } = &mut self.known;
        let Some(password) = states.run.password_of(index) else { return Ok(()) };
        let state = states.state(password);
        let is_due = row.disposition == Disposition::Accepted || self.options.passwords.contains(&index);
        if state == RowState::Untouched && !is_due {
            return Ok(());
        }
        let outcome = details.outcome(states, password)?;
        let mut own = ResultRow::absent();
        if let Some(outcome) = &outcome {
            fill_from_outcome(&mut own, outcome, details.between(states, password, outcome.attempt));
            let reply = outcome.reply.as_ref().map(ToString::to_string);
            row.password_reply = reply.or(outcome.detail.clone()).map(Cow::Owned);
        }
        let intent = details.open_intent(states, password)?;
        if let Some(intent) = &intent {
            own.attempts_at.push(intent.at);
            row.password_reply = None;
        }
        row.password_attempts_at = own.attempts_at;
        row.password_bytes = own.bytes;
        row.password_disposition = Some(match state {
            RowState::Final(disposition) => disposition,
            RowState::Untouched => Disposition::NotAttempted,
            RowState::Pending => Disposition::Deferred,
            RowState::Open | RowState::Unknown => Disposition::InDoubt,
        });
        Ok(())
    }
}

/// The detail of a row that waits for another attempt.
fn pending(outcome: Option<&Outcome>) -> String {
    let next = outcome.and_then(|outcome| match outcome.verdict {
        Verdict::Retry { at } => Some(at),
        Verdict::Final(_) | Verdict::Withdrawn | Verdict::Copy { .. } => None,
    });
    match next {
        Some(at) => format!("to be tried again at {at}"),
        None => "to be tried again".to_owned(),
    }
}

fn unknown(states: &States) -> String {
    match &states.damage {
        Some(damage) => format!("the journal is damaged: {}", damage.why),
        None => "the journal is damaged".to_owned(),
    }
}

/// `between` are the starts of the attempts that are neither the first nor the last.
fn fill_from_outcome<'a>(row: &mut ResultRow<'a>, outcome: &'a Outcome, between: Vec<Timestamp>) {
    row.attempts = outcome.attempt;
    row.first_attempt_at = outcome.first_attempt_at.or(outcome.last_attempt_at);
    row.last_attempt_at = outcome.last_attempt_at;
    row.class = outcome.class;
    row.latency_us = outcome.latency_us;
    row.bytes = outcome.bytes;
    row.message_id = outcome.message_id.as_deref().map(Cow::Borrowed);
    row.detail = outcome.detail.as_deref().map(outside_text::line);
    row.archive = outcome.archive.as_ref().map(|reply| Cow::Owned(reply.to_string()));
    if let Some(reply) = &outcome.reply {
        row.smtp_code = Some(reply.code);
        row.enhanced_status = reply.enhanced;
        row.reply = Some(Cow::Borrowed(&reply.text));
    }
    if outcome.attempt > 0 {
        row.attempts_at.extend(row.first_attempt_at);
    }
    row.attempts_at.extend(between);
    if outcome.attempt > 1 {
        row.attempts_at.extend(row.last_attempt_at);
    }
}

/// An intent without an outcome is an attempt with unknown result.
fn fill_from_intent<'a>(row: &mut ResultRow<'a>, intent: &'a Intent) {
    row.attempts = intent.attempt;
    row.first_attempt_at = row.first_attempt_at.or(Some(intent.at));
    row.last_attempt_at = Some(intent.at);
    row.attempts_at.push(intent.at);
    row.message_id = Some(Cow::Borrowed(&intent.message_id));
    row.class = None;
    row.smtp_code = None;
    row.enhanced_status = None;
    row.reply = None;
    row.latency_us = None;
    row.bytes = None;
    row.archive = None;
}

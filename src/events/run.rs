//! The events of one run, and of what came back.

use std::ops::Range;

use super::cursor::Cursor;
use super::event::{Event, Kind};
use crate::feedback::{Kind as FeedbackKind, Logged, Machine};
use crate::journal::{Intent, JournalError, Outcome, Reader, Record, Verdict};
use crate::mail::{Disposition, Timestamp};
use crate::plan::{Plan, PlanError, ScreenedRows};
use crate::run_dir::{Manifest, RunDir};
use crate::screen::Screened;

/// Groups of the journal that are read at once: some thousand records.
const GROUPS_AT_ONCE: u64 = 16;

/// Reads the events of a run whose plan is frozen.
#[derive(Debug)]
pub(crate) struct RunEvents {
    campaign: String,
    run: String,
    received: Timestamp,
    seeds: Range<u32>,
    /// Which message of which run it sends once more.
    resends: Option<String>,
    plan: Plan,
    screened: ScreenedRows,
    /// How many screened rows were read, and the last of them.
    screened_read: u64,
    last_screened: Option<Screened>,
}

/// Some events, each with the cursor behind it.
pub(crate) type Page = Vec<(Event, Cursor)>;

impl RunEvents {
    /// Opens the plan of a run.
    pub(crate) fn open(dir: &RunDir, manifest: &Manifest) -> Result<Self, PlanError> {
        let retry = manifest.options.retry.as_ref();
        Ok(Self {
            campaign: manifest.campaign_id.clone(),
            run: manifest.run_id.to_string(),
            received: manifest.planned.unwrap_or(manifest.created),
            seeds: manifest.seed_rows(),
            resends: retry
                .and_then(|retry| Some(format!("row {} of run {}", retry.row?, retry.run_id.as_str()))),
            plan: manifest.open_plan(&dir.plan())?,
            screened: ScreenedRows::open(&dir.screened())?,
            screened_read: 0,
            last_screened: None,
        })
    }

    /// The next events that follow from the plan, at most `most`: every row was received, and a
    /// screened one has ended. Moves `cursor` behind them. No events: those were all.
    pub(crate) fn received(&mut self, cursor: &mut Cursor, most: usize) -> Result<Page, PlanError> {
        let planned = u64::from(self.plan.len());
        let mut page = Vec::new();
        while page.len() < most {
            let event = match u32::try_from(cursor.received).ok().filter(|row| *row < self.plan.len()) {
                Some(row) => self.of_row(Kind::Received, self.received, row, &[]),
                None => {
                    let after = cursor.received - planned;
                    let (is_end, campaign, run, at) =
                        (after % 2 == 1, self.campaign.clone(), self.run.clone(), self.received);
                    let Some(row) = self.screened_row(after / 2)? else { break };
                    of_screened(&campaign, &run, row, at, is_end)
                }
            };
            cursor.received += 1;
            page.push((event, cursor.clone()));
        }
        Ok(page)
    }

    /// The next events of the journal, some hundred groups of records; a part that can't be read
    /// is left out, and the second value says why. Moves `cursor` behind them. No events and no
    /// move: those were all until now.
    pub(crate) fn sent(
        &self,
        journal: &Reader,
        cursor: &mut Cursor,
    ) -> Result<(Page, Option<String>), JournalError> {
        let mut page = Vec::new();
        // The group of the cursor once more: only a part of it may have been read.
        let stretch = journal.records_after(cursor.group.saturating_sub(1), GROUPS_AT_ONCE)?;
        for (group, record, read) in &stretch.records {
            if (*group, *record) <= (cursor.group, cursor.record) {
                continue;
            }
            (cursor.group, cursor.record) = (*group, *record);
            page.extend(self.of_record(read).map(|event| (event, cursor.clone())));
        }
        if stretch.last > cursor.group {
            (cursor.group, cursor.record) = (stretch.last, u32::MAX);
        }
        Ok((page, stretch.damage))
    }

    /// The events of `logged`, records of this run in order, that are behind `cursor`. Moves it
    /// behind them.
    pub(crate) fn came_back(&self, logged: &[Logged], cursor: &mut Cursor) -> Page {
        let mut page = Vec::new();
        for logged in logged {
            if logged.id > cursor.feedback {
                cursor.feedback = logged.id;
                page.extend(self.of_logged(logged).map(|event| (event, cursor.clone())));
            }
        }
        page
    }

    /// What a record of the log of feedback says. That of an open or a click has no address: the
    /// row has it.
    fn of_logged(&self, logged: &Logged) -> Option<Event> {
        let event = came_back(logged)?;
        let is_tracked = matches!(event.kind, Kind::Opened | Kind::Clicked);
        let row = event.row.filter(|row| is_tracked && *row < self.plan.len());
        Some(match row {
            Some(row) => Event {
                recipient: Some(self.plan.address(row).to_string()),
                is_seed: self.seeds.contains(&row),
                ..event
            },
            None => event,
        })
    }

    fn of_record(&self, record: &Record) -> Option<Event> {
        match record {
            // What concerns only the archive is no event of a recipient.
            Record::Intent(Intent { is_copy: true, .. }) => None,
            Record::Intent(intent) => {
                let kind = if self.resends.is_some() { Kind::Resent } else { Kind::Sent };
                let event = self.of_row(kind, intent.at, intent.row, &[&intent.attempt.to_string()]);
                Some(Event {
                    attempt: Some(intent.attempt),
                    message_id: Some(intent.message_id.clone()),
                    detail: self.resends.clone(),
                    ..event
                })
            }
            Record::Outcome(outcome) => {
                let (kind, is_final, detail) = match outcome.verdict {
                    Verdict::Final(disposition) => {
                        (Kind::Disposed(disposition), true, outcome.detail.clone())
                    }
                    Verdict::Retry { at } => {
                        let again = format!("to be tried again at {at}");
                        let why = outcome.detail.as_ref();
                        (
                            Kind::Disposed(Disposition::Deferred),
                            false,
                            Some(why.map_or(again.clone(), |why| format!("{why}; {again}"))),
                        )
                    }
                    // The row is as it was before: its next transmission has the same number, and
                    // so its event `sent` the same id.
                    Verdict::Withdrawn | Verdict::Copy { .. } => return None,
                };
                Some(self.of_outcome(outcome, kind, is_final, detail))
            }
        }
    }

    fn of_outcome(&self, outcome: &Outcome, kind: Kind, is_final: bool, detail: Option<String>) -> Event {
        let end = if is_final { "final" } else { "" };
        let event = self.of_row(kind, outcome.at, outcome.row, &[&outcome.attempt.to_string(), end]);
        Event {
            is_final,
            attempt: (outcome.attempt > 0).then_some(outcome.attempt),
            message_id: outcome.message_id.clone(),
            class: outcome.class,
            reply: outcome.reply.as_ref().map(ToString::to_string),
            detail,
            ..event
        }
    }

    /// `row` as the journal has it: passwords of secure documents are rows after those of the plan.
    fn of_row(&self, kind: Kind, at: Timestamp, row: u32, occasion: &[&str]) -> Event {
        let number = row.to_string();
        let of = [&[self.campaign.as_str(), &self.run, &number], occasion].concat();
        let is_password = row >= self.plan.len();
        let row = if is_password { row - self.plan.len() } else { row };
        Event {
            campaign: Some(self.campaign.clone()),
            run: Some(self.run.clone()),
            row: Some(row),
            notification: Some(format!("{}.{row}", self.run)),
            recipient: (row < self.plan.len()).then(|| self.plan.address(row).to_string()),
            is_password,
            is_seed: self.seeds.contains(&row),
            ..Event::new(kind, at, &of)
        }
    }

    /// The screened row with this number. They are read in order.
    fn screened_row(&mut self, number: u64) -> Result<Option<&Screened>, PlanError> {
        while self.screened_read <= number {
            let Some(row) = self.screened.next().transpose()? else { return Ok(None) };
            self.screened_read += 1;
            self.last_screened = Some(row);
        }
        Ok(self.last_screened.as_ref())
    }
}

/// A screened row was received, or has ended.
fn of_screened(campaign: &str, run: &str, row: &Screened, at: Timestamp, is_end: bool) -> Event {
    let place = format!("{}.{}", row.file, row.place.row);
    let kind = if is_end { Kind::Disposed(row.disposition) } else { Kind::Received };
    Event {
        is_final: is_end,
        campaign: Some(campaign.to_owned()),
        run: Some(run.to_owned()),
        notification: Some(format!("{run}.{place}")),
        recipient: row.email.as_deref().map(|email| email.trim().to_owned()),
        detail: is_end.then(|| row.detail.clone()),
        ..Event::new(kind, at, &[campaign, run, &place])
    }
}

/// What a record of the log of feedback says; nothing where it is about no message of ours.
fn came_back(logged: &Logged) -> Option<Event> {
    let record = &logged.record;
    let kind = Kind::of_feedback(record.kind)?;
    let row = record.row.map(|row| row.to_string()).unwrap_or_default();
    let (campaign, run) = (record.campaign.as_deref(), record.run.as_deref());
    let number = record.event.to_string();
    let of = [campaign.unwrap_or_default(), run.unwrap_or_default(), &row, &record.mail, &number];
    let words = [record.status.as_deref(), record.text.as_deref()];
    // Of a click the address that the link leads to, which is no reply.
    let is_click = record.kind == FeedbackKind::Click;
    let reply = words.into_iter().flatten().filter(|_| !is_click).collect::<Vec<_>>().join(" ");
    Some(Event {
        campaign: record.campaign.clone(),
        run: record.run.clone(),
        row: record.row,
        notification: run.zip(record.row).map(|(run, row)| format!("{run}.{row}")),
        recipient: record.address.as_ref().map(ToString::to_string).or_else(|| record.named.clone()),
        class: record.class,
        reply: (!reply.is_empty()).then_some(reply),
        machine: match record.kind {
            FeedbackKind::AutoReply => Some("auto_reply"),
            FeedbackKind::Challenge => Some("challenge"),
            _ => record.machine.map(Machine::as_str),
        },
        detail: record.text.clone().filter(|_| is_click),
        ..Event::new(kind, record.at, &of)
    })
}

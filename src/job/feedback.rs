//! Mails that came back, from where they are to what they say, whom they concern and what they do.

use std::path::Path;
use std::sync::Arc;

use super::attribution::RunIndex;
use super::error::JobError;
use super::feedback_settings::policy;
use super::read_mail::ReadMail;
use super::workspace::Workspace;
use crate::feedback::import::Item;
use crate::feedback::reputation::{NewReading, Readings};
use crate::feedback::{
    By, DomainReports, Effect, Event, FeedbackLog, Found, Import, NewReport, Policy, Reader, Recipient,
    Record, Report, Source, Undo, Undone, decide,
};
use crate::mail::{Address, Timestamp};
use crate::state::{self, StateCopy};
use crate::suppression::AddressKey;

/// So many mails are attributed and kept together,
const MAILS: usize = 1_000;
/// or so many events and rows of reports: one mail may have thousands.
const EVENTS: usize = 5_000;

/// Reads mails, some hundred at a time, and does what they are to do.
pub(crate) struct FeedbackRead<'w> {
    workspace: &'w Workspace,
    reader: Reader,
    policy: Policy,
    log: Arc<dyn FeedbackLog>,
    domain_reports: Arc<dyn DomainReports>,
    readings: Arc<dyn Readings>,
    /// What a dry run changes in place of the state.
    _copy: Option<StateCopy>,
    import: Import,
    /// Opened for the first mails.
    runs: Option<RunIndex<'w>>,
    waiting: Vec<ReadMail>,
    events: usize,
    left_out: u64,
}

impl<'w> FeedbackRead<'w> {
    /// Reads mails from `source`. A dry run does the same on a copy of the state, and changes
    /// nothing.
    pub(crate) fn new(workspace: &'w Workspace, source: &str, dry_run: bool) -> Result<Self, JobError> {
        let file = workspace.state_file()?;
        let copy = dry_run.then(|| state::copy(&file, workspace.clock().clone())).transpose()?;
        let (log, domain_reports, readings) = match &copy {
            Some(copy) => {
                let state = copy.state();
                (state.feedback()?, state.domain_reports()?, state.readings()?)
            }
            None => {
                let state = workspace.state()?;
                (state.feedback()?, state.domain_reports()?, state.readings()?)
            }
        };
        Ok(Self {
            workspace,
            reader: Reader::default(),
            policy: policy(workspace)?,
            log,
            domain_reports,
            readings,
            _copy: copy,
            import: Import { id: None, source: source.to_owned() },
            runs: None,
            waiting: Vec::new(),
            events: 0,
            left_out: 0,
        })
    }

    /// The number of the import, once anything is kept.
    pub(crate) fn import(&self) -> Option<u64> {
        self.import.id
    }

    /// How many mails were not kept, because they are or may be about a run that can't be read.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Reads a mail. Returns those that are done, in their order: none until there are enough. What
    /// is returned is kept, and survives a kill.
    pub(crate) fn read(&mut self, source: &Source, mail: Found<'_>) -> Result<Vec<ReadMail>, JobError> {
        let mail = ReadMail::read(&self.reader, source, mail);
        self.add(mail)
    }

    /// Takes what a file of a provider holds at a line. Returns as [`Self::read`] does.
    pub(super) fn take(&mut self, path: &Path, line: u64, item: Item) -> Result<Vec<ReadMail>, JobError> {
        match ReadMail::of_item(&self.reader, path, line, item) {
            Some(mail) => self.add(mail),
            None => Ok(Vec::new()),
        }
    }

    /// The same for a mail that was delivered to `recipient`.
    pub(crate) fn deliver(&mut self, recipient: &str, content: &[u8]) -> Result<Vec<ReadMail>, JobError> {
        let mail = ReadMail::delivered(&self.reader, recipient, content);
        self.add(mail)
    }

    fn add(&mut self, mail: ReadMail) -> Result<Vec<ReadMail>, JobError> {
        self.events += mail.recipients.len() + mail.feedback.report.as_ref().map_or(0, Report::rows);
        self.waiting.push(mail);
        if self.waiting.len() < MAILS && self.events < EVENTS { Ok(Vec::new()) } else { self.finish() }
    }

    /// Those that are left.
    pub(crate) fn finish(&mut self) -> Result<Vec<ReadMail>, JobError> {
        let mut mails = std::mem::take(&mut self.waiting);
        self.events = 0;
        if mails.is_empty() {
            return Ok(mails);
        }
        self.runs()?.attribute(&mut mails)?;
        mails.iter_mut().filter(|mail| mail.is_vouched).for_each(ReadMail::vouch);
        let now = self.workspace.clock().wall();
        // First, and known by what they say: after a kill in between they count once.
        let reports = mails
            .iter()
            .filter_map(|mail| Some(NewReport { mail: &mail.hash, report: mail.feedback.report.as_ref()? }));
        let reports: Vec<NewReport<'_>> = reports.collect();
        if !reports.is_empty() {
            self.domain_reports.keep(&reports)?;
        }
        let readings = mails
            .iter()
            .filter_map(|mail| Some(NewReading { mail: &mail.hash, reading: mail.reading.as_ref()? }));
        let readings: Vec<NewReading<'_>> = readings.collect();
        if !readings.is_empty() {
            self.readings.keep(&readings)?;
        }
        let kept = mails.iter().filter(|mail| !mail.is_left_out);
        let records: Vec<Record> = kept.flat_map(|mail| mail.records(&self.policy, now)).collect();
        let mut effects = self.log.append(&mut self.import, &records, &self.policy, now)?.into_iter();
        for mail in &mut mails {
            let records = mail.feedback.events.len().max(1);
            mail.effects = match mail.is_left_out {
                true => vec![Effect::LeftOut; records],
                false => effects.by_ref().take(records).collect(),
            };
            self.left_out += u64::from(mail.is_left_out);
        }
        Ok(mails)
    }

    /// The runs that are known.
    pub(super) fn runs(&mut self) -> Result<&mut RunIndex<'w>, JobError> {
        let runs = match self.runs.take() {
            Some(runs) => runs,
            None => RunIndex::open(self.workspace)?,
        };
        Ok(self.runs.insert(runs))
    }

    /// What is kept from now on belongs to a new import.
    pub(super) fn begin_import(&mut self) {
        self.import.id = None;
    }
}

impl ReadMail {
    /// Trusts the `Message-ID` of what a provider says of the address that the row had.
    fn vouch(&mut self) {
        for (event, recipient) in self.feedback.events.iter().zip(&mut self.recipients) {
            let Some(recipient) = recipient.as_mut().filter(|found| found.by == By::MessageId) else {
                continue;
            };
            let named = event.address.as_deref().and_then(|address| Address::parse(address).ok());
            let key = AddressKey::from(&recipient.address);
            recipient.trusted |= named.is_some_and(|named| AddressKey::from(&named) == key);
        }
    }

    /// What is kept of it: a record for each event, or one for a report about a domain.
    fn records(&self, policy: &Policy, now: Timestamp) -> Vec<Record> {
        let feedback = &self.feedback;
        let at = self.traces.date.map_or(now, |at| at.min(now));
        let message_id = self.traces.message_id.clone();
        let record = Record { message_id, ..Record::of_mail(&*self.hash, feedback.kind, at) };
        if feedback.events.is_empty() {
            return vec![record];
        }
        let of_event = |(number, (event, recipient)): (usize, (&Event, &Option<Recipient>))| {
            let recipient = recipient.as_ref();
            let action = decide(event, recipient, now);
            let list_id = recipient.and_then(|recipient| recipient.list_id.as_ref());
            Record {
                event: u32::try_from(number).unwrap_or(u32::MAX),
                kind: event.kind,
                class: event.class,
                status: event.status.map(|status| status.to_string()),
                hard: event.hard,
                named: event.address.clone(),
                text: event.text.clone(),
                address: recipient.map(|recipient| recipient.address.clone()),
                campaign: recipient.map(|recipient| recipient.campaign.clone()),
                run: recipient.map(|recipient| recipient.run.clone()),
                row: recipient.and_then(|recipient| recipient.row),
                by: recipient.map(|recipient| recipient.by),
                trusted: recipient.is_some_and(|recipient| recipient.trusted),
                scope: policy.scope(action, list_id),
                action,
                ..record.clone()
            }
        };
        feedback.events.iter().zip(&self.recipients).enumerate().map(of_event).collect()
    }
}

impl Workspace {
    /// Takes back what mails did.
    pub(crate) fn undo_feedback(&self, what: &Undo) -> Result<Undone, JobError> {
        let policy = policy(self)?;
        Ok(self.state()?.feedback()?.undo(what, &policy, self.clock().wall())?)
    }
}

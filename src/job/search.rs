//! Finds messages in the results of all runs; in runs without results, in plan and journal.
//!
//! A message is looked up by its `Message-ID` or its recipient without reading a run as a whole:
//! see `results::Sought`. What is asked for beside that is then asked of the few rows that are
//! found. What can't be read is left out, and said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};

use super::error::{JobError, chain};
use super::final_states::is_believed;
use super::trace::may_be_of;
use super::workspace::Workspace;
use crate::compose::message_id::{Named, of_letter};
use crate::events::{Cursor, Event, Kind};
use crate::feedback::Logged;
use crate::mail::{Address, Class, Disposition, Timestamp};
use crate::results::{Column, Recipient, ResultFiles, ResultRow, Sought};
use crate::run_dir::{Manifest, RunState, StoredRun};
use crate::suppression::AddressKey;

/// How far back runs are searched.
const HORIZON: Duration = Duration::from_secs(45 * 86_400);

/// Rows of a run without results whose events are collected in one pass.
const AT_ONCE: usize = 32_768;

/// The columns that a search shows.
const TOLD: [Column; 13] = [
    Column::Row,
    Column::SourceFile,
    Column::Email,
    Column::MessageId,
    Column::Disposition,
    Column::Class,
    Column::SmtpCode,
    Column::EnhancedStatus,
    Column::Reply,
    Column::FirstAttemptAt,
    Column::LastAttemptAt,
    Column::Detail,
    Column::IsSeed,
];

/// What is known of the messages that are sought. Each part narrows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    /// Their `Message-ID`, with or without angle brackets.
    pub message_id: Option<String>,
    /// Who they are from.
    pub sender: Option<Address>,
    /// Who they are for: an address or a part of one.
    pub recipient: Option<String>,
    /// The class of their end, or of what came back.
    pub class: Option<Class>,
    /// The campaign's id.
    pub campaign: Option<String>,
    /// Something happened to them at this time or later,
    pub since: Option<Timestamp>,
    /// and before this one.
    pub until: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    /// Messages, those of the latest run first.
    pub found: Vec<Found>,
    /// There are more than were wanted.
    pub has_more: bool,
    /// The runs that could not be searched, and why.
    pub left_out: Vec<(String, String)>,
}

/// A message that was found, or a row of the list that none was sent to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The run's name. One that was removed is known by what came back for it.
    pub run: Option<String>,
    /// The number of the row in its `Message-ID`; none where nothing was sent.
    pub row: Option<u32>,
    /// The file of the row and its number there; none as long as the run has no results.
    pub place: Option<(String, u64)>,
    /// Who it is from.
    pub sender: Option<String>,
    /// Who it is for, as given.
    pub recipient: Option<String>,
    /// The `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// What became of it; none while that is open.
    pub disposition: Option<Disposition>,
    /// Why.
    pub class: Option<Class>,
    /// The last reply, or the reason where none gives it.
    pub reply: Option<String>,
    /// When its first transmission started, and its last.
    pub sent: Option<(Timestamp, Timestamp)>,
    /// A copy for a seed address.
    pub is_seed: bool,
    /// What came back for it.
    pub came_back: Vec<CameBack>,
}

/// Something that came back for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CameBack {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: &'static str,
    /// Why.
    pub class: Option<Class>,
    /// Its words.
    pub text: Option<String>,
}

impl Workspace {
    /// Searches the runs of the last 45 days, and what came back for them, until there are `most`
    /// messages. With `is_seen`, only in runs that it allows.
    ///
    /// # Errors
    /// Where runs can't be listed. A run that can't be read is in [`Searched::left_out`].
    pub(crate) fn search(
        &self,
        search: &Search,
        most: usize,
        is_seen: Option<&dyn Fn(&Manifest) -> bool>,
    ) -> Result<Searched, JobError> {
        let (mut searched, mut known) = (Searched::default(), HashSet::new());
        for run in self.runs_with_events()?.iter().rev() {
            let name = run.dir().name();
            let manifest = match run.manifest() {
                Ok(manifest) => manifest,
                Err(error) => {
                    // Nobody knows who may see it.
                    if is_seen.is_none() {
                        searched.left_out.push((name, chain(&error)));
                    }
                    continue;
                }
            };
            known.insert(name.clone());
            let is_meant = is_seen.is_none_or(|is_seen| is_seen(&manifest)) && search.is_of(&manifest);
            if !is_meant || searched.found.len() > most {
                continue;
            }
            let left = most + 1 - searched.found.len();
            match self.search_run(search, run, &manifest, left) {
                Ok(found) => searched.found.extend(found),
                Err(error) => searched.left_out.push((name, chain(&error))),
            }
        }
        if is_seen.is_none() {
            searched.found.extend(self.come_back_alone(search, &known)?);
        }
        searched.has_more = searched.found.len() > most;
        searched.found.truncate(most);
        Ok(searched)
    }

    fn search_run(
        &self,
        search: &Search,
        run: &StoredRun,
        manifest: &Manifest,
        most: usize,
    ) -> Result<Vec<Found>, JobError> {
        let read = manifest.planned.unwrap_or(manifest.created);
        let oldest = Timestamp(self.clock().wall().0.saturating_sub(HORIZON.as_micros() as i64));
        let since = search.since.unwrap_or(oldest);
        let is_then = manifest.finished.is_none_or(|end| end >= since)
            && search.until.is_none_or(|until| manifest.created < until);
        let is_narrow = search.is_narrow();
        let mut sought = Sought { recipient: search.recipient(), ..Sought::default() };
        if is_narrow {
            // What comes back, comes soon.
            if search.since.is_none() && !is_then {
                return Ok(Vec::new());
            }
            sought.message_id = search.message_id();
        } else {
            sought.class = search.class;
            // Of a run that is too old, only what came back since is meant.
            let asks_time = search.period().is_some() || !is_then;
            sought.period = asks_time.then(|| since..search.until.unwrap_or(Timestamp(i64::MAX)));
            sought.with_untried = sought.period.as_ref().is_none_or(|period| period.contains(&read));
            if sought.class.is_some() || asks_time {
                sought.also = self.also(search, run, since)?;
            }
            // What came back may have come long after the run.
            if !is_then && sought.also.is_empty() {
                return Ok(Vec::new());
            }
        }
        let mut meant = Meant {
            workspace: self,
            search,
            run,
            read,
            since,
            most,
            also: None,
            found: Vec::new(),
            failed: None,
        };
        match manifest.state {
            RunState::Finished => {
                if let Err(error) = in_results(&mut meant, &sought, manifest) {
                    let name = run.dir().name();
                    self.warn(format!(
                        "the results of run `{name}` can't be read, so its journal is: {}",
                        chain(&error)
                    ));
                    meant.found.clear();
                    self.in_journal(&mut meant, manifest)?;
                }
            }
            RunState::Planned | RunState::Running | RunState::Interrupted { .. } => {
                self.in_journal(&mut meant, manifest)?;
            }
        }
        meant.failed.map_or(Ok(meant.found), Err)
    }

    /// Searches a run that has no results: finds which rows may be meant, then what became of them.
    fn in_journal(&self, meant: &mut Meant<'_>, manifest: &Manifest) -> Result<(), JobError> {
        let (search, run) = (meant.search, meant.run);
        let is_narrow = search.is_narrow();
        let (id, recipient) = (search.message_id(), search.recipient());
        let may_be_meant = |event: &Event| {
            let is_own = id.as_ref().is_none_or(|id| event.message_id.as_ref() == Some(id))
                && recipient.as_ref().is_none_or(|own| event.recipient.as_ref().is_some_and(|to| own.is(to)));
            is_own && (is_narrow || search.is_reason_and_time(event.class, event.at))
        };
        // What was said first is no reason any more when something else was said since.
        let is_over = |event: &Event| {
            let is_end =
                !event.is_password && matches!(event.kind, Kind::Sent | Kind::Resent | Kind::Disposed(_));
            is_end && !is_narrow && search.class.is_some_and(|class| event.class != Some(class))
        };
        // All rows are meant that are found, or it shows only later which of them are.
        let enough =
            if search.class.is_none() && search.period().is_none() { meant.most } else { usize::MAX };
        // Few bytes of each, since they may be all rows.
        let mut keys: HashSet<u64> = HashSet::new();
        self.events(run, &mut Cursor::start(run.dir().run_id()), false, &mut |page| {
            for (event, _) in page {
                let Some(key) = event.notification.as_deref().map(short) else { continue };
                if may_be_meant(event) && keys.len() < enough {
                    keys.insert(key);
                } else if is_over(event) {
                    keys.remove(&key);
                }
            }
            keys.len() < enough
        })?;
        while !keys.is_empty() {
            // All rows are received, in their order, before anything else happens.
            let (mut found, mut places) = (Vec::new(), HashMap::new());
            self.events(run, &mut Cursor::start(run.dir().run_id()), false, &mut |page| {
                for (event, _) in page.iter().filter(|(event, _)| !event.is_password) {
                    let Some(key) = event.notification.as_ref().filter(|key| keys.contains(&short(key)))
                    else {
                        continue;
                    };
                    if !places.contains_key(key) && found.len() < AT_ONCE {
                        places.insert(key.clone(), found.len());
                        found.push(blank(run, manifest));
                    }
                    if let Some(place) = places.get(key) {
                        add(&mut found[*place], event);
                    }
                }
                true
            })?;
            for key in places.keys() {
                keys.remove(&short(key));
            }
            if found.is_empty() || !found.into_iter().all(|one| meant.add(one, false)) {
                break;
            }
        }
        Ok(())
    }

    /// The recipients for whom something came back that is of the class and in the period.
    fn also(
        &self,
        search: &Search,
        run: &StoredRun,
        since: Timestamp,
    ) -> Result<HashSet<AddressKey>, JobError> {
        let logged = self.came_back_of(run.dir(), 0)?;
        let is_meant = |logged: &&Logged| {
            is_believed(logged)
                && search.is_reason_and_time(logged.record.class, logged.record.at)
                && logged.record.at >= since
        };
        let recipient = search.recipient();
        // A part of an address may be one of an international domain as the list writes it.
        let is_for = |address: &Address, key: &AddressKey| {
            let is = |recipient: &Recipient| {
                recipient.is(&address.to_string())
                    || recipient.is(key.as_str())
                    || key.as_str().contains("xn--")
            };
            recipient.as_ref().is_none_or(is)
        };
        let meant = logged.iter().filter(is_meant);
        let keys = meant.filter_map(|logged| {
            let address = logged.record.address.as_ref()?;
            Some(AddressKey::from(address)).filter(|key| is_for(address, key))
        });
        Ok(keys.collect())
    }

    /// What came back for a message of a run.
    fn came_back_for(&self, found: &Found, run: &StoredRun) -> Result<Vec<CameBack>, JobError> {
        let address = found.recipient.as_deref().and_then(|text| Address::parse(text).ok());
        let Some(address) = address.filter(|_| found.message_id.is_some()) else { return Ok(Vec::new()) };
        let dir = run.dir();
        let is_of_run = |logged: &&Logged| {
            let record = &logged.record;
            is_believed(logged)
                && record.campaign.as_deref() == Some(dir.campaign_id())
                && record.run.as_deref() == Some(dir.run_id())
                && (record.row.is_none() || found.row.is_none() || record.row == found.row)
        };
        let logged = self.logged_of(&address)?;
        Ok(logged.iter().filter(is_of_run).map(came_back).collect())
    }

    fn logged_of(&self, address: &Address) -> Result<Vec<Logged>, JobError> {
        // A state without any database has no feedback, and need not get one.
        if !self.state_file()?.exists() {
            return Ok(Vec::new());
        }
        Ok(self.state()?.feedback()?.of_address(AddressKey::from(address).as_str())?)
    }

    /// What came back for a recipient of runs that are gone, or of no run that is known.
    fn come_back_alone(&self, search: &Search, known: &HashSet<String>) -> Result<Vec<Found>, JobError> {
        let address = search.recipient.as_deref().and_then(|text| Address::parse(text).ok());
        let is_recipient_only = search.message_id.is_none() && search.sender.is_none();
        let Some(address) = address.filter(|_| is_recipient_only) else { return Ok(Vec::new()) };
        let mut found: BTreeMap<Option<String>, Found> = BTreeMap::new();
        for logged in self.logged_of(&address)? {
            let record = &logged.record;
            let run = record.campaign.as_ref().zip(record.run.as_ref());
            let run = run.map(|(campaign, run)| format!("{campaign}/{run}"));
            let is_known = run.as_ref().is_some_and(|run| known.contains(run));
            let is_campaign = search.campaign.is_none() || search.campaign == record.campaign;
            let is_meant = is_campaign && is_believed(&logged);
            if !is_known && is_meant && search.is_reason_and_time(record.class, record.at) {
                let one = found.entry(run.clone()).or_insert_with(|| Found {
                    run,
                    row: record.row,
                    recipient: Some(address.to_string()),
                    ..Found::default()
                });
                one.came_back.push(came_back(&logged));
            }
        }
        Ok(found.into_values().collect())
    }
}

/// What is meant of what is found in a run.
struct Meant<'a> {
    workspace: &'a Workspace,
    search: &'a Search,
    run: &'a StoredRun,
    read: Timestamp,
    since: Timestamp,
    /// So many are wanted.
    most: usize,
    /// See [`Workspace::also`]; none before it is asked for.
    also: Option<HashSet<AddressKey>>,
    found: Vec<Found>,
    failed: Option<JobError>,
}

impl Meant<'_> {
    /// Looks up what came back for a message, and keeps it if it is meant, as where that `is_sure`.
    /// Returns whether more are wanted.
    fn add(&mut self, mut one: Found, is_sure: bool) -> bool {
        match self.is_meant(&mut one, is_sure) {
            Ok(true) => self.found.push(one),
            Ok(false) => {}
            Err(error) => self.failed = Some(error),
        }
        self.failed.is_none() && self.found.len() < self.most
    }

    fn is_meant(&mut self, one: &mut Found, is_sure: bool) -> Result<bool, JobError> {
        let is_meant = is_sure || self.search.is_when_and_why(one, self.read, self.since);
        if !is_meant && !self.may_have_come_back(one)? {
            return Ok(false);
        }
        one.came_back = self.workspace.came_back_for(one, self.run)?;
        Ok(is_meant || self.search.is_when_and_why(one, self.read, self.since))
    }

    /// Spares a look for what came back for each of many rows.
    fn may_have_come_back(&mut self, one: &Found) -> Result<bool, JobError> {
        if matches!(self.search.recipient(), Some(Recipient::Address(_))) {
            return Ok(true);
        }
        let also = match self.also.take() {
            Some(also) => also,
            None => self.workspace.also(self.search, self.run, self.since)?,
        };
        let also = self.also.insert(also);
        let address = one.recipient.as_deref().and_then(|text| Address::parse(text).ok());
        Ok(address.is_some_and(|address| also.contains(&AddressKey::from(&address))))
    }
}

fn in_results(meant: &mut Meant<'_>, sought: &Sought, manifest: &Manifest) -> Result<(), JobError> {
    let files = ResultFiles::open(&meant.run.dir().results())?;
    let is_sure = !meant.search.is_narrow();
    files.find(sought, &TOLD, 0, &mut |_, row| meant.add(of_row(meant.run, manifest, row), is_sure))?;
    Ok(())
}

/// Tells the rows of a run apart.
fn short(notification: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    notification.hash(&mut hasher);
    hasher.finish()
}

impl Search {
    /// Whether what is sought is one message or one recipient.
    fn is_narrow(&self) -> bool {
        self.message_id.is_some() || matches!(self.recipient(), Some(Recipient::Address(_)))
    }

    fn message_id(&self) -> Option<String> {
        let id = self.message_id.as_deref()?.trim().trim_start_matches('<').trim_end_matches('>');
        // The id of somebody else's message, which was ready, is what it is.
        Some(if Named::of(id).is_some() { of_letter(id) } else { id.to_owned() })
    }

    fn recipient(&self) -> Option<Recipient> {
        self.recipient.as_deref().map(Recipient::of)
    }

    fn period(&self) -> Option<Range<Timestamp>> {
        let (first, last) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        let is_asked = self.since.is_some() || self.until.is_some();
        is_asked.then(|| self.since.unwrap_or(first)..self.until.unwrap_or(last))
    }

    /// Whether messages of a run can be meant.
    fn is_of(&self, manifest: &Manifest) -> bool {
        let from = &manifest.campaign.sender.from.address;
        self.campaign.as_ref().is_none_or(|campaign| *campaign == manifest.campaign_id)
            && self.sender.as_ref().is_none_or(|sender| AddressKey::from(sender) == AddressKey::from(from))
            && self.message_id().is_none_or(|id| may_be_of(&id, manifest))
    }

    /// Whether something of this class at this time is meant.
    fn is_reason_and_time(&self, class: Option<Class>, at: Timestamp) -> bool {
        self.class.is_none_or(|own| Some(own) == class)
            && self.period().is_none_or(|period| period.contains(&at))
    }

    /// Whether a message is of the class and in the period, or something that came back is. Rows
    /// without a transmission ended when they were `read`. What ended before `since` is too old.
    fn is_when_and_why(&self, found: &Found, read: Timestamp, since: Timestamp) -> bool {
        let (first, last) = found.sent.unwrap_or((read, read));
        let is_class = self.class.is_none_or(|own| Some(own) == found.class);
        let is_then = last >= since && self.until.is_none_or(|until| first < until);
        let is_back = |back: &CameBack| self.is_reason_and_time(back.class, back.at) && back.at >= since;
        (is_class && is_then) || found.came_back.iter().any(is_back)
    }
}

impl Found {
    /// The message as programs see it.
    pub(crate) fn json(&self) -> Value {
        let came_back = self.came_back.iter().map(|back| {
            json!({
                "at": back.at.to_string(), "kind": back.kind,
                "class": back.class.map(Class::as_str), "text": back.text,
            })
        });
        json!({
            "run": self.run,
            "row": self.row,
            "source_file": self.place.as_ref().map(|(file, _)| file),
            "source_row": self.place.as_ref().map(|(_, row)| row),
            "sender": self.sender,
            "recipient": self.recipient,
            "message_id": self.message_id,
            "disposition": self.disposition.map(Disposition::as_str),
            "class": self.class.map(Class::as_str),
            "reply": self.reply,
            "first_attempt_at": self.sent.map(|(first, _)| first.to_string()),
            "last_attempt_at": self.sent.map(|(_, last)| last.to_string()),
            "is_seed": self.is_seed,
            "came_back": came_back.collect::<Vec<Value>>(),
        })
    }
}

fn blank(run: &StoredRun, manifest: &Manifest) -> Found {
    let sender = manifest.campaign.sender.from.address.to_string();
    Found { run: Some(run.dir().name()), sender: Some(sender), ..Found::default() }
}

/// A row of the results.
pub(super) fn of_row(run: &StoredRun, manifest: &Manifest, row: ResultRow<'static>) -> Found {
    let is_resend = manifest.options.retry.as_ref().is_some_and(|retry| retry.row.is_some());
    let id = row.message_id.as_deref();
    let words = [
        row.smtp_code.map(|code| code.to_string()),
        row.enhanced_status.map(|status| status.to_string()),
        row.reply.as_deref().map(str::to_owned),
    ];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Found {
        // A resend has one row, and the id of the message that it sends again.
        row: if is_resend { id.map(|_| 0) } else { id.and_then(|id| Named::of(id)?.row) },
        place: Some((row.source_file.into_owned(), row.row)),
        recipient: row.email.map(|email| email.into_owned()),
        disposition: Some(row.disposition),
        class: row.class,
        reply: if words.is_empty() { row.detail.map(|detail| detail.into_owned()) } else { Some(words) },
        sent: row.first_attempt_at.zip(row.last_attempt_at),
        is_seed: row.is_seed,
        message_id: row.message_id.map(|id| id.into_owned()),
        ..blank(run, manifest)
    }
}

/// Adds what an event tells of its message. What came back is looked up apart.
fn add(found: &mut Found, event: &Event) {
    found.recipient = event.recipient.clone().or(found.recipient.take());
    found.is_seed |= event.is_seed;
    match event.kind {
        Kind::Sent | Kind::Resent => {
            let first = found.sent.map_or(event.at, |(first, _)| first);
            found.sent = Some((first, event.at));
            found.row = event.row;
            found.message_id = event.message_id.clone();
            // It is under way.
            (found.disposition, found.class, found.reply) = (None, None, None);
        }
        Kind::Disposed(disposition) => {
            found.disposition = Some(disposition);
            found.class = event.class;
            found.reply = event.reply.clone().or(event.detail.clone());
            found.message_id = event.message_id.clone().or(found.message_id.take());
        }
        Kind::Received
        | Kind::DeliveredLate
        | Kind::Delayed
        | Kind::BouncedLater
        | Kind::Complained
        | Kind::NotSpam
        | Kind::Unsubscribed
        | Kind::AutoReplied
        | Kind::Opened
        | Kind::Clicked => {}
    }
}

fn came_back(logged: &Logged) -> CameBack {
    let record = &logged.record;
    let text = [record.status.as_deref(), record.text.as_deref()];
    let text = text.into_iter().flatten().collect::<Vec<_>>().join(" ");
    CameBack {
        at: record.at,
        kind: record.kind.as_str(),
        class: record.class,
        text: (!text.is_empty()).then_some(text),
    }
}

//! The log of what came back, and what it does to the suppression list: in one transaction, so that
//! a kill at any moment loses nothing and counts nothing twice.
//!
//! The logic is here, once, over the [`Tables`] of a store within a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::attribution::By;
use super::event::Kind;
use super::machine::Machine;
use super::policy::{Action, Effect, Policy};
use crate::kit::store::StoreError;
use crate::mail::{Address, Class, Timestamp};
use crate::suppression::{Added, AddressKey, Entry, NewEntry, Scope};

/// How the source of an entry begins that feedback has made.
const SOURCE: &str = "feedback";

/// One event of a mail that came back, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The hash of the mail's content. Those of one mail come together.
    pub mail: String,
    /// Which event of the mail, from 0.
    pub event: u32,
    /// The mail's own `Message-ID`.
    pub message_id: Option<String>,
    /// When the mail was written, as it says; not later than it was read.
    pub at: Timestamp,
    /// What became of the recipient.
    pub kind: Kind,
    /// Why it is no person's doing; for opens and clicks.
    pub machine: Option<Machine>,
    /// Why.
    pub class: Option<Class>,
    /// The enhanced status.
    pub status: Option<String>,
    /// The address itself is bad.
    pub hard: bool,
    /// The address that the mail names.
    pub named: Option<String>,
    /// The words of the mail.
    pub text: Option<String>,
    /// The recipient that it concerns: the address that a run mailed.
    pub address: Option<Address>,
    /// The campaign,
    pub campaign: Option<String>,
    /// the run,
    pub run: Option<String>,
    /// and the row of its plan.
    pub row: Option<u32>,
    /// How it was found.
    pub by: Option<By>,
    /// It can't be made up.
    pub trusted: bool,
    /// What is to be done,
    pub action: Action,
    /// and for what mail.
    pub scope: Scope,
}

impl Record {
    /// A mail of which nothing is known but its hash, kind and time: it concerns nobody.
    pub fn of_mail(mail: impl Into<String>, kind: Kind, at: Timestamp) -> Self {
        Self {
            mail: mail.into(),
            event: 0,
            message_id: None,
            at,
            kind,
            machine: None,
            class: None,
            status: None,
            hard: false,
            named: None,
            text: None,
            address: None,
            campaign: None,
            run: None,
            row: None,
            by: None,
            trusted: false,
            action: Action::Nothing(Effect::None),
            scope: Scope::All,
        }
    }

    fn key(&self) -> Option<AddressKey> {
        self.address.as_ref().map(AddressKey::from)
    }

    /// The entry of the suppression list that its action makes.
    fn entry(&self, policy: &Policy) -> Option<NewEntry> {
        let (reason, term) = self.action.entry(policy)?;
        let address = self.address.clone()?;
        let run = self.campaign.iter().zip(&self.run).map(|(campaign, run)| format!(" on {campaign}/{run}"));
        let source = format!("{SOURCE}{}", run.collect::<String>());
        let (email, scope) = (address.to_string(), self.scope.clone());
        Some(NewEntry { email, address, scope, reason, source, term })
    }
}

/// A record in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number in the log; larger than those before it.
    pub id: u64,
    /// The import that brought it.
    pub import: u64,
    /// When it was read.
    pub read: Timestamp,
    /// The event.
    pub record: Record,
    /// What it did.
    pub effect: Effect,
    /// When it was taken back, and by which later record; 0 is the user.
    pub undone: Option<(Timestamp, u64)>,
    /// The entry of the suppression list that it changed, as it was before; none inside: there was
    /// none.
    pub before: Option<Option<Entry>>,
}

/// Records read together: a command, a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its number; none before its first records are kept.
    pub id: Option<u64>,
    /// Where the mails come from.
    pub source: String,
}

/// What to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// What the mail with this hash did, or with hashes that begin so, or with this `Message-ID`.
    Mail(String),
    /// All that an import did.
    Import(u64),
}

/// What was taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Undone {
    /// Events that count no longer.
    pub events: u64,
    /// Entries of the suppression list that are gone, or as they were before.
    pub entries: u64,
}

/// The log of a state, and what changes the suppression list with it.
pub trait FeedbackLog: fmt::Debug + Send + Sync {
    /// Keeps `records` and does what they are to do, all or nothing. Those of a mail that is in the
    /// log already do nothing. Gives `import` a number, if it has none. Returns what each did.
    fn append(
        &self,
        import: &mut Import,
        records: &[Record],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StoreError>;

    /// Takes back what was asked for, all or nothing. What was taken back already stays so.
    fn undo(&self, what: &Undo, policy: &Policy, now: Timestamp) -> Result<Undone, StoreError>;

    /// The first `most` records after the number `after`, in order.
    fn page(&self, after: u64, most: usize) -> Result<Vec<Logged>, StoreError>;

    /// Where the mails of each import came from, by its number.
    fn imports(&self) -> Result<BTreeMap<u64, String>, StoreError>;

    /// All records that concern an address (the text of an [`AddressKey`]), in order.
    fn of_address(&self, key: &str) -> Result<Vec<Logged>, StoreError>;

    /// All records that concern a run of a campaign and come after the number `after`, in order.
    fn of_run(&self, campaign: &str, run: &str, after: u64) -> Result<Vec<Logged>, StoreError>;

    /// The first `most` of these.
    fn page_of_run(
        &self,
        campaign: &str,
        run: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError>;

    /// Whether a record concerns a run of a campaign and comes after the number `after`.
    fn has_of_run(&self, campaign: &str, run: &str, after: u64) -> Result<bool, StoreError>;

    /// All records that concern a run of a campaign but opens and clicks, in order.
    fn replies_of_run(&self, campaign: &str, run: &str) -> Result<Vec<Logged>, StoreError>;

    /// The first `most` records after the number `after` but opens and clicks, in order.
    fn page_of_replies(&self, after: u64, most: usize) -> Result<Vec<Logged>, StoreError>;

    /// How many records concern an address or name it.
    fn naming(&self, key: &AddressKey) -> Result<u64, StoreError>;

    /// Removes an address, and texts that name it, from all records, and every trace of what was
    /// removed from the store. What kind of event it was and which mail it came with stay: so the
    /// mail still counts once.
    fn forget(&self, key: &AddressKey) -> Result<(), StoreError>;
}

/// Removes an address, and texts that name it, from a record. Whether it had any.
pub(crate) fn forget(logged: &mut Logged, key: &AddressKey) -> bool {
    let record = &mut logged.record;
    let mut is_changed = false;
    if record.key().as_ref() == Some(key) {
        (record.address, record.named, record.text, logged.before) = (None, None, None, None);
        return true;
    }
    for text in [&mut record.named, &mut record.text] {
        if text.as_deref().is_some_and(|text| key.is_in(text)) {
            *text = None;
            is_changed = true;
        }
    }
    is_changed
}

/// What a store does within one transaction.
pub trait Tables {
    /// Whether the mail with this hash is in the log.
    fn is_known(&mut self, mail: &str) -> Result<bool, StoreError>;

    /// Adds an import. Returns its number.
    fn add_import(&mut self, source: &str, now: Timestamp) -> Result<u64, StoreError>;

    /// Adds a record that has done nothing yet. Returns its number.
    fn add_record(&mut self, import: u64, record: &Record, now: Timestamp) -> Result<u64, StoreError>;

    /// Notes what a record did, and the entry that it changed.
    fn note(&mut self, id: u64, effect: Effect, before: Option<&Option<Entry>>) -> Result<(), StoreError>;

    /// Notes that a record was taken back, or that it counts again.
    fn set_undone(&mut self, id: u64, undone: Option<(Timestamp, u64)>) -> Result<(), StoreError>;

    /// The records that concern an address, in order.
    fn of_address(&mut self, key: &str) -> Result<Vec<Logged>, StoreError>;

    /// The records that are asked for, in order.
    fn asked(&mut self, what: &Undo) -> Result<Vec<Logged>, StoreError>;

    /// The entry of an address for this mail on the suppression list.
    fn entry(&mut self, key: &str, scope: &Scope) -> Result<Option<Entry>, StoreError>;

    /// Adds an entry or renews the one that exists, as
    /// [`Suppressions::import`](crate::suppression::Suppressions::import) does.
    fn add_entry(&mut self, entry: &NewEntry, now: Timestamp) -> Result<Added, StoreError>;

    /// Puts an entry back as it was; none removes it.
    fn put_entry(&mut self, key: &str, scope: &Scope, entry: Option<&Entry>) -> Result<(), StoreError>;
}

/// See [`FeedbackLog::append`].
pub fn append(
    tables: &mut impl Tables,
    import: &mut Import,
    records: &[Record],
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::with_capacity(records.len());
    for mail in records.chunk_by(|one, next| one.mail == next.mail && next.event > one.event) {
        if tables.is_known(&mail[0].mail)? {
            effects.extend(mail.iter().map(|_| Effect::ReadBefore));
            continue;
        }
        let number = match import.id {
            Some(number) => number,
            None => *import.id.insert(tables.add_import(&import.source, now)?),
        };
        for record in mail {
            let id = tables.add_record(number, record, now)?;
            let (effect, before) = apply(tables, id, record, policy, now)?;
            // A record begins without an effect.
            if effect != Effect::None || before.is_some() {
                tables.note(id, effect, before.as_ref())?;
            }
            effects.push(effect);
        }
    }
    Ok(effects)
}

/// Does what a record is to do, which is in the log with the number `id` and was read at `read`.
/// Returns what it did, and the entry that it changed, as it was before.
fn apply(
    tables: &mut impl Tables,
    id: u64,
    record: &Record,
    policy: &Policy,
    read: Timestamp,
) -> Result<(Effect, Option<Option<Entry>>), StoreError> {
    let Some(key) = record.key() else { return Ok((nothing(record.action), None)) };
    match record.action {
        Action::Nothing(effect) => return Ok((effect, None)),
        Action::TakeBack => {
            let complaints = tables.of_address(key.as_str())?;
            let is_meant = |logged: &&Logged| {
                logged.id < id
                    && logged.undone.is_none()
                    && logged.record.action == Action::Complaint
                    && record.scope.covers(&logged.record.scope)
            };
            let mut scopes: BTreeSet<&Scope> = BTreeSet::new();
            for complaint in complaints.iter().filter(is_meant) {
                tables.set_undone(complaint.id, Some((read, id)))?;
                scopes.insert(&complaint.record.scope);
            }
            let effect = if scopes.is_empty() { Effect::None } else { Effect::TakenBack };
            for scope in scopes {
                rebuild(tables, &key, scope, policy, false)?;
            }
            return Ok((effect, None));
        }
        Action::Soft if soft_bounces(tables, &key, id, record.at, policy)? < policy.soft_limit as usize => {
            return Ok((Effect::Counted, None));
        }
        Action::Hard | Action::Soft | Action::Complaint | Action::Unsubscribe => {}
    }
    let Some(entry) = record.entry(policy) else { return Ok((Effect::None, None)) };
    let before = tables.entry(key.as_str(), &record.scope)?;
    Ok(match tables.add_entry(&entry, read)? {
        Added::New | Added::Renewed => (Effect::Suppressed, Some(before)),
        Added::Kept => (Effect::AlreadySuppressed, None),
    })
}

fn nothing(action: Action) -> Effect {
    match action {
        Action::Nothing(effect) => effect,
        Action::Hard | Action::Soft | Action::Complaint | Action::Unsubscribe | Action::TakeBack => {
            Effect::NotOurs
        }
    }
}

/// How many messages to the address bounced softly within the time, up to the record `id`.
fn soft_bounces(
    tables: &mut impl Tables,
    key: &AddressKey,
    id: u64,
    at: Timestamp,
    policy: &Policy,
) -> Result<usize, StoreError> {
    let logged = tables.of_address(key.as_str())?;
    let counts = |logged: &&Logged| {
        let record = &logged.record;
        logged.id <= id
            && logged.undone.is_none()
            && record.action == Action::Soft
            && at.since(record.at) <= policy.soft_within
            && record.at.since(at) <= policy.soft_within
    };
    let mut rows: Vec<_> =
        logged.iter().filter(counts).map(|one| (&one.record.run, one.record.row)).collect();
    rows.sort_unstable();
    rows.dedup();
    Ok(rows.len())
}

/// See [`FeedbackLog::undo`].
pub fn undo(
    tables: &mut impl Tables,
    what: &Undo,
    policy: &Policy,
    now: Timestamp,
) -> Result<Undone, StoreError> {
    let mut undone = Undone::default();
    // The entries that change, and whether one may come back that is gone.
    let mut changed: BTreeMap<(AddressKey, Scope), bool> = BTreeMap::new();
    for logged in tables.asked(what)?.iter().filter(|logged| logged.undone.is_none()) {
        tables.set_undone(logged.id, Some((now, 0)))?;
        undone.events += 1;
        let Some(key) = logged.record.key() else { continue };
        if logged.record.action == Action::TakeBack {
            // What it took back counts again.
            for other in tables.of_address(key.as_str())? {
                if other.undone.is_some_and(|(_, by)| by == logged.id) {
                    tables.set_undone(other.id, None)?;
                    changed.insert((key.clone(), other.record.scope), true);
                }
            }
        } else {
            changed.entry((key, logged.record.scope.clone())).or_default();
        }
    }
    for ((key, scope), comes_back) in changed {
        undone.entries += u64::from(rebuild(tables, &key, &scope, policy, comes_back)?);
    }
    Ok(undone)
}

/// Makes the entry of an address for this mail what it would be without the records that were taken
/// back. What others have made of it in the meantime stays, and so does an entry that they removed,
/// unless it
/// `comes_back`. True when the entry is another one now.
fn rebuild(
    tables: &mut impl Tables,
    key: &AddressKey,
    scope: &Scope,
    policy: &Policy,
    comes_back: bool,
) -> Result<bool, StoreError> {
    let is_own = |entry: &Entry| entry.source.starts_with(SOURCE);
    let current = tables.entry(key.as_str(), scope)?;
    let mut logged = tables.of_address(key.as_str())?;
    logged.retain(|logged| logged.record.scope == *scope);
    // Feedback's part in the entry begins where it last found none, or one of somebody else.
    let begins = |logged: &Logged| {
        logged.before.as_ref().is_some_and(|before| before.as_ref().is_none_or(|entry| !is_own(entry)))
    };
    let start = logged.iter().rposition(begins);
    let base = match (&current, start) {
        (Some(entry), _) if !is_own(entry) => return Ok(false),
        (None, _) if !comes_back => return Ok(false),
        (_, None) => None,
        (_, Some(start)) => logged[start].before.clone().flatten(),
    };
    tables.put_entry(key.as_str(), scope, base.as_ref())?;
    let applies = |logged: &&Logged| {
        logged.undone.is_none()
            && matches!(
                logged.record.action,
                Action::Hard | Action::Soft | Action::Complaint | Action::Unsubscribe
            )
    };
    for one in logged[start.unwrap_or(0)..].iter().filter(applies) {
        let (effect, _) = apply(tables, one.id, &one.record, policy, one.read)?;
        tables.note(one.id, effect, one.before.as_ref())?;
    }
    Ok(tables.entry(key.as_str(), scope)?.map(|entry| (entry.reason, entry.expires))
        != current.map(|entry| (entry.reason, entry.expires)))
}

//! "Is this address suppressed by now?", asked before each message of a running send and answered
//! from memory.
//!
//! [`Watch`] holds what was added to the list since the plan was made. A [`Feed`], on a thread of
//! its own, keeps it current, so that those who ask never wait for a disk or a server.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::entry::write_why;
use super::fingerprint::{Fingerprint, FingerprintMap, Fingerprinter};
use super::{AddressKey, Change, Scope, Suppressions, why};
use crate::kit::store::StoreError;
use crate::mail::{Address, ListId, Timestamp};

/// How often the list is asked for changes: an address that is suppressed now counts this much
/// later at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Entries that end within this time are read again before they do: an attempt of another run may
/// have restarted them.
const MARGIN: Duration = Duration::from_secs(2);
/// Looking for removals takes at most one part in so many of the time.
const RECOUNT_SHARE: u32 = 50;

/// The entries for the mail of one list that were added, or renewed, since a plan was made.
///
/// Takes 20 to 24 bytes of memory an entry, and some more for each that differs in reason, source
/// or expiry from the one before it.
#[derive(Debug)]
pub struct Watch {
    list: Arc<dyn Suppressions>,
    list_id: Option<ListId>,
    fingerprinter: Fingerprinter,
    held: RwLock<Held>,
    reader: Mutex<Reader>,
}

/// What is in memory.
#[derive(Debug, Default)]
struct Held {
    /// Each address with an entry for all mail, with the index of its term,
    of_all: FingerprintMap,
    /// and each with one for the list.
    of_list: FingerprintMap,
    terms: Vec<Term>,
    /// The first expiry among the entries that had not ended when they were read.
    next_end: Option<Timestamp>,
    /// Set while what is held may be out of date.
    failure: Option<Arc<WatchError>>,
}

/// Why addresses are suppressed, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    why: Arc<Why>,
    expires: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
struct Why {
    scope: Scope,
    reason: Box<str>,
    source: Box<str>,
}

/// How far the list has been read.
#[derive(Debug)]
struct Reader {
    /// The entries held have change numbers larger than this,
    since: u64,
    /// and up to this.
    seen: u64,
    /// Something has changed since entries were counted last.
    uncounted: bool,
    /// When they may be counted again.
    count_at: Instant,
}

/// What the watch holds may be out of date.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The list can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The feed has ended.
    #[error("the thread that reads it has ended")]
    Ended,
}

impl Watch {
    /// Holds what was added to `list`, for mail of the list `list_id`, after the change number
    /// `since` (see [`super::Checker::change`]; 0 is all), read at `now`.
    pub fn open(
        list: Arc<dyn Suppressions>,
        list_id: Option<ListId>,
        since: u64,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let reader = Reader { since, seen: since, uncounted: false, count_at: Instant::now() };
        let watch = Self {
            list,
            list_id,
            fingerprinter: Fingerprinter::default(),
            held: RwLock::default(),
            reader: Mutex::new(reader),
        };
        watch.reload(&mut watch.reader.lock().expect("nobody else has it"), now)?;
        Ok(watch)
    }

    /// Why `address` is suppressed at `now`, to be read after "suppressed: "; `None` when it is
    /// not. Never waits for I/O.
    pub fn check(&self, address: &Address, now: Timestamp) -> Result<Option<String>, Arc<WatchError>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &held.failure {
            return Err(Arc::clone(failure));
        }
        if held.len() == 0 {
            return Ok(None);
        }
        let mut key = String::new();
        AddressKey::write(address.local(), address.domain().as_str(), &mut key);
        let fingerprint = self.fingerprinter.of(&key);
        let places = [&held.of_all, &held.of_list].into_iter().filter_map(|map| map.get(fingerprint));
        let terms = places.map(|place| &held.terms[place as usize]);
        Ok(why(terms.filter(|term| term.expires.is_none_or(|end| end > now))))
    }

    /// Reads what has changed in the list up to now; waits for I/O.
    pub fn refresh(&self, now: Timestamp) -> Result<(), StoreError> {
        let reader = &mut *self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (next_end, has_failed) = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            (held.next_end, held.failure.is_some())
        };
        if has_failed || next_end.is_some_and(|end| end <= now + MARGIN) {
            return self.reload(reader, now);
        }
        let mut fresh: Vec<(Fingerprint, Term)> = Vec::new();
        let last = self.list.changes(self.list_id.as_ref(), reader.seen, &mut |change| {
            let before = fresh.last().map(|(_, term)| term);
            fresh.push((self.fingerprinter.of(change.key), self.term(&change, before)));
        })?;
        reader.uncounted |= last != reader.seen;
        reader.seen = last;
        if !fresh.is_empty() {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            fresh.into_iter().for_each(|(fingerprint, term)| held.insert(fingerprint, term, now));
        }
        self.forget_removed(reader, now)
    }

    /// Nothing tells which entries were removed; that some were, shows in their number.
    fn forget_removed(&self, reader: &mut Reader, now: Timestamp) -> Result<(), StoreError> {
        let start = Instant::now();
        if !reader.uncounted || start < reader.count_at {
            return Ok(());
        }
        let count = self.list.count_changes(self.list_id.as_ref(), reader.since)?;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).len();
        if count != held as u64 {
            self.reload(reader, now)?;
        }
        reader.uncounted = false;
        reader.count_at = Instant::now() + start.elapsed() * RECOUNT_SHARE;
        Ok(())
    }

    /// Reads all that was added since `reader.since`.
    fn reload(&self, reader: &mut Reader, now: Timestamp) -> Result<(), StoreError> {
        let mut held = Held::default();
        let last = self.list.changes(self.list_id.as_ref(), reader.since, &mut |change| {
            let term = self.term(&change, held.terms.last());
            held.insert(self.fingerprinter.of(change.key), term, now);
        })?;
        reader.seen = last.max(reader.since);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    /// The term of `change`. Shares the texts of `before` where they are the same.
    fn term(&self, change: &Change<'_>, before: Option<&Term>) -> Term {
        let is_same = |why: &Why| {
            (why.scope != Scope::All) == change.is_of_list
                && *why.reason == *change.reason
                && *why.source == *change.source
        };
        let why = match before.filter(|term| is_same(&term.why)) {
            Some(term) => Arc::clone(&term.why),
            None => {
                let list = self.list_id.clone().filter(|_| change.is_of_list);
                let (reason, source) = (change.reason.into(), change.source.into());
                Arc::new(Why { scope: Scope::of(list), reason, source })
            }
        };
        Term { why, expires: change.expires }
    }

    fn fail(&self, error: WatchError) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).failure = Some(Arc::new(error));
    }
}

impl Held {
    /// The number of entries.
    fn len(&self) -> usize {
        self.of_all.len() + self.of_list.len()
    }

    fn insert(&mut self, fingerprint: Fingerprint, term: Term, now: Timestamp) {
        if let Some(end) = term.expires.filter(|end| *end > now) {
            self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
        }
        let places = match term.why.scope {
            Scope::All => &mut self.of_all,
            Scope::List(_) => &mut self.of_list,
        };
        if self.terms.last() != Some(&term) {
            self.terms.push(term);
        }
        let place = u32::try_from(self.terms.len() - 1).expect("fewer entries than fit into memory");
        places.replace(fingerprint, place);
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_why(f, &self.why.reason, &self.why.scope, &self.why.source, self.expires)
    }
}

/// The thread that keeps a [`Watch`] current. Once it is dropped, the watch answers with an error.
#[derive(Debug)]
pub struct Feed {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread, which reads the time from `wall`.
    pub fn start(watch: Arc<Watch>, wall: impl Fn() -> Timestamp + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread =
            Builder::new().name("suppression".into()).spawn(move || follow(&watch, wall, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been printed, and the watch answers with an error.
            let _ = thread.join();
        }
    }
}

fn follow(watch: &Watch, wall: impl Fn() -> Timestamp, stopped: &Receiver<()>) {
    /// Also after a panic.
    struct End<'a>(&'a Watch);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.fail(WatchError::Ended);
        }
    }
    let _end = End(watch);
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = watch.refresh(wall()) {
            watch.fail(error.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{DAY, NOW, address, entry, list_entry, list_scope};
    use super::*;
    use crate::suppression::{Checker, MemoryList, Term as Lasts};

    fn key(email: &str) -> AddressKey {
        AddressKey::from(&address(email))
    }

    fn watch(list: &Arc<MemoryList>, since: u64) -> Watch {
        Watch::open(list.clone(), None, since, NOW).unwrap()
    }

    fn is_suppressed(watch: &Watch, email: &str, now: Timestamp) -> bool {
        watch.refresh(now).unwrap();
        watch.check(&address(email), now).unwrap().is_some()
    }

    #[test]
    fn an_address_that_is_added_while_it_watches_is_seen() {
        let list = Arc::new(MemoryList::default());
        list.add(entry("old@b.example", "manual", Lasts::Default), NOW).unwrap();
        let change = Checker::open(list.clone(), None, NOW).unwrap().change();
        let watch = watch(&list, change);
        let suppressed = |email: &str, now| is_suppressed(&watch, email, now);
        assert!(!suppressed("bob@b.example", NOW));

        list.add(entry("Bob@b.example", "manual", Lasts::For(DAY)), NOW).unwrap();
        assert!(suppressed("bob@B.example", NOW));
        assert!(!suppressed("eve@b.example", NOW));
        assert!(!suppressed("bob@b.example", NOW + DAY), "the entry has ended");
        // The plan was screened against this one already.
        assert!(!suppressed("old@b.example", NOW));

        list.remove(&key("bob@b.example"), &Scope::All).unwrap();
        watch.reader.lock().unwrap().count_at = Instant::now();
        assert!(!suppressed("bob@b.example", NOW));
        list.add(entry("bob@b.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        list.add(entry("eve@b.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        assert!(suppressed("bob@b.example", NOW + 1_000 * DAY));
        assert!(suppressed("eve@b.example", NOW));
    }

    #[test]
    fn it_says_what_the_list_says() {
        let list = Arc::new(MemoryList::default());
        let mut entries = ["ann@b.example", "bob@b.example", "eve@b.example"]
            .map(|email| entry(email, "bad_mailbox", Lasts::For(DAY)));
        entries[2].source = "another".into();
        list.import(&mut entries.into_iter(), NOW).unwrap();
        let watch = watch(&list, 0);
        for email in ["ann@b.example", "bob@b.example", "eve@b.example"] {
            let entry = list.get(email, &Scope::All).unwrap().unwrap();
            assert_eq!(watch.check(&address(email), NOW).unwrap(), Some(entry.to_string()));
        }
        assert_eq!(watch.held.read().unwrap().terms.len(), 2, "neighbours share a term");
    }

    #[test]
    fn what_is_added_for_a_list_reaches_the_mail_of_that_list_alone() {
        let list = Arc::new(MemoryList::default());
        let open =
            |id: Option<&str>| Watch::open(list.clone(), id.map(|id| id.parse().unwrap()), 0, NOW).unwrap();
        let (news, alarms) = (open(Some("news.example")), open(None));
        let why = |watch: &Watch, now| {
            watch.refresh(now).unwrap();
            watch.check(&address("ann@b.example"), now).unwrap()
        };
        list.add(list_entry("ann@b.example", "news.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        list.add(list_entry("ann@b.example", "other.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        let left = "unsubscribe, for list news.example, from test, for ever";
        assert_eq!((why(&news, NOW).as_deref(), why(&alarms, NOW)), (Some(left), None));

        list.add(entry("ann@b.example", "manual", Lasts::For(DAY)), NOW).unwrap();
        let by_hand = "manual, from test, until 2026-05-29T20:26:40.000Z";
        assert_eq!(why(&news, NOW), Some(format!("{by_hand}; {left}")));
        assert_eq!(why(&alarms, NOW).as_deref(), Some(by_hand));
        // Each ends, and is removed, apart from the other.
        assert_eq!((why(&news, NOW + DAY).as_deref(), why(&alarms, NOW + DAY)), (Some(left), None));
        list.remove(&key("ann@b.example"), &list_scope("news.example")).unwrap();
        news.reader.lock().unwrap().count_at = Instant::now();
        assert_eq!(why(&news, NOW).as_deref(), Some(by_hand));
    }

    #[test]
    fn what_was_added_between_plan_and_watch_is_seen() {
        let list = Arc::new(MemoryList::default());
        let change = Checker::open(list.clone(), None, NOW).unwrap().change();
        list.add(entry("bob@b.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        assert!(is_suppressed(&watch(&list, change), "bob@b.example", NOW));
    }

    /// An entry that had ended when the plan was made, and was added again since.
    #[test]
    fn an_entry_that_is_renewed_is_seen() {
        let list = Arc::new(MemoryList::default());
        list.add(entry("bob@b.example", "manual", Lasts::For(DAY)), NOW).unwrap();
        let later = NOW + 2 * DAY;
        let watch = watch(&list, Checker::open(list.clone(), None, later).unwrap().change());
        assert!(!is_suppressed(&watch, "bob@b.example", later));
        list.add(entry("bob@b.example", "manual", Lasts::For(DAY)), later).unwrap();
        assert!(is_suppressed(&watch, "bob@b.example", later));
    }

    /// Another run's attempt has made it live longer than the watch was told.
    #[test]
    fn an_entry_whose_time_was_restarted_does_not_end_early() {
        let list = Arc::new(MemoryList::default());
        list.add(entry("bob@b.example", "manual", Lasts::For(DAY)), NOW).unwrap();
        let watch = watch(&list, 0);
        watch.refresh(NOW).unwrap();
        let id = list.get("bob@b.example", &Scope::All).unwrap().unwrap().id;
        list.restart_time(&[id], NOW + DAY / 2).unwrap();
        assert!(is_suppressed(&watch, "bob@b.example", NOW + DAY));
        assert!(!is_suppressed(&watch, "bob@b.example", NOW + DAY + DAY / 2));
    }

    #[test]
    fn the_feed_keeps_it_current_and_its_end_is_an_error() {
        let list = Arc::new(MemoryList::default());
        let watch = Arc::new(watch(&list, 0));
        let feed = Feed::start(Arc::clone(&watch), || NOW).unwrap();
        let bob = address("bob@b.example");
        assert_eq!(watch.check(&bob, NOW).unwrap(), None);
        list.add(entry("bob@b.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        while watch.check(&bob, NOW).unwrap().is_none() {
            std::thread::yield_now();
        }
        drop(feed);
        let error = watch.check(&bob, NOW).unwrap_err();
        assert!(matches!(*error, WatchError::Ended), "{error}");
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error_until_it_can() {
        let list = Arc::new(MemoryList::default());
        let watch = watch(&list, 0);
        list.add(entry("bob@b.example", "unsubscribe", Lasts::Default), NOW).unwrap();
        watch.fail(WatchError::Ended);
        assert!(watch.check(&address("eve@b.example"), NOW).is_err());
        assert!(is_suppressed(&watch, "bob@b.example", NOW));
    }
}

//! The list as a store keeps it: the trait that every backend implements, and what its methods take
//! and return.

use std::fmt;

use super::entry::{AddressKey, Entry, EntryId, NewEntry, Reason};
use super::scope::Scope;
use crate::kit::store::StoreError;
use crate::mail::{Domain, ListId, Timestamp};

/// Entries read at once by [`Entries`].
const PAGE: usize = 1_000;

/// The suppression list, shared by all campaigns and processes of one state.
///
/// Every transaction that adds, renews or removes entries gets the next *change number*; an entry
/// carries the number of the transaction that added or renewed it last. So a running send can ask
/// for what is new since its plan was made, see [`Watch`](super::Watch).
pub trait Suppressions: fmt::Debug + Send + Sync {
    /// Adds many entries or renews those that exist for the same mail, some thousands a
    /// transaction. A permanent entry stays as it is; a timed one never ends earlier than it would
    /// have. After an error the finished transactions stay; importing the same entries again does
    /// no harm.
    fn import(
        &self,
        entries: &mut dyn Iterator<Item = NewEntry>,
        now: Timestamp,
    ) -> Result<ImportCounts, StoreError>;

    /// Removes the entry of an address for this mail. True when there was one.
    fn remove(&self, key: &AddressKey, scope: &Scope) -> Result<bool, StoreError>;

    /// The entry of the address with this key (the text of an [`AddressKey`]) for this mail,
    /// whether it still blocks mail or not.
    fn get(&self, key: &str, scope: &Scope) -> Result<Option<Entry>, StoreError>;

    /// All entries of the address with this key: that for all mail and those for lists.
    fn of_address(&self, key: &str) -> Result<Vec<Entry>, StoreError>;

    /// The first `most` entries that match `filter`, in the order of their places
    /// (`Scope::place`), of those after the place `after`.
    fn page(&self, filter: &Filter, after: &str, most: usize) -> Result<Vec<Entry>, StoreError>;

    /// The number of entries that block any mail at `now`.
    fn count_live(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Restarts the time of these entries, because an attempt on each has been blocked: they end a
    /// lifetime from `now` on, never earlier than before. Permanent entries and those that have
    /// ended stay as they are. Returns how many were restarted.
    fn restart_time(&self, entries: &[EntryId], now: Timestamp) -> Result<u64, StoreError>;

    /// Removes the entries that had ended by `before`. Returns how many.
    fn purge(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Calls `each` with the address's key of every entry that blocks mail of `list` at `now`, as
    /// of one moment; an address with two entries comes twice. Without a list, the entries for
    /// all mail. Returns the last change number at that moment.
    fn live_keys(
        &self,
        list: Option<&ListId>,
        now: Timestamp,
        each: &mut dyn FnMut(&str),
    ) -> Result<u64, StoreError>;

    /// Calls `each` with every entry for mail of `list` whose change number is larger than `seen`,
    /// in the order of these numbers and as of one moment. Returns the last change number at that
    /// moment; when that is `seen`, nothing has changed.
    fn changes(
        &self,
        list: Option<&ListId>,
        seen: u64,
        each: &mut dyn FnMut(Change<'_>),
    ) -> Result<u64, StoreError>;

    /// The number of entries for mail of `list` whose change number is larger than `since`.
    fn count_changes(&self, list: Option<&ListId>, since: u64) -> Result<u64, StoreError>;

    /// The entries that block mail of `list` to the address with this key at `now`: at most that
    /// for all mail and that for the list.
    fn blocking(&self, key: &str, list: Option<&ListId>, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let mut found = self.of_address(key)?;
        found.retain(|entry| entry.is_live(now) && entry.scope.list().is_none_or(|of| Some(of) == list));
        Ok(found)
    }

    /// Adds an entry, or renews the one that exists, as [`import`](Self::import) does.
    fn add(&self, entry: NewEntry, now: Timestamp) -> Result<Added, StoreError> {
        let counts = self.import(&mut std::iter::once(entry), now)?;
        Ok(match (counts.new, counts.renewed) {
            (0, 0) => Added::Kept,
            (0, _) => Added::Renewed,
            (_, _) => Added::New,
        })
    }
}

/// What became of an added entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The address had no entry for this mail.
    New,
    /// It had one with a term: the entry has the new reason and source, and the later end of the
    /// two.
    Renewed,
    /// It had one for ever: nothing changed.
    Kept,
}

/// What became of the entries of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// As [`Added::New`].
    pub new: u64,
    /// As [`Added::Renewed`].
    pub renewed: u64,
    /// As [`Added::Kept`].
    pub kept: u64,
}

impl ImportCounts {
    /// Counts one entry.
    pub(crate) fn count(&mut self, added: Added) {
        match added {
            Added::New => self.new += 1,
            Added::Renewed => self.renewed += 1,
            Added::Kept => self.kept += 1,
        }
    }
}

/// Which entries to list; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those with this reason.
    pub reason: Option<Reason>,
    /// Only those from this source.
    pub source: Option<String>,
    /// Only addresses of this domain.
    pub domain: Option<Domain>,
    /// Only those for this mail.
    pub scope: Option<Scope>,
    /// Only those that block mail at this moment.
    pub live_at: Option<Timestamp>,
}

/// An entry that was added or renewed, as the change feed reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The text of its [`AddressKey`].
    pub key: &'a str,
    /// It is for the mail of the list that was asked for; otherwise for all mail.
    pub is_of_list: bool,
    /// Why.
    pub reason: &'a str,
    /// Where it comes from.
    pub source: &'a str,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
}

/// The entries that match a [`Filter`], in the order of their addresses, read in pages. After an
/// error there are no more.
#[derive(Debug)]
pub struct Entries<'a> {
    list: &'a dyn Suppressions,
    filter: Filter,
    page: std::vec::IntoIter<Entry>,
    after: String,
    done: bool,
}

impl<'a> Entries<'a> {
    /// The entries of `list`.
    pub fn new(list: &'a dyn Suppressions, filter: Filter) -> Self {
        Self { list, filter, page: Vec::new().into_iter(), after: String::new(), done: false }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.done {
            match self.list.page(&self.filter, &self.after, PAGE) {
                Ok(page) => {
                    self.done = page.len() < PAGE;
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        let entry = self.page.next()?;
        self.after = entry.scope.place(entry.key.as_str()).into_owned();
        Some(Ok(entry))
    }
}

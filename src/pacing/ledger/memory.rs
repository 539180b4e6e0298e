//! The ledger and the daily caps of one process: nothing is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

use super::book::{Book, Claim};
use super::usage::{self, Usage};
use super::{Account, DailyCaps, Holder, Ledger, LedgerError, Request, Reservation};
use crate::kit::store::StoreError;
use crate::pacing::agreement::{Agreement, Terms};
use crate::pacing::clock::Clock;

/// Keeps the accounts in memory, for all who hold a clone: for tests and benchmarks. It ends with
/// its process.
#[derive(Debug, Clone)]
pub struct MemoryLedger {
    books: Arc<Mutex<HashMap<String, Book>>>,
    clock: Clock,
}

impl MemoryLedger {
    /// A ledger where nothing is spent.
    pub fn new(clock: Clock) -> Self {
        Self { books: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        // A panic elsewhere can't have left a book half written: each change to one is a single
        // call.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for MemoryLedger {
    fn join(&self, holder: Holder, terms: Terms) -> Result<Box<dyn Account>, LedgerError> {
        Ok(Box::new(MemoryAccount { ledger: self.clone(), holder, terms }))
    }

    fn set_limits(&self, account: &str, limits: Agreement) -> Result<u64, LedgerError> {
        Ok(self.lock().get_mut(account).map_or(0, |book| book.set_limits(limits)))
    }

    fn usage(&self) -> Result<Vec<Usage>, LedgerError> {
        let at = self.clock.reading();
        let books = self.lock();
        let mut found: Vec<Usage> =
            books.iter().filter_map(|(account, book)| usage::of_book(account.clone(), book, at)).collect();
        found.sort_by(|one, other| one.account.cmp(&other.account));
        Ok(found)
    }
}

/// One process's access to its account.
#[derive(Debug)]
struct MemoryAccount {
    ledger: MemoryLedger,
    holder: Holder,
    terms: Terms,
}

impl Account for MemoryAccount {
    fn reserve(&mut self, request: &Request) -> Result<Reservation, LedgerError> {
        let at = self.ledger.clock.reading();
        let mut books = self.ledger.lock();
        let book = books.entry(self.terms.account.clone()).or_default();
        for unused in &request.unused {
            book.give_back(unused.block, unused.used);
        }
        let claim = Claim::new(&self.holder, &self.terms, at, request);
        let decision = book.decide(&claim);
        let id = book.next_id();
        if let Some(record) = decision.record(id, &claim) {
            book.enter(record);
        }
        Ok(decision.reservation(id, at))
    }
}

/// Daily caps in memory, for all who hold a clone.
#[derive(Debug, Clone, Default)]
pub struct MemoryCaps {
    used: Arc<Mutex<HashMap<(String, NaiveDate), u64>>>,
}

impl MemoryCaps {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, NaiveDate), u64>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DailyCaps for MemoryCaps {
    fn take(&self, source: &str, day: NaiveDate, cap: u64, wanted: u64) -> Result<u64, StoreError> {
        let mut all = self.lock();
        let used = all.entry((source.to_owned(), day)).or_default();
        let taken = cap.saturating_sub(*used).min(wanted);
        *used += taken;
        Ok(taken)
    }

    fn used(&self, source: &str, day: NaiveDate) -> Result<u64, StoreError> {
        Ok(self.lock().get(&(source.to_owned(), day)).copied().unwrap_or_default())
    }

    fn give_back(&self, source: &str, day: NaiveDate, unused: u64) -> Result<(), StoreError> {
        let mut all = self.lock();
        let used = all.entry((source.to_owned(), day)).or_default();
        *used = used.saturating_sub(unused);
        Ok(())
    }
}

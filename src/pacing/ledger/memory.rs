//! The ledger of one process: nothing is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::{Book, Claim};
use super::usage::{self, Usage};
use super::{Holder, Ledger, LedgerError, Request, Reservation};
use crate::campaign::Capacity;
use crate::pacing::agreement::Terms;
use crate::pacing::clock::Reading;

/// Keeps the accounts in memory, for those that share it. For tests and rehearsals: it dies with its process.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger {
    books: Arc<Mutex<HashMap<String, Book>>>,
}

impl MemoryLedger {
    /// A ledger where nothing is spent.
    pub fn new() -> Self {
        Self::default()
    }

    /// `holder`'s access to the account that `capacity` names.
    pub fn join(&self, holder: Holder, capacity: &Capacity) -> MemoryAccount {
        MemoryAccount { ledger: self.clone(), holder, terms: capacity.into() }
    }

    /// The account's last hour; `None` where nothing was ever reserved.
    pub fn usage(&self, account: &str, at: Reading) -> Option<Usage> {
        usage::of_book(account.to_owned(), self.lock().get(account)?, at)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        // A panic elsewhere can't have left a book half written: each change to one is a single call.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process's access to its account.
#[derive(Debug, Clone)]
pub struct MemoryAccount {
    ledger: MemoryLedger,
    holder: Holder,
    terms: Terms,
}

impl Ledger for MemoryAccount {
    fn reserve(&mut self, at: Reading, request: &Request) -> Result<Reservation, LedgerError> {
        let mut books = self.ledger.lock();
        let book = books.entry(self.terms.account.clone()).or_default();
        for unused in &request.unused {
            book.give_back(unused.block, unused.used);
        }
        let claim = Claim::new(&self.holder, &self.terms, at, request);
        let decision = book.decide(&claim);
        let id = book.next_id();
        if let Some(entry) = decision.entry(id, &claim) {
            book.record(entry);
        }
        Ok(decision.reservation(id, at))
    }
}

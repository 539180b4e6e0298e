//! SQLite's errors, sorted by what they say about a store.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::kit::store::{Cause, Store, StoreError, StoreKind};

/// The database that all campaigns of a user share.
pub(super) const STATE: StoreKind = StoreKind {
    name: "state database",
    if_missing: None,
    if_foreign: Some("choose another state directory with `--state DIR` or MAILRUN_STATE"),
    if_damaged: Some(
        "restore it from a backup, or recover it with `sqlite3 state.db .recover`; without it mail would go to \
                 people who have unsubscribed, and what was sent in the last hour would be unknown, so it is never \
                 replaced by an empty one",
    ),
    if_replaced: Some(
        "stop all runs, wait an hour or put the old file back, and start them again: they resume",
    ),
    if_denied: Some(
        "fix the permissions of the file and its directory, or choose another state directory with \
                `--state DIR` or MAILRUN_STATE",
    ),
};

/// The journal of one run.
pub(super) const JOURNAL: StoreKind = StoreKind {
    name: "journal",
    if_missing: Some("if it was removed, what was sent is unknown: start a new run with `--run-id`"),
    if_foreign: Some("restore the file, or start a new run with `--run-id`"),
    if_damaged: Some(
        "nothing was sent; `mailrun results RUN` shows what is known, rows without a known outcome are \
                 `in_doubt`",
    ),
    if_replaced: None,
    if_denied: Some("make the run directory writable for this user"),
};

/// The store of this kind in the file at `path`.
pub(super) fn store(kind: &'static StoreKind, path: &Path) -> Store {
    Store { kind, place: path.display().to_string() }
}

/// An error of SQLite in `store`. `action` is what was tried, as in [`StoreError::Failed`].
pub(super) fn sqlite(store: &Store, action: &'static str, error: rusqlite::Error) -> StoreError {
    let store = store.clone();
    let cause = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => return StoreError::Full { store, source: Box::new(error) },
        Some(ErrorCode::NotADatabase) => return StoreError::Foreign { store, found: error.to_string() },
        Some(ErrorCode::DatabaseCorrupt) => return StoreError::Damaged { store, detail: error.to_string() },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Cause::Denied,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Cause::Busy,
        _ => Cause::Other,
    };
    StoreError::Failed { action, store, cause, source: Box::new(error) }
}

/// An error of the file system.
pub(super) fn io(store: &Store, action: &'static str, error: io::Error) -> StoreError {
    let store = store.clone();
    let cause = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            return StoreError::Full { store, source: Box::new(error) };
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Cause::Denied,
        _ => Cause::Other,
    };
    StoreError::Failed { action, store, cause, source: Box::new(error) }
}

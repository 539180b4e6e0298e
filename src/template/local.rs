//! The language and the zone of a row: how its letter writes numbers, dates and times.

use std::cell::Cell;

use super::locale::Locale;
use super::zone::Zone;

/// Where a recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Local {
    /// None: English, as helpers write it by default.
    pub locale: Option<Locale>,
    /// None: UTC, and times with an offset stay in it.
    pub zone: Option<Zone>,
}

thread_local! {
    /// That of the row that this thread renders: the crates hand nothing of ours to the helpers
    /// that they call.
    static CURRENT: Cell<Local> = const { Cell::new(Local { locale: None, zone: None }) };
}

/// Begins the rendering of a row.
pub(super) fn begin(local: Local) {
    CURRENT.set(local);
}

/// Where the recipient of the row is that this thread renders.
pub(super) fn current() -> Local {
    CURRENT.get()
}

/// A locale, by what campaigns and rows call it.
pub(crate) fn locale(name: &str) -> Result<Locale, String> {
    Locale::parse(name).ok_or_else(|| {
        format!(
            "`{name}` is not a locale such as `de_DE`; the languages are en, de, fr, es, it, nl, pl and pt"
        )
    })
}

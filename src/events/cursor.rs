//! How far a reader is.

use std::fmt;
use std::str::FromStr;

/// How far a reader is in the events of one run. As text: the run's id, `/`, and four numbers
/// between dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The run's id.
    pub run: String,
    /// How many of the events that follow from the plan were read.
    pub received: u64,
    /// The group of the journal that is being read,
    pub group: u64,
    /// and how many of its records were read.
    pub record: u32,
    /// The last record of the log of feedback that was read.
    pub feedback: u64,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no cursor: each event has one, the value of its key `cursor`")]
pub(crate) struct BadCursor(String);

impl Cursor {
    /// Before the first event of a run.
    pub(crate) fn start(run: &str) -> Self {
        Self { run: run.to_owned(), received: 0, group: 0, record: 0, feedback: 0 }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, received, group, record, feedback } = self;
        write!(f, "{run}/{received}.{group}.{record}.{feedback}")
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let read = || {
            let (run, numbers) = text.rsplit_once('/')?;
            let mut numbers = numbers.split('.');
            // No store has larger ones.
            let mut number = || u64::try_from(numbers.next()?.parse::<i64>().ok()?).ok();
            let (received, group, record, feedback) = (number()?, number()?, number()?, number()?);
            let record = u32::try_from(record).ok()?;
            let is_whole = numbers.next().is_none() && !run.is_empty();
            is_whole.then(|| Self { run: run.to_owned(), received, group, record, feedback })
        };
        read().ok_or_else(|| BadCursor(text.to_owned()))
    }
}

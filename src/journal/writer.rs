//! The one thread that commits to the journal, in groups.
//!
//! A commit costs the same for one record and for a hundred. So an intent waits up to
//! [`LONGEST_GATHER`] for others, unless a quarter of all messages in flight wait with it: then
//! more would come only after these have left. Outcomes alone wait up to [`LONGEST_WAIT`].

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::codec;
use super::commit::Journal;
use super::error::JournalError;
use super::queue::{Entry, Patience, Queue};
use super::record::{ConnectionInfo, Intent, Outcome};
use crate::kit::store::Store;

/// The most records of one commit, so that a kill loses little and a commit takes little time.
pub(super) const GROUP_RECORDS: usize = 256;
/// The longest that an intent waits for others. Meanwhile its connection is busy with the message
/// before it.
const LONGEST_GATHER: Duration = Duration::from_millis(1);
/// The longest that an outcome waits for others before it is committed.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// With more entries than this waiting, the writer counts as congested: some seconds' worth for a
/// slow disk.
const CONGESTED: usize = 8_192;
/// Room for the records of a usual group.
const GROUP_BYTES: usize = 16 << 10;

/// The journal's writer. `T` is what is passed on once its intent is durable.
///
/// [`intend`](Self::intend) and [`record`](Self::record) never block and never fail: an async task
/// may call them. The caller bounds the queue: a row in flight has at most one intent and one
/// outcome here, and before it prepares more rows the caller looks at
/// [`is_congested`](Self::is_congested). The first failure is reported once to `on_error`; from
/// then on no intent becomes durable, nothing is passed on, and every intent comes back through
/// `on_given_up`. Outcomes are still tried, since they are what is known.
#[derive(Debug)]
pub struct Writer<T> {
    queue: Arc<Queue<T>>,
    failed: Arc<AtomicBool>,
    next_connection: AtomicU32,
    thread: Option<JoinHandle<Result<Journal, JournalError>>>,
    store: Store,
}

impl<T: Send + 'static> Writer<T> {
    /// Starts the thread. `on_durable` gets the intents of a group, in the order of
    /// [`intend`](Self::intend), once they are durable; it runs on the writer's thread and must not
    /// block it. `on_error` gets the first failure; after it, `on_given_up` gets the intents that
    /// will never be passed on. Such an intent is most likely not in the journal, but a commit that
    /// failed may have reached the disk all the same: the caller records it as
    /// [`Withdrawn`](super::Verdict::Withdrawn), which is true in both cases. Where there is no
    /// room for that either, a row whose intent did reach the disk is in doubt after a resume, and
    /// all others are untouched.
    pub fn spawn(
        journal: Journal,
        on_durable: impl FnMut(Vec<(Intent, T)>) + Send + 'static,
        on_given_up: impl FnMut(Vec<(Intent, T)>) + Send + 'static,
        on_error: impl FnOnce(JournalError) + Send + 'static,
    ) -> Result<Self, JournalError> {
        let queue = Arc::new(Queue::new());
        let failed = Arc::new(AtomicBool::new(false));
        let (store, next_connection) = (journal.store().store().clone(), journal.next_connection());
        let work = Work {
            journal,
            queue: Arc::clone(&queue),
            failed: Arc::clone(&failed),
            on_durable,
            on_given_up,
            on_error: Some(on_error),
            unwritten: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || work.run())
            .map_err(|source: io::Error| JournalError::NoThread { store: store.clone(), source })?;
        Ok(Self {
            queue,
            failed,
            next_connection: AtomicU32::new(next_connection),
            thread: Some(thread),
            store,
        })
    }

    /// Gives a connection its number, unique in the run also over resumes. Durable with the first
    /// intent that names it.
    pub fn register_connection(&self, info: ConnectionInfo) -> u32 {
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        self.queue.put([Entry::Connection(number, info)], None, GROUP_RECORDS);
        number
    }

    /// Makes intents durable at once, then passes them on with their messages.
    pub fn intend(&self, intents: Vec<(Intent, T)>) {
        self.intend_among(intents, 0);
    }

    /// As [`intend`](Self::intend), but waits a moment where more may come: `under_way` messages,
    /// including these, have an intent (durable or not) and no outcome.
    pub fn intend_among(&self, intents: Vec<(Intent, T)>, under_way: usize) {
        let entries = intents.into_iter().map(|(intent, message)| Entry::Intent(intent, message));
        self.queue.put(entries, Some(under_way.div_ceil(4)), GROUP_RECORDS);
    }

    /// Records what became of a row.
    pub fn record(&self, outcome: Outcome) {
        self.queue.put([Entry::Outcome(outcome)], None, GROUP_RECORDS);
    }

    /// True while so much is waiting that no more rows should be started.
    pub fn is_congested(&self) -> bool {
        self.queue.len() >= CONGESTED
    }

    /// True once a commit has failed: nothing more will be passed on.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) || self.queue.has_ended()
    }

    /// Blocks until everything handed over before is durable. An error when some of it is not.
    pub fn flush(&self) -> Result<(), JournalError> {
        if self.queue.flush() && !self.has_failed() {
            return Ok(());
        }
        Err(JournalError::Ended(self.store.clone()))
    }

    /// Commits the rest and returns the journal. Outcomes that could not be written are tried one
    /// last time.
    pub fn close(mut self) -> Result<Journal, JournalError> {
        self.queue.close();
        let thread = self.thread.take().expect("only `close` and `drop` take it, and both end the writer");
        thread.join().unwrap_or_else(|_| Err(JournalError::Ended(self.store.clone())))
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of `on_durable` has been printed already.
            drop(thread.join());
        }
    }
}

/// The thread's side.
struct Work<T, D, G, E> {
    journal: Journal,
    queue: Arc<Queue<T>>,
    failed: Arc<AtomicBool>,
    on_durable: D,
    on_given_up: G,
    on_error: Option<E>,
    /// The outcomes of groups whose commit failed, oldest first: at most as many as were in flight.
    unwritten: VecDeque<Group>,
}

/// What one commit writes.
#[derive(Default)]
struct Group {
    connections: Vec<(u32, ConnectionInfo)>,
    records: Vec<u8>,
}

/// Wakes those who wait for a flush when the thread ends, also by a panic.
struct EndOfThread<T>(Arc<Queue<T>>);

impl<T> Drop for EndOfThread<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T, D, G, E> Work<T, D, G, E>
where
    D: FnMut(Vec<(Intent, T)>),
    G: FnMut(Vec<(Intent, T)>),
    E: FnOnce(JournalError),
{
    fn run(mut self) -> Result<Journal, JournalError> {
        let _end = EndOfThread(Arc::clone(&self.queue));
        let mut entries = Vec::new();
        let patience = Patience { intent: LONGEST_GATHER, any: LONGEST_WAIT, full: GROUP_RECORDS };
        loop {
            let taken = self.queue.take(&mut entries, patience);
            let mut rest = entries.drain(..);
            while rest.len() > 0 {
                self.group(rest.by_ref().take(GROUP_RECORDS));
            }
            drop(rest);
            self.queue.flushed(taken.flush);
            if taken.closed && self.queue.len() == 0 {
                return self.write_unwritten().map(|()| self.journal);
            }
        }
    }

    /// Commits one group and passes its intents on.
    fn group(&mut self, entries: impl Iterator<Item = Entry<T>>) {
        let failed = self.failed.load(Ordering::Acquire);
        let mut group = Group { connections: Vec::new(), records: Vec::with_capacity(GROUP_BYTES) };
        let mut intents = Vec::new();
        let mut given_up = Vec::new();
        let mut outcomes = Vec::new();
        for entry in entries {
            match entry {
                Entry::Connection(number, info) => group.connections.push((number, info)),
                Entry::Intent(intent, message) if failed => given_up.push((intent, message)),
                Entry::Intent(intent, message) => {
                    codec::put_intent(&mut group.records, &intent);
                    intents.push((intent, message));
                }
                Entry::Outcome(outcome) => {
                    codec::put_outcome(&mut group.records, &outcome);
                    outcomes.push(outcome);
                }
            }
        }
        // What failed comes first: the order of a row's records is their meaning.
        let wrote =
            self.write_unwritten().and_then(|()| self.journal.commit(&group.connections, &group.records));
        match wrote {
            Ok(()) if intents.is_empty() => {}
            Ok(()) => (self.on_durable)(intents),
            Err(error) => {
                self.failed.store(true, Ordering::Release);
                given_up.append(&mut intents);
                group.records.clear();
                outcomes.iter().for_each(|outcome| codec::put_outcome(&mut group.records, outcome));
                self.unwritten.push_back(group);
                if let Some(tell) = self.on_error.take() {
                    tell(error);
                }
            }
        }
        if !given_up.is_empty() {
            (self.on_given_up)(given_up);
        }
    }

    fn write_unwritten(&mut self) -> Result<(), JournalError> {
        while let Some(group) = self.unwritten.front() {
            self.journal.commit(&group.connections, &group.records)?;
            self.unwritten.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::journal::testing::{FullDisk, accepted, intent, run_of};
    use crate::journal::{MemoryJournal, Reader, RowState};
    use crate::mail::Disposition;

    #[test]
    fn after_a_failure_outcomes_are_kept_and_intents_are_given_up_for_good() {
        let run = run_of(3_000);
        let memory = MemoryJournal::new(&run);
        let is_full = Arc::new(AtomicBool::new(true));
        let disk = FullDisk { journal: memory.clone(), is_full: Arc::clone(&is_full) };
        let (mut passed_on, mut given_up) = (Vec::new(), Vec::new());
        let mut work = Work {
            journal: Journal::new(Box::new(disk), &run).unwrap(),
            queue: Arc::new(Queue::new()),
            failed: Arc::default(),
            on_durable: |intents: Vec<(Intent, ())>| passed_on.extend(intents),
            on_given_up: |intents: Vec<(Intent, ())>| {
                given_up.extend(intents.iter().map(|(intent, ())| intent.row));
            },
            on_error: Some(|_| ()),
            unwritten: VecDeque::new(),
        };
        let outcomes = |rows: Range<u32>| rows.map(|row| Entry::Outcome(accepted(row, 1, 0)));
        let intents = |rows: Range<u32>| rows.map(|row| Entry::Intent(intent(row, 1, 0), ()));
        work.group(outcomes(0..200).chain(intents(1_000..1_010)));
        work.group(outcomes(200..400));
        assert!(work.failed.load(Ordering::Acquire));
        assert_eq!(work.unwritten.len(), 2);
        is_full.store(false, Ordering::Relaxed);
        work.group(outcomes(400..401).chain(intents(2_000..2_010)));
        assert!(work.unwritten.is_empty());
        drop(work);
        let states = Reader::new(Box::new(memory)).states().unwrap();
        let done = states.iter().filter(|(_, s)| *s == RowState::Final(Disposition::Accepted)).count();
        assert_eq!((done, states.open_intents(), passed_on.len()), (401, 0, 0));
        assert!(given_up.into_iter().eq((1_000..1_010).chain(2_000..2_010)), "each comes back once");
    }
}

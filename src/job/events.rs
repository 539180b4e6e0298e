//! The events of a run: read to their end, or followed until nobody works on the run.

use std::thread;
use std::time::Duration;

use super::error::JobError;
use super::workspace::Workspace;
use crate::events::{Cursor, Event, RunEvents};
use crate::feedback::Logged;
use crate::journal::Reader;
use crate::run_dir::{Manifest, RunDir, StoredRun};

/// Events that are made at once.
const AT_ONCE: usize = 4_096;
/// How often a run is looked at that is followed.
const EVERY: Duration = Duration::from_millis(200);

/// An event, and the cursor behind it.
pub(crate) type Placed = (Event, Cursor);

/// The events of a run as far as they were read.
pub(super) struct Reading {
    events: RunEvents,
    journal: Option<Reader>,
    is_damaged: bool,
}

impl Reading {
    /// Opens the plan of a run; none where it is not frozen yet.
    pub(super) fn open(dir: &RunDir, manifest: &Manifest) -> Result<Option<Self>, JobError> {
        if manifest.plan.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { events: RunEvents::open(dir, manifest)?, journal: None, is_damaged: false }))
    }

    /// Hands what follows from the plan and stands in the journal behind `cursor` to `each`, until
    /// it returns false. Returns what it returned last.
    pub(super) fn of_sending(
        &mut self,
        workspace: &Workspace,
        dir: &RunDir,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(&[Placed]) -> bool,
    ) -> Result<bool, JobError> {
        let state = workspace.state()?;
        if self.journal.is_none() && state.has_journal(dir) {
            self.journal = Some(state.read_journal(dir)?);
        }
        loop {
            let page = self.events.received(cursor, AT_ONCE)?;
            if page.is_empty() {
                break;
            }
            if !each(&page) {
                return Ok(false);
            }
        }
        while let Some(journal) = &self.journal {
            let before = (cursor.group, cursor.record);
            let (page, damage) = self.events.sent(journal, cursor)?;
            if let Some(why) = damage.filter(|_| !std::mem::replace(&mut self.is_damaged, true)) {
                workspace.warn(format!("a part of the journal can't be read, its events are missing: {why}"));
            }
            if !page.is_empty() && !each(&page) {
                return Ok(false);
            }
            if (cursor.group, cursor.record) == before {
                break;
            }
        }
        Ok(true)
    }

    /// The events of `logged`, records of the run in order, that are behind `cursor`.
    pub(super) fn came_back(&self, logged: &[Logged], cursor: &mut Cursor) -> Vec<Placed> {
        self.events.came_back(logged, cursor)
    }
}

impl Workspace {
    /// Hands the events of a run behind `cursor` to `each`, until it returns false; with `follow`
    /// those too that come while a process works on the run. `each` also gets nothing now and
    /// then, when all events until then were handed over. Reads only, and keeps nothing locked
    /// while `each` works.
    pub(crate) fn events(
        &self,
        run: &StoredRun,
        cursor: &mut Cursor,
        follow: bool,
        each: &mut dyn FnMut(&[Placed]) -> bool,
    ) -> Result<(), JobError> {
        let mut opened = None;
        loop {
            // Before the last look: what it does not see, nobody writes.
            let is_running = follow && run.is_leased()?;
            if opened.is_none() {
                opened = Reading::open(run.dir(), &run.manifest()?)?;
            }
            if let Some(reading) = &mut opened {
                if !reading.of_sending(self, run.dir(), cursor, each)? {
                    return Ok(());
                }
                let page = reading.came_back(&self.came_back_of(run.dir(), cursor.feedback)?, cursor);
                if !page.is_empty() && !each(&page) {
                    return Ok(());
                }
            }
            if !is_running || !each(&[]) {
                return Ok(());
            }
            thread::sleep(EVERY);
        }
    }

    /// What came back for a run, behind the record `after` of the log.
    pub(super) fn came_back_of(&self, run: &RunDir, after: u64) -> Result<Vec<Logged>, JobError> {
        // A state without any database has no feedback, and need not get one.
        if !self.state_file()?.exists() {
            return Ok(Vec::new());
        }
        Ok(self.state()?.feedback()?.of_run(run.campaign_id(), run.run_id(), after)?)
    }

    /// The first `most` records of these.
    pub(super) fn page_of_came_back(
        &self,
        run: &RunDir,
        after: u64,
        most: usize,
    ) -> Result<Vec<Logged>, JobError> {
        if !self.state_file()?.exists() {
            return Ok(Vec::new());
        }
        Ok(self.state()?.feedback()?.page_of_run(run.campaign_id(), run.run_id(), after, most)?)
    }
}

//! The events of a run: read to their end, or followed until nobody works on the run.

use std::thread;
use std::time::Duration;

use super::error::JobError;
use super::workspace::Workspace;
use crate::events::{Cursor, Event, RunEvents};
use crate::run_dir::StoredRun;

/// Events that are made at once.
const AT_ONCE: usize = 4_096;
/// How often a run is looked at that is followed.
const EVERY: Duration = Duration::from_millis(200);

/// An event, and the cursor behind it.
pub(crate) type Placed = (Event, Cursor);

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
        let mut journal = None;
        let mut is_damaged = false;
        let state = self.state()?;
        loop {
            // Before the last look: what it does not see, nobody writes.
            let is_running = follow && run.is_leased()?;
            if opened.is_none() {
                let manifest = run.manifest()?;
                if manifest.plan.is_some() {
                    opened = Some(RunEvents::open(run.dir(), &manifest)?);
                }
            }
            if journal.is_none() && state.has_journal(run.dir()) {
                journal = Some(state.read_journal(run.dir())?);
            }
            if let Some(events) = &mut opened {
                loop {
                    let page = events.received(cursor, AT_ONCE)?;
                    if page.is_empty() {
                        break;
                    }
                    if !each(&page) {
                        return Ok(());
                    }
                }
                while let Some(journal) = &journal {
                    let before = (cursor.group, cursor.record);
                    let (page, damage) = events.sent(journal, cursor)?;
                    if let Some(why) = damage.filter(|_| !std::mem::replace(&mut is_damaged, true)) {
                        self.warn(format!(
                            "a part of the journal can't be read, its events are missing: {why}"
                        ));
                    }
                    if !page.is_empty() && !each(&page) {
                        return Ok(());
                    }
                    if (cursor.group, cursor.record) == before {
                        break;
                    }
                }
                // A state without any database has no feedback, and need not get one.
                if self.state_file()?.exists() {
                    let feedback = state.feedback()?;
                    let (campaign, id) = (run.dir().campaign_id(), run.dir().run_id());
                    let page = events.came_back(&feedback.of_run(campaign, id, cursor.feedback)?, cursor);
                    if !page.is_empty() && !each(&page) {
                        return Ok(());
                    }
                }
            }
            if !is_running || !each(&[]) {
                return Ok(());
            }
            thread::sleep(EVERY);
        }
    }
}

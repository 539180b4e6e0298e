//! What becomes of rows whose message was not scanned. Nothing leaves unscanned: while a scanner
//! gives no answer rows wait, and when that lasts for `give-up-after` they end `deferred`.

use super::Dispatcher;
use crate::mail::{Disposition, Timestamp};
use crate::run::event::Action;
use crate::run::ids::LaneId;
use crate::run::task::Task;

impl Dispatcher {
    /// The message of these rows was not scanned.
    pub(super) fn on_unscanned(
        &mut self,
        tasks: Vec<Task>,
        lane: LaneId,
        why: &str,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let (since, at) = self.scans.failed(why, now);
        let schedule = self.settings.schedule.clone();
        let mut late = Vec::new();
        for mut task in tasks {
            let waits_since = *task.unscanned_since.get_or_insert(now);
            if schedule.is_late(waits_since.min(since), at) {
                late.push(task);
            } else {
                self.lanes[lane].put_off(task, at);
            }
        }
        // The scanner is gone for so long that the lane's other rows need not be composed to know.
        if schedule.is_late(since, at) {
            self.scans.release();
            late.extend(self.lanes[lane].take_all());
        }
        for task in late {
            let detail = format!("not scanned: {why}");
            self.finish_unsent(task, Disposition::Deferred, None, detail, now, actions);
        }
    }
}

//! The mails with passwords of secure documents: each is a row of its own in the journal, and comes
//! to be when the message with the documents was accepted. So a kill in between leaves a row whose
//! password is still to be sent, and never a password without its documents.

use super::Dispatcher;
use crate::run::ids::LaneId;
use crate::run::task::Task;

impl Dispatcher {
    /// Whether `row` is the mail with a password.
    pub(super) fn is_password(&self, row: u32) -> bool {
        self.settings.passwords.is_some_and(|first| row >= first)
    }

    /// The row of the plan that `row` is about.
    pub(super) fn row_of_plan(&self, row: u32) -> u32 {
        self.settings.passwords.filter(|first| row >= *first).map_or(row, |first| row - first)
    }

    /// The message of `row` was accepted: its password is next, where it has one.
    pub(super) fn queue_password(&mut self, row: u32, lane: LaneId) {
        let Some(first) = self.settings.passwords.filter(|first| row < *first) else { return };
        self.left += 1;
        self.passwords_left += 1;
        self.lanes[lane].give_back([Task::fresh(first + row)]);
        self.lanes.touch(lane);
    }

    /// About how many messages are to come: each row without an outcome has a password too.
    pub(super) fn to_come(&self) -> u64 {
        match self.settings.passwords {
            Some(_) => self.left + (self.left - self.passwords_left),
            None => self.left,
        }
    }
}

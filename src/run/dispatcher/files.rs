//! Keeps the number of connections within what this process may have open.

use std::time::Duration;

use super::Dispatcher;
use crate::kit::text::counted;
use crate::mail::Timestamp;
use crate::run::seats::Shortage;
use crate::run_dir::StopReason;
use crate::smtp::ConnectionId;

/// Files that a run opens now and then besides its connections: for DNS, the status, results.
const RESERVE: u64 = 8;
/// A connection may need a second file: for looking its host up, or in the sandbox.
const EACH: u64 = 2;
/// With fewer free files nothing can be sent.
const LEAST: u64 = 4;
/// How long after a connection could not be opened for want of files it is tried again, and others
/// may follow.
const PAUSE: Duration = Duration::from_secs(1);
const RECOVERY: Duration = Duration::from_secs(60);
/// A run that can't open a single connection for so long stops.
const PATIENCE: Duration = Duration::from_secs(30);

impl Dispatcher {
    /// Opens no more connections than `free` files leave room for, of which `limit` may be open;
    /// stops before the first message when that is not enough for one.
    pub fn keep_to_open_files(&mut self, free: Option<u64>, limit: Option<u64>, now: Timestamp) {
        let (Some(free), Some(limit)) = (free, limit) else { return };
        let room = usize::try_from(free.saturating_sub(RESERVE) / EACH).unwrap_or(usize::MAX).max(1);
        self.most_seats = room;
        self.seats.set_limit(room);
        let wanted: usize = self.lanes.iter().map(|lane| lane.limits.connections).sum();
        let needed = limit - free + RESERVE + EACH * wanted.max(1) as u64;
        let advice =
            format!("this process may have {limit} files open and needs {needed}; raise `ulimit -n`");
        if free < LEAST {
            let detail = format!("no connection can be opened: {advice}");
            self.drain(StopReason::NoSession { detail }, now);
        } else if wanted > room {
            tracing::warn!("{room} of {wanted} connections at once: {advice}");
        }
    }

    /// A connection could not be opened for want of files. That is not its site's failure: the run
    /// continues with the connections that it has.
    pub(super) fn on_no_file(&mut self, id: ConnectionId, cause: &str, now: Timestamp) {
        let lane = self.lane(id);
        lane.closed(id);
        lane.hold_openings(now + PAUSE);
        self.forget_connection(id);
        let others = self.seats.taken();
        if self.seats.limit() > others.max(1) {
            let most = counted(others.max(1) as u64, "connection", "connections");
            tracing::warn!("{cause}: not more than {most} for now; raise `ulimit -n`");
        }
        self.seats.set_limit(others.max(1));
        let shortage = self.shortage.get_or_insert(Shortage { since: now, last: now });
        shortage.last = now;
        if others > 0 {
            shortage.since = now;
        }
        if now.since(shortage.since) >= PATIENCE {
            self.drain(StopReason::NoSession { detail: format!("{cause}; raise `ulimit -n`") }, now);
        }
    }

    /// A connection was opened; some time after the last shortage, others may follow.
    pub(super) fn have_files(&mut self, now: Timestamp) {
        let Some(shortage) = &mut self.shortage else { return };
        shortage.since = now;
        if now.since(shortage.last) >= RECOVERY {
            self.shortage = None;
            self.seats.set_limit(self.most_seats);
        }
    }
}

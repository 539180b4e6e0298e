//! Finds the lanes of domains, a few at a time.

use super::{Dispatcher, MOST_ACTIVE_LANES, MOST_LOOKUPS};
use crate::mail::{Disposition, Timestamp};
use crate::run::event::Action;
use crate::run::ids::DomainId;
use crate::run::lane::Lane;
use crate::run::next_hops::{NoRoute, Routed};

impl Dispatcher {
    /// Looks up further domains while too few lanes are active.
    pub(super) fn look_up(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        while self.looking_up < MOST_LOOKUPS && self.lanes.active() + self.looking_up < MOST_ACTIVE_LANES {
            let Some((domain, row)) = self.directory.next(now) else { break };
            self.looking_up += 1;
            actions.push(Action::LookUp(domain, row));
        }
    }

    pub(super) fn on_routed(
        &mut self,
        domain: DomainId,
        route: Result<Routed, NoRoute>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        self.looking_up -= 1;
        let unroutable = match route {
            Ok(routed) => {
                let id = match self.lanes.of_site(&routed.site.key) {
                    Some(id) => id,
                    None => {
                        let provider =
                            routed.provider.as_ref().map(|limits| self.providers.meet(limits, now));
                        self.lanes.add(Lane::new(routed.site, routed.limits, provider, now))
                    }
                };
                let taken = self.directory.take(domain);
                let lane = &mut self.lanes[id];
                lane.add(taken.fresh);
                for (task, at) in taken.tried {
                    lane.put_off(task, at);
                }
                self.lanes.touch(id);
                return;
            }
            Err(unroutable) => unroutable,
        };
        let give_up_after = self.settings.schedule.give_up_after();
        if !unroutable.permanent && self.directory.put_off(domain, now, give_up_after) {
            tracing::debug!("{}", unroutable.text);
            return;
        }
        let disposition = if unroutable.permanent { Disposition::Bounced } else { Disposition::Deferred };
        for task in self.directory.take(domain).into_tasks() {
            if unroutable.suppress {
                actions.push(Action::Suppress(self.row_of_plan(task.row), unroutable.class));
            }
            let text = unroutable.text.clone();
            self.finish_unsent(task, disposition, Some(unroutable.class), text, now, actions);
        }
    }
}

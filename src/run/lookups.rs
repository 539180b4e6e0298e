//! The lookups in progress: one task each. The dispatcher bounds their number.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::event::Event;
use super::ids::DomainId;
use super::next_hops::NextHops;

/// See the module. Dropping it ends all lookups.
pub(super) struct Lookups {
    next_hops: Arc<NextHops>,
    events: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
}

impl Lookups {
    /// Lookups whose results come as events.
    pub(super) fn new(next_hops: Arc<NextHops>, events: mpsc::Sender<Event>) -> Self {
        Self { next_hops, events, tasks: JoinSet::new() }
    }

    /// Finds the next hop of the domain `name` (A-labels).
    pub(super) fn start(&mut self, id: DomainId, name: String) {
        while self.tasks.try_join_next().is_some() {}
        let (next_hops, events) = (Arc::clone(&self.next_hops), self.events.clone());
        self.tasks.spawn(async move {
            let routed = next_hops.route(&name).await;
            // An error means that the run is over and nobody waits for the event.
            let _ = events.send(Event::Routed(id, routed)).await;
        });
    }
}

//! The lookups under way: a task each, their number bounded by the dispatcher.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::directory::DomainId;
use super::event::Event;
use super::router::Router;

/// See the module. Dropped, it ends them all.
pub struct Lookups {
    router: Arc<Router>,
    events: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
}

impl Lookups {
    /// Lookups whose ends come as events.
    pub fn new(router: Arc<Router>, events: mpsc::Sender<Event>) -> Self {
        Self { router, events, tasks: JoinSet::new() }
    }

    /// Finds the way to the domain of this name.
    pub fn start(&mut self, id: DomainId, name: String) {
        while self.tasks.try_join_next().is_some() {}
        let (router, events) = (Arc::clone(&self.router), self.events.clone());
        self.tasks.spawn(async move {
            let routed = router.route(&name).await;
            // An error means that the run is over and nobody waits for the event.
            let _ = events.send(Event::Routed(id, routed)).await;
        });
    }
}

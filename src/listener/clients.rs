//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections come from each address.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    connections: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection of an address that is counted.
#[derive(Debug)]
pub(crate) struct Counted {
    clients: Arc<Clients>,
    from: Option<IpAddr>,
}

impl Clients {
    /// Counts a connection; none where there are more than `most`. A proxy on this machine speaks
    /// for many, so its own are not counted.
    pub(crate) fn count(self: &Arc<Self>, from: Option<IpAddr>, most: usize) -> Option<Counted> {
        let clients = Arc::clone(self);
        let Some(from) = from.filter(|from| !from.is_loopback()) else {
            return Some(Counted { clients, from: None });
        };
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let own = connections.entry(from).or_default();
        if *own >= most {
            return None;
        }
        *own += 1;
        Some(Counted { clients, from: Some(from) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut connections = self.clients.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = self.from
            && let Some(own) = connections.get_mut(&from)
        {
            *own -= 1;
            if *own == 0 {
                connections.remove(&from);
            }
        }
    }
}
